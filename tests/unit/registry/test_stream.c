// Layers that are compressed while they are sent: one PATCH of unknown length and a PUT that names
// the digest, what is told to the registry only when it is true, and what is tried again.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "composed_fixture.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

#define PUSH "push 'registry.example.org/team/app:v1': "
#define BEARER                                                                                     \
    "WWW-Authenticate: Bearer "                                                                    \
    "realm=\"https://auth.example.org/token\",service=\"registry.example.org\""
#define TOKEN_URL                                                                                  \
    "https://auth.example.org/"                                                                    \
    "token?service=registry.example.org&scope=repository%3Ateam%2Fapp%3Apull%2Cpush"
#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

// More than a block, which would be compressed before anything is asked.
static const size_t large[] = {5 * 1024 * 1024 / 2};

#define COMPOSED(composed)                                                                         \
    struct composed composed CLEANUP(composed_done);                                               \
    composed_init(&composed, large, ARRAY_LENGTH(large))
#define RUN(fixture, composed, steps)                                                              \
    struct registry_fixture fixture CLEANUP(registry_fixture_done);                                \
    registry_fixture_init(&fixture, steps, ARRAY_LENGTH(steps));                                   \
    registry_fixture_open_source(&fixture, (composed)->source)
#define NO_TAGS composed_tags(404, NULL)
#define REST(composed)                                                                             \
    COMPOSED_CONFIG_SENT(composed), composed_tag(composed, (composed)->manifest.bytes.ptr)
#define LAYER(composed) (composed)->layers[0].digest

static struct error *
push(struct registry_fixture *fixture, struct registry_push_result *result)
{
    struct error *err = registry_fixture_push(fixture, result);
    if (err == NULL) {
        composed_assert_bodies(fixture);
    }
    return err;
}

// The Location of the PATCH's answer is where the session goes on; without one it stays.
static void
a_layer_is_sent_while_it_is_compressed(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *next;
    } rows[] = {{202, "2"}, {202, NULL}, {201, "2"}, {201, NULL}, {204, "2"}, {200, "2"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        COMPOSED(composed);
        const char *last = rows[i].next != NULL ? rows[i].next : "1";
        const struct script_step steps[] = {
            NO_TAGS,
            composed_session(&composed, "1"),
            composed_patch(&composed, "1", rows[i].status, rows[i].next),
            composed_commit(&composed, last, LAYER(&composed), 201),
            REST(&composed),
        };
        RUN(fixture, &composed, steps);
        struct registry_push_result result = {0};
        registry_fixture_expect_success(&fixture, push(&fixture, &result));
        assert_string_equal(result.digest, composed.manifest.descriptor.digest);
        assert_int_equal(result.bytes_sent, composed.layers[0].size + composed.config.size);
        assert_int_equal(result.blobs_sent, 2);
        assert_int_equal(result.requests, 7);
    }
}

// Every number of threads and every codec makes a whole image of it.
static void
what_was_sent_is_what_the_manifest_says(void **state)
{
    (void)state;
    static const enum image_compression codecs[] = {
        IMAGE_COMPRESSION_SMALL, IMAGE_COMPRESSION_ZSTD};
    for (size_t i = 0; i < ARRAY_LENGTH(codecs); i++) {
        COMPOSED(composed);
        const struct script_step steps[] = {
            NO_TAGS,
            composed_session(&composed, "1"),
            composed_patch(&composed, "1", 202, "2"),
            {.method = HTTP_PUT,
                .url_pattern = FIXTURE_BASE "/blobs/uploads/2?digest=sha256%3A*",
                .no_body = true,
                .status = 201},
            COMPOSED_CONFIG_SENT(&composed),
            {.method = HTTP_PUT, .url = FIXTURE_TAG_URL, .status = 201},
            {.method = HTTP_HEAD, .url = FIXTURE_TAG_URL, .status = 404},
        };
        RUN(fixture, &composed, steps);
        fixture.push.compression = codecs[i];
        fixture.push.threads = (unsigned)i + 1;
        struct error *err CLEANUP(error_freep) = registry_fixture_push(&fixture, NULL);
        assert_non_null(err); // this registry stores nothing
        composed_assert_bodies(&fixture);
        const struct script_request *patch = script_transport_request(fixture.script, 2);
        const struct script_request *put = script_transport_request(fixture.script, 6);
        const char *digest = composed_digest(&composed, buf_str(&patch->body));
        const char *size =
            arena_printf(composed.arena, "\"size\":%zu,\"digest\":\"%s\"", patch->body.len, digest);
        assert_true(str_contains(buf_str(&put->body), str_of(size)));
        bool zstd = codecs[i] == IMAGE_COMPRESSION_ZSTD;
        assert_int_equal(zstd, str_contains(buf_str(&put->body), STR(".tar+zstd\"")));
        assert_int_equal(zstd, str_contains(buf_str(&put->body), STR("oci.image.manifest")));
    }
}

