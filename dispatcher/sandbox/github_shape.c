// Objects as GitHub's OpenAPI description spells them: users, repositories, runs, jobs, workflows.
// Every required field is there; URLs of pages that the sandbox does not serve are well-formed.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_people_internal.h"

static void
set_url(struct json *object, const char *key, const char *prefix, const char *suffix)
{
    char *url CLEANUP(xfreep) = xasprintf("%s%s", prefix, suffix);
    json_set_str(object, key, url);
}

void
sandbox_shape_time(struct json *object, const char *key, int64_t wall_ms)
{
    char text[21];
    if (wall_ms == 0) {
        json_set(object, key, json_make_null());
        return;
    }
    clock_format_rfc3339(wall_ms, text);
    json_set_str(object, key, text);
}

void
sandbox_shape_node_id(struct json *object, const char *kind, int64_t id)
{
    char *text CLEANUP(xfreep) = xasprintf("%s_kwD%lld", kind, (long long)id);
    json_set_str(object, "node_id", text);
}

struct json *
sandbox_shape_user(const struct sandbox *sandbox, const char *base, const char *login)
{
    static const char *const links[][2] = {{"events_url", "/events{/privacy}"},
        {"followers_url", "/followers"}, {"following_url", "/following{/other_user}"},
        {"gists_url", "/gists{/gist_id}"}, {"organizations_url", "/orgs"},
        {"received_events_url", "/received_events"}, {"repos_url", "/repos"},
        {"starred_url", "/starred{/owner}{/repo}"}, {"subscriptions_url", "/subscriptions"},
        {"url", ""}};
    struct json *user = json_make_object();
    struct buf encoded CLEANUP(buf_done) = BUF_INIT(4096); // a bot's login has brackets
    url_encode(str_of(login), "", &encoded);
    char *url CLEANUP(xfreep) = xasprintf("%s/users/%s", base, buf_cstr(&encoded));
    char *page CLEANUP(xfreep) = xasprintf("%s/%s", sandbox->origin, buf_cstr(&encoded));
    const struct github_person *person = sandbox_github_person(sandbox, login);
    bool is_app = str_ends(str_of(login), STR("[bot]"));
    bool is_bot = is_app || (person != NULL && person->is_bot);
    int64_t id = is_app ? GITHUB_APP_ID : person != NULL ? person->id : GITHUB_USER_ID;
    json_set_str(user, "login", login);
    json_set_int(user, "id", id);
    sandbox_shape_node_id(user, "U", id);
    set_url(user, "avatar_url", page, ".png");
    json_set_str(user, "gravatar_id", "");
    json_set_str(user, "html_url", page);
    for (size_t i = 0; i < ARRAY_LENGTH(links); i++) {
        set_url(user, links[i][0], url, links[i][1]);
    }
    json_set_str(user, "type", is_bot ? "Bot" : "User");
    json_set_bool(user, "site_admin", false);
    return user;
}

static void
set_repo_links(struct json *repo, const char *url)
{
    static const char *const links[][2] = {{"archive_url", "/{archive_format}{/ref}"},
        {"assignees_url", "/assignees{/user}"}, {"blobs_url", "/git/blobs{/sha}"},
        {"branches_url", "/branches{/branch}"},
        {"collaborators_url", "/collaborators{/collaborator}"},
        {"comments_url", "/comments{/number}"}, {"commits_url", "/commits{/sha}"},
        {"compare_url", "/compare/{base}...{head}"}, {"contents_url", "/contents/{+path}"},
        {"contributors_url", "/contributors"}, {"deployments_url", "/deployments"},
        {"downloads_url", "/downloads"}, {"events_url", "/events"}, {"forks_url", "/forks"},
        {"git_commits_url", "/git/commits{/sha}"}, {"git_refs_url", "/git/refs{/sha}"},
        {"git_tags_url", "/git/tags{/sha}"}, {"hooks_url", "/hooks"},
        {"issue_comment_url", "/issues/comments{/number}"},
        {"issue_events_url", "/issues/events{/number}"}, {"issues_url", "/issues{/number}"},
        {"keys_url", "/keys{/key_id}"}, {"labels_url", "/labels{/name}"},
        {"languages_url", "/languages"}, {"merges_url", "/merges"},
        {"milestones_url", "/milestones{/number}"},
        {"notifications_url", "/notifications{?since,all,participating}"},
        {"pulls_url", "/pulls{/number}"}, {"releases_url", "/releases{/id}"},
        {"stargazers_url", "/stargazers"}, {"statuses_url", "/statuses/{sha}"},
        {"subscribers_url", "/subscribers"}, {"subscription_url", "/subscription"},
        {"tags_url", "/tags"}, {"teams_url", "/teams"}, {"trees_url", "/git/trees{/sha}"},
        {"url", ""}};
    for (size_t i = 0; i < ARRAY_LENGTH(links); i++) {
        set_url(repo, links[i][0], url, links[i][1]);
    }
}

