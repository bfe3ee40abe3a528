// What `docker login` leaves behind: found by host, decoded, and refused with the file named.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/registry.h"
#include "fake_platform.h"
#include "temp_dir.h"

// robot:canary-password
#define AUTH "{\"auth\":\"cm9ib3Q6Y2FuYXJ5LXBhc3N3b3Jk\"}"

// Looks up registry.example.org in a config.json of this text.
static struct error *
look_up(const char *config, bool by_home, char **user, struct secret **password, char **path)
{
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *docker CLEANUP(xfreep) = temp_dir_path(dir, ".docker");
    char *file CLEANUP(xfreep) = temp_dir_path(dir, ".docker/config.json");
    char *variable CLEANUP(xfreep) =
        xasprintf("%s=%s", by_home ? "HOME" : "DOCKER_CONFIG", by_home ? dir : docker);
    const char *const env[] = {variable, NULL};
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(env);
    assert_null(file_make_directories(docker));
    if (config != NULL) {
        assert_null(file_write(file, str_of(config), 0600));
    }
    *path = xstrdup(file);
    return registry_docker_credentials(&fake->platform, "registry.example.org", user, password);
}

static const struct {
    const char *config, *user, *password;
} rows[] = {
    {"{\"auths\":{\"registry.example.org\":" AUTH "}}", "robot", "canary-password"},
    {"{\"auths\":{\"https://registry.example.org/v1/\":" AUTH "}}", "robot", "canary-password"},
    {"{\"auths\":{\"http://registry.example.org\":" AUTH "}}", "robot", "canary-password"},
    {"{\"auths\":{\"REGISTRY.example.org\":" AUTH "}}", "robot", "canary-password"},
    {"{\"auths\":{\"a\":{},\"registry.example.org\":" AUTH "}}", "robot", "canary-password"},
    // base64 of "AWS:a:b" and of "u:"
    {"{\"auths\":{\"registry.example.org\":{\"auth\":\"QVdTOmE6Yg==\"}}}", "AWS", "a:b"},
    {"{\"auths\":{\"registry.example.org\":{\"auth\":\"dTo=\"}}}", "u", ""},
    {"{\"auths\":{\"registry.example.org\":{\"username\":\"u\",\"password\":\"canary-p\"}}}", "u",
        "canary-p"},
    {"{\"auths\":{\"registry.example.org:5000\":" AUTH "}}", NULL, NULL},
    {"{\"auths\":{\"evil.org/registry.example.org\":" AUTH "}}", NULL, NULL},
    {"{\"auths\":{\"registry.example.org.evil.org\":" AUTH "}}", NULL, NULL},
    {"{\"auths\":{\"registry.example.org\":{}},\"credsStore\":\"\"}", NULL, NULL},
    {"{\"auths\":{\"registry.example.org\":{\"auth\":\"dTo=\",\"identitytoken\":\"canary-i\"}}}",
        "<token>", "canary-i"},
    {"{\"auths\":[]}", NULL, NULL},
    {"{}", NULL, NULL},
    {NULL, NULL, NULL},
};

static void
the_host_is_looked_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(rows); i++) {
        char *user CLEANUP(xfreep) = NULL, *path CLEANUP(xfreep) = NULL;
        struct secret *password CLEANUP(secret_freep) = NULL;
        const char *wanted = rows[i / 2].password;
        assert_null(look_up(rows[i / 2].config, i % 2 == 0, &user, &password, &path));
        assert_true(cstr_equal(user, rows[i / 2].user));
        assert_int_equal(password != NULL, wanted != NULL);
        if (wanted != NULL) {
            assert_true(str_equal(secret_expose(password), str_of(wanted)));
        }
    }
}

#define NOT_BASE64 "the entry of 'registry.example.org' does not hold 'user:password' in base64"

static const struct {
    const char *config, *problem;
} broken[] = {
    {"{\"auths\":{\"registry.example.org\":{\"auth\":\"%%%\"}}}", NOT_BASE64},
    // "robot" and ":canary"
    {"{\"auths\":{\"registry.example.org\":{\"auth\":\"cm9ib3Q=\"}}}", NOT_BASE64},
    {"{\"auths\":{\"registry.example.org\":{\"auth\":\"OmNhbmFyeQ==\"}}}", NOT_BASE64},
    {"{\"auths\":", "it is not valid JSON"},
    // The parser would quote the password.
    {"{\"auths\":{\"registry.example.org\":{\"auth\" \"canary\"}}}", "it is not valid JSON"},
};

static void
broken_files_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        char *user CLEANUP(xfreep) = NULL, *path CLEANUP(xfreep) = NULL;
        struct secret *password CLEANUP(secret_freep) = NULL;
        struct error *err = look_up(broken[i].config, true, &user, &password, &path);
        assert_non_null(err);
        char *text CLEANUP(xfreep) = error_text(err);
        char *wanted CLEANUP(xfreep) =
            xasprintf("credentials from '%s': %s", path, broken[i].problem);
        assert_string_equal(text, wanted);
        assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
        assert_null(user);
        assert_null(password);
        error_free(err);
    }
}

static void
without_a_home_there_are_none(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    char *user CLEANUP(xfreep) = NULL;
    struct secret *password CLEANUP(secret_freep) = NULL;
    assert_null(registry_docker_credentials(&fake->platform, "x", &user, &password));
    assert_null(user);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_is_looked_up),
        cmocka_unit_test(broken_files_are_named),
        cmocka_unit_test(without_a_home_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
