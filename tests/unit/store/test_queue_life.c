// Whatever is done to the queue, by how many, in which order, and however they die: what must hold,
// holds. Also that the hot statements go by an index. A failure names the seed: QUEUE_SEED=n
// repeats one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit_internal.h"
#include "child.h"
#include "dispatcher/memory.h"
#include "queue_fixture.h"
#include "queue_internal.h"
#include "store_lab.h"

enum { HANDLES = 3, JOBS_MAX = 600, HELD_MAX = 8, LANES = 3, ROUNDS = 250 };

// What is remembered of a job from one look to the next.
struct memory {
    int64_t fence, ended_ms;
    bool is_final;
};

// A replica: a handle, and what it believes to hold.
struct replica {
    struct store *store;
    const char *owner;
    struct queue_job held[HELD_MAX];
    size_t count;
};

struct world {
    struct queue_fixture *fixture;
    struct replica replicas[HANDLES];
    struct memory memory[JOBS_MAX];
    uint64_t random, seed;
    int64_t now;
    int accepted, ended;
};

static uint32_t
roll(struct world *world, uint32_t sides)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (uint32_t)(world->random >> 32) % sides;
}

static void
check(struct world *world, bool holds, const char *what)
{
    if (!holds) {
        fail_msg("QUEUE_SEED=%llu: %s", (unsigned long long)world->seed, what);
    }
}

// NULL, or it was taken over; nothing else may go wrong.
static bool
worked(struct world *world, struct error *err)
{
    if (err == NULL) {
        return true;
    }
    check(world, error_kind(err) == ERROR_CONFLICT, error_message(err));
    error_free(err);
    return false;
}

static void
sure(struct world *world, struct error *err)
{
    check(world, worked(world, err), "a conflict where there can be none");
}

// --- what must hold ------------------------------------------------------------------------------

static int64_t
number_of(struct store *store, const char *sql)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    int64_t number = query_row(&query) ? query_get_int(&query, 0) : -1;
    assert_null(query_finish(&query));
    return number;
}

static const char two_running[] =
    "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 'running' GROUP BY app, env"
    " HAVING count(*) > 1) AS lanes";
static const char wrong_counts[] =
    "SELECT count(*) FROM job_lanes l WHERE queued <> (SELECT count(*) FROM jobs j"
    " WHERE j.app = l.app AND j.env = l.env AND j.state = 'queued')";
static const char wrong_due[] =
    "SELECT count(*) FROM job_lanes l WHERE coalesce(l.due_ms, -1) <> coalesce(CASE WHEN EXISTS"
    " (SELECT 1 FROM jobs r WHERE r.app = l.app AND r.env = l.env AND r.state = 'running') THEN -1"
    " ELSE (SELECT j.due_ms FROM jobs j WHERE j.app = l.app AND j.env = l.env"
    "  AND j.state = 'queued' ORDER BY j.urgent DESC, j.number LIMIT 1) END, -1)";
static const char wrong_leases[] =
    "SELECT count(*) FROM jobs WHERE (owner IS NOT NULL AND (state = 'final'"
    " OR lease_until_ms <> due_ms)) OR (owner IS NULL AND lease_until_ms <> 0) OR attempts > 3"
    " OR (state = 'running' AND started_ms = 0) OR (state = 'final' AND ended_ms = 0)";

static void
check_rows(struct world *world, struct store *store)
{
    check(world, number_of(store, two_running) == 0, "two of a lane run");
    check(world, number_of(store, wrong_counts) == 0, "a lane miscounts what is queued");
    check(world, number_of(store, wrong_due) == 0, "a lane is due at another time than its head");
    check(world, number_of(store, wrong_leases) == 0, "a lease, or a time, makes no sense");
}

