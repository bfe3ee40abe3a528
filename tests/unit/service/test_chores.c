// What one replica does for all: locks that expire, jobs that waited too long, held jobs and new
// specs.
//
// wraps: deploy_prepare deploy_begin deploy_advance deploy_cancel deploy_ancestry
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "service_world.h"
#include "worker_world.h"

static void
a_lock_that_expires_lets_go_and_is_written_down(void **state)
{
    (void)state;
    struct world world;
    struct audit_entry *entries = NULL;
    size_t count = 0;
    world_begin(&world, SPEC(""));
    struct queue_lock lock = {.scope = "organisation",
        .level = "lock",
        .reason = "a minute of silence",
        .owner = "hubot",
        .on_release = "run",
        .expires_ms = clock_wall(&clock_system) + 3000};
    assert_null(
        queue_lock_add(world.service->store, &lock, clock_wall(&clock_system), world.arena));
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_go(&world);
    until_code(&world, id, "locked");
    assert_null(chores_start(world.service));
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    const struct audit_filter filter = {.kind = "lock"};
    assert_null(audit_list(world.service->store, &filter, world.arena, &entries, &count));
    assert_true(count <= 1); // the job's own time may have come first
    world_until(world.service,
        (assert_null(audit_list(world.service->store, &filter, world.arena, &entries, &count)),
            count == 1));
    assert_string_equal(entries[0].reason, "the lock has expired");
    chores_stop(world.service);
    world_end(&world);
}

static void
a_job_that_waited_too_long_ends_with_what_held_it(void **state)
{
    (void)state;
    struct world world;
    struct audit_entry *entries = NULL;
    world_begin(&world, SPEC(""));
    world.service->settings.queue_max_age_ms = 3600 * 1000;
    struct queue_lock lock = {.scope = "organisation",
        .level = "lock",
        .reason = "for ever",
        .owner = "hubot",
        .on_release = "run"};
    assert_null(
        queue_lock_add(world.service->store, &lock, clock_wall(&clock_system), world.arena));
    world.accepted_ms = clock_wall(&clock_system) - 2 * 3600 * 1000;
    const char *old = enqueue_deploy(&world, "staging", "v1");
    world.accepted_ms = 0;
    const char *young = enqueue_deploy(&world, "production", "v1");
    world_go(&world);
    until_code(&world, old, "locked");
    assert_null(chores_start(world.service));
    until_state(&world, old, "final");
    const struct queue_job *job = job_of(&world, old);
    assert_string_equal(job->result, "refused");
    assert_string_equal(job->code, "waited-too-long");
    assert_int_equal(job->exit_code, 6);
    assert_non_null(strstr(job->reason, "for ever"));
    assert_string_equal(job_of(&world, young)->state, "queued");
    assert_int_equal(entries_of(&world, "deny", &entries), 1);
    assert_string_equal(entries[0].deployment, old);
    chores_stop(world.service);
    world_end(&world);
}

// Its worker may begin it at any moment, and goes on under the fence that was read here.
static void
what_is_being_decided_is_not_ended_for_its_age(void **state)
{
    (void)state;
    struct world world;
    struct queue_job *heads = NULL;
    size_t count = 0;
    bool started = false;
    world_begin(&world, SPEC(""));
    world.service->settings.queue_max_age_ms = 3600 * 1000;
    world.accepted_ms = clock_wall(&clock_system) - 2 * 3600 * 1000;
    const char *old = enqueue_deploy(&world, "staging", "v1");
    const char *other = enqueue_deploy(&world, "production", "v1");
    assert_null(queue_lease_heads(world.service->store, "w", clock_wall(&clock_system), 3600 * 1000,
        1, world.arena, &heads, &count));
    assert_int_equal(count, 1);
    assert_string_equal(heads[0].id, old);
    assert_null(chores_start(world.service));
    until_state(&world, other, "final"); // they have been there
    assert_string_equal(job_of(&world, other)->code, "waited-too-long");
    assert_string_equal(job_of(&world, old)->state, "queued");
    (void)pthread_mutex_lock(&world.service->writing);
    assert_null(queue_start(world.service->store, &heads[0], clock_wall(&clock_system), &started));
    (void)pthread_mutex_unlock(&world.service->writing);
    chores_stop(world.service);
    assert_string_equal(job_of(&world, old)->state, started ? "running" : "queued");
    world_end(&world);
}

static void
new_specs_decide_what_is_held_again(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC("      approvals: {count: 1}\n"));
    world_go(&world);
    assert_null(chores_start(world.service));
    const char *id = enqueue_deploy(&world, "production", "v1");
    until_code(&world, id, "approval-needed");
    world_write(world.service, "infra/appspecs/payments.yaml", SPEC(""));
    specs_stale(world.service);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    chores_stop(world.service);
    world_end(&world);
}

static void
another_replica_that_leads_does_them(void **state)
{
    (void)state;
    struct world world;
    bool leads = false;
    world_begin(&world, SPEC(""));
    world.service->settings.queue_max_age_ms = 1;
    assert_null(queue_lead(
        world.service->store, "chores", "another", clock_wall(&clock_system), 3600 * 1000, &leads));
    const char *id = enqueue_deploy(&world, "staging", "v1");
    assert_null(chores_start(world.service));
    error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 200, NULL));
    assert_string_equal(job_of(&world, id)->state, "queued");
    chores_stop(world.service);
    world_end(&world);
}

static void
leader_jobs_are_given_back_at_the_end(void **state)
{
    (void)state;
    struct world world;
    bool leads = true;
    world_begin(&world, SPEC(""));
    assert_null(chores_start(world.service));
    world_until(world.service, (assert_null(queue_lead(world.service->store, "chores", "another",
                                    clock_wall(&clock_system), 0, &leads)),
                                   !leads));
    assert_null(queue_lead(
        world.service->store, "sweep", "another", clock_wall(&clock_system), 3600000, &leads));
    chores_stop(world.service);
    assert_null(queue_lead(
        world.service->store, "chores", "another", clock_wall(&clock_system), 1000, &leads));
    assert_true(leads);
    assert_null(queue_lead(
        world.service->store, "sweep", "third", clock_wall(&clock_system), 1000, &leads));
    assert_false(leads); // another's stays
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_that_expires_lets_go_and_is_written_down),
        cmocka_unit_test(a_job_that_waited_too_long_ends_with_what_held_it),
        cmocka_unit_test(what_is_being_decided_is_not_ended_for_its_age),
        cmocka_unit_test(new_specs_decide_what_is_held_again),
        cmocka_unit_test(another_replica_that_leads_does_them),
        cmocka_unit_test(leader_jobs_are_given_back_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
