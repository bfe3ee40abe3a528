// The real transport when there is no answer, or none that may be believed: the error says what
// kind it is and whether the request had left.
#include "dispatcher/http.h"

#include <netdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "http_lab.h"

enum { SHORT_MS = 300 };

static void
the_answer_is_capped_exactly(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
    struct http_request request = {
        .method = HTTP_GET, .url = http_lab_url(&lab, "/big?sig=canary"), .max_response = 10};
    assert_answered(http_send(lab.client, &request, &lab.response), &lab, 200, "0123456789");
    http_response_done(&lab.response);
    request.max_response = 9;
    struct error *err CLEANUP(error_freep) = http_send(lab.client, &request, &lab.response);
    assert_non_null(err);
    char *expected CLEANUP(xfreep) =
        xasprintf("GET %s: the answer is larger than 9 bytes", http_lab_url(&lab, "/big"));
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    assert_string_equal(error_message(err), expected);
    assert_string_equal(error_remote_of(err)->code, "cap");
    assert_true(error_remote_of(err)->request_left);
    assert_int_equal(lab.response.status, 0);
}

static void
serve_endless_body(struct loopback_connection *connection, void *ctx)
{
    (void)ctx;
    struct buf request CLEANUP(buf_done) = BUF_INIT(HTTP_LAB_REQUEST_MAX);
    if (loopback_receive(connection, &request)) {
        (void)loopback_send(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while (loopback_send(connection, "10\r\n0123456789abcdef\r\n")) {
        }
    }
}

static void
an_endless_answer_ends_at_the_cap(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init_with(&lab, serve_endless_body);
    assert_lost(http_lab_send(&lab, HTTP_GET, "/"), &lab, "cap", true); // the default: 8 MiB
}

static void
serve_headers_without_end(struct loopback_connection *connection, void *ctx)
{
    (void)ctx;
    struct buf request CLEANUP(buf_done) = BUF_INIT(HTTP_LAB_REQUEST_MAX);
    if (loopback_receive(connection, &request)) {
        (void)loopback_send(connection, "HTTP/1.1 200 OK\r\n");
        while (loopback_send(connection, "X-A: b\r\n")) {
        }
    }
}

static void
a_flood_of_headers_is_refused(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init_with(&lab, serve_headers_without_end);
    struct error *err CLEANUP(error_freep) = http_lab_send(&lab, HTTP_GET, "/");
    assert_non_null(err);
    char *expected CLEANUP(xfreep) = xasprintf(
        "GET %s: the answer has more than 500 headers, or too long ones", http_lab_url(&lab, "/"));
    assert_string_equal(error_message(err), expected);
    assert_string_equal(error_remote_of(err)->code, "cap");
}

static void
serve_one_header_without_end(struct loopback_connection *connection, void *ctx)
{
    (void)ctx;
    struct buf request CLEANUP(buf_done) = BUF_INIT(HTTP_LAB_REQUEST_MAX);
    if (loopback_receive(connection, &request)) {
        (void)loopback_send(connection, "HTTP/1.1 200 OK\r\nX-A: ");
        while (loopback_send(connection, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")) {
        }
    }
}

static void
a_header_without_end_is_refused(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init_with(&lab, serve_one_header_without_end);
    assert_lost(http_lab_send(&lab, HTTP_GET, "/"), &lab, "cap", true);
}

static void
serve_interim_without_end(struct loopback_connection *connection, void *ctx)
{
    (void)ctx;
    struct buf request CLEANUP(buf_done) = BUF_INIT(HTTP_LAB_REQUEST_MAX);
    if (loopback_receive(connection, &request)) {
        while (loopback_send(connection, "HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n")) {
        }
    }
}

static void
interim_answers_without_end_are_refused(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init_with(&lab, serve_interim_without_end);
    assert_lost(http_lab_send(&lab, HTTP_GET, "/"), &lab, "cap", true);
}

static void
truncated_answers_are_no_answers(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 2",
        "",
        "<html>not http</html>",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
        struct http_lab lab CLEANUP(http_lab_done);
        http_lab_init(&lab);
        http_lab_answer(&lab, answers[i]);
        http_lab_then(&lab, LAB_CLOSE);
        struct http_request request = {
            .method = HTTP_POST, .url = http_lab_url(&lab, "/"), .once = true};
        assert_lost(http_send(lab.client, &request, &lab.response), &lab, "reset", true);
        assert_int_equal(loopback_server_posts(lab.server), 1);
    }
}

static void
a_reset_is_told(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, NULL);
    http_lab_then(&lab, LAB_RESET);
    assert_lost(http_lab_send(&lab, HTTP_GET, "/"), &lab, "reset", true);
}

