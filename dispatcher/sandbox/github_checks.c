// Check runs over REST: for Apps and jobs only, with their limits; annotations are added by every
// request. Those of the sandbox's own jobs are github_run.c's.
#include <string.h>

#include "dispatcher/memory.h"
#include "github_report_internal.h"

enum {
    OUTPUT_MAX = 65535,
    ANNOTATIONS_MAX = 50,
    ACTIONS_MAX = 3,
    ANNOTATION_BYTES_MAX = 64 * 1024,
    TITLE_MAX = 255,
    ACTIONS_APP_ID = 15368, // GitHub's own, of all jobs
};

// `stale` is GitHub's alone.
static const char *const conclusions[] = {
    "action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out", NULL};
static const char *const statuses[] = {
    "queued", "in_progress", "completed", "waiting", "requested", "pending", NULL};
static const char *const levels[] = {"notice", "warning", "failure", NULL};

// --- is it what GitHub takes? --------------------------------------------------------------------

static void
check_annotation(struct report_flaws *flaws, const struct json *annotation)
{
    static const struct report_rule rules[] = {
        {.key = "path", .type = REPORT_TEXT, .required = true},
        {.key = "start_line", .type = REPORT_NUMBER, .required = true},
        {.key = "end_line", .type = REPORT_NUMBER, .required = true},
        {.key = "annotation_level", .type = REPORT_TEXT, .words = levels, .required = true},
        {.key = "message", .type = REPORT_TEXT, .max = ANNOTATION_BYTES_MAX, .required = true},
        {.key = "title", .type = REPORT_TEXT, .max = TITLE_MAX},
        {.key = "raw_details", .type = REPORT_TEXT, .max = ANNOTATION_BYTES_MAX},
        {.key = "start_column", .type = REPORT_NUMBER},
        {.key = "end_column", .type = REPORT_NUMBER},
    };
    sandbox_flaws_check(flaws, annotation, rules, ARRAY_LENGTH(rules));
    int64_t first = json_int(json_get(annotation, "start_line"), 1);
    int64_t last = json_int(json_get(annotation, "end_line"), first);
    bool has_columns =
        json_get(annotation, "start_column") != NULL || json_get(annotation, "end_column") != NULL;
    if (first < 0 || last < first || (has_columns && first != last)) {
        sandbox_flaw_add(flaws, "annotations", "invalid", NULL);
    }
}

static void
check_output(struct report_flaws *flaws, const struct json *output, bool is_new)
{
    const struct report_rule rules[] = {
        {.key = "title", .type = REPORT_TEXT, .required = is_new},
        {.key = "summary", .type = REPORT_TEXT, .max = OUTPUT_MAX, .required = true},
        {.key = "text", .type = REPORT_TEXT, .max = OUTPUT_MAX},
    };
    if (json_is_null(output)) {
        return;
    }
    if (!json_is_object(output)) {
        sandbox_flaw_add(flaws, "output", "invalid", NULL);
        return;
    }
    sandbox_flaws_check(flaws, output, rules, ARRAY_LENGTH(rules));
    const struct json *annotations = json_get(output, "annotations");
    if (!json_is_null(annotations) && !json_is_array(annotations)) {
        sandbox_flaw_add(flaws, "annotations", "invalid", NULL);
    }
    if (json_count(annotations) > ANNOTATIONS_MAX) {
        char *message CLEANUP(xfreep) = xasprintf("No more than %d items are allowed; %zu were "
                                                  "supplied.",
            ANNOTATIONS_MAX, json_count(annotations));
        sandbox_flaw_add(flaws, "annotations", "custom", message);
        return;
    }
    for (size_t i = 0; i < json_count(annotations); i++) {
        check_annotation(flaws, json_at(annotations, i));
    }
}

static void
check_actions(struct report_flaws *flaws, const struct json *actions)
{
    static const struct report_rule rules[] = {
        {.key = "label", .type = REPORT_TEXT, .max = 20, .required = true},
        {.key = "description", .type = REPORT_TEXT, .max = 40, .required = true},
        {.key = "identifier", .type = REPORT_TEXT, .max = 20, .required = true},
    };
    if (json_count(actions) > ACTIONS_MAX) {
        sandbox_flaw_add(flaws, "actions", "invalid", NULL);
    }
    for (size_t i = 0; i < json_count(actions); i++) {
        sandbox_flaws_check(flaws, json_at(actions, i), rules, ARRAY_LENGTH(rules));
    }
}

