// CloudWatch Logs, read only (GetLogEvents, FilterLogEvents): pages, their two ways to end, and
// caps, because a program can write more than anybody wants to read. Cleans nothing.
#include "dispatcher/logs.h"

#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

#define LOGS_OPERATION(name) .service = "logs", .target = "Logs_20140328." name

enum { EVENTS_A_CALL = 10000, STREAMS_MAX = 100 };

// ---- what was kept: a window over the events, on the heap because it moves

struct window {
    struct logs_event *events; // a ring of `room`
    size_t room, first, count, bytes;
    bool newest; // beyond the room the oldest go, else the latest are not taken
    bool more;
};

static void
window_open(struct window *window, size_t max_events, bool newest)
{
    *window = (struct window){.room = max_events, .newest = newest};
    window->events = xcalloc(max_events, sizeof(*window->events));
}

static void
event_done(struct logs_event *event)
{
    union {
        const char *text;
        char *heap;
    } stream = {event->stream}, message = {event->message};
    free(stream.heap);
    free(message.heap);
    *event = (struct logs_event){0};
}

static void
window_done(struct window *window)
{
    for (size_t i = 0; i < window->count; i++) {
        event_done(&window->events[(window->first + i) % window->room]);
    }
    free(window->events);
}

static void
drop_first(struct window *window)
{
    struct logs_event *event = &window->events[window->first];
    window->bytes -= strlen(event->message);
    event_done(event);
    window->first = (window->first + 1) % window->room;
    window->count--;
    window->more = true;
}

static void
drop_last(struct window *window, size_t count)
{
    while (window->count > count) {
        struct logs_event *event =
            &window->events[(window->first + --window->count) % window->room];
        window->bytes -= strlen(event->message);
        event_done(event);
    }
}

/// False when there is no room for it.
static bool
window_add(struct window *window, int64_t ms, const char *stream, struct str message)
{
    size_t len = message.len;
    while (window->newest && window->count > 0 &&
           (window->count == window->room || window->bytes + len > LOGS_BYTES_MAX)) {
        drop_first(window);
    }
    if (window->count == window->room || window->bytes + len > LOGS_BYTES_MAX) {
        window->more = true;
        return false;
    }
    window->events[(window->first + window->count++) % window->room] =
        (struct logs_event){.ms = ms, .stream = xstrdup(stream), .message = str_dup(message)};
    window->bytes += len;
    return true;
}

static void
window_give(const struct window *window, struct arena *arena, struct logs_page *page)
{
    page->events = arena_array(arena, window->count + 1, sizeof(*page->events));
    page->count = window->count;
    page->more = window->more;
    for (size_t i = 0; i < window->count; i++) {
        const struct logs_event *event = &window->events[(window->first + i) % window->room];
        page->events[i] = (struct logs_event){
            event->ms, arena_dup(arena, event->stream), arena_dup(arena, event->message)};
    }
}

/// `*full` when the window takes no more. A stream name in the event wins over `stream`.
static struct error *
take_events(const struct json *answer, const char *stream, struct window *window, bool *full)
{
    const struct json *events = json_get(answer, "events");
    if (!json_is_null(events) && !json_is_array(events)) {
        return aws_unusable("'events' is not a list");
    }
    for (size_t i = 0; i < json_count(events) && !*full; i++) {
        const struct json *event = json_at(events, i);
        const char *message = json_str(json_get(event, "message"));
        const char *own = json_str(json_get(event, "logStreamName"));
        const struct json *time = json_get(event, "timestamp");
        if (message == NULL || !json_is_int(time)) {
            return aws_unusable("'events[%zu]' has no 'message' or no 'timestamp'", i);
        }
        struct str text = str_of(message);
        while (text.len > 0 && (str_ends(text, STR("\n")) || str_ends(text, STR("\r")))) {
            text.len--;
        }
        own = own != NULL ? own : stream;
        *full = !window_add(window, json_int(time, 0), own != NULL ? own : "", text);
    }
    return NULL;
}

// ---- one stream

static struct json *
stream_body(const struct logs_stream *stream, const char *token, size_t limit)
{
    struct json *body = json_make_object();
    json_set_str(body, "logGroupName", stream->group);
    json_set_str(body, "logStreamName", stream->name);
    if (stream->start_ms > 0) {
        json_set_int(body, "startTime", stream->start_ms);
    }
    json_set_str(body, "nextToken", token);
    json_set_int(body, "limit", (int64_t)limit);
    json_set_bool(body, "startFromHead", true); // also with a token, or it turns round
    return body;
}

struct reading {
    struct aws_session *session;
    const struct logs_stream *stream;
    struct window window;
    char *token; // where to go on
    bool over, missing;
};

static void
reading_done(struct reading *reading)
{
    window_done(&reading->window);
    free(reading->token);
}

