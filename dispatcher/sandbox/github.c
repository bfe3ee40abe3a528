// Front door of the sandbox's GitHub: start and stop, request frame (User-Agent, API version), and
// which part answers what.
#define _XOPEN_SOURCE 700 // realpath
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dispatcher/file.h"
#include "dispatcher/jwt.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "github_internal.h"

const char sandbox_github_app_slug[] = "dispatcher-sandbox";
const char sandbox_github_app_client[] = "Iv23liSANDBOX4242abc";
const char sandbox_github_user_login[] = "sandbox-user";

static const char documentation[] = "https://docs.github.com/rest";

void
sandbox_github_problem(struct sandbox_response *response, int status, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    struct json *body = json_make_object();
    char *code CLEANUP(xfreep) = xasprintf("%d", status);
    json_set_str(body, "message", buf_cstr(&text));
    json_set_str(body, "documentation_url", documentation);
    json_set_str(body, "status", code);
    sandbox_reply_json(response, status, body);
}

int64_t
sandbox_github_next_id(struct github_state *github)
{
    return ++github->last_id;
}

struct github_repo *
sandbox_github_find_repo(const struct github_state *github, const char *owner, const char *name)
{
    for (size_t i = 0; i < github->repo_count; i++) {
        struct github_repo *repo = github->repos[i];
        if (str_equal_nocase(str_of(repo->owner), str_of(owner)) &&
            str_equal_nocase(str_of(repo->name), str_of(name))) {
            return repo;
        }
    }
    return NULL;
}

// --- start and stop
// ----------------------------------------------------------------------------------

// Same name, same id, on every start: tests and specs may pin it.
int64_t
sandbox_github_stable_id(const char *text)
{
    uint32_t hash = 2166136261U; // FNV-1a
    for (const char *at = text; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * 16777619U;
    }
    return (int64_t)(hash % 900000000U) + 100000000;
}

int64_t
sandbox_github_owner_id(const char *owner)
{
    return sandbox_github_stable_id(owner) % 1000000;
}

static struct error *
add_repo(struct github_state *github, const char *full, const char *path)
{
    struct str owner = {0}, name = {0};
    struct stat about = {0};
    if (!str_cut(str_of(full), '/', &owner, &name) || owner.len == 0 || name.len == 0 ||
        memchr(name.ptr, '/', name.len) != NULL) {
        return error_new(ERROR_USAGE, "'%s' is no repository name: OWNER/NAME", full);
    }
    char *real = realpath(path, NULL);
    if (real == NULL || stat(real, &about) != 0 || !S_ISDIR(about.st_mode)) {
        free(real);
        return error_new(ERROR_USAGE, "repository '%s': '%s' is no directory", full, path);
    }
    struct github_repo *repo = xcalloc(1, sizeof(*repo));
    repo->owner = str_dup(owner);
    repo->name = str_dup(name);
    repo->full = xstrdup(full);
    repo->path = real;
    char *inner CLEANUP(xfreep) = xasprintf("%s/.git", real);
    char *objects CLEANUP(xfreep) = xasprintf("%s/objects", real);
    char *head CLEANUP(xfreep) = xasprintf("%s/HEAD", real);
    repo->is_git = file_exists(inner) || (file_exists(objects) && file_exists(head));
    repo->id = sandbox_github_stable_id(full);
    repo->owner_id = sandbox_github_owner_id(repo->owner);
    github->repos = xrealloc(github->repos, (github->repo_count + 1) * sizeof(*github->repos));
    github->repos[github->repo_count++] = repo;
    return NULL;
}

static struct error *
make_app_key(struct sandbox *sandbox)
{
    struct github_state *github = sandbox->github;
    github->app_key_path = xasprintf("%s/github-app.pem", sandbox->data);
    TRY(jwt_key_generate_pem(&github->app_pem));
    return file_write(github->app_key_path, secret_expose(github->app_pem), 0600);
}

struct github_repo *
sandbox_github_repo_named(const struct github_state *github, const char *full)
{
    struct str owner = {0}, name = {0};
    (void)str_cut(str_of(full), '/', &owner, &name);
    char *owner_text CLEANUP(xfreep) = str_dup(owner);
    char *name_text CLEANUP(xfreep) = str_dup(name);
    return sandbox_github_find_repo(github, owner_text, name_text);
}

