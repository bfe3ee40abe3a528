// How ECR's registry differs from others, for requests that come by its own host name (the Host
// header); all others get the plain registry. What is known of it stands in the issues of its
// clients: one body a session, parts in order, 10 manifests a second, mounts by an account setting.
#include <string.h>

#include "dispatcher/ecr.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

enum { PART_MIN = 5 * 1024 * 1024, SECOND_MS = 1000 };

bool
sandbox_registry_is_ecr(const struct sandbox_request *request)
{
    const char *host = sandbox_request_header(request, "Host");
    struct str name = {0}, port = {0};
    if (host == NULL || !str_cut(str_of(host), ':', &name, &port)) {
        return false;
    }
    return ecr_host_parse(arena_str(request->arena, name), NULL, NULL, NULL);
}

// A body without a range begins at byte 0, and the session is past that once it has had one.
bool
sandbox_registry_ecr_takes_body(const struct registry_upload *upload,
    const struct sandbox_request *request, struct sandbox_response *response)
{
    const char *range = sandbox_request_header(request, "Content-Range");
    bool is_first = upload->chunks == 0 && !upload->is_broken;
    if (request->body_size == 0 || is_first) {
        return true;
    }
    if (range == NULL || upload->is_broken) {
        sandbox_registry_problem(response, 416, "BLOB_UPLOAD_INVALID",
            arena_printf(request->arena, "First byte of the layer part is 0 instead of %lld",
                (long long)upload->size));
        return false;
    }
    return true;
}

bool
sandbox_registry_ecr_takes_part(
    const struct registry_upload *upload, struct sandbox_response *response)
{
    if (upload->chunks > 0 && upload->last_chunk < PART_MIN) {
        sandbox_registry_problem(response, 400, "BLOB_UPLOAD_INVALID",
            "Layer parts must be at least 5242880 bytes, except for the last one");
        return false;
    }
    return true;
}

bool
sandbox_registry_ecr_takes_put(struct sandbox *sandbox, struct sandbox_response *response)
{
    struct registry_state *registry = sandbox->registry;
    int64_t now = sandbox_now(sandbox),
            *slot = &registry->puts_ms[registry->put_count % ECR_PUT_RATE];
    if (registry->put_count >= ECR_PUT_RATE && now - *slot < SECOND_MS) {
        sandbox_registry_problem(response, 429, "TOOMANYREQUESTS", "Rate exceeded");
        return false;
    }
    *slot = now;
    registry->put_count++;
    return true;
}

bool
sandbox_registry_ecr_mounts(
    const struct registry_state *registry, const struct registry_repo *source, const char *digest)
{
    return registry->mounts && json_get(source->named, digest) != NULL;
}

bool
sandbox_registry_is_index(const struct registry_repo *repo, const char *digest)
{
    const char *type = json_str(json_get(json_get(repo->manifests, digest), "type"));
    return type != NULL &&
           (strstr(type, "image.index") != NULL || strstr(type, "manifest.list") != NULL);
}

static void
set_named(struct registry_repo *repo, const struct json *descriptor)
{
    const char *digest = json_str(json_get(descriptor, "digest"));
    if (digest != NULL) {
        json_set_bool(repo->named, digest, true);
    }
}

void
sandbox_registry_took_manifest(struct sandbox *sandbox, struct registry_repo *repo,
    const char *digest, const struct json *manifest)
{
    const struct json *layers = json_get(manifest, "layers");
    set_named(repo, json_get(manifest, "config"));
    for (size_t i = 0; i < json_count(layers); i++) {
        set_named(repo, json_at(layers, i));
    }
    if (repo->scans_on_push && !sandbox_registry_is_index(repo, digest)) {
        json_set_int(repo->scans, digest, sandbox_now(sandbox));
    }
}
