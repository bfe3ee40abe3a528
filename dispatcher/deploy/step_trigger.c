// Step "trigger": exactly one dispatch of the infra workflow (protocols.md §3.6, §3.7). The intent
// is durable before the one POST; an answer that leaves doubt is looked into, never sent again.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"

enum {
    RECONCILE_WINDOW_MS = 5 * 60 * 1000,
    LIMITED_ROUNDS = 10,
};
// Re-runs of a caller's job reach back 30 days (facts §1.6); a little more for the clocks.
#define ADOPT_WINDOW_MS (INT64_C(35) * 24 * 3600 * 1000)

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
    d->run_url = arena_dup(run->arena, url);
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
    bool accepted = cause == NULL && !run->resumed;
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

// A re-run of the caller's job has the same id: its earlier attempt may have a run that still goes.
static struct error *
adopt_earlier(const struct step_run *run, bool *adopted)
{
    struct deployment *d = run->deployment;
    const char *attempt = env_get(run->context->platform, "GITHUB_RUN_ATTEMPT");
    int64_t now = clock_wall(run->context->platform->clock);
    if (d->id_input == NULL || attempt == NULL || strcmp(attempt, "1") == 0 ||
        str_starts(str_of(d->claim_key), STR("local/"))) {
        return NULL;
    }
    for (;; d->dispatch_try++) {
        struct github_run found = {0};
        bool is_there = false;
        d->dispatch_id = dispatch_id_make(run->arena, d->claim_key, d->dispatch_try);
        TRY(reconcile_once(run, now - ADOPT_WINDOW_MS, d->dispatch_id, &found, &is_there));
        if (!is_there) {
            return NULL;
        }
        if (!github_run_is_complete(&found) || cstr_equal(found.conclusion, "success")) {
            adopt(run, found.id, found.html_url, "adopted");
            *adopted = true;
            return NULL;
        }
    }
}

static struct pair_list
inputs_to_send(const struct step_run *run)
{
    const struct deployment *d = run->deployment;
    struct pair *pairs = arena_array(run->arena, d->inputs.count + 1, sizeof(*pairs));
    size_t count = 0;
    for (size_t i = 0; i < d->inputs.count; i++) {
        pairs[count] = d->inputs.items[i];
        struct str head = {0}, rest = str_of(pairs[count].value);
        const char *mark = strstr(pairs[count].value, "{digest}");
        if (mark != NULL) {
            head = (struct str){rest.ptr, (size_t)(mark - rest.ptr)};
            pairs[count].value = arena_printf(run->arena, "%.*s%s%s", STR_FMT(head),
                deployment_service_at(d, 0)->digest, mark + strlen("{digest}"));
        }
        count++;
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
        d->dispatch_state = "sent";
        return look_for_run(run, NULL, out);
    case GITHUB_NOT_SENT:
        d->dispatch_state = NULL;
        return error_wrap(err, "nothing was sent");
    case GITHUB_REJECTED:
        d->dispatch_state = "rejected";
        return err;
    case GITHUB_LIMITED:
    case GITHUB_AMBIGUOUS:
        if (error_kind(err) == ERROR_CANCELLED) {
            return err; // the intent stands: resume looks for the run
        }
        return look_for_run(run, err, out);
    }
    BUG_ON(true);
}

// A rate limit refused the POST: wait as told, make sure that no run exists, only then once more.
static struct error *
wait_for_limit(const struct step_run *run, const struct github_dispatch_result *sent)
{
    const struct platform *platform = run->context->platform;
    struct deployment *d = run->deployment;
    char *text CLEANUP(xfreep) = error_text(sent->error);
    context_emit_text(run->context, d, DEPLOY_EVENT_WARNING,
        arena_printf(run->arena, "GitHub's rate limit: waiting (%s)", text));
    TRY(clock_sleep_until(platform->clock, sent->not_before_ms, platform->cancel));
    if (d->id_input == NULL || sent->posts == 0) {
        return NULL;
    }
    struct github_run found = {0};
    bool is_there = false;
    TRY(reconcile_once(run, d->dispatched_at_ms, d->dispatch_id, &found, &is_there));
    if (is_there) {
        adopt(run, found.id, found.html_url, "adopted");
    }
    return NULL;
}

static struct error *
send(const struct step_run *run, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct github_client *github = NULL;
    TRY(provider_github(run->context, d, &github));
    const struct github_dispatch order = {d->workflow_file, d->workflow_ref, inputs_to_send(run)};
    for (int round = 0; round < LIMITED_ROUNDS; round++) {
        struct github_dispatch_result sent = {0};
        github_dispatch_send(github, &order, run->arena, &sent);
        if (sent.class != GITHUB_LIMITED) {
            return judge(run, &sent, out);
        }
        struct error *err = wait_for_limit(run, &sent);
        error_free(sent.error);
        if (err != NULL) {
            return err;
        }
        if (d->run_id != 0) {
            out->note = arena_printf(run->arena, "run %lld, found by its id", (long long)d->run_id);
            return NULL;
        }
    }
    d->dispatch_state = "rejected";
    return error_new(ERROR_UNAVAILABLE, "GitHub's rate limit kept refusing the dispatch");
}

static struct error *
trigger(const struct step_run *run, struct step_result *out)
{
    struct deployment *d = run->deployment;
    if (d->run_id != 0) {
        out->note = "known already";
        return NULL;
    }
    if (d->dispatch_state != NULL) { // an earlier process may have sent it
        return look_for_run(run, NULL, out);
    }
    d->dispatch_try = d->dispatch_try > 0 ? d->dispatch_try : 1;
    bool adopted = false;
    TRY(adopt_earlier(run, &adopted));
    if (adopted) {
        out->note =
            arena_printf(run->arena, "run %lld of an earlier attempt", (long long)d->run_id);
        return NULL;
    }
    d->dispatch_id = dispatch_id_make(run->arena, d->claim_key, d->dispatch_try);
    struct github_client *github = NULL;
    TRY(provider_github(run->context, d, &github));
    d->dispatched_at_ms = github_server_now(github);
    d->dispatch_state = "intent";
    TRY(engine_save(run, "intent", d->dispatch_id));
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
