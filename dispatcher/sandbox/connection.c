// Speaks HTTP through libmicrohttpd, one thread a connection: collects a request, lets a fault rule
// have its way, has the request handled under the lock, answers, and writes the record.
#include "server_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

enum { BODY_MAX = 16 * 1024 * 1024 };

struct exchange {
    struct sandbox_request request;
    struct sandbox_response response;
    struct fault_rule *fault;
    struct sha256 *spool_hash;
    int spool_fd;
    bool started, too_large;
    int64_t mono_ms;
};

void *
sandbox_connection_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    const struct sandbox *sandbox = cls;
    (void)connection;
    struct exchange *exchange = xcalloc(1, sizeof(*exchange));
    exchange->spool_fd = -1;
    exchange->request.arena = arena_new();
    exchange->request.target = arena_dup(exchange->request.arena, uri);
    exchange->request.received_ms = sandbox_now(sandbox);
    exchange->mono_ms = clock_mono(sandbox->platform->clock);
    buf_init(&exchange->request.body, BODY_MAX);
    return exchange;
}

void
sandbox_connection_notify(void *cls, struct MHD_Connection *connection, void **context,
    enum MHD_ConnectionNotificationCode code)
{
    struct sandbox *sandbox = cls;
    (void)connection;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        uint64_t *number = xmalloc(sizeof(*number));
        (void)pthread_mutex_lock(&sandbox->lock);
        *number = ++sandbox->connections;
        (void)pthread_mutex_unlock(&sandbox->lock);
        *context = number;
    } else {
        free(*context);
        *context = NULL;
    }
}

static enum MHD_Result
collect_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct exchange *exchange = cls;
    (void)kind;
    http_headers_add(&exchange->request.headers, name, value != NULL ? value : "");
    return MHD_YES;
}

static struct error *
open_spool(struct sandbox *sandbox, struct exchange *exchange)
{
    (void)pthread_mutex_lock(&sandbox->lock);
    int64_t number = ++sandbox->spools;
    (void)pthread_mutex_unlock(&sandbox->lock);
    exchange->request.spool = xasprintf("%s/spool/%lld", sandbox->data, (long long)number);
    exchange->spool_fd =
        open(exchange->request.spool, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    exchange->spool_hash = sha256_new();
    return exchange->spool_fd >= 0
               ? NULL
               : error_new(ERROR_STORAGE, "cannot write '%s'", exchange->request.spool);
}

static enum MHD_Result
start_request(struct sandbox *sandbox, struct exchange *exchange, struct MHD_Connection *connection,
    const char *method)
{
    struct sandbox_request *request = &exchange->request;
    exchange->started = true;
    request->method = arena_dup(request->arena, method);
    sandbox_request_split(request);
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, collect_header, exchange);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info != NULL && info->socket_context != NULL) {
        request->connection = *(const uint64_t *)info->socket_context;
    }
    if (sandbox_registry_is_upload(method, request->path)) {
        struct error *err CLEANUP(error_freep) = open_spool(sandbox, exchange);
        return err == NULL ? MHD_YES : MHD_NO;
    }
    return MHD_YES;
}

static void
take_body(struct exchange *exchange, const char *body, size_t size)
{
    exchange->request.body_size += (int64_t)size;
    if (exchange->spool_fd < 0) {
        buf_append(&exchange->request.body, body, size);
        exchange->too_large = exchange->request.body.failed;
        return;
    }
    sha256_update(exchange->spool_hash, body, size);
    while (size > 0) {
        ssize_t written = write(exchange->spool_fd, body, size);
        if (written <= 0) {
            exchange->too_large = true; // the disk is full: answered as such
            return;
        }
        body += written;
        size -= (size_t)written;
    }
}

static void
close_spool(struct exchange *exchange)
{
    if (exchange->spool_fd >= 0) {
        unsigned char hash[SHA256_SIZE];
        (void)close(exchange->spool_fd);
        exchange->spool_fd = -1;
        sha256_final(exchange->spool_hash, hash);
        hex_encode(hash, sizeof(hash), exchange->request.body_sha256);
    }
}

static void
wait_ms(struct sandbox *sandbox, int64_t ms)
{
    if (ms > 0) {
        const struct clock *clock = sandbox->platform->clock;
        struct error *err CLEANUP(error_freep) =
            clock_sleep_until(clock, clock_mono(clock) + ms, sandbox->stop);
    }
}

// A body that breaks off half-way, or comes one byte at a time.
struct broken_body {
    struct sandbox *sandbox;
    char *bytes;
    size_t size, end;
    bool drip;
};

