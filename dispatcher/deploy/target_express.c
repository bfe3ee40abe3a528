// Target "ecs-express": a service whose parts ECS owns. It is sent an image, and nothing else of it
// is changed; what follows is a service deployment like any other (facts/aws-rollout.md §4).
//
// A move is to a revision of the service, not to a task definition: those are ECS'. `service` is a
// name or an ARN; DescribeServices knows both, and tells the ARN.
#include <stdio.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "target_ecs_internal.h"
#include "target_roles.h"

static const struct ecs_express_configuration *
newest(const struct ecs_express *express)
{
    return express->configuration_count > 0 ? &express->configurations[0] : NULL;
}

static struct error *
describe_express(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct ecs_express *out)
{
    struct aws_session *aws = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(ecs_express_describe(aws, target->arn, arena, out));
    if (out->arn == NULL) {
        return error_new(
            ERROR_CONFLICT, "Express service '%s' does not exist any more", target->want.service);
    }
    const struct ecs_express_configuration *now = newest(out);
    if (now == NULL || now->revision_arn == NULL || now->image == NULL) {
        return error_new(ERROR_UNAVAILABLE, "Express service '%s' shows no active configuration",
            target->want.service);
    }
    return NULL;
}

// --- looking -----------------------------------------------------------------------------------

// "arn:aws:ecs:region:account:service/CLUSTER/name"
static void
take_cluster(const struct step_run *run, struct deployment_target *target)
{
    struct str rest = str_of(target->want.service), part = {0};
    if (target->want.cluster != NULL || !str_starts(rest, STR("arn:"))) {
        return;
    }
    bool has_cluster = str_cut(rest, '/', &part, &rest) && str_cut(rest, '/', &part, &rest);
    if (has_cluster && rest.len > 0) {
        target->want.cluster = arena_str(run->arena, part);
    }
}

static struct error *
check_roles(const struct deployment_target *target)
{
    if (target->want.execution_role != NULL && target->want.infrastructure_role != NULL) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_SPEC, "Express service '%s' cannot be created without '%s'",
            target->want.service,
            target->want.execution_role == NULL ? "execution_role" : "infrastructure_role"),
        "Write the ARNs of both roles into the target of '%s'.", target->name);
}

static struct error *
look_at_missing(const struct step_run *run, struct deployment_target *target)
{
    if (!target->want.create) {
        return error_hint(error_new(ERROR_SPEC, "there is no Express service '%s' in cluster '%s'",
                              target->want.service, target_cluster(target)),
            "Create it first, or write 'create: true' in the target of '%s'.", target->name);
    }
    target->note = arena_printf(
        run->arena, "creates Express service '%s'; nothing runs there yet", target->want.service);
    return check_roles(target);
}

// What ECS has resolved the image of a revision to.
static struct error *
digest_of_revision(const struct step_run *run, const char *arn, const char **out)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct ecs_revision revision = {0};
    TRY(provider_aws(run->context, run->deployment, &aws));
    struct error *err = ecs_revisions_describe(aws, &arn, 1, scratch, &revision);
    if (err != NULL && target_ecs_is_unreadable(run, err)) {
        error_free(err);
        return NULL;
    }
    TRY(err);
    for (size_t i = 0; i < revision.image_count; i++) {
        const struct ecs_revision_image *image = &revision.images[i];
        if (revision.image_count == 1 || cstr_equal(image->container, TARGET_EXPRESS_CONTAINER)) {
            *out = arena_dup(run->arena, image->digest);
        }
    }
    return NULL;
}

static struct error *
look_at_configuration(const struct step_run *run, struct deployment_target *target,
    const struct ecs_express *express, int64_t running)
{
    const struct ecs_express_configuration *now = newest(express);
    struct registry_reference *image = NULL;
    target->before = arena_dup(run->arena, now->revision_arn);
    target->before_digest = arena_dup(run->arena, target_image_digest(now->image));
    if (target->before_digest == NULL) {
        TRY(digest_of_revision(run, target->before, &target->before_digest));
    }
    if (target->before_digest == NULL) {
        target->before_digest = target_ecs_common_digest(run, target);
    }
    struct error *err = registry_reference_parse(now->image, run->arena, &image);
    target->before_version = err == NULL ? image->tag : NULL;
    error_free(err);
    target->note = arena_printf(run->arena, "replaces %s (%lld task%s)",
        context_clean(run->arena, now->image, 200), (long long)running, running == 1 ? "" : "s");
    return NULL;
}

