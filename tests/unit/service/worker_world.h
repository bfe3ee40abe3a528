// The engine as a test wants it: deployments that do as they are told. Included after
// service_world.h by tests of what works on jobs, which say
// "// wraps: deploy_prepare deploy_begin deploy_advance deploy_cancel deploy_ancestry".
#pragma once

#include "ask_internal.h"
#include "dispatcher/json.h"
#include "feed_internal.h"
#include "service_world.h"

#define WORLD_SHA "1111111111111111111111111111111111111111"
#define WORLD_OLD "0000000000000000000000000000000000000000"

// What the next look does.
struct look {
    bool ends;
    const char *result; // ENDS: NULL: cannot be followed any more
    int64_t exit_code;
    int64_t wait_ms;         // else: when to come again
    bool for_news;           // else: when its run has news
    enum error_kind failure; // with `problem`: the look fails
    const char *problem;
    int64_t takes_ms;
};

static struct {
    pthread_mutex_t lock;
    // deploy_prepare: fails so many times, then works.
    int prepare_failures;
    enum error_kind prepare_kind;
    atomic_int prepared, begun, looks, cancels, running, most_running;
    char specs_commit[64], traceparent[64], because[64], to[64], notes[512];
    bool buttons, hangs_in_ancestry;
    atomic_bool cut_off;
    int64_t run_id;
    struct look looks_to_come[16]; // the last one stays
    size_t look_count;
    atomic_size_t look_next;
    const struct deploy_run_feed *feed; // of the last context
    atomic_int news, no_news;
    const char *reference; // that each look reads, ...
    char secret[64];       // ... and what it was last
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void
engine_reset(void)
{
    memset(&engine, 0, sizeof(engine));
    (void)pthread_mutex_init(&engine.lock, NULL);
}

static inline void
engine_script(const struct look *looks, size_t count)
{
    (void)pthread_mutex_lock(&engine.lock);
    memcpy(engine.looks_to_come, looks, count * sizeof(*looks));
    engine.look_count = count;
    engine.look_next = 0;
    (void)pthread_mutex_unlock(&engine.lock);
}

static void
keep(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text != NULL ? text : "");
}

struct error *__wrap_deploy_prepare(struct deploy_context *context,
    const struct deploy_request *request, struct arena *arena, struct diagnostics *diagnostics,
    struct deployment **out);
struct error *__wrap_deploy_begin(
    struct deploy_context *context, struct deployment *d, struct arena *arena);
struct error *__wrap_deploy_advance(struct deploy_context *context, const char *id,
    struct deploy_pace *pace, struct arena *arena, struct deploy_advanced *out);
struct error *__wrap_deploy_cancel(
    struct deploy_context *context, const char *id, struct arena *arena, struct deployment **out);
struct error *__wrap_deploy_ancestry(struct deploy_context *context,
    const struct deploy_request *request, const struct deploy_range *range, struct arena *arena,
    enum deploy_ancestry *out, const char **why);

struct error *
__wrap_deploy_prepare(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct deployment **out)
{
    (void)context;
    (void)diagnostics;
    (void)pthread_mutex_lock(&engine.lock);
    bool fails = engine.prepare_failures > 0;
    engine.prepare_failures -= fails ? 1 : 0;
    keep(engine.specs_commit, sizeof(engine.specs_commit), request->given->specs_commit);
    keep(engine.traceparent, sizeof(engine.traceparent), request->given->trace);
    keep(engine.because, sizeof(engine.because), request->because);
    keep(engine.to, sizeof(engine.to), request->to);
    (void)pthread_mutex_unlock(&engine.lock);
    if (fails) {
        return error_new(engine.prepare_kind, "the registry is away");
    }
    struct deployment *d = deployment_new(arena);
    d->id = request->given->id;
    d->verb = request->verb;
    d->app = request->app;
    d->env = request->env;
    d->version = request->version != NULL ? request->version : request->to;
    d->sha = request->given->sha;
    d->specs_commit = request->given->specs_commit;
    d->workflow_repo = "acme/infra";
    d->replaces = request->to != NULL ? "v9" : NULL;
    struct deployment_sink *sinks = arena_array(arena, 2, sizeof(*sinks));
    sinks[0] = (struct deployment_sink){
        .name = "deploys", .kind = "slack", .channel = "#deploys", .token = "env:SLACK_BOT_TOKEN"};
    sinks[1] = (struct deployment_sink){.name = "hook", .kind = "webhook"};
    d->sinks = (struct object_list){sinks, 2};
    (void)atomic_fetch_add(&engine.prepared, 1);
    *out = d;
    return NULL;
}