// A fence only grows, and what has ended stays as it ended.
static void
check_jobs(struct world *world)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct queue_job *jobs = NULL;
    size_t count = 0;
    const struct queue_filter all = {.limit = JOBS_MAX, .oldest_first = true};
    sure(world, queue_list(world->replicas[0].store, &all, arena, &jobs, &count));
    check(world, (int)count == world->accepted, "a job is lost, or was made by nobody");
    for (size_t i = 0; i < count; i++) {
        struct memory *memory = &world->memory[i];
        bool is_final = strcmp(jobs[i].state, "final") == 0;
        check(world, jobs[i].fence >= memory->fence, "a fence fell");
        check(world, !memory->is_final || (is_final && jobs[i].ended_ms == memory->ended_ms),
            "a job ended twice");
        *memory = (struct memory){jobs[i].fence, jobs[i].ended_ms, is_final};
    }
}

// --- what is done --------------------------------------------------------------------------------

static void
do_accept(struct world *world, struct replica *replica)
{
    struct arena *arena = world->fixture->arena;
    if (world->accepted >= JOBS_MAX) {
        return;
    }
    struct queue_job job = queue_fixture_job(arena_printf(arena, "d-%d", world->accepted),
        arena_printf(arena, "app-%u", roll(world, LANES)), "production");
    job.latest = roll(world, 4) == 0;
    job.urgent = roll(world, 8) == 0;
    job.emergency = roll(world, 8) == 0;
    job.verb = roll(world, 4) == 0 ? "rollback" : "deploy";
    const struct queue_acceptance acceptance = {.job = &job,
        .idempotency = {"s", arena_printf(arena, "k%u", roll(world, 1000)), "h"},
        .limit = 6};
    enum queue_accepted outcome = QUEUE_FULL;
    const char *id = NULL;
    sure(world, queue_accept(replica->store, &acceptance, world->now, arena, &outcome, &id));
    world->accepted += outcome == QUEUE_NEW ? 1 : 0;
}

static void
do_lease(struct world *world, struct replica *replica)
{
    struct queue_job *jobs = NULL;
    size_t count = 0, max = roll(world, 3) + 1;
    int64_t lease_ms = 10 + roll(world, 50);
    max = max < HELD_MAX - replica->count ? max : HELD_MAX - replica->count;
    if (max == 0) {
        replica->count = 0; // it died, and lost what it held
        return;
    }
    struct error *err = roll(world, 2) == 0
                            ? queue_lease_heads(replica->store, replica->owner, world->now,
                                  lease_ms, max, world->fixture->arena, &jobs, &count)
                            : queue_lease_running(replica->store, replica->owner, world->now,
                                  lease_ms, max, world->fixture->arena, &jobs, &count);
    sure(world, err);
    check(world, count <= max, "more was leased than asked for");
    for (size_t i = 0; i < count; i++) {
        check(world, strcmp(jobs[i].owner, replica->owner) == 0, "the lease is not its owner's");
        replica->held[replica->count++] = jobs[i];
    }
}

// It may start only as the first of its lane, and when nothing has happened since it was leased.
static void
start_held(struct world *world, struct replica *replica, struct queue_job *job)
{
    struct query query CLEANUP(query_done);
    query_init(&query, replica->store,
        "SELECT count(*) + (SELECT nudged FROM jobs WHERE id = ?1)"
        " FROM jobs a JOIN jobs b ON a.app = b.app AND a.env = b.env"
        " WHERE b.id = ?1 AND a.number <> b.number AND (a.state = 'running' OR (a.state = 'queued'"
        " AND (a.urgent > b.urgent OR (a.urgent = b.urgent AND a.number < b.number))))");
    query_text(&query, job->id);
    int64_t before = query_row(&query) ? query_get_int(&query, 0) : -1;
    sure(world, query_finish(&query));
    bool started = false;
    if (worked(world, queue_start(replica->store, job, world->now, &started))) {
        check(world, started == (before == 0), "it started out of its turn, or not in it");
        job->state = started ? "running" : job->state;
    }
}

