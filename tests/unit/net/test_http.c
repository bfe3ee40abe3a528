// The real transport against a server on loopback: what is sent, how often, and what of the answer
// is handed on. What happens without an answer is test_http_failures.c.
#include "dispatcher/http.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "http_lab.h"
#include "temp_dir.h"

static void
a_request_is_sent_as_it_is_written(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    struct secret *token CLEANUP(secret_freep) = secret_new(STR("canary-token"));
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add(&headers, "Accept", "application/json");
    http_headers_addf(&headers, "X-Count", "%d", 7);
    http_headers_add(&headers, "X-Empty", "");
    http_headers_add_secret(&headers, "Authorization", "Bearer ", token);
    struct http_request request = {.method = HTTP_POST,
        .url = http_lab_url(&lab, "/a%20b?q=1"),
        .headers = &headers,
        .body = STR("{\"a\":1}")};
    assert_answered(http_send(lab.client, &request, &lab.response), &lab, 200, "ok");
    char *expected CLEANUP(xfreep) = xasprintf("POST /a%%20b?q=1 HTTP/1.1\r\n"
                                               "Host: 127.0.0.1:%u\r\n"
                                               "User-Agent: dispatcher/%s\r\n"
                                               "Accept: application/json\r\n"
                                               "X-Count: 7\r\n"
                                               "X-Empty:\r\n"
                                               "Authorization: Bearer canary-token\r\n"
                                               "Content-Length: 7\r\n"
                                               "\r\n"
                                               "{\"a\":1}",
        loopback_server_port(lab.server), DISPATCHER_VERSION);
    assert_string_equal(http_lab_last(&lab).ptr, expected);
}

static void
methods_and_empty_bodies(void **state)
{
    (void)state;
    static const struct {
        enum http_method method;
        const char *name;
        bool has_length; // "Content-Length: 0"
    } cases[] = {{HTTP_GET, "GET", false}, {HTTP_HEAD, "HEAD", false}, {HTTP_POST, "POST", true},
        {HTTP_PUT, "PUT", true}, {HTTP_PATCH, "PATCH", true}, {HTTP_DELETE, "DELETE", false}};
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, "HTTP/1.1 204 No Content\r\n\r\n");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_answered(http_lab_send(&lab, cases[i].method, "/"), &lab, 204, "");
        struct str sent = http_lab_last(&lab);
        assert_true(str_starts(sent, str_of(cases[i].name)));
        assert_int_equal(str_contains(sent, STR("\r\nContent-Length: 0\r\n")), cases[i].has_length);
        assert_false(str_contains(sent, STR("Expect:")));
        assert_false(str_contains(sent, STR("Content-Type:")));
    }
    assert_int_equal(loopback_server_connections(lab.server), 1); // kept alive
}

static void
a_head_answer_has_a_length_and_no_body(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    assert_answered(http_lab_send(&lab, HTTP_HEAD, "/"), &lab, 200, "");
    assert_string_equal(http_headers_get(&lab.response.headers, "content-length"), "1234");
}

static void
any_status_is_an_answer(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, "HTTP/1.1 503 Slow Down\r\nContent-Length: 4\r\n\r\nbusy");
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 503, "busy");
    assert_true(lab.response.elapsed_ms >= 0);
    assert_true(lab.response.received_wall_ms > INT64_C(1600000000000));
    http_lab_answer(&lab, "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n");
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 304, "");
}

static void
response_headers(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, "HTTP/1.1 200 OK\r\nX-Twice: one\r\nX-Spaces:  \t a b \t\r\n"
                          "x-twice: two\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n");
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 200, "");
    assert_string_equal(http_headers_get(&lab.response.headers, "X-TWICE"), "one");
    assert_string_equal(http_headers_get(&lab.response.headers, "X-Spaces"), "a b");
    assert_string_equal(http_headers_get(&lab.response.headers, "X-Empty"), "");
    assert_null(http_headers_get(&lab.response.headers, "X-None"));
    assert_null(http_headers_get(NULL, "X-None"));
    assert_int_equal(lab.response.headers.count, 5);
}

