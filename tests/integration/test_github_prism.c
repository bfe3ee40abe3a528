// Every request that github/ makes, judged by Prism with GitHub's own OpenAPI description.
//
// Between client and Prism sits a transport that keeps the rest true: it plays the answer that an
// older server gives to an API version it does not know (Prism refuses such a request, but in words
// of its own), serves the log that the 302 points to, and fails the test when Prism refuses
// anything.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/github.h"
#include "dispatcher/memory.h"

#define REPOSITORY "octo-org/octo-repo" // that of GitHub's examples

struct filter {
    struct http_transport base; // first: cast back
    struct http_client *wire;
    const char *endpoint, *version; // the one version of a strict contract, or NULL
    bool knows_details;             // return_run_details
    const char *prefer;             // which example Prism is to answer with
    bool may_refuse;                // a request that is wrong on purpose
    bool grants;                    // the sample installation may start workflows
    int posts, last_status;
};

struct world {
    struct platform wire_platform, platform;
    struct filter filter;
    struct http_client *http;
    struct github_client *client;
    struct arena *arena;
    const char *contract;
};

// --- the transport in between
// -----------------------------------------------------------------------

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

static struct error *
to_prism(struct filter *filter, const struct http_request *request, struct http_response *response)
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
    if (filter->grants && str_ends(str_of(request->url), STR("/installation"))) {
        int status = response->status;
        http_response_done(response);
        answer(response, status,
            "{\"id\":1,\"permissions\":{\"actions\":\"write\",\"contents\":\"read\",\"checks\":"
            "\"read\"}}");
    }
    filter->last_status = response->status;
    if (response->status >= 400 && !filter->may_refuse) {
        fail_msg("Prism refuses %s %s: %d %s", http_method_name(request->method), request->url,
            response->status, buf_cstr(&response->body));
    }
    return NULL;
}

// GitHub Enterprise Server up to 3.20: Prism says 422 too, and here the words are GitHub's.
static struct error *
refuse_details(
    struct filter *filter, const struct http_request *request, struct http_response *response)
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
perform_one(
    struct filter *filter, const struct http_request *request, struct http_response *response)
{
    if (!str_starts(str_of(request->url), str_of(filter->endpoint))) {
        response->status = 200;
        return serve_log(request);
    }
    bool dispatch = str_ends(str_of(request->url), STR("/dispatches"));
    filter->posts += dispatch ? 1 : 0;
    assert_int_equal(request->once, dispatch);
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
        exchange->error =
            perform_one((struct filter *)transport, exchange->request, &exchange->response);
        flow->ended(flow->ctx, exchange);
    }
    return NULL;
}

static void
keep(struct http_transport *transport)
{
    (void)transport;
}

// --- set up
// ----------------------------------------------------------------------------------------

static const char *
required(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL) {
        fail_msg("%s is not set: run me by with_prism.py", name);
    }
    return value;
}

static struct github_client *
client_new(struct world *world, bool app)
{
    struct secret *token CLEANUP(secret_freep) = secret_new(STR("ghp_sampletoken"));
    struct secret *pem CLEANUP(secret_freep) = NULL;
    assert_null(jwt_key_generate_pem(&pem));
    const struct github_options options = {.api = world->filter.endpoint,
        .repository = REPOSITORY,
        .token = app ? NULL : token,
        .app_id = app ? "Iv1.sample" : NULL,
        .app_key = app ? pem : NULL};
    struct github_client *client = NULL;
    assert_null(github_client_new(&world->platform, world->http, &options, &client));
    return client;
}