static void
do_work(struct world *world, struct replica *replica)
{
    if (replica->count == 0) {
        return;
    }
    struct queue_job *job = &replica->held[replica->count - 1];
    bool queued = strcmp(job->state, "queued") == 0;
    job->due_ms = world->now + roll(world, 100);
    switch (roll(world, 5)) {
    case 0:
        if (worked(world, queue_renew(replica->store, job, world->now + 30))) {
            job->lease_until_ms = world->now + 30;
        }
        return;
    case 1:
        job->result = queued ? "refused" : "deployed";
        world->ended += worked(world, queue_end(replica->store, job, world->now)) ? 1 : 0;
        break;
    case 2:
        if (queued) {
            start_held(world, replica, job);
            return;
        }
        break; // it dies with it
    default:
        job->infra = queued ? job->infra : "acme/infra";
        job->run_id = queued ? job->run_id : job->number;
        (void)worked(
            world, queued ? queue_hold(replica->store, job) : queue_park(replica->store, job));
        break;
    }
    replica->count--;
}

static void
do_meddle(struct world *world, struct replica *replica)
{
    const char *id =
        arena_printf(world->fixture->arena, "d-%u", roll(world, (uint32_t)world->accepted + 1));
    bool flag = false;
    switch (roll(world, 5)) {
    case 0:
        sure(world, queue_cancel(replica->store, id, "octocat", "why", world->now, &flag));
        break;
    case 1:
        sure(world, queue_hurry(replica->store, id));
        break;
    case 2:
        sure(world, queue_stir(replica->store, NULL, NULL, world->now));
        break;
    case 3:
        sure(world, queue_stir(replica->store, "app-1", "production", world->now));
        break;
    default:
        sure(world, queue_poke(replica->store, "acme/infra", roll(world, 100), world->now, &flag));
        break;
    }
}

static void
do_something(struct world *world)
{
    struct replica *replica = &world->replicas[roll(world, HANDLES)];
    uint32_t what = roll(world, 10);
    if (what < 2) {
        do_accept(world, replica);
    } else if (what < 5) {
        do_lease(world, replica);
    } else if (what < 9) {
        do_work(world, replica);
    } else {
        do_meddle(world, replica);
    }
    world->now += roll(world, 12);
}

// Everybody works until all has ended; that must not take for ever.
static void
drain(struct world *world, struct store *store)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (int round = 0; round < 4 * JOBS_MAX; round++) {
        struct queue_job *jobs = NULL;
        size_t count = 0;
        bool started = false;
        world->now += 100000;
        sure(world, queue_lease_heads(store, "last", world->now, 10, 10, arena, &jobs, &count));
        for (size_t i = 0; i < count; i++) {
            sure(world, queue_start(store, &jobs[i], world->now, &started));
            check(world, started, "a head of a free lane does not start");
            sure(world, queue_park(store, &jobs[i]));
        }
        sure(world, queue_lease_running(store, "last", world->now, 10, 100, arena, &jobs, &count));
        for (size_t i = 0; i < count; i++) {
            jobs[i].result = "deployed";
            sure(world, queue_end(store, &jobs[i], world->now));
        }
        if (number_of(store, "SELECT count(*) FROM jobs WHERE state <> 'final'") == 0) {
            return;
        }
    }
    check(world, false, "what was accepted does not end");
}

// The next seed begins with nothing.
static void
empty(struct store *store)
{
    static const char *const tables[] = {"DELETE FROM jobs", "DELETE FROM job_lanes"};
    for (size_t i = 0; i < ARRAY_LENGTH(tables); i++) {
        struct query query CLEANUP(query_done);
        query_init(&query, store, tables[i]);
        assert_null(query_run(&query));
    }
}

