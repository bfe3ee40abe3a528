// The capped buffer.
#include "dispatcher/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

static void
grows_and_stays_terminated(void **state)
{
    (void)state;
    struct buf buf CLEANUP(buf_done) = BUF_INIT(1 << 20);
    assert_string_equal(buf_cstr(&buf), "");
    assert_null(buf.ptr);
    buf_puts(&buf, "abc");
    buf_putc(&buf, '-');
    buf_add(&buf, STR("def"));
    buf_add(&buf, (struct str){0});
    buf_printf(&buf, "%d%s", 42, "!");
    assert_string_equal(buf_cstr(&buf), "abc-def42!");
    assert_int_equal(buf.len, 10);
    for (int i = 0; i < 10000; i++) {
        buf_puts(&buf, "0123456789");
    }
    assert_int_equal(buf.len, 100010);
    assert_int_equal(strlen(buf_cstr(&buf)), 100010);
    assert_null(buf_finish(&buf, "text"));
}

static void
holds_nul_bytes(void **state)
{
    (void)state;
    struct buf buf CLEANUP(buf_done) = BUF_INIT(16);
    buf_append(&buf, "a\0b", 3);
    assert_int_equal(buf_str(&buf).len, 3);
    assert_memory_equal(buf_str(&buf).ptr, "a\0b", 4);
}

static void
the_cap_is_exact_and_failure_sticks(void **state)
{
    (void)state;
    struct buf buf CLEANUP(buf_done) = BUF_INIT(4);
    buf_puts(&buf, "abcd");
    assert_null(buf_finish(&buf, "the name"));
    buf_putc(&buf, 'e');
    assert_string_equal(buf_cstr(&buf), "abcd");
    assert_true(buf.failed);
    buf_puts(&buf, ""); // would fit, but the text already lacks a part
    assert_true(buf.failed);
    struct error *err CLEANUP(error_freep) = buf_finish(&buf, "the name");
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_string_equal(error_message(err), "the name is larger than 4 bytes");
    buf_reset(&buf);
    assert_false(buf.failed);
    buf_printf(&buf, "%s", "wxyz");
    assert_string_equal(buf_cstr(&buf), "wxyz");
    buf_printf(&buf, "%d", 1);
    assert_true(buf.failed);
}

static void
a_buffer_without_a_cap_takes_nothing(void **state)
{
    (void)state;
    struct buf buf CLEANUP(buf_done) = {0};
    buf_add(&buf, STR(""));
    assert_false(buf.failed);
    buf_putc(&buf, 'x');
    assert_true(buf.failed);
}

static void
huge_lengths_do_not_wrap_around(void **state)
{
    (void)state;
    struct buf buf CLEANUP(buf_done) = BUF_INIT(100);
    buf_puts(&buf, "x");
    buf_append(&buf, "y", SIZE_MAX);
    assert_true(buf.failed);
    assert_string_equal(buf_cstr(&buf), "x");
}

static void
reset_before_the_first_byte(void **state)
{
    (void)state;
    struct buf buf CLEANUP(buf_done);
    buf_init(&buf, 10);
    buf_reset(&buf);
    assert_string_equal(buf_cstr(&buf), "");
    buf_cut(&buf, 0);
    assert_int_equal(buf.len, 0);
}

static void
cutting_makes_it_shorter_only(void **state)
{
    (void)state;
    struct buf buf CLEANUP(buf_done) = BUF_INIT(10);
    buf_puts(&buf, "abcdef");
    buf_cut(&buf, 9);
    assert_string_equal(buf_cstr(&buf), "abcdef");
    buf_cut(&buf, 2);
    assert_string_equal(buf_cstr(&buf), "ab");
    buf_puts(&buf, "x");
    assert_string_equal(buf_cstr(&buf), "abx");
}

static void
taking_moves_the_content_out(void **state)
{
    (void)state;
    struct buf buf CLEANUP(buf_done) = BUF_INIT(10);
    char *empty CLEANUP(xfreep) = buf_take(&buf);
    assert_string_equal(empty, "");
    buf_puts(&buf, "abc");
    char *text CLEANUP(xfreep) = buf_take(&buf);
    assert_string_equal(text, "abc");
    assert_null(buf.ptr);
    assert_int_equal(buf.max, 10);
    buf_puts(&buf, "again");
    assert_string_equal(buf_cstr(&buf), "again");
}

static void
wiping_leaves_an_empty_buffer(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(1 << 20);
    buf_wipe(&buf);
    buf_puts(&buf, "secret");
    for (int i = 0; i < 60000; i++) { // past the size from which growing no longer wipes
        buf_puts(&buf, "secret");
    }
    assert_int_equal(buf.len, 6 * 60001);
    buf_wipe(&buf);
    assert_null(buf.ptr);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.max, 1 << 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_stays_terminated),
        cmocka_unit_test(holds_nul_bytes),
        cmocka_unit_test(the_cap_is_exact_and_failure_sticks),
        cmocka_unit_test(a_buffer_without_a_cap_takes_nothing),
        cmocka_unit_test(huge_lengths_do_not_wrap_around),
        cmocka_unit_test(reset_before_the_first_byte),
        cmocka_unit_test(cutting_makes_it_shorter_only),
        cmocka_unit_test(taking_moves_the_content_out),
        cmocka_unit_test(wiping_leaves_an_empty_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
