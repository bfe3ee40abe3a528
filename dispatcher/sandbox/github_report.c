// Reports on the sandbox's GitHub: which endpoint is asked, whether the token may, the secondary
// limit on making things, and the lists of records. What each endpoint does is in its own source.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_report_internal.h"

enum { MINUTE_MS = 60000 };

// --- records -------------------------------------------------------------------------------------

struct github_reports *
sandbox_reports_of(struct github_repo *repo)
{
    if (repo->reports == NULL) {
        repo->reports = xcalloc(1, sizeof(*repo->reports));
    }
    return repo->reports;
}

void
sandbox_report_add(struct report_list *list, struct json *record)
{
    list->items = xrealloc(list->items, (list->count + 1) * sizeof(*list->items));
    list->items[list->count++] = record;
}

void
sandbox_report_remove(struct report_list *list, const struct json *record)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == record) {
            json_free(list->items[i]);
        } else {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

struct json *
sandbox_report_find(const struct report_list *list, int64_t id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (json_int(json_get(list->items[i], "id"), 0) == id) {
            return list->items[i];
        }
    }
    return NULL;
}

static void
list_done(struct report_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        json_free(list->items[i]);
    }
    free(list->items);
}

void
sandbox_reports_forget(struct github_repo *repo)
{
    if (repo->reports == NULL) {
        return;
    }
    list_done(&repo->reports->deployments);
    list_done(&repo->reports->deployment_statuses);
    list_done(&repo->reports->commit_statuses);
    list_done(&repo->reports->check_runs);
    list_done(&repo->reports->comments);
    list_done(&repo->reports->pulls);
    free(repo->reports);
    repo->reports = NULL;
}

struct json *
sandbox_report_new(const struct report_call *call, const char *by)
{
    struct json *record = json_make_object();
    json_set_int(record, "id", sandbox_github_next_id(call->sandbox->github));
    json_set_str(record, by, sandbox_report_actor(call->token));
    sandbox_shape_time(record, "created_at", call->now);
    sandbox_shape_time(record, "updated_at", call->now);
    return record;
}

// --- what requests have in common ----------------------------------------------------------------

int64_t
sandbox_report_number(const struct report_call *call, size_t index)
{
    int64_t number = 0;
    return str_to_int64(str_of(call->parts[index]), &number) && number > 0 ? number : 0;
}

const char *
sandbox_report_actor(const struct github_token *token)
{
    return token->kind == GITHUB_TOKEN_JOB ? "github-actions[bot]" : sandbox_github_login_of(token);
}

bool
sandbox_report_is_sha(const char *text)
{
    return text != NULL && strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

const char *
sandbox_report_sha(const struct report_call *call)
{
    const char *ref = call->parts[1];
    if (sandbox_report_is_sha(ref)) {
        return ref;
    }
    struct source_ref found = {0};
    bool is_there = false;
    struct error *err CLEANUP(error_freep) = sandbox_source_resolve(
        call->sandbox, call->repo, ref, call->request->arena, &found, &is_there);
    if (err == NULL && is_there) {
        return found.sha;
    }
    sandbox_github_problem(call->response, 422, "No commit found for SHA: %s", ref);
    return NULL;
}

void
sandbox_report_list(const struct report_call *call, const struct report_view *view)
{
    const struct github_paging paging = sandbox_github_paging_of(call->request);
    struct json *page = json_make_array();
    int64_t total = 0;
    for (size_t i = 0; i < view->list->count; i++) {
        size_t at = view->oldest_first ? i : view->list->count - 1 - i;
        const struct json *record = view->list->items[at];
        if (view->fits != NULL && !view->fits(call, record)) {
            continue;
        }
        if (sandbox_github_paging_has(&paging, total)) {
            json_append(page, view->shape(call, record));
        }
        total++;
    }
    sandbox_github_paging_links(call->sandbox, call->request, &paging, total, call->response);
    if (view->key == NULL) {
        sandbox_reply_json(call->response, 200, page);
        return;
    }
    struct json *body = json_make_object();
    json_set_int(body, "total_count", total);
    json_set(body, view->key, page);
    sandbox_reply_json(call->response, 200, body);
}

void
sandbox_report_list_of_commit(const struct report_call *call, const struct report_view *view)
{
    struct report_call about = *call;
    about.sha = sandbox_report_sha(call);
    if (about.sha != NULL) {
        sandbox_report_list(&about, view);
    }
}

// --- may it? -------------------------------------------------------------------------------------

// The oldest of the last `limit` creations, or 0 when there were fewer.
static int64_t
oldest_creation(const struct github_token *token, int64_t limit)
{
    size_t room = (size_t)limit;
    return token->creation_count < room ? 0 : token->creations[token->creation_count % room];
}

static bool
is_within_limit(const struct report_call *call)
{
    int64_t limit = call->sandbox->github->creations_per_minute;
    int64_t wait = limit > 0 ? oldest_creation(call->token, limit) + MINUTE_MS - call->now : 0;
    if (wait <= 0) {
        return true;
    }
    sandbox_github_problem(call->response, 403,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try "
        "again.");
    http_headers_addf(
        &call->response->headers, "Retry-After", "%lld", (long long)((wait + 999) / 1000));
    return false;
}

static void
note_creation(const struct report_call *call)
{
    size_t limit = (size_t)call->sandbox->github->creations_per_minute;
    struct github_token *token = call->token;
    if (limit == 0) {
        return;
    }
    if (token->creation_count == 0) {
        token->creations = xrealloc(token->creations, limit * sizeof(*token->creations));
    }
    token->creations[token->creation_count++ % limit] = call->now;
}

// "issues|pull_requests": either will do.
static bool
is_allowed(const struct report_call *call, const char *permissions, bool writes)
{
    struct str first = {0}, rest = str_of(permissions);
    while (str_cut(rest, '|', &first, &rest)) {
        char *name CLEANUP(xfreep) = str_dup(first);
        bool last = rest.len == 0;
        struct sandbox_response ignored = {0};
        bool allowed = sandbox_github_allowed(
            call->token, call->repo, name, writes, last ? call->response : &ignored);
        sandbox_response_done(&ignored);
        if (allowed || last) {
            return allowed;
        }
    }
    return false;
}

// What GitHub says a call takes: "issues=write; pull_requests=write".
static void
say_accepted(const struct report_call *call, const char *permissions, bool writes)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024);
    struct str name = {0}, rest = str_of(permissions);
    while (str_cut(rest, '|', &name, &rest)) {
        buf_puts(&text, text.len > 0 ? "; " : "");
        buf_add(&text, name);
        buf_puts(&text, writes ? "=write" : "=read");
    }
    sandbox_reply_header(call->response, "X-Accepted-GitHub-Permissions", buf_cstr(&text));
}

