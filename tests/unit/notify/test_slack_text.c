// Text that nobody trusts: what each function makes of it, and what may never come out.
#include "dispatcher/slack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/secret.h"

struct row {
    const char *text;
    size_t max;
    const char *expected;
};

static void
check_rows(void (*make)(const char *text, size_t max, struct buf *out), const struct row *rows,
    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf out CLEANUP(buf_done) = BUF_INIT(100 * 1000);
        buf_puts(&out, "kept");
        make(rows[i].text, rows[i].max, &out);
        assert_string_equal(buf_cstr(&out) + 4, rows[i].expected);
        assert_memory_equal(buf_cstr(&out), "kept", 4);
    }
}

static void
nothing_mentions_or_links(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"<!channel>", 99, "&lt;!channel&gt;"},
        {"<!here|x>", 99, "&lt;!here|x&gt;"},
        {"<@U024BE7LH> hi", 99, "&lt;@U024BE7LH&gt; hi"},
        {"<#C024BE7LR|general>", 99, "&lt;#C024BE7LR|general&gt;"},
        {"<!subteam^SAZ94GDB8>", 99, "&lt;!subteam^SAZ94GDB8&gt;"},
        {"<https://evil.example|https://good.example>", 99,
            "&lt;https://evil.example|https://good.example&gt;"},
        {"&lt;!channel&gt;", 99, "&amp;lt;!channel&amp;gt;"},
        {"@here @channel @everyone @Here a@here", 99, "＠here ＠channel ＠everyone ＠Here a＠here"},
        {"@slack/types, ops@example.org", 99, "@slack/types, ops@example.org"},
        {"a < b && b > c", 99, "a &lt; b &amp;&amp; b &gt; c"},
    };
    check_rows(slack_escape, rows, ARRAY_LENGTH(rows));
}

static void
nothing_formats(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"*bold* and _slanted_ and ~struck~", 99, "∗bold∗ and ˍslantedˍ and ∼struck∼"},
        {"Fix `foo` in ```bar```", 99, "Fix ˋfooˋ in ˋˋˋbarˋˋˋ"},
        {"snake_case_name 2*3 a~b", 99, "snake_case_name 2*3 a~b"},
        {"__init__.py *.c ~/x", 99, "ˍˍinitˍˍ.py ∗.c ∼/x"},
        {"> quoted", 99, "› quoted"},
        {">>> quoted > not", 99, "››› quoted &gt; not"},
        {"a\n  > quoted\nb > c", 99, "a\n  › quoted\nb &gt; c"},
        {"feat: a:smile:b", 99, "feat: a:smile:b"},
    };
    check_rows(slack_escape, rows, ARRAY_LENGTH(rows));
}

static void
what_is_hidden_goes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"a\x1b[31mred\x1b[0m", 99, "ared"},
        {"\x1b]8;;https://evil.example\atext\x1b]8;;\a", 99, "text"},
        {"a\xe2\x80\xae"
         "cba",
            99, "acba"}, // right-to-left override
        {"zero\xe2\x80\x8b"
         "width\xef\xbb\xbf",
            99, "zerowidth"},
        {"<\xe2\x80\x8b!channel>", 99, "&lt;!channel&gt;"},
        {"@\xe2\x80\x8bhere", 99, "＠here"},
        {"*\xe2\x81\xa0"
         "b*",
            99, "∗b∗"},
        {"a\x01\x07\x7f"
         "b",
            99, "ab"},
        {"a\tb\r\nc\rd", 99, "a b\nc d"},
        {"  \n spaces around \n ", 99, "spaces around"},
        {"bad \xff\xc3 utf", 99, "bad \xef\xbf\xbd\xef\xbf\xbd utf"},
        {"\xed\xa0\x80", 99, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, // a lone surrogate
        {"\xf3\xa0\x81\x81tag", 99, "tag"},
        {"", 99, ""},
        {NULL, 99, ""},
    };
    check_rows(slack_escape, rows, ARRAY_LENGTH(rows));
}

static void
it_is_cut_at_a_word(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"one two three", 13, "one two three"},
        {"one two three", 12, "one two…"},
        {"one two three", 9, "one two…"},
        {"one two three", 8, "one two…"},
        {"one two three", 7, "one…"},
        {"one two three", 4, "one…"},
        {"one two three", 3, "on…"},
        {"one two three", 1, "…"},
        {"one two three", 0, ""},
        {"onetwothree", 6, "onetw…"},
        {"a verylongwordwithoutend", 12, "a verylongw…"}, // the word before is too far back
        {"one\ntwo three", 8, "one\ntwo…"},
        {"one two ", 7, "one two"},
        {"a & b", 9, "a &amp; b"},
        {"a & b", 8, "a &amp;…"},
        {"a & b", 7, "a…"}, // half an escape is none
        {"<<<<", 12, "&lt;&lt;…"},
        {"\xf0\x9f\x9a\x80\xf0\x9f\x9a\x80", 4, "\xf0\x9f\x9a\x80\xf0\x9f\x9a\x80"},
        {"\xf0\x9f\x9a\x80\xf0\x9f\x9a\x80", 3, "\xf0\x9f\x9a\x80…"},
        {"äöü", 3, "äöü"},
        {"äöü", 2, "ä…"},
    };
    check_rows(slack_escape, rows, ARRAY_LENGTH(rows));
}

