// Finds the command in a command line, wherever its options stand, then has the rest parsed.
#include <string.h>

#include "arguments.h"
#include "commands.h"
#include "dispatcher/text.h"

// Before the command is known, an option takes a value when it does so in any command: the tables
// agree on that (tests/unit/cli/test_commands.c).
static bool
takes_value(struct str name)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_option *option = cli_find_option(cli_commands[i], name);
        if (option != NULL) {
            return option->kind != CLI_FLAG;
        }
    }
    return false;
}

// Index of the next argument from `at` that is neither an option nor its value; the count at the
// end. Notes the global options on the way.
static size_t
next_word(char *const *argv, size_t at, struct cli_invocation *out)
{
    for (; argv[at] != NULL; at++) {
        const char *argument = argv[at];
        if (strcmp(argument, "--") == 0) {
            break;
        }
        if (argument[0] != '-' || argument[1] == '\0') {
            return at;
        }
        out->help = out->help || strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
        out->no_color = out->no_color || strcmp(argument, "--no-color") == 0;
        const char *next = argv[at + 1];
        if (strncmp(argument, "--", 2) == 0 && takes_value(str_of(argument + 2)) && next != NULL &&
            strncmp(next, "--", 2) != 0) {
            at++;
        }
    }
    while (argv[at] != NULL) {
        at++;
    }
    return at;
}

static const char *
shown(struct arena *arena, const char *word)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(256);
    text_clean(str_of(word), 60, &clean);
    return arena_str(arena, buf_str(&clean));
}

static struct error *
unknown_command(struct arena *arena, const char *words)
{
    const char **names = arena_array(arena, cli_command_count + 1, sizeof(*names));
    for (size_t i = 0; i < cli_command_count; i++) {
        names[i] = cli_commands[i]->name;
    }
    struct error *err = error_new(ERROR_USAGE, "unknown command '%s'", shown(arena, words));
    const char *meant = str_closest(str_of(words), names);
    return meant != NULL ? error_hint(err, "Did you mean '%s'?", meant)
                         : error_hint(err, "'dispatcher help' lists the commands.");
}

// The argument list without the command's own words.
static char *const *
without(struct arena *arena, char *const *argv, size_t first, size_t second)
{
    size_t count = 0, kept = 0;
    while (argv[count] != NULL) {
        count++;
    }
    char **rest = arena_array(arena, count + 1, sizeof(*rest));
    for (size_t i = 0; i < count; i++) {
        if (i != first && i != second) {
            rest[kept++] = argv[i];
        }
    }
    return rest;
}

// A family's word alone, or with a second word that none of its commands has.
static struct error *
incomplete(struct arena *arena, const char *first, const char *second, struct cli_invocation *out)
{
    out->family = first;
    if (out->help) {
        return NULL;
    }
    if (second != NULL) {
        return unknown_command(arena, arena_printf(arena, "%s %s", first, second));
    }
    return error_hint(error_new(ERROR_USAGE, "'%s' needs a second word", first),
        "'dispatcher help %s' lists what there is.", first);
}

// No word at all: "--version" alone, "--help", nothing, or an option that nobody knows.
static struct error *
no_command(struct arena *arena, char *const *argv, struct cli_invocation *out)
{
    if (argv[0] != NULL && argv[1] == NULL && strcmp(argv[0], "--version") == 0) {
        out->command = cli_find_command(STR("version"));
        return cli_parse_arguments(arena, out->command, argv + 1, &out->arguments);
    }
    for (size_t i = 0; argv[i] != NULL && !out->help; i++) {
        bool global = strncmp(argv[i], "--", 2) == 0 && argv[i][2] != '\0' &&
                      cli_find_option(NULL, str_of(argv[i] + 2)) != NULL;
        if (!global) {
            return error_hint(
                error_new(ERROR_USAGE, "no command is given, only '%s'", shown(arena, argv[i])),
                "'dispatcher help' lists the commands.");
        }
    }
    return NULL;
}

struct error *
cli_parse(struct arena *arena, char *const *argv, struct cli_invocation *out)
{
    *out = (struct cli_invocation){0};
    size_t first = next_word(argv, 0, out);
    if (argv[first] == NULL) {
        return no_command(arena, argv, out);
    }
    size_t second = next_word(argv, first + 1, out);
    size_t words = first;
    out->command = cli_find_command(str_of(argv[first]));
    if (out->command == NULL && cli_is_family(str_of(argv[first]))) {
        words = second;
        const char *name = argv[second];
        const char *both =
            name != NULL ? arena_printf(arena, "%s %s", argv[first], name) : argv[first];
        out->command = cli_find_command(str_of(both));
        if (out->command == NULL) {
            return incomplete(arena, argv[first], name, out);
        }
    }
    for (size_t at = words + 1; argv[words] != NULL && argv[at] != NULL;) {
        size_t next = next_word(argv, at, out);
        at = argv[next] != NULL ? next + 1 : next;
    }
    if (out->command == NULL) {
        return unknown_command(arena, argv[first]);
    }
    if (out->help) {
        return NULL;
    }
    return cli_parse_arguments(
        arena, out->command, without(arena, argv, first, words), &out->arguments);
}
