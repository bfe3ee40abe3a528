// libmicrohttpd's callbacks: a request is collected within its limits, matched with a route, run
// (here, or on a thread of handlers.c), and answered. What is too large or malformed is refused
// before its body is read. Knows no resource.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "listen_internal.h"

enum { ANSWER_MAX = 8 * 1024 * 1024, HEADERS_MAX = 64 };

// --- a connection --------------------------------------------------------------------------------

static void
link_connection(struct listener *listener, struct connection *connection)
{
    (void)pthread_mutex_lock(&listener->lock);
    connection->next = listener->connections;
    if (connection->next != NULL) {
        connection->next->previous = connection;
    }
    listener->connections = connection;
    listener->connection_count++;
    (void)pthread_mutex_unlock(&listener->lock);
}

static void
unlink_connection(struct listener *listener, struct connection *connection)
{
    (void)pthread_mutex_lock(&listener->lock);
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        listener->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    listener->connection_count--;
    (void)pthread_mutex_unlock(&listener->lock);
}

void
listen_notify(
    void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
    struct listener *listener = cls;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*context != NULL) {
            unlink_connection(listener, *context);
            free(*context);
            *context = NULL;
        }
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *connection = xcalloc(1, sizeof(*connection));
    connection->listener = listener;
    connection->fd = info != NULL ? info->connect_fd : -1;
    connection->phase = LISTEN_HEADERS;
    connection->deadline_ms = clock_mono(listener->service->platform.clock) + LISTEN_HEADERS_MS;
    *context = connection;
    link_connection(listener, connection);
}

static struct connection *
connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    BUG_ON(info == NULL || info->socket_context == NULL);
    return info->socket_context;
}

static const char *
peer_of(struct MHD_Connection *mhd, struct arena *arena)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[INET6_ADDRSTRLEN] = "";
    if (info == NULL || info->client_addr == NULL) {
        return "";
    }
    union {
        const struct sockaddr *any;
        const struct sockaddr_in *v4;
        const struct sockaddr_in6 *v6;
    } address = {.any = info->client_addr};
    if (address.any->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &address.v4->sin_addr, text, sizeof(text));
    } else if (address.any->sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address.v6->sin6_addr, text, sizeof(text));
    }
    static const char mapped[] = "::ffff:";
    bool is_mapped = strncmp(text, mapped, strlen(mapped)) == 0 && strchr(text, '.') != NULL;
    return arena_dup(arena, is_mapped ? text + strlen(mapped) : text);
}

// --- a request comes in --------------------------------------------------------------------------

void *
listen_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct exchange *exchange = xcalloc(1, sizeof(*exchange));
    exchange->listener = cls;
    exchange->mhd = mhd;
    exchange->request.service = exchange->listener->service;
    exchange->request.arena = arena_new();
    exchange->target = arena_dup(exchange->request.arena, uri);
    exchange->connection = connection_of(mhd);
    buf_init(&exchange->response.body, ANSWER_MAX);
    exchange->response.status = 200;
    return exchange;
}

static enum MHD_Result
collect_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct exchange *exchange = cls;
    struct request *request = &exchange->request;
    (void)kind;
    if (request->headers.count == HEADERS_MAX) {
        exchange->headers_over = true;
        return MHD_NO;
    }
    request->headers.items[request->headers.count++] = (struct pair){
        arena_dup(request->arena, name), arena_dup(request->arena, value != NULL ? value : "")};
    return MHD_YES;
}

static void
set_id(struct request *request)
{
    const char *given = request_header(request, "X-Request-Id");
    char id[33];
    if (!request_id_is_valid(given)) {
        random_hex(request->service->platform.random, 16, id);
        given = arena_dup(request->arena, id);
    }
    request->id = given;
}

static void
set_active(struct exchange *exchange, bool active)
{
    struct listener *listener = exchange->listener;
    (void)pthread_mutex_lock(&listener->lock);
    if (active != exchange->active) {
        listener->active += active ? 1 : (size_t)-1;
        exchange->active = active;
    }
    (void)pthread_mutex_unlock(&listener->lock);
}

// Method, target and headers, as data.
static void
describe(struct exchange *exchange, const char *method)
{
    struct request *request = &exchange->request;
    const struct clock *clock = request->service->platform.clock;
    request->method = arena_dup(request->arena, method);
    request->wall_ms = clock_wall(clock);
    request->mono_ms = clock_mono(clock);
    request->headers.items =
        arena_array(request->arena, HEADERS_MAX, sizeof(*request->headers.items));
    (void)MHD_get_connection_values(exchange->mhd, MHD_HEADER_KIND, collect_header, exchange);
    set_id(request);
    request->connected = peer_of(exchange->mhd, request->arena);
    request->peer = auth_peer(service_settings(request->service), request->connected,
        request_header_list(request, "X-Forwarded-For"), request->arena);
    const char *traceparent = request_header(request, "traceparent");
    request->traceparent = request_traceparent_is_valid(traceparent) ? traceparent : NULL;
}

