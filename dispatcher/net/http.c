// Requests and responses as data, and sending them through whatever transport the platform has.
// What goes over the wire is curl_transport.c; trying again is retry.c.
#include "dispatcher/http.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "net_internal.h"

enum { HEADER_VALUE_MAX = 64 * 1024 }; // tokens of GitHub and AWS stay far below

struct http_client {
    const struct platform *platform;
    struct http_transport *transport;
    bool owns_transport;
};

const char *
http_method_name(enum http_method method)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET",
        [HTTP_HEAD] = "HEAD",
        [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",
        [HTTP_PATCH] = "PATCH",
        [HTTP_DELETE] = "DELETE",
    };
    return names[method];
}

// libcurl passes control characters on as they are (protocols.md T28), so they stop here.
static bool
is_clean(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if ((*at < 0x20 && *at != '\t') || *at == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool
is_token(const char *name)
{
    static const char others[] = "!#$%&'*+-.^_`|~"; // RFC 9110 §5.6.2
    for (const char *at = name; *at != '\0'; at++) {
        bool alphanumeric =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        if (!alphanumeric && strchr(others, *at) == NULL) {
            return false;
        }
    }
    return name[0] != '\0';
}

static void
headers_push(struct http_headers *headers, const char *name, char *value, bool sensitive)
{
    if (!is_token(name) || !is_clean(value) || strlen(value) > HEADER_VALUE_MAX) {
        headers->failed = true;
        OPENSSL_cleanse(value, strlen(value));
        free(value);
        return;
    }
    headers->list = xrealloc(headers->list, (headers->count + 1) * sizeof(*headers->list));
    headers->list[headers->count++] = (struct http_header){xstrdup(name), value, sensitive};
}

void
http_headers_add(struct http_headers *headers, const char *name, const char *value)
{
    headers_push(headers, name, xstrdup(value), false);
}

void
http_headers_addf(struct http_headers *headers, const char *name, const char *format, ...)
{
    struct buf value = BUF_INIT(HEADER_VALUE_MAX);
    va_list args;
    va_start(args, format);
    buf_vprintf(&value, format, args);
    va_end(args);
    if (value.failed) {
        headers->failed = true;
        buf_done(&value);
        return;
    }
    headers_push(headers, name, buf_take(&value), false);
}

void
http_headers_add_secret(
    struct http_headers *headers, const char *name, const char *prefix, const struct secret *secret)
{
    struct str bytes = secret_expose(secret);
    headers_push(headers, name, xasprintf("%s%.*s", prefix, STR_FMT(bytes)), true);
}

const char *
http_headers_get(const struct http_headers *headers, const char *name)
{
    for (size_t i = 0; headers != NULL && i < headers->count; i++) {
        if (str_equal_nocase(str_of(headers->list[i].name), str_of(name))) {
            return headers->list[i].value;
        }
    }
    return NULL;
}

void
http_headers_done(struct http_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        struct http_header *header = &headers->list[i];
        if (header->sensitive) {
            OPENSSL_cleanse(header->value, strlen(header->value));
        }
        free(header->name);
        free(header->value);
    }
    free(headers->list);
    *headers = (struct http_headers){0};
}

void
http_response_done(struct http_response *response)
{
    http_headers_done(&response->headers);
    buf_wipe(&response->body); // may hold a token
    response->status = 0;
}

struct error *
http_client_new(const struct platform *platform, const struct http_client_options *options,
    struct http_client **out)
{
    struct http_transport *transport = platform->transport;
    if (transport == NULL) {
        TRY(curl_transport_new(platform, options, &transport));
    }
    struct http_client *client = xcalloc(1, sizeof(*client));
    client->platform = platform;
    client->transport = transport;
    client->owns_transport = platform->transport == NULL;
    *out = client;
    return NULL;
}

void
http_client_free(struct http_client *client)
{
    if (client == NULL) {
        return;
    }
    if (client->owns_transport) {
        client->transport->free(client->transport);
    }
    free(client);
}

void
http_client_freep(struct http_client **client)
{
    http_client_free(*client);
    *client = NULL;
}

static struct error *
check_request(const struct http_request *request)
{
    if (request->headers != NULL && request->headers->failed) {
        struct buf what CLEANUP(buf_done) = BUF_INIT(4096);
        http_describe(request, &what);
        return error_new(
            ERROR_INPUT, "%s: a header holds control characters or is too long", buf_cstr(&what));
    }
    return NULL;
}

// A batch as a flow: the next one begins when one of at most `parallel` has ended.
struct batch {
    struct http_exchange *exchanges;
    size_t count, next, active, parallel;
};

static struct http_exchange *
batch_next(void *ctx, int64_t *again_ms)
{
    struct batch *batch = ctx;
    (void)again_ms;
    if (batch->next == batch->count || batch->active == batch->parallel) {
        return NULL;
    }
    batch->active++;
    return &batch->exchanges[batch->next++];
}

static void
batch_ended(void *ctx, struct http_exchange *exchange)
{
    struct batch *batch = ctx;
    (void)exchange;
    batch->active--;
}

struct error *
http_send_all(
    struct http_client *client, struct http_exchange *exchanges, size_t count, size_t parallel)
{
    struct batch batch = {exchanges, count, 0, 0, parallel > 0 ? parallel : 1};
    const struct http_flow flow = {batch_next, batch_ended, NULL, &batch};
    for (size_t i = 0; i < count; i++) {
        TRY(check_request(exchanges[i].request));
    }
    TRY(cancel_check(client->platform->cancel));
    struct error *err = http_run(client, &flow);
    for (; batch.next < count; batch.next++) { // no empty response may pass for an answer
        struct error *unsent = error_new(ERROR_CANCELLED, "interrupted");
        exchanges[batch.next].error = error_remote(unsent, 0, "cancelled", NULL, false);
    }
    return err;
}

// A flow whose requests were looked at before a transport sees them.
static struct http_exchange *
checked_next(void *ctx, int64_t *again_ms)
{
    const struct http_flow *inner = ctx;
    struct http_exchange *exchange = NULL;
    while ((exchange = inner->next(inner->ctx, again_ms)) != NULL) {
        exchange->error = check_request(exchange->request);
        if (exchange->error == NULL) {
            return exchange;
        }
        inner->ended(inner->ctx, exchange);
    }
    return NULL;
}

static void
checked_ended(void *ctx, struct http_exchange *exchange)
{
    const struct http_flow *inner = ctx;
    inner->ended(inner->ctx, exchange);
}

static bool
checked_stopped(void *ctx)
{
    const struct http_flow *inner = ctx;
    return inner->stopped != NULL && inner->stopped(inner->ctx);
}

struct error *
http_run(struct http_client *client, const struct http_flow *flow)
{
    struct http_flow inner = *flow;
    const struct http_flow checked = {checked_next, checked_ended, checked_stopped, &inner};
    TRY(cancel_check(client->platform->cancel));
    return client->transport->perform(client->transport, &checked);
}

void
http_wake(struct http_client *client)
{
    if (client->transport->wake != NULL) {
        client->transport->wake(client->transport);
    }
}

struct error *
http_send(
    struct http_client *client, const struct http_request *request, struct http_response *response)
{
    struct http_exchange exchange = {.request = request};
    struct error *err = http_send_all(client, &exchange, 1, 1);
    // Interrupted in mid-air: the exchange's own error also says whether the request had left, and
    // one that was answered nevertheless (`give_up`) has its answer.
    if (exchange.error != NULL || exchange.response.status != 0) {
        error_free(err);
        err = exchange.error;
    }
    if (err != NULL) {
        http_response_done(&exchange.response);
        return err;
    }
    http_response_done(response);
    *response = exchange.response;
    return NULL;
}

void
http_describe(const struct http_request *request, struct buf *out)
{
    struct str url = {0}, query = {0};
    if (!str_cut(str_of(request->url), '?', &url, &query)) {
        url = STR("");
    }
    buf_printf(out, "%s %.*s", http_method_name(request->method), STR_FMT(url));
}
