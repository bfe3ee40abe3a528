// The event stream of a deployment, taken up again wherever it broke: what was heard last is told
// with the next request (Last-Event-ID), so nothing is missed and nothing comes twice.
#include "client_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum { ROUND_MS = 10 * 60 * 1000, PATH_MAX_BYTES = 256 };

struct listening {
    struct client *client;
    const struct client_listener *listener;
    struct sse_parser *parser;
    bool enough; // the listener's word
    bool heard;  // something came over this connection
};

static void
hear(void *ctx, const struct client_event *event)
{
    struct listening *listening = ctx;
    if (!listening->enough) {
        listening->enough = !listening->listener->event(listening->listener->ctx, event);
    }
}

static struct error *
take(void *ctx, const char *bytes, size_t len)
{
    struct listening *listening = ctx;
    listening->heard = true;
    TRY(sse_parser_feed(listening->parser, (struct str){bytes, len}));
    // The only way to hang up from here; `listen_once` takes it for what it is.
    return listening->enough ? error_new(ERROR_CANCELLED, "heard enough") : NULL;
}

// One connection, to its end. NULL: the service ended it.
static struct error *
listen_once(struct listening *listening, const char *path, int64_t deadline_ms)
{
    struct client *client = listening->client;
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct http_response response CLEANUP(http_response_done) = {0};
    char *url CLEANUP(xfreep) = xasprintf("%s%s", client->url, path);
    TRY(client_headers(client, "text/event-stream", &headers));
    sse_parser_restart(listening->parser);
    const char *last = sse_parser_last_id(listening->parser);
    if (last[0] != '\0') {
        http_headers_add(&headers, "Last-Event-ID", last);
    }
    const struct http_writer writer = {.write = take, .ctx = listening};
    int64_t round = clock_mono(client->platform->clock) + ROUND_MS;
    const struct http_request request = {
        .method = HTTP_GET,
        .url = url,
        .headers = &headers,
        .writer = &writer,
        .stream = true,
        .deadline_ms = deadline_ms > 0 && deadline_ms < round ? deadline_ms : round,
    };
    struct error *err = http_send(client->http, &request, &response);
    if (listening->enough) {
        error_free(err);
        return NULL;
    }
    if (err != NULL) {
        return error_wrap(err, "listen to the service");
    }
    return response.status == 200 ? NULL : client_refused(client, &response);
}

static struct error *
check_time(struct client *client, const char *deployment, int64_t deadline_ms)
{
    if (deadline_ms == 0 || clock_mono(client->platform->clock) < deadline_ms) {
        return NULL;
    }
    return error_hint(error_new(ERROR_STILL_RUNNING, "'%s' is not over yet", deployment),
        "It goes on in the service; 'dispatcher watch %s --server %s' follows it again.",
        deployment, client->url);
}

static struct error *
pause_between(struct listening *listening)
{
    const struct platform *platform = listening->client->platform;
    int64_t retry = sse_parser_retry_ms(listening->parser);
    return clock_sleep_until(platform->clock,
        clock_mono(platform->clock) + (retry > 0 ? retry : 1000), platform->cancel);
}

static struct error *
listen_on(struct listening *listening, const char *deployment, int64_t deadline_ms)
{
    struct client *client = listening->client;
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof(path), "/api/v1/deployments/%s/events", deployment);
    int64_t since = clock_mono(client->platform->clock);
    for (unsigned attempt = 1; !listening->enough; attempt++) {
        listening->heard = false;
        struct error *err = listen_once(listening, path, deadline_ms);
        if (listening->enough) {
            return NULL;
        }
        if (listening->heard) {
            since = clock_mono(client->platform->clock);
            attempt = 1;
        }
        struct error *late = check_time(client, deployment, deadline_ms);
        if (late != NULL) {
            error_free(err);
            return late;
        }
        if (listening->listener->again != NULL) {
            listening->listener->again(
                listening->listener->ctx, err != NULL ? error_message(err) : "the stream ended");
        }
        TRY(err != NULL ? client_wait(client, since, attempt, err) : pause_between(listening));
    }
    return NULL;
}

struct error *
client_listen(struct client *client, const char *deployment, int64_t deadline_ms,
    const struct client_listener *listener)
{
    struct listening listening = {.client = client, .listener = listener};
    if (strlen(deployment) > 64 || strpbrk(deployment, "/?#%& ") != NULL) {
        return error_new(ERROR_USAGE, "'%.80s' is no deployment", deployment);
    }
    listening.parser = sse_parser_new(hear, &listening);
    struct error *err = listen_on(&listening, deployment, deadline_ms);
    sse_parser_free(listening.parser);
    return err;
}
