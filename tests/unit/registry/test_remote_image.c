// docker:// as a source, opened and copied against scripted registries: what is asked of whom, what
// is refused, and which failures of the source are worth another try. The image is the one of
// registry_fixture.h; the source is another host than the target, unless a test says otherwise.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "image_internal.h"
#include "registry_fixture.h"

#define SOURCE "https://source.example.org:5000/v2/base/app"
#define NAME "docker://source.example.org:5000/base/app"
#define ROOT_URL SOURCE "/manifests/1.0"
#define LAYER_URL SOURCE "/blobs/" FIXTURE_LAYER
#define SESSION "https://registry.example.org/v2/team/app/blobs/uploads/1"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define COPY "push 'registry.example.org/team/app:v1': "
#define GIVEN_UP "PUT blob '" FIXTURE_LAYER "': "

static const char *const manifest_headers[] = {"Content-Type: " MANIFEST_TYPE, NULL};
static const char *const index_headers[] = {
    "Content-Type: " INDEX_TYPE "; charset=utf-8", "Docker-Content-Digest: " FIXTURE_INDEX, NULL};
static const char *const no_login[] = {"!Authorization", NULL};
static const char *const with_login[] = {"Authorization: Basic QVdTOmNhbmFyeS13b3Jk", NULL};

// What reading the manifest asks, and what comes back.
#define GET_ROOT                                                                                   \
    {                                                                                              \
        .method = HTTP_GET, .url = ROOT_URL, .reply_headers = manifest_headers,                    \
        .reply = fixture_manifest                                                                  \
    }
#define GET_CONFIG                                                                                 \
    {                                                                                              \
        .method = HTTP_GET, .url = SOURCE "/blobs/" FIXTURE_CONFIG, .reply = "{}"                  \
    }
#define GET_LAYER                                                                                  \
    {                                                                                              \
        .method = HTTP_GET, .url = LAYER_URL, .reply = "hello"                                     \
    }
#define PUT_LAYER STEP_PUT_LAYER(SESSION "?" FIXTURE_LAYER_QUERY)
#define SEND_CONFIG                                                                                \
    STEP_SESSION(SESSION),                                                                         \
    {                                                                                              \
        .method = HTTP_PUT, .url = SESSION "?" FIXTURE_CONFIG_QUERY, .body = "{}", .status = 201   \
    }
#define BASE_ABSENT                                                                                \
    {                                                                                              \
        .method = HTTP_HEAD, .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER, .status = 404           \
    }
// Up to the moment when the layer's bytes are needed.
#define UP_TO_LAYER GET_ROOT, STEP_MANIFEST_ABSENT, GET_CONFIG, BASE_ABSENT, STEP_SESSION(SESSION)
// A failed body: is it there after all? Then a session of its own.
#define ANOTHER_SESSION STEP_LAYER_ABSENT, STEP_SESSION(SESSION)

struct login {
    const char *user, *word, *host; // user NULL: none; host: that was asked for
};

static struct error *
log_in(void *ctx, const char *host, char **user, struct secret **password)
{
    struct login *login = ctx;
    assert_string_equal(host, login->host);
    if (login->user != NULL) {
        *user = xstrdup(login->user);
        *password = secret_new(str_of(login->word));
    }
    return NULL;
}

struct story {
    struct registry_fixture fixture;
    struct login login;
    struct image_access access;
};

static void
story_done(struct story *story)
{
    registry_fixture_done(&story->fixture);
}

static void
story_init(struct story *story, const struct script_step *steps, size_t count)
{
    registry_fixture_init(&story->fixture, steps, count);
    story->login = (struct login){.host = "source.example.org:5000"};
    story->access = (struct image_access){
        &story->fixture.fake->platform, story->fixture.http, log_in, &story->login};
}

static struct error *
open_source(struct story *story, const char *text)
{
    struct image_source *source = NULL;
    assert_null(image_source_parse(text, story->fixture.arena, &source));
    return image_open(source, &story->access, &story->fixture.image);
}

static struct error *
copy(struct story *story, struct registry_push_result *result)
{
    TRY(open_source(story, NAME ":1.0"));
    return registry_fixture_push(&story->fixture, result);
}

