// The registry of the world: one tag, and every blob that is sent is taken.
#include <stdio.h>
#include <string.h>

#include "deploy_world.h"
#include "dispatcher/digest.h"

static const char *
digest_of(const struct world *world, const char *reference)
{
    for (size_t i = 0; world->tags != NULL && world->tags[i].tag != NULL; i++) {
        if (strcmp(world->tags[i].tag, reference) == 0) {
            return world->tags[i].digest;
        }
    }
    return strncmp(reference, "sha256:", strlen("sha256:")) != 0 ? world->digest : NULL;
}

static void
serve_manifest(struct world *world, const struct http_request *request, struct world_reply *reply)
{
    if (request->method == HTTP_PUT) {
        unsigned char hash[SHA256_SIZE];
        sha256_of(request->body, hash);
        sha256_digest_text(hash, world->pushed);
        world->digest = world->pushed;
        world_effect(world, "push %s\n", world->pushed);
        reply->status = 201;
    } else {
        const char *reference = strstr(request->url, "/manifests/") + strlen("/manifests/");
        const char *digest = digest_of(world, reference);
        reply->status = digest != NULL ? 200 : 404;
        (void)snprintf(reply->digest, sizeof(reply->digest), "%s", digest != NULL ? digest : "");
        return;
    }
    (void)snprintf(reply->digest, sizeof(reply->digest), "%s", world->digest);
}

// "/v2/shop-staging-web/manifests/v1" of the origin.
static bool
is_of_origin(const struct world *world, const char *path)
{
    const char *name = world->origin != NULL ? world->origin->repository : NULL;
    return name != NULL && strncmp(path, "/v2/", 4) == 0 &&
           strncmp(path + 4, name, strlen(name)) == 0 && path[4 + strlen(name)] == '/';
}

static void
serve_origin(struct world *world, const struct http_request *request, const char *path,
    struct world_reply *reply)
{
    const struct world_origin *origin = world->origin;
    const char *reference = strstr(path, "/manifests/");
    reference = reference != NULL ? reference + strlen("/manifests/") : "";
    if (request->method != HTTP_GET && request->method != HTTP_HEAD) {
        world_effect(world, "WRITTEN TO THE ORIGIN\n");
    }
    bool found = strcmp(reference, origin->tag) == 0 || strcmp(reference, origin->digest) == 0;
    reply->status = found && !origin->gone ? 200 : 404;
    if (reply->status == 200) {
        reply->type = "application/vnd.oci.image.manifest.v1+json";
        (void)snprintf(reply->digest, sizeof(reply->digest), "%s", origin->digest);
        buf_puts(&reply->body, request->method == HTTP_GET ? origin->manifest : "");
    }
}

static bool
serve_mount(struct world *world, const struct http_request *request, struct world_reply *reply)
{
    const char *digest = strstr(request->url, "mount=sha256%3A");
    const char *from = strstr(request->url, "from=");
    if (digest == NULL || from == NULL || world->no_mounts) {
        return false;
    }
    world_effect(world, "mount %.8s %s\n", digest + strlen("mount=sha256%3A"), from);
    reply->status = 201;
    return true;
}

void
world_registry(struct world *world, const struct http_request *request, const char *path,
    struct world_reply *reply)
{
    if (is_of_origin(world, path)) {
        serve_origin(world, request, path, reply);
    } else if (world->no_repository) {
        reply->status = 404;
        buf_puts(&reply->body, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"no such "
                               "repository\"}]}");
    } else if (strstr(path, "/manifests/") != NULL) {
        serve_manifest(world, request, reply);
    } else if (request->method == HTTP_POST && serve_mount(world, request, reply)) {
        return;
    } else if (request->method == HTTP_POST) {
        reply->status = 202;
        reply->location = "/v2/uploads/1";
    } else {
        reply->status = request->method == HTTP_PUT ? 201 : 404; // HEAD of a blob
    }
}
