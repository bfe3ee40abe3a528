// One AWS request until it has an answer: sign, send, and repeat by the rules of the SDKs'
// "standard" mode with its 2026 numbers (SDK Reference Guide, "Retry behavior"). A clock that
// differs from the service's is corrected once, expired credentials are renewed once. What is not
// idempotent is repeated only when the service cannot have done it. Reads no answer but a failed
// one.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/sigv4.h"

enum {
    ATTEMPT_MS = 10 * 1000, // protocols.md §5.2: per try and in all
    TOTAL_MS = 60 * 1000,
    RESPONSE_MAX = 4 * 1024 * 1024,
    QUOTA_MAX = 500,
    QUOTA_COST = 14,
    QUOTA_COST_THROTTLED = 5,
    SKEW_MIN_MS = 4 * 60 * 1000,
    SKEW_ROUND_TRIP_MAX_MS = 15 * 60 * 1000,
    RETRY_AFTER_SLACK_MS = 5 * 1000,
};

struct exchange {
    struct aws_session *session;
    const struct aws_request *request;
    const char *region;                        // that it is signed for
    const struct aws_credentials *credentials; // borrowed for one attempt; NULL: unsigned
    char *url;
    char invocation[37];
    struct retry_policy policy;
    unsigned attempt;
    int64_t started_ms, deadline_ms;
    int spent; // quota taken for the attempt under way
    bool corrected_clock, renewed, ambiguous;
};

static void
exchange_done(struct exchange *exchange)
{
    free(exchange->url);
}

// A version 4 UUID, the same for all attempts of one call.
static void
make_invocation_id(const struct platform *platform, char out[37])
{
    char hex[33];
    random_hex(platform->random, 16, hex);
    hex[12] = '4';
    hex[16] = "89ab"[(unsigned char)hex[16] & 3];
    size_t at = 0;
    for (size_t i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            out[at++] = '-';
        }
        out[at++] = hex[i];
    }
    out[at] = '\0';
}

static struct error *
sign(const struct exchange *exchange, struct http_headers *headers)
{
    const struct aws_request *request = exchange->request;
    const struct aws_credentials *credentials = exchange->credentials;
    const struct sigv4_request signed_request = {
        .method = HTTP_POST,
        .url = exchange->url,
        .headers = headers,
        .body = request->body,
    };
    const struct sigv4_scope scope = {
        .access_key = credentials->access_key,
        .secret_key = credentials->secret_key,
        .session_token = credentials->session_token,
        .region = exchange->region,
        .service = request->service,
        .time_ms = aws_wall_ms(exchange->session),
    };
    return sigv4_sign(&signed_request, &scope, headers);
}

static struct error *
attempt_once(struct exchange *exchange, struct http_response *response)
{
    const struct aws_request *request = exchange->request;
    const struct clock *clock = exchange->session->platform->clock;
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add(&headers, "Content-Type", request->content_type);
    if (request->target != NULL) {
        http_headers_add(&headers, "X-Amz-Target", request->target);
    }
    http_headers_add(&headers, "amz-sdk-invocation-id", exchange->invocation);
    http_headers_addf(&headers, "amz-sdk-request", "attempt=%u; max=%u", exchange->attempt,
        exchange->policy.max_attempts);
    if (exchange->credentials != NULL) {
        TRY(sign(exchange, &headers));
    }
    int64_t limit = clock_mono(clock) + ATTEMPT_MS;
    const struct http_request http = {
        .method = HTTP_POST,
        .url = exchange->url,
        .headers = &headers,
        .body = request->body,
        .deadline_ms = limit < exchange->deadline_ms ? limit : exchange->deadline_ms,
        .max_response = RESPONSE_MAX,
        .once = !request->idempotent && !request->read,
    };
    return http_send(exchange->session->http, &http, response);
}

static void
quota_refund(struct exchange *exchange)
{
    int *tokens = &exchange->session->retry_tokens;
    *tokens += exchange->spent > 0 ? exchange->spent : 1;
    *tokens = *tokens < QUOTA_MAX ? *tokens : QUOTA_MAX;
}