#define STORY(steps)                                                                               \
    struct story story CLEANUP(story_done);                                                        \
    story_init(&story, steps, ARRAY_LENGTH(steps))

// Opens NAME:1.0 with one answer, and expects it to be refused.
static void
assert_refused(
    const struct script_step *step, enum error_kind kind, const char *text, const char *hint)
{
    struct story story CLEANUP(story_done);
    story_init(&story, step, 1);
    struct error *err = open_source(&story, NAME ":1.0");
    char *whole CLEANUP(xfreep) = xasprintf("image '%s:1.0': %s", NAME, text);
    registry_fixture_expect(&story.fixture, err, kind, whole, hint);
    assert_null(story.fixture.image);
}

static void
opening_reads_the_manifest_and_nothing_else(void **state)
{
    (void)state;
    const struct script_step steps[] = {{.method = HTTP_GET,
        .url = ROOT_URL,
        .headers = no_login,
        .reply_headers = manifest_headers,
        .reply = fixture_manifest}};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, open_source(&story, NAME ":1.0"));
    const char *digest = NULL;
    assert_null(image_digest(story.fixture.image, &digest));
    assert_string_equal(digest, FIXTURE_MANIFEST);
    assert_int_equal(image_part_count(story.fixture.image), 2);
    assert_string_equal(image_part_at(story.fixture.image, 1)->descriptor.digest, FIXTURE_LAYER);
}

static void
an_index_is_read_with_its_children(void **state)
{
    (void)state;
    const struct script_step steps[] = {{.method = HTTP_GET,
                                            .url = ROOT_URL,
                                            .reply_headers = index_headers,
                                            .reply = fixture_index},
        {.method = HTTP_GET,
            .url = SOURCE "/manifests/" FIXTURE_MANIFEST,
            .reply_headers = manifest_headers,
            .reply = fixture_manifest}};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, open_source(&story, NAME ":1.0"));
    const struct image_manifest *manifests = NULL;
    size_t count = 0;
    assert_null(image_manifests(story.fixture.image, &manifests, &count));
    assert_int_equal(count, 2);
    assert_string_equal(manifests[0].descriptor.digest, FIXTURE_MANIFEST);
    assert_string_equal(manifests[1].descriptor.digest, FIXTURE_INDEX);
    assert_true(str_equal(manifests[1].bytes, str_of(fixture_index)));
}

// What was asked for at once and failed is asked for again when its turn comes.
static void
a_child_that_fails_once_is_asked_for_again(void **state)
{
    (void)state;
    const struct script_step steps[] = {{.method = HTTP_GET,
                                            .url = ROOT_URL,
                                            .reply_headers = index_headers,
                                            .reply = fixture_index},
        {.method = HTTP_GET, .url = SOURCE "/manifests/" FIXTURE_MANIFEST, .status = 503},
        {.method = HTTP_GET,
            .url = SOURCE "/manifests/" FIXTURE_MANIFEST,
            .reply_headers = manifest_headers,
            .reply = fixture_manifest}};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, open_source(&story, NAME ":1.0"));
}

static void
a_missing_child_is_named(void **state)
{
    (void)state;
    const struct script_step steps[] = {{.method = HTTP_GET,
                                            .url = ROOT_URL,
                                            .reply_headers = index_headers,
                                            .reply = fixture_index},
        {.method = HTTP_GET,
            .url = SOURCE "/manifests/" FIXTURE_MANIFEST,
            .status = 404,
            .times = 2}};
    STORY(steps);
    registry_fixture_expect(&story.fixture, open_source(&story, NAME ":1.0"), ERROR_INPUT,
        "image '" NAME ":1.0': manifest '" FIXTURE_MANIFEST
        "' is not in repository 'base/app' of registry 'source.example.org:5000'",
        "The image there is not complete; push it there again.");
}

