// Layers that an earlier image of the repository has compressed already: where it is looked for,
// what of it is believed, how many requests it costs, and what happens when it has gone.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "composed_fixture.h"
#include "dispatcher/memory.h"
#include "image_internal.h"

#define PUSH "push 'registry.example.org/team/app:v1': "

static const size_t small[] = {3000, 2000};

// The image and a script to push it with.
#define COMPOSED(composed)                                                                         \
    struct composed composed CLEANUP(composed_done);                                               \
    composed_init(&composed, small, ARRAY_LENGTH(small))
#define RUN(fixture, composed, steps)                                                              \
    struct registry_fixture fixture CLEANUP(registry_fixture_done);                                \
    registry_fixture_init(&fixture, steps, ARRAY_LENGTH(steps));                                   \
    registry_fixture_open_source(&fixture, (composed)->source)

// Without anything to go by: the base layer is asked for, and with it not there nothing else is.
#define SENT_WHOLE(composed)                                                                       \
    composed_head(composed, (composed)->layers[0].digest, 404), composed_session(composed, "1"),   \
        composed_put(composed, "1", (composed)->layers[0].digest, 201),                            \
        composed_session(composed, "2"),                                                           \
        composed_put(composed, "2", (composed)->layers[1].digest, 201),                            \
        COMPOSED_CONFIG_SENT(composed), composed_tag(composed, (composed)->manifest.bytes.ptr)

static const char *previous_old[] = {"old"}; // struct str_list is of items that may be replaced

static struct image_descriptor
descriptor_of(const struct composed *composed, const char *media_type, const char *bytes)
{
    return (struct image_descriptor){
        media_type, composed_digest(composed, str_of(bytes)), (int64_t)strlen(bytes), NULL};
}

// The same configuration in a manifest that somebody else made, with layers of another compressor.
static const char *
their_manifest(const struct composed *composed)
{
    const struct image_descriptor layers[] = {
        descriptor_of(composed, MEDIA_OCI_LAYER_GZIP, "their first layer"),
        descriptor_of(composed, MEDIA_OCI_LAYER_ZSTD, "their second layer"),
    };
    struct image_descriptor config = composed->config;
    config.media_type = MEDIA_OCI_CONFIG;
    return composed_manifest(composed, MEDIA_OCI_MANIFEST, &config, layers, 2);
}

static void
nothing_to_go_by_sends_all(void **state)
{
    (void)state;
    COMPOSED(composed);
    const struct script_step steps[] = {composed_tags(404, NULL), SENT_WHOLE(&composed)};
    RUN(fixture, &composed, steps);
    struct registry_push_result result = {0};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
    composed_assert_bodies(&fixture);
    assert_string_equal(result.digest, composed.manifest.descriptor.digest);
    assert_false(result.already_there);
    assert_int_equal(result.blobs_sent, 3);
    assert_int_equal(result.requests, 9);
}

static void
the_same_image_under_a_name_costs_two_requests(void **state)
{
    (void)state;
    COMPOSED(composed);
    const char *theirs = their_manifest(&composed);
    const struct script_step steps[] = {
        composed_get(&composed, "old", MEDIA_OCI_MANIFEST, theirs),
        composed_tag(&composed, theirs), // their bytes, exactly
    };
    RUN(fixture, &composed, steps);
    fixture.push.previous = (struct str_list){previous_old, 1};
    struct registry_push_result result = {0};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
    assert_true(result.already_there);
    assert_string_equal(result.digest, composed_digest(&composed, str_of(theirs)));
    assert_int_equal(result.requests, 2);
    assert_int_equal(result.bytes_sent, 0);
    assert_string_equal(
        http_headers_get(&script_transport_request(fixture.script, 1)->headers, "Content-Type"),
        MEDIA_OCI_MANIFEST);
}

static void
the_same_image_in_the_list_costs_three_requests(void **state)
{
    (void)state;
    COMPOSED(composed);
    const char *theirs = their_manifest(&composed);
    const struct script_step steps[] = {
        composed_tags(200, "{\"name\":\"team/app\",\"tags\":[\"old\"]}"),
        composed_get(&composed, "old", MEDIA_OCI_MANIFEST, theirs),
        composed_tag(&composed, theirs),
    };
    RUN(fixture, &composed, steps);
    struct registry_push_result result = {0};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
    assert_true(result.already_there);
    assert_int_equal(result.requests, 3);
    assert_string_equal(fixture.progress, "m");
}