// No body without a length: what it will be is found out first, then sent with it.
static void
a_registry_that_takes_no_streams_gets_lengths(void **state)
{
    (void)state;
    static const int statuses[] = {411, 405, 501, 400};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        COMPOSED(composed);
        const struct script_step steps[] = {
            NO_TAGS,
            composed_session(&composed, "1"),
            composed_patch(&composed, "1", statuses[i], NULL),
            composed_session(&composed, "2"),
            composed_put(&composed, "2", LAYER(&composed), 201),
            REST(&composed),
        };
        RUN(fixture, &composed, steps);
        struct registry_push_result result = {0};
        registry_fixture_expect_success(&fixture, push(&fixture, &result));
        assert_int_equal(result.requests, 8);
        assert_int_equal(
            script_transport_request(fixture.script, 4)->body.len, composed.layers[0].size);
    }
}

#define REFUSAL(code)                                                                              \
    "{\"errors\":[{\"code\":\"" code "\",\"message\":\"the registry's own words\"}]}"

static void
a_refused_stream_ends_the_push(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply, *text;
        enum error_kind kind;
    } rows[] = {
        {403, REFUSAL("DENIED"), "the registry's own words (HTTP 403)", ERROR_CREDENTIALS},
        {413, "", "it is too large for the registry (HTTP 413)", ERROR_REFUSED},
        {400, REFUSAL("SIZE_INVALID"), "the registry's own words (HTTP 400)", ERROR_REFUSED},
        {302, "", "an answer that does not fit (HTTP 302)", ERROR_REFUSED},
        {206, "", "an answer that does not fit (HTTP 206)", ERROR_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        COMPOSED(composed);
        struct script_step patch = composed_patch(&composed, "1", rows[i].status, NULL);
        patch.reply = rows[i].reply;
        const struct script_step steps[] = {
            NO_TAGS,
            composed_session(&composed, "1"),
            patch,
            {.method = HTTP_DELETE, .url = FIXTURE_BASE "/blobs/uploads/1", .status = 204},
        };
        RUN(fixture, &composed, steps);
        struct error *err CLEANUP(error_freep) = push(&fixture, NULL);
        assert_non_null(err);
        char *text CLEANUP(xfreep) = error_text(err);
        char *wanted CLEANUP(xfreep) =
            xasprintf(PUSH "PATCH layer '%s': %s", composed.diff_ids[0], rows[i].text);
        assert_string_equal(text, wanted);
        assert_int_equal(error_kind(err), rows[i].kind);
        script_transport_finish(fixture.script);
    }
}

// The digest is ours, so it is the bytes that did not arrive.
static void
a_refused_digest_ends_the_push(void **state)
{
    (void)state;
    COMPOSED(composed);
    struct script_step commit = composed_commit(&composed, "2", LAYER(&composed), 400);
    commit.reply = REFUSAL("DIGEST_INVALID");
    const struct script_step steps[] = {
        NO_TAGS,
        composed_session(&composed, "1"),
        composed_patch(&composed, "1", 202, "2"),
        commit,
        {.method = HTTP_DELETE, .url = FIXTURE_BASE "/blobs/uploads/2", .status = 204},
    };
    RUN(fixture, &composed, steps);
    char *text CLEANUP(xfreep) =
        xasprintf(PUSH "PUT blob '%s': the registry's own words (HTTP 400)", LAYER(&composed));
    registry_fixture_expect(&fixture, push(&fixture, NULL), ERROR_REFUSED, text, NULL);
}

static void
a_stream_stored_as_something_else_is_found_out(void **state)
{
    (void)state;
    COMPOSED(composed);
    struct script_step commit = composed_commit(&composed, "1", LAYER(&composed), 201);
    commit.reply_headers = LIST("Docker-Content-Digest: " FIXTURE_OTHER);
    const struct script_step steps[] = {
        NO_TAGS,
        composed_session(&composed, "1"),
        composed_patch(&composed, "1", 202, NULL),
        commit,
        {.method = HTTP_DELETE, .url = FIXTURE_BASE "/blobs/uploads/1", .status = 204},
    };
    RUN(fixture, &composed, steps);
    char *text CLEANUP(xfreep) =
        xasprintf(PUSH "registry 'registry.example.org' stored blob '%s' as '" FIXTURE_OTHER "'",
            LAYER(&composed));
    registry_fixture_expect(&fixture, push(&fixture, NULL), ERROR_UNAVAILABLE, text, NULL);
}

