// deploy_begin and deploy_advance: a deployment in many calls, each by a new process, and not one
// of them sleeps.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "advance_story.h"
#include "dispatcher/memory.h"
#include "dispatcher/queue.h"
#include "dispatcher/store.h"

#define PUT "put " STORY_PARAMETER "=v2\n"
#define BACK "put " STORY_PARAMETER "=v1\nlabel " STORY_PARAMETER ":3 deployed\n"
#define LABEL "label " STORY_PARAMETER ":2 deployed\n"
#define SAYS "deploy 'shop' to 'staging': "
#define RESTORED "parameter " STORY_PARAMETER " is restored ('v1' is back as version 3)"

// The effects but for the dispatches, which world->posts counts.
static void
expect_effects(struct story *s, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(WORLD_EFFECTS);
    struct str line = {0}, rest = str_of(s->world->effects);
    while (rest.len > 0) {
        (void)str_cut(rest, '\n', &line, &rest);
        if (!str_starts(line, STR("post "))) {
            buf_add(&text, line);
            buf_putc(&text, '\n');
        }
    }
    assert_string_equal(buf_cstr(&text), expected);
}

static void
begin(struct story *s)
{
    story_begin(s);
    assert_null(s->err);
    story_expect_effects(s, "");
    assert_int_equal(s->world->posts, 0);
}

// The same effects as deploy_run, the same looks at the run, one POST. What a new process asks
// once more is the workflow's state, for GitHub's clock.
static void
test_whole_deployment(void **state)
{
    (void)state;
    static const char *const life[] = {
        "queued", "queued", "in_progress", "in_progress", "in_progress", "completed:success", NULL};
    struct story *run CLEANUP(story_freep) = story_new();
    run->world->life = life;
    story_deploy(run);
    story_expect(run, 0, "deployed", NULL);
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = life;
    begin(s);
    size_t calls = story_advance_to_the_end(s, false);
    story_expect(s, 0, "deployed", run->d->message);
    story_expect_effects(s, run->world->effects);
    assert_int_equal(s->world->posts, 1);
    assert_int_equal(s->world->runs[0].looks, run->world->runs[0].looks);
    assert_int_equal(s->world->requests, run->world->requests + 1);
    assert_int_equal(calls, 1 + run->world->runs[0].looks);
}

// Not even the pace is left: what waits begins anew, and the end is the same.
static void
test_nothing_but_the_journal(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    begin(s);
    (void)story_advance_to_the_end(s, true);
    story_expect(s, 0, "deployed", NULL);
    expect_effects(s, PUT LABEL);
    assert_int_equal(s->world->posts, 1);
}

static void
test_failure_is_taken_back(void **state)
{
    (void)state;
    static const char *const failing[] = {"in_progress", "completed:failure", NULL};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = failing;
    begin(s);
    (void)story_advance_to_the_end(s, false);
    story_expect(s, 7, "failed", SAYS "run 29020317001 ended as 'failure'; " RESTORED);
    expect_effects(s, PUT BACK);
}

// The end is only told again: no request, and nothing is written.
static void
test_what_is_over(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    begin(s);
    (void)story_advance_to_the_end(s, false);
    unsigned requests = s->world->requests;
    assert_int_equal(story_advance_to_the_end(s, true), 1);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->requests, requests);
}

static size_t
finished_events(const struct store_event *events, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += strstr(events[i].json, "{\"event\":\"finished\"") != NULL ? 1 : 0;
    }
    return found;
}

// A worker that dies between the end in the journal and the event that tells of it.
static void
test_end_is_told_by_the_next(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    struct store *store CLEANUP(store_closep) = NULL;
    struct store_deployment *row = NULL;
    struct store_event *events = NULL;
    size_t count = 0;
    begin(s);
    (void)story_advance_to_the_end(s, false);
    assert_null(store_open(s->state_path, &store));
    assert_null(store_find(store, s->d->id, s->arena, &row));
    assert_null(store_events(store, row->id, 0, s->arena, &events, &count));
    assert_int_equal(finished_events(events, count), 1);
    // As it would stand there: another one, ended and without any event.
    struct buf document CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    const char *at = strstr(row->document, row->id);
    buf_append(&document, row->document, (size_t)(at - row->document));
    buf_puts(&document, "d-fedcba9876543210");
    buf_puts(&document, at + strlen(row->id));
    struct store_deployment untold = *row;
    untold.id = "d-fedcba9876543210";
    untold.created_ms++;
    untold.document = buf_cstr(&document);
    assert_null(store_insert(store, &untold));
    for (int looks = 0; looks < 2; looks++) {
        (void)story_advance_to_the_end(s, true);
        assert_string_equal(s->d->id, untold.id);
        assert_null(store_events(store, untold.id, 0, s->arena, &events, &count));
        assert_int_equal(count, 1);
        assert_int_equal(finished_events(events, count), 1);
    }
    assert_int_equal(s->world->posts, 1);
}

