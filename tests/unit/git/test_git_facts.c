// Facts of real checkouts made by the real git: every way to be dirty, every kind of tag and HEAD,
// other people's repositories and hostile configuration.
#include "dispatcher/git.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "fake_platform.h"
#include "git_fixture.h"

enum { OTHER_USER = 12345 };

struct world {
    struct git_fixture *git;
    struct fake_platform *fake;
    struct arena *arena;
    char *home;
};

static void
world_done(struct world *world)
{
    git_fixture_free(world->git);
    fake_platform_free(world->fake);
    arena_free(world->arena);
    free(world->home);
}

// A repository "app" with one commit, the way most checkouts start.
static void
world_init(struct world *world)
{
    world->git = git_fixture_new();
    world->home = xasprintf("HOME=%s", world->git->root);
    world->fake = fake_platform_new((const char *const[]){world->home, NULL});
    world->arena = arena_new();
    git_fixture_init(world->git, "app");
    git_fixture_commit(world->git, "app", "main.c", "int main;\n", "Start");
}

static struct git_facts *
read_at(struct world *world, const char *name)
{
    char *path CLEANUP(xfreep) = git_fixture_path(world->git, name);
    struct git_facts *facts = NULL;
    struct error *err CLEANUP(error_freep) =
        git_facts_read(&world->fake->platform, path, world->arena, &facts);
    if (err != NULL) {
        fail_msg("%s: %s", name, error_message(err));
    }
    return facts;
}

static void
assert_refused(struct world *world, const char *name, const char *before, const char *after)
{
    char *path CLEANUP(xfreep) = git_fixture_path(world->git, name);
    struct git_facts *facts = NULL;
    struct error *err CLEANUP(error_freep) =
        git_facts_read(&world->fake->platform, path, world->arena, &facts);
    assert_non_null(err);
    assert_null(facts);
    assert_int_equal(error_kind(err), ERROR_USAGE);
    struct buf want CLEANUP(buf_done) = BUF_INIT(4096);
    buf_printf(&want, "%s%s%s", before, path, after);
    assert_string_equal(error_message(err), buf_cstr(&want));
    assert_non_null(error_hint_of(err));
}

static void
assert_changed(const struct git_facts *facts, const char *first, size_t count)
{
    assert_true(facts->dirty);
    assert_int_equal(facts->changed.count, count);
    assert_string_equal(facts->changed.items[0], first);
}

static void
a_clean_checkout_is_described(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_run(w.git, "app", "remote", "add", "origin",
        "https://x-access-token:ghs_SECRET@github.com/acme/shop.git");
    char *head CLEANUP(xfreep) = git_fixture_id(w.git, "app", "HEAD");
    char *root CLEANUP(xfreep) = git_fixture_path(w.git, "app");
    git_fixture_write(w.git, "app/sub/.keep", "");
    git_fixture_commit(w.git, "app", "sub/x", "x", "Sub");
    git_run(w.git, "app", "reset", "-q", "--hard", "HEAD~1");
    char *sub CLEANUP(xfreep) = git_fixture_path(w.git, "app/sub");
    (void)mkdir(sub, 0700);

    const struct git_facts *facts = read_at(&w, "app/sub");
    assert_string_equal(facts->root, root);
    assert_string_equal(facts->sha, head);
    assert_int_equal(strlen(facts->sha), 40);
    assert_string_equal(facts->branch, "main");
    assert_int_equal(facts->tags.count, 0);
    assert_false(facts->dirty);
    assert_int_equal(facts->changed.count, 0);
    assert_string_equal(facts->remote_url, "https://github.com/acme/shop.git");
    assert_string_equal(facts->repository, "acme/shop");
    assert_false(facts->shallow);
}

