// The transport and the clock of the world: faults, crashes, dispatching to GitHub, SSM, registry.
#define _GNU_SOURCE // MAP_ANONYMOUS
#include "deploy_world.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"

// One world at a time is attached: a transport and a clock have no context of their own.
static struct {
    struct http_transport transport;
    struct clock clock;
    const struct clock *inner;
    struct fake_platform *fake;
    struct world *world;
} attached;

struct world *
world_new(void)
{
    struct world *world =
        mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(world, MAP_FAILED);
    return world;
}

void
world_free(struct world *world)
{
    if (world != NULL) {
        (void)munmap(world, sizeof(*world));
    }
}

static void
tick(struct world *world)
{
    world->ticks++;
    if (world->crash_at != 0 && world->ticks == world->crash_at) {
        _exit(WORLD_CRASH_EXIT);
    }
}

static int64_t
world_wall(const struct clock *clock)
{
    (void)clock;
    tick(attached.world);
    return clock_wall(attached.inner);
}

static int64_t
world_mono(const struct clock *clock)
{
    (void)clock;
    return clock_mono(attached.inner);
}

static struct error *
world_sleep(const struct clock *clock, int64_t mono_ms, struct cancel *cancel)
{
    (void)clock;
    tick(attached.world);
    return clock_sleep_until(attached.inner, mono_ms, cancel);
}

int64_t
world_now(const struct world *world)
{
    (void)world;
    return attached.fake != NULL ? attached.fake->wall_ms : FAKE_WALL_START;
}

void
world_jump(struct world *world, int64_t ms)
{
    (void)world;
    attached.fake->wall_ms += ms;
}

void
world_effect(struct world *world, const char *format, ...)
{
    size_t len = strlen(world->effects);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(world->effects + len, sizeof(world->effects) - len, format, args);
    va_end(args);
    assert_true(more >= 0 && len + (size_t)more < sizeof(world->effects));
}

static struct error *
no_answer(const struct http_request *request, const char *code, bool left, const char *text)
{
    struct buf what = BUF_INIT(8192);
    http_describe(request, &what);
    struct error *err = error_new(ERROR_UNAVAILABLE, "%s: %s", buf_cstr(&what), text);
    buf_done(&what);
    return error_remote(err, 0, code, NULL, left);
}

// The fault that this request meets, counting it against every pattern that it matches.
static const struct world_fault *
meet_fault(struct world *world, const char *subject)
{
    const struct world_fault *met = NULL;
    for (size_t i = 0; world->faults != NULL && world->faults[i].match != NULL; i++) {
        const struct world_fault *fault = &world->faults[i];
        assert_true(i < WORLD_FAULTS);
        if (fnmatch(fault->match, subject, 0) != 0) {
            continue;
        }
        unsigned hit = ++world->hits[i], from = fault->from > 0 ? fault->from : 1;
        unsigned times = fault->times > 0 ? fault->times : 1;
        if (met == NULL && hit >= from && hit < from + times) {
            met = fault;
        }
    }
    return met;
}

static void
raise_signal(const struct world_fault *fault)
{
    cancel_raise(attached.fake->cancel, fault->signal != 0 ? fault->signal : SIGTERM);
}

// "service:Operation /"
static void
serve_json(struct world *world,
    void (*service)(struct world *, const char *, const char *, struct world_reply *),
    const struct http_request *request, const char *subject, struct world_reply *reply)
{
    struct str operation = {0}, rest = {0};
    (void)str_cut(str_of(subject), ':', &operation, &rest);
    (void)str_cut(rest, ' ', &operation, &rest);
    char *name CLEANUP(xfreep) = str_dup(operation), *body CLEANUP(xfreep) = str_dup(request->body);
    service(world, name, body, reply);
}

