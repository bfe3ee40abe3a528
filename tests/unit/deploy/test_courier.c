// The courier against a town of vendors in memory, on a clock that jumps: rates are kept by a
// thousand deployments at once, what is in doubt is looked for, a sink in trouble rests, and what
// it was to get is there when it is back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "fake_platform.h"
#include "notice_internal.h"
#include "temp_dir.h"

enum { TOWN_MAX = 8192, TAKES_MS = 40 };

enum mood {
    FINE,
    LOSES_ANSWERS, // takes the request, then resets the connection
    UNREACHABLE,
    LIMITS,  // 429, Retry-After: 30
    REVOKED, // {"ok":false,"error":"token_revoked"}
    PICKY,   // refuses blocks
};

// One message of the town's Slack.
struct message {
    char id[64];
    char text[128];
    char ts[32];
    int updates;
};

struct town {
    struct http_transport transport;
    struct fake_platform *fake;
    struct deploy_context *context;
    struct http_client *http;
    struct store *store;
    struct arena *arena;
    char dir[64];
    enum mood slack, pagerduty, webhook;
    int moody; // for so many requests; 0: for ever
    struct message messages[TOWN_MAX];
    size_t message_count;
    int64_t slack_at[TOWN_MAX], pagerduty_at[TOWN_MAX];
    int64_t github_at[TOWN_MAX];
    size_t slack_count, pagerduty_count, webhook_count, github_count, histories, gone;
};

// --- the vendors
// -----------------------------------------------------------------------------------

static void
answer(struct http_exchange *exchange, int status, const char *body)
{
    exchange->response.status = status;
    buf_init(&exchange->response.body, 64 * 1024);
    buf_puts(&exchange->response.body, body);
}

static void
lose(struct http_exchange *exchange, bool left)
{
    exchange->error =
        error_remote(error_new(ERROR_UNAVAILABLE, "connection %s", left ? "reset" : "refused"), 0,
            left ? "reset" : "connect", NULL, left);
}

static struct message *
find_by(struct town *town, const char *id, const char *ts)
{
    for (size_t i = 0; i < town->message_count; i++) {
        struct message *message = &town->messages[i];
        if ((id != NULL && strcmp(message->id, id) == 0) ||
            (ts != NULL && strcmp(message->ts, ts) == 0)) {
            return message;
        }
    }
    return NULL;
}

static void
take_slack(struct town *town, const struct json *body, const char *method, char *ts)
{
    const char *id = json_str(json_path(body, "metadata.event_payload.id"));
    const char *given = json_str(json_get(body, "ts"));
    bool alone = json_get(body, "thread_ts") == NULL;
    assert_false(alone && json_bool(json_get(body, "reply_broadcast"), false));
    struct message *message =
        strcmp(method, "chat.update") == 0 ? find_by(town, NULL, given) : NULL;
    if (message == NULL) {
        assert_true(town->message_count < TOWN_MAX);
        message = &town->messages[town->message_count++];
        snprintf(message->id, sizeof(message->id), "%s", id != NULL ? id : "");
        snprintf(message->ts, sizeof(message->ts), "%lld.%06zu",
            (long long)(town->fake->wall_ms / 1000), town->message_count);
    } else {
        message->updates++;
    }
    snprintf(message->text, sizeof(message->text), "%s", json_str(json_get(body, "text")));
    memcpy(ts, message->ts, sizeof(message->ts));
}

static void
tell_history(struct town *town, struct http_exchange *exchange)
{
    struct json *all = json_make_object(), *list = json_make_array();
    town->histories++;
    for (size_t i = town->message_count; i > 0; i--) {
        struct json *one = json_make_object(), *metadata = json_make_object();
        struct json *payload = json_make_object();
        json_set_str(payload, "id", town->messages[i - 1].id);
        json_set_str(metadata, "event_type", NOTICE_SLACK_EVENT);
        json_set(metadata, "event_payload", payload);
        json_set_str(one, "bot_id", "B0TOWN0001");
        json_set_str(one, "ts", town->messages[i - 1].ts);
        json_set(one, "metadata", metadata);
        json_append(list, one);
    }
    json_set_bool(all, "ok", true);
    json_set(all, "messages", list);
    char *text CLEANUP(xfreep) = json_text(all);
    answer(exchange, 200, text);
    json_free(all);
}

