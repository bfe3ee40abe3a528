// The organisation's floor: a spec may be stricter, never looser, where that can be told from the
// files alone (orchestrators.md §2.3, rule 9). Who somebody is, the service finds out.
#include <string.h>

#include "spec_internal.h"

// Events whose runs may hold code that nobody reviewed (orchestrators.md §2.3, rule 5).
static const char *const forbidden[] = {
    "pull_request", "pull_request_target", "issue_comment", "workflow_run", NULL};
static const char *const known[] = {"branch_protection_rule", "check_run", "check_suite", "create",
    "delete", "deployment", "deployment_status", "discussion", "discussion_comment", "fork",
    "gollum", "image_version", "issue_comment", "issues", "label", "merge_group", "milestone",
    "page_build", "project", "project_card", "project_column", "public", "pull_request",
    "pull_request_review", "pull_request_review_comment", "pull_request_target", "push",
    "registry_package", "release", "repository_dispatch", "schedule", "status", "watch",
    "workflow_call", "workflow_dispatch", "workflow_run", NULL};

static bool
is_among(const char *text, const char *const *words)
{
    while (*words != NULL && strcmp(text, *words) != 0) {
        words++;
    }
    return *words != NULL;
}

void
lint_events(
    const struct spec_source *source, const struct yaml_node *list, const struct str_list *floor)
{
    const struct yaml_node *item = list != NULL && list->kind == YAML_SEQUENCE ? list->first : NULL;
    for (; item != NULL; item = item->next) {
        const char *event = yaml_text(item);
        bool listed = event != NULL && floor != NULL && str_list_has(floor, event);
        if (event == NULL) {
            continue;
        }
        if (!is_among(event, known)) {
            spec_complain(source, DIAGNOSTIC_WARNING, "unknown-event", item,
                spec_did_you_mean(source, event, known), "GitHub Actions knows no event '%.80s'",
                event);
        } else if (is_among(event, forbidden) && !listed) {
            spec_complain(source, DIAGNOSTIC_ERROR, "forbidden-event", item, NULL,
                "event '%.80s' may not deploy: it runs code that nobody reviewed", event);
        }
    }
}

const struct config_policy_env *
policy_of(const struct spec_documents *documents, const char *environment)
{
    const struct object_list *list = &documents->config.policy.environments;
    const struct config_policy_env *items = list->items;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(items[i].at.key, environment) == 0) {
            return &items[i];
        }
    }
    return NULL;
}

void
lint_policy_events(struct spec_documents *documents)
{
    const struct object_list *list = &documents->config.policy.environments;
    const struct config_policy_env *items = list->items;
    for (size_t i = 0; i < list->count; i++) {
        // What the floor lists, it lists on purpose: only unknown words are worth a word.
        lint_events(
            &documents->config_source, yaml_get(items[i].at.node, "events"), &items[i].events);
    }
}

static void
complain_weaker(struct spec_documents *documents, const struct yaml_node *at,
    const struct yaml_node *floor, const char *what)
{
    const struct spec_source *source = &documents->app_source;
    spec_complain(source, DIAGNOSTIC_ERROR, "weaker-than-policy", at,
        arena_printf(source->arena, "%s:%u sets the floor", documents->config_source.file,
            floor != NULL ? floor->span.line : 0),
        "%s", what);
}

static void
check_rule(struct spec_documents *documents, const struct spec_allow *rule,
    const struct config_policy_env *floor)
{
    const struct yaml_node *events = yaml_get(rule->at.node, "events");
    const struct yaml_node *floor_events = yaml_get(floor->at.node, "events");
    const struct yaml_node *item =
        events != NULL && events->kind == YAML_SEQUENCE ? events->first : NULL;
    for (; floor_events != NULL && item != NULL; item = item->next) {
        if (yaml_text(item) != NULL && !str_list_has(&floor->events, item->text)) {
            complain_weaker(documents, item, floor_events,
                arena_printf(documents->app_source.arena,
                    "event '%.80s' is not among those that the policy of '%.80s' allows",
                    item->text, floor->at.key));
        }
    }
    bool any_runner = floor->runner == NULL || strcmp(floor->runner, "any") == 0;
    if (!any_runner && rule->runner != NULL && strcmp(rule->runner, floor->runner) != 0) {
        complain_weaker(documents, yaml_get(rule->at.node, "runner"),
            yaml_get(floor->at.node, "runner"),
            arena_printf(documents->app_source.arena,
                "runner '%.80s' is not '%.80s', which the policy of '%.80s' asks for", rule->runner,
                floor->runner, floor->at.key));
    }
}

