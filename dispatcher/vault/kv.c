// Reading a secret of a KV version 2 engine, and the token's own properties
// (api-docs/secret/kv/kv-v2, auth/token).
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/secret_json.h"
#include "dispatcher/url.h"
#include "vault_internal.h"

enum { PATH_MAX_BYTES = 1024, WORD_MAX = 100, POLICIES_MAX = 64 };

const char *
vault_path_problem(const char *path)
{
    static const char problem[] =
        "must be a path of a KV version 2 engine: mount/data/path, without empty or '..' segments";
    struct str rest = str_of(path), part = {0};
    size_t count = 0, data_at = 0;
    if (rest.len == 0 || rest.len > PATH_MAX_BYTES || str_ends(rest, STR("/"))) {
        return problem;
    }
    while (str_cut(rest, '/', &part, &rest)) {
        if (part.len == 0 || str_equal(part, STR(".")) || str_equal(part, STR(".."))) {
            return problem;
        }
        for (size_t i = 0; i < part.len; i++) {
            if ((unsigned char)part.ptr[i] < ' ' || part.ptr[i] == 0x7f) {
                return problem;
            }
        }
        if (data_at == 0 && count > 0 && str_equal(part, STR("data"))) {
            data_at = count;
        }
        count++;
    }
    return data_at > 0 && count > data_at + 1 ? NULL : problem;
}

static struct error *
not_allowed(const struct vault_client *client, const char *path, struct error *cause)
{
    struct buf who CLEANUP(buf_done) = BUF_INIT(4096);
    vault_who(client, &who);
    struct error *err =
        error_wrap_as(ERROR_CREDENTIALS, cause, "%s may not read '%s'", buf_cstr(&who), path);
    return error_hint(err, "Give it a policy that allows 'read' on '%s'%s.", path,
        client->auth == VAULT_AUTH_TOKEN
            ? "; an expired token and a wrong namespace are refused in the same way"
            : "; a wrong namespace is refused in the same way");
}

// A deleted version answers 404 with what is left of it: its metadata.
static struct error *
not_there(const struct vault_client *client, const char *path, const struct http_response *response)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *answer CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) = vault_parse(response, &answer);
    const struct json *metadata = json_path(answer, "data.metadata");
    int64_t version = json_int(json_get(metadata, "version"), 0);
    if (!json_is_object(metadata)) {
        return error_hint(error_wrap_as(ERROR_CREDENTIALS, vault_answer_error(client, response),
                              "there is no secret at '%s'", path),
            "Check mount and path ('MOUNT/data/PATH')%s.",
            client->namespace != NULL ? " and the namespace"
                                      : ", and whether a namespace is needed");
    }
    if (json_bool(json_get(metadata, "destroyed"), false)) {
        return error_hint(error_new(ERROR_CREDENTIALS, "version %lld of '%s' was destroyed",
                              (long long)version, path),
            "Write a new version.");
    }
    const char *when = vault_clean(arena, json_str(json_get(metadata, "deletion_time")), WORD_MAX);
    return error_hint(
        error_new(ERROR_CREDENTIALS, "version %lld of '%s' was deleted%s%s", (long long)version,
            path, when != NULL ? " at " : "", when != NULL ? when : ""),
        "Bring it back with 'vault kv undelete', or write a new version.");
}

static struct error *
read_answer(const struct vault_client *client, const struct http_response *response,
    const char *path, struct json **out)
{
    if (response->status == 403) {
        return not_allowed(client, path, vault_answer_error(client, response));
    }
    if (response->status == 404) {
        return not_there(client, path, response);
    }
    if (response->status != 200) {
        return vault_answer_error(client, response);
    }
    struct json *answer CLEANUP(json_freep) = NULL;
    TRY(vault_parse(response, &answer));
    if (!json_is_object(json_path(answer, "data.data"))) {
        return error_hint(error_remote(error_new(ERROR_UNAVAILABLE, "unusable answer: no "
                                                                    "'data.data'"),
                              response->status, NULL, NULL, true),
            "Only version 2 of the KV engine is read: its paths are 'MOUNT/data/PATH'.");
    }
    *out = answer;
    answer = NULL;
    return NULL;
}

static struct error *
read_secret(struct vault_client *client, const char *path, struct json **out)
{
    const char *problem = vault_path_problem(path);
    if (problem != NULL) {
        return error_new(ERROR_SPEC, "'%.200s' %s", path, problem);
    }
    struct buf encoded CLEANUP(buf_done) = BUF_INIT(4 * PATH_MAX_BYTES);
    struct http_response response CLEANUP(http_response_done) = {0};
    url_encode(str_of(path), "/", &encoded);
    TRY(buf_finish(&encoded, "path of a Vault secret"));
    const struct vault_call call = {.method = HTTP_GET, .path = buf_cstr(&encoded)};
    TRY(vault_request(client, &call, &response));
    return read_answer(client, &response, path, out);
}

struct error *
vault_kv_read(struct vault_client *client, const char *path, const char *key, struct secret **out)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    struct error *err = read_secret(client, path, &answer);
    if (err == NULL) {
        err = secret_json_take(json_path(answer, "data.data"), key, out);
    }
    return err != NULL ? error_wrap(err, "read '%s' from Vault", path) : NULL;
}

static void
read_policies(const struct json *list, struct arena *arena, struct str_list *out)
{
    size_t count = json_count(list) < POLICIES_MAX ? json_count(list) : POLICIES_MAX;
    out->items = arena_array(arena, count + 1, sizeof(*out->items));
    for (size_t i = 0; i < count; i++) {
        const char *name = vault_clean(arena, json_str(json_at(list, i)), WORD_MAX);
        if (name != NULL) {
            out->items[out->count++] = name;
        }
    }
}

struct error *
vault_sign_in(struct vault_client *client)
{
    bool fresh = false;
    return vault_token_ensure(client, &fresh);
}

struct error *
vault_identity_get(struct vault_client *client, struct arena *arena, struct vault_identity *out)
{
    static const struct vault_call call = {.method = HTTP_GET, .path = "auth/token/lookup-self"};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *answer CLEANUP(json_freep) = NULL;
    struct error *err = vault_request(client, &call, &response);
    if (err == NULL && response.status != 200) {
        err = vault_answer_error(client, &response);
    }
    if (err == NULL) {
        err = vault_parse(&response, &answer);
    }
    if (err != NULL) {
        return error_wrap(err, "ask Vault at '%s' about our token", client->address);
    }
    const struct json *data = json_get(answer, "data");
    int64_t ttl = json_int(json_get(data, "ttl"), 0);
    *out = (struct vault_identity){
        .name = vault_clean(arena, json_str(json_get(data, "display_name")), WORD_MAX),
        .left_ms = ttl > 0 && ttl < INT64_MAX / 1000 ? ttl * 1000 : 0,
    };
    read_policies(json_get(data, "policies"), arena, &out->policies);
    return NULL;
}
