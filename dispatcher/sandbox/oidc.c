// The Actions OIDC issuer: discovery, keys, and the endpoint that jobs ask for their tokens
// (facts/github-notify-credentials.md §3). Claims come from whoever granted the request token.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/jwt.h"
#include "dispatcher/memory.h"
#include "oidc_internal.h"

enum { LIFETIME_S = 300, NOT_BEFORE_S = 600, KEYS_MAX = 16 };

static void
free_key(struct oidc_key *key)
{
    jwt_key_free(key->key);
    secret_free(key->pem);
    free(key->kid);
}

static void
forget_keys(struct oidc_state *oidc, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free_key(&oidc->keys[i]);
    }
    oidc->key_count -= count;
    if (oidc->key_count > 0) {
        memmove(oidc->keys, oidc->keys + count, oidc->key_count * sizeof(*oidc->keys));
    }
}

struct error *
sandbox_oidc_key_add(struct sandbox *sandbox, bool keep)
{
    struct oidc_state *oidc = sandbox->oidc;
    struct oidc_key key = {0};
    TRY(jwt_key_generate_pem(&key.pem));
    struct error *err = jwt_key_from_pem(key.pem, &key.key);
    if (err != NULL) {
        free_key(&key);
        return err;
    }
    char kid[33];
    random_hex(sandbox->platform->random, 16, kid);
    key.kid = xstrdup(kid);
    if (!keep) {
        forget_keys(oidc, oidc->key_count);
    } else if (oidc->key_count == KEYS_MAX) {
        forget_keys(oidc, 1);
    }
    oidc->keys = xrealloc(oidc->keys, (oidc->key_count + 1) * sizeof(*oidc->keys));
    oidc->keys[oidc->key_count++] = key;
    return NULL;
}

struct error *
sandbox_oidc_start(struct sandbox *sandbox)
{
    sandbox->oidc = xcalloc(1, sizeof(*sandbox->oidc));
    sandbox->oidc->issuer = xasprintf("%s/oidc", sandbox->origin);
    return sandbox_oidc_key_add(sandbox, true);
}

void
sandbox_oidc_stop(struct sandbox *sandbox)
{
    struct oidc_state *oidc = sandbox->oidc;
    if (oidc == NULL) {
        return;
    }
    for (size_t i = 0; i < oidc->grant_count; i++) {
        free(oidc->grants[i].token);
        json_free(oidc->grants[i].claims);
    }
    free(oidc->grants);
    forget_keys(oidc, oidc->key_count);
    free(oidc->keys);
    free(oidc->issuer);
    free(oidc);
    sandbox->oidc = NULL;
}

const char *
sandbox_oidc_grant(struct sandbox *sandbox, struct json *claims)
{
    struct oidc_state *oidc = sandbox->oidc;
    char random[41];
    random_hex(sandbox->platform->random, 20, random);
    oidc->grants = xrealloc(oidc->grants, (oidc->grant_count + 1) * sizeof(*oidc->grants));
    oidc->grants[oidc->grant_count] =
        (struct oidc_grant){.token = xasprintf("idtoken_%s", random), .claims = claims};
    return oidc->grants[oidc->grant_count++].token;
}

const char *
sandbox_oidc_issuer(const struct sandbox *sandbox)
{
    return sandbox->oidc->issuer;
}

char *
sandbox_oidc_request_url(const struct sandbox *sandbox)
{
    return xasprintf("%s/token?api-version=2.0", sandbox->oidc->issuer);
}

void
sandbox_oidc_regrant(
    struct sandbox *sandbox, const char *repository, const char *id, const char *owner_id)
{
    for (size_t i = 0; i < sandbox->oidc->grant_count; i++) {
        struct json *claims = sandbox->oidc->grants[i].claims;
        if (cstr_equal(json_str(json_get(claims, "repository")), repository)) {
            json_set_str(claims, "repository_id", id);
            json_set_str(claims, "repository_owner_id", owner_id);
        }
    }
}

static void
set_missing(struct json *claims, const char *name, int64_t value)
{
    if (json_get(claims, name) == NULL) {
        json_set_int(claims, name, value);
    }
}

void
sandbox_oidc_fill(struct sandbox *sandbox, struct json *claims, int64_t issued_s)
{
    char jti[33];
    random_hex(sandbox->platform->random, 16, jti);
    if (json_get(claims, "jti") == NULL) {
        json_set_str(claims, "jti", jti);
    }
    if (json_get(claims, "iss") == NULL) {
        json_set_str(claims, "iss", sandbox->oidc->issuer);
    }
    set_missing(claims, "iat", issued_s);
    set_missing(claims, "nbf", issued_s - NOT_BEFORE_S);
    set_missing(claims, "exp", issued_s + LIFETIME_S);
}

struct error *
sandbox_oidc_sign(const struct sandbox *sandbox, const struct json *claims, struct secret **out)
{
    const struct oidc_key *key = &sandbox->oidc->keys[sandbox->oidc->key_count - 1];
    return jwt_sign_rs256_kid(key->key, key->kid, claims, out);
}

static struct error *
mint(struct sandbox *sandbox, const struct json *granted, const char *audience,
    struct secret **token)
{
    struct json *claims CLEANUP(json_freep) = json_clone(granted);
    json_set_str(claims, "aud", audience);
    sandbox_oidc_fill(sandbox, claims, sandbox_now(sandbox) / 1000);
    return sandbox_oidc_sign(sandbox, claims, token);
}

