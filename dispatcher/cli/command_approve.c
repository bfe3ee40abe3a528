// `approve`: a person's word for a deployment that waits in a service.
#include "dispatcher/memory.h"
#include "remote.h"

static struct error *
send_word(struct remote *remote, const struct cli_arguments *arguments, const struct json *seen,
    struct json **out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    const struct json *wanted = json_get(seen, "approvals");
    const char *id = cli_positional(arguments, 0);
    // Bound to what was seen: of another version or another change it does not count.
    json_set_str(body, "version", json_str(json_get(wanted, "version")));
    json_set_str(body, "diff", json_str(json_get(wanted, "diff")));
    json_set_str(body, "note", cli_value(arguments, "reason"));
    json_set_bool(body, "reject", cli_flag(arguments, "reject"));
    const char *const parts[] = {"deployments", id, "approve", NULL};
    char *path = remote_path(remote->arena, parts);
    return remote_post(remote, path, body, remote_key(remote, "approve"), out);
}

// "1 of 2 approvals": those for what would be deployed now.
static void
put_count(struct cli *cli, const struct json *approvals)
{
    const struct json *given = json_get(approvals, "given");
    long long count = 0;
    for (size_t i = 0; i < json_count(given); i++) {
        count += json_bool(json_get(json_at(given, i), "counts"), false) ? 1 : 0;
    }
    cli_outf(cli, ": %lld of %lld approvals\n", count,
        (long long)json_int(json_get(approvals, "needed"), 0));
}

static struct error *
run_approve(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    struct remote remote CLEANUP(remote_close) = {0};
    struct json *seen CLEANUP(json_freep) = NULL, *after CLEANUP(json_freep) = NULL;
    TRY(remote_open(cli, arguments, &remote));
    const char *const parts[] = {"deployments", cli_positional(arguments, 0), NULL};
    TRY(remote_get(&remote, remote_path(remote.arena, parts), &seen));
    const char *version = remote_clean(remote.arena, json_path(seen, "approvals.version"));
    const char *expected = cli_value(arguments, "version");
    if (expected != NULL && !cstr_equal(expected, version)) {
        return error_new(ERROR_CONFLICT, "'%s' is of version '%s', not '%s'",
            cli_positional(arguments, 0), version != NULL ? version : "?", expected);
    }
    TRY(send_word(&remote, arguments, seen, &after));
    cli->changed = true;
    bool reject = cli_flag(arguments, "reject");
    cli_outf(cli, "%s of '%s' to '%s' (%s)%s",
        reject ? "rejected: the deployment" : "approved: the deployment",
        remote_clean(remote.arena, json_get(seen, "app")),
        remote_clean(remote.arena, json_get(seen, "env")), version != NULL ? version : "?",
        reject ? "; it ends\n" : "");
    if (!reject) {
        put_count(cli, json_get(after, "approvals"));
    }
    return NULL;
}

static const struct cli_option options[] = {
    {"version", CLI_VALUE, "V", "approve only when it is of this version", NULL},
    {"reject", CLI_FLAG, NULL, "say no instead: it ends", NULL},
    {"reason", CLI_VALUE, "TEXT", "a note that stands beside it", NULL},
    REMOTE_OPTION,
};

const struct cli_command command_approve = {
    .name = "approve",
    .arguments = "ID",
    .min_positional = 1,
    .max_positional = 1,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "approve or reject a deployment that waits for it",
    .description =
        "Your word counts when the spec's 'approvals' name a team of yours, and you are not the "
        "one who asked (unless 'self: true'). It is bound to the version and the change that were "
        "shown, and expires ('valid_for'). You are known by your GitHub token (GH_TOKEN).",
    .examples = "$ dispatcher approve d-3f9a2c51\n"
                "$ dispatcher approve d-3f9a2c51 --reject --reason not-on-a-Friday\n",
    .run = run_approve,
};
