// chat.postMessage and chat.update of the sandbox's Slack, and what a message may say at all (which
// the incoming webhook shares).
#include <stdlib.h>
#include <string.h>

#include "block_kit_internal.h"
#include "dispatcher/memory.h"
#include "slack_server_internal.h"

enum {
    TEXT_MAX = 40000,        // what is posted is cut there
    UPDATED_TEXT_MAX = 4000, // what is updated is refused there
    ATTACHMENTS_MAX = 100,
    METADATA_MAX = 16 * 1024,
};

// --- what a message says
// --------------------------------------------------------------------------

// A member as it is, or the value of its text, which forms and old clients send. False: no JSON.
static bool
read_member(
    const struct json *arguments, const char *name, struct json **parsed, const struct json **out)
{
    const struct json *value = json_get(arguments, name);
    const char *text = json_str(value);
    if (text != NULL && text[0] != '\0') {
        struct error *err CLEANUP(error_freep) =
            json_parse(str_of(text), &json_limits_default, parsed);
        *out = *parsed;
        return err == NULL;
    }
    *out = text == NULL && !json_is_null(value) ? value : NULL;
    return true;
}

static struct json *
with_problems(const struct json *problems)
{
    struct json *more = json_make_object(), *metadata = json_make_object(),
                *messages = json_make_array();
    for (size_t i = 0; i < json_count(problems); i++) {
        char *text CLEANUP(xfreep) = xasprintf("[ERROR] %s", json_str(json_at(problems, i)));
        json_append(messages, json_make_string(text));
    }
    json_set(more, "errors", json_clone(problems));
    json_set(metadata, "messages", messages);
    json_set(more, "response_metadata", metadata);
    return more;
}

static const char *
check_blocks(const struct slack_content *content, struct json **more)
{
    struct json *problems CLEANUP(json_freep) = json_make_array();
    struct block_kit kit = {.problems = problems};
    if (content->blocks != NULL) {
        block_kit_check(content->blocks, "/blocks", &kit);
    }
    if (json_count(problems) > 0) {
        *more = with_problems(problems);
        return "invalid_blocks";
    }
    if (json_count(content->attachments) > ATTACHMENTS_MAX) {
        return "too_many_attachments";
    }
    if (content->attachments != NULL) {
        block_kit_check_attachments(content->attachments, &kit);
    }
    if (json_count(problems) > 0) {
        *more = with_problems(problems);
        return "invalid_attachments";
    }
    return kit.characters > BLOCK_KIT_TOTAL_MAX ? "msg_blocks_too_long" : NULL;
}

// {} takes the metadata away.
static const char *
check_metadata(const struct json *metadata)
{
    if (metadata == NULL || (json_is_object(metadata) && json_count(metadata) == 0)) {
        return NULL;
    }
    const char *type = json_str(json_get(metadata, "event_type"));
    if (type == NULL || type[0] == '\0' || !json_is_object(json_get(metadata, "event_payload"))) {
        return "invalid_metadata_format";
    }
    char *text CLEANUP(xfreep) = json_text(metadata);
    return strlen(text) > METADATA_MAX ? "metadata_too_large" : NULL;
}

const char *
sandbox_slack_read_content(
    const struct json *arguments, struct slack_content *out, struct json **more)
{
    out->text = json_str(json_get(arguments, "text"));
    if (!read_member(arguments, "blocks", &out->parsed[0], &out->blocks) ||
        (out->blocks != NULL && !json_is_array(out->blocks))) {
        return "invalid_blocks_format";
    }
    if (!read_member(arguments, "attachments", &out->parsed[1], &out->attachments)) {
        return "invalid_attachments";
    }
    if (!read_member(arguments, "metadata", &out->parsed[2], &out->metadata)) {
        return "invalid_metadata_format";
    }
    const char *word = check_blocks(out, more);
    return word != NULL ? word : check_metadata(out->metadata);
}

