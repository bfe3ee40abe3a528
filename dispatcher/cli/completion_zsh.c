// The script of `dispatcher completion zsh`: tables with descriptions, and a driver over compsys.
#include "commands.h"
#include "completion.h"
#include "dispatcher/memory.h"

static const char driver[] =
    "_dispatcher_reply() # HOW\n"
    "{\n"
    "    case $1 in\n"
    "    words\\ *) compadd -- ${=1#words } ;;\n"
    "    files) _files ;;\n"
    "    apps) compadd -- appspecs/*.yaml(N:t:r) ;;\n"
    "    commands) _describe -t commands command _dispatcher_commands ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_dispatcher()\n"
    "{\n"
    "    local current=$words[CURRENT] command='' first='' pending='' reply='' word ended=''\n"
    "    local -a options\n"
    "    integer i position=0\n"
    "    for ((i = 2; i < CURRENT; i++)); do\n"
    "        word=$words[i]\n"
    "        if [[ -n $pending ]]; then\n"
    "            pending=''\n"
    "        elif [[ -z $ended && $word == -- ]]; then\n"
    "            ended=1\n"
    "        elif [[ -z $ended && $word == -?* ]]; then\n"
    "            if _dispatcher_value \"$command\" \"$word\"; then pending=$word; fi\n"
    "        elif [[ -n $command ]]; then\n"
    "            position=$((position + 1))\n"
    "        elif [[ -n $first ]]; then\n"
    "            command=\"$first $word\"\n"
    "        elif [[ \" $_dispatcher_families \" == *\" $word \"* ]]; then\n"
    "            first=$word\n"
    "        else\n"
    "            command=$word\n"
    "        fi\n"
    "    done\n"
    "    if [[ -n $pending ]]; then\n"
    "        _dispatcher_value \"$command\" \"$pending\"\n"
    "    elif [[ -z $ended && $current == --*=* ]]; then\n"
    "        _dispatcher_value \"$command\" \"${current%%=*}\" || return 1\n"
    "        compset -P 1 '*='\n"
    "    elif [[ -z $ended && $current == -* ]]; then\n"
    "        _dispatcher_options \"$command\"\n"
    "        _describe -o -t options option options\n"
    "        return\n"
    "    elif [[ -n $command ]]; then\n"
    "        _dispatcher_argument \"$command\" \"$position\"\n"
    "    elif [[ -n $first ]]; then\n"
    "        _dispatcher_second \"$first\"\n"
    "    else\n"
    "        reply=commands\n"
    "    fi\n"
    "    _dispatcher_reply \"$reply\"\n"
    "}\n"
    "\n"
    "# Autoloaded from fpath, or sourced.\n"
    "if [[ ${funcstack[1]} == _dispatcher ]]; then\n"
    "    _dispatcher \"$@\"\n"
    "else\n"
    "    compdef _dispatcher dispatcher\n"
    "fi\n";

static void
put_described(const char *prefix, const char *name, const char *help, struct buf *out)
{
    char *text CLEANUP(xfreep) = xasprintf("%s%s:%s", prefix, name, help);
    buf_putc(out, ' ');
    completion_quote(text, out);
}

static void
put_options(const struct cli_command *command, struct buf *out)
{
    buf_puts(out, "options=(");
    for (size_t i = 0; command != NULL && i < command->option_count; i++) {
        put_described("--", command->options[i].name, command->options[i].help, out);
    }
    for (size_t i = 0; i < cli_global_option_count; i++) {
        put_described("--", cli_global_options[i].name, cli_global_options[i].help, out);
    }
    buf_puts(out, ") ;;\n");
}

// The first words; a family is described by its first command's group only: "spec ...".
static void
put_commands(struct buf *out)
{
    struct str last = {0};
    buf_puts(out, "typeset -ga _dispatcher_commands=(");
    for (size_t i = 0; i < cli_command_count; i++) {
        struct str word = {0}, rest = {0};
        (void)str_cut(str_of(cli_commands[i]->name), ' ', &word, &rest);
        if (rest.len == 0) {
            put_described("", cli_commands[i]->name, cli_commands[i]->summary, out);
        } else if (!str_equal(word, last)) {
            char *name CLEANUP(xfreep) = str_dup(word);
            put_described("", name, "several commands", out);
        }
        last = word;
    }
    buf_puts(out, ")\n");
}

void
completion_zsh(struct buf *out)
{
    buf_puts(out, "#compdef dispatcher\n"
                  "# Completion of dispatcher for zsh; made by 'dispatcher completion zsh'.\n\n");
    put_commands(out);
    buf_puts(out, "typeset -g _dispatcher_families='");
    completion_put_words(true, out);
    buf_puts(out, "'\n\n");
    completion_put_tables(out);
    buf_puts(out, "# The options of command $1.\n_dispatcher_options()\n{\n    case $1 in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        buf_printf(out, "    '%s') ", cli_commands[i]->name);
        put_options(cli_commands[i], out);
    }
    buf_puts(out, "    *) ");
    put_options(NULL, out);
    buf_puts(out, "    esac\n}\n\n");
    buf_puts(out, driver);
}
