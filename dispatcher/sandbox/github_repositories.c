// POST /_sandbox/github/repositories: repositories that are only spoken about, with their ids,
// their commits, and the names they had.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "github_commits_internal.h"

enum { COMMITS_MAX = 50000, PARENTS_MAX = 16, STEP_MS = 60000 };

struct order {
    struct sandbox *sandbox;
    const struct json *body;
    struct github_repo *repo;
    struct arena *arena;
};

struct github_repo *
sandbox_github_repo_renamed(const struct github_state *github, const char *owner, const char *name)
{
    char *full CLEANUP(xfreep) = xasprintf("%s/%s", owner, name);
    for (size_t i = github->rename_count; i-- > 0;) {
        if (str_equal_nocase(str_of(github->renames[i].full), str_of(full))) {
            return github->renames[i].repo;
        }
    }
    return NULL;
}

// --- commits -------------------------------------------------------------------------------------

static bool
is_sha(const char *text)
{
    return text != NULL && strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

static const char *
text_or(const struct json *object, const char *key, const char *fallback)
{
    const char *text = json_str(json_path(object, key));
    return text != NULL ? text : fallback;
}

// Given parents, else the commit before this one, else what the branch had.
static const char *
take_parents(const struct github_commits *commits, const struct json *item,
    const struct github_commit *before, size_t *parents, size_t *count)
{
    const struct json *given = json_get(item, "parents");
    *count = 0;
    if (!json_is_array(given)) {
        bool known = before != NULL && sandbox_commits_find(commits, before->sha, &parents[0]);
        *count = known ? 1 : 0;
        return NULL;
    }
    if (json_count(given) > PARENTS_MAX) {
        return "a commit has at most 16 parents";
    }
    for (size_t i = 0; i < json_count(given); i++) {
        const char *sha = json_str(json_at(given, i));
        if (!is_sha(sha) || !sandbox_commits_find(commits, sha, &parents[i])) {
            return "'parents' are commits that were given before";
        }
    }
    *count = json_count(given);
    return NULL;
}

static const char *
add_commit(const struct order *order, const struct json *item, const struct github_commit *before)
{
    struct github_commits *commits = order->repo->commits;
    size_t parents[PARENTS_MAX] = {0};
    struct github_commit commit = {
        .sha = json_str(item) != NULL ? json_str(item) : json_str(json_get(item, "sha")),
        .parents = parents,
        .time_ms = before != NULL ? before->time_ms + STEP_MS : sandbox_now(order->sandbox)};
    if (!is_sha(commit.sha)) {
        return "a commit is 40 hexadecimal digits, or an object with such a 'sha'";
    }
    const char *date = text_or(item, "author.date", NULL);
    if (date != NULL && !clock_parse_rfc3339(date, &commit.time_ms)) {
        return "'date' is no RFC 3339 time";
    }
    commit.message =
        text_or(item, "message", arena_printf(order->arena, "Commit %.7s", commit.sha));
    commit.login = text_or(item, "author.login", NULL);
    commit.name = text_or(item, "author.name", "The Octocat");
    commit.email = text_or(item, "author.email", "octocat@example.org");
    const char *problem = take_parents(commits, item, before, parents, &commit.parent_count);
    if (problem == NULL && !sandbox_commits_add(commits, &commit)) {
        return "a commit is there already";
    }
    return problem;
}

// Added to those that are there; the default branch is at the last one then.
static const char *
take_commits(struct order *order)
{
    const struct json *list = json_get(order->body, "commits");
    struct github_repo *repo = order->repo;
    const char *branch = sandbox_source_default_branch(repo, order->arena);
    if (list == NULL) {
        return NULL;
    }
    if (!json_is_array(list) || json_count(list) == 0 || json_count(list) > COMMITS_MAX) {
        return "'commits' is a list of 1 to 50000 commits";
    }
    if (repo->is_git) {
        return "this repository has commits of its own";
    }
    repo->commits = repo->commits != NULL ? repo->commits : sandbox_commits_new();
    for (size_t i = 0; i < json_count(list); i++) {
        size_t tip = 0;
        bool first = i == 0 && !sandbox_commits_find(repo->commits, branch, &tip);
        size_t before = i == 0 ? tip : repo->commits->count - 1;
        const char *problem =
            add_commit(order, json_at(list, i), first ? NULL : &repo->commits->list[before]);
        if (problem != NULL) {
            return problem;
        }
    }
    json_set_str(
        repo->commits->branches, branch, repo->commits->list[repo->commits->count - 1].sha);
    return NULL;
}

struct branching {
    struct github_commits *commits;
    const char *problem;
};

static void
take_branch(void *ctx, const char *key, const struct json *value)
{
    struct branching *branching = ctx;
    size_t place = 0;
    if (branching->commits == NULL ||
        !sandbox_commits_find(branching->commits, json_str(value), &place)) {
        branching->problem = "'branches' lead to commits that are there";
        return;
    }
    json_set_str(branching->commits->branches, key, branching->commits->list[place].sha);
}

// --- the rest ------------------------------------------------------------------------------------

static const char *
check_ids(const struct order *order)
{
    const struct json *id = json_get(order->body, "id");
    const struct json *owner_id = json_get(order->body, "owner_id");
    const struct github_state *github = order->sandbox->github;
    if ((id != NULL && json_int(id, 0) <= 0) || (owner_id != NULL && json_int(owner_id, 0) <= 0)) {
        return "'id' and 'owner_id' are numbers above 0";
    }
    for (size_t i = 0; id != NULL && i < github->repo_count; i++) {
        if (github->repos[i] != order->repo && github->repos[i]->id == json_int(id, 0)) {
            return "'id' is another repository's";
        }
    }
    return NULL;
}

// An owner has one id, whichever repository told it.
static void
take_ids(const struct order *order)
{
    const struct github_state *github = order->sandbox->github;
    int64_t owner_id = json_int(json_get(order->body, "owner_id"), order->repo->owner_id);
    order->repo->id = json_int(json_get(order->body, "id"), order->repo->id);
    for (size_t i = 0; i < github->repo_count; i++) {
        struct github_repo *repo = github->repos[i];
        if (str_equal_nocase(str_of(repo->owner), str_of(order->repo->owner))) {
            repo->owner_id = owner_id;
            const char *id = arena_printf(order->arena, "%lld", (long long)repo->id);
            const char *of = arena_printf(order->arena, "%lld", (long long)owner_id);
            sandbox_oidc_regrant(order->sandbox, repo->full, id, of);
        }
    }
}

static const char *
rename_to(const struct order *order)
{
    const char *full = json_str(json_get(order->body, "rename"));
    struct github_state *github = order->sandbox->github;
    struct github_repo *repo = order->repo;
    struct str owner = {0}, name = {0};
    if (full == NULL) {
        return NULL;
    }
    if (!repository_name_is_valid(str_of(full)) ||
        sandbox_github_repo_named(github, full) != NULL) {
        return "'rename' is OWNER/NAME that no repository has";
    }
    github->renames =
        xrealloc(github->renames, (github->rename_count + 1) * sizeof(*github->renames));
    github->renames[github->rename_count++] = (struct github_rename){repo->full, repo};
    free(repo->owner);
    free(repo->name);
    (void)str_cut(str_of(full), '/', &owner, &name);
    repo->owner = str_dup(owner);
    repo->name = str_dup(name);
    repo->full = xstrdup(full);
    return NULL;
}

static const char *
take_rest(struct order *order)
{
    const char *branch = json_str(json_get(order->body, "default_branch"));
    const struct json *subject = json_get(order->body, "oidc");
    struct github_repo *repo = order->repo;
    if (branch != NULL) {
        free(repo->default_branch);
        repo->default_branch = xstrdup(branch);
    }
    if (subject != NULL) {
        json_free(repo->oidc_subject);
        repo->oidc_subject = json_is_object(subject) ? json_clone(subject) : NULL;
    }
    const char *problem = take_commits(order);
    struct branching branching = {repo->commits, problem};
    if (problem == NULL) {
        json_each(json_get(order->body, "branches"), take_branch, &branching);
    }
    return branching.problem;
}

// {"full_name" (or "repository"), "id", "owner_id", "default_branch", "commits", "branches",
//  "rename", "oidc"}: made, or changed in what the order says.
void
sandbox_github_control_repository(
    struct sandbox *sandbox, const struct json *body, struct sandbox_response *response)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *full = text_or(body, "full_name", text_or(body, "repository", ""));
    struct order order = {sandbox, body, sandbox_github_repo_ensure(sandbox, full), arena};
    if (order.repo == NULL) {
        sandbox_reply_problem(response, 422, "'repository' is OWNER/NAME");
        return;
    }
    const char *problem = check_ids(&order);
    if (problem == NULL) {
        take_ids(&order);
        problem = take_rest(&order);
    }
    problem = problem != NULL ? problem : rename_to(&order);
    if (problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", problem);
        return;
    }
    struct json *answer = json_make_object();
    json_set_str(answer, "full_name", order.repo->full);
    json_set_int(answer, "id", order.repo->id);
    json_set_int(answer, "owner_id", order.repo->owner_id);
    json_set_str(answer, "default_branch", sandbox_source_default_branch(order.repo, arena));
    sandbox_reply_json(response, 201, answer);
}