static void
a_secret_is_masked_before_the_cut(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("canary-0123456789"));
    struct buf out CLEANUP(buf_done) = BUF_INIT(1000);
    slack_escape("token canary-0123456789 leaked", 15, &out);
    assert_string_equal(buf_cstr(&out), "token ∗∗∗…");
    buf_reset(&out);
    slack_preformatted("xx canary-0123456789", 12, &out);
    assert_string_equal(buf_cstr(&out), "xx ***");
    buf_reset(&out);
    slack_plain("canary-0123456789", 8, &out);
    assert_string_equal(buf_cstr(&out), "***");
}

static void
plain_text(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"<b> & *c* `d` @here", 99, "<b> & *c* `d` @here"},
        {"two\nlines\tand more", 99, "two lines and more"},
        {":rotating_light: fire :)", 99, "∶rotating_light: fire :)"},
        {"a:b:c d:e", 99, "a∶b:c d:e"},
        {"std::vec :: : x:", 99, "std::vec :: : x:"},
        {":a:b:", 99, "∶a∶b:"},
        {":+1::-1:", 99, "∶+1:∶-1:"},
        {"one two three", 9, "one two…"},
        {"\x1b[1mx", 9, "x"},
        {"", 9, ""},
    };
    check_rows(slack_plain, rows, ARRAY_LENGTH(rows));
}

static void
logs(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"make: *** [x] Error 1\nexit 2", 99, "make: *** [x] Error 1\nexit 2"},
        {"a ``` b\n<!channel> & `c`", 99, "a ˋˋˋ b\n&lt;!channel&gt; &amp; ˋcˋ"},
        {"`", 9, "ˋ"},
        {"one\ntwo\nthree", 13, "one\ntwo\nthree"},
        {"one\ntwo\nthree", 12, "…\ntwo\nthree"}, // 11
        {"one\ntwo\nthree", 11, "…\ntwo\nthree"},
        {"one\ntwo\nthree", 10, "…\nthree"},
        {"one\ntwo\nthree", 7, "…\nthree"},
        {"one\ntwo\nthree", 6, "…three"},
        {"one\ntwo\nthree", 5, "…hree"},
        {"one\ntwo\nthree", 2, "…e"},
        {"one\ntwo\nthree", 1, "…"},
        {"one\ntwo\nthree", 0, ""},
        {"a\n\nb", 4, "a\n\nb"},
        {"a\n\nb", 3, "…\nb"},
        {"a&b", 6, "…b"},
        {"ab&", 6, "…&amp;"},
        {"ab&", 5, "…"}, // half an escape is none
        {"x\n\x1b[2K\x1b[1Ay", 9, "x\ny"},
        {"\n\n", 9, ""},
        {NULL, 9, ""},
    };
    check_rows(slack_preformatted, rows, ARRAY_LENGTH(rows));
}

static void
links(void **state)
{
    (void)state;
    static const struct {
        const char *url, *text;
        size_t max;
        const char *expected;
    } rows[] = {
        {"https://a.example/x", "a run", 99, "<https://a.example/x|a run>"},
        {"http://a.example/?b=1&c=2#d", "x", 99, "<http://a.example/?b=1&amp;c=2#d|x>"},
        {"https://a.example/x", "*a* <!channel>|\nb", 99,
            "<https://a.example/x|∗a∗ &lt;!channel&gt;| b>"},
        {"https://a.example/x", "one two three", 9, "<https://a.example/x|one two…>"},
        {"https://a.example/x", "", 99, "<https://a.example/x>"},
        {"https://a.example/x", "\xe2\x80\x8b", 99, "<https://a.example/x>"},
        {"https://a.example/x|https://b.example", "x", 99, "x"},
        {"https://a.example/>x", "x", 99, "x"},
        {"https://a.example/\xe2\x80\xae", "x", 99, "x"},
        {"https://user:word@a.example/", "x", 99, "x"},
        {"javascript:alert(1)", "x", 99, "x"},
        {"!channel", "x", 99, "x"},
        {"@U024BE7LH", "x", 99, "x"},
        {"", "x", 99, "x"},
        {NULL, "one two three", 9, "one two…"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out CLEANUP(buf_done) = BUF_INIT(10 * 1000);
        slack_link(rows[i].url, rows[i].text, rows[i].max, &out);
        assert_string_equal(buf_cstr(&out), rows[i].expected);
    }
}

static void
a_link_too_long_for_slack_is_none(void **state)
{
    (void)state;
    struct buf url CLEANUP(buf_done) = BUF_INIT(10 * 1000);
    struct buf out CLEANUP(buf_done) = BUF_INIT(10 * 1000);
    buf_puts(&url, "https://a.example/");
    while (url.len < SLACK_URL_MAX) {
        buf_putc(&url, 'x');
    }
    slack_link(buf_cstr(&url), "x", 9, &out);
    assert_int_equal(out.len, SLACK_URL_MAX + 4);
    buf_putc(&url, 'x');
    buf_reset(&out);
    slack_link(buf_cstr(&url), "x", 9, &out);
    assert_string_equal(buf_cstr(&out), "x");
}

// --- whatever the text ---------------------------------------------------------------------------

// The next number of a fixed sequence (SplitMix64).
static uint64_t
draw(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static void
random_text(uint64_t *state, struct buf *out)
{
    static const char *const pieces[] = {"<", ">", "&", "`", "```", "*", "_", "~", ":", "|", "@",
        "@here", "<!channel>", "<@U1>", "<https://a.example|b>", "&lt;", "\n", "\r\n", "\t", " ",
        "\x1b[31m", "\x1b]8;;x\a", "\x01", "\xff", "\xe2\x80\xae", "\xe2\x80\x8b", "\xc2\x9b",
        "\xf0\x9f\x9a\x80", "ä", "word", "a", "0", ">", ":smile:", "#C1", "…"};
    size_t count = draw(state) % 40;
    buf_reset(out);
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, pieces[draw(state) % ARRAY_LENGTH(pieces)]);
    }
}

