// GetLogEvents and FilterLogEvents. A token is a place in the order of time and arrival, so it
// holds while lines come: GetLogEvents says the same token again at the end, FilterLogEvents none.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws_logs_internal.h"

enum { PAGE_MAX = 10000, PAGE_BYTES = 1024 * 1024, EVENT_BYTES = 26, TERMS_MAX = 32 };

// Everything before `from` and from `to` on is out.
struct range {
    int64_t from, to;
};

// Just after an event (forward) or just before it (backward).
struct cursor {
    int64_t at_ms, id;
};

static int
compare(const struct cursor *cursor, const struct logs_event *event)
{
    if (cursor->at_ms != event->at_ms) {
        return cursor->at_ms < event->at_ms ? -1 : 1;
    }
    return cursor->id < event->id ? -1 : cursor->id > event->id;
}

static struct range
range_of(const struct json *body)
{
    return (struct range){.from = json_int(json_get(body, "startTime"), 0),
        .to = json_int(json_get(body, "endTime"), INT64_MAX)};
}

static bool
is_within(const struct range *range, const struct logs_event *event)
{
    return event->at_ms >= range->from && event->at_ms < range->to;
}

static size_t
limit_of(const struct json *body)
{
    return (size_t)json_int(json_get(body, "limit"), PAGE_MAX);
}

// "f/TIME/ID", and whatever follows a further '/'.
static bool
read_token(const char *token, char direction, struct cursor *out)
{
    struct str part = {0}, rest = str_of(token);
    return token != NULL && token[0] == direction && str_cut(rest, '/', &part, &rest) &&
           part.len == 1 && str_cut(rest, '/', &part, &rest) && str_to_int64(part, &out->at_ms) &&
           str_cut(rest, '/', &part, &rest) && str_to_int64(part, &out->id);
}

static const char *
write_token(struct arena *arena, char direction, const struct cursor *cursor)
{
    return arena_printf(
        arena, "%c/%lld/%lld", direction, (long long)cursor->at_ms, (long long)cursor->id);
}

static struct cursor
cursor_at(const struct logs_event *event)
{
    return (struct cursor){event->at_ms, event->id};
}

static struct json *
event_json(const struct logs_event *event)
{
    struct json *item = json_make_object();
    json_set_int(item, "timestamp", event->at_ms);
    json_set_str(item, "message", event->message);
    json_set_int(item, "ingestionTime", event->ingested_ms);
    return item;
}

// Of the stream: [first, end) as one page holds it.
struct slice {
    size_t first, end;
};

static size_t
weight(const struct logs_event *event)
{
    return strlen(event->message) + EVENT_BYTES;
}

static struct slice
slice_forward(const struct logs_stream *stream, const struct cursor *after, size_t limit)
{
    size_t first = 0, bytes = 0;
    while (first < stream->event_count && compare(after, &stream->events[first]) >= 0) {
        first++;
    }
    size_t end = first;
    for (; end < stream->event_count && end - first < limit; end++) {
        bytes += weight(&stream->events[end]);
        if (end > first && bytes > PAGE_BYTES) {
            break;
        }
    }
    return (struct slice){first, end};
}

static struct slice
slice_backward(const struct logs_stream *stream, const struct cursor *before, size_t limit)
{
    size_t end = stream->event_count, bytes = 0;
    while (end > 0 && compare(before, &stream->events[end - 1]) <= 0) {
        end--;
    }
    size_t first = end;
    for (; first > 0 && end - first < limit; first--) {
        bytes += weight(&stream->events[first - 1]);
        if (first < end && bytes > PAGE_BYTES) {
            break;
        }
    }
    return (struct slice){first, end};
}

static void
reply_events(struct aws_exchange *exchange, struct json *list, const struct cursor *before,
    const struct cursor *after)
{
    struct arena *arena = exchange->request->arena;
    struct json *body = json_make_object();
    json_set(body, "events", list);
    json_set_str(body, "nextForwardToken", write_token(arena, 'f', after));
    json_set_str(body, "nextBackwardToken", write_token(arena, 'b', before));
    sandbox_reply_json(exchange->response, 200, body);
}

