// Pushing an image: what is there already, the blobs, the manifests children first, the tag last,
// and the question whether the tag now names our digest (OCI distribution 1.1 "Pushing").
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "image_internal.h"
#include "registry_internal.h"

static struct error *
conflict(const struct registry_push *push, const char *theirs, const char *ours)
{
    return error_hint(
        error_new(ERROR_CONFLICT,
            "tag '%s' of '%s' cannot be changed: it names '%s', the image to push is '%s'",
            push->tag, push->repository, theirs, ours),
        "Push under another tag, or build the same content again; the tag is immutable.");
}

// Does the registry refuse because the tag is there and must not change? (facts/registry-push.md
// §1)
static bool
says_immutable(const struct http_response *response)
{
    int status = response->status;
    if (status != 400 && status != 403 && status != 409 && status != 412) {
        return false;
    }
    char *code CLEANUP(xfreep) = registry_error_code(response);
    return strcmp(code, "TAG_INVALID") == 0 ||
           str_contains(buf_str(&response->body), STR("immutable"));
}

static struct error *
check_put(const struct registry_client *client, const struct image_manifest *manifest,
    const struct http_response *response)
{
    const char *digest = http_headers_get(&response->headers, "Docker-Content-Digest");
    if (digest == NULL || strcmp(digest, manifest->descriptor.digest) == 0) {
        return NULL;
    }
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    return error_hint(error_new(ERROR_UNAVAILABLE, "registry '%s' stored manifest '%s' as %s",
                          client->host, manifest->descriptor.digest, image_quote(arena, digest)),
        "It changes what it is given; no image can be proven to run from there.");
}

// The answer of the tag's PUT was a refusal: fine when the tag names our digest all the same.
static struct error *
settle_refused_tag(struct registry_client *client, const struct registry_push *push,
    const struct image_manifest *manifest, const struct http_response *response, bool *confirmed)
{
    char *theirs CLEANUP(xfreep) = NULL;
    int status = 0;
    if (says_immutable(response)) {
        TRY(registry_head_manifest(
            client, push->repository, push->tag, SCOPE_PUSH, &theirs, &status));
    }
    if (theirs != NULL && strcmp(theirs, manifest->descriptor.digest) == 0) {
        *confirmed = true;
        return NULL;
    }
    if (theirs != NULL) {
        return conflict(push, theirs, manifest->descriptor.digest);
    }
    char *what CLEANUP(xfreep) = xasprintf("PUT manifest '%s'", push->tag);
    return registry_status_error(client, what, response);
}

static void
report(const struct registry_push *push, const struct image_manifest *manifest)
{
    struct registry_progress progress = {
        .digest = manifest->descriptor.digest,
        .done = manifest->descriptor.size,
        .total = manifest->descriptor.size,
        .what = REGISTRY_MANIFEST_SENT,
    };
    if (push->progress != NULL) {
        push->progress(push->progress_ctx, &progress);
    }
}

// `reference` is the digest of a child, the tag of the last one. *confirmed: the answer names the
// digest.
static struct error *
put_manifest(struct registry_client *client, const struct registry_push *push,
    const struct image_manifest *manifest, const char *reference, bool *confirmed)
{
    char *url CLEANUP(xfreep) = registry_url(client, push->repository, "manifests", reference);
    char *scope CLEANUP(xfreep) = registry_scope(push->repository, SCOPE_PUSH);
    struct http_response response CLEANUP(http_response_done) = {0};
    struct registry_call call = {
        .method = HTTP_PUT,
        .url = url,
        .scope = scope,
        .content_type = manifest->descriptor.media_type,
        .body = manifest->bytes,
    };
    TRY(registry_send(client, &call, &response));
    if (response.status < 200 || response.status > 299) {
        if (reference == push->tag) {
            return settle_refused_tag(client, push, manifest, &response, confirmed);
        }
        char *what CLEANUP(xfreep) = xasprintf("PUT manifest '%s'", reference);
        return registry_status_error(client, what, &response);
    }
    TRY(check_put(client, manifest, &response));
    *confirmed = http_headers_get(&response.headers, "Docker-Content-Digest") != NULL;
    report(push, manifest);
    return NULL;
}

static struct error *
put_children(struct registry_client *client, const struct registry_push *push,
    const struct image_manifest *manifests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *digest = manifests[i].descriptor.digest;
        char *there CLEANUP(xfreep) = NULL;
        int status = 0;
        bool confirmed = false;
        // Elsewhere a needless PUT is cheaper than the question; ECR allows ten a second.
        if (client->is_ecr) {
            TRY(registry_head_manifest(
                client, push->repository, digest, SCOPE_PUSH, &there, &status));
        }
        if (there == NULL) {
            TRY(put_manifest(client, push, &manifests[i], digest, &confirmed));
        }
    }
    return NULL;
}

// The answer to the PUT named the digest, or the tag does when asked.
static struct error *
confirm(struct registry_client *client, const struct registry_push *push, const char *digest)
{
    char *theirs CLEANUP(xfreep) = NULL;
    int status = 0;
    TRY(registry_head_manifest(client, push->repository, push->tag, SCOPE_PUSH, &theirs, &status));
    if (theirs != NULL && strcmp(theirs, digest) == 0) {
        return NULL;
    }
    if (theirs != NULL) {
        return error_hint(
            error_new(ERROR_CONFLICT, "tag '%s' of '%s' names '%s' right after '%s' was pushed",
                push->tag, push->repository, theirs, digest),
            "Somebody else pushes to the same tag, or the registry is not telling the truth.");
    }
    return error_new(ERROR_UNAVAILABLE,
        "registry '%s' does not show tag '%s' of '%s' after the push", client->host, push->tag,
        push->repository);
}

