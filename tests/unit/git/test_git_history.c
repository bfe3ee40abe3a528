// How commits stand to each other, in complete clones and in shallow ones, where not knowing must
// not look like a no.
#include "dispatcher/git.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "git_fixture.h"

enum { HISTORY = 6 };

// main: c0 … c5; side: c0, c1, s; other: unrelated; a merge of side into main on "merged".
struct world {
    struct git_fixture *git;
    char *ids[HISTORY], *side, *other, *merged;
};

static void
world_done(struct world *world)
{
    for (size_t i = 0; i < HISTORY; i++) {
        free(world->ids[i]);
    }
    free(world->side);
    free(world->other);
    free(world->merged);
    git_fixture_free(world->git);
}

static void
world_init(struct world *world)
{
    world->git = git_fixture_new();
    git_fixture_init(world->git, "app");
    for (int i = 0; i < HISTORY; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "Change %d", i);
        git_fixture_commit(world->git, "app", "file", text, text);
        world->ids[i] = git_fixture_id(world->git, "app", "HEAD");
    }
    git_run(world->git, "app", "checkout", "-q", "-b", "side", "HEAD~4");
    git_fixture_commit(world->git, "app", "side", "s", "Side");
    world->side = git_fixture_id(world->git, "app", "HEAD");
    git_run(world->git, "app", "checkout", "-q", "-b", "merged", "main");
    world->git->commits++;
    git_run(world->git, "app", "merge", "-q", "--no-ff", "-m", "Merge side", "side");
    world->merged = git_fixture_id(world->git, "app", "HEAD");
    git_run(world->git, "app", "checkout", "-q", "--orphan", "other");
    git_fixture_commit(world->git, "app", "other", "o", "Other");
    world->other = git_fixture_id(world->git, "app", "HEAD");
    git_run(world->git, "app", "checkout", "-q", "main");
}

static void
clone_shallow(struct world *world, const char *depth, const char *branch, const char *name)
{
    char *from CLEANUP(xfreep) = xasprintf("file://%s/app", world->git->root);
    git_run(world->git, ".", "clone", "-q", "--depth", depth, "--branch", branch, from, name);
}

static void
assert_relation(const struct world *world, const char *where, const char *base, const char *commit,
    enum git_relation want)
{
    char *path CLEANUP(xfreep) = git_fixture_path(world->git, where);
    enum git_relation got = GIT_SAME;
    struct error *err CLEANUP(error_freep) = git_relate(path, base, commit, &got);
    if (err != NULL) {
        fail_msg("%s", error_message(err));
    }
    assert_int_equal(got, want);
}

static void
complete_clones_know_every_relation(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    assert_relation(&w, "app", w.ids[2], w.ids[2], GIT_SAME);
    assert_relation(&w, "app", w.ids[0], w.ids[5], GIT_AHEAD);
    assert_relation(&w, "app", w.ids[5], w.ids[0], GIT_BEHIND);
    assert_relation(&w, "app", w.side, w.ids[5], GIT_DIVERGED);
    assert_relation(&w, "app", w.ids[5], w.side, GIT_DIVERGED);
    assert_relation(&w, "app", w.side, w.merged, GIT_AHEAD);
    assert_relation(&w, "app", w.other, w.ids[5], GIT_DIVERGED);
    assert_relation(
        &w, "app", "0123456789012345678901234567890123456789", w.ids[5], GIT_UNRELATED_UNKNOWN);
}

static void
versions_may_be_tags_or_short_ids(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_run(w.git, "app", "tag", "v1", "HEAD~3");
    git_run(w.git, "app", "tag", "-a", "v2", "-m", "two", "HEAD~1");
    git_run(w.git, "app", "tag", "content", "HEAD:file");
    char *brief CLEANUP(xfreep) = xstrndup(w.ids[1], 9);
    assert_relation(&w, "app", "v1", w.ids[5], GIT_AHEAD);
    assert_relation(&w, "app", "v2", w.ids[4], GIT_SAME);
    assert_relation(&w, "app", "v2", "v1", GIT_BEHIND);
    assert_relation(&w, "app", brief, "v1", GIT_AHEAD);
    static const char *const unknown[] = {"content", "main", "HEAD", "HEAD~1", "abc", "", "v9",
        ":/Change", "../../HEAD", "v1\n", "refs/tags/v1", "@{0}", "-x", "v1^{commit}", "ABCDEF0123",
        "latest"};
    for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++) {
        assert_relation(&w, "app", unknown[i], w.ids[5], GIT_UNRELATED_UNKNOWN);
    }
    assert_relation(&w, "app", NULL, w.ids[5], GIT_UNRELATED_UNKNOWN);
}

static void
a_commit_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    char *path CLEANUP(xfreep) = git_fixture_path(w.git, "app");
    enum git_relation relation = GIT_SAME;
    struct error *err CLEANUP(error_freep) = git_relate(path, w.ids[0], "no\x1b[1msuch", &relation);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_USAGE);
    assert_string_equal(error_message(err), "commit 'nosuch' is not in the checkout");
}

static void
shallow_clones_say_what_they_do_not_know(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    clone_shallow(&w, "1", "main", "one");
    assert_relation(&w, "one", w.ids[5], w.ids[5], GIT_SAME);
    assert_relation(&w, "one", w.ids[0], w.ids[5], GIT_UNRELATED_UNKNOWN);

    clone_shallow(&w, "3", "main", "three");
    assert_relation(&w, "three", w.ids[3], w.ids[5], GIT_AHEAD);
    assert_relation(&w, "three", w.ids[5], w.ids[3], GIT_BEHIND);
    assert_relation(&w, "three", w.ids[2], w.ids[5], GIT_UNRELATED_UNKNOWN);

    // Both are there, what joins them is not.
    git_run(w.git, "three", "fetch", "-q", "--depth", "1", "origin", "side");
    assert_relation(&w, "three", w.side, w.ids[5], GIT_UNRELATED_UNKNOWN);
    assert_relation(&w, "three", w.ids[5], w.side, GIT_UNRELATED_UNKNOWN);

    clone_shallow(&w, "2", "merged", "merge");
    assert_relation(&w, "merge", w.side, w.merged, GIT_AHEAD);
    assert_relation(&w, "merge", w.side, w.ids[5], GIT_UNRELATED_UNKNOWN);
}

