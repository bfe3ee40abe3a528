// A Docker archive made on the spot: tar headers by hand, so that nothing of the program under test
// writes what it reads.
#include "composed_fixture.h"

#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "temp_dir.h"

enum { TAR_BLOCK = 512, ARCHIVE_MAX = 64 * 1024 * 1024 };

static void
tar_add(struct buf *tar, const char *name, struct str bytes)
{
    char header[TAR_BLOCK] = {0};
    unsigned sum = 0;
    (void)snprintf(header, 100, "%s", name);
    (void)snprintf(header + 100, 8, "%07o", 0644U);
    (void)snprintf(header + 108, 8, "%07o", 0U);
    (void)snprintf(header + 116, 8, "%07o", 0U);
    (void)snprintf(header + 124, 12, "%011zo", bytes.len);
    (void)snprintf(header + 136, 12, "%011o", 0U);
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(header); i++) {
        sum += (unsigned char)header[i];
    }
    (void)snprintf(header + 148, 8, "%06o", sum);
    buf_append(tar, header, sizeof(header));
    buf_add(tar, bytes);
    while (tar->len % TAR_BLOCK != 0) {
        buf_putc(tar, '\0');
    }
}

const char *
composed_digest(const struct composed *composed, struct str bytes)
{
    unsigned char hash[SHA256_SIZE];
    char *text = arena_alloc(composed->arena, SHA256_DIGEST_TEXT_SIZE);
    sha256_of(bytes, hash);
    sha256_digest_text(hash, text);
    return text;
}

static void
make_layer(size_t number, size_t size, struct buf *out)
{
    for (size_t i = 0; out->len < size; i++) {
        buf_printf(out, "layer %zu line %zu\n", number, i);
    }
    out->len = size;
}

static void
pack(struct buf *bytes)
{
    struct isal_zstream stream;
    struct buf packed = BUF_INIT(ARCHIVE_MAX);
    char *room CLEANUP(xfreep) = xmalloc(bytes->len + 1024);
    isal_deflate_stateless_init(&stream);
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    stream.next_in = (unsigned char *)bytes->ptr;
    stream.avail_in = (uint32_t)bytes->len;
    stream.next_out = (unsigned char *)room;
    stream.avail_out = (uint32_t)(bytes->len + 1024);
    assert_int_equal(isal_deflate_stateless(&stream), COMP_OK);
    buf_append(&packed, room, stream.total_out);
    buf_done(bytes);
    *bytes = packed;
}

const char *
composed_config(const struct composed *composed, const char *const *diff_ids, size_t count)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(65536);
    buf_puts(&text, "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\","
                    "\"diff_ids\":[");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "%s\"%s\"", i > 0 ? "," : "", diff_ids[i]);
    }
    buf_puts(&text, "]}}");
    return arena_str(composed->arena, buf_str(&text));
}

static void
put_descriptor(struct buf *out, const char *key, const struct image_descriptor *descriptor)
{
    buf_printf(out, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld}", key,
        descriptor->media_type, descriptor->digest, (long long)descriptor->size);
}

const char *
composed_manifest(const struct composed *composed, const char *media_type,
    const struct image_descriptor *config, const struct image_descriptor *layers, size_t count)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(65536);
    buf_printf(&text, "{\"schemaVersion\":2,\"mediaType\":\"%s\",", media_type);
    put_descriptor(&text, "\"config\":", config);
    buf_puts(&text, ",\"layers\":[");
    for (size_t i = 0; i < count; i++) {
        put_descriptor(&text, i > 0 ? "," : "", &layers[i]);
    }
    buf_puts(&text, "]}");
    return arena_str(composed->arena, buf_str(&text));
}

