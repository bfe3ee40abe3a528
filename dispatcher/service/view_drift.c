// Drift as pages and the API show it: what was seen of the release that is there, or that it has
// not been looked at. What was seen of an earlier release says nothing of this one.
#include "view_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

struct error *
view_drift_read(struct request *request, const char *app, int64_t at_ms, struct view_drift *out)
{
    *out = (struct view_drift){
        .on = service_settings(request->service)->drift_interval_ms > 0 || at_ms > 0};
    if (!out->on) {
        return NULL;
    }
    if (at_ms == 0) {
        TRY(queue_drift_lanes(request->store, app, request->arena, &out->lanes, &out->lane_count));
    }
    return queue_drift_list(
        request->store, app, at_ms, request->arena, &out->drifts, &out->drift_count);
}

struct key {
    const char *app, *env;
};

static int
compare(const struct key *key, const char *app, const char *env)
{
    int order = strcmp(key->app, app);
    return order != 0 ? order : strcmp(key->env, env);
}

static int
compare_lane(const void *key, const void *item)
{
    const struct queue_drift_lane *lane = item;
    return compare(key, lane->app, lane->env);
}

static int
compare_drift(const void *key, const void *item)
{
    const struct queue_drift *drift = item;
    return compare(key, drift->app, drift->env);
}

const struct queue_drift_lane *
view_drift_lane(const struct view_drift *view, const struct queue_release *release)
{
    const struct key key = {release->app, release->env};
    const struct queue_drift_lane *lane =
        view->lane_count > 0
            ? bsearch(&key, view->lanes, view->lane_count, sizeof(*view->lanes), compare_lane)
            : NULL;
    return lane != NULL && cstr_equal(lane->deployment, release->deployment) ? lane : NULL;
}

const struct queue_drift *
view_drift_of(const struct view_drift *view, const struct queue_release *release, size_t *count)
{
    const struct key key = {release->app, release->env};
    const struct queue_drift *first =
        view->drift_count > 0
            ? bsearch(&key, view->drifts, view->drift_count, sizeof(*view->drifts), compare_drift)
            : NULL;
    const struct queue_drift *end = view->drifts + view->drift_count;
    *count = 0;
    if (first == NULL) {
        return NULL;
    }
    while (first > view->drifts && compare_drift(&key, first - 1) == 0) {
        first--;
    }
    while (first + *count < end && compare_drift(&key, first + *count) == 0) {
        (*count)++;
    }
    // They are compared with one release, all of them.
    if (!cstr_equal(first->deployment, release->deployment)) {
        *count = 0;
    }
    return *count > 0 ? first : NULL;
}

// --- JSON ----------------------------------------------------------------------------------------

static void
set_text(struct json *object, const char *key, const char *text)
{
    json_set(object, key, text != NULL ? json_make_string(text) : json_make_null());
}

static struct json *
item_of(const struct queue_drift *drift)
{
    struct json *item = json_make_object();
    json_set_str(item, "service", drift->service);
    json_set_str(item, "what", drift->what);
    set_text(item, "expected", drift->expected);
    set_text(item, "found", drift->found);
    json_set_str(item, "sentence", drift->sentence);
    view_set_time(item, "since", drift->since_ms);
    return item;
}

struct json *
view_drift_json(const struct view_drift *view, const struct queue_release *release)
{
    if (!view->on || release == NULL) {
        return json_make_null();
    }
    const struct queue_drift_lane *lane = view_drift_lane(view, release);
    size_t count = 0;
    const struct queue_drift *drifts = view_drift_of(view, release, &count);
    struct json *object = json_make_object(), *items = json_make_array();
    json_set_str(object, "state", lane != NULL ? lane->state : "unknown");
    set_text(object, "why", lane != NULL ? lane->why : VIEW_DRIFT_UNSEEN);
    view_set_time(object, "unknown_since", lane != NULL ? lane->unknown_ms : release->since_ms);
    view_set_time(object, "looked_at", lane != NULL ? lane->looked_ms : 0);
    json_set_int(object, "parameters", lane != NULL ? lane->parameters : 0);
    json_set_int(object, "running", lane != NULL ? lane->running : 0);
    json_set(object, "items", items);
    for (size_t i = 0; i < count; i++) {
        json_append(items, item_of(&drifts[i]));
    }
    return object;
}
