// Who may deploy what, and when: pure decisions over facts that others have read
// (facts: orchestrators.md §2.3 in the rules' order; protocols.md §2). Nothing here reads a clock,
// a file or a network. Every refusal and every wait has a code of reason_codes.def, a sentence for
// people, and who can lift it.
//
//     token → policy_token_check → claims
//     claims + settings + floor  → policy_decide  → may this job deploy this app there at all?
//     facts of now               → policy_gate    → may it begin now, must it wait, is it refused?
#pragma once

#include "dispatcher/jwt.h"
#include "dispatcher/spec.h"

// REASON_CODE(symbol, "code", http status, exit code, "what it means", "who can change it"): the
// stable list.
enum reason_code {
#define REASON_CODE(symbol, code, http, exit, meaning, who) REASON_##symbol,
#include "dispatcher/reason_codes.def"
#undef REASON_CODE
    REASON_COUNT
};
const char *reason_code_name(enum reason_code code);
int reason_code_http(enum reason_code code);
int reason_code_exit(enum reason_code code);
const char *reason_code_meaning(enum reason_code code);
/// Who can change it, where the answer names nobody.
const char *reason_code_who(enum reason_code code);
/// REASON_COUNT when there is no such name.
enum reason_code reason_code_of(const char *name);

// --- the token -----------------------------------------------------------------------------------

// A verified token of GitHub Actions. Ids are decimal strings in the token and numbers here.
struct policy_claims {
    const char *jti, *subject, *issuer;
    int64_t issued_s, expires_s;
    const char *repository, *repository_owner, *visibility;
    int64_t repository_id, owner_id;
    const char *ref, *ref_type, *sha, *event, *environment;
    const char *workflow_ref, *job_workflow_ref, *job_workflow_sha;
    const char *runner; // github-hosted | self-hosted
    const char *actor;
    int64_t actor_id, run_id, run_number, run_attempt, check_run_id;
    const char *token_hash; // SHA-256 in base64
};

struct policy_verdict {
    bool allowed;
    enum reason_code code; // REASON_ALLOWED when allowed
    const char *sentence;  // never NULL
    const char *who;       // who can change it, or NULL
    const char *rule;      // id of the allow rule that let it pass
    bool audit_only;       // `mode: audit`: would have been refused by the spec, not by the floor
    // For explain: which of the caller's own claims failed which rule; nothing of other apps.
    struct str_list failures;
};

struct policy_token_rules {
    const char *issuer, *audience; // exact
    int64_t now_s;
};
/// RS256 by a key of `keys` (NULL: none was ever read), and every claim that we use is there and of
/// its form (RFC 7519; protocols.md T04-T07): exact issuer, exactly our audience, 60 s of leeway, a
/// life of 15 min and an age of 10 min at most, ids in plain decimal. REASON_KEY_UNKNOWN: fetch the
/// keys again, at most once a minute. *claims is set only when allowed. Thread-safe.
void policy_token_check(const struct jwt_keys *keys, struct str token,
    const struct policy_token_rules *rules, struct arena *arena, struct policy_claims **claims,
    struct policy_verdict *verdict);

/// The same claims from a document that nobody signed, to explain what a rule would say: neither
/// signature nor issuer, audience or times are looked at, and what decides nothing may be missing.
void policy_claims_read(const struct json *object, struct arena *arena,
    struct policy_claims **claims, struct policy_verdict *verdict);

// --- may it ever ---------------------------------------------------------------------------------

// What else must be known of the actor; the service asks GitHub only when a rule needs it.
struct policy_actor {
    bool is_bot;
    bool teams_known;
    struct str_list teams; // slugs
};
/// Does any rule of the settings ask for the actor's teams?
bool policy_needs_teams(const struct settings *settings);
/// Rules 2 to 7 and 9. `settings` NULL: there is no such app or it cannot be read, said alike for
/// every caller, and exactly as a repository hears it whose app it is not. `mode: audit` lets pass
/// what the environment's rules, `workflow`, `via_workflow` and `github_environment` refuse; never
/// another repository, a forbidden event, what is no branch or tag, the floor, or an environment
/// without any rule. Thread-safe.
void policy_decide(const struct policy_claims *claims, const struct settings *settings,
    const struct policy_actor *actor, struct arena *arena, struct policy_verdict *verdict);
