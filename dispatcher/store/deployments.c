// Deployments and their step logs: rows in, rows out. Does not look into the document.
#include <string.h>

#include "store_internal.h"

enum { LIST_DEFAULT = 50, PREFIX_MIN = 6 };

#define COLUMNS "id, app, env, version, state, result, exit_code, created_ms, updated_ms, document"

static void
bind_row(struct query *query, const struct store_deployment *row)
{
    query_text(query, row->app);
    query_text(query, row->env);
    query_text(query, row->version);
    query_text(query, row->state);
    query_text(query, row->result);
    query_int(query, row->exit_code);
    query_int(query, row->updated_ms);
    query_text(query, row->document);
    query_text(query, row->id);
}

static void
read_row(struct query *query, struct arena *arena, struct store_deployment *out)
{
    *out = (struct store_deployment){
        .id = query_get_text(query, 0, arena),
        .app = query_get_text(query, 1, arena),
        .env = query_get_text(query, 2, arena),
        .version = query_get_text(query, 3, arena),
        .state = query_get_text(query, 4, arena),
        .result = query_get_text(query, 5, arena),
        .exit_code = (int)query_get_int(query, 6),
        .created_ms = query_get_int(query, 7),
        .updated_ms = query_get_int(query, 8),
        .document = query_get_text(query, 9, arena),
    };
}

struct error *
deployments_insert(struct store *store, const struct store_deployment *row)
{
    TRY(store_check_fence(store, row->id));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO deployments (app, env, version, state, result, exit_code, updated_ms, "
        "document,"
        " id, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind_row(&query, row);
    query_int(&query, row->created_ms);
    struct error *err = query_run(&query);
    if (query_conflicts(&query)) {
        return error_wrap(err, "deployment '%s' is already in the journal", row->id);
    }
    return err;
}

struct error *
store_insert(struct store *store, const struct store_deployment *row)
{
    if (store->depth == 0 && store->fenced == NULL) {
        TRY(store_check(store));
        return deployments_insert(store, row); // one statement
    }
    TRY(store_begin(store));
    return store_end(store, deployments_insert(store, row));
}

static struct error *
update_row(struct store *store, const struct store_deployment *row)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE deployments SET app = ?, env = ?, version = ?, state = ?, result = ?, exit_code = "
        "?,"
        " updated_ms = ?, document = ? WHERE id = ?");
    bind_row(&query, row);
    TRY(query_run(&query));
    if (query_changes(&query) != 1) {
        return error_new(
            ERROR_STORAGE, "deployment '%s' is not in journal '%s'", row->id, store->path);
    }
    return NULL;
}

static struct error *
append_step(struct store *store, const char *id, const struct store_step *step)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO steps (deployment, ordinal, name, state, note, at_ms) VALUES (?, ?, ?, ?, ?, "
        "?)");
    query_text(&query, id);
    query_int(&query, step->ordinal);
    query_text(&query, step->name);
    query_text(&query, step->state);
    query_text(&query, step->note);
    query_int(&query, step->at_ms);
    return query_run(&query);
}

struct error *
deployments_update(
    struct store *store, const struct store_deployment *row, const struct store_step *step)
{
    TRY(store_check_fence(store, row->id));
    TRY(update_row(store, row));
    return step != NULL ? append_step(store, row->id, step) : NULL;
}

struct error *
store_save(struct store *store, const struct store_deployment *row, const struct store_step *step)
{
    TRY(store_begin(store));
    return store_end(store, deployments_update(store, row, step));
}

struct error *
store_find(struct store *store, const char *id, struct arena *arena, struct store_deployment **out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    // The whole id wins over a longer one that starts with it. U+10FFFF sorts after all text.
    query_init(&query, store,
        "SELECT " COLUMNS " FROM deployments WHERE id = ?1 OR"
        " (?2 = 1 AND id > ?1 AND id < ?1 || char(0x10ffff)) ORDER BY id LIMIT 2");
    query_text(&query, id);
    query_int(&query, strlen(id) >= PREFIX_MIN);
    struct store_deployment rows[2] = {0};
    size_t count = 0;
    while (count < ARRAY_LENGTH(rows) && query_row(&query)) {
        read_row(&query, arena, &rows[count++]);
    }
    TRY(query_finish(&query));
    bool exact = count > 0 && cstr_equal(rows[0].id, id);
    if (count > 1 && !exact) {
        struct error *err = error_new(ERROR_USAGE, "several deployments start with '%s'", id);
        return error_hint(
            err, "Give more of the id: '%s' and '%s' are two of them.", rows[0].id, rows[1].id);
    }
    *out = NULL;
    if (count > 0) {
        *out = arena_alloc(arena, sizeof(**out));
        **out = rows[0];
    }
    return NULL;
}

struct error *
store_list(struct store *store, const struct store_filter *filter, struct arena *arena,
    struct store_deployment **rows, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT " COLUMNS " FROM deployments WHERE (?1 IS NULL OR app = ?1) AND (?2 IS NULL OR"
        " env = ?2) AND (?3 IS NULL OR state = ?3) ORDER BY created_ms DESC, rowid DESC LIMIT ?4");
    query_text(&query, filter->app);
    query_text(&query, filter->env);
    query_text(&query, filter->state);
    query_int(&query, filter->limit > 0 ? filter->limit : LIST_DEFAULT);
    struct store_deployment *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        read_row(&query, arena, &found[length++]);
    }
    TRY(query_finish(&query));
    *rows = found;
    *count = length;
    return NULL;
}

struct error *
store_steps(struct store *store, const char *id, struct arena *arena, struct store_step **steps,
    size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT ordinal, name, state, note, at_ms FROM steps WHERE deployment = ? ORDER BY "
        "sequence");
    query_text(&query, id);
    struct store_step *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = (struct store_step){
            .ordinal = (int)query_get_int(&query, 0),
            .name = query_get_text(&query, 1, arena),
            .state = query_get_text(&query, 2, arena),
            .note = query_get_text(&query, 3, arena),
            .at_ms = query_get_int(&query, 4),
        };
    }
    TRY(query_finish(&query));
    *steps = found;
    *count = length;
    return NULL;
}
