// From a request to a deployment without remote facts: the documents, the app checkout, and every
// guard that can be decided here. Reads no network but for a spec that lives in a git repository.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/actions.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/semver.h"
#include "target_internal.h"

static struct error *
check_enabled(const struct preparation *p)
{
    if (!p->settings->enabled) {
        return error_hint(
            error_new(ERROR_DENIED, "app '%s' is disabled by 'enabled: false'", p->settings->app),
            "Take the key out of its spec to deploy it again.");
    }
    return NULL;
}

static struct error *
check_repository(const struct preparation *p, struct deploy_context *context)
{
    const char *expected = p->settings->repo;
    const char *in_job = env_get(context->platform, "GITHUB_REPOSITORY");
    if (expected == NULL) {
        deployment_note(p->deployment, p->arena, "ownership not checked: the spec names no 'repo'");
        return NULL;
    }
    const char *actual = p->git->repository;
    if (actions_is_active(context->platform) && in_job != NULL) {
        actual = in_job;
    }
    if (actual == NULL) {
        return error_hint(error_new(ERROR_DENIED,
                              "app '%s' belongs to '%s', but this checkout has "
                              "no remote 'origin' that says whose it is",
                              p->settings->app, expected),
            "Run this in a clone of the app's repository.");
    }
    if (!str_equal_nocase(str_of(actual), str_of(expected))) {
        return error_hint(error_new(ERROR_DENIED, "app '%s' belongs to '%s', this is '%s'",
                              p->settings->app, expected, actual),
            "Only the repository that the spec names may deploy the app.");
    }
    return NULL;
}

static struct error *
check_clean(const struct preparation *p)
{
    if (!p->git->dirty || p->request->allow_dirty) {
        return NULL;
    }
    const char *first = p->git->changed.count > 0 ? p->git->changed.items[0] : "";
    return error_hint(error_new(ERROR_USAGE, "the work tree is dirty: '%s'%s", first,
                          p->git->changed.count > 1 ? " and others are changed" : " is changed"),
        "Commit the change, or pass --allow-dirty to deploy what the image holds anyway.");
}

struct error *
prepare_check_version(const char *version)
{
    return tag_is_valid(str_of(version))
               ? NULL
               : error_hint(
                     error_new(ERROR_USAGE, "version '%.140s' cannot be an image tag", version),
                     "Use letters, digits, '_', '.' and '-', 128 at most (OCI distribution 1.1).");
}

static struct error *
version_from_tag(const struct preparation *p, const char **out)
{
    const char *found = NULL;
    for (size_t i = 0; i < p->git->tags.count; i++) {
        const char *tag = p->git->tags.items[i];
        if (!semver_is_valid(str_of(tag))) {
            continue;
        }
        if (found != NULL) {
            return error_hint(
                error_new(ERROR_USAGE, "two version tags point at HEAD: '%s' and '%s'", found, tag),
                "Say which one with --version.");
        }
        found = tag;
    }
    if (found == NULL) {
        return error_hint(
            error_new(ERROR_USAGE, "no version tag points at HEAD (%.12s)", p->git->sha),
            "The spec says 'version: tag': tag the commit (git tag v1.2.3), or pass --version.");
    }
    *out = found;
    return NULL;
}

static struct error *
choose_version(const struct preparation *p, const char **out)
{
    const char *version = p->request->version;
    if (version == NULL && cstr_equal(p->settings->version_from, "tag")) {
        TRY(version_from_tag(p, &version));
    }
    if (version == NULL) {
        version = p->git->sha;
    }
    TRY(prepare_check_version(version));
    *out = arena_dup(p->arena, version);
    return NULL;
}

