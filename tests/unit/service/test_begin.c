// A lane's head: what holds it, what refuses it, and how it begins. The queue, the specs, the
// policy and the workers are real; the engine does as it is told.
//
// wraps: deploy_prepare deploy_begin deploy_advance deploy_cancel deploy_ancestry
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "feed_internal.h"
#include "service_world.h"
#include "worker_world.h"

// --- it begins -----------------------------------------------------------------------------------

static void
a_head_that_nothing_holds_is_deployed(void **state)
{
    (void)state;
    struct world world;
    struct audit_entry *entries = NULL;
    world_begin(&world, SPEC(""));
    world.service->settings.slack_signing_secret = "env:X";
    world_go(&world);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    until_state(&world, id, "final");
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->result, "deployed");
    assert_int_equal(job->exit_code, 0);
    assert_string_equal(job->reason, "deployed");
    assert_int_not_equal(job->started_ms, 0);
    assert_int_equal(strlen(engine.specs_commit), 40); // by the specs of this moment
    assert_string_equal(
        engine.traceparent, "00-0af7651916cd43dd8448eb211c80319c-0123456789abcdef-01");
    assert_true(engine.buttons); // somebody listens to them
    assert_int_equal(engine.prepared, 1);
    assert_int_equal(engine.begun, 1);
    struct queue_release *release = NULL;
    assert_null(
        queue_release_at(world.service->store, "payments", "staging", 0, world.arena, &release));
    assert_string_equal(release->version, "v1");
    assert_string_equal(release->sha, WORLD_SHA);
    assert_string_equal(release->deployment, id);
    assert_int_equal(entries_of(&world, "done", &entries), 1);
    assert_string_equal(entries[0].kind, "deployment");
    assert_string_equal(entries[0].actor, "octocat");
    assert_int_equal(world.service->counters[METRIC_FINISHED_GOOD], 1);
    world_end(&world);
}

static void
a_lane_runs_one_at_a_time_and_in_order(void **state)
{
    (void)state;
    static const struct look looks[] = {
        {.wait_ms = 20}, {.ends = true, .result = "deployed", .takes_ms = 20}};
    struct world world;
    world_begin(&world, SPEC(""));
    world.service->settings.workers = 4;
    const char *ids[6];
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        ids[i] = enqueue_deploy(&world, "staging", arena_printf(world.arena, "v%zu", i));
    }
    engine_script(looks, 2);
    world.service->ancestry = DEPLOY_ANCESTRY_NEWER;
    world_go(&world);
    until_state(&world, ids[5], "final");
    int64_t before = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        const struct queue_job *job = job_of(&world, ids[i]);
        assert_string_equal(job->result, "deployed");
        assert_true(job->started_ms >= before);
        before = job->ended_ms;
    }
    assert_int_equal(engine.most_running, 1);
    assert_int_equal(engine.begun, 6);
    world_end(&world);
}

static void
lanes_do_not_wait_for_each_other(void **state)
{
    (void)state;
    static const struct look looks[] = {{.wait_ms = 3600 * 1000}};
    struct world world;
    world_begin(&world, SPEC(""));
    engine_script(looks, 1);
    world_go(&world);
    const char *first = enqueue_deploy(&world, "staging", "v1");
    const char *behind = enqueue_deploy(&world, "staging", "v2");
    const char *other = enqueue_deploy(&world, "production", "v1");
    until_state(&world, first, "running");
    until_state(&world, other, "running");
    assert_string_equal(job_of(&world, behind)->state, "queued");
    world_end(&world);
    // Stopped: what ran is put down without an end, for whoever comes next.
}

// --- it waits ------------------------------------------------------------------------------------