// An empty page that is not the end, as AWS may answer: its token differs from the one given.
static bool
reply_empty_page(struct aws_exchange *exchange, const struct cursor *cursor)
{
    struct logs_state *logs = exchange->sandbox->aws->logs;
    struct arena *arena = exchange->request->arena;
    if (logs->empty_pages <= 0) {
        return false;
    }
    logs->empty_pages--;
    struct json *body = json_make_object();
    bool filters = cstr_equal(exchange->operation, "FilterLogEvents");
    json_set(body, "events", json_make_array());
    json_set_str(body, filters ? "nextToken" : "nextForwardToken",
        arena_printf(
            arena, "%s/empty%lld", write_token(arena, 'f', cursor), (long long)logs->empty_pages));
    if (!filters) {
        json_set_str(body, "nextBackwardToken", write_token(arena, 'b', cursor));
    }
    sandbox_reply_json(exchange->response, 200, body);
    return true;
}

void
sandbox_logs_get_events(struct aws_exchange *exchange)
{
    const struct logs_stream *stream = sandbox_logs_stream(exchange);
    const char *token = json_str(json_get(exchange->body, "nextToken"));
    bool from_head = json_bool(json_get(exchange->body, "startFromHead"), false);
    struct cursor at = {0, 0}, end = {INT64_MAX, INT64_MAX};
    bool forward = read_token(token, 'f', &at), backward = read_token(token, 'b', &end);
    if (stream == NULL) {
        return;
    }
    if ((token != NULL && !forward && !backward) || (forward && !from_head)) {
        sandbox_aws_problem(exchange, "InvalidParameterException",
            forward ? "A nextForwardToken goes with startFromHead true."
                    : "The specified nextToken is invalid.");
        return;
    }
    forward = forward || (token == NULL && from_head);
    if (forward && reply_empty_page(exchange, &at)) {
        return;
    }
    struct slice slice = forward ? slice_forward(stream, &at, limit_of(exchange->body))
                                 : slice_backward(stream, &end, limit_of(exchange->body));
    struct range range = range_of(exchange->body);
    struct json *list = json_make_array();
    for (size_t i = slice.first; i < slice.end; i++) {
        if (is_within(&range, &stream->events[i])) {
            json_append(list, event_json(&stream->events[i]));
        }
    }
    struct cursor before = forward ? at : end, after = before;
    if (slice.end > slice.first) {
        before = cursor_at(&stream->events[slice.first]);
        after = cursor_at(&stream->events[slice.end - 1]);
    } else if (!forward && token == NULL) {
        before = after = (struct cursor){0, 0}; // nothing there yet
    }
    reply_events(exchange, list, &before, &after);
}

// --- FilterLogEvents -------------------------------------------------------------------------

// One term of a filter pattern: all plain ones must be there, none of the "-" ones, and one of the
// "?" ones when there are any.
struct term {
    char kind; // ' ', '-' or '?'
    const char *text;
};

struct pattern {
    struct term terms[TERMS_MAX];
    size_t count;
};

// Words and "quoted phrases"; false: a kind of pattern that the sandbox does not have.
static bool
read_pattern(struct arena *arena, const char *text, struct pattern *out)
{
    const char *at = text != NULL ? text : "";
    while (*(at += strspn(at, " ")) != '\0') {
        char kind = *at == '-' || *at == '?' ? *at++ : ' ';
        bool quoted = *at == '"';
        at += quoted;
        size_t len = strcspn(at, quoted ? "\"" : " ");
        if (out->count == TERMS_MAX || len == 0 || (quoted && at[len] == '\0') ||
            (!quoted && strchr("{[%", *at) != NULL)) {
            return false;
        }
        out->terms[out->count++] = (struct term){kind, arena_str(arena, (struct str){at, len})};
        at += len + quoted;
    }
    return true;
}

static bool
matches(const struct pattern *pattern, const char *message)
{
    bool any = true, one = false;
    for (size_t i = 0; i < pattern->count; i++) {
        const struct term *term = &pattern->terms[i];
        bool found = strstr(message, term->text) != NULL;
        if (term->kind == '?') {
            any = false;
            one = one || found;
        } else if (found != (term->kind == ' ')) {
            return false;
        }
    }
    return any || one;
}

struct found {
    const struct logs_event *event;
    const char *stream;
};

static int
compare_found(const void *a, const void *b)
{
    const struct found *left = a, *right = b;
    struct cursor cursor = cursor_at(left->event);
    return compare(&cursor, right->event);
}

