// The shared poll: what it asks of GitHub, what it costs, and which jobs it tells.
//
// wraps: feed_news
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "ask_internal.h"
#include "poll_internal.h"
#include "script_transport.h"
#include "service_world.h"

#define API "https://api.github.com/repos/acme/infra"
#define PAGES API "/actions/runs?event=workflow_dispatch&per_page=100&page="
#define PAGE(number) PAGES #number
#define OPEN(status)                                                                               \
    API "/actions/runs?event=workflow_dispatch&status=" status "&per_page=100&page="

static struct {
    int64_t runs[2048];
    size_t count;
} told;

void __wrap_feed_news(struct service *service, const char *repository, int64_t run_id);
void
__wrap_feed_news(struct service *service, const char *repository, int64_t run_id)
{
    (void)service;
    assert_string_equal(repository, "acme/infra");
    told.runs[told.count++] = run_id;
}

static void
assert_told(size_t count, int64_t first)
{
    assert_int_equal(told.count, count);
    if (count > 0) {
        assert_int_equal(told.runs[0], first);
    }
    told.count = 0;
}

struct world {
    struct service *service;
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct poller *poller;
    struct arena *arena;
    int jobs;
};

static void
world_begin(struct world *world, const struct script_step *steps, size_t count)
{
    static const char *const env[] = {"GITHUB_TOKEN=ghp_test", NULL};
    told.count = 0;
    *world = (struct world){.service = world_new(), .arena = arena_new()};
    world->fake = fake_platform_new(env);
    fake_platform_fix_random(world->fake, 0.5); // no jitter
    world->script = script_transport_new(world->fake, steps, count);
    world->service->platform = world->fake->platform;
    assert_null(http_client_new(&world->fake->platform, NULL, &world->http));
    world->poller = poll_new(world->service, world->http, world->service->store);
}

static void
world_end(struct world *world)
{
    script_transport_finish(world->script);
    poll_free(world->poller);
    http_client_free(world->http);
    script_transport_free(world->script);
    fake_platform_free(world->fake);
    arena_free(world->arena);
    world_freep(&world->service);
}

// A running job that waits for a run.
static void
put_run(struct world *world, int64_t run_id)
{
    struct store *store = world->service->store;
    struct queue_job *jobs = NULL;
    enum queue_accepted outcome = QUEUE_FULL;
    size_t count = 0;
    const char *id = NULL;
    bool started = false;
    int number = ++world->jobs;
    const struct queue_job job = {.id = arena_printf(world->arena, "d-%d", number),
        .app = arena_printf(world->arena, "app-%d", number),
        .env = "staging",
        .verb = "deploy",
        .request = "{}",
        .requester = "octocat"};
    const struct queue_acceptance acceptance = {.job = &job};
    int64_t now = world->fake->wall_ms;
    assert_null(queue_accept(store, &acceptance, now, world->arena, &outcome, &id));
    assert_null(queue_lease_heads(store, "w", now, 1000, 10, world->arena, &jobs, &count));
    assert_int_equal(count, 1);
    assert_null(queue_start(store, &jobs[0], now, &started));
    jobs[0].infra = "acme/infra";
    jobs[0].run_id = run_id;
    jobs[0].due_ms = now + 3600 * 1000;
    assert_null(queue_park(store, &jobs[0]));
}

static void
round_after(struct world *world, int64_t ms)
{
    int64_t next = 0;
    fake_platform_advance(world->fake, ms);
    assert_null(poll_round(world->poller, &next));
    assert_true(next > world->fake->mono_ms);
}

#define RUN_AT(id, status, conclusion, updated)                                                    \
    "{\"id\":" #id ",\"status\":\"" status "\",\"conclusion\":" conclusion                         \
    ",\"html_url\":\"u\",\"path\":\"p\",\"event\":\"workflow_dispatch\",\"head_sha\":\"s\","       \
    "\"created_at\":\"2026-11-21T07:48:00Z\",\"updated_at\":\"2026-11-21T07:" updated "Z\"}"
#define RUNS(list) "{\"total_count\":1,\"workflow_runs\":[" list "]}"

