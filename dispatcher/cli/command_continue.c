// `continue`: answers the hook that a deployment of ECS waits at.
#include "deploy_options.h"
#include "deploy_ui.h"
#include "dispatcher/memory.h"

static void
put_json(struct cli *cli, const struct deploy_continued *continued, bool roll_back)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    json_set_str(object, "service", continued->service);
    json_set_str(object, "action", roll_back ? "roll-back" : "continue");
    json_set_str(object, "stage", continued->stage);
    json_set_str(object, "hook", continued->hook);
    json_set_str(object, "service_deployment", continued->deployment);
    char *text CLEANUP(xfreep) = json_text(object);
    cli_outf(cli, "%s\n", text);
}

static struct error *
run_continue(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deploy_request request = {0};
    struct deploy_continued continued = {0};
    const struct deploy_continue_request answer = {
        .service = cli_value(arguments, "service"), .roll_back = cli_flag(arguments, "roll-back")};
    (void)exit_code;
    TRY(deploy_request_read(arguments, true, &request));
    TRY(deploy_session_open(cli, NULL, false, &session));
    struct error *err = deploy_continue(
        session.context, &request, &answer, session.arena, session.diagnostics, &continued);
    if (err != NULL) {
        return deploy_session_explain(cli, &session, err);
    }
    cli->changed = true;
    if (cli_flag(arguments, "json")) {
        put_json(cli, &continued, answer.roll_back);
        return NULL;
    }
    cli_outf(cli, "the deployment of '%s' %s%s%s%s\n", continued.service,
        answer.roll_back ? "is rolled back" : "goes on",
        continued.stage != NULL ? " (it stood at " : "",
        continued.stage != NULL ? continued.stage : "", continued.stage != NULL ? ")" : "");
    return NULL;
}

static const struct cli_option continue_options[] = {
    DEPLOY_OPTIONS_PLACE,
    {"service", CLI_VALUE, "SERVICE", "whose deployment; default: the only one that waits", NULL},
    {"roll-back", CLI_FLAG, NULL, "go back to the version before instead of going on", NULL},
    {"json", CLI_FLAG, NULL, "one JSON object", NULL},
};

const struct cli_command command_continue = {
    .name = "continue",
    .arguments = "APP --env ENV [--roll-back]",
    .min_positional = 1,
    .max_positional = 1,
    .options = continue_options,
    .option_count = ARRAY_LENGTH(continue_options),
    .summary = "answer the hook that a deployment of ECS waits at",
    .description =
        "A service deployment of ECS with a PAUSE lifecycle hook stands still until it is told to "
        "go on or to go back, or until the hook's own time is over. This tells it. The 'deploy' or "
        "'rollout' that follows the deployment sees it go on by itself, and so does "
        "'dispatcher resume'.\n\n"
        "Ends with 2 when no deployment of the app waits. App Runner has no hooks.",
    .examples = "$ dispatcher continue payments --env production\n"
                "$ dispatcher continue shop --env production --service web --roll-back\n",
    .run = run_continue,
};
