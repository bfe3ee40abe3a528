// Who somebody is and where they belong, as GitHub's API tells it: /user…, /users/:, /orgs/…. An
// App needs `members: read`; a person sees an organisation's members only as one of them.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_people_internal.h"

struct asking {
    struct sandbox *sandbox;
    const struct github_token *token;
    const struct github_person *self; // NULL: an App
    struct sandbox_request *request;
    struct sandbox_response *response;
    const char *base;
    size_t from; // of "orgs" or "user" in the path
};

static bool
is_organization(const struct asking *asking, const char *login)
{
    return str_equal_nocase(str_of(login), str_of(sandbox_github_organization(asking->sandbox)));
}

struct json *
sandbox_shape_organization(const struct sandbox *sandbox, const char *base)
{
    static const char *const links[][2] = {{"url", ""}, {"repos_url", "/repos"},
        {"events_url", "/events"}, {"hooks_url", "/hooks"}, {"issues_url", "/issues"},
        {"members_url", "/members{/member}"}, {"public_members_url", "/public_members{/member}"}};
    const char *login = sandbox_github_organization(sandbox);
    int64_t id = sandbox_github_organization_id(sandbox);
    struct json *object = json_make_object();
    json_set_str(object, "login", login);
    json_set_int(object, "id", id);
    sandbox_shape_node_id(object, "O", id);
    for (size_t i = 0; i < ARRAY_LENGTH(links); i++) {
        char *url CLEANUP(xfreep) = xasprintf("%s/orgs/%s%s", base, login, links[i][1]);
        json_set_str(object, links[i][0], url);
    }
    char *avatar CLEANUP(xfreep) = xasprintf("%s/%s.png", sandbox->origin, login);
    json_set_str(object, "avatar_url", avatar);
    json_set_str(object, "description", "");
    return object;
}

static struct json *
shape_organization(const struct asking *asking)
{
    return sandbox_shape_organization(asking->sandbox, asking->base);
}

static struct json *
shape_full_organization(const struct asking *asking)
{
    static const char *const zeros[] = {"public_repos", "public_gists", "followers", "following"};
    static const char *const flags[] = {"has_organization_projects", "has_repository_projects"};
    struct json *object = shape_organization(asking);
    char *page CLEANUP(xfreep) =
        xasprintf("%s/%s", asking->sandbox->origin, sandbox_github_organization(asking->sandbox));
    for (size_t i = 0; i < ARRAY_LENGTH(zeros); i++) {
        json_set_int(object, zeros[i], 0);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        json_set_bool(object, flags[i], true);
    }
    json_set_str(object, "html_url", page);
    json_set_str(object, "type", "Organization");
    json_set_str(object, "created_at", "2026-01-01T00:00:00Z");
    json_set_str(object, "updated_at", "2026-01-01T00:00:00Z");
    json_set(object, "archived_at", json_make_null());
    return object;
}

static struct json *
shape_membership(const struct asking *asking, const struct github_person *person)
{
    const char *login = sandbox_github_organization(asking->sandbox);
    struct json *object = json_make_object();
    char *url CLEANUP(xfreep) =
        xasprintf("%s/orgs/%s/memberships/%s", asking->base, login, person->login);
    char *organization CLEANUP(xfreep) = xasprintf("%s/orgs/%s", asking->base, login);
    json_set_str(object, "url", url);
    json_set_str(object, "state", "active");
    json_set_str(object, "role", person->is_admin ? "admin" : "member");
    json_set_str(object, "organization_url", organization);
    json_set(object, "organization", shape_organization(asking));
    json_set(object, "user", sandbox_shape_user(asking->sandbox, asking->base, person->login));
    return object;
}

static struct json *
shape_team(const struct asking *asking, const char *slug, bool full)
{
    const char *login = sandbox_github_organization(asking->sandbox);
    int64_t id = sandbox_github_team_id(asking->sandbox, slug);
    struct json *object = json_make_object();
    char *url CLEANUP(xfreep) = xasprintf("%s/organizations/%lld/team/%lld", asking->base,
        (long long)sandbox_github_organization_id(asking->sandbox), (long long)id);
    char *page CLEANUP(xfreep) =
        xasprintf("%s/orgs/%s/teams/%s", asking->sandbox->origin, login, slug);
    char *members CLEANUP(xfreep) = xasprintf("%s/members{/member}", url);
    char *repositories CLEANUP(xfreep) = xasprintf("%s/repos", url);
    json_set_int(object, "id", id);
    sandbox_shape_node_id(object, "T", id);
    json_set_str(object, "url", url);
    json_set_str(object, "html_url", page);
    json_set_str(object, "name", slug);
    json_set_str(object, "slug", slug);
    json_set(object, "description", json_make_null());
    json_set_str(object, "privacy", "closed");
    json_set_str(object, "notification_setting", "notifications_enabled");
    json_set_str(object, "permission", "pull");
    json_set_str(object, "members_url", members);
    json_set_str(object, "repositories_url", repositories);
    json_set_str(object, "type", "organization");
    json_set_int(object, "organization_id", sandbox_github_organization_id(asking->sandbox));
    json_set(object, "parent", json_make_null());
    if (full) {
        json_set_int(object, "members_count", 0);
        json_set_int(object, "repos_count", 0);
        json_set_str(object, "created_at", "2026-01-01T00:00:00Z");
        json_set_str(object, "updated_at", "2026-01-01T00:00:00Z");
        json_set(object, "organization", shape_full_organization(asking));
    }
    return object;
}

