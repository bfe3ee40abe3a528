// The remote reads of `rollout` and `prove`: what is to run stands in the version parameters, which
// nobody gives a version here. Changes nothing anywhere.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "target_internal.h"

enum { PROVE_WITHIN_MS = 5 * 60 * 1000 };

// What the parameters say is what a rollout rolls out; nobody gives it a version.
static struct error *
take_versions(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    if (d->services.count == 0) {
        return error_hint(
            error_new(ERROR_SPEC, "app '%s' has workers only, and no version parameter", d->app),
            "Deploy it from its repository: 'dispatcher deploy %s --env %s'.", d->app, d->env);
    }
    for (size_t i = 0; i < d->services.count; i++) {
        struct deployment_service *service = deployment_service_at(d, i);
        TRY(snapshot_parameter(context, p, service));
        if (service->previous == NULL) {
            return error_hint(
                error_new(ERROR_SPEC, "parameter '%s' does not exist", service->parameter),
                "'dispatcher deploy %s --env %s' in the app's repository writes it.", d->app,
                d->env);
        }
        if (!tag_is_valid(str_of(service->previous))) {
            return error_new(ERROR_SPEC, "parameter '%s' says '%s', which cannot be an image tag",
                service->parameter, service->previous);
        }
        service->version = service->previous;
    }
    // Workers alone have no version that is written down: their branch says what runs.
    d->version = d->services.count > 0 ? deployment_service_at(d, 0)->version : "source";
    d->sha = snapshot_is_commit(d->version) ? d->version : NULL;
    return NULL;
}

static struct error *
take_targets(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    TRY(targets_prepare(context, p));
    if (d->targets.count == 0) {
        return error_hint(error_new(ERROR_SPEC, "app '%s' has no 'target' in '%s'", d->app, d->env),
            "Add 'deploy.target' to its spec: that is what is %s.",
            cstr_equal(d->verb, "prove") ? "looked at" : "rolled out");
    }
    return targets_look(context, p);
}

struct error *
snapshot_rollout(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    TRY(take_versions(context, p));
    TRY(snapshot_place(context, p));
    for (size_t i = 0; i < d->services.count; i++) {
        struct deployment_service *service = deployment_service_at(d, i);
        if (!service->no_image) {
            TRY(snapshot_image(context, p, service));
        }
    }
    return take_targets(context, p);
}

// --- prove -------------------------------------------------------------------------------------

static bool
is_listed(const struct str_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool
has_service(const struct deployment *d, const char *name)
{
    for (size_t i = 0; i < d->services.count; i++) {
        if (strcmp(deployment_service_at(d, i)->name, name) == 0) {
            return true;
        }
    }
    return false;
}

// --service: the others are left alone.
static struct error *
narrow(const struct preparation *p)
{
    struct deployment *d = p->deployment;
    const struct str_list *only = &p->request->only;
    for (size_t i = 0; i < only->count; i++) {
        if (!has_service(d, only->items[i])) {
            return error_hint(
                error_new(ERROR_USAGE, "app '%s' has no service '%s' that is deployed", d->app,
                    only->items[i]),
                "--service takes a service of the spec.");
        }
    }
    struct deployment_service *kept = d->services.items;
    size_t count = 0;
    for (size_t i = 0; only->count > 0 && i < d->services.count; i++) {
        if (is_listed(only, kept[i].name)) {
            kept[count++] = kept[i];
        }
    }
    d->services.count = only->count > 0 ? count : d->services.count;
    return NULL;
}

// "[SERVICE=]DIGEST": a digest holds no '='.
static struct error *
find_expected(
    const struct preparation *p, const struct deployment_service *service, const char **out)
{
    const struct deployment *d = p->deployment;
    for (size_t i = 0; i < p->request->expect.count; i++) {
        struct str name = {0}, digest = {0};
        const char *given = p->request->expect.items[i];
        bool named = strchr(given, '=') != NULL;
        (void)str_cut(str_of(given), '=', &name, &digest);
        digest = named ? digest : name;
        if (!digest_is_valid(digest)) {
            return error_hint(error_new(ERROR_USAGE, "'%.120s' is no digest", given),
                "Write --expect sha256:…, or --expect SERVICE=sha256:… with several services.");
        }
        if (!named && d->services.count > 1) {
            return error_hint(
                error_new(ERROR_USAGE, "digest '%s' does not say of which service", given),
                "The app has %zu services: write --expect SERVICE=DIGEST.", d->services.count);
        }
        if (!named || str_equal(name, str_of(service->name))) {
            *out = arena_str(p->arena, digest);
        }
    }
    return NULL;
}

// What --expect says goes, unless the registry contradicts it: the version is another image then.
static struct error *
take_digest(
    struct deploy_context *context, const struct preparation *p, struct deployment_service *service)
{
    const char *expected = NULL;
    TRY(find_expected(p, service, &expected));
    if (expected == NULL) {
        return snapshot_image(context, p, service);
    }
    struct error *err = snapshot_registry(context, p, service);
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    error_free(err); // a registry that may not be read is why --expect is there
    if (service->digest != NULL && strcmp(service->digest, expected) != 0) {
        return error_hint(
            error_new(ERROR_CONFLICT, "version '%s' of '%s' is %s in the registry, not %s",
                service->version, service->name, service->digest, expected),
            "The parameter says another version than the one that was rolled out.");
    }
    service->digest = expected;
    return NULL;
}

static struct error *
refuse_source(const struct deployment_target *target)
{
    return error_hint(
        error_new(ERROR_SPEC, "'%s' is deployed from source code, which cannot be compared",
            target->name),
        "Prove the services that run an image: --service NAME.");
}

struct error *
snapshot_prove(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    TRY(narrow(p));
    TRY(take_versions(context, p));
    TRY(snapshot_place(context, p));
    for (size_t i = 0; i < d->services.count; i++) {
        struct deployment_service *service = deployment_service_at(d, i);
        if (!service->no_image) {
            TRY(take_digest(context, p, service));
        }
    }
    TRY(take_targets(context, p));
    d->notes = (struct str_list){0}; // of what a rollout from here would meet
    for (size_t i = 0; i < d->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(d, i);
        const char *digest =
            target->service >= 0 ? deployment_service_at(d, (size_t)target->service)->digest : NULL;
        if (digest == NULL) {
            return refuse_source(target);
        }
        target->forward.digest = digest;
        target->before = target->before_digest = target->before_version = target->note = NULL;
    }
    d->rollout_timeout_ms = p->request->timeout_ms > 0 ? p->request->timeout_ms : PROVE_WITHIN_MS;
    return NULL;
}