static bool
check_body(const struct report_call *call, bool is_new)
{
    const struct report_rule rules[] = {
        {.key = "name", .type = REPORT_TEXT, .required = is_new},
        {.key = "head_sha", .type = REPORT_TEXT, .required = is_new},
        {.key = "status", .type = REPORT_TEXT, .words = statuses},
        {.key = "conclusion", .type = REPORT_TEXT, .words = conclusions},
        {.key = "details_url", .type = REPORT_URL},
        {.key = "external_id", .type = REPORT_TEXT},
        {.key = "started_at", .type = REPORT_TIME},
        {.key = "completed_at", .type = REPORT_TIME},
    };
    struct report_flaws flaws = {.resource = "CheckRun"};
    sandbox_flaws_check(&flaws, call->body, rules, ARRAY_LENGTH(rules));
    check_output(&flaws, json_get(call->body, "output"), is_new);
    check_actions(&flaws, json_get(call->body, "actions"));
    const char *status = json_str(json_get(call->body, "status"));
    bool concluded = json_str(json_get(call->body, "conclusion")) != NULL;
    if (cstr_equal(status, "completed") && !concluded) {
        sandbox_flaw_add(&flaws, "conclusion", "missing_field", NULL);
    }
    if (status != NULL && strcmp(status, "completed") != 0 && concluded) {
        sandbox_flaw_add(&flaws, "conclusion", "invalid", NULL);
    }
    return !sandbox_flaws_answer(&flaws, call->response);
}

static bool
is_app(const struct report_call *call)
{
    if (call->token->kind == GITHUB_TOKEN_PERSONAL) {
        sandbox_github_problem(call->response, 403, "You must authenticate via a GitHub App.");
        return false;
    }
    return true;
}

static int64_t
app_of(const struct github_token *token)
{
    return token->kind == GITHUB_TOKEN_INSTALLATION ? GITHUB_APP_ID : ACTIONS_APP_ID;
}

// --- making and changing -------------------------------------------------------------------------

static void
copy_text(struct json *record, const struct json *body, const char *key)
{
    json_set_str(record, key, json_str(json_get(body, key)));
}

static void
set_output(struct json *record, const struct json *output)
{
    static const char *const texts[] = {"title", "summary", "text"};
    struct json *whole = json_clone(json_get(record, "output"));
    struct json *annotations = json_clone(json_get(whole, "annotations"));
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        copy_text(whole, output, texts[i]);
    }
    const struct json *more = json_get(output, "annotations");
    for (size_t i = 0; i < json_count(more); i++) {
        json_append(annotations, json_clone(json_at(more, i)));
    }
    json_set(whole, "annotations", annotations);
    json_set(record, "output", whole);
}

static void
set_state(const struct report_call *call, struct json *record)
{
    const char *conclusion = json_str(json_get(call->body, "conclusion"));
    const char *status = json_str(json_get(call->body, "status"));
    if (conclusion != NULL) {
        json_set_str(record, "status", "completed");
        json_set_str(record, "conclusion", conclusion);
        sandbox_shape_time(record, "completed_at", call->now);
    } else if (status != NULL) {
        json_set_str(record, "status", status);
        json_set(record, "conclusion", json_make_null());
        json_set(record, "completed_at", json_make_null());
    }
    copy_text(record, call->body, "completed_at");
}

static void
apply(const struct report_call *call, struct json *record)
{
    static const char *const texts[] = {"name", "external_id", "details_url", "started_at"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        copy_text(record, call->body, texts[i]);
    }
    set_state(call, record);
    sandbox_shape_time(record, "updated_at", call->now);
    if (json_is_object(json_get(call->body, "output"))) {
        set_output(record, json_get(call->body, "output"));
    }
}

static struct json *
new_run(const struct report_call *call, const char *sha)
{
    struct json *record = sandbox_report_new(call, "creator"), *output = json_make_object();
    json_set_str(record, "head_sha", sha);
    json_set_int(record, "app_id", app_of(call->token));
    json_set_str(record, "status", "queued");
    json_set(record, "conclusion", json_make_null());
    json_set_str(record, "external_id", "");
    json_set_str(record, "details_url", call->sandbox->origin);
    sandbox_shape_time(record, "started_at", call->now);
    json_set(record, "completed_at", json_make_null());
    json_set(output, "title", json_make_null());
    json_set(output, "summary", json_make_null());
    json_set(output, "text", json_make_null());
    json_set(output, "annotations", json_make_array());
    json_set(record, "output", output);
    return record;
}

