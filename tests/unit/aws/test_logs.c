// CloudWatch Logs: the two ways lists end, caps, streams that are not there yet, and texts that
// JSON can hold but our strings cannot.
#include "dispatcher/logs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/memory.h"

#define EVENT(ms, text) "{\"timestamp\":" ms ",\"message\":\"" text "\",\"ingestionTime\":9}"
#define PAGE(events, token)                                                                        \
    "{\"events\":[" events "],\"nextForwardToken\":\"" token "\",\"nextBackwardToken\":\"b\"}"
#define ASK(rest)                                                                                  \
    "{\"logGroupName\":\"/ecs/web\",\"logStreamName\":\"ecs/web/0a\"" rest ",\"startFromHead\":"   \
    "true}"

static const struct logs_stream whole = {.group = "/ecs/web", .name = "ecs/web/0a"};

static void
a_stream_is_read_until_its_token_stays(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        LOGS("GetLogEvents", ASK(",\"limit\":10000"),
            PAGE(EVENT("1", "one\\r\\n") "," EVENT("2", "tw\\u001b[1mo"), "f/1")),
        LOGS("GetLogEvents", ASK(",\"nextToken\":\"f/1\",\"limit\":9998"), PAGE("", "f/2")),
        LOGS("GetLogEvents", ASK(",\"nextToken\":\"f/2\",\"limit\":9998"),
            PAGE(EVENT("3", "thr\\u00eae"), "f/3")),
        LOGS("GetLogEvents", ASK(",\"nextToken\":\"f/3\",\"limit\":9997"), PAGE("", "f/3")),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(logs_stream_read(aws.session, &whole, aws.arena, &page));
    assert_true(page.found);
    assert_false(page.more);
    assert_int_equal(page.count, 3);
    assert_int_equal(page.events[0].ms, 1);
    assert_string_equal(page.events[0].message, "one");
    assert_string_equal(page.events[0].stream, "ecs/web/0a");
    assert_string_equal(page.events[1].message, "tw\x1b[1mo"); // raw: whoever shows it cleans it
    assert_string_equal(page.events[2].message, "thrêe");
    assert_string_equal(page.token, "f/3");
}

static void
reading_goes_on_where_it_ended(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        {.service = "logs@us-east-1",
            .target = "Logs_20140328.GetLogEvents",
            .body = ASK(",\"startTime\":5,\"nextToken\":\"f/3\",\"limit\":100"),
            .reply = PAGE("", "f/3")},
    };
    const struct logs_stream later = {.region = "us-east-1",
        .group = "/ecs/web",
        .name = "ecs/web/0a",
        .start_ms = 5,
        .token = "f/3",
        .max_events = 100};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(logs_stream_read(aws.session, &later, aws.arena, &page));
    assert_true(page.found);
    assert_int_equal(page.count, 0);
    assert_false(page.more);
    assert_string_equal(page.token, "f/3");
}

static void
a_stream_that_is_not_there_yet_is_a_value(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        LOGS("GetLogEvents", NULL,
            "{\"__type\":\"ResourceNotFoundException\",\"message\":\"The specified log stream does "
            "not exist.\"}",
            .status = 400),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {.found = true};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(logs_stream_read(aws.session, &whole, aws.arena, &page));
    assert_false(page.found);
    assert_null(page.token);
    assert_int_equal(page.count, 0);
}

static void
events_are_capped_and_the_token_leads_to_the_rest(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        LOGS("GetLogEvents", ASK(",\"limit\":3"), PAGE(EVENT("1", "a") "," EVENT("2", "b"), "f/1")),
        LOGS("GetLogEvents", ASK(",\"nextToken\":\"f/1\",\"limit\":1"),
            PAGE(EVENT("3", "c"), "f/2")),
    };
    const struct logs_stream three = {.group = "/ecs/web", .name = "ecs/web/0a", .max_events = 3};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(logs_stream_read(aws.session, &three, aws.arena, &page));
    assert_int_equal(page.count, 3);
    assert_true(page.more);
    assert_string_equal(page.token, "f/2");
}

// More than was asked for, which no service should send.
static void
a_page_that_does_not_fit_is_left(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        LOGS("GetLogEvents", ASK(",\"limit\":2"), PAGE(EVENT("1", "a"), "f/1")),
        LOGS("GetLogEvents", ASK(",\"nextToken\":\"f/1\",\"limit\":1"),
            PAGE(EVENT("2", "b") "," EVENT("3", "c"), "f/2")),
        LOGS("GetLogEvents", ASK(",\"limit\":2"),
            PAGE(EVENT("1", "a") "," EVENT("2", "b") "," EVENT("3", "c"), "f/1")),
    };
    const struct logs_stream two = {.group = "/ecs/web", .name = "ecs/web/0a", .max_events = 2};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(logs_stream_read(aws.session, &two, aws.arena, &page));
    assert_int_equal(page.count, 1);
    assert_true(page.more);
    assert_string_equal(page.token, "f/1"); // nothing of the second page is lost or doubled
    assert_success(logs_stream_read(aws.session, &two, aws.arena, &page));
    assert_int_equal(page.count, 2);
    assert_true(page.more);
    assert_string_equal(page.token, "f/1"); // but somewhere it must go on
}

