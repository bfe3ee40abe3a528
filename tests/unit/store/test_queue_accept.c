// Accepting: once by key and by token, no more than a lane takes, the latest in place of the older
// ones; in groups, where one that fails undoes only itself. And who has lost the fence writes
// nothing.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "dispatcher/audit.h"
#include "dispatcher/memory.h"
#include "dispatcher/outbox.h"
#include "queue_fixture.h"
#include "queue_internal.h"
#include "store_lab.h"

struct request {
    const char *id, *key, *hash, *jti;
    int64_t limit;
};

static enum queue_accepted
ask(struct queue_fixture *fixture, struct request request, const char **id)
{
    const struct queue_job job = queue_fixture_job(request.id, "payments", "production");
    const struct queue_acceptance acceptance = {.job = &job,
        .idempotency = {"repository/42", request.key, request.hash},
        .jti = request.jti,
        .jti_until_ms = 5000,
        .limit = request.limit};
    enum queue_accepted outcome = QUEUE_FULL;
    *id = "untouched";
    assert_null(queue_accept(fixture->store, &acceptance, 1000, fixture->arena, &outcome, id));
    return outcome;
}

static int64_t
count_rows(struct queue_fixture *fixture, const char *sql)
{
    struct query query CLEANUP(query_done);
    query_init(&query, fixture->store, sql);
    assert_true(query_row(&query));
    int64_t count = query_get_int(&query, 0);
    assert_null(query_finish(&query));
    return count;
}

static void
assert_jobs(struct queue_fixture *fixture, int64_t jobs, int64_t tokens, int64_t queued)
{
    assert_int_equal(count_rows(fixture, "SELECT count(*) FROM jobs"), jobs);
    assert_int_equal(count_rows(fixture, "SELECT count(*) FROM tokens"), tokens);
    assert_int_equal(count_rows(fixture, "SELECT coalesce(sum(queued), 0) FROM job_lanes"), queued);
}

static void
a_request_that_comes_again_makes_nothing_new(void **state)
{
    struct queue_fixture *fixture = *state;
    const char *id = NULL;
    assert_int_equal(ask(fixture, (struct request){"d-1", "k", "h", "j1", 0}, &id), QUEUE_NEW);
    assert_string_equal(id, "d-1");
    // The same with the same token; with a fresh one, which stays unspent; with none.
    const char *const tokens[] = {"j1", "j2", NULL};
    for (size_t i = 0; i < ARRAY_LENGTH(tokens); i++) {
        assert_int_equal(
            ask(fixture, (struct request){"d-2", "k", "h", tokens[i], 1}, &id), QUEUE_SAME);
        assert_string_equal(id, "d-1");
        assert_jobs(fixture, 1, 1, 1);
    }
    // Also once it has ended.
    struct queue_job *job = queue_fixture_start(fixture, 1000);
    queue_fixture_end(fixture, job, "deployed", 1100);
    assert_int_equal(ask(fixture, (struct request){"d-2", "k", "h", "j1", 0}, &id), QUEUE_SAME);
    assert_jobs(fixture, 1, 1, 0);
}

static void
what_was_accepted_is_found_by_key_and_token(void **state)
{
    struct queue_fixture *fixture = *state;
    const char *id = NULL;
    assert_int_equal(ask(fixture, (struct request){"d-1", "k", "h", "j1", 0}, &id), QUEUE_NEW);
    static const struct {
        const char *scope, *key, *hash, *jti;
        enum queue_accepted outcome;
    } cases[] = {{"repository/42", "k", "h", "j1", QUEUE_SAME},
        {"repository/42", "k", "h", "j2", QUEUE_SAME},
        {"repository/42", "k", "h", NULL, QUEUE_SAME},
        {"repository/42", "k", "H", "j1", QUEUE_OTHER},
        {"repository/42", "k2", "h", "j1", QUEUE_REPLAY},
        {"repository/43", "k", "h", NULL, QUEUE_NEW}, {"repository/42", "k2", "h", "j2", QUEUE_NEW},
        {"repository/42", NULL, "h", NULL, QUEUE_NEW}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct queue_idempotency given = {cases[i].scope, cases[i].key, cases[i].hash};
        enum queue_accepted outcome = QUEUE_FULL;
        assert_null(queue_accepted_before(
            fixture->store, &given, cases[i].jti, fixture->arena, &outcome, &id));
        assert_int_equal(outcome, cases[i].outcome);
        assert_true((id != NULL) == (outcome == QUEUE_SAME));
    }
    assert_jobs(fixture, 1, 1, 1);
}

