// Sets up and asks about stories of App Runner.
#include "runner_story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

struct story *
runner_story(const char *spec, const char *source)
{
    static const char usual[] = RUNNER_SOURCE(RUNNER_OLD_IMAGE, "false");
    struct story *story = story_new();
    story->app_spec = spec;
    (void)world_runner(story->world, "shop-staging", source != NULL ? source : usual);
    return story;
}

struct world_runner *
runner_of(const struct story *story)
{
    return world_runner_find(story->world, "shop-staging");
}

const struct deployment_target *
runner_target(const struct story *story)
{
    return deployment_target_at(story->d, 0);
}

void
runner_expect_green(const struct story *story)
{
    story_expect(story, 0, "deployed", "'shop' v2 is deployed to 'staging' and proven to run");
    assert_true(runner_target(story)->proven);
    assert_string_equal(runner_target(story)->running_digest, STORY_DIGEST);
}

void
runner_expect_no_canary(struct story *story)
{
    struct json *journal CLEANUP(json_freep) = deployment_encode(story->d);
    char *text CLEANUP(xfreep) = json_text(journal);
    assert_null(strstr(text, RUNNER_CANARY));
    assert_null(strstr(buf_cstr(&story->events), RUNNER_CANARY));
    assert_null(strstr(buf_cstr(&story->text), RUNNER_CANARY));
}
