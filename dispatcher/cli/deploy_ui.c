// Renders deployment events: a live area on a terminal (deploy_live.c), one line each in a pipe or
// log, JSON lines with --json; and writes the result to where people look.
#include "deploy_ui.h"

#include <stdlib.h>
#include <string.h>

#include "deploy_live.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "push_lines.h"
#include "target_lines.h"

enum { EVENT_EVERY_MS = 1000 };

struct deploy_ui {
    struct cli *cli;
    bool json;
    struct deploy_live *live;
    struct push_layers layers; // of the upload at hand
    char *last_jobs;           // what was printed of the jobs, to print only what is new
};

struct deploy_ui *
deploy_ui_new(struct cli *cli, bool json)
{
    struct deploy_ui *ui = xcalloc(1, sizeof(*ui));
    ui->cli = cli;
    ui->json = json;
    push_layers_init(&ui->layers, NULL, clock_mono(cli->platform.clock));
    ui->live = deploy_live_new(cli, json, &ui->layers);
    return ui;
}

void
deploy_ui_free(struct deploy_ui *ui)
{
    if (ui != NULL) {
        deploy_live_free(ui->live); // first: it draws the layers
        push_layers_done(&ui->layers);
        free(ui->last_jobs);
        free(ui);
    }
}

void
deploy_ui_freep(struct deploy_ui **ui)
{
    deploy_ui_free(*ui);
    *ui = NULL;
}

// Human text: standard output, or standard error beside JSON.
static void
say(struct deploy_ui *ui, struct str text)
{
    if (ui->json) {
        cli_err(ui->cli, text);
    } else {
        cli_out(ui->cli, text);
    }
}

struct sign {
    const char *state, *text, *tint;
};

static const struct sign *
sign_of(const char *state)
{
    static const struct sign signs[] = {{"done", "✓", "\x1b[32m"}, {"skipped", "-", ""},
        {"intent", "…", ""}, {"undone", "↩", "\x1b[33m"}, {"", "✗", "\x1b[31m"}};
    size_t i = 0;
    while (i + 1 < ARRAY_LENGTH(signs) && !cstr_equal(state, signs[i].state)) {
        i++;
    }
    return &signs[i];
}

static void
say_step(struct deploy_ui *ui, const struct deploy_event *event)
{
    const struct deployment_step *step = event->step;
    struct buf line CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    const char *state = step->state;
    bool live = deploy_live_is_on(ui->live);
    if (cstr_equal(state, "waiting") || (live && cstr_equal(state, "intent"))) {
        return;
    }
    const char *note =
        step->note != NULL && !cstr_equal(state, "intent") ? step->note : step->reason;
    bool color = ui->cli->color && !ui->json;
    const struct sign *sign = sign_of(state);
    buf_printf(&line, "%s%s%s %-18s %s%s\n", color ? sign->tint : "", sign->text,
        color ? "\x1b[0m" : "", step->name,
        cstr_equal(state, "undo-failed") ? "NOT restored: " : "", note != NULL ? note : "");
    say(ui, buf_str(&line));
}

static void
say_run(struct deploy_ui *ui, const struct deployment *d)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(8192);
    buf_printf(&line, "  run %lld: %s%s%s\n", (long long)d->run_id,
        d->run_status != NULL ? d->run_status : "unknown", d->run_conclusion != NULL ? ", " : "",
        d->run_conclusion != NULL ? d->run_conclusion : "");
    say(ui, buf_str(&line));
}

static void
say_target(struct deploy_ui *ui, const struct deploy_event *event)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(8192);
    target_line(event->target, event->move, &line);
    say(ui, buf_str(&line));
}

static void
put_job(struct buf *out, const struct deployment_job *job)
{
    buf_printf(out, "  job '%s': %s\n", job->name,
        job->conclusion != NULL ? job->conclusion : job->status);
    for (size_t i = 0; i < job->steps.count; i++) {
        const struct deployment_job_step *step =
            (const struct deployment_job_step *)job->steps.items + i;
        if (!cstr_equal(step->status, "queued") && !cstr_equal(step->status, "pending")) {
            buf_printf(out, "    %s: %s\n", step->name,
                step->conclusion != NULL ? step->conclusion : step->status);
        }
    }
}

