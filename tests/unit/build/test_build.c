// Builders: which is taken, with which command line, and what becomes of what they say and make.
// The programs are shims that say how they were called; a real one is in tests/integration.
#define _XOPEN_SOURCE 700 // realpath
#include "build_internal.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "aws_fixture.h" // assert_success, assert_failure
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "temp_dir.h"

#define ID "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b"

// A checkout "app" in a work tree "tree", a bin/ of builders, a scratch directory.
struct lab {
    char *dir;
    struct arena *arena;
    struct fake_platform *fake;
    struct buf lines;
    struct build_order order;
};

static void
put(const struct lab *lab, const char *name, const char *text, mode_t mode)
{
    char *path CLEANUP(xfreep) = temp_dir_path(lab->dir, name);
    assert_success(file_write(path, str_of(text), mode));
}

static void
put_program(const struct lab *lab, const char *name, const char *script)
{
    char *path CLEANUP(xfreep) = xasprintf("bin/%s", name);
    char *text CLEANUP(xfreep) = xasprintf("#!/bin/sh\n%s\n", script);
    put(lab, path, text, 0700);
}

static const char *
path_in(const struct lab *lab, const char *name)
{
    return arena_printf(lab->arena, "%s/%s", lab->dir, name);
}

static void
lab_env(struct lab *lab, const char *one)
{
    const char *const env[] = {arena_printf(lab->arena, "PATH=%s/bin", lab->dir),
        arena_printf(lab->arena, "TMPDIR=%s/tmp", lab->dir), one, NULL};
    fake_platform_set_env(lab->fake, env);
}

static void
on_line(void *ctx, const char *line)
{
    struct lab *lab = ctx;
    buf_printf(&lab->lines, "%s\n", line);
}

static void
lab_init(struct lab *lab)
{
    static const char *const folders[] = {"bin", "tmp", "tree/app", "outside"};
    *lab = (struct lab){.dir = temp_dir_new(),
        .arena = arena_new(),
        .fake = fake_platform_new(NULL),
        .lines = BUF_INIT(1024 * 1024)};
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
        assert_success(file_make_directories(path_in(lab, folders[i])));
    }
    put(lab, "tree/app/Dockerfile", "FROM scratch\n", 0644);
    lab_env(lab, NULL);
    lab->order = (struct build_order){.directory = path_in(lab, "tree/app"),
        .root = path_in(lab, "tree/"), // as libgit2 writes it
        .dockerfile = "./Dockerfile",
        .context = ".",
        .line = on_line,
        .ctx = lab};
}

static void
lab_done(struct lab *lab)
{
    fake_platform_free(lab->fake);
    buf_done(&lab->lines);
    arena_free(lab->arena);
    temp_dir_removep(&lab->dir);
}

static const char *
joined(const struct lab *lab, const char *const *words)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (; words != NULL && *words != NULL; words++) {
        buf_printf(&out, "%s\n", *words);
    }
    return arena_str(lab->arena, buf_str(&out));
}

static struct pair args[] = {{"VERSION", "v1 --x"}, {"EMPTY", ""}};
static struct pair secrets[] = {{"token", "env:TOKEN"}, {"npmrc", "file:.npmrc"}};

