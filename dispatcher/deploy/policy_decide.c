// May this job ever deploy this app there (orchestrators.md §2.3, rules 2 to 7 and 9)? Identity by
// numbers, what is always refused, the organisation's floor, then the spec's own rules. A stranger
// learns nothing: no such app and not your app are one answer. What holds it now is
// policy_gate.c's.
#include <string.h>

#include "dispatcher/memory.h"
#include "policy_internal.h"

bool
policy_needs_teams(const struct settings *settings)
{
    for (size_t i = 0; i < settings->allow_count; i++) {
        if (settings->allow[i].teams.count > 0) {
            return true;
        }
    }
    return false;
}

// Rule 3: both numbers, which are never given again; names can be.
static bool
is_its_repository(const struct policy_claims *claims, const struct settings *settings)
{
    return settings != NULL && settings->identity.repository_id > 0 &&
           settings->identity.owner_id > 0 &&
           claims->repository_id == settings->identity.repository_id &&
           claims->owner_id == settings->identity.owner_id;
}

static bool
owner_is_listed(const struct policy_claims *claims, const struct settings *settings)
{
    const struct str_list *owners = &settings->identity.owners;
    for (size_t i = 0; i < owners->count; i++) {
        int64_t owner = 0;
        if (str_to_int64(str_of(owners->items[i]), &owner) && owner == claims->owner_id) {
            return true;
        }
    }
    return !settings->identity.has_owners; // a list of none lets none pass
}

bool
policy_may_read(const struct policy_claims *claims, const struct settings *settings)
{
    return is_its_repository(claims, settings) && owner_is_listed(claims, settings);
}

struct decision {
    struct policy_question question;
    struct policy_verdict *verdict;
    size_t room;
};

static const char *
spec_owners(const struct decision *decision)
{
    return arena_printf(decision->question.arena, "whoever owns the spec of '%s'",
        decision->question.settings->app);
}

static void
refuse(struct decision *decision, enum reason_code code, const char *sentence, const char *who)
{
    struct policy_verdict *verdict = decision->verdict;
    verdict->allowed = false;
    verdict->code = code;
    verdict->sentence = sentence;
    verdict->who = who;
}

static void
add_failure(struct decision *decision, const char *text)
{
    policy_add(decision->question.arena, &decision->verdict->failures, &decision->room, text);
}

static const char *
shown(const struct decision *decision, const char *text)
{
    return text != NULL ? policy_word(decision->question.arena, text, POLICY_WORD_MAX) : "not said";
}

// What no spec and no mode can allow. True: refused.
static bool
is_always_refused(struct decision *decision)
{
    const struct policy_claims *claims = decision->question.claims;
    const struct setting_identity *identity = &decision->question.settings->identity;
    struct arena *arena = decision->question.arena;
    bool listed = false;
    for (size_t i = 0; i < identity->floor_events.count; i++) {
        listed = listed || strcmp(identity->floor_events.items[i], claims->event) == 0;
    }
    if (policy_event_is_forbidden(claims->event) && !listed) {
        add_failure(decision, arena_printf(arena, "event '%s' is always refused", claims->event));
        refuse(decision, REASON_EVENT,
            arena_printf(arena, "event '%s' may never deploy: it runs code that nobody reviewed",
                claims->event),
            "the owners of dispatcher.yaml");
        return true;
    }
    if (!str_starts(str_of(claims->ref), STR("refs/heads/")) &&
        !str_starts(str_of(claims->ref), STR("refs/tags/"))) {
        add_failure(decision, arena_printf(arena, "ref '%s' is neither a branch nor a tag",
                                  shown(decision, claims->ref)));
        refuse(decision, REASON_REF, "only branches and tags may deploy", NULL);
        return true;
    }
    return false;
}