static int
set_up(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    world->contract = required("TEST_CONTRACT");
    world->arena = arena_new();
    world->wire_platform = (struct platform){.clock = &clock_system, .random = &random_system};
    world->filter = (struct filter){
        .base = {perform, keep, NULL},
        .endpoint = required("TEST_ENDPOINT"),
        .version = strstr(world->contract, "2026") != NULL     ? "2026-03-10"
                   : strstr(world->contract, "strict") != NULL ? "2022-11-28"
                                                               : NULL,
        .knows_details = strstr(world->contract, "ghes") == NULL,
    };
    assert_null(http_client_new(&world->wire_platform, NULL, &world->filter.wire));
    world->platform = world->wire_platform;
    world->platform.transport = &world->filter.base;
    assert_null(http_client_new(&world->platform, NULL, &world->http));
    world->client = client_new(world, false);
    *state = world;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *world = *state;
    github_client_free(world->client);
    http_client_free(world->http);
    http_client_free(world->filter.wire);
    arena_free(world->arena);
    free(world);
    return 0;
}

static void
succeed(struct error *err)
{
    if (err != NULL) {
        char *text = error_text(err);
        fail_msg("%s", text);
    }
}

static void
fail_with(struct error *err, const char *says)
{
    assert_non_null(err);
    char *text = error_text(err);
    if (strstr(text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", text, says);
    }
    free(text);
    error_free(err);
}

// --- the calls
// -------------------------------------------------------------------------------------

static struct pair inputs[] = {{"application", "shop"}, {"environment", "production"},
    {"distinct_id", "d-abcdefghijklmnopqrst-1"}};
static const struct github_dispatch dispatch = {"deploy-app.yaml", "main", {inputs, 3}};

static void
dispatching(void **state)
{
    struct world *world = *state;
    struct github_dispatch_result result;
    github_dispatch_send(world->client, &dispatch, world->arena, &result);
    succeed(result.error);
    if (world->filter.knows_details) {
        assert_int_equal(result.class, GITHUB_SENT_KNOWN);
        assert_int_equal(result.run_id, 1);
        assert_string_equal(result.html_url, "https://github.com/" REPOSITORY "/actions/runs/1");
        assert_int_equal(world->filter.posts, 1);
    } else {
        assert_int_equal(result.class, GITHUB_SENT_ANON);
        assert_int_equal(world->filter.last_status, 204);
        assert_int_equal(world->filter.posts, 2); // asked for details, then plainly
    }
    assert_int_equal(result.posts, world->filter.posts);
    assert_true(result.sent_at_ms > 0);
}

// Without a read before it, the dispatch itself has to find out what the server knows.
static void
dispatching_where_204_is_the_answer(void **state)
{
    struct world *world = *state;
    if (strstr(world->contract, "2026") != NULL) {
        return; // declares 200 only
    }
    world->filter.prefer = "code=204";
    struct github_dispatch_result result;
    github_dispatch_send(world->client, &dispatch, world->arena, &result);
    succeed(result.error);
    assert_int_equal(result.class, GITHUB_SENT_ANON);
}

// Validation is on: what is wrong does not pass.
static void
a_wrong_dispatch_is_refused(void **state)
{
    struct world *world = *state;
    static struct pair many[26];
    static char names[26][4];
    for (size_t i = 0; i < 26; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "i%zu", i);
        many[i] = (struct pair){names[i], "x"};
    }
    world->filter.may_refuse = true;
    world->filter.knows_details = true; // let Prism judge all of it
    const struct github_dispatch wrong = {"deploy-app.yaml", "main", {many, 26}};
    struct github_dispatch_result result;
    github_dispatch_send(world->client, &wrong, world->arena, &result);
    assert_int_equal(result.class, GITHUB_AMBIGUOUS); // a 422, but not in GitHub's words
    assert_int_equal(world->filter.last_status, 422);
    fail_with(result.error, "HTTP 422");
}

static void
reading_a_run(void **state)
{
    struct world *world = *state;
    struct github_run *run = NULL;
    bool changed = false;
    succeed(github_run_get(world->client, 30433642, world->arena, &run, &changed));
    assert_true(changed);
    assert_int_equal(run->id, 30433642);
    assert_string_equal(run->status, "queued");
    assert_null(run->conclusion);
    assert_true(run->created_ms > 0);
}

