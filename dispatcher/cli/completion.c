// What completes what: read from the placeholders and choices of the tables. The three shells'
// scripts are made in completion_bash.c, completion_zsh.c and completion_fish.c.
#include "completion.h"

#include <string.h>

#include "commands.h"

enum { POSITIONS_MAX = 4 };

static bool
is_word_list(struct str text)
{
    bool bar = false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z') {
            return false;
        }
        bar = bar || text.ptr[i] == '|';
    }
    return bar;
}

static struct completion
completion_of(struct str placeholder, struct buf *scratch)
{
    static const struct {
        const char *part;
        enum completion_kind kind;
    } kinds[] = {{"FILE", COMPLETE_FILES}, {"DIR", COMPLETE_FILES}, {"PATH", COMPLETE_FILES},
        {"SOURCE", COMPLETE_FILES}, {"COMMAND", COMPLETE_COMMANDS}};
    if (is_word_list(placeholder)) {
        buf_reset(scratch);
        for (size_t i = 0; i < placeholder.len; i++) {
            buf_putc(scratch, placeholder.ptr[i] == '|' ? ' ' : placeholder.ptr[i]);
        }
        return (struct completion){COMPLETE_WORDS, buf_str(scratch)};
    }
    if (str_equal(placeholder, STR("APP"))) {
        return (struct completion){.kind = COMPLETE_APPS};
    }
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (str_contains(placeholder, str_of(kinds[i].part))) {
            return (struct completion){.kind = kinds[i].kind};
        }
    }
    return (struct completion){.kind = COMPLETE_NOTHING};
}

struct completion
completion_of_option(const struct cli_option *option, struct buf *scratch)
{
    if (option->choices == NULL) {
        return completion_of(str_of(cli_option_placeholder(option)), scratch);
    }
    buf_reset(scratch);
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        buf_printf(scratch, "%s%s", i > 0 ? " " : "", option->choices[i]);
    }
    return (struct completion){COMPLETE_WORDS, buf_str(scratch)};
}

// "[APP]" and "FILE..." without their signs.
static struct str
bare(struct str word)
{
    while (word.len > 0 && strchr("[.", word.ptr[0]) != NULL) {
        word = str_skip(word, 1);
    }
    while (word.len > 0 && strchr("].", word.ptr[word.len - 1]) != NULL) {
        word.len--;
    }
    return word;
}

struct completion
completion_of_argument(const struct cli_command *command, size_t position, struct buf *scratch)
{
    struct str word = {0}, rest = str_of(command->arguments), last = {0};
    size_t count = 0;
    bool repeats = false;
    while (str_cut(rest, ' ', &word, &rest) && count <= position) {
        if (str_starts(word, STR("--")) || str_starts(word, STR("[--"))) {
            if (!str_ends(word, STR("]"))) {
                (void)str_cut(rest, ' ', &word, &rest); // its value
            }
            continue;
        }
        last = bare(word);
        repeats = str_contains(word, STR("..."));
        count++;
    }
    bool named = position < command->max_positional && (position < count || repeats);
    return named ? completion_of(last, scratch) : (struct completion){.kind = COMPLETE_NOTHING};
}

void
completion_put(struct completion completion, struct buf *out)
{
    static const char *const names[] = {
        [COMPLETE_NOTHING] = "none",
        [COMPLETE_WORDS] = "words ",
        [COMPLETE_FILES] = "files",
        [COMPLETE_APPS] = "apps",
        [COMPLETE_COMMANDS] = "commands",
    };
    buf_puts(out, names[completion.kind]);
    buf_add(out, completion.words);
}

void
completion_quote(const char *text, struct buf *out)
{
    buf_putc(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            buf_puts(out, "'\\''");
        } else {
            buf_putc(out, *text);
        }
    }
    buf_putc(out, '\'');
}

static void
put_value_cases(struct buf *out)
{
    struct buf scratch CLEANUP(buf_done) = BUF_INIT(4096);
    for (size_t i = 0; i < cli_command_count; i++) {
        for (size_t k = 0; k < cli_commands[i]->option_count; k++) {
            const struct cli_option *option = &cli_commands[i]->options[k];
            if (option->kind == CLI_FLAG) {
                continue;
            }
            buf_printf(out, "    '%s --%s') reply='", cli_commands[i]->name, option->name);
            completion_put(completion_of_option(option, &scratch), out);
            buf_puts(out, "' ;;\n");
        }
    }
}

static void
put_argument_cases(struct buf *out)
{
    struct buf scratch CLEANUP(buf_done) = BUF_INIT(4096);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *command = cli_commands[i];
        size_t most = command->max_positional;
        for (size_t k = 0; k < most && k < POSITIONS_MAX; k++) {
            if (k + 1 == POSITIONS_MAX && most > POSITIONS_MAX) { // and all that follow
                buf_printf(out, "    '%s '*) reply='", command->name);
            } else {
                buf_printf(out, "    '%s %zu') reply='", command->name, k);
            }
            completion_put(completion_of_argument(command, k, &scratch), out);
            buf_puts(out, "' ;;\n");
        }
    }
}

static void
put_second_cases(struct buf *out)
{
    struct str last = {0};
    for (size_t i = 0; i < cli_command_count; i++) {
        struct str word = {0}, rest = {0};
        (void)str_cut(str_of(cli_commands[i]->name), ' ', &word, &rest);
        if (rest.len == 0 || str_equal(word, last)) {
            continue;
        }
        last = word;
        buf_printf(out, "    %.*s) reply='words", STR_FMT(word));
        for (size_t k = 0; k < cli_command_count; k++) {
            if (cli_in_family(cli_commands[k], word)) {
                buf_printf(out, " %s", cli_commands[k]->name + word.len + 1);
            }
        }
        buf_puts(out, "' ;;\n");
    }
}

void
completion_put_tables(struct buf *out)
{
    buf_puts(out, "# How the value of option $2 of command $1 is completed; fails for a flag.\n"
                  "_dispatcher_value()\n{\n    case \"$1 $2\" in\n");
    put_value_cases(out);
    buf_puts(out, "    *) return 1 ;;\n    esac\n}\n\n"
                  "# How the argument at position $2 of command $1 is completed.\n"
                  "_dispatcher_argument()\n{\n    case \"$1 $2\" in\n");
    put_argument_cases(out);
    buf_puts(out, "    *) reply=none ;;\n    esac\n}\n\n"
                  "# What may follow the first word $1 of a command of two words.\n"
                  "_dispatcher_second()\n{\n    case $1 in\n");
    put_second_cases(out);
    buf_puts(out, "    *) reply=none ;;\n    esac\n}\n\n");
}

void
completion_put_words(bool families, struct buf *out)
{
    struct str last = {0};
    for (size_t i = 0; i < cli_command_count; i++) {
        struct str word = {0}, rest = {0};
        (void)str_cut(str_of(cli_commands[i]->name), ' ', &word, &rest);
        if (!str_equal(word, last) && (rest.len > 0 || !families)) {
            buf_printf(out, "%s%.*s", last.len > 0 ? " " : "", STR_FMT(word));
            last = word;
        }
    }
}