static void
serve_drip(struct loopback_connection *connection, void *ctx)
{
    (void)ctx;
    struct buf request CLEANUP(buf_done) = BUF_INIT(HTTP_LAB_REQUEST_MAX);
    if (loopback_receive(connection, &request)) {
        (void)loopback_send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while (loopback_is_open_after(connection, 10) && loopback_send(connection, "x")) {
        }
    }
}

static void
a_drip_ends_at_the_deadline(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init_with(&lab, serve_drip);
    int64_t deadline = http_lab_in_ms(&lab, SHORT_MS);
    struct http_request request = {
        .method = HTTP_GET, .url = http_lab_url(&lab, "/"), .deadline_ms = deadline};
    assert_lost(http_send(lab.client, &request, &lab.response), &lab, "timeout", true);
    // libcurl rounds to milliseconds and may end one early.
    assert_true(clock_mono(lab.platform.clock) >= deadline - 1);
}

static void
silence_ends_at_the_deadline(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, NULL);
    http_lab_then(&lab, LAB_HANG);
    struct http_request request = {.method = HTTP_GET,
        .url = http_lab_url(&lab, "/"),
        .deadline_ms = http_lab_in_ms(&lab, SHORT_MS)};
    assert_lost(http_send(lab.client, &request, &lab.response), &lab, "timeout", true);
}

static void
a_deadline_in_the_past_sends_nothing(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    struct http_request request = {.method = HTTP_POST,
        .url = http_lab_url(&lab, "/"),
        .once = true,
        .deadline_ms = http_lab_in_ms(&lab, -1000)};
    assert_lost(http_send(lab.client, &request, &lab.response), &lab, "timeout", false);
    assert_int_equal(loopback_server_requests(lab.server), 0);
}

static void
nobody_listens(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    char *url CLEANUP(xfreep) = xstrdup(http_lab_url(&lab, "/"));
    loopback_server_freep(&lab.server);
    struct http_request request = {.method = HTTP_GET, .url = url};
    assert_lost(http_send(lab.client, &request, &lab.response), &lab, "connect", false);
}

static void
tls_to_a_server_without_it(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    char *url CLEANUP(xfreep) =
        xasprintf("https://127.0.0.1:%u/", loopback_server_port(lab.server));
    struct http_request request = {
        .method = HTTP_GET, .url = url, .deadline_ms = http_lab_in_ms(&lab, SHORT_MS)};
    // The server waits for the end of a request that never comes: the handshake runs out of time.
    assert_lost(http_send(lab.client, &request, &lab.response), &lab, "timeout", false);
}

static void
serve_garbage(struct loopback_connection *connection, void *ctx)
{
    (void)ctx;
    char byte = 0;
    (void)loopback_read_byte(connection, &byte);
    (void)loopback_send(connection, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void
plain_text_in_place_of_tls(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init_with(&lab, serve_garbage);
    char *url CLEANUP(xfreep) =
        xasprintf("https://127.0.0.1:%u/", loopback_server_port(lab.server));
    struct http_request request = {.method = HTTP_GET, .url = url};
    struct error *err CLEANUP(error_freep) = http_send(lab.client, &request, &lab.response);
    assert_non_null(err);
    assert_string_equal(error_remote_of(err)->code, "tls");
    assert_false(error_remote_of(err)->request_left);
    assert_string_equal(error_hint_of(err),
        "Check the host's certificate; a private CA is named by SSL_CERT_FILE.");
}

static void
plain_http_is_for_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *url, *message;
    } cases[] = {
        {"http://192.0.2.1/", "'http://192.0.2.1' is not encrypted"},
        {"http://127.0.0.1.example.com/", "'http://127.0.0.1.example.com' is not encrypted"},
        {"http://localhost.example.com/x?y", "'http://localhost.example.com' is not encrypted"},
        {"http://0.0.0.0/", "'http://0.0.0.0' is not encrypted"},
        {"HTTP://Example.COM/", "'http://example.com' is not encrypted"},
    };
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct http_request request = {.method = HTTP_GET, .url = cases[i].url};
        struct error *err CLEANUP(error_freep) = http_send(lab.client, &request, &lab.response);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_INPUT);
        assert_string_equal(error_message(err), cases[i].message);
        assert_string_equal(error_hint_of(err),
            "Use https; plain http is accepted for this machine (localhost) only.");
        assert_false(error_remote_of(err)->request_left);
    }
}