static void
note_difference(const struct step_run *run, const struct deployment_target *target,
    const char *what, const char *wanted, const char *there)
{
    if (wanted != NULL && there != NULL && strcmp(wanted, there) != 0) {
        deployment_note(run->deployment, run->arena,
            arena_printf(run->arena,
                "'%s': '%s' of Express service '%s' stays '%s' (the spec says '%s'): a rollout "
                "changes image, port and variables",
                target->name, what, target->want.service, there, wanted));
    }
}

// What the spec says beyond what a rollout changes is told, not passed over.
static void
note_differences(const struct step_run *run, const struct deployment_target *target,
    const struct ecs_express *express)
{
    const struct setting_target *want = &target->want;
    const struct ecs_express_configuration *now = newest(express);
    char cpu[24], memory[24];
    (void)snprintf(cpu, sizeof(cpu), "%lld", (long long)want->cpu);
    (void)snprintf(memory, sizeof(memory), "%lld", (long long)want->memory);
    note_difference(run, target, "cpu", want->cpu > 0 ? cpu : NULL, now->cpu);
    note_difference(run, target, "memory", want->memory > 0 ? memory : NULL, now->memory);
    note_difference(run, target, "health_check.path", want->health_check.path, now->health_path);
    note_difference(run, target, "task_role", want->task_role, now->task_role_arn);
    note_difference(run, target, "execution_role", want->execution_role, now->execution_role_arn);
}

static struct error *
look(const struct step_run *run, struct deployment_target *target)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_service service = {0};
    struct ecs_express express = {0};
    if (target->service < 0) {
        const char *image = NULL;
        return target_image(run, target, &image);
    }
    take_cluster(run, target);
    TRY(target_ecs_describe(run, target, scratch, &service));
    if (service.arn == NULL || (target->want.create && cstr_equal(service.status, "INACTIVE"))) {
        return look_at_missing(run, target);
    }
    TRY(target_ecs_service(run, target, scratch, &service));
    target->arn = arena_dup(run->arena, service.arn);
    target_ecs_note_service(run, target, &service);
    TRY(describe_express(run, target, scratch, &express));
    note_differences(run, target, &express);
    return look_at_configuration(run, target, &express, service.running);
}

static void
describe(const struct deployment *d, const struct deployment_target *target, struct buf *out)
{
    (void)d;
    buf_printf(out, "%s '%s' %s Express service '%s'", target->arn != NULL ? "roll out" : "create",
        target->name, target->arn != NULL ? "to" : "as", target->want.service);
}

// --- updating ----------------------------------------------------------------------------------

static struct error *
take_revision(const struct step_run *run, const struct target_move *at,
    const struct ecs_express_configuration *now)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_service service = {0};
    at->move->revision = arena_dup(run->arena, now->revision_arn);
    struct error *err = target_ecs_describe(run, at->target, scratch, &service);
    bool is_seen = err == NULL && service.arn != NULL;
    error_free(err); // the classic id is for want of anything better
    return target_ecs_sent(run, at, is_seen ? &service : NULL);
}

// Ours is a revision with the image that is neither what ran before nor, on the way back, what we
// had moved to.
static struct error *
was_asked(const struct step_run *run, const struct target_move *at, const char *image, bool *asked)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_express express = {0};
    const struct deployment_target *target = at->target;
    TRY(describe_express(run, target, scratch, &express));
    const struct ecs_express_configuration *now = newest(&express);
    bool is_old =
        cstr_equal(now->revision_arn, target->before) ||
        (at->move == &target->back && cstr_equal(now->revision_arn, target->forward.revision));
    *asked = !is_old && strcmp(now->image, image) == 0;
    return *asked ? take_revision(run, at, now) : NULL;
}