static bool
quota_take(struct exchange *exchange, enum retry_outcome outcome)
{
    int cost = outcome == RETRY_THROTTLED ? QUOTA_COST_THROTTLED : QUOTA_COST;
    if (exchange->session->retry_tokens < cost) {
        return false;
    }
    exchange->session->retry_tokens -= cost;
    exchange->spent = cost;
    return true;
}

// x-amz-retry-after is in milliseconds and may lengthen the wait, by 5 s at most.
static int64_t
lengthen(int64_t wait_ms, const struct http_response *response)
{
    const char *text = http_headers_get(&response->headers, "x-amz-retry-after");
    int64_t asked = 0;
    if (text == NULL || !str_to_int64(str_of(text), &asked) || asked <= wait_ms) {
        return wait_ms;
    }
    return asked < wait_ms + RETRY_AFTER_SLACK_MS ? asked : wait_ms + RETRY_AFTER_SLACK_MS;
}

/// Waits for the next attempt; *again false when there is none.
static struct error *
wait_for_next(struct exchange *exchange, enum retry_outcome outcome,
    const struct http_response *response, bool *again)
{
    const struct platform *platform = exchange->session->platform;
    int64_t now = clock_mono(platform->clock);
    struct retry_decision decision = retry_decide(&exchange->policy, exchange->attempt, outcome,
        retry_after_ms(&response->headers, clock_wall(platform->clock)),
        random_unit(platform->random));
    int64_t wait_ms = lengthen(decision.wait_ms, response);
    *again =
        decision.again && now + wait_ms < exchange->deadline_ms && quota_take(exchange, outcome);
    if (!*again) {
        return NULL;
    }
    log_debug(platform->log, "aws request is repeated",
        F_STR("operation", exchange->request->operation), F_INT("attempt", exchange->attempt),
        F_INT("wait_ms", wait_ms));
    return clock_sleep_until(platform->clock, now + wait_ms, platform->cancel);
}

// The offset is the service's Date against our clock at the middle of the round trip, as the SDKs
// take it. A cached answer (Age) or a very slow one says nothing.
static bool
correct_clock(struct exchange *exchange, const struct http_response *response)
{
    const char *date = http_headers_get(&response->headers, "Date");
    int64_t server_ms = 0;
    if (exchange->corrected_clock || date == NULL || !clock_parse_http_date(date, &server_ms) ||
        http_headers_get(&response->headers, "Age") != NULL ||
        response->elapsed_ms > SKEW_ROUND_TRIP_MAX_MS) {
        return false;
    }
    int64_t offset = server_ms - (response->received_wall_ms - response->elapsed_ms / 2);
    int64_t change = offset - exchange->session->clock_offset_ms;
    if (change > -SKEW_MIN_MS && change < SKEW_MIN_MS) {
        return false;
    }
    exchange->corrected_clock = true;
    exchange->session->clock_offset_ms = offset;
    return true;
}

/// Can what was wrong be put right without waiting? Sets *again.
static struct error *
repair(struct exchange *exchange, const struct aws_fault *fault,
    const struct http_response *response, bool *again)
{
    const struct aws_request *request = exchange->request;
    *again = false;
    if (request->is_unsigned) {
        return NULL;
    }
    if (aws_fault_is_skew(fault) && correct_clock(exchange, response)) {
        *again = true;
        return NULL;
    }
    if (aws_fault_is_expiry(fault) && !exchange->renewed && request->credentials == NULL) {
        exchange->renewed = true;
        TRY(aws_credentials_renew(exchange->session, again));
    }
    return NULL;
}

// All attempts become one sentence, and the last of them gives the reason.
static struct error *
fold(const struct exchange *exchange, struct error *err)
{
    const struct aws_request *request = exchange->request;
    struct error *outer = NULL;
    if (exchange->attempt > 1) {
        char took[32];
        const struct clock *clock = exchange->session->platform->clock;
        clock_format_duration(clock_mono(clock) - exchange->started_ms, took);
        outer = error_wrap(err, "%s %s, after %u attempts in %s", request->service,
            request->operation, exchange->attempt, took);
    } else {
        outer = error_wrap(err, "%s %s", request->service, request->operation);
    }
    const struct error_remote *last = error_remote_of(err);
    return error_remote(outer, last->status, last->code, last->request_id, exchange->ambiguous);
}

