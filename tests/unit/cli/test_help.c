// Pages of one command that has everything, to the character: help, manual, and the shells' rules.
#include "help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "completion.h"
#include "manual.h"

static const char *const formats[] = {"text", "json", NULL};

static const struct cli_option options[] = {
    {"env", CLI_VALUE, "ENV", "the environment; one of dispatcher.yaml", NULL},
    {"image", CLI_LIST, "[SERVICE=]SOURCE", "where the image is", NULL},
    {"format", CLI_VALUE, "FORMAT", "how to print", formats},
    {"timeout", CLI_DURATION, NULL, "how long to wait", NULL},
    {"json", CLI_FLAG, NULL, "as JSON", NULL},
};

static const struct cli_command command = {
    .name = "spec ship",
    .arguments = "APP on|off [FILE...]",
    .min_positional = 2,
    .max_positional = 9,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "ship it",
    .description = "Ships an app, which takes more words than fit on one line.\n"
                   ".starts with a dot\n"
                   "\n"
                   "  verbatim  'stays'\n"
                   "\n"
                   "Ends.",
    .examples = "$ dispatcher spec ship payments on --env production\n",
};

static void
the_help_page(void **state)
{
    (void)state;
    struct buf page CLEANUP(buf_done) = BUF_INIT(1 << 16);
    help_command_page(&command, 60, &page);
    assert_string_equal(buf_cstr(&page),
        "dispatcher spec ship: ship it\n"
        "\n"
        "usage: dispatcher spec ship APP on|off [FILE...] [options]\n"
        "\n"
        "Ships an app, which takes more words than fit on one line.\n"
        ".starts with a dot\n"
        "\n"
        "  verbatim  'stays'\n"
        "\n"
        "Ends.\n"
        "\n"
        "Options\n"
        "  --env ENV                 the environment; one of\n"
        "                            dispatcher.yaml\n"
        "  --image [SERVICE=]SOURCE  where the image is; may be\n"
        "                            repeated\n"
        "  --format FORMAT           how to print (text, json)\n"
        "  --timeout DURATION        how long to wait\n"
        "  --json                    as JSON\n"
        "  --no-color                never colour the output\n"
        "                            (NO_COLOR does the same)\n"
        "  --help                    show this page\n"
        "\n"
        "Examples\n"
        "  $ dispatcher spec ship payments on --env production\n");
}

static void
assert_wrapped(const char *text, size_t indent, size_t width, const char *expected)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    help_wrap(str_of(text), indent, width, &out);
    assert_string_equal(buf_cstr(&out), expected);
}

static void
text_is_wrapped_by_columns(void **state)
{
    (void)state;
    assert_wrapped("", 2, 10, "");
    assert_wrapped("one two three", 0, 7, "one two\nthree\n");
    assert_wrapped("one two three", 2, 7, "  one\n  two\n  three\n");
    assert_wrapped("äöü äöü x", 0, 7, "äöü äöü\nx\n");
    assert_wrapped("far-too-long-a-word x", 0, 7, "far-too-long-a-word\nx\n");
    assert_wrapped("one\ntwo", 0, 20, "one two\n"); // a paragraph flows
    assert_wrapped("one\n\ntwo", 0, 20, "one\n\ntwo\n");
    assert_wrapped("one\n  as  is\ntwo", 0, 20, "one\n  as  is\ntwo\n");
    assert_wrapped("  as  is", 2, 20, "    as  is\n");
}