// An app's repository is only spoken about: nothing of it is on this machine.
struct github_repo *
sandbox_github_repo_ensure(struct sandbox *sandbox, const char *full)
{
    struct github_state *github = sandbox->github;
    struct github_repo *known = sandbox_github_repo_named(github, full);
    if (known != NULL || !repository_name_is_valid(str_of(full))) {
        return known;
    }
    char *path CLEANUP(xfreep) = xasprintf("%s/repositories/%s", sandbox->data, full);
    struct error *err = file_make_directories(path);
    err = err != NULL ? err : add_repo(github, full, path);
    bool added = err == NULL;
    error_free(err);
    return added ? github->repos[github->repo_count - 1] : NULL;
}

const char *
sandbox_github_caller(const struct sandbox *sandbox)
{
    if (sandbox->options->caller != NULL) {
        return sandbox->options->caller;
    }
    return sandbox->github->repo_count > 0 ? sandbox->github->repos[0]->full : "octo-org/app";
}

struct error *
sandbox_github_start(struct sandbox *sandbox)
{
    struct github_state *github = xcalloc(1, sizeof(*github));
    const struct pair_list *repositories = &sandbox->options->repositories;
    sandbox->github = github;
    github->last_id = 16000000000;
    github->counters = json_make_object();
    for (size_t i = 0; i < repositories->count; i++) {
        TRY(add_repo(github, repositories->items[i].key, repositories->items[i].value));
    }
    github->granted = sandbox_github_granted();
    github->creations_per_minute = GITHUB_CREATIONS_PER_MINUTE;
    if (sandbox_github_repo_ensure(sandbox, sandbox_github_caller(sandbox)) == NULL) {
        return error_new(
            ERROR_USAGE, "'%s' is no repository name: OWNER/NAME", sandbox_github_caller(sandbox));
    }
    TRY(make_app_key(sandbox));
    TRY(sandbox_github_people_start(sandbox));
    char random[41];
    random_hex(sandbox->platform->random, 18, random);
    github->user_token = xasprintf("ghp_%s", random);
    (void)sandbox_github_token_add(sandbox, GITHUB_TOKEN_USER, github->user_token);
    github->id_token = xstrdup(sandbox_oidc_grant(sandbox, sandbox_github_claims(sandbox, NULL)));
    return sandbox_webhook_start(sandbox);
}

void
sandbox_github_ready(const struct sandbox *sandbox, struct json *addresses)
{
    const struct github_state *github = sandbox->github;
    char *app CLEANUP(xfreep) = xasprintf("%d", GITHUB_APP_ID);
    char *url CLEANUP(xfreep) = sandbox_oidc_request_url(sandbox);
    json_set_str(addresses, "GITHUB_TOKEN", github->user_token);
    json_set_str(addresses, "DEPLOYMENT_APP_ID", app);
    json_set_str(addresses, "DEPLOYMENT_APP_KEY", github->app_key_path);
    json_set_str(addresses, "ACTIONS_ID_TOKEN_REQUEST_URL", url);
    json_set_str(addresses, "ACTIONS_ID_TOKEN_REQUEST_TOKEN", github->id_token);
    sandbox_github_oauth_ready(sandbox, addresses);
    sandbox_webhook_ready(sandbox, addresses);
}

// Takes the runs off the state and waits for their threads; their own steps are killed.
static void
end_runs(struct sandbox *sandbox)
{
    struct github_state *github = sandbox->github;
    (void)pthread_mutex_lock(&sandbox->lock);
    for (size_t i = 0; i < github->run_count; i++) {
        sandbox_run_cancel(github->runs[i], true);
    }
    (void)pthread_mutex_unlock(&sandbox->lock);
    for (size_t i = 0; i < github->run_count; i++) {
        struct github_run *run = github->runs[i];
        if (run->thread_started && !run->thread_joined) {
            (void)pthread_join(run->thread, NULL);
            run->thread_joined = true;
        }
    }
}

void
sandbox_github_stop(struct sandbox *sandbox)
{
    if (sandbox->github == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&sandbox->lock);
    sandbox->github->is_stopping = true;
    (void)pthread_mutex_unlock(&sandbox->lock);
    end_runs(sandbox);
    sandbox_auto_stop(sandbox);
    sandbox_webhook_stop(sandbox);
}

