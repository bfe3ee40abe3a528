// Retrying: the decision as a table, Retry-After in all its forms, and the loop against a script.
#include "dispatcher/retry.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "script_transport.h"

#define URL "https://host.example/thing"

static const char *const after_7[] = {"Retry-After: 7", NULL};
static const char *const after_absurd[] = {"Retry-After: 1000000000", NULL};
static const char *const after_31[] = {"Retry-After: 31", NULL};
static const char *const after_20[] = {"Retry-After: 20", NULL};

static void
decisions(void **state)
{
    (void)state;
    static const struct {
        unsigned attempt;
        enum retry_outcome outcome;
        int64_t after;
        double random;
        bool again;
        int64_t wait;
    } rows[] = {
        {1, RETRY_DONE, -1, 0.5, false, 0},
        {1, RETRY_FATAL, 1000, 0.5, false, 0},
        {1, RETRY_TRANSIENT, -1, 0.5, true, 25},
        {2, RETRY_TRANSIENT, -1, 0.5, true, 50},
        {1, RETRY_TRANSIENT, -1, 0, true, 0},
        {1, RETRY_TRANSIENT, -1, 0.999, true, 49},
        {3, RETRY_TRANSIENT, -1, 0.5, false, 0},
        {4, RETRY_TRANSIENT, -1, 0.5, false, 0},
        {1, RETRY_THROTTLED, -1, 0.5, true, 500},
        {2, RETRY_THROTTLED, -1, 0.5, true, 1000},
        {1, RETRY_THROTTLED, 3000, 0.5, true, 3000},
        {1, RETRY_TRANSIENT, 3000, 0, true, 3000},
        {1, RETRY_THROTTLED, 0, 0.5, true, 500},
        {1, RETRY_THROTTLED, 120000, 0.5, true, 120000},
        {1, RETRY_THROTTLED, 120001, 0.5, false, 0},
        {1, RETRY_THROTTLED, INT64_MAX, 0.5, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct retry_decision decision = retry_decide(&retry_idempotent_write, rows[i].attempt,
            rows[i].outcome, rows[i].after, rows[i].random);
        assert_int_equal(decision.again, rows[i].again);
        assert_int_equal(decision.wait_ms, rows[i].wait);
    }
}

static void
waits_stay_under_the_cap(void **state)
{
    (void)state;
    struct retry_policy policy = retry_read;
    assert_int_equal(policy.max_attempts, 5);
    policy.max_attempts = 1000000;
    for (unsigned attempt = 1; attempt < 200; attempt++) {
        struct retry_decision decision =
            retry_decide(&policy, attempt, RETRY_THROTTLED, -1, 0.9999);
        assert_true(decision.again);
        assert_true(decision.wait_ms >= 0 && decision.wait_ms < 20000);
        assert_true(attempt < 6 || decision.wait_ms == 19998);
    }
}

static void
outcomes_of_statuses(void **state)
{
    (void)state;
    for (int status = 100; status < 600; status++) {
        enum retry_outcome expected = RETRY_DONE;
        if (status == 429) {
            expected = RETRY_THROTTLED;
        } else if (status == 408 || status == 425 || status == 500 ||
                   (status >= 502 && status <= 504)) {
            expected = RETRY_TRANSIENT;
        }
        assert_int_equal(retry_outcome_of_status(status), expected);
    }
}

static void
retry_after_in_all_its_forms(void **state)
{
    (void)state;
    static const struct {
        const char *value, *date;
        int64_t expected;
    } rows[] = {
        {NULL, NULL, -1},
        {"", NULL, -1},
        {"0", NULL, 0},
        {"3", NULL, 3000},
        {" 120 ", NULL, 120000},
        {"-5", NULL, 0},
        {"1000000000", NULL, INT64_C(1000000000000)},
        {"9223372036854775807", NULL, INT64_MAX},
        {"99999999999999999999999999", NULL, INT64_MAX},
        {"-99999999999999999999999999", NULL, 0},
        {"1.5", NULL, -1},
        {"soon", NULL, -1},
        {"0x10", NULL, -1},
        {"Sat, 21 Nov 2026 07:48:30 GMT", NULL, 30000},
        {"Sat, 21 Nov 2026 07:47:59 GMT", NULL, 0},
        {"Wed, 01 Jan 1800 00:00:00 GMT", NULL, 0},
        {"Sat, 21 Nov 2026 09:00:30 GMT", "Sat, 21 Nov 2026 09:00:00 GMT", 30000},
        {"Sat, 21 Nov 2026 07:48:30 GMT", "yesterday", 30000},
        {"Saturday, 21-Nov-26 07:48:30 GMT", NULL, -1},
        {"Sat, 21 Nov 2026 07:48:30 PST", NULL, -1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct http_headers headers CLEANUP(http_headers_done) = {0};
        if (rows[i].value != NULL) {
            http_headers_add(&headers, "retry-after", rows[i].value);
        }
        if (rows[i].date != NULL) {
            http_headers_add(&headers, "Date", rows[i].date);
        }
        assert_int_equal(retry_after_ms(&headers, FAKE_WALL_START), rows[i].expected);
    }
}

// A platform with fixed randomness, a script and a client over it.
struct stage {
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *client;
};

static void
stage_init(struct stage *stage, const struct script_step *steps, size_t count)
{
    stage->fake = fake_platform_new(NULL);
    fake_platform_fix_random(stage->fake, 0.5);
    stage->script = script_transport_new(stage->fake, steps, count);
    assert_null(http_client_new(&stage->fake->platform, NULL, &stage->client));
}

static void
stage_done(struct stage *stage)
{
    http_client_free(stage->client);
    script_transport_free(stage->script);
    fake_platform_free(stage->fake);
}

static struct error *
send_it(struct stage *stage, const struct http_request *request, struct http_response *response)
{
    return http_send_retry(
        stage->client, &stage->fake->platform, request, &retry_idempotent_write, response);
}

static void
a_good_answer_ends_the_loop(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = URL, .status = 503, .reply = "busy"},
        {.url = URL, .failure = "connection reset", .request_left = true},
        {.url = URL, .status = 404, .reply = "gone"},
    };
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, steps, ARRAY_LENGTH(steps));
    struct http_response response CLEANUP(http_response_done) = {0};
    assert_null(send_it(&stage, &(struct http_request){.url = URL}, &response));
    assert_int_equal(response.status, 404);
    assert_string_equal(buf_cstr(&response.body), "gone");
    assert_int_equal(stage.fake->sleep_count, 2);
    assert_int_equal(stage.fake->sleeps[0], 25);
    assert_int_equal(stage.fake->sleeps[1], 50);
    script_transport_finish(stage.script);
}