// --- waits return ------------------------------------------------------------------------------

struct wait_case {
    const char *name;
    struct world_fault faults[3];
    const char *reply; // of the dispatch
    const char *const *life;
    int exit_code;
    const char *effects;
    unsigned posts;
    size_t calls;
};

static const char *const green[] = {"completed:success", NULL};
static const char *const red[] = {"completed:failure", NULL};
static const char *const limit[] = {"Retry-After: 90", NULL};

#define PENDING "label " STORY_PARAMETER ":2 pending\n"

static const struct wait_case wait_cases[] = {
    {"the answer to the write is lost", {{.match = "ssm:PutParameter *", .kind = FAULT_LOST}}, NULL,
        green, 0, PUT LABEL, 1, 2},
    {"the write is lost", {{.match = "ssm:PutParameter *", .kind = FAULT_RESET}}, NULL, green, 0,
        PUT LABEL, 1, 3},
    {"the answer to the write back is lost",
        {{.match = "ssm:PutParameter *", .from = 2, .kind = FAULT_LOST}}, NULL, red, 7, PUT BACK, 1,
        2},
    {"the write back is lost", {{.match = "ssm:PutParameter *", .from = 2, .kind = FAULT_RESET}},
        NULL, red, 7, PUT BACK, 1, 3},
    {"the answer to the dispatch is lost", {{.match = "POST */dispatches", .kind = FAULT_LOST}},
        NULL, green, 0, PUT LABEL, 1, 2},
    {"the dispatch is lost", {{.match = "POST */dispatches", .kind = FAULT_RESET}}, NULL, green, 9,
        PUT PENDING, 0, 14},
    {"accepted without identity", {{0}}, "204", green, 0, PUT LABEL, 1, 2},
    {"a rate limit refuses the dispatch",
        {{.match = "POST */dispatches", .kind = FAULT_STATUS, .status = 429, .headers = limit}},
        NULL, green, 0, PUT LABEL, 1, 3},
};

static void
test_waits_return(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(wait_cases); i++) {
        const struct wait_case *c = &wait_cases[i];
        struct story *s CLEANUP(story_freep) = story_new();
        print_message("%s\n", c->name);
        s->world->faults = c->faults;
        s->world->dispatch_reply = c->reply;
        s->world->life = c->life;
        begin(s);
        assert_int_equal(story_advance_to_the_end(s, false), c->calls);
        assert_int_equal(s->d->exit_code, c->exit_code);
        expect_effects(s, c->effects);
        assert_int_equal(s->world->posts, c->posts);
    }
}

// A new process waits out the limit, too: that one was refused is in the journal.
static void
test_rate_limit_and_a_new_process(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "POST */dispatches", .kind = FAULT_STATUS, .status = 429, .headers = limit}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    begin(s);
    (void)story_advance_to_the_end(s, true);
    story_expect(s, 0, "deployed", NULL);
    expect_effects(s, PUT LABEL);
    assert_int_equal(s->world->posts, 1);
}

// --- a service stops ---------------------------------------------------------------------------

static void
expect_put_down(struct story *s)
{
    struct store_deployment *row = NULL;
    struct store *store CLEANUP(store_closep) = NULL;
    struct deployment *d = NULL;
    assert_non_null(s->err);
    assert_int_equal(error_kind(s->err), ERROR_CANCELLED);
    const char *id = story_newest(s);
    assert_null(store_open(s->state_path, &store));
    assert_null(store_find(store, id, s->arena, &row));
    assert_string_equal(row->state, "running");
    assert_null(deployment_decode(str_of(row->document), s->arena, &d));
    assert_null(d->result);
    assert_null(d->unfinished);
    assert_int_equal(d->exit_code, 0);
}

struct stop_case {
    const char *match;
    unsigned from;
    enum world_fault_kind kind;
    const char *const *life;
    int exit_code; // of who comes next
    const char *effects;
    unsigned posts;
};

