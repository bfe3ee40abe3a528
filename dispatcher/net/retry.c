// Whether and when to try again: the policy numbers, the pure decision, and the loop around
// http_send. Requests that are not idempotent do not come here; their callers reconcile
// (protocols.md §3.6).
#include "dispatcher/retry.h"

#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum {
    DEFAULT_BUDGET_MS = 30000, // as http_send's
    HISTORY_MAX = 1024,
    ATTEMPTS_SHIFT_MAX = 20, // base << 20 is far beyond every cap
};

const struct retry_policy retry_idempotent_write = {
    .max_attempts = 3,
    .base_ms = 50,
    .throttle_base_ms = 1000,
    .cap_ms = 20000,
    .retry_after_cap_ms = 120000,
};

const struct retry_policy retry_read = {
    .max_attempts = 5,
    .base_ms = 50,
    .throttle_base_ms = 1000,
    .cap_ms = 20000,
    .retry_after_cap_ms = 120000,
};

struct retry_decision
retry_decide(const struct retry_policy *policy, unsigned attempt, enum retry_outcome outcome,
    int64_t retry_after_ms, double random)
{
    const struct retry_decision stop = {false, 0};
    if (outcome == RETRY_DONE || outcome == RETRY_FATAL || attempt >= policy->max_attempts) {
        return stop;
    }
    if (retry_after_ms > policy->retry_after_cap_ms) {
        return stop;
    }
    if (retry_after_ms > 0) {
        return (struct retry_decision){true, retry_after_ms};
    }
    int64_t base = outcome == RETRY_THROTTLED ? policy->throttle_base_ms : policy->base_ms;
    unsigned doublings = attempt > 0 ? attempt - 1 : 0;
    int64_t ceiling = policy->cap_ms;
    if (doublings < ATTEMPTS_SHIFT_MAX && base << doublings < policy->cap_ms) {
        ceiling = base << doublings;
    }
    return (struct retry_decision){true, (int64_t)((double)ceiling * random)};
}

enum retry_outcome
retry_outcome_of_status(int status)
{
    switch (status) {
    case 408:
    case 425:
    case 500:
    case 502:
    case 503:
    case 504:
        return RETRY_TRANSIENT;
    case 429:
        return RETRY_THROTTLED;
    default:
        return RETRY_DONE;
    }
}

static bool
is_digits(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
    }
    return text.len > 0;
}

int64_t
retry_after_ms(const struct http_headers *headers, int64_t now_wall_ms)
{
    const char *value = http_headers_get(headers, "Retry-After");
    struct str text = str_trim(str_of(value));
    int64_t number = 0;
    if (str_to_int64(text, &number)) {
        number = number > 0 ? number : 0;
        return number > INT64_MAX / 1000 ? INT64_MAX : number * 1000;
    }
    if (is_digits(text)) {
        return INT64_MAX; // more seconds than a number holds
    }
    if (text.len > 1 && text.ptr[0] == '-' && is_digits(str_skip(text, 1))) {
        return 0;
    }
    (void)clock_parse_http_date(http_headers_get(headers, "Date"), &now_wall_ms);
    if (!clock_parse_http_date(value, &number)) {
        return -1;
    }
    return number > now_wall_ms ? number - now_wall_ms : 0;
}

// The caller's writer, watched: what has been handed over cannot be taken back.
struct watched_writer {
    const struct http_writer *inner;
    bool used;
};

static struct error *
watched_write(void *ctx, const char *bytes, size_t len)
{
    struct watched_writer *watched = ctx;
    watched->used = watched->used || len > 0;
    return watched->inner->write(watched->inner->ctx, bytes, len);
}

static bool
watched_ready(void *ctx)
{
    const struct watched_writer *watched = ctx;
    return watched->inner->ready == NULL || watched->inner->ready(watched->inner->ctx);
}

// One run of the loop.
struct attempts {
    struct http_client *client;
    const struct platform *platform;
    const struct retry_policy *policy;
    struct http_request request; // the caller's, with our deadline and writer
    struct watched_writer watched;
    unsigned count;
    int64_t start_ms, budget_ms;
    bool request_left;  // by any attempt
    struct buf history; // what went wrong before the last attempt, each thing once
    struct http_response response;
    struct error *error; // of the last attempt
};

static void
attempts_done(struct attempts *attempts)
{
    buf_done(&attempts->history);
    http_response_done(&attempts->response);
    error_free(attempts->error);
}

// "GET https://host/path: reset by peer" without what http_describe already says.
static struct str
failure_text(const struct http_request *request, const char *message)
{
    struct buf what CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    http_describe(request, &what);
    buf_puts(&what, ": ");
    struct str text = str_of(message);
    return str_starts(text, buf_str(&what)) ? str_skip(text, what.len) : text;
}

static void
remember(struct attempts *attempts)
{
    struct buf entry CLEANUP(buf_done) = BUF_INIT(256);
    if (attempts->error != NULL) {
        text_clean(failure_text(&attempts->request, error_message(attempts->error)), 200, &entry);
    } else {
        buf_printf(&entry, "HTTP %d", attempts->response.status);
    }
    if (!str_contains(buf_str(&attempts->history), buf_str(&entry))) {
        buf_puts(&attempts->history, attempts->history.len > 0 ? ", " : "");
        buf_add(&attempts->history, buf_str(&entry));
    }
}

