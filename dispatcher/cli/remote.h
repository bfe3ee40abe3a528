// Commands that ask a service: where it is, with which token, and following one of its deployments
// with the same progress and report as one of our own.
#pragma once

#include "deploy_ui.h"
#include "dispatcher/client.h"

// clang-format off
#define REMOTE_OPTION                                                                              \
    {"server", CLI_VALUE, "URL", "the service that does it (DISPATCHER_URL)", NULL}
// clang-format on

struct remote {
    struct cli *cli;
    struct http_client *http;
    struct client *client;
    struct arena *arena;
    const char *url;
    struct str_list warned; // remote_warn
};

/// --server, else DISPATCHER_URL; NULL: no service is meant.
const char *remote_url(const struct cli *cli, const struct cli_arguments *arguments);
/// ERROR_USAGE when no service is named. Tokens: the job's OIDC token, else DISPATCHER_TOKEN,
/// GH_TOKEN or GITHUB_TOKEN of a person.
NODISCARD struct error *remote_open(
    struct cli *cli, const struct cli_arguments *arguments, struct remote *out);
void remote_close(struct remote *remote);

/// POST with a key that makes repeating it harmless; *out may be NULL on return.
NODISCARD struct error *remote_post(struct remote *remote, const char *path,
    const struct json *body, const char *key, struct json **out);
NODISCARD struct error *remote_get(struct remote *remote, const char *path, struct json **out);
/// "/api/v1/" and then the parts, each encoded, with slashes between; up to a NULL.
char *remote_path(struct arena *arena, const char *const *parts);
/// A key for what this command asks for: the same in every try of it, and in each run of a CI job's
/// step.
char *remote_key(const struct remote *remote, const char *what);

struct remote_follow {
    const char *id;
    const char *what; // for errors: "deploy 'shop' to 'staging'"
    bool json;
    int64_t timeout_ms; // 0: as long as it takes
    bool cancel_on_signal, cancel_on_timeout;
};
/// Follows to the end and reports; *exit_code is the deployment's.
NODISCARD struct error *remote_follow(
    struct remote *remote, const struct remote_follow *follow, int *exit_code);
/// What the service warns of (`warnings` of a deployment), each text once in the life of `remote`:
/// a line on stderr, and an annotation where the runner of GitHub Actions reads along.
void remote_warn(struct remote *remote, const struct json *deployment);
/// A text of the service, harmless to print; NULL stays NULL.
const char *remote_clean(struct arena *arena, const struct json *value);
