// /api/v1/apps, /environments, /queue: what runs where, what is on its way there, and what waits.
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"

enum { JOBS_MAX = 2000, GOOD_MAX = 10, LANES_MAX = 500 };

static void
set_text(struct json *object, const char *key, const char *text)
{
    json_set(object, key, text != NULL ? json_make_string(text) : json_make_null());
}

// What is on its way, what waits and what has drifted, of all lanes.
struct traffic {
    struct queue_job *running, *queued;
    size_t running_count, queued_count;
    struct view_drift drift;
};

static struct error *
read_traffic(struct request *request, const char *app, struct traffic *out)
{
    const struct queue_filter running = {.app = app, .state = "running", .limit = JOBS_MAX};
    const struct queue_filter queued = {
        .app = app, .state = "queued", .limit = JOBS_MAX, .oldest_first = true};
    TRY(view_drift_read(request, app, 0, &out->drift));
    TRY(queue_list(request->store, &running, request->arena, &out->running, &out->running_count));
    return queue_list(request->store, &queued, request->arena, &out->queued, &out->queued_count);
}

static bool
is_of(const struct queue_job *job, const char *app, const char *env)
{
    return strcmp(job->app, app) == 0 && strcmp(job->env, env) == 0;
}

static void
set_traffic(struct json *cell, const struct traffic *traffic, const char *app, const char *env)
{
    const struct queue_job *running = NULL;
    int64_t queued = 0;
    for (size_t i = 0; i < traffic->running_count && running == NULL; i++) {
        running = is_of(&traffic->running[i], app, env) ? &traffic->running[i] : NULL;
    }
    for (size_t i = 0; i < traffic->queued_count; i++) {
        queued += is_of(&traffic->queued[i], app, env);
    }
    set_text(cell, "running", running != NULL ? running->id : NULL);
    json_set_int(cell, "queued", queued);
}

static void
set_digests(struct json *cell, const struct queue_release *release)
{
    struct json *digests = NULL;
    struct error *err CLEANUP(error_freep) =
        release->digests != NULL
            ? json_parse(str_of(release->digests), &json_limits_default, &digests)
            : NULL;
    if (err == NULL && digests != NULL) {
        json_set(cell, "digests", digests);
    }
}

static struct error *
make_cell(struct request *request, const struct traffic *traffic, const char *app, const char *env,
    struct json **out)
{
    struct queue_release *release = NULL;
    TRY(queue_release_at(request->store, app, env, 0, request->arena, &release));
    struct json *cell = json_make_object();
    json_set_str(cell, "app", app);
    json_set_str(cell, "env", env);
    set_text(cell, "version", release != NULL ? release->version : NULL);
    set_text(cell, "sha", release != NULL ? release->sha : NULL);
    set_text(cell, "deployment", release != NULL ? release->deployment : NULL);
    view_set_time(cell, "since", release != NULL ? release->since_ms : 0);
    if (release != NULL) {
        set_digests(cell, release);
    }
    set_traffic(cell, traffic, app, env);
    json_set(cell, "drift", view_drift_json(&traffic->drift, release));
    *out = cell;
    return NULL;
}

// --- apps ----------------------------------------------------------------------------------------

static void
set_spec(struct json *object, const struct spec_set *set, const char *app)
{
    const struct str_list *environments = spec_set_environments(set);
    const char *problem = NULL;
    for (size_t i = 0; i < environments->count; i++) {
        const struct settings *settings =
            spec_set_settings(set, app, environments->items[i], &problem);
        if (settings != NULL) {
            set_text(object, "program", settings->program);
            set_text(object, "repository", settings->repo);
            json_set(object, "problem", json_make_null());
            return;
        }
    }
    set_text(object, "program", NULL);
    set_text(object, "repository", NULL);
    set_text(object, "problem", problem);
}

static struct error *
make_app(struct request *request, const struct spec_set *set, const struct traffic *traffic,
    const char *app, struct json **out)
{
    const struct str_list *environments = spec_set_environments(set);
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *cells = json_make_array();
    json_set_str(object, "app", app);
    set_spec(object, set, app);
    json_set(object, "environments", cells);
    for (size_t i = 0; i < environments->count; i++) {
        struct json *cell = NULL;
        TRY(make_cell(request, traffic, app, environments->items[i], &cell));
        json_append(cells, cell);
    }
    *out = object;
    object = NULL;
    return NULL;
}

