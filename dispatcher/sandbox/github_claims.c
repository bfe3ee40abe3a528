// What a token of GitHub Actions claims about a job (facts/github-notify-credentials.md §3.3): the
// defaults are those of a push to main.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_internal.h"

static const char workflow_default[] = ".github/workflows/deploy.yaml";

static const char *
text_of(const struct json *given, const char *name, const char *fallback)
{
    const char *text = json_str(json_get(given, name));
    return text != NULL ? text : fallback;
}

static void
set_missing(struct json *claims, const char *name, const char *value)
{
    if (json_get(claims, name) == NULL) {
        json_set_str(claims, name, value);
    }
}

static void
set_missing_id(struct json *claims, const char *name, int64_t id)
{
    char *text CLEANUP(xfreep) = xasprintf("%lld", (long long)id);
    set_missing(claims, name, text);
}

static void
set_repository(const struct sandbox *sandbox, struct json *claims, const char *full)
{
    const struct github_repo *repo = sandbox_github_repo_named(sandbox->github, full);
    struct str owner = {0}, rest = {0};
    (void)str_cut(str_of(full), '/', &owner, &rest);
    char *name CLEANUP(xfreep) = str_dup(owner);
    set_missing(claims, "repository", full);
    set_missing(claims, "repository_owner", name);
    set_missing_id(
        claims, "repository_id", repo != NULL ? repo->id : sandbox_github_stable_id(full));
    set_missing_id(claims, "repository_owner_id",
        repo != NULL ? repo->owner_id : sandbox_github_owner_id(name));
    set_missing(claims, "repository_visibility", "private");
}

// Customised subjects are not made up here: give `sub`.
static char *
subject_of(const struct json *claims, const char *full, const char *ref)
{
    const char *environment = json_str(json_get(claims, "environment"));
    if (environment != NULL) {
        return xasprintf("repo:%s:environment:%s", full, environment);
    }
    return strcmp(text_of(claims, "event_name", ""), "pull_request") == 0
               ? xasprintf("repo:%s:pull_request", full)
               : xasprintf("repo:%s:ref:%s", full, ref);
}

static void
copy_claim(void *ctx, const char *key, const struct json *value)
{
    json_set(ctx, key, json_clone(value));
}

// Where the repository's trunk is: the commit that a job of a push to it is about.
static const char *
commit_of(const struct sandbox *sandbox, const char *full, const char *ref, struct arena *arena)
{
    const struct github_repo *repo = sandbox_github_repo_named(sandbox->github, full);
    const char *tip = NULL;
    if (repo != NULL && repo->is_git) {
        const char *trunk = sandbox_source_default_branch(repo, arena);
        bool is_trunk = strcmp(ref, arena_printf(arena, "refs/heads/%s", trunk)) == 0;
        tip = is_trunk ? sandbox_source_tip(repo, arena) : NULL;
    }
    return tip != NULL ? tip : "0000000000000000000000000000000000000001";
}

struct json *
sandbox_github_claims(const struct sandbox *sandbox, const struct json *given)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *claims = json_make_object();
    json_each(given, copy_claim, claims);
    const char *full = text_of(given, "repository", sandbox_github_caller(sandbox));
    const char *ref = text_of(given, "ref", "refs/heads/main");
    set_repository(sandbox, claims, full);
    set_missing(claims, "ref", ref);
    set_missing(claims, "ref_type",
        strncmp(ref, "refs/tags/", strlen("refs/tags/")) == 0 ? "tag" : "branch");
    set_missing(claims, "event_name", "push");
    char *subject CLEANUP(xfreep) = subject_of(claims, full, ref);
    char *workflow CLEANUP(xfreep) = xasprintf("%s/%s@%s", full, workflow_default, ref);
    const char *sha = text_of(given, "sha", commit_of(sandbox, full, ref, arena));
    const char *const others[][2] = {{"sub", subject}, {"sha", sha},
        {"actor", sandbox_github_user_login}, {"actor_id", "1"}, {"run_id", "1"},
        {"run_number", "1"}, {"run_attempt", "1"}, {"workflow", "deploy"},
        {"workflow_ref", workflow}, {"workflow_sha", sha},
        {"job_workflow_ref", text_of(claims, "workflow_ref", workflow)}, {"job_workflow_sha", sha},
        {"base_ref", ""}, {"head_ref", ""}, {"runner_environment", "github-hosted"}};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        set_missing(claims, others[i][0], others[i][1]);
    }
    return claims;
}
