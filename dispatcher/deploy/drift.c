// Looks at lanes for drift: parameters first, ten at a time where they are in one place, then the
// targets of each lane. All of it is best effort; what may not be read is a thing that nobody
// knows.
#include "drift_internal.h"

#include <string.h>

#include "dispatcher/memory.h"
#include "target_internal.h"

struct lane {
    struct deploy_drift_lane *out;
    struct preparation p;
    struct deployment *view; // p's, with the services that can be compared
    bool ready, done;
};

// One service's parameter on its way.
struct wanted {
    struct lane *lane;
    struct drift_parameter parameter;
};

struct looking {
    struct deploy_context *context;
    struct arena *arena;
    struct lane *lanes;
    size_t count;
    struct wanted *wanted; // of the place that is looked at
    size_t wanted_count, room;
};

// What an error says, in *out; an interruption is handed on.
static struct error *
note(struct arena *arena, struct error *err, const char **out)
{
    if (error_kind(err) == ERROR_CANCELLED || error_kind(err) == ERROR_STORAGE) {
        return err;
    }
    char *text CLEANUP(xfreep) = error_text(err);
    *out = context_clean(arena, text, DRIFT_TEXT_MAX);
    error_free(err);
    return NULL;
}

static void
add_thing(struct looking *looking, struct lane *lane, struct queue_drift_thing thing)
{
    struct deploy_drift_lane *out = lane->out;
    struct queue_drift_thing *longer = arena_array(looking->arena, out->count + 1, sizeof(*longer));
    if (out->count > 0) {
        memcpy(longer, out->things, out->count * sizeof(*longer));
    }
    longer[out->count] = thing;
    out->things = longer;
    out->count++;
}

// --- what is to be there -------------------------------------------------------------------------

static const struct deployment_service *
service_of(const struct deployment *proven, const char *name)
{
    for (size_t i = 0; i < proven->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(proven, i);
        if (strcmp(service->name, name) == 0) {
            return service;
        }
    }
    return NULL;
}

// Services that the spec has now and the release brought: of others nothing is expected.
static void
list_services(struct looking *looking, struct lane *lane)
{
    const struct settings *settings = lane->p.settings;
    const struct deployment *proven = lane->out->proven;
    struct deployment *d = lane->view;
    struct deployment_service *services =
        arena_array(looking->arena, settings->service_count + 1, sizeof(*services));
    size_t count = 0;
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct setting_service *from = &settings->services[i];
        const struct deployment_service *was = service_of(proven, from->key);
        if (!from->deployable || was == NULL) {
            continue;
        }
        services[count++] = (struct deployment_service){.name = from->key,
            .no_image = !from->has_image,
            .registry = was->registry,
            .repository = from->repository,
            .parameter = from->parameter,
            .version = was->version != NULL ? was->version : proven->version,
            .digest = was->digest};
    }
    d->services = (struct object_list){services, count};
    d->version = proven->version;
    d->sha = proven->sha;
    d->tag = proven->tag;
    d->branch = proven->branch;
}

static struct error *
prepare(struct looking *looking, struct lane *lane)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct deploy_request *request = arena_alloc(looking->arena, sizeof(*request));
    *request = *lane->out->request;
    request->verb = "prove"; // reads nothing that only a rollout needs
    request->workers = "[]"; // which there are stands in a checkout only
    TRY(prepare_settings(looking->context, request, looking->arena, diagnostics, &lane->p));
    lane->view = lane->p.deployment;
    lane->view->verb = "prove";
    lane->view->served = true;
    lane->view->app = "drift"; // the session of a role is called so, and serves all apps
    list_services(looking, lane);
    lane->ready = lane->view->services.count > 0;
    if (!lane->ready) {
        lane->out->nothing = true;
        lane->out->why = "there is nothing to compare: its spec has no service that was deployed";
    }
    return NULL;
}

// --- parameters ----------------------------------------------------------------------------------

static bool
same_text(const char *a, const char *b)
{
    return (a == NULL && b == NULL) || cstr_equal(a, b);
}

static bool
same_place(const struct deployment *a, const struct deployment *b)
{
    return same_text(a->region, b->region) && same_text(a->account, b->account) &&
           same_text(a->role, b->role) && (a->role == NULL || same_text(a->env, b->env));
}

static void
want_parameters(struct looking *looking, struct lane *lane)
{
    for (size_t i = 0; i < lane->view->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(lane->view, i);
        if (looking->wanted_count == looking->room) {
            size_t room = looking->room > 0 ? looking->room * 2 : 32;
            struct wanted *longer = arena_array(looking->arena, room, sizeof(*longer));
            if (looking->wanted_count > 0) {
                memcpy(longer, looking->wanted, looking->wanted_count * sizeof(*longer));
            }
            looking->wanted = longer;
            looking->room = room;
        }
        if (service->parameter != NULL && service->version != NULL) {
            looking->wanted[looking->wanted_count++] =
                (struct wanted){lane, {.service = service->name,
                                          .name = service->parameter,
                                          .version = service->version,
                                          .versions = lane->out->versions}};
        }
    }
}

static struct error *
read_alone(struct looking *looking, struct aws_session *aws, struct wanted *wanted)
{
    struct ssm_parameter *seen = NULL;
    struct error *err = ssm_get(aws, wanted->parameter.name, looking->arena, &seen);
    wanted->parameter.seen = seen;
    return err != NULL ? note(looking->arena, err, &wanted->parameter.problem) : NULL;
}

