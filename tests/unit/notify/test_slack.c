// Slack's Web API: what is on the wire, and what each answer means.
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
#define POST "https://slack.com/api/chat.postMessage"
#define UPDATE "https://slack.com/api/chat.update"
#define POSTED "{\"ok\":true,\"channel\":\"C024BE91L\",\"ts\":\"1503435956.000247\"}"

static const char *const json_headers[] = {
    "Authorization: Bearer " TOKEN, "Content-Type: application/json; charset=utf-8", NULL};

struct stage {
    struct notify_fixture *n;
    struct secret *token;
    struct slack_client *slack;
};

static void
stage_done(struct stage *stage)
{
    slack_client_free(stage->slack);
    secret_free(stage->token);
    notify_fixture_free(stage->n);
}

static void
stage_init(struct stage *stage, const struct script_step *steps, size_t count)
{
    stage->n = notify_fixture_new(steps, count);
    stage->token = secret_new(STR(TOKEN));
    assert_success(slack_client_new(
        &stage->n->fake->platform, stage->n->http, NULL, stage->token, &stage->slack));
}

// Posts a text to #deploys and gets that answer.
static void
post_one(const struct script_step *step, struct stage *stage, struct slack_posted *out)
{
    stage_init(stage, step, 1);
    const struct slack_message message = {.channel = "#deploys", .body = "{\"text\":\"hi\"}"};
    slack_send(stage->slack, &message, stage->n->arena, out);
    notify_fixture_finish(stage->n);
}

static void
what_is_on_the_wire(void **state)
{
    (void)state;
    static const struct {
        struct slack_message message;
        struct script_step step;
        const char *channel, *ts;
    } rows[] = {
        {{.channel = "#deploys", .body = "{\"text\":\"hi\",\"channel\":\"#other\",\"blocks\":[]}"},
            {.url = POST,
                .must_be_once = true,
                .body = "{\"text\":\"hi\",\"channel\":\"#deploys\",\"blocks\":[]}",
                .reply = POSTED},
            "C024BE91L", "1503435956.000247"},
        {{.channel = "C1", .thread = "1503435956.000247", .body = "{}"},
            {.url = POST,
                .must_be_once = true,
                .body = "{\"channel\":\"C1\",\"thread_ts\":\"1503435956.000247\"}",
                .reply = POSTED},
            "C024BE91L", "1503435956.000247"},
        {{.channel = "C1", .thread = "1503435956.000247", .broadcast = true, .body = "{}"},
            {.url = POST,
                .must_be_once = true,
                .body = "{\"channel\":\"C1\",\"thread_ts\":\"1503435956.000247\","
                        "\"reply_broadcast\":true}",
                .reply = POSTED},
            "C024BE91L", "1503435956.000247"},
        {{.channel = "C1", .ts = "1503435956.000247", .body = "{\"text\":\"a \\u2705\"}"},
            {.url = UPDATE,
                .body = "{\"text\":\"a ✅\",\"channel\":\"C1\",\"ts\":\"1503435956.000247\"}",
                .reply = POSTED},
            "C024BE91L", "1503435956.000247"},
        {{.channel = "C1", .ts = "1503435956.000247", .body = "{}"},
            {.url = UPDATE,
                .body = "{\"channel\":\"C1\",\"ts\":\"1503435956.000247\"}",
                .reply = "{\"ok\":true}"}, // it is where it was
            "C1", "1503435956.000247"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct stage stage CLEANUP(stage_done) = {0};
        struct slack_posted posted = {0};
        struct script_step step = rows[i].step;
        step.method = HTTP_POST;
        step.headers = json_headers;
        stage_init(&stage, &step, 1);
        slack_send(stage.slack, &rows[i].message, stage.n->arena, &posted);
        assert_result(&posted.result, NOTIFY_DELIVERED, -1, NULL, NULL);
        assert_string_equal(posted.channel, rows[i].channel);
        assert_string_equal(posted.ts, rows[i].ts);
        notify_fixture_finish(stage.n);
        const struct script_request *sent = script_transport_request(stage.n->script, 0);
        assert_int_equal(sent->headers.count, 2);
        assert_true(sent->headers.list[0].sensitive);
        assert_int_equal(sent->deadline_ms, FAKE_MONO_START + 10000);
        assert_int_equal(sent->max_response, 64 * 1024);
        assert_false(sent->public_only || sent->allow_plain);
    }
}

static void
a_message_that_is_none_is_not_sent(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "[]", "\"a\"", "{", "{\"a\":1,\"a\":2}", "{} {}"};
    struct stage stage CLEANUP(stage_done) = {0};
    struct slack_posted posted = {0};
    stage_init(&stage, NULL, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        slack_send(stage.slack, &(struct slack_message){.channel = "#d", .body = bodies[i]},
            stage.n->arena, &posted);
        assert_result(&posted.result, NOTIFY_REFUSED, -1,
            "slack.com: '#d': the message is no JSON object, or too long", NULL);
    }
    struct buf huge CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    buf_puts(&huge, "{\"text\":\"");
    for (size_t i = 0; i < 512 * 1024; i++) {
        buf_putc(&huge, 'x');
    }
    buf_puts(&huge, "\"}");
    slack_send(stage.slack, &(struct slack_message){.channel = "#d", .body = buf_cstr(&huge)},
        stage.n->arena, &posted);
    assert_int_equal(posted.result.verdict, NOTIFY_REFUSED);
    slack_send(
        stage.slack, &(struct slack_message){.channel = "", .body = "{}"}, stage.n->arena, &posted);
    assert_result(&posted.result, NOTIFY_BLOCKED, -1, "slack.com: '': no channel is named",
        "Name a channel of Slack.");
}

