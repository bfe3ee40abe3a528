// A version that comes from another environment, and its images with it: `promote`, and what a
// service deploys again that ran elsewhere before. An image is named by the digest that ran there,
// so that nothing else can arrive. Reads only; copying is the push step's.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/registry.h"
#include "ledger.h"
#include "target_internal.h"

// --- where it comes from -------------------------------------------------------------------------

// Digests of a service's request are those of the release that is meant.
static const char *
digest_given(const struct preparation *p, const char *service)
{
    const struct deploy_given *given = p->request->given;
    for (size_t i = 0; given != NULL && i < given->digests.count; i++) {
        if (strcmp(given->digests.items[i].key, service) == 0) {
            return given->digests.items[i].value;
        }
    }
    return NULL;
}

// Settings and services of another environment.
static struct error *
prepare_there(struct deploy_context *context, const struct preparation *p, const char *env,
    struct preparation **out)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct deploy_request request = *p->request;
    struct preparation *there = arena_alloc(p->arena, sizeof(*there));
    *there = (struct preparation){0};
    request.env = env;
    request.from = NULL;
    struct error *err = prepare_settings(context, &request, p->arena, diagnostics, there);
    if (err == NULL) {
        err = prepare_services(there);
    }
    place_enter(context, p->deployment);
    if (err != NULL) {
        return error_wrap(err, "environment '%s', where it comes from", env);
    }
    there->request = p->request;
    there->deployment->scan_block = NULL; // its gate was there, this one's is here
    *out = there;
    return NULL;
}

struct error *
promote_prepare(struct deploy_context *context, struct preparation *p)
{
    const char *from = p->request->from;
    if (from == NULL) {
        return NULL;
    }
    if (strcmp(from, p->request->env) == 0) {
        return error_new(
            ERROR_USAGE, "a promotion leads to another environment than '%.80s'", from);
    }
    TRY(prepare_there(context, p, from, &p->there));
    p->deployment->from_env = p->there->settings->env;
    return NULL;
}

// What all version parameters of an environment say.
static struct error *
read_environment(struct deploy_context *context, const struct preparation *there, const char **out)
{
    const struct settings *settings = there->settings;
    const char *version = NULL;
    for (size_t i = 0; i < settings->service_count; i++) {
        struct deployment_service service = {.parameter = settings->services[i].parameter};
        if (!settings->services[i].deployable) {
            continue;
        }
        TRY(snapshot_parameter(context, there, &service));
        if (service.previous == NULL) {
            return error_hint(
                error_new(ERROR_INPUT, "parameter '%s' does not exist", service.parameter),
                "Deploy '%s' to '%s' first.", settings->app, settings->env);
        }
        if (version != NULL && strcmp(version, service.previous) != 0) {
            return error_hint(error_new(ERROR_CONFLICT,
                                  "the services of '%s' in '%s' are on '%s' "
                                  "and on '%s'",
                                  settings->app, settings->env, version, service.previous),
                "Say which version is to be promoted.");
        }
        version = service.previous;
    }
    if (version == NULL) {
        return error_new(ERROR_SPEC, "app '%s' has no version parameter", settings->app);
    }
    *out = version;
    return NULL;
}

struct error *
promote_version(struct deploy_context *context, const struct preparation *p, const char **out)
{
    place_enter(context, p->there->deployment);
    struct error *err = read_environment(context, p->there, out);
    place_enter(context, p->deployment);
    return err != NULL ? error_wrap(err, "version of environment '%s'", p->request->from) : NULL;
}

void
promote_note(const struct preparation *p)
{
    const struct deployment *d = p->deployment;
    if (p->there != NULL) {
        bool promoted = cstr_equal(p->request->verb, "promote");
        deployment_note(p->deployment, p->arena,
            arena_printf(p->arena, promoted ? "'%s' is promoted from '%s'" : "'%s' ran in '%s'",
                d->version, d->from_env));
    }
}

// --- without a service ---------------------------------------------------------------------------

static struct error *
check_order(const struct preparation *p)
{
    const struct setting_promote *order = &p->settings->promote_from;
    if (order->environment == NULL || strcmp(order->environment, p->request->from) == 0) {
        return NULL;
    }
    return error_hint(error_new(ERROR_DENIED, "'%s' is promoted to '%s' from '%s', not from '%s'",
                          p->settings->app, p->settings->env, order->environment, p->request->from),
        "The spec's 'promote_from' of '%s' says so.", p->settings->env);
}

static struct error *
check_soak(const struct preparation *p, int64_t since_ms, int64_t now_ms)
{
    const int64_t soak_ms = p->settings->promote_from.soak_ms;
    char until[21];
    if (soak_ms <= 0 || now_ms >= since_ms + soak_ms) {
        return NULL;
    }
    clock_format_rfc3339(since_ms + soak_ms, until);
    return error_hint(
        error_new(ERROR_DENIED, "'%s' stays in '%s' until %s before it may go to '%s'",
            p->deployment->version, p->request->from, until, p->settings->env),
        "The spec's 'promote_from' of '%s' says how long; a service waits for it.",
        p->settings->env);
}