// A guard rail, not a lock: who holds the keys can go round it (spec-format.md).
static struct error *
check_allowed(const struct preparation *p, struct deploy_context *context)
{
    const struct ref_triggers triggers = ref_triggers(context, p);
    const char *ref = triggers.items[0].ref, *event = triggers.items[0].event;
    for (size_t i = 0; i < p->settings->allow_count * triggers.count; i++) {
        const struct setting_allow *rule = &p->settings->allow[i / triggers.count];
        if (settings_rule_accepts(rule, &triggers.items[i % triggers.count])) {
            return NULL;
        }
    }
    if (!p->settings->has_allow) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_DENIED, "'%s' may not be deployed to '%s' from '%s'%s%s%s",
            p->settings->app, p->settings->env, ref, event != NULL ? " by event '" : "",
            event != NULL ? event : "", event != NULL ? "'" : ""),
        "The spec's 'allow' rules for this environment say which refs and events may.");
}

// Splits "[SERVICE=]SOURCE": a service name never holds a ':', a source always does.
static struct str
image_service(const char *image, const char **source)
{
    const char *equals = strchr(image, '='), *colon = strchr(image, ':');
    if (equals == NULL || (colon != NULL && colon < equals)) {
        *source = image;
        return (struct str){NULL, 0};
    }
    *source = equals + 1;
    return (struct str){image, (size_t)(equals - image)};
}

static struct deployment_service *
find_part(const struct deployment *deployment, struct str name)
{
    for (size_t i = 0; i < deployment->services.count; i++) {
        struct deployment_service *part = deployment_service_at(deployment, i);
        if (str_equal(str_of(part->name), name)) {
            return part;
        }
    }
    return NULL;
}

static struct error *
find_image_owner(const struct preparation *p, const char *image, struct str name,
    struct deployment_service **out)
{
    const struct object_list *parts = &p->deployment->services;
    if (name.ptr == NULL && parts->count != 1) {
        return error_hint(
            error_new(ERROR_USAGE, "image '%s' does not say for which service", image),
            "The app has %zu services: write --image SERVICE=SOURCE.", parts->count);
    }
    if (name.ptr == NULL) {
        *out = deployment_service_at(p->deployment, 0);
        return NULL;
    }
    *out = find_part(p->deployment, name);
    if (*out != NULL) {
        return NULL;
    }
    const struct setting_service *service =
        settings_service(p->settings, arena_str(p->arena, name));
    if (service == NULL) {
        return error_hint(error_new(ERROR_USAGE, "app '%s' has no service '%.*s'", p->settings->app,
                              STR_FMT(name)),
            "--image takes SERVICE=SOURCE with a service of the spec.");
    }
    return error_new(ERROR_USAGE, "service '%s' is not deployable: %s", service->key,
        service->image_tag != NULL ? "'image_tag' pins its version"
        : service->image != NULL   ? "its image comes from elsewhere"
                                   : "'deploy.services' leaves it out");
}

static struct error *
assign_images(const struct preparation *p)
{
    for (size_t i = 0; i < p->request->images.count; i++) {
        const char *image = p->request->images.items[i], *source = NULL;
        struct image_source *parsed = NULL;
        struct deployment_service *part = NULL;
        struct str name = image_service(image, &source);
        TRY(find_image_owner(p, image, name, &part));
        TRY(image_source_parse(source, p->arena, &parsed));
        if (part->source != NULL) {
            return error_new(ERROR_USAGE, "two images for service '%s'", part->name);
        }
        part->source = arena_dup(p->arena, source);
    }
    return NULL;
}

struct error *
prepare_services(const struct preparation *p)
{
    const struct settings *settings = p->settings;
    struct deployment_service *parts =
        arena_array(p->arena, settings->service_count, sizeof(*parts));
    size_t count = 0;
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct setting_service *service = &settings->services[i];
        if (!service->deployable) {
            continue;
        }
        parts[count++] = (struct deployment_service){
            .name = service->key,
            .no_image = !service->has_image,
            .repository = service->repository,
            .parameter = service->parameter,
        };
    }
    p->deployment->services = (struct object_list){parts, count};
    if (count > 0 || settings->has_workers) {
        return assign_images(p);
    }
    return error_hint(error_new(ERROR_SPEC,
                          "app '%s' has nothing to deploy: every service is pinned by "
                          "'image_tag' or takes an external image",
                          settings->app),
        "Take 'image_tag' out of the service whose version dispatcher is to write.");
}

