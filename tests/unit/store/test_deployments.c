// Rows, step logs, events and durations: what goes in comes out, and what must not go in does not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/store.h"
#include "store_lab.h"
#include "temp_dir.h"

struct fixture {
    char *dir, *path;
    struct store *store;
    struct arena *arena;
};

static int
set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    fixture->dir = temp_dir_new();
    fixture->path = store_lab_place(fixture->dir);
    fixture->arena = arena_new();
    assert_null(store_open(fixture->path, &fixture->store));
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
    free(fixture->path);
    free(fixture);
    return 0;
}

static struct store_deployment
deployment(const char *id, const char *app, int64_t created_ms)
{
    return (struct store_deployment){
        .id = id,
        .app = app,
        .env = "production",
        .version = "v1",
        .state = "running",
        .created_ms = created_ms,
        .updated_ms = created_ms,
        .document = "{\"n\":1}",
    };
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
a_row_comes_back_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    struct store_deployment row = deployment("d-0123456789", "payments", 1000);
    assert_null(store_insert(fixture->store, &row));
    row.version = "v2 '; DROP TABLE deployments; --";
    row.state = "final";
    row.result = "deployed";
    row.exit_code = 7;
    row.updated_ms = INT64_C(1795247280123);
    row.document = "{\"text\":\"\xc3\xa9 ' \\\" %s\"}";
    assert_null(store_save(fixture->store, &row, NULL));
    struct store_deployment *got = NULL;
    assert_null(store_find(fixture->store, row.id, fixture->arena, &got));
    assert_non_null(got);
    assert_string_equal(got->id, row.id);
    assert_string_equal(got->app, "payments");
    assert_string_equal(got->env, "production");
    assert_string_equal(got->version, row.version);
    assert_string_equal(got->state, "final");
    assert_string_equal(got->result, "deployed");
    assert_int_equal(got->exit_code, 7);
    assert_int_equal(got->created_ms, 1000);
    assert_int_equal(got->updated_ms, row.updated_ms);
    assert_string_equal(got->document, row.document);
}

static void
everything_survives_reopening(void **state)
{
    struct fixture *fixture = *state;
    struct store_deployment row = deployment("d-0123456789", "payments", 1000);
    const struct store_step step = {1, "push web", "intent", NULL, 1001};
    assert_null(store_insert(fixture->store, &row));
    assert_null(store_save(fixture->store, &row, &step));
    store_closep(&fixture->store);
    assert_null(store_open(fixture->path, &fixture->store));
    struct store_step *steps = NULL;
    size_t count = 0;
    assert_null(store_steps(fixture->store, row.id, fixture->arena, &steps, &count));
    assert_int_equal(count, 1);
    assert_string_equal(steps[0].name, "push web");
    assert_string_equal(steps[0].state, "intent");
    assert_null(steps[0].note);
}

static void
ids_are_found_by_prefix(void **state)
{
    struct fixture *fixture = *state;
    static const char *const ids[] = {"d-aaaa11", "d-aaaa11ff", "d-aaaa22", "d-bbbb33"};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        struct store_deployment row = deployment(ids[i], "payments", 1000);
        assert_null(store_insert(fixture->store, &row));
    }
    static const struct {
        const char *asked, *expected;
    } rows[] = {
        {"d-aaaa11", "d-aaaa11"}, // whole, though another starts with it
        {"d-aaaa11f", "d-aaaa11ff"},
        {"d-aaaa2", "d-aaaa22"},
        {"d-bbbb", "d-bbbb33"},
        {"d-bbb", NULL}, // too short
        {"", NULL},
        {"d-cccc", NULL},
        {"d-bbbb33x", NULL},
        {"D-BBBB33", NULL},
        {"d-bbb%", NULL},
        {"______", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct store_deployment *got = NULL;
        assert_null(store_find(fixture->store, rows[i].asked, fixture->arena, &got));
        assert_true(cstr_equal(got != NULL ? got->id : NULL, rows[i].expected));
    }
    struct store_deployment *got = NULL;
    struct error *err = store_find(fixture->store, "d-aaaa", fixture->arena, &got);
    assert_string_equal(
        error_hint_of(err), "Give more of the id: 'd-aaaa11' and 'd-aaaa11ff' are two of them.");
    assert_fails(err, ERROR_USAGE, "several deployments start with 'd-aaaa'");
    assert_null(got);
}

