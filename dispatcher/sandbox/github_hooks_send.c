// Webhooks out: the hands. Each takes what is due, signs it, sends it once with ten seconds to
// answer, and writes down what came of it. Nothing is ever repeated by itself.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "github_hooks_internal.h"

enum {
    ANSWER_MS = 10000,
    WATCH_MS = 500,
    REST_MS = 5000,
    ANSWER_KEPT = 4096,
    ANSWER_MAX = 1024 * 1024,
};

// The first that is due; *next_ms is when another will be.
static struct hook_delivery *
take_due(struct github_hooks *hooks, int64_t now, int64_t *next_ms)
{
    while (hooks->oldest_open < hooks->count &&
           hooks->list[hooks->oldest_open]->state == DELIVERY_DONE) {
        hooks->oldest_open++;
    }
    for (size_t i = hooks->oldest_open; i < hooks->count; i++) {
        struct hook_delivery *delivery = hooks->list[i];
        if (delivery->state == DELIVERY_WAITING && delivery->due_ms <= now) {
            delivery->state = DELIVERY_SENDING;
            return delivery;
        }
        if (delivery->state == DELIVERY_WAITING && delivery->due_ms < *next_ms) {
            *next_ms = delivery->due_ms;
        }
    }
    return NULL;
}

static void
note_headers(struct json *into, const struct http_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        json_set_str(into, headers->list[i].name, headers->list[i].value);
    }
}

static void
set_headers(const struct sandbox *sandbox, struct hook_delivery *delivery, struct http_headers *out)
{
    unsigned char mac[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    hmac_sha256(secret_expose(sandbox->github->hooks->secret), str_of(delivery->payload), mac);
    hex_encode(mac, sizeof(mac), hex);
    http_headers_add(out, "Content-Type", "application/json");
    http_headers_add(out, "Accept", "*/*");
    http_headers_add(out, "X-GitHub-Delivery", delivery->guid);
    http_headers_add(out, "X-GitHub-Event", delivery->event);
    http_headers_addf(out, "X-GitHub-Hook-ID", "%d", GITHUB_HOOK_ID);
    http_headers_addf(out, "X-GitHub-Hook-Installation-Target-ID", "%d", GITHUB_APP_ID);
    http_headers_add(out, "X-GitHub-Hook-Installation-Target-Type", "integration");
    http_headers_addf(out, "X-Hub-Signature-256", "sha256=%s", hex);
    if (sandbox->options->ghes != NULL) {
        http_headers_add(out, "X-GitHub-Enterprise-Version", sandbox->options->ghes);
        http_headers_add(out, "X-GitHub-Enterprise-Host", sandbox->host);
    }
    delivery->request_headers = json_make_object();
    note_headers(delivery->request_headers, out);
}

static void
set_status(struct hook_delivery *delivery, int code, const char *word)
{
    delivery->status_code = code;
    delivery->status = xstrdup(word);
}

static void
note_failure(struct hook_delivery *delivery, const struct error *err)
{
    const struct error_remote *remote = error_remote_of(err);
    bool late = remote != NULL && cstr_equal(remote->code, "timeout");
    set_status(delivery, late ? 504 : 502, late ? "timed out" : "failed to connect to host");
}

static void
note_answer(struct hook_delivery *delivery, const struct http_response *response)
{
    char *refused CLEANUP(xfreep) = xasprintf("Invalid HTTP Response: %d", response->status);
    bool good = response->status >= 200 && response->status < 300;
    struct str body = buf_str(&response->body);
    body.len = body.len < ANSWER_KEPT ? body.len : ANSWER_KEPT;
    set_status(delivery, response->status, good ? "OK" : refused);
    delivery->response_headers = json_make_object();
    note_headers(delivery->response_headers, &response->headers);
    delivery->response_body = str_dup(body);
}

static void
note(struct sandbox *sandbox, struct hook_delivery *delivery, const struct error *err,
    const struct http_response *response)
{
    struct hook_counts *counts = &sandbox->github->hooks->counts;
    if (err != NULL) {
        note_failure(delivery, err);
    } else {
        note_answer(delivery, response);
    }
    delivery->delivered_ms = sandbox_now(sandbox);
    delivery->duration_ms = response->elapsed_ms;
    delivery->state = DELIVERY_DONE;
    counts->sent++;
    counts->good += delivery->status_code < 300;
    counts->failed += delivery->status_code >= 300;
}

// Called with the lock held, and gives it back while it waits for the answer.
static void
deliver(struct hook_hand *hand, struct http_client *http, struct hook_delivery *delivery)
{
    struct sandbox *sandbox = hand->sandbox;
    struct github_hooks *hooks = sandbox->github->hooks;
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct http_response response CLEANUP(http_response_done) = {0};
    size_t count = json_count(hooks->urls);
    const char *url = count > 0 ? json_str(json_at(hooks->urls, hooks->next_url++ % count))
                                : "http://127.0.0.1:1";
    delivery->url = xstrdup(url);
    set_headers(sandbox, delivery, &headers);
    (void)pthread_mutex_unlock(&sandbox->lock);
    const struct http_request request = {.method = HTTP_POST,
        .url = delivery->url,
        .headers = &headers,
        .body = str_of(delivery->payload),
        .deadline_ms = clock_mono(hand->platform.clock) + ANSWER_MS,
        .max_response = ANSWER_MAX,
        .once = true};
    struct error *err CLEANUP(error_freep) = http_send(http, &request, &response);
    (void)pthread_mutex_lock(&sandbox->lock);
    note(sandbox, delivery, err, &response);
}

static void
work(struct hook_hand *hand, struct http_client *http)
{
    struct sandbox *sandbox = hand->sandbox;
    const struct clock *clock = hand->platform.clock;
    struct github_hooks *hooks = sandbox->github->hooks;
    (void)pthread_mutex_lock(&sandbox->lock);
    while (!hooks->is_stopping) {
        int64_t now = clock_mono(clock), next_ms = now + (hand->watches ? WATCH_MS : REST_MS);
        cancel_clear(hand->wake);
        if (hand->watches && now - hand->watched_ms >= WATCH_MS) {
            hand->watched_ms = now;
            sandbox_webhook_watch(sandbox);
        }
        struct hook_delivery *delivery = take_due(hooks, now, &next_ms);
        if (delivery != NULL) {
            deliver(hand, http, delivery);
            continue;
        }
        (void)pthread_mutex_unlock(&sandbox->lock);
        error_free(clock_sleep_until(clock, next_ms, hand->wake));
        (void)pthread_mutex_lock(&sandbox->lock);
    }
    (void)pthread_mutex_unlock(&sandbox->lock);
}

void *
sandbox_webhook_hand(void *arg)
{
    struct hook_hand *hand = arg;
    const struct http_client_options options = {.user_agent = "GitHub-Hookshot/sandbox"};
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct error *err CLEANUP(error_freep) = http_client_new(&hand->platform, &options, &http);
    if (err == NULL) {
        work(hand, http);
    }
    return NULL;
}
