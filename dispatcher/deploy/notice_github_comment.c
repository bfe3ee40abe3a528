// The one comment of a deployment in a pull request, brought up to date in place: Markdown under a
// first line that nobody sees and that finds it again.
#include "notice_internal.h"

#include "dispatcher/github_reports.h"
#include "report_internal.h"

enum {
    NAME_MAX = 100,
    TITLE_MAX = 250,
    SENTENCE_MAX = 2000,
    MESSAGE_MAX = 500,
    TOLD_MAX = 5,
    NOTES_MAX = 12000, // bytes
    BODY_MAX = 1024 * 1024,
};

static void
put_link_row(const char *name, const char *text, const char *url, struct buf *out)
{
    if (notice_url(url) != NULL) {
        buf_printf(out, "| %s | [%s](", name, text);
        report_markdown_url(url, out);
        buf_puts(out, ") |\n");
    }
}

static void
put_row(const char *name, const char *text, struct buf *out)
{
    if (text != NULL) {
        buf_printf(out, "| %s | ", name);
        report_markdown_escape(text, SENTENCE_MAX, out);
        buf_puts(out, " |\n");
    }
}

static void
put_table(const struct deployment *d, struct arena *arena, struct buf *out)
{
    const char *digest = notice_digest(d);
    buf_puts(out, "| | |\n|---|---|\n| Version | ");
    if (cstr_equal(d->version, d->sha)) {
        report_markdown_commit(d, d->sha, 12, out);
    } else {
        report_markdown_value(d->version, out);
    }
    buf_puts(out, " |\n| Before | ");
    report_markdown_value(notice_previous(d, arena), out);
    buf_puts(out, " |\n");
    if (digest != NULL) {
        buf_puts(out, "| Digest | ");
        report_markdown_value(digest, out);
        buf_puts(out, " |\n");
    }
    put_row("Proof", d->proof, out);
    put_row("By", d->actor, out);
    put_link_row("Run", "infra run", d->run_url, out);
    put_link_row("CI job", "log", d->caller_url, out);
    put_link_row("Environment", d->env, d->environment_url, out);
    if (d->finished_ms > 0) {
        char took[32];
        clock_format_duration(d->finished_ms - d->created_ms, took);
        put_row("Took", took, out);
    } else {
        put_row("At", notice_progress(d, arena), out);
    }
    buf_printf(out, "| Deployment | `%s` |\n\n", d->id);
}

static void
put_list(const struct str_list *list, struct buf *out)
{
    for (size_t i = 0; i < list->count && i < TOLD_MAX; i++) {
        buf_puts(out, "- ");
        report_markdown_escape(list->items[i], MESSAGE_MAX, out);
        buf_putc(out, '\n');
    }
    buf_puts(out, list->count > 0 ? "\n" : "");
}

static void
put_failure(const struct deployment *d, struct arena *arena, struct buf *out)
{
    const struct deployment_failure *f = &d->failure;
    struct str_list standing = {0};
    if (f->job != NULL) {
        buf_puts(out, "**Failed:** ");
        report_markdown_escape(f->job, NAME_MAX, out);
        buf_puts(out, f->step != NULL ? " › " : "");
        report_markdown_escape(f->step, NAME_MAX, out);
        buf_puts(out, "\n\n");
    }
    put_list(&f->annotations, out);
    for (size_t i = 0, told = 0; i < d->targets.count && told < TOLD_MAX; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (!target->proven && target->evidence.count > 0) {
            put_list(&target->evidence, out);
            told++;
        }
    }
    notice_standing(d, arena, &standing);
    buf_puts(out, standing.count > 0 ? "**How things stand:**\n\n" : "");
    put_list(&standing, out);
}

static void
put_notes(const struct deployment *d, struct buf *out)
{
    if (d->commits.count == 0) {
        return;
    }
    buf_printf(out, "<details><summary>%zu%s new commit%s</summary>\n\n", d->commits.count,
        d->commits_complete ? "" : " or more",
        d->commits.count == 1 && d->commits_complete ? "" : "s");
    release_notes(d, NOTES_MAX, out);
    buf_puts(out, "\n</details>\n\n");
}

static void
put_comment(const struct deployment *d, struct arena *arena, struct buf *out)
{
    enum report_outcome outcome = report_outcome_of(d);
    struct buf back CLEANUP(buf_done) = BUF_INIT(4096);
    buf_printf(out, "### %s ", report_outcome_mark(outcome));
    report_markdown_escape(notice_headline(d, arena), TITLE_MAX, out);
    buf_puts(out, "\n\n");
    report_markdown_escape(notice_sentence(d, arena, SENTENCE_MAX), SENTENCE_MAX, out);
    buf_puts(out, "\n\n");
    put_table(d, arena, out);
    if (report_outcome_is_bad(outcome)) {
        put_failure(d, arena, out);
    }
    put_notes(d, out);
    if (d->hint != NULL) {
        buf_puts(out, "**Next:** ");
        report_markdown_escape(d->hint, SENTENCE_MAX, out);
        buf_puts(out, "\n\n");
    }
    report_way_back(d, &back);
    if (back.len > 0) {
        buf_printf(out, "To go back: `%s`\n", buf_cstr(&back));
    }
}

struct json *
notice_github_comment(const struct deployment *d, struct arena *arena)
{
    if (!notice_is_of_commit(d)) {
        return NULL;
    }
    const char *mark = arena_printf(arena, "<!-- dispatcher:%s:%s -->", d->app, d->env);
    struct buf text CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    struct json *body = json_make_object();
    buf_printf(&text, "%s\n", mark);
    put_comment(d, arena, &text);
    json_set_str(body, "sha", d->sha);
    json_set_str(body, "mark", mark);
    json_set_str(body, "body", notice_cut_lines(arena, buf_str(&text), GITHUB_COMMENT_MAX));
    return body;
}
