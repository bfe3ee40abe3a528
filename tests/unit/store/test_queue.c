// The life of a job: accepted, decided, held, started, looked at, ended; who may do what with it
// when, and what others may ask.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dispatcher/audit.h"
#include "dispatcher/buf.h"
#include "dispatcher/memory.h"
#include "queue_fixture.h"
#include "store_lab.h"

static void
accept(struct queue_fixture *fixture, const char *id, const char *app, int64_t now)
{
    const struct queue_job job = queue_fixture_job(id, app, "production");
    (void)queue_fixture_accept(fixture, &job, now);
}

static void
an_accepted_job_is_as_it_was_asked_for(void **state)
{
    struct queue_fixture *fixture = *state;
    struct queue_job job = queue_fixture_job("d-1", "payments", "production");
    job.trace = "0af7651916cd43dd8448eb211c80319c";
    job.emergency = true;
    job.code = "behind";
    const struct queue_job *got = queue_fixture_accept(fixture, &job, 1000);
    assert_int_equal(got->number, 1);
    assert_string_equal(got->id, "d-1");
    assert_string_equal(got->app, "payments");
    assert_string_equal(got->env, "production");
    assert_string_equal(got->verb, "deploy");
    assert_string_equal(got->version, "v1");
    assert_string_equal(got->request, "{\"verb\":\"deploy\"}");
    assert_string_equal(got->state, "queued");
    assert_string_equal(got->code, "behind");
    assert_string_equal(got->requester, "octocat");
    assert_string_equal(got->repository, "acme/payments");
    assert_string_equal(got->trace, "0af7651916cd43dd8448eb211c80319c");
    assert_int_equal(got->repository_id, 42);
    assert_true(got->emergency);
    assert_false(got->latest || got->urgent || got->cancel);
    assert_null(got->result);
    assert_null(got->reason);
    assert_null(got->who);
    assert_null(got->superseded_by);
    assert_null(got->infra);
    assert_null(got->owner);
    assert_int_equal(got->created_ms, 1000);
    assert_int_equal(got->started_ms, 0);
    assert_int_equal(got->ended_ms, 0);
    assert_int_equal(got->fence, 0);
    struct queue_job *none = NULL;
    assert_null(queue_get(fixture->store, "d-2", fixture->arena, &none));
    assert_null(none);
}

static void
a_lane_runs_one_after_the_other(void **state)
{
    struct queue_fixture *fixture = *state;
    size_t count = 0;
    accept(fixture, "d-1", "payments", 1000);
    accept(fixture, "d-2", "payments", 1001);
    accept(fixture, "d-3", "shop", 1002);
    struct queue_job *heads = queue_fixture_heads(fixture, "w1", 2000, &count);
    assert_int_equal(count, 2);
    assert_string_equal(heads[0].id, "d-1");
    assert_string_equal(heads[1].id, "d-3");
    assert_string_equal(heads[0].owner, "w1");
    assert_int_equal(heads[0].lease_until_ms, 3000);
    assert_int_equal(heads[0].fence, 1);
    assert_null(queue_fixture_heads(fixture, "w2", 2001, NULL));
    bool started = false;
    assert_null(queue_start(fixture->store, &heads[0], 2100, &started));
    assert_true(started);
    struct queue_job *job = queue_fixture_get(fixture, "d-1");
    assert_string_equal(job->state, "running");
    assert_int_equal(job->started_ms, 2100);
    assert_string_equal(job->owner, "w1");
    int64_t before = 0;
    struct queue_job *first = NULL;
    assert_null(queue_position(
        fixture->store, queue_fixture_get(fixture, "d-2"), fixture->arena, &before, &first));
    assert_int_equal(before, 1);
    assert_string_equal(first->id, "d-1");
    assert_null(queue_position(fixture->store, job, fixture->arena, &before, &first));
    assert_int_equal(before, 0);
    assert_null(first);
    heads[0].result = "deployed";
    heads[0].exit_code = 0;
    assert_null(queue_end(fixture->store, &heads[0], 2500));
    job = queue_fixture_get(fixture, "d-1");
    assert_string_equal(job->state, "final");
    assert_string_equal(job->result, "deployed");
    assert_int_equal(job->ended_ms, 2500);
    assert_null(job->owner);
    job = queue_fixture_heads(fixture, "w2", 2600, &count);
    assert_int_equal(count, 1);
    assert_string_equal(job->id, "d-2");
}

