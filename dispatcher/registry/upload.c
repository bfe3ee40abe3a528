// Blobs of a push: each is a small state machine, and rounds of http_send_all carry many at once.
//
//     CHECK ── 200 ──► DONE          HEAD: is it there?
//       └─ else ─► SESSION           POST: where to send it
//                    └─► BODY        PUT: the bytes, of known length
//                          ├─ 201 ─► DONE
//                          ├─ lost ► RECHECK    the answer may have been lost, not the blob
//                          └─ 416, 401 … ► SESSION
//
// A body is never resumed: every try has a session of its own, since ECR refuses a second body in
// the same one and reports wrong ranges (facts/registry-push.md §1).
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "image_internal.h"
#include "registry_internal.h"

enum {
    SMALL_BLOB = 1024 * 1024, // bodies up to this size count as small requests
    CALL_TIMEOUT_MS = 60 * 1000,
    BODY_TIMEOUT_MS = 10 * 60 * 1000,
    SLOWEST_BYTES_PER_MS = 32, // 32 KB/s; a line that stands still is noticed by net/
    GIVE_UP_TIMEOUT_MS = 5000,
    REFUSALS_MAX = 3, // in a row, as in registry_client.c
};

enum upload_state { UPLOAD_CHECK, UPLOAD_SESSION, UPLOAD_BODY, UPLOAD_RECHECK, UPLOAD_DONE };

struct uploads;

struct upload {
    struct uploads *owner;
    const struct image_descriptor *blob;
    enum upload_state state;
    unsigned attempts, refusals;
    int64_t not_before_ms; // mono
    char *location;        // of the session
    bool foreign;          // the session is at another origin

    // The request at hand.
    char *url;
    struct http_headers headers;
    struct http_request request;
    struct http_reader source, body; // body counts what source gives
    int64_t sent;
};

struct uploads {
    struct registry_client *client;
    const struct registry_push *push;
    struct registry_push_result *result;
    char *scope;
    struct upload *list; // largest first
    size_t count, left;
    bool explained;        // a dropped connection was asked about
    struct upload **round; // the ones on the wire
    struct http_exchange *exchanges;
    size_t round_count;
};

static void
upload_release(struct upload *upload)
{
    image_blob_close(&upload->source);
    http_headers_done(&upload->headers);
    free(upload->url);
    upload->url = NULL;
    upload->request = (struct http_request){0};
}

static void
uploads_done(struct uploads *uploads)
{
    for (size_t i = 0; i < uploads->count; i++) {
        upload_release(&uploads->list[i]);
        free(uploads->list[i].location);
    }
    for (size_t i = 0; i < uploads->round_count; i++) {
        http_response_done(&uploads->exchanges[i].response);
        error_free(uploads->exchanges[i].error);
    }
    free(uploads->list);
    free(uploads->round);
    free(uploads->exchanges);
    free(uploads->scope);
}

static void
report(const struct upload *upload, enum registry_progress_kind what, int64_t done)
{
    const struct registry_push *push = upload->owner->push;
    struct registry_progress progress = {
        .digest = upload->blob->digest, .done = done, .total = upload->blob->size, .what = what};
    if (push->progress != NULL) {
        push->progress(push->progress_ctx, &progress);
    }
}

static int64_t
body_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct upload *upload = ctx;
    int64_t got = upload->source.read(upload->source.ctx, out, size, err);
    if (got > 0) {
        upload->sent += got;
        report(upload, REGISTRY_BLOB_SENDING, upload->sent);
    }
    return got;
}

static struct error *
body_rewind(void *ctx)
{
    struct upload *upload = ctx;
    TRY(upload->source.rewind(upload->source.ctx));
    upload->sent = 0;
    return NULL;
}

