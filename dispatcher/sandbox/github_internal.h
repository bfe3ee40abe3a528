// The sandbox's GitHub: repositories, tokens, runs. All under the sandbox's lock, but for the
// threads that execute runs, which take it for every change.
#pragma once

#include "sandbox_internal.h"
#include "workflow_internal.h"

struct github_file { // a workflow file that was seen once
    char *name;
    int64_t id, runs;
    bool disabled;
};

struct github_repo {
    char *owner, *name, *full, *path;
    bool is_git;
    int64_t id, owner_id;
    struct github_file **files;
    size_t file_count;
    struct github_reports *reports; // github_report.c; NULL: nothing yet
    struct github_commits *commits; // of an order; NULL: none
    char *default_branch;           // of an order; NULL: main, or what is checked out
    struct json *oidc_subject;      // its customisation of `sub`; NULL: none
};

struct github_rename {
    char *full; // what it was called
    struct github_repo *repo;
};

enum github_token_kind {
    GITHUB_TOKEN_USER, // the one of the ready file: may do everything
    GITHUB_TOKEN_INSTALLATION,
    GITHUB_TOKEN_JOB,
    GITHUB_TOKEN_PERSONAL, // of a person: no check runs
};

struct github_token {
    char *text;
    enum github_token_kind kind;
    struct json *permissions;  // {"actions": "write"}; NULL: all
    struct json *repositories; // array of names; NULL: all
    int64_t expires_ms;        // 0: never
    int64_t used, window_ms;   // quota
    int64_t *creations;        // when the last ones were made, a ring of the limit's size
    size_t creation_count;
    bool is_revoked;
    const struct github_person *person; // whose it is; NULL: the sandbox's user, or no person
};

struct run_annotation {
    char *level, *title, *message, *path;
    int64_t line;
};

struct run_step {
    char *name;
    const char *status, *conclusion; // static text
    int64_t number, started_ms, completed_ms;
};

struct run_job {
    int64_t id, check_id, created_ms, started_ms, completed_ms;
    char *key, *name;
    const char *status, *conclusion;
    struct run_step *steps;
    size_t step_count;
    struct run_annotation *annotations;
    size_t annotation_count;
    struct buf log;
};

struct github_run {
    struct sandbox *sandbox;
    struct github_repo *repo;
    int64_t id, number, attempt, workflow_id;
    char *file, *name, *title, *branch, *ref, *sha, *commit_message, *actor;
    const char *event, *status, *conclusion;
    const char *forced; // conclusion that a test asked for, or NULL
    bool is_set;        // its state was ordered: what its thread still does changes nothing of it
    int64_t created_ms, started_ms, updated_ms, visible_ms;
    struct json *inputs;
    struct run_job *jobs;
    size_t job_count;
    struct arena *arena; // of the workflow
    struct workflow *workflow;
    struct cancel *cancel; // raised: SIGINT politely, SIGKILL when forced
    bool cancel_asked, is_forced, thread_started, thread_joined;
    int64_t auto_start_ms, auto_finish_ms; // mono, of a run that only time moves
    const char *auto_conclusion;
    struct sandbox_delays delays;
    pthread_t thread;
};

struct github_log_link { // what a 302 to a log points to
    char *key;
    int64_t job_id, expires_ms;
};

struct github_people;
struct github_person;
struct github_hooks;
struct github_auto;

struct github_state {
    struct github_auto *automatic; // NULL: never ordered
    struct github_people *people;
    struct github_hooks *hooks;
    struct github_repo **repos;
    size_t repo_count;
    struct github_rename *renames;
    size_t rename_count;
    struct github_token **tokens;
    size_t token_count;
    struct github_run **runs;
    size_t run_count;
    struct github_log_link *links;
    size_t link_count;
    struct secret *app_pem;
    char *app_key_path, *user_token, *id_token;
    int64_t last_id;
    const char *next_conclusion;  // for the next run
    struct json *granted;         // what the installation may do, by permission
    int64_t creations_per_minute; // secondary limit of a token; 0: none
    struct json *counters;        // route → {"requests", "counted", "not_modified"}
    bool is_stopping;
};

