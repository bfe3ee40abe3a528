// Runs a fuzz target over its seeds without libFuzzer: each seed whole, then cut and with a byte
// bent at every place (of a long one, at 400). Not a search: it keeps targets and seeds working in
// every build.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/file.h"
#include "fuzz.h"

enum { SEED_MAX = 64 * 1024, PLACES_MAX = 400 };

// On a copy of exactly that size, so that AddressSanitizer sees every step beyond its end.
static void
run(const char *bytes, size_t size)
{
    uint8_t *copy = xmalloc(size > 0 ? size : 1);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void
replay(const struct buf *seed)
{
    char *bytes = str_dup(buf_str(seed));
    size_t stride = seed->len / PLACES_MAX + 1;
    run(bytes, seed->len);
    for (size_t at = 0; at < seed->len; at += stride) {
        run(bytes, at);
        char saved = bytes[at];
        bytes[at] = (char)(saved ^ 0x20);
        run(bytes, seed->len);
        bytes[at] = '\0';
        run(bytes, seed->len);
        bytes[at] = (char)0xff;
        run(bytes, seed->len);
        bytes[at] = saved;
    }
    free(bytes);
}

int
main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (folder == NULL) {
        (void)fprintf(stderr, "usage: %s FOLDER-OF-SEEDS\n", argv[0]);
        return 2;
    }
    unsigned seeds = 0;
    struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        struct buf seed CLEANUP(buf_done) = BUF_INIT(SEED_MAX);
        char *path CLEANUP(xfreep) = xasprintf("%s/%s", argv[1], entry->d_name);
        if (entry->d_name[0] == '.') {
            continue;
        }
        struct error *err = file_read(path, &seed, NULL);
        if (err != NULL) {
            (void)fprintf(stderr, "%s\n", error_message(err));
            error_free(err);
            return 1;
        }
        replay(&seed);
        seeds++;
    }
    (void)closedir(folder);
    (void)printf("%u seeds\n", seeds);
    return seeds > 0 ? 0 : 1;
}
