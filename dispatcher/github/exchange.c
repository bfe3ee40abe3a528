// One request to GitHub on the wire: its frame, its count, what its headers ask of us later.
// Repeats nothing and knows no endpoint.
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "dispatcher/retry.h"
#include "github_internal.h"

enum {
    REQUEST_MS = 30 * 1000,
    SECONDARY_MS = 60 * 1000,      // "wait at least one minute", then exponentially
    SECONDARY_MAX_STRIKES = 4,     // 16 minutes
    LIMIT_MAX_MS = 65 * 60 * 1000, // a primary window lasts an hour
};

void
github_exchange_done(struct github_exchange *exchange)
{
    free(exchange->url);
    http_headers_done(&exchange->headers);
    http_response_done(&exchange->response);
    *exchange = (struct github_exchange){0};
}

static struct error *
authorize(
    struct github_client *client, const struct github_call *call, struct http_headers *headers)
{
    if (call->auth == GITHUB_AUTH_TOKEN) {
        TRY(github_token_ensure(client));
        http_headers_add_secret(headers, "Authorization", "Bearer ", client->token);
        return NULL;
    }
    struct secret *jwt CLEANUP(secret_freep) = NULL;
    TRY(github_app_jwt(client, &jwt));
    http_headers_add_secret(headers, "Authorization", "Bearer ", jwt);
    return NULL;
}

static const char *
known_etag(const struct github_client *client, const char *url)
{
    for (size_t i = 0; i < GITHUB_ETAG_MAX; i++) {
        if (cstr_equal(client->etags[i].url, url)) {
            return client->etags[i].etag;
        }
    }
    return NULL;
}

struct error *
github_prepare(
    struct github_client *client, const struct github_call *call, struct github_exchange *out)
{
    github_exchange_done(out);
    TRY(authorize(client, call, &out->headers));
    out->url = github_call_url(client, call);
    http_headers_add(&out->headers, "Accept", "application/vnd.github+json");
    http_headers_add(&out->headers, "User-Agent", "dispatcher/" DISPATCHER_VERSION);
    http_headers_add(&out->headers, "X-GitHub-Api-Version", client->version);
    if (call->body != NULL) {
        http_headers_add(&out->headers, "Content-Type", "application/json");
    }
    const char *etag = call->conditional ? known_etag(client, out->url) : NULL;
    if (etag != NULL) {
        http_headers_add(&out->headers, "If-None-Match", etag);
    }
    int64_t now = clock_mono(client->platform->clock);
    int64_t deadline = now + REQUEST_MS;
    if (client->deadline_mono_ms != 0 && client->deadline_mono_ms < deadline) {
        deadline = client->deadline_mono_ms;
    }
    out->request = (struct http_request){
        .method = call->method,
        .url = out->url,
        .headers = &out->headers,
        .body = str_of(call->body),
        .deadline_ms = deadline,
        .max_response = call->max_response,
        .once = call->once,
    };
    return NULL;
}

int64_t
github_server_now(const struct github_client *client)
{
    if (client->date_ms == 0) {
        return clock_wall(client->platform->clock);
    }
    return client->date_ms + clock_mono(client->platform->clock) - client->date_mono_ms;
}

// Until when GitHub wants to be left alone (facts §2): Retry-After, else the reset of an exhausted
// quota, else a minute and more with each time in a row.
static int64_t
limit_wait_ms(struct github_client *client, const struct http_response *response)
{
    int64_t now = github_server_now(client);
    int64_t wait = retry_after_ms(&response->headers, now);
    int64_t reset = github_header_number(response, "x-ratelimit-reset", 0);
    bool exhausted = github_header_number(response, "x-ratelimit-remaining", -1) == 0;
    if (wait < 0 && exhausted && reset > 0 && reset < INT64_MAX / 1000 - 1) {
        wait = (reset + 1) * 1000 - now;
    } else if (wait < 0) {
        wait = (int64_t)SECONDARY_MS << client->strikes;
        client->strikes += client->strikes < SECONDARY_MAX_STRIKES ? 1 : 0;
    }
    return wait < 1000 ? 1000 : wait > LIMIT_MAX_MS ? LIMIT_MAX_MS : wait;
}

static void
note(struct github_client *client, const struct http_response *response)
{
    int64_t now = clock_mono(client->platform->clock), date = 0;
    if (clock_parse_http_date(http_headers_get(&response->headers, "Date"), &date)) {
        client->date_ms = date;
        client->date_mono_ms = now;
    }
    const char *sunset = http_headers_get(&response->headers, "Sunset");
    if (sunset != NULL) {
        log_debug(client->platform->log, "API version ends", F_STR("version", client->version),
            F_STR("at", sunset));
    }
    enum github_verdict verdict = github_judge(response);
    bool told = http_headers_get(&response->headers, "Retry-After") != NULL;
    if (verdict == GITHUB_LIMITED_NOW || (verdict == GITHUB_TRANSIENT && told)) {
        client->not_before_mono_ms = now + limit_wait_ms(client, response);
    } else if (verdict == GITHUB_FINE || verdict == GITHUB_NOT_MODIFIED) {
        client->strikes = 0;
    }
}

struct error *
github_transmit(struct github_client *client, struct github_exchange *exchange)
{
    http_response_done(&exchange->response);
    struct error *err = http_send(client->http, &exchange->request, &exchange->response);
    bool sent = err == NULL || error_remote_of(err)->request_left;
    bool free_of_charge = err == NULL && exchange->response.status == 304;
    client->counters.sent += sent ? 1 : 0;
    client->counters.counted += sent && !free_of_charge ? 1 : 0;
    if (err == NULL) {
        note(client, &exchange->response);
    }
    return err;
}

struct error *
github_wait(
    struct github_client *client, int64_t mono_ms, int64_t deadline_mono_ms, const char *reason)
{
    const struct platform *platform = client->platform;
    int64_t now = clock_mono(platform->clock);
    if (mono_ms <= now) {
        return NULL;
    }
    if (mono_ms > deadline_mono_ms) {
        char text[32];
        clock_format_duration(mono_ms - now, text);
        return error_new(
            ERROR_UNAVAILABLE, "%s; the next try would be in %s, too late", reason, text);
    }
    return clock_sleep_until(platform->clock, mono_ms, platform->cancel);
}
