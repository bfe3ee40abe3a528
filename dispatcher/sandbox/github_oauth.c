// Signing people in with the App's OAuth web flow, PKCE included: /login/oauth/authorize asks who
// somebody is (or believes `login`), /login/oauth/access_token gives a token for the code. Errors
// come with 200, as GitHub's do. There are no passwords: this is a machine's own GitHub.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_people_internal.h"
#include "inbox_internal.h"

enum { CODE_LIFE_MS = 600000, TOKEN_LIFE_S = 28800, REFRESH_LIFE_S = 15897600, PAGE_MAX = 1 << 20 };

// --- asking --------------------------------------------------------------------------------------

// Any address of this machine, unless an order has said which ones.
static bool
is_callback(const struct github_people *people, const char *uri)
{
    struct url url = {0};
    struct error *err CLEANUP(error_freep) = uri != NULL ? url_parse(uri, &url) : NULL;
    bool good = uri != NULL && err == NULL && url_host_is_loopback(url.host);
    url_done(&url);
    if (people->redirect_uris == NULL) {
        return good;
    }
    good = false;
    for (size_t i = 0; uri != NULL && i < json_count(people->redirect_uris); i++) {
        good = good || cstr_equal(json_str(json_at(people->redirect_uris, i)), uri);
    }
    return good;
}

static void
add_state(struct sandbox_request *request, struct buf *url)
{
    const char *state = sandbox_request_query(request, "state");
    if (state != NULL) {
        url_add_query(url, "state", state);
    }
}

static void
redirect(struct sandbox_response *response, const struct buf *url)
{
    response->status = 302;
    sandbox_reply_header(response, "Location", buf_cstr(url));
    sandbox_reply_header(response, "Cache-Control", "no-store");
}

static void
approve(struct sandbox *sandbox, struct sandbox_request *request, const char *uri,
    const struct github_person *person, struct sandbox_response *response)
{
    struct github_people *people = sandbox->github->people;
    const char *challenge = sandbox_request_query(request, "code_challenge");
    char *code = xstrdup(sandbox_random(sandbox, request->arena, 10));
    people->codes = xrealloc(people->codes, (people->code_count + 1) * sizeof(*people->codes));
    people->codes[people->code_count++] = (struct oauth_code){.code = code,
        .redirect_uri = xstrdup(uri),
        .challenge = challenge != NULL ? xstrdup(challenge) : NULL,
        .person = person,
        .expires_ms = sandbox_now(sandbox) + CODE_LIFE_MS};
    struct buf url CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    buf_puts(&url, uri);
    url_add_query(&url, "code", code);
    add_state(request, &url);
    redirect(response, &url);
}

static void
deny(struct sandbox_request *request, const char *uri, struct sandbox_response *response)
{
    struct buf url CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    buf_puts(&url, uri);
    url_add_query(&url, "error", "access_denied");
    url_add_query(&url, "error_description", "The user has denied your application access.");
    add_state(request, &url);
    redirect(response, &url);
}

static void
put_choice(struct sandbox_request *request, const char *key, const char *value, const char *text,
    struct buf *out)
{
    struct buf url CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    buf_puts(&url, request->target);
    url_add_query(&url, key, value);
    buf_puts(out, "<li><a href=\"");
    sandbox_inbox_escape(buf_str(&url), out);
    buf_puts(out, "\">");
    sandbox_inbox_escape(str_of(text), out);
    buf_puts(out, "</a></li>\n");
}

static void
show_choice(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const struct github_people *people = sandbox->github->people;
    struct buf page CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    buf_puts(&page, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
                    "<title>Sign in to the sandbox</title>\n<h1>Sign in to the sandbox</h1>\n"
                    "<p>The App \"Dispatcher sandbox\" asks who you are. You are:</p>\n<ul>\n");
    for (size_t i = 0; i < people->count; i++) {
        put_choice(request, "login", people->list[i]->login, people->list[i]->login, &page);
    }
    buf_puts(&page, "</ul>\n<p>Or:</p>\n<ul>\n");
    put_choice(request, "deny", "1", "Cancel", &page);
    buf_puts(&page, "</ul>\n</html>\n");
    sandbox_reply_text(response, 200, "text/html; charset=utf-8", buf_str(&page));
}

