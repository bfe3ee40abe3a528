// A push step by step: what is asked for, in which order, and what each answer of the registry
// leads to. The bodies' own troubles are test_upload.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "registry_fixture.h"

#define PUSH "push 'registry.example.org/team/app:v1': "
#define RUN(fixture, steps)                                                                        \
    struct registry_fixture fixture CLEANUP(registry_fixture_done);                                \
    registry_fixture_init(&fixture, steps, ARRAY_LENGTH(steps))

// A manifest that the registry does not have: HEAD, POST, PUT for the layer, POST, PUT for the
// configuration, and the tag.
static void
everything_is_sent_in_order(void **state)
{
    (void)state;
    static const char *const manifest_headers[] = {
        "Accept: application/vnd.oci.image.index.v1+json, *", "!Authorization", NULL};
    static const char *const put_headers[] = {
        "Content-Type: application/vnd.oci.image.manifest.v1+json", NULL};
    static const char *const created[] = {"Docker-Content-Digest: " FIXTURE_MANIFEST, NULL};
    const struct script_step steps[] = {
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST,
            .headers = manifest_headers,
            .no_body = true,
            .status = 404},
        STEP_LAYER_ABSENT,
        STEP_SESSION("/v2/team/app/blobs/uploads/1?_state=a%3D"),
        {.method = HTTP_PUT,
            .url = FIXTURE_BASE "/blobs/uploads/1?_state=a%3D&" FIXTURE_LAYER_QUERY,
            .headers = (const char *const[]){"Content-Type: application/octet-stream", NULL},
            .body = "hello",
            .status = 201},
        STEP_SESSION("/v2/team/app/blobs/uploads/2"),
        {.method = HTTP_PUT,
            .url = FIXTURE_BASE "/blobs/uploads/2?" FIXTURE_CONFIG_QUERY,
            .body = "{}",
            .status = 201},
        {.method = HTTP_PUT,
            .url = FIXTURE_TAG_URL,
            .headers = put_headers,
            .body = fixture_manifest,
            .status = 201,
            .reply_headers = created},
    };
    RUN(fixture, steps);
    struct registry_push_result result = {0};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
    assert_string_equal(result.digest, FIXTURE_MANIFEST);
    assert_false(result.already_there);
    assert_int_equal(result.blobs_sent, 2);
    assert_int_equal(result.blobs_present, 0);
    assert_int_equal(result.bytes_sent, 7);
    assert_int_equal(result.requests, 7);
    assert_string_equal(fixture.progress, "sSsSm");
}

#define STEP_MANIFEST_PRESENT                                                                      \
    {                                                                                              \
        .method = HTTP_HEAD, .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST,                   \
        .reply_headers = (const char *const[])                                                     \
        {                                                                                          \
            "docker-content-digest: " FIXTURE_MANIFEST, NULL                                       \
        }                                                                                          \
    }

// Nothing below a manifest that is there is asked for; the tag may be another one, so it is put.
static void
an_image_that_is_there_costs_two_requests(void **state)
{
    (void)state;
    const struct script_step steps[] = {STEP_MANIFEST_PRESENT, STEP_PUT_TAG};
    RUN(fixture, steps);
    struct registry_push_result result = {0};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
    assert_true(result.already_there);
    assert_int_equal(result.blobs_sent + result.blobs_present, 0);
    assert_int_equal(result.requests, 2);
    assert_string_equal(result.digest, FIXTURE_MANIFEST);
    assert_string_equal(fixture.progress, "m");
}

static void
an_image_that_is_there_needs_its_tag_all_the_same(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_MANIFEST_PRESENT,
        {.method = HTTP_PUT, .url = FIXTURE_TAG_URL, .body = fixture_manifest, .status = 403},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_CREDENTIALS,
        PUSH "PUT manifest 'v1': denied (HTTP 403)",
        "The credentials must allow pull and push in this repository of 'registry.example.org'.");
}

static void
layers_that_are_there_are_not_sent(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *header;
    } rows[] = {{200, "Content-Length: 5"}, {307, "Location: https://storage.example.org/x"},
        {302, "Location: https://storage.example.org/x"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *const headers[] = {rows[i].header, NULL};
        const struct script_step steps[] = {
            STEP_MANIFEST_ABSENT,
            {.method = HTTP_HEAD,
                .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER,
                .status = rows[i].status,
                .reply_headers = headers},
            STEPS_REST,
        };
        RUN(fixture, steps);
        struct registry_push_result result = {0};
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
        assert_int_equal(result.blobs_present, 1);
        assert_int_equal(result.blobs_sent, 1); // the configuration, which is not asked for
        assert_int_equal(result.bytes_sent, 2);
        assert_int_equal(result.requests, 5);
        assert_string_equal(fixture.progress, "psSm");
    }
}