static void
a_lock_holds_it_until_it_is_lifted(void **state)
{
    (void)state;
    struct world world;
    struct audit_entry *entries = NULL;
    bool released = false;
    world_begin(&world, SPEC(""));
    put_release(&world, "production", "v0", WORLD_OLD);
    struct queue_lock lock = {.scope = "app",
        .app = "payments",
        .level = "lock",
        .reason = "the books are closed",
        .owner = "hubot",
        .on_release = "run"};
    assert_null(
        queue_lock_add(world.service->store, &lock, clock_wall(&clock_system), world.arena));
    world_go(&world);
    const char *id = enqueue_deploy(&world, "production", "v1");
    until_code(&world, id, "locked");
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->state, "queued");
    assert_non_null(strstr(job->reason, "the books are closed"));
    assert_non_null(strstr(job->who, "hubot"));
    assert_int_equal(world.service->asked_ancestry, 0); // nobody needs to know yet
    assert_int_equal(entries_of(&world, "wait", &entries), 1);
    assert_string_equal(entries[0].code, "locked");
    world.service->ancestry = DEPLOY_ANCESTRY_NEWER;
    (void)pthread_mutex_lock(&world.service->writing);
    assert_null(queue_lock_release(
        world.service->store, lock.id, lock.epoch, "hubot", clock_wall(&clock_system), &released));
    assert_true(released);
    assert_null(queue_stir(world.service->store, NULL, NULL, clock_wall(&clock_system)));
    (void)pthread_mutex_unlock(&world.service->writing);
    workers_wake(world.service);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    assert_int_equal(world.service->asked_ancestry, 1);
    world_end(&world);
}

static void
a_lock_that_drops_ends_what_it_held(void **state)
{
    (void)state;
    struct world world;
    bool released = false;
    world_begin(&world, SPEC(""));
    struct queue_lock lock = {.scope = "environment",
        .env = "production",
        .level = "freeze",
        .reason = "the fair",
        .owner = "hubot",
        .on_release = "drop"};
    assert_null(
        queue_lock_add(world.service->store, &lock, clock_wall(&clock_system), world.arena));
    world_go(&world);
    const char *held = enqueue_deploy(&world, "production", "v1");
    const char *behind = enqueue_deploy(&world, "production", "v2");
    until_code(&world, held, "frozen");
    error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 5, NULL));
    (void)pthread_mutex_lock(&world.service->writing);
    assert_null(queue_lock_release(
        world.service->store, lock.id, lock.epoch, "hubot", clock_wall(&clock_system), &released));
    assert_null(queue_stir(world.service->store, NULL, NULL, clock_wall(&clock_system)));
    (void)pthread_mutex_unlock(&world.service->writing);
    const char *later = enqueue_deploy(&world, "production", "v3");
    until_state(&world, later, "final");
    assert_string_equal(job_of(&world, held)->code, "dropped");
    assert_int_equal(job_of(&world, held)->exit_code, 11);
    assert_non_null(strstr(job_of(&world, held)->reason, "the fair"));
    assert_string_equal(job_of(&world, behind)->code, "dropped"); // it waited as well
    assert_string_equal(job_of(&world, later)->result, "deployed");
    world_end(&world);
}

// Over, and nobody has written that down yet: what was shown (`will be dropped`) is what happens.
static void
a_lock_that_has_just_expired_drops_what_it_held(void **state)
{
    (void)state;
    struct world world;
    int64_t now = clock_wall(&clock_system);
    world_begin(&world, SPEC(""));
    struct queue_lock lock = {.scope = "target",
        .app = "payments",
        .env = "production",
        .level = "lock",
        .reason = "the fair",
        .owner = "hubot",
        .on_release = "drop",
        .starts_ms = now - 60 * 1000,
        .expires_ms = now - 1000};
    assert_null(queue_lock_add(world.service->store, &lock, now - 60 * 1000, world.arena));
    world.accepted_ms = now - 30 * 1000;
    const char *held = enqueue_deploy(&world, "production", "v1");
    world_go(&world);
    until_state(&world, held, "final");
    assert_string_equal(job_of(&world, held)->code, "dropped");
    assert_int_equal(engine.begun, 0);
    world_end(&world);
}

// However short it was: it was shown as one that will be dropped.
static void
what_was_held_for_a_moment_is_dropped_as_well(void **state)
{
    (void)state;
    struct world world;
    struct queue_job *heads = NULL;
    size_t count = 0;
    int64_t now = clock_wall(&clock_system);
    world_begin(&world, SPEC(""));
    struct queue_lock lock = {.scope = "organisation",
        .level = "lock",
        .reason = "the fair",
        .owner = "hubot",
        .on_release = "drop",
        .starts_ms = now - 60 * 1000,
        .expires_ms = now};
    assert_null(queue_lock_add(world.service->store, &lock, now - 60 * 1000, world.arena));
    world.accepted_ms = now - 1;
    const char *id = enqueue_deploy(&world, "production", "v1");
    assert_null(queue_lease_heads(
        world.service->store, "w", now, 3600 * 1000, 1, world.arena, &heads, &count));
    assert_int_equal(count, 1);
    heads[0].code = "locked";
    heads[0].due_ms = now;
    assert_null(queue_hold(world.service->store, &heads[0]));
    world_go(&world);
    until_state(&world, id, "final");
    assert_true(cstr_equal(job_of(&world, id)->code, "dropped"));
    world_end(&world);
}

