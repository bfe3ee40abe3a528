// github_compare: how two commits stand, and the commits between them, newest first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/buf.h"
#include "dispatcher/memory.h"
#include "github_fixture.h"

#define COMPARE GITHUB_REPO "/compare/v1...v2"
#define SMALL COMPARE "?per_page=1&page=2"
#define FIRST COMPARE "?per_page=100&page=1"
#define ANSWER(status, ahead, behind, total, commits)                                              \
    "{\"status\":\"" status "\",\"ahead_by\":" #ahead ",\"behind_by\":" #behind                    \
    ",\"total_commits\":" #total ",\"commits\":[" commits "],\"files\":[{\"patch\":\"x\"}]}"

static struct github_fixture *
play(const struct script_step *steps, size_t count, size_t max, struct error **err,
    struct github_comparison **out)
{
    struct github_fixture *f = github_fixture_token(steps, count);
    *err = github_compare(f->client, "v1", "v2", max, f->arena, out);
    github_fixture_finish(f);
    return f;
}

static void
how_they_stand(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        enum github_relation relation;
        int64_t ahead, behind;
    } cases[] = {
        {ANSWER("identical", 0, 0, 0, ""), GITHUB_IDENTICAL, 0, 0},
        {ANSWER("ahead", 3, 0, 3, ""), GITHUB_AHEAD, 3, 0},
        {ANSWER("behind", 0, 2, 0, ""), GITHUB_BEHIND, 0, 2},
        {ANSWER("diverged", 1, 2, 1, ""), GITHUB_DIVERGED, 1, 2},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {{.url = SMALL, .reply = cases[i].reply}};
        struct github_comparison *seen = NULL;
        struct error *err = NULL;
        struct github_fixture *f CLEANUP(github_fixture_freep) = play(steps, 1, 0, &err, &seen);
        assert_null(err);
        assert_int_equal(seen->relation, cases[i].relation);
        assert_int_equal(seen->ahead_by, cases[i].ahead);
        assert_int_equal(seen->behind_by, cases[i].behind);
        assert_int_equal(seen->count, 0);
    }
}

static void
one_is_not_there(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = SMALL, .status = 404, .reply = "{\"message\":\"Not Found\"}"}};
    struct github_comparison *seen = NULL;
    struct error *err = NULL;
    struct github_fixture *f CLEANUP(github_fixture_freep) = play(steps, 1, 0, &err, &seen);
    assert_null(err);
    assert_null(seen);
}

// A tag may hold what a path may not.
static void
names_are_escaped(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = GITHUB_REPO "/compare/a%2Fb%3F...c%23..%2Fd?per_page=1&page=2",
            .reply = ANSWER("identical", 0, 0, 0, "")}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_comparison *seen = NULL;
    assert_null(github_compare(f->client, "a/b?", "c#../d", 0, f->arena, &seen));
    github_fixture_finish(f);
}

static void
what_a_commit_says(void **state)
{
    (void)state;
    static const char reply[] = ANSWER("ahead", 3, 0, 3,
        "{\"sha\":\"s1\",\"commit\":{\"message\":\"one (#7)\\r\\nmore\",\"author\":{\"name\":\"A\","
        "\"email\":\"a@x.org\",\"date\":\"2026-11-21T07:48:00Z\"}},\"author\":{\"login\":\"aa\"}},"
        "{\"sha\":\"s2\",\"commit\":{\"message\":\"two\",\"author\":{\"name\":\"B\"}},"
        "\"author\":null},"
        "{\"sha\":\"s3\",\"commit\":{\"author\":null}}");
    static const struct script_step steps[] = {{.url = FIRST, .reply = reply}};
    struct github_comparison *seen = NULL;
    struct error *err = NULL;
    struct github_fixture *f CLEANUP(github_fixture_freep) = play(steps, 1, 50, &err, &seen);
    assert_null(err);
    assert_int_equal(seen->count, 3);
    assert_true(seen->complete);
    assert_string_equal(seen->commits[0].sha, "s3"); // newest first
    assert_string_equal(seen->commits[0].subject, "");
    assert_null(seen->commits[0].author);
    assert_int_equal(seen->commits[0].time_ms, 0);
    assert_string_equal(seen->commits[1].author, "B");
    assert_null(seen->commits[1].email);
    assert_string_equal(seen->commits[2].subject, "one (#7)");
    assert_string_equal(seen->commits[2].author, "aa");
    assert_string_equal(seen->commits[2].email, "a@x.org");
    assert_true(seen->commits[2].time_ms == FAKE_WALL_START);
}