static struct store_deployment
row_of(const struct deployment *d, const char *text)
{
    return (struct store_deployment){.id = d->id,
        .app = d->app,
        .env = d->env,
        .version = d->version,
        .state = d->result != NULL ? "final" : "running",
        .result = d->result,
        .exit_code = (int)d->exit_code,
        .created_ms = 1,
        .updated_ms = 2,
        .document = text};
}

struct error *
__wrap_deploy_begin(struct deploy_context *context, struct deployment *d, struct arena *arena)
{
    struct store *store = NULL;
    (void)arena;
    (void)pthread_mutex_lock(&engine.lock);
    engine.buttons = deployment_sink_at(d, 0)->buttons && !deployment_sink_at(d, 1)->buttons;
    engine.notes[0] = '\0';
    for (size_t i = 0; i < d->notes.count; i++) {
        size_t used = strlen(engine.notes);
        (void)snprintf(engine.notes + used, sizeof(engine.notes) - used, "%s|", d->notes.items[i]);
    }
    (void)pthread_mutex_unlock(&engine.lock);
    TRY(deploy_store(context, &store));
    struct json *object CLEANUP(json_freep) = deployment_encode(d);
    char *text CLEANUP(xfreep) = json_text(object);
    const struct store_deployment row = row_of(d, text);
    (void)atomic_fetch_add(&engine.begun, 1);
    return store_insert(store, &row);
}

static struct look
next_look(void)
{
    (void)pthread_mutex_lock(&engine.lock);
    size_t at = atomic_fetch_add(&engine.look_next, 1);
    BUG_ON(engine.look_count == 0);
    struct look look = engine.looks_to_come[at < engine.look_count ? at : engine.look_count - 1];
    (void)pthread_mutex_unlock(&engine.lock);
    return look;
}

static struct error *
do_look(
    struct store *store, struct deployment *d, const struct look *look, struct deploy_advanced *out)
{
    d->run_id = engine.run_id;
    if (look->takes_ms > 0) {
        error_free(
            clock_sleep_until(&clock_system, clock_mono(&clock_system) + look->takes_ms, NULL));
    }
    if (look->problem != NULL) {
        return error_new(look->failure, "%s", look->problem);
    }
    out->until_ms = clock_mono(&clock_system) + look->wait_ms;
    if (look->for_news && engine.feed != NULL) {
        bool news =
            engine.feed->has_news(engine.feed->ctx, "acme/infra", engine.run_id, &out->until_ms);
        (void)atomic_fetch_add(news ? &engine.news : &engine.no_news, 1);
    }
    if (look->ends) {
        d->result = look->result;
        d->exit_code = look->exit_code;
        d->unfinished = look->result == NULL ? "timeout" : NULL;
        d->message = look->result != NULL ? look->result : "still running";
        d->finished_ms = clock_wall(&clock_system);
        out->ended = true;
    }
    struct json *object CLEANUP(json_freep) = deployment_encode(d);
    char *text CLEANUP(xfreep) = json_text(object);
    const struct store_deployment row = row_of(d, text);
    return store_save(store, &row, NULL);
}

static struct error *
read_reference(struct deploy_context *context)
{
    struct secret *secret CLEANUP(secret_freep) = NULL;
    if (engine.reference == NULL) {
        return NULL;
    }
    TRY(deploy_secret(context, engine.reference, &secret));
    (void)pthread_mutex_lock(&engine.lock);
    keep(engine.secret, sizeof(engine.secret), secret_expose(secret).ptr);
    (void)pthread_mutex_unlock(&engine.lock);
    return NULL;
}

