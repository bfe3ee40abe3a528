// A token: by proof of our AWS identity or by the job's OIDC token, renewed before it ends
// (api-docs/auth/aws, auth/jwt, auth/token). Where a renewal does not work there is always a new
// login; a token that still lives is kept while neither does. Tokens are left to expire: their
// leases are short, and an exit must not wait for a server.
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "vault_internal.h"

enum {
    BODY_MAX = 256 * 1024,
    PATH_MAX_BYTES = 4096,
    AGAIN_MS = 30 * 1000, // after a renewal that failed while the token still lives
};

static const int64_t lease_max_s = INT64_C(10) * 365 * 24 * 3600;

static void
identity_proof_done(struct vault_identity_proof *proof)
{
    xfreep(&proof->url);
    xfreep(&proof->body);
    secret_free(proof->headers);
}

static struct error *
set_base64(struct json *body, const char *key, struct str text)
{
    struct buf encoded CLEANUP(buf_wipe) = BUF_INIT(BODY_MAX);
    base64_encode(text, &encoded);
    TRY(buf_finish(&encoded, "Vault login"));
    json_set_str(body, key, buf_cstr(&encoded));
    return NULL;
}

static struct error *
add_proof(struct vault_client *client, struct json *body)
{
    struct vault_identity_proof proof CLEANUP(identity_proof_done) = {0};
    TRY(client->aws.prove(client->aws.ctx, client->server_id, &proof));
    json_set_str(body, "iam_http_request_method", proof.method);
    TRY(set_base64(body, "iam_request_url", str_of(proof.url)));
    TRY(set_base64(body, "iam_request_body", str_of(proof.body)));
    return set_base64(body, "iam_request_headers", secret_expose(proof.headers));
}

static struct error *
add_jwt(struct vault_client *client, struct json *body)
{
    struct secret *token CLEANUP(secret_freep) = NULL;
    TRY(client->jwt.token(client->jwt.ctx, client->audience, &token));
    json_set_str(body, "jwt", secret_expose(token).ptr);
    return NULL;
}

static int64_t
lease_of(const struct json *auth)
{
    int64_t seconds = json_int(json_get(auth, "lease_duration"), 0);
    seconds = seconds < 0 ? 0 : seconds > lease_max_s ? lease_max_s : seconds;
    return seconds * 1000;
}

static void
count_lease(struct vault_client *client, int64_t lease_ms, bool renewable)
{
    int64_t now = clock_mono(client->platform->clock);
    client->due_ms = lease_ms > 0 ? now + lease_ms / 5 * 4 : 0;
    client->expires_ms = lease_ms > 0 ? now + lease_ms : 0;
    client->renewable = renewable;
}

static struct error *
keep_token(struct vault_client *client, const struct json *answer)
{
    const struct json *auth = json_get(answer, "auth");
    const char *token = json_str(json_get(auth, "client_token"));
    if (token == NULL || token[0] == '\0') {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: no 'auth.client_token'");
    }
    secret_free(client->token);
    client->token = secret_new(str_of(token));
    client->login_lease_ms = lease_of(auth);
    count_lease(client, client->login_lease_ms, json_bool(json_get(auth, "renewable"), false));
    log_debug(client->platform->log, "signed in to vault", F_STR("mount", client->mount),
        F_INT("lease_s", client->login_lease_ms / 1000));
    return NULL;
}

// Whatever Vault does not like about a login is about who we are.
static struct error *
refused(const struct vault_client *client, const struct http_response *response)
{
    struct error *err = vault_answer_error(client, response);
    if (response->status < 400 || response->status >= 500 || response->status == 429 ||
        error_kind(err) == ERROR_UNAVAILABLE) {
        return err;
    }
    if (client->auth == VAULT_AUTH_AWS) {
        err = error_hint(err,
            "Check the role's bound principal in 'auth/%s', 'vault.server_id', and whether that "
            "mount asks for a regional STS ('vault.sts_region').",
            client->mount);
    } else {
        err = error_hint(err,
            "Check in 'auth/%s' that the role's bound audience is '%s' and that its bound claims "
            "fit this job.",
            client->mount, client->audience);
    }
    return err;
}

