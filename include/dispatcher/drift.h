// Drift: what version parameters say and what really runs, against what the last proven release of
// an app in an environment left there. Reads only, with the credentials of deploy.h; mends nothing.
//
//     struct deploy_drift_lane lanes[] = {{.request = …, .proven = …}, …};
//     TRY(deploy_drift(context, lanes, count, arena));
//     … lanes[0].things, lanes[0].why …
//
// What runs is seen by the same probe that proves a deployment. Parameters of lanes in one account,
// region and role are read ten at a time, so that lanes are better given together.
#pragma once

#include "dispatcher/deploy_service.h"
#include "dispatcher/queue_drift.h"

// An app in an environment. All borrowed; what is set lives in the arena.
struct deploy_drift_lane {
    const struct deploy_request *request; // its documents, given
    const struct deployment *proven;      // the deployment that brought what is to be there
    const struct str_list *versions;      // that were there before: a secret parameter's are shown
    // Set:
    struct queue_drift_thing *things;
    size_t count;
    const char *why; // nothing could be compared, or (`nothing`) there is nothing to compare
    bool nothing;
};
/// What cannot be read is a thing that is not known, with the reason; only ERROR_CANCELLED and
/// ERROR_STORAGE are errors.
NODISCARD struct error *deploy_drift(struct deploy_context *context,
    struct deploy_drift_lane *lanes, size_t count, struct arena *arena);
