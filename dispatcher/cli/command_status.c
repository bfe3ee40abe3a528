// `status`: what the version parameters say, whether that was ever deployed, and what runs.
#include <string.h>

#include "deploy_options.h"
#include "deploy_ui.h"
#include "dispatcher/memory.h"

enum { WIDTH_MAX = 64 }; // a longer word pushes its own line only

struct widths {
    int env, service, version;
};

static const char *
version_of(const struct deploy_status_row *row)
{
    return row->version != NULL ? row->version : "-";
}

// Of a commit, its beginning.
static int
length_of(const char *version)
{
    bool commit = strlen(version) == 40 && strspn(version, "0123456789abcdef") == 40;
    return commit ? 12 : (int)strlen(version);
}

static int
wider(int width, int columns)
{
    return columns > width && columns <= WIDTH_MAX ? columns : width;
}

static struct widths
measure(const struct deploy_status_row *rows, size_t count)
{
    struct widths widths = {0};
    for (size_t i = 0; i < count; i++) {
        widths.env = wider(widths.env, (int)strlen(rows[i].env));
        widths.service = wider(widths.service, (int)strlen(rows[i].service));
        widths.version = wider(widths.version, length_of(version_of(&rows[i])));
    }
    return widths;
}

// "arn:aws:sts::123456789012:assumed-role/deploy/ci": what stands behind the account.
static const char *
who_of(const char *arn)
{
    const char *at = arn;
    for (int colons = 0; at != NULL && colons < 5; colons++) {
        at = strchr(at, ':');
        at = at != NULL ? at + 1 : NULL;
    }
    return at != NULL && at[0] != '\0' ? at : arn;
}

// One word for what the labels say.
static const char *
word_of(const struct deploy_status_row *row)
{
    return row->note != NULL      ? row->note
           : row->version == NULL ? ""
           : row->proven          ? "proven"
           : row->labelled        ? "deployed"
                                  : "not recorded";
}

static void
put_target(struct cli *cli, const struct deploy_status_target *target, int indent)
{
    const char *slash = target->revision != NULL ? strrchr(target->revision, '/') : NULL;
    const char *revision = slash != NULL ? slash + 1 : target->revision;
    cli_outf(cli, "%*s  runs: %s%s%s", indent, "", target->seen != NULL ? target->seen : "unknown",
        revision != NULL ? "; set to " : "", revision != NULL ? revision : "");
    if (target->version != NULL) {
        cli_outf(cli, " ('%.*s')", length_of(target->version), target->version);
    }
    cli_outf(cli, "\n");
}

// "staging  web  v1.4.2  proven  sha256:524c63a3647b  3m 12s ago by assumed-role/deploy/ci", and
// indented below it what runs and what does not agree.
static void
put_row(struct cli *cli, const struct deploy_status_row *row, const struct widths *widths)
{
    int indent = widths->env;
    cli_outf(cli, "%-*s  %-*s  %-*.*s  %s", widths->env, row->env, widths->service, row->service,
        widths->version, length_of(version_of(row)), version_of(row), word_of(row));
    if (row->digest != NULL) {
        cli_outf(cli, "  %.19s", row->digest);
    }
    if (row->changed_ms > 0) {
        char age[32];
        clock_format_duration(clock_wall(cli->platform.clock) - row->changed_ms, age);
        cli_outf(cli, "  written %s ago%s%s", age, row->by != NULL ? " by " : "",
            row->by != NULL ? who_of(row->by) : "");
    }
    cli_outf(cli, "\n");
    if (row->rollback != NULL) {
        cli_outf(cli, "%*s  rollback %s\n", indent, "", row->rollback);
    }
    if (row->target != NULL) {
        put_target(cli, row->target, indent);
    }
    for (size_t i = 0; i < row->drifts.count; i++) {
        cli_outf(cli, "%*s  drift: %s\n", indent, "", row->drifts.items[i]);
    }
}