static void
answer_token(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct oidc_state *oidc = sandbox->oidc;
    const char *bearer = sandbox_request_bearer(request);
    const struct json *claims = NULL;
    for (size_t i = 0; bearer != NULL && i < oidc->grant_count; i++) {
        if (strcmp(oidc->grants[i].token, bearer) == 0) {
            claims = oidc->grants[i].claims;
        }
    }
    if (claims == NULL) {
        sandbox_reply_problem(response, 401, "the request token is not one of this issuer's");
        return;
    }
    const char *audience = sandbox_request_query(request, "audience");
    if (audience == NULL || audience[0] == '\0') {
        audience = arena_printf(request->arena, "https://github.com/%s",
            json_str(json_get(claims, "repository_owner")));
    }
    struct secret *token CLEANUP(secret_freep) = NULL;
    struct error *err CLEANUP(error_freep) = mint(sandbox, claims, audience, &token);
    if (err != NULL) {
        sandbox_reply_problem(response, 500, "%s", error_message(err));
        return;
    }
    struct json *body = json_make_object();
    json_set_int(body, "count", (int64_t)secret_expose(token).len);
    json_set_str(body, "value", secret_expose(token).ptr);
    sandbox_reply_json(response, 200, body);
}

static void
answer_discovery(struct sandbox *sandbox, struct sandbox_response *response)
{
    static const char *const claims[] = {"sub", "aud", "exp", "iat", "iss", "jti", "nbf", "ref",
        "sha", "repository", "repository_id", "repository_owner", "repository_owner_id", "run_id",
        "run_number", "run_attempt", "actor", "actor_id", "workflow", "workflow_ref",
        "job_workflow_ref", "event_name", "ref_type", "environment", "runner_environment"};
    struct json *body = json_make_object();
    const char *issuer = sandbox->oidc->issuer;
    char *keys CLEANUP(xfreep) = xasprintf("%s/.well-known/jwks", issuer);
    struct json *supported = json_make_array();
    for (size_t i = 0; i < ARRAY_LENGTH(claims); i++) {
        json_append(supported, json_make_string(claims[i]));
    }
    json_set_str(body, "issuer", issuer);
    json_set_str(body, "jwks_uri", keys);
    const char *const lists[][2] = {{"subject_types_supported", "public"},
        {"response_types_supported", "id_token"},
        {"id_token_signing_alg_values_supported", "RS256"}, {"scopes_supported", "openid"}};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        struct json *list = json_make_array();
        json_append(list, json_make_string(lists[i][1]));
        json_set(body, lists[i][0], list);
    }
    json_set(body, "claims_supported", supported);
    sandbox_reply_json(response, 200, body);
}

static void
answer_keys(struct sandbox *sandbox, struct sandbox_response *response)
{
    const struct oidc_state *oidc = sandbox->oidc;
    struct json *keys = json_make_array(), *body = json_make_object();
    json_set(body, "keys", keys);
    for (size_t i = oidc->key_count; i-- > 0;) { // the one that signs first
        struct json *key = NULL;
        struct error *err CLEANUP(error_freep) =
            jwt_key_public_jwk(oidc->keys[i].key, oidc->keys[i].kid, &key);
        if (err != NULL) {
            json_free(body);
            sandbox_reply_problem(response, 500, "%s", error_message(err));
            return;
        }
        json_append(keys, key);
    }
    sandbox_reply_json(response, 200, body);
}

void
sandbox_oidc_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    if (!sandbox_request_is(request, "GET")) {
        sandbox_reply_problem(response, 405, "method not allowed");
    } else if (sandbox_request_match(request, 1, ".well-known/openid-configuration")) {
        answer_discovery(sandbox, response);
    } else if (sandbox_request_match(request, 1, ".well-known/jwks")) {
        answer_keys(sandbox, response);
    } else if (sandbox_request_match(request, 1, "token")) {
        answer_token(sandbox, request, response);
    } else {
        sandbox_reply_problem(response, 404, "not found");
    }
}

static bool
is_signed(const struct oidc_state *oidc, const char *token)
{
    for (size_t i = 0; i < oidc->key_count; i++) {
        if (jwt_verify_rs256(oidc->keys[i].pem, str_of(token))) {
            return true;
        }
    }
    return false;
}

struct json *
sandbox_oidc_verify(
    struct sandbox *sandbox, const char *token, const char *audience, const char **why)
{
    const struct oidc_state *oidc = sandbox->oidc;
    struct json *claims CLEANUP(json_freep) = NULL;
    int64_t now = sandbox_now(sandbox) / 1000;
    if (!is_signed(oidc, token)) {
        *why = "Couldn't retrieve verification key from your identity provider, please reference "
               "AssumeRoleWithWebIdentity documentation for requirements";
        return NULL;
    }
    struct error *err CLEANUP(error_freep) = jwt_peek(str_of(token), &claims);
    if (err != NULL) {
        *why = "The ID Token provided is not a valid JWT. (You may see this error if you sent an "
               "Access Token)";
    } else if (!cstr_equal(json_str(json_get(claims, "iss")), oidc->issuer)) {
        *why = "No OpenIDConnect provider found in your account for the token's issuer";
    } else if (!cstr_equal(json_str(json_get(claims, "aud")), audience)) {
        *why = "Incorrect token audience";
    } else if (json_int(json_get(claims, "exp"), 0) <= now) {
        *why = "Token expired: current date/time must be before the expiration date/time";
    } else {
        struct json *good = claims;
        claims = NULL;
        return good;
    }
    return NULL;
}
