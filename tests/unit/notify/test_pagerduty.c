// PagerDuty's Events API: what is on the wire, where the key goes, what the answers mean.
#include "dispatcher/pagerduty.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "notify_fixture.h"

#define KEY "e93facc04764012d7bfb002500d5d1a6"
#define RULESET "R0N7B6PQ8XYZ0123456789ABCDEFGHIJ"
#define TAKEN "{\"status\":\"success\",\"message\":\"Event processed\",\"dedup_key\":\"d\"}"
#define ALERTS "https://events.pagerduty.com/v2/enqueue"
#define HINT "Store the integration key of an Events API v2 integration: 32 letters and digits."

// Sends a trigger with that access; the fixture is the caller's.
static void
send_it(const struct pagerduty_access *access, enum pagerduty_kind kind, const char *body,
    struct notify_fixture *n, struct notify_result *out)
{
    const struct pagerduty_event event = {kind, body};
    pagerduty_send(&n->fake->platform, n->http, access, &event, n->arena, out);
    notify_fixture_finish(n);
}

static void
what_is_on_the_wire(void **state)
{
    (void)state;
    static const char *const headers[] = {"Content-Type: application/json", "!Authorization", NULL};
    static const struct {
        const char *events;
        bool eu;
        enum pagerduty_kind kind;
        const char *url;
    } rows[] = {
        {NULL, false, PAGERDUTY_ALERT, ALERTS},
        {NULL, false, PAGERDUTY_CHANGE, "https://events.pagerduty.com/v2/change/enqueue"},
        {NULL, true, PAGERDUTY_ALERT, "https://events.eu.pagerduty.com/v2/enqueue"},
        {NULL, true, PAGERDUTY_CHANGE, "https://events.eu.pagerduty.com/v2/change/enqueue"},
        {"http://127.0.0.1:8080/pd/", true, PAGERDUTY_ALERT, "http://127.0.0.1:8080/pd/v2/enqueue"},
        {"https://pd.example", false, PAGERDUTY_CHANGE, "https://pd.example/v2/change/enqueue"},
    };
    struct secret *key CLEANUP(secret_freep) = secret_new(STR(KEY));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {.method = HTTP_POST,
            .url = rows[i].url,
            .headers = headers,
            .body = "{\"payload\":{\"summary\":\"a \\\" b\",\"n\":1},\"dedup_key\":\"d\","
                    "\"routing_key\":\"" KEY "\"}",
            .must_be_once = true,
            .status = 202,
            .reply = TAKEN};
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(&step, 1);
        struct notify_result result = {0};
        send_it(&(struct pagerduty_access){rows[i].events, rows[i].eu, key}, rows[i].kind,
            "{\"payload\": {\"summary\": \"a \\\" b\", \"n\": 1}, \"dedup_key\": \"d\"}", n,
            &result);
        assert_result(&result, NOTIFY_DELIVERED, -1, NULL, NULL);
        const struct script_request *sent = script_transport_request(n->script, 0);
        assert_int_equal(sent->headers.count, 1);
        assert_int_equal(sent->deadline_ms, FAKE_MONO_START + 10000);
        assert_int_equal(sent->max_response, 64 * 1024);
    }
}

static const char *const after_60[] = {"Retry-After: 60", NULL};

