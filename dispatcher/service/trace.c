// Spans of deployments to an OpenTelemetry collector (OTLP/HTTP, JSON): batched, sent by a thread
// of their own, and dropped when the collector does not keep up: no deployment ever waits for it.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum {
    QUEUE_MAX = 4096,
    BATCH_MAX = 256,
    FLUSH_MS = 2000,
    SEND_MS = 2000,
    BODY_MAX = 4 * 1024 * 1024,
};

struct span {
    char trace[33], id[17], parent[17];
    char *name, *deployment, *error;
    int64_t start_ms, end_ms;
};

struct tracer {
    struct service *service;
    char *address;
    struct platform platform; // without a flag: what is left is sent at the end, too
    struct cancel *stop;
    pthread_mutex_t lock;
    struct span spans[QUEUE_MAX];
    size_t count;
    atomic_llong dropped;
    bool runs;
    pthread_t thread;
};

static void
id_of(const char *what, const char *deployment, int64_t at_ms, char out[17])
{
    char *text CLEANUP(xfreep) =
        xasprintf("%s\n%s\n%lld", what, deployment != NULL ? deployment : "", (long long)at_ms);
    char hash[SHA256_HEX_SIZE];
    sha256_hex(str_of(text), hash);
    memcpy(out, hash, 16);
    out[16] = '\0';
}

void
trace_parent(const char *trace, const char *deployment, char out[56])
{
    char root[17];
    id_of("deployment", deployment, 0, root);
    memcpy(out, "00-", 3);
    memcpy(out + 3, trace, 32);
    out[35] = '-';
    memcpy(out + 36, root, 16);
    memcpy(out + 52, "-01", 4);
}

static void
free_span(struct span *span)
{
    free(span->name);
    free(span->deployment);
    free(span->error);
}

void
trace_add(struct service *service, const struct trace_span *given)
{
    struct tracer *tracer = service->tracer;
    if (tracer == NULL || given->trace == NULL || strlen(given->trace) != 32) {
        return;
    }
    bool root = strcmp(given->name, "deployment") == 0;
    struct span span = {.start_ms = given->start_ms, .end_ms = given->end_ms};
    memcpy(span.trace, given->trace, 33);
    id_of(given->name, given->deployment, root ? 0 : given->start_ms, span.id);
    if (!root) {
        id_of("deployment", given->deployment, 0, span.parent);
    }
    (void)pthread_mutex_lock(&tracer->lock);
    bool room = tracer->count < QUEUE_MAX;
    if (room) {
        span.name = xstrdup(given->name);
        span.deployment = given->deployment != NULL ? xstrdup(given->deployment) : NULL;
        span.error = given->error != NULL ? xstrdup(given->error) : NULL;
        tracer->spans[tracer->count++] = span;
    }
    (void)pthread_mutex_unlock(&tracer->lock);
    if (!room) {
        (void)atomic_fetch_add(&tracer->dropped, 1);
    }
}

// --- as OTLP has it ------------------------------------------------------------------------------

static struct json *
attribute(const char *key, const char *text)
{
    struct json *value = json_make_object(), *object = json_make_object();
    json_set_str(value, "stringValue", text);
    json_set_str(object, "key", key);
    json_set(object, "value", value);
    return object;
}

static void
set_time(struct json *object, const char *key, int64_t ms)
{
    // 64-bit integers are strings in protobuf's JSON.
    char *text CLEANUP(xfreep) = xasprintf("%lld000000", (long long)ms);
    json_set_str(object, key, text);
}

static struct json *
shape_span(const struct span *span)
{
    struct json *object = json_make_object(), *attributes = json_make_array();
    struct json *status = json_make_object();
    json_set_str(object, "traceId", span->trace);
    json_set_str(object, "spanId", span->id);
    json_set_str(object, "parentSpanId", span->parent[0] != '\0' ? span->parent : NULL);
    json_set_str(object, "name", span->name);
    json_set_int(object, "kind", 1); // internal
    set_time(object, "startTimeUnixNano", span->start_ms);
    set_time(object, "endTimeUnixNano", span->end_ms);
    if (span->deployment != NULL) {
        json_append(attributes, attribute("dispatcher.deployment", span->deployment));
    }
    json_set(object, "attributes", attributes);
    json_set_int(status, "code", span->error != NULL ? 2 : 1);
    json_set_str(status, "message", span->error);
    json_set(object, "status", status);
    return object;
}

