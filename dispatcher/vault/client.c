// A client of Vault's HTTP API: where it is, what goes with every request, and repeating those that
// met a passing trouble. Knows no path of it.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/retry.h"
#include "dispatcher/url.h"
#include "vault_internal.h"

enum { BUDGET_MS = 30 * 1000, RESPONSE_MAX = 1024 * 1024, URL_MAX = 16 * 1024 };

// A node that has not caught up with the write that a login is (412, "eventual consistency").
static const struct retry_policy stale_policy = {.max_attempts = 4,
    .base_ms = 500,
    .throttle_base_ms = 1000,
    .cap_ms = 4000,
    .retry_after_cap_ms = 10000};

static char *
copy_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? xstrdup(text) : NULL;
}

// Not quoted where it may hold a password.
static struct error *
check_address(const char *address)
{
    struct url url CLEANUP(url_done) = {0};
    if (address == NULL || address[0] == '\0') {
        return error_hint(error_new(ERROR_SPEC, "Vault's address is not known"),
            "Set VAULT_ADDR, or 'vault.address' in dispatcher.yaml.");
    }
    struct error *err = url_parse(address, &url);
    if (err != NULL) {
        return error_wrap_as(ERROR_SPEC, err, "Vault's address");
    }
    if (url.has_user || url.query != NULL || strchr(address, '#') != NULL) {
        return error_new(ERROR_SPEC, "Vault's address holds a user name, a query or a fragment");
    }
    if (strcmp(url.scheme, "https") != 0 && !url_host_is_loopback(url.host)) {
        return error_hint(error_new(ERROR_SPEC, "Vault's address '%.200s' is not https", address),
            "Plain http is for a Vault on this machine only.");
    }
    return NULL;
}

static char *
without_slashes(const char *text)
{
    struct str rest = str_of(text);
    while (str_starts(rest, STR("/"))) {
        rest = str_skip(rest, 1);
    }
    while (str_ends(rest, STR("/"))) {
        rest.len--;
    }
    return str_dup(rest);
}

static struct error *
choose_mount(struct vault_client *client, const char *mount)
{
    if (mount == NULL || mount[0] == '\0') {
        client->mount = xstrdup(client->auth == VAULT_AUTH_AWS ? "aws" : "jwt");
        return NULL;
    }
    client->mount = without_slashes(mount);
    struct str rest = str_of(client->mount), part = {0};
    while (str_cut(rest, '/', &part, &rest)) {
        if (part.len == 0 || str_equal(part, STR(".")) || str_equal(part, STR(".."))) {
            return error_new(ERROR_SPEC, "'%.200s' is no mount of a Vault login", mount);
        }
    }
    return client->mount[0] != '\0'
               ? NULL
               : error_new(ERROR_SPEC, "'%.200s' is no mount of a Vault login", mount);
}

static struct error *
check_login(const struct vault_options *options)
{
    bool fine = (options->auth == VAULT_AUTH_TOKEN && options->token != NULL) ||
                (options->auth == VAULT_AUTH_AWS && options->aws != NULL) ||
                (options->auth == VAULT_AUTH_JWT && options->jwt != NULL);
    if (fine) {
        return NULL;
    }
    static const char *const lacks[] = {
        [VAULT_AUTH_TOKEN] = "no token for Vault",
        [VAULT_AUTH_AWS] = "no AWS credentials for Vault's login",
        [VAULT_AUTH_JWT] = "no OIDC token for Vault's login: this is no job that may ask for one",
    };
    static const char *const fixes[] = {
        [VAULT_AUTH_TOKEN] = "Set VAULT_TOKEN, or let 'vault.auth' in dispatcher.yaml be 'jwt' or "
                             "'aws'.",
        [VAULT_AUTH_AWS] = "Run 'dispatcher doctor' to see which credentials there are.",
        [VAULT_AUTH_JWT] = "Give the job (or the workflow) 'permissions: id-token: write', or set "
                           "VAULT_TOKEN.",
    };
    return error_hint(
        error_new(ERROR_CREDENTIALS, "%s", lacks[options->auth]), "%s", fixes[options->auth]);
}