static void
answers(void **state)
{
    (void)state;
    static const struct {
        struct script_step step;
        enum notify_verdict verdict;
        int64_t after;
        const char *problem, *hint;
    } rows[] = {
        {{.status = 200, .reply = TAKEN}, NOTIFY_DOUBT, -1,
            "events.pagerduty.com: its answer is none of PagerDuty's (HTTP 200)", NULL},
        {{.status = 204}, NOTIFY_DOUBT, -1,
            "events.pagerduty.com: its answer is none of PagerDuty's (HTTP 204)", NULL},
        {{.status = 202}, NOTIFY_DOUBT, -1,
            "events.pagerduty.com: its answer is none of PagerDuty's (HTTP 202)", NULL},
        {{.status = 202, .reply = "<html>"}, NOTIFY_DOUBT, -1,
            "events.pagerduty.com: its answer is none of PagerDuty's (HTTP 202)", NULL},
        {{.status = 202, .reply = "{\"status\":\"invalid event\"}"}, NOTIFY_DOUBT, -1,
            "events.pagerduty.com: its answer is none of PagerDuty's (HTTP 202)", NULL},
        {{.status = 400,
             .reply = "{\"status\":\"invalid event\",\"message\":\"Event object is invalid\","
                      "\"errors\":[\"'payload.summary' is missing or blank\",\"'payload.source' is "
                      "missing or blank\",\"c\",\"d\"]}"},
            NOTIFY_REFUSED, -1,
            "events.pagerduty.com: the message is refused (HTTP 400: Event object is invalid: "
            "'payload.summary' is missing or blank; 'payload.source' is missing or blank; c)",
            NULL},
        {{.status = 400, .reply = "{\"errors\":[7,{},\"a\\u001b[31m\\n\\u202eb " KEY "\"]}"},
            NOTIFY_REFUSED, -1, "events.pagerduty.com: the message is refused (HTTP 400: a b ***)",
            NULL},
        {{.status = 400,
             .reply = "{\"message\":\"Event object is invalid\",\"errors\":"
                      "[\"'routing_key' is missing or blank\"]}"},
            NOTIFY_BLOCKED, -1,
            "events.pagerduty.com: the routing key is refused (HTTP 400: Event object is invalid: "
            "'routing_key' is missing or blank)",
            HINT},
        {{.status = 400,
             .reply = "{\"status\":\"invalid key\",\"message\":\"Invalid routing "
                      "key\"}"},
            NOTIFY_BLOCKED, -1,
            "events.pagerduty.com: the routing key is refused (HTTP 400: Invalid routing key)",
            HINT},
        {{.status = 400, .reply = "no JSON"}, NOTIFY_REFUSED, -1,
            "events.pagerduty.com: the message is refused (HTTP 400)", NULL},
        {{.status = 413}, NOTIFY_REFUSED, -1,
            "events.pagerduty.com: the message is refused (HTTP 413)", NULL},
        {{.status = 403}, NOTIFY_BLOCKED, -1, "events.pagerduty.com: access is refused (HTTP 403)",
            "Check the credentials."},
        {{.status = 429, .reply_headers = after_60}, NOTIFY_LIMITED, 60000,
            "events.pagerduty.com: too many requests (HTTP 429)", NULL},
        {{.status = 429}, NOTIFY_LIMITED, -1, "events.pagerduty.com: too many requests (HTTP 429)",
            NULL},
        {{.status = 500, .reply = "{\"message\":\"Internal Server Error\"}"}, NOTIFY_DOUBT, -1,
            "events.pagerduty.com: it failed (HTTP 500: Internal Server Error)", NULL},
        {{.failure = "refused"}, NOTIFY_LATER, -1,
            "events.pagerduty.com: no connection can be made", NULL},
        {{.failure = "certificate has expired", .failure_code = "tls"}, NOTIFY_BLOCKED, -1,
            "events.pagerduty.com: its certificate or its TLS is refused",
            "Check the host's certificate; a private CA is named by SSL_CERT_FILE."},
        {{.takes_ms = 10001}, NOTIFY_DOUBT, -1, "events.pagerduty.com: no answer came in time",
            NULL},
    };
    struct secret *key CLEANUP(secret_freep) = secret_new(STR(KEY));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct script_step step = rows[i].step;
        step.method = HTTP_POST;
        step.url = ALERTS;
        step.must_be_once = true;
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(&step, 1);
        struct notify_result result = {0};
        send_it(&(struct pagerduty_access){.routing_key = key}, PAGERDUTY_ALERT, "{}", n, &result);
        assert_result(&result, rows[i].verdict, rows[i].after, rows[i].problem, rows[i].hint);
    }
}

static void
keys(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool plausible, is_ruleset;
    } rows[] = {
        {KEY, true, false},
        {RULESET, true, true},
        {"r0000000000000000000000000000000", true, false},
        {"", false, false},
        {"e93facc04764012d7bfb002500d5d1a", false, false},
        {KEY "0", false, false},
        {"e93facc04764012d7bfb002500d5d1a-", false, false},
        {"e93facc04764012d7bfb002500d5d1\"}", false, false},
        {"e93facc04764012d7bfb002500d5d1 6", false, false},
        {"R93facc04764012d7bfb002500d5d1_6", false, false},
        {"e93facc04764012d7bfb002500d5d1\xc3\xa4", false, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct secret *key CLEANUP(secret_freep) = secret_new(str_of(rows[i].key));
        bool is_ruleset = !rows[i].is_ruleset;
        assert_int_equal(pagerduty_key_is_plausible(key, &is_ruleset), rows[i].plausible);
        assert_int_equal(is_ruleset, rows[i].is_ruleset);
    }
}

