// Approvals: so many different people, of the right teams, other than whoever asked, for this very
// version and difference, not too long ago. One of them who rejects it ends it.
#include "dispatcher/memory.h"
#include "policy_internal.h"

// A clock of another replica may be ahead of ours.
static const int64_t leeway_ms = 60000;

bool
policy_may_approve(const struct settings *settings, const struct policy_person *person,
    const char *requester, struct arena *arena, const char **why_not)
{
    const struct setting_approvals *approvals = &settings->approvals;
    if (person->login == NULL || person->login[0] == '\0') {
        *why_not = "nobody is signed in";
        return false;
    }
    if (!approvals->self && policy_same_name(person->login, requester)) {
        *why_not = "whoever asks for a deployment may not approve it";
        return false;
    }
    if (approvals->teams.count > 0 && !policy_share(&approvals->teams, &person->teams)) {
        *why_not = arena_printf(arena, "only members of %s may approve it",
            policy_words(arena, &approvals->teams, " or "));
        return false;
    }
    return true;
}

static bool
may_approve(const struct settings *settings, const struct policy_facts *facts,
    const struct policy_person *person, struct arena *arena)
{
    const char *why_not = NULL;
    bool same = facts->requester_id != 0 && person->id == facts->requester_id; // a new login
    return policy_may_approve(settings, person, facts->requester, arena, &why_not) &&
           (settings->approvals.self || !same);
}

static bool
is_about_this(const struct policy_facts *facts, const struct policy_approval *approval)
{
    return cstr_equal(approval->version, facts->version) && cstr_equal(approval->diff, facts->diff);
}

static bool
is_same_person(const struct policy_person *a, const struct policy_person *b)
{
    return a->id != 0 && b->id != 0 ? a->id == b->id : policy_same_name(a->login, b->login);
}

static bool
counts(const struct settings *settings, const struct policy_facts *facts,
    const struct policy_approval *approval, struct arena *arena)
{
    int64_t age = facts->now_ms - approval->at_ms;
    return !approval->rejected && is_about_this(facts, approval) && age >= -leeway_ms &&
           age < settings->approvals.valid_for_ms &&
           may_approve(settings, facts, &approval->by, arena);
}

static int64_t
count_people(const struct settings *settings, const struct policy_facts *facts, struct arena *arena)
{
    int64_t people = 0;
    for (size_t i = 0; i < facts->approval_count; i++) {
        bool again = !counts(settings, facts, &facts->approvals[i], arena);
        for (size_t j = 0; j < i && !again; j++) {
            again = is_same_person(&facts->approvals[i].by, &facts->approvals[j].by) &&
                    counts(settings, facts, &facts->approvals[j], arena);
        }
        people += again ? 0 : 1;
    }
    return people;
}

// Whatever difference the page showed: who says no to a version means the version.
static const struct policy_approval *
rejection(const struct settings *settings, const struct policy_facts *facts, struct arena *arena)
{
    for (size_t i = 0; i < facts->approval_count; i++) {
        const struct policy_approval *approval = &facts->approvals[i];
        if (approval->rejected && cstr_equal(approval->version, facts->version) &&
            may_approve(settings, facts, &approval->by, arena)) {
            return approval;
        }
    }
    return NULL;
}

static const char *
approvers(const struct settings *settings, const struct policy_facts *facts, struct arena *arena)
{
    const struct setting_approvals *approvals = &settings->approvals;
    const char *who =
        approvals->teams.count > 0
            ? arena_printf(arena, "%s %s", approvals->teams.count > 1 ? "teams" : "team",
                  policy_words(arena, &approvals->teams, " or "))
            : "the organisation";
    return approvals->self || facts->requester == NULL
               ? who
               : arena_printf(arena, "%s, other than %s", who,
                     policy_word(arena, facts->requester, POLICY_WORD_MAX));
}

void
policy_gate_approvals(const struct settings *settings, const struct policy_facts *facts,
    struct arena *arena, struct policy_gate *out)
{
    const struct setting_approvals *approvals = &settings->approvals;
    bool exempt = approvals->rollback_exempt && cstr_equal(facts->verb, "rollback");
    if (exempt || facts->emergency || approvals->count <= 0) {
        return;
    }
    out->approvals_needed = approvals->count;
    out->approvals_given = count_people(settings, facts, arena);
    const struct policy_approval *no = rejection(settings, facts, arena);
    if (no != NULL) {
        out->answer = POLICY_REFUSE;
        out->code = REASON_REJECTED;
        out->who = policy_word(arena, no->by.login, POLICY_WORD_MAX);
        bool says = no->note != NULL && no->note[0] != '\0';
        out->sentence = arena_printf(arena, "%s rejected it%s%s", out->who, says ? ": " : "",
            says ? policy_word(arena, no->note, POLICY_REASON_MAX) : "");
        return;
    }
    if (out->approvals_given < approvals->count) {
        out->answer = POLICY_WAIT;
        out->code = REASON_APPROVAL;
        out->who = approvers(settings, facts, arena);
        out->on_release = "will run";
        out->sentence = arena_printf(arena, "it needs %lld approval%s of %s; %lld given",
            (long long)approvals->count, approvals->count == 1 ? "" : "s", out->who,
            (long long)out->approvals_given);
    }
}
