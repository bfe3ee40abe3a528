// An image in a registry (docker://HOST/REPOSITORY[:TAG][@DIGEST]): finds its manifests and reads
// them, all children of an index at once. Configurations are read when it is clear that the image
// will be copied, so that a look at it costs as many requests as it has manifests. Blobs are
// remote_blob.c's.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "remote_internal.h"

#define DOCKER_HUB_API "registry-1.docker.io"

enum {
    MANIFEST_BYTES_MAX = 64 * 1024 * 1024, // of all manifests
    AHEAD_BYTES_MAX = 8 * 1024 * 1024,     // of configurations that are kept
    ANSWER_TIMEOUT_MS = 60 * 1000,
};

static void
remote_free(struct image *image)
{
    struct remote_image *remote = image->remote;
    for (size_t i = 0; i < remote->answer_count; i++) {
        http_response_done(&remote->answers[i].response);
    }
    BUG_ON(remote->pulls != NULL);
    free(remote->answers);
    free(remote->configs);
    free(remote->scope);
    registry_client_free(remote->client);
    free(remote);
}

bool
remote_is_redirect(int status)
{
    return status == 302 || status == 303 || status == 307 || status == 308;
}

static void
keep_answer(struct remote_image *remote, const char *digest, struct http_response *response)
{
    remote->answers =
        xrealloc(remote->answers, (remote->answer_count + 1) * sizeof(*remote->answers));
    remote->answers[remote->answer_count++] = (struct remote_answer){digest, *response};
    *response = (struct http_response){0};
}

// Takes out the answer that was got ahead; status 0 when there is none.
static void
take_answer(struct remote_image *remote, const char *digest, struct http_response *out)
{
    for (size_t i = 0; i < remote->answer_count; i++) {
        if (strcmp(remote->answers[i].digest, digest) == 0) {
            *out = remote->answers[i].response;
            remote->answers[i] = remote->answers[--remote->answer_count];
            return;
        }
    }
}

static struct error *
not_there(const struct remote_image *remote, const char *what, bool root)
{
    return error_hint(error_new(ERROR_INPUT, "%s is not in repository '%s' of registry '%s'", what,
                          remote->repository, remote->client->host),
        root ? "Check the repository and the tag; a registry may also hide what it does not allow."
             : "The image there is not complete; push it there again.");
}

// GET of a manifest or a blob, unless the answer is here already. What lies elsewhere is followed,
// and shown no credentials.
static struct error *
get(struct remote_image *remote, const char *kind, const char *reference, const char *what,
    struct http_response *response)
{
    bool foreign = false;
    char *url CLEANUP(xfreep) = registry_url(remote->client, remote->repository, kind, reference);
    take_answer(remote, reference, response);
    for (unsigned hop = 0;; hop++) {
        struct registry_call call = {.method = HTTP_GET,
            .url = url,
            .scope = remote->scope,
            .accept = MANIFEST_TYPES,
            .foreign = foreign};
        if (response->status == 0) {
            TRY(registry_send(remote->client, &call, response));
        }
        if (!remote_is_redirect(response->status) || hop == REMOTE_REDIRECTS_MAX) {
            break;
        }
        char *next = NULL;
        TRY(registry_redirect(remote->client, url, response, &next, &foreign));
        free(url);
        url = next;
        http_response_done(response);
    }
    if (response->status == 404) {
        return not_there(remote, what, reference == remote->reference);
    }
    return response->status == 200 ? NULL : registry_status_error(remote->client, what, response);
}