static const char *
or_else(const char *given, const char *fallback)
{
    return given != NULL ? given : fallback;
}

// The pages that belong to an API. In a job GITHUB_SERVER_URL says; else "https://api.github.com" →
// "https://github.com", and a GHES base loses its "/api/v3".
static const char *
web_of_api(struct deploy_context *context, struct arena *arena, const char *api, bool in_job)
{
    const char *server = env_get(context->platform, "GITHUB_SERVER_URL");
    if (in_job && server != NULL && env_get(context->platform, "GITHUB_API_URL") != NULL) {
        return arena_dup(arena, server);
    }
    struct str text = str_of(api), tail = STR("/api/v3"), head = STR("https://api.");
    if (str_ends(text, tail)) {
        return arena_str(arena, (struct str){text.ptr, text.len - tail.len});
    }
    if (str_starts(text, head)) {
        return arena_printf(arena, "https://%s", api + head.len);
    }
    return arena_dup(arena, api);
}

static void
copy_settings(const struct preparation *p, struct deploy_context *context)
{
    struct deployment *d = p->deployment;
    const struct settings *s = p->settings;
    const struct deploy_request *r = p->request;
    d->app = s->app;
    d->name = s->name;
    d->title = s->title;
    d->env = s->env;
    d->repository = s->repo;
    d->on_failure = or_else(arena_dup(p->arena, r->on_failure), s->on_failure);
    d->on_cancel = or_else(arena_dup(p->arena, r->on_cancel), s->on_cancel);
    d->on_timeout = or_else(arena_dup(p->arena, r->on_timeout), s->on_timeout);
    d->timeout_ms = r->timeout_ms > 0 ? r->timeout_ms : s->workflow_timeout_ms;
    d->queue_timeout_ms = r->timeout_ms > 0 ? r->timeout_ms : s->workflow_queue_timeout_ms;
    d->no_wait = r->no_wait;
    d->region = s->region;
    d->account = s->account;
    d->role = s->role;
    d->create_repository = s->create_repository;
    d->scan_block = s->scan_block;
    d->scan_on_missing = s->scan_on_missing;
    d->scan_wait_ms = s->scan_wait_ms;
    d->compression = s->compression;
    // The environment goes before the files (spec-format.md "Precedence").
    bool in_job = r->given == NULL; // a service has no job's environment
    const char *api = in_job ? env_get(context->platform, "GITHUB_API_URL") : NULL;
    d->github_api = or_else(arena_dup(p->arena, api), s->github_api);
    d->github_web = web_of_api(context, p->arena, d->github_api, in_job);
    d->github_app_id = s->github_app_id;
    d->github_app_key = s->github_app_key;
    if (!in_job && r->given->github_api != NULL) {
        d->github_api = arena_dup(p->arena, r->given->github_api);
        d->github_web = web_of_api(context, p->arena, d->github_api, in_job);
        d->github_app_id = arena_dup(p->arena, r->given->github_app_id);
        d->github_app_key = arena_dup(p->arena, r->given->github_app_key);
    }
    d->vault = s->vault;
    d->workflow_repo = s->workflow_repo;
    d->workflow_file = s->workflow_file;
    d->workflow_ref = s->workflow_ref;
    d->id_input = s->workflow_id_input;
    d->via = s->via;
    d->verb = r->verb != NULL ? r->verb : "deploy";
    d->because = arena_dup(p->arena, r->because);
}

static void
copy_git(const struct preparation *p)
{
    p->deployment->sha = p->git->sha;
    p->deployment->branch = p->git->branch;
    p->deployment->tag = p->git->tags.count > 0 ? p->git->tags.items[0] : NULL;
    if (p->deployment->repository == NULL) {
        p->deployment->repository = p->git->repository;
    }
    p->deployment->dirty = p->git->dirty;
    if (p->git->dirty) {
        deployment_note(p->deployment, p->arena, "deployed from a dirty work tree (--allow-dirty)");
    }
}

