// Every end of a run against every policy: exit code, result, sentence, and what was written.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define PUT "put " STORY_PARAMETER "=v2\n"

static void
test_success(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging'");
    assert_true(s->d->run_id == WORLD_FIRST_RUN);
    char *effects CLEANUP(xfreep) =
        xasprintf(PUT "post main application=shop environment=staging distinct_id=%s\n"
                      "label " STORY_PARAMETER ":2 deployed\n",
            s->d->dispatch_id);
    story_expect_effects(s, effects);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success),
    };
    return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