static void
what_is_no_image_is_refused(void **state)
{
    (void)state;
    static const char *const old[] = {
        "Content-Type: application/vnd.docker.distribution.manifest.v1+prettyjws", NULL};
    static const char *const liar[] = {
        "Content-Type: " MANIFEST_TYPE, "Docker-Content-Digest: " FIXTURE_OTHER, NULL};
    assert_refused(&(struct script_step){.method = HTTP_GET, .url = ROOT_URL, .status = 404},
        ERROR_INPUT,
        "manifest '1.0' is not in repository 'base/app' of registry 'source.example.org:5000'",
        "Check the repository and the tag; a registry may also hide what it does not allow.");
    assert_refused(
        &(struct script_step){
            .method = HTTP_GET, .url = ROOT_URL, .reply_headers = liar, .reply = fixture_manifest},
        ERROR_INPUT,
        "manifest '" FIXTURE_OTHER "' is corrupt: its content has digest '" FIXTURE_MANIFEST "'",
        "Build or save the image again.");
    assert_refused(
        &(struct script_step){
            .method = HTTP_GET, .url = ROOT_URL, .reply_headers = old, .reply = "{}"},
        ERROR_INPUT,
        "'" FIXTURE_CONFIG "' has media type "
        "'application/vnd.docker.distribution.manifest.v1+prettyjws', which is no image",
        "Images are OCI manifests and indexes, or Docker manifests of schema 2 and their lists.");
    assert_refused(
        &(struct script_step){
            .method = HTTP_GET, .url = ROOT_URL, .reply_headers = manifest_headers, .reply = "{}"},
        ERROR_INPUT, "manifest '" FIXTURE_CONFIG "': 'schemaVersion' is missing", NULL);
}

static void
a_digest_wins_over_the_tag_and_binds(void **state)
{
    (void)state;
    const struct script_step steps[] = {{.method = HTTP_GET,
        .url = SOURCE "/manifests/" FIXTURE_OTHER,
        .reply_headers = manifest_headers,
        .reply = fixture_manifest}};
    STORY(steps);
    registry_fixture_expect(&story.fixture, open_source(&story, NAME ":1.0@" FIXTURE_OTHER),
        ERROR_INPUT,
        "image '" NAME ":1.0@" FIXTURE_OTHER "': manifest '" FIXTURE_OTHER
        "' is corrupt: its content has digest '" FIXTURE_MANIFEST "'",
        "Build or save the image again.");
}

static void
a_manifest_larger_than_a_registry_takes_is_refused(void **state)
{
    (void)state;
    enum { LEN = IMAGE_MANIFEST_MAX + 1 };
    char *large CLEANUP(xfreep) = xmalloc(LEN + 1);
    memset(large, ' ', LEN);
    large[LEN] = '\0';
    const struct script_step steps[] = {
        {.method = HTTP_GET, .url = ROOT_URL, .reply_headers = manifest_headers, .reply = large}};
    STORY(steps);
    struct error *err CLEANUP(error_freep) = open_source(&story, NAME ":1.0");
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_non_null(strstr(text, "' has more than 4194304 bytes"));
}

// docker.io has its API elsewhere, and its own images in "library".
static void
docker_hub_is_found_where_it_is(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        {.method = HTTP_GET,
            .url = "https://registry-1.docker.io/v2/library/alpine/manifests/latest",
            .reply_headers = manifest_headers,
            .reply = fixture_manifest},
    };
    const struct script_step team[] = {
        {.method = HTTP_GET,
            .url = "https://registry-1.docker.io/v2/team/app/manifests/1",
            .reply_headers = manifest_headers,
            .reply = fixture_manifest},
    };
    {
        STORY(steps);
        story.login.host = "registry-1.docker.io";
        registry_fixture_expect_success(
            &story.fixture, open_source(&story, "docker://docker.io/alpine"));
    }
    STORY(team);
    story.login.host = "registry-1.docker.io";
    registry_fixture_expect_success(
        &story.fixture, open_source(&story, "docker://index.docker.io/team/app:1"));
}

// Where the user is the one that ECR gives, its first refusal is not waited for.
static void
credentials_come_from_the_access(void **state)
{
    (void)state;
    const struct script_step steps[] = {{.method = HTTP_GET,
        .url = ROOT_URL,
        .headers = with_login,
        .reply_headers = manifest_headers,
        .reply = fixture_manifest}};
    STORY(steps);
    story.login.user = "AWS";
    story.login.word = "canary-word";
    registry_fixture_expect_success(&story.fixture, open_source(&story, NAME ":1.0"));
}

