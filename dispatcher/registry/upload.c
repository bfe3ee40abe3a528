// Parts of a push: each is a small state machine, and one flow of exchanges carries many at once.
//
//     HELD ──► CHECK ── 200 ──► DONE      HEAD: is it there?
//       └────────┴─► SESSION              POST: where to send it (201: mounted, DONE)
//                      └─► BODY           PUT of known length; PATCH where compression is under way
//                            ├──► COMMIT  PUT of the digest, after a PATCH
//                            ├─ 201 ─► DONE
//                            ├─ lost ► RECHECK    the answer may have been lost, not the blob
//                            └─ 416, 401 … ► SESSION
//
// A body is never resumed: every try has a session of its own, since ECR refuses a second body in
// the same one and reports wrong ranges (facts/registry-push.md §1). Where the base layer is not
// there, nothing small that stands on it is asked for: it would cost more than sending it.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "upload_internal.h"

enum {
    GIVE_UP_TIMEOUT_MS = 5000,
    REFUSALS_MAX = 3, // in a row, as in registry_client.c
};

static char *
describe(const struct upload *upload)
{
    static const char *const verbs[] = {[UPLOAD_HELD] = "",
        [UPLOAD_CHECK] = "HEAD",
        [UPLOAD_SESSION] = "POST upload for",
        [UPLOAD_BODY] = "PUT",
        [UPLOAD_COMMIT] = "PUT",
        [UPLOAD_RECHECK] = "HEAD",
        [UPLOAD_DONE] = ""};
    char *name CLEANUP(xfreep) = upload_name(upload);
    bool patch = upload->state == UPLOAD_BODY && upload->streams;
    return xasprintf("%s %s", patch ? "PATCH" : verbs[upload->state], name);
}

static struct error *
status_error(const struct upload *upload, const struct http_response *response)
{
    char *what CLEANUP(xfreep) = describe(upload);
    return registry_status_error(upload->owner->client, what, response);
}

static void
done(struct upload *upload, enum registry_progress_kind what)
{
    struct registry_push_result *result = upload->owner->result;
    upload->state = UPLOAD_DONE;
    upload->owner->left--;
    if (what == REGISTRY_PART_SENT) {
        result->blobs_sent++;
        result->bytes_sent += upload_part(upload)->descriptor.size;
    } else {
        result->blobs_present++;
        result->blobs_mounted += what == REGISTRY_PART_MOUNTED ? 1 : 0;
    }
    upload_report(upload, what, upload_size(upload));
}

// A wrong size under the right digest is a registry that has lost its mind, or lies.
static struct error *
check_length(const struct upload *upload, const struct http_response *response)
{
    const struct image_descriptor *blob = &upload_part(upload)->descriptor;
    int64_t length = 0;
    const char *header = http_headers_get(&response->headers, "Content-Length");
    bool known = header != NULL && str_to_int64(str_of(header), &length) && length > 0;
    if (known && length != blob->size) {
        return error_hint(error_new(ERROR_UNAVAILABLE,
                              "registry '%s' says blob '%s' has %lld bytes instead of %lld",
                              upload->owner->client->host, blob->digest, (long long)length,
                              (long long)blob->size),
            "Its copy is damaged; let the registry's owner delete it.");
    }
    return NULL;
}

// The base layer's answer speaks for the small ones that stand on it.
static void
settle_held(struct uploads *uploads, bool base_is_there)
{
    for (size_t i = 0; i < uploads->count; i++) {
        if (uploads->list[i].state == UPLOAD_HELD) {
            uploads->list[i].state = base_is_there ? UPLOAD_CHECK : UPLOAD_SESSION;
        }
    }
}

