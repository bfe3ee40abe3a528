// What people see of a deployment while it goes on, and the places its result is written to.
// Shared by deploy, resume, resolve and watch. Prints through struct cli; decides nothing.
#pragma once

#include "cli_internal.h"
#include "dispatcher/deploy.h"

struct deploy_ui;

/// `json`: event lines on standard output, human text on standard error.
struct deploy_ui *deploy_ui_new(struct cli *cli, bool json);
void deploy_ui_free(struct deploy_ui *ui);
void deploy_ui_freep(struct deploy_ui **ui);
struct deploy_observer deploy_ui_observer(struct deploy_ui *ui);
/// An observer's callback that shows an event to people and prints no JSON line: somebody else
/// has printed it.
void deploy_ui_quiet(void *ui, const struct deploy_event *event);

/// The result: terminal text, and in a GitHub job the summary, the outputs and the annotations.
void deploy_ui_result(struct deploy_ui *ui, const struct deployment *deployment);

/// Context for a command: opens the HTTP client with the command line's options.
struct deploy_session {
    struct http_client *http;
    struct deploy_context *context;
    struct arena *arena;
    struct diagnostics *diagnostics;
};
NODISCARD struct error *deploy_session_open(
    struct cli *cli, const struct deploy_observer *observer, bool live, struct deploy_session *out);
void deploy_session_close(struct deploy_session *session);
/// Prints the diagnostics, if any, and hands `err` on.
struct error *deploy_session_explain(
    struct cli *cli, struct deploy_session *session, struct error *err);
