// Block Kit: which blocks pass, and what exactly is said of those that do not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "block_kit_internal.h"
#include "dispatcher/compiler.h"
#include "dispatcher/memory.h"

struct checked {
    struct buf problems; // one a line
    size_t characters, markdown;
};

static struct checked
check(const char *text, bool attachments)
{
    struct json *value CLEANUP(json_freep) = NULL;
    char *quoted CLEANUP(xfreep) = xstrdup(text);
    for (char *at = quoted; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at; // cases are easier to read with single quotes
    }
    assert_null(json_parse(str_of(quoted), &json_limits_default, &value));
    struct block_kit kit = {.problems = json_make_array()};
    if (attachments) {
        block_kit_check_attachments(value, &kit);
    } else {
        block_kit_check(value, "/blocks", &kit);
    }
    struct checked out = {BUF_INIT(64 * 1024), kit.characters, kit.markdown};
    for (size_t i = 0; i < json_count(kit.problems); i++) {
        buf_printf(&out.problems, "%s%s", i > 0 ? "\n" : "", json_str(json_at(kit.problems, i)));
    }
    json_free(kit.problems);
    return out;
}

static void
assert_problems(const char *blocks, const char *wanted)
{
    struct checked checked = check(blocks, false);
    assert_string_equal(buf_cstr(&checked.problems), wanted);
    buf_done(&checked.problems);
}

// `count` times `unit` between two texts.
static char *
filled(const char *before, const char *unit, size_t count, const char *after)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    buf_puts(&text, before);
    for (size_t i = 0; i < count; i++) {
        buf_puts(&text, unit);
    }
    buf_puts(&text, after);
    return buf_take(&text);
}

static void
a_whole_report_passes(void **state)
{
    (void)state;
    struct checked checked = check(
        "[{'type':'header','block_id':'a','text':{'type':'plain_text','text':'Shop','emoji':true}},"
        "{'type':'section','text':{'type':'mrkdwn','text':'*deployed*','verbatim':false},"
        "'accessory':{'type':'image','image_url':'https://example.org/i.png','alt_text':'i'},"
        "'expand':true},"
        "{'type':'section','fields':[{'type':'mrkdwn','text':'one'},"
        "{'type':'plain_text','text':'two'}]},"
        "{'type':'context','elements':[{'type':'mrkdwn','text':'now'},"
        "{'type':'image','image_url':'http://example.org/a.png','alt_text':'a'}]},"
        "{'type':'divider'},"
        "{'type':'image','image_url':'https://example.org/i.png','alt_text':'i',"
        "'title':{'type':'plain_text','text':'t'}},"
        "{'type':'markdown','text':'# big'},"
        "{'type':'rich_text','elements':[{'type':'rich_text_section','elements':["
        "{'type':'text','text':'rich'}]}]},"
        "{'type':'actions','block_id':'b','elements':["
        "{'type':'button','text':{'type':'plain_text','text':'Stop'},'action_id':'x','value':'1',"
        "'style':'danger','confirm':{'title':{'type':'plain_text','text':'Sure?'},"
        "'text':{'type':'mrkdwn','text':'really'},'confirm':{'type':'plain_text','text':'yes'},"
        "'deny':{'type':'plain_text','text':'no'},'style':'primary'}},"
        "{'type':'button','text':{'type':'plain_text','text':'Log'},'action_id':'y',"
        "'url':'https://example.org'}]}]",
        false);
    assert_string_equal(buf_cstr(&checked.problems), "");
    // Shop *deployed* one two now t # big rich Stop Log, and the dialogue's Sure? really yes no
    assert_int_equal(checked.characters, 4 + 10 + 3 + 3 + 3 + 1 + 5 + 4 + 4 + 3 + 5 + 6 + 3 + 2);
    assert_int_equal(checked.markdown, 5);
    buf_done(&checked.problems);
}

