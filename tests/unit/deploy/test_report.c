// The result as people and runners read it: deployments as JSON in, golden files out
// (tests/golden/reports/<name>.{json,txt,md,outputs,annotations}). DISPATCHER_GOLDEN=write makes
// them anew: read the difference before you keep it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_internal.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

static void
check_golden(const char *name, const char *kind, const struct buf *text)
{
    char *path CLEANUP(xfreep) = xasprintf("%s/golden/reports/%s.%s", TEST_SOURCE_DIR, name, kind);
    struct buf expected CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    const char *mode = getenv("DISPATCHER_GOLDEN"); // NOLINT(concurrency-mt-unsafe)
    if (mode != NULL && strcmp(mode, "write") == 0) {
        assert_null(file_write(path, buf_str(text), 0644));
    }
    assert_null(file_read(path, &expected, NULL));
    if (!str_equal(buf_str(&expected), buf_str(text))) {
        print_error("%s.%s is\n%s", name, kind, buf_cstr(text));
        fail_msg("it differs from the golden file");
    }
}

static struct deployment *
read_deployment(const char *name, struct arena *arena)
{
    char *path CLEANUP(xfreep) = xasprintf("%s/golden/reports/%s.json", TEST_SOURCE_DIR, name);
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    struct deployment *d = NULL;
    assert_null(file_read(path, &text, NULL));
    assert_null(deployment_decode(buf_str(&text), arena, &d));
    return d;
}

// No line of what goes to the runner's log may be a command, wherever the runner looks for one.
static void
check_harmless(const struct buf *text)
{
    struct str line = {0}, rest = buf_str(text);
    assert_false(str_contains(rest, STR("##[")));
    assert_false(str_contains(rest, STR("\x1b")));
    while (str_cut(rest, '\n', &line, &rest)) {
        assert_false(str_starts(str_trim(line), STR("::")));
    }
}

static void
check_report(const char *name)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct deployment *d = read_deployment(name, arena);
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    report_text(d, false, &text);
    check_harmless(&text);
    check_golden(name, "txt", &text);
    buf_reset(&text);
    report_summary(d, &text);
    check_golden(name, "md", &text);
    buf_reset(&text);
    report_outputs(d, "00112233445566778899aabbccddeeff", &text);
    check_golden(name, "outputs", &text);
    buf_reset(&text);
    report_annotations(d, &text);
    check_golden(name, "annotations", &text);
}

static void
test_success(void **state)
{
    (void)state;
    check_report("success");
}

static void
test_rolled_out_from_here(void **state)
{
    (void)state;
    check_report("direct");
}

static void
test_rolled_back(void **state)
{
    (void)state;
    check_report("rolled-back");
}

static void
test_hostile_failure(void **state)
{
    (void)state;
    check_report("hostile");
}

static void
test_unknown(void **state)
{
    (void)state;
    check_report("unknown");
}

static void
test_interrupted(void **state)
{
    (void)state;
    check_report("interrupted");
}

static void
test_colors(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    report_text(read_deployment("success", arena), true, &text);
    assert_true(str_starts(buf_str(&text), STR("\x1b[32m✓\x1b[0m 'shop' ")));
}

// Each annotation is exactly one line, whatever the text holds.
static void
test_annotations_are_lines(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    const struct deployment *d = read_deployment("hostile", arena);
    report_annotations(d, &text);
    size_t lines = 0;
    struct str line = {0}, rest = buf_str(&text);
    while (str_cut(rest, '\n', &line, &rest)) {
        assert_true(str_starts(line, STR("::error title=")));
        lines++;
    }
    assert_int_equal(lines, 1 + d->failure.annotations.count);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_rolled_out_from_here),
        cmocka_unit_test(test_rolled_back),
        cmocka_unit_test(test_hostile_failure),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_colors),
        cmocka_unit_test(test_annotations_are_lines),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
