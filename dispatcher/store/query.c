// Prepared statements, transactions, and what a failure of SQLite means to people. The only place
// that steps a statement.
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

// After these the file's state is in doubt, and a second fsync may lie: fail-stop (protocols.md
// C20).
static bool
is_in_doubt(int code)
{
    int primary = code & 0xff;
    return primary == SQLITE_IOERR || primary == SQLITE_FULL || primary == SQLITE_CORRUPT ||
           primary == SQLITE_NOTADB;
}

static const char *
hint_for(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return "The disk is full: free some space, then run 'dispatcher resume'.";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "Restore it from a backup, or move it and its '-wal' and '-shm' files away to begin "
               "a "
               "new one; look up deployments that were running in the infra repository first.";
    case SQLITE_IOERR:
        return "The disk reported an error or is full; check it, then run 'dispatcher resume'.";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "Another process kept the journal locked for more than 10 seconds; find it, or try "
               "again.";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return "The journal and its directory must be writable; DISPATCHER_STATE names another "
               "file.";
    default:
        return NULL;
    }
}

struct error *
store_error(struct store *store, int code, const char *doing)
{
    store->broken = store->broken || is_in_doubt(code);
    // The handle's own sentence names the constraint; other texts of a handle may be stale.
    bool fresh = store->db != NULL && sqlite3_extended_errcode(store->db) == code;
    const char *text = fresh ? sqlite3_errmsg(store->db) : sqlite3_errstr(code);
    struct error *err = error_new(ERROR_STORAGE, "%s journal '%s': %s", doing, store->path, text);
    const char *hint = hint_for(code);
    return hint != NULL ? error_hint(err, "%s", hint) : err;
}

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
    query->code = sqlite3_prepare_v2(store->db, sql, -1, &query->stmt, NULL);
    query->writes = query->stmt != NULL && sqlite3_stmt_readonly(query->stmt) == 0;
}

void
query_done(struct query *query)
{
    (void)sqlite3_finalize(query->stmt); // repeats the failure of the last step
    query->stmt = NULL;
}

static void
note(struct query *query, int code)
{
    if (query->code == SQLITE_OK) {
        query->code = code;
    }
}

void
query_text(struct query *query, const char *text)
{
    if (query->code == SQLITE_OK) {
        note(query, sqlite3_bind_text(query->stmt, query->position++, text, -1, SQLITE_STATIC));
    }
}

void
query_int(struct query *query, int64_t number)
{
    if (query->code == SQLITE_OK) {
        note(query, sqlite3_bind_int64(query->stmt, query->position++, number));
    }
}

bool
query_row(struct query *query)
{
    if (query->code != SQLITE_OK) {
        return false;
    }
    int code = sqlite3_step(query->stmt);
    note(query, code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code);
    return code == SQLITE_ROW;
}

struct error *
query_run(struct query *query)
{
    while (query_row(query)) {
    }
    return query_finish(query);
}

struct error *
query_finish(struct query *query)
{
    if (query->code == SQLITE_OK) {
        return NULL;
    }
    return store_error(query->store, query->code, query->writes ? "write" : "read");
}

const char *
query_get_text(struct query *query, int column, struct arena *arena)
{
    const unsigned char *text = sqlite3_column_text(query->stmt, column);
    return arena_dup(arena, (const char *)text);
}

int64_t
query_get_int(struct query *query, int column)
{
    return sqlite3_column_int64(query->stmt, column);
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
store_begin(struct store *store)
{
    TRY(store_check(store));
    return store_run(store, "BEGIN IMMEDIATE");
}

struct error *
store_end(struct store *store, struct error *err)
{
    if (err == NULL) {
        err = store_run(store, "COMMIT");
    }
    if (err != NULL && sqlite3_get_autocommit(store->db) == 0) {
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
