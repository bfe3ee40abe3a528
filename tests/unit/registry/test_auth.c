// Who we are to a registry: challenges answered, tokens got, used, renewed, and never sent where
// they do not belong.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "registry_fixture.h"

#define MANIFEST_URL FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST
#define PUSH "push 'registry.example.org/team/app:v1': "
#define BEARER                                                                                     \
    "WWW-Authenticate: Bearer "                                                                    \
    "realm=\"https://auth.example.org/token\",service=\"registry.example.org\","                   \
    "scope=\"repository:team/app:pull\""
#define TOKEN_URL                                                                                  \
    "https://auth.example.org/"                                                                    \
    "token?service=registry.example.org&scope=repository%3Ateam%2Fapp%3Apull%2Cpush"
// robot:canary-password
#define BASIC "Authorization: Basic cm9ib3Q6Y2FuYXJ5LXBhc3N3b3Jk"
// robot:canary-renewed
#define BASIC_RENEWED "Authorization: Basic cm9ib3Q6Y2FuYXJ5LXJlbmV3ZWQ="

#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define STEP_REFUSED(challenge)                                                                    \
    {                                                                                              \
        .method = HTTP_HEAD, .url = MANIFEST_URL, .status = 401, .reply_headers = LIST(challenge)  \
    }
#define STEP_TOKEN(text)                                                                           \
    {                                                                                              \
        .method = HTTP_GET, .url = TOKEN_URL, .headers = LIST(BASIC), .reply = text                \
    }
// The image is there, so that a push is over with the tag.
#define STEPS_THERE_WITH(header)                                                                   \
    {.method = HTTP_HEAD,                                                                          \
        .url = MANIFEST_URL,                                                                       \
        .headers = LIST(header),                                                                   \
        .reply_headers = LIST("Docker-Content-Digest: " FIXTURE_MANIFEST)},                        \
    {                                                                                              \
        .method = HTTP_PUT, .url = FIXTURE_TAG_URL, .headers = LIST(header), .status = 201,        \
        .reply_headers = LIST("Docker-Content-Digest: " FIXTURE_MANIFEST)                          \
    }
#define RUN(fixture, steps)                                                                        \
    struct registry_fixture fixture CLEANUP(registry_fixture_done);                                \
    struct secret *password CLEANUP(secret_freep) = secret_new(STR("canary-password"));            \
    registry_fixture_init(&fixture, steps, ARRAY_LENGTH(steps));                                   \
    fixture.options.user = "robot";                                                                \
    fixture.options.password = password

static void
a_bearer_challenge_gets_a_token(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        {.method = HTTP_HEAD,
            .url = MANIFEST_URL,
            .headers = LIST("!Authorization"),
            .status = 401,
            .reply_headers = LIST(BEARER)},
        STEP_TOKEN("{\"token\":\"canary-token-1\",\"expires_in\":300}"),
        STEPS_THERE_WITH("Authorization: Bearer canary-token-1"),
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    for (size_t i = 1; i < 3; i++) {
        const struct script_request *sent = script_transport_request(fixture.script, i);
        for (size_t k = 0; k < sent->headers.count; k++) {
            if (strcmp(sent->headers.list[k].name, "Authorization") == 0) {
                assert_true(sent->headers.list[k].sensitive);
            }
        }
    }
}

static void
a_token_service_may_know_us_anonymously(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_REFUSED(BEARER),
        {.method = HTTP_GET,
            .url = TOKEN_URL,
            .headers = LIST("!Authorization"),
            .reply = "{\"access_token\":\"canary-token-1\"}"},
        STEPS_THERE_WITH("Authorization: Bearer canary-token-1"),
    };
    RUN(fixture, steps);
    fixture.options.user = NULL;
    fixture.options.password = NULL;
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static void
asking_for_a_digest_asks_for_pull_only(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        {.method = HTTP_HEAD, .url = FIXTURE_TAG_URL, .status = 401, .reply_headers = LIST(BEARER)},
        {.method = HTTP_GET,
            .url = "https://auth.example.org/"
                   "token?service=registry.example.org&scope=repository%3Ateam%2Fapp%3Apull",
            .reply = "{\"token\":\"canary-token-1\"}"},
        {.method = HTTP_HEAD,
            .url = FIXTURE_TAG_URL,
            .headers = LIST("Authorization: Bearer canary-token-1"),
            .reply_headers = LIST("Docker-Content-Digest: " FIXTURE_MANIFEST)},
        STEP_TOKEN("{\"token\":\"canary-token-2\"}"),
        STEPS_THERE_WITH("Authorization: Bearer canary-token-2"),
    };
    RUN(fixture, steps);
    const char *digest = NULL;
    assert_null(registry_manifest_digest(
        registry_fixture_client(&fixture), "team/app", "v1", fixture.arena, &digest));
    assert_string_equal(digest, FIXTURE_MANIFEST);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

