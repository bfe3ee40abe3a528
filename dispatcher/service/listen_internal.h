// Between the listener's files: a connection, and one request on it.
//
//     listen.c           opens the port, starts and stops libmicrohttpd, drains
//     listen_exchange.c  its callbacks: collects a request, has it run, sends the answer
//     listen_guard.c     the thread that ends who is too slow
//     listen_body.c      bodies that are made while they are sent
//
// libmicrohttpd calls on its own few threads, which never block: what may block runs on a thread of
// handlers.c while the connection is suspended. A suspended connection never ends by itself, so
// that an exchange lives until its task has resumed it.
#pragma once

#include "dispatcher/server_library.h"
#include "service_state_internal.h"

enum {
    LISTEN_HEADERS_MS = 10 * 1000,  // for a request line and its headers, TLS handshake included
    LISTEN_BODY_MS = 10 * 1000,     // for a body, and
    LISTEN_BODY_RATE = 64,          // as many bytes a millisecond more
    LISTEN_SEND_MS = 60 * 1000,     // for an answer, or a page of one
    LISTEN_IDLE_S = 10,             // without a byte in either direction
    LISTEN_MEMORY = 24 * 1024,      // of a connection, all of it resident: line and headers
    LISTEN_BODY_REFUSED = 25 << 20, // GitHub sends no larger ones
    LISTEN_BODY_SMALL = 64 * 1024,  // there is always room for as much of each body
    LISTEN_BODIES_MAX = 64 << 20,   // of all that is beyond it: strangers may send it, too
};
#define LISTEN_NEVER INT64_MAX

enum listen_phase { LISTEN_HEADERS, LISTEN_BODY, LISTEN_WORK, LISTEN_SEND };

struct connection {
    struct connection *previous, *next;
    struct listener *listener;
    int fd;
    enum listen_phase phase;
    int64_t deadline_ms; // mono
    bool cut;            // shut down by the guard
    bool old;            // of a daemon that is being replaced: ends with its answer
};

// A daemon has a descriptor of the port to itself: libmicrohttpd closes the one that it is given,
// also when it does not start.
struct serving {
    struct MHD_Daemon *daemon;
    int quiet_fd; // what it gave back when it was made to accept nobody any more; -1: it accepts
    bool empty;   // of a replaced one: without a connection when it was last looked at
};

struct listener {
    struct service *service;
    struct serving now;
    int fd;
    bool tls;
    char *certificate; // PEM, for libmicrohttpd
    struct secret *key;
    pthread_mutex_t lock;  // of all that follows
    struct serving old[8]; // replaced ones, with connections left
    size_t old_count;
    struct connection *connections;
    size_t connection_count, active;
    size_t large;        // bytes of bodies beyond LISTEN_BODY_SMALL
    size_t running;      // requests that handlers or the writer may touch
    bool closed;         // none is run any more
    struct cancel *stop; // of the guard
    pthread_t guard;
    bool guarded;
};

enum exchange_state { EXCHANGE_NEW, EXCHANGE_READING, EXCHANGE_WORKING, EXCHANGE_READY };

struct exchange {
    struct handler_task task; // first: a task is its exchange
    struct request request;
    struct response response;
    struct listener *listener;
    struct connection *connection;
    struct MHD_Connection *mhd;
    enum exchange_state state;
    const char *target; // as it came
    struct buf body;
    size_t body_max, body_large; // body_large: of listener.large
    bool active;
    bool headers_over; // there were more than are read
    bool deferred;     // of the listener's thread alone
    bool *handed;      // set while `later` runs: where request_defer notes that it was called
    struct error *(*later)(struct request *request, struct response *response);
    struct buf piece; // of response.pages: what is being sent
    size_t piece_sent;
    bool piece_last, piece_failed;
};

// --- listen.c ------------------------------------------------------------------------------------

/// A request, or a piece of an answer, is run from here to listen_leave, on whichever thread.
/// False: the service stops, and what would run it is no longer there.
bool listen_enter(struct listener *listener);
void listen_leave(struct listener *listener);
/// Ends a daemon whose connections do not matter any more.
void listen_end(struct serving *serving);

// --- listen_exchange.c ---------------------------------------------------------------------------

enum MHD_Result listen_handle(void *cls, struct MHD_Connection *mhd, const char *url,
    const char *method, const char *version, const char *upload, size_t *upload_size,
    void **context);
void *listen_uri(void *cls, const char *uri, struct MHD_Connection *mhd);
void listen_completed(
    void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code);
void listen_notify(void *cls, struct MHD_Connection *mhd, void **context,
    enum MHD_ConnectionNotificationCode code);

// --- listen_guard.c ------------------------------------------------------------------------------

NODISCARD struct error *listen_guard_start(struct listener *listener);
void listen_guard_stop(struct listener *listener);
/// `deadline_ms` after now, LISTEN_NEVER: none.
void listen_phase(struct connection *connection, enum listen_phase phase, int64_t within_ms);
/// Room for more bytes of a body; false: all bodies together are too large already.
bool listen_take_room(struct exchange *exchange, size_t more);
void listen_give_room_back(struct exchange *exchange);
/// Is its daemon being replaced?
bool listen_is_old(struct connection *connection);
/// A status line on a plain connection whose request is not complete; then it is cut.
void listen_cut(struct connection *connection, int status);

// --- listen_body.c -------------------------------------------------------------------------------

/// The body of an answer as libmicrohttpd takes it; owns what it needs of `exchange->response`.
struct MHD_Response *listen_body(struct exchange *exchange);

// --- stream.c ------------------------------------------------------------------------------------

// Who wants to see which events.
struct stream_opening {
    const char *deployment;
    int64_t after;
    const char *caller, *address; // whose limits they count for
};
/// The events of a deployment as a body that ends with it. NULL: too many streams, *why says whose.
struct MHD_Response *stream_body(struct service *service, struct MHD_Connection *mhd,
    const struct stream_opening *opening, const char **why);

// --- stream_text.c -------------------------------------------------------------------------------

/// Lines of one event: what is between line ends becomes a "data:" each; `id` 0: none.
void stream_put_event(struct buf *out, const char *event, int64_t id, struct str data);
/// The kind that the event's JSON names, in the arena; "note" for what is no word.
const char *stream_kind_of(const struct store_event *event, struct arena *arena);

// --- stream_holders.c: under the lock of stream.c ------------------------------------------------

struct stream_holders;
struct stream_holder;
struct stream_holders *stream_holders_new(void);
void stream_holders_free(struct stream_holders *holders);
/// One more for `name`; NULL: it has `max` already.
struct stream_holder *stream_holders_take(
    struct stream_holders *holders, const char *name, size_t max);
void stream_holders_give(struct stream_holders *holders, struct stream_holder *holder);
/// Of a text, for tables.
uint64_t stream_hash(const char *text);
