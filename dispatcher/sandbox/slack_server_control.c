// POST /_sandbox/slack, and what the inbox shows of Slack. An order changes only what it names:
//
//     {"token":    "good" | "revoked" | "inactive",
//      "scopes":   ["chat:write", "channels:history"],
//      "channels": [{"name": "deploys", "id": "C0…", "private": false, "archived": true,
//                    "deleted": false, "member": false}],     those that are not there are made
//      "rate":     {"per_second": 1, "burst": 5, "calls_a_minute": 50},     null: none
//      "edits":    "open" | "closed",
//      "webhook":  {"channel": "#deploys", "removed": false, "prohibited": false,
//                   "errors_as_200": true},
//      "fail":     {"what": "chat.*", "count": 2, "error": "fatal_error", "status": 503, "body":
//      "…",
//                   "retry_after": 3}}
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "slack_server_internal.h"

// --- orders
// ---------------------------------------------------------------------------------------

static const char *
take_token(struct slack_state *slack, const struct json *value)
{
    static const char *const words[] = {[SLACK_TOKEN_GOOD] = "good",
        [SLACK_TOKEN_REVOKED] = "revoked",
        [SLACK_TOKEN_INACTIVE] = "inactive"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (cstr_equal(json_str(value), words[i])) {
            slack->token_state = (enum slack_token)i;
            return NULL;
        }
    }
    return "'token' is \"good\", \"revoked\" or \"inactive\"";
}

static const char *
take_scopes(struct slack_state *slack, const struct json *value)
{
    for (size_t i = 0; i < json_count(value); i++) {
        if (json_str(json_at(value, i)) == NULL) {
            return "'scopes' is a list of texts";
        }
    }
    if (!json_is_array(value)) {
        return "'scopes' is a list of texts";
    }
    json_free(slack->scopes);
    slack->scopes = json_clone(value);
    return NULL;
}

static struct slack_channel *
find_or_add(struct slack_state *slack, const char *id, const char *name)
{
    struct slack_channel *channel =
        id != NULL ? sandbox_slack_channel(slack, id) : sandbox_slack_channel_named(slack, name);
    if (channel != NULL && channel->is_deleted && id == NULL) {
        channel = NULL; // another one of that name
    }
    if (channel == NULL && name != NULL) {
        channel = sandbox_slack_add_channel(slack, id, name[0] == '#' ? name + 1 : name);
    }
    return channel;
}

static const char *
take_channels(struct slack_state *slack, const struct json *value)
{
    if (!json_is_array(value)) {
        return "'channels' is a list";
    }
    for (size_t i = 0; i < json_count(value); i++) {
        const struct json *item = json_at(value, i);
        struct slack_channel *channel =
            find_or_add(slack, json_str(json_get(item, "id")), json_str(json_get(item, "name")));
        if (channel == NULL) {
            return "a channel has no 'name', nor the 'id' of one that is there";
        }
        channel->is_private = json_bool(json_get(item, "private"), channel->is_private);
        channel->is_archived = json_bool(json_get(item, "archived"), channel->is_archived);
        channel->is_deleted = json_bool(json_get(item, "deleted"), channel->is_deleted);
        channel->has_bot = json_bool(json_get(item, "member"), channel->has_bot);
    }
    return NULL;
}

static const char *
take_rate(struct slack_state *slack, const struct json *value)
{
    if (json_is_null(value)) {
        slack->per_second = 0;
        slack->calls_a_minute = 0;
        return NULL;
    }
    double per_second = json_number(json_get(value, "per_second"), slack->per_second);
    int64_t burst = json_int(json_get(value, "burst"), slack->burst),
            calls = json_int(json_get(value, "calls_a_minute"), slack->calls_a_minute);
    if (!json_is_object(value) || per_second < 0 || burst < 1 || calls < 0) {
        return "'rate' is null, or has 'per_second', 'burst' from 1 on and 'calls_a_minute'";
    }
    slack->per_second = per_second;
    slack->burst = burst;
    slack->calls_a_minute = calls;
    return NULL;
}

static const char *
take_edits(struct slack_state *slack, const struct json *value)
{
    bool closes = cstr_equal(json_str(value), "closed");
    if (!closes && !cstr_equal(json_str(value), "open")) {
        return "'edits' is \"open\" or \"closed\"";
    }
    slack->edits_closed = closes;
    return NULL;
}

