// One rule of `allow` against the claims of a job (orchestrators.md §2.3, rules 5 to 7): all of its
// parts must hold. Says of each part that does not which of the caller's own claims it was.
#include <string.h>

#include "dispatcher/memory.h"
#include "policy_internal.h"

bool
policy_event_is_forbidden(const char *event)
{
    static const char *const forbidden[] = {
        "pull_request", "pull_request_target", "issue_comment", "workflow_run"};
    for (size_t i = 0; i < ARRAY_LENGTH(forbidden); i++) {
        if (cstr_equal(event, forbidden[i])) {
            return true;
        }
    }
    return false;
}

static void
fail(const struct policy_question *question, const char *text)
{
    policy_add(question->arena, question->failures, question->room, text);
}

// By the matcher of spec/, which lint and `deploy` without a service use as well.
static bool
refs_accept(const struct str_list *refs, const char *ref)
{
    const struct setting_allow patterns = {.refs = *refs};
    const struct setting_trigger trigger = {.ref = ref};
    return settings_rule_accepts(&patterns, &trigger);
}

// An '@' may be part of a ref, and never of a workflow's path: GitHub's own split is at the last.
bool
policy_workflow_is(
    const char *claim, const char *path, const struct str_list *refs, struct arena *arena)
{
    const char *at = claim != NULL ? strrchr(claim, '@') : NULL;
    if (at == NULL) {
        return false;
    }
    struct str file = {claim, (size_t)(at - claim)};
    return str_equal(file, str_of(path)) && refs_accept(refs, arena_dup(arena, at + 1));
}

static bool
ref_holds(const struct policy_question *question, const struct setting_allow *rule)
{
    const char *ref = question->claims->ref;
    if (refs_accept(&rule->refs, ref)) {
        return true;
    }
    struct arena *arena = question->arena;
    fail(question, arena_printf(arena, "ref '%s' matches none of %s of rule '%s'",
                       policy_word(arena, ref, POLICY_WORD_MAX),
                       policy_words(arena, &rule->refs, ", "), rule->id));
    return false;
}

static bool
event_holds(const struct policy_question *question, const struct setting_allow *rule)
{
    const char *event = question->claims->event;
    for (size_t i = 0; i < rule->events.count; i++) {
        if (strcmp(rule->events.items[i], event) == 0) {
            return true;
        }
    }
    struct arena *arena = question->arena;
    fail(question, arena_printf(arena, "event '%s' is none of %s of rule '%s'",
                       policy_word(arena, event, POLICY_WORD_MAX),
                       policy_words(arena, &rule->events, ", "), rule->id));
    return false;
}

static bool
runner_holds(const struct policy_question *question, const struct setting_allow *rule)
{
    const char *runner = question->claims->runner;
    if (rule->runner == NULL || strcmp(rule->runner, "any") == 0 ||
        cstr_equal(rule->runner, runner)) {
        return true;
    }
    struct arena *arena = question->arena;
    fail(question, arena_printf(arena, "runner '%s' is not '%s', which rule '%s' asks for",
                       runner != NULL ? policy_word(arena, runner, POLICY_WORD_MAX) : "not said",
                       rule->runner, rule->id));
    return false;
}

static bool
is_bot(const struct policy_question *question)
{
    bool known = question->actor != NULL && question->actor->is_bot;
    return known || str_ends(str_of(question->claims->actor), STR("[bot]"));
}

static bool
actor_holds(const struct policy_question *question, const struct setting_allow *rule)
{
    struct arena *arena = question->arena;
    const struct policy_actor *actor = question->actor;
    const char *name = policy_word(arena, question->claims->actor, POLICY_WORD_MAX);
    bool human = !rule->deny_bots || !is_bot(question);
    if (!human) {
        fail(question,
            arena_printf(arena, "actor '%s' is a bot, and rule '%s' denies bots", name, rule->id));
    }
    bool known = actor != NULL && actor->teams_known;
    if (rule->teams.count == 0 || (known && policy_share(&rule->teams, &actor->teams))) {
        return human;
    }
    fail(question, known ? arena_printf(arena, "actor '%s' is in none of the teams %s of rule '%s'",
                               name, policy_words(arena, &rule->teams, ", "), rule->id)
                         : arena_printf(arena,
                               "the teams of actor '%s', which rule '%s' asks for, are not known",
                               name, rule->id));
    return false;
}

// Rule 7: the caller's workflow file, at a ref that this very rule accepts.
static bool
workflow_holds(const struct policy_question *question, const struct setting_allow *rule)
{
    const char *file = question->settings->identity.workflow;
    struct arena *arena = question->arena;
    if (file == NULL) {
        return true;
    }
    const char *claim = question->claims->workflow_ref;
    const char *path = arena_printf(arena, "%s/%s", question->claims->repository, file);
    if (policy_workflow_is(claim, path, &rule->refs, arena)) {
        return true;
    }
    fail(question, arena_printf(arena, "workflow '%s' is not '%s' at a ref of rule '%s'",
                       claim != NULL ? policy_word(arena, claim, POLICY_REASON_MAX) : "not said",
                       path, rule->id));
    return false;
}

enum policy_part
policy_rule(const struct policy_question *question, const struct setting_allow *rule)
{
    static bool (*const parts[POLICY_PARTS])(
        const struct policy_question *question, const struct setting_allow *rule) = {
        [POLICY_REF] = ref_holds,
        [POLICY_EVENT] = event_holds,
        [POLICY_RUNNER] = runner_holds,
        [POLICY_ACTOR] = actor_holds,
        [POLICY_WORKFLOW] = workflow_holds,
    };
    enum policy_part first = POLICY_PARTS;
    for (int i = POLICY_PARTS - 1; i >= 0; i--) {
        first = parts[i](question, rule) ? first : (enum policy_part)i;
    }
    return first;
}
