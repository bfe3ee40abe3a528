// Shared by the two files of drift.
//
//     drift.c         reads what is there
//     drift_judge.c   what that means: pure
#pragma once

#include "dispatcher/drift.h"
#include "dispatcher/ssm.h"

enum { DRIFT_TEXT_MAX = 300 };

// A version parameter as it was found, beside what it said when the release was proven.
struct drift_parameter {
    const char *service, *name;       // of the parameter
    const char *version;              // expected
    const struct ssm_parameter *seen; // NULL: it does not exist
    const char *problem;              // it could not be read: why; or NULL
    const struct str_list *versions;  // that may be shown of a SecureString
};
struct queue_drift_thing drift_judge_parameter(
    const struct drift_parameter *parameter, struct arena *arena);

/// Of a target that was proven against `digest`, or could not be (`problem`).
struct queue_drift_thing drift_judge_running(const struct deployment_target *target,
    const char *version, const char *digest, const char *problem, struct arena *arena);