// Roles that may push but not pull get 403 to every HEAD.
static void
a_role_that_may_not_read_pushes_all_the_same(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        {.method = HTTP_HEAD, .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST, .status = 403},
        {.method = HTTP_HEAD, .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER, .status = 403},
        STEP_SESSION("/u"),
        STEP_PUT_LAYER("https://registry.example.org/u?" FIXTURE_LAYER_QUERY),
        STEPS_REST,
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

#define STEPS_ALL_PRESENT STEP_MANIFEST_ABSENT, STEP_LAYER_PRESENT, STEPS_CONFIG_SENT
#define STEP_PUT_TAG_MUTE                                                                          \
    {                                                                                              \
        .method = HTTP_PUT, .url = FIXTURE_TAG_URL, .body = fixture_manifest, .status = 201        \
    }

static void
an_unreadable_tag_needs_an_answer_that_names_the_digest(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_ALL_PRESENT,
        STEP_PUT_TAG_MUTE,
        {.method = HTTP_HEAD, .url = FIXTURE_TAG_URL, .status = 403},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "registry 'registry.example.org' does not show tag 'v1' of 'team/app' after the push",
        NULL);
}

#define STEP_INDEX_ABSENT                                                                          \
    {                                                                                              \
        .method = HTTP_HEAD, .url = FIXTURE_BASE "/manifests/" FIXTURE_INDEX, .status = 404        \
    }
#define STEP_PUT_CHILD                                                                             \
    {                                                                                              \
        .method = HTTP_PUT, .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST,                    \
        .body = fixture_manifest, .status = 201                                                    \
    }
#define STEP_PUT_INDEX                                                                             \
    {                                                                                              \
        .method = HTTP_PUT, .url = FIXTURE_TAG_URL, .body = fixture_index,                         \
        .headers =                                                                                 \
            (const char *const[]){"Content-Type: application/vnd.oci.image.index.v1+json", NULL},  \
        .status = 201, .reply_headers = (const char *const[])                                      \
        {                                                                                          \
            "Docker-Content-Digest: " FIXTURE_INDEX, NULL                                          \
        }                                                                                          \
    }

static void
children_go_by_digest_before_the_tag(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_INDEX_ABSENT,
        STEP_LAYER_PRESENT,
        STEPS_CONFIG_SENT,
        STEP_PUT_CHILD,
        STEP_PUT_INDEX,
    };
    RUN(fixture, steps);
    struct registry_push_result result = {0};
    registry_fixture_open(&fixture, true);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
    assert_string_equal(result.digest, FIXTURE_INDEX);
    assert_string_equal(fixture.progress, "psSmm");
}

// ECR puts ten manifests a second for a whole account, so there a question comes first.
static void
children_that_ecr_has_are_not_put(void **state)
{
    (void)state;
    for (int there = 0; there <= 1; there++) {
        const struct script_step all[] = {
            STEP_INDEX_ABSENT,
            STEP_LAYER_PRESENT,
            STEPS_CONFIG_SENT,
            STEP_MANIFEST_ABSENT,
            STEP_PUT_CHILD,
            STEP_PUT_INDEX,
        };
        const struct script_step without[] = {
            STEP_INDEX_ABSENT,
            STEP_LAYER_PRESENT,
            STEPS_CONFIG_SENT,
            STEP_MANIFEST_PRESENT,
            STEP_PUT_INDEX,
        };
        struct registry_fixture fixture CLEANUP(registry_fixture_done);
        registry_fixture_init(
            &fixture, there ? without : all, there ? ARRAY_LENGTH(without) : ARRAY_LENGTH(all));
        fixture.options.is_ecr = true;
        registry_fixture_open(&fixture, true);
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    }
}

static void
a_child_that_is_refused_ends_the_push(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_INDEX_ABSENT,
        STEP_LAYER_PRESENT,
        STEPS_CONFIG_SENT,
        {.method = HTTP_PUT, .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST, .status = 405},
    };
    RUN(fixture, steps);
    registry_fixture_open(&fixture, true);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_REFUSED,
        PUSH "PUT manifest '" FIXTURE_MANIFEST "': the registry does not allow this (HTTP 405)",
        NULL);
}

