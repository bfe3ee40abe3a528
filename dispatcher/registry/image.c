// An opened image as its users see it: lists of manifests and blobs, and readers. Knows nothing of
// formats; those fill the lists (oci_layout.c, docker_archive.c).
#include "dispatcher/image.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/text.h"
#include "image_internal.h"

enum { QUOTED_MAX = 160 };

const char *
image_quote(struct arena *arena, const char *text)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(4 * QUOTED_MAX);
    text_clean(str_of(text), QUOTED_MAX, &clean);
    return arena_printf(arena, "'%s'", buf_cstr(&clean));
}

const char *
image_blob_path(struct arena *arena, const char *digest)
{
    BUG_ON(!digest_is_valid(str_of(digest)));
    return arena_printf(arena, "blobs/sha256/%s", digest + strlen("sha256:"));
}

struct error *
image_json_error(struct error *err, const char *subject)
{
    static const char prefix[] = "unusable answer: ";
    struct str message = str_of(error_message(err));
    if (str_starts(message, str_of(prefix))) {
        message = str_skip(message, strlen(prefix));
    }
    struct buf clean CLEANUP(buf_done) = BUF_INIT(4096);
    text_clean(message, 300, &clean);
    struct error *better = error_new(ERROR_INPUT, "%s: %s", subject, buf_cstr(&clean));
    error_free(err);
    return better;
}

const struct image_manifest *
image_find_manifest(const struct image *image, const char *digest)
{
    for (size_t i = 0; i < image->manifest_count; i++) {
        if (strcmp(image->manifests[i].descriptor.digest, digest) == 0) {
            return &image->manifests[i];
        }
    }
    return NULL;
}

struct error *
image_add_manifest(struct image *image, const struct image_manifest *manifest)
{
    if (image->manifest_count == IMAGE_MANIFESTS_MAX) {
        return error_new(ERROR_INPUT, "it has more than %d manifests", IMAGE_MANIFESTS_MAX);
    }
    image->manifests =
        xrealloc(image->manifests, (image->manifest_count + 1) * sizeof(*image->manifests));
    image->manifests[image->manifest_count++] = *manifest;
    return NULL;
}

static const struct image_item *
find_item(const struct image *image, const char *digest)
{
    for (size_t i = 0; i < image->item_count; i++) {
        const char *known = image->items[i].part.descriptor.digest;
        if (known != NULL && strcmp(known, digest) == 0) {
            return &image->items[i];
        }
    }
    return NULL;
}

struct error *
image_add_item(struct image *image, const struct image_item *item)
{
    const struct image_descriptor *wanted = &item->part.descriptor;
    const struct image_item *known =
        wanted->digest != NULL ? find_item(image, wanted->digest) : NULL;
    if (known != NULL && known->part.descriptor.size != wanted->size) {
        return error_new(ERROR_INPUT, "'%s' has two sizes: %lld and %lld", wanted->digest,
            (long long)known->part.descriptor.size, (long long)wanted->size);
    }
    if (known != NULL) {
        return NULL;
    }
    if (image->item_count == IMAGE_BLOBS_MAX) {
        return error_new(ERROR_INPUT, "it has more than %d blobs", IMAGE_BLOBS_MAX);
    }
    image->items = xrealloc(image->items, (image->item_count + 1) * sizeof(*image->items));
    image->items[image->item_count++] = *item;
    return NULL;
}

void
image_add_platform(struct image *image, const char *platform)
{
    struct str_list *list = &image->platforms;
    if (platform == NULL || str_starts(str_of(platform), STR("unknown/"))) {
        return; // attestations say "unknown/unknown"
    }
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], platform) == 0) {
            return;
        }
    }
    const char **longer = arena_array(image->arena, list->count + 1, sizeof(*longer));
    if (list->count > 0) {
        memcpy(longer, list->items, list->count * sizeof(*longer));
    }
    longer[list->count] = platform;
    *list = (struct str_list){longer, list->count + 1};
}

static struct error *
open_source(struct image *image)
{
    switch (image->source.kind) {
    case IMAGE_OCI_LAYOUT:
        TRY(image_store_directory(image->source.path, &image->store));
        return image_open_oci(image);
    case IMAGE_OCI_ARCHIVE:
        TRY(image_store_tar(image->source.path, &image->store));
        return image_open_oci(image);
    case IMAGE_DOCKER_ARCHIVE:
        TRY(image_store_tar(image->source.path, &image->store));
        return image_open_docker_archive(image);
    case IMAGE_DOCKER_DAEMON:
        return image_open_daemon(image);
    case IMAGE_REGISTRY:
        return image_open_remote(image);
    }
    BUG_ON(true);
}

