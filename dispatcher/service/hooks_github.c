// POST /hooks/github: the signature over the bytes as they came, before anything is parsed; then a
// small hint is written down and answered (facts: GitHub webhooks §4.1, protocols.md T09, T10,
// T64). What a delivery says is never believed: whoever gets the hint looks for himself.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "feed_internal.h"
#include "service_state_internal.h"

enum {
    BODY_MAX = 5 * 1024 * 1024,
    SMALL = 128 * 1024,  // larger ones are parsed on another thread
    OF_OURS = 6000 * 60, // deliveries a minute of the infra repository that are written down
    OF_OTHERS = 600,     // of any other one; those beyond are told in memory only
    HINT_MAX = 1024,
};

// --- the signature -------------------------------------------------------------------------------

bool
hooks_signature_is_valid(const struct secret *secret, const char *header, struct str body)
{
    static const char prefix[] = "sha256=";
    unsigned char mac[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    if (secret == NULL || header == NULL ||
        strlen(header) != strlen(prefix) + 2 * (size_t)SHA256_SIZE ||
        strncmp(header, prefix, strlen(prefix)) != 0) {
        return false;
    }
    hmac_sha256(secret_expose(secret), body, mac);
    hex_encode(mac, sizeof(mac), hex);
    return digest_equal(hex, header + strlen(prefix), 2 * (size_t)SHA256_SIZE);
}

static bool
is_signed(struct request *request)
{
    const char *header = request_header(request, "X-Hub-Signature-256");
    struct secret *one CLEANUP(secret_freep) =
        service_secret(request->service, SERVICE_SECRET_WEBHOOK);
    struct secret *next CLEANUP(secret_freep) =
        service_secret(request->service, SERVICE_SECRET_WEBHOOK_NEXT);
    bool by_one = hooks_signature_is_valid(one, header, request->body);
    bool by_next = hooks_signature_is_valid(next, header, request->body);
    return by_one || by_next;
}

// --- the hint ------------------------------------------------------------------------------------

struct delivery {
    struct queue_delivery row;
    struct request *request;
    const char *repository;
    int64_t run_id;
    bool is_new;
};

static bool
is_word(const char *text, const char *letters, size_t min, size_t max)
{
    size_t len = text != NULL ? strlen(text) : 0;
    return len >= min && len <= max && strspn(text, letters) == len;
}

static const char *
short_text(const struct json *value)
{
    const char *text = json_str(value);
    return text != NULL && strlen(text) <= 255 ? text : NULL;
}

// The run that it is about; 0: none.
static int64_t
run_of(const char *event, const struct json *payload)
{
    if (strcmp(event, "workflow_run") == 0) {
        return json_int(json_path(payload, "workflow_run.id"), 0);
    }
    return strcmp(event, "workflow_job") == 0
               ? json_int(json_path(payload, "workflow_job.run_id"), 0)
               : 0;
}

static bool
is_default_branch(const struct json *payload, struct arena *arena)
{
    const char *branch = short_text(json_path(payload, "repository.default_branch"));
    const char *ref = short_text(json_get(payload, "ref"));
    return branch != NULL && cstr_equal(ref, arena_printf(arena, "refs/heads/%s", branch));
}

static const char *
hint_of(const struct delivery *delivery, const struct json *payload, struct arena *arena)
{
    const char *event = delivery->row.event;
    struct json *hint CLEANUP(json_freep) = json_make_object();
    const struct json *run = json_get(payload, event); // "workflow_run" and "workflow_job" alike
    json_set_str(hint, "repository", delivery->repository);
    json_set_str(hint, "action", short_text(json_get(payload, "action")));
    if (delivery->run_id > 0) {
        json_set_int(hint, "run_id", delivery->run_id);
        json_set_str(hint, "status", short_text(json_get(run, "status")));
    } else {
        json_set_str(hint, "ref", short_text(json_get(payload, "ref")));
    }
    char *text CLEANUP(xfreep) = json_text(hint);
    return strlen(text) <= HINT_MAX ? arena_dup(arena, text) : "{}";
}

static bool
is_infra(const struct service *service, const char *repository)
{
    const char *infra = service_settings(service)->workflow_repo;
    return infra != NULL && str_equal_nocase(str_of(infra), str_of(repository));
}

// --- written down --------------------------------------------------------------------------------

static struct error *
write_down(struct store *store, void *ctx)
{
    struct delivery *delivery = ctx;
    return queue_delivery_add(store, &delivery->row, &delivery->is_new);
}

static void
tell(const struct delivery *delivery)
{
    struct service *service = delivery->request->service;
    if (!delivery->is_new) {
        metric_add(service, METRIC_HOOKS_AGAIN, 1);
    } else if (delivery->run_id > 0) {
        feed_wake(service);
    } else {
        specs_stale(service);
    }
}

static void
accept(struct response *response)
{
    response_text(response, 202, "application/json", STR("{\"accepted\":true}\n"));
}

// On the writer's thread.
static void
written(void *ctx, struct error *err)
{
    struct delivery *delivery = ctx;
    struct request *request = delivery->request;
    if (err == NULL) {
        tell(delivery);
        accept(request_response(request));
    } else {
        response_refuse_code(request, request_response(request), REASON_STORAGE);
        error_free(err);
    }
    request_answer(request);
}

// Within its share it is durable before it is answered; beyond that only memory is spent, one entry
// a run: a flood from one repository keeps nobody else waiting.
static bool
has_share(struct request *request, const struct delivery *delivery)
{
    int64_t share = is_infra(request->service, delivery->repository) ? OF_OURS : OF_OTHERS;
    const struct limiter_rule rule = {share, share};
    const char *key = arena_printf(request->arena, "hook/%s", delivery->repository);
    int64_t retry_s = 0;
    return limiter_take(request->service->limiter, key, &rule, request->mono_ms, &retry_s);
}

// --- parsed --------------------------------------------------------------------------------------

static bool
read_payload(struct request *request, struct json **out)
{
    const struct json_limits limits = {BODY_MAX, 64};
    struct str text = request->body;
    if (request->form.len > 0) {
        text = str_of(request_field(request, "payload"));
    }
    struct error *err CLEANUP(error_freep) = json_parse(text, &limits, out);
    return err == NULL && json_is_object(*out);
}

// NULL: nothing that anybody here waits for.
static struct delivery *
read_delivery(struct request *request, const struct json *payload)
{
    struct arena *arena = request->arena;
    const char *event = request_header(request, "X-GitHub-Event");
    const char *repository = short_text(json_path(payload, "repository.full_name"));
    int64_t run_id = run_of(event, payload);
    bool push = strcmp(event, "push") == 0 && is_default_branch(payload, arena);
    if (repository == NULL || !repository_name_is_valid(str_of(repository)) ||
        (run_id <= 0 && !(push && is_infra(request->service, repository)))) {
        return NULL;
    }
    struct delivery *delivery = arena_alloc(arena, sizeof(*delivery));
    *delivery = (struct delivery){
        .row = {.id = request_header(request, "X-GitHub-Delivery"),
            .event = event,
            .at_ms = request->wall_ms},
        .request = request,
        .repository = arena_dup(arena, repository),
        .run_id = run_id,
    };
    delivery->row.hint = hint_of(delivery, payload, arena);
    return delivery;
}

static struct error *
take(struct request *request, struct response *response)
{
    struct json *payload CLEANUP(json_freep) = NULL;
    if (!read_payload(request, &payload)) {
        response_refusef(request, response, REASON_REQUEST, "the payload is no JSON object");
        return NULL;
    }
    struct delivery *delivery = read_delivery(request, payload);
    if (delivery == NULL) {
        response_text(response, 202, "application/json", STR("{\"accepted\":false}\n"));
        return NULL;
    }
    if (!has_share(request, delivery) && delivery->run_id > 0) {
        feed_news(request->service, delivery->repository, delivery->run_id);
        accept(response);
        return NULL;
    }
    struct store_op op = {.run = write_down, .ctx = delivery};
    request_defer(request);
    writer_post(request->service, &op, written, delivery);
    return NULL;
}

static struct error *
take_hook(struct request *request, struct response *response)
{
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    static const char hex[] = "0123456789abcdefABCDEF-";
    if (!is_signed(request)) {
        metric_add(request->service, METRIC_HOOKS_REFUSED, 1);
        response_refusef(
            request, response, REASON_TOKEN_SIGNATURE, "the delivery is not signed by our secret");
        return NULL;
    }
    metric_add(request->service, METRIC_HOOKS, 1);
    if (!is_word(request_header(request, "X-GitHub-Event"), lower, 1, 64) ||
        !is_word(request_header(request, "X-GitHub-Delivery"), hex, 8, 64)) {
        response_refusef(
            request, response, REASON_REQUEST, "X-GitHub-Event and X-GitHub-Delivery are needed");
        return NULL;
    }
    if (request->body.len > SMALL) {
        request_hand_on(request, take);
        return NULL;
    }
    return take(request, response);
}

static const struct route routes[] = {
    {"POST", "/hooks/github", ROUTE_ANYBODY, ROUTE_INLINE | ROUTE_QUIET, BODY_MAX, take_hook},
    {"POST", "/hooks/slack", ROUTE_ANYBODY, ROUTE_CHEAP, HOOKS_SLACK_MAX, hooks_slack},
};
const struct route_table hook_routes = {routes, ARRAY_LENGTH(routes)};
