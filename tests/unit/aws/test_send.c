// One signed call: what is on the wire, what is repeated and when, clock skew, expired credentials,
// the retry quota, and every shape an error comes in.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

#define URL "https://ssm.eu-west-1.amazonaws.com"
#define THROTTLED "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"

static const char *const keys[] = {"AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL};
static const char *const keys_two_attempts[] = {"AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "AWS_MAX_ATTEMPTS=2", NULL};
static const struct aws_options in_ireland = {.region = "eu-west-1"};

enum repeatable { ONCE, IDEMPOTENT, READ };

static struct error *
call(struct aws_fixture *aws, enum repeatable repeatable, struct json **out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    json_set_str(body, "Name", "/x");
    const struct aws_call what = {.service = "ssm",
        .target = "AmazonSSM.DoThing",
        .body = body,
        .idempotent = repeatable == IDEMPOTENT,
        .read = repeatable == READ};
    return aws_call(aws->session, &what, out);
}

struct run {
    const struct script_step *steps;
    size_t count;
    enum repeatable repeatable;
    enum error_kind kind;
    const char *error, *hint; // error NULL: success
    bool request_left;
};

// Plays the steps against one call and compares the outcome; the fixture is the caller's to look
// at.
static struct aws_fixture *
play_with(const char *const *env, const struct run *run)
{
    struct aws_fixture *aws = aws_fixture_new();
    struct json *answer CLEANUP(json_freep) = NULL;
    aws_fixture_start(aws, env, run->steps, run->count, &in_ireland);
    struct error *err = call(aws, run->repeatable, &answer);
    if (run->error == NULL) {
        assert_success(err);
        assert_non_null(answer);
    } else {
        assert_non_null(err);
        assert_int_equal(error_remote_of(err)->request_left, run->request_left);
        assert_failure(err, run->kind, run->error, run->hint);
        assert_null(answer);
    }
    aws_fixture_finish(aws);
    return aws;
}

static struct aws_fixture *
play(const struct run *run)
{
    return play_with(keys, run);
}

static const char *const signed_headers[] = {"Content-Type: application/x-amz-json-1.1",
    "X-Amz-Target: AmazonSSM.DoThing", "X-Amz-Date: 20261121T074800Z",
    "amz-sdk-invocation-id: *-*-4*-[89ab]*-*", "amz-sdk-request: attempt=1; max=3",
    "Authorization: AWS4-HMAC-SHA256 "
    "Credential=AKIDEXAMPLE/20261121/eu-west-1/ssm/aws4_request, "
    "SignedHeaders=amz-sdk-invocation-id;amz-sdk-request;content-type;host;x-amz-date;x-amz-"
    "target, Signature=*",
    "!X-Amz-Security-Token", NULL};

static void
sends_a_signed_request(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .headers = signed_headers,
            .body = "{\"Name\":\"/x\"}",
            .reply = "{\"Version\":7}"},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct json *answer CLEANUP(json_freep) = NULL;
    aws_fixture_start(aws, keys, steps, 1, &in_ireland);
    assert_success(call(aws, IDEMPOTENT, &answer));
    assert_int_equal(json_int(json_get(answer, "Version"), 0), 7);
    const struct script_request *sent = script_transport_request(aws->script, 0);
    assert_int_equal(sent->deadline_ms, FAKE_MONO_START + 10 * 1000);
    assert_false(sent->allow_plain);
    aws_fixture_finish(aws);
}

static void
signs_with_the_session_token(void **state)
{
    (void)state;
    static const char *const env[] = {"AWS_ACCESS_KEY_ID=ASIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY=secret-of-the-session", "AWS_SESSION_TOKEN=the/token==", NULL};
    static const char *const headers[] = {"X-Amz-Security-Token: the/token==",
        "Authorization: *x-amz-date;x-amz-security-token;x-amz-target*", NULL};
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .headers = headers, .reply = "{}"}};
    struct run run = {steps, 1, READ, 0, NULL, NULL, false};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play_with(env, &run);
}

static const char *const attempt_1_of_5[] = {"amz-sdk-request: attempt=1; max=5", NULL};
static const char *const attempt_2_of_5[] = {"amz-sdk-request: attempt=2; max=5", NULL};

