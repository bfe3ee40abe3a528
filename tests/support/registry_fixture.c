// A small image in a layout and a scripted registry to push it to.
#include "registry_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "temp_dir.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

const char fixture_manifest[] =
    "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE "\","
    "\"config\":{\"mediaType\":\"application/"
    "vnd.oci.image.config.v1+json\",\"digest\":\"" FIXTURE_CONFIG
    "\",\"size\":2},\"layers\":[{\"mediaType\":\"text/plain\",\"digest\":\"" FIXTURE_LAYER
    "\",\"size\":5}]}";

const char fixture_index[] =
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
    "\"manifests\":[{\"mediaType\":\"" MANIFEST_TYPE "\",\"digest\":\"" FIXTURE_MANIFEST
    "\",\"size\":364}]}";

static void
put(const struct registry_fixture *fixture, const char *name, const char *text)
{
    char *path CLEANUP(xfreep) = temp_dir_path(fixture->dir, name);
    assert_null(file_write(path, str_of(text), 0600));
}

static void
put_blob(const struct registry_fixture *fixture, const char *digest, const char *text)
{
    char *name CLEANUP(xfreep) = xasprintf("blobs/sha256/%s", digest + strlen("sha256:"));
    put(fixture, name, text);
}

static void
make_layout(const struct registry_fixture *fixture)
{
    char *blobs CLEANUP(xfreep) = temp_dir_path(fixture->dir, "blobs/sha256");
    assert_null(file_make_directories(blobs));
    put(fixture, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    put_blob(fixture, FIXTURE_CONFIG, "{}");
    put_blob(fixture, FIXTURE_LAYER, "hello");
    put_blob(fixture, FIXTURE_MANIFEST, fixture_manifest);
    put_blob(fixture, FIXTURE_INDEX, fixture_index);
    put(fixture, "index.json",
        "{\"schemaVersion\":2,\"manifests\":["
        "{\"mediaType\":\"" MANIFEST_TYPE "\",\"digest\":\"" FIXTURE_MANIFEST "\",\"size\":364},"
        "{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"digest\":\"" FIXTURE_INDEX
        "\",\"size\":240}]}");
}

static void
on_progress(void *ctx, const struct registry_progress *progress)
{
    static const char letters[] = {
        [REGISTRY_PART_PRESENT] = 'p',
        [REGISTRY_PART_REUSED] = 'r',
        [REGISTRY_PART_MOUNTED] = 'M',
        [REGISTRY_PART_AGAIN] = 'a',
        [REGISTRY_PART_SENDING] = 's',
        [REGISTRY_PART_SENT] = 'S',
        [REGISTRY_MANIFEST_SENT] = 'm',
    };
    struct registry_fixture *fixture = ctx;
    char *longer = xasprintf("%s%c", fixture->progress, letters[progress->what]);
    free(fixture->progress);
    fixture->progress = longer;
    assert_true(progress->done <= progress->total);
}

void
registry_fixture_init(
    struct registry_fixture *fixture, const struct script_step *steps, size_t count)
{
    static const char *const env[] = {NULL};
    *fixture = (struct registry_fixture){.dir = temp_dir_new()};
    fixture->fake = fake_platform_new(env);
    fake_platform_fix_random(fixture->fake, 0.5);
    fixture->script = script_transport_new(fixture->fake, steps, count);
    fixture->arena = arena_new();
    fixture->options.host = FIXTURE_HOST;
    fixture->progress = xstrdup("");
    fixture->push = (struct registry_push){
        .repository = "team/app",
        .tag = "v1",
        .threads = 2,
        .progress = on_progress,
        .progress_ctx = fixture,
    };
    assert_null(http_client_new(&fixture->fake->platform, NULL, &fixture->http));
    make_layout(fixture);
}

void
registry_fixture_done(struct registry_fixture *fixture)
{
    image_close(fixture->image);
    registry_client_free(fixture->client);
    http_client_free(fixture->http);
    script_transport_free(fixture->script);
    fake_platform_free(fixture->fake);
    arena_free(fixture->arena);
    free(fixture->progress);
    temp_dir_removep(&fixture->dir);
}

struct registry_client *
registry_fixture_client(struct registry_fixture *fixture)
{
    if (fixture->client == NULL) {
        assert_null(registry_client_new(
            &fixture->fake->platform, fixture->http, &fixture->options, &fixture->client));
    }
    return fixture->client;
}

void
registry_fixture_open(struct registry_fixture *fixture, bool index)
{
    char *text CLEANUP(xfreep) =
        xasprintf("oci:%s:%s", fixture->dir, index ? FIXTURE_INDEX : FIXTURE_MANIFEST);
    registry_fixture_open_source(fixture, text);
}

void
registry_fixture_open_source(struct registry_fixture *fixture, const char *text)
{
    struct image_source *source = NULL;
    assert_null(image_source_parse(text, fixture->arena, &source));
    assert_null(image_open(source, NULL, &fixture->image));
}

void
registry_fixture_corrupt_layer(struct registry_fixture *fixture)
{
    put_blob(fixture, FIXTURE_LAYER, "jello");
}

void
registry_fixture_cut_layer(struct registry_fixture *fixture)
{
    put_blob(fixture, FIXTURE_LAYER, "h");
}

struct error *
registry_fixture_push(struct registry_fixture *fixture, struct registry_push_result *result)
{
    struct registry_push_result ignored;
    if (fixture->image == NULL) {
        registry_fixture_open(fixture, false);
    }
    fixture->push.image = fixture->image;
    return registry_push_image(registry_fixture_client(fixture), &fixture->push, fixture->arena,
        result != NULL ? result : &ignored);
}

void
registry_fixture_expect(struct registry_fixture *fixture, struct error *err, enum error_kind kind,
    const char *text, const char *hint)
{
    assert_non_null(err);
    char *actual CLEANUP(xfreep) = error_text(err);
    assert_string_equal(actual, text);
    if (hint == NULL) {
        assert_null(error_hint_of(err));
    } else {
        assert_non_null(error_hint_of(err));
        assert_string_equal(error_hint_of(err), hint);
    }
    assert_int_equal(error_kind(err), kind);
    error_free(err);
    script_transport_finish(fixture->script);
}

void
registry_fixture_expect_success(struct registry_fixture *fixture, struct error *err)
{
    if (err != NULL) {
        char *actual CLEANUP(xfreep) = error_text(err);
        fail_msg("failed: %s", actual);
    }
    script_transport_finish(fixture->script);
}
