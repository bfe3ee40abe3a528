// Step "write": the version parameter of one service says the new version, and we know which
// version number that is. Parameter Store has no compare-and-set: every write is checked afterwards
// for contiguity, so that no foreign write is lost (protocols.md §4.1 steps 2, 3, 3' and 6).
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/ssm.h"

enum { ROUNDS_MAX = 3, READ_BACK_PAUSE_MS = 2000 };

static struct deployment_service *
service_of(const struct step_run *run)
{
    return deployment_service_at(run->deployment, (size_t)run->step->service);
}

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    const struct deployment_service *service = deployment_service_at(d, (size_t)step->service);
    buf_printf(out, "write '%s' to parameter %s", d->version, service->parameter);
}

// Versions after `after`; none when the parameter does not exist.
static struct error *
read_history(const struct step_run *run, struct aws_session *aws, const char *name, int64_t after,
    struct ssm_parameter **list, size_t *count)
{
    *count = 0;
    struct error *err = ssm_history(aws, name, after, run->arena, list, count);
    if (err != NULL && cstr_equal(error_remote_of(err)->code, "ParameterNotFound")) {
        error_free(err);
        return NULL;
    }
    return err;
}

// Our own write among `list`: the description says whose it is (protocols.md D7).
static const struct ssm_parameter *
find_ours(const struct ssm_parameter *list, size_t count, const char *description)
{
    for (size_t i = count; i > 0; i--) {
        if (cstr_equal(list[i - 1].description, description)) {
            return &list[i - 1];
        }
    }
    return NULL;
}

static const struct ssm_parameter *
find_version(const struct ssm_parameter *list, size_t count, int64_t version)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].version == version) {
            return &list[i];
        }
    }
    return NULL;
}

// The answer to a Put is lost: did it arrive? Two reads, two seconds apart (step 3').
static struct error *
read_back(const struct step_run *run, struct aws_session *aws, const struct ssm_put *put,
    int64_t after, int64_t *version)
{
    const struct platform *platform = run->context->platform;
    for (int reads = 0; reads < 2; reads++) {
        struct ssm_parameter *list = NULL;
        size_t count = 0;
        if (reads > 0) {
            int64_t pause =
                context_tuning_ms(run->context, "DISPATCHER_READ_BACK_MS", READ_BACK_PAUSE_MS);
            TRY(clock_sleep_until(
                platform->clock, clock_mono(platform->clock) + pause, platform->cancel));
        }
        struct error *err = read_history(run, aws, put->name, after, &list, &count);
        if (err != NULL) {
            return error_kind(err) == ERROR_CANCELLED
                       ? err
                       : error_wrap_as(ERROR_UNKNOWN, err,
                             "whether parameter '%s' was written is unknown", put->name);
        }
        const struct ssm_parameter *ours = find_ours(list, count, put->description);
        if (ours != NULL) {
            *version = ours->version;
            return NULL;
        }
    }
    *version = 0;
    return NULL;
}

// Writes until it is known to have been written; the same value again is harmless.
static struct error *
put_surely(const struct step_run *run, struct aws_session *aws, const struct ssm_put *put,
    int64_t after, int64_t *version)
{
    for (int attempt = 1;; attempt++) {
        struct error *err = ssm_put(aws, put, version);
        if (err == NULL) {
            return NULL;
        }
        // Cleared by every definite refusal (ssm.h): then there is nothing to look for.
        if (!error_remote_of(err)->request_left || error_kind(err) == ERROR_CANCELLED) {
            return err;
        }
        int64_t found = 0;
        struct error *read_err = read_back(run, aws, put, after, &found);
        if (read_err != NULL || found != 0 || attempt == ROUNDS_MAX) {
            *version = found;
            if (read_err == NULL && found == 0) {
                return err;
            }
            error_free(err);
            return read_err;
        }
        error_free(err);
    }
}

// The value that is back is the one that was deployed before: its label moves along, else everybody
// would read the newest version as never deployed. Best effort, it decides nothing.
static void
carry_label(const struct step_run *run, struct aws_session *aws,
    const struct deployment_service *service, int64_t version)
{
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    int64_t n0 = service->previous_version;
    struct error *err = read_history(run, aws, service->parameter, n0 - 1, &list, &count);
    const struct ssm_parameter *before = err == NULL ? find_version(list, count, n0) : NULL;
    if (before != NULL && ssm_has_label(before, "deployed")) {
        err = ssm_label(aws, service->parameter, version, "deployed");
    }
    error_free(err);
}

// Puts `value` back above `base`, and again whatever foreign value slipped in between.
static struct error *
put_back(const struct step_run *run, struct aws_session *aws, struct deployment_service *service,
    const char *value, int64_t base)
{
    const char *description = arena_printf(run->arena, "dispatcher %s compensate n1=%lld",
        run->deployment->id, (long long)service->written_version);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int64_t version = 0;
        const struct ssm_put put = {
            service->parameter, value, description, service->parameter_type, true};
        TRY(put_surely(run, aws, &put, base, &version));
        if (version == base + 1) {
            service->restore = "restored";
            service->restore_note = arena_printf(
                run->arena, "'%.60s' is back as version %lld", value, (long long)version);
            if (cstr_equal(value, service->previous)) {
                carry_label(run, aws, service, version);
            }
            return NULL;
        }
        struct ssm_parameter *list = NULL;
        size_t count = 0;
        TRY(read_history(run, aws, service->parameter, base, &list, &count));
        const struct ssm_parameter *foreign = find_version(list, count, version - 1);
        if (foreign == NULL) {
            break;
        }
        value = foreign->value;
        base = version;
    }
    return error_new(ERROR_CONFLICT,
        "parameter '%s' is being written by somebody else all the time", service->parameter);
}

