// Blobs on their way: sessions and where they lead, what is tried again and how long is waited,
// lost answers, lost sessions, and giving up.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "registry_fixture.h"

#define PUSH "push 'registry.example.org/team/app:v1': "
#define PUT_LAYER PUSH "PUT blob '" FIXTURE_LAYER "': "
#define POST_LAYER PUSH "POST upload for blob '" FIXTURE_LAYER "': "
#define UPLOAD_URL FIXTURE_BASE "/blobs/uploads/1"
#define PUT_URL UPLOAD_URL "?" FIXTURE_LAYER_QUERY
#define RUN(fixture, steps)                                                                        \
    struct registry_fixture fixture CLEANUP(registry_fixture_done);                                \
    registry_fixture_init(&fixture, steps, ARRAY_LENGTH(steps))

// Where a session may lead, seen from https://registry.example.org/v2/team/app/blobs/uploads/.
static const struct {
    const char *location, *url;
    bool foreign;
} locations[] = {
    {"/v2/team/app/blobs/uploads/7", "https://registry.example.org/v2/team/app/blobs/uploads/7?",
        false},
    {"7", FIXTURE_BASE "/blobs/uploads/7?", false},
    {"7?_state=x&y=%2F", FIXTURE_BASE "/blobs/uploads/7?_state=x&y=%2F&", false},
    {"https://registry.example.org/u", "https://registry.example.org/u?", false},
    {"https://registry.example.org:443/u", "https://registry.example.org:443/u?", false},
    {"HTTPS://REGISTRY.example.org/u", "HTTPS://REGISTRY.example.org/u?", false},
    {"//registry.example.org/u", "https://registry.example.org/u?", false},
    {"https://storage.example.com/u?signature=s", "https://storage.example.com/u?signature=s&",
        true},
    {"https://registry.example.org:8443/u", "https://registry.example.org:8443/u?", true},
};

static void
bodies_go_where_the_session_leads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(locations); i++) {
        char *header CLEANUP(xfreep) = xasprintf("Location: %s", locations[i].location);
        char *url CLEANUP(xfreep) = xasprintf("%s%s", locations[i].url, FIXTURE_LAYER_QUERY);
        const char *const reply_headers[] = {header, NULL};
        const char *const with[] = {"Authorization: Basic cm9ib3Q6Y2FuYXJ5LXBhc3N3b3Jk", NULL};
        const char *const without[] = {"!Authorization", NULL};
        const struct script_step steps[] = {
            STEPS_LAYER_MISSING,
            {.method = HTTP_POST,
                .url = FIXTURE_BASE "/blobs/uploads/",
                .headers = with,
                .status = 202,
                .reply_headers = reply_headers},
            {.method = HTTP_PUT,
                .url = url,
                .headers = locations[i].foreign ? without : with,
                .body = "hello",
                .status = 201},
            STEPS_REST,
        };
        RUN(fixture, steps);
        struct secret *password CLEANUP(secret_freep) = secret_new(STR("canary-password"));
        fixture.options.user = "robot";
        fixture.options.password = password;
        fixture.options.is_ecr = true; // Basic from the first request on
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    }
}

#define NOT_ENCRYPTED(where)                                                                       \
    "registry 'registry.example.org' sends the upload on to '" where "', which is not encrypted"
#define PROXY_HINT                                                                                 \
    "If that is the registry behind a TLS proxy, let the proxy set X-Forwarded-Proto and Host."

