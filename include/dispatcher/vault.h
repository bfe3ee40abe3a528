// Vault, or whatever speaks its HTTP API: signing in, and reading secrets of a KV version 2 engine
// (facts/github-notify-credentials.md §8).
//
//     const struct vault_options options = {.address = "https://vault.example.org:8200",
//         .auth = VAULT_AUTH_JWT, .role = "deploy", .jwt = &source};
//     TRY(vault_client_new(platform, http, &options, &vault));
//     TRY(vault_kv_read(vault, "kv/data/shop", "app_key", &key));
//
// Signs in when it first has to, renews at 80 % of the lease, and signs in again when a token
// cannot be renewed or is refused once. A token that was given is used as it is. Redirects are not
// followed: they would carry the token to another host. Errors name path, role and permission,
// never a value or a token; what Vault itself says is cleaned and masked. One thread per client.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/field.h"
#include "dispatcher/http.h"
#include "dispatcher/secret.h"

enum vault_auth {
    VAULT_AUTH_TOKEN, // `token`
    VAULT_AUTH_AWS,   // auth/<mount>/login of the AWS method, type iam: `aws` proves who we are
    VAULT_AUTH_JWT,   // auth/<mount>/login of the JWT method: `jwt` gives a token for `audience`
};

/// An OIDC token for `audience`, from whoever can mint one (github/actions in a job).
struct vault_jwt_source {
    struct error *(*token)(void *ctx, const char *audience, struct secret **out);
    void *ctx;
};

// A signed sts:GetCallerIdentity that Vault sends to STS itself.
struct vault_identity_proof {
    const char *method;     // static
    char *url, *body;       // heap, plain text
    struct secret *headers; // JSON: name to list of values
};
struct vault_proof_source {
    /// `server_id` (may be NULL) must be signed as X-Vault-AWS-IAM-Server-ID.
    struct error *(*prove)(void *ctx, const char *server_id, struct vault_identity_proof *out);
    void *ctx;
};

struct vault_options {
    const char *address;   // https, or http on loopback; a path in front of /v1 is kept
    const char *namespace; // NULL: none
    enum vault_auth auth;
    struct secret *token;  // VAULT_AUTH_TOKEN
    const char *role;      // NULL: the method's own default
    const char *mount;     // NULL: "aws" or "jwt"
    const char *audience;  // of the JWT; NULL: the address
    const char *server_id; // NULL: none
    const struct vault_proof_source *aws;
    const struct vault_jwt_source *jwt;
};

struct vault_client;

/// Everything is copied but platform, http and what the sources' ctx points to. Sends nothing.
/// ERROR_SPEC for an address or a mount that cannot be.
NODISCARD struct error *vault_client_new(const struct platform *platform, struct http_client *http,
    const struct vault_options *options, struct vault_client **out);
void vault_client_free(struct vault_client *client);
void vault_client_freep(struct vault_client **client);

/// NULL when it is a path of KV version 2, "mount/data/path"; else what it must be.
const char *vault_path_problem(const char *path);
/// The newest version's value under `key`: text as it is, a number or a boolean as JSON writes it.
/// ERROR_CREDENTIALS when it is not there, deleted, or may not be read.
NODISCARD struct error *vault_kv_read(
    struct vault_client *client, const char *path, const char *key, struct secret **out);

/// Does now what the first read would do; nothing when there is a token already.
NODISCARD struct error *vault_sign_in(struct vault_client *client);

// Who we are to Vault, for `doctor`.
struct vault_identity {
    const char *name; // display name, or NULL
    struct str_list policies;
    int64_t left_ms; // of the token; 0: it does not expire
};
/// Signs in if need be and asks for the token's own properties; texts into the arena, cleaned. Not
/// every token may ask (HTTP 403), and one that is not valid is refused in the same way.
NODISCARD struct error *vault_identity_get(
    struct vault_client *client, struct arena *arena, struct vault_identity *out);
