// The schema, as the list of steps that made it. A step that was released is never edited: the next
// change is a new step.
#include "dispatcher/memory.h"
#include "store_internal.h"

static const char *const migrations[] = {
    // 1
    "CREATE TABLE deployments ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " app TEXT NOT NULL, env TEXT NOT NULL, version TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('running', 'final')),"
    " result TEXT, exit_code INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
    " document TEXT NOT NULL,"
    " CHECK ((state = 'final') = (result IS NOT NULL))) STRICT;"
    "CREATE INDEX deployments_by_target ON deployments (app, env, created_ms);"
    "CREATE INDEX deployments_by_state ON deployments (state, created_ms);"
    "CREATE TABLE steps ("
    " sequence INTEGER PRIMARY KEY,"
    " deployment TEXT NOT NULL REFERENCES deployments (id),"
    " ordinal INTEGER NOT NULL, name TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('intent', 'done', 'skipped', 'waiting', 'failed',"
    "  'undoing', 'undone', 'undo-failed')),"
    " note TEXT, at_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX steps_by_deployment ON steps (deployment, sequence);"
    "CREATE TABLE events ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
    " deployment TEXT NOT NULL REFERENCES deployments (id),"
    " at_ms INTEGER NOT NULL, json TEXT NOT NULL) STRICT;"
    "CREATE INDEX events_by_deployment ON events (deployment, sequence);"
    "CREATE TABLE durations ("
    " sequence INTEGER PRIMARY KEY,"
    " deployment TEXT NOT NULL UNIQUE REFERENCES deployments (id),"
    " app TEXT NOT NULL, env TEXT NOT NULL, duration_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX durations_by_target ON durations (app, env, sequence);"
    "PRAGMA application_id = 1145656144;" // STORE_APPLICATION_ID
    "PRAGMA user_version = 1;",
    // 2: the outbox
    "CREATE TABLE outbox ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " key TEXT NOT NULL UNIQUE, deployment TEXT NOT NULL, sink TEXT NOT NULL,"
    " lane TEXT NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL, body TEXT NOT NULL,"
    " after_key TEXT, priority INTEGER NOT NULL,"
    " revision INTEGER NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('waiting', 'begun', 'sent', 'refused')),"
    " in_doubt INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,"
    " reference TEXT, problem TEXT,"
    " created_ms INTEGER NOT NULL, begun_ms INTEGER NOT NULL DEFAULT 0,"
    " sent_ms INTEGER NOT NULL DEFAULT 0, due_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX outbox_undelivered ON outbox (lane, priority DESC, id, due_ms, after_key)"
    " WHERE state IN ('waiting', 'begun');"
    "CREATE INDEX outbox_by_deployment ON outbox (deployment, id);"
    "CREATE TABLE lanes ("
    " name TEXT NOT NULL PRIMARY KEY,"
    " rest_until_ms INTEGER NOT NULL, short_ms INTEGER NOT NULL, long_ms INTEGER NOT NULL,"
    " failures INTEGER NOT NULL, problem TEXT, hint TEXT, trouble_since_ms INTEGER NOT NULL,"
    " sink TEXT) STRICT;"
    "PRAGMA user_version = 2;",
};

const int store_schema_version = (int)ARRAY_LENGTH(migrations);

// Each statement of a step in turn.
static struct error *
apply(struct store *store, const char *list)
{
    struct str statement = {0};
    while (dialect_next(&list, &statement)) {
        char *sql CLEANUP(xfreep) = str_dup(statement);
        TRY(store_run(store, sql));
    }
    return NULL;
}

struct error *
store_migrate(struct store *store, int to)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, "PRAGMA user_version");
    int64_t version = query_row(&query) ? query_get_int(&query, 0) : 0;
    TRY(query_finish(&query));
    query_done(&query);
    for (; version < to; version++) {
        TRY(apply(store, migrations[version]));
    }
    return NULL;
}
