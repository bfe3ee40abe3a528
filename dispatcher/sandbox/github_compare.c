// Commits over REST: one, the list of a branch, and the comparison of two. Diffs are not made.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_commits_internal.h"

enum { UNPAGED_MAX = 250 };

struct view {
    struct sandbox *sandbox;
    const struct github_repo *repo;
    struct sandbox_request *request;
    struct sandbox_response *response;
    const struct github_commits *commits;
    const char *base;
};

static void
set_printed(struct json *object, const char *key, char *text)
{
    json_set_str(object, key, text);
    free(text);
}

static struct json *
shape_person(const struct github_commit *commit)
{
    struct json *person = json_make_object();
    json_set_str(person, "name", commit->name);
    json_set_str(person, "email", commit->email);
    sandbox_shape_time(person, "date", commit->time_ms > 0 ? commit->time_ms : 1000);
    return person;
}

static struct json *
shape_inner(const struct view *view, const struct github_commit *commit)
{
    struct json *inner = json_make_object(), *tree = json_make_object(),
                *verification = json_make_object();
    const char *full = view->repo->full;
    set_printed(
        inner, "url", xasprintf("%s/repos/%s/git/commits/%s", view->base, full, commit->sha));
    json_set(inner, "author", shape_person(commit));
    json_set(inner, "committer", shape_person(commit));
    json_set_str(inner, "message", commit->message);
    json_set_int(inner, "comment_count", 0);
    json_set_str(tree, "sha", commit->sha);
    set_printed(tree, "url", xasprintf("%s/repos/%s/git/trees/%s", view->base, full, commit->sha));
    json_set(inner, "tree", tree);
    json_set_bool(verification, "verified", false);
    json_set_str(verification, "reason", "unsigned");
    json_set(verification, "payload", json_make_null());
    json_set(verification, "signature", json_make_null());
    json_set(verification, "verified_at", json_make_null());
    json_set(inner, "verification", verification);
    return inner;
}

static struct json *
shape_parents(const struct view *view, const struct github_commit *commit)
{
    struct json *list = json_make_array();
    const char *full = view->repo->full, *origin = view->sandbox->origin;
    for (size_t i = 0; i < commit->parent_count; i++) {
        const char *sha = view->commits->list[commit->parents[i]].sha;
        struct json *parent = json_make_object();
        json_set_str(parent, "sha", sha);
        set_printed(parent, "url", xasprintf("%s/repos/%s/commits/%s", view->base, full, sha));
        set_printed(parent, "html_url", xasprintf("%s/%s/commit/%s", origin, full, sha));
        json_append(list, parent);
    }
    return list;
}

static struct json *
shape_commit(const struct view *view, size_t place)
{
    const struct github_commit *commit = &view->commits->list[place];
    struct json *object = json_make_object();
    const char *full = view->repo->full, *origin = view->sandbox->origin;
    json_set_str(object, "sha", commit->sha);
    set_printed(object, "node_id", xasprintf("C_%s", commit->sha));
    json_set(object, "commit", shape_inner(view, commit));
    set_printed(object, "url", xasprintf("%s/repos/%s/commits/%s", view->base, full, commit->sha));
    set_printed(object, "html_url", xasprintf("%s/%s/commit/%s", origin, full, commit->sha));
    set_printed(object, "comments_url",
        xasprintf("%s/repos/%s/commits/%s/comments", view->base, full, commit->sha));
    const char *const people[] = {"author", "committer"};
    for (size_t i = 0; i < ARRAY_LENGTH(people); i++) {
        json_set(object, people[i],
            commit->login != NULL ? sandbox_shape_user(view->sandbox, view->base, commit->login)
                                  : json_make_null());
    }
    json_set(object, "parents", shape_parents(view, commit));
    return object;
}

// --- compare -------------------------------------------------------------------------------------

// Without parameters the newest 250; else pages from the oldest on.
static struct json *
page_of_ahead(const struct view *view, const struct commits_comparison *comparison)
{
    struct json *list = json_make_array();
    bool paged = sandbox_request_query(view->request, "page") != NULL ||
                 sandbox_request_query(view->request, "per_page") != NULL;
    const struct github_paging paging = sandbox_github_paging_of(view->request);
    size_t count = comparison->ahead_count;
    for (size_t i = 0; i < count; i++) {
        if (paged ? sandbox_github_paging_has(&paging, (int64_t)i) : i + UNPAGED_MAX >= count) {
            json_append(list, shape_commit(view, comparison->ahead[i]));
        }
    }
    if (paged) {
        sandbox_github_paging_links(
            view->sandbox, view->request, &paging, (int64_t)count, view->response);
    }
    return list;
}

static void
answer_comparison(const struct view *view, size_t base, size_t head)
{
    static const char *const words[] = {"identical", "ahead", "behind", "diverged"};
    struct commits_comparison comparison = {0};
    sandbox_commits_compare(view->commits, base, head, view->request->arena, &comparison);
    const char *from = view->commits->list[base].sha, *to = view->commits->list[head].sha;
    if (!comparison.has_ancestor) {
        sandbox_github_problem(
            view->response, 404, "No common ancestor between %s and %s.", from, to);
        return;
    }
    struct json *body = json_make_object();
    char *url CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/compare/%s...%s", view->base, view->repo->full, from, to);
    char *page CLEANUP(xfreep) =
        xasprintf("%s/%s/compare/%s...%s", view->sandbox->origin, view->repo->full, from, to);
    json_set_str(body, "url", url);
    json_set_str(body, "html_url", page);
    json_set_str(body, "permalink_url", page);
    set_printed(body, "diff_url", xasprintf("%s.diff", page));
    set_printed(body, "patch_url", xasprintf("%s.patch", page));
    json_set(body, "base_commit", shape_commit(view, base));
    json_set(body, "merge_base_commit", shape_commit(view, comparison.ancestor));
    json_set_str(body, "status", words[comparison.standing]);
    json_set_int(body, "ahead_by", (int64_t)comparison.ahead_count);
    json_set_int(body, "behind_by", (int64_t)comparison.behind_count);
    json_set_int(body, "total_commits", (int64_t)comparison.ahead_count);
    json_set(body, "commits", page_of_ahead(view, &comparison));
    json_set(body, "files", json_make_array());
    sandbox_reply_json(view->response, 200, body);
}

