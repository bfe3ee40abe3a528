// Migrations: a database as every earlier version left it, with rows in it, is brought up to date,
// and the rows are as they were. A new version needs a line in `rows`, or nothing of it is tested.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/outbox.h"
#include "store_internal.h"
#include "store_lab.h"
#include "temp_dir.h"

// What a version is filled with, and what has to be read afterwards: one number and one text.
static const struct {
    int since;
    const char *insert, *select, *text;
    int64_t number;
} rows[] = {
    {1,
        "INSERT INTO deployments (id, app, env, version, state, result, exit_code, created_ms,"
        " updated_ms, document) VALUES ('d-0123456789', 'shop', 'staging', 'v1', 'final',"
        " 'deployed', 7, 1795247280123, 1795247280124, '{\"n\":1}')",
        "SELECT created_ms, document FROM deployments WHERE id = 'd-0123456789'", "{\"n\":1}",
        INT64_C(1795247280123)},
    {1,
        "INSERT INTO steps (deployment, ordinal, name, state, note, at_ms) VALUES"
        " ('d-0123456789', 3, 'push web', 'done', NULL, 5)",
        "SELECT ordinal, name FROM steps", "push web", 3},
    {1, "INSERT INTO events (deployment, at_ms, json) VALUES ('d-0123456789', 6, '{\"e\":1}')",
        "SELECT at_ms, json FROM events", "{\"e\":1}", 6},
    {1,
        "INSERT INTO durations (deployment, app, env, duration_ms) VALUES ('d-0123456789', 'shop',"
        " 'staging', 61000)",
        "SELECT duration_ms, app FROM durations", "shop", 61000},
    {2,
        "INSERT INTO outbox (key, deployment, sink, lane, kind, target, body, priority, revision,"
        " state, created_ms, due_ms) VALUES ('k', 'd-0123456789', 's', 'l', 'webhook-event', '{}',"
        " '{\"b\":1}', 2, 4, 'waiting', 8, 9)",
        "SELECT revision, body FROM outbox", "{\"b\":1}", 4},
    {2,
        "INSERT INTO lanes (name, rest_until_ms, short_ms, long_ms, failures, trouble_since_ms)"
        " VALUES ('l', 10, 11, 12, 13, 14)",
        "SELECT failures, name FROM lanes", "l", 13},
    {3,
        "INSERT INTO jobs (id, app, env, verb, request, state, latest, emergency, urgent,"
        " repository_id, created_ms, due_ms, fence) VALUES ('d-1', 'shop', 'staging', 'deploy',"
        " '{}', 'queued', 0, 0, 0, 42, 15, 16, 17)",
        "SELECT fence, id FROM jobs", "d-1", 17},
    {3, "INSERT INTO job_lanes (app, env, queued) VALUES ('shop', 'staging', 18)",
        "SELECT queued, app FROM job_lanes", "shop", 18},
    {3, "INSERT INTO tokens (jti, until_ms) VALUES ('j', 19)", "SELECT until_ms, jti FROM tokens",
        "j", 19},
    {4,
        "INSERT INTO releases (app, env, version, deployment, since_ms, until_ms)"
        " VALUES ('shop', 'staging', 'v1', 'd-1', 20, 0)",
        "SELECT since_ms, version FROM releases", "v1", 20},
    {4,
        "INSERT INTO deploy_locks (scope, level, reason, owner, on_release, created_ms, starts_ms,"
        " expires_ms, released_ms, epoch) VALUES ('organisation', 'freeze', 'r', 'octocat', 'run',"
        " 21, 0, 0, 0, 1)",
        "SELECT created_ms, level FROM deploy_locks", "freeze", 21},
    {4,
        "INSERT INTO approvals (job, person, login, login_id, rejected, at_ms, expires_ms)"
        " VALUES ('d-1', '#1', 'octocat', 1, 0, 22, 0)",
        "SELECT at_ms, login FROM approvals", "octocat", 22},
    {4,
        "INSERT INTO deliveries (id, event, hint, at_ms, handled) VALUES ('g', 'push', '{}', 23, "
        "0)",
        "SELECT at_ms, id FROM deliveries", "g", 23},
    {4, "INSERT INTO leader_leases (name, owner, until_ms) VALUES ('sweep', 'r1', 24)",
        "SELECT until_ms, owner FROM leader_leases", "r1", 24},
    {4,
        "INSERT INTO sessions (hash, login, user_id, csrf, created_ms, expires_ms)"
        " VALUES ('h', 'octocat', 1, 'c', 25, 26)",
        "SELECT expires_ms, login FROM sessions", "octocat", 26},
    {4, "INSERT INTO facts (name, value) VALUES ('n', '27')", "SELECT 27, value FROM facts", "27",
        27},
    {4,
        "INSERT INTO audit (sequence, at_ms, kind, verdict, actor_id, repository_id, run_id,"
        " run_attempt, check_run_id, previous, hash) VALUES (1, 28, 'lock', 'done', 0, 0, 0, 0, 0,"
        " 'p', 'h')",
        "SELECT at_ms, hash FROM audit", "h", 28},
    {5,
        "INSERT INTO drift_lanes (app, env, state, unknown_ms, parameters, running, looked_ms,"
        " known_ms, failures, due_ms) VALUES ('shop', 'staging', 'drift', 0, 0, 0, 29, 0, 0, 0)",
        "SELECT looked_ms, state FROM drift_lanes", "drift", 29},
    {5,
        "INSERT INTO drifts (app, env, deployment, service, what, sentence, since_ms, until_ms)"
        " VALUES ('shop', 'staging', 'd-1', 'web', 'parameter', 's', 30, 0)",
        "SELECT since_ms, what FROM drifts", "parameter", 30},
};

