// The parts of a timeline that happen elsewhere: the run at GitHub with its jobs and steps, and the
// targets on their platforms.
#include <inttypes.h>

#include "timeline_internal.h"

static const char *
kind_of(const char *status, const char *conclusion)
{
    if (cstr_equal(status, "in_progress")) {
        return "run";
    }
    if (!cstr_equal(status, "completed")) {
        return "todo";
    }
    if (cstr_equal(conclusion, "success")) {
        return "ok";
    }
    return cstr_equal(conclusion, "skipped") || cstr_equal(conclusion, "cancelled") ? "stop"
                                                                                    : "bad";
}

static const char *
word_of(const char *status, const char *conclusion)
{
    if (cstr_equal(status, "completed")) {
        return conclusion != NULL ? conclusion : "completed";
    }
    return cstr_equal(status, "in_progress") ? "running" : status != NULL ? status : "to do";
}

static void
put_job_steps(struct buf *out, const struct deployment_job *job)
{
    const struct deployment_job_step *steps = job->steps.items;
    if (job->steps.count == 0) {
        return;
    }
    html_add(out, "<details class=steps%s><summary class=dim>%zu steps</summary><ol>",
        cstr_equal(job->conclusion, "success") || cstr_equal(job->conclusion, "skipped") ? ""
                                                                                         : " open",
        job->steps.count);
    for (size_t i = 0; i < job->steps.count; i++) {
        buf_puts(out, "<li>");
        part_badge(out, kind_of(steps[i].status, steps[i].conclusion),
            word_of(steps[i].status, steps[i].conclusion));
        html_add(out, " %s</li>", steps[i].name);
    }
    buf_puts(out, "</ol></details>");
}

static void
put_job(struct buf *out, const struct timeline *t, const struct deployment_job *job)
{
    buf_puts(out, "<li>");
    part_badge(out, kind_of(job->status, job->conclusion), word_of(job->status, job->conclusion));
    buf_puts(out, " ");
    html_link(out, job->url, job->name);
    if (job->started_ms > 0) {
        buf_puts(out, " <span class=dim>");
        part_duration(
            out, (job->completed_ms > 0 ? job->completed_ms : t->frame->now_ms) - job->started_ms);
        buf_puts(out, "</span>");
    }
    put_job_steps(out, job);
    buf_puts(out, "</li>");
}

void
timeline_run(struct buf *out, const struct timeline *t, bool jobs)
{
    const struct deployment *d = t->shown->deployment;
    if (!jobs) {
        if (d->run_id > 0) {
            buf_puts(out, "<p class=note>");
            struct buf label CLEANUP(buf_done) = BUF_INIT(64);
            buf_printf(&label, "Run %" PRId64, d->run_id);
            html_link(out, d->run_url, buf_cstr(&label));
            html_add(out, " of %s, %s", d->workflow_repo, d->workflow_file);
            buf_puts(out, "</p>");
        }
        return;
    }
    const struct deployment_job *items = d->jobs.items;
    if (d->jobs.count > 0) {
        buf_puts(out, "<ul class=jobs>");
        for (size_t i = 0; i < d->jobs.count; i++) {
            put_job(out, t, &items[i]);
        }
        buf_puts(out, "</ul>");
    }
}

static const char *
move_kind(const struct deployment_move *move)
{
    if (move->outcome == NULL) {
        return move->state != NULL ? "run" : "todo";
    }
    return cstr_equal(move->outcome, "succeeded") ? "ok"
           : cstr_equal(move->outcome, "unknown") ? "unk"
                                                  : "bad";
}

void
timeline_targets(struct buf *out, const struct timeline *t)
{
    const struct deployment *d = t->shown->deployment;
    if (d->targets.count == 0) {
        return;
    }
    buf_puts(out, "<ul class=jobs>");
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        const struct deployment_move *move = &target->forward;
        buf_puts(out, "<li>");
        part_badge(out, move_kind(move),
            move->outcome != NULL ? move->outcome
            : move->state != NULL ? "moving"
                                  : "to do");
        html_add(out, " %s <span class=dim>%s%s%s</span>", target->name, move->progress,
            move->progress != NULL && move->reason != NULL ? " · " : "", move->reason);
        if (target->proof != NULL) {
            html_add(out, "<p class=note>%s</p>", target->proof);
        }
        buf_puts(out, "</li>");
    }
    buf_puts(out, "</ul>");
}