static void
what_is_held_waits_for_its_time(void **state)
{
    struct queue_fixture *fixture = *state;
    accept(fixture, "d-1", "payments", 1000);
    accept(fixture, "d-2", "payments", 1001);
    struct queue_job *job = queue_fixture_heads(fixture, "w1", 1100, NULL);
    job->code = "locked";
    job->reason = "'octocat' locked it";
    job->who = "octocat";
    job->until_ms = 9000;
    job->due_ms = 5000;
    assert_null(queue_hold(fixture->store, job));
    const struct queue_job *held = queue_fixture_get(fixture, "d-1");
    assert_string_equal(held->state, "queued");
    assert_string_equal(held->code, "locked");
    assert_string_equal(held->reason, "'octocat' locked it");
    assert_string_equal(held->who, "octocat");
    assert_int_equal(held->until_ms, 9000);
    assert_int_equal(held->due_ms, 5000);
    assert_null(held->owner);
    struct queue_counts counts = {0};
    assert_null(queue_count(fixture->store, &counts));
    assert_int_equal(counts.queued, 2);
    assert_int_equal(counts.held, 1);
    assert_int_equal(counts.running, 0);
    assert_null(queue_fixture_heads(fixture, "w1", 4999, NULL)); // nor d-2, which is behind it
    assert_string_equal(queue_fixture_heads(fixture, "w1", 5000, NULL)->id, "d-1");
    queue_fixture_conflict(queue_hold(fixture->store, job)); // with the fence of the first lease
}

static void
what_is_parked_is_looked_at_again(void **state)
{
    struct queue_fixture *fixture = *state;
    accept(fixture, "d-1", "payments", 1000);
    struct queue_job *job = queue_fixture_start(fixture, 1000);
    assert_null(queue_fixture_running(fixture, "w2", 1500, NULL));
    job->infra = "Acme/Infra";
    job->run_id = 77;
    job->version = "v1.1";
    job->due_ms = 60000;
    assert_null(queue_park(fixture->store, job));
    const struct queue_job *parked = queue_fixture_get(fixture, "d-1");
    assert_string_equal(parked->infra, "Acme/Infra");
    assert_int_equal(parked->run_id, 77);
    assert_string_equal(parked->version, "v1.1");
    assert_null(parked->owner);
    struct queue_runs *runs = NULL;
    size_t count = 0;
    assert_null(queue_infras(fixture->store, fixture->arena, &runs, &count));
    assert_int_equal(count, 1);
    assert_string_equal(runs[0].infra, "Acme/Infra");
    assert_int_equal(runs[0].count, 1);
    assert_int_equal(runs[0].oldest_started_ms, 1000);
    assert_null(queue_fixture_running(fixture, "w2", 59999, NULL));
    bool found = true;
    assert_null(queue_poke(fixture->store, "acme/infra", 78, 2000, &found));
    assert_false(found);
    assert_null(queue_poke(fixture->store, "acme/other", 77, 2000, &found));
    assert_false(found);
    assert_null(queue_poke(fixture->store, "acme/infra", 77, 2000, &found));
    assert_true(found);
    struct queue_job *again = queue_fixture_running(fixture, "w2", 2000, NULL);
    assert_string_equal(again->id, "d-1");
    assert_int_equal(again->fence, 2);
    assert_int_equal(again->attempts, 0);
    queue_fixture_conflict(queue_park(fixture->store, job)); // w1 is too late
}

