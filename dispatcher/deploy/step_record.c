// Step "record": what is proven is said, and remembered where the next deployment and a rollback
// look for it: as labels of the parameter versions (ledger.h) and on the platform (target_ops). The
// proof is the rollout's own; of an infra workflow it is read back, or looked for with our own eyes
// (spec-format.md "What proven means"). A label that cannot be set is a warning: the deployment has
// happened.
#include <string.h>

#include "dispatcher/memory.h"
#include "ledger.h"
#include "target_internal.h"

enum { TEXT_MAX = 400 };

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    (void)step;
    if (d->services.count == 0) { // workers alone have no version that is written down
        buf_puts(out, deployment_is_direct(d) ? "tag the services with what was deployed"
                                              : "look at what the targets run");
        return;
    }
    buf_printf(out, "label the parameter version%s 'deployed'%s", d->services.count > 1 ? "s" : "",
        deployment_is_direct(d) ? ", and 'proven' where the digest is seen to run" : "");
}

static int64_t
version_in_use(const struct deployment_service *service)
{
    return service->written_version != 0 ? service->written_version : service->previous_version;
}

static void
warn(const struct step_run *run, const char *what, const char *parameter, struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
        arena_printf(run->arena, "%s parameter '%s': %s", what, parameter,
            context_masked(run->arena, text)));
    error_free(err);
}

// --- what is proven ----------------------------------------------------------------------------

// Somebody else wrote while the run went: which of the two it rolled out is anybody's guess.
static void
note_change(const struct step_run *run, const struct deployment_service *service,
    const struct ssm_parameter *last)
{
    struct deployment *d = run->deployment;
    const char *who = context_clean(run->arena, last->last_modified_user, 120);
    const char *change =
        arena_printf(run->arena, "parameter %s was changed to '%s' (version %lld, by %s) meanwhile",
            service->parameter, context_clean(run->arena, last->value, 60),
            (long long)last->version, who != NULL ? who : "somebody else");
    if (deployment_is_direct(d)) { // we know what we rolled out: the next rollout will take theirs
        deployment_note(d, run->arena, change);
        context_emit_text(run->context, d, DEPLOY_EVENT_WARNING, change);
        return;
    }
    d->proof = arena_printf(
        run->arena, "run succeeded, but %s: which of the two it rolled out is not checked", change);
    context_emit_text(run->context, d, DEPLOY_EVENT_WARNING, d->proof);
}

// The infra side (`dispatcher rollout` or `prove`) leaves its proof as the label `proven`.
static bool
has_proof(
    const struct step_run *run, struct aws_session *aws, const struct deployment_service *service)
{
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    int64_t version = version_in_use(service);
    struct error *err =
        ssm_history(aws, service->parameter, version - 1, run->arena, &list, &count);
    if (err != NULL) {
        warn(run, "cannot read the history of", service->parameter, err);
        return false;
    }
    if (count > 0 && list[count - 1].version > version) {
        note_change(run, service, &list[count - 1]);
        return false;
    }
    return count > 0 && list[0].version == version && ssm_has_label(&list[0], "proven");
}

// Do all targets of the service run its digest? `index` -1: of everything.
static bool
is_seen(const struct deployment *d, int64_t index)
{
    size_t proven = 0, all = 0;
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (index < 0 || target->service == index) {
            all++;
            proven += target->proven ? 1 : 0;
        }
    }
    return all > 0 && proven == all;
}

static const struct deployment_target *
find_unseen(const struct deployment *d, size_t *count)
{
    const struct deployment_target *found = NULL;
    *count = 0;
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (!target->proven) {
            found = found == NULL ? target : found;
            (*count)++;
        }
    }
    return found;
}

// "all 3 targets run the digest that was asked for; 2 checks passed", and what nobody can see.
static const char *
proof_of_targets(const struct step_run *run)
{
    const struct deployment *d = run->deployment;
    size_t unseen = 0, count = d->targets.count;
    const struct deployment_target *which = find_unseen(d, &unseen);
    struct buf text CLEANUP(buf_done) = BUF_INIT(8 * 1024);
    if (which == NULL && count == 1) {
        const char *proof = deployment_target_at(d, 0)->proof;
        buf_puts(&text, proof != NULL ? proof : "the digest that was asked for runs");
    } else if (which == NULL) {
        buf_printf(&text, "all %zu targets run the digest that was asked for", count);
    } else {
        if (count > 1) {
            buf_printf(&text, "%zu of %zu targets %s proven by digest: ", count - unseen, count,
                count - unseen == 1 ? "is" : "are");
        }
        buf_printf(&text, "'%s'", which->name);
        if (unseen > 1) {
            buf_printf(&text, " and %zu other%s", unseen - 1, unseen > 2 ? "s" : "");
        }
        buf_puts(&text, which->forward.digest == NULL
                            ? " came from source code, of which nobody can say what runs"
                            : " could not be compared");
    }
    if (d->verify.count > 0 && deployment_is_direct(d)) {
        buf_printf(&text, "; %zu check%s passed", d->verify.count, d->verify.count == 1 ? "" : "s");
    }
    return context_masked(run->arena, buf_cstr(&text));
}

// --- looking ourselves -------------------------------------------------------------------------

static struct error *
look_at(const struct step_run *run, struct deployment_target *target)
{
    const struct deployment *d = run->deployment;
    if (target->forward.digest != NULL || target->service < 0) {
        return NULL;
    }
    const struct str_list notes = d->notes; // of what a rollout from here would meet
    TRY(target_ops_find(target->want.kind)->look(run, target));
    run->deployment->notes = notes;
    target->before = target->before_digest = target->before_version = NULL; // that was after it
    target->note = NULL;
    target->forward.digest = deployment_service_at(d, (size_t)target->service)->digest;
    return NULL;
}

