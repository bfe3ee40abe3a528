// Calls to the service: what is sent, what a refusal means, and a service that goes away.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/client.h"
#include "dispatcher/memory.h"
#include "fake_platform.h"
#include "script_transport.h"

#define URL "https://dispatcher.example.org"

struct lab {
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct client *client;
    unsigned asked;
};

static struct error *
give_token(void *ctx, struct secret **out)
{
    struct lab *lab = ctx;
    char *text CLEANUP(xfreep) = xasprintf("header.token%u.signature", ++lab->asked);
    *out = secret_new(str_of(text));
    return NULL;
}

static void
lab_open(struct lab *lab, const struct script_step *steps, size_t count)
{
    *lab = (struct lab){.fake = fake_platform_new(NULL)};
    fake_platform_fix_random(lab->fake, 0);
    lab->script = script_transport_new(lab->fake, steps, count);
    assert_success(http_client_new(&lab->fake->platform, NULL, &lab->http));
    const struct client_options options = {.url = URL "/", .token = give_token, .ctx = lab};
    assert_success(client_new(&lab->fake->platform, lab->http, &options, &lab->client));
}

static void
lab_close(struct lab *lab)
{
    script_transport_finish(lab->script);
    client_free(lab->client);
    http_client_free(lab->http);
    script_transport_free(lab->script);
    fake_platform_free(lab->fake);
}

static void
addresses(void **state)
{
    (void)state;
    static const struct {
        const char *url, *text;
    } bad[] = {
        {"http://dispatcher.example.org",
            "the service's address 'http://dispatcher.example.org' is not https"},
        {"https://user:canary@example.org",
            "the service's address holds a user, a query or a fragment"},
        {"https://example.org/?a=b", "the service's address holds a user, a query or a fragment"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct client *client = NULL;
        const struct client_options options = {.url = bad[i].url, .token = give_token};
        struct error *err CLEANUP(error_freep) = client_new(NULL, NULL, &options, &client);
        assert_int_equal(error_kind(err), ERROR_USAGE);
        assert_string_equal(error_message(err), bad[i].text);
    }
}

static const char *const first_try[] = {"Authorization: Bearer header.token1.signature",
    "Idempotency-Key: k1", "Content-Type: application/json", "Accept: application/json", NULL};
static const char *const second_try[] = {
    "Authorization: Bearer header.token2.signature", "Idempotency-Key: k1", NULL};

// The key makes it one request, however often it is sent; a job's token is good for one.
static void
a_restart_is_not_seen(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL "/api/v1/x",
            .headers = first_try,
            .body = "{\"a\":1}",
            .failure = "connection reset",
            .request_left = true},
        {.method = HTTP_POST,
            .url = URL "/api/v1/x",
            .headers = second_try,
            .failure = "connection refused"},
        {.method = HTTP_POST,
            .url = URL "/api/v1/x",
            .status = 503,
            .reply = "{\"code\":\"shutting-down\",\"title\":\"it stops\",\"exit_code\":12}"},
        {.method = HTTP_POST, .url = URL "/api/v1/x", .status = 202, .reply = "{\"id\":\"d-1\"}"},
    };
    struct lab lab;
    struct json *body CLEANUP(json_freep) = json_make_object(), *answer CLEANUP(json_freep) = NULL;
    json_set_int(body, "a", 1);
    lab_open(&lab, steps, ARRAY_LENGTH(steps));
    const struct client_call call = {
        .method = HTTP_POST, .path = "/api/v1/x", .body = body, .key = "k1"};
    assert_success(client_send(lab.client, &call, &answer));
    assert_string_equal(json_str(json_get(answer, "id")), "d-1");
    assert_int_equal(lab.fake->sleep_count, 3);
    assert_int_equal(lab.fake->sleeps[0], 250);
    assert_int_equal(lab.fake->sleeps[1], 500);
    assert_int_equal(lab.fake->sleeps[2], 1000);
    lab_close(&lab);
}

