// The dispatch: every class of answer, what is looked for afterwards, and never two POSTs of one id
// (protocols.md §3.6, §3.7).
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
#define SAYS "deploy 'shop' to 'staging': trigger 'deploy-app.yaml' in 'octo/infra': "
#define RESTORED "; parameter " STORY_PARAMETER " is restored ('v1' is back as version 3)"
#define POST_URL                                                                                   \
    "https://api.github.com/repos/octo/infra/actions/workflows/deploy-app.yaml/dispatches"

static const char workflow_without_id[] = "on:\n  workflow_dispatch:\n    inputs:\n"
                                          "      application: {}\n      environment: {}\n";

static void
expect_effects(const struct story *s, const char *after)
{
    const char *post = s->d->id_input == NULL
                           ? "post main application=shop environment=staging\n"
                           : arena_printf(s->arena,
                                 "post main application=shop environment=staging distinct_id=%s\n",
                                 s->d->dispatch_id);
    story_expect_effects(s, arena_printf(s->arena, PUT "%s%s", post, after));
}

static void
use_fault(struct story *s, const struct world_fault *fault)
{
    struct world_fault *list = arena_array(s->arena, 2, sizeof(*list));
    list[0] = *fault;
    s->world->faults = list;
}

// --- refused, or not sent ----------------------------------------------------------------------

static void
test_rejected(void **state)
{
    (void)state;
    static const struct {
        int status, exit_code;
        const char *message;
    } cases[] = {
        {401, 4, "GitHub's word"},
        {403, 4, "GitHub's word"},
        {404, 7, "GitHub's word"},
        {422, 7, "GitHub's word"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct story *s CLEANUP(story_freep) = story_new();
        use_fault(s, &(struct world_fault){.match = "POST */dispatches",
                         .kind = FAULT_STATUS,
                         .status = cases[i].status,
                         .body = "{\"message\":\"GitHub's word\"}"});
        story_deploy(s);
        story_expect(s, cases[i].exit_code, "failed",
            arena_printf(s->arena,
                SAYS "dispatch of 'deploy-app.yaml' at 'main' in 'octo/infra': POST " POST_URL
                     ": GitHub's word (HTTP %d)" RESTORED,
                cases[i].status));
        story_expect_effects(s, PUT BACK);
        assert_int_equal(s->world->hits[0], 1);
        assert_string_equal(s->d->dispatch_state, "rejected");
    }
}

static void
test_not_sent(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    use_fault(
        s, &(struct world_fault){.match = "POST */dispatches", .kind = FAULT_REFUSED, .times = 3});
    story_deploy(s);
    story_expect(s, 12, "failed",
        SAYS "nothing was sent: dispatch of 'deploy-app.yaml' not sent: POST " POST_URL
             ": connection refused" RESTORED);
    story_expect_effects(s, PUT BACK);
    assert_null(s->d->dispatch_state);
}

static void
test_not_sent_at_first(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    use_fault(
        s, &(struct world_fault){.match = "POST */dispatches", .kind = FAULT_REFUSED, .times = 2});
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    expect_effects(s, LABEL);
}

// --- rate limits -------------------------------------------------------------------------------

static const char *const wait_a_minute[] = {"Retry-After: 60", NULL};
static const char *const wait_a_day[] = {"Retry-After: 86400", NULL};

static void
test_limited_then_sent(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    use_fault(s, &(struct world_fault){.match = "POST */dispatches",
                     .kind = FAULT_STATUS,
                     .status = 429,
                     .headers = wait_a_minute});
    int64_t start = s->fake->mono_ms;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    expect_effects(s, LABEL);
    assert_true(s->fake->mono_ms - start >= 60 * 1000);
}

// The limit lied: the run is there.
static void
test_limited_but_done(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    static const struct world_fault faults[] = {{.match = "POST */dispatches",
                                                    .kind = FAULT_STATUS,
                                                    .status = 403,
                                                    .body = "{\"message\":\"You have exceeded a "
                                                            "secondary rate limit\"}"},
        {0}};
    story_env(s, "GITHUB_ACTIONS", "true");
    story_env(s, "GITHUB_RUN_ID", "4711");
    s->request.no_wait = true;
    story_prepare(s);
    const char *id = arena_printf(s->arena, "deploy %s", "");
    assert_non_null(id);
    s->world->faults = faults;
    story_deploy(s); // to learn the id
    const char *dispatch_id = s->d->dispatch_id;
    story_restart(s);
    (void)world_run_add(
        s->world, arena_printf(s->arena, "deploy %s", dispatch_id), world_now(s->world));
    s->request.no_wait = false;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(s, PUT LABEL);
    assert_int_equal(s->world->posts, 0);
}

static void
test_limited_for_too_long(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    use_fault(s, &(struct world_fault){.match = "POST */dispatches",
                     .kind = FAULT_STATUS,
                     .status = 429,
                     .headers = wait_a_day});
    int64_t start = s->fake->mono_ms;
    story_deploy(s);
    story_expect(s, 12, "failed",
        SAYS "GitHub's rate limit lasts too long: dispatch of 'deploy-app.yaml' at 'main' in "
             "'octo/infra': POST " POST_URL ": no (HTTP 429)" RESTORED);
    story_expect_effects(s, PUT BACK);
    assert_true(s->fake->mono_ms - start < 60 * 1000);
}

static void
test_limited_and_blind(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    static const struct world_fault faults[] = {{.match = "POST */dispatches",
                                                    .kind = FAULT_STATUS,
                                                    .status = 429,
                                                    .headers = wait_a_minute},
        {.match = "GET */runs?*", .kind = FAULT_STATUS, .status = 500, .times = 999}, {0}};
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    story_expect_effects(s, PUT PENDING);
}

static void
test_signal_while_limited(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    use_fault(s, &(struct world_fault){.match = "POST */dispatches",
                     .kind = FAULT_STATUS,
                     .status = 429,
                     .headers = wait_a_minute});
    s->fake->cancel_at_ms = s->fake->mono_ms + 30 * 1000;
    story_deploy(s);
    story_expect_open(s, 143, "interrupted",
        "deploy 'shop' to 'staging': interrupted by signal 15; whether a run was started is not "
        "known yet");
    story_expect_effects(s, PUT);
}

// --- ambiguous answers -------------------------------------------------------------------------

static void
test_lost_answer_is_found(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    use_fault(s, &(struct world_fault){.match = "POST */dispatches", .kind = FAULT_LOST});
    s->world->listing_lag = 3;
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging'");
    expect_effects(s, LABEL);
    assert_string_equal(s->d->dispatch_state, "adopted");
    assert_int_equal(s->world->posts, 1);
}

static void
test_server_error_after_creation(void **state)
{
    (void)state;
    static const int statuses[] = {500, 502, 503, 504, 408, 409, 302, 200};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        struct story *s CLEANUP(story_freep) = story_new();
        use_fault(s, &(struct world_fault){.match = "POST */dispatches",
                         .kind = FAULT_STATUS,
                         .status = statuses[i],
                         .body = "{}"});
        story_deploy(s);
        story_expect(s, 9, "unknown", NULL);
        story_expect_effects(s, PUT PENDING);
        assert_int_equal(s->world->hits[0], 1);
    }
}