static const char *
take_webhook(struct slack_state *slack, const struct json *value)
{
    const char *name = json_str(json_get(value, "channel"));
    const struct slack_channel *channel =
        name != NULL ? sandbox_slack_channel_named(slack, name) : NULL;
    if (!json_is_object(value) || (name != NULL && channel == NULL)) {
        return "'webhook' is an object, and its 'channel' one that is there";
    }
    if (channel != NULL) {
        free(slack->hook_channel);
        slack->hook_channel = xstrdup(channel->id);
    }
    slack->hook_removed = json_bool(json_get(value, "removed"), slack->hook_removed);
    slack->hook_prohibited = json_bool(json_get(value, "prohibited"), slack->hook_prohibited);
    slack->hook_errors_as_200 =
        json_bool(json_get(value, "errors_as_200"), slack->hook_errors_as_200);
    return NULL;
}

static const char *
take_failure(struct slack_state *slack, const struct json *value)
{
    return sandbox_inbox_take_failure(value, &slack->failure);
}

static const struct {
    const char *key;
    const char *(*take)(struct slack_state *slack, const struct json *value);
} orders[] = {
    {"token", take_token},
    {"scopes", take_scopes},
    {"channels", take_channels},
    {"rate", take_rate},
    {"edits", take_edits},
    {"webhook", take_webhook},
    {"fail", take_failure},
};

void
sandbox_slack_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const char *problem = order == NULL ? "not a JSON object" : NULL;
    for (size_t i = 0; problem == NULL && i < ARRAY_LENGTH(orders); i++) {
        const struct json *value = json_get(order, orders[i].key);
        problem = value != NULL ? orders[i].take(sandbox->slack, value) : NULL;
    }
    if (problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", problem);
    } else {
        response->status = 204;
    }
}

// --- what was got
// ---------------------------------------------------------------------------------

static struct json *
revision_json(const struct slack_revision *revision)
{
    struct json *item = json_make_object();
    sandbox_inbox_set_time(item, revision->at_ms);
    json_set_str(item, "text", revision->text);
    json_set(item, "blocks",
        revision->blocks != NULL ? json_clone(revision->blocks) : json_make_array());
    json_set(item, "attachments",
        revision->attachments != NULL ? json_clone(revision->attachments) : json_make_array());
    json_set(item, "metadata",
        revision->metadata != NULL ? json_clone(revision->metadata) : json_make_null());
    return item;
}

// What is shown now, and every revision up to it; replies below the message that they answer.
static struct json *
message_json(const struct slack_channel *channel, const struct slack_message *message)
{
    struct json *item = revision_json(sandbox_slack_shown(message));
    struct json *revisions = json_make_array(), *replies = json_make_array();
    sandbox_inbox_set_time(item, message->revisions[0].at_ms);
    json_set_str(item, "ts", message->ts);
    json_set_str(item, "from", message->by_webhook ? "webhook" : "bot");
    json_set_str(item, "thread_ts", message->thread_ts);
    json_set_bool(item, "reply_broadcast", message->is_broadcast);
    for (size_t i = 0; i < message->revision_count; i++) {
        json_append(revisions, revision_json(&message->revisions[i]));
    }
    for (size_t i = 0; message->thread_ts == NULL && i < channel->message_count; i++) {
        if (cstr_equal(channel->messages[i]->thread_ts, message->ts)) {
            json_append(replies, message_json(channel, channel->messages[i]));
        }
    }
    json_set(item, "revisions", revisions);
    json_set(item, "replies", replies);
    return item;
}

static struct json *
channel_json(const struct slack_channel *channel)
{
    struct json *item = json_make_object(), *messages = json_make_array();
    json_set_str(item, "id", channel->id);
    json_set_str(item, "name", channel->name);
    json_set_bool(item, "private", channel->is_private);
    json_set_bool(item, "archived", channel->is_archived);
    json_set_bool(item, "deleted", channel->is_deleted);
    json_set_bool(item, "member", channel->has_bot);
    for (size_t i = 0; i < channel->message_count; i++) {
        if (channel->messages[i]->thread_ts == NULL) {
            json_append(messages, message_json(channel, channel->messages[i]));
        }
    }
    json_set(item, "messages", messages);
    return item;
}

struct json *
sandbox_slack_inbox_json(struct sandbox *sandbox)
{
    const struct slack_state *slack = sandbox->slack;
    struct json *inbox = json_make_object(), *channels = json_make_array();
    sandbox_inbox_show_counts(&slack->counts, inbox);
    for (size_t i = 0; i < slack->channel_count; i++) {
        json_append(channels, channel_json(slack->channels[i]));
    }
    json_set(inbox, "channels", channels);
    json_set(inbox, "responses", json_clone(slack->responses));
    return inbox;
}
