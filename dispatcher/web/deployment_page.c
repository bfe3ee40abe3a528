// `/deployments/{id}`: what was asked, by whom and why, how far it is, and what broke. Decides
// nothing: its actions were judged before.
#include <inttypes.h>
#include <string.h>

#include "dispatcher/url.h"
#include "timeline_internal.h"

enum {
    COMMITS_SHOWN = 30,
    PERCENT_SHOWN = 95,
    ANNOTATIONS_SHOWN = 20,
};

static const char *
app_of(const struct web_deployment *shown)
{
    return shown->job != NULL ? shown->job->app : shown->deployment->app;
}

static const char *
env_of(const struct web_deployment *shown)
{
    return shown->job != NULL ? shown->job->env : shown->deployment->env;
}

static const char *
id_of(const struct web_deployment *shown)
{
    return shown->job != NULL ? shown->job->id : shown->deployment->id;
}

static const char *
version_of(const struct web_deployment *shown)
{
    const struct deployment *d = shown->deployment;
    return d != NULL && d->version != NULL ? d->version
           : shown->job != NULL            ? shown->job->version
                                           : NULL;
}

// A job as it stands; of one without the service, what the journal says.
static struct queue_job
standing_of(const struct web_deployment *shown)
{
    if (shown->job != NULL) {
        return *shown->job;
    }
    const struct deployment *d = shown->deployment;
    return (struct queue_job){.id = d->id,
        .state = d->result != NULL ? "final" : "running",
        .result = d->result,
        .started_ms = d->created_ms,
        .ended_ms = d->finished_ms};
}

// --- header --------------------------------------------------------------------------------------

static void
put_progress(struct buf *out, const struct web_frame *frame, const struct web_deployment *shown,
    const struct queue_job *job)
{
    if (!cstr_equal(job->state, "running") || job->started_ms == 0) {
        return;
    }
    int64_t elapsed = frame->now_ms - job->started_ms;
    buf_puts(out, "<div class=progress>");
    if (shown->usual_ms > 0) {
        int64_t percent = elapsed * 100 / shown->usual_ms;
        percent = percent < 0 ? 0 : percent > PERCENT_SHOWN ? PERCENT_SHOWN : percent;
        html_add(out,
            "<progress max=100 value=%" PRId64 " aria-label=\"Of its usual duration\"></progress>",
            percent);
    }
    buf_puts(out, "<span>");
    part_duration(out, elapsed);
    if (shown->usual_ms > 0) {
        buf_puts(out, " <span class=dim>of usually ");
        part_duration(out, shown->usual_ms);
        buf_puts(out, "</span>");
    }
    buf_puts(out, "</span></div>");
}

static void
put_versions(struct buf *out, const struct web_deployment *shown)
{
    buf_puts(out, "<p class=fromto>");
    if (shown->from != NULL) {
        part_version(out, shown->from);
        buf_puts(out, " <span class=arrow role=img aria-label=to></span> ");
    }
    part_version(out, version_of(shown));
    if (html_is_link(shown->compare_url)) {
        buf_puts(out, " ");
        html_link(out, shown->compare_url, "Compare");
    }
    buf_puts(out, "</p>");
}

static void
put_header(struct buf *out, const struct web_frame *frame, const struct web_deployment *shown)
{
    struct queue_job job = standing_of(shown);
    const struct deployment *d = shown->deployment;
    html_add(out, "<div class=head><span class=\"b big %s\">%s</span>", part_job_kind(&job),
        part_job_word(&job));
    if (job.emergency) {
        part_badge(out, "sos", "emergency");
    }
    if (cstr_equal(job.verb, "rollback") || (d != NULL && cstr_equal(d->verb, "rollback"))) {
        part_badge(out, "back", "rollback");
    }
    if (d != NULL && d->proven) {
        part_badge(out, "ok", "proven");
    }
    buf_puts(out, "<h1><a");
    html_path(out, "href", "/apps/%s", app_of(shown));
    html_add(out, ">%s</a> <span class=arrow role=img aria-label=to></span> %s", app_of(shown),
        env_of(shown));
    if (job.number > 0) {
        html_add(out, " <span class=dim>#%" PRId64 "</span>", job.number);
    }
    buf_puts(out, "</h1>");
    put_versions(out, shown);
    put_progress(out, frame, shown, &job);
    buf_puts(out, "</div>");
}

