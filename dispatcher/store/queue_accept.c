// Accepting a deployment: once per key and token, at the end of its lane, in place of those that it
// supersedes; all of it or nothing. Whether it may be asked for was decided before.
#include "queue_internal.h"

// What an earlier request of the same key or token left.
struct earlier {
    const char *job, *key, *hash; // job NULL: there is none
};

// What a request finds: its lane, locked, and how it stands there.
struct standing {
    bool lane; // false: there is none yet
    int64_t queued, dropped;
    int64_t
        later_run; // the latest run of those that wait and are not to be dropped for it; 0: none
    struct earlier earlier[2]; // by key, by token
};

// A token that made no job (queue_jti_spend) has none; "" tells it from a token never seen.
static void
ask_earlier(struct query *query, struct store *store, const struct queue_idempotency *idempotency,
    const char *jti)
{
    query_init(query, store,
        "SELECT 0, id, key, hash FROM jobs WHERE scope = ? AND key = ?"
        " UNION ALL SELECT 1, coalesce(job, ''), key, hash FROM tokens WHERE jti = ?");
    query_text(query, idempotency->scope);
    query_text(query, idempotency->key);
    query_text(query, jti);
}

static struct error *
read_earlier(struct query *query, struct arena *arena, struct earlier found[2])
{
    while (query_row(query)) {
        struct earlier *earlier = &found[query_get_int(query, 0) == 0 ? 0 : 1];
        earlier->job = query_get_text(query, 1, arena);
        earlier->key = query_get_text(query, 2, arena);
        earlier->hash = query_get_text(query, 3, arena);
    }
    return query_finish(query);
}

// The same request once more, with the token that it came with then?
static bool
is_retry(const struct earlier *by_token, const struct queue_idempotency *idempotency,
    const char *earlier)
{
    return by_token->job[0] != '\0' && cstr_equal(by_token->job, earlier) &&
           idempotency->hash != NULL && cstr_equal(by_token->hash, idempotency->hash) &&
           cstr_equal(by_token->key, idempotency->key);
}

// Is it a repetition? *outcome stays QUEUE_NEW when it is not.
static void
check_once(const struct earlier found[2], const struct queue_idempotency *idempotency,
    enum queue_accepted *outcome, const char **id)
{
    const struct earlier *by_key = &found[0], *by_token = &found[1];
    const char *earlier = by_key->job != NULL ? by_key->job : by_token->job;
    if (by_key->job != NULL && !cstr_equal(by_key->hash, idempotency->hash)) {
        *outcome = QUEUE_OTHER;
    } else if (by_token->job != NULL && !is_retry(by_token, idempotency, earlier)) {
        *outcome = QUEUE_REPLAY;
    } else if (earlier != NULL) {
        *outcome = QUEUE_SAME;
        *id = earlier;
    }
}

struct error *
queue_accepted_before(struct store *store, const struct queue_idempotency *idempotency,
    const char *jti, struct arena *arena, enum queue_accepted *outcome, const char **id)
{
    struct earlier found[2] = {0};
    enum queue_accepted what = QUEUE_NEW;
    const char *made = NULL;
    struct query query CLEANUP(query_done);
    TRY(store_check(store));
    ask_earlier(&query, store, idempotency, jti);
    TRY(read_earlier(&query, arena, found));
    check_once(found, idempotency, &what, &made);
    *outcome = what;
    *id = made;
    return NULL;
}

static void
ask_token(struct query *query, struct store *store, const struct queue_acceptance *acceptance)
{
    query_init(query, store,
        "INSERT INTO tokens (jti, until_ms, key, hash, job) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (jti) DO NOTHING");
    query_text(query, acceptance->jti);
    query_int(query, acceptance->jti_until_ms);
    query_text(query, acceptance->idempotency.key);
    query_text(query, acceptance->idempotency.hash);
    query_text(query, acceptance->job->id);
}

// --- the lane ------------------------------------------------------------------------------------

static void
ask_lane(struct query *query, struct store *store, const struct queue_job *job)
{
    query_init(query, store, "SELECT queued FROM job_lanes WHERE app = ? AND env = ? FOR UPDATE");
    query_text(query, job->app);
    query_text(query, job->env);
}

static struct error *
make_lane(struct store *store, const struct queue_job *job)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO job_lanes (app, env, queued) VALUES (?, ?, 0) ON CONFLICT (app, env)"
        " DO NOTHING");
    query_text(&query, job->app);
    query_text(&query, job->env);
    return query_run(&query);
}

