// The service's queue: which deployments were accepted, in which order they run, what holds each
// back, and who works on it. Rows only: what may run when is deploy/'s policy.
//
// One job is one deployment; they share the id, and the deployment itself is in the journal
// (store.h) from the moment that it runs. A lane is an app in an environment: at most one job of a
// lane runs, which a partial unique index enforces, and the queued ones keep the order of their
// numbers (urgent ones go first). Whoever works on a job holds its lease: a row, not a lock, since
// replicas share the database. Taking a lease raises the job's fence; store_set_fence makes every
// later write of that handle fail with ERROR_CONFLICT once somebody else has taken it over.
//
// Every function is one transaction of its own, or a part of the caller's group (store_group). All
// times are wall milliseconds. SQLite and PostgreSQL alike. Failures are ERROR_STORAGE.
#pragma once

#include "dispatcher/store.h"

// --- groups --------------------------------------------------------------------------------------

// Writes of many requests in one transaction: one fsync for all of them. One that fails undoes only
// itself; `err` is the caller's. Whatever failed in it but for ERROR_CONFLICT fails it, also when
// `run` forgets that. When the commit fails, the function fails, and none has happened. On a shared
// database a group with one that fails is undone and run again, so that `run` may be called twice,
// and must not build on what it told its caller the first time.
struct store_op {
    struct error *(*run)(struct store *store, void *ctx);
    void *ctx;
    struct error *err;
};
NODISCARD struct error *store_group(struct store *store, struct store_op *ops, size_t count);

// --- jobs ----------------------------------------------------------------------------------------

struct queue_job {
    const char *id; // "d-…", the deployment's
    int64_t number; // order of acceptance, from 1; given by queue_accept
    const char *app, *env;
    const char *verb;    // deploy | rollback | promote
    const char *version; // NULL: not known yet (a rollback to the one before)
    const char *request; // JSON: what was asked, the facts of who asked, the rule; no secrets
    const char *state;   // queued | running | final
    const char *result;  // final: the deployment's, or refused | superseded | cancelled
    int64_t exit_code;   // final
    // Queued: what it waits for. Final, and not by a deployment's own end: why.
    const char *code;          // stable: reason_codes.def
    const char *reason;        // sentence
    const char *who;           // who can lift it: a name, "#412", a team; or NULL
    int64_t until_ms;          // when that ends by itself; 0: not known
    const char *superseded_by; // id
    bool latest;               // a newer one of the lane drops it while it is queued
    bool emergency;            // passes windows, freezes and approvals
    bool urgent;               // goes before the others of its lane
    const char *requester;     // login
    const char *repository;    // "owner/name" as the token said
    int64_t repository_id;
    // Given to queue_accept, not read back: run of the app's workflow whose job asks, 0: a person.
    // GitHub numbers runs as they are made, so that of two pushes the later one has the higher.
    int64_t asked_run;
    const char *infra; // "owner/name" of the infra repository, once dispatched
    int64_t run_id;    // of the infra workflow, once known
    const char *trace; // W3C trace id, 32 hexadecimal digits, or NULL
    int64_t created_ms, started_ms, ended_ms; // 0: not yet
    int64_t due_ms;    // when it is to be decided or looked at (again); leased: the lease's end
    int64_t attempts;  // leases in a row that ended without a word; see QUEUE_WORN
    bool cancel;       // somebody asked
    const char *owner; // of the lease, NULL: nobody's
    int64_t lease_until_ms, fence;
};

// A request that may come twice. `scope` is whose key it is ("repository/123", "user/octocat").
struct queue_idempotency {
    const char *scope, *key; // key NULL: none was given
    const char *hash;        // of method, path and body
};
enum queue_accepted {
    QUEUE_NEW,
    QUEUE_SAME,   // that key with that hash: *id is what it made then
    QUEUE_OTHER,  // that key with another hash
    QUEUE_FULL,   // more than `limit` queued in the lane
    QUEUE_REPLAY, // the token's jti was used for another request
};
struct queue_ids {
    const char **items;
    size_t count;
};
struct queue_acceptance {
    const struct queue_job *job;
    struct queue_idempotency idempotency;
    const char *jti; // spent with it, kept until `jti_until_ms`; NULL: a person asked
    int64_t jti_until_ms;
    int64_t limit; // of the lane; 0: none
    bool *due;     // out, may be NULL: its lane has something to be decided by now
    struct queue_ids
        *superseded; // out, may be NULL: ids of those whose place it took, in the arena
};
/// Writes the job at the end of its lane. With job->latest, or where a queued job has it, the
/// queued deploys before it end as superseded by this one (an emergency only by an emergency), each
/// with its entry in the audit log; where one that waits is of a later run, this one ends so by it:
/// its build only took longer. Same key and hash: nothing is written.
NODISCARD struct error *queue_accept(struct store *store, const struct queue_acceptance *acceptance,
    int64_t now_ms, struct arena *arena, enum queue_accepted *outcome, const char **id);