static void
listing_runs(void **state)
{
    struct world *world = *state;
    struct github_run *runs = NULL;
    size_t count = 0;
    succeed(github_runs_list(
        world->client, "deploy-app.yaml", 1577836800000, world->arena, &runs, &count));
    assert_int_equal(count, 1);
    assert_int_equal(runs[0].id, 30433642);
}

static void
listing_jobs(void **state)
{
    struct world *world = *state;
    struct github_job *jobs = NULL;
    size_t count = 0;
    bool changed = false;
    succeed(github_jobs_list(world->client, 29679449, world->arena, &jobs, &count, &changed));
    assert_int_equal(count, 1);
    assert_int_equal(jobs[0].id, 399444496);
    assert_int_equal(jobs[0].check_run_id, 399444496);
    assert_true(jobs[0].step_count > 0);
    assert_true(jobs[0].steps[0].started_ms > 0); // with an offset and a fraction
}

static void
reading_annotations(void **state)
{
    struct world *world = *state;
    struct github_annotation *notes = NULL;
    size_t count = 0;
    succeed(github_annotations(world->client, 399444496, world->arena, &notes, &count));
    assert_int_equal(count, 1);
    assert_string_equal(notes[0].level, "warning");
}

static void
reading_a_log(void **state)
{
    struct world *world = *state;
    const char *text = NULL;
    const struct github_log_part last = {.lines = 1};
    succeed(github_job_log_tail(world->client, 399444496, &last, world->arena, &text));
    assert_int_equal(world->filter.last_status, 302);
    assert_string_equal(text, "2020-01-20T17:42:41.0000000Z two\n");
}

static void
cancelling(void **state)
{
    struct world *world = *state;
    succeed(github_run_cancel(world->client, 30433642));
    assert_int_equal(world->filter.last_status, 202);
}

static void
cancelling_what_has_finished(void **state)
{
    struct world *world = *state;
    world->filter.prefer = "code=409";
    world->filter.may_refuse = true;
    succeed(github_run_cancel(world->client, 30433642));
    assert_int_equal(world->filter.last_status, 409);
}

// GitHub's example of a file is no workflow; that the request is right is what counts.
static void
reading_a_workflow(void **state)
{
    struct world *world = *state;
    world->filter.prefer = "example=response-if-content-is-a-file";
    struct github_workflow *workflow = NULL;
    fail_with(github_workflow_read(
                  world->client, "deploy-app.yaml", "feature/a b", world->arena, &workflow),
        "workflow 'deploy-app.yaml' of '" REPOSITORY "'");
    assert_int_equal(world->filter.last_status, 200);
}

static void
reading_a_workflows_state(void **state)
{
    struct world *world = *state;
    const char *text = NULL;
    succeed(github_workflow_state(world->client, "deploy-app.yaml", world->arena, &text));
    assert_string_equal(text, "active");
}

static void
an_app_that_may_not(void **state)
{
    struct world *world = *state;
    struct github_client *client CLEANUP(github_client_freep) = client_new(world, true);
    struct secret *token CLEANUP(secret_freep) = NULL;
    fail_with(github_client_token(client, &token), "may not start workflows of '" REPOSITORY "'");
    assert_int_equal(world->filter.last_status, 200);
}

// Finds the installation, mints, asks who it is and what is left.
static void
an_app(void **state)
{
    struct world *world = *state;
    world->filter.grants = true;
    struct github_client *client CLEANUP(github_client_freep) = client_new(world, true);
    struct secret *token CLEANUP(secret_freep) = NULL;
    succeed(github_client_token(client, &token));
    assert_int_equal(world->filter.last_status, 201);
    assert_true(secret_expose(token).len > 0);
    struct github_self self;
    succeed(github_self(client, world->arena, &self));
    assert_string_equal(self.login, "octoapp");
    assert_int_equal(self.quota_limit, 5000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dispatching, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dispatching_where_204_is_the_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_dispatch_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_a_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(listing_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(listing_jobs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_annotations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_a_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelling_what_has_finished, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_a_workflow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_a_workflows_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_app_that_may_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_app, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