static const char *const etag_a[] = {"ETag: \"a\"", NULL};
static const char *const etag_and_more[] = {
    "ETag: \"a\"", "Link: <" PAGE(2) ">; rel=\"next\"", NULL};
static const char *const etag_b[] = {"ETag: \"b\"", NULL};
static const char *const asks_a[] = {"If-None-Match: \"a\"", NULL};
static const char *const asks_nothing[] = {
    "!If-None-Match", "Authorization: Bearer ghp_test", NULL};

static void
a_run_that_moved_is_told_and_one_that_did_not_costs_nothing(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = PAGE(1),
            .headers = asks_nothing,
            .reply_headers = etag_a,
            .reply = RUNS(RUN_AT(9, "queued", "null", "48:10") "," RUN_AT(
                8, "in_progress", "null", "48:00"))},
        {.url = PAGE(1), .headers = asks_a, .status = 304},
        {.url = PAGE(1),
            .headers = asks_a,
            .reply_headers = etag_b,
            .reply = RUNS(RUN_AT(9, "in_progress", "null", "49:10") "," RUN_AT(
                8, "in_progress", "null", "48:00"))},
    };
    struct world world;
    world_begin(&world, steps, 3);
    put_run(&world, 9);
    put_run(&world, 8);
    round_after(&world, 0); // at once: nobody knows what was missed
    round_after(&world, 59 * 1000);
    assert_int_equal(script_transport_request_count(world.script), 1); // not its time yet
    assert_told(0, 0); // each looked at its run when it began
    round_after(&world, 2 * 1000);
    assert_told(0, 0);
    assert_int_equal(world.service->counters[METRIC_GITHUB_COUNTED], 1);
    assert_int_equal(world.service->counters[METRIC_GITHUB_SENT], 2);
    round_after(&world, 60 * 1000);
    assert_told(1, 9);
    assert_int_equal(world.service->counters[METRIC_POLLS], 3);
    world_end(&world);
}

static void
a_run_that_is_over_is_told_until_its_job_has_seen_it(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = PAGE(1),
            .reply_headers = etag_a,
            .reply = RUNS(RUN_AT(9, "completed", "\"success\"", "48:10"))},
        {.url = PAGE(1), .headers = asks_a, .status = 304},
    };
    struct world world;
    world_begin(&world, steps, 2);
    put_run(&world, 9);
    round_after(&world, 0);
    assert_told(1, 9); // at first sight
    round_after(&world, 60 * 1000);
    assert_told(1, 9); // the hint was lost, or its look failed
    world_end(&world);
}

static void
pages_are_read_back_to_the_oldest_that_is_waited_for(void **state)
{
    (void)state;
    static const char *const link[] = {"ETag: \"a\"", "Link: <" PAGE(2) ">; rel=\"next\"", NULL};
    static const struct script_step steps[] = {
        {.url = PAGE(1),
            .reply_headers = link,
            .reply = RUNS(RUN_AT(9, "queued", "null", "48:00"))},
        {.url = PAGE(2),
            .reply_headers = link,
            .reply = RUNS("{\"id\":3,\"status\":\"queued\",\"html_url\":\"u\",\"path\":\"p\","
                          "\"event\":\"e\",\"head_sha\":\"s\",\"created_at\":"
                          "\"2026-11-20T07:48:00Z\"}")},
    };
    struct world world;
    world_begin(&world, steps, 2);
    put_run(&world, 9);
    round_after(&world, 0); // the third page holds only what is older still
    assert_told(0, 0);
    world_end(&world);
}

static void
a_round_keeps_its_budget_and_the_next_goes_on(void **state)
{
    (void)state;
    static const int newest[] = {1, 2, 3, 0, 0, 0, 1, 2, 3, 0, 0, 0}; // every page has changed
    static const int open[] = {0, 0, 0, 1, 2, 3, 0, 0, 0, 4, 5, 6};
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct script_step steps[ARRAY_LENGTH(newest)] = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(newest); i++) {
        steps[i] = (struct script_step){
            .url = newest[i] != 0 ? arena_printf(arena, "%s%d", PAGES, newest[i])
                                  : arena_printf(arena, "%s%d", OPEN("in_progress"), open[i]),
            .reply_headers = etag_and_more,
            .reply = RUNS(RUN_AT(9, "in_progress", "null", "48:00"))};
    }
    struct world world;
    world_begin(&world, steps, ARRAY_LENGTH(newest));
    put_run(&world, 9);
    round_after(&world, 0);
    assert_int_equal(world.service->counters[METRIC_GITHUB_COUNTED], 6);
    round_after(&world, 60 * 1000);
    assert_int_equal(world.service->counters[METRIC_GITHUB_COUNTED], 12);
    assert_told(0, 0);
    world_end(&world);
}

