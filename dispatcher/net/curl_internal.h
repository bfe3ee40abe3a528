// The libcurl transport's two halves: one exchange as a transfer (curl_transport.c), and the flow
// that carries many (curl_flow.c).
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