/// May this repository look at the app's deployments (T48)?
bool policy_may_read(const struct policy_claims *claims, const struct settings *settings);

// --- may it now ----------------------------------------------------------------------------------

struct policy_person {
    const char *login;
    int64_t id;
    struct str_list teams;
};
struct policy_lock {
    const char *id, *scope, *level, *reason, *owner, *on_release;
    const char *app, *env, *program;
    int64_t starts_ms, expires_ms;
};
struct policy_approval {
    struct policy_person by;
    bool rejected;
    const char *version, *diff;
    const char *note; // or NULL
    int64_t at_ms;
};
enum policy_ancestry {
    POLICY_ANCESTRY_UNKNOWN, // GitHub could not say
    POLICY_ANCESTRY_NEWER,   // what is deployed is an ancestor of it
    POLICY_ANCESTRY_SAME,
    POLICY_ANCESTRY_OLDER,
    POLICY_ANCESTRY_DIVERGED,
    POLICY_ANCESTRY_FIRST, // nothing was deployed before
};
struct policy_facts {
    int64_t now_ms;
    const char *verb; // deploy | rollback | promote
    const char *version, *digests, *diff;
    const char *requester; // login
    int64_t requester_id, accepted_ms;
    bool emergency;
    bool automatic; // a job that nobody started by hand: a push, a schedule, a run once more
    const struct policy_lock *locks; // all that are known; those that do not touch it are passed
    size_t lock_count;
    enum policy_ancestry ancestry;
    const char *deployed_version;
    // promote_from: since when it was there, 0: never; until when, 0: it is there; and with which
    // digests
    int64_t promoted_since_ms, promoted_until_ms;
    const char *promoted_digests;
    const struct policy_approval *approvals;
    size_t approval_count;
    bool known_good; // rollback: the version was deployed here before
};
struct policy_gate {
    enum { POLICY_GO, POLICY_WAIT, POLICY_REFUSE } answer;
    enum reason_code code;
    const char *sentence, *who;
    int64_t until_ms;         // WAIT: when it ends by itself (wall); 0: not known
    const char *on_release;   // WAIT: "will run" or "will be dropped"
    struct str_list warnings; // GO: locks of level warning, stale: warn
    int64_t approvals_needed, approvals_given;
};
/// Locks → windows and freezes → promotion and stale → approvals, in that order; the first that
/// holds answers. The owner of a lock passes it, unless by
/// something automatic. A rollback passes promotion and stale, but must be
/// known good, and approvals where they say so. An emergency passes windows that say
/// `manual: emergency`, freezes and approvals, each of them with a warning. An ancestry that nobody
/// knows waits for a quarter of an hour from accepted_ms and is then refused (`stale: reject`), or
/// is a warning. Thread-safe.
void policy_gate(const struct settings *settings, const struct policy_facts *facts,
    struct arena *arena, struct policy_gate *out);
/// What goes with a deployment of (app, env) at this moment, whatever else holds it: warnings of
/// locks, what an emergency passes, that nothing can be proven. Of the facts it takes now_ms,
/// locks, requester and emergency.
void policy_warnings(const struct settings *settings, const struct policy_facts *facts,
    struct arena *arena, struct str_list *out);
/// May this person approve? Of the teams that may, or of the organisation where none are named; not
/// the requester unless `self` says so. *why_not: a sentence when not.
bool policy_may_approve(const struct settings *settings, const struct policy_person *person,
    const char *requester, struct arena *arena, const char **why_not);
/// May this person take the emergency path? Of `emergency.teams`; without them nobody may. Admins
/// of the service (setting_server.admins) are the caller's.
bool policy_may_hurry(const struct settings *settings, const struct policy_person *person);
