// Step "trigger": exactly one dispatch of the infra workflow (protocols.md §3.6, §3.7). The intent
// is durable before the one POST; an answer that leaves doubt is looked into, never sent again.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"

enum {
    RECONCILE_WINDOW_MS = 5 * 60 * 1000,
    AGAIN_MS = 5 * 1000,
    URL_MAX = 300,
};

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    (void)step;
    buf_printf(out, "trigger %s in %s at %s", d->workflow_file, d->workflow_repo, d->workflow_ref);
    for (size_t i = 0; i < d->inputs.count; i++) {
        buf_printf(out, "%s%s=%s", i == 0 ? " with " : ", ", d->inputs.items[i].key,
            d->inputs.items[i].value);
    }
}

static void
adopt(const struct step_run *run, int64_t id, const char *url, const char *state)
{
    struct deployment *d = run->deployment;
    d->run_id = id;
    d->run_url = context_clean(run->arena, url, URL_MAX);
    d->dispatch_state = state;
    run->context->pace->owes_cancel = d->served && d->cancel_requested;
    d->wait_started_ms = clock_wall(run->context->platform->clock);
}

static struct error *
unknown(const struct step_run *run, struct error *cause, const char *explanation)
{
    struct deployment *d = run->deployment;
    d->dispatch_state = "unknown";
    struct error *err = cause != NULL ? error_wrap_as(ERROR_UNKNOWN, cause,
                                            "whether the run of '%s' was started is unknown: %s",
                                            d->workflow_file, explanation)
                                      : error_new(ERROR_UNKNOWN,
                                            "whether the run of '%s' was started is unknown: %s",
                                            d->workflow_file, explanation);
    return error_hint(err,
        "Look at %s/%s/actions for id %s; then 'dispatcher resolve %s --adopt RUN' "
        "or 'dispatcher resolve %s --abandon'.",
        d->github_web, d->workflow_repo, d->dispatch_id, d->id, d->id);
}

static void
begin_search(const struct step_run *run, struct error *cause)
{
    struct deploy_pace *pace = run->context->pace;
    if (pace->search.pause_ms == 0) {
        context_emit_text(run->context, run->deployment, DEPLOY_EVENT_NOTE,
            "the answer leaves doubt: looking for the run");
    }
    if (cause != NULL) {
        error_free(pace->cause);
        pace->cause = cause;
    }
}

// The search is over.
static struct error *
take_found(const struct step_run *run, struct reconcile_result *result, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct deploy_pace *pace = run->context->pace;
    bool accepted = cstr_equal(d->dispatch_state, "sent");
    // Without an id a run of that moment may be somebody else's: only a certain acceptance makes
    // the one and only candidate ours.
    bool certain = result->outcome == RECONCILE_FOUND && (d->id_input != NULL || accepted);
    if (!certain) {
        if (result->outcome == RECONCILE_FOUND) {
            result->explanation = arena_printf(run->arena,
                "%s began at that time, but the workflow has no '%s' input to tell whose it is",
                result->run.html_url, "distinct_id");
        }
        struct error *cause = pace->cause;
        pace->cause = NULL;
        return unknown(run, cause, result->explanation);
    }
    adopt(run, result->run.id, result->run.html_url, "adopted");
    out->note = arena_printf(run->arena, "run %lld, %s", (long long)d->run_id, result->explanation);
    return NULL;
}

// `cause` is what was seen of the POST (consumed), NULL for an accepted one without identity, and
// where the search goes on.
static struct error *
look_for_run(const struct step_run *run, struct error *cause, struct step_result *out)
{
    struct reconcile_result result = {0};
    int64_t window =
        context_tuning_ms(run->context, "DISPATCHER_RECONCILE_MS", RECONCILE_WINDOW_MS);
    begin_search(run, cause);
    struct error *err = reconcile(run, window, &result, out);
    if (err == NULL && out->outcome == STEP_WAIT) {
        return NULL;
    }
    err = err != NULL ? err : take_found(run, &result, out);
    pace_drop_search(run->context->pace);
    return err;
}

// {digest} is known after the push only, so the plan leaves it in place (prepare.c).
static const char *
with_digest(const struct step_run *run, const char *value)
{
    static const char mark[] = "{digest}";
    const char *digest = deployment_service_at(run->deployment, 0)->digest;
    struct buf out CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (const char *at = strstr(value, mark); at != NULL; at = strstr(value, mark)) {
        buf_append(&out, value, (size_t)(at - value));
        buf_puts(&out, digest != NULL ? digest : "");
        value = at + strlen(mark);
    }
    buf_puts(&out, value);
    return arena_str(run->arena, buf_str(&out));
}

