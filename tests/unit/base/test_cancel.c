// The cancellation flag.
#include "dispatcher/cancel.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool
is_readable(const struct cancel *cancel)
{
    struct pollfd ready = {.fd = cancel_fd(cancel), .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

static void
it_is_raised_and_lowered(void **state)
{
    (void)state;
    struct cancel *cancel = cancel_new();
    assert_int_equal(cancel_signal(cancel), 0);
    assert_false(is_readable(cancel));
    assert_null(cancel_check(cancel));

    cancel_raise(cancel, SIGINT);
    assert_int_equal(cancel_signal(cancel), SIGINT);
    assert_true(is_readable(cancel));
    struct error *err CLEANUP(error_freep) = cancel_check(cancel);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_string_equal(error_message(err), "interrupted by signal 2");

    cancel_raise(cancel, SIGTERM); // the later one counts
    assert_int_equal(cancel_signal(cancel), SIGTERM);
    cancel_clear(cancel);
    assert_int_equal(cancel_signal(cancel), 0);
    assert_false(is_readable(cancel)); // also after having been raised twice
    assert_null(cancel_check(cancel));
    cancel_clear(cancel); // lowering what is down does not block
    cancel_free(cancel);
}

static void
null_is_never_raised(void **state)
{
    (void)state;
    assert_int_equal(cancel_signal(NULL), 0);
    assert_null(cancel_check(NULL));
    cancel_free(NULL);
}

static struct cancel *in_handler;

static void
on_signal(int signal)
{
    cancel_raise(in_handler, signal);
}

static void
it_is_raised_from_a_handler(void **state)
{
    (void)state;
    in_handler = cancel_new();
    struct sigaction action = {.sa_handler = on_signal}, before;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    assert_int_equal(cancel_signal(in_handler), SIGUSR1);
    cancel_free(in_handler);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_raised_and_lowered),
        cmocka_unit_test(null_is_never_raised),
        cmocka_unit_test(it_is_raised_from_a_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
