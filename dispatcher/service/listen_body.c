// Bodies of answers: whole ones, fixed ones, and those that are made in pages while they are sent.
#include <stdlib.h>
#include <string.h>

#include "listen_internal.h"

enum { PAGE_BYTES = 16 * 1024, PIECE_MAX = 8 * 1024 * 1024 };

// Runs on a handler's thread while the connection rests.
static void
make_piece(struct handler_task *task)
{
    struct exchange *exchange = (struct exchange *)task;
    struct listener *listener = exchange->listener;
    struct service *service = exchange->request.service;
    struct store *store = handlers_lend(service);
    struct response_pages *pages = &exchange->response.pages;
    struct error *err =
        store == NULL ? error_new(ERROR_STORAGE, "the database is not there")
                      : pages->more(pages->ctx, store, &exchange->piece, &exchange->piece_last);
    exchange->piece_failed = err != NULL || exchange->piece.failed;
    handlers_take_back(service, store);
    error_free(err);
    listen_phase(exchange->connection, LISTEN_SEND, LISTEN_SEND_MS);
    MHD_resume_connection(exchange->mhd);
    listen_leave(listener);
}

static ssize_t
read_pages(void *cls, uint64_t at, char *out, size_t max)
{
    struct exchange *exchange = cls;
    (void)at;
    size_t left = exchange->piece.len - exchange->piece_sent;
    if (exchange->piece_failed) {
        return MHD_CONTENT_READER_END_WITH_ERROR; // cut off: what came is not all there is
    }
    if (left > 0) {
        size_t count = left < max ? left : max;
        memcpy(out, exchange->piece.ptr + exchange->piece_sent, count);
        exchange->piece_sent += count;
        return (ssize_t)count;
    }
    if (exchange->piece_last) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (!listen_enter(exchange->listener)) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    buf_reset(&exchange->piece);
    exchange->piece_sent = 0;
    exchange->task.run = make_piece;
    listen_phase(exchange->connection, LISTEN_WORK, LISTEN_NEVER);
    MHD_suspend_connection(exchange->mhd);
    handlers_add(exchange->request.service, &exchange->task);
    return 0;
}

static struct MHD_Response *
whole(struct response *response)
{
    size_t len = response->body.len;
    if (response->fixed.ptr != NULL) {
        // Never written to; the library's type is older than const.
        union {
            const void *read;
            void *taken;
        } bytes = {.read = response->fixed.ptr};
        return MHD_create_response_from_buffer(
            response->fixed.len, bytes.taken, MHD_RESPMEM_PERSISTENT);
    }
    if (len == 0) {
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    return MHD_create_response_from_buffer(len, buf_take(&response->body), MHD_RESPMEM_MUST_FREE);
}

struct MHD_Response *
listen_body(struct exchange *exchange)
{
    struct response *response = &exchange->response;
    if (response->stream != NULL) {
        const struct request *request = &exchange->request;
        const struct stream_opening opening = {
            .deployment = response->stream,
            .after = response->stream_after,
            .caller = request->caller.scope != NULL ? request->caller.scope : "",
            .address = arena_printf(request->arena, "peer/%s", request->peer),
        };
        const char *why = NULL;
        struct MHD_Response *body = stream_body(request->service, exchange->mhd, &opening, &why);
        if (body != NULL) {
            return body;
        }
        const struct refusal full = {.code = REASON_RATE, .sentence = why, .retry_after_s = 5};
        const struct refusal ending = {.code = REASON_DRAINING, .retry_after_s = 1};
        const struct refusal refusal =
            service_is_draining(exchange->request.service) ? ending : full;
        response_refuse(&exchange->request, response, &refusal);
    }
    if (response->pages.more != NULL) {
        buf_init(&exchange->piece, PIECE_MAX);
        return MHD_create_response_from_callback(
            MHD_SIZE_UNKNOWN, PAGE_BYTES, read_pages, exchange, NULL);
    }
    return whole(response);
}