static void
what_is_not_sent(void **state)
{
    (void)state;
    static const struct {
        const char *events, *key;
        enum pagerduty_kind kind;
        const char *body;
        enum notify_verdict verdict;
        const char *problem, *hint;
    } rows[] = {
        {NULL, "canary", PAGERDUTY_ALERT, "{}", NOTIFY_BLOCKED,
            "events.pagerduty.com: the routing key is no integration key", HINT},
        {NULL, RULESET, PAGERDUTY_CHANGE, "{}", NOTIFY_BLOCKED,
            "events.pagerduty.com: the routing key is that of a ruleset, which takes no change "
            "events",
            "Use the integration key of a service."},
        {NULL, KEY, PAGERDUTY_ALERT, "[]", NOTIFY_REFUSED,
            "events.pagerduty.com: the event is no JSON object, or over 512 KiB", NULL},
        {NULL, KEY, PAGERDUTY_ALERT, "", NOTIFY_REFUSED,
            "events.pagerduty.com: the event is no JSON object, or over 512 KiB", NULL},
        // a key of the caller's own would not end up where ours is written
        {NULL, KEY, PAGERDUTY_ALERT, "{\"routing_key\":\"x\",\"a\":\"b\"}", NOTIFY_REFUSED,
            "events.pagerduty.com: the event is no JSON object, or over 512 KiB", NULL},
        {"http://pd.example", KEY, PAGERDUTY_ALERT, "{}", NOTIFY_BLOCKED,
            "PagerDuty: the address of its Events API is no https URL",
            "Write it as https://events.pagerduty.com."},
        {"https://canary@pd.example", KEY, PAGERDUTY_ALERT, "{}", NOTIFY_BLOCKED,
            "PagerDuty: the address of its Events API is no https URL",
            "Write it as https://events.pagerduty.com."},
        {"https://pd.example/?a=canary", KEY, PAGERDUTY_ALERT, "{}", NOTIFY_BLOCKED,
            "PagerDuty: the address of its Events API is no https URL",
            "Write it as https://events.pagerduty.com."},
        {"pd.example", KEY, PAGERDUTY_ALERT, "{}", NOTIFY_BLOCKED,
            "PagerDuty: the address of its Events API is no https URL",
            "Write it as https://events.pagerduty.com."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct secret *key CLEANUP(secret_freep) = secret_new(str_of(rows[i].key));
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
        struct notify_result result = {0};
        send_it(&(struct pagerduty_access){.events = rows[i].events, .routing_key = key},
            rows[i].kind, rows[i].body, n, &result);
        assert_result(&result, rows[i].verdict, -1, rows[i].problem, rows[i].hint);
    }
}

static void
a_ruleset_takes_alerts(void **state)
{
    (void)state;
    static const struct script_step step = {.method = HTTP_POST,
        .url = ALERTS,
        .body = "{\"routing_key\":\"" RULESET "\"}",
        .must_be_once = true,
        .status = 202,
        .reply = TAKEN};
    struct secret *key CLEANUP(secret_freep) = secret_new(STR(RULESET));
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(&step, 1);
    struct notify_result result = {0};
    send_it(&(struct pagerduty_access){.routing_key = key}, PAGERDUTY_ALERT, "{}", n, &result);
    assert_result(&result, NOTIFY_DELIVERED, -1, NULL, NULL);
}

// With its key the event may have 512 KiB, to the byte.
static void
the_size_is_exact(void **state)
{
    (void)state;
    static const struct script_step step = {
        .method = HTTP_POST, .url = ALERTS, .must_be_once = true, .status = 202, .reply = TAKEN};
    struct secret *key CLEANUP(secret_freep) = secret_new(STR(KEY));
    const size_t around = sizeof("{\"a\":\"\",\"routing_key\":\"" KEY "\"}") - 1;
    for (size_t over = 0; over < 2; over++) {
        struct notify_fixture *n CLEANUP(notify_fixture_freep) =
            notify_fixture_new(&step, 1 - over);
        struct notify_result result = {0};
        struct buf body CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
        buf_puts(&body, "{\"a\":\"");
        for (size_t i = 0; i < PAGERDUTY_EVENT_MAX - around + over; i++) {
            buf_putc(&body, 'x');
        }
        buf_puts(&body, "\"}");
        send_it(&(struct pagerduty_access){.routing_key = key}, PAGERDUTY_ALERT, buf_cstr(&body), n,
            &result);
        assert_int_equal(result.verdict, over == 0 ? NOTIFY_DELIVERED : NOTIFY_REFUSED);
        if (over == 0) {
            assert_int_equal(script_transport_request(n->script, 0)->body.len, PAGERDUTY_EVENT_MAX);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_on_the_wire),
        cmocka_unit_test(answers),
        cmocka_unit_test(keys),
        cmocka_unit_test(what_is_not_sent),
        cmocka_unit_test(a_ruleset_takes_alerts),
        cmocka_unit_test(the_size_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
