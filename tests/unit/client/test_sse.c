// Server-sent events taken apart, also when they come byte by byte.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/client.h"
#include "dispatcher/memory.h"
#include "fake_platform.h"

// "id|kind|data;" of each event.
static void
note(void *ctx, const struct client_event *event)
{
    struct buf *heard = ctx;
    buf_printf(heard, "%s|%s|%.*s;", event->id, event->kind, (int)event->data.len, event->data.ptr);
}

static void
assert_heard(struct str text, size_t piece, const char *expected)
{
    struct buf heard CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    struct sse_parser *parser = sse_parser_new(note, &heard);
    while (text.len > 0) {
        size_t take = text.len < piece ? text.len : piece;
        assert_null(sse_parser_feed(parser, (struct str){text.ptr, take}));
        text = str_skip(text, take);
    }
    assert_string_equal(heard.len > 0 ? buf_cstr(&heard) : "", expected);
    sse_parser_free(parser);
}

static void
events(void **state)
{
    (void)state;
    static const struct {
        const char *text, *heard;
    } cases[] = {
        {"data: a\n\n", "|message|a;"},
        {"data:a\r\n\r\n", "|message|a;"},
        {"data:a\r\rdata: b\n\n", "|message|a;|message|b;"},
        {"event: step\nid: 7\ndata: {}\n\n", "7|step|{};"},
        {"id: 7\ndata: 1\n\ndata: 2\n\n", "7|message|1;7|message|2;"},
        {"id: 7\ndata: 1\n\nid\ndata: 2\n\n", "7|message|1;|message|2;"},
        {"data: 1\ndata: 2\n\n", "|message|1\n2;"},
        {"data\n\n", "|message|;"},
        {"data:  two blanks\n\n", "|message| two blanks;"},
        {": nobody is to hear this\n\n", ""},
        {"event: step\n\ndata: 1\n\n", "|message|1;"},
        {"unknown: x\ndata: 1\n\n", "|message|1;"},
        {"data: cut off\n", ""},
        {"id: 7\ndata: 1\n\nid: 8\n", "7|message|1;"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_heard(str_of(cases[i].text), 1, cases[i].heard);
        assert_heard(str_of(cases[i].text), 3, cases[i].heard);
        assert_heard(str_of(cases[i].text), 1000, cases[i].heard);
    }
}

static void
ids_with_a_nul_are_ignored(void **state)
{
    (void)state;
    assert_heard((struct str){"id: a\0b\ndata: 1\n\n", 17}, 5, "|message|1;");
}

static void
retry(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"retry: 1500\n", 1500}, {"retry: soon\n", 0}, {"retry: -1\n", 0},
        {"retry: 99999999\n", 60000}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf heard CLEANUP(buf_done) = BUF_INIT(100);
        struct sse_parser *parser = sse_parser_new(note, &heard);
        assert_null(sse_parser_feed(parser, str_of(cases[i].text)));
        assert_int_equal(sse_parser_retry_ms(parser), cases[i].ms);
        sse_parser_free(parser);
    }
}

static void
too_much(void **state)
{
    (void)state;
    enum { SIZE = 9 * 1024 * 1024 };
    struct buf heard CLEANUP(buf_done) = BUF_INIT(100);
    char *much CLEANUP(xfreep) = xcalloc(1, SIZE + 1);
    memset(much, 'x', SIZE);
    memcpy(much, "data: ", 6);
    struct sse_parser *parser = sse_parser_new(note, &heard);
    assert_null(sse_parser_feed(parser, (struct str){much, SIZE}));
    struct error *err CLEANUP(error_freep) = sse_parser_feed(parser, STR("\n\n"));
    assert_non_null(err);
    assert_int_equal(heard.len, 0);
    sse_parser_free(parser);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events),
        cmocka_unit_test(ids_with_a_nul_are_ignored),
        cmocka_unit_test(retry),
        cmocka_unit_test(too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
