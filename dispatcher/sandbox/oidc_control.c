// Orders to the issuer: tokens with any claims, one or thousands, and other keys. Nothing here asks
// whether a token makes sense: wrong ones are what verifiers are tested with.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "oidc_internal.h"

enum { TOKENS_MAX = 10000 };

// What an order says beside claims.
static bool
is_word(const char *key)
{
    static const char *const words[] = {"audience", "expires_in", "issued_ago", "count", "claims"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (strcmp(words[i], key) == 0) {
            return true;
        }
    }
    return false;
}

static void
take_claim(void *ctx, const char *key, const struct json *value)
{
    json_set(ctx, key, json_clone(value));
}

static void
take_claim_of_order(void *ctx, const char *key, const struct json *value)
{
    if (!is_word(key)) {
        take_claim(ctx, key, value);
    }
}

// null: a token without that claim.
static void
take_unless_null(void *ctx, const char *key, const struct json *value)
{
    if (!json_is_null(value)) {
        take_claim(ctx, key, value);
    }
}

// The order's own claims, those of "claims", which may have any name, and defaults for the rest.
static struct json *
claims_of(struct sandbox *sandbox, const struct json *order)
{
    struct json *given CLEANUP(json_freep) = json_make_object();
    json_each(order, take_claim_of_order, given);
    json_each(json_get(order, "claims"), take_claim, given);
    struct json *claims = sandbox_github_claims(sandbox, given);
    const struct json *audience = json_get(order, "audience");
    const char *owner = json_str(json_get(claims, "repository_owner"));
    if (json_get(claims, "aud") == NULL) {
        char *usual CLEANUP(xfreep) =
            xasprintf("https://github.com/%s", owner != NULL ? owner : "");
        json_set(claims, "aud", audience != NULL ? json_clone(audience) : json_make_string(usual));
    }
    int64_t now = sandbox_now(sandbox) / 1000;
    if (json_is_int(json_get(order, "expires_in")) && json_get(claims, "exp") == NULL) {
        json_set_int(claims, "exp", now + json_int(json_get(order, "expires_in"), 0));
    }
    return claims;
}

// The next token: with a `jti` of its own, unless the order gives one.
static struct error *
sign(struct sandbox *sandbox, const struct json *claims, int64_t issued_s, char **out)
{
    struct json *filled CLEANUP(json_freep) = json_clone(claims);
    struct json *kept CLEANUP(json_freep) = json_make_object();
    struct secret *token CLEANUP(secret_freep) = NULL;
    sandbox_oidc_fill(sandbox, filled, issued_s);
    json_each(filled, take_unless_null, kept);
    TRY(sandbox_oidc_sign(sandbox, kept, &token));
    *out = xstrdup(secret_expose(token).ptr);
    return NULL;
}

static struct error *
sign_all(struct sandbox *sandbox, const struct json *order, struct json *values)
{
    struct json *claims CLEANUP(json_freep) = claims_of(sandbox, order);
    int64_t issued_s = sandbox_now(sandbox) / 1000 - json_int(json_get(order, "issued_ago"), 0);
    int64_t count = json_int(json_get(order, "count"), 1);
    for (int64_t i = 0; i < count; i++) {
        char *token CLEANUP(xfreep) = NULL;
        TRY(sign(sandbox, claims, issued_s, &token));
        json_append(values, json_make_string(token));
    }
    return NULL;
}

static bool
is_number_or_absent(const struct json *value)
{
    return value == NULL || json_is_int(value);
}

// {claims…, "claims": {}, "audience", "expires_in", "issued_ago", "count"}
void
sandbox_oidc_control_token(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const struct json *count = json_get(order, "count");
    if (order == NULL || !is_number_or_absent(json_get(order, "expires_in")) ||
        !is_number_or_absent(json_get(order, "issued_ago")) ||
        (count != NULL && (json_int(count, 0) < 1 || json_int(count, 0) > TOKENS_MAX))) {
        sandbox_reply_problem(response, 422,
            "'expires_in' and 'issued_ago' are seconds, 'count' is from 1 to %d", TOKENS_MAX);
        return;
    }
    struct json *values = json_make_array(), *body = json_make_object();
    struct error *err CLEANUP(error_freep) = sign_all(sandbox, order, values);
    if (err != NULL) {
        json_free(values);
        json_free(body);
        sandbox_reply_problem(response, 422, "%s", error_message(err));
        return;
    }
    if (count == NULL) {
        json_set(body, "value", json_clone(json_at(values, 0)));
        json_free(values);
    } else {
        json_set(body, "values", values);
    }
    sandbox_reply_json(response, 200, body);
}

// {"keep": true}: the old keys stay published, as GitHub does for a while.
void
sandbox_oidc_control_rotate(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    struct error *err CLEANUP(error_freep) =
        sandbox_oidc_key_add(sandbox, json_bool(json_get(order, "keep"), true));
    if (err != NULL) {
        sandbox_reply_problem(response, 500, "%s", error_message(err));
        return;
    }
    const struct oidc_state *oidc = sandbox->oidc;
    struct json *kids = json_make_array(), *body = json_make_object();
    for (size_t i = oidc->key_count; i-- > 0;) {
        json_append(kids, json_make_string(oidc->keys[i].kid));
    }
    json_set_str(body, "kid", oidc->keys[oidc->key_count - 1].kid);
    json_set(body, "kids", kids);
    sandbox_reply_json(response, 200, body);
}
