// What all sinks have in common: a deadline and a cap for each request, and verdicts from errors
// and statuses. Knows no vendor, and quotes no URL: a webhook's is a secret.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/retry.h"
#include "dispatcher/text.h"
#include "notify_internal.h"

enum { RETRY_AFTER_MAX_MS = 24 * 60 * 60 * 1000, DEPTH_MAX = 32 };

void
notify_delivered(const struct notify_case *at)
{
    *at->out = (struct notify_result){.verdict = NOTIFY_DELIVERED, .retry_after_ms = -1};
}

void
notify_settle(const struct notify_case *at, enum notify_verdict verdict, const char *hint,
    const char *format, ...)
{
    struct buf problem CLEANUP(buf_done) = BUF_INIT(4096);
    va_list args;
    if (at->who != NULL) {
        buf_printf(&problem, "%s: ", at->who);
    }
    va_start(args, format);
    buf_vprintf(&problem, format, args);
    va_end(args);
    *at->out = (struct notify_result){.verdict = verdict,
        .retry_after_ms = -1,
        .problem = arena_str(at->arena, buf_str(&problem)),
        .hint = arena_dup(at->arena, hint)};
}

const char *
notify_words(struct arena *arena, const char *text, size_t max)
{
    struct buf masked CLEANUP(buf_wipe) = BUF_INIT(NOTIFY_ANSWER_MAX * 16);
    struct buf clean CLEANUP(buf_done) = BUF_INIT(max + 16);
    buf_puts(&masked, text != NULL ? text : "");
    secret_mask(&masked); // what was sent may come back
    text_clean(str_trim(buf_str(&masked)), max, &clean);
    return arena_str(arena, str_trim(buf_str(&clean)));
}

bool
notify_status_is_good(int status)
{
    return status >= 200 && status < 300;
}

// --- errors --------------------------------------------------------------------------------------

// http.h's codes. `blocks`: somebody has to mend it; else it depends on whether anything left.
static const struct trouble {
    const char *code, *text, *hint;
    bool blocks;
} troubles[] = {
    {"dns", "the name of its host cannot be resolved", NULL, false},
    {"connect", "no connection can be made", NULL, false},
    {"proxy", "the proxy does not let it through", NULL, false},
    {"tls", "its certificate or its TLS is refused",
        "Check the host's certificate; a private CA is named by SSL_CERT_FILE.", true},
    {"timeout", "no answer came in time", NULL, false},
    {"reset", "the connection broke", NULL, false},
    {"address", "it is at an address that is not public",
        "Only hosts under 'notify.private_hosts' of dispatcher.yaml may be on a private network.",
        true},
    {"cap", "its answer is too long", NULL, false},
    {"cancelled", "interrupted", NULL, false},
};

static const struct trouble *
trouble_of(const struct error *err)
{
    static const struct trouble lost = {NULL, "no answer came", NULL, false};
    static const struct trouble unsendable = {
        NULL, "the request cannot be sent", "Check the address and the credentials.", true};
    const char *code = error_remote_of(err)->code;
    for (size_t i = 0; i < ARRAY_LENGTH(troubles); i++) {
        if (cstr_equal(code, troubles[i].code)) {
            return &troubles[i];
        }
    }
    enum error_kind kind = error_kind(err);
    return kind == ERROR_INPUT || kind == ERROR_DENIED ? &unsendable : &lost;
}

static void
settle_error(const struct notify_case *at, const struct error *err)
{
    const struct trouble *trouble = trouble_of(err);
    enum notify_verdict verdict = trouble->blocks                      ? NOTIFY_BLOCKED
                                  : error_remote_of(err)->request_left ? NOTIFY_DOUBT
                                                                       : NOTIFY_LATER;
    notify_settle(at, verdict, trouble->hint, "%s", trouble->text);
}

void
notify_judge_error(const struct error *err, struct arena *arena, struct notify_result *out)
{
    settle_error(&(struct notify_case){.arena = arena, .out = out}, err);
}

bool
notify_send(
    const struct notify_case *at, const struct http_request *request, struct http_response *out)
{
    struct http_request full = *request;
    if (full.deadline_ms == 0) {
        full.deadline_ms = clock_mono(at->platform->clock) + NOTIFY_DEADLINE_MS;
    }
    full.max_response = full.max_response > 0 ? full.max_response : NOTIFY_ANSWER_MAX;
    struct error *err CLEANUP(error_freep) = http_send(at->http, &full, out);
    if (err != NULL) {
        settle_error(at, err);
    }
    return err == NULL;
}

// --- answers -------------------------------------------------------------------------------------

int64_t
notify_retry_after(const struct platform *platform, const struct http_response *response)
{
    int64_t ms = retry_after_ms(&response->headers, clock_wall(platform->clock));
    return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

struct json *
notify_answer(const struct http_response *response)
{
    const struct json_limits limits = {response->body.max, DEPTH_MAX};
    struct json *answer CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) = json_parse(buf_str(&response->body), &limits, &answer);
    if (err != NULL || !json_is_object(answer)) {
        return NULL;
    }
    struct json *object = answer;
    answer = NULL;
    return object;
}

// From the most particular to the most general.
static const struct meaning {
    int first, last;
    enum notify_verdict verdict;
    const char *text, *hint;
} meanings[] = {
    {200, 299, NOTIFY_DELIVERED, NULL, NULL},
    {300, 399, NOTIFY_BLOCKED, "it sends elsewhere, which is not followed",
        "Write the address that it leads to."},
    {401, 401, NOTIFY_BLOCKED, "access is refused", "Check the credentials."},
    {403, 403, NOTIFY_BLOCKED, "access is refused", "Check the credentials."},
    {404, 404, NOTIFY_BLOCKED, "there is nothing at the address", "Check the address."},
    {408, 408, NOTIFY_LATER, "it did not wait for the request", NULL},
    {410, 410, NOTIFY_BLOCKED, "there is nothing at the address any more", "Check the address."},
    {425, 425, NOTIFY_LATER, "it is not ready yet", NULL},
    {429, 429, NOTIFY_LIMITED, "too many requests", NULL},
    {400, 499, NOTIFY_REFUSED, "the message is refused", NULL},
    {500, 599, NOTIFY_DOUBT, "it failed", NULL},
};

static const struct meaning *
meaning_of(int status)
{
    static const struct meaning none = {0, 0, NOTIFY_DOUBT, "an answer without a meaning", NULL};
    for (size_t i = 0; i < ARRAY_LENGTH(meanings); i++) {
        if (status >= meanings[i].first && status <= meanings[i].last) {
            return &meanings[i];
        }
    }
    return &none;
}

void
notify_settle_status(
    const struct notify_case *at, const struct http_response *response, const char *words)
{
    const struct meaning *meaning = meaning_of(response->status);
    if (meaning->verdict == NOTIFY_DELIVERED) {
        notify_delivered(at);
        return;
    }
    bool any = words != NULL && words[0] != '\0';
    notify_settle(at, meaning->verdict, meaning->hint, "%s (HTTP %d%s%s)", meaning->text,
        response->status, any ? ": " : "", any ? words : "");
    if (meaning->verdict == NOTIFY_LIMITED) {
        at->out->retry_after_ms = notify_retry_after(at->platform, response);
    }
}

void
notify_judge_status(const struct platform *platform, const struct http_response *response,
    struct arena *arena, struct notify_result *out)
{
    notify_settle_status(
        &(struct notify_case){.platform = platform, .arena = arena, .out = out}, response, NULL);
}