static struct error *
on_check(struct upload *upload, const struct http_response *response)
{
    bool recheck = upload->state == UPLOAD_RECHECK;
    if (response->status >= 500 || response->status == 429) {
        return status_error(upload, response);
    }
    upload->asked = true;
    if (response->status == 200) {
        TRY(check_length(upload, response));
    }
    // 307 and 302 lead to the storage behind: the blob is there (distribution's redirects).
    bool there = response->status == 200 || response->status == 307 || response->status == 302;
    if (there) {
        done(upload, recheck ? REGISTRY_PART_SENT : REGISTRY_PART_PRESENT);
    } else { // 404: not there. Anything else may be credentials that may write but not read.
        upload->state = !recheck && upload->location != NULL ? UPLOAD_BODY : UPLOAD_SESSION;
    }
    if (upload == upload->owner->base) {
        settle_held(upload->owner, there);
    }
    return NULL;
}

// To mount is to ask as well. What a registry does not mount may still be there.
static bool
mount_asks(const struct uploads *uploads)
{
    return uploads->push->mount_from != NULL && !uploads->client->is_ecr;
}

static bool
is_in_doubt(const struct upload *upload)
{
    return mount_asks(upload->owner) && !upload->asked && upload_is_large(upload);
}

static struct error *
on_session(struct upload *upload, const struct http_response *response)
{
    bool mounts =
        upload->owner->push->mount_from != NULL && upload_part(upload)->descriptor.digest != NULL;
    if (response->status == 201 && mounts) {
        done(upload, REGISTRY_PART_MOUNTED);
        return NULL;
    }
    if (response->status != 202) {
        return status_error(upload, response);
    }
    free(upload->location);
    upload->location = NULL;
    TRY(registry_location(
        upload->owner->client, upload->url, response, &upload->location, &upload->foreign));
    upload->state = is_in_doubt(upload) ? UPLOAD_CHECK : UPLOAD_BODY;
    return NULL;
}

static bool
session_is_lost(const struct http_response *response)
{
    char *code CLEANUP(xfreep) = registry_error_code(response);
    return response->status == 416 || strcmp(code, "BLOB_UPLOAD_INVALID") == 0 ||
           strcmp(code, "BLOB_UPLOAD_UNKNOWN") == 0;
}

// The registry refuses the bytes: is it our copy that is damaged?
static struct error *
explain_digest(struct upload *upload, const struct http_response *response)
{
    char *code CLEANUP(xfreep) = registry_error_code(response);
    bool meant = strcmp(code, "DIGEST_INVALID") == 0 || strcmp(code, "SIZE_INVALID") == 0;
    if (meant && upload_part(upload)->diff_id == NULL) {
        TRY(image_part_verify(upload->owner->push->image, upload->part));
    }
    return status_error(upload, response);
}

// What was sent is what was asked for, and the registry says so.
static struct error *
on_stored(struct upload *upload, const struct http_response *response)
{
    const char *digest = http_headers_get(&response->headers, "Docker-Content-Digest");
    const struct image_descriptor *blob = &upload_part(upload)->descriptor;
    if (response->status == 201 || response->status == 200 || response->status == 204) {
        if (digest != NULL && strcmp(digest, blob->digest) != 0) {
            struct arena *arena CLEANUP(arena_freep) = arena_new();
            return error_new(ERROR_UNAVAILABLE, "registry '%s' stored blob '%s' as %s",
                upload->owner->client->host, blob->digest, image_quote(arena, digest));
        }
        done(upload, REGISTRY_PART_SENT);
        return NULL;
    }
    if (session_is_lost(response) && ++upload->attempts < registry_policy.max_attempts) {
        upload->state = UPLOAD_SESSION;
        return NULL;
    }
    return explain_digest(upload, response);
}

// Some registries, and proxies before them, take no body without a length: what it will be is then
// found out first.
static bool
refuses_streams(const struct http_response *response)
{
    char *code CLEANUP(xfreep) = registry_error_code(response);
    bool plain = response->status == 400 && code[0] == '\0';
    return plain || response->status == 405 || response->status == 411 || response->status == 501;
}

