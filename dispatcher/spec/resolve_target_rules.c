// What a merged target must have: the keys its kind cannot do without, those that creating a
// service needs, and names that stand in two maps. Also which parts of a spec need a target.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

struct check {
    struct resolve *resolve;
    const struct target_layers *layers;
    const struct setting_target *target;
    const struct yaml_node *some;
};

static void
complain(const struct check *check, const char *rule, const struct yaml_node *at, const char *help,
    const char *message)
{
    spec_complain(&check->resolve->documents->app_source, DIAGNOSTIC_ERROR, rule,
        at != NULL ? at : check->some, help, "%s", message);
}

static void
need(const struct check *check, const char *value, const char *key, const char *help)
{
    if (value == NULL) {
        complain(check, "missing-key", NULL, help,
            arena_printf(check->resolve->arena, "the target of kind '%s' lacks the key '%s'",
                check->target->kind, key));
    }
}

static void
need_to_create(const struct check *check, bool there, const char *key)
{
    if (!there) {
        complain(check, "missing-key", NULL, NULL,
            arena_printf(check->resolve->arena, "'create' needs '%s' for a target of kind '%s'",
                key, check->target->kind));
    }
}

static const struct yaml_node *
written(const struct check *check, const char *path)
{
    const struct yaml_node *node = NULL;
    for (size_t i = 0; node == NULL && i < ARRAY_LENGTH(check->layers->blocks); i++) {
        node = spec_node_at(check->layers->blocks[i], path);
    }
    return node;
}

static void
check_creation(const struct check *check)
{
    const struct setting_target *target = check->target;
    const struct settings *settings = check->resolve->settings;
    if (target_kind_bit(target->kind) == TARGET_OF_EXPRESS) {
        need_to_create(check, target->execution_role != NULL, "execution_role");
        need_to_create(check, target->infrastructure_role != NULL, "infrastructure_role");
        return;
    }
    if (strcmp(target->source, "image") == 0) {
        need_to_create(check, target->access_role != NULL, "access_role");
        return;
    }
    need_to_create(check, target->connection != NULL, "connection");
    need_to_create(
        check, target->repository_url != NULL || settings->repo != NULL, "repository_url");
    bool commands = target->build != NULL || target->start != NULL;
    need_to_create(check, !commands || target->runtime != NULL, "runtime");
}

static bool
is_one_of(int64_t value, const int64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i] == value) {
            return true;
        }
    }
    return value == 0;
}

// botocore's patterns of Cpu and Memory of App Runner.
static void
check_apprunner_size(const struct check *check)
{
    static const int64_t cpu[] = {256, 512, 1024, 2048, 4096};
    static const int64_t memory[] = {512, 1024, 2048, 3072, 4096, 6144, 8192, 10240, 12288};
    if (target_kind_bit(check->target->kind) != TARGET_OF_APPRUNNER) {
        return;
    }
    if (!is_one_of(check->target->cpu, cpu, ARRAY_LENGTH(cpu))) {
        complain(check, "out-of-range", written(check, "cpu"), NULL,
            "App Runner knows 'cpu' 256, 512, 1024, 2048 and 4096");
    }
    if (!is_one_of(check->target->memory, memory, ARRAY_LENGTH(memory))) {
        complain(check, "out-of-range", written(check, "memory"), NULL,
            "App Runner knows 'memory' 512, 1024, 2048, 3072, 4096, 6144, 8192, 10240 and 12288");
    }
}

static const struct yaml_node *
entry_of(const struct check *check, const char *map, const char *name)
{
    const struct yaml_node *at = NULL;
    for (size_t i = 0; at == NULL && i < ARRAY_LENGTH(check->layers->blocks); i++) {
        at = spec_key_node(spec_node_at(check->layers->blocks[i], map), name);
    }
    return at;
}

struct variable {
    const char *name, *map;
};

static int
compare_variables(const void *left, const void *right)
{
    const struct variable *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : strcmp(a->map, b->map);
}

