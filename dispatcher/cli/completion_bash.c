// The script of `dispatcher completion bash`: tables, and a driver that needs nothing but bash 4.
#include "commands.h"
#include "completion.h"

static const char driver[] =
    "_dispatcher_reply() # HOW CURRENT\n"
    "{\n"
    "    local app\n"
    "    case $1 in\n"
    "    words\\ *) mapfile -t COMPREPLY < <(compgen -W \"${1#words }\" -- \"$2\") ;;\n"
    "    files)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$2\")\n"
    "        ;;\n"
    "    apps)\n"
    "        for app in appspecs/*.yaml; do\n"
    "            app=${app##*/} app=${app%.yaml}\n"
    "            [[ $app != '*' && $app == \"$2\"* ]] && COMPREPLY+=(\"$app\")\n"
    "        done\n"
    "        ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "# Readline splits words at '=' and ':', so \"--image=oci:DIR\" arrives in five pieces.\n"
    "_dispatcher()\n"
    "{\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} command='' first='' pending='' reply='' word i\n"
    "    local position=0 glued='' ended=''\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ -n $glued ]]; then\n"
    "            glued=''\n"
    "        elif [[ $word == : ]]; then\n"
    "            glued=1\n"
    "        elif [[ -n $pending ]]; then\n"
    "            [[ $word == '=' ]] || pending=''\n"
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
    "    [[ $current == '=' ]] && current=''\n"
    "    if [[ -n $pending ]]; then\n"
    "        _dispatcher_value \"$command\" \"$pending\"\n"
    "    elif [[ -z $ended && $current == -* ]]; then\n"
    "        _dispatcher_options \"$command\"\n"
    "    elif [[ -n $command ]]; then\n"
    "        _dispatcher_argument \"$command\" \"$position\"\n"
    "    elif [[ -n $first ]]; then\n"
    "        _dispatcher_second \"$first\"\n"
    "    else\n"
    "        reply=commands\n"
    "    fi\n"
    "    [[ $reply == commands ]] && reply=\"words $_dispatcher_commands\"\n"
    "    _dispatcher_reply \"$reply\" \"$current\"\n"
    "}\n"
    "\n"
    "complete -F _dispatcher dispatcher\n";

static void
put_options(const struct cli_command *command, struct buf *out)
{
    buf_puts(out, "reply='words");
    for (size_t i = 0; command != NULL && i < command->option_count; i++) {
        buf_printf(out, " --%s", command->options[i].name);
    }
    for (size_t i = 0; i < cli_global_option_count; i++) {
        buf_printf(out, " --%s", cli_global_options[i].name);
    }
    buf_puts(out, "' ;;\n");
}

void
completion_bash(struct buf *out)
{
    buf_puts(out, "# Completion of dispatcher for bash; made by 'dispatcher completion bash'.\n\n"
                  "_dispatcher_commands='");
    completion_put_words(false, out);
    buf_puts(out, "'\n_dispatcher_families='");
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