static void
a_key_is_of_one_request(void **state)
{
    struct queue_fixture *fixture = *state;
    const char *id = NULL;
    assert_int_equal(ask(fixture, (struct request){"d-1", "k", "h", "j1", 0}, &id), QUEUE_NEW);
    assert_int_equal(ask(fixture, (struct request){"d-2", "k", "H", "j2", 0}, &id), QUEUE_OTHER);
    assert_int_equal(ask(fixture, (struct request){"d-2", "k", "H", "j1", 0}, &id), QUEUE_OTHER);
    assert_jobs(fixture, 1, 1, 1);
    // Somebody else's key of that name is another one.
    const struct queue_job job = queue_fixture_job("d-3", "payments", "production");
    const struct queue_acceptance other = {.job = &job, .idempotency = {"repository/43", "k", "H"}};
    enum queue_accepted outcome = QUEUE_FULL;
    assert_null(queue_accept(fixture->store, &other, 1000, fixture->arena, &outcome, &id));
    assert_int_equal(outcome, QUEUE_NEW);
}

static void
a_token_is_spent_once(void **state)
{
    struct queue_fixture *fixture = *state;
    const char *id = NULL;
    bool is_new = false;
    assert_int_equal(ask(fixture, (struct request){"d-1", NULL, "h", "j1", 0}, &id), QUEUE_NEW);
    assert_int_equal(ask(fixture, (struct request){"d-2", NULL, "h", "j1", 0}, &id), QUEUE_SAME);
    assert_string_equal(id, "d-1");
    assert_int_equal(ask(fixture, (struct request){"d-2", NULL, "H", "j1", 0}, &id), QUEUE_REPLAY);
    assert_int_equal(ask(fixture, (struct request){"d-2", "k", "h", "j1", 0}, &id), QUEUE_REPLAY);
    assert_int_equal(ask(fixture, (struct request){"d-2", NULL, NULL, "j1", 0}, &id), QUEUE_REPLAY);
    assert_null(queue_jti_spend(fixture->store, "j1", 5000, &is_new));
    assert_false(is_new);
    assert_jobs(fixture, 1, 1, 1);
    assert_null(queue_jti_spend(fixture->store, "j9", 5000, &is_new));
    assert_true(is_new);
    assert_int_equal(ask(fixture, (struct request){"d-2", NULL, NULL, "j9", 0}, &id), QUEUE_REPLAY);
    assert_int_equal(ask(fixture, (struct request){"d-2", NULL, "h", "j9", 0}, &id), QUEUE_REPLAY);
    // A key that is known does not excuse a token of another request.
    assert_int_equal(ask(fixture, (struct request){"d-2", "k2", "h2", "j2", 0}, &id), QUEUE_NEW);
    assert_int_equal(ask(fixture, (struct request){"d-3", "k2", "h2", "j1", 0}, &id), QUEUE_REPLAY);
    assert_jobs(fixture, 2, 3, 2);
}

static void
a_full_lane_takes_no_more_and_keeps_nothing(void **state)
{
    struct queue_fixture *fixture = *state;
    const char *id = NULL;
    assert_int_equal(ask(fixture, (struct request){"d-1", "k1", "h", "j1", 2}, &id), QUEUE_NEW);
    assert_int_equal(ask(fixture, (struct request){"d-2", "k2", "h", "j2", 2}, &id), QUEUE_NEW);
    assert_int_equal(ask(fixture, (struct request){"d-3", "k3", "h", "j3", 2}, &id), QUEUE_FULL);
    assert_jobs(fixture, 2, 2, 2);
    (void)queue_fixture_start(fixture, 1000); // the one that runs does not count
    assert_int_equal(ask(fixture, (struct request){"d-3", "k3", "h", "j3", 2}, &id), QUEUE_NEW);
    assert_int_equal(ask(fixture, (struct request){"d-4", "k4", "h", "j4", 0}, &id), QUEUE_NEW);
    assert_jobs(fixture, 4, 4, 3);
}