static void
check_teams(struct spec_documents *documents, const struct yaml_node *teams,
    const struct config_policy_env *floor)
{
    const struct yaml_node *base = yaml_get(floor->approvals.at.node, "teams");
    const struct yaml_node *item =
        teams != NULL && teams->kind == YAML_SEQUENCE ? teams->first : NULL;
    for (; floor->approvals.teams.count > 0 && item != NULL; item = item->next) {
        if (yaml_text(item) != NULL && !str_list_has(&floor->approvals.teams, item->text)) {
            complain_weaker(documents, item, base,
                arena_printf(documents->app_source.arena,
                    "team '%.80s' is not among those that approve by the policy of '%.80s'",
                    item->text, floor->at.key));
        }
    }
}

// Only what the spec writes can be weaker; what it leaves out, the floor fills in.
static void
check_approvals(struct spec_documents *documents, const struct spec_approvals *own,
    const struct config_policy_env *floor)
{
    const struct yaml_node *node = own->at.node, *base = floor->approvals.at.node;
    const struct {
        const char *key;
        bool weaker, unwritten; // does a floor that does not write the key bind as well?
    } checks[] = {
        {"count", own->count < floor->approvals.count, false},
        {"self", own->self && !floor->approvals.self, floor->approvals.count > 0},
        {"valid_for", own->valid_for_ms > floor->approvals.valid_for_ms, false},
        {"rollback_exempt", own->rollback_exempt && !floor->approvals.rollback_exempt, false},
    };
    if (node != NULL && base != NULL) {
        check_teams(documents, yaml_get(node, "teams"), floor);
    }
    for (size_t i = 0; node != NULL && base != NULL && i < ARRAY_LENGTH(checks); i++) {
        const struct yaml_node *mine = yaml_get(node, checks[i].key);
        const struct yaml_node *theirs = yaml_get(base, checks[i].key);
        theirs = theirs == NULL && checks[i].unwritten ? base : theirs;
        if (mine != NULL && theirs != NULL && checks[i].weaker) {
            complain_weaker(documents, mine, theirs,
                arena_printf(documents->app_source.arena,
                    "'%s' of 'approvals' asks for less than the policy of '%.80s'", checks[i].key,
                    floor->at.key));
        }
    }
}

void
lint_floor(struct spec_documents *documents, const struct spec_environment *environment)
{
    const struct config_policy_env *floor = policy_of(documents, environment->at.key);
    if (floor == NULL) {
        return;
    }
    const struct spec_allow *rules = environment->allow.items;
    for (size_t i = 0; i < environment->allow.count; i++) {
        check_rule(documents, &rules[i], floor);
    }
    check_approvals(documents, &environment->approvals, floor);
}

void
lint_owner(struct spec_documents *documents)
{
    const struct int_list *owners = &documents->config.policy.owners;
    int64_t owner = documents->app.deploy.owner_id;
    const struct yaml_node *at = yaml_get(documents->app.deploy.at.node, "owner_id");
    if (yaml_get(documents->config.policy.at.node, "owners") == NULL || owner == 0) {
        return;
    }
    for (size_t i = 0; i < owners->count; i++) {
        if (owners->items[i] == owner) {
            return;
        }
    }
    spec_complain(&documents->app_source, DIAGNOSTIC_ERROR, "owner-not-allowed", at, NULL,
        "owner %lld is not in 'policy.owners' of %s", (long long)owner,
        documents->config_source.file);
}
