// Backups: every row comes back as it was, from either database into either; what is damaged is not
// taken, and what is there is not overwritten.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backup_internal.h"
#include "child.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/outbox.h"
#include "store_lab.h"
#include "temp_dir.h"

enum { DEPLOYMENTS = 450 }; // more than two portions

struct fixture {
    char *dir, *place, *copy;
    struct store *store;
    struct arena *arena;
};

static int
set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    fixture->dir = temp_dir_new();
    fixture->place = store_lab_place(fixture->dir);
    fixture->copy = temp_dir_path(fixture->dir, "backups/copy ?#%.db");
    fixture->arena = arena_new();
    assert_null(store_open(fixture->place, &fixture->store));
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    arena_free(fixture->arena);
    temp_dir_removep(&fixture->dir);
    free(fixture->place);
    free(fixture->copy);
    free(fixture);
    return 0;
}

static void
fine(struct error *err)
{
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        fail_msg("%s", text);
    }
}

static void
assert_fails(struct error *err, enum error_kind kind, const char *text)
{
    assert_non_null(err);
    char *got CLEANUP(xfreep) = error_text(err);
    assert_string_equal(got, text);
    assert_int_equal(error_kind(err), kind);
    error_free(err);
}

static void
fill(struct store *store)
{
    fine(store_begin(store)); // one transaction, or each row is a sync
    for (int i = 0; i < DEPLOYMENTS; i++) {
        char *id CLEANUP(xfreep) = xasprintf("d-%06d", i);
        const struct store_deployment row = {.id = id,
            .app = i % 2 == 0 ? "shop" : "caf\xc3\xa9 'x' \"y\"",
            .env = "staging",
            .version = "v1",
            .state = i % 3 == 0 ? "final" : "running",
            .result = i % 3 == 0 ? "deployed" : NULL,
            .exit_code = i % 3,
            .created_ms = INT64_MAX - i / 2, // pairs of the same age: their order counts
            .updated_ms = -i,
            .document = "{\"text\":\"\xf0\x9f\x9a\x80 \\n\"}"};
        fine(deployments_insert(store, &row));
        fine(store_add_event(store, id, "{\"e\":1}", i));
    }
    fine(store_run(store, "INSERT INTO steps (deployment, ordinal, name, state, note, at_ms)"
                          " VALUES ('d-000001', 1, 'push', 'done', NULL, 2)"));
    fine(store_run(store, "INSERT INTO durations (deployment, app, env, duration_ms)"
                          " VALUES ('d-000001', 'shop', 'staging', 3)"));
    fine(store_run(store, "DELETE FROM events WHERE at_ms >= 440"));
    fine(store_run(store, "INSERT INTO outbox (key, deployment, sink, lane, kind, target, body,"
                          " priority, revision, state, created_ms, due_ms) VALUES ('k', 'd', 's',"
                          " 'l', 'k', '{}', '', 0, 1, 'waiting', 1, 1)"));
    fine(store_end(store, NULL));
}

// Every value of every table, in order of insertion.
static char *
dump(struct store *store)
{
    static const char *const statements[] = {
        "SELECT rowid, id, app, env, version, state, result, exit_code, created_ms, updated_ms,"
        " document FROM deployments ORDER BY rowid",
        "SELECT sequence, deployment, ordinal, name, state, note, at_ms FROM steps ORDER BY"
        " sequence",
        "SELECT sequence, deployment, at_ms, json FROM events ORDER BY sequence",
        "SELECT sequence, deployment, app, env, duration_ms FROM durations ORDER BY sequence",
        "SELECT id, key, after_key, priority, body, in_doubt, reference FROM outbox ORDER BY id",
    };
    static const int columns[] = {11, 7, 4, 5, 7};
    struct buf out CLEANUP(buf_done) = BUF_INIT(16 * 1024 * 1024);
    for (size_t i = 0; i < ARRAY_LENGTH(statements); i++) {
        struct query query CLEANUP(query_done);
        query_init(&query, store, statements[i]);
        while (query_row(&query)) {
            for (int column = 0; column < columns[i]; column++) {
                const char *text = query_peek_text(&query, column);
                buf_printf(&out, "%s|", text != NULL ? text : "(null)");
            }
            buf_putc(&out, '\n');
        }
        fine(query_finish(&query));
    }
    assert_true(out.len > 30000);
    return buf_take(&out);
}

