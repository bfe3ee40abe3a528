// Who asks, and whether they may: App JWTs, installation tokens and their limits, quota, ETags
// (facts/github-notify-credentials.md §1.3 and §2). The messages are GitHub's own.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/jwt.h"
#include "dispatcher/memory.h"
#include "github_people_internal.h"

enum { HOUR_MS = 3600000, QUOTA = 5000, JWT_LIFE_S = 600, JWT_DRIFT_S = 60 };

struct json *
sandbox_github_granted(void)
{
    static const char *const granted[][2] = {{"actions", "write"}, {"contents", "read"},
        {"metadata", "read"}, {"checks", "write"}, {"deployments", "write"}, {"statuses", "write"},
        {"pull_requests", "write"}, {"members", "read"}};
    struct json *permissions = json_make_object();
    for (size_t i = 0; i < ARRAY_LENGTH(granted); i++) {
        json_set_str(permissions, granted[i][0], granted[i][1]);
    }
    return permissions;
}

struct github_token *
sandbox_github_token_add(struct sandbox *sandbox, enum github_token_kind kind, const char *text)
{
    struct github_state *github = sandbox->github;
    struct github_token *token = xcalloc(1, sizeof(*token));
    token->text = xstrdup(text);
    token->kind = kind;
    github->tokens = xrealloc(github->tokens, (github->token_count + 1) * sizeof(*github->tokens));
    github->tokens[github->token_count++] = token;
    return token;
}

static int64_t
quota_limit(const struct sandbox *sandbox)
{
    return sandbox->options->quota > 0 ? sandbox->options->quota : QUOTA;
}

static int64_t
quota_left(const struct sandbox *sandbox, const struct github_token *token)
{
    int64_t left = quota_limit(sandbox) - token->used;
    return left > 0 ? left : 0;
}

void
sandbox_github_quota_headers(const struct sandbox *sandbox, const struct github_token *token,
    struct sandbox_response *response)
{
    struct http_headers *headers = &response->headers;
    http_headers_addf(headers, "X-RateLimit-Limit", "%lld", (long long)quota_limit(sandbox));
    http_headers_addf(
        headers, "X-RateLimit-Remaining", "%lld", (long long)quota_left(sandbox, token));
    http_headers_addf(headers, "X-RateLimit-Used", "%lld", (long long)token->used);
    http_headers_addf(
        headers, "X-RateLimit-Reset", "%lld", (long long)((token->window_ms + HOUR_MS) / 1000));
    http_headers_add(headers, "X-RateLimit-Resource", "core");
}

struct json *
sandbox_github_quota_json(const struct sandbox *sandbox, const struct github_token *token)
{
    struct json *core = json_make_object();
    json_set_int(core, "limit", quota_limit(sandbox));
    json_set_int(core, "used", token->used);
    json_set_int(core, "remaining", quota_left(sandbox, token));
    json_set_int(core, "reset", (token->window_ms + HOUR_MS) / 1000);
    return core;
}

static struct github_token *
find_token(struct sandbox *sandbox, const char *text)
{
    const struct github_state *github = sandbox->github;
    for (size_t i = 0; text != NULL && i < github->token_count; i++) {
        struct github_token *token = github->tokens[i];
        bool expired = token->expires_ms != 0 && token->expires_ms <= sandbox_now(sandbox);
        if (!token->is_revoked && !expired && strcmp(token->text, text) == 0) {
            return token;
        }
    }
    return NULL;
}

struct github_token *
sandbox_github_authenticate(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const char *bearer = sandbox_request_bearer(request);
    struct github_token *token = find_token(sandbox, bearer);
    int64_t now = sandbox_now(sandbox);
    if (token == NULL) {
        sandbox_github_problem(
            response, 401, bearer != NULL ? "Bad credentials" : "Requires authentication");
        return NULL;
    }
    if (now - token->window_ms >= HOUR_MS) {
        token->window_ms = now;
        token->used = 0;
    }
    if (quota_left(sandbox, token) == 0) {
        sandbox_github_problem(response, 403, "API rate limit exceeded for installation ID %d.",
            GITHUB_INSTALLATION_ID);
        sandbox_github_quota_headers(sandbox, token, response);
        return NULL;
    }
    return token;
}

bool
sandbox_github_allowed(const struct github_token *token, const struct github_repo *repo,
    const char *permission, bool writes, struct sandbox_response *response)
{
    bool listed =
        token->repositories == NULL && (token->person == NULL || token->person->is_member);
    for (size_t i = 0; !listed && i < json_count(token->repositories); i++) {
        listed = cstr_equal(json_str(json_at(token->repositories, i)), repo->name);
    }
    if (!listed) {
        sandbox_github_problem(response, 404, "Not Found");
        return false;
    }
    const char *level =
        token->permissions == NULL ? "write" : json_str(json_get(token->permissions, permission));
    if (level == NULL || (writes && strcmp(level, "write") != 0)) {
        sandbox_github_problem(response, 403, "Resource not accessible by integration");
        return false;
    }
    return true;
}

