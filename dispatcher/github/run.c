// Workflow runs: one, all that a lost dispatch may be among, and cancelling. Decides nothing.
#include "dispatcher/github_service.h"

#include <inttypes.h>
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_internal.h"

enum {
    PAGES_MAX = 11, // a filtered list ends at 1,000 results
    LIST_MAX = 1000,
    LIST_BYTES = 32 * 1024 * 1024,
};

// The answer's shape; times are still text.
struct run_answer {
    int64_t id, run_attempt;
    const char *status, *conclusion, *html_url, *display_title, *path, *head_branch, *event;
    const char *head_sha, *created_at, *run_started_at, *updated_at;
    struct actor {
        const char *login;
    } actor;
};

static const struct field actor_fields[] = {
    FIELD(struct actor, login, "login", FIELD_STR, .required = false),
};
static const struct field_table actor_table = FIELD_TABLE("actor", struct actor, actor_fields);

static const struct field run_fields[] = {
    FIELD(struct run_answer, id, "id", FIELD_INT, .required = true),
    FIELD(struct run_answer, run_attempt, "run_attempt", FIELD_INT, .required = false),
    FIELD(struct run_answer, status, "status", FIELD_STR, .required = false), // nullable
    FIELD(struct run_answer, conclusion, "conclusion", FIELD_STR, .required = false),
    FIELD(struct run_answer, html_url, "html_url", FIELD_STR, .required = true),
    FIELD(struct run_answer, display_title, "display_title", FIELD_STR, .required = false),
    FIELD(struct run_answer, path, "path", FIELD_STR, .required = true),
    FIELD(struct run_answer, head_branch, "head_branch", FIELD_STR, .required = false),
    FIELD(struct run_answer, event, "event", FIELD_STR, .required = true),
    FIELD(struct run_answer, head_sha, "head_sha", FIELD_STR, .required = true),
    FIELD(struct run_answer, created_at, "created_at", FIELD_STR, .required = true),
    FIELD(struct run_answer, run_started_at, "run_started_at", FIELD_STR, .required = false),
    FIELD(struct run_answer, updated_at, "updated_at", FIELD_STR, .required = false),
    FIELD(struct run_answer, actor, "actor", FIELD_OBJECT, .table = &actor_table),
};
static const struct field_table run_table = FIELD_TABLE("run", struct run_answer, run_fields);

static int64_t
time_of(const char *text)
{
    int64_t ms = 0;
    return clock_parse_rfc3339(text, &ms) ? ms : 0;
}

static struct error *
decode_run(const struct json *object, struct arena *arena, struct github_run *out)
{
    struct run_answer answer = {0};
    TRY(json_decode(object, &run_table, arena, &answer));
    *out = (struct github_run){
        .id = answer.id,
        .run_attempt = answer.run_attempt > 0 ? answer.run_attempt : 1,
        .status = answer.status != NULL ? answer.status : "unknown",
        .conclusion = answer.conclusion,
        .html_url = answer.html_url,
        .display_title = answer.display_title != NULL ? answer.display_title : "",
        .path = answer.path,
        .head_branch = answer.head_branch != NULL ? answer.head_branch : "",
        .event = answer.event,
        .actor = answer.actor.login != NULL ? answer.actor.login : "",
        .head_sha = answer.head_sha,
        .created_ms = time_of(answer.created_at),
        .started_ms = time_of(answer.run_started_at),
        .updated_ms = time_of(answer.updated_at),
    };
    if (out->id <= 0 || out->created_ms == 0) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: 'id' or 'created_at' of a run");
    }
    return NULL;
}

bool
github_run_is_complete(const struct github_run *run)
{
    return cstr_equal(run->status, "completed");
}

