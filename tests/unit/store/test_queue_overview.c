// What a page over all lanes reads: what is there now and who brought it, and which lanes ended
// badly.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "queue_fixture.h"
#include "store_lab.h"

// One job from its acceptance to its end.
static struct queue_job *
ends(struct queue_fixture *fixture, const char *id, const char *app, const char *result,
    int64_t now_ms)
{
    struct queue_job job = queue_fixture_job(id, app, "production");
    (void)queue_fixture_accept(fixture, &job, now_ms);
    struct queue_job *started = queue_fixture_start(fixture, now_ms + 1);
    queue_fixture_end(fixture, started, result, now_ms + 2);
    return started;
}

static void
add_release(
    struct queue_fixture *fixture, const char *app, const char *deployment, int64_t since_ms)
{
    const struct queue_release release = {.app = app,
        .env = "production",
        .version = deployment,
        .deployment = deployment,
        .since_ms = since_ms};
    assert_null(queue_release_add(fixture->store, &release));
}

static void
tells_what_is_there_now(void **state)
{
    struct queue_fixture *fixture = *state;
    struct queue_release *releases = NULL;
    size_t count = 9;
    assert_null(queue_releases_now(fixture->store, fixture->arena, &releases, &count));
    assert_int_equal(count, 0);
    (void)ends(fixture, "d-1", "shop", "deployed", 1000);
    add_release(fixture, "shop", "d-1", 1002);
    add_release(fixture, "shop", "d-2", 2002); // of no job that is known
    add_release(fixture, "cart", "d-3", 3002);
    assert_null(queue_releases_now(fixture->store, fixture->arena, &releases, &count));
    assert_int_equal(count, 2);
    assert_string_equal(releases[0].app, "cart");
    assert_string_equal(releases[1].version, "d-2");
    assert_null(releases[1].requester);
    assert_int_equal(releases[1].until_ms, 0);
    struct queue_release *before = NULL;
    assert_null(
        queue_release_at(fixture->store, "shop", "production", 1500, fixture->arena, &before));
    assert_string_equal(before->version, "d-1");
    assert_string_equal(before->requester, "octocat");
}

static void
tells_which_lanes_ended_badly(void **state)
{
    struct queue_fixture *fixture = *state;
    struct queue_job *jobs = NULL;
    size_t count = 9;
    assert_null(queue_failures(fixture->store, fixture->arena, &jobs, &count));
    assert_int_equal(count, 0);
    (void)ends(fixture, "d-1", "shop", "failed", 1000);
    (void)ends(fixture, "d-2", "shop", "deployed", 2000); // mended
    (void)ends(fixture, "d-3", "cart", "deployed", 3000);
    (void)ends(fixture, "d-4", "cart", "failed", 4000);
    (void)ends(fixture, "d-5", "mail", "unknown", 5000);
    // One that never began says nothing of the lane.
    struct queue_job job = queue_fixture_job("d-6", "mail", "production");
    bool running = true;
    (void)queue_fixture_accept(fixture, &job, 6000);
    assert_null(queue_cancel(fixture->store, "d-6", "octocat", NULL, 6001, &running));
    assert_false(running);
    assert_null(queue_failures(fixture->store, fixture->arena, &jobs, &count));
    assert_int_equal(count, 2);
    assert_string_equal(jobs[0].id, "d-5");
    assert_string_equal(jobs[1].id, "d-4");
    assert_string_equal(jobs[1].result, "failed");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(tells_what_is_there_now),
        QUEUE_TEST(tells_which_lanes_ended_badly),
    };
    return store_lab_run(tests, ARRAY_LENGTH(tests));
}
