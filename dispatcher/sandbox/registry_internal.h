// The sandbox's registry: repositories in memory, bytes in files named by their digest. Under the
// sandbox's lock.
#pragma once

#include "sandbox_internal.h"

enum { ECR_PUT_RATE = 10 }; // PutImage calls a second that ECR takes

struct registry_repo {
    char *name;
    int64_t created_ms;
    bool is_immutable, scans_on_push;
    struct json *scans; // digest → wall ms of the scan that was asked for
    struct json *named; // digest → true: blobs that some manifest names
    struct json *blobs;     // digest → size
    struct json *manifests; // digest → {"type", "size", "pushed_ms"}
    struct json *tags;      // tag → digest
};

struct registry_upload {
    char *id, *repo, *path;
    int64_t size;
    int64_t first_chunk, last_chunk; // sizes
    bool is_broken;                  // a body broke off
    int chunks;
    char single_sha256[65]; // of the only chunk
};

struct registry_state {
    char *password, *directory;
    struct registry_repo **repos;
    size_t repo_count;
    struct registry_upload **uploads;
    size_t upload_count;
    struct json *bearers; // token → {"expires_ms", "password"}
    int64_t puts_ms[ECR_PUT_RATE]; // the last PutImage calls, a ring
    size_t put_count;
    bool mounts; // account setting BLOB_MOUNTING
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
/// May whoever got these credentials from ECR do this to the repository? Answers 403 when not.
bool sandbox_registry_allowed(struct sandbox *sandbox, const char *name,
    const struct sandbox_request *request, struct sandbox_response *response);
void sandbox_registry_token(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);

void sandbox_registry_uploads_handle(struct sandbox *sandbox, const char *name, const char *id,
    struct sandbox_request *request, struct sandbox_response *response);
void sandbox_registry_manifest_handle(struct sandbox *sandbox, const char *name,
    const char *reference, struct sandbox_request *request, struct sandbox_response *response);

// --- registry_ecr.c: how ECR differs when it is spoken to by its own host name
/// Is the Host header one of ECR's: "012345678901.dkr.ecr.us-east-1.amazonaws.com"?
bool sandbox_registry_is_ecr(const struct sandbox_request *request);
/// May a further part follow the last one? Answers 400 when that was too small.
bool sandbox_registry_ecr_takes_part(
    const struct registry_upload *upload, struct sandbox_response *response);
/// May this body follow what the session has? Answers 416 when it begins anew.
bool sandbox_registry_ecr_takes_body(const struct registry_upload *upload,
    const struct sandbox_request *request, struct sandbox_response *response);
/// Counts a PutImage; answers 429 when there were too many in this second.
bool sandbox_registry_ecr_takes_put(struct sandbox *sandbox, struct sandbox_response *response);
/// Is the blob mounted from `source`? Only where the account says so and a manifest names it.
bool sandbox_registry_ecr_mounts(const struct registry_state *registry,
    const struct registry_repo *source, const char *digest);
/// The manifest's blobs are named from now on, and a scan begins where each push starts one.
void sandbox_registry_took_manifest(struct sandbox *sandbox, struct registry_repo *repo,
    const char *digest, const struct json *manifest);
bool sandbox_registry_is_index(const struct registry_repo *repo, const char *digest);

struct registry_upload *sandbox_registry_upload_find(
    struct registry_state *registry, const char *repo, const char *id);
void sandbox_registry_upload_free(struct registry_upload *upload);