// Marked shallow at the very first commit: everything is there all the same.
static void
a_shallow_clone_that_is_cut_nowhere_knows_everything(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_fixture_write(w.git, "app/.git/shallow", w.ids[0]);
    assert_relation(&w, "app", w.other, w.ids[5], GIT_DIVERGED);
    assert_relation(&w, "app", w.side, w.ids[5], GIT_DIVERGED);
    assert_relation(&w, "app", w.side, w.merged, GIT_AHEAD);
    assert_relation(&w, "app", w.merged, w.ids[0], GIT_BEHIND);
}

static void
assert_commits(const struct world *world, const char *where, const char *from, const char *to,
    size_t max, const char *subjects, bool want_complete)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char *path CLEANUP(xfreep) = git_fixture_path(world->git, where);
    struct git_log_entry *list = NULL;
    size_t count = 99;
    bool complete = !want_complete;
    assert_null(git_commits(path, from, to, max, arena, &list, &count, &complete));
    struct buf got CLEANUP(buf_done) = BUF_INIT(4096);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&got, "%s%s", i > 0 ? "," : "", list[i].subject);
    }
    assert_string_equal(buf_cstr(&got), subjects);
    assert_int_equal(complete, want_complete);
}

static void
commits_between_versions_are_listed_newest_first(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    assert_commits(&w, "app", w.ids[2], w.ids[5], 10, "Change 5,Change 4,Change 3", true);
    assert_commits(&w, "app", w.ids[2], w.ids[5], 3, "Change 5,Change 4,Change 3", true);
    assert_commits(&w, "app", w.ids[2], w.ids[5], 2, "Change 5,Change 4", false);
    assert_commits(&w, "app", w.ids[2], w.ids[5], 0, "", false);
    assert_commits(&w, "app", w.ids[5], w.ids[5], 5, "", true);
    assert_commits(&w, "app", w.ids[5], w.ids[0], 5, "", true);
    assert_commits(&w, "app", w.ids[5], w.merged, 5, "Merge side,Side", true);
    assert_commits(&w, "app", w.other, w.ids[1], 5, "Change 1,Change 0", true);
    assert_commits(&w, "app", "gone", w.ids[5], 5, "", false);
    assert_commits(&w, "app", NULL, w.ids[5], 5, "", false);
}

static void
commits_of_shallow_clones_are_listed_as_far_as_they_go(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    clone_shallow(&w, "4", "main", "four");
    assert_commits(&w, "four", w.ids[3], w.ids[5], 10, "Change 5,Change 4", true);
    assert_commits(&w, "four", w.ids[3], w.ids[5], 1, "Change 5", false);
    assert_commits(&w, "four", w.ids[1], w.ids[5], 10, "", false);

    clone_shallow(&w, "2", "merged", "merge"); // side's own parents are cut off
    assert_commits(&w, "merge", w.ids[5], w.merged, 10, "Merge side,Side", false);
}

static void
what_commits_say_is_made_harmless(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char *path CLEANUP(xfreep) = git_fixture_path(w.git, "app");
    char wide[600];
    memset(wide, 'w', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = '\0';
    git_fixture_commit(w.git, "app", "file", "a", wide);
    git_run(w.git, "app", "-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--allow-empty",
        "--author", "Eve \x1b]0;owned\x07\xe2\x80\xae Red <e@example.com>", "-m",
        "Fix \x1b[31mred\x1b[0m\ttab \xff\xe2\x80\xae bidi\n\nbody");
    char *head CLEANUP(xfreep) = git_fixture_id(w.git, "app", "HEAD");
    struct git_log_entry *list = NULL;
    size_t count = 0;
    bool complete = false;
    assert_null(git_commits(path, w.ids[5], head, 10, arena, &list, &count, &complete));
    assert_int_equal(count, 2);
    assert_true(complete);
    // Both have the same time: find them by length.
    const struct git_log_entry *hostile = strlen(list[0].subject) < 100 ? &list[0] : &list[1];
    const struct git_log_entry *longest = hostile == &list[0] ? &list[1] : &list[0];
    assert_string_equal(hostile->subject, "Fix red tab \xef\xbf\xbd bidi");
    assert_string_equal(hostile->author, "Eve  Red");
    assert_string_equal(hostile->sha, head);
    assert_int_equal(hostile->time_ms % 1000, 0);
    assert_true(hostile->time_ms >= INT64_C(1790000000000));
    assert_string_equal(longest->author, "Ada Author");
    assert_true(strlen(longest->subject) <= 203);
    assert_true(str_ends(str_of(longest->subject), STR("ww…")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complete_clones_know_every_relation),
        cmocka_unit_test(versions_may_be_tags_or_short_ids),
        cmocka_unit_test(a_commit_that_is_not_there_is_an_error),
        cmocka_unit_test(shallow_clones_say_what_they_do_not_know),
        cmocka_unit_test(a_shallow_clone_that_is_cut_nowhere_knows_everything),
        cmocka_unit_test(commits_between_versions_are_listed_newest_first),
        cmocka_unit_test(commits_of_shallow_clones_are_listed_as_far_as_they_go),
        cmocka_unit_test(what_commits_say_is_made_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
