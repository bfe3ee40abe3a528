// The plan: a pure function of the facts that a deployment holds. Reads and changes nothing else.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"

static void
plan_build(
    const struct deployment *d, size_t index, struct arena *arena, struct deployment_step *step)
{
    const struct deployment_service *service = deployment_service_at(d, index);
    *step = (struct deployment_step){
        .name = arena_printf(arena, "build %s", service->name),
        .kind = "build",
        .service = (int64_t)index,
        .skip = service->present,
        .reason = service->present ? "present" : "not in the registry",
    };
}

static void
plan_push(
    const struct deployment *d, size_t index, struct arena *arena, struct deployment_step *step)
{
    const struct deployment_service *service = deployment_service_at(d, index);
    *step = (struct deployment_step){
        .name = arena_printf(arena, "push %s", service->name),
        .kind = "push",
        .service = (int64_t)index,
        .skip = service->present,
        .reason =
            service->present ? arena_printf(arena, "present as %.19s…", service->digest)
            : service->from_digest != NULL && d->from_env == NULL
                ? arena_printf(arena, "its tag is gone; the repository has it as %.19s…",
                      service->from_digest)
            : service->from_digest != NULL
                ? arena_printf(arena, "not in this registry's repository; '%s' has it as %.19s…",
                      d->from_env, service->from_digest)
            : service->no_repository
                ? arena_printf(arena, "not in the registry; create repository '%s' first",
                      service->repository)
                : "not in the registry",
    };
}

static void
plan_scan(
    const struct deployment *d, size_t index, struct arena *arena, struct deployment_step *step)
{
    const struct deployment_service *service = deployment_service_at(d, index);
    bool is_worst = cstr_equal(d->scan_block, "critical");
    *step = (struct deployment_step){
        .name = arena_printf(arena, "scan %s", service->name),
        .kind = "scan",
        .service = (int64_t)index,
        .reason = arena_printf(
            arena, "'image_scan' blocks '%s'%s", d->scan_block, is_worst ? "" : " and above"),
    };
}

static void
plan_write(
    const struct deployment *d, size_t index, struct arena *arena, struct deployment_step *step)
{
    const struct deployment_service *service = deployment_service_at(d, index);
    bool same = cstr_equal(service->previous, d->version);
    *step = (struct deployment_step){
        .name = arena_printf(arena, "write %s", service->name),
        .kind = "write",
        .service = (int64_t)index,
        .skip = same,
        .reason = same ? "the parameter says so already"
                  : service->previous != NULL
                      ? arena_printf(arena, "replaces '%.40s'", service->previous)
                      : "the parameter does not exist yet",
    };
}

// The end of a deployment that the infra workflow rolls out.
static size_t
plan_workflow(const struct deployment *d, struct deployment_step *steps)
{
    steps[0] = (struct deployment_step){.name = "trigger",
        .kind = "trigger",
        .service = -1,
        .reason = "the infra side rolls out what the parameters say"};
    steps[1] = (struct deployment_step){.name = "follow",
        .kind = "follow",
        .service = -1,
        .skip = d->no_wait,
        .reason = d->no_wait ? "--no-wait" : "only 'success' is green"};
    steps[2] = (struct deployment_step){.name = "record",
        .kind = "record",
        .service = -1,
        .skip = d->no_wait,
        .reason = d->no_wait ? "--no-wait" : "tells everybody which version a run succeeded with"};
    return 3;
}

static bool
is_all_source(const struct deployment *d)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        if (!cstr_equal(deployment_target_at(d, i)->want.source, "code")) {
            return false;
        }
    }
    return true;
}

static const char *
rollout_reason(const struct deployment *d, struct arena *arena)
{
    if (d->targets.count == 1) {
        const char *note = deployment_target_at(d, 0)->note;
        return note != NULL ? note : "only a rollout that ended well, proven by digest, is green";
    }
    return arena_printf(arena, "%zu targets, %lld at a time; green only when all %s",
        d->targets.count, (long long)d->parallel,
        is_all_source(d) ? "have ended well" : "are proven");
}

static void
plan_prove(const struct deployment *d, struct arena *arena, struct deployment_step *step)
{
    char within[32];
    clock_format_duration(d->rollout_timeout_ms, within);
    *step = (struct deployment_step){.name = "prove",
        .kind = "prove",
        .service = -1,
        .reason =
            arena_printf(arena, "another tool has rolled out; within %s it must run", within)};
}

