// Drives a deployment by deploy_advance, on a clock that must not be slept on.
#include "advance_story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

void
pace_of_test_freep(struct deploy_pace **pace)
{
    deploy_pace_free(*pace);
    *pace = NULL;
}

size_t
story_advance_to_the_end(struct story *story, bool forgets)
{
    struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
    size_t calls = 0, slept = story->fake->sleep_count;
    do {
        assert_true(calls++ < ADVANCE_CALLS_MAX);
        if (forgets) {
            deploy_pace_free(pace);
            pace = deploy_pace_new();
        }
        story_advance(story, pace);
        if (story->err != NULL) {
            char *text CLEANUP(xfreep) = error_text(story->err);
            fail_msg("call %zu: %s", calls, text);
        }
        if (!story->advanced.ended) {
            assert_true(story->advanced.until_ms > story->fake->mono_ms);
            fake_platform_advance(story->fake, story->advanced.until_ms - story->fake->mono_ms);
        }
    } while (!story->advanced.ended);
    assert_int_equal(story->fake->sleep_count, slept);
    return calls;
}

void
story_deploy_in_calls(struct story *story)
{
    story_begin(story);
    if (story->err == NULL) {
        (void)story_advance_to_the_end(story, false);
    }
}
