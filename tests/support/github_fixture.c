// Puts platform, script, HTTP client and GitHub client together for a test.
#include "github_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

static struct github_fixture *
fixture_new(const struct script_step *steps, size_t count, const struct github_options *options)
{
    struct github_fixture *fixture = xcalloc(1, sizeof(*fixture));
    fixture->fake = fake_platform_new(NULL);
    fake_platform_fix_random(fixture->fake, 0.5);
    fixture->script = script_transport_new(fixture->fake, steps, count);
    fixture->arena = arena_new();
    assert_null(http_client_new(&fixture->fake->platform, NULL, &fixture->http));
    assert_null(
        github_client_new(&fixture->fake->platform, fixture->http, options, &fixture->client));
    return fixture;
}

static struct github_fixture *
with_token(const struct script_step *steps, size_t count, enum github_purpose purpose)
{
    struct secret *token CLEANUP(secret_freep) = secret_new(STR("ghp_testtoken"));
    const struct github_options options = {
        .api = GITHUB_API, .repository = "octo/infra", .token = token, .purpose = purpose};
    return fixture_new(steps, count, &options);
}

static struct github_fixture *
with_app(const struct script_step *steps, size_t count, enum github_purpose purpose)
{
    struct secret *pem CLEANUP(secret_freep) = NULL;
    assert_null(jwt_key_generate_pem(&pem));
    const struct github_options options = {.api = GITHUB_API,
        .repository = "octo/infra",
        .app_id = "Iv1.app",
        .app_key = pem,
        .purpose = purpose};
    return fixture_new(steps, count, &options);
}

struct github_fixture *
github_fixture_token(const struct script_step *steps, size_t count)
{
    return with_token(steps, count, GITHUB_FOR_DISPATCH);
}

struct github_fixture *
github_fixture_app(const struct script_step *steps, size_t count)
{
    return with_app(steps, count, GITHUB_FOR_DISPATCH);
}

struct github_fixture *
github_fixture_reports(const struct script_step *steps, size_t count, bool app)
{
    return app ? with_app(steps, count, GITHUB_FOR_REPORTS)
               : with_token(steps, count, GITHUB_FOR_REPORTS);
}

void
github_fixture_finish(struct github_fixture *fixture)
{
    script_transport_finish(fixture->script);
}

void
github_fixture_freep(struct github_fixture **fixture)
{
    struct github_fixture *gone = *fixture;
    if (gone == NULL) {
        return;
    }
    github_client_free(gone->client);
    http_client_free(gone->http);
    script_transport_free(gone->script);
    fake_platform_free(gone->fake);
    arena_free(gone->arena);
    free(gone);
    *fixture = NULL;
}