static struct error *
update(const struct step_run *run, const struct target_move *at, const struct ecs_service *service,
    const struct ecs_express *express, const char *image)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct ecs_express after = {0};
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(target_ecs_intend(run, at, service));
    struct error *err = ecs_express_update(aws, express, image, scratch, &after);
    if (err != NULL) {
        return target_ecs_settle_doubt(run, at, image, was_asked, err);
    }
    if (newest(&after) == NULL || newest(&after)->revision_arn == NULL) {
        return error_new(ERROR_UNKNOWN, "the update of Express service '%s' named no revision",
            at->target->want.service);
    }
    return take_revision(run, at, newest(&after));
}

static struct error *
look_again(const struct step_run *run, struct deployment_target *target,
    const struct ecs_service *service, const struct ecs_express *express)
{
    if (cstr_equal(newest(express)->revision_arn, target->before)) {
        return NULL;
    }
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
        arena_printf(run->arena, "'%s' has another configuration now than when it was planned",
            target->name));
    return look_at_configuration(run, target, express, service->running);
}

static struct error *
begin_forward(
    const struct step_run *run, const struct target_move *at, const struct ecs_service *service)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct deployment_target *target = at->target;
    struct ecs_express express = {0};
    const char *image = NULL;
    bool done = false, changed = false, halted = false;
    if (target->halts != NULL) {
        TRY(target_ecs_halt(run, at, &halted));
    }
    if (halted) {
        return NULL;
    }
    TRY(target_image(run, target, &image));
    at->move->digest = target_image_digest(image);
    TRY(describe_express(run, target, scratch, &express));
    if (at->move->state == NULL) {
        TRY(look_again(run, target, service, &express));
    }
    TRY(target_express_apply(run, target, scratch, &express, &changed));
    if (!changed && strcmp(newest(&express)->image, image) == 0) {
        TRY(target_ecs_is_done(run, target, service, at->move->digest, &done));
    }
    if (done) {
        at->move->revision = target->before;
        at->move->state = "nothing";
        return engine_save(run, "waiting", NULL);
    }
    return update(run, at, service, &express, image);
}

// --- back --------------------------------------------------------------------------------------

static struct error *
begin_back(
    const struct step_run *run, const struct target_move *at, const struct ecs_service *service)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct deployment_target *target = at->target;
    struct ecs_express express = {0};
    const char *image = NULL;
    bool done = false;
    TRY(describe_express(run, target, scratch, &express));
    const char *now = newest(&express)->revision_arn;
    if (!cstr_equal(now, target->forward.revision) && !cstr_equal(now, target->before) &&
        !cstr_equal(now, at->move->revision)) {
        at->move->state = "nothing";
        target_end_move(run, at->move, "superseded", "somebody changed the service since");
        return engine_save(run, "waiting", NULL);
    }
    TRY(target_express_apply_before(run, target, scratch, &express));
    TRY(target_express_image_before(run, target, &image));
    if (strcmp(newest(&express)->image, image) == 0) {
        TRY(target_ecs_is_done(run, target, service, at->move->digest, &done));
    }
    if (done) {
        at->move->state = "nothing";
        return engine_save(run, "waiting", NULL);
    }
    return update(run, at, service, &express, image);
}

// --- creating ----------------------------------------------------------------------------------

