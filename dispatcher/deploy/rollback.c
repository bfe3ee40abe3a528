// The remote reads of `rollback`: which release to go back to, and that its images are still what
// was proven. It is never simply the version before: that one may be what broke. Changes nothing.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "ledger.h"
#include "target_internal.h"

enum { LISTED_MAX = 5, VERSION_MAX = 60 };

// --- which release -----------------------------------------------------------------------------

// One a service, in their order.
static struct error *
read_ledgers(struct deploy_context *context, const struct preparation *p, struct ledger **out)
{
    const struct deployment *d = p->deployment;
    struct aws_session *aws = NULL;
    struct ledger *ledgers = arena_array(p->arena, d->services.count, sizeof(*ledgers));
    TRY(provider_aws(context, d, &aws));
    for (size_t i = 0; i < d->services.count; i++) {
        TRY(ledger_read(aws, deployment_service_at(d, i)->parameter, p->arena, &ledgers[i]));
    }
    *out = ledgers;
    return NULL;
}

static bool
was_proven(const struct ledger *ledger, const char *version)
{
    const struct ledger_release *release = ledger_find(ledger, version);
    return release != NULL && release->proven;
}

// The newest release before that every service has proven.
static const struct ledger_release *
find_common(const struct ledger *ledgers, size_t count)
{
    const struct ledger_release *at = ledger_find_before(&ledgers[0]);
    for (; at != NULL; at = ledger_find_older(&ledgers[0], at)) {
        bool all = true;
        for (size_t i = 1; all && i < count; i++) {
            all = was_proven(&ledgers[i], at->version);
        }
        if (all) {
            return at;
        }
    }
    return NULL;
}

// "v3 (not proven, deployed 2026-11-21), v2 (…)": the newest few of other versions.
static void
put_releases(const struct ledger *ledger, struct arena *arena, struct buf *out)
{
    size_t listed = 0;
    for (size_t i = 1; i < ledger->count && listed < LISTED_MAX; i++) {
        const struct ledger_release *release = &ledger->items[i];
        char day[21];
        bool first = ledger_find(ledger, release->version) == release;
        if (!first || strcmp(release->version, ledger->items[0].version) == 0) {
            continue;
        }
        clock_format_rfc3339(release->changed_ms, day);
        buf_printf(out, "%s'%s' (%s, %.10s)", listed > 0 ? ", " : "",
            context_clean(arena, release->version, VERSION_MAX),
            release->proven     ? "proven, but a rollback has left it"
            : release->deployed ? "deployed, never proven"
                                : "never proven",
            day);
        listed++;
    }
}

static struct error *
nothing_to_go_back_to(const struct preparation *p, const struct ledger *ledger)
{
    const struct deployment *d = p->deployment;
    struct buf text CLEANUP(buf_done) = BUF_INIT(8 * 1024);
    put_releases(ledger, p->arena, &text);
    struct error *err = error_new(ERROR_USAGE, "'%s' has no proven release before '%s' in '%s'",
        d->app, context_clean(p->arena, ledger->items[0].version, VERSION_MAX), d->env);
    return text.len > 0
               ? error_hint(err, "There is %s. Say which with --to, if you know that it was well.",
                     buf_cstr(&text))
               : error_hint(err, "Its parameter '%s' has held no other version.",
                     deployment_service_at(d, 0)->parameter);
}

static struct error *
take_given(const struct preparation *p, const struct ledger *ledgers)
{
    struct deployment *d = p->deployment;
    const char *to = p->request->to;
    if (!tag_is_valid(str_of(to))) {
        return error_new(ERROR_USAGE, "version '%.140s' cannot be an image tag", to);
    }
    if (strcmp(to, ledgers[0].items[0].version) == 0) {
        return error_hint(
            error_new(ERROR_USAGE, "'%s' is the version that '%s' is set to already", to, d->env),
            "'dispatcher rollout %s --env %s' rolls it out again.", d->app, d->env);
    }
    d->version = arena_dup(p->arena, to);
    for (size_t i = 0; i < d->services.count; i++) {
        if (!was_proven(&ledgers[i], to)) {
            deployment_note(d, p->arena,
                arena_printf(p->arena, "warning: no release '%s' of '%s' is known to be proven", to,
                    deployment_service_at(d, i)->name));
        }
    }
    return NULL;
}

static struct error *
choose_release(const struct preparation *p, const struct ledger *ledgers)
{
    struct deployment *d = p->deployment;
    if (ledgers[0].count == 0) {
        return error_hint(error_new(ERROR_SPEC, "parameter '%s' does not exist",
                              deployment_service_at(d, 0)->parameter),
            "Nothing was deployed there yet, so there is nothing to go back to.");
    }
    d->replaces = context_clean(p->arena, ledgers[0].items[0].version, VERSION_MAX);
    if (p->request->to != NULL) {
        return take_given(p, ledgers);
    }
    const struct ledger_release *found = find_common(ledgers, d->services.count);
    if (found == NULL) {
        return nothing_to_go_back_to(p, &ledgers[0]);
    }
    if (!tag_is_valid(str_of(found->version))) {
        return error_new(ERROR_SPEC, "parameter '%s' said '%s', which cannot be an image tag",
            deployment_service_at(d, 0)->parameter,
            context_clean(p->arena, found->version, VERSION_MAX));
    }
    d->version = found->version;
    return NULL;
}

