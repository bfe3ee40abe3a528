// PagerDuty's Events API v2: one POST, 202 when it is taken. The routing key goes into the body
// here, and the body is wiped; what an event says is its caller's.
#include "dispatcher/pagerduty.h"

#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "notify_internal.h"

enum { KEY_SIZE = 32, DEPTH_MAX = 32, URL_MAX = 1024, QUOTED_ERRORS = 3 };

static const char key_hint[] =
    "Store the integration key of an Events API v2 integration: 32 letters and digits.";

bool
pagerduty_key_is_plausible(const struct secret *key, bool *is_ruleset)
{
    struct str bytes = secret_expose(key);
    bool fine = bytes.len == KEY_SIZE;
    for (size_t i = 0; i < bytes.len && fine; i++) {
        char byte = bytes.ptr[i];
        fine = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
               (byte >= '0' && byte <= '9');
    }
    *is_ruleset = fine && bytes.ptr[0] == 'R';
    return fine;
}

static const char *
default_base(bool eu)
{
    return eu ? "https://events.eu.pagerduty.com" : "https://events.pagerduty.com";
}

// The address of the kind's endpoint, and what it is called; false: the case is settled.
static bool
make_url(struct notify_case *at, const char *base, enum pagerduty_kind kind, struct buf *out)
{
    struct url url CLEANUP(url_done) = {0};
    struct str root = str_of(base);
    struct error *err CLEANUP(error_freep) = url_parse(base, &url);
    bool fine = err == NULL && !url.has_user && url.query == NULL && strchr(base, '#') == NULL &&
                (strcmp(url.scheme, "https") == 0 || url_host_is_loopback(url.host));
    while (str_ends(root, STR("/"))) {
        root.len--;
    }
    buf_add(out, root);
    buf_puts(out, kind == PAGERDUTY_CHANGE ? "/v2/change/enqueue" : "/v2/enqueue");
    if (!fine || out->failed) {
        notify_settle(at, NOTIFY_BLOCKED, "Write it as https://events.pagerduty.com.",
            "the address of its Events API is no https URL");
        return false;
    }
    at->who = notify_words(at->arena, url.host, NOTIFY_WORDS_MAX);
    return true;
}

#define ROOM "00000000000000000000000000000000"

// The event with its key. The key is written over room that was left for it, once the buffer has
// its size: no copy of it stays behind in memory that was given back.
static bool
make_body(const char *body, const struct secret *key, struct buf *out)
{
    static const struct json_limits limits = {PAGERDUTY_EVENT_MAX, DEPTH_MAX};
    struct json *event CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) = json_parse(str_of(body), &limits, &event);
    if (err != NULL || !json_is_object(event)) {
        return false;
    }
    json_set_str(event, "routing_key", ROOM);
    json_print(event, false, out);
    if (out->failed || !str_ends(buf_str(out), STR("\"" ROOM "\"}"))) {
        return false;
    }
    memcpy(out->ptr + out->len - KEY_SIZE - 2, secret_expose(key).ptr, KEY_SIZE);
    return true;
}

// --- answers -------------------------------------------------------------------------------------

// "Event object is invalid: 'payload.summary' is missing or blank; …"
static const char *
read_words(const struct notify_case *at, const struct json *answer)
{
    struct buf all CLEANUP(buf_wipe) = BUF_INIT(2 * NOTIFY_ANSWER_MAX);
    const struct json *errors = json_get(answer, "errors");
    const char *message = json_str(json_get(answer, "message"));
    buf_puts(&all, message != NULL ? message : "");
    const char *gap = message != NULL ? ": " : "";
    for (size_t i = 0; i < json_count(errors) && i < QUOTED_ERRORS; i++) {
        const char *text = json_str(json_at(errors, i));
        if (text != NULL) {
            buf_puts(&all, gap);
            buf_puts(&all, text);
            gap = "; ";
        }
    }
    return notify_words(at->arena, buf_cstr(&all), NOTIFY_WORDS_MAX);
}

static bool
is_about_key(const char *words)
{
    static const char *const names[] = {
        "routing_key", "routing key", "Routing key", "integration key", "service key"};
    bool any = false;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        any = any || strstr(words, names[i]) != NULL;
    }
    return any;
}

static void
judge(const struct notify_case *at, const struct http_response *response)
{
    struct json *answer CLEANUP(json_freep) = notify_answer(response);
    const char *words = read_words(at, answer);
    bool taken = cstr_equal(json_str(json_get(answer, "status")), "success");
    if (response->status == 202 && taken) {
        notify_delivered(at);
    } else if (notify_status_is_good(response->status)) {
        notify_settle(at, NOTIFY_DOUBT, NULL, "its answer is none of PagerDuty's (HTTP %d)",
            response->status);
    } else if (response->status == 400 && is_about_key(words)) {
        notify_settle(
            at, NOTIFY_BLOCKED, key_hint, "the routing key is refused (HTTP 400: %s)", words);
    } else {
        notify_settle_status(at, response, words);
    }
}

static bool
key_is_usable(const struct notify_case *at, const struct secret *key, enum pagerduty_kind kind)
{
    bool is_ruleset = false;
    if (!pagerduty_key_is_plausible(key, &is_ruleset)) {
        notify_settle(at, NOTIFY_BLOCKED, key_hint, "the routing key is no integration key");
        return false;
    }
    if (is_ruleset && kind == PAGERDUTY_CHANGE) {
        notify_settle(at, NOTIFY_BLOCKED, "Use the integration key of a service.",
            "the routing key is that of a ruleset, which takes no change events");
        return false;
    }
    return true;
}

void
pagerduty_send(const struct platform *platform, struct http_client *http,
    const struct pagerduty_access *access, const struct pagerduty_event *event, struct arena *arena,
    struct notify_result *out)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct buf url CLEANUP(buf_done) = BUF_INIT(URL_MAX);
    struct buf body CLEANUP(buf_wipe) = BUF_INIT(PAGERDUTY_EVENT_MAX);
    struct notify_case at = {platform, http, arena, "PagerDuty", out};
    const char *base = access->events != NULL ? access->events : default_base(access->eu);
    if (!make_url(&at, base, event->kind, &url) ||
        !key_is_usable(&at, access->routing_key, event->kind)) {
        return;
    }
    if (!make_body(event->body, access->routing_key, &body)) {
        notify_settle(&at, NOTIFY_REFUSED, NULL, "the event is no JSON object, or over 512 KiB");
        return;
    }
    http_headers_add(&headers, "Content-Type", "application/json");
    const struct http_request request = {.method = HTTP_POST,
        .url = buf_cstr(&url),
        .headers = &headers,
        .body = buf_str(&body),
        .once = true};
    if (notify_send(&at, &request, &response)) {
        judge(&at, &response);
    }
}