// False: refused, without a look at the body.
static bool
choose_route(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    struct response *response = &exchange->response;
    struct route_match match = {0};
    if (!request_split(exchange->target, request->arena, &request->path, &request->query)) {
        request->path = "";
        response_refusef(request, response, REASON_REQUEST, "the address cannot be understood");
        return false;
    }
    route_find(request->method, request->path, request->arena, &match);
    if (match.allow != NULL && strcmp(request->method, "OPTIONS") == 0) {
        response->status = 204;
        response_header(response, "Allow", match.allow);
        return false;
    }
    if (match.route == NULL) {
        if (!match.other_method) {
            response_refusef(
                request, response, REASON_NOT_FOUND, "there is nothing at '%s'", request->path);
            return false;
        }
        response_refusef(request, response, REASON_METHOD, "%s is not taken here; %s is",
            request->method, match.allow);
        response_header(response, "Allow", match.allow);
        return false;
    }
    request->route = match.route;
    request->params = match.params;
    return true;
}

// False: refused. The connection ends with it: where its next request begins is in doubt.
static bool
check_framing(struct exchange *exchange)
{
    const char *problem = exchange->headers_over ? "it has more headers than are read"
                                                 : request_framing_problem(&exchange->request);
    if (problem != NULL) {
        exchange->request.path = "";
        response_refusef(&exchange->request, &exchange->response, REASON_REQUEST, "%s", problem);
    }
    return problem == NULL;
}

static bool
check_length(struct exchange *exchange, int64_t *length)
{
    struct request *request = &exchange->request;
    const char *text = request_header(request, "Content-Length");
    exchange->body_max = request->route->body_max;
    *length = 0;
    if (text == NULL) {
        return true;
    }
    if (!str_to_int64(str_of(text), length) || *length < 0) {
        response_refusef(
            request, &exchange->response, REASON_REQUEST, "Content-Length is no number");
        return false;
    }
    if (*length > (int64_t)exchange->body_max) {
        response_refusef(request, &exchange->response, REASON_TOO_LARGE,
            "the body has %lld bytes; at most %zu are taken here", (long long)*length,
            exchange->body_max);
        return false;
    }
    return true;
}

static void
begin(struct exchange *exchange, const char *method)
{
    struct request *request = &exchange->request;
    int64_t length = 0;
    set_active(exchange, true);
    describe(exchange, method);
    bool framed = check_framing(exchange);
    if (!framed || !choose_route(exchange) || !check_length(exchange, &length)) {
        exchange->response.close = !framed || request_header(request, "Content-Length") != NULL ||
                                   request_header(request, "Transfer-Encoding") != NULL;
        exchange->state = EXCHANGE_READY;
        return;
    }
    buf_init(&exchange->body, exchange->body_max);
    exchange->state = EXCHANGE_READING;
    listen_phase(exchange->connection, LISTEN_BODY, LISTEN_BODY_MS + length / LISTEN_BODY_RATE);
}

// --- it is run -----------------------------------------------------------------------------------

static void
take_error(struct exchange *exchange, struct error *err)
{
    struct request *request = &exchange->request;
    char *text CLEANUP(xfreep) = error_text(err);
    log_error(request->service->platform.log, "request failed", F_STR("id", request->id),
        F_STR("method", request->method), F_STR("path", request->path), F_STR("error", text));
    response_refuse_code(request, &exchange->response, response_code_of(error_kind(err)));
    error_free(err);
}

static void
run_route(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    bool changes = strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0;
    if (changes && atomic_load(&request->service->failed)) {
        response_refuse_code(request, &exchange->response, REASON_STORAGE);
        return;
    }
    if (!auth_caller(request, &exchange->response)) {
        return;
    }
    if ((request->route->flags & ROUTE_INLINE) == 0 && !request_borrow(request)) {
        response_refuse_code(request, &exchange->response, REASON_STORAGE);
        return;
    }
    struct error *err = request->route->run(request, &exchange->response);
    if (err != NULL) {
        take_error(exchange, err);
    }
}

bool
request_borrow(struct request *request)
{
    if (request->store == NULL) {
        request->store = handlers_lend(request->service);
    }
    return request->store != NULL;
}

