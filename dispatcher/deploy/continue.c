// Answering a PAUSE hook: a service deployment of ECS that stands at one goes on, or is rolled back
// (ContinueServiceDeployment). Whoever follows the deployment sees it move by itself.
#include <string.h>

#include "dispatcher/memory.h"
#include "running.h"
#include "target_ecs_internal.h"

// One service, and the deployment of it that is under way.
struct candidate {
    const struct deployment_target *target;
    struct ecs_deployment deployment; // arn NULL: none is
    const struct ecs_hook *hook;      // that it waits at, or NULL
};

struct candidates {
    struct step_run run; // of the view
    struct aws_session *aws;
    struct candidate *items;
    size_t count;
};

// --- looking -------------------------------------------------------------------------------------

// DescribeServices does not say it in every case: the list does.
static struct error *
find_deployment(
    const struct candidates *all, const struct deployment_target *target, const char **out)
{
    static const char *const open[] = {"PENDING", "IN_PROGRESS", NULL};
    struct arena *arena = all->run.arena;
    struct ecs_service service = {0};
    struct ecs_deployment_summary *found = NULL;
    size_t count = 0;
    TRY(running_ecs_service(&all->run, target, arena, &service));
    *out = service.current_deployment;
    if (*out != NULL) {
        return NULL;
    }
    const struct ecs_deployment_query query = {
        .cluster = service.cluster_arn, .service = service.arn, .statuses = open, .max = 1};
    TRY(ecs_deployments_list(all->aws, &query, arena, &found, &count));
    *out = count > 0 ? found[0].arn : NULL;
    return NULL;
}

static struct error *
look_at(const struct candidates *all, struct candidate *candidate)
{
    const char *arn = NULL;
    struct error *err = find_deployment(all, candidate->target, &arn);
    if (err == NULL && arn != NULL) {
        err = ecs_deployments_describe(all->aws, &arn, 1, all->run.arena, &candidate->deployment);
    }
    if (err != NULL) {
        return error_wrap(err, "look at the deployment of '%s'", candidate->target->name);
    }
    if (candidate->deployment.arn != NULL) {
        candidate->hook = target_ecs_waiting_hook(&candidate->deployment);
    }
    return NULL;
}

static struct error *
look_at_all(struct candidates *all)
{
    const struct deployment *d = all->run.deployment;
    all->items = arena_array(all->run.arena, d->targets.count, sizeof(*all->items));
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (running_is_ecs(target)) {
            struct candidate *candidate = &all->items[all->count++];
            candidate->target = target;
            TRY(look_at(all, candidate));
        }
    }
    if (all->count > 0) {
        return NULL;
    }
    return error_hint(error_new(ERROR_USAGE, "nothing of '%s' in '%s' runs on ECS%s%s%s", d->app,
                          d->env, d->targets.count == 1 ? ", not '" : "",
                          d->targets.count == 1 ? deployment_target_at(d, 0)->name : "",
                          d->targets.count == 1 ? "'" : ""),
        "Only deployments of ECS stop at hooks; App Runner has none.");
}

// --- choosing ------------------------------------------------------------------------------------

static void
put_state(const struct candidate *candidate, struct buf *out)
{
    const struct ecs_deployment *deployment = &candidate->deployment;
    if (deployment->arn == NULL) {
        buf_printf(out, "'%s' is not being deployed", candidate->target->name);
        return;
    }
    buf_printf(out, "'%s' is %s", candidate->target->name, deployment->status);
    if (deployment->stage != NULL) {
        buf_printf(out, " at %s", deployment->stage);
    }
}

static struct error *
none_waits(const struct candidates *all)
{
    const struct deployment *d = all->run.deployment;
    struct buf states CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < all->count; i++) {
        buf_puts(&states, i > 0 ? "; " : "");
        put_state(&all->items[i], &states);
    }
    return error_hint(error_new(ERROR_USAGE, "no deployment of '%s' in '%s' waits at a hook: %s",
                          d->app, d->env, buf_cstr(&states)),
        "Only a deployment that stands at a PAUSE hook can be continued.");
}

static struct error *
choose(const struct candidates *all, const struct candidate **out)
{
    const struct candidate *chosen = NULL;
    struct buf names CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (all->items[i].hook != NULL) {
            chosen = &all->items[i];
            buf_printf(&names, "%s'%s'", count++ > 0 ? ", " : "", chosen->target->name);
        }
    }
    if (chosen == NULL) {
        return none_waits(all);
    }
    if (count > 1) {
        return error_hint(error_new(ERROR_USAGE, "%zu deployments of '%s' in '%s' wait", count,
                              all->run.deployment->app, all->run.deployment->env),
            "Say which with --service: %s.", buf_cstr(&names));
    }
    if (chosen->hook->id == NULL) {
        return error_new(ERROR_UNAVAILABLE,
            "ECS does not say the id of the hook that '%s' waits at", chosen->target->name);
    }
    *out = chosen;
    return NULL;
}

// --- answering -----------------------------------------------------------------------------------

// After an answer that was lost: does it still wait at that hook?
static struct error *
settle(const struct candidates *all, const struct candidate *chosen, struct error *err)
{
    struct ecs_deployment now = {0};
    const char *arn = chosen->deployment.arn;
    if (!error_remote_of(err)->request_left) {
        return err;
    }
    struct error *look = ecs_deployments_describe(all->aws, &arn, 1, all->run.arena, &now);
    if (look != NULL) {
        error_free(look);
        return error_wrap_as(ERROR_UNKNOWN, err, "whether the hook was answered is not known");
    }
    const struct ecs_hook *hook = now.arn != NULL ? target_ecs_waiting_hook(&now) : NULL;
    if (hook != NULL && cstr_equal(hook->id, chosen->hook->id)) {
        return err;
    }
    error_free(err);
    return NULL;
}

struct error *
deploy_continue(struct deploy_context *context, const struct deploy_request *request,
    const struct deploy_continue_request *answer, struct arena *arena,
    struct diagnostics *diagnostics, struct deploy_continued *out)
{
    struct running view = {0};
    const struct candidate *chosen = NULL;
    TRY(running_open(context, request, answer->service, arena, diagnostics, &view));
    struct candidates all = {
        .run = {.context = context, .arena = arena, .deployment = view.deployment}};
    TRY(provider_aws(context, view.deployment, &all.aws));
    TRY(look_at_all(&all));
    TRY(choose(&all, &chosen));
    struct error *err = ecs_deployment_continue(
        all.aws, chosen->deployment.arn, chosen->hook->id, answer->roll_back);
    TRY(err != NULL ? settle(&all, chosen, err) : NULL);
    *out = (struct deploy_continued){
        .service = chosen->target->name,
        .deployment = chosen->deployment.arn,
        .hook = chosen->hook->id,
        .stage = chosen->deployment.stage,
    };
    return NULL;
}