static void
tags_at_head_are_peeled_and_sorted(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_run(w.git, "app", "tag", "old");
    git_run(w.git, "app", "tag", "-a", "old-annotated", "-m", "old");
    git_fixture_commit(w.git, "app", "main.c", "2", "Second");
    git_run(w.git, "app", "tag", "v2");
    git_run(w.git, "app", "tag", "-a", "v1.9", "-m", "annotated");
    git_run(w.git, "app", "tag", "-a", "nested", "-m", "tag of a tag", "v1.9");
    git_run(w.git, "app", "tag", "team/release");
    git_run(w.git, "app", "tag", "tree", "HEAD^{tree}");
    git_run(w.git, "app", "pack-refs", "--all");
    const struct git_facts *facts = read_at(&w, "app");
    static const char *const want[] = {"nested", "team/release", "v1.9", "v2"};
    assert_int_equal(facts->tags.count, ARRAY_LENGTH(want));
    for (size_t i = 0; i < ARRAY_LENGTH(want); i++) {
        assert_string_equal(facts->tags.items[i], want[i]);
    }
}

static void
a_detached_head_has_no_branch(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_run(w.git, "app", "checkout", "-q", "--detach");
    const struct git_facts *facts = read_at(&w, "app");
    assert_null(facts->branch);
    assert_null(facts->remote_url);
    assert_null(facts->repository);
    git_run(w.git, "app", "checkout", "-q", "-b", "feature/x");
    assert_string_equal(read_at(&w, "app")->branch, "feature/x");
}

static void
each_way_of_being_dirty_is_seen(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_fixture_commit(w.git, "app", "b.c", "b", "B");
    char *gone CLEANUP(xfreep) = git_fixture_path(w.git, "app/b.c");
    char *script CLEANUP(xfreep) = git_fixture_path(w.git, "app/main.c");

    git_fixture_write(w.git, "app/main.c", "int main; // changed\n");
    assert_changed(read_at(&w, "app"), "main.c", 1);
    git_run(w.git, "app", "add", "main.c"); // staged
    assert_changed(read_at(&w, "app"), "main.c", 1);
    git_run(w.git, "app", "reset", "-q", "--hard");
    assert_false(read_at(&w, "app")->dirty);

    assert_int_equal(unlink(gone), 0); // deleted
    assert_changed(read_at(&w, "app"), "b.c", 1);
    git_run(w.git, "app", "rm", "-q", "--cached", "b.c"); // deleted and staged
    assert_changed(read_at(&w, "app"), "b.c", 1);
    git_run(w.git, "app", "reset", "-q", "--hard");

    assert_int_equal(chmod(script, 0755), 0); // mode
    assert_changed(read_at(&w, "app"), "main.c", 1);
    git_run(w.git, "app", "reset", "-q", "--hard");

    assert_int_equal(unlink(gone), 0); // a link where a file was
    assert_int_equal(symlink("main.c", gone), 0);
    assert_changed(read_at(&w, "app"), "b.c", 1);
    git_run(w.git, "app", "reset", "-q", "--hard");

    git_fixture_write(w.git, "app/new/file", "x"); // untracked
    assert_changed(read_at(&w, "app"), "new/", 1);
    git_run(w.git, "app", "add", "new"); // added
    assert_changed(read_at(&w, "app"), "new/file", 1);
}

static void
same_size_and_time_is_still_seen(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_fixture_write(w.git, "app/main.c", "int mine;\n"); // as long, within the same second
    assert_changed(read_at(&w, "app"), "main.c", 1);
}

static void
ignored_and_touched_files_are_not_dirty(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_fixture_commit(w.git, "app", ".gitignore", "*.o\nbuild/\n", "Ignore");
    git_fixture_write(w.git, "app/main.o", "x");
    git_fixture_write(w.git, "app/build/x", "x");
    git_fixture_write(w.git, "app/.git/info/exclude", "local\n");
    git_fixture_write(w.git, "app/local", "x");
    char *file CLEANUP(xfreep) = git_fixture_path(w.git, "app/main.c");
    assert_int_equal(unlink(file), 0);
    git_fixture_write(w.git, "app/main.c", "int main;\n"); // new inode and time, same content
    assert_false(read_at(&w, "app")->dirty);
}

