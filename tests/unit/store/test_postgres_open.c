// PostgreSQL as it is when it goes wrong: killed, misconfigured, foreign, asked by many at once. On
// a real server (tests/support/postgres).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "child.h"
#include "dispatcher/memory.h"
#include "postgres_internal.h"
#include "store_lab.h"

#define LOST_HINT "See why in the server's log; once it answers, run 'dispatcher resume'."
#define DOUBT_HINT "Look it up before anything is repeated: 'dispatcher resume' does."

static struct store_deployment
deployment(const char *id)
{
    return (struct store_deployment){.id = id,
        .app = "payments",
        .env = "production",
        .version = "v1",
        .state = "running",
        .created_ms = 1000,
        .updated_ms = 1000,
        .document = "0"};
}

static struct store *
opened(const char *place)
{
    struct store *store = NULL;
    struct error *err = store_open(place, &store);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        fail_msg("%s", text);
    }
    return store;
}

// "@" in `format` stands for the store's name.
static void
assert_error(struct error *err, const char *name, const char *format, const char *hint)
{
    struct buf expected CLEANUP(buf_done) = BUF_INIT(4096);
    struct str before = {0}, after = {0};
    (void)str_cut(str_of(format), '@', &before, &after);
    buf_printf(&expected, "%.*s%s%.*s", STR_FMT(before), name, STR_FMT(after));
    assert_non_null(err);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_string_equal(text, buf_cstr(&expected));
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    assert_non_null(error_hint_of(err));
    assert_non_null(strstr(error_hint_of(err), hint));
    error_free(err);
}

static void
assert_broken(struct store *store)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_deployment *found = NULL;
    assert_error(store_find(store, "d-1", arena, &found), store_name(store),
        "journal '@' failed before; nothing more is written to it", "dispatcher resume");
}

static const char *
version_of(struct store *store, const char *id, struct arena *arena)
{
    struct store_deployment *found = NULL;
    assert_null(store_find(store, id, arena, &found));
    return found != NULL ? found->version : "none";
}

// --- a server that goes away ---------------------------------------------------------------------

static void
a_server_killed_in_a_transaction_breaks_the_handle(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store *store CLEANUP(store_closep) = opened(place);
    struct store_deployment row = deployment("d-1");
    assert_null(store_insert(store, &row));
    row.version = "v2";
    assert_null(store_begin(store));
    assert_null(deployments_update(store, &row, NULL));
    store_lab_server("kill");
    // Within a transaction a statement decides nothing: it is not in doubt.
    struct error *err = deployments_update(store, &row, NULL);
    assert_error(store_end(store, err), store_name(store),
        "write journal '@': server closed the connection unexpectedly", LOST_HINT);
    assert_broken(store);
    struct store *none = NULL;
    err = store_open(place, &none);
    assert_non_null(err);
    assert_non_null(strstr(error_hint_of(err), "Is the server up"));
    error_free(err);
    store_lab_server("start");
    assert_broken(store); // and is not mended behind anybody's back
    struct store *again CLEANUP(store_closep) = opened(place);
    assert_string_equal(version_of(again, "d-1", arena), "v1");
}

static void
a_write_whose_answer_is_lost_is_in_doubt(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    struct store *store CLEANUP(store_closep) = opened(place);
    struct store *other CLEANUP(store_closep) = opened(place);
    struct store_deployment row = deployment("d-1");
    assert_null(store_begin(other));
    assert_null(deployments_insert(other, &row));
    store_lab_server("kill");
    assert_error(store_insert(store, &row), store_name(store),
        "write journal '@': the connection broke before the answer came, so it is in doubt "
        "whether this was written",
        DOUBT_HINT);
    assert_error(store_end(other, NULL), store_name(store),
        "write journal '@': the connection broke before the answer came, so it is in doubt "
        "whether this was written",
        DOUBT_HINT);
    assert_broken(store);
    assert_broken(other);
    store_lab_server("start");
}

// The server ends the connection while it commits; that it rolled back, nobody can know.
static void
a_commit_without_an_answer_is_in_doubt(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store *store CLEANUP(store_closep) = opened(place);
    free(store_lab_sql(place,
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
        "pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"));
    free(store_lab_sql(place,
        "CREATE CONSTRAINT TRIGGER d AFTER INSERT ON deployments DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()"));
    struct store_deployment row = deployment("d-1");
    assert_null(store_begin(store));
    assert_null(deployments_insert(store, &row));
    assert_error(store_end(store, NULL), store_name(store),
        "write journal '@': the connection broke before the answer came, so it is in doubt "
        "whether this was written",
        DOUBT_HINT);
    assert_broken(store);
    struct store *again CLEANUP(store_closep) = opened(place);
    assert_string_equal(version_of(again, "d-1", arena), "none");
}