static void
repeats_a_read_with_full_jitter(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .headers = attempt_1_of_5, .status = 500},
        {.method = HTTP_POST,
            .url = URL,
            .headers = attempt_2_of_5,
            .status = 503,
            .reply = "<html><head><title>503</title></head></html>"},
        {.method = HTTP_POST, .url = URL, .status = 400, .reply = THROTTLED},
        {.method = HTTP_POST, .url = URL, .failure = "connection reset", .request_left = true},
        {.method = HTTP_POST, .url = URL, .reply = "{}"},
    };
    struct run run = {steps, 5, READ, 0, NULL, NULL, false};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
    const int64_t expected[] = {
        25, 50, 2000, 200}; // half of 50, 100; of 4 s when throttled; of 400
    assert_int_equal(aws->fake->sleep_count, ARRAY_LENGTH(expected));
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        assert_int_equal(aws->fake->sleeps[i], expected[i]);
    }
    // 500 - 14 - 14 - 5 - 14, and the last is given back.
    assert_int_equal(aws->session->retry_tokens, 500 - 14 - 14 - 5);
    const char *first = http_headers_get(
        &script_transport_request(aws->script, 0)->headers, "amz-sdk-invocation-id");
    const char *last = http_headers_get(
        &script_transport_request(aws->script, 4)->headers, "amz-sdk-invocation-id");
    assert_string_equal(first, last);
}

static void
gives_up_in_one_sentence(void **state)
{
    (void)state;
    static const char *const id[] = {"x-amzn-RequestId: 7f3a", NULL};
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .failure = "connection refused"},
        {.method = HTTP_POST, .url = URL, .status = 502},
        {.method = HTTP_POST, .url = URL, .status = 400, .reply = THROTTLED, .reply_headers = id},
    };
    struct run run = {steps, 3, IDEMPOTENT, ERROR_UNAVAILABLE,
        "ssm DoThing, after 3 attempts in 0.1s: ThrottlingException: Rate exceeded (HTTP 400, "
        "request "
        "7f3a)",
        NULL, true};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
    assert_int_equal(aws->fake->sleep_count, 2);
}

static void
what_may_have_been_done_is_not_forgotten(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .failure = "connection reset", .request_left = true},
        {.method = HTTP_POST, .url = URL, .failure = "connection refused", .times = 2},
    };
    struct run run = {steps, 2, IDEMPOTENT, ERROR_UNAVAILABLE,
        "ssm DoThing, after 3 attempts in 0.1s: POST " URL ": connection refused", NULL, true};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
}

static void
attempts_are_configurable(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .status = 500, .times = 2}};
    struct run run = {steps, 1, READ, ERROR_UNAVAILABLE,
        "ssm DoThing, after 2 attempts in 0.0s: no error code in the answer (HTTP 500)", NULL,
        true};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play_with(keys_two_attempts, &run);
}

static const char *const retry_after_3[] = {"Retry-After: 3", NULL};
static const char *const retry_after_200[] = {"Retry-After: 200", NULL};
static const char *const amz_700[] = {"x-amz-retry-after: 700", NULL};
static const char *const amz_99000[] = {"x-amz-retry-after: 99000", NULL};
static const char *const amz_bad[] = {"x-amz-retry-after: soon", NULL};
static const char *const amz_10[] = {"x-amz-retry-after: 10", NULL};

static void
obeys_what_the_service_asks_for(void **state)
{
    (void)state;
    static const struct {
        const char *const *headers;
        int64_t wait_ms;
    } rows[] = {
        {retry_after_3, 3000},
        {amz_700, 700},
        {amz_99000, 25 + 5000}, // 5 s more than the back-off at most
        {amz_bad, 25},
        {amz_10, 25},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_POST, .url = URL, .status = 503, .reply_headers = rows[i].headers},
            {.method = HTTP_POST, .url = URL, .reply = "{}"},
        };
        struct run run = {steps, 2, IDEMPOTENT, 0, NULL, NULL, false};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
        assert_int_equal(aws->fake->sleep_count, 1);
        assert_int_equal(aws->fake->sleeps[0], rows[i].wait_ms);
    }
    const struct script_step too_long[] = {
        {.method = HTTP_POST, .url = URL, .status = 503, .reply_headers = retry_after_200}};
    struct run run = {too_long, 1, READ, ERROR_UNAVAILABLE,
        "ssm DoThing: no error code in the answer (HTTP 503)", NULL, true};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
}