static void
a_redirect_is_not_followed(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(
        &lab, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 302, "");
    assert_string_equal(http_headers_get(&lab.response.headers, "Location"), "/elsewhere");
    assert_int_equal(loopback_server_requests(lab.server), 1);
}

static void
interim_answers_leave_nothing_behind(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, "HTTP/1.1 100 Continue\r\nX-Interim: yes\r\n\r\n"
                          "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                          "HTTP/1.1 201 Created\r\nX-Final: yes\r\nContent-Length: 2\r\n\r\nok");
    struct http_request request = {
        .method = HTTP_PUT, .url = http_lab_url(&lab, "/"), .body = STR("data")};
    assert_answered(http_send(lab.client, &request, &lab.response), &lab, 201, "ok");
    assert_null(http_headers_get(&lab.response.headers, "X-Interim"));
    assert_null(http_headers_get(&lab.response.headers, "Link"));
    assert_string_equal(http_headers_get(&lab.response.headers, "X-Final"), "yes");
}

static void
trailers_are_headers_that_came_late(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                          "2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n");
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 200, "ok");
    assert_string_equal(http_headers_get(&lab.response.headers, "X-Sum"), "7");
}

static void
a_large_body_is_sent_without_asking(void **state)
{
    (void)state;
    enum { SIZE = 3 * 1024 * 1024 };
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    char *bytes CLEANUP(xfreep) = xmalloc(SIZE);
    memset(bytes, 'x', SIZE);
    struct http_request request = {
        .method = HTTP_POST, .url = http_lab_url(&lab, "/"), .body = {bytes, SIZE}};
    assert_answered(http_send(lab.client, &request, &lab.response), &lab, 200, "ok");
    assert_true(str_contains(http_lab_last(&lab), STR("\r\nContent-Length: 3145728\r\n")));
    assert_false(str_contains(
        (struct str){http_lab_last(&lab).ptr, 1000}, STR("Expect"))); // libcurl's 100-continue
}

// Answers the first request of a connection; a second one on the same connection makes it close
// without an answer, as a server does whose keep-alive ran out at that moment.
static void
serve_once_per_connection(struct loopback_connection *connection, void *ctx)
{
    (void)ctx;
    struct buf request CLEANUP(buf_done) = BUF_INIT(HTTP_LAB_REQUEST_MAX);
    if (loopback_receive(connection, &request)) {
        (void)loopback_send(connection, http_lab_ok);
        (void)loopback_receive(connection, &request);
    }
}

// The hazard (protocols.md D1): libcurl sends a POST a second time by itself.
static void
a_reused_connection_that_dies_makes_libcurl_repeat(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init_with(&lab, serve_once_per_connection);
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 200, "ok");
    assert_answered(http_lab_send(&lab, HTTP_POST, "/"), &lab, 200, "ok");
    assert_int_equal(loopback_server_posts(lab.server), 2); // one call, two on the wire
}

static void
once_uses_a_connection_of_its_own(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init_with(&lab, serve_once_per_connection);
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 200, "ok");
    struct http_request request = {
        .method = HTTP_POST, .url = http_lab_url(&lab, "/"), .once = true};
    assert_answered(http_send(lab.client, &request, &lab.response), &lab, 200, "ok");
    assert_int_equal(loopback_server_posts(lab.server), 1);
    assert_int_equal(loopback_server_connections(lab.server), 2);
}

static void
once_leaves_no_connection_for_others(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    struct http_request request = {
        .method = HTTP_POST, .url = http_lab_url(&lab, "/"), .once = true};
    for (int i = 0; i < 3; i++) {
        assert_answered(http_send(lab.client, &request, &lab.response), &lab, 200, "ok");
    }
    assert_int_equal(loopback_server_connections(lab.server), 3);
    assert_int_equal(loopback_server_posts(lab.server), 3);
}