struct error *
__wrap_deploy_advance(struct deploy_context *context, const char *id, struct deploy_pace *pace,
    struct arena *arena, struct deploy_advanced *out)
{
    struct store *store = NULL;
    struct deployment *d = NULL;
    struct store_claim *claim CLEANUP(store_claim_releasep) = NULL;
    assert_non_null(pace);
    (void)atomic_fetch_add(&engine.looks, 1);
    TRY(deploy_store(context, &store));
    TRY(store_claim(store, id, &claim));
    if (claim == NULL) {
        return error_new(ERROR_CONFLICT, "somebody else works on it");
    }
    TRY(deploy_load(context, id, arena, &d));
    TRY(read_reference(context));
    int now = atomic_fetch_add(&engine.running, 1) + 1;
    if (now > engine.most_running) {
        engine.most_running = now;
    }
    *out = (struct deploy_advanced){.deployment = d};
    const struct look look = next_look();
    struct error *err = do_look(store, d, &look, out);
    (void)atomic_fetch_sub(&engine.running, 1);
    return err;
}

struct error *
__wrap_deploy_cancel(
    struct deploy_context *context, const char *id, struct arena *arena, struct deployment **out)
{
    (void)atomic_fetch_add(&engine.cancels, 1);
    return engine.run_id == 0 ? error_new(ERROR_USAGE, "deployment '%s' has no remote run", id)
                              : deploy_load(context, id, arena, out);
}

struct error *
__wrap_deploy_ancestry(struct deploy_context *context, const struct deploy_request *request,
    const struct deploy_range *range, struct arena *arena, enum deploy_ancestry *out,
    const char **why)
{
    (void)context;
    (void)request;
    (void)arena;
    assert_non_null(range->repository);
    assert_string_not_equal(range->base, range->head);
    (void)atomic_fetch_add(&world_now->asked_ancestry, 1);
    if (engine.hangs_in_ancestry) {
        while (!atomic_load(&engine.cut_off)) {
            error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 5, NULL));
        }
        *out = DEPLOY_ANCESTRY_UNKNOWN;
        return error_new(ERROR_CANCELLED, "interrupted");
    }
    *out = world_now->ancestry;
    *why = world_now->ancestry == DEPLOY_ANCESTRY_UNKNOWN ? "GitHub is away" : NULL;
    return NULL;
}

// --- an app, its lanes and its jobs
// ---------------------------------------------------------------

#define CONFIG                                                                                     \
    "version: 1\nspecs: appspecs\nenvironments: [staging, production]\n"                           \
    "aws: {region: us-east-1, account: \"012345678901\"}\n"                                        \
    "registry: \"{account}.dkr.ecr.{region}.amazonaws.com\"\n"                                     \
    "workflow: {repo: acme/infra, file: deploy.yaml, ref: main}\n"
#define SPEC(production)                                                                           \
    "name: payments\nrepo: acme/payments\nservices:\n  web:\n    expose: 8080\n"                   \
    "deploy:\n  repository_id: 7\n  owner_id: 9919\n  environments:\n"                             \
    "    staging:\n      allow: [{id: main, refs: [refs/heads/main]}]\n"                           \
    "    production:\n      allow: [{id: main, refs: [refs/heads/main]}]\n" production

struct world {
    struct service *service;
    struct arena *arena;
    char *specs;
    int jobs;
    int64_t accepted_ms; // of jobs; 0: now
};

static inline void
world_begin(struct world *world, const char *spec)
{
    engine_reset();
    *world = (struct world){.service = world_new(), .arena = arena_new()};
    world_write(world->service, "infra/dispatcher.yaml", CONFIG);
    world_write(world->service, "infra/appspecs/payments.yaml", spec);
    world->specs = temp_dir_path(world->service->directory, "infra");
    world->service->settings.specs = world->specs;
    world->service->settings.specs_every_ms = 3600 * 1000;
    world->service->settings.workers = 2;
    static const struct look ends[] = {{.ends = true, .result = "deployed"}};
    engine_script(ends, 1);
    assert_null(specs_start(world->service));
}