static struct error *
read_document(const struct image_walk *walk, const char *what,
    const struct descriptor_document *descriptor, struct buf *out)
{
    struct remote_image *remote = walk->image->remote;
    struct http_response response CLEANUP(http_response_done) = {0};
    bool manifest = manifest_type_is_known(descriptor->media_type);
    char *name CLEANUP(xfreep) = xasprintf("%s '%s'", what, descriptor->digest);
    if (manifest) {
        remote->manifest_bytes += descriptor->size;
    }
    if (remote->manifest_bytes > MANIFEST_BYTES_MAX) {
        return error_new(ERROR_INPUT, "its manifests have more than %d bytes", MANIFEST_BYTES_MAX);
    }
    TRY(get(remote, manifest ? "manifests" : "blobs", descriptor->digest, name, &response));
    buf_add(out, buf_str(&response.body));
    if (out->failed) {
        return error_new(ERROR_INPUT, "%s has more than %zu bytes", name, out->max);
    }
    return NULL;
}

static bool
is_known(const struct image *image, const char *digest)
{
    const struct remote_image *remote = image->remote;
    for (size_t i = 0; i < remote->answer_count; i++) {
        if (strcmp(remote->answers[i].digest, digest) == 0) {
            return true;
        }
    }
    return image_find_manifest(image, digest) != NULL;
}

// Requests that are sent at once.
struct ahead {
    struct http_headers headers;
    const char **digests;
    char **urls;
    struct http_request *requests;
    struct http_exchange *exchanges;
    size_t count;
    int64_t bytes;
};

static void
ahead_done(struct ahead *ahead)
{
    for (size_t i = 0; i < ahead->count; i++) {
        http_response_done(&ahead->exchanges[i].response);
        error_free(ahead->exchanges[i].error);
        free(ahead->urls[i]);
    }
    http_headers_done(&ahead->headers);
    free(ahead->digests);
    free(ahead->urls);
    free(ahead->requests);
    free(ahead->exchanges);
}

static void
ahead_add(struct ahead *ahead, const struct remote_image *remote, const char *kind,
    const struct descriptor_document *wanted)
{
    for (size_t i = 0; i < ahead->count; i++) {
        if (strcmp(ahead->digests[i], wanted->digest) == 0) {
            return;
        }
    }
    size_t at = ahead->count++;
    int64_t now = clock_mono(remote->client->platform->clock);
    ahead->digests[at] = wanted->digest;
    ahead->urls[at] = registry_url(remote->client, remote->repository, kind, wanted->digest);
    ahead->requests[at] = (struct http_request){.method = HTTP_GET,
        .url = ahead->urls[at],
        .headers = &ahead->headers,
        .deadline_ms = now + ANSWER_TIMEOUT_MS,
        .max_response = (size_t)wanted->size + 1};
    ahead->exchanges[at] = (struct http_exchange){.request = &ahead->requests[at]};
    ahead->bytes += wanted->size;
}

// One try each: what does not come is asked for again when its turn comes, and complained about
// then.
static struct error *
get_ahead(struct image *image, const char *kind, int64_t size_max, int64_t total_max,
    const struct descriptor_document *const *wanted, size_t count)
{
    struct remote_image *remote = image->remote;
    struct ahead ahead CLEANUP(ahead_done) = {0};
    ahead.digests = xcalloc(count, sizeof(*ahead.digests));
    ahead.urls = xcalloc(count, sizeof(*ahead.urls));
    ahead.requests = xcalloc(count, sizeof(*ahead.requests));
    ahead.exchanges = xcalloc(count, sizeof(*ahead.exchanges));
    TRY(registry_auth_add(remote->client, remote->scope, &ahead.headers));
    http_headers_add(&ahead.headers, "Accept", MANIFEST_TYPES);
    for (size_t i = 0; i < count; i++) {
        bool fits = wanted[i]->size <= size_max && ahead.bytes + wanted[i]->size <= total_max;
        if (fits && !is_known(image, wanted[i]->digest)) {
            ahead_add(&ahead, remote, kind, wanted[i]);
        }
    }
    remote->client->requests += (int64_t)ahead.count;
    TRY(http_send_all(
        remote->client->http, ahead.exchanges, ahead.count, remote->client->parallel_small));
    for (size_t i = 0; i < ahead.count; i++) {
        struct http_exchange *exchange = &ahead.exchanges[i];
        int status = exchange->response.status;
        if (exchange->error == NULL && (status == 200 || remote_is_redirect(status))) {
            keep_answer(remote, ahead.digests[i], &exchange->response);
        }
    }
    return NULL;
}