static void
serve_slack(struct town *town, struct http_exchange *exchange, const char *method)
{
    struct json *body CLEANUP(json_freep) = NULL;
    char ts[32] = "";
    if (str_starts(str_of(method), STR("users.conversations"))) {
        answer(exchange, 200,
            "{\"ok\":true,\"channels\":[{\"id\":\"C0DEPLOYS1\",\"name\":\"deploys\"}]}");
        return;
    }
    if (str_starts(str_of(method), STR("conversations."))) {
        tell_history(town, exchange);
        return;
    }
    assert_null(json_parse(exchange->request->body, &json_limits_default, &body));
    assert_true(town->slack_count < TOWN_MAX);
    town->slack_at[town->slack_count++] = town->fake->wall_ms;
    if (town->slack == REVOKED) {
        answer(exchange, 200, "{\"ok\":false,\"error\":\"token_revoked\"}");
    } else if (town->slack == PICKY && json_get(body, "blocks") != NULL) {
        answer(exchange, 200, "{\"ok\":false,\"error\":\"invalid_blocks\"}");
    } else if (town->gone > 0 &&
               (strcmp(method, "chat.update") == 0 || json_get(body, "thread_ts") != NULL)) {
        town->gone--;
        answer(exchange, 200,
            json_get(body, "thread_ts") != NULL ? "{\"ok\":false,\"error\":\"thread_not_found\"}"
                                                : "{\"ok\":false,\"error\":\"message_not_found\"}");
    } else {
        take_slack(town, body, method, ts);
        char *text CLEANUP(xfreep) =
            xasprintf("{\"ok\":true,\"channel\":\"C0DEPLOYS1\",\"ts\":\"%s\"}", ts);
        answer(exchange, 200, text);
    }
}

static void
serve_other(struct town *town, struct http_exchange *exchange)
{
    if (strstr(exchange->request->url, "/github/") != NULL) {
        assert_true(town->github_count < TOWN_MAX);
        town->github_at[town->github_count++] = town->fake->wall_ms;
        answer(exchange, 201, "{\"id\":1}");
    } else if (strstr(exchange->request->url, "pagerduty") != NULL) {
        assert_true(town->pagerduty_count < TOWN_MAX);
        town->pagerduty_at[town->pagerduty_count++] = town->fake->wall_ms;
        answer(exchange, 202, "{\"status\":\"success\",\"message\":\"Event processed\"}");
    } else {
        town->webhook_count++;
        answer(exchange, 204, "");
    }
}

static void
serve(struct town *town, struct http_exchange *exchange)
{
    const char *slack = strstr(exchange->request->url, "/slack/api/");
    enum mood mood = slack != NULL                                         ? town->slack
                     : strstr(exchange->request->url, "pagerduty") != NULL ? town->pagerduty
                                                                           : town->webhook;
    fake_platform_advance(town->fake, TAKES_MS);
    if (mood == UNREACHABLE) {
        lose(exchange, false);
    } else if (mood == LIMITS) {
        answer(exchange, 429, "{}");
        http_headers_add(&exchange->response.headers, "Retry-After", "30");
    } else if (slack != NULL) {
        serve_slack(town, exchange, slack + strlen("/slack/api/"));
    } else {
        serve_other(town, exchange);
    }
    if (mood == LOSES_ANSWERS && strstr(exchange->request->url, "conversations.") == NULL) {
        http_response_done(&exchange->response);
        exchange->response = (struct http_response){0};
        lose(exchange, true);
    }
    if (mood != FINE && town->moody > 0 && --town->moody == 0) {
        town->slack = town->pagerduty = town->webhook = FINE;
    }
}

