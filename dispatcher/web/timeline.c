// The way of one deployment from the request to its end, as a list of moments with how long each
// took. Reads the job and the journal's document; says nothing that does not stand there.
#include <inttypes.h>
#include <string.h>

#include "timeline_internal.h"

static void
begin_moment(struct buf *out, const char *kind, const char *title)
{
    html_add(out, "<li class=\"%s\"><div class=what><b>%s</b>", kind, title);
}

// The right edge: when, how long, and the word where it is not plain.
static void
put_when(struct buf *out, int64_t at_ms, int64_t took_ms, int64_t now_ms)
{
    buf_puts(out, " <span class=when>");
    if (took_ms >= 0) {
        part_duration(out, took_ms);
        buf_puts(out, " · ");
    }
    part_age(out, at_ms, now_ms);
    buf_puts(out, at_ms > 0 ? " ago</span>" : "</span>");
}

static void
end_head(struct buf *out)
{
    buf_puts(out, "</div>");
}

static void
put_note(struct buf *out, const char *note)
{
    if (note != NULL && note[0] != '\0') {
        html_add(out, "<p class=note>%s</p>", note);
    }
}

// --- before it begins ----------------------------------------------------------------------------

static void
put_requested(struct buf *out, const struct timeline *t)
{
    const struct web_deployment *shown = t->shown;
    const struct queue_job *job = shown->job;
    const struct deployment *d = shown->deployment;
    begin_moment(out, "ok", "Requested");
    put_when(out, job != NULL ? job->created_ms : d->created_ms, -1, t->frame->now_ms);
    end_head(out);
    const char *by = job != NULL ? job->requester : d->actor;
    const char *from = job != NULL ? job->repository : d->repository;
    buf_puts(out, "<p class=note>by ");
    part_person(out, by != NULL ? by : "somebody");
    if (from != NULL) {
        html_add(out, " from %s", from);
    }
    if (d != NULL && html_is_link(d->caller_url)) {
        buf_puts(out, " (");
        html_link(out, d->caller_url, "its job");
        buf_puts(out, ")");
    }
    buf_puts(out, "</p>");
    if (d != NULL && d->because != NULL) {
        html_add(out, "<p class=note>“%s”</p>", d->because);
    }
    buf_puts(out, "</li>");
}

static void
put_policy(struct buf *out, const struct timeline *t)
{
    const struct web_deployment *shown = t->shown;
    if (shown->rule == NULL && shown->spec_commit == NULL) {
        return;
    }
    begin_moment(out, "ok", "Allowed by policy");
    end_head(out);
    buf_puts(out, "<p class=note>");
    if (shown->rule != NULL) {
        html_add(
            out, "rule <code>%s</code>%s", shown->rule, shown->spec_commit != NULL ? " of " : "");
    }
    if (shown->spec_commit != NULL) {
        char commit[PART_VERSION_DIGITS + 1] = "";
        size_t len = strnlen(shown->spec_commit, PART_VERSION_DIGITS);
        memcpy(commit, shown->spec_commit, len);
        commit[len] = '\0';
        buf_puts(out, "the spec at <code>");
        html_link(out, shown->spec_url, commit);
        buf_puts(out, "</code>");
    }
    buf_puts(out, "</p></li>");
}

static void
put_approval(struct buf *out, const struct queue_approval *approval, int64_t now_ms)
{
    html_add(out, "<li><span class=\"b %s\">%s</span> by ", approval->rejected ? "bad" : "ok",
        approval->rejected ? "rejected" : "approved");
    part_person(out, approval->by);
    buf_puts(out, " ");
    part_age(out, approval->at_ms, now_ms);
    if (approval->note != NULL && approval->note[0] != '\0') {
        html_add(out, " “%s”", approval->note);
    }
    buf_puts(out, "</li>");
}

// What was given for another version or difference, or too long ago, lets nothing go on that waits.
static bool
counts(const struct timeline *t, const struct queue_approval *approval)
{
    const struct queue_job *job = t->shown->job;
    bool over = approval->expires_ms != 0 && approval->expires_ms <= t->frame->now_ms;
    bool same =
        cstr_equal(approval->version, job->version) && cstr_equal(approval->diff, t->shown->diff);
    return !approval->rejected && (!cstr_equal(job->state, "queued") || (same && !over));
}

static void
put_approvals(struct buf *out, const struct timeline *t)
{
    const struct web_deployment *shown = t->shown;
    if (shown->approvals_needed == 0 && shown->approval_count == 0) {
        return;
    }
    int64_t given = 0;
    bool rejected = false;
    for (size_t i = 0; i < shown->approval_count; i++) {
        given += counts(t, &shown->approvals[i]) ? 1 : 0;
        rejected = rejected || shown->approvals[i].rejected;
    }
    begin_moment(out,
        rejected                           ? "bad"
        : given >= shown->approvals_needed ? "ok"
                                           : "wait",
        "Approvals");
    html_add(
        out, " <span class=dim>%" PRId64 " of %" PRId64 "</span>", given, shown->approvals_needed);
    end_head(out);
    buf_puts(out, "<ul class=jobs>");
    for (size_t i = 0; i < shown->approval_count; i++) {
        put_approval(out, &shown->approvals[i], t->frame->now_ms);
    }
    buf_puts(out, "</ul></li>");
}