// News that comes while somebody looks at the job must not wait until the next look.
static void
news_during_a_lease_is_not_lost(void **state)
{
    struct queue_fixture *fixture = *state;
    bool found = false, running = false;
    accept(fixture, "d-1", "payments", 1000);
    struct queue_job *job = queue_fixture_start(fixture, 1000);
    job->infra = "acme/infra";
    job->run_id = 77;
    job->due_ms = 60000;
    assert_null(queue_park(fixture->store, job));
    job = queue_fixture_running(fixture, "w1", 60000, NULL);
    assert_null(queue_poke(fixture->store, "acme/infra", 77, 60100, &found));
    assert_true(found);
    assert_null(queue_fixture_running(fixture, "w2", 60200, NULL)); // its holder goes on
    job->due_ms = 120000;
    assert_null(queue_park(fixture->store, job));
    job = queue_fixture_running(fixture, "w2", 60300, NULL);
    assert_non_null(job);
    assert_null(queue_cancel(fixture->store, "d-1", "hubot", "wrong version", 60400, &running));
    assert_true(running);
    job->due_ms = 120000;
    assert_null(queue_park(fixture->store, job));
    job = queue_fixture_running(fixture, "w2", 60500, NULL);
    assert_true(job->cancel);
    assert_string_equal(job->code, "cancelled");
    assert_string_equal(job->who, "hubot");
    assert_string_equal(job->reason, "wrong version");
    job->due_ms = 120000;
    assert_null(queue_park(fixture->store, job));
    assert_null(queue_fixture_running(fixture, "w2", 60600, NULL)); // told once
}

static void
a_lock_lifted_during_a_decision_is_not_missed(void **state)
{
    struct queue_fixture *fixture = *state;
    accept(fixture, "d-1", "payments", 1000);
    accept(fixture, "d-2", "shop", 1001);
    size_t count = 0;
    struct queue_job *jobs = queue_fixture_heads(fixture, "w1", 1100, &count);
    assert_int_equal(count, 2);
    jobs[0].due_ms = jobs[1].due_ms = 9000;
    assert_null(queue_hold(fixture->store, &jobs[1]));
    assert_null(queue_stir(fixture->store, "other", NULL, 1200));
    assert_null(queue_fixture_heads(fixture, "w1", 1300, NULL));
    assert_null(queue_stir(fixture->store, NULL, "production", 1300));
    assert_null(queue_hold(fixture->store, &jobs[0])); // its decision is older than that
    jobs = queue_fixture_heads(fixture, "w1", 1300, &count);
    assert_int_equal(count, 2);
    assert_string_equal(jobs[0].id, "d-1");
    assert_string_equal(jobs[1].id, "d-2");
}

static void
a_lease_that_ran_out_is_another_ones(void **state)
{
    struct queue_fixture *fixture = *state;
    accept(fixture, "d-1", "payments", 1000);
    struct queue_job *job = queue_fixture_start(fixture, 1000);
    assert_null(queue_renew(fixture->store, job, 5000));
    assert_null(queue_fixture_running(fixture, "w2", 4999, NULL));
    struct queue_job *taken = queue_fixture_running(fixture, "w2", 5000, NULL);
    assert_string_equal(taken->owner, "w2");
    assert_int_equal(taken->fence, 2);
    assert_int_equal(taken->attempts, 1);
    queue_fixture_conflict(queue_renew(fixture->store, job, 9000));
    queue_fixture_conflict(queue_park(fixture->store, job));
    job->result = "deployed";
    queue_fixture_conflict(queue_end(fixture->store, job, 5001));
    assert_string_equal(queue_fixture_get(fixture, "d-1")->state, "running");
    assert_null(queue_renew(fixture->store, taken, 9000));
    queue_fixture_end(fixture, taken, "deployed", 6000);
    queue_fixture_conflict(queue_end(fixture->store, taken, 6001));
    queue_fixture_conflict(queue_renew(fixture->store, taken, 9000));
}

static void
a_renewed_decision_stays_with_its_owner(void **state)
{
    struct queue_fixture *fixture = *state;
    accept(fixture, "d-1", "payments", 1000);
    struct queue_job *job = queue_fixture_heads(fixture, "w1", 1000, NULL);
    assert_null(queue_renew(fixture->store, job, 8000));
    assert_null(queue_fixture_heads(fixture, "w2", 7999, NULL));
    struct queue_job *taken = queue_fixture_heads(fixture, "w2", 8000, NULL);
    assert_int_equal(taken->attempts, 1);
    bool started = true;
    queue_fixture_conflict(queue_start(fixture->store, job, 8001, &started));
    assert_true(started); // untouched
}