// Without expires_in a token lives 60 s; it is renewed before anything follows a long body.
static void
a_token_that_ran_out_during_a_body_is_renewed_before_the_next_request(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_REFUSED(BEARER),
        STEP_TOKEN("{\"token\":\"canary-token-1\"}"),
        STEP_MANIFEST_ABSENT,
        STEP_LAYER_ABSENT,
        STEP_SESSION("1"),
        {.method = HTTP_PUT,
            .url = FIXTURE_BASE "/blobs/uploads/1?" FIXTURE_LAYER_QUERY,
            .headers = LIST("Authorization: Bearer canary-token-1"),
            .takes_ms = 50 * 1000,
            .status = 201},
        STEP_TOKEN("{\"token\":\"canary-token-2\"}"),
        {.method = HTTP_POST,
            .url = FIXTURE_BASE "/blobs/uploads/",
            .headers = LIST("Authorization: Bearer canary-token-2"),
            .status = 202,
            .reply_headers = LIST("Location: 2")},
        {.method = HTTP_PUT,
            .url = FIXTURE_BASE "/blobs/uploads/2?" FIXTURE_CONFIG_QUERY,
            .headers = LIST("Authorization: Bearer canary-token-2"),
            .takes_ms = 50 * 1000,
            .status = 201},
        STEP_TOKEN("{\"token\":\"canary-token-3\"}"),
        {.method = HTTP_PUT,
            .url = FIXTURE_TAG_URL,
            .headers = LIST("Authorization: Bearer canary-token-3"),
            .status = 201,
            .reply_headers = LIST("Docker-Content-Digest: " FIXTURE_MANIFEST)},
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static void
a_token_refused_at_the_end_of_a_body_costs_that_body_only(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_REFUSED(BEARER),
        STEP_TOKEN("{\"token\":\"canary-token-1\",\"expires_in\":3600}"),
        STEP_MANIFEST_ABSENT,
        STEP_LAYER_ABSENT,
        STEP_SESSION("1"),
        {.method = HTTP_PUT,
            .url = FIXTURE_BASE "/blobs/uploads/1?" FIXTURE_LAYER_QUERY,
            .status = 401,
            .reply_headers = LIST(BEARER)},
        STEP_TOKEN("{\"token\":\"canary-token-2\",\"expires_in\":3600}"),
        STEP_SESSION("2"),
        {.method = HTTP_PUT,
            .url = FIXTURE_BASE "/blobs/uploads/2?" FIXTURE_LAYER_QUERY,
            .headers = LIST("Authorization: Bearer canary-token-2"),
            .status = 201},
        STEPS_REST,
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static void
a_token_refused_between_two_requests_is_got_again(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_REFUSED(BEARER),
        STEP_TOKEN("{\"token\":\"canary-token-1\"}"),
        STEP_MANIFEST_ABSENT,
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER,
            .status = 401,
            .reply_headers = LIST(BEARER)},
        STEP_TOKEN("{\"token\":\"canary-token-2\"}"),
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER,
            .headers = LIST("Authorization: Bearer canary-token-2")},
        {.method = HTTP_POST,
            .url = FIXTURE_BASE "/blobs/uploads/",
            .status = 401,
            .reply_headers = LIST(BEARER)},
        STEP_TOKEN("{\"token\":\"canary-token-3\"}"),
        STEPS_REST,
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static void
a_token_that_allows_too_little_is_got_again_once(void **state)
{
    (void)state;
#define INSUFFICIENT BEARER ",error=\"insufficient_scope\""
    const struct script_step steps[] = {
        STEP_REFUSED(BEARER),
        STEP_TOKEN("{\"token\":\"canary-token-1\"}"),
        STEP_REFUSED(INSUFFICIENT),
        STEP_TOKEN("{\"token\":\"canary-token-2\"}"),
        STEP_REFUSED(INSUFFICIENT),
    };
    RUN(fixture, steps);
    struct error *err = registry_fixture_push(&fixture, NULL);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_null(strstr(text, "canary"));
    registry_fixture_expect(&fixture, err, ERROR_CREDENTIALS,
        PUSH "registry 'registry.example.org' refused the credentials of user 'robot' (HTTP 401)",
        "They may be expired or not allowed to do this; log in again: docker login "
        "registry.example.org.");
}

// A registry that changes its mind with every answer is asked a few times, not for ever.
static void
alternating_challenges_come_to_an_end(void **state)
{
    (void)state;
#define BASIC_CHALLENGE "WWW-Authenticate: Basic realm=\"x\""
    const struct script_step steps[] = {
        STEP_REFUSED(BASIC_CHALLENGE),
        STEP_REFUSED(BEARER),
        STEP_TOKEN("{\"token\":\"canary-token-1\"}"),
        STEP_REFUSED(BASIC_CHALLENGE),
        STEP_REFUSED(BEARER),
        {.method = HTTP_GET, .url = MANIFEST_URL, .headers = LIST(BASIC), .status = 404},
    };
    RUN(fixture, steps);
    struct error *err = registry_fixture_push(&fixture, NULL);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    error_free(err);
}

static void
a_basic_challenge_gets_the_password(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_REFUSED("WWW-Authenticate: Basic realm=\"x\""),
        STEPS_THERE_WITH(BASIC),
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static void
bearer_is_preferred_to_basic(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        {.method = HTTP_HEAD,
            .url = MANIFEST_URL,
            .status = 401,
            .reply_headers = LIST("WWW-Authenticate: Basic realm=\"x\"", BEARER)},
        STEP_TOKEN("{\"token\":\"canary-token-1\"}"),
        STEPS_THERE_WITH("Authorization: Bearer canary-token-1"),
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static void
a_refused_password_is_not_sent_twice(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_REFUSED("WWW-Authenticate: Basic realm=\"x\""),
        {.method = HTTP_HEAD,
            .url = MANIFEST_URL,
            .headers = LIST(BASIC),
            .status = 401,
            .reply_headers = LIST("WWW-Authenticate: Basic realm=\"x\"")},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_CREDENTIALS,
        PUSH "registry 'registry.example.org' refused the credentials of user 'robot' (HTTP 401)",
        "They may be expired or not allowed to do this; log in again: docker login "
        "registry.example.org.");
}

static void
without_credentials_the_way_to_get_them_is_told(void **state)
{
    (void)state;
    static const char *const challenges[] = {"WWW-Authenticate: Basic realm=\"x\"",
        "WWW-Authenticate: Negotiate", "X: none", "WWW-Authenticate: Bearer"};
    for (size_t i = 0; i < ARRAY_LENGTH(challenges); i++) {
        const struct script_step steps[] = {STEP_REFUSED(challenges[i])};
        RUN(fixture, steps);
        fixture.options.user = NULL;
        fixture.options.password = NULL;
        registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_CREDENTIALS,
            PUSH "registry 'registry.example.org' wants credentials and there are none (HTTP 401)",
            "Log in with: docker login registry.example.org.");
    }
}

static struct error *
renew(void *ctx, char **user, struct secret **password)
{
    int *count = ctx;
    (*count)++;
    *user = xstrdup("robot");
    *password = secret_new(STR("canary-renewed"));
    return NULL;
}

static void
refused_credentials_are_renewed_where_they_can_be(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        {.method = HTTP_HEAD,
            .url = MANIFEST_URL,
            .headers = LIST(BASIC),
            .status = 401,
            .reply_headers = LIST("WWW-Authenticate: Basic realm=\"x\"")},
        STEPS_THERE_WITH(BASIC_RENEWED),
    };
    RUN(fixture, steps);
    int renewals = 0;
    fixture.options.is_ecr = true;
    fixture.options.renew = renew;
    fixture.options.renew_ctx = &renewals;
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    assert_int_equal(renewals, 1);
}