static void
the_last_answer_is_the_result(void **state)
{
    (void)state;
    static const struct script_step step = {.url = URL, .status = 503, .reply = "busy", .times = 3};
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, &step, 1);
    struct http_response response CLEANUP(http_response_done) = {0};
    assert_null(send_it(&stage, &(struct http_request){.url = URL}, &response));
    assert_int_equal(response.status, 503);
    assert_string_equal(buf_cstr(&response.body), "busy");
    script_transport_finish(stage.script);
}

static void
failures_fold_into_one_sentence(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = URL "?sig=canary", .status = 503, .takes_ms = 1000},
        {.url = URL "?sig=canary", .failure = "connection reset", .request_left = true},
        {.url = URL "?sig=canary", .failure = "connection refused", .takes_ms = 1000},
    };
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, steps, ARRAY_LENGTH(steps));
    struct http_response response CLEANUP(http_response_done) = {.status = 99};
    struct error *err CLEANUP(error_freep) =
        send_it(&stage, &(struct http_request){.url = URL "?sig=canary"}, &response);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_string_equal(text, "GET " URL ": connection refused, after 3 attempts in 2.1s "
                              "(before: HTTP 503, connection reset)");
    assert_true(error_remote_of(err)->request_left); // by an earlier attempt
    assert_int_equal(response.status, 99);           // untouched
    script_transport_finish(stage.script);
}

static void
equal_failures_are_said_once(void **state)
{
    (void)state;
    static const struct script_step step = {
        .url = URL, .failure = "connection refused", .times = 3};
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, &step, 1);
    struct http_response response CLEANUP(http_response_done) = {0};
    struct error *err CLEANUP(error_freep) =
        send_it(&stage, &(struct http_request){.url = URL}, &response);
    assert_string_equal(
        error_message(err), "GET " URL ": connection refused, after 3 attempts in 0.1s");
    assert_false(error_remote_of(err)->request_left);
    script_transport_finish(stage.script);
}

static void
some_failures_are_final(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = URL, .failure = "the answer is too long", .failure_code = "cap"},
        {.url = URL, .failure = "cannot read layer", .failure_code = "body"},
        {.url = URL, .failure = "not encrypted", .failure_kind = ERROR_INPUT},
        {.url = URL, .failure = "not public", .failure_code = "address"},
        {.url = URL, .failure = "not public", .failure_kind = ERROR_DENIED},
    };
    static const char *const texts[] = {
        "GET " URL ": the answer is too long",
        "GET " URL ": cannot read layer",
        "GET " URL ": not encrypted",
        "GET " URL ": not public",
        "GET " URL ": not public",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        struct stage stage CLEANUP(stage_done) = {0};
        stage_init(&stage, &steps[i], 1);
        struct http_response response CLEANUP(http_response_done) = {0};
        struct error *err CLEANUP(error_freep) =
            send_it(&stage, &(struct http_request){.url = URL}, &response);
        assert_string_equal(error_message(err), texts[i]);
        assert_int_equal(script_transport_request_count(stage.script), 1);
    }
}

