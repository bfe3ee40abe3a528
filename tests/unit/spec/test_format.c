// Canonical layout by golden file: faithful, idempotent, and nothing lost.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/spec.h"
#include "golden.h"

enum { TEXT_MAX = 1024 * 1024 };

static struct error *
format(struct str text, struct buf *out)
{
    struct spec_document document = {"appspecs/x.yaml", text};
    return spec_format(&document, out);
}

static void
assert_formats_to_itself(const char *name, struct str text)
{
    struct buf again CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct error *err CLEANUP(error_freep) = format(text, &again);
    if (err != NULL) {
        fail_msg("%s: second time: %s", name, error_message(err));
    }
    assert_string_equal(buf_cstr(&again), text.ptr);
}

static void
test_golden_layouts(void **state)
{
    (void)state;
    char **names = golden_list("specs/format", ".yaml");
    size_t count = 0;
    for (; names[count] != NULL; count++) {
        char *path CLEANUP(xfreep) = xasprintf("specs/format/%s", names[count]);
        char *expected CLEANUP(xfreep) = xasprintf("%s.out", path);
        struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        struct buf out CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        golden_read(path, &text);
        struct error *err CLEANUP(error_freep) = format(buf_str(&text), &out);
        if (err != NULL) {
            fail_msg("%s: %s", path, error_message(err));
        }
        golden_assert(expected, buf_str(&out));
        assert_formats_to_itself(path, buf_str(&out));
    }
    assert_true(count >= 5);
    golden_list_free(names);
}

// Every valid document among the goldens keeps its meaning (spec_format checks that itself), and
// its layout is stable.
static void
test_all_valid_goldens(void **state)
{
    (void)state;
    static const char *const directories[] = {
        "specs/real", "specs/good", "specs/bad", "specs/config"};
    size_t formatted = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(directories); i++) {
        char **names = golden_list(directories[i], ".yaml");
        for (size_t j = 0; names[j] != NULL; j++) {
            char *path CLEANUP(xfreep) = xasprintf("%s/%s", directories[i], names[j]);
            struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
            struct buf out CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
            golden_read(path, &text);
            struct error *err CLEANUP(error_freep) = format(buf_str(&text), &out);
            if (err == NULL) {
                assert_formats_to_itself(path, buf_str(&out));
                formatted++;
            } else if (strstr(error_message(err), "no valid document") == NULL) {
                fail_msg("%s: %s", path, error_message(err));
            }
        }
        golden_list_free(names);
    }
    assert_true(formatted >= 70);
}

static void
assert_refused(const char *text, const char *message)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct error *err CLEANUP(error_freep) = format(str_of(text), &out);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_SPEC);
    assert_string_equal(error_message(err), message);
    assert_int_equal(out.len, 0);
}

static void
test_refusals(void **state)
{
    (void)state;
    static const char broken[] = "'appspecs/x.yaml' is no valid document, so it is left as it is";
    static const char unsafe[] =
        "'appspecs/x.yaml' cannot be laid out without changing it, so it is left as it is";
    assert_refused("a: [", broken);
    assert_refused("a: 1\na: 2\n", broken);
    assert_refused("- a\n", broken);
    assert_refused("", broken);
    assert_refused("a: *b\n", broken);
    assert_refused("%YAML 1.1\n---\na: 1\n", unsafe);
    assert_refused("a: |2\n    b\n", unsafe);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_layouts),
        cmocka_unit_test(test_all_valid_goldens),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
