// One call to the service: a fresh token, the request, again while the service is away, and what a
// refusal means. Knows the problem documents (RFC 9457), no resource.
#include "client_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"

enum {
    PATIENCE_MS = 5 * 60 * 1000,
    FIRST_PAUSE_MS = 500,
    LONGEST_PAUSE_MS = 10 * 1000,
    RESPONSE_MAX = 8 * 1024 * 1024,
    SENTENCE_MAX = 1000,
};

static struct error *
check_url(const char *text)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err = url_parse(text, &url);
    if (err != NULL) {
        return error_wrap_as(ERROR_USAGE, err, "the service's address");
    }
    if (url.has_user || url.query != NULL || strchr(text, '#') != NULL) {
        return error_new(ERROR_USAGE, "the service's address holds a user, a query or a fragment");
    }
    if (strcmp(url.scheme, "https") != 0 && !url_host_is_loopback(url.host)) {
        return error_hint(
            error_new(ERROR_USAGE, "the service's address '%.200s' is not https", text),
            "Plain http is for a service on this machine only: tokens go with every request.");
    }
    return NULL;
}

struct error *
client_new(const struct platform *platform, struct http_client *http,
    const struct client_options *options, struct client **out)
{
    TRY(check_url(options->url));
    struct client *client = xcalloc(1, sizeof(*client));
    struct str url = str_of(options->url);
    while (str_ends(url, STR("/"))) {
        url.len--;
    }
    client->platform = platform;
    client->http = http;
    client->url = str_dup(url);
    client->token = options->token;
    client->ctx = options->ctx;
    client->patience_ms = options->patience_ms > 0 ? options->patience_ms : PATIENCE_MS;
    *out = client;
    return NULL;
}

void
client_free(struct client *client)
{
    if (client != NULL) {
        free(client->url);
        free(client->refusal);
        free(client);
    }
}

void
client_freep(struct client **client)
{
    client_free(*client);
    *client = NULL;
}

const char *
client_url(const struct client *client)
{
    return client->url;
}

const char *
client_refusal(const struct client *client)
{
    return client->refusal;
}

struct error *
client_headers(struct client *client, const char *accept, struct http_headers *headers)
{
    struct secret *token CLEANUP(secret_freep) = NULL;
    TRY(client->token(client->ctx, &token));
    http_headers_add_secret(headers, "Authorization", "Bearer ", token);
    http_headers_add(headers, "Accept", accept != NULL ? accept : "application/json");
    return NULL;
}

static enum error_kind
kind_of_exit(int64_t exit_code, int status)
{
    static const enum error_kind kinds[] = {ERROR_USAGE, ERROR_SPEC, ERROR_CREDENTIALS,
        ERROR_DENIED, ERROR_CONFLICT, ERROR_RESTORED, ERROR_NOT_RESTORED, ERROR_UNKNOWN,
        ERROR_STILL_RUNNING, ERROR_SUPERSEDED, ERROR_UNAVAILABLE, ERROR_STORAGE};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (error_kind_exit_code(kinds[i]) == exit_code) {
            return kinds[i];
        }
    }
    return status == 401                                     ? ERROR_CREDENTIALS
           : status == 403                                   ? ERROR_DENIED
           : status == 409                                   ? ERROR_CONFLICT
           : status >= 500 || status == 429 || status == 408 ? ERROR_UNAVAILABLE
                                                             : ERROR_REFUSED;
}

// A remote text, harmless to print.
static char *
clean(const char *text)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(2 * SENTENCE_MAX);
    text_clean(str_of(text), SENTENCE_MAX, &out);
    return xstrdup(buf_cstr(&out));
}

// What is wrong with the request itself is nobody else's to change.
static bool
is_of_others(int64_t status)
{
    return status == 403 || status == 409;
}

static struct error *
add_hint(struct error *err, const struct json *problem)
{
    const char *hint = json_str(json_get(problem, "hint"));
    const char *who = json_str(json_get(problem, "who"));
    const struct json *failures = json_get(problem, "failures");
    struct buf text CLEANUP(buf_done) = BUF_INIT(8192);
    for (size_t i = 0; i < json_count(failures) && i < 8; i++) {
        const char *failure = json_str(json_at(failures, i));
        char *line CLEANUP(xfreep) = clean(failure != NULL ? failure : "");
        buf_printf(&text, "%s%s", i > 0 ? "; " : "", line);
    }
    if (hint != NULL) {
        char *line CLEANUP(xfreep) = clean(hint);
        buf_printf(&text, "%s%s", text.len > 0 ? ". " : "", line);
    } else if (who != NULL && is_of_others(json_int(json_get(problem, "status"), 0))) {
        char *line CLEANUP(xfreep) = clean(who);
        buf_printf(&text, "%sWho can change that: %s.", text.len > 0 ? ". " : "", line);
    }
    return text.len > 0 ? error_hint(err, "%s", buf_cstr(&text)) : err;
}