// `from` to `to` of `total`, oldest first as GitHub sends them.
static const char *
page_of(struct arena *arena, int from, int to, int total)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_printf(&text, "{\"status\":\"ahead\",\"ahead_by\":%d,\"behind_by\":0,", total);
    buf_printf(&text, "\"total_commits\":%d,\"commits\":[", total);
    for (int i = from; i <= to; i++) {
        buf_printf(
            &text, "%s{\"sha\":\"c%d\",\"commit\":{\"message\":\"m\"}}", i > from ? "," : "", i);
    }
    buf_puts(&text, "]}");
    return arena_str(arena, buf_str(&text));
}

static void
expect_pages(int total, size_t max, const int *pages, size_t page_count)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct script_step *steps = arena_array(arena, page_count, sizeof(*steps));
    for (size_t i = 0; i < page_count; i++) {
        int to = pages[i] * 100 < total ? pages[i] * 100 : total;
        steps[i] = (struct script_step){
            .url = arena_printf(arena, COMPARE "?per_page=100&page=%d", pages[i]),
            .reply = page_of(arena, (pages[i] - 1) * 100 + 1, to, total)};
    }
    struct github_comparison *seen = NULL;
    struct error *err = NULL;
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        play(steps, page_count, max, &err, &seen);
    assert_null(err);
    size_t expected = (size_t)total < max ? (size_t)total : max;
    assert_int_equal(seen->count, expected);
    assert_true(seen->complete == ((size_t)total <= max));
    for (size_t i = 0; i < expected; i++) {
        assert_string_equal(seen->commits[i].sha, arena_printf(arena, "c%d", total - (int)i));
    }
}

static void
the_newest_are_told(void **state)
{
    (void)state;
    expect_pages(100, 50, (const int[]){1}, 1);
    expect_pages(260, 50, (const int[]){1, 3}, 2);
    expect_pages(210, 50, (const int[]){1, 3, 2}, 3);
    expect_pages(110, 50, (const int[]){1, 2}, 2);
    expect_pages(0, 50, (const int[]){1}, 1);
}

static void
useless_answers(void **state)
{
    (void)state;
    static const char *const replies[] = {"[]", "{}", "{\"status\":\"sideways\"}",
        ANSWER("sideways", 0, 0, 0, ""), ANSWER("ahead", -1, 0, 0, ""),
        ANSWER("ahead", 1, 0, 99999999, ""), ANSWER("ahead", 1, 0, 1, "{\"sha\":7}"),
        ANSWER("ahead", 1, 0, 1, "7")};
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        const struct script_step steps[] = {{.url = FIRST, .reply = replies[i], .times = 1}};
        struct github_comparison *seen = NULL;
        struct error *err CLEANUP(error_freep) = NULL;
        struct github_fixture *f CLEANUP(github_fixture_freep) = play(steps, 1, 50, &err, &seen);
        assert_non_null(err);
        assert_null(seen);
        assert_non_null(strstr(error_message(err), "compare 'v1' with 'v2' of 'octo/infra'"));
    }
}

static void
history_changes_meanwhile(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct script_step steps[] = {{.url = FIRST, .reply = page_of(arena, 1, 100, 150)},
        {.url = COMPARE "?per_page=100&page=2", .reply = page_of(arena, 101, 160, 160)}};
    struct github_comparison *seen = NULL;
    struct error *err CLEANUP(error_freep) = NULL;
    struct github_fixture *f CLEANUP(github_fixture_freep) = play(steps, 2, 50, &err, &seen);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_they_stand),
        cmocka_unit_test(one_is_not_there),
        cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(what_a_commit_says),
        cmocka_unit_test(the_newest_are_told),
        cmocka_unit_test(useless_answers),
        cmocka_unit_test(history_changes_meanwhile),
    };
    return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
