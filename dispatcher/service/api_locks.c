// /api/v1/locks: what holds deployments back, who said so, and taking it away again.
#include <string.h>

#include "api_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "service_state_internal.h"

enum { EXPIRES_MAX_DAYS = 400 };

// --- looking -------------------------------------------------------------------------------------

static void
set_text(struct json *object, const char *key, const char *text)
{
    json_set(object, key, text != NULL ? json_make_string(text) : json_make_null());
}

static struct json *
shape(const struct queue_lock *lock)
{
    struct json *object = json_make_object();
    json_set_str(object, "id", lock->id);
    json_set_str(object, "scope", lock->scope);
    set_text(object, "app", lock->app);
    set_text(object, "env", lock->env);
    set_text(object, "program", lock->program);
    json_set_str(object, "level", lock->level);
    set_text(object, "reason", lock->reason);
    set_text(object, "owner", lock->owner);
    set_text(object, "on_release", lock->on_release);
    view_set_time(object, "created_at", lock->created_ms);
    view_set_time(object, "starts_at", lock->starts_ms);
    view_set_time(object, "expires_at", lock->expires_ms);
    view_set_time(object, "released_at", lock->released_ms);
    set_text(object, "released_by", lock->released_by);
    json_set_int(object, "epoch", lock->epoch);
    return object;
}

struct error *
api_locks_list(struct request *request, struct response *response)
{
    struct queue_lock *locks = NULL;
    size_t count = 0;
    bool past = cstr_equal(request_query(request, "past"), "1");
    TRY(queue_locks(request->store, past, request->wall_ms, request->arena, &locks, &count));
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_array();
    json_set(object, "locks", list);
    for (size_t i = 0; i < count; i++) {
        json_append(list, shape(&locks[i]));
    }
    response_json(response, 200, object);
    return NULL;
}

// --- a new one -----------------------------------------------------------------------------------

static const struct scope {
    const char *name;
    bool app, env, program; // what it needs
    bool admin;             // who may: it holds more than one app's work
} scopes[] = {
    {"organisation", false, false, false, true},
    {"environment", false, true, false, true},
    {"program", false, false, true, true},
    {"app", true, false, false, false},
    {"target", true, true, false, false},
};

static const struct scope *
scope_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(scopes); i++) {
        if (cstr_equal(scopes[i].name, name)) {
            return &scopes[i];
        }
    }
    return NULL;
}

static bool
is_needed(struct request *request, struct response *response, bool needed, const char *key,
    const char *value)
{
    if ((value != NULL) == needed && (value == NULL || name_is_valid(str_of(value)))) {
        return true;
    }
    response_refusef(request, response, REASON_REQUEST,
        needed ? "a lock of that scope needs '%s', a name" : "a lock of that scope takes no '%s'",
        key);
    return false;
}

static bool
check_scope(struct request *request, struct response *response, const struct queue_lock *lock)
{
    const struct scope *scope = scope_of(lock->scope);
    if (scope == NULL) {
        response_refusef(request, response, REASON_REQUEST,
            "'scope' is to be organisation, environment, program, app or target");
        return false;
    }
    if (!is_needed(request, response, scope->app, "app", lock->app) ||
        !is_needed(request, response, scope->env, "env", lock->env) ||
        !is_needed(request, response, scope->program, "program", lock->program)) {
        return false;
    }
    if ((scope->admin || strcmp(lock->level, "freeze") == 0) && !request->caller.admin) {
        const struct refusal refusal = {.code = REASON_NOT_ALLOWED,
            .sentence = "only admins may lock more than one app, or freeze"};
        response_refuse(request, response, &refusal);
        return false;
    }
    return true;
}

static bool
is_one_of(const char *word, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (cstr_equal(word, words[i])) {
            return true;
        }
    }
    return false;
}

static bool
check_words(struct request *request, struct response *response, const struct queue_lock *lock)
{
    static const char *const levels[] = {"lock", "warning", "freeze", NULL};
    static const char *const releases[] = {"run", "drop", NULL};
    if (!is_one_of(lock->level, levels)) {
        response_refusef(
            request, response, REASON_REQUEST, "'level' is to be lock, warning or freeze");
        return false;
    }
    if (!is_one_of(lock->on_release, releases)) {
        response_refusef(request, response, REASON_REQUEST, "'on_release' is to be run or drop");
        return false;
    }
    if (lock->reason == NULL || lock->reason[0] == '\0') {
        response_refusef(request, response, REASON_REQUEST, "'reason' is needed");
        return false;
    }
    return true;
}

static bool
read_span(struct request *request, struct response *response, const struct json *body,
    const char *key, int64_t *out)
{
    const char *text = NULL;
    *out = 0;
    if (!api_text(request, response, body, key, &text)) {
        return false;
    }
    if (text == NULL || text[0] == '\0') {
        return true;
    }
    int64_t max = (int64_t)EXPIRES_MAX_DAYS * 24 * 60 * 60 * 1000;
    if (!clock_parse_duration(str_of(text), out) || *out > max) {
        response_refusef(request, response, REASON_REQUEST,
            "'%s' is to be a duration like 30m, 2h or 1d, of at most %d days", key,
            EXPIRES_MAX_DAYS);
        return false;
    }
    return true;
}

