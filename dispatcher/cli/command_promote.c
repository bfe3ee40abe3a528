// `promote`: what runs in one environment to the next, with its images. A service knows what was
// where and for how long; without one the version parameters and the ledger say it.
#include "deploy_drive.h"
#include "deploy_options.h"
#include "dispatcher/memory.h"
#include "remote_deploy.h"

static struct error *
through_service(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    static const char *const own[] = {"dry-run", "specs", "config", "on-failure", NULL};
    TRY(remote_refuse(arguments, own));
    struct remote_deploy promote = remote_deploy_read(arguments, "promote");
    promote.env = cli_value(arguments, "to");
    promote.from = cli_value(arguments, "from");
    promote.version = cli_value(arguments, "version");
    return remote_deploy(cli, arguments, &promote, exit_code);
}

static struct error *
drive(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct deploy_request request = {0};
    TRY(deploy_request_read(arguments, false, &request));
    deploy_request_limits(arguments, &request);
    request.verb = "promote";
    request.env = cli_value(arguments, "to");
    request.from = cli_value(arguments, "from");
    request.version = cli_value(arguments, "version");
    request.because = cli_value(arguments, "reason");
    request.no_wait = cli_flag(arguments, "no-wait");
    char *what CLEANUP(xfreep) = xasprintf("promote '%s' to '%s'", request.app, request.env);
    const struct deploy_drive drive = {
        .request = &request,
        .what = what,
        .json = cli_flag(arguments, "json"),
        .dry_run = cli_flag(arguments, "dry-run"),
    };
    return deploy_drive(cli, &drive, exit_code);
}

static struct error *
run_promote(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    if (cli_value(arguments, "from") == NULL || cli_value(arguments, "to") == NULL) {
        return error_hint(error_new(ERROR_USAGE, "promote from where to where?"),
            "Give both: --from staging --to production.");
    }
    return remote_url(cli, arguments) != NULL ? through_service(cli, arguments, exit_code)
                                              : drive(cli, arguments, exit_code);
}

static const struct cli_option options[] = {
    {"from", CLI_VALUE, "ENV", "environment whose version is taken (required)", NULL},
    {"to", CLI_VALUE, "ENV", "environment that it goes to (required)", NULL},
    {"version", CLI_VALUE, "V", "version; default: the one that --from is on", NULL},
    DEPLOY_OPTIONS_SPECS,
    {"reason", CLI_VALUE, "TEXT", "why; stands in the history", NULL},
    {"on-failure", CLI_VALUE, "restore|keep", "version and targets after a failure",
        deploy_restore_or_keep},
    {"on-cancel", CLI_VALUE, "leave|cancel", "the deployment when this is interrupted",
        deploy_leave_or_cancel},
    {"on-timeout", CLI_VALUE, "leave|cancel", "the deployment when --timeout is over",
        deploy_leave_or_cancel},
    {"timeout", CLI_DURATION, "30m", "longest wait", NULL},
    {"no-wait", CLI_FLAG, NULL, "end (with exit code 10) once it is accepted, or triggered", NULL},
    {"dry-run", CLI_FLAG, NULL, "only print the plan; changes nothing", NULL},
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
        "Deploys what runs in --from to --to: the same version and the very same images. Nothing "
        "is built, no checkout is needed. Where the two environments have repositories of their "
        "own, an image is copied from one to the other by its digest, whole, with all platforms; "
        "within a registry its blobs are mounted, so that nothing is sent. A tag that names "
        "another image there is not replaced. Whoever deploys to --to must be allowed to read the "
        "repository of --from.\n\n"
        "With --server (or DISPATCHER_URL) the service does it, and copies with its own identity. "
        "The spec's 'promote_from' says how long the version must have been there; until then it "
        "waits in the queue, and says so.\n\n"
        "Without a service the version parameters and their ledger say what runs there, with which "
        "digest and since when. 'promote_from' and the windows hold; a soak time that is not over "
        "is a refusal. 'allow' rules and approvals are a service's: the plan notes that none was "
        "asked for.\n\n"
        "Exit codes are those of deploy.",
    .examples = "$ dispatcher promote payments --from staging --to production\n"
                "$ dispatcher promote payments --from staging --to production --dry-run\n",
    .run = run_promote,
};