/// After a failed attempt: NULL to go on with the next, else the final error. Consumes `err`.
static struct error *
after_no_answer(struct exchange *exchange, struct error *err)
{
    const struct aws_request *request = exchange->request;
    if (error_kind(err) != ERROR_UNAVAILABLE) {
        return err; // cancelled, or a fault of ours
    }
    bool left = error_remote_of(err)->request_left;
    exchange->ambiguous = exchange->ambiguous || left;
    if (left && !request->idempotent && !request->read) {
        return fold(exchange, err);
    }
    const struct http_response none = {0};
    bool again = false;
    struct error *interrupted = wait_for_next(exchange, RETRY_TRANSIENT, &none, &again);
    if (interrupted != NULL || again) {
        error_free(err);
        return interrupted;
    }
    return fold(exchange, err);
}

// A convenience for whoever asked for it: a body that is no JSON has no details.
static void
keep_refusal(const struct aws_request *request, const struct http_response *response)
{
    if (request->refusal != NULL && response->status >= 400 && response->status < 500) {
        struct error *err CLEANUP(error_freep) =
            json_parse(buf_str(&response->body), &json_limits_default, request->refusal);
    }
}

static struct error *
after_fault(struct exchange *exchange, const struct http_response *response)
{
    const struct aws_request *request = exchange->request;
    struct aws_fault fault CLEANUP(aws_fault_done) = {0};
    aws_fault_read(response, &fault);
    bool again = false;
    struct error *err = repair(exchange, &fault, response, &again);
    if (err != NULL) {
        return error_wrap(
            err, "%s %s: renew expired credentials", request->service, request->operation);
    }
    bool refused = aws_fault_is_refusal(&fault);
    exchange->ambiguous = exchange->ambiguous || !refused;
    bool final = request->final_code != NULL && cstr_equal(fault.code, request->final_code);
    if (!again && !final && (refused || request->idempotent || request->read)) {
        TRY(wait_for_next(exchange, aws_fault_outcome(&fault), response, &again));
    }
    if (again) {
        return NULL;
    }
    keep_refusal(request, response);
    return fold(exchange, aws_fault_error(&fault, request));
}

static struct error *
start(struct exchange *exchange)
{
    struct aws_session *session = exchange->session;
    const struct aws_request *request = exchange->request;
    exchange->region = request->region;
    if (exchange->region == NULL) {
        TRY(aws_region(session, &exchange->region));
    }
    TRY(aws_endpoint_in(session, request->service, exchange->region, &exchange->url));
    exchange->region = aws_signing_region(session, request->service, exchange->region);
    make_invocation_id(session->platform, exchange->invocation);
    exchange->policy = request->read ? retry_read : retry_idempotent_write;
    if (session->max_attempts > 0) {
        exchange->policy.max_attempts = session->max_attempts;
    }
    exchange->started_ms = clock_mono(session->platform->clock);
    exchange->deadline_ms = exchange->started_ms + TOTAL_MS;
    return NULL;
}

static struct error *
find_credentials(struct exchange *exchange)
{
    const struct aws_request *request = exchange->request;
    exchange->credentials = request->credentials;
    if (request->is_unsigned || request->credentials != NULL) {
        return NULL;
    }
    return aws_credentials_get(exchange->session, &exchange->credentials);
}

struct error *
aws_send(
    struct aws_session *session, const struct aws_request *request, struct http_response *response)
{
    struct exchange exchange CLEANUP(exchange_done) = {.session = session, .request = request};
    TRY(start(&exchange));
    for (;;) {
        struct http_response answer CLEANUP(http_response_done) = {0};
        TRY(find_credentials(&exchange));
        exchange.attempt++;
        struct error *err = attempt_once(&exchange, &answer);
        if (err == NULL && answer.status >= 200 && answer.status < 300) {
            quota_refund(&exchange);
            http_response_done(response);
            *response = answer;
            answer = (struct http_response){0};
            return NULL;
        }
        TRY(err != NULL ? after_no_answer(&exchange, err) : after_fault(&exchange, &answer));
    }
}