static const struct stop_case stop_cases[] = {
    {"ssm:PutParameter *", 1, FAULT_SIGNAL, green, 0, PUT LABEL, 1},
    {"ssm:PutParameter *", 1, FAULT_LATE_SIGNAL, green, 0, PUT LABEL, 1},
    // It may have left: it is not sent again, and nothing is taken back.
    {"POST */dispatches", 1, FAULT_SIGNAL, green, 9, PUT PENDING, 0},
    {"GET */actions/runs/*", 1, FAULT_SIGNAL, green, 0, PUT LABEL, 1},
    {"ssm:LabelParameterVersion *", 1, FAULT_SIGNAL, green, 0, PUT LABEL, 1},
    {"ssm:PutParameter *", 2, FAULT_SIGNAL, red, 7, PUT BACK, 1},
    {"ssm:GetParameterHistory *", 1, FAULT_SIGNAL, red, 7, PUT BACK, 1},
};

static void
run_stop_case(const struct stop_case *c)
{
    const struct world_fault faults[] = {
        {.match = c->match, .from = c->from, .kind = c->kind}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
    s->world->faults = faults;
    s->world->life = c->life;
    begin(s);
    for (int calls = 0; s->err == NULL; calls++) {
        assert_true(calls < ADVANCE_CALLS_MAX && !s->advanced.ended);
        story_advance(s, pace);
        fake_platform_advance(s->fake, 10 * 1000);
    }
    assert_true(s->world->hits[0] >= c->from);
    expect_put_down(s);
    (void)story_advance_to_the_end(s, false);
    assert_int_equal(s->d->exit_code, c->exit_code);
    expect_effects(s, c->effects);
    assert_int_equal(s->world->posts, c->posts);
}

static void
test_put_down_and_taken_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(stop_cases); i++) {
        print_message("%s, %s\n", stop_cases[i].match,
            stop_cases[i].kind == FAULT_SIGNAL ? "before" : "after");
        run_stop_case(&stop_cases[i]);
    }
}

// --- another worker has it ---------------------------------------------------------------------

static struct story *robbed; // whose job is taken over by the hook

static void
accept_job(struct story *s, const char *id)
{
    const struct queue_job job = {.id = id,
        .app = "shop",
        .env = "staging",
        .verb = "deploy",
        .version = "v2",
        .request = "{}",
        .requester = "octocat",
        .repository = "octo/shop",
        .repository_id = 1};
    const struct queue_acceptance acceptance = {.job = &job};
    enum queue_accepted outcome = QUEUE_FULL;
    struct store *store CLEANUP(store_closep) = NULL;
    struct queue_job *heads = NULL;
    size_t count = 0;
    bool started = false;
    assert_null(store_open(s->state_path, &store));
    assert_null(queue_accept(store, &acceptance, 1000, s->arena, &outcome, &id));
    assert_null(queue_lease_heads(store, "w1", 1000, 1000, 1, s->arena, &heads, &count));
    assert_int_equal(count, 1);
    assert_null(queue_start(store, &heads[0], 1000, &started));
    assert_true(started);
    s->fence = heads[0].fence;
}

static void
take_over(struct world *world)
{
    (void)world;
    struct store *store CLEANUP(store_closep) = NULL;
    struct queue_job *jobs = NULL;
    size_t count = 0;
    assert_null(store_open(robbed->state_path, &store));
    assert_null(
        queue_lease_running(store, "w2", 1000 * 1000, 1000, 1, robbed->arena, &jobs, &count));
    assert_int_equal(count, 1);
    assert_true(jobs[0].fence > robbed->fence);
}

// What was on its way has its effect; nothing follows it, and no outcome is written.
static void
test_fence_is_lost(void **state)
{
    (void)state;
    static const struct {
        const char *match;
        unsigned requests; // of that call, the last one included
    } places[] = {{"ssm:PutParameter *", 1}, {"POST */dispatches", 3}, {"GET */actions/runs/*", 1}};
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        const struct world_fault faults[] = {
            {.match = places[i].match, .kind = FAULT_HOOK, .hook = take_over}, {0}};
        struct story *s CLEANUP(story_freep) = story_new();
        struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
        robbed = s;
        s->world->faults = faults;
        begin(s);
        const char *id = arena_dup(s->arena, s->d->id);
        accept_job(s, id);
        unsigned requests = 0;
        while (s->world->hits[0] == 0) {
            requests = s->world->requests;
            story_advance(s, pace);
            fake_platform_advance(s->fake, 10 * 1000);
        }
        assert_non_null(s->err);
        assert_int_equal(error_kind(s->err), ERROR_CONFLICT);
        assert_non_null(strstr(error_message(s->err), id));
        assert_int_equal(s->world->requests - requests, places[i].requests);
        s->fence = 0; // w2's turn
        (void)story_advance_to_the_end(s, true);
        story_expect(s, 0, "deployed", NULL);
        expect_effects(s, PUT LABEL);
        assert_int_equal(s->world->posts, 1);
    }
}