static void
run(struct store *store, const char *sql)
{
    struct error *err = store_run(store, sql);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        fail_msg("%s: %s", sql, text);
    }
}

// As if nothing had ever been in it.
static void
empty(struct store *store)
{
    if (store_lab_is_postgres()) {
        run(store, "DROP SCHEMA public CASCADE");
        run(store, "CREATE SCHEMA public");
        run(store, "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL)");
        return;
    }
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *name = NULL;
    run(store, "PRAGMA foreign_keys = OFF");
    do {
        struct query query CLEANUP(query_done);
        query_init(&query, store,
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'");
        name = query_row(&query) ? query_get_text(&query, 0, arena) : NULL;
        query_done(&query);
        if (name != NULL) {
            run(store, arena_printf(arena, "DROP TABLE %s", name));
        }
    } while (name != NULL);
    run(store, "PRAGMA user_version = 0");
    run(store, "PRAGMA application_id = 0");
}

static void
fill(struct store *store, int version)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (rows[i].since <= version) {
            run(store, rows[i].insert);
        }
    }
}

static void
assert_filled(struct store *store, int version)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct query query CLEANUP(query_done);
        query_init(&query, store, rows[i].select);
        if (rows[i].since > version) {
            assert_false(query_row(&query)); // it is there, and empty
            assert_null(query_finish(&query));
            continue;
        }
        assert_true(query_row(&query));
        assert_int_equal(query_get_int(&query, 0), rows[i].number);
        assert_string_equal(query_get_text(&query, 1, arena), rows[i].text);
        assert_false(query_row(&query));
    }
}

// What a handle of today does with it.
static void
assert_usable(struct store *store)
{
    const struct store_deployment row = {.id = "d-new",
        .app = "shop",
        .env = "staging",
        .version = "v2",
        .state = "running",
        .created_ms = 1,
        .updated_ms = 1,
        .document = "{}"};
    const struct store_notice notice = {.key = "new",
        .deployment = "d-new",
        .sink = "s",
        .lane = "new",
        .kind = "k",
        .target = "{}",
        .body = "{}"};
    const struct store_step step = {1, "push web", "intent", NULL, 1};
    assert_null(store_insert_telling(store, &row, &notice, 1, 2000));
    assert_null(store_save(store, &row, &step));
    assert_null(store_add_event(store, "d-new", "{}", 1));
}

static void
every_earlier_version_is_brought_up_to_date(void **state)
{
    (void)state;
    for (int version = 1; version <= store_schema_version; version++) {
        char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
        char *place CLEANUP(xfreep) = store_lab_place(dir);
        struct store *store CLEANUP(store_closep) = NULL;
        assert_null(store_open(place, &store));
        empty(store);
        assert_null(store_migrate(store, version));
        fill(store, version);
        store_closep(&store);
        for (int round = 0; round < 2; round++) {
            assert_null(store_open(place, &store));
            struct query query CLEANUP(query_done);
            query_init(&query, store, "PRAGMA user_version");
            assert_true(query_row(&query));
            assert_int_equal(query_get_int(&query, 0), store_schema_version);
            query_done(&query);
            assert_filled(store, version);
            if (round == 0) {
                store_closep(&store);
            }
        }
        assert_usable(store);
    }
}

static void
every_version_has_rows_here(void **state)
{
    (void)state;
    for (int version = 1; version <= store_schema_version; version++) {
        bool found = false;
        for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
            found = found || rows[i].since == version;
        }
        assert_true(found);
    }
}

// A step that fails in the middle leaves nothing behind, and the next one who opens does it all.
static void
a_migration_that_fails_changes_nothing(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *place CLEANUP(xfreep) = store_lab_place(dir);
    struct store *store CLEANUP(store_closep) = NULL, *none = NULL;
    assert_null(store_open(place, &store));
    empty(store);
    assert_null(store_migrate(store, 1));
    fill(store, 1);
    run(store, "CREATE TABLE lanes (x TEXT)"); // in the way of version 2, after its first table
    struct error *err CLEANUP(error_freep) = store_open(place, &none);
    assert_non_null(err);
    assert_non_null(strstr(error_message(err), "already exists"));
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    assert_null(none);
    run(store, "CREATE TABLE outbox (x TEXT)"); // the first one is not there
    run(store, "DROP TABLE outbox");
    run(store, "DROP TABLE lanes");
    store_closep(&store);
    assert_null(store_open(place, &store));
    assert_filled(store, 1);
    assert_usable(store);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_earlier_version_is_brought_up_to_date),
        cmocka_unit_test(a_migration_that_fails_changes_nothing),
    };
    const struct CMUnitTest once[] = {cmocka_unit_test(every_version_has_rows_here)};
    return cmocka_run_group_tests(once, NULL, NULL) + store_lab_run(tests, ARRAY_LENGTH(tests));
}
