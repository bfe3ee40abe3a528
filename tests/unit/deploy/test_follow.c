// Following the run: limits, what is transient, what is strange, and losing sight of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define PUT "put " STORY_PARAMETER "=v2\n"
#define BACK "put " STORY_PARAMETER "=v1\nlabel " STORY_PARAMETER ":3 deployed\n"
#define LABEL "label " STORY_PARAMETER ":2 deployed\n"
#define PENDING "label " STORY_PARAMETER ":2 pending\n"
#define SAYS "deploy 'shop' to 'staging': "
#define GET_RUN "GET */actions/runs/29020317001"

enum { MINUTE = 60 * 1000 };

static void
expect_after_post(const struct story *s, const char *after)
{
    story_expect_effects(
        s, arena_printf(s->arena,
               PUT "post main application=shop environment=staging distinct_id=%s\n%s",
               s->d->dispatch_id, after));
}

static const char *const queued[] = {"queued", NULL};
static const char *const running[] = {"queued", "in_progress", NULL};

static void
expect_waited(const struct story *s, int64_t start, int64_t minutes)
{
    int64_t waited = s->fake->mono_ms - start;
    assert_true(waited >= minutes * MINUTE && waited < (minutes + 1) * MINUTE);
}

static void
test_queued_for_too_long(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = queued;
    int64_t start = s->fake->mono_ms;
    story_deploy(s);
    story_expect_open(s, 10, "timeout", SAYS "run 29020317001 is still 'queued' after 20m 0s");
    assert_string_equal(
        s->d->hint, arena_printf(s->arena,
                        "It goes on at " STORY_RUN_URL "; 'dispatcher resume %s' waits "
                        "again.",
                        s->d->id));
    expect_waited(s, start, 20);
    expect_after_post(s, PENDING);
    start = s->fake->mono_ms;
    story_resume(s); // waits its whole time again
    story_expect_open(s, 10, "timeout", NULL);
    expect_waited(s, start, 20);
    s->world->life = NULL;
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->posts, 1);
}

static void
test_running_for_too_long(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = running;
    int64_t start = s->fake->mono_ms;
    story_deploy(s);
    story_expect_open(s, 10, "timeout", SAYS "run 29020317001 is still 'in_progress' after 30m 0s");
    expect_waited(s, start, 30);
}

static void
test_timeout_of_the_command_line(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = running;
    s->request.timeout_ms = 2 * MINUTE;
    int64_t start = s->fake->mono_ms;
    story_deploy(s);
    story_expect_open(s, 10, "timeout", SAYS "run 29020317001 is still 'in_progress' after 2m 0s");
    expect_waited(s, start, 2);
}

static void
test_timeout_cancels(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = running;
    s->request.on_timeout = "cancel";
    story_deploy(s);
    story_expect(s, 11, "cancelled",
        SAYS "run 29020317001 was cancelled on our request; parameter " STORY_PARAMETER
             " is restored ('v1' is back as version 3)");
    expect_after_post(s, "cancel 29020317001\n" BACK);
}

static void
test_timeout_cannot_cancel(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "POST */cancel", .kind = FAULT_STATUS, .status = 403}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = running;
    s->world->faults = faults;
    s->request.on_timeout = "cancel";
    story_deploy(s);
    story_expect_open(s, 10, "timeout", NULL);
    assert_non_null(strstr(s->d->message, "the run could not be cancelled"));
    expect_after_post(s, PENDING);
}

// A clock that is set while we wait ends nothing early and nothing late.
static void
jump_a_day(struct world *world)
{
    world_jump(world, INT64_C(24) * 60 * MINUTE);
}

static void
test_wall_clock_jumps(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = GET_RUN, .from = 2, .kind = FAULT_HOOK, .hook = jump_a_day}, {0}};
    static const char *const life[] = {
        "in_progress", "in_progress", "in_progress", "in_progress", "completed:success", NULL};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = life;
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
}

// --- transient ---------------------------------------------------------------------------------

static void
check_transient(const struct world_fault *fault)
{
    struct story *s CLEANUP(story_freep) = story_new();
    struct world_fault faults[] = {*fault, {0}};
    faults[0].match = GET_RUN;
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    expect_after_post(s, LABEL);
    assert_int_equal(s->world->posts, 1);
}