static inline void
world_go(struct world *world)
{
    assert_null(feed_start(world->service));
    assert_null(workers_start(world->service));
}

static inline void
world_end(struct world *world)
{
    workers_stop(world->service);
    feed_stop(world->service);
    specs_stop(world->service);
    assert_null(world->service->failure);
    world_freep(&world->service);
    arena_free(world->arena);
    free(world->specs);
}

static inline struct ask
ask_new(const char *verb, const char *env, const char *version)
{
    return (struct ask){.verb = verb,
        .app = "payments",
        .env = env,
        .version = version,
        .claims = {.repository_id = 7,
            .owner_id = 9919,
            .repository = "acme/payments",
            .ref = "refs/heads/main",
            .event = "push",
            .runner = "github-hosted",
            .sha = WORLD_SHA,
            .actor = "octocat",
            .actor_id = 1},
        .sha = WORLD_SHA,
        .repository = "acme/payments",
        .accepted_ms = 1};
}

static inline const char *
enqueue(struct world *world, const struct ask *ask)
{
    enum queue_accepted outcome = QUEUE_FULL;
    const char *id = NULL;
    char *text CLEANUP(xfreep) = ask_text(ask);
    const struct queue_job job = {.id = arena_printf(world->arena, "d-%016d", ++world->jobs),
        .app = ask->app,
        .env = ask->env,
        .verb = ask->verb,
        .version = ask->version,
        .request = text,
        .requester = ask_requester(ask),
        .repository = ask->repository,
        .repository_id = 7,
        .emergency = ask->emergency,
        .trace = "0af7651916cd43dd8448eb211c80319c"};
    const struct queue_acceptance acceptance = {.job = &job, .limit = 100};
    int64_t now = world->accepted_ms != 0 ? world->accepted_ms : clock_wall(&clock_system);
    (void)pthread_mutex_lock(&world->service->writing);
    assert_null(queue_accept(world->service->store, &acceptance, now, world->arena, &outcome, &id));
    (void)pthread_mutex_unlock(&world->service->writing);
    assert_int_equal(outcome, QUEUE_NEW);
    workers_wake(world->service);
    return arena_dup(world->arena, id);
}

static inline const char *
enqueue_deploy(struct world *world, const char *env, const char *version)
{
    const struct ask ask = ask_new("deploy", env, version);
    return enqueue(world, &ask);
}

static inline struct queue_job *
job_of(struct world *world, const char *id)
{
    struct queue_job *job = NULL;
    (void)pthread_mutex_lock(&world->service->writing);
    assert_null(queue_get(world->service->store, id, world->arena, &job));
    (void)pthread_mutex_unlock(&world->service->writing);
    assert_non_null(job);
    return job;
}

#define until_state(world, id, expected)                                                           \
    world_until((world)->service, cstr_equal(job_of((world), (id))->state, (expected)))
#define until_code(world, id, expected)                                                            \
    world_until((world)->service, cstr_equal(job_of((world), (id))->code, (expected)))

static inline size_t
entries_of(struct world *world, const char *verdict, struct audit_entry **out)
{
    size_t count = 0;
    const struct audit_filter filter = {.verdict = verdict};
    assert_null(audit_list(world->service->store, &filter, world->arena, out, &count));
    return count;
}

static inline void
put_release(struct world *world, const char *env, const char *version, const char *sha)
{
    const struct queue_release release = {.app = "payments",
        .env = env,
        .version = version,
        .digests = "{}",
        .sha = sha,
        .deployment = arena_printf(world->arena, "d-%s-%s", env, version),
        .since_ms = 1000 * (int64_t)++world->jobs};
    assert_null(queue_release_add(world->service->store, &release));
}