static void
command_lines_are_these(void **state)
{
    (void)state;
    struct lab lab CLEANUP(lab_done) = {0};
    lab_init(&lab);
    lab_env(&lab, "TOKEN=canary-of-the-environment");
    put(&lab, "tree/app/.npmrc", "canary-of-the-file", 0600);
    lab.order.platform = "linux/arm64";
    lab.order.args = (struct pair_list){args, 2};
    lab.order.secrets = (struct pair_list){secrets, 2};
    const struct build_place place = {.dockerfile = "/w/Dockerfile",
        .context = "/w",
        .scratch = "/t",
        .id_file = "/t/id",
        .archive = "/t/i.tar"};
    char *npmrc CLEANUP(xfreep) = realpath(path_in(&lab, "tree/app/.npmrc"), NULL);
    const char *rest = arena_printf(lab.arena,
        "--iidfile\n/t/id\n--platform\nlinux/arm64\n--file\n/w/Dockerfile\n"
        "--build-arg\nVERSION=v1 --x\n--build-arg\nEMPTY=\n"
        "--secret\nid=token,env=TOKEN\n--secret\nid=npmrc,src=%s\n/w\n",
        npmrc);
    static const struct {
        enum build_tool tool;
        const char *head, *export;
    } rows[] = {
        {BUILD_DOCKER, "docker\nbuildx\nbuild\n--load\n--provenance=false\n--progress=plain\n", ""},
        {BUILD_BUILDAH, "buildah\nbuild\n--format\ndocker\n",
            "buildah\npush\n" ID "\ndocker-archive:/t/i.tar\n"},
        {BUILD_PODMAN, "podman\nbuild\n--format\ndocker\n",
            "podman\nsave\n--format\ndocker-archive\n--output\n/t/i.tar\n" ID "\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *const *argv = NULL;
        assert_success(
            build_command(&lab.fake->platform, rows[i].tool, &lab.order, &place, lab.arena, &argv));
        assert_string_equal(
            joined(&lab, argv), arena_printf(lab.arena, "%s%s", rows[i].head, rest));
        assert_string_equal(joined(&lab, build_export_command(rows[i].tool, ID, &place, lab.arena)),
            rows[i].export);
    }
}

static void
the_first_that_works_is_taken(void **state)
{
    (void)state;
    struct lab lab CLEANUP(lab_done) = {0};
    enum build_tool tool = BUILD_PODMAN;
    lab_init(&lab);
    assert_failure(build_find(&lab.fake->platform, &tool), ERROR_USAGE,
        "no builder was found: there is no program 'docker' in PATH; there is no program "
        "'buildah' in PATH; there is no program 'podman' in PATH",
        "Install docker with buildx, buildah or podman here, or build elsewhere and pass --image.");
    put_program(&lab, "docker", "echo 'unknown command: buildx' >&2; exit 1");
    assert_failure(build_find(&lab.fake->platform, &tool), ERROR_USAGE,
        "no builder was found: docker has no buildx: it ended with status 1: unknown command: "
        "buildx; there is no program 'buildah' in PATH; there is no program 'podman' in PATH",
        "Install docker with buildx, buildah or podman here, or build elsewhere and pass --image.");
    put_program(&lab, "podman", "exit 0");
    assert_success(build_find(&lab.fake->platform, &tool));
    assert_int_equal(tool, BUILD_PODMAN);
    put_program(&lab, "buildah", "exit 0");
    assert_success(build_find(&lab.fake->platform, &tool));
    assert_int_equal(tool, BUILD_BUILDAH);
    put_program(&lab, "docker",
        "[ \"$*\" = 'buildx version' ] || "
        "[ \"$*\" = 'version --format {{.Server.Version}}' ]");
    assert_success(build_find(&lab.fake->platform, &tool));
    assert_int_equal(tool, BUILD_DOCKER);
}

static void
a_builder_may_be_named(void **state)
{
    (void)state;
    struct lab lab CLEANUP(lab_done) = {0};
    enum build_tool tool = BUILD_DOCKER;
    lab_init(&lab);
    put_program(&lab, "docker", "[ $1 = buildx ] || { echo 'no daemon' >&2; exit 1; }");
    put_program(&lab, "podman", "exit 0");
    lab_env(&lab, "DISPATCHER_BUILDER=podman");
    assert_success(build_find(&lab.fake->platform, &tool));
    assert_int_equal(tool, BUILD_PODMAN);
    lab_env(&lab, "DISPATCHER_BUILDER=docker");
    assert_failure(build_find(&lab.fake->platform, &tool), ERROR_USAGE,
        "builder 'docker' (DISPATCHER_BUILDER): docker's daemon does not answer: it ended with "
        "status 1: no daemon",
        NULL);
    lab_env(&lab, "DISPATCHER_BUILDER=buildah");
    assert_failure(build_find(&lab.fake->platform, &tool), ERROR_USAGE,
        "builder 'buildah' (DISPATCHER_BUILDER): there is no program 'buildah' in PATH", NULL);
    lab_env(&lab, "DISPATCHER_BUILDER=ka\nniko");
    assert_failure(build_find(&lab.fake->platform, &tool), ERROR_USAGE,
        "there is no builder 'ka niko'", "DISPATCHER_BUILDER takes docker, buildah or podman.");
}

// Writes the id where it is asked for, says something, leaves a file where it exports.
#define SHIM                                                                                       \
    "case $1 in push) /bin/echo archive > ${3#docker-archive:};;\n"                                \
    "*) while [ $# -gt 1 ]; do [ $1 = --iidfile ] && id=$2; shift; done\n"                         \
    "/bin/echo out $(umask) $(pwd); /bin/echo err >&2; printf '" ID "' > $id;; esac"

static void
expect_scratch_empty(const struct lab *lab)
{
    assert_int_equal(rmdir(path_in(lab, "tmp")), 0);
    assert_int_equal(mkdir(path_in(lab, "tmp"), 0700), 0);
}

static void
what_is_made_becomes_a_source(void **state)
{
    (void)state;
    struct lab lab CLEANUP(lab_done) = {0};
    struct build_result result = {0};
    struct stat about;
    lab_init(&lab);
    put_program(&lab, "docker", SHIM);
    put_program(&lab, "buildah", SHIM);
    assert_success(build_run(&lab.fake->platform, BUILD_DOCKER, &lab.order, lab.arena, &result));
    assert_string_equal(result.source, "docker-daemon:" ID);
    assert_null(result.leftovers);
    expect_scratch_empty(&lab);
    assert_non_null(strstr(buf_cstr(&lab.lines), "out 0022 "));
    assert_non_null(strstr(buf_cstr(&lab.lines), "/tree/app\n"));
    assert_non_null(strstr(buf_cstr(&lab.lines), "err\n"));

    assert_success(build_run(&lab.fake->platform, BUILD_BUILDAH, &lab.order, lab.arena, &result));
    assert_int_equal(stat(result.leftovers, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0700);
    assert_string_equal(
        result.source, arena_printf(lab.arena, "docker-archive:%s/image.tar", result.leftovers));
    assert_int_equal(stat(result.source + strlen("docker-archive:"), &about), 0);
    build_remove(result.leftovers);
    build_remove(NULL);
    expect_scratch_empty(&lab);
}

static void
what_fails_is_told_with_its_end(void **state)
{
    (void)state;
    static const struct {
        const char *script, *text;
    } rows[] = {
        {"for i in 1 2 3 4 4; do echo out; echo \"line $i \033[31m\" >&2; done; exit 3",
            "'buildah build' ended with status 3: line 2 | line 3 | line 4"},
        {"echo only out; exit 1", "'buildah build' ended with status 1: only out"},
        {"kill -9 $$", "'buildah build' was ended by signal 9"},
        {"exit 0", NULL}, // wrote no id
        {"[ $1 = push ] && { echo full >&2; exit 4; }\n" SHIM,
            "'buildah push' ended with status 4: full"},
        {"while [ $# -gt 1 ]; do [ $1 = --iidfile ] && printf 'x; rm' > $2; shift; done",
            "the builder did not say which image it made"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct lab lab CLEANUP(lab_done) = {0};
        struct build_result result = {0};
        lab_init(&lab);
        put_program(&lab, "buildah", rows[i].script);
        struct error *err =
            build_run(&lab.fake->platform, BUILD_BUILDAH, &lab.order, lab.arena, &result);
        if (rows[i].text == NULL) {
            assert_non_null(err);
            assert_int_equal(error_kind(err), ERROR_INPUT);
            error_free(err);
        } else {
            assert_failure(err, ERROR_INPUT, rows[i].text, NULL);
        }
        assert_null(result.source);
        expect_scratch_empty(&lab);
    }
}

static void
secrets_are_masked_in_what_is_said(void **state)
{
    (void)state;
    struct lab lab CLEANUP(lab_done) = {0};
    struct build_result result = {0};
    lab_init(&lab);
    lab_env(&lab, "TOKEN=canary-of-the-environment");
    put(&lab, "tree/app/.npmrc", "# mine\n  _authToken=canary-of-the-file\n", 0600);
    lab.order.secrets = (struct pair_list){secrets, 2};
    put_program(&lab, "buildah",
        "case \"$*\" in *canary*) echo on the command line;; esac; echo \"a $TOKEN b\"\n"
        "read a < .npmrc; while read l; do echo \"$l\"; done < .npmrc\n"
        // a line in pieces, with the secret over the edge of the first
        "printf '%16370s' x; echo $TOKEN; echo \"failed: $TOKEN\" >&2; exit 1");
    assert_failure(build_run(&lab.fake->platform, BUILD_BUILDAH, &lab.order, lab.arena, &result),
        ERROR_INPUT, "'buildah build' ended with status 1: failed: ***", NULL);
    assert_true(str_starts(buf_str(&lab.lines), STR("a *** b\n")));
    assert_non_null(strstr(buf_cstr(&lab.lines), "\n***\n"));
    assert_null(strstr(buf_cstr(&lab.lines), "canary"));
    assert_null(strstr(buf_cstr(&lab.lines), "environment"));
    assert_null(strstr(buf_cstr(&lab.lines), "on the command line"));
}

static void
what_is_not_there_is_named(void **state)
{
    (void)state;
    struct lab lab CLEANUP(lab_done) = {0};
    lab_init(&lab);
    put(&lab, "outside/Dockerfile", "FROM scratch\n", 0644);
    assert_int_equal(symlink(path_in(&lab, "outside"), path_in(&lab, "tree/app/link")), 0);
    assert_int_equal(symlink("Dockerfile", path_in(&lab, "tree/app/Alias")), 0);
    const char *out = arena_printf(lab.arena, "leads out of the work tree '%s'", lab.order.root);
    const char *kept =
        "Only what the repository holds is built; copy it there, or correct the spec.";
    const char *from = arena_printf(lab.arena,
        "'dockerfile' and 'context' of the service are paths from the checkout '%s'.",
        lab.order.directory);
    const struct {
        const char *dockerfile, *context, *text, *hint;
    } rows[] = {
        {"Missing", ".", "Dockerfile 'Missing': No such file or directory", from},
        {".", ".", "Dockerfile '.' is not a file", NULL},
        {"link/Dockerfile", ".", arena_printf(lab.arena, "Dockerfile 'link/Dockerfile' %s", out),
            kept},
        {"Dockerfile", "nowhere", "build context 'nowhere': No such file or directory", from},
        {"Dockerfile", "Dockerfile", "build context 'Dockerfile' is not a directory", NULL},
        {"Dockerfile", "link", arena_printf(lab.arena, "build context 'link' %s", out), kept},
        {"Dockerfile", "../../outside",
            arena_printf(lab.arena, "build context '../../outside' %s", out), kept},
        {"Dockerfile", "../..", arena_printf(lab.arena, "build context '../..' %s", out), kept},
        {"Alias", "..", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        lab.order.dockerfile = rows[i].dockerfile;
        lab.order.context = rows[i].context;
        struct error *err = build_check(&lab.fake->platform, &lab.order);
        if (rows[i].text == NULL) {
            assert_success(err);
        } else {
            assert_failure(err, ERROR_INPUT, rows[i].text, rows[i].hint);
        }
    }
}

static void
secrets_that_are_not_there_are_named(void **state)
{
    (void)state;
    struct lab lab CLEANUP(lab_done) = {0};
    lab_init(&lab);
    put(&lab, "tree/app/a,b", "x", 0600);
    struct pair one = {"id", NULL};
    lab.order.secrets = (struct pair_list){&one, 1};
    static const struct {
        const char *reference, *text, *hint;
    } rows[] = {
        {"env:TOKEN", "build secret 'id': variable 'TOKEN' is not set",
            "Set it where dispatcher runs; 'deploy.build.secrets' asks for it."},
        {"file:missing", "build secret 'id': 'missing': No such file or directory", NULL},
        {"file:a,b", "build secret 'id': 'a,b' has a comma or a quote in its path",
            "Builders cannot be given such a path; rename the file."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        one.value = rows[i].reference;
        assert_failure(build_check(&lab.fake->platform, &lab.order), ERROR_CREDENTIALS,
            rows[i].text, rows[i].hint);
    }
    one.value = "file:."; // a directory
    struct error *err = build_check(&lab.fake->platform, &lab.order);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    error_free(err);
}

static void
interrupted_it_leaves_nothing(void **state)
{
    (void)state;
    struct lab lab CLEANUP(lab_done) = {0};
    struct build_result result = {0};
    lab_init(&lab);
    put_program(&lab, "buildah", "exec /bin/sleep 1000");
    cancel_raise(lab.fake->cancel, SIGTERM);
    struct error *err =
        build_run(&lab.fake->platform, BUILD_BUILDAH, &lab.order, lab.arena, &result);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    error_free(err);
    expect_scratch_empty(&lab);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_lines_are_these),
        cmocka_unit_test(the_first_that_works_is_taken),
        cmocka_unit_test(a_builder_may_be_named),
        cmocka_unit_test(what_is_made_becomes_a_source),
        cmocka_unit_test(what_fails_is_told_with_its_end),
        cmocka_unit_test(secrets_are_masked_in_what_is_said),
        cmocka_unit_test(what_is_not_there_is_named),
        cmocka_unit_test(secrets_that_are_not_there_are_named),
        cmocka_unit_test(interrupted_it_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