static size_t
units(const struct buf *text)
{
    size_t count = 0;
    for (size_t i = 0; i < text->len; i++) {
        unsigned char byte = (unsigned char)text->ptr[i];
        count += (byte & 0xc0) != 0x80 ? 1 : 0;
        count += byte >= 0xf0 ? 1 : 0;
    }
    return count;
}

static void
assert_sane(const struct buf *text, size_t max)
{
    assert_false(text->failed);
    assert_true(str_is_utf8(buf_str(text)));
    assert_true(units(text) <= max);
    for (size_t i = 0; i < text->len; i++) {
        unsigned char byte = (unsigned char)text->ptr[i];
        assert_true((byte >= 0x20 && byte != 0x7f) || byte == '\n');
    }
    assert_null(strstr(buf_cstr(text), "\xe2\x80\xae"));
    assert_null(strstr(buf_cstr(text), "\xe2\x80\x8b"));
    assert_null(strstr(buf_cstr(text), "\xc2\x9b"));
}

static void
assert_escaped(const struct buf *text)
{
    assert_null(strpbrk(buf_cstr(text), "<>`"));
    for (const char *at = strchr(buf_cstr(text), '&'); at != NULL; at = strchr(at + 1, '&')) {
        assert_true(strncmp(at, "&amp;", 5) == 0 || strncmp(at, "&lt;", 4) == 0 ||
                    strncmp(at, "&gt;", 4) == 0);
    }
}

static void
properties(void **state)
{
    (void)state;
    uint64_t random = 5;
    struct buf text CLEANUP(buf_done) = BUF_INIT(10 * 1000);
    struct buf out CLEANUP(buf_done) = BUF_INIT(100 * 1000);
    for (int i = 0; i < 20000; i++) {
        size_t max = draw(&random) % 60;
        random_text(&random, &text);
        buf_reset(&out);
        slack_escape(buf_cstr(&text), max, &out);
        assert_sane(&out, max);
        assert_escaped(&out);
        assert_null(strstr(buf_cstr(&out), "@here"));
        buf_reset(&out);
        slack_preformatted(buf_cstr(&text), max, &out);
        assert_sane(&out, max);
        assert_escaped(&out);
        buf_reset(&out);
        slack_plain(buf_cstr(&text), max, &out);
        assert_sane(&out, max);
        assert_null(strchr(buf_cstr(&out), '\n'));
        buf_reset(&out);
        slack_link("https://a.example/", buf_cstr(&text), max, &out);
        assert_sane(&out, max + 21);
        assert_true(str_starts(buf_str(&out), STR("<https://a.example/")));
        assert_ptr_equal(strchr(buf_cstr(&out) + 1, '<'), NULL);
        assert_ptr_equal(strchr(buf_cstr(&out), '>'), out.ptr + out.len - 1);
        assert_null(strchr(buf_cstr(&out), '\n'));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_mentions_or_links),
        cmocka_unit_test(nothing_formats),
        cmocka_unit_test(what_is_hidden_goes),
        cmocka_unit_test(it_is_cut_at_a_word),
        cmocka_unit_test(a_secret_is_masked_before_the_cut),
        cmocka_unit_test(plain_text),
        cmocka_unit_test(logs),
        cmocka_unit_test(links),
        cmocka_unit_test(a_link_too_long_for_slack_is_none),
        cmocka_unit_test(properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
