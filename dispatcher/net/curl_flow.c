// One flow over libcurl's multi interface: begins what the flow supplies, lets transfers rest and
// go on, hands back what has ended. Sets no option of a transfer; that is curl_transport.c.
#include <stdlib.h>

#include "curl_internal.h"
#include "dispatcher/memory.h"

enum { POLL_MS = 1000 };

// Interrupted: what is still going ends as cancelled, and says whether the request had left. A name
// that is still being looked up is not waited for: its thread ends by itself.
static void
transfer_abandon(struct transfer *transfer)
{
    (void)curl_easy_setopt(transfer->easy, CURLOPT_QUICK_EXIT, 1L);
    struct error *err = error_new(ERROR_CANCELLED, "interrupted");
    transfer->exchange->error =
        error_remote(err, 0, "cancelled", NULL, curl_request_left(transfer));
    transfer->finished = true;
}

// Notes the results of finished transfers.
static void
reap(struct curl_transport *transport)
{
    int left = 0;
    CURLMsg *message = NULL;
    while ((message = curl_multi_info_read(transport->multi, &left)) != NULL) {
        struct transfer *transfer = NULL;
        CURLcode code = message->data.result;
        BUG_ON(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) != CURLE_OK);
        curl_transfer_finish(transfer, code);
    }
}

// Hands back what has finished; true when anything did.
static bool
sweep(struct transfer **list, const struct http_flow *flow)
{
    bool any = false;
    while (*list != NULL) {
        struct transfer *transfer = *list;
        if (!transfer->finished) {
            list = &transfer->next;
            continue;
        }
        struct http_exchange *exchange = transfer->exchange;
        *list = transfer->next;
        curl_transfer_release(transfer);
        flow->ended(flow->ctx, exchange);
        any = true;
    }
    return any;
}

// Begins whatever the flow has; *again_ms is when it wants to be asked again.
static void
begin_all(struct curl_transport *transport, const struct http_flow *flow, struct transfer **list,
    int64_t *again_ms)
{
    struct http_exchange *exchange = NULL;
    while ((exchange = flow->next(flow->ctx, again_ms)) != NULL) {
        struct transfer *transfer = curl_transfer_start(transport, exchange);
        if (transfer == NULL) {
            flow->ended(flow->ctx, exchange);
            continue;
        }
        transfer->next = *list;
        *list = transfer;
    }
}

// Lets transfers go on whose reader or writer is ready now; true when one does.
static bool
resume(struct transfer *list)
{
    bool any = false;
    for (struct transfer *transfer = list; transfer != NULL; transfer = transfer->next) {
        const struct http_request *request = transfer->exchange->request;
        bool read = transfer->reading_rests && request->reader->ready(request->reader->ctx);
        bool write = transfer->writing_rests && request->writer->ready(request->writer->ctx);
        if (!read && !write) {
            continue;
        }
        transfer->reading_rests = transfer->reading_rests && !read;
        transfer->writing_rests = transfer->writing_rests && !write;
        int still = (transfer->reading_rests ? CURLPAUSE_SEND : 0) |
                    (transfer->writing_rests ? CURLPAUSE_RECV : 0);
        (void)curl_easy_pause(transfer->easy, still); // a failure ends the transfer by itself
        any = true;
    }
    return any;
}

static struct error *
wait_for_activity(struct curl_transport *transport, const struct transfer *list, int64_t again_ms,
    const struct cancel *cancel)
{
    const struct platform *platform = transport->platform;
    struct curl_waitfd wake = {.events = CURL_WAIT_POLLIN};
    if (list == NULL) {
        return clock_sleep_until(platform->clock, again_ms, platform->cancel);
    }
    if (cancel != NULL) {
        wake.fd = cancel_fd(cancel);
    }
    int64_t left = again_ms == INT64_MAX ? POLL_MS : again_ms - clock_mono(platform->clock);
    left = left < 0 ? 0 : left;
    int timeout = left < POLL_MS ? (int)left : POLL_MS;
    (void)curl_multi_poll(transport->multi, &wake, cancel != NULL ? 1 : 0, timeout, NULL);
    return cancel_check(cancel);
}

static bool
only_reads(const struct transfer *transfer)
{
    enum http_method method = transfer->exchange->request->method;
    return method == HTTP_GET || method == HTTP_HEAD;
}

// What only reads ends as cancelled. True: there is something else, which is waited for.
static bool
abandon_reads(
    const struct curl_transport *transport, struct transfer **list, const struct http_flow *flow)
{
    if (transport->give_up == NULL) {
        return false;
    }
    for (struct transfer *transfer = *list; transfer != NULL; transfer = transfer->next) {
        if (!transfer->finished && only_reads(transfer)) {
            transfer_abandon(transfer);
        }
    }
    (void)sweep(list, flow);
    return *list != NULL;
}

static void
abandon_all(struct transfer **list, const struct http_flow *flow)
{
    for (struct transfer *transfer = *list; transfer != NULL; transfer = transfer->next) {
        if (!transfer->finished) {
            transfer_abandon(transfer);
        }
    }
    (void)sweep(list, flow);
}

struct error *
curl_flow_perform(struct http_transport *base, const struct http_flow *flow)
{
    struct curl_transport *transport = (struct curl_transport *)base;
    const struct cancel *cancel = transport->platform->cancel;
    struct transfer *list = NULL;
    struct error *err = NULL, *interrupted = NULL;
    while (err == NULL && !flow->stopped(flow->ctx)) {
        int64_t again_ms = INT64_MAX;
        if (interrupted == NULL) {
            begin_all(transport, flow, &list, &again_ms);
        }
        if (list == NULL && again_ms == INT64_MAX) {
            break;
        }
        int running = 0;
        BUG_ON(curl_multi_perform(transport->multi, &running) != CURLM_OK);
        reap(transport);
        bool ended = sweep(&list, flow);
        bool resumed = resume(list);
        if (!ended && !resumed) {
            err = wait_for_activity(transport, list, again_ms, cancel);
        }
        if (err != NULL && interrupted == NULL && abandon_reads(transport, &list, flow)) {
            interrupted = err;
            err = NULL;
            cancel = transport->give_up;
        }
    }
    abandon_all(&list, flow);
    if (interrupted != NULL) {
        error_free(err);
    }
    return interrupted != NULL ? interrupted : err;
}

void
curl_flow_wake(struct http_transport *base)
{
    struct curl_transport *transport = (struct curl_transport *)base;
    (void)curl_multi_wakeup(transport->multi);
}
