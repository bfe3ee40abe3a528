// The table of all commands, made from commands.def, and looking things up in it.
#include "commands.h"

const struct cli_command *const cli_commands[] = {
#define COMMAND_GROUP(title)
#define COMMAND(symbol) &command_##symbol,
#include "commands.def"
#undef COMMAND
#undef COMMAND_GROUP
};
const size_t cli_command_count = ARRAY_LENGTH(cli_commands);

const struct cli_entry cli_entries[] = {
#define COMMAND_GROUP(title) {title, NULL},
#define COMMAND(symbol) {NULL, &command_##symbol},
#include "commands.def"
#undef COMMAND
#undef COMMAND_GROUP
};
const size_t cli_entry_count = ARRAY_LENGTH(cli_entries);

const struct cli_option cli_global_options[] = {
    {"no-color", CLI_FLAG, NULL, "never colour the output (NO_COLOR does the same)", NULL},
    {"help", CLI_FLAG, NULL, "show this page", NULL},
};
const size_t cli_global_option_count = ARRAY_LENGTH(cli_global_options);

const struct cli_command *
cli_find_command(struct str name)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        if (str_equal(str_of(cli_commands[i]->name), name)) {
            return cli_commands[i];
        }
    }
    return NULL;
}

bool
cli_in_family(const struct cli_command *command, struct str word)
{
    struct str name = str_of(command->name);
    return word.len > 0 && name.len > word.len && name.ptr[word.len] == ' ' &&
           str_starts(name, word);
}

bool
cli_is_family(struct str word)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        if (cli_in_family(cli_commands[i], word)) {
            return true;
        }
    }
    return false;
}

static const struct cli_option *
find_in(const struct cli_option *options, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(str_of(options[i].name), name)) {
            return &options[i];
        }
    }
    return NULL;
}

const struct cli_option *
cli_find_option(const struct cli_command *command, struct str name)
{
    const struct cli_option *found =
        command != NULL ? find_in(command->options, command->option_count, name) : NULL;
    return found != NULL ? found : find_in(cli_global_options, cli_global_option_count, name);
}

const char *
cli_option_placeholder(const struct cli_option *option)
{
    if (option->kind == CLI_FLAG || option->value != NULL) {
        return option->value;
    }
    return option->kind == CLI_DURATION ? "DURATION" : "VALUE";
}