static void
pages_without_an_end_are_ended(void **state)
{
    (void)state;
    struct aws_line_of lines[LOGS_PAGES_MAX];
    char *replies[LOGS_PAGES_MAX];
    for (size_t i = 0; i < LOGS_PAGES_MAX; i++) {
        replies[i] = xasprintf("{\"events\":[],\"nextForwardToken\":\"f/%zu\"}", i);
        lines[i] = (struct aws_line_of)LOGS("GetLogEvents", NULL, replies[i]);
    }
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {0};
    aws_dialog_open(&aws, lines, LOGS_PAGES_MAX);
    assert_success(logs_stream_read(aws.session, &whole, aws.arena, &page));
    assert_int_equal(page.count, 0);
    assert_true(page.more);
    assert_string_equal(page.token, "f/49");
    for (size_t i = 0; i < LOGS_PAGES_MAX; i++) {
        free(replies[i]);
    }
}

static char *
big_page(size_t bytes, const char *token)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(8 * 1024 * 1024);
    buf_puts(&out, "{\"events\":[");
    for (size_t i = 0; i < 3; i++) {
        buf_printf(&out, "%s{\"timestamp\":%zu,\"message\":\"", i > 0 ? "," : "", i);
        for (size_t k = 0; k < bytes / 3; k++) {
            buf_putc(&out, (char)('a' + (int)i));
        }
        buf_puts(&out, "\"}");
    }
    buf_printf(&out, "],\"nextForwardToken\":\"%s\"}", token);
    return buf_take(&out);
}

static void
bytes_are_capped(void **state)
{
    (void)state;
    char *first CLEANUP(xfreep) = big_page(3 * 1000 * 1000, "f/1");
    char *second CLEANUP(xfreep) = big_page(3 * 1000 * 1000, "f/2");
    const struct aws_line_of lines[] = {
        LOGS("GetLogEvents", NULL, first), LOGS("GetLogEvents", NULL, second)};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(logs_stream_read(aws.session, &whole, aws.arena, &page));
    assert_int_equal(page.count, 3);
    assert_true(page.more);
    assert_string_equal(page.token, "f/1");
}

static void
what_strings_cannot_hold_becomes_a_replacement(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        LOGS("GetLogEvents", NULL,
            PAGE(EVENT("1", "nul \\u0000 low \\udc00 high \\ud800 x \\ud800\\u0041 pair "
                            "\\ud83d\\ude80 slash \\\\u0000 end \\ud83d"),
                "f/1")),
        LOGS("GetLogEvents", NULL, PAGE("", "f/1")),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(logs_stream_read(aws.session, &whole, aws.arena, &page));
    assert_int_equal(page.count, 1);
    assert_string_equal(page.events[0].message,
        "nul \xef\xbf\xbd low \xef\xbf\xbd high \xef\xbf\xbd x \xef\xbf\xbd"
        "A pair \xf0\x9f\x9a\x80 slash \\u0000 end \xef\xbf\xbd");
}

static void
odd_answers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *problem;
    } rows[] = {
        {"{\"events\":[]}", "no 'nextForwardToken'"},
        {"{\"events\":[],\"nextForwardToken\":\"\"}", "no 'nextForwardToken'"},
        {"{\"events\":7,\"nextForwardToken\":\"f\"}", "'events' is not a list"},
        {"{\"events\":[7],\"nextForwardToken\":\"f\"}",
            "'events[0]' has no 'message' or no 'timestamp'"},
        {"{\"events\":[{\"message\":\"x\",\"timestamp\":\"1\"}],\"nextForwardToken\":\"f\"}",
            "'events[0]' has no 'message' or no 'timestamp'"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {LOGS("GetLogEvents", NULL, rows[i].reply)};
        char *text CLEANUP(xfreep) =
            xasprintf("read log stream 'ecs/web/0a' of '/ecs/web': unusable answer: %s (HTTP 200)",
                rows[i].problem);
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct logs_page page = {0};
        aws_dialog_open(&aws, lines, 1);
        assert_failure(
            logs_stream_read(aws.session, &whole, aws.arena, &page), ERROR_UNAVAILABLE, text, NULL);
    }
}

// ---- a group

#define FOUND(stream, ms, text)                                                                    \
    "{\"logStreamName\":\"" stream "\",\"timestamp\":" ms ",\"message\":\"" text                   \
    "\",\"eventId\":\"e\"}"