// What ECR answers for an immutable tag, also when the digest is the same.
#define STEP_IMMUTABLE                                                                             \
    {                                                                                              \
        .method = HTTP_PUT, .url = FIXTURE_TAG_URL, .status = 400,                                 \
        .reply =                                                                                   \
            "{\"errors\":[{\"code\":\"TAG_INVALID\",\"message\":\"The image tag 'v1' already "     \
            "exists in the 'team/app' repository and cannot be overwritten because the tag "       \
            "is immutable.\"}]}"                                                                   \
    }

static void
an_immutable_tag_with_our_digest_is_success(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_ALL_PRESENT,
        STEP_IMMUTABLE,
        STEP_TAG_IS(FIXTURE_MANIFEST),
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static void
an_immutable_tag_with_another_digest_is_a_conflict(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_ALL_PRESENT, STEP_IMMUTABLE, STEP_TAG_IS(FIXTURE_OTHER)};
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_CONFLICT,
        PUSH "tag 'v1' of 'team/app' cannot be changed: it names '" FIXTURE_OTHER
             "', the image to push is '" FIXTURE_MANIFEST "'",
        "Push under another tag, or build the same content again; the tag is immutable.");
}

static void
an_immutable_tag_that_nobody_finds_is_told_as_it_is(void **state)
{
    (void)state;
    const struct script_step steps[] = {STEPS_ALL_PRESENT, STEP_IMMUTABLE, STEP_TAG_ABSENT};
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_REFUSED,
        PUSH "PUT manifest 'v1': The image tag 'v1' already exists in the 'team/app' repository "
             "and cannot be overwritten because the tag is immutable. (HTTP 400)",
        NULL);
}

static void
a_registry_that_stores_something_else_is_found_out(void **state)
{
    (void)state;
    static const char *const lie[] = {"Docker-Content-Digest: " FIXTURE_OTHER, NULL};
    const struct script_step steps[] = {
        STEPS_ALL_PRESENT,
        {.method = HTTP_PUT, .url = FIXTURE_TAG_URL, .status = 201, .reply_headers = lie},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "registry 'registry.example.org' stored manifest '" FIXTURE_MANIFEST
             "' as '" FIXTURE_OTHER "'",
        "It changes what it is given; no image can be proven to run from there.");
}

static void
a_tag_that_moved_at_once_is_a_conflict(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_ALL_PRESENT, STEP_PUT_TAG_MUTE, STEP_TAG_IS(FIXTURE_OTHER)};
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_CONFLICT,
        PUSH "tag 'v1' of 'team/app' names '" FIXTURE_OTHER "' right after '" FIXTURE_MANIFEST
             "' was pushed",
        "Somebody else pushes to the same tag, or the registry is not telling the truth.");
}

static void
a_tag_that_does_not_appear_is_no_success(void **state)
{
    (void)state;
    const struct script_step steps[] = {STEPS_ALL_PRESENT, STEP_PUT_TAG_MUTE, STEP_TAG_ABSENT};
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "registry 'registry.example.org' does not show tag 'v1' of 'team/app' after the push",
        NULL);
}

static void
a_registry_without_digest_headers_is_asked_for_the_bytes(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEPS_ALL_PRESENT,
        {.method = HTTP_PUT, .url = FIXTURE_TAG_URL, .status = 201},
        {.method = HTTP_HEAD, .url = FIXTURE_TAG_URL},
        {.method = HTTP_GET, .url = FIXTURE_TAG_URL, .reply = fixture_manifest},
    };
    RUN(fixture, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static void
bytes_that_differ_from_their_header_are_refused(void **state)
{
    (void)state;
    static const char *const lie[] = {"Docker-Content-Digest: " FIXTURE_OTHER, NULL};
    const struct script_step steps[] = {
        STEPS_ALL_PRESENT,
        STEP_PUT_TAG_MUTE,
        {.method = HTTP_HEAD, .url = FIXTURE_TAG_URL},
        {.method = HTTP_GET,
            .url = FIXTURE_TAG_URL,
            .reply = fixture_manifest,
            .reply_headers = lie},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "ask registry 'registry.example.org' for manifest 'v1': unusable answer: it calls "
             "itself '" FIXTURE_OTHER "' but its content has digest '" FIXTURE_MANIFEST "'",
        NULL);
}

static void
a_digest_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const lie[] = {"Docker-Content-Digest: sha256:abc", NULL};
    const struct script_step steps[] = {
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST,
            .reply_headers = lie},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "ask registry 'registry.example.org' for manifest '" FIXTURE_MANIFEST
             "': unusable answer: "
             "Docker-Content-Digest is 'sha256:abc'",
        NULL);
}

