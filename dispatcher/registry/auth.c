// Who we are to a registry: Basic credentials, or a Bearer token that its token service gives for
// them (distribution "token authentication"; RFC 6750). Nothing is asked for before the registry
// does, but for ECR, which always wants Basic.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"
#include "registry_internal.h"

enum {
    TOKEN_ANSWER_MAX = 256 * 1024,
    TOKEN_LIFE_DEFAULT_S = 60, // when the service does not say (distribution spec)
    TOKEN_LIFE_MAX_S = 24 * 3600,
};

void
registry_auth_done(struct registry_auth *auth)
{
    free(auth->user);
    secret_free(auth->password);
    free(auth->realm);
    free(auth->service);
    free(auth->scope);
    secret_free(auth->token);
    *auth = (struct registry_auth){0};
}

static void
add_basic(const struct registry_auth *auth, struct http_headers *headers)
{
    struct buf pair = BUF_INIT(64 * 1024), encoded = BUF_INIT(128 * 1024);
    struct str password = secret_expose(auth->password);
    buf_printf(&pair, "%s:", auth->user);
    buf_add(&pair, password);
    base64_encode(buf_str(&pair), &encoded);
    struct secret *basic CLEANUP(secret_freep) = secret_new(buf_str(&encoded));
    http_headers_add_secret(headers, "Authorization", "Basic ", basic);
    buf_wipe(&pair);
    buf_wipe(&encoded);
}

static void
forget_token(struct registry_auth *auth)
{
    secret_freep(&auth->token);
    free(auth->scope);
    auth->scope = NULL;
}

// An identity token is good for the token service only.
static bool
is_identity(const struct registry_auth *auth)
{
    return cstr_equal(auth->user, REGISTRY_IDENTITY_USER);
}

static struct error *
no_credentials(const struct registry_client *client)
{
    return error_hint(error_new(ERROR_CREDENTIALS,
                          "registry '%s' wants credentials and there are none", client->host),
        "Log in with: docker login %s.", client->host);
}

static struct error *
refused(const struct registry_client *client)
{
    if (is_identity(&client->auth)) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "registry '%s' refused the identity token", client->host),
            "It may be expired or not allowed to do this; log in again: docker login %s.",
            client->host);
    }
    return error_hint(error_new(ERROR_CREDENTIALS, "registry '%s' refused the credentials%s%s%s",
                          client->host, client->auth.user != NULL ? " of user '" : "",
                          client->auth.user != NULL ? client->auth.user : "",
                          client->auth.user != NULL ? "'" : ""),
        "They may be expired or not allowed to do this; log in again: docker login %s.",
        client->host);
}

// False when there is no way to renew, or it was used since the registry last accepted us.
static struct error *
renew(struct registry_client *client, bool *done)
{
    struct registry_auth *auth = &client->auth;
    *done = false;
    if (client->renew == NULL || auth->refused) {
        return NULL;
    }
    char *user = NULL;
    struct secret *password = NULL;
    TRY(client->renew(client->renew_ctx, &user, &password));
    free(auth->user);
    secret_free(auth->password);
    auth->user = user;
    auth->password = password;
    auth->refused = true;
    *done = true;
    return NULL;
}

// Where the password is sent: https, or this very machine when the registry is here as well.
static struct error *
check_realm(const struct registry_client *client, const char *realm)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err = url_parse(realm, &url);
    if (err != NULL) {
        return error_wrap_as(ERROR_REFUSED, err, "token service of registry '%s'", client->host);
    }
    bool plain = strcmp(url.scheme, "http") == 0;
    if (url.has_user) {
        return error_new(ERROR_REFUSED,
            "registry '%s' names a token service with a user name in its URL", client->host);
    }
    if (plain && !(client->is_loopback && url_host_is_loopback(url.host))) {
        return error_hint(error_new(ERROR_REFUSED,
                              "registry '%s' names the token service "
                              "'%s://%s', which is not encrypted",
                              client->host, url.scheme, url.host),
            "Credentials are only sent over https; the registry's 'realm' must be an https URL.");
    }
    return NULL;
}

