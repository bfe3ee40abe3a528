// Docker archives: what docker save, podman save and kaniko write. All three shapes are led by
// manifest.json, which names a configuration and layer tars in order: ID/layer.tar with links
// (Docker to 24), blobs/sha256/… (Docker from 25, which is an OCI layout as well), DIFFID.tar
// (podman).
//
// An archive has no manifest of its own, so one is made once the layers are settled
// (docker_manifest.c): plain layers are found in a registry or compressed, compressed ones are
// taken as they are. The configuration is held to the digest that names it.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "image_internal.h"

enum { MANIFEST_JSON_MAX = 8 * 1024 * 1024, IMAGES_MAX = 1024 };

struct archive_entry_document {
    const char *config;
    struct str_list tags, layers;
};
static const struct field entry_fields[] = {
    FIELD(struct archive_entry_document, config, "Config", FIELD_STR, .required = true),
    FIELD(struct archive_entry_document, tags, "RepoTags", FIELD_LIST_STR),
    FIELD(struct archive_entry_document, layers, "Layers", FIELD_LIST_STR),
};
static const struct field_table entry_table =
    FIELD_TABLE("image", struct archive_entry_document, entry_fields);

struct entries {
    struct archive_entry_document *items;
    size_t count;
};

enum layer_form { LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD };

static struct error *
read_entries(struct image *image, struct entries *out)
{
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(MANIFEST_JSON_MAX);
    struct json *json CLEANUP(json_freep) = NULL;
    bool found = false;
    TRY(image_store_read(image->store, "manifest.json", &bytes, &found));
    if (!found) {
        struct image_file other CLEANUP(image_file_close) = IMAGE_FILE_NONE;
        TRY(image->store->open(image->store, "index.json", &other));
        struct error *err =
            error_new(ERROR_INPUT, "it is not a Docker archive: no 'manifest.json'");
        return other.fd < 0 ? err
                            : error_hint(err, "It looks like an OCI layout: oci-archive:%s.",
                                  image->source.path);
    }
    struct error *err = json_parse(buf_str(&bytes), &json_limits_default, &json);
    if (err != NULL) {
        return image_json_error(err, "'manifest.json'");
    }
    size_t count = json_count(json);
    if (!json_is_array(json) || count > IMAGES_MAX) {
        return error_new(
            ERROR_INPUT, "'manifest.json' is not a list of at most %d images", IMAGES_MAX);
    }
    out->items = arena_array(image->arena, count, sizeof(*out->items));
    for (out->count = 0; out->count < count; out->count++) {
        err = json_decode(
            json_at(json, out->count), &entry_table, image->arena, &out->items[out->count]);
        if (err != NULL) {
            const char *subject =
                arena_printf(image->arena, "'manifest.json': image %zu", out->count);
            return image_json_error(err, subject);
        }
    }
    return NULL;
}

// Tags are written short or with a host, with or without ":latest"; REF may leave either out.
static bool
tag_is_meant(const char *tag, const char *reference)
{
    bool has_tag = strchr(reference, ':') != NULL;
    char *wanted CLEANUP(xfreep) = xasprintf("%s%s", reference, has_tag ? "" : ":latest");
    char *tail CLEANUP(xfreep) = xasprintf("/%s", wanted);
    return strcmp(tag, wanted) == 0 || str_ends(str_of(tag), str_of(tail));
}

static bool
has_tag(const struct archive_entry_document *entry, const char *reference)
{
    bool found = false;
    for (size_t i = 0; i < entry->tags.count && !found; i++) {
        found = tag_is_meant(entry->tags.items[i], reference);
    }
    return found;
}

// By tag, or by position as "@0" (skopeo's way), which also reaches images without a name.
static bool
is_meant(const struct entries *entries, size_t index, const char *reference)
{
    int64_t number = 0;
    if (reference == NULL) {
        return true;
    }
    if (reference[0] == '@') {
        return str_to_int64(str_of(reference + 1), &number) && number == (int64_t)index;
    }
    return has_tag(&entries->items[index], reference);
}

// The name by which an entry can be asked for: its first tag that no other entry has, or "@N".
static const char *
choice(const struct image *image, const struct entries *entries, size_t index)
{
    const struct archive_entry_document *entry = &entries->items[index];
    for (size_t k = 0; k < entry->tags.count; k++) {
        bool shared = false;
        for (size_t i = 0; i < entries->count; i++) {
            shared = shared || (i != index && has_tag(&entries->items[i], entry->tags.items[k]));
        }
        if (!shared) {
            return entry->tags.items[k];
        }
    }
    return arena_printf(image->arena, "@%zu", index);
}

