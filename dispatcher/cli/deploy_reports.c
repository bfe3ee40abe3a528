// Starts and ends the courier beside a command, shows that it is waited for, and prints what it
// could not deliver. Decides nothing about the deployment.
#include "deploy_reports.h"

#include <stdlib.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "live.h"

enum {
    WAIT_MS = 10 * 1000,
    INTERRUPTED_WAIT_MS = 2 * 1000, // a runner that cancels kills after some seconds
    POLL_MS = 25,
    QUIET_MS = 1000, // what takes longer is shown
};

struct deploy_reports {
    struct cli *cli;
    struct deploy_session *session;
    struct deploy_courier *courier;
    bool json;
};

static void
warn(struct cli *cli, const char *doing, struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    cli_errf(cli, "dispatcher: warning: %s: %s\n", doing, text);
    error_free(err);
}

struct deploy_reports *
deploy_reports_start(
    struct cli *cli, struct deploy_session *session, const struct deployment *deployment, bool json)
{
    size_t sinks = deployment->sinks.count;
    if (sinks == 0) {
        return NULL;
    }
    struct deploy_reports *reports = xcalloc(1, sizeof(*reports));
    *reports = (struct deploy_reports){.cli = cli, .session = session, .json = json};
    deploy_mask_sinks(session->context, deployment);
    struct error *err =
        deploy_courier_start(session->context, &cli->http_options, sinks, &reports->courier);
    if (err != NULL) { // they wait in the outbox
        warn(cli, "reports are not sent", err);
    }
    return reports;
}

void
deploy_reports_free(struct deploy_reports *reports)
{
    if (reports != NULL) {
        deploy_courier_free(reports->courier);
        free(reports);
    }
}

void
deploy_reports_freep(struct deploy_reports **reports)
{
    deploy_reports_free(*reports);
    *reports = NULL;
}

static int64_t
wait_ms(const struct deploy_reports *reports, const struct deployment *deployment)
{
    int64_t value = 0;
    const char *text = env_get(&reports->cli->platform, "DISPATCHER_REPORT_WAIT_MS");
    if (text != NULL && str_to_int64(str_of(text), &value) && value >= 0) {
        return value;
    }
    bool hurry = cstr_equal(deployment->unfinished, "interrupted");
    return hurry ? INTERRUPTED_WAIT_MS : WAIT_MS;
}

struct error *
deploy_reports_wait(struct cli *cli, struct deploy_courier *courier, const char *id,
    int64_t until_ms, bool on_stderr)
{
    const struct platform *platform = &cli->platform;
    struct live *live CLEANUP(live_freep) = live_new(cli, on_stderr);
    struct buf line CLEANUP(buf_done) = BUF_INIT(256);
    int64_t start = clock_mono(platform->clock);
    bool done = false;
    buf_puts(&line, LIVE_SPINNER " sending reports, ");
    live_elapsed(start, &line);
    for (int64_t now = start; now < until_ms; now = clock_mono(platform->clock)) {
        TRY(deploy_courier_is_done(courier, id, until_ms, &done));
        if (done || cancel_signal(platform->cancel) != 0) {
            break;
        }
        if (now - start >= QUIET_MS) {
            live_update(live, buf_str(&line));
        }
        error_free(clock_sleep_until(platform->clock, now + POLL_MS, platform->cancel));
    }
    live_finish(live, STR(""));
    return NULL;
}

static void
print_events(struct deploy_reports *reports, const struct deployment *deployment,
    const struct deploy_untold *list, size_t count)
{
    int64_t now = clock_wall(reports->cli->platform.clock);
    for (size_t i = 0; i < count; i++) {
        struct json *object CLEANUP(json_freep) = report_untold_event(&list[i], deployment, now);
        char *text CLEANUP(xfreep) = json_text(object);
        cli_outf(reports->cli, "%s\n", text);
    }
}

static void
append_summary(struct deploy_reports *reports, const struct deploy_untold *list, size_t count)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    const char *path = env_get(&reports->cli->platform, "GITHUB_STEP_SUMMARY");
    report_untold_summary(list, count, &text);
    secret_mask(&text);
    struct error *err = path != NULL ? file_append(path, buf_str(&text)) : NULL;
    if (err != NULL) {
        warn(reports->cli, "$GITHUB_STEP_SUMMARY", err);
    }
}

static void
say_untold(struct deploy_reports *reports, const struct deployment *deployment,
    const struct deploy_untold *list, size_t count)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    report_untold_text(list, count, &text);
    if (reports->cli->in_actions) {
        report_untold_annotations(list, count, &text);
    }
    if (reports->json) {
        print_events(reports, deployment, list, count);
        cli_err(reports->cli, buf_str(&text));
    } else {
        cli_out(reports->cli, buf_str(&text));
    }
    append_summary(reports, list, count);
}

static struct error *
finish(struct deploy_reports *reports, const struct deployment *deployment)
{
    struct deploy_untold *list = NULL;
    size_t count = 0;
    if (reports->courier != NULL) {
        // A second signal ends the wait; what is not told by then is told later.
        int64_t until = clock_mono(reports->cli->platform.clock) + wait_ms(reports, deployment);
        TRY(deploy_reports_wait(
            reports->cli, reports->courier, deployment->id, until, reports->json));
        deploy_courier_freep(&reports->courier);
    }
    TRY(deploy_untold(
        reports->session->context, deployment->id, reports->session->arena, &list, &count));
    if (count > 0) {
        say_untold(reports, deployment, list, count);
    }
    return NULL;
}

void
deploy_reports_finish(struct deploy_reports *reports, const struct deployment *deployment)
{
    struct error *err = reports != NULL ? finish(reports, deployment) : NULL;
    if (err != NULL) {
        warn(reports->cli, "reports", err);
    }
}
