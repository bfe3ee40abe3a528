// GET of a repository, of a file in it, of a ref, and of how its OIDC subjects are made.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "github_internal.h"

enum { FILE_MAX = 1024 * 1024 };

// "sha" is the git blob id: SHA-1 of "blob <size>\0<content>".
static void
blob_id(struct str content, char out[41])
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(FILE_MAX + 64);
    buf_printf(&text, "blob %zu", content.len);
    buf_append(&text, "", 1);
    buf_add(&text, content);
    sha1_hex(buf_str(&text), out);
}

static struct json *
shape_content(const struct sandbox *sandbox, const char *base, const struct github_repo *repo,
    const char *path, const char *ref, struct str content)
{
    struct json *body = json_make_object(), *links = json_make_object();
    struct buf encoded CLEANUP(buf_done) = BUF_INIT(2 * FILE_MAX);
    char sha[41];
    const char *slash = strrchr(path, '/');
    blob_id(content, sha);
    base64_encode(content, &encoded);
    char *url CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/contents/%s?ref=%s", base, repo->full, path, ref);
    char *git CLEANUP(xfreep) = xasprintf("%s/repos/%s/git/blobs/%s", base, repo->full, sha);
    char *page CLEANUP(xfreep) =
        xasprintf("%s/%s/blob/%s/%s", sandbox->origin, repo->full, ref, path);
    json_set_str(body, "type", "file");
    json_set_str(body, "encoding", "base64");
    json_set_int(body, "size", (int64_t)content.len);
    json_set_str(body, "name", slash != NULL ? slash + 1 : path);
    json_set_str(body, "path", path);
    json_set_str(body, "content", buf_cstr(&encoded));
    json_set_str(body, "sha", sha);
    json_set_str(body, "url", url);
    json_set_str(body, "git_url", git);
    json_set_str(body, "html_url", page);
    json_set(body, "download_url", json_make_null());
    json_set_str(links, "git", git);
    json_set_str(links, "self", url);
    json_set_str(links, "html", page);
    json_set(body, "_links", links);
    return body;
}

static void
answer_contents(struct sandbox *sandbox, struct github_repo *repo, struct sandbox_request *request,
    size_t from, struct sandbox_response *response)
{
    const char *path = sandbox_request_rest(request, from),
               *wanted = sandbox_request_query(request, "ref");
    const char *ref = wanted != NULL && wanted[0] != '\0'
                          ? wanted
                          : sandbox_source_default_branch(repo, request->arena);
    struct buf content CLEANUP(buf_done) = BUF_INIT(FILE_MAX);
    bool found = false;
    struct source_ref resolved = {0};
    struct error *err CLEANUP(error_freep) =
        sandbox_source_resolve(sandbox, repo, ref, request->arena, &resolved, &found);
    if (err == NULL && !found) {
        sandbox_github_problem(response, 404, "No commit found for the ref %s", ref);
        return;
    }
    if (err == NULL) {
        err = sandbox_source_read(sandbox, repo, ref, path, &content, &found);
    }
    if (err != NULL) {
        sandbox_github_problem(response, 500, "%s", error_message(err));
    } else if (!found) {
        sandbox_github_problem(response, 404, "Not Found");
    } else if (cstr_equal(
                   sandbox_request_header(request, "Accept"), "application/vnd.github.raw+json")) {
        sandbox_reply_text(response, 200, "application/vnd.github.raw+json", buf_str(&content));
    } else {
        sandbox_reply_json(response, 200,
            shape_content(sandbox, sandbox_github_base(sandbox, request), repo, path, ref,
                buf_str(&content)));
    }
}

static void
answer_ref(struct sandbox *sandbox, struct github_repo *repo, struct sandbox_request *request,
    size_t from, struct sandbox_response *response)
{
    const char *ref = arena_printf(request->arena, "refs/%s", sandbox_request_rest(request, from));
    struct source_ref resolved = {0};
    bool found = false;
    struct error *err CLEANUP(error_freep) =
        sandbox_source_resolve(sandbox, repo, ref, request->arena, &resolved, &found);
    if (err != NULL || !found) {
        sandbox_github_problem(response, 404, "Not Found");
        return;
    }
    const char *base = sandbox_github_base(sandbox, request);
    struct json *body = json_make_object(), *object = json_make_object();
    json_set_str(body, "ref", resolved.full);
    json_set_str(body, "node_id", "REF_sandbox");
    json_set_str(body, "url",
        arena_printf(request->arena, "%s/repos/%s/git/%s", base, repo->full, resolved.full));
    json_set_str(object, "type", "commit");
    json_set_str(object, "sha", resolved.sha);
    json_set_str(object, "url",
        arena_printf(request->arena, "%s/repos/%s/git/commits/%s", base, repo->full, resolved.sha));
    json_set(body, "object", object);
    sandbox_reply_json(response, 200, body);
}

// How the repository's subjects are made: the usual way unless an order says otherwise.
static void
answer_subject(const struct github_repo *repo, struct sandbox_response *response)
{
    struct json *body =
        repo->oidc_subject != NULL ? json_clone(repo->oidc_subject) : json_make_object();
    bool immutable = json_bool(json_get(body, "use_immutable_subject"), false);
    char *prefix CLEANUP(xfreep) =
        immutable ? xasprintf("repo:%s@%lld/%s@%lld", repo->owner, (long long)repo->owner_id,
                        repo->name, (long long)repo->id)
                  : xasprintf("repo:%s", repo->full);
    if (json_get(body, "use_default") == NULL) {
        json_set_bool(body, "use_default", json_get(body, "include_claim_keys") == NULL);
    }
    json_set_bool(body, "use_immutable_subject", immutable);
    json_set_str(body, "sub_claim_prefix", prefix);
    sandbox_reply_json(response, 200, body);
}

void
sandbox_github_repo_handle(struct sandbox *sandbox, struct github_token *token,
    struct github_repo *repo, struct sandbox_request *request, size_t from,
    struct sandbox_response *response)
{
    const char *first = request->part_count > from ? request->parts[from] : "";
    if (!sandbox_request_is(request, "GET")) {
        sandbox_github_problem(response, 404, "Not Found");
    } else if (request->part_count == from) {
        if (sandbox_github_allowed(token, repo, "metadata", false, response)) {
            sandbox_reply_json(response, 200,
                sandbox_shape_repo(sandbox, sandbox_github_base(sandbox, request), repo, true));
        }
    } else if (strcmp(first, "contents") == 0) {
        if (sandbox_github_allowed(token, repo, "contents", false, response)) {
            answer_contents(sandbox, repo, request, from + 1, response);
        }
    } else if (strcmp(first, "git") == 0 && request->part_count > from + 2 &&
               strcmp(request->parts[from + 1], "ref") == 0) {
        if (sandbox_github_allowed(token, repo, "contents", false, response)) {
            answer_ref(sandbox, repo, request, from + 2, response);
        }
    } else if (sandbox_request_match(request, from, "actions/oidc/customization/sub")) {
        if (sandbox_github_allowed(token, repo, "actions", false, response)) {
            answer_subject(repo, response);
        }
    } else if (strcmp(first, "compare") == 0 || strcmp(first, "commits") == 0) {
        if (sandbox_github_allowed(token, repo, "contents", false, response) &&
            !sandbox_github_commits_handle(sandbox, repo, request, from, response)) {
            sandbox_github_problem(response, 404, "Not Found");
        }
    } else {
        sandbox_github_problem(response, 404, "Not Found");
    }
}
