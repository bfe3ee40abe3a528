// The routes of /api/v1 (docs/openapi.yaml), and what their handlers share: who may see what, and
// bodies and queries read strictly.
#include "api_internal.h"

#include <string.h>

#include "ask_internal.h"

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/text.h"

static const struct route routes[] = {
    {"POST", "/api/v1/deployments", ROUTE_EITHER, 0, API_BODY_MAX, api_deployments_create},
    {"GET", "/api/v1/deployments", ROUTE_EITHER, 0, 0, api_deployments_list},
    {"GET", "/api/v1/deployments/{id}", ROUTE_EITHER, 0, 0, api_deployments_show},
    {"GET", "/api/v1/deployments/{id}/events", ROUTE_EITHER, 0, 0, api_deployments_events},
    {"POST", "/api/v1/deployments/{id}/cancel", ROUTE_EITHER, 0, API_BODY_MAX, api_changes_cancel},
    {"POST", "/api/v1/deployments/{id}/approve", ROUTE_PERSON, 0, API_BODY_MAX,
        api_changes_approve},
    {"POST", "/api/v1/deployments/{id}/hurry", ROUTE_PERSON, 0, API_BODY_MAX, api_changes_hurry},
    {"POST", "/api/v1/apps/{app}/environments/{env}/push", ROUTE_JOB, 0, API_BODY_MAX,
        api_push_place},
    {"POST", "/api/v1/explain", ROUTE_EITHER, 0, API_BODY_MAX, api_explain},
    {"GET", "/api/v1/locks", ROUTE_PERSON, 0, 0, api_locks_list},
    {"POST", "/api/v1/locks", ROUTE_PERSON, 0, API_BODY_MAX, api_locks_add},
    {"POST", "/api/v1/locks/{id}/release", ROUTE_PERSON, 0, API_BODY_MAX, api_locks_release},
    {"GET", "/api/v1/apps", ROUTE_EITHER, 0, 0, api_apps_list},
    {"GET", "/api/v1/apps/{app}", ROUTE_EITHER, 0, 0, api_apps_show},
    {"GET", "/api/v1/environments", ROUTE_EITHER, 0, 0, api_environments_list},
    {"GET", "/api/v1/queue", ROUTE_EITHER, 0, 0, api_queue_show},
    {"GET", "/api/v1/audit", ROUTE_PERSON, 0, 0, api_audit_list},
    {"GET", "/api/v1/audit/verify", ROUTE_PERSON, 0, 0, api_audit_verify},
};
const struct route_table api_routes = {routes, ARRAY_LENGTH(routes)};

// --- who may see what ----------------------------------------------------------------------------

static bool
job_may_see(const struct policy_claims *claims, const struct spec_set *set, const char *app,
    const char *env)
{
    const struct str_list *environments = spec_set_environments(set);
    for (size_t i = 0; i < environments->count; i++) {
        const char *problem = NULL, *name = environments->items[i];
        if (env != NULL && strcmp(env, name) != 0) {
            continue;
        }
        const struct settings *settings = spec_set_settings(set, app, name, &problem);
        if (settings != NULL && policy_may_read(claims, settings)) {
            return true;
        }
    }
    return false;
}

bool
api_may_see(struct request *request, const char *app, const char *env)
{
    const char *why = NULL;
    if (request->caller.kind == CALLER_PERSON) {
        return true;
    }
    const struct spec_set *set = specs_hold(request->service, &why);
    bool may = set != NULL && request->caller.claims != NULL &&
               job_may_see(request->caller.claims, set, app, env);
    specs_release(set);
    return may;
}

bool
api_has_specs(struct request *request, struct response *response)
{
    const char *why = NULL;
    if (request->caller.kind == CALLER_PERSON) {
        return true;
    }
    const struct spec_set *set = specs_hold(request->service, &why);
    if (set == NULL) {
        const struct refusal refusal = {.code = REASON_SPECS_UNAVAILABLE, .hint = why};
        response_refuse(request, response, &refusal);
    }
    specs_release(set);
    return set != NULL;
}

void
api_own_apps(struct request *request, struct str_list *out)
{
    const char *why = NULL;
    const struct spec_set *set = specs_hold(request->service, &why);
    const struct str_list none = {0};
    const struct str_list *apps = set != NULL ? spec_set_apps(set) : &none;
    *out = (struct str_list){
        .items = arena_array(request->arena, apps->count + 1, sizeof(*out->items))};
    for (size_t i = 0; i < apps->count; i++) {
        if (job_may_see(request->caller.claims, set, apps->items[i], NULL)) {
            out->items[out->count++] = arena_dup(request->arena, apps->items[i]);
        }
    }
    specs_release(set);
}

// Whoever asked for it may follow it to its end, also while the specs cannot be read, or the app's
// is invalid: what it is told of its own must not depend on what somebody else wrote since.
static bool
has_asked(struct request *request, const struct queue_job *job)
{
    const struct policy_claims *claims = request->caller.claims;
    struct ask ask = {0};
    if (claims == NULL || job->repository_id != claims->repository_id) {
        return false;
    }
    struct error *err CLEANUP(error_freep) = ask_read(job->request, request->arena, &ask);
    return err == NULL && ask.claims.repository_id == claims->repository_id &&
           ask.claims.owner_id == claims->owner_id;
}

struct error *
api_job(struct request *request, struct response *response, struct queue_job **out)
{
    struct queue_job *job = NULL;
    TRY(queue_get(request->store, request_param(request, "id"), request->arena, &job));
    if (job != NULL && !api_may_see(request, job->app, job->env) && !has_asked(request, job)) {
        job = NULL;
    }
    if (job == NULL) {
        response_refuse_code(request, response, REASON_NOT_FOUND);
    }
    *out = job;
    return NULL;
}

