// Errors as chains of sentences.
#include "dispatcher/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

static void
assert_text(const struct error *err, const char *expected)
{
    char *text CLEANUP(xfreep) = error_text(err);
    assert_string_equal(text, expected);
}

static void
one_sentence(void **state)
{
    (void)state;
    struct error *err CLEANUP(error_freep) = error_new(ERROR_INPUT, "'%s' is %d", "a", 7);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_string_equal(error_message(err), "'a' is 7");
    assert_null(error_cause(err));
    assert_null(error_hint_of(err));
    assert_text(err, "'a' is 7");
    assert_non_null(strstr(error_source(err), "test_error.c:"));
}

static void
wrapping_adds_outer_sentences(void **state)
{
    (void)state;
    struct error *err CLEANUP(error_freep) = error_new(ERROR_DENIED, "denied");
    err = error_hint(err, "Ask %s.", "them");
    err = error_wrap(err, "push image '%s'", "web");
    err = error_wrap_as(ERROR_NOT_RESTORED, err, "deploy");
    assert_int_equal(error_kind(err), ERROR_NOT_RESTORED);
    assert_int_equal(error_kind(error_cause(err)), ERROR_DENIED);
    assert_string_equal(error_message(err), "deploy");
    assert_text(err, "deploy: push image 'web': denied");
    assert_string_equal(error_hint_of(err), "Ask them.");
    assert_non_null(strstr(error_source(err), "test_error.c:")); // of the innermost
}

static void
an_outer_hint_wins_and_a_second_one_replaces(void **state)
{
    (void)state;
    struct error *err CLEANUP(error_freep) = error_hint(error_new(ERROR_BUG, "x"), "Inner.");
    err = error_hint(err, "Inner again.");
    assert_string_equal(error_hint_of(err), "Inner again.");
    err = error_hint(error_wrap(err, "y"), "Outer.");
    assert_string_equal(error_hint_of(err), "Outer.");
}

static void
what_the_remote_said_shows_at_the_end(void **state)
{
    (void)state;
    struct error *err CLEANUP(error_freep) = error_new(ERROR_REFUSED, "PUT 'x'");
    err = error_remote(err, 403, "Denied", "7f3a", true);
    err = error_wrap(err, "push");
    assert_text(err, "push: PUT 'x' (HTTP 403, request 7f3a)");
    const struct error_remote *remote = error_remote_of(err);
    assert_int_equal(remote->status, 403);
    assert_string_equal(remote->code, "Denied");
    assert_string_equal(remote->request_id, "7f3a");
    assert_true(remote->request_left);
}

static void
a_remote_without_a_request_id_or_status(void **state)
{
    (void)state;
    struct error *err CLEANUP(error_freep) = error_new(ERROR_REFUSED, "GET");
    err = error_remote(err, 404, NULL, NULL, false);
    assert_text(err, "GET (HTTP 404)");
    err = error_remote(err, 0, "reset", "id", true); // replaces
    assert_text(err, "GET");
    assert_string_equal(error_remote_of(err)->code, "reset");
}

static void
without_a_remote_all_is_zero(void **state)
{
    (void)state;
    struct error *err CLEANUP(error_freep) = error_new(ERROR_REFUSED, "GET");
    const struct error_remote *remote = error_remote_of(err);
    assert_int_equal(remote->status, 0);
    assert_null(remote->code);
    assert_null(remote->request_id);
    assert_false(remote->request_left);
}

static void
a_message_over_the_cap_is_replaced(void **state)
{
    (void)state;
    char *huge CLEANUP(xfreep) = xmalloc(20001);
    memset(huge, 'x', 20000);
    huge[20000] = '\0';
    struct error *err CLEANUP(error_freep) = error_new(ERROR_INPUT, "%s", huge);
    assert_string_equal(error_message(err), "a message of more than 16 KiB");
}

static void
kinds_have_names_codes_and_texts(void **state)
{
    (void)state;
    assert_int_equal(error_kind_exit_code(ERROR_USAGE), 2);
    assert_int_equal(error_kind_exit_code(ERROR_CONFLICT), 6);
    assert_int_equal(error_kind_exit_code(ERROR_REFUSED), 12);
    assert_int_equal(error_kind_exit_code(ERROR_CANCELLED), 130);
    assert_int_equal(error_kind_exit_code(ERROR_BUG), 70);
    assert_string_equal(error_kind_name(ERROR_NOT_RESTORED), "NOT_RESTORED");
    assert_string_equal(
        error_kind_text(ERROR_UNKNOWN), "it may have run; what is true could not be found out");
}

static void
free_takes_null(void **state)
{
    (void)state;
    error_free(NULL);
    struct error *err = NULL;
    error_freep(&err);
    err = error_new(ERROR_BUG, "x");
    error_freep(&err);
    assert_null(err);
}

static struct error *
fails(bool really, int *passed)
{
    TRY(really ? error_new(ERROR_INPUT, "no") : NULL);
    (*passed)++;
    return NULL;
}

static void
try_returns_early(void **state)
{
    (void)state;
    int passed = 0;
    assert_null(fails(false, &passed));
    struct error *err CLEANUP(error_freep) = fails(true, &passed);
    assert_non_null(err);
    assert_int_equal(passed, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_sentence),
        cmocka_unit_test(wrapping_adds_outer_sentences),
        cmocka_unit_test(an_outer_hint_wins_and_a_second_one_replaces),
        cmocka_unit_test(what_the_remote_said_shows_at_the_end),
        cmocka_unit_test(a_remote_without_a_request_id_or_status),
        cmocka_unit_test(without_a_remote_all_is_zero),
        cmocka_unit_test(a_message_over_the_cap_is_replaced),
        cmocka_unit_test(kinds_have_names_codes_and_texts),
        cmocka_unit_test(free_takes_null),
        cmocka_unit_test(try_returns_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
