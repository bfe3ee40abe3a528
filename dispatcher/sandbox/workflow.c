// Takes a workflow file apart: triggers, inputs, jobs, steps. Does not check what the sandbox does
// not use; what it cannot run is named, so that nothing is passed over in silence.
#include "workflow_internal.h"

#include <string.h>

#include "dispatcher/memory.h"

static bool
is_true(const char *text)
{
    return text != NULL && strcmp(text, "true") == 0;
}

// "a" or [a, b].
static struct str_list
list_of(const struct yaml_node *node, struct arena *arena)
{
    struct str_list list = {0};
    if (node == NULL) {
        return list;
    }
    if (node->kind == YAML_SCALAR) {
        list.items = arena_array(arena, 1, sizeof(*list.items));
        list.items[list.count++] = node->text;
        return list;
    }
    list.items = arena_array(arena, node->count + 1, sizeof(*list.items));
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
        if (yaml_text(item) != NULL) {
            list.items[list.count++] = item->text;
        }
    }
    return list;
}

static void
read_inputs(const struct yaml_node *node, struct arena *arena, struct workflow *out)
{
    if (node == NULL || node->kind != YAML_MAPPING) {
        return;
    }
    out->inputs = arena_array(arena, node->count + 1, sizeof(*out->inputs));
    for (const struct yaml_node *key = node->first; key != NULL; key = key->next) {
        struct workflow_input *input = &out->inputs[out->input_count++];
        const char *type = yaml_text(yaml_get(key->value, "type"));
        input->name = key->text;
        input->type = type != NULL ? type : "string";
        input->fallback = yaml_text(yaml_get(key->value, "default"));
        input->required = is_true(yaml_text(yaml_get(key->value, "required")));
        input->options = list_of(yaml_get(key->value, "options"), arena);
    }
}

// on: workflow_dispatch | [push, workflow_dispatch] | {workflow_dispatch: {inputs: ...}}
static void
read_triggers(const struct yaml_node *on, struct arena *arena, struct workflow *out)
{
    if (on == NULL) {
        return;
    }
    for (const struct yaml_node *item = on->kind == YAML_SCALAR ? on : on->first; item != NULL;
         item = item->next) {
        out->dispatchable = out->dispatchable || cstr_equal(yaml_text(item), "workflow_dispatch");
    }
    read_inputs(yaml_get(yaml_get(on, "workflow_dispatch"), "inputs"), arena, out);
}

static void
read_step(const struct yaml_node *node, struct workflow_step *step)
{
    int64_t minutes = 0;
    const char *timeout = yaml_text(yaml_get(node, "timeout-minutes"));
    step->id = yaml_text(yaml_get(node, "id"));
    step->name = yaml_text(yaml_get(node, "name"));
    step->uses = yaml_text(yaml_get(node, "uses"));
    step->run = yaml_text(yaml_get(node, "run"));
    step->shell = yaml_text(yaml_get(node, "shell"));
    step->directory = yaml_text(yaml_get(node, "working-directory"));
    step->condition = yaml_text(yaml_get(node, "if"));
    step->may_fail = yaml_text(yaml_get(node, "continue-on-error"));
    step->env = yaml_get(node, "env");
    step->with = yaml_get(node, "with");
    if (timeout != NULL && str_to_int64(str_of(timeout), &minutes) && minutes > 0 &&
        minutes < 100000) {
        step->timeout_ms = minutes * 60000;
    }
}

static bool
grants_id_token(const struct yaml_node *permissions)
{
    const char *all = yaml_text(permissions);
    return cstr_equal(all, "write-all") ||
           cstr_equal(yaml_text(yaml_get(permissions, "id-token")), "write");
}

