// Channels and messages of the sandbox's Slack as objects: found, made, shown, freed. Knows no
// methods and refuses nothing.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "slack_server_internal.h"

// --- channels
// -------------------------------------------------------------------------------------

struct slack_channel *
sandbox_slack_channel(const struct slack_state *slack, const char *id)
{
    for (size_t i = 0; id != NULL && i < slack->channel_count; i++) {
        if (strcmp(slack->channels[i]->id, id) == 0) {
            return slack->channels[i];
        }
    }
    return NULL;
}

struct slack_channel *
sandbox_slack_channel_named(const struct slack_state *slack, const char *text)
{
    struct slack_channel *channel = sandbox_slack_channel(slack, text);
    const char *name = text != NULL && text[0] == '#' ? text + 1 : text;
    for (size_t i = slack->channel_count; channel == NULL && name != NULL && i > 0; i--) {
        // A deleted one's name may be taken again; the newest counts.
        if (strcmp(slack->channels[i - 1]->name, name) == 0) {
            channel = slack->channels[i - 1];
        }
    }
    return channel;
}

struct slack_channel *
sandbox_slack_add_channel(struct slack_state *slack, const char *id, const char *name)
{
    struct slack_channel *channel = xcalloc(1, sizeof(*channel));
    slack->created++;
    channel->id =
        id != NULL ? xstrdup(id) : xasprintf("C0SANDBOX%02lld", (long long)slack->created);
    channel->name = xstrdup(name);
    channel->has_bot = true;
    channel->allowance = (double)slack->burst;
    slack->channels =
        xrealloc(slack->channels, (slack->channel_count + 1) * sizeof(struct slack_channel *));
    slack->channels[slack->channel_count++] = channel;
    return channel;
}

static void
free_message(struct slack_message *message)
{
    for (size_t i = 0; i < message->revision_count; i++) {
        free(message->revisions[i].text);
        json_free(message->revisions[i].blocks);
        json_free(message->revisions[i].attachments);
        json_free(message->revisions[i].metadata);
    }
    free(message->revisions);
    free(message->ts);
    free(message->thread_ts);
    free(message);
}

void
sandbox_slack_free_channel(struct slack_channel *channel)
{
    for (size_t i = 0; i < channel->message_count; i++) {
        free_message(channel->messages[i]);
    }
    free(channel->messages);
    free(channel->id);
    free(channel->name);
    free(channel);
}

// One message a second, and a few more at once after a silence.
bool
sandbox_slack_channel_takes(
    struct sandbox *sandbox, struct slack_channel *channel, int64_t *wait_ms)
{
    const struct slack_state *slack = sandbox->slack;
    int64_t now = clock_mono(sandbox->platform->clock);
    if (slack->per_second <= 0) {
        return true;
    }
    channel->allowance += (double)(now - channel->refilled_ms) / 1000 * slack->per_second;
    channel->refilled_ms = now;
    if (channel->allowance > (double)slack->burst) {
        channel->allowance = (double)slack->burst;
    }
    if (channel->allowance < 0.999) { // a client that waited as it was told is not sent away again
        *wait_ms = (int64_t)((1 - channel->allowance) / slack->per_second * 1000);
        return false;
    }
    channel->allowance -= 1;
    return true;
}

// --- messages
// -------------------------------------------------------------------------------------

bool
sandbox_slack_read_ts(const char *text, int64_t *us)
{
    struct str seconds = {0}, fraction = {0};
    int64_t whole = 0, part = 0;
    (void)str_cut(str_of(text), '.', &seconds, &fraction);
    if (text == NULL || !str_to_int64(seconds, &whole) || whole < 0 || whole > 99999999999 ||
        fraction.len > 6 || (fraction.len > 0 && !str_to_int64(fraction, &part)) || part < 0) {
        return false;
    }
    for (size_t i = fraction.len; i < 6; i++) {
        part *= 10;
    }
    *us = whole * 1000000 + part;
    return true;
}