static bool
is_asked_for(const struct json *body, const char *stream)
{
    const char *prefix = json_str(json_get(body, "logStreamNamePrefix"));
    const struct json *names = json_get(body, "logStreamNames");
    if (json_is_array(names)) {
        for (size_t i = 0; i < json_count(names); i++) {
            if (cstr_equal(json_str(json_at(names, i)), stream)) {
                return true;
            }
        }
        return false;
    }
    return prefix == NULL || strncmp(stream, prefix, strlen(prefix)) == 0;
}

// All events after the cursor of the streams that were asked for, in the order of time.
static struct found *
gather(struct aws_exchange *exchange, const struct logs_group *group, const struct cursor *after,
    size_t *count)
{
    struct range range = range_of(exchange->body);
    size_t all = 0;
    for (size_t i = 0; i < group->stream_count; i++) {
        all += group->streams[i]->event_count;
    }
    struct found *list = arena_array(exchange->request->arena, all + 1, sizeof(*list));
    *count = 0;
    for (size_t i = 0; i < group->stream_count; i++) {
        const struct logs_stream *stream = group->streams[i];
        bool wanted = is_asked_for(exchange->body, stream->name);
        for (size_t k = 0; wanted && k < stream->event_count; k++) {
            const struct logs_event *event = &stream->events[k];
            if (is_within(&range, event) && compare(after, event) < 0) {
                list[(*count)++] = (struct found){event, stream->name};
            }
        }
    }
    qsort(list, *count, sizeof(*list), compare_found);
    return list;
}

// A page ends after `limit` events that were looked at, so one without a match comes empty.
static void
reply_matches(struct aws_exchange *exchange, const struct pattern *pattern,
    const struct found *found, size_t count)
{
    struct arena *arena = exchange->request->arena;
    size_t limit = limit_of(exchange->body), bytes = 0, i = 0;
    struct json *list = json_make_array(), *body = json_make_object();
    for (; i < count && i < limit && bytes < PAGE_BYTES; i++) {
        const struct logs_event *event = found[i].event;
        bytes += weight(event);
        if (matches(pattern, event->message)) {
            struct json *item = event_json(event);
            json_set_str(item, "logStreamName", found[i].stream);
            json_set_str(item, "eventId", arena_printf(arena, "%056lld", (long long)event->id));
            json_append(list, item);
        }
    }
    json_set(body, "events", list);
    json_set(body, "searchedLogStreams", json_make_array());
    if (i < count) {
        struct cursor last = cursor_at(found[i - 1].event);
        json_set_str(body, "nextToken", write_token(arena, 'f', &last));
    }
    sandbox_reply_json(exchange->response, 200, body);
}

static const char *
problem_of(const struct aws_exchange *exchange, const struct logs_group *group)
{
    const struct json *names = json_get(exchange->body, "logStreamNames");
    if (!json_is_null(names) && !json_is_null(json_get(exchange->body, "logStreamNamePrefix"))) {
        return "logStreamNames and logStreamNamePrefix cannot both be given.";
    }
    for (size_t i = 0; i < json_count(names); i++) {
        if (sandbox_logs_find_stream(group, json_str(json_at(names, i))) == NULL) {
            return "The specified log stream does not exist.";
        }
    }
    return NULL;
}

void
sandbox_logs_filter_events(struct aws_exchange *exchange)
{
    const char *token = json_str(json_get(exchange->body, "nextToken"));
    const struct logs_group *group = sandbox_logs_group(exchange);
    struct cursor after = {0, 0};
    struct pattern pattern = {.count = 0};
    if (group == NULL) {
        return;
    }
    const char *problem = problem_of(exchange, group);
    if (problem != NULL) {
        sandbox_aws_problem(exchange,
            strstr(problem, "exist") != NULL ? "ResourceNotFoundException"
                                             : "InvalidParameterException",
            "%s", problem);
        return;
    }
    if (token != NULL && !read_token(token, 'f', &after)) {
        sandbox_aws_problem(
            exchange, "InvalidParameterException", "The specified nextToken is invalid.");
        return;
    }
    if (!read_pattern(exchange->request->arena, json_str(json_get(exchange->body, "filterPattern")),
            &pattern)) {
        sandbox_aws_problem(exchange, "InvalidParameterException",
            "Invalid filter pattern (the sandbox has words and \"phrases\", with - and ?)");
        return;
    }
    if (!reply_empty_page(exchange, &after)) {
        size_t count = 0;
        const struct found *found = gather(exchange, group, &after, &count);
        reply_matches(exchange, &pattern, found, count);
    }
}
