// Which manifests an index holds, as a registry tells it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "registry_fixture.h"

#define INDEX_URL FIXTURE_BASE "/manifests/" FIXTURE_INDEX
#define INDEX_TYPE "Content-Type: application/vnd.oci.image.index.v1+json"
#define TYPE(text)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        text, NULL                                                                                 \
    }

static void
expect(const struct script_step *step, const char *digest, const char *child, bool expected)
{
    struct registry_fixture fixture CLEANUP(registry_fixture_done);
    registry_fixture_init(&fixture, step, 1);
    bool found = !expected;
    registry_fixture_expect_success(&fixture,
        registry_index_holds(registry_fixture_client(&fixture), "team/app", digest, child, &found));
    assert_int_equal(found, expected);
}

static void
its_children_are_found(void **state)
{
    (void)state;
    const struct script_step step = {.method = HTTP_GET,
        .url = INDEX_URL,
        .reply = fixture_index,
        .reply_headers = TYPE(INDEX_TYPE)};
    expect(&step, FIXTURE_INDEX, FIXTURE_MANIFEST, true);
    expect(&step, FIXTURE_INDEX, FIXTURE_OTHER, false);
}

static void
what_is_no_index_holds_nothing(void **state)
{
    (void)state;
    const struct script_step manifest = {.method = HTTP_GET,
        .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST,
        .reply = fixture_manifest,
        .reply_headers = TYPE("Content-Type: application/vnd.oci.image.manifest.v1+json")};
    const struct script_step absent = {.method = HTTP_GET, .url = INDEX_URL, .status = 404};
    expect(&manifest, FIXTURE_MANIFEST, FIXTURE_LAYER, false);
    expect(&absent, FIXTURE_INDEX, FIXTURE_MANIFEST, false);
}

static void
a_registry_that_lies_is_refused(void **state)
{
    (void)state;
    static const char other[] = "{\"schemaVersion\":2,\"manifests\":[]}";
    const struct script_step steps[] = {
        {.method = HTTP_GET, .url = INDEX_URL, .reply = other, .reply_headers = TYPE(INDEX_TYPE)},
        {.method = HTTP_GET,
            .url = INDEX_URL,
            .status = 403,
            .reply = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no pull\"}]}"}};
    struct registry_fixture fixture CLEANUP(registry_fixture_done);
    bool found = false;
    registry_fixture_init(&fixture, steps, 1);
    registry_fixture_expect(&fixture,
        registry_index_holds(
            registry_fixture_client(&fixture), "team/app", FIXTURE_INDEX, FIXTURE_MANIFEST, &found),
        ERROR_UNAVAILABLE,
        "registry 'registry.example.org' answered with something else when asked for "
        "'" FIXTURE_INDEX "'",
        NULL);
    registry_fixture_done(&fixture);
    registry_fixture_init(&fixture, steps + 1, 1);
    registry_fixture_expect(&fixture,
        registry_index_holds(
            registry_fixture_client(&fixture), "team/app", FIXTURE_INDEX, FIXTURE_MANIFEST, &found),
        ERROR_CREDENTIALS, "read manifest '" FIXTURE_INDEX "': no pull (HTTP 403)",
        "The credentials must allow pull and push in this repository of 'registry.example.org'.");
    assert_false(found);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_children_are_found),
        cmocka_unit_test(what_is_no_index_holds_nothing),
        cmocka_unit_test(a_registry_that_lies_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
