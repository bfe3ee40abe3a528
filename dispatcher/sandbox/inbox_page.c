// GET /inbox: what Slack, PagerDuty and webhooks got, about as people would see it there. Made on
// the server, without a script; whatever came from outside is escaped, and a color is one of a few
// signs or none. Reads the inbox as JSON and knows nothing else of the sandbox.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "inbox_internal.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>inbox of the sandbox"
    "</title><style>\n"
    "body{font:15px/1.46 system-ui,sans-serif;margin:0 auto;max-width:60em;padding:1em;"
    "color:#1d1c1d;background:#fff}\n"
    "h1{font-size:1.3em}h2{font-size:1.1em;border-bottom:1px solid #ddd;padding-bottom:.3em}\n"
    ".message,.card{margin:.8em 0;padding-left:.8em}.who{font-weight:700}\n"
    ".app{background:#e8e8e8;font-size:.7em;padding:0 .3em;border-radius:2px}\n"
    ".time,.context,.note,.counts{color:#616061;font-size:.85em}\n"
    ".header{font-size:1.2em;font-weight:700;margin:.3em 0}.section{margin:.3em 0}\n"
    ".fields{display:grid;grid-template-columns:1fr 1fr;gap:.3em 1em}\n"
    ".attachment{border-left:4px solid #ddd;padding-left:.7em;margin:.3em 0}\n"
    ".thread{border-left:2px solid #ddd;margin-left:1.5em}\n"
    ".mention{background:#fff3c4;color:#8a5c00;border-radius:3px}\n"
    "button{margin:.2em .3em .2em 0}.primary{color:#007a5a}.danger{color:#e01e5a}\n"
    "pre,code{background:#f6f6f6;border:1px solid #ddd;border-radius:3px}\n"
    "pre{padding:.5em;overflow:auto;white-space:pre-wrap}\n"
    "blockquote{border-left:4px solid #ddd;margin:0;padding-left:.7em}\n"
    ".critical,.error{border-left:4px solid #e01e5a}.warning{border-left:4px solid #ecb22e}\n"
    ".info,.change,.resolve{border-left:4px solid #2eb67d}.acknowledge{border-left:4px solid "
    "#ecb22e}\n"
    "table{border-collapse:collapse}td{padding:0 .8em 0 0;vertical-align:top}\n"
    "@media(prefers-color-scheme:dark){body{background:#1a1d21;color:#d1d2d3}"
    "pre,code{background:#222529}a{color:#1d9bd1}}\n"
    "</style></head><body>\n<h1>Inbox of the sandbox</h1>\n";

static void
put(struct buf *out, const char *text)
{
    sandbox_inbox_escape(str_of(text), out);
}

static void
put_member(struct buf *out, const struct json *object, const char *path)
{
    put(out, json_str(json_path(object, path)));
}

// --- Slack's blocks
// -------------------------------------------------------------------------------

static void
put_text_object(struct buf *out, const struct json *object)
{
    const char *text = json_str(json_get(object, "text"));
    if (text == NULL) {
        return;
    }
    if (cstr_equal(json_str(json_get(object, "type")), "mrkdwn")) {
        sandbox_inbox_mrkdwn(text, out);
    } else {
        sandbox_inbox_plain(text, json_bool(json_get(object, "emoji"), true), out);
    }
}

static void
put_image(struct buf *out, const struct json *image)
{
    buf_puts(out, "<span class=\"note\">[image: "); // nothing is loaded from elsewhere
    put_member(out, image, "alt_text");
    buf_puts(out, "]</span> ");
}

static void
put_button(struct buf *out, const struct json *button)
{
    const char *style = json_str(json_get(button, "style"));
    bool known = cstr_equal(style, "primary") || cstr_equal(style, "danger");
    buf_printf(out, "<button disabled class=\"%s\" title=\"", known ? style : "plain");
    put_member(out, button, "action_id");
    buf_puts(out, "\">");
    put_text_object(out, json_get(button, "text"));
    buf_puts(out, "</button>");
}

static void
put_element(struct buf *out, const struct json *element)
{
    const char *type = json_str(json_get(element, "type"));
    if (cstr_equal(type, "button")) {
        put_button(out, element);
    } else if (cstr_equal(type, "image")) {
        put_image(out, element);
    } else {
        put_text_object(out, element);
        buf_puts(out, " ");
    }
}