void
sandbox_slack_content_done(struct slack_content *content)
{
    for (size_t i = 0; i < ARRAY_LENGTH(content->parsed); i++) {
        json_free(content->parsed[i]);
    }
}

static bool
says_anything(const struct slack_content *content)
{
    return (content->text != NULL && content->text[0] != '\0') || json_count(content->blocks) > 0 ||
           json_count(content->attachments) > 0;
}

// At most `max` characters of a text.
static char *
cut(const char *text, size_t max)
{
    size_t count = 0, end = 0;
    while (text[end] != '\0') {
        count += ((unsigned char)text[end] & 0xc0) != 0x80;
        if (count > max) {
            break;
        }
        end++;
    }
    return xstrndup(text, end);
}

static struct json *
kept(const struct json *value)
{
    return json_count(value) > 0 ? json_clone(value) : NULL;
}

void
sandbox_slack_fill(struct slack_revision *revision, const struct slack_content *content)
{
    revision->text = cut(content->text != NULL ? content->text : "", TEXT_MAX);
    revision->blocks = kept(content->blocks);
    revision->attachments = kept(content->attachments);
    revision->metadata = kept(content->metadata);
}

// --- posting
// --------------------------------------------------------------------------------------

// NULL, or why nothing may be said in this channel.
static const char *
check_channel(const struct slack_state *slack, const struct slack_channel *channel, bool joins)
{
    if (channel == NULL || channel->is_deleted || (channel->is_private && !channel->has_bot)) {
        return "channel_not_found";
    }
    if (channel->is_archived) {
        return "is_archived";
    }
    return channel->has_bot || (joins && sandbox_slack_has_scope(slack, "chat:write.public"))
               ? NULL
               : "not_in_channel";
}

static const char *
check_thread(const struct slack_channel *channel, const char *thread)
{
    int64_t us = 0;
    const struct slack_message *parent = sandbox_slack_message(channel, thread);
    if (thread == NULL) {
        return NULL;
    }
    if (!sandbox_slack_read_ts(thread, &us) || us == 0) {
        return "invalid_thread_ts";
    }
    if (parent == NULL) {
        return "thread_not_found";
    }
    return parent->thread_ts != NULL ? "cannot_reply_to_message" : NULL;
}

static struct json *
posted(const struct slack_channel *channel, const struct slack_message *message)
{
    struct json *body = json_make_object();
    json_set_str(body, "channel", channel->id);
    json_set_str(body, "ts", message->ts);
    return body;
}

static void
warn_of_cut(struct json *body)
{
    static const char text[] = "[WARN] Your message was truncated but still posted. The `text` "
                               "field accepts up to 40,000 characters.";
    struct json *metadata = json_make_object(), *messages = json_make_array(),
                *warnings = json_make_array();
    json_append(messages, json_make_string(text));
    json_append(warnings, json_make_string("message_truncated"));
    json_set(metadata, "messages", messages);
    json_set(metadata, "warnings", warnings);
    json_set(body, "response_metadata", metadata);
}

static void
post(struct slack_call *call, struct slack_channel *channel, const struct slack_content *content)
{
    struct slack_message *message = sandbox_slack_add_message(call->sandbox, channel);
    const char *thread = sandbox_slack_argument(call, "thread_ts");
    message->thread_ts = thread != NULL ? xstrdup(thread) : NULL;
    message->is_broadcast = thread != NULL && sandbox_slack_flag(call, "reply_broadcast");
    sandbox_slack_fill(sandbox_slack_add_revision(message, sandbox_now(call->sandbox)), content);
    struct json *body = posted(channel, message);
    json_set(body, "message", sandbox_slack_message_json(channel, message, true));
    if (content->text != NULL && block_kit_length(content->text) > TEXT_MAX) {
        warn_of_cut(body);
    }
    sandbox_slack_reply(call, body);
}

