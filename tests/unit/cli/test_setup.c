// What the environment decides before any command runs.
#include "setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct environment *
env_of(const char *const *list)
{
    return environment_new((char *const *)(uintptr_t)list);
}

static void
proxy_and_ca_come_from_the_standard_names(void **state)
{
    (void)state;
    const char *const list[] = {"HTTPS_PROXY=http://p:1", "https_proxy=http://q:2", "no_proxy=a,b",
        "AWS_CA_BUNDLE=/aws.pem", "GITHUB_ACTIONS=true", NULL};
    struct environment *env = env_of(list);
    struct cli cli = {0};
    cli_setup(&cli, env);
    assert_string_equal(cli.http_options.proxy, "http://p:1");
    assert_string_equal(cli.http_options.no_proxy, "a,b");
    assert_string_equal(cli.http_options.ca_file, "/aws.pem");
    assert_true(cli.in_actions);
    assert_ptr_equal(cli.platform.env, env);
    environment_free(env);

    const char *const second[] = {"https_proxy=q", "HTTPS_PROXY=", "SSL_CERT_FILE=/ssl.pem",
        "AWS_CA_BUNDLE=/aws.pem", "GITHUB_ACTIONS=1", "ALL_PROXY=all", "HTTP_PROXY=plain", NULL};
    env = env_of(second);
    cli_setup(&cli, env);
    assert_string_equal(cli.http_options.proxy, "q");
    assert_null(cli.http_options.no_proxy);
    assert_string_equal(cli.http_options.ca_file, "/ssl.pem");
    assert_false(cli.in_actions);
    environment_free(env);
}

static void
a_proxy_password_is_masked(void **state)
{
    (void)state;
    const char *const list[] = {"HTTPS_PROXY=http://ann:hunter22@p:1", NULL};
    struct environment *env = env_of(list);
    struct cli cli = {0};
    cli_setup(&cli, env);
    struct buf text CLEANUP(buf_done) = BUF_INIT(256);
    buf_puts(&text, "proxy http://ann:hunter22@p:1 refused");
    secret_mask(&text);
    assert_string_equal(buf_cstr(&text), "proxy http://ann:***@p:1 refused");
    environment_free(env);
}

static void
log_levels(void **state)
{
    (void)state;
    static const struct {
        const char *log, *runner;
        enum log_level level;
        bool refused;
    } cases[] = {
        {"X=1", "Y=1", LOG_WARN, false},
        {"DISPATCHER_LOG=debug", "Y=1", LOG_DEBUG, false},
        {"DISPATCHER_LOG=INFO", "Y=1", LOG_INFO, false},
        {"DISPATCHER_LOG=error", "RUNNER_DEBUG=1", LOG_ERROR, false},
        {"X=1", "RUNNER_DEBUG=1", LOG_DEBUG, false},
        {"X=1", "RUNNER_DEBUG=0", LOG_WARN, false},
        {"DISPATCHER_LOG=loud", "Y=1", LOG_WARN, true},
        {"DISPATCHER_LOG=", "Y=1", LOG_WARN, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *const list[] = {cases[i].log, cases[i].runner, NULL};
        struct environment *env = env_of(list);
        enum log_level level = LOG_ERROR;
        struct error *err CLEANUP(error_freep) = cli_log_level(env, &level);
        assert_int_equal(level, cases[i].level);
        assert_int_equal(err != NULL, cases[i].refused);
        if (err != NULL) {
            assert_string_equal(error_message(err), "DISPATCHER_LOG is 'loud', which is no level");
            assert_string_equal(error_hint_of(err), "Use error, warn, info or debug.");
        }
        environment_free(env);
    }
}

static void
a_pipe_is_80_columns_wide(void **state)
{
    (void)state;
    assert_int_equal(cli_terminal_width(-1), 80);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proxy_and_ca_come_from_the_standard_names),
        cmocka_unit_test(a_proxy_password_is_masked),
        cmocka_unit_test(log_levels),
        cmocka_unit_test(a_pipe_is_80_columns_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
