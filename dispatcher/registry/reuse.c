// Layers that need not be compressed again: an earlier image of the repository says, in its
// configuration and manifest, which compressed blob holds which diff_id. Nothing is remembered
// between pushes, so it works on a fresh runner. A wrong mapping cannot swap content: runtimes
// check the diff_id when they unpack.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "image_internal.h"
#include "registry_internal.h"

enum { TAGS_ASKED = 500, REDIRECTS_MAX = 3 };

// One look-up; answers that do not help are no errors.
struct search {
    struct registry_client *client;
    const struct registry_push *push;
    struct arena *arena;
    char *scope;
    struct registry_reuse *out;
};

static bool
is_final(const struct error *err)
{
    return err != NULL && error_kind(err) == ERROR_CANCELLED;
}

// One attempt: doing without costs less than insisting. *bytes NULL when there is no answer of use.
static struct error *
get(const struct search *search, const char *url, bool foreign, struct http_response *response)
{
    struct registry_call call = {.method = HTTP_GET,
        .url = url,
        .scope = search->scope,
        .accept = MANIFEST_TYPES,
        .foreign = foreign,
        .single = true};
    struct error *err = registry_send(search->client, &call, response);
    if (is_final(err)) {
        return err;
    }
    if (err != NULL) {
        log_debug(search->client->platform->log, "earlier image not read",
            F_STR("why", error_message(err)));
        error_free(err);
        response->status = 0;
    }
    return NULL;
}

// A blob may lie elsewhere; the way there gets no credentials.
static struct error *
get_blob(const struct search *search, const char *digest, struct http_response *response)
{
    bool foreign = false;
    char *url CLEANUP(xfreep) =
        registry_url(search->client, search->push->repository, "blobs", digest);
    for (unsigned hop = 0; hop <= REDIRECTS_MAX; hop++) {
        TRY(get(search, url, foreign, response));
        bool moved = response->status == 307 || response->status == 302 || response->status == 303;
        if (!moved) {
            return NULL;
        }
        char *next = NULL;
        struct error *err = registry_location(search->client, url, response, &next, &foreign);
        if (err != NULL) {
            error_free(err);
            break;
        }
        free(url);
        url = next;
    }
    response->status = 0;
    return NULL;
}

static bool
has_digest(struct str bytes, const char *digest)
{
    unsigned char hash[SHA256_SIZE];
    char text[SHA256_DIGEST_TEXT_SIZE];
    sha256_of(bytes, hash);
    sha256_digest_text(hash, text);
    return strcmp(text, digest) == 0;
}

// An earlier manifest as it came.
struct earlier {
    struct image_manifest manifest;
    struct manifest_document document;
    bool found, at_tag;
};

static bool
decode_manifest(
    const struct search *search, const struct http_response *response, struct earlier *out)
{
    const char *type = http_headers_get(&response->headers, "Content-Type");
    unsigned char hash[SHA256_SIZE];
    char *digest = arena_alloc(search->arena, SHA256_DIGEST_TEXT_SIZE);
    struct str bytes = buf_str(&response->body);
    if (type == NULL || !manifest_type_is_known(type) || bytes.len > IMAGE_MANIFEST_MAX) {
        return false;
    }
    sha256_of(bytes, hash);
    sha256_digest_text(hash, digest);
    out->manifest = (struct image_manifest){
        .descriptor = {arena_dup(search->arena, type), digest, (int64_t)bytes.len, NULL},
        .bytes = {arena_str(search->arena, bytes), bytes.len},
        .is_index = manifest_type_is_index(type),
    };
    struct error *err =
        manifest_parse(out->manifest.bytes, type, "manifest", search->arena, &out->document);
    error_free(err);
    return err == NULL;
}

static struct error *
read_manifest(const struct search *search, const char *reference, struct earlier *out)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    char *url CLEANUP(xfreep) =
        registry_url(search->client, search->push->repository, "manifests", reference);
    TRY(get(search, url, false, &response));
    struct earlier found = {0};
    found.found = response.status == 200 && decode_manifest(search, &response, &found);
    bool asked_by_digest = digest_is_valid(str_of(reference));
    if (found.found && asked_by_digest &&
        strcmp(found.manifest.descriptor.digest, reference) != 0) {
        return NULL;
    }
    *out = found;
    return NULL;
}

// Of several platforms, the one that the image to push is for.
static struct error *
descend(const struct search *search, struct earlier *earlier)
{
    const struct descriptor_document *children = earlier->document.manifests.items;
    const char *wanted = image_platforms(search->push->image);
    size_t count = earlier->document.manifests.count;
    earlier->found = false;
    for (size_t i = 0; i < count; i++) {
        const char *platform = platform_text(search->arena, &children[i].platform);
        if (platform != NULL && strcmp(platform, wanted) == 0) {
            TRY(read_manifest(search, children[i].digest, earlier));
            earlier->found = earlier->found && !earlier->manifest.is_index;
            return NULL;
        }
    }
    return NULL;
}