static const struct {
    const char *location, *text, *hint;
    enum error_kind kind;
} bad_locations[] = {
    {"http://registry.example.org/u", NOT_ENCRYPTED("http://registry.example.org"), PROXY_HINT,
        ERROR_REFUSED},
    {"http://127.0.0.1:8080/u", NOT_ENCRYPTED("http://127.0.0.1"), PROXY_HINT, ERROR_REFUSED},
    {"http://169.254.169.254/latest", NOT_ENCRYPTED("http://169.254.169.254"), PROXY_HINT,
        ERROR_REFUSED},
    {"https://robot:x@registry.example.org/u",
        "registry 'registry.example.org' sends the upload on to a URL with a user name in it", NULL,
        ERROR_REFUSED},
    {"ftp://registry.example.org/u",
        "registry 'registry.example.org' opened an upload at an unusable Location: URL "
        "'ftp://registry.example.org/u' is invalid: only http and https are supported",
        "Write it as https://host/path.", ERROR_UNAVAILABLE},
    {"file:///etc/passwd",
        "registry 'registry.example.org' opened an upload at an unusable Location: URL "
        "'file:///etc/passwd' is invalid: only http and https are supported",
        "Write it as https://host/path.", ERROR_UNAVAILABLE},
    {"a b",
        "registry 'registry.example.org' opened an upload at an unusable Location: URL 'a b' is "
        "invalid: it cannot be followed",
        "Write it as https://host/path.", ERROR_UNAVAILABLE},
};

static void
sessions_that_lead_astray_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad_locations); i++) {
        char *header CLEANUP(xfreep) = xasprintf("Location: %s", bad_locations[i].location);
        const char *const reply_headers[] = {header, NULL};
        const struct script_step steps[] = {
            STEPS_LAYER_MISSING,
            {.method = HTTP_POST,
                .url = FIXTURE_BASE "/blobs/uploads/",
                .status = 202,
                .reply_headers = reply_headers},
        };
        RUN(fixture, steps);
        char *text CLEANUP(xfreep) = xasprintf(PUSH "%s", bad_locations[i].text);
        registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL),
            bad_locations[i].kind, text, bad_locations[i].hint);
    }
}

static void
a_session_without_a_location_is_refused(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        {.method = HTTP_POST, .url = FIXTURE_BASE "/blobs/uploads/", .status = 202},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "registry 'registry.example.org' opened an upload without saying where (no Location)",
        NULL);
}

static void
a_missing_repository_is_named(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        {.method = HTTP_POST,
            .url = FIXTURE_BASE "/blobs/uploads/",
            .status = 404,
            .reply = "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"The repository with "
                     "name 'team/app' does not exist\"}]}"},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_REFUSED,
        POST_LAYER "The repository with name 'team/app' does not exist (HTTP 404)",
        "Create the repository first; this registry does not do it itself.");
}

// ECR drops the connection of the POST instead of answering.
static void
a_dropped_session_is_asked_about(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        {.method = HTTP_POST,
            .url = FIXTURE_BASE "/blobs/uploads/",
            .failure = "empty reply from server",
            .request_left = true},
        {.method = HTTP_GET,
            .url = FIXTURE_TAG_URL,
            .status = 404,
            .reply = "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"no such repo\"}]}"},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_REFUSED,
        PUSH "repository 'team/app': no such repo (HTTP 404)",
        "Create the repository first; this registry does not do it itself.");
}

static void
a_dropped_session_is_opened_again_when_the_repository_is_there(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        {.method = HTTP_POST,
            .url = FIXTURE_BASE "/blobs/uploads/",
            .failure = "empty reply from server",
            .request_left = true},
        {.method = HTTP_GET,
            .url = FIXTURE_TAG_URL,
            .status = 404,
            .reply = "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}"},
        STEPS_CONFIG_SENT, // while the layer waits
        STEP_SESSION("1"),
        STEP_PUT_LAYER(PUT_URL),
        STEP_PUT_TAG,
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    assert_int_equal(fixture.fake->sleep_count, 1);
    assert_int_equal(fixture.fake->sleeps[0], 250); // half of 500 ms
}

#define STEP_PUT_LOST                                                                              \
    {                                                                                              \
        .method = HTTP_PUT, .url = PUT_URL, .failure = "connection reset", .request_left = true    \
    }

static void
a_lost_answer_is_looked_up_before_anything_is_sent_again(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        STEP_SESSION("1"),
        STEP_PUT_LOST,
        STEPS_CONFIG_SENT, // while the layer waits
        STEP_LAYER_PRESENT,
        STEP_PUT_TAG,
    };
    RUN(fixture, steps);
    struct registry_push_result result = {0};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
    assert_int_equal(result.blobs_sent, 2);
    assert_int_equal(result.bytes_sent, 7);
    assert_int_equal(result.blobs_present, 0);
}

