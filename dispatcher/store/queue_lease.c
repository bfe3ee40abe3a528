// Leases: who works on a job until when. A lease that ran out raises the job's attempts, and after
// the third the job is set aside: whatever it is, it must not take a worker down for ever. A
// running one is leased a last time for that, so that its end says what is known; when even this
// takes the worker down, it is ended here.
#include <stdlib.h>

#include "queue_internal.h"

struct lease {
    const char *owner;
    int64_t now_ms, until_ms;
};

// Jobs or lanes that were picked; their rows are locked where replicas share the database.
struct picks {
    struct queue_job *items; // number; or app and env
    size_t count;
};

// The lease itself. A job that still has an owner was never given back.
#define TAKE                                                                                       \
    "UPDATE jobs SET attempts = CASE WHEN owner IS NULL THEN attempts ELSE attempts + 1 END,"      \
    " owner = ?1, lease_until_ms = ?2, due_ms = ?2, fence = fence + 1, nudged = 0"

static struct error *
pick(struct query *query, const struct lease *lease, size_t max, struct arena *arena,
    struct picks *out)
{
    query_int(query, lease->now_ms);
    query_int(query, max < INT64_MAX ? (int64_t)max : INT64_MAX);
    while (query_row(query)) {
        out->items = store_grow(arena, out->items, out->count, sizeof(out->items[0]));
        out->items[out->count++] = (struct queue_job){
            .number = query_get_int(query, 0),
            .app = query_get_text(query, 1, arena),
            .env = query_get_text(query, 2, arena),
            .attempts = query_get_int(query, 3),
        };
    }
    return query_finish(query);
}

// Is it held by somebody whose lease ran out?
#define WAS_LOST "CASE WHEN owner IS NULL THEN 0 ELSE 1 END"

// One whose last worker went away without a word may be what it died of: whoever takes it takes
// nothing else, or others would be set aside with it.
static void
part_from_lost(struct picks *picks)
{
    size_t count = 0;
    while (count < picks->count && picks->items[count].attempts == 0) {
        count++;
    }
    picks->count = count == 0 && picks->count > 0 ? 1 : count;
}

#define WORN_OUT                                                                                   \
    "'working on it ended without a word three times, and so did saying what is known of it"

// Final, unless somebody renewed it meanwhile; whoever still works on it writes no more.
static struct error *
end_worn(struct store *store, const struct queue_job *job, int64_t now_ms, struct arena *arena,
    struct queue_job *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET result = CASE state WHEN 'queued' THEN 'refused' ELSE 'unknown' END,"
        " state = 'final', exit_code = 9, code = 'quarantined',"
        " reason = CASE WHEN state = 'queued' THEN 'working on it ended without a word three times'"
        " WHEN run_id > 0 THEN " WORN_OUT "; see run ' || run_id || ' of ' || coalesce(infra, '?')"
        " ELSE " WORN_OUT "' END, who = NULL, until_ms = 0,"
        " ended_ms = ?1, owner = NULL, lease_until_ms = 0, fence = fence + 1"
        " WHERE number = ?2 AND state <> 'final' AND owner IS NOT NULL AND attempts >= ?3"
        " AND due_ms <= ?4 RETURNING " QUEUE_COLUMNS);
    query_int(&query, now_ms);
    query_int(&query, job->number);
    query_int(&query, job->attempts);
    query_int(&query, job->due_ms);
    if (query_row(&query)) {
        *out = queue_read_job(&query, arena);
    }
    return query_run(&query);
}

// Its document stays as it is: it may be what workers die of.
static struct error *
close_deployment(struct store *store, const char *id, int64_t now_ms)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE deployments SET state = 'final', result = 'unknown', exit_code = 9, updated_ms = ?"
        " WHERE id = ? AND state = 'running'");
    query_int(&query, now_ms);
    query_text(&query, id);
    return query_run(&query);
}