void
sandbox_check_run_create(const struct report_call *call)
{
    const char *sha = json_str(json_get(call->body, "head_sha"));
    if (!is_app(call) || !check_body(call, true)) {
        return;
    }
    if (!sandbox_report_is_sha(sha)) {
        sandbox_github_problem(call->response, 422, "No commit found for SHA: %s", sha);
        return;
    }
    struct json *record = new_run(call, sha);
    apply(call, record);
    sandbox_report_add(&call->reports->check_runs, record);
    sandbox_reply_json(call->response, 201, sandbox_shape_check_run(call, record));
}

// NULL when it has answered with 404.
static struct json *
run_of(const struct report_call *call)
{
    struct json *record =
        sandbox_report_find(&call->reports->check_runs, sandbox_report_number(call, 1));
    if (record == NULL) {
        sandbox_github_problem(call->response, 404, "Not Found");
    }
    return record;
}

void
sandbox_check_run_update(const struct report_call *call)
{
    struct json *record = is_app(call) ? run_of(call) : NULL;
    if (record == NULL) {
        return;
    }
    if (json_int(json_get(record, "app_id"), 0) != app_of(call->token)) {
        sandbox_github_problem(call->response, 403,
            "Invalid app_id `%lld` - check run can only be modified by the GitHub App that created "
            "it.",
            (long long)app_of(call->token));
        return;
    }
    if (check_body(call, false)) {
        apply(call, record);
        sandbox_reply_json(call->response, 200, sandbox_shape_check_run(call, record));
    }
}

// --- reading -------------------------------------------------------------------------------------

void
sandbox_check_run_show(const struct report_call *call)
{
    const struct json *record = run_of(call);
    if (record != NULL) {
        sandbox_reply_json(call->response, 200, sandbox_shape_check_run(call, record));
    }
}

static bool
same(const struct json *a, const struct json *b, const char *key)
{
    return cstr_equal(json_str(json_get(a, key)), json_str(json_get(b, key)));
}

// A later one of the same name, commit and App hides it, unless all are asked for.
static bool
is_hidden(const struct report_call *call, const struct json *record)
{
    if (cstr_equal(sandbox_request_query(call->request, "filter"), "all")) {
        return false;
    }
    int64_t id = json_int(json_get(record, "id"), 0), app = json_int(json_get(record, "app_id"), 0);
    for (size_t i = 0; i < call->reports->check_runs.count; i++) {
        const struct json *other = call->reports->check_runs.items[i];
        if (json_int(json_get(other, "id"), 0) > id &&
            json_int(json_get(other, "app_id"), 0) == app && same(other, record, "name") &&
            same(other, record, "head_sha")) {
            return true;
        }
    }
    return false;
}

static bool
fits_query(const struct report_call *call, const struct json *record)
{
    const char *name = sandbox_request_query(call->request, "check_name");
    const char *status = sandbox_request_query(call->request, "status");
    return cstr_equal(json_str(json_get(record, "head_sha")), call->sha) &&
           (name == NULL || cstr_equal(json_str(json_get(record, "name")), name)) &&
           (status == NULL || cstr_equal(json_str(json_get(record, "status")), status)) &&
           !is_hidden(call, record);
}

void
sandbox_check_run_list(const struct report_call *call)
{
    const struct report_view view = {.list = &call->reports->check_runs,
        .key = "check_runs",
        .fits = fits_query,
        .shape = sandbox_shape_check_run};
    sandbox_report_list_of_commit(call, &view);
}

void
sandbox_check_run_annotations(const struct report_call *call)
{
    const struct json *record = run_of(call);
    if (record == NULL) {
        return;
    }
    const struct github_paging paging = sandbox_github_paging_of(call->request);
    const struct json *all = json_path(record, "output.annotations");
    struct json *page = json_make_array();
    for (size_t i = 0; i < json_count(all); i++) {
        if (sandbox_github_paging_has(&paging, (int64_t)i)) {
            json_append(page, sandbox_shape_annotation(call, record, json_at(all, i)));
        }
    }
    sandbox_github_paging_links(
        call->sandbox, call->request, &paging, (int64_t)json_count(all), call->response);
    sandbox_reply_json(call->response, 200, page);
}
