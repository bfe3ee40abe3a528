// Rows from one database to another, table by table, whatever the tables are: their columns are
// read from SQLite's side. Sees every value, and understands none.
#include <string.h>

#include "backup_internal.h"
#include "dispatcher/memory.h"

enum { STATEMENT_MAX = 16 * 1024 };

struct column {
    const char *name;
    bool number;
};

struct table {
    const char *name;
    struct column *columns;
    size_t count;
    const char *identity; // the column that numbers its rows, or NULL
    bool autoincrement;   // numbers are never given twice, also not those of deleted rows
};

struct tables {
    struct table *list;
    size_t count;
};

// --- what there is -------------------------------------------------------------------------------

static void
add_column(struct arena *arena, struct table *table, const char *name, bool number)
{
    table->columns = store_grow(arena, table->columns, table->count, sizeof(*table->columns));
    table->columns[table->count++] = (struct column){name, number};
}

// As dialect.c has it: a table without a number of its own has a rowid.
static struct error *
read_columns(struct store *sqlite, const char *definition, struct arena *arena, struct table *table)
{
    bool own = strstr(definition, "INTEGER PRIMARY KEY") != NULL;
    table->autoincrement = strstr(definition, "AUTOINCREMENT") != NULL;
    if (!own && strstr(definition, "WITHOUT ROWID") == NULL) {
        table->identity = "rowid";
        add_column(arena, table, table->identity, true);
    }
    struct query query CLEANUP(query_done);
    query_init(&query, sqlite, "SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid");
    query_text(&query, table->name);
    while (query_row(&query)) {
        const char *name = query_get_text(&query, 0, arena);
        add_column(arena, table, name, cstr_equal(query_get_text(&query, 1, arena), "INTEGER"));
        if (own && query_get_int(&query, 2) == 1) {
            table->identity = name;
        }
    }
    return query_finish(&query);
}

// In order of creation, so that what is referred to comes first.
static struct error *
read_tables(struct store *sqlite, struct arena *arena, struct tables *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, sqlite,
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        " ORDER BY rowid");
    while (query_row(&query)) {
        struct table table = {.name = query_get_text(&query, 0, arena)};
        TRY(read_columns(sqlite, query_get_text(&query, 1, arena), arena, &table));
        out->list = store_grow(arena, out->list, out->count, sizeof(*out->list));
        out->list[out->count++] = table;
    }
    return query_finish(&query);
}

// "id, app, env" or "?, ?, ?"
static void
put_list(const struct table *table, bool names, struct buf *out)
{
    for (size_t i = 0; i < table->count; i++) {
        buf_printf(out, "%s%s", i > 0 ? ", " : "", names ? table->columns[i].name : "?");
    }
}

// --- rows ----------------------------------------------------------------------------------------

// Rows of a statement that may give more than fits into memory: PostgreSQL's come in portions.
struct reader {
    struct store *store;
    struct query query;
    bool portions, any;
};

#define FETCH "FETCH 200 FROM copied"

static struct error *
reader_init(struct reader *reader, struct store *store, const char *sql)
{
    *reader = (struct reader){.store = store, .portions = store_is_shared(store)};
    if (reader->portions) {
        char *declare CLEANUP(xfreep) = xasprintf("DECLARE copied NO SCROLL CURSOR FOR %s", sql);
        TRY(store_run(store, declare));
        sql = FETCH;
    }
    query_init(&reader->query, store, sql);
    return NULL;
}

static bool
reader_row(struct reader *reader)
{
    while (!query_row(&reader->query)) {
        if (reader->query.failed || !reader->portions || !reader->any) {
            return false;
        }
        reader->any = false;
        query_done(&reader->query);
        query_init(&reader->query, reader->store, FETCH);
    }
    reader->any = true;
    return true;
}

static void
reader_done(struct reader *reader)
{
    bool close = reader->portions && reader->query.store != NULL && !reader->query.failed;
    query_done(&reader->query);
    if (close) {
        error_free(store_run(reader->store, "CLOSE copied")); // if it fails, so does the next one
    }
}

static struct error *
write_row(struct query *row, const struct table *table, struct store *to, const char *sql)
{
    struct query query CLEANUP(query_done);
    query_init(&query, to, sql);
    for (size_t i = 0; i < table->count; i++) {
        int column = (int)i;
        const char *text = query_peek_text(row, column);
        if (table->columns[i].number) {
            query_maybe(&query, text != NULL, query_get_int(row, column));
        } else {
            query_text(&query, text);
        }
    }
    return query_run(&query);
}

