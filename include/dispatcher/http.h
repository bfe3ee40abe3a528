// One HTTP exchange as plain data: fill a request, call http_send, read the response.
//
//     struct http_request request = {.method = HTTP_GET, .url = url, .headers = &headers};
//     struct http_response response CLEANUP(http_response_done) = {0};
//     TRY(http_send(client, &request, &response));
//
// Any status is a success here: only a missing answer is an error (ERROR_UNAVAILABLE,
// ERROR_CANCELLED, or ERROR_DENIED for "address"), and its error_remote_of()->request_left says
// whether the server may have seen it. error_remote_of()->code is then one of: "dns", "connect",
// "proxy", "tls", "timeout", "reset", "address" (refused by `public_only`), "cap" (answer over
// max_response), "body" (our reader or writer failed; the kind is that of its own error). "tls",
// "address", "cap" and "body" of another kind than ERROR_UNAVAILABLE are not worth repeating.
// Redirects are never followed. TLS 1.2 or newer, always verified. Plain http only to loopback and
// to the fixed credential addresses of the caller's choice (`allow_plain`).
//
// A client belongs to one thread and keeps connections alive; requests are borrowed for the call.
#pragma once

#include <stdint.h>

#include "dispatcher/buf.h"
#include "dispatcher/platform.h"
#include "dispatcher/secret.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };

const char *http_method_name(enum http_method method);

struct http_header {
    char *name, *value;
    bool sensitive; // never logged; value wiped on release
};

// Owned list. Adders refuse control characters (CRLF injection) and remember the failure, which
// http_send reports as ERROR_INPUT.
struct http_headers {
    struct http_header *list;
    size_t count;
    bool failed;
};

void http_headers_add(struct http_headers *headers, const char *name, const char *value);
void http_headers_addf(struct http_headers *headers, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);
/// Value is `prefix` followed by the secret; marked sensitive.
void http_headers_add_secret(struct http_headers *headers, const char *name, const char *prefix,
    const struct secret *secret);
/// First value of that name (any case), or NULL.
const char *http_headers_get(const struct http_headers *headers, const char *name);
void http_headers_done(struct http_headers *headers);

// A body that is not in memory. `read` fills up to `size` bytes and returns the count, 0 at the
// end, -1 to fail the request (set *err). `rewind` (may be NULL) starts again for a retry. `ready`
// (NULL: always) says whether bytes, the end or a failure are at hand; while they are not, the
// transfer rests, and http_wake makes the transport ask again.
struct http_reader {
    int64_t (*read)(void *ctx, char *out, size_t size, struct error **err);
    struct error *(*rewind)(void *ctx);
    void *ctx;
    int64_t length; // -1: unknown, sent with chunked transfer encoding
    bool (*ready)(void *ctx);
};

// Receives a body instead of response.body; called only for 2xx answers. `ready` (NULL: always)
// says whether there is room for a piece of at most 16 KiB; see http_reader.
struct http_writer {
    struct error *(*write)(void *ctx, const char *bytes, size_t len);
    void *ctx;
    bool (*ready)(void *ctx);
};

struct http_request {
    enum http_method method;
    const char *url;
    const struct http_headers *headers; // may be NULL
    struct str body;
    const struct http_reader *reader; // wins over body
    const struct http_writer *writer;
    int64_t deadline_ms; // absolute mono time; 0: 30 s from now
    size_t max_response; // body cap in bytes; 0: 8 MiB
    bool stream; // a 2xx body may be silent for long (events): a keep-alive of TCP finds a peer
                 // that is gone, and the deadline counts
    bool once;   // not idempotent: a connection of its own, never reused, never repeated
    bool allow_plain; // http:// to a host that is not loopback (metadata services only)
    /// The URL is somebody else's word: connect to public addresses only (address.h), checked once
    /// the name is resolved and for the very address that is connected to. A refusal has the code
    /// "address", and its message does not tell the address. Where a proxy is in between, it
    /// connects and not we: then only a host that is itself an address, or this machine, is refused
    /// here; the rest is what the organisation lets its proxy reach.
    bool public_only;
    /// Connect there instead of the URL's host, or NULL. Silence is no failure then: a daemon of
    /// this machine may work for minutes before it answers; the deadline alone counts.
    const char *unix_socket;
};

struct http_response {
    int status;
    struct http_headers headers;
    struct buf body;
    int64_t received_wall_ms; // our clock when the headers came, for skew
    int64_t elapsed_ms;
};

void http_response_done(struct http_response *response);

struct http_client_options {
    const char *user_agent; // NULL: "dispatcher/<version>"
    const char *proxy;      // from HTTPS_PROXY where the front end honours it, else NULL
    const char *no_proxy;
    const char *ca_file; // SSL_CERT_FILE or AWS_CA_BUNDLE, else NULL
    /// The platform's cancel flag ends what only reads (GET, HEAD) and begins nothing more; what
    /// may change something is waited for until this flag is raised as well. NULL: for nothing.
    const struct cancel *give_up;
};

struct http_client;

NODISCARD struct error *http_client_new(const struct platform *platform,
    const struct http_client_options *options, struct http_client **out);
void http_client_free(struct http_client *client);
void http_client_freep(struct http_client **client);

NODISCARD struct error *http_send(
    struct http_client *client, const struct http_request *request, struct http_response *response);

// One element of a batch.
struct http_exchange {
    const struct http_request *request;
    struct http_response response; // release each with http_response_done
    struct error *error;           // owned by the caller
};
/// Sends all, at most `parallel` at a time, over reused connections. Fails only when cancelled;
/// otherwise each exchange has its own outcome.
NODISCARD struct error *http_send_all(
    struct http_client *client, struct http_exchange *exchanges, size_t count, size_t parallel);

// Exchanges that are supplied while others are on the wire: what is asked next may depend on what
// was answered, and nothing waits for the slowest of a batch.
struct http_flow {
    /// The next exchange to begin, or NULL when there is none now. Asked again after every end,
    /// and at the mono time that *again_ms is lowered to.
    struct http_exchange *(*next)(void *ctx, int64_t *again_ms);
    /// Its response or error is set, and it belongs to the caller again.
    void (*ended)(void *ctx, struct http_exchange *exchange);
    /// NULL: never. Once true, what is on the wire is given up and ends as cancelled.
    bool (*stopped)(void *ctx);
    void *ctx;
};
/// Runs until nothing is on the wire, `next` gives nothing and asks for no other time. `next` and
/// `ended` may send other requests. Fails only when cancelled: exchanges on the wire have then
/// ended, as cancelled or by themselves (`give_up`), and no other was begun.
NODISCARD struct error *http_run(struct http_client *client, const struct http_flow *flow);
/// From any thread: readers and writers that rest are asked whether they are ready.
void http_wake(struct http_client *client);

// What carries exchanges: libcurl in production, a script in tests.
struct http_transport {
    struct error *(*perform)(struct http_transport *transport, const struct http_flow *flow);
    void (*free)(struct http_transport *transport);
    void (*wake)(struct http_transport *transport); // may be NULL
};

/// "GET https://host/path: connection refused": the start of every message about a request.
/// Query strings are cut off, since they may hold signatures.
void http_describe(const struct http_request *request, struct buf *out);
