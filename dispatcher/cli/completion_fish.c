// The script of `dispatcher completion fish`: one `complete` line for each thing that may stand.
#include "commands.h"
#include "completion.h"

static const char driver[] =
    "# Prints the command that the words so far name, and after it the number of its arguments.\n"
    "function __dispatcher_state\n"
    "    set -l words (commandline -opc)\n"
    "    set -e words[1]\n"
    "    set -l command\n"
    "    set -l position 0\n"
    "    set -l pending 0\n"
    "    for word in $words\n"
    "        if test $pending = 1\n"
    "            set pending 0\n"
    "        else if string match -q -- '-?*' $word\n"
    "            if contains -- $word $__dispatcher_values\n"
    "                set pending 1\n"
    "            end\n"
    "        else if test -z \"$command\"\n"
    "            set command $word\n"
    "        else if contains -- \"$command\" $__dispatcher_families\n"
    "            set command \"$command $word\"\n"
    "        else\n"
    "            set position (math $position + 1)\n"
    "        end\n"
    "    end\n"
    "    printf '%s\\n%s\\n' \"$command\" $position\n"
    "end\n"
    "\n"
    "function __dispatcher_is # COMMAND\n"
    "    set -l state (__dispatcher_state)\n"
    "    test \"$state[1]\" = \"$argv[1]\"\n"
    "end\n"
    "\n"
    "function __dispatcher_at # COMMAND POSITION\n"
    "    set -l state (__dispatcher_state)\n"
    "    test \"$state[1]\" = \"$argv[1]\" -a \"$state[2]\" = \"$argv[2]\"\n"
    "end\n"
    "\n"
    "function __dispatcher_apps\n"
    "    for file in appspecs/*.yaml\n"
    "        string replace -r '.*/(.*)\\.yaml$' '$1' -- $file\n"
    "    end\n"
    "end\n"
    "\n"
    "complete -c dispatcher -f\n";

enum { POSITIONS_MAX = 8 };

// The names of all options that take a value; what they are called is the same in every command.
static void
put_value_options(struct buf *out)
{
    buf_puts(out, "set -g __dispatcher_values");
    for (size_t i = 0; i < cli_command_count; i++) {
        for (size_t k = 0; k < cli_commands[i]->option_count; k++) {
            if (cli_commands[i]->options[k].kind != CLI_FLAG) {
                buf_printf(out, " --%s", cli_commands[i]->options[k].name);
            }
        }
    }
    buf_putc(out, '\n');
}

static void
put_description(const char *text, struct buf *out)
{
    buf_puts(out, " -d ");
    completion_quote(text, out);
    buf_putc(out, '\n');
}

static void
put_candidates(struct completion completion, struct buf *out)
{
    switch (completion.kind) {
    case COMPLETE_WORDS:
        buf_printf(out, " -x -a '%.*s'", STR_FMT(completion.words));
        return;
    case COMPLETE_FILES:
        buf_puts(out, " -r -F");
        return;
    case COMPLETE_APPS:
        buf_puts(out, " -x -a '(__dispatcher_apps)'");
        return;
    case COMPLETE_COMMANDS:
        buf_puts(out, " -x -a '");
        completion_put_words(false, out);
        buf_putc(out, '\'');
        return;
    case COMPLETE_NOTHING:
        buf_puts(out, " -x");
        return;
    }
}

static void
put_option(const struct cli_command *command, const struct cli_option *option, struct buf *out)
{
    struct buf scratch CLEANUP(buf_done) = BUF_INIT(4096);
    buf_printf(out, "complete -c dispatcher -n '__dispatcher_is \"%s\"' -l %s", command->name,
        option->name);
    if (option->kind != CLI_FLAG) {
        put_candidates(completion_of_option(option, &scratch), out);
    }
    put_description(option->help, out);
}

static void
put_command(const struct cli_command *command, struct buf *out)
{
    struct buf scratch CLEANUP(buf_done) = BUF_INIT(4096);
    struct str word = {0}, rest = {0};
    (void)str_cut(str_of(command->name), ' ', &word, &rest);
    if (rest.len == 0) {
        buf_printf(out, "complete -c dispatcher -n '__dispatcher_is \"\"' -a %s", command->name);
        put_description(command->summary, out);
    } else {
        buf_printf(
            out, "complete -c dispatcher -n '__dispatcher_is \"\"' -a %.*s\n", STR_FMT(word));
        buf_printf(out, "complete -c dispatcher -n '__dispatcher_is \"%.*s\"' -a %.*s",
            STR_FMT(word), STR_FMT(rest));
        put_description(command->summary, out);
    }
    for (size_t k = 0; k < command->max_positional && k < POSITIONS_MAX; k++) {
        struct completion completion = completion_of_argument(command, k, &scratch);
        if (completion.kind != COMPLETE_NOTHING) {
            buf_printf(
                out, "complete -c dispatcher -n '__dispatcher_at \"%s\" %zu'", command->name, k);
            put_candidates(completion, out);
            buf_putc(out, '\n');
        }
    }
    for (size_t k = 0; k < command->option_count; k++) {
        put_option(command, &command->options[k], out);
    }
}

void
completion_fish(struct buf *out)
{
    buf_puts(out, "# Completion of dispatcher for fish; made by 'dispatcher completion fish'.\n\n"
                  "set -g __dispatcher_families ");
    completion_put_words(true, out);
    buf_putc(out, '\n');
    put_value_options(out);
    buf_putc(out, '\n');
    buf_puts(out, driver);
    for (size_t i = 0; i < cli_global_option_count; i++) {
        buf_printf(out, "complete -c dispatcher -l %s", cli_global_options[i].name);
        put_description(cli_global_options[i].help, out);
    }
    for (size_t i = 0; i < cli_command_count; i++) {
        put_command(cli_commands[i], out);
    }
}