static bool
read_lock(struct request *request, struct response *response, const struct json *body,
    struct queue_lock *out)
{
    static const char *const keys[] = {"scope", "app", "env", "program", "level", "reason",
        "expires_in", "starts_in", "on_release", NULL};
    const struct {
        const char *key;
        const char **value;
    } texts[] = {{"scope", &out->scope}, {"app", &out->app}, {"env", &out->env},
        {"program", &out->program}, {"level", &out->level}, {"reason", &out->reason},
        {"on_release", &out->on_release}};
    int64_t starts = 0, expires = 0;
    if (!api_keys(request, response, body, keys)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (!api_text(request, response, body, texts[i].key, texts[i].value)) {
            return false;
        }
    }
    if (!read_span(request, response, body, "starts_in", &starts) ||
        !read_span(request, response, body, "expires_in", &expires)) {
        return false;
    }
    if (expires == 0 && str_trim(str_of(json_str(json_get(body, "expires_in")))).len > 0) {
        response_refusef(request, response, REASON_REQUEST,
            "'expires_in' is to be longer than nothing; without it the lock holds until it is "
            "lifted");
        return false;
    }
    out->level = out->level != NULL ? out->level : "lock";
    out->on_release = out->on_release != NULL ? out->on_release : "run";
    out->starts_ms = request->wall_ms + starts;
    out->expires_ms = expires > 0 ? out->starts_ms + expires : 0;
    out->owner = request->caller.person.login;
    return true;
}

struct locking {
    struct queue_lock *lock;
    struct audit_entry audit;
    struct arena *arena;
    int64_t now_ms, epoch;
    const char *by;
    bool released;
};

static struct error *
add(struct store *store, void *ctx)
{
    struct locking *locking = ctx;
    TRY(queue_lock_add(store, locking->lock, locking->now_ms, locking->arena));
    // What is being decided at this moment was decided without it.
    TRY(queue_stir(store, locking->lock->app, locking->lock->env, locking->now_ms));
    return audit_add(store, &locking->audit, locking->now_ms);
}

static struct locking
locking_of(struct request *request, struct queue_lock *lock, const char *action)
{
    struct locking locking = {
        .lock = lock,
        .audit = api_audit_entry(request, "lock"),
        .arena = request->arena,
        .now_ms = request->wall_ms,
        .by = request->caller.person.login,
    };
    struct json *detail CLEANUP(json_freep) = json_make_object();
    json_set_str(detail, "action", action);
    json_set_str(detail, "scope", lock->scope);
    json_set_str(detail, "level", lock->level);
    json_set_str(detail, "program", lock->program);
    json_set_str(detail, "lock", lock->id);
    char *text CLEANUP(xfreep) = json_text(detail);
    locking.audit.detail = arena_dup(request->arena, text);
    locking.audit.app = lock->app;
    locking.audit.env = lock->env;
    locking.audit.reason = lock->reason;
    return locking;
}

struct error *
api_locks_make(struct request *request, struct response *response, struct queue_lock *lock)
{
    if (!check_words(request, response, lock) || !check_scope(request, response, lock)) {
        return NULL;
    }
    struct locking locking = locking_of(request, lock, "lock");
    struct store_op op = {.run = add, .ctx = &locking};
    TRY(writer_do(request->service, &op));
    struct json *object CLEANUP(json_freep) = shape(lock);
    response_json(response, 201, object);
    return NULL;
}

struct error *
api_locks_add(struct request *request, struct response *response)
{
    struct json *body CLEANUP(json_freep) = NULL;
    struct queue_lock lock = {0};
    if (!request_json(request, response, &body) || !read_lock(request, response, body, &lock)) {
        return NULL;
    }
    return api_locks_make(request, response, &lock);
}

// --- taking it away ------------------------------------------------------------------------------

static struct error *
release(struct store *store, void *ctx)
{
    struct locking *locking = ctx;
    TRY(queue_lock_release(store, locking->lock->id, locking->epoch, locking->by, locking->now_ms,
        &locking->released));
    if (!locking->released) {
        return NULL;
    }
    TRY(queue_stir(store, locking->lock->app, locking->lock->env, locking->now_ms));
    return audit_add(store, &locking->audit, locking->now_ms);
}

static bool
may_release(struct request *request, struct response *response, const struct queue_lock *lock)
{
    bool own = cstr_equal(lock->owner, request->caller.person.login);
    if (own || request->caller.admin) {
        return true;
    }
    const struct refusal refusal = {
        .code = REASON_NOT_ALLOWED,
        .sentence = "only its owner and admins may lift a lock",
        .who = lock->owner,
    };
    response_refuse(request, response, &refusal);
    return false;
}

struct error *
api_locks_lift(struct request *request, struct response *response, const char *id, int64_t epoch)
{
    struct queue_lock *lock = NULL;
    TRY(queue_lock_get(request->store, id, request->arena, &lock));
    if (lock == NULL) {
        response_refuse_code(request, response, REASON_NOT_FOUND);
        return NULL;
    }
    if (!may_release(request, response, lock)) {
        return NULL;
    }
    struct locking locking = locking_of(request, lock, "release");
    struct store_op op = {.run = release, .ctx = &locking};
    locking.epoch = epoch;
    TRY(writer_do(request->service, &op));
    if (!locking.released) {
        response_refusef(request, response, REASON_STATE,
            "lock '%s' was changed or lifted since it was shown", id);
        return NULL;
    }
    workers_wake(request->service);
    TRY(queue_lock_get(request->store, id, request->arena, &lock));
    struct json *object CLEANUP(json_freep) = shape(lock);
    response_json(response, 200, object);
    return NULL;
}

struct error *
api_locks_release(struct request *request, struct response *response)
{
    static const char *const keys[] = {"epoch", NULL};
    struct json *body CLEANUP(json_freep) = NULL;
    if (!request_json(request, response, &body) || !api_keys(request, response, body, keys)) {
        return NULL;
    }
    int64_t epoch = json_int(json_get(body, "epoch"), -1);
    if (epoch < 0) {
        response_refusef(request, response, REASON_REQUEST,
            "'epoch' is needed: the one of the lock as it was shown");
        return NULL;
    }
    return api_locks_lift(request, response, request_param(request, "id"), epoch);
}
