// Statements through the seam: the same answers from both databases.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "store_internal.h"
#include "store_lab.h"
#include "temp_dir.h"

struct fixture {
    char *dir, *place;
    struct store *store;
    struct arena *arena;
};

static int
set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    fixture->dir = temp_dir_new();
    fixture->place = store_lab_place(fixture->dir);
    fixture->arena = arena_new();
    assert_null(store_open(fixture->place, &fixture->store));
    assert_null(store_run(fixture->store,
        "CREATE TABLE things (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
        " size INTEGER, note TEXT) STRICT"));
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
    free(fixture);
    return 0;
}

#define INSERT "INSERT INTO things (name, size, note) VALUES (?, ?, ?)"

static void
init(struct query *query, struct fixture *fixture, const char *sql, const char *name, int64_t size)
{
    query_init(query, fixture->store, sql);
    query_text(query, name);
    query_maybe(query, size != 0, size);
    query_text(query, NULL);
}

static int64_t
insert(struct fixture *fixture, const char *name, int64_t size)
{
    struct query query CLEANUP(query_done);
    int64_t id = 0;
    init(&query, fixture, INSERT " RETURNING id", name, size);
    assert_null(query_insert_id(&query, &id));
    assert_int_equal(query_changes(&query), 1);
    return id;
}

static int64_t
count(struct fixture *fixture)
{
    struct query query CLEANUP(query_done);
    query_init(&query, fixture->store, "SELECT count(*) FROM things");
    assert_true(query_row(&query));
    return query_get_int(&query, 0);
}

static void
inserts_give_their_number(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(insert(fixture, "a", INT64_MAX), 1);
    assert_int_equal(insert(fixture, "b", INT64_MIN), 2);
    assert_int_equal(insert(fixture, "c", 0), 3);
    struct query query CLEANUP(query_done);
    query_init(&query, fixture->store, "SELECT size, note FROM things ORDER BY id");
    assert_true(query_row(&query));
    assert_true(query_get_int(&query, 0) == INT64_MAX);
    assert_true(query_row(&query));
    assert_true(query_get_int(&query, 0) == INT64_MIN);
    assert_true(query_row(&query));
    assert_null(query_get_text(&query, 0, fixture->arena));
    assert_int_equal(query_get_int(&query, 0), 0);
    assert_null(query_get_text(&query, 1, fixture->arena));
    assert_false(query_row(&query));
}

static void
an_insert_without_a_row_runs_once(void **state)
{
    struct fixture *fixture = *state;
    (void)insert(fixture, "a", 1);
    struct query query CLEANUP(query_done);
    int64_t id = 77;
    init(&query, fixture, INSERT " ON CONFLICT (name) DO NOTHING RETURNING id", "a", 2);
    assert_null(query_insert_id(&query, &id));
    assert_int_equal(id, 0);
    assert_int_equal(query_changes(&query), 0);
    // Asked again it has nothing to say, and does nothing.
    query_done(&query);
    query_init(&query, fixture->store, "UPDATE things SET size = size + 1");
    assert_false(query_row(&query));
    assert_false(query_row(&query));
    assert_null(query_run(&query));
    assert_int_equal(query_changes(&query), 1);
    query_done(&query);
    query_init(&query, fixture->store, "SELECT size FROM things");
    assert_true(query_row(&query));
    assert_int_equal(query_get_int(&query, 0), 2);
}

static void
conflicts_are_told_from_other_failures(void **state)
{
    struct fixture *fixture = *state;
    (void)insert(fixture, "a", 1);
    struct query query CLEANUP(query_done);
    init(&query, fixture, INSERT, "a", 2);
    struct error *err CLEANUP(error_freep) = query_run(&query);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    assert_true(query_conflicts(&query));
    query_done(&query);
    init(&query, fixture, INSERT, NULL, 2);
    struct error *missing CLEANUP(error_freep) = query_run(&query);
    assert_non_null(missing);
    assert_false(query_conflicts(&query));
    query_done(&query);
    query_init(&query, fixture->store, "SELECT nothing FROM things");
    struct error *unknown CLEANUP(error_freep) = query_run(&query);
    assert_non_null(unknown);
    assert_false(query_conflicts(&query));
    assert_null(store_check(fixture->store)); // none of these breaks it
    assert_int_equal(count(fixture), 1);
}

