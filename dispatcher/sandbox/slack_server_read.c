// conversations.history, conversations.replies, users.conversations and chat.getPermalink of the
// sandbox's Slack: what was said, in pages, and where the bot is.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "slack_server_internal.h"

enum { LIMIT = 100, LIMIT_MAX = 999 };

// Which messages are asked for; times in microseconds.
struct window {
    int64_t oldest, latest, limit, cursor; // cursor: 0, or the ts after which the page begins
    bool inclusive, with_metadata;
};

static int64_t
ts_of(const struct slack_message *message)
{
    int64_t us = 0;
    (void)sandbox_slack_read_ts(message->ts, &us);
    return us;
}

// NULL, or the word for an argument that is none.
static const char *
read_window(const struct slack_call *call, struct window *out)
{
    const char *oldest = sandbox_slack_argument(call, "oldest"),
               *latest = sandbox_slack_argument(call, "latest"),
               *cursor = sandbox_slack_argument(call, "cursor"),
               *limit = sandbox_slack_argument(call, "limit");
    *out = (struct window){.latest = INT64_MAX,
        .limit = json_int(json_get(call->arguments, "limit"), LIMIT),
        .inclusive = sandbox_slack_flag(call, "inclusive"),
        .with_metadata = sandbox_slack_flag(call, "include_all_metadata")};
    if (oldest != NULL && !sandbox_slack_read_ts(oldest, &out->oldest)) {
        return "invalid_ts_oldest";
    }
    if (latest != NULL && !sandbox_slack_read_ts(latest, &out->latest)) {
        return "invalid_ts_latest";
    }
    if ((limit != NULL && !str_to_int64(str_of(limit), &out->limit)) || out->limit < 1 ||
        out->limit > LIMIT_MAX) {
        return "invalid_limit";
    }
    return cursor != NULL && !sandbox_slack_read_ts(cursor, &out->cursor) ? "invalid_cursor" : NULL;
}

static bool
is_within(const struct window *window, int64_t us)
{
    return window->inclusive ? us >= window->oldest && us <= window->latest
                             : us > window->oldest && us < window->latest;
}

// The channel, or NULL once it was answered why not.
static const struct slack_channel *
find_channel(struct slack_call *call, struct window *window)
{
    const struct slack_state *slack = call->sandbox->slack;
    const char *id = sandbox_slack_argument(call, "channel");
    const struct slack_channel *channel = sandbox_slack_channel(slack, id);
    bool is_private = channel != NULL && channel->is_private;
    if (!sandbox_slack_need_scope(call, is_private ? "groups:history" : "channels:history")) {
        return NULL;
    }
    const char *word = read_window(call, window);
    if (channel == NULL || channel->is_deleted || (is_private && !channel->has_bot)) {
        word = "channel_not_found";
    } else if (!channel->has_bot) {
        word = "not_in_channel";
    }
    if (word != NULL) {
        sandbox_slack_refuse(call, word, NULL);
        return NULL;
    }
    return channel;
}

static void
reply(struct slack_call *call, struct json *messages, const struct slack_message *last)
{
    struct json *body = json_make_object(), *metadata = json_make_object();
    json_set(body, "messages", messages);
    json_set_bool(body, "has_more", last != NULL);
    json_set_str(metadata, "next_cursor", last != NULL ? last->ts : "");
    json_set(body, "response_metadata", metadata);
    sandbox_slack_reply(call, body);
}

void
sandbox_slack_history(struct slack_call *call)
{
    struct window window = {0};
    const struct slack_channel *channel = find_channel(call, &window);
    if (channel == NULL) {
        return;
    }
    struct json *messages = json_make_array();
    const struct slack_message *last = NULL;
    for (size_t i = channel->message_count; i > 0; i--) { // the newest first
        const struct slack_message *message = channel->messages[i - 1];
        int64_t us = ts_of(message);
        if ((message->thread_ts != NULL && !message->is_broadcast) || !is_within(&window, us) ||
            (window.cursor != 0 && us >= window.cursor)) {
            continue;
        }
        if (json_count(messages) == (size_t)window.limit) {
            reply(call, messages, last);
            return;
        }
        json_append(messages, sandbox_slack_message_json(channel, message, window.with_metadata));
        last = message;
    }
    reply(call, messages, NULL);
}

