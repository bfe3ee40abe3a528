// Who may ask for a deployment, in which order environments go, who must agree: the spec with the
// organisation's floor applied (orchestrators.md §2.3, rule 9). Evaluates nothing: that is
// deploy's.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

static struct str_list
decimals(struct arena *arena, const struct int_list *numbers)
{
    struct str_list out = {arena_array(arena, numbers->count, sizeof(*out.items)), 0};
    for (size_t i = 0; i < numbers->count; i++) {
        out.items[out.count++] = arena_printf(arena, "%lld", (long long)numbers->items[i]);
    }
    return out;
}

static void
resolve_who(struct resolve *resolve, const struct spec_environment *environment,
    const struct config_policy_env *floor)
{
    const struct spec_documents *documents = resolve->documents;
    const struct spec_deploy *deploy = &documents->app.deploy;
    struct setting_identity *identity = &resolve->settings->identity;
    *identity = (struct setting_identity){.repository_id = deploy->repository_id,
        .owner_id = deploy->owner_id,
        .has_owners = yaml_get(documents->config.policy.at.node, "owners") != NULL,
        .owners = decimals(resolve->arena, &documents->config.policy.owners),
        .mode = deploy->mode != NULL ? deploy->mode : "enforce",
        .workflow = deploy->workflow,
        .via_workflow = deploy->via_workflow.ref_to,
        .via_refs = deploy->via_workflow.refs};
    if (environment != NULL && environment->github_environment != NULL) {
        identity->github_environment =
            resolve_expand(resolve, EXPAND_EARLY, environment->github_environment, NULL,
                &documents->app_source, spec_node_at(environment->at.node, "github_environment"));
    }
    if (floor != NULL) {
        identity->floor_has_events = yaml_get(floor->at.node, "events") != NULL;
        identity->floor_events = floor->events;
        identity->floor_runner = floor->runner;
    }
}

// What both list; the floor's when the spec lists none.
static struct str_list
approvers(struct resolve *resolve, const struct str_list *own, const struct str_list *floor)
{
    if (floor->count == 0 || own->count == 0) {
        return own->count > 0 ? *own : *floor;
    }
    struct str_list out = {arena_array(resolve->arena, own->count, sizeof(*out.items)), 0};
    for (size_t i = 0; i < own->count; i++) {
        if (str_list_has(floor, own->items[i])) {
            out.items[out.count++] = own->items[i];
        }
    }
    return out;
}

// A key that the floor does not write does not bind, but for `self`: whoever asks for approvals at
// all means other people's.
static void
apply_floor(struct resolve *resolve, const struct spec_approvals *floor,
    struct setting_approvals *approvals)
{
    const struct yaml_node *node = floor->at.node;
    if (node == NULL) {
        return;
    }
    bool has_valid_for = yaml_get(node, "valid_for") != NULL;
    bool has_exempt = yaml_get(node, "rollback_exempt") != NULL;
    approvals->count = floor->count > approvals->count ? floor->count : approvals->count;
    approvals->teams = approvers(resolve, &approvals->teams, &floor->teams);
    approvals->self = approvals->self && (floor->self || floor->count == 0);
    if (has_valid_for && floor->valid_for_ms < approvals->valid_for_ms) {
        approvals->valid_for_ms = floor->valid_for_ms;
    }
    if (has_exempt && !floor->rollback_exempt) {
        approvals->rollback_exempt = false;
    }
}

static void
resolve_approvals(struct resolve *resolve, const struct spec_environment *environment,
    const struct config_policy_env *floor)
{
    struct setting_approvals *approvals = &resolve->settings->approvals;
    approvals->valid_for_ms = INT64_C(14400000); // 4h, as the table says
    if (environment != NULL) {
        const struct spec_approvals *own = &environment->approvals;
        *approvals = (struct setting_approvals){.count = own->count,
            .valid_for_ms = own->valid_for_ms,
            .teams = own->teams,
            .self = own->self,
            .rollback_exempt = own->rollback_exempt};
    }
    if (floor != NULL) {
        apply_floor(resolve, &floor->approvals, approvals);
    }
}

void
resolve_policy(struct resolve *resolve)
{
    struct settings *settings = resolve->settings;
    const struct spec_environment *environment = environment_of(resolve->documents, settings->env);
    const struct config_policy_env *floor = policy_of(resolve->documents, settings->env);
    const char *program = resolve->documents->app.program;
    settings->program = program != NULL ? program : settings->name;
    resolve_who(resolve, environment, floor);
    resolve_approvals(resolve, environment, floor);
    if (environment == NULL) {
        return;
    }
    settings->promote_from = (struct setting_promote){environment->promote_from.environment,
        environment->promote_from.soak_ms, environment->promote_from.same_digest};
    settings->queue_latest = cstr_equal(environment->queue, "latest");
    settings->emergency_teams = environment->emergency.teams;
}
