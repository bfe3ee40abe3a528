// libmicrohttpd, loaded when something is to be served (docs/decisions/0013). Only front ends
// listen: sandbox/ and service/ include this instead of its header, and call its functions by their
// own names.
#pragma once

#include <microhttpd.h>

#include "dispatcher/error.h"

#define SERVER_FUNCTIONS                                                                           \
    SERVER_FUNCTION(MHD_add_response_header)                                                       \
    SERVER_FUNCTION(MHD_create_response_from_buffer)                                               \
    SERVER_FUNCTION(MHD_create_response_from_callback)                                             \
    SERVER_FUNCTION(MHD_create_response_from_fd64)                                                 \
    SERVER_FUNCTION(MHD_destroy_response)                                                          \
    SERVER_FUNCTION(MHD_get_connection_info)                                                       \
    SERVER_FUNCTION(MHD_get_connection_values)                                                     \
    SERVER_FUNCTION(MHD_get_daemon_info)                                                           \
    SERVER_FUNCTION(MHD_lookup_connection_value)                                                   \
    SERVER_FUNCTION(MHD_queue_response)                                                            \
    SERVER_FUNCTION(MHD_quiesce_daemon)                                                            \
    SERVER_FUNCTION(MHD_resume_connection)                                                         \
    SERVER_FUNCTION(MHD_set_connection_option)                                                     \
    SERVER_FUNCTION(MHD_start_daemon)                                                              \
    SERVER_FUNCTION(MHD_stop_daemon)                                                               \
    SERVER_FUNCTION(MHD_suspend_connection)

struct server_library {
#define SERVER_FUNCTION(name) __typeof__(&(name)) name;
    SERVER_FUNCTIONS
#undef SERVER_FUNCTION
};

// Written once, by server_library_load, and then only read: as constant as the functions
// themselves.
extern struct server_library server_library;

/// ERROR_UNAVAILABLE with the package to install when it is not there; `purpose`: "the sandbox".
/// Thread-safe.
NODISCARD struct error *server_library_load(const char *purpose);

// Function-like, so that the names above are still names. One that is missing here does not link,
// one that is missing above does not compile.
#define MHD_add_response_header(...) server_library.MHD_add_response_header(__VA_ARGS__)
#define MHD_create_response_from_buffer(...)                                                       \
    server_library.MHD_create_response_from_buffer(__VA_ARGS__)
#define MHD_create_response_from_callback(...)                                                     \
    server_library.MHD_create_response_from_callback(__VA_ARGS__)
#define MHD_create_response_from_fd64(...) server_library.MHD_create_response_from_fd64(__VA_ARGS__)
#define MHD_destroy_response(...) server_library.MHD_destroy_response(__VA_ARGS__)
#define MHD_get_connection_info(...) server_library.MHD_get_connection_info(__VA_ARGS__)
#define MHD_get_connection_values(...) server_library.MHD_get_connection_values(__VA_ARGS__)
#define MHD_get_daemon_info(...) server_library.MHD_get_daemon_info(__VA_ARGS__)
#define MHD_lookup_connection_value(...) server_library.MHD_lookup_connection_value(__VA_ARGS__)
#define MHD_queue_response(...) server_library.MHD_queue_response(__VA_ARGS__)
#define MHD_quiesce_daemon(...) server_library.MHD_quiesce_daemon(__VA_ARGS__)
#define MHD_resume_connection(...) server_library.MHD_resume_connection(__VA_ARGS__)
#define MHD_set_connection_option(...) server_library.MHD_set_connection_option(__VA_ARGS__)
#define MHD_start_daemon(...) server_library.MHD_start_daemon(__VA_ARGS__)
#define MHD_stop_daemon(...) server_library.MHD_stop_daemon(__VA_ARGS__)
#define MHD_suspend_connection(...) server_library.MHD_suspend_connection(__VA_ARGS__)
