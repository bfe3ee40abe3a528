// Front door of the OCI registry (distribution spec 1.1): repositories, blobs, tags, and which part
// answers what. Uploads, manifests and credentials have files of their own.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

void
sandbox_registry_problem(
    struct sandbox_response *response, int status, const char *code, const char *message)
{
    struct json *body = json_make_object(), *list = json_make_array(), *one = json_make_object();
    json_set_str(one, "code", code);
    json_set_str(one, "message", message);
    json_append(list, one);
    json_set(body, "errors", list);
    sandbox_reply_json(response, status, body);
}

bool
sandbox_registry_is_digest(const char *text)
{
    return strlen(text) == 71 && strncmp(text, "sha256:", 7) == 0 &&
           strspn(text + 7, "0123456789abcdef") == 64;
}

char *
sandbox_registry_file(const struct registry_state *registry, const char *digest)
{
    return xasprintf("%s/%s", registry->directory, digest + 7);
}

struct registry_repo *
sandbox_registry_find(struct registry_state *registry, const char *name)
{
    for (size_t i = 0; i < registry->repo_count; i++) {
        if (strcmp(registry->repos[i]->name, name) == 0) {
            return registry->repos[i];
        }
    }
    return NULL;
}

struct registry_repo *
sandbox_registry_create(struct sandbox *sandbox, const char *name)
{
    struct registry_state *registry = sandbox->registry;
    struct registry_repo *repo = xcalloc(1, sizeof(*repo));
    repo->name = xstrdup(name);
    repo->created_ms = sandbox_now(sandbox);
    repo->blobs = json_make_object();
    repo->manifests = json_make_object();
    repo->tags = json_make_object();
    repo->scans = json_make_object();
    repo->named = json_make_object();
    registry->repos =
        xrealloc(registry->repos, (registry->repo_count + 1) * sizeof(*registry->repos));
    registry->repos[registry->repo_count++] = repo;
    return repo;
}

const char *
sandbox_registry_resolve(const struct registry_repo *repo, const char *reference)
{
    if (sandbox_registry_is_digest(reference)) {
        return json_get(repo->manifests, reference) != NULL ? reference : NULL;
    }
    return json_str(json_get(repo->tags, reference));
}

struct error *
sandbox_registry_start(struct sandbox *sandbox)
{
    struct registry_state *registry = xcalloc(1, sizeof(*registry));
    char random[33];
    sandbox->registry = registry;
    random_hex(sandbox->platform->random, 16, random);
    registry->password = xstrdup(random);
    registry->directory = xasprintf("%s/blobs", sandbox->data);
    registry->bearers = json_make_object();
    return file_make_directories(registry->directory);
}

void
sandbox_registry_reset(struct sandbox *sandbox)
{
    struct registry_state *registry = sandbox->registry;
    for (size_t i = 0; i < registry->repo_count; i++) {
        struct registry_repo *repo = registry->repos[i];
        json_free(repo->blobs);
        json_free(repo->manifests);
        json_free(repo->tags);
        json_free(repo->scans);
        json_free(repo->named);
        free(repo->name);
        free(repo);
    }
    for (size_t i = 0; i < registry->upload_count; i++) {
        sandbox_registry_upload_free(registry->uploads[i]);
    }
    free(registry->repos);
    free(registry->uploads);
    registry->repos = NULL;
    registry->repo_count = 0;
    registry->uploads = NULL;
    registry->upload_count = 0;
}

void
sandbox_registry_stop(struct sandbox *sandbox)
{
    struct registry_state *registry = sandbox->registry;
    if (registry == NULL) {
        return;
    }
    sandbox_registry_reset(sandbox);
    json_free(registry->bearers);
    free(registry->password);
    free(registry->directory);
    free(registry);
    sandbox->registry = NULL;
}

const char *
sandbox_registry_password(const struct sandbox *sandbox)
{
    return sandbox->registry->password;
}