// Names in the directory of the copies, sorted out of those that are expected.
static void
assert_files(const struct fixture *fixture, int expected)
{
    char *path CLEANUP(xfreep) = temp_dir_path(fixture->dir, "backups");
    DIR *dir = opendir(path);
    int count = 0;
    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(dir);
    assert_int_equal(count, expected);
}

static void
assert_whole(const struct fixture *fixture, const char *path, int64_t deployments)
{
    struct store_verification seen = {0};
    fine(store_verify(path, fixture->arena, &seen));
    assert_null(seen.problem);
    assert_int_equal(seen.deployments, deployments);
    assert_int_equal(seen.schema, store_schema_version);
}

// --- there and back ------------------------------------------------------------------------------

static void
a_backup_is_one_private_file_that_is_whole(void **state)
{
    struct fixture *fixture = *state;
    struct stat info;
    fill(fixture->store);
    fine(store_backup(fixture->store, fixture->copy));
    assert_whole(fixture, fixture->copy, DEPLOYMENTS);
    assert_files(fixture, 1);
    assert_int_equal(stat(fixture->copy, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    char *twice CLEANUP(xfreep) = xasprintf("'%s' exists", fixture->copy);
    assert_fails(store_backup(fixture->store, fixture->copy), ERROR_USAGE, twice);
    assert_files(fixture, 1);
    fine(store_add_event(fixture->store, "d-000001", "{}", 1)); // the handle goes on
}

// What was restored is the same, and goes on counting where the original would.
static void
assert_restored(const struct fixture *fixture, const char *to, const char *expected)
{
    struct store *store CLEANUP(store_closep) = NULL;
    fine(store_restore(fixture->copy, to));
    fine(store_open(to, &store));
    char *got CLEANUP(xfreep) = dump(store);
    assert_string_equal(got, expected);
    fine(store_add_event(store, "d-000001", "{}", 1));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT max(sequence) FROM events");
    assert_true(query_row(&query));
    assert_int_equal(query_get_int(&query, 0), DEPLOYMENTS + 1); // not that of a deleted one
    query_done(&query);
    const struct store_step step = {2, "scan", "done", NULL, 1};
    struct store_deployment *row = NULL;
    fine(store_find(store, "d-000001", fixture->arena, &row));
    fine(store_save(store, row, &step));
    char *again CLEANUP(xfreep) = xasprintf("'%s' is not empty", store_name(store));
    assert_fails(store_restore(fixture->copy, to), ERROR_CONFLICT, again);
    fine(store_find(store, "d-000001", fixture->arena, &row));
    assert_non_null(row);
}

static void
everything_comes_back_in_a_file(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture->store);
    char *expected CLEANUP(xfreep) = dump(fixture->store);
    fine(store_backup(fixture->store, fixture->copy));
    char *to CLEANUP(xfreep) = temp_dir_path(fixture->dir, "other/state.db");
    assert_restored(fixture, to, expected);
}

static void
everything_comes_back_in_a_new_database(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture->store);
    char *expected CLEANUP(xfreep) = dump(fixture->store);
    fine(store_backup(fixture->store, fixture->copy));
    char *to CLEANUP(xfreep) = store_lab_place(fixture->dir);
    assert_restored(fixture, to, expected);
}

// As a service leaves it that was started and never used.
static void
a_database_that_was_never_used_is_empty(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture->store);
    char *expected CLEANUP(xfreep) = dump(fixture->store);
    fine(store_backup(fixture->store, fixture->copy));
    char *to CLEANUP(xfreep) = store_lab_place(fixture->dir);
    struct store *store CLEANUP(store_closep) = NULL;
    fine(store_open(to, &store));
    store_closep(&store);
    assert_restored(fixture, to, expected);
}