// Who asks: what a re-run of the same CI job has in common with its first attempt, so that it finds
// its own work again (protocols.md §3.4); outside CI, this deployment alone.
static void
name_caller(const struct preparation *p, struct deploy_context *context)
{
    const struct platform *platform = context->platform;
    struct deployment *d = p->deployment;
    const char *repository = env_get(platform, "GITHUB_REPOSITORY_ID");
    const char *run = env_get(platform, "GITHUB_RUN_ID"), *job = env_get(platform, "GITHUB_JOB");
    const char *who = env_get(platform, "GITHUB_ACTOR");
    d->actor = arena_dup(p->arena, who != NULL ? who : env_get(platform, "USER"));
    if (!actions_is_active(platform) || run == NULL) {
        d->claim_key = arena_printf(p->arena, "local/%s", d->id);
        return;
    }
    // A rollout and a rollback read their version only later.
    const char *what = d->version != NULL ? d->version
                       : p->request->to != NULL
                           ? arena_printf(p->arena, "%s %s", d->verb, p->request->to)
                           : d->verb;
    d->claim_key = arena_printf(p->arena, "%s/%s/%s/%s/%s/%s", repository != NULL ? repository : "",
        run, job != NULL ? job : "", d->app, d->env, what);
    const char *server = env_get(platform, "GITHUB_SERVER_URL");
    const char *name = env_get(platform, "GITHUB_REPOSITORY");
    if (server != NULL && name != NULL) {
        d->caller_url = arena_printf(p->arena, "%s/%s/actions/runs/%s", server, name, run);
    }
}

struct error *
prepare_inputs(const struct preparation *p)
{
    const struct pair_list *templates = &p->settings->workflow_inputs;
    struct pair *inputs = arena_array(p->arena, templates->count, sizeof(*inputs));
    const struct spec_context context = {
        .version = p->deployment->version,
        .digest = "{digest}", // known after the push only: step_trigger puts it in
        .sha = p->deployment->sha,
        .tag = p->deployment->tag,
    };
    for (size_t i = 0; i < templates->count; i++) {
        inputs[i].key = templates->items[i].key;
        TRY(spec_expand(
            p->settings, &context, templates->items[i].value, p->arena, &inputs[i].value));
    }
    p->deployment->inputs = (struct pair_list){inputs, templates->count};
    return NULL;
}

// The role and the registry may name the region and the account that only the environment knows.
static struct error *
expand_places(struct deploy_context *context, struct preparation *p)
{
    struct deployment *d = p->deployment;
    const char *region = env_get(context->platform, "AWS_REGION");
    const struct spec_context known = {
        .region = region != NULL ? region : env_get(context->platform, "AWS_DEFAULT_REGION")};
    if (d->role != NULL && strchr(d->role, '{') != NULL) {
        TRY(spec_expand(p->settings, &known, d->role, p->arena, &d->role));
    }
    return NULL;
}

static struct error *
read_git(struct deploy_context *context, struct preparation *p)
{
    const char *path = p->request->checkout != NULL ? p->request->checkout : ".";
    return p->git != NULL ? NULL : git_facts_read(context->platform, path, p->arena, &p->git);
}

static struct error *
resolve_settings(
    struct deploy_context *context, struct preparation *p, struct diagnostics *diagnostics)
{
    struct spec_files *files = NULL;
    const char *env = p->request->env;
    TRY(p->request->given != NULL ? given_documents(p, &files)
                                  : specs_load(context, p->request, p->arena, diagnostics, &files));
    if (env == NULL) {
        TRY(read_git(context, p));
        TRY(ref_choose_environment(context, p, files, diagnostics, &env));
    }
    settings_resolve(
        &files->config, &files->app, p->request->app, env, p->arena, diagnostics, &p->settings);
    TRY(diagnostics_error(diagnostics));
    p->deployment->specs = files->where;
    p->deployment->specs_commit = files->commit;
    return NULL;
}