static void
other_schemes_are_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {"file:///etc/passwd", "ftp://localhost/",
        "gopher://127.0.0.1/", "localhost/x", "", "//localhost/", "http://", "https://a b/"};
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        struct http_request request = {.method = HTTP_GET, .url = urls[i], .allow_plain = true};
        struct error *err CLEANUP(error_freep) = http_send(lab.client, &request, &lab.response);
        print_message("%s\n", urls[i]);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_INPUT);
    }
    assert_int_equal(loopback_server_connections(lab.server), 0);
}

static void
control_characters_in_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } cases[] = {{"X-A", "b\r\nX-Evil: 1"}, {"X-A", "b\nX-Evil: 1"}, {"X-A", "b\rc"},
        {"X-A", "b\x01"}, {"X-A", "b\x7f"}, {"X-A\r\nX-Evil", "b"}, {"X A", "b"}, {"", "b"},
        {"X-A:", "b"}};
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct http_headers headers CLEANUP(http_headers_done) = {0};
        http_headers_add(&headers, cases[i].name, cases[i].value);
        assert_int_equal(headers.count, 0);
        struct http_request request = {
            .method = HTTP_GET, .url = http_lab_url(&lab, "/x?q"), .headers = &headers};
        struct error *err CLEANUP(error_freep) = http_send(lab.client, &request, &lab.response);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_INPUT);
        char *expected CLEANUP(xfreep) = xasprintf(
            "GET %s: a header holds control characters or is too long", http_lab_url(&lab, "/x"));
        assert_string_equal(error_message(err), expected);
    }
    assert_int_equal(loopback_server_connections(lab.server), 0);
}

static void
long_and_secret_headers(void **state)
{
    (void)state;
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    char *huge CLEANUP(xfreep) = xmalloc(64 * 1024 + 2);
    memset(huge, 'x', 64 * 1024 + 1);
    huge[64 * 1024 + 1] = '\0';
    http_headers_add(&headers, "X-A", huge + 1);
    assert_false(headers.failed);
    assert_int_equal(headers.count, 1);
    http_headers_add(&headers, "X-A", huge);
    assert_true(headers.failed);
    struct http_headers second CLEANUP(http_headers_done) = {0};
    http_headers_addf(&second, "X-A", "%s", huge);
    assert_true(second.failed);
    assert_int_equal(second.count, 0);
    struct http_headers third CLEANUP(http_headers_done) = {0};
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("bad\nsecret"));
    http_headers_add_secret(&third, "Authorization", "Bearer ", secret);
    assert_true(third.failed);
    struct secret *tabbed CLEANUP(secret_freep) = secret_new(STR("a\tb"));
    struct http_headers fourth CLEANUP(http_headers_done) = {0};
    http_headers_add_secret(&fourth, "Authorization", "Bearer ", tabbed);
    assert_false(fourth.failed);
    assert_true(fourth.list[0].sensitive);
    assert_string_equal(fourth.list[0].value, "Bearer a\tb");
}

static void
a_signal_in_mid_air_says_that_the_request_had_left(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, NULL);
    http_lab_then(&lab, LAB_HANG);
    http_lab_raises(&lab, true);
    struct error *err CLEANUP(error_freep) = http_lab_send(&lab, HTTP_POST, "/");
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_string_equal(error_remote_of(err)->code, "cancelled");
    assert_true(error_remote_of(err)->request_left);
    assert_int_equal(loopback_server_posts(lab.server), 1);
    // And the client works again once the flag is down.
    cancel_clear(lab.platform.cancel);
    http_lab_raises(&lab, false);
    http_lab_then(&lab, LAB_SERVE_ON);
    http_lab_answer(&lab, http_lab_ok);
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 200, "ok");
}

static void
serve_raise_on_connect(struct loopback_connection *connection, void *ctx)
{
    struct http_lab *shared = ctx;
    char byte = 0;
    (void)loopback_read_byte(connection, &byte); // of the TLS hello
    cancel_raise(shared->platform.cancel, SIGTERM);
    loopback_wait_closed(connection);
}

static void
a_signal_in_the_handshake_says_that_it_had_not(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init_with(&lab, serve_raise_on_connect);
    http_lab_raises(&lab, true);
    char *url CLEANUP(xfreep) =
        xasprintf("https://127.0.0.1:%u/", loopback_server_port(lab.server));
    struct http_request request = {.method = HTTP_POST, .url = url, .once = true};
    struct error *err CLEANUP(error_freep) = http_send(lab.client, &request, &lab.response);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_false(error_remote_of(err)->request_left);
}