// --- what broke ----------------------------------------------------------------------------------

static bool
is_bad(const struct deployment *d)
{
    return d->result != NULL && !cstr_equal(d->result, "deployed") &&
           !cstr_equal(d->result, "cancelled");
}

static void
put_lines(struct buf *out, const struct str_list *lines)
{
    if (lines->count == 0) {
        return;
    }
    buf_puts(out, "<ul class=annotations>");
    for (size_t i = 0; i < lines->count && i < ANNOTATIONS_SHOWN; i++) {
        html_add(out, "<li>%s</li>", lines->items[i]);
    }
    buf_puts(out, "</ul>");
}

static void
put_failed_job(struct buf *out, const struct deployment_failure *failure)
{
    if (failure->job == NULL) {
        return;
    }
    buf_puts(out, "<p>Job <b>");
    html_link(out, failure->job_url, failure->job);
    buf_puts(out, "</b>");
    if (failure->step != NULL) {
        html_add(out, ", step <b>%s</b>", failure->step);
    }
    buf_puts(out, "</p>");
}

static void
put_failure(struct buf *out, const struct web_deployment *shown)
{
    const struct deployment *d = shown->deployment;
    if (d == NULL || !is_bad(d)) {
        return;
    }
    buf_puts(
        out, "<section class=\"card failure\" aria-labelledby=broke><h2 id=broke>What broke</h2>");
    html_add(out, "<p>%s</p>", d->message);
    put_failed_job(out, &d->failure);
    put_lines(out, &d->failure.annotations);
    for (size_t i = 0; i < d->targets.count; i++) {
        put_lines(out, &deployment_target_at(d, i)->evidence);
    }
    if (d->failure.log_tail != NULL) {
        html_add(out,
            "<h3>End of its log</h3><div class=log data-copy><pre tabindex=0 "
            "aria-label=\"End of the log\">%s</pre></div>",
            d->failure.log_tail);
    }
    if (d->hint != NULL) {
        html_add(out, "<p class=hint><b>Likely cause and what to do:</b> %s</p>", d->hint);
    }
    buf_puts(out, "</section>");
}

// --- why it waits, or never began ----------------------------------------------------------------

static void
put_way_out(struct buf *out, const struct web_frame *frame, const struct web_deployment *shown)
{
    const struct queue_job *job = shown->job;
    bool waits = cstr_equal(job->state, "queued");
    buf_puts(out, "<p class=note>");
    if (job->who != NULL) {
        part_who(out, job);
        buf_puts(out, ". ");
    }
    if (waits && job->until_ms > 0) {
        buf_puts(out, "Until ");
        part_time(out, job->until_ms);
        buf_puts(out, ", ");
        part_age(out, job->until_ms, frame->now_ms);
        buf_puts(out, ". ");
    }
    if (waits && shown->on_release != NULL) {
        html_add(out, "%s ", shown->on_release);
    }
    if (waits && shown->behind_id != NULL) {
        buf_puts(out, "Behind <a");
        html_path(out, "href", "/deployments/%s", shown->behind_id);
        html_add(out, ">#%" PRId64 "</a>, which runs. ", shown->behind_number);
    }
    if (job->superseded_by != NULL) {
        buf_puts(out, "<a");
        html_path(out, "href", "/deployments/%s", job->superseded_by);
        buf_puts(out, ">The deployment that took its place</a>");
    }
    buf_puts(out, "</p>");
}

