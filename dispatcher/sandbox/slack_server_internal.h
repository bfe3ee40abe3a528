// The sandbox's Slack, seen by its own parts: one workspace, one app with a bot token and an
// incoming webhook, channels with messages. The sandbox's lock is held throughout.
#pragma once

#include "inbox_internal.h"

// What a message consists of at one time.
struct slack_revision {
    int64_t at_ms;
    char *text;                                   // "" when there is none
    struct json *blocks, *attachments, *metadata; // NULL when there are none
};

struct slack_message {
    char *ts;
    char *thread_ts; // of the message it answers, or NULL
    bool is_broadcast, by_webhook;
    struct slack_revision *revisions; // the last is what is shown
    size_t revision_count;
};

struct slack_channel {
    char *id, *name; // the name without '#'
    bool is_private, is_archived, is_deleted;
    bool has_bot;
    struct slack_message **messages;
    size_t message_count;
    double allowance; // messages that may come at once
    int64_t refilled_ms;
};

// A button that was pressed; its response_url ends in `key`.
struct slack_press {
    char *key, *channel, *ts;
    int64_t at_ms, uses;
};

enum slack_token { SLACK_TOKEN_GOOD, SLACK_TOKEN_REVOKED, SLACK_TOKEN_INACTIVE };

struct slack_state {
    char *token, *signing_secret, *hook_key; // the last part of the webhook's URL
    enum slack_token token_state;
    struct json *scopes;
    struct slack_channel **channels;
    size_t channel_count;
    int64_t created; // channels so far, for ids
    int64_t last_us; // of the last ts
    double per_second;
    int64_t burst, calls_a_minute; // 0: any
    struct inbox_window updates, reads;
    bool edits_closed;
    struct slack_press **presses;
    size_t press_count;
    struct json *responses; // to response_urls
    // The incoming webhook.
    char *hook_channel; // its id
    bool hook_removed, hook_prohibited, hook_errors_as_200;
    struct inbox_failure failure;
    struct inbox_counts counts;
};

extern const char sandbox_slack_team[], sandbox_slack_bot[];

// One call of a method: arguments of query, form or JSON body as one object.
struct slack_call {
    struct sandbox *sandbox;
    struct sandbox_request *request;
    struct sandbox_response *response;
    const char *method;
    struct json *arguments;
    bool lacks_charset;
};

// --- answers (slack_server.c)
// ----------------------------------------------------------------------

/// {"ok": false, "error": word} with what `more` has (taken over, may be NULL); counted.
void sandbox_slack_refuse(struct slack_call *call, const char *word, struct json *more);
/// invalid_arguments with one message.
void sandbox_slack_refuse_argument(struct slack_call *call, const char *message);
/// {"ok": true} with the members of `body`, which is taken over.
void sandbox_slack_reply(struct slack_call *call, struct json *body);
/// HTTP 429 with Retry-After.
void sandbox_slack_limited(struct slack_call *call, int64_t wait_ms);
const char *sandbox_slack_argument(const struct slack_call *call, const char *name);
bool sandbox_slack_flag(const struct slack_call *call, const char *name);
bool sandbox_slack_has_scope(const struct slack_state *slack, const char *scope);
/// False: was answered with missing_scope.
bool sandbox_slack_need_scope(struct slack_call *call, const char *scope);

// --- channels and messages (slack_server_channel.c)
// ------------------------------------------------

struct slack_channel *sandbox_slack_channel(const struct slack_state *slack, const char *id);
/// By id, "#name" or "name".
struct slack_channel *sandbox_slack_channel_named(
    const struct slack_state *slack, const char *text);
struct slack_channel *sandbox_slack_add_channel(
    struct slack_state *slack, const char *id, const char *name);
void sandbox_slack_free_channel(struct slack_channel *channel);
struct slack_message *sandbox_slack_message(const struct slack_channel *channel, const char *ts);
/// A new one with a ts of its own; it has no revision yet.
struct slack_message *sandbox_slack_add_message(
    struct sandbox *sandbox, struct slack_channel *channel);
/// An empty one, which is to be filled.
struct slack_revision *sandbox_slack_add_revision(struct slack_message *message, int64_t at_ms);
const struct slack_revision *sandbox_slack_shown(const struct slack_message *message);
/// "1700000000.123456" as microseconds; false when it is no such text.
bool sandbox_slack_read_ts(const char *text, int64_t *us);
/// Takes one message off the channel's rate; false: too many, and *wait_ms.
bool sandbox_slack_channel_takes(
    struct sandbox *sandbox, struct slack_channel *channel, int64_t *wait_ms);
/// As conversations.history and .replies show it.
struct json *sandbox_slack_message_json(
    const struct slack_channel *channel, const struct slack_message *message, bool with_metadata);

// --- the methods and the webhook
// -------------------------------------------------------------------

// What a message shall say, checked: members of `arguments`, borrowed.
struct slack_content {
    const char *text;
    const struct json *blocks, *attachments, *metadata;
    struct json *parsed[3]; // owns what came as text
};
/// NULL, or the error's word; *more then has errors and response_metadata for blocks.
const char *sandbox_slack_read_content(
    const struct json *arguments, struct slack_content *out, struct json **more);
void sandbox_slack_content_done(struct slack_content *content);
/// Fills a revision with what the content says.
void sandbox_slack_fill(struct slack_revision *revision, const struct slack_content *content);

void sandbox_slack_post(struct slack_call *call);        // slack_server_chat.c
void sandbox_slack_update(struct slack_call *call);      // slack_server_chat.c
void sandbox_slack_permalink(struct slack_call *call);   // slack_server_read.c
void sandbox_slack_history(struct slack_call *call);     // slack_server_read.c
void sandbox_slack_memberships(struct slack_call *call); // slack_server_read.c
void sandbox_slack_replies(struct slack_call *call);     // slack_server_read.c
void sandbox_slack_free_press(struct slack_press *press);
/// POST to a response_url: slack_server_press.c
void sandbox_slack_respond(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
void sandbox_slack_webhook(struct sandbox *sandbox, struct sandbox_request *request,
    struct sandbox_response *response); // slack_server_webhook.c
