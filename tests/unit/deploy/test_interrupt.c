// Signals in every phase: what is taken back, what goes on, what resume does then (F25).
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define PUT "put " STORY_PARAMETER "=v2\n"
#define BACK "put " STORY_PARAMETER "=v1\nlabel " STORY_PARAMETER ":3 deployed\n"
#define LABEL "label " STORY_PARAMETER ":2 deployed\n"
#define SAYS "deploy 'shop' to 'staging': "
#define RESTORED "parameter " STORY_PARAMETER " is restored ('v1' is back as version 3)"
#define GET_RUN "GET */actions/runs/29020317001"

static void
test_before_anything(void **state)
{
    (void)state;
    static const char *const phases[] = {"GET */contents/*", "HEAD *", "ssm:GetParameter *"};
    for (size_t i = 0; i < ARRAY_LENGTH(phases); i++) {
        const struct world_fault faults[] = {{.match = phases[i], .kind = FAULT_SIGNAL}, {0}};
        struct story *s CLEANUP(story_freep) = story_new();
        s->world->faults = faults;
        story_deploy(s);
        assert_non_null(s->err);
        assert_int_equal(error_kind(s->err), ERROR_CANCELLED);
        story_expect_effects(s, "");
        assert_false(story_has_journal(s));
    }
}

// The request may have left: whether it arrived is found out, and it is taken back.
static void
test_while_writing(void **state)
{
    (void)state;
    static const enum world_fault_kind kinds[] = {FAULT_SIGNAL, FAULT_LATE_SIGNAL};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        const struct world_fault faults[] = {
            {.match = "ssm:PutParameter *", .kind = kinds[i], .signal = SIGINT}, {0}};
        struct story *s CLEANUP(story_freep) = story_new();
        s->world->faults = faults;
        story_deploy(s);
        story_expect(s, 130, "cancelled", NULL);
        assert_string_equal(s->d->hint, "Nothing was triggered.");
        story_expect_effects(s, kinds[i] == FAULT_SIGNAL ? "" : PUT BACK);
        assert_int_equal(s->world->posts, 0);
    }
}

// The Put arrives although its sender was interrupted.
static void
arrive_late(struct world *world)
{
    world_foreign_write(world, STORY_PARAMETER, "v2");
    struct world_parameter *parameter = world_parameter_find(world, STORY_PARAMETER);
    char *description = parameter->versions[parameter->count - 1].description;
    memcpy(description, world->reset_description, strlen(world->reset_description) + 1);
}

static void
test_interrupted_put_has_arrived(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_SIGNAL},
        {.match = "ssm:GetParameterHistory *", .from = 2, .kind = FAULT_HOOK, .hook = arrive_late},
        {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 143, "cancelled",
        SAYS "write version parameter '" STORY_PARAMETER "': write parameter '" STORY_PARAMETER
             "': interrupted by signal 15; " RESTORED);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
}

static void
test_before_the_dispatch_left(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_LATE_SIGNAL}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 143, "cancelled", NULL);
    story_expect_effects(s, PUT BACK);
    story_resume(s); // over
    story_expect(s, 143, "cancelled", NULL);
}

// The POST was on its way: resume looks for the run and follows it.
static void
test_while_dispatching(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "POST */dispatches", .kind = FAULT_SIGNAL}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_deploy(s);
    story_expect_open(s, 143, "interrupted",
        SAYS "interrupted by signal 15; whether a run was started is not known yet");
    assert_string_equal(s->d->hint,
        arena_printf(s->arena, "'dispatcher resume %s' follows it to its end.", s->d->id));
    story_expect_effects(s, PUT);
    (void)world_run_add(
        s->world, arena_printf(s->arena, "deploy %s", s->d->dispatch_id), world_now(s->world));
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(s, PUT LABEL);
}

static void
interrupt_following(struct story *s, const char *on_cancel, const struct world_fault *faults)
{
    s->world->faults = faults;
    s->request.on_cancel = on_cancel;
    story_deploy(s);
}

static const struct world_fault while_following[] = {
    {.match = GET_RUN, .from = 2, .kind = FAULT_SIGNAL, .signal = SIGINT}, {0}};

static void
test_while_following_leave(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    interrupt_following(s, NULL, while_following);
    story_expect_open(s, 130, "interrupted",
        SAYS "interrupted by signal 2; the remote run goes on: " STORY_RUN_URL);
    assert_false(s->world->runs[0].cancelled);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v2");
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->posts, 1);
}

static void
test_while_following_cancel(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    interrupt_following(s, "cancel", while_following);
    story_expect_open(s, 130, "interrupted",
        SAYS "interrupted by signal 2; the remote run was asked to stop: " STORY_RUN_URL);
    assert_true(s->world->runs[0].cancelled);
    story_resume(s);
    story_expect(
        s, 11, "cancelled", SAYS "run 29020317001 was cancelled on our request; " RESTORED);
}

static void
test_cannot_be_asked_to_stop(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = GET_RUN, .from = 2, .kind = FAULT_SIGNAL},
        {.match = "POST */cancel", .kind = FAULT_RESET, .times = 99}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    int64_t start = s->fake->mono_ms;
    interrupt_following(s, "cancel", faults);
    story_expect_open(s, 143, "interrupted",
        SAYS "interrupted by signal 15; the remote run could not be asked to stop and goes "
             "on: " STORY_RUN_URL);
    assert_true(s->fake->mono_ms - start < 20 * 1000);
}

static void
test_while_sleeping(void **state)
{
    (void)state;
    static const char *const running[] = {"in_progress", NULL};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = running;
    s->fake->cancel_at_ms = s->fake->mono_ms + 60 * 1000;
    story_deploy(s);
    story_expect_open(s, 143, "interrupted", NULL);
}

// The run has succeeded: what is left is to record it.
static void
test_while_recording(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:LabelParameterVersion *", .kind = FAULT_SIGNAL}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_deploy(s);
    story_expect_open(s, 143, "interrupted", NULL);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v2");
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
}

// --- while taking back -------------------------------------------------------------------------

static const char *const failing[] = {"completed:failure", NULL};

static void
test_one_signal_while_restoring(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .from = 2, .kind = FAULT_SIGNAL}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = failing;
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 7, "failed", SAYS "run 29020317001 ended as 'failure'; " RESTORED);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
}

static void
test_two_signals_while_restoring(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .from = 2, .times = 2, .kind = FAULT_SIGNAL}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = failing;
    s->world->faults = faults;
    story_deploy(s);
    story_expect_open(s, 143, "interrupted",
        SAYS "run 29020317001 ended as 'failure'; interrupted while the version parameters were "
             "being restored");
    assert_string_equal(
        s->d->hint, arena_printf(s->arena, "'dispatcher resume %s' restores them.", s->d->id));
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v2");
    story_resume(s);
    story_expect(s, 7, "failed", SAYS "run 29020317001 ended as 'failure'; " RESTORED);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_anything),
        cmocka_unit_test(test_while_writing),
        cmocka_unit_test(test_interrupted_put_has_arrived),
        cmocka_unit_test(test_before_the_dispatch_left),
        cmocka_unit_test(test_while_dispatching),
        cmocka_unit_test(test_while_following_leave),
        cmocka_unit_test(test_while_following_cancel),
        cmocka_unit_test(test_cannot_be_asked_to_stop),
        cmocka_unit_test(test_while_sleeping),
        cmocka_unit_test(test_while_recording),
        cmocka_unit_test(test_one_signal_while_restoring),
        cmocka_unit_test(test_two_signals_while_restoring),
    };
    return cmocka_run_group_tests_name("interrupt", tests, NULL, NULL);
}
