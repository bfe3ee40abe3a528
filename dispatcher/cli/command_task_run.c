// `task run`: a command once beside a service, with its output on ours.
#include <string.h>

#include "deploy_options.h"
#include "deploy_ui.h"
#include "dispatcher/memory.h"

enum { TIMEOUT_MS = 10 * 60 * 1000, LINE_MAX_BYTES = 64 * 1024 };

struct task_ui {
    struct cli *cli;
    bool json;
};

static void
put_json(struct cli *cli, struct json *object)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    json_print(object, false, &text);
    buf_putc(&text, '\n');
    cli_out(cli, buf_str(&text));
}

static void
put_event(struct cli *cli, const char *event, const char *text)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    json_set_str(object, "event", event);
    json_set_str(object, "text", text);
    put_json(cli, object);
}

// What the task writes goes to standard output as it is, but for what could command a terminal or a
// runner; what we say of it goes to stderr.
static void
on_event(void *ctx, const struct deploy_event *event)
{
    struct task_ui *ui = ctx;
    ui->cli->changed = true; // nothing is told of before it was started, but for notes
    bool output = event->kind == DEPLOY_EVENT_OUTPUT;
    if (ui->json) {
        put_event(ui->cli, output ? "output" : "note", event->text);
    } else if (output) {
        struct buf line CLEANUP(buf_done) = BUF_INIT(LINE_MAX_BYTES);
        buf_printf(&line, "%s\n", event->text);
        cli_out(ui->cli, buf_str(&line));
        return;
    }
    cli_errf(ui->cli, "%s%s\n", output ? "  | " : "dispatcher: ", event->text);
}

static void
put_result(struct cli *cli, const struct deploy_task *task)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    json_set_str(object, "event", "finished");
    json_set_str(object, "result", task->outcome);
    json_set_str(object, "service", task->service);
    json_set_str(object, "task", task->task);
    json_set_str(object, "task_definition", task->task_definition);
    if (task->has_exit_code) {
        json_set_int(object, "exit_code", task->exit_code);
    }
    json_set_int(object, "duration_ms", task->ended_ms - task->started_ms);
    json_set_str(object, "reason", task->reason);
    put_json(cli, object);
}

static struct str_list
command_of(const struct cli_arguments *arguments, struct arena *arena)
{
    size_t count = cli_positional_count(arguments) - 1;
    const char **words = arena_array(arena, count + 1, sizeof(*words));
    for (size_t i = 0; i < count; i++) {
        words[i] = cli_positional(arguments, i + 1);
    }
    return (struct str_list){words, count};
}

static struct error *
end(struct cli *cli, const struct deploy_task *task, bool json)
{
    char took[32];
    clock_format_duration(task->ended_ms - task->started_ms, took);
    if (json) {
        put_result(cli, task);
    }
    if (task->reason == NULL) {
        cli_errf(
            cli, "dispatcher: the task beside '%s' has succeeded after %s\n", task->service, took);
        return NULL;
    }
    struct error *err = error_new(task->kind, "the task beside '%s' has %s: %s", task->service,
        task->kind == ERROR_UNKNOWN ? "an unknown end" : "failed", task->reason);
    return task->kind == ERROR_NOT_RESTORED
               ? error_hint(err, "Whatever it did before it ended stays done.")
               : err;
}

static struct error *
run_task(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct task_ui ui = {cli, cli_flag(arguments, "json")};
    const struct deploy_observer observer = {on_event, &ui};
    struct deploy_request request = {0};
    struct deploy_task task = {0};
    (void)exit_code;
    TRY(deploy_request_read(arguments, true, &request));
    if (cli_positional_count(arguments) < 2) {
        return error_hint(error_new(ERROR_USAGE, "task run: no command was given"),
            "Write it behind '--': dispatcher task run %s --env %s -- COMMAND ARGUMENT.",
            request.app, request.env);
    }
    TRY(deploy_session_open(cli, &observer, false, &session));
    const struct deploy_task_request what = {
        .service = cli_value(arguments, "service"),
        .container = cli_value(arguments, "container"),
        .command = command_of(arguments, session.arena),
        .timeout_ms = cli_duration_ms(arguments, "timeout", TIMEOUT_MS),
        .leave = cstr_equal(cli_value(arguments, "on-cancel"), "leave"),
    };
    struct error *err = deploy_task_run(
        session.context, &request, &what, session.arena, session.diagnostics, &task);
    if (err != NULL) {
        return deploy_session_explain(cli, &session, err);
    }
    return end(cli, &task, ui.json);
}

static const struct cli_option task_options[] = {
    DEPLOY_OPTIONS_PLACE,
    {"service", CLI_VALUE, "SERVICE", "beside which service; default: the only one on ECS", NULL},
    {"container", CLI_VALUE, "NAME",
        "whose command it is; default: the target's, or the only essential one", NULL},
    {"timeout", CLI_DURATION, "10m", "when the task is stopped; default: 10m", NULL},
    {"on-cancel", CLI_VALUE, "leave|cancel",
        "the task when this is interrupted; default: cancel, it is stopped",
        deploy_leave_or_cancel},
    {"json", CLI_FLAG, NULL, "one JSON event a line on stdout, human text on stderr", NULL},
};

const struct cli_command command_task_run = {
    .name = "task run",
    .arguments = "APP --env ENV -- COMMAND [ARGUMENT]...",
    .min_positional = 1,
    .max_positional = 1000,
    .options = task_options,
    .option_count = ARRAY_LENGTH(task_options),
    .summary = "run a command once beside a service, with its image and its network",
    .description =
        "Starts a one-off task of ECS with the task definition that the service runs now, where "
        "the service runs: its network, launch type and platform version, its environment and its "
        "secrets. Only the command of one container is another. Nothing is deployed.\n\n"
        "What the container writes to CloudWatch is on standard output as it comes. A task that "
        "has not ended by --timeout is stopped; so is one whose command is interrupted, unless "
        "--on-cancel says 'leave'.\n\n"
        "Exit codes: 0 the container ended with 0 · 8 the task failed, and whatever it did stays "
        "done (the container's own code is in the message and in --json) · 9 what became of it "
        "is not known · 12 it was not started · 130/143 interrupted; 2, 3 and 4 as everywhere.",
    .examples = "$ dispatcher task run payments --env staging -- python manage.py migrate --plan\n"
                "$ dispatcher task run shop --env production --service web --timeout 1h -- "
                "bin/reindex\n",
    .run = run_task,
};
