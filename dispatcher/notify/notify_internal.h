// Shared inside notify/: one request as all clients send it, and the sentence of what became of it.
//
//     notify.c             deadlines and caps, judging errors and statuses
//     slack.c              the Web API: posting, updating, who the token is
//     slack_find.c         looking for a message that may have been posted
//     slack_words.c        what Slack's error words mean
//     slack_webhook.c      incoming webhooks
//     slack_text.c         text that nobody trusts, made fit for a message
//     slack_interaction.c  what buttons send back
//     pagerduty.c, webhook.c
#pragma once

#include "dispatcher/json.h"
#include "dispatcher/slack.h"

enum {
    NOTIFY_DEADLINE_MS = 10 * 1000,
    NOTIFY_ANSWER_MAX = 64 * 1024,
    NOTIFY_WORDS_MAX = 300, // of foreign text in a problem
};

// One call of a client: where its problems are met, and where its result goes.
struct notify_case {
    const struct platform *platform;
    struct http_client *http;
    struct arena *arena;
    const char *who; // the start of the sentence: "events.pagerduty.com"; NULL: none
    struct notify_result *out;
};

void notify_delivered(const struct notify_case *at);
/// `hint` may be NULL; it is copied.
void notify_settle(const struct notify_case *at, enum notify_verdict verdict, const char *hint,
    const char *format, ...) PRINTF_LIKE(4, 5);
/// Of an answer's status, words of the answer after it where there are any (NULL: none).
void notify_settle_status(
    const struct notify_case *at, const struct http_response *response, const char *words);
/// Sends with the deadline and the cap of this room where the request has none. False: there is no
/// answer, and the case is settled.
bool notify_send(
    const struct notify_case *at, const struct http_request *request, struct http_response *out);
/// -1 when the answer does not say; never more than a day, whoever asks for it.
int64_t notify_retry_after(const struct platform *platform, const struct http_response *response);
/// The answer as a JSON object, or NULL.
struct json *notify_answer(const struct http_response *response);
/// Foreign text for one line of ours: masked, cleaned, cut; never NULL.
const char *notify_words(struct arena *arena, const char *text, size_t max);
bool notify_status_is_good(int status); // 2xx

// --- slack.c -------------------------------------------------------------------------------------

struct slack_client {
    const struct platform *platform;
    struct http_client *http;
    char *api, *host; // api without a slash at the end
    struct secret *token;
};

struct slack_call {
    const char *method; // "chat.postMessage"
    const char *query;  // "channel=C1", encoded: asked with GET; NULL: posted
    struct str body;    // JSON, or empty
    bool once;
    size_t max_response; // 0: NOTIFY_ANSWER_MAX
    int64_t deadline_ms; // 0: NOTIFY_DEADLINE_MS from now
};
/// The answer when it says "ok"; NULL: the case is settled. *word, when given: Slack's error word
/// ("" for none), in the arena.
struct json *slack_call(struct slack_client *client, const struct notify_case *at,
    const struct slack_call *call, const char **word);
/// "slack.com: '#deploys'"
const char *slack_place(
    const struct slack_client *client, const char *channel, struct arena *arena);
/// Can this be an id or a ts of Slack's, to be kept and sent back?
bool slack_id_is_plausible(const char *text);

// --- slack_words.c -------------------------------------------------------------------------------

/// Settles what an answer with that error word means. `answer` may be NULL.
void slack_words_settle(const struct notify_case *at, const struct http_response *response,
    const char *word, const struct json *answer);
bool slack_words_know(const char *word);
/// Does the text look like one of Slack's words: "channel_is_archived"?
bool slack_words_resemble(struct str text);
