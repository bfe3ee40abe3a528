// Exchanges supplied while others are on the wire, with the real transport: bodies that rest until
// another thread wakes them, exchanges that come later or at a time, and what ends a flow.
#include "dispatcher/http.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "http_lab.h"

enum { EXCHANGES_MAX = 8, RESTS = 25, STEP = 4000, BODY = 300 * 1000 };

// "/hang" is never answered, "/large" gets BODY bytes, the rest what the lab says.
static void
serve(struct loopback_connection *connection, void *ctx)
{
    struct http_lab *lab = ctx;
    struct buf request CLEANUP(buf_done) = BUF_INIT(HTTP_LAB_REQUEST_MAX);
    while (loopback_receive(connection, &request)) {
        (void)pthread_mutex_lock(&lab->lock);
        buf_reset(&lab->last);
        buf_add(&lab->last, buf_str(&request));
        (void)pthread_mutex_unlock(&lab->lock);
        if (str_contains(buf_str(&request), STR(" /hang "))) {
            loopback_wait_closed(connection);
            return;
        }
        if (str_contains(buf_str(&request), STR(" /large "))) {
            char *body CLEANUP(xfreep) = xmalloc(BODY);
            memset(body, 'x', BODY);
            (void)loopback_send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
            (void)loopback_send_bytes(connection, body, BODY);
            continue;
        }
        (void)loopback_send(connection, http_lab_ok);
    }
}

// A flow of prepared exchanges: each is supplied when `released` allows it.
struct story {
    struct http_lab *lab;
    struct http_exchange exchanges[EXCHANGES_MAX];
    struct http_request requests[EXCHANGES_MAX];
    size_t count, begun, ended, released;
    char order[EXCHANGES_MAX + 1]; // of the ends, as digits
    int64_t again_ms;              // asked for when there is nothing to supply; 0: no time
    size_t asked;                  // calls of next
    bool stops;                    // after the first end
    bool nests;                    // sends another request at each end
    int64_t nested;
};

static struct http_exchange *
story_next(void *ctx, int64_t *again_ms)
{
    struct story *story = ctx;
    story->asked++;
    if (story->begun < story->released) {
        return &story->exchanges[story->begun++];
    }
    if (story->again_ms > clock_mono(story->lab->platform.clock)) {
        *again_ms = story->again_ms;
    } else if (story->again_ms > 0) {
        story->again_ms = 0;
        story->released++;
        return &story->exchanges[story->begun++];
    }
    return NULL;
}

static void
story_ended(void *ctx, struct http_exchange *exchange)
{
    struct story *story = ctx;
    size_t index = (size_t)(exchange - story->exchanges);
    assert_in_range(index, 0, EXCHANGES_MAX - 1);
    story->order[story->ended++] = (char)('0' + index);
    if (story->nests) {
        struct http_request request = {
            .method = HTTP_GET, .url = http_lab_url(story->lab, "/nested")};
        struct http_response response CLEANUP(http_response_done) = {0};
        assert_null(http_send(story->lab->client, &request, &response));
        assert_int_equal(response.status, 200);
        story->nested++;
    }
}

static bool
story_stopped(void *ctx)
{
    const struct story *story = ctx;
    return story->stops && story->ended > 0;
}

static void
story_add(struct story *story, enum http_method method, const char *path)
{
    size_t index = story->count++;
    story->requests[index] = (struct http_request){.method = method,
        .url = http_lab_url(story->lab, path),
        .deadline_ms = http_lab_in_ms(story->lab, HTTP_LAB_LONG_MS)};
    story->exchanges[index] = (struct http_exchange){.request = &story->requests[index]};
}

static struct error *
story_run(struct story *story)
{
    const struct http_flow flow = {story_next, story_ended, story_stopped, story};
    return http_run(story->lab->client, &flow);
}

static void
story_done(struct story *story)
{
    for (size_t i = 0; i < story->count; i++) {
        http_response_done(&story->exchanges[i].response);
        error_free(story->exchanges[i].error);
    }
}

#define STORY(lab, story)                                                                          \
    struct http_lab lab CLEANUP(http_lab_done);                                                    \
    http_lab_init_with(&lab, serve);                                                               \
    struct story story CLEANUP(story_done) = {.lab = &lab}

static void
assert_ok(const struct http_exchange *exchange)
{
    assert_null(exchange->error);
    assert_int_equal(exchange->response.status, 200);
}

// A side that works in a thread of its own: makes `ready` true and wakes the client, again and
// again.
struct partner {
    struct http_client *client;
    atomic_bool ready, stop;
    atomic_size_t turns;
    pthread_t thread;
    struct buf *got;
    size_t largest;
};