static struct error *
read_job(const char *file, const struct yaml_node *key, const struct yaml_node *root,
    struct arena *arena, struct workflow_job *job)
{
    static const char *const unsupported[] = {"strategy", "uses", "container", "services"};
    const struct yaml_node *node = key->value, *steps = yaml_get(node, "steps");
    const struct yaml_node *permissions = yaml_get(node, "permissions");
    const struct yaml_node *defaults = yaml_get(yaml_get(node, "defaults"), "run");
    const struct yaml_node *outer = yaml_get(yaml_get(root, "defaults"), "run");
    const struct yaml_node *environment = yaml_get(node, "environment");
    const char *name = yaml_text(yaml_get(node, "name"));
    const char *shell = yaml_text(yaml_get(defaults, "shell"));
    const char *directory = yaml_text(yaml_get(defaults, "working-directory"));
    job->key = key->text;
    job->name = name != NULL ? name : key->text;
    job->condition = yaml_text(yaml_get(node, "if"));
    job->environment = yaml_text(environment) != NULL ? yaml_text(environment)
                                                      : yaml_text(yaml_get(environment, "name"));
    job->shell = shell != NULL ? shell : yaml_text(yaml_get(outer, "shell"));
    job->directory =
        directory != NULL ? directory : yaml_text(yaml_get(outer, "working-directory"));
    job->env = yaml_get(node, "env");
    job->outputs = yaml_get(node, "outputs");
    job->needs = list_of(yaml_get(node, "needs"), arena);
    job->id_token =
        grants_id_token(permissions != NULL ? permissions : yaml_get(root, "permissions"));
    for (size_t i = 0; i < ARRAY_LENGTH(unsupported) && job->unsupported == NULL; i++) {
        job->unsupported = yaml_get(node, unsupported[i]) != NULL ? unsupported[i] : NULL;
    }
    if (job->unsupported == NULL && (steps == NULL || steps->kind != YAML_SEQUENCE)) {
        return error_new(ERROR_SPEC, "%s: job '%s' has no steps", file, key->text);
    }
    if (steps == NULL || steps->kind != YAML_SEQUENCE) {
        return NULL;
    }
    job->steps = arena_array(arena, steps->count + 1, sizeof(*job->steps));
    for (const struct yaml_node *item = steps->first; item != NULL; item = item->next) {
        struct workflow_step *step = &job->steps[job->step_count++];
        read_step(item, step);
        if ((step->run == NULL) == (step->uses == NULL)) {
            return error_new(ERROR_SPEC, "%s:%u: a step of job '%s' needs 'run' or 'uses'", file,
                item->span.line, key->text);
        }
    }
    return NULL;
}

static struct error *
check_needs(const char *file, const struct workflow *workflow)
{
    for (size_t i = 0; i < workflow->job_count; i++) {
        const struct workflow_job *job = &workflow->jobs[i];
        for (size_t n = 0; n < job->needs.count; n++) {
            bool found = false;
            for (size_t k = 0; k < workflow->job_count; k++) {
                found =
                    found || (k != i && strcmp(workflow->jobs[k].key, job->needs.items[n]) == 0);
            }
            if (!found) {
                return error_new(ERROR_SPEC, "%s: job '%s' needs '%s', which does not exist", file,
                    job->key, job->needs.items[n]);
            }
        }
    }
    return NULL;
}

struct error *
sandbox_workflow_parse(
    const char *file, struct str text, struct arena *arena, struct workflow **out)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct yaml_node *root = NULL;
    yaml_parse(file, text, &yaml_limits_workflow, arena, diagnostics, &root);
    if (diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) > 0) {
        const struct diagnostic *first = diagnostics_at(diagnostics, 0);
        return error_new(ERROR_SPEC, "%s:%u: %s", file, first->span.line, first->message);
    }
    const struct yaml_node *jobs = yaml_get(root, "jobs");
    if (jobs == NULL || jobs->kind != YAML_MAPPING || jobs->count == 0) {
        return error_new(ERROR_SPEC, "%s: no jobs", file);
    }
    struct workflow *workflow = arena_alloc(arena, sizeof(*workflow));
    const char *name = yaml_text(yaml_get(root, "name"));
    workflow->name = name != NULL ? name : file;
    workflow->run_name = yaml_text(yaml_get(root, "run-name"));
    workflow->env = yaml_get(root, "env");
    read_triggers(yaml_get(root, "on"), arena, workflow);
    workflow->jobs = arena_array(arena, jobs->count, sizeof(*workflow->jobs));
    for (const struct yaml_node *key = jobs->first; key != NULL; key = key->next) {
        TRY(read_job(file, key, root, arena, &workflow->jobs[workflow->job_count++]));
    }
    TRY(check_needs(file, workflow));
    *out = workflow;
    return NULL;
}

const char *
sandbox_workflow_step_label(const struct workflow_step *step, struct arena *arena)
{
    if (step->name != NULL) {
        return step->name;
    }
    struct str line = {0}, rest = str_trim(str_of(step->run != NULL ? step->run : step->uses));
    (void)str_cut(rest, '\n', &line, &rest);
    return arena_printf(arena, "Run %.*s", STR_FMT(line));
}
