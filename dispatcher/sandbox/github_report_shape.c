// Reports as GitHub's OpenAPI description spells them: a record, with people and addresses put in.
#include <string.h>

#include "dispatcher/memory.h"
#include "github_report_internal.h"

static int64_t
number_in(const struct json *record, const char *key)
{
    return json_int(json_get(record, key), 0);
}

struct copying {
    struct json *object;
    const char *const *hidden;
};

static void
copy_shown(void *ctx, const char *key, const struct json *value)
{
    const struct copying *copying = ctx;
    for (const char *const *hidden = copying->hidden; *hidden != NULL; hidden++) {
        if (strcmp(*hidden, key) == 0) {
            return;
        }
    }
    json_set(copying->object, key, json_clone(value));
}

// A copy with its node id and its maker as a user, without what only the sandbox knows.
static struct json *
begin(const struct report_call *call, const struct json *record, const char *kind,
    const char *const *hidden)
{
    static const char *const makers[] = {"creator", "user"};
    struct json *object = json_make_object();
    struct copying copying = {object, hidden};
    json_each(record, copy_shown, &copying);
    sandbox_shape_node_id(object, kind, number_in(record, "id"));
    for (size_t i = 0; i < ARRAY_LENGTH(makers); i++) {
        const char *login = json_str(json_get(object, makers[i]));
        if (login != NULL) {
            struct json *user = sandbox_shape_user(call->sandbox, call->base, login);
            json_set(object, makers[i], user);
            json_set(object, "performed_via_github_app", json_make_null());
        }
    }
    return object;
}

static char *
repo_url(const struct report_call *call)
{
    return xasprintf("%s/repos/%s", call->base, call->repo->full);
}

static char *
page_url(const struct report_call *call)
{
    return xasprintf("%s/%s", call->sandbox->origin, call->repo->full);
}

struct json *
sandbox_shape_deployment(const struct report_call *call, const struct json *record)
{
    static const char *const hidden[] = {NULL};
    struct json *object = begin(call, record, "DE", hidden);
    char *repo CLEANUP(xfreep) = repo_url(call);
    char *url CLEANUP(xfreep) =
        xasprintf("%s/deployments/%lld", repo, (long long)number_in(record, "id"));
    char *list CLEANUP(xfreep) = xasprintf("%s/statuses", url);
    json_set_str(object, "url", url);
    json_set_str(object, "statuses_url", list);
    json_set_str(object, "repository_url", repo);
    return object;
}

struct json *
sandbox_shape_deployment_status(const struct report_call *call, const struct json *record)
{
    static const char *const hidden[] = {"deployment_id", NULL};
    struct json *object = begin(call, record, "DES", hidden);
    char *repo CLEANUP(xfreep) = repo_url(call);
    char *deployment CLEANUP(xfreep) =
        xasprintf("%s/deployments/%lld", repo, (long long)number_in(record, "deployment_id"));
    char *url CLEANUP(xfreep) =
        xasprintf("%s/statuses/%lld", deployment, (long long)number_in(record, "id"));
    json_set_str(object, "url", url);
    json_set_str(object, "deployment_url", deployment);
    json_set_str(object, "repository_url", repo);
    return object;
}

struct json *
sandbox_shape_commit_status(const struct report_call *call, const struct json *record)
{
    static const char *const hidden[] = {"sha", NULL};
    struct json *object = begin(call, record, "SC", hidden);
    char *url CLEANUP(xfreep) = xasprintf(
        "%s/repos/%s/statuses/%s", call->base, call->repo->full, json_str(json_get(record, "sha")));
    char *avatar CLEANUP(xfreep) =
        xasprintf("%s/%s.png", call->sandbox->origin, json_str(json_get(record, "creator")));
    json_set_str(object, "url", url);
    json_set_str(object, "avatar_url", avatar);
    return object;
}

static struct json *
shape_output(const struct json *output, const char *url)
{
    struct json *object = json_clone(output);
    char *list CLEANUP(xfreep) = xasprintf("%s/annotations", url);
    json_set_int(object, "annotations_count", (int64_t)json_count(json_get(output, "annotations")));
    json_set_str(object, "annotations_url", list);
    json_set(object, "annotations", json_make_null());
    return object;
}

struct json *
sandbox_shape_check_run(const struct report_call *call, const struct json *record)
{
    static const char *const hidden[] = {"app_id", "creator", "created_at", "updated_at", NULL};
    struct json *object = begin(call, record, "CR", hidden), *suite = json_make_object();
    int64_t id = number_in(record, "id"), app = number_in(record, "app_id");
    char *url CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/check-runs/%lld", call->base, call->repo->full, (long long)id);
    char *page CLEANUP(xfreep) =
        xasprintf("%s/%s/runs/%lld", call->sandbox->origin, call->repo->full, (long long)id);
    const char *slug = app == GITHUB_APP_ID ? sandbox_github_app_slug : "github-actions";
    json_set_str(object, "url", url);
    json_set_str(object, "html_url", page);
    json_set(object, "output", shape_output(json_get(record, "output"), url));
    json_set_int(suite, "id", id + 1);
    json_set(object, "check_suite", suite);
    json_set(object, "app", sandbox_shape_app(call->sandbox, call->base, slug, app));
    json_set(object, "pull_requests", json_make_array());
    return object;
}

