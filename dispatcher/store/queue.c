// Jobs as rows, lists of them, and their lanes. Who may take one is queue_lease.c's, how one moves
// on queue_run.c's.
#include "dispatcher/queue.h"

#include "dispatcher/audit.h"
#include "queue_internal.h"

enum { LIST_DEFAULT = 50, RECENT = 9 };

struct queue_job
queue_read_job(struct query *query, struct arena *arena)
{
    return (struct queue_job){
        .number = query_get_int(query, 0),
        .id = query_get_text(query, 1, arena),
        .app = query_get_text(query, 2, arena),
        .env = query_get_text(query, 3, arena),
        .verb = query_get_text(query, 4, arena),
        .version = query_get_text(query, 5, arena),
        .request = query_get_text(query, 6, arena),
        .state = query_get_text(query, 7, arena),
        .result = query_get_text(query, 8, arena),
        .exit_code = query_get_int(query, 9),
        .code = query_get_text(query, 10, arena),
        .reason = query_get_text(query, 11, arena),
        .who = query_get_text(query, 12, arena),
        .until_ms = query_get_int(query, 13),
        .superseded_by = query_get_text(query, 14, arena),
        .latest = query_get_int(query, 15) != 0,
        .emergency = query_get_int(query, 16) != 0,
        .urgent = query_get_int(query, 17) != 0,
        .requester = query_get_text(query, 18, arena),
        .repository = query_get_text(query, 19, arena),
        .repository_id = query_get_int(query, 20),
        .infra = query_get_text(query, 21, arena),
        .run_id = query_get_int(query, 22),
        .trace = query_get_text(query, 23, arena),
        .created_ms = query_get_int(query, 24),
        .started_ms = query_get_int(query, 25),
        .ended_ms = query_get_int(query, 26),
        .due_ms = query_get_int(query, 27),
        .attempts = query_get_int(query, 28),
        .cancel = query_get_int(query, 29) != 0,
        .owner = query_get_text(query, 30, arena),
        .lease_until_ms = query_get_int(query, 31),
        .fence = query_get_int(query, 32),
    };
}

struct error *
queue_read_jobs(struct query *query, struct arena *arena, struct queue_job **jobs, size_t *count)
{
    struct queue_job *found = NULL;
    size_t length = 0;
    while (query_row(query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = queue_read_job(query, arena);
    }
    TRY(query_finish(query));
    *jobs = found;
    *count = length;
    return NULL;
}

struct error *
queue_taken_over(const char *id)
{
    struct error *err =
        error_new(ERROR_CONFLICT, "deployment '%s' is somebody else's by now, or has ended", id);
    return error_hint(err, "Another worker goes on with it; nothing is to be done here.");
}

struct error *
queue_audit_end(struct store *store, const struct queue_job *job, int64_t now_ms)
{
    const struct audit_entry entry = {
        .kind = "decision",
        .verdict = "deny",
        .code = job->code,
        .reason = job->reason,
        .app = job->app,
        .env = job->env,
        .deployment = job->id,
        .version = job->version,
        .actor = job->requester,
        .repository_id = job->repository_id,
    };
    return audit_add(store, &entry, now_ms);
}

struct error *
queue_run_found(struct query *query, bool *found)
{
    bool any = query_row(query);
    TRY(query_run(query));
    *found = any;
    return NULL;
}

struct error *
queue_get(struct store *store, const char *id, struct arena *arena, struct queue_job **out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT " QUEUE_COLUMNS " FROM jobs WHERE id = ?");
    query_text(&query, id);
    struct queue_job *jobs = NULL;
    size_t count = 0;
    TRY(queue_read_jobs(&query, arena, &jobs, &count));
    *out = count > 0 ? &jobs[0] : NULL;
    return NULL;
}

// --- lists ---------------------------------------------------------------------------------------

// One text for each index that a filter can go by; the other conditions look at its rows.
enum lead { LEAD_LANE, LEAD_APP, LEAD_REPOSITORY, LEAD_QUEUED, LEAD_RUNNING, LEAD_NONE };

#define LIST(lead, order)                                                                          \
    "SELECT " QUEUE_COLUMNS " FROM jobs WHERE " lead                                               \
    " AND number < ?1 AND (?2 IS NULL OR app = ?2) AND (?3 IS NULL OR env = ?3)"                   \
    " AND (?4 = 0 OR repository_id = ?4) AND (?5 IS NULL OR state = ?5)"                           \
    " AND (?6 IS NULL OR result = ?6) AND (?7 IS NULL OR infra = ?7)"                              \
    " AND (?8 = 0 OR created_ms <= ?8) ORDER BY number " order " LIMIT ?9"
#define LISTS(lead)                                                                                \
    {                                                                                              \
        LIST(lead, "DESC"), LIST(lead, "ASC")                                                      \
    }
static const char *const lists[][2] = {
    [LEAD_LANE] = LISTS("app = ?2 AND env = ?3"),
    [LEAD_APP] = LISTS("app = ?2"),
    [LEAD_REPOSITORY] = LISTS("repository_id = ?4"),
    [LEAD_QUEUED] = LISTS("state = 'queued'"),
    [LEAD_RUNNING] = LISTS("state = 'running'"),
    [LEAD_NONE] = LISTS("1 = 1"),
};

static enum lead
lead_of(const struct queue_filter *filter)
{
    if (cstr_equal(filter->state, "running")) {
        return LEAD_RUNNING;
    }
    if (filter->app != NULL) {
        return filter->env != NULL ? LEAD_LANE : LEAD_APP;
    }
    if (filter->repository_id != 0) {
        return LEAD_REPOSITORY;
    }
    return cstr_equal(filter->state, "queued") ? LEAD_QUEUED : LEAD_NONE;
}

struct error *
queue_list(struct store *store, const struct queue_filter *filter, struct arena *arena,
    struct queue_job **jobs, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, lists[lead_of(filter)][filter->oldest_first ? 1 : 0]);
    query_int(&query, filter->before > 0 ? filter->before : INT64_MAX);
    query_text(&query, filter->app);
    query_text(&query, filter->env);
    query_int(&query, filter->repository_id);
    query_text(&query, filter->state);
    query_text(&query, filter->result);
    query_text(&query, filter->infra);
    query_int(&query, filter->until_ms);
    query_int(&query, filter->limit > 0 ? filter->limit : LIST_DEFAULT);
    return queue_read_jobs(&query, arena, jobs, count);
}

