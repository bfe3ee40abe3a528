// What processes that share a database tell each other: once it is committed, to all who listen,
// until the connection is gone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/queue.h"
#include "store_internal.h"
#include "store_lab.h"
#include "temp_dir.h"

enum { LONG_MS = 30 * 1000 };

struct ear {
    char text[256]; // "about|about|"
};

static void
note(void *ctx, const char *about)
{
    struct ear *ear = ctx;
    size_t used = strlen(ear->text);
    (void)snprintf(ear->text + used, sizeof(ear->text) - used, "%s|", about);
}

// Until something was heard; what it was.
static const char *
hear(struct store *store, struct ear *ear)
{
    *ear = (struct ear){.text = ""};
    for (int i = 0; i < 100 && ear->text[0] == '\0'; i++) {
        assert_null(store_hear(store, LONG_MS / 100, NULL, note, ear));
    }
    return ear->text;
}

struct places {
    char *dir, *path;
    struct store *listener, *teller;
};

static void
places_done(struct places *places)
{
    store_close(places->listener);
    store_close(places->teller);
    free(places->path);
    temp_dir_removep(&places->dir);
}

static void
places_open(struct places *places)
{
    places->dir = temp_dir_new();
    places->path = store_lab_place(places->dir);
    assert_null(store_open(places->path, &places->listener));
    assert_null(store_open(places->path, &places->teller));
    assert_null(store_listen(places->listener));
}

static void
what_is_told_is_heard_by_others(void **state)
{
    (void)state;
    struct places p CLEANUP(places_done) = {0};
    struct ear ear = {""};
    places_open(&p);
    assert_null(store_tell(p.teller, "d-1"));
    assert_string_equal(hear(p.listener, &ear), "d-1|");
    assert_null(store_tell(p.listener, "d-2")); // its own words
    assert_null(store_tell(p.teller, ""));
    assert_string_equal(hear(p.listener, &ear), "|");
    assert_null(store_hear(p.listener, 0, NULL, note, &ear));
    assert_string_equal(ear.text, "|"); // once
}

// Came with the answer to something else, so that nothing is left on the wire.
static void
what_came_along_is_not_waited_for(void **state)
{
    (void)state;
    struct places p CLEANUP(places_done) = {0};
    struct ear ear = {""};
    places_open(&p);
    assert_null(store_tell(p.teller, "d-1"));
    assert_null(store_run(p.listener, "UPDATE job_lanes SET due_ms = due_ms"));
    assert_null(store_hear(p.listener, 0, NULL, note, &ear));
    assert_string_equal(ear.text, "d-1|");
}

static void
accept(struct store *store, const char *id, const char *app)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct queue_job job = {
        .id = id, .app = app, .env = "staging", .verb = "deploy", .version = "v1"};
    const struct queue_acceptance acceptance = {.job = &job};
    enum queue_accepted outcome = QUEUE_FULL;
    const char *made = NULL;
    assert_null(queue_accept(store, &acceptance, 1000, arena, &outcome, &made));
    assert_int_equal(outcome, QUEUE_NEW);
}

static void
what_is_due_is_told_when_it_is_committed(void **state)
{
    (void)state;
    struct places p CLEANUP(places_done) = {0};
    struct ear ear = {""};
    places_open(&p);
    accept(p.teller, "d-1", "payments");
    assert_string_equal(hear(p.listener, &ear), "|");
    ear = (struct ear){""};
    assert_null(store_begin(p.teller));
    store_notify(p.teller);
    error_free(store_end(p.teller, error_new(ERROR_STORAGE, "no")));
    assert_null(store_tell(p.teller, "last"));
    assert_string_equal(hear(p.listener, &ear), "last|");
}

static void
a_listener_that_is_cut_off_says_so_and_another_one_hears(void **state)
{
    (void)state;
    struct places p CLEANUP(places_done) = {0};
    struct ear ear = {""};
    struct error *err = NULL;
    places_open(&p);
    char *killed CLEANUP(xfreep) =
        store_lab_sql(p.path, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                              " WHERE datname = current_database() AND query LIKE 'LISTEN%'");
    assert_string_equal(killed, "1");
    for (int i = 0; i < 100 && err == NULL; i++) {
        err = store_hear(p.listener, LONG_MS / 100, NULL, note, &ear);
    }
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    error_free(err);
    err = store_hear(p.listener, 0, NULL, note, &ear);
    assert_non_null(err); // and it stays so
    error_free(err);
    assert_null(store_tell(p.teller, "nobody is there"));
    store_closep(&p.listener);
    assert_null(store_open(p.path, &p.listener));
    assert_null(store_listen(p.listener));
    assert_null(store_tell(p.teller, "d-1"));
    assert_string_equal(hear(p.listener, &ear), "d-1|");
}

static void
a_raised_flag_ends_the_wait(void **state)
{
    (void)state;
    struct places p CLEANUP(places_done) = {0};
    struct ear ear = {""};
    struct cancel *wake = cancel_new();
    places_open(&p);
    cancel_raise(wake, 1);
    assert_null(store_hear(p.listener, -1, wake, note, &ear));
    assert_string_equal(ear.text, "");
    cancel_free(wake);
}

static void
a_file_has_nobody_to_tell(void **state)
{
    (void)state;
    struct places p CLEANUP(places_done) = {0};
    struct ear ear = {""};
    p.dir = temp_dir_new();
    p.path = temp_dir_path(p.dir, "state.db");
    assert_null(store_open(p.path, &p.listener));
    assert_null(store_open(p.path, &p.teller));
    assert_null(store_listen(p.listener));
    assert_null(store_tell(p.teller, "d-1"));
    accept(p.teller, "d-1", "payments");
    assert_null(store_hear(p.listener, 0, NULL, note, &ear));
    assert_string_equal(ear.text, "");
}

int
main(void)
{
    const struct CMUnitTest shared[] = {
        cmocka_unit_test(what_is_told_is_heard_by_others),
        cmocka_unit_test(what_came_along_is_not_waited_for),
        cmocka_unit_test(what_is_due_is_told_when_it_is_committed),
        cmocka_unit_test(a_listener_that_is_cut_off_says_so_and_another_one_hears),
        cmocka_unit_test(a_raised_flag_ends_the_wait),
    };
    const struct CMUnitTest alone[] = {cmocka_unit_test(a_file_has_nobody_to_tell)};
    int failed = cmocka_run_group_tests_name("sqlite", alone, NULL, NULL);
    return failed + store_lab_run_postgres(shared, ARRAY_LENGTH(shared));
}