// A branch, a tag or a commit id of a git repository as a commit id; NULL when it is none.
static const char *
git_sha(const struct view *view, const char *text)
{
    struct source_ref ref = {0};
    bool found = false;
    if (strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40) {
        return text;
    }
    struct error *err CLEANUP(error_freep) =
        sandbox_source_resolve(view->sandbox, view->repo, text, view->request->arena, &ref, &found);
    return err == NULL && found ? ref.sha : NULL;
}

static void
compare_git(struct view *view, const char *base, const char *head)
{
    struct github_commits *commits CLEANUP(sandbox_commits_freep) = NULL;
    const char *from = git_sha(view, base), *to = git_sha(view, head);
    bool found = false;
    struct error *err CLEANUP(error_freep) =
        from != NULL && to != NULL ? sandbox_commits_of_git(view->repo, from, to, &commits, &found)
                                   : NULL;
    size_t base_place = 0, head_place = 0;
    if (err != NULL || !found || !sandbox_commits_find(commits, from, &base_place) ||
        !sandbox_commits_find(commits, to, &head_place)) {
        sandbox_github_problem(view->response, 404, "Not Found");
        return;
    }
    view->commits = commits;
    answer_comparison(view, base_place, head_place);
}

static void
compare(struct view *view, const char *basehead)
{
    const char *dots = strstr(basehead, "...");
    size_t base_place = 0, head_place = 0;
    if (dots == NULL) {
        sandbox_github_problem(view->response, 404, "Not Found");
        return;
    }
    const char *base =
        arena_str(view->request->arena, (struct str){basehead, (size_t)(dots - basehead)});
    if (view->repo->is_git) {
        compare_git(view, base, dots + 3);
    } else if (sandbox_commits_find(view->commits, base, &base_place) &&
               sandbox_commits_find(view->commits, dots + 3, &head_place)) {
        answer_comparison(view, base_place, head_place);
    } else {
        sandbox_github_problem(view->response, 404, "Not Found");
    }
}

// --- one commit, and a branch's ------------------------------------------------------------------

static void
answer_commit(struct view *view, const char *ref)
{
    struct github_commits *own CLEANUP(sandbox_commits_freep) = NULL;
    size_t place = 0;
    const char *sha = view->repo->is_git ? git_sha(view, ref) : NULL;
    bool found = false;
    if (sha != NULL) {
        struct error *err CLEANUP(error_freep) =
            sandbox_commits_of_git(view->repo, sha, sha, &own, &found);
        view->commits = own;
        ref = sha;
    }
    if (!sandbox_commits_find(view->commits, ref, &place)) {
        sandbox_github_problem(view->response, 422, "No commit found for SHA: %s", ref);
        return;
    }
    struct json *object = shape_commit(view, place), *stats = json_make_object();
    json_set_int(stats, "additions", 0);
    json_set_int(stats, "deletions", 0);
    json_set_int(stats, "total", 0);
    json_set(object, "stats", stats);
    json_set(object, "files", json_make_array());
    sandbox_reply_json(view->response, 200, object);
}

static void
answer_list(const struct view *view)
{
    const char *ref = sandbox_request_query(view->request, "sha");
    const struct github_paging paging = sandbox_github_paging_of(view->request);
    size_t tip = 0;
    ref = ref != NULL ? ref : sandbox_source_default_branch(view->repo, view->request->arena);
    if (!sandbox_commits_find(view->commits, ref, &tip)) {
        sandbox_github_problem(view->response, 404, "Not Found");
        return;
    }
    struct arena *arena = view->request->arena;
    size_t count = 0;
    const size_t *history = sandbox_commits_history(view->commits, tip, arena, &count);
    struct json *list = json_make_array();
    for (size_t i = 0; i < count; i++) {
        if (sandbox_github_paging_has(&paging, (int64_t)i)) {
            json_append(list, shape_commit(view, history[count - 1 - i]));
        }
    }
    sandbox_github_paging_links(
        view->sandbox, view->request, &paging, (int64_t)count, view->response);
    sandbox_reply_json(view->response, 200, list);
}

bool
sandbox_github_commits_handle(struct sandbox *sandbox, const struct github_repo *repo,
    struct sandbox_request *request, size_t from, struct sandbox_response *response)
{
    struct view view = {
        sandbox, repo, request, response, repo->commits, sandbox_github_base(sandbox, request)};
    const char *first = request->part_count > from ? request->parts[from] : "";
    if (strcmp(first, "compare") == 0 && request->part_count > from + 1) {
        compare(&view, sandbox_request_rest(request, from + 1));
    } else if (sandbox_request_match(request, from, "commits") && !repo->is_git) {
        answer_list(&view);
    } else if (strcmp(first, "commits") == 0 && request->part_count > from + 1) {
        answer_commit(&view, sandbox_request_rest(request, from + 1));
    } else {
        return false;
    }
    return true;
}
