// OCI image layouts (image spec 1.1, "image-layout"), in a directory or a tar: picks the entry of
// index.json that is meant and walks down to every blob. Manifests and configurations are read and
// hashed here; layers are checked for presence and size, their content as it is sent.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "image_internal.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define CONTAINERD_NAME "io.containerd.image.name" // "host/app:1", as docker save writes it

static struct error *
missing(const char *what, const struct descriptor_document *descriptor, const char *platform)
{
    return error_hint(error_new(ERROR_INPUT, "%s '%s'%s%s%s is not in the image", what,
                          descriptor->digest, platform != NULL ? " (" : "",
                          platform != NULL ? platform : "", platform != NULL ? ")" : ""),
        "Copy the image with everything in it: skopeo copy --all SOURCE oci:DIR.");
}

static struct error *
wrong_size(const char *what, const struct descriptor_document *descriptor, int64_t size)
{
    return error_hint(error_new(ERROR_INPUT, "%s '%s' has %lld bytes instead of %lld", what,
                          descriptor->digest, (long long)size, (long long)descriptor->size),
        "The image is damaged or was not written to the end; write it again.");
}

// Present, with the size that its descriptor says?
static struct error *
check_presence(struct image *image, const char *what, const struct descriptor_document *descriptor)
{
    struct image_file file CLEANUP(image_file_close) = IMAGE_FILE_NONE;
    const char *path = image_blob_path(image->arena, descriptor->digest);
    TRY(image->store->open(image->store, path, &file));
    if (file.fd < 0) {
        return missing(what, descriptor, NULL);
    }
    return file.size == descriptor->size ? NULL : wrong_size(what, descriptor, file.size);
}