// --- latest --------------------------------------------------------------------------------------

static void
accept_job(struct queue_fixture *fixture, const char *id, const char *verb, bool latest)
{
    struct queue_job job = queue_fixture_job(id, "payments", "production");
    job.verb = verb;
    job.version = id;
    job.latest = latest;
    (void)queue_fixture_accept(fixture, &job, 2000);
}

static void
assert_state(struct queue_fixture *fixture, const char *id, const char *expected)
{
    const struct queue_job *job = queue_fixture_get(fixture, id);
    assert_string_equal(job->result != NULL ? job->result : job->state, expected);
}

// What is dropped ends without anybody's decision about it, and the audit log still has its end.
static void
assert_audited(struct queue_fixture *fixture, const char *id, const char *code, size_t times)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct audit_filter filter = {.deployment = id, .code = code};
    struct audit_entry *entries = NULL;
    size_t count = 0;
    assert_null(audit_list(fixture->store, &filter, arena, &entries, &count));
    assert_int_equal(count, times);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(entries[i].kind, "decision");
        assert_string_equal(entries[i].verdict, "deny");
        assert_string_equal(entries[i].reason, queue_fixture_get(fixture, id)->reason);
        assert_int_equal(entries[i].at_ms, 2000);
    }
}

static void
the_latest_takes_the_place_of_older_ones(void **state)
{
    struct queue_fixture *fixture = *state;
    accept_job(fixture, "v1", "deploy", false);
    (void)queue_fixture_start(fixture, 2000);
    accept_job(fixture, "v2", "deploy", false);
    accept_job(fixture, "v3", "deploy", false);
    accept_job(fixture, "back", "rollback", false);
    accept_job(fixture, "v4", "deploy", true);
    assert_state(fixture, "v1", "running");
    assert_state(fixture, "v2", "superseded");
    assert_state(fixture, "v3", "superseded");
    assert_state(fixture, "back", "queued");
    assert_state(fixture, "v4", "queued");
    const struct queue_job *old = queue_fixture_get(fixture, "v3");
    assert_string_equal(old->code, "superseded");
    assert_string_equal(old->superseded_by, "v4");
    assert_string_equal(old->reason, "#5 took its place with version v4");
    assert_int_equal(old->exit_code, 11);
    assert_int_equal(old->ended_ms, 2000);
    assert_audited(fixture, "v2", "superseded", 1);
    assert_audited(fixture, "v3", "superseded", 1);
    assert_audited(fixture, "v4", "superseded", 0);
    // The waiting one has said it: a newer one need not.
    accept_job(fixture, "v5", "deploy", false);
    assert_state(fixture, "v4", "superseded");
    accept_job(fixture, "v6", "deploy", false);
    assert_state(fixture, "v5", "queued");
    assert_jobs(fixture, 7, 0, 3);
    // Another lane is another matter.
    struct queue_job other = queue_fixture_job("other", "payments", "staging");
    other.latest = true;
    (void)queue_fixture_accept(fixture, &other, 2000);
    assert_state(fixture, "v5", "queued");
}

// Whoever looks at one of them is to be told now, not at the next look.
static void
those_that_go_are_named(void **state)
{
    struct queue_fixture *fixture = *state;
    accept_job(fixture, "v1", "deploy", false);
    accept_job(fixture, "v2", "deploy", false);
    struct queue_job job = queue_fixture_job("v3", "payments", "production");
    job.latest = true;
    struct queue_ids gone = {0};
    enum queue_accepted outcome = QUEUE_FULL;
    const char *id = NULL;
    const struct queue_acceptance acceptance = {.job = &job, .superseded = &gone};
    assert_null(queue_accept(fixture->store, &acceptance, 2000, fixture->arena, &outcome, &id));
    assert_int_equal(outcome, QUEUE_NEW);
    assert_int_equal(gone.count, 2);
    bool in_order = strcmp(gone.items[0], "v1") == 0; // which a database need not give
    assert_string_equal(gone.items[in_order ? 0 : 1], "v1");
    assert_string_equal(gone.items[in_order ? 1 : 0], "v2");
}

