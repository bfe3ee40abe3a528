// Front door of the sandbox's Vault: who asks, in which namespace, and which part answers. KV is
// vault_server_kv.c, logins are vault_server_login.c, tokens vault_server_token.c.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/memory.h"
#include "vault_server_internal.h"

enum { TTL_MAX_S = 10 * 365 * 24 * 60 * 60 };

// --- the state
// ------------------------------------------------------------------------------------

struct error *
sandbox_vault_start(struct sandbox *sandbox)
{
    char random[49];
    sandbox->vault = xcalloc(1, sizeof(*sandbox->vault));
    random_hex(sandbox->platform->random, 24, random);
    sandbox->vault->root = xasprintf("hvs.%s", random);
    sandbox_vault_reset(sandbox);
    return NULL;
}

static void
free_secret(struct vault_secret *secret)
{
    for (size_t i = 0; i < secret->count; i++) {
        json_free(secret->versions[i].data);
    }
    free(secret->versions);
    free(secret->space);
    free(secret->mount);
    free(secret->path);
    free(secret);
}

static void
forget_places(struct vault_state *vault)
{
    for (size_t i = 0; i < vault->mount_count; i++) {
        free(vault->mounts[i]->space);
        free(vault->mounts[i]->path);
        free(vault->mounts[i]->type);
        free(vault->mounts[i]->server_id);
        free(vault->mounts[i]->region);
        free(vault->mounts[i]);
    }
    for (size_t i = 0; i < vault->role_count; i++) {
        free(vault->roles[i]->space);
        free(vault->roles[i]->mount);
        free(vault->roles[i]->name);
        json_free(vault->roles[i]->order);
        free(vault->roles[i]);
    }
    free(vault->mounts);
    free(vault->roles);
    vault->mounts = NULL;
    vault->roles = NULL;
    vault->mount_count = vault->role_count = 0;
}

static void
forget(struct vault_state *vault)
{
    for (size_t i = 0; i < vault->secret_count; i++) {
        free_secret(vault->secrets[i]);
    }
    for (size_t i = 0; i < vault->token_count; i++) {
        sandbox_vault_token_free(vault->tokens[i]);
    }
    free(vault->secrets);
    free(vault->tokens);
    vault->secrets = NULL;
    vault->tokens = NULL;
    vault->secret_count = vault->token_count = 0;
    forget_places(vault);
}

void
sandbox_vault_reset(struct sandbox *sandbox)
{
    struct vault_state *vault = sandbox->vault;
    forget(vault);
    vault->is_sealed = false;
    sandbox_vault_add_space(vault, "");
    struct vault_token *root = sandbox_vault_token_add(sandbox, NULL, "root", json_make_null());
    free(root->text);
    root->text = xstrdup(vault->root);
    root->is_root = true;
}

void
sandbox_vault_stop(struct sandbox *sandbox)
{
    if (sandbox->vault != NULL) {
        forget(sandbox->vault);
        free(sandbox->vault->root);
        free(sandbox->vault);
        sandbox->vault = NULL;
    }
}

const char *
sandbox_vault_root_token(const struct sandbox *sandbox)
{
    return sandbox->vault->root;
}

struct json *
sandbox_vault_state_json(struct sandbox *sandbox)
{
    const struct vault_state *vault = sandbox->vault;
    struct json *state = json_make_object(), *secrets = json_make_array();
    for (size_t i = 0; i < vault->secret_count; i++) {
        const struct vault_secret *secret = vault->secrets[i];
        struct json *item = json_make_object();
        json_set_str(item, "namespace", secret->space);
        json_set_str(item, "mount", secret->mount);
        json_set_str(item, "path", secret->path);
        json_set_int(item, "versions", secret->last);
        json_append(secrets, item);
    }
    json_set(state, "secrets", secrets);
    json_set_int(state, "tokens", (int64_t)vault->token_count - 1); // but the root's
    json_set_bool(state, "sealed", vault->is_sealed);
    return state;
}

// --- answers
// --------------------------------------------------------------------------------------

void
sandbox_vault_problem(struct vault_exchange *exchange, int status, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    struct json *body = json_make_object(), *errors = json_make_array();
    json_append(errors, json_make_string(buf_cstr(&text)));
    json_set(body, "errors", errors);
    sandbox_reply_json(exchange->response, status, body);
}

void
sandbox_vault_nothing(struct vault_exchange *exchange)
{
    struct json *body = json_make_object();
    json_set(body, "errors", json_make_array());
    sandbox_reply_json(exchange->response, 404, body);
}

void
sandbox_vault_reply(struct vault_exchange *exchange, int status, struct json *data)
{
    struct json *body = json_make_object();
    json_set_str(
        body, "request_id", sandbox_random(exchange->sandbox, exchange->request->arena, 16));
    json_set_str(body, "lease_id", "");
    json_set_bool(body, "renewable", false);
    json_set_int(body, "lease_duration", 0);
    json_set(body, "data", data != NULL ? data : json_make_null());
    json_set(body, "wrap_info", json_make_null());
    json_set(body, "warnings", json_make_null());
    json_set(body, "auth", json_make_null());
    sandbox_reply_json(exchange->response, status, body);
}

void
sandbox_vault_set_time(struct json *object, const char *key, int64_t wall_ms)
{
    char text[21] = "";
    if (wall_ms != 0) {
        clock_format_rfc3339(wall_ms, text);
    }
    json_set_str(object, key, text);
}

bool
sandbox_vault_read_ms(const struct json *value, int64_t *out)
{
    const char *text = json_str(value);
    int64_t seconds = json_int(value, -1);
    bool is_number = json_is_int(value) || (text != NULL && str_to_int64(str_of(text), &seconds));
    if (is_number && (seconds < 0 || seconds > TTL_MAX_S)) {
        return false;
    }
    *out = seconds * 1000;
    return is_number || (text != NULL && fault_parse_duration(text, out) && *out >= 0 &&
                            *out / 1000 <= TTL_MAX_S);
}

