// Targets, migration and checks in words, for every rendering of the result.
#include <string.h>

#include "report_internal.h"

static const char *
short_revision(const char *revision)
{
    const char *slash = revision != NULL ? strrchr(revision, '/') : NULL;
    return slash != NULL ? slash + 1 : revision;
}

void
report_target_place(const struct deployment_target *target, struct buf *out)
{
    bool is_runner = cstr_equal(target->want.kind, "apprunner");
    const char *revision = short_revision(
        target->forward.revision != NULL ? target->forward.revision : target->before);
    buf_printf(out, "%sservice '%s'", is_runner ? "App Runner " : "",
        target->want.service != NULL ? short_revision(target->want.service) : target->name);
    if (!is_runner) {
        buf_printf(out, " of cluster '%s'",
            target->want.cluster != NULL ? target->want.cluster : "default");
    }
    if (revision != NULL && !target->want.force_new_deployment) {
        const char *at = strrchr(revision, '@'); // of a digest, its beginning is enough
        int length = at != NULL ? (int)(at - revision) : (int)strlen(revision);
        buf_printf(
            out, ", %.*s%.20s%s", length, revision, at != NULL ? at : "", at != NULL ? "…" : "");
    }
}

bool
report_target_is_told(const struct deployment *d, const struct deployment_target *target)
{
    return deployment_is_direct(d) || target->proof != NULL;
}

bool
report_target_is_good(const struct deployment_target *target)
{
    bool went_well =
        target->forward.outcome == NULL || strcmp(target->forward.outcome, "succeeded") == 0;
    return target->proven || (target->restore == NULL && went_well);
}

static void
put_outcome(const struct deployment_target *target, struct buf *out)
{
    const struct deployment_move *move = &target->forward;
    if (move->outcome == NULL && move->state == NULL) {
        buf_puts(out, target->proof != NULL ? target->proof : "not reached");
    } else if (move->outcome == NULL) {
        buf_printf(out, "%s%s%s", move->status != NULL ? move->status : "under way",
            move->progress != NULL ? ", " : "", move->progress != NULL ? move->progress : "");
    } else if (strcmp(move->outcome, "succeeded") != 0) {
        buf_printf(out, "%s%s%s", move->outcome, move->reason != NULL ? ": " : "",
            move->reason != NULL ? move->reason : "");
    } else if (target->proof != NULL) {
        buf_printf(out, "rolled out; %s", target->proof);
    } else {
        buf_puts(out, "rolled out, not proven");
    }
}

void
report_target_state(const struct deployment_target *target, struct buf *out)
{
    if (target->proven) {
        buf_puts(out, target->proof != NULL ? target->proof : "proven");
        return;
    }
    put_outcome(target, out);
    if (target->restore != NULL) {
        buf_printf(out, "; %s%s%s",
            cstr_equal(target->restore, "restored") ? "restored" : "NOT restored",
            target->restore_note != NULL ? ": " : "",
            target->restore_note != NULL ? target->restore_note : "");
    }
}

void
report_migration(const struct deployment *d, struct buf *out)
{
    const struct deployment_migration *m = &d->migrate;
    char took[32];
    if (m->state == NULL) {
        return;
    }
    buf_puts(out, m->state);
    if (m->has_exit_code) {
        buf_printf(out, ", exit code %lld", (long long)m->exit_code);
    }
    if (m->reason != NULL) {
        buf_printf(out, ": %s", m->reason);
    }
    if (m->ended_ms > m->started_ms) {
        clock_format_duration(m->ended_ms - m->started_ms, took);
        buf_printf(out, ", %s", took);
    }
}

void
report_check(const struct deployment_check *check, struct buf *out)
{
    buf_printf(out, "%s%s%s", check->state != NULL ? check->state : "not asked to its end",
        check->seen != NULL ? ": " : "", check->seen != NULL ? check->seen : "");
    if (check->attempts > 1) {
        buf_printf(out, " (%lld attempts)", (long long)check->attempts);
    }
}

void
report_way_back(const struct deployment *d, struct buf *out)
{
    bool new = cstr_equal(d->result, "deployed") && !cstr_equal(d->verb, "rollback");
    const struct deployment_service *first =
        d->services.count > 0 ? deployment_service_at(d, 0) : NULL;
    if (new && d->proven && first != NULL && first->written_version != 0 &&
        first->previous != NULL) {
        buf_printf(out, "dispatcher rollback %s --env %s --reason TEXT", d->app, d->env);
    }
}