// Without a key what may have arrived is not sent again.
static void
never_twice_without_a_key(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL "/api/v1/x",
            .must_be_once = true,
            .failure = "connection refused"},
        {.method = HTTP_POST,
            .url = URL "/api/v1/x",
            .must_be_once = true,
            .failure = "connection reset",
            .request_left = true},
    };
    struct lab lab;
    struct json *answer CLEANUP(json_freep) = NULL;
    lab_open(&lab, steps, ARRAY_LENGTH(steps));
    const struct client_call call = {.method = HTTP_POST, .path = "/api/v1/x"};
    struct error *err CLEANUP(error_freep) = client_send(lab.client, &call, &answer);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    lab_close(&lab);
}

static void
patience_ends(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_GET,
        .url = URL "/api/v1/x",
        .failure = "connection refused",
        .times = 100}};
    struct lab lab;
    struct json *answer CLEANUP(json_freep) = NULL;
    lab_open(&lab, steps, ARRAY_LENGTH(steps));
    const struct client_call call = {.method = HTTP_GET, .path = "/api/v1/x"};
    int64_t start = lab.fake->mono_ms;
    struct error *err CLEANUP(error_freep) = client_send(lab.client, &call, &answer);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    assert_in_range(lab.fake->mono_ms - start, 150 * 1000, 5 * 60 * 1000);
    script_transport_free(lab.script); // not all steps are used: how many is the pauses' business
    client_free(lab.client);
    http_client_free(lab.http);
    fake_platform_free(lab.fake);
}

static void
refusals(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply;
        enum error_kind kind;
        const char *text, *hint, *code;
    } cases[] = {
        {403,
            "{\"code\":\"ref-not-allowed\",\"title\":\"no rule allows this "
            "ref\",\"detail\":\"'shop' "
            "may not be deployed\",\"exit_code\":5,\"failures\":[\"ref 'a' matches none of "
            "'b'\",\"event\"],\"who\":\"devops\",\"status\":403,\"request_id\":\"r-1\"}",
            ERROR_DENIED, "'shop' may not be deployed",
            "ref 'a' matches none of 'b'; event. Who can change that: devops.", "ref-not-allowed"},
        {409, "{\"code\":\"stale\",\"title\":\"stale\",\"exit_code\":6,\"hint\":\"Rebase.\"}",
            ERROR_CONFLICT, "stale", "Rebase.", "stale"},
        {401, "{\"title\":\"expired\"}", ERROR_CREDENTIALS, "expired", NULL, NULL},
        {400, "{\"detail\":\"a\\u001b[31mb\\u202ec\",\"exit_code\":2}", ERROR_USAGE, "abc", NULL,
            NULL},
        {404, "<html>nginx</html>", ERROR_REFUSED,
            "https://dispatcher.example.org answered HTTP 404 and no reason",
            "Is that the address of a dispatcher service?", NULL},
        {302, "", ERROR_REFUSED, "https://dispatcher.example.org answered HTTP 302 and no reason",
            "Is that the address of a dispatcher service?", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {{.method = HTTP_GET,
            .url = URL "/api/v1/x",
            .status = cases[i].status,
            .reply = cases[i].reply}};
        struct lab lab;
        struct json *answer CLEANUP(json_freep) = NULL;
        lab_open(&lab, steps, 1);
        const struct client_call call = {.method = HTTP_GET, .path = "/api/v1/x"};
        struct error *err CLEANUP(error_freep) = client_send(lab.client, &call, &answer);
        assert_int_equal(error_kind(err), cases[i].kind);
        assert_string_equal(error_message(err), cases[i].text);
        if (cases[i].hint != NULL) {
            assert_string_equal(error_hint_of(err), cases[i].hint);
        } else {
            assert_null(error_hint_of(err));
        }
        if (cases[i].code != NULL) {
            assert_string_equal(client_refusal(lab.client), cases[i].code);
        }
        lab_close(&lab);
    }
}

// --- streams
// --------------------------------------------------------------------------------------

static bool
until_finished(void *ctx, const struct client_event *event)
{
    struct buf *heard = ctx;
    buf_printf(heard, "%s:%.*s ", event->kind, (int)event->data.len, event->data.ptr);
    return strcmp(event->kind, "finished") != 0;
}

