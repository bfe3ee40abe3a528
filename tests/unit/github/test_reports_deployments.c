// Deployments and their statuses: what is asked, and what each answer is taken for.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/github_reports.h"
#include "github_fixture.h"

#define LIST_URL                                                                                   \
    GITHUB_REPO "/deployments?ref=a1b2c3&task=deploy%3Ashop&environment=shop%20production&per_"    \
                "page=100"
#define OLDER_URL                                                                                  \
    GITHUB_REPO "/deployments?task=deploy%3Ashop&environment=shop%20production&per_page=100"
#define NAMES "\"task\":\"deploy:shop\",\"environment\":\"shop production\""
#define ITEM(id, payload) "{\"id\":" #id "," NAMES ",\"payload\":" payload "}"
#define STATUSES(id) GITHUB_REPO "/deployments/" #id "/statuses?per_page=100"
#define ADD_URL(id) GITHUB_REPO "/deployments/" #id "/statuses"

static const struct github_deployment shop = {
    .ref = "a1b2c3",
    .task = "deploy:shop",
    .environment = "shop production",
    .description = "version \"7\"",
    .payload_id = "d-1",
    .app = "shop",
    .is_production = true,
};

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

static struct github_fixture *
fixture(const struct script_step *steps, size_t count)
{
    return github_fixture_reports(steps, count, false);
}

// --- finding -------------------------------------------------------------------------------------

static int64_t
found(const char *reply)
{
    const struct script_step steps[] = {{.url = LIST_URL, .no_body = true, .reply = reply}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 1);
    int64_t id = -1;
    struct error *err = github_deployment_find(f->client, &shop, f->arena, &id);
    if (err != NULL) {
        fail_msg("%s", error_text(err));
    }
    github_fixture_finish(f);
    return id;
}

static void
the_newest_with_our_mark_is_found(void **state)
{
    (void)state;
    assert_int_equal(found("[]"), 0);
    assert_int_equal(found("[" ITEM(9, "{\"id\":\"d-2\"}") "," ITEM(8, "{\"id\":\"d-1\"}") "," //
                         ITEM(7, "{\"id\":\"d-1\"}") "]"),
        8);
    // As text, which is what some servers make of an object.
    assert_int_equal(
        found("[" ITEM(9, "\"{\\\"id\\\":\\\"d-1\\\",\\\"app\\\":\\\"shop\\\"}\"") "]"), 9);
}

static void
what_is_not_ours_is_not_taken(void **state)
{
    (void)state;
    assert_int_equal(found("[{\"id\":9," NAMES "}]"), 0);
    static const char *const payloads[] = {"null", "\"\"", "\"d-1\"", "\"{\"", "\"[1]\"", "7", "[]",
        "{}", "{\"id\":1}", "{\"id\":null}", "{\"id\":\"D-1\"}", "{\"app\":\"d-1\"}"};
    for (size_t i = 0; i < ARRAY_LENGTH(payloads); i++) {
        char reply[256];
        (void)snprintf(reply, sizeof(reply), "[{\"id\":9," NAMES ",\"payload\":%s}]", payloads[i]);
        assert_int_equal(found(reply), 0);
    }
    // A server that filters by nothing.
    assert_int_equal(found("[{\"id\":9,\"task\":\"deploy\",\"environment\":\"shop production\","
                           "\"payload\":{\"id\":\"d-1\"}}]"),
        0);
    assert_int_equal(found("[{\"id\":9,\"task\":\"deploy:shop\",\"environment\":\"staging\","
                           "\"payload\":{\"id\":\"d-1\"}}]"),
        0);
}

