// Who we are to GitHub: a plain token, or an App whose installation token is narrowed to one
// repository, lives an hour at most and is renewed before that (facts §1.3).
//
// Asked for to dispatch are `actions: write` and, as far as the installation grants them,
// `contents: read` (the workflow file, specs over git) and `checks: read` (annotations of a failed
// job). Nothing else: with `actions: write` alone the declared inputs could not be read and every
// spec mistake would be found by GitHub's 422 only. To report, no permission is a must: an App that
// may set statuses only reports by them. Specs and runs are read with one permission, and only to
// read.
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "github_internal.h"

enum {
    JWT_BACKDATE_S = 60,
    JWT_LIFE_S = 9 * 60, // GitHub's limit is ten minutes from its own clock
    SKEW_WORTH_A_TRY_MS = 30 * 1000,
    RENEW_AFTER_MS = 50 * 60 * 1000,
    TOKEN_LIFE_MS = 60 * 60 * 1000, // where the answer does not say
    RENEW_RETRY_MS = 30 * 1000,
    SPARE_MS = 60 * 1000, // an old token is still used until then before its end
};

struct error *
github_app_jwt(const struct github_client *client, struct secret **out)
{
    int64_t now = github_server_now(client) / 1000;
    struct json *claims CLEANUP(json_freep) = json_make_object();
    json_set_int(claims, "iat", now - JWT_BACKDATE_S);
    json_set_int(claims, "exp", now + JWT_LIFE_S);
    json_set_str(claims, "iss", client->app_id);
    return jwt_sign_rs256(client->app_key, claims, out);
}

struct permission {
    const char *name;
    bool write;
};
// What a purpose asks for; the first is all that is asked while nothing is known to be granted.
struct wish {
    struct permission permissions[4];
    size_t count;
};
static const struct wish wishes[] = {
    [GITHUB_FOR_DISPATCH] = {{{"actions", true}, {"contents", false}, {"checks", false}}, 3},
    [GITHUB_FOR_REPORTS] = {{{"deployments", true}, {"statuses", true}, {"checks", true},
                                {"pull_requests", true}},
        4},
    [GITHUB_FOR_SPECS] = {{{"contents", false}}, 1},
    [GITHUB_FOR_RUNS] = {{{"actions", false}}, 1},
    [GITHUB_FOR_MEMBERS] = {{{"members", false}}, 1},
};

// As GitHub's settings page calls it.
static const char *
permission_title(const struct permission *permission)
{
    return cstr_equal(permission->name, "deployments") ? "Deployments"
           : cstr_equal(permission->name, "contents")  ? "Contents"
           : cstr_equal(permission->name, "members")   ? "Members"
                                                       : "Actions";
}

static bool
is_granted(const struct json *permissions, const char *name, bool write)
{
    const char *level = json_str(json_get(permissions, name));
    bool writes = cstr_equal(level, "write") || cstr_equal(level, "admin");
    return writes || (!write && cstr_equal(level, "read"));
}

static bool
is_any_granted(const struct json *permissions, const struct wish *wish)
{
    for (size_t i = 0; i < wish->count; i++) {
        if (is_granted(permissions, wish->permissions[i].name, wish->permissions[i].write)) {
            return true;
        }
    }
    return false;
}

// What GitHub makes of an empty list of permissions is nowhere said, perhaps all: then rather none.
static struct error *
grant_problem(const struct github_client *client, const struct json *permissions)
{
    if (client->purpose == GITHUB_FOR_DISPATCH && !is_granted(permissions, "actions", true)) {
        return error_hint(error_new(ERROR_CREDENTIALS, "the App may not start workflows of '%s'",
                              client->repository),
            "Give the App the repository permission 'Actions: read and write', and have an owner "
            "accept it.");
    }
    if (is_any_granted(permissions, &wishes[client->purpose])) {
        return NULL;
    }
    if (client->purpose != GITHUB_FOR_REPORTS) {
        const char *name = permission_title(&wishes[client->purpose].permissions[0]);
        return error_hint(
            error_new(ERROR_CREDENTIALS, "the App may not read '%s'", client->repository),
            "Give the App the repository permission '%s: read', and have an owner accept it.",
            name);
    }
    return error_hint(
        error_new(ERROR_CREDENTIALS, "the App may not report on '%s'", client->repository),
        "Give the App the repository permissions that the reports need ('Deployments', 'Commit "
        "statuses', 'Checks', 'Pull requests': read and write), and have an owner accept them.");
}

static struct error *
installation_problem(const struct github_client *client, const struct json *installation)
{
    if (json_int(json_get(installation, "id"), 0) <= 0) {
        return error_new(ERROR_UNAVAILABLE, "installation of the App on '%s': the answer has no id",
            client->repository);
    }
    if (json_str(json_get(installation, "suspended_at")) != NULL) {
        return error_hint(error_new(ERROR_CREDENTIALS,
                              "the App's installation on '%s' is suspended", client->repository),
            "An owner of the organization can unsuspend it under 'GitHub Apps'.");
    }
    const struct json *permissions = json_get(installation, "permissions");
    return json_is_object(permissions) ? grant_problem(client, permissions) : NULL;
}

static void
keep_granted(struct github_client *client, const struct json *permissions)
{
    if (json_is_object(permissions)) {
        json_free(client->granted);
        client->granted = json_clone(permissions);
    }
}

