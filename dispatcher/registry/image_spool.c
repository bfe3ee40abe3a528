// Keeps a streamed archive in an unlinked file, since it is read more than once: names first, then
// layers, and a layer again when its upload fails. Knows nothing of what is in it.
#include "image_spool_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dispatcher/memory.h"

enum { TELL_BYTES = 1024 * 1024 };

struct image_spool {
    int fd;
    char *directory;
    int64_t size, max, told;
    void (*progress)(void *ctx, int64_t done);
    void *progress_ctx;
};

static struct error *
open_unnamed(const char *directory, int *out)
{
    char *path CLEANUP(xfreep) = xasprintf("%s/dispatcher-XXXXXX", directory);
    int fd = mkstemp(path);
    if (fd < 0) {
        return error_hint(
            error_new(ERROR_STORAGE, "no temporary file for the image can be made in '%s': %s",
                directory, strerror(errno)),
            "Name a directory with room for the whole image by TMPDIR.");
    }
    (void)unlink(path);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    *out = fd;
    return NULL;
}

struct error *
image_spool_new(const struct platform *platform, int64_t max, struct image_spool **out)
{
    const char *directory = env_get(platform, "TMPDIR");
    int fd = -1;
    if (directory == NULL) {
        directory = access("/var/tmp", W_OK | X_OK) == 0 ? "/var/tmp" : "/tmp";
    }
    TRY(open_unnamed(directory, &fd));
    struct image_spool *spool = xcalloc(1, sizeof(*spool));
    spool->fd = fd;
    spool->directory = xstrdup(directory);
    spool->max = max;
    *out = spool;
    return NULL;
}

void
image_spool_free(struct image_spool *spool)
{
    if (spool == NULL) {
        return;
    }
    if (spool->fd >= 0) {
        (void)close(spool->fd);
    }
    free(spool->directory);
    free(spool);
}

void
image_spool_freep(struct image_spool **spool)
{
    image_spool_free(*spool);
    *spool = NULL;
}

void
image_spool_watch(struct image_spool *spool, void (*progress)(void *ctx, int64_t done), void *ctx)
{
    spool->progress = progress;
    spool->progress_ctx = ctx;
    if (progress != NULL) {
        progress(ctx, 0);
    }
}

static struct error *
cannot_write(const struct image_spool *spool, int number)
{
    return error_hint(
        error_new(ERROR_STORAGE, "the image does not fit into '%s': %s after %.1f MiB",
            spool->directory, strerror(number), (double)spool->size / (1024.0 * 1024.0)),
        "Name a directory with room for the whole image by TMPDIR.");
}

struct error *
image_spool_write(void *ctx, const char *bytes, size_t len)
{
    struct image_spool *spool = ctx;
    if ((int64_t)len > spool->max - spool->size) {
        return error_new(ERROR_INPUT, "the daemon sends an archive of more than %lld bytes",
            (long long)spool->max);
    }
    while (len > 0) {
        ssize_t count = write(spool->fd, bytes, len);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return cannot_write(spool, errno);
        }
        bytes += count;
        len -= (size_t)count;
        spool->size += count;
    }
    if (spool->progress != NULL && spool->size - spool->told >= TELL_BYTES) {
        spool->told = spool->size;
        spool->progress(spool->progress_ctx, spool->size);
    }
    return NULL;
}

struct error *
image_spool_take(struct image_spool *spool, int *fd)
{
    if (lseek(spool->fd, 0, SEEK_SET) != 0) {
        return error_new(ERROR_STORAGE, "the temporary file in '%s' cannot be read again: %s",
            spool->directory, strerror(errno));
    }
    *fd = spool->fd;
    spool->fd = -1;
    return NULL;
}
