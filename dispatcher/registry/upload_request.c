// What each state of an upload asks of the registry, and where the bytes of a body come from.
// Judges no answers; that is upload.c.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "upload_internal.h"

enum {
    CALL_TIMEOUT_MS = 60 * 1000,
    BODY_TIMEOUT_MS = 10 * 60 * 1000,
    SLOWEST_BYTES_PER_MS = 32, // 32 KB/s; a line that stands still is noticed by net/
    LARGE_BYTES = 1024 * 1024, // bodies up to this size count as small requests
};

const struct image_part *
upload_part(const struct upload *upload)
{
    return image_part_at(upload->owner->push->image, upload->part);
}

int64_t
upload_size(const struct upload *upload)
{
    const struct image_part *part = upload_part(upload);
    int64_t size = part->diff_id != NULL ? part->plain_size : part->descriptor.size;
    return size > 0 ? size : 0; // -1: a daemon told of it, and it need not be sent
}

bool
upload_is_large(const struct upload *upload)
{
    return upload_size(upload) > LARGE_BYTES;
}

char *
upload_name(const struct upload *upload)
{
    const struct image_part *part = upload_part(upload);
    bool known = part->descriptor.digest != NULL;
    return xasprintf(
        "%s '%s'", known ? "blob" : "layer", known ? part->descriptor.digest : part->diff_id);
}

void
upload_report(const struct upload *upload, enum registry_progress_kind what, int64_t done)
{
    const struct registry_push *push = upload->owner->push;
    const struct image_part *part = upload_part(upload);
    struct registry_progress progress = {
        .what = what,
        .part = upload->part,
        .digest = part->descriptor.digest,
        .diff_id = part->diff_id,
        .done = done,
        .total = upload_size(upload),
        .sent = upload->sent,
    };
    if (push->progress != NULL) {
        push->progress(push->progress_ctx, &progress);
    }
}

static void
wake(void *http)
{
    http_wake(http);
}

struct compressor *
uploads_compressor(struct uploads *uploads)
{
    if (uploads->compressor == NULL) {
        const struct compressor_options options = {
            .compression = uploads->push->compression,
            .threads = uploads->push->threads,
            .wake = wake,
            .wake_ctx = uploads->client->http,
        };
        uploads->compressor = compressor_new(&options);
    }
    return uploads->compressor;
}

// The registry would wait for the rest of a body that ends early.
static int64_t
body_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct upload *upload = ctx;
    int64_t length = upload->body.length;
    int64_t got = upload->source.read(upload->source.ctx, out, size, err);
    bool ends_early = got == 0 && length >= 0 && upload->sent < length;
    if (ends_early || (length >= 0 && got > length - upload->sent)) {
        *err = error_new(
            ERROR_INPUT, "it does not have the %lld bytes that it should have", (long long)length);
        return -1;
    }
    if (got > 0) {
        upload->sent += got;
        int64_t done = upload->layer != NULL ? compressor_layer_done(upload->layer) : upload->sent;
        upload_report(upload, REGISTRY_PART_SENDING, done);
    }
    return got;
}

static bool
body_ready(void *ctx)
{
    const struct upload *upload = ctx;
    return upload->source.ready == NULL || upload->source.ready(upload->source.ctx);
}

// A body starts again in a session of its own only, but libcurl may ask for it before a byte was
// taken from a kept connection that turned out to be dead. What cannot start again ends as a lost
// connection then, and gets another session.
static struct error *
body_rewind(void *ctx)
{
    struct upload *upload = ctx;
    if (upload->sent == 0) {
        return NULL;
    }
    TRY(upload->source.rewind(upload->source.ctx));
    upload->sent = 0;
    return NULL;
}

static struct error *
open_source(struct upload *upload)
{
    struct uploads *uploads = upload->owner;
    if (upload_part(upload)->diff_id == NULL) {
        return image_part_open(uploads->push->image, upload->part, &upload->source);
    }
    struct image_file file CLEANUP(image_file_close) = IMAGE_FILE_NONE;
    TRY(image_plain_open(uploads->push->image, upload->part, &file));
    upload->layer = compressor_add(uploads_compressor(uploads), &file);
    upload->source = compressor_layer_reader(upload->layer);
    return NULL;
}