static void
serve(struct world *world, const struct http_request *request, const char *subject,
    struct world_reply *reply)
{
    const char *path = strchr(subject, '/');
    if (str_starts(str_of(subject), STR("ssm:"))) {
        char *operation = str_dup((struct str){subject + 4, strcspn(subject + 4, " ")});
        char *body = str_dup(request->body);
        world_ssm(world, operation, body, reply);
        free(body);
        free(operation);
    } else if (str_starts(str_of(subject), STR("ecr:")) ||
               str_contains(str_of(request->url), STR("//sts."))) {
        char *operation = str_dup((struct str){subject + 4, strcspn(subject + 4, " ")});
        char *body = str_dup(request->body);
        world_aws(world, operation, body, reply);
        free(body);
        free(operation);
    } else if (str_starts(str_of(subject), STR("apprunner:"))) {
        serve_json(world, world_apprunner, request, subject, reply);
    } else if (str_starts(str_of(subject), STR("ecs:"))) {
        serve_json(world, world_ecs, request, subject, reply);
    } else if (str_starts(str_of(subject), STR("logs:"))) {
        serve_json(world, world_logs, request, subject, reply);
    } else if (str_contains(str_of(request->url), STR("/v2/"))) {
        world_registry(world, request, path, reply);
    } else {
        world_github(world, request, path, reply);
    }
}

static char *
subject_of(const struct http_request *request)
{
    const char *target =
        request->headers != NULL ? http_headers_get(request->headers, "X-Amz-Target") : NULL;
    bool is_runner = str_starts(str_of(target), STR("AppRunner."));
    if (is_runner || str_starts(str_of(target), STR("Logs_"))) {
        return xasprintf("%s:%s /", is_runner ? "apprunner" : "logs", strchr(target, '.') + 1);
    }
    if (str_starts(str_of(target), STR("AmazonEC2ContainerServiceV20141113."))) {
        return xasprintf("ecs:%s /", strchr(target, '.') + 1);
    }
    if (target != NULL && !str_starts(str_of(target), STR("AmazonSSM."))) {
        return xasprintf("ecr:%s /", strchr(target, '.') + 1);
    }
    if (str_contains(str_of(request->url), STR("//sts."))) {
        return xstrdup("sts:GetCallerIdentity /");
    }
    if (target != NULL) {
        char *body CLEANUP(xfreep) = str_dup(request->body);
        return world_ssm_subject(strchr(target, '.') + 1, body);
    }
    const char *scheme = strstr(request->url, "://");
    return xasprintf("%s %s", http_method_name(request->method), strchr(scheme + 3, '/'));
}

static void
add_headers(const char *const *headers, struct http_response *response)
{
    for (size_t i = 0; headers != NULL && headers[i] != NULL; i++) {
        struct str name = {0}, value = {0};
        (void)str_cut(str_of(headers[i]), ':', &name, &value);
        char *key CLEANUP(xfreep) = str_dup(name), *text CLEANUP(xfreep) = str_dup(str_trim(value));
        http_headers_add(&response->headers, key, text);
    }
}

