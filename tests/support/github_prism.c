// The transport between a GitHub client and Prism, and the client: see the header. Judges nothing
// that Prism can judge.
#include "github_prism.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

// --- the transport in between --------------------------------------------------------------------

static void
answer(struct http_response *response, int status, const char *text)
{
    response->status = status;
    buf_init(&response->body, 1024 * 1024);
    buf_puts(&response->body, text);
}

static struct error *
serve_log(const struct http_request *request)
{
    static const char log[] =
        "2020-01-20T17:42:40.0000000Z one\n2020-01-20T17:42:41.0000000Z two\n";
    assert_null(http_headers_get(request->headers, "Authorization"));
    return request->writer->write(request->writer->ctx, log, sizeof(log) - 1);
}

// Prism's sample Link goes to api.github.com: a list of one page has none.
static void
drop_link(struct http_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (str_equal_nocase(str_of(headers->list[i].name), STR("Link"))) {
            headers->list[i].name[0] = 'X';
        }
    }
}

static bool
is_undeclared(const struct http_response *response)
{
    struct str body = buf_str(&response->body);
    return response->status >= 400 && (str_contains(body, STR("NO_PATH_MATCHED_ERROR")) ||
                                          str_contains(body, STR("NO_METHOD_MATCHED_ERROR")));
}

static struct error *
to_prism(struct github_prism_filter *filter, const struct http_request *request,
    struct http_response *response)
{
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    for (size_t i = 0; i < request->headers->count; i++) {
        http_headers_add(&headers, request->headers->list[i].name, request->headers->list[i].value);
    }
    bool preparing = str_ends(str_of(request->url), STR("/rate_limit"));
    if (filter->prefer != NULL && !preparing) {
        http_headers_add(&headers, "Prefer", filter->prefer);
    }
    struct http_request copy = *request;
    copy.headers = &headers;
    struct error *err = http_send(filter->wire, &copy, response);
    if (err != NULL) {
        return err;
    }
    drop_link(&response->headers);
    if (filter->grants != NULL && str_ends(str_of(request->url), STR("/installation"))) {
        char *text CLEANUP(xfreep) = xasprintf("{\"id\":1,\"permissions\":%s}", filter->grants);
        int status = response->status;
        http_response_done(response);
        answer(response, status, text);
    }
    filter->last_status = response->status;
    if (filter->may_be_undeclared && is_undeclared(response)) {
        filter->undeclared = true;
        http_response_done(response);
        answer(response, 422, "{\"message\":\"not declared\"}");
        return NULL;
    }
    if (response->status >= 400 && !filter->may_refuse) {
        fail_msg("Prism refuses %s %s: %d %s", http_method_name(request->method), request->url,
            response->status, buf_cstr(&response->body));
    }
    return NULL;
}

// GitHub Enterprise Server up to 3.20: Prism says 422 too, and here the words are GitHub's.
static struct error *
refuse_details(struct github_prism_filter *filter, const struct http_request *request,
    struct http_response *response)
{
    filter->may_refuse = true;
    struct error *err = to_prism(filter, request, response);
    filter->may_refuse = false;
    if (err != NULL) {
        return err;
    }
    assert_int_equal(response->status, 422);
    http_response_done(response);
    answer(response, 422, "{\"message\":\"\\\"return_run_details\\\" is not a permitted key.\"}");
    return NULL;
}

static struct error *
perform_one(struct github_prism_filter *filter, const struct http_request *request,
    struct http_response *response)
{
    if (!str_starts(str_of(request->url), str_of(filter->endpoint))) {
        response->status = 200;
        return serve_log(request);
    }
    bool dispatch = str_ends(str_of(request->url), STR("/dispatches"));
    filter->posts += dispatch ? 1 : 0;
    assert_int_equal(request->once, filter->is_once(request));
    const char *version = http_headers_get(request->headers, "X-GitHub-Api-Version");
    if (filter->version != NULL && !cstr_equal(version, filter->version)) {
        answer(response, 400, "{\"message\":\"API version is not supported\"}");
        return NULL;
    }
    bool details = dispatch && str_contains(request->body, STR("return_run_details"));
    return details && !filter->knows_details ? refuse_details(filter, request, response)
                                             : to_prism(filter, request, response);
}