// Prints only the lines that were not there the last time.
static void
say_jobs(struct deploy_ui *ui, const struct deployment *d)
{
    struct buf all CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    struct buf fresh CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    for (size_t i = 0; i < d->jobs.count; i++) {
        put_job(&all, (const struct deployment_job *)d->jobs.items + i);
    }
    struct str line = {0}, rest = buf_str(&all), before = str_of(ui->last_jobs);
    while (str_cut(rest, '\n', &line, &rest)) {
        if (!str_contains(before, line)) {
            buf_add(&fresh, line);
            buf_putc(&fresh, '\n');
        }
    }
    say(ui, buf_str(&fresh));
    free(ui->last_jobs);
    ui->last_jobs = buf_take(&all);
}

static void
say_text(struct deploy_ui *ui, const struct deploy_event *event)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    bool warning = event->kind == DEPLOY_EVENT_WARNING;
    if (warning && ui->cli->in_actions) {
        buf_printf(&line, "::warning title=dispatcher::%s\n", event->text);
    } else {
        buf_printf(&line, "  %s%s\n", warning ? "warning: " : "", event->text);
    }
    say(ui, buf_str(&line));
}

// A workflow command may stand behind blanks (actions/runner ActionCommand.cs), not behind a bar.
static void
say_output(struct deploy_ui *ui, const struct deploy_event *event)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_printf(&line, "  | %s\n", event->text);
    say(ui, buf_str(&line));
}

static void
say_started(struct deploy_ui *ui, const struct deployment *d)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(8192);
    buf_printf(&line, "%s %s to %s (deployment %s)\n", d->app, d->version, d->env, d->id);
    say(ui, buf_str(&line));
}

static void
say_image(struct deploy_ui *ui, const struct deploy_event *event)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(8192);
    buf_puts(&line, "  ");
    push_lines_image(event->text, image_platforms(event->image), &ui->layers, &line);
    say(ui, buf_str(&line));
}

static void
say_layer(struct deploy_ui *ui, const struct push_layer *layer, int64_t now_ms)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(8192);
    push_lines_layer(layer, 0, &line);
    if (layer->state == PUSH_LAYER_SENDING) {
        push_lines_progress(&ui->layers, now_ms, &line);
    }
    if (line.len > 0) {
        say(ui, buf_str(&line));
    }
}

static void
run_link(struct deploy_ui *ui, const struct deployment *d)
{
    bool fresh = cstr_equal(d->dispatch_state, "sent") || cstr_equal(d->dispatch_state, "adopted");
    if (ui->cli->in_actions && fresh && d->run_status == NULL && d->run_url != NULL) {
        struct buf line CLEANUP(buf_done) = BUF_INIT(8192);
        buf_printf(&line, "::notice title=infra run::%s\n", d->run_url);
        say(ui, buf_str(&line));
    }
}

// Keeps count of an upload. *layer: the one that the event is about, if any.
static void
note_upload(struct deploy_ui *ui, const struct deploy_event *event, int64_t now_ms,
    struct push_layer **layer)
{
    if (event->kind == DEPLOY_EVENT_IMAGE) {
        push_layers_reset(&ui->layers, event->image, now_ms);
    } else if (event->kind == DEPLOY_EVENT_PROGRESS) {
        *layer = push_layers_note(&ui->layers, event->part, now_ms);
    }
}

// A body comes in pieces of some KiB: once a second is enough for each.
static bool
is_worth_telling(struct push_layer *layer, int64_t now_ms)
{
    if (layer == NULL || layer->state != PUSH_LAYER_SENDING) {
        return true;
    }
    if (layer->told_ms > 0 && now_ms - layer->told_ms < EVENT_EVERY_MS) {
        return false;
    }
    layer->told_ms = now_ms;
    return true;
}

static void
print_event(struct deploy_ui *ui, const struct deploy_event *event)
{
    int64_t now = clock_wall(ui->cli->platform.clock);
    struct json *object CLEANUP(json_freep) = deploy_event_json(event, now);
    char *text CLEANUP(xfreep) = json_text(object);
    cli_outf(ui->cli, "%s\n", text);
}