static void
ends_within_the_budget(void **state)
{
    (void)state;
    // Each try takes its 10 s; the sixth would pass the minute.
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .takes_ms = 11 * 1000, .times = 5}};
    struct run run = {steps, 1, READ, ERROR_UNAVAILABLE,
        "ssm DoThing, after 5 attempts in 50s: POST " URL ": timed out", NULL, true};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
    const struct script_request *last = script_transport_request(aws->script, 4);
    assert_true(last->deadline_ms <= FAKE_MONO_START + 60 * 1000);
}

static void
quota_stops_a_storm(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .status = 500, .times = 1000}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct json *answer = NULL;
    aws_fixture_start(aws, keys, steps, 1, &in_ireland);
    for (int i = 0; i < 20; i++) {
        error_free(call(aws, IDEMPOTENT, &answer));
    }
    // 35 retries of 14 empty the bucket of 500; the first attempts are always allowed.
    assert_int_equal(script_transport_request_count(aws->script), 20 + 35);
    assert_int_equal(aws->session->retry_tokens, 500 - 35 * 14);
}

static void
success_refills_the_quota(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .reply = "{}", .times = 3}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(aws, keys, steps, 1, &in_ireland);
    aws->session->retry_tokens = 498;
    for (int i = 0; i < 3; i++) {
        struct json *answer CLEANUP(json_freep) = NULL;
        assert_success(call(aws, READ, &answer));
    }
    assert_int_equal(aws->session->retry_tokens, 500);
}

static void
is_cancelled_while_waiting(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .status = 400, .reply = THROTTLED}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct json *answer = NULL;
    aws_fixture_start(aws, keys, steps, 1, &in_ireland);
    aws->fake->cancel_at_ms = FAKE_MONO_START + 100;
    struct error *err = call(aws, READ, &answer);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    error_free(err);
    aws_fixture_finish(aws);
}

// ---- what must not happen twice

static void
not_repeated_when_it_may_have_been_done(void **state)
{
    (void)state;
    static const struct script_step lost[] = {{.method = HTTP_POST,
        .url = URL,
        .must_be_once = true,
        .failure = "connection reset",
        .request_left = true}};
    static const struct script_step server_error[] = {{.method = HTTP_POST,
        .url = URL,
        .must_be_once = true,
        .status = 500,
        .reply = "{\"__type\":\"InternalServerError\"}"}};
    static const struct script_step unreadable[] = {
        {.method = HTTP_POST, .url = URL, .must_be_once = true, .reply = "{"}};
    struct run run = {lost, 1, ONCE, ERROR_UNAVAILABLE,
        "ssm DoThing: POST " URL ": connection reset", NULL, true};
    struct aws_fixture *a CLEANUP(aws_fixture_freep) = play(&run);
    run.steps = server_error;
    run.error = "ssm DoThing: InternalServerError (HTTP 500)";
    struct aws_fixture *b CLEANUP(aws_fixture_freep) = play(&run);
    run.steps = unreadable;
    run.error = "ssm DoThing: unusable answer: JSON, line 1 column 1: string or '}' expected near "
                "end of file"
                " (HTTP 200)";
    struct aws_fixture *c CLEANUP(aws_fixture_freep) = play(&run);
}

static void
repeated_when_it_was_not_done(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .must_be_once = true, .failure = "connection refused"},
        {.method = HTTP_POST,
            .url = URL,
            .must_be_once = true,
            .status = 400,
            .reply = "{\"__type\":\"TooManyUpdates\"}"},
        {.method = HTTP_POST, .url = URL, .must_be_once = true, .reply = "{\"Version\":2}"},
    };
    struct run run = {steps, 3, ONCE, 0, NULL, NULL, false};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
    assert_int_equal(aws->fake->sleeps[0], 25);
    assert_int_equal(aws->fake->sleeps[1], 1000);
}

static void
refusals_leave_nothing_behind(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .must_be_once = true,
            .status = 400,
            .reply = "{\"__type\":\"TooManyUpdates\"}",
            .times = 3},
    };
    struct run run = {steps, 1, ONCE, ERROR_UNAVAILABLE,
        "ssm DoThing, after 3 attempts in 1.5s: TooManyUpdates (HTTP 400)", NULL, false};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
}

// ---- clock

