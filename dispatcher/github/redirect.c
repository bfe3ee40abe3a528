// Redirects, by hand: a renamed or transferred repository answers 301 or 307 to every call (facts
// §1.1), and lists name their next page. Credentials stay on the API's own origin; nothing is asked
// of another one.
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/url.h"
#include "github_internal.h"

// The path of `target` below the API base; false when it is not the API's.
static bool
below_api(const struct github_client *client, const char *target, struct str *out)
{
    struct url api CLEANUP(url_done) = {0}, url CLEANUP(url_done) = {0};
    struct error *err = url_parse(client->api, &api);
    err = err != NULL ? err : url_parse(target, &url);
    bool same = err == NULL && url_same_origin(&api, &url) && !url.has_user;
    error_free(err);
    struct str base = str_of(client->api), text = str_of(target);
    bool below = same && str_starts(text, base) && text.len > base.len && text.ptr[base.len] == '/';
    if (below) {
        *out = str_skip(text, base.len);
    }
    return below;
}

static void
adopt(struct github_client *client, struct str name)
{
    log_debug(client->platform->log, "repository has moved", F_STR("from", client->repository));
    char *fresh = str_dup(name);
    free(client->repository);
    client->repository = fresh;
}

// GET /repositories/{id} knows today's name.
static struct error *
adopt_by_id(struct github_client *client, int64_t id)
{
    char *path CLEANUP(xfreep) = xasprintf("/repositories/%lld", (long long)id);
    struct github_call call = {.path = path};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *answer CLEANUP(json_freep) = NULL;
    TRY(github_fetch(client, &call, &response, &answer));
    struct str name = str_of(json_str(json_get(answer, "full_name")));
    if (!repository_name_is_valid(name)) {
        return error_new(ERROR_UNAVAILABLE, "'%s' has moved, and its new name cannot be read",
            client->repository);
    }
    adopt(client, name);
    return NULL;
}

// "/repositories/7/…" or "/repos/owner/name/…"
static bool
new_place(struct str path, int64_t *id, struct str *name)
{
    struct str rest = {0}, head = {0}, tail = {0};
    if (str_starts(path, STR("/repositories/"))) {
        rest = str_skip(path, sizeof("/repositories/") - 1);
        return str_cut(rest, '/', &head, &tail) && str_to_int64(head, id) && *id > 0;
    }
    if (!str_starts(path, STR("/repos/"))) {
        return false;
    }
    rest = str_skip(path, sizeof("/repos/") - 1);
    struct str repo = {0};
    bool parts = str_cut(rest, '/', &head, &tail) && str_cut(tail, '/', &repo, &tail);
    *name = (struct str){rest.ptr, head.len + 1 + repo.len};
    return parts && repository_name_is_valid(*name);
}

struct error *
github_redirect(struct github_client *client, const struct github_call *call,
    const struct github_exchange *exchange, char **out)
{
    const char *location = http_headers_get(&exchange->response.headers, "Location");
    if (location == NULL) {
        return github_answer_error(client, exchange, call->needs);
    }
    char *target = NULL;
    TRY(url_resolve(exchange->url, location, &target));
    struct str path = {0}, name = {0};
    int64_t id = 0;
    if (!below_api(client, target, &path)) {
        free(target);
        return error_hint(error_new(ERROR_UNAVAILABLE,
                              "'%s': redirected away from the API; not followed", exchange->url),
            "Credentials are never sent elsewhere: check GITHUB_API_URL ('%s').", client->api);
    }
    bool moved = call->in_repository && new_place(path, &id, &name);
    if (moved && id != 0 && call->auth == GITHUB_AUTH_APP) {
        client->repository_id = id; // an App's JWT may not read the name; the token is for the id
        moved = false;
    }
    if (!moved) {
        *out = target;
        return NULL;
    }
    if (id == 0) {
        adopt(client, name);
    }
    free(target);
    *out = NULL;
    return id != 0 ? adopt_by_id(client, id) : NULL;
}

// One link-value of RFC 8288 §3 at the start of `text`: its target, and whether rel says "next".
static bool
take_link(struct str *text, struct str *target, bool *next)
{
    struct str before = {0}, params = {0};
    if (!str_cut(*text, '<', &before, text) || !str_cut(*text, '>', target, text)) {
        return false;
    }
    (void)str_cut(*text, ',', &params, text); // GitHub quotes no comma
    *next = str_contains(params, STR("rel=\"next\"")) || str_contains(params, STR("rel=next"));
    return true;
}

struct error *
github_next_page(
    const struct github_client *client, const struct http_response *response, char **out)
{
    struct str text = str_of(http_headers_get(&response->headers, "Link")), target = {0},
               path = {0};
    bool next = false;
    while (take_link(&text, &target, &next)) {
        if (!next) {
            continue;
        }
        char *url = str_dup(target);
        if (!below_api(client, url, &path)) {
            struct error *err = error_new(
                ERROR_UNAVAILABLE, "'%s': the next page is not of this API", client->repository);
            free(url);
            return err;
        }
        *out = url;
        return NULL;
    }
    *out = NULL;
    return NULL;
}