struct slack_message *
sandbox_slack_message(const struct slack_channel *channel, const char *ts)
{
    for (size_t i = channel->message_count; ts != NULL && i > 0; i--) {
        if (strcmp(channel->messages[i - 1]->ts, ts) == 0) {
            return channel->messages[i - 1];
        }
    }
    return NULL;
}

struct slack_message *
sandbox_slack_add_message(struct sandbox *sandbox, struct slack_channel *channel)
{
    struct slack_state *slack = sandbox->slack;
    struct slack_message *message = xcalloc(1, sizeof(*message));
    int64_t us = sandbox_now(sandbox) * 1000;
    us = us > slack->last_us ? us : slack->last_us + 100; // never twice, always later
    slack->last_us = us;
    message->ts = xasprintf("%lld.%06lld", (long long)(us / 1000000), (long long)(us % 1000000));
    channel->messages =
        xrealloc(channel->messages, (channel->message_count + 1) * sizeof(struct slack_message *));
    channel->messages[channel->message_count++] = message;
    return message;
}

struct slack_revision *
sandbox_slack_add_revision(struct slack_message *message, int64_t at_ms)
{
    message->revisions =
        xrealloc(message->revisions, (message->revision_count + 1) * sizeof(*message->revisions));
    struct slack_revision *revision = &message->revisions[message->revision_count++];
    *revision = (struct slack_revision){.at_ms = at_ms};
    return revision;
}

const struct slack_revision *
sandbox_slack_shown(const struct slack_message *message)
{
    return &message->revisions[message->revision_count - 1];
}

// reply_count, latest_reply: what a message has that others answered.
static void
show_thread(
    const struct slack_channel *channel, const struct slack_message *message, struct json *out)
{
    int64_t count = 0;
    const char *latest = NULL;
    for (size_t i = 0; i < channel->message_count; i++) {
        if (cstr_equal(channel->messages[i]->thread_ts, message->ts)) {
            count++;
            latest = channel->messages[i]->ts;
        }
    }
    if (count > 0) {
        json_set_str(out, "thread_ts", message->ts);
        json_set_int(out, "reply_count", count);
        json_set_str(out, "latest_reply", latest);
    }
}

static void
show_edit(const struct slack_message *message, struct json *out)
{
    int64_t ms = sandbox_slack_shown(message)->at_ms;
    char *at CLEANUP(xfreep) =
        xasprintf("%lld.%03lld000", (long long)(ms / 1000), (long long)(ms % 1000));
    struct json *edited = json_make_object();
    json_set_str(edited, "user", sandbox_slack_bot);
    json_set_str(edited, "ts", at);
    json_set(out, "edited", edited);
}

struct json *
sandbox_slack_message_json(
    const struct slack_channel *channel, const struct slack_message *message, bool with_metadata)
{
    const struct slack_revision *shown = sandbox_slack_shown(message);
    struct json *out = json_make_object();
    json_set_str(out, "type", "message");
    if (message->by_webhook || message->is_broadcast) {
        json_set_str(out, "subtype", message->by_webhook ? "bot_message" : "thread_broadcast");
    }
    json_set_str(out, "ts", message->ts);
    json_set_str(out, "text", shown->text);
    json_set_str(out, "bot_id", sandbox_slack_bot);
    json_set_str(out, "team", sandbox_slack_team);
    json_set_str(out, "thread_ts", message->thread_ts);
    if (message->thread_ts == NULL) {
        show_thread(channel, message, out);
    }
    if (shown->blocks != NULL) {
        json_set(out, "blocks", json_clone(shown->blocks));
    }
    if (shown->attachments != NULL) {
        json_set(out, "attachments", json_clone(shown->attachments));
    }
    if (with_metadata && shown->metadata != NULL) {
        json_set(out, "metadata", json_clone(shown->metadata));
    }
    if (message->revision_count > 1) {
        show_edit(message, out);
    }
    return out;
}