static struct error *
perform(struct http_transport *transport, const struct http_flow *flow)
{
    struct town *town = (struct town *)transport;
    int64_t again_ms = INT64_MAX;
    for (struct http_exchange *exchange = flow->next(flow->ctx, &again_ms); exchange != NULL;
         exchange = flow->next(flow->ctx, &again_ms)) {
        serve(town, exchange);
        flow->ended(flow->ctx, exchange);
    }
    return NULL;
}

static void
keep(struct http_transport *transport)
{
    (void)transport;
}

static int
set_up(void **state)
{
    static const char *const env[] = {"SLACK_API_URL=https://town.example/slack/api/",
        "PAGERDUTY_EVENTS_URL=https://town.example/pagerduty", "SLACK_TOKEN=xoxb-town-0123456789",
        "PD_KEY=0123456789abcdef0123456789abcdef", "GITHUB_TOKEN=ghp_town0123456789abcdef", NULL};
    struct town *town = xcalloc(1, sizeof(*town));
    // In memory: a thousand deployments make thousands of durable writes.
    snprintf(town->dir, sizeof(town->dir), "/dev/shm/dispatcher-test-XXXXXX");
    assert_non_null(mkdtemp(town->dir));
    char *path CLEANUP(xfreep) = xasprintf("%s/state.db", town->dir);
    town->fake = fake_platform_new(env);
    town->transport = (struct http_transport){perform, keep, NULL};
    town->fake->platform.transport = &town->transport;
    town->arena = arena_new();
    assert_null(
        http_client_new(&town->fake->platform, &(struct http_client_options){0}, &town->http));
    const struct deploy_context_options options = {
        .platform = &town->fake->platform, .http = town->http, .state_path = path};
    town->context = deploy_context_new(&options);
    assert_null(deploy_store(town->context, &town->store));
    *state = town;
    return 0;
}

static int
tear_down(void **state)
{
    struct town *town = *state;
    char *dir = xstrdup(town->dir);
    deploy_context_free(town->context);
    http_client_free(town->http);
    arena_free(town->arena);
    fake_platform_free(town->fake);
    free(town);
    temp_dir_removep(&dir);
    return 0;
}

// --- notices
// ---------------------------------------------------------------------------------------

static const char *
target_of(struct town *town, const struct deployment_sink *sink)
{
    struct deployment_sink copy = *sink;
    const struct deployment target = {.id = "d-0123456789",
        .app = "shop",
        .env = "production",
        .version = "v1",
        .sinks = {&copy, 1}};
    struct json *object CLEANUP(json_freep) = deployment_encode(&target);
    char *text CLEANUP(xfreep) = json_text(object);
    return arena_dup(town->arena, text);
}

static struct store_notice
slack_card(struct town *town, const char *id, const char *text)
{
    static const struct deployment_sink sink = {
        .name = "deploys", .kind = "slack", .token = "env:SLACK_TOKEN", .channel = "#deploys"};
    struct deployment_sink with_id = sink;
    struct store_notice notice = {.key = arena_printf(town->arena, "%s/deploys/card", id),
        .deployment = id,
        .sink = "deploys",
        .lane = "slack:env:SLACK_TOKEN:#deploys",
        .kind = "slack-card",
        .priority = 1,
        .replaces = true,
        .body = arena_printf(town->arena,
            "{\"text\":\"%s\",\"blocks\":[],\"metadata\":{\"event_type\":\"" NOTICE_SLACK_EVENT
            "\",\"event_payload\":{\"id\":\"%s\"}}}",
            text, id)};
    const struct deployment target = {
        .id = id, .app = "shop", .env = "production", .version = "v1", .sinks = {&with_id, 1}};
    struct json *object CLEANUP(json_freep) = deployment_encode(&target);
    char *printed CLEANUP(xfreep) = json_text(object);
    notice.target = arena_dup(town->arena, printed);
    return notice;
}

