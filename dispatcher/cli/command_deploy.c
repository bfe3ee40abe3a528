// `deploy` and `plan`: the same reading and planning; one of them then does it.
#include "deploy_drive.h"
#include "deploy_options.h"
#include "dispatcher/memory.h"
#include "remote_deploy.h"

static void
read_what(const struct cli_arguments *arguments, struct deploy_request *request)
{
    request->images = cli_values(arguments, "image");
    request->version = cli_value(arguments, "version");
    request->checkout = cli_value(arguments, "checkout");
    deploy_request_limits(arguments, request);
    request->no_wait = cli_flag(arguments, "no-wait");
    request->build = cli_flag(arguments, "build");
    request->allow_dirty = cli_flag(arguments, "allow-dirty");
    request->allow_stale = cli_flag(arguments, "allow-stale");
}

static struct error *
drive(struct cli *cli, const struct cli_arguments *arguments, bool dry_run, int *exit_code)
{
    struct deploy_request request = {0};
    TRY(deploy_request_read(arguments, false, &request));
    read_what(arguments, &request);
    char *what CLEANUP(xfreep) = request.env != NULL
                                     ? xasprintf("deploy '%s' to '%s'", request.app, request.env)
                                     : xasprintf("deploy '%s'", request.app);
    const struct deploy_drive drive = {
        .request = &request,
        .what = what,
        .json = cli_flag(arguments, "json"),
        .dry_run = dry_run,
    };
    return deploy_drive(cli, &drive, exit_code);
}

static struct error *
run_plan(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    return drive(cli, arguments, true, exit_code);
}

static struct error *
through_service(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    static const char *const own[] = {
        "allow-dirty", "allow-stale", "dry-run", "specs", "config", "on-failure", NULL};
    static const char *const of_builds[] = {"checkout", NULL};
    TRY(remote_refuse(arguments, own));
    TRY(cli_flag(arguments, "build") ? NULL : remote_refuse(arguments, of_builds));
    struct remote_deploy deploy = remote_deploy_read(arguments, "deploy");
    deploy.version = cli_value(arguments, "version");
    deploy.images = cli_values(arguments, "image");
    deploy.build = cli_flag(arguments, "build");
    deploy.checkout = cli_value(arguments, "checkout");
    deploy.emergency = cli_flag(arguments, "emergency");
    return remote_deploy(cli, arguments, &deploy, exit_code);
}

static struct error *
run_deploy(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    if (remote_url(cli, arguments) != NULL) {
        return through_service(cli, arguments, exit_code);
    }
    if (cli_flag(arguments, "emergency")) {
        return error_hint(error_new(ERROR_USAGE, "--emergency is for a service"),
            "Give --server URL; without one there are no approvals to pass.");
    }
    return drive(cli, arguments, cli_flag(arguments, "dry-run"), exit_code);
}

static const struct cli_option deploy_options[] = {
    DEPLOY_OPTIONS_PLACE_OR_REF,
    DEPLOY_OPTIONS_WHAT,
    {"dry-run", CLI_FLAG, NULL, "only print the plan; changes nothing (same as 'plan')", NULL},
    REMOTE_OPTION,
    {"emergency", CLI_FLAG, NULL, "with --server: pass windows, freezes and approvals; loud", NULL},
    {"reason", CLI_VALUE, "TEXT", "with --server: why; an emergency needs it", NULL},
};

const struct cli_command command_deploy = {
    .name = "deploy",
    .arguments = "APP [--env ENV] [--image [SERVICE=]SOURCE]... [--build]",
    .min_positional = 1,
    .max_positional = 1,
    .options = deploy_options,
    .option_count = ARRAY_LENGTH(deploy_options),
    .summary = "push, write the version, roll out or have it rolled out, follow and prove",
    .description =
        "Run it in a checkout of the app's repository. It pushes the image unless the registry has "
        "it, writes the version parameter, triggers the infra repository's workflow exactly once, "
        "follows that very run to its end and says what is true then. What runs is proven by the "
        "infra side ('dispatcher rollout' or 'prove'), or looked at from here where the spec names "
        "a 'target' that may be read.\n\n"
        "Without --env the environment follows from the branch or the tag, in a job GITHUB_REF: "
        "it is the only one whose 'branch' or 'allow' in the spec accepts it.\n\n"
        "With 'via: direct' in the spec there is no infra workflow: the spec's 'migrate' task is "
        "run, its targets (ECS, ECS Express, App Runner) are moved from here, followed by the id "
        "of their own deployment and proven by digest, and the 'verify' addresses are asked.\n\n"
        "When it fails, the previous version is put back into the parameter and what ran before "
        "into the targets, unless the spec says 'on_failure: keep' or somebody else wrote "
        "meanwhile. A deployment that was interrupted is finished by 'dispatcher resume', which "
        "never triggers a second time.\n\n"
        "With --build, what has no --image and is not in the registry yet is built first, with "
        "docker (buildx), buildah or podman, whichever is there (DISPATCHER_BUILDER names one): "
        "the service's 'dockerfile' and 'context', and 'deploy.build' of the spec.\n\n"
        "With --server (or DISPATCHER_URL) a service does all of it but the build and the push: "
        "the "
        "job needs no key, only 'permissions: id-token: write', and the service's queue, locks, "
        "windows and approvals hold. What is shown, written and returned is the same; a restart of "
        "the service is not seen. --build builds in the job by the spec's recipe, which the "
        "service "
        "tells, from a clean checkout of the job's commit. Without --env the environment is the "
        "only one where the service lets this job deploy. The spec and the token decide what "
        "--specs, --config, --on-failure, --allow-dirty, --allow-stale and --dry-run would say, "
        "and "
        "--checkout is for --build: given otherwise, they are refused.\n\n"
        "Exit codes: 0 deployed · 2 usage · 3 spec · 4 credentials · 5 not allowed · 6 conflict, "
        "nothing "
        "triggered · 7 failed, previous version restored · 8 failed, NOT restored · 9 unknown, it "
        "may "
        "have run · 10 still running · 11 cancelled · 12 upstream unavailable, nothing changed · "
        "13 "
        "local storage · 130/143 interrupted.",
    .examples = "$ dispatcher deploy payments --env staging --image oci-archive:image.tar\n"
                "$ dispatcher deploy shop --env production --image web=oci:build/web --image "
                "worker=oci:build/worker\n"
                "$ dispatcher deploy payments --env staging --build\n"
                "$ dispatcher deploy payments --env staging --version v1.4.2 --dry-run\n"
                "$ dispatcher deploy payments --env staging --image oci:build/image --server "
                "https://dispatcher.example.org\n",
    .run = run_deploy,
};

static const struct cli_option plan_options[] = {DEPLOY_OPTIONS_PLACE_OR_REF, DEPLOY_OPTIONS_WHAT};

const struct cli_command command_plan = {
    .name = "plan",
    .arguments = "APP [--env ENV] [--image [SERVICE=]SOURCE]... [--build]",
    .min_positional = 1,
    .max_positional = 1,
    .options = plan_options,
    .option_count = ARRAY_LENGTH(plan_options),
    .summary = "what deploy would do, and why; changes nothing",
    .description = "Reads everything that 'deploy' reads, with the same checks and exit codes, and "
                   "prints the steps with their reasons.",
    .examples = "$ dispatcher plan payments\n"
                "$ dispatcher plan payments --env staging --image oci-archive:image.tar\n",
    .run = run_plan,
};
