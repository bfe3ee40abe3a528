// Looking for a message that may have been posted: what is asked, page by page, and what counts as
// the message.
#include "dispatcher/slack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"
#include "notify_fixture.h"

#define TOKEN "xoxb-canary-0123456789"
#define API "https://slack.com/api/"
#define OLDEST "1795246980.000000" // five minutes before the fake clock's start
#define TAIL "&oldest=" OLDEST "&inclusive=true&include_all_metadata=true&limit=100"
#define HISTORY API "conversations.history?channel=C024BE91L" TAIL
#define BY_NAME API "conversations.history?channel=%23deploys" TAIL
#define REPLIES API "conversations.replies?channel=C024BE91L&ts=1795247280.000100" TAIL
#define CHANNELS                                                                                   \
    API "users.conversations?types=public_channel%2Cprivate_channel&exclude_archived=true&"        \
        "limit=200"

#define METADATA(type, id)                                                                         \
    "\"metadata\":{\"event_type\":\"" type "\",\"event_payload\":{\"id\":\"" id "\"}}"
#define MESSAGE(ts, id)                                                                            \
    "{\"type\":\"message\",\"bot_id\":\"B1\",\"ts\":\"" ts "\"," METADATA("deployment", id) "}"
#define CHATTER "{\"type\":\"message\",\"user\":\"U1\",\"ts\":\"1795247300.000001\",\"text\":\"x\"}"
#define PAGE(messages) "{\"ok\":true,\"messages\":[" messages "],\"has_more\":false}"
#define PAGE_ON(messages, cursor)                                                                  \
    "{\"ok\":true,\"messages\":[" messages                                                         \
    "],\"has_more\":true,\"response_metadata\":{\"next_cursor\":\"" cursor "\"}}"

static const char *const headers[] = {"Authorization: Bearer " TOKEN, "!Content-Type", NULL};

// Looks for the deployment d-1 in a channel, and in a thread of it.
static void
find(const struct script_step *steps, size_t count, const char *channel, const char *thread,
    struct notify_fixture *n, struct slack_posted *out)
{
    struct script_step *full CLEANUP(xfreep) = xcalloc(count, sizeof(*full));
    struct secret *token CLEANUP(secret_freep) = secret_new(STR(TOKEN));
    struct slack_client *slack CLEANUP(slack_client_freep) = NULL;
    for (size_t i = 0; i < count; i++) {
        full[i] = steps[i];
        full[i].method = HTTP_GET;
        full[i].headers = headers;
        full[i].no_body = true;
    }
    script_transport_free(n->script);
    n->script = script_transport_new(n->fake, full, count);
    http_client_free(n->http);
    assert_success(http_client_new(&n->fake->platform, NULL, &n->http));
    assert_success(slack_client_new(&n->fake->platform, n->http, NULL, token, &slack));
    const struct slack_search search = {.channel = channel,
        .thread = thread,
        .oldest_ms = FAKE_WALL_START,
        .event_type = "deployment",
        .id = "d-1"};
    slack_find(slack, &search, n->arena, out);
    notify_fixture_finish(n);
}

static void
assert_found(const struct slack_posted *posted, const char *channel, const char *ts)
{
    assert_result(&posted->result, NOTIFY_DELIVERED, -1, NULL, NULL);
    assert_true(cstr_equal(posted->channel, channel));
    assert_true(cstr_equal(posted->ts, ts));
}