static void
test_transient(void **state)
{
    (void)state;
    static const char *const a_minute[] = {"Retry-After: 60", NULL};
    static const int statuses[] = {500, 502, 503, 504, 408};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        check_transient(&(struct world_fault){
            .times = 12, .kind = FAULT_STATUS, .status = statuses[i], .body = "<html>"});
    }
    check_transient(&(struct world_fault){.times = 12, .kind = FAULT_RESET});
    check_transient(&(struct world_fault){.times = 12, .kind = FAULT_REFUSED});
    check_transient(&(struct world_fault){
        .times = 3, .kind = FAULT_STATUS, .status = 429, .headers = a_minute});
    check_transient(&(struct world_fault){
        .times = 3, .kind = FAULT_STATUS, .status = 200, .body = "{\"id\":1}"});
    check_transient(
        &(struct world_fault){.times = 3, .kind = FAULT_STATUS, .status = 200, .body = "{\"id\":"});
    check_transient(&(struct world_fault){// not shown yet, just after the dispatch
        .times = 20,
        .kind = FAULT_STATUS,
        .status = 404,
        .body = "{\"message\":\"Not Found\"}"});
}

// --- losing sight ------------------------------------------------------------------------------

static void
test_token_stops_working(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = GET_RUN, .from = 2, .times = 99, .kind = FAULT_STATUS, .status = 401}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    assert_non_null(strstr(s->d->message, "the state of run 29020317001 cannot be read any more"));
    expect_after_post(s, PENDING);
    s->world->faults = NULL;
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
    expect_after_post(s, PENDING LABEL);
}

// On another machine, without credentials: says nothing about the run, takes nothing back.
static void
test_resume_without_credentials(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->request.no_wait = true;
    story_deploy(s);
    story_env(s, "GITHUB_TOKEN", NULL);
    story_resume(s);
    story_expect(s, 9, "unknown", NULL);
    assert_non_null(strstr(s->d->message, "no GitHub credentials for 'octo/infra'"));
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v2");
    story_env(s, "GITHUB_TOKEN", STORY_TOKEN);
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
}

static void
delete_run(struct world *world)
{
    world->runs[0].gone = true;
}

static void
test_run_is_deleted(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = GET_RUN, .from = 200, .kind = FAULT_HOOK, .hook = delete_run}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = running;
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 9, "unknown",
        SAYS "the state of run 29020317001 cannot be read any more: GitHub does not show it");
    assert_true(s->world->hits[0] > 250); // five minutes from the first 404, not from the start
}

// --- what GitHub may say -----------------------------------------------------------------------

static void
test_strange_states_wait(void **state)
{
    (void)state;
    static const char *const life[] = {"requested", "pending", "waiting", "hibernating",
        "action_required", "in_progress", "completed", "completed", "completed:success", NULL};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = life;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
}

static void
test_jobs_are_shown(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->live = true;
    s->world->life = running;
    s->request.timeout_ms = MINUTE;
    s->world->jobs = "{\"jobs\":[{\"id\":5,\"name\":\"de\\u001b[31mploy\",\"status\":\"queued\"}]}";
    story_deploy(s);
    assert_non_null(strstr(buf_cstr(&s->events), "\"event\":\"jobs\""));
    assert_non_null(strstr(buf_cstr(&s->events), "\"name\":\"deploy\""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queued_for_too_long),
        cmocka_unit_test(test_running_for_too_long),
        cmocka_unit_test(test_timeout_of_the_command_line),
        cmocka_unit_test(test_timeout_cancels),
        cmocka_unit_test(test_timeout_cannot_cancel),
        cmocka_unit_test(test_wall_clock_jumps),
        cmocka_unit_test(test_transient),
        cmocka_unit_test(test_token_stops_working),
        cmocka_unit_test(test_resume_without_credentials),
        cmocka_unit_test(test_run_is_deleted),
        cmocka_unit_test(test_strange_states_wait),
        cmocka_unit_test(test_jobs_are_shown),
    };
    return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