static struct error *
look_at_all(const struct step_run *run, size_t *left, const struct deployment_target **which)
{
    for (size_t i = 0; i < run->deployment->targets.count; i++) {
        TRY(look_at(run, deployment_target_at(run->deployment, i)));
    }
    return rollout_prove(run, left, which);
}

// The infra side left no proof: what our credentials may read says it as well. *wait: look again.
static struct error *
look_ourselves(const struct step_run *run, bool *wait)
{
    struct deploy_context *context = run->context;
    struct deployment *d = run->deployment;
    const struct deployment_target *which = NULL;
    int64_t now = clock_mono(context->platform->clock);
    size_t left = 0;
    context->pace->prove_mono_ms =
        context->pace->prove_mono_ms != 0 ? context->pace->prove_mono_ms : now;
    struct error *err = look_at_all(run, &left, &which);
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        d->proof = context_clean(run->arena,
            arena_printf(run->arena, "run succeeded; running digest not checked: %s", text),
            TEXT_MAX);
        error_free(err);
        return NULL;
    }
    if (left == 0) {
        d->proof =
            arena_printf(run->arena, "run succeeded; looked ourselves: %s", proof_of_targets(run));
        return NULL;
    }
    *wait = now - context->pace->prove_mono_ms <
            context_tuning_ms(context, "DISPATCHER_PROVE_MS", ROLLOUT_PROVE_MS);
    if (!*wait) { // nothing is taken back: the infra side may still be at it
        return error_hint(error_new(ERROR_UNKNOWN,
                              "run %lld succeeded, but '%s' does not run what was asked for: %s",
                              (long long)d->run_id, which->name,
                              which->proof != NULL ? which->proof : "no running task was found"),
            "The infra side may still roll out, or rolled out something else; 'dispatcher resume "
            "%s' looks again.",
            d->id);
    }
    return NULL;
}

// --- remembering -------------------------------------------------------------------------------

static struct error *
mark(const struct step_run *run, struct aws_session *aws, size_t index, size_t *labelled)
{
    const struct deployment *d = run->deployment;
    const struct deployment_service *service = deployment_service_at(d, index);
    struct error *err = ledger_mark(
        aws, service->parameter, version_in_use(service), is_seen(d, (int64_t)index), d->keep);
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    *labelled += err == NULL ? 1 : 0;
    if (err != NULL) {
        warn(run, "cannot label", service->parameter, err);
    }
    return NULL;
}

static void
mark_targets(const struct step_run *run)
{
    for (size_t i = 0; i < run->deployment->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(run->deployment, i);
        const struct target_ops *ops = target_ops_find(target->want.kind);
        // What another tool rolled out, it describes: a tag of ours would be drift to it.
        bool is_ours =
            deployment_is_direct(run->deployment) && !cstr_equal(run->deployment->verb, "prove");
        // What is built from source is never proven; whose it is can be said all the same.
        bool fine = target->proven || (target->forward.digest == NULL &&
                                          cstr_equal(target->forward.outcome, "succeeded"));
        if (fine && is_ours && ops->record != NULL) {
            ops->record(run, target);
        }
    }
}

static struct error *
mark_all(const struct step_run *run, struct aws_session *aws, struct step_result *out)
{
    const struct deployment *d = run->deployment;
    size_t labelled = 0;
    for (size_t i = 0; aws != NULL && i < d->services.count; i++) {
        TRY(mark(run, aws, i, &labelled));
    }
    mark_targets(run);
    run->step->note = d->services.count > 0 ? arena_printf(run->arena, "%zu of %zu labelled",
                                                  labelled, d->services.count)
                                            : "no version to label";
    run->context->pace->is_marked = true;
    return workers_remove_orphans(run, out);
}

// What the history says of all services: is it proven by the infra side, has somebody written?
static bool
read_proofs(const struct step_run *run, struct aws_session *aws)
{
    const struct deployment *d = run->deployment;
    size_t proven = 0;
    for (size_t i = 0; aws != NULL && i < d->services.count; i++) {
        proven += has_proof(run, aws, deployment_service_at(d, i)) ? 1 : 0;
    }
    return d->services.count > 0 && proven == d->services.count;
}

static bool
is_every_service_seen(const struct deployment *d)
{
    for (size_t i = 0; i < d->services.count; i++) {
        if (!is_seen(d, (int64_t)i)) {
            return false;
        }
    }
    return is_seen(d, -1);
}

// Nothing here may fail for good: what is deployed is deployed, and such an error would take it
// back. Interrupted, or seeing something else run, it is left open for `resume`.
static struct error *
run_record(const struct step_run *run, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct aws_session *aws = NULL;
    bool wait = false;
    if (run->context->pace->is_marked) {
        return workers_remove_orphans(run, out);
    }
    d->proof = NULL;
    struct error *err = provider_aws(run->context, d, &aws);
    if (err != NULL) {
        warn(run, "cannot label", "of all services", err);
    }
    bool is_told = read_proofs(run, aws);
    if (deployment_is_direct(d)) {
        d->proof = proof_of_targets(run);
    } else if (is_told) {
        d->proof = "the infra side proved that this digest runs";
    } else if (d->proof == NULL && d->targets.count > 0) {
        TRY(look_ourselves(run, &wait));
    } else if (d->proof == NULL) {
        d->proof = "run succeeded; running digest not checked (no 'target:')";
    }
    if (wait) {
        out->outcome = STEP_WAIT;
        out->until_ms = clock_mono(run->context->platform->clock) + rollout_poll_ms(run);
        return NULL;
    }
    d->proven = is_every_service_seen(d) || (is_told && !deployment_is_direct(d));
    return mark_all(run, aws, out);
}

const struct step_ops step_record = {"record", describe, run_record, NULL};