static struct script_step
lost(struct script_step step)
{
    step.failure = "connection reset";
    step.request_left = true;
    return step;
}

// A session is never gone on with: the next try has one of its own and starts at the first byte.
static void
a_lost_stream_starts_again(void **state)
{
    (void)state;
    static const int statuses[] = {0, 500, 502, 503, 429, 416};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        COMPOSED(composed);
        struct script_step patch = composed_patch(&composed, "1", statuses[i], NULL);
        const struct script_step waits[] = {
            NO_TAGS,
            composed_session(&composed, "1"),
            statuses[i] == 0 ? lost(patch) : patch,
            COMPOSED_CONFIG_SENT(&composed), // while the layer waits
            composed_session(&composed, "2"),
            composed_patch(&composed, "2", 202, "3"),
            composed_commit(&composed, "3", LAYER(&composed), 201),
            composed_tag(&composed, composed.manifest.bytes.ptr),
        };
        const struct script_step at_once[] = {
            NO_TAGS,
            composed_session(&composed, "1"),
            patch,
            composed_session(&composed, "2"),
            composed_patch(&composed, "2", 202, "3"),
            composed_commit(&composed, "3", LAYER(&composed), 201),
            REST(&composed),
        };
        bool session_is_lost = statuses[i] == 416;
        struct registry_fixture fixture CLEANUP(registry_fixture_done);
        registry_fixture_init(&fixture, session_is_lost ? at_once : waits,
            session_is_lost ? ARRAY_LENGTH(at_once) : ARRAY_LENGTH(waits));
        registry_fixture_open_source(&fixture, composed.source);
        registry_fixture_expect_success(&fixture, push(&fixture, NULL));
        assert_int_equal(fixture.fake->sleep_count, session_is_lost ? 0 : 1);
        if (!session_is_lost) {
            assert_non_null(strchr(fixture.progress, 'a'));
        }
    }
}

static void
a_stream_that_is_always_lost_is_given_up(void **state)
{
    (void)state;
    COMPOSED(composed);
    const struct script_step steps[] = {
        NO_TAGS,
        composed_session(&composed, "1"),
        lost(composed_patch(&composed, "1", 0, NULL)),
        COMPOSED_CONFIG_SENT(&composed),
        composed_session(&composed, "1"),
        lost(composed_patch(&composed, "1", 0, NULL)),
        composed_session(&composed, "1"),
        lost(composed_patch(&composed, "1", 0, NULL)),
        composed_session(&composed, "1"),
        lost(composed_patch(&composed, "1", 0, NULL)),
        composed_session(&composed, "1"),
        lost(composed_patch(&composed, "1", 0, NULL)),
        {.method = HTTP_DELETE, .url = FIXTURE_BASE "/blobs/uploads/1", .status = 204},
    };
    RUN(fixture, &composed, steps);
    char *text CLEANUP(xfreep) =
        xasprintf(PUSH "PATCH layer '%s': given up after 5 attempts: PATCH " FIXTURE_BASE
                       "/blobs/uploads/1: connection reset",
            composed.diff_ids[0]);
    registry_fixture_expect(&fixture, push(&fixture, NULL), ERROR_UNAVAILABLE, text, NULL);
}

// The answer was lost, not the blob: the digest is known by now, so it can be asked for.
static void
a_lost_commit_is_looked_up(void **state)
{
    (void)state;
    for (int there = 0; there <= 1; there++) {
        COMPOSED(composed);
        const struct script_step stored[] = {
            NO_TAGS,
            composed_session(&composed, "1"),
            composed_patch(&composed, "1", 202, "2"),
            lost(composed_commit(&composed, "2", LAYER(&composed), 0)),
            COMPOSED_CONFIG_SENT(&composed),
            composed_head(&composed, LAYER(&composed), 200),
            composed_tag(&composed, composed.manifest.bytes.ptr),
        };
        const struct script_step absent[] = {
            NO_TAGS,
            composed_session(&composed, "1"),
            composed_patch(&composed, "1", 202, "2"),
            lost(composed_commit(&composed, "2", LAYER(&composed), 0)),
            COMPOSED_CONFIG_SENT(&composed),
            composed_head(&composed, LAYER(&composed), 404),
            composed_session(&composed, "3"),
            composed_put(&composed, "3", LAYER(&composed), 201), // of known length now
            composed_tag(&composed, composed.manifest.bytes.ptr),
        };
        struct registry_fixture fixture CLEANUP(registry_fixture_done);
        registry_fixture_init(&fixture, there == 1 ? stored : absent,
            there == 1 ? ARRAY_LENGTH(stored) : ARRAY_LENGTH(absent));
        registry_fixture_open_source(&fixture, composed.source);
        struct registry_push_result result = {0};
        registry_fixture_expect_success(&fixture, push(&fixture, &result));
        assert_int_equal(result.blobs_sent, 2);
        assert_string_equal(result.digest, composed.manifest.descriptor.digest);
    }
}