static struct error *
prepare_body(struct upload *upload)
{
    struct uploads *uploads = upload->owner;
    struct buf url CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_puts(&url, upload->location);
    url_add_query(&url, "digest", upload->blob->digest);
    TRY(buf_finish(&url, "the upload's URL"));
    TRY(image_blob_open(uploads->push->image, upload->blob, &upload->source));
    upload->sent = 0;
    upload->body = (struct http_reader){body_read, body_rewind, upload, upload->blob->size, NULL};
    upload->url = buf_take(&url);
    http_headers_add(&upload->headers, "Content-Type", "application/octet-stream");
    upload->request.method = HTTP_PUT;
    upload->request.reader = &upload->body;
    upload->request.deadline_ms +=
        BODY_TIMEOUT_MS - CALL_TIMEOUT_MS + upload->blob->size / SLOWEST_BYTES_PER_MS;
    return NULL;
}

static struct error *
prepare(struct upload *upload)
{
    struct uploads *uploads = upload->owner;
    struct registry_client *client = uploads->client;
    const char *repository = uploads->push->repository;
    bool body = upload->state == UPLOAD_BODY;
    if (!(body && upload->foreign)) {
        TRY(registry_auth_add(client, uploads->scope, &upload->headers));
    }
    upload->request.deadline_ms = clock_mono(client->platform->clock) + CALL_TIMEOUT_MS;
    upload->request.headers = &upload->headers;
    if (body) {
        TRY(prepare_body(upload));
    } else if (upload->state == UPLOAD_SESSION) {
        upload->request.method = HTTP_POST;
        upload->url = registry_url(client, repository, "blobs", "uploads/");
    } else {
        upload->request.method = HTTP_HEAD;
        upload->url = registry_url(client, repository, "blobs", upload->blob->digest);
    }
    upload->request.url = upload->url;
    return NULL;
}

static void
finish(struct upload *upload, bool sent)
{
    struct registry_push_result *result = upload->owner->result;
    upload->state = UPLOAD_DONE;
    upload->owner->left--;
    if (sent) {
        result->blobs_sent++;
        result->bytes_sent += upload->blob->size;
    } else {
        result->blobs_present++;
    }
    report(upload, sent ? REGISTRY_BLOB_SENT : REGISTRY_BLOB_PRESENT, upload->blob->size);
}

static char *
describe(const struct upload *upload)
{
    static const char *const verbs[] = {[UPLOAD_CHECK] = "HEAD",
        [UPLOAD_SESSION] = "POST upload for",
        [UPLOAD_BODY] = "PUT",
        [UPLOAD_RECHECK] = "HEAD",
        [UPLOAD_DONE] = ""};
    return xasprintf("%s blob '%s'", verbs[upload->state], upload->blob->digest);
}

static struct error *
status_error(const struct upload *upload, const struct http_response *response)
{
    char *what CLEANUP(xfreep) = describe(upload);
    return registry_status_error(upload->owner->client, what, response);
}

// A wrong size under the right digest is a registry that has lost its mind, or lies.
static struct error *
check_length(const struct upload *upload, const struct http_response *response)
{
    int64_t length = 0;
    const char *header = http_headers_get(&response->headers, "Content-Length");
    bool known = header != NULL && str_to_int64(str_of(header), &length) && length > 0;
    if (known && length != upload->blob->size) {
        return error_hint(error_new(ERROR_UNAVAILABLE,
                              "registry '%s' says blob '%s' has %lld bytes instead of %lld",
                              upload->owner->client->host, upload->blob->digest, (long long)length,
                              (long long)upload->blob->size),
            "Its copy is damaged; let the registry's owner delete it.");
    }
    return NULL;
}

static struct error *
on_check(struct upload *upload, const struct http_response *response)
{
    bool recheck = upload->state == UPLOAD_RECHECK;
    if (response->status == 200) {
        TRY(check_length(upload, response));
    }
    // 307 and 302 lead to the storage behind: the blob is there (distribution's redirects).
    if (response->status == 200 || response->status == 307 || response->status == 302) {
        finish(upload, recheck);
        return NULL;
    }
    if (response->status >= 500 || response->status == 429) {
        return status_error(upload, response);
    }
    // 404: not there. Anything else may be credentials that may write but not read.
    upload->state = UPLOAD_SESSION;
    return NULL;
}

