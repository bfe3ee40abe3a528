// The version parameter: lost answers, foreign writes at every gap, creation, two services
// (protocols.md §4.1, F23).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define PUT "put " STORY_PARAMETER "=v2\n"
#define SAYS "deploy 'shop' to 'staging': write version parameter '" STORY_PARAMETER "': "
#define PUT_SAYS "write parameter '" STORY_PARAMETER "': ssm PutParameter: "

static void
write_foreign(struct world *world)
{
    world_foreign_write(world, STORY_PARAMETER, "v9");
}

static struct story *
story_with(const struct world_fault *faults)
{
    struct story *s = story_new();
    s->world->faults = faults;
    return s;
}

static unsigned
versions_of(const struct story *s, const char *name)
{
    return (unsigned)world_parameter_find(s->world, name)->count;
}

// --- lost answers ------------------------------------------------------------------------------

static void
test_lost_answer_is_read_back(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_LOST}, {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(versions_of(s, STORY_PARAMETER), 2);
}

static void
test_lost_request_is_repeated(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_RESET}, {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(versions_of(s, STORY_PARAMETER), 2);
}

static void
test_never_arrives(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_RESET, .times = 99}, {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    story_deploy(s);
    story_expect(s, 12, "failed",
        SAYS PUT_SAYS "POST https://ssm.us-east-1.amazonaws.com: connection reset");
    story_expect_effects(s, "");
}

static void
test_server_error_after_effect(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_STATUS, .status = 500, .times = 99}, {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    story_deploy(s);
    story_expect(s, 12, "failed", NULL);
    story_expect_effects(s, "");
}

static void
test_refused(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "ssm:PutParameter *",
                                                    .kind = FAULT_STATUS,
                                                    .status = 400,
                                                    .body = "{\"__type\":\"AccessDeniedException\","
                                                            "\"message\":\"not you\"}"},
        {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    story_deploy(s);
    story_expect(s, 4, "failed", SAYS PUT_SAYS "AccessDeniedException: not you (HTTP 400)");
    story_expect_effects(s, "");
    assert_int_equal(s->world->hits[0], 1);
    assert_string_equal(((struct deployment_step *)s->d->steps.items)[1].state, "failed");
}

// Neither the answer nor the history can be read: nothing is triggered, and that is not the end.
static void
test_unreadable_then_resumed(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "ssm:PutParameter *", .kind = FAULT_LOST},
        {.match = "ssm:GetParameterHistory *", .kind = FAULT_STATUS, .status = 500, .times = 99},
        {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    assert_non_null(
        strstr(s->d->message, "; whether parameter " STORY_PARAMETER " was written is unknown: "));
    assert_string_equal(
        s->d->hint, arena_printf(s->arena,
                        "Nothing was triggered. 'dispatcher resume %s' looks again.", s->d->id));
    story_expect_effects(s, PUT);
    s->world->faults = NULL;
    story_resume(s);
    story_expect(s, 12, "failed", NULL);
    story_expect_effects(
        s, PUT "put " STORY_PARAMETER "=v1\nlabel " STORY_PARAMETER ":3 deployed\n");
    assert_null(s->d->dispatch_state);
}

// --- somebody else writes ----------------------------------------------------------------------

static void
test_foreign_write_before_ours(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_HOOK, .hook = write_foreign}, {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    story_deploy(s);
    story_expect(s, 6, "failed",
        SAYS "parameter '" STORY_PARAMETER
             "' was changed by arn:aws:iam::1:user/mallory while we wrote it (version 2); "
             "parameter " STORY_PARAMETER " is restored ('v9' is back as version 4)");
    story_expect_effects(s, PUT "put " STORY_PARAMETER "=v9\n"); // theirs was never deployed
    assert_null(s->d->dispatch_state);
}

static void
test_foreign_write_before_the_restore(void **state)
{
    (void)state;
    static const char *const failing[] = {"completed:failure", NULL};
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .from = 2, .kind = FAULT_HOOK, .hook = write_foreign}, {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    s->world->life = failing;
    story_deploy(s); // v1 v2 v9 v1: theirs is hidden, and put back
    story_expect(s, 7, "failed",
        "deploy 'shop' to 'staging': run 29020317001 ended as 'failure'; parameter " STORY_PARAMETER
        " is restored ('v9' is back as version 5)");
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v9");
    assert_string_equal(world_parameter_find(s->world, STORY_PARAMETER)->versions[4].labels[0], "");
}

static void
write_another(struct world *world)
{
    char value[24];
    (void)snprintf(
        value, sizeof(value), "x%zu", world_parameter_find(world, STORY_PARAMETER)->count);
    world_foreign_write(world, STORY_PARAMETER, value);
}

