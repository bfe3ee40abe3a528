// Step "trigger": exactly one dispatch of the infra workflow (protocols.md §3.6, §3.7). The intent
// is durable before the one POST; an answer that leaves doubt is looked into, never sent again.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"

enum {
    RECONCILE_WINDOW_MS = 5 * 60 * 1000,
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

// `cause` is what was seen of the POST (consumed), NULL for an accepted one without identity.
static struct error *
look_for_run(const struct step_run *run, struct error *cause, struct step_result *out)
{
    struct reconcile_result result = {0};
    struct deployment *d = run->deployment;
    bool accepted = cstr_equal(d->dispatch_state, "sent");
    context_emit_text(
        run->context, d, DEPLOY_EVENT_NOTE, "the answer leaves doubt: looking for the run");
    int64_t window =
        context_tuning_ms(run->context, "DISPATCHER_RECONCILE_MS", RECONCILE_WINDOW_MS);
    struct error *err = reconcile(run, window, &result);
    if (err != NULL) {
        error_free(cause);
        return err;
    }
    // Without an id a run of that moment may be somebody else's: only a certain acceptance makes
    // the one and only candidate ours.
    bool certain = result.outcome == RECONCILE_FOUND && (d->id_input != NULL || accepted);
    if (!certain) {
        if (result.outcome == RECONCILE_FOUND) {
            result.explanation = arena_printf(run->arena,
                "%s began at that time, but the workflow has no '%s' input to tell whose it is",
                result.run.html_url, "distinct_id");
        }
        return unknown(run, cause, result.explanation);
    }
    error_free(cause);
    adopt(run, result.run.id, result.run.html_url, "adopted");
    out->outcome = STEP_DONE;
    out->note = arena_printf(run->arena, "run %lld, %s", (long long)d->run_id, result.explanation);
    return NULL;
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
        out->outcome = STEP_DONE;
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

static struct error *
sleep_out_limit(const struct step_run *run, const struct github_dispatch_result *sent)
{
    const struct platform *platform = run->context->platform;
    char *text CLEANUP(xfreep) = error_text(sent->error);
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
        arena_printf(
            run->arena, "GitHub's rate limit: waiting (%s)", context_masked(run->arena, text)));
    return clock_sleep_until(platform->clock, sent->not_before_ms, platform->cancel);
}

// A rate limit refused the POST: wait as told, make sure that no run exists, only then once more.
static struct error *
wait_for_limit(
    const struct step_run *run, const struct github_dispatch_result *sent, bool *any_left)
{
    struct deployment *d = run->deployment;
    *any_left = *any_left || sent->posts > 0;
    struct error *err = sleep_out_limit(run, sent);
    if (err != NULL) {
        d->dispatch_state = *any_left ? d->dispatch_state : NULL; // nothing left this machine
        return err;
    }
    if (d->id_input == NULL || !*any_left) {
        return NULL;
    }
    struct github_run found = {0};
    bool is_there = false;
    TRY(reconcile_once(run, &found, &is_there));
    if (is_there) {
        adopt(run, found.id, found.html_url, "adopted");
    }
    return NULL;
}

// The parameter says the new version while we wait: not longer than a run might be queued.
static bool
is_too_late(const struct step_run *run, const struct github_dispatch_result *sent, int64_t end_ms)
{
    if (sent->not_before_ms <= end_ms) {
        return false;
    }
    run->deployment->dispatch_state = "rejected";
    return true;
}

static struct error *
send(const struct step_run *run, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct github_client *github = NULL;
    bool any_left = false;
    TRY(provider_github(run->context, d, &github));
    int64_t end_ms = clock_mono(run->context->platform->clock) + d->queue_timeout_ms;
    const struct github_dispatch order = {d->workflow_file, d->workflow_ref, inputs_to_send(run)};
    for (;;) {
        struct github_dispatch_result sent = {0};
        github_dispatch_send(github, &order, run->arena, &sent);
        if (sent.class != GITHUB_LIMITED) {
            return judge(run, &sent, out);
        }
        if (is_too_late(run, &sent, end_ms)) {
            return error_wrap(sent.error, "GitHub's rate limit lasts too long");
        }
        struct error *err = wait_for_limit(run, &sent, &any_left);
        if (err != NULL && error_kind(err) != ERROR_CANCELLED) { // not even a look: no certainty
            error_free(err);
            return look_for_run(run, sent.error, out);
        }
        error_free(sent.error);
        TRY(err);
        if (d->run_id != 0) {
            out->note = arena_printf(run->arena, "run %lld, found by its id", (long long)d->run_id);
            return NULL;
        }
    }
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
    d->dispatch_state = "intent";
    struct error *unsaved = engine_save(run, "intent", d->dispatch_id);
    if (unsaved != NULL) {
        d->dispatch_state = NULL;
        return unsaved;
    }
    return send(run, out);
}

static struct error *
run_trigger(const struct step_run *run, struct step_result *out)
{
    out->outcome = STEP_DONE;
    struct error *err = trigger(run, out);
    if (err != NULL) {
        return error_wrap(err, "trigger '%s' in '%s'", run->deployment->workflow_file,
            run->deployment->workflow_repo);
    }
    return NULL;
}

const struct step_ops step_trigger = {"trigger", describe, run_trigger, NULL};