static void
a_token_is_asked_for_pulling(void **state)
{
    (void)state;
    static const char *const challenge[] = {
        "WWW-Authenticate: Bearer realm=\"https://auth.example.org/t\",service=\"s\"", NULL};
    static const char *const bearer[] = {"Authorization: Bearer canary-token", NULL};
    const struct script_step steps[] = {
        {.method = HTTP_GET, .url = ROOT_URL, .status = 401, .reply_headers = challenge},
        {.method = HTTP_GET,
            .url = "https://auth.example.org/t?service=s&scope=repository%3Abase%2Fapp%3Apull",
            .reply = "{\"token\":\"canary-token\"}"},
        {.method = HTTP_GET,
            .url = ROOT_URL,
            .headers = bearer,
            .reply_headers = manifest_headers,
            .reply = fixture_manifest}};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, open_source(&story, NAME ":1.0"));
}

static void
what_is_there_costs_the_manifest_and_two_requests(void **state)
{
    (void)state;
    const struct script_step steps[] = {GET_ROOT,
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST,
            .reply_headers =
                (const char *const[]){"Docker-Content-Digest: " FIXTURE_MANIFEST, NULL}},
        STEP_PUT_TAG};
    struct registry_push_result result = {0};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, copy(&story, &result));
    assert_true(result.already_there);
    assert_int_equal(result.requests, 2);
}

static void
blobs_pass_from_the_source_to_the_target(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        UP_TO_LAYER, GET_LAYER, PUT_LAYER, SEND_CONFIG, STEP_PUT_TAG};
    struct registry_push_result result = {0};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, copy(&story, &result));
    assert_string_equal(story.fixture.progress, "sSsSm");
    assert_string_equal(result.digest, FIXTURE_MANIFEST);
    assert_int_equal(result.bytes_sent, 7);
}

// Storage behind a registry signs its URLs; it gets no credentials of ours.
static void
a_redirect_is_followed_without_credentials(void **state)
{
    (void)state;
    static const char *const elsewhere[] = {"Location: https://store.example.net/b?sig=x", NULL};
    const struct script_step steps[] = {{.method = HTTP_GET,
                                            .url = ROOT_URL,
                                            .headers = with_login,
                                            .reply_headers = manifest_headers,
                                            .reply = fixture_manifest},
        STEP_MANIFEST_ABSENT,
        {.method = HTTP_GET,
            .url = SOURCE "/blobs/" FIXTURE_CONFIG,
            .headers = with_login,
            .status = 307,
            .reply_headers = elsewhere},
        {.method = HTTP_GET,
            .url = "https://store.example.net/b?sig=x",
            .headers = no_login,
            .reply = "{}"},
        BASE_ABSENT, STEP_SESSION(SESSION),
        {.method = HTTP_GET,
            .url = LAYER_URL,
            .headers = with_login,
            .status = 302,
            .reply_headers = elsewhere},
        {.method = HTTP_GET,
            .url = "https://store.example.net/b?sig=x",
            .headers = no_login,
            .reply = "hello"},
        PUT_LAYER, SEND_CONFIG, STEP_PUT_TAG};
    STORY(steps);
    story.login.user = "AWS";
    story.login.word = "canary-word";
    registry_fixture_expect_success(&story.fixture, copy(&story, NULL));
}

static void
redirects_come_to_an_end(void **state)
{
    (void)state;
    static const char *const around[] = {"Location: " LAYER_URL, NULL};
    const struct script_step steps[] = {UP_TO_LAYER,
        {.method = HTTP_GET, .url = LAYER_URL, .status = 307, .reply_headers = around, .times = 4},
        {.method = HTTP_DELETE, .url = SESSION, .status = 204}};
    STORY(steps);
    registry_fixture_expect(&story.fixture, copy(&story, NULL), ERROR_REFUSED,
        COPY GIVEN_UP
        "GET blob '" FIXTURE_LAYER
        "' of registry 'source.example.org:5000': an answer that does not fit (HTTP 307)",
        NULL);
}