static void
lists_are_filtered_and_newest_first(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 70; i++) {
        char *id CLEANUP(xfreep) = xasprintf("d-%06d", i);
        struct store_deployment row = deployment(id, i % 2 == 0 ? "even" : "odd", 1000 + i / 10);
        row.state = i < 5 ? "final" : "running";
        row.result = i < 5 ? "failed" : NULL;
        assert_null(store_insert(fixture->store, &row));
    }
    struct store_deployment *rows = NULL;
    size_t count = 0;
    struct store_filter filter = {0};
    assert_null(store_list(fixture->store, &filter, fixture->arena, &rows, &count));
    assert_int_equal(count, 50);
    assert_string_equal(rows[0].id, "d-000069");
    assert_string_equal(rows[49].id, "d-000020");
    filter = (struct store_filter){.app = "even", .limit = 3};
    assert_null(store_list(fixture->store, &filter, fixture->arena, &rows, &count));
    assert_int_equal(count, 3);
    assert_string_equal(rows[2].id, "d-000064");
    filter = (struct store_filter){.app = "odd", .env = "production", .state = "final"};
    assert_null(store_list(fixture->store, &filter, fixture->arena, &rows, &count));
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].id, "d-000003");
    assert_string_equal(rows[1].id, "d-000001");
    filter = (struct store_filter){.env = "staging"};
    assert_null(store_list(fixture->store, &filter, fixture->arena, &rows, &count));
    assert_int_equal(count, 0);
}

// What the database itself says.
static const char *
either(const char *sqlite, const char *postgres)
{
    return store_lab_is_postgres() ? postgres : sqlite;
}

static void
what_is_wrong_is_refused_whole(void **state)
{
    struct fixture *fixture = *state;
    struct store_deployment row = deployment("d-0123456789", "payments", 1000);
    char *twice CLEANUP(xfreep) = xasprintf("deployment 'd-0123456789' is already in the journal: "
                                            "write journal '%s': %s",
        store_name(fixture->store),
        either("UNIQUE constraint failed: deployments.id",
            "duplicate key value violates unique constraint \"deployments_pkey\""));
    assert_null(store_insert(fixture->store, &row));
    assert_fails(store_insert(fixture->store, &row), ERROR_STORAGE, twice);

    // A step in a state that does not exist takes the change of the row down with it.
    row.document = "{\"n\":2}";
    const struct store_step bad = {1, "push web", "nearly", NULL, 1001};
    struct error *err = store_save(fixture->store, &row, &bad);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    assert_non_null(strstr(error_message(err),
        either("CHECK constraint failed", "violates check constraint \"steps_state_check\"")));
    error_free(err);
    struct store_deployment *got = NULL;
    assert_null(store_find(fixture->store, row.id, fixture->arena, &got));
    assert_string_equal(got->document, "{\"n\":1}");

    row.state = "final"; // without a result
    err = store_save(fixture->store, &row, NULL);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    error_free(err);

    struct store_deployment unknown = deployment("d-unknown", "payments", 1);
    char *missing CLEANUP(xfreep) =
        xasprintf("deployment 'd-unknown' is not in journal '%s'", store_name(fixture->store));
    assert_fails(store_save(fixture->store, &unknown, NULL), ERROR_STORAGE, missing);
    err = store_add_event(fixture->store, "d-unknown", "{}", 1);
    assert_non_null(strstr(error_message(err),
        either("FOREIGN KEY constraint failed", "violates foreign key constraint")));
    error_free(err);

    // None of this breaks the handle.
    row.state = "running";
    assert_null(store_save(fixture->store, &row, NULL));
}

