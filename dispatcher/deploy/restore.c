// Puts back what stood in a version parameter before (protocols.md §4.1 step 6). One rule covers a
// failed run, a conflict, a crash in the middle and a late arrival of our own: the newest version
// that is not ours is what must stand, so it is written again until the newest version says it.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/ssm.h"

enum { ROUNDS_MAX = 3, LABELS_MAX = 10 };

struct standing {
    const struct ssm_parameter *last;    // newest version, NULL when there is none
    const struct ssm_parameter *foreign; // newest version that is not ours, NULL when there is none
    bool stale;                          // does not show yet what we wrote
};

// Parameter values are anybody's: only a short and harmless part of one is shown.
static const char *
shown(const struct step_run *run, const char *value)
{
    return context_clean(run->arena, value, 60);
}

static void
note_says(
    const struct step_run *run, struct deployment_service *service, const char *value, int64_t at)
{
    service->says =
        arena_printf(run->arena, "'%s' (version %lld)", shown(run, value), (long long)at);
}

static struct error *
look(const struct step_run *run, struct aws_session *aws, struct deployment_service *service,
    struct standing *out)
{
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    *out = (struct standing){0};
    TRY(ssm_history(aws, service->parameter, 0, run->arena, &list, &count));
    for (size_t i = 0; i < count; i++) {
        out->last = &list[i];
        out->foreign = version_is_ours(run->deployment, &list[i]) ? out->foreign : &list[i];
    }
    out->stale = count > 0 && out->last->version < service->written_version;
    if (count > 0 && !out->stale) {
        note_says(run, service, out->last->value, out->last->version);
    }
    return NULL;
}

// The value that is back was deployed and may have been proven before: its labels move along, else
// everybody would read the newest version as never deployed. Best effort, it decides nothing.
static void
carry_labels(
    struct aws_session *aws, const char *name, const struct ssm_parameter *from, int64_t to)
{
    if (ssm_has_label(from, "deployed") && from->labels.count <= LABELS_MAX) {
        error_free(ssm_labels(aws, name, to, &from->labels));
    }
}

static void
note_restored(
    const struct step_run *run, struct deployment_service *service, const char *value, int64_t at)
{
    service->restore = "restored";
    service->restore_note =
        arena_printf(run->arena, "'%s' is back as version %lld", shown(run, value), (long long)at);
}

static void
note_superseded(const struct step_run *run, struct deployment_service *service,
    const struct ssm_parameter *last)
{
    service->restore = "superseded";
    service->restore_note = arena_printf(run->arena,
        "'%s' was written meanwhile as version %lld%s%s", shown(run, last->value),
        (long long)last->version, last->last_modified_user != NULL ? " by " : "",
        last->last_modified_user != NULL ? shown(run, last->last_modified_user) : "");
}

// True when nothing is left to be written, and the service says how it stands.
static bool
is_settled(const struct step_run *run, struct aws_session *aws, struct deployment_service *service,
    const struct standing *standing)
{
    const struct ssm_parameter *last = standing->last, *foreign = standing->foreign;
    if (foreign == NULL) {
        service->restore = "nothing";
        service->restore_note = last != NULL ? "the parameter did not exist before"
                                             : "the parameter was deleted meanwhile";
        return true;
    }
    if (standing->stale) {
        return false;
    }
    if (last == foreign) {
        note_superseded(run, service, last);
        return true;
    }
    bool is_back =
        cstr_equal(last->value, foreign->value) && last->version != service->written_version;
    if (is_back) {
        note_restored(run, service, last->value, last->version);
        carry_labels(aws, service->parameter, foreign, last->version);
    }
    return is_back;
}

// Sets service->restore when nobody wrote in between. Waits like version_put.
static struct error *
put_back(const struct step_run *run, struct version_write *write,
    struct deployment_service *service, const struct standing *standing, struct step_result *result)
{
    struct pace_put *pace = &run->context->pace->put;
    int64_t base = standing->stale ? service->written_version : standing->last->version;
    const struct ssm_put put = {
        .name = service->parameter,
        .value = standing->foreign->value,
        .description = arena_printf(run->arena, "dispatcher %s compensate n1=%lld",
            run->deployment->id, (long long)service->written_version),
        .type = service->parameter_type,
        .overwrite = true,
    };
    // One that is looked into was made on what stood then.
    pace->after = pace->error != NULL ? pace->after : base;
    write->after = base = pace->after;
    write->put = &put;
    TRY(version_put(run, write, result));
    write->put = NULL;
    if (result->outcome == STEP_WAIT) {
        return NULL;
    }
    note_says(run, service, put.value, write->version);
    if (write->version == base + 1) { // nobody wrote in between
        note_restored(run, service, put.value, write->version);
        carry_labels(write->aws, service->parameter, standing->foreign, write->version);
    }
    return NULL;
}

static struct error *
restore(const struct step_run *run, struct aws_session *aws, struct deployment_service *service,
    struct step_result *result)
{
    struct deploy_pace *pace = run->context->pace;
    struct version_write write = {.aws = aws};
    while (pace->restores < ROUNDS_MAX) {
        struct standing standing = {0};
        TRY(look(run, aws, service, &standing));
        if (is_settled(run, aws, service, &standing)) {
            pace_drop_put(pace); // what was looked into has arrived
            return NULL;
        }
        TRY(put_back(run, &write, service, &standing, result));
        if (result->outcome == STEP_WAIT || service->restore != NULL) {
            return NULL;
        }
        pace->restores++;
    }
    return error_new(ERROR_CONFLICT,
        "parameter '%s' is being written by somebody else all the time", service->parameter);
}

bool
version_is_touched(const struct deployment_service *service)
{
    return service->written_version != 0 || service->unsettled;
}

struct error *
version_restore(
    const struct step_run *run, struct deployment_service *service, struct step_result *result)
{
    struct aws_session *aws = NULL;
    bool again = service->restore == NULL || cstr_equal(service->restore, "failed") ||
                 cstr_equal(service->restore, "unknown");
    if (!again) {
        return NULL;
    }
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(version_settle(run, aws, service, result));
    if (result->outcome == STEP_WAIT) {
        return NULL;
    }
    service->restore = NULL;
    service->restore_note = NULL;
    return service->written_version != 0 ? restore(run, aws, service, result) : NULL;
}
