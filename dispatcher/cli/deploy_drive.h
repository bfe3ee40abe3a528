// Reading, planning and driving one deployment: what deploy, plan, rollout and rollback share.
#pragma once

#include "cli_internal.h"
#include "dispatcher/deploy.h"

struct deploy_drive {
    const struct deploy_request *request;
    const char *what; // for errors: "deploy 'shop' to 'staging'"
    bool json, dry_run;
};

/// Prints the plan and stops there (dry_run), or drives it to its end and reports.
NODISCARD struct error *deploy_drive(
    struct cli *cli, const struct deploy_drive *drive, int *exit_code);