static void
a_lost_body_gets_a_session_of_its_own(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        STEP_SESSION("1"),
        STEP_PUT_LOST,
        STEPS_CONFIG_SENT, // while the layer waits
        STEP_LAYER_ABSENT,
        STEP_SESSION("2"),
        STEP_PUT_LAYER(FIXTURE_BASE "/blobs/uploads/2?" FIXTURE_LAYER_QUERY),
        STEP_PUT_TAG,
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    assert_string_equal(fixture.progress, "sasSsSm");
}

static void
a_body_that_is_always_lost_is_given_up(void **state)
{
    (void)state;
#define ONE_TRY STEP_SESSION("1"), STEP_PUT_LOST
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        ONE_TRY,
        STEPS_CONFIG_SENT, // while the layer waits
        STEP_LAYER_ABSENT,
        ONE_TRY,
        STEP_LAYER_ABSENT,
        ONE_TRY,
        STEP_LAYER_ABSENT,
        ONE_TRY,
        STEP_LAYER_ABSENT,
        ONE_TRY,
        {.method = HTTP_DELETE, .url = UPLOAD_URL, .status = 204},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUT_LAYER "given up after 5 attempts: PUT " UPLOAD_URL ": connection reset", NULL);
    assert_int_equal(fixture.fake->sleep_count, 4);
    assert_int_equal(fixture.fake->sleeps[3], 2000); // half of 500 ms, doubled three times
}

static void
a_lost_session_is_opened_again(void **state)
{
    (void)state;
    static const char *const codes[] = {"BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"};
    for (size_t i = 0; i < 3; i++) {
        char *reply CLEANUP(xfreep) =
            xasprintf("{\"errors\":[{\"code\":\"%s\"}]}", i < 2 ? codes[i] : "RANGE_INVALID");
        const struct script_step steps[] = {
            STEPS_LAYER_MISSING,
            STEP_SESSION("1"),
            {.method = HTTP_PUT,
                .url = PUT_URL,
                .status = i == 0   ? 400
                          : i == 1 ? 404
                                   : 416,
                .reply = reply},
            STEP_SESSION("2"),
            STEP_PUT_LAYER(FIXTURE_BASE "/blobs/uploads/2?" FIXTURE_LAYER_QUERY),
            STEPS_REST,
        };
        RUN(fixture, steps);
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    }
}

static void
a_session_that_is_always_lost_is_given_up(void **state)
{
    (void)state;
#define ONE_LOSS                                                                                   \
    STEP_SESSION("1"),                                                                             \
    {                                                                                              \
        .method = HTTP_PUT, .url = PUT_URL, .status = 416                                          \
    }
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        ONE_LOSS,
        ONE_LOSS,
        ONE_LOSS,
        ONE_LOSS,
        ONE_LOSS,
        {.method = HTTP_DELETE, .url = UPLOAD_URL, .failure = "gone", .request_left = true},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_REFUSED,
        PUT_LAYER "the upload session is out of step (HTTP 416)", NULL);
}

static void
retry_after_is_obeyed(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_MANIFEST_ABSENT,
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER,
            .status = 429,
            .reply_headers = (const char *const[]){"Retry-After: 7", NULL}},
        STEPS_CONFIG_SENT, // meanwhile
        STEP_LAYER_ABSENT,
        {.method = HTTP_POST,
            .url = FIXTURE_BASE "/blobs/uploads/",
            .status = 503,
            .reply_headers = (const char *const[]){"Retry-After: 11", NULL}},
        STEP_SESSION("1"),
        STEP_PUT_LAYER(PUT_URL),
        {.method = HTTP_PUT,
            .url = FIXTURE_TAG_URL,
            .status = 429,
            .reply_headers = (const char *const[]){"Retry-After: 3", NULL}},
        STEP_PUT_TAG,
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    assert_int_equal(fixture.fake->sleep_count, 3);
    assert_int_equal(fixture.fake->sleeps[0], 7000);
    assert_int_equal(fixture.fake->sleeps[1], 11000);
    assert_int_equal(fixture.fake->sleeps[2], 3000);
}

