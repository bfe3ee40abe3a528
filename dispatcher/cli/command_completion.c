// `dispatcher completion`: the scripts that complete our own command line.
#include <string.h>

#include "completion.h"

static struct error *
run_completion(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    static const struct {
        const char *shell;
        void (*put)(struct buf *out);
    } shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
    (void)exit_code;
    const char *wanted = cli_positional(arguments, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(shells); i++) {
        if (strcmp(shells[i].shell, wanted) == 0) {
            struct buf script CLEANUP(buf_done) = BUF_INIT(4 * 1024 * 1024);
            shells[i].put(&script);
            TRY(buf_finish(&script, "the completion script"));
            cli_out(cli, buf_str(&script));
            return NULL;
        }
    }
    return error_hint(error_new(ERROR_USAGE, "no completion for the shell '%.40s'", wanted),
        "There are scripts for bash, zsh and fish.");
}

const struct cli_command command_completion = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .min_positional = 1,
    .max_positional = 1,
    .summary = "print a script that completes commands, options and apps in a shell",
    .description =
        "Prints the script for one shell. It completes commands, options, their values, files, and "
        "the apps that have a spec in 'appspecs' below the working directory.\n"
        "\n"
        "For bash, put it where bash-completion looks, or source it from ~/.bashrc. For zsh, put "
        "it in a directory of fpath as '_dispatcher'. For fish, put it in "
        "~/.config/fish/completions as 'dispatcher.fish'.",
    .examples =
        "$ dispatcher completion bash > ~/.local/share/bash-completion/completions/dispatcher\n"
        "$ dispatcher completion zsh > ~/.zfunc/_dispatcher\n"
        "$ dispatcher completion fish > ~/.config/fish/completions/dispatcher.fish\n",
    .run = run_completion,
};