static const char *const an_hour_ahead[] = {"Date: Sat, 21 Nov 2026 08:48:00 GMT", NULL};
static const char *const cached_hour[] = {"Date: Sat, 21 Nov 2026 08:48:00 GMT", "Age: 3600", NULL};
static const char *const three_minutes_ahead[] = {"Date: Sat, 21 Nov 2026 07:51:00 GMT", NULL};
static const char *const a_day_behind[] = {"Date: Fri, 20 Nov 2026 07:48:00 GMT", NULL};
static const char *const at_0748[] = {"X-Amz-Date: 20261121T074800Z", NULL};
static const char *const at_0848[] = {"X-Amz-Date: 20261121T084800Z", NULL};
static const char *const on_the_20th[] = {
    "X-Amz-Date: 20261120T074800Z", "Authorization: *AKIDEXAMPLE/20261120/*", NULL};
#define SKEWED                                                                                     \
    "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature not yet current\"}"

static void
corrects_the_clock_once(void **state)
{
    (void)state;
    static const struct script_step ahead[] = {
        {.method = HTTP_POST,
            .url = URL,
            .headers = at_0748,
            .status = 400,
            .reply = SKEWED,
            .reply_headers = an_hour_ahead,
            .must_be_once = true},
        {.method = HTTP_POST, .url = URL, .headers = at_0848, .must_be_once = true, .reply = "{}"},
    };
    static const struct script_step behind[] = {
        {.method = HTTP_POST,
            .url = URL,
            .status = 403,
            .reply_headers = a_day_behind,
            .reply = "{\"__type\":\"RequestTimeTooSkewed\"}",
            .must_be_once = true},
        {.method = HTTP_POST,
            .url = URL,
            .headers = on_the_20th,
            .must_be_once = true,
            .reply = "{}"},
    };
    struct run run = {ahead, 2, ONCE, 0, NULL, NULL, false};
    struct aws_fixture *a CLEANUP(aws_fixture_freep) = play(&run);
    assert_int_equal(aws_clock_offset_ms(a->session), 3600 * 1000);
    assert_int_equal(a->fake->sleep_count, 0);
    // The round trip counts for half.
    static const struct script_step slow[] = {
        {.method = HTTP_POST,
            .url = URL,
            .status = 403,
            .reply_headers = an_hour_ahead,
            .reply = "{\"__type\":\"AccessDeniedException\"}",
            .must_be_once = true,
            .takes_ms = 8000},
        {.method = HTTP_POST, .url = URL, .must_be_once = true, .reply = "{}"},
    };
    run.steps = slow;
    struct aws_fixture *c CLEANUP(aws_fixture_freep) = play(&run);
    assert_int_equal(aws_clock_offset_ms(c->session), 3600 * 1000 - 4000);
    run.steps = behind;
    struct aws_fixture *b CLEANUP(aws_fixture_freep) = play(&run);
    assert_int_equal(aws_clock_offset_ms(b->session), -24 * 3600 * 1000);
}

static void
keeps_the_corrected_clock(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .status = 400,
            .reply = SKEWED,
            .reply_headers = an_hour_ahead},
        {.method = HTTP_POST, .url = URL, .headers = at_0848, .reply = "{}", .times = 2},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(aws, keys, steps, 2, &in_ireland);
    for (int i = 0; i < 2; i++) {
        struct json *answer CLEANUP(json_freep) = NULL;
        assert_success(call(aws, READ, &answer));
    }
    aws_fixture_finish(aws);
}

static void
leaves_a_good_clock_alone(void **state)
{
    (void)state;
    static const char *const *const dates[] = {three_minutes_ahead, cached_hour, NULL};
    for (size_t i = 0; i < ARRAY_LENGTH(dates); i++) {
        const struct script_step steps[] = {{.method = HTTP_POST,
            .url = URL,
            .status = 400,
            .reply = SKEWED,
            .reply_headers = dates[i]}};
        struct run run = {steps, 1, READ, ERROR_CREDENTIALS,
            "ssm DoThing: InvalidSignatureException: Signature not yet current (HTTP 400)",
            "Check the secret key and this machine's clock.", false};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
        assert_int_equal(aws_clock_offset_ms(aws->session), 0);
    }
}

static void
a_wrong_key_is_not_taken_for_a_wrong_clock(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .status = 400,
            .reply = SKEWED,
            .reply_headers = an_hour_ahead},
        {.method = HTTP_POST,
            .url = URL,
            .headers = at_0848,
            .status = 400,
            .reply = SKEWED,
            .reply_headers = a_day_behind},
    };
    struct run run = {steps, 2, READ, ERROR_CREDENTIALS,
        "ssm DoThing, after 2 attempts in 0s: InvalidSignatureException: Signature not yet current "
        "(HTTP 400)",
        "Check the secret key and this machine's clock.", false};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
}