static void
write_archive(struct composed *composed, const size_t *sizes, bool gzip)
{
    struct buf tar CLEANUP(buf_done) = BUF_INIT(ARCHIVE_MAX);
    struct buf list CLEANUP(buf_done) = BUF_INIT(65536);
    buf_puts(&list, "[{\"Config\":\"config.json\",\"RepoTags\":null,\"Layers\":[");
    for (size_t i = 0; i < composed->layer_count; i++) {
        struct buf layer CLEANUP(buf_done) = BUF_INIT(ARCHIVE_MAX);
        const char *name = arena_printf(composed->arena, "layer%zu.tar", i);
        make_layer(i, sizes[i], &layer);
        composed->diff_ids[i] = composed_digest(composed, buf_str(&layer));
        if (gzip) {
            pack(&layer);
        }
        tar_add(&tar, name, buf_str(&layer));
        buf_printf(&list, "%s\"%s\"", i > 0 ? "," : "", name);
    }
    buf_puts(&list, "]}]");
    composed->config_bytes =
        str_of(composed_config(composed, composed->diff_ids, composed->layer_count));
    tar_add(&tar, "config.json", composed->config_bytes);
    tar_add(&tar, "manifest.json", buf_str(&list));
    for (size_t i = 0; i < 2 * TAR_BLOCK; i++) {
        buf_putc(&tar, '\0');
    }
    assert_false(tar.failed);
    assert_null(file_write(composed->path, buf_str(&tar), 0600));
}

// What a push will make of it, as the program itself says. That its bytes are right is
// test_compressor.c's.
static void
measure(struct composed *composed)
{
    struct image_source *source = NULL;
    struct image *image CLEANUP(image_closep) = NULL;
    const struct image_manifest *manifests = NULL;
    size_t count = 0;
    assert_null(image_source_parse(composed->source, composed->arena, &source));
    assert_null(image_open(source, NULL, &image));
    assert_null(image_measure(image, IMAGE_COMPRESSION_FAST));
    assert_null(image_manifests(image, &manifests, &count));
    assert_int_equal(count, 1);
    assert_int_equal(image_part_count(image), composed->layer_count + 1);
    for (size_t i = 0; i <= composed->layer_count; i++) {
        const struct image_descriptor *part = &image_part_at(image, i)->descriptor;
        *(i == 0 ? &composed->config : &composed->layers[i - 1]) =
            (struct image_descriptor){arena_dup(composed->arena, part->media_type),
                arena_dup(composed->arena, part->digest), part->size, NULL};
    }
    composed->manifest = manifests[0];
    composed->manifest.bytes.ptr = arena_str(composed->arena, manifests[0].bytes);
    composed->manifest.descriptor.digest =
        arena_dup(composed->arena, manifests[0].descriptor.digest);
    composed->manifest.descriptor.media_type =
        arena_dup(composed->arena, manifests[0].descriptor.media_type);
}

static void
init(struct composed *composed, const size_t *sizes, size_t count, bool gzip)
{
    assert_in_range(count, 0, COMPOSED_LAYERS_MAX);
    *composed = (struct composed){.dir = temp_dir_new(), .arena = arena_new()};
    composed->path = arena_printf(composed->arena, "%s/image.tar", composed->dir);
    composed->source = arena_printf(composed->arena, "docker-archive:%s", composed->path);
    composed->layer_count = count;
    write_archive(composed, sizes, gzip);
    measure(composed);
}

void
composed_init(struct composed *composed, const size_t *sizes, size_t count)
{
    init(composed, sizes, count, false);
}

void
composed_init_gzip(struct composed *composed, const size_t *sizes, size_t count)
{
    init(composed, sizes, count, true);
}

void
composed_done(struct composed *composed)
{
    arena_free(composed->arena);
    temp_dir_removep(&composed->dir);
}

void
composed_spoil(struct composed *composed)
{
    int fd = open(composed->path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "L", 1, TAR_BLOCK), 1);
    (void)close(fd);
}

void
composed_cut(struct composed *composed)
{
    assert_int_equal(truncate(composed->path, 3 * (off_t)TAR_BLOCK), 0);
}

struct script_step
composed_tags(int status, const char *reply)
{
    return (struct script_step){
        .method = HTTP_GET, .url = COMPOSED_TAGS_URL, .status = status, .reply = reply};
}

