// The chore that looks for drift: each lane's last proven release against what its version
// parameters say and what runs now (deploy/drift.c). A few lanes at a time, the longest overdue
// first, with a pause after each few, so that the rate of requests is bounded whatever the number
// of apps; not while a deployment of the lane runs, nor right after one. Reads only: what differs
// is written down, and left to people.
#include "chores_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/deploy_service.h"
#include "dispatcher/drift.h"
#include "dispatcher/memory.h"

enum {
    LANES_MAX = 10,        // of one look
    PAUSE_MS = 2000,       // after it, when there are more
    IDLE_MS = 5000,        // between two questions whether something is due
    LEASE_MS = 120 * 1000, // longer than a look takes
    REST_MAX_MS = 5 * 60 * 1000,
    SETTLE_MS = 120 * 1000, // after a deployment: tasks come and go
    FAILURES_MAX = 3,       // doublings of the interval for a lane that cannot be read
    VERSIONS_MAX = 20,
};

struct drifter {
    struct service *service;
    struct store *store;
    struct deploy_context *context;
    const struct setting_server *settings; // with whose secrets the context works
    int64_t next_ms;                       // mono
    int64_t rest_ms;                       // of the last look in which nothing at all could be read
    int64_t settle_ms;
    char **suspects; // what was seen to run once: is_suspect
    size_t suspect_count;
};

// One look at some lanes.
struct looking {
    struct drifter *drifter;
    const struct spec_set *set;
    struct arena *arena;
    int64_t now_ms; // wall, before anything was read
    struct queue_release *releases;
    struct deploy_drift_lane *lanes;
    size_t count;
};

struct drifter *
drift_new(struct service *service, struct http_client *http, struct store *store)
{
    struct drifter *drifter = xcalloc(1, sizeof(*drifter));
    const struct http_client_options *options = service_http_options(service);
    const struct deploy_context_options context = {.platform = service_platform(service),
        .http = http,
        .ca_file = options->ca_file,
        .proxy = options->proxy,
        .no_proxy = options->no_proxy,
        .state_path = service_settings(service)->state};
    const char *text = env_get(service_platform(service), "DISPATCHER_DRIFT_SETTLE_MS");
    int64_t settle = 0;
    bool told = text != NULL && str_to_int64(str_of(text), &settle) && settle >= 0;
    *drifter = (struct drifter){.service = service,
        .store = store,
        .context = deploy_context_new(&context),
        .settings = service_settings(service),
        .settle_ms = told ? settle : SETTLE_MS};
    return drifter;
}

void
drift_free(struct drifter *drifter)
{
    if (drifter != NULL) {
        for (size_t i = 0; i < drifter->suspect_count; i++) {
            free(drifter->suspects[i]);
        }
        free(drifter->suspects);
        deploy_context_free(drifter->context);
        free(drifter);
    }
}

static const struct platform *
platform_of(const struct drifter *drifter)
{
    return service_platform(drifter->service);
}

static int64_t
interval_of(const struct drifter *drifter)
{
    return service_settings(drifter->service)->drift_interval_ms;
}

// A tenth more or less, so that lanes that were looked at together do not stay together.
static int64_t
jitter(const struct drifter *drifter, int64_t ms)
{
    return (int64_t)((double)ms * (0.9 + 0.2 * random_unit(platform_of(drifter)->random)));
}

// --- which lanes ---------------------------------------------------------------------------------

static bool
is_in_specs(const struct spec_set *set, const struct queue_release *release)
{
    const struct str_list *environments = spec_set_environments(set);
    bool found = false;
    for (size_t i = 0; i < environments->count; i++) {
        found = found || strcmp(environments->items[i], release->env) == 0;
    }
    return found && spec_set_app(set, release->app) != NULL;
}

static struct error *
record(struct looking *looking, const struct queue_drift_look *look)
{
    bool recorded = false;
    return queue_drift_record(looking->drifter->store, look, looking->arena, &recorded);
}

// Of what is not in the specs any more nothing is expected.
static struct error *
forget(struct looking *looking, const struct queue_release *release)
{
    const struct queue_drift_look look = {.app = release->app,
        .env = release->env,
        .deployment = release->deployment,
        .version = release->version,
        .why = "there is nothing to compare: it is not in the specs any more",
        .nothing = true,
        .looked_ms = looking->now_ms,
        .due_ms = looking->now_ms + jitter(looking->drifter, interval_of(looking->drifter))};
    return record(looking, &look);
}