static void
retry_after_is_obeyed_or_ends_it(void **state)
{
    (void)state;
    static const struct script_step obeyed[] = {
        {.url = URL, .status = 429, .reply_headers = after_7},
        {.url = URL},
    };
    static const struct script_step absurd = {
        .url = URL, .status = 429, .reply_headers = after_absurd};
    static const struct script_step past_the_budget = {
        .url = URL, .status = 503, .reply_headers = after_31};
    struct stage stage CLEANUP(stage_done) = {0};
    struct http_response response CLEANUP(http_response_done) = {0};
    stage_init(&stage, obeyed, 2);
    assert_null(send_it(&stage, &(struct http_request){.url = URL}, &response));
    assert_int_equal(response.status, 200);
    assert_int_equal(stage.fake->sleep_count, 1);
    assert_int_equal(stage.fake->sleeps[0], 7000);
    stage_done(&stage);
    stage_init(&stage, &absurd, 1);
    assert_null(send_it(&stage, &(struct http_request){.url = URL}, &response));
    assert_int_equal(response.status, 429);
    assert_int_equal(stage.fake->sleep_count, 0);
    stage_done(&stage);
    stage_init(&stage, &past_the_budget, 1);
    assert_null(send_it(&stage, &(struct http_request){.url = URL}, &response));
    assert_int_equal(response.status, 503);
    assert_int_equal(stage.fake->sleep_count, 0);
}

static void
the_deadline_is_one_budget(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = URL, .status = 502, .takes_ms = 600},
        {.url = URL, .takes_ms = 600},
    };
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, steps, ARRAY_LENGTH(steps));
    struct http_response response CLEANUP(http_response_done) = {0};
    struct http_request request = {.url = URL, .deadline_ms = FAKE_MONO_START + 1000};
    struct error *err CLEANUP(error_freep) = send_it(&stage, &request, &response);
    assert_string_equal(
        error_message(err), "GET " URL ": timed out, after 2 attempts in 1.0s (before: HTTP 502)");
    assert_int_equal(stage.fake->mono_ms, FAKE_MONO_START + 1000);
    assert_int_equal(
        script_transport_request(stage.script, 1)->deadline_ms, FAKE_MONO_START + 1000);
    script_transport_finish(stage.script);
}

static void
without_a_deadline_the_budget_is_30_seconds(void **state)
{
    (void)state;
    static const struct script_step step = {.url = URL, .takes_ms = 60000};
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, &step, 1);
    struct http_response response CLEANUP(http_response_done) = {0};
    struct error *err CLEANUP(error_freep) =
        send_it(&stage, &(struct http_request){.url = URL}, &response);
    assert_string_equal(error_message(err), "GET " URL ": timed out");
    assert_int_equal(stage.fake->mono_ms, FAKE_MONO_START + 30000);
}

static void
a_signal_ends_the_wait(void **state)
{
    (void)state;
    static const struct script_step step = {.url = URL, .status = 429, .reply_headers = after_20};
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, &step, 1);
    stage.fake->cancel_at_ms = FAKE_MONO_START + 5000;
    struct http_response response CLEANUP(http_response_done) = {0};
    struct error *err CLEANUP(error_freep) =
        send_it(&stage, &(struct http_request){.url = URL}, &response);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_string_equal(text, "GET " URL ": before attempt 2: interrupted by signal 15");
    assert_true(error_remote_of(err)->request_left);
    assert_int_equal(stage.fake->mono_ms, FAKE_MONO_START + 5000);
}

static void
a_signal_in_mid_request_ends_the_loop(void **state)
{
    (void)state;
    static const struct script_step step = {.url = URL, .takes_ms = 2000};
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, &step, 1);
    stage.fake->cancel_at_ms = FAKE_MONO_START + 500;
    struct http_response response CLEANUP(http_response_done) = {0};
    struct error *err CLEANUP(error_freep) =
        send_it(&stage, &(struct http_request){.url = URL}, &response);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_true(error_remote_of(err)->request_left);
    assert_int_equal(script_transport_request_count(stage.script), 1);
}

struct layer {
    const char *text;
    size_t at;
    unsigned rewinds;
    bool broken;
};

