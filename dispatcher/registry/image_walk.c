// Walks down from a manifest or an index to every configuration and layer below it (OCI image spec
// 1.1), wherever they are. Manifests and configurations are read and hashed here; layers are
// checked for their size where that is cheap, their content as it is sent.
#include <string.h>

#include "dispatcher/name.h"
#include "image_internal.h"

static struct error *
wrong_size(const char *what, const struct descriptor_document *descriptor, int64_t size)
{
    return error_hint(error_new(ERROR_INPUT, "%s '%s' has %lld bytes instead of %lld", what,
                          descriptor->digest, (long long)size, (long long)descriptor->size),
        "The image is damaged or was not written to the end; write it again.");
}

static struct error *
check_layer(const struct image_walk *walk, const struct descriptor_document *descriptor)
{
    int64_t size = 0;
    if (walk->measure == NULL) {
        return NULL;
    }
    TRY(walk->measure(walk, descriptor, &size));
    return size == descriptor->size ? NULL : wrong_size("layer", descriptor, size);
}

// Whole content, checked against size and digest.
static struct error *
read_checked(const struct image_walk *walk, const char *what,
    const struct descriptor_document *descriptor, struct buf *out)
{
    TRY(walk->read(walk, what, descriptor, out));
    if ((int64_t)out->len != descriptor->size) {
        return wrong_size(what, descriptor, (int64_t)out->len);
    }
    unsigned char hash[SHA256_SIZE];
    char text[SHA256_DIGEST_TEXT_SIZE];
    sha256_of(buf_str(out), hash);
    sha256_digest_text(hash, text);
    if (strcmp(text, descriptor->digest) != 0) {
        return error_hint(error_new(ERROR_INPUT, "%s '%s' is corrupt: its content has digest '%s'",
                              what, descriptor->digest, text),
            "Build or save the image again.");
    }
    return NULL;
}

static bool
config_is_an_image(const char *media_type)
{
    return cstr_equal(media_type, MEDIA_OCI_CONFIG) || cstr_equal(media_type, MEDIA_DOCKER_CONFIG);
}

static bool
layers_are_tars(const struct manifest_document *document)
{
    const struct descriptor_document *layers = document->layers.items;
    for (size_t i = 0; i < document->layers.count; i++) {
        struct str type = str_of(layers[i].media_type);
        if (!str_contains(type, STR(".tar"))) {
            return false;
        }
    }
    return true;
}

// Read whole: its digest counts, and a runtime refuses an image whose layers it does not list.
struct error *
image_walk_config(const struct image_walk *walk, const struct manifest_document *document,
    const char *subject, struct buf *bytes, const char **platform)
{
    struct arena *arena = walk->image->arena;
    struct config_document config = {0};
    TRY(read_checked(walk, "configuration", &document->config, bytes));
    if (!config_is_an_image(document->config.media_type) || !layers_are_tars(document)) {
        return NULL; // an artifact or an attestation: its configuration means nothing to us
    }
    const char *name = arena_printf(arena, "configuration '%s'", document->config.digest);
    TRY(config_parse(buf_str(bytes), name, arena, &config));
    if (config.diff_ids.count != document->layers.count) {
        return error_new(ERROR_INPUT, "%s has %zu layers but its configuration lists %zu", subject,
            document->layers.count, config.diff_ids.count);
    }
    struct platform_document said = {config.os, config.architecture, config.variant};
    *platform = platform_text(arena, &said);
    return NULL;
}

static struct error *
add_blob(struct image *image, const struct descriptor_document *descriptor)
{
    struct image_item item = {
        .part.descriptor = {descriptor->media_type, descriptor->digest, descriptor->size, NULL},
        .path = image_blob_path(image->arena, descriptor->digest),
    };
    return image_add_item(image, &item);
}

