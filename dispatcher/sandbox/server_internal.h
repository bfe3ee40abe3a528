// The HTTP side of the sandbox: server.c opens and closes it, connection.c speaks.
#pragma once

#include "dispatcher/server_library.h"
#include "sandbox_internal.h"

struct exchange; // one request on its way through

// libmicrohttpd's callbacks; `cls` is the sandbox.
void *sandbox_connection_uri(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result sandbox_connection_handle(void *cls, struct MHD_Connection *connection,
    const char *url, const char *method, const char *version, const char *body, size_t *body_size,
    void **context);
void sandbox_connection_completed(void *cls, struct MHD_Connection *connection, void **context,
    enum MHD_RequestTerminationCode code);
void sandbox_connection_notify(void *cls, struct MHD_Connection *connection, void **context,
    enum MHD_ConnectionNotificationCode code);
