// Blobs of an image in a registry, on their way from one GET to one PUT: both are exchanges of the
// same flow, so that one thread and a small ring a blob do it, and connections to the source are
// kept (docs/decisions/0012-copies-pass-through-one-flow.md). Each side rests while the ring is
// full or empty. The source is foreign: length and digest are checked as the bytes pass, and the
// last ones are handed on only when they are right.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "reader_internal.h"
#include "remote_internal.h"

enum {
    RING_MAX = 256 * 1024,
    PIECE = 16 * 1024, // that a writer must have room for (http.h)
    REFUSALS_MAX = 3,
    BODY_TIMEOUT_MS = 10 * 60 * 1000,
    SLOWEST_BYTES_PER_MS = 32,
    COMPLAINT_MAX = 256 * 1024,
};

enum pull_state { PULL_DUE, PULL_ACTIVE, PULL_ENDED };

struct pull {
    struct reader base; // first: readers are cast to it
    struct remote_image *remote;
    struct pull *next;
    const char *digest; // of the image's arena
    int64_t size;
    enum pull_state state;
    bool dropped;               // nobody reads it any more
    struct http_exchange *held; // the body that takes the bytes: it begins when there are any

    char *url;
    bool foreign; // no credentials
    unsigned hops, refusals, login;
    struct http_headers headers;
    struct http_request request;
    struct http_writer writer;
    struct http_exchange exchange;

    char *ring;
    size_t capacity, start, len;
    int64_t received;
    struct sha256 *hash;
    bool whole;          // all is there, and is what it should be
    struct error *error; // it never will be
};

static void
pull_free(struct pull *pull)
{
    struct pull **link = &pull->remote->pulls;
    while (*link != pull) {
        link = &(*link)->next;
    }
    *link = pull->next;
    if (pull->remote->opened == pull) {
        pull->remote->opened = NULL;
    }
    http_headers_done(&pull->headers);
    http_response_done(&pull->exchange.response);
    error_free(pull->exchange.error);
    error_free(pull->error);
    sha256_free(pull->hash);
    free(pull->url);
    free(pull->ring);
    free(pull);
}

static void
pull_close(struct reader *base)
{
    struct pull *pull = (struct pull *)base;
    pull->dropped = true;
    pull->held = NULL;
    if (pull->state != PULL_ACTIVE) {
        pull_free(pull);
    }
}

static bool
is_readable(const struct pull *pull)
{
    return pull->len > 0 || pull->whole || pull->error != NULL;
}

static bool
pull_readable(void *ctx)
{
    return is_readable(ctx);
}

static int64_t
pull_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct pull *pull = ctx;
    BUG_ON(!is_readable(pull));
    if (pull->error != NULL) {
        *err = pull->error;
        pull->error = error_new(error_kind(*err), "%s", error_message(*err));
        return -1;
    }
    size_t got = 0;
    while (got < size && pull->len > 0) {
        size_t run = pull->capacity - pull->start;
        run = run < pull->len ? run : pull->len;
        run = run < size - got ? run : size - got;
        memcpy(out + got, pull->ring + pull->start, run);
        pull->start = (pull->start + run) % pull->capacity;
        pull->len -= run;
        got += run;
    }
    return (int64_t)got;
}

static bool
pull_has_room(void *ctx)
{
    const struct pull *pull = ctx;
    size_t room = pull->capacity - pull->len;
    return pull->dropped || room >= PIECE || (int64_t)room >= pull->size - pull->received;
}

static struct error *
check_whole(struct pull *pull)
{
    unsigned char hash[SHA256_SIZE];
    char text[SHA256_DIGEST_TEXT_SIZE];
    sha256_final(pull->hash, hash);
    sha256_digest_text(hash, text);
    if (strcmp(text, pull->digest) != 0) {
        return error_hint(error_new(ERROR_INPUT,
                              "blob '%s' of registry '%s' is corrupt: its content has digest '%s'",
                              pull->digest, pull->remote->client->host, text),
            "Push the image there again, or let the registry's owner delete that copy.");
    }
    pull->whole = true;
    return NULL;
}

static struct error *
another_length(const struct pull *pull, const char *length)
{
    return error_hint(
        error_new(ERROR_INPUT, "blob '%s' of registry '%s' has %s bytes instead of %lld",
            pull->digest, pull->remote->client->host, length, (long long)pull->size),
        "Push the image there again, or let the registry's owner delete that copy.");
}

static void
put_into_ring(struct pull *pull, const char *bytes, size_t len)
{
    BUG_ON(len > pull->capacity - pull->len);
    while (len > 0) {
        size_t at = (pull->start + pull->len) % pull->capacity;
        size_t run = pull->capacity - at;
        run = run < len ? run : len;
        memcpy(pull->ring + at, bytes, run);
        pull->len += run;
        bytes += run;
        len -= run;
    }
}

