// Manifests, indexes and configurations as documents: parsing and checking their form (OCI image
// spec 1.1, Docker image manifest v2 schema 2). Reads no blob.
#include <string.h>

#include "dispatcher/name.h"
#include "image_internal.h"

static const struct field platform_fields[] = {
    FIELD(struct platform_document, os, "os", FIELD_STR),
    FIELD(struct platform_document, architecture, "architecture", FIELD_STR),
    FIELD(struct platform_document, variant, "variant", FIELD_STR),
};
static const struct field_table platform_table =
    FIELD_TABLE("platform", struct platform_document, platform_fields);

static const struct field descriptor_fields[] = {
    FIELD(struct descriptor_document, media_type, "mediaType", FIELD_STR, .required = true),
    FIELD(struct descriptor_document, digest, "digest", FIELD_STR, .required = true),
    FIELD(struct descriptor_document, size, "size", FIELD_INT, .required = true),
    FIELD(struct descriptor_document, platform, "platform", FIELD_OBJECT, .table = &platform_table),
    FIELD(struct descriptor_document, annotations, "annotations", FIELD_MAP_STR),
};
static const struct field_table descriptor_table =
    FIELD_TABLE("descriptor", struct descriptor_document, descriptor_fields);

static const struct field manifest_fields[] = {
    FIELD(struct manifest_document, schema_version, "schemaVersion", FIELD_INT, .required = true),
    FIELD(struct manifest_document, media_type, "mediaType", FIELD_STR),
    FIELD(struct manifest_document, config, "config", FIELD_OBJECT, .table = &descriptor_table,
        .present_offset = offsetof(struct manifest_document, has_config)),
    FIELD(struct manifest_document, layers, "layers", FIELD_LIST_OBJECT, .table = &descriptor_table,
        .present_offset = offsetof(struct manifest_document, has_layers)),
    FIELD(struct manifest_document, manifests, "manifests", FIELD_LIST_OBJECT,
        .table = &descriptor_table,
        .present_offset = offsetof(struct manifest_document, has_manifests)),
};
static const struct field_table manifest_table =
    FIELD_TABLE("manifest", struct manifest_document, manifest_fields);

bool
manifest_type_is_index(const char *media_type)
{
    return cstr_equal(media_type, MEDIA_OCI_INDEX) || cstr_equal(media_type, MEDIA_DOCKER_LIST);
}

bool
manifest_type_is_known(const char *media_type)
{
    return manifest_type_is_index(media_type) || cstr_equal(media_type, MEDIA_OCI_MANIFEST) ||
           cstr_equal(media_type, MEDIA_DOCKER_MANIFEST);
}

// type/subtype of RFC 6838 §4.2: it becomes a header when a manifest is sent.
static bool
media_type_is_valid(const char *text)
{
    static const char others[] = "!#$&-^_.+";
    size_t slashes = 0, len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        char byte = text[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || strchr(others, byte) != NULL;
        slashes += byte == '/';
        if (!plain && byte != '/') {
            return false;
        }
    }
    return slashes == 1 && len <= 255 && text[0] != '/' && text[len - 1] != '/';
}

static struct error *
check_descriptor(const struct descriptor_document *descriptor, const char *subject,
    const char *place, struct arena *arena)
{
    if (!media_type_is_valid(descriptor->media_type)) {
        return error_new(ERROR_INPUT, "%s: %s: media type %s is not valid", subject, place,
            image_quote(arena, descriptor->media_type));
    }
    if (str_starts(str_of(descriptor->digest), STR("sha512:"))) {
        return error_new(
            ERROR_INPUT, "%s: %s: digests with sha512 are not supported", subject, place);
    }
    if (!digest_is_valid(str_of(descriptor->digest))) {
        return error_hint(error_new(ERROR_INPUT, "%s: %s: digest %s is not valid", subject, place,
                              image_quote(arena, descriptor->digest)),
            "A digest is 'sha256:' and 64 lower-case hexadecimal digits.");
    }
    if (descriptor->size < 0) {
        return error_new(ERROR_INPUT, "%s: %s: size %lld is not valid", subject, place,
            (long long)descriptor->size);
    }
    return NULL;
}

static struct error *
check_list(const struct object_list *list, const char *subject, const char *key, size_t max,
    struct arena *arena)
{
    const struct descriptor_document *items = list->items;
    if (list->count > max) {
        return error_new(
            ERROR_INPUT, "%s: '%s' has %zu entries, more than %zu", subject, key, list->count, max);
    }
    for (size_t i = 0; i < list->count; i++) {
        const char *place = arena_printf(arena, "%s[%zu]", key, i);
        TRY(check_descriptor(&items[i], subject, place, arena));
    }
    return NULL;
}

