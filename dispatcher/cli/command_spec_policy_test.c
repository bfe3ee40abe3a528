// `dispatcher spec policy-test`: would the service let this job deploy, and if not, which of its
// claims failed which rule. Reads files only; believes the claims, and says so.
#include <string.h>

#include "deploy_options.h"
#include "deploy_ui.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/policy.h"
#include "dispatcher/text.h"

enum { OUTPUT_MAX = 1024 * 1024, CLAIMS_MAX = 64 * 1024, LINE_MAX_BYTES = 600 };

// A JSON object, or a whole token, whose signature is not looked at.
static struct error *
read_claims(const char *path, struct arena *arena, struct policy_claims **out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(CLAIMS_MAX);
    struct json *object CLEANUP(json_freep) = NULL;
    struct policy_verdict verdict = {0};
    TRY(file_read(path, &text, NULL));
    struct str content = str_trim(buf_str(&text));
    struct error *err = str_starts(content, STR("{"))
                            ? json_parse(content, &json_limits_default, &object)
                            : jwt_peek(content, &object);
    if (err != NULL) {
        error_free(err); // it may quote a token
        return error_hint(error_new(ERROR_INPUT, "'%s' holds neither claims nor a token", path),
            "Give it the claims of the job's OIDC token as a JSON object, or the token itself.");
    }
    policy_claims_read(object, arena, out, &verdict);
    if (!verdict.allowed) {
        return error_new(ERROR_INPUT, "'%s': %s", path, verdict.sentence);
    }
    return NULL;
}

static void
put_line(struct buf *out, const char *before, const char *text)
{
    buf_puts(out, before);
    text_clean(str_of(text), LINE_MAX_BYTES, out);
    buf_putc(out, '\n');
}

static void
put_text(const struct policy_verdict *verdict, struct buf *out)
{
    buf_printf(
        out, "%s: %s\n", verdict->allowed ? "allowed" : "refused", reason_code_name(verdict->code));
    put_line(out, "  ", verdict->sentence);
    if (verdict->who != NULL) {
        put_line(out, "  can be changed by: ", verdict->who);
    }
    for (size_t i = 0; i < verdict->failures.count; i++) {
        put_line(out, "  - ", verdict->failures.items[i]);
    }
}

static void
put_json(const struct policy_verdict *verdict, const struct settings *settings, int exit_code,
    struct buf *out)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *failures = json_make_array();
    json_set_str(object, "app", settings->app);
    json_set_str(object, "env", settings->env);
    json_set_bool(object, "allowed", verdict->allowed);
    json_set_str(object, "code", reason_code_name(verdict->code));
    json_set_str(object, "sentence", verdict->sentence);
    json_set_str(object, "who", verdict->who);
    json_set_str(object, "rule", verdict->rule);
    json_set_bool(object, "audit_only", verdict->audit_only);
    for (size_t i = 0; i < verdict->failures.count; i++) {
        json_append(failures, json_make_string(verdict->failures.items[i]));
    }
    json_set(object, "failures", failures);
    json_set_int(object, "exit_code", exit_code);
    json_print(object, true, out);
    buf_putc(out, '\n');
}

static struct error *
run_spec_policy_test(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deploy_request request = {0};
    struct settings *settings = NULL;
    struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {0};
    const char *path = cli_value(arguments, "claims");
    struct str_list teams = cli_values(arguments, "team");
    TRY(deploy_request_read(arguments, true, &request));
    if (path == NULL) {
        return error_hint(error_new(ERROR_USAGE, "whose claims?"),
            "Give --claims FILE: a JSON object, or a token.");
    }
    TRY(deploy_session_open(cli, NULL, false, &session));
    TRY(read_claims(path, session.arena, &claims));
    struct error *err =
        deploy_settings(session.context, &request, session.arena, session.diagnostics, &settings);
    TRY(deploy_session_explain(cli, &session, err));
    const struct policy_actor actor = {.teams_known = teams.count > 0, .teams = teams};
    policy_decide(claims, settings, &actor, session.arena, &verdict);
    *exit_code = reason_code_exit(verdict.code);
    struct buf out CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    if (cli_flag(arguments, "json")) {
        put_json(&verdict, settings, *exit_code, &out);
    } else {
        put_text(&verdict, &out);
    }
    TRY(buf_finish(&out, "verdict"));
    cli_out(cli, buf_str(&out));
    return NULL;
}

static const struct cli_option options[] = {
    DEPLOY_OPTIONS_PLACE,
    {"claims", CLI_VALUE, "FILE", "claims of a job's OIDC token, or the token (required)", NULL},
    {"team", CLI_LIST, "TEAM", "a team that the actor is in; without any: not known", NULL},
    {"json", CLI_FLAG, NULL, "print one JSON object", NULL},
};

const struct cli_command command_spec_policy_test = {
    .name = "spec policy-test",
    .arguments = "APP --env ENV --claims FILE",
    .min_positional = 1,
    .max_positional = 1,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "tell whether the service would let a job deploy, and why not",
    .description =
        "Decides about the claims in FILE as the service does: by the numbers of repository and "
        "owner, what is always refused, the organisation's floor, and the rules of the "
        "environment. Prints the verdict with its code ('dispatcher help reason-codes'), and each "
        "claim that failed a rule. The exit code is 0 when a rule allows it and 5 when it is "
        "refused.\n"
        "\n"
        "FILE holds the claims as a JSON object, or a token. Its signature, issuer, audience and "
        "times are not looked at: this is about rules, not about who somebody is. What holds a "
        "deployment back for a time (locks, windows, approvals) is not asked either.",
    .examples = "$ dispatcher spec policy-test payments --env production --claims claims.json\n"
                "$ dispatcher spec policy-test payments --env production --claims claims.json "
                "--team deployers\n"
                "$ dispatcher spec policy-test payments --env staging --claims token.jwt --json\n",
    .run = run_spec_policy_test,
};
