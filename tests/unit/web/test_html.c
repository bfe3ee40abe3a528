// One escape for text, one judge of addresses: what passes and what becomes of the rest.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <inttypes.h>

#include "dispatcher/memory.h"
#include "web_internal.h"

static const char *volatile nothing; // the compiler would warn of a NULL that it sees

static void
assert_text(const char *text, const char *expected)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    html_text(&out, text);
    assert_string_equal(buf_cstr(&out), expected);
}

static void
escapes_text(void **state)
{
    (void)state;
    assert_text(NULL, "");
    assert_text("", "");
    assert_text("plain text, ünïcode 🚀", "plain text, ünïcode 🚀");
    assert_text("<b>&\"'</b>", "&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;");
    assert_text("a\nb\tc", "a\nb\tc");
    assert_text("\x01\x1b[31m\x7f", "\xef\xbf\xbd\xef\xbf\xbd[31m\xef\xbf\xbd");
    assert_text("\xff\xc0\xaf<", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&lt;"); // overlong '/'
    assert_text("\xe2\x80", "\xef\xbf\xbd\xef\xbf\xbd");                      // cut short
    assert_text("\xc2\x85|\xc2\xa0", "\xef\xbf\xbd|\xc2\xa0");                // C1, but no NBSP
    assert_text("\xe2\x80\xae"
                "exe",
        "\xef\xbf\xbd"
        "exe"); // turned around
    assert_text("\xe2\x81\xa6"
                "x",
        "\xef\xbf\xbd"
        "x");
}

static void
formats(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    html_add(&out, "<a title=\"%s\">%d %zu %" PRId64 " 100%% %s</a>", "\"<", -1, (size_t)2,
        INT64_C(3), nothing);
    assert_string_equal(buf_cstr(&out), "<a title=\"&quot;&lt;\">-1 2 3 100% </a>");
    buf_reset(&out);
    html_path(&out, "href", "/apps/%s?env=%s&n=%d", "a/../b\"", "x&y=z#", 7);
    assert_string_equal(buf_cstr(&out), " href=\"/apps/a%2F..%2Fb%22?env=x%26y%3Dz%23&n=7\"");
}

static bool
is_linked(const char *url)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    bool linked = html_url(&out, "href", url);
    assert_int_equal(linked, out.len > 0);
    return linked;
}

