// HTTP over libcurl's multi interface: the one place that sets its options (protocols.md §7.4).
//
// HTTP/1.1 only, redirects off, no compression, no netrc, proxy only when configured. A request
// marked `once` gets a connection of its own: libcurl 7.88 repeats a POST by itself when a reused
// connection dies before the first byte of the answer (protocols.md D1).
#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "curl_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"
#include "net_internal.h"

enum {
    DEFAULT_DEADLINE_MS = 30000,
    CONNECT_TIMEOUT_MS = 10000,
    STALL_BYTES_PER_SECOND = 100,
    STALL_SECONDS = 30,
    KEEP_ALIVE_SECONDS = 20,
    UPLOAD_STALL_SECONDS = 300, // a registry may think long after the last byte of a large blob
    DEFAULT_MAX_RESPONSE = 8 * 1024 * 1024,
    MAX_HEADERS = 500,
    UPLOAD_BUFFER = 64 * 1024,
};

// What libcurl is allowed to use, and which way.
struct route {
    const char *scheme, *no_proxy;
    bool guarded; // each address is looked at before it is connected to
};

// An option or question that this libcurl does not know is a bug of ours.
static void
check(CURLcode code)
{
    BUG_ON(code != CURLE_OK);
}

static int
status_of(struct transfer *transfer)
{
    long status = 0;
    check(curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status));
    return (int)status;
}

static size_t
on_header(char *bytes, size_t size, size_t count, void *ctx)
{
    struct transfer *transfer = ctx;
    struct http_response *response = &transfer->exchange->response;
    struct str line = str_trim((struct str){bytes, size * count});
    struct str name = {0}, value = {0};
    if (line.len == 0) {
        transfer->headers_ended = true; // trailers of a chunked body come without one
    }
    if (transfer->header_lines++ > MAX_HEADERS) {
        transfer->capped = true;
        return 0;
    }
    if (str_starts(line, STR("HTTP/"))) { // a new block: the one before was 1xx or a proxy's
        transfer->headers_ended = false;
        http_headers_done(&response->headers);
        response->received_wall_ms = clock_wall(transfer->transport->platform->clock);
        return size * count;
    }
    if (line.len > 0 && str_cut(line, ':', &name, &value)) {
        char *key CLEANUP(xfreep) = str_dup(str_trim(name));
        char *text CLEANUP(xfreep) = str_dup(str_trim(value));
        http_headers_add(&response->headers, key, text);
        response->headers.failed = false; // a broken header of theirs is dropped
    }
    return size * count;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct transfer *transfer = ctx;
    const struct http_request *request = transfer->exchange->request;
    size_t len = size * count;
    int status = status_of(transfer);
    if (request->writer != NULL && status >= 200 && status < 300) {
        const struct http_writer *writer = request->writer;
        if (writer->ready != NULL && !writer->ready(writer->ctx)) {
            transfer->writing_rests = true;
            return CURL_WRITEFUNC_PAUSE;
        }
        transfer->body_error = request->writer->write(request->writer->ctx, bytes, len);
        return transfer->body_error == NULL ? len : 0;
    }
    struct buf *body = &transfer->exchange->response.body;
    buf_append(body, bytes, len);
    transfer->capped = body->failed;
    return body->failed ? 0 : len;
}

static size_t
on_read(char *out, size_t size, size_t count, void *ctx)
{
    struct transfer *transfer = ctx;
    const struct http_reader *reader = transfer->exchange->request->reader;
    if (reader->ready != NULL && !reader->ready(reader->ctx)) {
        transfer->reading_rests = true;
        return CURL_READFUNC_PAUSE;
    }
    int64_t got = reader->read(reader->ctx, out, size * count, &transfer->body_error);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static int
on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct transfer *transfer = ctx;
    const struct http_reader *reader = transfer->exchange->request->reader;
    if (offset != 0 || origin != SEEK_SET || reader->rewind == NULL) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    transfer->body_error = reader->rewind(reader->ctx);
    return transfer->body_error == NULL ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

// The only user of curl_slist_append: every line in here passed http_headers_add.
static void
slist_add(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    BUG_ON(longer == NULL);
    *list = longer;
}

static void
slist_wipe(struct curl_slist *list)
{
    for (struct curl_slist *at = list; at != NULL; at = at->next) {
        OPENSSL_cleanse(at->data, strlen(at->data)); // may hold a token
    }
    curl_slist_free_all(list);
}

static void
set_headers(struct transfer *transfer)
{
    const struct http_request *request = transfer->exchange->request;
    for (size_t i = 0; request->headers != NULL && i < request->headers->count; i++) {
        const struct http_header *header = &request->headers->list[i];
        struct buf line = BUF_INIT(SIZE_MAX / 2);
        buf_puts(&line, header->name);
        buf_puts(&line, header->value[0] == '\0' ? ";" : ": ");
        buf_puts(&line, header->value);
        slist_add(&transfer->headers, buf_cstr(&line));
        buf_wipe(&line);
    }
    slist_add(&transfer->headers, "Expect:");
    if (http_headers_get(request->headers, "Content-Type") == NULL) {
        slist_add(&transfer->headers, "Content-Type:");
    }
    check(curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers));
}

