// What the words mean that Slack answers failures with: of the Web API ({"ok": false, "error":
// "not_in_channel"}) and of incoming webhooks (the body is the word). Pure.
//
// A word that is not listed blocks: nothing of it is lost while somebody looks, whereas a message
// that counts as refused is given up.
#include <string.h>

#include "notify_internal.h"

enum { WORD_MAX = 64 };

static const char check_token[] =
    "Install the Slack app again and store its new bot token (xoxb-…).";
static const char check_channel[] =
    "Check the channel's name; a private one is visible to its members only: '/invite' the bot.";
static const char ask_admin[] = "Ask an administrator of the workspace to let the app post there.";
static const char approve_app[] = "Ask an administrator of the workspace to approve the app.";
static const char make_webhook[] = "Make a new incoming webhook and store its address.";

static const struct slack_word {
    const char *word;
    enum notify_verdict verdict;
    const char *text, *hint;
} words[] = {
    // too much, or not now
    {"ratelimited", NOTIFY_LIMITED, "too many requests", NULL},
    {"rate_limited", NOTIFY_LIMITED, "too many messages", NULL},
    {"message_limit_exceeded", NOTIFY_LIMITED, "the workspace has reached its message limit", NULL},
    {"team_added_to_org", NOTIFY_LATER, "the workspace is being moved", NULL},
    {"org_login_required", NOTIFY_LATER, "the workspace is being moved", NULL},
    {"external_channel_migrating", NOTIFY_LATER, "the channel is being moved", NULL},
    // Slack says of these that a part may have been done
    {"internal_error", NOTIFY_DOUBT, "it failed", NULL},
    {"fatal_error", NOTIFY_DOUBT, "it failed", NULL},
    {"service_unavailable", NOTIFY_DOUBT, "it is not available", NULL},
    {"request_timeout", NOTIFY_DOUBT, "it did not get the whole request", NULL},
    {"update_failed", NOTIFY_DOUBT, "it failed", NULL},
    {"rollup_error", NOTIFY_DOUBT, "it failed", NULL},
    // the token
    {"invalid_auth", NOTIFY_BLOCKED, "the token is not valid", check_token},
    {"not_authed", NOTIFY_BLOCKED, "there is no token", check_token},
    {"account_inactive", NOTIFY_BLOCKED, "the token's app or workspace is gone", check_token},
    {"token_revoked", NOTIFY_BLOCKED, "the token was revoked", check_token},
    {"token_expired", NOTIFY_BLOCKED, "the token has expired",
        "Use a bot token without token rotation, or store a fresh one."},
    {"not_allowed_token_type", NOTIFY_BLOCKED, "the token is of the wrong kind",
        "A bot token (xoxb-…) is needed."},
    {"missing_scope", NOTIFY_BLOCKED, "the token lacks a scope", NULL},
    {"no_permission", NOTIFY_BLOCKED, "the token may not do that",
        "Add the scope 'chat:write' to the Slack app and install it again."},
    {"two_factor_setup_required", NOTIFY_BLOCKED, "the token's account needs a second factor",
        check_token},
    // the channel
    {"channel_not_found", NOTIFY_BLOCKED, "there is no such channel, or the bot cannot see it",
        check_channel},
    {"not_in_channel", NOTIFY_BLOCKED, "the bot is not in the channel",
        "'/invite' the bot to the channel, or add the scope 'chat:write.public' to the Slack app "
        "for public ones."},
    {"is_archived", NOTIFY_BLOCKED, "the channel is archived",
        "Unarchive the channel, or name another one."},
    {"channel_is_archived", NOTIFY_BLOCKED, "the channel is archived",
        "Unarchive the channel, or make a webhook for another one."},
    {"team_not_found", NOTIFY_BLOCKED, "the workspace of the channel is not clear",
        "Name the channel by its id (C…): the token is for a whole organisation."},
    {"restricted_action", NOTIFY_BLOCKED, "the workspace does not let the bot post there",
        ask_admin},
    {"restricted_action_read_only_channel", NOTIFY_BLOCKED, "the channel is read-only", ask_admin},
    {"restricted_action_thread_only_channel", NOTIFY_BLOCKED,
        "the channel takes answers in threads only", "Name another channel."},
    {"posting_to_general_channel_denied", NOTIFY_BLOCKED,
        "the workspace does not let the app post there", ask_admin},
    {"messages_tab_disabled", NOTIFY_BLOCKED, "the app takes no messages", "Name a channel."},
    // the workspace
    {"ekm_access_denied", NOTIFY_BLOCKED, "the workspace has suspended posting", ask_admin},
    {"team_access_not_granted", NOTIFY_BLOCKED, "the app is not approved for the workspace",
        approve_app},
    {"app_access_restricted", NOTIFY_BLOCKED, "the app may not be used", approve_app},
    {"access_denied", NOTIFY_BLOCKED, "access is refused", ask_admin},
    {"accesslimited", NOTIFY_BLOCKED, "access is refused from this network",
        "Let the workspace's list of allowed addresses contain this machine."},
    {"enterprise_is_restricted", NOTIFY_BLOCKED, "the organisation may not be used like that",
        "Use a bot token of a workspace."},
    {"action_prohibited", NOTIFY_BLOCKED, "an administrator forbids it", ask_admin},
    {"team_disabled", NOTIFY_BLOCKED, "the workspace is disabled", NULL},
    // the webhook
    {"invalid_token", NOTIFY_BLOCKED, "the webhook is not valid", make_webhook},
    {"no_service", NOTIFY_BLOCKED, "the webhook is gone or disabled", make_webhook},
    {"no_service_id", NOTIFY_BLOCKED, "the webhook is gone or disabled", make_webhook},
    {"no_team", NOTIFY_BLOCKED, "the webhook's workspace is gone", make_webhook},
    {"no_active_hooks", NOTIFY_BLOCKED, "the webhook is disabled", make_webhook},
    {"user_not_found", NOTIFY_BLOCKED, "the webhook's user is gone", make_webhook},
    // this very message
    {"msg_too_long", NOTIFY_REFUSED, "the message is too long", NULL},
    {"msg_blocks_too_long", NOTIFY_REFUSED, "the message's blocks are too long", NULL},
    {"no_text", NOTIFY_REFUSED, "the message has no text", NULL},
    {"missing_text_or_fallback_or_attachments", NOTIFY_REFUSED, "the message has no text", NULL},
    {"invalid_blocks", NOTIFY_REFUSED, "the message's blocks are not valid", NULL},
    {"invalid_blocks_format", NOTIFY_REFUSED, "the message's blocks are not valid", NULL},
    {"block_mismatch", NOTIFY_REFUSED, "the message's blocks do not fit", NULL},
    {"invalid_attachments", NOTIFY_REFUSED, "the message's attachments are not valid", NULL},
    {"too_many_attachments", NOTIFY_REFUSED, "the message has too many attachments", NULL},
    {"attachment_payload_limit_exceeded", NOTIFY_REFUSED, "the message's attachments are too long",
        NULL},
    {"invalid_metadata_format", NOTIFY_REFUSED, "the message's metadata are not valid", NULL},
    {"invalid_metadata_schema", NOTIFY_REFUSED, "the message's metadata are not valid", NULL},
    {"metadata_too_large", NOTIFY_REFUSED, "the message's metadata are too large", NULL},
    {"invalid_thread_ts", NOTIFY_REFUSED, "the message answers none", NULL},
    {"cannot_reply_to_message", NOTIFY_REFUSED, "the message cannot be answered", NULL},
    {"cant_broadcast_message", NOTIFY_REFUSED, "the message cannot be shown to the channel", NULL},
    {"restricted_action_thread_locked", NOTIFY_REFUSED, "the thread is locked", NULL},
    {"restricted_action_non_threadable_channel", NOTIFY_REFUSED, "the channel has no threads",
        NULL},
    {"invalid_payload", NOTIFY_REFUSED, "the message is not understood", NULL},
    {"invalid_arguments", NOTIFY_REFUSED, "the message is not understood", NULL},
    {"invalid_arg_name", NOTIFY_REFUSED, "the message is not understood", NULL},
    {"invalid_array_arg", NOTIFY_REFUSED, "the message is not understood", NULL},
    {"invalid_charset", NOTIFY_REFUSED, "the message is not understood", NULL},
    {"invalid_form_data", NOTIFY_REFUSED, "the message is not understood", NULL},
    {"invalid_post_type", NOTIFY_REFUSED, "the message is not understood", NULL},
    {"missing_post_type", NOTIFY_REFUSED, "the message is not understood", NULL},
    {"invalid_json", NOTIFY_REFUSED, "the message is not understood", NULL},
    {"json_not_object", NOTIFY_REFUSED, "the message is not understood", NULL},
    // what was to be updated or answered
    {"message_not_found", NOTIFY_ABSENT, "the message is gone", NULL},
    {"thread_not_found", NOTIFY_ABSENT, "the thread is gone", NULL},
    {"cant_update_message", NOTIFY_ABSENT, "the message cannot be updated by this bot", NULL},
    {"edit_window_closed", NOTIFY_ABSENT, "the message is too old to be updated", NULL},
};

