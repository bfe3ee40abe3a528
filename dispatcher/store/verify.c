// Reading all of a database to say whether it is whole: its pages, its references, its documents,
// its audit chain. Changes nothing.
#include <string.h>

#include "backup_internal.h"
#include "dispatcher/audit.h"
#include "dispatcher/file.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"

static const struct json_limits limits = {.max_bytes = 64 * 1024 * 1024, .max_depth = 64};

// Columns that hold JSON, and the key by which their rows are read in portions.
static const struct document {
    const char *table, *key, *column;
    bool number; // the key is one
} documents[] = {
    {"deployments", "id", "document", false},
    {"events", "sequence", "json", true},
    {"jobs", "number", "request", true},
};

enum { PORTION = 200, KEY_MAX = 4096, SCHEMA_MAX = 256 * 1024 };

static struct error *
has_table(struct store *store, const char *name, bool *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        store_is_shared(store)
            ? "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass(?)"
            : "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?");
    query_text(&query, name);
    bool found = query_row(&query) && query_get_int(&query, 0) > 0;
    TRY(query_finish(&query));
    *out = found;
    return NULL;
}

static struct error *
read_number(struct store *store, const char *sql, int64_t *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    if (query_row(&query)) {
        *out = query_get_int(&query, 0);
    }
    return query_finish(&query);
}

static struct error *
count_rows(struct store *store, const char *table, int64_t *out)
{
    char *sql CLEANUP(xfreep) = xasprintf("SELECT count(*) FROM %s", table);
    bool found = false;
    TRY(has_table(store, table, &found));
    return found ? read_number(store, sql, out) : NULL;
}

// --- SQLite's own view ---------------------------------------------------------------------------

static struct error *
check_file(struct store *store, struct arena *arena, const char **problem)
{
    struct query pages CLEANUP(query_done);
    query_init(&pages, store, "PRAGMA integrity_check(1)");
    const char *verdict = query_row(&pages) ? query_get_text(&pages, 0, arena) : "no verdict";
    TRY(query_finish(&pages));
    if (!cstr_equal(verdict, "ok")) {
        *problem = verdict;
        return NULL;
    }
    struct query references CLEANUP(query_done);
    query_init(&references, store, "PRAGMA foreign_key_check");
    if (query_row(&references)) {
        *problem = arena_printf(arena, "a row of '%s' refers to one of '%s' that is not there",
            query_get_text(&references, 0, arena), query_get_text(&references, 2, arena));
    }
    return query_finish(&references);
}

static struct error *
check_schema(struct store *store, struct arena *arena, struct store_verification *out)
{
    int64_t application = 0;
    TRY(read_number(store, "PRAGMA application_id", &application));
    TRY(read_number(store, "PRAGMA user_version", &out->schema));
    if (application != STORE_APPLICATION_ID) {
        out->problem = "it is no journal of dispatcher";
    } else if (out->schema < 1 || out->schema > store_schema_version) {
        out->problem = arena_printf(arena, "it has schema %lld, but this dispatcher knows 1 to %d",
            (long long)out->schema, store_schema_version);
    }
    return NULL;
}

// What a file defines, one line each: also the indexes that let one job of a lane run, and no table
// whose name would be a part of a statement elsewhere.
static struct error *
put_schema(struct store *store, struct buf *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT coalesce(type, ''), coalesce(name, ''), coalesce(tbl_name, ''), coalesce(sql, '')"
        " FROM sqlite_schema WHERE coalesce(name, '') NOT LIKE 'sqlite^_stat%' ESCAPE '^'"
        " ORDER BY 1, 2");
    while (query_row(&query)) {
        for (int i = 0; i < 4; i++) {
            buf_puts(out, query_peek_text(&query, i));
            buf_putc(out, i < 3 ? '\t' : '\n');
        }
    }
    return query_finish(&query);
}

static struct error *
check_definitions(struct store *store, struct arena *arena, struct store_verification *out)
{
    struct store *fresh CLEANUP(store_closep) = NULL;
    struct buf expected CLEANUP(buf_done) = BUF_INIT(SCHEMA_MAX);
    struct buf found CLEANUP(buf_done) = BUF_INIT(SCHEMA_MAX);
    TRY(backup_open("", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &fresh));
    TRY(store_migrate(fresh, (int)out->schema));
    TRY(put_schema(fresh, &expected));
    TRY(put_schema(store, &found));
    if (found.failed || !str_equal(buf_str(&expected), buf_str(&found))) {
        out->problem = arena_printf(
            arena, "its tables and indexes are not those of schema %lld", (long long)out->schema);
    }
    return NULL;
}