static struct error *
announce_children(
    const struct image_walk *walk, const struct descriptor_document *children, size_t count)
{
    const struct remote_image *remote = walk->image->remote;
    const struct descriptor_document **wanted CLEANUP(xfreep) = xcalloc(count, sizeof(*wanted));
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (manifest_type_is_known(children[i].media_type)) {
            wanted[used++] = &children[i];
        }
    }
    return get_ahead(walk->image, "manifests", IMAGE_MANIFEST_MAX,
        MANIFEST_BYTES_MAX - remote->manifest_bytes, wanted, used);
}

// The configuration goes on from memory when its turn comes.
static void
keep_config(struct image *image, const char *digest, struct str bytes)
{
    struct remote_image *remote = image->remote;
    if (remote->config_bytes + (int64_t)bytes.len > AHEAD_BYTES_MAX) {
        return;
    }
    remote->configs =
        xrealloc(remote->configs, (remote->config_count + 1) * sizeof(*remote->configs));
    remote->configs[remote->config_count++] = (struct remote_bytes){
        arena_dup(image->arena, digest), {arena_str(image->arena, bytes), bytes.len}};
    remote->config_bytes += (int64_t)bytes.len;
}

static const struct remote_bytes *
find_config(const struct remote_image *remote, const char *digest)
{
    for (size_t i = 0; i < remote->config_count; i++) {
        if (strcmp(remote->configs[i].digest, digest) == 0) {
            return &remote->configs[i];
        }
    }
    return NULL;
}

static struct error *
check_configs(struct image *image, struct manifest_document *documents)
{
    const struct image_walk walk = {.image = image, .read = read_document};
    for (size_t i = 0; i < image->manifest_count; i++) {
        struct image_manifest *manifest = &image->manifests[i];
        if (manifest->is_index || find_config(image->remote, documents[i].config.digest) != NULL) {
            continue;
        }
        struct buf bytes CLEANUP(buf_done) = BUF_INIT(IMAGE_CONFIG_MAX);
        const char *platform = manifest->descriptor.platform;
        const char *subject =
            arena_printf(image->arena, "manifest '%s'", manifest->descriptor.digest);
        TRY(image_walk_config(&walk, &documents[i], subject, &bytes, &platform));
        if (manifest->descriptor.platform == NULL) {
            manifest->descriptor.platform = platform;
            image_add_platform(image, platform);
        }
        keep_config(image, documents[i].config.digest, buf_str(&bytes));
    }
    return NULL;
}

// Before blobs are copied: a runtime refuses an image whose configuration does not list its layers.
static struct error *
fetch_configs(struct image *image)
{
    size_t count = image->manifest_count, used = 0;
    struct manifest_document *documents CLEANUP(xfreep) = xcalloc(count, sizeof(*documents));
    const struct descriptor_document **wanted CLEANUP(xfreep) = xcalloc(count, sizeof(*wanted));
    for (size_t i = 0; i < count; i++) {
        const struct image_manifest *manifest = &image->manifests[i];
        if (!manifest->is_index) {
            TRY(manifest_parse(manifest->bytes, manifest->descriptor.media_type, "manifest",
                image->arena, &documents[i]));
            wanted[used++] = &documents[i].config;
        }
    }
    TRY(get_ahead(image, "blobs", IMAGE_CONFIG_MAX, AHEAD_BYTES_MAX, wanted, used));
    return check_configs(image, documents);
}

