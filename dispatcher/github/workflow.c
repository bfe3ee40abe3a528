// The infra workflow's file: is it there, can it be dispatched, which inputs does it declare?
// Understands `on:`, `run-name:` and nothing else of a workflow.
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "dispatcher/yaml.h"
#include "github_internal.h"

enum { FILE_MAX = 512 * 1024 };

static bool
is_true(const char *text)
{
    return text != NULL && str_equal_nocase(str_of(text), STR("true"));
}

static void
read_options(const struct yaml_node *list, struct arena *arena, struct str_list *out)
{
    if (list == NULL || list->kind != YAML_SEQUENCE) {
        return;
    }
    out->items = arena_array(arena, list->count, sizeof(*out->items));
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next) {
        if (item->kind == YAML_SCALAR) {
            out->items[out->count++] = item->text;
        }
    }
}

// `name:` alone is an optional string.
static void
read_input(const struct yaml_node *key, struct arena *arena, struct github_input *out)
{
    const struct yaml_node *value = key->value;
    const char *type = yaml_text(yaml_get(value, "type"));
    *out = (struct github_input){
        .name = key->text,
        .type = type != NULL ? type : "string",
        .required = is_true(yaml_text(yaml_get(value, "required"))),
        .fallback = yaml_text(yaml_get(value, "default")),
    };
    read_options(yaml_get(value, "options"), arena, &out->options);
}

static void
read_inputs(const struct yaml_node *event, struct arena *arena, struct github_workflow *out)
{
    const struct yaml_node *inputs = yaml_get(event, "inputs");
    if (inputs == NULL || inputs->kind != YAML_MAPPING) {
        return;
    }
    out->inputs = arena_array(arena, inputs->count, sizeof(*out->inputs));
    for (const struct yaml_node *key = inputs->first; key != NULL; key = key->next) {
        read_input(key, arena, &out->inputs[out->input_count++]);
    }
}

// on: workflow_dispatch · on: [push, workflow_dispatch] · on: {workflow_dispatch: {inputs: …}}
static void
read_events(const struct yaml_node *on, struct arena *arena, struct github_workflow *out)
{
    static const char event[] = "workflow_dispatch";
    if (on == NULL) {
        return;
    }
    if (on->kind == YAML_SCALAR) {
        out->dispatchable = cstr_equal(on->text, event);
        return;
    }
    for (const struct yaml_node *item = on->first; item != NULL; item = item->next) {
        if (!cstr_equal(yaml_text(item), event)) {
            continue;
        }
        out->dispatchable = true;
        if (on->kind == YAML_MAPPING) {
            read_inputs(item->value, arena, out);
        }
    }
}

static struct error *
bad_yaml(const char *file, const struct diagnostics *diagnostics)
{
    const struct diagnostic *first = diagnostics_at(diagnostics, 0);
    return error_hint(
        error_new(ERROR_SPEC, "workflow '%s', line %u: %s", file, first->span.line, first->message),
        "GitHub cannot run this file either; mend it in the infra repository.");
}

struct error *
github_workflow_parse(
    const char *file, struct str text, struct arena *arena, struct github_workflow **out)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct yaml_node *root = NULL;
    yaml_parse(file, text, &yaml_limits_workflow, arena, diagnostics, &root);
    diagnostics_sort(diagnostics);
    if (diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) > 0) {
        return bad_yaml(file, diagnostics);
    }
    if (root == NULL || root->kind != YAML_MAPPING) {
        return error_new(ERROR_SPEC, "workflow '%s' is no workflow: it is not a mapping", file);
    }
    struct github_workflow *workflow = arena_alloc(arena, sizeof(*workflow));
    workflow->file = arena_dup(arena, file);
    workflow->run_name = yaml_text(yaml_get(root, "run-name"));
    read_events(yaml_get(root, "on"), arena, workflow);
    *out = workflow;
    return NULL;
}