static void
assert_set_aside_once(struct queue_fixture *fixture, const char *id, int64_t at_ms)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct audit_filter filter = {.deployment = id};
    struct audit_entry *entries = NULL;
    size_t count = 0;
    assert_null(audit_list(fixture->store, &filter, arena, &entries, &count));
    assert_int_equal(count, 1);
    assert_string_equal(entries[0].verdict, "deny");
    assert_string_equal(entries[0].code, "quarantined");
    assert_string_equal(entries[0].reason, queue_fixture_get(fixture, id)->reason);
    assert_int_equal(entries[0].at_ms, at_ms);
}

static void
what_kills_three_workers_is_set_aside(void **state)
{
    struct queue_fixture *fixture = *state;
    accept(fixture, "d-1", "payments", 1000);
    accept(fixture, "d-2", "payments", 1001);
    struct queue_job *job = queue_fixture_start(fixture, 1000); // w1 dies
    const struct store_deployment row = {.id = "d-1",
        .app = "payments",
        .env = "production",
        .version = "v1",
        .state = "running",
        .created_ms = 1,
        .updated_ms = 1,
        .document = "{}"};
    assert_null(store_insert(fixture->store, &row));
    for (int64_t attempt = 1; attempt < 3; attempt++) {
        job = queue_fixture_running(fixture, "w2", 1000 + 1000 * attempt, NULL);
        assert_int_equal(job->attempts, attempt);
    }
    assert_null(queue_fixture_heads(fixture, "w2", 3999, NULL));
    job = queue_fixture_running(fixture, "w2", 4000, NULL); // to be ended with what is known
    assert_int_equal(job->attempts, QUEUE_WORN);
    assert_null(queue_fixture_running(fixture, "w2", 4999, NULL));
    assert_null(queue_fixture_running(fixture, "w2", 5000, NULL)); // not even that was to be
    const struct queue_job *aside = queue_fixture_get(fixture, "d-1");
    assert_string_equal(aside->state, "final");
    assert_string_equal(aside->result, "unknown");
    assert_string_equal(aside->code, "quarantined");
    assert_int_equal(aside->exit_code, 9);
    assert_int_equal(aside->ended_ms, 5000);
    assert_int_equal(aside->fence, job->fence + 1);
    assert_set_aside_once(fixture, "d-1", 5000);
    struct store_deployment *closed = NULL;
    assert_null(store_find(fixture->store, "d-1", fixture->arena, &closed));
    assert_string_equal(closed->state, "final"); // nothing is left open
    assert_string_equal(closed->result, "unknown");
    assert_int_equal(closed->exit_code, 9);
    assert_int_equal(closed->updated_ms, 5000);
    // The lane goes on; deciding this one kills its workers as well.
    for (int64_t attempt = 0; attempt < 3; attempt++) {
        job = queue_fixture_heads(fixture, "w3", 5000 + 1000 * attempt, NULL);
        assert_string_equal(job->id, "d-2");
        assert_int_equal(job->attempts, attempt);
    }
    assert_null(queue_fixture_heads(fixture, "w3", 8000, NULL));
    aside = queue_fixture_get(fixture, "d-2");
    assert_string_equal(aside->result, "refused");
    assert_string_equal(aside->code, "quarantined");
    assert_set_aside_once(fixture, "d-2", 8000);
    struct queue_counts counts = {9, 9, 9};
    assert_null(queue_count(fixture->store, &counts));
    assert_int_equal(counts.queued + counts.running + counts.held, 0);
}

