// Deliveries of the App's webhook and pages of runs, as a service reads them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/github_service.h"
#include "github_fixture.h"

#define DELIVERIES GITHUB_API "/app/hook/deliveries"
#define ITEM(id, guid, code, again)                                                                \
    "{\"id\":" #id ",\"guid\":\"" guid "\",\"delivered_at\":\"2026-11-21T07:48:00Z\","             \
    "\"redelivery\":" again ",\"duration\":0.2,\"status\":\"OK\",\"status_code\":" #code ","       \
    "\"event\":\"workflow_run\",\"action\":\"completed\",\"installation_id\":7,"                   \
    "\"repository_id\":9,\"throttled_at\":null}"

static void
assert_failure(struct error *err, enum error_kind kind, const char *says)
{
    assert_non_null(err);
    char *text = error_text(err);
    if (strstr(text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", text, says);
    }
    free(text);
    assert_int_equal(error_kind(err), kind);
    error_free(err);
}

static const char *const as_app[] = {"Authorization: Bearer *.*.*", NULL};

static void
deliveries_are_read_as_the_app(void **state)
{
    (void)state;
    static const char *const link[] = {
        "Link: <" DELIVERIES "?per_page=100&cursor=v1_17>; rel=\"next\"", NULL};
    static const struct script_step steps[] = {
        {.url = DELIVERIES "?per_page=100",
            .headers = as_app,
            .reply_headers = link,
            .reply = "[" ITEM(12, "g-2", 200, "false") "," ITEM(11, "g-1", 502, "true") "]"},
        {.url = DELIVERIES "?per_page=100&cursor=v1_17",
            .headers = as_app,
            .reply = "[" ITEM(10, "g-1", 0, "false") "]"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 2);
    struct github_deliveries page = {0};
    assert_null(github_hook_deliveries(f->client, NULL, f->arena, &page));
    assert_int_equal(page.count, 2);
    assert_int_equal(page.items[0].id, 12);
    assert_string_equal(page.items[0].guid, "g-2");
    assert_string_equal(page.items[0].event, "workflow_run");
    assert_int_equal(page.items[0].at_ms, FAKE_WALL_START);
    assert_true(page.items[0].ok);
    assert_false(page.items[0].redelivery);
    assert_false(page.items[1].ok);
    assert_true(page.items[1].redelivery);
    assert_non_null(page.next);
    const char *next = page.next;
    page = (struct github_deliveries){0};
    assert_null(github_hook_deliveries(f->client, next, f->arena, &page));
    assert_int_equal(page.count, 1);
    assert_false(page.items[0].ok); // no answer came: status code 0
    assert_null(page.next);
    github_fixture_finish(f);
}

static void
a_plain_token_sees_no_deliveries(void **state)
{
    (void)state;
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(NULL, 0);
    struct github_deliveries page = {0};
    bool gone = false;
    assert_failure(github_hook_deliveries(f->client, NULL, f->arena, &page), ERROR_CREDENTIALS,
        "only an App may look");
    assert_failure(github_hook_redeliver(f->client, 7, &gone), ERROR_CREDENTIALS, "redeliver 7");
    github_fixture_finish(f);
}

static void
unusable_lists_are_refused(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = DELIVERIES "?per_page=100", .reply = "{\"message\":\"no list\"}"},
        {.url = DELIVERIES "?per_page=100",
            .reply = "[{\"id\":0,\"guid\":\"g\","
                     "\"delivered_at\":\"2026-11-21T07:48:00Z\"}]"},
        {.url = DELIVERIES "?per_page=100",
            .reply = "[{\"id\":1,\"guid\":\"g\",\"delivered_at\":\"yesterday\"}]"},
        {.url = DELIVERIES "?per_page=100", .status = 404, .reply = "{\"message\":\"Not Found\"}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 4);
    struct github_deliveries page = {0};
    assert_failure(github_hook_deliveries(f->client, NULL, f->arena, &page), ERROR_UNAVAILABLE,
        "no list of deliveries");
    assert_failure(github_hook_deliveries(f->client, NULL, f->arena, &page), ERROR_UNAVAILABLE,
        "'id' or 'delivered_at'");
    assert_failure(github_hook_deliveries(f->client, NULL, f->arena, &page), ERROR_UNAVAILABLE,
        "'id' or 'delivered_at'");
    assert_failure(github_hook_deliveries(f->client, NULL, f->arena, &page), ERROR_REFUSED,
        "the App has no webhook");
    github_fixture_finish(f);
}

static void
a_delivery_is_asked_for_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = DELIVERIES "/12/attempts",
            .headers = as_app,
            .status = 202,
            .reply = "{}"},
        {.method = HTTP_POST,
            .url = DELIVERIES "/11/attempts",
            .status = 422,
            .reply = "{\"message\":\"too old\"}"},
        {.method = HTTP_POST,
            .url = DELIVERIES "/10/attempts",
            .status = 404,
            .reply = "{\"message\":\"Not Found\"}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 3);
    bool gone = true;
    assert_null(github_hook_redeliver(f->client, 12, &gone));
    assert_false(gone);
    assert_null(github_hook_redeliver(f->client, 11, &gone));
    assert_true(gone);
    gone = false;
    assert_null(github_hook_redeliver(f->client, 10, &gone));
    assert_true(gone);
    github_fixture_finish(f);
}

// --- pages of runs -------------------------------------------------------------------------------

#define PAGE(number) GITHUB_REPO "/actions/runs?event=workflow_dispatch&per_page=100&page=" #number
#define RUN(id, status)                                                                            \
    "{\"id\":" #id ",\"status\":\"" status "\",\"html_url\":\"u\",\"path\":\"p\","                 \
    "\"event\":\"workflow_dispatch\",\"head_sha\":\"s\",\"created_at\":\"2026-11-21T07:48:00Z\"}"

static void
a_page_costs_nothing_while_it_is_the_same(void **state)
{
    (void)state;
    static const char *const first[] = {"ETag: W/\"a\"", "Link: <" PAGE(2) ">; rel=\"next\"", NULL};
    static const char *const unconditional[] = {"!If-None-Match", NULL};
    static const char *const conditional[] = {"If-None-Match: W/\"a\"", NULL};
    static const struct script_step steps[] = {
        {.url = PAGE(1),
            .headers = unconditional,
            .reply_headers = first,
            .reply = "{\"total_count\":101,\"workflow_runs\":[" RUN(9, "queued") "," RUN(
                8, "completed") "]}"},
        {.url = PAGE(1), .headers = conditional, .status = 304},
        {.url = PAGE(2),
            .headers = unconditional,
            .reply = "{\"total_count\":101,\"workflow_runs\":[]}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 3);
    struct github_runs_page page = {0};
    bool changed = false;
    assert_null(github_runs_page(f->client, NULL, 1, f->arena, &page, &changed));
    assert_true(changed);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.runs[0].id, 9);
    assert_string_equal(page.runs[1].status, "completed");
    assert_true(page.more);
    assert_int_equal(github_client_counters(f->client).counted, 1);
    assert_null(github_runs_page(f->client, NULL, 1, f->arena, &page, &changed));
    assert_false(changed);
    assert_int_equal(page.count, 2); // untouched
    assert_int_equal(github_client_counters(f->client).counted, 1);
    assert_null(github_runs_page(f->client, NULL, 2, f->arena, &page, &changed));
    assert_true(changed);
    assert_int_equal(page.count, 0);
    assert_false(page.more);
    github_fixture_finish(f);
}

static void
a_page_that_cannot_be_read_is_asked_for_whole_again(void **state)
{
    (void)state;
    static const char *const etag[] = {"ETag: W/\"a\"", NULL};
    static const char *const unconditional[] = {"!If-None-Match", NULL};
    static const struct script_step steps[] = {
        {.url = PAGE(1), .reply_headers = etag, .reply = "{\"workflow_runs\":[{\"id\":1}]}"},
        {.url = PAGE(1), .headers = unconditional, .reply = "{\"workflow_runs\":7}"},
        {.url = PAGE(1), .status = 404, .reply = "{\"message\":\"Not Found\"}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 3);
    struct github_runs_page page = {0};
    bool changed = false;
    assert_failure(github_runs_page(f->client, NULL, 1, f->arena, &page, &changed),
        ERROR_UNAVAILABLE, "page 1 of the runs of 'octo/infra'");
    assert_failure(github_runs_page(f->client, NULL, 1, f->arena, &page, &changed),
        ERROR_UNAVAILABLE, "no list of runs");
    assert_failure(github_runs_page(f->client, NULL, 1, f->arena, &page, &changed), ERROR_REFUSED,
        "the repository is not there");
    github_fixture_finish(f);
}

// --- tokens that only read -----------------------------------------------------------------------

struct purpose_case {
    enum github_purpose purpose;
    const char *asks; // body of the minting
};

static void
reading_asks_for_one_permission(void **state)
{
    (void)state;
    static const struct purpose_case cases[] = {
        {GITHUB_FOR_SPECS,
            "{\"repositories\":[\"infra\"],\"permissions\":{\"contents\":\"read\"}}"},
        {GITHUB_FOR_RUNS, "{\"repositories\":[\"infra\"],\"permissions\":{\"actions\":\"read\"}}"},
    };
    struct secret *pem CLEANUP(secret_freep) = NULL;
    assert_null(jwt_key_generate_pem(&pem));
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {
            {.url = GITHUB_REPO "/installation",
                .reply = "{\"id\":7,\"permissions\":{\"actions\":\"write\","
                         "\"contents\":\"write\",\"deployments\":\"write\"}}"},
            {.method = HTTP_POST,
                .url = GITHUB_API "/app/installations/7/access_tokens",
                .body = cases[i].asks,
                .status = 201,
                .reply = "{\"token\":\"ghs_x\",\"expires_at\":\"2026-11-21T08:48:00Z\"}"},
        };
        struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
        struct script_transport *script CLEANUP(script_transport_freep) =
            script_transport_new(fake, steps, ARRAY_LENGTH(steps));
        struct http_client *http CLEANUP(http_client_freep) = NULL;
        struct github_client *client CLEANUP(github_client_freep) = NULL;
        struct secret *token CLEANUP(secret_freep) = NULL;
        const struct github_options options = {.api = GITHUB_API,
            .repository = "octo/infra",
            .app_id = "Iv1.app",
            .app_key = pem,
            .purpose = cases[i].purpose};
        assert_null(http_client_new(&fake->platform, NULL, &http));
        assert_null(github_client_new(&fake->platform, http, &options, &client));
        assert_null(github_client_token(client, &token));
        script_transport_finish(script);
    }
}

static void
an_app_that_may_not_read_is_told_so(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.url = GITHUB_REPO "/installation",
        .reply = "{\"id\":7,\"permissions\":{\"deployments\":\"write\"}}"}};
    struct secret *pem CLEANUP(secret_freep) = NULL, *token = NULL;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(fake, steps, 1);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct github_client *client CLEANUP(github_client_freep) = NULL;
    assert_null(jwt_key_generate_pem(&pem));
    const struct github_options options = {.api = GITHUB_API,
        .repository = "octo/infra",
        .app_id = "Iv1.app",
        .app_key = pem,
        .purpose = GITHUB_FOR_SPECS};
    assert_null(http_client_new(&fake->platform, NULL, &http));
    assert_null(github_client_new(&fake->platform, http, &options, &client));
    assert_failure(github_client_token(client, &token), ERROR_CREDENTIALS,
        "the App may not read 'octo/infra'");
    script_transport_finish(script);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deliveries_are_read_as_the_app),
        cmocka_unit_test(a_plain_token_sees_no_deliveries),
        cmocka_unit_test(unusable_lists_are_refused),
        cmocka_unit_test(a_delivery_is_asked_for_again),
        cmocka_unit_test(a_page_costs_nothing_while_it_is_the_same),
        cmocka_unit_test(a_page_that_cannot_be_read_is_asked_for_whole_again),
        cmocka_unit_test(reading_asks_for_one_permission),
        cmocka_unit_test(an_app_that_may_not_read_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
