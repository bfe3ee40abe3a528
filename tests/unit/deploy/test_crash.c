// Kill -9 at every clock reading and at every request, before and after its effect: whoever resumes
// comes to the same end, and no id is ever dispatched twice (protocols.md §3.5, F26).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

// What must be true after each resumed story.
struct ending {
    int exit_code;
    const char *result;
    const char *value; // of the parameter
    const char *label; // of its newest version, or ""
};

// A run killed before its intent was written did nothing; one killed between the intent and the
// dispatch cannot know that nothing left: both are told apart from the usual end.
static bool
is_undecidable(const struct story *s)
{
    return cstr_equal(s->d->result, "unknown") && s->world->posts == 0;
}

static void
check_end(struct story *s, const struct ending *ending, int64_t at)
{
    const struct world_parameter *parameter = world_parameter_find(s->world, STORY_PARAMETER);
    const struct world_version *last = &parameter->versions[parameter->count - 1];
    if (s->world->posts > 1) {
        fail_msg("killed at tick %lld: %u dispatches", (long long)at, s->world->posts);
    }
    if (is_undecidable(s)) {
        assert_int_equal(s->d->exit_code, 9);
        story_resolve(s, 0); // the operator has looked: there is no run
        story_expect(s, 7, "failed", NULL);
        assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
        return;
    }
    if (s->err != NULL || s->d->exit_code != ending->exit_code ||
        strcmp(last->value, ending->value) != 0 || strcmp(last->labels[0], ending->label) != 0) {
        print_error("killed at tick %lld:\n", (long long)at);
        story_expect(s, ending->exit_code, ending->result, "");
    }
    story_expect(s, ending->exit_code, ending->result, NULL);
    assert_string_equal(last->value, ending->value);
    assert_string_equal(last->labels[0], ending->label);
    assert_int_equal(s->world->posts, 1);
}

static void
kill_everywhere(struct story *s, const struct ending *ending)
{
    int64_t at = 1;
    for (; at < 2000; at++) {
        story_restart(s);
        if (!story_deploy_and_die(s, at)) {
            break;
        }
        if (!story_has_journal(s)) {
            story_expect_effects(s, "");
            continue;
        }
        story_resume(s);
        check_end(s, ending, at);
    }
    assert_true(at > 50 && at < 2000);
    print_message("killed at %lld places\n", (long long)at - 1);
}

static void
test_success(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    kill_everywhere(s, &(struct ending){0, "deployed", "v2", "deployed"});
}

static void
test_failure(void **state)
{
    (void)state;
    static const char *const failing[] = {"in_progress", "completed:failure", NULL};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = failing;
    kill_everywhere(s, &(struct ending){7, "failed", "v1", "deployed"});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_failure),

    };
    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