struct token_document {
    const char *token, *access_token;
    int64_t expires_in;
};
static const struct field token_fields[] = {
    FIELD(struct token_document, token, "token", FIELD_STR),
    FIELD(struct token_document, access_token, "access_token", FIELD_STR),
    FIELD(struct token_document, expires_in, "expires_in", FIELD_INT),
};
static const struct field_table token_table =
    FIELD_TABLE("token", struct token_document, token_fields);

static struct error *
take_token(struct registry_client *client, const struct http_response *response)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *json CLEANUP(json_freep) = NULL;
    struct token_document document = {0};
    TRY(json_parse(buf_str(&response->body), &json_limits_default, &json));
    TRY(json_decode(json, &token_table, arena, &document));
    const char *text = document.token != NULL ? document.token : document.access_token;
    if (text == NULL || text[0] == '\0') {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: no token");
    }
    int64_t life_s = document.expires_in > 0 ? document.expires_in : TOKEN_LIFE_DEFAULT_S;
    life_s = life_s < TOKEN_LIFE_MAX_S ? life_s : TOKEN_LIFE_MAX_S;
    secret_free(client->auth.token);
    client->auth.token = secret_new(str_of(text));
    client->auth.renew_at_ms = clock_mono(client->platform->clock) + life_s * 750;
    return NULL;
}

static struct error *
send_to_token_service(
    struct registry_client *client, struct http_request *request, struct http_response *response)
{
    request->max_response = TOKEN_ANSWER_MAX;
    client->requests++;
    return http_send_retry(client->http, client->platform, request, &registry_policy, response);
}

static struct error *
ask_by_password(struct registry_client *client, const char *scope, struct http_response *response)
{
    const struct registry_auth *auth = &client->auth;
    struct buf url CLEANUP(buf_done) = BUF_INIT(32 * 1024);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    buf_puts(&url, auth->realm);
    if (auth->service != NULL) {
        url_add_query(&url, "service", auth->service);
    }
    url_add_query(&url, "scope", scope);
    if (client->also_scope != NULL) {
        url_add_query(&url, "scope", client->also_scope);
    }
    TRY(buf_finish(&url, "the token service's URL"));
    if (auth->user != NULL) {
        add_basic(auth, &headers);
    }
    struct http_request request = {.method = HTTP_GET, .url = buf_cstr(&url), .headers = &headers};
    return send_to_token_service(client, &request, response);
}

static void
add_form(struct buf *form, const char *key, struct str value)
{
    buf_printf(form, "%s%s=", form->len > 0 ? "&" : "", key);
    url_encode(value, "", form);
}

// RFC 6749 §6, as the distribution specification uses it. May be repeated: it changes nothing.
static struct error *
ask_by_identity(struct registry_client *client, const char *scope, struct http_response *response)
{
    const struct registry_auth *auth = &client->auth;
    struct buf form CLEANUP(buf_wipe) = BUF_INIT(256 * 1024);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    add_form(&form, "grant_type", STR("refresh_token"));
    if (auth->service != NULL) {
        add_form(&form, "service", str_of(auth->service));
    }
    add_form(&form, "client_id", STR("dispatcher"));
    add_form(&form, "scope", str_of(scope));
    add_form(&form, "refresh_token", secret_expose(auth->password));
    TRY(buf_finish(&form, "the question to the token service"));
    http_headers_add(&headers, "Content-Type", "application/x-www-form-urlencoded");
    struct http_request request = {
        .method = HTTP_POST, .url = auth->realm, .headers = &headers, .body = buf_str(&form)};
    return send_to_token_service(client, &request, response);
}

static struct error *
ask_token_service(struct registry_client *client, const char *scope, struct http_response *response)
{
    return is_identity(&client->auth) ? ask_by_identity(client, scope, response)
                                      : ask_by_password(client, scope, response);
}

