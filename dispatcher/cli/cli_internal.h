// What every command of the command line shares: its descriptor, its parsed arguments, its output.
//
// One table entry a command drives parsing, --help, the man page, shell completion and the
// docs-against-help check. A command lives in cli/command_<symbol>.c, defines the one descriptor
// `command_<symbol>`, and is listed by one line in cli/commands.def. Commands print through
// `struct cli` only: its streams mask secrets.
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
    const char *name; // without the dashes
    enum cli_option_kind kind;
    const char *value;          // placeholder in help: "ENV"
    const char *help;           // one line
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
    bool color;                              // stdout is a terminal and NO_COLOR is unset
    bool terminal;                           // stdout is a terminal that can move its cursor
    bool error_terminal;                     // the same of stderr, for progress beside --json
    bool utf8;                               // the locale's character set
    bool in_actions;                         // GITHUB_ACTIONS=true
    int width;                               // columns, 80 when unknown

    /// Set by a command once it has changed something outside. From then on a standard output that
    /// cannot be written (a full disk) is told on stderr but no longer turns exit code 0 into 13.
    bool changed;

    // Owned by output.c. Tests of commands set the two buffers: output is collected there.
    struct buf *capture_out, *capture_err;
    int write_error;   // first errno of standard output, 0 while all is well
    struct live *live; // the live area that is on the terminal (live.h), or NULL
};

/// Standard output and error: whole texts, secrets masked. A standard output that fails is
/// remembered (cli->write_error), drops what follows, and makes main end with 13; a reader that
/// went away (EPIPE) is no error. A deployment under way is never ended by its own output.
void cli_out(struct cli *cli, struct str text);
void cli_outf(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);
void cli_err(struct cli *cli, struct str text);
void cli_errf(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);
/// "dispatcher: <sentences>" and, when there is one, "  hint: <hint>", on stderr, as main does it.
void cli_print_error(struct cli *cli, const struct error *err);

/// Before a command speaks to anybody: every secret that the environment is known to hold is masked
/// in all that follows.
void cli_mask_environment(const struct cli *cli);

struct cli_command {
    const char *name;      // "deploy", "spec lint"
    const char *arguments; // "APP --env ENV", for the usage line; NULL: none
    size_t min_positional, max_positional;
    const struct cli_option *options;
    size_t option_count;
    const char *summary;     // one line, lower case, no stop
    const char *description; // paragraphs, separated by empty lines
    const char *examples;    // "$ dispatcher …" lines, each may be followed by a comment line
    /// An error is printed by main and sets the exit code by its kind; without one *exit_code
    /// counts (0 on entry), for outcomes that the command has already reported.
    struct error *(*run)(struct cli *cli, const struct cli_arguments *arguments, int *exit_code);
};

/// All commands, in the order of the help page.
extern const struct cli_command *const cli_commands[];
extern const size_t cli_command_count;

#define COMMAND_GROUP(title)
#define COMMAND(symbol) extern const struct cli_command command_##symbol;
#include "commands.def"
#undef COMMAND
#undef COMMAND_GROUP