// --- somebody asks for its end -----------------------------------------------------------------

// As the service's: only such a one is ended from outside before it has a run.
static void
begin_served(struct story *s)
{
    static struct spec_document config = {"dispatcher.yaml", {0}}, app_spec = {"shop.yaml", {0}};
    static struct deploy_given given;
    config.text = str_of(s->config);
    app_spec.text = str_of(s->app_spec);
    given = (struct deploy_given){.id = "d-0123456789abcdef",
        .config = &config,
        .app_spec = &app_spec,
        .sha = "3333333333333333333333333333333333333333",
        .repository = "octo/shop",
        .claim_key = "service/d-0123456789abcdef"};
    s->request.given = &given;
    story_begin(s);
    assert_null(s->err);
    s->world->effects[0] = '\0';
}

static void
test_cancelled_before_it_is_sent(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_LATE_SIGNAL}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
    s->world->faults = faults;
    begin_served(s);
    story_advance(s, pace); // written, then the service stops
    assert_int_equal(error_kind(s->err), ERROR_CANCELLED);
    story_cancel(s);
    assert_null(s->err);
    story_cancel(s); // twice is no harm
    assert_null(s->err);
    assert_int_equal(story_advance_to_the_end(s, false), 1);
    story_expect(s, error_kind_exit_code(ERROR_CANCELLED), "cancelled",
        SAYS "cancelled on request; " RESTORED);
    expect_effects(s, PUT BACK);
    assert_int_equal(s->world->posts, 0);
}

static void
test_cancelled_with_a_run(void **state)
{
    (void)state;
    static const char *const running[] = {"in_progress", NULL};
    struct story *s CLEANUP(story_freep) = story_new();
    struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
    s->world->life = running;
    begin_served(s);
    story_advance(s, pace);
    story_cancel(s);
    assert_null(s->err);
    assert_true(s->world->runs[0].cancelled);
    (void)story_advance_to_the_end(s, false);
    story_expect(
        s, 11, "cancelled", SAYS "run 29020317001 was cancelled on our request; " RESTORED);
}

// Whether there is a run is not known yet: it is found first, and then asked to stop.
static void
test_cancelled_in_doubt(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "POST */dispatches", .kind = FAULT_LOST}, {0}};
    static const char *const running[] = {"in_progress", NULL};
    struct story *s CLEANUP(story_freep) = story_new();
    struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
    s->world->life = running;
    s->world->faults = faults;
    s->world->listing_lag = 2;
    begin_served(s);
    story_advance(s, pace);
    assert_int_equal(s->world->posts, 1);
    story_cancel(s);
    assert_null(s->err);
    assert_false(s->world->runs[0].cancelled);
    (void)story_advance_to_the_end(s, false);
    assert_true(s->world->runs[0].cancelled);
    story_expect(
        s, 11, "cancelled", SAYS "run 29020317001 was cancelled on our request; " RESTORED);
    assert_int_equal(s->world->posts, 1);
}

// --- GitHub is out of reach --------------------------------------------------------------------

static void
test_outage_before_the_dispatch(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "GET */actions/workflows/*", .times = 40, .kind = FAULT_REFUSED}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    s->world->life = green;
    begin_served(s);
    struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
    for (int calls = 0; !s->advanced.ended; calls++) {
        assert_true(calls < ADVANCE_CALLS_MAX);
        int64_t before = s->fake->mono_ms;
        story_advance(s, pace);
        assert_null(s->err);
        assert_true(s->fake->mono_ms - before <= 20 * 1000); // requests are sent again
        fake_platform_advance(s->fake, 5000);
    }
    story_expect(s, 0, "deployed", NULL);
    expect_effects(s, PUT LABEL);
    assert_int_equal(s->world->posts, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_deployment),
        cmocka_unit_test(test_nothing_but_the_journal),
        cmocka_unit_test(test_failure_is_taken_back),
        cmocka_unit_test(test_what_is_over),
        cmocka_unit_test(test_end_is_told_by_the_next),
        cmocka_unit_test(test_waits_return),
        cmocka_unit_test(test_rate_limit_and_a_new_process),
        cmocka_unit_test(test_put_down_and_taken_up),
        cmocka_unit_test(test_fence_is_lost),
        cmocka_unit_test(test_cancelled_before_it_is_sent),
        cmocka_unit_test(test_cancelled_with_a_run),
        cmocka_unit_test(test_cancelled_in_doubt),
        cmocka_unit_test(test_outage_before_the_dispatch),
    };
    return cmocka_run_group_tests_name("advance", tests, NULL, NULL);
}