static struct error *
get_token(struct registry_client *client, const char *scope)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(ask_token_service(client, scope, &response));
    bool renewed = false;
    if (response.status == 401) {
        TRY(renew(client, &renewed));
    }
    if (renewed) {
        TRY(ask_token_service(client, scope, &response));
    }
    bool is_bad_grant = response.status == 400 && is_identity(&client->auth); // RFC 6749 §5.2
    if (response.status == 401 || response.status == 403 || is_bad_grant) {
        struct error *err = client->auth.user != NULL ? refused(client) : no_credentials(client);
        return error_remote(err, response.status, NULL, NULL, true);
    }
    if (response.status != 200) {
        return registry_status_error(client, "token service", &response);
    }
    struct error *err = take_token(client, &response);
    if (err != NULL) {
        return error_wrap(err, "token service of registry '%s'", client->host);
    }
    free(client->auth.scope);
    client->auth.scope = xstrdup(scope);
    return NULL;
}

struct error *
registry_auth_add(struct registry_client *client, const char *scope, struct http_headers *headers)
{
    struct registry_auth *auth = &client->auth;
    if (auth->scheme == AUTH_BASIC) {
        add_basic(auth, headers);
    }
    if (auth->scheme != AUTH_BEARER) {
        return NULL;
    }
    bool usable = auth->token != NULL && cstr_equal(auth->scope, scope) &&
                  clock_mono(client->platform->clock) < auth->renew_at_ms;
    if (!usable) {
        TRY(get_token(client, scope));
    }
    http_headers_add_secret(headers, "Authorization", "Bearer ", auth->token);
    return NULL;
}

static void
replace(char **slot, const char *text)
{
    free(*slot);
    *slot = text != NULL ? xstrdup(text) : NULL;
}

void
registry_auth_also(struct registry_client *client, const char *scope)
{
    if (!cstr_equal(client->also_scope, scope)) {
        replace(&client->also_scope, scope);
        forget_token(&client->auth);
    }
}

// The first time the token service is found out; later a token is got again, once.
static struct error *
refused_bearer(struct registry_client *client, const struct challenge *challenge)
{
    struct registry_auth *auth = &client->auth;
    bool first = auth->scheme != AUTH_BEARER;
    if (!first && auth->refused) {
        return refused(client);
    }
    TRY(check_realm(client, challenge->realm));
    replace(&auth->realm, challenge->realm);
    replace(&auth->service, challenge->service);
    auth->scheme = AUTH_BEARER;
    auth->refused = !first;
    forget_token(auth);
    return NULL;
}

static struct error *
refused_basic(struct registry_client *client)
{
    struct registry_auth *auth = &client->auth;
    if (auth->scheme == AUTH_BASIC) {
        bool renewed = false;
        TRY(renew(client, &renewed));
        return renewed ? NULL : refused(client);
    }
    if (auth->user == NULL) {
        return no_credentials(client);
    }
    if (is_identity(auth)) {
        return error_hint(error_new(ERROR_CREDENTIALS,
                              "registry '%s' wants a password, and there is only an identity token",
                              client->host),
            "Log in with a user and a password: docker login %s.", client->host);
    }
    auth->scheme = AUTH_BASIC;
    forget_token(auth);
    return NULL;
}

struct error *
registry_auth_refused(struct registry_client *client, const struct http_headers *answer)
{
    struct challenge challenge CLEANUP(challenge_done) = {0};
    struct error *err = NULL;
    if (!challenge_find(answer, &challenge)) {
        err = client->auth.user != NULL ? refused(client) : no_credentials(client);
    } else if (str_equal_nocase(str_of(challenge.scheme), STR("Bearer"))) {
        err = refused_bearer(client, &challenge);
    } else {
        err = refused_basic(client);
    }
    return err != NULL && error_kind(err) == ERROR_CREDENTIALS
               ? error_remote(err, 401, NULL, NULL, true)
               : err;
}

void
registry_auth_accepted(struct registry_client *client)
{
    client->auth.refused = false;
}
