// The options that deploy, plan and status share, and reading them into a request.
#pragma once

#include "cli_internal.h"
#include "dispatcher/deploy.h"

extern const char *const deploy_leave_or_cancel[]; // NULL-terminated
extern const char *const deploy_restore_or_keep[];

// clang-format off
#define DEPLOY_OPTIONS_SPECS                                                                       \
    {"specs", CLI_VALUE, "DIR|GIT-URL", "where the app specs are (DISPATCHER_SPECS)", NULL},       \
    {"config", CLI_VALUE, "FILE", "dispatcher.yaml of the organisation (DISPATCHER_CONFIG)", NULL}
#define DEPLOY_OPTIONS_PLACE                                                                       \
    {"env", CLI_VALUE, "ENV", "environment (required)", NULL}, DEPLOY_OPTIONS_SPECS
#define DEPLOY_OPTIONS_PLACE_OR_REF                                                                \
    {"env", CLI_VALUE, "ENV", "environment; default: where the branch or tag deploys to", NULL},   \
        DEPLOY_OPTIONS_SPECS
#define DEPLOY_OPTIONS_WHAT                                                                        \
    {"image", CLI_LIST, "[SERVICE=]SOURCE",                                                        \
        "image to push, once a service: oci:DIR, oci-archive:FILE, docker-archive:FILE, "          \
        "docker-daemon:NAME:TAG or docker://REF",                                                  \
        NULL},                                                                                     \
    {"build", CLI_FLAG, NULL, "build what has no --image and is not in the registry", NULL},       \
    {"version", CLI_VALUE, "V", "version; default: the commit, or the tag at HEAD", NULL},         \
    {"checkout", CLI_VALUE, "DIR", "checkout of the app repository; default: here", NULL},         \
    {"allow-dirty", CLI_FLAG, NULL, "deploy although the work tree has changes", NULL},            \
    {"allow-stale", CLI_FLAG, NULL, "deploy a commit older than the deployed one", NULL},          \
    {"on-failure", CLI_VALUE, "restore|keep", "version and targets after a failure",               \
        deploy_restore_or_keep},                                                                   \
    {"on-cancel", CLI_VALUE, "leave|cancel",                                                       \
        "the remote run or rollout when this is interrupted",                                      \
        deploy_leave_or_cancel},                                                                   \
    {"on-timeout", CLI_VALUE, "leave|cancel",                                                      \
        "the remote run or rollout when --timeout is over",                                        \
        deploy_leave_or_cancel},                                                                   \
    {"timeout", CLI_DURATION, "30m",                                                               \
        "longest wait for the run (queued and running each) or rollout", NULL},                    \
    {"no-wait", CLI_FLAG, NULL, "end (with exit code 10) once the run is triggered", NULL},        \
    {"json", CLI_FLAG, NULL, "one JSON event a line on stdout, human text on stderr", NULL}
// clang-format on

/// ERROR_USAGE when --env is missing. `env_required` is false for `status`.
NODISCARD struct error *deploy_request_read(
    const struct cli_arguments *arguments, bool env_required, struct deploy_request *out);
/// --timeout, and what becomes of things when it fails, is interrupted or runs out of time.
void deploy_request_limits(const struct cli_arguments *arguments, struct deploy_request *out);
