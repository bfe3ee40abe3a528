// Releases, locks, approvals, deliveries, leaders, sessions, facts; and what retention drops.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/audit.h"
#include "dispatcher/memory.h"
#include "queue_fixture.h"
#include "queue_internal.h"
#include "store_lab.h"

// --- releases ------------------------------------------------------------------------------------

static void
release(struct queue_fixture *fixture, const char *deployment, const char *version, int64_t since)
{
    const struct queue_release release = {.app = "payments",
        .env = "production",
        .version = version,
        .digests = "{\"web\":\"sha256:1\"}",
        .sha = "abc",
        .deployment = deployment,
        .since_ms = since};
    assert_null(queue_release_add(fixture->store, &release));
}

static const struct queue_release *
release_at(struct queue_fixture *fixture, const char *env, int64_t at)
{
    struct queue_release *found = NULL;
    assert_null(queue_release_at(fixture->store, "payments", env, at, fixture->arena, &found));
    return found;
}

static void
a_release_closes_the_one_before(void **state)
{
    struct queue_fixture *fixture = *state;
    assert_null(release_at(fixture, "production", 0));
    release(fixture, "d-1", "v1", 1000);
    release(fixture, "d-2", "v2", 2000);
    release(fixture, "d-1", "v1", 1000); // told again after a crash
    const struct queue_release *now = release_at(fixture, "production", 0);
    assert_string_equal(now->version, "v2");
    assert_string_equal(now->digests, "{\"web\":\"sha256:1\"}");
    assert_string_equal(now->sha, "abc");
    assert_string_equal(now->deployment, "d-2");
    assert_int_equal(now->since_ms, 2000);
    assert_int_equal(now->until_ms, 0);
    assert_null(release_at(fixture, "production", 999));
    assert_string_equal(release_at(fixture, "production", 1000)->version, "v1");
    assert_string_equal(release_at(fixture, "production", 1999)->version, "v1");
    assert_string_equal(release_at(fixture, "production", 2000)->version, "v2");
    assert_null(release_at(fixture, "staging", 0));
    release(fixture, "d-3", "v3", 1500); // a clock that went back
    assert_string_equal(release_at(fixture, "production", 0)->version, "v3");
    struct queue_release *all = NULL;
    size_t count = 0;
    assert_null(
        queue_releases(fixture->store, "payments", "production", 2, fixture->arena, &all, &count));
    assert_int_equal(count, 2);
    assert_string_equal(all[0].version, "v3");
    assert_int_equal(all[0].until_ms, 0);
    assert_string_equal(all[1].version, "v2");
    assert_int_equal(all[1].until_ms, 2000);
}

// --- locks ---------------------------------------------------------------------------------------

static struct queue_lock
lock_of(const char *scope, const char *app, const char *env, const char *program)
{
    return (struct queue_lock){.scope = scope,
        .app = app,
        .env = env,
        .program = program,
        .level = "lock",
        .reason = "a migration",
        .owner = "octocat"};
}

static void
assert_locks(struct queue_fixture *fixture, bool past, int64_t now, const char *expected)
{
    struct queue_lock *locks = NULL;
    size_t count = 0;
    struct buf ids CLEANUP(buf_done) = BUF_INIT(4096);
    assert_null(queue_locks(fixture->store, past, now, fixture->arena, &locks, &count));
    for (size_t i = 0; i < count; i++) {
        buf_printf(&ids, "%s%s", i > 0 ? " " : "", locks[i].id);
    }
    assert_string_equal(buf_cstr(&ids), expected);
}

static void
locks_that_dropped_are_found_by_their_end(void **state)
{
    struct queue_fixture *fixture = *state;
    struct queue_lock made[] = {lock_of("app", "payments", NULL, NULL),
        lock_of("app", "payments", NULL, NULL), lock_of("app", "payments", NULL, NULL)};
    struct queue_lock *found = NULL;
    size_t count = 0;
    bool released = false;
    made[0].on_release = made[2].on_release = "drop"; // the first is lifted, the last holds on
    for (size_t i = 0; i < ARRAY_LENGTH(made); i++) {
        assert_null(queue_lock_add(fixture->store, &made[i], 1000, fixture->arena));
        if (i < 2) {
            assert_null(
                queue_lock_release(fixture->store, made[i].id, 1, "octocat", 2000, &released));
        }
    }
    assert_null(queue_locks_dropping(fixture->store, 1999, fixture->arena, &found, &count));
    assert_int_equal(count, 1);
    assert_string_equal(found[0].id, made[0].id);
    assert_null(queue_locks_dropping(fixture->store, 2000, fixture->arena, &found, &count));
    assert_int_equal(count, 0);
}

