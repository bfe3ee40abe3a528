// Foreign text on one line of ours (T41).
#include "dispatcher/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/secret.h"

static void
assert_clean(const char *text, size_t max, const char *expected)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    buf_puts(&out, "<");
    text_clean(str_of(text), max, &out);
    assert_string_equal(buf_cstr(&out) + 1, expected);
}

static void
plain_text_passes(void **state)
{
    (void)state;
    assert_clean("", 10, "");
    assert_clean("abc äöü 日本 😀", 100, "abc äöü 日本 😀");
}

static void
line_ends_become_blanks(void **state)
{
    (void)state;
    assert_clean("a\nb\r\nc\td", 100, "a b  c d");
    assert_clean("a\xe2\x80\xa8"
                 "b\xe2\x80\xa9"
                 "c\xc2\x85"
                 "d",
        100, "a b c d");
}

static void
escape_sequences_go_whole(void **state)
{
    (void)state;
    assert_clean("\x1b[31mred\x1b[0m", 100, "red");
    assert_clean("\x1b[38;5;196mx\x1b[K", 100, "x");
    assert_clean("\x1b[?25lx", 100, "x");
    assert_clean("\x1b(B\x1b[mreset", 100, "reset"); // what `tput sgr0` prints
    assert_clean("\x1b]0;title\ax", 100, "x");
    assert_clean("\x1b]8;;http://x\x1b\\link", 100, "link");
    assert_clean("\x1bPq#0\x1b\\x", 100, "x");
    assert_clean("\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\x", 100, "x");
    assert_clean("\x1b"
                 "7x\x1b=y",
        100, "xy");
}

static void
broken_escape_sequences_hide_no_text(void **state)
{
    (void)state;
    assert_clean("\x1b", 100, "");
    assert_clean("a\x1b[", 100, "a");
    assert_clean("a\x1b[31", 100, "a");
    assert_clean("\x1b[31\nnext line", 100, " next line");
    assert_clean("\x1b[\xc3\xa4", 100, "ä");
    assert_clean("\x1b\xc3\xa4", 100, "ä");
    assert_clean("\x1b\x1b[31mx", 100, "x");
    assert_clean("\x1b]title\nnext", 100, " next"); // an unended string ends with its line
    assert_clean("\x1b]title\x1b[31mx", 100, "x");
    assert_clean("\x1b(", 100, "");
    assert_clean("\x1b(\nx", 100, " x");
}

static void
controls_and_bidi_never_pass(void **state)
{
    (void)state;
    assert_clean("a\x01\x02\b\x7f"
                 "b",
        100, "ab");
    assert_clean("a\xc2\x9b"
                 "31mb",
        100, "a31mb"); // C1 CSI
    // RLO, LRI, PDI, ALM, RLM, ZWSP, BOM, tag letter, soft hyphen
    assert_clean("a\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9\xd8\x9c\xe2\x80\x8f\xe2\x80\x8b\xef\xbb\xbf"
                 "\xf3\xa0\x81\xa1\xc2\xad"
                 "b",
        100, "ab");
}

static void
bad_bytes_become_the_replacement_sign(void **state)
{
    (void)state;
    assert_clean("a\xff\xfe"
                 "b",
        100,
        "a\xef\xbf\xbd\xef\xbf\xbd"
        "b");
    assert_clean("\xc3", 100, "\xef\xbf\xbd");
    assert_clean("\xef\xbf\xbd", 100, "\xef\xbf\xbd");
    assert_clean("\xed\xa0\x80", 100, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void
the_cut_is_exact(void **state)
{
    (void)state;
    assert_clean("hello", 5, "hello");
    assert_clean("hello!", 5, "he…");
    assert_clean("hello\x1b[0m\x01", 5, "hello"); // what follows shows nothing
    assert_clean("ää", 4, "ää");
    assert_clean("äää", 4, "…"); // never half a character
    assert_clean("äää", 5, "ä…");
    assert_clean("abcd", 3, "…");
    assert_clean("abc", 2, "");
    assert_clean("abc", 0, "");
    assert_clean("", 0, "");
}

static void
a_full_buffer_stays_failed(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(3);
    text_clean(STR("hello"), 100, &out);
    assert_true(out.failed);
}

static void
widths(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t width;
    } cases[] = {{"", 0}, {"abc", 3}, {"äöü", 3}, {"日本", 4}, {"😀", 2}, {"e\xcc\x81", 1}, {"✅", 2},
        {"✓", 1}, {"⚠\xef\xb8\x8f", 1}, {"█░", 2}, {"⠋", 1}, {"…", 1}, {"\xff", 1}, {"ＡＢ", 4},
        {"한글", 4}, {"𠀀", 2}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(text_width(str_of(cases[i].text)), cases[i].width);
    }
}

// Half a secret would not be recognised by whoever masks the line later.
static void
secrets_are_masked_before_the_cut(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("canary-in-a-long-text"));
    assert_clean("see canary-in-a-long-text here", 11, "see *** …");
    assert_clean("see canary-in-a-long-text", 20, "see ***");
    assert_clean("see canary-in-a-long-text", 30, "see ***");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_masked_before_the_cut),
        cmocka_unit_test(plain_text_passes),
        cmocka_unit_test(line_ends_become_blanks),
        cmocka_unit_test(escape_sequences_go_whole),
        cmocka_unit_test(broken_escape_sequences_hide_no_text),
        cmocka_unit_test(controls_and_bidi_never_pass),
        cmocka_unit_test(bad_bytes_become_the_replacement_sign),
        cmocka_unit_test(the_cut_is_exact),
        cmocka_unit_test(a_full_buffer_stays_failed),
        cmocka_unit_test(widths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
