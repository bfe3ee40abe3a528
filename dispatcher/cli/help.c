// Help pages from the tables. Knows no terminal: the caller gives the width.
#include "help.h"

#include <string.h>

#include "commands.h"
#include "dispatcher/text.h"

enum { MARGIN = 2, COLUMN_MAX = 28, WIDTH_MAX = 100 };

static void
put_blanks(struct buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_putc(out, ' ');
    }
}

void
help_usage_line(const struct cli_command *command, struct buf *out)
{
    if (command == NULL) {
        buf_puts(out, "usage: dispatcher COMMAND [arguments] [options]\n");
        return;
    }
    bool has_arguments = command->arguments != NULL && command->arguments[0] != '\0';
    buf_printf(out, "usage: dispatcher %s%s%s%s\n", command->name, has_arguments ? " " : "",
        has_arguments ? command->arguments : "", command->option_count > 0 ? " [options]" : "");
}

void
help_option_form(const struct cli_option *option, struct buf *out)
{
    const char *value = cli_option_placeholder(option);
    buf_printf(out, "--%s%s%s", option->name, value != NULL ? " " : "", value != NULL ? value : "");
}

static void
wrap_words(struct str line, size_t indent, size_t width, size_t *column, struct buf *out)
{
    struct str word = {0}, rest = line;
    while (str_cut(rest, ' ', &word, &rest)) {
        if (word.len == 0) {
            continue;
        }
        size_t need = text_width(word);
        if (*column > indent && *column + 1 + need > width) {
            buf_putc(out, '\n');
            *column = 0;
        }
        if (*column == 0) {
            put_blanks(out, indent);
            *column = indent;
        } else if (*column > indent) {
            buf_putc(out, ' ');
            (*column)++;
        }
        buf_add(out, word);
        *column += need;
    }
}

void
help_wrap(struct str text, size_t indent, size_t width, struct buf *out)
{
    struct str line = {0}, rest = text;
    size_t column = 0;
    while (str_cut(rest, '\n', &line, &rest)) {
        bool verbatim = str_starts(line, STR("  "));
        bool ends = str_trim(line).len == 0;
        if ((verbatim || ends) && column > 0) {
            buf_putc(out, '\n');
            column = 0;
        }
        if (verbatim || ends) {
            put_blanks(out, ends ? 0 : indent);
            buf_add(out, ends ? STR("") : line);
            buf_putc(out, '\n');
        } else {
            wrap_words(line, indent, width, &column, out);
        }
    }
    if (column > 0) {
        buf_putc(out, '\n');
    }
}

// "  left      right, wrapped under itself"
static void
put_row(struct str left, size_t column, struct str right, size_t width, struct buf *out)
{
    put_blanks(out, MARGIN);
    buf_add(out, left);
    size_t used = MARGIN + text_width(left);
    if (used + 2 > column) {
        buf_putc(out, '\n');
        used = 0;
    }
    put_blanks(out, column - used);
    struct buf wrapped CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    help_wrap(right, column, width, &wrapped);
    buf_add(out, str_skip(buf_str(&wrapped), column));
}

static size_t
command_column(void)
{
    size_t widest = 0;
    for (size_t i = 0; i < cli_command_count; i++) {
        size_t width = strlen(cli_commands[i]->name);
        widest = width > widest ? width : widest;
    }
    return MARGIN + widest + 2;
}

void
help_main_page(struct buf *out)
{
    buf_puts(out, "dispatcher deploys an app through an infra repository, and proves it.\n\n");
    help_usage_line(NULL, out);
    const char *group = NULL;
    for (size_t i = 0; i < cli_entry_count; i++) {
        const struct cli_command *command = cli_entries[i].command;
        if (command == NULL) {
            group = cli_entries[i].group;
            continue;
        }
        if (group != NULL) {
            buf_printf(out, "\n%s\n", group);
            group = NULL;
        }
        put_row(str_of(command->name), command_column(), str_of(command->summary), WIDTH_MAX, out);
    }
    buf_puts(out, "\n'dispatcher help COMMAND' shows the options, with examples.\n");
}

void
help_family_page(struct str word, struct buf *out)
{
    buf_printf(out, "usage: dispatcher %.*s COMMAND [arguments] [options]\n\n", STR_FMT(word));
    for (size_t i = 0; i < cli_command_count; i++) {
        if (cli_in_family(cli_commands[i], word)) {
            put_row(str_of(cli_commands[i]->name), command_column(),
                str_of(cli_commands[i]->summary), WIDTH_MAX, out);
        }
    }
    buf_printf(
        out, "\n'dispatcher help %.*s COMMAND' shows the options, with examples.\n", STR_FMT(word));
}

static void
put_option(const struct cli_option *option, size_t column, size_t width, struct buf *out)
{
    struct buf form CLEANUP(buf_done) = BUF_INIT(1024);
    struct buf help CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    help_option_form(option, &form);
    buf_puts(&help, option->help);
    for (size_t i = 0; option->choices != NULL && option->choices[i] != NULL; i++) {
        buf_printf(&help, "%s%s", i == 0 ? " (" : ", ", option->choices[i]);
    }
    buf_puts(&help, option->choices != NULL ? ")" : "");
    buf_puts(&help, option->kind == CLI_LIST ? "; may be repeated" : "");
    put_row(buf_str(&form), column, buf_str(&help), width, out);
}

static size_t
option_column(const struct cli_command *command)
{
    size_t widest = strlen("--no-color");
    for (size_t i = 0; i < command->option_count; i++) {
        struct buf form CLEANUP(buf_done) = BUF_INIT(1024);
        help_option_form(&command->options[i], &form);
        widest = form.len > widest ? form.len : widest;
    }
    size_t column = MARGIN + widest + 2;
    return column < COLUMN_MAX ? column : COLUMN_MAX;
}

void
help_command_page(const struct cli_command *command, size_t width, struct buf *out)
{
    width = width > WIDTH_MAX ? WIDTH_MAX : width;
    size_t column = option_column(command);
    buf_printf(out, "dispatcher %s: %s\n\n", command->name, command->summary);
    help_usage_line(command, out);
    if (command->description != NULL) {
        buf_putc(out, '\n');
        help_wrap(str_of(command->description), 0, width, out);
    }
    buf_puts(out, "\nOptions\n");
    for (size_t i = 0; i < command->option_count; i++) {
        put_option(&command->options[i], column, width, out);
    }
    for (size_t i = 0; i < cli_global_option_count; i++) {
        put_option(&cli_global_options[i], column, width, out);
    }
    if (command->examples != NULL) {
        buf_puts(out, "\nExamples\n");
        struct str line = {0}, rest = str_of(command->examples);
        while (str_cut(rest, '\n', &line, &rest)) {
            put_blanks(out, line.len > 0 ? MARGIN : 0);
            buf_add(out, line);
            buf_putc(out, '\n');
        }
    }
}