static void
locks_have_five_scopes(void **state)
{
    struct queue_fixture *fixture = *state;
    struct queue_lock good[] = {lock_of("organisation", NULL, NULL, NULL),
        lock_of("environment", NULL, "production", NULL), lock_of("program", NULL, NULL, "health"),
        lock_of("app", "payments", NULL, NULL), lock_of("target", "payments", "production", NULL)};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_null(queue_lock_add(fixture->store, &good[i], 1000, fixture->arena));
        assert_string_equal(good[i].id, arena_printf(fixture->arena, "l-%zu", i + 1));
        assert_int_equal(good[i].epoch, 1);
        assert_int_equal(good[i].created_ms, 1000);
        struct queue_lock *got = NULL;
        assert_null(queue_lock_get(fixture->store, good[i].id, fixture->arena, &got));
        assert_string_equal(got->scope, good[i].scope);
        assert_true(cstr_equal(got->app, good[i].app));
        assert_true(cstr_equal(got->env, good[i].env));
        assert_true(cstr_equal(got->program, good[i].program));
        assert_string_equal(got->level, "lock");
        assert_string_equal(got->reason, "a migration");
        assert_string_equal(got->owner, "octocat");
        assert_string_equal(got->on_release, "run");
        assert_int_equal(got->starts_ms, 1000);
        assert_int_equal(got->expires_ms, 0);
        assert_int_equal(got->released_ms, 0);
        assert_null(got->released_by);
    }
    assert_locks(fixture, false, 2000, "l-5 l-4 l-3 l-2 l-1");
    struct queue_lock bad[] = {lock_of("galaxy", NULL, NULL, NULL),
        lock_of("organisation", "payments", NULL, NULL), lock_of("target", "payments", NULL, NULL),
        lock_of("program", NULL, NULL, NULL), lock_of("app", "payments", NULL, NULL)};
    bad[4].level = "hint";
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct error *err CLEANUP(error_freep) =
            queue_lock_add(fixture->store, &bad[i], 1000, fixture->arena);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_STORAGE);
    }
    static const char *const ids[] = {"l-6", "l-", "x-1", "1", "", "l-1x"};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        struct queue_lock *none = &good[0];
        assert_null(queue_lock_get(fixture->store, ids[i], fixture->arena, &none));
        assert_null(none);
    }
}

static void
a_lock_is_released_by_its_epoch(void **state)
{
    struct queue_fixture *fixture = *state;
    struct queue_lock lock = lock_of("organisation", NULL, NULL, NULL);
    bool released = true;
    assert_null(queue_lock_add(fixture->store, &lock, 1000, fixture->arena));
    assert_null(queue_lock_release(fixture->store, lock.id, 2, "hubot", 2000, &released));
    assert_false(released);
    assert_null(queue_lock_release(fixture->store, "l-9", 1, "hubot", 2000, &released));
    assert_false(released);
    assert_null(queue_lock_release(fixture->store, lock.id, 1, "hubot", 2000, &released));
    assert_true(released);
    for (int64_t epoch = 1; epoch <= 2; epoch++) {
        assert_null(queue_lock_release(fixture->store, lock.id, epoch, "mona", 3000, &released));
        assert_false(released);
    }
    struct queue_lock *got = NULL;
    assert_null(queue_lock_get(fixture->store, lock.id, fixture->arena, &got));
    assert_int_equal(got->released_ms, 2000);
    assert_string_equal(got->released_by, "hubot");
    assert_int_equal(got->epoch, 2);
    assert_locks(fixture, false, 2000, "");
    assert_locks(fixture, true, 2000, "l-1");
}

