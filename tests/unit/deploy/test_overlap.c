// Deployments that get in each other's way, and endings that are touched again: what one of them
// has left open, no other one sends over.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define PUT "put " STORY_PARAMETER "=v2\n"

static void
be_a_job(struct story *s)
{
    story_env(s, "GITHUB_ACTIONS", "true");
    story_env(s, "GITHUB_RUN_ID", "4711");
    story_env(s, "GITHUB_JOB", "deploy");
    story_env(s, "GITHUB_REPOSITORY", "octo/shop");
    story_env(s, "DISPATCHER_RECONCILE_MS", "3000");
}

// Killed as soon as the parameter is written: nothing has been sent.
static const char *
die_before_the_trigger(struct story *s)
{
    for (int64_t at = 1; strcmp(s->world->effects, PUT) != 0; at++) {
        story_restart(s);
        assert_true(story_deploy_and_die(s, at));
    }
    char hex[17]; // the child took its id from a copy of our random numbers
    random_hex(s->fake->platform.random, 8, hex);
    return story_newest(s);
}

// The job was run again and does not know what became of its dispatch: the first attempt's
// deployment, when resumed, has the same id and must not send it, nor any other.
static void
test_resume_beside_an_open_question(void **state)
{
    (void)state;
    static const struct world_fault lost[] = {
        {.match = "POST */dispatches", .kind = FAULT_RESET}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    be_a_job(s);
    const char *first = die_before_the_trigger(s);
    s->world->faults = lost;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    const char *second = arena_dup(s->arena, s->d->id);
    assert_string_not_equal(first, second);
    char *before CLEANUP(xfreep) = xstrdup(s->world->effects);

    s->id = first;
    story_resume(s);
    assert_non_null(s->err);
    char *text CLEANUP(xfreep) = error_text(s->err);
    assert_int_equal(error_kind(s->err), ERROR_CONFLICT);
    assert_string_equal(text,
        arena_printf(s->arena,
            "whether deployment '%s' of the same CI job has started a run is not known", second));
    assert_string_equal(s->world->effects, before);
    assert_int_equal(s->world->posts, 0);

    s->id = second;
    story_resolve(s, 0); // the operator has looked: there is none
    assert_null(s->err);
    s->id = first;
    s->world->faults = NULL;
    story_resume(s);
    assert_null(s->err);
    assert_int_equal(s->world->posts, 1);
}

// The dispatch was refused, the taking back was interrupted: there is nothing to say about a run.
static void
test_resolve_of_an_ending(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "POST */dispatches",
                                                    .kind = FAULT_STATUS,
                                                    .status = 422,
                                                    .body = "{\"message\":\"no\"}"},
        {.match = "ssm:PutParameter *", .from = 2, .times = 2, .kind = FAULT_SIGNAL}, {0}};
    for (int64_t run_id = 0; run_id <= WORLD_FIRST_RUN; run_id += WORLD_FIRST_RUN) {
        struct story *s CLEANUP(story_freep) = story_new();
        s->world->faults = faults;
        story_deploy(s);
        story_expect_open(s, 143, "interrupted", NULL);
        story_resolve(s, run_id);
        assert_non_null(s->err);
        assert_int_equal(error_kind(s->err), ERROR_USAGE);
        assert_non_null(strstr(error_message(s->err), "leaves nothing to resolve"));
        story_resume(s);
        story_expect(s, 7, "failed", NULL);
        assert_non_null(
            strstr(s->d->message, "no (HTTP 422); parameter " STORY_PARAMETER " is restored"));
    }
}

// Interrupted while the labels were being set: the run is over, and nothing is said to go on.
static void
test_signal_after_the_run(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:LabelParameterVersion *", .kind = FAULT_SIGNAL}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    s->request.on_cancel = "cancel";
    story_deploy(s);
    story_expect_open(s, 143, "interrupted",
        "deploy 'shop' to 'staging': interrupted by signal 15; the remote run is over "
        "(success): " STORY_RUN_URL);
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->posts, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_beside_an_open_question),
        cmocka_unit_test(test_resolve_of_an_ending),
        cmocka_unit_test(test_signal_after_the_run),
    };
    return cmocka_run_group_tests_name("overlap", tests, NULL, NULL);
}
