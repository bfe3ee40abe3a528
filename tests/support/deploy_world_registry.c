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

void
world_registry(struct world *world, const struct http_request *request, const char *path,
    struct world_reply *reply)
{
    if (world->no_repository) {
        reply->status = 404;
        buf_puts(&reply->body, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"no such "
                               "repository\"}]}");
    } else if (strstr(path, "/manifests/") != NULL) {
        serve_manifest(world, request, reply);
    } else if (request->method == HTTP_POST) {
        reply->status = 202;
        reply->location = "/v2/uploads/1";
    } else {
        reply->status = request->method == HTTP_PUT ? 201 : 404; // HEAD of a blob
    }
}