static void
put_list(struct buf *out, const struct json *list, const char *class)
{
    if (json_count(list) == 0) {
        return;
    }
    buf_printf(out, "<div class=\"%s\">", class);
    for (size_t i = 0; i < json_count(list); i++) {
        buf_puts(out, strcmp(class, "fields") == 0 ? "<div>" : "");
        put_element(out, json_at(list, i));
        buf_puts(out, strcmp(class, "fields") == 0 ? "</div>" : "");
    }
    buf_puts(out, "</div>\n");
}

static void
put_section(struct buf *out, const struct json *block)
{
    buf_puts(out, "<div class=\"section\">");
    put_text_object(out, json_get(block, "text"));
    if (json_get(block, "accessory") != NULL) {
        buf_puts(out, " ");
        put_element(out, json_get(block, "accessory"));
    }
    buf_puts(out, "</div>\n");
    put_list(out, json_get(block, "fields"), "fields");
}

// Rich text: its texts, in their order.
static void
put_rich(struct buf *out, const struct json *elements)
{
    for (size_t i = 0; i < json_count(elements); i++) {
        const struct json *element = json_at(elements, i);
        put_member(out, element, "text");
        if (json_is_array(json_get(element, "elements"))) {
            put_rich(out, json_get(element, "elements"));
            buf_puts(out, "<br>");
        }
    }
}

static void
put_block(struct buf *out, const struct json *block)
{
    const char *type = json_str(json_get(block, "type"));
    if (cstr_equal(type, "header")) {
        buf_puts(out, "<div class=\"header\">");
        put_text_object(out, json_get(block, "text"));
        buf_puts(out, "</div>\n");
    } else if (cstr_equal(type, "section")) {
        put_section(out, block);
    } else if (cstr_equal(type, "context") || cstr_equal(type, "actions")) {
        put_list(out, json_get(block, "elements"), type);
    } else if (cstr_equal(type, "divider")) {
        buf_puts(out, "<hr>\n");
    } else if (cstr_equal(type, "image")) {
        put_image(out, block);
    } else if (cstr_equal(type, "markdown")) {
        buf_puts(out, "<pre>");
        put_member(out, block, "text");
        buf_puts(out, "</pre>\n");
    } else if (cstr_equal(type, "rich_text")) {
        put_rich(out, json_get(block, "elements"));
    }
}

static void
put_blocks(struct buf *out, const struct json *blocks)
{
    for (size_t i = 0; i < json_count(blocks); i++) {
        put_block(out, json_at(blocks, i));
    }
}

static const char *
color_of(const struct json *attachment)
{
    static const char *const names[][2] = {
        {"good", "#2eb67d"}, {"warning", "#ecb22e"}, {"danger", "#e01e5a"}};
    const char *given = json_str(json_get(attachment, "color"));
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (cstr_equal(given, names[i][0])) {
            return names[i][1];
        }
    }
    bool is_hex = given != NULL && given[0] == '#' && strlen(given) == 7 &&
                  strspn(given + 1, "0123456789abcdefABCDEF") == 6;
    return is_hex ? given : "#ddd";
}

static void
put_attachment(struct buf *out, const struct json *attachment)
{
    static const char *const shown[] = {"pretext", "title", "text", "footer"};
    buf_printf(out, "<div class=\"attachment\" style=\"border-color:%s\">", color_of(attachment));
    for (size_t i = 0; i < ARRAY_LENGTH(shown); i++) {
        const char *text = json_str(json_get(attachment, shown[i]));
        if (text != NULL) {
            buf_puts(out, "<div>");
            sandbox_inbox_mrkdwn(text, out);
            buf_puts(out, "</div>");
        }
    }
    put_blocks(out, json_get(attachment, "blocks"));
    buf_puts(out, "</div>\n");
}

// --- Slack's messages
// -----------------------------------------------------------------------------

static void
put_content(struct buf *out, const struct json *message)
{
    const char *text = json_str(json_get(message, "text"));
    const struct json *blocks = json_get(message, "blocks"),
                      *attachments = json_get(message, "attachments");
    if (json_count(blocks) == 0 && text != NULL &&
        text[0] != '\0') { // else it is for notifications only
        buf_puts(out, "<div class=\"section\">");
        sandbox_inbox_mrkdwn(text, out);
        buf_puts(out, "</div>\n");
    }
    put_blocks(out, blocks);
    for (size_t i = 0; i < json_count(attachments); i++) {
        put_attachment(out, json_at(attachments, i));
    }
}

