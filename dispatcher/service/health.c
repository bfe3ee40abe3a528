// What machines ask of the service: is it alive, is it ready, how does it do; its description, its
// reason codes, and badges. Open to anybody, and tells nothing about requests.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/web.h"
#include "service_state_internal.h"

enum { ROOM_MIN = 1024 * 1024 }; // bytes

// --- alive and ready -----------------------------------------------------------------------------

// A process whose storage failed does nothing more: whoever watches it should start another one.
static struct error *
show_alive(struct request *request, struct response *response)
{
    bool failed = atomic_load(&request->service->failed);
    response_text(response, failed ? 503 : 200, "text/plain; charset=utf-8",
        failed ? STR("storage failed\n") : STR("ok\n"));
    return NULL;
}

struct readiness {
    struct json *object;
    bool ready;
};

static void
look(struct readiness *readiness, const char *what, bool good, const char *why)
{
    json_set_str(readiness->object, what, good ? "ok" : why);
    readiness->ready = readiness->ready && good;
}

static void
look_at_specs(struct service *service, struct arena *arena, struct readiness *readiness)
{
    const char *why = NULL;
    struct specs_state state = {0};
    const struct spec_set *set = specs_hold(service, &why);
    specs_state(service, arena, &state);
    look(readiness, "specs", set != NULL,
        why != NULL             ? arena_dup(arena, why)
        : state.problem != NULL ? state.problem
                                : "not read yet");
    specs_release(set);
}

// A write that changes something, or a full disk would not be noticed.
static struct error *
mark(struct store *store, void *ctx)
{
    const char *now = ctx;
    return queue_fact_set(store, "readyz", now);
}

static void
look_at_storage(struct service *service, const struct store *store, struct readiness *readiness)
{
    char *failure CLEANUP(xfreep) = service_failure(service);
    // A log that is overwritten from its beginning takes writes for a while after the disk is full.
    if (failure == NULL && store_room(store) < ROOM_MIN) {
        failure = xstrdup("less than 1 MiB is left on its disk");
    }
    char now[21];
    clock_format_rfc3339(clock_wall(service_platform(service)->clock), now);
    struct store_op op = {.run = mark, .ctx = now};
    struct error *err CLEANUP(error_freep) = failure == NULL ? writer_do(service, &op) : NULL;
    char *text CLEANUP(xfreep) = err != NULL ? error_text(err) : NULL;
    look(readiness, "storage", failure == NULL && err == NULL, failure != NULL ? failure : text);
}

static struct error *
show_ready(struct request *request, struct response *response)
{
    struct service *service = request->service;
    struct workers_state workers = {0};
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct readiness readiness = {object, true};
    workers_state(service, &workers);
    look(&readiness, "accepting", !service_is_draining(service), "stopping");
    look_at_specs(service, request->arena, &readiness);
    look_at_storage(service, request->store, &readiness);
    look(&readiness, "workers", workers.alive == workers.threads && workers.threads > 0,
        "not all are alive");
    look(&readiness, "keys", keys_fetched_ms(service->keys) > 0, "not read, or not for a day");
    json_set_bool(object, "ready", readiness.ready);
    json_set_str(object, "replica", service_replica(service));
    response_json(response, readiness.ready ? 200 : 503, object);
    return NULL;
}

static struct error *
show_metrics(struct request *request, struct response *response)
{
    response_text(response, 200, "text/plain; version=0.0.4; charset=utf-8", (struct str){0});
    metrics_print(request->service, request->store, &response->body);
    return NULL;
}

// --- what it is ----------------------------------------------------------------------------------

static struct error *
show_description(struct request *request, struct response *response)
{
    (void)request;
    response->type = "application/yaml";
    response->fixed = health_description;
    response_header(response, "Cache-Control", "public, max-age=300");
    return NULL;
}