struct error *
image_open(const struct image_source *source, const struct image_access *access, struct image **out)
{
    struct image *image CLEANUP(image_closep) = xcalloc(1, sizeof(*image));
    image->arena = arena_new();
    image->access = access;
    image->source = (struct image_source){
        .kind = source->kind,
        .text = arena_dup(image->arena, source->text),
        .path = arena_dup(image->arena, source->path),
        .reference = arena_dup(image->arena, source->reference),
    };
    struct error *err = open_source(image);
    if (err != NULL) {
        return error_wrap(err, "image %s", image_quote(image->arena, source->text));
    }
    *out = image;
    image = NULL;
    return NULL;
}

void
image_close(struct image *image)
{
    if (image == NULL) {
        return;
    }
    if (image->close != NULL) {
        image->close(image);
    }
    image_store_free(image->store);
    free(image->manifests);
    free(image->items);
    arena_free(image->arena);
    free(image);
}

void
image_closep(struct image **image)
{
    image_close(*image);
    *image = NULL;
}

size_t
image_part_count(const struct image *image)
{
    return image->item_count;
}

const struct image_part *
image_part_at(const struct image *image, size_t index)
{
    BUG_ON(index >= image->item_count);
    return &image->items[index].part;
}

void
image_on_fetch(struct image *image, void (*progress)(void *ctx, int64_t done), void *ctx)
{
    image->fetching = progress;
    image->fetching_ctx = ctx;
}

struct error *
image_fetch(struct image *image)
{
    if (image->fetch == NULL) {
        return NULL;
    }
    struct error *err = image->fetch(image);
    if (err != NULL) {
        return error_wrap(err, "image %s", image_quote(image->arena, image->source.text));
    }
    image->fetch = NULL;
    return NULL;
}

int64_t
image_part_size(const struct image_part *part)
{
    return part->diff_id != NULL ? part->plain_size : part->descriptor.size;
}

// What was composed of other parts no longer holds.
static void
forget_composed(struct image *image)
{
    if (image->compose != NULL) {
        image->manifest_count = 0;
    }
}

void
image_settle(struct image *image, size_t index, const struct image_descriptor *descriptor)
{
    BUG_ON(index >= image->item_count || image->items[index].part.diff_id == NULL);
    image->items[index].part.descriptor = (struct image_descriptor){
        .media_type = arena_dup(image->arena, descriptor->media_type),
        .digest = arena_dup(image->arena, descriptor->digest),
        .size = descriptor->size,
    };
    forget_composed(image);
}

void
image_unsettle(struct image *image, size_t index)
{
    BUG_ON(index >= image->item_count || image->items[index].part.diff_id == NULL);
    struct image_item *item = &image->items[index];
    item->part.descriptor = (struct image_descriptor){.size = -1};
    if (item->stored != NULL) {
        item->part.descriptor = *item->stored;
        item->part.diff_id = NULL;
    }
    forget_composed(image);
}

bool
image_is_settled(const struct image *image)
{
    for (size_t i = 0; i < image->item_count; i++) {
        const struct image_descriptor *descriptor = &image->items[i].part.descriptor;
        if (descriptor->digest == NULL || descriptor->size < 0) {
            return false;
        }
    }
    return true;
}

void
image_adopt(struct image *image, const struct image_manifest *manifest)
{
    BUG_ON(image->compose == NULL);
    image->manifest_count = 0;
    struct image_manifest own = {
        .descriptor = {arena_dup(image->arena, manifest->descriptor.media_type),
            arena_dup(image->arena, manifest->descriptor.digest), manifest->descriptor.size, NULL},
        .bytes = {arena_str(image->arena, manifest->bytes), manifest->bytes.len},
    };
    struct error *err = image_add_manifest(image, &own);
    BUG_ON(err != NULL); // there is one
}

void
image_disown(struct image *image)
{
    forget_composed(image);
}