static void *
partner_work(void *ctx)
{
    struct partner *partner = ctx;
    while (!atomic_load(&partner->stop)) {
        error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 1, NULL));
        if (!atomic_load(&partner->ready)) {
            atomic_store(&partner->ready, true);
            http_wake(partner->client);
        }
    }
    return NULL;
}

static void
partner_start(struct partner *partner, struct http_client *client)
{
    partner->client = client;
    assert_int_equal(pthread_create(&partner->thread, NULL, partner_work, partner), 0);
}

static void
partner_end(struct partner *partner)
{
    atomic_store(&partner->stop, true);
    assert_int_equal(pthread_join(partner->thread, NULL), 0);
}

static bool
partner_ready(void *ctx)
{
    struct partner *partner = ctx;
    return atomic_load(&partner->ready);
}

static int64_t
partner_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct partner *partner = ctx;
    (void)err;
    assert_true(atomic_load(&partner->ready)); // never asked while it rests
    if (atomic_load(&partner->turns) == RESTS) {
        return 0;
    }
    size_t turn = atomic_fetch_add(&partner->turns, 1);
    size_t len = size < STEP ? size : STEP;
    memset(out, 'a' + (int)turn, len);
    atomic_store(&partner->ready, false);
    return (int64_t)len;
}

// Without the wake each rest would last until the transport looks by itself, which is a second.
static void
a_body_rests_until_it_is_woken(void **state)
{
    (void)state;
    STORY(lab, story);
    struct partner partner = {0};
    struct http_reader reader = {
        .read = partner_read, .ready = partner_ready, .ctx = &partner, .length = RESTS * STEP};
    story_add(&story, HTTP_PUT, "/");
    story.requests[0].reader = &reader;
    story.released = 1;
    partner_start(&partner, lab.client);
    int64_t start = clock_mono(lab.platform.clock);
    assert_null(story_run(&story));
    partner_end(&partner);
    assert_ok(&story.exchanges[0]);
    assert_int_equal(atomic_load(&partner.turns), RESTS);
    assert_in_range(clock_mono(lab.platform.clock) - start, 0, RESTS * 1000 / 2);
    struct str last = http_lab_last(&lab);
    for (size_t i = 0; i < RESTS; i++) {
        assert_int_equal(last.ptr[last.len - (RESTS - i) * STEP], 'a' + (int)i);
        assert_int_equal(last.ptr[last.len - (RESTS - i) * STEP + STEP - 1], 'a' + (int)i);
    }
}

static void
a_body_of_unknown_length_rests_too(void **state)
{
    (void)state;
    STORY(lab, story);
    struct partner partner = {0};
    struct http_reader reader = {
        .read = partner_read, .ready = partner_ready, .ctx = &partner, .length = -1};
    story_add(&story, HTTP_PATCH, "/");
    story.requests[0].reader = &reader;
    story.released = 1;
    partner_start(&partner, lab.client);
    assert_null(story_run(&story));
    partner_end(&partner);
    assert_ok(&story.exchanges[0]);
    assert_true(str_contains(http_lab_last(&lab), STR("\r\nTransfer-Encoding: chunked\r\n")));
    assert_true(str_ends(http_lab_last(&lab), STR("\r\n0\r\n\r\n")));
    size_t bytes = 0;
    struct str last = http_lab_last(&lab);
    for (size_t i = 0; i < last.len; i++) {
        bytes += last.ptr[i] == 'a'; // the first piece, and letters of the head
    }
    assert_in_range(bytes, STEP, STEP + 50);
}

static struct error *
partner_write(void *ctx, const char *bytes, size_t len)
{
    struct partner *partner = ctx;
    assert_true(atomic_load(&partner->ready));
    partner->largest = len > partner->largest ? len : partner->largest;
    buf_append(partner->got, bytes, len);
    (void)atomic_fetch_add(&partner->turns, 1);
    atomic_store(&partner->ready, false);
    return NULL;
}

static void
an_answer_rests_until_there_is_room(void **state)
{
    (void)state;
    STORY(lab, story);
    struct buf got CLEANUP(buf_done) = BUF_INIT(BODY);
    struct partner partner = {.got = &got};
    struct http_writer writer = {.write = partner_write, .ready = partner_ready, .ctx = &partner};
    story_add(&story, HTTP_GET, "/large");
    story.requests[0].writer = &writer;
    story.released = 1;
    partner_start(&partner, lab.client);
    assert_null(story_run(&story));
    partner_end(&partner);
    assert_ok(&story.exchanges[0]);
    assert_int_equal(got.len, BODY);
    assert_int_equal(strspn(buf_cstr(&got), "x"), BODY);
    assert_in_range(partner.largest, 1, 16 * 1024);
    assert_true(atomic_load(&partner.turns) >= BODY / (16 * 1024));
}