// --- which endpoint? -----------------------------------------------------------------------------

struct report_route {
    const char *method, *path, *permissions;
    bool makes; // content: falls under the secondary limit
    void (*handle)(const struct report_call *call);
};

static const struct report_route routes[] = {
    {"POST", "deployments", "deployments", true, sandbox_deployment_create},
    {"GET", "deployments", "deployments", false, sandbox_deployment_list},
    {"GET", "deployments/:", "deployments", false, sandbox_deployment_show},
    {"POST", "deployments/:/statuses", "deployments", true, sandbox_deployment_status_create},
    {"GET", "deployments/:/statuses", "deployments", false, sandbox_deployment_status_list},
    {"GET", "deployments/:/statuses/:", "deployments", false, sandbox_deployment_status_show},
    {"POST", "statuses/:", "statuses", true, sandbox_commit_status_create},
    {"GET", "commits/:/statuses", "statuses", false, sandbox_commit_status_list},
    {"GET", "commits/:/status", "statuses", false, sandbox_commit_status_combined},
    {"POST", "check-runs", "checks", true, sandbox_check_run_create},
    {"GET", "check-runs/:", "checks", false, sandbox_check_run_show},
    {"PATCH", "check-runs/:", "checks", false, sandbox_check_run_update},
    {"GET", "check-runs/:/annotations", "checks", false, sandbox_check_run_annotations},
    {"GET", "commits/:/check-runs", "checks", false, sandbox_check_run_list},
    {"GET", "issues/comments/:", "issues|pull_requests", false, sandbox_comment_show},
    {"PATCH", "issues/comments/:", "issues|pull_requests", false, sandbox_comment_update},
    {"DELETE", "issues/comments/:", "issues|pull_requests", false, sandbox_comment_delete},
    {"POST", "issues/:/comments", "issues|pull_requests", true, sandbox_comment_create},
    {"GET", "issues/:/comments", "issues|pull_requests", false, sandbox_comment_list},
    {"GET", "commits/:/pulls", "pull_requests", false, sandbox_commit_pulls},
};

static const struct report_route *
find_route(const struct sandbox_request *request, size_t from)
{
    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        if (sandbox_request_is(request, routes[i].method) &&
            sandbox_request_match(request, from, routes[i].path)) {
            return &routes[i];
        }
    }
    return NULL;
}

static void
follow(struct report_call *call, const struct report_route *route)
{
    bool reads = sandbox_request_is(call->request, "GET");
    bool has_body = !reads && !sandbox_request_is(call->request, "DELETE");
    say_accepted(call, route->permissions, !reads);
    if (!is_allowed(call, route->permissions, !reads) || (route->makes && !is_within_limit(call))) {
        return;
    }
    struct json *body CLEANUP(json_freep) = has_body ? sandbox_request_json(call->request) : NULL;
    if (has_body && body == NULL) {
        sandbox_github_problem(call->response, 400, "Problems parsing JSON");
        return;
    }
    call->body = body;
    route->handle(call);
    if (route->makes && call->response->status == 201) {
        note_creation(call);
    }
}

bool
sandbox_reports_handle(struct sandbox *sandbox, struct github_token *token,
    struct github_repo *repo, struct sandbox_request *request, size_t from,
    struct sandbox_response *response)
{
    const struct report_route *route = find_route(request, from);
    if (route == NULL) {
        return false;
    }
    struct report_call call = {
        .sandbox = sandbox,
        .token = token,
        .repo = repo,
        .reports = sandbox_reports_of(repo),
        .request = request,
        .response = response,
        .parts = request->parts + from,
        .base = sandbox_github_base(sandbox, request),
        .now = sandbox_now(sandbox),
    };
    // The check run of a job is its run's.
    if (route->handle == sandbox_check_run_annotations &&
        sandbox_report_find(&call.reports->check_runs, sandbox_report_number(&call, 1)) == NULL) {
        return false;
    }
    follow(&call, route);
    return true;
}
