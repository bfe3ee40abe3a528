// For `verify`: are the roles of a target there, and do they trust the service that takes them on?
// What the roles may do is not looked at.
#pragma once

#include "deploy_internal.h"
#include "findings.h"

struct target_role {
    const char *what;    // "execution role"
    const char *role;    // ARN or name; NULL: there is none, and nothing is said
    const char *service; // that has to be trusted: "ecs-tasks.amazonaws.com"
};

/// Adds a finding for each role, once for the same role in the same part. One that may not be read,
/// or is of another account, is a warning.
void target_roles_inspect(const struct step_run *run, const struct target_role *roles, size_t count,
    struct findings *findings);