static void
judges_addresses(void **state)
{
    (void)state;
    static const char *good[] = {"/", "/apps/x?env=y", "/#a",
        "https://github.com/a/b/compare/a...b", "https://example.org:8443/x?y=z&a=1#f",
        "https://[::1]/x"};
    static const char *bad[] = {"", "//evil.example", "/\\evil.example", "\\\\evil.example",
        "http://a", "javascript:alert(1)", "JaVaScRiPt:alert(1)", " https://a", "https://a b",
        "https://a\"x", "https://a\n", "\tjavascript:alert(1)", "java\nscript:alert(1)",
        "data:text/html,x", "vbscript:x", "https:", "https://", "https:/a", "https:a",
        "https://user@evil.example/", "https://user:pw@evil.example/", "ftp://a", "apps/x", "#x",
        "?x", "https://a<b>", "/a b", "/\"onmouseover=alert(1)", "/\t/evil.example",
        "https://é.example/", "blob:https://a", "/a'b", "view-source:https://a", "https://a`b",
        "https://a\\b"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(is_linked(good[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        if (is_linked(bad[i])) {
            fail_msg("'%s' became a link", bad[i]);
        }
    }
    assert_false(is_linked(NULL));
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    html_link(&out, "javascript:alert(1)", "<x>");
    html_link(&out, "/a?b&c", "<x>");
    assert_string_equal(buf_cstr(&out),
        "&lt;x&gt;<a href=\"/a?b&amp;c\" rel=\"noopener noreferrer\">&lt;x&gt;</a>");
    assert_true(web_is_own_path("/apps/x"));
    assert_false(web_is_own_path("https://github.com/"));
    assert_false(web_is_own_path(NULL));
}

static void
quotes_commands(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    command_put(&out, "dispatcher deploy %s --version %s --x %s", "shop", "$(reboot)'\nls", "-rf");
    assert_string_equal(buf_cstr(&out),
        "<div class=copy data-copy><code tabindex=0>dispatcher deploy shop --version "
        "&#39;$(reboot)&#39;\\&#39;&#39; ls&#39; --x &#39;-rf&#39;</code></div>");
    buf_reset(&out);
    command_put(&out, "x %s %s", nothing, "");
    assert_string_equal(buf_cstr(&out),
        "<div class=copy data-copy><code tabindex=0>x &#39;&#39; &#39;&#39;</code></div>");
}

static void
tells_ages(void **state)
{
    (void)state;
    static const struct {
        int64_t ago_ms;
        const char *shown;
    } cases[] = {{0, ">0s<"}, {59999, ">59s<"}, {60000, ">1m<"}, {3599999, ">59m<"},
        {INT64_C(47) * 3600000, ">47h<"}, {INT64_C(48) * 3600000, ">2d<"},
        {INT64_C(13) * 86400000, ">13d<"}, {INT64_C(14) * 86400000, ">2w<"},
        {INT64_C(727) * 86400000, ">103w<"}, {INT64_C(728) * 86400000, ">2y<"},
        {-3600000, ">in 1h<"}};
    int64_t now = INT64_C(1795247280000);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
        part_age(&out, now - cases[i].ago_ms, now);
        assert_non_null(strstr(buf_cstr(&out), cases[i].shown));
    }
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    part_age(&out, now, now);
    part_age(&out, 0, now); // not known: nothing is said
    assert_string_equal(buf_cstr(&out),
        "<time datetime=\"2026-11-21T07:48:00Z\" title=\"21 Nov 2026, 07:48 UTC\">0s</time>");
}

static void
embeds_assets(void **state)
{
    (void)state;
    const struct web_asset *css = web_asset_named("web.css");
    assert_string_equal(css->type, "text/css; charset=utf-8");
    assert_ptr_equal(web_asset_at(css->path), css);
    assert_null(web_asset_at("/assets/web.css"));
    assert_null(web_asset_at("/assets/../web.css"));
    assert_int_equal(strlen("/assets/web.0123456789abcdef.css"), strlen(css->path));
    assert_non_null(strstr(web_content_policy, "default-src 'none'"));
    assert_null(strstr(web_content_policy, "unsafe"));
}

static void
takes_gzip(void **state)
{
    (void)state;
    static const char *yes[] = {
        "gzip", "br, gzip", "GZIP;q=0.5", "*", "x-gzip", "deflate, *;q=0.1", "gzip;q=0.001"};
    static const char *no[] = {
        "", "identity", "gzip;q=0", "gzip; q=0.000", "br", "*;q=0", "*, gzip;q=0", "gzipped"};
    for (size_t i = 0; i < ARRAY_LENGTH(yes); i++) {
        assert_true(web_takes_gzip(yes[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(no); i++) {
        assert_false(web_takes_gzip(no[i]));
    }
    assert_false(web_takes_gzip(NULL));
    struct buf small CLEANUP(buf_done) = BUF_INIT(8);
    assert_false(web_gzip(STR("a text that does not fit"), &small));
    assert_int_equal(small.len, 0);
    assert_false(small.failed);
    struct buf out CLEANUP(buf_done) = BUF_INIT(1024);
    assert_true(web_gzip(STR("hello"), &out));
    assert_memory_equal(out.ptr, "\x1f\x8b\x08", 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(escapes_text), cmocka_unit_test(formats),
        cmocka_unit_test(judges_addresses), cmocka_unit_test(quotes_commands),
        cmocka_unit_test(tells_ages), cmocka_unit_test(embeds_assets),
        cmocka_unit_test(takes_gzip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
