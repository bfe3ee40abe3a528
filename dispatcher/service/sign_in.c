// Signing in with GitHub: the web flow of the App (RFC 6749 §4.1 with PKCE, RFC 7636). GitHub's
// token is used to ask who somebody is, once, and then forgotten.
//
// `state` and the verifier are in a cookie of the browser that began, so that nobody can be made to
// finish what somebody else has begun, on whichever replica that is.
#include "page_internal.h"

#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/secret.h"
#include "dispatcher/url.h"
#include "service_state_internal.h"

enum {
    STATE_BYTES = 24,
    VERIFIER_BYTES = 32,
    STATE_SIZE = 2 * STATE_BYTES + 1,
    VERIFIER_SIZE = 2 * VERIFIER_BYTES + 1,
    FLOW_S = 600,
    EXCHANGE_MS = 10 * 1000,
    ADDRESS_MAX = 8 * 1024,
    CODE_MAX = 512,
    TOKEN_MAX = 1024,
};

static const char *
next_of(const char *text)
{
    bool own = web_is_own_path(text) && !str_starts(str_of(text), STR("/sign-"));
    return own ? text : "/";
}

static bool
has_github(const struct request *request)
{
    struct secret *secret CLEANUP(secret_freep) =
        service_secret(request->service, SERVICE_SECRET_OAUTH);
    return secret != NULL && service_settings(request->service)->oauth_client_id != NULL;
}

// --- /sign-in ------------------------------------------------------------------------------------

static struct error *
show(struct request *request, struct response *response, int status, const char *problem)
{
    const struct setting_server *settings = service_settings(request->service);
    struct buf html CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    struct page page = {0};
    TRY(page_begin(request, "Sign in", &page));
    page.frame.banner_count = 0; // not for strangers
    page.frame.queued = page.frame.running = -1;
    page.frame.state = problem != NULL ? WEB_STATE_FAILED : WEB_STATE_GOOD;
    const struct web_sign_in sign_in = {
        .github = has_github(request),
        .proxy = settings->proxy_header,
        .problem = problem,
        .next = next_of(request_query(request, "next")),
        .organization = settings->organization,
    };
    web_sign_in_page(&page.frame, &sign_in, &html);
    page_done(&page);
    response->status = status;
    page_send(request, response, &page, &html);
    return NULL;
}

static struct error *
show_sign_in(struct request *request, struct response *response)
{
    if (request->caller.kind == CALLER_PERSON) {
        response_redirect(response, 303, next_of(request_query(request, "next")));
        return NULL;
    }
    return show(request, response, 200, NULL);
}

// --- to GitHub -----------------------------------------------------------------------------------

static const char *
callback_of(const struct request *request)
{
    const char *url = service_settings(request->service)->url;
    return arena_printf(request->arena, "%s/sign-in/callback",
        url != NULL ? url : service_origin(request->service));
}

static const char *
challenge_of(const char *verifier, struct arena *arena)
{
    unsigned char hash[SHA256_SIZE];
    struct buf text CLEANUP(buf_done) = BUF_INIT(64);
    sha256_of(str_of(verifier), hash);
    base64url_encode((struct str){(const char *)hash, SHA256_SIZE}, &text);
    return arena_dup(arena, buf_cstr(&text));
}