static void
show_event(struct deploy_ui *ui, const struct deploy_event *event, bool with_json)
{
    int64_t now = clock_mono(ui->cli->platform.clock);
    struct push_layer *layer = NULL;
    if (event->kind == DEPLOY_EVENT_STEP || event->kind == DEPLOY_EVENT_STARTED) {
        ui->cli->changed = true;
    }
    note_upload(ui, event, now, &layer);
    if (with_json && is_worth_telling(layer, now)) {
        print_event(ui, event);
    }
    deploy_live_event(ui->live, event);
    bool moving = event->kind == DEPLOY_EVENT_IMAGE || event->kind == DEPLOY_EVENT_PROGRESS ||
                  event->kind == DEPLOY_EVENT_RUN || event->kind == DEPLOY_EVENT_JOBS ||
                  event->kind == DEPLOY_EVENT_TARGET;
    if (moving && deploy_live_is_on(ui->live)) {
        return;
    }
    switch (event->kind) {
    case DEPLOY_EVENT_STARTED:
        say_started(ui, event->deployment);
        return;
    case DEPLOY_EVENT_STEP:
        say_step(ui, event);
        if (cstr_equal(event->step->kind, "trigger") && cstr_equal(event->step->state, "done")) {
            run_link(ui, event->deployment);
        }
        return;
    case DEPLOY_EVENT_IMAGE:
        say_image(ui, event);
        return;
    case DEPLOY_EVENT_PROGRESS:
        if (layer != NULL) {
            say_layer(ui, layer, now);
        }
        return;
    case DEPLOY_EVENT_RUN:
        say_run(ui, event->deployment);
        return;
    case DEPLOY_EVENT_JOBS:
        say_jobs(ui, event->deployment);
        return;
    case DEPLOY_EVENT_TARGET:
        say_target(ui, event);
        return;
    case DEPLOY_EVENT_OUTPUT:
        say_output(ui, event);
        return;
    case DEPLOY_EVENT_NOTE:
    case DEPLOY_EVENT_WARNING:
        say_text(ui, event);
        return;
    case DEPLOY_EVENT_FINISHED:
        return;
    }
}

static void
on_event(void *ctx, const struct deploy_event *event)
{
    struct deploy_ui *ui = ctx;
    show_event(ui, event, ui->json);
}

void
deploy_ui_quiet(void *ui, const struct deploy_event *event)
{
    show_event(ui, event, false);
}

struct deploy_observer
deploy_ui_observer(struct deploy_ui *ui)
{
    return (struct deploy_observer){on_event, ui};
}

static void
append_or_warn(struct deploy_ui *ui, const char *variable, const struct buf *text)
{
    const char *path = env_get(&ui->cli->platform, variable);
    if (path == NULL) {
        return;
    }
    struct error *err = file_append(path, buf_str(text));
    if (err != NULL) {
        char *why CLEANUP(xfreep) = error_text(err);
        cli_errf(ui->cli, "dispatcher: warning: $%s: %s\n", variable, why);
        error_free(err);
    }
}

void
deploy_ui_result(struct deploy_ui *ui, const struct deployment *d)
{
    enum { RESULT_MAX = 900 * 1024 }; // a job summary over 1 MiB is thrown away whole
    struct buf text CLEANUP(buf_done) = BUF_INIT(RESULT_MAX);
    report_text(d, ui->cli->color && !ui->json, &text);
    say(ui, buf_str(&text));
    if (ui->cli->in_actions) {
        buf_reset(&text);
        report_annotations(d, &text);
        say(ui, buf_str(&text));
    }
    char random[33];
    random_hex(ui->cli->platform.random, 16, random);
    buf_reset(&text);
    report_summary(d, &text);
    secret_mask(&text);
    append_or_warn(ui, "GITHUB_STEP_SUMMARY", &text);
    buf_reset(&text);
    report_outputs(d, random, &text);
    append_or_warn(ui, "GITHUB_OUTPUT", &text);
}

struct error *
deploy_session_open(
    struct cli *cli, const struct deploy_observer *observer, bool live, struct deploy_session *out)
{
    *out = (struct deploy_session){0};
    cli_mask_environment(cli);
    TRY(http_client_new(&cli->platform, &cli->http_options, &out->http));
    const struct deploy_context_options options = {
        .platform = &cli->platform,
        .http = out->http,
        .ca_file = cli->http_options.ca_file,
        .proxy = cli->http_options.proxy,
        .no_proxy = cli->http_options.no_proxy,
        .live = live,
        .observer = observer,
    };
    out->context = deploy_context_new(&options);
    out->arena = arena_new();
    out->diagnostics = diagnostics_new();
    return NULL;
}

void
deploy_session_close(struct deploy_session *session)
{
    deploy_context_free(session->context);
    http_client_free(session->http);
    diagnostics_free(session->diagnostics);
    arena_free(session->arena);
    *session = (struct deploy_session){0};
}

struct error *
deploy_session_explain(struct cli *cli, struct deploy_session *session, struct error *err)
{
    if (diagnostics_total(session->diagnostics) > 0) {
        struct buf text CLEANUP(buf_done) = BUF_INIT(4 * 1024 * 1024);
        diagnostics_sort(session->diagnostics);
        diagnostics_print_text(session->diagnostics, cli->color, &text);
        cli_err(cli, buf_str(&text));
    }
    return err;
}
