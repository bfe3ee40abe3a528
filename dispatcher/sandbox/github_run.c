// Runs over REST: lists with their filters and pages, one run, its jobs, logs, annotations, cancel.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_internal.h"

enum { RESULTS_MAX = 1000, LINK_LIFE_MS = 60000 };

struct github_run *
sandbox_github_find_run(struct github_state *github, int64_t id)
{
    for (size_t i = 0; i < github->run_count; i++) {
        if (github->runs[i]->id == id) {
            return github->runs[i];
        }
    }
    return NULL;
}

// --- lists ---------------------------------------------------------------------------------------

struct run_filter {
    const char *event, *branch, *actor, *status, *sha;
    int64_t from_ms, to_ms;
};

// "2026-11-21T07:48:00Z", "+00:00" offsets, or a day.
static int64_t
parse_moment(const char *text, int64_t fallback)
{
    int64_t ms = 0;
    if (strlen(text) == 10) {
        char *longer CLEANUP(xfreep) = xasprintf("%sT00:00:00Z", text);
        return clock_parse_rfc3339(longer, &ms) ? ms : fallback;
    }
    return clock_parse_rfc3339(text, &ms) ? ms : fallback;
}

// GitHub's search syntax: >=A, >A, <=A, <A, A..B, A.
static void
parse_created(struct arena *arena, const char *text, struct run_filter *out)
{
    const char *dots = text != NULL ? strstr(text, "..") : NULL;
    if (text == NULL) {
        return;
    }
    if (dots != NULL) {
        const char *first = arena_str(arena, (struct str){text, (size_t)(dots - text)});
        out->from_ms = parse_moment(first, 0);
        out->to_ms = parse_moment(dots + 2, INT64_MAX);
    } else if (text[0] == '>') {
        out->from_ms = text[1] == '=' ? parse_moment(text + 2, 0) : parse_moment(text + 1, 0) + 1;
    } else if (text[0] == '<') {
        out->to_ms = text[1] == '=' ? parse_moment(text + 2, INT64_MAX)
                                    : parse_moment(text + 1, INT64_MAX) - 1;
    } else {
        out->from_ms = parse_moment(text, 0);
        out->to_ms = out->from_ms + (strlen(text) == 10 ? 86400000 : 1000);
    }
}

static bool
same_or_any(const char *wanted, const char *value)
{
    return wanted == NULL || (value != NULL && strcmp(wanted, value) == 0);
}

static bool
run_matches(const struct run_filter *filter, const struct github_run *run)
{
    int64_t second = run->created_ms / 1000 * 1000; // created_at has no fractions
    return same_or_any(filter->event, run->event) && same_or_any(filter->branch, run->branch) &&
           same_or_any(filter->actor, run->actor) && same_or_any(filter->sha, run->sha) &&
           (filter->status == NULL || strcmp(filter->status, run->status) == 0 ||
               same_or_any(filter->status, run->conclusion)) &&
           second >= filter->from_ms && second <= filter->to_ms;
}

void
sandbox_github_list_runs(struct sandbox *sandbox, struct github_repo *repo, int64_t workflow_id,
    struct sandbox_request *request, struct sandbox_response *response)
{
    struct github_state *github = sandbox->github;
    struct run_filter filter = {.event = sandbox_request_query(request, "event"),
        .branch = sandbox_request_query(request, "branch"),
        .actor = sandbox_request_query(request, "actor"),
        .status = sandbox_request_query(request, "status"),
        .sha = sandbox_request_query(request, "head_sha"),
        .to_ms = INT64_MAX};
    parse_created(request->arena, sandbox_request_query(request, "created"), &filter);
    const struct github_paging paging = sandbox_github_paging_of(request);
    int64_t total = 0, now = sandbox_now(sandbox);
    const char *base = sandbox_github_base(sandbox, request);
    struct json *list = json_make_array(), *body = json_make_object();
    for (size_t i = github->run_count; i-- > 0;) { // newest first
        const struct github_run *run = github->runs[i];
        if (run->repo != repo || (workflow_id != 0 && run->workflow_id != workflow_id) ||
            run->visible_ms > now || !run_matches(&filter, run)) {
            continue;
        }
        if (sandbox_github_paging_has(&paging, total) && total < RESULTS_MAX) {
            json_append(list, sandbox_shape_run(base, run));
        }
        total++;
    }
    int64_t shown = total < RESULTS_MAX ? total : RESULTS_MAX;
    sandbox_github_paging_links(sandbox, request, &paging, shown, response);
    json_set_int(body, "total_count", total);
    json_set(body, "workflow_runs", list);
    sandbox_reply_json(response, 200, body);
}

