// Workflows of a repository: listed, shown, and looked up by id or exact file name.
// Dispatching one is sandbox_github_dispatch.c.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_dispatch_internal.h"

enum { FILE_MAX = 512 * 1024 };

struct github_file *
sandbox_github_file_get(struct github_state *github, struct github_repo *repo, const char *name)
{
    for (size_t i = 0; i < repo->file_count; i++) {
        if (strcmp(repo->files[i]->name, name) == 0) {
            return repo->files[i];
        }
    }
    struct github_file *file = xcalloc(1, sizeof(*file));
    file->name = xstrdup(name);
    file->id = sandbox_github_next_id(github) % 100000000 + 100000000;
    repo->files = xrealloc(repo->files, (repo->file_count + 1) * sizeof(*repo->files));
    repo->files[repo->file_count++] = file;
    return file;
}

// The files on the default branch: only those does GitHub know as workflows.
static struct str_list
known_files(struct sandbox *sandbox, struct github_repo *repo, struct arena *arena)
{
    struct str_list files = {0};
    struct error *err CLEANUP(error_freep) = sandbox_source_workflows(
        sandbox, repo, sandbox_source_default_branch(repo, arena), arena, &files);
    for (size_t i = 0; err == NULL && i < files.count; i++) {
        (void)sandbox_github_file_get(sandbox->github, repo, files.items[i]);
    }
    return files;
}

struct github_file *
sandbox_github_file_find(
    struct sandbox *sandbox, struct github_repo *repo, const char *text, struct arena *arena)
{
    struct str_list files = known_files(sandbox, repo, arena);
    for (size_t i = 0; i < files.count; i++) {
        struct github_file *file = sandbox_github_file_get(sandbox->github, repo, files.items[i]);
        int64_t id = 0;
        if (strcmp(file->name, text) == 0 || (str_to_int64(str_of(text), &id) && id == file->id)) {
            return file;
        }
    }
    return NULL;
}

struct error *
sandbox_github_workflow_load(struct sandbox *sandbox, const struct github_repo *repo,
    const char *ref, const char *file, struct arena *arena, struct workflow **out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(FILE_MAX);
    const char *path = arena_printf(arena, ".github/workflows/%s", file);
    bool found = false;
    struct workflow *workflow = NULL;
    TRY(sandbox_source_read(sandbox, repo, ref, path, &text, &found));
    if (found) {
        TRY(sandbox_workflow_parse(path, buf_str(&text), arena, &workflow));
    }
    *out = workflow;
    return NULL;
}

// `name:` of the file on the default branch; the path where it has none, as GitHub does.
static const char *
display_name(struct sandbox *sandbox, struct github_repo *repo, const struct github_file *file,
    struct arena *arena)
{
    struct workflow *workflow = NULL;
    struct error *err CLEANUP(error_freep) = sandbox_github_workflow_load(
        sandbox, repo, sandbox_source_default_branch(repo, arena), file->name, arena, &workflow);
    return err == NULL && workflow != NULL
               ? workflow->name
               : arena_printf(arena, ".github/workflows/%s", file->name);
}

static void
list_workflows(struct sandbox *sandbox, struct github_repo *repo, struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *body = json_make_object(), *list = json_make_array();
    struct str_list files = known_files(sandbox, repo, request->arena);
    for (size_t i = 0; i < files.count; i++) {
        const struct github_file *file =
            sandbox_github_file_get(sandbox->github, repo, files.items[i]);
        json_append(list, sandbox_shape_workflow(sandbox, sandbox_github_base(sandbox, request),
                              repo, file, display_name(sandbox, repo, file, request->arena)));
    }
    json_set_int(body, "total_count", (int64_t)files.count);
    json_set(body, "workflows", list);
    sandbox_reply_json(response, 200, body);
}

// enable and disable, as the web page does.
static bool
set_state(struct github_file *file, const char *action, struct sandbox_response *response)
{
    bool disables = strcmp(action, "disable") == 0;
    if (!disables && strcmp(action, "enable") != 0) {
        return false;
    }
    file->disabled = disables;
    response->status = 204;
    return true;
}

void
sandbox_github_workflows_handle(struct sandbox *sandbox, struct github_token *token,
    struct github_repo *repo, struct sandbox_request *request, size_t from,
    struct sandbox_response *response)
{
    bool reads = sandbox_request_is(request, "GET");
    if (!sandbox_github_allowed(token, repo, "actions", !reads, response)) {
        return;
    }
    if (reads && request->part_count == from) {
        list_workflows(sandbox, repo, request, response);
        return;
    }
    struct github_file *file =
        request->part_count > from
            ? sandbox_github_file_find(sandbox, repo, request->parts[from], request->arena)
            : NULL;
    const char *action = request->part_count == from + 2 ? request->parts[from + 1] : "";
    if (file == NULL) {
        sandbox_github_problem(response, 404, "Not Found");
    } else if (reads && request->part_count == from + 1) {
        sandbox_reply_json(response, 200,
            sandbox_shape_workflow(sandbox, sandbox_github_base(sandbox, request), repo, file,
                display_name(sandbox, repo, file, request->arena)));
    } else if (reads && strcmp(action, "runs") == 0) {
        sandbox_github_list_runs(sandbox, repo, file->id, request, response);
    } else if (sandbox_request_is(request, "POST") && strcmp(action, "dispatches") == 0) {
        sandbox_github_dispatch(sandbox, token, repo, file, request, response);
    } else if (!sandbox_request_is(request, "PUT") || !set_state(file, action, response)) {
        sandbox_github_problem(response, 404, "Not Found");
    }
}
