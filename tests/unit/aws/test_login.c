// What 'aws login' left in its cache: taken while it is good, and a clear word when it is not.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

// Of "arn:aws:iam::012345678901:user/u", by sha256sum.
#define NAME "2eaadbbb0cec8e6edd974f00a737e1ad17509b73f7665ce044619959182168e1.json"
#define CACHE(expiry)                                                                              \
    "{\"accessToken\":{\"accessKeyId\":\"LOGIN\",\"secretAccessKey\":\"secret-login\","            \
    "\"sessionToken\":\"token-login\",\"accountId\":\"012345678901\",\"expiresAt\":\"" expiry      \
    "\"},\"refreshToken\":\"r\"}"

static const char config[] = "[default]\nlogin_session = arn:aws:iam::012345678901:user/u\n";

static void
takes_the_cache(void **state)
{
    (void)state;
    for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *directory CLEANUP(xfreep) =
            xasprintf("AWS_LOGIN_CACHE_DIRECTORY=%s/other", aws->home);
        aws_fixture_file(aws, ".aws/config", config);
        aws_fixture_file(aws, elsewhere ? "other/" NAME : ".aws/login/cache/" NAME,
            CACHE("2026-11-21T08:03:00Z"));
        aws_fixture_start(aws, (const char *[]){elsewhere ? directory : "X=", NULL}, NULL, 0, NULL);
        assert_success(aws_credentials_get(aws->session, &found));
        assert_string_equal(found->provider, "login");
        assert_string_equal(found->access_key, "LOGIN");
        assert_string_equal(secret_expose(found->secret_key).ptr, "secret-login");
        assert_string_equal(secret_expose(found->session_token).ptr, "token-login");
        assert_string_equal(found->account, "012345678901");
        assert_int_equal(found->expires_ms, FAKE_WALL_START + 15 * 60 * 1000);
    }
}

static void
says_how_to_sign_in(void **state)
{
    (void)state;
    static const struct {
        const char *cache, *error;
    } rows[] = {
        {NULL, "nobody has signed in to 'arn:aws:iam::012345678901:user/u' here"},
        {CACHE("2026-11-21T07:48:00Z"), "the sign-in expired at 2026-11-21T07:48:00Z"},
        {CACHE("soon"), "the cached sign-in is incomplete"},
        {"{}", "the cached sign-in is incomplete"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *text CLEANUP(xfreep) = xasprintf(
            "AWS credentials from 'login': 'aws login' of profile 'default': %s", rows[i].error);
        aws_fixture_file(aws, ".aws/config", config);
        if (rows[i].cache != NULL) {
            aws_fixture_file(aws, ".aws/login/cache/" NAME, rows[i].cache);
        }
        aws_fixture_start(aws, NULL, NULL, 0, NULL);
        assert_failure(aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS, text,
            "Run 'aws login --profile default'.");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_cache),
        cmocka_unit_test(says_how_to_sign_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
