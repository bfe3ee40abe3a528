// `target`, `targets` and `workers` as field tables. Data only; which kind of target takes which
// key is target_keys.c's.
#include "patterns.h"
#include "spec_internal.h"

// Longer maps are nobody's: App Runner and task definitions end before.
enum { VARIABLES_MAX = 200 };

static const char *const kinds[] = {"ecs", "ecs-express", "apprunner", NULL};
// botocore's Runtime of App Runner; it grows, so another word is only warned of.
static const char *const runtimes[] = {"PYTHON_3", "PYTHON_311", "NODEJS_12", "NODEJS_14",
    "NODEJS_16", "NODEJS_18", "NODEJS_22", "CORRETTO_8", "CORRETTO_11", "GO_1", "DOTNET_6",
    "PHP_81", "RUBY_31", NULL};

static const struct field health_check_fields[] = {
    FIELD(struct spec_health_check, protocol, "protocol", FIELD_STR,
        .values = (const char *const[]){"http", "tcp", NULL}, .doc = "App Runner: how it asks."),
    FIELD(struct spec_health_check, path, "path", FIELD_STR, .check = check_absolute_path,
        .pattern = "^/", .fallback = "the service's `health_check_path`, if written",
        .doc = "App Runner, Express: what it asks for."),
    FIELD(struct spec_health_check, interval_ms, "interval", FIELD_DURATION, .min = 1000,
        .max = 20000, .doc = "App Runner: how often."),
    FIELD(struct spec_health_check, timeout_ms, "timeout", FIELD_DURATION, .min = 1000,
        .max = 20000, .doc = "App Runner: how long an answer may take."),
    FIELD(struct spec_health_check, healthy, "healthy", FIELD_INT, .min = 1, .max = 20,
        .doc = "App Runner: good answers in a row until an instance counts as well."),
    FIELD(struct spec_health_check, unhealthy, "unhealthy", FIELD_INT, .min = 1, .max = 20,
        .doc = "App Runner: bad answers in a row until it counts as ill."),
};
static const struct field_table health_check_table =
    FIELD_TABLE("health_check", struct spec_health_check, health_check_fields);

#define TARGET(member, label, kind, ...)                                                           \
    FIELD(struct spec_target, member, label, kind, .placeholders = true, __VA_ARGS__)
#define TARGET_ARN(member, label, text)                                                            \
    TARGET(member, label, FIELD_STR, .check = check_arn, .pattern = PATTERN_ARN, .doc = (text))
#define TARGET_VARIABLES(member, label, ...)                                                       \
    FIELD(struct spec_target, member, label, FIELD_MAP_STR, .numeric_text = true,                  \
        .key_check = check_env_name, .key_pattern = PATTERN_ENV_NAME, .key_label = "variable",     \
        .max = VARIABLES_MAX, __VA_ARGS__)

