// From the spec to what its targets are on their platforms now. Changes nothing, and needs neither
// a version nor a checkout, but to know which workers there are.
#include "running.h"

#include <string.h>

#include "dispatcher/apprunner.h"
#include "dispatcher/memory.h"

enum { REASON_MAX = 300 };

struct opening {
    struct deploy_context *context;
    struct preparation p;
    const char *service; // the only one that was asked for, or NULL
    struct deployment_target *targets;
    size_t count;
};

// --- which targets -------------------------------------------------------------------------------

// Only what a target is called: the rest may need a version, and there is none.
static struct error *
expand_names(
    const struct opening *opening, const struct spec_context *known, struct setting_target *want)
{
    const char **const texts[] = {&want->cluster, &want->service, &want->container};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (*texts[i] != NULL && strchr(*texts[i], '{') != NULL) {
            TRY(spec_expand(opening->p.settings, known, *texts[i], opening->p.arena, texts[i]));
        }
    }
    return NULL;
}

static struct error *
add(struct opening *opening, const char *name, const char *worker,
    const struct setting_target *from, const struct spec_context *about)
{
    const struct deployment *d = opening->p.deployment;
    const char *region = env_get(opening->context->platform, "AWS_REGION");
    struct spec_context known = *about;
    known.account = d->account;
    known.region = d->region != NULL ? d->region : region;
    struct deployment_target *target = &opening->targets[opening->count++];
    *target = (struct deployment_target){
        .name = name,
        .service = -1,
        .worker = worker,
        .want = {.kind = from->kind,
            .cluster = from->cluster,
            .service = from->service,
            .container = from->container,
            .source = from->source},
    };
    struct error *err = expand_names(opening, &known, &target->want);
    return err != NULL ? error_wrap(err, "target of '%s'", name) : NULL;
}

static struct error *
add_services(struct opening *opening)
{
    const struct settings *settings = opening->p.settings;
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct setting_service *service = &settings->services[i];
        bool wanted = opening->service == NULL || strcmp(opening->service, service->key) == 0;
        if (wanted && service->has_target) {
            TRY(add(opening, service->key, NULL, &service->target,
                &(struct spec_context){.service = service->key}));
        }
    }
    return NULL;
}

static struct error *
add_worker(struct opening *opening, const char *name, const char *file)
{
    return add(opening, name, file != NULL ? file : name, &opening->p.settings->workers.target,
        &(struct spec_context){
            .worker = name, .worker_file = file != NULL ? spec_worker_file(file) : NULL});
}

static struct error *
find_workers(struct opening *opening, struct str_list *files)
{
    struct preparation *p = &opening->p;
    const char *path = p->request->checkout != NULL ? p->request->checkout : ".";
    TRY(git_facts_read(opening->context->platform, path, p->arena, &p->git));
    p->deployment->files_root = p->git->root;
    return workers_find(opening->context, p, files);
}

// Which workers there are stands in the app's checkout only. Without it the services are shown.
static struct error *
add_workers(struct opening *opening, const char **note)
{
    struct arena *arena = opening->p.arena;
    struct str_list files = {0};
    struct error *err = find_workers(opening, &files);
    if (err != NULL && error_kind(err) != ERROR_CANCELLED) {
        char *text CLEANUP(xfreep) = error_text(err);
        *note = context_clean(arena,
            arena_printf(arena,
                "which workers there are cannot be told here (%s); name one with --service", text),
            REASON_MAX);
        error_free(err);
        return NULL;
    }
    TRY(err);
    struct deployment_target *longer =
        arena_array(arena, opening->count + files.count, sizeof(*longer));
    for (size_t i = 0; i < opening->count; i++) {
        longer[i] = opening->targets[i];
    }
    opening->targets = longer;
    for (size_t i = 0; i < files.count; i++) {
        const char *name = spec_worker_name(files.items[i], arena);
        TRY(add_worker(opening, name != NULL ? name : files.items[i], files.items[i]));
    }
    return NULL;
}

// --- what was asked for and is not there ---------------------------------------------------------