bool
sandbox_github_is_person(const struct github_token *token)
{
    return token->kind == GITHUB_TOKEN_USER || token->kind == GITHUB_TOKEN_PERSONAL;
}

const char *
sandbox_github_login_of(const struct github_token *token)
{
    if (token->person != NULL) {
        return token->person->login;
    }
    return sandbox_github_is_person(token) ? sandbox_github_user_login : "dispatcher-sandbox[bot]";
}

static const char *
check_times(const struct json *claims, int64_t now)
{
    const struct json *exp = json_get(claims, "exp"), *iat = json_get(claims, "iat");
    if (!json_is_int(exp) || json_int(exp, 0) <= now) {
        return "'Expiration time' claim ('exp') must be a numeric value representing the future "
               "time at which the assertion expires";
    }
    if (!json_is_int(iat) || json_int(iat, 0) > now + JWT_DRIFT_S) {
        return "'Issued at' claim ('iat') must be an Integer representing the time that the "
               "assertion was issued";
    }
    if (json_int(exp, 0) > now + JWT_LIFE_S + JWT_DRIFT_S ||
        json_int(exp, 0) - json_int(iat, 0) > JWT_LIFE_S + 2 * JWT_DRIFT_S) {
        return "'Expiration time' claim ('exp') is too far in the future";
    }
    return NULL;
}

// `iss` is the client id, or the numeric App id as text or number.
static bool
is_our_issuer(const struct json *iss)
{
    char number[16] = {0};
    struct buf text CLEANUP(buf_done) = BUF_INIT(sizeof(number));
    buf_printf(&text, "%d", GITHUB_APP_ID);
    return cstr_equal(json_str(iss), sandbox_github_app_client) ||
           cstr_equal(json_str(iss), buf_cstr(&text)) || json_int(iss, 0) == GITHUB_APP_ID;
}

bool
sandbox_github_app_authenticated(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const char *token = sandbox_request_bearer(request);
    const char *header = sandbox_request_header(request, "Authorization");
    struct json *claims CLEANUP(json_freep) = NULL;
    bool is_bearer = header != NULL && (header[0] == 'B' || header[0] == 'b');
    struct error *err CLEANUP(error_freep) = is_bearer ? jwt_peek(str_of(token), &claims) : NULL;
    if (claims == NULL || !jwt_verify_rs256(sandbox->github->app_pem, str_of(token))) {
        sandbox_github_problem(response, 401, "A JSON web token could not be decoded");
        return false;
    }
    const char *problem = check_times(claims, sandbox_now(sandbox) / 1000);
    if (problem != NULL) {
        sandbox_github_problem(response, 401, "%s", problem);
        return false;
    }
    if (!is_our_issuer(json_get(claims, "iss"))) {
        sandbox_github_problem(response, 404, "Integration not found");
        return false;
    }
    return true;
}

// Old: 40 characters. New since 2026: "ghs_<app>_<JWT>" of about 520.
static char *
new_token_text(struct sandbox *sandbox, struct sandbox_request *request)
{
    const char *wish = sandbox_request_header(request, "X-GitHub-Stateless-S2S-Token");
    bool stateless = wish != NULL ? strcmp(wish, "enabled") == 0 : sandbox->options->ghes == NULL;
    if (!stateless) {
        return arena_printf(request->arena, "ghs_%s", sandbox_random(sandbox, request->arena, 18));
    }
    return arena_printf(request->arena, "ghs_%d_eyJ%s.eyJ%s.%s", GITHUB_APP_ID,
        sandbox_random(sandbox, request->arena, 20), sandbox_random(sandbox, request->arena, 60),
        sandbox_random(sandbox, request->arena, 170));
}

struct narrowing {
    const struct json *granted;
    struct json *permissions;
    bool refused;
};

static void
narrow(void *ctx, const char *key, const struct json *value)
{
    struct narrowing *narrowing = ctx;
    const char *level = json_str(value), *most = json_str(json_get(narrowing->granted, key));
    if (most != NULL && (cstr_equal(level, "read") || cstr_equal(level, most))) {
        json_set_str(narrowing->permissions, key, level);
    } else {
        narrowing->refused = true;
    }
}