/// What queue_accept would say of a request by its key and its token alone: QUEUE_NEW when neither
/// was here before. For one that may not be accepted (any more).
NODISCARD struct error *queue_accepted_before(struct store *store,
    const struct queue_idempotency *idempotency, const char *jti, struct arena *arena,
    enum queue_accepted *outcome, const char **id);

NODISCARD struct error *queue_get(
    struct store *store, const char *id, struct arena *arena, struct queue_job **out);

struct queue_filter {
    const char *app, *env, *state, *result; // NULL: any
    const char *infra;                      // NULL: any
    int64_t repository_id;                  // 0: any
    int64_t before;                         // number; 0: from the newest
    int64_t until_ms;                       // created at or before; 0: any
    int limit;                              // 0: 50
    bool oldest_first;
};
NODISCARD struct error *queue_list(struct store *store, const struct queue_filter *filter,
    struct arena *arena, struct queue_job **jobs, size_t *count);
/// Of each lane the last job that was begun and has ended, where that was badly.
NODISCARD struct error *queue_failures(
    struct store *store, struct arena *arena, struct queue_job **jobs, size_t *count);
/// How many of its lane go before a queued job, the running one included, and the first of them
/// (NULL: there is none). `first` may be NULL.
NODISCARD struct error *queue_position(struct store *store, const struct queue_job *job,
    struct arena *arena, int64_t *before, struct queue_job **first);
struct queue_counts {
    int64_t queued, running, held; // held: queued and waiting for more than their turn
};
NODISCARD struct error *queue_count(struct store *store, struct queue_counts *out);

/// The next lane heads that are due to be decided: the first queued job of each lane without a
/// running one, leased to `owner` with its fence raised; nothing of what another holds.
NODISCARD struct error *queue_lease_heads(struct store *store, const char *owner, int64_t now_ms,
    int64_t lease_ms, size_t max, struct arena *arena, struct queue_job **jobs, size_t *count);
// As often in a row the work on a job ended without a word: it is set aside.
enum { QUEUE_WORN = 3 };
/// Running jobs that are due, or whose lease ran out (attempts is raised then), leased likewise.
/// One with attempts >= QUEUE_WORN is leased for nothing but to be ended with what is known of it.
/// What is worn and queued, and a running one whose last lease ended without a word, too, both end
/// here: with the code quarantined and exit code 9, as refused when it was queued, else as unknown
/// (its deployment in the journal likewise), and the audit log has its entry.
NODISCARD struct error *queue_lease_running(struct store *store, const char *owner, int64_t now_ms,
    int64_t lease_ms, size_t max, struct arena *arena, struct queue_job **jobs, size_t *count);
/// Renews; ERROR_CONFLICT when it is not `job->fence` any more.
NODISCARD struct error *queue_renew(
    struct store *store, const struct queue_job *job, int64_t lease_until_ms);
/// From now on this handle's store_insert…/store_save… of deployment `id` commit only while the
/// job's fence is `fence` (ERROR_CONFLICT else). NULL: none.
void store_set_fence(struct store *store, const char *id, int64_t fence);

// The next four need the fence of the job's lease: ERROR_CONFLICT when somebody else has it by now,
// or it has ended. What happened meanwhile (a poke, a cancellation, a stir) makes it due at once
// when it is given back, whatever due_ms says.

/// The job begins, still leased: *started false when another one of its lane runs or, by now, goes
/// before it, or when it is to be decided anew, since it was stirred after it was leased.
NODISCARD struct error *queue_start(
    struct store *store, const struct queue_job *job, int64_t now_ms, bool *started);
