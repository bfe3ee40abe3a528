// CloudWatch Logs: groups, streams, writing events. Reading them is aws_logs_read.c. Nothing is
// ever deleted, and no retention is kept to.
#include "aws_logs_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum { PAGE_MAX = 50, START_MAX = 1000000 };
static const int64_t hour_ms = 60 * 60 * 1000;

static struct logs_state *
state_of(struct sandbox *sandbox)
{
    struct aws_state *aws = sandbox->aws;
    if (aws->logs == NULL) {
        aws->logs = xcalloc(1, sizeof(*aws->logs));
    }
    return aws->logs;
}

static void
free_group(struct logs_group *group)
{
    for (size_t i = 0; i < group->stream_count; i++) {
        struct logs_stream *stream = group->streams[i];
        for (size_t k = 0; k < stream->event_count; k++) {
            free(stream->events[k].message);
        }
        free(stream->events);
        free(stream->name);
        free(stream);
    }
    free(group->streams);
    free(group->name);
    free(group);
}

void
sandbox_logs_forget(struct aws_state *aws)
{
    for (size_t i = 0; aws->logs != NULL && i < aws->logs->group_count; i++) {
        free_group(aws->logs->groups[i]);
    }
    if (aws->logs != NULL) {
        free(aws->logs->groups);
    }
    free(aws->logs);
    aws->logs = NULL;
}

static struct logs_group *
find_group(const struct logs_state *logs, const char *name)
{
    for (size_t i = 0; logs != NULL && i < logs->group_count; i++) {
        if (strcmp(logs->groups[i]->name, name) == 0) {
            return logs->groups[i];
        }
    }
    return NULL;
}

static struct logs_group *
add_group(struct sandbox *sandbox, const char *name)
{
    struct logs_state *logs = state_of(sandbox);
    size_t at = logs->group_count;
    logs->groups = xrealloc(logs->groups, (at + 1) * sizeof(struct logs_group *));
    for (; at > 0 && strcmp(logs->groups[at - 1]->name, name) > 0; at--) {
        logs->groups[at] = logs->groups[at - 1];
    }
    struct logs_group *group = xcalloc(1, sizeof(*group));
    *group = (struct logs_group){.name = xstrdup(name), .created_ms = sandbox_now(sandbox)};
    logs->groups[at] = group;
    logs->group_count++;
    return group;
}

struct logs_stream *
sandbox_logs_find_stream(const struct logs_group *group, const char *name)
{
    for (size_t i = 0; i < group->stream_count; i++) {
        if (strcmp(group->streams[i]->name, name) == 0) {
            return group->streams[i];
        }
    }
    return NULL;
}

static struct logs_stream *
add_stream(struct sandbox *sandbox, struct logs_group *group, const char *name)
{
    size_t at = group->stream_count;
    group->streams = xrealloc(group->streams, (at + 1) * sizeof(struct logs_stream *));
    for (; at > 0 && strcmp(group->streams[at - 1]->name, name) > 0; at--) {
        group->streams[at] = group->streams[at - 1];
    }
    struct logs_stream *stream = xcalloc(1, sizeof(*stream));
    *stream = (struct logs_stream){.name = xstrdup(name), .created_ms = sandbox_now(sandbox)};
    group->streams[at] = stream;
    group->stream_count++;
    return stream;
}

static void
add_event(struct sandbox *sandbox, struct logs_stream *stream, int64_t at_ms, const char *message)
{
    size_t at = stream->event_count;
    if ((at & (at - 1)) == 0) { // grows by doubling
        size_t room = at == 0 ? 1 : 2 * at;
        stream->events = xrealloc(stream->events, room * sizeof(*stream->events));
    }
    for (; at > 0 && stream->events[at - 1].at_ms > at_ms; at--) {
        stream->events[at] = stream->events[at - 1];
    }
    stream->events[at] = (struct logs_event){.at_ms = at_ms,
        .ingested_ms = sandbox_now(sandbox),
        .id = ++state_of(sandbox)->last_id,
        .message = xstrdup(message)};
    stream->event_count++;
}

void
sandbox_logs_put_at(struct sandbox *sandbox, const char *group, const char *stream, int64_t at_ms,
    const char *message)
{
    struct logs_group *in = find_group(sandbox->aws->logs, group);
    in = in != NULL ? in : add_group(sandbox, group);
    struct logs_stream *to = sandbox_logs_find_stream(in, stream);
    add_event(sandbox, to != NULL ? to : add_stream(sandbox, in, stream), at_ms, message);
}

