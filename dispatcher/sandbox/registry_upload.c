// Blob uploads: POST opens (or mounts), PATCH appends, PUT ends and checks the digest, DELETE
// drops.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

enum { CHUNK = 256 * 1024 };

void
sandbox_registry_upload_free(struct registry_upload *upload)
{
    (void)unlink(upload->path);
    free(upload->id);
    free(upload->repo);
    free(upload->path);
    free(upload);
}

struct registry_upload *
sandbox_registry_upload_find(struct registry_state *registry, const char *repo, const char *id)
{
    for (size_t i = 0; i < registry->upload_count; i++) {
        struct registry_upload *upload = registry->uploads[i];
        if (strcmp(upload->id, id) == 0 && strcmp(upload->repo, repo) == 0) {
            return upload;
        }
    }
    return NULL;
}

static void
drop_upload(struct registry_state *registry, struct registry_upload *upload)
{
    for (size_t i = 0; i < registry->upload_count; i++) {
        if (registry->uploads[i] == upload) {
            registry->uploads[i] = registry->uploads[--registry->upload_count];
        }
    }
    sandbox_registry_upload_free(upload);
}

// ECR's Range stays at the end of the first chunk, though the bytes are stored.
static void
set_location(const struct registry_upload *upload, bool is_ecr, struct sandbox_response *response)
{
    int64_t end = is_ecr ? upload->first_chunk : upload->size;
    http_headers_addf(&response->headers, "Location", "/v2/%s/blobs/uploads/%s?_state=sandbox",
        upload->repo, upload->id);
    http_headers_addf(&response->headers, "Docker-Upload-UUID", "%s", upload->id);
    http_headers_addf(&response->headers, "Range", "0-%lld", (long long)(end > 0 ? end - 1 : 0));
}

static void
blob_created(const char *name, const char *digest, struct sandbox_response *response)
{
    response->status = 201;
    http_headers_addf(&response->headers, "Location", "/v2/%s/blobs/%s", name, digest);
    sandbox_reply_header(response, "Docker-Content-Digest", digest);
}

// Size of the blob that the POST asks to mount, NULL to upload it.
static const struct json *
find_mount(struct registry_state *registry, const struct sandbox_request *request)
{
    const char *mount = sandbox_request_query(request, "mount"),
               *from = sandbox_request_query(request, "from");
    struct registry_repo *source = from != NULL ? sandbox_registry_find(registry, from) : NULL;
    if (mount == NULL || source == NULL ||
        (sandbox_registry_is_ecr(request) &&
            !sandbox_registry_ecr_mounts(registry, source, mount))) {
        return NULL;
    }
    return json_get(source->blobs, mount);
}

static void
open_upload(struct sandbox *sandbox, const char *name, struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct registry_state *registry = sandbox->registry;
    bool is_ecr = sandbox_registry_is_ecr(request);
    const struct json *size = find_mount(registry, request);
    struct registry_repo *repo = sandbox_registry_find(registry, name);
    if (repo == NULL && is_ecr) {
        response->is_cut = true; // ECR says nothing at all
        return;
    }
    repo = repo != NULL ? repo : sandbox_registry_create(sandbox, name);
    if (size != NULL) {
        const char *mount = sandbox_request_query(request, "mount");
        json_set_int(repo->blobs, mount, json_int(size, 0));
        blob_created(name, mount, response);
        return;
    }
    // A body sent with the POST is ignored, as docker's registry does: the client must go on.
    struct registry_upload *upload = xcalloc(1, sizeof(*upload));
    upload->id = xstrdup(sandbox_random(sandbox, request->arena, 16));
    upload->repo = xstrdup(name);
    upload->path = xasprintf("%s/spool/upload-%s", sandbox->data, upload->id);
    registry->uploads =
        xrealloc(registry->uploads, (registry->upload_count + 1) * sizeof(*registry->uploads));
    registry->uploads[registry->upload_count++] = upload;
    response->status = 202;
    set_location(upload, is_ecr, response);
}

// Copies the bytes of one file to the end of another.
static bool
append_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    char *bytes CLEANUP(xfreep) = xmalloc(CHUNK);
    bool good = in >= 0 && out >= 0;
    for (ssize_t got = 1; good && got > 0;) {
        got = read(in, bytes, CHUNK);
        good = got >= 0;
        for (ssize_t sent = 0; good && sent < got;) {
            ssize_t one = write(out, bytes + sent, (size_t)(got - sent));
            good = one > 0;
            sent += one;
        }
    }
    if (in >= 0) {
        (void)close(in);
    }
    if (out >= 0) {
        (void)close(out);
    }
    return good;
}

static bool
take_chunk(struct registry_upload *upload, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    if (request->body_size == 0 || request->spool == NULL) {
        return true;
    }
    bool good = upload->size == 0 ? rename(request->spool, upload->path) == 0
                                  : append_file(request->spool, upload->path);
    if (!good) {
        sandbox_registry_problem(response, 500, "UNKNOWN", "the sandbox cannot store the blob");
        return false;
    }
    upload->first_chunk = upload->chunks == 0 ? request->body_size : upload->first_chunk;
    upload->last_chunk = request->body_size;
    upload->chunks++;
    memcpy(upload->single_sha256, request->body_sha256, sizeof(upload->single_sha256));
    upload->size += request->body_size;
    return true;
}