void
sandbox_slack_replies(struct slack_call *call)
{
    struct window window = {0};
    const struct slack_channel *channel = find_channel(call, &window);
    if (channel == NULL) {
        return;
    }
    const struct slack_message *asked =
        sandbox_slack_message(channel, sandbox_slack_argument(call, "ts"));
    if (asked == NULL) {
        sandbox_slack_refuse(call, "thread_not_found", NULL);
        return;
    }
    const char *parent = asked->thread_ts != NULL ? asked->thread_ts : asked->ts;
    struct json *messages = json_make_array();
    const struct slack_message *last = NULL;
    for (size_t i = 0; i < channel->message_count; i++) { // the oldest first; the parent always
        const struct slack_message *message = channel->messages[i];
        int64_t us = ts_of(message);
        bool is_parent = strcmp(message->ts, parent) == 0;
        if ((!is_parent && !cstr_equal(message->thread_ts, parent)) ||
            (!is_parent && !is_within(&window, us)) ||
            (window.cursor != 0 && us <= window.cursor)) {
            continue;
        }
        if (json_count(messages) == (size_t)window.limit) {
            reply(call, messages, last);
            return;
        }
        json_append(messages, sandbox_slack_message_json(channel, message, window.with_metadata));
        last = message;
    }
    reply(call, messages, NULL);
}

void
sandbox_slack_permalink(struct slack_call *call)
{
    const struct slack_channel *channel =
        sandbox_slack_channel(call->sandbox->slack, sandbox_slack_argument(call, "channel"));
    if (channel == NULL || channel->is_deleted) {
        sandbox_slack_refuse(call, "channel_not_found", NULL);
        return;
    }
    const struct slack_message *message =
        sandbox_slack_message(channel, sandbox_slack_argument(call, "message_ts"));
    if (message == NULL) {
        sandbox_slack_refuse(call, "message_not_found", NULL);
        return;
    }
    struct json *body = json_make_object();
    char *link CLEANUP(xfreep) = xasprintf("%s/slack/archives/%s/p%lld", call->sandbox->origin,
        channel->id, (long long)ts_of(message));
    json_set_str(body, "channel", channel->id);
    json_set_str(body, "permalink", link);
    sandbox_slack_reply(call, body);
}

static bool
is_asked_for(const struct slack_call *call, const struct slack_channel *channel)
{
    const char *types = sandbox_slack_argument(call, "types");
    const char *type = channel->is_private ? "private_channel" : "public_channel";
    bool wanted = types != NULL ? strstr(types, type) != NULL : !channel->is_private;
    bool hidden = channel->is_archived && sandbox_slack_flag(call, "exclude_archived");
    return wanted && !hidden && channel->has_bot && !channel->is_deleted;
}

// Those that the bot is in. A workspace of the sandbox fits on one page.
void
sandbox_slack_memberships(struct slack_call *call)
{
    const struct slack_state *slack = call->sandbox->slack;
    const char *types = sandbox_slack_argument(call, "types");
    bool with_private = types != NULL && strstr(types, "private_channel") != NULL;
    if (!sandbox_slack_need_scope(call, "channels:read") ||
        (with_private && !sandbox_slack_need_scope(call, "groups:read"))) {
        return;
    }
    struct json *body = json_make_object(), *channels = json_make_array();
    for (size_t i = 0; i < slack->channel_count; i++) {
        const struct slack_channel *channel = slack->channels[i];
        if (is_asked_for(call, channel)) {
            struct json *one = json_make_object();
            json_set_str(one, "id", channel->id);
            json_set_str(one, "name", channel->name);
            json_set_bool(one, "is_channel", !channel->is_private);
            json_set_bool(one, "is_private", channel->is_private);
            json_set_bool(one, "is_archived", channel->is_archived);
            json_append(channels, one);
        }
    }
    json_set(body, "channels", channels);
    sandbox_slack_reply(call, body);
}