void
request_rest(struct request *request)
{
    handlers_take_back(request->service, request->store);
    request->store = NULL;
}

// Its connection rests already; it may hand itself to the writer.
static void
run_task(struct handler_task *task)
{
    struct exchange *exchange = (struct exchange *)task;
    bool deferred = false; // afterwards the exchange may be gone
    exchange->handed = &deferred;
    run_route(exchange);
    if (!deferred) {
        request_rest(&exchange->request);
        request_answer(&exchange->request);
    }
}

static struct exchange *
exchange_of(struct request *request)
{
    return (struct exchange *)((char *)request - offsetof(struct exchange, request));
}

void
request_defer(struct request *request)
{
    struct exchange *exchange = exchange_of(request);
    if (exchange->handed != NULL) {
        *exchange->handed = true; // it rests already
        exchange->handed = NULL;
        request_rest(request);
        return;
    }
    exchange->state = EXCHANGE_WORKING;
    exchange->deferred = true;
    MHD_suspend_connection(exchange->mhd);
}

struct response *
request_response(struct request *request)
{
    return &exchange_of(request)->response;
}

// One that is handed on rests already; its task may hand it to the writer.
static void
run_later(struct handler_task *task)
{
    struct exchange *exchange = (struct exchange *)task;
    bool deferred = false; // afterwards the exchange may be gone
    exchange->handed = &deferred;
    (void)request_borrow(&exchange->request);
    struct error *err = exchange->later(&exchange->request, &exchange->response);
    if (deferred) {
        return;
    }
    request_rest(&exchange->request);
    if (err != NULL) {
        take_error(exchange, err);
    }
    request_answer(&exchange->request);
}

void
request_hand_on(struct request *request,
    struct error *(*run)(struct request *request, struct response *response))
{
    request_defer(request);
    request_go_on(request, run);
}

void
request_go_on(struct request *request,
    struct error *(*run)(struct request *request, struct response *response))
{
    struct exchange *exchange = exchange_of(request);
    exchange->later = run;
    exchange->task.run = run_later;
    handlers_add(request->service, &exchange->task);
}

void
request_fail(struct request *request, struct error *err)
{
    take_error(exchange_of(request), err);
}

void
request_answer(struct request *request)
{
    struct exchange *exchange = exchange_of(request);
    struct listener *listener = exchange->listener;
    exchange->state = EXCHANGE_READY;
    MHD_resume_connection(exchange->mhd);
    listen_leave(listener);
}

// What would run it may be gone.
static void
refuse_late(struct exchange *exchange)
{
    const struct refusal refusal = {.code = REASON_DRAINING, .retry_after_s = 1};
    response_refuse(&exchange->request, &exchange->response, &refusal);
    exchange->state = EXCHANGE_READY;
}

static void
run(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    const char *type = request_header(request, "Content-Type");
    if (!listen_enter(exchange->listener)) {
        refuse_late(exchange);
        return;
    }
    request->body = buf_str(&exchange->body);
    if (type != NULL && str_starts(str_of(type), STR("application/x-www-form-urlencoded"))) {
        request->form = request->body;
    }
    listen_phase(exchange->connection, LISTEN_WORK, LISTEN_NEVER);
    if ((request->route->flags & ROUTE_INLINE) != 0) {
        exchange->state = EXCHANGE_READY;
        run_route(exchange); // which may defer
        if (!exchange->deferred) {
            listen_leave(exchange->listener);
        }
        return;
    }
    request_defer(request);
    exchange->task.run = run_task;
    handlers_add(request->service, &exchange->task);
}

// --- it is answered ------------------------------------------------------------------------------

static void
add_header(
    struct MHD_Response *out, const struct http_headers *given, const char *name, const char *value)
{
    if (value != NULL && http_headers_get(given, name) == NULL) {
        (void)MHD_add_response_header(out, name, value);
    }
}