static void
renewed_credentials_that_are_refused_are_the_end(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        {.method = HTTP_HEAD,
            .url = MANIFEST_URL,
            .status = 401,
            .reply_headers = LIST("WWW-Authenticate: Basic realm=\"x\""),
            .times = 2},
    };
    RUN(fixture, steps);
    int renewals = 0;
    fixture.options.is_ecr = true;
    fixture.options.renew = renew;
    fixture.options.renew_ctx = &renewals;
    struct error *err = registry_fixture_push(&fixture, NULL);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_int_equal(renewals, 1);
    error_free(err);
    script_transport_finish(fixture.script);
}

static void
the_token_service_makes_credentials_renewed_too(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_REFUSED(BEARER),
        {.method = HTTP_GET, .url = TOKEN_URL, .headers = LIST(BASIC), .status = 401},
        {.method = HTTP_GET,
            .url = TOKEN_URL,
            .headers = LIST(BASIC_RENEWED),
            .reply = "{\"token\":\"canary-token-1\"}"},
        STEPS_THERE_WITH("Authorization: Bearer canary-token-1"),
    };
    RUN(fixture, steps);
    int renewals = 0;
    fixture.options.renew = renew;
    fixture.options.renew_ctx = &renewals;
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    assert_int_equal(renewals, 1);
}

