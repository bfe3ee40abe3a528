// Graphs of commits: how two stand to each other, in which order what is between them comes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "github_commits_internal.h"

// Each line is a name and the names of its parents.
static struct github_commits *
graph(const char *const *lines)
{
    struct github_commits *commits = sandbox_commits_new();
    for (size_t i = 0; lines[i] != NULL; i++) {
        struct str name = {0}, parent = {0}, rest = str_of(lines[i]);
        size_t parents[4] = {0};
        struct github_commit commit = {
            .message = "m", .name = "n", .email = "e", .parents = parents};
        (void)str_cut(rest, ' ', &name, &rest);
        char *sha CLEANUP(xfreep) = str_dup(name);
        commit.sha = sha;
        while (str_cut(rest, ' ', &parent, &rest)) {
            char *text CLEANUP(xfreep) = str_dup(parent);
            assert_true(sandbox_commits_find(commits, text, &parents[commit.parent_count++]));
        }
        assert_true(sandbox_commits_add(commits, &commit));
    }
    return commits;
}

static size_t
place(const struct github_commits *commits, const char *name)
{
    size_t at = 0;
    assert_true(sandbox_commits_find(commits, name, &at));
    return at;
}

static void
assert_stands(const struct github_commits *commits, const char *base, const char *head,
    enum commits_standing standing, const char *ahead, size_t behind, const char *ancestor)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf names CLEANUP(buf_done) = BUF_INIT(1024);
    struct commits_comparison comparison = {0};
    sandbox_commits_compare(
        commits, place(commits, base), place(commits, head), arena, &comparison);
    for (size_t i = 0; i < comparison.ahead_count; i++) {
        buf_puts(&names, commits->list[comparison.ahead[i]].sha);
    }
    assert_int_equal(comparison.standing, standing);
    assert_string_equal(buf_cstr(&names), ahead);
    assert_int_equal(comparison.behind_count, behind);
    assert_true(comparison.has_ancestor == (ancestor != NULL));
    if (ancestor != NULL) {
        assert_string_equal(commits->list[comparison.ancestor].sha, ancestor);
    }
}

static void
a_line_leads_and_trails(void **state)
{
    (void)state;
    static const char *const lines[] = {"a", "b a", "c b", "d c", NULL};
    struct github_commits *commits CLEANUP(sandbox_commits_freep) = graph(lines);
    assert_stands(commits, "a", "d", COMMITS_AHEAD, "bcd", 0, "a");
    assert_stands(commits, "d", "b", COMMITS_BEHIND, "", 2, "b");
    assert_stands(commits, "c", "c", COMMITS_IDENTICAL, "", 0, "c");
}

static void
branches_diverge_and_merge(void **state)
{
    (void)state;
    static const char *const lines[] = {"a", "b a", "x a", "c b", "y x", "m c y", "n m", NULL};
    struct github_commits *commits CLEANUP(sandbox_commits_freep) = graph(lines);
    assert_stands(commits, "c", "y", COMMITS_DIVERGED, "xy", 2, "a");
    assert_stands(commits, "c", "n", COMMITS_AHEAD, "xymn", 0, "c");
    assert_stands(commits, "n", "x", COMMITS_BEHIND, "", 5, "x");
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    size_t count = 0;
    const size_t *history = sandbox_commits_history(commits, place(commits, "y"), arena, &count);
    assert_int_equal(count, 3);
    assert_string_equal(commits->list[history[0]].sha, "a");
    assert_string_equal(commits->list[history[2]].sha, "y");
}

static void
strangers_have_no_ancestor(void **state)
{
    (void)state;
    static const char *const lines[] = {"a", "b a", "z", NULL};
    struct github_commits *commits CLEANUP(sandbox_commits_freep) = graph(lines);
    assert_stands(commits, "b", "z", COMMITS_DIVERGED, "z", 2, NULL);
}

static void
branches_are_found_by_name_and_ref(void **state)
{
    (void)state;
    static const char *const lines[] = {"a", "b a", NULL};
    struct github_commits *commits CLEANUP(sandbox_commits_freep) = graph(lines);
    size_t at = 9;
    json_set_str(commits->branches, "main", "b");
    assert_int_equal(place(commits, "main"), 1);
    assert_int_equal(place(commits, "refs/heads/main"), 1);
    assert_false(sandbox_commits_find(commits, "refs/tags/main", &at));
    assert_false(sandbox_commits_find(commits, "c", &at));
    assert_false(sandbox_commits_find(NULL, "a", &at));
    assert_int_equal(at, 9);
    const struct github_commit again = {.sha = "b", .message = "", .name = "", .email = ""};
    assert_false(sandbox_commits_add(commits, &again));
    assert_int_equal(commits->count, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_leads_and_trails),
        cmocka_unit_test(branches_diverge_and_merge),
        cmocka_unit_test(strangers_have_no_ancestor),
        cmocka_unit_test(branches_are_found_by_name_and_ref),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
