// Manual pages in man(7) roff. Text is escaped as groff_char(7) asks: a line must not start with a
// dot or an apostrophe, and '-' and '\' are literal.
#include "manual.h"

#include <string.h>

#include "commands.h"
#include "help.h"

enum { SOURCE_WIDTH = 70 }; // escapes make lines longer

static void
put_text(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        bool starts = i == 0 || text.ptr[i - 1] == '\n';
        char byte = text.ptr[i];
        if (starts && (byte == '.' || byte == '\'')) {
            buf_puts(out, "\\&");
        }
        switch (byte) {
        case '\\':
            buf_puts(out, "\\e");
            break;
        case '-':
            buf_puts(out, "\\-");
            break;
        case '\'':
            buf_puts(out, "\\(aq");
            break;
        case '`':
            buf_puts(out, "\\(ga");
            break;
        case '^':
            buf_puts(out, "\\(ha");
            break;
        case '~':
            buf_puts(out, "\\(ti");
            break;
        default:
            buf_putc(out, byte);
        }
    }
}

static void
put_paragraphs(struct str text, struct buf *out)
{
    struct buf wrapped CLEANUP(buf_done) = BUF_INIT(256 * 1024);
    help_wrap(text, 0, SOURCE_WIDTH, &wrapped);
    struct str line = {0}, rest = buf_str(&wrapped);
    bool verbatim = false, pending = false; // pending: a break before the next text
    while (str_cut(rest, '\n', &line, &rest)) {
        if (str_trim(line).len == 0) {
            pending = true;
            continue;
        }
        bool is_verbatim = str_starts(line, STR("  "));
        buf_puts(out, verbatim && !is_verbatim ? ".fi\n" : "");
        buf_puts(out, pending || is_verbatim != verbatim ? ".PP\n" : "");
        buf_puts(out, is_verbatim && !verbatim ? ".nf\n" : "");
        verbatim = is_verbatim;
        pending = false;
        put_text(line, out);
        buf_putc(out, '\n');
    }
    buf_puts(out, verbatim ? ".fi\n" : "");
}

static void
put_option(const struct cli_option *option, struct buf *out)
{
    const char *value = cli_option_placeholder(option);
    buf_puts(out, ".TP\n\\fB\\-\\-");
    put_text(str_of(option->name), out);
    buf_puts(out, "\\fR");
    if (value != NULL) {
        buf_puts(out, " \\fI");
        put_text(str_of(value), out);
        buf_puts(out, "\\fR");
    }
    buf_putc(out, '\n');
    put_text(str_of(option->help), out);
    for (size_t i = 0; option->choices != NULL && option->choices[i] != NULL; i++) {
        buf_puts(out, i == 0 ? ": " : ", ");
        put_text(str_of(option->choices[i]), out);
    }
    buf_puts(out, option->kind == CLI_LIST ? "; may be repeated\n" : "\n");
}

static void
put_name(struct str name, char separator, struct buf *out)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == ' ') {
            buf_puts(out, separator == '-' ? "\\-" : " ");
        } else {
            put_text((struct str){name.ptr + i, 1}, out);
        }
    }
}

static void
put_title(const struct cli_command *command, struct buf *out)
{
    buf_puts(out, ".\\\" Made by 'dispatcher help --man'.\n.TH DISPATCHER");
    for (const char *at = command != NULL ? command->name : ""; *at != '\0'; at++) {
        bool lower = *at >= 'a' && *at <= 'z';
        buf_puts(out, at == command->name ? "\\-" : "");
        if (*at == ' ' || *at == '-') {
            buf_puts(out, "\\-");
        } else {
            buf_putc(out, lower ? (char)(*at - 'a' + 'A') : *at);
        }
    }
    buf_printf(out, " 1 \"%s\" \"dispatcher %s\" \"Dispatcher manual\"\n", DISPATCHER_RELEASED,
        DISPATCHER_VERSION);
}

static void
put_examples(const char *examples, struct buf *out)
{
    buf_puts(out, ".SH EXAMPLES\n.nf\n");
    put_text(str_of(examples), out);
    size_t len = strlen(examples);
    buf_puts(out, len > 0 && examples[len - 1] == '\n' ? ".fi\n" : "\n.fi\n");
}

static void
put_exit_status(struct buf *out)
{
    struct buf codes CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    exit_codes_text(&codes);
    buf_puts(out, ".SH EXIT STATUS\n");
    struct str line = {0}, rest = buf_str(&codes);
    bool table = false;
    while (str_cut(rest, '\n', &line, &rest)) {
        bool row = str_starts(line, STR("  "));
        if (row != table) {
            buf_puts(out, row ? ".PP\n.nf\n" : ".fi\n.PP\n");
            table = row;
        }
        put_text(line, out);
        buf_puts(out, line.len > 0 ? "\n" : "");
    }
}

static void
put_main_page(struct buf *out)
{
    buf_puts(out,
        ".SH NAME\ndispatcher \\- deploy an app through an infra repository, and prove it\n"
        ".SH SYNOPSIS\n\\fBdispatcher\\fR \\fICOMMAND\\fR [\\fIarguments\\fR] "
        "[\\fIoptions\\fR]\n.SH COMMANDS\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        buf_puts(out, ".TP\n\\fBdispatcher\\-");
        put_name(str_of(cli_commands[i]->name), '-', out);
        buf_puts(out, "\\fR(1)\n");
        put_text(str_of(cli_commands[i]->summary), out);
        buf_putc(out, '\n');
    }
    put_exit_status(out);
}

void
manual_page(const struct cli_command *command, struct buf *out)
{
    put_title(command, out);
    if (command == NULL) {
        put_main_page(out);
        return;
    }
    buf_puts(out, ".SH NAME\ndispatcher\\-");
    put_name(str_of(command->name), '-', out);
    buf_puts(out, " \\- ");
    put_text(str_of(command->summary), out);
    buf_puts(out, "\n.SH SYNOPSIS\n\\fBdispatcher ");
    put_name(str_of(command->name), ' ', out);
    buf_puts(out, "\\fR ");
    put_text(str_of(command->arguments), out);
    buf_puts(
        out, command->option_count > 0 ? " [options]\n.SH DESCRIPTION\n" : "\n.SH DESCRIPTION\n");
    put_paragraphs(str_of(command->description), out);
    buf_puts(out, ".SH OPTIONS\n");
    for (size_t i = 0; i < command->option_count; i++) {
        put_option(&command->options[i], out);
    }
    for (size_t i = 0; i < cli_global_option_count; i++) {
        put_option(&cli_global_options[i], out);
    }
    if (command->examples != NULL) {
        put_examples(command->examples, out);
    }
    put_exit_status(out);
    buf_puts(out, ".SH SEE ALSO\n.BR dispatcher (1)\n");
}
