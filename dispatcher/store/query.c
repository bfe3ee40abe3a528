// Prepared statements and transactions, whatever the database. The only place that runs a
// statement; how one is told to SQLite or PostgreSQL is the driver's.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "store_internal.h"

struct error *
store_check(struct store *store)
{
    if (!store->broken) {
        return NULL;
    }
    struct error *err = error_new(
        ERROR_STORAGE, "journal '%s' failed before; nothing more is written to it", store->path);
    return error_hint(err, "Check the disk, then run 'dispatcher resume'.");
}

void
query_init(struct query *query, struct store *store, const char *sql)
{
    *query = (struct query){.store = store, .position = 1};
    store->driver->init(query, sql);
}

void
query_done(struct query *query)
{
    if (query->store != NULL) {
        query->store->driver->done(query);
        query->store = NULL;
    }
}

void
query_text(struct query *query, const char *text)
{
    if (!query->failed) {
        query->store->driver->text(query, text);
    }
}

void
query_int(struct query *query, int64_t number)
{
    query_maybe(query, true, number);
}

void
query_maybe(struct query *query, bool present, int64_t number)
{
    if (!query->failed) {
        query->store->driver->number(query, present, number);
    }
}

bool
query_row(struct query *query)
{
    bool row = !query->failed && !query->ended && query->store->driver->row(query);
    query->ended = !row; // asked once more, SQLite would begin anew
    return row;
}

struct error *
query_run(struct query *query)
{
    while (query_row(query)) {
    }
    return query_finish(query);
}

void
query_send(struct query *query)
{
    struct store *store = query->store;
    if (!query->failed && store->driver->send != NULL && store->depth > 0) {
        store->driver->send(query, false);
    }
}

struct error *
query_run_ahead(struct query *query)
{
    struct store *store = query->store;
    if (query->failed || store->driver->send == NULL || store->depth == 0) {
        return query_run(query);
    }
    store->driver->send(query, true);
    return query_finish(query);
}

struct error *
query_finish(struct query *query)
{
    return query->failed ? query->store->driver->failure(query) : NULL;
}

const char *
query_peek_text(struct query *query, int column)
{
    return query->store->driver->get_text(query, column);
}

const char *
query_get_text(struct query *query, int column, struct arena *arena)
{
    return arena_dup(arena, query_peek_text(query, column));
}

int64_t
query_get_int(struct query *query, int column)
{
    return query->store->driver->get_int(query, column);
}

int64_t
query_changes(const struct query *query)
{
    return query->changes;
}

bool
query_conflicts(const struct query *query)
{
    return query->failed && query->conflict;
}

struct error *
query_insert_id(struct query *query, int64_t *out)
{
    int64_t id = query_row(query) ? query_get_int(query, 0) : 0;
    TRY(query_run(query)); // SQLite has written once the last row was read
    *out = id;
    return NULL;
}

struct error *
store_run(struct store *store, const char *sql)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    query.writes = true;
    return query_run(&query);
}

struct error *
store_run_ahead(struct store *store, const char *sql)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    query.writes = true;
    return query_run_ahead(&query);
}

struct error *
store_begin(struct store *store)
{
    TRY(store_check(store));
    if (store->depth == 0) {
        TRY(store_run(store, store->driver->begin));
        store->part_failed = false;
        store->notify = false;
        store->audit = (struct store_audit_head){0};
    }
    store->depth++;
    return NULL;
}

struct error *
store_be_patient(struct store *store)
{
    return store->driver->patience != NULL ? store_run(store, store->driver->patience) : NULL;
}

struct error *
store_lock(struct store *store, const char *name)
{
    return store->driver->lock(store, name);
}

// What was put off until the end of the transaction, and the end.
static struct error *
commit(struct store *store)
{
    if (store->part_failed) {
        return error_new(ERROR_STORAGE, "write journal '%s': a part of it failed", store->path);
    }
    TRY(audit_flush(store));
    if (store->notify && store_is_shared(store)) {
        TRY(store_run(store, "NOTIFY dispatcher"));
    }
    return store_run(store, "COMMIT");
}

struct error *
store_end(struct store *store, struct error *err)
{
    BUG_ON(store->depth < 1);
    store->depth--;
    if (store->depth > 0) {
        store->part_failed =
            store->part_failed || (err != NULL && error_kind(err) != ERROR_CONFLICT);
        return err;
    }
    if (err == NULL) {
        err = commit(store);
    }
    if (err != NULL && store->driver->in_transaction(store)) {
        error_free(store_run(store, "ROLLBACK")); // the first failure is the one that is told
    }
    return err;
}

void *
store_grow(struct arena *arena, void *items, size_t count, size_t size)
{
    // Room for 8, then for twice as much at each power of two; what is outgrown stays in the arena.
    if (count < 8 ? count != 0 : (count & (count - 1)) != 0) {
        return items;
    }
    void *more = arena_array(arena, count < 8 ? 8 : 2 * count, size);
    if (count > 0) {
        memcpy(more, items, count * size);
    }
    return more;
}