static void
a_lock_expires_by_itself(void **state)
{
    struct queue_fixture *fixture = *state;
    struct queue_lock lock = lock_of("app", "payments", NULL, NULL);
    struct queue_lock later = lock_of("app", "shop", NULL, NULL);
    bool released = true;
    size_t count = 9;
    lock.expires_ms = 5000;
    lock.on_release = "drop";
    later.starts_ms = 4000;
    assert_null(queue_lock_add(fixture->store, &lock, 1000, fixture->arena));
    assert_null(queue_lock_add(fixture->store, &later, 1000, fixture->arena));
    assert_null(queue_locks_expire(fixture->store, 4999, &count));
    assert_int_equal(count, 0);
    assert_locks(fixture, false, 4999, "l-2 l-1"); // also the one that will hold
    assert_locks(fixture, false, 5000, "l-2");     // although nobody has written it down
    assert_null(queue_locks_expire(fixture->store, 6000, &count));
    assert_int_equal(count, 1);
    assert_null(queue_locks_expire(fixture->store, 6000, &count));
    assert_int_equal(count, 0);
    struct queue_lock *got = NULL;
    assert_null(queue_lock_get(fixture->store, lock.id, fixture->arena, &got));
    assert_int_equal(got->released_ms, 5000);
    assert_string_equal(got->released_by, "expired");
    assert_string_equal(got->on_release, "drop");
    assert_null(queue_lock_release(fixture->store, lock.id, 1, "hubot", 6001, &released));
    assert_false(released);
}

// --- approvals -----------------------------------------------------------------------------------

static void
approve(struct queue_fixture *fixture, const char *by, int64_t by_id, bool rejected, int64_t at)
{
    const struct queue_approval approval = {.job = "d-1",
        .by = by,
        .by_id = by_id,
        .version = "v1",
        .diff = "a..b",
        .note = "fine",
        .rejected = rejected,
        .at_ms = at,
        .expires_ms = at + 100};
    assert_null(queue_approve(fixture->store, &approval));
}

static void
a_person_approves_once(void **state)
{
    struct queue_fixture *fixture = *state;
    approve(fixture, "octocat", 1, false, 1000);
    approve(fixture, "hubot", 2, false, 1001);
    approve(fixture, "octocat-renamed", 1, true, 1002);
    approve(fixture, "octocat", 0, false, 1003); // of a proxy that knows no ids
    approve(fixture, "octocat", 0, false, 1004);
    struct queue_approval *all = NULL;
    size_t count = 0;
    assert_null(queue_approvals(fixture->store, "d-1", fixture->arena, &all, &count));
    assert_int_equal(count, 3);
    assert_string_equal(all[0].by, "hubot");
    assert_false(all[0].rejected);
    assert_string_equal(all[0].version, "v1");
    assert_string_equal(all[0].diff, "a..b");
    assert_string_equal(all[0].note, "fine");
    assert_int_equal(all[0].expires_ms, 1101);
    assert_string_equal(all[1].by, "octocat-renamed");
    assert_true(all[1].rejected);
    assert_int_equal(all[1].by_id, 1);
    assert_int_equal(all[2].at_ms, 1004);
    assert_null(queue_approvals(fixture->store, "d-2", fixture->arena, &all, &count));
    assert_int_equal(count, 0);
}

// --- once only -----------------------------------------------------------------------------------

static void
deliver(struct queue_fixture *fixture, const char *id, int64_t at, bool expected)
{
    const struct queue_delivery delivery = {id, "workflow_run", "{\"run_id\":7}", at};
    bool is_new = !expected;
    assert_null(queue_delivery_add(fixture->store, &delivery, &is_new));
    assert_true(is_new == expected);
}

static void
a_delivery_is_taken_once_and_in_order(void **state)
{
    struct queue_fixture *fixture = *state;
    deliver(fixture, "c", 30, true);
    deliver(fixture, "a", 10, true);
    deliver(fixture, "c", 40, false);
    deliver(fixture, "b", 20, true);
    struct queue_delivery *taken = NULL;
    size_t count = 0;
    assert_null(queue_deliveries_take(fixture->store, 2, fixture->arena, &taken, &count));
    assert_int_equal(count, 2);
    assert_string_equal(taken[0].id, "c"); // as they came
    assert_string_equal(taken[0].event, "workflow_run");
    assert_string_equal(taken[0].hint, "{\"run_id\":7}");
    assert_int_equal(taken[0].at_ms, 30);
    assert_string_equal(taken[1].id, "a");
    assert_null(queue_deliveries_take(fixture->store, 9, fixture->arena, &taken, &count));
    assert_int_equal(count, 1);
    assert_string_equal(taken[0].id, "b");
    assert_null(queue_deliveries_take(fixture->store, 9, fixture->arena, &taken, &count));
    assert_int_equal(count, 0);
    deliver(fixture, "a", 50, false); // once taken, too
}

