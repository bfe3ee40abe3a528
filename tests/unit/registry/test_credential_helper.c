// Registry credentials that a program keeps: which one is asked and when, and that whatever it
// does, its secret is in no message.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h" // assert_success, assert_failure
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/registry.h"
#include "temp_dir.h"

#define HOST "registry.example.org"

// A home directory with configuration files and a bin/ full of helpers.
struct home {
    char *dir, *config;
    struct fake_platform *fake;
    char *user;
    struct secret *password;
};

static void
home_done(struct home *home)
{
    free(home->config);
    free(home->user);
    secret_free(home->password);
    fake_platform_free(home->fake);
    temp_dir_removep(&home->dir);
}

static void
put(const struct home *home, const char *name, const char *text, mode_t mode)
{
    char *path CLEANUP(xfreep) = temp_dir_path(home->dir, name);
    assert_success(file_write(path, str_of(text), mode));
}

static void
put_helper(const struct home *home, const char *name, const char *script)
{
    char *path CLEANUP(xfreep) = xasprintf("bin/docker-credential-%s", name);
    char *text CLEANUP(xfreep) = xasprintf("#!/bin/sh\n%s\n", script);
    put(home, path, text, 0700);
}

static void
home_init(struct home *home, const char *config)
{
    *home = (struct home){.dir = temp_dir_new()};
    char *bin CLEANUP(xfreep) = temp_dir_path(home->dir, "bin");
    char *containers CLEANUP(xfreep) = temp_dir_path(home->dir, "run/containers");
    char *directory CLEANUP(xfreep) = xasprintf("DOCKER_CONFIG=%s", home->dir);
    char *path CLEANUP(xfreep) = xasprintf("PATH=%s/bin:/usr/bin:/bin", home->dir);
    char *runtime CLEANUP(xfreep) = xasprintf("XDG_RUNTIME_DIR=%s/run", home->dir);
    home->config = temp_dir_path(home->dir, "config.json");
    home->fake = fake_platform_new((const char *[]){directory, path, runtime, NULL});
    assert_success(file_make_directories(bin));
    assert_success(file_make_directories(containers));
    if (config != NULL) {
        put(home, "config.json", config, 0600);
    }
}

static struct error *
look_up(struct home *home, const char *host)
{
    free(home->user);
    secret_freep(&home->password);
    home->user = NULL;
    return registry_docker_credentials(&home->fake->platform, host, &home->user, &home->password);
}

static void
expect(struct home *home, const char *host, const char *user, const char *password)
{
    assert_success(look_up(home, host));
    assert_true(cstr_equal(home->user, user));
    assert_int_equal(home->password != NULL, password != NULL);
    if (password != NULL) {
        assert_string_equal(secret_expose(home->password).ptr, password);
    }
}

// Says which helper was asked, how, and for what.
#define TELLING                                                                                    \
    "read server; printf '{\"ServerURL\":\"x\",\"Username\":\"%s\",\"Secret\":\"%s %s\"}' "        \
    "${0##*-} \"$*\" \"$server\""
#define NONE "echo 'credentials not found in native keychain'; exit 1"
// robot:canary-password
#define AUTH "{\"auth\":\"cm9ib3Q6Y2FuYXJ5LXBhc3N3b3Jk\"}"

static void
the_hosts_own_helper_goes_first(void **state)
{
    (void)state;
    struct home home CLEANUP(home_done) = {0};
    home_init(&home, "{\"credHelpers\":{\"" HOST "\":\"own\",\"silent.example.org\":\"silent\","
                     "\"https://index.docker.io/v1/\":\"hub\",\"empty.example.org\":\"\"},"
                     "\"credsStore\":\"all\",\"auths\":{\"" HOST "\":" AUTH
                     ",\"silent.example.org\":" AUTH "}}");
    put_helper(&home, "own", TELLING);
    put_helper(&home, "all", TELLING);
    put_helper(&home, "hub", TELLING);
    put_helper(&home, "silent", NONE);
    expect(&home, HOST, "own", "get " HOST);
    expect(&home, "other.example.org:5000", "all", "get other.example.org:5000");
    expect(&home, "empty.example.org", "all", "get empty.example.org");
    expect(&home, "docker.io", "hub", "get https://index.docker.io/v1/");
    expect(&home, "silent.example.org", "robot", "canary-password"); // none there: the file's own
    put_helper(&home, "all", NONE);
    expect(&home, "other.example.org", NULL, NULL);
}