static void
its_own_lock_drops_nothing_of_its_owner(void **state)
{
    (void)state;
    struct world world;
    bool released = false;
    int64_t now = clock_wall(&clock_system);
    world_begin(&world, SPEC(""));
    struct queue_lock lock = {.scope = "app",
        .app = "payments",
        .level = "lock",
        .reason = "I am looking",
        .owner = "Octocat", // who asks
        .on_release = "drop"};
    assert_null(queue_lock_add(world.service->store, &lock, now - 60 * 1000, world.arena));
    world.accepted_ms = now - 30 * 1000;
    struct ask ask = ask_new("deploy", "production", "v1");
    ask.claims.event = "workflow_dispatch"; // by hand: what comes by itself is held by it, too
    const char *own = enqueue(&world, &ask);
    assert_null(queue_lock_release(
        world.service->store, lock.id, lock.epoch, "octocat", now - 1000, &released));
    assert_true(released);
    world_go(&world);
    until_state(&world, own, "final");
    assert_string_equal(job_of(&world, own)->result, "deployed");
    world_end(&world);
}

static void
a_version_that_did_not_stay_long_enough_is_not_promoted(void **state)
{
    (void)state;
    struct world world;
    int64_t now = clock_wall(&clock_system);
    world_begin(&world, SPEC("      promote_from: {environment: staging, soak: 10s}\n"));
    const struct {
        const char *version;
        int64_t ago_s;
    } releases[] = {{"v1", 100}, {"v2", 99}, {"v3", 90}, {"v3", 85}, {"v4", 79}};
    for (size_t i = 0; i < ARRAY_LENGTH(releases); i++) {
        const struct queue_release release = {.app = "payments",
            .env = "staging",
            .version = releases[i].version,
            .digests = "{}",
            .sha = WORLD_SHA,
            .deployment = arena_printf(world.arena, "d-s-%zu", i),
            .since_ms = now - releases[i].ago_s * 1000};
        assert_null(queue_release_add(world.service->store, &release));
    }
    world_go(&world);
    const char *short_stay = enqueue_deploy(&world, "production", "v2"); // 9 s
    until_state(&world, short_stay, "final");
    assert_string_equal(job_of(&world, short_stay)->code, "not-promoted");
    const char *twice = enqueue_deploy(&world, "production", "v3"); // 5 s and 6 s of the same
    until_state(&world, twice, "final");
    assert_string_equal(job_of(&world, twice)->result, "deployed");
    const char *there = enqueue_deploy(&world, "production", "v4");
    until_state(&world, there, "final");
    assert_string_equal(job_of(&world, there)->result, "deployed");
    world_end(&world);
}

static void
a_rejection_counts_when_github_cannot_say_who_that_is(void **state)
{
    (void)state;
    struct world world;
    const char *diff = NULL;
    world_begin(&world, SPEC("      approvals: {count: 1, teams: [devops]}\n"));
    world.service->teams_unknown = true;
    const char *id = enqueue_deploy(&world, "production", "v1");
    assert_null(begin_diff(world.service->store, job_of(&world, id), world.arena, &diff));
    const struct queue_approval no = {.job = id,
        .by = "hubot",
        .by_id = 2,
        .version = "v1",
        .diff = diff,
        .rejected = true,
        .at_ms = clock_wall(&clock_system)};
    assert_null(queue_approve(world.service->store, &no));
    world_go(&world);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->code, "rejected");
    world_end(&world);
}

