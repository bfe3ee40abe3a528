// What each key of a target is for: which kinds take it, and where it goes in setting_target.
// One line a key; merging, checking and linting all read it.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

enum {
    ECS = TARGET_OF_ECS,
    EXPRESS = TARGET_OF_EXPRESS,
    APPRUNNER = TARGET_OF_APPRUNNER,
    TASKS = ECS | EXPRESS,
    SERVERLESS = EXPRESS | APPRUNNER,
    ALL = ECS | EXPRESS | APPRUNNER,
    CODE = TARGET_OF_CODE,
    IMAGE = TARGET_OF_IMAGE,
    BOTH = CODE | IMAGE,
};

#define KEY(path, form, member, kinds, sources, ...)                                               \
    {                                                                                              \
        path, form, offsetof(struct setting_target, member), kinds, sources, __VA_ARGS__           \
    }
// `source` comes before the keys that ask for it.
static const struct target_key keys[] = {
    KEY("source", TARGET_TEXT, source, APPRUNNER, BOTH, NULL, EXPAND_NOT),
    KEY("cluster", TARGET_TEXT, cluster, TASKS, BOTH, NULL, EXPAND_LATE),
    KEY("service", TARGET_TEXT, service, ALL, BOTH, NULL, EXPAND_LATE),
    KEY("container", TARGET_TEXT, container, ECS, BOTH, NULL, EXPAND_LATE),
    KEY("force_new_deployment", TARGET_TRUTH, force_new_deployment, ECS, BOTH, NULL, EXPAND_NOT),
    KEY("allow_zero", TARGET_TRUTH, allow_zero, TASKS, BOTH, NULL, EXPAND_NOT),
    KEY("port", TARGET_NUMBER, port, SERVERLESS, BOTH, NULL, EXPAND_NOT),
    KEY("cpu", TARGET_NUMBER, cpu, SERVERLESS, BOTH, NULL, EXPAND_NOT),
    KEY("memory", TARGET_NUMBER, memory, SERVERLESS, BOTH, NULL, EXPAND_NOT),
    KEY("connection", TARGET_TEXT, connection, APPRUNNER, CODE, check_arn, EXPAND_LATE),
    KEY("repository_url", TARGET_TEXT, repository_url, APPRUNNER, CODE, check_url, EXPAND_LATE),
    KEY("branch", TARGET_TEXT, branch, APPRUNNER, CODE, check_branch, EXPAND_LATE),
    KEY("source_directory", TARGET_TEXT, source_directory, APPRUNNER, CODE, NULL, EXPAND_LATE),
    KEY("runtime", TARGET_TEXT, runtime, APPRUNNER, CODE, NULL, EXPAND_NOT),
    KEY("build", TARGET_TEXT, build, APPRUNNER, CODE, check_command, EXPAND_LATE),
    KEY("start", TARGET_TEXT, start, APPRUNNER, BOTH, check_command, EXPAND_LATE),
    KEY("access_role", TARGET_TEXT, access_role, APPRUNNER, IMAGE, check_arn, EXPAND_LATE),
    KEY("instance_role", TARGET_TEXT, instance_role, APPRUNNER, BOTH, check_arn, EXPAND_LATE),
    KEY("vpc_connector", TARGET_TEXT, vpc_connector, APPRUNNER, BOTH, check_arn, EXPAND_LATE),
    KEY("auto_scaling", TARGET_TEXT, auto_scaling, APPRUNNER, BOTH, check_arn, EXPAND_LATE),
    KEY("execution_role", TARGET_TEXT, execution_role, EXPRESS, BOTH, check_arn, EXPAND_LATE),
    KEY("infrastructure_role", TARGET_TEXT, infrastructure_role, EXPRESS, BOTH, check_arn,
        EXPAND_LATE),
    KEY("task_role", TARGET_TEXT, task_role, EXPRESS, BOTH, check_arn, EXPAND_LATE),
    KEY("environment", TARGET_MAP, environment, ALL, BOTH, NULL, EXPAND_LATE),
    KEY("environment_from_outputs", TARGET_MAP, environment_from_outputs, ALL, BOTH, NULL,
        EXPAND_NOT),
    KEY("outputs_file", TARGET_TEXT, outputs_file, ALL, BOTH, check_relative_path, EXPAND_EARLY),
    KEY("environment_file", TARGET_TEXT, environment_file, ALL, BOTH, check_relative_path,
        EXPAND_EARLY),
    KEY("secrets", TARGET_MAP, secrets, ALL, BOTH, check_secret_arn, EXPAND_LATE),
    KEY("health_check.protocol", TARGET_TEXT, health_check.protocol, APPRUNNER, BOTH, NULL,
        EXPAND_NOT),
    KEY("health_check.path", TARGET_TEXT, health_check.path, SERVERLESS, BOTH, NULL, EXPAND_NOT),
    KEY("health_check.interval", TARGET_DURATION, health_check.interval_ms, APPRUNNER, BOTH, NULL,
        EXPAND_NOT),
    KEY("health_check.timeout", TARGET_DURATION, health_check.timeout_ms, APPRUNNER, BOTH, NULL,
        EXPAND_NOT),
    KEY("health_check.healthy", TARGET_NUMBER, health_check.healthy, APPRUNNER, BOTH, NULL,
        EXPAND_NOT),
    KEY("health_check.unhealthy", TARGET_NUMBER, health_check.unhealthy, APPRUNNER, BOTH, NULL,
        EXPAND_NOT),
    KEY("create", TARGET_TRUTH, create, SERVERLESS, BOTH, NULL, EXPAND_NOT),
    KEY("public", TARGET_TRUTH, is_public, APPRUNNER, BOTH, NULL, EXPAND_NOT),
};
#undef KEY

static const struct {
    const char *word;
    unsigned bit;
} kind_bits[] = {
    {"ecs", TARGET_OF_ECS},
    {"ecs-express", TARGET_OF_EXPRESS},
    {"apprunner", TARGET_OF_APPRUNNER},
};

const struct target_key *
target_key_at(size_t index)
{
    return index < ARRAY_LENGTH(keys) ? &keys[index] : NULL;
}

unsigned
target_kind_bit(const char *kind)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kind_bits); i++) {
        if (cstr_equal(kind, kind_bits[i].word)) {
            return kind_bits[i].bit;
        }
    }
    return 0;
}

const struct yaml_node *
target_key_node(const struct yaml_node *block, const struct target_key *key)
{
    struct str head = {0}, rest = str_of(key->path);
    const struct yaml_node *at = NULL;
    while (str_cut(rest, '.', &head, &rest)) {
        char name[64];
        BUG_ON(head.len >= sizeof(name));
        memcpy(name, head.ptr, head.len);
        name[head.len] = '\0';
        at = spec_key_node(block, name);
        block = at != NULL ? at->value : NULL;
    }
    return at;
}

// "'cluster' has no meaning for a target of kind 'apprunner'", and who takes it.
void
target_complain_unused(const struct spec_source *source, const struct target_key *key,
    const struct yaml_node *at, const char *kind)
{
    struct buf takers CLEANUP(buf_done) = BUF_INIT(256);
    for (size_t i = 0; i < ARRAY_LENGTH(kind_bits); i++) {
        if ((key->kinds & kind_bits[i].bit) != 0) {
            buf_printf(
                &takers, "%s'%s'", takers.len > 0 ? " and " : "only for ", kind_bits[i].word);
        }
    }
    spec_complain(source, DIAGNOSTIC_WARNING, "target-key-unused", at,
        arena_dup(source->arena, buf_cstr(&takers)),
        "'%s' has no meaning for a target of kind '%.20s'", key->path, kind);
}