// Each word of Slack's that is known, and what it means.
static void
words(void **state)
{
    (void)state;
    static const struct {
        enum notify_verdict verdict;
        const char *words;
    } rows[] = {
        {NOTIFY_LIMITED, "ratelimited rate_limited message_limit_exceeded"},
        {NOTIFY_LATER, "team_added_to_org org_login_required external_channel_migrating"},
        {NOTIFY_DOUBT, "internal_error fatal_error service_unavailable request_timeout "
                       "update_failed"},
        {NOTIFY_BLOCKED, "invalid_auth not_authed account_inactive token_revoked token_expired "
                         "not_allowed_token_type missing_scope no_permission channel_not_found "
                         "not_in_channel is_archived restricted_action "
                         "restricted_action_read_only_channel team_not_found "
                         "restricted_action_thread_only_channel messages_tab_disabled "
                         "ekm_access_denied team_access_not_granted app_access_restricted "
                         "access_denied accesslimited enterprise_is_restricted"},
        {NOTIFY_REFUSED, "msg_too_long msg_blocks_too_long no_text invalid_blocks "
                         "invalid_blocks_format invalid_attachments too_many_attachments "
                         "attachment_payload_limit_exceeded invalid_metadata_format "
                         "invalid_metadata_schema metadata_too_large invalid_thread_ts "
                         "cannot_reply_to_message cant_broadcast_message invalid_arguments "
                         "restricted_action_thread_locked invalid_json json_not_object "
                         "restricted_action_non_threadable_channel invalid_charset"},
        {NOTIFY_ABSENT, "message_not_found thread_not_found cant_update_message "
                        "edit_window_closed"},
        {NOTIFY_BLOCKED, "no_such_word unknown_method"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str rest = str_of(rows[i].words), word = {0};
        while (str_cut(rest, ' ', &word, &rest)) {
            char *reply CLEANUP(xfreep) =
                xasprintf("{\"ok\":false,\"error\":\"%.*s\"}", STR_FMT(word));
            char *shown CLEANUP(xfreep) = xasprintf("(%.*s)", STR_FMT(word));
            const struct script_step step = {
                .method = HTTP_POST, .url = POST, .must_be_once = true, .reply = reply};
            struct stage stage CLEANUP(stage_done) = {0};
            struct slack_posted posted = {0};
            post_one(&step, &stage, &posted);
            if (posted.result.verdict != rows[i].verdict) {
                fail_msg("'%s' is %d", reply, (int)posted.result.verdict);
            }
            assert_true(str_ends(str_of(posted.result.problem), str_of(shown)));
            assert_true(posted.channel == NULL && posted.ts == NULL);
            bool hinted = posted.result.hint != NULL;
            assert_int_equal(hinted, rows[i].verdict == NOTIFY_BLOCKED);
        }
    }
}

static const char *const after_7[] = {"Retry-After: 7", NULL};

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
        {{.reply = "{\"ok\":false,\"error\":\"not_in_channel\"}"}, NOTIFY_BLOCKED, -1,
            "slack.com: '#deploys': the bot is not in the channel (not_in_channel)",
            "'/invite' the bot to the channel, or add the scope 'chat:write.public' to the Slack "
            "app for public ones."},
        {{.reply = "{\"ok\":false,\"error\":\"missing_scope\",\"needed\":\"chat:write\","
                   "\"provided\":\"x\"}"},
            NOTIFY_BLOCKED, -1,
            "slack.com: '#deploys': the token lacks a scope (missing_scope: chat:write)",
            "Add the scope 'chat:write' to the Slack app and install it again."},
        {{.reply = "{\"ok\":false,\"error\":\"invalid_auth\"}"}, NOTIFY_BLOCKED, -1,
            "slack.com: '#deploys': the token is not valid (invalid_auth)",
            "Install the Slack app again and store its new bot token (xoxb-…)."},
        {{.reply = "{\"ok\":false,\"error\":\"invalid_blocks\",\"response_metadata\":"
                   "{\"messages\":[\"[ERROR] no more than 50 items allowed "
                   "[json-pointer:/blocks]\"]}}"},
            NOTIFY_REFUSED, -1,
            "slack.com: '#deploys': the message's blocks are not valid (invalid_blocks: [ERROR] no "
            "more than 50 items allowed [json-pointer:/blocks])",
            NULL},
        {{.status = 429,
             .reply_headers = after_7,
             .reply = "{\"ok\":false,\"error\":"
                      "\"ratelimited\"}"},
            NOTIFY_LIMITED, 7000, "slack.com: '#deploys': too many requests (ratelimited)", NULL},
        {{.status = 429,
             .reply_headers = after_7,
             .reply = "{\"ok\":false,\"error\":"
                      "\"internal_error\"}"},
            NOTIFY_LIMITED, 7000,
            "slack.com: '#deploys': too many requests (HTTP 429: internal_error)", NULL},
        {{.status = 429, .reply_headers = after_7}, NOTIFY_LIMITED, 7000,
            "slack.com: '#deploys': too many requests (HTTP 429)", NULL},
        {{.reply_headers = after_7, .reply = "{\"ok\":false,\"error\":\"rate_limited\"}"},
            NOTIFY_LIMITED, 7000, "slack.com: '#deploys': too many messages (rate_limited)", NULL},
        {{.status = 503, .reply = "{\"ok\":false,\"error\":\"not_authed\"}"}, NOTIFY_DOUBT, -1,
            "slack.com: '#deploys': it failed (HTTP 503: not_authed)", NULL},
        {{.status = 500, .reply = "<html>"}, NOTIFY_DOUBT, -1,
            "slack.com: '#deploys': it failed (HTTP 500)", NULL},
        {{.status = 401, .reply = "{\"ok\":false,\"error\":\"token_revoked\"}"}, NOTIFY_BLOCKED, -1,
            "slack.com: '#deploys': the token was revoked (token_revoked)",
            "Install the Slack app again and store its new bot token (xoxb-…)."},
        {{.status = 404, .reply = "{\"ok\":false,\"error\":\"unknown_method\"}"}, NOTIFY_BLOCKED,
            -1, "slack.com: '#deploys': there is nothing at the address (HTTP 404: unknown_method)",
            "Check the address."},
        {{.status = 302}, NOTIFY_BLOCKED, -1,
            "slack.com: '#deploys': it sends elsewhere, which is not followed (HTTP 302)",
            "Write the address that it leads to."},
        {{.failure = "refused"}, NOTIFY_LATER, -1,
            "slack.com: '#deploys': no connection can be made", NULL},
        {{.failure = "reset", .request_left = true}, NOTIFY_DOUBT, -1,
            "slack.com: '#deploys': the connection broke", NULL},
        {{.takes_ms = 10001}, NOTIFY_DOUBT, -1, "slack.com: '#deploys': no answer came in time",
            NULL},
        {{.reply = "{\"ok\":false,\"error\":\"\\u001b[31m<!channel>\\u202e" TOKEN "\"}"},
            NOTIFY_BLOCKED, -1,
            "slack.com: '#deploys': it refuses for a reason not known here (<!channel>***)",
            "Look the word up in Slack's reference; a message that keeps the others waiting can be "
            "discarded."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct stage stage CLEANUP(stage_done) = {0};
        struct slack_posted posted = {0};
        struct script_step step = rows[i].step;
        step.method = HTTP_POST;
        step.url = POST;
        step.must_be_once = true;
        post_one(&step, &stage, &posted);
        assert_result(
            &posted.result, rows[i].verdict, rows[i].after, rows[i].problem, rows[i].hint);
    }
}