static const char *
choices(const struct image *image, const struct entries *entries)
{
    enum { SHOWN = 5 };
    struct buf text CLEANUP(buf_done) = BUF_INIT(8192);
    for (size_t i = 0; i < entries->count && i < SHOWN; i++) {
        buf_printf(
            &text, "%s%s", i > 0 ? ", " : "", image_quote(image->arena, choice(image, entries, i)));
    }
    if (entries->count > SHOWN) {
        buf_printf(&text, " and %zu more", entries->count - SHOWN);
    }
    return arena_str(image->arena, buf_str(&text));
}

static struct error *
select_entry(const struct image *image, const struct entries *entries,
    const struct archive_entry_document **out)
{
    const char *reference = image->source.reference;
    const struct archive_entry_document *found = NULL;
    if (entries->count == 0) {
        return error_new(ERROR_INPUT, "'manifest.json' lists no image");
    }
    for (size_t i = 0; i < entries->count; i++) {
        const struct archive_entry_document *entry = &entries->items[i];
        if (!is_meant(entries, i, reference)) {
            continue;
        }
        if (found != NULL && strcmp(found->config, entry->config) != 0) {
            return error_hint(error_new(ERROR_INPUT, "it holds several images%s%s",
                                  reference != NULL ? " named " : "",
                                  reference != NULL ? image_quote(image->arena, reference) : ""),
                "Say which one, as in docker-archive:%s:REF; there are %s.", image->source.path,
                choices(image, entries));
        }
        found = entry;
    }
    if (found == NULL) {
        return error_hint(error_new(ERROR_INPUT, "it holds no image named %s",
                              image_quote(image->arena, reference)),
            "There are %s.", choices(image, entries));
    }
    *out = found;
    return NULL;
}

// "blobs/sha256/<hex>" and "<hex>.json" promise a digest; other names promise nothing.
static struct str
promised_hex(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash != NULL ? slash + 1 : path);
    if (str_ends(name, STR(".json"))) {
        name.len -= strlen(".json");
    }
    char text[SHA256_DIGEST_TEXT_SIZE + 1] = "sha256:";
    if (name.len != SHA256_HEX_SIZE - 1) {
        return (struct str){0};
    }
    memcpy(text + strlen("sha256:"), name.ptr, name.len);
    return digest_is_valid(str_of(text)) ? name : (struct str){0};
}

static struct error *
check_promise(const struct image *image, const char *what, const char *path, const char *digest)
{
    struct str hex = promised_hex(path);
    if (hex.len == 0 || str_equal(hex, str_skip(str_of(digest), strlen("sha256:")))) {
        return NULL;
    }
    return error_hint(error_new(ERROR_INPUT, "%s %s is corrupt: its content has digest '%s'", what,
                          image_quote(image->arena, path), digest),
        "Save the image again.");
}

static struct error *
open_member(struct image *image, const char *what, const char *path, struct image_file *out)
{
    TRY(image->store->open(image->store, path, out));
    if (out->fd < 0) {
        return error_hint(error_new(ERROR_INPUT, "%s %s is not in the archive", what,
                              image_quote(image->arena, path)),
            "The archive is incomplete; save the image again.");
    }
    return NULL;
}

static struct error *
read_config(
    struct image *image, const char *path, struct docker_image *made, struct config_document *out)
{
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(IMAGE_CONFIG_MAX);
    struct image_file file CLEANUP(image_file_close) = IMAGE_FILE_NONE;
    bool found = false;
    TRY(open_member(image, "configuration", path, &file));
    TRY(image_store_read(image->store, path, &bytes, &found));
    unsigned char hash[SHA256_SIZE];
    char *digest = arena_alloc(image->arena, SHA256_DIGEST_TEXT_SIZE);
    sha256_of(buf_str(&bytes), hash);
    sha256_digest_text(hash, digest);
    TRY(check_promise(image, "configuration", path, digest));
    const char *subject =
        arena_printf(image->arena, "configuration %s", image_quote(image->arena, path));
    TRY(config_parse(buf_str(&bytes), subject, image->arena, out));
    struct image_item item = {
        .part.descriptor = {MEDIA_DOCKER_CONFIG, digest, (int64_t)bytes.len, NULL},
        .path = path,
    };
    made->config = image->item_count;
    return image_add_item(image, &item);
}

// Sets the form by the first bytes: a tar never starts like this.
static struct error *
find_form(
    struct image *image, const struct image_file *file, const char *path, enum layer_form *out)
{
    char head[6] = {0};
    size_t len = file->size < (int64_t)sizeof(head) ? (size_t)file->size : sizeof(head);
    TRY(image_file_read(file, 0, head, len));
    struct str start = {head, len};
    *out = LAYER_PLAIN;
    if (str_starts(start, STR("\x1f\x8b"))) {
        *out = LAYER_GZIP;
    } else if (str_starts(start, STR("\x28\xb5\x2f\xfd"))) {
        *out = LAYER_ZSTD;
    } else if (str_starts(start, STR("\xfd"
                                     "7zXZ")) ||
               str_starts(start, STR("BZh"))) {
        return error_new(ERROR_INPUT, "layer %s is compressed in a way that no runtime reads",
            image_quote(image->arena, path));
    }
    return NULL;
}