static struct error *
complete(struct image *image)
{
    if (image->manifest_count > 0) {
        return NULL;
    }
    BUG_ON(image->compose == NULL || !image_is_settled(image));
    struct error *err = image->compose(image);
    return err != NULL ? error_wrap(err, "image %s", image_quote(image->arena, image->source.text))
                       : NULL;
}

struct error *
image_digest(struct image *image, const char **out)
{
    TRY(complete(image));
    *out = image->manifests[image->manifest_count - 1].descriptor.digest;
    return NULL;
}

struct error *
image_manifests(struct image *image, const struct image_manifest **out, size_t *count)
{
    TRY(complete(image));
    *out = image->manifests;
    *count = image->manifest_count;
    return NULL;
}

// A body that ends before its announced length would keep the registry waiting.
static struct error *
check_unchanged(
    const struct image *image, const struct image_item *item, const struct image_file *file)
{
    static const char hint[] =
        "It was there a moment ago; do not change the image while it is pushed.";
    const char *name = image_quote(image->arena, item->path);
    int64_t size = item->part.diff_id != NULL ? item->part.plain_size : item->part.descriptor.size;
    if (file->fd < 0) {
        return error_hint(error_new(ERROR_INPUT, "%s is gone", name), "%s", hint);
    }
    if (file->size != size) {
        return error_hint(error_new(ERROR_INPUT, "%s has %lld bytes instead of %lld", name,
                              (long long)file->size, (long long)size),
            "%s", hint);
    }
    return NULL;
}

static struct error *
open_item(struct image *image, size_t index, struct image_file *out)
{
    BUG_ON(index >= image->item_count);
    const struct image_item *item = &image->items[index];
    BUG_ON(image->store == NULL); // image_fetch comes first
    struct error *err = image->store->open(image->store, item->path, out);
    if (err == NULL) {
        err = check_unchanged(image, item, out);
    }
    return err != NULL ? error_wrap(err, "image %s", image_quote(image->arena, image->source.text))
                       : NULL;
}

struct error *
image_plain_open(struct image *image, size_t index, struct image_file *out)
{
    return open_item(image, index, out);
}

struct error *
image_part_open(struct image *image, size_t index, struct http_reader *out)
{
    struct image_file file CLEANUP(image_file_close) = IMAGE_FILE_NONE;
    BUG_ON(image_part_at(image, index)->diff_id != NULL);
    if (image->open != NULL) {
        return image->open(image, index, out);
    }
    TRY(open_item(image, index, &file));
    reader_of_file(&file, out);
    return NULL;
}

void
image_part_close(struct http_reader *reader)
{
    reader_close(reader);
}

struct error *
image_run(struct image *image, struct http_client *http, const struct http_flow *flow)
{
    return image->run != NULL ? image->run(image, http, flow) : http_run(http, flow);
}

static struct error *
drain(struct http_reader *reader)
{
    enum { PIECE = 64 * 1024 };
    char *piece CLEANUP(xfreep) = xmalloc(PIECE);
    int64_t got = 1;
    while (got > 0) {
        struct error *err = NULL;
        got = reader->read(reader->ctx, piece, PIECE, &err);
        TRY(err);
    }
    return NULL;
}

struct error *
image_part_verify(struct image *image, size_t index)
{
    const struct image_descriptor *descriptor = &image_part_at(image, index)->descriptor;
    struct http_reader inner CLEANUP(reader_close) = {0}, reader CLEANUP(reader_close) = {0};
    if (image->run != NULL) {
        return NULL; // checked as it passed, and read only while others are
    }
    TRY(image_part_open(image, index, &inner));
    reader_verified(&inner, descriptor->digest, descriptor->size, &reader);
    return drain(&reader);
}

struct error *
image_check_plain(const struct image *image, size_t index, const char *diff_id)
{
    const struct image_item *item = &image->items[index];
    if (strcmp(item->part.diff_id, diff_id) == 0) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_INPUT, "image %s: layer %s has digest '%s' but the configuration says '%s'",
            image_quote(image->arena, image->source.text), image_quote(image->arena, item->path),
            diff_id, item->part.diff_id),
        "The archive is damaged or its layers are mixed up; save the image again.");
}

bool
image_media_is_zstd(const char *media_type)
{
    return str_ends(str_of(media_type), STR("+zstd"));
}

const char *
image_platforms(const struct image *image)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < image->platforms.count; i++) {
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", image->platforms.items[i]);
    }
    return arena_str(image->arena, buf_str(&text));
}
