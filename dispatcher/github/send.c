// Calls that may be repeated: reads, minting, cancelling. Transient failures and limits are waited
// out until the deadline; definite refusals become errors at once. Of a call that creates something
// (`once`) nothing is repeated that may have arrived. Dispatching is dispatch.c's.
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "github_internal.h"

enum {
    PATIENCE_MS = 60 * 1000, // of one call while no deadline is set
    PATIENCE_TRIES = 5,
    BACKOFF_BASE_MS = 500,
    BACKOFF_CAP_MS = 20 * 1000,
    REDIRECTS_MAX = 3,
    MUTATION_GAP_MS = 1000, // GitHub's best practices: a second between mutating calls
};

// One call over all its tries.
struct effort {
    struct github_client *client;
    struct github_call call; // its url is ours once redirected
    char *url;
    int64_t deadline_mono_ms;
    unsigned failures, redirects;
    bool renewed, versioned;
};

static void
effort_done(struct effort *effort)
{
    free(effort->url);
}

// Half fixed, half jitter: many watchers of one outage do not come back as one.
static int64_t
backoff_ms(const struct effort *effort)
{
    unsigned doublings = effort->failures > 6 ? 6 : effort->failures - 1;
    int64_t full = (int64_t)BACKOFF_BASE_MS << doublings;
    full = full > BACKOFF_CAP_MS ? BACKOFF_CAP_MS : full;
    double part = random_unit(effort->client->platform->random);
    return full / 2 + (int64_t)(part * (double)(full - full / 2));
}

static struct error *
gave_up(const struct effort *effort, struct error *err)
{
    if (effort->failures <= 1) {
        return err;
    }
    return error_wrap(err, "gave up after %u tries", effort->failures);
}

// `failure` is what happened this time; NULL: it has been waited for, try again.
static struct error *
retry_later(struct effort *effort, struct error *failure)
{
    struct github_client *client = effort->client;
    effort->failures++;
    if (effort->call.once) {
        return failure;
    }
    bool bounded = client->deadline_mono_ms == 0 && effort->failures >= PATIENCE_TRIES;
    int64_t next = clock_mono(client->platform->clock) + backoff_ms(effort);
    if (bounded || next > effort->deadline_mono_ms) {
        return gave_up(effort, failure);
    }
    struct error *err = github_wait(client, next, effort->deadline_mono_ms, "waiting");
    error_free(failure);
    return err;
}

static struct error *
pass_gate(struct effort *effort)
{
    struct error *err = github_wait(effort->client, effort->client->not_before_mono_ms,
        effort->deadline_mono_ms, "GitHub limits the rate of requests");
    if (err != NULL && error_kind(err) == ERROR_UNAVAILABLE) {
        error_hint(err, "Wait, or use credentials with a quota of their own, such as an App.");
    }
    return err;
}

static struct error *
follow(struct effort *effort, const struct github_exchange *exchange)
{
    if (effort->redirects++ >= REDIRECTS_MAX) {
        return error_new(ERROR_UNAVAILABLE, "'%s': redirected too often", exchange->url);
    }
    char *url = NULL;
    TRY(github_redirect(effort->client, &effort->call, exchange, &url));
    free(effort->url);
    effort->url = url;
    effort->call.url = url;
    return NULL;
}

static struct error *
sit_out(struct effort *effort, const struct github_exchange *exchange)
{
    struct error *late CLEANUP(error_freep) = pass_gate(effort);
    if (late == NULL) {
        return NULL;
    }
    struct error *err = github_answer_error(effort->client, exchange, effort->call.needs);
    return error_wrap_as(error_kind(late), err, "%s", error_message(late));
}

// NULL: try again.
static struct error *
recover(struct effort *effort, const struct github_exchange *exchange)
{
    struct github_client *client = effort->client;
    switch (github_judge(&exchange->response)) {
    case GITHUB_LIMITED_NOW:
        return sit_out(effort, exchange);
    case GITHUB_TRANSIENT:
    case GITHUB_STRANGE:
        return retry_later(effort, github_answer_error(client, exchange, effort->call.needs));
    case GITHUB_MOVED:
        return follow(effort, exchange);
    case GITHUB_UNAUTHORIZED:
        if (!effort->renewed && github_token_renewable(client, effort->call.auth)) {
            effort->renewed = true;
            return NULL;
        }
        break;
    case GITHUB_BAD_VERSION:
        // A server before GHES 3.21 answers 400 to the version it does not know; asked once.
        if (!effort->versioned && cstr_equal(client->version, GITHUB_VERSION_NEW)) {
            effort->versioned = true;
            client->version = GITHUB_VERSION_OLD;
            return NULL;
        }
        if (effort->versioned) {
            client->version = GITHUB_VERSION_NEW; // it was not the version
        }
        break;
    case GITHUB_FORBIDDEN:
    case GITHUB_REFUSED:
    case GITHUB_ABSENT:
    case GITHUB_FINE:
    case GITHUB_NOT_MODIFIED:
        break;
    }
    return github_answer_error(client, exchange, effort->call.needs);
}