// A set, or NULL after a refusal.
static const struct spec_set *
hold(struct request *request, struct response *response)
{
    const char *why = NULL;
    const struct spec_set *set = specs_hold(request->service, &why);
    if (set == NULL) {
        const struct refusal refusal = {.code = REASON_SPECS_UNAVAILABLE, .hint = why};
        response_refuse(request, response, &refusal);
    }
    return set;
}

static struct error *
fill_apps(struct request *request, const struct spec_set *set, struct json *list)
{
    struct traffic traffic = {0};
    const struct str_list *apps = spec_set_apps(set);
    TRY(read_traffic(request, NULL, &traffic));
    for (size_t i = 0; i < apps->count; i++) {
        struct json *app = NULL;
        if (!api_may_see(request, apps->items[i], NULL)) {
            continue;
        }
        TRY(make_app(request, set, &traffic, apps->items[i], &app));
        json_append(list, app);
    }
    return NULL;
}

struct error *
api_apps_list(struct request *request, struct response *response)
{
    const struct spec_set *set = hold(request, response);
    if (set == NULL) {
        return NULL;
    }
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_array();
    json_set(object, "apps", list);
    json_set_str(object, "specs_commit", spec_set_commit(set));
    struct error *err = fill_apps(request, set, list);
    specs_release(set);
    if (err == NULL) {
        response_json(response, 200, object);
    }
    return err;
}

static struct error *
make_good(struct request *request, const char *app, const char *env, struct json **out)
{
    struct queue_release *releases = NULL;
    size_t count = 0;
    TRY(queue_releases(request->store, app, env, GOOD_MAX, request->arena, &releases, &count));
    struct json *list = json_make_array();
    for (size_t i = 0; i < count; i++) {
        struct json *item = json_make_object();
        json_set_str(item, "version", releases[i].version);
        set_text(item, "deployment", releases[i].deployment);
        view_set_time(item, "since", releases[i].since_ms);
        view_set_time(item, "until", releases[i].until_ms);
        json_append(list, item);
    }
    *out = list;
    return NULL;
}

static struct error *
show_app(struct request *request, struct response *response, const struct spec_set *set)
{
    const char *app = request_param(request, "app");
    const struct str_list *environments = spec_set_environments(set);
    struct traffic traffic = {0};
    struct json *object CLEANUP(json_freep) = NULL;
    struct json *releases = json_make_object();
    TRY(read_traffic(request, app, &traffic));
    TRY(make_app(request, set, &traffic, app, &object));
    json_set(object, "releases", releases);
    for (size_t i = 0; i < environments->count; i++) {
        struct json *list = NULL;
        TRY(make_good(request, app, environments->items[i], &list));
        json_set(releases, environments->items[i], list);
    }
    response_json(response, 200, object);
    return NULL;
}

struct error *
api_apps_show(struct request *request, struct response *response)
{
    const char *app = request_param(request, "app");
    const struct spec_set *set = hold(request, response);
    if (set == NULL) {
        return NULL;
    }
    struct error *err = NULL;
    if (spec_set_app(set, app) == NULL || !api_may_see(request, app, NULL)) {
        response_refuse_code(request, response, REASON_NOT_FOUND);
    } else {
        err = show_app(request, response, set);
    }
    specs_release(set);
    return err;
}

// --- environments --------------------------------------------------------------------------------

static struct error *
fill_environment(struct request *request, const struct spec_set *set, const struct traffic *traffic,
    const char *env, struct json *cells)
{
    const struct str_list *apps = spec_set_apps(set);
    for (size_t i = 0; i < apps->count; i++) {
        struct json *cell = NULL;
        if (api_may_see(request, apps->items[i], env)) {
            TRY(make_cell(request, traffic, apps->items[i], env, &cell));
            json_append(cells, cell);
        }
    }
    return NULL;
}