static void
authorize(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const struct github_people *people = sandbox->github->people;
    const char *uri = sandbox_request_query(request, "redirect_uri"),
               *login = sandbox_request_query(request, "login"),
               *method = sandbox_request_query(request, "code_challenge_method");
    const struct github_person *person = sandbox_github_person(sandbox, login);
    uri = uri != NULL ? uri : json_str(json_at(people->redirect_uris, 0));
    if (!cstr_equal(sandbox_request_query(request, "client_id"), sandbox_github_app_client)) {
        sandbox_reply_text(response, 404, "text/plain", STR("no App has this client_id\n"));
    } else if (!is_callback(people, uri)) {
        sandbox_reply_text(response, 400, "text/plain",
            STR("The redirect_uri is not associated with this application.\n"));
    } else if (sandbox_request_query(request, "code_challenge") != NULL &&
               !cstr_equal(method, "S256")) {
        sandbox_reply_text(response, 400, "text/plain", STR("code_challenge_method is not S256\n"));
    } else if (sandbox_request_query(request, "deny") != NULL) {
        deny(request, uri, response);
    } else if (person != NULL) {
        approve(sandbox, request, uri, person, response);
    } else {
        show_choice(sandbox, request, response);
    }
}

// --- tokens --------------------------------------------------------------------------------------

struct exchange_call {
    struct sandbox *sandbox;
    struct sandbox_request *request;
    struct sandbox_response *response;
    const struct json *body; // when it came as JSON
};

// A parameter of the form, of a JSON body, or of the query.
static const char *
parameter(const struct exchange_call *call, const char *name)
{
    const char *text = json_str(json_get(call->body, name));
    if (text == NULL && call->body == NULL) {
        text = sandbox_form_value(call->request->arena, buf_str(&call->request->body), name);
    }
    return text != NULL ? text : sandbox_request_query(call->request, name);
}

static void
put_field(void *ctx, const char *key, const struct json *value)
{
    struct buf *out = ctx, pair CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    char *number CLEANUP(xfreep) =
        json_is_int(value) ? xasprintf("%lld", (long long)json_int(value, 0)) : NULL;
    url_add_query(&pair, key, number != NULL ? number : json_str(value));
    buf_puts(out, out->len > 0 ? "&" : "");
    buf_add(out, str_skip(buf_str(&pair), 1));
}

// As a form unless JSON is asked for.
static void
answer(const struct exchange_call *call, struct json *body)
{
    const char *accept = sandbox_request_header(call->request, "Accept");
    sandbox_reply_header(call->response, "Cache-Control", "no-store");
    if (accept != NULL && strstr(accept, "json") != NULL) {
        sandbox_reply_json(call->response, 200, body);
        return;
    }
    struct buf text CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    json_each(body, put_field, &text);
    json_free(body);
    sandbox_reply_text(
        call->response, 200, "application/x-www-form-urlencoded; charset=utf-8", buf_str(&text));
}

static void
refuse(const struct exchange_call *call, const char *word, const char *text)
{
    struct json *body = json_make_object();
    json_set_str(body, "error", word);
    json_set_str(body, "error_description", text);
    json_set_str(body, "error_uri",
        "https://docs.github.com/apps/managing-oauth-apps/"
        "troubleshooting-oauth-app-access-token-request-errors/");
    answer(call, body);
}

static void
give_tokens(const struct exchange_call *call, const struct github_person *person)
{
    struct sandbox *sandbox = call->sandbox;
    struct github_people *people = sandbox->github->people;
    struct arena *arena = call->request->arena;
    int64_t now = sandbox_now(sandbox);
    const char *text = arena_printf(arena, "ghu_%s", sandbox_random(sandbox, arena, 18));
    struct github_token *token = sandbox_github_token_add(sandbox, GITHUB_TOKEN_PERSONAL, text);
    token->person = person;
    token->expires_ms = now + (int64_t)TOKEN_LIFE_S * 1000;
    char *refresh = xasprintf("ghr_%s", sandbox_random(sandbox, arena, 38));
    people->refreshes =
        xrealloc(people->refreshes, (people->refresh_count + 1) * sizeof(*people->refreshes));
    people->refreshes[people->refresh_count++] =
        (struct oauth_refresh){refresh, token, now + (int64_t)REFRESH_LIFE_S * 1000};
    struct json *body = json_make_object();
    json_set_str(body, "access_token", text);
    json_set_int(body, "expires_in", TOKEN_LIFE_S);
    json_set_str(body, "refresh_token", refresh);
    json_set_int(body, "refresh_token_expires_in", REFRESH_LIFE_S);
    json_set_str(body, "token_type", "bearer");
    json_set_str(body, "scope", "");
    answer(call, body);
}