void
sandbox_logs_put(
    struct sandbox *sandbox, const char *group, const char *stream, const char *message)
{
    sandbox_logs_put_at(sandbox, group, stream, sandbox_now(sandbox), message);
}

// "arn:aws:logs:us-east-1:123456789012:log-group:NAME" or with ":*" → NAME.
static const char *
name_of_identifier(struct arena *arena, const char *identifier)
{
    static const char mark[] = ":log-group:";
    const char *found = strncmp(identifier, "arn:", 4) == 0 ? strstr(identifier, mark) : NULL;
    struct str name = str_of(found != NULL ? found + strlen(mark) : identifier);
    if (found != NULL && str_ends(name, STR(":*"))) {
        name.len -= 2;
    }
    return arena_str(arena, name);
}

struct logs_group *
sandbox_logs_group(struct aws_exchange *exchange)
{
    const char *name = json_str(json_get(exchange->body, "logGroupName"));
    const char *identifier = json_str(json_get(exchange->body, "logGroupIdentifier"));
    if ((name == NULL) == (identifier == NULL)) {
        sandbox_aws_problem(exchange, "InvalidParameterException",
            "Exactly one of logGroupName and logGroupIdentifier must be given.");
        return NULL;
    }
    struct logs_group *group = find_group(exchange->sandbox->aws->logs,
        name != NULL ? name : name_of_identifier(exchange->request->arena, identifier));
    if (group == NULL) {
        sandbox_aws_problem(
            exchange, "ResourceNotFoundException", "The specified log group does not exist.");
    }
    return group;
}

static void
create_group(struct aws_exchange *exchange)
{
    const char *name = json_str(json_get(exchange->body, "logGroupName"));
    if (find_group(exchange->sandbox->aws->logs, name) != NULL) {
        sandbox_aws_problem(
            exchange, "ResourceAlreadyExistsException", "The specified log group already exists");
        return;
    }
    (void)add_group(exchange->sandbox, name);
    sandbox_reply_json(exchange->response, 200, json_make_object());
}

static void
create_stream(struct aws_exchange *exchange)
{
    const char *name = json_str(json_get(exchange->body, "logStreamName"));
    struct logs_group *group = sandbox_logs_group(exchange);
    if (group == NULL) {
        return;
    }
    if (strpbrk(name, ":*") != NULL) {
        sandbox_aws_problem(exchange, "InvalidParameterException",
            "1 validation error detected: Value '%s' at 'logStreamName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [^:*]*",
            name);
    } else if (sandbox_logs_find_stream(group, name) != NULL) {
        sandbox_aws_problem(
            exchange, "ResourceAlreadyExistsException", "The specified log stream already exists");
    } else {
        (void)add_stream(exchange->sandbox, group, name);
        sandbox_reply_json(exchange->response, 200, json_make_object());
    }
}

static int64_t
time_of(const struct json *events, size_t index)
{
    return json_int(json_get(json_at(events, index), "timestamp"), 0);
}

static bool
are_in_order(const struct json *events)
{
    for (size_t i = 1; i < json_count(events); i++) {
        if (time_of(events, i - 1) > time_of(events, i)) {
            return false;
        }
    }
    return true;
}

struct logs_stream *
sandbox_logs_stream(struct aws_exchange *exchange)
{
    const char *name = json_str(json_get(exchange->body, "logStreamName"));
    struct logs_group *group = sandbox_logs_group(exchange);
    struct logs_stream *stream = group != NULL ? sandbox_logs_find_stream(group, name) : NULL;
    if (group != NULL && stream == NULL) {
        sandbox_aws_problem(
            exchange, "ResourceNotFoundException", "The specified log stream does not exist.");
    }
    return stream;
}