static void
accept_of_run(struct queue_fixture *fixture, const char *id, int64_t run)
{
    struct queue_job job = queue_fixture_job(id, "payments", "production");
    job.version = id;
    job.latest = true;
    job.asked_run = run;
    (void)queue_fixture_accept(fixture, &job, 2000);
}

// Two pushes: the build of the first took longer, so that it asks after the second.
static void
the_latest_is_of_the_latest_run(void **state)
{
    struct queue_fixture *fixture = *state;
    accept_of_run(fixture, "second", 29020317002);
    accept_of_run(fixture, "first", 29020317001);
    assert_state(fixture, "second", "queued");
    assert_state(fixture, "first", "superseded");
    const struct queue_job *old = queue_fixture_get(fixture, "first");
    assert_string_equal(old->superseded_by, "second");
    assert_string_equal(old->reason, "#1, of a later run of its workflow, waits already");
    assert_string_equal(old->code, "superseded");
    assert_int_equal(old->exit_code, 11);
    assert_int_equal(old->ended_ms, 2000);
    assert_audited(fixture, "first", "superseded", 1);
    assert_jobs(fixture, 2, 0, 1);
    // The same run once more, a later one, and a person, who has no run, are newer.
    accept_of_run(fixture, "again", 29020317002);
    assert_state(fixture, "second", "superseded");
    accept_of_run(fixture, "third", 29020317003);
    assert_state(fixture, "again", "superseded");
    accept_of_run(fixture, "by hand", 0);
    assert_state(fixture, "third", "superseded");
    accept_of_run(fixture, "fourth", 29020317000); // nothing of a later run waits
    assert_state(fixture, "by hand", "superseded");
    assert_jobs(fixture, 6, 0, 1);
    // An emergency gives way to no push.
    struct queue_job job = queue_fixture_job("fire", "payments", "production");
    job.latest = job.emergency = true;
    job.asked_run = 29020316999;
    (void)queue_fixture_accept(fixture, &job, 2000);
    assert_state(fixture, "fire", "queued");
}

static void
an_emergency_is_dropped_only_by_another(void **state)
{
    struct queue_fixture *fixture = *state;
    struct queue_job job = queue_fixture_job("e1", "payments", "production");
    job.emergency = job.latest = true;
    (void)queue_fixture_accept(fixture, &job, 1000);
    accept_job(fixture, "v2", "deploy", true);
    assert_state(fixture, "e1", "queued");
    job.id = "e3";
    (void)queue_fixture_accept(fixture, &job, 1000);
    assert_state(fixture, "e1", "superseded");
    assert_state(fixture, "v2", "superseded");
    assert_jobs(fixture, 3, 0, 1);
}

static void
what_is_superseded_makes_room(void **state)
{
    struct queue_fixture *fixture = *state;
    accept_job(fixture, "v1", "deploy", false);
    accept_job(fixture, "v2", "deploy", false);
    struct queue_job job = queue_fixture_job("v3", "payments", "production");
    job.latest = true;
    const struct queue_acceptance acceptance = {.job = &job, .limit = 1};
    enum queue_accepted outcome = QUEUE_FULL;
    const char *id = NULL;
    assert_null(queue_accept(fixture->store, &acceptance, 1000, fixture->arena, &outcome, &id));
    assert_int_equal(outcome, QUEUE_NEW);
    assert_jobs(fixture, 3, 0, 1);
    // One that does not fit supersedes nothing either.
    accept_job(fixture, "back", "rollback", false);
    accept_job(fixture, "v4", "deploy", false);
    assert_state(fixture, "v3", "superseded");
    job.id = "v5";
    assert_null(queue_accept(fixture->store, &acceptance, 1000, fixture->arena, &outcome, &id));
    assert_int_equal(outcome, QUEUE_FULL);
    assert_state(fixture, "v4", "queued");
    assert_jobs(fixture, 5, 0, 2);
}

static void
a_decision_about_what_was_superseded_counts_no_more(void **state)
{
    struct queue_fixture *fixture = *state;
    bool started = false;
    accept_job(fixture, "v1", "deploy", true);
    struct queue_job *head = queue_fixture_heads(fixture, "w1", 2000, NULL);
    accept_job(fixture, "v2", "deploy", true);
    queue_fixture_conflict(queue_start(fixture->store, head, 2100, &started));
    queue_fixture_conflict(queue_hold(fixture->store, head));
    head->result = "refused";
    queue_fixture_conflict(queue_end(fixture->store, head, 2100));
    assert_state(fixture, "v1", "superseded");
    assert_string_equal(queue_fixture_heads(fixture, "w1", 2100, NULL)->id, "v2"); // at once
}

