// KV version 2: data with its versions, soft deletion, check-and-set, and what is there (metadata).
// No undelete, no destroy, no custom metadata.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "vault_server_internal.h"

enum { VERSIONS_MAX = 10 };

static struct vault_secret *
find(const struct vault_state *vault, const char *space, const char *mount, const char *path)
{
    for (size_t i = 0; i < vault->secret_count; i++) {
        struct vault_secret *secret = vault->secrets[i];
        if (strcmp(secret->space, space) == 0 && strcmp(secret->mount, mount) == 0 &&
            strcmp(secret->path, path) == 0) {
            return secret;
        }
    }
    return NULL;
}

static struct vault_secret *
add(struct vault_state *vault, const char *space, const char *mount, const char *path)
{
    struct vault_secret *secret = xcalloc(1, sizeof(*secret));
    *secret = (struct vault_secret){
        .space = xstrdup(space), .mount = xstrdup(mount), .path = xstrdup(path)};
    vault->secrets =
        xrealloc(vault->secrets, (vault->secret_count + 1) * sizeof(struct vault_secret *));
    vault->secrets[vault->secret_count++] = secret;
    return secret;
}

static void
drop_oldest(struct vault_secret *secret)
{
    json_free(secret->versions[0].data);
    memmove(&secret->versions[0], &secret->versions[1],
        (secret->count - 1) * sizeof(*secret->versions));
    secret->count--;
}

const struct vault_version *
sandbox_vault_kv_write(struct sandbox *sandbox, const char *space, const struct vault_mount *mount,
    const char *path, const struct json *data)
{
    struct vault_secret *secret = find(sandbox->vault, space, mount->path, path);
    secret = secret != NULL ? secret : add(sandbox->vault, space, mount->path, path);
    if (secret->count == VERSIONS_MAX) {
        drop_oldest(secret);
    }
    secret->versions = xrealloc(secret->versions, (secret->count + 1) * sizeof(*secret->versions));
    secret->versions[secret->count] = (struct vault_version){
        .number = ++secret->last, .created_ms = sandbox_now(sandbox), .data = json_clone(data)};
    return &secret->versions[secret->count++];
}

// --- data
// -----------------------------------------------------------------------------------------

static struct json *
version_json(const struct vault_version *version)
{
    struct json *item = json_make_object();
    sandbox_vault_set_time(item, "created_time", version->created_ms);
    json_set(item, "custom_metadata", json_make_null());
    sandbox_vault_set_time(item, "deletion_time", version->deleted_ms);
    json_set_bool(item, "destroyed", false);
    json_set_int(item, "version", version->number);
    return item;
}

static struct vault_version *
find_version(struct vault_secret *secret, int64_t number)
{
    for (size_t i = 0; i < secret->count; i++) {
        if (secret->versions[i].number == (number > 0 ? number : secret->last)) {
            return &secret->versions[i];
        }
    }
    return NULL;
}

static void
read_data(struct vault_exchange *exchange, struct vault_secret *secret)
{
    const char *query = sandbox_request_query(exchange->request, "version");
    int64_t number = 0;
    if (query != NULL && (!str_to_int64(str_of(query), &number) || number < 0)) {
        sandbox_vault_problem(
            exchange, 400, "Field validation failed: error converting input for field \"version\"");
        return;
    }
    const struct vault_version *version = secret != NULL ? find_version(secret, number) : NULL;
    if (version == NULL) {
        sandbox_vault_nothing(exchange);
        return;
    }
    // A deleted one is 404 with a body that says so.
    bool is_gone = version->deleted_ms != 0;
    struct json *data = json_make_object();
    json_set(data, "data", is_gone ? json_make_null() : json_clone(version->data));
    json_set(data, "metadata", version_json(version));
    sandbox_vault_reply(exchange, is_gone ? 404 : 200, data);
}

static void
write_data(struct vault_exchange *exchange, const char *path, const struct vault_secret *secret)
{
    struct json *body CLEANUP(json_freep) = sandbox_request_json(exchange->request);
    const struct json *data = json_get(body, "data"), *cas = json_path(body, "options.cas");
    if (!json_is_object(data)) {
        sandbox_vault_problem(exchange, 400, "no data provided");
        return;
    }
    if (!json_is_null(cas) && json_int(cas, -1) != (secret != NULL ? secret->last : 0)) {
        sandbox_vault_problem(
            exchange, 400, "check-and-set parameter did not match the current version");
        return;
    }
    const struct vault_version *version =
        sandbox_vault_kv_write(exchange->sandbox, exchange->space, exchange->mount, path, data);
    sandbox_vault_reply(exchange, 200, version_json(version));
}

static void
handle_data(struct vault_exchange *exchange, const char *path, struct vault_secret *secret)
{
    const struct sandbox_request *request = exchange->request;
    if (sandbox_request_is(request, "GET")) {
        read_data(exchange, secret);
    } else if (sandbox_request_is(request, "POST") || sandbox_request_is(request, "PUT")) {
        write_data(exchange, path, secret);
    } else if (sandbox_request_is(request, "DELETE")) {
        struct vault_version *newest = secret != NULL ? find_version(secret, 0) : NULL;
        if (newest != NULL && newest->deleted_ms == 0) {
            newest->deleted_ms = sandbox_now(exchange->sandbox);
        }
        exchange->response->status = 204;
    } else {
        sandbox_vault_problem(exchange, 405, "unsupported operation");
    }
}