static void
an_identity_token_is_marked(void **state)
{
    (void)state;
    struct home home CLEANUP(home_done) = {0};
    home_init(&home, "{\"credsStore\":\"cloud\"}");
    put_helper(&home, "cloud", "echo '{\"Username\":\"<token>\",\"Secret\":\"canary-refresh\"}'");
    expect(&home, HOST, "<token>", "canary-refresh");
    put_helper(&home, "cloud", "echo '{\"ServerURL\":\"\",\"Username\":\"\",\"Secret\":\"\"}'");
    expect(&home, HOST, NULL, NULL);
}

static void
podmans_files_are_read_after_dockers(void **state)
{
    (void)state;
    struct home home CLEANUP(home_done) = {0};
    home_init(
        &home, "{\"auths\":{\"a.example.org\":{\"username\":\"docker\",\"password\":\"1\"}}}");
    put(&home, "run/containers/auth.json",
        "{\"auths\":{\"a.example.org\":{\"username\":\"podman\",\"password\":\"2\"},"
        "\"b.example.org\":{\"username\":\"podman\",\"password\":\"3\"},"
        "\"c.example.org/team\":{\"username\":\"podman\",\"password\":\"4\"}},"
        "\"credHelpers\":{\"d.example.org\":\"own\"}}",
        0600);
    put_helper(&home, "own", TELLING);
    expect(&home, "a.example.org", "docker", "1");
    expect(&home, "b.example.org", "podman", "3");
    expect(&home, "c.example.org", NULL, NULL); // of one repository, not of the host
    expect(&home, "d.example.org", "own", "get d.example.org");

    char *file CLEANUP(xfreep) = xasprintf("REGISTRY_AUTH_FILE=%s/mine.json", home.dir);
    char *runtime CLEANUP(xfreep) = xasprintf("XDG_RUNTIME_DIR=%s/run", home.dir);
    put(&home, "mine.json",
        "{\"auths\":{\"b.example.org\":{\"username\":\"mine\",\"password\":\"5\"}}}", 0600);
    fake_platform_set_env(home.fake, (const char *[]){file, runtime, NULL});
    expect(&home, "b.example.org", "mine", "5");
    expect(&home, "a.example.org", NULL, NULL);
}

#define BY_HAND "Try it by hand: echo 'registry.example.org' | docker-credential-own get."

static const struct {
    const char *script, *problem;
} failing[] = {
    {"echo canary-secret; echo 'no \033[31mkey' >&2; exit 3", "it ended with status 3: no key"},
    {"echo canary-secret; exit 1", "it ended with status 1"},
    {"echo 'credentials not found in native keychain'; exit 2", "it ended with status 2"},
    {"kill -9 $$", "it was ended by signal 9"}, {"echo canary-secret", "it printed no JSON"},
    {"echo '{\"Username\":\"u\",\"Secret\":\"canary-secret\"'", "it printed no JSON"},
    {"echo '[\"canary-secret\"]'", "its answer lacks 'Username' or 'Secret'"},
    {"echo '{\"Username\":\"u\",\"Secret\":7}'", "its answer lacks 'Username' or 'Secret'"},
    {"echo '{\"Secret\":\"canary-secret\"}'", "its answer lacks 'Username' or 'Secret'"},
    {"echo '{\"Username\":\"a:b\",\"Secret\":\"canary-secret\"}'",
        "its answer has a user name that cannot be sent to a registry"},
    {"echo '{\"Username\":\"a\\u0007\",\"Secret\":\"canary-secret\"}'",
        "its answer has a user name that cannot be sent to a registry"},
    {"echo '{\"Username\":\"\",\"Secret\":\"canary-secret\"}'",
        "its answer has a user name that cannot be sent to a registry"},
    {"head -c 1000000 /dev/zero", "it printed more than 65536 bytes"},
    {"while :; do echo canary-secret; done", "it printed more than 65536 bytes"},
    {"head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 4", NULL}, // cut, see below
};

