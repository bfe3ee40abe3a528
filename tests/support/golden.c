// Golden files: read, list, compare, and rewrite on request.
#include "golden.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum { GOLDEN_MAX = 4 * 1024 * 1024 };

char *
golden_path(const char *name)
{
    return xasprintf("%s/golden/%s", TEST_SOURCE_DIR, name);
}

static void
must(struct error *err)
{
    if (err != NULL) {
        fail_msg("%s", error_message(err));
    }
}

void
golden_read(const char *name, struct buf *out)
{
    char *path CLEANUP(xfreep) = golden_path(name);
    must(file_read(path, out, NULL));
}

void
golden_assert(const char *name, struct str actual)
{
    char *path CLEANUP(xfreep) = golden_path(name);
    if (getenv("GOLDEN_UPDATE") != NULL) {
        must(file_write(path, actual, 0644));
        return;
    }
    struct buf expected CLEANUP(buf_done) = BUF_INIT(GOLDEN_MAX);
    must(file_read(path, &expected, NULL));
    if (!str_equal(buf_str(&expected), actual)) {
        fail_msg("%s differs; run the test with GOLDEN_UPDATE=1 and look at the diff. It is:\n%.*s",
            path, STR_FMT(actual));
    }
}

static int
compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

char **
golden_list(const char *directory, const char *suffix)
{
    char *path CLEANUP(xfreep) = golden_path(directory);
    DIR *stream = opendir(path);
    if (stream == NULL) {
        fail_msg("no directory '%s'", path);
        return NULL;
    }
    char **names = xcalloc(1024, sizeof(*names));
    size_t count = 0;
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        if (str_ends(str_of(entry->d_name), str_of(suffix)) && count < 1023) {
            names[count++] = xstrdup(entry->d_name);
        }
    }
    (void)closedir(stream);
    qsort(names, count, sizeof(*names), compare);
    return names;
}

void
golden_list_free(char **names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        free(names[i]);
    }
    free(names);
}
