// Takes a command line apart. Every refusal quotes what was given and says what would be right.
// Knows no command: only the tables.
#include "arguments.h"

#include <string.h>

#include "commands.h"
#include "dispatcher/text.h"

enum { SHOWN_MAX = 60 }; // bytes of an argument that a message quotes

struct given {
    const struct cli_option *option;
    struct str_list values; // one element at least, unless it is a flag
    int64_t ms;             // of a duration
};

struct cli_arguments {
    struct given *given; // one for each option that was given
    size_t given_count;
    struct str_list positionals;
};

// The arguments that are left to read.
struct reader {
    struct arena *arena;
    const struct cli_command *command;
    char *const *argv;
    size_t at;
    struct cli_arguments *out;
};

static const struct given *
find_given(const struct cli_arguments *arguments, const char *name)
{
    for (size_t i = 0; i < arguments->given_count; i++) {
        if (strcmp(arguments->given[i].option->name, name) == 0) {
            return &arguments->given[i];
        }
    }
    return NULL;
}

bool
cli_flag(const struct cli_arguments *arguments, const char *name)
{
    return find_given(arguments, name) != NULL;
}

const char *
cli_value(const struct cli_arguments *arguments, const char *name)
{
    const struct given *given = find_given(arguments, name);
    return given != NULL && given->values.count > 0 ? given->values.items[0] : NULL;
}

struct str_list
cli_values(const struct cli_arguments *arguments, const char *name)
{
    const struct given *given = find_given(arguments, name);
    return given != NULL ? given->values : (struct str_list){0};
}

int64_t
cli_duration_ms(const struct cli_arguments *arguments, const char *name, int64_t fallback)
{
    const struct given *given = find_given(arguments, name);
    return given != NULL ? given->ms : fallback;
}

size_t
cli_positional_count(const struct cli_arguments *arguments)
{
    return arguments->positionals.count;
}

const char *
cli_positional(const struct cli_arguments *arguments, size_t index)
{
    return index < arguments->positionals.count ? arguments->positionals.items[index] : NULL;
}

bool
cli_parse_duration(struct str text, int64_t *ms)
{
    enum { DAYS_MAX = 365 };
    int64_t parsed = 0;
    if (!clock_parse_duration(text, &parsed) || parsed > INT64_C(86400000) * DAYS_MAX) {
        return false;
    }
    *ms = parsed;
    return true;
}

// What an argument looks like in a message.
static const char *
shown(struct arena *arena, struct str text)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(4 * SHOWN_MAX);
    text_clean(text, SHOWN_MAX, &clean);
    return arena_str(arena, buf_str(&clean));
}

static const char *
command_name(const struct reader *reader)
{
    return reader->command->name;
}

// The closest of the command's and the global options, with its dashes, or NULL.
static const char *
closest_option(const struct reader *reader, struct str name)
{
    size_t own = reader->command->option_count;
    const char **names =
        arena_array(reader->arena, own + cli_global_option_count + 1, sizeof(*names));
    for (size_t i = 0; i < own; i++) {
        names[i] = reader->command->options[i].name;
    }
    for (size_t i = 0; i < cli_global_option_count; i++) {
        names[own + i] = cli_global_options[i].name;
    }
    return str_closest(name, names);
}

static struct error *
unknown_option(const struct reader *reader, const char *argument, struct str name)
{
    struct error *err = error_new(ERROR_USAGE, "%s: unknown option '%s'", command_name(reader),
        shown(reader->arena, str_of(argument)));
    const char *meant = closest_option(reader, name);
    if (meant != NULL) {
        return error_hint(err, "Did you mean '--%s'?", meant);
    }
    if (argument[1] != '-') {
        return error_hint(
            err, "Options have two dashes; an argument that starts with '-' follows '--'.");
    }
    return error_hint(err, "'dispatcher help %s' lists the options.", command_name(reader));
}

static struct given *
give(struct reader *reader, const struct cli_option *option)
{
    struct cli_arguments *out = reader->out;
    for (size_t i = 0; i < out->given_count; i++) {
        if (out->given[i].option == option) {
            return &out->given[i];
        }
    }
    out->given[out->given_count] = (struct given){.option = option};
    return &out->given[out->given_count++];
}

static struct error *
check_choice(const struct reader *reader, const struct cli_option *option, const char *value)
{
    struct buf words CLEANUP(buf_done) = BUF_INIT(1024);
    for (size_t i = 0; option->choices != NULL && option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], value) == 0) {
            return NULL;
        }
        buf_printf(&words, "%s'%s'", i > 0 ? ", " : "", option->choices[i]);
    }
    if (option->choices == NULL) {
        return NULL;
    }
    return error_hint(error_new(ERROR_USAGE, "%s: '%s' is not a value of '--%s'",
                          command_name(reader), shown(reader->arena, str_of(value)), option->name),
        "Use one of %s.", buf_cstr(&words));
}