static void
teams_that_github_cannot_name_hold_it(void **state)
{
    (void)state;
    struct world world;
    const char *devops[] = {"devops"};
    world_begin(&world, "name: payments\nrepo: acme/payments\nservices:\n  web:\n    expose: 8080\n"
                        "deploy:\n  repository_id: 7\n  owner_id: 9919\n  environments:\n"
                        "    staging:\n      allow: [{id: main, refs: [refs/heads/main],"
                        " actors: {teams: [devops]}}]\n");
    world.service->teams_unknown = true;
    struct ask ask = ask_new("deploy", "staging", "v1");
    ask.specs = "another commit's";
    world_go(&world);
    const char *id = enqueue(&world, &ask);
    until_code(&world, id, "github-limited");
    assert_string_equal(job_of(&world, id)->state, "queued");
    world.service->teams = (struct str_list){devops, 1};
    world.service->teams_unknown = false;
    (void)pthread_mutex_lock(&world.service->writing);
    assert_null(queue_stir(world.service->store, NULL, NULL, clock_wall(&clock_system)));
    (void)pthread_mutex_unlock(&world.service->writing);
    workers_wake(world.service);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    world_end(&world);
}

static void
approvals_hold_it_for_the_difference_that_was_approved(void **state)
{
    (void)state;
    struct world world;
    const char *diff = NULL;
    world_begin(&world, SPEC("      approvals: {count: 1, teams: [devops]}\n"));
    const char *devops[] = {"devops"};
    world.service->teams = (struct str_list){devops, 1};
    world_go(&world);
    const char *id = enqueue_deploy(&world, "production", "v1");
    until_code(&world, id, "approval-needed");
    assert_null(begin_diff(world.service->store, job_of(&world, id), world.arena, &diff));
    assert_string_equal(diff, ".." WORLD_SHA);
    struct queue_approval approval = {.job = id,
        .by = "hubot",
        .by_id = 2,
        .version = "v1",
        .diff = "other.." WORLD_SHA,
        .at_ms = clock_wall(&clock_system),
        .expires_ms = clock_wall(&clock_system) + 3600 * 1000};
    for (int i = 0; i < 2; i++) {
        (void)pthread_mutex_lock(&world.service->writing);
        assert_null(queue_approve(world.service->store, &approval));
        assert_null(
            queue_stir(world.service->store, "payments", "production", clock_wall(&clock_system)));
        (void)pthread_mutex_unlock(&world.service->writing);
        workers_wake(world.service);
        if (i == 0) {
            world_until(world.service, world.service->asked_teams >= 1); // it was looked at
            error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 100, NULL));
            assert_string_equal(job_of(&world, id)->state, "queued"); // another difference
        }
        approval.diff = diff;
    }
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    world_end(&world);
}

static void
specs_that_are_away_hold_it(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC(""));
    world.service->settings.specs_max_age_ms = 1;
    error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 20, NULL));
    world_go(&world);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    until_code(&world, id, "specs-unavailable");
    assert_string_equal(job_of(&world, id)->state, "queued");
    assert_int_equal(engine.prepared, 0);
    world_end(&world);
}

// --- it is refused -------------------------------------------------------------------------------

static void
an_older_commit_is_refused(void **state)
{
    (void)state;
    struct world world;
    struct audit_entry *entries = NULL;
    world_begin(&world, SPEC(""));
    put_release(&world, "staging", "v9", WORLD_OLD);
    world.service->ancestry = DEPLOY_ANCESTRY_OLDER;
    world_go(&world);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    until_state(&world, id, "final");
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->result, "refused");
    assert_string_equal(job->code, "stale");
    assert_int_equal(job->exit_code, 6);
    assert_int_equal(entries_of(&world, "deny", &entries), 1);
    assert_string_equal(entries[0].code, "stale");
    assert_int_equal(engine.prepared, 0);
    const char *again = enqueue_deploy(&world, "staging", "v1");
    until_state(&world, again, "final");
    assert_int_equal(world.service->asked_ancestry, 1); // it does not change
    world_end(&world);
}

static void
github_is_waited_for_before_a_commit_is_refused(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC(""));
    put_release(&world, "staging", "v9", WORLD_OLD);
    world.service->ancestry = DEPLOY_ANCESTRY_UNKNOWN;
    world_go(&world);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    until_code(&world, id, "stale");
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->state, "queued");
    assert_true(job->due_ms < clock_wall(&clock_system) + 60 * 1000); // asked again soon
    world.service->ancestry = DEPLOY_ANCESTRY_NEWER;
    (void)pthread_mutex_lock(&world.service->writing);
    assert_null(queue_stir(world.service->store, NULL, NULL, clock_wall(&clock_system)));
    (void)pthread_mutex_unlock(&world.service->writing);
    workers_wake(world.service);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    world_end(&world);
}

