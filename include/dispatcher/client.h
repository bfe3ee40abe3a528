// The service, asked from outside: its API (docs/openapi.yaml) as calls, and its event streams.
//
// A client speaks to one service with tokens that the caller brings: a new one for each request,
// since a job's token is good for one. Calls that the service may have got already are repeated
// under the same idempotency key, so that a restart of the service is not seen: until
// `patience_ms` has passed. What the service refuses is an error with its sentence, its hint and
// the kind that its exit code stands for. The address must be https, or this machine. One thread.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/http.h"
#include "dispatcher/json.h"

struct client;

struct client_options {
    const char *url; // "https://dispatcher.example.org"; also the audience of tokens
    /// A fresh token for the service. Owned by the caller of it.
    struct error *(*token)(void *ctx, struct secret **out);
    void *ctx;
    int64_t patience_ms; // how long to try while the service cannot be reached; 0: 5 min
};
NODISCARD struct error *client_new(const struct platform *platform, struct http_client *http,
    const struct client_options *options, struct client **out);
void client_free(struct client *client);
void client_freep(struct client **client);
const char *client_url(const struct client *client);

struct client_call {
    enum http_method method;
    const char *path;        // "/api/v1/deployments", already encoded
    const struct json *body; // NULL: none
    const char *key;         // of idempotency; NULL: none. A POST without one is sent once
    const char *accept;      // NULL: JSON
};
/// *out: the answer's JSON, NULL for an empty one.
NODISCARD struct error *client_send(
    struct client *client, const struct client_call *call, struct json **out);
/// The same for an answer that is a text (CSV, JSON lines): into `out`.
NODISCARD struct error *client_fetch(
    struct client *client, const struct client_call *call, struct buf *out);
/// The refusal's code ("locked") of the last call that failed, or NULL.
const char *client_refusal(const struct client *client);

struct client_event {
    const char *id;   // "1234": the journal's sequence; "" when it has none
    const char *kind; // "step", "state", …
    struct str data;  // JSON
};
struct client_listener {
    /// False: no more is wanted.
    bool (*event)(void *ctx, const struct client_event *event);
    /// The stream broke and is taken up again where it was. May be NULL.
    void (*again)(void *ctx, const char *why);
    void *ctx;
};
/// Events of a deployment from the start until the listener has enough, whatever happens to the
/// connection; ERROR_UNAVAILABLE once the service was not to be reached for patience_ms.
/// ERROR_STILL_RUNNING past `deadline_ms` (mono; 0: none).
NODISCARD struct error *client_listen(struct client *client, const char *deployment,
    int64_t deadline_ms, const struct client_listener *listener);

// --- server-sent events as they come (sse.c; WHATWG HTML §9.2) ----------------------------------

struct sse_parser;
struct sse_parser *sse_parser_new(
    void (*event)(void *ctx, const struct client_event *event), void *ctx);
void sse_parser_free(struct sse_parser *parser);
/// ERROR_UNAVAILABLE for an event of more than 8 MiB.
NODISCARD struct error *sse_parser_feed(struct sse_parser *parser, struct str bytes);
/// A new connection: what came in half is forgotten.
void sse_parser_restart(struct sse_parser *parser);
/// What came last as `id:`, and as `retry:` (ms, 0: never).
const char *sse_parser_last_id(const struct sse_parser *parser);
int64_t sse_parser_retry_ms(const struct sse_parser *parser);