static void
set_body(struct transfer *transfer)
{
    const struct http_request *request = transfer->exchange->request;
    CURL *easy = transfer->easy;
    bool has_body = request->method == HTTP_POST || request->method == HTTP_PUT ||
                    request->method == HTTP_PATCH || request->body.len > 0;
    if (request->reader != NULL) {
        check(curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L));
        check(
            curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->reader->length));
        check(curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read));
        check(curl_easy_setopt(easy, CURLOPT_READDATA, transfer));
        check(curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek));
        check(curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer));
    } else if (has_body) {
        const char *bytes = request->body.ptr != NULL ? request->body.ptr : "";
        check(curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len));
        check(curl_easy_setopt(easy, CURLOPT_POSTFIELDS, bytes));
    } else if (request->method == HTTP_HEAD) {
        check(curl_easy_setopt(easy, CURLOPT_NOBODY, 1L));
    }
    check(curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, http_method_name(request->method)));
}

static void
set_security(struct transfer *transfer, const struct route *route)
{
    const struct curl_transport *transport = transfer->transport;
    CURL *easy = transfer->easy;
    check(curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, route->scheme));
    check(curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L));
    check(curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED));
    check(curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L));
    check(curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2));
    check(curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L));
    check(curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L));
    check(curl_easy_setopt(easy, CURLOPT_PROXY, transport->proxy != NULL ? transport->proxy : ""));
    check(curl_easy_setopt(easy, CURLOPT_NOPROXY, route->no_proxy));
    if (route->guarded) {
        check(curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, curl_guard_open));
        check(curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer));
    }
    if (transport->ca_file != NULL) {
        check(curl_easy_setopt(easy, CURLOPT_CAINFO, transport->ca_file));
    }
}

static void
set_limits(struct transfer *transfer)
{
    const struct http_request *request = transfer->exchange->request;
    CURL *easy = transfer->easy;
    int64_t now = clock_mono(transfer->transport->platform->clock);
    int64_t left = request->deadline_ms == 0 ? DEFAULT_DEADLINE_MS : request->deadline_ms - now;
    check(curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(left > 0 ? left : 1)));
    check(curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS));
    check(curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_PER_SECOND));
    // A daemon of this machine may work for minutes before its first byte; no line can break.
    bool silent = request->unix_socket != NULL || request->stream;
    int stall = silent ? 0 : request->reader != NULL ? UPLOAD_STALL_SECONDS : STALL_SECONDS;
    check(curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)stall));
    if (request->stream) {
        check(curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L));
        check(curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEP_ALIVE_SECONDS));
        check(curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEP_ALIVE_SECONDS));
    }
    check(curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L));
    check(curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1));
    check(curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER));
    // A connection that is there already has passed no guard.
    bool fresh = request->once || request->public_only;
    check(curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L));
    check(curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, request->once ? 1L : 0L));
    size_t max = request->max_response > 0 ? request->max_response : DEFAULT_MAX_RESPONSE;
    buf_init(&transfer->exchange->response.body, max);
}

static struct error *
describe_error(const struct http_request *request, const char *code, const char *problem, bool left)
{
    struct buf what CLEANUP(buf_done) = BUF_INIT(8192);
    struct buf clean CLEANUP(buf_done) = BUF_INIT(2048);
    http_describe(request, &what);
    text_clean(str_of(problem), 500, &clean);
    struct error *err = error_new(ERROR_UNAVAILABLE, "%s: %s", buf_cstr(&what), buf_cstr(&clean));
    return error_remote(err, 0, code, NULL, left);
}

static struct error *
choose_route(const struct curl_transport *transport, const struct http_request *request,
    const struct url *url, struct route *out)
{
    out->scheme = strcmp(url->scheme, "http") == 0 ? "http" : "https";
    // A metadata service is on this machine or beside it: its token must not go through a proxy.
    out->no_proxy = request->allow_plain ? "*" : transport->no_proxy;
    if (request->public_only) {
        out->guarded = request->allow_plain || curl_guard_goes_direct(transport, url->host);
        out->no_proxy = out->guarded ? "*" : "";
        return out->guarded ? NULL : curl_guard_check(request, url->host);
    }
    return NULL;
}