static void
a_redirect_to_plain_http_is_refused(void **state)
{
    (void)state;
    static const char *const plain[] = {"Location: http://store.example.net/b", NULL};
    const struct script_step steps[] = {UP_TO_LAYER,
        {.method = HTTP_GET, .url = LAYER_URL, .status = 307, .reply_headers = plain},
        {.method = HTTP_DELETE, .url = SESSION, .status = 204}};
    STORY(steps);
    registry_fixture_expect(&story.fixture, copy(&story, NULL), ERROR_REFUSED,
        COPY GIVEN_UP "registry 'source.example.org:5000' sends the download on to "
                      "'http://store.example.net', which is not encrypted",
        "If that is the registry behind a TLS proxy, let the proxy set X-Forwarded-Proto and "
        "Host.");
}

static void
a_source_that_is_busy_is_asked_again(void **state)
{
    (void)state;
    static const char *const later[] = {"Retry-After: 7", NULL};
    const struct script_step steps[] = {UP_TO_LAYER,
        {.method = HTTP_GET, .url = LAYER_URL, .status = 429, .reply_headers = later}, SEND_CONFIG,
        ANOTHER_SESSION, GET_LAYER, PUT_LAYER, STEP_PUT_TAG};
    STORY(steps);
    int64_t start_ms = story.fixture.fake->mono_ms;
    registry_fixture_expect_success(&story.fixture, copy(&story, NULL));
    assert_true(story.fixture.fake->mono_ms - start_ms >= 7000);
    assert_string_equal(story.fixture.progress, "asSsSm");
}

#define RESET                                                                                      \
    {                                                                                              \
        .method = HTTP_GET, .url = LAYER_URL, .failure = "reset", .request_left = true             \
    }

// A body that ends early is no whole one, however it ends; the target never sees it.
static void
a_source_that_breaks_is_tried_anew(void **state)
{
    (void)state;
    const struct script_step steps[] = {UP_TO_LAYER, RESET, SEND_CONFIG, ANOTHER_SESSION,
        {.method = HTTP_GET, .url = LAYER_URL, .reply = "hell"}, ANOTHER_SESSION, GET_LAYER,
        PUT_LAYER, STEP_PUT_TAG};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, copy(&story, NULL));
    assert_string_equal(story.fixture.progress, "asSasSm");
}

static void
a_source_that_keeps_breaking_ends_the_copy(void **state)
{
    (void)state;
    const struct script_step steps[] = {UP_TO_LAYER, RESET, SEND_CONFIG, ANOTHER_SESSION, RESET,
        ANOTHER_SESSION, RESET, ANOTHER_SESSION, RESET, ANOTHER_SESSION, RESET,
        {.method = HTTP_DELETE, .url = SESSION, .status = 204}};
    STORY(steps);
    registry_fixture_expect(&story.fixture, copy(&story, NULL), ERROR_UNAVAILABLE,
        COPY "PUT blob '" FIXTURE_LAYER "': given up after 5 attempts: GET " LAYER_URL ": reset",
        NULL);
}

// A refusal of the source is final, and says whose it is.
static void
a_blob_that_the_source_lacks_ends_the_copy(void **state)
{
    (void)state;
    const struct script_step steps[] = {UP_TO_LAYER,
        {.method = HTTP_GET,
            .url = LAYER_URL,
            .status = 404,
            .reply = "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"no such blob\"}]}"},
        {.method = HTTP_DELETE, .url = SESSION, .status = 204}};
    STORY(steps);
    registry_fixture_expect(&story.fixture, copy(&story, NULL), ERROR_REFUSED,
        COPY GIVEN_UP "GET blob '" FIXTURE_LAYER
                      "' of registry 'source.example.org:5000': no such blob (HTTP 404)",
        NULL);
}

static void
a_source_that_lies_about_content_ends_the_copy(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *problem;
    } lies[] = {
        {"jello", "is corrupt: its content has digest 'sha256:187c9bceeb919e1b3e6d20fa50ecabf7"
                  "d9d50b5343e8f9a3d912abb13929102e'"},
        {"hello world", "has more bytes instead of 5"},
        {"hell", "has 4 bytes instead of 5"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(lies); i++) {
        const struct script_step steps[] = {UP_TO_LAYER,
            {.method = HTTP_GET,
                .url = LAYER_URL,
                .reply_headers = (const char *const[]){"Content-Length: 4", NULL},
                .reply = lies[i].reply},
            {.method = HTTP_DELETE, .url = SESSION, .status = 204}};
        STORY(steps);
        char *text CLEANUP(xfreep) = xasprintf(COPY GIVEN_UP
            "blob '" FIXTURE_LAYER "' of registry 'source.example.org:5000' %s",
            lies[i].problem);
        registry_fixture_expect(&story.fixture, copy(&story, NULL), ERROR_INPUT, text,
            "Push the image there again, or let the registry's owner delete that copy.");
        assert_string_equal(story.fixture.progress, "");
    }
}

