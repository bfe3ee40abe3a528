// A deployment as the API shows it. Everything but `document` lives in the arena.
#pragma once

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
    const char *sha;  // of the request, or NULL: not known here
};
/// With `out->sha` (else set to {0}): the commit that the job asks for, where the caller knows it.
NODISCARD struct error *view_read(struct service *service, struct store *store,
    const struct queue_job *job, struct arena *arena, struct view *out);
void view_done(struct view *view);
struct json *view_json(const struct service *service, const struct view *view);
/// RFC 3339, or null.
void view_set_time(struct json *object, const char *key, int64_t wall_ms);
