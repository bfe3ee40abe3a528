// Webhooks that did not arrive are asked for again, once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "chores_internal.h"
#include "dispatcher/jwt.h"
#include "script_transport.h"
#include "service_world.h"

#define DELIVERIES "https://api.github.com/app/hook/deliveries"
#define LIST DELIVERIES "?per_page=100"
#define ITEM(id, guid, at, code, again)                                                            \
    "{\"id\":" #id ",\"guid\":\"" guid "\",\"delivered_at\":\"2026-11-21T" at "Z\","               \
    "\"redelivery\":" again ",\"status_code\":" #code ",\"event\":\"workflow_run\"}"

struct world {
    struct service *service;
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct sweeper *sweeper;
    struct arena *arena;
};

static struct secret *key; // of all tests

static void
world_begin(struct world *world, const struct script_step *steps, size_t count)
{
    *world = (struct world){.service = world_new(), .arena = arena_new()};
    world->fake = fake_platform_new(NULL);
    fake_platform_fix_random(world->fake, 0.5);
    world->script = script_transport_new(world->fake, steps, count);
    world->service->platform = world->fake->platform;
    world->service->settings.workflow_repo = "acme/infra";
    world->service->settings.github_app_id = "Iv1.app";
    if (key == NULL) { // making one takes its time
        assert_null(jwt_key_generate_pem(&key));
    }
    world->service->app_key = secret_ref(key);
    assert_null(http_client_new(&world->fake->platform, NULL, &world->http));
    world->sweeper = sweep_new(world->service, world->http, world->service->store);
}

static void
world_end(struct world *world)
{
    script_transport_finish(world->script);
    sweep_free(world->sweeper);
    http_client_free(world->http);
    script_transport_free(world->script);
    fake_platform_free(world->fake);
    arena_free(world->arena);
    world_freep(&world->service);
}

static void
sweep_after(struct world *world, int64_t ms)
{
    int64_t next = INT64_MAX;
    fake_platform_advance(world->fake, ms);
    assert_null(sweep_round(world->sweeper, &next));
    assert_true(next > world->fake->mono_ms && next < INT64_MAX);
}

static int64_t
since_of(struct world *world)
{
    const char *text = NULL;
    int64_t since = 0;
    assert_null(queue_fact_get(world->service->store, "sweep/since", world->arena, &text));
    (void)str_to_int64(str_of(text), &since);
    return since;
}

static void
what_no_attempt_delivered_is_asked_for_again_once(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = LIST,
            .reply = "[" ITEM(19, "young", "07:47:30", 502, "false") "," // may be on its way
            ITEM(18, "lost", "07:40:00", 502, "false") ","               //
            ITEM(17, "mended", "07:39:00", 200, "true") ","              //
            ITEM(16, "fine", "07:38:00", 202, "false") ","               //
            ITEM(15, "hopeless", "07:37:00", 500, "true") ","            //
            ITEM(14, "mended", "07:36:00", 500, "false") ","             //
            ITEM(13, "hopeless", "07:35:00", 0, "false") ","             //
            ITEM(12, "old", "05:00:00", 500, "false") "]"},              // before the first sweep
        {.method = HTTP_POST, .url = DELIVERIES "/18/attempts", .status = 202, .reply = "{}"},
    };
    struct world world;
    world_begin(&world, steps, ARRAY_LENGTH(steps));
    sweep_after(&world, 0);
    assert_int_equal(world.service->counters[METRIC_REDELIVERED], 1);
    assert_int_equal(since_of(&world), world.fake->wall_ms - 10 * 60 * 1000);
    sweep_after(&world, 1000); // not its time
    world_end(&world);
}

static void
the_next_sweep_looks_back_to_the_last(void **state)
{
    (void)state;
    static const char *const link[] = {"Link: <" LIST "&cursor=v1>; rel=\"next\"", NULL};
    static const struct script_step steps[] = {
        {.url = LIST, .reply = "[]"},
        {.url = LIST,
            .reply_headers = link,
            .reply = "[" ITEM(20, "a", "07:52:00", 500, "false") "]"},
        {.url = LIST "&cursor=v1", .reply = "[" ITEM(19, "b", "07:30:00", 500, "false") "]"},
        {.method = HTTP_POST,
            .url = DELIVERIES "/20/attempts",
            .status = 404,
            .reply = "{\"message\":\"Not Found\"}"},
    };
    struct world world;
    world_begin(&world, steps, ARRAY_LENGTH(steps));
    sweep_after(&world, 0);
    sweep_after(&world, 5 * 60 * 1000 + 1);                           // 07:53, back to 07:38
    assert_int_equal(world.service->counters[METRIC_REDELIVERED], 0); // GitHub has dropped it
    world_end(&world);
}

// A key that was replaced is worth nothing at GitHub any more.
static void
another_key_is_used_from_the_next_sweep_on(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = LIST, .reply = "[]"},
        {.url = LIST, .reply = "[]"},
    };
    struct world world;
    world_begin(&world, steps, ARRAY_LENGTH(steps));
    sweep_after(&world, 0);
    int64_t since = since_of(&world);
    secret_free(world.service->app_key);
    world.service->app_key = secret_new(STR("no key at all"));
    sweep_after(&world, 5 * 60 * 1000 + 1); // asks nobody
    assert_int_equal(since_of(&world), since);
    secret_free(world.service->app_key);
    world.service->app_key = secret_ref(key);
    sweep_after(&world, 5 * 60 * 1000 + 1);
    assert_true(since_of(&world) > since);
    world_end(&world);
}

static void
a_sweep_that_failed_leaves_no_gap(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = LIST, .reply = "[]"},
        {.url = LIST, .status = 403, .reply = "{\"message\":\"no\"}"},
        {.url = LIST, .reply = "[" ITEM(20, "a", "07:41:00", 500, "false") "]"},
        {.method = HTTP_POST, .url = DELIVERIES "/20/attempts", .status = 202, .reply = "{}"},
    };
    struct world world;
    world_begin(&world, steps, ARRAY_LENGTH(steps));
    sweep_after(&world, 0);
    int64_t since = since_of(&world);
    sweep_after(&world, 5 * 60 * 1000 + 1);
    assert_int_equal(since_of(&world), since);
    assert_null(world.service->failure);
    sweep_after(&world, 5 * 60 * 1000 + 1);
    assert_int_equal(world.service->counters[METRIC_REDELIVERED], 1);
    assert_true(since_of(&world) > since);
    world_end(&world);
}

static void
without_an_app_there_is_nothing_to_sweep(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, NULL, 0);
    secret_freep(&world.service->app_key);
    sweep_after(&world, 0);
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_attempt_delivered_is_asked_for_again_once),
        cmocka_unit_test(the_next_sweep_looks_back_to_the_last),
        cmocka_unit_test(another_key_is_used_from_the_next_sweep_on),
        cmocka_unit_test(a_sweep_that_failed_leaves_no_gap),
        cmocka_unit_test(without_an_app_there_is_nothing_to_sweep),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    secret_free(key);
    return failed;
}