static struct error *
copy_table(const struct table *table, struct store *from, struct store *to)
{
    struct buf select CLEANUP(buf_done) = BUF_INIT(STATEMENT_MAX);
    struct buf insert CLEANUP(buf_done) = BUF_INIT(STATEMENT_MAX);
    buf_puts(&select, "SELECT ");
    put_list(table, true, &select);
    buf_printf(&select, " FROM %s", table->name);
    if (table->identity != NULL) {
        buf_printf(&select, " ORDER BY %s", table->identity);
    }
    buf_printf(&insert, "INSERT INTO %s (", table->name);
    put_list(table, true, &insert);
    buf_puts(&insert, ") VALUES (");
    put_list(table, false, &insert);
    buf_puts(&insert, ")");
    TRY(buf_finish(&select, "statement"));
    TRY(buf_finish(&insert, "statement"));
    struct reader reader CLEANUP(reader_done) = {0};
    TRY(reader_init(&reader, from, buf_cstr(&select)));
    while (reader_row(&reader)) {
        TRY(write_row(&reader.query, table, to, buf_cstr(&insert)));
    }
    return query_finish(&reader.query);
}

// --- the next number of a table ------------------------------------------------------------------

static struct error *
ask(struct query *query, int64_t *out)
{
    if (query_row(query)) {
        *out = query_get_int(query, 0);
    }
    return query_finish(query);
}

// The highest that was ever given.
static struct error *
read_sequence(struct store *store, const struct table *table, int64_t *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        store_is_shared(store)
            ? "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(?, ?) AS regclass))"
            : "SELECT seq FROM sqlite_sequence WHERE name = ?");
    query_text(&query, table->name);
    if (store_is_shared(store)) {
        query_text(&query, table->identity);
    }
    return ask(&query, out);
}

static struct error *
read_highest(struct store *store, const struct table *table, int64_t *out)
{
    char *sql CLEANUP(xfreep) =
        xasprintf("SELECT coalesce(max(%s), 0) FROM %s", table->identity, table->name);
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    return ask(&query, out);
}

static struct error *
write_sequence(struct store *store, const struct table *table, int64_t value)
{
    struct query query CLEANUP(query_done);
    if (store_is_shared(store)) {
        query_init(
            &query, store, "SELECT setval(CAST(pg_get_serial_sequence(?, ?) AS regclass), ?)");
        query_text(&query, table->name);
        query_text(&query, table->identity);
        query_int(&query, value);
        return query_run(&query);
    }
    query_init(&query, store, "DELETE FROM sqlite_sequence WHERE name = ?");
    query_text(&query, table->name);
    TRY(query_run(&query));
    query_done(&query);
    query_init(&query, store, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)");
    query_text(&query, table->name);
    query_int(&query, value);
    return query_run(&query);
}

static struct error *
copy_sequence(const struct table *table, struct store *from, struct store *to)
{
    int64_t given = 0, highest = 0;
    if (table->identity == NULL || !(table->autoincrement || store_is_shared(to))) {
        return NULL;
    }
    if (table->autoincrement) {
        TRY(read_sequence(from, table, &given));
    }
    TRY(read_highest(to, table, &highest));
    int64_t value = given > highest ? given : highest;
    return value > 0 ? write_sequence(to, table, value) : NULL;
}

// --- all of it -----------------------------------------------------------------------------------

static struct error *
delete_rows(struct store *store, const struct tables *tables)
{
    for (size_t i = tables->count; i > 0; i--) { // those that refer to others first
        char *sql CLEANUP(xfreep) = xasprintf("DELETE FROM %s", tables->list[i - 1].name);
        TRY(store_run(store, sql));
    }
    return NULL;
}

struct error *
copy_rows(struct store *from, struct store *to)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct tables tables = {0};
    TRY(read_tables(store_is_shared(from) ? to : from, arena, &tables));
    TRY(delete_rows(to, &tables));
    for (size_t i = 0; i < tables.count; i++) {
        TRY(copy_table(&tables.list[i], from, to));
        TRY(copy_sequence(&tables.list[i], from, to));
    }
    return NULL;
}

static struct error *
count_rows(struct store *store, const char *table, int64_t *out)
{
    char *sql CLEANUP(xfreep) = xasprintf("SELECT count(*) FROM %s", table);
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    return ask(&query, out);
}

// SQLite's is locked as a whole.
static struct error *
lock_table(struct store *store, const char *table)
{
    char *sql CLEANUP(xfreep) = xasprintf("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", table);
    return store_is_shared(store) ? store_run(store, sql) : NULL;
}

struct error *
copy_target_is_new(struct store *store, bool *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store *fresh CLEANUP(store_closep) = NULL;
    struct tables tables = {0};
    bool is_new = true;
    TRY(backup_open("", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &fresh));
    TRY(backup_migrate(fresh));
    TRY(read_tables(fresh, arena, &tables));
    for (size_t i = 0; is_new && i < tables.count; i++) {
        int64_t expected = 0, found = 0;
        TRY(lock_table(store, tables.list[i].name));
        TRY(count_rows(fresh, tables.list[i].name, &expected));
        TRY(count_rows(store, tables.list[i].name, &found));
        is_new = expected == found;
    }
    *out = is_new;
    return NULL;
}