bool
sandbox_registry_is_upload(const char *method, const char *path)
{
    bool sends =
        strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
    return sends && strncmp(path, "/v2/", 4) == 0 && strstr(path, "/blobs/uploads") != NULL;
}

// --- blobs and tags
// --------------------------------------------------------------------------------

static void
answer_blob(struct sandbox *sandbox, struct registry_repo *repo, const char *digest,
    struct sandbox_request *request, struct sandbox_response *response)
{
    struct stat about = {0};
    if (!sandbox_registry_is_digest(digest)) {
        sandbox_registry_problem(
            response, 400, "DIGEST_INVALID", "provided digest is not a digest");
        return;
    }
    char *path CLEANUP(xfreep) = sandbox_registry_file(sandbox->registry, digest);
    if (repo == NULL || json_get(repo->blobs, digest) == NULL || stat(path, &about) != 0) {
        sandbox_registry_problem(response, 404, "BLOB_UNKNOWN", "blob unknown to registry");
        return;
    }
    if (!sandbox_request_is(request, "GET") && !sandbox_request_is(request, "HEAD")) {
        sandbox_registry_problem(response, 405, "UNSUPPORTED", "the operation is unsupported");
        return;
    }
    response->status = 200;
    response->file = xstrdup(path);
    response->file_size = (int64_t)about.st_size;
    sandbox_reply_header(response, "Content-Type", "application/octet-stream");
    sandbox_reply_header(response, "Docker-Content-Digest", digest);
    sandbox_reply_header(response, "Accept-Ranges", "none");
}

struct tag_list {
    const char **items;
    size_t count;
};

static void
take_tag(void *ctx, const char *key, const struct json *value)
{
    struct tag_list *list = ctx;
    (void)value;
    list->items[list->count++] = key;
}

static int
compare_text(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

static void
answer_tags(
    struct registry_repo *repo, struct sandbox_request *request, struct sandbox_response *response)
{
    if (repo == NULL) {
        sandbox_registry_problem(
            response, 404, "NAME_UNKNOWN", "repository name not known to registry");
        return;
    }
    const char *last = sandbox_request_query(request, "last"),
               *most = sandbox_request_query(request, "n");
    int64_t left = INT64_MAX;
    struct tag_list tags = {
        .items = arena_array(request->arena, json_count(repo->tags) + 1, sizeof(*tags.items))};
    json_each(repo->tags, take_tag, &tags);
    qsort(tags.items, tags.count, sizeof(*tags.items), compare_text);
    if (most != NULL) {
        (void)str_to_int64(str_of(most), &left);
    }
    struct json *body = json_make_object(), *list = json_make_array();
    for (size_t i = 0; i < tags.count && left > 0; i++) {
        if (last == NULL || strcmp(tags.items[i], last) > 0) {
            json_append(list, json_make_string(tags.items[i]));
            left--;
            if (left == 0 && i + 1 < tags.count) {
                sandbox_reply_header(response, "Link",
                    arena_printf(request->arena, "</v2/%s/tags/list?n=%s&last=%s>; rel=\"next\"",
                        repo->name, most, tags.items[i]));
            }
        }
    }
    json_set_str(body, "name", repo->name);
    json_set(body, "tags", list);
    sandbox_reply_json(response, 200, body);
}

static void
answer_catalog(const struct registry_state *registry, struct sandbox_response *response)
{
    struct json *body = json_make_object(), *list = json_make_array();
    for (size_t i = 0; i < registry->repo_count; i++) {
        json_append(list, json_make_string(registry->repos[i]->name));
    }
    json_set(body, "repositories", list);
    sandbox_reply_json(response, 200, body);
}

// --- routing
// ---------------------------------------------------------------------------------------

static const char *
joined(const struct sandbox_request *request, size_t from, size_t to)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    for (size_t i = from; i < to; i++) {
        buf_printf(&text, "%s%s", i > from ? "/" : "", request->parts[i]);
    }
    return arena_str(request->arena, buf_str(&text));
}