// --- one run -------------------------------------------------------------------------------------

static void
answer_jobs(struct sandbox *sandbox, const struct github_run *run, struct sandbox_request *request,
    struct sandbox_response *response)
{
    const struct github_paging paging = sandbox_github_paging_of(request);
    struct json *list = json_make_array(), *body = json_make_object();
    bool none = cstr_equal(run->conclusion, "startup_failure"); // no job ever existed
    int64_t count = none ? 0 : (int64_t)run->job_count;
    const char *base = sandbox_github_base(sandbox, request);
    for (int64_t i = 0; i < count; i++) {
        if (sandbox_github_paging_has(&paging, i)) {
            json_append(list, sandbox_shape_job(base, run, &run->jobs[i]));
        }
    }
    sandbox_github_paging_links(sandbox, request, &paging, count, response);
    json_set_int(body, "total_count", count);
    json_set(body, "jobs", list);
    sandbox_reply_json(response, 200, body);
}

static void
answer_cancel(struct github_run *run, bool forced, struct sandbox_response *response)
{
    if (strcmp(run->status, "completed") == 0) {
        sandbox_github_problem(response, 409, "Cannot cancel a workflow run that is completed.");
        return;
    }
    sandbox_run_cancel(run, forced);
    sandbox_reply_json(response, 202, json_make_object());
}

static struct run_job *
find_job(struct github_state *github, const struct github_repo *repo, int64_t id,
    struct github_run **ret_run)
{
    for (size_t i = 0; i < github->run_count; i++) {
        for (size_t k = 0; k < github->runs[i]->job_count; k++) {
            if (github->runs[i]->jobs[k].id == id &&
                (repo == NULL || github->runs[i]->repo == repo)) {
                *ret_run = github->runs[i];
                return &github->runs[i]->jobs[k];
            }
        }
    }
    return NULL;
}

// The same port under another name: another origin, so that clients which drop credentials when
// they change hosts, as they must, do so here too.
static const char *
storage_origin(const struct sandbox *sandbox, struct arena *arena)
{
    struct str host = str_of(sandbox->host), first = STR("127.0.0.1:");
    return str_starts(host, first)
               ? arena_printf(arena, "http://localhost:%.*s", STR_FMT(str_skip(host, first.len)))
               : sandbox->origin;
}

// 302 to a place that takes no credentials: the signature in the URL is the permission.
static void
answer_log(struct sandbox *sandbox, const struct github_run *run, const struct run_job *job,
    struct sandbox_request *request, struct sandbox_response *response)
{
    struct github_state *github = sandbox->github;
    if (strcmp(run->status, "completed") != 0) {
        sandbox_github_problem(response, 404, "Not Found"); // not before the run has ended
        return;
    }
    char key[49];
    random_hex(sandbox->platform->random, 24, key);
    github->links = xrealloc(github->links, (github->link_count + 1) * sizeof(*github->links));
    github->links[github->link_count++] = (struct github_log_link){
        .key = xstrdup(key), .job_id = job->id, .expires_ms = sandbox_now(sandbox) + LINK_LIFE_MS};
    response->status = 302;
    sandbox_reply_header(response, "Location",
        arena_printf(request->arena, "%s/_storage/logs/%lld.txt?sv=2026-01-01&sig=%s",
            storage_origin(sandbox, request->arena), (long long)job->id, key));
}

void
sandbox_github_storage(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct github_state *github = sandbox->github;
    const char *signature = sandbox_request_query(request, "sig");
    int64_t job_id = 0;
    for (size_t i = 0; signature != NULL && i < github->link_count; i++) {
        const char *key = github->links[i].key;
        if (strlen(signature) == strlen(key) && digest_equal(key, signature, strlen(key)) &&
            github->links[i].expires_ms > sandbox_now(sandbox)) {
            job_id = github->links[i].job_id;
        }
    }
    struct github_run *run = NULL;
    const struct run_job *job = find_job(github, NULL, job_id, &run);
    if (sandbox_request_header(request, "Authorization") != NULL) {
        sandbox_reply_text(response, 400, "application/xml",
            STR("<?xml version=\"1.0\"?><Error><Code>InvalidAuthenticationInfo</Code>"
                "<Message>Authentication information is not given in the correct format."
                "</Message></Error>"));
    } else if (job == NULL || !sandbox_request_is(request, "GET")) {
        sandbox_reply_text(response, 403, "application/xml",
            STR("<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code></Error>"));
    } else {
        sandbox_reply_text(response, 200, "text/plain; charset=utf-8", buf_str(&job->log));
    }
}