#define WAITS "app = ?1 AND env = ?2 AND state = 'queued' AND verb = 'deploy'"
#define OF_A_LATER_RUN "(asked_run > ?4 AND ?4 > 0)"
// What a newer one of the lane may drop: an emergency stays for anything less.
#define DROPPABLE "emergency <= ?3 AND NOT " OF_A_LATER_RUN
// What takes the place of this one.
#define PASSES_IT "emergency >= ?3 AND " OF_A_LATER_RUN

static void
bind_rank(struct query *query, const struct queue_job *job)
{
    query_text(query, job->app);
    query_text(query, job->env);
    query_int(query, job->emergency ? 1 : 0);
    query_int(query, job->asked_run);
}

// How many of the lane go when this one comes, and for which it goes itself: none unless it, or one
// that waits, wants the latest.
static void
ask_rank(struct query *query, struct store *store, const struct queue_job *job)
{
    query_init(query, store,
        "SELECT count(CASE WHEN " DROPPABLE " THEN 1 END),"
        " coalesce(max(CASE WHEN " PASSES_IT " THEN asked_run END), 0) FROM jobs WHERE " WAITS
        " AND (?5 = 1 OR EXISTS (SELECT 1 FROM jobs l"
        " WHERE l.app = ?1 AND l.env = ?2 AND l.state = 'queued' AND l.latest = 1))");
    bind_rank(query, job);
    query_int(query, job->latest ? 1 : 0);
}

static struct error *
read_rank(struct query *query, struct standing *out)
{
    if (query_row(query)) {
        out->dropped = query_get_int(query, 0);
        out->later_run = query_get_int(query, 1);
    }
    return query_finish(query);
}

static struct error *
read_number(struct query *query, int64_t *out, bool *found)
{
    *found = query_row(query);
    *out = *found ? query_get_int(query, 0) : 0;
    return query_finish(query);
}

// Locks the lane. What is decided by its jobs is read by later statements: what one that had to
// wait for a lock sees of other tables is older than the lock (READ COMMITTED).
static struct error *
look(struct store *store, const struct queue_acceptance *acceptance, struct arena *arena,
    struct standing *out)
{
    *out = (struct standing){0};
    struct query lane CLEANUP(query_done);
    struct query earlier CLEANUP(query_done);
    struct query rank CLEANUP(query_done);
    ask_lane(&lane, store, acceptance->job);
    ask_earlier(&earlier, store, &acceptance->idempotency, acceptance->jti);
    ask_rank(&rank, store, acceptance->job);
    query_send(&lane);
    query_send(&earlier);
    query_send(&rank);
    TRY(read_number(&lane, &out->queued, &out->lane));
    TRY(read_earlier(&earlier, arena, out->earlier));
    return out->queued > 0 ? read_rank(&rank, out) : NULL;
}

// The lane is made where it is missing.
static struct error *
enter_lane(struct store *store, const struct queue_acceptance *acceptance, struct arena *arena,
    struct standing *out)
{
    TRY(look(store, acceptance, arena, out));
    if (out->lane) {
        return NULL;
    }
    TRY(make_lane(store, acceptance->job));
    return look(store, acceptance, arena, out);
}

struct dropped {
    struct queue_job *items;
    size_t count;
};

static struct error *
drop_older(struct store *store, const struct queue_job *job, const struct queue_job *ending,
    int64_t now_ms, struct arena *arena, struct dropped *out)
{
    struct query query CLEANUP(query_done);
    // Its fence as well: somebody may be deciding about it at this moment.
    query_init(&query, store,
        "UPDATE jobs SET state = 'final', result = 'superseded', exit_code = 11,"
        " code = 'superseded', reason = ?6, who = NULL, until_ms = 0, superseded_by = ?7,"
        " ended_ms = ?8, owner = NULL, lease_until_ms = 0, fence = fence + 1 WHERE " WAITS
        " AND " DROPPABLE " AND number < ?5 RETURNING " QUEUE_COLUMNS);
    bind_rank(&query, job);
    query_int(&query, ending->number);
    query_text(&query, ending->reason);
    query_text(&query, job->id);
    query_int(&query, now_ms);
    while (query_row(&query)) {
        out->items = store_grow(arena, out->items, out->count, sizeof(*out->items));
        out->items[out->count++] = queue_read_job(&query, arena);
    }
    return query_run(&query);
}

