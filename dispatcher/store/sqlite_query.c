// The driver for SQLite: statements of one file, and what a failure of SQLite means to people.
// Opens nothing (database.c).
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
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
sqlite_error(struct store *store, int code, const char *doing)
{
    store->broken = store->broken || is_in_doubt(code);
    // The handle's own sentence names the constraint; other texts of a handle may be stale.
    bool fresh = store->db != NULL && sqlite3_extended_errcode(store->db) == code;
    const char *text = fresh ? sqlite3_errmsg(store->db) : sqlite3_errstr(code);
    struct error *err = error_new(ERROR_STORAGE, "%s journal '%s': %s", doing, store->path, text);
    const char *hint = hint_for(code);
    return hint != NULL ? error_hint(err, "%s", hint) : err;
}

static void
note(struct query *query, int code)
{
    if (!query->failed && code != SQLITE_OK) {
        query->failed = true;
        query->code = code;
        query->conflict = code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_UNIQUE;
    }
}

enum { CACHE_PROBES = 8 };

// The place of a text in the cache: one that holds it, else a free one, else the first of its run.
static size_t
place_of(const struct sqlite_cache *cache, const char *sql)
{
    size_t first = ((uintptr_t)sql >> 3) % ARRAY_LENGTH(cache->entries);
    size_t found = ARRAY_LENGTH(cache->entries);
    for (size_t i = 0; i < CACHE_PROBES; i++) {
        size_t at = (first + i) % ARRAY_LENGTH(cache->entries);
        if (cache->entries[at].sql == sql && strcmp(cache->entries[at].text, sql) == 0) {
            return at;
        }
        if (found == ARRAY_LENGTH(cache->entries) && cache->entries[at].sql == NULL) {
            found = at;
        }
    }
    return found < ARRAY_LENGTH(cache->entries) ? found : first;
}

// A statement is in the cache or in use, never both: two uses of one text at a time are two
// statements.
static sqlite3_stmt *
take(struct sqlite_cache *cache, const char *sql)
{
    size_t at = place_of(cache, sql);
    bool here = cache->entries[at].sql == sql && strcmp(cache->entries[at].text, sql) == 0;
    sqlite3_stmt *stmt = here ? cache->entries[at].stmt : NULL;
    if (stmt != NULL) {
        cache->entries[at].stmt = NULL;
    }
    return stmt;
}

static void
give_back(struct sqlite_cache *cache, const char *sql, sqlite3_stmt *stmt)
{
    size_t at = place_of(cache, sql);
    (void)sqlite3_reset(stmt); // repeats the failure of the last step
    (void)sqlite3_clear_bindings(stmt);
    (void)sqlite3_finalize(cache->entries[at].stmt);
    cache->entries[at].stmt = stmt;
    if (cache->entries[at].sql != sql || strcmp(cache->entries[at].text, sql) != 0) {
        free(cache->entries[at].text);
        cache->entries[at].text = xstrdup(sql);
        cache->entries[at].sql = sql;
    }
}

static void
forget(struct sqlite_cache *cache)
{
    for (size_t i = 0; i < ARRAY_LENGTH(cache->entries); i++) {
        (void)sqlite3_finalize(cache->entries[i].stmt);
        free(cache->entries[i].text);
    }
    *cache = (struct sqlite_cache){0};
}

static void
init(struct query *query, const char *sql)
{
    query->sql = sql;
    query->stmt = take(&query->store->cache, sql);
    if (query->stmt == NULL) {
        struct buf plain CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        if (strstr(sql, "FOR UPDATE") != NULL) {
            dialect_sqlite(sql, &plain);
            sql = buf_cstr(&plain);
        }
        note(query, sqlite3_prepare_v2(query->store->db, sql, -1, &query->stmt, NULL));
    }
    query->writes = query->stmt != NULL && sqlite3_stmt_readonly(query->stmt) == 0;
}

// Only rows are read and written again and again; the rest is of opening the file.
static bool
is_kept(const char *sql)
{
    return strncmp(sql, "PRAGMA", 6) != 0 && strncmp(sql, "CREATE", 6) != 0;
}

static void
done(struct query *query)
{
    if (query->stmt != NULL && !query->failed && is_kept(query->sql)) {
        give_back(&query->store->cache, query->sql, query->stmt);
    } else {
        (void)sqlite3_finalize(query->stmt);
    }
    query->stmt = NULL;
}

static void
text(struct query *query, const char *value)
{
    note(query, sqlite3_bind_text(query->stmt, query->position++, value, -1, SQLITE_STATIC));
}

static void
number(struct query *query, bool present, int64_t value)
{
    int position = query->position++;
    note(query, present ? sqlite3_bind_int64(query->stmt, position, value)
                        : sqlite3_bind_text(query->stmt, position, NULL, 0, SQLITE_STATIC));
}

static bool
row(struct query *query)
{
    int code = sqlite3_step(query->stmt);
    note(query, code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code);
    if (code == SQLITE_DONE && query->writes) {
        query->changes = sqlite3_changes(query->store->db);
    }
    return code == SQLITE_ROW;
}

static struct error *
failure(struct query *query)
{
    return sqlite_error(query->store, query->code, query->writes ? "write" : "read");
}

static const char *
get_text(struct query *query, int column)
{
    return (const char *)sqlite3_column_text(query->stmt, column);
}

static int64_t
get_int(struct query *query, int column)
{
    return sqlite3_column_int64(query->stmt, column);
}

static bool
in_transaction(const struct store *store)
{
    return sqlite3_get_autocommit(store->db) == 0;
}

// BEGIN IMMEDIATE has locked the whole file.
static struct error *
lock(struct store *store, const char *name)
{
    (void)store, (void)name;
    return NULL;
}

static void
close_database(struct store *store)
{
    if (store->db != NULL) {
        forget(&store->cache);
        BUG_ON(sqlite3_close(store->db) != SQLITE_OK); // a statement was left open
    }
}

const struct store_driver sqlite_driver = {
    .begin = "BEGIN IMMEDIATE",
    .init = init,
    .done = done,
    .text = text,
    .number = number,
    .row = row,
    .failure = failure,
    .get_text = get_text,
    .get_int = get_int,
    .in_transaction = in_transaction,
    .lock = lock,
    .claim = claims_take,
    .release = claims_give_back,
    .close = close_database,
};
