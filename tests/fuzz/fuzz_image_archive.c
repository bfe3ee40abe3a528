// Any bytes as an archive of either kind: refused with a sentence, or an image whose every part has
// the size and digest that it promises.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "dispatcher/image.h"
#include "dispatcher/name.h"
#include "fuzz.h"

static void
open_as(enum image_kind kind, const char *path)
{
    const struct image_source source = {.kind = kind, .text = "fuzz", .path = path};
    struct image *image CLEANUP(image_closep) = NULL;
    const char *digest = NULL;
    struct error *err = image_open(&source, NULL, &image);
    if (err == NULL) {
        err = image_measure(image, IMAGE_COMPRESSION_FAST);
    }
    if (err == NULL) {
        err = image_digest(image, &digest);
    }
    FUZZ_CHECK(err != NULL || digest_is_valid(str_of(digest)));
    for (size_t i = 0; err == NULL && i < image_part_count(image); i++) {
        const struct image_part *part = image_part_at(image, i);
        FUZZ_CHECK(part->descriptor.digest != NULL && part->descriptor.size >= 0);
        if (part->diff_id == NULL) {
            err = image_part_verify(image, i);
        }
    }
    FUZZ_CHECK(err == NULL || error_kind(err) == ERROR_INPUT);
    error_free(err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void *kept = NULL; // or every archive would load libarchive anew, which takes the time
    if (kept == NULL) {
        kept = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    }
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