static void
test_lost_request_stays_unknown(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    use_fault(s, &(struct world_fault){.match = "POST */dispatches", .kind = FAULT_RESET});
    story_deploy(s);
    story_expect(s, 9, "unknown",
        SAYS "whether the run of 'deploy-app.yaml' was started is unknown: no run shows it in 14 "
             "complete listings (0 could not be read): the dispatch may have taken effect: POST "
             "" POST_URL ": connection reset");
    assert_string_equal(s->d->hint,
        arena_printf(s->arena,
            "Look at https://github.com/octo/infra/actions for id %s; then 'dispatcher resolve %s "
            "--adopt RUN' or 'dispatcher resolve %s --abandon'.",
            s->d->dispatch_id, s->d->id, s->d->id));
    story_expect_effects(s, PUT PENDING);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v2");
    story_resume(s); // looks again; still nothing
    story_expect(s, 9, "unknown", NULL);
    assert_int_equal(s->world->posts, 0);
}

// The run shows up long after: resume finds it.
static void
test_resume_finds_a_late_run(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    use_fault(s, &(struct world_fault){.match = "POST */dispatches", .kind = FAULT_LOST});
    s->world->listing_lag = 999;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    s->world->runs[0].hidden = 0;
    story_resume(s);
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging'");
    expect_effects(s, PENDING LABEL);
    assert_int_equal(s->world->posts, 1);
}

static void
duplicate_run(struct world *world)
{
    if (world->run_count == 1) {
        (void)world_run_add(world, world->runs[0].title, world->runs[0].created_ms);
    }
}

static void
test_duplicates_are_stopped(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "POST */dispatches", .kind = FAULT_LOST},
        {.match = "GET */runs?*", .kind = FAULT_HOOK, .hook = duplicate_run}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 9, "unknown",
        SAYS "whether the run of 'deploy-app.yaml' was started is unknown: 2 runs show this id: "
             "https://github.com/octo/infra/actions/runs/29020317001 "
             "https://github.com/octo/infra/actions/runs/29020317002 (cancelled): the dispatch may "
             "have taken effect: POST " POST_URL ": connection reset");
    expect_effects(s, "cancel 29020317002\n" PENDING);
    story_resolve(s, WORLD_FIRST_RUN);
    story_expect(s, 0, "deployed", NULL);
}