static struct error *
set_aside_each(struct store *store, const struct picks *worn, int64_t now_ms, struct arena *arena)
{
    TRY(audit_lock_head(store));
    for (size_t i = 0; i < worn->count; i++) {
        const struct queue_job *job = &worn->items[i];
        struct queue_job aside = {0};
        TRY(queue_lane_lock(store, job->app, job->env));
        TRY(end_worn(store, job, now_ms, arena, &aside));
        if (aside.id != NULL) {
            bool queued = aside.started_ms == 0;
            TRY(queue_lane_settle(store, job->app, job->env, queued ? -1 : 0));
            TRY(close_deployment(store, aside.id, now_ms));
            TRY(queue_audit_end(store, &aside, now_ms));
            store_notify(store);
        }
    }
    return NULL;
}

// A transaction of its own, since the audit's head is locked before any lane.
static struct error *
set_aside(struct store *store, const struct picks *worn, int64_t now_ms, struct arena *arena)
{
    if (worn->count == 0) {
        return NULL;
    }
    TRY(store_begin(store));
    return store_end(store, set_aside_each(store, worn, now_ms, arena));
}

// Most looks find nothing: only what is there is worth a transaction that writes, which on SQLite
// keeps all others from writing.
static struct error *
is_any_due(struct store *store, const char *sql, int64_t now_ms, bool *out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    query_int(&query, now_ms);
    *out = query_row(&query);
    return query_finish(&query);
}

// --- heads ---------------------------------------------------------------------------------------

static struct error *
pick_lanes(struct store *store, const struct lease *lease, size_t max, struct arena *arena,
    struct picks *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT 0, app, env, (SELECT " WAS_LOST " FROM jobs j WHERE j.app = job_lanes.app"
        " AND j.env = job_lanes.env AND j.state = 'queued' ORDER BY j.urgent DESC, j.number"
        " LIMIT 1) FROM job_lanes WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2"
        " FOR UPDATE SKIP LOCKED");
    TRY(pick(&query, lease, max, arena, out));
    part_from_lost(out);
    return NULL;
}

static struct error *
take_head(struct store *store, const struct queue_job *lane, const struct lease *lease,
    struct arena *arena, struct queue_job *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        TAKE
        " WHERE number = (SELECT number FROM jobs WHERE app = ?3 AND env = ?4"
        " AND state = 'queued' ORDER BY urgent DESC, number LIMIT 1) RETURNING " QUEUE_COLUMNS);
    query_text(&query, lease->owner);
    query_int(&query, lease->until_ms);
    query_text(&query, lane->app);
    query_text(&query, lane->env);
    if (query_row(&query)) {
        *out = queue_read_job(&query, arena);
    }
    return query_run(&query);
}

static void
add_pick(struct picks *picks, const struct queue_job *job, struct arena *arena)
{
    picks->items = store_grow(arena, picks->items, picks->count, sizeof(*job));
    picks->items[picks->count++] = *job;
}

struct heads {
    struct picks good, worn; // worn: leased as well, but only to be set aside
};

static struct error *
lease_heads(struct store *store, const struct lease *lease, size_t max, struct arena *arena,
    struct heads *out)
{
    struct picks lanes = {0};
    TRY(pick_lanes(store, lease, max, arena, &lanes));
    for (size_t i = 0; i < lanes.count; i++) {
        const struct queue_job *lane = &lanes.items[i];
        struct queue_job job = {0};
        TRY(take_head(store, lane, lease, arena, &job));
        TRY(queue_lane_settle(store, lane->app, lane->env, 0));
        if (job.id != NULL) {
            add_pick(job.attempts >= QUEUE_WORN ? &out->worn : &out->good, &job, arena);
        }
    }
    return NULL;
}

struct error *
queue_lease_heads(struct store *store, const char *owner, int64_t now_ms, int64_t lease_ms,
    size_t max, struct arena *arena, struct queue_job **jobs, size_t *count)
{
    const struct lease lease = {owner, now_ms, now_ms + lease_ms};
    struct heads found = {0};
    bool any = false;
    *count = 0;
    TRY(is_any_due(store, "SELECT 1 FROM job_lanes WHERE due_ms <= ? LIMIT 1", now_ms, &any));
    if (!any) {
        return NULL;
    }
    TRY(store_begin(store));
    TRY(store_end(store, lease_heads(store, &lease, max, arena, &found)));
    TRY(set_aside(store, &found.worn, now_ms, arena));
    *jobs = found.good.items;
    *count = found.good.count;
    return NULL;
}