static void
a_group_is_searched_over_all_pages(void **state)
{
    (void)state;
    static const char *streams[] = {"a", "b"};
    static const struct aws_line_of lines[] = {
        LOGS("FilterLogEvents",
            "{\"logGroupName\":\"g\",\"logStreamNames\":[\"a\",\"b\"],\"startTime\":1,"
            "\"endTime\":9,\"filterPattern\":\"ERROR\"}",
            "{\"events\":[" FOUND("a", "1", "x") "],\"nextToken\":\"n\"}"),
        LOGS("FilterLogEvents",
            "{\"logGroupName\":\"g\",\"logStreamNames\":[\"a\",\"b\"],\"startTime\":1,"
            "\"endTime\":9,\"filterPattern\":\"ERROR\",\"nextToken\":\"n\"}",
            "{\"nextToken\":\"m\"}"),
        LOGS("FilterLogEvents", NULL, "{\"events\":[" FOUND("b", "2", "y\\n") "]}"),
    };
    const struct logs_query query = {
        .group = "g", .streams = {streams, 2}, .start_ms = 1, .end_ms = 9, .pattern = "ERROR"};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(logs_filter(aws.session, &query, aws.arena, &page));
    assert_true(page.found);
    assert_false(page.more);
    assert_int_equal(page.count, 2);
    assert_string_equal(page.events[0].stream, "a");
    assert_string_equal(page.events[1].stream, "b");
    assert_string_equal(page.events[1].message, "y");
    assert_int_equal(page.events[1].ms, 2);
    assert_null(page.token);
}

static void
beyond_the_cap_the_oldest_or_the_newest_are_kept(void **state)
{
    (void)state;
    static const struct {
        bool newest;
        const char *first, *last;
        size_t pages;
    } rows[] = {{false, "1", "2", 1}, {true, "4", "5", 2}};
    static const struct aws_line_of lines[] = {
        LOGS("FilterLogEvents", "{\"logGroupName\":\"g\",\"logStreamNamePrefix\":\"p/\"}",
            "{\"events\":[" FOUND("p/a", "1", "1") "," FOUND("p/a", "2", "2") "," FOUND(
                "p/b", "3", "3") "],\"nextToken\":\"n\"}"),
        LOGS("FilterLogEvents", NULL,
            "{\"events\":[" FOUND("p/a", "4", "4") "," FOUND("p/a", "5", "5") "]}"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct logs_query query = {
            .group = "g", .stream_prefix = "p/", .max_events = 2, .newest = rows[i].newest};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct logs_page page = {0};
        aws_dialog_open(&aws, lines, rows[i].pages);
        assert_success(logs_filter(aws.session, &query, aws.arena, &page));
        assert_int_equal(page.count, 2);
        assert_true(page.more);
        assert_string_equal(page.events[0].message, rows[i].first);
        assert_string_equal(page.events[1].message, rows[i].last);
    }
}

static void
no_group_is_a_value_and_denials_are_named(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        LOGS("FilterLogEvents", "{\"logGroupName\":\"g\"}",
            "{\"__type\":\"ResourceNotFoundException\"}", .status = 400),
        LOGS("FilterLogEvents", NULL, AWS_DENIED("logs:FilterLogEvents"), .status = 400),
        LOGS("FilterLogEvents", NULL, "{\"events\":[],\"nextToken\":\"n\"}", .times = 2),
    };
    const struct logs_query query = {.group = "g"};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {.found = true};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(logs_filter(aws.session, &query, aws.arena, &page));
    assert_false(page.found);
    struct error *err = logs_filter(aws.session, &query, aws.arena, &page);
    assert_true(aws_is_denied(err));
    assert_string_equal(error_hint_of(err), AWS_DENIED_HINT("logs:FilterLogEvents"));
    assert_string_equal(error_message(err), "search log group 'g'");
    error_free(err);
    assert_failure(logs_filter(aws.session, &query, aws.arena, &page), ERROR_UNAVAILABLE,
        "search log group 'g': unusable answer: the same page twice (HTTP 200)", NULL);
}

static void
too_many_streams_are_our_own_fault(void **state)
{
    (void)state;
    const char *streams[101];
    for (size_t i = 0; i < ARRAY_LENGTH(streams); i++) {
        streams[i] = "s";
    }
    const struct logs_query query = {.group = "g", .streams = {streams, ARRAY_LENGTH(streams)}};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct logs_page page = {0};
    aws_dialog_open(&aws, NULL, 0);
    assert_failure(logs_filter(aws.session, &query, aws.arena, &page), ERROR_BUG,
        "101 log streams in one question", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_read_until_its_token_stays),
        cmocka_unit_test(reading_goes_on_where_it_ended),
        cmocka_unit_test(a_stream_that_is_not_there_yet_is_a_value),
        cmocka_unit_test(events_are_capped_and_the_token_leads_to_the_rest),
        cmocka_unit_test(a_page_that_does_not_fit_is_left),
        cmocka_unit_test(pages_without_an_end_are_ended),
        cmocka_unit_test(bytes_are_capped),
        cmocka_unit_test(what_strings_cannot_hold_becomes_a_replacement),
        cmocka_unit_test(odd_answers_are_refused),
        cmocka_unit_test(a_group_is_searched_over_all_pages),
        cmocka_unit_test(beyond_the_cap_the_oldest_or_the_newest_are_kept),
        cmocka_unit_test(no_group_is_a_value_and_denials_are_named),
        cmocka_unit_test(too_many_streams_are_our_own_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