// It waited for a lock, so long that the policy's own patience is over.
static void
github_gets_its_time_after_a_long_wait(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC(""));
    put_release(&world, "staging", "v9", WORLD_OLD);
    world.service->ancestry = DEPLOY_ANCESTRY_UNKNOWN;
    int64_t day = INT64_C(86400000);
    world.accepted_ms = clock_wall(&clock_system) - day;
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_go(&world);
    until_code(&world, id, "github-limited");
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->state, "queued");
    assert_true(job->until_ms > clock_wall(&clock_system) + 60 * 1000);
    world_end(&world);
}

// The service ends while GitHub is asked: what was cut off is no answer, of GitHub least of all.
static void
nobody_is_refused_or_held_for_an_answer_that_was_cut_off(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC(""));
    put_release(&world, "staging", "v9", WORLD_OLD);
    engine.hangs_in_ancestry = true;
    const char *id = enqueue_deploy(&world, "staging", "v1");
    world_go(&world);
    world_until(world.service, world.service->asked_ancestry > 0);
    workers_quiet(world.service);
    engine.cut_off = true;
    workers_stop(world.service);
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->state, "queued");
    assert_null(job->code);
    assert_null(job->owner);
    assert_true(job->due_ms <= clock_wall(&clock_system)); // whoever comes next
    engine.hangs_in_ancestry = false;
    world.service->ancestry = DEPLOY_ANCESTRY_NEWER;
    assert_null(workers_start(world.service));
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    world_end(&world);
}

static void
a_rollback_asks_nobody_how_commits_stand_and_locks(void **state)
{
    (void)state;
    struct world world;
    struct queue_lock *locks = NULL;
    size_t count = 0;
    world_begin(&world, SPEC(""));
    put_release(&world, "production", "v1", WORLD_OLD);
    put_release(&world, "production", "v9", WORLD_SHA);
    world.service->ancestry = DEPLOY_ANCESTRY_OLDER;
    world_go(&world);
    struct ask ask = ask_new("rollback", "production", "v1");
    ask.to = "v1";
    ask.reason = "checkout is slow";
    ask.rollback_lock = true;
    const char *id = enqueue(&world, &ask);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    assert_string_equal(engine.to, "v1");
    assert_string_equal(engine.because, "checkout is slow");
    assert_int_equal(world.service->asked_ancestry, 0);
    assert_null(queue_locks(
        world.service->store, false, clock_wall(&clock_system), world.arena, &locks, &count));
    assert_int_equal(count, 1);
    assert_string_equal(locks[0].scope, "target");
    assert_string_equal(locks[0].reason, "rolled back from v9: checkout is slow");
    assert_string_equal(locks[0].owner, "octocat");
    struct queue_release *release = NULL;
    assert_null(
        queue_release_at(world.service->store, "payments", "production", 0, world.arena, &release));
    assert_string_equal(release->version, "v1");
    assert_string_equal(release->sha, WORLD_OLD); // of the version that it went back to
    // Their next push does not undo it; what they ask for by hand passes.
    world.service->ancestry = DEPLOY_ANCESTRY_NEWER;
    const char *pushed = enqueue_deploy(&world, "production", "v10");
    until_code(&world, pushed, "locked");
    struct ask by_hand = ask_new("deploy", "production", "v11");
    by_hand.claims.event = "workflow_dispatch";
    const char *forced = enqueue(&world, &by_hand);
    assert_null(queue_hurry(world.service->store, forced));
    workers_wake(world.service);
    until_state(&world, forced, "final");
    assert_string_equal(job_of(&world, forced)->result, "deployed");
    assert_string_equal(job_of(&world, pushed)->code, "locked");
    world_end(&world);
}

static void
a_rollback_to_what_was_never_there_is_refused(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC(""));
    put_release(&world, "production", "v9", WORLD_SHA);
    world_go(&world);
    struct ask ask = ask_new("rollback", "production", "v5");
    ask.to = "v5";
    ask.reason = "why not";
    const char *id = enqueue(&world, &ask);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->code, "not-known-good");
    world_end(&world);
}

