// The issuer's keys, shared by the part that serves and the part that takes orders.
#pragma once

#include "sandbox_internal.h"

struct oidc_key {
    struct secret *pem;
    struct jwt_key *key;
    char *kid;
};

struct oidc_grant {
    char *token;
    struct json *claims;
};

struct oidc_state {
    struct oidc_key *keys; // all published; the last one signs
    size_t key_count;
    char *issuer;
    struct oidc_grant *grants;
    size_t grant_count;
};

/// A fresh key, which signs from now on. Without `keep` those before are published no more.
NODISCARD struct error *sandbox_oidc_key_add(struct sandbox *sandbox, bool keep);
/// Sets iss, jti, iat, nbf and exp where `claims` says nothing of them, be it null.
void sandbox_oidc_fill(struct sandbox *sandbox, struct json *claims, int64_t issued_s);
NODISCARD struct error *sandbox_oidc_sign(
    const struct sandbox *sandbox, const struct json *claims, struct secret **out);
