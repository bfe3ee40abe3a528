// Step "build": the image of one service is made here, from the checkout that the deployment is of.
// What comes out lives as long as this process: a resumed deployment builds again. Never undone:
// the image stays in the builder's own store, the archive in between is removed.
#define _XOPEN_SOURCE 700 // realpath
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/build.h"
#include "dispatcher/memory.h"

enum { LINE_MAX_BYTES = 2000 };

static struct deployment_service *
service_of(const struct step_run *run)
{
    return deployment_service_at(run->deployment, (size_t)run->step->service);
}

struct error *
build_expand_args(const struct preparation *p)
{
    const struct pair_list *templates = &p->settings->build_args;
    struct pair *args = arena_array(p->arena, templates->count, sizeof(*args));
    const struct spec_context context = {
        .version = p->deployment->version, .sha = p->deployment->sha, .tag = p->deployment->tag};
    for (size_t i = 0; i < templates->count; i++) {
        args[i].key = templates->items[i].key;
        TRY(spec_expand(
            p->settings, &context, templates->items[i].value, p->arena, &args[i].value));
    }
    p->deployment->build_args = (struct pair_list){args, templates->count};
    return NULL;
}

// Every service that has no image of its own is built.
static size_t
mark_services(const struct preparation *p)
{
    size_t count = 0;
    for (size_t i = 0; i < p->deployment->services.count; i++) {
        struct deployment_service *service = deployment_service_at(p->deployment, i);
        if (service->source == NULL) {
            const struct setting_service *setting = settings_service(p->settings, service->name);
            service->build = true;
            service->dockerfile = setting->dockerfile;
            service->context = setting->context;
            count++;
        }
    }
    return count;
}

struct error *
build_prepare(const struct preparation *p)
{
    struct deployment *d = p->deployment;
    if (!p->request->build) {
        return NULL;
    }
    if (mark_services(p) == 0) {
        return error_hint(error_new(ERROR_USAGE, "--build has nothing to build: %s has its --image",
                              d->services.count == 1 ? "the service" : "every service"),
            "Give one or the other for a service.");
    }
    const char *path = p->request->checkout != NULL ? p->request->checkout : ".";
    char *real CLEANUP(xfreep) = realpath(path, NULL);
    if (real == NULL) {
        return error_new(ERROR_USAGE, "checkout '%s': %s", path, strerror(errno));
    }
    d->checkout = arena_dup(p->arena, real);
    d->work_tree = p->git->root;
    d->build_platform = p->settings->build_platform;
    d->build_secrets = p->settings->build_secrets;
    return build_expand_args(p);
}

static struct build_order
order_of(const struct deployment *d, const struct deployment_service *service)
{
    return (struct build_order){
        .directory = d->checkout,
        .root = d->work_tree,
        .dockerfile = service->dockerfile,
        .context = service->context,
        .platform = d->build_platform,
        .args = d->build_args,
        .secrets = d->build_secrets,
    };
}

struct error *
build_look(struct deploy_context *context, const struct deployment *d,
    const struct deployment_service *service)
{
    const struct build_order order = order_of(d, service);
    enum build_tool tool = BUILD_DOCKER;
    struct error *err = build_check(context->platform, &order);
    if (err == NULL) {
        err = build_find(context->platform, &tool);
    }
    return err != NULL ? error_wrap(err, "build '%s'", service->name) : NULL;
}

void
build_forget(struct deployment *d)
{
    for (size_t i = 0; i < d->steps.count; i++) {
        struct deployment_step *step = deployment_step_at(d, i);
        if (strcmp(step->kind, "build") != 0 || step->skip) {
            continue;
        }
        struct deployment_service *service = deployment_service_at(d, (size_t)step->service);
        if (service->digest == NULL) { // not pushed yet
            service->source = NULL;
            step->state = step->state != NULL ? "intent" : NULL;
            step->note = NULL;
        }
    }
}

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    const struct deployment_service *service = deployment_service_at(d, (size_t)step->service);
    buf_printf(out, "build %s: %s in %s", service->name, service->dockerfile, service->context);
}

static void
on_line(void *ctx, const char *line)
{
    const struct step_run *run = ctx;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    context_emit(run->context, &(struct deploy_event){
                                   .kind = DEPLOY_EVENT_OUTPUT,
                                   .deployment = run->deployment,
                                   .step = run->step,
                                   .text = context_clean(scratch, line, LINE_MAX_BYTES),
                               });
}

// The version is a name for this commit; a later one must not be built under it.
static struct error *
check_checkout(const struct step_run *run)
{
    const struct deployment *d = run->deployment;
    struct git_facts *git = NULL;
    TRY(git_facts_read(run->context->platform, d->checkout, run->arena, &git));
    if (!cstr_equal(git->sha, d->sha)) {
        return error_hint(error_new(ERROR_CONFLICT, "checkout '%s' is at %.12s now, not at %.12s",
                              d->checkout, git->sha, d->sha),
            "Check the commit out again and deploy anew.");
    }
    if (git->dirty && !d->dirty) {
        return error_hint(error_new(ERROR_CONFLICT, "the work tree is dirty: '%s' is changed",
                              git->changed.count > 0 ? git->changed.items[0] : ""),
            "It was clean when the deployment was planned. Commit the change and deploy anew.");
    }
    return NULL;
}

// An earlier process may have pushed what it built, and died before it could say so.
static struct error *
find_pushed(const struct step_run *run, struct deployment_service *service)
{
    struct registry_client *client = NULL;
    if (!run->resumed) {
        return NULL;
    }
    TRY(provider_registry(run->context, run->deployment, service->registry, &client));
    TRY(registry_manifest_digest(
        client, service->repository, run->deployment->version, run->arena, &service->digest));
    for (size_t i = 0; service->digest != NULL && i < run->deployment->steps.count; i++) {
        struct deployment_step *step = deployment_step_at(run->deployment, i);
        if (step->service == run->step->service && strcmp(step->kind, "push") == 0) {
            step->skip = true;
            step->reason = arena_printf(run->arena, "present as %.19s…", service->digest);
        }
    }
    return NULL;
}

static struct error *
build(const struct step_run *run, struct step_result *out)
{
    struct deployment_service *service = service_of(run);
    struct build_order order = order_of(run->deployment, service);
    struct build_result result = {0};
    enum build_tool tool = BUILD_DOCKER;
    struct step_run here = *run;
    order.line = on_line;
    order.ctx = &here;
    TRY(find_pushed(run, service));
    if (service->digest != NULL) {
        out->outcome = STEP_SKIPPED;
        out->note = "present";
        return NULL;
    }
    TRY(check_checkout(run));
    TRY(build_find(run->context->platform, &tool));
    TRY(build_run(run->context->platform, tool, &order, run->arena, &result));
    context_leave(run->context, result.leftovers);
    service->source = result.source;
    out->outcome = STEP_DONE;
    out->note = arena_printf(run->arena, "by %s", build_tool_name(tool));
    return NULL;
}

static struct error *
run_build(const struct step_run *run, struct step_result *out)
{
    struct error *err = build(run, out);
    return err != NULL ? error_wrap(err, "build '%s'", service_of(run)->name) : NULL;
}

const struct step_ops step_build = {"build", describe, run_build, NULL};
