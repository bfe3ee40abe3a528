// The script transport: what it accepts, what it records, and that it refuses what differs. A
// refusal fails the running test, so each one is provoked in a child process whose exit status is
// looked at.
#include "script_transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct script_step meta = {
    .method = HTTP_GET,
    .url = "https://api.github.com/meta",
    .headers = (const char *const[]){"Authorization: Bearer *", "!Cookie", NULL},
    .reply_headers = (const char *const[]){"ETag: \"1\"", NULL},
    .reply = "{}",
    .takes_ms = 250,
    .no_body = true,
};

static void
a_request_gets_its_reply(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(fake, &meta, 1);
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&fake->platform, NULL, &client));
    struct secret *token CLEANUP(secret_freep) = secret_new(STR("canary-token"));
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add_secret(&headers, "Authorization", "Bearer ", token);
    struct http_request request = {.url = meta.url, .headers = &headers};
    struct http_response response CLEANUP(http_response_done) = {0};
    assert_null(http_send(client, &request, &response));
    assert_int_equal(response.status, 200);
    assert_string_equal(http_headers_get(&response.headers, "etag"), "\"1\"");
    assert_string_equal(buf_cstr(&response.body), "{}");
    assert_int_equal(response.elapsed_ms, 250);
    assert_int_equal(response.received_wall_ms, FAKE_WALL_START + 250);
    assert_int_equal(script_transport_request_count(script), 1);
    const struct script_request *sent = script_transport_request(script, 0);
    assert_string_equal(sent->url, meta.url);
    assert_true(sent->headers.list[0].sensitive);
    assert_int_equal(sent->sent_mono_ms, FAKE_MONO_START);
    script_transport_finish(script);
}

static struct error *
send_one(struct fake_platform *fake, const struct http_request *request)
{
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    struct http_response response CLEANUP(http_response_done) = {0};
    assert_null(http_client_new(&fake->platform, NULL, &client));
    return http_send(client, request, &response);
}

static void
failures_say_whether_the_request_left(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = "http://localhost/a", .failure = "connection refused"},
        {.url = "http://localhost/a", .failure = "connection reset", .request_left = true},
        {.url = "http://localhost/a", .takes_ms = 5000},
    };
    static const char *const texts[] = {
        "GET http://localhost/a: connection refused",
        "GET http://localhost/a: connection reset",
        "GET http://localhost/a: timed out",
    };
    static const char *const codes[] = {"connect", "reset", "timeout"};
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(fake, steps, ARRAY_LENGTH(steps));
    struct http_request request = {
        .url = "http://localhost/a", .deadline_ms = FAKE_MONO_START + 1000};
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        struct error *err CLEANUP(error_freep) = send_one(fake, &request);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
        assert_string_equal(error_message(err), texts[i]);
        assert_string_equal(error_remote_of(err)->code, codes[i]);
        assert_int_equal(error_remote_of(err)->request_left, i > 0);
    }
    assert_int_equal(fake->mono_ms, FAKE_MONO_START + 1000);
    script_transport_finish(script);
}

static void
a_group_may_come_in_any_order(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url_pattern = "http://localhost/blobs/*1", .any_order = true, .times = 2},
        {.url_pattern = "http://localhost/blobs/*2", .any_order = true},
        {.method = HTTP_PUT, .url = "http://localhost/end", .body = "a\0b", .body_len = 3},
    };
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(fake, steps, ARRAY_LENGTH(steps));
    static const char *const order[] = {
        "http://localhost/blobs/1", "http://localhost/blobs/2", "http://localhost/blobs/11"};
    for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
        assert_null(send_one(fake, &(struct http_request){.url = order[i]}));
    }
    assert_null(send_one(
        fake, &(struct http_request){
                  .method = HTTP_PUT, .url = "http://localhost/end", .body = {"a\0b", 3}}));
    script_transport_finish(script);
    assert_int_equal(script_transport_request_count(script), 4);
}

// Runs `test` as a cmocka program of its own in a child; true when it failed.
static bool
fails(void (*test)(void **state))
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test)};
        if (freopen("/dev/null", "w", stderr) == NULL ||
            freopen("/dev/null", "w", stdout) == NULL) {
            _exit(0);
        }
        _exit(cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static void
play(const struct script_step *steps, size_t count, const struct http_request *request)
{
    struct fake_platform *fake = fake_platform_new(NULL);
    struct script_transport *script = script_transport_new(fake, steps, count);
    if (request != NULL) {
        assert_null(send_one(fake, request));
    }
    script_transport_finish(script);
    script_transport_free(script);
    fake_platform_free(fake);
}

#define STEP(...) (&(const struct script_step){__VA_ARGS__})
#define REQUEST(...) (&(const struct http_request){__VA_ARGS__})

static void
plays_the_same(void **state)
{
    (void)state;
    play(STEP(.url = "http://localhost/a"), 1, REQUEST(.url = "http://localhost/a"));
}

static void
plays_another_url(void **state)
{
    (void)state;
    play(STEP(.url = "http://localhost/a"), 1, REQUEST(.url = "http://localhost/b"));
}

static void
plays_another_method(void **state)
{
    (void)state;
    play(STEP(.url = "http://localhost/a"), 1,
        REQUEST(.url = "http://localhost/a", .method = HTTP_POST));
}

static void
plays_another_body(void **state)
{
    (void)state;
    play(STEP(.url = "http://localhost/a", .body = "x"), 1,
        REQUEST(.url = "http://localhost/a", .body = STR("y")));
}

static void
plays_without_a_header(void **state)
{
    (void)state;
    play(&meta, 1, REQUEST(.url = "https://api.github.com/meta"));
}

static void
plays_a_forbidden_header(void **state)
{
    (void)state;
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add(&headers, "cookie", "a=b");
    play(STEP(.url = "http://localhost/a", .headers = (const char *const[]){"!Cookie", NULL}), 1,
        REQUEST(.url = "http://localhost/a", .headers = &headers));
}

static void
plays_once_where_it_must_not(void **state)
{
    (void)state;
    play(STEP(.url = "http://localhost/a"), 1, REQUEST(.url = "http://localhost/a", .once = true));
}

static void
plays_too_little(void **state)
{
    (void)state;
    play(STEP(.url = "http://localhost/a"), 1, NULL);
}

static void
plays_too_much(void **state)
{
    (void)state;
    play(NULL, 0, REQUEST(.url = "http://localhost/a"));
}

static void
what_differs_fails_the_test(void **state)
{
    (void)state;
    assert_false(fails(plays_the_same));
    assert_true(fails(plays_another_url));
    assert_true(fails(plays_another_method));
    assert_true(fails(plays_another_body));
    assert_true(fails(plays_without_a_header));
    assert_true(fails(plays_a_forbidden_header));
    assert_true(fails(plays_once_where_it_must_not));
    assert_true(fails(plays_too_little));
    assert_true(fails(plays_too_much));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_gets_its_reply),
        cmocka_unit_test(failures_say_whether_the_request_left),
        cmocka_unit_test(a_group_may_come_in_any_order),
        cmocka_unit_test(what_differs_fails_the_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
