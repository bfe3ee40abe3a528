// POST …/dispatches with all of GitHub's checks, in its order and its words
// (facts/github-notify-credentials.md §1.4): every refusal comes before a run exists.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_dispatch_internal.h"

enum { INPUTS_MAX = 25, INPUTS_MAX_OLD = 10, INPUT_BYTES_MAX = 65535 };

struct dispatch {
    struct sandbox *sandbox;
    struct github_repo *repo;
    struct github_file *file;
    struct sandbox_request *request;
    struct sandbox_response *response;
    const struct json *body;
    struct arena *arena; // of the run
    struct workflow *workflow;
    struct source_ref ref;
    struct json *inputs;
    bool details; // answer with the run's id
    bool refused;
};

// Features came with GitHub Enterprise Server 3.20 (25 inputs) and 3.21 (run details).
static int64_t
server_minor(const struct sandbox *sandbox)
{
    int64_t minor = 0;
    struct str part = {0}, rest = str_of(sandbox->options->ghes);
    if (rest.len == 0) {
        return INT64_MAX;
    }
    (void)str_cut(rest, '.', &part, &rest);
    (void)str_cut(rest, '.', &part, &rest);
    return str_to_int64(part, &minor) ? minor : 0;
}

static void
check_key(void *ctx, const char *key, const struct json *value)
{
    struct dispatch *dispatch = ctx;
    const char *version = sandbox_request_header(dispatch->request, "X-GitHub-Api-Version");
    bool has_details = server_minor(dispatch->sandbox) >= 21 && !cstr_equal(version, "2026-03-10");
    bool known = strcmp(key, "ref") == 0 || strcmp(key, "inputs") == 0 ||
                 (strcmp(key, "return_run_details") == 0 && has_details);
    (void)value;
    if (!known && !dispatch->refused) {
        dispatch->refused = true;
        sandbox_github_problem(
            dispatch->response, 422, "Invalid request.\n\n\"%s\" is not a permitted key.", key);
    }
}

static const struct workflow_input *
declared(const struct workflow *workflow, const char *name)
{
    for (size_t i = 0; i < workflow->input_count; i++) {
        if (strcmp(workflow->inputs[i].name, name) == 0) {
            return &workflow->inputs[i];
        }
    }
    return NULL;
}

static bool
check_body(struct dispatch *dispatch)
{
    const struct json *inputs = json_get(dispatch->body, "inputs");
    size_t most = server_minor(dispatch->sandbox) >= 20 ? INPUTS_MAX : INPUTS_MAX_OLD;
    json_each(dispatch->body, check_key, dispatch);
    if (dispatch->refused) {
        return false;
    }
    if (json_str(json_get(dispatch->body, "ref")) == NULL) {
        sandbox_github_problem(
            dispatch->response, 422, "Invalid request.\n\n\"ref\" wasn't supplied.");
        return false;
    }
    if (inputs != NULL && !json_is_object(inputs)) {
        sandbox_github_problem(dispatch->response, 422,
            "Invalid request.\n\nFor 'properties/inputs', a value is not an object.");
        return false;
    }
    if (json_count(inputs) > most) {
        sandbox_github_problem(dispatch->response, 422,
            "Invalid request.\n\nNo more than %zu properties are allowed; %zu were supplied.", most,
            json_count(inputs));
        return false;
    }
    char *text CLEANUP(xfreep) = inputs != NULL ? json_text(inputs) : NULL;
    if (text != NULL && strlen(text) > INPUT_BYTES_MAX) {
        sandbox_github_problem(dispatch->response, 422, "inputs are too large.");
        return false;
    }
    return true;
}

static bool
find_ref(struct dispatch *dispatch)
{
    const char *ref = json_str(json_get(dispatch->body, "ref"));
    bool found = false;
    struct error *err CLEANUP(error_freep) = sandbox_source_resolve(
        dispatch->sandbox, dispatch->repo, ref, dispatch->arena, &dispatch->ref, &found);
    if (err != NULL || !found) {
        sandbox_github_problem(dispatch->response, 422, "No ref found for: %s", ref);
        return false;
    }
    return true;
}

static bool
load(struct dispatch *dispatch)
{
    struct error *err CLEANUP(error_freep) =
        sandbox_github_workflow_load(dispatch->sandbox, dispatch->repo, dispatch->ref.full,
            dispatch->file->name, dispatch->arena, &dispatch->workflow);
    if (err != NULL) {
        sandbox_github_problem(
            dispatch->response, 422, "failed to parse workflow: %s", error_message(err));
        return false;
    }
    if (dispatch->file->disabled) {
        sandbox_github_problem(
            dispatch->response, 422, "Cannot trigger a 'workflow_dispatch' on a disabled workflow");
        return false;
    }
    if (dispatch->workflow == NULL || !dispatch->workflow->dispatchable) {
        sandbox_github_problem(
            dispatch->response, 422, "Workflow does not have 'workflow_dispatch' trigger");
        return false;
    }
    return true;
}

struct unexpected {
    const struct workflow *workflow;
    struct json *names;
};

static void
note_unexpected(void *ctx, const char *key, const struct json *value)
{
    struct unexpected *unexpected = ctx;
    (void)value;
    if (declared(unexpected->workflow, key) == NULL) {
        json_append(unexpected->names, json_make_string(key));
    }
}