static struct store_notice
pagerduty_change(struct town *town, const char *id)
{
    static const struct deployment_sink sink = {
        .name = "oncall", .kind = "pagerduty", .routing_key = "env:PD_KEY"};
    return (struct store_notice){.key = arena_printf(town->arena, "%s/oncall/change", id),
        .deployment = id,
        .sink = "oncall",
        .lane = "pagerduty:env:PD_KEY",
        .kind = "pagerduty-change",
        .priority = 1,
        .target = target_of(town, &sink),
        .body = "{\"payload\":{\"summary\":\"shop\"}}"};
}

static struct store_notice
webhook_event(struct town *town, const char *id)
{
    static const struct deployment_sink sink = {
        .name = "audit", .kind = "webhook", .url = "https://hooks.town.example/audit"};
    return (struct store_notice){.key = arena_printf(town->arena, "%s/audit/deployed", id),
        .deployment = id,
        .sink = "audit",
        .lane = "webhook:hooks.town.example",
        .kind = "webhook-event",
        .priority = 1,
        .target = target_of(town, &sink),
        .body = arena_printf(town->arena, "{\"id\":\"%s/deployed\"}", id)};
}

static struct store_notice
github_status(struct town *town, const char *id)
{
    struct deployment_sink sink = {.name = "github", .kind = "github", .status = true};
    const struct deployment target = {.id = id,
        .app = "shop",
        .env = "production",
        .version = "v1",
        .repository = "acme/shop",
        .github_api = "https://town.example/github",
        .sinks = {&sink, 1}};
    struct json *object CLEANUP(json_freep) = deployment_encode(&target);
    char *text CLEANUP(xfreep) = json_text(object);
    return (struct store_notice){.key = arena_printf(town->arena, "%s/github/status", id),
        .deployment = id,
        .sink = "github",
        .lane = "github:town.example/acme",
        .kind = "github-status",
        .priority = 1,
        .replaces = true,
        .target = arena_dup(town->arena, text),
        .body = "{\"sha\":\"8f14e45fceea167a5a36dedd4bea2543b1a4d3c1\",\"state\":\"success\","
                "\"context\":\"dispatcher/shop/production\",\"description\":\"deployed\"}"};
}

static void
add(struct town *town, struct store_notice notice)
{
    assert_null(store_outbox_add(town->store, &notice, 1, false, town->fake->wall_ms));
}

// Goes from round to round until nothing is due within `ms`.
static void
run_for(struct town *town, int64_t ms)
{
    int64_t until = town->fake->wall_ms + ms, next = 0;
    for (;;) {
        assert_null(courier_round(town->context, &next));
        if (next > until) {
            return;
        }
        if (next > town->fake->wall_ms) {
            fake_platform_advance(town->fake, next - town->fake->wall_ms);
        }
    }
}

static size_t
undelivered(struct town *town)
{
    struct store_outbox_row *rows = NULL;
    size_t count = 0;
    const struct store_outbox_filter filter = {.undelivered = true, .limit = 100000};
    assert_null(store_outbox_list(town->store, &filter, town->arena, &rows, &count));
    return count;
}

static size_t
most_within(const int64_t *at, size_t count, int64_t window_ms)
{
    size_t most = 0, first = 0;
    for (size_t i = 0; i < count; i++) {
        while (at[i] - at[first] >= window_ms) {
            first++;
        }
        most = i - first + 1 > most ? i - first + 1 : most;
    }
    return most;
}

// --- stories
// ---------------------------------------------------------------------------------------