// Where a password must not go, whatever the registry says.
static const struct {
    const char *challenge, *text, *hint;
} bad_realms[] = {
    {"Bearer realm=\"http://auth.example.org/token\"",
        "registry 'registry.example.org' names the token service 'http://auth.example.org', which "
        "is not encrypted",
        "Credentials are only sent over https; the registry's 'realm' must be an https URL."},
    {"Bearer realm=\"http://localhost:8080/token\"",
        "registry 'registry.example.org' names the token service 'http://localhost', which is not "
        "encrypted",
        "Credentials are only sent over https; the registry's 'realm' must be an https URL."},
    {"Bearer realm=\"https://evil@auth.example.org/token\"",
        "registry 'registry.example.org' names a token service with a user name in its URL", NULL},
    {"Bearer realm=\"/token\"",
        "token service of registry 'registry.example.org': URL '/token' is invalid: it does not "
        "start with https://",
        "Write it as https://host/path."},
    {"Bearer realm=\"ftp://auth.example.org/token\"",
        "token service of registry 'registry.example.org': URL 'ftp://auth.example.org/token' is "
        "invalid: only http and https are supported",
        "Write it as https://host/path."},
    {"Bearer realm=\"\"",
        "token service of registry 'registry.example.org': URL '' is invalid: it does not start "
        "with https://",
        "Write it as https://host/path."},
};

static void
passwords_go_to_encrypted_token_services_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad_realms); i++) {
        char *header CLEANUP(xfreep) = xasprintf("WWW-Authenticate: %s", bad_realms[i].challenge);
        const struct script_step steps[] = {STEP_REFUSED(header)};
        RUN(fixture, steps);
        char *text CLEANUP(xfreep) = xasprintf(PUSH "%s", bad_realms[i].text);
        registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_REFUSED,
            text, bad_realms[i].hint);
    }
}

