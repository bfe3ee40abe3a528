// A workflow file as the sandbox understands it. Own code on purpose: the client's reader of the
// same files is what the sandbox is there to check.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/field.h"
#include "dispatcher/yaml.h"

struct workflow_input {
    const char *name, *type, *fallback; // type: "string" when not said
    bool required;
    struct str_list options;
};

struct workflow_step {
    const char *id, *name, *uses, *run, *shell, *directory, *condition, *may_fail;
    const struct yaml_node *env, *with;
    int64_t timeout_ms; // 0: none
};

struct workflow_job {
    const char *key, *name, *condition, *environment, *shell, *directory;
    const char *unsupported; // what the sandbox cannot run, or NULL
    const struct yaml_node *env, *outputs;
    struct str_list needs;
    struct workflow_step *steps;
    size_t step_count;
    bool id_token; // permissions: id-token: write
};

struct workflow {
    const char *name, *run_name;
    bool dispatchable;
    struct workflow_input *inputs;
    size_t input_count;
    const struct yaml_node *env;
    struct workflow_job *jobs;
    size_t job_count;
};

/// ERROR_SPEC says what is wrong; everything lives in the arena.
NODISCARD struct error *sandbox_workflow_parse(
    const char *file, struct str text, struct arena *arena, struct workflow **out);
/// A label for a step that has no name, as GitHub shows it: "Run ./deploy.sh".
const char *sandbox_workflow_step_label(const struct workflow_step *step, struct arena *arena);