// The end of one that is rolled out from here.
static size_t
plan_direct(const struct deployment *d, struct arena *arena, struct deployment_step *steps)
{
    size_t at = 0;
    bool is_proof = cstr_equal(d->verb, "prove");
    if (d->migrate.command.count > 0 && !is_proof && !cstr_equal(d->verb, "rollback")) {
        steps[at++] = (struct deployment_step){.name = "migrate",
            .kind = "migrate",
            .service = -1,
            .reason = "on the new image, before anything is rolled out"};
    }
    if (is_proof) {
        plan_prove(d, arena, &steps[at++]);
    } else {
        steps[at++] = (struct deployment_step){.name = "rollout",
            .kind = "rollout",
            .service = -1,
            .reason = rollout_reason(d, arena)};
    }
    if (d->verify.count > 0) {
        steps[at++] = (struct deployment_step){.name = "verify",
            .kind = "verify",
            .service = -1,
            .reason = "what answers must be well, too"};
    }
    steps[at++] = (struct deployment_step){.name = "record",
        .kind = "record",
        .service = -1,
        .reason = d->services.count > 0
                      ? "a proven release can be gone back to"
                      : "shows whose they are; source code has no release to go back to"};
    return at;
}

static size_t
plan_images(const struct deployment *d, struct arena *arena, struct deployment_step *steps)
{
    size_t at = 0;
    for (size_t i = 0; i < d->services.count; i++) {
        if (deployment_service_at(d, i)->build) {
            plan_build(d, i, arena, &steps[at++]);
        }
    }
    for (size_t i = 0; i < d->services.count; i++) {
        if (!deployment_service_at(d, i)->no_image) {
            plan_push(d, i, arena, &steps[at++]);
        }
    }
    for (size_t i = 0; d->scan_block != NULL && i < d->services.count; i++) {
        if (!deployment_service_at(d, i)->no_image) {
            plan_scan(d, i, arena, &steps[at++]);
        }
    }
    return at;
}

void
plan_make(struct deployment *d, struct arena *arena)
{
    enum { AFTER_SERVICES = 4 };
    size_t services = d->services.count, at = 0;
    bool takes_versions = cstr_equal(d->verb, "rollout") || cstr_equal(d->verb, "prove");
    struct deployment_step *steps =
        arena_array(arena, 4 * services + AFTER_SERVICES, sizeof(*steps));
    if (!takes_versions && !cstr_equal(d->verb, "rollback")) {
        at = plan_images(d, arena, steps);
    }
    for (size_t i = 0; cstr_equal(d->verb, "rollback") && i < services; i++) {
        if (deployment_service_at(d, i)->from_digest != NULL) {
            plan_push(d, i, arena, &steps[at++]);
        }
    }
    for (size_t i = 0; !takes_versions && i < services; i++) {
        plan_write(d, i, arena, &steps[at++]);
    }
    at +=
        deployment_is_direct(d) ? plan_direct(d, arena, &steps[at]) : plan_workflow(d, &steps[at]);
    d->steps = (struct object_list){steps, at};
}

static const struct step_ops *const all_steps[] = {&step_build, &step_push, &step_scan, &step_write,
    &step_trigger, &step_follow, &step_migrate, &step_rollout, &step_prove, &step_verify,
    &step_record};

const struct step_ops *
step_ops_find(const char *kind)
{
    for (size_t i = 0; i < ARRAY_LENGTH(all_steps); i++) {
        if (strcmp(all_steps[i]->kind, kind) == 0) {
            return all_steps[i];
        }
    }
    return NULL;
}

void
deploy_plan_text(const struct deployment *d, struct buf *out)
{
    buf_printf(out, "%s %s to %s%s%s\n", d->app, d->version, d->env,
        d->replaces != NULL ? ", back from " : "", d->replaces != NULL ? d->replaces : "");
    for (size_t i = 0; i < d->steps.count; i++) {
        const struct deployment_step *step = deployment_step_at(d, i);
        struct buf what CLEANUP(buf_done) = BUF_INIT(4096);
        step_ops_find(step->kind)->describe(d, step, &what);
        buf_printf(out, "  %zu. %s\n     %s%s\n", i + 1, buf_cstr(&what),
            step->skip ? "skipped: " : "", step->reason);
    }
    for (size_t i = 0; i < d->notes.count; i++) {
        buf_printf(out, "  note: %s\n", d->notes.items[i]);
    }
}