// ---- error shapes

static const char *const type_header[] = {
    "x-amzn-errortype: com.amazonaws.ssm#ParameterNotFound:http://internal/", NULL};
static const char *const amz_request_id[] = {"x-amz-request-id: ABC", NULL};

static void
reads_every_error_shape(void **state)
{
    (void)state;
    static const char denied_hint[] = "Allow the action 'ssm:DoThing' to the role in use; "
                                      "'dispatcher doctor' shows which one that is.";
    static const struct {
        int status;
        const char *reply;
        const char *const *headers;
        enum error_kind kind;
        const char *error, *hint;
    } rows[] = {
        {400, "{\"__type\":\"ParameterNotFound\"}", NULL, ERROR_REFUSED,
            "ParameterNotFound (HTTP 400)", NULL},
        {400, "{\"__type\":\"com.amazonaws.ssm#ParameterNotFound\",\"message\":\"Not there.\"}",
            NULL, ERROR_REFUSED, "ParameterNotFound: Not there (HTTP 400)", NULL},
        {400, "{\"__type\":\"A#ValidationException:x\",\"Message\":\"two\\nlines\\u001b[31m\"}",
            NULL, ERROR_REFUSED, "ValidationException: two lines (HTTP 400)", NULL},
        {400, "{\"code\":\"Other\",\"errorMessage\":\"m\"}", NULL, ERROR_REFUSED,
            "Other: m (HTTP 400)", NULL},
        {400, "", type_header, ERROR_REFUSED, "ParameterNotFound (HTTP 400)", NULL},
        {400, "not json", type_header, ERROR_REFUSED, "ParameterNotFound (HTTP 400)", NULL},
        {400, "not json", NULL, ERROR_REFUSED, "no error code in the answer (HTTP 400)", NULL},
        {403, "", amz_request_id, ERROR_CREDENTIALS,
            "no error code in the answer (HTTP 403, request ABC)", NULL},
        {400,
            "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>Bad</Code><Message>m "
            "&amp; n.</Message></Error><RequestId>R1</RequestId></ErrorResponse>",
            NULL, ERROR_REFUSED, "Bad: m & n (HTTP 400, request R1)", NULL},
        {403,
            "<ErrorResponse><Errors><Error><Code>SignatureDoesNotMatch</Code></Error></Errors>"
            "</ErrorResponse>",
            NULL, ERROR_CREDENTIALS, "SignatureDoesNotMatch (HTTP 403)",
            "Check the secret key and this machine's clock."},
        {403, "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", NULL,
            ERROR_CREDENTIALS, "AccessDenied (HTTP 403)", denied_hint},
        {401,
            "<Response><Errors><Error><Code>AuthFailure</Code><Message>m</Message></Error>"
            "</Errors><RequestID>R2</RequestID></Response>",
            NULL, ERROR_CREDENTIALS, "AuthFailure: m (HTTP 401, request R2)",
            "Check the secret key and this machine's clock."},
        {400, "<Error><Code>x</Wrong></Error>", NULL, ERROR_REFUSED,
            "no error code in the answer (HTTP 400)", NULL},
        {404, " <!DOCTYPE html><html><body>nginx</body></html>", NULL, ERROR_REFUSED,
            "an HTML page instead of an answer (HTTP 404)", NULL},
        {302, "<HTML>moved</HTML>", NULL, ERROR_UNAVAILABLE,
            "an HTML page instead of an answer (HTTP 302)", NULL},
        {501, "<!doctype html>", NULL, ERROR_UNAVAILABLE,
            "an HTML page instead of an answer (HTTP 501)", NULL},
        {400, "{\"__type\":\"AccessDeniedException\",\"Message\":\"User: arn is not authorized\"}",
            NULL, ERROR_CREDENTIALS,
            "AccessDeniedException: User: arn is not authorized (HTTP 400)", denied_hint},
        {400, "{\"__type\":\"UnrecognizedClientException\"}", NULL, ERROR_CREDENTIALS,
            "UnrecognizedClientException (HTTP 400)",
            "Run 'dispatcher doctor' to see which credentials are used."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {{.method = HTTP_POST,
            .url = URL,
            .status = rows[i].status,
            .reply = rows[i].reply,
            .reply_headers = rows[i].headers}};
        char *text CLEANUP(xfreep) = xasprintf("ssm DoThing: %s", rows[i].error);
        bool left = rows[i].status < 400 || rows[i].status >= 500;
        struct run run = {steps, 1, READ, rows[i].kind, text, rows[i].hint, left};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
    }
}

static void
throttling_names(void **state)
{
    (void)state;
    static const char *const codes[] = {"Throttling", "ThrottlingException", "ThrottledException",
        "RequestThrottledException", "TooManyRequestsException",
        "ProvisionedThroughputExceededException", "TransactionInProgressException",
        "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException",
        "RequestThrottled", "SlowDown", "PriorRequestNotComplete", "EC2ThrottledException",
        "TooManyUpdates"};
    struct aws_fault fault = {.status = 400};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        char *code CLEANUP(xfreep) = xstrdup(codes[i]);
        fault.code = code;
        assert_int_equal(aws_fault_outcome(&fault), RETRY_THROTTLED);
        assert_true(aws_fault_is_refusal(&fault));
        fault.code = NULL;
    }
    assert_int_equal(aws_fault_outcome(&fault), RETRY_DONE);
    fault.status = 429;
    assert_int_equal(aws_fault_outcome(&fault), RETRY_THROTTLED);
    fault.status = 408;
    assert_int_equal(aws_fault_outcome(&fault), RETRY_TRANSIENT);
    assert_false(aws_fault_is_refusal(&fault));
}

