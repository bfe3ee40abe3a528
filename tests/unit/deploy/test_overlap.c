// Deployments that get in each other's way, and endings that are touched again: what one of them
// has left open, no other one sends over.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

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

// --- what a parameter's value may do -----------------------------------------------------------

// It shows as 'v2' but is another value: it has to be written.
static void
test_a_value_that_only_looks_the_same(void **state)
{
    (void)state;
    static const char *const values[] = {"v2\xe2\x80\x8b", "\x1b[0mv2"};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        struct story *s CLEANUP(story_freep) = story_new();
        s->world->parameter_count = 0;
        (void)world_parameter(s->world, STORY_PARAMETER, values[i], "deployed");
        story_deploy(s);
        story_expect(s, 0, "deployed", NULL);
        assert_string_equal(world_value(s->world, STORY_PARAMETER), "v2");
        assert_string_equal(
            deployment_service_at(s->d, 0)->previous, "v2 (with characters that are not shown)");
    }
}

// The command that a hint offers is made of words that a shell takes as they are.
static void
test_no_command_of_a_hostile_value(void **state)
{
    (void)state;
    static const char *const failing[] = {"completed:failure", NULL};
    static const struct world_fault refused[] = {{.match = "ssm:PutParameter *",
                                                     .from = 2,
                                                     .kind = FAULT_STATUS,
                                                     .status = 400,
                                                     .body = "{\"__type\":\"Denied\"}"},
        {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = failing;
    s->world->faults = refused;
    s->world->parameter_count = 0;
    (void)world_parameter(s->world, STORY_PARAMETER, "v1'; rm -rf '", "deployed");
    story_deploy(s);
    story_expect(s, 8, "failed", NULL);
    assert_string_equal(s->d->hint,
        "Put it back by hand: parameter '" STORY_PARAMETER "' had the right value in version 1.");
}

static void
test_no_markup_of_a_hostile_value(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->parameter_count = 0;
    (void)world_parameter(s->world, STORY_PARAMETER, "v1` | <img src=x> ![](y)", "deployed");
    story_deploy(s);
    struct buf summary CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    report_summary(s->d, &summary);
    assert_non_null(
        strstr(buf_cstr(&summary), "| Before | v1\\` \\| &lt;img src=x> !\\[\\](y) |\n"));
}

// --- a full disk -------------------------------------------------------------------------------

static struct rlimit usual_limit;

static void
fill_disk(struct world *world)
{
    (void)world;
    struct rlimit none = usual_limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
}

static void
deploy_on_a_full_disk(struct story *s, const struct world_fault *faults)
{
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual_limit), 0);
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    s->world->faults = faults;
    story_deploy(s);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual_limit), 0);
    (void)signal(SIGXFSZ, before);
    assert_non_null(s->err);
    assert_int_equal(error_kind(s->err), ERROR_STORAGE);
}

// The run's id stands in no journal: it must stand in what is said.
static void
test_disk_full_after_the_dispatch(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "POST */dispatches", .kind = FAULT_HOOK, .hook = fill_disk}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    deploy_on_a_full_disk(s, faults);
    assert_string_equal(
        error_hint_of(s->err), arena_printf(s->arena,
                                   "Run 29020317001 was started: " STORY_RUN_URL
                                   ". 'dispatcher resume %s' follows it to its end.",
                                   s->d->id));
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->posts, 1);
}

// Nothing was triggered, but something was changed.
static void
test_disk_full_after_the_write(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_HOOK, .hook = fill_disk}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    deploy_on_a_full_disk(s, faults); // the write is done, and cannot be recorded
    assert_string_equal(error_hint_of(s->err),
        arena_printf(s->arena,
            "Nothing was triggered, but parameter '" STORY_PARAMETER "' says 'v2' (version 2). "
            "'dispatcher resume %s' goes on from there.",
            s->d->id));
    assert_int_equal(s->world->posts, 0);
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
}

// What failed before the disk did is told, too.
static void
test_disk_full_while_taking_back(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "POST */dispatches",
                                                    .kind = FAULT_STATUS,
                                                    .status = 422,
                                                    .body = "{\"message\":\"no such input\"}"},
        {.match = "ssm:PutParameter *", .from = 2, .kind = FAULT_HOOK, .hook = fill_disk}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    deploy_on_a_full_disk(s, faults);
    char *text CLEANUP(xfreep) = error_text(s->err);
    assert_non_null(strstr(text, "no such input (HTTP 422); this could not be recorded: "));
    story_resume(s);
    story_expect(s, 7, "failed", NULL);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_beside_an_open_question),
        cmocka_unit_test(test_resolve_of_an_ending),
        cmocka_unit_test(test_signal_after_the_run),
        cmocka_unit_test(test_a_value_that_only_looks_the_same),
        cmocka_unit_test(test_no_command_of_a_hostile_value),
        cmocka_unit_test(test_no_markup_of_a_hostile_value),
        cmocka_unit_test(test_disk_full_after_the_dispatch),
        cmocka_unit_test(test_disk_full_after_the_write),
        cmocka_unit_test(test_disk_full_while_taking_back),
    };
    return cmocka_run_group_tests_name("overlap", tests, NULL, NULL);
}
