// The result for a terminal or a plain log: a few lines that say what is true.
#include <string.h>

#include "dispatcher/text.h"
#include "report_internal.h"

enum { COMMITS_MAX = 5, SUBJECT_MAX = 72, AUTHOR_MAX = 40 };

struct paint {
    const char *green, *red, *yellow, *dim, *bold, *off;
};

static const struct paint colors = {
    "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"};
enum { TEXT_MAX = 16 * 1024 };

static const struct paint plain = {"", "", "", "", "", ""};

// One line of ours, whatever the text holds: a second one could be a command to the runner.
static void
put_clean(struct buf *out, const char *before, const char *text, const char *after)
{
    buf_puts(out, before);
    text_clean(str_of(text), TEXT_MAX, out);
    buf_puts(out, after);
}

static void
put_services(const struct deployment *d, const struct paint *paint, struct buf *out)
{
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        buf_printf(out, "  %s%s%s", paint->bold, service->name, paint->off);
        if (service->digest != NULL) {
            buf_printf(out, "  %s", service->digest);
        }
        if (service->previous != NULL && !cstr_equal(service->previous, d->version)) {
            buf_printf(out, "  %sbefore: ", paint->dim);
            put_clean(out, "", service->previous, paint->off);
        }
        buf_putc(out, '\n');
    }
}

static void
put_failure(const struct deployment *d, const struct paint *paint, struct buf *out)
{
    const struct deployment_failure *f = &d->failure;
    if (f->job == NULL) {
        return;
    }
    put_clean(out, "  failed job: ", f->job, "");
    put_clean(out, f->step != NULL ? ", step: " : "", f->step, "");
    put_clean(out, f->job_url != NULL ? "  " : "", f->job_url, "\n");
    for (size_t i = 0; i < f->annotations.count; i++) {
        put_clean(out, "  annotation: ", f->annotations.items[i], "\n");
    }
    struct str line = {0}, rest = str_of(f->log_tail);
    while (str_cut(rest, '\n', &line, &rest)) {
        buf_printf(out, "    %s|%s %.*s\n", paint->dim, paint->off, STR_FMT(line));
    }
}

static void
put_target(const struct deployment *d, const struct deployment_target *target,
    const struct paint *paint, struct buf *out)
{
    struct buf place CLEANUP(buf_done) = BUF_INIT(4096);
    struct buf words CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    report_target_place(target, &place);
    report_target_state(target, &words);
    buf_printf(out, "  %s%s%s", paint->bold, target->name, paint->off);
    put_clean(out, " in ", buf_cstr(&place), "");
    if (!target->proven || !cstr_equal(target->proof, d->proof)) { // it is said once
        put_clean(out, ": ", buf_cstr(&words), "");
    }
    buf_putc(out, '\n');
    for (size_t i = 0; !target->proven && i < target->evidence.count; i++) {
        buf_printf(out, "    %s|%s ", paint->dim, paint->off);
        put_clean(out, "", target->evidence.items[i], "\n");
    }
}

static void
put_targets(const struct deployment *d, const struct paint *paint, struct buf *out)
{
    size_t good = 0;
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (!report_target_is_told(d, target)) {
            continue;
        }
        good += report_target_is_good(target) ? 1 : 0;
        if (!report_target_is_good(target) || good <= REPORT_TARGETS_MAX) {
            put_target(d, target, paint, out);
        }
    }
    if (good > REPORT_TARGETS_MAX) {
        buf_printf(out, "  and %zu more targets that went well\n", good - REPORT_TARGETS_MAX);
    }
}

static void
put_around(const struct deployment *d, struct buf *out)
{
    struct buf words CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    report_migration(d, &words);
    if (words.len > 0) {
        put_clean(out, "  migration: ", buf_cstr(&words), "\n");
    }
    for (size_t i = 0; i < d->verify.count; i++) {
        const struct deployment_check *check = deployment_check_at(d, i);
        buf_reset(&words);
        report_check(check, &words);
        if (check->attempts > 0) {
            put_clean(out, "  check ", check->url, ": ");
            put_clean(out, "", buf_cstr(&words), "\n");
        }
    }
}

// What is new, so that a reader at night need not open a browser to see what may have broken.
static void
put_commits(const struct deployment *d, const struct paint *paint, struct buf *out)
{
    if (d->commits.count == 0) {
        return;
    }
    buf_printf(out, "  new: %zu%s commit%s since what was deployed before\n", d->commits.count,
        d->commits_complete ? "" : " or more",
        d->commits.count == 1 && d->commits_complete ? "" : "s");
    for (size_t i = 0; i < d->commits.count && i < COMMITS_MAX; i++) {
        const struct deployment_commit *commit =
            (const struct deployment_commit *)d->commits.items + i;
        buf_printf(out, "    %s%.7s%s ", paint->dim, commit->sha, paint->off);
        text_clean(str_of(commit->subject), SUBJECT_MAX, out);
        buf_puts(out, " · ");
        text_clean(str_of(commit->author), AUTHOR_MAX, out);
        buf_putc(out, '\n');
    }
    if (d->commits.count > COMMITS_MAX) {
        buf_printf(out, "    … and %zu more\n", d->commits.count - COMMITS_MAX);
    }
}

static void
put_facts(const struct deployment *d, const struct paint *paint, struct buf *out)
{
    char took[32];
    if (d->run_url != NULL) {
        put_clean(out, "  run: ", d->run_url, "\n");
    }
    if (d->proof != NULL) {
        put_clean(out, "  proof: ", d->proof, "\n");
    }
    for (size_t i = 0; i < d->notes.count; i++) {
        put_clean(out, "  note: ", d->notes.items[i], "\n");
    }
    put_commits(d, paint, out);
    if (d->finished_ms > 0) {
        clock_format_duration(d->finished_ms - d->created_ms, took);
        buf_printf(out, "  %sdeployment %s, %s%s\n", paint->dim, d->id, took, paint->off);
    } else {
        buf_printf(out, "  %sdeployment %s%s\n", paint->dim, d->id, paint->off);
    }
}

static void
put_report(const struct deployment *d, bool color, struct buf *out)
{
    const struct paint *paint = color ? &colors : &plain;
    bool good = cstr_equal(d->result, "deployed");
    bool open = d->result == NULL;
    const char *tint = good ? paint->green : open ? paint->yellow : paint->red;
    const char *sign = good ? "✓" : open ? "…" : "✗";
    buf_printf(out, "%s%s%s ", tint, sign, paint->off);
    put_clean(out, "", d->message, "\n");
    put_services(d, paint, out);
    put_targets(d, paint, out);
    put_around(d, out);
    put_failure(d, paint, out);
    put_facts(d, paint, out);
    if (d->hint != NULL) {
        put_clean(out, "  hint: ", d->hint, "\n");
    }
    struct buf back CLEANUP(buf_done) = BUF_INIT(1024);
    report_way_back(d, &back);
    if (back.len > 0) {
        put_clean(out, "  to go back: ", buf_cstr(&back), "\n");
    }
}

void
report_text(const struct deployment *d, bool color, struct buf *out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(out->max);
    put_report(d, color, &text);
    context_disarm(buf_cstr(&text), out);
}
