// CloudWatch Logs of the sandbox: groups of streams of events, kept in memory in the order of their
// time. Under the sandbox's lock. Times are wall milliseconds, as in the API.
#pragma once

#include "aws_internal.h"

struct logs_event {
    int64_t at_ms, ingested_ms;
    int64_t id; // counts up over all streams: the order of arrival
    char *message;
};

struct logs_stream {
    char *name;
    int64_t created_ms;
    struct logs_event *events; // by at_ms, then id
    size_t event_count;
};

struct logs_group {
    char *name;
    int64_t created_ms;
    struct logs_stream **streams; // by name
    size_t stream_count;
};

struct logs_state {
    struct logs_group **groups; // by name
    size_t group_count;
    int64_t last_id;
    int64_t empty_pages; // so many pages that are asked for next come empty
};

void sandbox_logs_handle(struct aws_exchange *exchange);
void sandbox_logs_forget(struct aws_state *aws);
/// Group → stream → lines.
struct json *sandbox_logs_state(const struct aws_state *aws);
/// POST /_sandbox/aws/logs
void sandbox_logs_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);

/// Writes one line now, as a service of AWS does: makes the group and the stream when they are
/// missing.
void sandbox_logs_put(
    struct sandbox *sandbox, const char *group, const char *stream, const char *message);
/// The same for something that happened at `at_ms`.
void sandbox_logs_put_at(struct sandbox *sandbox, const char *group, const char *stream,
    int64_t at_ms, const char *message);

// Between aws_logs.c and aws_logs_read.c.
/// The group that the call names, by name or ARN; NULL and an answer when there is none.
struct logs_group *sandbox_logs_group(struct aws_exchange *exchange);
struct logs_stream *sandbox_logs_find_stream(const struct logs_group *group, const char *name);
/// The stream that the call names; NULL and an answer when there is none.
struct logs_stream *sandbox_logs_stream(struct aws_exchange *exchange);
void sandbox_logs_get_events(struct aws_exchange *exchange);
void sandbox_logs_filter_events(struct aws_exchange *exchange);
