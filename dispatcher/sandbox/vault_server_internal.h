// The sandbox's Vault below /vault/v1: KV version 2, logins by AWS identity and by OIDC token, and
// tokens that end. All under the sandbox's lock, all in memory until the next reset.
//
// Not a model of policies: a role lists globs of paths that its tokens may read and write.
// Protocol: Vault's HTTP API (api-docs/secret/kv/kv-v2, auth/aws, auth/jwt, auth/token).
#pragma once

#include "sandbox_internal.h"

struct vault_version {
    int64_t number, created_ms;
    int64_t deleted_ms; // 0: it was not
    struct json *data;
};

struct vault_secret {
    char *space, *mount, *path; // namespace ("" is the root), "secret", "shop/database"
    struct vault_version *versions;
    size_t count;
    int64_t last; // number of the newest version, ever
};

struct vault_mount {
    char *space, *path;       // "aws", without "auth/"
    char *type;               // "kv", "aws" or "jwt"
    char *server_id, *region; // of "aws": X-Vault-AWS-IAM-Server-ID or NULL, region of its STS
};

struct vault_role {
    char *space, *mount, *name;
    struct json *order; // as configured: principals, audiences, claims, read, write, renewable
    int64_t ttl_ms, max_ms;
};

struct vault_token {
    char *text, *accessor, *space, *name; // name: who it is, for display
    struct json *meta, *read, *write;     // lists of globs; read NULL: everything
    int64_t created_ms, expires_ms;       // 0: never
    int64_t ttl_ms, max_ms;               // max 0: no limit to renewals
    bool is_root, is_renewable;
};

struct vault_state {
    char *root; // the root token; never changes, so that shells may keep it over a reset
    struct vault_secret **secrets;
    size_t secret_count;
    struct vault_mount **mounts;
    size_t mount_count;
    struct vault_role **roles;
    size_t role_count;
    struct vault_token **tokens;
    size_t token_count;
    bool is_sealed;
};

struct vault_exchange {
    struct sandbox *sandbox;
    struct sandbox_request *request;
    struct sandbox_response *response;
    const char *space; // "" or "team/payments"
    const char *path;  // below v1/, without the namespace: "secret/data/shop"
    struct vault_token *token;
    const struct vault_mount *mount; // that the path is below
    const char *rest;                // of the path, below the mount
};

// --- vault_server.c
/// {"errors": [text]}, or an empty list for NULL.
void sandbox_vault_problem(struct vault_exchange *exchange, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);
void sandbox_vault_nothing(struct vault_exchange *exchange); // 404, no words
/// Vault's envelope with `data` (taken over; NULL: null).
void sandbox_vault_reply(struct vault_exchange *exchange, int status, struct json *data);
/// The longest mount of that kind of use that the path is below: "kv", or else a login.
const struct vault_mount *sandbox_vault_mount_of(
    const struct vault_state *vault, const char *space, const char *path, bool is_kv);
/// RFC 3339, as Vault writes times.
void sandbox_vault_set_time(struct json *object, const char *key, int64_t wall_ms);
/// "90s", "1h", or a number of seconds; false for anything else.
bool sandbox_vault_read_ms(const struct json *value, int64_t *out);

// --- vault_server_kv.c
void sandbox_vault_kv_handle(struct vault_exchange *exchange);
/// Adds a version; `data` is copied.
const struct vault_version *sandbox_vault_kv_write(struct sandbox *sandbox, const char *space,
    const struct vault_mount *mount, const char *path, const struct json *data);

// --- vault_server_login.c
void sandbox_vault_login(struct vault_exchange *exchange);

// --- vault_server_token.c
/// A token as a role gives it out; `meta` is taken over.
struct vault_token *sandbox_vault_token_add(
    struct sandbox *sandbox, const struct vault_role *role, const char *name, struct json *meta);
/// The one with that text which has not ended; NULL when there is none.
struct vault_token *sandbox_vault_token_find(struct sandbox *sandbox, const char *text);
bool sandbox_vault_token_may(const struct vault_token *token, const char *path, bool writes);
void sandbox_vault_token_handle(struct vault_exchange *exchange);
/// The answer to a login or renewal.
void sandbox_vault_reply_auth(struct vault_exchange *exchange, const struct vault_token *token);
void sandbox_vault_token_free(struct vault_token *token);

// --- vault_server_control.c
/// The mounts that every namespace has: secret, aws, jwt.
void sandbox_vault_add_space(struct vault_state *vault, const char *space);
