// JSON Web Tokens: making RS256 ones for a GitHub App (RFC 7515, RFC 7519).
//
// Decoding without verification is only for showing what a token claims. Thread-safe.
#pragma once

#include "dispatcher/json.h"
#include "dispatcher/secret.h"

struct jwt_key;

/// PEM, PKCS#1 or PKCS#8, RSA of 2048 bits or more, no passphrase. ERROR_CREDENTIALS else; never
/// quotes the key. Literal "\n" sequences (keys pasted into one line) are accepted as line ends.
NODISCARD struct error *jwt_key_from_pem(const struct secret *pem, struct jwt_key **out);
void jwt_key_free(struct jwt_key *key);
void jwt_key_freep(struct jwt_key **key);
/// Compact serialisation of {"alg":"RS256","typ":"JWT"} and `claims`.
NODISCARD struct error *jwt_sign_rs256(
    const struct jwt_key *key, const struct json *claims, struct secret **out);
/// The same with `kid` in the header, which verifiers of published keys need; NULL: without one.
NODISCARD struct error *jwt_sign_rs256_kid(
    const struct jwt_key *key, const char *kid, const struct json *claims, struct secret **out);
/// Claims without any check; ERROR_INPUT when it is not a JWT.
NODISCARD struct error *jwt_peek(struct str token, struct json **claims);
/// Is it an RS256 JWT that the private key of this PEM signed? Says nothing about its claims. The
/// sandbox checks App JWTs and its own OIDC tokens with it.
bool jwt_verify_rs256(const struct secret *private_pem, struct str token);
/// Public half as a JWK object (kty, n, e, kid, alg, use), for the sandbox's issuer.
NODISCARD struct error *jwt_key_public_jwk(
    const struct jwt_key *key, const char *kid, struct json **out);
/// A fresh 2048-bit key as PEM (PKCS#8), for the sandbox.
NODISCARD struct error *jwt_key_generate_pem(struct secret **out);

// --- verification against published keys (RFC 7517, RFC 7515 §5.2; protocols.md T06 to T08)
// --------

struct jwt_keys;
/// A JWK set: RSA keys of 2048 bits or more with an odd exponent of 65537 or more and a `kid`, 32
/// at most; others are passed over. ERROR_INPUT when it is no set, larger than 64 KiB, or has no
/// key.
NODISCARD struct error *jwt_keys_parse(struct str json, struct jwt_keys **out);
void jwt_keys_free(struct jwt_keys *keys);
void jwt_keys_freep(struct jwt_keys **keys);

enum jwt_check {
    JWT_GOOD,
    JWT_MALFORMED, // not three strict base64url parts, header or claims no JSON object, too large,
                   // duplicate keys, `crit`, another `alg` or `typ`
    JWT_KEY_UNKNOWN, // no key of that `kid`
    JWT_SIGNATURE,
};
/// Claims only when JWT_GOOD. The header must be exactly alg RS256 with a kid; keys or addresses of
/// keys that it brings itself are never looked at.
enum jwt_check jwt_keys_check(const struct jwt_keys *keys, struct str token, struct json **claims);
