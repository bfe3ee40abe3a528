// The result as GitHub-flavoured Markdown for $GITHUB_STEP_SUMMARY. Foreign text is escaped: a
// commit subject or a log line must not become markup (protocols.md T47).
#include <string.h>

#include "notice_internal.h"
#include "report_internal.h"

enum { SUBJECT_MAX = 100 };

static void
put_headline(const struct deployment *d, struct buf *out)
{
    bool good = cstr_equal(d->result, "deployed");
    bool open = d->result == NULL;
    buf_printf(out, "### %s ", good ? "✅" : open ? "⏳" : "❌");
    report_markdown_escape(d->title != NULL ? d->title : d->app, SUBJECT_MAX, out);
    buf_printf(out, " → %s: %s%s\n\n", d->env,
        d->result != NULL       ? d->result
        : d->unfinished != NULL ? d->unfinished
                                : "running",
        d->result == NULL   ? ""
        : d->exit_code == 7 ? ", previous version restored"
        : d->exit_code == 8 ? ", previous version NOT restored"
                            : "");
    report_markdown_escape(d->message, 2000, out);
    buf_puts(out, "\n\n");
}

static void
row(struct buf *out, const char *name)
{
    buf_printf(out, "| %s | ", name);
}

static void
put_version(const struct deployment *d, struct buf *out)
{
    row(out, "Version");
    if (cstr_equal(d->version, d->sha)) {
        report_markdown_commit(d, d->sha, 12, out);
    } else {
        report_markdown_value(d->version, out);
    }
    buf_puts(out, " |\n");
}

static void
put_target(const struct deployment_target *target, struct buf *out)
{
    struct buf words CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_printf(
        out, "| %s `%s` | ", report_target_is_good(target) ? "Target" : "**Target**", target->name);
    report_target_place(target, &words);
    report_markdown_escape(buf_cstr(&words), 500, out);
    buf_puts(out, ": ");
    buf_reset(&words);
    report_target_state(target, &words);
    report_markdown_escape(buf_cstr(&words), 1000, out);
    buf_puts(out, " |\n");
}

static void
put_targets(const struct deployment *d, struct buf *out)
{
    size_t good = 0;
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (!report_target_is_told(d, target)) {
            continue;
        }
        good += report_target_is_good(target) ? 1 : 0;
        if (!report_target_is_good(target) || good <= REPORT_TARGETS_MAX) {
            put_target(target, out);
        }
    }
    if (good > REPORT_TARGETS_MAX) {
        buf_printf(out, "| Targets | and %zu more that went well |\n", good - REPORT_TARGETS_MAX);
    }
}

static void
put_around(const struct deployment *d, struct buf *out)
{
    struct buf words CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    report_migration(d, &words);
    if (words.len > 0) {
        row(out, "Migration");
        report_markdown_escape(buf_cstr(&words), 500, out);
        buf_puts(out, " |\n");
    }
    for (size_t i = 0; i < d->verify.count; i++) {
        const struct deployment_check *check = deployment_check_at(d, i);
        if (check->attempts > 0) {
            buf_reset(&words);
            report_check(check, &words);
            buf_puts(out, "| Check | ");
            report_markdown_escape(check->url, 300, out);
            buf_puts(out, ": ");
            report_markdown_escape(buf_cstr(&words), 300, out);
            buf_puts(out, " |\n");
        }
    }
}

// Why targets failed, as their platforms say.
static void
put_evidence(const struct deployment *d, struct buf *out)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (target->proven || target->evidence.count == 0) {
            continue;
        }
        buf_puts(out, "#### Failed: ");
        report_markdown_escape(target->name, SUBJECT_MAX, out);
        buf_puts(out, "\n\n");
        for (size_t k = 0; k < target->evidence.count; k++) {
            buf_puts(out, "- ");
            report_markdown_escape(target->evidence.items[k], 1000, out);
            buf_putc(out, '\n');
        }
        buf_putc(out, '\n');
    }
}

