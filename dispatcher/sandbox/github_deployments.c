// Deployments over REST: made without a merge or after it, their statuses, and what becomes
// inactive by itself.
#include <string.h>

#include "dispatcher/memory.h"
#include "github_report_internal.h"

enum { DESCRIPTION_MAX = 140, NAME_MAX_CHARACTERS = 255 };

static const char *
text_or(const struct json *object, const char *key, const char *fallback)
{
    const char *text = json_str(json_get(object, key));
    return text != NULL ? text : fallback;
}

// --- making one ----------------------------------------------------------------------------------

static bool
are_texts(const struct json *list)
{
    bool fine = json_is_array(list);
    for (size_t i = 0; i < json_count(list); i++) {
        fine = fine && json_str(json_at(list, i)) != NULL;
    }
    return fine;
}

static bool
check_deployment(const struct report_call *call)
{
    static const struct report_rule rules[] = {
        {.key = "ref", .type = REPORT_TEXT, .required = true},
        {.key = "task", .type = REPORT_TEXT, .max = NAME_MAX_CHARACTERS},
        {.key = "environment", .type = REPORT_TEXT, .max = NAME_MAX_CHARACTERS},
        {.key = "description", .type = REPORT_TEXT, .max = DESCRIPTION_MAX, .nullable = true},
        {.key = "auto_merge", .type = REPORT_FLAG},
        {.key = "transient_environment", .type = REPORT_FLAG},
        {.key = "production_environment", .type = REPORT_FLAG},
    };
    struct report_flaws flaws = {.resource = "Deployment"};
    sandbox_flaws_check(&flaws, call->body, rules, ARRAY_LENGTH(rules));
    const struct json *payload = json_get(call->body, "payload");
    const struct json *contexts = json_get(call->body, "required_contexts");
    if (!json_is_null(payload) && !json_is_object(payload) && json_str(payload) == NULL) {
        sandbox_flaw_add(&flaws, "payload", "invalid", NULL);
    }
    if (!json_is_null(contexts) && !are_texts(contexts)) {
        sandbox_flaw_add(&flaws, "required_contexts", "invalid", NULL);
    }
    return !sandbox_flaws_answer(&flaws, call->response);
}

static bool
find_ref(const struct report_call *call, const char *ref, struct source_ref *out)
{
    bool found = sandbox_report_is_sha(ref);
    *out = (struct source_ref){.name = ref, .full = "", .sha = ref};
    struct error *err CLEANUP(error_freep) = found
                                                 ? NULL
                                                 : sandbox_source_resolve(call->sandbox, call->repo,
                                                       ref, call->request->arena, out, &found);
    if (err != NULL || !found) {
        sandbox_github_problem(call->response, 422, "No ref found for: %s", ref);
    }
    return err == NULL && found;
}

// By default GitHub brings the default branch into a branch that is to be deployed first.
static bool
merges(const struct report_call *call, const struct source_ref *ref)
{
    const char *trunk = sandbox_source_default_branch(call->repo, call->request->arena);
    bool is_branch = str_starts(str_of(ref->full), STR("refs/heads/"));
    if (!is_branch || strcmp(ref->name, trunk) == 0 ||
        !json_bool(json_get(call->body, "auto_merge"), true)) {
        return false;
    }
    struct json *body = json_make_object();
    char *message CLEANUP(xfreep) =
        xasprintf("Auto-merged %s into %s on deployment.", trunk, ref->name);
    json_set_str(body, "message", message);
    sandbox_reply_json(call->response, 202, body);
    return true;
}

static bool
is_green(const struct github_reports *reports, const char *sha, const char *context)
{
    const struct json *last = sandbox_commit_status_last(reports, sha, context);
    return cstr_equal(json_str(json_get(last, "state")), "success");
}