// Rule 9. Resolving has put the floor into the rules already; here it also holds for `mode: audit`.
static bool
is_below_the_floor(struct decision *decision)
{
    const struct policy_claims *claims = decision->question.claims;
    const struct setting_identity *identity = &decision->question.settings->identity;
    struct arena *arena = decision->question.arena;
    bool by_event = !identity->floor_has_events; // a list of none lets none pass
    for (size_t i = 0; i < identity->floor_events.count; i++) {
        by_event = by_event || strcmp(identity->floor_events.items[i], claims->event) == 0;
    }
    const char *runner = identity->floor_runner;
    bool by_runner =
        runner == NULL || strcmp(runner, "any") == 0 || cstr_equal(runner, claims->runner);
    if (by_event && by_runner) {
        return false;
    }
    const char *what =
        by_event ? arena_printf(arena, "runner '%s' is not '%s', which the organisation asks for",
                       shown(decision, claims->runner), runner)
        : identity->floor_events.count == 0
            ? "the organisation lets no event deploy here"
            : arena_printf(arena, "event '%s' is none of %s, which the organisation allows",
                  shown(decision, claims->event),
                  policy_words(arena, &identity->floor_events, ", "));
    add_failure(decision, what);
    refuse(decision, REASON_FLOOR, what, "the owners of dispatcher.yaml");
    return true;
}

// Rule 4. Names of environments are the same in any case, as GitHub has it.
static bool
uses_the_environment(struct decision *decision)
{
    const char *wanted = decision->question.settings->identity.github_environment;
    const char *claim = decision->question.claims->environment;
    if (wanted == NULL || policy_same_name(wanted, claim)) {
        return true;
    }
    struct arena *arena = decision->question.arena;
    const char *what =
        arena_printf(arena, "the job's environment '%s' is not '%s', which the spec asks for",
            shown(decision, claim), wanted);
    add_failure(decision, what);
    refuse(decision, REASON_GITHUB_ENVIRONMENT, what, spec_owners(decision));
    return false;
}

static bool
runs_inside(struct decision *decision)
{
    const struct setting_identity *identity = &decision->question.settings->identity;
    const char *claim = decision->question.claims->job_workflow_ref;
    struct arena *arena = decision->question.arena;
    if (identity->via_workflow == NULL ||
        policy_workflow_is(claim, identity->via_workflow, &identity->via_refs, arena)) {
        return true;
    }
    const char *what = arena_printf(arena, "the job runs in workflow '%s', not in '%s' at %s",
        shown(decision, claim), identity->via_workflow,
        policy_words(arena, &identity->via_refs, " or "));
    add_failure(decision, what);
    refuse(decision, REASON_VIA_WORKFLOW, what, spec_owners(decision));
    return false;
}

// No rule lets it pass: the answer is about the one that came closest.
static void
refuse_by_rules(struct decision *decision, enum policy_part furthest)
{
    const struct policy_claims *claims = decision->question.claims;
    const struct settings *settings = decision->question.settings;
    const struct {
        enum reason_code code;
        const char *what, *value;
    } answers[POLICY_PARTS] = {
        [POLICY_REF] = {REASON_REF, "ref", claims->ref},
        [POLICY_EVENT] = {REASON_EVENT, "event", claims->event},
        [POLICY_RUNNER] = {REASON_RUNNER, "runner", claims->runner},
        [POLICY_ACTOR] = {REASON_ACTOR, "actor", claims->actor},
        [POLICY_WORKFLOW] = {REASON_WORKFLOW, "workflow", claims->workflow_ref},
    };
    refuse(decision, answers[furthest].code,
        arena_printf(decision->question.arena, "no rule of '%s' allows %s '%s' to deploy to '%s'",
            settings->app, answers[furthest].what, shown(decision, answers[furthest].value),
            settings->env),
        spec_owners(decision));
}

// Rules 5 to 7.
static bool
passes_a_rule(struct decision *decision)
{
    const struct settings *settings = decision->question.settings;
    struct str_list none = {0};
    enum policy_part furthest = POLICY_REF;
    for (size_t i = 0; i < settings->allow_count; i++) {
        enum policy_part part = policy_rule(&decision->question, &settings->allow[i]);
        if (part == POLICY_PARTS) {
            decision->verdict->rule = settings->allow[i].id;
            decision->verdict->failures = none; // of rules that nobody needed
            decision->room = 0;
            return true;
        }
        furthest = part > furthest ? part : furthest;
    }
    refuse_by_rules(decision, furthest);
    return false;
}

