// Step "prove": another tool has rolled out; what it made is compared with what the version
// parameters say, until it runs everywhere or the time is over. Changes nothing: its failure says
// whether at least the release before runs, or nobody can tell what does.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "ledger.h"
#include "target_internal.h"

enum { REASON_MAX = 400 };

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    (void)step;
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        buf_printf(out, "%slook whether '%s' runs %s", i > 0 ? "\n     " : "", target->name,
            target->forward.digest);
    }
}

static int64_t
now_ms(const struct step_run *run)
{
    return clock_mono(run->context->platform->clock);
}

// What was written by hand does not say its digest.
static struct error *
ask_registry(const struct step_run *run, const struct deployment_service *service,
    const char *version, const char **digest)
{
    const struct preparation p = {.deployment = run->deployment, .arena = run->arena};
    struct deployment_service asked = *service;
    asked.version = version;
    asked.digest = NULL;
    if (!tag_is_valid(str_of(version))) {
        return NULL;
    }
    TRY(snapshot_registry(run->context, &p, &asked));
    *digest = asked.digest;
    return NULL;
}

// Does every target that does not run what it must run the proven release before it, whole?
static struct error *
is_release_before(const struct step_run *run, struct aws_session *aws,
    struct deployment_target *target, const char **version)
{
    const struct deployment *d = run->deployment;
    const struct deployment_service *service = deployment_service_at(d, (size_t)target->service);
    struct ledger ledger = {0};
    TRY(ledger_read(aws, service->parameter, run->arena, &ledger));
    const struct ledger_release *before = ledger_find_before(&ledger);
    const char *digest = before != NULL ? before->digest : NULL;
    if (before != NULL && digest == NULL) {
        TRY(ask_registry(run, service, before->version, &digest));
    }
    if (digest == NULL) {
        return NULL;
    }
    struct deployment_target seen = *target; // what is asked of the other digest is not the proof
    TRY(target_ops_find(target->want.kind)->prove(run, &seen, digest));
    *version = seen.proven ? before->version : NULL;
    return NULL;
}

static struct error *
look_for_before(const struct step_run *run, const char **version)
{
    struct aws_session *aws = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    for (size_t i = 0; i < run->deployment->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(run->deployment, i);
        if (!target->proven) {
            *version = NULL;
            TRY(is_release_before(run, aws, target, version));
            if (*version == NULL) {
                return NULL;
            }
        }
    }
    return NULL;
}

static struct error *
not_running(const struct step_run *run, const struct deployment_target *which, size_t left)
{
    const struct deployment *d = run->deployment;
    const char *version = NULL, *why = which->proof;
    struct error *err = look_for_before(run, &version);
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    error_free(err); // the worse of the two is said then
    bool is_back = version != NULL && left == d->targets.count;
    const char *proof =
        context_clean(run->arena, why != NULL ? why : "no running task was found", REASON_MAX);
    if (is_back) {
        return error_new(ERROR_RESTORED, "'%s' does not run '%s': %s; '%s', proven before, runs",
            which->name, d->version, proof, context_clean(run->arena, version, 128));
    }
    return error_hint(
        error_new(ERROR_NOT_RESTORED, "'%s' does not run '%s': %s", which->name, d->version, proof),
        "'dispatcher status %s --env %s' shows what runs; 'dispatcher rollback %s --env %s "
        "--reason TEXT' goes back.",
        d->app, d->env, d->app, d->env);
}

// A platform that does not answer now may do so before the time is over.
static struct error *
bear(const struct step_run *run, struct error *err, bool late)
{
    if (error_kind(err) != ERROR_UNAVAILABLE || late) {
        return error_wrap(err, "what runs could not be read");
    }
    if (run->context->pace->unseen_mono_ms == 0) {
        char *text CLEANUP(xfreep) = error_text(err);
        run->context->pace->unseen_mono_ms = now_ms(run);
        context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
            context_clean(run->arena,
                arena_printf(run->arena, "cannot look at what runs, trying on: %s", text),
                REASON_MAX));
    }
    error_free(err);
    return NULL;
}

static struct error *
run_prove(const struct step_run *run, struct step_result *out)
{
    struct deploy_context *context = run->context;
    const struct deployment *d = run->deployment;
    const struct deployment_target *which = NULL;
    size_t left = d->targets.count;
    if (context->pace->prove_mono_ms == 0) {
        context->pace->prove_mono_ms = now_ms(run);
    }
    struct error *err = rollout_prove(run, &left, &which);
    int64_t end = context->pace->prove_mono_ms + d->rollout_timeout_ms, now = now_ms(run);
    bool is_seen = err == NULL;
    if (!is_seen) {
        TRY(error_kind(err) == ERROR_CANCELLED ? err : bear(run, err, now >= end));
    } else {
        context->pace->unseen_mono_ms = 0;
    }
    if (is_seen && left == 0) {
        out->outcome = STEP_DONE;
        out->note = arena_printf(run->arena, "%zu of %zu", d->targets.count, d->targets.count);
        return NULL;
    }
    if (is_seen && now >= end) {
        return not_running(run, which, left);
    }
    int64_t next = now + rollout_poll_ms(run);
    out->outcome = STEP_WAIT;
    out->until_ms = next < end ? next : end;
    return NULL;
}

const struct step_ops step_prove = {"prove", describe, run_prove, NULL};
