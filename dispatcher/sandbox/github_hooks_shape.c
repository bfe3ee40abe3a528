// Webhooks out: what each event says, as GitHub spells it (checked against its published schemas by
// tests/integration/sandbox_service.bats). Events of runs that never started are not told: GitHub
// tells nothing of a startup_failure either.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_hooks_internal.h"

static const char zero_sha[] = "0000000000000000000000000000000000000000";

static char *
base_of(const struct sandbox *sandbox)
{
    return xasprintf(
        "%s/%s", sandbox->origin, sandbox->options->ghes != NULL ? "api/v3" : "github");
}

struct keeping {
    struct json *kept;
    const char *const *dropped;
};

static void
keep_member(void *ctx, const char *key, const struct json *value)
{
    struct keeping *keeping = ctx;
    for (size_t i = 0; keeping->dropped[i] != NULL; i++) {
        if (strcmp(keeping->dropped[i], key) == 0) {
            return;
        }
    }
    json_set(keeping->kept, key, json_clone(value));
}

// Takes `object`.
static struct json *
without(struct json *object, const char *const *dropped)
{
    struct keeping keeping = {json_make_object(), dropped};
    json_each(object, keep_member, &keeping);
    json_free(object);
    return keeping.kept;
}

// What webhooks say of a repository is a little more and a little less than what REST says.
static struct json *
shape_repository(const struct sandbox *sandbox, const char *base, const struct github_repo *repo)
{
    static const char *const dropped[] = {"network_count", "subscribers_count", NULL};
    struct json *object = without(sandbox_shape_repo(sandbox, base, repo, true), dropped);
    json_set_bool(object, "is_template", false);
    json_set_bool(object, "web_commit_signoff_required", false);
    json_set(object, "topics", json_make_array());
    json_set(object, "custom_properties", json_make_object());
    return object;
}

static struct json *
start_payload(const struct sandbox *sandbox, const char *base, const struct github_repo *repo,
    const char *login)
{
    struct json *payload = json_make_object(), *installation = json_make_object();
    json_set(payload, "repository", shape_repository(sandbox, base, repo));
    json_set(payload, "organization", sandbox_shape_organization(sandbox, base));
    json_set(payload, "sender", sandbox_shape_user(sandbox, base, login));
    json_set_int(installation, "id", GITHUB_INSTALLATION_ID);
    sandbox_shape_node_id(installation, "MDIzO", GITHUB_INSTALLATION_ID);
    json_set(payload, "installation", installation);
    return payload;
}

static bool
never_started(const struct github_run *run)
{
    return cstr_equal(run->forced, "startup_failure") ||
           cstr_equal(run->conclusion, "startup_failure");
}

void
sandbox_webhook_run(struct github_run *run, const char *action)
{
    struct sandbox *sandbox = run->sandbox;
    if (!sandbox_webhook_wants(sandbox, "workflow_run") || never_started(run)) {
        return;
    }
    char *base CLEANUP(xfreep) = base_of(sandbox);
    struct json *payload = start_payload(sandbox, base, run->repo, run->actor);
    struct github_file *file = sandbox_github_file_get(sandbox->github, run->repo, run->file);
    json_set_str(payload, "action", action);
    json_set(
        payload, "workflow", sandbox_shape_workflow(sandbox, base, run->repo, file, run->name));
    json_set(payload, "workflow_run", sandbox_shape_run(base, run));
    sandbox_webhook_emit(sandbox, run->repo, "workflow_run", action, payload);
}

void
sandbox_webhook_job(struct github_run *run, const struct run_job *job, const char *action)
{
    struct sandbox *sandbox = run->sandbox;
    if (!sandbox_webhook_wants(sandbox, "workflow_job") || never_started(run)) {
        return;
    }
    char *base CLEANUP(xfreep) = base_of(sandbox);
    struct json *payload = start_payload(sandbox, base, run->repo, run->actor);
    json_set_str(payload, "action", action);
    json_set(payload, "workflow_job", sandbox_shape_job(base, run, job));
    sandbox_webhook_emit(sandbox, run->repo, "workflow_job", action, payload);
}

// --- ping ----------------------------------------------------------------------------------------

