// Plays a script of requests and replies as an http_transport. Opens no socket.
#include "script_transport.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

enum {
    REQUESTS_MAX = 4096,
    BODY_MAX = 256 * 1024 * 1024,
    RESPONSE_MAX_DEFAULT = 8 * 1024 * 1024,
    DEADLINE_DEFAULT_MS = 30 * 1000,
};

struct script_transport {
    struct http_transport base; // first: the transport is cast back to the script
    struct fake_platform *fake;
    const struct script_step *steps;
    size_t count;
    unsigned *used; // per step
    struct script_request *requests;
    size_t request_count;
};

static unsigned
step_times(const struct script_step *step)
{
    return step->times > 0 ? step->times : 1;
}

static bool
step_is_open(const struct script_transport *script, size_t index)
{
    return script->used[index] < step_times(&script->steps[index]);
}

static bool
header_matches(const struct http_headers *headers, const char *expected)
{
    if (expected[0] == '!') {
        return http_headers_get(headers, expected + 1) == NULL;
    }
    struct str name, pattern;
    (void)str_cut(str_of(expected), ':', &name, &pattern);
    pattern = str_trim(pattern);
    bool found = false;
    for (size_t i = 0; i < headers->count && !found; i++) {
        char *wanted = str_dup(pattern);
        found = str_equal_nocase(str_of(headers->list[i].name), name) &&
                (strcmp(wanted, headers->list[i].value) == 0 ||
                    fnmatch(wanted, headers->list[i].value, 0) == 0);
        free(wanted);
    }
    return found;
}

static bool
text_matches(const char *exact, const char *pattern, const char *text)
{
    return (exact == NULL || strcmp(exact, text) == 0) &&
           (pattern == NULL || fnmatch(pattern, text, 0) == 0);
}

static bool
body_matches(const struct script_step *step, const struct buf *body)
{
    if (step->no_body && body->len > 0) {
        return false;
    }
    if (step->body != NULL && step->body_len > 0) {
        return str_equal((struct str){step->body, step->body_len}, buf_str(body));
    }
    return text_matches(step->body, step->body_pattern, buf_cstr(body));
}

/// Says what is different, or NULL when the request is the one the step expects; free().
static char *
step_difference(const struct script_step *step, const struct script_request *request)
{
    if (step->method != request->method ||
        !text_matches(step->url, step->url_pattern, request->url)) {
        return xstrdup("another method or URL");
    }
    for (size_t i = 0; step->headers != NULL && step->headers[i] != NULL; i++) {
        if (!header_matches(&request->headers, step->headers[i])) {
            return xasprintf("header '%s' does not hold", step->headers[i]);
        }
    }
    const char *body = buf_cstr(&request->body);
    if (!body_matches(step, &request->body)) {
        return xasprintf("body is\n%s\nexpected\n%s", body,
            step->body != NULL           ? step->body
            : step->body_pattern != NULL ? step->body_pattern
                                         : "none");
    }
    if (!step->any_once && step->must_be_once != request->once) {
        return xasprintf("once is %s", request->once ? "set" : "not set");
    }
    return NULL;
}

// The next open step, or any open one of its group where the order does not matter.
static const struct script_step *
script_match(struct script_transport *script, const struct script_request *request)
{
    size_t first = 0;
    while (first < script->count && !step_is_open(script, first)) {
        first++;
    }
    if (first == script->count) {
        fail_msg("unexpected request %s '%s' after the last step of the script",
            http_method_name(request->method), request->url);
    }
    char *why = NULL;
    for (size_t i = first; i < script->count; i++) {
        const struct script_step *step = &script->steps[i];
        if (i > first && !(script->steps[first].any_order && step->any_order)) {
            break;
        }
        if (!step_is_open(script, i)) {
            continue;
        }
        char *difference = step_difference(step, request);
        if (difference == NULL) {
            free(why);
            script->used[i]++;
            return step;
        }
        free(why);
        why = difference;
    }
    const struct script_step *step = &script->steps[first];
    fail_msg("step %zu expects %s '%s', but %s '%s' was sent: %s", first + 1,
        http_method_name(step->method), step->url != NULL ? step->url : step->url_pattern,
        http_method_name(request->method), request->url, why);
    return NULL;
}