// Two repositories of one registry.
#define HERE "docker://registry.example.org/base/app"
#define GET_ROOT_HERE                                                                              \
    {                                                                                              \
        .method = HTTP_GET, .url = "https://registry.example.org/v2/base/app/manifests/1.0",       \
        .reply_headers = manifest_headers, .reply = fixture_manifest                               \
    }
#define MOUNT(digest, status_)                                                                     \
    {                                                                                              \
        .method = HTTP_POST,                                                                       \
        .url = FIXTURE_BASE "/blobs/uploads/?mount=" digest "&from=base%2Fapp",                    \
        .status = (status_), .reply_headers = (const char *const[])                                \
        {                                                                                          \
            "Location: " SESSION, NULL                                                             \
        }                                                                                          \
    }
#define LAYER_DIGEST "sha256%3A2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define CONFIG_DIGEST "sha256%3A44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

static struct error *
copy_here(struct story *story, struct registry_push_result *result)
{
    story->login.host = FIXTURE_HOST;
    TRY(open_source(story, HERE ":1.0"));
    return registry_fixture_push(&story->fixture, result);
}

// Nothing is asked for first, and nothing is read but the manifest.
static void
within_a_registry_blobs_are_mounted(void **state)
{
    (void)state;
    const struct script_step steps[] = {GET_ROOT_HERE, STEP_MANIFEST_ABSENT,
        MOUNT(LAYER_DIGEST, 201), MOUNT(CONFIG_DIGEST, 201), STEP_PUT_TAG};
    struct registry_push_result result = {0};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, copy_here(&story, &result));
    assert_string_equal(story.fixture.progress, "MMm");
    assert_int_equal(result.bytes_sent, 0);
    assert_int_equal(result.blobs_present, 2);
}

// A session instead of a mount is used for the bytes.
static void
what_is_not_mounted_is_copied(void **state)
{
    (void)state;
    const struct script_step steps[] = {GET_ROOT_HERE, STEP_MANIFEST_ABSENT,
        MOUNT(LAYER_DIGEST, 202),
        {.method = HTTP_GET,
            .url = "https://registry.example.org/v2/base/app/blobs/" FIXTURE_LAYER,
            .reply = "hello"},
        PUT_LAYER, MOUNT(CONFIG_DIGEST, 201), STEP_PUT_TAG};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, copy_here(&story, NULL));
    assert_string_equal(story.fixture.progress, "sSMm");
}

// Sending a large layer costs more than the question that the mount has left open.
static void
a_large_layer_that_is_not_mounted_is_asked_for(void **state)
{
    (void)state;
    static const char manifest[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE
        "\",\"config\":{\"mediaType\":\"application/"
        "vnd.oci.empty.v1+json\",\"digest\":\"" FIXTURE_CONFIG
        "\",\"size\":2},\"layers\":[{\"mediaType\":\"text/plain\",\"digest\":\"" FIXTURE_LAYER
        "\",\"size\":2000000}]}";
    unsigned char hash[SHA256_SIZE];
    char digest[SHA256_DIGEST_TEXT_SIZE];
    sha256_of(str_of(manifest), hash);
    sha256_digest_text(hash, digest);
    char *url CLEANUP(xfreep) = xasprintf(FIXTURE_BASE "/manifests/%s", digest);
    char *said CLEANUP(xfreep) = xasprintf("Docker-Content-Digest: %s", digest);
    const struct script_step steps[] = {
        {.method = HTTP_GET,
            .url = "https://registry.example.org/v2/base/app/manifests/1.0",
            .reply_headers = manifest_headers,
            .reply = manifest},
        {.method = HTTP_HEAD, .url = url, .status = 404}, MOUNT(LAYER_DIGEST, 202),
        STEP_LAYER_PRESENT, MOUNT(CONFIG_DIGEST, 201),
        {.method = HTTP_PUT,
            .url = FIXTURE_TAG_URL,
            .body = manifest,
            .status = 201,
            .reply_headers = (const char *const[]){said, NULL}}};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, copy_here(&story, NULL));
    assert_string_equal(story.fixture.progress, "pMm");
}

