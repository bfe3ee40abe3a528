// Locks and freezes, and approvals, as rows: what they hold and whom they let pass is policy.
#include <string.h>

#include "queue_internal.h"

#define LOCK_COLUMNS                                                                               \
    "sequence, scope, app, env, program, level, reason, owner, on_release, created_ms, starts_ms," \
    " expires_ms, released_ms, released_by, epoch"

static struct queue_lock
read_lock(struct query *query, struct arena *arena)
{
    return (struct queue_lock){
        .id = arena_printf(arena, "l-%lld", (long long)query_get_int(query, 0)),
        .scope = query_get_text(query, 1, arena),
        .app = query_get_text(query, 2, arena),
        .env = query_get_text(query, 3, arena),
        .program = query_get_text(query, 4, arena),
        .level = query_get_text(query, 5, arena),
        .reason = query_get_text(query, 6, arena),
        .owner = query_get_text(query, 7, arena),
        .on_release = query_get_text(query, 8, arena),
        .created_ms = query_get_int(query, 9),
        .starts_ms = query_get_int(query, 10),
        .expires_ms = query_get_int(query, 11),
        .released_ms = query_get_int(query, 12),
        .released_by = query_get_text(query, 13, arena),
        .epoch = query_get_int(query, 14),
    };
}

static struct error *
read_locks(struct query *query, struct arena *arena, struct queue_lock **out, size_t *count)
{
    struct queue_lock *found = NULL;
    size_t length = 0;
    while (query_row(query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = read_lock(query, arena);
    }
    TRY(query_finish(query));
    *out = found;
    *count = length;
    return NULL;
}

// 0 for what is no id of a lock.
static int64_t
sequence_of(const char *id)
{
    int64_t sequence = 0;
    bool fits = id != NULL && strncmp(id, "l-", 2) == 0 && str_to_int64(str_of(id + 2), &sequence);
    return fits ? sequence : 0;
}

struct error *
queue_lock_add(struct store *store, struct queue_lock *lock, int64_t now_ms, struct arena *arena)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO deploy_locks (scope, app, env, program, level, reason, owner, on_release,"
        " created_ms, starts_ms, expires_ms, released_ms, epoch)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 1) RETURNING sequence");
    query_text(&query, lock->scope);
    query_text(&query, lock->app);
    query_text(&query, lock->env);
    query_text(&query, lock->program);
    query_text(&query, lock->level);
    query_text(&query, lock->reason);
    query_text(&query, lock->owner);
    query_text(&query, lock->on_release != NULL ? lock->on_release : "run");
    query_int(&query, now_ms);
    query_int(&query, lock->starts_ms > 0 ? lock->starts_ms : now_ms);
    query_int(&query, lock->expires_ms);
    int64_t sequence = 0;
    TRY(query_insert_id(&query, &sequence));
    lock->id = arena_printf(arena, "l-%lld", (long long)sequence);
    lock->epoch = 1;
    lock->created_ms = now_ms;
    lock->starts_ms = lock->starts_ms > 0 ? lock->starts_ms : now_ms;
    lock->on_release = lock->on_release != NULL ? lock->on_release : "run";
    return NULL;
}

struct error *
queue_lock_release(struct store *store, const char *id, int64_t epoch, const char *by,
    int64_t now_ms, bool *released)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE deploy_locks SET released_ms = ?1, released_by = ?2, epoch = epoch + 1"
        " WHERE sequence = ?3 AND epoch = ?4 AND released_ms = 0");
    query_int(&query, now_ms);
    query_text(&query, by);
    query_int(&query, sequence_of(id));
    query_int(&query, epoch);
    TRY(query_run(&query));
    *released = query_changes(&query) == 1;
    return NULL;
}

struct error *
queue_lock_get(struct store *store, const char *id, struct arena *arena, struct queue_lock **out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT " LOCK_COLUMNS " FROM deploy_locks WHERE sequence = ?");
    query_int(&query, sequence_of(id));
    struct queue_lock *found = NULL;
    size_t count = 0;
    TRY(read_locks(&query, arena, &found, &count));
    *out = count > 0 ? found : NULL;
    return NULL;
}

struct error *
queue_locks(struct store *store, bool past, int64_t now_ms, struct arena *arena,
    struct queue_lock **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    // One that has expired holds no more, whether or not somebody has written that down.
    query_init(&query, store,
        past ? "SELECT " LOCK_COLUMNS " FROM deploy_locks WHERE sequence > ?"
               " ORDER BY sequence DESC LIMIT 1000"
             : "SELECT " LOCK_COLUMNS " FROM deploy_locks WHERE released_ms = 0"
               " AND (expires_ms = 0 OR expires_ms > ?) ORDER BY sequence DESC");
    query_int(&query, past ? 0 : now_ms);
    return read_locks(&query, arena, out, count);
}

struct error *
queue_locks_dropping(struct store *store, int64_t since_ms, struct arena *arena,
    struct queue_lock **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT " LOCK_COLUMNS " FROM deploy_locks WHERE on_release = 'drop' AND (released_ms > ?"
        " OR (released_ms = 0 AND expires_ms > ?)) ORDER BY sequence DESC");
    query_int(&query, since_ms);
    query_int(&query, since_ms);
    return read_locks(&query, arena, out, count);
}

struct error *
queue_locks_expire(struct store *store, int64_t now_ms, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE deploy_locks SET released_ms = expires_ms, released_by = 'expired',"
        " epoch = epoch + 1 WHERE released_ms = 0 AND expires_ms > 0 AND expires_ms <= ?");
    query_int(&query, now_ms);
    TRY(query_run(&query));
    *count = (size_t)query_changes(&query);
    return NULL;
}

// --- approvals -----------------------------------------------------------------------------------

struct error *
queue_approve(struct store *store, const struct queue_approval *approval)
{
    TRY(store_check(store));
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *person = approval->by_id != 0
                             ? arena_printf(arena, "#%lld", (long long)approval->by_id)
                             : approval->by;
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO approvals (job, person, login, login_id, version, diff, note, rejected, at_ms,"
        " expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (job, person) DO UPDATE SET login = excluded.login,"
        " version = excluded.version, diff = excluded.diff, note = excluded.note,"
        " rejected = excluded.rejected, at_ms = excluded.at_ms, expires_ms = excluded.expires_ms");
    query_text(&query, approval->job);
    query_text(&query, person);
    query_text(&query, approval->by);
    query_int(&query, approval->by_id);
    query_text(&query, approval->version);
    query_text(&query, approval->diff);
    query_text(&query, approval->note);
    query_int(&query, approval->rejected ? 1 : 0);
    query_int(&query, approval->at_ms);
    query_int(&query, approval->expires_ms);
    return query_run(&query);
}

struct error *
queue_approvals(struct store *store, const char *job, struct arena *arena,
    struct queue_approval **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT job, login, login_id, version, diff, note, rejected, at_ms, expires_ms"
        " FROM approvals WHERE job = ? ORDER BY at_ms, person");
    query_text(&query, job);
    struct queue_approval *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = (struct queue_approval){
            .job = query_get_text(&query, 0, arena),
            .by = query_get_text(&query, 1, arena),
            .by_id = query_get_int(&query, 2),
            .version = query_get_text(&query, 3, arena),
            .diff = query_get_text(&query, 4, arena),
            .note = query_get_text(&query, 5, arena),
            .rejected = query_get_int(&query, 6) != 0,
            .at_ms = query_get_int(&query, 7),
            .expires_ms = query_get_int(&query, 8),
        };
    }
    TRY(query_finish(&query));
    *out = found;
    *count = length;
    return NULL;
}