// PostgreSQL into a file: sequences of rows that were deleted count, too.
static void
a_file_of_another_database_goes_on_counting(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture->store);
    fine(store_run(fixture->store, "DELETE FROM events"));
    fine(store_backup(fixture->store, fixture->copy));
    struct store *store CLEANUP(store_closep) = NULL;
    fine(store_open(fixture->copy, &store));
    fine(store_add_event(store, "d-000001", "{}", 1));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT max(sequence) FROM events");
    assert_true(query_row(&query));
    assert_int_equal(query_get_int(&query, 0), DEPLOYMENTS + 1);
}

// --- while others write --------------------------------------------------------------------------

static int64_t
schema_of(struct store *store)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, "PRAGMA user_version");
    int64_t version = query_row(&query) ? query_get_int(&query, 0) : -1;
    fine(query_finish(&query));
    return version;
}

// A newer program copies it while the service of the older one runs.
static void
a_backup_leaves_an_older_journal_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct store *older CLEANUP(store_closep) = NULL;
    struct store_verification seen = {0};
    char *place CLEANUP(xfreep) =
        store_lab_is_postgres() ? xstrdup(fixture->place) : temp_dir_path(fixture->dir, "older.db");
    if (store_lab_is_postgres()) {
        fine(store_run(fixture->store, "DROP SCHEMA public CASCADE"));
        fine(store_run(fixture->store, "CREATE SCHEMA public"));
        fine(store_run(fixture->store, "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY,"
                                       " value INTEGER NOT NULL)"));
        fine(store_migrate(fixture->store, 3));
    } else {
        fine(backup_open(place, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &older));
        fine(store_migrate(older, 3));
        store_closep(&older);
    }
    fine(store_open_kept(place, &older));
    fine(store_backup(older, fixture->copy));
    assert_int_equal(schema_of(older), 3);
    fine(store_verify(fixture->copy, fixture->arena, &seen));
    assert_null(seen.problem);
    assert_int_equal(seen.schema, 3);
    store_closep(&older);
    fine(store_open(place, &older)); // who works with it does bring it up to date
    assert_int_equal(schema_of(older), store_schema_version);
}

static void
write_for_ever(void *ctx, int out)
{
    struct store *store = NULL;
    struct error *err = store_open(ctx, &store);
    for (int n = 1; err == NULL; n++) {
        char *id = xasprintf("d-%06d", n);
        struct store_deployment row = {
            .id = id, .app = "a", .env = "e", .version = "v", .state = "running", .document = "1"};
        const struct store_notice notice = {.key = id,
            .deployment = id,
            .sink = "s",
            .lane = "l",
            .kind = "k",
            .target = "{}",
            .body = "{}"};
        err = store_insert_telling(store, &row, &notice, 1, 1);
        child_say(out, err == NULL ? id : error_message(err));
        free(id);
    }
}

// Row and notice are one transaction: as many of one as of the other.
static void
a_backup_of_a_busy_journal_is_of_one_moment(void **state)
{
    struct fixture *fixture = *state;
    struct child writer;
    struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
    child_start(&writer, write_for_ever, fixture->place);
    for (int round = 1; round <= 4; round++) {
        char *copy CLEANUP(xfreep) = xasprintf("%s-%d", fixture->copy, round);
        for (int i = 0; i < 25; i++) {
            assert_true(child_hear(&writer, &line));
        }
        fine(store_backup(fixture->store, copy));
        struct store *store CLEANUP(store_closep) = NULL;
        fine(store_open(copy, &store));
        int64_t counts[2] = {0};
        for (int i = 0; i < 2; i++) {
            struct query query CLEANUP(query_done);
            query_init(&query, store,
                i == 0 ? "SELECT count(*) FROM deployments" : "SELECT count(*) FROM outbox");
            assert_true(query_row(&query));
            counts[i] = query_get_int(&query, 0);
        }
        assert_int_equal(counts[0], counts[1]);
        assert_true(counts[0] >= 25 * round);
    }
    child_kill(&writer);
}

// --- what is not taken ---------------------------------------------------------------------------

static void
change(const char *path, const char *sql)
{
    struct store *store CLEANUP(store_closep) = NULL;
    fine(backup_open(path, SQLITE_OPEN_READWRITE, &store));
    fine(store_run(store, "PRAGMA foreign_keys = OFF"));
    fine(store_run(store, sql));
}