static void
another_manifest_than_the_one_asked_for_is_refused(void **state)
{
    (void)state;
    static const char *const lie[] = {"Docker-Content-Digest: " FIXTURE_OTHER, NULL};
    const struct script_step steps[] = {
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST,
            .reply_headers = lie},
    };
    RUN(fixture, steps);
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_UNAVAILABLE,
        PUSH "registry 'registry.example.org' answered with '" FIXTURE_OTHER
             "' when asked for '" FIXTURE_MANIFEST "'",
        NULL);
}

// One row: the answer to the PUT of the manifest, and the sentence made of it.
struct refusal {
    int status;
    const char *reply, *text, *hint;
    enum error_kind kind;
};
static const struct refusal refusals[] = {
    {403,
        "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"requested access to the resource is "
        "denied\"}]}",
        "requested access to the resource is denied (HTTP 403)",
        "The credentials must allow pull and push in this repository of 'registry.example.org'.",
        ERROR_CREDENTIALS},
    {404, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}", "NAME_UNKNOWN (HTTP 404)",
        "Create the repository first; this registry does not do it itself.", ERROR_REFUSED},
    {400, "{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"blob unknown\"}]}",
        "blob unknown (HTTP 400)", "The registry lost a part that it said it has; push again.",
        ERROR_REFUSED},
    {413, "<html>too large</html>", "it is too large for the registry (HTTP 413)",
        "A proxy in front of the registry may limit the size of a request body.", ERROR_REFUSED},
    {405, "", "the registry does not allow this (HTTP 405)", NULL, ERROR_REFUSED},
    {400, "{\"errors\":[{\"code\":5,\"message\":[1]}]}",
        "the request was refused as invalid (HTTP 400)", NULL, ERROR_REFUSED},
    {400, "{\"errors\":\"no list\"}", "the request was refused as invalid (HTTP 400)", NULL,
        ERROR_REFUSED},
    {400, "{\"errors\":[{\"code\":\"X\",\"message\":\"a\\u001b[31mred\\nline\"}]}",
        "ared line (HTTP 400)", NULL, ERROR_REFUSED},
    {418, "{\"errors\":[]}", "refused (HTTP 418)", NULL, ERROR_REFUSED},
    {302, "", "an answer that does not fit (HTTP 302)", NULL, ERROR_REFUSED},
};

static void
each_refusal_becomes_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
        const struct refusal *row = &refusals[i];
        struct script_step steps[] = {
            STEPS_ALL_PRESENT,
            {.method = HTTP_PUT,
                .url = FIXTURE_TAG_URL,
                .status = row->status,
                .reply = row->reply},
        };
        RUN(fixture, steps);
        char *text CLEANUP(xfreep) = xasprintf(PUSH "PUT manifest 'v1': %s", row->text);
        registry_fixture_expect(
            &fixture, registry_fixture_push(&fixture, NULL), row->kind, text, row->hint);
    }
}

static void
a_long_sentence_is_cut(void **state)
{
    (void)state;
    struct buf reply CLEANUP(buf_done) = BUF_INIT(100000);
    buf_puts(&reply, "{\"errors\":[{\"code\":\"X\",\"message\":\"");
    for (int i = 0; i < 50000; i++) {
        buf_putc(&reply, 'x');
    }
    buf_puts(&reply, "\"}]}");
    struct script_step steps[] = {
        STEPS_ALL_PRESENT,
        {.method = HTTP_PUT, .url = FIXTURE_TAG_URL, .status = 400, .reply = buf_cstr(&reply)},
    };
    RUN(fixture, steps);
    struct error *err = registry_fixture_push(&fixture, NULL);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_true(strlen(text) < 500);
    error_free(err);
}