static struct error *
create(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct deployment_target *target = at->target;
    const struct setting_target *want = &target->want;
    struct ecs_express made = {0};
    struct pair_list variables = {0};
    const char *image = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(target_variables(run, target, scratch, &variables));
    TRY(target_image(run, target, &image));
    at->move->digest = target_image_digest(image);
    struct pair tags[] = {{TARGET_TAG_DEPLOYMENT, run->deployment->id}};
    const struct ecs_express_create wish = {
        .name = want->service,
        .cluster = want->cluster,
        .execution_role_arn = want->execution_role,
        .infrastructure_role_arn = want->infrastructure_role,
        .task_role_arn = want->task_role,
        .image = image,
        .port = want->port,
        .health_path = want->health_check.path,
        .cpu = want->cpu > 0 ? arena_printf(scratch, "%lld", (long long)want->cpu) : NULL,
        .memory = want->memory > 0 ? arena_printf(scratch, "%lld", (long long)want->memory) : NULL,
        .environment = variables,
        .secrets = want->secrets,
        .tags = {tags, ARRAY_LENGTH(tags)},
    };
    TRY(target_ecs_intend(run, at, &(struct ecs_service){0}));
    struct error *err = ecs_express_create(aws, &wish, scratch, &made);
    if (err != NULL && error_remote_of(err)->request_left) { // `resume` finds it when it is there
        return error_wrap_as(ERROR_UNKNOWN, err,
            "whether Express service '%s' was created is not known", want->service);
    }
    TRY(err);
    target->arn = arena_dup(run->arena, made.arn);
    if (target->arn == NULL || newest(&made) == NULL || newest(&made)->revision_arn == NULL) {
        return error_new(
            ERROR_UNKNOWN, "the creation of Express service '%s' named no revision", want->service);
    }
    return take_revision(run, at, newest(&made));
}

// It may exist by now: made by an earlier process of ours, or by somebody else.
static struct error *
begin_created(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct deployment_target *target = at->target;
    struct ecs_service service = {0};
    const char *image = NULL;
    bool asked = false, was_intended = cstr_equal(at->move->state, "intent");
    TRY(target_ecs_describe(run, target, scratch, &service));
    if (service.arn == NULL || cstr_equal(service.status, "INACTIVE")) {
        return create(run, at);
    }
    target->arn = arena_dup(run->arena, service.arn);
    if (was_intended) {
        TRY(target_image(run, target, &image));
        at->move->digest = target_image_digest(image);
        TRY(was_asked(run, at, image, &asked));
    }
    if (asked) {
        return NULL;
    }
    TRY(target_ecs_service(run, target, scratch, &service));
    return begin_forward(run, at, &service);
}

static struct error *
begin(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_service service = {0};
    const char *image = NULL;
    bool asked = false, is_forward = at->move == &at->target->forward;
    if (at->target->arn == NULL) {
        return begin_created(run, at);
    }
    if (at->move->halting) { // killed before the answer: stopping twice is the same
        TRY(target_ecs_halt(run, at, &asked));
    } else if (cstr_equal(at->move->state, "intent")) {
        TRY(is_forward ? target_image(run, at->target, &image)
                       : target_express_image_before(run, at->target, &image));
        TRY(was_asked(run, at, image, &asked));
    }
    if (asked) {
        return NULL;
    }
    TRY(target_ecs_service(run, at->target, scratch, &service));
    return is_forward ? begin_forward(run, at, &service) : begin_back(run, at, &service);
}

// --- verifying ---------------------------------------------------------------------------------

// A rollout leaves the roles as they are, so those of a service that is there count.
static void
inspect(
    const struct step_run *run, const struct deployment_target *target, struct findings *findings)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    const struct setting_target *want = &target->want;
    struct ecs_express express = {0};
    const char *execution = want->execution_role, *task = want->task_role;
    const char *infrastructure = want->infrastructure_role;
    target_ecs_inspect(run, target, findings);
    if (target->arn != NULL) {
        struct error *err = describe_express(run, target, scratch, &express);
        if (err != NULL) {
            error_free(err); // the look has said so
            return;
        }
        execution = newest(&express)->execution_role_arn;
        task = newest(&express)->task_role_arn;
        infrastructure = express.infrastructure_role_arn;
    }
    const struct target_role roles[] = {
        {"execution role", execution, TARGET_ECS_TASKS},
        {"infrastructure role", infrastructure, "ecs.amazonaws.com"},
        {"task role", task, TARGET_ECS_TASKS},
    };
    target_roles_inspect(run, roles, ARRAY_LENGTH(roles), findings);
}

const struct target_ops target_express = {
    .kind = "ecs-express",
    .look = look,
    .describe = describe,
    .begin = begin,
    .refresh = target_ecs_refresh,
    .prove = target_ecs_prove,
    .stop = target_ecs_stop,
    .explain = target_ecs_explain,
    .release = target_ecs_look_for_halt,
    .inspect = inspect,
};