#define NEWEST_AS_THEY_WERE                                                                        \
    {.url = PAGE(1), .status = 304}, {.url = PAGE(2), .status = 304},                              \
    {                                                                                              \
        .url = PAGE(3), .status = 304                                                              \
    }
#define EMPTY(name)                                                                                \
    {                                                                                              \
        .url = OPEN(name) "1", .reply_headers = etag_a, .reply = RUNS("")                          \
    }
#define AS_IT_WAS(name)                                                                            \
    {                                                                                              \
        .url = OPEN(name) "1", .headers = asks_a, .status = 304                                    \
    }
#define GOES_ON(id) RUN_AT(id, "in_progress", "null", "48:00")

// What ended between the newest and the oldest is found by its absence, where it stood; what only
// moved to another page is not missed; what no list has at all is told once.
static void
a_run_that_left_its_list_is_told(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = PAGE(1), .reply_headers = etag_and_more, .reply = RUNS(GOES_ON(99))},
        {.url = PAGE(2), .reply_headers = etag_and_more, .reply = RUNS(GOES_ON(98))},
        {.url = PAGE(3), .reply_headers = etag_and_more, .reply = RUNS(GOES_ON(97))},
        {.url = OPEN("in_progress") "1",
            .reply_headers = etag_and_more,
            .reply = RUNS(GOES_ON(40) "," GOES_ON(30))},
        {.url = OPEN("in_progress") "2",
            .reply_headers = etag_a,
            .reply = RUNS(GOES_ON(20) "," GOES_ON(10))},
        EMPTY("queued"), // six
        NEWEST_AS_THEY_WERE,
        EMPTY("waiting"),
        EMPTY("pending"),
        EMPTY("requested"), // all were read, and it begins anew
        {.url = OPEN("in_progress") "1",
            .headers = asks_a,
            .reply_headers = etag_and_more,
            .reply = RUNS(GOES_ON(40) "," GOES_ON(20))},
        {.url = OPEN("in_progress") "2",
            .headers = asks_a,
            .reply_headers = etag_a,
            .reply = RUNS(GOES_ON(10))},
        AS_IT_WAS("queued"),
        AS_IT_WAS("waiting"),
        AS_IT_WAS("pending"),
        AS_IT_WAS("requested"),
        NEWEST_AS_THEY_WERE,
        {.url = OPEN("in_progress") "1", .headers = asks_a, .status = 304},
        {.url = OPEN("in_progress") "2", .headers = asks_a, .status = 304},
        AS_IT_WAS("queued"),
        AS_IT_WAS("waiting"),
        AS_IT_WAS("pending"),
        AS_IT_WAS("requested"),
        NEWEST_AS_THEY_WERE,
        {.url = OPEN("in_progress") "1", .headers = asks_a, .status = 304},
        {.url = OPEN("in_progress") "2", .headers = asks_a, .status = 304},
        AS_IT_WAS("queued"),
        AS_IT_WAS("waiting"),
        AS_IT_WAS("pending"),
        AS_IT_WAS("requested"),
        {.url = API "/actions/runs/15", .reply = GOES_ON(15)},
        {.url = API "/actions/runs/30", .reply = GOES_ON(30)},
    };
    struct world world;
    world_begin(&world, steps, ARRAY_LENGTH(steps));
    for (int64_t id = 10; id <= 40; id += 10) {
        put_run(&world, id);
    }
    put_run(&world, 15);
    round_after(&world, 0);
    assert_told(0, 0);
    round_after(&world, 60 * 1000);
    assert_int_equal(told.runs[1], 15); // on no list while all were read
    assert_told(2, 30);
    round_after(&world, 60 * 1000);
    assert_told(0, 0);
    assert_int_equal(world.service->counters[METRIC_GITHUB_COUNTED], 11);
    round_after(&world, 60 * 1000);
    assert_told(2, 15); // two minutes later, since their jobs still wait
    world_end(&world);
}