// The archive's layer is not the one that its configuration names: the bytes have gone, but no
// digest is ever told.
static void
another_layer_is_never_committed(void **state)
{
    (void)state;
    COMPOSED(composed);
    const struct script_step steps[] = {
        NO_TAGS,
        composed_session(&composed, "1"),
        composed_patch(&composed, "1", 202, "2"),
        {.method = HTTP_DELETE, .url = FIXTURE_BASE "/blobs/uploads/1", .status = 204},
    };
    composed_spoil(&composed);
    RUN(fixture, &composed, steps);
    struct error *err CLEANUP(error_freep) = push(&fixture, NULL);
    assert_non_null(err);
    char *text CLEANUP(xfreep) = error_text(err);
    char *wanted CLEANUP(xfreep) = xasprintf(PUSH
        "image '%s': layer 'layer0.tar' has digest 'sha256:*' but the configuration says '%s'",
        composed.source, composed.diff_ids[0]);
    char *start CLEANUP(xfreep) = str_dup((struct str){wanted, strcspn(wanted, "*")});
    assert_true(str_starts(str_of(text), str_of(start)));
    assert_true(str_ends(str_of(text), str_of(strchr(wanted, '*') + 1)));
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_string_equal(error_hint_of(err),
        "The archive is damaged or its layers are mixed up; save the image again.");
    script_transport_finish(fixture.script);
}

// The file is cut while the archive is open: the stream ends in an error, not in an end.
static void
a_layer_that_is_cut_off_is_never_committed(void **state)
{
    (void)state;
    COMPOSED(composed);
    const struct script_step steps[] = {
        NO_TAGS,
        composed_session(&composed, "1"),
        {.method = HTTP_DELETE, .url = FIXTURE_BASE "/blobs/uploads/1", .status = 204},
    };
    RUN(fixture, &composed, steps);
    composed_cut(&composed);
    char *text CLEANUP(xfreep) = xasprintf(
        PUSH "PATCH layer '%s': the file became shorter while it was read", composed.diff_ids[0]);
    registry_fixture_expect(&fixture, push(&fixture, NULL), ERROR_INPUT, text, NULL);
}

static struct script_step
refused(struct script_step step)
{
    static const char *const challenge[] = {BEARER, NULL};
    step.status = 401;
    step.reply_headers = challenge;
    return step;
}

// A stream cannot be sent again in its session; the commit can.
static void
a_token_that_runs_out_costs_one_body_at_most(void **state)
{
    (void)state;
    const struct script_step token = {
        .method = HTTP_GET, .url = TOKEN_URL, .reply = "{\"token\":\"t\",\"expires_in\":3600}"};
    COMPOSED(composed);
    const struct script_step steps[] = {
        refused(NO_TAGS),
        token,
        NO_TAGS,
        composed_session(&composed, "1"),
        refused(composed_patch(&composed, "1", 0, NULL)),
        token,
        composed_session(&composed, "2"),
        composed_patch(&composed, "2", 202, "3"),
        refused(composed_commit(&composed, "3", LAYER(&composed), 0)),
        token,
        composed_commit(&composed, "3", LAYER(&composed), 201),
        refused(composed_session(&composed, "")),
        token,
        REST(&composed),
    };
    RUN(fixture, &composed, steps);
    registry_fixture_expect_success(&fixture, push(&fixture, NULL));
    assert_int_equal(fixture.fake->sleep_count, 0);
}

static void
a_registry_that_is_overrun_gets_half_as_much_at_once(void **state)
{
    (void)state;
    COMPOSED(composed);
    struct script_step full = composed_session(&composed, "1");
    full.status = 429;
    full.reply_headers = LIST("Retry-After: 7");
    struct script_step patch = composed_patch(&composed, "1", 429, NULL);
    patch.reply_headers = LIST("Retry-After: 9");
    const struct script_step steps[] = {
        NO_TAGS,
        full,
        COMPOSED_CONFIG_SENT(&composed),
        composed_session(&composed, "1"),
        patch,
        composed_session(&composed, "2"),
        composed_patch(&composed, "2", 202, "3"),
        composed_commit(&composed, "3", LAYER(&composed), 201),
        composed_tag(&composed, composed.manifest.bytes.ptr),
    };
    RUN(fixture, &composed, steps);
    const struct registry_client *client = registry_fixture_client(&fixture);
    size_t bodies = client->parallel_bodies, calls = client->parallel_small;
    registry_fixture_expect_success(&fixture, push(&fixture, NULL));
    assert_int_equal(client->parallel_bodies, bodies / 4);
    assert_int_equal(client->parallel_small, calls / 4);
    assert_int_equal(fixture.fake->sleeps[0], 7000);
    assert_int_equal(fixture.fake->sleeps[1], 9000);
}