// No row: its key is there by now, from another replica.
static void
ask_insert(struct query *query, struct store *store, const struct queue_acceptance *acceptance,
    int64_t now_ms)
{
    const struct queue_job *job = acceptance->job;
    const struct queue_idempotency *idempotency = &acceptance->idempotency;
    query_init(query, store,
        "INSERT INTO jobs (id, app, env, verb, version, request, state, code, reason, who,"
        " until_ms, latest, emergency, urgent, requester, repository, repository_id, infra, trace,"
        " created_ms, due_ms, scope, key, hash, asked_run) VALUES (?1, ?2, ?3, ?4, ?5, ?6,"
        " 'queued', ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?19, ?20, ?21,"
        " ?22, ?23)"
        " ON CONFLICT (scope, key) WHERE key IS NOT NULL DO NOTHING RETURNING number");
    query_text(query, job->id);
    query_text(query, job->app);
    query_text(query, job->env);
    query_text(query, job->verb);
    query_text(query, job->version);
    query_text(query, job->request != NULL ? job->request : "{}");
    query_text(query, job->code);
    query_text(query, job->reason);
    query_text(query, job->who);
    query_int(query, job->until_ms);
    query_int(query, job->latest ? 1 : 0);
    query_int(query, job->emergency ? 1 : 0);
    query_int(query, job->urgent ? 1 : 0);
    query_text(query, job->requester);
    query_text(query, job->repository);
    query_int(query, job->repository_id);
    query_text(query, job->infra);
    query_text(query, job->trace);
    query_int(query, now_ms);
    query_text(query, idempotency->scope);
    query_text(query, idempotency->key);
    query_text(query, idempotency->hash);
    query_int(query, job->asked_run);
}

// One of a later run waits already: this one's build only took longer, so it is what is older.
static struct error *
give_way(struct store *store, const struct queue_job *job, int64_t number, int64_t later_run,
    int64_t now_ms, struct arena *arena)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE jobs SET state = 'final', result = 'superseded', exit_code = 11,"
        " code = 'superseded', superseded_by = by_id, ended_ms = ?2,"
        " reason = '#' || by_number || ', of a later run of its workflow, waits already'"
        " FROM (SELECT id AS by_id, number AS by_number FROM jobs WHERE app = ?3 AND env = ?4 AND "
        "state = 'queued'"
        " AND asked_run = ?5 ORDER BY number DESC LIMIT 1) AS n"
        " WHERE jobs.number = ?1 RETURNING " QUEUE_COLUMNS);
    query_int(&query, number);
    query_int(&query, now_ms);
    query_text(&query, job->app);
    query_text(&query, job->env);
    query_int(&query, later_run);
    bool found = query_row(&query);
    struct queue_job ended = found ? queue_read_job(&query, arena) : (struct queue_job){0};
    TRY(query_run(&query));
    return found ? queue_audit_end(store, &ended, now_ms) : NULL;
}

static void
tell_dropped(
    const struct queue_acceptance *acceptance, const struct dropped *dropped, struct arena *arena)
{
    struct queue_ids *out = acceptance->superseded;
    if (out == NULL) {
        return;
    }
    *out = (struct queue_ids){arena_array(arena, dropped->count, sizeof(*out->items)), 0};
    for (size_t i = 0; i < dropped->count; i++) {
        out->items[out->count++] = dropped->items[i].id;
    }
}

static struct error *
supersede(struct store *store, const struct queue_acceptance *acceptance, int64_t number,
    int64_t now_ms, struct arena *arena)
{
    const struct queue_job *job = acceptance->job;
    struct dropped dropped = {0};
    const struct queue_job ending = {
        .number = number, // of the one that takes their place
        .reason = arena_printf(arena, "#%lld took its place%s%s", (long long)number,
            job->version != NULL ? " with version " : "", job->version != NULL ? job->version : ""),
    };
    TRY(drop_older(store, job, &ending, now_ms, arena, &dropped));
    for (size_t i = 0; i < dropped.count; i++) {
        TRY(queue_audit_end(store, &dropped.items[i], now_ms));
    }
    tell_dropped(acceptance, &dropped, arena);
    return NULL;
}

// One more replica had the same key or token at the same time.
static struct error *
raced(const struct queue_job *job)
{
    return error_new(ERROR_CONFLICT, "the same request for '%s' came twice at a time", job->app);
}

