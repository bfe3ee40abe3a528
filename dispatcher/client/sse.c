// Server-sent events, taken apart as the bytes come (WHATWG HTML §9.2.6): lines end with LF, CR or
// both; an empty one ends an event. Speaks to nobody.
#include "dispatcher/client.h"

#include <stdlib.h>

#include "dispatcher/memory.h"
#include "dispatcher/str.h"

enum { EVENT_MAX = 8 * 1024 * 1024, ID_MAX = 64, RETRY_MAX_MS = 60 * 1000 };

struct sse_parser {
    void (*event)(void *ctx, const struct client_event *event);
    void *ctx;
    struct buf line, data, kind;
    struct buf id;     // of the event that is coming
    struct buf last;   // of the one that came last: what came in half does not count
    bool after_return; // the last byte was CR: a LF belongs to it
    bool has_data;
    int64_t retry_ms;
};

struct sse_parser *
sse_parser_new(void (*event)(void *ctx, const struct client_event *event), void *ctx)
{
    struct sse_parser *parser = xcalloc(1, sizeof(*parser));
    parser->event = event;
    parser->ctx = ctx;
    buf_init(&parser->line, EVENT_MAX);
    buf_init(&parser->data, EVENT_MAX);
    buf_init(&parser->kind, ID_MAX);
    buf_init(&parser->id, ID_MAX);
    buf_init(&parser->last, ID_MAX);
    return parser;
}

void
sse_parser_free(struct sse_parser *parser)
{
    if (parser == NULL) {
        return;
    }
    buf_done(&parser->line);
    buf_done(&parser->data);
    buf_done(&parser->kind);
    buf_done(&parser->id);
    buf_done(&parser->last);
    free(parser);
}

const char *
sse_parser_last_id(const struct sse_parser *parser)
{
    return parser->last.len > 0 ? buf_cstr(&parser->last) : "";
}

int64_t
sse_parser_retry_ms(const struct sse_parser *parser)
{
    return parser->retry_ms;
}

static void
copy(struct buf *to, const struct buf *from)
{
    buf_reset(to);
    buf_add(to, buf_str(from));
}

void
sse_parser_restart(struct sse_parser *parser)
{
    buf_reset(&parser->line);
    buf_reset(&parser->data);
    buf_reset(&parser->kind);
    copy(&parser->id, &parser->last);
    parser->has_data = parser->after_return = false;
}

static struct error *
dispatch(struct sse_parser *parser)
{
    TRY(buf_finish(&parser->data, "event of the service"));
    copy(&parser->last, &parser->id);
    if (parser->has_data) {
        const struct client_event event = {
            .id = sse_parser_last_id(parser),
            .kind = parser->kind.len > 0 ? buf_cstr(&parser->kind) : "message",
            .data = buf_str(&parser->data),
        };
        parser->event(parser->ctx, &event);
    }
    buf_reset(&parser->data);
    buf_reset(&parser->kind);
    parser->has_data = false;
    return NULL;
}

static void
take_field(struct sse_parser *parser, struct str name, struct str value)
{
    int64_t number = 0;
    if (str_equal(name, STR("data"))) {
        if (parser->has_data) {
            buf_putc(&parser->data, '\n');
        }
        buf_add(&parser->data, value);
        parser->has_data = true;
    } else if (str_equal(name, STR("event")) && value.len < ID_MAX) {
        buf_reset(&parser->kind);
        buf_add(&parser->kind, value);
    } else if (str_equal(name, STR("id")) && value.len < ID_MAX &&
               !str_contains(value, (struct str){"", 1})) { // one with a NUL is ignored
        buf_reset(&parser->id);
        buf_add(&parser->id, value);
    } else if (str_equal(name, STR("retry")) && str_to_int64(value, &number) && number >= 0) {
        parser->retry_ms = number < RETRY_MAX_MS ? number : RETRY_MAX_MS;
    }
}

static struct error *
take_line(struct sse_parser *parser)
{
    TRY(buf_finish(&parser->line, "line of the service's events"));
    struct str line = buf_str(&parser->line), name = {0}, value = {0};
    if (line.len == 0) {
        return dispatch(parser);
    }
    if (!str_starts(line, STR(":"))) {           // else a comment: somebody is there
        (void)str_cut(line, ':', &name, &value); // without a colon it is all name
        take_field(parser, name, str_starts(value, STR(" ")) ? str_skip(value, 1) : value);
    }
    buf_reset(&parser->line);
    return NULL;
}

struct error *
sse_parser_feed(struct sse_parser *parser, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char byte = bytes.ptr[i];
        bool half = byte == '\n' && parser->after_return;
        parser->after_return = byte == '\r';
        if (half) {
            continue;
        }
        if (byte == '\n' || byte == '\r') {
            TRY(take_line(parser));
        } else {
            buf_putc(&parser->line, byte);
        }
    }
    return NULL;
}
