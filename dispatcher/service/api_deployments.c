// /api/v1/deployments: asking for one, looking at one or many, and following one.
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "service_state_internal.h"

enum { IDEMPOTENCY_MAX = 255 };

// --- asking for one ------------------------------------------------------------------------------

static const char *const create_keys[] = {
    "verb", "app", "env", "version", "digests", "from", "to", "reason", "emergency", NULL};

struct digests {
    struct arena *arena;
    struct pair_list *out;
    const char *bad;
};

static void
take_digest(void *ctx, const char *key, const struct json *value)
{
    struct digests *digests = ctx;
    const char *text = json_str(value);
    bool good = text != NULL && digest_is_valid(str_of(text)) && name_is_valid(str_of(key));
    digests->bad = good ? digests->bad : key;
    digests->out->items[digests->out->count++] =
        (struct pair){arena_dup(digests->arena, key), arena_dup(digests->arena, good ? text : "")};
}

static bool
read_digests(struct request *request, struct response *response, const struct json *body,
    struct pair_list *out)
{
    const struct json *given = json_get(body, "digests");
    out->items = arena_array(request->arena, json_count(given) + 1, sizeof(*out->items));
    struct digests digests = {request->arena, out, NULL};
    json_each(given, take_digest, &digests);
    if (given != NULL && !json_is_null(given) && !json_is_object(given)) {
        digests.bad = "digests";
    }
    if (digests.bad != NULL) {
        response_refusef(request, response, REASON_REQUEST,
            "'digests' is to map services to digests like sha256:0123…; '%.80s' does not",
            digests.bad);
    }
    return digests.bad == NULL;
}

static bool
is_verb(const char *verb)
{
    return cstr_equal(verb, "deploy") || cstr_equal(verb, "rollback") ||
           cstr_equal(verb, "promote");
}

static bool
check_names(struct request *request, struct response *response, const struct admission *admission)
{
    const struct {
        const char *key, *value;
    } names[] = {{"app", admission->app}, {"env", admission->env}, {"from", admission->from}};
    const struct {
        const char *key, *value;
    } tags[] = {{"version", admission->version}, {"to", admission->to}};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        bool needed = i < 2;
        if (names[i].value == NULL ? needed : !name_is_valid(str_of(names[i].value))) {
            response_refusef(request, response, REASON_REQUEST,
                "'%s' is to be a name of lower-case letters, digits and '-'", names[i].key);
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(tags); i++) {
        if (tags[i].value != NULL && !tag_is_valid(str_of(tags[i].value))) {
            response_refusef(request, response, REASON_REQUEST, "'%s' is no version", tags[i].key);
            return false;
        }
    }
    return true;
}

static bool
read_admission(struct request *request, struct response *response, const struct json *body,
    struct admission *out)
{
    const struct {
        const char *key;
        const char **value;
    } texts[] = {{"verb", &out->verb}, {"app", &out->app}, {"env", &out->env},
        {"version", &out->version}, {"from", &out->from}, {"to", &out->to},
        {"reason", &out->reason}};
    if (!api_keys(request, response, body, create_keys)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (!api_text(request, response, body, texts[i].key, texts[i].value)) {
            return false;
        }
    }
    out->emergency = json_bool(json_get(body, "emergency"), false);
    out->verb = out->verb != NULL ? out->verb : "deploy";
    if (!is_verb(out->verb)) {
        response_refusef(request, response, REASON_REQUEST,
            "'verb' is to be deploy, rollback or promote, not '%.80s'", out->verb);
        return false;
    }
    return check_names(request, response, out) &&
           read_digests(request, response, body, &out->digests);
}

// One that was not given is made of the token's id: the same token with the same body is the same
// request (protocols.md T05).
static bool
read_idempotency(struct request *request, struct response *response, struct queue_idempotency *out)
{
    const char *key = request_header(request, "Idempotency-Key");
    size_t len = key != NULL ? strlen(key) : 0;
    for (size_t i = 0; i < len; i++) {
        if (len > IDEMPOTENCY_MAX || key[i] <= ' ' || key[i] > '~') {
            response_refusef(request, response, REASON_REQUEST,
                "Idempotency-Key is to be at most %d visible ASCII characters", IDEMPOTENCY_MAX);
            return false;
        }
    }
    if (len == 0 && request->caller.claims != NULL) {
        key = arena_printf(request->arena, "jti:%s", request->caller.claims->jti);
        len = 1;
    }
    *out = (struct queue_idempotency){
        .scope = request->caller.scope,
        .key = len > 0 ? key : NULL,
        .hash = auth_hash(request),
    };
    return true;
}