static void
a_failed_transaction_is_never_taken_for_committed(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store *store CLEANUP(store_closep) = opened(place);
    struct store_deployment row = deployment("d-1"), other = deployment("d-2");
    assert_null(store_insert(store, &row));
    assert_null(store_begin(store));
    assert_null(deployments_insert(store, &other));
    error_free(deployments_insert(store, &row)); // swallowed, as nobody should
    struct error *err CLEANUP(error_freep) = store_end(store, NULL);
    assert_non_null(err);
    assert_non_null(strstr(error_message(err), "the transaction had failed and was rolled back"));
    assert_string_equal(version_of(store, "d-2", arena), "none");
    assert_null(store_insert(store, &other)); // the handle is as good as before
}

static void
a_claim_goes_with_the_connection(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    struct store *store CLEANUP(store_closep) = opened(place);
    struct store_claim *claim CLEANUP(store_claim_releasep) = NULL, *late = NULL;
    assert_null(store_claim(store, "d-1", &claim));
    assert_non_null(claim);
    store_lab_server("kill");
    store_lab_server("start");
    struct store_deployment row = deployment("d-1");
    error_free(store_insert(store, &row)); // notices
    assert_error(store_claim(store, "d-2", &late), store_name(store),
        "journal '@' failed before; nothing more is written to it", "dispatcher resume");
    struct store *again CLEANUP(store_closep) = opened(place);
    assert_null(store_claim(again, "d-1", &late));
    assert_non_null(late);
    store_claim_release(late);
}

// --- which servers and databases are taken -------------------------------------------------------

static char *
with_query(const char *place, const char *query)
{
    return xasprintf("%s&%s", place, query);
}

static void
assert_refused(const char *place, const char *format, const char *hint)
{
    struct store *store = NULL;
    const char *name = strstr(place, ":///") + strlen(":///");
    const char *host = strstr(place, "host=");
    char *shown CLEANUP(xfreep) = xasprintf(
        "postgresql:///%.*s?%.*s", (int)strcspn(name, "?"), name, (int)strcspn(host, "&"), host);
    assert_error(store_open(place, &store), shown, format, hint);
    assert_null(store);
}

static void
what_would_lose_answers_is_refused(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    char *off CLEANUP(xfreep) = with_query(place, "options=-csynchronous_commit%3Doff");
    char *local CLEANUP(xfreep) = with_query(place, "options=-csynchronous_commit%3Dlocal");
    char *standby CLEANUP(xfreep) =
        with_query(place, "options=-cdefault_transaction_read_only%3Don");
    assert_refused(off,
        "journal '@': 'synchronous_commit' is not 'on', so what is answered may be lost",
        "ALTER ROLE");
    assert_refused(local,
        "journal '@': 'synchronous_commit' is not 'on', so what is answered may be lost",
        "ALTER ROLE");
    struct store *store = NULL;
    struct error *err CLEANUP(error_freep) = store_open(standby, &store);
    assert_non_null(err);
    assert_non_null(strstr(error_message(err), "session is read-only"));
    char *tables CLEANUP(xfreep) =
        store_lab_sql(place, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'");
    assert_string_equal(tables, "0");
}

static void
other_databases_are_refused(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    free(store_lab_sql(place, "CREATE TABLE songs (title TEXT)"));
    assert_refused(
        place, "journal '@': it is a database of another program", "a schema of its own");
    free(store_lab_sql(place, "CREATE TABLE meta (name TEXT, value BIGINT)"));
    assert_refused(
        place, "journal '@': it is a database of another program", "database of its own");
    free(store_lab_sql(place, "CREATE SCHEMA dispatcher"));
    char *own CLEANUP(xfreep) = with_query(place, "options=-csearch_path%3Ddispatcher");
    char *none CLEANUP(xfreep) = with_query(place, "options=-csearch_path%3Dnowhere");
    assert_refused(none, "journal '@': there is no schema to create tables in", "search_path");
    struct store *store CLEANUP(store_closep) = opened(own);
    char *where CLEANUP(xfreep) =
        store_lab_sql(place, "SELECT schemaname FROM pg_tables WHERE tablename = 'deployments'");
    assert_string_equal(where, "dispatcher");
}

static void
other_versions_are_refused(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    struct store *store = opened(place);
    store_closep(&store);
    free(store_lab_sql(place, "UPDATE meta SET value = 99 WHERE name = 'user_version'"));
    char *newer CLEANUP(xfreep) = xasprintf(
        "journal '@' has schema 99, but this dispatcher knows %d at most", store_schema_version);
    assert_refused(place, newer, "A newer dispatcher wrote it");
    free(store_lab_sql(place, "DELETE FROM meta WHERE name = 'user_version'"));
    assert_refused(place, "journal '@': it is damaged: its schema version is gone",
        "Restore it from a backup");
}

static void
the_settings_are_those_of_the_protocol(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    static const char *const rows[][2] = {
        {"SELECT current_setting('synchronous_commit')", "on"},
        {"SELECT current_setting('fsync')", "on"},
        {"SELECT current_setting('statement_timeout')", "30s"},
        {"SELECT current_setting('lock_timeout')", "10s"},
        {"SELECT current_setting('idle_in_transaction_session_timeout')", "1min"},
        {"SELECT current_setting('client_encoding')", "UTF8"},
        {"SELECT current_setting('application_name')", "dispatcher"},
        {"SELECT current_setting('transaction_isolation')", "read committed"},
        {"SELECT collation_name FROM information_schema.columns WHERE table_name = 'deployments'"
         " AND column_name = 'id'",
            "C"},
    };
    for (int round = 0; round < 2; round++) { // new, and opened again
        struct store *store CLEANUP(store_closep) = opened(place);
        assert_true(store_is_shared(store));
        for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
            struct query query CLEANUP(query_done);
            query_init(&query, store, rows[i][0]);
            assert_true(query_row(&query));
            assert_string_equal(query_get_text(&query, 0, arena), rows[i][1]);
        }
    }
}

