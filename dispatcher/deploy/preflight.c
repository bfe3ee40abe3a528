// `verify`: what a rollout of (app, env) would meet, looked at before anything is changed: the
// parameter and its image, each target and what it needs, the addresses that are to be checked.
// Reads with the code of a deployment. What only a change can show is named, and not tried.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "findings.h"
#include "target_internal.h"

enum { ASK_MS = 10 * 1000, BODY_MAX = 1024 * 1024 };

struct preflight {
    struct deploy_context *context;
    struct preparation preparation;
    struct findings findings;
};

// --- parameter and image -----------------------------------------------------------------------

static void
look_at_image(struct preflight *f, struct deployment_service *service)
{
    struct arena *arena = f->findings.arena;
    struct error *err = snapshot_registry(f->context, &f->preparation, service);
    if (!findings_passed(&f->findings, "image", err)) {
        return;
    }
    if (service->digest == NULL) {
        findings_bad(&f->findings, "image",
            arena_printf(arena, "%s/%s:%s is not in the registry", service->registry,
                service->repository, service->version),
            "Push it, or deploy another version.", ERROR_INPUT);
        return;
    }
    findings_good(&f->findings, "image",
        arena_printf(arena, "%s/%s:%s is %.19s…", service->registry, service->repository,
            service->version, service->digest));
}

// --version is what would be deployed; else what the parameter says is looked at.
static void
look_at_service(struct preflight *f, struct deployment_service *service, bool has_registry)
{
    struct arena *arena = f->findings.arena;
    const char *version = f->preparation.request->version;
    struct error *err = snapshot_parameter(f->context, &f->preparation, service);
    if (!findings_passed(&f->findings, "parameter", err)) {
        return;
    }
    findings_good(&f->findings, "parameter",
        service->previous != NULL
            ? arena_printf(arena, "%s says '%s'", service->parameter, service->previous)
            : arena_printf(arena, "%s does not exist yet", service->parameter));
    service->version = version != NULL ? version : service->previous;
    if (service->version != NULL && !tag_is_valid(str_of(service->version))) {
        findings_bad(&f->findings, "parameter",
            arena_printf(arena, "'%s' cannot be an image tag", service->version),
            "Write a version of letters, digits, '_', '.' and '-'.", ERROR_SPEC);
        service->version = NULL;
    }
    if (service->version != NULL && has_registry && !service->no_image) {
        look_at_image(f, service);
    }
}

static void
look_at_services(struct preflight *f)
{
    struct deployment *d = f->preparation.deployment;
    const struct settings *settings = f->preparation.settings;
    struct deployment_service *services =
        arena_array(f->findings.arena, settings->service_count, sizeof(*services));
    size_t count = 0;
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct setting_service *from = &settings->services[i];
        if (from->deployable) {
            services[count++] = (struct deployment_service){.name = from->key,
                .no_image = !from->has_image,
                .repository = from->repository,
                .parameter = from->parameter};
        }
    }
    d->services = (struct object_list){services, count};
    struct error *err = snapshot_place(f->context, &f->preparation);
    bool has_registry = findings_passed(&f->findings, "registry", err);
    for (size_t i = 0; i < count; i++) {
        look_at_service(f, &services[i], has_registry);
    }
    d->version = count > 0 && services[0].version != NULL ? services[0].version : "unknown";
    d->sha = snapshot_is_commit(d->version) ? d->version : NULL;
}

// --- targets -----------------------------------------------------------------------------------

// What a look notes for the plan, as findings; they stand behind `before`.
static void
take_notes(struct preflight *f, size_t before)
{
    static const char mark[] = "warning: ";
    const struct str_list *notes = &f->preparation.deployment->notes;
    for (size_t i = before; i < notes->count; i++) {
        const char *note = notes->items[i];
        if (str_starts(str_of(note), str_of(mark))) {
            findings_warn(&f->findings, "target", note + strlen(mark),
                strstr(note, "circuit breaker") != NULL
                    ? "Turn on 'deploymentCircuitBreaker' with its rollback for the service."
                    : "The plan of a rollout says this, too.");
        } else {
            findings_good(&f->findings, "target", note);
        }
    }
}