static void
in_a_channel(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *ts;
    } rows[] = {
        {PAGE(CHATTER "," MESSAGE("1795247281.000100", "d-1")), "1795247281.000100"},
        {PAGE(MESSAGE("1795247281.000100", "d-2")), NULL},
        {PAGE(""), NULL},
        {"{\"ok\":true}", NULL},
        // the newest of several, in whatever order they come
        {PAGE(MESSAGE("1795247281.000100", "d-1") "," MESSAGE(
             "1795247282.000100", "d-1") "," MESSAGE("1795247280.000100", "d-1")),
            "1795247282.000100"},
        {PAGE(MESSAGE("999999999.000100", "d-1") "," MESSAGE("1795247280.000100", "d-1")),
            "1795247280.000100"},
        // of another kind, of a person, without a place
        {PAGE("{\"bot_id\":\"B1\",\"ts\":\"1.1\"," METADATA("task", "d-1") "}"), NULL},
        {PAGE("{\"user\":\"U1\",\"ts\":\"1.1\"," METADATA("deployment", "d-1") "}"), NULL},
        {PAGE("{\"bot_id\":\"B1\",\"ts\":\"1 1\"," METADATA("deployment", "d-1") "}"), NULL},
        {PAGE("{\"bot_id\":\"B1\",\"ts\":\"1.1\",\"metadata\":{\"event_type\":\"deployment\"}}"),
            NULL},
        {PAGE("{\"bot_id\":\"B1\",\"ts\":\"1.1\",\"metadata\":{\"event_type\":\"deployment\","
              "\"event_payload\":{\"id\":[\"d-1\"]}}}"),
            NULL},
        {PAGE("null,7,\"x\",[]"), NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
        const struct script_step step = {.url = HISTORY, .reply = rows[i].reply};
        struct slack_posted posted = {0};
        find(&step, 1, "C024BE91L", NULL, n, &posted);
        assert_found(&posted, rows[i].ts != NULL ? "C024BE91L" : NULL, rows[i].ts);
    }
}

static void
page_by_page(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = HISTORY, .reply = PAGE_ON(CHATTER, "bmV4dA==")},
        {.url = HISTORY "&cursor=bmV4dA%3D%3D", .reply = PAGE_ON(CHATTER, "b")},
        {.url = HISTORY "&cursor=b",
            .reply = PAGE_ON(MESSAGE("1795247281.000100", "d-1"), "c")}, // what follows is older
    };
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    struct slack_posted posted = {0};
    find(steps, ARRAY_LENGTH(steps), "C024BE91L", NULL, n, &posted);
    assert_found(&posted, "C024BE91L", "1795247281.000100");
    assert_int_equal(script_transport_request(n->script, 2)->deadline_ms, FAKE_MONO_START + 10000);
}

static void
a_busy_channel_leaves_a_doubt(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = HISTORY, .reply = PAGE_ON(CHATTER, "a")},
        {.url = HISTORY "&cursor=a", .reply = PAGE_ON(CHATTER, "a"), .times = 4},
    };
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    struct slack_posted posted = {0};
    find(steps, ARRAY_LENGTH(steps), "C024BE91L", NULL, n, &posted);
    assert_result(&posted.result, NOTIFY_DOUBT, -1,
        "slack.com: 'C024BE91L': there are too many messages since then to find it", NULL);
    assert_null(posted.ts);
}

// A thread comes oldest first: its newest may be on the last page.
static void
in_a_thread(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = REPLIES, .reply = PAGE_ON(MESSAGE("1795247281.000100", "d-1"), "a")},
        {.url = REPLIES "&cursor=a", .reply = PAGE(MESSAGE("1795247285.000100", "d-1"))},
    };
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    struct slack_posted posted = {0};
    find(steps, ARRAY_LENGTH(steps), "C024BE91L", "1795247280.000100", n, &posted);
    assert_found(&posted, "C024BE91L", "1795247285.000100");
}

static const char not_found[] = "{\"ok\":false,\"error\":\"channel_not_found\"}";

static void
a_name_is_resolved_where_it_must_be(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = BY_NAME, .reply = not_found},
        {.url = CHANNELS,
            .reply = "{\"ok\":true,\"channels\":[{\"id\":\"C1\",\"name\":\"general\"}],"
                     "\"response_metadata\":{\"next_cursor\":\"x\"}}"},
        {.url = CHANNELS "&cursor=x",
            .reply = "{\"ok\":true,\"channels\":[{\"id\":\"C2\",\"name\":\"deploys2\"},"
                     "{\"id\":\"C024BE91L\",\"name\":\"deploys\"}],"
                     "\"response_metadata\":{\"next_cursor\":\"\"}}"},
        {.url = HISTORY, .reply = PAGE(MESSAGE("1795247281.000100", "d-1"))},
    };
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    struct slack_posted posted = {0};
    find(steps, ARRAY_LENGTH(steps), "#deploys", NULL, n, &posted);
    assert_found(&posted, "C024BE91L", "1795247281.000100");
    struct notify_fixture *other CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    static const struct script_step direct = {
        .url = BY_NAME, .reply = PAGE(MESSAGE("1795247281.000100", "d-1"))};
    find(&direct, 1, "#deploys", NULL, other, &posted);
    assert_found(&posted, "#deploys", "1795247281.000100");
}

