// Any bytes as an archive of either kind: refused with a sentence, or an image whose every blob has
// the size and digest that it promises.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "dispatcher/digest.h"
#include "dispatcher/image.h"
#include "dispatcher/name.h"
#include "fuzz.h"

static void
read_blob(struct image *image, const struct image_descriptor *blob)
{
    static char piece[64 * 1024];
    struct http_reader reader CLEANUP(image_blob_close) = {0};
    struct sha256 *hash CLEANUP(sha256_freep) = sha256_new();
    struct error *err = image_blob_open(image, blob, &reader);
    int64_t got = 0, total = 0;
    while (err == NULL && (got = reader.read(reader.ctx, piece, sizeof(piece), &err)) > 0) {
        sha256_update(hash, piece, (size_t)got);
        total += got;
    }
    if (err == NULL) {
        unsigned char digest[SHA256_SIZE];
        char text[SHA256_DIGEST_TEXT_SIZE];
        sha256_final(hash, digest);
        sha256_digest_text(digest, text);
        FUZZ_CHECK(total == blob->size && cstr_equal(text, blob->digest));
    }
    error_free(err);
}

static void
open_as(enum image_kind kind, const char *path)
{
    const struct image_source source = {.kind = kind, .text = "fuzz", .path = path};
    struct image *image CLEANUP(image_closep) = NULL;
    const struct image_descriptor *blobs = NULL;
    const char *digest = NULL;
    size_t count = 0;
    struct error *err = image_open(&source, &image);
    if (err == NULL) {
        err = image_digest(image, &digest);
    }
    if (err == NULL) {
        err = image_blobs(image, &blobs, &count);
    }
    FUZZ_CHECK(err == NULL || error_kind(err) == ERROR_INPUT);
    FUZZ_CHECK(err != NULL || digest_is_valid(str_of(digest)));
    for (size_t i = 0; err == NULL && i < count; i++) {
        read_blob(image, &blobs[i]);
    }
    error_free(err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[] = "/tmp/dispatcher-fuzz-XXXXXX";
    int fd = mkstemp(path);
    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(write(fd, data, size) == (ssize_t)size);
    FUZZ_CHECK(close(fd) == 0);
    open_as(IMAGE_OCI_ARCHIVE, path);
    open_as(IMAGE_DOCKER_ARCHIVE, path);
    FUZZ_CHECK(unlink(path) == 0);
    return 0;
}
