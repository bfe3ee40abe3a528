// Running jobs: looked at when they are due or when there is news, adopted when their worker went
// away, put down whole when the service stops.
//
// wraps: deploy_prepare deploy_begin deploy_advance deploy_cancel deploy_ancestry
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "service_world.h"
#include "worker_internal.h"
#include "worker_world.h"

enum { HOUR_MS = 3600 * 1000 };

static void
pause_ms(int64_t ms)
{
    error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + ms, NULL));
}

static void
go_with(struct world *world, const struct look *looks, size_t count)
{
    world_begin(world, SPEC(""));
    engine_script(looks, count);
    assert_null(feed_start(world->service));
    engine.feed = feed_for_engine(world->service);
    assert_null(workers_start(world->service));
}

// The secret that the engine read last.
static bool
has_read(const char *value)
{
    (void)pthread_mutex_lock(&engine.lock);
    bool has = strcmp(engine.secret, value) == 0;
    (void)pthread_mutex_unlock(&engine.lock);
    return has;
}

// --- when it is looked at ------------------------------------------------------------------------

static void
a_job_is_looked_at_when_it_is_due(void **state)
{
    (void)state;
    static const struct look looks[] = {
        {.wait_ms = 150}, {.wait_ms = 150}, {.ends = true, .result = "failed", .exit_code = 7}};
    struct world world;
    struct queue_release *release = NULL;
    go_with(&world, looks, 3);
    int64_t start = clock_mono(&clock_system);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    until_state(&world, id, "final");
    int64_t took = clock_mono(&clock_system) - start;
    assert_true(took >= 300 && took < 4900);
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->result, "failed");
    assert_int_equal(job->exit_code, 7);
    assert_null(job->owner);
    assert_int_equal(engine.looks, 3);
    assert_null(
        queue_release_at(world.service->store, "payments", "staging", 0, world.arena, &release));
    assert_null(release); // nothing new runs
    assert_int_equal(world.service->counters[METRIC_FINISHED_BAD], 1);
    world_end(&world);
}

// The App's key above all: what was replaced is worth nothing any more.
static void
secrets_that_were_read_again_reach_the_next_look(void **state)
{
    (void)state;
    static const struct look looks[] = {{.wait_ms = 20}};
    struct world world;
    world_begin(&world, SPEC(""));
    engine_script(looks, 1);
    char *path CLEANUP(xfreep) = temp_dir_path(world.service->directory, "key");
    char *reference CLEANUP(xfreep) = xasprintf("file:%s", path);
    world_write(world.service, "key", "the old key of the App");
    engine.reference = reference;
    world.service->settings.workers = 1; // all looks are by one context
    world_go(&world);
    (void)enqueue_deploy(&world, "staging", "v1");
    world_until(world.service, has_read("the old key of the App"));
    world_write(world.service, "key", "the new key of the App");
    int seen = engine.looks;
    world_until(world.service, engine.looks >= seen + 2);
    assert_true(has_read("the old key of the App")); // until somebody says so
    world_read_again(world.service);
    world_until(world.service, has_read("the new key of the App"));
    world_end(&world);
}

static void
a_job_that_waits_for_news_is_left_alone(void **state)
{
    (void)state;
    static const struct look looks[] = {{.for_news = true}};
    struct world world;
    bool found = false;
    world_begin(&world, SPEC(""));
    engine_script(looks, 1);
    engine.run_id = 4711;
    assert_null(feed_start(world.service));
    engine.feed = feed_for_engine(world.service);
    assert_null(workers_start(world.service));
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_until(world.service, job_of(&world, id)->due_ms > clock_wall(&clock_system) + 60000);
    assert_int_equal(engine.news, 1); // the first look is always worth a request
    assert_int_equal(job_of(&world, id)->run_id, 4711);
    assert_string_equal(job_of(&world, id)->infra, "acme/infra");
    pause_ms(100);
    assert_int_equal(engine.looks, 1);
    feed_news(world.service, "Acme/Infra", 4711); // GitHub's names do not differ by case
    world_until(world.service, engine.news == 2);
    assert_int_equal(engine.no_news, 0);
    // Told by another replica: only the row says so.
    pause_ms(50);
    (void)pthread_mutex_lock(&world.service->writing);
    assert_null(
        queue_poke(world.service->store, "acme/infra", 4711, clock_wall(&clock_system), &found));
    (void)pthread_mutex_unlock(&world.service->writing);
    assert_true(found);
    workers_wake(world.service);
    world_until(world.service, engine.news == 3);
    assert_int_equal(engine.no_news, 0);
    world_end(&world);
}