struct error *
client_refused(struct client *client, const struct http_response *response)
{
    struct json *problem CLEANUP(json_freep) = NULL;
    error_free(json_parse(buf_str(&response->body), &json_limits_default, &problem));
    const char *detail = json_str(json_get(problem, "detail"));
    const char *title = json_str(json_get(problem, "title"));
    const char *code = json_str(json_get(problem, "code"));
    const char *id = json_str(json_get(problem, "request_id"));
    free(client->refusal);
    client->refusal = code != NULL ? clean(code) : NULL;
    enum error_kind kind =
        kind_of_exit(json_int(json_get(problem, "exit_code"), 0), response->status);
    if (detail == NULL && title == NULL) {
        struct error *err =
            error_new(kind, "%s answered HTTP %d and no reason", client->url, response->status);
        return error_remote(error_hint(err, "Is that the address of a dispatcher service?"),
            response->status, NULL, NULL, true);
    }
    char *sentence CLEANUP(xfreep) = clean(detail != NULL ? detail : title);
    char *request CLEANUP(xfreep) = id != NULL ? clean(id) : NULL;
    struct error *err = error_new(kind, "%s", sentence);
    err = error_remote(err, response->status, client->refusal, request, true);
    return add_hint(err, problem);
}

bool
client_is_passing(const struct error *err)
{
    const struct error_remote *remote = error_remote_of(err);
    bool answered = remote->status != 0;
    if (error_kind(err) != ERROR_UNAVAILABLE && !(answered && remote->status >= 502)) {
        return false;
    }
    bool for_good = cstr_equal(remote->code, "tls") || cstr_equal(remote->code, "address") ||
                    cstr_equal(remote->code, "cap") || cstr_equal(remote->code, "body");
    return answered ? remote->status == 429 || remote->status >= 502 : !for_good;
}

struct error *
client_wait(struct client *client, int64_t since_mono_ms, unsigned attempt, struct error *err)
{
    const struct clock *clock = client->platform->clock;
    int64_t now = clock_mono(clock), pause = FIRST_PAUSE_MS;
    for (unsigned i = 1; i < attempt && pause < LONGEST_PAUSE_MS; i++) {
        pause *= 2;
    }
    pause = pause < LONGEST_PAUSE_MS ? pause : LONGEST_PAUSE_MS;
    pause = (int64_t)((double)pause * (0.5 + random_unit(client->platform->random) / 2));
    if (!client_is_passing(err) || now + pause - since_mono_ms > client->patience_ms) {
        return err;
    }
    log_info(client->platform->log, "the service is away", F_STR("why", error_message(err)),
        F_INT("again_in_ms", pause));
    error_free(err);
    return clock_sleep_until(clock, now + pause, client->platform->cancel);
}

static struct error *
exchange(struct client *client, const struct client_call *call, struct http_response *response)
{
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    char *url CLEANUP(xfreep) = xasprintf("%s%s", client->url, call->path);
    char *body CLEANUP(xfreep) = call->body != NULL ? json_text(call->body) : NULL;
    TRY(client_headers(client, call->accept, &headers));
    if (call->key != NULL) {
        http_headers_add(&headers, "Idempotency-Key", call->key);
    }
    if (body != NULL) {
        http_headers_add(&headers, "Content-Type", "application/json");
    }
    const struct http_request request = {
        .method = call->method,
        .url = url,
        .headers = &headers,
        .body = str_of(body),
        .max_response = RESPONSE_MAX,
        .once = call->method != HTTP_GET && call->key == NULL,
    };
    struct error *err = http_send(client->http, &request, response);
    if (err != NULL) {
        return error_wrap(err, "ask the service");
    }
    return response->status >= 200 && response->status < 300 ? NULL
                                                             : client_refused(client, response);
}

// Until it is answered. What may have been done and has no key is not asked for again.
static struct error *
send(struct client *client, const struct client_call *call, struct http_response *response)
{
    int64_t since = clock_mono(client->platform->clock);
    for (unsigned attempt = 1;; attempt++) {
        struct error *err = exchange(client, call, response);
        bool may_repeat = call->method == HTTP_GET || call->key != NULL;
        if (err == NULL || (!may_repeat && error_remote_of(err)->request_left)) {
            return err;
        }
        TRY(client_wait(client, since, attempt, err));
        http_response_done(response);
        *response = (struct http_response){0};
    }
}

struct error *
client_send(struct client *client, const struct client_call *call, struct json **out)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(send(client, call, &response));
    *out = NULL;
    if (response.body.len == 0) {
        return NULL;
    }
    struct error *err = json_parse(buf_str(&response.body), &json_limits_default, out);
    return err != NULL ? error_wrap(err, "ask the service for '%s'", call->path) : NULL;
}

struct error *
client_fetch(struct client *client, const struct client_call *call, struct buf *out)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(send(client, call, &response));
    buf_add(out, buf_str(&response.body));
    return buf_finish(out, "answer of the service");
}
