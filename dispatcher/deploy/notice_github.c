// A deployment as GitHub's places show it: a deployment with its status, a commit status, a check
// run (facts/github-notify-credentials.md §5.1). Of a version that is no
// commit of a repository there is nothing to show. courier_github.c sends it.
#include "notice_internal.h"

#include "dispatcher/github_reports.h"
#include "report_internal.h"

enum {
    TITLE_MAX = 250,
    SENTENCE_MAX = 2000,
    COMMITS_MAX = 50,
    TAIL_MAX = 20000,
    RAW_MAX = 16000,
    MESSAGE_MAX = 2000,
    BODY_MAX = 4 * 1024 * 1024,
};

struct words {
    const char *deployment, *status, *check; // `check` NULL: in_progress, else its conclusion
};

// What is not over is in_progress or pending, also when nobody of ours waits for it any more
// (timed-out, interrupted): the run goes on, and `resume` may still say success. Only a check has a
// word for the waiting that ended. "pending" is what GitHub calls a deployment that waits for its
// reviewers. A cancelled one changed nothing: it is not what runs there, so it is inactive, not
// failed.
static const struct words words_of[REPORT_OUTCOMES] = {
    [REPORT_STARTED] = {"in_progress", "pending", NULL},
    [REPORT_WAITING] = {"pending", "pending", NULL},
    [REPORT_DEPLOYED] = {"success", "success", "success"},
    [REPORT_ROLLED_BACK] = {"success", "success", "success"},
    [REPORT_FAILED] = {"failure", "failure", "failure"},
    [REPORT_RESTORED] = {"failure", "failure", "failure"},
    [REPORT_NOT_RESTORED] = {"failure", "failure", "failure"},
    [REPORT_UNKNOWN] = {"error", "error", "action_required"},
    [REPORT_TIMED_OUT] = {"in_progress", "pending", "timed_out"},
    [REPORT_INTERRUPTED] = {"in_progress", "pending", "action_required"},
    [REPORT_CANCELLED] = {"inactive", "error", "cancelled"},
    [REPORT_SUPERSEDED] = {"inactive", "error", "cancelled"},
};

// Why it failed goes before what was tried: 140 characters are soon over.
static const char *
description(const struct deployment *d, struct arena *arena)
{
    enum report_outcome outcome = report_outcome_of(d);
    const char *text = notice_reason(d, arena, SENTENCE_MAX);
    if (d->ending_text != NULL && d->result != NULL) {
        text = arena_printf(arena, "%s: %s", report_outcome_text(outcome), text);
    }
    return notice_cut(arena, text, GITHUB_STATUS_TEXT_MAX);
}

struct json *
notice_github_deployment(const struct deployment *d, struct arena *arena)
{
    if (!notice_is_of_commit(d)) {
        return NULL;
    }
    const char *what = arena_printf(arena, "%s %s %s", d->verb != NULL ? d->verb : "deploy",
        notice_title(d), report_version(d, arena));
    struct json *body = json_make_object(), *state = json_make_object();
    json_set_str(body, "ref", d->sha);
    json_set_str(body, "task", arena_printf(arena, "dispatcher:%s", d->app));
    json_set_str(body, "environment", d->env);
    json_set_str(body, "description", notice_cut(arena, what, GITHUB_STATUS_TEXT_MAX));
    json_set_str(body, "app", d->app);
    json_set_str(body, "payload_id", d->id);
    json_set_bool(body, "is_production", d->is_production);
    json_set_str(state, "state", words_of[report_outcome_of(d)].deployment);
    json_set_str(state, "description", description(d, arena));
    json_set_str(state, "log_url", notice_url(report_link(d)));
    json_set_str(state, "environment_url", notice_url(d->environment_url));
    json_set_str(state, "environment", d->env);
    json_set(body, "state", state);
    return body;
}

struct json *
notice_github_status(const struct deployment *d, struct arena *arena)
{
    if (!notice_is_of_commit(d)) {
        return NULL;
    }
    struct json *body = json_make_object();
    json_set_str(body, "sha", d->sha);
    json_set_str(body, "state", words_of[report_outcome_of(d)].status);
    json_set_str(body, "context", arena_printf(arena, "dispatcher/%s/%s", d->app, d->env));
    json_set_str(body, "description", description(d, arena));
    json_set_str(body, "target_url", notice_url(report_link(d)));
    return body;
}