static void
ten_changes_are_named(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    for (int i = 0; i < 25; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "app/f%02d", i);
        git_fixture_write(w.git, name, "x");
    }
    const struct git_facts *facts = read_at(&w, "app");
    assert_changed(facts, "f00", 10);
    assert_string_equal(facts->changed.items[9], "f09");
}

static void
names_of_changes_are_made_harmless(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_fixture_write(w.git, "app/a\x1b[31m\n::error::\xff", "x");
    assert_changed(read_at(&w, "app"), "a ::error::\xef\xbf\xbd", 1);
}

static void
a_submodule_counts_when_it_was_moved_or_changed(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_fixture_init(w.git, "lib");
    git_fixture_commit(w.git, "lib", "lib.c", "1", "Lib");
    git_run(w.git, "app", "submodule", "--quiet", "add", "../lib", "lib");
    git_fixture_commit(w.git, "app", "main.c", "with lib", "Use lib");
    assert_false(read_at(&w, "app")->dirty);

    git_fixture_commit(w.git, "app/lib", "lib.c", "2", "Moved");
    assert_changed(read_at(&w, "app"), "lib", 1);
    git_run(w.git, "app/lib", "reset", "-q", "--hard", "HEAD~1");
    git_fixture_write(w.git, "app/lib/lib.c", "edited");
    assert_changed(read_at(&w, "app"), "lib", 1);
    git_run(w.git, "app/lib", "reset", "-q", "--hard");
    assert_false(read_at(&w, "app")->dirty);

    // Cloned without submodules, as the checkout action does by default.
    git_run(w.git, ".", "clone", "-q", "app", "plain");
    assert_false(read_at(&w, "plain")->dirty);
}

static void
a_sparse_checkout_is_clean(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_fixture_commit(w.git, "app", "left/out", "x", "Left");
    git_fixture_commit(w.git, "app", "kept/in", "x", "Kept");
    git_run(w.git, "app", "sparse-checkout", "set", "kept");
    char *out CLEANUP(xfreep) = git_fixture_path(w.git, "app/left/out");
    assert_false(file_exists(out));
    assert_false(read_at(&w, "app")->dirty);
    git_fixture_write(w.git, "app/kept/in", "changed");
    assert_changed(read_at(&w, "app"), "kept/in", 1);
}

static void
a_shallow_clone_and_a_linked_worktree_are_read(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_fixture_commit(w.git, "app", "main.c", "2", "Second");
    char *from CLEANUP(xfreep) = xasprintf("file://%s/app", w.git->root);
    git_run(w.git, ".", "clone", "-q", "--depth", "1", from, "shallow");
    const struct git_facts *facts = read_at(&w, "shallow");
    assert_true(facts->shallow);
    assert_false(facts->dirty);

    git_run(w.git, "app", "worktree", "add", "-q", "-b", "side", "../linked");
    char *linked CLEANUP(xfreep) = git_fixture_path(w.git, "linked");
    facts = read_at(&w, "linked");
    assert_string_equal(facts->branch, "side");
    assert_string_equal(facts->root, linked);
    assert_false(facts->dirty);
}

static void
what_is_no_checkout_is_refused(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_fixture_write(w.git, "plain/file", "x");
    git_fixture_init(w.git, "empty");
    git_run(w.git, ".", "init", "-q", "--bare", "bare.git");
    assert_refused(&w, "plain", "'", "' is not in a git repository");
    assert_refused(&w, "missing", "'", "' is not in a git repository");
    assert_refused(&w, "empty", "git repository '", "' has no commit yet");
    assert_refused(&w, "bare.git", "git repository at '", "' has no work tree");
}