// A success that is none of Slack's is no success.
static void
strange_successes(void **state)
{
    (void)state;
    static const char *const replies[] = {"", "ok", "<html>welcome</html>", "[]", "null", "{}",
        "{\"ok\":1}", "{\"ok\":\"true\"}", "{\"ok\":false}", "{\"ok\":true,\"ok\":false}",
        "{\"ok\":true,\"channel\":\"C1\"}", "{\"ok\":true,\"ts\":\"1.2\"}",
        "{\"ok\":true,\"channel\":\"C1\",\"ts\":\"\"}",
        "{\"ok\":true,\"channel\":\"C1\",\"ts\":\"1.2\\n\"}",
        "{\"ok\":true,\"channel\":\"C 1\",\"ts\":\"1.2\"}", "{\"ok\":true,\"channel\":7,\"ts\":8}"};
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        const struct script_step step = {
            .method = HTTP_POST, .url = POST, .must_be_once = true, .reply = replies[i]};
        struct stage stage CLEANUP(stage_done) = {0};
        struct slack_posted posted = {0};
        post_one(&step, &stage, &posted);
        assert_int_equal(posted.result.verdict, NOTIFY_DOUBT);
        bool located = str_contains(str_of(posted.result.problem), STR("where"));
        assert_string_equal(posted.result.problem,
            located ? "slack.com: '#deploys': its answer does not say where the message is"
                    : "slack.com: '#deploys': its answer is none of Slack's");
        assert_int_equal(located, i >= 10);
    }
}