static void
the_same_image_under_the_same_tag_is_not_put(void **state)
{
    (void)state;
    COMPOSED(composed);
    const char *theirs = their_manifest(&composed);
    const struct script_step steps[] = {
        composed_tags(200, "{\"tags\":[\"v2\",\"v1\"]}"),
        composed_get(&composed, "v1", MEDIA_OCI_MANIFEST, theirs),
    };
    RUN(fixture, &composed, steps);
    struct registry_push_result result = {0};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
    assert_true(result.already_there);
    assert_int_equal(result.requests, 2);
    assert_string_equal(result.digest, composed_digest(&composed, str_of(theirs)));
    assert_string_equal(fixture.progress, "");
}

static void
earlier_images_are_tried_in_their_order(void **state)
{
    (void)state;
    COMPOSED(composed);
    const char *theirs = their_manifest(&composed);
    const char *names[] = {"gone", FIXTURE_OTHER, "old", "never"};
    const struct script_step steps[] = {
        composed_get(&composed, "gone", NULL, NULL),
        composed_get(&composed, FIXTURE_OTHER, MEDIA_OCI_MANIFEST, theirs), // another digest
        composed_get(&composed, "old", MEDIA_OCI_MANIFEST, theirs),
        composed_tag(&composed, theirs),
    };
    RUN(fixture, &composed, steps);
    fixture.push.previous = (struct str_list){names, ARRAY_LENGTH(names)};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static const char *
index_of(const struct composed *composed, const char *const *platforms, const char *child)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(65536);
    buf_puts(&text, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":[");
    for (size_t i = 0; platforms[i] != NULL; i++) {
        const char *digest = composed_digest(composed, str_of(platforms[i]));
        bool ours = strcmp(platforms[i], "amd64") == 0;
        buf_printf(&text,
            "%s{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,"
            "\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}",
            i > 0 ? "," : "", ours ? composed_digest(composed, str_of(child)) : digest,
            ours ? strlen(child) : 100, platforms[i]);
    }
    buf_puts(&text, "]}");
    return arena_str(composed->arena, buf_str(&text));
}

// The tag names an index: its child is our image, but the tag does not name it.
static void
of_an_index_our_platform_is_taken(void **state)
{
    (void)state;
    COMPOSED(composed);
    const char *theirs = their_manifest(&composed);
    const char *const platforms[] = {"arm64", "amd64", "s390x", NULL};
    const struct script_step steps[] = {
        composed_tags(200, "{\"tags\":[\"v1\"]}"),
        composed_get(&composed, "v1", MEDIA_OCI_INDEX, index_of(&composed, platforms, theirs)),
        composed_get(
            &composed, composed_digest(&composed, str_of(theirs)), MEDIA_OCI_MANIFEST, theirs),
        composed_tag(&composed, theirs),
    };
    RUN(fixture, &composed, steps);
    struct registry_push_result result = {0};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
    assert_true(result.already_there);
    assert_string_equal(result.digest, composed_digest(&composed, str_of(theirs)));
}