static void
certificates_are_looked_at(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    char *authority CLEANUP(xfreep) = store_lab_authority();
    char *query CLEANUP(xfreep) = xasprintf("?sslmode=verify-full&sslrootcert=%s", authority);
    char *good CLEANUP(xfreep) = store_lab_url(place, "localhost", query);
    char *other CLEANUP(xfreep) = store_lab_url(place, "127.0.0.1", query);
    char *wrong CLEANUP(xfreep) = store_lab_url(place, "localhost", "?password=canary-password");
    struct store *store CLEANUP(store_closep) = opened(good);
    assert_null(strstr(store_name(store), "lab-password"));
    struct store *none = NULL;
    struct error *err = store_open(other, &none);
    assert_non_null(err);
    assert_non_null(strstr(error_message(err), "does not match host name \"127.0.0.1\""));
    assert_string_equal(error_hint_of(err),
        "Name the file with the authority's certificate with '?sslrootcert=FILE'.");
    error_free(err);
    err = store_open(wrong, &none);
    assert_non_null(err);
    assert_non_null(strstr(error_message(err), "password authentication failed"));
    char *text CLEANUP(xfreep) = error_text(err);
    assert_null(strstr(text, "canary-password"));
    assert_null(strstr(error_hint_of(err), "canary-password"));
    error_free(err);
}

static void
text_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    struct store *store CLEANUP(store_closep) = opened(place);
    struct store_deployment row = deployment("d-1");
    row.document = "\xff\xfe";
    assert_error(store_insert(store, &row), store_name(store),
        "write journal '@': invalid byte sequence for encoding \"UTF8\": 0xff",
        "Only text in UTF-8 can be kept.");
    row.document = "\xf0\x9f\x9a\x80 \xc3\xa9 \\u0000";
    assert_null(store_insert(store, &row));
}

// More texts than the table of prepared ones takes; and one text with parameters of other types.
static void
many_statements_are_told_apart(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    struct store *store CLEANUP(store_closep) = opened(place);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < POSTGRES_STATEMENTS; i++) {
            const char *sql = arena_printf(arena, "SELECT %d + CAST(? AS INTEGER), ? || 'x'", i);
            struct query query CLEANUP(query_done);
            query_init(&query, store, sql);
            query_int(&query, 1000);
            query_text(&query, "text");
            assert_true(query_row(&query));
            assert_int_equal(query_get_int(&query, 0), 1000 + i);
            assert_string_equal(query_get_text(&query, 1, arena), "textx");
            assert_false(query_row(&query));
            assert_false(query_row(&query));
        }
    }
    assert_int_equal(store->postgres->count, POSTGRES_STATEMENTS / 2);
    for (int text = 0; text < 2; text++) {
        struct query query CLEANUP(query_done);
        query_init(&query, store, "SELECT CAST(pg_typeof(?) AS VARCHAR), 1 = 1, 1 = 2");
        if (text == 1) {
            query_text(&query, "7");
        } else {
            query_maybe(&query, false, 7);
        }
        assert_true(query_row(&query));
        assert_string_equal(query_get_text(&query, 0, arena), text == 1 ? "text" : "bigint");
        assert_int_equal(query_get_int(&query, 1), 1);
        assert_int_equal(query_get_int(&query, 2), 0);
    }
}

