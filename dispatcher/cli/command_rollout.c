// `rollout`: the infra side of a deployment. What the version parameters say is rolled out, and
// nothing is written to them.
#include "deploy_drive.h"
#include "deploy_options.h"
#include "dispatcher/memory.h"

static struct error *
run_rollout(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct deploy_request request = {0};
    TRY(deploy_request_read(arguments, true, &request));
    request.verb = "rollout";
    request.workers = cli_value(arguments, "workers");
    request.checkout = cli_value(arguments, "checkout");
    deploy_request_limits(arguments, &request);
    char *what CLEANUP(xfreep) = xasprintf("roll out '%s' to '%s'", request.app, request.env);
    const struct deploy_drive drive = {
        .request = &request,
        .what = what,
        .json = cli_flag(arguments, "json"),
        .dry_run = cli_flag(arguments, "dry-run"),
    };
    return deploy_drive(cli, &drive, exit_code);
}

static const struct cli_option rollout_options[] = {
    DEPLOY_OPTIONS_PLACE,
    {"workers", CLI_VALUE, "JSON", "names of the workers as a JSON list; default: the checkout's",
        NULL},
    {"checkout", CLI_VALUE, "DIR", "checkout of the app repository, for its workers; default: here",
        NULL},
    {"on-failure", CLI_VALUE, "restore|keep", "what runs after a failed rollout",
        deploy_restore_or_keep},
    {"on-cancel", CLI_VALUE, "leave|cancel", "the rollout when this is interrupted",
        deploy_leave_or_cancel},
    {"on-timeout", CLI_VALUE, "leave|cancel", "the rollout when --timeout is over",
        deploy_leave_or_cancel},
    {"timeout", CLI_DURATION, "30m", "longest wait for the rollout", NULL},
    {"dry-run", CLI_FLAG, NULL, "only print the plan; changes nothing", NULL},
    {"json", CLI_FLAG, NULL, "one JSON event a line on stdout, human text on stderr", NULL},
};

const struct cli_command command_rollout = {
    .name = "rollout",
    .arguments = "APP --env ENV",
    .min_positional = 1,
    .max_positional = 1,
    .options = rollout_options,
    .option_count = ARRAY_LENGTH(rollout_options),
    .summary = "infra side: roll out what the version parameters say, and prove it",
    .description =
        "Run it in the infra repository, in the workflow that 'dispatcher deploy' triggers. It "
        "reads the version parameters, looks up the digests they mean, runs the spec's 'migrate' "
        "task, moves every 'target' to the new image, follows the deployment that it started to "
        "its end, compares what runs with the digest, asks the 'verify' addresses, and labels the "
        "parameter versions 'deployed' and 'proven', which the app's side reads back. It writes "
        "no version.\n\n"
        "When the rollout fails, what ran before is put back, unless the spec says 'on_failure: "
        "keep'. It needs no checkout of the app, unless its workers are found there.\n\n"
        "Exit codes: 0 rolled out, proven where the report says so · 3 spec · 4 credentials · 6 "
        "somebody else deploys · 7 failed, what ran before runs again · 8 failed, it does NOT · 9 "
        "unknown · 10 still going on · 11 superseded · 12 upstream unavailable, nothing changed · "
        "130/143 interrupted.",
    .examples = "$ dispatcher rollout payments --env staging --config dispatcher.yaml\n"
                "$ dispatcher rollout api --env production --workers '[\"mail\",\"sync\"]'\n"
                "$ dispatcher rollout payments --env staging --dry-run\n",
    .run = run_rollout,
};
