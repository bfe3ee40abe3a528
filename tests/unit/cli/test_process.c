// What the fences let through. The fences themselves are seen from outside: tests/e2e/cli.bats.
#include "process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/compiler.h"
#include "dispatcher/platform.h"

static void
libraries_see_the_allow_list_only(void **state)
{
    (void)state;
    static const char *const kept[] = {"PATH=/bin", "HOME=/root", "LANG=C", "LC_ALL=C",
        "TERM=xterm", "TZ=UTC", "TMPDIR=/tmp", "USER=ann", "XDG_STATE_HOME=/s", "CI=true",
        "GITHUB_ACTIONS=true", "RUNNER_TEMP=/t", "PATH="};
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
        assert_true(process_keeps(kept[i]));
    }
    static const char *const dropped[] = {"OPENSSL_CONF=/x", "OPENSSL_MODULES=/x",
        "SSLKEYLOGFILE=/x", "SSL_CERT_FILE=/x", "SSL_CERT_DIR=/x", "HTTPS_PROXY=http://x",
        "https_proxy=x", "ALL_PROXY=x", "NO_PROXY=x", "CURL_HOME=/x", "CURL_CA_BUNDLE=/x",
        "GIT_DIR=/x", "GIT_CONFIG_GLOBAL=/x", "GIT_SSL_NO_VERIFY=1", "LD_PRELOAD=/x",
        "MALLOC_TRACE=/x", "MALLOC_CHECK_=1", "GLIBC_TUNABLES=x", "LOCPATH=/x", "NLSPATH=/x",
        "GCONV_PATH=/x", "RES_OPTIONS=x", "LOCALDOMAIN=x", "HOSTALIASES=/x", "GETCONF_DIR=/x",
        "TZDIR=/x", "SQLITE_TMPDIR=/x", "AWS_SECRET_ACCESS_KEY=k", "GITHUB_TOKEN=t", "GH_TOKEN=t",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN=t", "DEPLOYMENT_APP_KEY=k", "GITHUB_ENV=/x", "PATHX=/x",
        "PATH", "", "=x", "LC=1"};
    for (size_t i = 0; i < ARRAY_LENGTH(dropped); i++) {
        assert_false(process_keeps(dropped[i]));
    }
}

static int
passed(const char *pid, const char *fds)
{
    char *list[] = {(char *)(uintptr_t)pid, (char *)(uintptr_t)fds, NULL};
    struct environment *env = environment_new(list);
    int count = process_passed_descriptors(env, 42);
    environment_free(env);
    return count;
}

static void
only_descriptors_passed_to_this_process_count(void **state)
{
    (void)state;
    assert_int_equal(passed("LISTEN_PID=42", "LISTEN_FDS=2"), 2);
    assert_int_equal(passed("LISTEN_PID=41", "LISTEN_FDS=2"), 0);
    assert_int_equal(passed("LISTEN_PID=42", "X=1"), 0);
    assert_int_equal(passed("LISTEN_PID=42", "LISTEN_FDS=-1"), 0);
    assert_int_equal(passed("LISTEN_PID=42", "LISTEN_FDS=65"), 0);
    assert_int_equal(passed("LISTEN_PID=42", "LISTEN_FDS=two"), 0);
    assert_int_equal(passed("LISTEN_PID=", "LISTEN_FDS=2"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libraries_see_the_allow_list_only),
        cmocka_unit_test(only_descriptors_passed_to_this_process_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
