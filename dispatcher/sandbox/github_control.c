// What a test may do to the sandbox's GitHub behind its API, its state as JSON, and the plain page
// that a run's html_url leads to.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_internal.h"

static const char *const conclusions[] = {"success", "failure", "cancelled", "skipped", "neutral",
    "timed_out", "action_required", "stale", "startup_failure", NULL};
static const char *const statuses[] = {
    "requested", "queued", "pending", "waiting", "in_progress", "completed", NULL};

static const char *
known_word(const char *const *words, const char *text)
{
    for (; text != NULL && *words != NULL; words++) {
        if (strcmp(*words, text) == 0) {
            return *words;
        }
    }
    return NULL;
}

const char *
sandbox_github_conclusion(const char *text)
{
    return known_word(conclusions, text);
}

static void
answer_run(
    const struct sandbox *sandbox, const struct github_run *run, struct sandbox_response *response)
{
    char *base CLEANUP(xfreep) = xasprintf("%s/github", sandbox->origin);
    sandbox_reply_json(response, 200, sandbox_shape_run(base, run));
}

struct github_run *
sandbox_run_duplicate(struct sandbox *sandbox, struct github_run *run)
{
    struct arena *arena = arena_new();
    struct workflow *workflow = arena_alloc(arena, sizeof(*workflow));
    // The plan is read-only and outlives both: runs are only freed when the sandbox ends.
    *workflow = *run->workflow;
    struct github_file *file = sandbox_github_file_get(sandbox->github, run->repo, run->file);
    struct run_order order = {.repo = run->repo,
        .file = file,
        .ref = {.name = run->branch, .full = run->ref, .sha = run->sha},
        .arena = arena,
        .workflow = workflow,
        .inputs = json_clone(run->inputs),
        .actor = run->actor};
    return sandbox_run_create(sandbox, &order);
}

// {"conclusion": "timed_out"}: the next run executes nothing and ends so.
static void
set_next(struct sandbox *sandbox, const struct json *body, struct sandbox_response *response)
{
    const char *word = known_word(conclusions, json_str(json_get(body, "conclusion")));
    if (word == NULL) {
        sandbox_reply_problem(response, 422, "'conclusion' is none of GitHub's");
        return;
    }
    sandbox->github->next_conclusion = word;
    response->status = 204;
}

// {"run_id": 1, "status": "waiting", "conclusion": null}
static void
set_run(struct github_run *run, const struct json *body, struct sandbox_response *response)
{
    const char *status = known_word(statuses, json_str(json_get(body, "status")));
    const char *conclusion = known_word(conclusions, json_str(json_get(body, "conclusion")));
    if (status == NULL || (strcmp(status, "completed") == 0) != (conclusion != NULL)) {
        sandbox_reply_problem(response, 422, "'status' and 'conclusion' do not fit together");
        return;
    }
    run->is_set = true;
    sandbox_run_cancel(run, true); // nothing of it goes on
    run->status = status;
    run->conclusion = conclusion;
    run->updated_ms = sandbox_now(run->sandbox);
    if (conclusion != NULL || strcmp(status, "in_progress") == 0) {
        sandbox_webhook_run(run, status);
    }
    answer_run(run->sandbox, run, response);
}

static void
set_workflow(struct sandbox *sandbox, const struct json *body, struct sandbox_response *response)
{
    const char *file = json_str(json_get(body, "workflow"));
    struct github_repo *repo =
        sandbox_github_repo_named(sandbox->github, json_str(json_get(body, "repository")));
    if (repo == NULL || file == NULL) {
        sandbox_reply_problem(response, 404, "no such repository or workflow");
        return;
    }
    sandbox_github_file_get(sandbox->github, repo, file)->disabled =
        json_bool(json_get(body, "disabled"), true);
    response->status = 204;
}

static void
expire_tokens(struct sandbox *sandbox, struct sandbox_response *response)
{
    struct github_state *github = sandbox->github;
    int64_t expired = 0;
    for (size_t i = 0; i < github->token_count; i++) {
        if (github->tokens[i]->kind == GITHUB_TOKEN_INSTALLATION) {
            github->tokens[i]->expires_ms = 1;
            expired++;
        }
    }
    struct json *body = json_make_object();
    json_set_int(body, "expired", expired);
    sandbox_reply_json(response, 200, body);
}