void
sandbox_webhook_ping(struct sandbox *sandbox)
{
    static const char *const events[] = {"push", "workflow_job", "workflow_run"};
    struct github_hooks *hooks = sandbox->github->hooks;
    struct json *payload = json_make_object(), *hook = json_make_object(),
                *config = json_make_object(), *list = json_make_array();
    char *base CLEANUP(xfreep) = base_of(sandbox);
    char *url CLEANUP(xfreep) = xasprintf("%s/app/hook/config", base);
    char *deliveries CLEANUP(xfreep) = xasprintf("%s/app/hook/deliveries", base);
    for (size_t i = 0; i < ARRAY_LENGTH(events); i++) {
        json_append(list, json_make_string(events[i]));
    }
    json_set_str(config, "content_type", "json");
    json_set_str(config, "insecure_ssl", "0");
    json_set_str(config, "secret", "********");
    json_set_str(config, "url", json_str(json_at(hooks->urls, 0)));
    json_set_str(hook, "type", "App");
    json_set_int(hook, "id", GITHUB_HOOK_ID);
    json_set_str(hook, "name", "web");
    json_set_bool(hook, "active", true);
    json_set_int(hook, "app_id", GITHUB_APP_ID);
    json_set(hook, "events", list);
    json_set(hook, "config", config);
    json_set_str(hook, "updated_at", "2026-01-01T00:00:00Z");
    json_set_str(hook, "created_at", "2026-01-01T00:00:00Z");
    json_set_str(hook, "url", url);
    json_set_str(hook, "ping_url", url);
    json_set_str(hook, "deliveries_url", deliveries);
    json_set_str(payload, "zen", "Keep it logically awesome.");
    json_set_int(payload, "hook_id", GITHUB_HOOK_ID);
    json_set(payload, "hook", hook);
    sandbox_webhook_emit(sandbox, NULL, "ping", NULL, payload);
}

// --- push ----------------------------------------------------------------------------------------

static struct json *
list_or_empty(const struct json *value)
{
    return json_is_array(value) ? json_clone(value) : json_make_array();
}

static struct json *
shape_author(const struct json *item)
{
    const struct json *given = json_get(item, "author");
    struct json *author = json_make_object();
    const char *name = json_str(json_get(given, "name"));
    const char *email = json_str(json_get(given, "email"));
    json_set_str(author, "name", name != NULL ? name : "The Octocat");
    json_set_str(author, "email", email != NULL ? email : "octocat@example.org");
    json_set_str(author, "username", json_str(json_get(given, "login")));
    return author;
}

static struct json *
shape_commit(const struct sandbox *sandbox, const struct hook_push *push, const struct json *item)
{
    static const char *const lists[] = {"added", "removed", "modified"};
    const char *id = json_str(item) != NULL ? json_str(item) : json_str(json_get(item, "id"));
    const char *message = json_str(json_get(item, "message"));
    struct json *commit = json_make_object();
    id = id != NULL ? id : push->after;
    char *url CLEANUP(xfreep) = xasprintf("%s/%s/commit/%s", sandbox->origin, push->repo->full, id);
    json_set_str(commit, "id", id);
    json_set_str(commit, "tree_id", id);
    json_set_bool(commit, "distinct", true);
    json_set_str(commit, "message", message != NULL ? message : "Commit");
    sandbox_shape_time(commit, "timestamp", sandbox_now(sandbox));
    json_set_str(commit, "url", url);
    json_set(commit, "author", shape_author(item));
    json_set(commit, "committer", shape_author(item));
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        json_set(commit, lists[i], list_or_empty(json_get(item, lists[i])));
    }
    return commit;
}

static void
set_commits(const struct sandbox *sandbox, const struct hook_push *push, struct json *payload)
{
    struct json *commits = json_make_array();
    bool deleted = strcmp(push->after, zero_sha) == 0;
    for (size_t i = 0; i < json_count(push->commits); i++) {
        json_append(commits, shape_commit(sandbox, push, json_at(push->commits, i)));
    }
    if (!deleted && json_count(commits) == 0) {
        json_append(commits, shape_commit(sandbox, push, NULL));
    }
    size_t count = json_count(commits);
    json_set(payload, "head_commit",
        count > 0 ? json_clone(json_at(commits, count - 1)) : json_make_null());
    json_set(payload, "commits", commits);
}

void
sandbox_webhook_push(struct sandbox *sandbox, const struct hook_push *push)
{
    if (!sandbox_webhook_wants(sandbox, "push")) {
        return;
    }
    char *base CLEANUP(xfreep) = base_of(sandbox);
    struct json *payload = start_payload(sandbox, base, push->repo, push->login);
    struct json *pusher = json_make_object();
    char *compare CLEANUP(xfreep) = xasprintf("%s/%s/compare/%.12s...%.12s", sandbox->origin,
        push->repo->full, push->before, push->after);
    json_set_str(payload, "ref", push->ref);
    json_set_str(payload, "before", push->before);
    json_set_str(payload, "after", push->after);
    json_set_bool(payload, "created", strcmp(push->before, zero_sha) == 0);
    json_set_bool(payload, "deleted", strcmp(push->after, zero_sha) == 0);
    json_set_bool(payload, "forced", false);
    json_set(payload, "base_ref", json_make_null());
    json_set_str(payload, "compare", compare);
    json_set_str(pusher, "name", push->login);
    json_set_str(pusher, "email", "octocat@example.org");
    json_set(payload, "pusher", pusher);
    set_commits(sandbox, push, payload);
    sandbox_webhook_emit(sandbox, push->repo, "push", NULL, payload);
}