static void
an_old_way_of_throttling_is_understood(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        {.method = HTTP_POST,
            .url = FIXTURE_BASE "/blobs/uploads/",
            .status = 400,
            .reply = "{\"errors\":[{\"code\":\"ThrottlingException\",\"message\":\"Rate "
                     "exceeded\"}]}"},
        STEPS_CONFIG_SENT, // while the layer waits
        STEP_SESSION("1"),
        STEP_PUT_LAYER(PUT_URL),
        STEP_PUT_TAG,
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    assert_int_equal(fixture.fake->sleeps[0], 1000); // half of 2 s
}

static void
a_registry_that_stays_away_is_unavailable(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        {.method = HTTP_POST, .url = FIXTURE_BASE "/blobs/uploads/", .status = 503},
        STEPS_CONFIG_SENT, // while the layer waits
        {.method = HTTP_POST, .url = FIXTURE_BASE "/blobs/uploads/", .status = 503, .times = 4},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        POST_LAYER "the registry is not available (HTTP 503)", NULL);
}

static void
a_check_that_fails_for_good_is_unavailable(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_MANIFEST_ABSENT,
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER,
            .status = 500,
            .times = 1},
        STEPS_CONFIG_SENT,
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER,
            .status = 500,
            .times = 4},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "HEAD blob '" FIXTURE_LAYER "': the registry failed (HTTP 500)", NULL);
}

static void
a_failure_of_tls_is_not_tried_again(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST,
            .failure = "certificate has expired",
            .failure_code = "tls"},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "ask registry 'registry.example.org' for manifest '" FIXTURE_MANIFEST
             "': HEAD " FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST ": certificate has expired",
        NULL);
}

static void
an_answer_without_end_is_not_tried_again(void **state)
{
    (void)state;
    char *bomb CLEANUP(xfreep) = xmalloc(9 * 1024 * 1024);
    memset(bomb, 'x', 9 * 1024 * 1024);
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        {.method = HTTP_POST,
            .url = FIXTURE_BASE "/blobs/uploads/",
            .status = 500,
            .reply = bomb,
            .reply_len = 9 * 1024 * 1024},
        {.method = HTTP_GET, .url = FIXTURE_TAG_URL, .status = 404},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        POST_LAYER "POST " FIXTURE_BASE "/blobs/uploads/: the answer is too long", NULL);
}

static void
a_refused_digest_ends_the_push_and_the_session(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        STEP_SESSION("1"),
        {.method = HTTP_PUT,
            .url = PUT_URL,
            .status = 400,
            .reply = "{\"errors\":[{\"code\":\"DIGEST_INVALID\",\"message\":\"provided digest did "
                     "not match uploaded content\"}]}",
            .reply_headers = (const char *const[]){"x-amzn-requestid: 7f3a", NULL}},
        {.method = HTTP_DELETE, .url = UPLOAD_URL, .status = 204},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_REFUSED,
        PUT_LAYER "provided digest did not match uploaded content (HTTP 400, request 7f3a)", NULL);
}

// Our copy is the damaged one: the blob is named, with what it holds.
static void
a_corrupt_layer_is_found_when_the_registry_refuses_it(void **state)
{
    (void)state;
    static const char *const codes[] = {"DIGEST_INVALID", "SIZE_INVALID"};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        char *reply CLEANUP(xfreep) = xasprintf("{\"errors\":[{\"code\":\"%s\"}]}", codes[i]);
        const struct script_step steps[] = {
            STEPS_LAYER_MISSING,
            STEP_SESSION("1"),
            {.method = HTTP_PUT, .url = PUT_URL, .body = "jello", .status = 400, .reply = reply},
            {.method = HTTP_DELETE, .url = UPLOAD_URL, .status = 204},
        };
        RUN(fixture, steps);
        registry_fixture_open(&fixture, false);
        registry_fixture_corrupt_layer(&fixture);
        registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_INPUT,
            PUSH "blob '" FIXTURE_LAYER "' is corrupt: its content has digest "
                 "'sha256:187c9bceeb919e1b3e6d20fa50ecabf7d9d50b5343e8f9a3d912abb13929102e'",
            "Build or save the image again.");
    }
}

