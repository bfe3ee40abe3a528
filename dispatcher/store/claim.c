// Claims, and SQLite's kind of them: one locked byte of the file beside the database per
// deployment. The kernel drops the lock with the last descriptor of the process, however it ends.
// Says nothing about who holds a claim.
#define _GNU_SOURCE // F_OFD_SETLK: a lock of the file description, not of the process

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "store_internal.h"

struct error *
claims_open(const struct store *store, int *out)
{
    int fd = open(store->claims_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        struct error *err =
            error_new(ERROR_STORAGE, "open '%s': %s", store->claims_path, strerror(errno));
        return error_hint(err, "The journal and its directory must be writable; DISPATCHER_STATE "
                               "names another file.");
    }
    *out = fd;
    return NULL;
}

struct error *
claims_lock(const struct store *store, int fd, int64_t byte, bool wait, bool *taken)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int result = -1;
    do {
        result = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &range);
    } while (result != 0 && errno == EINTR);
    bool held = result != 0 && (errno == EAGAIN || errno == EACCES);
    if (result != 0 && !(held && !wait)) {
        struct error *err =
            error_new(ERROR_STORAGE, "lock '%s': %s", store->claims_path, strerror(errno));
        return error_hint(err,
            "The file system has no working locks; DISPATCHER_STATE names a file "
            "on another one.");
    }
    if (taken != NULL) {
        *taken = result == 0;
    }
    return NULL;
}

struct error *
claims_probe(const struct store *store, int first, int second)
{
    bool taken = false, again = false;
    TRY(claims_lock(store, first, CLAIM_BYTE_PROBE, false, &taken));
    if (!taken) {
        return NULL; // another process is probing: locks work
    }
    TRY(claims_lock(store, second, CLAIM_BYTE_PROBE, false, &again));
    if (again) {
        struct error *err = error_new(
            ERROR_STORAGE, "lock '%s': the same lock was given twice", store->claims_path);
        return error_hint(err,
            "The file system has no working locks; DISPATCHER_STATE names a file "
            "on another one.");
    }
    return NULL;
}

// 62 bits of the id's hash: no row has to exist yet, and two ids never meet in practice.
static int64_t
claim_number(const char *id)
{
    unsigned char hash[SHA256_SIZE];
    sha256_of(str_of(id), hash);
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof(bits); i++) {
        bits = bits << 8 | hash[i];
    }
    return (int64_t)(bits >> 2);
}

struct error *
claims_take(struct store_claim *claim, struct store *store, bool *taken)
{
    TRY(claims_open(store, &claim->fd));
    return claims_lock(store, claim->fd, claim->number, false, taken);
}

void
claims_give_back(struct store_claim *claim)
{
    if (claim->fd >= 0) {
        (void)close(claim->fd);
    }
}

struct error *
store_claim(struct store *store, const char *id, struct store_claim **out)
{
    struct store_claim *claim CLEANUP(store_claim_releasep) = xcalloc(1, sizeof(*claim));
    claim->driver = store->driver;
    claim->number = claim_number(id);
    claim->fd = -1;
    bool taken = false;
    TRY(store->driver->claim(claim, store, &taken));
    *out = NULL;
    if (taken) {
        *out = claim;
        claim = NULL;
    }
    return NULL;
}

void
store_claim_release(struct store_claim *claim)
{
    if (claim != NULL) {
        claim->driver->release(claim);
        free(claim);
    }
}

void
store_claim_releasep(struct store_claim **claim)
{
    store_claim_release(*claim);
    *claim = NULL;
}