// The URL must be one we may speak to.
static struct error *
check_url(
    const struct curl_transport *transport, const struct http_request *request, struct route *out)
{
    struct url url CLEANUP(url_done) = {0};
    TRY(url_parse(request->url, &url));
    bool plain = strcmp(url.scheme, "http") == 0;
    bool allowed =
        request->allow_plain || request->unix_socket != NULL || url_host_is_loopback(url.host);
    if (plain && !allowed) {
        return error_hint(error_new(ERROR_INPUT, "'http://%s' is not encrypted", url.host),
            "Use https; plain http is accepted for this machine (localhost) only.");
    }
    return choose_route(transport, request, &url, out);
}

static void
set_callbacks(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    check(curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer));
    check(curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->problem));
    check(curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header));
    check(curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer));
    check(curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body));
    check(curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer));
}

// NULL when the exchange failed before anything was sent.
struct transfer *
curl_transfer_start(struct curl_transport *transport, struct http_exchange *exchange)
{
    struct route route = {0};
    exchange->error = check_url(transport, exchange->request, &route);
    if (exchange->error != NULL) {
        return NULL;
    }
    int64_t deadline_ms = exchange->request->deadline_ms;
    if (deadline_ms != 0 && deadline_ms <= clock_mono(transport->platform->clock)) {
        exchange->error = describe_error(
            exchange->request, "timeout", "the time for it was over before it was sent", false);
        return NULL;
    }
    struct transfer *transfer = xcalloc(1, sizeof(*transfer));
    transfer->transport = transport;
    transfer->exchange = exchange;
    transfer->easy =
        transport->idle_count > 0 ? transport->idle[--transport->idle_count] : curl_easy_init();
    BUG_ON(transfer->easy == NULL);
    check(curl_easy_setopt(transfer->easy, CURLOPT_URL, exchange->request->url));
    check(curl_easy_setopt(transfer->easy, CURLOPT_USERAGENT, transport->user_agent));
    if (exchange->request->unix_socket != NULL) {
        check(curl_easy_setopt(
            transfer->easy, CURLOPT_UNIX_SOCKET_PATH, exchange->request->unix_socket));
    }
    set_callbacks(transfer);
    set_security(transfer, &route);
    set_limits(transfer);
    set_body(transfer);
    set_headers(transfer);
    BUG_ON(curl_multi_add_handle(transport->multi, transfer->easy) != CURLM_OK);
    return transfer;
}

static const char *
code_name(CURLcode code)
{
    static const struct {
        CURLcode code;
        const char *name;
    } names[] = {
        {CURLE_COULDNT_RESOLVE_HOST, "dns"},
        {CURLE_COULDNT_RESOLVE_PROXY, "proxy"},
        {CURLE_PROXY, "proxy"},
        {CURLE_COULDNT_CONNECT, "connect"},
        {CURLE_SSL_CONNECT_ERROR, "tls"},
        {CURLE_PEER_FAILED_VERIFICATION, "tls"},
        {CURLE_SSL_CERTPROBLEM, "tls"},
        {CURLE_SSL_CIPHER, "tls"},
        {CURLE_SSL_CACERT_BADFILE, "tls"},
        {CURLE_SSL_ISSUER_ERROR, "tls"},
        {CURLE_OPERATION_TIMEDOUT, "timeout"},
        {CURLE_OUT_OF_MEMORY, "cap"}, // one header of more than 100 KiB
#if LIBCURL_VERSION_NUM >= 0x080600
        {CURLE_TOO_LARGE, "cap"},
#endif
        {CURLE_PARTIAL_FILE, "reset"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "reset";
}

static int64_t
microseconds(struct transfer *transfer, CURLINFO info)
{
    curl_off_t us = 0;
    check(curl_easy_getinfo(transfer->easy, info, &us));
    return us;
}

// May the server have seen a byte of it? libcurl counts what it sent to a proxy, too; on a
// connection of our own nothing has left before the handshake is over. (A reused one has none.)
bool
curl_request_left(struct transfer *transfer)
{
    const struct http_request *request = transfer->exchange->request;
    long sent = 0;
    check(curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent));
    bool tls = str_starts(str_of(request->url), STR("https:"));
    bool in_handshake =
        request->once && tls && microseconds(transfer, CURLINFO_APPCONNECT_TIME_T) == 0;
    return sent > 0 && !in_handshake;
}

// Did a proxy refuse the way to the server?
static bool
tunnel_is_refused(struct transfer *transfer)
{
    long status = 0;
    check(curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &status));
    return status >= 300;
}