// A worker died and had several: what it died of takes no others along.
static void
what_was_lost_is_leased_alone(void **state)
{
    struct queue_fixture *fixture = *state;
    static const char *const apps[] = {"payments", "billing", "ledger"};
    size_t count = 9;
    for (size_t i = 0; i < ARRAY_LENGTH(apps); i++) {
        accept(fixture, apps[i], apps[i], 1000);
        (void)queue_fixture_start(fixture, 1000);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(apps); i++) {
        struct queue_job *job = queue_fixture_running(fixture, "w2", 2000, &count);
        assert_int_equal(count, 1);
        assert_int_equal(job->attempts, 1);
        job->due_ms = 2500;
        assert_null(queue_park(fixture->store, job));
    }
    (void)queue_fixture_running(fixture, "w2", 2500, &count);
    assert_int_equal(count, 3); // they have shown that they do no harm
    accept(fixture, "next", "mail", 2500);
    accept(fixture, "last", "shop", 2500);
    (void)queue_fixture_heads(fixture, "w3", 2500, &count);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct queue_job *job = queue_fixture_heads(fixture, "w4", 3500, &count);
        assert_int_equal(count, 1);
        assert_int_equal(job->attempts, 1);
    }
    assert_null(queue_fixture_heads(fixture, "w4", 3500, &count));
}

static void
a_word_from_its_worker_forgives_what_was(void **state)
{
    struct queue_fixture *fixture = *state;
    accept(fixture, "d-1", "payments", 1000);
    (void)queue_fixture_start(fixture, 1000);
    for (int round = 0; round < 4; round++) { // never three in a row
        int64_t now = 10000 + 10000 * round;
        (void)queue_fixture_running(fixture, "w1", now, NULL);
        struct queue_job *job = queue_fixture_running(fixture, "w2", now + 1000, NULL);
        assert_in_range(job->attempts, 1, 2);
        job->due_ms = now + 5000;
        assert_null(queue_park(fixture->store, job));
    }
}

static void
a_queued_job_that_is_cancelled_ends_at_once(void **state)
{
    struct queue_fixture *fixture = *state;
    bool running = true, started = false;
    accept(fixture, "d-1", "payments", 1000);
    accept(fixture, "d-2", "payments", 1001);
    struct queue_job *job = queue_fixture_heads(fixture, "w1", 1000, NULL);
    assert_null(queue_cancel(fixture->store, "d-1", "hubot", "no", 1100, &running));
    assert_false(running);
    const struct queue_job *ended = queue_fixture_get(fixture, "d-1");
    assert_string_equal(ended->result, "cancelled");
    assert_string_equal(ended->code, "cancelled");
    assert_int_equal(ended->exit_code, 11);
    assert_string_equal(ended->who, "hubot");
    assert_string_equal(ended->reason, "no");
    assert_int_equal(ended->ended_ms, 1100);
    queue_fixture_conflict(queue_start(fixture->store, job, 1200, &started));
    queue_fixture_conflict(queue_hold(fixture->store, job));
    assert_string_equal(queue_fixture_heads(fixture, "w1", 1200, NULL)->id, "d-2");
    running = true;
    assert_null(queue_cancel(fixture->store, "d-1", "octocat", "again", 1300, &running));
    assert_false(running);
    assert_string_equal(queue_fixture_get(fixture, "d-1")->who, "hubot");
}

static void
who_is_in_a_hurry_goes_first(void **state)
{
    struct queue_fixture *fixture = *state;
    bool started = true;
    accept(fixture, "d-1", "payments", 1000);
    accept(fixture, "d-2", "payments", 1001);
    accept(fixture, "d-3", "payments", 1002);
    struct queue_job *first = queue_fixture_heads(fixture, "w1", 1100, NULL);
    assert_string_equal(first->id, "d-1");
    assert_null(queue_hurry(fixture->store, "d-3"));
    struct queue_job *hurried = queue_fixture_heads(fixture, "w2", 1200, NULL);
    assert_string_equal(hurried->id, "d-3");
    assert_null(queue_start(fixture->store, first, 1250, &started)); // no longer the first
    assert_false(started);
    int64_t before = 0;
    struct queue_job *ahead = NULL;
    assert_null(queue_position(
        fixture->store, queue_fixture_get(fixture, "d-2"), fixture->arena, &before, &ahead));
    assert_int_equal(before, 2);
    assert_string_equal(ahead->id, "d-3"); // hurried, so that it is the first that waits
    assert_null(queue_position(
        fixture->store, queue_fixture_get(fixture, "d-3"), fixture->arena, &before, &ahead));
    assert_int_equal(before, 0);
    assert_null(ahead);
    assert_null(queue_start(fixture->store, hurried, 1300, &started));
    assert_true(started);
    assert_null(queue_start(fixture->store, first, 1300, &started)); // one runs
    assert_false(started);
    first->due_ms = 0;
    assert_null(queue_hold(fixture->store, first));
    assert_null(queue_fixture_heads(fixture, "w2", 1400, NULL));
    queue_fixture_end(fixture, hurried, "failed", 1500);
    assert_string_equal(queue_fixture_heads(fixture, "w2", 1500, NULL)->id, "d-1");
    struct queue_job late = queue_fixture_job("d-4", "payments", "production");
    late.urgent = true;
    (void)queue_fixture_accept(fixture, &late, 1600);
    assert_string_equal(queue_fixture_heads(fixture, "w2", 1600, NULL)->id, "d-4");
}