// Without a list every status of the commit must be green, with one those in it.
static bool
contexts_fail(const struct report_call *call, const struct source_ref *ref)
{
    const struct json *wanted = json_get(call->body, "required_contexts");
    bool fine = true;
    for (size_t i = 0; i < json_count(wanted); i++) {
        fine = fine && is_green(call->reports, ref->sha, json_str(json_at(wanted, i)));
    }
    const struct report_list *statuses = &call->reports->commit_statuses;
    for (size_t i = 0; json_is_null(wanted) && i < statuses->count; i++) {
        const struct json *status = statuses->items[i];
        bool here = cstr_equal(json_str(json_get(status, "sha")), ref->sha);
        fine = fine &&
               (!here || is_green(call->reports, ref->sha, json_str(json_get(status, "context"))));
    }
    if (!fine) {
        sandbox_github_problem(
            call->response, 409, "Conflict: Commit status checks failed for %s.", ref->name);
    }
    return !fine;
}

static struct json *
new_deployment(const struct report_call *call, const struct source_ref *ref)
{
    struct json *record = sandbox_report_new(call, "creator");
    const char *environment = text_or(call->body, "environment", "production");
    const struct json *payload = json_get(call->body, "payload");
    json_set_str(record, "sha", ref->sha);
    json_set_str(record, "ref", ref->name);
    json_set_str(record, "task", text_or(call->body, "task", "deploy"));
    json_set_str(record, "environment", environment);
    json_set_str(record, "original_environment", environment);
    json_set_str(record, "description", text_or(call->body, "description", ""));
    json_set(record, "payload", json_is_null(payload) ? json_make_object() : json_clone(payload));
    json_set_bool(record, "transient_environment",
        json_bool(json_get(call->body, "transient_environment"), false));
    json_set_bool(record, "production_environment",
        json_bool(json_get(call->body, "production_environment"),
            strcmp(environment, "production") == 0));
    return record;
}

void
sandbox_deployment_create(const struct report_call *call)
{
    struct source_ref ref = {0};
    if (!check_deployment(call) || !find_ref(call, json_str(json_get(call->body, "ref")), &ref) ||
        merges(call, &ref) || contexts_fail(call, &ref)) {
        return;
    }
    struct json *record = new_deployment(call, &ref);
    sandbox_report_add(&call->reports->deployments, record);
    sandbox_reply_json(call->response, 201, sandbox_shape_deployment(call, record));
}

// --- reading -------------------------------------------------------------------------------------

static bool
fits_query(const struct report_call *call, const struct json *record)
{
    static const char *const filters[] = {"sha", "ref", "task", "environment"};
    for (size_t i = 0; i < ARRAY_LENGTH(filters); i++) {
        const char *wanted = sandbox_request_query(call->request, filters[i]);
        bool any =
            wanted == NULL || strcmp(wanted, "none") == 0; // what the description defaults to
        if (!any && !cstr_equal(json_str(json_get(record, filters[i])), wanted)) {
            return false;
        }
    }
    return true;
}

void
sandbox_deployment_list(const struct report_call *call)
{
    const struct report_view view = {
        .list = &call->reports->deployments, .fits = fits_query, .shape = sandbox_shape_deployment};
    sandbox_report_list(call, &view);
}

// The deployment that the path names; NULL when it has answered with 404.
static struct json *
deployment_of(const struct report_call *call)
{
    struct json *record =
        sandbox_report_find(&call->reports->deployments, sandbox_report_number(call, 1));
    if (record == NULL) {
        sandbox_github_problem(call->response, 404, "Not Found");
    }
    return record;
}

void
sandbox_deployment_show(const struct report_call *call)
{
    const struct json *record = deployment_of(call);
    if (record != NULL) {
        sandbox_reply_json(call->response, 200, sandbox_shape_deployment(call, record));
    }
}

// --- statuses ------------------------------------------------------------------------------------