static void
a_webhook_that_is_faster_than_the_row_is_kept(void **state)
{
    (void)state;
    static const struct look looks[] = {{.for_news = true, .takes_ms = 300}};
    struct world world;
    world_begin(&world, SPEC(""));
    engine_script(looks, 1);
    engine.run_id = 4711;
    assert_null(feed_start(world.service));
    engine.feed = feed_for_engine(world.service);
    assert_null(workers_start(world.service));
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_until(world.service, engine.looks == 1);
    feed_news(world.service, "acme/infra", 4711); // no row knows the run yet
    world_until(world.service, engine.looks == 2);
    until_state(&world, id, "running");
    world_end(&world);
}

static void
deliveries_are_told_to_their_jobs_once(void **state)
{
    (void)state;
    static const struct look looks[] = {{.for_news = true}};
    struct world world;
    bool is_new = false;
    world_begin(&world, SPEC(""));
    engine_script(looks, 1);
    engine.run_id = 4711;
    assert_null(feed_start(world.service));
    engine.feed = feed_for_engine(world.service);
    assert_null(workers_start(world.service));
    (void)enqueue_deploy(&world, "staging", "v1");
    world_until(world.service, engine.looks == 1);
    pause_ms(50);
    const struct queue_delivery delivery = {.id = "g-1",
        .event = "workflow_run",
        .hint = "{\"repository\":\"acme/infra\",\"run_id\":4711,\"status\":\"completed\"}",
        .at_ms = clock_wall(&clock_system)};
    (void)pthread_mutex_lock(&world.service->writing);
    assert_null(queue_delivery_add(world.service->store, &delivery, &is_new));
    (void)pthread_mutex_unlock(&world.service->writing);
    feed_wake(world.service);
    world_until(world.service, engine.news == 2);
    pause_ms(1200); // the feed has come round again
    assert_int_equal(engine.looks, 2);
    world_end(&world);
}

// --- whose it is ---------------------------------------------------------------------------------

static void
a_job_whose_worker_went_away_is_adopted(void **state)
{
    (void)state;
    static const struct look looks[] = {{.wait_ms = HOUR_MS}};
    struct world world;
    struct queue_job *jobs = NULL;
    size_t count = 0;
    go_with(&world, looks, 1);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_until(world.service, engine.looks == 1);
    workers_stop(world.service);
    assert_string_equal(job_of(&world, id)->state, "running");
    // Another replica takes it, and dies at once.
    (void)pthread_mutex_lock(&world.service->writing);
    assert_null(queue_lease_running(world.service->store, "dead/0",
        clock_wall(&clock_system) + 2 * HOUR_MS, 1 - 2 * HOUR_MS, 1, world.arena, &jobs, &count));
    (void)pthread_mutex_unlock(&world.service->writing);
    assert_int_equal(count, 1);
    static const struct look ends[] = {{.ends = true, .result = "deployed"}};
    engine_script(ends, 1);
    assert_null(workers_start(world.service));
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    assert_int_equal(world.service->counters[METRIC_ADOPTED], 1);
    assert_int_equal(engine.begun, 1); // it went on with the row: nothing was begun again
    world_end(&world);
}

