// What the credentials are and what they may do, for `doctor`. Tries everything once; a question
// that these credentials may not ask stays unanswered.
#include "dispatcher/memory.h"
#include "github_internal.h"

struct permission_list {
    struct arena *arena;
    struct pair_list *out;
};

static void
add_permission(void *ctx, const char *key, const struct json *value)
{
    struct permission_list *list = ctx;
    list->out->items[list->out->count++] =
        (struct pair){arena_dup(list->arena, key), arena_dup(list->arena, json_str(value))};
}

// A classic token says in a header of any answer which scopes it has.
static void
read_scopes(const struct http_response *response, struct arena *arena, struct pair_list *out)
{
    struct str scope = {0}, rest = str_of(http_headers_get(&response->headers, "X-OAuth-Scopes"));
    out->items = arena_array(arena, rest.len + 1, sizeof(*out->items));
    while (str_cut(rest, ',', &scope, &rest)) {
        scope = str_trim(scope);
        if (scope.len > 0) {
            out->items[out->count++] = (struct pair){arena_str(arena, scope), "scope"};
        }
    }
}

// GET /app for an App, GET /user for a token (an Actions token may not: then no login).
static struct error *
read_login(struct github_client *client, struct arena *arena, struct github_self *self)
{
    bool app = client->app_id != NULL;
    struct github_call call = {
        .path = app ? "/app" : "/user", .auth = app ? GITHUB_AUTH_APP : GITHUB_AUTH_TOKEN};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *answer CLEANUP(json_freep) = NULL;
    struct error *err = github_fetch(client, &call, &response, &answer);
    if (err != NULL && !app && error_remote_of(err)->status == 403) {
        error_free(err);
        return NULL;
    }
    if (err != NULL) {
        return err;
    }
    self->login = arena_dup(arena, json_str(json_get(answer, app ? "slug" : "login")));
    if (!app) {
        read_scopes(&response, arena, &self->permissions);
    }
    return NULL;
}

static struct error *
read_quota(struct github_client *client, struct github_self *self)
{
    struct github_call call = {.path = "/rate_limit"};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *answer CLEANUP(json_freep) = NULL;
    TRY(github_fetch(client, &call, &response, &answer)); // 404: limits are off (GHES)
    const struct json *core = json_path(answer, "resources.core");
    int64_t reset_s = json_int(json_get(core, "reset"), 0);
    self->quota_limit = json_int(json_get(core, "limit"), 0);
    self->quota_remaining = json_int(json_get(core, "remaining"), 0);
    self->quota_reset_ms = reset_s > 0 && reset_s < INT64_MAX / 1000 ? reset_s * 1000 : 0;
    return NULL;
}

struct error *
github_self(struct github_client *client, struct arena *arena, struct github_self *out)
{
    struct github_self self = {.kind = client->app_id != NULL ? "app" : "token"};
    TRY(read_login(client, arena, &self));
    TRY(read_quota(client, &self));
    if (client->app_id != NULL) {
        size_t count = json_count(client->granted);
        self.permissions.items = arena_array(arena, count, sizeof(*self.permissions.items));
        struct permission_list list = {arena, &self.permissions};
        json_each(client->granted, add_permission, &list);
    }
    self.server_time_ms = github_server_now(client);
    *out = self;
    return NULL;
}
