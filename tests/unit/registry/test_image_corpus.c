// Every image of tests/vectors/archives opened, resolved and read to the end, against expected.tsv:
// what good images hold, and what is said about the others, word for word.
#include <errno.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/image.h"
#include "dispatcher/memory.h"
#include "temp_dir.h"

enum { HOSTILE_MIN = 250, GOOD_MIN = 30 };

static int
make_corpus(void **state)
{
    char *dir = temp_dir_new();
    char script[] = TEST_SOURCE_DIR "/vectors/archives/make.py";
    char python[] = "python3";
    char *argv[] = {python, script, dir, NULL};
    char *envp[] = {NULL};
    pid_t pid = 0;
    int status = -1;
    assert_int_equal(posix_spawn(&pid, "/usr/bin/python3", NULL, NULL, argv, envp), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(chdir(dir), 0);
    *state = dir;
    return 0;
}

static int
remove_corpus(void **state)
{
    char *dir = *state;
    assert_int_equal(chdir("/"), 0);
    temp_dir_removep(&dir);
    return 0;
}

// Reads all parts that are sent as they are; the others were compressed to learn their digests.
static struct error *
read_parts(struct image *image, int64_t *bytes)
{
    *bytes = 0;
    for (size_t i = 0; i < image_part_count(image); i++) {
        const struct image_part *part = image_part_at(image, i);
        if (part->diff_id == NULL) {
            TRY(image_part_verify(image, i));
        }
        *bytes += part->descriptor.size;
    }
    return NULL;
}

static struct error *
open_text(const char *text, struct arena *arena, struct image **out)
{
    struct image_source *source = NULL;
    TRY(image_source_parse(text, arena, &source));
    return image_open(source, NULL, out);
}

// One line of expected.tsv as it should be.
static void
outcome(const char *text, struct buf *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct image *image CLEANUP(image_closep) = NULL;
    const char *stage = "open", *digest = "";
    const struct image_manifest *manifests = NULL;
    size_t manifest_count = 0;
    int64_t bytes = 0;
    struct error *err = open_text(text, arena, &image);
    if (err == NULL) {
        stage = "digest";
        err = image_measure(image, IMAGE_COMPRESSION_FAST);
    }
    if (err == NULL) {
        stage = "read";
        err = read_parts(image, &bytes);
    }
    buf_printf(out, "%s\t", text);
    if (err != NULL) {
        char *message CLEANUP(xfreep) = error_text(err);
        const char *hint = error_hint_of(err);
        assert_int_equal(error_kind(err), ERROR_INPUT);
        buf_printf(out, "%s\t%s\t%s", stage, message, hint != NULL ? hint : "");
        error_free(err);
        return;
    }
    assert_null(image_manifests(image, &manifests, &manifest_count));
    assert_null(image_digest(image, &digest));
    assert_string_equal(manifests[manifest_count - 1].descriptor.digest, digest);
    buf_printf(out, "ok\t%s\t%zu manifests, %zu blobs, %lld bytes, '%s'", digest, manifest_count,
        image_part_count(image), (long long)bytes, image_platforms(image));
}

static void
every_image_gives_what_is_expected(void **state)
{
    (void)state;
    struct buf expected CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    assert_null(file_read(TEST_SOURCE_DIR "/vectors/archives/expected.tsv", &expected, NULL));
    struct str line = {0}, rest = buf_str(&expected);
    size_t hostile = 0, good = 0, wrong = 0;
    while (str_cut(rest, '\n', &line, &rest)) {
        struct buf actual CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        struct str source = {0}, tail = {0};
        assert_true(str_cut(line, '\t', &source, &tail));
        char *text CLEANUP(xfreep) = str_dup(source);
        outcome(text, &actual);
        if (str_starts(tail, STR("ok\t"))) {
            good++;
        } else {
            hostile++;
        }
        if (!str_equal(buf_str(&actual), line)) {
            wrong++;
            fflush(NULL);
            printf("expected %.*s\nactual   %s\n", STR_FMT(line), buf_cstr(&actual));
        }
    }
    assert_int_equal(wrong, 0);
    assert_true(hostile >= HOSTILE_MIN);
    assert_true(good >= GOOD_MIN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_image_gives_what_is_expected),
    };
    return cmocka_run_group_tests(tests, make_corpus, remove_corpus);
}