static void
a_job_that_died_before_its_deployment_was_written_down_is_prepared(void **state)
{
    (void)state;
    struct world world;
    struct queue_job *jobs = NULL;
    size_t count = 0;
    bool started = false;
    world_begin(&world, SPEC(""));
    const char *id = enqueue_deploy(&world, "staging", "v1");
    assert_null(queue_lease_heads(world.service->store, "dead/0", clock_wall(&clock_system), 1, 1,
        world.arena, &jobs, &count));
    assert_null(queue_start(world.service->store, &jobs[0], clock_wall(&clock_system), &started));
    assert_true(started);
    world_go(&world);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    assert_int_equal(engine.begun, 1);
    world_end(&world);
}

static void
a_deployment_that_somebody_else_holds_is_come_back_to(void **state)
{
    (void)state;
    static const struct look looks[] = {
        {.failure = ERROR_CONFLICT, .problem = "somebody else works on it"}};
    struct world world;
    go_with(&world, looks, 1);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_until(world.service, engine.looks == 1);
    world_until(world.service, job_of(&world, id)->owner == NULL);
    int64_t wait = job_of(&world, id)->due_ms - clock_wall(&clock_system);
    assert_true(wait > 3000 && wait < 6000);
    world_end(&world);
}

static void
a_look_that_fails_is_no_end(void **state)
{
    (void)state;
    static const struct look looks[] = {
        {.failure = ERROR_CREDENTIALS, .problem = "the key cannot be read"}};
    struct world world;
    go_with(&world, looks, 1);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_until(world.service, engine.looks == 1 && job_of(&world, id)->owner == NULL);
    assert_string_equal(job_of(&world, id)->state, "running");
    assert_true(job_of(&world, id)->due_ms > clock_wall(&clock_system) + 20 * 1000);
    world_end(&world);
}

static void
storage_that_fails_ends_the_worker(void **state)
{
    (void)state;
    static const struct look looks[] = {{.failure = ERROR_STORAGE, .problem = "the disk is full"}};
    struct world world;
    struct workers_state workers = {0};
    world_begin(&world, SPEC(""));
    world.service->settings.workers = 1;
    engine_script(looks, 1);
    world_go(&world);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_until(world.service, (workers_state(world.service, &workers), workers.alive == 0));
    world_until(world.service, world_failed_with(world.service, "the disk is full"));
    assert_string_equal(job_of(&world, id)->state, "running");
    assert_int_equal(workers.threads, 1);
    free(world.service->failure);
    world.service->failure = NULL;
    world_end(&world);
}

static void
a_lease_is_renewed_while_a_look_goes_on(void **state)
{
    (void)state;
    struct world world;
    struct queue_job *jobs = NULL;
    size_t count = 0;
    world_begin(&world, SPEC(""));
    const char *id = enqueue_deploy(&world, "staging", "v1");
    int64_t now = clock_wall(&clock_system);
    assert_null(queue_lease_heads(
        world.service->store, "host/0", now, WORKER_LEASE_MS, 1, world.arena, &jobs, &count));
    assert_int_equal(job_of(&world, id)->lease_until_ms, now + WORKER_LEASE_MS);
    assert_null(queue_renew(world.service->store, &jobs[0], now + 2 * WORKER_LEASE_MS));
    assert_int_equal(job_of(&world, id)->lease_until_ms, now + 2 * WORKER_LEASE_MS);
    world_end(&world);
}

// --- how it ends ---------------------------------------------------------------------------------

static void
a_cancellation_is_passed_on_once(void **state)
{
    (void)state;
    static const struct look looks[] = {{.wait_ms = 60}};
    static const struct look ends[] = {
        {.wait_ms = 60}, {.ends = true, .result = "cancelled", .exit_code = 11}};
    struct world world;
    bool running = false;
    go_with(&world, looks, 1);
    engine.run_id = 4711;
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_until(world.service, engine.looks >= 2);
    assert_int_equal(engine.cancels, 0);
    (void)pthread_mutex_lock(&world.service->writing);
    assert_null(queue_cancel(
        world.service->store, id, "hubot", "wrong button", clock_wall(&clock_system), &running));
    (void)pthread_mutex_unlock(&world.service->writing);
    assert_true(running);
    workers_wake(world.service);
    world_until(world.service, engine.cancels == 1);
    int looked = engine.looks;
    world_until(world.service, engine.looks >= looked + 3);
    assert_int_equal(engine.cancels, 1);
    engine_script(ends, 2);
    until_state(&world, id, "final");
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->result, "cancelled");
    assert_string_equal(job->code, "cancelled");
    assert_string_equal(job->who, "hubot");
    assert_int_equal(job->exit_code, 11);
    world_end(&world);
}