// What is older than 14 days or more than 2 hours ahead is left out, and the answer says so.
static void
put_events(struct aws_exchange *exchange)
{
    const struct json *events = json_get(exchange->body, "logEvents");
    struct logs_stream *stream = sandbox_logs_stream(exchange);
    if (stream == NULL) {
        return;
    }
    if (!are_in_order(events)) {
        sandbox_aws_problem(exchange, "InvalidParameterException",
            "Log events in a single PutLogEvents request must be in chronological order.");
        return;
    }
    int64_t now = sandbox_now(exchange->sandbox), count = (int64_t)json_count(events), from = 0;
    while (from < count && time_of(events, (size_t)from) < now - 14 * 24 * hour_ms) {
        from++;
    }
    int64_t to = from;
    for (; to < count && time_of(events, (size_t)to) <= now + 2 * hour_ms; to++) {
        add_event(exchange->sandbox, stream, time_of(events, (size_t)to),
            json_str(json_get(json_at(events, (size_t)to), "message")));
    }
    struct json *body = json_make_object(), *rejected = json_make_object();
    if (from > 0) {
        json_set_int(rejected, "tooOldLogEventEndIndex", from);
    }
    if (to < count) {
        json_set_int(rejected, "tooNewLogEventStartIndex", to);
    }
    json_set(body, "rejectedLogEventsInfo",
        json_count(rejected) > 0 ? json_clone(rejected) : json_make_null());
    json_free(rejected);
    sandbox_reply_json(exchange->response, 200, body);
}

// A page of a listing: nextToken is the number of its first item.
struct page {
    int64_t start, size, seen;
    struct json *list;
    struct arena *arena;
};

static struct page
page_of(struct aws_exchange *exchange)
{
    const char *token = json_str(json_get(exchange->body, "nextToken"));
    struct page page = {.size = json_int(json_get(exchange->body, "limit"), PAGE_MAX),
        .list = json_make_array(),
        .arena = exchange->request->arena};
    if (token == NULL || !str_to_int64(str_of(token), &page.start) || page.start > START_MAX) {
        page.start = 0;
    }
    return page;
}

static void
page_add(struct page *page, struct json *item)
{
    if (page->seen >= page->start && page->seen < page->start + page->size) {
        json_append(page->list, item);
    } else {
        json_free(item);
    }
    page->seen++;
}

static void
page_reply(struct aws_exchange *exchange, const struct page *page, const char *key)
{
    struct json *body = json_make_object();
    int64_t next = page->start + page->size;
    json_set(body, key, page->list);
    if (page->seen > next) {
        json_set_str(body, "nextToken", arena_printf(page->arena, "%lld", (long long)next));
    }
    sandbox_reply_json(exchange->response, 200, body);
}

static const char *
arn_of(const struct aws_exchange *exchange, const struct logs_group *group, const char *rest)
{
    return arena_printf(exchange->request->arena, "arn:aws:logs:%s:%s:log-group:%s%s",
        exchange->region, sandbox_aws_account(exchange->sandbox), group->name, rest);
}

static void
describe_groups(struct aws_exchange *exchange)
{
    const char *prefix = json_str(json_get(exchange->body, "logGroupNamePrefix"));
    const char *pattern = json_str(json_get(exchange->body, "logGroupNamePattern"));
    const struct logs_state *logs = state_of(exchange->sandbox);
    struct page page = page_of(exchange);
    for (size_t i = 0; i < logs->group_count; i++) {
        const struct logs_group *group = logs->groups[i];
        if ((prefix != NULL && strncmp(group->name, prefix, strlen(prefix)) != 0) ||
            (pattern != NULL && strstr(group->name, pattern) == NULL)) {
            continue;
        }
        struct json *item = json_make_object();
        json_set_str(item, "logGroupName", group->name);
        json_set_int(item, "creationTime", group->created_ms);
        json_set_int(item, "metricFilterCount", 0);
        json_set_str(item, "arn", arn_of(exchange, group, ":*"));
        json_set_str(item, "logGroupArn", arn_of(exchange, group, ""));
        json_set_int(item, "storedBytes", 0);
        page_add(&page, item);
    }
    page_reply(exchange, &page, "logGroups");
}

static struct json *
stream_json(const struct aws_exchange *exchange, const struct logs_group *group,
    const struct logs_stream *stream)
{
    struct json *item = json_make_object();
    json_set_str(item, "logStreamName", stream->name);
    json_set_int(item, "creationTime", stream->created_ms);
    if (stream->event_count > 0) {
        const struct logs_event *last = &stream->events[stream->event_count - 1];
        json_set_int(item, "firstEventTimestamp", stream->events[0].at_ms);
        json_set_int(item, "lastEventTimestamp", last->at_ms);
        json_set_int(item, "lastIngestionTime", last->ingested_ms);
    }
    json_set_str(item, "arn",
        arn_of(exchange, group,
            arena_printf(exchange->request->arena, ":log-stream:%s", stream->name)));
    json_set_int(item, "storedBytes", 0);
    return item;
}