static struct error *
on_session(struct upload *upload, const struct http_response *response)
{
    if (response->status != 202) {
        return status_error(upload, response);
    }
    free(upload->location);
    upload->location = NULL;
    TRY(registry_location(
        upload->owner->client, upload->url, response, &upload->location, &upload->foreign));
    upload->state = UPLOAD_BODY;
    return NULL;
}

static bool
session_is_lost(const struct http_response *response)
{
    char *code CLEANUP(xfreep) = registry_error_code(response);
    return response->status == 416 || strcmp(code, "BLOB_UPLOAD_INVALID") == 0 ||
           strcmp(code, "BLOB_UPLOAD_UNKNOWN") == 0;
}

static struct error *
on_body(struct upload *upload, const struct http_response *response)
{
    const char *digest = http_headers_get(&response->headers, "Docker-Content-Digest");
    if (response->status == 201 || response->status == 200 || response->status == 204) {
        if (digest != NULL && strcmp(digest, upload->blob->digest) != 0) {
            struct arena *arena CLEANUP(arena_freep) = arena_new();
            return error_new(ERROR_UNAVAILABLE, "registry '%s' stored blob '%s' as %s",
                upload->owner->client->host, upload->blob->digest, image_quote(arena, digest));
        }
        finish(upload, true);
        return NULL;
    }
    if (session_is_lost(response) && ++upload->attempts < registry_policy.max_attempts) {
        upload->state = UPLOAD_SESSION;
        return NULL;
    }
    return status_error(upload, response);
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
on_failure(struct upload *upload, struct http_exchange *exchange)
{
    struct error *err = exchange->error;
    BUG_ON(err == NULL);
    exchange->error = NULL;
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
    if (upload->state == UPLOAD_BODY) {
        upload->state = UPLOAD_RECHECK;
    }
}

static struct error *
on_refused(struct upload *upload, const struct http_exchange *exchange, bool *refreshed)
{
    if ((upload->state == UPLOAD_BODY && upload->foreign) || upload->refusals++ == REFUSALS_MAX) {
        return status_error(upload, &exchange->response);
    }
    if (!*refreshed) { // one new token serves all of this round
        TRY(registry_auth_refused(upload->owner->client, &exchange->response.headers));
        *refreshed = true;
    }
    if (upload->state == UPLOAD_BODY) {
        upload->state = UPLOAD_SESSION;
    }
    return NULL;
}

static struct error *
on_answer(struct upload *upload, const struct http_response *response)
{
    upload->refusals = 0;
    registry_auth_accepted(upload->owner->client);
    switch (upload->state) {
    case UPLOAD_CHECK:
    case UPLOAD_RECHECK:
        return on_check(upload, response);
    case UPLOAD_SESSION:
        return on_session(upload, response);
    case UPLOAD_BODY:
        return on_body(upload, response);
    case UPLOAD_DONE:
        break;
    }
    BUG_ON(true);
}

static struct error *
handle(struct upload *upload, struct http_exchange *exchange, bool *refreshed)
{
    int64_t wait_ms = 0;
    bool dropped = exchange->error != NULL && upload->state == UPLOAD_SESSION &&
                   error_remote_of(exchange->error)->request_left;
    if (dropped && !upload->owner->explained) {
        TRY(missing_repository(upload));
    }
    enum registry_verdict verdict = registry_judge(upload->owner->client, exchange->error,
        &exchange->response, upload->attempts + 1, &wait_ms);
    switch (verdict) {
    case VERDICT_ANSWER:
        return on_answer(upload, &exchange->response);
    case VERDICT_AUTH:
        return on_refused(upload, exchange, refreshed);
    case VERDICT_AGAIN:
        wait_and_repeat(upload, wait_ms);
        return NULL;
    case VERDICT_FAILED:
        break;
    }
    return on_failure(upload, exchange);
}

static int
largest_first(const void *a, const void *b)
{
    const struct upload *left = a, *right = b;
    if (left->blob->size != right->blob->size) {
        return left->blob->size > right->blob->size ? -1 : 1;
    }
    return strcmp(left->blob->digest, right->blob->digest);
}

// All checks first; then a window of uploads, of which few have large bodies.
static void
choose(struct uploads *uploads)
{
    const struct registry_client *client = uploads->client;
    int64_t now = clock_mono(client->platform->clock);
    bool checking = false;
    size_t large = 0;
    uploads->round_count = 0;
    for (size_t i = 0; i < uploads->count; i++) {
        checking = checking || uploads->list[i].state == UPLOAD_CHECK;
    }
    for (size_t i = 0; i < uploads->count; i++) {
        struct upload *upload = &uploads->list[i];
        bool is_large = upload->blob->size > SMALL_BLOB;
        if (upload->state == UPLOAD_DONE || upload->not_before_ms > now ||
            (upload->state == UPLOAD_CHECK) != checking) {
            continue;
        }
        if (!checking && (uploads->round_count == client->parallel_small ||
                             (is_large && large == client->parallel_bodies))) {
            continue;
        }
        large += is_large;
        uploads->round[uploads->round_count++] = upload;
    }
}

static struct error *
wait_for_due(const struct uploads *uploads)
{
    const struct platform *platform = uploads->client->platform;
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < uploads->count; i++) {
        const struct upload *upload = &uploads->list[i];
        if (upload->state != UPLOAD_DONE && upload->not_before_ms < due) {
            due = upload->not_before_ms;
        }
    }
    return clock_sleep_until(platform->clock, due, platform->cancel);
}