static void
what_was_stirred_while_it_was_decided_is_decided_again(void **state)
{
    struct queue_fixture *fixture = *state;
    bool started = true;
    accept(fixture, "d-1", "payments", 1000);
    struct queue_job *job = queue_fixture_heads(fixture, "w1", 1100, NULL);
    assert_null(queue_stir(fixture->store, "payments", "production", 1150)); // a new lock
    assert_null(queue_start(fixture->store, job, 1200, &started));
    assert_false(started);
    assert_string_equal(queue_fixture_get(fixture, "d-1")->state, "queued");
    job->due_ms = 9000;
    assert_null(queue_hold(fixture->store, job));
    job = queue_fixture_heads(fixture, "w1", 1300, NULL); // at once
    assert_string_equal(job->id, "d-1");
    assert_null(queue_start(fixture->store, job, 1300, &started));
    assert_true(started);
}

static void
what_was_decided_by_what_is_no_longer_there_is_decided_again(void **state)
{
    struct queue_fixture *fixture = *state;
    bool started = true;
    accept(fixture, "d-1", "payments", 1000);
    struct queue_job *slow = queue_fixture_heads(fixture, "w1", 1100, NULL);
    struct queue_job urgent = queue_fixture_job("d-2", "payments", "production");
    urgent.urgent = true;
    (void)queue_fixture_accept(fixture, &urgent, 1150);
    struct queue_job *first = queue_fixture_start(fixture, 1200);
    assert_string_equal(first->id, "d-2");
    queue_fixture_end(fixture, first, "deployed", 1300); // and something else is there now
    assert_null(queue_start(fixture->store, slow, 1400, &started));
    assert_false(started);
    assert_null(queue_hold(fixture->store, slow));
    (void)queue_fixture_start(fixture, 1500);
    assert_string_equal(queue_fixture_get(fixture, "d-1")->state, "running");
}

static void
assert_listed(struct queue_fixture *fixture, struct queue_filter filter, const char *expected)
{
    struct queue_job *jobs = NULL;
    size_t count = 0;
    struct buf ids CLEANUP(buf_done) = BUF_INIT(4096);
    assert_null(queue_list(fixture->store, &filter, fixture->arena, &jobs, &count));
    for (size_t i = 0; i < count; i++) {
        buf_printf(&ids, "%s%s", i > 0 ? " " : "", jobs[i].id);
    }
    assert_string_equal(buf_cstr(&ids), expected);
}