bool
sandbox_github_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *body CLEANUP(json_freep) = sandbox_request_json(request);
    struct github_run *run =
        sandbox_github_find_run(sandbox->github, json_int(json_get(body, "run_id"), 0));
    if (sandbox_request_match(request, 2, "next-run")) {
        set_next(sandbox, body, response);
    } else if (sandbox_request_match(request, 2, "workflow-state")) {
        set_workflow(sandbox, body, response);
    } else if (sandbox_request_match(request, 2, "expire-tokens")) {
        expire_tokens(sandbox, response);
    } else if (sandbox_request_match(request, 2, "runs/auto")) {
        sandbox_auto_control(sandbox, body, response);
    } else if (sandbox_request_match(request, 2, "people")) {
        sandbox_github_control_people(sandbox, body, response);
    } else if (sandbox_request_match(request, 2, "repositories")) {
        sandbox_github_control_repository(sandbox, body, response);
    } else if (sandbox_request_match(request, 2, "oauth")) {
        sandbox_github_control_oauth(sandbox, body, response);
    } else if (sandbox_request_match(request, 2, "duplicate-run") && run != NULL) {
        answer_run(sandbox, sandbox_run_duplicate(sandbox, run), response);
    } else if (sandbox_request_match(request, 2, "set-run") && run != NULL) {
        set_run(run, body, response);
    } else {
        return sandbox_webhook_control(sandbox, request, body, response) ||
               sandbox_reports_control(sandbox, request, body, response);
    }
    return true;
}

static struct json *
state_of_run(const struct github_run *run)
{
    struct json *item = json_make_object();
    json_set_int(item, "id", run->id);
    json_set_str(item, "repository", run->repo->full);
    json_set_str(item, "workflow", run->file);
    json_set_str(item, "title", run->title);
    json_set_str(item, "ref", run->ref);
    json_set_str(item, "sha", run->sha);
    json_set_str(item, "actor", run->actor);
    json_set_str(item, "status", run->status);
    json_set_str(item, "conclusion", run->conclusion);
    json_set(item, "inputs", json_clone(run->inputs));
    json_set_int(item, "created_ms", run->created_ms);
    json_set_int(item, "updated_ms", run->updated_ms);
    return item;
}

struct json *
sandbox_github_state_json(struct sandbox *sandbox)
{
    const struct github_state *github = sandbox->github;
    struct json *state = json_make_object(), *runs = json_make_array();
    struct json *repositories = json_make_array(), *tokens = json_make_array();
    for (size_t i = 0; i < github->run_count; i++) {
        json_append(runs, state_of_run(github->runs[i]));
    }
    for (size_t i = 0; i < github->repo_count; i++) {
        struct json *item = json_make_object();
        json_set_str(item, "full_name", github->repos[i]->full);
        json_set_int(item, "id", github->repos[i]->id);
        json_set_str(item, "path", github->repos[i]->path);
        json_set_bool(item, "git", github->repos[i]->is_git);
        json_append(repositories, item);
    }
    for (size_t i = 0; i < github->token_count; i++) {
        const struct github_token *token = github->tokens[i];
        static const char *const kinds[] = {"user", "installation", "job", "personal"};
        struct json *item = json_make_object();
        json_set_str(item, "kind", kinds[token->kind]);
        json_set_int(item, "used", token->used);
        if (token->permissions != NULL) {
            json_set(item, "permissions", json_clone(token->permissions));
        }
        if (token->repositories != NULL) {
            json_set(item, "repositories", json_clone(token->repositories));
        }
        json_append(tokens, item);
    }
    json_set(state, "repositories", repositories);
    json_set(state, "runs", runs);
    json_set(state, "tokens", tokens);
    json_set(state, "people", sandbox_github_people_json(sandbox));
    json_set(state, "reports", sandbox_github_reports_json(sandbox));
    json_set_int(state, "creations_per_minute", github->creations_per_minute);
    return state;
}

bool
sandbox_github_page(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    int64_t id = 0;
    bool is_run = sandbox_request_match(request, 2, "actions/runs/:") ||
                  sandbox_request_match(request, 2, "actions/runs/:/job/:");
    const struct github_run *run = is_run && str_to_int64(str_of(request->parts[4]), &id)
                                       ? sandbox_github_find_run(sandbox->github, id)
                                       : NULL;
    if (run == NULL) {
        return false;
    }
    struct buf text CLEANUP(buf_done) = BUF_INIT(32 * 1024 * 1024);
    buf_printf(&text, "%s · %s #%lld · %s%s%s\n", run->repo->full, run->title,
        (long long)run->number, run->status, run->conclusion != NULL ? ", " : "",
        run->conclusion != NULL ? run->conclusion : "");
    for (size_t i = 0; i < run->job_count; i++) {
        const struct run_job *job = &run->jobs[i];
        buf_printf(&text, "\n== %s: %s ==\n", job->name,
            job->conclusion != NULL ? job->conclusion : job->status);
        buf_add(&text, buf_str(&job->log));
    }
    sandbox_reply_text(response, 200, "text/plain; charset=utf-8", buf_str(&text));
    return true;
}