static void
once_is_not_repeated_when_the_answer_is_lost(void **state)
{
    (void)state;
    for (int reset = 0; reset <= 1; reset++) {
        struct http_lab lab CLEANUP(http_lab_done);
        http_lab_init(&lab);
        assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 200, "ok"); // something to reuse
        http_lab_answer(&lab, NULL);
        http_lab_then(&lab, reset == 1 ? LAB_RESET : LAB_CLOSE);
        http_response_done(&lab.response);
        struct http_request request = {
            .method = HTTP_POST, .url = http_lab_url(&lab, "/"), .once = true};
        assert_lost(http_send(lab.client, &request, &lab.response), &lab, "reset", true);
        assert_int_equal(loopback_server_posts(lab.server), 1);
    }
}

// A body in pieces, and one that fails.
struct source {
    size_t left, rewinds;
    bool fails;
};

static int64_t
source_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct source *source = ctx;
    if (source->fails) {
        *err = error_new(ERROR_INPUT, "layer is truncated");
        return -1;
    }
    size_t count = source->left < size ? source->left : size;
    count = count < 1000 ? count : 1000;
    memset(out, 'y', count);
    source->left -= count;
    return (int64_t)count;
}

static void
bodies_are_streamed(void **state)
{
    (void)state;
    enum { SIZE = 200000 };
    for (int known = 0; known <= 1; known++) {
        struct http_lab lab CLEANUP(http_lab_done);
        http_lab_init(&lab);
        struct source source = {.left = SIZE};
        struct http_reader reader = {
            .read = source_read, .ctx = &source, .length = known == 1 ? SIZE : -1};
        struct http_request request = {
            .method = HTTP_PATCH, .url = http_lab_url(&lab, "/"), .reader = &reader};
        assert_answered(http_send(lab.client, &request, &lab.response), &lab, 200, "ok");
        struct str sent = http_lab_last(&lab);
        assert_true(str_starts(sent, STR("PATCH / HTTP/1.1\r\n")));
        assert_int_equal(str_contains(sent, STR("\r\nContent-Length: 200000\r\n")), known == 1);
        assert_int_equal(str_contains(sent, STR("\r\nTransfer-Encoding: chunked\r\n")), known == 0);
        size_t count = 0;
        for (size_t i = 0; i < sent.len; i++) {
            count += sent.ptr[i] == 'y' ? 1 : 0;
        }
        assert_int_equal(count, SIZE);
    }
}

static void
a_reader_that_fails_gives_its_own_error(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    struct source source = {.fails = true};
    struct http_reader reader = {.read = source_read, .ctx = &source, .length = 10};
    struct http_request request = {
        .method = HTTP_PUT, .url = http_lab_url(&lab, "/"), .reader = &reader};
    struct error *err CLEANUP(error_freep) = http_send(lab.client, &request, &lab.response);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_string_equal(error_message(err), "layer is truncated");
    assert_string_equal(error_remote_of(err)->code, "body");
}

static struct error *
source_rewind(void *ctx)
{
    struct source *source = ctx;
    source->rewinds++;
    source->left = 5;
    return NULL;
}

// The connection dies under a streamed PUT: libcurl asks for the body again from its start.
static void
a_body_is_rewound_for_a_second_connection(void **state)
{
    (void)state;
    for (int can_rewind = 0; can_rewind <= 1; can_rewind++) {
        struct http_lab lab CLEANUP(http_lab_done);
        http_lab_init_with(&lab, serve_once_per_connection);
        assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 200, "ok");
        http_response_done(&lab.response);
        struct source source = {.left = 5};
        struct http_reader reader = {.read = source_read, .ctx = &source, .length = 5};
        reader.rewind = can_rewind == 1 ? source_rewind : NULL;
        struct http_request request = {
            .method = HTTP_PUT, .url = http_lab_url(&lab, "/"), .reader = &reader};
        struct error *err = http_send(lab.client, &request, &lab.response);
        if (can_rewind == 1) {
            assert_answered(err, &lab, 200, "ok");
        } else {
            assert_lost(err, &lab, "reset", true);
        }
        assert_int_equal(source.rewinds, can_rewind);
    }
}

static struct error *
collect(void *ctx, const char *bytes, size_t len)
{
    buf_append(ctx, bytes, len);
    return NULL;
}

static struct error *
refuse(void *ctx, const char *bytes, size_t len)
{
    (void)ctx;
    (void)bytes;
    (void)len;
    return error_new(ERROR_STORAGE, "disk is full");
}