// --- metadata
// -------------------------------------------------------------------------------------

static void
read_metadata(struct vault_exchange *exchange, const struct vault_secret *secret)
{
    struct json *data = json_make_object(), *versions = json_make_object();
    struct arena *arena = exchange->request->arena;
    for (size_t i = 0; i < secret->count; i++) {
        const struct vault_version *version = &secret->versions[i];
        struct json *item = json_make_object();
        sandbox_vault_set_time(item, "created_time", version->created_ms);
        sandbox_vault_set_time(item, "deletion_time", version->deleted_ms);
        json_set_bool(item, "destroyed", false);
        json_set(versions, arena_printf(arena, "%lld", (long long)version->number), item);
    }
    json_set_bool(data, "cas_required", false);
    sandbox_vault_set_time(data, "created_time", secret->versions[0].created_ms);
    json_set_int(data, "current_version", secret->last);
    json_set(data, "custom_metadata", json_make_null());
    json_set_str(data, "delete_version_after", "0s");
    json_set_int(data, "max_versions", 0);
    json_set_int(data, "oldest_version", secret->versions[0].number);
    sandbox_vault_set_time(data, "updated_time", secret->versions[secret->count - 1].created_ms);
    json_set(data, "versions", versions);
    sandbox_vault_reply(exchange, 200, data);
}

static bool
holds(const struct json *keys, const char *key)
{
    for (size_t i = 0; i < json_count(keys); i++) {
        if (cstr_equal(json_str(json_at(keys, i)), key)) {
            return true;
        }
    }
    return false;
}

// Names one level below `path`; those that have more below them end in '/'.
static void
list_keys(struct vault_exchange *exchange, const char *path)
{
    const struct vault_state *vault = exchange->sandbox->vault;
    struct arena *arena = exchange->request->arena;
    const char *prefix = path[0] == '\0' ? "" : arena_printf(arena, "%s/", path);
    struct json *keys = json_make_array(), *data = json_make_object();
    for (size_t i = 0; i < vault->secret_count; i++) {
        const struct vault_secret *secret = vault->secrets[i];
        if (strcmp(secret->space, exchange->space) == 0 &&
            strcmp(secret->mount, exchange->mount->path) == 0 &&
            strncmp(secret->path, prefix, strlen(prefix)) == 0) {
            const char *rest = secret->path + strlen(prefix), *slash = strchr(rest, '/');
            const char *key = slash != NULL
                                  ? arena_str(arena, (struct str){rest, (size_t)(slash - rest) + 1})
                                  : rest;
            if (key[0] != '\0' && !holds(keys, key)) {
                json_append(keys, json_make_string(key));
            }
        }
    }
    bool is_empty = json_count(keys) == 0;
    json_set(data, "keys", keys);
    if (is_empty) {
        json_free(data);
        sandbox_vault_nothing(exchange);
    } else {
        sandbox_vault_reply(exchange, 200, data);
    }
}

static void
remove_secret(struct vault_state *vault, const struct vault_secret *secret)
{
    size_t kept = 0;
    for (size_t i = 0; i < vault->secret_count; i++) {
        struct vault_secret *one = vault->secrets[i];
        if (one != secret) {
            vault->secrets[kept++] = one;
            continue;
        }
        while (one->count > 0) {
            drop_oldest(one);
        }
        free(one->versions);
        free(one->space);
        free(one->mount);
        free(one->path);
        free(one);
    }
    vault->secret_count = kept;
}

static void
handle_metadata(struct vault_exchange *exchange, const char *path, struct vault_secret *secret)
{
    const struct sandbox_request *request = exchange->request;
    bool lists = sandbox_request_is(request, "LIST") ||
                 (sandbox_request_is(request, "GET") &&
                     cstr_equal(sandbox_request_query(request, "list"), "true"));
    if (lists) {
        list_keys(exchange, path);
    } else if (sandbox_request_is(request, "GET") && secret != NULL) {
        read_metadata(exchange, secret);
    } else if (sandbox_request_is(request, "GET")) {
        sandbox_vault_nothing(exchange);
    } else if (sandbox_request_is(request, "DELETE")) {
        remove_secret(exchange->sandbox->vault, secret);
        exchange->response->status = 204;
    } else {
        sandbox_vault_problem(exchange, 405, "unsupported operation");
    }
}

void
sandbox_vault_kv_handle(struct vault_exchange *exchange)
{
    struct str kind = {0}, rest = {0};
    (void)str_cut(str_of(exchange->rest), '/', &kind, &rest);
    const char *path = arena_str(exchange->request->arena, rest);
    struct vault_secret *secret =
        find(exchange->sandbox->vault, exchange->space, exchange->mount->path, path);
    if (str_equal(kind, STR("data")) && path[0] != '\0') {
        handle_data(exchange, path, secret);
    } else if (str_equal(kind, STR("metadata"))) {
        handle_metadata(exchange, path, secret);
    } else {
        // What version 1's paths are answered by a mount of version 2.
        sandbox_vault_problem(exchange, 404,
            "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate "
            "API endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation.");
    }
}