// RFC 7636 §4.6
static bool
proves(const struct oauth_code *code, const char *verifier)
{
    unsigned char hash[SHA256_SIZE];
    struct buf text CLEANUP(buf_done) = BUF_INIT(256);
    if (code->challenge == NULL) {
        return true;
    }
    sha256_of(str_of(verifier), hash);
    base64url_encode((struct str){(const char *)hash, sizeof(hash)}, &text);
    return verifier != NULL && strcmp(buf_cstr(&text), code->challenge) == 0;
}

static void
take_code(const struct exchange_call *call)
{
    struct github_people *people = call->sandbox->github->people;
    const char *text = parameter(call, "code"), *uri = parameter(call, "redirect_uri");
    struct oauth_code *code = NULL;
    for (size_t i = 0; text != NULL && i < people->code_count; i++) {
        if (strcmp(people->codes[i].code, text) == 0) {
            code = &people->codes[i];
        }
    }
    if (code == NULL || code->is_used || code->expires_ms <= sandbox_now(call->sandbox) ||
        !proves(code, parameter(call, "code_verifier"))) {
        refuse(call, "bad_verification_code", "The code passed is incorrect or expired.");
    } else if (uri != NULL && strcmp(uri, code->redirect_uri) != 0) {
        refuse(call, "redirect_uri_mismatch",
            "The redirect_uri MUST match the registered callback URL for this application.");
    } else {
        code->is_used = true;
        give_tokens(call, code->person);
    }
}

// The tokens before are worth nothing then.
static void
take_refresh(const struct exchange_call *call)
{
    struct github_people *people = call->sandbox->github->people;
    const char *text = parameter(call, "refresh_token");
    for (size_t i = 0; text != NULL && i < people->refresh_count; i++) {
        struct oauth_refresh *refresh = &people->refreshes[i];
        if (strcmp(refresh->text, text) == 0 && refresh->expires_ms > sandbox_now(call->sandbox)) {
            refresh->expires_ms = 0;
            refresh->token->is_revoked = true;
            give_tokens(call, refresh->token->person);
            return;
        }
    }
    refuse(call, "bad_refresh_token", "The refresh token passed is incorrect or expired.");
}

static bool
same(const char *given, const char *expected)
{
    return given != NULL && strlen(given) == strlen(expected) &&
           digest_equal(given, expected, strlen(expected));
}

static void
exchange(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct json *body CLEANUP(json_freep) = sandbox_request_json(request);
    const struct exchange_call call = {sandbox, request, response, body};
    const char *grant = parameter(&call, "grant_type");
    if (!same(parameter(&call, "client_id"), sandbox_github_app_client) ||
        !same(parameter(&call, "client_secret"), sandbox->github->people->client_secret)) {
        refuse(&call, "incorrect_client_credentials",
            "The client_id and/or client_secret passed are incorrect.");
    } else if (grant == NULL || strcmp(grant, "authorization_code") == 0) {
        take_code(&call);
    } else if (strcmp(grant, "refresh_token") == 0) {
        take_refresh(&call);
    } else {
        refuse(&call, "unsupported_grant_type", "The grant_type is not supported.");
    }
}

void
sandbox_github_login_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    if (sandbox_request_is(request, "GET") &&
        sandbox_request_match(request, 1, "oauth/authorize")) {
        authorize(sandbox, request, response);
    } else if (sandbox_request_is(request, "POST") &&
               sandbox_request_match(request, 1, "oauth/access_token")) {
        exchange(sandbox, request, response);
    } else {
        sandbox_reply_text(response, 404, "text/plain", STR("Not Found\n"));
    }
}

// --- the App about its tokens --------------------------------------------------------------------

static bool
client_holds(const struct sandbox *sandbox, const struct sandbox_request *request)
{
    const char *header = sandbox_request_header(request, "Authorization");
    char *plain CLEANUP(xfreep) =
        xasprintf("%s:%s", sandbox_github_app_client, sandbox->github->people->client_secret);
    struct buf wanted CLEANUP(buf_wipe) = BUF_INIT(4096);
    base64_encode(str_of(plain), &wanted);
    return header != NULL && str_equal_nocase((struct str){header, 6}, STR("Basic ")) &&
           same(header + 6, buf_cstr(&wanted));
}