// --- documents -----------------------------------------------------------------------------------

struct place {
    struct buf *text;
    int64_t number;
};

// Goes on after `place`; *count is how many there were.
static struct error *
check_portion(struct store *store, const struct document *document, struct arena *arena,
    struct place *place, int *count, const char **problem)
{
    char *sql CLEANUP(xfreep) = xasprintf("SELECT %s, %s FROM %s WHERE %s > ? ORDER BY %s LIMIT %d",
        document->key, document->column, document->table, document->key, document->key, PORTION);
    struct buf after CLEANUP(buf_done) = BUF_INIT(KEY_MAX);
    buf_add(&after, buf_str(place->text));
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    if (document->number) {
        query_int(&query, place->number);
    } else {
        query_text(&query, buf_cstr(&after));
    }
    for (*count = 0; *problem == NULL && query_row(&query); ++*count) {
        struct json *value CLEANUP(json_freep) = NULL;
        buf_reset(place->text);
        buf_puts(place->text, query_peek_text(&query, 0));
        place->number = query_get_int(&query, 0);
        struct error *err CLEANUP(error_freep) =
            json_parse(str_of(query_peek_text(&query, 1)), &limits, &value);
        if (err != NULL) {
            *problem = arena_printf(arena, "'%s' of '%s' in '%s' is not JSON", document->column,
                buf_cstr(place->text), document->table);
        }
    }
    return query_finish(&query);
}

static struct error *
check_documents(
    struct store *store, const struct document *document, struct arena *arena, const char **problem)
{
    bool found = false;
    struct buf text CLEANUP(buf_done) = BUF_INIT(KEY_MAX);
    struct place place = {.text = &text, .number = INT64_MIN};
    TRY(has_table(store, document->table, &found));
    for (int count = PORTION; found && count == PORTION && *problem == NULL;) {
        TRY(check_portion(store, document, arena, &place, &count, problem));
    }
    return NULL;
}

// --- the audit log -------------------------------------------------------------------------------

static struct error *
check_audit(struct store *store, struct arena *arena, struct store_verification *out)
{
    bool found = false;
    struct audit_verdict verdict = {0};
    TRY(has_table(store, "audit", &found));
    if (!found) {
        return NULL; // older than the audit log
    }
    TRY(audit_verify(store, arena, &verdict));
    out->audit_entries = verdict.entries;
    if (verdict.broken_at != 0) {
        out->problem = arena_printf(arena, "the audit chain is broken at entry %lld: %s",
            (long long)verdict.broken_at, verdict.why);
    }
    return NULL;
}

// --- all of it -----------------------------------------------------------------------------------

struct error *
verify_store(struct store *store, struct arena *arena, struct store_verification *out)
{
    struct store_verification seen = {0};
    TRY(check_schema(store, arena, &seen));
    if (seen.problem == NULL && !store_is_shared(store)) {
        TRY(check_definitions(store, arena, &seen));
    }
    if (seen.problem == NULL && !store_is_shared(store)) {
        TRY(check_file(store, arena, &seen.problem));
    }
    if (seen.problem == NULL) {
        TRY(count_rows(store, "deployments", &seen.deployments));
        TRY(count_rows(store, "jobs", &seen.jobs));
    }
    for (size_t i = 0; seen.problem == NULL && i < ARRAY_LENGTH(documents); i++) {
        TRY(check_documents(store, &documents[i], arena, &seen.problem));
    }
    if (seen.problem == NULL) {
        TRY(check_audit(store, arena, &seen));
    }
    *out = seen;
    return NULL;
}

static struct error *
verify_file(const char *path, struct arena *arena, struct store_verification *out)
{
    struct store *store CLEANUP(store_closep) = NULL;
    TRY(backup_open(path, SQLITE_OPEN_READONLY, &store));
    return verify_store(store, arena, out);
}

struct error *
store_verify(const char *path, struct arena *arena, struct store_verification *out)
{
    path += str_starts(str_of(path), STR("sqlite:")) ? strlen("sqlite:") : 0;
    if (!file_exists(path)) {
        return error_new(ERROR_INPUT, "there is no file '%s'", path);
    }
    struct error *err = verify_file(path, arena, out);
    return err != NULL ? error_hint(err, "This file cannot be used as a backup: take another one.")
                       : NULL;
}
