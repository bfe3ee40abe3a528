// The lab of net/'s tests: starts and stops both sides in the right order.
#include "http_lab.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

const char http_lab_ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// What to do with the request that has come, read under the lock.
static enum http_lab_then
note(struct http_lab *lab, const struct buf *request, const char **answer)
{
    (void)pthread_mutex_lock(&lab->lock);
    buf_reset(&lab->last);
    buf_add(&lab->last, buf_str(request));
    *answer = lab->answer;
    enum http_lab_then then = lab->then;
    bool raises = lab->raises;
    (void)pthread_mutex_unlock(&lab->lock);
    if (raises) {
        cancel_raise(lab->platform.cancel, SIGINT);
    }
    return then;
}

void
http_lab_serve(struct loopback_connection *connection, void *ctx)
{
    struct buf request CLEANUP(buf_done) = BUF_INIT(HTTP_LAB_REQUEST_MAX);
    enum http_lab_then then = LAB_SERVE_ON;
    while (then == LAB_SERVE_ON && loopback_receive(connection, &request)) {
        const char *answer = NULL;
        then = note(ctx, &request, &answer);
        if (answer != NULL) {
            (void)loopback_send(connection, answer);
        }
    }
    if (then == LAB_RESET) {
        loopback_reset(connection);
    } else if (then == LAB_HANG) {
        loopback_wait_closed(connection);
    }
}

void
http_lab_init_with(
    struct http_lab *lab, void (*serve)(struct loopback_connection *connection, void *ctx))
{
    *lab = (struct http_lab){.platform = {.clock = &clock_system, .random = &random_system},
        .answer = http_lab_ok,
        .last = BUF_INIT(HTTP_LAB_REQUEST_MAX)};
    (void)pthread_mutex_init(&lab->lock, NULL);
    (void)pthread_cond_init(&lab->turn, NULL);
    lab->platform.cancel = cancel_new();
    lab->server = loopback_server_new(serve, lab);
    assert_null(http_client_new(&lab->platform, NULL, &lab->client));
}

void
http_lab_init(struct http_lab *lab)
{
    http_lab_init_with(lab, http_lab_serve);
}

void
http_lab_done(struct http_lab *lab)
{
    http_response_done(&lab->response);
    http_client_free(lab->client);
    loopback_server_free(lab->server);
    buf_done(&lab->last);
    (void)pthread_mutex_destroy(&lab->lock);
    (void)pthread_cond_destroy(&lab->turn);
    cancel_free(lab->platform.cancel);
}

void
http_lab_answer(struct http_lab *lab, const char *answer)
{
    (void)pthread_mutex_lock(&lab->lock);
    lab->answer = answer;
    (void)pthread_mutex_unlock(&lab->lock);
}

void
http_lab_then(struct http_lab *lab, enum http_lab_then then)
{
    (void)pthread_mutex_lock(&lab->lock);
    lab->then = then;
    (void)pthread_mutex_unlock(&lab->lock);
}

void
http_lab_raises(struct http_lab *lab, bool raises)
{
    (void)pthread_mutex_lock(&lab->lock);
    lab->raises = raises;
    (void)pthread_mutex_unlock(&lab->lock);
}

struct str
http_lab_last(struct http_lab *lab)
{
    (void)pthread_mutex_lock(&lab->lock);
    struct str last = buf_str(&lab->last);
    (void)pthread_mutex_unlock(&lab->lock);
    return last;
}

const char *
http_lab_url(struct http_lab *lab, const char *path)
{
    return loopback_server_url(lab->server, path);
}

int64_t
http_lab_in_ms(const struct http_lab *lab, int64_t ms)
{
    return clock_mono(lab->platform.clock) + ms;
}

struct error *
http_lab_send(struct http_lab *lab, enum http_method method, const char *path)
{
    struct http_request request = {.method = method,
        .url = http_lab_url(lab, path),
        .deadline_ms = http_lab_in_ms(lab, HTTP_LAB_LONG_MS)};
    return http_send(lab->client, &request, &lab->response);
}

void
assert_answered(struct error *failed, const struct http_lab *lab, int status, const char *body)
{
    struct error *err CLEANUP(error_freep) = failed;
    assert_null(err != NULL ? error_message(err) : NULL);
    assert_int_equal(lab->response.status, status);
    assert_string_equal(buf_cstr(&lab->response.body), body);
}

void
assert_lost(struct error *failed, const struct http_lab *lab, const char *code, bool request_left)
{
    struct error *err CLEANUP(error_freep) = failed;
    assert_non_null(err);
    print_message("%s\n", error_message(err));
    assert_string_equal(error_remote_of(err)->code, code);
    assert_int_equal(error_remote_of(err)->request_left, request_left);
    assert_int_equal(error_remote_of(err)->status, 0);
    assert_int_equal(lab->response.status, 0);
    assert_int_equal(lab->response.body.len, 0);
}