static void
a_flaw_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *blocks, *problems;
    } cases[] = {
        {"{}", "must provide an array [json-pointer:/blocks]"},
        {"[]", ""},
        {"['x']", "must provide an object [json-pointer:/blocks/0]"},
        {"[{}]", "missing required field: type [json-pointer:/blocks/0]"},
        {"[{'type':5}]", "missing required field: type [json-pointer:/blocks/0]"},
        {"[{'type':'divider'},{'type':'table'}]",
            "unsupported type: table [json-pointer:/blocks/1/type]"},
        {"[{'type':'header'}]", "missing required field: text [json-pointer:/blocks/0]"},
        {"[{'type':'header','text':'Shop'}]",
            "must provide an object [json-pointer:/blocks/0/text]"},
        {"[{'type':'header','text':{'type':'mrkdwn','text':'Shop'}}]",
            "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]"},
        {"[{'type':'header','text':{'type':'plain_text','text':''}}]",
            "must be more than 0 characters [json-pointer:/blocks/0/text/text]"},
        {"[{'type':'header','text':{'type':'plain_text'}}]",
            "missing required field: text [json-pointer:/blocks/0/text]"},
        {"[{'type':'header','text':{'type':'plain_text','text':7}}]",
            "must provide a string [json-pointer:/blocks/0/text/text]"},
        {"[{'type':'header','text':{'type':'plain_text','text':'x','emoji':'yes'}}]",
            "must provide a boolean [json-pointer:/blocks/0/text/emoji]"},
        {"[{'type':'section','text':{'type':'mrkdwn','text':'x','emoji':true}}]",
            "invalid additional property: emoji [json-pointer:/blocks/0/text]"},
        {"[{'type':'divider','color':'red'}]",
            "invalid additional property: color [json-pointer:/blocks/0]"},
        {"[{'type':'section'}]",
            "must define either `text` or `fields` [json-pointer:/blocks/0/type]"},
        {"[{'type':'section','fields':[]}]",
            "no fewer than 1 items allowed [json-pointer:/blocks/0/fields]"},
        {"[{'type':'section','fields':{}}]",
            "must provide an array [json-pointer:/blocks/0/fields]"},
        {"[{'type':'context','elements':[{'type':'button','text':{'type':'plain_text','text':'x'}}"
         "]}]",
            "unsupported type: button [json-pointer:/blocks/0/elements/0/type]"},
        {"[{'type':'actions','elements':[{'type':'button','text':{'type':'plain_text','text':'x'},"
         "'style':'red','url':'ftp://x'}]}]",
            "must be a valid url [json-pointer:/blocks/0/elements/0/url]\n"
            "must be a valid enum value [json-pointer:/blocks/0/elements/0/style]"},
        {"[{'type':'actions','elements':["
         "{'type':'button','text':{'type':'plain_text','text':'x'},'action_id':'a'},"
         "{'type':'button','text':{'type':'plain_text','text':'y'},'action_id':'a'}]}]",
            "`action_id` already exists [json-pointer:/blocks/0/elements/1/action_id]"},
        {"[{'type':'divider','block_id':'a'},{'type':'divider','block_id':'a'}]",
            "`block_id` already exists [json-pointer:/blocks/1/block_id]"},
        {"[{'type':'image','image_url':'https://example.org/i.png'}]",
            "missing required field: alt_text [json-pointer:/blocks/0]"},
        {"[{'type':'rich_text','elements':[{'type':'text','text':'x'}]}]",
            "unsupported type: text [json-pointer:/blocks/0/elements/0]"},
        {"[{'type':'rich_text','elements':1}]",
            "must provide an array [json-pointer:/blocks/0/elements]"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_problems(cases[i].blocks, cases[i].problems);
    }
}