// The token of a push that mounts may read the other repository too, or nothing would be mounted.
static void
a_token_for_mounting_is_for_both_repositories(void **state)
{
    (void)state;
    static const char *const challenge[] = {
        "WWW-Authenticate: Bearer realm=\"https://auth.example.org/t\"", NULL};
    const struct script_step steps[] = {GET_ROOT_HERE,
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST,
            .status = 401,
            .reply_headers = challenge},
        {.method = HTTP_GET,
            .url = "https://auth.example.org/t?scope=repository%3Ateam%2Fapp%3Apull%2Cpush"
                   "&scope=repository%3Abase%2Fapp%3Apull",
            .reply = "{\"token\":\"canary-token\",\"expires_in\":300}"},
        STEP_MANIFEST_ABSENT, MOUNT(LAYER_DIGEST, 201), MOUNT(CONFIG_DIGEST, 201), STEP_PUT_TAG};
    STORY(steps);
    registry_fixture_expect_success(&story.fixture, copy_here(&story, NULL));
}

// Another tag of the same repository: its blobs are there by definition.
static void
a_tag_of_the_same_repository_is_one_put(void **state)
{
    (void)state;
    const struct script_step steps[] = {{.method = HTTP_GET,
                                            .url = FIXTURE_BASE "/manifests/1.0",
                                            .reply_headers = manifest_headers,
                                            .reply = fixture_manifest},
        {.method = HTTP_HEAD,
            .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST,
            .reply_headers =
                (const char *const[]){"Docker-Content-Digest: " FIXTURE_MANIFEST, NULL}},
        STEP_PUT_TAG};
    STORY(steps);
    story.login.host = FIXTURE_HOST;
    assert_null(open_source(&story, "docker://registry.example.org/team/app:1.0"));
    registry_fixture_expect_success(&story.fixture, registry_fixture_push(&story.fixture, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_reads_the_manifest_and_nothing_else),
        cmocka_unit_test(an_index_is_read_with_its_children),
        cmocka_unit_test(a_child_that_fails_once_is_asked_for_again),
        cmocka_unit_test(a_missing_child_is_named),
        cmocka_unit_test(what_is_no_image_is_refused),
        cmocka_unit_test(a_digest_wins_over_the_tag_and_binds),
        cmocka_unit_test(a_manifest_larger_than_a_registry_takes_is_refused),
        cmocka_unit_test(docker_hub_is_found_where_it_is),
        cmocka_unit_test(credentials_come_from_the_access),
        cmocka_unit_test(a_token_is_asked_for_pulling),
        cmocka_unit_test(what_is_there_costs_the_manifest_and_two_requests),
        cmocka_unit_test(blobs_pass_from_the_source_to_the_target),
        cmocka_unit_test(a_redirect_is_followed_without_credentials),
        cmocka_unit_test(redirects_come_to_an_end),
        cmocka_unit_test(a_redirect_to_plain_http_is_refused),
        cmocka_unit_test(a_source_that_is_busy_is_asked_again),
        cmocka_unit_test(a_source_that_breaks_is_tried_anew),
        cmocka_unit_test(a_source_that_keeps_breaking_ends_the_copy),
        cmocka_unit_test(a_blob_that_the_source_lacks_ends_the_copy),
        cmocka_unit_test(a_source_that_lies_about_content_ends_the_copy),
        cmocka_unit_test(within_a_registry_blobs_are_mounted),
        cmocka_unit_test(what_is_not_mounted_is_copied),
        cmocka_unit_test(a_large_layer_that_is_not_mounted_is_asked_for),
        cmocka_unit_test(a_token_for_mounting_is_for_both_repositories),
        cmocka_unit_test(a_tag_of_the_same_repository_is_one_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