static void
a_thousand_deployments_at_once_keep_to_every_rate(void **state)
{
    enum { MANY = 1000 };
    struct town *town = *state;
    for (int i = 0; i < MANY; i++) {
        const char *id = arena_printf(town->arena, "d-%010d", i);
        add(town, slack_card(town, id, "under way"));
        add(town, pagerduty_change(town, id));
        add(town, webhook_event(town, id));
    }
    run_for(town, 200 * 1000);
    for (int i = 0; i < MANY; i++) { // all of them end while most cards are not posted yet
        add(town, slack_card(town, arena_printf(town->arena, "d-%010d", i), "deployed"));
    }
    run_for(town, 3600 * 1000);
    assert_int_equal(undelivered(town), 0);
    assert_int_equal(town->message_count, MANY); // one message a deployment
    for (size_t i = 0; i < town->message_count; i++) {
        assert_string_equal(town->messages[i].text, "deployed");
        assert_true(town->messages[i].updates <= 1);
    }
    assert_int_equal(town->pagerduty_count, MANY);
    assert_int_equal(town->webhook_count, MANY);
    assert_int_equal(most_within(town->slack_at, town->slack_count, 1000), 1);
    assert_true(most_within(town->pagerduty_at, town->pagerduty_count, 60000) <= 120);
    assert_true(most_within(town->pagerduty_at, town->pagerduty_count, 60000) >= 100);
}

// At most 80 creations a minute and 500 an hour: more may get an integration banned.
static void
github_is_asked_within_its_secondary_limits(void **state)
{
    enum { MANY = 600 };
    struct town *town = *state;
    for (int i = 0; i < MANY; i++) {
        add(town, github_status(town, arena_printf(town->arena, "d-%010d", i)));
    }
    run_for(town, 3 * 3600 * 1000);
    assert_int_equal(undelivered(town), 0);
    assert_int_equal(town->github_count, MANY);
    assert_true(most_within(town->github_at, town->github_count, 60 * 1000) <= 80);
    assert_true(most_within(town->github_at, town->github_count, 3600 * 1000) <= 500);
    assert_true(most_within(town->github_at, town->github_count, 3600 * 1000) >= 400);
}

static void
an_answer_that_is_lost_posts_no_second_message(void **state)
{
    struct town *town = *state;
    town->slack = LOSES_ANSWERS;
    town->moody = 1;
    add(town, slack_card(town, "d-0000000001", "under way"));
    run_for(town, 60 * 1000);
    assert_int_equal(town->histories, 1);
    assert_int_equal(town->message_count, 1);
    assert_int_equal(town->messages[0].updates, 1); // found, and brought up to date
    assert_int_equal(undelivered(town), 0);
}

// What bears our mark and cannot be updated may be somebody else's: it keeps nobody from being
// told.
static void
a_message_that_was_found_and_is_not_ours_is_posted(void **state)
{
    struct town *town = *state;
    town->slack = LOSES_ANSWERS;
    town->moody = 1;
    town->gone = 1;
    add(town, slack_card(town, "d-0000000001", "under way"));
    run_for(town, 60 * 1000);
    assert_int_equal(town->histories, 1);
    assert_int_equal(town->message_count, 2);
    assert_int_equal(undelivered(town), 0);
}

static void
a_courier_that_died_after_sending_posts_no_second_message(void **state)
{
    struct town *town = *state;
    struct store_outbox_row *row = NULL;
    struct store_lane lane = {0};
    char ts[32];
    const struct store_notice notice = slack_card(town, "d-0000000001", "under way");
    struct json *body CLEANUP(json_freep) = NULL;
    add(town, notice);
    int64_t now = town->fake->wall_ms;
    assert_null(store_outbox_next(town->store, notice.lane, now, town->arena, &row));
    assert_null(store_lane_get(town->store, notice.lane, town->arena, &lane));
    assert_null(store_outbox_begin(town->store, row, &lane, now));
    assert_null(json_parse(str_of(notice.body), &json_limits_default, &body));
    take_slack(town, body, "chat.postMessage", ts); // it arrived, and then kill -9
    run_for(town, 60 * 1000);
    assert_int_equal(town->message_count, 1);
    assert_int_equal(undelivered(town), 0);
}

