// Orders about reports: pull requests, comments of others, tokens that may less, limits, what the
// App has been granted; and all that was reported, as JSON.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_report_internal.h"

enum { CREATIONS_MAX = 100000 };

struct order {
    struct sandbox *sandbox;
    const struct sandbox_request *request;
    const struct json *body;
    struct sandbox_response *response;
};

static const char *
text_or(const struct json *object, const char *key, const char *fallback)
{
    const char *text = json_str(json_get(object, key));
    return text != NULL ? text : fallback;
}

// The repository that the order names; NULL when it has answered.
static struct github_repo *
repo_of(const struct order *order)
{
    struct github_repo *repo = sandbox_github_repo_named(
        order->sandbox->github, json_str(json_get(order->body, "repository")));
    if (repo == NULL) {
        sandbox_reply_problem(order->response, 404, "no such repository");
    }
    return repo;
}

// --- pull requests and comments ------------------------------------------------------------------

// "sha": one or a list.
static struct json *
shas_of(const struct json *body)
{
    const struct json *sha = json_get(body, "sha");
    struct json *list = json_make_array();
    for (size_t i = 0; i < json_count(sha); i++) {
        json_append(list, json_clone(json_at(sha, i)));
    }
    if (json_str(sha) != NULL) {
        json_append(list, json_clone(sha));
    }
    return list;
}

static bool
are_shas(const struct json *list)
{
    for (size_t i = 0; i < json_count(list); i++) {
        if (!sandbox_report_is_sha(json_str(json_at(list, i)))) {
            return false;
        }
    }
    return json_count(list) > 0;
}

static struct json *
new_pull(const struct order *order, const char *state, int64_t number)
{
    struct json *record = json_make_object();
    int64_t now = sandbox_now(order->sandbox);
    bool merged = strcmp(state, "merged") == 0, open = strcmp(state, "open") == 0;
    char *title CLEANUP(xfreep) = xasprintf("Pull request %lld", (long long)number);
    char *head CLEANUP(xfreep) = xasprintf("topic-%lld", (long long)number);
    json_set_int(record, "id", sandbox_github_next_id(order->sandbox->github));
    json_set_int(record, "number", number);
    json_set_str(record, "title", text_or(order->body, "title", title));
    json_set_str(record, "state", open ? "open" : "closed");
    json_set_str(record, "base", text_or(order->body, "base", "main"));
    json_set_str(record, "head", text_or(order->body, "head", head));
    json_set_str(record, "user", text_or(order->body, "login", sandbox_github_user_login));
    sandbox_shape_time(record, "created_at", now);
    sandbox_shape_time(record, "updated_at", now);
    sandbox_shape_time(record, "merged_at", merged ? now : 0);
    sandbox_shape_time(record, "closed_at", open ? 0 : now);
    json_set(record, "shas", shas_of(order->body));
    return record;
}

// In place of the one of that number.
static void
put_pull(struct report_list *pulls, struct json *record)
{
    int64_t number = json_int(json_get(record, "number"), 0);
    for (size_t i = 0; i < pulls->count; i++) {
        if (json_int(json_get(pulls->items[i], "number"), 0) == number) {
            json_free(pulls->items[i]);
            pulls->items[i] = record;
            return;
        }
    }
    sandbox_report_add(pulls, record);
}

static void
add_pull(const struct order *order)
{
    struct github_repo *repo = repo_of(order);
    if (repo == NULL) {
        return;
    }
    const char *state = text_or(order->body, "state", "open");
    int64_t number = json_int(json_get(order->body, "number"), 0);
    bool known =
        strcmp(state, "open") == 0 || strcmp(state, "closed") == 0 || strcmp(state, "merged") == 0;
    struct json *record = new_pull(order, state, number);
    if (number <= 0 || !known || !are_shas(json_get(record, "shas"))) {
        json_free(record);
        sandbox_reply_problem(order->response, 422,
            "'number' is above 0, 'state' open, closed or merged, 'sha' one or more commits");
        return;
    }
    sandbox_reply_json(order->response, 201, json_clone(record));
    put_pull(&sandbox_reports_of(repo)->pulls, record);
}

static void
add_comment(const struct order *order)
{
    struct github_repo *repo = repo_of(order);
    if (repo == NULL) {
        return;
    }
    int64_t number = json_int(json_get(order->body, "number"), 0);
    const char *text = json_str(json_get(order->body, "body"));
    if (number <= 0 || text == NULL) {
        sandbox_reply_problem(order->response, 422, "'number' is above 0, 'body' a text");
        return;
    }
    struct json *record = json_make_object();
    int64_t now = sandbox_now(order->sandbox);
    json_set_int(record, "id", sandbox_github_next_id(order->sandbox->github));
    json_set_int(record, "number", number);
    json_set_str(record, "body", text);
    json_set_str(record, "user", text_or(order->body, "login", "stranger"));
    json_set_str(record, "author_association", text_or(order->body, "association", "NONE"));
    sandbox_shape_time(record, "created_at", now);
    sandbox_shape_time(record, "updated_at", now);
    sandbox_report_add(&sandbox_reports_of(repo)->comments, record);
    sandbox_reply_json(order->response, 201, json_clone(record));
}

