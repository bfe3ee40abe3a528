// The chore that looks for drift: at which lanes, when, with what, and what it does where nothing
// can be read. What a look is, is deploy/'s: here it says what it is told.
//
// wraps: deploy_drift
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "chores_internal.h"
#include "dispatcher/drift.h"
#include "queue_fixture.h"
#include "service_world.h"

#define CONFIG                                                                                     \
    "version: 1\nspecs: appspecs\nenvironments: [staging]\n"                                       \
    "aws: {region: us-east-1, account: \"012345678901\"}\n"                                        \
    "registry: \"{account}.dkr.ecr.{region}.amazonaws.com\"\n"                                     \
    "workflow: {repo: acme/infra, file: deploy.yaml, ref: main}\n"
#define APP(name) "name: " name "\nservices:\n  web:\n    expose: 8080\n"

// --- what a look tells ---------------------------------------------------------------------------

static struct {
    struct queue_drift_thing thing; // of every lane
    char asked[256];                // "payments@d-1,shop@d-2;", one ';' a look
    const char *version;            // that the last lane could show
    const char *reference;          // that a look reads, ...
    char secret[64];                // ... and what it was last
} engine;

struct error *__wrap_deploy_drift(struct deploy_context *context, struct deploy_drift_lane *lanes,
    size_t count, struct arena *arena);

struct error *
__wrap_deploy_drift(struct deploy_context *context, struct deploy_drift_lane *lanes, size_t count,
    struct arena *arena)
{
    assert_non_null(context);
    if (engine.reference != NULL) {
        struct secret *secret CLEANUP(secret_freep) = NULL;
        assert_null(deploy_secret(context, engine.reference, &secret));
        (void)snprintf(engine.secret, sizeof(engine.secret), "%s", secret_expose(secret).ptr);
    }
    for (size_t i = 0; i < count; i++) {
        const struct deploy_given *given = lanes[i].request->given;
        assert_non_null(given->config);
        assert_non_null(given->app_spec);
        assert_string_equal(lanes[i].request->env, "staging");
        size_t len = strlen(engine.asked);
        (void)snprintf(engine.asked + len, sizeof(engine.asked) - len, "%s%s@%s%s",
            i > 0 ? "," : "", lanes[i].request->app, lanes[i].proven->id,
            i + 1 == count ? ";" : "");
        lanes[i].things = arena_alloc(arena, sizeof(engine.thing));
        lanes[i].things[0] = engine.thing;
        lanes[i].count = 1;
        engine.version = lanes[i].versions->count > 0 ? "some" : NULL;
    }
    return NULL;
}

// --- a service with releases ---------------------------------------------------------------------

struct world {
    struct service *service;
    struct http_client *http;
    struct store *store;
    struct drifter *drifter;
    struct arena *arena;
    char *specs;
};

static const struct queue_drift_thing same = {.service = "web",
    .what = "parameter",
    .verdict = QUEUE_DRIFT_SAME,
    .expected = "v1",
    .found = "v1"};
static const struct queue_drift_thing other_runs = {.service = "web",
    .what = "running",
    .verdict = QUEUE_DRIFT_DIFFERS,
    .expected = "sha256:a",
    .found = "sha256:b",
    .sentence = "another runs"};
static const struct queue_drift_thing unreadable = {.service = "web",
    .what = "parameter",
    .verdict = QUEUE_DRIFT_UNKNOWN,
    .expected = "v1",
    .sentence = "ssm is away"};

static bool
specs_are_there(struct service *service)
{
    const char *why = NULL;
    const struct spec_set *set = specs_hold(service, &why);
    specs_release(set);
    return set != NULL;
}

static void
world_begin(struct world *w)
{
    memset(&engine, 0, sizeof(engine));
    engine.thing = same;
    w->arena = arena_new();
    w->service = world_new();
    world_write(w->service, "infra/dispatcher.yaml", CONFIG);
    world_write(w->service, "infra/appspecs/payments.yaml", APP("payments"));
    world_write(w->service, "infra/appspecs/shop.yaml", APP("shop"));
    w->specs = temp_dir_path(w->service->directory, "infra");
    w->service->settings.specs = w->specs;
    w->service->settings.specs_every_ms = 3600 * 1000;
    w->service->settings.drift_interval_ms = 1;
    assert_null(specs_start(w->service));
    world_until(w->service, specs_are_there(w->service));
    assert_null(service_store_open(w->service, &w->store));
    assert_null(http_client_new(&w->service->platform, &w->service->http, &w->http));
    w->drifter = drift_new(w->service, w->http, w->store);
}

