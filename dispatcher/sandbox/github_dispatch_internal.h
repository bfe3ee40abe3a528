// Looking a workflow up and dispatching it.
#pragma once

#include "github_internal.h"

/// By numeric id or exact file name among the files of the default branch, or NULL.
struct github_file *sandbox_github_file_find(
    struct sandbox *sandbox, struct github_repo *repo, const char *text, struct arena *arena);
/// *out NULL when the file is not there at that ref.
NODISCARD struct error *sandbox_github_workflow_load(struct sandbox *sandbox,
    const struct github_repo *repo, const char *ref, const char *file, struct arena *arena,
    struct workflow **out);
void sandbox_github_dispatch(struct sandbox *sandbox, struct github_token *token,
    struct github_repo *repo, struct github_file *file, struct sandbox_request *request,
    struct sandbox_response *response);
