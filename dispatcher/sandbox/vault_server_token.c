// Vault's tokens: given out by logins, looked up, renewed and revoked by themselves, and ended by
// the clock.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "vault_server_internal.h"

void
sandbox_vault_token_free(struct vault_token *token)
{
    free(token->text);
    free(token->accessor);
    free(token->space);
    free(token->name);
    json_free(token->meta);
    json_free(token->read);
    json_free(token->write);
    free(token);
}

static struct json *
globs_of(const struct vault_role *role, const char *key)
{
    const struct json *globs = role != NULL ? json_get(role->order, key) : NULL;
    return json_is_array(globs) ? json_clone(globs) : NULL;
}

struct vault_token *
sandbox_vault_token_add(
    struct sandbox *sandbox, const struct vault_role *role, const char *name, struct json *meta)
{
    struct vault_state *vault = sandbox->vault;
    struct vault_token *token = xcalloc(1, sizeof(*token));
    char text[49], accessor[33];
    int64_t now = sandbox_now(sandbox);
    random_hex(sandbox->platform->random, 24, text);
    random_hex(sandbox->platform->random, 16, accessor);
    *token = (struct vault_token){.text = xasprintf("hvs.%s", text),
        .accessor = xstrdup(accessor),
        .space = xstrdup(role != NULL ? role->space : ""),
        .name = xstrdup(name),
        .meta = meta,
        .read = globs_of(role, "read"),
        .write = globs_of(role, "write"),
        .created_ms = now};
    if (role != NULL) {
        token->ttl_ms = role->ttl_ms;
        token->max_ms = role->max_ms;
        token->expires_ms = now + role->ttl_ms;
        token->is_renewable = json_bool(json_get(role->order, "renewable"), true);
    }
    vault->tokens =
        xrealloc(vault->tokens, (vault->token_count + 1) * sizeof(struct vault_token *));
    vault->tokens[vault->token_count++] = token;
    return token;
}

struct vault_token *
sandbox_vault_token_find(struct sandbox *sandbox, const char *text)
{
    const struct vault_state *vault = sandbox->vault;
    int64_t now = sandbox_now(sandbox);
    for (size_t i = 0; i < vault->token_count; i++) {
        struct vault_token *token = vault->tokens[i];
        if (strcmp(token->text, text) == 0) {
            return token->expires_ms == 0 || now < token->expires_ms ? token : NULL;
        }
    }
    return NULL;
}

bool
sandbox_vault_token_may(const struct vault_token *token, const char *path, bool writes)
{
    const struct json *globs = writes ? token->write : token->read;
    if (token->is_root || (!writes && globs == NULL)) {
        return true;
    }
    for (size_t i = 0; i < json_count(globs); i++) {
        const char *glob = json_str(json_at(globs, i));
        if (glob != NULL && fault_glob(glob, path)) {
            return true;
        }
    }
    return false;
}

static struct json *
policies_of(const struct vault_token *token)
{
    struct json *list = json_make_array();
    json_append(list, json_make_string(token->is_root ? "root" : "default"));
    return list;
}

static int64_t
left_s(const struct vault_exchange *exchange, const struct vault_token *token)
{
    int64_t left = token->expires_ms - sandbox_now(exchange->sandbox);
    return token->expires_ms == 0 ? 0 : (left + 999) / 1000;
}

void
sandbox_vault_reply_auth(struct vault_exchange *exchange, const struct vault_token *token)
{
    struct json *body = json_make_object(), *auth = json_make_object();
    json_set_str(
        body, "request_id", sandbox_random(exchange->sandbox, exchange->request->arena, 16));
    json_set_str(body, "lease_id", "");
    json_set_bool(body, "renewable", false);
    json_set_int(body, "lease_duration", 0);
    json_set(body, "data", json_make_null());
    json_set(body, "wrap_info", json_make_null());
    json_set(body, "warnings", json_make_null());
    json_set_str(auth, "client_token", token->text);
    json_set_str(auth, "accessor", token->accessor);
    json_set(auth, "policies", policies_of(token));
    json_set(auth, "token_policies", policies_of(token));
    json_set(auth, "metadata", json_clone(token->meta));
    json_set_int(auth, "lease_duration", left_s(exchange, token));
    json_set_bool(auth, "renewable", token->is_renewable);
    json_set_str(auth, "entity_id", "");
    json_set_str(auth, "token_type", "service");
    json_set_bool(auth, "orphan", true);
    json_set(auth, "mfa_requirement", json_make_null());
    json_set_int(auth, "num_uses", 0);
    json_set(body, "auth", auth);
    sandbox_reply_json(exchange->response, 200, body);
}

static void
look_up(struct vault_exchange *exchange)
{
    const struct vault_token *token = exchange->token;
    struct json *data = json_make_object();
    json_set_str(data, "accessor", token->accessor);
    json_set_int(data, "creation_time", token->created_ms / 1000);
    json_set_int(data, "creation_ttl", token->ttl_ms / 1000);
    json_set_str(data, "display_name", token->name);
    json_set_str(data, "entity_id", "");
    if (token->expires_ms != 0) {
        sandbox_vault_set_time(data, "expire_time", token->expires_ms);
    } else {
        json_set(data, "expire_time", json_make_null());
    }
    json_set_int(data, "explicit_max_ttl", 0);
    json_set_str(data, "id", token->text);
    json_set(data, "meta", json_clone(token->meta));
    json_set_int(data, "num_uses", 0);
    json_set_bool(data, "orphan", true);
    json_set(data, "policies", policies_of(token));
    json_set_bool(data, "renewable", token->is_renewable);
    json_set_int(data, "ttl", left_s(exchange, token));
    json_set_str(data, "type", "service");
    sandbox_vault_reply(exchange, 200, data);
}

// By `increment`, or what it had at first; never past its longest life.
static void
renew(struct vault_exchange *exchange)
{
    struct json *body CLEANUP(json_freep) = sandbox_request_json(exchange->request);
    struct vault_token *token = exchange->token;
    int64_t asked = token->ttl_ms, now = sandbox_now(exchange->sandbox);
    if (!token->is_renewable) {
        sandbox_vault_problem(exchange, 400, "lease is not renewable");
        return;
    }
    (void)sandbox_vault_read_ms(json_get(body, "increment"), &asked);
    asked = asked > 0 ? asked : token->ttl_ms;
    token->expires_ms = now + asked;
    if (token->max_ms > 0 && token->expires_ms > token->created_ms + token->max_ms) {
        token->expires_ms = token->created_ms + token->max_ms;
    }
    sandbox_vault_reply_auth(exchange, token);
}

void
sandbox_vault_token_handle(struct vault_exchange *exchange)
{
    const char *what = exchange->path + strlen("auth/token/");
    bool reads = sandbox_request_is(exchange->request, "GET");
    bool posts = sandbox_request_is(exchange->request, "POST") ||
                 sandbox_request_is(exchange->request, "PUT");
    if (reads && strcmp(what, "lookup-self") == 0) {
        look_up(exchange);
    } else if (posts && strcmp(what, "renew-self") == 0) {
        renew(exchange);
    } else if (posts && strcmp(what, "revoke-self") == 0) {
        exchange->token->expires_ms = 1; // long ago
        exchange->response->status = 204;
    } else {
        sandbox_vault_problem(exchange, 405, "unsupported operation");
    }
}