// The whole layer has been taken; the registry is told its digest only if it is the right layer.
static struct error *
on_streamed(struct upload *upload, const struct http_response *response)
{
    struct uploads *uploads = upload->owner;
    struct image *image = uploads->push->image;
    if (refuses_streams(response)) {
        compressor_layer_free(upload->layer);
        upload->layer = NULL;
        upload->source = (struct http_reader){0};
        upload->state = UPLOAD_SESSION;
        return image_measure_part(
            image, upload->part, uploads_compressor(uploads), uploads->push->compression);
    }
    if (response->status < 200 || response->status > 204) {
        return on_stored(upload, response);
    }
    const struct compressor_result *result = compressor_layer_result(upload->layer);
    if (result == NULL) {
        return error_new(ERROR_UNAVAILABLE, "registry '%s' answered before it had the whole layer",
            uploads->client->host);
    }
    TRY(image_check_plain(image, upload->part, result->diff_id));
    const struct image_descriptor made = {
        image_layer_type(uploads->push->compression), result->digest, result->size, NULL};
    image_settle(image, upload->part, &made);
    if (http_headers_get(&response->headers, "Location") != NULL) {
        char *location = NULL;
        TRY(registry_location(uploads->client, upload->url, response, &location, &upload->foreign));
        free(upload->location);
        upload->location = location;
    }
    upload->state = UPLOAD_COMMIT;
    return NULL;
}

// A missing repository makes ECR drop the connection; asking for a manifest makes it say so. NULL
// when that is not the reason.
static struct error *
missing_repository(struct upload *upload)
{
    struct uploads *uploads = upload->owner;
    struct registry_client *client = uploads->client;
    struct http_response response CLEANUP(http_response_done) = {0};
    char *url CLEANUP(xfreep) =
        registry_url(client, uploads->push->repository, "manifests", uploads->push->tag);
    struct registry_call call = {
        .method = HTTP_GET, .url = url, .scope = uploads->scope, .single = true};
    uploads->explained = true;
    struct error *err = registry_send(client, &call, &response);
    if (err != NULL) {
        error_free(err);
        return NULL;
    }
    char *code CLEANUP(xfreep) = registry_error_code(&response);
    if (strcmp(code, "NAME_UNKNOWN") != 0) {
        return NULL;
    }
    char *what CLEANUP(xfreep) = xasprintf("repository '%s'", uploads->push->repository);
    return registry_status_error(client, what, &response);
}

static struct error *
on_failure(struct upload *upload)
{
    struct error *err = upload->exchange.error;
    BUG_ON(err == NULL);
    upload->exchange.error = NULL;
    char *what CLEANUP(xfreep) = describe(upload);
    return upload->attempts > 0
               ? error_wrap(err, "%s: given up after %u attempts", what, upload->attempts + 1)
               : error_wrap(err, "%s", what);
}

static void
wait_and_repeat(struct upload *upload, int64_t wait_ms)
{
    upload->attempts++;
    upload->not_before_ms = clock_mono(upload->owner->client->platform->clock) + wait_ms;
    bool committing = upload->state == UPLOAD_COMMIT;
    if (upload->state == UPLOAD_BODY || committing) {
        bool known = upload_part(upload)->descriptor.digest != NULL;
        upload->state = known ? UPLOAD_RECHECK : UPLOAD_SESSION;
        upload_report(upload, REGISTRY_PART_AGAIN, 0);
    }
}

static struct error *
on_refused(struct upload *upload)
{
    struct uploads *uploads = upload->owner;
    const struct http_response *response = &upload->exchange.response;
    bool in_session = upload->state == UPLOAD_BODY || upload->state == UPLOAD_COMMIT;
    if ((in_session && upload->foreign) || upload->refusals++ == REFUSALS_MAX) {
        return status_error(upload, response);
    }
    if (!uploads->refreshed) { // one new token serves all that were refused with the old one
        TRY(registry_auth_refused(uploads->client, &response->headers));
        uploads->refreshed = true;
    }
    if (upload->state == UPLOAD_BODY) {
        upload->state = UPLOAD_SESSION;
    }
    return NULL;
}