static void
a_cancellation_before_the_run_waits_for_it(void **state)
{
    (void)state;
    static const struct look looks[] = {{.wait_ms = HOUR_MS}};
    struct world world;
    bool running = false;
    go_with(&world, looks, 1);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_until(world.service, engine.looks == 1 && job_of(&world, id)->owner == NULL);
    (void)pthread_mutex_lock(&world.service->writing);
    assert_null(
        queue_cancel(world.service->store, id, "hubot", "no", clock_wall(&clock_system), &running));
    (void)pthread_mutex_unlock(&world.service->writing);
    workers_wake(world.service);
    world_until(world.service, engine.cancels == 1 && engine.looks == 2);
    world_until(world.service, job_of(&world, id)->owner == NULL);
    assert_true(job_of(&world, id)->due_ms < clock_wall(&clock_system) + 6000);
    world_end(&world);
}

static void
what_cannot_be_followed_any_more_is_unknown(void **state)
{
    (void)state;
    static const struct look looks[] = {{.ends = true, .exit_code = 10}};
    struct world world;
    struct audit_entry *entries = NULL;
    go_with(&world, looks, 1);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "unknown");
    assert_int_equal(job_of(&world, id)->exit_code, 10);
    assert_int_equal(entries_of(&world, "done", &entries), 1);
    assert_non_null(strstr(entries[0].detail, "\"result\":\"timeout\""));
    world_end(&world);
}

// Three workers die of it: each leases it and never comes back.
static void
lose_three_workers(struct world *world, const char *id)
{
    for (int64_t attempt = 0; attempt < QUEUE_WORN; attempt++) {
        struct queue_job *jobs = NULL;
        size_t count = 0;
        for (int i = 0; i < 1000 && count == 0; i++) {
            pause_ms(5);
            assert_null(queue_lease_running(world->service->store, "gone",
                clock_wall(&clock_system), 1, 10, world->arena, &jobs, &count));
        }
        assert_int_equal(count, 1);
        assert_string_equal(jobs[0].id, id);
        assert_int_equal(jobs[0].attempts, attempt);
    }
}

static void
put_down_soon(struct world *world, const struct look *looks, const char **id)
{
    go_with(world, looks, 1);
    *id = enqueue_deploy(world, "staging", "v1");
    world_until(world->service, engine.looks >= 1);
    workers_stop(world->service);
    feed_stop(world->service);
    engine.looks = 0;
}

static void
what_is_set_aside_says_what_is_known_and_leaves_nothing_open(void **state)
{
    (void)state;
    static const struct look looks[] = {{.wait_ms = 1}};
    struct world world;
    struct store_deployment *row = NULL;
    struct audit_entry *entries = NULL;
    struct deployment *d = NULL;
    const char *id = NULL;
    put_down_soon(&world, looks, &id);
    lose_three_workers(&world, id);
    world_go(&world);
    until_state(&world, id, "final");
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->result, "unknown");
    assert_string_equal(job->code, "quarantined");
    assert_int_equal(job->exit_code, 9);
    assert_string_equal(job->reason,
        "deploy 'payments' to 'staging': working on it ended without a "
        "word three times; nothing was triggered");
    assert_int_equal(engine.looks, 0); // it is not tried again
    assert_null(store_find(world.service->store, id, world.arena, &row));
    assert_string_equal(row->state, "final");
    assert_string_equal(row->result, "unknown");
    assert_int_equal(row->exit_code, 9);
    assert_null(deployment_decode(str_of(row->document), world.arena, &d));
    assert_string_equal(d->result, "unknown");
    assert_string_equal(d->message, job->reason);
    char *hint CLEANUP(xfreep) =
        xasprintf("'dispatcher resume %s' goes on with it and says how it ended.", id);
    assert_string_equal(d->hint, hint);
    assert_int_equal(entries_of(&world, "done", &entries), 1);
    assert_string_equal(entries[0].code, "quarantined");
    world_end(&world);
}