static void
damaged_repositories_are_refused(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    struct git_facts *facts = NULL;
    char *path CLEANUP(xfreep) = git_fixture_path(w.git, "app");
    git_fixture_write(w.git, "app/.git/config", "[core\n");
    struct error *config CLEANUP(error_freep) =
        git_facts_read(&w.fake->platform, path, w.arena, &facts);
    assert_non_null(config);
    assert_int_equal(error_kind(config), ERROR_USAGE);
    git_fixture_write(w.git, "app/.git/config",
        "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n");
    struct error *sha256 CLEANUP(error_freep) =
        git_facts_read(&w.fake->platform, path, w.arena, &facts);
    assert_non_null(sha256);
    assert_true(str_contains(str_of(error_hint_of(sha256)), STR("SHA-256")));
    git_fixture_write(w.git, "app/.git/config", "[core]\n\trepositoryformatversion = 0\n");
    git_fixture_write(w.git, "app/.git/HEAD", "0123456789012345678901234567890123456789\n");
    struct error *head CLEANUP(error_freep) =
        git_facts_read(&w.fake->platform, path, w.arena, &facts);
    assert_non_null(head);
    assert_true(str_contains(str_of(error_message(head)), STR("HEAD of git repository '")));
    assert_null(facts);
}

// Nothing that a repository's own configuration names is run, and nothing outside is read.
static void
hostile_configuration_has_no_effect(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    char *trap CLEANUP(xfreep) = git_fixture_path(w.git, "trap");
    char *ran CLEANUP(xfreep) = git_fixture_path(w.git, "ran");
    char *script CLEANUP(xfreep) = xasprintf("#!/bin/sh\ntouch '%s'\n", ran);
    char *config CLEANUP(xfreep) =
        xasprintf("[core]\n\trepositoryformatversion = 0\n"
                  "\tfsmonitor = %s\n\thooksPath = %s\n\tpager = %s\n"
                  "\tsshCommand = %s\n\tattributesFile = /dev/zero\n"
                  "[filter \"evil\"]\n\tclean = %s\n\tsmudge = %s\n"
                  "\tprocess = %s\n\trequired = true\n"
                  "[diff \"evil\"]\n\tcommand = %s\n\ttextconv = %s\n"
                  "[include]\n\tpath = ~/outside\n\tpath = /etc/shadow-\n"
                  "[credential]\n\thelper = !%s\n",
            trap, trap, trap, trap, trap, trap, trap, trap, trap, trap);
    git_fixture_write(w.git, "trap", script);
    assert_int_equal(chmod(trap, 0755), 0);
    git_fixture_write(w.git, "outside", "[remote \"origin\"]\n\turl = https://evil.example/a/b\n");
    git_fixture_commit(w.git, "app", ".gitattributes", "* filter=evil diff=evil\n", "Evil");
    git_fixture_write(w.git, "app/.git/config", config);
    git_fixture_write(w.git, "app/.git/hooks/post-index-change", script);
    git_fixture_write(w.git, "app/main.c", "int mine;\n");
    const struct git_facts *facts = read_at(&w, "app");
    assert_changed(facts, "main.c", 1);
    assert_null(facts->remote_url);
    assert_false(file_exists(ran));
}

static void
configuration_of_the_user_is_not_read(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_run(w.git, "app", "remote", "add", "origin", "https://github.com/acme/shop.git");
    git_fixture_write(w.git, ".gitconfig",
        "[url \"https://evil.example/\"]\n\tinsteadOf = https://github.com/\n"
        "[remote \"origin\"]\n\turl = https://evil.example/a/b\n[core]\n\texcludesFile = "
        "~/ignore\n");
    git_fixture_write(w.git, "ignore", "*\n");
    git_fixture_write(w.git, "app/new", "x");
    const struct git_facts *facts = read_at(&w, "app");
    assert_string_equal(facts->repository, "acme/shop");
    assert_changed(facts, "new", 1);
}

static void
objects_of_an_alternate_are_found(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_run(w.git, ".", "clone", "-q", "--shared", "app", "borrower");
    assert_false(read_at(&w, "borrower")->dirty);
    git_fixture_write(w.git, "borrower/.git/objects/info/alternates", "/nonexistent/objects\n");
    struct git_facts *facts = NULL;
    char *path CLEANUP(xfreep) = git_fixture_path(w.git, "borrower");
    struct error *err CLEANUP(error_freep) =
        git_facts_read(&w.fake->platform, path, w.arena, &facts);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_USAGE);
}