static void
a_blob_stored_as_something_else_is_found_out(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        STEP_SESSION("1"),
        {.method = HTTP_PUT,
            .url = PUT_URL,
            .status = 201,
            .reply_headers = (const char *const[]){"Docker-Content-Digest: " FIXTURE_OTHER, NULL}},
        {.method = HTTP_DELETE, .url = UPLOAD_URL, .status = 404},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "registry 'registry.example.org' stored blob '" FIXTURE_LAYER "' as '" FIXTURE_OTHER
             "'",
        NULL);
}

static void
a_blob_of_another_size_is_found_out(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_MANIFEST_ABSENT,
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER,
            .reply_headers = (const char *const[]){"Content-Length: 4", NULL}},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "registry 'registry.example.org' says blob '" FIXTURE_LAYER
             "' has 4 bytes instead of 5",
        "Its copy is damaged; let the registry's owner delete it.");
}

// The file shrank after it was opened: nothing of it is sent, since a body that ends early would
// keep the registry waiting.
static void
a_layer_that_became_shorter_is_not_sent(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        STEP_SESSION("1"),
        {.method = HTTP_DELETE, .url = UPLOAD_URL, .status = 204},
    };
    RUN(fixture, steps);
    registry_fixture_open(&fixture, false);
    registry_fixture_cut_layer(&fixture);
    char *text CLEANUP(xfreep) = xasprintf(PUSH "image 'oci:%s:" FIXTURE_MANIFEST
                                                "': 'blobs/sha256/%s' has 1 bytes instead of 5",
        fixture.dir, FIXTURE_LAYER + strlen("sha256:"));
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_INPUT, text,
        "It was there a moment ago; do not change the image while it is pushed.");
}

static void
an_interruption_ends_the_waiting(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_LAYER_MISSING,
        {.method = HTTP_POST,
            .url = FIXTURE_BASE "/blobs/uploads/",
            .status = 503,
            .reply_headers = (const char *const[]){"Retry-After: 60", NULL}},
        STEPS_CONFIG_SENT,
    };
    RUN(fixture, steps);
    fixture.fake->cancel_at_ms = fixture.fake->mono_ms + 5000;
    struct error *err = registry_fixture_push(&fixture, NULL);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_int_equal(cancel_signal(fixture.fake->cancel), SIGTERM);
    error_free(err);
    script_transport_finish(fixture.script);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_go_where_the_session_leads),
        cmocka_unit_test(sessions_that_lead_astray_are_refused),
        cmocka_unit_test(a_session_without_a_location_is_refused),
        cmocka_unit_test(a_missing_repository_is_named),
        cmocka_unit_test(a_dropped_session_is_asked_about),
        cmocka_unit_test(a_dropped_session_is_opened_again_when_the_repository_is_there),
        cmocka_unit_test(a_lost_answer_is_looked_up_before_anything_is_sent_again),
        cmocka_unit_test(a_lost_body_gets_a_session_of_its_own),
        cmocka_unit_test(a_body_that_is_always_lost_is_given_up),
        cmocka_unit_test(a_lost_session_is_opened_again),
        cmocka_unit_test(a_session_that_is_always_lost_is_given_up),
        cmocka_unit_test(retry_after_is_obeyed),
        cmocka_unit_test(an_old_way_of_throttling_is_understood),
        cmocka_unit_test(a_registry_that_stays_away_is_unavailable),
        cmocka_unit_test(a_check_that_fails_for_good_is_unavailable),
        cmocka_unit_test(a_failure_of_tls_is_not_tried_again),
        cmocka_unit_test(an_answer_without_end_is_not_tried_again),
        cmocka_unit_test(a_refused_digest_ends_the_push_and_the_session),
        cmocka_unit_test(a_corrupt_layer_is_found_when_the_registry_refuses_it),
        cmocka_unit_test(a_blob_stored_as_something_else_is_found_out),
        cmocka_unit_test(a_blob_of_another_size_is_found_out),
        cmocka_unit_test(a_layer_that_became_shorter_is_not_sent),
        cmocka_unit_test(an_interruption_ends_the_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
