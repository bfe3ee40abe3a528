// GET /_sandbox/inbox.txt: the inbox as lines for a terminal. Every text from outside is cleaned
// (dispatcher/text.h): no escape of a message reaches the terminal.
#include <string.h>

#include "dispatcher/text.h"
#include "inbox_internal.h"

enum { LINE_MAX = 400 };

// A text of several lines, each behind `margin`.
static void
put_lines(struct buf *out, const char *margin, const char *text)
{
    struct str line = {0}, rest = str_of(text);
    while (str_cut(rest, '\n', &line, &rest)) {
        buf_puts(out, margin);
        text_clean(line, LINE_MAX, out);
        buf_putc(out, '\n');
    }
}

static void
put_clean(struct buf *out, const char *text)
{
    text_clean(str_of(text), LINE_MAX, out);
}

static const char *
text_of(const struct json *object, const char *path)
{
    const char *text = json_str(json_path(object, path));
    return text != NULL ? text : "";
}

// --- Slack
// ----------------------------------------------------------------------------------------

static void
put_elements(struct buf *out, const char *margin, const struct json *list)
{
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *item = json_at(list, i);
        if (cstr_equal(json_str(json_get(item, "type")), "button")) {
            buf_printf(out, "%s[", margin);
            put_clean(out, text_of(item, "text.text"));
            buf_puts(out, "]\n");
        } else {
            put_lines(out, margin, text_of(item, "text"));
        }
    }
}

static void
put_blocks(struct buf *out, const char *margin, const struct json *blocks)
{
    for (size_t i = 0; i < json_count(blocks); i++) {
        const struct json *block = json_at(blocks, i);
        const char *text = json_str(json_get(block, "text"));
        put_lines(out, margin, text != NULL ? text : text_of(block, "text.text"));
        put_elements(out, margin, json_get(block, "fields"));
        put_elements(out, margin, json_get(block, "elements"));
    }
}

static void
put_message(struct buf *out, const struct json *message, const char *indent)
{
    const struct json *attachments = json_get(message, "attachments"),
                      *replies = json_get(message, "replies");
    size_t revisions = json_count(json_get(message, "revisions"));
    struct buf margin CLEANUP(buf_done) = BUF_INIT(64), deeper CLEANUP(buf_done) = BUF_INIT(64);
    buf_printf(&margin, "%s  ", indent);
    buf_printf(&deeper, "%s    ", indent);
    buf_printf(out, "%s%s  %s", indent, text_of(message, "time"), text_of(message, "from"));
    if (revisions > 1) {
        buf_printf(out, "  (revision %zu)", revisions);
    }
    buf_puts(out, json_bool(json_get(message, "reply_broadcast"), false)
                      ? "  (also sent to the channel)\n"
                      : "\n");
    put_lines(out, buf_cstr(&margin), text_of(message, "text"));
    buf_puts(&margin, "| ");
    put_blocks(out, buf_cstr(&margin), json_get(message, "blocks"));
    for (size_t i = 0; i < json_count(attachments); i++) {
        put_lines(out, buf_cstr(&margin), text_of(json_at(attachments, i), "text"));
        put_blocks(out, buf_cstr(&margin), json_get(json_at(attachments, i), "blocks"));
    }
    for (size_t i = 0; i < json_count(replies); i++) {
        put_message(out, json_at(replies, i), buf_cstr(&deeper));
    }
}

static void
put_title(struct buf *out, const char *name, const struct json *part)
{
    buf_printf(out, "%s (requests: %lld, refused: %lld)\n", name,
        (long long)json_int(json_get(part, "requests"), 0),
        (long long)json_int(json_get(part, "refusals"), 0));
}

static void
put_slack(struct buf *out, const struct json *slack)
{
    const struct json *channels = json_get(slack, "channels");
    put_title(out, "Slack", slack);
    for (size_t i = 0; i < json_count(channels); i++) {
        const struct json *messages = json_get(json_at(channels, i), "messages");
        if (json_count(messages) > 0) {
            buf_puts(out, "  #");
            put_clean(out, text_of(json_at(channels, i), "name"));
            buf_putc(out, '\n');
        }
        for (size_t k = 0; k < json_count(messages); k++) {
            put_message(out, json_at(messages, k), "    ");
        }
    }
}

// --- PagerDuty and webhooks
// -----------------------------------------------------------------------

static void
put_alert(struct buf *out, const struct json *alert)
{
    const struct json *events = json_get(alert, "events");
    buf_puts(out, "  alert ");
    put_clean(out, text_of(alert, "dedup_key"));
    buf_printf(out, ": %s\n", text_of(alert, "status"));
    for (size_t i = 0; i < json_count(events); i++) {
        const struct json *event = json_at(events, i);
        buf_printf(out, "    %s  ", text_of(event, "time"));
        put_clean(out, text_of(event, "event_action"));
        buf_puts(out, "  ");
        put_clean(out, text_of(event, "payload.severity"));
        buf_puts(out, "  ");
        put_clean(out, text_of(event, "payload.summary"));
        buf_putc(out, '\n');
    }
}

static void
put_pagerduty(struct buf *out, const struct json *pagerduty)
{
    const struct json *alerts = json_get(pagerduty, "alerts"),
                      *changes = json_get(pagerduty, "changes");
    put_title(out, "PagerDuty", pagerduty);
    for (size_t i = 0; i < json_count(changes); i++) {
        buf_printf(out, "  %s  change  ", text_of(json_at(changes, i), "time"));
        put_clean(out, text_of(json_at(changes, i), "payload.summary"));
        buf_putc(out, '\n');
    }
    for (size_t i = 0; i < json_count(alerts); i++) {
        put_alert(out, json_at(alerts, i));
    }
}

static void
put_hooks(struct buf *out, const struct json *hooks)
{
    const struct json *deliveries = json_get(hooks, "deliveries");
    put_title(out, "webhooks", hooks);
    for (size_t i = 0; i < json_count(deliveries); i++) {
        const struct json *delivery = json_at(deliveries, i), *valid = json_get(delivery, "valid");
        buf_printf(out, "  %s  ", text_of(delivery, "time"));
        put_clean(out, text_of(delivery, "name"));
        buf_printf(out, "  %lld  %s\n", (long long)json_int(json_get(delivery, "status"), 0),
            valid == NULL             ? "signature not checked"
            : json_bool(valid, false) ? "signature valid"
                                      : "signature not valid");
        put_lines(out, "    ", text_of(delivery, "body"));
    }
}

void
sandbox_inbox_text(const struct json *inbox, struct buf *out)
{
    put_slack(out, json_get(inbox, "slack"));
    put_pagerduty(out, json_get(inbox, "pagerduty"));
    put_hooks(out, json_get(inbox, "hooks"));
}