static struct error *
go_to_github(struct request *request, struct response *response)
{
    const struct random_source *random = service_platform(request->service)->random;
    char state[STATE_SIZE], verifier[VERIFIER_SIZE];
    struct buf url CLEANUP(buf_done) = BUF_INIT(ADDRESS_MAX);
    struct buf next CLEANUP(buf_done) = BUF_INIT(ADDRESS_MAX);
    if (!has_github(request)) {
        return show(request, response, 404, NULL);
    }
    random_hex(random, STATE_BYTES, state);
    random_hex(random, VERIFIER_BYTES, verifier);
    buf_printf(&url, "%s/login/oauth/authorize", page_github_web(request));
    url_add_query(&url, "client_id", service_settings(request->service)->oauth_client_id);
    url_add_query(&url, "redirect_uri", callback_of(request));
    url_add_query(&url, "scope", "read:org"); // an App ignores it: its permissions count
    url_add_query(&url, "state", state);
    url_add_query(&url, "code_challenge", challenge_of(verifier, request->arena));
    url_add_query(&url, "code_challenge_method", "S256");
    url_encode(str_of(next_of(request_query(request, "next"))), "", &next);
    TRY(buf_finish(&url, "address of the sign-in"));
    session_cookie(request, response, "flow",
        arena_printf(request->arena, "%s.%s.%s", state, verifier, buf_cstr(&next)), FLOW_S);
    response_redirect(response, 303, buf_cstr(&url));
    return NULL;
}

// --- and back ------------------------------------------------------------------------------------

struct flow {
    const char *state, *verifier, *next;
};

static bool
read_flow(struct request *request, struct flow *out)
{
    struct str state, verifier, next, rest = str_of(session_cookie_value(request, "flow"));
    bool whole = str_cut(rest, '.', &state, &rest) && str_cut(rest, '.', &verifier, &rest) &&
                 state.len == STATE_SIZE - 1 && verifier.len == VERIFIER_SIZE - 1;
    next = rest;
    if (!whole) {
        return false;
    }
    *out = (struct flow){arena_str(request->arena, state), arena_str(request->arena, verifier),
        next_of(request_decode(next, false, request->arena))};
    return true;
}

static void
add_field(struct buf *form, const char *name, const char *value)
{
    buf_printf(form, "%s%s=", form->len > 0 ? "&" : "", name);
    url_encode(str_of(value), "", form);
}

static struct error *
send_code(struct request *request, const struct buf *form, struct http_response *answer)
{
    const struct platform *platform = service_request_platform(request->service);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    const char *url =
        arena_printf(request->arena, "%s/login/oauth/access_token", page_github_web(request));
    TRY(http_client_new(platform, service_http_options(request->service), &http));
    http_headers_add(&headers, "Accept", "application/json");
    http_headers_add(&headers, "Content-Type", "application/x-www-form-urlencoded");
    const struct http_request ask = {
        .method = HTTP_POST,
        .url = url,
        .headers = &headers,
        .body = buf_str(form),
        .deadline_ms = clock_mono(platform->clock) + EXCHANGE_MS,
        .max_response = 64 * 1024,
        .once = true,
    };
    return http_send(http, &ask, answer);
}

