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

struct error *
image_add_blob(struct image *image, const struct image_blob *blob)
{
    for (size_t i = 0; i < image->blob_count; i++) {
        const struct image_descriptor *known = &image->blobs[i].descriptor;
        if (strcmp(known->digest, blob->descriptor.digest) != 0) {
            continue;
        }
        if (known->size != blob->descriptor.size) {
            return error_new(ERROR_INPUT, "'%s' has two sizes: %lld and %lld", known->digest,
                (long long)known->size, (long long)blob->descriptor.size);
        }
        return NULL;
    }
    if (image->blob_count == IMAGE_BLOBS_MAX) {
        return error_new(ERROR_INPUT, "it has more than %d blobs", IMAGE_BLOBS_MAX);
    }
    image->blobs = xrealloc(image->blobs, (image->blob_count + 1) * sizeof(*image->blobs));
    image->blobs[image->blob_count++] = *blob;
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
    case IMAGE_REGISTRY:
        break; // image_source_parse makes none of these
    }
    BUG_ON(true);
}

struct error *
image_open(const struct image_source *source, struct image **out)
{
    struct image *image CLEANUP(image_closep) = xcalloc(1, sizeof(*image));
    image->arena = arena_new();
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
    image_store_free(image->store);
    free(image->manifests);
    free(image->blobs);
    arena_free(image->arena);
    free(image);
}

void
image_closep(struct image **image)
{
    image_close(*image);
    *image = NULL;
}

static struct error *
complete(struct image *image)
{
    if (image->resolve == NULL) {
        return NULL;
    }
    struct error *err = image->resolve(image);
    if (err != NULL) {
        return error_wrap(err, "image %s", image_quote(image->arena, image->source.text));
    }
    image->resolve = NULL;
    return NULL;
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

struct error *
image_blobs(struct image *image, const struct image_descriptor **out, size_t *count)
{
    TRY(complete(image));
    if (image->descriptors == NULL) {
        image->descriptors =
            arena_array(image->arena, image->blob_count, sizeof(*image->descriptors));
        for (size_t i = 0; i < image->blob_count; i++) {
            image->descriptors[i] = image->blobs[i].descriptor;
        }
    }
    *out = image->descriptors;
    *count = image->blob_count;
    return NULL;
}

static const struct image_blob *
find_blob(const struct image *image, const char *digest)
{
    for (size_t i = 0; i < image->blob_count; i++) {
        if (strcmp(image->blobs[i].descriptor.digest, digest) == 0) {
            return &image->blobs[i];
        }
    }
    return NULL;
}

struct error *
image_blob_open(struct image *image, const struct image_descriptor *blob, struct http_reader *out)
{
    TRY(complete(image));
    const struct image_blob *known = find_blob(image, blob->digest);
    BUG_ON(known == NULL); // only what image_blobs listed may be asked for
    struct http_reader inner = {0};
    struct error *err = known->open(image, known, &inner);
    if (err != NULL) {
        return error_wrap(err, "image %s", image_quote(image->arena, image->source.text));
    }
    reader_verified(&inner, known->descriptor.digest, known->descriptor.size, out);
    return NULL;
}

void
image_blob_close(struct http_reader *reader)
{
    reader_close(reader);
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
