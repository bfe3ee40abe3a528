// Plans are pure: facts in, text out, compared with golden files (tests/golden/plans).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deploy_internal.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

static void
check_plan(const char *name)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf facts CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    struct buf expected CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    char *in CLEANUP(xfreep) = xasprintf("%s/golden/plans/%s.json", TEST_SOURCE_DIR, name);
    char *out CLEANUP(xfreep) = xasprintf("%s/golden/plans/%s.txt", TEST_SOURCE_DIR, name);
    struct deployment *d = NULL;
    assert_null(file_read(in, &facts, NULL));
    assert_null(file_read(out, &expected, NULL));
    assert_null(deployment_decode(buf_str(&facts), arena, &d));
    plan_make(d, arena);
    deploy_plan_text(d, &text);
    assert_string_equal(buf_cstr(&text), buf_cstr(&expected));
}

static void
test_first_deployment(void **state)
{
    (void)state;
    check_plan("first");
}

static void
test_image_present(void **state)
{
    (void)state;
    check_plan("present");
}

static void
test_same_version_again(void **state)
{
    (void)state;
    check_plan("same");
}

static void
test_two_services_without_waiting(void **state)
{
    (void)state;
    check_plan("two");
}

static void
test_repository_to_create_and_image_to_scan(void **state)
{
    (void)state;
    check_plan("scan");
}

static void
test_built_first(void **state)
{
    (void)state;
    check_plan("build");
}

// The journal must give back what was put in: encode, decode, encode again.
static void
test_document_survives_the_journal(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf facts CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    struct deployment *d = NULL, *again = NULL;
    assert_null(file_read(TEST_SOURCE_DIR "/golden/plans/two.json", &facts, NULL));
    assert_null(deployment_decode(buf_str(&facts), arena, &d));
    plan_make(d, arena);
    struct json *first CLEANUP(json_freep) = deployment_encode(d);
    char *text CLEANUP(xfreep) = json_text(first);
    assert_null(deployment_decode(str_of(text), arena, &again));
    struct json *second CLEANUP(json_freep) = deployment_encode(again);
    char *back CLEANUP(xfreep) = json_text(second);
    assert_string_equal(text, back);
    assert_int_equal(again->steps.count, 7);
    assert_int_equal(deployment_step_at(again, 6)->service, -1);
}

static void
test_window_holds(void **state)
{
    (void)state;
    int from = 0, to = 0;
    assert_true(window_parse("Fri 15:00 - Mon 07:00", &from, &to));
    assert_int_equal(from, (4 * 24 + 15) * 60);
    assert_int_equal(to, 7 * 60);
    assert_true(window_holds(from, to, from));
    assert_true(window_holds(from, to, 6 * 24 * 60)); // Sunday midnight
    assert_true(window_holds(from, to, 6 * 60 + 59));
    assert_false(window_holds(from, to, to));
    assert_false(window_holds(from, to, from - 1));
    assert_false(window_holds(60, 60, 60));
    assert_true(window_parse("mon 00:00-sun 23:59", &from, &to));
    static const char *const bad[] = {"", "Fri 15:00", "Fri 15:00 -", "Fry 15:00 - Mon 07:00",
        "Fri 24:00 - Mon 07:00", "Fri 15:60 - Mon 07:00", "Fri 1500 - Mon 07:00",
        "Fri 15:00 - Mon 07:00x", "Fri -1:00 - Mon 07:00"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(window_parse(bad[i], &from, &to));
    }
}

static void
test_dispatch_id(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *one = dispatch_id_make(arena, "1/2/deploy/app/staging/abc", 1);
    assert_string_equal(one, dispatch_id_make(arena, "1/2/deploy/app/staging/abc", 1));
    assert_string_not_equal(one, dispatch_id_make(arena, "1/2/deploy/app/staging/abc", 2));
    assert_string_not_equal(one, dispatch_id_make(arena, "1/2/deploy/app/staging/abd", 1));
    assert_int_equal(str_of(one).len, 2 + 20 + 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_deployment),
        cmocka_unit_test(test_image_present),
        cmocka_unit_test(test_same_version_again),
        cmocka_unit_test(test_two_services_without_waiting),
        cmocka_unit_test(test_repository_to_create_and_image_to_scan),
        cmocka_unit_test(test_built_first),
        cmocka_unit_test(test_document_survives_the_journal),
        cmocka_unit_test(test_window_holds),
        cmocka_unit_test(test_dispatch_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