// Its worker died between the end of the deployment and that of the job.
static void
what_had_ended_keeps_its_end(void **state)
{
    (void)state;
    static const struct look looks[] = {{.wait_ms = 1}};
    struct world world;
    struct store_deployment *row = NULL;
    struct deployment *d = NULL;
    const char *id = NULL;
    put_down_soon(&world, looks, &id);
    assert_null(store_find(world.service->store, id, world.arena, &row));
    assert_null(deployment_decode(str_of(row->document), world.arena, &d));
    d->result = "deployed";
    d->message = "all is well";
    struct json *object CLEANUP(json_freep) = deployment_encode(d);
    char *text CLEANUP(xfreep) = json_text(object);
    row->document = text;
    row->state = "final";
    row->result = "deployed";
    assert_null(store_save(world.service->store, row, NULL));
    lose_three_workers(&world, id);
    world_go(&world);
    until_state(&world, id, "final");
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->result, "deployed");
    assert_null(job->code);
    assert_int_equal(job->exit_code, 0);
    world_end(&world);
}

static void
stopping_puts_everything_down(void **state)
{
    (void)state;
    static const struct look looks[] = {{.wait_ms = 1, .takes_ms = 200}};
    struct world world;
    go_with(&world, looks, 1);
    const char *first = enqueue_deploy(&world, "staging", "v1");
    const char *second = enqueue_deploy(&world, "production", "v1");
    world_until(world.service, engine.looks >= 2);
    workers_stop(world.service);
    const struct queue_job *job = job_of(&world, first);
    assert_string_equal(job->state, "running");
    assert_null(job->owner); // another replica need not wait for a lease to end
    assert_null(job_of(&world, second)->owner);
    assert_int_equal(job->attempts, 0);
    world_end(&world);
}

// --- what is remembered --------------------------------------------------------------------------

static struct watch *
looked_at(struct watch_table *table, const char *id, int64_t now_ms)
{
    struct watch *watch = worker_watch(table, id, now_ms);
    worker_watch_done(table, watch);
    return watch;
}

static void
a_look_before_its_time_is_news(void **state)
{
    (void)state;
    struct watch_table *table = worker_watches_new();
    struct watch *watch = worker_watch(table, "d-1", 100);
    struct queue_job job = {.id = "d-1", .fence = 4};
    assert_true(worker_watch_is_news(watch, &job, 5000)); // never parked here
    watch->parked_due_ms = 6000;
    watch->fence = 3;
    assert_true(worker_watch_is_news(watch, &job, 5000));  // somebody woke it
    assert_false(worker_watch_is_news(watch, &job, 6000)); // its own time has come
    job.fence = 5; // another replica had it in between, and parked it for another time
    assert_true(worker_watch_is_news(watch, &job, 6000));
    worker_watch_done(table, watch);
    assert_ptr_equal(looked_at(table, "d-1", 200), watch);
    assert_ptr_not_equal(looked_at(table, "d-2", 100), watch);
    worker_watches_trim(table, 150); // d-2 is somebody else's by now
    assert_ptr_equal(looked_at(table, "d-1", 200), watch);
    worker_unwatch(table, "d-1");
    worker_unwatch(table, "d-1");
    assert_int_equal(looked_at(table, "d-1", 300)->parked_due_ms, 0);
    worker_watches_free(table);
}

