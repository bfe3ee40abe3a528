// The libcurl transport's parts: one exchange as a transfer (curl_transport.c), the flow that
// carries many (curl_flow.c), and the guard of those that may not go everywhere (curl_guard.c).
#pragma once

#include <curl/curl.h>

#include "dispatcher/http.h"

struct curl_transport {
    struct http_transport base; // first: the two are cast to each other
    const struct platform *platform;
    CURLM *multi;
    CURL **idle;
    size_t idle_count;
    char *user_agent, *proxy, *no_proxy, *ca_file;
    const struct cancel *give_up;
};

// One exchange on the wire.
struct transfer {
    struct curl_transport *transport;
    struct http_exchange *exchange;
    struct transfer *next; // of the batch
    CURL *easy;
    struct curl_slist *headers;
    struct error *body_error; // from the caller's reader or writer
    size_t header_lines;      // of all blocks, interim answers included
    bool headers_ended;       // the blank line behind the last block has come
    bool capped, finished;
    bool reading_rests, writing_rests; // until their `ready` says otherwise
    bool refused, admitted;            // by the guard: an address of the host
    char problem[CURL_ERROR_SIZE];
};

/// NULL when the exchange failed before anything was sent.
struct transfer *curl_transfer_start(
    struct curl_transport *transport, struct http_exchange *exchange);
/// Fills in the response or the error of a transfer that libcurl is done with.
void curl_transfer_finish(struct transfer *transfer, CURLcode code);
/// Gives the handle back and frees the transfer.
void curl_transfer_release(struct transfer *transfer);
/// May the server have seen a byte of it?
bool curl_request_left(struct transfer *transfer);

NODISCARD struct error *curl_flow_perform(
    struct http_transport *transport, const struct http_flow *flow);
void curl_flow_wake(struct http_transport *transport);

/// Of a guarded request that a proxy will connect: ERROR_DENIED when the host itself says that it
/// is not public.
NODISCARD struct error *curl_guard_check(const struct http_request *request, const char *host);
/// Past the proxy? Decided here for a guarded request, so that libcurl cannot see it otherwise.
bool curl_guard_goes_direct(const struct curl_transport *transport, const char *host);
/// CURLOPT_OPENSOCKETFUNCTION of a guarded request that goes direct; `ctx` is its transfer.
curl_socket_t curl_guard_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address);
struct error *curl_guard_error(const struct http_request *request) __attribute__((returns_nonnull));
