// The job around us: is there one, and its OIDC tokens.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/actions.h"
#include "script_transport.h"

#define REQUEST_URL "https://run.actions.example/t?api-version=2.0"
#define FULL_URL REQUEST_URL "&audience=https%3A%2F%2Fx.example%2F%20a"

static const char *const in_job[] = {"GITHUB_ACTIONS=true",
    "ACTIONS_ID_TOKEN_REQUEST_URL=" REQUEST_URL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN=requesttoken",
    NULL};
static const char *const bearer[] = {"Authorization: bearer requesttoken", NULL};

static struct error *
ask(const struct script_step *steps, size_t count, const char *const *env, struct secret **out)
{
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(env);
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(fake, steps, count);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&fake->platform, NULL, &http));
    struct error *err = actions_oidc_token(&fake->platform, http, "https://x.example/ a", out);
    script_transport_finish(script);
    return err;
}

static void
the_environment_decides(void **state)
{
    (void)state;
    static const struct {
        const char *env[4];
        bool active, oidc;
    } cases[] = {
        {{NULL}, false, false},
        {{"GITHUB_ACTIONS=true", NULL}, true, false},
        {{"GITHUB_ACTIONS=1", NULL}, false, false},
        {{"GITHUB_ACTIONS=", NULL}, false, false},
        {{"ACTIONS_ID_TOKEN_REQUEST_URL=u", NULL}, false, false},
        {{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=t", NULL}, false, false},
        {{"ACTIONS_ID_TOKEN_REQUEST_URL=u", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=t", NULL}, false, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(cases[i].env);
        assert_int_equal(actions_is_active(&fake->platform), cases[i].active);
        assert_int_equal(actions_has_oidc(&fake->platform), cases[i].oidc);
    }
}

static void
a_token_for_the_audience(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = FULL_URL, .headers = bearer, .reply = "{\"count\":1,\"value\":\"eyJ.e-_J.sig\"}"}};
    struct secret *token CLEANUP(secret_freep) = NULL;
    assert_null(ask(steps, 1, in_job, &token));
    assert_string_equal(secret_expose(token).ptr, "eyJ.e-_J.sig");
}

static void
hiccups_are_tried_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = FULL_URL, .status = 503},
        {.url = FULL_URL, .failure = "reset", .request_left = true},
        {.url = FULL_URL, .failure = "refused"},
        {.url = FULL_URL, .headers = bearer, .reply = "{\"value\":\"a.b.c\"}"},
    };
    struct secret *token CLEANUP(secret_freep) = NULL;
    assert_null(ask(steps, 4, in_job, &token));
}

static void
without_permission_the_fix_is_named(void **state)
{
    (void)state;
    struct secret *token = NULL;
    struct error *err CLEANUP(error_freep) = ask(NULL, 0, NULL, &token);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_string_equal(error_message(err), "this job may not ask for OIDC tokens");
    assert_string_equal(
        error_hint_of(err), "Give the job (or the workflow) 'permissions: id-token: write'.");
}

static void
useless_answers_never_show_what_came(void **state)
{
    (void)state;
    static const struct script_step cases[] = {
        {.url = FULL_URL, .reply = "{}"},
        {.url = FULL_URL, .reply = "{\"value\":\"\"}"},
        {.url = FULL_URL, .reply = "{\"value\":\"canarycanary\"}"},
        {.url = FULL_URL, .reply = "{\"value\":\"canary.canary.canary\\n::x\"}"},
        {.url = FULL_URL, .reply = "{\"value\":7}"},
        {.url = FULL_URL, .reply = "canary"},
        {.url = FULL_URL, .reply = "[\"canary\"]"},
        {.url = FULL_URL, .status = 403, .reply = "canary"},
        {.url = FULL_URL, .status = 302, .reply = "canary"},
        {.url = FULL_URL, .status = 500, .reply = "canary", .times = 5},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct secret *token = NULL;
        struct error *err CLEANUP(error_freep) = ask(&cases[i], 1, in_job, &token);
        assert_non_null(err);
        assert_null(token);
        assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
        char *text = error_text(err);
        assert_null(strstr(text, "canary"));
        assert_null(strstr(text, "requesttoken"));
        assert_non_null(strstr(text, "OIDC token for audience 'https://x.example/ a'"));
        free(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_decides),
        cmocka_unit_test(a_token_for_the_audience),
        cmocka_unit_test(hiccups_are_tried_again),
        cmocka_unit_test(without_permission_the_fix_is_named),
        cmocka_unit_test(useless_answers_never_show_what_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