static struct pair_list
inputs_to_send(const struct step_run *run)
{
    const struct deployment *d = run->deployment;
    struct pair *pairs = arena_array(run->arena, d->inputs.count + 1, sizeof(*pairs));
    size_t count = 0;
    for (size_t i = 0; i < d->inputs.count; i++) {
        const struct pair *input = &d->inputs.items[i];
        pairs[count++] = (struct pair){input->key, with_digest(run, input->value)};
    }
    if (d->id_input != NULL) {
        pairs[count++] = (struct pair){d->id_input, d->dispatch_id};
    }
    return (struct pair_list){pairs, count};
}

static struct error *
judge(const struct step_run *run, struct github_dispatch_result *sent, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct error *err = sent->error;
    sent->error = NULL;
    if (sent->sent_at_ms > 0) {
        d->dispatched_at_ms = sent->sent_at_ms;
    }
    switch (sent->class) {
    case GITHUB_SENT_KNOWN:
        error_free(err);
        adopt(run, sent->run_id, sent->html_url, "sent");
        out->note = arena_printf(run->arena, "run %lld", (long long)d->run_id);
        return NULL;
    case GITHUB_SENT_ANON:
        error_free(err);
        d->dispatch_state = "sent"; // durable: it tells that a run exists
        TRY(engine_save(run, "intent", "accepted without identity"));
        return look_for_run(run, NULL, out);
    case GITHUB_NOT_SENT:
        d->dispatch_state = NULL;
        return error_wrap(err, "nothing was sent");
    case GITHUB_REJECTED:
        d->dispatch_state = "rejected";
        return err;
    case GITHUB_LIMITED:
    case GITHUB_AMBIGUOUS:
        return look_for_run(run, err, out);
    }
    BUG_ON(true);
}

// The parameter says the new version while we wait: not longer than a run might be queued.
static int64_t
limit_of(const struct step_run *run)
{
    struct deploy_pace *pace = run->context->pace;
    if (pace->limit_mono_ms == 0) {
        pace->limit_mono_ms =
            clock_mono(run->context->platform->clock) + run->deployment->queue_timeout_ms;
    }
    return pace->limit_mono_ms;
}

// A rate limit refused the POST: wait as told, make sure that no run exists, only then once more.
// What has not left this machine is as if it was never asked for.
static struct error *
wait_for_limit(const struct step_run *run, struct github_dispatch_result *sent, bool has_left,
    struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct deploy_pace *pace = run->context->pace;
    char *text CLEANUP(xfreep) = error_text(sent->error);
    error_free(pace->cause);
    pace->cause = sent->error;
    sent->error = NULL;
    context_emit_text(run->context, d, DEPLOY_EVENT_WARNING,
        arena_printf(
            run->arena, "GitHub's rate limit: waiting (%s)", context_masked(run->arena, text)));
    d->dispatch_state = has_left || sent->posts > 0 ? "limited" : NULL;
    out->outcome = STEP_WAIT;
    out->until_ms = sent->not_before_ms;
    return engine_save(run, "waiting", "rate limit");
}

// A process that dies between the intent and the POST leaves a doubt that nobody can lift, so that
// nothing which takes time may stand between them.
static struct error *
get_ready(const struct step_run *run, struct github_client *github)
{
    struct error *err = github_dispatch_ready(github);
    if (err == NULL) {
        return NULL;
    }
    run->deployment->dispatch_state = NULL; // also after a limit: no run is there
    return error_wrap(err, "nothing was sent");
}

