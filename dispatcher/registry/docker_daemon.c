// Images of a Docker daemon or podman's service. Opening asks what the image is made of, and from
// then on it is addressed by its id, so that a tag that moves changes nothing. Its bytes are
// fetched only when a registry turns out not to have them: the archive is spooled
// (image_spool.c) and read as any Docker archive.
//
// A graph-driver store knows a configuration, whose digest is the id, and plain layers. A
// containerd store keeps what was built or pulled: there the id is a manifest's digest, layers may
// come compressed, and the manifest is used as it is when it describes what is sent.
#include <stdlib.h>
#include <string.h>

#include "docker_engine_internal.h"
#include "image_internal.h"
#include "image_spool_internal.h"

#define ARCHIVE_MAX (INT64_C(256) * 1024 * 1024 * 1024)

struct daemon {
    struct docker_engine engine;
    struct docker_inspect seen;
    bool keeps; // the archive held the manifest that the id names:
    struct image_manifest kept;
    struct manifest_document document;
};

static struct error *
mismatch(const char *what, const char *theirs, const char *expected)
{
    return error_hint(
        error_new(ERROR_CONFLICT, "the daemon's archive has %s '%s' where '%s' was told", what,
            theirs, expected),
        "The image may have been removed or replaced meanwhile; try again.");
}

// The archive as an image of its own, from which parts are taken.
static void
scratch_done(struct image *scratch)
{
    free(scratch->items);
    free(scratch->manifests);
}

static const char *
config_digest(const struct image *scratch)
{
    const struct docker_image *made = scratch->document;
    return scratch->items[made->config].part.descriptor.digest;
}

// The content of a manifest or index that the archive may hold; *found false when it does not.
static struct error *
read_blob(const struct image *scratch, const char *digest, struct buf *out, bool *found)
{
    unsigned char hash[SHA256_SIZE];
    char actual[SHA256_DIGEST_TEXT_SIZE];
    const char *path = image_blob_path(scratch->arena, digest);
    TRY(image_store_read(scratch->store, path, out, found));
    sha256_of(buf_str(out), hash);
    sha256_digest_text(hash, actual);
    return *found && strcmp(actual, digest) != 0 ? mismatch("content", actual, digest) : NULL;
}

static struct error *
keep(const struct image *scratch, struct daemon *daemon, struct str bytes,
    const struct image_descriptor *descriptor)
{
    TRY(manifest_parse(
        bytes, descriptor->media_type, "manifest", scratch->arena, &daemon->document));
    daemon->keeps = true;
    daemon->kept = (struct image_manifest){
        .descriptor = {descriptor->media_type, descriptor->digest, (int64_t)bytes.len, NULL},
        .bytes = {arena_str(scratch->arena, bytes), bytes.len},
    };
    return NULL;
}

// Of an index, the manifest of the image that the archive is about. Others need not be there.
static struct error *
keep_child(const struct image *scratch, struct daemon *daemon, struct str bytes, const char *type)
{
    struct manifest_document index = {0};
    TRY(manifest_parse(bytes, type, "index", scratch->arena, &index));
    const struct descriptor_document *children = index.manifests.items;
    for (size_t i = 0; i < index.manifests.count && !daemon->keeps; i++) {
        const struct image_descriptor child = {
            children[i].media_type, children[i].digest, children[i].size, NULL};
        struct buf content CLEANUP(buf_done) = BUF_INIT(IMAGE_MANIFEST_MAX);
        bool found = false;
        if (manifest_type_is_known(child.media_type) && !manifest_type_is_index(child.media_type)) {
            TRY(read_blob(scratch, child.digest, &content, &found));
        }
        if (found) {
            TRY(keep(scratch, daemon, buf_str(&content), &child));
            daemon->keeps = cstr_equal(daemon->document.config.digest, config_digest(scratch));
        }
    }
    return NULL;
}