// However much changes: what is on no list is asked for by itself.
static void
changing_pages_leave_something_for_the_lost(void **state)
{
    (void)state;
#define NEWEST_CHANGED                                                                             \
    {.url = PAGE(1), .reply_headers = etag_and_more, .reply = RUNS(GOES_ON(99))},                  \
        {.url = PAGE(2), .reply_headers = etag_and_more, .reply = RUNS(GOES_ON(98))},              \
    {                                                                                              \
        .url = PAGE(3), .reply_headers = etag_and_more, .reply = RUNS(GOES_ON(97))                 \
    }
    static const struct script_step steps[] = {
        NEWEST_CHANGED,
        EMPTY("in_progress"),
        EMPTY("queued"),
        EMPTY("waiting"),
        NEWEST_CHANGED,
        EMPTY("pending"),
        EMPTY("requested"), // the end of the first sweep
        EMPTY("in_progress"),
        NEWEST_CHANGED,
        EMPTY("queued"),
        EMPTY("waiting"),
        EMPTY("pending"),
        NEWEST_CHANGED,
        EMPTY("requested"), // of the second
        EMPTY("in_progress"),
        EMPTY("queued"),
        NEWEST_CHANGED,
        EMPTY("waiting"),
        {.url = API "/actions/runs/5", .reply = GOES_ON(5)},
    };
    struct world world;
    world_begin(&world, steps, ARRAY_LENGTH(steps));
    put_run(&world, 5);
    for (int round = 0; round < 3; round++) {
        round_after(&world, round == 0 ? 0 : 60 * 1000);
        assert_told(0, 0);
    }
    round_after(&world, 60 * 1000);
    assert_told(1, 5);
    round_after(&world, 60 * 1000);
    assert_int_equal(world.service->counters[METRIC_GITHUB_COUNTED], 6 + 6 + 6 + 6 + 5);
    world_end(&world);
}

// A list by state ends at 1,000: that an older run is not on it says nothing.
static void
what_a_list_has_no_room_for_is_not_missed(void **state)
{
    (void)state;
    static const int order[] = {1, 2, 3, 101, 102, 103, 1, 2, 3, 104, 105, 106, 107, 108, 109, 1, 2,
        3, 110, 200, 300, 400, 500, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 200, 300, 400,
        500};
    static const char *const states[] = {"queued", "waiting", "pending", "requested"};
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct script_step steps[ARRAY_LENGTH(order)] = {0};
    struct buf full CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (int i = 0; i < 100; i++) {
        buf_printf(&full,
            "%s{\"id\":%d,\"status\":\"in_progress\",\"html_url\":\"u\",\"path\":\"p\",\"event\":"
            "\"e\",\"head_sha\":\"s\",\"created_at\":\"2026-11-21T07:48:00Z\"}",
            i > 0 ? "," : "", 200 - i);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
        int at = order[i];
        steps[i] = (struct script_step){
            .url = at < 100   ? arena_printf(arena, "%s%d", PAGES, at)
                   : at < 200 ? arena_printf(arena, "%s%d", OPEN("in_progress"), at - 100)
                              : arena_printf(arena, OPEN("%s") "1", states[at / 100 - 2]),
            .reply_headers = at == 110 || at >= 200 ? etag_a : etag_and_more,
            .reply = at == 110  ? arena_printf(arena, "{\"workflow_runs\":[%s]}", buf_cstr(&full))
                     : at < 100 ? RUNS(GOES_ON(50))
                     : at < 200 ? RUNS(GOES_ON(900))
                                : RUNS("")};
        for (size_t before = 0; before < i; before++) { // nothing ever changes
            if (order[before] == at) {
                steps[i].status = 304;
                steps[i].reply = NULL;
            }
        }
    }
    struct world world;
    world_begin(&world, steps, ARRAY_LENGTH(steps));
    put_run(&world, 150);
    put_run(&world, 50); // among the newest, whatever that may mean
    put_run(&world, 40); // nowhere
    round_after(&world, 0);
    round_after(&world, 60 * 1000);
    round_after(&world, 60 * 1000);
    assert_told(0, 0);
    assert_int_equal(world.service->counters[METRIC_GITHUB_COUNTED], 6 + 6 + 5);
    world_end(&world);
}