// The token first, so that the job is not there when it is spent; *number 0: it is, or the key.
static struct error *
read_written(struct query *token, struct query *row, bool has_token, int64_t *number)
{
    bool is_new = true;
    if (has_token) {
        TRY(query_run(token));
        is_new = query_changes(token) == 1;
    }
    *number = 0;
    if (!is_new) {
        return NULL;
    }
    *number = query_row(row) ? query_get_int(row, 0) : 0;
    return query_run(row);
}

// `with`: is sent along; NULL: nothing.
static struct error *
write_job(struct store *store, const struct queue_acceptance *acceptance, int64_t now_ms,
    struct query *with, int64_t *number)
{
    bool has_token = acceptance->jti != NULL;
    struct query token CLEANUP(query_done);
    struct query row CLEANUP(query_done);
    ask_token(&token, store, acceptance);
    ask_insert(&row, store, acceptance, now_ms);
    if (has_token) {
        query_send(&token);
    }
    query_send(&row);
    if (with != NULL) {
        query_send(with);
    }
    return read_written(&token, &row, has_token, number);
}

static struct error *
write_all(struct store *store, const struct queue_acceptance *acceptance, int64_t now_ms,
    struct arena *arena, const struct standing *standing)
{
    const struct queue_job *job = acceptance->job;
    int64_t number = 0, dropped = standing->dropped;
    bool stays = standing->later_run == 0, alone = dropped == 0 && stays;
    struct query settle CLEANUP(query_done);
    queue_lane_settle_ask(&settle, store, job->app, job->env, (stays ? 1 : 0) - dropped);
    TRY(write_job(store, acceptance, now_ms, alone ? &settle : NULL, &number));
    if (number == 0) {
        store->part_failed = true; // its token may be spent by now
        return raced(job);
    }
    if (dropped > 0) {
        TRY(supersede(store, acceptance, number, now_ms, arena));
    }
    if (!stays) {
        TRY(give_way(store, job, number, standing->later_run, now_ms, arena));
    }
    bool due = query_row(&settle) && query_get_int(&settle, 0) <= now_ms;
    TRY(query_run(&settle));
    if (due) {
        store_notify(store); // behind others there is nothing to be decided
    }
    if (acceptance->due != NULL) {
        *acceptance->due = due;
    }
    return NULL;
}

// Decides first, and writes then: an outcome that is none of the caller's doing leaves nothing.
static struct error *
accept(struct store *store, const struct queue_acceptance *acceptance, int64_t now_ms,
    struct arena *arena, enum queue_accepted *outcome, const char **id)
{
    struct standing standing = {0};
    TRY(enter_lane(store, acceptance, arena, &standing));
    check_once(standing.earlier, &acceptance->idempotency, outcome, id);
    if (*outcome != QUEUE_NEW) {
        return NULL;
    }
    if (acceptance->limit > 0 && standing.queued + 1 - standing.dropped > acceptance->limit) {
        *outcome = QUEUE_FULL;
        return NULL;
    }
    TRY(write_all(store, acceptance, now_ms, arena, &standing));
    *id = arena_dup(arena, acceptance->job->id);
    return NULL;
}

static struct error *
accept_alone(struct store *store, const struct queue_acceptance *acceptance, int64_t now_ms,
    struct arena *arena, enum queue_accepted *outcome, const char **id)
{
    *outcome = QUEUE_NEW;
    *id = NULL;
    TRY(store_begin(store));
    TRY(store->depth == 1 ? audit_lock_head(store) : NULL); // before the lane, as groups do
    return store_end(store, accept(store, acceptance, now_ms, arena, outcome, id));
}

struct error *
queue_accept(struct store *store, const struct queue_acceptance *acceptance, int64_t now_ms,
    struct arena *arena, enum queue_accepted *outcome, const char **id)
{
    enum queue_accepted what = QUEUE_NEW;
    const char *made = NULL;
    struct error *err = accept_alone(store, acceptance, now_ms, arena, &what, &made);
    if (err != NULL && error_kind(err) == ERROR_CONFLICT && store->depth == 0) {
        error_free(err); // now its key is there to be found
        err = accept_alone(store, acceptance, now_ms, arena, &what, &made);
    }
    TRY(err);
    *outcome = what;
    *id = made;
    return NULL;
}