static void
steps_are_a_log(void **state)
{
    struct fixture *fixture = *state;
    struct store_deployment row = deployment("d-0123456789", "payments", 1000);
    struct store_deployment other = deployment("d-other", "ledger", 1000);
    assert_null(store_insert(fixture->store, &row));
    assert_null(store_insert(fixture->store, &other));
    static const char *const states[] = {
        "intent", "waiting", "done", "skipped", "failed", "undoing", "undone", "undo-failed"};
    for (int i = 0; i < 40; i++) {
        const char *name = states[i % (int)ARRAY_LENGTH(states)];
        const struct store_step step = {i, "push web", name, i % 2 == 0 ? "note" : NULL, 1000 + i};
        assert_null(store_save(fixture->store, &row, &step));
        assert_null(store_save(fixture->store, &other, i % 10 == 0 ? &step : NULL));
    }
    struct store_step *steps = NULL;
    size_t count = 0;
    assert_null(store_steps(fixture->store, row.id, fixture->arena, &steps, &count));
    assert_int_equal(count, 40);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(steps[i].ordinal, i);
        assert_int_equal(steps[i].at_ms, 1000 + i);
        assert_string_equal(steps[i].state, states[i % (int)ARRAY_LENGTH(states)]);
        assert_true(cstr_equal(steps[i].note, i % 2 == 0 ? "note" : NULL));
    }
    assert_null(store_steps(fixture->store, other.id, fixture->arena, &steps, &count));
    assert_int_equal(count, 4);
    assert_null(store_steps(fixture->store, "d-unknown", fixture->arena, &steps, &count));
    assert_int_equal(count, 0);
}

static void
events_are_read_from_where_one_was(void **state)
{
    struct fixture *fixture = *state;
    struct store_deployment row = deployment("d-0123456789", "payments", 1000);
    assert_null(store_insert(fixture->store, &row));
    for (int i = 0; i < 20; i++) {
        char *json CLEANUP(xfreep) = xasprintf("{\"i\":%d}", i);
        assert_null(store_add_event(fixture->store, row.id, json, 2000 + i));
    }
    struct store_event *events = NULL;
    size_t count = 0;
    assert_null(store_events(fixture->store, row.id, 0, fixture->arena, &events, &count));
    assert_int_equal(count, 20);
    assert_string_equal(events[19].json, "{\"i\":19}");
    assert_int_equal(events[19].at_ms, 2019);
    int64_t after = events[16].sequence;
    assert_null(store_events(fixture->store, row.id, after, fixture->arena, &events, &count));
    assert_int_equal(count, 3);
    assert_string_equal(events[0].json, "{\"i\":17}");
    assert_true(events[0].sequence > after);
}

static void
the_usual_duration_is_the_recent_median(void **state)
{
    struct fixture *fixture = *state;
    int64_t usual = -1;
    assert_null(store_usual_duration(fixture->store, "payments", "production", &usual));
    assert_int_equal(usual, 0);
    // The first three are too old to count.
    static const int64_t durations[] = {
        9000, 9000, 9000, 100, 900, 200, 800, 300, 700, 400, 600, 500};
    for (size_t i = 0; i < ARRAY_LENGTH(durations); i++) {
        char *id CLEANUP(xfreep) = xasprintf("d-%06zu", i);
        struct store_deployment row = deployment(id, "payments", 1000);
        assert_null(store_insert(fixture->store, &row));
        assert_null(store_add_duration(fixture->store, id, "payments", "production", durations[i]));
    }
    assert_null(store_usual_duration(fixture->store, "payments", "production", &usual));
    assert_int_equal(usual, 500);
    assert_null(store_usual_duration(fixture->store, "payments", "staging", &usual));
    assert_int_equal(usual, 0);
    // Said again after a resume: one deployment counts once.
    assert_null(store_add_duration(fixture->store, "d-000011", "payments", "production", 50));
    assert_null(store_usual_duration(fixture->store, "payments", "production", &usual));
    assert_int_equal(usual, 400);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_comes_back_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(everything_survives_reopening, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ids_are_found_by_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_are_filtered_and_newest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_refused_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(steps_are_a_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_are_read_from_where_one_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_usual_duration_is_the_recent_median, set_up, tear_down),
    };
    return store_lab_run(tests, ARRAY_LENGTH(tests));
}