static void
world_end(struct world *w)
{
    drift_free(w->drifter);
    http_client_free(w->http);
    store_close(w->store);
    specs_stop(w->service);
    free(w->specs);
    arena_free(w->arena);
    world_freep(&w->service);
}

static void
release(struct world *w, const char *app, const char *id, bool journal)
{
    const struct queue_release row = {
        .app = app, .env = "staging", .version = "v1", .deployment = id, .since_ms = 1};
    struct deployment d = {
        .id = id, .app = app, .env = "staging", .version = "v1", .verb = "deploy"};
    struct json *document CLEANUP(json_freep) = deployment_encode(&d);
    char *text CLEANUP(xfreep) = json_text(document);
    const struct store_deployment stored = {.id = id,
        .app = app,
        .env = "staging",
        .version = "v1",
        .state = "running",
        .created_ms = 1,
        .updated_ms = 1,
        .document = text};
    assert_null(queue_release_add(w->service->store, &row));
    assert_null(journal ? store_insert(w->service->store, &stored) : NULL);
}

// One round that is due now; how long until the next one.
static int64_t
round_of(struct world *w)
{
    int64_t next = INT64_MAX, now = clock_mono(&clock_system);
    assert_null(drift_round(w->drifter, &next));
    return next - now;
}

static void
pause_ms(int64_t ms)
{
    error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + ms, NULL));
}

static const struct queue_drift_lane *
lane_of(struct world *w, const char *app)
{
    struct queue_drift_lane *lanes = NULL;
    size_t count = 0;
    assert_null(queue_drift_lanes(w->store, app, w->arena, &lanes, &count));
    return count > 0 ? lanes : NULL;
}

static void
looks_at_all_that_was_deployed(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    release(&w, "payments", "d-1", true);
    release(&w, "shop", "d-2", true);
    (void)round_of(&w);
    assert_string_equal(engine.asked, "payments@d-1,shop@d-2;");
    assert_string_equal(engine.version, "some");
    assert_string_equal(lane_of(&w, "payments")->state, "in-sync");
    assert_string_equal(lane_of(&w, "payments")->deployment, "d-1");
    // Jitter would choose who comes first.
    assert_null(queue_drift_wait(w.store, "payments", "staging", 0));
    assert_null(queue_drift_wait(w.store, "shop", "staging", 0));
    pause_ms(5);
    (void)round_of(&w);
    assert_string_equal(engine.asked, "payments@d-1,shop@d-2;payments@d-1,shop@d-2;");
    world_end(&w);
}

static void
secrets_that_were_read_again_reach_the_next_look(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    char *path CLEANUP(xfreep) = temp_dir_path(w.service->directory, "key");
    char *reference CLEANUP(xfreep) = xasprintf("file:%s", path);
    world_write(w.service, "key", "the old key");
    engine.reference = reference;
    release(&w, "shop", "d-2", true);
    (void)round_of(&w);
    assert_string_equal(engine.secret, "the old key");
    world_write(w.service, "key", "the new key");
    world_read_again(w.service);
    assert_null(queue_drift_wait(w.store, "shop", "staging", 0));
    pause_ms(5);
    (void)round_of(&w);
    assert_string_equal(engine.asked, "shop@d-2;shop@d-2;");
    assert_string_equal(engine.secret, "the new key");
    world_end(&w);
}

static void
what_is_not_there_any_more_is_not_looked_at(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    release(&w, "gone", "d-1", true);
    release(&w, "shop", "d-2", false); // the journal does not have it
    (void)round_of(&w);
    assert_string_equal(engine.asked, "");
    assert_string_equal(lane_of(&w, "gone")->state, "nothing");
    assert_string_equal(
        lane_of(&w, "gone")->why, "there is nothing to compare: it is not in the specs any more");
    assert_string_equal(lane_of(&w, "shop")->state, "unknown");
    assert_string_equal(lane_of(&w, "shop")->why, "the journal does not tell what was deployed");
    world_end(&w);
}

static void
nobody_looks_when_it_is_off_or_another_leads(void **state)
{
    (void)state;
    struct world w;
    bool leads = false;
    world_begin(&w);
    release(&w, "shop", "d-2", true);
    w.service->settings.drift_interval_ms = 0;
    assert_in_range(round_of(&w), 4000, 7900);
    assert_string_equal(engine.asked, "");
    w.service->settings.drift_interval_ms = 1;
    drift_free(w.drifter);
    w.drifter = drift_new(w.service, w.http, w.store);
    assert_null(
        queue_lead(w.store, "drift", "another", clock_wall(&clock_system), 3600 * 1000, &leads));
    assert_in_range(round_of(&w), 4000, 7900);
    assert_string_equal(engine.asked, "");
    world_end(&w);
}