static void
what_the_specs_allow_no_more_does_not_begin(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC(""));
    struct ask ask = ask_new("deploy", "staging", "v1");
    ask.specs = "another commit's";
    ask.claims.ref = "refs/heads/feature"; // was allowed by those
    world_go(&world);
    const char *id = enqueue(&world, &ask);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->code, "ref-not-allowed");
    struct ask gone = ask_new("deploy", "staging", "v1");
    gone.app = "removed";
    id = enqueue(&world, &gone);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->code, "not-authorized");
    world_end(&world);
}

// --- it is not prepared --------------------------------------------------------------------------

static void
what_is_out_of_reach_is_tried_again(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC(""));
    engine.prepare_failures = 1;
    engine.prepare_kind = ERROR_UNAVAILABLE;
    world_go(&world);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    assert_int_equal(engine.begun, 1);
    world_end(&world);
}

static void
what_fails_for_good_ends_with_its_words(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC(""));
    engine.prepare_failures = 1;
    engine.prepare_kind = ERROR_CREDENTIALS;
    world_go(&world);
    const char *id = enqueue_deploy(&world, "staging", "v1");
    until_state(&world, id, "final");
    const struct queue_job *job = job_of(&world, id);
    assert_string_equal(job->result, "failed");
    assert_int_equal(job->exit_code, 4);
    assert_non_null(strstr(job->reason, "the registry is away"));
    assert_int_equal(engine.begun, 0);
    world_end(&world);
}

static void
an_emergency_and_new_specs_are_loud(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, SPEC("      approvals: {count: 1}\n"));
    world_go(&world);
    struct ask ask = ask_new("deploy", "production", "v1");
    ask.emergency = true;
    ask.reason = "checkout is down";
    ask.specs = "0123456789abcdef";
    const char *id = enqueue(&world, &ask);
    until_state(&world, id, "final");
    assert_string_equal(job_of(&world, id)->result, "deployed");
    assert_non_null(strstr(engine.notes, "EMERGENCY by octocat: checkout is down|"));
    assert_non_null(strstr(engine.notes, "the emergency passes 1 approvals"));
    assert_non_null(strstr(engine.notes, "accepted by the specs of 0123456789ab"));
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_that_nothing_holds_is_deployed),
        cmocka_unit_test(a_lane_runs_one_at_a_time_and_in_order),
        cmocka_unit_test(lanes_do_not_wait_for_each_other),
        cmocka_unit_test(a_lock_holds_it_until_it_is_lifted),
        cmocka_unit_test(a_lock_that_drops_ends_what_it_held),
        cmocka_unit_test(a_lock_that_has_just_expired_drops_what_it_held),
        cmocka_unit_test(what_was_held_for_a_moment_is_dropped_as_well),
        cmocka_unit_test(its_own_lock_drops_nothing_of_its_owner),
        cmocka_unit_test(a_version_that_did_not_stay_long_enough_is_not_promoted),
        cmocka_unit_test(a_rejection_counts_when_github_cannot_say_who_that_is),
        cmocka_unit_test(teams_that_github_cannot_name_hold_it),
        cmocka_unit_test(approvals_hold_it_for_the_difference_that_was_approved),
        cmocka_unit_test(specs_that_are_away_hold_it),
        cmocka_unit_test(an_older_commit_is_refused),
        cmocka_unit_test(github_is_waited_for_before_a_commit_is_refused),
        cmocka_unit_test(github_gets_its_time_after_a_long_wait),
        cmocka_unit_test(nobody_is_refused_or_held_for_an_answer_that_was_cut_off),
        cmocka_unit_test(a_rollback_asks_nobody_how_commits_stand_and_locks),
        cmocka_unit_test(a_rollback_to_what_was_never_there_is_refused),
        cmocka_unit_test(what_the_specs_allow_no_more_does_not_begin),
        cmocka_unit_test(what_is_out_of_reach_is_tried_again),
        cmocka_unit_test(what_fails_for_good_ends_with_its_words),
        cmocka_unit_test(an_emergency_and_new_specs_are_loud),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