// --- groups --------------------------------------------------------------------------------------

struct accepting {
    const char *id, *key;
    bool fails;
    struct arena *arena;
    enum queue_accepted outcome;
    const char *got;
};

static struct error *
accept_op(struct store *store, void *ctx)
{
    struct accepting *accepting = ctx;
    const struct queue_job job = queue_fixture_job(accepting->id, "payments", "production");
    const struct queue_acceptance acceptance = {
        .job = &job, .idempotency = {"s", accepting->key, "h"}, .jti = accepting->id, .limit = 2};
    TRY(queue_accept(
        store, &acceptance, 1000, accepting->arena, &accepting->outcome, &accepting->got));
    return accepting->fails ? error_new(ERROR_USAGE, "after it was accepted") : NULL;
}

static void
one_of_a_group_that_fails_undoes_only_itself(void **state)
{
    struct queue_fixture *fixture = *state;
    struct accepting all[] = {{"d-1", "k1", false, fixture->arena, QUEUE_FULL, NULL},
        {"d-2", "k2", true, fixture->arena, QUEUE_FULL, NULL},
        {"d-3", "k1", false, fixture->arena, QUEUE_FULL, NULL},
        {"d-2", "k2", false, fixture->arena, QUEUE_FULL, NULL},
        {"d-5", "k5", false, fixture->arena, QUEUE_NEW, NULL}};
    struct store_op ops[ARRAY_LENGTH(all)];
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        ops[i] = (struct store_op){.run = accept_op, .ctx = &all[i]};
    }
    assert_null(store_group(fixture->store, ops, ARRAY_LENGTH(ops)));
    static const struct {
        enum queue_accepted outcome;
        const char *id;
    } expected[] = {{QUEUE_NEW, "d-1"}, {QUEUE_NEW, "d-2"}, {QUEUE_SAME, "d-1"}, {QUEUE_NEW, "d-2"},
        {QUEUE_FULL, NULL}};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        assert_int_equal(all[i].outcome, expected[i].outcome);
        assert_true(cstr_equal(all[i].got, expected[i].id));
        assert_true((ops[i].err != NULL) == all[i].fails);
        error_free(ops[i].err);
    }
    assert_jobs(fixture, 2, 2, 2);
}

// Forgets that a part of it failed.
static struct error *
careless_op(struct store *store, void *ctx)
{
    const struct store_deployment row = {
        .id = "d-1", .app = "a", .env = "e", .version = "v1", .state = "running", .document = "{}"};
    TRY(accept_op(store, ctx));
    error_free(store_insert(store, &row));
    error_free(store_insert(store, &row)); // it is there
    return NULL;
}

static void
what_failed_in_part_fails_as_a_whole(void **state)
{
    struct queue_fixture *fixture = *state;
    struct accepting all[] = {{"d-1", "k1", false, fixture->arena, QUEUE_FULL, NULL},
        {"d-2", "k2", false, fixture->arena, QUEUE_FULL, NULL}};
    struct store_op ops[] = {{careless_op, &all[0], NULL}, {accept_op, &all[1], NULL}};
    assert_null(store_group(fixture->store, ops, ARRAY_LENGTH(ops)));
    assert_non_null(ops[0].err);
    assert_string_equal(error_message(ops[0].err), "a part of the request failed");
    error_free(ops[0].err);
    assert_null(ops[1].err);
    assert_jobs(fixture, 1, 1, 1);
    assert_string_equal(queue_fixture_get(fixture, "d-2")->state, "queued");
}

static struct error *
break_op(struct store *store, void *ctx)
{
    (void)ctx;
    store->broken = true; // a disk that failed
    return error_new(ERROR_STORAGE, "the disk failed");
}

