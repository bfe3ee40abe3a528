// Which manifests an index holds: a task that runs one platform of it runs that image (OCI image
// spec 1.1, "Image Index").
#include <string.h>

#include "dispatcher/memory.h"
#include "image_internal.h"
#include "registry_internal.h"

static bool
is_of_digest(struct str bytes, const char *digest)
{
    unsigned char hash[SHA256_SIZE];
    char text[SHA256_DIGEST_TEXT_SIZE];
    sha256_of(bytes, hash);
    sha256_digest_text(hash, text);
    return strcmp(text, digest) == 0;
}

static struct error *
read_index(struct registry_client *client, const char *digest, const struct http_response *response,
    struct arena *arena, struct manifest_document *out)
{
    struct str bytes = buf_str(&response->body);
    const char *type = http_headers_get(&response->headers, "Content-Type");
    if (bytes.len > IMAGE_MANIFEST_MAX || !is_of_digest(bytes, digest)) {
        return error_new(ERROR_UNAVAILABLE,
            "registry '%s' answered with something else when asked for '%s'", client->host, digest);
    }
    if (!manifest_type_is_index(type)) {
        return NULL;
    }
    struct error *err = manifest_parse(bytes, type, digest, arena, out);
    return err != NULL ? error_wrap_as(ERROR_UNAVAILABLE, err, "unusable answer of registry '%s'",
                             client->host)
                       : NULL;
}

struct error *
registry_index_holds(struct registry_client *client, const char *repository, const char *digest,
    const char *child, bool *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct http_response response CLEANUP(http_response_done) = {0};
    struct manifest_document document = {0};
    TRY(registry_check_repository(repository));
    char *url CLEANUP(xfreep) = registry_url(client, repository, "manifests", digest);
    char *scope CLEANUP(xfreep) = registry_scope(repository, SCOPE_PULL);
    char *what CLEANUP(xfreep) = xasprintf("read manifest '%s'", digest);
    const struct registry_call call = {
        .method = HTTP_GET, .url = url, .scope = scope, .accept = MANIFEST_TYPES};
    TRY(registry_send(client, &call, &response));
    if (response.status != 200 && response.status != 404) {
        return registry_status_error(client, what, &response);
    }
    if (response.status == 200) {
        TRY(read_index(client, digest, &response, arena, &document));
    }
    const struct descriptor_document *children = document.manifests.items;
    bool found = false;
    for (size_t i = 0; i < document.manifests.count; i++) {
        found = found || strcmp(children[i].digest, child) == 0;
    }
    *out = found;
    return NULL;
}