// One that may not be read must not hide the others; one that does not answer hides them all.
static struct error *
read_batch(struct looking *looking, struct aws_session *aws, struct wanted *wanted, size_t count)
{
    const char *names[SSM_MANY];
    struct ssm_parameter *seen[SSM_MANY] = {0};
    const char *problem = NULL;
    for (size_t i = 0; i < count; i++) {
        names[i] = wanted[i].parameter.name;
    }
    struct error *err = ssm_get_many(aws, names, count, looking->arena, seen);
    bool alone = err != NULL && error_kind(err) != ERROR_UNAVAILABLE;
    if (err != NULL) {
        TRY(note(looking->arena, err, &problem));
    }
    for (size_t i = 0; i < count; i++) {
        wanted[i].parameter.seen = seen[i];
        wanted[i].parameter.problem = problem;
        if (alone) {
            wanted[i].parameter.problem = NULL;
            TRY(read_alone(looking, aws, &wanted[i]));
        }
    }
    return NULL;
}

// Two services may share a parameter: a batch has each name once.
static size_t
batch_length(const struct wanted *wanted, size_t count)
{
    size_t length = 0;
    for (; length < count && length < SSM_MANY; length++) {
        for (size_t i = 0; i < length; i++) {
            if (strcmp(wanted[i].parameter.name, wanted[length].parameter.name) == 0) {
                return length;
            }
        }
    }
    return length;
}

static struct error *
read_parameters(struct looking *looking, const struct deployment *place)
{
    struct aws_session *aws = NULL;
    const char *problem = NULL;
    place_enter(looking->context, place);
    struct error *err = provider_aws(looking->context, place, &aws);
    if (err != NULL) {
        TRY(note(looking->arena, err, &problem));
    }
    for (size_t at = 0, length = 0; at < looking->wanted_count; at += length) {
        length = batch_length(&looking->wanted[at], looking->wanted_count - at);
        if (problem == NULL) {
            TRY(read_batch(looking, aws, &looking->wanted[at], length));
        }
        for (size_t i = at; i < at + length; i++) {
            struct wanted *wanted = &looking->wanted[i];
            wanted->parameter.problem = problem != NULL ? problem : wanted->parameter.problem;
            add_thing(
                looking, wanted->lane, drift_judge_parameter(&wanted->parameter, looking->arena));
        }
    }
    return NULL;
}

// --- what runs -----------------------------------------------------------------------------------

static struct error *
probe(const struct step_run *run, struct deployment_target *target, const char *digest)
{
    const struct target_ops *ops = target_ops_find(target->want.kind);
    // An ECS service's tasks are found by its name; the others are found by looking.
    if (strcmp(ops->kind, target_ecs.kind) != 0) {
        TRY(ops->look(run, target));
    }
    return ops->prove(run, target, digest);
}

static struct error *
look_at_target(struct looking *looking, struct lane *lane, struct deployment_target *target)
{
    const struct step_run run = {
        .context = looking->context, .deployment = lane->view, .arena = looking->arena};
    const struct deployment_service *service =
        target->service >= 0 ? deployment_service_at(lane->view, (size_t)target->service) : NULL;
    const char *problem = NULL;
    if (service == NULL || service->digest == NULL) {
        return NULL; // built from source: nobody can say which commit runs
    }
    struct error *err = probe(&run, target, service->digest);
    if (err != NULL) {
        TRY(note(looking->arena, err, &problem));
        problem = arena_printf(
            looking->arena, "What '%s' runs cannot be read: %s", target->name, problem);
    }
    add_thing(looking, lane,
        drift_judge_running(target, service->version, service->digest, problem, looking->arena));
    return NULL;
}

static struct error *
look_at_targets(struct looking *looking, struct lane *lane)
{
    place_enter(looking->context, lane->view);
    struct error *err = targets_prepare(looking->context, &lane->p);
    if (err != NULL) {
        TRY(note(looking->arena, err, &lane->out->why));
        return NULL;
    }
    for (size_t i = 0; i < lane->view->targets.count; i++) {
        TRY(look_at_target(looking, lane, deployment_target_at(lane->view, i)));
    }
    return NULL;
}

// --- a place after the other ---------------------------------------------------------------------

static struct error *
look_at_place(struct looking *looking, const struct deployment *place)
{
    looking->wanted_count = 0;
    for (size_t i = 0; i < looking->count; i++) {
        struct lane *lane = &looking->lanes[i];
        if (lane->ready && !lane->done && same_place(lane->view, place)) {
            want_parameters(looking, lane);
        }
    }
    TRY(read_parameters(looking, place));
    for (size_t i = 0; i < looking->count; i++) {
        struct lane *lane = &looking->lanes[i];
        if (lane->ready && !lane->done && same_place(lane->view, place)) {
            TRY(look_at_targets(looking, lane));
            lane->done = true;
        }
    }
    return NULL;
}

struct error *
deploy_drift(struct deploy_context *context, struct deploy_drift_lane *lanes, size_t count,
    struct arena *arena)
{
    struct looking looking = {.context = context, .arena = arena, .count = count};
    looking.lanes = arena_array(arena, count + 1, sizeof(*looking.lanes));
    for (size_t i = 0; i < count; i++) {
        looking.lanes[i].out = &lanes[i];
        struct error *err = prepare(&looking, &looking.lanes[i]);
        if (err != NULL) {
            TRY(note(arena, err, &lanes[i].why));
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (looking.lanes[i].ready && !looking.lanes[i].done) {
            TRY(look_at_place(&looking, looking.lanes[i].view));
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (lanes[i].count == 0 && lanes[i].why == NULL) {
            lanes[i].nothing = true;
            lanes[i].why = "there is nothing to compare: neither a version parameter nor a target "
                           "whose image is known";
        }
    }
    return NULL;
}