// *out NULL: GitHub did not take the code.
static struct error *
exchange(struct request *request, const char *code, const struct flow *flow, struct secret **out)
{
    struct secret *secret CLEANUP(secret_freep) =
        service_secret(request->service, SERVICE_SECRET_OAUTH);
    struct buf form CLEANUP(buf_wipe) = BUF_INIT(ADDRESS_MAX);
    struct http_response answer CLEANUP(http_response_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    *out = NULL;
    if (secret == NULL) {
        return NULL;
    }
    add_field(&form, "client_id", service_settings(request->service)->oauth_client_id);
    add_field(&form, "client_secret", secret_expose(secret).ptr);
    add_field(&form, "code", code);
    add_field(&form, "redirect_uri", callback_of(request));
    add_field(&form, "code_verifier", flow->verifier);
    TRY(buf_finish(&form, "request for a token"));
    TRY(send_code(request, &form, &answer));
    if (answer.status >= 500) {
        return error_new(ERROR_UNAVAILABLE, "GitHub answered HTTP %d", answer.status);
    }
    TRY(json_parse(buf_str(&answer.body), &json_limits_default, &body));
    const char *token = json_str(json_get(body, "access_token"));
    buf_wipe(&answer.body);
    if (token != NULL && token[0] != '\0' && strlen(token) < TOKEN_MAX) {
        *out = secret_new(str_of(token));
    }
    return NULL;
}

static struct error *
let_in(struct request *request, struct response *response, const struct secret *token,
    const struct flow *flow)
{
    const char *organization = service_settings(request->service)->organization;
    struct policy_person person = {0};
    const char *name = NULL;
    switch (people_of_token(
        request->service, secret_expose(token), true, request->arena, &person, &name)) {
    case PEOPLE_KNOWN:
        TRY(session_begin(request, response, &person, name));
        response_redirect(response, 303, flow->next);
        return NULL;
    case PEOPLE_UNKNOWN:
        return show(request, response, 403,
            arena_printf(request->arena,
                "You are no member of %s, or GitHub does not let this App "
                "see that you are. Ask an owner of the organisation.",
                organization != NULL ? organization : "the organisation"));
    case PEOPLE_BUSY:
    case PEOPLE_UNAVAILABLE:
    case PEOPLE_NOT_ASKED:
    default:
        return show(request, response, 503,
            "GitHub could not say who you are just now. Try again in a minute.");
    }
}

static void
tell(struct request *request, struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    log_warn(service_platform(request->service)->log, "sign-in failed", F_STR("error", text));
    error_free(err);
}

// The code was not used, and the flow is still there: the same page again is all it takes.
static struct error *
show_busy(struct request *request, struct response *response)
{
    http_headers_add(&response->headers, "Retry-After", "1");
    return show(request, response, 503,
        "GitHub is asked about too many people just now. Load this page again in a moment.");
}

static struct error *
come_back(struct request *request, struct response *response)
{
    const char *code = request_query(request, "code"), *state = request_query(request, "state");
    struct secret *token CLEANUP(secret_freep) = NULL;
    struct flow flow = {0};
    struct people *people = request->service->people;
    bool begun = read_flow(request, &flow);
    bool same = begun && state != NULL && strlen(state) == STATE_SIZE - 1 &&
                digest_equal(state, flow.state, STATE_SIZE - 1);
    bool agreed = code != NULL && code[0] != '\0' && strlen(code) <= CODE_MAX;
    if (same && agreed && !people_begin_asking(people)) {
        return show_busy(request, response);
    }
    session_cookie(request, response, "flow", NULL, 0);
    if (!same) {
        return show(request, response, 403,
            "This sign-in was not begun in this browser, or more than ten minutes ago. Begin "
            "anew.");
    }
    if (!agreed) {
        return show(request, response, 403, "GitHub did not sign you in: you did not agree.");
    }
    request_rest(request); // GitHub is asked
    struct error *err = exchange(request, code, &flow, &token);
    people_end_asking(people);
    if (!request_borrow(request)) {
        error_free(err);
        return error_new(ERROR_STORAGE, "the database is not there");
    }
    if (err != NULL) {
        tell(request, err);
        return show(
            request, response, 503, "GitHub could not be asked just now. Try again in a minute.");
    }
    if (token == NULL) {
        return show(request, response, 403,
            "GitHub did not accept the sign-in: it may be too old, or was used before. Begin "
            "anew.");
    }
    return let_in(request, response, token, &flow);
}

static struct error *
sign_out(struct request *request, struct response *response)
{
    TRY(session_end(request, response));
    response_redirect(response, 303, "/sign-in");
    return NULL;
}

static const struct route routes[] = {
    {"GET", "/sign-in", ROUTE_OPTIONAL, ROUTE_PAGE, 0, show_sign_in},
    {"GET", "/sign-in/github", ROUTE_ANYBODY, ROUTE_PAGE, 0, go_to_github},
    {"GET", "/sign-in/callback", ROUTE_ANYBODY, ROUTE_PAGE, 0, come_back},
    {"POST", "/sign-out", ROUTE_PERSON, ROUTE_PAGE | ROUTE_FORM | ROUTE_LEAVING, PAGE_BODY_MAX,
        sign_out},
};
const struct route_table sign_in_routes = {routes, ARRAY_LENGTH(routes)};