static struct json *
shape_batch(const struct tracer *tracer, const struct span *spans, size_t count)
{
    struct json *body = json_make_object(), *resources = json_make_array();
    struct json *resource_spans = json_make_object(), *resource = json_make_object();
    struct json *attributes = json_make_array(), *scopes = json_make_array();
    struct json *scope_spans = json_make_object(), *scope = json_make_object();
    struct json *list = json_make_array();
    json_append(attributes, attribute("service.name", "dispatcher"));
    json_append(attributes, attribute("service.instance.id", service_replica(tracer->service)));
    json_set(resource, "attributes", attributes);
    json_set(resource_spans, "resource", resource);
    json_set_str(scope, "name", "dispatcher");
    json_set(scope_spans, "scope", scope);
    for (size_t i = 0; i < count; i++) {
        json_append(list, shape_span(&spans[i]));
    }
    json_set(scope_spans, "spans", list);
    json_append(scopes, scope_spans);
    json_set(resource_spans, "scopeSpans", scopes);
    json_append(resources, resource_spans);
    json_set(body, "resourceSpans", resources);
    return body;
}

static struct error *
send_batch(struct tracer *tracer, const struct span *spans, size_t count)
{
    const struct platform *platform = &tracer->platform;
    struct json *body CLEANUP(json_freep) = shape_batch(tracer, spans, count);
    struct buf text CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct http_response response CLEANUP(http_response_done) = {0};
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    json_print(body, false, &text);
    TRY(buf_finish(&text, "spans"));
    http_headers_add(&headers, "Content-Type", "application/json");
    const struct http_request request = {
        .method = HTTP_POST,
        .url = tracer->address,
        .headers = &headers,
        .body = buf_str(&text),
        .deadline_ms = clock_mono(platform->clock) + SEND_MS,
        .max_response = 64 * 1024,
        .allow_plain = true, // a collector beside us, by the operator's word
    };
    TRY(http_client_new(platform, service_http_options(tracer->service), &http));
    TRY(http_send(http, &request, &response));
    return response.status / 100 == 2
               ? NULL
               : error_new(ERROR_UNAVAILABLE, "POST %s: HTTP %d", tracer->address, response.status);
}

// Does the collector take them?
static bool
flush(struct tracer *tracer, struct span *spans, size_t count)
{
    struct error *err CLEANUP(error_freep) = send_batch(tracer, spans, count);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_debug(tracer->service->platform.log, "spans were dropped", F_STR("error", text));
        (void)atomic_fetch_add(&tracer->dropped, (long long)count);
    }
    for (size_t i = 0; i < count; i++) {
        free_span(&spans[i]);
    }
    return err == NULL;
}

static size_t
take(struct tracer *tracer, struct span *out)
{
    (void)pthread_mutex_lock(&tracer->lock);
    size_t count = tracer->count < BATCH_MAX ? tracer->count : BATCH_MAX;
    memcpy(out, tracer->spans, count * sizeof(*out));
    tracer->count -= count;
    memmove(tracer->spans, tracer->spans + count, tracer->count * sizeof(*out));
    (void)pthread_mutex_unlock(&tracer->lock);
    return count;
}

static void *
work(void *ctx)
{
    struct tracer *tracer = ctx;
    const struct clock *clock = tracer->platform.clock;
    struct span *batch = xcalloc(BATCH_MAX, sizeof(*batch));
    for (bool stopping = false; !stopping;) {
        struct error *err CLEANUP(error_freep) =
            clock_sleep_until(clock, clock_mono(clock) + FLUSH_MS, tracer->stop);
        stopping = cancel_signal(tracer->stop) != 0;
        int64_t until = stopping ? clock_mono(clock) + SEND_MS : INT64_MAX;
        size_t count = 0;
        while (clock_mono(clock) < until && (count = take(tracer, batch)) > 0 &&
               flush(tracer, batch, count)) {
        }
    }
    free(batch);
    return NULL;
}

struct error *
trace_start(struct service *service)
{
    const char *otlp = service_settings(service)->otlp;
    if (otlp == NULL) {
        return NULL;
    }
    struct tracer *tracer = xcalloc(1, sizeof(*tracer));
    size_t len = strlen(otlp);
    tracer->service = service;
    tracer->address = xasprintf("%s%sv1/traces", otlp, otlp[len - 1] == '/' ? "" : "/");
    tracer->platform = service->platform;
    tracer->platform.cancel = NULL;
    tracer->stop = cancel_new();
    (void)pthread_mutex_init(&tracer->lock, NULL);
    service->tracer = tracer;
    tracer->runs = pthread_create(&tracer->thread, NULL, work, tracer) == 0;
    return tracer->runs ? NULL : error_new(ERROR_UNAVAILABLE, "cannot start a thread");
}

void
trace_stop(struct service *service)
{
    struct tracer *tracer = service->tracer;
    if (tracer == NULL) {
        return;
    }
    cancel_raise(tracer->stop, 15);
    if (tracer->runs) {
        (void)pthread_join(tracer->thread, NULL);
    }
    for (size_t i = 0; i < tracer->count; i++) {
        free_span(&tracer->spans[i]);
    }
    (void)pthread_mutex_destroy(&tracer->lock);
    cancel_free(tracer->stop);
    free(tracer->address);
    free(tracer);
    service->tracer = NULL;
}

int64_t
trace_dropped(const struct service *service)
{
    return service->tracer != NULL ? atomic_load(&service->tracer->dropped) : 0;
}