static int64_t
layer_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct layer *layer = ctx;
    (void)err;
    size_t left = strlen(layer->text) - layer->at;
    size_t part = left < 3 ? left : 3;
    part = part < size ? part : size;
    memcpy(out, layer->text + layer->at, part);
    layer->at += part;
    return (int64_t)part;
}

static struct error *
layer_rewind(void *ctx)
{
    struct layer *layer = ctx;
    layer->at = 0;
    layer->rewinds++;
    return layer->broken ? error_new(ERROR_INPUT, "file 'layer.tar' has changed") : NULL;
}

static void
readers_start_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_PUT, .url = URL, .status = 500, .body = "0123456789"},
        {.method = HTTP_PUT, .url = URL, .status = 201, .body = "0123456789"},
    };
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, steps, ARRAY_LENGTH(steps));
    struct layer layer = {.text = "0123456789"};
    const struct http_reader reader = {layer_read, layer_rewind, &layer, 10, NULL};
    struct http_request request = {.method = HTTP_PUT, .url = URL, .reader = &reader};
    struct http_response response CLEANUP(http_response_done) = {0};
    assert_null(send_it(&stage, &request, &response));
    assert_int_equal(response.status, 201);
    assert_int_equal(layer.rewinds, 1);
    script_transport_finish(stage.script);
}

static void
a_reader_that_cannot_start_again_ends_it(void **state)
{
    (void)state;
    static const struct script_step step = {.method = HTTP_PUT, .url = URL, .status = 500};
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, &step, 1);
    struct layer layer = {.text = "0123456789", .broken = true};
    const struct http_reader reader = {layer_read, layer_rewind, &layer, -1, NULL};
    struct http_request request = {.method = HTTP_PUT, .url = URL, .reader = &reader};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct error *err CLEANUP(error_freep) = send_it(&stage, &request, &response);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_string_equal(text, "PUT " URL ": before attempt 2: file 'layer.tar' has changed");
}

// Takes the first bytes, then the connection "breaks".
static struct error *
break_after_some(void *ctx, const char *bytes, size_t len)
{
    (void)bytes;
    size_t *got = ctx;
    *got += len;
    return error_new(ERROR_UNAVAILABLE, "connection reset");
}

static void
what_a_writer_got_is_not_repeated(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = URL, .status = 503, .reply = "busy"}, // not for the writer: no 2xx
        {.url = URL, .reply = "half"},
    };
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, steps, ARRAY_LENGTH(steps));
    size_t got = 0;
    const struct http_writer writer = {break_after_some, &got, NULL};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct error *err CLEANUP(error_freep) =
        send_it(&stage, &(struct http_request){.url = URL, .writer = &writer}, &response);
    assert_string_equal(
        error_message(err), "connection reset, after 2 attempts in 0.0s (before: HTTP 503)");
    assert_int_equal(got, 4);
    script_transport_finish(stage.script);
}

static void
a_request_marked_once_is_sent_once(void **state)
{
    (void)state;
    static const struct script_step step = {
        .method = HTTP_POST, .url = URL, .status = 503, .must_be_once = true};
    struct stage stage CLEANUP(stage_done) = {0};
    stage_init(&stage, &step, 1);
    struct http_response response CLEANUP(http_response_done) = {0};
    struct http_request request = {.method = HTTP_POST, .url = URL, .once = true};
    assert_null(send_it(&stage, &request, &response));
    assert_int_equal(response.status, 503);
    script_transport_finish(stage.script);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions),
        cmocka_unit_test(waits_stay_under_the_cap),
        cmocka_unit_test(outcomes_of_statuses),
        cmocka_unit_test(retry_after_in_all_its_forms),
        cmocka_unit_test(a_good_answer_ends_the_loop),
        cmocka_unit_test(the_last_answer_is_the_result),
        cmocka_unit_test(failures_fold_into_one_sentence),
        cmocka_unit_test(equal_failures_are_said_once),
        cmocka_unit_test(some_failures_are_final),
        cmocka_unit_test(retry_after_is_obeyed_or_ends_it),
        cmocka_unit_test(the_deadline_is_one_budget),
        cmocka_unit_test(without_a_deadline_the_budget_is_30_seconds),
        cmocka_unit_test(a_signal_ends_the_wait),
        cmocka_unit_test(a_signal_in_mid_request_ends_the_loop),
        cmocka_unit_test(readers_start_again),
        cmocka_unit_test(a_reader_that_cannot_start_again_ends_it),
        cmocka_unit_test(what_a_writer_got_is_not_repeated),
        cmocka_unit_test(a_request_marked_once_is_sent_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