// ---- expired credentials

#define EXPIRED "{\"__type\":\"ExpiredTokenException\",\"message\":\"The security token expired\"}"
static const char *const container[] = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:51679/creds", NULL};
#define KEYS(name)                                                                                 \
    "{\"AccessKeyId\":\"" name "\",\"SecretAccessKey\":\"secret-" name                             \
    "\",\"Token\":\"token-" name "\",\"Expiration\":\"2026-11-21T13:48:00Z\"}"
static const char *const token_one[] = {"X-Amz-Security-Token: token-AKIDONE", NULL};
static const char *const token_two[] = {"X-Amz-Security-Token: token-AKIDTWO", NULL};

static void
renews_expired_credentials_once(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_GET, .url = "http://127.0.0.1:51679/creds", .reply = KEYS("AKIDONE")},
        {.method = HTTP_POST, .url = URL, .headers = token_one, .status = 400, .reply = EXPIRED},
        {.method = HTTP_GET, .url = "http://127.0.0.1:51679/creds", .reply = KEYS("AKIDTWO")},
        {.method = HTTP_POST, .url = URL, .headers = token_two, .status = 400, .reply = EXPIRED},
    };
    struct run run = {steps, 4, READ, ERROR_CREDENTIALS,
        "ssm DoThing, after 2 attempts in 0s: ExpiredTokenException: The security token expired "
        "(HTTP 400)",
        "Get new credentials: sign in again, or start the job again.", false};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play_with(container, &run);
}

static void
does_not_repeat_with_the_same_expired_keys(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .status = 400, .reply = EXPIRED}};
    struct run run = {steps, 1, READ, ERROR_CREDENTIALS,
        "ssm DoThing: ExpiredTokenException: The security token expired (HTTP 400)",
        "Get new credentials: sign in again, or start the job again.", false};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = play(&run);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_a_signed_request),
        cmocka_unit_test(signs_with_the_session_token),
        cmocka_unit_test(repeats_a_read_with_full_jitter),
        cmocka_unit_test(gives_up_in_one_sentence),
        cmocka_unit_test(what_may_have_been_done_is_not_forgotten),
        cmocka_unit_test(attempts_are_configurable),
        cmocka_unit_test(obeys_what_the_service_asks_for),
        cmocka_unit_test(ends_within_the_budget),
        cmocka_unit_test(quota_stops_a_storm),
        cmocka_unit_test(success_refills_the_quota),
        cmocka_unit_test(is_cancelled_while_waiting),
        cmocka_unit_test(not_repeated_when_it_may_have_been_done),
        cmocka_unit_test(repeated_when_it_was_not_done),
        cmocka_unit_test(refusals_leave_nothing_behind),
        cmocka_unit_test(corrects_the_clock_once),
        cmocka_unit_test(keeps_the_corrected_clock),
        cmocka_unit_test(leaves_a_good_clock_alone),
        cmocka_unit_test(a_wrong_key_is_not_taken_for_a_wrong_clock),
        cmocka_unit_test(reads_every_error_shape),
        cmocka_unit_test(throttling_names),
        cmocka_unit_test(renews_expired_credentials_once),
        cmocka_unit_test(does_not_repeat_with_the_same_expired_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