// A request that waits for its commit.
struct creating {
    struct request *request;
    struct admission admission;
    struct admitted admitted;
    struct queue_job *job;
    struct view view;
};

// On the writer's thread, in its transaction: what the answer shows costs least where the rows are
// at hand, and is as it is at this moment.
static struct error *
look(void *ctx, struct store *store, const char *id)
{
    struct creating *creating = ctx;
    struct request *request = creating->request;
    creating->view.sha = creating->admitted.sha;
    creating->view.accepted = creating->admitted.warnings;
    return api_read_job(request, store, id, &creating->job, &creating->view);
}

// How long it took from the request to the commit, as the first span of its trace.
static void
trace_acceptance(const struct creating *creating)
{
    const struct request *request = creating->request;
    if (request->service->tracer == NULL || creating->job->trace == NULL) {
        return;
    }
    const struct trace_span span = {
        .trace = creating->job->trace,
        .name = "accept",
        .deployment = creating->job->id,
        .start_ms = request->wall_ms,
        .end_ms = clock_wall(service_platform(request->service)->clock),
    };
    trace_add(request->service, &span);
}

static void
answer(struct creating *creating)
{
    struct request *request = creating->request;
    struct response *response = request_response(request);
    const struct admitted *admitted = &creating->admitted;
    if (admitted->id == NULL && admitted->verdict.code == REASON_IDEMPOTENCY &&
        request_header(request, "Idempotency-Key") == NULL) {
        response_refuse_code(request, response, REASON_TOKEN_REPLAYED); // the key was our own
        return;
    }
    if (admitted->id == NULL) {
        response_verdict(request, response, &admitted->verdict);
        return;
    }
    if (!admitted->again) {
        trace_acceptance(creating);
    }
    http_headers_addf(&response->headers, "Location", "/api/v1/deployments/%s", admitted->id);
    api_answer_job(request, response, admitted->again ? 200 : 202, &creating->view);
}

// On a handler's thread: each row is a round trip to a server.
static struct error *
show_created(struct request *request, struct response *response)
{
    (void)response;
    struct creating *creating = request->own;
    struct error *err = request->store != NULL
                            ? look(creating, request->store, creating->admitted.id)
                            : error_new(ERROR_STORAGE, "the database is not there");
    if (err == NULL) {
        answer(creating);
    }
    view_done(&creating->view);
    return err;
}

static void
created(void *ctx, struct error *err)
{
    struct creating *creating = ctx;
    struct request *request = creating->request;
    if (err == NULL && creating->admitted.id != NULL && creating->admission.look == NULL) {
        request->own = creating;
        request_go_on(request, show_created);
        return;
    }
    if (err != NULL) {
        request_fail(request, err);
    } else {
        answer(creating);
    }
    view_done(&creating->view);
    request_answer(request);
}

struct error *
api_deployments_create(struct request *request, struct response *response)
{
    struct json *body CLEANUP(json_freep) = NULL;
    struct creating *creating = arena_alloc(request->arena, sizeof(*creating));
    struct admission *admission = &creating->admission;
    creating->request = request;
    *admission = (struct admission){
        .claims = request->caller.claims,
        .person = request->caller.kind == CALLER_PERSON ? &request->caller.person : NULL,
        .request_id = request->id,
        .traceparent = request->traceparent,
        .look = store_is_shared(request->store) ? NULL : look,
        .look_ctx = creating,
    };
    if (service_is_draining(request->service)) {
        const struct refusal refusal = {.code = REASON_DRAINING, .retry_after_s = 1};
        response_refuse(request, response, &refusal);
        return NULL;
    }
    if (!request_json(request, response, &body) ||
        !read_admission(request, response, body, admission) ||
        !read_idempotency(request, response, &admission->idempotency)) {
        return NULL;
    }
    const struct admission_done done = {created, creating};
    request_defer(request); // no thread waits for the commit, so that many share one
    admission_post(request->service, admission, request->arena, &creating->admitted, &done);
    return NULL;
}

// --- looking -------------------------------------------------------------------------------------

struct listing {
    struct queue_filter filter;
    struct queue_job *jobs;
    size_t count;
};

static int
newer_first(const void *a, const void *b)
{
    const struct queue_job *one = a, *other = b;
    return one->number < other->number ? 1 : one->number > other->number ? -1 : 0;
}