static void
a_revoked_token_blocks_until_it_is_mended_and_nothing_is_lost(void **state)
{
    struct town *town = *state;
    struct store_lane *lanes = NULL;
    size_t count = 0;
    town->slack = REVOKED;
    add(town, slack_card(town, "d-0000000001", "under way"));
    add(town, webhook_event(town, "d-0000000001"));
    run_for(town, 3600 * 1000);
    assert_int_equal(town->webhook_count, 1); // others are told
    assert_int_equal(town->message_count, 0);
    assert_true(town->slack_count >= 6 && town->slack_count <= 16); // and it is not hammered
    assert_null(store_lanes_in_trouble(town->store, town->arena, &lanes, &count));
    assert_int_equal(count, 1);
    assert_non_null(strstr(lanes[0].problem, "token_revoked"));
    assert_string_equal(lanes[0].sink, "deploys");
    town->slack = FINE;
    add(town, slack_card(town, "d-0000000001", "deployed"));
    run_for(town, 3600 * 1000);
    assert_int_equal(town->message_count, 1);
    assert_string_equal(town->messages[0].text, "deployed");
    assert_null(store_lanes_in_trouble(town->store, town->arena, &lanes, &count));
    assert_int_equal(count, 0);
}

static void
retry_after_is_obeyed(void **state)
{
    struct town *town = *state;
    int64_t start = town->fake->wall_ms;
    town->pagerduty = LIMITS;
    town->moody = 1;
    add(town, pagerduty_change(town, "d-0000000001"));
    add(town, pagerduty_change(town, "d-0000000002"));
    run_for(town, 60 * 1000);
    assert_int_equal(town->pagerduty_count, 2);
    assert_true(town->pagerduty_at[0] >= start + 30 * 1000);
    assert_true(town->pagerduty_at[0] < start + 31 * 1000);
}

static void
a_sink_that_cannot_be_reached_is_tried_ever_more_rarely(void **state)
{
    struct town *town = *state;
    int64_t start = town->fake->wall_ms;
    town->webhook = UNREACHABLE;
    town->moody = 6;
    add(town, webhook_event(town, "d-0000000001"));
    run_for(town, 3600 * 1000);
    assert_int_equal(town->webhook_count, 1);
    // Six rests of 1, 2, 4, … 32 s, each at least half of that.
    assert_true(town->fake->wall_ms - start >= 31 * 1000);
    assert_true(town->fake->wall_ms - start <= 70 * 1000);
    assert_int_equal(undelivered(town), 0);
}

// Whatever hung before: of a courier's threads, one a sink is free for what is well.
static void
a_lane_in_trouble_is_left_to_those_that_are_there_for_it(void **state)
{
    struct town *town = *state;
    int64_t next = 0;
    town->webhook = UNREACHABLE;
    town->moody = 1;
    add(town, webhook_event(town, "d-0000000001"));
    assert_null(courier_round(town->context, &next));
    assert_int_equal(town->webhook_count, 0);
    fake_platform_advance(town->fake, 3600 * 1000);
    town->context->lanes = COURIER_WELL;
    add(town, slack_card(town, "d-0000000001", "under way"));
    assert_null(courier_round(town->context, &next));
    assert_int_equal(town->message_count, 1);
    assert_int_equal(town->webhook_count, 0);
    add(town, pagerduty_change(town, "d-0000000001"));
    town->context->lanes = COURIER_IN_TROUBLE;
    assert_null(courier_round(town->context, &next));
    assert_int_equal(town->webhook_count, 1);
    assert_int_equal(town->pagerduty_count, 0); // that one is well
    town->context->lanes = COURIER_WELL;        // and so is the other now
    fake_platform_advance(town->fake, 1000);
    add(town, webhook_event(town, "d-0000000002"));
    assert_null(courier_round(town->context, &next));
    assert_int_equal(town->webhook_count, 2);
}

