// What the inboxes (Slack, PagerDuty, webhooks) share: counting, failing on order, a rate, and how
// what they got is shown. The caller holds the sandbox's lock.
#pragma once

#include "sandbox_internal.h"

// Requests that came, and refusals by their word.
struct inbox_counts {
    int64_t requests, refusals;
    struct json *words; // {"channel_not_found": 2}
};
void sandbox_inbox_refused(struct inbox_counts *counts, const char *word);
/// Sets requests, refusals and refused in an object.
void sandbox_inbox_show_counts(const struct inbox_counts *counts, struct json *out);
void sandbox_inbox_forget_counts(struct inbox_counts *counts);

// "fail": {"count": 2, "status": 503, "error": "…", "body": "…", "retry_after": "3", "what": GLOB}
struct inbox_failure {
    int64_t left; // requests; -1: all from now on
    int status;   // 0: the service's own for a failure
    char *what, *error, *body, *retry_after;
};
/// NULL when the order is taken, else what is wrong with it. null ends the failing.
const char *sandbox_inbox_take_failure(const struct json *order, struct inbox_failure *out);
/// Is this request, `what` by name, one that shall fail? It then counts.
bool sandbox_inbox_fails(struct inbox_failure *failure, const char *what);
void sandbox_inbox_forget_failure(struct inbox_failure *failure);
/// A number from 1 on, or "all" (-1); `fallback` when it is absent, 0 when it is anything else.
int64_t sandbox_inbox_count(const struct json *value, int64_t fallback);
/// Milliseconds or a duration; false for anything else.
bool sandbox_inbox_read_ms(const struct json *value, int64_t *out);

// At most so many in any minute, by the clock that never jumps.
struct inbox_window {
    int64_t *at_ms;
    size_t count;
};
/// False: one too many, and *wait_ms until the next fits. `most` 0: no limit.
bool sandbox_inbox_window_takes(
    struct inbox_window *window, int64_t now_ms, int64_t most, int64_t *wait_ms);
void sandbox_inbox_forget_window(struct inbox_window *window);

/// "time" and "time_ms" of something that happened.
void sandbox_inbox_set_time(struct json *object, int64_t wall_ms);
/// A pause of so many milliseconds as whole seconds, at least 1, in the arena.
const char *sandbox_inbox_seconds(struct arena *arena, int64_t ms);

// How what was got is shown; `inbox` is what GET /_sandbox/inbox answers.
void sandbox_inbox_page(const struct json *inbox, struct buf *out); // HTML
void sandbox_inbox_text(const struct json *inbox, struct buf *out); // a terminal's lines
/// mrkdwn as HTML: everything escaped, links only to http(s).
void sandbox_inbox_mrkdwn(const char *text, struct buf *out);
/// plain_text as HTML: escaped, with emoji for their names unless they are not wanted.
void sandbox_inbox_plain(const char *text, bool has_emoji, struct buf *out);
void sandbox_inbox_escape(struct str text, struct buf *out);
