// The releases of one service: the history of its version parameter, read as a ledger.
//
// A version of the parameter is a release; its description says which deployment wrote it and which
// digest that meant, its labels what became of it (protocols.md §4.1 step 5):
//
//     deployed        the newest one that a rollout used and that ended well
//     proven          the newest one whose digest was seen to run
//     proven-<slot>   one of the newest `keep` proven ones, slot 0 to keep-1, of which a label each
//                     is needed because a label stands at one version only
//     pending         what became of it is not known
//
// Pure but for ledger_read, ledger_mark and ledger_make_room, which speak to Parameter Store.
// Strings live in the arena. Thread rule as aws.h.
#pragma once

#include "deploy_internal.h"
#include "dispatcher/ssm.h"

enum { LEDGER_KEEP = 10 }; // when nothing else is said

struct ledger_release {
    const char *version; // the parameter's value, as it is
    int64_t number;      // of the parameter's version
    const char *digest;  // sha256:…, NULL when nobody wrote it down
    bool deployed, proven, pending;
    bool restored;  // put back after another one had failed
    const char *by; // ARN, NULL when unknown
    int64_t changed_ms;
    const char *deployment;  // id, NULL when somebody else wrote it
    const char *rollback_of; // the version that this one replaced on purpose; NULL: no rollback
    const char *reason;      // of the rollback, or NULL
};
struct ledger {
    struct ledger_release *items; // newest first
    size_t count;
};

NODISCARD struct error *ledger_read(
    struct aws_session *aws, const char *parameter, struct arena *arena, struct ledger *out);
/// The newest proven release of another version than the newest release's, or NULL. One that a
/// rollback has left since is none to go back to.
const struct ledger_release *ledger_find_before(const struct ledger *ledger);
/// The next one of that kind that is older than `release`, or NULL.
const struct ledger_release *ledger_find_older(
    const struct ledger *ledger, const struct ledger_release *release);
/// The newest release of that version, proven ones first; NULL when there is none.
const struct ledger_release *ledger_find(const struct ledger *ledger, const char *version);

/// What a Put of this deployment has as its description: the same again in another process.
const char *ledger_description(
    const struct deployment *d, const struct deployment_service *service, struct arena *arena);
/// The id of the deployment that wrote a description, or NULL.
const char *ledger_deployment(struct arena *arena, const char *description);

/// Labels a version `deployed` and, when its digest was seen to run, `proven` with a slot, in one
/// call. `keep` 0: LEDGER_KEEP.
NODISCARD struct error *ledger_mark(
    struct aws_session *aws, const char *parameter, int64_t number, bool proven, int64_t keep);
/// Parameter Store refuses a version because the oldest of 100 carries labels: ours move to a newer
/// version of the same value, or go. *made false: there are labels of others. *lost: the version
/// that cannot be gone back to any more, or NULL.
NODISCARD struct error *ledger_make_room(struct aws_session *aws, const char *parameter,
    struct arena *arena, bool *made, const char **lost);
