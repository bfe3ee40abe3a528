// Shared inside vault/: the client's insides and the stages of a request.
//
//     client.c  options, one exchange, the token that goes with it
//     login.c   getting a token, keeping it alive
//     answer.c  what an answer that is none says
//     kv.c      what is asked
#pragma once

#include "dispatcher/json.h"
#include "dispatcher/vault.h"

struct vault_client {
    const struct platform *platform;
    struct http_client *http;
    char *address; // without a slash at the end
    char *namespace, *role, *mount, *audience, *server_id;
    enum vault_auth auth;
    struct vault_proof_source aws;
    struct vault_jwt_source jwt;

    struct secret *token;       // given, or of the last login; NULL before the first
    int64_t login_lease_ms;     // what the login gave; a renewal should give as much
    int64_t due_ms, expires_ms; // mono; 0: never
    bool renewable;
};

struct vault_call {
    enum http_method method;
    const char *path; // below /v1/, encoded
    const char *body; // JSON text or NULL
    bool is_login;    // goes without a token
};

/// Any status is an answer here; what is transient has been repeated.
NODISCARD struct error *vault_send(
    struct vault_client *client, const struct vault_call *call, struct http_response *response);
/// The same with a token that is alive; a refused one is replaced once.
NODISCARD struct error *vault_request(
    struct vault_client *client, const struct vault_call *call, struct http_response *response);

// --- login.c
/// *fresh: it was got just now.
NODISCARD struct error *vault_token_ensure(struct vault_client *client, bool *fresh);
void vault_token_drop(struct vault_client *client);

// --- answer.c
/// "role 'deploy'", "the token in VAULT_TOKEN", "the AWS login"
void vault_who(const struct vault_client *client, struct buf *out);
NODISCARD struct error *vault_parse(const struct http_response *response, struct json **out);
/// What a status that is no success means, in Vault's words where it has some.
struct error *vault_answer_error(const struct vault_client *client,
    const struct http_response *response) __attribute__((returns_nonnull));
/// Foreign text for one line of ours; NULL stays NULL.
const char *vault_clean(struct arena *arena, const char *text, size_t max);
