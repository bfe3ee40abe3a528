// Step "write": the version parameter of one service says the new version, and we know which
// version number that is. Parameter Store has no compare-and-set: every write is checked afterwards
// for contiguity, so that no foreign write is lost (protocols.md §4.1 steps 2, 3 and 3'). Taking it
// back is restore.c's.
#include <string.h>

#include "dispatcher/memory.h"
#include "ledger.h"

enum { TRIES_MAX = 3, READS = 2, READ_BACK_PAUSE_MS = 2000 };

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

// The latest version after `after` with exactly this description (protocols.md D7).
static struct error *
find_put(const struct step_run *run, struct aws_session *aws, const struct ssm_put *put,
    int64_t after, int64_t *version)
{
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    TRY(ssm_history(aws, put->name, after, run->arena, &list, &count));
    for (size_t i = 0; i < count; i++) {
        if (cstr_equal(list[i].description, put->description)) {
            *version = list[i].version;
        }
    }
    return NULL;
}

// The answer to a Put is lost: did it arrive? Two reads, two seconds apart (step 3').
// write->version 0: it did not, unless the result waits.
static struct error *
read_back(const struct step_run *run, struct version_write *write, struct step_result *result)
{
    const struct platform *platform = run->context->platform;
    struct pace_put *pace = &run->context->pace->put;
    int64_t pause = context_tuning_ms(run->context, "DISPATCHER_READ_BACK_MS", READ_BACK_PAUSE_MS);
    write->version = 0;
    struct error *err = find_put(run, write->aws, write->put, write->after, &write->version);
    pace->reads++;
    if (err == NULL && write->version == 0 && pace->reads < READS) {
        result->outcome = STEP_WAIT;
        result->until_ms = clock_mono(platform->clock) + pause;
        return NULL;
    }
    pace->reads = 0;
    bool told = err == NULL || error_kind(err) == ERROR_CANCELLED;
    return told ? err
                : error_wrap_as(ERROR_UNKNOWN, err, "whether parameter '%s' was written is unknown",
                      write->put->name);
}

// The oldest of 100 versions keeps a new one out by its labels: makes room once. The refusal stands
// when that is not ours to do, or fails.
static bool
makes_room(const struct step_run *run, struct aws_session *aws, const char *parameter)
{
    const char *lost = NULL;
    bool made = false;
    struct error *err = ledger_make_room(aws, parameter, run->arena, &made, &lost);
    error_free(err);
    if (err == NULL && lost != NULL) {
        context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
            arena_printf(run->arena,
                "parameter '%s': proven release '%s' cannot be gone back to any more: Parameter "
                "Store keeps 100 versions",
                parameter, context_clean(run->arena, lost, 60)));
    }
    return err == NULL && made;
}

