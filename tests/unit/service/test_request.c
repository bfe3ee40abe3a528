// What is read of a request: targets, queries, forms, cookies, Accept, ids, trace contexts.
#include "request_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
splits_targets(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct request request = {.arena = arena};
    assert_true(request_split("/a%2Fb?x=1&y=a+b%20c&x=2&z", arena, &request.path, &request.query));
    assert_string_equal(request.path, "/a%2Fb");
    assert_string_equal(request_query(&request, "x"), "1");
    assert_string_equal(request_query(&request, "y"), "a b c");
    assert_string_equal(request_query(&request, "z"), "");
    assert_null(request_query(&request, "q"));
    static const char *const bad[] = {
        "", "*", "http://x/", "/?a=%", "/?a=%0", "/?a=%00", "/?%ff=1"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(request_split(bad[i], arena, &request.path, &request.query));
    }
}

static void
counts_pairs(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct pair_list list = {0};
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (int i = 0; i < 64; i++) {
        buf_printf(&text, "k%d=v&", i);
    }
    assert_true(request_pairs(buf_str(&text), arena, &list));
    assert_int_equal(list.count, 64);
    buf_puts(&text, "more=1");
    assert_false(request_pairs(buf_str(&text), arena, &list));
}

static void
reads_cookies_and_fields(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct pair headers[] = {{"cookie", "a=1; session=x%3D; b=2"}};
    struct request request = {
        .arena = arena, .headers = {headers, 1}, .form = STR("csrf=a%2Bb&note=two+words&bad=%ff")};
    assert_string_equal(request_cookie(&request, "session"), "x%3D");
    assert_string_equal(request_cookie(&request, "b"), "2");
    assert_null(request_cookie(&request, "sess"));
    assert_null(request_field(&request, "csrf")); // one bad field, and the form is none
    request.form = STR("csrf=a%2Bb&note=two+words");
    assert_string_equal(request_field(&request, "csrf"), "a+b");
    assert_string_equal(request_field(&request, "note"), "two words");
}

static void
weighs_what_is_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool csv;
    } rows[] = {
        {"text/csv", true},
        {"application/json, text/csv;q=0.5", false},
        {"text/csv;q=0.9, application/json;q=0.8", true},
        {"text/csv;q=0", false},
        {"*/*", false},
        {"TEXT/CSV", true},
        {"", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct pair headers[] = {{"Accept", rows[i].accept}};
        const struct request request = {.headers = {headers, 1}};
        assert_int_equal(request_accepts(&request, "text/csv"), rows[i].csv);
    }
}

static void
takes_ids_and_traces(void **state)
{
    (void)state;
    assert_true(request_id_is_valid("abcd-123"));
    assert_false(request_id_is_valid("abcd-12"));
    assert_false(request_id_is_valid("abcd 1234"));
    assert_false(request_id_is_valid("abcd\n1234"));
    assert_false(
        request_id_is_valid("12345678901234567890123456789012345678901234567890123456789012345"));
    assert_false(request_id_is_valid(NULL));
    assert_true(
        request_traceparent_is_valid("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    static const char *const bad[] = {
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7-01",
        "",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(request_traceparent_is_valid(bad[i]));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_targets),
        cmocka_unit_test(counts_pairs),
        cmocka_unit_test(reads_cookies_and_fields),
        cmocka_unit_test(weighs_what_is_accepted),
        cmocka_unit_test(takes_ids_and_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
