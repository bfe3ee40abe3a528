// Slack's notices: a card that is posted once and updated in place, an answer in its thread, and
// the single message of an incoming webhook. After a doubt the channel's history is searched for
// the card's mark; where that may not be read it is posted again, since a report that is lost is
// worse.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/slack.h"
#include "notice_internal.h"

// About a message a second and channel (docs.slack.dev, rate limits).
#define CHANNEL_RATE                                                                               \
    {                                                                                              \
        .every_ms = 1000, .burst = 1                                                               \
    }

static bool
open_client(const struct delivery *delivery, struct slack_client **client, struct delivered *out)
{
    struct secret *token CLEANUP(secret_freep) = NULL;
    struct deploy_context *context = delivery->context;
    if (!courier_secret(delivery, delivery->sink->token, &token, out)) {
        return false;
    }
    struct error *err = slack_client_new(context->platform, context->http,
        env_get(context->platform, "SLACK_API_URL"), token, client);
    if (err != NULL) {
        courier_blocked(delivery, err, out);
    }
    return err == NULL;
}

// Looking a message up needs the channel's id; a name was turned into one by whatever we sent there
// before.
static const char *
channel_id(const struct delivery *delivery)
{
    const char *channel = delivery->sink->channel;
    struct store *store = NULL;
    struct store_outbox_row *rows = NULL;
    size_t count = 0;
    const struct store_outbox_filter filter = {.lane = delivery->row->notice.lane, .limit = 100};
    if (channel == NULL || channel[0] != '#') {
        return channel;
    }
    struct error *err CLEANUP(error_freep) = deploy_store(delivery->context, &store);
    if (err == NULL) {
        err = store_outbox_list(store, &filter, delivery->arena, &rows, &count);
    }
    for (size_t i = 0; i < count; i++) {
        const char *id = courier_member(delivery, rows[i].reference, "channel");
        if (id != NULL) {
            return id;
        }
    }
    return channel;
}

static const char *
reference_of(const struct delivery *delivery, const struct slack_posted *posted)
{
    if (posted->ts == NULL) {
        return NULL;
    }
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    json_set_str(object, "channel", posted->channel);
    json_set_str(object, "ts", posted->ts);
    json_print(object, false, &text);
    return arena_str(delivery->arena, buf_str(&text));
}

// A message whose blocks Slack will not have is still worth its text.
static void
send(const struct delivery *delivery, struct slack_client *client, struct slack_message *message,
    struct delivered *out)
{
    struct slack_posted posted = {0};
    slack_send(client, message, delivery->arena, &posted);
    if (posted.result.verdict == NOTIFY_REFUSED) {
        struct json *body CLEANUP(json_freep) = NULL;
        struct error *err CLEANUP(error_freep) =
            json_parse(str_of(message->body), &json_limits_default, &body);
        if (err == NULL) {
            struct json *plain CLEANUP(json_freep) = notice_slack_plain(body);
            char *text CLEANUP(xfreep) = json_text(plain);
            message->body = arena_dup(delivery->arena, text);
            slack_send(client, message, delivery->arena, &posted);
            out->cost++;
        }
    }
    out->result = posted.result;
    out->reference = reference_of(delivery, &posted);
}

// The mark that a message carries in its metadata.
static const char *
mark_of(const struct delivery *delivery)
{
    struct json *object CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(delivery->row->notice.body), &json_limits_default, &object);
    const char *id = err == NULL ? json_str(json_path(object, "metadata.event_payload.id")) : NULL;
    return arena_dup(delivery->arena, id != NULL ? id : delivery->target->id);
}

// Did an earlier attempt arrive? False: the lookup itself met a passing trouble, nothing is sent.
static bool
look_back(const struct delivery *delivery, struct slack_client *client, const char *channel,
    const char *thread, struct slack_message *message, struct delivered *out)
{
    struct slack_posted found = {0};
    if (!delivery->row->began || message->ts != NULL) {
        return true;
    }
    const struct slack_search search = {.channel = channel,
        .thread = thread,
        .oldest_ms = delivery->row->begun_ms,
        .event_type = NOTICE_SLACK_EVENT,
        .id = mark_of(delivery)};
    slack_find(client, &search, delivery->arena, &found);
    enum notify_verdict verdict = found.result.verdict;
    if (verdict == NOTIFY_LATER || verdict == NOTIFY_LIMITED || verdict == NOTIFY_DOUBT) {
        out->result = found.result;
        return false;
    }
    out->looked = verdict == NOTIFY_DELIVERED;
    if (found.ts != NULL) {
        message->ts = found.ts;
        message->channel = found.channel != NULL ? found.channel : channel;
    }
    return true;
}

