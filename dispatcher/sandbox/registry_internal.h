// The sandbox's registry: repositories in memory, bytes in files named by their digest. Under the
// sandbox's lock.
#pragma once

#include "sandbox_internal.h"

struct registry_repo {
    char *name;
    int64_t created_ms;
    bool is_immutable;
    struct json *blobs;     // digest → size
    struct json *manifests; // digest → {"type", "size", "pushed_ms"}
    struct json *tags;      // tag → digest
};

struct registry_upload {
    char *id, *repo, *path;
    int64_t size;
    int chunks;
    char single_sha256[65]; // of the only chunk
};

struct registry_state {
    char *password, *directory;
    struct registry_repo **repos;
    size_t repo_count;
    struct registry_upload **uploads;
    size_t upload_count;
    struct json *bearers; // token → expiry in wall ms
};

struct registry_repo *sandbox_registry_find(struct registry_state *registry, const char *name);
struct registry_repo *sandbox_registry_create(struct sandbox *sandbox, const char *name);
/// Digest that a tag or digest stands for, or NULL.
const char *sandbox_registry_resolve(const struct registry_repo *repo, const char *reference);
/// The file of a digest; heap.
char *sandbox_registry_file(const struct registry_state *registry, const char *digest);
bool sandbox_registry_is_digest(const char *text);
void sandbox_registry_problem(
    struct sandbox_response *response, int status, const char *code, const char *message);
/// Basic or Bearer as the options say; answers 401 when it does not hold.
bool sandbox_registry_authenticate(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
void sandbox_registry_token(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);

void sandbox_registry_uploads_handle(struct sandbox *sandbox, const char *name, const char *id,
    struct sandbox_request *request, struct sandbox_response *response);
void sandbox_registry_manifest_handle(struct sandbox *sandbox, const char *name,
    const char *reference, struct sandbox_request *request, struct sandbox_response *response);
void sandbox_registry_upload_free(struct registry_upload *upload);
