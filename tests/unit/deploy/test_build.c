// --build: what is built, when, what is refused before, and how it goes on after a kill. The
// builder is a shim; a real one is in tests/integration/build.bats.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

#define SPEC "title: Shop\nname: shop\nrepo: octo/shop\n"
// The usual checkout holds the file 'a'.
#define WEB "services:\n  web: {expose: 8080, dockerfile: a}\n"

// A builder that makes one small image, and notes that it was called.
static const char shim[] =
    "#!/bin/sh\n"
    "set -e\n"
    "echo \"$1\" >> \"$SHIM/calls\"\n"
    "[ ! -e \"$SHIM/fails\" ] || { echo 'no luck' >&2; exit 3; }\n"
    "if [ $1 = build ]; then\n"
    "    while [ $# -gt 1 ]; do [ $1 = --iidfile ] && id=$2; shift; done\n"
    "    echo 'step 1'\n"
    "    printf 'sha256:%064d' 7 > $id\n"
    "    exit\n"
    "fi\n"
    "w=$(mktemp -d \"$SHIM/w.XXXXXX\")\n"
    "cd $w\n"
    "echo hello > hello\n"
    "tar --mtime=@0 -cf layer.tar hello\n"
    "d=$(sha256sum layer.tar | cut -d' ' -f1)\n"
    "printf '{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":"
    "\"layers\",\"diff_ids\":[\"sha256:%s\"]}}' $d > config.json\n"
    "printf '[{\"Config\":\"config.json\",\"RepoTags\":null,\"Layers\":[\"layer.tar\"]}]' "
    "> manifest.json\n"
    "tar -cf ${3#docker-archive:} manifest.json config.json layer.tar\n";

static struct story *
story_to_build(void)
{
    struct story *s = story_new();
    struct arena *arena = s->arena;
    const char *bin = arena_printf(arena, "%s/bin", s->dir);
    const char *tmp = arena_printf(arena, "%s/tmp", s->dir);
    assert_null(file_make_directories(bin));
    assert_null(file_make_directories(tmp));
    assert_null(file_write(arena_printf(arena, "%s/buildah", bin), str_of(shim), 0700));
    story_env(s, "PATH", arena_printf(arena, "%s:/usr/bin:/bin", bin));
    story_env(s, "TMPDIR", tmp);
    story_env(s, "SHIM", s->dir);
    story_env(s, "DISPATCHER_BUILDER", "buildah");
    s->app_spec = SPEC WEB;
    s->request.build = true;
    s->world->digest = NULL;
    return s;
}

static void
expect_calls(const struct story *s, const char *calls)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    bool found = false;
    assert_null(file_read(arena_printf(s->arena, "%s/calls", s->dir), &text, &found));
    assert_string_equal(buf_cstr(&text), calls);
}

static void
expect_tidy(const struct story *s)
{
    const char *tmp = arena_printf(s->arena, "%s/tmp", s->dir);
    assert_int_equal(rmdir(tmp), 0);
    assert_int_equal(mkdir(tmp, 0700), 0);
}

static void
test_built_and_pushed(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_build();
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(s,
        arena_printf(s->arena,
            "push %s\nput " STORY_PARAMETER "=v2\npost main application=shop environment=staging "
            "distinct_id=%s\nlabel " STORY_PARAMETER ":2 deployed\n",
            s->world->pushed, s->d->dispatch_id));
    expect_calls(s, "build\npush\n");
    expect_tidy(s);
    assert_non_null(strstr(buf_cstr(&s->events), "\"event\":\"output\""));
    assert_non_null(strstr(buf_cstr(&s->events), "\"step\":\"build web\",\"text\":\"step 1\""));
}

static void
test_present_is_not_built(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_build();
    s->world->digest = STORY_DIGEST;
    story_env(s, "DISPATCHER_BUILDER", "podman"); // not even asked for
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    expect_calls(s, "");
    assert_string_equal(s->world->pushed, "");
}

static void
test_a_build_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_build();
    assert_null(file_write(arena_printf(s->arena, "%s/fails", s->dir), STR(""), 0600));
    story_deploy(s);
    story_expect(s, 2, "failed",
        "deploy 'shop' to 'staging': build 'web': 'buildah build' ended with status 3: no luck");
    story_expect_effects(s, "");
    expect_tidy(s);
}

static void
test_images_and_builds(void **state)
{
    (void)state;
    static const char *const lists[][3] = {{"web", NULL, NULL}, {"web", "worker", NULL}};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        struct story *s CLEANUP(story_freep) = story_to_build();
        const char **images = arena_array(s->arena, 2, sizeof(*images));
        size_t count = 0;
        for (; lists[i][count] != NULL; count++) {
            images[count] = arena_printf(s->arena, "%s=%s", lists[i][count], story_layout(s));
        }
        s->app_spec = i == 0 ? s->app_spec : story_spec_two;
        s->request.images = (struct str_list){images, count};
        story_deploy(s);
        story_expect_refused(s, ERROR_USAGE,
            i == 0 ? "--build has nothing to build: the service has its --image"
                   : "--build has nothing to build: every service has its --image",
            "Give one or the other for a service.");
    }
}

static void
test_what_cannot_be_built_is_refused_first(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *builder;
        enum error_kind kind;
        const char *text;
    } rows[] = {
        {SPEC "services:\n  web: {expose: 8080}\n", "buildah", ERROR_INPUT,
            "build 'web': Dockerfile './Dockerfile': No such file or directory"},
        {SPEC WEB "deploy: {build: {secrets: {token: \"env:NOT_SET\"}}}\n", "buildah",
            ERROR_CREDENTIALS, "build 'web': build secret 'token': variable 'NOT_SET' is not set"},
        {SPEC WEB, "podman", ERROR_USAGE,
            "build 'web': builder 'podman' (DISPATCHER_BUILDER): there is no program 'podman' in "
            "PATH"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct story *s CLEANUP(story_freep) = story_to_build();
        s->app_spec = rows[i].spec;
        story_env(s, "PATH", arena_printf(s->arena, "%s/bin", s->dir));
        story_env(s, "DISPATCHER_BUILDER", rows[i].builder);
        story_deploy(s);
        story_expect_refused(s, rows[i].kind, rows[i].text, NULL);
        expect_calls(s, "");
    }
}

// Wherever the process dies: what it built is gone, and what it pushed is not built again.
static void
test_killed(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_build();
    for (int64_t at = 1; at < 2000; at += 5) {
        story_restart(s);
        s->world->digest = NULL;
        s->world->pushed[0] = '\0';
        if (!story_deploy_and_die(s, at)) {
            return;
        }
        const char *pushed =
            s->world->pushed[0] != '\0' ? arena_dup(s->arena, s->world->pushed) : NULL;
        s->world->digest = pushed;
        if (!story_has_journal(s)) {
            continue;
        }
        (void)unlink(arena_printf(s->arena, "%s/calls", s->dir));
        story_resume(s);
        if (pushed != NULL) {
            expect_calls(s, "");
        }
        if (cstr_equal(s->d->result, "unknown")) { // the intent to dispatch was all it left
            assert_int_equal(s->world->posts, 0);
            continue;
        }
        story_expect(s, 0, "deployed", NULL);
        assert_int_equal(s->world->posts, 1);
    }
    fail_msg("it never came to its end");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_and_pushed),
        cmocka_unit_test(test_present_is_not_built),
        cmocka_unit_test(test_a_build_that_fails_changes_nothing),
        cmocka_unit_test(test_images_and_builds),
        cmocka_unit_test(test_what_cannot_be_built_is_refused_first),
        cmocka_unit_test(test_killed),
    };
    return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
