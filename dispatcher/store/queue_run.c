// How a job moves on: begins, waits, is looked at again, ends; and what others may ask of it. Each
// change holds only for the fence that it was leased with.
#include "queue_internal.h"

// --- by whoever holds its lease ------------------------------------------------------------------

static struct error *
start(struct store *store, const struct queue_job *job, int64_t now_ms, bool *started)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET state = 'running', started_ms = ?3, code = NULL, reason = NULL,"
        " who = NULL, until_ms = 0 WHERE id = ?1 AND fence = ?2 RETURNING 1");
    query_text(&query, job->id);
    query_int(&query, job->fence);
    query_int(&query, now_ms);
    TRY(queue_run_found(&query, started));
    return queue_lane_settle(store, job->app, job->env, *started ? -1 : 0);
}

// Whether the lease still is the caller's, nobody goes before it by now, and what was decided by
// still holds: a lock, a rejection or new specs that came meanwhile have nudged it.
static struct error *
may_start(struct store *store, const struct queue_job *job, bool *leased, bool *first)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT CASE WHEN number = (SELECT h.number FROM jobs h WHERE h.app = j.app AND h.env = "
        "j.env"
        "  AND h.state = 'queued' ORDER BY h.urgent DESC, h.number LIMIT 1)"
        " AND NOT EXISTS (SELECT 1 FROM jobs r WHERE r.app = j.app AND r.env = j.env"
        "  AND r.state = 'running') AND nudged = 0 THEN 1 ELSE 0 END"
        " FROM jobs j WHERE j.id = ? AND j.fence = ? AND j.state = 'queued'"
        " AND j.owner IS NOT NULL");
    query_text(&query, job->id);
    query_int(&query, job->fence);
    *leased = query_row(&query);
    *first = *leased && query_get_int(&query, 0) != 0;
    return query_finish(&query);
}

// Who decides about another one of the lane at this moment goes by what was there before.
static struct error *
nudge_others(struct store *store, const struct queue_job *job)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET nudged = 1 WHERE app = ? AND env = ? AND state = 'queued'"
        " AND owner IS NOT NULL");
    query_text(&query, job->app);
    query_text(&query, job->env);
    return query_run(&query);
}

static struct error *
start_first(struct store *store, const struct queue_job *job, int64_t now_ms, bool *started)
{
    bool leased = false, first = false;
    TRY(queue_lane_lock(store, job->app, job->env));
    TRY(may_start(store, job, &leased, &first));
    if (!leased) {
        return queue_taken_over(job->id);
    }
    if (!first) {
        return NULL;
    }
    TRY(start(store, job, now_ms, started));
    return nudge_others(store, job);
}

struct error *
queue_start(struct store *store, const struct queue_job *job, int64_t now_ms, bool *started)
{
    bool began = false;
    TRY(store_begin(store));
    TRY(store_end(store, start_first(store, job, now_ms, &began)));
    *started = began;
    return NULL;
}

// Something that happened while it was leased must not wait for the time that its holder chose.
#define GIVE_BACK                                                                                  \
    " due_ms = CASE nudged WHEN 1 THEN 0 ELSE ?3 END, nudged = 0, attempts = 0, owner = NULL,"     \
    " lease_until_ms = 0"

static struct error *
hold(struct store *store, const struct queue_job *job)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET code = ?4, reason = ?5, who = ?6, until_ms = ?7," GIVE_BACK
        " WHERE id = ?1 AND fence = ?2 AND state = 'queued' AND owner IS NOT NULL RETURNING 1");
    query_text(&query, job->id);
    query_int(&query, job->fence);
    query_int(&query, job->due_ms);
    query_text(&query, job->code);
    query_text(&query, job->reason);
    query_text(&query, job->who);
    query_int(&query, job->until_ms);
    bool found = false;
    TRY(queue_lane_lock(store, job->app, job->env));
    TRY(queue_run_found(&query, &found));
    return found ? queue_lane_settle(store, job->app, job->env, 0) : queue_taken_over(job->id);
}

struct error *
queue_hold(struct store *store, const struct queue_job *job)
{
    TRY(store_begin(store));
    return store_end(store, hold(store, job));
}

struct error *
queue_park(struct store *store, const struct queue_job *job)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET infra = ?4, run_id = ?5, version = ?6," GIVE_BACK
        " WHERE id = ?1 AND fence = ?2 AND state = 'running' AND owner IS NOT NULL RETURNING 1");
    query_text(&query, job->id);
    query_int(&query, job->fence);
    query_int(&query, job->due_ms);
    query_text(&query, job->infra);
    query_int(&query, job->run_id);
    query_text(&query, job->version);
    bool found = false;
    TRY(queue_run_found(&query, &found));
    return found ? NULL : queue_taken_over(job->id);
}