// One that rests does not hold up the others, and wakes of nobody do no harm.
static void
the_others_go_on_while_one_rests(void **state)
{
    (void)state;
    STORY(lab, story);
    struct partner partner = {0};
    struct http_reader reader = {
        .read = partner_read, .ready = partner_ready, .ctx = &partner, .length = RESTS * STEP};
    story_add(&story, HTTP_PUT, "/");
    story.requests[0].reader = &reader;
    for (size_t i = 1; i < 5; i++) {
        story_add(&story, HTTP_GET, "/");
    }
    story.released = 5;
    http_wake(lab.client);
    partner_start(&partner, lab.client);
    assert_null(story_run(&story));
    partner_end(&partner);
    assert_int_equal(story.ended, 5);
    assert_int_equal(story.order[4], '0');
    for (size_t i = 0; i < 5; i++) {
        assert_ok(&story.exchanges[i]);
    }
}

// The rest of the flow is released by the first answer.
static void
release_all(struct story *story)
{
    story->released = story->count;
}

static void
releasing_ended(void *ctx, struct http_exchange *exchange)
{
    story_ended(ctx, exchange);
    release_all(ctx);
}

static void
what_comes_next_may_depend_on_what_was_answered(void **state)
{
    (void)state;
    STORY(lab, story);
    for (size_t i = 0; i < 4; i++) {
        story_add(&story, HTTP_GET, "/");
    }
    story.released = 1;
    const struct http_flow flow = {story_next, releasing_ended, story_stopped, &story};
    assert_null(http_run(lab.client, &flow));
    assert_int_equal(story.ended, 4);
    assert_int_equal(story.order[0], '0');
    assert_int_equal(loopback_server_requests(lab.server), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_ok(&story.exchanges[i]);
    }
}

static void
a_flow_waits_for_the_time_that_is_asked_for(void **state)
{
    (void)state;
    for (size_t on_the_wire = 0; on_the_wire <= 1; on_the_wire++) {
        STORY(lab, story);
        struct partner partner = {0};
        struct http_reader reader = {
            .read = partner_read, .ready = partner_ready, .ctx = &partner, .length = RESTS * STEP};
        story_add(&story, on_the_wire == 1 ? HTTP_PUT : HTTP_GET, "/");
        story_add(&story, HTTP_GET, "/");
        if (on_the_wire == 1) {
            story.requests[0].reader = &reader;
        }
        story.released = on_the_wire;
        story.again_ms = http_lab_in_ms(&lab, 150);
        int64_t due = story.again_ms;
        partner_start(&partner, lab.client);
        assert_null(story_run(&story));
        partner_end(&partner);
        assert_true(clock_mono(lab.platform.clock) >= due);
        assert_int_equal(story.ended, 1 + on_the_wire);
        assert_ok(&story.exchanges[0]);
        if (on_the_wire == 0) {
            assert_in_range(story.asked, 3, 10); // it slept and did not spin
        }
    }
}

static void
a_flow_that_is_stopped_gives_up_what_is_on_the_wire(void **state)
{
    (void)state;
    STORY(lab, story);
    story_add(&story, HTTP_PUT, "/hang");
    story.requests[0].body = STR("body");
    story_add(&story, HTTP_GET, "/");
    story_add(&story, HTTP_GET, "/hang");
    story.released = 3;
    story.stops = true;
    assert_null(story_run(&story));
    assert_int_equal(story.ended, 3);
    assert_int_equal(story.order[0], '1');
    assert_ok(&story.exchanges[1]);
    const struct error *err = story.exchanges[0].error;
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_string_equal(error_remote_of(err)->code, "cancelled");
    assert_int_equal(error_kind(story.exchanges[2].error), ERROR_CANCELLED);
    // The client is as good as new.
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 200, "ok");
}

static void
a_stopped_flow_begins_nothing(void **state)
{
    (void)state;
    STORY(lab, story);
    story_add(&story, HTTP_GET, "/");
    story.released = 1;
    story.stops = true;
    story.ended = 1; // as if one had
    assert_null(story_run(&story));
    assert_int_equal(story.asked, 0);
    assert_int_equal(loopback_server_requests(lab.server), 0);
}

static void
an_end_may_send_other_requests(void **state)
{
    (void)state;
    STORY(lab, story);
    struct partner partner = {0};
    struct http_reader reader = {
        .read = partner_read, .ready = partner_ready, .ctx = &partner, .length = RESTS * STEP};
    story_add(&story, HTTP_PUT, "/");
    story.requests[0].reader = &reader;
    story_add(&story, HTTP_GET, "/large");
    for (size_t i = 2; i < 6; i++) {
        story_add(&story, HTTP_GET, "/");
    }
    story.released = 6;
    story.nests = true;
    partner_start(&partner, lab.client);
    assert_null(story_run(&story));
    partner_end(&partner);
    assert_int_equal(story.ended, 6);
    assert_int_equal(story.nested, 6);
    assert_int_equal(loopback_server_requests(lab.server), 12);
    for (size_t i = 0; i < 6; i++) {
        assert_ok(&story.exchanges[i]);
    }
    assert_int_equal(story.exchanges[1].response.body.len, BODY);
}

