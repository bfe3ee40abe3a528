// Shell completion made from the tables. Pure: scripts into a buffer.
#pragma once

#include "cli_internal.h"

// How a word is completed.
enum completion_kind {
    COMPLETE_NOTHING, // names only the user knows
    COMPLETE_WORDS,   // one of a list
    COMPLETE_FILES,
    COMPLETE_APPS,     // appspecs/*.yaml below the working directory
    COMPLETE_COMMANDS, // our own
};

struct completion {
    enum completion_kind kind;
    struct str words; // separated by blanks
};

void completion_bash(struct buf *out);
void completion_zsh(struct buf *out);
void completion_fish(struct buf *out);

/// How the value of an option is completed. `scratch` holds the words.
struct completion completion_of_option(const struct cli_option *option, struct buf *scratch);
/// How the argument at `position` (0-based) is completed, by its name in the usage line.
struct completion completion_of_argument(
    const struct cli_command *command, size_t position, struct buf *scratch);
/// "words a b", "files", "apps", "commands" or "none": what the bash and zsh scripts hand around.
void completion_put(struct completion completion, struct buf *out);
/// 'text' as one word of a shell, single quotes and all.
void completion_quote(const char *text, struct buf *out);
/// Functions that bash and zsh both read: _dispatcher_value, _dispatcher_argument and
/// _dispatcher_second set `reply`.
void completion_put_tables(struct buf *out);
/// The first words of all commands; with `families`, of two-word commands only.
void completion_put_words(bool families, struct buf *out);