// What GET /repos/{owner}/{repo} has on top of the minimal object.
static void
set_full_repo(struct json *object, const struct github_repo *repo, const char *page)
{
    static const char *const zeros[] = {"forks", "forks_count", "open_issues", "open_issues_count",
        "size", "stargazers_count", "watchers", "watchers_count", "network_count",
        "subscribers_count"};
    static const char *const flags[] = {"has_issues", "has_projects", "has_wiki", "has_pages",
        "has_discussions", "has_downloads", "archived", "disabled"};
    static const char *const nulls[] = {"homepage", "language", "mirror_url", "license"};
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (size_t i = 0; i < ARRAY_LENGTH(zeros); i++) {
        json_set_int(object, zeros[i], 0);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        json_set_bool(object, flags[i], false);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(nulls); i++) {
        json_set(object, nulls[i], json_make_null());
    }
    set_url(object, "clone_url", page, ".git");
    set_url(object, "git_url", page, ".git");
    set_url(object, "ssh_url", page, ".git");
    set_url(object, "svn_url", page, "");
    json_set_str(object, "default_branch", sandbox_source_default_branch(repo, arena));
    json_set_str(object, "visibility", "private");
    json_set_str(object, "created_at", "2026-01-01T00:00:00Z");
    json_set_str(object, "updated_at", "2026-01-01T00:00:00Z");
    json_set_str(object, "pushed_at", "2026-01-01T00:00:00Z");
}

struct json *
sandbox_shape_repo(
    const struct sandbox *sandbox, const char *base, const struct github_repo *repo, bool full)
{
    struct json *object = json_make_object();
    char *url CLEANUP(xfreep) = xasprintf("%s/repos/%s", base, repo->full);
    char *page CLEANUP(xfreep) = xasprintf("%s/%s", sandbox->origin, repo->full);
    struct json *owner = sandbox_shape_user(sandbox, base, repo->owner);
    json_set_int(owner, "id", repo->owner_id);
    json_set_str(owner, "type", "Organization");
    json_set_int(object, "id", repo->id);
    sandbox_shape_node_id(object, "R", repo->id);
    json_set_str(object, "name", repo->name);
    json_set_str(object, "full_name", repo->full);
    json_set(object, "owner", owner);
    json_set_bool(object, "private", true);
    json_set_str(object, "html_url", page);
    json_set(object, "description", json_make_null());
    json_set_bool(object, "fork", false);
    set_repo_links(object, url);
    if (full) {
        set_full_repo(object, repo, page);
    }
    return object;
}

static struct json *
shape_commit(const struct github_run *run)
{
    struct json *commit = json_make_object();
    const char *const people[] = {"author", "committer"};
    json_set_str(commit, "id", run->sha);
    json_set_str(commit, "tree_id", run->sha);
    json_set_str(commit, "message", run->commit_message);
    sandbox_shape_time(commit, "timestamp", run->created_ms);
    for (size_t i = 0; i < ARRAY_LENGTH(people); i++) {
        struct json *person = json_make_object();
        json_set_str(person, "name", "sandbox");
        json_set_str(person, "email", "sandbox@example.org");
        json_set(commit, people[i], person);
    }
    return commit;
}

static void
set_run_links(struct json *object, const char *base, const struct github_run *run)
{
    static const char *const links[][2] = {{"jobs_url", "/jobs"}, {"logs_url", "/logs"},
        {"artifacts_url", "/artifacts"}, {"cancel_url", "/cancel"}, {"rerun_url", "/rerun"},
        {"url", ""}};
    char *url CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/actions/runs/%lld", base, run->repo->full, (long long)run->id);
    char *suite CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/check-suites/%lld", base, run->repo->full, (long long)run->id + 1);
    char *workflow CLEANUP(xfreep) = xasprintf(
        "%s/repos/%s/actions/workflows/%lld", base, run->repo->full, (long long)run->workflow_id);
    char *page CLEANUP(xfreep) = xasprintf(
        "%s/%s/actions/runs/%lld", run->sandbox->origin, run->repo->full, (long long)run->id);
    for (size_t i = 0; i < ARRAY_LENGTH(links); i++) {
        set_url(object, links[i][0], url, links[i][1]);
    }
    json_set_str(object, "check_suite_url", suite);
    json_set_str(object, "workflow_url", workflow);
    json_set_str(object, "html_url", page);
    json_set(object, "previous_attempt_url", json_make_null());
}

