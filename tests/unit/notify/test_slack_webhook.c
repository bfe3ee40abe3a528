// Incoming webhooks: "ok" is the only success, and nothing of the address but its host is told.
#include "dispatcher/slack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "notify_fixture.h"

#define URL "https://hooks.slack.com/services/T00000000/B00000000/canaryXXXXXXXXXXXXXXXXX"
#define WHO "an incoming webhook of hooks.slack.com: "
#define RENEW "Make a new incoming webhook and store its address."

static void
send_it(const char *address, bool to_private, const struct script_step *steps, size_t count,
    struct notify_fixture **out, struct notify_result *result)
{
    struct secret *url CLEANUP(secret_freep) = secret_new(str_of(address));
    *out = notify_fixture_new(steps, count);
    const struct slack_webhook webhook = {url, to_private, "{\"text\":\"hi\"}"};
    slack_webhook_send(&(*out)->fake->platform, (*out)->http, &webhook, (*out)->arena, result);
    notify_fixture_finish(*out);
}

static void
what_is_on_the_wire(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "Content-Type: application/json; charset=utf-8", "!Authorization", NULL};
    static const struct {
        const char *url;
        bool to_private;
    } rows[] = {{URL, false}, {"https://hooks.slack-gov.com/services/T/B/x", false},
        {"https://HOOKS.slack.com/services/T/B/x", false},
        {"https://chat.corp.example:8443/hooks/x", true}, {"https://10.0.0.7/hooks/x", true},
        {"http://127.0.0.1:8080/hooks/x", true}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {.method = HTTP_POST,
            .url = rows[i].url,
            .headers = headers,
            .body = "{\"text\":\"hi\"}",
            .must_be_once = true,
            .reply = i % 2 == 0 ? "ok" : "ok\n"};
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = NULL;
        struct notify_result result = {0};
        send_it(rows[i].url, rows[i].to_private, &step, 1, &n, &result);
        assert_result(&result, NOTIFY_DELIVERED, -1, NULL, NULL);
        const struct script_request *sent = script_transport_request(n->script, 0);
        assert_int_equal(sent->headers.count, 1);
        assert_int_equal(sent->deadline_ms, FAKE_MONO_START + 10000);
        assert_int_equal(sent->max_response, 64 * 1024);
    }
}

static const char *const after_30[] = {"Retry-After: 30", NULL};

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
        // Slack answers failures with 200 as well
        {{.reply = "no_service"}, NOTIFY_BLOCKED, -1,
            WHO "the webhook is gone or disabled (no_service)", RENEW},
        {{.reply = "invalid_payload\n"}, NOTIFY_REFUSED, -1,
            WHO "the message is not understood (invalid_payload)", NULL},
        {{.reply = "some_new_word"}, NOTIFY_BLOCKED, -1,
            WHO "it refuses for a reason not known here (some_new_word)",
            "Look the word up in Slack's reference; a message that keeps the others waiting can be "
            "discarded."},
        {{.reply = ""}, NOTIFY_DOUBT, -1, WHO "its answer is none of Slack's", NULL},
        {{.reply = "OK"}, NOTIFY_DOUBT, -1, WHO "its answer is none of Slack's", NULL},
        {{.reply = "ok <html>"}, NOTIFY_DOUBT, -1, WHO "its answer is none of Slack's", NULL},
        {{.reply = "{\"ok\":true}"}, NOTIFY_DOUBT, -1, WHO "its answer is none of Slack's", NULL},
        {{.status = 204}, NOTIFY_DOUBT, -1, WHO "its answer is none of Slack's", NULL},
        // and with others
        {{.status = 400, .reply = "invalid_payload"}, NOTIFY_REFUSED, -1,
            WHO "the message is not understood (invalid_payload)", NULL},
        {{.status = 400, .reply = "no_text"}, NOTIFY_REFUSED, -1,
            WHO "the message has no text (no_text)", NULL},
        {{.status = 400, .reply = "some_new_word"}, NOTIFY_REFUSED, -1,
            WHO "the message is refused (HTTP 400: some_new_word)", NULL},
        {{.status = 400, .reply = "<p>canary</p>"}, NOTIFY_REFUSED, -1,
            WHO "the message is refused (HTTP 400)", NULL},
        {{.status = 403, .reply = "invalid_token"}, NOTIFY_BLOCKED, -1,
            WHO "the webhook is not valid (invalid_token)", RENEW},
        {{.status = 403, .reply = "action_prohibited"}, NOTIFY_BLOCKED, -1,
            WHO "an administrator forbids it (action_prohibited)",
            "Ask an administrator of the workspace to let the app post there."},
        {{.status = 404, .reply = "no_team"}, NOTIFY_BLOCKED, -1,
            WHO "the webhook's workspace is gone (no_team)", RENEW},
        {{.status = 410, .reply = "channel_is_archived"}, NOTIFY_BLOCKED, -1,
            WHO "the channel is archived (channel_is_archived)",
            "Unarchive the channel, or make a webhook for another one."},
        {{.status = 429, .reply_headers = after_30, .reply = "rate_limited"}, NOTIFY_LIMITED, 30000,
            WHO "too many messages (rate_limited)", NULL},
        {{.status = 429, .reply_headers = after_30}, NOTIFY_LIMITED, 30000,
            WHO "too many requests (HTTP 429)", NULL},
        {{.status = 500, .reply = "rollup_error"}, NOTIFY_DOUBT, -1,
            WHO "it failed (HTTP 500: rollup_error)", NULL},
        {{.status = 500, .reply = "invalid_payload"}, NOTIFY_DOUBT, -1,
            WHO "it failed (HTTP 500: invalid_payload)", NULL},
        {{.status = 302}, NOTIFY_BLOCKED, -1,
            WHO "it sends elsewhere, which is not followed (HTTP 302)",
            "Write the address that it leads to."},
        {{.failure = "refused"}, NOTIFY_LATER, -1, WHO "no connection can be made", NULL},
        {{.failure = "no such host", .failure_code = "dns"}, NOTIFY_LATER, -1,
            WHO "the name of its host cannot be resolved", NULL},
        {{.takes_ms = 10001}, NOTIFY_DOUBT, -1, WHO "no answer came in time", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = NULL;
        struct notify_result result = {0};
        struct script_step step = rows[i].step;
        step.method = HTTP_POST;
        step.url = URL;
        step.must_be_once = true;
        send_it(URL, false, &step, 1, &n, &result);
        assert_result(&result, rows[i].verdict, rows[i].after, rows[i].problem, rows[i].hint);
    }
}