static void
an_answer_over_the_cap_is_in_doubt(void **state)
{
    (void)state;
    char *reply CLEANUP(xfreep) = xmalloc(64 * 1024 + 2);
    memset(reply, ' ', 64 * 1024 + 1);
    reply[64 * 1024 + 1] = '\0';
    const struct script_step step = {
        .method = HTTP_POST, .url = POST, .must_be_once = true, .reply = reply};
    struct stage stage CLEANUP(stage_done) = {0};
    struct slack_posted posted = {0};
    post_one(&step, &stage, &posted);
    assert_result(
        &posted.result, NOTIFY_DOUBT, -1, "slack.com: '#deploys': its answer is too long", NULL);
}

static void
the_channel_is_shown_clean(void **state)
{
    (void)state;
    static const struct script_step step = {
        .method = HTTP_POST, .url = POST, .must_be_once = true, .status = 500};
    struct stage stage CLEANUP(stage_done) = {0};
    struct slack_posted posted = {0};
    stage_init(&stage, &step, 1);
    slack_send(stage.slack,
        &(struct slack_message){.channel = "#a\x1b[31m\nb\xe2\x80\xae", .body = "{}"},
        stage.n->arena, &posted);
    assert_string_equal(posted.result.problem, "slack.com: '#a b': it failed (HTTP 500)");
}

