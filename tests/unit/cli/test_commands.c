// Rules that the tables of all commands keep, and finding a command in a command line.
#include "commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "arguments.h"
#include "dispatcher/memory.h"

static void
assert_one_line(const char *text)
{
    assert_non_null(text);
    assert_true(strlen(text) > 0);
    assert_null(strchr(text, '\n'));
}

static void
every_command_is_described(void **state)
{
    (void)state;
    assert_true(cli_command_count > 0);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *command = cli_commands[i];
        print_message("%s\n", command->name);
        assert_one_line(command->summary);
        assert_true(strlen(command->summary) <= 80);
        assert_false(command->summary[0] >= 'A' && command->summary[0] <= 'Z');
        assert_true(command->summary[strlen(command->summary) - 1] != '.');
        assert_non_null(command->description);
        assert_non_null(command->examples);
        assert_non_null(command->run);
        assert_true(command->min_positional <= command->max_positional);
        assert_ptr_equal(cli_find_command(str_of(command->name)), command);
    }
}

static void
every_option_is_described(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *command = cli_commands[i];
        for (size_t k = 0; k < command->option_count; k++) {
            const struct cli_option *option = &command->options[k];
            print_message("%s --%s\n", command->name, option->name);
            assert_one_line(option->help);
            assert_false(strncmp(option->name, "-", 1) == 0);
            assert_true(option->choices == NULL || option->kind == CLI_VALUE);
            assert_true(option->kind != CLI_FLAG || option->value == NULL);
            // No second option of that name, and none that hides a global one.
            assert_ptr_equal(cli_find_option(command, str_of(option->name)), option);
            assert_null(strcmp(option->name, "help") == 0 ? option : NULL);
        }
    }
}

// An option before the command is read without knowing the command.
static void
an_option_takes_a_value_everywhere_or_nowhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        for (size_t k = 0; k < cli_commands[i]->option_count; k++) {
            const struct cli_option *option = &cli_commands[i]->options[k];
            for (size_t j = 0; j < cli_command_count; j++) {
                const struct cli_option *other =
                    cli_find_option(cli_commands[j], str_of(option->name));
                print_message("--%s of %s and %s\n", option->name, cli_commands[i]->name,
                    cli_commands[j]->name);
                assert_true(
                    other == NULL || (other->kind == CLI_FLAG) == (option->kind == CLI_FLAG));
            }
        }
    }
}

// Every "$ dispatcher …" line of the examples is a command line that parses.
static void
every_example_parses(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        struct str line = {0}, rest = str_of(cli_commands[i]->examples);
        size_t count = 0;
        while (str_cut(rest, '\n', &line, &rest)) {
            if (!str_starts(line, STR("$ dispatcher "))) {
                assert_false(str_starts(line, STR("$")));
                continue;
            }
            count++;
            print_message("%.*s\n", STR_FMT(line));
            struct arena *arena CLEANUP(arena_freep) = arena_new();
            char **argv = arena_array(arena, line.len + 1, sizeof(*argv));
            struct str word = {0}, words = str_skip(line, strlen("$ dispatcher "));
            size_t words_count = 0;
            while (str_cut(words, ' ', &word, &words)) {
                bool shell = str_equal(word, STR("|")) || str_equal(word, STR(">")) ||
                             str_equal(word, STR("&&")) || str_equal(word, STR("#"));
                if (shell) {
                    break;
                }
                if (word.len > 0) {
                    argv[words_count++] = arena_str(arena, word);
                }
            }
            struct cli_invocation invocation = {0};
            struct error *err CLEANUP(error_freep) = cli_parse(arena, argv, &invocation);
            assert_null(err != NULL ? error_message(err) : NULL);
            assert_non_null(invocation.command);
        }
        assert_true(count > 0);
    }
}

static struct error *
parse(struct arena *arena, const char *line, struct cli_invocation *out)
{
    char **argv = arena_array(arena, 32, sizeof(*argv));
    struct str word = {0}, rest = str_of(line);
    for (size_t i = 0; str_cut(rest, ' ', &word, &rest); i++) {
        argv[i] = arena_str(arena, word);
    }
    return cli_parse(arena, argv, out);
}

static void
the_command_is_found_behind_options(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct cli_invocation invocation = {0};
    assert_null(parse(arena, "--no-color help version", &invocation));
    assert_ptr_equal(invocation.command, &command_help);
    assert_true(invocation.no_color);
    assert_false(invocation.help);
    assert_int_equal(cli_positional_count(invocation.arguments), 1);
    assert_string_equal(cli_positional(invocation.arguments, 0), "version");
}

static void
help_wins_over_everything_else(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct cli_invocation invocation = {0};
    assert_null(parse(arena, "version a b c --bogus --help", &invocation));
    assert_ptr_equal(invocation.command, &command_version);
    assert_true(invocation.help);
    assert_null(parse(arena, "-h", &invocation));
    assert_null(invocation.command);
    assert_true(invocation.help);
    assert_null(parse(arena, "version -h", &invocation));
    assert_true(invocation.help);
    // Behind "--" it is an argument like any other.
    assert_null(parse(arena, "help -- --help", &invocation));
    assert_false(invocation.help);
    assert_string_equal(cli_positional(invocation.arguments, 0), "--help");
}

static void
a_version_option_alone_is_the_command(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct cli_invocation invocation = {0};
    assert_null(parse(arena, "--version", &invocation));
    assert_ptr_equal(invocation.command, &command_version);
}

static void
assert_no_command(const char *line, const char *message, const char *hint)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct cli_invocation invocation = {0};
    struct error *err CLEANUP(error_freep) = parse(arena, line, &invocation);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_USAGE);
    assert_string_equal(error_message(err), message);
    assert_string_equal(error_hint_of(err), hint);
}

static void
unknown_commands_are_named(void **state)
{
    (void)state;
    assert_no_command("versoin", "unknown command 'versoin'", "Did you mean 'version'?");
    assert_no_command(
        "frobnicate", "unknown command 'frobnicate'", "'dispatcher help' lists the commands.");
    assert_no_command(
        "--bogus", "no command is given, only '--bogus'", "'dispatcher help' lists the commands.");
    assert_no_command(
        "-- version", "no command is given, only '--'", "'dispatcher help' lists the commands.");
}

static void
nothing_at_all_names_no_command(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct cli_invocation invocation = {0};
    assert_null(parse(arena, "", &invocation));
    assert_null(invocation.command);
    assert_false(invocation.help);
    assert_null(parse(arena, "--no-color", &invocation));
    assert_null(invocation.command);
}

static void
families_are_words_before_a_blank(void **state)
{
    (void)state;
    static const struct cli_command lint = {.name = "spec lint"};
    assert_true(cli_in_family(&lint, STR("spec")));
    assert_false(cli_in_family(&lint, STR("spe")));
    assert_false(cli_in_family(&lint, STR("spec lint")));
    assert_false(cli_in_family(&lint, STR("")));
    assert_false(cli_is_family(STR("version")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_described),
        cmocka_unit_test(every_option_is_described),
        cmocka_unit_test(an_option_takes_a_value_everywhere_or_nowhere),
        cmocka_unit_test(every_example_parses),
        cmocka_unit_test(the_command_is_found_behind_options),
        cmocka_unit_test(help_wins_over_everything_else),
        cmocka_unit_test(a_version_option_alone_is_the_command),
        cmocka_unit_test(unknown_commands_are_named),
        cmocka_unit_test(nothing_at_all_names_no_command),
        cmocka_unit_test(families_are_words_before_a_blank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