static struct error *
pull_write(void *ctx, const char *bytes, size_t len)
{
    struct pull *pull = ctx;
    if (pull->dropped) {
        return error_new(ERROR_CANCELLED, "nobody reads it any more");
    }
    if ((int64_t)len > pull->size - pull->received) {
        return another_length(pull, "more");
    }
    sha256_update(pull->hash, bytes, len);
    if (pull->received + (int64_t)len == pull->size) {
        TRY(check_whole(pull));
    }
    pull->received += (int64_t)len;
    put_into_ring(pull, bytes, len);
    if (pull->held != NULL) {
        http_wake(pull->remote->client->http); // the body may begin
    }
    return NULL;
}

void
remote_pull_open(
    struct remote_image *remote, const struct image_descriptor *descriptor, struct http_reader *out)
{
    struct pull *pull = xcalloc(1, sizeof(*pull));
    BUG_ON(remote->opened != NULL);
    pull->base.close = pull_close;
    pull->remote = remote;
    pull->digest = descriptor->digest;
    pull->size = descriptor->size;
    pull->url = registry_url(remote->client, remote->repository, "blobs", descriptor->digest);
    pull->capacity = descriptor->size < RING_MAX ? (size_t)descriptor->size : RING_MAX;
    pull->ring = xmalloc(pull->capacity > 0 ? pull->capacity : 1);
    pull->hash = sha256_new();
    pull->writer = (struct http_writer){pull_write, pull, pull_has_room};
    pull->next = remote->pulls;
    remote->pulls = pull;
    remote->opened = pull;
    *out = (struct http_reader){pull_read, NULL, pull, pull->size, pull_readable};
}

static struct error *
prepare(struct pull *pull)
{
    struct remote_image *remote = pull->remote;
    struct registry_client *client = remote->client;
    http_headers_done(&pull->headers);
    http_response_done(&pull->exchange.response);
    if (!pull->foreign) {
        TRY(registry_auth_add(client, remote->scope, &pull->headers));
    }
    pull->login = remote->logins;
    pull->request = (struct http_request){.method = HTTP_GET,
        .url = pull->url,
        .headers = &pull->headers,
        .writer = &pull->writer,
        .deadline_ms = clock_mono(client->platform->clock) + BODY_TIMEOUT_MS +
                       pull->size / SLOWEST_BYTES_PER_MS,
        .max_response = COMPLAINT_MAX};
    pull->exchange = (struct http_exchange){.request = &pull->request};
    client->requests++;
    return NULL;
}

static struct error *
follow(struct pull *pull)
{
    char *next = NULL;
    TRY(registry_redirect(
        pull->remote->client, pull->url, &pull->exchange.response, &next, &pull->foreign));
    free(pull->url);
    pull->url = next;
    pull->state = PULL_DUE;
    return NULL;
}

// One new token serves all that were refused with the old one.
static struct error *
log_in_again(struct pull *pull)
{
    struct remote_image *remote = pull->remote;
    if (pull->login == remote->logins) {
        TRY(registry_auth_refused(remote->client, &pull->exchange.response.headers));
        remote->logins++;
    }
    pull->state = PULL_DUE;
    return NULL;
}

// It ended without an error, and yet not all is there.
static struct error *
ended_short(const struct pull *pull)
{
    const char *length = http_headers_get(&pull->exchange.response.headers, "Content-Length");
    int64_t said = -1;
    if (length != NULL && str_to_int64(str_of(length), &said) && said == pull->received) {
        return another_length(pull, length);
    }
    return error_new(ERROR_UNAVAILABLE, "blob '%s' of registry '%s' ends after %lld of %lld bytes",
        pull->digest, pull->remote->client->host, (long long)pull->received, (long long)pull->size);
}

// Of an error or a status: the push repeats what is ERROR_UNAVAILABLE, and nothing else.
static struct error *
complaint(struct pull *pull)
{
    struct registry_client *client = pull->remote->client;
    const struct http_response *response = &pull->exchange.response;
    struct error *err = pull->exchange.error;
    int64_t wait_ms = 0;
    bool again = registry_judge(client, err, response, 1, &wait_ms) == VERDICT_AGAIN;
    pull->exchange.error = NULL;
    if (err == NULL) {
        char *what CLEANUP(xfreep) =
            xasprintf("GET blob '%s' of registry '%s'", pull->digest, client->host);
        err = registry_status_error(client, what, response);
        pull->remote->not_before_ms =
            again ? clock_mono(client->platform->clock) + wait_ms : pull->remote->not_before_ms;
    }
    bool says_again = error_kind(err) == ERROR_UNAVAILABLE;
    if (again == says_again) {
        return err;
    }
    return error_wrap_as(
        again ? ERROR_UNAVAILABLE : ERROR_REFUSED, err, "blob '%s' is not to be had", pull->digest);
}