static void
changes_are_counted(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 5; i++) {
        (void)insert(fixture, arena_printf(fixture->arena, "%d", i), i + 1);
    }
    static const struct {
        const char *sql;
        int64_t changes;
    } statements[] = {
        {"UPDATE things SET note = 'x' WHERE size > 2", 3},
        {"UPDATE things SET note = 'x' WHERE size > 9", 0},
        {"SELECT * FROM things", 0},
        {"DELETE FROM things WHERE size < 3", 2},
        {"DELETE FROM things", 3},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(statements); i++) {
        struct query query CLEANUP(query_done);
        query_init(&query, fixture->store, statements[i].sql);
        assert_null(query_run(&query));
        assert_int_equal(query_changes(&query), statements[i].changes);
    }
}

// What groups of writes are made of: one that fails undoes only itself.
static void
savepoints_undo_a_part(void **state)
{
    struct fixture *fixture = *state;
    assert_null(store_begin(fixture->store));
    (void)insert(fixture, "a", 1);
    assert_null(store_run(fixture->store, "SAVEPOINT part"));
    (void)insert(fixture, "b", 1);
    struct query query CLEANUP(query_done);
    init(&query, fixture, INSERT, "a", 2);
    error_free(query_run(&query));
    query_done(&query);
    assert_null(store_run(fixture->store, "ROLLBACK TO part"));
    assert_null(store_run(fixture->store, "RELEASE part"));
    (void)insert(fixture, "c", 1);
    assert_null(store_end(fixture->store, NULL));
    assert_int_equal(count(fixture), 2);
}

static void
text_is_ordered_by_bytes(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"\xc3\xa4", "b", "B", "a-b", "ab", "a", "_"};
    static const char *const ordered[] = {"B", "_", "a", "a-b", "ab", "b", "\xc3\xa4"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        (void)insert(fixture, names[i], 1);
    }
    struct query query CLEANUP(query_done);
    query_init(&query, fixture->store, "SELECT name FROM things ORDER BY name");
    for (size_t i = 0; i < ARRAY_LENGTH(ordered); i++) {
        assert_true(query_row(&query));
        assert_string_equal(query_get_text(&query, 0, fixture->arena), ordered[i]);
    }
}

// Several are sent before any is asked about: each sees what the ones before it wrote.
static void
what_is_sent_runs_in_its_order(void **state)
{
    struct fixture *fixture = *state;
    struct query first CLEANUP(query_done);
    struct query count CLEANUP(query_done);
    assert_null(store_begin(fixture->store));
    init(&first, fixture, INSERT " RETURNING size", "first", 7);
    query_init(&count, fixture->store, "SELECT count(*) FROM things");
    query_send(&first);
    query_send(&count);
    assert_true(query_row(&first));
    assert_int_equal(query_get_int(&first, 0), 7);
    assert_null(query_run(&first));
    assert_true(query_row(&count));
    assert_int_equal(query_get_int(&count, 0), 1);
    query_done(&first);
    query_done(&count);
    assert_null(store_end(fixture->store, NULL));
}

static struct error *
add_ahead(struct fixture *fixture, const char *name)
{
    struct query query CLEANUP(query_done);
    init(&query, fixture, INSERT, name, 1);
    return query_run_ahead(&query);
}

// What nobody waited for fails the next one that somebody waits for, in its own words.
static void
a_failure_ahead_is_not_lost(void **state)
{
    struct fixture *fixture = *state;
    (void)insert(fixture, "here", 1);
    assert_null(store_begin(fixture->store));
    struct error *err = add_ahead(fixture, "here");
    if (err == NULL) {
        err = store_run(fixture->store, "SAVEPOINT part");
    }
    assert_non_null(err);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_non_null(strstr(text, store_lab_is_postgres() ? "duplicate key" : "UNIQUE"));
    err = store_end(fixture->store, err);
    assert_non_null(err);
    error_free(err);
    assert_null(store_begin(fixture->store)); // the handle goes on
    assert_null(add_ahead(fixture, "there"));
    assert_null(store_end(fixture->store, NULL));
    struct query count CLEANUP(query_done);
    query_init(&count, fixture->store, "SELECT count(*) FROM things");
    assert_true(query_row(&count));
    assert_int_equal(query_get_int(&count, 0), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(inserts_give_their_number),
        TEST(an_insert_without_a_row_runs_once),
        TEST(conflicts_are_told_from_other_failures),
        TEST(changes_are_counted),
        TEST(savepoints_undo_a_part),
        TEST(text_is_ordered_by_bytes),
        TEST(what_is_sent_runs_in_its_order),
        TEST(a_failure_ahead_is_not_lost),
    };
    return store_lab_run(tests, ARRAY_LENGTH(tests));
}