static const struct slack_word *
find(const char *word)
{
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (strcmp(words[i].word, word) == 0) {
            return &words[i];
        }
    }
    return NULL;
}

bool
slack_words_know(const char *word)
{
    return word != NULL && find(word) != NULL;
}

bool
slack_words_resemble(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && byte != '_') {
            return false;
        }
    }
    return text.len > 0 && text.len <= WORD_MAX;
}

/// What Slack adds to a word, after a colon: the scope that is needed, what is wrong with which
/// block. Nothing is "".
static const char *
details_of(const struct notify_case *at, const struct json *answer)
{
    const struct json *messages = json_path(answer, "response_metadata.messages");
    const char *needed = json_str(json_get(answer, "needed"));
    const char *text = needed != NULL ? needed : json_str(json_at(messages, 0));
    const char *clean = notify_words(at->arena, text, NOTIFY_WORDS_MAX);
    return clean[0] != '\0' ? arena_printf(at->arena, ": %s", clean) : "";
}

static const char *
scope_hint(const struct notify_case *at, const struct json *answer)
{
    const char *needed = json_str(json_get(answer, "needed"));
    const char *clean = notify_words(at->arena, needed, NOTIFY_WORDS_MAX);
    return arena_printf(at->arena, "Add the scope '%s' to the Slack app and install it again.",
        clean[0] != '\0' ? clean : "chat:write");
}

void
slack_words_settle(const struct notify_case *at, const struct http_response *response,
    const char *word, const struct json *answer)
{
    static const struct slack_word unknown = {"", NOTIFY_BLOCKED,
        "it refuses for a reason not known here",
        "Look the word up in Slack's reference; a message that keeps the others waiting can be "
        "discarded."};
    const struct slack_word *meaning = find(word);
    meaning = meaning != NULL ? meaning : &unknown;
    bool scope = strcmp(word, "missing_scope") == 0;
    notify_settle(at, meaning->verdict, scope ? scope_hint(at, answer) : meaning->hint, "%s (%s%s)",
        meaning->text, notify_words(at->arena, word, WORD_MAX), details_of(at, answer));
    if (meaning->verdict == NOTIFY_LIMITED) {
        at->out->retry_after_ms = notify_retry_after(at->platform, response);
    }
}
