// What is read of a request: targets, queries, forms, cookies, Accept, ids, trace contexts.
#include "service_state_internal.h"

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

static const char *
problem_of(struct arena *arena, const char *text)
{
    struct pair_list list = {.items = arena_array(arena, 8, sizeof(*list.items))};
    struct str line = {0}, rest = str_of(text);
    while (str_cut(rest, '\n', &line, &rest)) {
        struct str name = {0}, value = {0};
        (void)str_cut(line, ':', &name, &value);
        list.items[list.count++] = (struct pair){arena_str(arena, name), arena_str(arena, value)};
    }
    const struct request request = {.arena = arena, .headers = list};
    return request_framing_problem(&request);
}

static void
refuses_what_two_readers_read_differently(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    static const char *const good[] = {"Host:x", "Content-Length:5", "Transfer-Encoding:chunked",
        "transfer-encoding:Chunked", "Host:x\nContent-Length:0\nCookie:a\nCookie:b"};
    static const char *const bad[] = {"Content-Length:5\nContent-Length:5",
        "Content-Length:0\ncontent-length:9", "Content-Length:5\nTransfer-Encoding:chunked",
        "Transfer-Encoding:chunked\nContent-Length:5", "Transfer-Encoding:gzip, chunked",
        "Transfer-Encoding:xchunked", "Transfer-Encoding:chunked\nTransfer-Encoding:identity",
        "Transfer-Encoding :chunked", "Content-Length\t:5", ":x", "Host:a\nHost:b",
        "X-Hub-Signature-256:a\nx-hub-signature-256:b", "Authorization:a\nAuthorization:b"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_null(problem_of(arena, good[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_non_null(problem_of(arena, bad[i]));
    }
    const struct pair forwarded[] = {
        {"X-Forwarded-For", "1.1.1.1"}, {"x-forwarded-for", "2.2.2.2"}};
    union {
        const struct pair *read;
        struct pair *taken;
    } items = {.read = forwarded};
    const struct request request = {.arena = arena, .headers = {items.taken, 2}};
    assert_string_equal(request_header_list(&request, "X-Forwarded-For"), "1.1.1.1, 2.2.2.2");
    assert_int_equal(request_header_count(&request, "X-FORWARDED-FOR"), 2);
}

static void
addresses_of_one_network_are_one_for_limits(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    assert_string_equal(auth_network("192.0.2.7", arena), "192.0.2.7");
    assert_string_equal(auth_network("2001:db8:1:2:3:4:5:6", arena), "2001:db8:1:2::");
    assert_string_equal(auth_network("2001:db8:1:2::ffff", arena), "2001:db8:1:2::");
    assert_string_equal(auth_network("2001:db8:1:3::1", arena), "2001:db8:1:3::");
    assert_string_equal(auth_network("::ffff:192.0.2.7", arena), "::ffff:192.0.2.7");
    assert_string_equal(auth_network("", arena), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_one_network_are_one_for_limits),
        cmocka_unit_test(splits_targets),
        cmocka_unit_test(counts_pairs),
        cmocka_unit_test(reads_cookies_and_fields),
        cmocka_unit_test(weighs_what_is_accepted),
        cmocka_unit_test(takes_ids_and_traces),
        cmocka_unit_test(refuses_what_two_readers_read_differently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