static void
an_index_without_our_platform_lends_nothing(void **state)
{
    (void)state;
    COMPOSED(composed);
    const char *const platforms[] = {"arm64", "s390x", NULL};
    const struct script_step steps[] = {
        composed_tags(200, "{\"tags\":[\"v1\"]}"),
        composed_get(&composed, "v1", MEDIA_OCI_INDEX, index_of(&composed, platforms, "")),
        SENT_WHOLE(&composed),
    };
    RUN(fixture, &composed, steps);
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

// Another image that has our first layer, compressed by somebody else, and a second one of its own.
struct earlier {
    const char *config, *manifest;
    struct image_descriptor config_descriptor, layers[3];
};

static void
make_earlier(const struct composed *composed, const char *layer_type, struct earlier *out)
{
    const char *const diff_ids[] = {composed->diff_ids[0], FIXTURE_OTHER};
    out->config = composed_config(composed, diff_ids, 2);
    out->config_descriptor = descriptor_of(composed, MEDIA_OCI_CONFIG, out->config);
    out->layers[0] = descriptor_of(composed, layer_type, "their first layer");
    out->layers[1] = descriptor_of(composed, MEDIA_OCI_LAYER_GZIP, "another second layer");
    out->manifest =
        composed_manifest(composed, MEDIA_OCI_MANIFEST, &out->config_descriptor, out->layers, 2);
}

// The manifest that is pushed then: their first layer, our second.
static const char *
mixed_manifest(const struct composed *composed, const struct earlier *earlier, bool oci)
{
    struct image_descriptor config = composed->config;
    struct image_descriptor layers[] = {earlier->layers[0], composed->layers[1]};
    if (!oci) {
        layers[0].media_type = layers[1].media_type = MEDIA_DOCKER_LAYER_GZIP;
    } else {
        config.media_type = MEDIA_OCI_CONFIG;
    }
    struct buf text CLEANUP(buf_done) = BUF_INIT(65536);
    const char *const types[] = {config.media_type, layers[0].media_type, layers[1].media_type};
    const struct image_descriptor *parts[] = {&config, &layers[0], &layers[1]};
    buf_printf(&text, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":",
        oci ? MEDIA_OCI_MANIFEST : MEDIA_DOCKER_MANIFEST);
    for (size_t i = 0; i < 3; i++) {
        buf_printf(&text, "%s{\"mediaType\":\"%s\",\"size\":%lld,\"digest\":\"%s\"}",
            i == 0   ? ""
            : i == 1 ? ",\"layers\":["
                     : ",",
            types[i], (long long)parts[i]->size, parts[i]->digest);
    }
    buf_puts(&text, "]}");
    return arena_str(composed->arena, buf_str(&text));
}

#define SENT_SECOND(composed)                                                                      \
    composed_session(composed, "2"),                                                               \
        composed_put(composed, "2", (composed)->layers[1].digest, 201),                            \
        COMPOSED_CONFIG_SENT(composed)

// What is new is sent without a question: it was never there.
static void
a_layer_of_an_earlier_image_is_not_sent(void **state)
{
    (void)state;
    static const char *const types[] = {
        MEDIA_OCI_LAYER_GZIP, MEDIA_DOCKER_LAYER_GZIP, MEDIA_OCI_LAYER_ZSTD};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        COMPOSED(composed);
        struct earlier earlier;
        make_earlier(&composed, types[i], &earlier);
        const char *mixed =
            mixed_manifest(&composed, &earlier, strcmp(types[i], MEDIA_OCI_LAYER_ZSTD) == 0);
        if (strcmp(types[i], MEDIA_OCI_LAYER_ZSTD) == 0) {
            composed.layers[1].media_type = MEDIA_OCI_LAYER_GZIP;
            mixed = mixed_manifest(&composed, &earlier, true);
        }
        const struct script_step steps[] = {
            composed_get(&composed, "old", MEDIA_OCI_MANIFEST, earlier.manifest),
            composed_get_blob(&composed, earlier.config_descriptor.digest, earlier.config),
            SENT_SECOND(&composed),
            composed_tag(&composed, mixed),
        };
        RUN(fixture, &composed, steps);
        fixture.push.previous = (struct str_list){previous_old, 1};
        struct registry_push_result result = {0};
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
        composed_assert_bodies(&fixture);
        assert_false(result.already_there);
        assert_int_equal(result.requests, 7);
        assert_int_equal(result.blobs_present, 1);
        assert_int_equal(result.blobs_sent, 2);
        assert_string_equal(fixture.progress, "rsSsSm");
    }
}

static void
a_layer_that_is_no_compressed_tar_is_not_reused(void **state)
{
    (void)state;
    static const char *const types[] = {"application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "text/plain",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        COMPOSED(composed);
        struct earlier earlier;
        make_earlier(&composed, types[i], &earlier);
        const struct script_step steps[] = {
            composed_get(&composed, "old", MEDIA_OCI_MANIFEST, earlier.manifest),
            composed_get_blob(&composed, earlier.config_descriptor.digest, earlier.config),
            composed_session(&composed, "1"),
            composed_put(&composed, "1", composed.layers[0].digest, 201),
            SENT_SECOND(&composed),
            composed_tag(&composed, composed.manifest.bytes.ptr),
        };
        RUN(fixture, &composed, steps);
        fixture.push.previous = (struct str_list){previous_old, 1};
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
        composed_assert_bodies(&fixture);
    }
}

