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
    // 3: the service's queue
    "CREATE TABLE jobs ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE, app TEXT NOT NULL, env TEXT NOT NULL, verb TEXT NOT NULL,"
    " version TEXT, request TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'final')),"
    " result TEXT, exit_code INTEGER NOT NULL DEFAULT 0,"
    " code TEXT, reason TEXT, who TEXT, until_ms INTEGER NOT NULL DEFAULT 0, superseded_by TEXT,"
    " latest INTEGER NOT NULL, emergency INTEGER NOT NULL, urgent INTEGER NOT NULL,"
    " requester TEXT, repository TEXT, repository_id INTEGER NOT NULL,"
    " infra TEXT, run_id INTEGER NOT NULL DEFAULT 0, trace TEXT,"
    " created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL DEFAULT 0,"
    " ended_ms INTEGER NOT NULL DEFAULT 0,"
    // When it may be taken next: a decision, a look, or the end of its lease.
    " due_ms INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL DEFAULT 0, cancel INTEGER NOT NULL DEFAULT 0,"
    " nudged INTEGER NOT NULL DEFAULT 0," // something happened while it was leased
    " owner TEXT, lease_until_ms INTEGER NOT NULL DEFAULT 0, fence INTEGER NOT NULL DEFAULT 0,"
    " scope TEXT, key TEXT, hash TEXT," // of its request (queue_idempotency)
    " CHECK ((state = 'final') = (result IS NOT NULL))) STRICT;"
    "CREATE UNIQUE INDEX jobs_one_running ON jobs (app, env) WHERE state = 'running';"
    "CREATE UNIQUE INDEX jobs_by_key ON jobs (scope, key) WHERE key IS NOT NULL;"
    "CREATE INDEX jobs_in_lane ON jobs (app, env, urgent DESC, number) WHERE state = 'queued';"
    "CREATE INDEX jobs_latest ON jobs (app, env) WHERE state = 'queued' AND latest = 1;"
    "CREATE INDEX jobs_queued ON jobs (number) WHERE state = 'queued';"
    "CREATE INDEX jobs_due ON jobs (due_ms) WHERE state = 'running';"
    "CREATE INDEX jobs_by_run ON jobs (run_id) WHERE state = 'running' AND run_id > 0;"
    "CREATE INDEX jobs_by_lane ON jobs (app, env, number);"
    "CREATE INDEX jobs_by_repository ON jobs (repository_id, number);"
    "CREATE INDEX jobs_deployed ON jobs (app, env, number) WHERE result = 'deployed';"
    // One row a lane: what locks it, and when its first queued job is to be decided.
    "CREATE TABLE job_lanes ("
    " app TEXT NOT NULL, env TEXT NOT NULL, queued INTEGER NOT NULL,"
    " due_ms INTEGER," // NULL: one runs, or none waits
    " PRIMARY KEY (app, env)) STRICT;"
    "CREATE INDEX job_lanes_due ON job_lanes (due_ms) WHERE due_ms IS NOT NULL;"
    "CREATE TABLE tokens (" // that were spent
    " jti TEXT NOT NULL PRIMARY KEY, until_ms INTEGER NOT NULL,"
    " key TEXT, hash TEXT, job TEXT) STRICT;"
    "CREATE INDEX tokens_by_end ON tokens (until_ms);"
    "PRAGMA user_version = 3;",
    // 4: releases, locks, what comes once only, audit
    "CREATE TABLE releases ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
    " app TEXT NOT NULL, env TEXT NOT NULL, version TEXT NOT NULL, digests TEXT, sha TEXT,"
    " deployment TEXT NOT NULL UNIQUE, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL)"
    " STRICT;"
    "CREATE UNIQUE INDEX releases_now ON releases (app, env) WHERE until_ms = 0;"
    "CREATE INDEX releases_by_lane ON releases (app, env, sequence);"
    "CREATE TABLE deploy_locks ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
    " scope TEXT NOT NULL CHECK (scope IN ('organisation', 'environment', 'program', 'app',"
    "  'target')),"
    " app TEXT, env TEXT, program TEXT,"
    " level TEXT NOT NULL CHECK (level IN ('lock', 'warning', 'freeze')),"
    " reason TEXT NOT NULL, owner TEXT NOT NULL,"
    " on_release TEXT NOT NULL CHECK (on_release IN ('run', 'drop')),"
    " created_ms INTEGER NOT NULL, starts_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " released_ms INTEGER NOT NULL, released_by TEXT, epoch INTEGER NOT NULL,"
    " CHECK ((scope IN ('app', 'target')) = (app IS NOT NULL)),"
    " CHECK ((scope IN ('environment', 'target')) = (env IS NOT NULL)),"
    " CHECK ((scope = 'program') = (program IS NOT NULL))) STRICT;"
    "CREATE INDEX deploy_locks_held ON deploy_locks (expires_ms) WHERE released_ms = 0;"
    "CREATE TABLE approvals ("
    " job TEXT NOT NULL, person TEXT NOT NULL," // by id where there is one: logins change
    " login TEXT NOT NULL, login_id INTEGER NOT NULL, version TEXT, diff TEXT, note TEXT,"
    " rejected INTEGER NOT NULL, at_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " PRIMARY KEY (job, person)) STRICT;"
    "CREATE TABLE deliveries ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE, event TEXT NOT NULL, hint TEXT NOT NULL, at_ms INTEGER NOT NULL,"
    " handled INTEGER NOT NULL) STRICT;"
    "CREATE INDEX deliveries_open ON deliveries (sequence) WHERE handled = 0;"
    "CREATE INDEX deliveries_by_time ON deliveries (at_ms);"
    "CREATE TABLE leader_leases ("
    " name TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, until_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE sessions ("
    " hash TEXT NOT NULL PRIMARY KEY, login TEXT NOT NULL, name TEXT, user_id INTEGER NOT NULL,"
    " teams TEXT, csrf TEXT NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL)"
    " STRICT;"
    "CREATE INDEX sessions_by_end ON sessions (expires_ms);"
    "CREATE TABLE facts (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT;"
    "CREATE TABLE audit ("
    " sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL,"
    " kind TEXT NOT NULL, verdict TEXT NOT NULL, code TEXT, reason TEXT, request_id TEXT,"
    " app TEXT, env TEXT, deployment TEXT, version TEXT, digest TEXT, actor TEXT,"
    " actor_id INTEGER NOT NULL, repository_id INTEGER NOT NULL, run_id INTEGER NOT NULL,"
    " run_attempt INTEGER NOT NULL, check_run_id INTEGER NOT NULL,"
    " jti TEXT, token_hash TEXT, rule TEXT, spec_commit TEXT, floor_commit TEXT, detail TEXT,"
    " previous TEXT NOT NULL, hash TEXT NOT NULL) STRICT;"
    "CREATE INDEX audit_by_deployment ON audit (deployment, sequence)"
    " WHERE deployment IS NOT NULL;"
    "CREATE INDEX audit_by_lane ON audit (app, env, sequence) WHERE app IS NOT NULL;"
    "CREATE INDEX audit_by_actor ON audit (actor, sequence) WHERE actor IS NOT NULL;"
    "CREATE INDEX audit_by_repository ON audit (repository_id, sequence)"
    " WHERE repository_id > 0;"
    // The newest entry, and what writers of several replicas wait for (audit_add, store_group).
    "CREATE TABLE audit_head ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " sequence INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;"
    "INSERT INTO audit_head (one, sequence, hash) VALUES (1, 0,"
    " '0000000000000000000000000000000000000000000000000000000000000000');"
    "CREATE INDEX events_by_time ON events (at_ms);"
    "PRAGMA user_version = 4;",
    // 5: drift; of which run of the app's workflow a job is
    "ALTER TABLE jobs ADD COLUMN asked_run INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE drift_lanes ("
    " app TEXT NOT NULL, env TEXT NOT NULL,"
    " deployment TEXT," // NULL: not looked at yet
    " state TEXT CHECK (state IN ('in-sync', 'drift', 'unknown', 'nothing')),"
    " why TEXT, unknown_ms INTEGER NOT NULL, parameters INTEGER NOT NULL, running INTEGER NOT NULL,"
    " looked_ms INTEGER NOT NULL, known_ms INTEGER NOT NULL, failures INTEGER NOT NULL,"
    " due_ms INTEGER NOT NULL,"
    " PRIMARY KEY (app, env)) STRICT;"
    "CREATE TABLE drifts ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
    " app TEXT NOT NULL, env TEXT NOT NULL, deployment TEXT NOT NULL, service TEXT NOT NULL,"
    " what TEXT NOT NULL CHECK (what IN ('parameter', 'running')),"
    " expected TEXT, found TEXT, sentence TEXT NOT NULL,"
    " since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX drifts_now ON drifts (app, env, service, what) WHERE until_ms = 0;"
    "CREATE INDEX drifts_by_time ON drifts (since_ms);"
    "PRAGMA user_version = 5;",
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