// Exact file names only: no path, nothing that GitHub would not take for a workflow.
static struct error *
check_file(const char *file)
{
    struct str name = str_of(file);
    bool ends = str_ends(name, STR(".yml")) || str_ends(name, STR(".yaml"));
    if (ends && name.len <= 255 && !str_contains(name, STR("/")) && str_is_utf8(name)) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_INPUT, "'%s' is not a workflow file", file != NULL ? file : ""),
        "Write the file's name as it is in .github/workflows, such as 'deploy.yaml'.");
}

// The content member: base64 in lines (contents API); none for files over 1 MB.
static struct error *
decode_content(const struct json *answer, struct buf *out)
{
    const char *type = json_str(json_get(answer, "type"));
    const char *encoding = json_str(json_get(answer, "encoding"));
    const char *content = json_str(json_get(answer, "content"));
    if (!cstr_equal(type, "file")) {
        return error_new(ERROR_REFUSED, "it is not a regular file");
    }
    if (!cstr_equal(encoding, "base64") || content == NULL) {
        return error_new(ERROR_REFUSED, "it is too large to be a workflow");
    }
    struct buf packed CLEANUP(buf_done) = BUF_INIT(2 * FILE_MAX);
    struct str line = {0}, rest = str_of(content);
    while (str_cut(rest, '\n', &line, &rest)) {
        buf_add(&packed, line);
    }
    TRY(buf_finish(&packed, "workflow file"));
    struct error *err = base64_decode(buf_str(&packed), out);
    return err != NULL ? error_wrap_as(ERROR_UNAVAILABLE, err, "unusable answer") : NULL;
}

static struct error *
read_file(
    struct github_client *client, const char *file, const char *ref, struct buf *text, bool *found)
{
    struct buf path CLEANUP(buf_done) = BUF_INIT(4096);
    buf_puts(&path, "/contents/.github%2Fworkflows%2F");
    url_encode(str_of(file), "", &path);
    if (ref != NULL) {
        url_add_query(&path, "ref", ref);
    }
    TRY(buf_finish(&path, "path of the workflow"));
    struct github_call call = {
        .path = buf_cstr(&path), .in_repository = true, .needs = "contents: read"};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *answer CLEANUP(json_freep) = NULL;
    TRY(github_fetch(client, &call, &response, &answer));
    *found = answer != NULL;
    return answer != NULL ? decode_content(answer, text) : NULL;
}

struct error *
github_workflow_read(struct github_client *client, const char *file, const char *ref,
    struct arena *arena, struct github_workflow **out)
{
    TRY(check_file(file));
    struct buf text CLEANUP(buf_done) = BUF_INIT(FILE_MAX);
    bool found = false;
    struct error *err = read_file(client, file, ref, &text, &found);
    if (err != NULL) {
        return error_wrap(err, "workflow '%s' of '%s'", file, client->repository);
    }
    if (!found) {
        *out = NULL;
        return NULL;
    }
    return github_workflow_parse(file, buf_str(&text), arena, out);
}

struct error *
github_workflow_state(
    struct github_client *client, const char *file, struct arena *arena, const char **state)
{
    TRY(check_file(file));
    struct buf path CLEANUP(buf_done) = BUF_INIT(4096);
    buf_puts(&path, "/actions/workflows/");
    url_encode(str_of(file), "", &path);
    TRY(buf_finish(&path, "path of the workflow"));
    struct github_call call = {
        .path = buf_cstr(&path), .in_repository = true, .needs = "actions: read"};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *answer CLEANUP(json_freep) = NULL;
    struct error *err = github_fetch(client, &call, &response, &answer);
    const char *text = json_str(json_get(answer, "state"));
    if (err == NULL && answer != NULL && text == NULL) {
        err = error_new(ERROR_UNAVAILABLE, "unusable answer: it has no 'state'");
    }
    if (err != NULL) {
        return error_wrap(err, "workflow '%s' of '%s'", file, client->repository);
    }
    *state = arena_dup(arena, text);
    return NULL;
}
