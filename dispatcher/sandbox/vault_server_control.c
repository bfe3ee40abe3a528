// POST /_sandbox/vault: mounts, roles, secrets and tokens, as whoever runs a Vault would set them
// up.
//
//     {"mounts":  [{"path": "kv", "type": "kv"},
//                  {"path": "aws", "type": "aws", "server_id": "vault.example.org",
//                   "sts_region": "eu-central-1"}],
//      "roles":   [{"mount": "aws", "name": "deploy", "principals": ["arn:aws:iam::…:role/deploy"],
//                   "ttl": "1h", "max_ttl": "4h", "renewable": true,
//                   "read": ["secret/data/shop*"], "write": ["secret/data/shop*"]},
//                  {"mount": "jwt", "name": "ci", "audiences": ["…"], "claims": {"sub":
//                  "repo:*"}}],
//      "secrets": [{"path": "secret/data/shop", "data": {"key": "value"}}],
//      "tokens":  [{"role": "ci", "mount": "jwt"}],     answered by their text
//      "sealed":  false}
//
// Every item may have a "namespace", which is made with it; in a namespace "secret", "aws" and
// "jwt" are mounted from the beginning.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "vault_server_internal.h"

enum { TTL_MS = 60 * 60 * 1000 };

static char *
copy(const char *text)
{
    return text != NULL ? xstrdup(text) : NULL;
}

static struct vault_mount *
find_mount(const struct vault_state *vault, const char *space, const char *path)
{
    for (size_t i = 0; i < vault->mount_count; i++) {
        if (strcmp(vault->mounts[i]->space, space) == 0 &&
            strcmp(vault->mounts[i]->path, path) == 0) {
            return vault->mounts[i];
        }
    }
    return NULL;
}

static struct vault_mount *
set_mount(struct vault_state *vault, const char *space, const char *path, const char *type)
{
    struct vault_mount *mount = find_mount(vault, space, path);
    if (mount == NULL) {
        mount = xcalloc(1, sizeof(*mount));
        *mount = (struct vault_mount){.space = xstrdup(space), .path = xstrdup(path)};
        vault->mounts =
            xrealloc(vault->mounts, (vault->mount_count + 1) * sizeof(struct vault_mount *));
        vault->mounts[vault->mount_count++] = mount;
    }
    free(mount->type);
    mount->type = xstrdup(type);
    free(mount->region);
    mount->region = xstrdup("us-east-1");
    return mount;
}

void
sandbox_vault_add_space(struct vault_state *vault, const char *space)
{
    static const char *const mounts[][2] = {{"secret", "kv"}, {"aws", "aws"}, {"jwt", "jwt"}};
    for (size_t i = 0; i < ARRAY_LENGTH(mounts); i++) {
        if (find_mount(vault, space, mounts[i][0]) == NULL) {
            (void)set_mount(vault, space, mounts[i][0], mounts[i][1]);
        }
    }
}

static const char *
space_of(struct vault_state *vault, const struct json *item)
{
    const char *space = json_str(json_get(item, "namespace"));
    space = space != NULL ? space : "";
    sandbox_vault_add_space(vault, space);
    return space;
}

static const char *
take_mount(struct sandbox *sandbox, const struct json *item)
{
    static const char *const types[] = {"kv", "aws", "jwt"};
    const char *path = json_str(json_get(item, "path")), *type = json_str(json_get(item, "type"));
    const char *region = json_str(json_get(item, "sts_region"));
    bool known = false;
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        known = known || cstr_equal(type, types[i]);
    }
    if (path == NULL || path[0] == '\0' || !known) {
        return "a mount has no 'path', or a 'type' that is neither kv, aws nor jwt";
    }
    struct vault_mount *mount =
        set_mount(sandbox->vault, space_of(sandbox->vault, item), path, type);
    free(mount->server_id);
    mount->server_id = copy(json_str(json_get(item, "server_id")));
    if (region != NULL) {
        free(mount->region);
        mount->region = xstrdup(region);
    }
    return NULL;
}

static struct vault_role *
find_role(const struct vault_state *vault, const char *space, const char *mount, const char *name)
{
    for (size_t i = 0; i < vault->role_count; i++) {
        struct vault_role *role = vault->roles[i];
        if (strcmp(role->space, space) == 0 && strcmp(role->mount, mount) == 0 &&
            strcmp(role->name, name) == 0) {
            return role;
        }
    }
    return NULL;
}