static int64_t
last_time(const struct logs_stream *stream)
{
    return stream->event_count > 0 ? stream->events[stream->event_count - 1].at_ms : 0;
}

static int
compare_times(const void *a, const void *b)
{
    const struct logs_stream *const *left = a, *const *right = b;
    int64_t one = last_time(*left), other = last_time(*right);
    return one != other ? (one < other ? -1 : 1) : strcmp((*left)->name, (*right)->name);
}

static void
describe_streams(struct aws_exchange *exchange)
{
    const char *prefix = json_str(json_get(exchange->body, "logStreamNamePrefix"));
    bool by_time = cstr_equal(json_str(json_get(exchange->body, "orderBy")), "LastEventTime");
    bool descends = json_bool(json_get(exchange->body, "descending"), false);
    const struct logs_group *group = sandbox_logs_group(exchange);
    if (group == NULL) {
        return;
    }
    if (by_time && prefix != NULL) {
        sandbox_aws_problem(exchange, "InvalidParameterException",
            "Cannot order by LastEventTime with a logStreamNamePrefix.");
        return;
    }
    size_t count = group->stream_count;
    struct logs_stream **streams =
        arena_array(exchange->request->arena, count + 1, sizeof(struct logs_stream *));
    for (size_t i = 0; i < count; i++) {
        streams[i] = group->streams[i];
    }
    if (by_time) {
        qsort(streams, count, sizeof(struct logs_stream *), compare_times);
    }
    struct page page = page_of(exchange);
    for (size_t i = 0; i < count; i++) {
        const struct logs_stream *stream = streams[descends ? count - 1 - i : i];
        if (prefix == NULL || strncmp(stream->name, prefix, strlen(prefix)) == 0) {
            page_add(&page, stream_json(exchange, group, stream));
        }
    }
    page_reply(exchange, &page, "logStreams");
}

void
sandbox_logs_handle(struct aws_exchange *exchange)
{
    static const struct aws_operation operations[] = {
        {"CreateLogGroup", create_group},
        {"CreateLogStream", create_stream},
        {"PutLogEvents", put_events},
        {"DescribeLogGroups", describe_groups},
        {"DescribeLogStreams", describe_streams},
        {"GetLogEvents", sandbox_logs_get_events},
        {"FilterLogEvents", sandbox_logs_filter_events},
    };
    sandbox_aws_run(exchange, operations, ARRAY_LENGTH(operations));
}

// {"group", "stream", "message"} writes a line; {"empty_pages": 2} makes the next pages empty.
void
sandbox_logs_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const char *group = json_str(json_get(order, "group"));
    const char *stream = json_str(json_get(order, "stream"));
    const char *message = json_str(json_get(order, "message"));
    int64_t empty = json_int(json_get(order, "empty_pages"), -1);
    bool writes = group != NULL && stream != NULL && message != NULL;
    if (!writes && (empty < 0 || empty > 1000)) {
        sandbox_reply_problem(response, 422,
            "neither 'group', 'stream' and 'message' nor 'empty_pages' (up to 1000) are given");
        return;
    }
    if (writes) {
        sandbox_logs_put(sandbox, group, stream, message);
    }
    if (empty >= 0) {
        state_of(sandbox)->empty_pages = empty;
    }
    response->status = 204;
}

struct json *
sandbox_logs_state(const struct aws_state *aws)
{
    struct json *groups = json_make_object();
    for (size_t i = 0; aws->logs != NULL && i < aws->logs->group_count; i++) {
        const struct logs_group *group = aws->logs->groups[i];
        struct json *streams = json_make_object();
        for (size_t k = 0; k < group->stream_count; k++) {
            const struct logs_stream *stream = group->streams[k];
            struct json *lines = json_make_array();
            for (size_t n = 0; n < stream->event_count; n++) {
                json_append(lines, json_make_string(stream->events[n].message));
            }
            json_set(streams, stream->name, lines);
        }
        json_set(groups, group->name, streams);
    }
    return groups;
}