static void
put_table(const struct deployment *d, struct buf *out)
{
    char took[32];
    buf_puts(out, "| | |\n|---|---|\n");
    put_version(d, out);
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        buf_printf(out, "| Service `%s` | ", service->name);
        if (service->digest != NULL) {
            report_markdown_value(service->digest, out);
        } else {
            buf_puts(out, "`not pushed`");
        }
        buf_puts(out, " |\n");
        bool several = d->services.count > 1;
        buf_printf(out, "| Before%s%s%s | ", several ? " (`" : "", several ? service->name : "",
            several ? "`)" : "");
        report_markdown_value(service->previous, out);
        buf_puts(out, " |\n");
    }
    put_targets(d, out);
    put_around(d, out);
    if (notice_url(d->run_url) != NULL) {
        buf_printf(out, "| Infra run | [%lld](", (long long)d->run_id);
        report_markdown_url(d->run_url, out);
        buf_puts(out, ") |\n");
    }
    if (d->proof != NULL) {
        row(out, "Proof");
        report_markdown_escape(d->proof, 500, out);
        buf_puts(out, " |\n");
    }
    if (d->finished_ms > 0) {
        clock_format_duration(d->finished_ms - d->created_ms, took);
        buf_printf(out, "| Took | %s |\n", took);
    }
    buf_printf(out, "| Deployment | `%s` |\n\n", d->id);
}

static void
put_steps(const struct deployment *d, struct buf *out)
{
    buf_puts(out, "| Step | | |\n|---|---|---|\n");
    for (size_t i = 0; i < d->steps.count; i++) {
        const struct deployment_step *step = deployment_step_at(d, i);
        const char *state = step->state == NULL                      ? "not reached"
                            : cstr_equal(step->state, "undone")      ? "restored"
                            : cstr_equal(step->state, "undo-failed") ? "**NOT restored**"
                                                                     : step->state;
        buf_printf(out, "| %s | %s | ", step->name, state);
        report_markdown_escape(step->note != NULL ? step->note : step->reason, 300, out);
        buf_puts(out, " |\n");
    }
    buf_putc(out, '\n');
}

static void
put_commits(const struct deployment *d, struct buf *out)
{
    if (d->commits.count == 0) {
        return;
    }
    buf_printf(out, "<details open><summary>%zu%s new commit%s</summary>\n\n", d->commits.count,
        d->commits_complete ? "" : " or more",
        d->commits.count == 1 && d->commits_complete ? "" : "s");
    for (size_t i = 0; i < d->commits.count; i++) {
        const struct deployment_commit *commit =
            (const struct deployment_commit *)d->commits.items + i;
        buf_puts(out, "- ");
        report_markdown_commit(d, commit->sha, 7, out);
        buf_putc(out, ' ');
        report_markdown_escape(commit->subject, SUBJECT_MAX, out);
        buf_puts(out, " · ");
        report_markdown_escape(commit->author, SUBJECT_MAX, out);
        buf_putc(out, '\n');
    }
    buf_puts(out, "\n</details>\n\n");
}

static void
put_failure(const struct deployment *d, struct buf *out)
{
    const struct deployment_failure *f = &d->failure;
    if (f->job == NULL) {
        return;
    }
    buf_puts(out, "#### Failed: ");
    report_markdown_escape(f->job, SUBJECT_MAX, out);
    if (f->step != NULL) {
        buf_puts(out, " › ");
        report_markdown_escape(f->step, SUBJECT_MAX, out);
    }
    buf_puts(out, "\n\n");
    for (size_t i = 0; i < f->annotations.count; i++) {
        buf_puts(out, "- ");
        report_markdown_escape(f->annotations.items[i], 1000, out);
        buf_putc(out, '\n');
    }
    if (f->log_tail == NULL) {
        return;
    }
    // An indented block has no end marker that a log line could imitate.
    buf_puts(out, "\n<details open><summary>End of its log</summary>\n\n");
    struct str line = {0}, rest = str_of(f->log_tail);
    while (str_cut(rest, '\n', &line, &rest)) {
        buf_printf(out, "    %.*s\n", STR_FMT(line));
    }
    buf_puts(out, "\n</details>\n\n");
}

void
report_summary(const struct deployment *d, struct buf *out)
{
    put_headline(d, out);
    put_table(d, out);
    put_evidence(d, out);
    put_failure(d, out);
    put_commits(d, out);
    put_steps(d, out);
    for (size_t i = 0; i < d->notes.count; i++) {
        buf_puts(out, "> - ");
        report_markdown_escape(d->notes.items[i], 500, out);
        buf_putc(out, '\n');
    }
    if (d->hint != NULL) {
        buf_puts(out, "\n**Next:** ");
        report_markdown_escape(d->hint, 1000, out);
        buf_putc(out, '\n');
    }
    struct buf back CLEANUP(buf_done) = BUF_INIT(1024);
    report_way_back(d, &back);
    if (back.len > 0) {
        buf_printf(out, "\nTo go back: `%s`\n", buf_cstr(&back));
    }
}