static void
who_the_token_is(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        enum notify_verdict verdict;
        const char *problem, *who;
    } rows[] = {
        {"{\"ok\":true,\"url\":\"https://acme.slack.com/\",\"team\":\"Acme\",\"user\":\"deploys\","
         "\"team_id\":\"T1\",\"user_id\":\"U1\",\"bot_id\":\"B1\"}",
            NOTIFY_DELIVERED, NULL, "bot 'deploys' of 'Acme'"},
        {"{\"ok\":true,\"team\":\"Ac\\u001b[1mme\\n\",\"user\":\"jo\"}", NOTIFY_DELIVERED, NULL,
            "user 'jo' of 'Acme'"},
        {"{\"ok\":false,\"error\":\"account_inactive\"}", NOTIFY_BLOCKED,
            "slack.com: the token's app or workspace is gone (account_inactive)", NULL},
    };
    static const char *const headers[] = {"Authorization: Bearer " TOKEN, "!Content-Type", NULL};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {.method = HTTP_POST,
            .url = "https://slack.com/api/auth.test",
            .headers = headers,
            .no_body = true,
            .reply = rows[i].reply};
        struct stage stage CLEANUP(stage_done) = {0};
        struct notify_result result = {0};
        const char *who = NULL;
        stage_init(&stage, &step, 1);
        slack_check(stage.slack, stage.n->arena, &result, &who);
        assert_int_equal(result.verdict, rows[i].verdict);
        assert_true(cstr_equal(result.problem, rows[i].problem));
        assert_true(cstr_equal(who, rows[i].who));
        notify_fixture_finish(stage.n);
    }
}

static void
addresses(void **state)
{
    (void)state;
    static const struct {
        const char *api, *problem;
    } bad[] = {
        {"http://slack.example/api", "the address of Slack's API 'http://slack.example/api' is not "
                                     "https"},
        {"https://user:canary@slack.example/api",
            "the address of Slack's API holds a user name, a query or a fragment"},
        {"https://slack.example/api?a=canary",
            "the address of Slack's API holds a user name, a query or a fragment"},
        {"https://slack.example/api#canary",
            "the address of Slack's API holds a user name, a query or a fragment"},
    };
    static const char *const good[] = {
        "https://slack.example/api", "https://slack.example/api//", "http://127.0.0.1:8080/api/"};
    static const char *const urls[] = {"https://slack.example/api/auth.test",
        "https://slack.example/api/auth.test", "http://127.0.0.1:8080/api/auth.test"};
    struct secret *token CLEANUP(secret_freep) = secret_new(STR(TOKEN));
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
        struct slack_client *slack CLEANUP(slack_client_freep) = NULL;
        assert_failure(slack_client_new(&n->fake->platform, n->http, bad[i].api, token, &slack),
            ERROR_SPEC, bad[i].problem, NULL);
        assert_null(slack);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        const struct script_step step = {.method = HTTP_POST, .url = urls[i], .status = 500};
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(&step, 1);
        struct slack_client *slack CLEANUP(slack_client_freep) = NULL;
        struct notify_result result = {0};
        const char *who = NULL;
        assert_success(slack_client_new(&n->fake->platform, n->http, good[i], token, &slack));
        slack_check(slack, n->arena, &result, &who);
        notify_fixture_finish(n);
    }
}

static void
a_token_cannot_break_out(void **state)
{
    (void)state;
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    struct secret *token CLEANUP(secret_freep) = secret_new(STR("xoxb-1\r\nX-A: b"));
    struct slack_client *slack CLEANUP(slack_client_freep) = NULL;
    struct notify_result result = {0};
    const char *who = NULL;
    assert_success(slack_client_new(&n->fake->platform, n->http, NULL, token, &slack));
    slack_check(slack, n->arena, &result, &who);
    assert_result(&result, NOTIFY_BLOCKED, -1, "slack.com: the request cannot be sent",
        "Check the address and the credentials.");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_on_the_wire),
        cmocka_unit_test(a_message_that_is_none_is_not_sent),
        cmocka_unit_test(words),
        cmocka_unit_test(answers),
        cmocka_unit_test(strange_successes),
        cmocka_unit_test(an_answer_over_the_cap_is_in_doubt),
        cmocka_unit_test(the_channel_is_shown_clean),
        cmocka_unit_test(who_the_token_is),
        cmocka_unit_test(addresses),
        cmocka_unit_test(a_token_cannot_break_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