// Whole content, checked against size and digest.
static struct error *
read_checked(struct image *image, const char *what, const struct descriptor_document *descriptor,
    struct buf *out)
{
    bool found = false;
    const char *platform = platform_text(image->arena, &descriptor->platform);
    const char *path = image_blob_path(image->arena, descriptor->digest);
    TRY(image_store_read(image->store, path, out, &found));
    if (!found) {
        return missing(what, descriptor, platform);
    }
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
// *platform becomes what the configuration says, if it does.
static struct error *
check_config(struct image *image, const struct manifest_document *document, const char *subject,
    const char **platform)
{
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(IMAGE_CONFIG_MAX);
    struct config_document config = {0};
    TRY(read_checked(image, "configuration", &document->config, &bytes));
    if (!config_is_an_image(document->config.media_type) || !layers_are_tars(document)) {
        return NULL; // an artifact or an attestation: its configuration means nothing to us
    }
    const char *name = arena_printf(image->arena, "configuration '%s'", document->config.digest);
    TRY(config_parse(buf_str(&bytes), name, image->arena, &config));
    if (config.diff_ids.count != document->layers.count) {
        return error_new(ERROR_INPUT, "%s has %zu layers but its configuration lists %zu", subject,
            document->layers.count, config.diff_ids.count);
    }
    struct platform_document said = {config.os, config.architecture, config.variant};
    *platform = platform_text(image->arena, &said);
    return NULL;
}

static struct error *
add_file_blob(struct image *image, const struct descriptor_document *descriptor)
{
    struct image_item item = {
        .part.descriptor = {descriptor->media_type, descriptor->digest, descriptor->size, NULL},
        .path = image_blob_path(image->arena, descriptor->digest),
    };
    return image_add_item(image, &item);
}

static struct error *
add_blobs(struct image *image, const struct manifest_document *document, const char *subject,
    const char **platform)
{
    const struct descriptor_document *layers = document->layers.items;
    if (manifest_type_is_known(document->config.media_type)) {
        return error_new(ERROR_INPUT, "%s: its configuration is listed as a manifest", subject);
    }
    TRY(check_config(image, document, subject, platform));
    TRY(add_file_blob(image, &document->config));
    for (size_t i = 0; i < document->layers.count; i++) {
        TRY(check_presence(image, "layer", &layers[i]));
        TRY(add_file_blob(image, &layers[i]));
    }
    return NULL;
}

static struct error *descend(
    struct image *image, const struct descriptor_document *descriptor, unsigned depth);

static struct error *
add_children(struct image *image, const struct manifest_document *document, const char *subject,
    unsigned depth)
{
    const struct descriptor_document *children = document->manifests.items;
    if (document->manifests.count == 0) {
        return error_new(ERROR_INPUT, "%s: the index is empty", subject);
    }
    if (depth == IMAGE_NESTING_MAX) {
        return error_new(
            ERROR_INPUT, "%s: indexes are nested deeper than %d", subject, IMAGE_NESTING_MAX);
    }
    for (size_t i = 0; i < document->manifests.count; i++) {
        TRY(descend(image, &children[i], depth + 1));
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
descend(struct image *image, const struct descriptor_document *descriptor, unsigned depth)
{
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
    TRY(read_checked(image, what, descriptor, &bytes));
    TRY(manifest_parse(buf_str(&bytes), descriptor->media_type, subject, image->arena, &document));
    const char *platform = NULL;
    if (is_index) {
        TRY(add_children(image, &document, subject, depth));
    } else {
        TRY(add_blobs(image, &document, subject, &platform));
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

static const char *
annotation(const struct descriptor_document *descriptor, const char *key)
{
    for (size_t i = 0; i < descriptor->annotations.count; i++) {
        if (strcmp(descriptor->annotations.items[i].key, key) == 0) {
            return descriptor->annotations.items[i].value;
        }
    }
    return NULL;
}

static bool
is_meant(const struct descriptor_document *descriptor, const char *reference)
{
    return reference == NULL || cstr_equal(annotation(descriptor, REF_NAME), reference) ||
           cstr_equal(annotation(descriptor, CONTAINERD_NAME), reference) ||
           strcmp(descriptor->digest, reference) == 0;
}

// The name by which an entry can be asked for: its own where no other entry has it, else its
// digest.
static const char *
choice(const struct manifest_document *root, const struct descriptor_document *entry)
{
    const struct descriptor_document *entries = root->manifests.items;
    const char *name = annotation(entry, REF_NAME);
    for (size_t i = 0; i < root->manifests.count && name != NULL; i++) {
        if (&entries[i] != entry && cstr_equal(annotation(&entries[i], REF_NAME), name)) {
            name = NULL;
        }
    }
    return name != NULL ? name : entry->digest;
}

// "'1.0', 'latest', 'sha256:…'": what could have been asked for.
static const char *
choices(const struct image *image, const struct manifest_document *root)
{
    enum { SHOWN = 5 };
    struct buf text CLEANUP(buf_done) = BUF_INIT(8192);
    const struct descriptor_document *entries = root->manifests.items;
    for (size_t i = 0; i < root->manifests.count && i < SHOWN; i++) {
        buf_printf(
            &text, "%s%s", i > 0 ? ", " : "", image_quote(image->arena, choice(root, &entries[i])));
    }
    if (root->manifests.count > SHOWN) {
        buf_printf(&text, " and %zu more", root->manifests.count - SHOWN);
    }
    return arena_str(image->arena, buf_str(&text));
}

static const char *
scheme(const struct image *image)
{
    return image->source.kind == IMAGE_OCI_LAYOUT ? "oci" : "oci-archive";
}

static struct error *
select_entry(const struct image *image, const struct manifest_document *root,
    const struct descriptor_document **out)
{
    const struct descriptor_document *entries = root->manifests.items, *found = NULL;
    const char *reference = image->source.reference;
    if (root->manifests.count == 0) {
        return error_new(ERROR_INPUT, "'index.json' lists no image");
    }
    for (size_t i = 0; i < root->manifests.count; i++) {
        if (!is_meant(&entries[i], reference)) {
            continue;
        }
        if (found != NULL && strcmp(found->digest, entries[i].digest) != 0) {
            return error_hint(error_new(ERROR_INPUT, "it holds several images%s%s",
                                  reference != NULL ? " named " : "",
                                  reference != NULL ? image_quote(image->arena, reference) : ""),
                "Say which one, as in %s:%s:REF; there are %s.", scheme(image), image->source.path,
                choices(image, root));
        }
        found = found != NULL ? found : &entries[i];
    }
    if (found == NULL) {
        return error_hint(error_new(ERROR_INPUT, "it holds no image named %s",
                              image_quote(image->arena, reference)),
            "There are %s.", choices(image, root));
    }
    *out = found;
    return NULL;
}

static struct error *
check_version(struct image *image)
{
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    struct json *json CLEANUP(json_freep) = NULL;
    bool found = false;
    TRY(image_store_read(image->store, "oci-layout", &bytes, &found));
    if (!found) {
        struct image_file other CLEANUP(image_file_close) = IMAGE_FILE_NONE;
        TRY(image->store->open(image->store, "manifest.json", &other));
        struct error *err = error_new(ERROR_INPUT, "it is not an OCI layout: no 'oci-layout'");
        return other.fd < 0 ? err
                            : error_hint(err, "It looks like a Docker archive: docker-archive:%s.",
                                  image->source.path);
    }
    struct error *err = json_parse(buf_str(&bytes), &json_limits_default, &json);
    if (err != NULL) {
        return image_json_error(err, "'oci-layout'");
    }
    const char *version = json_str(json_get(json, "imageLayoutVersion"));
    if (version == NULL || !str_starts(str_of(version), STR("1."))) {
        return error_new(ERROR_INPUT, "'oci-layout': layout version %s is not known",
            image_quote(image->arena, version != NULL ? version : ""));
    }
    return NULL;
}

struct error *
image_open_oci(struct image *image)
{
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(IMAGE_MANIFEST_MAX);
    struct manifest_document root = {0};
    const struct descriptor_document *entry = NULL;
    bool found = false;
    TRY(check_version(image));
    TRY(image_store_read(image->store, "index.json", &bytes, &found));
    if (!found) {
        return error_new(ERROR_INPUT, "it is not an OCI layout: no 'index.json'");
    }
    TRY(manifest_parse_root(buf_str(&bytes), image->arena, &root));
    TRY(select_entry(image, &root, &entry));
    return descend(image, entry, 0);
}