// Right after a deployment tasks come and go: not before it has settled.
static void
a_deployment_is_given_time_to_settle(void **state)
{
    (void)state;
    struct world w;
    struct queue_release *due = NULL;
    size_t count = 9;
    world_begin(&w);
    struct queue_fixture fixture = {.store = w.service->store, .arena = w.arena};
    int64_t now = clock_wall(&clock_system);
    struct queue_job job = queue_fixture_job("d-2", "shop", "staging");
    (void)queue_fixture_accept(&fixture, &job, now - 2);
    struct queue_job *started = queue_fixture_start(&fixture, now - 1);
    queue_fixture_end(&fixture, started, "deployed", now);
    release(&w, "shop", "d-2", true);
    (void)round_of(&w);
    assert_string_equal(engine.asked, "");
    assert_null(lane_of(&w, "shop"));
    assert_null(queue_drift_due(w.store, now + 119 * 1000, 9, w.arena, &due, &count));
    assert_int_equal(count, 0);
    assert_null(queue_drift_due(w.store, now + 130 * 1000, 9, w.arena, &due, &count));
    assert_int_equal(count, 1);
    world_end(&w);
}

static void
what_runs_is_drift_when_it_was_seen_twice(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    release(&w, "shop", "d-2", true);
    engine.thing = other_runs;
    (void)round_of(&w);
    assert_string_equal(engine.asked, "shop@d-2;");
    assert_null(lane_of(&w, "shop")); // not yet
    // It was a task that was replaced.
    engine.thing = same;
    assert_null(queue_drift_wait(w.store, "shop", "staging", 0));
    pause_ms(5);
    (void)round_of(&w);
    assert_string_equal(lane_of(&w, "shop")->state, "in-sync");
    // Once again, and this time it stays.
    engine.thing = other_runs;
    for (int i = 0; i < 2; i++) {
        assert_null(queue_drift_wait(w.store, "shop", "staging", 0));
        pause_ms(5);
        (void)round_of(&w);
        assert_string_equal(lane_of(&w, "shop")->state, i == 0 ? "in-sync" : "drift");
    }
    world_end(&w);
}

// AWS is out of reach, or wants us to be slower: longer each time, and at once as before when it is
// back.
static void
rests_when_nothing_can_be_read(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    release(&w, "shop", "d-2", true);
    engine.thing = unreadable;
    assert_in_range(round_of(&w), 2000, 3900);
    assert_string_equal(lane_of(&w, "shop")->state, "unknown");
    assert_string_equal(lane_of(&w, "shop")->why, "ssm is away");
    pause_ms(2100);
    assert_in_range(round_of(&w), 4000, 7900);
    assert_int_equal(lane_of(&w, "shop")->failures, 2);
    drift_free(w.drifter);
    w.drifter = drift_new(w.service, w.http, w.store);
    engine.thing = same;
    assert_null(queue_drift_wait(w.store, "shop", "staging", 0));
    assert_in_range(round_of(&w), 0, 1900);
    assert_string_equal(lane_of(&w, "shop")->state, "in-sync");
    world_end(&w);
}

// A dozen apps: ten at a time, with a pause before the rest.
static void
a_few_at_a_time(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    for (int i = 0; i < 12; i++) {
        release(&w, arena_printf(w.arena, "gone-%d", i), arena_printf(w.arena, "d-%d", i), true);
    }
    w.service->settings.drift_interval_ms = 600 * 1000;
    assert_in_range(round_of(&w), 2000, 3900);
    pause_ms(2100);
    assert_in_range(round_of(&w), 4000, 7900);
    world_end(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_at_all_that_was_deployed),
        cmocka_unit_test(secrets_that_were_read_again_reach_the_next_look),
        cmocka_unit_test(what_is_not_there_any_more_is_not_looked_at),
        cmocka_unit_test(nobody_looks_when_it_is_off_or_another_leads),
        cmocka_unit_test(a_deployment_is_given_time_to_settle),
        cmocka_unit_test(what_runs_is_drift_when_it_was_seen_twice),
        cmocka_unit_test(rests_when_nothing_can_be_read),
        cmocka_unit_test(a_few_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