static struct error *
on_answer(struct upload *upload)
{
    const struct http_response *response = &upload->exchange.response;
    upload->refusals = 0;
    upload->owner->refreshed = false;
    registry_auth_accepted(upload->owner->client);
    switch (upload->state) {
    case UPLOAD_CHECK:
    case UPLOAD_RECHECK:
        return on_check(upload, response);
    case UPLOAD_SESSION:
        return on_session(upload, response);
    case UPLOAD_BODY:
        return upload->streams ? on_streamed(upload, response) : on_stored(upload, response);
    case UPLOAD_COMMIT:
        return on_stored(upload, response);
    case UPLOAD_HELD:
    case UPLOAD_DONE:
        break;
    }
    BUG_ON(true);
}

static struct error *
handle(struct upload *upload)
{
    int64_t wait_ms = 0;
    const struct error *err = upload->exchange.error;
    bool dropped =
        err != NULL && upload->state == UPLOAD_SESSION && error_remote_of(err)->request_left;
    if (dropped && !upload->owner->explained) {
        TRY(missing_repository(upload));
    }
    enum registry_verdict verdict = registry_judge(
        upload->owner->client, err, &upload->exchange.response, upload->attempts + 1, &wait_ms);
    switch (verdict) {
    case VERDICT_ANSWER:
        return on_answer(upload);
    case VERDICT_AUTH:
        return on_refused(upload);
    case VERDICT_AGAIN:
        wait_and_repeat(upload, wait_ms);
        return NULL;
    case VERDICT_FAILED:
        break;
    }
    return on_failure(upload);
}

static int
largest_first(const void *a, const void *b)
{
    const struct upload *left = a, *right = b;
    int64_t left_size = upload_size(left), right_size = upload_size(right);
    if (left_size != right_size) {
        return left_size > right_size ? -1 : 1;
    }
    return left->part < right->part ? -1 : 1;
}

static struct http_exchange *
next_exchange(void *ctx, int64_t *again_ms)
{
    struct uploads *uploads = ctx;
    if (uploads->failure != NULL || uploads->active >= uploads->client->parallel_small) {
        return NULL;
    }
    struct upload *upload = upload_choose(uploads, again_ms);
    if (upload == NULL) {
        return NULL;
    }
    uploads->failure = upload_prepare(upload);
    if (uploads->failure != NULL) {
        upload_release(upload);
        return NULL;
    }
    upload->active = true;
    uploads->active++;
    uploads->client->requests++;
    return &upload->exchange;
}

// The exchange is a member of its upload.
static struct upload *
upload_of(struct http_exchange *exchange)
{
    return (struct upload *)(void *)((char *)exchange - offsetof(struct upload, exchange));
}

static void
exchange_ended(void *ctx, struct http_exchange *exchange)
{
    struct uploads *uploads = ctx;
    struct upload *upload = upload_of(exchange);
    upload->active = false;
    uploads->active--;
    if (uploads->failure == NULL) {
        uploads->failure = handle(upload);
    }
    upload_release(upload);
}

static bool
has_failed(void *ctx)
{
    const struct uploads *uploads = ctx;
    return uploads->failure != NULL;
}

// Sessions that will not be used are given back; whether that works does not matter, but a registry
// that does not answer once is not waited for again.
static void
give_up(struct uploads *uploads)
{
    for (size_t i = 0; i < uploads->count; i++) {
        const struct upload *upload = &uploads->list[i];
        struct http_response response CLEANUP(http_response_done) = {0};
        if (upload->location == NULL || upload->state == UPLOAD_DONE) {
            continue;
        }
        struct registry_call call = {.method = HTTP_DELETE,
            .url = upload->location,
            .scope = uploads->scope,
            .foreign = upload->foreign,
            .single = true,
            .timeout_ms = GIVE_UP_TIMEOUT_MS};
        struct error *err = registry_send(uploads->client, &call, &response);
        if (err != NULL) {
            error_free(err);
            return;
        }
    }
}