// Appends item `index` when it is on the page.
static void
append_paged(
    struct json *list, const struct github_paging *paging, int64_t index, struct json *item)
{
    if (sandbox_github_paging_has(paging, index)) {
        json_append(list, item);
    } else {
        json_free(item);
    }
}

static void
reply_list(const struct asking *asking, const struct github_paging *paging, int64_t total,
    struct json *list)
{
    sandbox_github_paging_links(asking->sandbox, asking->request, paging, total, asking->response);
    sandbox_reply_json(asking->response, 200, list);
}

// --- /user ---------------------------------------------------------------------------------------

static void
answer_self(const struct asking *asking)
{
    struct json *user = sandbox_shape_user(asking->sandbox, asking->base, asking->self->login);
    static const char *const nulls[] = {
        "company", "blog", "location", "email", "hireable", "bio", "twitter_username"};
    static const char *const zeros[] = {"public_repos", "public_gists", "followers", "following"};
    json_set_str(user, "name", asking->self->name);
    for (size_t i = 0; i < ARRAY_LENGTH(nulls); i++) {
        json_set(user, nulls[i], json_make_null());
    }
    for (size_t i = 0; i < ARRAY_LENGTH(zeros); i++) {
        json_set_int(user, zeros[i], 0);
    }
    json_set_str(user, "created_at", "2026-01-01T00:00:00Z");
    json_set_str(user, "updated_at", "2026-01-01T00:00:00Z");
    sandbox_reply_json(asking->response, 200, user);
}

static void
answer_own_teams(const struct asking *asking)
{
    const struct github_paging paging = sandbox_github_paging_of(asking->request);
    struct json *list = json_make_array();
    const struct json *teams = asking->self->is_member ? asking->self->teams : NULL;
    for (size_t i = 0; i < json_count(teams); i++) {
        append_paged(
            list, &paging, (int64_t)i, shape_team(asking, json_str(json_at(teams, i)), true));
    }
    reply_list(asking, &paging, (int64_t)json_count(teams), list);
}

static void
answer_own_organizations(const struct asking *asking, bool memberships)
{
    const struct github_paging paging = sandbox_github_paging_of(asking->request);
    struct json *list = json_make_array();
    if (asking->self->is_member) {
        append_paged(list, &paging, 0,
            memberships ? shape_membership(asking, asking->self) : shape_organization(asking));
    }
    reply_list(asking, &paging, asking->self->is_member ? 1 : 0, list);
}

static void
answer_own(const struct asking *asking)
{
    struct sandbox_request *request = asking->request;
    size_t from = asking->from;
    if (asking->self == NULL) {
        sandbox_github_problem(asking->response, 403, "Resource not accessible by integration");
    } else if (sandbox_request_match(request, from, "user")) {
        answer_self(asking);
    } else if (sandbox_request_match(request, from, "user/teams")) {
        answer_own_teams(asking);
    } else if (sandbox_request_match(request, from, "user/orgs")) {
        answer_own_organizations(asking, false);
    } else if (sandbox_request_match(request, from, "user/memberships/orgs")) {
        answer_own_organizations(asking, true);
    } else if (sandbox_request_match(request, from, "user/memberships/orgs/:") &&
               is_organization(asking, request->parts[from + 3]) && asking->self->is_member) {
        sandbox_reply_json(asking->response, 200, shape_membership(asking, asking->self));
    } else {
        sandbox_github_problem(asking->response, 404, "Not Found");
    }
}

// --- /orgs ---------------------------------------------------------------------------------------

static void
answer_member(const struct asking *asking, const struct github_person *person)
{
    if (person != NULL && person->is_member) {
        asking->response->status = 204;
    } else {
        sandbox_github_problem(asking->response, 404,
            "User does not exist or is not a member of "
            "the organization");
    }
}

static void
answer_membership(const struct asking *asking, const struct github_person *person)
{
    if (person != NULL && person->is_member) {
        sandbox_reply_json(asking->response, 200, shape_membership(asking, person));
    } else {
        sandbox_github_problem(asking->response, 404, "Not Found");
    }
}

static void
answer_team_membership(
    const struct asking *asking, const char *slug, const struct github_person *person)
{
    if (person == NULL || !person->is_member || !sandbox_github_person_is_in(person, slug)) {
        sandbox_github_problem(asking->response, 404, "Not Found");
        return;
    }
    struct json *object = json_make_object();
    char *url CLEANUP(xfreep) = xasprintf("%s/organizations/%lld/team/%lld/memberships/%s",
        asking->base, (long long)sandbox_github_organization_id(asking->sandbox),
        (long long)sandbox_github_team_id(asking->sandbox, slug), person->login);
    json_set_str(object, "url", url);
    json_set_str(object, "role", "member");
    json_set_str(object, "state", "active");
    sandbox_reply_json(asking->response, 200, object);
}