static struct github_token *
find_own(const struct sandbox *sandbox, const char *text)
{
    const struct github_state *github = sandbox->github;
    for (size_t i = 0; text != NULL && i < github->token_count; i++) {
        struct github_token *token = github->tokens[i];
        bool ours = strncmp(token->text, "ghu_", 4) == 0 && !token->is_revoked &&
                    token->expires_ms > sandbox_now(sandbox);
        if (ours && strcmp(token->text, text) == 0) {
            return token;
        }
    }
    return NULL;
}

static struct json *
shape_authorization(
    const struct sandbox *sandbox, const char *base, const struct github_token *token)
{
    struct json *object = json_make_object(), *app = json_make_object();
    static const char *const nulls[] = {"note", "note_url", "fingerprint"};
    char expires[21];
    clock_format_rfc3339(token->expires_ms, expires);
    json_set_int(object, "id", 1);
    json_set_str(object, "url", sandbox->origin);
    json_set(object, "scopes", json_make_array());
    json_set_str(object, "token", token->text);
    json_set_str(object, "token_last_eight", token->text + strlen(token->text) - 8);
    json_set_str(object, "hashed_token", "");
    for (size_t i = 0; i < ARRAY_LENGTH(nulls); i++) {
        json_set(object, nulls[i], json_make_null());
    }
    json_set_str(object, "created_at", "2026-01-01T00:00:00Z");
    json_set_str(object, "updated_at", "2026-01-01T00:00:00Z");
    json_set_str(object, "expires_at", expires);
    json_set_str(app, "client_id", sandbox_github_app_client);
    json_set_str(app, "name", "Dispatcher sandbox");
    json_set_str(app, "url", sandbox->origin);
    json_set(object, "app", app);
    json_set(object, "user", sandbox_shape_user(sandbox, base, sandbox_github_login_of(token)));
    return object;
}

void
sandbox_github_oauth_application(struct sandbox *sandbox, struct sandbox_request *request,
    size_t from, struct sandbox_response *response)
{
    struct json *body CLEANUP(json_freep) = sandbox_request_json(request);
    struct github_token *token = find_own(sandbox, json_str(json_get(body, "access_token")));
    if (strcmp(request->parts[from + 1], sandbox_github_app_client) != 0 ||
        !client_holds(sandbox, request)) {
        sandbox_github_problem(response, 404, "Not Found");
    } else if (token == NULL) {
        sandbox_github_problem(
            response, sandbox_request_is(request, "DELETE") ? 422 : 404, "Not Found");
    } else if (sandbox_request_is(request, "DELETE")) {
        token->is_revoked = true;
        response->status = 204;
    } else if (sandbox_request_is(request, "POST")) {
        sandbox_reply_json(response, 200,
            shape_authorization(sandbox, sandbox_github_base(sandbox, request), token));
    } else {
        sandbox_github_problem(response, 404, "Not Found");
    }
}

// --- orders --------------------------------------------------------------------------------------

// {"redirect_uris": ["http://127.0.0.1:8080/sign-in/callback"]}; null: any of this machine.
void
sandbox_github_control_oauth(
    struct sandbox *sandbox, const struct json *order, struct sandbox_response *response)
{
    struct github_people *people = sandbox->github->people;
    const struct json *uris = json_get(order, "redirect_uris");
    if (!json_is_null(uris) && !json_is_array(uris)) {
        sandbox_reply_problem(response, 422, "'redirect_uris' is no list");
        return;
    }
    json_free(people->redirect_uris);
    people->redirect_uris = json_is_array(uris) ? json_clone(uris) : NULL;
    response->status = 204;
}

void
sandbox_github_oauth_ready(const struct sandbox *sandbox, struct json *addresses)
{
    const struct github_people *people = sandbox->github->people;
    json_set_str(addresses, "DISPATCHER_SANDBOX_ORG", sandbox_github_organization(sandbox));
    char *id CLEANUP(xfreep) =
        xasprintf("%lld", (long long)sandbox_github_organization_id(sandbox));
    json_set_str(addresses, "DISPATCHER_SANDBOX_ORG_ID", id);
    json_set_str(addresses, "DISPATCHER_SANDBOX_OAUTH_CLIENT_ID", sandbox_github_app_client);
    json_set_str(addresses, "DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET", people->client_secret);
    json_set_str(
        addresses, "DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET_FILE", people->client_secret_path);
}