static void
test_foreign_writer_that_never_stops(void **state)
{
    (void)state;
    static const char *const failing[] = {"completed:failure", NULL};
    static const struct world_fault faults[] = {{.match = "ssm:PutParameter *",
                                                    .from = 2,
                                                    .times = 9,
                                                    .kind = FAULT_HOOK,
                                                    .hook = write_another},
        {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    s->world->life = failing;
    story_deploy(s);
    story_expect(s, 8, "failed",
        "deploy 'shop' to 'staging': run 29020317001 ended as 'failure'; parameter " STORY_PARAMETER
        " could NOT be restored to 'v1': it says 'x4' (version 8): parameter '" STORY_PARAMETER
        "' is being written by somebody else all the time");
    assert_null(s->d->hint); // 'v1' is not what has to stand there
}

// A try of ours that arrives late is no foreign write.
static void
late_arrival(struct world *world)
{
    const struct world_parameter *parameter = world_parameter_find(world, STORY_PARAMETER);
    (void)parameter;
    world_late_write(world, STORY_PARAMETER, "v2");
}

static void
test_late_arrival_of_our_own(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_RESET},
        {.match = "ssm:PutParameter *", .from = 2, .kind = FAULT_HOOK, .hook = late_arrival}, {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(versions_of(s, STORY_PARAMETER), 3);
    assert_int_equal(s->world->posts, 1);
}

// --- creation ----------------------------------------------------------------------------------

static void
test_created(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->parameter_count = 0;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(versions_of(s, STORY_PARAMETER), 1);
}

static void
test_somebody_else_creates_it(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_HOOK, .hook = write_foreign}, {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    s->world->parameter_count = 0;
    story_deploy(s);
    story_expect(s, 6, "failed", NULL);
    story_expect_effects(s, "");
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v9");
}

// The first try created it and arrived after we had looked: the refusal of the second is our own.
static void
test_our_own_creation_is_in_the_way(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_RESET},
        {.match = "ssm:PutParameter *", .from = 2, .kind = FAULT_HOOK, .hook = late_arrival}, {0}};
    struct story *s CLEANUP(story_freep) = story_with(faults);
    s->world->parameter_count = 0;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(versions_of(s, STORY_PARAMETER), 1);
}

// --- two services ------------------------------------------------------------------------------

static struct story *
story_of_two(const struct world_fault *faults)
{
    struct story *s = story_with(faults);
    s->app_spec = story_spec_two;
    (void)world_parameter(s->world, STORY_SECOND, "w1", "deployed");
    return s;
}

static void
test_two_services(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of_two(NULL);
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v2");
    assert_string_equal(world_value(s->world, STORY_SECOND), "v2");
    assert_int_equal(s->world->posts, 1);
}

static void
test_second_write_fails(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter " STORY_SECOND,
            .kind = FAULT_STATUS,
            .status = 400,
            .body = "{\"__type\":\"ParameterLimitExceeded\"}"},
        {0}};
    struct story *s CLEANUP(story_freep) = story_of_two(faults);
    story_deploy(s);
    story_expect(s, 12, "failed", NULL);
    story_expect_effects(
        s, PUT "put " STORY_PARAMETER "=v1\nlabel " STORY_PARAMETER ":3 deployed\n");
    assert_int_equal(s->world->posts, 0);
}

static void
test_second_write_is_unreadable(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter " STORY_SECOND, .kind = FAULT_LOST},
        {.match = "ssm:GetParameterHistory " STORY_SECOND,
            .kind = FAULT_STATUS,
            .status = 500,
            .times = 99},
        {0}};
    struct story *s CLEANUP(story_freep) = story_of_two(faults);
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    story_expect_effects(s, PUT "put " STORY_SECOND "=v2\nput " STORY_PARAMETER
                                "=v1\nlabel " STORY_PARAMETER ":3 deployed\n");
}

static void
test_both_are_restored(void **state)
{
    (void)state;
    static const char *const failing[] = {"completed:failure", NULL};
    struct story *s CLEANUP(story_freep) = story_of_two(NULL);
    s->world->life = failing;
    story_deploy(s);
    story_expect(s, 7, "failed",
        "deploy 'shop' to 'staging': run 29020317001 ended as 'failure'; parameter " STORY_PARAMETER
        " is restored ('v1' is back as version 3); parameter " STORY_SECOND
        " is restored ('w1' is back as version 3)");
}

// One restored, one not: that is not restored.
static void
test_half_restored(void **state)
{
    (void)state;
    static const char *const failing[] = {"completed:failure", NULL};
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter " STORY_SECOND, .from = 2, .kind = FAULT_STATUS, .status = 400},
        {0}};
    struct story *s CLEANUP(story_freep) = story_of_two(faults);
    s->world->life = failing;
    story_deploy(s);
    story_expect(s, 8, "failed", NULL);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
    assert_string_equal(world_value(s->world, STORY_SECOND), "v2");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_answer_is_read_back),
        cmocka_unit_test(test_lost_request_is_repeated),
        cmocka_unit_test(test_never_arrives),
        cmocka_unit_test(test_server_error_after_effect),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unreadable_then_resumed),
        cmocka_unit_test(test_foreign_write_before_ours),
        cmocka_unit_test(test_foreign_write_before_the_restore),
        cmocka_unit_test(test_foreign_writer_that_never_stops),
        cmocka_unit_test(test_late_arrival_of_our_own),
        cmocka_unit_test(test_created),
        cmocka_unit_test(test_somebody_else_creates_it),
        cmocka_unit_test(test_our_own_creation_is_in_the_way),
        cmocka_unit_test(test_two_services),
        cmocka_unit_test(test_second_write_fails),
        cmocka_unit_test(test_second_write_is_unreadable),
        cmocka_unit_test(test_both_are_restored),
        cmocka_unit_test(test_half_restored),
    };
    return cmocka_run_group_tests_name("write", tests, NULL, NULL);
}