// A page is taken whole or not at all, because its token leads past it. Only one that would not fit
// into an empty window (none of CloudWatch's) is cut.
static struct error *
read_page(struct reading *reading)
{
    size_t left = reading->window.room - reading->window.count;
    struct json *body CLEANUP(json_freep) =
        stream_body(reading->stream, reading->token, left < EVENTS_A_CALL ? left : EVENTS_A_CALL);
    struct json *answer CLEANUP(json_freep) = NULL;
    const struct aws_call call = {LOGS_OPERATION("GetLogEvents"), .region = reading->stream->region,
        .body = body, .read = true, .quotes = true};
    TRY(aws_call(reading->session, &call, &answer));
    const char *token = json_str(json_get(answer, "nextForwardToken"));
    if (token == NULL || token[0] == '\0') {
        return aws_unusable("no 'nextForwardToken'");
    }
    size_t before = reading->window.count;
    bool full = false;
    TRY(take_events(answer, reading->stream->name, &reading->window, &full));
    if (full && before > 0) {
        drop_last(&reading->window, before);
        reading->over = true;
        return NULL;
    }
    reading->over = full || cstr_equal(token, reading->token);
    free(reading->token);
    reading->token = xstrdup(token);
    return NULL;
}

static struct error *
read_pages(struct reading *reading)
{
    unsigned pages = 0;
    while (!reading->over && reading->window.count < reading->window.room &&
           pages++ < LOGS_PAGES_MAX) {
        struct error *err = read_page(reading);
        if (aws_has_code(err, "ResourceNotFoundException")) {
            error_free(err);
            reading->missing = true;
            return NULL;
        }
        if (err != NULL) {
            return err;
        }
    }
    reading->window.more = reading->window.more || !reading->over;
    return NULL;
}

struct error *
logs_stream_read(struct aws_session *session, const struct logs_stream *stream, struct arena *arena,
    struct logs_page *out)
{
    struct reading reading CLEANUP(reading_done) = {.session = session, .stream = stream};
    struct logs_page page = {0};
    window_open(
        &reading.window, stream->max_events > 0 ? stream->max_events : LOGS_EVENTS_MAX, false);
    reading.token = stream->token != NULL ? xstrdup(stream->token) : NULL;
    struct error *err = read_pages(&reading);
    if (err != NULL) {
        return error_wrap(err, "read log stream '%s' of '%s'", stream->name, stream->group);
    }
    if (!reading.missing) {
        page.found = true;
        page.token = arena_dup(arena, reading.token);
        window_give(&reading.window, arena, &page);
    }
    *out = page;
    return NULL;
}

// ---- a group

static struct json *
filter_body(const struct logs_query *query)
{
    struct json *body = json_make_object();
    json_set_str(body, "logGroupName", query->group);
    if (query->streams.count > 0) {
        aws_set_strings(body, "logStreamNames", query->streams.items, query->streams.count);
    }
    json_set_str(body, "logStreamNamePrefix", query->stream_prefix);
    if (query->start_ms > 0) {
        json_set_int(body, "startTime", query->start_ms);
    }
    if (query->end_ms > 0) {
        json_set_int(body, "endTime", query->end_ms);
    }
    json_set_str(body, "filterPattern", query->pattern);
    return body;
}

static struct error *
filter_pages(struct aws_session *session, struct aws_pages *pages, struct window *window)
{
    bool full = false;
    while (!pages->over && !full && pages->count < LOGS_PAGES_MAX) {
        struct json *answer CLEANUP(json_freep) = NULL;
        TRY(aws_pages_next(session, pages, &answer));
        TRY(take_events(answer, NULL, window, &full));
    }
    window->more = window->more || !pages->over;
    return NULL;
}

struct error *
logs_filter(struct aws_session *session, const struct logs_query *query, struct arena *arena,
    struct logs_page *out)
{
    struct window window CLEANUP(window_done) = {0};
    struct logs_page page = {0};
    struct aws_pages pages CLEANUP(aws_pages_done) = {
        .call = {LOGS_OPERATION("FilterLogEvents"), .region = query->region, .read = true,
            .quotes = true},
        .body = filter_body(query),
        .token_key = "nextToken"};
    if (query->streams.count > STREAMS_MAX) {
        return error_new(ERROR_BUG, "%zu log streams in one question", query->streams.count);
    }
    window_open(
        &window, query->max_events > 0 ? query->max_events : LOGS_EVENTS_MAX, query->newest);
    struct error *err = filter_pages(session, &pages, &window);
    if (aws_has_code(err, "ResourceNotFoundException")) {
        error_free(err);
        *out = page;
        return NULL;
    }
    if (err != NULL) {
        return error_wrap(err, "search log group '%s'", query->group);
    }
    page.found = true;
    window_give(&window, arena, &page);
    *out = page;
    return NULL;
}