static void
handle_run(struct sandbox *sandbox, struct github_run *run, struct sandbox_request *request,
    size_t from, struct sandbox_response *response)
{
    bool reads = sandbox_request_is(request, "GET"), posts = sandbox_request_is(request, "POST");
    if (reads && request->part_count == from) {
        sandbox_reply_json(
            response, 200, sandbox_shape_run(sandbox_github_base(sandbox, request), run));
    } else if (reads && sandbox_request_match(request, from, "attempts/1")) {
        sandbox_reply_json(
            response, 200, sandbox_shape_run(sandbox_github_base(sandbox, request), run));
    } else if (reads && (sandbox_request_match(request, from, "jobs") ||
                            sandbox_request_match(request, from, "attempts/1/jobs"))) {
        answer_jobs(sandbox, run, request, response);
    } else if (posts && sandbox_request_match(request, from, "cancel")) {
        answer_cancel(run, false, response);
    } else if (posts && sandbox_request_match(request, from, "force-cancel")) {
        answer_cancel(run, true, response);
    } else if (reads && (sandbox_request_match(request, from, "approvals") ||
                            sandbox_request_match(request, from, "pending_deployments"))) {
        sandbox_reply_json(response, 200, json_make_array());
    } else {
        sandbox_github_problem(response, 404, "Not Found");
    }
}

static void
handle_job(struct sandbox *sandbox, struct github_repo *repo, struct sandbox_request *request,
    size_t from, struct sandbox_response *response)
{
    int64_t id = 0;
    struct github_run *run = NULL;
    const struct run_job *job = str_to_int64(str_of(request->parts[from]), &id)
                                    ? find_job(sandbox->github, repo, id, &run)
                                    : NULL;
    if (job == NULL || !sandbox_request_is(request, "GET")) {
        sandbox_github_problem(response, 404, "Not Found");
    } else if (request->part_count == from + 1) {
        sandbox_reply_json(
            response, 200, sandbox_shape_job(sandbox_github_base(sandbox, request), run, job));
    } else if (sandbox_request_match(request, from + 1, "logs")) {
        answer_log(sandbox, run, job, request, response);
    } else if (sandbox_request_match(request, from + 1, "annotations")) {
        sandbox_reply_json(response, 200,
            sandbox_shape_annotations(sandbox_github_base(sandbox, request), run, job));
    } else {
        sandbox_github_problem(response, 404, "Not Found");
    }
}

void
sandbox_github_runs_handle(struct sandbox *sandbox, struct github_token *token,
    struct github_repo *repo, struct sandbox_request *request, size_t from,
    struct sandbox_response *response)
{
    bool checks = strcmp(request->parts[from], "check-runs") == 0;
    bool writes = !sandbox_request_is(request, "GET");
    if (!sandbox_github_allowed(token, repo, checks ? "checks" : "actions", writes, response)) {
        return;
    }
    size_t at = checks ? from : from + 1;
    const char *kind = request->part_count > at ? request->parts[at] : "";
    int64_t id = 0;
    if (checks && sandbox_request_match(request, from, "check-runs/:/annotations")) {
        handle_job(sandbox, repo, request, from + 1, response);
    } else if (strcmp(kind, "jobs") == 0 && request->part_count > at + 1) {
        handle_job(sandbox, repo, request, at + 1, response);
    } else if (!writes && sandbox_request_match(request, at, "runs")) {
        sandbox_github_list_runs(sandbox, repo, 0, request, response);
    } else if (strcmp(kind, "runs") == 0 && request->part_count > at + 1 &&
               str_to_int64(str_of(request->parts[at + 1]), &id)) {
        struct github_run *run = sandbox_github_find_run(sandbox->github, id);
        if (run == NULL || run->repo != repo) {
            sandbox_github_problem(response, 404, "Not Found");
        } else {
            handle_run(sandbox, run, request, at + 2, response);
        }
    } else {
        sandbox_github_problem(response, 404, "Not Found");
    }
}
