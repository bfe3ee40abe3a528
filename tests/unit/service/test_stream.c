// Event streams without a listener: libmicrohttpd, the store and the views are the test's own, so
// that a client can come at the very moment at which events are read for another one.
// wraps: service_store_open store_is_shared store_close queue_get store_events view_read view_json
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "listen_internal.h"
#include "view_internal.h"

enum { EVENTS = 12, PATIENCE_MS = 30 * 1000 };

// --- libmicrohttpd -------------------------------------------------------------------------------

struct client {
    struct MHD_Response *body;
    atomic_int resumed;
    struct buf got;
    bool over;
};

// A response is its reader; a connection is its client.
struct MHD_Response {
    MHD_ContentReaderCallback read;
    MHD_ContentReaderFreeCallback done;
    void *ctx;
};

static struct MHD_Response *
fake_response(uint64_t size, size_t block, MHD_ContentReaderCallback read, void *ctx,
    MHD_ContentReaderFreeCallback done)
{
    (void)size, (void)block;
    struct MHD_Response *response = xcalloc(1, sizeof(*response));
    *response = (struct MHD_Response){read, done, ctx};
    return response;
}

static void
fake_suspend(struct MHD_Connection *connection)
{
    (void)connection;
}

static void
fake_resume(struct MHD_Connection *connection)
{
    (void)atomic_fetch_add(&((struct client *)(void *)connection)->resumed, 1);
}

// Takes what there is, until it has to rest or the stream ends.
static void
take(struct client *client)
{
    char bytes[4096];
    for (;;) {
        ssize_t count = client->body->read(client->body->ctx, 0, bytes, sizeof(bytes));
        if (count <= 0) {
            client->over = count < 0;
            return;
        }
        buf_append(&client->got, bytes, (size_t)count);
    }
}

static void
come(struct service *service, struct client *client, int64_t after)
{
    const char *why = NULL;
    const struct stream_opening opening = {
        .deployment = "d-1", .after = after, .caller = "acme/payments", .address = "127.0.0.1"};
    buf_init(&client->got, 1024 * 1024);
    client->body = stream_body(service, (struct MHD_Connection *)(void *)client, &opening, &why);
    assert_null(why);
    assert_non_null(client->body);
    take(client);
}

static void
leave(struct client *client)
{
    client->body->done(client->body->ctx);
    free(client->body);
    buf_done(&client->got);
}

// --- the store -----------------------------------------------------------------------------------

static struct service *service_now;
static struct client first, late;
static atomic_bool late_comes;

struct error *__wrap_service_store_open(struct service *service, struct store **out);
bool __wrap_store_is_shared(const struct store *store);
void __wrap_store_close(struct store *store);
struct error *__wrap_queue_get(
    struct store *store, const char *id, struct arena *arena, struct queue_job **out);
struct error *__wrap_store_events(struct store *store, const char *id, int64_t after,
    struct arena *arena, struct store_event **events, size_t *count);
struct error *__wrap_view_read(struct service *service, struct store *store,
    const struct queue_job *job, struct arena *arena, struct view *out);
struct json *__wrap_view_json(const struct service *service, const struct view *view);

struct error *
__wrap_service_store_open(struct service *service, struct store **out)
{
    *out = (struct store *)(void *)service; // never looked into
    return NULL;
}

bool
__wrap_store_is_shared(const struct store *store)
{
    (void)store;
    return false;
}

void
__wrap_store_close(struct store *store)
{
    (void)store;
}

struct error *
__wrap_queue_get(struct store *store, const char *id, struct arena *arena, struct queue_job **out)
{
    static struct queue_job job = {.id = "d-1", .state = "running", .started_ms = 1};
    (void)store, (void)id, (void)arena;
    *out = &job;
    return NULL;
}

struct error *
__wrap_view_read(struct service *service, struct store *store, const struct queue_job *job,
    struct arena *arena, struct view *out)
{
    (void)service, (void)store, (void)arena;
    *out = (struct view){.job = job};
    return NULL;
}

struct json *
__wrap_view_json(const struct service *service, const struct view *view)
{
    (void)service, (void)view;
    return json_make_object();
}

struct error *
__wrap_store_events(struct store *store, const char *id, int64_t after, struct arena *arena,
    struct store_event **events, size_t *count)
{
    (void)store, (void)id;
    if (atomic_exchange(&late_comes, false)) {
        come(service_now, &late, 0);
    }
    *events = arena_array(arena, EVENTS, sizeof(**events));
    for (int64_t sequence = after + 1; sequence <= EVENTS; sequence++) {
        (*events)[(*count)++] =
            (struct store_event){.sequence = sequence, .json = "{\"event\":\"note\"}"};
    }
    return NULL;
}

// --- tests ---------------------------------------------------------------------------------------

static int
start(void **state)
{
    static struct setting_server settings = {.connections = 100, .streams = 10};
    static struct service service;
    (void)state;
    memset(&service, 0, sizeof(service));
    service.platform.clock = &clock_system;
    atomic_store(&service.settings, &settings);
    server_library.MHD_create_response_from_callback = fake_response;
    server_library.MHD_suspend_connection = fake_suspend;
    server_library.MHD_resume_connection = fake_resume;
    service_now = &service;
    first = late = (struct client){.body = NULL};
    return streams_start(&service) == NULL ? 0 : -1;
}

static int
stop(void **state)
{
    (void)state;
    streams_stop(service_now);
    leave(&first);
    leave(&late);
    streams_free(service_now);
    return 0;
}

// Waits until the client is given something, and takes it.
static void
hear(struct client *client)
{
    int64_t until = clock_mono(&clock_system) + PATIENCE_MS;
    while (atomic_load(&client->resumed) == 0) {
        assert_true(clock_mono(&clock_system) < until);
        assert_null(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 5, NULL));
    }
    atomic_store(&client->resumed, 0);
    take(client);
}

static size_t
ids_of(const struct client *client, int64_t ids[EVENTS + 1])
{
    struct str line = {0}, rest = buf_str(&client->got);
    size_t count = 0;
    while (str_cut(rest, '\n', &line, &rest)) {
        if (str_starts(line, STR("id: ")) && count <= EVENTS) {
            assert_true(str_to_int64(str_skip(line, 4), &ids[count++]));
        }
    }
    return count;
}

static void
assert_hears(struct client *client, int64_t from)
{
    int64_t ids[EVENTS + 1];
    while (ids_of(client, ids) == 0) {
        hear(client);
    }
    size_t count = ids_of(client, ids);
    assert_int_equal(count, EVENTS - from + 1);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ids[i], from + (int64_t)i);
    }
}

static void
who_comes_while_events_are_read_misses_none(void **state)
{
    (void)state;
    atomic_store(&late_comes, true); // while those after the 10th are read for the first
    come(service_now, &first, 10);
    assert_string_equal(buf_cstr(&first.got), "retry: 2000\n\n");
    assert_hears(&first, 11);
    assert_hears(&late, 1);
}

static void
who_has_heard_more_than_there_is_is_still_served(void **state)
{
    (void)state;
    come(service_now, &first, INT64_MAX);
    hear(&first);
    assert_non_null(strstr(buf_cstr(&first.got), "event: state\n"));
    come(service_now, &late, EVENTS - 1);
    assert_hears(&late, EVENTS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_comes_while_events_are_read_misses_none, start, stop),
        cmocka_unit_test_setup_teardown(
            who_has_heard_more_than_there_is_is_still_served, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
