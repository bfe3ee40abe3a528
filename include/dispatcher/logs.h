// CloudWatch Logs: what programs wrote, read only (API reference of CloudWatch Logs 2014-03-28).
//
//     struct logs_page page;
//     TRY(logs_stream_read(aws, &(struct logs_stream){.group = g, .name = s}, arena, &page));
//     … later, for what came since: the same with .token = page.token
//
// Messages are raw: whoever shows them cleans them first (text.h, log_sanitize.h). A group or a
// stream that does not exist yet is a value, for a task that has just started. Everything lives in
// the arena. Errors are aws_call's with what was asked in front. Thread rule as aws.h.
#pragma once

#include "dispatcher/aws.h"

struct logs_event {
    int64_t ms;          // wall, as the program's side said
    const char *stream;  // its name
    const char *message; // raw, without the line end
};

struct logs_page {
    bool found; // false: there is no such group or stream (yet)
    struct logs_event *events;
    size_t count;
    const char *token; // logs_stream_read: where to go on; NULL when not found
    bool more;         // a cap ended the reading: there may be more than this
};

enum {
    LOGS_EVENTS_MAX = 10000,          // a call, when the caller gives no cap
    LOGS_BYTES_MAX = 4 * 1024 * 1024, // of messages
    LOGS_PAGES_MAX = 50,
};

struct logs_stream {
    const char *region; // NULL: the session's
    const char *group, *name;
    int64_t start_ms;  // 0: from its beginning
    const char *token; // of an earlier page; NULL: from start_ms
    size_t max_events; // 0: LOGS_EVENTS_MAX
};
/// GetLogEvents from the head until the same token comes back, which is how it says "no more now".
NODISCARD struct error *logs_stream_read(struct aws_session *session,
    const struct logs_stream *stream, struct arena *arena, struct logs_page *out);

struct logs_query {
    const char *region; // NULL: the session's
    const char *group;
    struct str_list streams;   // at most 100; empty: any
    const char *stream_prefix; // instead of `streams`; NULL: any
    int64_t start_ms, end_ms;  // 0: open
    const char *pattern;       // CloudWatch filter pattern; NULL: every event
    size_t max_events;         // 0: LOGS_EVENTS_MAX
    bool newest;               // beyond max_events keep the newest, not the oldest
};
/// FilterLogEvents over a group: all pages, also empty ones, up to the caps.
NODISCARD struct error *logs_filter(struct aws_session *session, const struct logs_query *query,
    struct arena *arena, struct logs_page *out);
