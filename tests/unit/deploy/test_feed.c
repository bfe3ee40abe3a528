// Following with a feed of news (deploy_run_feed): a request only when there is something to see.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "advance_story.h"
#include "dispatcher/memory.h"

enum { CALLS_MAX = 50 };

struct feed {
    unsigned asked;
    bool news;
    int64_t until_ms;
};

static bool
has_news(void *ctx, const char *repository, int64_t run_id, int64_t *until_ms)
{
    struct feed *feed = ctx;
    bool news = feed->news;
    assert_string_equal(repository, "octo/infra");
    assert_true(run_id == WORLD_FIRST_RUN);
    feed->asked++;
    feed->news = false;
    *until_ms = feed->until_ms;
    return news;
}

static void
advance_once(struct story *s, struct deploy_pace *pace, unsigned looks, int64_t until_ms)
{
    story_advance(s, pace);
    assert_null(s->err);
    assert_false(s->advanced.ended);
    assert_int_equal(s->world->runs[0].looks, looks);
    assert_true(s->advanced.until_ms == until_ms);
}

static void
test_looks_only_on_news(void **state)
{
    (void)state;
    static const char *const life[] = {"queued", "in_progress", "completed:success", NULL};
    struct feed feed = {.until_ms = INT64_MAX};
    const struct deploy_run_feed face = {has_news, &feed};
    struct story *s CLEANUP(story_freep) = story_new();
    struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
    s->world->life = life;
    s->feed = &face;
    story_begin(s);
    const int64_t queue_end = s->fake->mono_ms + 20 * 60 * 1000;
    advance_once(s, pace, 0, queue_end); // dispatched; nothing is known of it
    unsigned requests = s->world->requests;
    fake_platform_advance(s->fake, 60 * 1000);
    feed.until_ms = s->fake->mono_ms + 5000;
    advance_once(s, pace, 0, feed.until_ms);
    assert_int_equal(s->world->requests, requests);
    feed.until_ms = INT64_MAX;
    feed.news = true;
    advance_once(s, pace, 1, queue_end); // queued
    assert_int_equal(s->world->requests, requests + 1);
    feed.news = true;
    fake_platform_advance(s->fake, 1000);
    const int64_t run_end = s->fake->mono_ms + 30 * 60 * 1000;
    advance_once(s, pace, 2, run_end); // it has begun: its jobs are read
    assert_int_equal(s->world->requests, requests + 3);
    fake_platform_advance(s->fake, 1000);
    advance_once(s, pace, 2, run_end);
    assert_int_equal(s->world->requests, requests + 3);
    feed.news = true;
    story_advance(s, pace);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->runs[0].looks, 3);
    assert_int_equal(s->world->requests, requests + 7); // run, jobs, history, label
    assert_int_equal(s->fake->sleep_count, 0);
}

// Its time is over, although nobody has said a word.
static void
test_silence_ends_by_the_limit(void **state)
{
    (void)state;
    static const char *const life[] = {"in_progress", NULL};
    struct feed feed = {.until_ms = INT64_MAX};
    const struct deploy_run_feed face = {has_news, &feed};
    struct story *s CLEANUP(story_freep) = story_new();
    struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
    s->world->life = life;
    s->feed = &face;
    story_begin(s);
    for (int calls = 0; calls < 3; calls++) {
        story_advance(s, pace);
        assert_null(s->err);
        fake_platform_advance(s->fake, s->advanced.until_ms - s->fake->mono_ms);
    }
    assert_true(s->advanced.ended);
    story_expect_open(s, 10, "timeout", NULL);
    assert_int_equal(s->world->runs[0].looks, 2); // at the end of each of the two limits
}

// News whose look fails is not lost.
static void
test_failed_look_is_owed(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "GET */actions/runs/*", .times = 9, .kind = FAULT_RESET}, {0}};
    static const char *const over[] = {"completed:success", NULL};
    struct feed feed = {.until_ms = INT64_MAX, .news = true};
    const struct deploy_run_feed face = {has_news, &feed};
    struct story *s CLEANUP(story_freep) = story_new();
    struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
    s->world->life = over;
    s->world->faults = faults;
    s->feed = &face;
    story_begin(s);
    for (int calls = 0; !s->advanced.ended; calls++) {
        assert_true(calls < CALLS_MAX);
        story_advance(s, pace);
        assert_null(s->err);
        if (!s->advanced.ended) {
            assert_true(s->advanced.until_ms < s->fake->mono_ms + 60 * 1000);
            fake_platform_advance(s->fake, s->advanced.until_ms - s->fake->mono_ms);
        }
    }
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(feed.asked, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looks_only_on_news),
        cmocka_unit_test(test_silence_ends_by_the_limit),
        cmocka_unit_test(test_failed_look_is_owed),
    };
    return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