// Called with the lock held: a run that is going is ended and forgotten once its thread is done.
void
sandbox_github_reset(struct sandbox *sandbox)
{
    struct github_state *github = sandbox->github;
    for (size_t i = 0; i < github->run_count; i++) {
        sandbox_run_cancel(github->runs[i], true);
        github->runs[i]->visible_ms = INT64_MAX; // in no listing any more
    }
    for (size_t i = 0; i < github->token_count; i++) {
        github->tokens[i]->used = 0;
        github->tokens[i]->creation_count = 0;
    }
    for (size_t i = 0; i < github->repo_count; i++) {
        for (size_t k = 0; k < github->repos[i]->file_count; k++) {
            github->repos[i]->files[k]->disabled = false;
        }
        sandbox_reports_forget(github->repos[i]);
    }
    github->next_conclusion = NULL;
    github->creations_per_minute = GITHUB_CREATIONS_PER_MINUTE;
    json_free(github->granted);
    github->granted = sandbox_github_granted();
    sandbox_github_people_reset(sandbox);
    sandbox_webhook_reset(sandbox);
    sandbox_auto_reset(sandbox);
    sandbox_github_counters_reset(github);
}

static void
free_repo(struct github_repo *repo)
{
    for (size_t i = 0; i < repo->file_count; i++) {
        free(repo->files[i]->name);
        free(repo->files[i]);
    }
    sandbox_reports_forget(repo);
    sandbox_commits_free(repo->commits);
    json_free(repo->oidc_subject);
    free(repo->default_branch);
    free(repo->files);
    free(repo->owner);
    free(repo->name);
    free(repo->full);
    free(repo->path);
    free(repo);
}

void
sandbox_github_free(struct sandbox *sandbox)
{
    struct github_state *github = sandbox->github;
    if (github == NULL) {
        return;
    }
    for (size_t i = 0; i < github->run_count; i++) {
        sandbox_run_free(github->runs[i]);
    }
    for (size_t i = 0; i < github->token_count; i++) {
        free(github->tokens[i]->text);
        json_free(github->tokens[i]->permissions);
        json_free(github->tokens[i]->repositories);
        free(github->tokens[i]->creations);
        free(github->tokens[i]);
    }
    for (size_t i = 0; i < github->repo_count; i++) {
        free_repo(github->repos[i]);
    }
    for (size_t i = 0; i < github->link_count; i++) {
        free(github->links[i].key);
    }
    for (size_t i = 0; i < github->rename_count; i++) {
        free(github->renames[i].full);
    }
    free(github->renames);
    free(github->links);
    free(github->runs);
    free(github->tokens);
    free(github->repos);
    free(github->app_key_path);
    free(github->user_token);
    free(github->id_token);
    secret_free(github->app_pem);
    json_free(github->granted);
    sandbox_github_people_stop(github);
    sandbox_webhook_free(github);
    sandbox_auto_free(github);
    json_free(github->counters);
    free(github);
    sandbox->github = NULL;
}

// --- requests
// ------------------------------------------------------------------------------------------

static size_t
prefix_length(const struct sandbox_request *request)
{
    if (request->part_count >= 1 && strcmp(request->parts[0], "github") == 0) {
        return 1;
    }
    return request->part_count >= 2 && strcmp(request->parts[0], "api") == 0 &&
                   strcmp(request->parts[1], "v3") == 0
               ? 2
               : 0;
}

bool
sandbox_github_is_api(const struct sandbox_request *request)
{
    return prefix_length(request) > 0;
}

const char *
sandbox_github_base(const struct sandbox *sandbox, const struct sandbox_request *request)
{
    return arena_printf(request->arena, "%s/%s", sandbox->origin,
        prefix_length(request) == 2 ? "api/v3" : "github");
}

static int64_t
ghes_minor(const struct sandbox *sandbox)
{
    int64_t minor = 0;
    struct str major = {0}, rest = str_of(sandbox->options->ghes);
    (void)str_cut(rest, '.', &major, &rest);
    (void)str_cut(rest, '.', &rest, &(struct str){0});
    return str_to_int64(rest, &minor) ? minor : 0;
}

const char *
sandbox_github_version(const struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    const char *version = sandbox_request_header(request, "X-GitHub-Api-Version");
    bool is_ghes = sandbox->options->ghes != NULL;
    if (version == NULL || strcmp(version, "2022-11-28") == 0) {
        return "2022-11-28";
    }
    if (strcmp(version, "2026-03-10") == 0 && (!is_ghes || ghes_minor(sandbox) >= 21)) {
        return version;
    }
    sandbox_github_problem(response, is_ghes ? 400 : 410,
        "\"%s\" is not a supported API version for this endpoint.", version);
    return NULL;
}

void
sandbox_github_expired(struct sandbox *sandbox, struct sandbox_response *response)
{
    (void)sandbox;
    sandbox_github_problem(response, 401, "Bad credentials");
}

