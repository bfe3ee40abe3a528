// What is new, as Markdown, and which pull requests brought it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "notice_internal.h"

#define OLD "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NEW "cccccccccccccccccccccccccccccccccccccccc"
#define MID "dddddddddddddddddddddddddddddddddddddddd"
#define WEB "https://github.com/octo/shop"

static void
test_pull_numbers(void **state)
{
    (void)state;
    assert_int_equal(release_pull_of("Fix it (#12)"), 12);
    assert_int_equal(release_pull_of("Fix it (#12) \n"), 12);
    assert_int_equal(release_pull_of("Revert \"Fix it (#12)\" (#13)"), 13);
    assert_int_equal(release_pull_of("Merge pull request #7 from octo/fix-(#8)"), 7);
    assert_int_equal(release_pull_of("Merge pull request #7"), 0);
    assert_int_equal(release_pull_of("Merge pull request #x from y"), 0);
    assert_int_equal(release_pull_of("Fix #12"), 0);
    assert_int_equal(release_pull_of("(#12) first"), 0);
    assert_int_equal(release_pull_of("Fix (see #12)"), 0);
    assert_int_equal(release_pull_of("Fix (#12a)"), 0);
    assert_int_equal(release_pull_of("Fix (#)"), 0);
    assert_int_equal(release_pull_of("Fix (#0)"), 0);
    assert_int_equal(release_pull_of("Fix (#-1)"), 0);
    assert_int_equal(release_pull_of("Fix (#99999999999999999999)"), 0);
    assert_int_equal(release_pull_of(""), 0);
    assert_int_equal(release_pull_of(NULL), 0);
}

static struct deployment
made_of(struct deployment_service *service, struct deployment_commit *commits, size_t count)
{
    *service = (struct deployment_service){.name = "web", .previous = OLD};
    return (struct deployment){.app = "shop",
        .version = NEW,
        .sha = NEW,
        .repository = "octo/shop",
        .github_web = "https://github.com",
        .services = {service, 1},
        .commits = {commits, count},
        .commits_complete = true};
}

static void
test_notes(void **state)
{
    (void)state;
    struct deployment_service service;
    struct deployment_commit commits[] = {
        {.sha = NEW, .author = "Ann", .subject = "Charge once (#12)", .pull = 12},
        {.sha = MID, .author = "Bob", .subject = "Merge pull request #7 from a/b", .pull = 7},
        {.sha = OLD, .author = "Ann", .subject = "*bold* @bob"},
    };
    const struct deployment d = made_of(&service, commits, 3);
    struct buf out CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    release_notes(&d, 10000, &out);
    assert_string_equal(buf_cstr(&out),
        "- [`ccccccc`](" WEB "/commit/" NEW ") Charge once ([#12](" WEB "/pull/12)) · Ann\n"
        "- [`ddddddd`](" WEB "/commit/" MID ") Merge pull request [#7](" WEB
        "/pull/7) from a/b · Bob\n"
        "- [`bbbbbbb`](" WEB "/commit/" OLD ") \\*bold\\* @&#8203;bob · Ann\n"
        "\n"
        "By Ann, Bob\n"
        "\n"
        "[`bbbbbbbbbbbb...cccccccccccc`](" WEB "/compare/" OLD "..." NEW ")\n");
}

static void
test_without_a_repository(void **state)
{
    (void)state;
    struct deployment_service service;
    struct deployment_commit commits[] = {
        {.sha = NEW, .subject = "Charge once (#12)", .pull = 12},
    };
    struct deployment d = made_of(&service, commits, 1);
    d.repository = NULL;
    d.commits_complete = false;
    struct buf out CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    release_notes(&d, 10000, &out);
    assert_string_equal(buf_cstr(&out), "- `ccccccc` Charge once (#&#8203;12)\n- … and more\n\n");
}

static void
test_nothing_new(void **state)
{
    (void)state;
    struct deployment_service service;
    const struct deployment d = made_of(&service, NULL, 0);
    struct buf out CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    release_notes(&d, 10000, &out);
    assert_int_equal(out.len, 0);
}

// The newest fit, the rest is counted, and the end is there all the same.
static void
test_cap(void **state)
{
    (void)state;
    enum { COUNT = 500, MAX = 2000 };
    struct deployment_service service;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deployment_commit *commits = arena_array(arena, COUNT, sizeof(*commits));
    for (size_t i = 0; i < COUNT; i++) {
        commits[i] = (struct deployment_commit){.sha = NEW,
            .author = arena_printf(arena, "Author %zu", i),
            .subject = arena_printf(arena, "commit %zu", i)};
    }
    const struct deployment d = made_of(&service, commits, COUNT);
    struct buf out CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    release_notes(&d, MAX, &out);
    assert_true(out.len <= MAX);
    assert_true(str_starts(buf_str(&out), STR("- [`ccccccc`](" WEB "/commit/" NEW ") commit 0 ·")));
    assert_true(
        str_contains(buf_str(&out), STR(") commit 12 · Author 12\n- … and 487 more\n\nBy ")));
    assert_true(str_contains(buf_str(&out), STR("Author 18, Author 19 and 480 more\n")));
    assert_true(str_ends(buf_str(&out), STR("/compare/" OLD "..." NEW ")\n")));
}

static void
test_links(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deployment_service service;
    struct deployment d = made_of(&service, NULL, 0);
    assert_string_equal(release_commit_url(&d, NEW, arena), WEB "/commit/" NEW);
    assert_null(release_commit_url(&d, "v1", arena));
    assert_null(release_commit_url(&d, NULL, arena));
    assert_string_equal(release_compare_url(&d, arena), WEB "/compare/" OLD "..." NEW);
    service.previous = "v1";
    assert_null(release_compare_url(&d, arena));
    service.previous = NEW; // the same again: nothing to compare
    assert_null(release_compare_url(&d, arena));
    service.previous = OLD;
    d.version = "v2";
    assert_null(release_compare_url(&d, arena));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pull_numbers),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_without_a_repository),
        cmocka_unit_test(test_nothing_new),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_links),
    };
    return cmocka_run_group_tests_name("release_notes", tests, NULL, NULL);
}