struct json *
sandbox_shape_annotation(
    const struct report_call *call, const struct json *record, const struct json *annotation)
{
    static const char *const optional[] = {"start_column", "end_column", "title", "raw_details"};
    struct json *object = json_clone(annotation);
    char *blob CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/contents/%s?ref=%s", call->base, call->repo->full,
            json_str(json_get(annotation, "path")), json_str(json_get(record, "head_sha")));
    json_set_str(object, "blob_href", blob);
    for (size_t i = 0; i < ARRAY_LENGTH(optional); i++) {
        if (json_get(annotation, optional[i]) == NULL) {
            json_set(object, optional[i], json_make_null());
        }
    }
    return object;
}

struct json *
sandbox_shape_comment(const struct report_call *call, const struct json *record)
{
    static const char *const hidden[] = {"number", NULL};
    struct json *object = begin(call, record, "IC", hidden);
    char *repo CLEANUP(xfreep) = repo_url(call);
    char *page CLEANUP(xfreep) = page_url(call);
    long long id = (long long)number_in(record, "id");
    long long number = (long long)number_in(record, "number");
    char *url CLEANUP(xfreep) = xasprintf("%s/issues/comments/%lld", repo, id);
    char *issue CLEANUP(xfreep) = xasprintf("%s/issues/%lld", repo, number);
    char *html CLEANUP(xfreep) = xasprintf("%s/pull/%lld#issuecomment-%lld", page, number, id);
    json_set_str(object, "url", url);
    json_set_str(object, "issue_url", issue);
    json_set_str(object, "html_url", html);
    return object;
}

// --- pull requests -------------------------------------------------------------------------------

static void
set_pull_links(const struct report_call *call, struct json *object, long long number)
{
    static const struct {
        const char *key, *link, *path;
    } links[] = {
        {"url", "self", "/pulls/%"},
        {"issue_url", "issue", "/issues/%"},
        {"comments_url", "comments", "/issues/%/comments"},
        {"commits_url", "commits", "/pulls/%/commits"},
        {"review_comments_url", "review_comments", "/pulls/%/comments"},
        {"review_comment_url", "review_comment", "/pulls/comments{/number}"},
        {"statuses_url", "statuses", "/statuses/%"},
    };
    char *repo CLEANUP(xfreep) = repo_url(call);
    char *page CLEANUP(xfreep) = page_url(call);
    struct json *all = json_make_object(), *html = json_make_object();
    for (size_t i = 0; i < ARRAY_LENGTH(links); i++) {
        struct str before = {0}, after = {0};
        bool numbered = str_cut(str_of(links[i].path), '%', &before, &after) &&
                        strchr(links[i].path, '%') != NULL;
        char *url CLEANUP(xfreep) = numbered ? xasprintf("%s%.*s%lld%s", repo, (int)before.len,
                                                   before.ptr, number, after.ptr)
                                             : xasprintf("%s%s", repo, links[i].path);
        struct json *link = json_make_object();
        json_set_str(object, links[i].key, url);
        json_set_str(link, "href", url);
        json_set(all, links[i].link, link);
    }
    char *own CLEANUP(xfreep) = xasprintf("%s/pull/%lld", page, number);
    char *diff CLEANUP(xfreep) = xasprintf("%s.diff", own);
    char *patch CLEANUP(xfreep) = xasprintf("%s.patch", own);
    json_set_str(object, "html_url", own);
    json_set_str(object, "diff_url", diff);
    json_set_str(object, "patch_url", patch);
    json_set_str(html, "href", own);
    json_set(all, "html", html);
    json_set(object, "_links", all);
}

static struct json *
shape_end(const struct report_call *call, const char *ref, const char *sha)
{
    struct json *end = json_make_object();
    char *label CLEANUP(xfreep) = xasprintf("%s:%s", call->repo->owner, ref);
    json_set_str(end, "label", label);
    json_set_str(end, "ref", ref);
    json_set_str(end, "sha", sha);
    json_set(end, "user", sandbox_shape_user(call->sandbox, call->base, call->repo->owner));
    json_set(end, "repo", sandbox_shape_repo(call->sandbox, call->base, call->repo, true));
    return end;
}

struct json *
sandbox_shape_pull(const struct report_call *call, const struct json *record)
{
    static const char *const hidden[] = {"shas", NULL};
    static const char *const nulls[] = {"body", "milestone", "auto_merge", "active_lock_reason"};
    static const char *const lists[] = {"labels", "assignees", "requested_reviewers"};
    struct json *object = begin(call, record, "PR", hidden);
    const char *sha = json_str(json_at(json_get(record, "shas"), 0));
    for (size_t i = 0; i < ARRAY_LENGTH(nulls); i++) {
        json_set(object, nulls[i], json_make_null());
    }
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        json_set(object, lists[i], json_make_array());
    }
    set_pull_links(call, object, (long long)number_in(record, "number"));
    const char *version = sandbox_request_header(call->request, "X-GitHub-Api-Version");
    if (!cstr_equal(version, "2026-03-10")) { // which has done away with these
        bool merged = !json_is_null(json_get(record, "merged_at"));
        json_set(object, "assignee", json_make_null());
        json_set(object, "merge_commit_sha", merged ? json_make_string(sha) : json_make_null());
    }
    json_set_bool(object, "locked", false);
    json_set_bool(object, "draft", false);
    json_set_str(object, "author_association", "MEMBER");
    json_set(object, "head", shape_end(call, json_str(json_get(record, "head")), sha));
    json_set(object, "base", shape_end(call, json_str(json_get(record, "base")), sha));
    return object;
}
