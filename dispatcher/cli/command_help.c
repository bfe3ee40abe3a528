// `dispatcher help`: pages made from the tables.
#include "commands.h"
#include "dispatcher/arena.h"
#include "help.h"

static struct error *
unknown(struct cli *cli, const char *words)
{
    (void)cli;
    return error_hint(error_new(ERROR_USAGE, "no command is called '%.60s'", words),
        "'dispatcher help' lists the commands.");
}

static struct error *
run_help(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf page CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    const char *first = cli_positional(arguments, 0), *second = cli_positional(arguments, 1);
    if (first == NULL) {
        help_main_page(&page);
        cli_out(cli, buf_str(&page));
        return NULL;
    }
    const char *name = second != NULL ? arena_printf(arena, "%s %s", first, second) : first;
    const struct cli_command *command = cli_find_command(str_of(name));
    if (command != NULL) {
        help_command_page(command, (size_t)cli->width, &page);
    } else if (second == NULL && cli_is_family(str_of(first))) {
        help_family_page(str_of(first), &page);
    } else {
        return unknown(cli, name);
    }
    cli_out(cli, buf_str(&page));
    return NULL;
}

const struct cli_command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .max_positional = 2,
    .summary = "what the commands do, with examples",
    .description = "Without a command, lists all of them. 'dispatcher COMMAND --help' shows the "
                   "same page as 'dispatcher help COMMAND'.",
    .examples = "$ dispatcher help\n"
                "$ dispatcher help version\n",
    .run = run_help,
};
