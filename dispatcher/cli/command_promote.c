// `promote`: what runs in one environment to the next, through a service, which alone knows what
// was where and for how long.
#include "deploy_options.h"
#include "remote_deploy.h"

static struct error *
run_promote(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    const char *from = cli_value(arguments, "from"), *to = cli_value(arguments, "to");
    if (from == NULL || to == NULL) {
        return error_hint(error_new(ERROR_USAGE, "promote from where to where?"),
            "Give both: --from staging --to production.");
    }
    struct remote_deploy promote = remote_deploy_read(arguments, "promote");
    promote.env = to;
    promote.from = from;
    return remote_deploy(cli, arguments, &promote, exit_code);
}

static const struct cli_option options[] = {
    {"from", CLI_VALUE, "ENV", "environment whose version is taken (required)", NULL},
    {"to", CLI_VALUE, "ENV", "environment that it goes to (required)", NULL},
    {"reason", CLI_VALUE, "TEXT", "why; stands in the history", NULL},
    {"on-cancel", CLI_VALUE, "leave|cancel", "the deployment when this is interrupted",
        deploy_leave_or_cancel},
    {"on-timeout", CLI_VALUE, "leave|cancel", "the deployment when --timeout is over",
        deploy_leave_or_cancel},
    {"timeout", CLI_DURATION, "30m", "longest wait", NULL},
    {"no-wait", CLI_FLAG, NULL, "end (with exit code 10) once it is accepted", NULL},
    REMOTE_OPTION,
    {"json", CLI_FLAG, NULL, "one JSON event a line on stdout, human text on stderr", NULL},
};

const struct cli_command command_promote = {
    .name = "promote",
    .arguments = "APP --from ENV --to ENV",
    .min_positional = 1,
    .max_positional = 1,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "bring the version of one environment to the next one",
    .description =
        "Asks the service (--server or DISPATCHER_URL) to deploy what runs in --from to --to: the "
        "same version and the same digests, nothing is built or pushed. The spec's 'promote_from' "
        "says how long it must have been there; until then it waits in the queue, and says so.\n\n"
        "Exit codes are those of deploy.",
    .examples = "$ dispatcher promote payments --from staging --to production\n",
    .run = run_promote,
};