static struct json *
target_json(const struct deploy_status_target *target)
{
    struct json *object = json_make_object();
    json_set_str(object, "kind", target->kind);
    json_set_str(object, "cluster", target->cluster);
    json_set_str(object, "service", target->service);
    json_set_str(object, "revision", target->revision);
    json_set_str(object, "version", target->version);
    json_set_str(object, "digest", target->digest);
    json_set_bool(object, "as_expected", target->as_expected);
    json_set_str(object, "seen", target->seen);
    return object;
}

static void
put_json_row(struct cli *cli, const struct deploy_status_row *row)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *drifts = json_make_array();
    json_set_str(object, "app", row->app);
    json_set_str(object, "environment", row->env);
    json_set_str(object, "service", row->service);
    json_set_str(object, "version", row->version);
    json_set_str(object, "digest", row->digest);
    json_set_bool(object, "deployed", row->labelled);
    json_set_bool(object, "proven", row->proven);
    json_set_str(object, "by", row->by);
    json_set_str(object, "deployment", row->deployment);
    json_set_str(object, "rollback", row->rollback);
    json_set_str(object, "note", row->note);
    for (size_t i = 0; i < row->drifts.count; i++) {
        json_append(drifts, json_make_string(row->drifts.items[i]));
    }
    json_set(object, "drift", drifts);
    if (row->target != NULL) {
        json_set(object, "target", target_json(row->target));
    }
    if (row->changed_ms > 0) {
        char stamp[21];
        clock_format_rfc3339(row->changed_ms, stamp);
        json_set_str(object, "changed", stamp);
    }
    char *text CLEANUP(xfreep) = json_text(object);
    cli_outf(cli, "%s\n", text);
}

static struct error *
run_status(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deploy_request request = {0};
    struct deploy_status_row *rows = NULL;
    size_t count = 0;
    (void)exit_code;
    TRY(deploy_request_read(arguments, false, &request));
    request.checkout = cli_value(arguments, "checkout");
    TRY(deploy_session_open(cli, NULL, false, &session));
    struct error *err =
        deploy_status(session.context, &request, session.arena, session.diagnostics, &rows, &count);
    if (err != NULL) {
        return deploy_session_explain(cli, &session, err);
    }
    const struct widths widths = measure(rows, count);
    for (size_t i = 0; i < count; i++) {
        if (cli_flag(arguments, "json")) {
            put_json_row(cli, &rows[i]);
        } else {
            put_row(cli, &rows[i], &widths);
        }
    }
    return NULL;
}

static const struct cli_option status_options[] = {
    {"env", CLI_VALUE, "ENV", "only this environment", NULL},
    DEPLOY_OPTIONS_SPECS,
    {"checkout", CLI_VALUE, "DIR", "checkout of the app repository, for its workers; default: here",
        NULL},
    {"json", CLI_FLAG, NULL, "one JSON object a line", NULL},
};

const struct cli_command command_status = {
    .name = "status",
    .arguments = "APP [--env ENV]",
    .min_positional = 1,
    .max_positional = 1,
    .options = status_options,
    .option_count = ARRAY_LENGTH(status_options),
    .summary = "what runs where: version, digest, age, who, and what does not agree",
    .description =
        "Reads the version parameters of every environment that dispatcher.yaml lists, or of one, "
        "and as far as the credentials may, the registry and the spec's targets.\n\n"
        "'deployed' means that a run which used this very parameter version succeeded, 'proven' "
        "that its digest was seen to run then. Below a service stands what runs now. Each "
        "disagreement is a line of its own: a version that was written and never deployed, a "
        "target that is set to another one, tasks of another digest, a tag that was moved, an "
        "image that is gone. What may not be read is said, and is no failure.\n\n"
        "Workers are listed when their entry points are found here or in --checkout.",
    .examples =
        "$ dispatcher status payments\n$ dispatcher status payments --env production --json\n",
    .run = run_status,
};