static struct error *
commit_url(const struct upload *upload, char **out)
{
    struct buf url CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_puts(&url, upload->location);
    url_add_query(&url, "digest", upload_part(upload)->descriptor.digest);
    TRY(buf_finish(&url, "the upload's URL"));
    *out = buf_take(&url);
    return NULL;
}

// Of a known digest: PUT with its length. Else one PATCH of unknown length, without Content-Range.
static struct error *
prepare_body(struct upload *upload)
{
    TRY(open_source(upload));
    int64_t size = upload_part(upload)->descriptor.size;
    upload->streams = upload_part(upload)->descriptor.digest == NULL;
    if (upload->streams) {
        upload->url = xstrdup(upload->location);
        upload->request.method = HTTP_PATCH;
        size = -1;
    } else {
        TRY(commit_url(upload, &upload->url));
        upload->request.method = HTTP_PUT;
    }
    upload->sent = 0;
    upload->body = (struct http_reader){.read = body_read,
        .rewind = upload->source.rewind != NULL ? body_rewind : NULL,
        .ctx = upload,
        .length = size,
        .ready = body_ready};
    http_headers_add(&upload->headers, "Content-Type", "application/octet-stream");
    upload->request.reader = &upload->body;
    upload->request.deadline_ms +=
        BODY_TIMEOUT_MS - CALL_TIMEOUT_MS + upload_size(upload) / SLOWEST_BYTES_PER_MS;
    return NULL;
}

static char *
session_url(const struct upload *upload)
{
    const struct registry_push *push = upload->owner->push;
    struct buf url = BUF_INIT(64 * 1024);
    char *plain CLEANUP(xfreep) =
        registry_url(upload->owner->client, push->repository, "blobs", "uploads/");
    buf_puts(&url, plain);
    if (push->mount_from != NULL && upload_part(upload)->descriptor.digest != NULL) {
        url_add_query(&url, "mount", upload_part(upload)->descriptor.digest);
        url_add_query(&url, "from", push->mount_from);
    }
    return buf_take(&url);
}

static struct error *
prepare_request(struct upload *upload)
{
    const struct uploads *uploads = upload->owner;
    switch (upload->state) {
    case UPLOAD_CHECK:
    case UPLOAD_RECHECK:
        upload->request.method = HTTP_HEAD;
        upload->url = registry_url(uploads->client, uploads->push->repository, "blobs",
            upload_part(upload)->descriptor.digest);
        return NULL;
    case UPLOAD_SESSION:
        upload->request.method = HTTP_POST;
        upload->url = session_url(upload);
        return NULL;
    case UPLOAD_BODY:
        return prepare_body(upload);
    case UPLOAD_COMMIT:
        upload->request.method = HTTP_PUT;
        return commit_url(upload, &upload->url);
    case UPLOAD_HELD:
    case UPLOAD_DONE:
        break;
    }
    BUG_ON(true);
}

struct error *
upload_prepare(struct upload *upload)
{
    struct uploads *uploads = upload->owner;
    struct registry_client *client = uploads->client;
    bool in_session = upload->state == UPLOAD_BODY || upload->state == UPLOAD_COMMIT;
    if (!(in_session && upload->foreign)) {
        TRY(registry_auth_add(client, uploads->scope, &upload->headers));
    }
    upload->request.deadline_ms = clock_mono(client->platform->clock) + CALL_TIMEOUT_MS;
    upload->request.headers = &upload->headers;
    TRY(prepare_request(upload));
    upload->request.url = upload->url;
    upload->exchange = (struct http_exchange){.request = &upload->request};
    return NULL;
}

void
upload_release(struct upload *upload)
{
    if (upload->layer != NULL) {
        compressor_layer_free(upload->layer);
        upload->layer = NULL;
        upload->source = (struct http_reader){0};
    }
    image_part_close(&upload->source);
    http_headers_done(&upload->headers);
    http_response_done(&upload->exchange.response);
    error_free(upload->exchange.error);
    free(upload->url);
    upload->url = NULL;
    upload->request = (struct http_request){0};
    upload->exchange = (struct http_exchange){0};
}