// What it is now, and that it did not change since the fence was read: in the lane's lock.
static struct error *
read_state(struct store *store, const char *id, struct arena *arena, struct queue_job *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT state, fence, app, env FROM jobs WHERE id = ? FOR UPDATE");
    query_text(&query, id);
    *out = (struct queue_job){.id = id};
    if (query_row(&query)) {
        out->state = query_get_text(&query, 0, arena);
        out->fence = query_get_int(&query, 1);
        out->app = query_get_text(&query, 2, arena);
        out->env = query_get_text(&query, 3, arena);
    }
    return query_finish(&query);
}

static struct error *
finish(struct store *store, const struct queue_job *job, int64_t now_ms)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET state = 'final', result = ?2, exit_code = ?3, code = ?4, reason = ?5,"
        " who = ?6, until_ms = 0, superseded_by = ?7, ended_ms = ?8, nudged = 0, owner = NULL,"
        " lease_until_ms = 0, version = coalesce(?9, version), infra = coalesce(?10, infra),"
        " run_id = CASE ?11 WHEN 0 THEN run_id ELSE ?11 END WHERE id = ?1");
    query_text(&query, job->id);
    query_text(&query, job->result);
    query_int(&query, job->exit_code);
    query_text(&query, job->code);
    query_text(&query, job->reason);
    query_text(&query, job->who);
    query_text(&query, job->superseded_by);
    query_int(&query, now_ms);
    query_text(&query, job->version);
    query_text(&query, job->infra);
    query_int(&query, job->run_id);
    return query_run(&query);
}

static struct error *
end(struct store *store, const struct queue_job *job, int64_t now_ms)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct queue_job now = {0};
    TRY(queue_lane_lock(store, job->app, job->env));
    TRY(read_state(store, job->id, arena, &now));
    if (now.state == NULL || cstr_equal(now.state, "final") || now.fence != job->fence) {
        return queue_taken_over(job->id);
    }
    TRY(finish(store, job, now_ms));
    TRY(queue_lane_settle(store, job->app, job->env, cstr_equal(now.state, "queued") ? -1 : 0));
    store_notify(store);
    return NULL;
}

struct error *
queue_end(struct store *store, const struct queue_job *job, int64_t now_ms)
{
    TRY(store_begin(store));
    return store_end(store, end(store, job, now_ms));
}

// --- by others -----------------------------------------------------------------------------------

// The state of a job in its lane's lock. It is read twice, since the lane is known only afterwards.
static struct error *
lock_job(struct store *store, const char *id, struct arena *arena, struct queue_job *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT app, env FROM jobs WHERE id = ?");
    query_text(&query, id);
    const char *app = NULL, *env = NULL;
    if (query_row(&query)) {
        app = query_get_text(&query, 0, arena);
        env = query_get_text(&query, 1, arena);
    }
    TRY(query_finish(&query));
    if (app != NULL) {
        TRY(queue_lane_lock(store, app, env));
    }
    return read_state(store, id, arena, out);
}

static struct error *
cancel_queued(struct store *store, const struct queue_job *job, const char *by, const char *reason,
    int64_t now_ms)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET state = 'final', result = 'cancelled', exit_code = 11, code = 'cancelled',"
        " reason = ?3, who = ?2, until_ms = 0, cancel = 1, ended_ms = ?4, owner = NULL,"
        " lease_until_ms = 0, fence = fence + 1 WHERE id = ?1");
    query_text(&query, job->id);
    query_text(&query, by);
    query_text(&query, reason);
    query_int(&query, now_ms);
    TRY(query_run(&query));
    return queue_lane_settle(store, job->app, job->env, -1);
}

// It is due at once (?1 is now); when somebody has it, as soon as that one gives it back.
#define NUDGE                                                                                      \
    " nudged = CASE WHEN owner IS NULL THEN 0 ELSE 1 END,"                                         \
    " due_ms = CASE WHEN owner IS NULL AND due_ms > ?1 THEN ?1 ELSE due_ms END"

static struct error *
cancel_running(struct store *store, const struct queue_job *job, const char *by, const char *reason,
    int64_t now_ms)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET cancel = 1, code = 'cancelled', reason = ?2, who = ?3," NUDGE
        " WHERE id = ?4");
    query_int(&query, now_ms);
    query_text(&query, reason);
    query_text(&query, by);
    query_text(&query, job->id);
    return query_run(&query);
}

struct cancellation {
    const char *id, *by, *reason;
    int64_t now_ms;
    bool running;
};

static struct error *
cancel(struct store *store, struct cancellation *how)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct queue_job job = {0};
    TRY(lock_job(store, how->id, arena, &job));
    how->running = cstr_equal(job.state, "running");
    if (how->running) {
        TRY(cancel_running(store, &job, how->by, how->reason, how->now_ms));
    } else if (cstr_equal(job.state, "queued")) {
        TRY(cancel_queued(store, &job, how->by, how->reason, how->now_ms));
    }
    store_notify(store);
    return NULL;
}