static bool
is_answer(const struct github_call *call, const struct github_exchange *exchange)
{
    enum github_verdict verdict = github_judge(&exchange->response);
    bool asked = http_headers_get(&exchange->headers, "If-None-Match") != NULL;
    return verdict == GITHUB_FINE || verdict == GITHUB_ABSENT ||
           (verdict == GITHUB_NOT_MODIFIED && asked) ||
           (call->accept != 0 && exchange->response.status == call->accept);
}

// One try; *finished when the exchange holds the answer.
static struct error *
try_once(struct effort *effort, struct github_exchange *exchange, bool *finished)
{
    struct github_client *client = effort->client;
    TRY(pass_gate(effort));
    TRY(github_prepare(client, &effort->call, exchange));
    struct error *err = github_transmit(client, exchange);
    if (err != NULL) {
        return error_kind(err) == ERROR_UNAVAILABLE ? retry_later(effort, err) : err;
    }
    *finished = is_answer(&effort->call, exchange);
    return *finished ? NULL : recover(effort, exchange);
}

struct error *
github_send(
    struct github_client *client, const struct github_call *call, struct http_response *response)
{
    int64_t now = clock_mono(client->platform->clock);
    struct effort effort CLEANUP(effort_done) = {
        .client = client,
        .call = *call,
        .deadline_mono_ms =
            client->deadline_mono_ms != 0 ? client->deadline_mono_ms : now + PATIENCE_MS,
    };
    struct github_exchange exchange CLEANUP(github_exchange_done) = {0};
    for (bool finished = false; !finished;) {
        TRY(try_once(&effort, &exchange, &finished));
    }
    http_response_done(response);
    *response = exchange.response;
    exchange.response = (struct http_response){0};
    return NULL;
}

struct error *
github_fetch(struct github_client *client, const struct github_call *call,
    struct http_response *response, struct json **out)
{
    static const struct json_limits limits = {32 * 1024 * 1024, 64};
    TRY(github_send(client, call, response));
    if (response->status == 304 || response->status == 404) {
        *out = NULL;
        return NULL;
    }
    struct error *err = json_parse(buf_str(&response->body), &limits, out);
    if (err != NULL) {
        char *url CLEANUP(xfreep) = github_call_url(client, call);
        struct http_request request = {.method = call->method, .url = url};
        struct buf what CLEANUP(buf_done) = BUF_INIT(8192);
        http_describe(&request, &what);
        err = error_remote(err, response->status, NULL,
            http_headers_get(&response->headers, "X-GitHub-Request-Id"), true);
        return error_wrap(err, "%s", buf_cstr(&what));
    }
    return NULL;
}

struct error *
github_pace(struct github_client *client)
{
    int64_t next = client->mutated_mono_ms + MUTATION_GAP_MS;
    if (client->mutated_mono_ms != 0) {
        TRY(github_wait(client, next, next, "pacing"));
    }
    client->mutated_mono_ms = clock_mono(client->platform->clock);
    return NULL;
}

static struct github_etag *
etag_slot(struct github_client *client, const char *url)
{
    for (size_t i = 0; i < GITHUB_ETAG_MAX; i++) {
        if (cstr_equal(client->etags[i].url, url)) {
            return &client->etags[i];
        }
    }
    return NULL;
}

static void
etag_clear(struct github_etag *slot)
{
    free(slot->url);
    free(slot->etag);
    *slot = (struct github_etag){0};
}

void
github_etag_keep(struct github_client *client, const struct github_call *call,
    const struct http_response *response)
{
    const char *etag = http_headers_get(&response->headers, "ETag");
    if (etag == NULL) {
        github_etag_drop(client, call);
        return;
    }
    char *url CLEANUP(xfreep) = github_call_url(client, call);
    struct github_etag *slot = etag_slot(client, url);
    if (slot == NULL) {
        slot = &client->etags[client->etag_next++ % GITHUB_ETAG_MAX];
    }
    etag_clear(slot);
    slot->url = xstrdup(url);
    slot->etag = xstrdup(etag); // verbatim, quotes and W/ included
}

void
github_client_forget(struct github_client *client)
{
    for (size_t i = 0; i < GITHUB_ETAG_MAX; i++) {
        etag_clear(&client->etags[i]);
    }
}

void
github_etag_drop(struct github_client *client, const struct github_call *call)
{
    char *url CLEANUP(xfreep) = github_call_url(client, call);
    struct github_etag *slot = etag_slot(client, url);
    if (slot != NULL) {
        etag_clear(slot);
    }
}
