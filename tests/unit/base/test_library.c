// Libraries opened at run time: what they give, and what is said when one is not there or is too
// old. The C library's own parts are the libraries here.
#include "dispatcher/library.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

struct table {
    void *before; // not the library's
    __typeof__(&cos) cosine;
    __typeof__(&floor) floor;
};

static const struct library_function functions[] = {
    LIBRARY_FUNCTION(struct table, cosine, cos),
    LIBRARY_FUNCTION(struct table, floor, floor),
};

static struct library
mathematics(void)
{
    return (struct library){
        .kind = ERROR_STORAGE,
        .purpose = "counting",
        .name = "the library of numbers",
        .file = "libm.so.6",
        .package = "libnumbers6",
        .functions = functions,
        .count = ARRAY_LENGTH(functions),
    };
}

static void
assert_failed(struct error *err, const char *text, const char *hint)
{
    assert_non_null(err);
    char *got CLEANUP(xfreep) = error_text(err);
    assert_string_equal(got, text);
    assert_string_equal(error_hint_of(err), hint);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    error_free(err);
}

static void
functions_are_found(void **state)
{
    (void)state;
    const struct library library = mathematics();
    struct table table = {0};
    void *handle = NULL;
    assert_null(library_open(&library, &table, &handle));
    assert_non_null(handle);
    assert_null(table.before);
    assert_true(table.cosine(0.0) > 0.999);
    assert_true(table.floor(2.5) > 1.999 && table.floor(2.5) < 2.001);
    library_close(handle);
}

static void
a_library_that_is_not_there_is_named_with_its_package(void **state)
{
    (void)state;
    struct library library = mathematics();
    struct table table = {0};
    void *handle = NULL;
    library.file = "libnumbers.so.6";
    assert_failed(library_open(&library, &table, &handle),
        "counting needs the library of numbers: libnumbers.so.6: cannot open shared object file: "
        "No such file or directory",
        "Install it with: apt-get install libnumbers6.");
    library.otherwise = "Words need none.";
    assert_failed(library_load(&library, &table),
        "counting needs the library of numbers: libnumbers.so.6: cannot open shared object file: "
        "No such file or directory",
        "Install it with: apt-get install libnumbers6. Words need none.");
    assert_null(handle);
    assert_null(table.cosine);
}

static void
a_library_without_a_function_fills_nothing_in(void **state)
{
    (void)state;
    static const struct library_function more[] = {
        LIBRARY_FUNCTION(struct table, cosine, cos),
        LIBRARY_FUNCTION(struct table, floor, floor_of_the_next_version),
    };
    struct library library = mathematics();
    struct table table = {0};
    void *handle = NULL;
    library.functions = more;
    assert_failed(library_open(&library, &table, &handle),
        "counting needs the library of numbers: libm.so.6 lacks 'floor_of_the_next_version'",
        "Install it with: apt-get install libnumbers6.");
    assert_null(handle);
    assert_null(table.cosine);
    // A failure is not kept: the next call looks again.
    assert_failed(library_load(&library, &table),
        "counting needs the library of numbers: libm.so.6 lacks 'floor_of_the_next_version'",
        "Install it with: apt-get install libnumbers6.");
    library.functions = functions;
    assert_null(library_load(&library, &table));
    assert_true(table.cosine(0.0) > 0.999);
}

static void
a_table_of_the_process_is_filled_in_once(void **state)
{
    (void)state;
    struct library library = mathematics();
    struct table table = {0};
    assert_null(library_load(&library, &table));
    assert_true(table.floor(2.5) > 1.999);
    library.file = "libnumbers.so.6"; // not looked for any more
    assert_null(library_load(&library, &table));
}

enum { THREADS = 4 };
static struct table shared;

static void *
load_and_count(void *argument)
{
    const struct library library = mathematics();
    (void)argument;
    struct error *err = library_load(&library, &shared);
    bool good = err == NULL && shared.cosine(0.0) > 0.999;
    error_free(err);
    return good ? &shared : NULL;
}

static void
threads_may_load_at_the_same_time(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, load_and_count, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &shared);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_found),
        cmocka_unit_test(a_library_that_is_not_there_is_named_with_its_package),
        cmocka_unit_test(a_library_without_a_function_fills_nothing_in),
        cmocka_unit_test(a_table_of_the_process_is_filled_in_once),
        cmocka_unit_test(threads_may_load_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
