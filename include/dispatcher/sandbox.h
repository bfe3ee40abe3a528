// A GitHub, an AWS, a registry and inboxes on one loopback port, to rehearse specs and workflows
// against.
//
//     struct sandbox_options options = {.listen = "127.0.0.1:0", .repositories = repositories};
//     TRY(sandbox_run(platform, &options, show_addresses, cli));
//
// Serves GitHub REST, the Actions OIDC issuer, STS, SSM, ECR, ECS, App Runner, CloudWatch Logs,
// Secrets Manager, an OCI registry, a Vault, Slack, PagerDuty and webhooks (docs/sandbox.md),
// executes the `run:` steps of workflows as real processes, and breaks on purpose (`faults`). docs:
// `dispatcher help sandbox`. It believes nobody: signatures, tokens and digests are checked. Not
// for a network: it executes the workflows of the repositories it was given, so it only listens on
// loopback. State lives in memory and below the data directory; sandbox_run owns all its threads.
#pragma once

#include "dispatcher/field.h"
#include "dispatcher/json.h"
#include "dispatcher/platform.h"

// What is added to a run's life on top of what its steps take, all in milliseconds.
struct sandbox_delays {
    int64_t visible; // until the run shows in listings
    int64_t pending; // with the status "pending", as behind a concurrency group
    int64_t queued;  // with the status "queued"
    int64_t running; // with the status "in_progress", before the first step
};

struct sandbox_options {
    const char *listen;            // "127.0.0.1:0"; NULL means that; port 0: any
    const char *data_directory;    // NULL: a temporary one, removed at the end
    const char *ready_file;        // NULL, or where the environment file is written once it serves
    struct pair_list repositories; // "owner/name" → path of a git repository or plain directory
    struct pair_list variables;    // vars.* of workflows
    struct pair_list secrets;      // secrets.* of workflows
    const char *ghes; // "3.19": answers as that GitHub Enterprise Server; NULL: github.com
    struct sandbox_delays delays;
    int64_t quota;             // requests an hour and token; 0: 5000
    struct str_list faults;    // rules, see sandbox_fault_syntax
    const char *account;       // NULL: "123456789012"
    const char *region;        // NULL: "us-east-1"
    const char *registry_auth; // "basic" (NULL), "bearer" or "none"
    int64_t rollout_delay;     // ms that a deployment of a service takes; 0: 2 s
    const char *caller; // "owner/name" of the app: OIDC tokens speak of it, and it is there to be
                        // reported on; NULL: the first
    const char *webhook_url;         // where the App's webhook goes; NULL: nowhere, until an order
    const char *webhook_secret_file; // signs it; NULL: one is made up, see the ready file
};

// What a client needs, told once when the sandbox serves. All borrowed for the call.
struct sandbox_ready {
    const char *origin;           // "http://127.0.0.1:40123"
    const struct json *addresses; // every address, key path and token as one object
    struct str environment;       // the same as NAME='value' lines for `set -a; . file`
};

/// Serves until platform->cancel is raised (then returns NULL), or fails to start. The environment
/// lines hold credentials of the sandbox only, which are worth nothing elsewhere.
NODISCARD struct error *sandbox_run(const struct platform *platform,
    const struct sandbox_options *options,
    void (*ready)(void *ctx, const struct sandbox_ready *what), void *ctx);

/// The rule language of --fault and POST /_sandbox/faults, for the help text.
extern const char sandbox_fault_syntax[];
/// ERROR_USAGE says what is wrong with a rule, before anything starts.
NODISCARD struct error *sandbox_fault_check(const char *rule);