// AWS refuses one name as variable and as secret. "secrets" comes last of the same names.
static void
check_pair(const struct check *check, const struct variable *a, const struct variable *b)
{
    if (strcmp(a->name, b->name) == 0 && strcmp(b->map, "secrets") == 0) {
        complain(check, "duplicate-value", entry_of(check, a->map, a->name),
            "remove one of the two",
            arena_printf(
                check->resolve->arena, "'%.80s' stands in '%s' and in 'secrets'", a->name, a->map));
    }
}

static void
check_name_of(const struct check *check, const struct variable *variable)
{
    if (target_kind_bit(check->target->kind) == TARGET_OF_APPRUNNER &&
        str_starts(str_of(variable->name), STR("AWSAPPRUNNER"))) {
        complain(check, "bad-key", entry_of(check, variable->map, variable->name), NULL,
            arena_printf(check->resolve->arena,
                "'%.80s' is not a valid variable: App Runner keeps 'AWSAPPRUNNER…' to itself",
                variable->name));
    }
}

static void
check_variables(const struct check *check)
{
    const struct setting_target *target = check->target;
    const struct {
        const char *map;
        const struct pair_list *list;
    } maps[] = {
        {"environment", &target->environment},
        {"environment_from_outputs", &target->environment_from_outputs},
        {"secrets", &target->secrets},
    };
    size_t room =
        target->environment.count + target->environment_from_outputs.count + target->secrets.count;
    struct variable *variables = arena_array(check->resolve->arena, room, sizeof(*variables));
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(maps); i++) {
        for (size_t j = 0; j < maps[i].list->count; j++) {
            variables[count++] = (struct variable){maps[i].list->items[j].key, maps[i].map};
        }
    }
    if (count > 0) {
        qsort(variables, count, sizeof(*variables), compare_variables);
    }
    for (size_t i = 0; i < count; i++) {
        check_name_of(check, &variables[i]);
        if (i > 0) {
            check_pair(check, &variables[i - 1], &variables[i]);
        }
    }
    if (target->environment_from_outputs.count > 0 && target->outputs_file == NULL) {
        complain(check, "missing-key", written(check, "environment_from_outputs"),
            "add 'outputs_file: outputs.json'", "'environment_from_outputs' needs 'outputs_file'");
    }
}

static void
check_worker(const struct check *check)
{
    const struct setting_target *target = check->target;
    bool code =
        target_kind_bit(target->kind) == TARGET_OF_APPRUNNER && strcmp(target->source, "code") == 0;
    if (!code) {
        complain(check, "bad-value", NULL, "write 'kind: apprunner' and 'source: code'",
            "workers run on App Runner from source code only");
    }
    if (strstr(target->service, "{worker}") == NULL) {
        complain(check, "bad-value", written(check, "service"), "use '{worker}' in it",
            "all workers would be one service");
    }
}

void
target_check(struct resolve *resolve, const struct target_layers *layers,
    const struct setting_target *target, const struct yaml_node *some)
{
    const struct check check = {resolve, layers, target, some};
    if (target->kind == NULL) {
        complain(&check, "missing-key", NULL, "add 'kind: ecs'", "the target lacks the key 'kind'");
        return;
    }
    need(&check, target->service, "service", "name the service that runs there");
    if (target_kind_bit(target->kind) == TARGET_OF_ECS) {
        need(&check, target->cluster, "cluster", "name the cluster that the service is in");
    }
    if (target->create) {
        check_creation(&check);
    }
    check_apprunner_size(&check);
    check_variables(&check);
    if (layers->of_worker && target->service != NULL) {
        check_worker(&check);
    }
}

void
target_check_needs(struct resolve *resolve)
{
    const struct settings *settings = resolve->settings;
    const struct spec_source *source = NULL;
    const struct yaml_node *via = resolve_find(resolve, "via", NULL, &source);
    if (!cstr_equal(settings->via, "direct")) {
        return;
    }
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct setting_service *service = &settings->services[i];
        if (service->deployable && !service->has_target) {
            spec_complain(source, DIAGNOSTIC_ERROR, "missing-key", via,
                "add 'target' or 'targets' to 'deploy'",
                "'via: direct' needs a target for every service");
            return;
        }
    }
    if (settings->has_workers && settings->workers.target.kind == NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "missing-key", via, "add 'target' to 'workers'",
            "'via: direct' needs a target for the workers");
    }
}
