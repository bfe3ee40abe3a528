// What the files of the policy share: words for people.
#pragma once

#include "dispatcher/policy.h"

// Foreign words in our sentences: a ref, a login, a reason.
enum { POLICY_WORD_MAX = 120, POLICY_REASON_MAX = 200 };

/// One clean line of at most `max` bytes; NULL gives "".
const char *policy_word(struct arena *arena, const char *text, size_t max);
/// "'a', 'b' or 'c'"; "none" when there is none; ten at most, then how many more.
const char *policy_words(struct arena *arena, const struct str_list *list, const char *last);
/// " until 2026-11-30T07:00:00Z", or "" when it is not known.
const char *policy_until(struct arena *arena, int64_t ms);
/// " at 2026-11-30T07:00:00Z", likewise.
const char *policy_at(struct arena *arena, int64_t ms);
/// Adds to a list in the arena; `*room` is what it has room for.
void policy_add(struct arena *arena, struct str_list *list, size_t *room, const char *text);
/// Logins and team slugs are the same in any case.
bool policy_same_name(const char *a, const char *b);
bool policy_share(const struct str_list *a, const struct str_list *b);

// policy_rules.c: one rule of `allow`
enum policy_part {
    POLICY_REF,
    POLICY_EVENT,
    POLICY_RUNNER,
    POLICY_ACTOR,
    POLICY_WORKFLOW,
    POLICY_PARTS, // all of them hold
};
/// The first part that does not hold; what fails is added to `failures`.
struct policy_question {
    const struct policy_claims *claims;
    const struct settings *settings;
    const struct policy_actor *actor; // may be NULL
    struct arena *arena;
    struct str_list *failures;
    size_t *room;
};
enum policy_part policy_rule(
    const struct policy_question *question, const struct setting_allow *rule);
/// Does "<path>@<ref>" have that path, and a ref that the patterns accept?
bool policy_workflow_is(
    const char *claim, const char *path, const struct str_list *refs, struct arena *arena);
/// Events whose runs may hold code that nobody reviewed: never, unless the floor lists them.
bool policy_event_is_forbidden(const char *event);

// policy_windows.c
struct policy_window {
    const struct setting_window *window; // NULL: none holds
    bool unreadable;                     // it holds because it cannot be placed in time
    int64_t until_ms;                    // when none of them holds any more; 0: not known
};
/// The first of the settings' windows that holds. With `emergency`, only those that do not let
/// emergencies pass.
void policy_window_now(
    const struct settings *settings, int64_t now_ms, bool emergency, struct policy_window *out);

// policy_approvals.c
void policy_gate_approvals(const struct settings *settings, const struct policy_facts *facts,
    struct arena *arena, struct policy_gate *out);
// policy_locks.c
/// Those of level lock (freeze: of level freeze); warnings are added to out->warnings.
void policy_gate_locks(const struct policy_facts *facts, const struct settings *settings,
    bool freeze, struct arena *arena, struct policy_gate *out);
// policy_order.c: promotion, known good, stale
void policy_gate_order(const struct settings *settings, const struct policy_facts *facts,
    struct arena *arena, struct policy_gate *out);
/// A warning that goes with an answer.
void policy_warn(struct arena *arena, struct policy_gate *out, const char *text);