static void
make_id(const struct preparation *p, struct deploy_context *context)
{
    char hex[17];
    random_hex(context->platform->random, 8, hex);
    p->deployment->id = p->request->given != NULL ? arena_dup(p->arena, p->request->given->id)
                                                  : arena_printf(p->arena, "d-%s", hex);
    p->deployment->created_ms = clock_wall(context->platform->clock);
}

struct error *
prepare_settings(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct preparation *out)
{
    struct preparation p = {
        .request = request, .arena = arena, .deployment = deployment_new(arena)};
    bool by_ref = request->env == NULL && request->given == NULL &&
                  (request->verb == NULL || cstr_equal(request->verb, "deploy"));
    TRY(name_check("app name", request->app));
    TRY(by_ref ? NULL : name_check("environment name", request->env));
    TRY(resolve_settings(context, &p, diagnostics));
    copy_settings(&p, context);
    TRY(expand_places(context, &p));
    make_id(&p, context);
    if (request->given != NULL) {
        place_enter(context, p.deployment);
    }
    *out = p;
    return NULL;
}

struct error *
deploy_settings(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct settings **out)
{
    struct preparation p = {
        .request = request, .arena = arena, .deployment = deployment_new(arena)};
    TRY(name_check("app name", request->app));
    TRY(name_check("environment name", request->env));
    TRY(resolve_settings(context, &p, diagnostics));
    *out = p.settings;
    return NULL;
}

struct error *
prepare_checkout(struct deploy_context *context, struct preparation *p)
{
    TRY(read_git(context, p));
    TRY(check_repository(p, context));
    TRY(check_allowed(p, context));
    TRY(windows_check(p, clock_wall(context->platform->clock)));
    TRY(check_clean(p));
    copy_git(p);
    TRY(choose_version(p, &p->deployment->version));
    name_caller(p, context);
    return prepare_inputs(p);
}

// A rollout from here has no other end than its own.
static struct error *
check_waits(const struct preparation *p)
{
    if (!p->request->no_wait || !deployment_is_direct(p->deployment)) {
        return NULL;
    }
    return error_hint(error_new(ERROR_USAGE,
                          "--no-wait is for 'via: workflow': here '%s' is rolled out "
                          "by this very process",
                          p->deployment->app),
        "Interrupt it instead: the rollout goes on, and 'dispatcher resume' follows it.");
}

static struct error *
prepare_rest(struct deploy_context *context, struct preparation *p)
{
    TRY(check_enabled(p));
    TRY(check_waits(p));
    TRY(promote_prepare(context, p));
    if (p->request->given != NULL) {
        TRY(given_facts(p));
        TRY(prepare_services(p));
        return given_version(context, p);
    }
    if (cstr_equal(p->deployment->verb, "promote")) {
        p->deployment->verb = "deploy";
        TRY(prepare_services(p));
        TRY(promote_locally(context, p));
        name_caller(p, context);
        TRY(prepare_inputs(p));
        return targets_prepare(context, p);
    }
    if (!cstr_equal(p->deployment->verb, "deploy")) {
        name_caller(p, context); // no checkout of the app: what the parameters say decides
        return prepare_services(p);
    }
    TRY(prepare_checkout(context, p));
    TRY(prepare_services(p));
    TRY(build_prepare(p));
    return targets_prepare(context, p);
}

struct error *
prepare_locally(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct preparation *out)
{
    struct preparation p = {0};
    TRY(prepare_settings(context, request, arena, diagnostics, &p));
    TRY(prepare_about(&p, prepare_rest(context, &p)));
    *out = p;
    return NULL;
}

struct error *
prepare_about(const struct preparation *p, struct error *err)
{
    bool is_known = err == NULL || p->request->env != NULL;
    return is_known ? err : error_wrap(err, "environment '%s'", p->deployment->env);
}