static void
an_earlier_image_that_contradicts_itself_lends_nothing(void **state)
{
    (void)state;
    for (unsigned row = 0; row < 5; row++) {
        COMPOSED(composed);
        struct earlier earlier;
        make_earlier(&composed, MEDIA_OCI_LAYER_GZIP, &earlier);
        const char *manifest = earlier.manifest;
        struct script_step blob =
            composed_get_blob(&composed, earlier.config_descriptor.digest, earlier.config);
        if (row == 0) { // one layer more than diff_ids
            earlier.layers[2] = earlier.layers[1];
            manifest = composed_manifest(
                &composed, MEDIA_OCI_MANIFEST, &earlier.config_descriptor, earlier.layers, 3);
        } else if (row == 1) { // other bytes than the digest says
            blob.reply = "{\"rootfs\":{\"diff_ids\":[]}}";
        } else if (row == 2) {
            blob.status = 404;
        } else if (row == 3) {
            blob.failure = "connection reset";
        } else { // not JSON, under its right digest
            blob.reply = "<html>";
            earlier.config_descriptor = descriptor_of(&composed, MEDIA_OCI_CONFIG, blob.reply);
            blob = composed_get_blob(&composed, earlier.config_descriptor.digest, "<html>");
            manifest = composed_manifest(
                &composed, MEDIA_OCI_MANIFEST, &earlier.config_descriptor, earlier.layers, 2);
        }
        const struct script_step steps[] = {
            composed_get(&composed, "old", MEDIA_OCI_MANIFEST, manifest),
            blob,
            SENT_WHOLE(&composed),
        };
        RUN(fixture, &composed, steps);
        fixture.push.previous = (struct str_list){previous_old, 1};
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
        assert_int_equal(fixture.fake->sleep_count, 0); // one attempt
    }
}

// What comes under the name of a manifest and is none.
static void
what_is_no_manifest_lends_nothing(void **state)
{
    (void)state;
    static const char schema1[] = "{\"schemaVersion\":1,\"fsLayers\":[],\"history\":[]}";
    static const struct {
        const char *type, *bytes;
    } rows[] = {
        {"application/vnd.docker.distribution.manifest.v1+prettyjws", schema1},
        {MEDIA_OCI_MANIFEST, schema1},
        {MEDIA_OCI_MANIFEST, "<html>"},
        {MEDIA_OCI_MANIFEST, ""},
        {MEDIA_OCI_MANIFEST, "{\"schemaVersion\":2,\"layers\":[{\"digest\":\"sha256:../../x\"}]}"},
        {"text/html", "{}"},
        {MEDIA_OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[{}]}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        COMPOSED(composed);
        const struct script_step steps[] = {
            composed_get(&composed, "old", rows[i].type, rows[i].bytes),
            composed_tags(200, "{\"tags\":null}"),
            SENT_WHOLE(&composed),
        };
        RUN(fixture, &composed, steps);
        fixture.push.previous = (struct str_list){previous_old, 1};
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    }
}

static void
a_list_that_is_refused_or_none_is_done_without(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply;
        bool asks_tag; // the one that is pushed
    } rows[] = {
        {403, "", true},
        {405, "", true},
        {404, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}", false},
        {500, "", false},
        {429, "", false},
        {200, "<html>", false},
        {200, "[]", false},
        {200, "{\"tags\":{}}", false},
        {200, "{\"tags\":[]}", false},
        {200, "{\"tags\":[5,null,\"-bad\",\"../v1\",\"\"]}", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        COMPOSED(composed);
        const struct script_step with[] = {
            composed_tags(rows[i].status, rows[i].reply),
            composed_get(&composed, "v1", NULL, NULL),
            SENT_WHOLE(&composed),
        };
        const struct script_step without[] = {
            composed_tags(rows[i].status, rows[i].reply), SENT_WHOLE(&composed)};
        struct registry_fixture fixture CLEANUP(registry_fixture_done);
        registry_fixture_init(&fixture, rows[i].asks_tag ? with : without,
            rows[i].asks_tag ? ARRAY_LENGTH(with) : ARRAY_LENGTH(without));
        registry_fixture_open_source(&fixture, composed.source);
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
        assert_int_equal(fixture.fake->sleep_count, 0); // one attempt
    }
}

static const struct {
    const char *tags, *chosen;
} choices[] = {
    {"\"a\"", "a"},
    {"\"v9\",\"v10\"", "v10"},
    {"\"v10\",\"v9\"", "v10"},
    {"\"1.9.3\",\"1.10.0\",\"1.2.30\"", "1.10.0"},
    {"\"v2.2\",\"v2.2.3\",\"v2\"", "v2.2.3"},
    {"\"2026-09-30\",\"2026-11-01\"", "2026-11-01"},
    {"\"latest\",\"v99\"", "latest"},
    {"\"v99\",\"latest\"", "latest"},
    {"\"zzz\",\"latest\",\"v1\"", "v1"}, // the tag that is pushed
    {"\"v1\",\"latest\"", "v1"},
    {"5,\"a\",null", "a"},
};