/// It stays queued: for what, and when to decide again (job->code, reason, who, until_ms, due_ms).
/// Gives the lease back.
NODISCARD struct error *queue_hold(struct store *store, const struct queue_job *job);
/// It runs on, to be looked at again at job->due_ms; also job->run_id, infra, version. Gives the
/// lease back.
NODISCARD struct error *queue_park(struct store *store, const struct queue_job *job);
/// It is final: job->result, exit_code, code, reason, who, superseded_by.
NODISCARD struct error *queue_end(struct store *store, const struct queue_job *job, int64_t now_ms);
/// Asks for the end of a job. One that is queued ends as cancelled; *running: one that runs is due
/// now, and sees job->cancel, with `by` and `reason` in who and reason. A final one stays as it is.
NODISCARD struct error *queue_cancel(struct store *store, const char *id, const char *by,
    const char *reason, int64_t now_ms, bool *running);
/// To the front of its lane.
NODISCARD struct error *queue_hurry(struct store *store, const char *id);
/// Decide all held jobs of these again (NULL: any), now: a lock was lifted, an approval came.
NODISCARD struct error *queue_stir(
    struct store *store, const char *app, const char *env, int64_t now_ms);
/// A hint that the run moved: its job is due now. *found false: nobody waits for it.
NODISCARD struct error *queue_poke(
    struct store *store, const char *infra, int64_t run_id, int64_t now_ms, bool *found);
/// Running jobs with a run, for the shared poll: all infra repositories that somebody waits for.
struct queue_runs {
    const char *infra;
    int64_t count, oldest_started_ms;
};
NODISCARD struct error *queue_run_ids(struct store *store, const char *infra, int64_t limit,
    struct arena *arena, int64_t **out, size_t *count); // the newest jobs' first
NODISCARD struct error *queue_infras(
    struct store *store, struct arena *arena, struct queue_runs **out, size_t *count);
/// Median of how long the last deployments of a lane took from start to end; 0: not known.
NODISCARD struct error *queue_usual_ms(
    struct store *store, const char *app, const char *env, int64_t *out_ms);

// --- releases: what was where, and since when ----------------------------------------------------

struct queue_release {
    const char *app, *env, *version;
    const char *digests; // JSON: service to digest
    const char *sha;
    const char *deployment;     // id
    int64_t since_ms, until_ms; // until 0: it is what runs
    const char *requester;      // of the deployment, where it is read; NULL: not known any more
};
/// Written with the end of a job that deployed; closes the one before.
NODISCARD struct error *queue_release_add(struct store *store, const struct queue_release *release);
/// What is there, or was at `at_ms` (0: now); *out NULL: nothing.
NODISCARD struct error *queue_release_at(struct store *store, const char *app, const char *env,
    int64_t at_ms, struct arena *arena, struct queue_release **out);
/// What is there now, of all lanes, by app and environment.
NODISCARD struct error *queue_releases_now(
    struct store *store, struct arena *arena, struct queue_release **out, size_t *count);
/// Newest first.
NODISCARD struct error *queue_releases(struct store *store, const char *app, const char *env,
    int limit, struct arena *arena, struct queue_release **out, size_t *count);

// --- locks and freezes ---------------------------------------------------------------------------

struct queue_lock {
    const char *id;    // "l-…"
    const char *scope; // organisation | environment | program | app | target (app in environment)
    const char *app, *env, *program;           // those that the scope needs, else NULL
    const char *level;                         // lock | warning | freeze (which emergencies pass)
    const char *reason, *owner;                // login
    const char *on_release;                    // run | drop: what becomes of what waited
    int64_t created_ms, starts_ms, expires_ms; // expires 0: never
    int64_t released_ms;                       // 0: it holds
    const char *released_by;                   // login; "expired"
    int64_t epoch; // raised by every change; needed to release it (protocols.md §4.3)
};
/// lock->id, epoch and created_ms are given here, in the arena.
NODISCARD struct error *queue_lock_add(
    struct store *store, struct queue_lock *lock, int64_t now_ms, struct arena *arena);
/// *released false: there is no such lock, or it is not of that epoch any more.
NODISCARD struct error *queue_lock_release(struct store *store, const char *id, int64_t epoch,
    const char *by, int64_t now_ms, bool *released);
NODISCARD struct error *queue_lock_get(
    struct store *store, const char *id, struct arena *arena, struct queue_lock **out);
