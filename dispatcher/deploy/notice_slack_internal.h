// Blocks of Slack messages, for notice_slack*.c. Texts are mrkdwn that slack.h's functions made.
#pragma once

#include "dispatcher/slack.h"
#include "notice_internal.h"

/// {"type": "section", "text": mrkdwn}, at most SLACK_SECTION_MAX; nothing for an empty text.
void notice_slack_section(struct json *blocks, const struct buf *text);
/// One line of small print.
void notice_slack_context(struct json *blocks, const struct buf *text);
/// notice_url of a message, where several stand in one text: "" when it has none, or a long one.
const char *notice_slack_url(const char *url);
/// plain_text, or mrkdwn.
struct json *notice_slack_text(const char *type, const char *text);
/// text (the fallback), and what a message of ours carries besides its blocks. `id` NULL: no
/// metadata, a webhook takes none.
struct json *notice_slack_message(const struct deployment *d, const char *id, struct arena *arena);
/// The authors by name, or where `mention` is set as the members that they are.
void notice_slack_authors(
    const struct deployment *d, bool mention, struct arena *arena, struct buf *out);
