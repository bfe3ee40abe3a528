// The manifest that an image of Docker's lacks: one configuration, and layers in order whose
// compressed form is settled by now. Docker's schema 2, since the configuration is Docker's; OCI
// where a layer is zstd, for which schema 2 has no media type.
#include <string.h>

#include "dispatcher/memory.h"
#include "image_internal.h"

static const char *
layer_type(bool oci, const char *media_type)
{
    if (!oci) {
        return MEDIA_DOCKER_LAYER_GZIP;
    }
    return image_media_is_zstd(media_type) ? MEDIA_OCI_LAYER_ZSTD : MEDIA_OCI_LAYER_GZIP;
}

static struct json *
descriptor_json(const char *media_type, const struct image_descriptor *descriptor)
{
    struct json *object = json_make_object();
    json_set_str(object, "mediaType", media_type);
    json_set_int(object, "size", descriptor->size);
    json_set_str(object, "digest", descriptor->digest);
    return object;
}

static bool
has_zstd(const struct image *image, const struct docker_image *made)
{
    for (size_t i = 0; i < made->layer_count; i++) {
        if (image_media_is_zstd(image->items[made->layers[i]].part.descriptor.media_type)) {
            return true;
        }
    }
    return false;
}

static struct json *
manifest_json(const struct image *image, const struct docker_image *made, bool oci)
{
    struct json *manifest = json_make_object();
    struct json *layers = json_make_array();
    json_set_int(manifest, "schemaVersion", 2);
    json_set_str(manifest, "mediaType", oci ? MEDIA_OCI_MANIFEST : MEDIA_DOCKER_MANIFEST);
    json_set(manifest, "config",
        descriptor_json(oci ? MEDIA_OCI_CONFIG : MEDIA_DOCKER_CONFIG,
            &image->items[made->config].part.descriptor));
    for (size_t i = 0; i < made->layer_count; i++) {
        const struct image_descriptor *layer = &image->items[made->layers[i]].part.descriptor;
        json_append(layers, descriptor_json(layer_type(oci, layer->media_type), layer));
    }
    json_set(manifest, "layers", layers);
    return manifest;
}

struct error *
docker_image_compose(struct image *image)
{
    const struct docker_image *made = image->document;
    bool oci = has_zstd(image, made);
    struct json *manifest CLEANUP(json_freep) = manifest_json(image, made, oci);
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(IMAGE_MANIFEST_MAX);
    json_print(manifest, false, &bytes);
    TRY(buf_finish(&bytes, "the manifest"));
    unsigned char hash[SHA256_SIZE];
    char *digest = arena_alloc(image->arena, SHA256_DIGEST_TEXT_SIZE);
    sha256_of(buf_str(&bytes), hash);
    sha256_digest_text(hash, digest);
    struct image_manifest composed = {
        .descriptor = {oci ? MEDIA_OCI_MANIFEST : MEDIA_DOCKER_MANIFEST, digest, (int64_t)bytes.len,
            NULL},
        .bytes = {arena_str(image->arena, buf_str(&bytes)), bytes.len},
    };
    return image_add_manifest(image, &composed);
}