static bool
is_audited(const struct settings *settings)
{
    return cstr_equal(settings->identity.mode, "audit");
}

// `mode: audit`: what the spec would refuse is said, and passes.
static void
let_pass(struct decision *decision, const char *would_be)
{
    struct policy_verdict *verdict = decision->verdict;
    verdict->allowed = true;
    verdict->code = REASON_ALLOWED;
    verdict->audit_only = would_be != NULL;
    verdict->sentence = would_be != NULL
                            ? arena_printf(decision->question.arena,
                                  "'mode: audit' lets it pass; refused would be: %s", would_be)
                            : arena_printf(decision->question.arena, "rule '%s' of '%s' allows it",
                                  verdict->rule, decision->question.settings->app);
    verdict->who = would_be != NULL ? verdict->who : NULL;
    verdict->rule = would_be != NULL ? NULL : verdict->rule;
}

// All are asked, so that a caller sees at once what else would fail; the first is the answer.
static void
ask_the_spec(struct decision *decision)
{
    struct policy_verdict *verdict = decision->verdict, first = {.allowed = true};
    static bool (*const questions[])(struct decision * decision) = {
        uses_the_environment, passes_a_rule, runs_inside};
    struct str_list failures = {0};
    size_t room = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(questions); i++) {
        verdict->failures = (struct str_list){0};
        decision->room = 0;
        if (!questions[i](decision) && first.allowed) {
            first = *verdict;
        }
        for (size_t j = 0; j < verdict->failures.count; j++) {
            policy_add(decision->question.arena, &failures, &room, verdict->failures.items[j]);
        }
    }
    verdict->failures = failures;
    if (first.allowed) {
        let_pass(decision, NULL);
        return;
    }
    refuse(decision, first.code, first.sentence, first.who);
    verdict->rule = NULL;
    if (is_audited(decision->question.settings)) {
        let_pass(decision, first.sentence);
    }
}

// True: the app is this repository's.
static bool
is_known_here(struct decision *decision)
{
    const struct policy_claims *claims = decision->question.claims;
    const struct settings *settings = decision->question.settings;
    struct arena *arena = decision->question.arena;
    if (!is_its_repository(claims, settings)) {
        refuse(decision, REASON_NOT_AUTHORIZED,
            arena_printf(arena, "there is no such app, or it is not that of repository '%s' (%lld)",
                shown(decision, claims->repository), (long long)claims->repository_id),
            NULL);
        return false;
    }
    if (!owner_is_listed(claims, settings)) {
        const char *what = arena_printf(arena, "owner '%s' (%lld) may not deploy here",
            shown(decision, claims->repository_owner), (long long)claims->owner_id);
        add_failure(decision, what);
        refuse(decision, REASON_OWNER, what, "the owners of dispatcher.yaml");
        return false;
    }
    return true;
}

void
policy_decide(const struct policy_claims *claims, const struct settings *settings,
    const struct policy_actor *actor, struct arena *arena, struct policy_verdict *verdict)
{
    *verdict = (struct policy_verdict){0};
    struct decision decision = {
        .question = {.claims = claims, .settings = settings, .actor = actor, .arena = arena},
        .verdict = verdict};
    decision.question.failures = &verdict->failures;
    decision.question.room = &decision.room;
    if (!is_known_here(&decision)) {
        return;
    }
    if (!settings->enabled) {
        refuse(&decision, REASON_DISABLED,
            arena_printf(
                arena, "'%s' is not deployed: its spec says 'enabled: false'", settings->app),
            spec_owners(&decision));
        return;
    }
    if (is_always_refused(&decision) || is_below_the_floor(&decision)) {
        return;
    }
    if (settings->allow_count == 0) {
        refuse(&decision, REASON_NO_RULE,
            arena_printf(arena, "'%s' has no rule that lets anybody deploy to '%s'", settings->app,
                settings->env),
            spec_owners(&decision));
        return;
    }
    ask_the_spec(&decision);
}