static bool
shares(const struct str_list *a, const struct str_list *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++) {
            if (strcmp(a->items[i], b->items[j]) == 0) {
                return true;
            }
        }
    }
    return false;
}

bool
api_is_concerned(struct request *request, const char *app, const char *env)
{
    const char *why = NULL, *problem = NULL;
    const struct str_list *teams = &request->caller.person.teams;
    bool is = request->caller.admin;
    const struct spec_set *set = is ? NULL : specs_hold(request->service, &why);
    const struct settings *settings =
        set != NULL ? spec_set_settings(set, app, env, &problem) : NULL;
    for (size_t i = 0; settings != NULL && i < settings->allow_count && !is; i++) {
        is = shares(teams, &settings->allow[i].teams);
    }
    is = is || (settings != NULL && (shares(teams, &settings->approvals.teams) ||
                                        shares(teams, &settings->emergency_teams)));
    specs_release(set);
    return is;
}

// --- bodies and queries --------------------------------------------------------------------------

bool
api_text(struct request *request, struct response *response, const struct json *body,
    const char *key, const char **out)
{
    const struct json *value = json_get(body, key);
    *out = NULL;
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    const char *text = json_str(value);
    if (text == NULL || strlen(text) > API_REASON_MAX) {
        response_refusef(request, response, REASON_REQUEST,
            text == NULL ? "'%s' is no text" : "'%s' is longer than %d bytes", key, API_REASON_MAX);
        return false;
    }
    // It ends up in logs, pages and messages: one line without controls.
    struct buf clean CLEANUP(buf_done) = BUF_INIT(4 * API_REASON_MAX);
    text_clean(str_of(text), API_REASON_MAX, &clean);
    *out = arena_dup(request->arena, buf_cstr(&clean));
    return true;
}

struct key_check {
    const char *const *known;
    const char *unknown;
};

static void
check_key(void *ctx, const char *key, const struct json *value)
{
    struct key_check *check = ctx;
    bool found = false;
    (void)value;
    for (size_t i = 0; check->known[i] != NULL && !found; i++) {
        found = strcmp(check->known[i], key) == 0;
    }
    check->unknown = found ? check->unknown : key;
}

bool
api_keys(struct request *request, struct response *response, const struct json *body,
    const char *const *known)
{
    struct key_check check = {known, NULL};
    json_each(body, check_key, &check);
    if (check.unknown == NULL) {
        return true;
    }
    const char *close = str_closest(str_of(check.unknown), known);
    const struct refusal refusal = {
        .code = REASON_REQUEST,
        .sentence =
            arena_printf(request->arena, "the body has an unknown key '%.80s'", check.unknown),
        .hint = close != NULL ? arena_printf(request->arena, "Did you mean '%s'?", close) : NULL,
    };
    response_refuse(request, response, &refusal);
    return false;
}

bool
api_number(struct request *request, struct response *response, const char *key, int64_t fallback,
    int64_t *out)
{
    const char *text = request_query(request, key);
    *out = fallback;
    if (text == NULL || (str_to_int64(str_of(text), out) && *out > 0)) {
        return true;
    }
    response_refusef(request, response, REASON_REQUEST, "'%s' is to be a number above 0", key);
    return false;
}

bool
api_time(struct request *request, struct response *response, const char *key, int64_t *out)
{
    const char *text = request_query(request, key);
    *out = 0;
    if (text == NULL || text[0] == '\0' || clock_parse_rfc3339(text, out)) {
        return true;
    }
    response_refusef(
        request, response, REASON_REQUEST, "'%s' is to be a time like 2026-11-21T07:48:00Z", key);
    return false;
}

// --- answers -------------------------------------------------------------------------------------

struct error *
api_read_job(struct request *request, struct store *store, const char *id, struct queue_job **job,
    struct view *out)
{
    TRY(queue_get(store, id, request->arena, job));
    if (*job == NULL) {
        return error_new(ERROR_STORAGE, "deployment '%s' is not there", id);
    }
    return view_read(request->service, store, *job, request->arena, out);
}

void
api_answer_job(
    struct request *request, struct response *response, int status, const struct view *view)
{
    struct json *object CLEANUP(json_freep) = view_json(request->service, view);
    if (cstr_equal(request_query(request, "document"), "1") && view->document != NULL) {
        json_set(object, "document", json_clone(view->document));
    }
    response_json(response, status, object);
}

struct error *
api_show_job(struct request *request, struct response *response, int status, const char *id)
{
    struct queue_job *job = NULL;
    struct view view = {0};
    struct error *err = api_read_job(request, request->store, id, &job, &view);
    if (err == NULL) {
        api_answer_job(request, response, status, &view);
    }
    view_done(&view);
    return err;
}

struct audit_entry
api_audit_entry(const struct request *request, const char *kind)
{
    const struct caller *caller = &request->caller;
    struct audit_entry entry = {
        .kind = kind,
        .verdict = "done",
        .request_id = request->id,
        .actor = caller->actor,
        .actor_id = caller->actor_id,
    };
    if (caller->claims != NULL) {
        entry.repository_id = caller->claims->repository_id;
        entry.run_id = caller->claims->run_id;
        entry.run_attempt = caller->claims->run_attempt;
        entry.check_run_id = caller->claims->check_run_id;
        entry.jti = caller->claims->jti;
        entry.token_hash = caller->claims->token_hash;
    }
    return entry;
}