static struct error *
read_versions(
    struct looking *looking, const struct queue_release *release, const struct str_list **out)
{
    struct queue_release *releases = NULL;
    size_t count = 0;
    TRY(queue_releases(looking->drifter->store, release->app, release->env, VERSIONS_MAX,
        looking->arena, &releases, &count));
    struct str_list *list = arena_alloc(looking->arena, sizeof(*list));
    list->items = arena_array(looking->arena, count + 1, sizeof(*list->items));
    for (size_t i = 0; i < count; i++) {
        list->items[list->count++] = releases[i].version;
    }
    *out = list;
    return NULL;
}

static struct error *
read_document(struct looking *looking, const char *id, const struct deployment **out)
{
    struct store_deployment *row = NULL;
    struct deployment *found = NULL;
    *out = NULL;
    TRY(store_find(looking->drifter->store, id, looking->arena, &row));
    if (row == NULL) {
        return NULL;
    }
    struct error *err CLEANUP(error_freep) =
        deployment_decode(str_of(row->document), looking->arena, &found);
    *out = err == NULL ? found : NULL; // said as what is not known
    return NULL;
}

static struct deploy_request *
request_for(struct looking *looking, const struct queue_release *release)
{
    const struct setting_server *settings = service_settings(looking->drifter->service);
    struct deploy_request *request = arena_alloc(looking->arena, sizeof(*request));
    struct deploy_given *given = arena_alloc(looking->arena, sizeof(*given));
    *given = (struct deploy_given){.config = spec_set_config(looking->set),
        .app_spec = spec_set_app(looking->set, release->app),
        .specs = settings->specs != NULL ? settings->specs : settings->workflow_repo,
        .specs_commit = spec_set_commit(looking->set),
        .github_api = settings->github_api,
        .github_app_id = settings->github_app_id,
        .github_app_key = settings->github_app_key};
    *request = (struct deploy_request){
        .given = given, .verb = "deploy", .app = release->app, .env = release->env};
    return request;
}

static struct error *
add_lane(struct looking *looking, struct queue_release *release)
{
    struct deploy_drift_lane *lane = &looking->lanes[looking->count];
    *lane = (struct deploy_drift_lane){.request = request_for(looking, release)};
    TRY(read_document(looking, release->deployment, &lane->proven));
    TRY(read_versions(looking, release, &lane->versions));
    looking->releases[looking->count++] = *release;
    return NULL;
}

// Those of `due` that may be looked at now.
static struct error *
choose(struct looking *looking, struct queue_release *due, size_t count)
{
    struct drifter *drifter = looking->drifter;
    looking->releases = arena_array(looking->arena, count + 1, sizeof(*looking->releases));
    looking->lanes = arena_array(looking->arena, count + 1, sizeof(*looking->lanes));
    for (size_t i = 0; i < count; i++) {
        bool busy = false;
        TRY(queue_drift_is_busy(
            drifter->store, due[i].app, due[i].env, looking->now_ms - drifter->settle_ms, &busy));
        TRY(busy ? queue_drift_wait(
                       drifter->store, due[i].app, due[i].env, looking->now_ms + drifter->settle_ms)
            : !is_in_specs(looking->set, &due[i]) ? forget(looking, &due[i])
                                                  : add_lane(looking, &due[i]));
    }
    return NULL;
}

// --- looking -------------------------------------------------------------------------------------

static bool
is_unreadable(const struct deploy_drift_lane *lane)
{
    bool any = lane->why != NULL && !lane->nothing;
    for (size_t i = 0; i < lane->count; i++) {
        if (lane->things[i].verdict != QUEUE_DRIFT_UNKNOWN) {
            return false;
        }
        any = true;
    }
    return any;
}

// A lane that could not be read is looked at ever more rarely, so that it does not cost others
// their turn.
static struct error *
due_of(struct looking *looking, const struct queue_release *release, bool unreadable, int64_t *out)
{
    struct queue_drift_lane *known = NULL;
    size_t count = 0;
    int64_t wait = interval_of(looking->drifter), failures = 0;
    if (unreadable) {
        TRY(queue_drift_lanes(
            looking->drifter->store, release->app, looking->arena, &known, &count));
    }
    for (size_t i = 0; i < count; i++) {
        failures = strcmp(known[i].env, release->env) == 0 ? known[i].failures : failures;
    }
    for (int64_t i = 0; i < failures && i < FAILURES_MAX; i++) {
        wait *= 2;
    }
    *out = looking->now_ms + jitter(looking->drifter, wait);
    return NULL;
}