static void
what_goes_wrong_is_told_without_the_answer(void **state)
{
    (void)state;
    struct home home CLEANUP(home_done) = {0};
    home_init(&home, "{\"credHelpers\":{\"" HOST "\":\"own\"},\"auths\":{\"" HOST "\":" AUTH "}}");
    for (size_t i = 0; i < ARRAY_LENGTH(failing); i++) {
        put_helper(&home, "own", failing[i].script);
        struct error *err = look_up(&home, HOST);
        assert_non_null(err);
        char *text CLEANUP(xfreep) = error_text(err);
        char *start CLEANUP(xfreep) =
            xasprintf("credentials from '%s': credential helper 'docker-credential-own' for "
                      "'" HOST "': ",
                home.config);
        assert_null(strstr(text, "canary"));
        assert_true(str_starts(str_of(text), str_of(start)));
        if (failing[i].problem != NULL) {
            assert_string_equal(text + strlen(start), failing[i].problem);
        } else {
            assert_true(strlen(text) < strlen(start) + 400);
        }
        assert_string_equal(error_hint_of(err), BY_HAND);
        assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
        assert_null(home.user);
        assert_null(home.password);
        error_free(err);
    }
}

static void
a_name_is_not_a_path(void **state)
{
    (void)state;
    static const char *const names[] = {"../evil", "a/b", "A", "-x", ".x", "a b", "ä", "a;b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct home home CLEANUP(home_done) = {0};
        char *config CLEANUP(xfreep) = xasprintf("{\"credsStore\":\"%s\"}", names[i]);
        home_init(&home, config);
        char *text CLEANUP(xfreep) = xasprintf(
            "credentials from '%s': a credential helper has a name that is none", home.config);
        assert_failure(look_up(&home, HOST), ERROR_CREDENTIALS, text,
            "'credHelpers' and 'credsStore' take what follows 'docker-credential-' in the "
            "program's name: lower-case letters, digits, '.', '_' and '-'.");
    }
}

static void
a_missing_helper_is_named(void **state)
{
    (void)state;
    struct home home CLEANUP(home_done) = {0};
    home_init(&home, "{\"credsStore\":\"desktop\"}");
    char *text CLEANUP(xfreep) = xasprintf("credentials from '%s': there is no credential helper "
                                           "'docker-credential-desktop' in PATH",
        home.config);
    assert_failure(look_up(&home, HOST), ERROR_CREDENTIALS, text,
        "Install it, or take 'desktop' out of that file.");
}

// A clock that has moved by a second whenever somebody looks.
static struct fake_platform *hurried;

static int64_t
hurried_mono(const struct clock *clock)
{
    (void)clock;
    hurried->mono_ms += 1000;
    return hurried->mono_ms;
}

static void
a_helper_that_hangs_is_ended(void **state)
{
    (void)state;
    struct home home CLEANUP(home_done) = {0};
    home_init(&home, "{\"credsStore\":\"own\"}");
    put_helper(&home, "own", "echo canary-secret; exec sleep 1000");
    hurried = home.fake;
    home.fake->clock.base.mono_ms = hurried_mono;
    char *text CLEANUP(xfreep) =
        xasprintf("credentials from '%s': credential helper 'docker-credential-own' for '" HOST
                  "': it did not end within 60 s",
            home.config);
    assert_failure(look_up(&home, HOST), ERROR_CREDENTIALS, text, BY_HAND);
    cancel_raise(home.fake->cancel, SIGINT);
    struct error *err = look_up(&home, HOST);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    error_free(err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hosts_own_helper_goes_first),
        cmocka_unit_test(an_identity_token_is_marked),
        cmocka_unit_test(podmans_files_are_read_after_dockers),
        cmocka_unit_test(what_goes_wrong_is_told_without_the_answer),
        cmocka_unit_test(a_name_is_not_a_path),
        cmocka_unit_test(a_missing_helper_is_named),
        cmocka_unit_test(a_helper_that_hangs_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