static void
a_signal_before_sends_nothing(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    cancel_raise(lab.platform.cancel, SIGTERM);
    struct error *err CLEANUP(error_freep) = http_lab_send(&lab, HTTP_POST, "/");
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_false(error_remote_of(err)->request_left);
    assert_int_equal(loopback_server_connections(lab.server), 0);
}

static void
a_cancelled_batch_ends_each_exchange(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, NULL);
    http_lab_then(&lab, LAB_HANG);
    http_lab_raises(&lab, true);
    struct http_request request = {.method = HTTP_POST, .url = http_lab_url(&lab, "/")};
    struct http_exchange exchanges[3] = {
        {.request = &request}, {.request = &request}, {.request = &request}};
    struct error *err CLEANUP(error_freep) = http_send_all(lab.client, exchanges, 3, 1);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_true(error_remote_of(exchanges[0].error)->request_left);
    // What was not begun has an error, too: nobody takes its empty response for an answer.
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(exchanges[i].error);
        assert_int_equal(error_kind(exchanges[i].error), ERROR_CANCELLED);
        assert_int_equal(error_remote_of(exchanges[i].error)->request_left, i == 0);
        error_free(exchanges[i].error);
        http_response_done(&exchanges[i].response);
    }
    assert_int_equal(loopback_server_posts(lab.server), 1);
}

// --- what may change something is waited for -----------------------------------------------------

// A lab whose client has a second flag.
struct patient {
    struct http_lab lab;
    struct cancel *give_up;
    struct http_client *client;
};

static void
patient_init(struct patient *p, void (*serve)(struct loopback_connection *connection, void *ctx))
{
    http_lab_init_with(&p->lab, serve);
    http_lab_raises(&p->lab, true);
    p->give_up = cancel_new();
    const struct http_client_options options = {.give_up = p->give_up};
    assert_null(http_client_new(&p->lab.platform, &options, &p->client));
}

static void
patient_done(struct patient *p)
{
    http_client_free(p->client);
    cancel_free(p->give_up);
    http_lab_done(&p->lab);
}

static struct error *
patient_send(struct patient *p, enum http_method method)
{
    const struct http_request request = {.method = method, .url = http_lab_url(&p->lab, "/")};
    return http_send(p->client, &request, &p->lab.response);
}

static void
what_changes_something_is_answered_after_a_signal(void **state)
{
    (void)state;
    static const enum http_method methods[] = {HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE};
    struct patient p CLEANUP(patient_done) = {0};
    patient_init(&p, http_lab_serve);
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        cancel_clear(p.lab.platform.cancel);
        assert_answered(patient_send(&p, methods[i]), &p.lab, 200, "ok");
        assert_true(cancel_signal(p.lab.platform.cancel) != 0);
    }
    // Nothing more is begun.
    struct error *err CLEANUP(error_freep) = patient_send(&p, HTTP_POST);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_false(error_remote_of(err)->request_left);
    assert_int_equal(loopback_server_requests(p.lab.server), ARRAY_LENGTH(methods));
}

static void
what_only_reads_ends_at_once(void **state)
{
    (void)state;
    struct patient p CLEANUP(patient_done) = {0};
    patient_init(&p, http_lab_serve);
    http_lab_answer(&p.lab, NULL);
    http_lab_then(&p.lab, LAB_HANG);
    struct error *err CLEANUP(error_freep) = patient_send(&p, HTTP_GET);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_true(error_remote_of(err)->request_left);
}

// Raises both flags, one after the other.
static void
serve_raise_both(struct loopback_connection *connection, void *ctx)
{
    struct patient *p = ctx; // its lab comes first
    struct buf request CLEANUP(buf_done) = BUF_INIT(HTTP_LAB_REQUEST_MAX);
    (void)loopback_receive(connection, &request);
    cancel_raise(p->lab.platform.cancel, SIGTERM);
    cancel_raise(p->give_up, SIGTERM);
    loopback_wait_closed(connection);
}

static void
in_the_end_it_is_given_up_too(void **state)
{
    (void)state;
    struct patient p CLEANUP(patient_done) = {0};
    patient_init(&p, serve_raise_both);
    struct error *err CLEANUP(error_freep) = patient_send(&p, HTTP_POST);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_string_equal(error_remote_of(err)->code, "cancelled");
    assert_true(error_remote_of(err)->request_left); // whether it had an effect is not known
}