// Reading what runs is what the proof will need.
static void
look_at_running(struct preflight *f, const struct step_run *run, struct deployment_target *target)
{
    const char *digest = target->before_digest;
    if (digest == NULL && target->service >= 0) {
        digest = deployment_service_at(run->deployment, (size_t)target->service)->digest;
    }
    if (digest == NULL || target->arn == NULL) {
        return;
    }
    struct error *err = target_ops_find(target->want.kind)->prove(run, target, digest);
    if (findings_passed(&f->findings, "proof", err)) {
        findings_good(&f->findings, "proof",
            arena_printf(f->findings.arena, "what '%s' runs can be read: %s", target->name,
                target->proof != NULL ? target->proof : "nothing runs"));
    }
}

static void
look_at_target(struct preflight *f, struct deployment_target *target)
{
    struct deployment *d = f->preparation.deployment;
    const struct step_run run = {
        .context = f->context, .deployment = d, .arena = f->findings.arena};
    const struct target_ops *ops = target_ops_find(target->want.kind);
    size_t notes = d->notes.count;
    struct error *err = ops->look(&run, target);
    bool can_be_read = findings_passed(&f->findings, "target",
        err != NULL ? error_wrap(err, "look at target '%s'", target->name) : NULL);
    take_notes(f, notes);
    if (can_be_read) {
        findings_good(&f->findings, "target",
            arena_printf(f->findings.arena, "'%s': a rollout %s", target->name,
                target->note != NULL ? target->note : "can begin"));
    }
    if (ops->inspect != NULL) {
        ops->inspect(&run, target, &f->findings);
    }
    if (can_be_read) {
        look_at_running(f, &run, target);
    }
}

static void
look_at_targets(struct preflight *f)
{
    struct deployment *d = f->preparation.deployment;
    struct error *err = targets_prepare(f->context, &f->preparation);
    if (!findings_passed(&f->findings, "target", err)) {
        return;
    }
    if (d->targets.count == 0) {
        findings_warn(&f->findings, "target", "the spec describes no target: nothing can be proven",
            "Add 'deploy.target' to it.");
        return;
    }
    for (size_t i = 0; i < d->targets.count; i++) {
        look_at_target(f, deployment_target_at(d, i));
    }
}

// --- addresses ---------------------------------------------------------------------------------

// What answers now is the version of before: only that it answers is looked at.
static void
look_at_check(struct preflight *f, const struct deployment_check *check)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    const struct http_request request = {.method = HTTP_GET,
        .url = check->url,
        .deadline_ms = clock_mono(f->context->platform->clock) + ASK_MS,
        .max_response = BODY_MAX};
    struct error *err = http_send(f->context->http, &request, &response);
    if (!findings_noted(&f->findings, "check", err)) {
        return;
    }
    const char *text =
        arena_printf(f->findings.arena, "%s answers HTTP %d", check->url, response.status);
    if (response.status == check->expect) {
        findings_good(&f->findings, "check", text);
    } else {
        findings_warn(&f->findings, "check",
            arena_printf(
                f->findings.arena, "%s, and %lld is expected", text, (long long)check->expect),
            "After a rollout this fails it, unless the new version answers otherwise.");
    }
}

void
deploy_verify(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct doctor_finding **out,
    size_t *count)
{
    struct preflight f = {.context = context};
    findings_init(&f.findings, arena);
    if (findings_passed(&f.findings, "spec",
            prepare_settings(context, request, arena, diagnostics, &f.preparation))) {
        struct deployment *d = f.preparation.deployment;
        findings_good(&f.findings, "spec",
            arena_printf(arena, "'%s' in '%s' from %s", request->app, request->env, d->specs));
        if (doctor_aws(context, d, &f.findings)) {
            look_at_services(&f);
            look_at_targets(&f);
        }
        for (size_t i = 0; i < d->verify.count; i++) {
            look_at_check(&f, deployment_check_at(d, i));
        }
    }
    *out = f.findings.list;
    *count = f.findings.count;
}
