// Manifests: stored under their exact bytes' digest once everything they point to is there.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

enum { MANIFEST_MAX = 4 * 1024 * 1024 };

// Blob or manifest of the repository?
static bool
has_digest(const struct registry_repo *repo, const struct json *descriptor)
{
    const char *digest = json_str(json_get(descriptor, "digest"));
    return digest != NULL &&
           (json_get(repo->blobs, digest) != NULL || json_get(repo->manifests, digest) != NULL);
}

static const char *
missing_in(const struct registry_repo *repo, const struct json *manifest)
{
    static const char *const lists[] = {"layers", "manifests"};
    const struct json *config = json_get(manifest, "config");
    if (config != NULL && !has_digest(repo, config)) {
        return json_str(json_get(config, "digest"));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        const struct json *list = json_get(manifest, lists[i]);
        for (size_t k = 0; k < json_count(list); k++) {
            if (!has_digest(repo, json_at(list, k))) {
                return json_str(json_get(json_at(list, k), "digest"));
            }
        }
    }
    return NULL;
}

// What ECR calls the size of an image: config and layers; 0 for an index.
static int64_t
content_size(const struct json *manifest)
{
    const struct json *layers = json_get(manifest, "layers");
    int64_t size = json_int(json_path(manifest, "config.size"), 0);
    for (size_t i = 0; i < json_count(layers); i++) {
        size += json_int(json_get(json_at(layers, i), "size"), 0);
    }
    return size;
}

static bool
is_tag(const char *text)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return text[0] != '\0' && text[0] != '.' && text[0] != '-' && strlen(text) <= 128 &&
           strspn(text, legal) == strlen(text);
}

static void
keep_manifest(struct sandbox *sandbox, struct registry_repo *repo, const char *digest,
    const struct sandbox_request *request, const struct json *manifest)
{
    const char *type = sandbox_request_header(request, "Content-Type");
    struct json *entry = json_make_object();
    json_set_str(entry, "type", type != NULL ? type : "application/vnd.oci.image.manifest.v1+json");
    json_set_int(entry, "size", (int64_t)request->body.len);
    json_set_int(entry, "content_size", content_size(manifest));
    json_set_int(entry, "pushed_ms", sandbox_now(sandbox));
    json_set(repo->manifests, digest, entry);
}

static void
put_manifest(struct sandbox *sandbox, struct registry_repo *repo, const char *reference,
    struct sandbox_request *request, struct sandbox_response *response)
{
    struct json *manifest CLEANUP(json_freep) = sandbox_request_json(request);
    unsigned char hash[SHA256_SIZE];
    char digest[SHA256_DIGEST_TEXT_SIZE];
    sha256_of(buf_str(&request->body), hash);
    sha256_digest_text(hash, digest);
    bool by_digest = sandbox_registry_is_digest(reference);
    bool is_ecr = sandbox_registry_is_ecr(request);
    if (manifest == NULL) {
        sandbox_registry_problem(response, 400, "MANIFEST_INVALID", "manifest is no JSON object");
        return;
    }
    if (by_digest ? strcmp(reference, digest) != 0 : !is_tag(reference)) {
        sandbox_registry_problem(response, 400, by_digest ? "DIGEST_INVALID" : "TAG_INVALID",
            by_digest ? "provided digest did not match uploaded content"
                      : "manifest tag is invalid");
        return;
    }
    const char *missing = missing_in(repo, manifest);
    if (missing != NULL) {
        sandbox_registry_problem(response, 400, "MANIFEST_BLOB_UNKNOWN", missing);
        return;
    }
    if (!by_digest && repo->is_immutable && json_get(repo->tags, reference) != NULL) {
        sandbox_registry_problem(response, 400, "TAG_INVALID",
            arena_printf(request->arena,
                "The image tag '%s' already exists in the '%s' repository and cannot be "
                "overwritten because the tag is immutable.",
                reference, repo->name));
        return;
    }
    if (is_ecr && !sandbox_registry_ecr_takes_put(sandbox, response)) {
        return;
    }
    char *path CLEANUP(xfreep) = sandbox_registry_file(sandbox->registry, digest);
    struct error *err CLEANUP(error_freep) = file_write(path, buf_str(&request->body), 0600);
    if (err != NULL) {
        sandbox_registry_problem(response, 500, "UNKNOWN", error_message(err));
        return;
    }
    keep_manifest(sandbox, repo, digest, request, manifest);
    sandbox_registry_took_manifest(sandbox, repo, digest, manifest);
    if (!by_digest && !cstr_equal(json_str(json_get(repo->tags, reference)), digest)) {
        json_set_str(repo->tags, reference, digest);
        sandbox_aws_pushed(sandbox, repo->name, reference);
    }
    response->status = 201;
    if (!is_ecr) {
        http_headers_addf(
            &response->headers, "Location", "/v2/%s/manifests/%s", repo->name, digest);
    }
    sandbox_reply_header(response, "Docker-Content-Digest", digest);
}

static void
get_manifest(struct sandbox *sandbox, const struct registry_repo *repo, const char *reference,
    struct sandbox_response *response)
{
    const char *digest = sandbox_registry_resolve(repo, reference);
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(MANIFEST_MAX);
    if (digest == NULL) {
        sandbox_registry_problem(response, 404, "MANIFEST_UNKNOWN", "manifest unknown");
        return;
    }
    char *path CLEANUP(xfreep) = sandbox_registry_file(sandbox->registry, digest);
    struct error *err CLEANUP(error_freep) = file_read(path, &bytes, NULL);
    if (err != NULL) {
        sandbox_registry_problem(response, 500, "UNKNOWN", error_message(err));
        return;
    }
    sandbox_reply_text(response, 200, json_str(json_get(json_get(repo->manifests, digest), "type")),
        buf_str(&bytes));
    sandbox_reply_header(response, "Docker-Content-Digest", digest);
    http_headers_addf(&response->headers, "ETag", "\"%s\"", digest);
}

void
sandbox_registry_manifest_handle(struct sandbox *sandbox, const char *name, const char *reference,
    struct sandbox_request *request, struct sandbox_response *response)
{
    struct registry_repo *repo = sandbox_registry_find(sandbox->registry, name);
    if (repo == NULL) {
        sandbox_registry_problem(
            response, 404, "NAME_UNKNOWN", "repository name not known to registry");
    } else if (sandbox_request_is(request, "PUT")) {
        put_manifest(sandbox, repo, reference, request, response);
    } else if (sandbox_request_is(request, "GET") || sandbox_request_is(request, "HEAD")) {
        get_manifest(sandbox, repo, reference, response);
    } else {
        sandbox_registry_problem(response, 405, "UNSUPPORTED", "the operation is unsupported");
    }
}
