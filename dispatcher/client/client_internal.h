// Shared inside client/: the client and the ways that exchanges with the service can end.
#pragma once

#include "dispatcher/client.h"

struct client {
    const struct platform *platform;
    struct http_client *http;
    char *url;
    struct error *(*token)(void *ctx, struct secret **out);
    void *ctx;
    int64_t patience_ms;
    char *refusal; // code of the last refusal
};

/// Headers of a request with a fresh token.
NODISCARD struct error *client_headers(
    struct client *client, const char *accept, struct http_headers *headers);
/// What the service says in an answer that is no success, as an error.
struct error *client_refused(struct client *client, const struct http_response *response);
/// Is it worth another try: nobody there, or somebody who is starting or stopping?
bool client_is_passing(const struct error *err);
/// Sleeps before try number `attempt` (from 1), or gives `err` back: cancelled, or out of patience.
/// Consumes `err` when it returns NULL.
NODISCARD struct error *client_wait(
    struct client *client, int64_t since_mono_ms, unsigned attempt, struct error *err);