// Members of the organisation, or of a team.
static void
answer_members(const struct asking *asking, const char *slug)
{
    const struct github_people *people = asking->sandbox->github->people;
    const struct github_paging paging = sandbox_github_paging_of(asking->request);
    struct json *list = json_make_array();
    int64_t total = 0;
    for (size_t i = 0; i < people->count; i++) {
        const struct github_person *person = people->list[i];
        if (person->is_member && (slug == NULL || sandbox_github_person_is_in(person, slug))) {
            append_paged(list, &paging, total++,
                sandbox_shape_user(asking->sandbox, asking->base, person->login));
        }
    }
    reply_list(asking, &paging, total, list);
}

static void
answer_teams(const struct asking *asking)
{
    const struct github_people *people = asking->sandbox->github->people;
    const struct github_paging paging = sandbox_github_paging_of(asking->request);
    struct json *list = json_make_array();
    for (size_t i = 0; i < people->team_count; i++) {
        append_paged(list, &paging, (int64_t)i, shape_team(asking, people->teams[i].slug, false));
    }
    reply_list(asking, &paging, (int64_t)people->team_count, list);
}

static bool
may_see_members(const struct asking *asking)
{
    if (asking->self != NULL) {
        if (!asking->self->is_member) {
            sandbox_github_problem(asking->response, 404, "Not Found");
        }
        return asking->self->is_member;
    }
    bool granted = asking->token->permissions == NULL ||
                   json_str(json_get(asking->token->permissions, "members")) != NULL;
    if (!granted) {
        sandbox_github_problem(asking->response, 403, "Resource not accessible by integration");
    }
    return granted;
}

static void
answer_team(const struct asking *asking)
{
    struct sandbox_request *request = asking->request;
    size_t from = asking->from, count = request->part_count;
    const char *slug = request->parts[from + 3];
    if (sandbox_github_team_id(asking->sandbox, slug) == 0) {
        sandbox_github_problem(asking->response, 404, "Not Found");
    } else if (count == from + 4) {
        sandbox_reply_json(asking->response, 200, shape_team(asking, slug, true));
    } else if (sandbox_request_match(request, from + 4, "members")) {
        answer_members(asking, slug);
    } else if (sandbox_request_match(request, from + 4, "memberships/:")) {
        answer_team_membership(
            asking, slug, sandbox_github_person(asking->sandbox, request->parts[from + 5]));
    } else {
        sandbox_github_problem(asking->response, 404, "Not Found");
    }
}

static void
answer_organization(const struct asking *asking)
{
    struct sandbox_request *request = asking->request;
    size_t from = asking->from;
    const char *kind = request->part_count > from + 2 ? request->parts[from + 2] : "";
    const struct github_person *person =
        request->part_count == from + 4
            ? sandbox_github_person(asking->sandbox, request->parts[from + 3])
            : NULL;
    if (!is_organization(asking, request->part_count > from + 1 ? request->parts[from + 1] : "")) {
        sandbox_github_problem(asking->response, 404, "Not Found");
    } else if (request->part_count == from + 2) {
        sandbox_reply_json(asking->response, 200, shape_full_organization(asking));
    } else if (!may_see_members(asking)) {
        return;
    } else if (strcmp(kind, "members") == 0 && request->part_count == from + 3) {
        answer_members(asking, NULL);
    } else if (strcmp(kind, "members") == 0 && request->part_count == from + 4) {
        answer_member(asking, person);
    } else if (strcmp(kind, "memberships") == 0 && request->part_count == from + 4) {
        answer_membership(asking, person);
    } else if (strcmp(kind, "teams") == 0 && request->part_count == from + 3) {
        answer_teams(asking);
    } else if (strcmp(kind, "teams") == 0 && request->part_count > from + 3) {
        answer_team(asking);
    } else {
        sandbox_github_problem(asking->response, 404, "Not Found");
    }
}

bool
sandbox_github_orgs_handle(struct sandbox *sandbox, const struct github_token *token,
    struct sandbox_request *request, size_t from, struct sandbox_response *response)
{
    const char *first = request->part_count > from ? request->parts[from] : "";
    struct asking asking = {sandbox, token,
        sandbox_github_is_person(token)
            ? sandbox_github_person(sandbox, sandbox_github_login_of(token))
            : NULL,
        request, response, sandbox_github_base(sandbox, request), from};
    bool own = strcmp(first, "user") == 0, other = sandbox_request_match(request, from, "users/:");
    if ((!own && !other && strcmp(first, "orgs") != 0) || !sandbox_request_is(request, "GET")) {
        return false;
    }
    if (own) {
        answer_own(&asking);
    } else if (!other) {
        answer_organization(&asking);
    } else if (sandbox_github_person(sandbox, request->parts[from + 1]) == NULL) {
        sandbox_github_problem(response, 404, "Not Found");
    } else {
        asking.self = sandbox_github_person(sandbox, request->parts[from + 1]);
        answer_self(&asking);
    }
    return true;
}