static void
names_are_checked_before_anything_is_sent(void **state)
{
    (void)state;
    static const char *const repositories[] = {"", "Team/app", "team//app", "/app", "app/", "a..b",
        "../x", "a b", "a?x=1", "a/../b", "-a", "a-", "a___b", "a%2fb"};
    struct registry_fixture fixture CLEANUP(registry_fixture_done);
    registry_fixture_init(&fixture, NULL, 0);
    registry_fixture_open(&fixture, false);
    struct registry_push_result result;
    for (size_t i = 0; i < ARRAY_LENGTH(repositories); i++) {
        struct registry_push push = {
            .repository = repositories[i], .tag = "v1", .image = fixture.image};
        char *text CLEANUP(xfreep) =
            xasprintf("repository '%s' is not a valid name", repositories[i]);
        registry_fixture_expect(&fixture,
            registry_push_image(registry_fixture_client(&fixture), &push, fixture.arena, &result),
            ERROR_INPUT, text,
            "Use lower-case letters and digits, with '.', '_', '-' or '/' between them.");
    }
    struct registry_push push = {.repository = "app", .tag = "v1/../x", .image = fixture.image};
    registry_fixture_expect(&fixture,
        registry_push_image(registry_fixture_client(&fixture), &push, fixture.arena, &result),
        ERROR_INPUT, "tag 'v1/../x' is not valid",
        "Use letters, digits, '_', '.' and '-', 128 at most, not starting with '.' or '-'.");
}

static void
a_digest_can_be_asked_for(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        STEP_TAG_IS(FIXTURE_OTHER),
        STEP_TAG_ABSENT,
        {.method = HTTP_HEAD, .url = FIXTURE_TAG_URL, .status = 403},
        {.method = HTTP_GET,
            .url = FIXTURE_TAG_URL,
            .status = 403,
            .reply = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no pull\"}]}"},
    };
    RUN(fixture, steps);
    struct registry_client *client = registry_fixture_client(&fixture);
    const char *digest = "untouched";
    assert_null(registry_manifest_digest(client, "team/app", "v1", fixture.arena, &digest));
    assert_string_equal(digest, FIXTURE_OTHER);
    assert_null(registry_manifest_digest(client, "team/app", "v1", fixture.arena, &digest));
    assert_null(digest);
    registry_fixture_expect(&fixture,
        registry_manifest_digest(client, "team/app", "v1", fixture.arena, &digest),
        ERROR_CREDENTIALS, "manifest 'v1': no pull (HTTP 403)",
        "The credentials must allow pull and push in this repository of 'registry.example.org'.");
    registry_fixture_expect(&fixture,
        registry_manifest_digest(client, "team/app", "../x", fixture.arena, &digest), ERROR_INPUT,
        "'../x' is neither a tag nor a digest", NULL);
}

static void
hosts_are_checked(void **state)
{
    (void)state;
    static const char *const hosts[] = {"", "https://h.example.org", "h.example.org/x",
        "user@h.example.org", "h.example.org?x", "h.example.org#x", "h\n"};
    struct registry_fixture fixture CLEANUP(registry_fixture_done);
    registry_fixture_init(&fixture, NULL, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        struct registry_options options = {.host = hosts[i]};
        struct registry_client *client = NULL;
        struct error *err =
            registry_client_new(&fixture.fake->platform, fixture.http, &options, &client);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_INPUT);
        assert_null(client);
        error_free(err);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_sent_in_order),
        cmocka_unit_test(an_image_that_is_there_costs_two_requests),
        cmocka_unit_test(an_image_that_is_there_needs_its_tag_all_the_same),
        cmocka_unit_test(layers_that_are_there_are_not_sent),
        cmocka_unit_test(a_role_that_may_not_read_pushes_all_the_same),
        cmocka_unit_test(an_unreadable_tag_needs_an_answer_that_names_the_digest),
        cmocka_unit_test(children_go_by_digest_before_the_tag),
        cmocka_unit_test(children_that_ecr_has_are_not_put),
        cmocka_unit_test(a_child_that_is_refused_ends_the_push),
        cmocka_unit_test(an_immutable_tag_with_our_digest_is_success),
        cmocka_unit_test(an_immutable_tag_with_another_digest_is_a_conflict),
        cmocka_unit_test(an_immutable_tag_that_nobody_finds_is_told_as_it_is),
        cmocka_unit_test(a_registry_that_stores_something_else_is_found_out),
        cmocka_unit_test(a_tag_that_moved_at_once_is_a_conflict),
        cmocka_unit_test(a_tag_that_does_not_appear_is_no_success),
        cmocka_unit_test(a_registry_without_digest_headers_is_asked_for_the_bytes),
        cmocka_unit_test(bytes_that_differ_from_their_header_are_refused),
        cmocka_unit_test(a_digest_that_is_none_is_refused),
        cmocka_unit_test(another_manifest_than_the_one_asked_for_is_refused),
        cmocka_unit_test(each_refusal_becomes_a_sentence),
        cmocka_unit_test(a_long_sentence_is_cut),
        cmocka_unit_test(names_are_checked_before_anything_is_sent),
        cmocka_unit_test(a_digest_can_be_asked_for),
        cmocka_unit_test(hosts_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
