// Claims: one holder at a time, and a killed holder holds nothing.
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "dispatcher/memory.h"
#include "store_internal.h"
#include "store_lab.h"
#include "temp_dir.h"

static void
one_holder_at_a_time(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = store_lab_place(dir);
    struct store *a CLEANUP(store_closep) = NULL, *b CLEANUP(store_closep) = NULL;
    assert_null(store_open(path, &a));
    assert_null(store_open(path, &b));
    struct store_claim *first CLEANUP(store_claim_releasep) = NULL;
    struct store_claim *second CLEANUP(store_claim_releasep) = NULL;
    struct store_claim *other CLEANUP(store_claim_releasep) = NULL;
    assert_null(store_claim(a, "d-1", &first));
    assert_non_null(first);
    assert_null(store_claim(a, "d-1", &second)); // also not through the same handle
    assert_null(second);
    assert_null(store_claim(b, "d-1", &second));
    assert_null(second);
    assert_null(store_claim(b, "d-2", &other));
    assert_non_null(other);
    store_claim_releasep(&first);
    assert_null(store_claim(b, "d-1", &second));
    assert_non_null(second);
}

static void
a_claim_outlives_other_handles(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = store_lab_place(dir);
    struct store *a CLEANUP(store_closep) = NULL, *b CLEANUP(store_closep) = NULL;
    struct store_claim *claim CLEANUP(store_claim_releasep) = NULL;
    struct store_claim *denied CLEANUP(store_claim_releasep) = NULL;
    assert_null(store_open(path, &a));
    assert_null(store_claim(a, "d-1", &claim));
    assert_null(store_open(path, &b)); // opens and closes the claims file: POSIX locks would go
    store_closep(&b);
    assert_null(store_open(path, &b));
    assert_null(store_claim(b, "d-1", &denied));
    assert_null(denied);
}

// Given back after the handle is gone: nothing to give back, and nobody is stopped by it.
static void
a_claim_may_outlive_its_handle(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = store_lab_place(dir);
    struct store *a CLEANUP(store_closep) = NULL, *b CLEANUP(store_closep) = NULL;
    struct store_claim *first CLEANUP(store_claim_releasep) = NULL;
    struct store_claim *second CLEANUP(store_claim_releasep) = NULL;
    assert_null(store_open(path, &a));
    assert_null(store_claim(a, "d-1", &first));
    assert_null(store_claim(a, "d-2", &second));
    store_claim_releasep(&first); // the older of two
    store_closep(&a);
    store_claim_releasep(&second);
    assert_null(store_open(path, &b));
    assert_null(store_claim(b, "d-1", &first));
    assert_non_null(first);
    for (int tries = 0; second == NULL && tries < 500; tries++) { // the server ends the session
        assert_null(store_claim(b, "d-2", &second));
        (void)poll(NULL, 0, second == NULL ? 10 : 0);
    }
    assert_non_null(second);
}

static void
claim_and_hold(void *ctx, int out)
{
    struct store *store = NULL;
    struct store_claim *claim = NULL;
    struct error *err = store_open(ctx, &store);
    if (err == NULL) {
        err = store_claim(store, "d-1", &claim);
    }
    child_say(out, err != NULL ? error_text(err) : claim != NULL ? "held" : "denied");
    child_wait_for_death();
}

static void
a_killed_holder_holds_nothing(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = store_lab_place(dir);
    struct store *store CLEANUP(store_closep) = NULL;
    struct store_claim *claim CLEANUP(store_claim_releasep) = NULL;
    struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
    struct child owner, late;
    child_start(&owner, claim_and_hold, path);
    assert_true(child_hear(&owner, &line));
    assert_string_equal(buf_cstr(&line), "held");
    assert_null(store_open(path, &store));
    assert_null(store_claim(store, "d-1", &claim));
    assert_null(claim);
    child_kill(&owner);
    for (int tries = 0; claim == NULL && tries < 500; tries++) { // a server hears of it soon
        assert_null(store_claim(store, "d-1", &claim));
        (void)poll(NULL, 0, claim == NULL ? 10 : 0);
        assert_true(claim != NULL || store_lab_is_postgres());
    }
    assert_non_null(claim);
    child_start(&late, claim_and_hold, path);
    assert_true(child_hear(&late, &line));
    assert_string_equal(buf_cstr(&line), "denied");
    child_kill(&late);
}

static void
broken_locks_are_noticed(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    struct store *store CLEANUP(store_closep) = NULL;
    assert_null(store_open(path, &store));
    int fd = -1, other = -1;
    assert_null(claims_open(store, &fd));
    assert_null(claims_open(store, &other));
    assert_null(claims_probe(store, fd, other));
    // Two names of one description own each other's locks, as on a file system without locks.
    int same = dup(fd);
    struct error *err CLEANUP(error_freep) = claims_probe(store, fd, same);
    char *expected CLEANUP(xfreep) =
        xasprintf("lock '%s-claims': the same lock was given twice", path);
    assert_non_null(err);
    assert_string_equal(error_message(err), expected);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    (void)close(fd);
    (void)close(other);
    (void)close(same);
}

static void
a_link_in_place_of_the_claims_file_is_refused(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    char *link CLEANUP(xfreep) = temp_dir_path(dir, "state.db-claims");
    char *target CLEANUP(xfreep) = temp_dir_path(dir, "precious");
    assert_int_equal(symlink(target, link), 0);
    struct store *store CLEANUP(store_closep) = NULL;
    struct error *err CLEANUP(error_freep) = store_open(path, &store);
    assert_non_null(err);
    assert_non_null(strstr(error_message(err), "Too many levels of symbolic links"));
    assert_int_equal(access(target, F_OK), -1);
}

int
main(void)
{
    const struct CMUnitTest both[] = {
        cmocka_unit_test(one_holder_at_a_time),
        cmocka_unit_test(a_claim_outlives_other_handles),
        cmocka_unit_test(a_claim_may_outlive_its_handle),
        cmocka_unit_test(a_killed_holder_holds_nothing),
    };
    const struct CMUnitTest files[] = {
        cmocka_unit_test(broken_locks_are_noticed),
        cmocka_unit_test(a_link_in_place_of_the_claims_file_is_refused),
    };
    return store_lab_run(both, ARRAY_LENGTH(both)) + cmocka_run_group_tests(files, NULL, NULL);
}