/// Those that hold now or will (`past`: also those that held), newest first.
NODISCARD struct error *queue_locks(struct store *store, bool past, int64_t now_ms,
    struct arena *arena, struct queue_lock **out, size_t *count);
/// Those that drop what they held and ended after `since_ms`, or expire after it and are not
/// written down as ended, the newest first.
NODISCARD struct error *queue_locks_dropping(struct store *store, int64_t since_ms,
    struct arena *arena, struct queue_lock **locks, size_t *count);
/// Releases what has expired; how many.
NODISCARD struct error *queue_locks_expire(struct store *store, int64_t now_ms, size_t *count);

// --- approvals -----------------------------------------------------------------------------------

struct queue_approval {
    const char *job; // id
    const char *by;  // login
    int64_t by_id;
    const char *version, *diff; // that were approved: "base..head"
    const char *note;
    bool rejected;
    int64_t at_ms, expires_ms;
};
/// One a person and job; a second one replaces the first.
NODISCARD struct error *queue_approve(struct store *store, const struct queue_approval *approval);
NODISCARD struct error *queue_approvals(struct store *store, const char *job, struct arena *arena,
    struct queue_approval **out, size_t *count);

// --- once only -----------------------------------------------------------------------------------

/// A webhook delivery: its id and what it hints at. *is_new false: it was here before.
struct queue_delivery {
    const char *id;    // X-GitHub-Delivery
    const char *event; // workflow_run | …
    const char *hint;  // JSON, small: repository, run_id, status
    int64_t at_ms;
};
NODISCARD struct error *queue_delivery_add(
    struct store *store, const struct queue_delivery *delivery, bool *is_new);
/// Those that were not handled yet, oldest first, marked as handled.
NODISCARD struct error *queue_deliveries_take(struct store *store, size_t max, struct arena *arena,
    struct queue_delivery **out, size_t *count);
/// A jti for something that makes no job. *is_new false: it was used.
NODISCARD struct error *queue_jti_spend(
    struct store *store, const char *jti, int64_t until_ms, bool *is_new);
/// The same for the request that `hash` stands for: QUEUE_NEW, QUEUE_SAME when it was used for this
/// very request, else QUEUE_REPLAY, however often it comes.
NODISCARD struct error *queue_token_spend(struct store *store, const char *jti, const char *hash,
    int64_t until_ms, enum queue_accepted *outcome);
/// What it would say; nothing is written.
NODISCARD struct error *queue_token_find(
    struct store *store, const char *jti, const char *hash, enum queue_accepted *outcome);

// --- leader jobs, sessions, small facts ----------------------------------------------------------

/// The lease of a job that one replica does ("poll:owner/infra", "sweep"): true when `owner` has it
/// until now_ms + lease_ms.
NODISCARD struct error *queue_lead(struct store *store, const char *name, const char *owner,
    int64_t now_ms, int64_t lease_ms, bool *leads);
/// Gives all back that `owner` has, so that nobody has to wait for their end.
NODISCARD struct error *queue_lead_end(struct store *store, const char *owner);

struct queue_session {
    const char *hash; // SHA-256 of the cookie's value
    const char *login, *name;
    int64_t user_id;
    const char *teams; // JSON list of slugs
    const char *csrf;
    int64_t created_ms, expires_ms;
};
NODISCARD struct error *queue_session_add(struct store *store, const struct queue_session *session);
NODISCARD struct error *queue_session_get(struct store *store, const char *hash, int64_t now_ms,
    struct arena *arena, struct queue_session **out);
NODISCARD struct error *queue_session_drop(struct store *store, const char *hash);

/// Small facts by name: "sweep/cursor", "specs/commit". *out NULL when there is none.
NODISCARD struct error *queue_fact_get(
    struct store *store, const char *name, struct arena *arena, const char **out);
NODISCARD struct error *queue_fact_set(struct store *store, const char *name, const char *value);

struct queue_retention {
    int64_t events_ms, deliveries_ms; // older than that are dropped; 0: kept
};
/// Drops what is old, expired sessions and spent tokens included, at most 1,000 rows of each kind;
/// how many. Again while there were any. Events of a deployment that runs are kept.
NODISCARD struct error *queue_retain(
    struct store *store, const struct queue_retention *retention, int64_t now_ms, size_t *count);