static struct error *
put_tag(struct registry_client *client, const struct registry_push *push)
{
    const struct image_manifest *manifests = NULL;
    size_t count = 0;
    bool confirmed = false;
    TRY(image_manifests(push->image, &manifests, &count));
    const struct image_manifest *top = &manifests[count - 1];
    TRY(put_manifest(client, push, top, push->tag, &confirmed));
    return confirmed ? NULL : confirm(client, push, top->descriptor.digest);
}

static struct error *
put_all(struct registry_client *client, const struct registry_push *push)
{
    const struct image_manifest *manifests = NULL;
    size_t count = 0;
    TRY(image_manifests(push->image, &manifests, &count));
    TRY(put_children(client, push, manifests, count - 1));
    return put_tag(client, push);
}

static bool
lacks_a_blob(const struct error *err)
{
    const char *code = err != NULL ? error_remote_of(err)->code : NULL;
    return cstr_equal(code, "MANIFEST_BLOB_UNKNOWN") || cstr_equal(code, "BLOB_UNKNOWN");
}

static bool
has_everything(const struct registry_reuse *reuse, const struct image *image)
{
    for (size_t i = 0; i < image_part_count(image); i++) {
        if (!registry_reuse_has(reuse, image_part_at(image, i))) {
            return false;
        }
    }
    return true;
}

// The bytes are got only when it is clear that they are needed.
static struct error *
send_parts(struct registry_client *client, const struct registry_push *push,
    const struct registry_reuse *reuse, struct registry_push_result *result)
{
    if (push->mount_from == NULL && !has_everything(reuse, push->image)) {
        TRY(image_fetch(push->image));
    }
    return registry_upload_parts(client, push, reuse, result);
}

// An image whose manifest is to be made: layers that an earlier image has are taken from there. If
// the registry has collected one of them in the meantime, they are sent after all.
static struct error *
push_composed(struct registry_client *client, const struct registry_push *push,
    struct registry_push_result *result, struct arena *arena)
{
    struct registry_reuse reuse = {0};
    TRY(registry_reuse_find(client, push, arena, &reuse));
    result->already_there = reuse.adopted;
    if (reuse.adopted && reuse.tagged) {
        return NULL;
    }
    struct error *err = reuse.adopted ? NULL : send_parts(client, push, &reuse, result);
    if (err == NULL) {
        err = put_all(client, push);
    }
    if (!lacks_a_blob(err) || reuse.digests.count == 0) {
        return err;
    }
    log_debug(
        client->platform->log, "an earlier image's blob is gone", F_STR("why", error_message(err)));
    error_free(err);
    registry_reuse_forget(&reuse, push->image);
    *result = (struct registry_push_result){0};
    TRY(send_parts(client, push, &reuse, result));
    return put_all(client, push);
}

// A registry that has the manifest has everything below it.
static struct error *
push_ready_made(struct registry_client *client, const struct registry_push *push,
    struct registry_push_result *result)
{
    const struct registry_reuse none = {0};
    const char *digest = NULL;
    char *whole CLEANUP(xfreep) = NULL;
    int status = 0;
    TRY(image_digest(push->image, &digest));
    TRY(registry_head_manifest(client, push->repository, digest, SCOPE_PUSH, &whole, &status));
    if (whole != NULL) {
        result->already_there = true;
        return put_tag(client, push);
    }
    TRY(send_parts(client, push, &none, result));
    return put_all(client, push);
}

// What this very registry has in another repository is mounted, where it allows that.
static struct registry_push
with_mount(struct registry_client *client, const struct registry_push *push)
{
    struct registry_push order = *push;
    const char *from = push->mount_from;
    from = from != NULL ? from : image_repository_at(push->image, client->host);
    order.mount_from = cstr_equal(from, push->repository) ? NULL : from;
    if (order.mount_from != NULL) {
        char *scope CLEANUP(xfreep) = registry_scope(order.mount_from, SCOPE_PULL);
        registry_auth_also(client, scope);
    }
    return order;
}

struct error *
registry_push_image(struct registry_client *client, const struct registry_push *push,
    struct arena *arena, struct registry_push_result *out)
{
    struct registry_push_result result = {0};
    const char *digest = NULL;
    int64_t before = client->requests;
    TRY(registry_check_repository(push->repository));
    if (!tag_is_valid(str_of(push->tag))) {
        return error_hint(
            error_new(ERROR_INPUT, "tag %s is not valid", image_quote(arena, push->tag)),
            "Use letters, digits, '_', '.' and '-', 128 at most, not starting with '.' or '-'.");
    }
    image_on_fetch(push->image, push->fetching, push->progress_ctx);
    bool composed = push->image->compose != NULL;
    const struct registry_push order = with_mount(client, push);
    struct error *err = composed ? push_composed(client, &order, &result, arena)
                                 : push_ready_made(client, &order, &result);
    if (err != NULL) {
        return error_wrap(err, "push '%s/%s:%s'", client->host, push->repository, push->tag);
    }
    TRY(image_digest(push->image, &digest));
    result.digest = arena_dup(arena, digest);
    result.requests = client->requests - before;
    *out = result;
    return NULL;
}