static struct error *
send_login(struct vault_client *client)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(BODY_MAX);
    struct buf path CLEANUP(buf_done) = BUF_INIT(PATH_MAX_BYTES);
    struct http_response response CLEANUP(http_response_done) = {0};
    json_set_str(body, "role", client->role);
    TRY(client->auth == VAULT_AUTH_AWS ? add_proof(client, body) : add_jwt(client, body));
    json_print(body, false, &text);
    TRY(buf_finish(&text, "Vault login"));
    buf_puts(&path, "auth/");
    url_encode(str_of(client->mount), "/", &path);
    buf_puts(&path, "/login");
    TRY(buf_finish(&path, "path of a Vault login"));
    const struct vault_call call = {
        .method = HTTP_POST, .path = buf_cstr(&path), .body = buf_cstr(&text), .is_login = true};
    TRY(vault_send(client, &call, &response));
    if (response.status != 200) {
        return refused(client, &response);
    }
    TRY(vault_parse(&response, &answer));
    return keep_token(client, answer);
}

static struct error *
login(struct vault_client *client)
{
    struct error *err = send_login(client);
    if (err == NULL) {
        return NULL;
    }
    struct buf who CLEANUP(buf_done) = BUF_INIT(4096);
    vault_who(client, &who);
    err = error_wrap(err, "sign in to Vault at '%s' as %s", client->address, buf_cstr(&who));
    bool passing = error_kind(err) == ERROR_UNAVAILABLE || error_kind(err) == ERROR_CANCELLED;
    return passing ? err : error_wrap_as(ERROR_CREDENTIALS, err, "no token for Vault");
}

static struct error *
renew(struct vault_client *client)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    struct http_response response CLEANUP(http_response_done) = {0};
    char *increment CLEANUP(xfreep) =
        xasprintf("%llds", (long long)(client->login_lease_ms / 1000));
    json_set_str(body, "increment", increment);
    char *text CLEANUP(xfreep) = json_text(body);
    const struct vault_call call = {
        .method = HTTP_POST, .path = "auth/token/renew-self", .body = text};
    TRY(vault_send(client, &call, &response));
    if (response.status != 200) {
        return vault_answer_error(client, &response);
    }
    TRY(vault_parse(&response, &answer));
    const struct json *auth = json_get(answer, "auth");
    int64_t lease_ms = lease_of(auth);
    if (lease_ms == 0) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: no 'auth.lease_duration'");
    }
    // Less than was asked for: its longest life is near, and each renewal would give less again.
    bool worth = lease_ms >= client->login_lease_ms / 2;
    count_lease(client, lease_ms, worth && json_bool(json_get(auth, "renewable"), false));
    return NULL;
}

/// Consumes `err`, unless it must end the call: false then. What is tried next tells more.
static bool
set_aside(struct vault_client *client, const char *what, struct error **err)
{
    if (error_kind(*err) == ERROR_CANCELLED) {
        return false;
    }
    log_debug(client->platform->log, what, F_STR("reason", error_message(*err)));
    error_freep(err);
    return true;
}

static struct error *
prolong(struct vault_client *client, bool *fresh)
{
    const struct clock *clock = client->platform->clock;
    if (client->renewable && clock_mono(clock) < client->expires_ms) {
        struct error *err = renew(client);
        if (err == NULL || !set_aside(client, "vault token is not renewed", &err)) {
            return err;
        }
    }
    struct error *err = login(client);
    int64_t now = clock_mono(clock);
    if (err != NULL && now < client->expires_ms && error_kind(err) == ERROR_UNAVAILABLE) {
        client->due_ms = now + AGAIN_MS < client->expires_ms ? now + AGAIN_MS : client->expires_ms;
        (void)set_aside(client, "vault token is kept until it ends", &err);
        return NULL;
    }
    *fresh = err == NULL;
    return err;
}

struct error *
vault_token_ensure(struct vault_client *client, bool *fresh)
{
    *fresh = false;
    if (client->token == NULL) {
        TRY(login(client));
        *fresh = true;
        return NULL;
    }
    bool due = client->due_ms != 0 && clock_mono(client->platform->clock) >= client->due_ms;
    return due ? prolong(client, fresh) : NULL;
}

void
vault_token_drop(struct vault_client *client)
{
    secret_free(client->token);
    client->token = NULL;
    client->due_ms = 0;
    client->expires_ms = 0;
}
