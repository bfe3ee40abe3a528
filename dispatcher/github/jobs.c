// What happened inside a run: jobs, their steps, and the annotations of a failed one.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_internal.h"

enum { PAGES_MAX = 11, LIST_BYTES = 32 * 1024 * 1024 };

struct step_answer {
    const char *name, *status, *conclusion, *started_at, *completed_at;
    int64_t number;
};
static const struct field step_fields[] = {
    FIELD(struct step_answer, name, "name", FIELD_STR, .required = true),
    FIELD(struct step_answer, status, "status", FIELD_STR, .required = false),
    FIELD(struct step_answer, conclusion, "conclusion", FIELD_STR, .required = false),
    FIELD(struct step_answer, number, "number", FIELD_INT, .required = false),
    FIELD(struct step_answer, started_at, "started_at", FIELD_STR, .required = false),
    FIELD(struct step_answer, completed_at, "completed_at", FIELD_STR, .required = false),
};
static const struct field_table step_table = FIELD_TABLE("step", struct step_answer, step_fields);

struct job_answer {
    int64_t id;
    const char *name, *status, *conclusion, *html_url, *check_run_url, *started_at, *completed_at;
    struct object_list steps;
};
static const struct field job_fields[] = {
    FIELD(struct job_answer, id, "id", FIELD_INT, .required = true),
    FIELD(struct job_answer, name, "name", FIELD_STR, .required = true),
    FIELD(struct job_answer, status, "status", FIELD_STR, .required = false),
    FIELD(struct job_answer, conclusion, "conclusion", FIELD_STR, .required = false),
    FIELD(struct job_answer, html_url, "html_url", FIELD_STR, .required = false),
    FIELD(struct job_answer, check_run_url, "check_run_url", FIELD_STR, .required = false),
    FIELD(struct job_answer, started_at, "started_at", FIELD_STR, .required = false),
    FIELD(struct job_answer, completed_at, "completed_at", FIELD_STR, .required = false),
    FIELD(struct job_answer, steps, "steps", FIELD_LIST_OBJECT, .table = &step_table),
};
static const struct field_table job_table = FIELD_TABLE("job", struct job_answer, job_fields);

struct annotation_answer {
    const char *path, *annotation_level, *title, *message;
    int64_t start_line;
};
static const struct field annotation_fields[] = {
    FIELD(struct annotation_answer, path, "path", FIELD_STR, .required = false),
    FIELD(struct annotation_answer, annotation_level, "annotation_level", FIELD_STR,
        .required = false),
    FIELD(struct annotation_answer, title, "title", FIELD_STR, .required = false),
    FIELD(struct annotation_answer, message, "message", FIELD_STR, .required = false),
    FIELD(struct annotation_answer, start_line, "start_line", FIELD_INT, .required = false),
};
static const struct field_table annotation_table =
    FIELD_TABLE("annotation", struct annotation_answer, annotation_fields);

static int64_t
time_of(const char *text)
{
    int64_t ms = 0;
    return clock_parse_rfc3339(text, &ms) ? ms : 0;
}

static const char *
text_or(const char *text, const char *fallback)
{
    return text != NULL ? text : fallback;
}

// The API gives the id of the check run only as the tail of its address.
static int64_t
tail_number(const char *url)
{
    const char *slash = url != NULL ? strrchr(url, '/') : NULL;
    int64_t number = 0;
    bool fine = slash != NULL && str_to_int64(str_of(slash + 1), &number) && number > 0;
    return fine ? number : 0;
}

static void
copy_steps(const struct object_list *list, struct arena *arena, struct github_job *job)
{
    const struct step_answer *answers = list->items;
    job->steps = arena_array(arena, list->count, sizeof(*job->steps));
    job->step_count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        job->steps[i] = (struct github_step){
            .name = answers[i].name,
            .status = text_or(answers[i].status, "unknown"),
            .conclusion = answers[i].conclusion,
            .number = answers[i].number,
            .started_ms = time_of(answers[i].started_at),
            .completed_ms = time_of(answers[i].completed_at),
        };
    }
}

static struct error *
decode_job(const struct json *object, struct arena *arena, struct github_job *out)
{
    struct job_answer answer = {0};
    TRY(json_decode(object, &job_table, arena, &answer));
    *out = (struct github_job){
        .id = answer.id,
        .name = answer.name,
        .status = text_or(answer.status, "unknown"),
        .conclusion = answer.conclusion,
        .html_url = answer.html_url,
        .check_run_id = tail_number(answer.check_run_url),
        .started_ms = time_of(answer.started_at),
        .completed_ms = time_of(answer.completed_at),
    };
    copy_steps(&answer.steps, arena, out);
    return NULL;
}

struct job_list {
    struct github_job *items;
    size_t count;
};