struct error *
vault_client_new(const struct platform *platform, struct http_client *http,
    const struct vault_options *options, struct vault_client **out)
{
    TRY(check_address(options->address));
    TRY(check_login(options));
    struct vault_client *client CLEANUP(vault_client_freep) = xcalloc(1, sizeof(*client));
    client->platform = platform;
    client->http = http;
    client->auth = options->auth;
    client->address = without_slashes(options->address);
    client->namespace = copy_or_null(options->namespace);
    client->role = copy_or_null(options->role);
    client->server_id = copy_or_null(options->server_id);
    client->audience = copy_or_null(options->audience);
    if (client->audience == NULL) {
        client->audience = xstrdup(client->address);
    }
    TRY(choose_mount(client, options->mount));
    if (options->auth == VAULT_AUTH_TOKEN) {
        client->token = secret_ref(options->token);
    } else if (options->auth == VAULT_AUTH_AWS) {
        client->aws = *options->aws;
    } else {
        client->jwt = *options->jwt;
    }
    *out = client;
    client = NULL;
    return NULL;
}

void
vault_client_free(struct vault_client *client)
{
    if (client == NULL) {
        return;
    }
    secret_free(client->token);
    free(client->address);
    free(client->namespace);
    free(client->role);
    free(client->mount);
    free(client->audience);
    free(client->server_id);
    free(client);
}

void
vault_client_freep(struct vault_client **client)
{
    vault_client_free(*client);
    *client = NULL;
}

static void
add_headers(
    const struct vault_client *client, const struct vault_call *call, struct http_headers *headers)
{
    http_headers_add(headers, "Accept", "application/json");
    http_headers_add(headers, "X-Vault-Request", "true"); // agents may insist on it
    if (client->namespace != NULL) {
        http_headers_add(headers, "X-Vault-Namespace", client->namespace);
    }
    if (!call->is_login) {
        http_headers_add_secret(headers, "X-Vault-Token", "", client->token);
    }
    if (call->body != NULL) {
        http_headers_add(headers, "Content-Type", "application/json");
    }
}

struct error *
vault_send(
    struct vault_client *client, const struct vault_call *call, struct http_response *response)
{
    const struct platform *platform = client->platform;
    struct buf url CLEANUP(buf_done) = BUF_INIT(URL_MAX);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    buf_printf(&url, "%s/v1/%s", client->address, call->path);
    TRY(buf_finish(&url, "address of a Vault request"));
    add_headers(client, call, &headers);
    const struct http_request request = {.method = call->method,
        .url = buf_cstr(&url),
        .headers = &headers,
        .body = str_of(call->body),
        .deadline_ms = clock_mono(platform->clock) + BUDGET_MS,
        .max_response = RESPONSE_MAX};
    const struct retry_policy *policy =
        call->method == HTTP_GET ? &retry_read : &retry_idempotent_write;
    for (unsigned attempt = 1;; attempt++) {
        TRY(http_send_retry(client->http, platform, &request, policy, response));
        const struct retry_decision decision = retry_decide(&stale_policy, attempt, RETRY_TRANSIENT,
            retry_after_ms(&response->headers, clock_wall(platform->clock)),
            random_unit(platform->random));
        int64_t until = clock_mono(platform->clock) + decision.wait_ms;
        if (response->status != 412 || !decision.again || until >= request.deadline_ms) {
            return NULL;
        }
        TRY(clock_sleep_until(platform->clock, until, platform->cancel));
    }
}

// Vault says 403 for a token that is no longer one and for a lack of permission alike.
struct error *
vault_request(
    struct vault_client *client, const struct vault_call *call, struct http_response *response)
{
    bool fresh = false;
    TRY(vault_token_ensure(client, &fresh));
    TRY(vault_send(client, call, response));
    if (response->status != 403 || fresh || client->auth == VAULT_AUTH_TOKEN) {
        return NULL;
    }
    vault_token_drop(client);
    TRY(vault_token_ensure(client, &fresh));
    return vault_send(client, call, response);
}
