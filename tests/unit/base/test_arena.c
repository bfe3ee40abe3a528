// One lifetime for many pieces.
#include "dispatcher/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool
is_zero(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

// Pieces of every size around the block's: zeroed, aligned, and none overlaps another.
static void
pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct {
        char *bytes;
        size_t len;
    } pieces[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        pieces[i].len = i * i % 20000; // some far over the block size
        pieces[i].bytes = arena_alloc(arena, pieces[i].len);
        assert_int_equal((uintptr_t)pieces[i].bytes % alignof(max_align_t), 0);
        assert_true(is_zero(pieces[i].bytes, pieces[i].len));
        memset(pieces[i].bytes, (int)(i % 255) + 1, pieces[i].len);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < pieces[i].len; k++) {
            assert_int_equal((unsigned char)pieces[i].bytes[k], i % 255 + 1);
        }
    }
}

static void
text(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    assert_string_equal(arena_str(arena, (struct str){"abcdef", 3}), "abc");
    assert_string_equal(arena_str(arena, (struct str){0}), "");
    assert_string_equal(arena_dup(arena, "x"), "x");
    assert_null(arena_dup(arena, NULL));
    assert_string_equal(arena_printf(arena, "%s-%05d", "a", 42), "a-00042");
    assert_string_equal(arena_printf(arena, "%s", ""), "");
}

static void
arrays(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    int64_t *numbers = arena_array(arena, 3000, sizeof(*numbers));
    assert_true(is_zero((const char *)numbers, 3000 * sizeof(*numbers)));
    assert_non_null(arena_array(arena, 0, 8));
    assert_non_null(arena_array(arena, 8, 0));
}

static void
free_takes_null(void **state)
{
    (void)state;
    arena_free(NULL);
    struct arena *arena = arena_new();
    arena_freep(&arena);
    assert_null(arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(text),
        cmocka_unit_test(arrays),
        cmocka_unit_test(free_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
