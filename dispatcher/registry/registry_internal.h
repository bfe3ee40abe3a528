// Shared by the registry client: who we are to the registry, one exchange, what an answer means.
#pragma once

#include "dispatcher/http.h"
#include "dispatcher/registry.h"
#include "dispatcher/retry.h"

#define SCOPE_PULL "pull"
#define SCOPE_PUSH "pull,push"
// The user whose password is an identity token (docker-credential-helpers).
#define REGISTRY_IDENTITY_USER "<token>"

#define MANIFEST_TYPES                                                                             \
    MEDIA_OCI_INDEX ", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_LIST ", " MEDIA_DOCKER_MANIFEST

// One challenge of a WWW-Authenticate field (RFC 9110 §11.6.1).
struct challenge {
    char *scheme; // as sent
    char *realm, *service, *scope, *error;
};
void challenge_done(struct challenge *challenge);
/// The challenge that we can answer best (Bearer before Basic); false when there is none.
bool challenge_find(const struct http_headers *headers, struct challenge *out);

enum auth_scheme { AUTH_NONE, AUTH_BASIC, AUTH_BEARER };

struct registry_auth {
    enum auth_scheme scheme;
    char *user;
    struct secret *password;
    char *realm, *service; // of the token service
    char *scope;           // that the token at hand is for
    struct secret *token;
    int64_t renew_at_ms; // mono
    bool refused; // credentials were renewed or a new token was got since the last acceptance
};

struct registry_client {
    const struct platform *platform;
    struct http_client *http;
    char *host, *base; // base: "https://host"
    bool is_loopback, is_ecr;
    struct error *(*renew)(void *ctx, char **user, struct secret **password);
    void *renew_ctx;
    struct registry_auth auth;
    char *also_scope;                       // that every token is asked for as well, or NULL
    size_t parallel_bodies, parallel_small; // halved when the registry asks to slow down
    int64_t requests;
};

extern const struct retry_policy registry_policy;

/// Adds Authorization for `scope` ("repository:app:pull"), getting a token first where one is due.
NODISCARD struct error *registry_auth_add(
    struct registry_client *client, const char *scope, struct http_headers *headers);
/// After a 401: prepares another try, or ERROR_CREDENTIALS when none is left.
NODISCARD struct error *registry_auth_refused(
    struct registry_client *client, const struct http_headers *answer);
/// From here on tokens are for this scope ("repository:base:pull") as well.
void registry_auth_also(struct registry_client *client, const char *scope);
/// After any other answer.
void registry_auth_accepted(struct registry_client *client);
void registry_auth_done(struct registry_auth *auth);

// A small request, repeated by the policy and once more after a 401.
struct registry_call {
    enum http_method method;
    const char *url, *scope;
    const char *accept, *content_type;
    struct str body;
    bool foreign;       // another origin: no Authorization
    bool single;        // one attempt
    int64_t timeout_ms; // 0: 60 s an attempt
};
NODISCARD struct error *registry_send(struct registry_client *client,
    const struct registry_call *call, struct http_response *response);

/// "https://host/v2/REPOSITORY/KIND/REFERENCE", heap.
char *registry_url(const struct registry_client *client, const char *repository, const char *kind,
    const char *reference);
/// "repository:NAME:ACTIONS", heap.
char *registry_scope(const char *repository, const char *actions);

/// What to do about an outcome of a request that may be repeated.
enum registry_verdict { VERDICT_ANSWER, VERDICT_AUTH, VERDICT_AGAIN, VERDICT_FAILED };
enum registry_verdict registry_judge(struct registry_client *client, const struct error *err,
    const struct http_response *response, unsigned attempt, int64_t *wait_ms);

/// ERROR_CREDENTIALS, ERROR_REFUSED or ERROR_UNAVAILABLE: "what: what the registry said".
NODISCARD struct error *registry_status_error(
    const struct registry_client *client, const char *what, const struct http_response *response);
/// The registry's own error code ("NAME_UNKNOWN") in the answer; "" when there is none. Heap.
char *registry_error_code(const struct http_response *response);
/// A HEAD has no body to explain its status: asks the same with GET and makes the error of it.
NODISCARD struct error *registry_explain_head(struct registry_client *client,
    const struct registry_call *head, const char *what, const struct http_response *response);

/// Where to go on after an upload answer (absolute URL, heap). *foreign: another origin.
NODISCARD struct error *registry_location(const struct registry_client *client,
    const char *request_url, const struct http_response *response, char **out, bool *foreign);

/// The same for a GET that is answered elsewhere.
NODISCARD struct error *registry_redirect(const struct registry_client *client,
    const char *request_url, const struct http_response *response, char **out, bool *foreign);

/// "host" or "host:port", and nothing that could make more of a URL than that.
bool registry_host_is_valid(struct str host);
NODISCARD struct error *registry_check_repository(const char *repository);
/// The digest named by repository:reference, or NULL; `*status` of the answer is left to look at.
NODISCARD struct error *registry_head_manifest(struct registry_client *client,
    const char *repository, const char *reference, const char *actions, char **digest, int *status);

// What an earlier image of the repository lends to a push.
struct registry_reuse {
    bool found;              // there was one that could be read
    bool adopted;            // it is the very image: its manifest is ours now
    bool tagged;             // and the tag names it already
    struct str_list digests; // of blobs that it shows to be there
};
/// Settles plain layers that an earlier image has compressed already, by their diff_ids
/// (facts/registry-push.md §4.2). What cannot be read is done without; fails only when cancelled.
NODISCARD struct error *registry_reuse_find(struct registry_client *client,
    const struct registry_push *push, struct arena *arena, struct registry_reuse *out);
bool registry_reuse_has(const struct registry_reuse *reuse, const struct image_part *part);
/// Takes back what was settled, when the registry turns out not to have it.
void registry_reuse_forget(struct registry_reuse *reuse, struct image *image);

/// Every part of the image is in the repository afterwards, and every digest known.
NODISCARD struct error *registry_upload_parts(struct registry_client *client,
    const struct registry_push *push, const struct registry_reuse *reuse,
    struct registry_push_result *result);
