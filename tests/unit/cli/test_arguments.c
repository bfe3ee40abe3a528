// The parser against a table of its own: what it accepts, and the exact words of each refusal.
#include "arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

static const char *const formats[] = {"text", "json", "github", NULL};

static const struct cli_option options[] = {
    {"env", CLI_VALUE, "ENV", "the environment", NULL},
    {"image", CLI_LIST, "SOURCE", "an image", NULL},
    {"format", CLI_VALUE, "FORMAT", "how to print", formats},
    {"json", CLI_FLAG, NULL, "as JSON", NULL},
    {"timeout", CLI_DURATION, NULL, "how long", NULL},
};

static const struct cli_command command = {
    .name = "ship",
    .arguments = "APP [TAG]",
    .min_positional = 1,
    .max_positional = 2,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "ship it",
};

enum { WORDS_MAX = 16 };

static struct error *
parse(struct arena *arena, const char *line, const struct cli_arguments **out)
{
    char **argv = arena_array(arena, WORDS_MAX + 1, sizeof(*argv));
    struct str word = {0}, rest = str_of(line);
    for (size_t i = 0; str_cut(rest, ' ', &word, &rest); i++) {
        assert_true(i < WORDS_MAX);
        argv[i] = arena_str(arena, word);
    }
    return cli_parse_arguments(arena, &command, argv, out);
}

// The refusal of `line` is exactly this sentence and hint (NULL: none).
static void
assert_refused(const char *line, const char *message, const char *hint)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct cli_arguments *arguments = NULL;
    struct error *err CLEANUP(error_freep) = parse(arena, line, &arguments);
    assert_non_null(err);
    assert_null(arguments);
    assert_int_equal(error_kind(err), ERROR_USAGE);
    assert_string_equal(error_message(err), message);
    if (hint == NULL) {
        assert_null(error_hint_of(err));
    } else {
        assert_string_equal(error_hint_of(err), hint);
    }
}

static void
accepts_options_anywhere_and_both_forms(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct cli_arguments *arguments = NULL;
    assert_null(
        parse(arena, "--env=prod pay --image a --json --image=b=c v1 --timeout 30m", &arguments));
    assert_string_equal(cli_value(arguments, "env"), "prod");
    assert_true(cli_flag(arguments, "json"));
    assert_int_equal(cli_values(arguments, "image").count, 2);
    assert_string_equal(cli_values(arguments, "image").items[0], "a");
    assert_string_equal(cli_values(arguments, "image").items[1], "b=c");
    assert_int_equal(cli_duration_ms(arguments, "timeout", 7), 30 * 60 * 1000);
    assert_int_equal(cli_positional_count(arguments), 2);
    assert_string_equal(cli_positional(arguments, 0), "pay");
    assert_string_equal(cli_positional(arguments, 1), "v1");
    assert_null(cli_positional(arguments, 2));
}

static void
absent_options_read_as_absent(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct cli_arguments *arguments = NULL;
    assert_null(parse(arena, "pay", &arguments));
    assert_null(cli_value(arguments, "env"));
    assert_null(cli_value(arguments, "no-such-option"));
    assert_false(cli_flag(arguments, "json"));
    assert_int_equal(cli_values(arguments, "image").count, 0);
    assert_int_equal(cli_duration_ms(arguments, "timeout", 7), 7);
}

static void
two_dashes_end_the_options(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct cli_arguments *arguments = NULL;
    assert_null(parse(arena, "--json -- --env --", &arguments));
    assert_int_equal(cli_positional_count(arguments), 2);
    assert_string_equal(cli_positional(arguments, 0), "--env");
    assert_string_equal(cli_positional(arguments, 1), "--");
    assert_null(cli_value(arguments, "env"));
}

static void
a_single_dash_is_an_argument_and_a_value(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct cli_arguments *arguments = NULL;
    assert_null(parse(arena, "- --env -", &arguments));
    assert_string_equal(cli_positional(arguments, 0), "-");
    assert_string_equal(cli_value(arguments, "env"), "-");
}

static void
a_value_with_two_dashes_is_written_with_an_equals_sign(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct cli_arguments *arguments = NULL;
    assert_null(parse(arena, "pay --env=--odd", &arguments));
    assert_string_equal(cli_value(arguments, "env"), "--odd");
    assert_refused("pay --env --json", "ship: '--env' needs a value",
        "Write '--env ENV'; a value that starts with '--' is written '--env=VALUE'.");
    assert_refused("pay --timeout", "ship: '--timeout' needs a value",
        "Write '--timeout DURATION'; a value that starts with '--' is written '--timeout=VALUE'.");
}

