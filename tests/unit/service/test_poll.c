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
    static const char *const more[] = {"Link: <" PAGE(2) ">; rel=\"next\"", NULL};
    static const int order[] = {1, 2, 3, 4, 5, 6, 1, 7, 8, 9, 10, 11}; // every page has changed
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct script_step steps[ARRAY_LENGTH(order)] = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
        steps[i] = (struct script_step){.url = arena_printf(arena, "%s%d", PAGES, order[i]),
            .reply_headers = more,
            .reply = RUNS(RUN_AT(9, "queued", "null", "48:00"))};
    }
    struct world world;
    world_begin(&world, steps, ARRAY_LENGTH(order));
    put_run(&world, 9);
    round_after(&world, 0);
    assert_int_equal(world.service->counters[METRIC_GITHUB_COUNTED], 6);
    round_after(&world, 60 * 1000);
    assert_int_equal(world.service->counters[METRIC_GITHUB_COUNTED], 12);
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

// 1,000 deployments wait: what does a minute cost while nothing happens?
static void
a_thousand_waiting_runs_cost_nothing_while_nothing_happens(void **state)
{
    (void)state;
    enum { PAGE_COUNT = 10, MINUTES = 5 };
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct script_step *steps = arena_array(arena, PAGE_COUNT * (MINUTES + 2), sizeof(*steps));
    struct world world;
    size_t count = 0;
    for (int round = 0; round < MINUTES + 2; round++) {
        // The first two rounds read all pages within their budgets: 1 to 6, then 1 and 7 to 10.
        for (int page = 1; page <= PAGE_COUNT; page++) {
            bool first = (round == 0 && page <= 6) || (round == 1 && page > 6);
            if ((round == 0 && page > 6) || (round == 1 && page > 1 && page < 7)) {
                continue;
            }
            const char **headers = arena_array(arena, 3, sizeof(*headers));
            headers[0] = arena_printf(arena, "ETag: \"%d\"", page);
            headers[1] = page < PAGE_COUNT ? "Link: <" PAGE(2) ">; rel=\"next\"" : NULL;
            struct buf runs CLEANUP(buf_done) = BUF_INIT(64 * 1024);
            for (int i = 0; i < 100; i++) {
                buf_printf(&runs,
                    "%s{\"id\":%d,\"status\":\"in_progress\",\"html_url\":\"u\",\"path\":\"p\","
                    "\"event\":\"e\",\"head_sha\":\"s\",\"created_at\":\"2026-11-21T07:48:00Z\"}",
                    i > 0 ? "," : "", 2000 - (page - 1) * 100 - i);
            }
            steps[count++] = (struct script_step){.url = arena_printf(arena, "%s%d", PAGES, page),
                .status = first ? 200 : 304,
                .reply_headers = headers,
                .reply = first ? arena_printf(arena, "{\"workflow_runs\":[%s]}", buf_cstr(&runs))
                               : NULL};
        }
    }
    world_begin(&world, steps, count);
    for (int i = 0; i < 1000; i++) {
        put_run(&world, 2000 - i);
    }
    round_after(&world, 0);
    round_after(&world, 60 * 1000);
    int64_t before = world.service->counters[METRIC_GITHUB_COUNTED];
    assert_int_equal(before, 10);
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
        cmocka_unit_test(a_run_on_no_page_is_asked_for_rarely),
        cmocka_unit_test(github_that_is_away_is_no_failure_of_ours),
        cmocka_unit_test(only_the_leader_polls),
        cmocka_unit_test(a_thousand_waiting_runs_cost_nothing_while_nothing_happens),
        cmocka_unit_test(what_is_seen_is_news_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