static void
of_a_batch_what_is_on_the_wire_is_waited_for(void **state)
{
    (void)state;
    struct patient p CLEANUP(patient_done) = {0};
    patient_init(&p, http_lab_serve);
    const struct http_request request = {.method = HTTP_PUT, .url = http_lab_url(&p.lab, "/")};
    struct http_exchange exchanges[2] = {{.request = &request}, {.request = &request}};
    struct error *err CLEANUP(error_freep) = http_send_all(p.client, exchanges, 2, 1);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_null(exchanges[0].error);
    assert_int_equal(exchanges[0].response.status, 200);
    assert_false(error_remote_of(exchanges[1].error)->request_left);
    error_free(exchanges[1].error);
    http_response_done(&exchanges[0].response);
}

// --- names ---------------------------------------------------------------------------------------

static atomic_bool lookup_may_end, lookup_has_ended;

// In place of the C library's, also for libcurl: a name server that does not answer.
int
getaddrinfo(
    const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    (void)service, (void)hints, (void)out;
    if (strcmp(node, "slow.example") == 0) {
        for (int i = 0; i < 500 && !atomic_load(&lookup_may_end); i++) {
            error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 20, NULL));
        }
        atomic_store(&lookup_has_ended, true);
    }
    return EAI_AGAIN;
}

static void *
raise_soon(void *ctx)
{
    error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 100, NULL));
    cancel_raise(ctx, SIGTERM);
    return NULL;
}

// The thread that looks it up would keep the whole process.
static void
a_name_that_is_looked_up_for_long_is_not_waited_for(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    pthread_t thread;
    http_lab_init(&lab);
    assert_int_equal(pthread_create(&thread, NULL, raise_soon, lab.platform.cancel), 0);
    const struct http_request request = {.method = HTTP_GET, .url = "https://slow.example/"};
    struct error *err CLEANUP(error_freep) = http_send(lab.client, &request, &lab.response);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_false(atomic_load(&lookup_has_ended));
    (void)pthread_join(thread, NULL);
    http_client_freep(&lab.client); // neither does its end
    assert_false(atomic_load(&lookup_has_ended));
    atomic_store(&lookup_may_end, true);
    while (!atomic_load(&lookup_has_ended)) { // its thread is this program's
        error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 5, NULL));
    }
}

// A proxy is used when configured, never for loopback; what it refuses has not reached the target.
static void
a_proxy_refuses(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    char *proxy CLEANUP(xfreep) =
        xasprintf("http://127.0.0.1:%u", loopback_server_port(lab.server));
    struct http_client_options options = {.proxy = proxy, .no_proxy = "internal.example"};
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&lab.platform, &options, &client));
    struct http_request request = {
        .method = HTTP_POST, .url = "https://target.invalid/x", .once = true};
    assert_lost(http_send(client, &request, &lab.response), &lab, "proxy", false);
    assert_true(str_starts(http_lab_last(&lab), STR("CONNECT target.invalid:443 HTTP/1.1")));
    assert_int_equal(loopback_server_requests(lab.server), 1);
}

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_is_capped_exactly),
        cmocka_unit_test(an_endless_answer_ends_at_the_cap),
        cmocka_unit_test(a_flood_of_headers_is_refused),
        cmocka_unit_test(a_header_without_end_is_refused),
        cmocka_unit_test(interim_answers_without_end_are_refused),
        cmocka_unit_test(truncated_answers_are_no_answers),
        cmocka_unit_test(a_reset_is_told),
        cmocka_unit_test(a_drip_ends_at_the_deadline),
        cmocka_unit_test(silence_ends_at_the_deadline),
        cmocka_unit_test(a_deadline_in_the_past_sends_nothing),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(tls_to_a_server_without_it),
        cmocka_unit_test(plain_text_in_place_of_tls),
        cmocka_unit_test(plain_http_is_for_loopback),
        cmocka_unit_test(other_schemes_are_refused),
        cmocka_unit_test(control_characters_in_headers_are_refused),
        cmocka_unit_test(long_and_secret_headers),
        cmocka_unit_test(a_signal_in_mid_air_says_that_the_request_had_left),
        cmocka_unit_test(a_signal_in_the_handshake_says_that_it_had_not),
        cmocka_unit_test(a_signal_before_sends_nothing),
        cmocka_unit_test(a_cancelled_batch_ends_each_exchange),
        cmocka_unit_test(what_changes_something_is_answered_after_a_signal),
        cmocka_unit_test(what_only_reads_ends_at_once),
        cmocka_unit_test(in_the_end_it_is_given_up_too),
        cmocka_unit_test(of_a_batch_what_is_on_the_wire_is_waited_for),
        cmocka_unit_test(a_name_that_is_looked_up_for_long_is_not_waited_for),
        cmocka_unit_test(a_proxy_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
