// A real HTTP client and the loopback server it talks to, for tests of net/.
//
//     struct http_lab lab CLEANUP(http_lab_done);
//     http_lab_init(&lab);
//     http_lab_answer(&lab, "HTTP/1.1 204 No Content\r\n\r\n");
//     assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 204, "");
#pragma once

#include <pthread.h>

#include "dispatcher/http.h"
#include "loopback_server.h"

enum { HTTP_LAB_REQUEST_MAX = 8 * 1024 * 1024, HTTP_LAB_LONG_MS = 20000 };

// What the server does after its answer.
enum http_lab_then {
    LAB_SERVE_ON, // waits for the next request
    LAB_CLOSE,
    LAB_RESET,
    LAB_HANG, // waits until the client goes
};

struct http_lab {
    struct platform platform; // the system's clock; a cancel flag of its own
    struct loopback_server *server;
    struct http_client *client;
    struct http_response response; // of http_lab_send

    // Shared with the server's threads: behind the lock.
    pthread_mutex_t lock;
    pthread_cond_t turn;
    const char *answer; // NULL: none
    enum http_lab_then then;
    bool raises; // the cancel flag, when a request has come
    struct buf last;
    size_t waiting, most; // for a `serve` of the test's own
    bool open;
};

/// "200 OK" with the body "ok", which is what the server answers unless told otherwise.
extern const char http_lab_ok[];

void http_lab_init(struct http_lab *lab);
/// `serve` gets the lab as its ctx.
void http_lab_init_with(
    struct http_lab *lab, void (*serve)(struct loopback_connection *connection, void *ctx));
/// What http_lab_init's server does; `ctx` is the lab.
void http_lab_serve(struct loopback_connection *connection, void *ctx);
void http_lab_done(struct http_lab *lab);
void http_lab_answer(struct http_lab *lab, const char *answer);
void http_lab_then(struct http_lab *lab, enum http_lab_then then);
void http_lab_raises(struct http_lab *lab, bool raises);
/// The last request as it came; valid until the next one.
struct str http_lab_last(struct http_lab *lab);
const char *http_lab_url(struct http_lab *lab, const char *path);
/// The mono time in `ms` from now.
int64_t http_lab_in_ms(const struct http_lab *lab, int64_t ms);
struct error *http_lab_send(struct http_lab *lab, enum http_method method, const char *path);

/// Fails the test unless there was no error and the answer is that one. Takes the error.
void assert_answered(
    struct error *failed, const struct http_lab *lab, int status, const char *body);
/// Fails the test unless the error has that code and says that about the request, and no response
/// shows. Takes the error.
void assert_lost(
    struct error *failed, const struct http_lab *lab, const char *code, bool request_left);