static void
a_message_that_was_deleted_is_posted_again(void **state)
{
    struct town *town = *state;
    add(town, slack_card(town, "d-0000000001", "under way"));
    run_for(town, 10 * 1000);
    town->gone = 1;
    add(town, slack_card(town, "d-0000000001", "deployed"));
    run_for(town, 10 * 1000);
    assert_int_equal(town->message_count, 2);
    assert_string_equal(town->messages[1].text, "deployed");
    assert_int_equal(undelivered(town), 0);
}

static void
an_answer_to_a_card_that_was_deleted_stands_for_itself(void **state)
{
    struct town *town = *state;
    add(town, slack_card(town, "d-0000000001", "deployed"));
    run_for(town, 10 * 1000);
    struct store_notice answer = slack_card(town, "d-0000000001/deployed", "details");
    answer.key = "d-0000000001/deploys/thread-deployed";
    answer.kind = "slack-thread";
    answer.body = "{\"text\":\"details\",\"reply_broadcast\":true}";
    answer.after = "d-0000000001/deploys/card";
    answer.replaces = false;
    town->gone = 1;
    add(town, answer);
    run_for(town, 10 * 1000);
    assert_int_equal(town->message_count, 2);
    assert_string_equal(town->messages[1].text, "details");
    assert_int_equal(undelivered(town), 0);
}

static void
blocks_that_are_refused_leave_the_text(void **state)
{
    struct town *town = *state;
    town->slack = PICKY;
    add(town, slack_card(town, "d-0000000001", "deployed"));
    run_for(town, 10 * 1000);
    assert_int_equal(town->message_count, 1);
    assert_string_equal(town->messages[0].text, "deployed");
    assert_int_equal(undelivered(town), 0);
}

static void
a_missing_secret_is_said_and_waits(void **state)
{
    struct town *town = *state;
    struct deploy_untold *untold = NULL;
    size_t count = 0;
    static const char *const env[] = {"SLACK_API_URL=https://town.example/slack/api/", NULL};
    fake_platform_set_env(town->fake, env);
    add(town, slack_card(town, "d-0000000001", "under way"));
    run_for(town, 0);
    assert_null(deploy_untold(town->context, "d-0000000001", town->arena, &untold, &count));
    assert_int_equal(count, 1);
    assert_string_equal(untold[0].sink, "deploys");
    assert_false(untold[0].is_refused);
    assert_non_null(strstr(untold[0].problem, "read 'env:SLACK_TOKEN'"));
    assert_int_equal(town->slack_count, 0);
}

static void
a_kind_of_a_later_release_is_refused_alone(void **state)
{
    struct town *town = *state;
    struct store_notice strange = webhook_event(town, "d-0000000001");
    strange.kind = "carrier-pigeon";
    strange.key = "strange";
    add(town, strange);
    add(town, webhook_event(town, "d-0000000001"));
    run_for(town, 10 * 1000);
    assert_int_equal(town->webhook_count, 1);
    assert_int_equal(undelivered(town), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_thousand_deployments_at_once_keep_to_every_rate),
        TEST(github_is_asked_within_its_secondary_limits),
        TEST(an_answer_that_is_lost_posts_no_second_message),
        TEST(a_message_that_was_found_and_is_not_ours_is_posted),
        TEST(a_courier_that_died_after_sending_posts_no_second_message),
        TEST(a_revoked_token_blocks_until_it_is_mended_and_nothing_is_lost),
        TEST(retry_after_is_obeyed),
        TEST(a_sink_that_cannot_be_reached_is_tried_ever_more_rarely),
        TEST(a_lane_in_trouble_is_left_to_those_that_are_there_for_it),
        TEST(a_message_that_was_deleted_is_posted_again),
        TEST(an_answer_to_a_card_that_was_deleted_stands_for_itself),
        TEST(blocks_that_are_refused_leave_the_text),
        TEST(a_missing_secret_is_said_and_waits),
        TEST(a_kind_of_a_later_release_is_refused_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