static bool
check_status(const struct report_call *call)
{
    static const char *const states[] = {
        "error", "failure", "inactive", "in_progress", "queued", "pending", "success", NULL};
    static const struct report_rule rules[] = {
        {.key = "state", .type = REPORT_TEXT, .words = states, .required = true},
        {.key = "description", .type = REPORT_TEXT, .max = DESCRIPTION_MAX},
        {.key = "log_url", .type = REPORT_URL},
        {.key = "target_url", .type = REPORT_URL},
        {.key = "environment_url", .type = REPORT_URL},
        {.key = "environment", .type = REPORT_TEXT, .max = NAME_MAX_CHARACTERS},
        {.key = "auto_inactive", .type = REPORT_FLAG},
    };
    struct report_flaws flaws = {.resource = "DeploymentStatus"};
    sandbox_flaws_check(&flaws, call->body, rules, ARRAY_LENGTH(rules));
    return !sandbox_flaws_answer(&flaws, call->response);
}

static const struct json *
last_status(const struct github_reports *reports, int64_t deployment)
{
    for (size_t i = reports->deployment_statuses.count; i-- > 0;) {
        const struct json *status = reports->deployment_statuses.items[i];
        if (json_int(json_get(status, "deployment_id"), 0) == deployment) {
            return status;
        }
    }
    return NULL;
}

static struct json *
new_status(const struct report_call *call, const struct json *deployment, const struct json *from)
{
    struct json *record = sandbox_report_new(call, "creator");
    const char *link = text_or(from, "log_url", text_or(from, "target_url", ""));
    json_set_int(record, "deployment_id", json_int(json_get(deployment, "id"), 0));
    json_set_str(record, "state", text_or(from, "state", "inactive"));
    json_set_str(record, "description", text_or(from, "description", ""));
    json_set_str(record, "environment",
        text_or(from, "environment", text_or(deployment, "environment", "")));
    json_set_str(record, "environment_url", text_or(from, "environment_url", ""));
    json_set_str(record, "target_url", link);
    json_set_str(record, "log_url", link);
    sandbox_report_add(&call->reports->deployment_statuses, record);
    return record;
}

// Earlier successes of the same environment, neither transient nor production.
static void
retire_older(const struct report_call *call, const struct json *deployment)
{
    const struct report_list *all = &call->reports->deployments;
    for (size_t i = 0; i < all->count && all->items[i] != deployment; i++) {
        const struct json *older = all->items[i];
        const struct json *last = last_status(call->reports, json_int(json_get(older, "id"), 0));
        bool same = cstr_equal(json_str(json_get(older, "environment")),
            json_str(json_get(deployment, "environment")));
        bool kept = json_bool(json_get(older, "transient_environment"), false) ||
                    json_bool(json_get(older, "production_environment"), false);
        if (same && !kept && cstr_equal(json_str(json_get(last, "state")), "success")) {
            (void)new_status(call, older, NULL);
        }
    }
}

void
sandbox_deployment_status_create(const struct report_call *call)
{
    struct json *deployment = deployment_of(call);
    if (deployment == NULL || !check_status(call)) {
        return;
    }
    json_set_str(deployment, "environment", json_str(json_get(call->body, "environment")));
    sandbox_shape_time(deployment, "updated_at", call->now);
    const struct json *record = new_status(call, deployment, call->body);
    if (cstr_equal(json_str(json_get(record, "state")), "success") &&
        json_bool(json_get(call->body, "auto_inactive"), true)) {
        retire_older(call, deployment);
    }
    sandbox_reply_json(call->response, 201, sandbox_shape_deployment_status(call, record));
}

static bool
is_of_deployment(const struct report_call *call, const struct json *record)
{
    return json_int(json_get(record, "deployment_id"), 0) == sandbox_report_number(call, 1);
}

void
sandbox_deployment_status_list(const struct report_call *call)
{
    const struct report_view view = {.list = &call->reports->deployment_statuses,
        .fits = is_of_deployment,
        .shape = sandbox_shape_deployment_status};
    if (deployment_of(call) != NULL) {
        sandbox_report_list(call, &view);
    }
}

void
sandbox_deployment_status_show(const struct report_call *call)
{
    const struct json *record =
        sandbox_report_find(&call->reports->deployment_statuses, sandbox_report_number(call, 3));
    if (record == NULL || !is_of_deployment(call, record)) {
        sandbox_github_problem(call->response, 404, "Not Found");
        return;
    }
    sandbox_reply_json(call->response, 200, sandbox_shape_deployment_status(call, record));
}
