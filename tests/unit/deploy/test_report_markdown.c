// Foreign text in Markdown: nothing of it acts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report_internal.h"

static void
check_escape(const char *text, size_t max, const char *expected)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    report_markdown_escape(text, max, &out);
    assert_string_equal(buf_cstr(&out), expected);
}

static void
test_markup(void **state)
{
    (void)state;
    check_escape(NULL, 10, "");
    check_escape("plain", 10, "plain");
    check_escape("a|b `c` *d* _e_ f_g", 100, "a\\|b \\`c\\` \\*d\\* \\_e\\_ f_g");
    check_escape("[x](javascript:1) ![y]", 100, "\\[x\\](javascript:1) !\\[y\\]");
    check_escape("<b>&amp; @octo", 100, "&lt;b>&amp;amp; @&#8203;octo");
    check_escape("see octo/shop#12, #x ~~j~~", 100, "see octo/shop#&#8203;12, #x \\~\\~j\\~\\~");
    check_escape("a \\`b", 100, "a \\\\\\`b");
}

// Only where a line starts: links in the middle must stay whole.
static void
test_blocks(void **state)
{
    (void)state;
    check_escape("# h\n- i\r\n1. x", 100, "\\# h - i  1. x");
    check_escape("- i", 100, "\\- i");
    check_escape("+ i", 100, "\\+ i");
    check_escape("> q", 100, "\\> q");
    check_escape("  - i", 100, "  \\- i");
    check_escape("8.4 MiB", 100, "8.4 MiB");
    check_escape("12. x", 100, "12\\. x");
    check_escape("12) x", 100, "12\\) x");
    check_escape("v1.2) x", 100, "v1.2) x");
    check_escape("at https://github.com/my-org/a_b-c/runs/1 (now)", 100,
        "at https://github.com/my-org/a_b-c/runs/1 (now)");
}

// Escapes of terminals, controls, BiDi: shown they would lie (T41).
static void
test_what_cannot_be_seen(void **state)
{
    (void)state;
    check_escape("a\x1b[31mred\x1b[0m\x07 b", 100, "ared b");
    check_escape("user\xe2\x80\xaetxt.exe", 100, "usertxt.exe");
    check_escape("bad \xff byte", 100, "bad \xef\xbf\xbd byte");
}

// Characters count, not bytes: none is ever cut in half.
static void
test_cut(void **state)
{
    (void)state;
    check_escape("äöü", 3, "äöü");
    check_escape("äöüß", 3, "äöü…");
    check_escape("🚀🚀🚀", 2, "🚀🚀…");
    check_escape("*****", 2, "\\*\\*…");
}

static void
test_urls(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(1024);
    report_markdown_url("https://x/a)b|c d\n<e>\x7f\xc3\xa4", &out);
    assert_string_equal(buf_cstr(&out), "https://x/a%29b%7Cc%20d%0A%3Ce%3E%7F%C3%A4");
}

static void
test_commits(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(1024);
    const char *sha = "a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0";
    struct deployment d = {.github_web = "https://github.com"};
    report_markdown_commit(&d, sha, 7, &out);
    assert_string_equal(buf_cstr(&out), "`a1b2c3d`");
    buf_reset(&out);
    d.repository = "octo/shop";
    report_markdown_commit(&d, sha, 7, &out);
    assert_string_equal(buf_cstr(&out), "[`a1b2c3d`](https://github.com/octo/shop/commit/"
                                        "a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0)");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markup),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_what_cannot_be_seen),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_commits),
    };
    return cmocka_run_group_tests_name("report_markdown", tests, NULL, NULL);
}
