// The commands as the help page groups them, and finding one by its words. Pure.
#pragma once

#include "cli_internal.h"

// One line of commands.def.
struct cli_entry {
    const char *group;                 // title of a group that starts here, or NULL
    const struct cli_command *command; // NULL for a group
};

extern const struct cli_entry cli_entries[];
extern const size_t cli_entry_count;

/// Options that every command has.
extern const struct cli_option cli_global_options[];
extern const size_t cli_global_option_count;

/// By exact name ("spec lint"), or NULL.
const struct cli_command *cli_find_command(struct str name);
/// Is `word` the first of two-word commands ("spec")?
bool cli_is_family(struct str word);
/// Does the command belong to the family `word`?
bool cli_in_family(const struct cli_command *command, struct str word);
/// An option of the command or a global one, or NULL.
const struct cli_option *cli_find_option(const struct cli_command *command, struct str name);
/// How help writes the value of an option: its placeholder, or "VALUE" or "DURATION"; NULL: a flag.
const char *cli_option_placeholder(const struct cli_option *option);