static void
add_date(const struct world *world, struct http_response *response)
{
    char stamp[64];
    time_t seconds = (time_t)((attached.fake->wall_ms + world->github_ahead_ms) / 1000);
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(stamp, sizeof(stamp), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    http_headers_add(&response->headers, "Date", stamp);
}

static void
answer(const struct world *world, const struct http_request *request, struct world_reply *reply,
    struct http_response *response)
{
    const char *before =
        request->headers != NULL ? http_headers_get(request->headers, "If-None-Match") : NULL;
    response->status = reply->status;
    add_date(world, response);
    if (reply->etag != NULL) {
        http_headers_add(&response->headers, "ETag", reply->etag);
        response->status = cstr_equal(before, reply->etag) ? 304 : reply->status;
    }
    if (reply->digest[0] != '\0') {
        http_headers_add(&response->headers, "Docker-Content-Digest", reply->digest);
    }
    if (reply->type != NULL) {
        http_headers_add(&response->headers, "Content-Type", reply->type);
    }
    if (reply->location != NULL) {
        http_headers_add(&response->headers, "Location", reply->location);
    }
    if (response->status != 304 && request->writer != NULL) {
        error_free(request->writer->write(request->writer->ctx, reply->body.ptr, reply->body.len));
    } else if (response->status != 304) {
        buf_init(&response->body, 32 * 1024 * 1024);
        buf_add(&response->body, buf_str(&reply->body));
    }
}

static void
note_reset(struct world *world, const struct http_request *request, const char *subject)
{
    if (str_starts(str_of(subject), STR("ssm:PutParameter "))) {
        char *body CLEANUP(xfreep) = str_dup(request->body);
        world_note_reset(world, body);
    }
}

static struct error *
fail_with(const struct world_fault *fault, struct world *world, const struct http_request *request,
    const char *subject, struct http_response *response)
{
    struct world_reply unseen = {.body = BUF_INIT(32 * 1024 * 1024)};
    switch (fault->kind) {
    case FAULT_STATUS:
        response->status = fault->status;
        add_date(world, response);
        add_headers(fault->headers, response);
        buf_init(&response->body, 1024 * 1024);
        buf_puts(&response->body, fault->body != NULL ? fault->body : "{\"message\":\"no\"}");
        return NULL;
    case FAULT_REFUSED:
        return no_answer(request, "connect", false, "connection refused");
    case FAULT_RESET:
        note_reset(world, request, subject);
        return no_answer(request, "reset", true, "connection reset");
    case FAULT_LOST:
        serve(world, request, subject, &unseen);
        buf_done(&unseen.body);
        return no_answer(request, "reset", true, "connection reset");
    case FAULT_SIGNAL:
        note_reset(world, request, subject);
        raise_signal(fault);
        return error_remote(cancel_check(attached.fake->cancel), 0, "cancelled", NULL, true);
    case FAULT_LATE_SIGNAL:
    case FAULT_HOOK:
        break;
    }
    fail_msg("fault of kind %d", (int)fault->kind);
    return NULL;
}

static struct error *
perform_one(struct world *world, struct http_exchange *exchange)
{
    const struct http_request *request = exchange->request;
    struct http_response *response = &exchange->response;
    TRY(cancel_check(attached.fake->cancel));
    char *subject CLEANUP(xfreep) = subject_of(request);
    tick(world);
    world->requests++;
    const struct world_fault *fault = meet_fault(world, subject);
    response->received_wall_ms = attached.fake->wall_ms;
    if (fault != NULL && fault->kind == FAULT_HOOK) {
        fault->hook(world);
    } else if (fault != NULL && fault->kind != FAULT_LATE_SIGNAL) {
        struct error *err = fail_with(fault, world, request, subject, response);
        tick(world);
        return err;
    }
    struct world_reply reply = {.body = BUF_INIT(32 * 1024 * 1024)};
    serve(world, request, subject, &reply);
    tick(world);
    answer(world, request, &reply, response);
    buf_done(&reply.body);
    if (fault != NULL && fault->kind == FAULT_LATE_SIGNAL) {
        raise_signal(fault);
    }
    return NULL;
}

static struct error *
perform(struct http_transport *transport, const struct http_flow *flow)
{
    (void)transport;
    while (!flow->stopped(flow->ctx)) {
        int64_t again_ms = INT64_MAX;
        struct http_exchange *exchange = flow->next(flow->ctx, &again_ms);
        if (exchange != NULL) {
            exchange->error = perform_one(attached.world, exchange);
            flow->ended(flow->ctx, exchange);
        } else if (again_ms < INT64_MAX) {
            TRY(clock_sleep_until(&attached.clock, again_ms, attached.fake->cancel));
        } else {
            break;
        }
    }
    return NULL;
}

static void
keep(struct http_transport *transport)
{
    (void)transport;
}

void
world_attach(struct world *world, struct fake_platform *fake)
{
    attached.world = world;
    attached.fake = fake;
    attached.inner = &fake->clock.base;
    attached.clock = (struct clock){world_wall, world_mono, world_sleep};
    attached.transport = (struct http_transport){perform, keep, NULL};
    fake->platform.clock = &attached.clock;
    fake->platform.transport = &attached.transport;
}

void
world_detach(void)
{
    attached.world = NULL;
    attached.fake = NULL;
}