static void
one_leads_until_its_lease_ends(void **state)
{
    struct queue_fixture *fixture = *state;
    static const struct {
        const char *name, *owner;
        int64_t now;
        bool leads;
    } steps[] = {
        {"sweep", "r1", 1000, true},
        {"sweep", "r2", 1000, false},
        {"poll", "r2", 1000, true},
        {"sweep", "r1", 1500, true}, // renews
        {"sweep", "r2", 2000, false},
        {"sweep", "r2", 2500, true},
        {"sweep", "r1", 2500, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        bool leads = !steps[i].leads;
        assert_null(
            queue_lead(fixture->store, steps[i].name, steps[i].owner, steps[i].now, 1000, &leads));
        assert_true(leads == steps[i].leads);
    }
    bool leads = true;
    assert_null(queue_lead_end(fixture->store, "r2")); // all of it, and nobody else's
    assert_null(queue_lead(fixture->store, "sweep", "r3", 2500, 1000, &leads));
    assert_true(leads);
    assert_null(queue_lead(fixture->store, "poll", "r3", 1500, 1000, &leads));
    assert_true(leads);
    assert_null(queue_lead_end(fixture->store, "r2"));
    assert_null(queue_lead(fixture->store, "sweep", "r1", 2500, 1000, &leads));
    assert_false(leads);
}

static void
a_session_lasts_until_it_ends(void **state)
{
    struct queue_fixture *fixture = *state;
    const struct queue_session session = {
        "hash", "octocat", NULL, 583231, "[\"devops\"]", "csrf", 1000, 5000};
    struct queue_session *got = NULL;
    assert_null(queue_session_add(fixture->store, &session));
    assert_null(queue_session_get(fixture->store, "hash", 4999, fixture->arena, &got));
    assert_string_equal(got->login, "octocat");
    assert_null(got->name);
    assert_int_equal(got->user_id, 583231);
    assert_string_equal(got->teams, "[\"devops\"]");
    assert_string_equal(got->csrf, "csrf");
    assert_int_equal(got->expires_ms, 5000);
    assert_null(queue_session_get(fixture->store, "hash", 5000, fixture->arena, &got));
    assert_null(got);
    assert_null(queue_session_drop(fixture->store, "hash"));
    assert_null(queue_session_get(fixture->store, "hash", 2000, fixture->arena, &got));
    assert_null(got);
}

static void
a_fact_is_what_was_said_last(void **state)
{
    struct queue_fixture *fixture = *state;
    const char *value = "x";
    assert_null(queue_fact_get(fixture->store, "sweep/cursor", fixture->arena, &value));
    assert_null(value);
    assert_null(queue_fact_set(fixture->store, "sweep/cursor", "1"));
    assert_null(queue_fact_set(fixture->store, "sweep/cursor", "2"));
    assert_null(queue_fact_get(fixture->store, "sweep/cursor", fixture->arena, &value));
    assert_string_equal(value, "2");
}

// --- retention -----------------------------------------------------------------------------------

static void
add_deployment(struct queue_fixture *fixture, const char *id, bool is_final, int events)
{
    const struct store_deployment row = {.id = id,
        .app = "payments",
        .env = id,
        .version = "v1",
        .state = is_final ? "final" : "running",
        .result = is_final ? "deployed" : NULL,
        .created_ms = 1000,
        .updated_ms = 1000,
        .document = "{}"};
    assert_null(store_insert(fixture->store, &row));
    assert_null(store_begin(fixture->store));
    for (int i = 0; i < events; i++) {
        assert_null(store_add_event(fixture->store, id, "{}", 1000 + i));
    }
    assert_null(store_end(fixture->store, NULL));
}

static int64_t
events_of(struct queue_fixture *fixture, const char *id)
{
    struct store_event *events = NULL;
    size_t count = 0;
    assert_null(store_events(fixture->store, id, 0, fixture->arena, &events, &count));
    return (int64_t)count;
}

static size_t
retain(struct queue_fixture *fixture, struct queue_retention retention, int64_t now)
{
    size_t count = 99;
    assert_null(queue_retain(fixture->store, &retention, now, &count));
    return count;
}

static void
what_is_old_is_dropped_and_no_more(void **state)
{
    struct queue_fixture *fixture = *state;
    const struct queue_session session = {"hash", "a", "b", 1, "[]", "c", 0, 3000};
    const struct queue_retention days = {.events_ms = 10000, .deliveries_ms = 5000};
    const struct audit_entry entry = {.kind = "decision", .verdict = "allow"};
    bool is_new = false;
    add_deployment(fixture, "d-final", true, 1500);
    add_deployment(fixture, "d-running", false, 1500);
    assert_null(audit_add(fixture->store, &entry, 1));
    assert_null(queue_session_add(fixture->store, &session));
    assert_null(queue_jti_spend(fixture->store, "j1", 3000, &is_new));
    deliver(fixture, "a", 2000, true);
    assert_int_equal(retain(fixture, days, 2999), 0);
    assert_int_equal(retain(fixture, days, 3000), 2); // the session, the token
    assert_null(queue_jti_spend(fixture->store, "j1", 9000, &is_new));
    assert_true(is_new);
    assert_int_equal(retain(fixture, days, 7000), 1); // the delivery
    deliver(fixture, "a", 7000, true);
    assert_int_equal(retain(fixture, (struct queue_retention){0}, 1000000), 1); // j1: 0 keeps
    assert_int_equal(retain(fixture, days, 11499), 500); // events of up to 1499
    assert_int_equal(events_of(fixture, "d-final"), 1000);
    assert_int_equal(retain(fixture, days, 20000), 1001); // bounded, and the delivery
    assert_int_equal(retain(fixture, days, 20000), 0);
    assert_int_equal(events_of(fixture, "d-final"), 0);
    assert_int_equal(events_of(fixture, "d-running"), 1500);
    struct audit_verdict verdict = {0};
    assert_null(audit_verify(fixture->store, fixture->arena, &verdict));
    assert_int_equal(verdict.entries, 1);
}

static void
spends(
    struct queue_fixture *fixture, const char *jti, const char *hash, enum queue_accepted expected)
{
    enum queue_accepted found = QUEUE_FULL, outcome = QUEUE_FULL;
    assert_null(queue_token_find(fixture->store, jti, hash, &found));
    assert_int_equal(found, expected);
    assert_null(queue_token_spend(fixture->store, jti, hash, 5000, &outcome));
    assert_int_equal(outcome, expected);
}

static void
a_token_is_good_for_what_it_came_with_first(void **state)
{
    struct queue_fixture *fixture = *state;
    bool is_new = false;
    spends(fixture, "j1", "push", QUEUE_NEW);
    for (int i = 0; i < 3; i++) {
        spends(fixture, "j1", "push", QUEUE_SAME);
        spends(fixture, "j1", "cancel", QUEUE_REPLAY); // the second time as well
    }
    spends(fixture, "j2", "cancel", QUEUE_NEW);
    assert_null(queue_jti_spend(fixture->store, "j3", 5000, &is_new));
    spends(fixture, "j3", "push", QUEUE_REPLAY);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(a_release_closes_the_one_before),
        QUEUE_TEST(locks_have_five_scopes),
        QUEUE_TEST(locks_that_dropped_are_found_by_their_end),
        QUEUE_TEST(a_lock_is_released_by_its_epoch),
        QUEUE_TEST(a_lock_expires_by_itself),
        QUEUE_TEST(a_person_approves_once),
        QUEUE_TEST(a_delivery_is_taken_once_and_in_order),
        QUEUE_TEST(a_token_is_good_for_what_it_came_with_first),
        QUEUE_TEST(one_leads_until_its_lease_ends),
        QUEUE_TEST(a_session_lasts_until_it_ends),
        QUEUE_TEST(a_fact_is_what_was_said_last),
        QUEUE_TEST(what_is_old_is_dropped_and_no_more),
    };
    return store_lab_run(tests, ARRAY_LENGTH(tests));
}