// A job sees its own apps: each is listed, and the newest of all are kept.
static struct error *
list_own(struct request *request, struct listing *listing)
{
    struct str_list apps = {0};
    size_t limit = (size_t)listing->filter.limit;
    api_own_apps(request, &apps);
    listing->jobs = arena_array(request->arena, limit * (apps.count + 1), sizeof(*listing->jobs));
    for (size_t i = 0; i < apps.count; i++) {
        struct queue_job *jobs = NULL;
        size_t count = 0;
        listing->filter.app = apps.items[i];
        TRY(queue_list(request->store, &listing->filter, request->arena, &jobs, &count));
        for (size_t j = 0; j < count; j++) {
            listing->jobs[listing->count++] = jobs[j];
        }
    }
    if (listing->count > 0) {
        qsort(listing->jobs, listing->count, sizeof(*listing->jobs), newer_first);
    }
    listing->count = listing->count < limit ? listing->count : limit;
    return NULL;
}

static bool
is_one_of(const char *word, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool
read_filter(struct request *request, struct response *response, struct queue_filter *out)
{
    static const char *const states[] = {"queued", "running", "final", NULL};
    int64_t limit = 0;
    *out = (struct queue_filter){
        .app = request_query(request, "app"),
        .env = request_query(request, "env"),
        .state = request_query(request, "state"),
        .result = request_query(request, "result"),
    };
    if (!api_number(request, response, "limit", API_PAGE, &limit) ||
        !api_number(request, response, "before", 0, &out->before)) {
        return false;
    }
    out->limit = (int)(limit < API_PAGE_MAX ? limit : API_PAGE_MAX);
    if (out->state != NULL && !is_one_of(out->state, states)) {
        response_refusef(
            request, response, REASON_REQUEST, "'state' is to be queued, running or final");
        return false;
    }
    return true;
}

static struct error *
show_list(struct request *request, struct response *response, const struct listing *listing)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_array();
    json_set(object, "deployments", list);
    struct policy_lock *locks = NULL;
    size_t lock_count = 0;
    if (listing->count > 0) {
        TRY(begin_locks(request->store, request->wall_ms, request->arena, &locks, &lock_count));
    }
    for (size_t i = 0; i < listing->count; i++) {
        struct view view = {.locks = locks, .lock_count = lock_count};
        TRY(view_read(request->service, request->store, &listing->jobs[i], request->arena, &view));
        json_append(list, view_json(request->service, &view));
        view_done(&view);
    }
    bool more = listing->count == (size_t)listing->filter.limit;
    json_set(object, "next",
        more ? json_make_int(listing->jobs[listing->count - 1].number) : json_make_null());
    response_json(response, 200, object);
    return NULL;
}

struct error *
api_deployments_list(struct request *request, struct response *response)
{
    struct listing listing = {0};
    if (!read_filter(request, response, &listing.filter) || !api_has_specs(request, response)) {
        return NULL;
    }
    const char *app = listing.filter.app;
    if (app != NULL && !api_may_see(request, app, NULL)) {
        return show_list(request, response, &listing); // as for an app that there is not
    }
    if (app == NULL && request->caller.kind == CALLER_JOB) {
        TRY(list_own(request, &listing));
    } else {
        TRY(queue_list(
            request->store, &listing.filter, request->arena, &listing.jobs, &listing.count));
    }
    return show_list(request, response, &listing);
}

struct error *
api_deployments_show(struct request *request, struct response *response)
{
    struct queue_job *job = NULL;
    TRY(api_job(request, response, &job));
    return job != NULL ? api_show_job(request, response, 200, job->id) : NULL;
}

struct error *
api_deployments_events(struct request *request, struct response *response)
{
    struct queue_job *job = NULL;
    const char *last = request_header(request, "Last-Event-ID");
    int64_t after = 0;
    TRY(api_job(request, response, &job));
    if (job == NULL) {
        return NULL;
    }
    last = last != NULL ? last : request_query(request, "after");
    if (last != NULL && last[0] != '\0' && (!str_to_int64(str_of(last), &after) || after < 0)) {
        response_refusef(
            request, response, REASON_REQUEST, "Last-Event-ID is to be the id of an event");
        return NULL;
    }
    response->stream = job->id;
    response->stream_after = after;
    response->type = "text/event-stream; charset=utf-8";
    response_header(response, "X-Accel-Buffering", "no"); // proxies pass events on as they come
    return NULL;
}
