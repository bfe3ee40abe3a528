// `status`: what the version parameters say, and whether that was ever deployed.
#include "deploy_options.h"
#include "deploy_ui.h"
#include "dispatcher/memory.h"

static void
put_row(struct cli *cli, const struct deploy_status_row *row)
{
    char age[32] = "";
    if (row->changed_ms > 0) {
        clock_format_duration(clock_wall(cli->platform.clock) - row->changed_ms, age);
    }
    cli_outf(cli, "%-14s %-10s %-40s %-9s %s\n", row->env, row->service,
        row->version != NULL ? row->version : "-", row->labelled ? "deployed" : "",
        age[0] != '\0' ? age : "");
    if (row->drift != NULL) {
        cli_outf(cli, "%-14s %-10s   %s\n", "", "", row->drift);
    }
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
    for (size_t i = 0; i < count; i++) {
        if (cli_flag(arguments, "json")) {
            put_json_row(cli, &rows[i]);
        } else {
            put_row(cli, &rows[i]);
        }
    }
    return NULL;
}

static const struct cli_option status_options[] = {
    DEPLOY_OPTIONS_PLACE,
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