// One more try. *again: there may be another; else its error, if any, is what remains to be said,
// unless pace->error is to be looked into.
static struct error *
try_put(const struct step_run *run, struct version_write *write, bool *again)
{
    struct pace_put *pace = &run->context->pace->put;
    struct error *err = ssm_put(write->aws, write->put, &write->version);
    pace->attempts++;
    if (err == NULL || error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    if (aws_has_code(err, "ParameterMaxVersionLimitExceeded") && !pace->has_made_room &&
        makes_room(run, write->aws, write->put->name)) {
        pace->has_made_room = *again = true;
        error_free(err);
        return NULL;
    }
    // Cleared by a definite refusal (ssm.h).
    pace->is_refused = !error_remote_of(err)->request_left;
    if (pace->is_refused && !pace->in_doubt && !run->resumed) {
        return err;
    }
    pace->in_doubt = true;
    pace->error = err;
    return NULL;
}

// Did the write arrive whose answer was lost? *again: it did not, and may be tried once more.
static struct error *
look_into(const struct step_run *run, struct version_write *write, struct step_result *result,
    bool *again)
{
    struct pace_put *pace = &run->context->pace->put;
    struct error *unread = read_back(run, write, result);
    if (unread == NULL && result->outcome == STEP_WAIT) {
        return NULL;
    }
    bool is_missing = unread == NULL && write->version == 0;
    bool last = pace->is_refused || pace->attempts >= TRIES_MAX;
    struct error *err = pace->error;
    pace->error = NULL;
    if (is_missing && last) {
        return err;
    }
    error_free(err);
    *again = is_missing;
    return unread;
}

// Writes until it is known to have been written; the same value again is harmless. A refusal is
// believed only while no earlier try can have arrived: ours may be what is in the way.
struct error *
version_put(const struct step_run *run, struct version_write *write, struct step_result *result)
{
    struct deploy_pace *pace = run->context->pace;
    bool again = true;
    struct error *err = NULL;
    while (again && err == NULL) {
        again = false;
        if (pace->put.error == NULL) {
            err = try_put(run, write, &again);
        }
        if (err == NULL && pace->put.error != NULL) {
            err = look_into(run, write, result, &again);
        }
        if (err == NULL && result->outcome == STEP_WAIT) {
            return NULL;
        }
    }
    pace_drop_put(pace);
    return err;
}

static struct ssm_put
put_of(const struct step_run *run, const struct deployment_service *service)
{
    return (struct ssm_put){
        .name = service->parameter,
        .value = run->deployment->version,
        .description = ledger_description(run->deployment, service, run->arena),
        .type = service->parameter_type,
        .overwrite = service->previous_version != 0,
    };
}

struct error *
version_settle(const struct step_run *run, struct aws_session *aws,
    struct deployment_service *service, struct step_result *result)
{
    const struct ssm_put put = put_of(run, service);
    struct version_write write = {.aws = aws, .put = &put, .after = service->previous_version};
    if (!service->unsettled) {
        return NULL;
    }
    TRY(read_back(run, &write, result));
    if (result->outcome != STEP_WAIT) {
        service->written_version = write.version;
        service->unsettled = false;
    }
    return NULL;
}

bool
version_is_ours(const struct deployment *d, const struct ssm_parameter *version)
{
    char *mark CLEANUP(xfreep) = xasprintf("dispatcher %s ", d->id);
    return version->description != NULL && str_starts(str_of(version->description), str_of(mark));
}

// Ours was not the next version after the one that we had read: did anybody write in between? Late
// arrivals of our own tries do not count.
static struct error *
check_contiguity(
    const struct step_run *run, struct aws_session *aws, const struct deployment_service *service)
{
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    const char *who = "somebody else";
    int64_t before = service->previous_version, ours = service->written_version;
    bool foreign = ours <= before; // deleted and made anew
    if (ours == before + 1) {
        return NULL;
    }
    TRY(ssm_history(aws, service->parameter, before, run->arena, &list, &count));
    for (size_t i = 0; i < count && list[i].version < ours; i++) {
        if (!version_is_ours(run->deployment, &list[i])) {
            foreign = true;
            who = list[i].last_modified_user != NULL ? list[i].last_modified_user : who;
        }
    }
    if (!foreign) {
        return NULL;
    }
    return error_hint(error_new(ERROR_CONFLICT,
                          "parameter '%s' was changed by %s while we wrote it (version %lld)",
                          service->parameter, who, (long long)(ours - 1)),
        "Nothing was triggered. Look at what they did, then run the deployment again.");
}

// Until the version is known that says it.
static struct error *
put_version(const struct step_run *run, struct deployment_service *service,
    struct version_write *write, struct step_result *out)
{
    struct pace_put *pace = &run->context->pace->put;
    service->unsettled = true;
    if (run->resumed && pace->attempts == 0) {
        TRY(read_back(run, write, out));
    }
    if (write->version != 0 || out->outcome == STEP_WAIT) {
        return NULL;
    }
    struct error *err = version_put(run, write, out);
    enum error_kind kind = err != NULL ? error_kind(err) : ERROR_BUG;
    bool waits = err == NULL && out->outcome == STEP_WAIT;
    service->unsettled =
        waits || (err != NULL && (kind == ERROR_UNKNOWN || kind == ERROR_CANCELLED));
    return err;
}

static struct error *
write_version(
    const struct step_run *run, struct deployment_service *service, struct step_result *out)
{
    struct aws_session *aws = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    const struct ssm_put put = put_of(run, service);
    struct version_write write = {.aws = aws, .put = &put, .after = service->previous_version};
    TRY(put_version(run, service, &write, out));
    if (out->outcome == STEP_WAIT) {
        return NULL;
    }
    service->unsettled = false;
    service->written_version = write.version;
    service->says =
        arena_printf(run->arena, "'%s' (version %lld)", put.value, (long long)write.version);
    TRY(check_contiguity(run, aws, service));
    out->outcome = STEP_DONE;
    out->note = arena_printf(run->arena, "version %lld", (long long)write.version);
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
undo_write(const struct step_run *run, struct step_result *result)
{
    struct deployment_service *service = service_of(run);
    struct error *err = version_restore(run, service, result);
    if (err == NULL) {
        return NULL;
    }
    service->restore = service->unsettled ? "unknown" : "failed";
    char *why CLEANUP(xfreep) = error_text(err);
    service->restore_note = context_masked(run->arena, why);
    return error_wrap(err, "restore version parameter '%s'", service->parameter);
}

const struct step_ops step_write = {"write", describe, run_write, undo_write};
