// Jobs of the remote run, and the failing one told in detail: step, annotations, the end of its
// log. Everything here is best effort: it explains an outcome, it never decides one.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/log_sanitize.h"
#include "dispatcher/memory.h"

enum {
    LOG_LINES = 25,
    LOG_MAX = 256 * 1024,
    ANNOTATIONS_MAX = 10,
    WORD_MAX_BYTES = 60,
    NAME_MAX_BYTES = 200,
    MESSAGE_MAX_BYTES = 1000,
};

static void
copy_job(const struct step_run *run, const struct github_job *from, struct deployment_job *to)
{
    struct deployment_job_step *steps = arena_array(run->arena, from->step_count, sizeof(*steps));
    for (size_t i = 0; i < from->step_count; i++) {
        steps[i] = (struct deployment_job_step){
            context_clean(run->arena, from->steps[i].name, NAME_MAX_BYTES),
            context_clean(run->arena, from->steps[i].status, WORD_MAX_BYTES),
            context_clean(run->arena, from->steps[i].conclusion, WORD_MAX_BYTES),
        };
    }
    *to = (struct deployment_job){
        .name = context_clean(run->arena, from->name, NAME_MAX_BYTES),
        .status = context_clean(run->arena, from->status, WORD_MAX_BYTES),
        .conclusion = context_clean(run->arena, from->conclusion, WORD_MAX_BYTES),
        .url = context_clean(run->arena, from->html_url, NAME_MAX_BYTES),
        .started_ms = from->started_ms,
        .completed_ms = from->completed_ms,
        .steps = {steps, from->step_count},
    };
}

static void
copy_jobs(const struct step_run *run, const struct github_job *list, size_t count)
{
    struct deployment_job *jobs = arena_array(run->arena, count, sizeof(*jobs));
    for (size_t i = 0; i < count; i++) {
        copy_job(run, &list[i], &jobs[i]);
    }
    run->deployment->jobs = (struct object_list){jobs, count};
}

struct error *
jobs_refresh(const struct step_run *run, bool *changed)
{
    struct github_client *github = NULL;
    struct github_job *list = NULL;
    size_t count = 0;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    TRY(provider_github(run->context, run->deployment, &github));
    TRY(github_jobs_list(github, run->deployment->run_id, scratch, &list, &count, changed));
    if (*changed) {
        copy_jobs(run, list, count);
    }
    return NULL;
}

static bool
is_red(const char *conclusion)
{
    return conclusion != NULL && strcmp(conclusion, "success") != 0 &&
           strcmp(conclusion, "skipped") != 0 && strcmp(conclusion, "neutral") != 0;
}

static const struct github_step *
red_step(const struct github_job *job)
{
    for (size_t i = 0; i < job->step_count; i++) {
        if (is_red(job->steps[i].conclusion)) {
            return &job->steps[i];
        }
    }
    return NULL;
}

static void
collect_annotations(
    const struct step_run *run, struct github_client *github, const struct github_job *job)
{
    struct github_annotation *list = NULL;
    size_t count = 0, kept = 0;
    if (job->check_run_id == 0) {
        return;
    }
    struct error *err = github_annotations(github, job->check_run_id, run->arena, &list, &count);
    if (err != NULL) {
        error_free(err);
        return;
    }
    const char **items = arena_array(run->arena, ANNOTATIONS_MAX, sizeof(*items));
    for (size_t i = 0; i < count && kept < ANNOTATIONS_MAX; i++) {
        if (cstr_equal(list[i].level, "failure")) {
            items[kept++] = context_clean(run->arena, list[i].message, MESSAGE_MAX_BYTES);
        }
    }
    run->deployment->failure.annotations = (struct str_list){items, kept};
}

// The runner's own marks, as log_sanitize leaves them, say little to a reader.
static void
drop_marks(struct str tail, struct buf *out)
{
    const struct str group = STR("## [group]"), end = STR("## [endgroup]"),
                     error = STR("## [error]");
    struct str line = {0};
    while (str_cut(tail, '\n', &line, &tail)) {
        if (str_starts(line, end)) {
            continue;
        }
        if (str_starts(line, error)) {
            buf_puts(out, "error: ");
            line = str_skip(line, error.len);
        } else if (str_starts(line, group)) {
            line = str_skip(line, group.len);
        }
        buf_add(out, line);
        buf_putc(out, '\n');
    }
}

static void
collect_log(const struct step_run *run, struct github_client *github, const struct github_job *job,
    const struct github_step *step)
{
    const char *tail = NULL;
    const struct github_log_part part = {
        .started_ms = step != NULL ? step->started_ms : 0,
        .completed_ms = step != NULL ? step->completed_ms : 0,
        .lines = LOG_LINES,
    };
    struct error *err = github_job_log_tail(github, job->id, &part, run->arena, &tail);
    if (err != NULL) {
        context_emit_text(run->context, run->deployment, DEPLOY_EVENT_NOTE,
            "the log of the failed job cannot be read");
        error_free(err);
        return;
    }
    struct buf harmless CLEANUP(buf_done) = BUF_INIT(LOG_MAX);
    if (tail != NULL) {
        struct buf clean_tail CLEANUP(buf_done) = BUF_INIT(LOG_MAX);
        struct buf plain CLEANUP(buf_done) = BUF_INIT(LOG_MAX);
        log_sanitize(str_of(tail), &clean_tail); // takes the time stamps off, too
        drop_marks(buf_str(&clean_tail), &plain);
        log_sanitize(buf_str(&plain), &harmless); // dropping a mark may bare another
        run->deployment->failure.log_tail = context_masked(run->arena, buf_cstr(&harmless));
    }
}

void
failure_collect(const struct step_run *run)
{
    struct github_client *github = NULL;
    struct github_job *list = NULL;
    size_t count = 0;
    bool changed = false;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct error *err = provider_github(run->context, run->deployment, &github);
    if (err == NULL) {
        github_client_forget(github); // a 304 would leave us without the list
        err = github_jobs_list(github, run->deployment->run_id, scratch, &list, &count, &changed);
    }
    if (err != NULL) {
        error_free(err);
        return;
    }
    copy_jobs(run, list, count);
    for (size_t i = 0; i < count; i++) {
        if (!is_red(list[i].conclusion)) {
            continue;
        }
        struct deployment_failure *failure = &run->deployment->failure;
        const struct github_step *step = red_step(&list[i]);
        failure->job = context_clean(run->arena, list[i].name, NAME_MAX_BYTES);
        failure->job_url = context_clean(run->arena, list[i].html_url, NAME_MAX_BYTES);
        failure->step = step != NULL ? context_clean(run->arena, step->name, NAME_MAX_BYTES) : NULL;
        collect_annotations(run, github, &list[i]);
        collect_log(run, github, &list[i], step);
        return;
    }
}