static void
addresses_that_are_not_sent_to(void **state)
{
    (void)state;
    static const char hint[] =
        "An incoming webhook's address starts with https://hooks.slack.com/services/; another host "
        "has to stand under 'notify.private_hosts' of dispatcher.yaml.";
    static const struct {
        const char *url;
        bool to_private;
        const char *problem;
    } rows[] = {
        {"", false, "an incoming webhook: its address is no URL"},
        {"xoxb-canary-123456", false, "an incoming webhook: its address is no URL"},
        {"https://hooks.slack.com/a b", false, "an incoming webhook: its address is no URL"},
        {"https://hooks.slack.com\\@evil.example/canary", false,
            "an incoming webhook: its address is no URL"},
        {"ftp://hooks.slack.com/canary", false, "an incoming webhook: its address is no URL"},
        {"https://canary@hooks.slack.com/x", false, WHO "its address holds a user name"},
        {"http://hooks.slack.com/services/canary", false, WHO "its address is not plainly https"},
        {"https://hooks.slack.com:8443/services/canary", false,
            WHO "its address is not plainly https"},
        {"https://hooks.slack.com.evil.example/canary", false,
            "an incoming webhook of hooks.slack.com.evil.example: its address is not at "
            "hooks.slack.com"},
        {"https://evil.example/hooks.slack.com", false,
            "an incoming webhook of evil.example: its address is not at hooks.slack.com"},
        {"https://hooks.slack.com./canary", false,
            "an incoming webhook of hooks.slack.com.: its address is not at hooks.slack.com"},
        {"https://127.0.0.1/canary", false,
            "an incoming webhook of 127.0.0.1: its address is not at hooks.slack.com"},
        {"http://chat.corp.example/canary", true,
            "an incoming webhook of chat.corp.example: its address is not https"},
        {"https://canary@chat.corp.example/", true,
            "an incoming webhook of chat.corp.example: its address holds a user name"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = NULL;
        struct notify_result result = {0};
        send_it(rows[i].url, rows[i].to_private, NULL, 0, &n, &result);
        assert_result(&result, NOTIFY_BLOCKED, -1, rows[i].problem, hint);
    }
}

// Logs and answers quote an address without its host, or the key alone.
static void
the_key_is_masked_by_itself(void **state)
{
    (void)state;
    static const struct {
        const char *url, *text, *masked;
    } rows[] = {
        {"https://hooks.slack.com/services/T1/B1/aaaabbbbccccddddeeee0001",
            "POST /services/T1/B1/aaaabbbbccccddddeeee0001 at hooks.slack.com",
            "POST /services/T1/B1/*** at hooks.slack.com"},
        {"https://chat.corp.example/api/webhooks/1/aaaabbbbccccddddeeee0002/slack?wait=true",
            "aaaabbbbccccddddeeee0002 chat.corp.example", "*** chat.corp.example"},
        // neither a host nor what is too short to be a key
        {"https://hooks.chat.corp.example/hooks/short", "hooks.chat.corp.example short",
            "hooks.chat.corp.example short"},
        {"no address: aaaabbbbccccddddeeee0003", "aaaabbbbccccddddeeee0003",
            "aaaabbbbccccddddeeee0003"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct secret *url CLEANUP(secret_freep) = secret_new(str_of(rows[i].url));
        struct buf text CLEANUP(buf_done) = BUF_INIT(1024);
        slack_webhook_mask(url);
        buf_puts(&text, rows[i].text);
        secret_mask(&text);
        assert_string_equal(buf_cstr(&text), rows[i].masked);
    }
}

// A key looks like one of Slack's words; what is wrong with a sink is kept in the journal.
static void
a_key_that_comes_back_is_not_quoted(void **state)
{
    (void)state;
    static const char url[] = "https://hooks.slack.com/services/T1/B1/aaaabbbbccccddddeeee0004";
    static const struct {
        int status;
        enum notify_verdict verdict;
        const char *problem;
    } rows[] = {
        {200, NOTIFY_BLOCKED, WHO "it refuses for a reason not known here (***)"},
        {400, NOTIFY_REFUSED, WHO "the message is refused (HTTP 400: ***)"},
        {500, NOTIFY_DOUBT, WHO "it failed (HTTP 500: ***)"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {.method = HTTP_POST,
            .must_be_once = true,
            .url = url,
            .status = rows[i].status,
            .reply = "aaaabbbbccccddddeeee0004"};
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = NULL;
        struct notify_result result = {0};
        send_it(url, false, &step, 1, &n, &result);
        assert_int_equal(result.verdict, rows[i].verdict);
        assert_string_equal(result.problem, rows[i].problem);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_on_the_wire),
        cmocka_unit_test(answers),
        cmocka_unit_test(addresses_that_are_not_sent_to),
        cmocka_unit_test(the_key_is_masked_by_itself),
        cmocka_unit_test(a_key_that_comes_back_is_not_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