// Reads to the end. A name that promises a digest saves that: the registry holds us to it.
static struct error *
find_digest(struct image *image, struct image_file *file, const char *path, const char **out)
{
    enum { PIECE = 64 * 1024 };
    struct str promised = promised_hex(path);
    if (promised.len > 0) {
        *out = arena_printf(image->arena, "sha256:%.*s", STR_FMT(promised));
        return NULL;
    }
    struct sha256 *hash CLEANUP(sha256_freep) = sha256_new();
    char *piece CLEANUP(xfreep) = xmalloc(PIECE);
    for (int64_t at = 0; at < file->size;) {
        size_t len = file->size - at < PIECE ? (size_t)(file->size - at) : PIECE;
        TRY(image_file_read(file, at, piece, len));
        sha256_update(hash, piece, len);
        at += (int64_t)len;
    }
    unsigned char digest[SHA256_SIZE];
    char *text = arena_alloc(image->arena, SHA256_DIGEST_TEXT_SIZE);
    sha256_final(hash, digest);
    sha256_digest_text(digest, text);
    *out = text;
    return NULL;
}

static struct error *
make_item(struct image *image, const char *path, const char *diff_id, struct image_item *out)
{
    struct image_file file CLEANUP(image_file_close) = IMAGE_FILE_NONE;
    enum layer_form form = LAYER_PLAIN;
    TRY(open_member(image, "layer", path, &file));
    TRY(find_form(image, &file, path, &form));
    struct image_item item = {.path = path, .part = {.descriptor.size = -1}};
    if (form == LAYER_PLAIN) {
        item.part.diff_id = diff_id;
        item.part.plain_size = file.size;
    } else {
        item.part.descriptor.media_type =
            form == LAYER_ZSTD ? MEDIA_OCI_LAYER_ZSTD : MEDIA_OCI_LAYER_GZIP;
        item.part.descriptor.size = file.size;
        TRY(find_digest(image, &file, path, &item.part.descriptor.digest));
    }
    *out = item;
    return NULL;
}

static bool
is_same_layer(const struct image_part *a, const struct image_part *b)
{
    return a->diff_id != NULL ? cstr_equal(a->diff_id, b->diff_id)
                              : cstr_equal(a->descriptor.digest, b->descriptor.digest);
}

// Empty layers repeat, and are one part then.
static struct error *
add_layer(struct image *image, const struct image_item *item, size_t *index)
{
    for (size_t i = 0; i < image->item_count; i++) {
        if (is_same_layer(&item->part, &image->items[i].part)) {
            *index = i;
            return NULL;
        }
    }
    *index = image->item_count;
    return image_add_item(image, item);
}

static struct error *
add_layers(struct image *image, const struct archive_entry_document *entry,
    const struct config_document *config, struct docker_image *made)
{
    size_t count = entry->layers.count;
    if (count > IMAGE_LAYERS_MAX) {
        return error_new(ERROR_INPUT, "it has %zu layers, more than %d", count, IMAGE_LAYERS_MAX);
    }
    if (count != config->diff_ids.count) {
        return error_new(ERROR_INPUT, "it has %zu layers but its configuration lists %zu", count,
            config->diff_ids.count);
    }
    made->layers = arena_array(image->arena, count, sizeof(*made->layers));
    made->diff_ids = config->diff_ids;
    for (size_t i = 0; i < count; i++) {
        struct image_item item = {0};
        TRY(make_item(image, entry->layers.items[i], config->diff_ids.items[i], &item));
        TRY(add_layer(image, &item, &made->layers[i]));
        made->layer_count++;
    }
    return NULL;
}

struct error *
image_open_docker_archive(struct image *image)
{
    struct entries entries = {0};
    const struct archive_entry_document *entry = NULL;
    struct config_document config = {0};
    struct docker_image *made = arena_alloc(image->arena, sizeof(*made));
    *made = (struct docker_image){0};
    TRY(read_entries(image, &entries));
    TRY(select_entry(image, &entries, &entry));
    TRY(read_config(image, entry->config, made, &config));
    TRY(add_layers(image, entry, &config, made));
    struct platform_document platform = {config.os, config.architecture, config.variant};
    image_add_platform(image, platform_text(image->arena, &platform));
    image->document = made;
    image->compose = docker_image_compose;
    return NULL;
}