static struct error *
fill_environments(struct request *request, const struct spec_set *set, struct json *list)
{
    const struct str_list *environments = spec_set_environments(set);
    struct traffic traffic = {0};
    TRY(read_traffic(request, NULL, &traffic));
    for (size_t i = 0; i < environments->count; i++) {
        struct json *object = json_make_object(), *cells = json_make_array();
        json_set_str(object, "env", environments->items[i]);
        json_set_int(object, "order", (int64_t)i + 1);
        json_set(object, "apps", cells);
        json_append(list, object);
        TRY(fill_environment(request, set, &traffic, environments->items[i], cells));
    }
    return NULL;
}

struct error *
api_environments_list(struct request *request, struct response *response)
{
    const struct spec_set *set = hold(request, response);
    if (set == NULL) {
        return NULL;
    }
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_array();
    json_set(object, "environments", list);
    struct error *err = fill_environments(request, set, list);
    specs_release(set);
    if (err == NULL) {
        response_json(response, 200, object);
    }
    return err;
}

// --- the queue -----------------------------------------------------------------------------------

struct lane {
    const char *app, *env;
    const struct queue_job *running;
    struct json *queued;
};

static struct lane *
lane_of(struct lane *lanes, size_t *count, const struct queue_job *job)
{
    for (size_t i = 0; i < *count; i++) {
        if (is_of(job, lanes[i].app, lanes[i].env)) {
            return &lanes[i];
        }
    }
    if (*count == LANES_MAX) {
        return NULL;
    }
    lanes[*count] = (struct lane){job->app, job->env, NULL, json_make_array()};
    return &lanes[(*count)++];
}

static struct error *
shape_job(struct request *request, const struct queue_job *job, struct json **out)
{
    struct view view = {0};
    TRY(view_read(request->service, request->store, job, request->arena, &view));
    *out = view_json(request->service, &view);
    view_done(&view);
    return NULL;
}

static struct error *
put_lane(struct request *request, struct lane *lane, struct json *list)
{
    struct json *object = json_make_object(), *running = NULL;
    json_append(list, object);
    json_set_str(object, "app", lane->app);
    json_set_str(object, "env", lane->env);
    json_set(object, "queued", lane->queued);
    lane->queued = NULL;
    if (lane->running != NULL) {
        TRY(shape_job(request, lane->running, &running));
    }
    json_set(object, "running", running != NULL ? running : json_make_null());
    return NULL;
}

static struct error *
fill_lanes(
    struct request *request, const struct traffic *traffic, struct lane *lanes, size_t *count)
{
    for (size_t i = 0; i < traffic->running_count; i++) {
        const struct queue_job *job = &traffic->running[i];
        struct lane *lane =
            api_may_see(request, job->app, job->env) ? lane_of(lanes, count, job) : NULL;
        if (lane != NULL) {
            lane->running = job;
        }
    }
    for (size_t i = 0; i < traffic->queued_count; i++) {
        const struct queue_job *job = &traffic->queued[i];
        struct json *shaped = NULL;
        struct lane *lane =
            api_may_see(request, job->app, job->env) ? lane_of(lanes, count, job) : NULL;
        if (lane != NULL && json_count(lane->queued) < API_PAGE) {
            TRY(shape_job(request, job, &shaped));
            json_append(lane->queued, shaped);
        }
    }
    return NULL;
}

struct error *
api_queue_show(struct request *request, struct response *response)
{
    struct traffic traffic = {0};
    struct queue_counts counts = {0};
    struct lane *lanes = arena_array(request->arena, LANES_MAX, sizeof(*lanes));
    size_t count = 0;
    if (!api_has_specs(request, response)) {
        return NULL;
    }
    TRY(read_traffic(request, NULL, &traffic));
    TRY(queue_count(request->store, &counts));
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_array();
    json_set(object, "lanes", list);
    struct error *err = fill_lanes(request, &traffic, lanes, &count);
    for (size_t i = 0; i < count; i++) {
        if (err == NULL) {
            err = put_lane(request, &lanes[i], list);
        }
        json_free(lanes[i].queued);
    }
    if (err == NULL && request->caller.kind == CALLER_PERSON) {
        json_set_int(object, "queued", counts.queued);
        json_set_int(object, "running", counts.running);
        json_set_int(object, "held", counts.held);
    }
    if (err == NULL) {
        response_json(response, 200, object);
    }
    return err;
}