// Is `a` the later version? Runs of digits count as numbers, as in "v9" and "v10".
static bool
is_later(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        size_t left = strspn(a, "0123456789"), right = strspn(b, "0123456789");
        if (left != right) {
            return left > right;
        }
        int order = left > 0 ? strncmp(a, b, left) : (*a > *b) - (*a < *b);
        if (order != 0) {
            return order > 0;
        }
        a += left > 0 ? left : 1;
        b += left > 0 ? left : 1;
    }
    return *a != '\0';
}

// The tag itself, "latest", or what looks like the latest version.
static const char *
likeliest(const struct search *search, const struct json *tags)
{
    const char *best = NULL;
    for (size_t i = 0; i < json_count(tags); i++) {
        const char *tag = json_str(json_at(tags, i));
        if (tag == NULL || !tag_is_valid(str_of(tag))) {
            continue;
        }
        if (strcmp(tag, search->push->tag) == 0) {
            return arena_dup(search->arena, tag);
        }
        bool best_is_latest = cstr_equal(best, "latest");
        if (best == NULL ||
            (!best_is_latest && (strcmp(tag, "latest") == 0 || is_later(tag, best)))) {
            best = tag;
        }
    }
    return arena_dup(search->arena, best);
}

static struct error *
list_tags(const struct search *search, const char **out)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *json CLEANUP(json_freep) = NULL;
    char *url CLEANUP(xfreep) = xasprintf(
        "%s/v2/%s/tags/list?n=%d", search->client->base, search->push->repository, (int)TAGS_ASKED);
    TRY(get(search, url, false, &response));
    if (response.status == 403 || response.status == 405) { // listing is a right of its own
        *out = search->push->tag;
        return NULL;
    }
    if (response.status != 200) {
        return NULL;
    }
    struct error *err = json_parse(buf_str(&response.body), &json_limits_default, &json);
    if (err != NULL) {
        error_free(err);
        return NULL;
    }
    *out = likeliest(search, json_get(json, "tags"));
    return NULL;
}

static struct error *
find_earlier(const struct search *search, struct earlier *out)
{
    const struct str_list *named = &search->push->previous;
    const char *reference = NULL;
    for (size_t i = 0; i < named->count && !out->found; i++) {
        reference = named->items[i];
        TRY(read_manifest(search, reference, out));
    }
    if (!out->found) {
        reference = NULL;
        TRY(list_tags(search, &reference));
        if (reference != NULL) {
            TRY(read_manifest(search, reference, out));
        }
    }
    out->at_tag = out->found && strcmp(reference, search->push->tag) == 0;
    return out->found && out->manifest.is_index ? descend(search, out) : NULL;
}

static bool
is_compressed_tar(const char *media_type)
{
    return cstr_equal(media_type, MEDIA_OCI_LAYER_GZIP) ||
           cstr_equal(media_type, MEDIA_DOCKER_LAYER_GZIP) ||
           cstr_equal(media_type, MEDIA_OCI_LAYER_ZSTD);
}

static void
remember(const struct search *search, const char *digest)
{
    struct str_list *list = &search->out->digests;
    const char **longer = arena_array(search->arena, list->count + 1, sizeof(*longer));
    if (list->count > 0) {
        memcpy(longer, list->items, list->count * sizeof(*longer));
    }
    longer[list->count] = digest;
    *list = (struct str_list){longer, list->count + 1};
}

static void
settle(const struct search *search, const char *diff_id, const struct descriptor_document *layer)
{
    struct image *image = search->push->image;
    for (size_t i = 0; i < image_part_count(image); i++) {
        const struct image_part *part = image_part_at(image, i);
        if (part->descriptor.digest == NULL && cstr_equal(part->diff_id, diff_id)) {
            const struct image_descriptor known = {
                layer->media_type, layer->digest, layer->size, NULL};
            image_settle(image, i, &known);
        }
    }
}

static struct error *
match_layers(const struct search *search, const struct earlier *earlier)
{
    const struct descriptor_document *layers = earlier->document.layers.items;
    const char *config_digest = earlier->document.config.digest;
    struct http_response response CLEANUP(http_response_done) = {0};
    struct config_document config = {0};
    TRY(get_blob(search, config_digest, &response));
    if (response.status != 200 || !has_digest(buf_str(&response.body), config_digest)) {
        return NULL;
    }
    struct error *err =
        config_parse(buf_str(&response.body), "configuration", search->arena, &config);
    if (err != NULL || config.diff_ids.count != earlier->document.layers.count) {
        error_free(err);
        return NULL;
    }
    remember(search, config_digest);
    for (size_t i = 0; i < config.diff_ids.count; i++) {
        remember(search, layers[i].digest);
        if (is_compressed_tar(layers[i].media_type)) {
            settle(search, config.diff_ids.items[i], &layers[i]);
        }
    }
    search->out->found = true;
    return NULL;
}