static void
a_run_on_no_page_is_asked_for_rarely(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = PAGE(1), .reply_headers = etag_a, .reply = RUNS("")},
        {.url = PAGE(1), .headers = asks_a, .status = 304},
        {.url = PAGE(1), .headers = asks_a, .status = 304},
        {.url = API "/actions/runs/5", .reply = RUN_AT(5, "in_progress", "null", "48:00")},
        {.url = PAGE(1), .headers = asks_a, .status = 304},
        {.url = PAGE(1), .headers = asks_a, .status = 304, .times = 4},
        {.url = API "/actions/runs/5", .status = 404, .reply = "{\"message\":\"Not Found\"}"},
    };
    struct world world;
    world_begin(&world, steps, ARRAY_LENGTH(steps));
    put_run(&world, 5);
    round_after(&world, 0);
    for (int i = 0; i < 3; i++) {
        round_after(&world, 61 * 1000);
    }
    assert_told(0, 0);
    for (int i = 0; i < 4; i++) {
        round_after(&world, 61 * 1000);
    }
    assert_told(1, 5); // gone: its job is to find that out
    world_end(&world);
}

static void
github_that_is_away_is_no_failure_of_ours(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = PAGE(1), .status = 500, .reply = "{\"message\":\"oops\"}", .times = 7},
        {.url = PAGE(1), .reply_headers = etag_a, .reply = RUNS("")},
    };
    struct world world;
    world_begin(&world, steps, 2);
    put_run(&world, 9);
    round_after(&world, 0);
    assert_null(world.service->failure);
    round_after(&world, 80 * 1000);
    world_end(&world);
}

static void
only_the_leader_polls(void **state)
{
    (void)state;
    struct world world;
    bool leads = false;
    world_begin(&world, NULL, 0);
    put_run(&world, 9);
    assert_null(queue_lead(world.service->store, "poll:acme/infra", "another", world.fake->wall_ms,
        INT64_C(3600000), &leads));
    assert_true(leads);
    round_after(&world, 0);
    round_after(&world, 61 * 1000);
    assert_int_equal(script_transport_request_count(world.script), 0);
    world_end(&world);
}

// Page `page` of a thousand runs in progress, the newest a minute old, each as old as the next but
// for 200 ms.
static const char *
page_of_thousand(struct arena *arena, int page)
{
    struct buf runs CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (int i = 0; i < 100; i++) {
        int age = (page - 1) * 20 + i / 5;
        buf_printf(&runs,
            "%s{\"id\":%d,\"status\":\"in_progress\",\"html_url\":\"u\",\"path\":\"p\",\"event\":"
            "\"e\",\"head_sha\":\"s\",\"created_at\":\"2026-11-21T07:%02d:%02dZ\"}",
            i > 0 ? "," : "", 2000 - (page - 1) * 100 - i, 47 - age / 60, 59 - age % 60);
    }
    return arena_printf(arena, "{\"workflow_runs\":[%s]}", buf_cstr(&runs));
}