static void
answer_meta(const struct sandbox *sandbox, struct sandbox_response *response)
{
    struct json *body = json_make_object();
    json_set_bool(body, "verifiable_password_authentication", false);
    json_set_str(body, "installed_version", sandbox->options->ghes);
    sandbox_reply_json(response, 200, body);
}

static void
answer_quota(const struct sandbox *sandbox, const struct github_token *token, const char *version,
    struct sandbox_response *response)
{
    struct json *body = json_make_object(), *resources = json_make_object();
    json_set(resources, "core", sandbox_github_quota_json(sandbox, token));
    json_set(resources, "search", sandbox_github_quota_json(sandbox, token));
    json_set(body, "resources", resources);
    if (strcmp(version, "2022-11-28") == 0) {
        json_set(body, "rate", sandbox_github_quota_json(sandbox, token));
    }
    response->is_free = true;
    sandbox_reply_json(response, 200, body);
}

// The endpoints that an App calls as itself, by JWT. False: not one of them.
static bool
handle_app(struct sandbox *sandbox, struct sandbox_request *request, size_t from,
    struct sandbox_response *response)
{
    bool mints = sandbox_request_match(request, from, "app/installations/:/access_tokens");
    bool shows = sandbox_request_match(request, from, "app");
    bool hooks = request->part_count > from + 2 && strcmp(request->parts[from], "app") == 0 &&
                 strcmp(request->parts[from + 1], "hook") == 0;
    bool finds = sandbox_request_match(request, from, "repos/:/:/installation");
    if (!mints && !shows && !finds && !hooks) {
        return false;
    }
    if (!sandbox_github_app_authenticated(sandbox, request, response)) {
        return true;
    }
    if (hooks) {
        sandbox_webhook_handle(sandbox, request, from, response);
        return true;
    }
    if (shows) {
        sandbox_reply_json(response, 200,
            sandbox_shape_app(sandbox, sandbox_github_base(sandbox, request),
                sandbox_github_app_slug, GITHUB_APP_ID));
        return true;
    }
    if (mints) {
        int64_t id = 0;
        if (!sandbox_request_is(request, "POST") ||
            !str_to_int64(str_of(request->parts[from + 2]), &id) || id != GITHUB_INSTALLATION_ID) {
            sandbox_github_problem(response, 404, "Not Found");
        } else {
            sandbox_github_mint(sandbox, request, response);
        }
        return true;
    }
    struct github_repo *repo = sandbox_github_find_repo(
        sandbox->github, request->parts[from + 1], request->parts[from + 2]);
    if (repo == NULL) {
        sandbox_github_problem(response, 404, "Not Found");
    } else {
        sandbox_reply_json(response, 200,
            sandbox_shape_installation(sandbox, sandbox_github_base(sandbox, request), repo));
    }
    return true;
}

static void
handle_known_repo(struct sandbox *sandbox, struct github_token *token, struct github_repo *repo,
    struct sandbox_request *request, size_t rest, struct sandbox_response *response)
{
    const char *first = request->part_count > rest ? request->parts[rest] : "";
    const char *second = request->part_count > rest + 1 ? request->parts[rest + 1] : "";
    if (sandbox_reports_handle(sandbox, token, repo, request, rest, response)) {
        return;
    }
    if (strcmp(first, "actions") == 0 && strcmp(second, "workflows") == 0) {
        sandbox_github_workflows_handle(sandbox, token, repo, request, rest + 2, response);
    } else if ((strcmp(first, "actions") == 0 && strcmp(second, "oidc") != 0) ||
               strcmp(first, "check-runs") == 0) {
        sandbox_github_runs_handle(sandbox, token, repo, request, rest, response);
    } else {
        sandbox_github_repo_handle(sandbox, token, repo, request, rest, response);
    }
}

// 301 to where the id leads, whatever the repository is called today.
static void
answer_moved(const struct sandbox *sandbox, const struct github_repo *repo,
    const struct sandbox_request *request, size_t rest, struct sandbox_response *response)
{
    struct json *body = json_make_object();
    const char *tail = sandbox_request_rest(request, rest);
    char *url CLEANUP(xfreep) =
        xasprintf("%s/repositories/%lld%s%s", sandbox_github_base(sandbox, request),
            (long long)repo->id, tail[0] != '\0' ? "/" : "", tail);
    bool reads = sandbox_request_is(request, "GET") || sandbox_request_is(request, "HEAD");
    json_set_str(body, "message", reads ? "Moved Permanently" : "Temporary Redirect");
    json_set_str(body, "url", url);
    json_set_str(body, "documentation_url", documentation);
    sandbox_reply_json(response, reads ? 301 : 307, body);
    sandbox_reply_header(response, "Location", url);
}