// Intent, then the one POST. `has_left`: an earlier one was refused by a rate limit.
static struct error *
send(const struct step_run *run, bool has_left, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct github_client *github = NULL;
    struct github_dispatch_result sent = {0};
    const char *before = d->dispatch_state;
    TRY(provider_github(run->context, d, &github));
    TRY(get_ready(run, github));
    d->dispatch_state = "intent";
    struct error *unsaved = engine_save(run, "intent", d->dispatch_id);
    if (unsaved != NULL) {
        d->dispatch_state = before;
        return unsaved;
    }
    error_freep(&run->context->pace->cause); // of what went wrong before
    const struct github_dispatch order = {d->workflow_file, d->workflow_ref, inputs_to_send(run)};
    github_dispatch_send(github, &order, run->arena, &sent);
    if (sent.class != GITHUB_LIMITED) {
        return judge(run, &sent, out);
    }
    if (sent.not_before_ms > limit_of(run)) {
        d->dispatch_state = "rejected";
        return error_wrap(sent.error, "GitHub's rate limit lasts too long");
    }
    return wait_for_limit(run, &sent, has_left, out);
}

// The limit is over: only where no run exists, once more.
static struct error *
send_again(const struct step_run *run, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct github_run found = {0};
    bool is_there = false;
    struct error *err = d->id_input != NULL ? reconcile_once(run, &found, &is_there) : NULL;
    if (err != NULL && error_kind(err) != ERROR_CANCELLED) { // not even a look: no certainty
        error_free(err);
        d->dispatch_state = "intent";
        return look_for_run(run, NULL, out);
    }
    TRY(err);
    if (is_there) {
        adopt(run, found.id, found.html_url, "adopted");
        out->note = arena_printf(run->arena, "run %lld, found by its id", (long long)d->run_id);
        return NULL;
    }
    return send(run, true, out);
}

// A process that takes over has not spoken with GitHub yet: whatever is looked for later is looked
// for by GitHub's clock, so ask it something first.
static struct error *
learn_time(const struct step_run *run)
{
    struct github_client *github = NULL;
    const char *workflow_state = NULL;
    bool fresh = run->context->github == NULL;
    TRY(provider_github(run->context, run->deployment, &github));
    if (fresh) {
        TRY(github_workflow_state(
            github, run->deployment->workflow_file, run->arena, &workflow_state));
    }
    run->deployment->dispatched_at_ms = github_server_now(github);
    return NULL;
}

static struct error *
trigger(const struct step_run *run, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct github_run earlier = {0};
    bool adopted = false;
    if (d->run_id != 0) {
        out->note = "known already";
        return NULL;
    }
    if (cstr_equal(d->dispatch_state, "limited")) {
        return send_again(run, out);
    }
    if (d->dispatch_state != NULL) { // an earlier process may have sent it
        return look_for_run(run, NULL, out);
    }
    TRY(learn_time(run));
    TRY(earlier_adopt(run, &earlier, &adopted));
    if (adopted) {
        adopt(run, earlier.id, earlier.html_url, "adopted");
        out->note =
            arena_printf(run->arena, "run %lld of an earlier attempt", (long long)d->run_id);
        return NULL;
    }
    return send(run, false, out);
}

// GitHub is out of reach and nothing has left. A command has tried for as long as it may; a service
// comes again, for as long as a run might be queued.
static bool
may_come_again(const struct step_run *run, const struct error *err)
{
    const struct deployment *d = run->deployment;
    return d->served && d->dispatch_state == NULL && error_kind(err) == ERROR_UNAVAILABLE &&
           clock_mono(run->context->platform->clock) + AGAIN_MS < limit_of(run);
}

static void
come_again(const struct step_run *run, struct error *err, struct step_result *out)
{
    const struct github_client *github = run->context->github;
    int64_t next = clock_mono(run->context->platform->clock) + AGAIN_MS;
    int64_t free_ms = github != NULL ? github_client_not_before(github) : 0;
    char *text CLEANUP(xfreep) = error_text(err);
    if (run->context->pace->cause == NULL) { // told once
        context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
            arena_printf(run->arena, "GitHub is out of reach, trying on: %s",
                context_masked(run->arena, text)));
        run->context->pace->cause = err;
    } else {
        error_free(err);
    }
    out->outcome = STEP_WAIT;
    out->until_ms = free_ms > next ? free_ms : next;
}

static struct error *
run_trigger(const struct step_run *run, struct step_result *out)
{
    out->outcome = STEP_DONE;
    struct error *err = trigger(run, out);
    if (err != NULL && may_come_again(run, err)) {
        come_again(run, err, out);
        return NULL;
    }
    if (err != NULL) {
        return error_wrap(err, "trigger '%s' in '%s'", run->deployment->workflow_file,
            run->deployment->workflow_repo);
    }
    return NULL;
}

const struct step_ops step_trigger = {"trigger", describe, run_trigger, NULL};