// The media type is in Descriptor or in the content; an OCI manifest may leave it out.
static struct error *
kept_type(
    const struct image *scratch, const struct daemon *daemon, struct str bytes, const char **out)
{
    struct json *json CLEANUP(json_freep) = NULL;
    TRY(json_parse(bytes, &json_limits_default, &json));
    const char *own = json_str(json_get(json, "mediaType"));
    const char *type = daemon->seen.manifest_type != NULL ? daemon->seen.manifest_type : own;
    *out = type != NULL ? arena_dup(scratch->arena, type) : MEDIA_OCI_MANIFEST;
    return NULL;
}

// What the id names when it is not the configuration. An older daemon with a containerd store does
// not say beforehand that it is not.
static struct error *
read_kept(const struct image *scratch, struct daemon *daemon)
{
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(IMAGE_MANIFEST_MAX);
    const char *type = NULL;
    bool found = false;
    if (strcmp(config_digest(scratch), daemon->seen.id) == 0) {
        return NULL;
    }
    TRY(read_blob(scratch, daemon->seen.id, &bytes, &found));
    if (!found) {
        return NULL;
    }
    TRY(kept_type(scratch, daemon, buf_str(&bytes), &type));
    const struct image_descriptor descriptor = {type, daemon->seen.id, (int64_t)bytes.len, NULL};
    if (!manifest_type_is_known(type)) {
        return NULL;
    }
    return manifest_type_is_index(type) ? keep_child(scratch, daemon, buf_str(&bytes), type)
                                        : keep(scratch, daemon, buf_str(&bytes), &descriptor);
}

// The configuration is the one that was told, or that of the manifest that was.
static struct error *
take_config(struct image *image, const struct image *scratch)
{
    struct daemon *daemon = image->remote;
    const struct docker_image *made = image->document, *theirs = scratch->document;
    struct image_item *item = &image->items[made->config];
    const struct image_item *config = &scratch->items[theirs->config];
    const char *digest = config_digest(scratch);
    const char *told =
        daemon->keeps ? daemon->document.config.digest : item->part.descriptor.digest;
    if (told != NULL && strcmp(digest, told) != 0) {
        return mismatch("configuration", digest, told);
    }
    *item = *config;
    return NULL;
}

static void
take_layer(struct image *image, size_t index, const struct image_item *theirs)
{
    struct image_item *item = &image->items[index];
    bool compressed = theirs->part.diff_id == NULL;
    bool settled = item->part.descriptor.digest != NULL;
    item->path = theirs->path;
    item->part.plain_size = theirs->part.plain_size;
    if (compressed && settled) {
        struct image_descriptor *stored = arena_alloc(image->arena, sizeof(*stored));
        *stored = theirs->part.descriptor;
        item->stored = stored;
    } else if (compressed) {
        item->part = theirs->part;
    }
}

static struct error *
take_layers(struct image *image, const struct image *scratch)
{
    const struct daemon *daemon = image->remote;
    const struct str_list *told = &daemon->seen.diff_ids;
    const struct docker_image *made = image->document, *theirs = scratch->document;
    if (theirs->layer_count != told->count) {
        return error_hint(
            error_new(ERROR_CONFLICT, "the daemon's archive has %zu layers where %zu were told",
                theirs->layer_count, told->count),
            "The image may have been removed or replaced meanwhile; try again.");
    }
    for (size_t i = 0; i < told->count; i++) {
        if (strcmp(theirs->diff_ids.items[i], told->items[i]) != 0) {
            return mismatch("layer", theirs->diff_ids.items[i], told->items[i]);
        }
    }
    for (size_t i = 0; i < told->count; i++) {
        if (image->items[made->layers[i]].path == NULL) { // one that repeats is taken once
            take_layer(image, made->layers[i], &scratch->items[theirs->layers[i]]);
        }
    }
    return NULL;
}

static struct error *
read_archive(struct image *image, int *fd)
{
    struct image scratch CLEANUP(scratch_done) = {.arena = image->arena};
    scratch.source = (struct image_source){.text = image->source.text, .path = image->source.path};
    TRY(image_store_tar_fd(fd, &image->store)); // closed with the image
    scratch.store = image->store;
    TRY(image_open_docker_archive(&scratch));
    TRY(read_kept(&scratch, image->remote));
    TRY(take_config(image, &scratch));
    return take_layers(image, &scratch);
}