// What the ledger of one service there knows of the version.
static struct error *
read_release(
    struct deploy_context *context, const struct preparation *p, struct deployment_service *origin)
{
    const char *version = p->deployment->version, *from = p->request->from;
    struct aws_session *aws = NULL;
    struct ledger ledger = {0};
    TRY(provider_aws(context, p->there->deployment, &aws));
    TRY(ledger_read(aws, origin->parameter, p->arena, &ledger));
    const struct ledger_release *release = ledger_find(&ledger, version);
    if (release == NULL) {
        return error_hint(error_new(ERROR_INPUT, "version '%s' of '%s' was never in '%s'", version,
                              origin->name, from),
            "Deploy it there first.");
    }
    if (!release->proven) {
        deployment_note(p->deployment, p->arena,
            arena_printf(p->arena, "warning: '%s' of '%s' is not known to be proven in '%s'",
                version, origin->name, from));
    }
    origin->digest = release->digest;
    return check_soak(p, release->changed_ms, clock_wall(context->platform->clock));
}

static struct error *
read_releases(struct deploy_context *context, const struct preparation *p)
{
    struct error *err = NULL;
    place_enter(context, p->there->deployment);
    for (size_t i = 0; err == NULL && i < p->there->deployment->services.count; i++) {
        err = read_release(context, p, deployment_service_at(p->there->deployment, i));
    }
    place_enter(context, p->deployment);
    return err;
}

struct error *
promote_locally(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    const char *version = p->request->version;
    BUG_ON(p->there == NULL);
    TRY(check_order(p));
    TRY(windows_check(p, clock_wall(context->platform->clock)));
    if (version == NULL) {
        TRY(promote_version(context, p, &version));
    }
    TRY(prepare_check_version(version));
    d->version = arena_dup(p->arena, version);
    d->sha = snapshot_is_commit(d->version) ? d->version : NULL;
    promote_note(p);
    if (p->settings->has_allow || p->settings->approvals.count > 0) {
        deployment_note(
            d, p->arena, "without a service, no 'allow' rule and no approval was asked for");
    }
    return read_releases(context, p);
}

// --- its images ----------------------------------------------------------------------------------

static struct deployment_service *
find_origin(const struct preparation *there, const char *name)
{
    for (size_t i = 0; i < there->deployment->services.count; i++) {
        struct deployment_service *origin = deployment_service_at(there->deployment, i);
        if (strcmp(origin->name, name) == 0 && !origin->no_image) {
            return origin;
        }
    }
    return NULL;
}

static struct error *
find_registry(
    struct deploy_context *context, const struct preparation *p, const struct preparation *there)
{
    place_enter(context, there->deployment);
    struct error *err = snapshot_place(context, there);
    place_enter(context, p->deployment);
    return err != NULL ? error_wrap(err, "registry of environment '%s'", there->settings->env)
                       : NULL;
}

// An error about the image there, with what to do.
static struct error *
explain(const struct preparation *p, const struct deployment_service *service,
    const struct deployment_service *origin, struct error *err)
{
    const char *from = p->request->from, *version = p->deployment->version;
    int status = error_remote_of(err)->status;
    if (error_kind(err) == ERROR_INPUT) {
        err = error_hint(err,
            "'%s' ran it as '%s'; it was removed since, as a lifecycle policy does. Deploy the "
            "version to '%s' once more from the app's repository, or promote another one.",
            from, version, from);
    } else if (status == 401 || status == 403) {
        err = error_hint(err,
            "Whoever deploys to '%s' must be allowed to read repository '%s' of '%s'.",
            p->settings->env, origin->repository, origin->registry);
    }
    return error_wrap(err, "image of '%s' from '%s'", service->name, from);
}

// The digest that is there, by digest or by the version; `*out` NULL is no answer.
static struct error *
look_there(struct deploy_context *context, const struct preparation *p,
    const struct deployment_service *service, const struct deployment_service *origin,
    const char **out)
{
    struct image_source *source = NULL;
    struct image *image CLEANUP(image_closep) = NULL;
    struct source_access access = {0};
    const char *digest = NULL;
    bool known = origin->digest != NULL;
    const char *text = arena_printf(p->arena, "docker://%s/%s%c%s", origin->registry,
        origin->repository, known ? '@' : ':', known ? origin->digest : p->deployment->version);
    TRY(image_source_parse(text, p->arena, &source));
    provider_source(context, p->deployment, service->registry, &access);
    TRY(image_open(source, &access.image, &image));
    TRY(image_digest(image, &digest));
    *out = arena_dup(p->arena, digest);
    return NULL;
}

static struct error *
other_image(
    const struct preparation *p, const struct deployment_service *service, const char *expected)
{
    return error_hint(error_new(ERROR_CONFLICT, "image '%s/%s:%s' is %s, in '%s' it is %s",
                          service->registry, service->repository, p->deployment->version,
                          service->digest, p->request->from, expected),
        "Nothing is put over it. Remove that tag, if nothing runs from it, or deploy a new "
        "version.");
}