// --- seen twice ----------------------------------------------------------------------------------

// A platform replaces a task whenever it likes, and for a moment something else runs, or nothing:
// what runs is drift when it is seen twice in a row, a settling time apart. Remembered here only: a
// replica that takes over sees it twice itself.
static char *
suspicion(const struct queue_release *release, const struct queue_drift_thing *thing)
{
    return xasprintf("%s %s %s %s", release->app, release->env, thing->service,
        thing->found != NULL ? thing->found : "-");
}

static bool
is_suspect(const struct drifter *drifter, const struct queue_release *release,
    const struct queue_drift_thing *thing)
{
    char *text CLEANUP(xfreep) = suspicion(release, thing);
    for (size_t i = 0; i < drifter->suspect_count; i++) {
        if (strcmp(drifter->suspects[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static void
acquit(struct drifter *drifter, const struct queue_release *release)
{
    char *prefix CLEANUP(xfreep) = xasprintf("%s %s ", release->app, release->env);
    size_t left = 0;
    for (size_t i = 0; i < drifter->suspect_count; i++) {
        char *text = drifter->suspects[i];
        if (str_starts(str_of(text), str_of(prefix))) {
            free(text);
        } else {
            drifter->suspects[left++] = text;
        }
    }
    drifter->suspect_count = left;
}

static bool
runs_otherwise(const struct queue_drift_thing *thing)
{
    return thing->verdict == QUEUE_DRIFT_DIFFERS && strcmp(thing->what, "running") == 0;
}

static void
suspect(struct drifter *drifter, const struct queue_release *release,
    const struct deploy_drift_lane *lane)
{
    for (size_t i = 0; i < lane->count; i++) {
        if (runs_otherwise(&lane->things[i])) {
            size_t count = drifter->suspect_count + 1;
            drifter->suspects = xrealloc(drifter->suspects, count * sizeof(*drifter->suspects));
            drifter->suspects[drifter->suspect_count++] = suspicion(release, &lane->things[i]);
        }
    }
}

static bool
is_known(const struct queue_drift *known, size_t count, const struct queue_release *release,
    const struct queue_drift_thing *thing)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(known[i].env, release->env) == 0 &&
            strcmp(known[i].service, thing->service) == 0 &&
            strcmp(known[i].what, thing->what) == 0) {
            return true;
        }
    }
    return false;
}

static struct error *
is_sure(struct looking *looking, size_t index, bool *sure)
{
    struct drifter *drifter = looking->drifter;
    const struct queue_release *release = &looking->releases[index];
    const struct deploy_drift_lane *lane = &looking->lanes[index];
    struct queue_drift *known = NULL;
    size_t count = 0;
    *sure = true;
    for (size_t i = 0; i < lane->count; i++) {
        const struct queue_drift_thing *thing = &lane->things[i];
        if (!runs_otherwise(thing)) {
            continue;
        }
        if (known == NULL) {
            TRY(queue_drift_list(drifter->store, release->app, 0, looking->arena, &known, &count));
        }
        *sure = *sure &&
                (is_known(known, count, release, thing) || is_suspect(drifter, release, thing));
    }
    acquit(drifter, release);
    if (!*sure) {
        suspect(drifter, release, lane);
    }
    return NULL;
}

static struct error *
write_down(struct looking *looking, size_t index)
{
    const struct queue_release *release = &looking->releases[index];
    const struct deploy_drift_lane *lane = &looking->lanes[index];
    bool sure = true;
    TRY(is_sure(looking, index, &sure));
    if (!sure) {
        return queue_drift_wait(looking->drifter->store, release->app, release->env,
            looking->now_ms + looking->drifter->settle_ms);
    }
    struct queue_drift_look look = {.app = release->app,
        .env = release->env,
        .deployment = release->deployment,
        .version = release->version,
        .things = lane->things,
        .count = lane->count,
        .why = lane->why,
        .nothing = lane->nothing,
        .looked_ms = looking->now_ms};
    TRY(due_of(looking, release, is_unreadable(lane), &look.due_ms));
    return record(looking, &look);
}

// What was read before SIGHUP may be worth nothing any more.
static void
heed_settings(struct drifter *drifter)
{
    const struct setting_server *now = service_settings(drifter->service);
    if (drifter->settings != now) {
        drifter->settings = now;
        deploy_context_forget(drifter->context);
    }
}

// Lanes whose deployment the journal does not know are said to be unknown without a look.
static struct error *
look(struct looking *looking)
{
    struct deploy_drift_lane *lanes =
        arena_array(looking->arena, looking->count + 1, sizeof(*lanes));
    size_t *places = arena_array(looking->arena, looking->count + 1, sizeof(*places));
    size_t count = 0;
    for (size_t i = 0; i < looking->count; i++) {
        if (looking->lanes[i].proven == NULL) {
            looking->lanes[i].why = "the journal does not tell what was deployed";
            continue;
        }
        places[count] = i;
        lanes[count++] = looking->lanes[i];
    }
    heed_settings(looking->drifter);
    TRY(deploy_drift(looking->drifter->context, lanes, count, looking->arena));
    for (size_t i = 0; i < count; i++) {
        looking->lanes[places[i]] = lanes[i];
    }
    return NULL;
}

// When nothing at all could be read, that is not for the lanes to say: AWS is out of reach, or
// wants us to be slower.
static int64_t
rest_after(struct drifter *drifter, const struct looking *looking)
{
    bool any = looking->count == 0;
    for (size_t i = 0; i < looking->count; i++) {
        any = any || !is_unreadable(&looking->lanes[i]);
    }
    int64_t twice = drifter->rest_ms > 0 ? drifter->rest_ms * 2 : PAUSE_MS;
    drifter->rest_ms = any ? 0 : twice < REST_MAX_MS ? twice : REST_MAX_MS;
    return drifter->rest_ms;
}

static int64_t
idle_of(const struct drifter *drifter)
{
    int64_t interval = interval_of(drifter);
    return interval < IDLE_MS ? interval : IDLE_MS;
}

static struct error *
look_at_some(struct drifter *drifter, const struct spec_set *set, int64_t *wait_ms)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct looking looking = {.drifter = drifter,
        .set = set,
        .arena = arena,
        .now_ms = clock_wall(platform_of(drifter)->clock)};
    struct queue_release *due = NULL;
    size_t count = 0;
    TRY(queue_drift_due(drifter->store, looking.now_ms, LANES_MAX, arena, &due, &count));
    if (count == 0) {
        *wait_ms = idle_of(drifter);
        return NULL;
    }
    TRY(choose(&looking, due, count));
    struct error *err = look(&looking);
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) { // we are stopping
        error_free(err);
        return NULL;
    }
    TRY(err);
    for (size_t i = 0; i < looking.count; i++) {
        TRY(write_down(&looking, i));
    }
    int64_t rest = rest_after(drifter, &looking);
    *wait_ms = rest > 0 ? rest : count == LANES_MAX ? PAUSE_MS : idle_of(drifter);
    return NULL;
}

// --- a round -------------------------------------------------------------------------------------

static struct error *
lead(struct drifter *drifter, int64_t *wait_ms)
{
    const char *why = NULL;
    bool leads = false;
    *wait_ms = IDLE_MS;
    TRY(queue_lead(drifter->store, "drift", service_replica(drifter->service),
        clock_wall(platform_of(drifter)->clock), LEASE_MS, &leads));
    const struct spec_set *set = leads ? specs_hold(drifter->service, &why) : NULL;
    if (set == NULL) {
        return NULL;
    }
    struct error *err = look_at_some(drifter, set, wait_ms);
    specs_release(set);
    return err;
}

struct error *
drift_round(struct drifter *drifter, int64_t *next_ms)
{
    const struct clock *clock = platform_of(drifter)->clock;
    int64_t wait = IDLE_MS;
    if (drifter->next_ms <= clock_mono(clock)) {
        TRY(interval_of(drifter) > 0 ? lead(drifter, &wait) : NULL);
        drifter->next_ms = clock_mono(clock) + wait;
    }
    *next_ms = drifter->next_ms < *next_ms ? drifter->next_ms : *next_ms;
    return NULL;
}