static void
a_group_on_a_broken_handle_leaves_nothing(void **state)
{
    struct queue_fixture *fixture = *state;
    struct accepting first = {"d-1", "k1", false, fixture->arena, QUEUE_FULL, NULL};
    struct store_op ops[] = {
        {accept_op, &first, NULL}, {break_op, NULL, NULL}, {accept_op, &first, NULL}};
    struct error *err CLEANUP(error_freep) = store_group(fixture->store, ops, ARRAY_LENGTH(ops));
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    error_free(ops[1].err);
    fixture->store->broken = false;
    assert_jobs(fixture, 0, 0, 0);
}

// --- the same key from many sides at once --------------------------------------------------------

enum { CLIENTS = 4, KEYS = 40 };

static void
accept_keys(void *ctx, int out)
{
    struct store *store = NULL;
    struct error *err = store_open(ctx, &store);
    struct arena *arena = arena_new();
    int made = 0;
    for (int i = 0; err == NULL && i < KEYS; i++) {
        const struct queue_job job = queue_fixture_job(
            arena_printf(arena, "d-%d-%d", (int)getpid(), i), "payments", "production");
        const struct queue_acceptance acceptance = {
            .job = &job, .idempotency = {"s", arena_printf(arena, "k%d", i), "h"}};
        enum queue_accepted outcome = QUEUE_FULL;
        const char *id = NULL;
        err = queue_accept(store, &acceptance, 1000, arena, &outcome, &id);
        made += err == NULL && outcome == QUEUE_NEW ? 1 : 0;
    }
    child_say(out, err == NULL ? arena_printf(arena, "%d", made) : error_message(err));
    arena_free(arena);
    store_close(store);
    error_free(err);
}

static void
of_many_that_send_the_same_one_is_accepted(void **state)
{
    struct queue_fixture *fixture = *state;
    struct child children[CLIENTS];
    int64_t made = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        child_start(&children[i], accept_keys, fixture->path);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
        int64_t count = 0;
        assert_true(child_hear(&children[i], &line));
        assert_true(str_to_int64(buf_str(&line), &count));
        assert_int_equal(child_finish(&children[i]), 0);
        made += count;
    }
    assert_int_equal(made, KEYS);
    assert_jobs(fixture, KEYS, 0, KEYS);
}

// --- fences --------------------------------------------------------------------------------------

static void
who_lost_the_fence_writes_nothing(void **state)
{
    struct queue_fixture *fixture = *state;
    const struct store_deployment row = {.id = "d-1",
        .app = "payments",
        .env = "production",
        .version = "v1",
        .state = "running",
        .created_ms = 1,
        .updated_ms = 1,
        .document = "1"};
    const struct store_deployment other = {.id = "d-2",
        .app = "payments",
        .env = "staging",
        .version = "v1",
        .state = "running",
        .created_ms = 1,
        .updated_ms = 1,
        .document = "1"};
    const struct queue_job job = queue_fixture_job("d-1", "payments", "production");
    (void)queue_fixture_accept(fixture, &job, 1000);
    struct queue_job *mine = queue_fixture_start(fixture, 1000);
    store_set_fence(fixture->store, "d-1", mine->fence);
    assert_null(store_insert(fixture->store, &row));
    assert_null(store_save(fixture->store, &row, NULL));
    struct store *second CLEANUP(store_closep) = NULL;
    assert_null(store_open(fixture->path, &second));
    struct queue_job *jobs = NULL;
    size_t count = 0;
    assert_null(queue_lease_running(second, "w2", 2000, 1000, 10, fixture->arena, &jobs, &count));
    assert_int_equal(count, 1);
    const struct store_step step = {1, "push web", "intent", NULL, 1};
    queue_fixture_conflict(store_save(fixture->store, &row, &step));
    queue_fixture_conflict(store_save_telling(fixture->store, &row, &step, NULL, 0, 2000));
    assert_null(store_insert(fixture->store, &other)); // another deployment is not fenced
    struct store_step *steps = NULL;
    assert_null(store_steps(fixture->store, "d-1", fixture->arena, &steps, &count));
    assert_int_equal(count, 0);
    store_set_fence(second, "d-1", jobs[0].fence);
    assert_null(store_save(second, &row, &step));
    store_set_fence(fixture->store, NULL, 0);
    assert_null(store_save(fixture->store, &row, NULL));
    store_set_fence(fixture->store, "d-9", 1); // of no job
    const struct store_deployment none = {
        .id = "d-9", .app = "a", .env = "e", .version = "v1", .state = "running", .document = "1"};
    queue_fixture_conflict(store_insert(fixture->store, &none));
}