static enum retry_outcome
outcome_of_error(const struct error *err)
{
    const char *code = error_remote_of(err)->code;
    bool final = cstr_equal(code, "address") || cstr_equal(code, "cap") || cstr_equal(code, "body");
    return error_kind(err) == ERROR_UNAVAILABLE && !final ? RETRY_TRANSIENT : RETRY_FATAL;
}

static void
attempt_once(struct attempts *attempts)
{
    http_response_done(&attempts->response);
    error_free(attempts->error);
    attempts->count++;
    attempts->error = http_send(attempts->client, &attempts->request, &attempts->response);
    attempts->request_left = attempts->request_left || attempts->error == NULL ||
                             error_remote_of(attempts->error)->request_left;
}

static struct retry_decision
decide(const struct attempts *attempts)
{
    enum retry_outcome outcome = RETRY_FATAL;
    int64_t after = -1;
    if (attempts->error != NULL) {
        outcome = outcome_of_error(attempts->error);
    } else {
        outcome = retry_outcome_of_status(attempts->response.status);
        after = retry_after_ms(&attempts->response.headers, clock_wall(attempts->platform->clock));
    }
    if (attempts->watched.used || attempts->request.once) {
        outcome = RETRY_FATAL;
    }
    struct retry_decision decision = retry_decide(
        attempts->policy, attempts->count, outcome, after, random_unit(attempts->platform->random));
    int64_t now = clock_mono(attempts->platform->clock);
    if (decision.again && decision.wait_ms >= attempts->budget_ms - now) {
        decision.again = false; // the next attempt would have no time
    }
    return decision;
}

// Waits, then puts the body back to its start.
static struct error *
prepare_next(struct attempts *attempts, int64_t wait_ms)
{
    const struct platform *platform = attempts->platform;
    log_debug(platform->log, "http again", F_INT("attempt", attempts->count + 1),
        F_INT("wait_ms", wait_ms));
    struct error *err =
        clock_sleep_until(platform->clock, clock_mono(platform->clock) + wait_ms, platform->cancel);
    const struct http_reader *reader = attempts->request.reader;
    if (err == NULL && reader != NULL) {
        err = reader->rewind(reader->ctx);
    }
    if (err == NULL) {
        return NULL;
    }
    struct buf what CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    http_describe(&attempts->request, &what);
    err = error_wrap(err, "%s: before attempt %u", buf_cstr(&what), attempts->count + 1);
    return error_remote(err, 0, NULL, NULL, attempts->request_left);
}

// One error for all attempts; a single attempt's error stays as it is.
static struct error *
fold(struct attempts *attempts)
{
    struct error *last = attempts->error;
    attempts->error = NULL;
    if (attempts->count == 1 || last == NULL) {
        return last;
    }
    char took[32];
    clock_format_duration(clock_mono(attempts->platform->clock) - attempts->start_ms, took);
    bool same = str_equal(
        failure_text(&attempts->request, error_message(last)), buf_str(&attempts->history));
    struct buf before CLEANUP(buf_done) = BUF_INIT(HISTORY_MAX + 64);
    if (!same && attempts->history.len > 0) {
        buf_printf(&before, " (before: %s)", buf_cstr(&attempts->history));
    }
    struct error *err = error_new(error_kind(last), "%s, after %u attempts in %s%s",
        error_message(last), attempts->count, took, buf_cstr(&before));
    const struct error_remote *remote = error_remote_of(last);
    error_remote(err, remote->status, remote->code, remote->request_id, attempts->request_left);
    if (error_hint_of(last) != NULL) {
        error_hint(err, "%s", error_hint_of(last));
    }
    error_free(last);
    return err;
}

struct error *
http_send_retry(struct http_client *client, const struct platform *platform,
    const struct http_request *request, const struct retry_policy *policy,
    struct http_response *response)
{
    BUG_ON(request->reader != NULL && request->reader->rewind == NULL);
    struct attempts attempts CLEANUP(attempts_done) = {
        .client = client, .platform = platform, .policy = policy, .request = *request};
    buf_init(&attempts.history, HISTORY_MAX);
    attempts.start_ms = clock_mono(platform->clock);
    attempts.budget_ms =
        request->deadline_ms != 0 ? request->deadline_ms : attempts.start_ms + DEFAULT_BUDGET_MS;
    attempts.request.deadline_ms = attempts.budget_ms;
    attempts.watched.inner = request->writer;
    const struct http_writer writer = {watched_write, &attempts.watched, watched_ready};
    attempts.request.writer = request->writer != NULL ? &writer : NULL;
    for (;;) {
        attempt_once(&attempts);
        struct retry_decision decision = decide(&attempts);
        if (!decision.again) {
            break;
        }
        remember(&attempts);
        TRY(prepare_next(&attempts, decision.wait_ms));
    }
    TRY(fold(&attempts));
    http_response_done(response);
    *response = attempts.response;
    attempts.response = (struct http_response){0};
    return NULL;
}