// Text of a given value: strings as they are, booleans and whole numbers as GitHub turns them.
static const char *
given_text(struct arena *arena, const struct json *value)
{
    if (json_str(value) != NULL) {
        return json_str(value);
    }
    if (json_is_int(value)) {
        return arena_printf(arena, "%lld", (long long)json_int(value, 0));
    }
    if (value == NULL || json_is_null(value) || json_is_object(value) || json_is_array(value)) {
        return NULL;
    }
    return json_bool(value, false) ? "true" : "false";
}

static bool
is_allowed(const struct workflow_input *input, const char *text)
{
    if (strcmp(input->type, "boolean") == 0) {
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    }
    bool found = strcmp(input->type, "choice") != 0;
    for (size_t i = 0; !found && i < input->options.count; i++) {
        found = strcmp(input->options.items[i], text) == 0;
    }
    return found;
}

// What the run sees when nothing was sent.
static const char *
default_text(const struct workflow_input *input)
{
    if (input->fallback != NULL) {
        return input->fallback;
    }
    if (strcmp(input->type, "boolean") == 0) {
        return "false";
    }
    return strcmp(input->type, "choice") == 0 && input->options.count > 0 ? input->options.items[0]
                                                                          : "";
}

static bool
take_input(struct dispatch *dispatch, const struct workflow_input *input)
{
    const struct json *value = json_get(json_get(dispatch->body, "inputs"), input->name);
    const char *text = given_text(dispatch->arena, value);
    if (text == NULL && !json_is_null(value)) {
        sandbox_github_problem(dispatch->response, 422,
            "Invalid request.\n\nFor 'inputs/%s', a value is not a string.", input->name);
        return false;
    }
    if (input->required && input->fallback == NULL && (text == NULL || text[0] == '\0')) {
        sandbox_github_problem(
            dispatch->response, 422, "Required input '%s' not provided", input->name);
        return false;
    }
    if (text != NULL && !is_allowed(input, text)) {
        sandbox_github_problem(dispatch->response, 422,
            "Provided value '%s' for input '%s' not in the list of allowed values", text,
            input->name);
        return false;
    }
    json_set_str(dispatch->inputs, input->name, text != NULL ? text : default_text(input));
    return true;
}

static bool
take_inputs(struct dispatch *dispatch)
{
    struct json *names CLEANUP(json_freep) = json_make_array();
    struct unexpected unexpected = {dispatch->workflow, names};
    json_each(json_get(dispatch->body, "inputs"), note_unexpected, &unexpected);
    if (json_count(names) > 0) {
        char *list CLEANUP(xfreep) = json_text(names);
        sandbox_github_problem(dispatch->response, 422, "Unexpected inputs provided: %s", list);
        return false;
    }
    for (size_t i = 0; i < dispatch->workflow->input_count; i++) {
        if (!take_input(dispatch, &dispatch->workflow->inputs[i])) {
            return false;
        }
    }
    return true;
}

static void
answer_dispatched(const struct dispatch *dispatch, const struct github_run *run)
{
    if (!dispatch->details) {
        dispatch->response->status = 204;
        return;
    }
    struct arena *arena = dispatch->request->arena;
    struct json *body = json_make_object();
    json_set_int(body, "workflow_run_id", run->id);
    json_set_str(body, "run_url",
        arena_printf(arena, "%s/repos/%s/actions/runs/%lld",
            sandbox_github_base(dispatch->sandbox, dispatch->request), run->repo->full,
            (long long)run->id));
    json_set_str(body, "html_url",
        arena_printf(arena, "%s/%s/actions/runs/%lld", dispatch->sandbox->origin, run->repo->full,
            (long long)run->id));
    sandbox_reply_json(dispatch->response, 200, body);
}

void
sandbox_github_dispatch(struct sandbox *sandbox, struct github_token *token,
    struct github_repo *repo, struct github_file *file, struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *body CLEANUP(json_freep) = sandbox_request_json(request);
    const char *version = sandbox_request_header(request, "X-GitHub-Api-Version");
    if (body == NULL) {
        sandbox_github_problem(response, 400, "Problems parsing JSON");
        return;
    }
    if (sandbox->github->is_stopping) {
        sandbox_github_problem(response, 503, "the sandbox is shutting down");
        return;
    }
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *inputs CLEANUP(json_freep) = json_make_object();
    struct dispatch dispatch = {.sandbox = sandbox,
        .repo = repo,
        .file = file,
        .request = request,
        .response = response,
        .body = body,
        .arena = arena,
        .inputs = inputs};
    dispatch.details =
        cstr_equal(version, "2026-03-10") || json_bool(json_get(body, "return_run_details"), false);
    if (!check_body(&dispatch) || !find_ref(&dispatch) || !load(&dispatch) ||
        !take_inputs(&dispatch)) {
        return;
    }
    struct run_order order = {.repo = repo,
        .file = file,
        .ref = dispatch.ref,
        .arena = arena,
        .workflow = dispatch.workflow,
        .inputs = inputs,
        .actor = sandbox_github_login_of(token)};
    arena = NULL; // the run's now
    inputs = NULL;
    answer_dispatched(&dispatch, sandbox_run_create(sandbox, &order));
}