static void
a_repeated_flag_is_harmless_a_repeated_value_is_refused(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct cli_arguments *arguments = NULL;
    assert_null(parse(arena, "pay --json --json", &arguments));
    assert_true(cli_flag(arguments, "json"));
    assert_refused(
        "pay --env a --env b", "ship: '--env' is given twice", "It takes one value: 'a' or 'b'?");
    assert_refused("pay --timeout 1s --timeout=2s", "ship: '--timeout' is given twice",
        "It takes one value: '1s' or '2s'?");
}

static void
empty_values_are_refused(void **state)
{
    (void)state;
    assert_refused("pay --env=", "ship: '--env' is empty",
        "Leave the option out, or check the variable that it was made from.");
    assert_refused("pay --image=", "ship: '--image' is empty",
        "Leave the option out, or check the variable that it was made from.");
}

static void
an_empty_argument_after_an_option_is_its_value(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct cli_arguments *arguments = NULL;
    char app[] = "pay", env[] = "--env", empty[] = "";
    char *argv[] = {app, env, empty, NULL};
    struct error *err CLEANUP(error_freep) = cli_parse_arguments(arena, &command, argv, &arguments);
    assert_non_null(err);
    assert_string_equal(error_message(err), "ship: '--env' is empty");
}

static void
unknown_options_are_named(void **state)
{
    (void)state;
    assert_refused("pay --evn x", "ship: unknown option '--evn'", "Did you mean '--env'?");
    assert_refused(
        "pay --no-colour", "ship: unknown option '--no-colour'", "Did you mean '--no-color'?");
    assert_refused("pay --frobnicate=1", "ship: unknown option '--frobnicate=1'",
        "'dispatcher help ship' lists the options.");
    assert_refused("pay -env x", "ship: unknown option '-env'", "Did you mean '--env'?");
    assert_refused("pay -7", "ship: unknown option '-7'",
        "Options have two dashes; an argument that starts with '-' follows '--'.");
    assert_refused(
        "pay --=x", "ship: unknown option '--=x'", "'dispatcher help ship' lists the options.");
}

static void
values_are_checked(void **state)
{
    (void)state;
    assert_refused("pay --json=yes", "ship: '--json' takes no value", NULL);
    assert_refused("pay --format xml", "ship: 'xml' is not a value of '--format'",
        "Use one of 'text', 'json', 'github'.");
    assert_refused("pay --timeout 30", "ship: '30' is not a duration (--timeout)",
        "Write a number and a unit: 30s, 5m, 2h or 1d, at most 365d.");
}

static void
positionals_are_counted(void **state)
{
    (void)state;
    assert_refused("", "ship: APP is missing", NULL);
    assert_refused("a b c d", "ship: 'c' is one argument too many", NULL);
}

static void
hostile_text_is_quoted_clean_and_short(void **state)
{
    (void)state;
    assert_refused("--\x1b[31mred\xff", "ship: unknown option '--red\xef\xbf\xbd'",
        "'dispatcher help ship' lists the options.");
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    size_t size = 1024 * 1024;
    char *huge = arena_alloc(arena, size + 1), app[] = "pay";
    memset(huge, 'x', size);
    huge[0] = huge[1] = '-';
    char *argv[] = {app, huge, NULL};
    const struct cli_arguments *arguments = NULL;
    struct error *err CLEANUP(error_freep) = cli_parse_arguments(arena, &command, argv, &arguments);
    assert_non_null(err);
    assert_true(strlen(error_message(err)) < 100);
    assert_non_null(strstr(error_message(err), "…'"));
}

static void
durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; // -1: refused
    } cases[] = {{"30s", 30000}, {"5m", 300000}, {"2h", 7200000}, {"1d", 86400000}, {"0s", 0},
        {"365d", INT64_C(31536000000)}, {"366d", -1}, {"31536001s", -1}, {"", -1}, {"s", -1},
        {"30", -1}, {"-1s", -1}, {"1.5h", -1}, {"1h30m", -1}, {"30S", -1}, {" 30s", -1},
        {"99999999999999999999d", -1}, {"10ms", -1}, {"1w", -1}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t ms = -1;
        bool fine = cli_parse_duration(str_of(cases[i].text), &ms);
        assert_int_equal(fine, cases[i].ms >= 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_options_anywhere_and_both_forms),
        cmocka_unit_test(absent_options_read_as_absent),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_single_dash_is_an_argument_and_a_value),
        cmocka_unit_test(a_value_with_two_dashes_is_written_with_an_equals_sign),
        cmocka_unit_test(a_repeated_flag_is_harmless_a_repeated_value_is_refused),
        cmocka_unit_test(empty_values_are_refused),
        cmocka_unit_test(an_empty_argument_after_an_option_is_its_value),
        cmocka_unit_test(unknown_options_are_named),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(positionals_are_counted),
        cmocka_unit_test(hostile_text_is_quoted_clean_and_short),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
