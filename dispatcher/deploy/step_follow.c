// Step "follow": the run that we created, by its id, to `completed`, and nothing but `success` is
// green (dispatch-peers.md §4). One look a call; the engine sleeps in between.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"

enum {
    POLL_MS = 2000,
    FIRST_POLL_MS = 5500,      // a run is hardly ever picked up sooner, and each change costs quota
    FIRST_LIVE_POLL_MS = 2000, // somebody watches
    SLOW_AFTER_MS = 10 * 60 * 1000,
    SLOW_POLL_MS = 5000,
    LOST_MS = 5 * 60 * 1000, // a run that GitHub stops showing (protocols.md F20)
    CANCEL_GRACE_MS = 3 * 60 * 1000,
    NEWS_MAX = 3, // looks at one go
    URL_MAX = 300,
    WORD_MAX = 60,
};

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    (void)step;
    char limit[32];
    clock_format_duration(d->timeout_ms, limit);
    buf_printf(out, "follow the run to its end, %s at most", limit);
}

// Limits count on the monotonic clock: the wall clock may jump (dispatch-peers.md §4.8).
static int64_t
now_ms(const struct step_run *run)
{
    return clock_mono(run->context->platform->clock);
}

static struct error *
wait_more(const struct step_run *run, struct step_result *out)
{
    int64_t waited = now_ms(run) - run->context->pace->wait_mono_ms;
    int64_t poll = context_tuning_ms(run->context, "DISPATCHER_POLL_MS", POLL_MS);
    if (waited > SLOW_AFTER_MS && poll == POLL_MS) {
        poll = SLOW_POLL_MS;
    }
    out->outcome = STEP_WAIT;
    out->until_ms = now_ms(run) + poll;
    return NULL;
}

static bool
is_running(const struct deployment *d)
{
    return cstr_equal(d->run_status, "in_progress");
}

// True when it is news: an answer with another ETag may say the same, and so does the first one of
// a client that somebody else has followed the run before.
static bool
note_run(const struct step_run *run, const struct github_run *seen)
{
    struct deployment *d = run->deployment;
    const char *status = d->run_status, *conclusion = d->run_conclusion, *url = d->run_url;
    int64_t started_ms = d->run_started_ms, completed_ms = d->run_completed_ms;
    d->run_status = context_clean(run->arena, seen->status, WORD_MAX);
    d->run_conclusion = context_clean(run->arena, seen->conclusion, WORD_MAX);
    d->run_url =
        seen->html_url != NULL ? context_clean(run->arena, seen->html_url, URL_MAX) : d->run_url;
    d->run_started_ms = seen->started_ms;
    if (github_run_is_complete(seen)) {
        d->run_completed_ms = seen->updated_ms;
    }
    return !cstr_equal(status, d->run_status) || !cstr_equal(url, d->run_url) ||
           !cstr_equal(conclusion, d->run_conclusion) || started_ms != d->run_started_ms ||
           completed_ms != d->run_completed_ms;
}

// Waiting for a runner or an approval has a limit of its own.
static int64_t
limit_of(const struct step_run *run)
{
    const struct deployment *d = run->deployment;
    bool queued = run->context->pace->running_mono_ms == 0;
    int64_t limit = queued ? d->queue_timeout_ms : d->timeout_ms;
    return limit + (d->cancel_requested ? CANCEL_GRACE_MS : 0);
}

// When the time is over (mono).
static int64_t
deadline_of(const struct step_run *run)
{
    const struct deploy_pace *pace = run->context->pace;
    return (pace->running_mono_ms == 0 ? pace->wait_mono_ms : pace->running_mono_ms) +
           limit_of(run);
}

// NULL while there is time.
static struct error *
check_time(const struct step_run *run)
{
    const struct deployment *d = run->deployment;
    int64_t limit = limit_of(run);
    if (now_ms(run) < deadline_of(run)) {
        return NULL;
    }
    char text[32];
    clock_format_duration(limit, text);
    struct error *err = error_new(ERROR_STILL_RUNNING, "run %lld is still '%s' after %s",
        (long long)d->run_id, d->run_status != NULL ? d->run_status : "queued", text);
    return error_hint(
        err, "It goes on at %s; 'dispatcher resume %s' waits again.", d->run_url, d->id);
}

