// What a repository is: its numbers, which are never given again, and its name of today.
#include "dispatcher/memory.h"
#include "github_internal.h"

struct error *
github_repository_read(
    struct github_client *client, struct arena *arena, struct github_repository **out)
{
    struct github_call call = {.path = "", .in_repository = true, .needs = "metadata: read"};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *answer CLEANUP(json_freep) = NULL;
    TRY(github_fetch(client, &call, &response, &answer));
    *out = NULL;
    if (answer == NULL) {
        return NULL;
    }
    struct github_repository *repository = arena_alloc(arena, sizeof(*repository));
    repository->name = arena_dup(arena, json_str(json_get(answer, "full_name")));
    repository->id = json_int(json_get(answer, "id"), 0);
    repository->owner_id = json_int(json_path(answer, "owner.id"), 0);
    if (repository->name == NULL || repository->id <= 0 || repository->owner_id <= 0) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: a repository without numbers");
    }
    *out = repository;
    return NULL;
}