// The same configuration lists the same layers: whoever made that manifest, it is this image.
static bool
is_same_image(const struct image *image, const struct earlier *earlier)
{
    const struct docker_image *made = image->document;
    const char *config = image->items[made->config].part.descriptor.digest;
    return cstr_equal(config, earlier->document.config.digest) &&
           made->layer_count == earlier->document.layers.count;
}

static void
adopt_config(const struct search *search, const struct descriptor_document *config)
{
    struct image *image = search->push->image;
    const struct docker_image *made = image->document;
    struct image_descriptor *own = &image->items[made->config].part.descriptor;
    own->digest = arena_dup(image->arena, config->digest);
    own->size = config->size;
    remember(search, own->digest);
}

static void
adopt(const struct search *search, const struct earlier *earlier)
{
    struct image *image = search->push->image;
    const struct docker_image *made = image->document;
    const struct descriptor_document *layers = earlier->document.layers.items;
    for (size_t i = 0; i < made->layer_count; i++) {
        const struct image_part *part = image_part_at(image, made->layers[i]);
        if (part->descriptor.digest == NULL) {
            settle(search, part->diff_id, &layers[i]);
        }
        remember(search, layers[i].digest);
    }
    adopt_config(search, &earlier->document.config);
    image_adopt(image, &earlier->manifest);
    search->out->adopted = true;
    search->out->tagged = earlier->at_tag;
    search->out->found = true;
}

// A daemon that keeps a manifest for the image calls it by that digest: it may be here.
static struct error *
find_kept(const struct search *search, struct earlier *out)
{
    const struct image *image = search->push->image;
    const struct docker_image *made = image->document;
    if (image->kept_digest == NULL) {
        return NULL;
    }
    TRY(read_manifest(search, image->kept_digest, out));
    if (out->found && out->manifest.is_index) {
        TRY(descend(search, out));
    }
    out->found = out->found && out->document.layers.count == made->layer_count;
    return NULL;
}

// Of a daemon's image whose layers are all here, nothing has to be fetched if the configuration is
// here as well, too: it is small, and read to know its size for certain.
static struct error *
find_config(const struct search *search)
{
    struct image *image = search->push->image;
    const struct docker_image *made = image->document;
    struct image_descriptor *own = &image->items[made->config].part.descriptor;
    struct http_response response CLEANUP(http_response_done) = {0};
    if (own->digest == NULL || own->size >= 0) {
        return NULL;
    }
    for (size_t i = 0; i < made->layer_count; i++) {
        if (image_part_at(image, made->layers[i])->descriptor.digest == NULL) {
            return NULL;
        }
    }
    TRY(get_blob(search, own->digest, &response));
    if (response.status == 200 && has_digest(buf_str(&response.body), own->digest)) {
        own->size = (int64_t)response.body.len;
        remember(search, own->digest);
    }
    return NULL;
}

struct error *
registry_reuse_find(struct registry_client *client, const struct registry_push *push,
    struct arena *arena, struct registry_reuse *out)
{
    char *scope CLEANUP(xfreep) = registry_scope(push->repository, SCOPE_PUSH);
    struct earlier earlier = {0};
    const struct search search = {client, push, arena, scope, out};
    *out = (struct registry_reuse){0};
    TRY(find_kept(&search, &earlier));
    if (earlier.found) {
        adopt(&search, &earlier);
        return NULL;
    }
    TRY(find_earlier(&search, &earlier));
    if (!earlier.found) {
        return NULL;
    }
    if (is_same_image(push->image, &earlier)) {
        adopt(&search, &earlier);
        return NULL;
    }
    TRY(match_layers(&search, &earlier));
    return find_config(&search);
}

bool
registry_reuse_has(const struct registry_reuse *reuse, const struct image_part *part)
{
    for (size_t i = 0; i < reuse->digests.count; i++) {
        if (cstr_equal(part->descriptor.digest, reuse->digests.items[i])) {
            return true;
        }
    }
    return false;
}

void
registry_reuse_forget(struct registry_reuse *reuse, struct image *image)
{
    for (size_t i = 0; i < image_part_count(image); i++) {
        const struct image_part *part = image_part_at(image, i);
        if (part->diff_id != NULL && registry_reuse_has(reuse, part)) {
            image_unsettle(image, i);
        }
    }
    if (reuse->adopted) {
        image_disown(image);
    }
    *reuse = (struct registry_reuse){0};
}