// 1,000 deployments wait: what does a minute cost while nothing happens?
static void
a_thousand_waiting_runs_cost_nothing_while_nothing_happens(void **state)
{
    (void)state;
    enum { PAGE_COUNT = 10, MINUTES = 5, STEPS_MAX = 200 };
    static const char *const states[] = {"queued", "waiting", "pending", "requested"};
    static const int from[] = {1, 4, 10}, to[] = {3, 9, 10}; // of the first rounds' budgets
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct script_step steps[STEPS_MAX] = {0};
    struct world world;
    size_t count = 0;
    for (int round = 0; round < 3; round++) {
        for (int page = 1; page <= (round == 0 ? 3 : 1); page++) {
            steps[count++] = (struct script_step){.url = arena_printf(arena, "%s%d", PAGES, page),
                .status = round == 0 ? 200 : 304,
                .reply_headers = etag_and_more,
                .reply = round == 0 ? page_of_thousand(arena, page) : NULL};
        }
        for (int page = from[round]; page <= to[round]; page++) {
            steps[count++] =
                (struct script_step){.url = arena_printf(arena, "%s%d", OPEN("in_progress"), page),
                    .reply_headers = page < PAGE_COUNT ? etag_and_more : etag_a,
                    .reply = page_of_thousand(arena, page)};
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        steps[count++] = (struct script_step){.url = arena_printf(arena, OPEN("%s") "1", states[i]),
            .reply_headers = etag_a,
            .reply = RUNS("")};
    }
    for (int minute = 0; minute <= MINUTES; minute++) { // the first with what is left of the round
        if (minute > 0) {
            steps[count++] = (struct script_step){.url = PAGE(1), .status = 304};
        }
        for (int page = 1; page <= PAGE_COUNT; page++) {
            steps[count++] = (struct script_step){
                .url = arena_printf(arena, "%s%d", OPEN("in_progress"), page), .status = 304};
        }
        for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
            steps[count++] = (struct script_step){
                .url = arena_printf(arena, OPEN("%s") "1", states[i]), .status = 304};
        }
    }
    world_begin(&world, steps, count);
    for (int i = 0; i < 1000; i++) {
        put_run(&world, 2000 - i);
    }
    for (int round = 0; round < 3; round++) {
        round_after(&world, round == 0 ? 0 : 60 * 1000);
    }
    int64_t before = world.service->counters[METRIC_GITHUB_COUNTED];
    assert_int_equal(before, 6 + 6 + 5);
    for (int i = 0; i < MINUTES; i++) {
        round_after(&world, 60 * 1000);
    }
    assert_int_equal(world.service->counters[METRIC_GITHUB_COUNTED], before);
    assert_told(0, 0);
    world_end(&world);
}

// --- what is remembered --------------------------------------------------------------------------

static void
what_is_seen_is_news_once(void **state)
{
    (void)state;
    struct seen_runs seen = {0};
    const int64_t ids[] = {9, 3, 7};
    poll_seen_set(&seen, ids, 3, 100);
    assert_null(poll_seen_find(&seen, 4));
    struct seen_run *run = poll_seen_find(&seen, 7);
    struct github_run now = {.id = 7, .status = "queued", .updated_ms = 1};
    assert_false(poll_seen_take(run, &now)); // first sight
    assert_false(poll_seen_take(run, &now));
    now.status = "in_progress";
    assert_true(poll_seen_take(run, &now));
    now.updated_ms = 2;
    assert_true(poll_seen_take(run, &now));
    now.status = "completed";
    now.conclusion = "failure";
    assert_true(poll_seen_take(run, &now));
    assert_true(run->complete);
    const int64_t fewer[] = {7};
    poll_seen_set(&seen, fewer, 1, 200);
    assert_null(poll_seen_find(&seen, 9));
    assert_true(poll_seen_find(&seen, 7)->complete); // kept
    poll_seen_done(&seen);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_moved_is_told_and_one_that_did_not_costs_nothing),
        cmocka_unit_test(a_run_that_is_over_is_told_until_its_job_has_seen_it),
        cmocka_unit_test(pages_are_read_back_to_the_oldest_that_is_waited_for),
        cmocka_unit_test(a_round_keeps_its_budget_and_the_next_goes_on),
        cmocka_unit_test(a_run_that_left_its_list_is_told),
        cmocka_unit_test(changing_pages_leave_something_for_the_lost),
        cmocka_unit_test(what_a_list_has_no_room_for_is_not_missed),
        cmocka_unit_test(a_run_on_no_page_is_asked_for_rarely),
        cmocka_unit_test(github_that_is_away_is_no_failure_of_ours),
        cmocka_unit_test(only_the_leader_polls),
        cmocka_unit_test(a_thousand_waiting_runs_cost_nothing_while_nothing_happens),
        cmocka_unit_test(what_is_seen_is_news_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