// It is here already: only whether it is the same one is asked.
static struct error *
compare(struct deploy_context *context, const struct preparation *p,
    const struct deployment_service *service, const struct deployment_service *origin, bool same)
{
    const char *expected = origin->digest;
    if (expected == NULL && !same) {
        struct error *err = look_there(context, p, service, origin, &expected);
        if (err != NULL && error_kind(err) != ERROR_INPUT) {
            return explain(p, service, origin, err);
        }
        if (err != NULL) {
            error_free(err);
            deployment_note(p->deployment, p->arena,
                arena_printf(p->arena,
                    "the image of '%s' is not compared: '%s' does not have it any more",
                    service->name, p->request->from));
        }
    }
    bool differs = expected != NULL && strcmp(expected, service->digest) != 0;
    return differs ? other_image(p, service, expected) : NULL;
}

static void
take_source(const struct preparation *p, struct deployment_service *service,
    const struct deployment_service *origin)
{
    service->source = arena_printf(
        p->arena, "docker://%s/%s@%s", origin->registry, origin->repository, service->from_digest);
}

static struct error *
missing_here(const struct preparation *p, const struct deployment_service *service,
    const struct deployment_service *origin)
{
    struct error *err = error_new(ERROR_INPUT, "image '%s/%s:%s' is not in the registry",
        service->registry, service->repository, p->deployment->version);
    return error_hint(err,
        "'%s' ran it from this very repository%s%s; it was removed since, as a lifecycle policy "
        "does. Deploy the version once more from the app's repository.",
        p->request->from, origin->digest != NULL ? " as " : "",
        origin->digest != NULL ? origin->digest : "");
}

struct error *
promote_image(
    struct deploy_context *context, const struct preparation *p, struct deployment_service *service)
{
    struct deployment_service *origin = find_origin(p->there, service->name);
    if (origin == NULL) { // what is deployed here only must be here
        return NULL;
    }
    if (origin->registry == NULL) {
        TRY(find_registry(context, p, p->there));
    }
    const char *given = digest_given(p, service->name);
    origin->digest = given != NULL ? given : origin->digest;
    bool same = cstr_equal(origin->registry, service->registry) &&
                cstr_equal(origin->repository, service->repository);
    if (service->present) {
        return compare(context, p, service, origin, same);
    }
    if (same) {
        return missing_here(p, service, origin);
    }
    struct error *err = look_there(context, p, service, origin, &service->from_digest);
    if (err != NULL) {
        return explain(p, service, origin, err);
    }
    take_source(p, service, origin);
    return NULL;
}

// --- what a rollback goes back to ----------------------------------------------------------------

static struct error *
try_origin(struct deploy_context *context, const struct preparation *p,
    struct deployment_service *service, const struct deployment_service *origin, bool *found)
{
    struct error *err = look_there(context, p, service, origin, &service->from_digest);
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    *found = err == NULL;
    error_free(err); // where it cannot be read, it is not
    if (*found) {
        service->digest = service->from_digest;
        take_source(p, service, origin);
    }
    return NULL;
}

static struct error *
try_environment(struct deploy_context *context, const struct preparation *p, const char *env,
    const char *digest, struct deployment_service *service, bool *found)
{
    struct preparation *there = NULL;
    struct deployment_service *origin = NULL;
    struct error *err = prepare_there(context, p, env, &there);
    if (err == NULL && there != NULL) {
        origin = find_origin(there, service->name);
        err = origin != NULL ? find_registry(context, p, there) : NULL;
    }
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    bool known = err == NULL && origin != NULL;
    error_free(err);
    if (!known) {
        return NULL;
    }
    origin->digest = digest;
    TRY(try_origin(context, p, service, origin, found));
    if (*found) {
        p->deployment->from_env = there->settings->env;
        deployment_note(p->deployment, p->arena,
            arena_printf(p->arena, "the image of '%s' is brought back from '%s'", service->name,
                there->settings->env));
    }
    return NULL;
}

struct error *
promote_lost(struct deploy_context *context, const struct preparation *p, const char *digest,
    struct deployment_service *service, bool *found)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct spec_files *files = NULL;
    struct str_list all = {0};
    struct deployment_service here = *service;
    here.digest = digest;
    TRY(try_origin(context, p, service, &here, found)); // only its tag is gone
    if (*found) {
        return NULL;
    }
    TRY(p->request->given != NULL ? given_documents(p, &files)
                                  : specs_load(context, p->request, p->arena, diagnostics, &files));
    config_environments(&files->config, p->arena, diagnostics, &all);
    for (size_t i = all.count; i-- > 0 && !*found;) {
        if (strcmp(all.items[i], p->settings->env) != 0) {
            TRY(try_environment(context, p, all.items[i], digest, service, found));
        }
    }
    return NULL;
}