// --- its images --------------------------------------------------------------------------------

// What lifecycle rules took away here, another environment may still have.
static struct error *
find_image(struct deploy_context *context, const struct preparation *p,
    struct deployment_service *service, const struct ledger_release *release)
{
    bool found = false;
    struct error *err = snapshot_image(context, p, service);
    if (err == NULL || error_kind(err) != ERROR_INPUT || release == NULL ||
        release->digest == NULL) {
        return err;
    }
    struct error *other = promote_lost(context, p, release->digest, service, &found);
    if (other != NULL || found) {
        error_free(err);
        return other;
    }
    return err;
}

// A tag that was moved means another image than the one that was proven.
static struct error *
check_image(struct deploy_context *context, const struct preparation *p,
    struct deployment_service *service, const struct ledger *ledger)
{
    const struct deployment *d = p->deployment;
    const struct ledger_release *release = ledger_find(ledger, d->version);
    TRY(find_image(context, p, service, release));
    if (release == NULL || release->digest == NULL ||
        strcmp(release->digest, service->digest) == 0) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_CONFLICT, "image '%s/%s:%s' is %s now, '%s' was deployed as %s",
            service->registry, service->repository, d->version, service->digest, d->version,
            release->digest),
        "The tag was moved since. Push the image of before under a version of its own and deploy "
        "that, or go back to another release with --to.");
}

// Source code is built from what its branch holds: an older commit cannot be asked for.
static struct error *
leave_out_sources(const struct preparation *p)
{
    struct deployment *d = p->deployment;
    struct deployment_service *kept = d->services.items;
    size_t count = 0;
    for (size_t i = 0; i < d->services.count; i++) {
        if (!kept[i].no_image || !deployment_is_direct(d)) {
            kept[count++] = kept[i];
            continue;
        }
        deployment_note(d, p->arena,
            arena_printf(p->arena,
                "'%s' is deployed from source code and stays as it is: revert the commit and "
                "deploy",
                kept[i].name));
    }
    d->services.count = count;
    return count > 0
               ? NULL
               : error_hint(error_new(ERROR_SPEC, "'%s' is deployed from source code only", d->app),
                     "Revert the commit in its repository and deploy that.");
}

static void
note_rules(const struct preparation *p)
{
    const struct settings *settings = p->settings;
    struct deployment *d = p->deployment;
    if (d->served) {
        return; // it keeps these rules itself
    }
    if (settings->has_allow || settings->window_count > 0) {
        deployment_note(d, p->arena, "a rollback waits for no window and asks no 'allow' rule");
    }
    if (settings->rollback_lock) {
        deployment_note(d, p->arena,
            "'rollback.lock' locks nothing in this version: the next deployment replaces what is "
            "rolled back to");
    }
}

static struct error *
take_images(
    struct deploy_context *context, const struct preparation *p, const struct ledger *ledgers)
{
    struct deployment *d = p->deployment;
    TRY(snapshot_place(context, p));
    for (size_t i = 0; i < d->services.count; i++) {
        struct deployment_service *service = deployment_service_at(d, i);
        TRY(snapshot_parameter(context, p, service));
        if (!service->no_image) {
            TRY(check_image(context, p, service, &ledgers[i]));
        }
    }
    return NULL;
}

// On ECS the task definition that the release had, with the variables of then; where none is kept,
// one is made of the current one.
static struct error *
find_revisions(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    const struct step_run run = {.context = context, .deployment = d, .arena = p->arena};
    for (size_t i = 0; i < d->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(d, i);
        const struct target_ops *ops = target_ops_find(target->want.kind);
        struct error *err = ops->release != NULL ? ops->release(&run, target) : NULL;
        if (err != NULL) {
            return error_wrap(err, "look for what '%s' kept of '%s'", target->name, d->version);
        }
    }
    return NULL;
}

struct error *
snapshot_rollback(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    struct ledger *ledgers = NULL;
    TRY(leave_out_sources(p));
    TRY(read_ledgers(context, p, &ledgers));
    TRY(choose_release(p, ledgers));
    d->sha = snapshot_is_commit(d->version) ? d->version : NULL;
    TRY(take_images(context, p, ledgers));
    note_rules(p);
    TRY(targets_prepare(context, p));
    if (deployment_is_direct(d)) {
        TRY(targets_look(context, p));
        return find_revisions(context, p);
    }
    TRY(prepare_inputs(p));
    return snapshot_workflow(context, p);
}
