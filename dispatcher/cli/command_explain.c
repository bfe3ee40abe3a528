// `explain`: what the service's policy says of this job (or of the claims in a file), without doing
// anything. Of other apps it tells what everybody is told.
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "remote.h"

enum { CLAIMS_MAX = 64 * 1024 };

static struct error *
read_claims(const char *path, struct json *body)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(CLAIMS_MAX);
    struct json *claims = NULL;
    bool found = false;
    if (path == NULL) {
        return NULL;
    }
    struct error *err = file_read(path, &text, &found);
    if (err == NULL && !found) {
        err = error_new(ERROR_INPUT, "'%s' does not exist", path);
    }
    if (err == NULL) {
        err = json_parse(buf_str(&text), &json_limits_default, &claims);
    }
    if (err != NULL) {
        return error_wrap_as(ERROR_INPUT, err, "claims in '%s'", path);
    }
    json_set(body, "claims", claims);
    return NULL;
}

static void
print(struct remote *remote, const struct json *verdict)
{
    const char *sentence = remote_clean(remote->arena, json_get(verdict, "sentence"));
    const char *code = remote_clean(remote->arena, json_get(verdict, "code"));
    const char *rule = remote_clean(remote->arena, json_get(verdict, "rule"));
    const char *who = remote_clean(remote->arena, json_get(verdict, "who"));
    const struct json *failures = json_get(verdict, "failures");
    bool allowed = json_bool(json_get(verdict, "allowed"), false);
    cli_outf(remote->cli, "%s (%s): %s\n", allowed ? "allowed" : "refused",
        code != NULL ? code : "?", sentence != NULL ? sentence : "");
    if (rule != NULL) {
        cli_outf(remote->cli, "  rule: %s\n", rule);
    }
    for (size_t i = 0; i < json_count(failures); i++) {
        const char *failure = remote_clean(remote->arena, json_at(failures, i));
        cli_outf(remote->cli, "  %s\n", failure != NULL ? failure : "");
    }
    if (who != NULL) {
        cli_outf(remote->cli, "  who can change it: %s\n", who);
    }
}

static struct error *
run_explain(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct remote remote CLEANUP(remote_close) = {0};
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *verdict CLEANUP(json_freep) = NULL;
    const char *env = cli_value(arguments, "env");
    if (env == NULL) {
        return error_hint(error_new(ERROR_USAGE, "no environment is named"), "Give --env ENV.");
    }
    json_set_str(body, "app", cli_positional(arguments, 0));
    json_set_str(body, "env", env);
    TRY(read_claims(cli_value(arguments, "claims"), body));
    TRY(remote_open(cli, arguments, &remote));
    // It changes nothing, so it may be asked as often as it takes.
    TRY(remote_post(&remote, "/api/v1/explain", body, remote_key(&remote, "explain"), &verdict));
    if (cli_flag(arguments, "json")) {
        char *text CLEANUP(xfreep) = json_text(verdict);
        cli_outf(cli, "%s\n", text);
    } else {
        print(&remote, verdict);
    }
    *exit_code = (int)json_int(json_get(verdict, "exit_code"), error_kind_exit_code(ERROR_DENIED));
    return NULL;
}

static const struct cli_option options[] = {
    {"env", CLI_VALUE, "ENV", "environment (required)", NULL},
    {"claims", CLI_VALUE, "FILE", "claims of a token as JSON; for people", NULL},
    REMOTE_OPTION,
    {"json", CLI_FLAG, NULL, "the verdict as JSON", NULL},
};

const struct cli_command command_explain = {
    .name = "explain",
    .arguments = "APP --env ENV",
    .min_positional = 1,
    .max_positional = 1,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "would the service let this job deploy, and if not, why",
    .description =
        "Asks the service for its verdict and does nothing. In a job it is about the job's own "
        "token: which of its claims failed which rule of the spec. A person gives the claims of a "
        "token with --claims. 'dispatcher spec policy-test' answers the same from spec files, "
        "without a service.\n\n"
        "Ends with 0 when it would be allowed, else with the code that a deployment would end "
        "with.",
    .examples = "$ dispatcher explain payments --env production\n"
                "$ dispatcher explain payments --env production --claims claims.json --json\n",
    .run = run_explain,
};
