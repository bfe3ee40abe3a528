// Statuses of commits over REST: set, listed, and combined into one word.
#include <string.h>

#include "dispatcher/memory.h"
#include "github_report_internal.h"

enum { DESCRIPTION_MAX = 140, CONTEXT_MAX = 255, PER_CONTEXT_MAX = 1000 };

static bool
is_of(const struct json *status, const char *sha, const char *context)
{
    return cstr_equal(json_str(json_get(status, "sha")), sha) &&
           (context == NULL ||
               str_equal_nocase(str_of(json_str(json_get(status, "context"))), str_of(context)));
}

const struct json *
sandbox_commit_status_last(
    const struct github_reports *reports, const char *sha, const char *context)
{
    for (size_t i = reports->commit_statuses.count; i-- > 0;) {
        if (is_of(reports->commit_statuses.items[i], sha, context)) {
            return reports->commit_statuses.items[i];
        }
    }
    return NULL;
}

static bool
check_status(const struct report_call *call, const char *sha, const char *context)
{
    static const char *const states[] = {"error", "failure", "pending", "success", NULL};
    static const struct report_rule rules[] = {
        {.key = "state", .type = REPORT_TEXT, .words = states, .required = true},
        {.key = "context", .type = REPORT_TEXT, .max = CONTEXT_MAX},
        {.key = "description", .type = REPORT_TEXT, .max = DESCRIPTION_MAX, .nullable = true},
        {.key = "target_url", .type = REPORT_URL, .nullable = true},
    };
    struct report_flaws flaws = {.resource = "Status"};
    sandbox_flaws_check(&flaws, call->body, rules, ARRAY_LENGTH(rules));
    size_t count = 0;
    for (size_t i = 0; i < call->reports->commit_statuses.count; i++) {
        count += is_of(call->reports->commit_statuses.items[i], sha, context) ? 1 : 0;
    }
    if (count >= PER_CONTEXT_MAX) {
        sandbox_flaw_add(&flaws, NULL, "custom",
            "This SHA and context has reached the maximum number of statuses.");
    }
    return !sandbox_flaws_answer(&flaws, call->response);
}

static struct json *
text_or_null(const struct json *object, const char *key)
{
    const char *text = json_str(json_get(object, key));
    return text != NULL ? json_make_string(text) : json_make_null();
}

void
sandbox_commit_status_create(const struct report_call *call)
{
    const char *sha = call->parts[1], *context = json_str(json_get(call->body, "context"));
    context = context != NULL ? context : "default";
    if (!sandbox_report_is_sha(sha)) {
        sandbox_github_problem(call->response, 422, "No commit found for SHA: %s", sha);
        return;
    }
    if (!check_status(call, sha, context)) {
        return;
    }
    struct json *record = sandbox_report_new(call, "creator");
    json_set_str(record, "sha", sha);
    json_set_str(record, "state", json_str(json_get(call->body, "state")));
    json_set_str(record, "context", context);
    json_set(record, "description", text_or_null(call->body, "description"));
    json_set(record, "target_url", text_or_null(call->body, "target_url"));
    sandbox_report_add(&call->reports->commit_statuses, record);
    sandbox_reply_json(call->response, 201, sandbox_shape_commit_status(call, record));
}

static bool
is_of_commit(const struct report_call *call, const struct json *record)
{
    return is_of(record, call->sha, NULL);
}

void
sandbox_commit_status_list(const struct report_call *call)
{
    const struct report_view view = {.list = &call->reports->commit_statuses,
        .fits = is_of_commit,
        .shape = sandbox_shape_commit_status};
    sandbox_report_list_of_commit(call, &view);
}

// Of all contexts: one failure is a failure, one that is not done yet is pending.
static const char *
combine(const char *sum, const char *state)
{
    bool failed = strcmp(state, "failure") == 0 || strcmp(state, "error") == 0;
    if (failed || strcmp(sum, "failure") == 0) {
        return "failure";
    }
    return strcmp(state, "pending") == 0 ? "pending" : sum;
}

void
sandbox_commit_status_combined(const struct report_call *call)
{
    const char *sha = sandbox_report_sha(call), *sum = "success";
    if (sha == NULL) {
        return;
    }
    struct json *list = json_make_array(), *body = json_make_object();
    const struct report_list *all = &call->reports->commit_statuses;
    for (size_t i = 0; i < all->count; i++) {
        const char *context = json_str(json_get(all->items[i], "context"));
        if (is_of(all->items[i], sha, NULL) &&
            sandbox_commit_status_last(call->reports, sha, context) == all->items[i]) {
            sum = combine(sum, json_str(json_get(all->items[i], "state")));
            json_append(list, sandbox_shape_commit_status(call, all->items[i]));
        }
    }
    char *url CLEANUP(xfreep) =
        xasprintf("%s/repos/%s/commits/%s", call->base, call->repo->full, sha);
    char *own CLEANUP(xfreep) = xasprintf("%s/status", url);
    json_set_str(body, "state", json_count(list) == 0 ? "pending" : sum);
    json_set_str(body, "sha", sha);
    json_set_int(body, "total_count", (int64_t)json_count(list));
    json_set(body, "statuses", list);
    json_set(body, "repository", sandbox_shape_repo(call->sandbox, call->base, call->repo, false));
    json_set_str(body, "commit_url", url);
    json_set_str(body, "url", own);
    sandbox_reply_json(call->response, 200, body);
}