// The usual infra workflow of before shows the id in a step's name only.
static void
test_id_in_a_step(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    use_fault(s, &(struct world_fault){.match = "POST */dispatches", .kind = FAULT_LOST});
    s->world->workflow = "on:\n  workflow_dispatch:\n    inputs:\n      application: {}\n"
                         "      environment: {}\n      distinct_id: {}\n";
    s->world->title_hides_id = true;
    story_env(s, "GITHUB_ACTIONS", "true");
    story_env(s, "GITHUB_RUN_ID", "4711");
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    s->world->jobs = arena_printf(s->arena,
        "{\"jobs\":[{\"id\":5,\"name\":\"deploy\",\"steps\":[{\"name\":\"id %s\"}]}]}",
        s->d->dispatch_id);
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->posts, 1);
}

// --- without an id -----------------------------------------------------------------------------

static void
test_accepted_without_identity(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->dispatch_reply = "204";
    s->world->listing_lag = 1;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    expect_effects(s, LABEL);
}

// Somebody else's run of a minute before must not be taken for ours, which is not listed yet.
static void
test_another_run_is_not_adopted(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->workflow = workflow_without_id;
    s->world->dispatch_reply = "204";
    s->world->listing_lag = 2;
    (void)world_foreign_run(s->world, "deploy other", 60 * 1000);
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    expect_effects(s, LABEL);
    assert_true(s->d->run_id == WORLD_FIRST_RUN + 1);
}

static void
dispatch_another(struct world *world)
{
    (void)world_run_add(world, "deploy other", world_now(world));
}

static void
test_two_runs_without_id(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "GET */runs?*", .kind = FAULT_HOOK, .hook = dispatch_another}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->workflow = workflow_without_id;
    s->world->dispatch_reply = "204";
    s->world->listing_lag = 3; // the other one is seen alone at first
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 9, "unknown",
        SAYS "whether the run of 'deploy-app.yaml' was started is unknown: 2 runs of "
             "'deploy-app.yaml' began at that time and nothing tells ours");
    expect_effects(s, PENDING);
}

static void
test_ambiguous_without_id(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->workflow = workflow_without_id;
    use_fault(s, &(struct world_fault){.match = "POST */dispatches", .kind = FAULT_LOST});
    story_deploy(s);
    story_expect(s, 9, "unknown",
        SAYS "whether the run of 'deploy-app.yaml' was started is unknown: " STORY_RUN_URL
             " began at that time, but the workflow has no 'distinct_id' input to tell whose it "
             "is: the dispatch may have taken effect: POST " POST_URL ": connection reset");
}

// --- the digest in an input --------------------------------------------------------------------

static void
test_digest_input(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->config = "version: 1\nenvironments: [staging]\naws: {region: us-east-1}\n"
                "registry: 127.0.0.1:5000\nworkflow:\n  repo: octo/infra\n  file: deploy-app.yaml\n"
                "  inputs: {image: \"{version}@{digest} {digest}\"}\n";
    s->world->workflow = "on:\n  workflow_dispatch:\n    inputs:\n      image: {}\n";
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(s, PUT "post main image=v2@" STORY_DIGEST " " STORY_DIGEST "\n" LABEL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rejected),
        cmocka_unit_test(test_not_sent),
        cmocka_unit_test(test_not_sent_at_first),
        cmocka_unit_test(test_limited_then_sent),
        cmocka_unit_test(test_limited_but_done),
        cmocka_unit_test(test_limited_for_too_long),
        cmocka_unit_test(test_limited_and_blind),
        cmocka_unit_test(test_signal_while_limited),
        cmocka_unit_test(test_lost_answer_is_found),
        cmocka_unit_test(test_server_error_after_creation),
        cmocka_unit_test(test_lost_request_stays_unknown),
        cmocka_unit_test(test_resume_finds_a_late_run),
        cmocka_unit_test(test_duplicates_are_stopped),
        cmocka_unit_test(test_id_in_a_step),
        cmocka_unit_test(test_accepted_without_identity),
        cmocka_unit_test(test_another_run_is_not_adopted),
        cmocka_unit_test(test_two_runs_without_id),
        cmocka_unit_test(test_ambiguous_without_id),
        cmocka_unit_test(test_digest_input),
    };
    return cmocka_run_group_tests_name("trigger", tests, NULL, NULL);
}