static const char *
take_role(struct sandbox *sandbox, const struct json *item)
{
    struct vault_state *vault = sandbox->vault;
    const char *name = json_str(json_get(item, "name")), *path = json_str(json_get(item, "mount"));
    const struct json *ttl = json_get(item, "ttl"), *most = json_get(item, "max_ttl");
    const char *space = space_of(vault, item);
    int64_t ttl_ms = TTL_MS, max_ms = 0;
    if (name == NULL || path == NULL || find_mount(vault, space, path) == NULL) {
        return "a role has no 'name', or no 'mount' that is there";
    }
    if ((ttl != NULL && (!sandbox_vault_read_ms(ttl, &ttl_ms) || ttl_ms == 0)) ||
        (most != NULL && !sandbox_vault_read_ms(most, &max_ms))) {
        return "'ttl' and 'max_ttl' are durations, as in \"90s\", or seconds";
    }
    struct vault_role *role = find_role(vault, space, path, name);
    if (role == NULL) {
        role = xcalloc(1, sizeof(*role));
        *role = (struct vault_role){
            .space = xstrdup(space), .mount = xstrdup(path), .name = xstrdup(name)};
        vault->roles =
            xrealloc(vault->roles, (vault->role_count + 1) * sizeof(struct vault_role *));
        vault->roles[vault->role_count++] = role;
    }
    json_free(role->order);
    role->order = json_clone(item);
    role->ttl_ms = ttl_ms;
    role->max_ms = max_ms;
    return NULL;
}

static const char *
take_secret(struct sandbox *sandbox, const struct json *item)
{
    const char *path = json_str(json_get(item, "path"));
    const struct json *data = json_get(item, "data");
    const char *space = space_of(sandbox->vault, item);
    const struct vault_mount *mount =
        path != NULL ? sandbox_vault_mount_of(sandbox->vault, space, path, true) : NULL;
    struct str rest = mount != NULL ? str_skip(str_of(path), strlen(mount->path)) : (struct str){0};
    if (!str_starts(rest, STR("/data/")) || rest.len == strlen("/data/") || !json_is_object(data)) {
        return "a secret has no 'data', or a 'path' that is not MOUNT/data/PATH";
    }
    (void)sandbox_vault_kv_write(sandbox, space, mount, str_skip(rest, strlen("/data/")).ptr, data);
    return NULL;
}

static const char *
take_token(struct sandbox *sandbox, const struct json *item, struct json *texts)
{
    const char *name = json_str(json_get(item, "role")), *path = json_str(json_get(item, "mount"));
    const struct vault_role *role =
        name != NULL && path != NULL
            ? find_role(sandbox->vault, space_of(sandbox->vault, item), path, name)
            : NULL;
    if (role == NULL) {
        return "a token has no 'role' and 'mount' that are there";
    }
    struct json *meta = json_make_object();
    json_set_str(meta, "role", name);
    const struct vault_token *token = sandbox_vault_token_add(sandbox, role, name, meta);
    json_append(texts, json_make_string(token->text));
    return NULL;
}

void
sandbox_vault_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    static const struct {
        const char *key;
        const char *(*take)(struct sandbox *sandbox, const struct json *item);
    } lists[] = {{"mounts", take_mount}, {"roles", take_role}, {"secrets", take_secret}};
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    struct json *texts = json_make_array(), *body = json_make_object();
    const struct json *tokens = json_get(order, "tokens");
    const char *problem = order == NULL ? "not a JSON object" : NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        const struct json *list = json_get(order, lists[i].key);
        for (size_t k = 0; problem == NULL && k < json_count(list); k++) {
            problem = lists[i].take(sandbox, json_at(list, k));
        }
    }
    for (size_t i = 0; problem == NULL && i < json_count(tokens); i++) {
        problem = take_token(sandbox, json_at(tokens, i), texts);
    }
    json_set(body, "tokens", texts);
    if (problem != NULL) {
        json_free(body);
        sandbox_reply_problem(response, 422, "%s", problem);
        return;
    }
    sandbox->vault->is_sealed = json_bool(json_get(order, "sealed"), sandbox->vault->is_sealed);
    sandbox_reply_json(response, 200, body);
}
