// A deployment as a Slack message: the card that is brought up to date in place, and the single
// message of an incoming webhook. Everything foreign is escaped by slack.h's functions, so only the
// map of members makes mentions, and only of people whose commits went wrong.
#include "dispatcher/memory.h"
#include "notice_slack_internal.h"
#include "report_internal.h"

enum {
    SENTENCE_MAX = 1500,
    HINT_MAX = 600,
    VALUE_MAX = 150,
    LINK_MAX = 150,
    SHORT_DIGEST = 19, // "sha256:" and twelve
    TEXT_MAX = 64 * 1024,
    CONFIRM_MAX = 300, // @slack/types: text of a confirmation
};

static void
add_header(struct json *blocks, const struct deployment *d, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    const char *line = arena_printf(
        arena, "%s %s", report_outcome_mark(report_outcome_of(d)), notice_headline(d, arena));
    slack_plain(line, SLACK_HEADER_MAX, &text);
    struct json *header = json_make_object();
    json_set_str(header, "type", "header");
    json_set(header, "text", notice_slack_text("plain_text", buf_cstr(&text)));
    json_append(blocks, header);
}

// --- fields ------------------------------------------------------------------------------------

static void
add_field(struct json *fields, const char *name, const struct buf *value)
{
    if (value->len > 0 && json_count(fields) < SLACK_FIELDS_MAX) {
        char *text CLEANUP(xfreep) = xasprintf("*%s*\n%s", name, buf_cstr(value));
        json_append(fields, notice_slack_text("mrkdwn", text));
    }
}

static void
add_text_field(struct json *fields, const char *name, const char *text)
{
    struct buf value CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    if (text != NULL) {
        slack_escape(text, VALUE_MAX, &value);
    }
    add_field(fields, name, &value);
}

static void
add_link_field(struct json *fields, const char *name, const char *url, const char *text)
{
    struct buf value CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    slack_link(notice_slack_url(url), text, LINK_MAX, &value);
    add_field(fields, name, &value);
}

static void
add_time_field(struct json *fields, const struct deployment *d)
{
    char took[32];
    if (d->finished_ms > 0) {
        clock_format_duration(d->finished_ms - d->created_ms, took);
        add_text_field(fields, "Took", took);
    }
}

static struct json *
make_fields(const struct deployment *d, struct arena *arena)
{
    struct json *fields = json_make_array();
    const char *digest = notice_digest(d);
    add_link_field(
        fields, "Version", release_commit_url(d, d->sha, arena), report_version(d, arena));
    add_link_field(fields, "Environment", d->environment_url, d->env);
    add_text_field(fields, "Before", notice_previous(d, arena));
    add_text_field(fields, "By", d->actor);
    add_text_field(fields, "Reason", d->because);
    if (digest != NULL) {
        add_text_field(fields, "Digest", arena_printf(arena, "%.*s", SHORT_DIGEST, digest));
    }
    if (d->run_url != NULL) {
        add_link_field(
            fields, "Infra run", d->run_url, arena_printf(arena, "%lld", (long long)d->run_id));
    }
    if (d->caller_url != NULL) {
        add_link_field(fields, "CI job", d->caller_url, "log");
    }
    add_time_field(fields, d);
    add_text_field(fields, "Deployment", d->id);
    return fields;
}

// --- buttons -----------------------------------------------------------------------------------

struct button {
    const char *text, *action, *style, *question, *yes;
};

static struct json *
make_confirm(const struct deployment *d, const struct button *button, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    const char *question =
        arena_printf(arena, "%s %s of %s in %s%s%s.", button->question, report_version(d, arena),
            d->app, d->env, d->diff != NULL ? ": " : "", d->diff != NULL ? d->diff : "");
    slack_plain(question, CONFIRM_MAX, &text);
    struct json *confirm = json_make_object();
    json_set(confirm, "title", notice_slack_text("plain_text", "Are you sure?"));
    json_set(confirm, "text", notice_slack_text("plain_text", buf_cstr(&text)));
    json_set(confirm, "confirm", notice_slack_text("plain_text", button->yes));
    json_set(confirm, "deny", notice_slack_text("plain_text", "Not now"));
    json_set_str(confirm, "style", button->style);
    return confirm;
}

static void
add_button(struct json *elements, const struct deployment *d, const struct button *button,
    struct arena *arena)
{
    struct json *element = json_make_object();
    json_set_str(element, "type", "button");
    json_set(element, "text", notice_slack_text("plain_text", button->text));
    json_set_str(element, "action_id", button->action);
    json_set_str(element, "value",
        slack_shown_write(&(struct slack_shown){d->id, d->version, d->diff}, arena));
    json_set_str(element, "style", button->style);
    json_set(element, "confirm", make_confirm(d, button, arena));
    json_append(elements, element);
}

static void
add_buttons(struct json *blocks, const struct deployment *d, struct arena *arena)
{
    static const struct button approve = {
        "Approve", "dispatcher-approve", "primary", "This lets go on:", "Approve"};
    static const struct button cancel = {
        "Cancel", "dispatcher-cancel", "danger", "This stops, and takes back:", "Stop it"};
    static const struct button back = {
        "Roll back", "dispatcher-rollback", "danger", "This goes back to before:", "Roll back"};
    enum report_outcome outcome = report_outcome_of(d);
    struct json *elements = json_make_array();
    struct buf way_back CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    report_way_back(d, &way_back);
    if (outcome == REPORT_WAITING) {
        add_button(elements, d, &approve, arena);
    }
    if (outcome == REPORT_WAITING || outcome == REPORT_STARTED || outcome == REPORT_TIMED_OUT) {
        add_button(elements, d, &cancel, arena);
    }
    if (way_back.len > 0) {
        add_button(elements, d, &back, arena);
    }
    if (json_count(elements) == 0) {
        json_free(elements);
        return;
    }
    struct json *actions = json_make_object();
    json_set_str(actions, "type", "actions");
    json_set(actions, "elements", elements);
    json_append(blocks, actions);
}

