// Replicas of one database hear of each other. Once they run their clock stands still: whoever
// waits for the next look round waits for ever, so that all that happens was woken.
//
// wraps: deploy_prepare deploy_begin deploy_advance deploy_cancel deploy_ancestry
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "service_world.h"
#include "store_lab.h"
#include "worker_internal.h"
#include "worker_world.h"

static atomic_bool frozen; // no wait with a flag ends by itself

static struct error *
sleep_frozen(const struct clock *clock, int64_t mono_ms, struct cancel *cancel)
{
    (void)clock;
    if (cancel == NULL) { // only a pause
        return clock_sleep_until(&clock_system, mono_ms, NULL);
    }
    while (cancel_signal(cancel) == 0) {
        struct pollfd flag = {.fd = cancel_fd(cancel), .events = POLLIN};
        int64_t left = mono_ms - clock_mono(&clock_system);
        if (left <= 0 && !atomic_load(&frozen)) {
            return NULL;
        }
        (void)poll(&flag, 1, left > 0 && left < 20 ? (int)left : 20);
    }
    return cancel_check(cancel);
}

static int64_t
wall_now(const struct clock *clock)
{
    (void)clock;
    return clock_wall(&clock_system);
}

static int64_t
mono_now(const struct clock *clock)
{
    (void)clock;
    return clock_mono(&clock_system);
}

static const struct clock freezing = {wall_now, mono_now, sleep_frozen};

static void
replica_start(struct world *world, const char *place)
{
    atomic_store(&frozen, false);
    world_clock = &freezing;
    world_begin(world, SPEC(""));
    struct service *service = world->service;
    store_close(service->store);
    free(service->state);
    service->state = xstrdup(place);
    service->settings.state = service->state;
    assert_null(store_open(service->state, &service->store));
    assert_null(wakeups_start(service));
    world_go(world);
    assert_null(wakeups_listen(service));
    atomic_store(&frozen, true);
}

static void
replica_end(struct world *world)
{
    wakeups_quiet(world->service);
    workers_stop(world->service);
    wakeups_stop(world->service);
    world_end(world);
}

static bool
has_heard(struct service *service, const char *deployment)
{
    (void)pthread_mutex_lock(&service->writing);
    bool has = strcmp(service->heard, deployment) == 0;
    (void)pthread_mutex_unlock(&service->writing);
    return has;
}

// As another replica does it, whose workers are busy.
static void
accept_elsewhere(struct store *other, const char *id, const char *env)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char *text CLEANUP(xfreep) = NULL;
    enum queue_accepted outcome = QUEUE_FULL;
    const char *made = NULL;
    const struct ask ask = ask_new("deploy", env, "v1");
    text = ask_text(&ask);
    const struct queue_job job = {.id = id,
        .app = "payments",
        .env = env,
        .verb = "deploy",
        .version = "v1",
        .request = text,
        .requester = "octocat",
        .repository = "acme/payments",
        .repository_id = 7};
    const struct queue_acceptance acceptance = {.job = &job, .limit = 100};
    assert_null(queue_accept(other, &acceptance, wall_now(NULL), arena, &outcome, &made));
    assert_int_equal(outcome, QUEUE_NEW);
}

static void
what_one_replica_accepts_an_idle_one_begins(void **state)
{
    (void)state;
    struct world world;
    struct store *other CLEANUP(store_closep) = NULL;
    char *place CLEANUP(xfreep) = store_lab_place(".");
    replica_start(&world, place);
    assert_null(store_open(place, &other));
    accept_elsewhere(other, "d-0001", "staging");
    until_state(&world, "d-0001", "final");
    assert_string_equal(job_of(&world, "d-0001")->result, "deployed");
    accept_elsewhere(other, "d-0002", "staging"); // and again, from its sleep
    until_state(&world, "d-0002", "final");
    replica_end(&world);
}

static void
what_one_replica_writes_the_streams_of_another_look_at(void **state)
{
    (void)state;
    struct world a, b;
    char *place CLEANUP(xfreep) = store_lab_place(".");
    replica_start(&a, place);
    replica_start(&b, place);
    wakeups_tell(b.service, "d-0001");
    world_until(a.service, has_heard(a.service, "d-0001"));
    assert_false(has_heard(b.service, "d-0001")); // it knows
    wakeups_tell(a.service, "d-0002");
    world_until(b.service, has_heard(b.service, "d-0002"));
    wakeups_tell(
        a.service, "an id that is longer than any of ours, and so nobody's at all, said a");
    wakeups_tell(a.service, "d-0003"); // told on its way out, too
    replica_end(&a);
    world_until(b.service, has_heard(b.service, "d-0003"));
    replica_end(&b);
}

// It is not asked for correctness while it is away, and comes back by itself.
static void
a_connection_that_was_cut_is_taken_up_again(void **state)
{
    (void)state;
    struct world world;
    struct store *other CLEANUP(store_closep) = NULL;
    char *place CLEANUP(xfreep) = store_lab_place(".");
    replica_start(&world, place);
    assert_null(store_open(place, &other));
    assert_true(wakeups_are_heard(world.service));
    atomic_store(&frozen, false); // there is a pause before it tries again
    char *killed CLEANUP(xfreep) =
        store_lab_sql(place, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                             " WHERE datname = current_database() AND query LIKE 'LISTEN%'");
    assert_string_equal(killed, "1");
    world_until(world.service, !wakeups_are_heard(world.service));
    world_until(world.service, wakeups_are_heard(world.service));
    assert_null(store_tell(other, "d-0009"));
    world_until(world.service, has_heard(world.service, "d-0009"));
    assert_null(world.service->failure); // it is nothing that the service fails of
    replica_end(&world);
}

static void
a_file_has_no_other_replicas(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC(""));
    assert_null(wakeups_start(world.service));
    assert_null(wakeups_listen(world.service));
    assert_null(service_parts(world.service)->wakeups);
    assert_false(wakeups_are_heard(world.service));
    wakeups_tell(world.service, "d-0001");
    wakeups_quiet(world.service);
    wakeups_stop(world.service);
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest shared[] = {
        cmocka_unit_test(what_one_replica_accepts_an_idle_one_begins),
        cmocka_unit_test(what_one_replica_writes_the_streams_of_another_look_at),
        cmocka_unit_test(a_connection_that_was_cut_is_taken_up_again),
    };
    const struct CMUnitTest alone[] = {cmocka_unit_test(a_file_has_no_other_replicas)};
    int failed = cmocka_run_group_tests_name("sqlite", alone, NULL, NULL);
    return failed + store_lab_run_postgres(shared, ARRAY_LENGTH(shared));
}