static void
uploads_done(struct uploads *uploads)
{
    for (size_t i = 0; i < uploads->count; i++) {
        upload_release(&uploads->list[i]);
        free(uploads->list[i].location);
    }
    compressor_free(uploads->compressor);
    free(uploads->list);
    free(uploads->scope);
}

static bool
is_config(const struct image_part *part)
{
    return str_contains(str_of(part->descriptor.media_type), STR(".config.v1+json")) ||
           str_contains(str_of(part->descriptor.media_type), STR("container.image.v1+json")) ||
           cstr_equal(part->descriptor.media_type, "application/vnd.oci.empty.v1+json");
}

// Is it worth a question? A configuration is new when its manifest is, and small.
static enum upload_state
first_state(const struct upload *upload, bool known_to_be_new)
{
    const struct image_part *part = upload_part(upload);
    if (part->descriptor.digest == NULL || mount_asks(upload->owner)) {
        return UPLOAD_SESSION;
    }
    if (upload_is_large(upload)) {
        return UPLOAD_CHECK;
    }
    return is_config(part) || known_to_be_new ? UPLOAD_SESSION : UPLOAD_HELD;
}

// Layers of one block are compressed at once: of known length, they cost one request less.
static struct error *
measure_small(struct uploads *uploads, size_t part)
{
    const struct image_part *known = image_part_at(uploads->push->image, part);
    if (known->descriptor.digest != NULL || known->plain_size > COMPRESSOR_BLOCK) {
        return NULL;
    }
    return image_measure_part(
        uploads->push->image, part, uploads_compressor(uploads), uploads->push->compression);
}

// The base is the first layer in the image's own order.
static void
choose_base(struct uploads *uploads)
{
    struct upload *base = NULL;
    for (size_t i = 0; i < uploads->count; i++) {
        struct upload *upload = &uploads->list[i];
        bool asked = upload->state == UPLOAD_HELD || upload->state == UPLOAD_CHECK;
        if (asked && (base == NULL || upload->part < base->part)) {
            base = upload;
        }
    }
    uploads->base = base;
    if (base != NULL) {
        base->state = UPLOAD_CHECK;
    }
}

static struct error *
uploads_init(struct uploads *uploads, const struct registry_reuse *reuse)
{
    size_t count = image_part_count(uploads->push->image);
    uploads->list = xcalloc(count > 0 ? count : 1, sizeof(*uploads->list));
    for (size_t i = 0; i < count; i++) {
        TRY(measure_small(uploads, i));
        struct upload *upload = &uploads->list[uploads->count++];
        *upload = (struct upload){.owner = uploads, .part = i};
        upload->state = first_state(upload, reuse->found);
        uploads->left++;
        if (registry_reuse_has(reuse, image_part_at(uploads->push->image, i))) {
            done(upload, REGISTRY_PART_REUSED);
        }
    }
    qsort(uploads->list, uploads->count, sizeof(*uploads->list), largest_first);
    choose_base(uploads);
    return NULL;
}

struct error *
registry_upload_parts(struct registry_client *client, const struct registry_push *push,
    const struct registry_reuse *reuse, struct registry_push_result *result)
{
    struct uploads uploads CLEANUP(uploads_done) = {
        .client = client, .push = push, .result = result};
    uploads.scope = registry_scope(push->repository, SCOPE_PUSH);
    TRY(uploads_init(&uploads, reuse));
    const struct http_flow flow = {next_exchange, exchange_ended, has_failed, &uploads};
    struct error *err = image_run(push->image, client->http, &flow);
    if (err != NULL) { // interrupted
        error_free(uploads.failure);
        return err;
    }
    if (uploads.failure != NULL) {
        if (error_kind(uploads.failure) != ERROR_CANCELLED) {
            give_up(&uploads);
        }
        return uploads.failure;
    }
    BUG_ON(uploads.left > 0);
    return NULL;
}