static struct error *
daemon_fetch(struct image *image)
{
    const struct daemon *daemon = image->remote;
    struct image_spool *spool CLEANUP(image_spool_freep) = NULL;
    int fd = -1;
    image_store_free(image->store); // of a try that failed
    image->store = NULL;
    TRY(image_spool_new(image->access->platform, ARCHIVE_MAX, &spool));
    image_spool_watch(spool, image->fetching, image->fetching_ctx);
    const struct http_writer writer = {image_spool_write, spool, NULL};
    TRY(docker_engine_export(&daemon->engine, daemon->seen.id, &writer));
    TRY(image_spool_take(spool, &fd));
    struct error *err = read_archive(image, &fd);
    if (err != NULL && error_kind(err) == ERROR_INPUT) {
        return error_hint(error_wrap(err, "archive of the daemon at '%s'", daemon->engine.socket),
            "Try again; if that does not help, the daemon's log may say more.");
    }
    return err;
}

// Does the kept manifest describe exactly what is sent?
static bool
is_described(const struct image *image)
{
    const struct daemon *daemon = image->remote;
    const struct docker_image *made = image->document;
    const struct descriptor_document *layers = daemon->document.layers.items;
    if (!daemon->keeps || daemon->document.layers.count != made->layer_count) {
        return false;
    }
    for (size_t i = 0; i < made->layer_count; i++) {
        const struct image_part *part = &image->items[made->layers[i]].part;
        if (!cstr_equal(part->descriptor.digest, layers[i].digest) ||
            part->descriptor.size != layers[i].size) {
            return false;
        }
    }
    return true;
}

static struct error *
daemon_compose(struct image *image)
{
    const struct daemon *daemon = image->remote;
    return is_described(image) ? image_add_manifest(image, &daemon->kept)
                               : docker_image_compose(image);
}

static struct error *
add_layer(struct image *image, const char *diff_id, size_t *index)
{
    for (size_t i = 0; i < image->item_count; i++) {
        if (cstr_equal(image->items[i].part.diff_id, diff_id)) {
            *index = i;
            return NULL;
        }
    }
    const struct image_item item = {
        .part = {.descriptor.size = -1, .diff_id = diff_id, .plain_size = -1}};
    *index = image->item_count;
    return image_add_item(image, &item);
}

static struct error *
add_parts(struct image *image, const struct docker_inspect *seen)
{
    struct docker_image *made = arena_alloc(image->arena, sizeof(*made));
    *made = (struct docker_image){
        .config = 0,
        .layers = arena_array(image->arena, seen->diff_ids.count, sizeof(*made->layers)),
        .layer_count = seen->diff_ids.count,
        .diff_ids = seen->diff_ids,
    };
    const struct image_item config = {
        .part.descriptor = {MEDIA_DOCKER_CONFIG, seen->id_is_manifest ? NULL : seen->id, -1, NULL}};
    TRY(image_add_item(image, &config));
    for (size_t i = 0; i < made->layer_count; i++) {
        TRY(add_layer(image, seen->diff_ids.items[i], &made->layers[i]));
    }
    image->document = made;
    return NULL;
}

struct error *
image_open_daemon(struct image *image)
{
    struct daemon *daemon = arena_alloc(image->arena, sizeof(*daemon));
    *daemon = (struct daemon){0};
    if (image->access == NULL) {
        return error_new(ERROR_INPUT, "no daemon can be asked here, only files be read");
    }
    TRY(docker_engine_find(image->access, image->arena, &daemon->engine));
    TRY(docker_engine_inspect(&daemon->engine, image->source.path, image->arena, &daemon->seen));
    TRY(add_parts(image, &daemon->seen));
    image_add_platform(image, daemon->seen.platform);
    image->remote = daemon;
    image->kept_digest = daemon->seen.id_is_manifest ? daemon->seen.id : NULL;
    image->fetch = daemon_fetch;
    image->compose = daemon_compose;
    return NULL;
}