static struct error *
unknown_service(const struct opening *opening)
{
    const struct settings *settings = opening->p.settings;
    const char **names = arena_array(opening->p.arena, settings->service_count + 1, sizeof(*names));
    struct buf list CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < settings->service_count; i++) {
        names[i] = settings->services[i].key;
        buf_printf(&list, "%s'%s'", i > 0 ? ", " : "", names[i]);
    }
    struct error *err =
        error_new(ERROR_USAGE, "app '%s' has no service '%s'", settings->app, opening->service);
    const char *closest = str_closest(str_of(opening->service), names);
    return closest != NULL ? error_hint(err, "Did you mean '%s'?", closest)
                           : error_hint(err, "It has %s.", buf_cstr(&list));
}

static struct error *
no_target(const struct opening *opening)
{
    const struct settings *settings = opening->p.settings;
    const struct setting_service *service =
        opening->service != NULL ? settings_service(settings, opening->service) : NULL;
    if (service != NULL) {
        return error_hint(error_new(ERROR_SPEC, "service '%s' of '%s' has no 'target' in '%s'",
                              service->key, settings->app, settings->env),
            service->deployable
                ? "Say where it runs with 'deploy.target' or 'deploy.targets' in its spec."
                : "It is not deployed by dispatcher, which therefore does not know where it runs.");
    }
    return error_hint(
        error_new(ERROR_SPEC, "app '%s' has no 'target' in '%s'", settings->app, settings->env),
        settings->has_workers
            ? "Name one of its workers with --service, or give the app's checkout with --checkout."
            : "Say where it runs with 'deploy.target' in its spec.");
}

struct error *
running_open(struct deploy_context *context, const struct deploy_request *request,
    const char *service, struct arena *arena, struct diagnostics *diagnostics, struct running *out)
{
    struct opening opening = {.context = context, .service = service};
    const char *said = NULL;
    TRY(prepare_settings(context, request, arena, diagnostics, &opening.p));
    const struct settings *settings = opening.p.settings;
    opening.targets = arena_array(arena, settings->service_count + 1, sizeof(*opening.targets));
    TRY(add_services(&opening));
    if (service == NULL && settings->has_workers) {
        TRY(add_workers(&opening, &said));
    } else if (service != NULL && settings_service(settings, service) == NULL) {
        if (!settings->has_workers) {
            return unknown_service(&opening);
        }
        TRY(add_worker(&opening, arena_dup(arena, service), NULL));
    }
    if (opening.count == 0) {
        return no_target(&opening);
    }
    opening.p.deployment->targets = (struct object_list){opening.targets, opening.count};
    *out = (struct running){opening.p.deployment, said};
    return NULL;
}

// --- on their platforms --------------------------------------------------------------------------

bool
running_is_ecs(const struct deployment_target *target)
{
    return cstr_equal(target->want.kind, "ecs") || cstr_equal(target->want.kind, "ecs-express");
}

static struct error *
not_there(const struct deployment_target *target, const char *where)
{
    struct error *err =
        error_new(ERROR_SPEC, "there is no service '%s' in %s", target->want.service, where);
    return target->worker != NULL
               ? error_hint(
                     err, "It would be the one of worker '%s'; is that its name?", target->name)
               : error_hint(err, "Check the target of '%s' in the spec, and account and region.",
                     target->name);
}

struct error *
running_ecs_service(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct ecs_service *out)
{
    struct aws_session *aws = NULL;
    const char *cluster = target->want.cluster != NULL ? target->want.cluster : "default";
    TRY(provider_aws(run->context, run->deployment, &aws));
    struct error *err = ecs_services_describe(aws, cluster, &target->want.service, 1, arena, out);
    if (aws_has_code(err, "ClusterNotFoundException")) {
        return error_hint(error_wrap_as(ERROR_SPEC, err, "there is no cluster '%s'", cluster),
            "Check 'cluster' in the target of '%s', and account and region.", target->name);
    }
    if (err != NULL) {
        return err;
    }
    return out->arn != NULL ? NULL
                            : not_there(target, arena_printf(arena, "cluster '%s'", cluster));
}

struct error *
running_apprunner_arn(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, const char **out)
{
    struct aws_session *aws = NULL;
    if (str_starts(str_of(target->want.service), STR("arn:"))) {
        *out = target->want.service;
        return NULL;
    }
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(apprunner_find(aws, target->want.service, arena, out));
    return *out != NULL ? NULL : not_there(target, "App Runner");
}