enum { GITHUB_CREATIONS_PER_MINUTE = 80 }; // facts/github-notify-credentials.md §2
enum { GITHUB_APP_ID = 4242, GITHUB_INSTALLATION_ID = 515151, GITHUB_USER_ID = 1 };
extern const char sandbox_github_app_slug[], sandbox_github_app_client[],
    sandbox_github_user_login[];

// --- github.c: replies and accounts
// ---------------------------------------------------------------

/// GitHub's error object with its documentation link.
void sandbox_github_problem(struct sandbox_response *response, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);
int64_t sandbox_github_next_id(struct github_state *github);
struct github_repo *sandbox_github_find_repo(
    const struct github_state *github, const char *owner, const char *name);
/// API base as this request sees it, in the arena: ".../github" or ".../api/v3".
const char *sandbox_github_base(
    const struct sandbox *sandbox, const struct sandbox_request *request);
/// "2026-03-10" or "2022-11-28"; NULL when it has answered (410 or 400).
const char *sandbox_github_version(const struct sandbox *sandbox,
    const struct sandbox_request *request, struct sandbox_response *response);

struct github_paging {
    int64_t size, page;
};
struct github_paging sandbox_github_paging_of(struct sandbox_request *request);
/// Is the item of that index, from 0, on the page?
bool sandbox_github_paging_has(const struct github_paging *paging, int64_t index);
void sandbox_github_paging_links(struct sandbox *sandbox, const struct sandbox_request *request,
    const struct github_paging *paging, int64_t total, struct sandbox_response *response);

/// Adds "owner/name" with no files in it; NULL when that is no name. The one there already wins.
struct github_repo *sandbox_github_repo_ensure(struct sandbox *sandbox, const char *full);
/// "owner/name" of the app whose shell this is.
const char *sandbox_github_caller(const struct sandbox *sandbox);
/// Same name, same id, on every start: tests and specs may pin it.
int64_t sandbox_github_stable_id(const char *text);
int64_t sandbox_github_owner_id(const char *owner);
/// "owner/name" as it is served, or NULL.
struct github_repo *sandbox_github_repo_named(const struct github_state *github, const char *full);

// --- github_auth.c
// --------------------------------------------------------------------------------