static struct error *
read_body(const struct http_request *request, struct buf *out)
{
    if (request->reader == NULL) {
        buf_add(out, request->body);
        return NULL;
    }
    char block[16 * 1024];
    for (;;) {
        struct error *err = NULL;
        while (request->reader->ready != NULL && !request->reader->ready(request->reader->ctx)) {
            const struct timespec moment = {.tv_nsec = 1000000}; // threads of the caller work on it
            (void)nanosleep(&moment, NULL);
        }
        int64_t got = request->reader->read(request->reader->ctx, block, sizeof(block), &err);
        if (got < 0) {
            return err;
        }
        if (got == 0) {
            break;
        }
        buf_append(out, block, (size_t)got);
    }
    if (request->reader->length >= 0 && (uint64_t)request->reader->length != out->len) {
        fail_msg("the reader announced %lld bytes and gave %zu", (long long)request->reader->length,
            out->len);
    }
    return NULL;
}

static struct error *
record(struct script_transport *script, const struct http_request *request,
    struct script_request **out)
{
    if (script->request_count == REQUESTS_MAX) {
        fail_msg("more than %d requests: a loop that never ends", REQUESTS_MAX);
    }
    struct script_request *copy = &script->requests[script->request_count++];
    copy->method = request->method;
    copy->url = xstrdup(request->url);
    copy->once = request->once;
    copy->allow_plain = request->allow_plain;
    copy->public_only = request->public_only;
    copy->unix_socket = request->unix_socket != NULL ? xstrdup(request->unix_socket) : NULL;
    copy->deadline_ms = request->deadline_ms;
    copy->max_response = request->max_response;
    copy->sent_mono_ms = script->fake->mono_ms;
    for (size_t i = 0; request->headers != NULL && i < request->headers->count; i++) {
        const struct http_header *header = &request->headers->list[i];
        http_headers_add(&copy->headers, header->name, header->value);
        copy->headers.list[i].sensitive = header->sensitive;
    }
    buf_init(&copy->body, BODY_MAX);
    *out = copy;
    return read_body(request, &copy->body);
}

static struct error *
failure(const struct http_request *request, enum error_kind kind, const char *code, bool left,
    const char *text)
{
    struct buf what = BUF_INIT(8192);
    http_describe(request, &what);
    struct error *err = error_new(kind, "%s: %s", buf_cstr(&what), text);
    buf_done(&what);
    return error_remote(err, 0, code, NULL, left);
}

static struct error *
deliver(const struct http_request *request, const struct script_step *step,
    struct http_response *response)
{
    const char *reply = step->reply != NULL ? step->reply : "";
    size_t len = step->reply_len > 0 ? step->reply_len : strlen(reply);
    bool good = response->status >= 200 && response->status < 300;
    if (good && request->writer != NULL) {
        return request->writer->write(request->writer->ctx, reply, len);
    }
    buf_done(&response->body);
    buf_init(
        &response->body, request->max_response > 0 ? request->max_response : RESPONSE_MAX_DEFAULT);
    buf_append(&response->body, reply, len);
    if (response->body.failed) {
        return failure(request, ERROR_UNAVAILABLE, "cap", true, "the answer is too long");
    }
    return NULL;
}

static struct error *
wait_for(struct script_transport *script, const struct http_request *request,
    const struct script_step *step)
{
    struct fake_platform *fake = script->fake;
    int64_t deadline =
        request->deadline_ms != 0 ? request->deadline_ms : fake->mono_ms + DEADLINE_DEFAULT_MS;
    int64_t left = deadline > fake->mono_ms ? deadline - fake->mono_ms : 0;
    bool late = step->takes_ms > left;
    fake_platform_advance(fake, late ? left : step->takes_ms);
    if (cancel_signal(fake->cancel) != 0) {
        struct error *err = cancel_check(fake->cancel);
        return error_remote(err, 0, "cancelled", NULL, true);
    }
    return late ? failure(request, ERROR_UNAVAILABLE, "timeout", true, "timed out") : NULL;
}

