// The command line taken apart by the commands' tables. Pure: prints nothing, reads no environment.
//
//     struct cli_invocation invocation = {0};
//     struct error *err = cli_parse(arena, argv + 1, &invocation); // ERROR_USAGE
//
// Options may stand anywhere, also before the command; "--" ends them. Everything that was parsed
// lives in the arena and borrows the argument strings.
#pragma once

#include "cli_internal.h"
#include "dispatcher/arena.h"

struct cli_invocation {
    const struct cli_command *command; // NULL: none was named
    const char *family;                // "spec" when only the first of two words was given
    bool help;                         // --help or -h
    bool no_color;
    const struct cli_arguments *arguments; // NULL when help is true or nothing was named
};

/// `argv`: NULL-terminated, without the program's name. Also on failure `out->command`, `out->help`
/// and `out->no_color` say what was recognised.
NODISCARD struct error *cli_parse(
    struct arena *arena, char *const *argv, struct cli_invocation *out);

/// The arguments of one known command (without its words); for tests of commands.
NODISCARD struct error *cli_parse_arguments(struct arena *arena, const struct cli_command *command,
    char *const *argv, const struct cli_arguments **out);

/// "30s", "5m", "2h", "1d" in milliseconds; false when it is anything else or over 365 days.
bool cli_parse_duration(struct str text, int64_t *ms);
