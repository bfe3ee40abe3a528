// A server on loopback for tests of the real transport: the test says what each connection does.
//
//     static void
//     serve(struct loopback_connection *connection, void *ctx)
//     {
//         struct buf request CLEANUP(buf_done) = BUF_INIT(1 << 20);
//         while (loopback_receive(connection, &request)) {
//             loopback_send(connection, "HTTP/1.1 204 No Content\r\n\r\n");
//         }
//     }
//     struct loopback_server *server CLEANUP(loopback_server_freep) =
//         loopback_server_new(serve, NULL);
//     ... loopback_server_url(server, "/path") ...
//
// `serve` runs in a thread of its own for each connection and closes it by returning; cmocka's
// assertions must not be used in it. Freeing the server breaks what is open and joins all threads.
#pragma once

#include <stddef.h>

#include "dispatcher/buf.h"

struct loopback_server;
struct loopback_connection;

struct loopback_server *loopback_server_new(
    void (*serve)(struct loopback_connection *connection, void *ctx), void *ctx);
/// The same on a Unix socket of that path.
struct loopback_server *loopback_server_new_unix(
    const char *path, void (*serve)(struct loopback_connection *connection, void *ctx), void *ctx);
void loopback_server_free(struct loopback_server *server);
void loopback_server_freep(struct loopback_server **server);

/// "http://127.0.0.1:PORT<path>"; lives as long as the server.
const char *loopback_server_url(struct loopback_server *server, const char *path);
unsigned loopback_server_port(const struct loopback_server *server);
/// Connections accepted, requests received, and those of the latter with method POST.
size_t loopback_server_connections(const struct loopback_server *server);
size_t loopback_server_requests(const struct loopback_server *server);
size_t loopback_server_posts(const struct loopback_server *server);

/// One whole request (head, and a body of Content-Length or of chunks, as it was on the wire)
/// replaces the content of `request`; false when the client is gone.
bool loopback_receive(struct loopback_connection *connection, struct buf *request);
/// Reads one byte; false when the client is gone.
bool loopback_read_byte(struct loopback_connection *connection, char *out);
/// false when the client is gone.
bool loopback_send(struct loopback_connection *connection, const char *text);
bool loopback_send_bytes(struct loopback_connection *connection, const void *bytes, size_t len);
/// Makes the close that follows a reset (RST) instead of an orderly end.
void loopback_reset(struct loopback_connection *connection);
/// Waits until the client closes, reading what it still sends.
void loopback_wait_closed(struct loopback_connection *connection);
/// Is the client still there after `ms` milliseconds without a byte from it?
bool loopback_is_open_after(struct loopback_connection *connection, int ms);
/// Number of this connection, from 1.
size_t loopback_connection_number(const struct loopback_connection *connection);