// --- many at once --------------------------------------------------------------------------------

static void
open_and_say(void *ctx, int out)
{
    struct store *store = NULL;
    struct error *err = store_open(ctx, &store);
    child_say(out, err == NULL ? "open" : error_message(err));
    error_free(err);
    store_close(store);
}

static void
replicas_that_start_at_once_migrate_once(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        char *place CLEANUP(xfreep) = store_lab_place("");
        struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
        struct child replicas[3];
        for (size_t i = 0; i < ARRAY_LENGTH(replicas); i++) {
            child_start(&replicas[i], open_and_say, place);
        }
        for (size_t i = 0; i < ARRAY_LENGTH(replicas); i++) {
            assert_true(child_hear(&replicas[i], &line));
            assert_string_equal(buf_cstr(&line), "open");
            assert_int_equal(child_finish(&replicas[i]), 0);
        }
        // A second migration would have failed, or have changed the row again.
        char *version CLEANUP(xfreep) =
            store_lab_sql(place, "SELECT value FROM meta WHERE name = 'user_version'");
        assert_int_equal(strtol(version, NULL, 10), store_schema_version);
    }
}

// store_lock lets the transactions of one name through one by one.
static void
add_slowly(void *ctx, int out)
{
    struct store *store = NULL;
    struct error *err = store_open(ctx, &store);
    for (int i = 0; err == NULL && i < 20; i++) {
        int64_t count = 0;
        err = store_begin(store);
        err = err != NULL ? err : store_lock(store, "rows");
        struct query read CLEANUP(query_done) = {0};
        query_init(&read, store, "SELECT count(*) FROM lanes");
        count = query_row(&read) ? query_get_int(&read, 0) : 0;
        struct query add CLEANUP(query_done) = {0};
        query_init(&add, store,
            "INSERT INTO lanes (name, rest_until_ms, short_ms, long_ms, failures,"
            " trouble_since_ms) VALUES ('lane ' || CAST(? AS INTEGER), 0, 0, 0, 0, 0)");
        query_int(&add, count);
        err = store_end(store, err != NULL ? err : query_run(&add));
    }
    child_say(out, err == NULL ? "done" : error_message(err));
    error_free(err);
    store_close(store);
}

static void
a_named_lock_serialises(void **state)
{
    (void)state;
    char *place CLEANUP(xfreep) = store_lab_place("");
    struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
    struct store *store = opened(place);
    store_closep(&store);
    struct child writers[3];
    for (size_t i = 0; i < ARRAY_LENGTH(writers); i++) {
        child_start(&writers[i], add_slowly, place);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(writers); i++) {
        assert_true(child_hear(&writers[i], &line));
        assert_string_equal(buf_cstr(&line), "done");
        assert_int_equal(child_finish(&writers[i]), 0);
    }
    char *count CLEANUP(xfreep) = store_lab_sql(place, "SELECT count(*) FROM lanes");
    assert_string_equal(count, "60");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_killed_in_a_transaction_breaks_the_handle),
        cmocka_unit_test(a_write_whose_answer_is_lost_is_in_doubt),
        cmocka_unit_test(a_commit_without_an_answer_is_in_doubt),
        cmocka_unit_test(a_failed_transaction_is_never_taken_for_committed),
        cmocka_unit_test(a_claim_goes_with_the_connection),
        cmocka_unit_test(what_would_lose_answers_is_refused),
        cmocka_unit_test(other_databases_are_refused),
        cmocka_unit_test(other_versions_are_refused),
        cmocka_unit_test(the_settings_are_those_of_the_protocol),
        cmocka_unit_test(certificates_are_looked_at),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
        cmocka_unit_test(many_statements_are_told_apart),
        cmocka_unit_test(replicas_that_start_at_once_migrate_once),
        cmocka_unit_test(a_named_lock_serialises),
    };
    return store_lab_run_postgres(tests, ARRAY_LENGTH(tests));
}
