// `status`: what the version parameters say, and whether that was ever deployed.
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

static int
wider(int width, const char *text)
{
    int columns = (int)strlen(text);
    return columns > width && columns <= WIDTH_MAX ? columns : width;
}

static struct widths
measure(const struct deploy_status_row *rows, size_t count)
{
    struct widths widths = {0};
    for (size_t i = 0; i < count; i++) {
        widths.env = wider(widths.env, rows[i].env);
        widths.service = wider(widths.service, rows[i].service);
        widths.version = wider(widths.version, version_of(&rows[i]));
    }
    return widths;
}

// "staging  web  v1.4.2  deployed, written 3m 12s ago by arn:…"
static void
put_row(struct cli *cli, const struct deploy_status_row *row, const struct widths *widths)
{
    const char *verdict = row->labelled ? "deployed" : row->drift != NULL ? row->drift : "";
    cli_outf(cli, "%-*s  %-*s  %-*s  %s", widths->env, row->env, widths->service, row->service,
        widths->version, version_of(row), verdict);
    if (row->changed_ms > 0) {
        char age[32];
        clock_format_duration(clock_wall(cli->platform.clock) - row->changed_ms, age);
        cli_outf(cli, "; written %s ago%s%s", age, row->by != NULL ? " by " : "",
            row->by != NULL ? row->by : "");
    }
    cli_outf(cli, "\n");
}

static void
put_json_row(struct cli *cli, const struct deploy_status_row *row)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    json_set_str(object, "app", row->app);
    json_set_str(object, "environment", row->env);
    json_set_str(object, "service", row->service);
    json_set_str(object, "version", row->version);
    json_set_bool(object, "deployed", row->labelled);
    json_set_str(object, "by", row->by);
    json_set_str(object, "deployment", row->deployment);
    json_set_str(object, "drift", row->drift);
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
    {"json", CLI_FLAG, NULL, "one JSON object a line", NULL},
};

const struct cli_command command_status = {
    .name = "status",
    .arguments = "APP [--env ENV]",
    .min_positional = 1,
    .max_positional = 1,
    .options = status_options,
    .option_count = ARRAY_LENGTH(status_options),
    .summary = "which version each environment is set to, since when, and by whom",
    .description =
        "Reads the version parameters of every environment that dispatcher.yaml lists, or of one. "
        "'deployed' means that a run which used this very parameter version succeeded.",
    .examples =
        "$ dispatcher status payments\n$ dispatcher status payments --env production --json\n",
    .run = run_status,
};