static void
limits_hold_to_the_character(void **state)
{
    (void)state;
    static const struct {
        const char *before, *unit;
        size_t most; // that pass
        const char *after, *problem;
    } cases[] = {
        {"[{'type':'header','text':{'type':'plain_text','text':'", "\xc3\xa9", 150, "'}}]",
            "must be less than 151 characters [json-pointer:/blocks/0/text/text]"},
        {"[{'type':'section','text':{'type':'mrkdwn','text':'", "x", 3000, "'}}]",
            "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
        {"[{'type':'section','fields':[{'type':'mrkdwn','text':'", "x", 2000, "'}]}]",
            "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]"},
        {"[{'type':'actions','elements':[{'type':'button','text':{'type':'plain_text','text':'",
            "x", 75, "'}}]}]",
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]"},
        {"[{'type':'actions','elements':[{'type':'button','text':{'type':'plain_text','text':'x'},"
         "'value':'",
            "x", 2000, "'}]}]",
            "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]"},
        {"[{'type':'actions','elements':[{'type':'button','text':{'type':'plain_text','text':'x'},"
         "'url':'https://",
            "x", 2992, "'}]}]",
            "must be less than 3001 characters [json-pointer:/blocks/0/elements/0/url]"},
        {"[{'type':'divider','block_id':'", "x", 255, "'}]",
            "must be less than 256 characters [json-pointer:/blocks/0/block_id]"},
        {"[{'type':'markdown','text':'", "x", 12000, "'}]",
            "must be less than 12001 characters [json-pointer:/blocks/0/text]"},
        {"[{'type':'divider'}", ",{'type':'divider'}", 49, "]",
            "no more than 50 items allowed [json-pointer:/blocks]"},
        {"[{'type':'section','fields':[{'type':'mrkdwn','text':'x'}",
            ",{'type':'mrkdwn','text':'x'}", 9, "]}]",
            "no more than 10 items allowed [json-pointer:/blocks/0/fields]"},
        {"[{'type':'context','elements':[{'type':'mrkdwn','text':'x'}",
            ",{'type':'mrkdwn','text':'x'}", 9, "]}]",
            "no more than 10 items allowed [json-pointer:/blocks/0/elements]"},
        {"[{'type':'actions','elements':[{'type':'button','text':{'type':'plain_text','text':'x'}}",
            ",{'type':'button','text':{'type':'plain_text','text':'x'}}", 24, "]}]",
            "no more than 25 items allowed [json-pointer:/blocks/0/elements]"},
        {"[{'type':'markdown','text':'y'},{'type':'markdown','text':'", "x", 11999, "'}]",
            "all markdown blocks must be less than 12001 characters [json-pointer:/blocks/1/text]"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char *fits CLEANUP(xfreep) =
            filled(cases[i].before, cases[i].unit, cases[i].most, cases[i].after);
        char *passes CLEANUP(xfreep) =
            filled(cases[i].before, cases[i].unit, cases[i].most + 1, cases[i].after);
        assert_problems(fits, "");
        assert_problems(passes, cases[i].problem);
    }
}

static void
attachments_have_colors_and_blocks(void **state)
{
    (void)state;
    static const struct {
        const char *attachments, *problems;
    } cases[] = {
        {"[{'color':'#2eb886','fallback':'f','blocks':[{'type':'divider'}]},{'color':'good'},"
         "{'text':'old','fields':[]}]",
            ""},
        {"{}", "must provide an array [json-pointer:/attachments]"},
        {"['x']", "must provide an object [json-pointer:/attachments/0]"},
        {"[{'color':'#2eb88'},{'color':'green'},{'color':7},{'color':'#2eb88g'}]",
            "must be a valid color [json-pointer:/attachments/0/color]\n"
            "must be a valid color [json-pointer:/attachments/1/color]\n"
            "must be a valid color [json-pointer:/attachments/2/color]\n"
            "must be a valid color [json-pointer:/attachments/3/color]"},
        {"[{'text':'x','blocks':[{'type':'nope'}]}]",
            "must not stand beside `blocks` [json-pointer:/attachments/0/text]\n"
            "unsupported type: nope [json-pointer:/attachments/0/blocks/0/type]"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct checked checked = check(cases[i].attachments, true);
        assert_string_equal(buf_cstr(&checked.problems), cases[i].problems);
        buf_done(&checked.problems);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_report_passes),
        cmocka_unit_test(a_flaw_is_told_with_its_place),
        cmocka_unit_test(limits_hold_to_the_character),
        cmocka_unit_test(attachments_have_colors_and_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