static struct error *
out_of_time(const struct step_run *run, struct error *late, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct github_client *github = NULL;
    if (!cstr_equal(d->on_timeout, "cancel") || d->cancel_requested) {
        return late;
    }
    error_free(late);
    d->cancel_requested = true;
    TRY(engine_save(run, "waiting", "out of time: cancelling the remote run"));
    context_emit_text(
        run->context, d, DEPLOY_EVENT_WARNING, "out of time: cancelling the remote run");
    TRY(provider_github(run->context, d, &github));
    struct error *err = github_run_cancel(github, d->run_id);
    if (err != NULL && error_kind(err) != ERROR_CANCELLED) {
        err = error_wrap_as(ERROR_STILL_RUNNING, err, "the run could not be cancelled");
        return error_hint(
            err, "It goes on at %s; 'dispatcher resume %s' waits again.", d->run_url, d->id);
    }
    TRY(err);
    return wait_more(run, out);
}

// The token does not work any more while the run goes on: what became of it cannot be seen.
static struct error *
lost_sight(const struct step_run *run, struct error *err)
{
    const struct deployment *d = run->deployment;
    err = error_wrap_as(
        ERROR_UNKNOWN, err, "the state of run %lld cannot be read any more", (long long)d->run_id);
    return error_hint(
        err, "The run goes on at %s; 'dispatcher resume %s' follows it again.", d->run_url, d->id);
}

static struct error *
not_there(const struct step_run *run, struct step_result *out)
{
    struct deploy_context *context = run->context;
    context->pace->owes_look = true;
    if (context->pace->missing_mono_ms == 0) {
        context->pace->missing_mono_ms = now_ms(run);
    }
    if (now_ms(run) - context->pace->missing_mono_ms < LOST_MS) {
        return wait_more(run, out);
    }
    return lost_sight(run, error_new(ERROR_UNKNOWN, "GitHub does not show it"));
}

static void
refresh_jobs(const struct step_run *run)
{
    bool changed = false;
    struct error *err = jobs_refresh(run, &changed);
    if (err != NULL) { // the run itself is what we follow
        error_free(err);
    } else if (changed) {
        context_emit(run->context,
            &(struct deploy_event){.kind = DEPLOY_EVENT_JOBS, .deployment = run->deployment});
    }
}

// Jobs cost a request that counts each time something moved: every look when somebody watches, else
// once when the run has begun.
static void
look_at_jobs(const struct step_run *run, bool run_changed)
{
    bool due = run->context->live
                   ? is_running(run->deployment)
                   : run_changed && is_running(run->deployment) && run->deployment->jobs.count == 0;
    if (due) {
        refresh_jobs(run);
    }
}

// Who only looks at news has not seen the jobs since.
static void
look_at_jobs_again(const struct step_run *run)
{
    if (run->context->feed != NULL) {
        refresh_jobs(run);
    }
}

static struct error *
conclude(const struct step_run *run, struct step_result *out)
{
    struct deployment *d = run->deployment;
    char took[32];
    clock_format_duration(d->run_completed_ms - d->run_started_ms, took);
    if (cstr_equal(d->run_conclusion, "success")) {
        look_at_jobs_again(run);
        out->outcome = STEP_DONE;
        out->note = arena_printf(run->arena, "success in %s", took);
        return NULL;
    }
    failure_collect(run);
    if (cstr_equal(d->run_conclusion, "cancelled")) {
        return error_new(ERROR_SUPERSEDED, "run %lld was cancelled%s", (long long)d->run_id,
            d->cancel_requested ? " on our request" : ", by a person or by a newer run");
    }
    const struct deployment_failure *f = &d->failure;
    if (f->job != NULL && f->step != NULL) {
        return error_new(ERROR_REFUSED, "run %lld ended as '%s': job '%s' failed at step '%s'",
            (long long)d->run_id, d->run_conclusion, f->job, f->step);
    }
    return error_new(
        ERROR_REFUSED, "run %lld ended as '%s'", (long long)d->run_id, d->run_conclusion);
}

// What is not in the journal must be told again.
static struct error *
tell_run(const struct step_run *run, struct github_client *github)
{
    struct error *err = engine_save(run, "waiting", run->deployment->run_status);
    if (err != NULL) {
        github_client_forget(github);
        run->context->pace->owes_look = true;
        return err;
    }
    context_emit(run->context,
        &(struct deploy_event){.kind = DEPLOY_EVENT_RUN, .deployment = run->deployment});
    return NULL;
}

