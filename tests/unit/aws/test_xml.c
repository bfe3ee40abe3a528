// The strict reading of STS answers: one element by path, and refusal of everything beyond.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

static void
finds_text_by_path(void **state)
{
    (void)state;
    static const char xml[] = "<?xml version=\"1.0\"?>\n<A xmlns=\"https://x/\">\n  <B>\n"
                              "    <C> a &lt;b&gt; &amp;&quot;&apos; &#x20AC;&#233;&#x1F600; </C>\n"
                              "    <C>second</C><Empty/><Hollow></Hollow>\n  </B>\n"
                              "  <D attribute='1'>x</D>\n</A>\n";
    static const struct {
        const char *path, *text;
    } rows[] = {
        {"A/B/C", " a <b> &\"' \xe2\x82\xac\xc3\xa9\xf0\x9f\x98\x80 "},
        {"A/D", "x"},
        {"A/B/Hollow", ""},
        {"A/B/Empty", NULL},
        {"A/C", NULL},
        {"B/C", NULL},
        {"A/B/C/D", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char *text CLEANUP(xfreep) = NULL;
        assert_success(aws_xml_text(str_of(xml), rows[i].path, &text));
        if (rows[i].text == NULL) {
            assert_null(text);
        } else {
            assert_non_null(text);
            assert_string_equal(text, rows[i].text);
        }
    }
}

static void
refuses_what_is_not_expected(void **state)
{
    (void)state;
    static const struct {
        const char *xml, *message;
    } rows[] = {
        {"<A><B></A></B>", "an end tag that does not match"},
        {"<A></A></A>", "an end tag that does not match"},
        {"<A>", "it ends inside an element"},
        {"<A", "a tag without an end"},
        {"<>x</>", "a tag without a name, or too many levels"},
        {"plain", "text outside the document"},
        {"<A>x</A>y", "text outside the document"},
        {"<!DOCTYPE a [<!ENTITY x \"y\">]><A>&x;</A>",
            "declarations, comments and CDATA are not expected"},
        {"<A><![CDATA[x]]></A>", "declarations, comments and CDATA are not expected"},
        {"<A>&nbsp;</A>", "an unknown entity"},
        {"<A>&amp</A>", "an entity without an end"},
        {"<A>&#0;</A>", "a reference to a character that cannot be"},
        {"<A>&#xD800;</A>", "a reference to a character that cannot be"},
        {"<A>&#x110000;</A>", "a reference to a character that cannot be"},
        {"<A>&#xZ;</A>", "a reference to a character that cannot be"},
        {"<A>&#;</A>", "a reference to a character that cannot be"},
        {"<1><1><1><1><1><1><1><1><1><1><1><1><1><1><1><1><1>",
            "a tag without a name, or too many levels"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char *text = NULL;
        char *expected CLEANUP(xfreep) = xasprintf("unusable answer: XML: %s", rows[i].message);
        assert_failure(
            aws_xml_text(str_of(rows[i].xml), "A", &text), ERROR_UNAVAILABLE, expected, NULL);
        assert_null(text);
    }
}

static void
bounds_size(void **state)
{
    (void)state;
    struct buf xml CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    char *text = NULL;
    buf_puts(&xml, "<A>");
    while (xml.len < 32 * 1024 + 8) {
        buf_puts(&xml, "xxxxxxxx");
    }
    buf_puts(&xml, "</A>");
    assert_failure(aws_xml_text(buf_str(&xml), "A", &text), ERROR_UNAVAILABLE,
        "unusable answer: XML: a text that is too long or holds NUL", NULL);
    while (xml.len <= 64 * 1024) {
        buf_puts(&xml, "        ");
    }
    assert_failure(aws_xml_text(buf_str(&xml), "A", &text), ERROR_UNAVAILABLE,
        "unusable answer: XML: more than 64 KiB", NULL);
    assert_failure(aws_xml_text((struct str){"<A>\0</A>", 8}, "A", &text), ERROR_UNAVAILABLE,
        "unusable answer: XML: a text that is too long or holds NUL", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_text_by_path),
        cmocka_unit_test(refuses_what_is_not_expected),
        cmocka_unit_test(bounds_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
