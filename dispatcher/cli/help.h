// Help pages, made from the tables. Pure: text into a buffer.
#pragma once

#include "cli_internal.h"

/// "usage: dispatcher deploy APP --env ENV [options]\n"; NULL: of the program.
void help_usage_line(const struct cli_command *command, struct buf *out);
/// All commands, grouped.
void help_main_page(struct buf *out);
/// The commands that start with `word` ("spec").
void help_family_page(struct str word, struct buf *out);
/// Everything about one command, wrapped at `width` columns.
void help_command_page(const struct cli_command *command, size_t width, struct buf *out);
/// "--env ENV" as help and manual write it.
void help_option_form(const struct cli_option *option, struct buf *out);
/// Appends `text` (one or more paragraphs) indented and wrapped at `width`. Lines of a paragraph
/// that start with two blanks stay as they are.
void help_wrap(struct str text, size_t indent, size_t width, struct buf *out);