static void
assert_problem(const struct fixture *fixture, const char *change_of_it, const char *problem)
{
    static int number = 0;
    char *path CLEANUP(xfreep) = xasprintf("%s/bad-%d.db", fixture->dir, ++number);
    char *to CLEANUP(xfreep) = xasprintf("%s/to-%d.db", fixture->dir, number);
    char *text CLEANUP(xfreep) = xasprintf("backup '%s' is not whole: %s", path, problem);
    struct store_verification seen = {0};
    fine(store_backup(fixture->store, path));
    change(path, change_of_it);
    fine(store_verify(path, fixture->arena, &seen));
    assert_non_null(seen.problem);
    assert_string_equal(seen.problem, problem);
    assert_fails(store_restore(path, to), ERROR_STORAGE, text);
    assert_false(file_exists(to));
}

static void
what_is_not_whole_is_not_restored(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture->store);
    assert_problem(fixture, "UPDATE deployments SET document = '{' WHERE id = 'd-000333'",
        "'document' of 'd-000333' in 'deployments' is not JSON");
    assert_problem(fixture, "UPDATE events SET json = '{}{' WHERE sequence = 401",
        "'json' of '401' in 'events' is not JSON");
    assert_problem(fixture, "DELETE FROM deployments WHERE id = 'd-000002'",
        "a row of 'events' refers to one of 'deployments' that is not there");
    assert_problem(fixture, "PRAGMA application_id = 7", "it is no journal of dispatcher");
    char *newer CLEANUP(xfreep) =
        xasprintf("it has schema 99, but this dispatcher knows 1 to %d", store_schema_version);
    assert_problem(fixture, "PRAGMA user_version = 99", newer);
    char *other CLEANUP(xfreep) =
        xasprintf("its tables and indexes are not those of schema %d", store_schema_version);
    static const char *const others[] = {
        "DROP INDEX jobs_one_running", // two of a lane could run
        "CREATE UNIQUE INDEX one_more ON jobs (number)",
        "CREATE TABLE more (number INTEGER)",
        // The name of a table is a part of statements that another database is given.
        "CREATE TABLE \"meta WHERE name = pg_read_file('/etc/passwd')\" (a TEXT)",
        "CREATE VIEW jobs_of_all AS SELECT * FROM jobs",
        "CREATE TRIGGER meddle AFTER INSERT ON jobs BEGIN DELETE FROM audit; END",
        "ALTER TABLE jobs ADD COLUMN more TEXT",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        assert_problem(fixture, others[i], other);
    }
}

static void
damage_anywhere_is_found_or_harmless(void **state)
{
    struct fixture *fixture = *state;
    char *path CLEANUP(xfreep) = temp_dir_path(fixture->dir, "damaged.db");
    fill(fixture->store);
    fine(store_backup(fixture->store, fixture->copy));
    struct buf good CLEANUP(buf_done) = BUF_INIT(16 * 1024 * 1024);
    assert_null(file_read(fixture->copy, &good, NULL));
    unsigned found = 0, rounds = 0;
    for (size_t at = 0; at < good.len; at += at < 128 ? 1 : 1021) {
        char saved = good.ptr[at];
        good.ptr[at] = (char)~saved;
        assert_null(file_write(path, buf_str(&good), 0600));
        good.ptr[at] = saved;
        struct store_verification seen = {0};
        struct error *err CLEANUP(error_freep) = store_verify(path, fixture->arena, &seen);
        assert_true(err == NULL || error_kind(err) == ERROR_STORAGE);
        found += err != NULL || seen.problem != NULL ? 1 : 0;
        rounds++;
    }
    assert_true(rounds > 150);
    assert_true(found > 50);
    assert_null(file_write(path, STR("dear diary"), 0600));
    struct store_verification seen = {0};
    char *foreign CLEANUP(xfreep) = xasprintf("read journal '%s': file is not a database", path);
    assert_fails(store_verify(path, fixture->arena, &seen), ERROR_STORAGE, foreign);
    assert_int_equal(unlink(path), 0);
    char *missing CLEANUP(xfreep) = xasprintf("there is no file '%s'", path);
    assert_fails(store_verify(path, fixture->arena, &seen), ERROR_INPUT, missing);
}