static struct error *
find_installation(struct github_client *client)
{
    struct github_call call = {
        .path = "/installation", .in_repository = true, .auth = GITHUB_AUTH_APP};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *installation CLEANUP(json_freep) = NULL;
    TRY(github_fetch(client, &call, &response, &installation));
    if (installation == NULL) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "the App is not installed on '%s'", client->repository),
            "Install it on that repository; a wrong repository name looks the same.");
    }
    TRY(installation_problem(client, installation));
    client->installation_id = json_int(json_get(installation, "id"), 0);
    keep_granted(client, json_get(installation, "permissions"));
    return NULL;
}

static struct json *
wished_permissions(const struct github_client *client, bool least)
{
    const struct wish *wish = &wishes[client->purpose];
    struct json *permissions = json_make_object();
    for (size_t i = 0; i < wish->count; i++) {
        const struct permission *item = &wish->permissions[i];
        bool must =
            i == 0 && (least || client->purpose != GITHUB_FOR_REPORTS || client->granted == NULL);
        if (must || (!least && is_granted(client->granted, item->name, item->write))) {
            json_set_str(permissions, item->name, item->write ? "write" : "read");
        }
    }
    return permissions;
}

// One repository and what we use of it. Without a list of what is granted only what must be is
// asked.
static char *
mint_body(const struct github_client *client, bool least)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_array();
    if (client->repository_id != 0) {
        json_append(list, json_make_int(client->repository_id));
        json_set(body, "repository_ids", list);
    } else {
        struct str owner = {0}, name = {0};
        (void)str_cut(str_of(client->repository), '/', &owner, &name);
        json_append(list, json_make_string(name.ptr));
        json_set(body, "repositories", list);
    }
    json_set(body, "permissions", wished_permissions(client, least));
    return json_text(body);
}

static struct error *
keep_token(struct github_client *client, const struct json *answer)
{
    const char *text = json_str(json_get(answer, "token"));
    if (text == NULL || text[0] == '\0') {
        return error_new(ERROR_UNAVAILABLE, "installation token for '%s': the answer holds none",
            client->repository);
    }
    secret_free(client->token);
    client->token = secret_new(str_of(text));
    int64_t now = clock_mono(client->platform->clock), expires = 0;
    int64_t life = TOKEN_LIFE_MS;
    if (clock_parse_rfc3339(json_str(json_get(answer, "expires_at")), &expires)) {
        life = expires - github_server_now(client);
        life = life < SPARE_MS ? SPARE_MS : life > TOKEN_LIFE_MS ? TOKEN_LIFE_MS : life;
    }
    client->expires_mono_ms = now + life;
    client->renew_mono_ms = now + (life * 4 / 5 < RENEW_AFTER_MS ? life * 4 / 5 : RENEW_AFTER_MS);
    keep_granted(client, json_get(answer, "permissions"));
    log_debug(client->platform->log, "installation token made",
        F_STR("repository", client->repository), F_INT("life_s", life / 1000));
    return NULL;
}

static struct error *
mint_with(struct github_client *client, bool least)
{
    char *path CLEANUP(xfreep) =
        xasprintf("/app/installations/%lld/access_tokens", (long long)client->installation_id);
    char *body CLEANUP(xfreep) = mint_body(client, least);
    struct github_call call = {
        .method = HTTP_POST, .path = path, .auth = GITHUB_AUTH_APP, .body = body};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *answer CLEANUP(json_freep) = NULL;
    TRY(github_fetch(client, &call, &response, &answer));
    if (answer == NULL) {
        client->installation_id = 0; // removed and perhaps installed anew: look again next time
        return error_hint(error_new(ERROR_CREDENTIALS, "the App's installation on '%s' is gone",
                              client->repository),
            "Install the App on that repository again.");
    }
    return keep_token(client, answer);
}

static struct error *
mint(struct github_client *client)
{
    // Reports go on for as long as a service runs: what an owner has granted since then counts.
    if (client->installation_id == 0 || client->purpose == GITHUB_FOR_REPORTS) {
        TRY(find_installation(client));
    }
    struct error *err = mint_with(client, false);
    if (err != NULL && error_remote_of(err)->status == 422) {
        error_free(err); // granted less by now than when we asked
        err = mint_with(client, true);
    }
    if (err != NULL && error_remote_of(err)->status == 422) {
        const struct permission *least = &wishes[client->purpose].permissions[0];
        error_hint(err,
            "Give the App '%s: %s' on '%s', and have an owner accept "
            "it.",
            permission_title(least), least->write ? "read and write" : "read", client->repository);
        return error_wrap_as(
            ERROR_CREDENTIALS, err, "token of the App for '%s'", client->repository);
    }
    return err;
}

struct error *
github_token_ensure(struct github_client *client)
{
    int64_t now = clock_mono(client->platform->clock);
    if (client->app_id == NULL || (client->token != NULL && now < client->renew_mono_ms)) {
        return NULL;
    }
    struct error *err = mint(client);
    bool usable = client->token != NULL && now < client->expires_mono_ms - SPARE_MS;
    if (err != NULL && usable && error_kind(err) == ERROR_UNAVAILABLE) {
        log_debug(client->platform->log, "token not renewed, the old one still holds");
        client->renew_mono_ms = clock_mono(client->platform->clock) + RENEW_RETRY_MS;
        error_free(err);
        return NULL;
    }
    return err;
}

bool
github_token_renewable(struct github_client *client, enum github_auth auth)
{
    if (client->app_id == NULL) {
        return false;
    }
    if (auth == GITHUB_AUTH_TOKEN) {
        secret_free(client->token);
        client->token = NULL;
        return true;
    }
    // The JWT was made with our clock unless a Date had been seen: that of the refusal has, by now.
    int64_t skew = github_server_now(client) - clock_wall(client->platform->clock);
    return skew > SKEW_WORTH_A_TRY_MS || skew < -SKEW_WORTH_A_TRY_MS;
}
