// `rollback`: back to a release that was proven, by the same way as a deployment.
#include "deploy_drive.h"
#include "deploy_options.h"
#include "dispatcher/memory.h"
#include "remote_deploy.h"

static struct error *
read_reason(const struct cli_arguments *arguments, const char **out)
{
    const char *reason = cli_value(arguments, "reason");
    if (reason == NULL || str_trim(str_of(reason)).len == 0) {
        return error_hint(error_new(ERROR_USAGE, "no reason was given"),
            "Say why with --reason: it stands in the history, for those who come after you.");
    }
    *out = reason;
    return NULL;
}

static struct error *
through_service(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    static const char *const own[] = {"dry-run", "specs", "config", "on-failure", NULL};
    TRY(remote_refuse(arguments, own));
    struct remote_deploy rollback = remote_deploy_read(arguments, "rollback");
    TRY(read_reason(arguments, &rollback.reason));
    rollback.to = cli_value(arguments, "to");
    return remote_deploy(cli, arguments, &rollback, exit_code);
}

static struct error *
run_rollback(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    if (remote_url(cli, arguments) != NULL) {
        return through_service(cli, arguments, exit_code);
    }
    struct deploy_request request = {0};
    TRY(deploy_request_read(arguments, true, &request));
    TRY(read_reason(arguments, &request.because));
    request.verb = "rollback";
    request.to = cli_value(arguments, "to");
    deploy_request_limits(arguments, &request);
    char *what CLEANUP(xfreep) = xasprintf("roll back '%s' in '%s'", request.app, request.env);
    const struct deploy_drive drive = {
        .request = &request,
        .what = what,
        .json = cli_flag(arguments, "json"),
        .dry_run = cli_flag(arguments, "dry-run"),
    };
    return deploy_drive(cli, &drive, exit_code);
}

static const struct cli_option rollback_options[] = {
    DEPLOY_OPTIONS_PLACE,
    {"to", CLI_VALUE, "V", "this version; default: the newest proven one before", NULL},
    {"reason", CLI_VALUE, "TEXT", "why (required); stands in the history", NULL},
    {"on-failure", CLI_VALUE, "restore|keep", "what stands after a failed rollback",
        deploy_restore_or_keep},
    {"on-cancel", CLI_VALUE, "leave|cancel", "the rollout when this is interrupted",
        deploy_leave_or_cancel},
    {"on-timeout", CLI_VALUE, "leave|cancel", "the rollout when --timeout is over",
        deploy_leave_or_cancel},
    {"timeout", CLI_DURATION, "30m", "longest wait for the rollout", NULL},
    {"dry-run", CLI_FLAG, NULL, "only print the plan; changes nothing", NULL},
    REMOTE_OPTION,
    {"json", CLI_FLAG, NULL, "one JSON event a line on stdout, human text on stderr", NULL},
};

const struct cli_command command_rollback = {
    .name = "rollback",
    .arguments = "APP --env ENV [--to V] --reason TEXT",
    .min_positional = 1,
    .max_positional = 1,
    .options = rollback_options,
    .option_count = ARRAY_LENGTH(rollback_options),
    .summary = "go back to the release that was proven before",
    .description =
        "Goes back to the newest release that was proven before the current one, never simply to "
        "the version before, or to the one that --to names. Which are proven is read from the "
        "labels of the version parameter's history; one that an earlier rollback has left is not "
        "chosen again. Its image must still be in the registry, under the digest that was "
        "deployed.\n\n"
        "It goes the way of a deployment: the parameter is written, then the targets are moved "
        "from here ('via: direct') or the infra workflow is triggered and followed. A deployment "
        "of ECS that is under way and started from that release is only stopped; any other is "
        "superseded. No task definition is ever deregistered, nothing is "
        "built or pushed, and no migration is run or undone.\n\n"
        "With --server a service does it: the rollback passes the order of environments and the "
        "check for stale commits, and locks the environment where the spec says so.\n\n"
        "Exit codes are those of deploy.",
    .examples = "$ dispatcher rollback payments --env production --reason checkout-is-slow\n"
                "$ dispatcher rollback payments --env production --to v1.4.1 --reason INC-2041\n"
                "$ dispatcher rollback payments --env production --reason test --dry-run\n",
    .run = run_rollback,
};