struct error *
github_run_get(struct github_client *client, int64_t id, struct arena *arena,
    struct github_run **out, bool *changed)
{
    char *path CLEANUP(xfreep) = xasprintf("/actions/runs/%" PRId64, id);
    struct github_call call = {
        .path = path, .in_repository = true, .conditional = true, .needs = "actions: read"};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    struct error *err = github_fetch(client, &call, &response, &body);
    if (err == NULL && response.status == 304) {
        *changed = false;
        return NULL;
    }
    struct github_run *run = NULL;
    if (err == NULL && body != NULL) {
        run = arena_alloc(arena, sizeof(*run));
        err = decode_run(body, arena, run);
        if (err == NULL && run->id != id) {
            err = error_new(ERROR_UNAVAILABLE, "the answer is about run %" PRId64, run->id);
        }
    }
    if (err != NULL) {
        return error_wrap(err, "run %" PRId64 " of '%s'", id, client->repository);
    }
    if (run != NULL) {
        github_etag_keep(client, &call, &response); // only what could be used
    } else {
        github_etag_drop(client, &call);
    }
    *out = run;
    *changed = true;
    return NULL;
}

struct run_list {
    struct github_run *items;
    size_t count, capacity;
    int64_t announced; // total_count of the first page
};

static void
run_list_done(struct run_list *list)
{
    free(list->items);
}

static bool
run_list_has(const struct run_list *list, int64_t id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].id == id) {
            return true;
        }
    }
    return false;
}

// A run that came while we read moves others to the next page: they show up twice.
static void
run_list_add(struct run_list *list, const struct github_run *run)
{
    if (run_list_has(list, run->id)) {
        return;
    }
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        list->items = xrealloc(list->items, list->capacity * sizeof(*list->items));
    }
    list->items[list->count++] = *run;
}

static struct error *
read_page(struct github_client *client, const struct github_call *call, struct arena *arena,
    struct run_list *list, char **next)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    TRY(github_fetch(client, call, &response, &body));
    if (body == NULL) {
        return error_hint(error_new(ERROR_REFUSED, "the workflow is not there"),
            "Or the credentials may not see it: GitHub answers 404 to both.");
    }
    const struct json *runs = json_get(body, "workflow_runs"),
                      *total = json_get(body, "total_count");
    if (!json_is_array(runs) || !json_is_int(total)) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: no list of runs");
    }
    list->announced = list->announced < 0 ? json_int(total, 0) : list->announced;
    for (size_t i = 0; i < json_count(runs); i++) {
        struct github_run run = {0};
        TRY(decode_run(json_at(runs, i), arena, &run));
        run_list_add(list, &run);
    }
    return github_next_page(client, &response, next);
}

// A list that is cut short says nothing about what is not in it.
static struct error *
check_whole(const struct run_list *list)
{
    if (list->announced > LIST_MAX) {
        return error_new(ERROR_UNAVAILABLE, "%" PRId64 " runs are more than GitHub lists (%d)",
            list->announced, LIST_MAX);
    }
    if ((int64_t)list->count < list->announced) {
        return error_new(ERROR_UNAVAILABLE, "only %zu of %" PRId64 " runs were listed", list->count,
            list->announced);
    }
    return NULL;
}

static struct error *
read_pages(
    struct github_client *client, const char *path, struct arena *arena, struct run_list *list)
{
    struct github_call call = {
        .path = path,
        .in_repository = true,
        .needs = "actions: read",
        .max_response = LIST_BYTES,
    };
    char *next CLEANUP(xfreep) = NULL;
    for (unsigned page = 0; page < PAGES_MAX; page++) {
        char *after = NULL;
        TRY(read_page(client, &call, arena, list, &after));
        free(next);
        next = after;
        if (next == NULL) {
            return check_whole(list);
        }
        call.url = next;
    }
    return error_new(ERROR_UNAVAILABLE, "more than %d pages", PAGES_MAX);
}