static void
the_manual_page(void **state)
{
    (void)state;
    struct buf page CLEANUP(buf_done) = BUF_INIT(1 << 16);
    manual_page(&command, &page);
    const char *text = strstr(buf_cstr(&page), ".SH NAME");
    assert_non_null(text);
    static const char expected[] =
        ".SH NAME\n"
        "dispatcher\\-spec\\-ship \\- ship it\n"
        ".SH SYNOPSIS\n"
        "\\fBdispatcher spec ship\\fR APP on|off [FILE...] [options]\n"
        ".SH DESCRIPTION\n"
        "Ships an app, which takes more words than fit on one line. .starts\n"
        "with a dot\n"
        ".PP\n"
        ".nf\n"
        "  verbatim  \\(aqstays\\(aq\n"
        ".fi\n"
        ".PP\n"
        "Ends.\n"
        ".SH OPTIONS\n"
        ".TP\n"
        "\\fB\\-\\-env\\fR \\fIENV\\fR\n"
        "the environment; one of dispatcher.yaml\n";
    assert_memory_equal(text, expected, sizeof(expected) - 1);
    assert_non_null(
        strstr(text, "\\fB\\-\\-format\\fR \\fIFORMAT\\fR\nhow to print: text, json\n"));
    assert_non_null(strstr(text,
        "\\fB\\-\\-image\\fR \\fI[SERVICE=]SOURCE\\fR\nwhere the image is; may be repeated\n"));
    assert_non_null(strstr(text, ".SH EXAMPLES\n.nf\n$ dispatcher spec ship payments on "
                                 "\\-\\-env production\n.fi\n.SH EXIT STATUS\n"));
    assert_non_null(strstr(buf_cstr(&page), ".TH DISPATCHER\\-SPEC\\-SHIP 1 "));
}

static void
assert_completed(struct completion completion, const char *expected)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    completion_put(completion, &out);
    assert_string_equal(buf_cstr(&out), expected);
}

static void
placeholders_say_what_completes(void **state)
{
    (void)state;
    struct buf scratch CLEANUP(buf_done) = BUF_INIT(4096);
    assert_completed(completion_of_option(&options[0], &scratch), "none");
    assert_completed(completion_of_option(&options[1], &scratch), "files");
    assert_completed(completion_of_option(&options[2], &scratch), "words text json");
    assert_completed(completion_of_option(&options[3], &scratch), "none");
    assert_completed(completion_of_argument(&command, 0, &scratch), "apps");
    assert_completed(completion_of_argument(&command, 1, &scratch), "words on off");
    assert_completed(completion_of_argument(&command, 2, &scratch), "files");
    assert_completed(completion_of_argument(&command, 8, &scratch), "files"); // repeats
    assert_completed(completion_of_argument(&command, 9, &scratch), "none");  // beyond the most
}

static void
options_in_the_usage_line_are_no_arguments(void **state)
{
    (void)state;
    static const struct cli_command mixed = {
        .name = "x", .arguments = "APP --env ENV [--json] DIR", .max_positional = 2};
    struct buf scratch CLEANUP(buf_done) = BUF_INIT(4096);
    assert_completed(completion_of_argument(&mixed, 0, &scratch), "apps");
    assert_completed(completion_of_argument(&mixed, 1, &scratch), "files");
    static const struct cli_command none = {.name = "x"};
    assert_completed(completion_of_argument(&none, 0, &scratch), "none");
}

static void
words_are_quoted_for_the_shell(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    completion_quote("it's $HOME `x`", &out);
    assert_string_equal(buf_cstr(&out), "'it'\\''s $HOME `x`'");
}

static void
every_exit_code_is_on_both_pages(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(1 << 16);
    struct buf markdown CLEANUP(buf_done) = BUF_INIT(1 << 16);
    exit_codes_text(&text);
    exit_codes_markdown(&markdown);
    static const struct {
        int code;
        const char *name;
    } kinds[] = {
#define ERROR_KIND(name, exit_code, text) {exit_code, #name},
#include "dispatcher/error_kinds.def"
#undef ERROR_KIND
    };
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct buf row CLEANUP(buf_done) = BUF_INIT(256);
        buf_printf(&row, "  %3d  %-13s ", kinds[i].code, kinds[i].name);
        assert_non_null(strstr(buf_cstr(&text), buf_cstr(&row)));
        buf_reset(&row);
        buf_printf(&row, "| %d | `%s` | ", kinds[i].code, kinds[i].name);
        assert_non_null(strstr(buf_cstr(&markdown), buf_cstr(&row)));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_help_page),
        cmocka_unit_test(text_is_wrapped_by_columns),
        cmocka_unit_test(the_manual_page),
        cmocka_unit_test(placeholders_say_what_completes),
        cmocka_unit_test(options_in_the_usage_line_are_no_arguments),
        cmocka_unit_test(words_are_quoted_for_the_shell),
        cmocka_unit_test(every_exit_code_is_on_both_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