static const char *const from_the_start[] = {"Accept: text/event-stream", "!Last-Event-ID", NULL};
static const char *const from_seven[] = {
    "Last-Event-ID: 7", "Authorization: Bearer header.token2.signature", NULL};

static void
a_stream_is_taken_up_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_GET,
            .url = URL "/api/v1/deployments/d-1/events",
            .headers = from_the_start,
            .reply = "retry: 300\n\nid: 6\nevent: step\ndata: a\n\nid: 7\nevent: step\ndata: b\n\n"
                     "id: 8\nevent: step\ndata: cut"},
        {.method = HTTP_GET,
            .url = URL "/api/v1/deployments/d-1/events",
            .headers = from_seven,
            .failure = "connection refused"},
        {.method = HTTP_GET,
            .url = URL "/api/v1/deployments/d-1/events",
            .reply = "id: 8\nevent: step\ndata: c\n\nevent: finished\ndata: d\n\nevent: "
                     "step\ndata: no\n\n"},
    };
    struct lab lab;
    struct buf heard CLEANUP(buf_done) = BUF_INIT(1000);
    const struct client_listener listener = {.event = until_finished, .ctx = &heard};
    lab_open(&lab, steps, ARRAY_LENGTH(steps));
    assert_success(client_listen(lab.client, "d-1", 0, &listener));
    assert_string_equal(buf_cstr(&heard), "step:a step:b step:c finished:d ");
    lab_close(&lab);
}

static void
a_stream_that_is_refused_ends(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_GET,
        .url = URL "/api/v1/deployments/d-1/events",
        .status = 404,
        .reply = "{\"code\":\"not-found\",\"title\":\"there is no such thing\",\"exit_code\":2}"}};
    struct lab lab;
    struct buf heard CLEANUP(buf_done) = BUF_INIT(1000);
    const struct client_listener listener = {.event = until_finished, .ctx = &heard};
    lab_open(&lab, steps, ARRAY_LENGTH(steps));
    struct error *err CLEANUP(error_freep) = client_listen(lab.client, "d-1", 0, &listener);
    assert_int_equal(error_kind(err), ERROR_USAGE);
    lab_close(&lab);
}

static void
a_stream_has_a_deadline(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_GET,
        .url = URL "/api/v1/deployments/d-1/events",
        .reply = ": hello\n\n",
        .takes_ms = 5000}};
    struct lab lab;
    struct buf heard CLEANUP(buf_done) = BUF_INIT(1000);
    const struct client_listener listener = {.event = until_finished, .ctx = &heard};
    lab_open(&lab, steps, ARRAY_LENGTH(steps));
    struct error *err CLEANUP(error_freep) =
        client_listen(lab.client, "d-1", lab.fake->mono_ms + 5000, &listener);
    assert_int_equal(error_kind(err), ERROR_STILL_RUNNING);
    assert_string_equal(error_message(err), "'d-1' is not over yet");
    assert_string_equal(error_hint_of(err), "It goes on in the service; 'dispatcher watch d-1 "
                                            "--server " URL "' follows it again.");
    lab_close(&lab);
}

static void
ids_make_no_other_path(void **state)
{
    (void)state;
    static const char *const bad[] = {"../audit", "d-1/cancel", "d-1?x", "d 1", "d-1#x", "d%2f"};
    struct lab lab;
    lab_open(&lab, NULL, 0);
    const struct client_listener listener = {.event = until_finished};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct error *err CLEANUP(error_freep) = client_listen(lab.client, bad[i], 0, &listener);
        assert_int_equal(error_kind(err), ERROR_USAGE);
    }
    lab_close(&lab);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(a_restart_is_not_seen),
        cmocka_unit_test(never_twice_without_a_key),
        cmocka_unit_test(patience_ends),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_stream_is_taken_up_again),
        cmocka_unit_test(a_stream_that_is_refused_ends),
        cmocka_unit_test(a_stream_has_a_deadline),
        cmocka_unit_test(ids_make_no_other_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
