// The answer in the thread of a card once the deployment is over: what failed, how things stand and
// what to do; or what is new and how long it took. Below the sum of text that Slack takes.
#include <string.h>

#include "notice_slack_internal.h"
#include "report_internal.h"

enum {
    SENTENCE_MAX = 1000,
    NAME_MAX = 150,
    LINE_MAX_CHARACTERS = 300,
    SUBJECT_MAX = 100,
    LIST_MAX = 1800, // of one section, bytes
    LOG_MAX = 2600,
    HINT_MAX = 800,
    TEXT_MAX = 64 * 1024,
    SHORT_SHA = 7,
};
// With the longest of each: 1,000 + 500 + 3 × 1,800 + 1,100 + 2,650 and small print.

// A list of lines, as many as go in; the others are counted.
struct list {
    struct buf text;
    size_t left;
};

static void
list_start(struct list *list, const char *title)
{
    *list = (struct list){.text = BUF_INIT(TEXT_MAX)};
    buf_printf(&list->text, "*%s*", title);
}

static void
list_add(struct list *list, const struct buf *line)
{
    if (list->left > 0 || list->text.len + line->len > LIST_MAX) {
        list->left++;
        return;
    }
    buf_printf(&list->text, "\n• %s", buf_cstr(line));
}

static void
list_add_text(struct list *list, const char *text)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    slack_escape(text, LINE_MAX_CHARACTERS, &line);
    if (line.len > 0) {
        list_add(list, &line);
    }
}

// Into `blocks` unless it stayed empty.
static void
list_finish(struct list *list, const char *title, struct json *blocks)
{
    bool empty = list->text.len <= strlen(title) + 2;
    if (list->left > 0) {
        buf_printf(&list->text, "\n… and %zu more", list->left);
    }
    if (!empty) {
        notice_slack_section(blocks, &list->text);
    }
    buf_done(&list->text);
}

// --- what went wrong ---------------------------------------------------------------------------

static void
add_failed_job(struct json *blocks, const struct deployment *d, struct arena *arena)
{
    const struct deployment_failure *f = &d->failure;
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    if (f->job == NULL) {
        return;
    }
    const char *job = notice_cut(arena, f->job, NAME_MAX);
    const char *step = notice_cut(arena, f->step, NAME_MAX);
    const char *place = step != NULL ? arena_printf(arena, "%s › %s", job, step) : job;
    buf_puts(&text, "*Failed job:* ");
    slack_link(notice_slack_url(f->job_url), place, NAME_MAX * 2, &text);
    notice_slack_section(blocks, &text);
}

static void
add_seen(struct json *blocks, const struct deployment *d)
{
    static const char title[] = "What was seen";
    struct list list;
    list_start(&list, title);
    for (size_t i = 0; i < d->failure.annotations.count; i++) {
        list_add_text(&list, d->failure.annotations.items[i]);
    }
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        for (size_t k = 0; !target->proven && k < target->evidence.count; k++) {
            list_add_text(&list, target->evidence.items[k]);
        }
    }
    list_finish(&list, title, blocks);
}

static void
add_standing(struct json *blocks, const struct deployment *d, struct arena *arena)
{
    static const char title[] = "How things stand";
    struct str_list standing = {0};
    struct list list;
    notice_standing(d, arena, &standing);
    list_start(&list, title);
    for (size_t i = 0; i < standing.count; i++) {
        list_add_text(&list, standing.items[i]);
    }
    list_finish(&list, title, blocks);
}

static void
add_log(struct json *blocks, const struct deployment *d)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    if (d->failure.log_tail == NULL || d->failure.log_tail[0] == '\0') {
        return;
    }
    buf_puts(&text, "*End of its log*\n```\n");
    slack_preformatted(d->failure.log_tail, LOG_MAX, &text);
    buf_puts(&text, "\n```");
    notice_slack_section(blocks, &text);
}

// --- what is new -------------------------------------------------------------------------------