static void
a_registry_on_this_machine_may_have_a_plain_token_service_here(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        {.method = HTTP_HEAD,
            .url = "http://localhost:5000/v2/team/app/manifests/" FIXTURE_MANIFEST,
            .status = 401,
            .reply_headers =
                LIST("WWW-Authenticate: Bearer realm=\"http://127.0.0.1:5001/t?a=b\"")},
        {.method = HTTP_GET,
            .url = "http://127.0.0.1:5001/t?a=b&scope=repository%3Ateam%2Fapp%3Apull%2Cpush",
            .headers = LIST(BASIC),
            .reply = "{\"token\":\"canary-token-1\"}"},
        {.method = HTTP_HEAD,
            .url = "http://localhost:5000/v2/team/app/manifests/" FIXTURE_MANIFEST,
            .reply_headers = LIST("Docker-Content-Digest: " FIXTURE_MANIFEST)},
        {.method = HTTP_PUT,
            .url = "http://localhost:5000/v2/team/app/manifests/v1",
            .headers = LIST("Authorization: Bearer canary-token-1"),
            .status = 201,
            .reply_headers = LIST("Docker-Content-Digest: " FIXTURE_MANIFEST)},
    };
    RUN(fixture, steps);
    fixture.options.host = "localhost:5000";
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

// One row: the token service's answer, and what is said.
static const struct {
    int status;
    const char *reply, *text;
    enum error_kind kind;
    unsigned times;
} bad_tokens[] = {
    {200, "{}", "token service of registry 'registry.example.org': unusable answer: no token",
        ERROR_UNAVAILABLE, 1},
    {200, "{\"token\":\"\"}",
        "token service of registry 'registry.example.org': unusable answer: no token",
        ERROR_UNAVAILABLE, 1},
    {200, "{\"token\":5}",
        "token service of registry 'registry.example.org': unusable answer: 'token' is not a "
        "string",
        ERROR_UNAVAILABLE, 1},
    {200, "<html>",
        "token service of registry 'registry.example.org': unusable answer: JSON, line 1 column 1: "
        "invalid token",
        ERROR_UNAVAILABLE, 1},
    {200, "{\"token\":\"a\\r\\nX-Evil: 1\"}",
        "HEAD " MANIFEST_URL ": a header holds control characters or is too long", ERROR_INPUT, 1},
    {401, "{}",
        "registry 'registry.example.org' refused the credentials of user 'robot' (HTTP 401)",
        ERROR_CREDENTIALS, 1},
    {403, "{}",
        "registry 'registry.example.org' refused the credentials of user 'robot' (HTTP 403)",
        ERROR_CREDENTIALS, 1},
    {503, "", "token service: the registry is not available (HTTP 503)", ERROR_UNAVAILABLE, 5},
    {302, "", "token service: an answer that does not fit (HTTP 302)", ERROR_REFUSED, 1},
};

static void
token_services_that_give_none_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad_tokens); i++) {
        const struct script_step steps[] = {
            STEP_REFUSED(BEARER),
            {.method = HTTP_GET,
                .url = TOKEN_URL,
                .status = bad_tokens[i].status,
                .reply = bad_tokens[i].reply,
                .times = bad_tokens[i].times},
        };
        RUN(fixture, steps);
        struct error *err = registry_fixture_push(&fixture, NULL);
        assert_non_null(err);
        char *text CLEANUP(xfreep) = error_text(err);
        bool down = bad_tokens[i].kind == ERROR_UNAVAILABLE;
        char *wanted CLEANUP(xfreep) = xasprintf(PUSH "%s%s",
            down ? "ask registry 'registry.example.org' for manifest '" FIXTURE_MANIFEST "': " : "",
            bad_tokens[i].text);
        assert_string_equal(text, wanted);
        assert_int_equal(error_kind(err), bad_tokens[i].kind);
        error_free(err);
        script_transport_finish(fixture.script);
    }
}

static void
a_token_never_leaves_for_another_origin(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_REFUSED(BEARER),
        STEP_TOKEN("{\"token\":\"canary-token-1\",\"expires_in\":3600}"),
        STEP_MANIFEST_ABSENT,
        STEP_LAYER_ABSENT,
        STEP_SESSION("https://storage.example.com/u"),
        {.method = HTTP_PUT,
            .url = "https://storage.example.com/u?" FIXTURE_LAYER_QUERY,
            .headers = LIST("!Authorization", "!Cookie"),
            .status = 401,
            .reply_headers = LIST(BEARER)},
        {.method = HTTP_DELETE,
            .url = "https://storage.example.com/u",
            .headers = LIST("!Authorization"),
            .status = 401},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_CREDENTIALS,
        PUSH "PUT blob '" FIXTURE_LAYER "': not logged in (HTTP 401)",
        "Log in with: docker login registry.example.org.");
}