static void
put_why(struct buf *out, const struct web_frame *frame, const struct web_deployment *shown)
{
    const struct queue_job *job = shown->job;
    bool waits = job != NULL && cstr_equal(job->state, "queued");
    bool never = job != NULL && cstr_equal(job->state, "final") && job->started_ms == 0;
    if ((!waits && !never) || job->reason == NULL) {
        return;
    }
    bool refused = never && cstr_equal(job->result, "refused");
    html_add(out, "<section class=\"card why %s\" aria-labelledby=why><h2 id=why>%s</h2>",
        waits     ? "waits"
        : refused ? "failure"
                  : "",
        waits ? "Why it waits" : "Why it never began");
    html_add(out, "<p><b>%s</b></p>", job->reason);
    put_way_out(out, frame, shown);
    buf_puts(out, "</section>");
}

// --- actions -------------------------------------------------------------------------------------

static bool
is_said(const struct web_action *action)
{
    return action->possible || action->why_not != NULL;
}

static void
put_actions(struct buf *out, const struct web_frame *frame, const struct web_deployment *shown)
{
    bool any = is_said(&shown->cancel) || is_said(&shown->approve) || is_said(&shown->hurry) ||
               is_said(&shown->roll_back) || is_said(&shown->retry);
    if (!any || frame->csrf == NULL) {
        return;
    }
    struct queue_job job = standing_of(shown);
    struct action_place place = {app_of(shown), env_of(shown), "Roll back", shown->rollback_locks};
    struct web_good before = {.version = shown->from};
    buf_puts(out, "<section class=actions aria-label=Actions>");
    action_approve(out, frame, &job, shown->diff, &shown->approve);
    action_roll_back(out, frame, &place, &before, shown->from != NULL ? 1 : 0, &shown->roll_back);
    place.label = "Retry";
    action_deploy(out, frame, &place, version_of(shown), &shown->retry);
    action_hurry(out, frame, &job, &shown->hurry);
    action_cancel(out, frame, &job, &shown->cancel);
    buf_puts(out, "</section>");
}

// --- beside --------------------------------------------------------------------------------------

static void
put_fact(struct buf *out, const char *name, const char *value)
{
    if (value != NULL) {
        html_add(out, "<div><dt>%s</dt><dd>%s</dd></div>", name, value);
    }
}

static void
put_facts(struct buf *out, const struct web_deployment *shown)
{
    const struct queue_job *job = shown->job;
    const struct deployment *d = shown->deployment;
    buf_puts(
        out, "<section class=card aria-labelledby=facts><h2 id=facts>Facts</h2><dl class=facts>");
    put_fact(out, "Id", id_of(shown));
    put_fact(out, "Version", version_of(shown));
    if (d != NULL) {
        put_fact(out, "Commit", d->sha);
        put_fact(out, "Tag", d->tag);
        put_fact(out, "Branch", d->branch);
        put_fact(out, "By way of", d->via);
    }
    put_fact(out, "Requested by", job != NULL ? job->requester : d->actor);
    put_fact(out, "Repository", job != NULL ? job->repository : d->repository);
    if (job != NULL) {
        put_fact(out, "Trace", job->trace);
    }
    if (d != NULL && d->environment_url != NULL) {
        buf_puts(out, "<div><dt>Seen at</dt><dd>");
        html_link(out, d->environment_url, d->environment_url);
        buf_puts(out, "</dd></div>");
    }
    buf_puts(out, "</dl></section>");
}

static void
put_commands(struct buf *out, const struct web_frame *frame, const struct web_deployment *shown)
{
    struct queue_job job = standing_of(shown);
    buf_puts(out, "<section class=card aria-labelledby=commands><h2 id=commands>On the command line"
                  "</h2>");
    if (!cstr_equal(job.state, "final")) {
        if (cstr_equal(job.code, "approval-needed")) {
            command_put(out, "dispatcher approve %s --server %s", id_of(shown), frame->url);
        }
        command_put(out, "dispatcher watch %s --server %s", id_of(shown), frame->url);
        command_put(out, "dispatcher cancel %s --server %s", id_of(shown), frame->url);
    } else {
        command_put(out, "dispatcher deploy %s --env %s --version %s --server %s", app_of(shown),
            env_of(shown), version_of(shown), frame->url);
        command_put(out, "dispatcher rollback %s --env %s --reason '…' --server %s", app_of(shown),
            env_of(shown), frame->url);
    }
    command_put(out, "dispatcher logs %s --env %s", app_of(shown), env_of(shown));
    buf_puts(out, "</section>");
}