static ssize_t
read_broken(void *cls, uint64_t at, char *out, size_t max)
{
    const struct broken_body *body = cls;
    if (at >= body->end) {
        return body->end < body->size ? MHD_CONTENT_READER_END_WITH_ERROR
                                      : MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t count = body->end - (size_t)at;
    count = count < max ? count : max;
    if (body->drip) {
        wait_ms(body->sandbox, 20);
        count = 1;
    }
    memcpy(out, body->bytes + at, count);
    return (ssize_t)count;
}

static void
free_broken(void *cls)
{
    struct broken_body *body = cls;
    free(body->bytes);
    free(body);
}

static struct MHD_Response *
make_broken(struct sandbox *sandbox, const struct buf *text, enum fault_effect effect)
{
    struct broken_body *body = xcalloc(1, sizeof(*body));
    body->sandbox = sandbox;
    body->size = text->len > 0 ? text->len : 2;
    body->bytes = text->len > 0 ? xstrndup(text->ptr, text->len) : xstrdup("{}");
    body->drip = effect == FAULT_DRIP;
    body->end = body->drip ? body->size : body->size / 2;
    return MHD_create_response_from_callback(body->size, 1024, read_broken, body, free_broken);
}

static struct MHD_Response *
make_response(struct sandbox *sandbox, struct exchange *exchange)
{
    struct sandbox_response *response = &exchange->response;
    enum fault_effect effect = exchange->fault != NULL ? exchange->fault->effect : FAULT_NONE;
    if (effect == FAULT_TRUNCATE || effect == FAULT_DRIP) {
        return make_broken(sandbox, &response->body, effect);
    }
    if (response->file != NULL) {
        int fd = open(response->file, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            response->status = 500;
            return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        }
        return MHD_create_response_from_fd64((uint64_t)response->file_size, fd);
    }
    if (response->body.len == 0) {
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    return MHD_create_response_from_buffer(
        response->body.len, response->body.ptr, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result
answer(struct sandbox *sandbox, struct exchange *exchange, struct MHD_Connection *connection)
{
    struct MHD_Response *out = make_response(sandbox, exchange);
    const struct sandbox_response *response = &exchange->response;
    if (out == NULL) {
        return MHD_NO;
    }
    for (size_t i = 0; i < response->headers.count; i++) {
        // HEAD: the length of what is not sent. libmicrohttpd sets all others itself.
        (void)MHD_add_response_header(
            out, response->headers.list[i].name, response->headers.list[i].value);
    }
    int64_t now = sandbox_now(sandbox);
    if (exchange->fault != NULL && exchange->fault->effect == FAULT_CLOCK) {
        now += exchange->fault->offset_ms;
    }
    char date[30];
    sandbox_format_http_date(now, date);
    (void)MHD_add_response_header(out, "Date", date);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)response->status, out);
    MHD_destroy_response(out);
    return result;
}

// An RST rather than an orderly end: what a proxy that dies looks like.
static enum MHD_Result
cut(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    return MHD_NO;
}

static void
match_fault(struct sandbox *sandbox, struct exchange *exchange)
{
    const struct sandbox_request *request = &exchange->request;
    if (strncmp(request->path, "/_sandbox", strlen("/_sandbox")) == 0) {
        return; // the control interface never breaks
    }
    struct fault_subject subject = {.method = request->method,
        .path = request->path,
        .query = request->query,
        .target = sandbox_action(request)};
    (void)pthread_mutex_lock(&sandbox->lock);
    exchange->fault = fault_set_match(&sandbox->faults, &subject);
    (void)pthread_mutex_unlock(&sandbox->lock);
}

// Does what the rule says instead of the request; false: the request is to be handled after all.
static bool
fault_replaces(struct sandbox *sandbox, struct exchange *exchange)
{
    const struct fault_rule *rule = exchange->fault;
    struct sandbox_response *response = &exchange->response;
    if (rule->effect == FAULT_EXPIRED_TOKEN) {
        (void)pthread_mutex_lock(&sandbox->lock);
        sandbox_expired(sandbox, &exchange->request, response);
        (void)pthread_mutex_unlock(&sandbox->lock);
        return true;
    }
    if (rule->effect != FAULT_STATUS) {
        return rule->effect == FAULT_RESET;
    }
    if (rule->body != NULL) {
        bool is_json = rule->body[0] == '{' || rule->body[0] == '[';
        sandbox_reply_text(response, rule->status, is_json ? "application/json" : "text/plain",
            str_of(rule->body));
    } else {
        sandbox_reply_problem(response, rule->status, "fault of the sandbox");
    }
    return true;
}

static void
fault_headers(struct exchange *exchange)
{
    const struct fault_rule *rule = exchange->fault;
    if (rule->retry_after != NULL) {
        sandbox_reply_header(&exchange->response, "Retry-After", rule->retry_after);
    }
    if (rule->header_name != NULL) {
        sandbox_reply_header(&exchange->response, rule->header_name, rule->header_value);
    }
    if (rule->effect == FAULT_MALFORMED) {
        buf_reset(&exchange->response.body);
        buf_puts(&exchange->response.body, "{\"message\": \"cut off in the mid");
        if (exchange->response.status >= 300) {
            exchange->response.status = 200;
        }
    }
}

static void
handle(struct sandbox *sandbox, struct exchange *exchange)
{
    if (exchange->too_large) {
        sandbox_reply_problem(&exchange->response, 413, "body too large");
        return;
    }
    (void)pthread_mutex_lock(&sandbox->lock);
    sandbox_handle(sandbox, &exchange->request, &exchange->response);
    (void)pthread_mutex_unlock(&sandbox->lock);
}

static char *
copy(const char *text)
{
    return text != NULL ? xstrdup(text) : NULL;
}

static void
record(struct sandbox *sandbox, const struct exchange *exchange, bool answered)
{
    const struct sandbox_request *request = &exchange->request;
    const struct sandbox_response *response = &exchange->response;
    struct sandbox_record entry = {.at_ms = request->received_ms,
        .elapsed_ms = clock_mono(sandbox->platform->clock) - exchange->mono_ms,
        .connection = request->connection,
        .status = answered ? response->status : 0,
        .counted = sandbox_github_is_api(request) && !response->is_free && response->status != 304,
        .method = copy(request->method),
        .target = copy(request->target),
        .action = copy(sandbox_action(request)),
        .version = copy(sandbox_request_header(request, "X-GitHub-Api-Version")),
        .agent = copy(sandbox_request_header(request, "User-Agent")),
        .condition = copy(sandbox_request_header(request, "If-None-Match")),
        .fault = copy(exchange->fault != NULL ? exchange->fault->text : NULL)};
    (void)pthread_mutex_lock(&sandbox->lock);
    sandbox_control_record(sandbox, &entry);
    (void)pthread_mutex_unlock(&sandbox->lock);
}

static enum MHD_Result
finish_request(
    struct sandbox *sandbox, struct exchange *exchange, struct MHD_Connection *connection)
{
    close_spool(exchange);
    match_fault(sandbox, exchange);
    bool cuts = false;
    if (exchange->fault != NULL) {
        wait_ms(sandbox, exchange->fault->delay_ms);
        cuts =
            exchange->fault->effect == FAULT_RESET || exchange->fault->effect == FAULT_LOST_ANSWER;
    }
    if (exchange->fault == NULL || !fault_replaces(sandbox, exchange)) {
        handle(sandbox, exchange);
    }
    if (exchange->fault != NULL) {
        fault_headers(exchange);
        wait_ms(sandbox, exchange->fault->delay_after_ms);
    }
    wait_ms(sandbox, exchange->response.wait_ms);
    bool ends = exchange->response.is_cut;
    record(sandbox, exchange, !cuts && !ends);
    if (cuts || ends) {
        return cuts ? cut(connection) : MHD_NO;
    }
    return answer(sandbox, exchange, connection);
}

enum MHD_Result
sandbox_connection_handle(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *body, size_t *body_size, void **context)
{
    struct sandbox *sandbox = cls;
    struct exchange *exchange = *context;
    (void)url;
    (void)version;
    if (!exchange->started) {
        return start_request(sandbox, exchange, connection, method);
    }
    if (*body_size > 0) {
        take_body(exchange, body, *body_size);
        *body_size = 0;
        return MHD_YES;
    }
    return finish_request(sandbox, exchange, connection);
}

void
sandbox_connection_completed(void *cls, struct MHD_Connection *connection, void **context,
    enum MHD_RequestTerminationCode code)
{
    struct sandbox *sandbox = cls;
    struct exchange *exchange = *context;
    (void)connection;
    (void)code;
    if (exchange == NULL) {
        return;
    }
    if (exchange->spool_fd >= 0) { // open to the end of the body
        (void)close(exchange->spool_fd);
        (void)pthread_mutex_lock(&sandbox->lock);
        sandbox_registry_broke_off(sandbox, &exchange->request);
        (void)pthread_mutex_unlock(&sandbox->lock);
    }
    sha256_free(exchange->spool_hash);
    fault_rule_free(exchange->fault);
    sandbox_request_done(&exchange->request);
    sandbox_response_done(&exchange->response);
    free(exchange);
    *context = NULL;
}