static void
of_many_tags_the_likeliest_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(choices); i++) {
        COMPOSED(composed);
        const char *list = arena_printf(composed.arena, "{\"tags\":[%s]}", choices[i].tags);
        const struct script_step steps[] = {
            composed_tags(200, list),
            composed_get(&composed, choices[i].chosen, NULL, NULL),
            SENT_WHOLE(&composed),
        };
        RUN(fixture, &composed, steps);
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    }
}

#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

// The configuration lies in a storage of its own: nothing of ours goes there.
static void
a_configuration_elsewhere_is_fetched_without_credentials(void **state)
{
    (void)state;
    COMPOSED(composed);
    struct earlier earlier;
    make_earlier(&composed, MEDIA_OCI_LAYER_GZIP, &earlier);
    struct script_step moved = composed_get_blob(&composed, earlier.config_descriptor.digest, NULL);
    moved.status = 307;
    moved.headers = LIST("Authorization: Basic *");
    moved.reply_headers = LIST("Location: https://storage.example.com/x?signature=s");
    const struct script_step steps[] = {
        composed_get(&composed, "old", MEDIA_OCI_MANIFEST, earlier.manifest),
        moved,
        {.method = HTTP_GET,
            .url = "https://storage.example.com/x?signature=s",
            .headers = LIST("!Authorization", "!Cookie"),
            .reply = earlier.config},
        SENT_SECOND(&composed),
        composed_tag(&composed, mixed_manifest(&composed, &earlier, false)),
    };
    RUN(fixture, &composed, steps);
    struct secret *password CLEANUP(secret_freep) = secret_new(STR("canary-password"));
    fixture.options.user = "robot";
    fixture.options.password = password;
    fixture.options.is_ecr = true;
    fixture.push.previous = (struct str_list){previous_old, 1};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
}

static void
a_way_that_leads_astray_or_in_circles_is_left(void **state)
{
    (void)state;
    static const struct {
        const char *location;
        unsigned times;
    } rows[] = {
        {"http://storage.example.com/x", 1}, {"https://robot:x@storage.example.com/x", 1},
        {"file:///etc/passwd", 1}, {NULL, 1}, {"?again", 4}, // to itself
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        COMPOSED(composed);
        struct earlier earlier;
        make_earlier(&composed, MEDIA_OCI_LAYER_GZIP, &earlier);
        const char *header = arena_printf(
            composed.arena, "Location: %s", rows[i].location != NULL ? rows[i].location : "");
        struct script_step moved = composed_get_blob(&composed, "", NULL);
        moved.url = NULL;
        moved.url_pattern = arena_printf(
            composed.arena, FIXTURE_BASE "/blobs/%s*", earlier.config_descriptor.digest);
        moved.status = 302;
        moved.times = rows[i].times;
        const char *const headers[] = {header, NULL};
        moved.reply_headers = rows[i].location != NULL ? headers : NULL;
        const struct script_step steps[] = {
            composed_get(&composed, "old", MEDIA_OCI_MANIFEST, earlier.manifest),
            moved,
            SENT_WHOLE(&composed),
        };
        RUN(fixture, &composed, steps);
        fixture.push.previous = (struct str_list){previous_old, 1};
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, NULL));
    }
}

#define STEP_TAG_LACKS_A_BLOB                                                                      \
    {                                                                                              \
        .method = HTTP_PUT, .url = FIXTURE_TAG_URL, .status = 404,                                 \
        .reply =                                                                                   \
            "{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"blob unknown\"}]}"     \
    }

// The registry has collected the layer between the earlier image and ours.
static void
a_layer_that_is_gone_is_sent_after_all(void **state)
{
    (void)state;
    COMPOSED(composed);
    struct earlier earlier;
    make_earlier(&composed, MEDIA_OCI_LAYER_GZIP, &earlier);
    const struct script_step steps[] = {
        composed_get(&composed, "old", MEDIA_OCI_MANIFEST, earlier.manifest),
        composed_get_blob(&composed, earlier.config_descriptor.digest, earlier.config),
        SENT_SECOND(&composed),
        STEP_TAG_LACKS_A_BLOB,
        composed_head(&composed, composed.layers[0].digest, 404),
        composed_session(&composed, "1"),
        composed_put(&composed, "1", composed.layers[0].digest, 201),
        composed_session(&composed, "2"),
        composed_put(&composed, "2", composed.layers[1].digest, 201),
        COMPOSED_CONFIG_SENT(&composed),
        composed_tag(&composed, composed.manifest.bytes.ptr),
    };
    RUN(fixture, &composed, steps);
    fixture.push.previous = (struct str_list){previous_old, 1};
    struct registry_push_result result = {0};
    registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
    composed_assert_bodies(&fixture);
    assert_string_equal(result.digest, composed.manifest.descriptor.digest);
    assert_int_equal(result.blobs_sent, 3);
    assert_int_equal(result.blobs_present, 0);
    assert_false(result.already_there);
}