static bool
is_name(const char *name)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyz0123456789._-/";
    return name[0] != '\0' && strlen(name) <= 255 && strspn(name, legal) == strlen(name) &&
           strstr(name, "..") == NULL;
}

// /v2/<name…>/(blobs/uploads[/id] | blobs/<digest> | manifests/<reference> | tags/list)
static void
handle_repository(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const char *const *parts = request->parts;
    size_t count = request->part_count;
    bool uploads = count >= 4 && strcmp(parts[count - 1], "uploads") == 0 &&
                   strcmp(parts[count - 2], "blobs") == 0;
    bool upload = count >= 5 && strcmp(parts[count - 2], "uploads") == 0 &&
                  strcmp(parts[count - 3], "blobs") == 0;
    size_t end = upload ? count - 3 : count - 2;
    const char *name = joined(request, 1, end);
    if (!is_name(name)) {
        sandbox_registry_problem(response, 400, "NAME_INVALID", "invalid repository name");
        return;
    }
    if (!sandbox_registry_allowed(sandbox, name, request, response)) {
        return;
    }
    struct registry_repo *repo = sandbox_registry_find(sandbox->registry, name);
    if (uploads || upload) {
        sandbox_registry_uploads_handle(
            sandbox, name, upload ? parts[count - 1] : NULL, request, response);
    } else if (strcmp(parts[count - 2], "blobs") == 0) {
        answer_blob(sandbox, repo, parts[count - 1], request, response);
    } else if (strcmp(parts[count - 2], "manifests") == 0) {
        sandbox_registry_manifest_handle(sandbox, name, parts[count - 1], request, response);
    } else if (strcmp(parts[count - 2], "tags") == 0 && strcmp(parts[count - 1], "list") == 0) {
        answer_tags(repo, request, response);
    } else {
        sandbox_registry_problem(response, 404, "UNSUPPORTED", "no such page of the registry");
    }
}

void
sandbox_registry_broke_off(struct sandbox *sandbox, const struct sandbox_request *request)
{
    size_t count = request->part_count;
    if (sandbox->registry == NULL || count < 5 || request->body_size == 0) {
        return;
    }
    struct registry_upload *upload = sandbox_registry_upload_find(
        sandbox->registry, joined(request, 1, count - 3), request->parts[count - 1]);
    if (upload != NULL) {
        upload->is_broken = true;
    }
}

void
sandbox_registry_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    sandbox_reply_header(response, "Docker-Distribution-API-Version", "registry/2.0");
    if (sandbox_request_match(request, 1, "token")) {
        sandbox_registry_token(sandbox, request, response);
        return;
    }
    if (!sandbox_registry_authenticate(sandbox, request, response)) {
        return;
    }
    if (request->part_count == 1) {
        sandbox_reply_json(response, 200, json_make_object());
    } else if (sandbox_request_match(request, 1, "_catalog")) {
        answer_catalog(sandbox->registry, response);
    } else if (request->part_count >= 4) {
        handle_repository(sandbox, request, response);
    } else {
        sandbox_registry_problem(response, 404, "UNSUPPORTED", "no such page of the registry");
    }
}

struct json *
sandbox_registry_state_json(struct sandbox *sandbox)
{
    const struct registry_state *registry = sandbox->registry;
    struct json *list = json_make_array();
    for (size_t i = 0; i < registry->repo_count; i++) {
        const struct registry_repo *repo = registry->repos[i];
        struct json *item = json_make_object();
        json_set_str(item, "name", repo->name);
        json_set_bool(item, "immutable", repo->is_immutable);
        json_set(item, "tags", json_clone(repo->tags));
        json_set(item, "manifests", json_clone(repo->manifests));
        json_set(item, "blobs", json_clone(repo->blobs));
        json_set(item, "scans", json_clone(repo->scans));
        json_append(list, item);
    }
    return list;
}