struct json *
sandbox_shape_run(const char *base, const struct github_run *run)
{
    struct json *object = json_make_object();
    json_set_int(object, "id", run->id);
    json_set_str(object, "name", run->name);
    sandbox_shape_node_id(object, "WFR", run->id);
    json_set_str(object, "head_branch", run->branch);
    json_set_str(object, "head_sha", run->sha);
    char *path CLEANUP(xfreep) = xasprintf(".github/workflows/%s", run->file);
    json_set_str(object, "path", path);
    json_set_str(object, "display_title", run->title);
    json_set_int(object, "run_number", run->number);
    json_set_str(object, "event", run->event);
    json_set_str(object, "status", run->status);
    json_set(object, "conclusion",
        run->conclusion != NULL ? json_make_string(run->conclusion) : json_make_null());
    json_set_int(object, "workflow_id", run->workflow_id);
    json_set_int(object, "check_suite_id", run->id + 1);
    json_set_str(object, "check_suite_node_id", "CS_sandbox");
    set_run_links(object, base, run);
    json_set(object, "pull_requests", json_make_array());
    sandbox_shape_time(object, "created_at", run->created_ms);
    sandbox_shape_time(object, "updated_at", run->updated_ms);
    sandbox_shape_time(object, "run_started_at", run->started_ms);
    json_set_int(object, "run_attempt", run->attempt);
    json_set(object, "referenced_workflows", json_make_array());
    json_set(object, "actor", sandbox_shape_user(run->sandbox, base, run->actor));
    json_set(object, "triggering_actor", sandbox_shape_user(run->sandbox, base, run->actor));
    json_set(object, "head_commit", shape_commit(run));
    json_set(object, "repository", sandbox_shape_repo(run->sandbox, base, run->repo, false));
    json_set(object, "head_repository", sandbox_shape_repo(run->sandbox, base, run->repo, false));
    return object;
}

static struct json *
shape_step(const struct run_step *step)
{
    struct json *object = json_make_object();
    json_set_str(object, "name", step->name);
    json_set_str(object, "status", step->status);
    json_set(object, "conclusion",
        step->conclusion != NULL ? json_make_string(step->conclusion) : json_make_null());
    json_set_int(object, "number", step->number);
    sandbox_shape_time(object, "started_at", step->started_ms);
    sandbox_shape_time(object, "completed_at", step->completed_ms);
    return object;
}

static void
set_job_links(
    struct json *object, const char *base, const struct github_run *run, const struct run_job *job)
{
    const char *full = run->repo->full;
    char *url CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/actions/jobs/%lld", base, full, (long long)job->id);
    char *run_url CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/actions/runs/%lld", base, full, (long long)run->id);
    char *check CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/check-runs/%lld", base, full, (long long)job->check_id);
    char *page CLEANUP(xfreep) = xasprintf("%s/%s/actions/runs/%lld/job/%lld", run->sandbox->origin,
        full, (long long)run->id, (long long)job->id);
    json_set_str(object, "url", url);
    json_set_str(object, "run_url", run_url);
    json_set_str(object, "check_run_url", check);
    json_set_str(object, "html_url", page);
}

struct json *
sandbox_shape_job(const char *base, const struct github_run *run, const struct run_job *job)
{
    struct json *object = json_make_object(), *steps = json_make_array();
    struct json *labels = json_make_array();
    for (size_t i = 0; i < job->step_count; i++) {
        json_append(steps, shape_step(&job->steps[i]));
    }
    json_append(labels, json_make_string("sandbox"));
    json_set_int(object, "id", job->id);
    json_set_int(object, "run_id", run->id);
    json_set_int(object, "run_attempt", run->attempt);
    json_set_str(object, "workflow_name", run->name);
    json_set_str(object, "head_branch", run->branch);
    json_set_str(object, "head_sha", run->sha);
    sandbox_shape_node_id(object, "CR", job->id);
    set_job_links(object, base, run, job);
    json_set_str(object, "name", job->name);
    json_set_str(object, "status", job->status);
    json_set(object, "conclusion",
        job->conclusion != NULL ? json_make_string(job->conclusion) : json_make_null());
    sandbox_shape_time(object, "created_at", job->created_ms);
    sandbox_shape_time(
        object, "started_at", job->started_ms != 0 ? job->started_ms : job->created_ms);
    sandbox_shape_time(object, "completed_at", job->completed_ms);
    json_set(object, "steps", steps);
    json_set(object, "labels", labels);
    bool has_runner = job->started_ms != 0;
    json_set(object, "runner_id", has_runner ? json_make_int(1) : json_make_null());
    json_set(object, "runner_name", has_runner ? json_make_string("sandbox") : json_make_null());
    json_set(object, "runner_group_id", has_runner ? json_make_int(1) : json_make_null());
    json_set(
        object, "runner_group_name", has_runner ? json_make_string("Default") : json_make_null());
    return object;
}