static struct json *
permissions_for(const struct json *granted, const struct json *wanted, bool *refused)
{
    if (!json_is_object(wanted)) {
        return json_clone(granted);
    }
    struct narrowing narrowing = {.granted = granted, .permissions = json_make_object()};
    json_each(wanted, narrow, &narrowing);
    json_set_str(narrowing.permissions, "metadata", "read");
    *refused = narrowing.refused;
    return narrowing.permissions;
}

// Names without owner, or ids; NULL when one of them is not ours.
static struct json *
repositories_for(const struct github_state *github, const struct json *body, bool *refused)
{
    const struct json *names = json_get(body, "repositories");
    const struct json *ids = json_get(body, "repository_ids");
    struct json *list = json_make_array();
    for (size_t i = 0; i < json_count(names) + json_count(ids); i++) {
        const struct github_repo *found = NULL;
        for (size_t k = 0; k < github->repo_count; k++) {
            const struct github_repo *repo = github->repos[k];
            bool same = i < json_count(names)
                            ? cstr_equal(json_str(json_at(names, i)), repo->name)
                            : json_int(json_at(ids, i - json_count(names)), 0) == repo->id;
            found = same ? repo : found;
        }
        *refused = *refused || found == NULL;
        json_append(list, json_make_string(found != NULL ? found->name : ""));
    }
    return list;
}

static void
answer_minted(struct sandbox *sandbox, struct sandbox_request *request,
    const struct github_token *token, struct sandbox_response *response)
{
    struct json *body = json_make_object();
    char expires[21];
    clock_format_rfc3339(token->expires_ms, expires);
    json_set_str(body, "token", token->text);
    json_set_str(body, "expires_at", expires);
    json_set(body, "permissions", json_clone(token->permissions));
    json_set_str(body, "repository_selection", token->repositories != NULL ? "selected" : "all");
    if (token->repositories != NULL) {
        struct json *list = json_make_array();
        const struct github_state *github = sandbox->github;
        for (size_t i = 0; i < github->repo_count; i++) {
            struct sandbox_response ignored = {0};
            if (sandbox_github_allowed(token, github->repos[i], "metadata", false, &ignored)) {
                json_append(list, sandbox_shape_repo(sandbox, sandbox_github_base(sandbox, request),
                                      github->repos[i], true));
            }
            sandbox_response_done(&ignored);
        }
        json_set(body, "repositories", list);
    }
    sandbox_reply_json(response, 201, body);
}

void
sandbox_github_mint(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct json *body CLEANUP(json_freep) = sandbox_request_json(request);
    bool refused = false, unknown = false;
    struct json *permissions CLEANUP(json_freep) =
        permissions_for(sandbox->github->granted, json_get(body, "permissions"), &refused);
    struct json *repositories CLEANUP(json_freep) =
        repositories_for(sandbox->github, body, &unknown);
    if (refused) {
        sandbox_github_problem(
            response, 422, "The permissions requested are not granted to this installation.");
        return;
    }
    if (unknown) {
        sandbox_github_problem(response, 422,
            "There is at least one repository that does not exist or is not accessible to the "
            "parent installation.");
        return;
    }
    struct github_token *token = sandbox_github_token_add(
        sandbox, GITHUB_TOKEN_INSTALLATION, new_token_text(sandbox, request));
    token->permissions = permissions;
    permissions = NULL;
    if (json_count(repositories) > 0) {
        token->repositories = repositories;
        repositories = NULL;
    }
    token->expires_ms = sandbox_now(sandbox) + HOUR_MS;
    answer_minted(sandbox, request, token, response);
}

// ETags are per token: a new installation token makes a cached one useless once.
static void
set_etag(const struct github_token *token, struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024 * 1024);
    char hash[SHA256_HEX_SIZE];
    buf_add(&text, buf_str(&response->body));
    buf_puts(&text, token->text);
    sha256_hex(buf_str(&text), hash);
    const char *etag = arena_printf(request->arena, "W/\"%s\"", hash);
    const char *known = sandbox_request_header(request, "If-None-Match");
    sandbox_reply_header(response, "ETag", etag);
    sandbox_reply_header(response, "Cache-Control", "private, max-age=60, s-maxage=60");
    sandbox_reply_header(response, "Vary", "Accept, Authorization, Cookie, X-GitHub-OTP");
    if (known != NULL && strcmp(known, etag) == 0) {
        response->status = 304;
        buf_reset(&response->body);
    }
}

void
sandbox_github_finish(struct sandbox *sandbox, struct github_token *token,
    struct sandbox_request *request, struct sandbox_response *response)
{
    if (response->status == 200 && sandbox_request_is(request, "GET")) {
        set_etag(token, request, response);
    }
    if (response->status != 304 && !response->is_free) {
        token->used++;
    }
    sandbox_github_quota_headers(sandbox, token, response);
}