// --- the card ----------------------------------------------------------------------------------

// Whom it waits for, and where they answer.
static void
put_approval(const struct deployment *d, struct buf *out)
{
    if (cstr_equal(d->run_status, "waiting")) {
        buf_puts(out, "\nIts reviewers answer ");
        slack_link(notice_slack_url(d->run_url), "at the infra run", LINK_MAX, out);
        buf_puts(out, ".");
        return;
    }
    buf_puts(out, "\n`dispatcher continue ");
    slack_escape(d->app, VALUE_MAX, out);
    buf_puts(out, " --env ");
    slack_escape(d->env, VALUE_MAX, out);
    buf_puts(out, "` lets it go on; with `--roll-back` it goes back.");
}

static void
put_sentence(const struct deployment *d, struct arena *arena, struct buf *out)
{
    slack_escape(notice_sentence(d, arena, SENTENCE_MAX), SENTENCE_MAX, out);
    if (report_outcome_of(d) == REPORT_WAITING) {
        put_approval(d, out);
    } else if (d->hint != NULL) {
        buf_puts(out, "\n*Next:* ");
        slack_escape(d->hint, HINT_MAX, out);
    }
}

static void
put_news(const struct deployment *d, struct arena *arena, struct buf *out)
{
    const char *compare = release_compare_url(d, arena);
    if (d->commits.count == 0) {
        return;
    }
    bool several = d->commits.count > 1 || !d->commits_complete;
    const char *count = arena_printf(arena, "%zu%s new commit%s", d->commits.count,
        d->commits_complete ? "" : " or more", several ? "s" : "");
    slack_link(notice_slack_url(compare), count, LINK_MAX, out);
    buf_puts(out, " by ");
    notice_slack_authors(d, report_outcome_is_bad(report_outcome_of(d)), arena, out);
}

static void
add_progress(struct json *blocks, const struct deployment *d, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    if (d->finished_ms == 0) {
        const char *progress = notice_progress(d, arena);
        slack_escape(progress != NULL ? progress : "not begun yet", HINT_MAX, &text);
    }
    notice_slack_context(blocks, &text);
}

// At most five blocks: Slack hides what an attachment has beyond.
static struct json *
make_attachment(const struct deployment *d, const struct deployment_sink *sink,
    const char *fallback, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct json *attachment = json_make_object(), *blocks = json_make_array();
    struct json *main = json_make_object();
    put_sentence(d, arena, &text);
    json_set_str(main, "type", "section");
    json_set(main, "text", notice_slack_text("mrkdwn", buf_cstr(&text)));
    json_set(main, "fields", make_fields(d, arena));
    json_append(blocks, main);
    add_progress(blocks, d, arena);
    buf_reset(&text);
    put_news(d, arena, &text);
    notice_slack_context(blocks, &text);
    if (sink->buttons) {
        add_buttons(blocks, d, arena);
    }
    json_set_str(attachment, "color", report_outcome_color(report_outcome_of(d)));
    json_set_str(attachment, "fallback", fallback);
    json_set(attachment, "blocks", blocks);
    return attachment;
}

struct json *
notice_slack_card(
    const struct deployment *d, const struct deployment_sink *sink, struct arena *arena)
{
    struct json *message = notice_slack_message(d, d->id, arena);
    struct json *blocks = json_make_array(), *attachments = json_make_array();
    const char *fallback = arena_dup(arena, json_str(json_get(message, "text")));
    add_header(blocks, d, arena);
    json_append(attachments, make_attachment(d, sink, fallback, arena));
    json_set(message, "blocks", blocks);
    json_set(message, "attachments", attachments);
    return message;
}

// --- the single message ------------------------------------------------------------------------

static void
put_facts(const struct deployment *d, struct arena *arena, struct buf *out)
{
    slack_link(notice_slack_url(release_commit_url(d, d->sha, arena)), report_version(d, arena),
        LINK_MAX, out);
    if (d->run_url != NULL) {
        buf_puts(out, " · ");
        slack_link(notice_slack_url(d->run_url), "infra run", LINK_MAX, out);
    }
    if (d->caller_url != NULL) {
        buf_puts(out, " · ");
        slack_link(notice_slack_url(d->caller_url), "CI job", LINK_MAX, out);
    }
    buf_puts(out, " · ");
    slack_escape(d->id, VALUE_MAX, out);
    if (d->commits.count > 0) {
        buf_puts(out, " · ");
        put_news(d, arena, out);
    }
}

struct json *
notice_slack_single(
    const struct deployment *d, const struct deployment_sink *sink, struct arena *arena)
{
    (void)sink;
    struct json *message = notice_slack_message(d, NULL, arena), *blocks = json_make_array();
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_printf(&text, "%s *", report_outcome_mark(report_outcome_of(d)));
    slack_escape(notice_headline(d, arena), VALUE_MAX, &text);
    buf_puts(&text, "*\n");
    put_sentence(d, arena, &text);
    notice_slack_section(blocks, &text);
    buf_reset(&text);
    put_facts(d, arena, &text);
    notice_slack_context(blocks, &text);
    json_set(message, "blocks", blocks);
    return message;
}
