// `logs`: what the services of an app write, where they run.
#include <string.h>

#include "deploy_options.h"
#include "deploy_ui.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum {
    SINCE_MS = 10 * 60 * 1000,
    LABEL_MAX = 40,
    CHUNK_MAX = 256 * 1024,
    TEXT_MAX = 64 * 1024 * 1024
};

struct logs_ui {
    struct cli *cli;
    bool json;
    size_t width; // of the labels so far
    char day[11]; // of the last line, "2026-11-21"
    struct buf text;
};

static void
flush(struct logs_ui *ui)
{
    cli_out(ui->cli, buf_str(&ui->text));
    buf_reset(&ui->text);
}

static void
say(void *ctx, const char *text)
{
    struct logs_ui *ui = ctx;
    flush(ui);
    cli_errf(ui->cli, "dispatcher: %s\n", text);
}

// Lines carry the time of day only: another day is said once.
static void
say_day(struct logs_ui *ui, const char *stamp)
{
    enum { DAY = 10 };
    if (strncmp(ui->day, stamp, DAY) != 0) {
        memcpy(ui->day, stamp, DAY);
        flush(ui);
        cli_errf(ui->cli, "dispatcher: %s, UTC\n", ui->day);
    }
}

// Each line of an entry that has several is told with its time and label.
static void
put_text(struct logs_ui *ui, const struct deploy_log_line *entry, const char *stamp)
{
    static const char *const start = "\x1b[2m", *const end = "\x1b[0m";
    const char *time = stamp + strlen("2026-11-21T");
    size_t columns = text_width(str_of(entry->label));
    struct str line = {0}, rest = str_of(entry->text);
    if (columns > ui->width && columns <= LABEL_MAX) {
        ui->width = columns;
    }
    int padding = columns < ui->width ? (int)(ui->width - columns) : 0;
    do {
        (void)str_cut(rest, '\n', &line, &rest);
        buf_printf(&ui->text, "%s%.8s %s%*s%s  %.*s\n", ui->cli->color ? start : "", time,
            entry->label, padding, "", ui->cli->color ? end : "", STR_FMT(line));
    } while (rest.len > 0);
}

static void
put_json(struct logs_ui *ui, const struct deploy_log_line *entry, const char *stamp)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    json_set_str(object, "time", stamp);
    json_set_int(object, "ms", entry->ms);
    json_set_str(object, "service", entry->service);
    json_set_str(object, "container", entry->container);
    json_set_str(object, "group", entry->group);
    json_set_str(object, "stream", entry->stream);
    json_set_str(object, "message", entry->text);
    json_print(object, false, &ui->text);
    buf_putc(&ui->text, '\n');
}

static bool
put_lines(void *ctx, const struct deploy_log_line *lines, size_t count)
{
    struct logs_ui *ui = ctx;
    for (size_t i = 0; i < count; i++) {
        char stamp[21];
        clock_format_rfc3339(lines[i].ms, stamp);
        if (ui->json) {
            put_json(ui, &lines[i], stamp);
        } else {
            say_day(ui, stamp);
            put_text(ui, &lines[i], stamp);
        }
        if (ui->text.len >= CHUNK_MAX) {
            flush(ui);
        }
    }
    flush(ui);
    return ui->cli->write_error == 0;
}

static struct error *
follow(struct cli *cli, const struct cli_arguments *arguments, struct deploy_session *session,
    const struct deploy_request *request)
{
    char today[21];
    clock_format_rfc3339(clock_wall(cli->platform.clock), today);
    struct logs_ui ui = {
        .cli = cli, .json = cli_flag(arguments, "json"), .text = BUF_INIT(TEXT_MAX)};
    memcpy(ui.day, today, sizeof(ui.day) - 1);
    const struct deploy_logs_observer observer = {put_lines, say, &ui};
    const struct deploy_logs_request logs = {
        .service = cli_value(arguments, "service"),
        .container = cli_value(arguments, "container"),
        .since_ms = cli_duration_ms(arguments, "since", SINCE_MS),
        .follow = cli_flag(arguments, "follow"),
        .platform = cli_flag(arguments, "platform"),
    };
    struct error *err = deploy_logs(
        session->context, request, &logs, session->arena, session->diagnostics, &observer);
    buf_done(&ui.text);
    return err;
}

static struct error *
run_logs(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deploy_request request = {0};
    TRY(deploy_request_read(arguments, true, &request));
    request.checkout = cli_value(arguments, "checkout");
    if (cli_flag(arguments, "platform") && cli_value(arguments, "container") != NULL) {
        return error_new(ERROR_USAGE, "'--platform' is about the service, '--container' is not");
    }
    TRY(deploy_session_open(cli, NULL, false, &session));
    struct error *err = follow(cli, arguments, &session, &request);
    int signal = cancel_signal(cli->platform.cancel);
    if (err != NULL && error_kind(err) == ERROR_CANCELLED && signal > 0) {
        error_free(err); // that is how following ends: nothing to be told of
        *exit_code = 128 + signal;
        return NULL;
    }
    return deploy_session_explain(cli, &session, err);
}

static const struct cli_option logs_options[] = {
    DEPLOY_OPTIONS_PLACE,
    {"service", CLI_VALUE, "SERVICE", "only this service of the app, or this worker", NULL},
    {"container", CLI_VALUE, "NAME", "only this container (ECS)", NULL},
    {"since", CLI_DURATION, "10m", "how far to look back; default: 10m", NULL},
    {"follow", CLI_FLAG, NULL, "go on with what comes, until interrupted", NULL},
    {"platform", CLI_FLAG, NULL,
        "what the platform says of the service: events of ECS, App Runner's service log", NULL},
    {"checkout", CLI_VALUE, "DIR", "checkout of the app repository, for its workers; default: here",
        NULL},
    {"json", CLI_FLAG, NULL, "one JSON object a line", NULL},
};

const struct cli_command command_logs = {
    .name = "logs",
    .arguments = "APP --env ENV [--follow]",
    .min_positional = 1,
    .max_positional = 1,
    .options = logs_options,
    .option_count = ARRAY_LENGTH(logs_options),
    .summary = "what the services of an app write, where they run",
    .description =
        "Reads from CloudWatch Logs what the targets of the spec write: of ECS, all containers of "
        "the task definitions that run now whose log driver is awslogs; of App Runner, the "
        "application's log. Lines of several services come in the order of time, which is UTC, "
        "each with its service and the start of its task's id.\n\n"
        "What is shown was written by the program: escape sequences and control characters are "
        "taken out, and in a GitHub job nothing in it counts as a workflow command.\n\n"
        "Needs logs:FilterLogEvents, and for ECS ecs:DescribeServices and "
        "ecs:DescribeTaskDefinition, for App Runner apprunner:ListServices.",
    .examples = "$ dispatcher logs payments --env staging --follow\n"
                "$ dispatcher logs shop --env production --service worker --since 2h\n"
                "$ dispatcher logs shop --env production --platform\n",
    .run = run_logs,
};