static struct error *
read_ints(struct query *query, int64_t *out, int count)
{
    int64_t numbers[3] = {0};
    if (query_row(query)) {
        for (int i = 0; i < count; i++) {
            numbers[i] = query_get_int(query, i);
        }
    }
    TRY(query_finish(query));
    for (int i = 0; i < count; i++) {
        out[i] = numbers[i];
    }
    return NULL;
}

static void
ask_before(struct query *query, struct store *store, const struct queue_job *job)
{
    query_init(query, store,
        "SELECT (SELECT count(*) FROM jobs WHERE app = ?1 AND env = ?2 AND state = 'queued'"
        " AND (urgent > ?3 OR (urgent = ?3 AND number < ?4)))"
        " + (SELECT count(*) FROM jobs WHERE app = ?1 AND env = ?2 AND state = 'running')");
    query_text(query, job->app);
    query_text(query, job->env);
    query_int(query, job->urgent ? 1 : 0);
    query_int(query, job->number);
}

static void
ask_first(struct query *query, struct store *store, const struct queue_job *job)
{
    query_init(query, store,
        "SELECT " QUEUE_COLUMNS " FROM jobs WHERE app = ?1 AND env = ?2 AND state = 'running'"
        " UNION ALL SELECT * FROM (SELECT " QUEUE_COLUMNS " FROM jobs WHERE app = ?1 AND env = ?2"
        " AND state = 'queued' ORDER BY urgent DESC, number LIMIT 1) AS head");
    query_text(query, job->app);
    query_text(query, job->env);
}

struct error *
queue_position(struct store *store, const struct queue_job *job, struct arena *arena,
    int64_t *before, struct queue_job **first)
{
    struct queue_job *jobs = NULL;
    size_t count = 0;
    TRY(store_check(store));
    *before = 0;
    if (first != NULL) {
        *first = NULL;
    }
    if (!cstr_equal(job->state, "queued")) {
        return NULL;
    }
    struct query position CLEANUP(query_done);
    ask_before(&position, store, job);
    if (first == NULL) {
        return read_ints(&position, before, 1);
    }
    struct query head CLEANUP(query_done);
    ask_first(&head, store, job);
    query_send(&position);
    query_send(&head);
    TRY(read_ints(&position, before, 1));
    TRY(queue_read_jobs(&head, arena, &jobs, &count));
    for (size_t i = 0; i<count && * first == NULL && * before> 0; i++) { // the running one first
        bool wins = cstr_equal(jobs[i].state, "running") || i + 1 == count;
        *first = wins && jobs[i].number != job->number ? &jobs[i] : NULL;
    }
    return NULL;
}