static struct error *
look(const struct step_run *run, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct github_client *github = NULL;
    struct github_run *seen = NULL;
    bool changed = false;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    TRY(provider_github(run->context, d, &github));
    struct error *err = github_run_get(github, d->run_id, scratch, &seen, &changed);
    provider_count(run->context, d);
    run->context->pace->owes_look = err != NULL;
    if (err != NULL && error_kind(err) == ERROR_UNAVAILABLE) {
        log_debug(run->context->platform->log, "poll failed", F_STR("why", error_message(err)));
        error_free(err);
        return wait_more(run, out);
    }
    if (err != NULL) {
        return error_kind(err) == ERROR_CANCELLED ? err : lost_sight(run, err);
    }
    if (changed && seen == NULL) {
        return not_there(run, out);
    }
    run->context->pace->missing_mono_ms = 0;
    changed = changed && note_run(run, seen);
    if (changed) {
        TRY(tell_run(run, github));
    }
    if (is_running(d) && run->context->pace->running_mono_ms == 0) {
        run->context->pace->running_mono_ms = now_ms(run);
    }
    if (cstr_equal(d->run_status, "completed") && d->run_conclusion != NULL) {
        return conclude(run, out);
    }
    look_at_jobs(run, changed);
    return wait_more(run, out);
}

// Just sent, there is nothing to see yet. *due_ms: now, or when there may be (mono).
static void
find_first_look(const struct step_run *run, int64_t *due_ms)
{
    const struct deployment *d = run->deployment;
    int64_t first = context_tuning_ms(run->context, "DISPATCHER_POLL_MS",
        run->context->live ? FIRST_LIVE_POLL_MS : FIRST_POLL_MS);
    int64_t since = clock_wall(run->context->platform->clock) - d->wait_started_ms;
    bool is_over = d->run_status != NULL || since > first || run->context->feed != NULL;
    *due_ms = now_ms(run) + (is_over ? 0 : since < 0 ? first : first - since);
}

// A resumed wait gets its whole time again. Whoever adopted the run has looked at it: a 304 to our
// first look would tell nothing.
static struct error *
begin_wait(const struct step_run *run, struct step_result *out)
{
    struct github_client *github = NULL;
    TRY(provider_github(run->context, run->deployment, &github));
    github_client_forget(github);
    run->context->pace->wait_mono_ms = now_ms(run);
    find_first_look(run, &out->until_ms);
    out->outcome = out->until_ms > now_ms(run) ? STEP_WAIT : STEP_DONE;
    return NULL;
}

// Is a look due? Where somebody looks for all deployments at once, only on news, and at the end of
// our time. A look that failed is still owed, and a run that is over has no news.
static bool
is_look_due(const struct step_run *run, struct step_result *out)
{
    const struct deploy_run_feed *feed = run->context->feed;
    const struct deployment *d = run->deployment;
    int64_t until_ms = INT64_MAX, deadline_ms = deadline_of(run);
    bool is_owed = run->context->pace->owes_look || cstr_equal(d->run_status, "completed");
    if (feed == NULL || is_owed || now_ms(run) >= deadline_ms ||
        feed->has_news(feed->ctx, d->workflow_repo, d->run_id, &until_ms)) {
        return true;
    }
    out->outcome = STEP_WAIT;
    out->until_ms = until_ms < deadline_ms ? until_ms : deadline_ms;
    return false;
}

// Best effort: whoever asked for it asks again.
static struct error *
cancel_owed(const struct step_run *run)
{
    struct github_client *github = NULL;
    if (!run->context->pace->owes_cancel) {
        return NULL;
    }
    TRY(provider_github(run->context, run->deployment, &github));
    struct error *err = github_run_cancel(github, run->deployment->run_id);
    run->context->pace->owes_cancel = false;
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    error_free(err);
    return NULL;
}

static struct error *
look_once(const struct step_run *run, struct step_result *out)
{
    TRY(look(run, out));
    struct error *late = out->outcome == STEP_WAIT ? check_time(run) : NULL;
    return late != NULL ? out_of_time(run, late, out) : NULL;
}

static struct error *
run_follow(const struct step_run *run, struct step_result *out)
{
    struct deploy_pace *pace = run->context->pace;
    if (pace->wait_mono_ms == 0) {
        TRY(begin_wait(run, out));
        if (out->outcome == STEP_WAIT) {
            return NULL;
        }
    }
    TRY(cancel_owed(run));
    for (int looks = 0; looks < NEWS_MAX && is_look_due(run, out); looks++) {
        TRY(look_once(run, out));
        bool may_be_more = run->context->feed != NULL && !pace->owes_look;
        if (out->outcome != STEP_WAIT || !may_be_more) {
            return NULL;
        }
    }
    return NULL;
}

const struct step_ops step_follow = {"follow", describe, run_follow, NULL};
