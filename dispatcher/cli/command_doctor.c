// `doctor`: every credential, permission, clock and endpoint, with the fix for each; `verify`: the
// same of what a rollout would meet.
#include "deploy_options.h"
#include "deploy_ui.h"
#include "dispatcher/memory.h"

static void
put_finding(struct cli *cli, const struct doctor_finding *finding)
{
    static const char *const signs[] = {
        [DOCTOR_GOOD] = "✓", [DOCTOR_WARNING] = "!", [DOCTOR_BAD] = "✗"};
    static const char *const tints[] = {
        [DOCTOR_GOOD] = "\x1b[32m", [DOCTOR_WARNING] = "\x1b[33m", [DOCTOR_BAD] = "\x1b[31m"};
    cli_outf(cli, "%s%s%s %-12s %s\n", cli->color ? tints[finding->verdict] : "",
        signs[finding->verdict], cli->color ? "\x1b[0m" : "", finding->area, finding->text);
    if (finding->fix != NULL) {
        cli_outf(cli, "  %-12s fix: %s\n", "", finding->fix);
    }
}

static void
put_json(struct cli *cli, const struct doctor_finding *finding)
{
    static const char *const verdicts[] = {
        [DOCTOR_GOOD] = "good", [DOCTOR_WARNING] = "warning", [DOCTOR_BAD] = "bad"};
    struct json *object CLEANUP(json_freep) = json_make_object();
    json_set_str(object, "area", finding->area);
    json_set_str(object, "verdict", verdicts[finding->verdict]);
    json_set_str(object, "text", finding->text);
    json_set_str(object, "fix", finding->fix);
    char *text CLEANUP(xfreep) = json_text(object);
    cli_outf(cli, "%s\n", text);
}

typedef void look_at_all(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct doctor_finding **out,
    size_t *count);

static struct error *
run_looks(struct cli *cli, const struct cli_arguments *arguments, look_at_all *look, int *exit_code)
{
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deploy_request request = {0};
    struct doctor_finding *findings = NULL;
    size_t count = 0, bad = 0, warnings = 0;
    TRY(deploy_request_read(arguments, true, &request));
    request.checkout = cli_value(arguments, "checkout");
    request.version = cli_value(arguments, "version");
    TRY(deploy_session_open(cli, NULL, false, &session));
    look(session.context, &request, session.arena, session.diagnostics, &findings, &count);
    for (size_t i = 0; i < count; i++) {
        if (cli_flag(arguments, "json")) {
            put_json(cli, &findings[i]);
        } else {
            put_finding(cli, &findings[i]);
        }
        if (findings[i].verdict == DOCTOR_BAD && bad++ == 0) {
            *exit_code = findings[i].exit_code;
        }
        warnings += findings[i].verdict == DOCTOR_WARNING ? 1 : 0;
    }
    struct error *none = deploy_session_explain(cli, &session, NULL);
    cli_errf(cli, "%zu checks, %zu failed, %zu warning%s\n", count, bad, warnings,
        warnings == 1 ? "" : "s");
    return none;
}

static struct error *
run_doctor(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    return run_looks(cli, arguments, deploy_doctor, exit_code);
}

static struct error *
run_verify(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    return run_looks(cli, arguments, deploy_verify, exit_code);
}

static const struct cli_option doctor_options[] = {
    DEPLOY_OPTIONS_PLACE,
    {"checkout", CLI_VALUE, "DIR", "checkout of the app repository; default: here", NULL},
    {"json", CLI_FLAG, NULL, "one JSON object a line", NULL},
};

const struct cli_command command_doctor = {
    .name = "doctor",
    .arguments = "APP --env ENV",
    .min_positional = 1,
    .max_positional = 1,
    .options = doctor_options,
    .option_count = ARRAY_LENGTH(doctor_options),
    .summary = "check every credential, permission, clock and endpoint, with the fix for each",
    .description =
        "Reads with the code that a deployment uses and changes nothing. The exit code is that of "
        "the first failed check: what a deployment would end with.",
    .examples = "$ dispatcher doctor payments --env staging\n",
    .run = run_doctor,
};

static const struct cli_option verify_options[] = {
    DEPLOY_OPTIONS_PLACE,
    {"version", CLI_VALUE, "V", "what would be deployed; default: what the parameter says", NULL},
    {"checkout", CLI_VALUE, "DIR", "checkout of the app repository, for its workers; default: here",
        NULL},
    {"json", CLI_FLAG, NULL, "one JSON object a line", NULL},
};

const struct cli_command command_verify = {
    .name = "verify",
    .arguments = "APP --env ENV",
    .min_positional = 1,
    .max_positional = 1,
    .options = verify_options,
    .option_count = ARRAY_LENGTH(verify_options),
    .summary = "look at what a rollout would meet: image, targets, roles, secrets, logs",
    .description =
        "Looks before a deployment at what would make it fail: the version's image is in the "
        "registry and can be pulled; each target is there, may be updated, and runs what it wants; "
        "its circuit breaker is on; its roles exist and trust the platform's service; the task "
        "definition's secrets and log groups exist; what runs may be read; the addresses of "
        "'verify' answer. Each permission that is missing is named; what the roles may do is not "
        "looked at.\n\n"
        "It reads with the code that a deployment uses and changes nothing; what only a change can "
        "show is not tried. The exit code is that of the first failed check: what a deployment "
        "would end with.",
    .examples = "$ dispatcher verify payments --env production\n"
                "$ dispatcher verify payments --env production --version v1.4.2 --json\n",
    .run = run_verify,
};