static void
an_adopted_image_that_is_gone_is_sent_after_all(void **state)
{
    (void)state;
    for (int gzip = 0; gzip <= 1; gzip++) {
        struct composed composed CLEANUP(composed_done);
        (gzip == 1 ? composed_init_gzip : composed_init)(&composed, small, ARRAY_LENGTH(small));
        const char *theirs = their_manifest(&composed);
        const struct script_step steps[] = {
            composed_get(&composed, "old", MEDIA_OCI_MANIFEST, theirs),
            STEP_TAG_LACKS_A_BLOB,
            SENT_WHOLE(&composed),
        };
        RUN(fixture, &composed, steps);
        fixture.push.previous = (struct str_list){previous_old, 1};
        struct registry_push_result result = {0};
        registry_fixture_expect_success(&fixture, registry_fixture_push(&fixture, &result));
        assert_string_equal(result.digest, composed.manifest.descriptor.digest);
        assert_false(result.already_there);
        assert_int_equal(result.blobs_sent, 3);
    }
}

// What we sent ourselves is not there either: that is the registry's to explain.
static void
a_blob_that_is_gone_twice_is_an_error(void **state)
{
    (void)state;
    COMPOSED(composed);
    const char *theirs = their_manifest(&composed);
    const struct script_step whole[] = {SENT_WHOLE(&composed)};
    struct script_step steps[2 + ARRAY_LENGTH(whole)] = {
        composed_get(&composed, "old", MEDIA_OCI_MANIFEST, theirs),
        STEP_TAG_LACKS_A_BLOB,
    };
    memcpy(steps + 2, whole, sizeof(whole));
    steps[ARRAY_LENGTH(steps) - 1] = steps[1];
    RUN(fixture, &composed, steps);
    fixture.push.previous = (struct str_list){previous_old, 1};
    registry_fixture_expect(&fixture, registry_fixture_push(&fixture, NULL), ERROR_REFUSED,
        PUSH "PUT manifest 'v1': blob unknown (HTTP 404)",
        "The registry lost a part that it said it has; push again.");
}

static void
an_interruption_is_no_reason_to_go_on(void **state)
{
    (void)state;
    COMPOSED(composed);
    struct script_step list = composed_tags(200, "{\"tags\":[\"old\"]}");
    list.takes_ms = 2000;
    const struct script_step steps[] = {list};
    RUN(fixture, &composed, steps);
    fixture.fake->cancel_at_ms = fixture.fake->mono_ms + 1000;
    struct error *err CLEANUP(error_freep) = registry_fixture_push(&fixture, NULL);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    script_transport_finish(fixture.script);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_go_by_sends_all),
        cmocka_unit_test(the_same_image_under_a_name_costs_two_requests),
        cmocka_unit_test(the_same_image_in_the_list_costs_three_requests),
        cmocka_unit_test(the_same_image_under_the_same_tag_is_not_put),
        cmocka_unit_test(earlier_images_are_tried_in_their_order),
        cmocka_unit_test(of_an_index_our_platform_is_taken),
        cmocka_unit_test(an_index_without_our_platform_lends_nothing),
        cmocka_unit_test(a_layer_of_an_earlier_image_is_not_sent),
        cmocka_unit_test(a_layer_that_is_no_compressed_tar_is_not_reused),
        cmocka_unit_test(an_earlier_image_that_contradicts_itself_lends_nothing),
        cmocka_unit_test(what_is_no_manifest_lends_nothing),
        cmocka_unit_test(a_list_that_is_refused_or_none_is_done_without),
        cmocka_unit_test(of_many_tags_the_likeliest_is_read),
        cmocka_unit_test(a_configuration_elsewhere_is_fetched_without_credentials),
        cmocka_unit_test(a_way_that_leads_astray_or_in_circles_is_left),
        cmocka_unit_test(a_layer_that_is_gone_is_sent_after_all),
        cmocka_unit_test(an_adopted_image_that_is_gone_is_sent_after_all),
        cmocka_unit_test(a_blob_that_is_gone_twice_is_an_error),
        cmocka_unit_test(an_interruption_is_no_reason_to_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