static void
add_headers(struct exchange *exchange, struct MHD_Response *out)
{
    static const char closed[] = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
                                 "form-action 'none'";
    const struct response *response = &exchange->response;
    const struct setting_server *settings = service_settings(exchange->request.service);
    bool secure = exchange->listener->tls ||
                  (settings->url != NULL && str_starts(str_of(settings->url), STR("https://")));
    for (size_t i = 0; i < response->headers.count; i++) {
        const struct http_header *header = &response->headers.list[i];
        (void)MHD_add_response_header(out, header->name, header->value);
    }
    const struct http_headers *given = &response->headers;
    bool close = response->close || listen_is_old(exchange->connection) ||
                 service_is_draining(exchange->request.service);
    add_header(out, given, "Content-Type", response->type);
    add_header(out, given, "X-Request-Id", exchange->request.id);
    add_header(out, given, "Cache-Control", "no-store");
    add_header(out, given, "Content-Security-Policy",
        response->policy != NULL ? response->policy : closed);
    add_header(out, given, "X-Content-Type-Options", "nosniff");
    add_header(out, given, "X-Frame-Options", "DENY");
    add_header(out, given, "Referrer-Policy", "same-origin");
    add_header(out, given, "Cross-Origin-Opener-Policy", "same-origin");
    add_header(out, given, "Cross-Origin-Resource-Policy", "same-origin");
    add_header(out, given, "Strict-Transport-Security", secure ? "max-age=31536000" : NULL);
    add_header(out, given, "Connection", close ? "close" : NULL);
}

static void
note(struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    const struct response *response = &exchange->response;
    const struct service *service = request->service;
    int64_t took = clock_mono(service->platform.clock) - request->mono_ms;
    metrics_observe(service->metrics, response->status, took * 1000);
    if (response->code != NULL) {
        metrics_count_code(service->metrics, reason_code_of(response->code));
    }
    bool quiet = request->route != NULL && (request->route->flags & ROUTE_QUIET) != 0;
    enum log_level level = quiet && response->status < 400 ? LOG_DEBUG : LOG_INFO;
    log_write(service->platform.log, level, "request", F_STR("method", request->method),
        F_STR("path", request->path), F_INT("status", response->status), F_INT("ms", took),
        F_STR("id", request->id), F_STR("peer", request->peer),
        F_STR("caller", request->caller.scope), F_STR("code", response->code), F_END);
}

// A stream may stay for hours: what belongs to its request goes at once.
static void
release(struct exchange *exchange)
{
    set_active(exchange, false);
    listen_give_room_back(exchange);
    http_headers_done(&exchange->response.headers);
    exchange->response.headers = (struct http_headers){0};
    buf_done(&exchange->response.body);
    buf_wipe(&exchange->body);
    arena_free(exchange->request.arena);
    exchange->request.arena = NULL;
}

static enum MHD_Result
answer(struct exchange *exchange)
{
    struct response *response = &exchange->response;
    bool paged = response->pages.more != NULL;
    struct MHD_Response *out = listen_body(exchange);
    bool streams = response->stream != NULL;
    if (out == NULL) {
        return MHD_NO;
    }
    add_headers(exchange, out);
    listen_phase(exchange->connection, LISTEN_SEND,
        streams ? LISTEN_NEVER : LISTEN_SEND_MS + (paged ? LISTEN_SEND_MS : 0));
    enum MHD_Result result = MHD_queue_response(exchange->mhd, (unsigned)response->status, out);
    MHD_destroy_response(out);
    note(exchange);
    if (streams) {
        release(exchange);
    }
    return result;
}

enum MHD_Result
listen_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **context)
{
    struct exchange *exchange = *context;
    (void)cls, (void)mhd, (void)url, (void)version;
    if (exchange->state == EXCHANGE_NEW) {
        begin(exchange, method);
        return exchange->state == EXCHANGE_READY ? answer(exchange) : MHD_YES;
    }
    if (exchange->state == EXCHANGE_READING && *upload_size > 0) {
        if (!listen_take_room(exchange, *upload_size)) {
            listen_cut(exchange->connection, 503);
            return MHD_NO;
        }
        buf_append(&exchange->body, upload, *upload_size);
        *upload_size = 0;
        if (exchange->body.failed) { // sent in chunks, so its size came as a surprise
            listen_cut(exchange->connection, 413);
            return MHD_NO;
        }
        return MHD_YES;
    }
    if (exchange->state == EXCHANGE_READING) {
        run(exchange);
        if (exchange->deferred) { // from here on it is another thread's until it is resumed
            exchange->deferred = false;
            return MHD_YES;
        }
    }
    return exchange->state == EXCHANGE_READY ? answer(exchange) : MHD_YES;
}

void
listen_completed(
    void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *context;
    (void)cls, (void)mhd, (void)code;
    if (exchange == NULL) {
        return;
    }
    // The next request may come on the connection; an idle one is ended before.
    listen_phase(exchange->connection, LISTEN_HEADERS, LISTEN_HEADERS_MS + LISTEN_IDLE_S * 1000);
    if (exchange->response.pages.done != NULL) {
        exchange->response.pages.done(exchange->response.pages.ctx);
    }
    buf_done(&exchange->piece);
    release(exchange);
    free(exchange);
    *context = NULL;
}
