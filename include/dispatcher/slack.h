// Slack: its Web API with a bot token, incoming webhooks, and what its buttons send back
// (facts/github-notify-credentials.md §6). Knows no deployments: the body of a message is its
// caller's, the client adds where it goes.
//
// The Web API answers 200 to failures as well ({"ok": false, "error"}); its words become verdicts
// here. One thread per client.
#pragma once

#include "dispatcher/notify.h"

// Limits of Block Kit (npm @slack/types), in characters, and of what Slack takes in all.
enum {
    SLACK_BLOCKS_MAX = 50,
    SLACK_HEADER_MAX = 150,
    SLACK_SECTION_MAX = 3000,
    SLACK_FIELDS_MAX = 10,
    SLACK_FIELD_MAX = 2000,
    SLACK_CONTEXT_MAX = 10,
    SLACK_BUTTON_MAX = 75,
    SLACK_VALUE_MAX = 2000,
    SLACK_URL_MAX = 3000,
    SLACK_TEXT_MAX = 4000,          // of the fallback text; more is cut by Slack itself at 40,000
    SLACK_BLOCK_TEXT_TOTAL = 12000, // all blocks of a message; above 13,200 it is refused
};

struct slack_client;

/// `api` NULL: https://slack.com/api. The token is shared (secret_ref).
NODISCARD struct error *slack_client_new(const struct platform *platform, struct http_client *http,
    const char *api, struct secret *token, struct slack_client **out);
void slack_client_free(struct slack_client *client);
void slack_client_freep(struct slack_client **client);

struct slack_message {
    const char *channel; // name or id; to update: the id that posting returned
    const char *ts;      // NULL: post a new one, else update that one
    const char *thread;  // ts of the message that it answers, or NULL
    bool broadcast;      // an answer that the channel sees, too
    const char *body;    // JSON object: text, blocks, attachments, metadata, unfurl_*
};
struct slack_posted {
    struct notify_result result;
    const char *channel, *ts; // DELIVERED: where it is
};
/// chat.postMessage or chat.update.
void slack_send(struct slack_client *client, const struct slack_message *message,
    struct arena *arena, struct slack_posted *out);
struct slack_search {
    const char *channel; // name or id; an id saves requests: Slack's history takes nothing else
    const char *thread;  // look among its answers, or NULL
    int64_t oldest_ms;   // wall; five minutes before that are looked at as well
    const char *event_type, *id;
};
/// After a doubt: the newest message of a bot in the channel whose metadata has that event_type and
/// `event_payload.id` (conversations.history; conversations.replies for a thread; for a name
/// users.conversations). Several requests, ten seconds in all. DELIVERED with ts NULL: there is
/// none. BLOCKED: may not be looked up (missing scope: channels:history, channels:read).
void slack_find(struct slack_client *client, const struct slack_search *search, struct arena *arena,
    struct slack_posted *out);
/// auth.test: DELIVERED when the token is good; *who: "bot 'deploys' of 'Acme'".
void slack_check(
    struct slack_client *client, struct arena *arena, struct notify_result *out, const char **who);

struct slack_webhook {
    const struct secret *url;
    bool to_private;  // any host (and plain http on loopback), else Slack's two
    const char *body; // JSON
};
/// An incoming webhook; its URL is the secret and never shown, but for the host: hooks.slack.com or
/// hooks.slack-gov.com.
void slack_webhook_send(const struct platform *platform, struct http_client *http,
    const struct slack_webhook *webhook, struct arena *arena, struct notify_result *out);
/// The end of its address is what makes it a secret, and is masked from now on wherever it stands
/// alone; sending does that, too.
void slack_webhook_mask(const struct secret *url);

// --- text (slack_text.c) -----------------------------------------------------------------------
// Put it where `verbatim` is true: else Slack itself turns bare addresses and names into links.
// `max` counts characters as they are sent, escapes included (UTF-16 units, so never too few).

/// mrkdwn from a text that nobody trusts: & < > escaped (so no mention, no link), control
/// characters away, formatting characters (* _ ~ `) kept from formatting, at most `max` characters,
/// cut at a word with "…".
void slack_escape(const char *text, size_t max, struct buf *out);
/// plain_text: cleaned and cut, nothing escaped, emoji colons kept from becoming emoji.
void slack_plain(const char *text, size_t max, struct buf *out);
/// The inside of a ``` block: escaped, never able to end the block; the *last* `max` characters,
/// from a line's start, "…" before them when cut.
void slack_preformatted(const char *text, size_t max, struct buf *out);
/// "<url|text>" when the URL is http(s) and can stand in one, else the text alone. `max` is the
/// text's; the URL may be SLACK_URL_MAX.
void slack_link(const char *url, const char *text, size_t max, struct buf *out);

// --- what comes back (slack_interaction.c) -------------------------------------------------------

/// Is this request Slack's? `signature` and `timestamp` as in X-Slack-Signature and
/// X-Slack-Request-Timestamp; older or newer than five minutes is not. Constant time. Either of two
/// secrets counts while one is replaced; the second may be NULL.
bool slack_signature_is_valid(const struct secret *secret, const struct secret *next,
    const char *signature, const char *timestamp, struct str body, int64_t now_ms);

// What a button of ours carries, so that a press is about what its message showed, and not about
// what waits by the time that somebody presses: "<deployment> <version> <diff>".
struct slack_shown {
    const char *deployment;     // id
    const char *version, *diff; // NULL: the message showed none
};
/// The button's value, in the arena.
const char *slack_shown_write(const struct slack_shown *shown, struct arena *arena);
/// False: no value of ours.
bool slack_shown_read(const char *value, struct arena *arena, struct slack_shown *out);

struct slack_interaction {
    const char *action;              // action_id: "dispatcher-approve", "dispatcher-cancel", …
    const char *value;               // what the button carried: slack_shown_read
    const char *user_id, *user_name; // the name is for showing only
    const char *team_id;             // from here on NULL where Slack sent none
    const char *channel, *ts;        // of the message that has the button
    const char *response_url;
};
/// A form post "payload=…" of type block_actions with exactly one action. ERROR_INPUT otherwise.
/// Check the signature first.
NODISCARD struct error *slack_interaction_parse(
    struct str body, struct arena *arena, struct slack_interaction *out);
