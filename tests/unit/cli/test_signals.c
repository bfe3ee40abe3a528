// The three signals, each in a child process of its own.
#include "signals.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/cancel.h"

enum { SURVIVED = 3, WRONG = 4 };

// Raises `count` signals of that number in a child and returns how it ended. A flag that does not
// show the signal after each one ends it as WRONG.
static int
raise_in_child(int signal, int count, int cursor_fd)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct cancel *cancel = cancel_new();
        signals_start(cancel);
        signals_cursor_hidden(cursor_fd);
        for (int i = 0; i < count; i++) {
            (void)raise(signal);
            if (cancel_signal(cancel) != signal) {
                _exit(WRONG);
            }
            cancel_clear(cancel); // the front end tidies up
        }
        _exit(SURVIVED);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
the_first_two_raise_the_flag(void **state)
{
    (void)state;
    assert_int_equal(raise_in_child(SIGINT, 1, -1), SURVIVED);
    assert_int_equal(raise_in_child(SIGINT, 2, -1), SURVIVED);
    assert_int_equal(raise_in_child(SIGTERM, 2, -1), SURVIVED);
}

static void
the_third_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(raise_in_child(SIGINT, 3, -1), 130);
    assert_int_equal(raise_in_child(SIGTERM, 3, -1), 143);
}

static void
the_third_shows_the_cursor(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(raise_in_child(SIGINT, 3, ends[1]), 130);
    (void)close(ends[1]);
    char got[16] = {0};
    assert_int_equal(read(ends[0], got, sizeof(got) - 1), 7);
    assert_string_equal(got, "\x1b[?25h\n");
    (void)close(ends[0]);
}

// After signals_stop the default is back: the process dies of the signal.
static void
stopping_restores_the_default(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct cancel *cancel = cancel_new();
        signals_start(cancel);
        signals_stop();
        (void)raise(SIGTERM);
        _exit(SURVIVED);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_two_raise_the_flag),
        cmocka_unit_test(the_third_ends_the_process),
        cmocka_unit_test(the_third_shows_the_cursor),
        cmocka_unit_test(stopping_restores_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
