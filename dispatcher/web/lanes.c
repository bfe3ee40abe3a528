// `/queue`: every lane in which something runs or waits, in order, with what each waits for, who
// can lift that, and what happens then.
#include <inttypes.h>

#include "web_internal.h"

enum { PERCENT_SHOWN = 95 };

static void
put_running(struct buf *out, const struct web_frame *frame, const struct web_waiting *item)
{
    const struct queue_job *job = item->job;
    if (item->percent >= 0) {
        html_add(out,
            "<progress max=100 value=%" PRId64 " aria-label=\"Of its usual duration\"></progress>",
            item->percent > PERCENT_SHOWN ? PERCENT_SHOWN : item->percent);
    }
    buf_puts(out, "<p class=note>for ");
    part_duration(out, frame->now_ms - job->started_ms);
    if (item->eta_ms > 0) {
        buf_puts(out, ", ready ");
        part_age(out, item->eta_ms, frame->now_ms);
        buf_puts(out, " or so");
    }
    buf_puts(out, "</p>");
}

static void
put_why(struct buf *out, const struct web_frame *frame, const struct web_waiting *item)
{
    const struct queue_job *job = item->job;
    if (job->reason != NULL) {
        html_add(out, "<p class=note>%s</p>", job->reason);
    }
    buf_puts(out, "<p class=note>");
    if (item->approvals_needed > 0) {
        html_add(out, "Approved by %" PRId64 " of %" PRId64 ". ", item->approvals_given,
            item->approvals_needed);
    }
    if (job->who != NULL) {
        part_who(out, job);
        buf_puts(out, ". ");
    }
    if (job->until_ms > 0) {
        buf_puts(out, "Until ");
        part_time(out, job->until_ms);
        buf_puts(out, ". ");
    }
    if (item->on_release != NULL) {
        html_add(out, "%s ", item->on_release);
    }
    if (item->eta_ms > 0) {
        buf_puts(out, "Begins ");
        part_age(out, item->eta_ms, frame->now_ms);
        buf_puts(out, " or so.");
    }
    buf_puts(out, "</p>");
}

static void
put_item(
    struct buf *out, const struct web_frame *frame, const struct web_waiting *item, size_t place)
{
    const struct queue_job *job = item->job;
    bool running = cstr_equal(job->state, "running");
    buf_puts(out, "<tr><td class=pos>");
    if (running) {
        buf_puts(out, "<span class=vh>running</span>");
    } else {
        html_add(out, "%zu", place);
    }
    buf_puts(out, "<th scope=row><a");
    html_path(out, "href", "/deployments/%s", job->id);
    html_add(out, ">#%" PRId64 "</a> ", job->number);
    part_version(out, job->version);
    buf_puts(out, "<p class=note>");
    part_person(out, job->requester);
    buf_puts(out, ", ");
    part_age(out, job->created_ms, frame->now_ms);
    buf_puts(out, "</p><td>");
    part_badge(out, part_job_kind(job), part_job_word(job));
    if (job->emergency) {
        part_badge(out, "sos", "emergency");
    }
    if (job->urgent) {
        part_badge(out, "run", "goes first");
    }
    if (cstr_equal(job->verb, "rollback")) {
        part_badge(out, "back", "rollback");
    }
    if (running) {
        put_running(out, frame, item);
    } else {
        put_why(out, frame, item);
    }
    buf_puts(out, "<td class=does>");
    if (frame->csrf != NULL) {
        action_approve(out, frame, job, item->diff, &item->approve);
        action_hurry(out, frame, job, &item->hurry);
        action_cancel(out, frame, job, &item->cancel);
    }
}

static void
put_lane(struct buf *out, const struct web_frame *frame, const struct web_lane *lane)
{
    buf_puts(out, "<section class=lane><h2><a");
    html_path(out, "href", "/apps/%s?env=%s", lane->app, lane->env);
    html_add(
        out, ">%s <span class=arrow role=img aria-label=to></span> %s</a>", lane->app, lane->env);
    if (lane->usual_ms > 0) {
        buf_puts(out, " <span class=dim>usually ");
        part_duration(out, lane->usual_ms);
        buf_puts(out, "</span>");
    }
    buf_puts(out, "</h2><table class=lanes><thead class=vh><tr><th scope=col>Position<th scope=col>"
                  "Deployment<th scope=col>State<th scope=col>Actions</thead><tbody>");
    size_t place = 0; // of those that wait
    for (size_t i = 0; i < lane->count; i++) {
        place += cstr_equal(lane->items[i].job->state, "running") ? 0 : 1;
        put_item(out, frame, &lane->items[i], place);
    }
    buf_puts(out, "</table></section>");
}

void
web_queue_page(const struct web_frame *frame, const struct web_queue *queue, struct buf *out)
{
    layout_begin(out, frame);
    buf_puts(out, "<h1>Queue</h1>");
    if (frame->running >= 0) {
        html_add(out, "<p class=lead>%" PRId64 " running, %" PRId64 " waiting</p>", frame->running,
            frame->queued);
    }
    if (queue->count == 0) {
        buf_puts(out, "<p class=empty>Nothing runs and nothing waits.</p>");
    }
    for (size_t i = 0; i < queue->count; i++) {
        put_lane(out, frame, &queue->lanes[i]);
    }
    if (queue->left_out > 0) {
        html_add(out, "<p class=dim>%" PRId64 " more lanes are not shown.</p>", queue->left_out);
    }
    layout_end(out, frame);
}