struct error *
github_runs_list(struct github_client *client, const char *file, int64_t since_ms,
    struct arena *arena, struct github_run **out, size_t *count)
{
    char since[21];
    clock_format_rfc3339(since_ms, since);
    char *created CLEANUP(xfreep) = xasprintf(">=%s", since);
    struct buf path CLEANUP(buf_done) = BUF_INIT(4096);
    buf_puts(&path, "/actions/workflows/");
    url_encode(str_of(file), "", &path);
    buf_puts(&path, "/runs");
    url_add_query(&path, "event", "workflow_dispatch");
    url_add_query(&path, "per_page", "100");
    url_add_query(&path, "created", created);
    TRY(buf_finish(&path, "path of the runs"));
    struct run_list list CLEANUP(run_list_done) = {.announced = -1};
    struct error *err = read_pages(client, buf_cstr(&path), arena, &list);
    if (err != NULL) {
        return error_wrap(err, "runs of '%s' in '%s'", file, client->repository);
    }
    struct github_run *items = arena_array(arena, list.count, sizeof(*items));
    for (size_t i = 0; i < list.count; i++) {
        items[i] = list.items[i];
    }
    *out = items;
    *count = list.count;
    return NULL;
}

static struct error *
decode_page(const struct json *body, struct arena *arena, struct github_runs_page *out)
{
    const struct json *runs = json_get(body, "workflow_runs");
    if (!json_is_array(runs)) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: no list of runs");
    }
    out->runs = arena_array(arena, json_count(runs) + 1, sizeof(*out->runs));
    for (; out->count < json_count(runs); out->count++) {
        TRY(decode_run(json_at(runs, out->count), arena, &out->runs[out->count]));
    }
    return NULL;
}

static struct error *
fetch_page(struct github_client *client, const struct github_call *call, struct arena *arena,
    struct github_runs_page *out, bool *changed)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    struct github_runs_page page = {0};
    char *next CLEANUP(xfreep) = NULL;
    TRY(github_fetch(client, call, &response, &body));
    if (response.status == 304) {
        *changed = false;
        return NULL;
    }
    if (body == NULL) {
        return error_hint(error_new(ERROR_REFUSED, "the repository is not there"),
            "Or the credentials may not see it: GitHub answers 404 to both.");
    }
    TRY(decode_page(body, arena, &page));
    TRY(github_next_page(client, &response, &next));
    page.more = next != NULL;
    github_etag_keep(client, call, &response);
    *out = page;
    *changed = true;
    return NULL;
}

struct error *
github_runs_page(struct github_client *client, const char *status, unsigned page,
    struct arena *arena, struct github_runs_page *out, bool *changed)
{
    char *path CLEANUP(xfreep) = xasprintf(
        "/actions/runs?event=workflow_dispatch%s%s&per_page=%d&page=%u",
        status != NULL ? "&status=" : "", status != NULL ? status : "", GITHUB_RUNS_PER_PAGE, page);
    const struct github_call call = {
        .path = path,
        .in_repository = true,
        .conditional = true,
        .needs = "actions: read",
        .max_response = LIST_BYTES,
    };
    struct error *err = fetch_page(client, &call, arena, out, changed);
    return err != NULL ? error_wrap(err, "page %u of the runs of '%s'", page, client->repository)
                       : NULL;
}

struct error *
github_run_cancel(struct github_client *client, int64_t id)
{
    TRY(github_pace(client));
    char *path CLEANUP(xfreep) = xasprintf("/actions/runs/%" PRId64 "/cancel", id);
    struct github_call call = {
        .method = HTTP_POST,
        .path = path,
        .in_repository = true,
        .accept = 409, // finished already
        .needs = "actions: write",
    };
    struct http_response response CLEANUP(http_response_done) = {0};
    struct error *err = github_send(client, &call, &response);
    if (err == NULL && response.status == 404) {
        err = error_hint(error_new(ERROR_REFUSED, "it is not there"),
            "Or the credentials may not cancel it: GitHub answers 404 to both.");
    }
    return err != NULL ? error_wrap(err, "cancel run %" PRId64 " of '%s'", id, client->repository)
                       : NULL;
}