static void
pages_are_followed_until_it_is_found(void **state)
{
    (void)state;
    static const char *const next[] = {
        "Link: <https://api.github.com/repositories/9/deployments?page=2>; rel=\"next\"", NULL};
    static const struct script_step steps[] = {
        {.url = LIST_URL, .reply_headers = next, .reply = "[" ITEM(9, "{}") "]"},
        {.url = GITHUB_API "/repositories/9/deployments?page=2",
            .reply_headers = next, // not asked for
            .reply = "[" ITEM(5, "{\"id\":\"d-1\"}") "]"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 2);
    int64_t id = -1;
    assert_null(github_deployment_find(f->client, &shop, f->arena, &id));
    assert_int_equal(id, 5);
    github_fixture_finish(f);
}

static void
endless_pages_have_an_end(void **state)
{
    (void)state;
    static const char *const next[] = {
        "Link: <https://api.github.com/repositories/9/deployments?page=2>; rel=\"next\"", NULL};
    static const struct script_step steps[] = {
        {.url = LIST_URL, .reply_headers = next, .reply = "[]"},
        {.url = GITHUB_API "/repositories/9/deployments?page=2",
            .reply_headers = next,
            .reply = "[]",
            .times = 9},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 2);
    int64_t id = -1;
    assert_null(github_deployment_find(f->client, &shop, f->arena, &id));
    assert_int_equal(id, 0);
    github_fixture_finish(f);
}

static void
unusable_lists(void **state)
{
    (void)state;
    static char many[20000];
    size_t len = (size_t)snprintf(many, sizeof(many), "[" ITEM(1, "{}"));
    for (size_t i = 0; i < 100; i++) {
        len += (size_t)snprintf(many + len, sizeof(many) - len, "," ITEM(1, "{}"));
    }
    (void)snprintf(many + len, sizeof(many) - len, "]");
    const struct {
        const char *reply, *says;
    } cases[] = {
        {"{}", "look for the deployment of 'a1b2c3' of 'octo/infra' to 'shop production': "
               "unusable answer: no list of at most 100"},
        {"null", "no list of at most 100"},
        {many, "no list of at most 100"},
        {"[7]", "item 0: unusable answer: not a JSON object (deployment)"},
        {"[" ITEM(9, "{}") ",{\"id\":\"8\"}]", "item 1: unusable answer: 'id' "},
        {"[{\"id\":9,\"task\":1}]", "'task' "},
        {"[{\"id\":9,\"task\":\"deploy\"}]", "'environment' "},
        {"[" ITEM(0, "{}") "]", "'id' of a deployment is not above 0"},
        {"[" ITEM(-4, "{}") "]", "'id' of a deployment is not above 0"},
        {"[" ITEM(1.5, "{}") "]", "'id' "},
        {"[" ITEM(9223372036854775808, "{}") "]", "unusable answer"},
        {"[" ITEM(9, "{}"), "unusable answer: JSON"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {{.url = LIST_URL, .reply = cases[i].reply}};
        struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 1);
        int64_t id = -1;
        assert_failure(github_deployment_find(f->client, &shop, f->arena, &id), ERROR_UNAVAILABLE,
            cases[i].says);
        assert_int_equal(id, -1);
        github_fixture_finish(f);
    }
}

static void
a_repository_that_is_not_there(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = LIST_URL, .status = 404, .reply = "{\"message\":\"Not Found\"}"}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 1);
    int64_t id = -1;
    struct error *err = github_deployment_find(f->client, &shop, f->arena, &id);
    assert_int_equal(error_remote_of(err)->status, 404);
    assert_failure(err, ERROR_REFUSED, "it is not there");
    github_fixture_finish(f);
}

// --- making --------------------------------------------------------------------------------------

#define MAKE_BODY                                                                                  \
    "{\"ref\":\"a1b2c3\",\"task\":\"deploy:shop\",\"auto_merge\":false,\"required_contexts\":[],"  \
    "\"payload\":{\"id\":\"d-1\",\"app\":\"shop\"},\"environment\":\"shop production\","           \
    "\"description\":\"version \\\"7\\\"\",\"transient_environment\":false,"                       \
    "\"production_environment\":true}"

static void
a_deployment_is_made_and_nothing_else(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = GITHUB_REPO "/deployments",
        .must_be_once = true,
        .body = MAKE_BODY,
        .status = 201,
        .reply = ITEM(9007199254740993, "{}")}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 1);
    int64_t id = 0;
    assert_null(github_deployment_create(f->client, &shop, f->arena, &id));
    assert_true(id == INT64_C(9007199254740993)); // beyond what a double holds
    github_fixture_finish(f);
}

static void
what_is_not_known_is_left_out(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = GITHUB_REPO "/deployments",
        .must_be_once = true,
        .body = "{\"ref\":\"a\",\"task\":\"t\",\"auto_merge\":false,\"required_contexts\":[],"
                "\"payload\":{\"id\":\"d\"},\"environment\":\"e\",\"transient_environment\":true,"
                "\"production_environment\":false}",
        .status = 201,
        .reply = "{\"id\":1}"}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 1);
    const struct github_deployment least = {
        .ref = "a", .task = "t", .environment = "e", .payload_id = "d", .is_transient = true};
    int64_t id = 0;
    assert_null(github_deployment_create(f->client, &least, f->arena, &id));
    assert_int_equal(id, 1);
    github_fixture_finish(f);
}