// --- repositories, tokens, limits ----------------------------------------------------------------

// {"kind": "personal" | "job", "permissions": {"deployments": "write"}}
static void
add_token(const struct order *order)
{
    const char *kind = text_or(order->body, "kind", "");
    const struct json *permissions = json_get(order->body, "permissions");
    bool personal = strcmp(kind, "personal") == 0;
    if ((!personal && strcmp(kind, "job") != 0) ||
        (!json_is_null(permissions) && !json_is_object(permissions))) {
        sandbox_reply_problem(
            order->response, 422, "'kind' is personal or job, 'permissions' an object");
        return;
    }
    char *text CLEANUP(xfreep) = xasprintf("%s_%s", personal ? "ghp" : "ghs",
        sandbox_random(order->sandbox, order->request->arena, 18));
    struct github_token *token = sandbox_github_token_add(
        order->sandbox, personal ? GITHUB_TOKEN_PERSONAL : GITHUB_TOKEN_JOB, text);
    token->permissions = json_is_object(permissions) ? json_clone(permissions) : NULL;
    struct json *body = json_make_object();
    json_set_str(body, "token", text);
    sandbox_reply_json(order->response, 201, body);
}

static void
set_limits(const struct order *order)
{
    struct github_state *github = order->sandbox->github;
    const struct json *limit = json_get(order->body, "creations_per_minute");
    if (!json_is_int(limit) || json_int(limit, 0) < 0 || json_int(limit, 0) > CREATIONS_MAX) {
        sandbox_reply_problem(order->response, 422,
            "'creations_per_minute' is a number from 0 (no limit) to %d", CREATIONS_MAX);
        return;
    }
    github->creations_per_minute = json_int(limit, 0);
    for (size_t i = 0; i < github->token_count; i++) {
        github->tokens[i]->creation_count = 0;
    }
    order->response->status = 204;
}

// {"permissions": {"statuses": "write"}}: what the App has been granted from now on.
static void
set_installation(const struct order *order)
{
    const struct json *permissions = json_get(order->body, "permissions");
    if (!json_is_object(permissions)) {
        sandbox_reply_problem(order->response, 422, "'permissions' is no object");
        return;
    }
    json_free(order->sandbox->github->granted);
    order->sandbox->github->granted = json_clone(permissions);
    order->response->status = 204;
}

bool
sandbox_reports_control(struct sandbox *sandbox, const struct sandbox_request *request,
    const struct json *body, struct sandbox_response *response)
{
    static const struct {
        const char *name;
        void (*follow)(const struct order *order);
    } orders[] = {
        {"pulls", add_pull},
        {"comments", add_comment},
        {"tokens", add_token},
        {"limits", set_limits},
        {"installation", set_installation},
    };
    const struct order order = {sandbox, request, body, response};
    for (size_t i = 0; i < ARRAY_LENGTH(orders); i++) {
        if (sandbox_request_match(request, 2, orders[i].name)) {
            orders[i].follow(&order);
            return true;
        }
    }
    return false;
}

// --- what was reported ---------------------------------------------------------------------------

static struct json *
list_json(const struct report_list *list)
{
    struct json *all = json_make_array();
    for (size_t i = 0; i < list->count; i++) {
        json_append(all, json_clone(list->items[i]));
    }
    return all;
}

static struct json *
deployments_json(const struct github_reports *reports)
{
    struct json *all = json_make_array();
    for (size_t i = 0; i < reports->deployments.count; i++) {
        struct json *item = json_clone(reports->deployments.items[i]), *list = json_make_array();
        int64_t id = json_int(json_get(item, "id"), 0);
        for (size_t k = 0; k < reports->deployment_statuses.count; k++) {
            const struct json *status = reports->deployment_statuses.items[k];
            if (json_int(json_get(status, "deployment_id"), 0) == id) {
                json_append(list, json_clone(status));
            }
        }
        json_set(item, "statuses", list);
        json_append(all, item);
    }
    return all;
}

struct json *
sandbox_github_reports_json(const struct sandbox *sandbox)
{
    static const struct github_reports none = {0};
    struct json *all = json_make_object();
    for (size_t i = 0; i < sandbox->github->repo_count; i++) {
        const struct github_repo *repo = sandbox->github->repos[i];
        const struct github_reports *reports = repo->reports != NULL ? repo->reports : &none;
        struct json *item = json_make_object();
        json_set(item, "deployments", deployments_json(reports));
        json_set(item, "commit_statuses", list_json(&reports->commit_statuses));
        json_set(item, "check_runs", list_json(&reports->check_runs));
        json_set(item, "comments", list_json(&reports->comments));
        json_set(item, "pulls", list_json(&reports->pulls));
        json_set(all, repo->full, item);
    }
    return all;
}
