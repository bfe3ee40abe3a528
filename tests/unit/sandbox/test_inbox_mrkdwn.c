// mrkdwn as HTML: what is formatted, what is a link, and that nothing else becomes a tag.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dispatcher/compiler.h"
#include "dispatcher/memory.h"
#include "inbox_internal.h"

static void
assert_html(const char *text, const char *wanted)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    sandbox_inbox_mrkdwn(text, &out);
    assert_string_equal(buf_cstr(&out), wanted);
}

static void
formats_stand_at_the_edges_of_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *html;
    } cases[] = {
        {"", ""},
        {"*bold* _italic_ ~gone~", "<b>bold</b> <i>italic</i> <s>gone</s>"},
        {"*a _b ~c~ d_ e*", "<b>a <i>b <s>c</s> d</i> e</b>"},
        {"(*a*), *b*.", "(<b>a</b>), <b>b</b>."},
        {"a*b*c snake_case_name 2*3*4", "a*b*c snake_case_name 2*3*4"},
        {"* a* *b * ** *", "* a* *b * ** *"},
        {"*a\nb*", "*a<br>b*"},
        {"*open _and open", "*open _and open"},
        {"\xc3\xa9*a* *a*\xc3\xa9", "\xc3\xa9*a* *a*\xc3\xa9"}, // a letter beside it
        {"`*code* <b>`", "<code>*code* &lt;b&gt;</code>"},
        {"`a\nb`", "`a<br>b`"},
        {"``", "``"},
        {"*a*b*", "*a*b*"},
        {"```\n*a* <b>\n&lt;c&gt;```\nafter", "<pre>*a* &lt;b&gt;\n&lt;c&gt;</pre>after"},
        {"```open", "```open"},
        {"> one\ntwo\n&gt; *three*",
            "<blockquote>one</blockquote>two<br><blockquote><b>three</b></blockquote>"},
        {"a > b", "a &gt; b"},
        {":rocket: :nothing: 12:30:45", "\xf0\x9f\x9a\x80 :nothing: 12:30:45"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_html(cases[i].text, cases[i].html);
    }
}

static void
only_web_addresses_become_links(void **state)
{
    (void)state;
    static const struct {
        const char *text, *html;
    } cases[] = {
        {"<https://a.example/x?y=1&amp;z=2|see *this*>",
            "<a rel=\"noreferrer noopener\" href=\"https://a.example/x?y=1&amp;z=2\">see "
            "*this*</a>"},
        {"<http://a.example>",
            "<a rel=\"noreferrer noopener\" href=\"http://a.example\">http://a.example</a>"},
        {"<https://a.example/\"onclick='x'|<b>>",
            "<a rel=\"noreferrer noopener\" href=\"https://a.example/&quot;onclick=&#39;x&#39;\">"
            "&lt;b</a>&gt;"},
        {"<javascript:alert(1)|x> <data:text/html,x>",
            "&lt;javascript:alert(1)|x&gt; &lt;data:text/html,x&gt;"},
        {"https://a.example", "https://a.example"},
        {"<@U123> <@U123|ada> <#C1|deploys> <#C1>",
            "<span class=\"mention\">@U123</span> <span class=\"mention\">@ada</span> "
            "<span class=\"mention\">#deploys</span> <span class=\"mention\">#C1</span>"},
        {"<!channel> <!subteam^S1|@ops> <!date^1^{date}|then>",
            "<span class=\"mention\">@channel</span> <span class=\"mention\">@ops</span> "
            "<span class=\"mention\">then</span>"},
        {"<!<i>>", "<span class=\"mention\">@&lt;i</span>&gt;"},
        {"<> < <b> </b> &lt;b&gt; &amp;lt; &quot; & \"'",
            "&lt;&gt; &lt; &lt;b&gt; &lt;/b&gt; &lt;b&gt; &amp;lt; &amp;quot; &amp; &quot;&#39;"},
        {"a\x1b[31mb\x07\tc", "a[31mb\tc"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_html(cases[i].text, cases[i].html);
    }
}

static void
plain_text_has_emoji_and_no_formats(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(1024);
    sandbox_inbox_plain(":x: *a* <https://a.example> &lt; :no:", true, &out);
    assert_string_equal(buf_cstr(&out), "\xe2\x9d\x8c *a* &lt;https://a.example&gt; &amp;lt; :no:");
    buf_reset(&out);
    sandbox_inbox_plain(":x: <b>", false, &out);
    assert_string_equal(buf_cstr(&out), ":x: &lt;b&gt;");
}

// What opens and never closes costs no more than a look ahead.
static void
a_long_text_of_delimiters_ends(void **state)
{
    (void)state;
    static const char *const units[] = {"*a", "_", "<", "`", "~*_", ":", "&"};
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024),
                        out CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
        while (text.len < 40000) {
            buf_puts(&text, units[i]);
        }
        sandbox_inbox_mrkdwn(buf_cstr(&text), &out);
        assert_false(out.failed);
        assert_true(out.len >= text.len);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_stand_at_the_edges_of_words),
        cmocka_unit_test(only_web_addresses_become_links),
        cmocka_unit_test(plain_text_has_emoji_and_no_formats),
        cmocka_unit_test(a_long_text_of_delimiters_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