static const char *const *
one_header(const struct composed *composed, const char *name, const char *value)
{
    const char **list = arena_array(composed->arena, 2, sizeof(*list));
    list[0] = arena_printf(composed->arena, "%s: %s", name, value);
    return list;
}

struct script_step
composed_get(const struct composed *composed, const char *reference, const char *media_type,
    const char *bytes)
{
    struct script_step step = {.method = HTTP_GET,
        .url = arena_printf(composed->arena, FIXTURE_BASE "/manifests/%s", reference),
        .status = media_type != NULL ? 200 : 404,
        .reply = bytes};
    if (media_type != NULL) {
        step.reply_headers = one_header(composed, "Content-Type", media_type);
    }
    return step;
}

struct script_step
composed_get_blob(const struct composed *composed, const char *digest, const char *bytes)
{
    return (struct script_step){.method = HTTP_GET,
        .url = arena_printf(composed->arena, FIXTURE_BASE "/blobs/%s", digest),
        .reply = bytes};
}

struct script_step
composed_head(const struct composed *composed, const char *digest, int status)
{
    return (struct script_step){.method = HTTP_HEAD,
        .url = arena_printf(composed->arena, FIXTURE_BASE "/blobs/%s", digest),
        .status = status};
}

static const char *
session_url(const struct composed *composed, const char *name)
{
    return arena_printf(composed->arena, FIXTURE_BASE "/blobs/uploads/%s", name);
}

struct script_step
composed_session(const struct composed *composed, const char *name)
{
    return (struct script_step){.method = HTTP_POST,
        .url = FIXTURE_BASE "/blobs/uploads/",
        .no_body = true,
        .status = 202,
        .reply_headers = one_header(composed, "Location", session_url(composed, name))};
}

struct script_step
composed_put(const struct composed *composed, const char *name, const char *digest, int status)
{
    return (struct script_step){.method = HTTP_PUT,
        .url = arena_printf(composed->arena, "%s?digest=sha256%%3A%s", session_url(composed, name),
            digest + strlen("sha256:")),
        .body_pattern = "?*", // composed_assert_bodies looks at it
        .status = status};
}

struct script_step
composed_patch(const struct composed *composed, const char *name, int status, const char *next)
{
    static const char *const headers[] = {
        "Content-Type: application/octet-stream", "!Content-Range", "!Content-Length", NULL};
    struct script_step step = {.method = HTTP_PATCH,
        .url = session_url(composed, name),
        .headers = headers,
        .status = status};
    if (next != NULL) {
        step.reply_headers = one_header(composed, "Location", session_url(composed, next));
    }
    return step;
}

struct script_step
composed_commit(const struct composed *composed, const char *name, const char *digest, int status)
{
    struct script_step step = composed_put(composed, name, digest, status);
    step.body_pattern = NULL;
    step.no_body = true;
    return step;
}

struct script_step
composed_tag(const struct composed *composed, const char *bytes)
{
    return (struct script_step){.method = HTTP_PUT,
        .url = FIXTURE_TAG_URL,
        .body = bytes,
        .status = 201,
        .reply_headers = one_header(
            composed, "Docker-Content-Digest", composed_digest(composed, str_of(bytes)))};
}

void
composed_assert_bodies(const struct registry_fixture *fixture)
{
    struct str streamed = {0};
    size_t count = script_transport_request_count(fixture->script);
    for (size_t i = 0; i < count; i++) {
        const struct script_request *sent = script_transport_request(fixture->script, i);
        const char *query = strstr(sent->url, "?digest=sha256%3A");
        if (sent->method == HTTP_PATCH) {
            streamed = buf_str(&sent->body);
        }
        if (sent->method != HTTP_PUT || query == NULL) {
            continue;
        }
        unsigned char hash[SHA256_SIZE];
        char digest[SHA256_DIGEST_TEXT_SIZE];
        sha256_of(sent->body.len > 0 ? buf_str(&sent->body) : streamed, hash);
        sha256_digest_text(hash, digest);
        assert_string_equal(digest + strlen("sha256:"), strstr(query, "%3A") + 3);
    }
}