static void
answers_to_making(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply;
        enum error_kind kind;
        const char *says;
    } cases[] = {
        {202, "{\"message\":\"Auto-merged master into topic\"}", ERROR_REFUSED,
            "record the deployment of 'a1b2c3' of 'octo/infra' to 'shop production': GitHub did "
            "something else and made nothing"},
        {409, "{\"message\":\"Conflict: Commit status checks failed for a1b2c3.\"}", ERROR_REFUSED,
            "Commit status checks failed"},
        {422,
            "{\"message\":\"Validation Failed\",\"errors\":[{\"field\":\"ref\",\"code\":"
            "\"invalid\"}]}",
            ERROR_REFUSED, "Validation Failed: 'ref' invalid"},
        {404, "{\"message\":\"Not Found\"}", ERROR_REFUSED, "it is not there"},
        {403, "{\"message\":\"Resource not accessible by integration\"}", ERROR_CREDENTIALS,
            "Resource not accessible by integration"},
        {401, "{\"message\":\"Bad credentials\"}", ERROR_CREDENTIALS, "Bad credentials"},
        {201, "{}", ERROR_UNAVAILABLE, "'id' "},
        {201, "{\"id\":\"9\"}", ERROR_UNAVAILABLE, "'id' "},
        {201, "{\"id\":0}", ERROR_UNAVAILABLE, "'id' of what was made is not above 0"},
        {201, "[]", ERROR_UNAVAILABLE, "not a JSON object"},
        {201, "", ERROR_UNAVAILABLE, "unusable answer"},
        {502, "<html>", ERROR_UNAVAILABLE, "HTTP 502"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {{.method = HTTP_POST,
            .url = GITHUB_REPO "/deployments",
            .must_be_once = true,
            .status = cases[i].status,
            .reply = cases[i].reply}};
        struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 1);
        int64_t id = -1;
        struct error *err = github_deployment_create(f->client, &shop, f->arena, &id);
        assert_int_equal(error_remote_of(err)->status, cases[i].status);
        assert_true(error_remote_of(err)->request_left);
        assert_failure(err, cases[i].kind, cases[i].says);
        assert_int_equal(id, -1);
        github_fixture_finish(f);
    }
}

// --- statuses ------------------------------------------------------------------------------------

static void
a_status_is_added(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = ADD_URL(7),
            .must_be_once = true,
            .body = "{\"state\":\"success\",\"description\":\"deployed\",\"log_url\":\"https://l\","
                    "\"environment_url\":\"https://e\",\"environment\":\"production\","
                    "\"auto_inactive\":false}",
            .status = 201,
            .reply = "{\"id\":1}"},
        {.method = HTTP_POST,
            .url = ADD_URL(7),
            .must_be_once = true,
            .body = "{\"state\":\"inactive\",\"auto_inactive\":false}",
            .status = 201,
            .reply = "{\"id\":2}"},
        {.method = HTTP_POST,
            .url = ADD_URL(7),
            .must_be_once = true,
            .status = 422,
            .reply = "{\"message\":\"Validation Failed\"}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 3);
    const struct github_deployment_status full = {
        "success", "deployed", "https://l", "https://e", "production"};
    const struct github_deployment_status least = {.state = "inactive"};
    assert_null(github_deployment_status_add(f->client, 7, &full));
    assert_null(github_deployment_status_add(f->client, 7, &least));
    assert_failure(github_deployment_status_add(f->client, 7, &least), ERROR_REFUSED,
        "set deployment 7 of 'octo/infra' to 'inactive'");
    assert_int_equal(script_transport_request(f->script, 1)->sent_mono_ms -
                         script_transport_request(f->script, 0)->sent_mono_ms,
        1000); // GitHub's best practices
    github_fixture_finish(f);
}

static void
the_last_status_is_read(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = STATUSES(7), .reply = "[]"},
        {.url = STATUSES(7),
            .reply = "[{\"id\":3,\"state\":\"pending\"},{\"id\":5,\"state\":\"success\","
                     "\"description\":\"d\",\"log_url\":\"l\",\"environment_url\":\"u\","
                     "\"environment\":\"e\"},{\"id\":4,\"state\":\"failure\"}]"},
        {.url = STATUSES(7), .reply = "[{\"id\":3,\"state\":null}]"},
        {.url = STATUSES(7), .status = 404, .reply = "{\"message\":\"Not Found\"}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 4);
    struct github_deployment_status other = {0}, *last = &other;
    assert_null(github_deployment_status_last(f->client, 7, f->arena, &last));
    assert_null(last);
    assert_null(github_deployment_status_last(f->client, 7, f->arena, &last));
    assert_string_equal(last->state, "success");
    assert_string_equal(last->description, "d");
    assert_string_equal(last->log_url, "l");
    assert_string_equal(last->environment_url, "u");
    assert_string_equal(last->environment, "e");
    last = &other;
    assert_failure(github_deployment_status_last(f->client, 7, f->arena, &last), ERROR_UNAVAILABLE,
        "statuses of deployment 7 of 'octo/infra': item 0: unusable answer: 'state' ");
    assert_failure(github_deployment_status_last(f->client, 7, f->arena, &last), ERROR_REFUSED,
        "it is not there");
    assert_ptr_equal(last, &other);
    github_fixture_finish(f);
}