// --- routing
// --------------------------------------------------------------------------------------

// Is `path` the prefix itself or below it? *rest is what follows.
static bool
is_below(const char *path, const char *prefix, const char **rest)
{
    size_t length = strlen(prefix);
    if (strncmp(path, prefix, length) != 0 || (path[length] != '\0' && path[length] != '/')) {
        return false;
    }
    *rest = path[length] == '/' ? path + length + 1 : path + length;
    return true;
}

const struct vault_mount *
sandbox_vault_mount_of(
    const struct vault_state *vault, const char *space, const char *path, bool is_kv)
{
    const struct vault_mount *longest = NULL;
    const char *rest = NULL;
    for (size_t i = 0; i < vault->mount_count; i++) {
        const struct vault_mount *mount = vault->mounts[i];
        if (strcmp(mount->space, space) == 0 && (strcmp(mount->type, "kv") == 0) == is_kv &&
            is_below(path, mount->path, &rest) &&
            (longest == NULL || strlen(mount->path) > strlen(longest->path))) {
            longest = mount;
        }
    }
    return longest;
}

static bool
has_space(const struct vault_state *vault, const char *space)
{
    for (size_t i = 0; i < vault->mount_count; i++) {
        if (strcmp(vault->mounts[i]->space, space) == 0) {
            return true;
        }
    }
    return false;
}

// By the header, or as the beginning of the path; both say the same.
static bool
find_space(struct vault_exchange *exchange)
{
    const struct vault_state *vault = exchange->sandbox->vault;
    const char *header = sandbox_request_header(exchange->request, "X-Vault-Namespace");
    struct str given = str_of(header);
    while (str_ends(given, STR("/"))) {
        given.len--;
    }
    while (str_starts(given, STR("/"))) {
        given = str_skip(given, 1);
    }
    exchange->space = arena_str(exchange->request->arena, given);
    const char *path = exchange->path, *rest = NULL;
    for (size_t i = 0; given.len == 0 && i < vault->mount_count; i++) {
        const char *space = vault->mounts[i]->space;
        if (strlen(space) > strlen(exchange->space) && is_below(path, space, &rest)) {
            exchange->space = space;
            exchange->path = rest;
        }
    }
    return has_space(vault, exchange->space);
}

static const char *
token_of(const struct sandbox_request *request)
{
    const char *token = sandbox_request_header(request, "X-Vault-Token");
    return token != NULL ? token : sandbox_request_bearer(request);
}

static void
answer_health(struct vault_exchange *exchange)
{
    bool is_sealed = exchange->sandbox->vault->is_sealed;
    struct json *body = json_make_object();
    json_set_bool(body, "initialized", true);
    json_set_bool(body, "sealed", is_sealed);
    json_set_bool(body, "standby", false);
    json_set_int(body, "server_time_utc", sandbox_now(exchange->sandbox) / 1000);
    json_set_str(body, "version", "1.21.0");
    sandbox_reply_json(exchange->response, is_sealed ? 503 : 200, body);
}

static void
answer_kv(struct vault_exchange *exchange)
{
    bool writes = !sandbox_request_is(exchange->request, "GET") &&
                  !sandbox_request_is(exchange->request, "LIST");
    exchange->mount =
        sandbox_vault_mount_of(exchange->sandbox->vault, exchange->space, exchange->path, true);
    if (!exchange->token->is_root && strcmp(exchange->token->space, exchange->space) != 0) {
        sandbox_vault_problem(exchange, 403, "permission denied");
    } else if (!sandbox_vault_token_may(exchange->token, exchange->path, writes)) {
        sandbox_vault_problem(exchange, 403, "permission denied");
    } else if (exchange->mount == NULL) {
        sandbox_vault_problem(
            exchange, 404, "no handler for route \"%s\". route entry not found.", exchange->path);
    } else {
        (void)is_below(exchange->path, exchange->mount->path, &exchange->rest);
        sandbox_vault_kv_handle(exchange);
    }
}

void
sandbox_vault_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct vault_exchange exchange = {
        .sandbox = sandbox, .request = request, .response = response, .space = ""};
    if (request->part_count < 3 || strcmp(request->parts[1], "v1") != 0) {
        sandbox_vault_nothing(&exchange);
        return;
    }
    exchange.path = sandbox_request_rest(request, 2);
    struct str path = str_of(exchange.path);
    if (str_equal(path, STR("sys/health"))) {
        answer_health(&exchange);
        return;
    }
    if (sandbox->vault->is_sealed) {
        sandbox_vault_problem(&exchange, 503, "Vault is sealed");
        return;
    }
    if (!find_space(&exchange)) {
        sandbox_vault_problem(&exchange, 404, "namespace not found");
        return;
    }
    path = str_of(exchange.path);
    if (str_starts(path, STR("auth/")) && str_ends(path, STR("/login"))) {
        sandbox_vault_login(&exchange);
        return;
    }
    const char *text = token_of(request);
    exchange.token = text != NULL ? sandbox_vault_token_find(sandbox, text) : NULL;
    if (exchange.token == NULL) {
        sandbox_vault_problem(&exchange, 403, "permission denied");
    } else if (str_starts(path, STR("auth/token/"))) {
        sandbox_vault_token_handle(&exchange);
    } else {
        answer_kv(&exchange);
    }
}

void
sandbox_vault_expired(struct sandbox *sandbox, struct sandbox_response *response)
{
    struct vault_exchange exchange = {.sandbox = sandbox, .response = response};
    sandbox_vault_problem(&exchange, 403, "permission denied");
}
