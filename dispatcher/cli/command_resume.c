// `resume`, `resolve` and `cancel`: what to do with a deployment that a process left behind.
#include "deploy_reports.h"
#include "dispatcher/memory.h"
#include "remote.h"

static void
show_end(struct deploy_ui *ui, const struct deployment *deployment, int *exit_code)
{
    deploy_ui_result(ui, deployment);
    *exit_code = (int)deployment->exit_code;
}

static struct error *
run_resume(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    bool json = cli_flag(arguments, "json");
    const char *id = cli_positional(arguments, 0);
    struct deploy_ui *ui CLEANUP(deploy_ui_freep) = deploy_ui_new(cli, json);
    struct deploy_observer observer = deploy_ui_observer(ui);
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deployment *deployment = NULL;
    TRY(deploy_session_open(cli, &observer, cli->terminal && !json, &session));
    TRY(deploy_load(session.context, id, session.arena, &deployment));
    struct deploy_reports *reports CLEANUP(deploy_reports_freep) =
        deploy_reports_start(cli, &session, deployment, json);
    TRY(deploy_resume(session.context, deployment->id, session.arena, &deployment));
    show_end(ui, deployment, exit_code);
    deploy_reports_finish(reports, deployment);
    return NULL;
}

static const struct cli_option resume_options[] = {
    {"json", CLI_FLAG, NULL, "one JSON event a line on stdout, human text on stderr", NULL},
};

const struct cli_command command_resume = {
    .name = "resume",
    .arguments = "ID",
    .min_positional = 1,
    .max_positional = 1,
    .options = resume_options,
    .option_count = ARRAY_LENGTH(resume_options),
    .summary = "finish a deployment that was interrupted or killed",
    .description = "Continues where the journal says the deployment stands. A dispatch that may "
                   "have been sent is "
                   "never sent again: its run is looked for. One that is over is only shown, with "
                   "its exit code.",
    .examples = "$ dispatcher resume d-3f9a2c51\n",
    .run = run_resume,
};

static struct error *
read_resolution(const struct cli_arguments *arguments, int64_t *run_id)
{
    const char *adopt = cli_value(arguments, "adopt");
    bool abandon = cli_flag(arguments, "abandon");
    if ((adopt != NULL) == abandon) {
        return error_hint(error_new(ERROR_USAGE, "say either --adopt RUN or --abandon"),
            "RUN is the number at the end of the run's URL.");
    }
    *run_id = 0;
    if (adopt != NULL && (!str_to_int64(str_of(adopt), run_id) || *run_id <= 0)) {
        return error_new(ERROR_USAGE, "run '%.40s' is not a number", adopt);
    }
    return NULL;
}

static struct error *
run_resolve(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    bool json = cli_flag(arguments, "json");
    struct deploy_ui *ui CLEANUP(deploy_ui_freep) = deploy_ui_new(cli, json);
    struct deploy_observer observer = deploy_ui_observer(ui);
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deployment *deployment = NULL;
    int64_t run_id = 0;
    const char *id = cli_positional(arguments, 0);
    TRY(read_resolution(arguments, &run_id));
    TRY(deploy_session_open(cli, &observer, cli->terminal && !json, &session));
    TRY(deploy_load(session.context, id, session.arena, &deployment));
    struct deploy_reports *reports CLEANUP(deploy_reports_freep) =
        deploy_reports_start(cli, &session, deployment, json);
    TRY(deploy_resolve(session.context, deployment->id, run_id, session.arena, &deployment));
    show_end(ui, deployment, exit_code);
    deploy_reports_finish(reports, deployment);
    return NULL;
}

static const struct cli_option resolve_options[] = {
    {"adopt", CLI_VALUE, "RUN", "this run is ours: follow it to its end", NULL},
    {"abandon", CLI_FLAG, NULL, "it never ran: restore the version parameters", NULL},
    {"json", CLI_FLAG, NULL, "one JSON event a line on stdout, human text on stderr", NULL},
};

const struct cli_command command_resolve = {
    .name = "resolve",
    .arguments = "ID --adopt RUN | --abandon",
    .min_positional = 1,
    .max_positional = 1,
    .options = resolve_options,
    .option_count = ARRAY_LENGTH(resolve_options),
    .summary = "settle a deployment that ended unknown (exit code 9)",
    .description =
        "Whether a dispatch took effect could not be found out. You have looked: name the run, "
        "or say that there is none.",
    .examples = "$ dispatcher resolve d-3f9a2c51 --adopt 29020317666\n"
                "$ dispatcher resolve d-3f9a2c51 --abandon\n",
    .run = run_resolve,
};

static struct error *
remote_cancel(struct cli *cli, const struct cli_arguments *arguments)
{
    struct remote remote CLEANUP(remote_close) = {0};
    struct json *body CLEANUP(json_freep) = json_make_object(), *answer CLEANUP(json_freep) = NULL;
    const char *const parts[] = {"deployments", cli_positional(arguments, 0), "cancel", NULL};
    json_set_str(body, "reason", cli_value(arguments, "reason"));
    TRY(remote_open(cli, arguments, &remote));
    char *path = remote_path(remote.arena, parts);
    TRY(remote_post(&remote, path, body, remote_key(&remote, "cancel"), &answer));
    cli->changed = true;
    bool over = cstr_equal(json_str(json_get(answer, "state")), "final");
    cli_outf(cli, over ? "'%s' is cancelled\n" : "'%s' was asked to stop\n",
        cli_positional(arguments, 0));
    return NULL;
}

static struct error *
run_cancel(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    if (remote_url(cli, arguments) != NULL) {
        return remote_cancel(cli, arguments);
    }
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deployment *deployment = NULL;
    (void)exit_code;
    TRY(deploy_session_open(cli, NULL, false, &session));
    TRY(deploy_cancel(session.context, cli_positional(arguments, 0), session.arena, &deployment));
    if (deployment->run_id != 0) {
        cli_outf(cli, "run %lld was asked to stop: %s\n", (long long)deployment->run_id,
            deployment->run_url != NULL ? deployment->run_url : "");
    } else {
        cli_outf(cli, "the rollout was asked to stop and to go back\n");
    }
    cli_outf(cli, "next: dispatcher resume %s\n", deployment->id);
    return NULL;
}

static const struct cli_option cancel_options[] = {
    REMOTE_OPTION,
    {"reason", CLI_VALUE, "TEXT", "with --server: why", NULL},
};

const struct cli_command command_cancel = {
    .name = "cancel",
    .arguments = "ID",
    .min_positional = 1,
    .max_positional = 1,
    .options = cancel_options,
    .option_count = ARRAY_LENGTH(cancel_options),
    .summary = "ask GitHub, or the platform, to stop what a deployment has begun",
    .description =
        "The remote run is cancelled; a rollout from here is told to go back, where its platform "
        "can. Cancelling takes effect later, and a half-done infrastructure change may stay "
        "behind. "
        "The process that follows the deployment, or 'dispatcher resume', sees how it ended. With "
        "--server a "
        "deployment of the service is cancelled, also one that still waits.",
    .examples = "$ dispatcher cancel d-3f9a2c51\n",
    .run = run_cancel,
};