static struct error *
decode(struct str bytes, const char *subject, const struct field_table *table, struct arena *arena,
    void *out)
{
    struct json *json CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(bytes, &json_limits_default, &json);
    if (err == NULL) {
        err = json_decode(json, table, arena, out);
    }
    return err != NULL ? image_json_error(err, subject) : NULL;
}

static struct error *
check_manifest(const struct manifest_document *document, const char *subject, struct arena *arena)
{
    if (document->schema_version == 1) {
        return error_hint(error_new(ERROR_INPUT, "%s: it has the old schema 1", subject),
            "Convert it: skopeo copy --format oci SOURCE oci:DIR.");
    }
    if (document->schema_version != 2) {
        return error_new(ERROR_INPUT, "%s: schema version %lld is not known", subject,
            (long long)document->schema_version);
    }
    // A document that reads as both has two meanings (GHSA-mc8v-mgrf-8f4m).
    if (document->has_manifests && (document->has_layers || document->has_config)) {
        return error_new(ERROR_INPUT, "%s: it is an index and a manifest at once", subject);
    }
    TRY(check_list(&document->manifests, subject, "manifests", IMAGE_MANIFESTS_MAX, arena));
    TRY(check_list(&document->layers, subject, "layers", IMAGE_LAYERS_MAX, arena));
    return document->has_config ? check_descriptor(&document->config, subject, "config", arena)
                                : NULL;
}

struct error *
manifest_parse(struct str bytes, const char *media_type, const char *subject, struct arena *arena,
    struct manifest_document *out)
{
    struct manifest_document document = {0};
    TRY(decode(bytes, subject, &manifest_table, arena, &document));
    TRY(check_manifest(&document, subject, arena));
    if (document.media_type != NULL && strcmp(document.media_type, media_type) != 0) {
        return error_new(ERROR_INPUT, "%s: it calls itself %s but is listed as '%s'", subject,
            image_quote(arena, document.media_type), media_type);
    }
    bool is_index = manifest_type_is_index(media_type);
    if (is_index && !document.has_manifests) {
        return error_new(
            ERROR_INPUT, "%s: it is listed as an index but has no 'manifests'", subject);
    }
    if (!is_index && !(document.has_config && document.has_layers)) {
        return error_new(ERROR_INPUT,
            "%s: it is listed as a manifest but has no 'config' and 'layers'", subject);
    }
    *out = document;
    return NULL;
}

struct error *
manifest_parse_root(struct str bytes, struct arena *arena, struct manifest_document *out)
{
    struct manifest_document document = {0};
    TRY(decode(bytes, "'index.json'", &manifest_table, arena, &document));
    TRY(check_manifest(&document, "'index.json'", arena));
    if (document.media_type != NULL && strcmp(document.media_type, MEDIA_OCI_INDEX) != 0) {
        return error_new(ERROR_INPUT, "'index.json': media type %s is not that of an index",
            image_quote(arena, document.media_type));
    }
    *out = document;
    return NULL;
}

struct rootfs_document {
    struct str_list diff_ids;
};
static const struct field rootfs_fields[] = {
    FIELD(struct rootfs_document, diff_ids, "diff_ids", FIELD_LIST_STR),
};
static const struct field_table rootfs_table =
    FIELD_TABLE("rootfs", struct rootfs_document, rootfs_fields);

static const struct field config_fields[] = {
    FIELD(struct config_document, os, "os", FIELD_STR),
    FIELD(struct config_document, architecture, "architecture", FIELD_STR),
    FIELD(struct config_document, variant, "variant", FIELD_STR),
    FIELD(struct config_document, diff_ids, "rootfs", FIELD_OBJECT, .table = &rootfs_table),
};
static const struct field_table config_table =
    FIELD_TABLE("configuration", struct config_document, config_fields);

struct error *
config_parse(
    struct str bytes, const char *subject, struct arena *arena, struct config_document *out)
{
    struct config_document document = {0};
    TRY(decode(bytes, subject, &config_table, arena, &document));
    for (size_t i = 0; i < document.diff_ids.count; i++) {
        if (!digest_is_valid(str_of(document.diff_ids.items[i]))) {
            return error_new(ERROR_INPUT, "%s: 'rootfs.diff_ids[%zu]' %s is not a digest", subject,
                i, image_quote(arena, document.diff_ids.items[i]));
        }
    }
    *out = document;
    return NULL;
}

const char *
platform_text(struct arena *arena, const struct platform_document *platform)
{
    if (platform->os == NULL || platform->architecture == NULL) {
        return NULL;
    }
    const char *variant = platform->variant != NULL ? platform->variant : "";
    const char *text = arena_printf(arena, "%s/%s%s%s", platform->os, platform->architecture,
        variant[0] != '\0' ? "/" : "", variant);
    const char *quoted = image_quote(arena, text); // cleaned, as it is shown to people
    return arena_str(arena, (struct str){quoted + 1, strlen(quoted) - 2});
}
