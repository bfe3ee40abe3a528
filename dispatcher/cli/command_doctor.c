// `doctor`: every credential, permission, clock and endpoint, with the fix for each.
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

static struct error *
run_doctor(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deploy_request request = {0};
    struct doctor_finding *findings = NULL;
    size_t count = 0, bad = 0, warnings = 0;
    TRY(deploy_request_read(arguments, true, &request));
    request.checkout = cli_value(arguments, "checkout");
    TRY(deploy_session_open(cli, NULL, false, &session));
    deploy_doctor(session.context, &request, session.arena, session.diagnostics, &findings, &count);
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