// --- running jobs --------------------------------------------------------------------------------

// Those that were leased to be set aside, and were not.
static struct error *
quarantine(struct store *store, const struct lease *lease, size_t max, struct arena *arena)
{
    struct picks worn = {0};
    {
        struct query query CLEANUP(query_done);
        query_init(&query, store,
            "SELECT number, app, env, attempts FROM jobs WHERE state = 'running' AND due_ms <= ?1"
            " AND owner IS NOT NULL AND attempts >= 3 ORDER BY due_ms LIMIT ?2");
        TRY(pick(&query, lease, max, arena, &worn));
    }
    for (size_t i = 0; i < worn.count; i++) {
        worn.items[i].attempts = QUEUE_WORN;
        worn.items[i].due_ms = lease->now_ms; // its owner may have renewed it meanwhile
    }
    return set_aside(store, &worn, lease->now_ms, arena);
}

#define PICK_RUNNING                                                                               \
    "SELECT number, app, env, " WAS_LOST " FROM jobs WHERE state = 'running' AND due_ms <= ?1"     \
    " AND (owner IS NULL OR attempts < 3) ORDER BY due_ms LIMIT ?2 FOR UPDATE SKIP LOCKED"

static struct error *
take_running(struct store *store, int64_t number, const struct lease *lease, struct arena *arena,
    struct queue_job *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, TAKE " WHERE number = ?3 RETURNING " QUEUE_COLUMNS);
    query_text(&query, lease->owner);
    query_int(&query, lease->until_ms);
    query_int(&query, number);
    if (query_row(&query)) {
        *out = queue_read_job(&query, arena);
    }
    return query_run(&query);
}

static struct error *
lease_running(struct store *store, const struct lease *lease, size_t max, struct arena *arena,
    struct picks *out)
{
    {
        struct query query CLEANUP(query_done);
        query_init(&query, store, PICK_RUNNING);
        TRY(pick(&query, lease, max, arena, out));
        part_from_lost(out);
    }
    for (size_t i = 0; i < out->count; i++) {
        TRY(take_running(store, out->items[i].number, lease, arena, &out->items[i]));
    }
    return NULL;
}

struct error *
queue_lease_running(struct store *store, const char *owner, int64_t now_ms, int64_t lease_ms,
    size_t max, struct arena *arena, struct queue_job **jobs, size_t *count)
{
    const struct lease lease = {owner, now_ms, now_ms + lease_ms};
    struct picks found = {0};
    bool any = false;
    *count = 0;
    TRY(is_any_due(
        store, "SELECT 1 FROM jobs WHERE state = 'running' AND due_ms <= ? LIMIT 1", now_ms, &any));
    if (!any) {
        return NULL;
    }
    TRY(quarantine(store, &lease, max, arena));
    TRY(store_begin(store));
    TRY(store_end(store, lease_running(store, &lease, max, arena, &found)));
    *jobs = found.items;
    *count = found.count;
    return NULL;
}

// --- while it is held ----------------------------------------------------------------------------

static struct error *
renew(struct store *store, const struct queue_job *job, int64_t until_ms)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET lease_until_ms = ?1, due_ms = ?1 WHERE id = ?2 AND fence = ?3"
        " AND owner IS NOT NULL AND state <> 'final' RETURNING 1");
    query_int(&query, until_ms);
    query_text(&query, job->id);
    query_int(&query, job->fence);
    bool found = false;
    TRY(queue_lane_lock(store, job->app, job->env));
    TRY(queue_run_found(&query, &found));
    return found ? queue_lane_settle(store, job->app, job->env, 0) : queue_taken_over(job->id);
}

struct error *
queue_renew(struct store *store, const struct queue_job *job, int64_t lease_until_ms)
{
    TRY(store_begin(store));
    return store_end(store, renew(store, job, lease_until_ms));
}