static void
put_history(struct buf *out, const struct json *revisions)
{
    if (json_count(revisions) < 2) {
        return;
    }
    buf_printf(out, "<details class=\"note\"><summary>%zu revisions</summary><table>",
        json_count(revisions));
    for (size_t i = 0; i < json_count(revisions); i++) {
        buf_puts(out, "<tr><td>");
        put_member(out, json_at(revisions, i), "time");
        buf_puts(out, "</td><td>");
        put_member(out, json_at(revisions, i), "text");
        buf_puts(out, "</td></tr>");
    }
    buf_puts(out, "</table></details>\n");
}

// The anchor is where chat.getPermalink leads: p and the ts without its stop.
static void
put_message(struct buf *out, const struct json *message, const char *channel)
{
    bool by_webhook = cstr_equal(json_str(json_get(message, "from")), "webhook");
    const struct json *replies = json_get(message, "replies");
    struct str seconds = {0}, rest = {0};
    (void)str_cut(str_of(json_str(json_get(message, "ts"))), '.', &seconds, &rest);
    buf_puts(out, "<div class=\"message\" id=\"");
    put(out, channel);
    buf_printf(out, "-p%.*s%.*s\"><span class=\"who\">%s</span> <span class=\"app\">APP</span> ",
        STR_FMT(seconds), STR_FMT(rest), by_webhook ? "incoming webhook" : "dispatcher");
    buf_puts(out, "<span class=\"time\">");
    put_member(out, message, "time");
    buf_puts(out, json_bool(json_get(message, "reply_broadcast"), false)
                      ? " \302\267 also sent to the channel</span>\n"
                      : "</span>\n");
    put_content(out, message);
    put_history(out, json_get(message, "revisions"));
    if (json_count(replies) > 0) {
        buf_puts(out, "<div class=\"thread\">\n");
        for (size_t i = 0; i < json_count(replies); i++) {
            put_message(out, json_at(replies, i), channel);
        }
        buf_puts(out, "</div>\n");
    }
    buf_puts(out, "</div>\n");
}

static void
put_counts(struct buf *out, const struct json *part)
{
    buf_printf(out, "<p class=\"counts\">requests: %lld, refused: %lld</p>\n",
        (long long)json_int(json_get(part, "requests"), 0),
        (long long)json_int(json_get(part, "refusals"), 0));
}

static void
put_slack(struct buf *out, const struct json *slack)
{
    const struct json *channels = json_get(slack, "channels");
    for (size_t i = 0; i < json_count(channels); i++) {
        const struct json *channel = json_at(channels, i),
                          *messages = json_get(channel, "messages");
        if (json_count(messages) == 0) {
            continue;
        }
        buf_puts(out, "<h2>Slack #");
        put_member(out, channel, "name");
        buf_puts(out,
            json_bool(json_get(channel, "archived"), false) ? " (archived)</h2>\n" : "</h2>\n");
        for (size_t k = 0; k < json_count(messages); k++) {
            put_message(out, json_at(messages, k), json_str(json_get(channel, "id")));
        }
    }
}

// --- PagerDuty
// ------------------------------------------------------------------------------------

struct moment {
    const struct json *event, *alert; // alert: NULL for a change
    size_t order;
};

static int
compare_moments(const void *a, const void *b)
{
    const struct moment *left = a, *right = b;
    int64_t difference = json_int(json_get(left->event, "time_ms"), 0) -
                         json_int(json_get(right->event, "time_ms"), 0);
    if (difference != 0) {
        return difference < 0 ? -1 : 1;
    }
    return left->order < right->order ? -1 : left->order > right->order;
}

static void
put_details(struct buf *out, const struct json *event)
{
    const struct json *details = json_path(event, "payload.custom_details");
    if (details != NULL) {
        struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
        json_print(details, true, &text);
        buf_puts(out, "<pre>");
        put(out, buf_cstr(&text));
        buf_puts(out, "</pre>");
    }
}