// A layer is mounted only where its digest is known; a 201 to anything else is no mount.
static void
a_mount_that_nobody_asked_for_is_refused(void **state)
{
    (void)state;
    COMPOSED(composed);
    struct script_step mounted = composed_session(&composed, "1");
    mounted.status = 201;
    const struct script_step steps[] = {NO_TAGS, mounted};
    RUN(fixture, &composed, steps);
    fixture.push.mount_from = "team/base";
    char *text CLEANUP(xfreep) =
        xasprintf(PUSH "POST upload for layer '%s': an answer that does not fit (HTTP 201)",
            composed.diff_ids[0]);
    registry_fixture_expect(&fixture, push(&fixture, NULL), ERROR_REFUSED, text, NULL);
}

// A mount that is taken costs one request; one that is not has opened a session.
static void
a_known_layer_is_mounted_where_it_can_be(void **state)
{
    (void)state;
    static const size_t small[] = {3000};
    for (int taken = 0; taken <= 1; taken++) {
        struct composed composed CLEANUP(composed_done);
        composed_init(&composed, small, 1);
        struct script_step layer = composed_session(&composed, "1");
        layer.url = arena_printf(composed.arena,
            FIXTURE_BASE "/blobs/uploads/?mount=sha256%%3A%s&from=team%%2Fbase",
            LAYER(&composed) + strlen("sha256:"));
        layer.status = taken == 1 ? 201 : 202;
        struct script_step config = composed_session(&composed, "config");
        config.url = arena_printf(composed.arena,
            FIXTURE_BASE "/blobs/uploads/?mount=sha256%%3A%s&from=team%%2Fbase",
            composed.config.digest + strlen("sha256:"));
        const struct script_step mounted[] = {
            NO_TAGS,
            layer,
            config,
            composed_put(&composed, "config", composed.config.digest, 201),
            composed_tag(&composed, composed.manifest.bytes.ptr),
        };
        const struct script_step sent[] = {
            NO_TAGS,
            layer,
            composed_put(&composed, "1", LAYER(&composed), 201),
            config,
            composed_put(&composed, "config", composed.config.digest, 201),
            composed_tag(&composed, composed.manifest.bytes.ptr),
        };
        struct registry_fixture fixture CLEANUP(registry_fixture_done);
        registry_fixture_init(&fixture, taken == 1 ? mounted : sent,
            taken == 1 ? ARRAY_LENGTH(mounted) : ARRAY_LENGTH(sent));
        registry_fixture_open_source(&fixture, composed.source);
        fixture.push.mount_from = "team/base";
        struct registry_push_result result = {0};
        registry_fixture_expect_success(&fixture, push(&fixture, &result));
        assert_int_equal(result.blobs_present, taken);
        assert_string_equal(fixture.progress, taken == 1 ? "MsSm" : "sSsSm");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_is_sent_while_it_is_compressed),
        cmocka_unit_test(what_was_sent_is_what_the_manifest_says),
        cmocka_unit_test(a_registry_that_takes_no_streams_gets_lengths),
        cmocka_unit_test(a_refused_stream_ends_the_push),
        cmocka_unit_test(a_refused_digest_ends_the_push),
        cmocka_unit_test(a_stream_stored_as_something_else_is_found_out),
        cmocka_unit_test(a_lost_stream_starts_again),
        cmocka_unit_test(a_stream_that_is_always_lost_is_given_up),
        cmocka_unit_test(a_lost_commit_is_looked_up),
        cmocka_unit_test(another_layer_is_never_committed),
        cmocka_unit_test(a_layer_that_is_cut_off_is_never_committed),
        cmocka_unit_test(a_token_that_runs_out_costs_one_body_at_most),
        cmocka_unit_test(a_registry_that_is_overrun_gets_half_as_much_at_once),
        cmocka_unit_test(a_mount_that_nobody_asked_for_is_refused),
        cmocka_unit_test(a_known_layer_is_mounted_where_it_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