// "Content-Range: 0-99" must go on where the upload ends.
static bool
range_fits(const struct registry_upload *upload, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    const char *range = sandbox_request_header(request, "Content-Range");
    struct str first = {0}, rest = str_of(range);
    int64_t start = 0;
    bool is_ecr = sandbox_registry_is_ecr(request);
    if (is_ecr && !sandbox_registry_ecr_takes_body(upload, request, response)) {
        return false;
    }
    if (range == NULL) {
        return true;
    }
    if (str_cut(rest, '-', &first, &rest) && str_to_int64(first, &start) && start == upload->size) {
        return !is_ecr || sandbox_registry_ecr_takes_part(upload, response);
    }
    sandbox_registry_problem(response, 416, "BLOB_UPLOAD_INVALID", "the chunk is out of order");
    return false;
}

static bool
hash_file(const char *path, char out[SHA256_HEX_SIZE])
{
    struct sha256 *state CLEANUP(sha256_freep) = sha256_new();
    char *bytes CLEANUP(xfreep) = xmalloc(CHUNK);
    unsigned char hash[SHA256_SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? 1 : -1;
    while (got > 0) {
        got = read(fd, bytes, CHUNK);
        sha256_update(state, bytes, got > 0 ? (size_t)got : 0);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    sha256_final(state, hash);
    hex_encode(hash, sizeof(hash), out);
    return got == 0;
}

static bool
digest_matches(const struct registry_upload *upload, const char *digest)
{
    char hex[SHA256_HEX_SIZE] = {0};
    if (upload->chunks == 1) {
        memcpy(hex, upload->single_sha256, sizeof(hex));
    } else if (upload->chunks == 0) {
        sha256_hex((struct str){0}, hex);
    } else if (!hash_file(upload->path, hex)) {
        return false;
    }
    return sandbox_registry_is_digest(digest) && strcmp(hex, digest + 7) == 0;
}

static bool
store_blob(struct sandbox *sandbox, const struct registry_upload *upload, const char *digest)
{
    char *path CLEANUP(xfreep) = sandbox_registry_file(sandbox->registry, digest);
    if (upload->chunks > 0) {
        return rename(upload->path, path) == 0;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); // the empty blob
    return fd >= 0 && close(fd) == 0;
}

static void
end_upload(struct sandbox *sandbox, struct registry_upload *upload, struct sandbox_request *request,
    struct sandbox_response *response)
{
    const char *digest = sandbox_request_query(request, "digest");
    if (digest == NULL) {
        sandbox_registry_problem(response, 400, "DIGEST_INVALID", "digest parameter is missing");
        return;
    }
    if (sandbox_registry_is_ecr(request) && !range_fits(upload, request, response)) {
        return;
    }
    if (!take_chunk(upload, request, response)) {
        return;
    }
    if (!digest_matches(upload, digest)) {
        sandbox_registry_problem(
            response, 400, "DIGEST_INVALID", "provided digest did not match uploaded content");
    } else if (!store_blob(sandbox, upload, digest)) {
        sandbox_registry_problem(response, 500, "UNKNOWN", "the sandbox cannot store the blob");
    } else {
        struct registry_repo *repo = sandbox_registry_find(sandbox->registry, upload->repo);
        json_set_int(repo->blobs, digest, upload->size);
        blob_created(upload->repo, digest, response);
    }
    drop_upload(sandbox->registry, upload);
}

void
sandbox_registry_uploads_handle(struct sandbox *sandbox, const char *name, const char *id,
    struct sandbox_request *request, struct sandbox_response *response)
{
    if (id == NULL) {
        if (sandbox_request_is(request, "POST")) {
            open_upload(sandbox, name, request, response);
        } else {
            sandbox_registry_problem(response, 405, "UNSUPPORTED", "the operation is unsupported");
        }
        return;
    }
    struct registry_upload *upload = sandbox_registry_upload_find(sandbox->registry, name, id);
    bool is_ecr = sandbox_registry_is_ecr(request);
    if (upload == NULL) {
        sandbox_registry_problem(
            response, 404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    } else if (sandbox_request_is(request, "PATCH")) {
        if (range_fits(upload, request, response) && take_chunk(upload, request, response)) {
            response->status = is_ecr ? 201 : 202;
            set_location(upload, is_ecr, response);
        }
    } else if (sandbox_request_is(request, "PUT")) {
        end_upload(sandbox, upload, request, response);
    } else if (sandbox_request_is(request, "GET") && !is_ecr) {
        response->status = 204;
        set_location(upload, false, response);
    } else if (sandbox_request_is(request, "GET")) {
        sandbox_registry_problem(
            response, 404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    } else if (sandbox_request_is(request, "DELETE")) {
        drop_upload(sandbox->registry, upload);
        response->status = 204;
    } else {
        sandbox_registry_problem(response, 405, "UNSUPPORTED", "the operation is unsupported");
    }
}