static void
give_away(struct world *world, const char *name)
{
    char *path CLEANUP(xfreep) = git_fixture_path(world->git, name);
    assert_int_equal(lchown(path, OTHER_USER, OTHER_USER), 0);
}

static void
a_checkout_of_somebody_else_needs_safe_directory(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); // only root can give a file away
    }
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    give_away(&w, "app");
    assert_refused(&w, "app", "git repository '", "' belongs to another user");

    char *root CLEANUP(xfreep) = git_fixture_path(w.git, "app");
    for (size_t i = 0; i < 2; i++) {
        char *config CLEANUP(xfreep) =
            xasprintf("[safe]\n\tdirectory = %s%s\n", root, i == 0 ? "" : "/");
        git_fixture_write(w.git, ".gitconfig", config);
        assert_string_equal(read_at(&w, "app")->branch, "main");
    }
    char *below CLEANUP(xfreep) = xasprintf("[safe]\n\tdirectory = %s/*\n", w.git->root);
    git_fixture_write(w.git, ".gitconfig", below);
    assert_string_equal(read_at(&w, "app")->branch, "main");
    git_fixture_write(w.git, ".gitconfig", "[safe]\n\tdirectory = *\n");
    assert_string_equal(read_at(&w, "app")->branch, "main");
    git_fixture_write(w.git, ".gitconfig", "[safe]\n\tdirectory = *\n\tdirectory =\n");
    assert_refused(&w, "app", "git repository '", "' belongs to another user");
    git_fixture_write(
        w.git, ".gitconfig", "[safe]\n\tdirectory = /elsewhere\n\tdirectory = /tmp\n");
    assert_refused(&w, "app", "git repository '", "' belongs to another user");
}

static void
the_git_directory_counts_as_well(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    // The repository's own configuration cannot vouch for it.
    git_run(w.git, "app", "config", "safe.directory", "*");
    give_away(&w, "app/.git");
    assert_refused(&w, "app", "git repository '", "' belongs to another user");
}

static void
root_trusts_who_called_sudo(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    give_away(&w, "app");
    struct fake_platform *plain = w.fake;
    w.fake = fake_platform_new((const char *const[]){"SUDO_UID=12345", NULL});
    assert_string_equal(read_at(&w, "app")->branch, "main");
    fake_platform_free(w.fake);
    w.fake = fake_platform_new((const char *const[]){"SUDO_UID=12346", NULL});
    assert_refused(&w, "app", "git repository '", "' belongs to another user");
    fake_platform_free(w.fake);
    w.fake = plain;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_checkout_is_described),
        cmocka_unit_test(tags_at_head_are_peeled_and_sorted),
        cmocka_unit_test(a_detached_head_has_no_branch),
        cmocka_unit_test(each_way_of_being_dirty_is_seen),
        cmocka_unit_test(same_size_and_time_is_still_seen),
        cmocka_unit_test(ignored_and_touched_files_are_not_dirty),
        cmocka_unit_test(ten_changes_are_named),
        cmocka_unit_test(names_of_changes_are_made_harmless),
        cmocka_unit_test(a_submodule_counts_when_it_was_moved_or_changed),
        cmocka_unit_test(a_sparse_checkout_is_clean),
        cmocka_unit_test(a_shallow_clone_and_a_linked_worktree_are_read),
        cmocka_unit_test(what_is_no_checkout_is_refused),
        cmocka_unit_test(damaged_repositories_are_refused),
        cmocka_unit_test(hostile_configuration_has_no_effect),
        cmocka_unit_test(configuration_of_the_user_is_not_read),
        cmocka_unit_test(objects_of_an_alternate_are_found),
        cmocka_unit_test(a_checkout_of_somebody_else_needs_safe_directory),
        cmocka_unit_test(the_git_directory_counts_as_well),
        cmocka_unit_test(root_trusts_who_called_sudo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