static struct error *
take_value(struct reader *reader, const struct cli_option *option, const char *value)
{
    struct given *given = give(reader, option);
    const char *name = option->name;
    if (value[0] == '\0') {
        return error_hint(error_new(ERROR_USAGE, "%s: '--%s' is empty", command_name(reader), name),
            "Leave the option out, or check the variable that it was made from.");
    }
    if (given->values.count > 0 && option->kind != CLI_LIST) {
        return error_hint(
            error_new(ERROR_USAGE, "%s: '--%s' is given twice", command_name(reader), name),
            "It takes one value: '%s' or '%s'?",
            shown(reader->arena, str_of(given->values.items[0])),
            shown(reader->arena, str_of(value)));
    }
    TRY(check_choice(reader, option, value));
    if (option->kind == CLI_DURATION && !cli_parse_duration(str_of(value), &given->ms)) {
        return error_hint(error_new(ERROR_USAGE, "%s: '%s' is not a duration (--%s)",
                              command_name(reader), shown(reader->arena, str_of(value)), name),
            "Write a number and a unit: 30s, 5m, 2h or 1d, at most 365d.");
    }
    given->values.items[given->values.count++] = value;
    return NULL;
}

// Room for every value that could come, once per option: arguments are few.
static void
make_room(struct reader *reader, const struct cli_option *option)
{
    struct given *given = give(reader, option);
    if (given->values.items == NULL) {
        size_t count = 0;
        while (reader->argv[count] != NULL) {
            count++;
        }
        given->values.items = arena_array(reader->arena, count + 1, sizeof(*given->values.items));
    }
}

static struct error *
take_option(struct reader *reader, const char *argument)
{
    struct str name = {0}, value = {0}, text = str_of(argument + 2);
    if (!str_cut(text, '=', &name, &value)) {
        name = text;
    }
    const struct cli_option *option =
        argument[1] == '-' ? cli_find_option(reader->command, name) : NULL;
    if (option == NULL) {
        return unknown_option(reader, argument, argument[1] == '-' ? name : str_of(argument + 1));
    }
    bool attached = memchr(text.ptr, '=', text.len) != NULL;
    if (option->kind == CLI_FLAG && attached) {
        return error_new(
            ERROR_USAGE, "%s: '--%s' takes no value", command_name(reader), option->name);
    }
    if (option->kind == CLI_FLAG) {
        (void)give(reader, option);
        return NULL;
    }
    make_room(reader, option);
    if (attached) {
        return take_value(reader, option, value.len > 0 ? value.ptr : "");
    }
    const char *next = reader->argv[reader->at];
    if (next == NULL || strncmp(next, "--", 2) == 0) {
        return error_hint(
            error_new(ERROR_USAGE, "%s: '--%s' needs a value", command_name(reader), option->name),
            "Write '--%s %s'; a value that starts with '--' is written '--%s=VALUE'.", option->name,
            cli_option_placeholder(option), option->name);
    }
    reader->at++;
    return take_value(reader, option, next);
}

static struct error *
check_positionals(const struct reader *reader)
{
    const struct cli_command *command = reader->command;
    size_t count = reader->out->positionals.count;
    if (count < command->min_positional) {
        const char *words = command->arguments != NULL ? command->arguments : "";
        struct str word = {0}, rest = str_of(words);
        for (size_t i = 0; i <= count; i++) {
            (void)str_cut(rest, ' ', &word, &rest);
        }
        return error_new(ERROR_USAGE, "%s: %.*s is missing", command->name, STR_FMT(word));
    }
    if (count > command->max_positional) {
        const char *extra = reader->out->positionals.items[command->max_positional];
        return error_new(ERROR_USAGE, "%s: '%s' is one argument too many", command->name,
            shown(reader->arena, str_of(extra)));
    }
    return NULL;
}

struct error *
cli_parse_arguments(struct arena *arena, const struct cli_command *command, char *const *argv,
    const struct cli_arguments **out)
{
    size_t count = 0;
    while (argv[count] != NULL) {
        count++;
    }
    struct cli_arguments *arguments = arena_alloc(arena, sizeof(*arguments));
    size_t options = command->option_count + cli_global_option_count;
    arguments->given = arena_array(arena, options, sizeof(*arguments->given));
    arguments->positionals.items =
        arena_array(arena, count + 1, sizeof(*arguments->positionals.items));
    struct reader reader = {.arena = arena, .command = command, .argv = argv, .out = arguments};
    bool only_positionals = false;
    while (argv[reader.at] != NULL) {
        const char *argument = argv[reader.at++];
        if (!only_positionals && strcmp(argument, "--") == 0) {
            only_positionals = true;
        } else if (!only_positionals && argument[0] == '-' && argument[1] != '\0') {
            TRY(take_option(&reader, argument));
        } else {
            arguments->positionals.items[arguments->positionals.count++] = argument;
        }
    }
    TRY(check_positionals(&reader));
    *out = arguments;
    return NULL;
}
