// `dispatcher version`: what runs here. Reads no configuration and touches no network.
#include "cli_internal.h"

static struct error *
run_version(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)arguments;
    (void)exit_code;
    cli_outf(cli, "dispatcher %s\n", DISPATCHER_VERSION);
    return NULL;
}

const struct cli_command command_version = {
    .name = "version",
    .summary = "print the version",
    .description = "Prints the name and the version.",
    .examples = "$ dispatcher version\n",
    .run = run_version,
};
