// `prove`: for infra repositories that roll out with a tool of their own.
#include "deploy_drive.h"
#include "deploy_options.h"
#include "dispatcher/memory.h"

static struct error *
run_prove(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct deploy_request request = {0};
    TRY(deploy_request_read(arguments, true, &request));
    request.verb = "prove";
    request.only = cli_values(arguments, "service");
    request.expect = cli_values(arguments, "expect");
    request.timeout_ms = cli_duration_ms(arguments, "within", 0);
    char *what CLEANUP(xfreep) = xasprintf("prove '%s' in '%s'", request.app, request.env);
    const struct deploy_drive drive = {
        .request = &request,
        .what = what,
        .json = cli_flag(arguments, "json"),
    };
    return deploy_drive(cli, &drive, exit_code);
}

static const struct cli_option prove_options[] = {
    DEPLOY_OPTIONS_PLACE,
    {"service", CLI_LIST, "SERVICE", "only this service; may be repeated", NULL},
    {"expect", CLI_LIST, "[SERVICE=]DIGEST", "what must run, in place of what the registry says",
        NULL},
    {"within", CLI_DURATION, "5m", "how long to keep looking", NULL},
    {"json", CLI_FLAG, NULL, "one JSON event a line on stdout, human text on stderr", NULL},
};

const struct cli_command command_prove = {
    .name = "prove",
    .arguments = "APP --env ENV",
    .min_positional = 1,
    .max_positional = 1,
    .options = prove_options,
    .option_count = ARRAY_LENGTH(prove_options),
    .summary = "after another tool rolled out: does the digest asked for run?",
    .description =
        "Run it in the infra workflow after 'tofu apply' or whatever else rolls out. It reads the "
        "version parameters, finds the digests they mean in the registry, and looks at the spec's "
        "targets until every running task is of that digest; then it asks the 'verify' addresses "
        "and labels the parameter versions 'deployed' and 'proven', which the app's side reads "
        "back. It changes nothing else.\n\n"
        "Exit codes: 0 proven, and never else · 3 spec · 4 credentials · 6 the version is another "
        "digest in the registry than --expect says · 7 it does not run, the proven release before "
        "does · 8 it does not run · 12 what runs could not be read.",
    .examples = "$ dispatcher prove payments --env production\n"
                "$ dispatcher prove shop --env staging --service web --within 10m\n",
    .run = run_prove,
};
