// Allocation, and how the process ends when there is none or when we are wrong.
#include "dispatcher/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void
copies(void **state)
{
    (void)state;
    char *a CLEANUP(xfreep) = xstrdup("abc");
    char *b CLEANUP(xfreep) = xstrndup("abcdef", 2);
    char *c CLEANUP(xfreep) = xstrndup(NULL, 0);
    char *d CLEANUP(xfreep) = xasprintf("%s-%d", "a", 5);
    assert_string_equal(a, "abc");
    assert_string_equal(b, "ab");
    assert_string_equal(c, "");
    assert_string_equal(d, "a-5");
    xfreep(&a);
    assert_null(a);
}

static void
nothing_is_something(void **state)
{
    (void)state;
    void *a CLEANUP(xfreep) = xmalloc(0);
    void *b CLEANUP(xfreep) = xcalloc(0, 0);
    void *c CLEANUP(xfreep) = xrealloc(NULL, 0);
    assert_true(a != NULL && b != NULL && c != NULL);
}

// Runs `fatal` in a child; it must print exactly `expected` on stderr and exit with 70.
static void
assert_ends(void (*fatal)(void), const char *expected)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        fatal();
        _exit(0);
    }
    (void)close(ends[1]);
    char got[256] = {0};
    size_t len = 0;
    for (ssize_t more = 1; more > 0 && len < sizeof(got) - 1; len += (size_t)more) {
        more = read(ends[0], got + len, sizeof(got) - 1 - len);
        assert_true(more >= 0);
    }
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 70);
    assert_string_equal(got, expected);
}

static void
be_wrong(void)
{
    bug_abort("x.c", 7, "1 == 2");
}

// volatile: the compiler must not see that these cannot succeed.
static volatile size_t too_much = SIZE_MAX / 2;

static void
ask_malloc(void)
{
    free(xmalloc(too_much));
}

static void
ask_calloc(void)
{
    free(xcalloc(too_much, 4));
}

static void
ask_realloc(void)
{
    free(xrealloc(NULL, too_much));
}

static void
a_bug_ends_the_process(void **state)
{
    (void)state;
    assert_ends(be_wrong, "dispatcher: bug at x.c:7: 1 == 2\n");
}

static void
no_memory_ends_the_process(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); // the sanitizer ends the process in its own words
#endif
    assert_ends(ask_malloc, "dispatcher: out of memory\n");
    assert_ends(ask_calloc, "dispatcher: out of memory\n");
    assert_ends(ask_realloc, "dispatcher: out of memory\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies),
        cmocka_unit_test(nothing_is_something),
        cmocka_unit_test(a_bug_ends_the_process),
        cmocka_unit_test(no_memory_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
