// What moves while a deployment goes on, drawn in place. The drawing itself is live.c's.
#include "deploy_live.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "live.h"
#include "push_bars.h"
#include "target_lines.h"

enum { JOBS_MAX = 6, AREA_MAX = 64 * 1024 };

struct deploy_live {
    struct cli *cli;
    struct live *area; // NULL until something moves: it draws from a thread of its own
    bool on_stderr;
    struct push_layers *layers;
};

struct deploy_live *
deploy_live_new(struct cli *cli, bool on_stderr, struct push_layers *layers)
{
    struct deploy_live *live = xcalloc(1, sizeof(*live));
    live->cli = cli;
    live->on_stderr = on_stderr;
    live->layers = layers;
    return live;
}

void
deploy_live_free(struct deploy_live *live)
{
    if (live != NULL) {
        live_free(live->area);
        free(live);
    }
}

bool
deploy_live_is_on(const struct deploy_live *live)
{
    return live->on_stderr ? live->cli->error_terminal : live->cli->terminal;
}

static const char *
sign_of(const struct deploy_live *live, const char *status, const char *conclusion)
{
    bool color = live->cli->color;
    if (conclusion == NULL) {
        return cstr_equal(status, "in_progress") ? LIVE_SPINNER : "·";
    }
    if (strcmp(conclusion, "success") == 0) {
        return color ? "\x1b[32m✓\x1b[0m" : "✓";
    }
    if (strcmp(conclusion, "skipped") == 0) {
        return "-";
    }
    return color ? "\x1b[31m✗\x1b[0m" : "✗";
}

static bool
has_begun(const struct deployment_job *job)
{
    for (size_t i = 0; i < job->steps.count; i++) {
        const struct deployment_job_step *step =
            (const struct deployment_job_step *)job->steps.items + i;
        if (step->conclusion != NULL || cstr_equal(step->status, "in_progress")) {
            return true;
        }
    }
    return false;
}

static bool
is_good(const struct deployment_job *job)
{
    return cstr_equal(job->conclusion, "success") || cstr_equal(job->conclusion, "skipped");
}

static void
put_job(const struct deploy_live *live, const struct deployment_job *job, struct buf *out)
{
    buf_printf(out, "    %s %s\n", sign_of(live, job->status, job->conclusion), job->name);
    if (is_good(job) || !has_begun(job)) { // only steps that say something are worth their lines
        return;
    }
    for (size_t i = 0; i < job->steps.count; i++) {
        const struct deployment_job_step *step =
            (const struct deployment_job_step *)job->steps.items + i;
        buf_printf(out, "      %s %s\n", sign_of(live, step->status, step->conclusion), step->name);
    }
}

// Many jobs do not fit: those that went well or wait become a count, so that one that runs or
// failed stays in sight.
static void
put_jobs(const struct deploy_live *live, const struct deployment *d, struct buf *out)
{
    bool many = d->jobs.count > JOBS_MAX;
    size_t good = 0, waiting = 0;
    for (size_t i = 0; i < d->jobs.count; i++) {
        const struct deployment_job *job = (const struct deployment_job *)d->jobs.items + i;
        bool waits = job->conclusion == NULL && !cstr_equal(job->status, "in_progress");
        if (many && is_good(job)) {
            good++;
        } else if (many && waits) {
            waiting++;
        } else {
            put_job(live, job, out);
        }
    }
    if (good > 0) {
        buf_printf(out, "    %s %zu of %zu jobs are done\n", sign_of(live, NULL, "success"), good,
            d->jobs.count);
    }
    if (waiting > 0) {
        buf_printf(out, "    %s %zu wait\n", sign_of(live, NULL, NULL), waiting);
    }
}

static void
put_run(const struct deploy_live *live, const struct deployment *d, struct buf *out)
{
    if (d->run_id == 0) {
        return;
    }
    const struct clock *clock = live->cli->platform.clock;
    int64_t started = clock_mono(clock) - (clock_wall(clock) - d->wait_started_ms);
    // Before the address: a narrow terminal cuts the end of the line.
    const char *status = d->run_status != NULL ? d->run_status : "starting";
    buf_printf(out, "    %s ", strcmp(status, "in_progress") == 0 ? "in progress" : status);
    if (d->wait_started_ms > 0) {
        live_elapsed(started, out);
    }
    buf_printf(out, "  %s\n", d->run_url != NULL ? d->run_url : "");
    put_jobs(live, d, out);
}

static const struct deployment_step *
current_step(const struct deployment *d)
{
    for (size_t i = 0; i < d->steps.count; i++) {
        const struct deployment_step *step = deployment_step_at(d, i);
        if (cstr_equal(step->state, "intent")) {
            return step;
        }
    }
    return NULL;
}

void
deploy_live_event(struct deploy_live *live, const struct deploy_event *event)
{
    const struct deployment *d = event->deployment;
    const struct deployment_step *step = current_step(d);
    struct buf text CLEANUP(buf_done) = BUF_INIT(AREA_MAX);
    if (!deploy_live_is_on(live)) {
        return;
    }
    if (live->area == NULL) {
        live->area = live_new(live->cli, live->on_stderr);
    }
    if (event->kind == DEPLOY_EVENT_PROGRESS) {
        return; // the bars move by themselves
    }
    bool uploads = event->kind == DEPLOY_EVENT_IMAGE;
    live_follow(live->area, uploads ? &(struct live_drawer){push_bars_live, live->layers} : NULL);
    if (event->kind == DEPLOY_EVENT_FINISHED) {
        live_finish(live->area, STR(""));
        return;
    }
    if (step == NULL) { // between two steps
        live_update(live->area, STR(""));
        return;
    }
    buf_printf(
        &text, LIVE_SPINNER " %-18s %s\n", step->name, step->reason != NULL ? step->reason : "");
    if (strcmp(step->kind, "follow") == 0) {
        put_run(live, d, &text);
    }
    if (strcmp(step->kind, "rollout") == 0) {
        target_area(d, LIVE_SPINNER, live->cli->color, &text);
    }
    live_update(live->area, buf_str(&text));
}