static struct error *
add_blobs(const struct image_walk *walk, const struct manifest_document *document,
    const char *subject, const char **platform)
{
    const struct descriptor_document *layers = document->layers.items;
    if (manifest_type_is_known(document->config.media_type)) {
        return error_new(ERROR_INPUT, "%s: its configuration is listed as a manifest", subject);
    }
    if (!walk->skips_configs) {
        struct buf bytes CLEANUP(buf_done) = BUF_INIT(IMAGE_CONFIG_MAX);
        TRY(image_walk_config(walk, document, subject, &bytes, platform));
    }
    TRY(add_blob(walk->image, &document->config));
    for (size_t i = 0; i < document->layers.count; i++) {
        TRY(check_layer(walk, &layers[i]));
        TRY(add_blob(walk->image, &layers[i]));
    }
    return NULL;
}

static struct error *descend(
    const struct image_walk *walk, const struct descriptor_document *descriptor, unsigned depth);

static struct error *
add_children(const struct image_walk *walk, const struct manifest_document *document,
    const char *subject, unsigned depth)
{
    const struct descriptor_document *children = document->manifests.items;
    if (document->manifests.count == 0) {
        return error_new(ERROR_INPUT, "%s: the index is empty", subject);
    }
    if (depth == IMAGE_NESTING_MAX) {
        return error_new(
            ERROR_INPUT, "%s: indexes are nested deeper than %d", subject, IMAGE_NESTING_MAX);
    }
    if (walk->announce != NULL) {
        TRY(walk->announce(walk, children, document->manifests.count));
    }
    for (size_t i = 0; i < document->manifests.count; i++) {
        TRY(descend(walk, &children[i], depth + 1));
    }
    return NULL;
}

static struct error *
check_listed(const struct image *image, const struct descriptor_document *descriptor)
{
    if (!manifest_type_is_known(descriptor->media_type)) {
        return error_hint(
            error_new(ERROR_INPUT, "'%s' has media type %s, which is no image", descriptor->digest,
                image_quote(image->arena, descriptor->media_type)),
            "Images are OCI manifests and indexes, or Docker manifests of schema 2 and their "
            "lists.");
    }
    return NULL;
}

// Adds everything below the descriptor, then the manifest itself.
static struct error *
descend(const struct image_walk *walk, const struct descriptor_document *descriptor, unsigned depth)
{
    struct image *image = walk->image;
    TRY(check_listed(image, descriptor));
    const struct image_manifest *known = image_find_manifest(image, descriptor->digest);
    if (known != NULL && known->descriptor.size == descriptor->size &&
        cstr_equal(known->descriptor.media_type, descriptor->media_type)) {
        return NULL;
    }
    if (known != NULL) {
        return error_new(ERROR_INPUT, "manifest '%s' is listed in two ways", descriptor->digest);
    }
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(IMAGE_MANIFEST_MAX);
    struct manifest_document document = {0};
    bool is_index = manifest_type_is_index(descriptor->media_type);
    const char *what = is_index ? "index" : "manifest";
    const char *subject = arena_printf(image->arena, "%s '%s'", what, descriptor->digest);
    TRY(read_checked(walk, what, descriptor, &bytes));
    TRY(manifest_parse(buf_str(&bytes), descriptor->media_type, subject, image->arena, &document));
    const char *platform = NULL;
    if (is_index) {
        TRY(add_children(walk, &document, subject, depth));
    } else {
        TRY(add_blobs(walk, &document, subject, &platform));
    }
    // What the index says counts; it is what a runtime selects by.
    const char *listed = platform_text(image->arena, &descriptor->platform);
    platform = listed != NULL ? listed : platform;
    struct image_manifest manifest = {
        .descriptor = {descriptor->media_type, descriptor->digest, descriptor->size, platform},
        .bytes = {arena_str(image->arena, buf_str(&bytes)), bytes.len},
        .is_index = is_index,
    };
    image_add_platform(image, manifest.descriptor.platform);
    return image_add_manifest(image, &manifest);
}

struct error *
image_walk(const struct image_walk *walk, const struct descriptor_document *root)
{
    return descend(walk, root, 0);
}
