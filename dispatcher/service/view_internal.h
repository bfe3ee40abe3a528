// A deployment as the API shows it. Everything but `document` lives in the arena.
#pragma once

#include "dispatcher/policy.h"
#include "dispatcher/queue_drift.h"
#include "request_internal.h"

struct view {
    const struct queue_job *job; // the caller's, with the reason of one that waits for its turn
    struct json *document;       // the journal's, or NULL; view_done
    const char *message, *hint, *run_url, *program;
    bool proven;
    int64_t position;         // queued: how many go before it
    int64_t usual_ms, eta_ms; // 0: not known
    const char *on_release;   // queued: "will run" or "will be dropped"
    int64_t approvals_needed;
    struct queue_approval *approvals;
    size_t approval_count;
    int64_t now_ms;
    const char *diff; // begin_diff
    // What goes with it: from its acceptance, from its gate when it began; while it waits, what
    // holds now.
    struct str_list warnings;
    // In: what the caller knows of its request (`sha` not NULL, `accepted`), and of the locks.
    const char *sha;
    bool accepting; // `sha` came with it
    struct str_list accepted;
    const struct policy_lock *locks; // NULL: not read yet
    size_t lock_count;
};
/// With the last members of *out set (else {0}).
NODISCARD struct error *view_read(struct service *service, struct store *store,
    const struct queue_job *job, struct arena *arena, struct view *out);
void view_done(struct view *view);
/// Of a job that waits: is it for what would be deployed, and not too old? Whether its giver may is
/// the gate's to ask.
bool view_counts(const struct view *view, const struct queue_approval *approval);
struct json *view_json(const struct service *service, const struct view *view);
/// RFC 3339, or null.
void view_set_time(struct json *object, const char *key, int64_t wall_ms);

// --- view_drift.c: what is not as the last proven release left it --------------------------------

#define VIEW_DRIFT_UNSEEN "it was not looked at since this deployment"

struct view_drift {
    bool on; // else nobody looks, and nothing is told
    struct queue_drift_lane *lanes;
    struct queue_drift *drifts;
    size_t lane_count, drift_count;
};
/// Of one app, or of all where it is NULL; as it was at `at_ms` (0: now), of which the lanes are
/// not known.
NODISCARD struct error *view_drift_read(
    struct request *request, const char *app, int64_t at_ms, struct view_drift *out);
/// What came of the last look at the release; NULL: there was none yet.
const struct queue_drift_lane *view_drift_lane(
    const struct view_drift *view, const struct queue_release *release);
/// What differs from the release; NULL: nothing that is known.
const struct queue_drift *view_drift_of(
    const struct view_drift *view, const struct queue_release *release, size_t *count);
/// The member `drift` of a cell; null where nothing was deployed, or nobody looks.
struct json *view_drift_json(const struct view_drift *view, const struct queue_release *release);