static void
deliver_card(const struct delivery *delivery, struct delivered *out)
{
    struct slack_client *client CLEANUP(slack_client_freep) = NULL;
    const char *reference = delivery->row->reference;
    struct slack_message message = {.body = delivery->row->notice.body,
        .channel = courier_member(delivery, reference, "channel"),
        .ts = courier_member(delivery, reference, "ts")};
    if (message.ts == NULL || message.channel == NULL) {
        message.ts = NULL;
        message.channel = delivery->sink->channel;
    }
    if (!open_client(delivery, &client, out) ||
        !look_back(delivery, client, channel_id(delivery), NULL, &message, out)) {
        return;
    }
    send(delivery, client, &message, out);
    if (out->result.verdict == NOTIFY_ABSENT && reference == NULL && message.ts != NULL) {
        message.ts = NULL; // what bears our mark is not ours after all
        message.channel = delivery->sink->channel;
        send(delivery, client, &message, out);
        out->cost++;
    }
}

static bool
is_broadcast(const char *body)
{
    struct json *object CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(body), &json_limits_default, &object);
    return err == NULL && json_bool(json_get(object, "reply_broadcast"), false);
}

// The answer of a card that could never be posted stands for itself.
static void
deliver_thread(const struct delivery *delivery, struct delivered *out)
{
    struct slack_client *client CLEANUP(slack_client_freep) = NULL;
    const char *card = delivery->row->after_reference;
    struct slack_message message = {.body = delivery->row->notice.body,
        .channel = courier_member(delivery, card, "channel"),
        .thread = courier_member(delivery, card, "ts")};
    if (message.thread == NULL || message.channel == NULL) {
        message.thread = NULL;
        message.channel = delivery->sink->channel;
    }
    message.broadcast = message.thread != NULL && is_broadcast(message.body);
    if (!open_client(delivery, &client, out) ||
        !look_back(delivery, client, message.channel, message.thread, &message, out)) {
        return;
    }
    if (message.ts != NULL && out->looked) { // it is there, and an answer does not change
        out->result = (struct notify_result){.verdict = NOTIFY_DELIVERED};
        return;
    }
    send(delivery, client, &message, out);
    if (out->result.verdict == NOTIFY_ABSENT && message.thread != NULL) {
        message.thread = NULL; // somebody deleted the card
        message.broadcast = false;
        message.channel = delivery->sink->channel;
        send(delivery, client, &message, out);
        out->cost++;
    }
}

// The reference may be an app's own: the organisation's list of hosts counts for what it leads to.
static bool
leads_to_private(const struct delivery *delivery, const struct secret *address)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(4096);
    buf_add(&text, secret_expose(address));
    return spec_host_is_listed(&delivery->sink->private_hosts, buf_cstr(&text));
}

static void
deliver_single(const struct delivery *delivery, struct delivered *out)
{
    struct secret *url CLEANUP(secret_freep) = NULL;
    struct deploy_context *context = delivery->context;
    if (courier_secret(delivery, delivery->sink->url, &url, out)) {
        const struct slack_webhook webhook = {.url = url,
            .to_private = leads_to_private(delivery, url),
            .body = delivery->row->notice.body};
        slack_webhook_send(
            context->platform, context->http, &webhook, delivery->arena, &out->result);
    }
}

const struct sink_ops sink_slack_card = {
    .kind = "slack-card", .short_rate = CHANNEL_RATE, .deliver = deliver_card};
const struct sink_ops sink_slack_thread = {
    .kind = "slack-thread", .short_rate = CHANNEL_RATE, .deliver = deliver_thread};
const struct sink_ops sink_slack_single = {
    .kind = "slack-message", .short_rate = CHANNEL_RATE, .deliver = deliver_single};