// A worker whose lease ran out has it still in hand when the one that took over ends the job.
static void
what_is_remembered_stays_for_who_has_it(void **state)
{
    (void)state;
    struct watch_table *table = worker_watches_new();
    struct watch *slow = worker_watch(table, "d-1", 100), *next = worker_watch(table, "d-1", 100);
    assert_ptr_equal(slow, next);
    slow->parked_due_ms = 6000;
    worker_unwatch(table, "d-1");
    worker_watch_done(table, next);
    assert_int_equal(slow->parked_due_ms, 6000);
    assert_non_null(slow->pace);
    assert_int_equal(looked_at(table, "d-1", 200)->parked_due_ms, 0); // another one
    worker_watch_done(table, slow);
    worker_watches_free(table);
}

static void
near_times_are_kept_all(void **state)
{
    (void)state;
    struct due_times times = {.lock = PTHREAD_MUTEX_INITIALIZER};
    assert_true(worker_due_next(&times, 1000) == INT64_MAX);
    worker_due_add(&times, 1300, 1000);
    worker_due_add(&times, 1150, 1000);
    worker_due_add(&times, 1160, 1000);                    // of the same slot
    worker_due_add(&times, 1000 + 60 * 1000, 1000);        // far
    assert_int_equal(worker_due_next(&times, 1000), 1160); // when 1150 is surely over
    assert_int_equal(worker_due_next(&times, 1160), 1160);
    assert_int_equal(worker_due_next(&times, 1160), 1180); // the one beside it is not forgotten
    assert_int_equal(worker_due_next(&times, 1180), 1180);
    assert_int_equal(worker_due_next(&times, 2000), 1320);
    assert_true(worker_due_next(&times, 2000) == INT64_MAX);
}

static void
two_commits_are_asked_about_once(void **state)
{
    (void)state;
    struct ancestry_memory *memory = begin_memory_new();
    enum policy_ancestry found = POLICY_ANCESTRY_UNKNOWN;
    assert_false(begin_memory_find(memory, "r a b", &found));
    begin_memory_keep(memory, "r a b", POLICY_ANCESTRY_OLDER);
    assert_true(begin_memory_find(memory, "r a b", &found));
    assert_int_equal(found, POLICY_ANCESTRY_OLDER);
    for (int i = 0; i < 2000; i++) { // it does not grow
        char key[16];
        (void)snprintf(key, sizeof(key), "r %d", i);
        begin_memory_keep(memory, key, POLICY_ANCESTRY_NEWER);
    }
    assert_false(begin_memory_find(memory, "r a b", &found));
    assert_true(begin_memory_find(memory, "r 1999", &found));
    begin_memory_free(memory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_looked_at_when_it_is_due),
        cmocka_unit_test(secrets_that_were_read_again_reach_the_next_look),
        cmocka_unit_test(a_job_that_waits_for_news_is_left_alone),
        cmocka_unit_test(a_webhook_that_is_faster_than_the_row_is_kept),
        cmocka_unit_test(deliveries_are_told_to_their_jobs_once),
        cmocka_unit_test(a_job_whose_worker_went_away_is_adopted),
        cmocka_unit_test(a_job_that_died_before_its_deployment_was_written_down_is_prepared),
        cmocka_unit_test(a_deployment_that_somebody_else_holds_is_come_back_to),
        cmocka_unit_test(a_look_that_fails_is_no_end),
        cmocka_unit_test(storage_that_fails_ends_the_worker),
        cmocka_unit_test(a_lease_is_renewed_while_a_look_goes_on),
        cmocka_unit_test(a_cancellation_is_passed_on_once),
        cmocka_unit_test(a_cancellation_before_the_run_waits_for_it),
        cmocka_unit_test(what_cannot_be_followed_any_more_is_unknown),
        cmocka_unit_test(what_is_set_aside_says_what_is_known_and_leaves_nothing_open),
        cmocka_unit_test(what_had_ended_keeps_its_end),
        cmocka_unit_test(stopping_puts_everything_down),
        cmocka_unit_test(a_look_before_its_time_is_news),
        cmocka_unit_test(what_is_remembered_stays_for_who_has_it),
        cmocka_unit_test(near_times_are_kept_all),
        cmocka_unit_test(two_commits_are_asked_about_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