static void
put_moment(struct buf *out, const struct moment *moment)
{
    static const char *const classes[] = {
        "critical", "error", "warning", "info", "acknowledge", "resolve"};
    const char *action = json_str(json_get(moment->event, "event_action"));
    const char *severity = json_str(json_path(moment->event, "payload.severity"));
    const char *word = cstr_equal(action, "trigger") ? severity : action, *class = "change";
    for (size_t i = 0; i < ARRAY_LENGTH(classes); i++) {
        class = cstr_equal(word, classes[i]) ? classes[i] : class;
    }
    buf_printf(out, "<div class=\"card %s\"><span class=\"who\">", class);
    put(out, moment->alert != NULL ? action : "change");
    buf_puts(out, "</span> ");
    put_member(out, moment->event, "payload.summary");
    buf_puts(out, " <span class=\"time\">");
    put_member(out, moment->event, "time");
    if (moment->alert != NULL) {
        buf_puts(out, " \302\267 ");
        put_member(out, moment->alert, "dedup_key");
        buf_puts(out, ", now ");
        put_member(out, moment->alert, "status");
    }
    buf_puts(out, "</span>");
    put_details(out, moment->event);
    buf_puts(out, "</div>\n");
}

static void
put_pagerduty(struct buf *out, const struct json *pagerduty)
{
    const struct json *alerts = json_get(pagerduty, "alerts"),
                      *changes = json_get(pagerduty, "changes");
    size_t count = json_count(changes), at = 0;
    for (size_t i = 0; i < json_count(alerts); i++) {
        count += json_count(json_get(json_at(alerts, i), "events"));
    }
    struct moment *moments CLEANUP(xfreep) = xcalloc(count + 1, sizeof(*moments));
    for (size_t i = 0; i < json_count(changes); i++, at++) {
        moments[at] = (struct moment){json_at(changes, i), NULL, at};
    }
    for (size_t i = 0; i < json_count(alerts); i++) {
        const struct json *events = json_get(json_at(alerts, i), "events");
        for (size_t k = 0; k < json_count(events); k++, at++) {
            moments[at] = (struct moment){json_at(events, k), json_at(alerts, i), at};
        }
    }
    qsort(moments, count, sizeof(*moments), compare_moments);
    for (size_t i = 0; i < count; i++) {
        put_moment(out, &moments[i]);
    }
}

// --- webhooks
// -------------------------------------------------------------------------------------

static void
put_header(void *ctx, const char *key, const struct json *value)
{
    buf_puts(ctx, "<tr><td>");
    put(ctx, key);
    buf_puts(ctx, "</td><td>");
    put(ctx, json_str(value));
    buf_puts(ctx, "</td></tr>");
}

static void
put_delivery(struct buf *out, const struct json *delivery)
{
    const struct json *valid = json_get(delivery, "valid");
    buf_puts(out, "<div class=\"card info\"><span class=\"who\">");
    put_member(out, delivery, "name");
    buf_printf(out, "</span> answered %lld, %s <span class=\"time\">",
        (long long)json_int(json_get(delivery, "status"), 0),
        valid == NULL             ? "signature not checked"
        : json_bool(valid, false) ? "signature valid"
                                  : "signature not valid");
    put_member(out, delivery, "time");
    buf_puts(out, "</span><details class=\"note\"><summary>headers</summary><table>");
    json_each(json_get(delivery, "headers"), put_header, out);
    buf_puts(out, "</table></details><pre>");
    put_member(out, delivery, json_get(delivery, "body") != NULL ? "body" : "body_base64");
    buf_puts(out, "</pre></div>\n");
}

void
sandbox_inbox_page(const struct json *inbox, struct buf *out)
{
    const struct json *slack = json_get(inbox, "slack"), *pager = json_get(inbox, "pagerduty"),
                      *hooks = json_get(inbox, "hooks"),
                      *deliveries = json_get(hooks, "deliveries");
    buf_puts(out, head);
    put_slack(out, slack);
    put_counts(out, slack);
    buf_puts(out, "<h2>PagerDuty</h2>\n");
    put_pagerduty(out, pager);
    put_counts(out, pager);
    buf_puts(out, "<h2>Webhooks</h2>\n");
    for (size_t i = 0; i < json_count(deliveries); i++) {
        put_delivery(out, json_at(deliveries, i));
    }
    put_counts(out, hooks);
    buf_puts(out, "</body></html>\n");
}
