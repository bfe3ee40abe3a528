// OCI image layouts (image spec 1.1, "image-layout"), in a directory or a tar: picks the entry of
// index.json that is meant. What lies below it is image_walk.c's; here is where it is found.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "image_internal.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define CONTAINERD_NAME "io.containerd.image.name" // "host/app:1", as docker save writes it

static struct error *
missing(const struct image *image, const char *what, const struct descriptor_document *descriptor,
    bool layer)
{
    const char *platform = layer ? NULL : platform_text(image->arena, &descriptor->platform);
    return error_hint(error_new(ERROR_INPUT, "%s '%s'%s%s%s is not in the image", what,
                          descriptor->digest, platform != NULL ? " (" : "",
                          platform != NULL ? platform : "", platform != NULL ? ")" : ""),
        "Copy the image with everything in it: skopeo copy --all SOURCE oci:DIR.");
}

static struct error *
read_blob(const struct image_walk *walk, const char *what,
    const struct descriptor_document *descriptor, struct buf *out)
{
    bool found = false;
    const char *path = image_blob_path(walk->image->arena, descriptor->digest);
    TRY(image_store_read(walk->image->store, path, out, &found));
    return found ? NULL : missing(walk->image, what, descriptor, false);
}

static struct error *
measure_layer(
    const struct image_walk *walk, const struct descriptor_document *descriptor, int64_t *size)
{
    struct image_file file CLEANUP(image_file_close) = IMAGE_FILE_NONE;
    const char *path = image_blob_path(walk->image->arena, descriptor->digest);
    TRY(walk->image->store->open(walk->image->store, path, &file));
    if (file.fd < 0) {
        return missing(walk->image, "layer", descriptor, true);
    }
    *size = file.size;
    return NULL;
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
    const struct image_walk walk = {.image = image, .read = read_blob, .measure = measure_layer};
    return image_walk(&walk, entry);
}