// repos/OWNER/NAME/…
static void
handle_repo(struct sandbox *sandbox, struct github_token *token, struct sandbox_request *request,
    size_t from, struct sandbox_response *response)
{
    const char *owner = request->parts[from + 1], *name = request->parts[from + 2];
    struct github_repo *repo = sandbox_github_find_repo(sandbox->github, owner, name);
    const struct github_repo *moved =
        repo == NULL ? sandbox_github_repo_renamed(sandbox->github, owner, name) : NULL;
    if (repo != NULL) {
        handle_known_repo(sandbox, token, repo, request, from + 3, response);
    } else if (moved != NULL) {
        answer_moved(sandbox, moved, request, from + 3, response);
    } else {
        sandbox_github_problem(response, 404, "Not Found");
    }
}

// repositories/ID/…
static void
handle_repo_by_id(struct sandbox *sandbox, struct github_token *token,
    struct sandbox_request *request, size_t from, struct sandbox_response *response)
{
    const struct github_state *github = sandbox->github;
    int64_t id = 0;
    bool good = str_to_int64(str_of(request->parts[from + 1]), &id);
    for (size_t i = 0; good && i < github->repo_count; i++) {
        if (github->repos[i]->id == id) {
            handle_known_repo(sandbox, token, github->repos[i], request, from + 2, response);
            return;
        }
    }
    sandbox_github_problem(response, 404, "Not Found");
}

static void
handle_with_token(struct sandbox *sandbox, struct sandbox_request *request, size_t from,
    const char *version, struct sandbox_response *response)
{
    struct github_token *token = sandbox_github_authenticate(sandbox, request, response);
    if (token == NULL) {
        return;
    }
    if (sandbox_request_match(request, from, "rate_limit")) {
        answer_quota(sandbox, token, version, response);
    } else if (sandbox_request_match(request, from, "installation/token") &&
               sandbox_request_is(request, "DELETE") && token->kind == GITHUB_TOKEN_INSTALLATION) {
        token->is_revoked = true;
        response->status = 204;
    } else if (request->part_count >= from + 3 && strcmp(request->parts[from], "repos") == 0) {
        handle_repo(sandbox, token, request, from, response);
    } else if (request->part_count >= from + 2 &&
               strcmp(request->parts[from], "repositories") == 0) {
        handle_repo_by_id(sandbox, token, request, from, response);
    } else if (!sandbox_github_orgs_handle(sandbox, token, request, from, response)) {
        sandbox_github_problem(response, 404, "Not Found");
    }
    sandbox_github_finish(sandbox, token, request, response);
}

static void
answer_versions(struct sandbox_response *response)
{
    struct json *list = json_make_array();
    json_append(list, json_make_string("2022-11-28"));
    json_append(list, json_make_string("2026-03-10"));
    sandbox_reply_json(response, 200, list);
}

void
sandbox_github_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    size_t from = prefix_length(request);
    char *id = sandbox_random(sandbox, request->arena, 8);
    const char *agent = sandbox_request_header(request, "User-Agent");
    sandbox_reply_header(response, "X-GitHub-Request-Id", id);
    sandbox_reply_header(response, "X-GitHub-Media-Type", "github.v3; format=json");
    if (sandbox->options->ghes != NULL) {
        sandbox_reply_header(response, "X-GitHub-Enterprise-Version", sandbox->options->ghes);
    }
    if (agent == NULL || agent[0] == '\0') {
        sandbox_reply_text(response, 403, "text/html",
            STR("Request forbidden by administrative rules. Please make sure your request has a "
                "User-Agent header.\n"));
        return;
    }
    const char *version = sandbox_github_version(sandbox, request, response);
    if (version == NULL) {
        return;
    }
    sandbox_reply_header(response, "X-GitHub-Api-Version-Selected", version);
    if (sandbox_request_match(request, from, "applications/:/token")) {
        sandbox_github_oauth_application(sandbox, request, from, response);
    } else if (sandbox_request_match(request, from, "meta")) {
        answer_meta(sandbox, response);
    } else if (sandbox_request_match(request, from, "versions")) {
        answer_versions(response);
    } else if (!handle_app(sandbox, request, from, response)) {
        handle_with_token(sandbox, request, from, version, response);
    }
}
