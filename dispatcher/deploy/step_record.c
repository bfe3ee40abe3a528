// Step "record": the parameter versions that a successful run used carry the label `deployed`, and
// what is proven about the running digest is read back (protocols.md §4.1 step 5, C16). A label
// that cannot be set is a warning: the deployment has happened.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/ssm.h"

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    (void)step;
    buf_printf(out, "label the parameter version%s 'deployed'", d->services.count > 1 ? "s" : "");
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

// Somebody else wrote while the run went: which of the two it rolled out is anybody's guess.
static void
note_change(const struct step_run *run, const struct deployment_service *service,
    const struct ssm_parameter *last)
{
    struct deployment *d = run->deployment;
    const char *who = context_clean(run->arena, last->last_modified_user, 120);
    d->proof = arena_printf(run->arena,
        "run succeeded, but parameter %s was changed to '%s' (version %lld, by %s) meanwhile: "
        "which "
        "of the two it rolled out is not checked",
        service->parameter, context_clean(run->arena, last->value, 60), (long long)last->version,
        who != NULL ? who : "somebody else");
    context_emit_text(run->context, d, DEPLOY_EVENT_WARNING, d->proof);
}

// The infra side (`dispatcher rollout` or `prove`) leaves its proof as the label `proven`.
static bool
is_proven(
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

static struct error *
record_service(const struct step_run *run, struct aws_session *aws,
    const struct deployment_service *service, size_t *labelled)
{
    struct error *err = ssm_label(aws, service->parameter, version_in_use(service), "deployed");
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    *labelled += err == NULL ? 1 : 0;
    if (err != NULL) {
        warn(run, "cannot label", service->parameter, err);
    }
    return NULL;
}

static const char *
unproven(const struct deployment *d)
{
    return d->has_target
               ? "run succeeded; running digest not checked (reading 'target:' comes with "
                 "'dispatcher rollout')"
               : "run succeeded; running digest not checked (no 'target:')";
}

// Nothing here may fail but by an interruption: the run has succeeded, and an error would take back
// what is deployed.
static struct error *
run_record(const struct step_run *run, struct step_result *out)
{
    struct deployment *d = run->deployment;
    struct aws_session *aws = NULL;
    size_t labelled = 0, proven = 0;
    d->proof = NULL;
    struct error *err = provider_aws(run->context, d, &aws);
    if (err != NULL) {
        warn(run, "cannot label", "of all services", err);
    }
    for (size_t i = 0; aws != NULL && i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        TRY(record_service(run, aws, service, &labelled));
        proven += is_proven(run, aws, service) ? 1 : 0;
    }
    d->proven = proven == d->services.count;
    if (d->proof == NULL) {
        d->proof = d->proven ? "the infra side proved that this digest runs" : unproven(d);
    }
    out->outcome = STEP_DONE;
    out->note = arena_printf(run->arena, "%zu of %zu labelled", labelled, d->services.count);
    return NULL;
}

const struct step_ops step_record = {"record", describe, run_record, NULL};
