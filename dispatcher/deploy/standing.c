// How everything that a deployment may have changed stands now: version parameters and targets. The
// facts are in the deployment; outcome.c chooses from them what is true. Reads and changes nothing
// else.
#include <string.h>

#include "target_internal.h"

static bool
is_restored(const char *restore)
{
    return cstr_equal(restore, "restored");
}

static bool
is_rollout(const struct deployment_step *step)
{
    return strcmp(step->kind, "rollout") == 0;
}

static bool
is_any_target_touched(const struct deployment *d)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        if (target_is_touched(deployment_target_at(d, i))) {
            return true;
        }
    }
    return false;
}

bool
standing_is_touched(const struct deployment *d, const struct deployment_step *step)
{
    if (is_rollout(step)) {
        return is_any_target_touched(d);
    }
    return step->service >= 0 &&
           version_is_touched(deployment_service_at(d, (size_t)step->service));
}

bool
standing_is_restored(
    const struct deployment *d, const struct deployment_step *step, const char **note)
{
    if (!is_rollout(step)) {
        const struct deployment_service *service = deployment_service_at(d, (size_t)step->service);
        *note = service->restore_note;
        return is_restored(service->restore);
    }
    bool restored = true;
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (target_is_touched(target) && (restored || !is_restored(target->restore))) {
            *note = target->restore_note;
            restored = is_restored(target->restore);
        }
    }
    return restored;
}

bool
standing_is_all_restored(const struct deployment *d, bool given_up_counts)
{
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        if (version_is_touched(service) && !is_restored(service->restore)) {
            return false;
        }
    }
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        bool given_up = given_up_counts && cstr_equal(target->restore, "superseded");
        if (target_is_touched(target) && !given_up && !is_restored(target->restore)) {
            return false;
        }
    }
    return true;
}

bool
standing_is_any(const struct deployment *d, const char *restore)
{
    for (size_t i = 0; i < d->services.count; i++) {
        if (cstr_equal(deployment_service_at(d, i)->restore, restore)) {
            return true;
        }
    }
    for (size_t i = 0; i < d->targets.count; i++) {
        if (cstr_equal(deployment_target_at(d, i)->restore, restore)) {
            return true;
        }
    }
    return false;
}

// --- in words ----------------------------------------------------------------------------------

// "; parameter /shop/staging/web/version is restored (…)", or why not and what it says instead.
static void
put_service(const struct deployment_service *service, struct buf *out)
{
    const char *note = service->restore_note != NULL ? service->restore_note : "not tried";
    const char *says = service->says != NULL ? service->says : "the new version";
    const char *before = service->previous != NULL ? service->previous : "";
    if (cstr_equal(service->restore, "unknown")) {
        buf_printf(
            out, "; whether parameter %s was written is unknown: %s", service->parameter, note);
        return;
    }
    buf_printf(out, "; parameter %s ", service->parameter);
    if (is_restored(service->restore)) {
        buf_printf(out, "is restored (%s)", note);
    } else if (cstr_equal(service->restore, "superseded")) {
        buf_printf(out, "is NOT restored (%s)", note);
    } else if (cstr_equal(service->restore, "kept")) {
        buf_printf(out, "is NOT restored (on_failure: keep): it says %s", says);
    } else if (cstr_equal(service->restore, "nothing")) {
        buf_printf(out, "is NOT restored (%s): it says %s", note, says);
    } else {
        buf_printf(out, "could NOT be restored to '%s': it says %s: %s", before, says, note);
    }
}

static void
put_target(const struct deployment_target *target, struct buf *out)
{
    const char *note = target->restore_note != NULL ? target->restore_note : "not tried";
    buf_printf(out, "; '%s' ", target->name);
    if (is_restored(target->restore)) {
        buf_printf(out, "is restored: %s", note);
    } else if (cstr_equal(target->restore, "unknown")) {
        buf_printf(out, "is in an unknown state: %s", note);
    } else if (cstr_equal(target->restore, "kept")) {
        buf_puts(out, "is NOT restored (on_failure: keep)");
    } else if (cstr_equal(target->restore, "failed")) {
        buf_printf(out, "could NOT be restored: %s", note);
    } else {
        buf_printf(out, "is NOT restored: %s", note);
    }
}

void
standing_put(const struct deployment *d, struct buf *out)
{
    bool touched = false;
    for (size_t i = 0; i < d->targets.count; i++) {
        if (target_is_touched(deployment_target_at(d, i))) {
            put_target(deployment_target_at(d, i), out);
            touched = true;
        }
    }
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        if (version_is_touched(service)) {
            put_service(service, out);
        } else if (touched && cstr_equal(d->verb, "rollout")) {
            buf_printf(out, "; parameter %s still says '%s'", service->parameter,
                service->previous != NULL ? service->previous : d->version);
        }
    }
}

// --- what may still go on ----------------------------------------------------------------------

void
standing_keep(const struct deployment *d)
{
    for (size_t i = 0; i < d->services.count; i++) {
        struct deployment_service *service = deployment_service_at(d, i);
        if (service->written_version != 0 && service->restore == NULL) {
            service->restore = "kept";
        }
    }
    for (size_t i = 0; i < d->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(d, i);
        if (!target_is_touched(target) || target->restore != NULL) {
            continue;
        }
        bool by_platform = cstr_equal(target->forward.outcome, "rolled-back");
        target->restore = by_platform ? "restored" : "kept";
        target->restore_note = by_platform ? "its platform rolled it back" : NULL;
    }
}

bool
standing_is_sent(const struct deployment *d)
{
    return d->run_id != 0 || cstr_equal(d->dispatch_state, "intent") ||
           cstr_equal(d->dispatch_state, "limited") || cstr_equal(d->dispatch_state, "sent") ||
           cstr_equal(d->dispatch_state, "unknown") || cstr_equal(d->migrate.state, "intent") ||
           cstr_equal(d->migrate.state, "running") || cstr_equal(d->migrate.state, "unknown") ||
           is_any_target_touched(d);
}

bool
standing_has_run(const struct deployment *d)
{
    return d->run_id != 0 || d->migrate.task != NULL || is_any_target_touched(d);
}