// --- check run ---------------------------------------------------------------------------------

// GitHub's own runner names this path where a message is about no file.
static struct json *
make_annotation(struct arena *arena, const char *title, const char *message)
{
    struct json *annotation = json_make_object();
    json_set_str(annotation, "path", ".github");
    json_set_int(annotation, "start_line", 1);
    json_set_int(annotation, "end_line", 1);
    json_set_str(annotation, "annotation_level", "failure");
    json_set_str(annotation, "title", notice_cut(arena, title, TITLE_MAX));
    json_set_str(annotation, "message", notice_cut(arena, message, MESSAGE_MAX));
    return annotation;
}

static void
add_annotations(struct json *annotations, const char *title, const struct str_list *messages,
    struct arena *arena)
{
    for (size_t i = 0; i < messages->count; i++) {
        if (json_count(annotations) < GITHUB_ANNOTATIONS_MAX && messages->items[i][0] != '\0') {
            json_append(annotations, make_annotation(arena, title, messages->items[i]));
        }
    }
}

static struct json *
make_annotations(const struct deployment *d, struct arena *arena)
{
    struct json *annotations = json_make_array();
    enum report_outcome outcome = report_outcome_of(d);
    if (!report_outcome_is_bad(outcome)) {
        return annotations;
    }
    struct json *first = make_annotation(
        arena, report_outcome_text(outcome), notice_sentence(d, arena, MESSAGE_MAX));
    json_set_str(first, "raw_details", notice_tail(arena, d->failure.log_tail, RAW_MAX));
    json_append(annotations, first);
    const char *job = d->failure.job != NULL ? d->failure.job : "infra run";
    add_annotations(annotations, job, &d->failure.annotations, arena);
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (!target->proven) {
            add_annotations(annotations, target->name, &target->evidence, arena);
        }
    }
    return annotations;
}

// The job summary, with what could fill it alone made short.
static const char *
summary_text(const struct deployment *d, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    struct deployment shorter = *d;
    shorter.failure.log_tail = notice_tail(arena, d->failure.log_tail, TAIL_MAX);
    if (shorter.commits.count > COMMITS_MAX) {
        shorter.commits.count = COMMITS_MAX;
        shorter.commits_complete = false;
    }
    report_summary(&shorter, &text);
    return notice_cut_lines(arena, buf_str(&text), GITHUB_OUTPUT_MAX);
}

static struct json *
make_output(const struct deployment *d, struct arena *arena)
{
    struct buf summary CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    struct json *output = json_make_object();
    const char *title = arena_printf(
        arena, "%s: %s", report_version(d, arena), report_outcome_text(report_outcome_of(d)));
    report_markdown_escape(notice_sentence(d, arena, SENTENCE_MAX), SENTENCE_MAX, &summary);
    if (d->hint != NULL) {
        buf_puts(&summary, "\n\n**Next:** ");
        report_markdown_escape(d->hint, SENTENCE_MAX, &summary);
    }
    json_set_str(output, "title", notice_cut(arena, title, TITLE_MAX));
    json_set_str(output, "summary", buf_cstr(&summary));
    json_set_str(output, "text", summary_text(d, arena));
    json_set(output, "annotations", make_annotations(d, arena));
    return output;
}

static void
set_time(struct json *body, const char *key, int64_t wall_ms)
{
    char stamp[21];
    clock_format_rfc3339(wall_ms, stamp);
    json_set_str(body, key, stamp);
}

struct json *
notice_github_check(const struct deployment *d, struct arena *arena)
{
    if (!notice_is_of_commit(d)) {
        return NULL;
    }
    struct json *body = json_make_object();
    const char *conclusion = words_of[report_outcome_of(d)].check;
    json_set_str(body, "name", arena_printf(arena, "dispatcher: %s → %s", d->app, d->env));
    json_set_str(body, "head_sha", d->sha);
    json_set_str(body, "external_id", d->id);
    json_set_str(body, "details_url", notice_url(report_link(d)));
    json_set_str(body, "status", conclusion != NULL ? "completed" : "in_progress");
    set_time(body, "started_at", d->created_ms);
    if (conclusion != NULL) {
        json_set_str(body, "conclusion", conclusion);
        set_time(body, "completed_at", notice_time(d));
    }
    json_set(body, "output", make_output(d, arena));
    return body;
}