static void
put_changes(struct buf *out, const struct web_deployment *shown)
{
    const struct deployment *d = shown->deployment;
    if (d == NULL || d->commits.count == 0) {
        return;
    }
    struct buf url CLEANUP(buf_done) = BUF_INIT(4096);
    if (d->github_web != NULL && d->repository != NULL) {
        buf_printf(&url, "%s/", d->github_web);
        url_encode(str_of(d->repository), "/", &url);
    }
    html_add(out, "<section class=card aria-labelledby=commits><h2 id=commits>%zu commit%s%s</h2>",
        d->commits.count, d->commits.count == 1 ? "" : "s",
        d->commits_complete ? "" : ", and more that are not known");
    part_commits(
        out, &d->commits, url.len > 0 && !url.failed ? buf_cstr(&url) : NULL, COMMITS_SHOWN);
    buf_puts(out, "</section>");
}

static bool
is_listed(const struct str_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static void
put_warnings(struct buf *out, const struct str_list *warnings)
{
    if (warnings->count > 0) {
        buf_puts(out, "<section class=card aria-labelledby=warnings><h2 id=warnings>Warnings</h2>");
        put_lines(out, warnings);
        buf_puts(out, "</section>");
    }
}

// Those that are no warnings, which have a place of their own.
static void
put_notes(struct buf *out, const struct web_deployment *shown)
{
    const struct deployment *d = shown->deployment;
    const char *rest[ANNOTATIONS_SHOWN];
    struct str_list list = {rest, 0};
    for (size_t i = 0; d != NULL && i < d->notes.count && list.count < ANNOTATIONS_SHOWN; i++) {
        if (!is_listed(&shown->warnings, d->notes.items[i])) {
            rest[list.count++] = d->notes.items[i];
        }
    }
    if (list.count > 0) {
        buf_puts(out, "<section class=card aria-labelledby=notes><h2 id=notes>Notes</h2>");
        put_lines(out, &list);
        buf_puts(out, "</section>");
    }
}

static void
put_audit(struct buf *out, const struct web_frame *frame, const struct web_deployment *shown)
{
    if (shown->audit_count == 0) {
        return;
    }
    buf_puts(out, "<section class=card aria-labelledby=audited><h2 id=audited><a");
    html_path(out, "href", "/audit?deployment=%s", id_of(shown));
    buf_puts(out, ">Audit log</a></h2><ul class=jobs>");
    for (size_t i = 0; i < shown->audit_count; i++) {
        const struct audit_entry *entry = &shown->audit[i];
        buf_puts(out, "<li>");
        part_age(out, entry->at_ms, frame->now_ms);
        html_add(out, " %s, %s", entry->kind, entry->verdict);
        if (entry->actor != NULL) {
            buf_puts(out, " by ");
            part_person(out, entry->actor);
        }
        html_add(out, "<p class=note>%s</p></li>", entry->reason);
    }
    buf_puts(out, "</ul></section>");
}

void
web_deployment_page(
    const struct web_frame *frame, const struct web_deployment *shown, struct buf *out)
{
    layout_begin(out, frame);
    put_header(out, frame, shown);
    put_actions(out, frame, shown);
    put_why(out, frame, shown);
    put_failure(out, shown);
    put_warnings(out, &shown->warnings);
    buf_puts(out, "<div class=split><section aria-labelledby=way><h2 id=way>What happened</h2>");
    timeline_put(out, frame, shown);
    buf_puts(out, "</section><div class=side>");
    put_changes(out, shown);
    put_notes(out, shown);
    put_facts(out, shown);
    put_commands(out, frame, shown);
    put_audit(out, frame, shown);
    buf_puts(out, "</div></div>");
    layout_end(out, frame);
}