// Our write was not the next one after what we had read: the others' value wins, we step back.
static struct error *
step_back(const struct step_run *run, struct aws_session *aws, struct deployment_service *service)
{
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    int64_t n1 = service->written_version;
    TRY(read_history(run, aws, service->parameter, service->previous_version, &list, &count));
    const struct ssm_parameter *foreign = find_version(list, count, n1 - 1);
    if (foreign != NULL) {
        service->previous = foreign->value; // what an undo has to put back from now on
        TRY(put_back(run, aws, service, foreign->value, n1));
    }
    return error_hint(
        error_new(ERROR_CONFLICT,
            "parameter '%s' was changed by %s while we wrote it (version %lld)", service->parameter,
            foreign != NULL && foreign->last_modified_user != NULL ? foreign->last_modified_user
                                                                   : "somebody else",
            (long long)(n1 - 1)),
        "Their value stands again; nothing was triggered. Run the deployment again.");
}

static struct ssm_put
put_of(const struct step_run *run, const struct deployment_service *service)
{
    const char *description = arena_printf(run->arena, "dispatcher %s prev=%lld",
        run->deployment->id, (long long)service->previous_version);
    return (struct ssm_put){service->parameter, run->deployment->version, description,
        service->parameter_type, service->previous_version != 0};
}

static struct error *
write_version(
    const struct step_run *run, struct deployment_service *service, struct step_result *out)
{
    struct aws_session *aws = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    const struct ssm_put put = put_of(run, service);
    int64_t version = 0;
    if (run->resumed) {
        TRY(read_back(run, aws, &put, service->previous_version, &version));
    }
    if (version == 0) {
        TRY(put_surely(run, aws, &put, service->previous_version, &version));
    }
    service->written_version = version;
    if (version != service->previous_version + 1) {
        TRY(engine_save(run, "intent", "foreign write seen"));
        return step_back(run, aws, service);
    }
    out->outcome = STEP_DONE;
    out->note = arena_printf(run->arena, "version %lld", (long long)version);
    return NULL;
}

static struct error *
run_write(const struct step_run *run, struct step_result *out)
{
    struct deployment_service *service = service_of(run);
    struct error *err = write_version(run, service, out);
    if (err != NULL) {
        return error_wrap(err, "write version parameter '%s'", service->parameter);
    }
    return NULL;
}

static struct error *
restore_current(
    const struct step_run *run, struct aws_session *aws, struct deployment_service *service)
{
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    int64_t n1 = service->written_version;
    TRY(read_history(run, aws, service->parameter, n1, &list, &count));
    if (count == 0) {
        return put_back(run, aws, service, service->previous, n1);
    }
    // Something was written after ours. Our own repair from before a crash counts as done.
    const struct ssm_parameter *last = &list[count - 1];
    char *mark CLEANUP(xfreep) = xasprintf("dispatcher %s compensate", run->deployment->id);
    bool ours = last->description != NULL && str_starts(str_of(last->description), str_of(mark));
    service->restore = ours ? "restored" : "superseded";
    service->restore_note = arena_printf(run->arena,
        ours ? "'%.60s' is back as version %lld"
             : "'%.60s' was written meanwhile as "
               "version %lld",
        last->value, (long long)last->version);
    return NULL;
}

// Interrupted while a Put was on its way: did it arrive? Elsewhere that is known before an undo.
static struct error *
settle_doubt(const struct step_run *run, struct deployment_service *service)
{
    struct aws_session *aws = NULL;
    if (service->written_version != 0 || !cstr_equal(run->step->state, "waiting")) {
        return NULL;
    }
    TRY(provider_aws(run->context, run->deployment, &aws));
    const struct ssm_put put = put_of(run, service);
    return read_back(run, aws, &put, service->previous_version, &service->written_version);
}

struct error *
version_restore(const struct step_run *run)
{
    struct deployment_service *service = service_of(run);
    if (service->restore != NULL) {
        return NULL;
    }
    TRY(settle_doubt(run, service));
    if (service->written_version == 0) {
        return NULL;
    }
    if (service->previous == NULL) {
        service->restore = "nothing";
        service->restore_note = "the parameter did not exist before";
        return NULL;
    }
    struct aws_session *aws = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    return restore_current(run, aws, service);
}

static struct error *
undo_write(const struct step_run *run)
{
    struct deployment_service *service = service_of(run);
    struct error *err = version_restore(run);
    if (err == NULL) {
        run->step->note = service->restore_note;
        return NULL;
    }
    service->restore = "failed";
    return error_wrap(err, "restore version parameter '%s'", service->parameter);
}

const struct step_ops step_write = {"write", describe, run_write, undo_write};