static void
add_commits(struct json *blocks, const struct deployment *d, struct arena *arena)
{
    static const char title[] = "New";
    struct list list;
    list_start(&list, title);
    for (size_t i = 0; i < d->commits.count; i++) {
        const struct deployment_commit *commit =
            (const struct deployment_commit *)d->commits.items + i;
        struct buf line CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        slack_link(notice_slack_url(release_commit_url(d, commit->sha, arena)),
            arena_printf(arena, "%.*s", SHORT_SHA, commit->sha), SUBJECT_MAX, &line);
        buf_putc(&line, ' ');
        slack_escape(commit->subject, SUBJECT_MAX, &line);
        buf_puts(&line, " · ");
        slack_escape(commit->author != NULL ? commit->author : "?", SUBJECT_MAX, &line);
        list_add(&list, &line);
    }
    list_finish(&list, title, blocks);
}

static void
add_steps(struct json *blocks, const struct deployment *d, struct arena *arena)
{
    static const char title[] = "Steps";
    struct list list;
    list_start(&list, title);
    for (size_t i = 0; i < d->steps.count; i++) {
        const struct deployment_step *step = deployment_step_at(d, i);
        char took[32] = "";
        if (step->state == NULL || step->skip || cstr_equal(step->state, "skipped")) {
            continue;
        }
        if (step->ended_ms > step->started_ms && step->started_ms > 0) {
            clock_format_duration(step->ended_ms - step->started_ms, took);
        }
        list_add_text(&list, arena_printf(arena, "%s: %s%s%s%s%s", step->name, step->state,
                                 took[0] != '\0' ? ", " : "", took, step->note != NULL ? ", " : "",
                                 step->note != NULL ? step->note : ""));
    }
    list_finish(&list, title, blocks);
}

// --- all of it ---------------------------------------------------------------------------------

static void
add_next(struct json *blocks, const struct deployment *d)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf back CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    report_way_back(d, &back);
    if (d->hint != NULL) {
        buf_puts(&text, "*Next:* ");
        slack_escape(d->hint, HINT_MAX, &text);
    }
    if (back.len > 0) {
        buf_printf(&text, "%s*To go back:* `", text.len > 0 ? "\n" : "");
        slack_escape(buf_cstr(&back), LINE_MAX_CHARACTERS, &text);
        buf_putc(&text, '`');
    }
    notice_slack_section(blocks, &text);
}

static void
add_people(struct json *blocks, const struct deployment *d, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    if (d->commits.count > 0) {
        buf_puts(&text, "New in it are commits by ");
        notice_slack_authors(d, true, arena, &text);
    }
    notice_slack_context(blocks, &text);
}

// The channel may see the answer without the card: it says what it is about.
static void
add_beginning(struct json *blocks, const struct deployment *d, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    enum report_outcome outcome = report_outcome_of(d);
    const char *sentence = report_outcome_is_good(outcome) && d->proof != NULL
                               ? d->proof
                               : notice_reason(d, arena, SENTENCE_MAX);
    buf_printf(&text, "%s *", report_outcome_mark(outcome));
    slack_escape(notice_headline(d, arena), NAME_MAX, &text);
    buf_puts(&text, "*\n");
    slack_escape(sentence, SENTENCE_MAX, &text);
    notice_slack_section(blocks, &text);
}

struct json *
notice_slack_thread(
    const struct deployment *d, const struct deployment_sink *sink, struct arena *arena)
{
    (void)sink;
    enum report_outcome outcome = report_outcome_of(d);
    if (!report_outcome_is_final(outcome)) {
        return NULL;
    }
    const char *id = arena_printf(arena, "%s/%s", d->id, report_outcome_word(outcome));
    struct json *message = notice_slack_message(d, id, arena);
    struct json *blocks = json_make_array();
    add_beginning(blocks, d, arena);
    if (report_outcome_is_good(outcome)) {
        add_commits(blocks, d, arena);
        add_steps(blocks, d, arena);
    } else {
        add_failed_job(blocks, d, arena);
        add_seen(blocks, d);
        add_standing(blocks, d, arena);
    }
    add_next(blocks, d);
    if (!report_outcome_is_good(outcome)) {
        add_log(blocks, d);
    }
    if (report_outcome_is_bad(outcome)) {
        add_people(blocks, d, arena);
    }
    json_set(message, "blocks", blocks);
    if (report_outcome_is_bad(outcome)) {
        json_set_bool(message, "reply_broadcast", true); // the channel sees it, too
    }
    return message;
}
