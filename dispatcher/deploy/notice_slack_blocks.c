// What Slack messages are put together from (npm @slack/types): blocks, the frame of a message, and
// people. Which of them a message has is notice_slack.c's and notice_slack_thread.c's.
#include <string.h>

#include "notice_slack_internal.h"

enum {
    FALLBACK_MAX = 1000,
    AUTHOR_MAX = 60,
    AUTHORS_MAX = 8,
    TEXT_MAX = 64 * 1024,
    URL_MAX = 500,
    MEMBER_MIN = 5,
    MEMBER_MAX = 20,
};

const char *
notice_slack_url(const char *url)
{
    return notice_url(url) != NULL && strlen(url) <= URL_MAX ? url : "";
}

struct json *
notice_slack_text(const char *type, const char *text)
{
    struct json *object = json_make_object();
    json_set_str(object, "type", type);
    json_set_str(object, "text", text);
    if (cstr_equal(type, "mrkdwn")) {
        json_set_bool(object, "verbatim", true); // nothing becomes a link that is not marked as one
    }
    return object;
}

void
notice_slack_section(struct json *blocks, const struct buf *text)
{
    if (text->len == 0) {
        return;
    }
    struct json *block = json_make_object();
    json_set_str(block, "type", "section");
    json_set(block, "text", notice_slack_text("mrkdwn", buf_cstr(text)));
    json_append(blocks, block);
}

void
notice_slack_context(struct json *blocks, const struct buf *text)
{
    if (text->len == 0) {
        return;
    }
    struct json *block = json_make_object(), *elements = json_make_array();
    json_append(elements, notice_slack_text("mrkdwn", buf_cstr(text)));
    json_set_str(block, "type", "context");
    json_set(block, "elements", elements);
    json_append(blocks, block);
}

static struct json *
make_metadata(const char *id)
{
    struct json *metadata = json_make_object(), *payload = json_make_object();
    json_set_str(payload, "id", id);
    json_set_str(metadata, "event_type", NOTICE_SLACK_EVENT);
    json_set(metadata, "event_payload", payload);
    return metadata;
}

struct json *
notice_slack_message(const struct deployment *d, const char *id, struct arena *arena)
{
    struct json *message = json_make_object();
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_printf(&text, "%s ", report_outcome_mark(report_outcome_of(d)));
    slack_escape(notice_headline(d, arena), FALLBACK_MAX, &text);
    buf_puts(&text, "\n");
    slack_escape(notice_sentence(d, arena, FALLBACK_MAX), FALLBACK_MAX, &text);
    json_set_str(message, "text", buf_cstr(&text));
    if (id != NULL) {
        json_set(message, "metadata", make_metadata(id));
    }
    json_set_bool(message, "unfurl_links", false);
    json_set_bool(message, "unfurl_media", false);
    return message;
}

struct json *
notice_slack_plain(const struct json *body)
{
    static const char *const kept[] = {"text", "metadata", "unfurl_links", "unfurl_media"};
    struct json *plain = json_make_object();
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
        const struct json *value = json_get(body, kept[i]);
        if (value != NULL) {
            json_set(plain, kept[i], json_clone(value));
        }
    }
    return plain;
}

// --- people ------------------------------------------------------------------------------------

// Could it be a member's id? Anything else in <@…> would be a mention of something else.
static bool
is_member(const char *id)
{
    size_t length = strlen(id);
    return length >= MEMBER_MIN && length <= MEMBER_MAX && (id[0] == 'U' || id[0] == 'W') &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == length;
}

static const char *
member_of(const struct deployment *d, const char *email, const char *name)
{
    for (size_t i = 0; i < d->members.count; i++) {
        const struct pair *member = &d->members.items[i];
        bool same = (email != NULL && str_equal_nocase(str_of(member->key), str_of(email))) ||
                    cstr_equal(member->key, name);
        if (same && is_member(member->value)) {
            return member->value;
        }
    }
    return NULL;
}

static const char *
email_of(const struct deployment *d, const char *author)
{
    for (size_t i = 0; i < d->commits.count; i++) {
        const struct deployment_commit *commit =
            (const struct deployment_commit *)d->commits.items + i;
        if (cstr_equal(commit->author, author) && commit->email != NULL) {
            return commit->email;
        }
    }
    return NULL;
}

void
notice_slack_authors(const struct deployment *d, bool mention, struct arena *arena, struct buf *out)
{
    struct str_list authors = {0};
    release_authors(d, arena, &authors);
    size_t shown = authors.count <= AUTHORS_MAX ? authors.count : AUTHORS_MAX;
    for (size_t i = 0; i < shown; i++) {
        const char *author = authors.items[i];
        const char *member = mention ? member_of(d, email_of(d, author), author) : NULL;
        buf_puts(out, i > 0 ? ", " : "");
        if (member != NULL) {
            buf_printf(out, "<@%s>", member);
        } else {
            slack_escape(author, AUTHOR_MAX, out);
        }
    }
    if (shown < authors.count) {
        buf_printf(out, " and %zu more", authors.count - shown);
    }
}