// NULL when it is whole, or is to be sent again (PULL_DUE).
static struct error *
judge(struct pull *pull)
{
    const struct http_response *response = &pull->exchange.response;
    int status = response->status;
    pull->state = PULL_ENDED;
    if (pull->whole) {
        return NULL;
    }
    if (pull->exchange.error != NULL) {
        return complaint(pull);
    }
    if (status >= 200 && status <= 299) {
        return pull->size == 0 ? check_whole(pull) : ended_short(pull);
    }
    if (remote_is_redirect(status) && pull->hops++ < REMOTE_REDIRECTS_MAX) {
        return follow(pull);
    }
    if (status == 401 && !pull->foreign && pull->refusals++ < REFUSALS_MAX) {
        return log_in_again(pull);
    }
    return complaint(pull);
}

// A flow of bodies, and the pulls that feed them.
struct copy {
    struct remote_image *remote;
    const struct http_flow *inner;
    size_t bodies; // exchanges of the inner flow that have not ended, those held included
    bool idle;     // the inner flow has nothing more
};

static void
end_body(struct copy *copy, struct http_exchange *exchange)
{
    copy->bodies--;
    copy->idle = false;
    copy->inner->ended(copy->inner->ctx, exchange);
}

// A body that was waiting for the first byte is not begun for nothing.
static void
fail(struct copy *copy, struct pull *pull, struct error *err)
{
    struct http_exchange *held = pull->held;
    pull->state = PULL_ENDED;
    if (held == NULL) {
        pull->error = err;
        return;
    }
    pull->held = NULL;
    held->error = error_remote(err, error_remote_of(err)->status, "body", NULL, false);
    end_body(copy, held); // frees the pull
}

static void
end_pull(struct copy *copy, struct pull *pull)
{
    if (pull->dropped) {
        pull_free(pull);
        return;
    }
    int status = pull->exchange.response.status;
    if (status >= 200 && status <= 299 && !pull->foreign) {
        registry_auth_accepted(pull->remote->client);
    }
    struct error *err = judge(pull);
    if (err != NULL) {
        fail(copy, pull, err);
    }
}

// A pull that may begin.
static struct http_exchange *
next_pull(struct copy *copy, int64_t *again_ms)
{
    struct remote_image *remote = copy->remote;
    struct pull *next = NULL;
    for (struct pull *pull = remote->pulls; pull != NULL; pull = next) {
        next = pull->next;
        if (pull->state != PULL_DUE || pull == remote->opened) {
            continue;
        }
        if (remote->not_before_ms > clock_mono(remote->client->platform->clock)) {
            *again_ms = remote->not_before_ms < *again_ms ? remote->not_before_ms : *again_ms;
            return NULL;
        }
        struct error *err = prepare(pull);
        if (err == NULL) {
            pull->state = PULL_ACTIVE;
            return &pull->exchange;
        }
        fail(copy, pull, err);
    }
    return NULL;
}

// A body whose first bytes have come.
static struct http_exchange *
next_held(const struct copy *copy)
{
    for (struct pull *pull = copy->remote->pulls; pull != NULL; pull = pull->next) {
        if (pull->held != NULL && is_readable(pull)) {
            struct http_exchange *exchange = pull->held;
            pull->held = NULL;
            return exchange;
        }
    }
    return NULL;
}

static struct http_exchange *
copy_next(void *ctx, int64_t *again_ms)
{
    struct copy *copy = ctx;
    for (;;) {
        struct http_exchange *exchange = next_pull(copy, again_ms);
        exchange = exchange != NULL ? exchange : next_held(copy);
        if (exchange != NULL) {
            return exchange;
        }
        int64_t inner_ms = INT64_MAX;
        exchange = copy->inner->next(copy->inner->ctx, &inner_ms);
        copy->idle = exchange == NULL && inner_ms == INT64_MAX;
        *again_ms = inner_ms < *again_ms ? inner_ms : *again_ms;
        if (exchange == NULL) {
            return NULL;
        }
        copy->bodies++;
        if (copy->remote->opened == NULL) {
            return exchange;
        }
        copy->remote->opened->held = exchange;
        copy->remote->opened = NULL;
    }
}

static void
copy_ended(void *ctx, struct http_exchange *exchange)
{
    struct copy *copy = ctx;
    for (struct pull *pull = copy->remote->pulls; pull != NULL; pull = pull->next) {
        if (&pull->exchange == exchange) {
            end_pull(copy, pull);
            return;
        }
    }
    end_body(copy, exchange);
}

// Pulls that nobody reads do not keep the flow going.
static bool
copy_stopped(void *ctx)
{
    const struct copy *copy = ctx;
    bool stopped = copy->inner->stopped != NULL && copy->inner->stopped(copy->inner->ctx);
    return stopped || (copy->idle && copy->bodies == 0);
}

struct error *
remote_run(struct image *image, struct http_client *http, const struct http_flow *flow)
{
    struct copy copy = {.remote = image->remote, .inner = flow};
    const struct http_flow outer = {copy_next, copy_ended, copy_stopped, &copy};
    return http_run(http, &outer);
}