// One that stirs all lanes, on a handle of its own.
struct stirring {
    const char *path;
    pthread_t thread;
    bool failed;
};

static void *
stir_all(void *ctx)
{
    struct stirring *stirring = ctx;
    struct store *store CLEANUP(store_closep) = NULL;
    struct error *err CLEANUP(error_freep) = store_open(stirring->path, &store);
    err = err == NULL ? queue_stir(store, NULL, NULL, 5000) : err;
    stirring->failed = err != NULL;
    return NULL;
}

struct lanes_in_turn {
    struct queue_fixture *fixture;
    const char *id, *app;
    struct stirring *stirring; // begins once the lane is locked; NULL: not this time
};

static struct error *
accept_in_lane(struct store *store, void *ctx)
{
    const struct lanes_in_turn *turn = ctx;
    const struct queue_job job = queue_fixture_job(turn->id, turn->app, "production");
    const struct queue_acceptance acceptance = {.job = &job};
    enum queue_accepted outcome = QUEUE_FULL;
    const char *id = NULL;
    TRY(queue_accept(store, &acceptance, 1000, turn->fixture->arena, &outcome, &id));
    if (turn->stirring != NULL) {
        assert_int_equal(
            pthread_create(&turn->stirring->thread, NULL, stir_all, turn->stirring), 0);
        bool waits = false;
        for (int i = 0; i < 1000 && !waits; i++) {
            char *count CLEANUP(xfreep) = store_lab_sql(turn->fixture->path,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock'");
            waits = strncmp(count, "1", 1) == 0;
        }
        assert_true(waits);
    }
    return NULL;
}

// They lock lanes in another order than a group does: each would wait for the other.
static void
who_stirs_all_lanes_waits_for_groups(void **state)
{
    struct queue_fixture *fixture = *state;
    if (!store_lab_is_postgres()) {
        return; // one writer at a time
    }
    const struct queue_job first = queue_fixture_job("d-1", "aaa", "production");
    const struct queue_job last = queue_fixture_job("d-2", "zzz", "production");
    (void)queue_fixture_accept(fixture, &first, 1000);
    (void)queue_fixture_accept(fixture, &last, 1000);
    struct stirring stirring = {.path = fixture->path};
    struct lanes_in_turn turns[] = {
        {fixture, "d-3", "zzz", &stirring}, {fixture, "d-4", "aaa", NULL}};
    struct store_op ops[] = {{accept_in_lane, &turns[0], NULL}, {accept_in_lane, &turns[1], NULL}};
    struct error *err CLEANUP(error_freep) = store_group(fixture->store, ops, ARRAY_LENGTH(ops));
    (void)pthread_join(stirring.thread, NULL);
    assert_null(err);
    assert_null(ops[0].err);
    assert_null(ops[1].err);
    assert_false(stirring.failed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(a_request_that_comes_again_makes_nothing_new),
        QUEUE_TEST(what_was_accepted_is_found_by_key_and_token),
        QUEUE_TEST(a_key_is_of_one_request),
        QUEUE_TEST(a_token_is_spent_once),
        QUEUE_TEST(a_full_lane_takes_no_more_and_keeps_nothing),
        QUEUE_TEST(the_latest_takes_the_place_of_older_ones),
        QUEUE_TEST(the_latest_is_of_the_latest_run),
        QUEUE_TEST(those_that_go_are_named),
        QUEUE_TEST(an_emergency_is_dropped_only_by_another),
        QUEUE_TEST(what_is_superseded_makes_room),
        QUEUE_TEST(a_decision_about_what_was_superseded_counts_no_more),
        QUEUE_TEST(one_of_a_group_that_fails_undoes_only_itself),
        QUEUE_TEST(what_failed_in_part_fails_as_a_whole),
        QUEUE_TEST(a_group_on_a_broken_handle_leaves_nothing),
        QUEUE_TEST(of_many_that_send_the_same_one_is_accepted),
        QUEUE_TEST(who_lost_the_fence_writes_nothing),
        QUEUE_TEST(who_stirs_all_lanes_waits_for_groups),
    };
    return store_lab_run(tests, ARRAY_LENGTH(tests));
}