static void
put_wait(struct buf *out, const struct timeline *t)
{
    const struct web_deployment *shown = t->shown;
    const struct queue_job *job = shown->job;
    bool waits = cstr_equal(job->state, "queued");
    int64_t until = job->started_ms > 0 ? job->started_ms
                    : waits             ? t->frame->now_ms
                                        : job->ended_ms;
    bool never = !waits && job->started_ms == 0;
    begin_moment(out,
        waits   ? part_job_kind(job)
        : never ? "stop"
                : "ok",
        waits   ? "Waits"
        : never ? "Never began"
                : "Waited for its turn");
    put_when(out, job->created_ms, until > job->created_ms ? until - job->created_ms : -1,
        t->frame->now_ms);
    end_head(out);
    buf_puts(out, "</li>");
}

// --- steps ---------------------------------------------------------------------------------------

static const struct {
    const char *state, *kind, *word;
} step_states[] = {
    {"intent", "run", "under way"},
    {"waiting", "run", "under way"},
    {"done", "ok", ""},
    {"skipped", "stop", "skipped"},
    {"failed", "bad", "failed"},
    {"undoing", "run", "is taken back"},
    {"undone", "back", "taken back"},
    {"undo-failed", "bad", "not taken back"},
};

static size_t
state_of(const struct deployment_step *step)
{
    for (size_t i = 0; i < ARRAY_LENGTH(step_states); i++) {
        if (cstr_equal(step->state, step_states[i].state)) {
            return i;
        }
    }
    return ARRAY_LENGTH(step_states);
}

static void
put_step(struct buf *out, const struct timeline *t, const struct deployment_step *step)
{
    size_t state = state_of(step);
    bool begun = state < ARRAY_LENGTH(step_states);
    bool over = t->shown->deployment->result != NULL;
    bool skipped = step->skip || (begun && cstr_equal(step->state, "skipped"));
    begin_moment(out,
        skipped || (over && !begun) ? "stop"
        : begun                     ? step_states[state].kind
                                    : "todo",
        step->name);
    const char *word = skipped ? "skipped"
                       : begun ? step_states[state].word
                       : over  ? "not reached"
                               : "to do";
    if (word[0] != '\0') {
        html_add(out, " <span class=word>%s</span>", word);
    }
    if (step->started_ms > 0) {
        // Only what is under way lasts until now; of what failed long ago an end may not be known.
        bool goes_on = begun && cstr_equal(step_states[state].kind, "run");
        int64_t end = step->ended_ms > 0 ? step->ended_ms : goes_on ? t->frame->now_ms : 0;
        put_when(out, step->started_ms, end > 0 ? end - step->started_ms : -1, t->frame->now_ms);
    }
    end_head(out);
    put_note(out, step->note != NULL ? step->note : step->reason);
    if (cstr_equal(step->kind, "follow") || cstr_equal(step->kind, "trigger")) {
        timeline_run(out, t, cstr_equal(step->kind, "follow"));
    } else if (cstr_equal(step->kind, "rollout")) {
        timeline_targets(out, t);
    }
    buf_puts(out, "</li>");
}

static void
put_end(struct buf *out, const struct timeline *t)
{
    const struct deployment *d = t->shown->deployment;
    const struct queue_job *job = t->shown->job;
    const char *result = d != NULL && d->result != NULL ? d->result
                         : job != NULL                  ? job->result
                                                        : NULL;
    if (result == NULL) {
        return;
    }
    struct queue_job as = {.state = "final", .result = result};
    begin_moment(out, part_job_kind(&as), result);
    int64_t ended = d != NULL && d->finished_ms > 0 ? d->finished_ms
                    : job != NULL                   ? job->ended_ms
                                                    : 0;
    put_when(out, ended, -1, t->frame->now_ms);
    end_head(out);
    if (d != NULL) {
        put_note(out, d->message);
        put_note(out, d->proof);
    } else {
        put_note(out, job->reason);
    }
    buf_puts(out, "</li>");
}

void
timeline_put(struct buf *out, const struct web_frame *frame, const struct web_deployment *shown)
{
    struct timeline t = {.frame = frame, .shown = shown};
    buf_puts(out, "<ol class=tl>");
    put_requested(out, &t);
    put_policy(out, &t);
    put_approvals(out, &t);
    if (shown->job != NULL) {
        put_wait(out, &t);
    }
    const struct deployment *d = shown->deployment;
    for (size_t i = 0; d != NULL && i < d->steps.count; i++) {
        put_step(out, &t, deployment_step_at(d, i));
    }
    put_end(out, &t);
    buf_puts(out, "</ol>");
}