static struct error *
open_part(struct image *image, size_t index, struct http_reader *out)
{
    const struct image_descriptor *descriptor = &image_part_at(image, index)->descriptor;
    const struct remote_bytes *config = find_config(image->remote, descriptor->digest);
    if (config != NULL) {
        reader_of_bytes(config->bytes, out);
    } else {
        remote_pull_open(image->remote, descriptor, out);
    }
    return NULL;
}

// The host that Docker Hub's API has, and the names that its own images have there.
static void
resolve(struct arena *arena, struct registry_reference *reference)
{
    const char *host = reference->host;
    if (strcmp(host, "docker.io") == 0 || strcmp(host, "index.docker.io") == 0) {
        reference->host = DOCKER_HUB_API;
        if (strchr(reference->repository, '/') == NULL) {
            reference->repository = arena_printf(arena, "library/%s", reference->repository);
        }
    }
}

static struct error *
open_client(const struct image_access *access, const char *host, struct registry_client **out)
{
    char *user CLEANUP(xfreep) = NULL;
    struct secret *password CLEANUP(secret_freep) = NULL;
    if (access->login != NULL) {
        TRY(access->login(access->ctx, host, &user, &password));
    }
    const struct registry_options options = {
        .host = host,
        .user = user,
        .password = password,
        .is_ecr = cstr_equal(user, "AWS"), // its first 401 can be saved
    };
    return registry_client_new(access->platform, access->http, &options, out);
}

// What the reference names, as if an index had listed it.
static struct error *
read_root(struct image *image, const char *digest, struct descriptor_document *out)
{
    struct remote_image *remote = image->remote;
    struct http_response response CLEANUP(http_response_done) = {0};
    char *what CLEANUP(xfreep) = xasprintf("manifest '%s'", remote->reference);
    TRY(get(remote, "manifests", remote->reference, what, &response));
    const char *type = http_headers_get(&response.headers, "Content-Type");
    const char *called = http_headers_get(&response.headers, "Docker-Content-Digest");
    struct str media_type = {0}, parameters = {0};
    (void)str_cut(str_of(type != NULL ? type : ""), ';', &media_type, &parameters);
    char computed[SHA256_DIGEST_TEXT_SIZE];
    unsigned char hash[SHA256_SIZE];
    sha256_of(buf_str(&response.body), hash);
    sha256_digest_text(hash, computed);
    if (digest == NULL) {
        bool usable = called != NULL && digest_is_valid(str_of(called));
        digest = arena_dup(image->arena, usable ? called : computed);
    }
    *out = (struct descriptor_document){
        .media_type = arena_str(image->arena, str_trim(media_type)),
        .digest = digest,
        .size = (int64_t)response.body.len,
    };
    keep_answer(remote, digest, &response); // for the walk, which checks it
    return NULL;
}

struct error *
image_open_remote(struct image *image)
{
    struct registry_reference *reference = NULL;
    struct descriptor_document root = {0};
    TRY(registry_reference_parse(image->source.path, image->arena, &reference));
    resolve(image->arena, reference);
    struct remote_image *remote = xcalloc(1, sizeof(*remote));
    image->remote = remote;
    image->close = remote_free;
    image->open = open_part;
    image->fetch = fetch_configs;
    image->run = remote_run;
    BUG_ON(image->access == NULL);
    TRY(open_client(image->access, reference->host, &remote->client));
    remote->repository = reference->repository;
    remote->reference = reference->digest != NULL ? reference->digest
                        : reference->tag != NULL  ? reference->tag
                                                  : "latest";
    remote->scope = registry_scope(remote->repository, SCOPE_PULL);
    TRY(read_root(image, reference->digest, &root));
    const struct image_walk walk = {.image = image,
        .read = read_document,
        .announce = announce_children,
        .skips_configs = true};
    return image_walk(&walk, &root);
}

const char *
image_repository_at(const struct image *image, const char *host)
{
    const struct remote_image *remote = image->remote;
    bool here = image->source.kind == IMAGE_REGISTRY && strcmp(remote->client->host, host) == 0;
    return here ? remote->repository : NULL;
}