static void
writers_get_good_bodies_only(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    struct buf got CLEANUP(buf_done) = BUF_INIT(100);
    struct http_writer writer = {collect, &got, NULL};
    struct http_request request = {.method = HTTP_GET,
        .url = http_lab_url(&lab, "/"),
        .writer = &writer,
        .max_response = 1}; // does not bind a writer
    assert_answered(http_send(lab.client, &request, &lab.response), &lab, 200, "");
    assert_string_equal(buf_cstr(&got), "ok");
    http_lab_answer(&lab, "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx");
    assert_answered(http_send(lab.client, &request, &lab.response), &lab, 404, "x");
    assert_string_equal(buf_cstr(&got), "ok");
    http_lab_answer(&lab, http_lab_ok);
    http_response_done(&lab.response);
    request.writer = &(struct http_writer){refuse, NULL, NULL};
    struct error *err CLEANUP(error_freep) = http_send(lab.client, &request, &lab.response);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    assert_string_equal(error_message(err), "disk is full");
    assert_string_equal(error_remote_of(err)->code, "body");
}

enum { PARALLEL = 3 };

// Holds each request until PARALLEL of them have come, so that fewer in flight would never end.
static void
serve_together(struct loopback_connection *connection, void *ctx)
{
    struct http_lab *shared = ctx;
    struct buf request CLEANUP(buf_done) = BUF_INIT(HTTP_LAB_REQUEST_MAX);
    while (loopback_receive(connection, &request)) {
        (void)pthread_mutex_lock(&shared->lock);
        shared->waiting++;
        shared->most = shared->waiting > shared->most ? shared->waiting : shared->most;
        shared->open = shared->open || shared->waiting == PARALLEL;
        (void)pthread_cond_broadcast(&shared->turn);
        while (!shared->open) {
            (void)pthread_cond_wait(&shared->turn, &shared->lock);
        }
        shared->waiting--;
        (void)pthread_mutex_unlock(&shared->lock);
        (void)loopback_send(connection, http_lab_ok);
    }
}

static void
a_batch_runs_in_parallel_up_to_its_limit(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init_with(&lab, serve_together);
    struct http_request request = {.method = HTTP_GET, .url = http_lab_url(&lab, "/")};
    struct http_exchange exchanges[COUNT] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        exchanges[i].request = &request;
    }
    assert_null(http_send_all(lab.client, exchanges, COUNT, PARALLEL));
    for (size_t i = 0; i < COUNT; i++) {
        assert_null(exchanges[i].error);
        assert_int_equal(exchanges[i].response.status, 200);
        assert_string_equal(buf_cstr(&exchanges[i].response.body), "ok");
        http_response_done(&exchanges[i].response);
    }
    assert_int_equal(lab.most, PARALLEL);
    assert_int_equal(loopback_server_connections(lab.server), PARALLEL); // reused
    assert_int_equal(loopback_server_requests(lab.server), COUNT);
}

static void
each_of_a_batch_has_its_own_outcome(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    struct http_request good = {.method = HTTP_GET, .url = http_lab_url(&lab, "/")};
    struct http_request plain = {.method = HTTP_GET, .url = "http://192.0.2.1/"};
    struct http_request small = good;
    small.max_response = 1;
    struct http_exchange exchanges[] = {
        {.request = &plain}, {.request = &good}, {.request = &small}, {.request = &good}};
    assert_null(http_send_all(lab.client, exchanges, ARRAY_LENGTH(exchanges), 0)); // 0 means 1
    assert_int_equal(error_kind(exchanges[0].error), ERROR_INPUT);
    assert_int_equal(exchanges[1].response.status, 200);
    assert_string_equal(error_remote_of(exchanges[2].error)->code, "cap");
    assert_int_equal(exchanges[3].response.status, 200);
    for (size_t i = 0; i < ARRAY_LENGTH(exchanges); i++) {
        error_free(exchanges[i].error);
        http_response_done(&exchanges[i].response);
    }
    assert_null(http_send_all(lab.client, NULL, 0, 4));
}