struct json *
sandbox_shape_annotations(const char *base, const struct github_run *run, const struct run_job *job)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < job->annotation_count; i++) {
        const struct run_annotation *from = &job->annotations[i];
        struct json *item = json_make_object();
        char *blob CLEANUP(xfreep) =
            xasprintf("%s/repos/%s/git/blobs/%s", base, run->repo->full, run->sha);
        json_set_str(item, "path", from->path);
        json_set_str(item, "blob_href", blob);
        json_set_int(item, "start_line", from->line);
        json_set(item, "start_column", json_make_null());
        json_set_int(item, "end_line", from->line);
        json_set(item, "end_column", json_make_null());
        json_set_str(item, "annotation_level", from->level);
        json_set_str(item, "title", from->title);
        json_set_str(item, "message", from->message);
        json_set_str(item, "raw_details", "");
        json_append(list, item);
    }
    return list;
}

struct json *
sandbox_shape_workflow(const struct sandbox *sandbox, const char *base,
    const struct github_repo *repo, const struct github_file *file, const char *name)
{
    struct json *object = json_make_object();
    char *url CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/actions/workflows/%lld", base, repo->full, (long long)file->id);
    char *path CLEANUP(xfreep) = xasprintf(".github/workflows/%s", file->name);
    char *page CLEANUP(xfreep) = xasprintf("%s/%s/blob/main/%s", sandbox->origin, repo->full, path);
    char *badge CLEANUP(xfreep) =
        xasprintf("%s/%s/workflows/%s/badge.svg", sandbox->origin, repo->full, file->name);
    json_set_int(object, "id", file->id);
    sandbox_shape_node_id(object, "W", file->id);
    json_set_str(object, "name", name);
    json_set_str(object, "path", path);
    json_set_str(object, "state", file->disabled ? "disabled_manually" : "active");
    json_set_str(object, "created_at", "2026-01-01T00:00:00.000Z");
    json_set_str(object, "updated_at", "2026-01-01T00:00:00.000Z");
    json_set_str(object, "url", url);
    json_set_str(object, "html_url", page);
    json_set_str(object, "badge_url", badge);
    return object;
}

struct json *
sandbox_shape_app(const struct sandbox *sandbox, const char *base, const char *slug, int64_t id)
{
    struct json *object = json_make_object();
    bool ours = id == GITHUB_APP_ID;
    json_set_int(object, "id", id);
    json_set_str(object, "slug", slug);
    json_set_str(object, "client_id", ours ? sandbox_github_app_client : "Iv1.sandboxactions");
    json_set_str(object, "node_id", "A_sandbox");
    json_set(object, "owner", sandbox_shape_user(sandbox, base, sandbox_github_user_login));
    json_set_str(object, "name", ours ? "Dispatcher sandbox" : "GitHub Actions");
    json_set(object, "description", json_make_null());
    json_set_str(object, "external_url", sandbox->origin);
    json_set_str(object, "html_url", sandbox->origin);
    json_set_str(object, "created_at", "2026-01-01T00:00:00Z");
    json_set_str(object, "updated_at", "2026-01-01T00:00:00Z");
    json_set(object, "permissions", json_clone(sandbox->github->granted));
    json_set(object, "events", json_make_array());
    return object;
}

struct json *
sandbox_shape_installation(
    const struct sandbox *sandbox, const char *base, const struct github_repo *repo)
{
    struct json *object = json_make_object();
    char *url CLEANUP(xfreep) = xasprintf("%s/app/installations/%d", base, GITHUB_INSTALLATION_ID);
    char *repositories CLEANUP(xfreep) = xasprintf("%s/installation/repositories", base);
    const char *const nulls[] = {"single_file_name", "suspended_by", "suspended_at"};
    json_set_int(object, "id", GITHUB_INSTALLATION_ID);
    json_set(object, "account", sandbox_shape_user(sandbox, base, repo->owner));
    json_set_str(object, "repository_selection", "all");
    set_url(object, "access_tokens_url", url, "/access_tokens");
    json_set_str(object, "repositories_url", repositories);
    json_set_str(object, "html_url", url);
    json_set_int(object, "app_id", GITHUB_APP_ID);
    json_set_str(object, "client_id", sandbox_github_app_client);
    json_set_str(object, "app_slug", sandbox_github_app_slug);
    json_set_int(object, "target_id", repo->owner_id);
    json_set_str(object, "target_type", "Organization");
    json_set(object, "permissions", json_clone(sandbox->github->granted));
    json_set(object, "events", json_make_array());
    json_set_str(object, "created_at", "2026-01-01T00:00:00Z");
    json_set_str(object, "updated_at", "2026-01-01T00:00:00Z");
    for (size_t i = 0; i < ARRAY_LENGTH(nulls); i++) {
        json_set(object, nulls[i], json_make_null());
    }
    return object;
}