/// Who asks; NULL when it has answered with 401. Takes the quota into account (403 when used up).
struct github_token *sandbox_github_authenticate(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// Answers 404 or 403 and returns false when the token may not do this to the repository.
bool sandbox_github_allowed(const struct github_token *token, const struct github_repo *repo,
    const char *permission, bool writes, struct sandbox_response *response);
bool sandbox_github_is_person(const struct github_token *token);
/// Of the person whose token it is; of the App's bot for all others.
const char *sandbox_github_login_of(const struct github_token *token);
/// Valid App JWT in Authorization? Answers 401 when not.
bool sandbox_github_app_authenticated(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
struct github_token *sandbox_github_token_add(
    struct sandbox *sandbox, enum github_token_kind kind, const char *text);
/// What the App's installation has been granted from the beginning.
struct json *sandbox_github_granted(void);
void sandbox_github_mint(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
void sandbox_github_quota_headers(const struct sandbox *sandbox, const struct github_token *token,
    struct sandbox_response *response);
struct json *sandbox_github_quota_json(
    const struct sandbox *sandbox, const struct github_token *token);
/// Counts a finished request, and turns it into 304 where If-None-Match says so.
void sandbox_github_finish(struct sandbox *sandbox, struct github_token *token,
    struct sandbox_request *request, struct sandbox_response *response);

// --- github_people.c, github_orgs.c, github_oauth.c
// --------------------------------------------------

NODISCARD struct error *sandbox_github_people_start(struct sandbox *sandbox);
void sandbox_github_people_stop(struct github_state *github);
void sandbox_github_people_reset(struct sandbox *sandbox);
struct json *sandbox_github_people_json(const struct sandbox *sandbox);
/// 0: no such team.
int64_t sandbox_github_team_id(const struct sandbox *sandbox, const char *slug);
/// /user…, /users/LOGIN, /orgs/…; false when the path is none of theirs.
bool sandbox_github_orgs_handle(struct sandbox *sandbox, const struct github_token *token,
    struct sandbox_request *request, size_t from, struct sandbox_response *response);
/// POST /_sandbox/github/people, /_sandbox/github/oauth
void sandbox_github_control_people(
    struct sandbox *sandbox, const struct json *order, struct sandbox_response *response);
void sandbox_github_control_oauth(
    struct sandbox *sandbox, const struct json *order, struct sandbox_response *response);
/// POST and DELETE of /applications/CLIENT/token, which the App signs with its client secret.
void sandbox_github_oauth_application(struct sandbox *sandbox, struct sandbox_request *request,
    size_t from, struct sandbox_response *response);
void sandbox_github_oauth_ready(const struct sandbox *sandbox, struct json *addresses);

// --- github_shape.c: objects as GitHub spells them
// -------------------------------------------------

struct json *sandbox_shape_user(const struct sandbox *sandbox, const char *base, const char *login);
struct json *sandbox_shape_repo(
    const struct sandbox *sandbox, const char *base, const struct github_repo *repo, bool full);
struct json *sandbox_shape_run(const char *base, const struct github_run *run);
struct json *sandbox_shape_job(
    const char *base, const struct github_run *run, const struct run_job *job);
struct json *sandbox_shape_annotations(
    const char *base, const struct github_run *run, const struct run_job *job);
struct json *sandbox_shape_workflow(const struct sandbox *sandbox, const char *base,
    const struct github_repo *repo, const struct github_file *file, const char *name);
struct json *sandbox_shape_app(
    const struct sandbox *sandbox, const char *base, const char *slug, int64_t id);
void sandbox_shape_time(struct json *object, const char *key, int64_t wall_ms);
void sandbox_shape_node_id(struct json *object, const char *kind, int64_t id);
/// The organisation, in short.
struct json *sandbox_shape_organization(const struct sandbox *sandbox, const char *base);
struct json *sandbox_shape_installation(
    const struct sandbox *sandbox, const char *base, const struct github_repo *repo);

// --- github_source.c: the files and refs of a repository
// -------------------------------------------

struct source_ref {
    const char *name; // "main"
    const char *full; // "refs/heads/main"
    const char *sha;
};
/// *found false when there is no such branch or tag. A plain directory has the branch "main" only,
/// whose commit id is made of its path.
NODISCARD struct error *sandbox_source_resolve(const struct sandbox *sandbox,
    const struct github_repo *repo, const char *ref, struct arena *arena, struct source_ref *out,
    bool *found);
const char *sandbox_source_default_branch(const struct github_repo *repo, struct arena *arena);
/// Commit that the trunk of a git repository is at, in the arena; NULL when it cannot be told.
const char *sandbox_source_tip(const struct github_repo *repo, struct arena *arena);
NODISCARD struct error *sandbox_source_read(const struct sandbox *sandbox,
    const struct github_repo *repo, const char *ref, const char *path, struct buf *out,
    bool *found);
/// Names of workflow files at a ref.
NODISCARD struct error *sandbox_source_workflows(const struct sandbox *sandbox,
    const struct github_repo *repo, const char *ref, struct arena *arena, struct str_list *out);

// --- github_workflow.c, github_run.c
// ------------------------------------------------------------------

void sandbox_github_repo_handle(struct sandbox *sandbox, struct github_token *token,
    struct github_repo *repo, struct sandbox_request *request, size_t from,
    struct sandbox_response *response);
void sandbox_github_workflows_handle(struct sandbox *sandbox, struct github_token *token,
    struct github_repo *repo, struct sandbox_request *request, size_t from,
    struct sandbox_response *response);
void sandbox_github_runs_handle(struct sandbox *sandbox, struct github_token *token,
    struct github_repo *repo, struct sandbox_request *request, size_t from,
    struct sandbox_response *response);
/// Runs of one workflow (0: of all), filtered and paged by the query.
void sandbox_github_list_runs(struct sandbox *sandbox, struct github_repo *repo,
    int64_t workflow_id, struct sandbox_request *request, struct sandbox_response *response);
struct github_run *sandbox_github_find_run(struct github_state *github, int64_t id);
struct github_file *sandbox_github_file_get(
    struct github_state *github, struct github_repo *repo, const char *name);

// --- github_compare.c, github_repositories.c
// --------------------------------------------------------

struct github_commits;
void sandbox_commits_free(struct github_commits *commits);
/// compare/…, commits, commits/…; false when the path is none of theirs.
bool sandbox_github_commits_handle(struct sandbox *sandbox, const struct github_repo *repo,
    struct sandbox_request *request, size_t from, struct sandbox_response *response);
/// POST /_sandbox/github/repositories
void sandbox_github_control_repository(
    struct sandbox *sandbox, const struct json *order, struct sandbox_response *response);
/// The repository that was once called so, or NULL.
struct github_repo *sandbox_github_repo_renamed(
    const struct github_state *github, const char *owner, const char *name);

// --- github_hooks*.c: the App's webhook
// -----------------------------------------------------------------

NODISCARD struct error *sandbox_webhook_start(struct sandbox *sandbox);
/// Joins its threads.
void sandbox_webhook_stop(struct sandbox *sandbox);
void sandbox_webhook_free(struct github_state *github);
void sandbox_webhook_reset(struct sandbox *sandbox);
void sandbox_webhook_ready(const struct sandbox *sandbox, struct json *addresses);
/// A run, or a job of it, has come to something: "requested", "in_progress", "completed"; a job
/// "queued", "in_progress", "completed".
void sandbox_webhook_run(struct github_run *run, const char *action);
void sandbox_webhook_job(struct github_run *run, const struct run_job *job, const char *action);
/// app/hook/…, for the App by its JWT.
void sandbox_webhook_handle(struct sandbox *sandbox, struct sandbox_request *request, size_t from,
    struct sandbox_response *response);
/// POST /_sandbox/github/hooks, /hooks/faults and /push; false when it is none of them.
bool sandbox_webhook_control(struct sandbox *sandbox, const struct sandbox_request *request,
    const struct json *order, struct sandbox_response *response);

// --- github_report.c ----------------------------------------------------------------------------

/// Deployments, statuses, check runs, comments; false when the path is none of theirs.
bool sandbox_reports_handle(struct sandbox *sandbox, struct github_token *token,
    struct github_repo *repo, struct sandbox_request *request, size_t from,
    struct sandbox_response *response);
void sandbox_reports_forget(struct github_repo *repo);
/// Orders of POST /_sandbox/github/…; false when it is none of them.
bool sandbox_reports_control(struct sandbox *sandbox, const struct sandbox_request *request,
    const struct json *body, struct sandbox_response *response);

// What a dispatch asks for; everything is copied but the arena, workflow and inputs, which are
// taken.
struct run_order {
    struct github_repo *repo;
    struct github_file *file;
    struct source_ref ref;
    struct arena *arena;
    struct workflow *workflow;
    struct json *inputs;
    const char *actor;
};
struct github_run *sandbox_run_create(struct sandbox *sandbox, const struct run_order *order);
/// A second run of the same order, as if the dispatch had been sent twice.
struct github_run *sandbox_run_duplicate(struct sandbox *sandbox, struct github_run *run);
void sandbox_run_cancel(struct github_run *run, bool forced);
void sandbox_run_free(struct github_run *run);
void sandbox_run_finish(struct github_run *run, const char *conclusion);
/// "pending", "queued", "in_progress"; nothing once an order has set it.
void sandbox_run_set_status(struct github_run *run, const char *status);
void sandbox_run_job_start(struct github_run *run, size_t index);
void sandbox_run_job_end(struct github_run *run, struct run_job *job, const char *conclusion);

// --- github_counters.c
// --------------------------------------------------------------------------------

void sandbox_github_counters_reset(struct github_state *github);

// --- github_auto.c: runs that only time moves
// ---------------------------------------------------------

/// The word, when it is one of GitHub's conclusions; else NULL. Static.
const char *sandbox_github_conclusion(const char *text);
/// Does an order say that runs execute nothing? Then this one is taken care of.
bool sandbox_auto_takes(struct github_run *run);
/// POST /_sandbox/github/runs/auto
void sandbox_auto_control(
    struct sandbox *sandbox, const struct json *order, struct sandbox_response *response);
/// Joins its thread.
void sandbox_auto_stop(struct sandbox *sandbox);
void sandbox_auto_free(struct github_state *github);
void sandbox_auto_reset(struct sandbox *sandbox);

// --- runner.c
// -------------------------------------------------------------------------------------------

/// The thread of a run: its life from queued to completed. Takes the lock as it needs it.
void *sandbox_runner_main(void *run);