// Every outcome of the round is taken in before the first failure ends the push.
static struct error *
handle_round(struct uploads *uploads)
{
    struct error *first = NULL;
    bool refreshed = false;
    for (size_t i = 0; i < uploads->round_count; i++) {
        struct http_exchange *exchange = &uploads->exchanges[i];
        struct error *err = handle(uploads->round[i], exchange, &refreshed);
        upload_release(uploads->round[i]);
        http_response_done(&exchange->response);
        error_free(exchange->error);
        exchange->error = NULL;
        if (first == NULL) {
            first = err;
        } else {
            error_free(err);
        }
    }
    uploads->round_count = 0;
    return first;
}

static struct error *
run_round(struct uploads *uploads)
{
    for (size_t i = 0; i < uploads->round_count; i++) {
        uploads->exchanges[i] = (struct http_exchange){.request = &uploads->round[i]->request};
    }
    for (size_t i = 0; i < uploads->round_count; i++) {
        TRY(prepare(uploads->round[i]));
    }
    uploads->client->requests += (int64_t)uploads->round_count;
    TRY(http_send_all(uploads->client->http, uploads->exchanges, uploads->round_count,
        uploads->client->parallel_small));
    return handle_round(uploads);
}

// Sessions that will not be used are given back; whether that works does not matter.
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
        error_free(registry_send(uploads->client, &call, &response));
    }
}

static void
uploads_init(struct uploads *uploads, const struct image_descriptor *blobs, size_t count)
{
    uploads->list = xcalloc(count > 0 ? count : 1, sizeof(*uploads->list));
    uploads->round = xcalloc(count > 0 ? count : 1, sizeof(struct upload *));
    uploads->exchanges = xcalloc(count > 0 ? count : 1, sizeof(*uploads->exchanges));
    for (size_t i = 0; i < count; i++) {
        uploads->list[i] = (struct upload){.owner = uploads, .blob = &blobs[i]};
    }
    qsort(uploads->list, count, sizeof(*uploads->list), largest_first);
    uploads->count = uploads->left = count;
}

struct error *
registry_upload_blobs(struct registry_client *client, const struct registry_push *push,
    struct registry_push_result *result)
{
    const struct image_descriptor *blobs = NULL;
    size_t count = 0;
    struct error *err = NULL;
    TRY(image_blobs(push->image, &blobs, &count));
    struct uploads uploads CLEANUP(uploads_done) = {
        .client = client, .push = push, .result = result};
    uploads.scope = registry_scope(push->repository, SCOPE_PUSH);
    uploads_init(&uploads, blobs, count);
    while (err == NULL && uploads.left > 0) {
        choose(&uploads);
        err = uploads.round_count > 0 ? run_round(&uploads) : wait_for_due(&uploads);
    }
    if (err != NULL && error_kind(err) != ERROR_CANCELLED) {
        give_up(&uploads);
    }
    return err;
}
