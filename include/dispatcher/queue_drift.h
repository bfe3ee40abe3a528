// What is not as the last proven release left it, as rows: of each lane when it was looked at and
// what came of that, and each difference from when it was seen first until it was not seen any
// more. Nothing of it is ever deleted, so that it can be told how it was at another time. How one
// looks, and what differs, is deploy/'s (drift.h). Rules for handles, times and failures: queue.h.
#pragma once

#include "dispatcher/queue.h"

// One thing of a lane that was compared.
enum queue_drift_verdict {
    QUEUE_DRIFT_SAME,
    QUEUE_DRIFT_DIFFERS,
    QUEUE_DRIFT_UNKNOWN, // it could not be compared: `sentence` says why
};
struct queue_drift_thing {
    const char *service; // key
    const char *what;    // parameter | running
    enum queue_drift_verdict verdict;
    const char *expected, *found; // found NULL: nothing
    const char *sentence;         // differs, unknown
};

// A look at a lane. It says all that there is to say of it: what it does not name is not compared
// any more.
struct queue_drift_look {
    const char *app, *env;
    const char *deployment; // id of the release that it was compared with
    const char *version;    // of that
    const struct queue_drift_thing *things;
    size_t count;
    const char *why;           // nothing could be compared, or there is nothing to compare; or NULL
    bool nothing;              // the latter
    int64_t looked_ms, due_ms; // due: when to look again
};

// Where a lane stands.
struct queue_drift_lane {
    const char *app, *env;
    const char *deployment;      // that it was compared with
    const char *state;           // in-sync | drift | unknown | nothing (to compare)
    const char *why;             // something could not be compared
    int64_t unknown_ms;          // since when; 0: all of it could
    int64_t parameters, running; // how many were compared, whatever came of it
    int64_t looked_ms, known_ms; // known: when all of it was compared last; 0: never
    int64_t failures;            // looks in a row that did not tell all
};

// One difference.
struct queue_drift {
    const char *app, *env, *deployment, *service, *what;
    const char *expected, *found, *sentence;
    int64_t since_ms, until_ms; // until 0: it was there at the last look
};

/// Releases whose lane is to be looked at by now, the longest overdue first; lanes with a running
/// job are left out.
NODISCARD struct error *queue_drift_due(struct store *store, int64_t now_ms, int max,
    struct arena *arena, struct queue_release **out, size_t *count);
/// Has a deployment of the lane ended after `since_ms`, or does one run?
NODISCARD struct error *queue_drift_is_busy(
    struct store *store, const char *app, const char *env, int64_t since_ms, bool *busy);
/// Not before `due_ms`; nothing else of the lane changes.
NODISCARD struct error *queue_drift_wait(
    struct store *store, const char *app, const char *env, int64_t due_ms);
/// Writes a look down, with an entry in the audit log for each difference that appears and for each
/// that ends. *recorded false: a deployment runs by now, or another release is there: what was seen
/// says nothing.
NODISCARD struct error *queue_drift_record(
    struct store *store, const struct queue_drift_look *look, struct arena *arena, bool *recorded);

/// Of one lane, or of all where `app` is NULL, by app and environment.
NODISCARD struct error *queue_drift_lanes(struct store *store, const char *app, struct arena *arena,
    struct queue_drift_lane **out, size_t *count);
/// What is there now, or was at `at_ms` (0: now); of one app, or of all where it is NULL; by app,
/// environment, service.
NODISCARD struct error *queue_drift_list(struct store *store, const char *app, int64_t at_ms,
    struct arena *arena, struct queue_drift **out, size_t *count);
/// Lanes by state, of those whose release is the one that was compared; `looked_ms`: the last look
/// at any lane, 0: none.
struct queue_drift_counts {
    int64_t in_sync, drift, unknown, nothing, unseen, looked_ms;
};
NODISCARD struct error *queue_drift_count(struct store *store, struct queue_drift_counts *out);