// SQLite would take what lies beside a file for a part of it.
static void
what_another_database_left_is_not_taken_over(void **state)
{
    struct fixture *fixture = *state;
    static const char *const ends[] = {"-wal", "-shm", "-journal"};
    fill(fixture->store);
    fine(store_backup(fixture->store, fixture->copy));
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        char *to CLEANUP(xfreep) = xasprintf("%s/left-%zu.db", fixture->dir, i);
        char *left CLEANUP(xfreep) = xasprintf("%s%s", to, ends[i]);
        char *text CLEANUP(xfreep) = xasprintf("'%s' exists", left);
        assert_null(file_write(left, STR("of a database that was moved away"), 0600));
        assert_fails(store_restore(fixture->copy, to), ERROR_CONFLICT, text);
        assert_fails(store_backup(fixture->store, to), ERROR_USAGE, text);
        assert_false(file_exists(to));
        assert_true(file_exists(left));
        assert_int_equal(unlink(left), 0);
        fine(store_restore(fixture->copy, to));
    }
}

// As release 0.1 made them: brought up to date on the way, while the backup stays as it is.
static void
an_older_backup_is_restored(void **state)
{
    struct fixture *fixture = *state;
    char *old CLEANUP(xfreep) = temp_dir_path(fixture->dir, "old.db");
    struct store *store CLEANUP(store_closep) = NULL;
    fine(backup_open(old, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &store));
    fine(store_migrate(store, 1));
    const struct store_deployment row = {.id = "d-000001",
        .app = "shop",
        .env = "staging",
        .version = "v1",
        .state = "running",
        .document = "{}"};
    fine(store_insert(store, &row));
    store_closep(&store);
    char *places[] = {temp_dir_path(fixture->dir, "new.db"), store_lab_place(fixture->dir)};
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        struct store_deployment *found = NULL;
        fine(store_restore(old, places[i]));
        fine(store_open(places[i], &store));
        fine(store_find(store, "d-000001", fixture->arena, &found));
        assert_string_equal(found->app, "shop");
        store_closep(&store);
        free(places[i]);
    }
    struct store_verification seen = {0};
    fine(store_verify(old, fixture->arena, &seen));
    assert_int_equal(seen.schema, 1);
}

// --- only where there is a server ----------------------------------------------------------------

static void
a_backup_whose_server_goes_leaves_no_file(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture->store);
    store_lab_server("kill");
    struct error *err CLEANUP(error_freep) = store_backup(fixture->store, fixture->copy);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    assert_files(fixture, 0);
    store_lab_server("start");
}

static void
an_older_database_is_somebodys(void **state)
{
    struct fixture *fixture = *state;
    fine(store_backup(fixture->store, fixture->copy));
    char *to CLEANUP(xfreep) = store_lab_place(fixture->dir);
    struct store *store CLEANUP(store_closep) = NULL;
    fine(store_open(to, &store));
    fine(store_run(store, "PRAGMA user_version = 1"));
    char *text CLEANUP(xfreep) = xasprintf("'%s' is not empty: it has schema 1", store_name(store));
    assert_fails(store_restore(fixture->copy, to), ERROR_CONFLICT, text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest both[] = {
        TEST(a_backup_is_one_private_file_that_is_whole),
        TEST(everything_comes_back_in_a_file),
        TEST(everything_comes_back_in_a_new_database),
        TEST(a_file_of_another_database_goes_on_counting),
        TEST(a_backup_of_a_busy_journal_is_of_one_moment),
        TEST(a_backup_leaves_an_older_journal_as_it_is),
        TEST(what_is_not_whole_is_not_restored),
        TEST(damage_anywhere_is_found_or_harmless),
        TEST(what_another_database_left_is_not_taken_over),
        TEST(an_older_backup_is_restored),
    };
    const struct CMUnitTest server[] = {
        TEST(a_database_that_was_never_used_is_empty),
        TEST(a_backup_whose_server_goes_leaves_no_file),
        TEST(an_older_database_is_somebodys),
    };
    return store_lab_run(both, ARRAY_LENGTH(both)) +
           store_lab_run_postgres(server, ARRAY_LENGTH(server));
}