#define IDENTITY_FORM(scope)                                                                       \
    "grant_type=refresh_token&service=registry.example.org&client_id=dispatcher&scope="            \
    "repository%3Ateam%2Fapp%3A" scope "&refresh_token=canary%2Frefresh%2B1"
#define STEP_IDENTITY(answer_status, text)                                                         \
    {                                                                                              \
        .method = HTTP_POST, .url = "https://auth.example.org/token",                              \
        .headers = LIST("!Authorization", "Content-Type: application/x-www-form-urlencoded"),      \
        .body = IDENTITY_FORM("pull%2Cpush"), .status = answer_status, .reply = text               \
    }

static void
an_identity_token_buys_a_token(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_REFUSED(BEARER),
        STEP_IDENTITY(200, "{\"access_token\":\"canary-token-1\",\"expires_in\":300}"),
        STEPS_THERE_WITH("Authorization: Bearer canary-token-1"),
    };
    RUN(fixture, steps);
    struct secret *identity CLEANUP(secret_freep) = secret_new(STR("canary/refresh+1"));
    fixture.options.user = "<token>";
    fixture.options.password = identity;
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static void
an_identity_token_may_be_refused(void **state)
{
    (void)state;
    static const int statuses[] = {400, 401};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        const struct script_step steps[] = {
            STEP_REFUSED(BEARER),
            STEP_IDENTITY(statuses[i], "{\"error\":\"invalid_grant\"}"),
        };
        RUN(fixture, steps);
        struct secret *identity CLEANUP(secret_freep) = secret_new(STR("canary/refresh+1"));
        char *text CLEANUP(xfreep) =
            xasprintf(PUSH "registry 'registry.example.org' refused the identity token (HTTP %d)",
                statuses[i]);
        fixture.options.user = "<token>";
        fixture.options.password = identity;
        registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_CREDENTIALS,
            text,
            "It may be expired or not allowed to do this; log in again: docker login "
            "registry.example.org.");
    }
}

static void
an_identity_token_is_no_password(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_REFUSED("WWW-Authenticate: Basic realm=\"x\""),
    };
    RUN(fixture, steps);
    fixture.options.user = "<token>";
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_CREDENTIALS,
        PUSH "registry 'registry.example.org' wants a password, and there is only an identity "
             "token (HTTP 401)",
        "Log in with a user and a password: docker login registry.example.org.");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bearer_challenge_gets_a_token),
        cmocka_unit_test(a_token_service_may_know_us_anonymously),
        cmocka_unit_test(asking_for_a_digest_asks_for_pull_only),
        cmocka_unit_test(a_token_that_ran_out_during_a_body_is_renewed_before_the_next_request),
        cmocka_unit_test(a_token_refused_at_the_end_of_a_body_costs_that_body_only),
        cmocka_unit_test(a_token_refused_between_two_requests_is_got_again),
        cmocka_unit_test(a_token_that_allows_too_little_is_got_again_once),
        cmocka_unit_test(alternating_challenges_come_to_an_end),
        cmocka_unit_test(a_basic_challenge_gets_the_password),
        cmocka_unit_test(bearer_is_preferred_to_basic),
        cmocka_unit_test(a_refused_password_is_not_sent_twice),
        cmocka_unit_test(without_credentials_the_way_to_get_them_is_told),
        cmocka_unit_test(refused_credentials_are_renewed_where_they_can_be),
        cmocka_unit_test(renewed_credentials_that_are_refused_are_the_end),
        cmocka_unit_test(the_token_service_makes_credentials_renewed_too),
        cmocka_unit_test(passwords_go_to_encrypted_token_services_only),
        cmocka_unit_test(a_registry_on_this_machine_may_have_a_plain_token_service_here),
        cmocka_unit_test(token_services_that_give_none_are_told_apart),
        cmocka_unit_test(a_token_never_leaves_for_another_origin),
        cmocka_unit_test(an_identity_token_buys_a_token),
        cmocka_unit_test(an_identity_token_may_be_refused),
        cmocka_unit_test(an_identity_token_is_no_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