static struct http_exchange *
asking_next(void *ctx, int64_t *again_ms)
{
    struct story *story = ctx;
    if (story->begun < story->released) { // as a token is got before the request that needs it
        struct http_request request = {
            .method = HTTP_GET, .url = http_lab_url(story->lab, "/token")};
        struct http_response response CLEANUP(http_response_done) = {0};
        assert_null(http_send(story->lab->client, &request, &response));
        story->nested++;
    }
    return story_next(ctx, again_ms);
}

static void
a_supplier_may_send_other_requests(void **state)
{
    (void)state;
    STORY(lab, story);
    for (size_t i = 0; i < 5; i++) {
        story_add(&story, HTTP_GET, "/large");
    }
    story.released = 5;
    const struct http_flow flow = {asking_next, story_ended, story_stopped, &story};
    assert_null(http_run(lab.client, &flow));
    assert_int_equal(story.ended, 5);
    assert_int_equal(story.nested, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_ok(&story.exchanges[i]);
        assert_int_equal(story.exchanges[i].response.body.len, BODY);
    }
}

static void
interrupting_ended(void *ctx, struct http_exchange *exchange)
{
    struct story *story = ctx;
    story_ended(ctx, exchange);
    cancel_raise(story->lab->platform.cancel, SIGTERM);
}

static void
an_interrupted_flow_ends_each_exchange_once(void **state)
{
    (void)state;
    STORY(lab, story);
    story_add(&story, HTTP_GET, "/hang");
    story_add(&story, HTTP_GET, "/");
    story_add(&story, HTTP_GET, "/hang");
    story_add(&story, HTTP_GET, "/"); // not supplied: the flow has ended before
    story.released = 3;
    const struct http_flow flow = {story_next, interrupting_ended, NULL, &story};
    struct error *err CLEANUP(error_freep) = http_run(lab.client, &flow);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_int_equal(story.ended, 3);
    assert_int_equal(story.begun, 3);
    assert_ok(&story.exchanges[1]);
    assert_int_equal(error_kind(story.exchanges[0].error), ERROR_CANCELLED);
    assert_int_equal(error_kind(story.exchanges[2].error), ERROR_CANCELLED);
    struct error *again CLEANUP(error_freep) = story_run(&story);
    assert_non_null(again);
    assert_int_equal(error_kind(again), ERROR_CANCELLED);
}

// What may not be sent ends at once, in the middle of the others.
static void
a_request_that_is_wrong_ends_without_being_sent(void **state)
{
    (void)state;
    STORY(lab, story);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add(&headers, "X-Evil", "a\r\nb");
    story_add(&story, HTTP_GET, "/");
    story_add(&story, HTTP_GET, "/");
    story_add(&story, HTTP_GET, "/");
    story_add(&story, HTTP_GET, "/");
    story.requests[1].headers = &headers;
    story.requests[2].url = "http://192.0.2.1/";
    story.released = 4;
    assert_null(story_run(&story));
    assert_int_equal(story.ended, 4);
    assert_ok(&story.exchanges[0]);
    assert_int_equal(error_kind(story.exchanges[1].error), ERROR_INPUT);
    assert_int_equal(error_kind(story.exchanges[2].error), ERROR_INPUT);
    assert_ok(&story.exchanges[3]);
    assert_int_equal(loopback_server_requests(lab.server), 2);
}

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_rests_until_it_is_woken),
        cmocka_unit_test(a_body_of_unknown_length_rests_too),
        cmocka_unit_test(an_answer_rests_until_there_is_room),
        cmocka_unit_test(the_others_go_on_while_one_rests),
        cmocka_unit_test(what_comes_next_may_depend_on_what_was_answered),
        cmocka_unit_test(a_flow_waits_for_the_time_that_is_asked_for),
        cmocka_unit_test(a_flow_that_is_stopped_gives_up_what_is_on_the_wire),
        cmocka_unit_test(a_stopped_flow_begins_nothing),
        cmocka_unit_test(an_end_may_send_other_requests),
        cmocka_unit_test(a_supplier_may_send_other_requests),
        cmocka_unit_test(an_interrupted_flow_ends_each_exchange_once),
        cmocka_unit_test(a_request_that_is_wrong_ends_without_being_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