static void
live(struct queue_fixture *fixture, uint64_t seed)
{
    static const char *const owners[HANDLES] = {"r0", "r1", "r2"};
    struct world world = {.fixture = fixture, .seed = seed, .random = seed * 2654435761U + 1};
    world.now = 1000;
    for (size_t i = 0; i < HANDLES; i++) {
        world.replicas[i].owner = owners[i];
        assert_null(store_open(fixture->path, &world.replicas[i].store));
    }
    for (int round = 0; round < ROUNDS; round++) {
        do_something(&world);
        check_rows(&world, world.replicas[0].store);
        if (round % 8 == 0) {
            check_jobs(&world);
        }
    }
    drain(&world, world.replicas[1].store);
    check_rows(&world, world.replicas[0].store);
    check_jobs(&world);
    check(&world, world.accepted > 10, "hardly anything happened");
    for (size_t i = 0; i < HANDLES; i++) {
        store_close(world.replicas[i].store);
    }
    empty(fixture->store);
}

static void
all_seeds_hold(void **state)
{
    struct queue_fixture *fixture = *state;
    const char *only = getenv("QUEUE_SEED");
    if (only != NULL) {
        live(fixture, strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= 12; seed++) {
        live(fixture, seed);
    }
}

// --- killed --------------------------------------------------------------------------------------

struct crew {
    const char *path;
    int number;
};

// Accepts, leases, starts and ends as fast as it can, and says what has become durable.
static void
work_for_ever(void *ctx, int out)
{
    const struct crew *crew = ctx;
    struct store *store = NULL;
    struct error *err = store_open(crew->path, &store);
    struct arena *arena = arena_new();
    const char *owner = arena_printf(arena, "w%d", (int)getpid());
    for (int i = 0; err == NULL; i++) {
        struct queue_job job = queue_fixture_job(
            arena_printf(arena, "d-%d-%d", (int)getpid(), i), i % 3 == 0 ? "a" : "b", "production");
        job.urgent = i % 7 == 0;
        job.latest = i % 5 == 0;
        const struct queue_acceptance acceptance = {.job = &job, .limit = 20};
        const struct audit_entry entry = {
            .kind = "decision", .verdict = "allow", .deployment = job.id};
        enum queue_accepted outcome = QUEUE_FULL;
        const char *id = NULL;
        struct queue_job *jobs = NULL;
        size_t count = 0;
        bool started = false;
        err = queue_accept(store, &acceptance, 1000 + i, arena, &outcome, &id);
        if (err == NULL && outcome == QUEUE_NEW) {
            child_say(out, arena_printf(arena, "accepted %s", job.id));
        }
        if (err == NULL && i % 4 == 0) {
            err = queue_stir(store, NULL, "production", 1000 + i);
        } else if (err == NULL && i % 4 == 1) {
            err = queue_hurry(store, arena_printf(arena, "d-%d-%d", (int)getpid(), i - 3));
        } else if (err == NULL && i % 4 == 2) {
            err = queue_cancel(store, arena_printf(arena, "d-%d-%d", (int)getpid(), i - 2), "a",
                "b", 1000 + i, &started);
        }
        if (err == NULL) {
            err = audit_add(store, &entry, i);
        }
        if (err == NULL) {
            err = queue_lease_heads(store, owner, 1000 + i, 5, 4, arena, &jobs, &count);
        }
        for (size_t j = 0; err == NULL && j < count; j++) {
            err = queue_start(store, &jobs[j], 1000 + i, &started);
            jobs[j].result = "deployed";
            if (err == NULL && started) {
                err = queue_end(store, &jobs[j], 1000 + i);
                child_say(out, arena_printf(arena, "ended %s", jobs[j].id));
            }
        }
        if (err != NULL && error_kind(err) == ERROR_CONFLICT) {
            error_free(err); // its lease of a few milliseconds ran out
            err = NULL;
        }
    }
    child_say(out, error_message(err));
}

static void
assert_remembered(struct queue_fixture *fixture, const char *said)
{
    bool accepted = strncmp(said, "accepted ", 9) == 0;
    if (!accepted && strncmp(said, "ended ", 6) != 0) {
        fail_msg("it said: %s", said);
    }
    const struct queue_job *job = queue_fixture_get(fixture, said + (accepted ? 9 : 6));
    assert_true(accepted || strcmp(job->state, "final") == 0);
}

static void
who_is_killed_leaves_whole_transactions(void **state)
{
    struct queue_fixture *fixture = *state;
    struct world world = {.fixture = fixture, .now = 1000000};
    for (int round = 0; round < 8; round++) {
        struct crew crew = {fixture->path, round};
        struct child first, second;
        struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
        child_start(&first, work_for_ever, &crew);
        child_start(&second, work_for_ever, &crew);
        for (int i = 0; i < 5 + round * 7; i++) {
            assert_true(child_hear(&first, &line));
            assert_remembered(fixture, buf_cstr(&line));
        }
        child_kill(&first);
        child_kill(&second);
        store_closep(&fixture->store);
        assert_null(store_open(fixture->path, &fixture->store));
        assert_remembered(fixture, buf_cstr(&line));
        check_rows(&world, fixture->store);
    }
    drain(&world, fixture->store);
    check_rows(&world, fixture->store);
    struct audit_verdict verdict = {0};
    assert_null(audit_verify(fixture->store, fixture->arena, &verdict));
    assert_int_equal(verdict.broken_at, 0);
    assert_in_range(verdict.entries, 8, 1000000);
}

// --- plans ---------------------------------------------------------------------------------------

static const char fill_jobs[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
    " INSERT INTO jobs (id, app, env, verb, request, state, latest, emergency, urgent,"
    " repository_id, created_ms, due_ms) SELECT 'x' || i, 'app' || (i % 500), 'production', "
    "'deploy',"
    " '{}', 'queued', 0, 0, 0, i % 500, i, i FROM n";
static const char fill_lanes[] =
    "INSERT INTO job_lanes (app, env, queued, due_ms) SELECT app, env, count(*), min(due_ms)"
    " FROM jobs GROUP BY app, env ON CONFLICT (app, env) DO UPDATE SET queued = excluded.queued";

static void
run(struct store *store, const char *sql)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    assert_null(query_run(&query));
}

// What goes through the queue all day.
static void
use_everything(struct queue_fixture *fixture)
{
    struct queue_job job = queue_fixture_job("d-1", "app7", "production");
    job.latest = true;
    struct store *store = fixture->store;
    struct arena *arena = fixture->arena;
    struct queue_job *jobs = NULL;
    size_t count = 0;
    bool flag = false;
    int64_t number = 0;
    const char *id = NULL;
    enum queue_accepted outcome = QUEUE_FULL;
    const struct queue_acceptance acceptance = {
        .job = &job, .idempotency = {"s", "k", "h"}, .jti = "j"};
    const struct audit_entry entry = {.kind = "decision", .verdict = "allow"};
    assert_null(queue_accept(store, &acceptance, 1, arena, &outcome, &id));
    assert_null(queue_accept(store, &acceptance, 1, arena, &outcome, &id));
    assert_null(audit_add(store, &entry, 1));
    jobs = queue_fixture_heads(fixture, "w", 20000, &count);
    assert_int_equal(count, 100);
    assert_null(queue_hold(store, &jobs[0]));
    assert_null(queue_start(store, &jobs[1], 20000, &flag));
    assert_null(queue_renew(store, &jobs[1], 21000));
    jobs[1].infra = "acme/infra";
    jobs[1].run_id = 7;
    assert_null(queue_park(store, &jobs[1]));
    assert_null(queue_poke(store, "acme/infra", 7, 20000, &flag));
    jobs = queue_fixture_running(fixture, "w", 30000, &count);
    assert_int_equal(count, 1);
    struct queue_job *first = NULL;
    assert_null(queue_position(store, queue_fixture_get(fixture, "x9999"), arena, &number, &first));
    assert_non_null(first);
    assert_null(queue_usual_ms(store, "app7", "production", &number));
    store_set_fence(store, jobs[0].id, jobs[0].fence);
    assert_null(store_check_fence(store, jobs[0].id));
    queue_fixture_end(fixture, &jobs[0], "deployed", 30000);
    assert_null(queue_cancel(store, "x9999", "a", "b", 30000, &flag));
    assert_null(queue_hurry(store, "x9998"));
    static const struct queue_filter filters[] = {{.app = "app7", .env = "production"},
        {.app = "app7"}, {.repository_id = 7}, {.state = "queued"}, {.state = "running"},
        {.before = 50}, {.oldest_first = true, .app = "app7"}};
    for (size_t i = 0; i < ARRAY_LENGTH(filters); i++) {
        assert_null(queue_list(store, &filters[i], arena, &jobs, &count));
    }
    static const struct audit_filter entries[] = {
        {.app = "a"}, {.app = "a", .env = "b"}, {.actor = "a"}, {.deployment = "d"}, {.after = 1}};
    for (size_t i = 0; i < ARRAY_LENGTH(entries); i++) {
        struct audit_entry *found = NULL;
        assert_null(audit_list(store, &entries[i], arena, &found, &count));
    }
    const struct queue_retention retention = {1, 1};
    struct queue_delivery *deliveries = NULL;
    struct queue_release *release = NULL;
    assert_null(queue_retain(store, &retention, 40000, &count));
    assert_null(queue_deliveries_take(store, 5, arena, &deliveries, &count));
    assert_null(queue_release_at(store, "a", "b", 5, arena, &release));
}

static void
assert_searches(struct queue_fixture *fixture, const char *sql)
{
    char *explain CLEANUP(xfreep) = xasprintf("EXPLAIN QUERY PLAN %s", sql); // outlives the query
    struct query query CLEANUP(query_done);
    query_init(&query, fixture->store, explain);
    while (query_row(&query)) {
        const char *detail = query_get_text(&query, 3, fixture->arena);
        // A partial index of what is queued, runs or is new holds no other rows.
        bool scans = strncmp(detail, "SCAN ", 5) == 0 && strstr(detail, "CONSTANT ROW") == NULL &&
                     strstr(detail, "USING INDEX jobs_queued") == NULL &&
                     strstr(detail, "USING INDEX deliveries_open") == NULL &&
                     strstr(detail, "USING INDEX jobs_one_running") == NULL &&
                     strstr(detail, "SCAN last") == NULL && strstr(detail, "SCAN head") == NULL;
        if (scans) {
            fail_msg("'%s' in the plan of: %s", detail, sql);
        }
    }
    assert_null(query_finish(&query));
}

static void
hot_statements_go_by_an_index(void **state)
{
    struct queue_fixture *fixture = *state;
    if (store_lab_is_postgres()) {
        return; // its plans depend on its statistics
    }
    run(fixture->store, fill_jobs);
    run(fixture->store, fill_lanes);
    store_closep(&fixture->store);
    assert_null(store_open(fixture->path, &fixture->store)); // nothing is prepared so far
    use_everything(fixture);
    size_t looked_at = 0;
    const char *texts[ARRAY_LENGTH(fixture->store->cache.entries)] = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        const char *text = fixture->store->cache.entries[i].text;
        texts[i] = text != NULL ? arena_dup(fixture->arena, text) : NULL;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        bool is_hot = texts[i] != NULL && strchr("SUID", texts[i][0]) != NULL &&
                      strncmp(texts[i], "SAVEPOINT", 9) != 0 &&
                      strstr(texts[i], "sqlite_schema") == NULL;
        if (is_hot) {
            assert_searches(fixture, texts[i]);
            looked_at++;
        }
    }
    assert_in_range(looked_at, 45, 120);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(all_seeds_hold),
        QUEUE_TEST(who_is_killed_leaves_whole_transactions),
        QUEUE_TEST(hot_statements_go_by_an_index),
    };
    return store_lab_run(tests, ARRAY_LENGTH(tests));
}