static const struct field target_fields[] = {
    FIELD(struct spec_target, kind, "kind", FIELD_STR, .values = kinds,
        .doc = "What runs the service; required once `deploy` and its environment are merged."),
    TARGET(cluster, "cluster", FIELD_STR, .doc = "ECS (required), Express: the cluster."),
    TARGET(service, "service", FIELD_STR,
        .doc = "Name of the ECS or App Runner service; Express and App Runner: or its ARN. "
               "Required but for workers, whose default is `{name}-{env}-{worker}`."),
    TARGET(container, "container", FIELD_STR, .fallback = "the only one",
        .doc = "ECS: the container of the task definition that gets the image."),
    FIELD(struct spec_target, force_new_deployment, "force_new_deployment", FIELD_BOOL,
        .fallback = "false",
        .doc = "ECS: roll the current task definition out again instead of registering one with "
               "the new image; for systems that run `:latest`."),
    FIELD(struct spec_target, allow_zero, "allow_zero", FIELD_BOOL, .fallback = "false",
        .doc = "ECS, Express: a service that is scaled to no task is accepted; nothing can be "
               "proven about it."),
    FIELD(struct spec_target, source, "source", FIELD_STR,
        .values = (const char *const[]){"image", "code", NULL}, .fallback = "image",
        .doc = "App Runner: deploy an image, or let it build from the repository: then there is "
               "no image to build or push."),
    TARGET_ARN(connection, "connection",
        "App Runner, `source: code`: the connection to the repository; required by `create`."),
    TARGET(repository_url, "repository_url", FIELD_STR, .check = check_url, .pattern = PATTERN_URL,
        .fallback = "`repo` on GitHub",
        .doc = "App Runner, `source: code`: the repository that it reads."),
    TARGET(branch, "branch", FIELD_STR, .check = check_branch, .pattern = PATTERN_BRANCH,
        .fallback = "the environment's `branch`, else the one deployed from",
        .doc = "App Runner, `source: code`: the branch whose head it builds."),
    TARGET(source_directory, "source_directory", FIELD_STR, .check = check_path,
        .pattern = PATTERN_SOME, .doc = "App Runner, `source: code`: where the commands run."),
    FIELD(struct spec_target, runtime, "runtime", FIELD_STR, .values = runtimes,
        .open_values = true,
        .doc = "App Runner, `source: code`: the managed runtime; without it the repository's "
               "apprunner.yaml says everything."),
    TARGET(build, "build", FIELD_STR, .check = check_command, .pattern = PATTERN_SOME,
        .doc = "App Runner, `source: code`: build command."),
    TARGET(start, "start", FIELD_STR, .check = check_command, .pattern = PATTERN_SOME,
        .doc = "App Runner: start command. `{worker}` is the entry point's file name up to its "
               "first dot, `{worker_file}` the file name as it is."),
    TARGET_ARN(access_role, "access_role",
        "App Runner, `source: image`: role that pulls the image; required by `create`."),
    TARGET_ARN(instance_role, "instance_role", "App Runner: role of the running instances."),
    FIELD(struct spec_target, port, "port", FIELD_INT, .min = 1, .max = 65535,
        .doc = "App Runner, Express: the port that the container listens on."),
    FIELD(struct spec_target, cpu, "cpu", FIELD_INT, .min = 256, .max = 16384,
        .doc = "App Runner, Express: CPU units, 1024 for one vCPU."),
    FIELD(struct spec_target, memory, "memory", FIELD_INT, .min = 512, .max = 122880,
        .doc = "App Runner, Express: memory in MiB."),
    TARGET_VARIABLES(environment, "environment", .placeholders = true, .plain_values = true,
        .doc = "Environment variables, plain: whoever may look at the service sees them. Merged "
               "name by name; what is not named stays as it is."),
    TARGET_VARIABLES(environment_from_outputs, "environment_from_outputs",
        .check = check_output_name, .pattern = PATTERN_OUTPUT_NAME,
        .doc = "Environment variables by the name of an output in `outputs_file`."),
    TARGET(outputs_file, "outputs_file", FIELD_STR, .check = check_relative_path,
        .pattern = "^[^/]",
        .doc = "JSON file in the app checkout: what `tofu output -json` prints, or a flat object."),
    TARGET(environment_file, "environment_file", FIELD_STR, .check = check_relative_path,
        .pattern = "^[^/]",
        .doc = "File of `NAME=value` lines in the app checkout; weaker than the two maps. Plain: "
               "not for secrets."),
    TARGET_VARIABLES(secrets, "secrets", .placeholders = true, .secret_ref = true,
        .check = check_secret_arn, .pattern = PATTERN_SECRET_ARN,
        .doc = "Environment variables that the platform reads: ARN of a Secrets Manager secret or "
               "of an SSM parameter. We never see the values."),
    TARGET_ARN(vpc_connector, "vpc_connector",
        "App Runner: the connector through which outgoing traffic enters a VPC."),
    FIELD(struct spec_target, health_check, "health_check", FIELD_OBJECT,
        .table = &health_check_table, .doc = "How the platform asks whether an instance is well."),
    TARGET_ARN(auto_scaling, "auto_scaling", "App Runner: the auto scaling configuration."),
    FIELD(struct spec_target, create, "create", FIELD_BOOL, .fallback = "false",
        .doc = "App Runner, Express: create the service from the spec when there is none."),
    FIELD(struct spec_target, is_public, "public", FIELD_BOOL, .fallback = "true",
        .doc = "App Runner: reachable from the internet; false: from a VPC only. Unless written, "
               "a service that exists stays as it is."),
    TARGET_ARN(execution_role, "execution_role",
        "Express: role that pulls the image and reads secrets; required by `create`."),
    TARGET_ARN(infrastructure_role, "infrastructure_role",
        "Express: role that makes load balancer and scaling; required by `create`."),
    TARGET_ARN(task_role, "task_role", "Express: role of the running tasks."),
};
const struct field_table spec_target_table = {.name = "target",
    .size = sizeof(struct spec_target),
    .fields = target_fields,
    .count = ARRAY_LENGTH(target_fields),
    .doc = "Merged key by key, maps name by name: the environment's `targets.<service>`, its "
           "`target`, `deploy.targets.<service>`, `deploy.target`. What the merged target does "
           "not say is left as the service has it."};

static const struct field workers_fields[] = {
    FIELD(struct spec_workers, files, "files", FIELD_STR, .check = check_relative_path,
        .pattern = "^[^/]",
        .doc = "Pattern of the entry points in the app repository, `*` inside a segment; one "
               "service for each. Required once merged."),
    FIELD(struct spec_workers, target, "target", FIELD_OBJECT, .table = &spec_target_table,
        .doc = "What each worker runs on, of kind `apprunner` with `source: code`; inherits "
               "nothing from `deploy.target`. Required by `via: direct`."),
    FIELD(struct spec_workers, remove_orphans, "remove_orphans", FIELD_BOOL, .fallback = "false",
        .doc = "Whether the service of an entry point that is gone is deleted; else it is only "
               "reported."),
    FIELD(struct spec_workers, workflow_input, "workflow_input", FIELD_STR,
        .check = check_input_name, .pattern = PATTERN_INPUT_NAME,
        .doc = "`via: workflow`: the input that gets the names of the workers as a JSON list."),
};
const struct field_table spec_workers_table = {.name = "workers",
    .size = sizeof(struct spec_workers),
    .fields = workers_fields,
    .count = ARRAY_LENGTH(workers_fields),
    .doc = "One service for each entry point that is found. Merged key by key."};