static struct error *
perform_one(struct script_transport *script, struct http_exchange *exchange)
{
    const struct http_request *request = exchange->request;
    struct http_response *response = &exchange->response;
    TRY(cancel_check(script->fake->cancel));
    struct script_request *sent = NULL;
    TRY(record(script, request, &sent));
    const struct script_step *step = script_match(script, sent);
    if (step->hook != NULL) {
        step->hook(step->hook_ctx);
    }
    int64_t start = script->fake->mono_ms;
    TRY(wait_for(script, request, step));
    if (step->failure != NULL) {
        enum error_kind kind = step->failure_kind != 0 ? step->failure_kind : ERROR_UNAVAILABLE;
        const char *code = step->request_left ? "reset" : "connect";
        return failure(request, kind, step->failure_code != NULL ? step->failure_code : code,
            step->request_left, step->failure);
    }
    response->status = step->status > 0 ? step->status : 200;
    response->received_wall_ms = script->fake->wall_ms;
    response->elapsed_ms = script->fake->mono_ms - start;
    for (size_t i = 0; step->reply_headers != NULL && step->reply_headers[i] != NULL; i++) {
        struct str name, value;
        (void)str_cut(str_of(step->reply_headers[i]), ':', &name, &value);
        char *key = str_dup(name), *text = str_dup(str_trim(value));
        http_headers_add(&response->headers, key, text);
        free(key);
        free(text);
    }
    return deliver(request, step, response);
}

static struct error *
perform(struct http_transport *transport, const struct http_flow *flow)
{
    struct script_transport *script = (struct script_transport *)transport;
    const struct platform *platform = &script->fake->platform;
    while (!flow->stopped(flow->ctx)) {
        int64_t again_ms = INT64_MAX;
        struct http_exchange *exchange = flow->next(flow->ctx, &again_ms);
        if (exchange != NULL) {
            exchange->error = perform_one(script, exchange);
            flow->ended(flow->ctx, exchange);
        } else if (again_ms < INT64_MAX) {
            TRY(clock_sleep_until(platform->clock, again_ms, platform->cancel));
        } else {
            break;
        }
    }
    return NULL;
}

// The script belongs to the test, not to the client that uses it.
static void
keep(struct http_transport *transport)
{
    (void)transport;
}

struct script_transport *
script_transport_new(struct fake_platform *fake, const struct script_step *steps, size_t count)
{
    struct script_transport *script = xcalloc(1, sizeof(*script));
    script->base = (struct http_transport){perform, keep, NULL};
    script->fake = fake;
    script->steps = steps;
    script->count = count;
    script->used = xcalloc(count + 1, sizeof(*script->used));
    script->requests = xcalloc(REQUESTS_MAX, sizeof(*script->requests));
    fake->platform.transport = &script->base;
    return script;
}

void
script_transport_free(struct script_transport *script)
{
    if (script == NULL) {
        return;
    }
    for (size_t i = 0; i < script->request_count; i++) {
        free(script->requests[i].url);
        free(script->requests[i].unix_socket);
        http_headers_done(&script->requests[i].headers);
        buf_done(&script->requests[i].body);
    }
    free(script->requests);
    free(script->used);
    free(script);
}

void
script_transport_freep(struct script_transport **script)
{
    script_transport_free(*script);
    *script = NULL;
}

void
script_transport_finish(struct script_transport *script)
{
    for (size_t i = 0; i < script->count; i++) {
        const struct script_step *step = &script->steps[i];
        if (step_is_open(script, i)) {
            fail_msg("step %zu, %s '%s', was used %u of %u times", i + 1,
                http_method_name(step->method), step->url != NULL ? step->url : step->url_pattern,
                script->used[i], step_times(step));
        }
    }
}

size_t
script_transport_request_count(const struct script_transport *script)
{
    return script->request_count;
}

const struct script_request *
script_transport_request(const struct script_transport *script, size_t index)
{
    if (index >= script->request_count) {
        fail_msg("request %zu was never sent, only %zu were", index + 1, script->request_count);
    }
    return &script->requests[index];
}