static struct error *
perform(struct http_transport *transport, const struct http_flow *flow)
{
    int64_t again_ms = INT64_MAX;
    struct http_exchange *exchange = NULL;
    while ((exchange = flow->next(flow->ctx, &again_ms)) != NULL) {
        exchange->error = perform_one(
            (struct github_prism_filter *)transport, exchange->request, &exchange->response);
        flow->ended(flow->ctx, exchange);
    }
    return NULL;
}

static void
keep(struct http_transport *transport)
{
    (void)transport;
}

// --- set up --------------------------------------------------------------------------------------

static const char *
required(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL) {
        fail_msg("%s is not set: run me by with_prism.py", name);
    }
    return value;
}

struct github_client *
github_prism_client(struct github_prism *prism, bool app)
{
    struct secret *token CLEANUP(secret_freep) = secret_new(STR("ghp_sampletoken"));
    struct secret *pem CLEANUP(secret_freep) = NULL;
    assert_null(jwt_key_generate_pem(&pem));
    const struct github_options options = {.api = prism->filter.endpoint,
        .repository = GITHUB_PRISM_REPOSITORY,
        .token = app ? NULL : token,
        .app_id = app ? "Iv1.sample" : NULL,
        .app_key = app ? pem : NULL,
        .purpose = prism->purpose};
    struct github_client *client = NULL;
    assert_null(github_client_new(&prism->platform, prism->http, &options, &client));
    return client;
}

static bool
is_dispatch(const struct http_request *request)
{
    return str_ends(str_of(request->url), STR("/dispatches"));
}

// Whatever makes something, but for the status of a commit, which can be set again.
static bool
makes_a_report(const struct http_request *request)
{
    struct str url = str_of(request->url);
    bool annotates = request->method == HTTP_PATCH && str_contains(url, STR("/check-runs/")) &&
                     str_contains(request->body, STR("\"annotations\":[{"));
    return annotates ||
           (request->method == HTTP_POST && !str_contains(url, STR("/octo-repo/statuses/")) &&
               !str_ends(url, STR("/access_tokens")));
}

static int
set_up(void **state, enum github_purpose purpose)
{
    struct github_prism *prism = xcalloc(1, sizeof(*prism));
    prism->contract = required("TEST_CONTRACT");
    prism->purpose = purpose;
    prism->arena = arena_new();
    prism->wire_platform = (struct platform){.clock = &clock_system, .random = &random_system};
    prism->filter = (struct github_prism_filter){
        .base = {perform, keep, NULL},
        .endpoint = required("TEST_ENDPOINT"),
        .version = strstr(prism->contract, "2026") != NULL     ? "2026-03-10"
                   : strstr(prism->contract, "strict") != NULL ? "2022-11-28"
                                                               : NULL,
        .knows_details = strstr(prism->contract, "ghes") == NULL,
        .is_once = purpose == GITHUB_FOR_REPORTS ? makes_a_report : is_dispatch,
    };
    assert_null(http_client_new(&prism->wire_platform, NULL, &prism->filter.wire));
    prism->platform = prism->wire_platform;
    prism->platform.transport = &prism->filter.base;
    assert_null(http_client_new(&prism->platform, NULL, &prism->http));
    prism->client = github_prism_client(prism, false);
    *state = prism;
    return 0;
}

int
github_prism_dispatching(void **state)
{
    return set_up(state, GITHUB_FOR_DISPATCH);
}

int
github_prism_reporting(void **state)
{
    return set_up(state, GITHUB_FOR_REPORTS);
}

int
github_prism_tear_down(void **state)
{
    struct github_prism *prism = *state;
    github_client_free(prism->client);
    http_client_free(prism->http);
    http_client_free(prism->filter.wire);
    arena_free(prism->arena);
    free(prism);
    return 0;
}

void
github_prism_succeed(struct error *err)
{
    if (err != NULL) {
        char *text = error_text(err);
        fail_msg("%s", text);
    }
}

void
github_prism_fail(struct error *err, const char *says)
{
    assert_non_null(err);
    char *text = error_text(err);
    if (strstr(text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", text, says);
    }
    free(text);
    error_free(err);
}