static struct error *
cap_error(struct transfer *transfer, bool left)
{
    const struct buf *body = &transfer->exchange->response.body;
    char *problem CLEANUP(xfreep) =
        body->failed
            ? xasprintf("the answer is larger than %zu bytes", body->max)
            : xasprintf("the answer has more than %d headers, or too long ones", (int)MAX_HEADERS);
    return describe_error(transfer->exchange->request, "cap", problem, left);
}

static struct error *
transfer_error(struct transfer *transfer, CURLcode code)
{
    const struct http_request *request = transfer->exchange->request;
    bool left = curl_request_left(transfer);
    const char *name = tunnel_is_refused(transfer) ? "proxy" : code_name(code);
    if (transfer->body_error != NULL) {
        struct error *err = transfer->body_error;
        transfer->body_error = NULL;
        return error_remote(err, 0, "body", NULL, left);
    }
    if (transfer->capped || cstr_equal(name, "cap")) {
        return cap_error(transfer, left);
    }
    if (transfer->refused && !transfer->admitted) {
        return curl_guard_error(request);
    }
    const char *problem =
        transfer->problem[0] != '\0' ? transfer->problem : curl_easy_strerror(code);
    struct error *err = describe_error(request, name, problem, left);
    if (cstr_equal(name, "tls")) {
        error_hint(err, "Check the host's certificate; a private CA is named by SSL_CERT_FILE.");
    }
    return err;
}

void
curl_transfer_finish(struct transfer *transfer, CURLcode code)
{
    struct http_exchange *exchange = transfer->exchange;
    exchange->response.status = status_of(transfer);
    exchange->response.elapsed_ms = microseconds(transfer, CURLINFO_TOTAL_TIME_T) / 1000;
    if (code != CURLE_OK) {
        exchange->error = transfer_error(transfer, code);
    } else if (!transfer->headers_ended || exchange->response.status < 200) {
        // libcurl takes a head that was cut off for a whole one.
        exchange->error =
            describe_error(exchange->request, "reset", "the answer ends within its head", true);
    }
    transfer->finished = true;
    struct log *log = transfer->transport->platform->log;
    log_debug(log, "http", F_STR("method", http_method_name(exchange->request->method)),
        F_INT("status", exchange->response.status), F_INT("ms", exchange->response.elapsed_ms));
}

void
curl_transfer_release(struct transfer *transfer)
{
    struct curl_transport *transport = transfer->transport;
    (void)curl_multi_remove_handle(transport->multi, transfer->easy);
    curl_easy_reset(transfer->easy);
    transport->idle =
        xrealloc(transport->idle, (transport->idle_count + 1) * sizeof(*transport->idle));
    transport->idle[transport->idle_count++] = transfer->easy;
    slist_wipe(transfer->headers);
    error_free(transfer->body_error);
    free(transfer);
}

static void
transport_free(struct http_transport *base)
{
    struct curl_transport *transport = (struct curl_transport *)base;
    for (size_t i = 0; i < transport->idle_count; i++) {
        curl_easy_cleanup(transport->idle[i]);
    }
    free(transport->idle);
    (void)curl_multi_cleanup(transport->multi);
    free(transport->user_agent);
    free(transport->proxy);
    free(transport->no_proxy);
    free(transport->ca_file);
    free(transport);
    curl_global_cleanup();
}

static char *
copy(const char *text)
{
    return text != NULL ? xstrdup(text) : NULL;
}

struct error *
curl_transport_new(const struct platform *platform, const struct http_client_options *options,
    struct http_transport **out)
{
    static const struct http_client_options none = {0};
    options = options != NULL ? options : &none;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return error_new(ERROR_BUG, "libcurl cannot be initialised");
    }
    struct curl_transport *transport = xcalloc(1, sizeof(*transport));
    transport->base = (struct http_transport){curl_flow_perform, transport_free, curl_flow_wake};
    transport->platform = platform;
    transport->multi = curl_multi_init();
    BUG_ON(transport->multi == NULL);
    const char *agent = options->user_agent;
    transport->user_agent = xstrdup(agent != NULL ? agent : "dispatcher/" DISPATCHER_VERSION);
    transport->proxy = copy(options->proxy);
    // Loopback never goes through a proxy; without a proxy nothing does.
    transport->no_proxy = options->proxy == NULL
                              ? xstrdup("*")
                              : xasprintf("%s%slocalhost,127.0.0.1,::1",
                                    options->no_proxy != NULL ? options->no_proxy : "",
                                    options->no_proxy != NULL ? "," : "");
    transport->ca_file = copy(options->ca_file);
    transport->give_up = options->give_up;
    *out = &transport->base;
    return NULL;
}