struct error *
queue_cancel(struct store *store, const char *id, const char *by, const char *reason,
    int64_t now_ms, bool *running)
{
    struct cancellation how = {id, by, reason, now_ms, false};
    TRY(store_begin(store));
    TRY(store_end(store, cancel(store, &how)));
    *running = how.running;
    return NULL;
}

static struct error *
hurry(struct store *store, const char *id)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct queue_job job = {0};
    TRY(lock_job(store, id, arena, &job));
    if (!cstr_equal(job.state, "queued")) {
        return NULL;
    }
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET urgent = 1, due_ms = CASE WHEN owner IS NULL THEN 0 ELSE due_ms END"
        " WHERE id = ?");
    query_text(&query, id);
    TRY(query_run(&query));
    TRY(queue_lane_settle(store, job.app, job.env, 0));
    store_notify(store);
    return NULL;
}

struct error *
queue_hurry(struct store *store, const char *id)
{
    TRY(store_begin(store));
    return store_end(store, hurry(store, id));
}

#define STIRRED "(?2 IS NULL OR app = ?2) AND (?3 IS NULL OR env = ?3)"

// All in one order, so that two of them do not wait for each other.
static struct error *
lock_lanes(struct store *store, const char *app, const char *env)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT 1 FROM job_lanes WHERE queued > ?1 AND " STIRRED " ORDER BY app, env FOR UPDATE");
    query_int(&query, 0);
    query_text(&query, app);
    query_text(&query, env);
    return query_run(&query);
}

// Only first ones are held, but one that was may have got another before it.
static struct error *
stir_jobs(struct store *store, const char *app, const char *env, int64_t now_ms)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET" NUDGE " WHERE state = 'queued' AND (due_ms > ?1 OR owner IS NOT NULL)"
        " AND " STIRRED);
    query_int(&query, now_ms);
    query_text(&query, app);
    query_text(&query, env);
    return query_run(&query);
}

static struct error *
stir_lanes(struct store *store, const char *app, const char *env, int64_t now_ms)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE job_lanes SET due_ms = (SELECT j.due_ms FROM jobs j WHERE j.app = job_lanes.app"
        " AND j.env = job_lanes.env AND j.state = 'queued' ORDER BY j.urgent DESC, j.number LIMIT "
        "1)"
        " WHERE due_ms > ?1 AND " STIRRED);
    query_int(&query, now_ms);
    query_text(&query, app);
    query_text(&query, env);
    return query_run(&query);
}

static struct error *
stir(struct store *store, const char *app, const char *env, int64_t now_ms)
{
    TRY(store->depth == 1 ? audit_lock_head(store) : NULL); // before lanes, as groups do
    TRY(lock_lanes(store, app, env));
    TRY(stir_jobs(store, app, env, now_ms));
    TRY(stir_lanes(store, app, env, now_ms));
    store_notify(store);
    return NULL;
}

struct error *
queue_stir(struct store *store, const char *app, const char *env, int64_t now_ms)
{
    TRY(store_begin(store));
    return store_end(store, stir(store, app, env, now_ms));
}

static struct error *
poke(struct store *store, const char *infra, int64_t run_id, int64_t now_ms, bool *found)
{
    struct query query CLEANUP(query_done);
    // GitHub's names do not differ by case, and a spec may write them otherwise.
    query_init(&query, store,
        "UPDATE jobs SET" NUDGE " WHERE state = 'running' AND run_id > 0 AND run_id = ?2"
        " AND lower(infra) = lower(?3) RETURNING 1");
    query_int(&query, now_ms);
    query_int(&query, run_id);
    query_text(&query, infra);
    TRY(queue_run_found(&query, found));
    if (*found) {
        store_notify(store);
    }
    return NULL;
}

// Most runs are none of ours: only one of ours is worth a transaction that writes.
static struct error *
is_run_of_ours(struct store *store, const char *infra, int64_t run_id, bool *found)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT 1 FROM jobs WHERE state = 'running' AND run_id > 0 AND run_id = ?"
        " AND lower(infra) = lower(?)");
    query_int(&query, run_id);
    query_text(&query, infra);
    *found = query_row(&query);
    return query_finish(&query);
}

struct error *
queue_poke(struct store *store, const char *infra, int64_t run_id, int64_t now_ms, bool *found)
{
    bool any = false;
    TRY(is_run_of_ours(store, infra, run_id, &any));
    if (!any) {
        *found = false;
        return NULL;
    }
    TRY(store_begin(store));
    TRY(store_end(store, poke(store, infra, run_id, now_ms, &any)));
    *found = any;
    return NULL;
}