struct error *
queue_count(struct store *store, struct queue_counts *out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT (SELECT count(*) FROM jobs WHERE state = 'queued'),"
        " (SELECT count(*) FROM jobs WHERE state = 'running'),"
        " (SELECT count(*) FROM jobs WHERE state = 'queued' AND code IS NOT NULL"
        "  AND code <> 'behind')");
    int64_t numbers[3] = {0};
    TRY(read_ints(&query, numbers, 3));
    *out = (struct queue_counts){numbers[0], numbers[1], numbers[2]};
    return NULL;
}

struct error *
queue_infras(struct store *store, struct arena *arena, struct queue_runs **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT infra, count(*), min(started_ms) FROM jobs WHERE state = 'running' AND run_id > 0"
        " AND infra IS NOT NULL GROUP BY infra ORDER BY infra");
    struct queue_runs *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = (struct queue_runs){
            .infra = query_get_text(&query, 0, arena),
            .count = query_get_int(&query, 1),
            .oldest_started_ms = query_get_int(&query, 2),
        };
    }
    TRY(query_finish(&query));
    *out = found;
    *count = length;
    return NULL;
}

struct error *
queue_run_ids(struct store *store, const char *infra, int64_t limit, struct arena *arena,
    int64_t **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT run_id FROM jobs WHERE state = 'running' AND run_id > 0 AND infra = ?"
        " ORDER BY number DESC LIMIT ?");
    query_text(&query, infra);
    query_int(&query, limit);
    int64_t *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = query_get_int(&query, 0);
    }
    TRY(query_finish(&query));
    *out = found;
    *count = length;
    return NULL;
}

struct error *
queue_usual_ms(struct store *store, const char *app, const char *env, int64_t *out_ms)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    // The middle one of them: they come sorted by how long they took.
    query_init(&query, store,
        "SELECT took FROM (SELECT ended_ms - started_ms AS took FROM jobs WHERE app = ? AND env = ?"
        " AND result = 'deployed' AND started_ms > 0 ORDER BY number DESC LIMIT ?) AS last"
        " ORDER BY took");
    query_text(&query, app);
    query_text(&query, env);
    query_int(&query, RECENT);
    int64_t took[RECENT] = {0};
    size_t count = 0;
    while (count < RECENT && query_row(&query)) {
        took[count++] = query_get_int(&query, 0);
    }
    TRY(query_finish(&query));
    *out_ms = count > 0 ? took[count / 2] : 0;
    return NULL;
}

// --- lanes ---------------------------------------------------------------------------------------

struct error *
queue_lane_lock(struct store *store, const char *app, const char *env)
{
    if (!store_is_shared(store)) {
        return NULL; // the transaction writes alone
    }
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT 1 FROM job_lanes WHERE app = ? AND env = ? FOR UPDATE");
    query_text(&query, app);
    query_text(&query, env);
    return query_run(&query);
}

struct error *
queue_lane_settle(struct store *store, const char *app, const char *env, int64_t change)
{
    struct query query CLEANUP(query_done);
    queue_lane_settle_ask(&query, store, app, env, change);
    return query_run(&query);
}

void
queue_lane_settle_ask(
    struct query *query, struct store *store, const char *app, const char *env, int64_t change)
{
    query_init(query, store,
        "UPDATE job_lanes SET queued = queued + ?3, due_ms = CASE WHEN EXISTS"
        " (SELECT 1 FROM jobs r WHERE r.app = ?1 AND r.env = ?2 AND r.state = 'running') THEN NULL"
        " ELSE (SELECT j.due_ms FROM jobs j WHERE j.app = ?1 AND j.env = ?2"
        "  AND j.state = 'queued' ORDER BY j.urgent DESC, j.number LIMIT 1) END"
        " WHERE app = ?1 AND env = ?2 RETURNING coalesce(due_ms, 9223372036854775807)");
    query_text(query, app);
    query_text(query, env);
    query_int(query, change);
}