void
sandbox_slack_post(struct slack_call *call)
{
    struct slack_state *slack = call->sandbox->slack;
    const char *name = sandbox_slack_argument(call, "channel"), *word = NULL;
    struct slack_content content CLEANUP(sandbox_slack_content_done) = {0};
    struct json *more = NULL;
    int64_t wait_ms = 0;
    if (!sandbox_slack_need_scope(call, "chat:write")) {
        return;
    }
    if (name == NULL) {
        sandbox_slack_refuse_argument(call, "missing required field: channel");
        return;
    }
    struct slack_channel *channel = sandbox_slack_channel_named(slack, name);
    word = check_channel(slack, channel, true);
    if (word == NULL && !sandbox_slack_channel_takes(call->sandbox, channel, &wait_ms)) {
        sandbox_slack_limited(call, wait_ms);
        return;
    }
    word = word != NULL ? word : sandbox_slack_read_content(call->arguments, &content, &more);
    if (word == NULL && !says_anything(&content)) {
        word = "no_text";
    }
    if (word == NULL) {
        word = check_thread(channel, sandbox_slack_argument(call, "thread_ts"));
    }
    if (word != NULL) {
        sandbox_slack_refuse(call, word, more);
    } else {
        post(call, channel, &content);
    }
}

// --- updating
// -------------------------------------------------------------------------------------

static struct json *
inherited(const struct json *arguments, const char *name, const struct json *before,
    const struct json *given)
{
    return json_get(arguments, name) == NULL && before != NULL ? json_clone(before) : kept(given);
}

// What is not given stays as it was; an empty list, or {} for metadata, takes it away.
static void
update(struct slack_call *call, const struct slack_channel *channel, struct slack_message *message,
    const struct slack_content *content)
{
    struct slack_revision *revision =
        sandbox_slack_add_revision(message, sandbox_now(call->sandbox));
    const struct slack_revision *before = revision - 1;
    const char *text = content->text != NULL ? content->text : before->text;
    revision->text = xstrdup(text);
    revision->blocks = inherited(call->arguments, "blocks", before->blocks, content->blocks);
    revision->attachments =
        inherited(call->arguments, "attachments", before->attachments, content->attachments);
    revision->metadata =
        inherited(call->arguments, "metadata", before->metadata, content->metadata);
    struct json *body = posted(channel, message);
    json_set_str(body, "text", revision->text);
    json_set(body, "message", sandbox_slack_message_json(channel, message, true));
    sandbox_slack_reply(call, body);
}

static const char *
check_message(const struct slack_state *slack, const struct slack_message *message)
{
    if (message == NULL) {
        return "message_not_found";
    }
    if (message->by_webhook) {
        return "cant_update_message";
    }
    return slack->edits_closed ? "edit_window_closed" : NULL;
}

void
sandbox_slack_update(struct slack_call *call)
{
    const struct slack_state *slack = call->sandbox->slack;
    const char *id = sandbox_slack_argument(call, "channel"),
               *ts = sandbox_slack_argument(call, "ts");
    struct slack_content content CLEANUP(sandbox_slack_content_done) = {0};
    struct json *more = NULL;
    if (!sandbox_slack_need_scope(call, "chat:write")) {
        return;
    }
    if (id == NULL || ts == NULL) {
        sandbox_slack_refuse_argument(
            call, id == NULL ? "missing required field: channel" : "missing required field: ts");
        return;
    }
    const struct slack_channel *channel = sandbox_slack_channel(slack, id);
    const char *word = check_channel(slack, channel, false);
    struct slack_message *message = word == NULL ? sandbox_slack_message(channel, ts) : NULL;
    word = word != NULL ? word : check_message(slack, message);
    word = word != NULL ? word : sandbox_slack_read_content(call->arguments, &content, &more);
    if (word == NULL && content.text == NULL && content.blocks == NULL &&
        content.attachments == NULL) {
        word = "no_text";
    }
    if (word == NULL && content.text != NULL && block_kit_length(content.text) > UPDATED_TEXT_MAX) {
        word = "msg_too_long";
    }
    if (word != NULL) {
        sandbox_slack_refuse(call, word, more);
    } else {
        update(call, channel, message, &content);
    }
}