static void
a_unix_socket_carries_plain_http(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "socket");
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    loopback_server_freep(&lab.server);
    lab.server = loopback_server_new_unix(path, http_lab_serve, &lab);
    struct http_request request = {
        .method = HTTP_GET, .url = "http://docker/v1.41/info", .unix_socket = path};
    assert_answered(http_send(lab.client, &request, &lab.response), &lab, 200, "ok");
    assert_true(
        str_starts(http_lab_last(&lab), STR("GET /v1.41/info HTTP/1.1\r\nHost: docker\r\n")));
}

static void
a_unix_socket_goes_around_the_proxy(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "socket");
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    loopback_server_freep(&lab.server);
    lab.server = loopback_server_new_unix(path, http_lab_serve, &lab);
    struct http_client_options options = {.proxy = "http://127.0.0.1:1"};
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&lab.platform, &options, &client));
    struct http_request request = {
        .method = HTTP_GET, .url = "http://docker/info", .unix_socket = path};
    assert_answered(http_send(client, &request, &lab.response), &lab, 200, "ok");
    assert_true(str_starts(http_lab_last(&lab), STR("GET /info HTTP/1.1\r\n")));
}

static void
loopback_goes_around_the_proxy(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    struct http_client_options options = {.proxy = "http://127.0.0.1:1"};
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&lab.platform, &options, &client));
    struct http_request request = {.method = HTTP_GET, .url = http_lab_url(&lab, "/")};
    assert_answered(http_send(client, &request, &lab.response), &lab, 200, "ok");
}

static void
a_user_agent_of_ones_own(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    struct http_client_options options = {.user_agent = "other/1"};
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&lab.platform, &options, &client));
    struct http_request request = {.method = HTTP_GET, .url = http_lab_url(&lab, "/")};
    assert_answered(http_send(client, &request, &lab.response), &lab, 200, "ok");
    assert_true(str_contains(http_lab_last(&lab), STR("\r\nUser-Agent: other/1\r\n")));
}

static void
a_response_is_replaced_by_the_next(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 200, "ok");
    http_lab_answer(&lab, "HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nnew");
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 201, "new"); // asan sees a leak
    // A failure leaves it as it was.
    struct http_request request = {.method = HTTP_GET, .url = "http://192.0.2.1/"};
    struct error *err CLEANUP(error_freep) = http_send(lab.client, &request, &lab.response);
    assert_non_null(err);
    assert_int_equal(lab.response.status, 201);
}

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_sent_as_it_is_written),
        cmocka_unit_test(methods_and_empty_bodies),
        cmocka_unit_test(a_head_answer_has_a_length_and_no_body),
        cmocka_unit_test(any_status_is_an_answer),
        cmocka_unit_test(response_headers),
        cmocka_unit_test(a_redirect_is_not_followed),
        cmocka_unit_test(interim_answers_leave_nothing_behind),
        cmocka_unit_test(trailers_are_headers_that_came_late),
        cmocka_unit_test(a_large_body_is_sent_without_asking),
        cmocka_unit_test(a_reused_connection_that_dies_makes_libcurl_repeat),
        cmocka_unit_test(once_uses_a_connection_of_its_own),
        cmocka_unit_test(once_leaves_no_connection_for_others),
        cmocka_unit_test(once_is_not_repeated_when_the_answer_is_lost),
        cmocka_unit_test(bodies_are_streamed),
        cmocka_unit_test(a_reader_that_fails_gives_its_own_error),
        cmocka_unit_test(a_body_is_rewound_for_a_second_connection),
        cmocka_unit_test(writers_get_good_bodies_only),
        cmocka_unit_test(a_batch_runs_in_parallel_up_to_its_limit),
        cmocka_unit_test(each_of_a_batch_has_its_own_outcome),
        cmocka_unit_test(a_unix_socket_carries_plain_http),
        cmocka_unit_test(a_unix_socket_goes_around_the_proxy),
        cmocka_unit_test(loopback_goes_around_the_proxy),
        cmocka_unit_test(a_user_agent_of_ones_own),
        cmocka_unit_test(a_response_is_replaced_by_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
