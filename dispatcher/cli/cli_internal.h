// What every command of the command line shares: its descriptor, its parsed arguments, its output.
//
// One table entry a command drives parsing, --help, the man page, shell completion and the
// docs-against-help check. A command lives in cli/command_<name>.c, exports one descriptor, and is
// listed in cli/commands.c. Commands print through `struct cli` only: its streams mask secrets.
#pragma once

#include <stdio.h>

#include "dispatcher/field.h"
#include "dispatcher/http.h"
#include "dispatcher/platform.h"

enum cli_option_kind {
    CLI_FLAG,     // --json
    CLI_VALUE,    // --env ENV
    CLI_LIST,     // --image SOURCE, may be repeated
    CLI_DURATION, // --timeout 30m
};

struct cli_option {
    const char *name;  // without the dashes
    enum cli_option_kind kind;
    const char *value; // placeholder in help: "ENV"
    const char *help;  // one line
    const char *const *choices; // VALUE: allowed words, NULL-terminated, or NULL
};

struct cli_arguments; // what was given

bool cli_flag(const struct cli_arguments *arguments, const char *name);
const char *cli_value(const struct cli_arguments *arguments, const char *name); // NULL: not given
struct str_list cli_values(const struct cli_arguments *arguments, const char *name);
int64_t cli_duration_ms(const struct cli_arguments *arguments, const char *name, int64_t fallback);
size_t cli_positional_count(const struct cli_arguments *arguments);
const char *cli_positional(const struct cli_arguments *arguments, size_t index); // NULL: not given

struct cli {
    struct platform platform;
    struct http_client_options http_options; // proxy and CA file already taken from the environment
    bool color;      // stdout is a terminal and NO_COLOR is unset
    bool terminal;   // stdout is a terminal
    bool in_actions; // GITHUB_ACTIONS=true
    int width;       // columns, 80 when unknown
};

/// Standard output and error: whole texts, secrets masked. Errors of writing end the process with 13.
void cli_out(struct cli *cli, struct str text);
void cli_outf(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);
void cli_err(struct cli *cli, struct str text);
void cli_errf(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);

struct cli_command {
    const char *name;        // "deploy", "spec lint"
    const char *arguments;   // "APP --env ENV", for the usage line
    size_t min_positional, max_positional;
    const struct cli_option *options;
    size_t option_count;
    const char *summary;     // one line, lower case, no stop
    const char *description; // paragraphs
    const char *examples;    // "$ dispatcher …" lines, each may be followed by a comment line
    /// An error is printed by main and sets the exit code by its kind; without one *exit_code counts
    /// (0 on entry), for outcomes that the command has already reported.
    struct error *(*run)(struct cli *cli, const struct cli_arguments *arguments, int *exit_code);
};

/// All commands, in the order of the help page.
extern const struct cli_command *const cli_commands[];
extern const size_t cli_command_count;