static void
lists_show_what_was_asked_for(void **state)
{
    struct queue_fixture *fixture = *state;
    accept(fixture, "d-1", "payments", 1000);
    accept(fixture, "d-2", "shop", 2000);
    struct queue_job other = queue_fixture_job("d-3", "payments", "staging");
    other.repository_id = 7;
    (void)queue_fixture_accept(fixture, &other, 3000);
    accept(fixture, "d-4", "payments", 4000);
    struct queue_job *job = queue_fixture_heads(fixture, "w1", 4000, NULL);
    bool started = false;
    assert_null(queue_start(fixture->store, job, 4000, &started));
    job->infra = "acme/infra";
    assert_null(queue_park(fixture->store, job));
    assert_listed(fixture, (struct queue_filter){0}, "d-4 d-3 d-2 d-1");
    assert_listed(fixture, (struct queue_filter){.oldest_first = true}, "d-1 d-2 d-3 d-4");
    assert_listed(fixture, (struct queue_filter){.limit = 2}, "d-4 d-3");
    assert_listed(fixture, (struct queue_filter){.before = 3}, "d-2 d-1");
    assert_listed(fixture, (struct queue_filter){.until_ms = 3000}, "d-3 d-2 d-1");
    assert_listed(fixture, (struct queue_filter){.app = "payments"}, "d-4 d-3 d-1");
    assert_listed(fixture, (struct queue_filter){.env = "production"}, "d-4 d-2 d-1");
    assert_listed(
        fixture, (struct queue_filter){.app = "payments", .env = "production"}, "d-4 d-1");
    assert_listed(fixture, (struct queue_filter){.state = "queued"}, "d-4 d-3 d-2");
    assert_listed(fixture, (struct queue_filter){.state = "running"}, "d-1");
    assert_listed(fixture, (struct queue_filter){.state = "running", .app = "shop"}, "");
    assert_listed(fixture, (struct queue_filter){.infra = "acme/infra"}, "d-1");
    assert_listed(fixture, (struct queue_filter){.repository_id = 7}, "d-3");
    job = queue_fixture_running(fixture, "w1", 5000, NULL);
    queue_fixture_end(fixture, job, "failed", 6000);
    assert_listed(fixture, (struct queue_filter){.state = "final"}, "d-1");
    assert_listed(fixture, (struct queue_filter){.result = "failed"}, "d-1");
    assert_listed(fixture, (struct queue_filter){.result = "deployed"}, "");
}

static void
the_usual_time_is_the_median_of_the_last(void **state)
{
    struct queue_fixture *fixture = *state;
    int64_t usual = 5;
    assert_null(queue_usual_ms(fixture->store, "payments", "production", &usual));
    assert_int_equal(usual, 0);
    static const int64_t took[] = {900000, 100, 700, 300, 200, 600, 400, 500, 800, 900};
    for (size_t i = 0; i < ARRAY_LENGTH(took); i++) { // the first is too long ago
        int64_t now = (int64_t)(1 + i) * 10000000;
        accept(fixture, arena_printf(fixture->arena, "d-%zu", i), "payments", now);
        struct queue_job *job = queue_fixture_start(fixture, now);
        queue_fixture_end(fixture, job, "deployed", now + took[i]);
    }
    accept(fixture, "d-bad", "payments", INT64_C(900000000));
    struct queue_job *job = queue_fixture_start(fixture, INT64_C(900000000));
    queue_fixture_end(fixture, job, "failed", INT64_C(900000001));
    assert_null(queue_usual_ms(fixture->store, "payments", "production", &usual));
    assert_int_equal(usual, 500);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(an_accepted_job_is_as_it_was_asked_for),
        QUEUE_TEST(a_lane_runs_one_after_the_other),
        QUEUE_TEST(what_is_held_waits_for_its_time),
        QUEUE_TEST(what_is_parked_is_looked_at_again),
        QUEUE_TEST(news_during_a_lease_is_not_lost),
        QUEUE_TEST(a_lock_lifted_during_a_decision_is_not_missed),
        QUEUE_TEST(a_lease_that_ran_out_is_another_ones),
        QUEUE_TEST(a_renewed_decision_stays_with_its_owner),
        QUEUE_TEST(what_kills_three_workers_is_set_aside),
        QUEUE_TEST(what_was_lost_is_leased_alone),
        QUEUE_TEST(a_word_from_its_worker_forgives_what_was),
        QUEUE_TEST(a_queued_job_that_is_cancelled_ends_at_once),
        QUEUE_TEST(who_is_in_a_hurry_goes_first),
        QUEUE_TEST(what_was_stirred_while_it_was_decided_is_decided_again),
        QUEUE_TEST(what_was_decided_by_what_is_no_longer_there_is_decided_again),
        QUEUE_TEST(lists_show_what_was_asked_for),
        QUEUE_TEST(the_usual_time_is_the_median_of_the_last),
    };
    return store_lab_run(tests, ARRAY_LENGTH(tests));
}