static void
what_cannot_be_looked_up(void **state)
{
    (void)state;
    static const struct {
        struct script_step steps[2];
        size_t count;
        const char *channel;
        enum notify_verdict verdict;
        const char *problem, *hint;
    } rows[] = {
        {{{.url = HISTORY, .reply = not_found}}, 1, "C024BE91L", NOTIFY_BLOCKED,
            "slack.com: 'C024BE91L': there is no such channel, or the bot cannot see it "
            "(channel_not_found)",
            "Check the channel's name; a private one is visible to its members only: '/invite' the "
            "bot."},
        {{{.url = HISTORY,
             .reply = "{\"ok\":false,\"error\":\"missing_scope\",\"needed\":"
                      "\"channels:history\",\"provided\":\"chat:write\"}"}},
            1, "C024BE91L", NOTIFY_BLOCKED,
            "slack.com: 'C024BE91L': the token lacks a scope (missing_scope: channels:history)",
            "Add the scope 'channels:history' to the Slack app and install it again."},
        {{{.url = HISTORY, .failure = "reset", .request_left = true}}, 1, "C024BE91L", NOTIFY_DOUBT,
            "slack.com: 'C024BE91L': the connection broke", NULL},
        {{{.url = BY_NAME, .reply = not_found},
             {.url = CHANNELS, .reply = "{\"ok\":true,\"channels\":[]}"}},
            2, "#deploys", NOTIFY_BLOCKED,
            "slack.com: '#deploys': the bot is in no channel of that name, so that nothing can be "
            "looked up there",
            "Name the channel by its id (C…), or '/invite' the bot to it."},
        {{{.url = BY_NAME, .reply = not_found},
             {.url = CHANNELS,
                 .reply = "{\"ok\":false,\"error\":\"missing_scope\",\"needed\":"
                          "\"channels:read\"}"}},
            2, "#deploys", NOTIFY_BLOCKED,
            "slack.com: '#deploys': the token lacks a scope (missing_scope: channels:read)",
            "Add the scope 'channels:read' to the Slack app and install it again."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
        struct slack_posted posted = {0};
        find(rows[i].steps, rows[i].count, rows[i].channel, NULL, n, &posted);
        assert_result(&posted.result, rows[i].verdict, -1, rows[i].problem, rows[i].hint);
        assert_true(posted.ts == NULL && posted.channel == NULL);
    }
}

static void
a_cursor_without_end(void **state)
{
    (void)state;
    struct buf reply CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    buf_puts(&reply, "{\"ok\":true,\"messages\":[],\"response_metadata\":{\"next_cursor\":\"");
    for (int i = 0; i < 5000; i++) {
        buf_putc(&reply, 'x');
    }
    buf_puts(&reply, "\"}}");
    const struct script_step step = {.url = HISTORY, .reply = buf_cstr(&reply)};
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    struct slack_posted posted = {0};
    find(&step, 1, "C024BE91L", NULL, n, &posted);
    assert_result(&posted.result, NOTIFY_DOUBT, -1,
        "slack.com: 'C024BE91L': what it answers is too long to ask on with", NULL);
}

// All its requests share ten seconds.
static void
the_time_is_one_budget(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = HISTORY, .reply = PAGE_ON(CHATTER, "a"), .takes_ms = 6000},
        {.url = HISTORY "&cursor=a", .reply = PAGE(""), .takes_ms = 6000},
    };
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    struct slack_posted posted = {0};
    find(steps, ARRAY_LENGTH(steps), "C024BE91L", NULL, n, &posted);
    assert_result(
        &posted.result, NOTIFY_DOUBT, -1, "slack.com: 'C024BE91L': no answer came in time", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_a_channel),
        cmocka_unit_test(page_by_page),
        cmocka_unit_test(a_busy_channel_leaves_a_doubt),
        cmocka_unit_test(in_a_thread),
        cmocka_unit_test(a_name_is_resolved_where_it_must_be),
        cmocka_unit_test(what_cannot_be_looked_up),
        cmocka_unit_test(a_cursor_without_end),
        cmocka_unit_test(the_time_is_one_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
