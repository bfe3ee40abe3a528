// The reports beside a command that deploys: begun with it, waited for a moment at its end, and
// what could not be told is said once. Nothing of it changes the deployment's result or exit code.
#pragma once

#include "deploy_ui.h"

struct deploy_reports;

/// NULL when the deployment has nobody to tell.
struct deploy_reports *deploy_reports_start(struct cli *cli, struct deploy_session *session,
    const struct deployment *deployment, bool json);
/// Waits for what is under way, ten seconds at most (DISPATCHER_REPORT_WAIT_MS), and says what is
/// left. NULL does nothing.
void deploy_reports_finish(struct deploy_reports *reports, const struct deployment *deployment);
/// Until the courier has told all of `id` (NULL: of everything) that it can before `until_ms`, or a
/// signal comes; what takes longer than a second is shown, on stderr if standard output is data.
NODISCARD struct error *deploy_reports_wait(struct cli *cli, struct deploy_courier *courier,
    const char *id, int64_t until_ms, bool on_stderr);
/// Before the session is closed.
void deploy_reports_free(struct deploy_reports *reports);
void deploy_reports_freep(struct deploy_reports **reports);