// --- retiring ------------------------------------------------------------------------------------

static void
older_successes_become_inactive(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = OLDER_URL,
            .reply = "[" ITEM(22, "{\"app\":\"shop\"}") ","  // newer than ours
            ITEM(20, "{\"app\":\"shop\"}") ","               // ours
            ITEM(19, "{\"app\":\"shop\"}") ","               // success
            ITEM(18, "{\"app\":\"other\"}") ","              // of another app
            ITEM(17, "{\"app\":\"shop\"}") ","               // inactive already
            ITEM(16, "{}") ","                               // somebody else's
            ITEM(15, "\"{\\\"app\\\":\\\"shop\\\"}\"") "]"}, // no status at all
        {.url = STATUSES(19), .reply = "[{\"id\":2,\"state\":\"success\"}]"},
        {.method = HTTP_POST,
            .url = ADD_URL(19),
            .must_be_once = true,
            .body = "{\"state\":\"inactive\",\"auto_inactive\":false}",
            .status = 201,
            .reply = "{\"id\":3}"},
        {.url = STATUSES(17),
            .reply = "[{\"id\":4,\"state\":\"inactive\"},{\"id\":2,\"state\":\"success\"}]"},
        {.url = STATUSES(15), .reply = "[]"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, ARRAY_LENGTH(steps));
    size_t count = 9;
    assert_null(github_deployment_retire(f->client, &shop, 20, f->arena, &count));
    assert_int_equal(count, 1);
    github_fixture_finish(f);
}

static void
no_more_than_ten_are_looked_at(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = OLDER_URL,
            .reply = "[" ITEM(19, "{\"app\":\"shop\"}") "," ITEM(18, "{\"app\":\"shop\"}") "," //
            ITEM(17, "{\"app\":\"shop\"}") "," ITEM(16, "{\"app\":\"shop\"}") ","              //
            ITEM(15, "{\"app\":\"shop\"}") "," ITEM(14, "{\"app\":\"shop\"}") ","              //
            ITEM(13, "{\"app\":\"shop\"}") "," ITEM(12, "{\"app\":\"shop\"}") ","              //
            ITEM(11, "{\"app\":\"shop\"}") "," ITEM(10, "{\"app\":\"shop\"}") ","              //
            ITEM(9, "{\"app\":\"shop\"}") "]"},
        {.url_pattern = GITHUB_REPO "/deployments/1?/statuses*",
            .reply = "[{\"id\":4,\"state\":\"failure\"}]",
            .times = 10},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 2);
    size_t count = 9;
    assert_null(github_deployment_retire(f->client, &shop, 20, f->arena, &count));
    assert_int_equal(count, 0);
    github_fixture_finish(f);
}

static void
a_failure_while_retiring_is_told(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = OLDER_URL, .reply = "[" ITEM(19, "{\"app\":\"shop\"}") "]"},
        {.url = STATUSES(19), .reply = "[{\"id\":2,\"state\":\"success\"}]"},
        {.method = HTTP_POST, .url = ADD_URL(19), .must_be_once = true, .status = 502},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = fixture(steps, 3);
    size_t count = 9;
    assert_failure(github_deployment_retire(f->client, &shop, 20, f->arena, &count),
        ERROR_UNAVAILABLE,
        "retire what was before the deployment of 'a1b2c3' of 'octo/infra' to 'shop production': "
        "set deployment 19 of 'octo/infra' to 'inactive'");
    assert_int_equal(count, 9);
    github_fixture_finish(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_with_our_mark_is_found),
        cmocka_unit_test(what_is_not_ours_is_not_taken),
        cmocka_unit_test(pages_are_followed_until_it_is_found),
        cmocka_unit_test(endless_pages_have_an_end),
        cmocka_unit_test(unusable_lists),
        cmocka_unit_test(a_repository_that_is_not_there),
        cmocka_unit_test(a_deployment_is_made_and_nothing_else),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(answers_to_making),
        cmocka_unit_test(a_status_is_added),
        cmocka_unit_test(the_last_status_is_read),
        cmocka_unit_test(older_successes_become_inactive),
        cmocka_unit_test(no_more_than_ten_are_looked_at),
        cmocka_unit_test(a_failure_while_retiring_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
