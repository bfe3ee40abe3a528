// A deployment as the API shows it. Everything but `document` lives in the arena.
#pragma once

#include "dispatcher/policy.h"
#include "request_internal.h"

struct view {
    const struct queue_job *job;
    struct json *document; // the journal's, or NULL; view_done
    const char *message, *hint, *run_url, *program;
    bool proven;
    int64_t position;         // queued: how many go before it
    int64_t usual_ms, eta_ms; // 0: not known
    const char *on_release;   // queued: "will run" or "will be dropped"
    int64_t approvals_needed;
    struct queue_approval *approvals;
    size_t approval_count;
    const char *diff; // begin_diff
    // What goes with it: from its acceptance, from its gate when it began; while it waits, what
    // holds now.
    struct str_list warnings;
    // In: what the caller knows of its request (`sha` not NULL, `accepted`), and of the locks.
    const char *sha;
    struct str_list accepted;
    const struct policy_lock *locks; // NULL: not read yet
    size_t lock_count;
};
/// With the last members of *out set (else {0}).
NODISCARD struct error *view_read(struct service *service, struct store *store,
    const struct queue_job *job, struct arena *arena, struct view *out);
void view_done(struct view *view);
struct json *view_json(const struct service *service, const struct view *view);
/// RFC 3339, or null.
void view_set_time(struct json *object, const char *key, int64_t wall_ms);