static void
job_list_done(struct job_list *list)
{
    free(list->items);
}

static struct error *
add_jobs(const struct json *body, struct arena *arena, struct job_list *list)
{
    const struct json *jobs = json_get(body, "jobs");
    if (!json_is_array(jobs)) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: no list of jobs");
    }
    size_t more = json_count(jobs);
    list->items = xrealloc(list->items, (list->count + more + 1) * sizeof(*list->items));
    for (size_t i = 0; i < more; i++) {
        TRY(decode_job(json_at(jobs, i), arena, &list->items[list->count]));
        list->count++;
    }
    return NULL;
}

// The first page is conditional, but its ETag is kept only if it is the whole list: a job on
// another page may change without it.
static struct error *
read_jobs(struct github_client *client, struct github_call *call, struct arena *arena,
    struct job_list *list, bool *changed)
{
    const struct github_call first = *call;
    char *next CLEANUP(xfreep) = NULL;
    *changed = true;
    for (unsigned page = 0; page < PAGES_MAX; page++) {
        struct http_response response CLEANUP(http_response_done) = {0};
        struct json *body CLEANUP(json_freep) = NULL;
        TRY(github_fetch(client, call, &response, &body));
        if (body == NULL && page > 0) {
            return error_new(ERROR_UNAVAILABLE, "page %u is gone", page + 1);
        }
        if (body == NULL) {
            *changed = response.status != 304;
            return NULL;
        }
        TRY(add_jobs(body, arena, list));
        char *after = NULL;
        TRY(github_next_page(client, &response, &after));
        free(next);
        next = after;
        if (next == NULL) {
            if (page == 0) {
                github_etag_keep(client, &first, &response);
            } else {
                github_etag_drop(client, &first);
            }
            return NULL;
        }
        call->url = next;
        call->conditional = false;
    }
    return error_new(ERROR_UNAVAILABLE, "more than %d pages", PAGES_MAX);
}

struct error *
github_jobs_list(struct github_client *client, int64_t run_id, struct arena *arena,
    struct github_job **out, size_t *count, bool *changed)
{
    char *path CLEANUP(xfreep) =
        xasprintf("/actions/runs/%" PRId64 "/jobs?filter=latest&per_page=100", run_id);
    struct github_call call = {
        .path = path,
        .in_repository = true,
        .conditional = true,
        .needs = "actions: read",
        .max_response = LIST_BYTES,
    };
    struct job_list list CLEANUP(job_list_done) = {0};
    bool fresh = true;
    struct error *err = read_jobs(client, &call, arena, &list, &fresh);
    if (err != NULL) {
        return error_wrap(err, "jobs of run %" PRId64 " of '%s'", run_id, client->repository);
    }
    *changed = fresh;
    if (!fresh) {
        return NULL;
    }
    struct github_job *items = arena_array(arena, list.count, sizeof(*items));
    for (size_t i = 0; i < list.count; i++) {
        items[i] = list.items[i];
    }
    *out = items;
    *count = list.count;
    return NULL;
}

static struct error *
decode_annotations(
    const struct json *body, struct arena *arena, struct github_annotation **out, size_t *count)
{
    if (!json_is_array(body)) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: no list of annotations");
    }
    size_t total = json_count(body);
    struct github_annotation *items = arena_array(arena, total, sizeof(*items));
    for (size_t i = 0; i < total; i++) {
        struct annotation_answer answer = {0};
        TRY(json_decode(json_at(body, i), &annotation_table, arena, &answer));
        items[i] = (struct github_annotation){
            .path = text_or(answer.path, ""),
            .level = text_or(answer.annotation_level, "notice"),
            .title = text_or(answer.title, ""),
            .message = text_or(answer.message, ""),
            .line = answer.start_line,
        };
    }
    *out = items;
    *count = total;
    return NULL;
}

struct error *
github_annotations(struct github_client *client, int64_t check_run_id, struct arena *arena,
    struct github_annotation **out, size_t *count)
{
    char *path CLEANUP(xfreep) =
        xasprintf("/check-runs/%" PRId64 "/annotations?per_page=100", check_run_id);
    struct github_call call = {.path = path, .in_repository = true, .needs = "checks: read"};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    struct error *err = github_fetch(client, &call, &response, &body);
    bool forbidden =
        err != NULL && error_remote_of(err)->status == 403 && error_kind(err) == ERROR_CREDENTIALS;
    if (forbidden || (err == NULL && body == NULL)) {
        error_free(err); // a token that may not read checks still deploys
        *out = NULL;
        *count = 0;
        return NULL;
    }
    err = err != NULL ? err : decode_annotations(body, arena, out, count);
    return err != NULL ? error_wrap(err, "annotations of check run %" PRId64, check_run_id) : NULL;
}