static struct error *
show_reason_codes(struct request *request, struct response *response)
{
    (void)request;
    response_text(response, 200, "text/html; charset=utf-8",
        STR("<!doctype html><html lang=\"en\"><title>Reason codes</title><h1>Reason codes</h1>"
            "<dl>\n"));
    for (size_t i = 0; i < REASON_COUNT; i++) {
        const char *name = reason_code_name((enum reason_code)i);
        buf_printf(&response->body, "<dt id=\"%s\"><code>%s</code><dd>", name, name);
        for (const char *at = reason_code_meaning((enum reason_code)i); *at != '\0'; at++) {
            buf_puts(&response->body, *at == '<'   ? "&lt;"
                                      : *at == '&' ? "&amp;"
                                                   : (char[]){*at, '\0'});
        }
        buf_putc(&response->body, '\n');
    }
    buf_puts(&response->body, "</dl>\n");
    response_header(response, "Cache-Control", "public, max-age=300");
    return NULL;
}

// --- badges --------------------------------------------------------------------------------------

static enum web_state
badge_state(const struct queue_job *newest, const struct queue_release *release)
{
    if (newest != NULL && strcmp(newest->state, "running") == 0) {
        return WEB_STATE_RUNNING;
    }
    if (newest != NULL && strcmp(newest->state, "queued") == 0) {
        return WEB_STATE_WAITING;
    }
    bool bad = newest != NULL && newest->exit_code != 0 && newest->started_ms > 0;
    return bad ? WEB_STATE_FAILED : release != NULL ? WEB_STATE_GOOD : WEB_STATE_WAITING;
}

static struct error *
show_badge(struct request *request, struct response *response)
{
    const char *app = request_param(request, "app"), *file = request_param(request, "file");
    struct str name = str_of(file), end = STR(".svg");
    struct queue_release *release = NULL;
    struct queue_job *jobs = NULL;
    size_t count = 0;
    if (!str_ends(name, end)) {
        response_refuse_code(request, response, REASON_NOT_FOUND);
        return NULL;
    }
    const char *env = arena_str(request->arena, (struct str){name.ptr, name.len - end.len});
    if (!name_is_valid(str_of(app)) || !name_is_valid(str_of(env))) {
        response_refuse_code(request, response, REASON_NOT_FOUND);
        return NULL;
    }
    const struct queue_filter filter = {.app = app, .env = env, .limit = 1};
    TRY(queue_release_at(request->store, app, env, 0, request->arena, &release));
    TRY(queue_list(request->store, &filter, request->arena, &jobs, &count));
    const struct queue_job *newest = count > 0 ? &jobs[0] : NULL;
    response_text(response, 200, "image/svg+xml", (struct str){0});
    web_badge(env, release != NULL ? release->version : "nothing yet", badge_state(newest, release),
        &response->body);
    response_header(response, "Cache-Control", "public, max-age=30");
    response_header(response, "Cross-Origin-Resource-Policy", "cross-origin");
    response->policy = "default-src 'none'; style-src 'unsafe-inline'";
    return NULL;
}

static const struct route routes[] = {
    {"GET", "/healthz", ROUTE_ANYBODY, ROUTE_INLINE | ROUTE_CHEAP | ROUTE_QUIET, 0, show_alive},
    {"GET", "/readyz", ROUTE_ANYBODY, ROUTE_QUIET, 0, show_ready},
    {"GET", "/metrics", ROUTE_ANYBODY, ROUTE_QUIET, 0, show_metrics},
    {"GET", "/openapi.yaml", ROUTE_ANYBODY, ROUTE_INLINE | ROUTE_CHEAP, 0, show_description},
    {"GET", "/reason-codes", ROUTE_ANYBODY, ROUTE_INLINE | ROUTE_CHEAP, 0, show_reason_codes},
    {"GET", "/badges/{app}/{file}", ROUTE_ANYBODY, 0, 0, show_badge},
};
const struct route_table health_routes = {routes, ARRAY_LENGTH(routes)};
