// Task definitions: families and their revisions. What was registered is kept as it came, members
// that nobody here knows included; what only the service says is put beside it.
#include <stdlib.h>
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

static struct ecs_family *
find_family(const struct ecs_state *ecs, const char *name)
{
    int64_t at = sandbox_ecs_index(ecs->family_index, name);
    return at >= 0 ? ecs->families[at] : NULL;
}

struct ecs_definition *
sandbox_ecs_definition_find(struct ecs_state *ecs, const char *text)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct str family = {0}, number = {0};
    int64_t revision = 0;
    if (text == NULL) {
        return NULL;
    }
    bool has_revision = strchr(sandbox_ecs_name_of(text), ':') != NULL;
    (void)str_cut(str_of(sandbox_ecs_name_of(text)), ':', &family, &number);
    const struct ecs_family *found = find_family(ecs, arena_str(arena, family));
    if (found == NULL) {
        return NULL;
    }
    if (has_revision) {
        bool is_number = str_to_int64(number, &revision);
        return is_number && revision >= 1 && revision <= (int64_t)found->count
                   ? found->revisions[revision - 1]
                   : NULL;
    }
    for (size_t i = found->count; i > 0; i--) {
        if (found->revisions[i - 1]->is_active) {
            return found->revisions[i - 1];
        }
    }
    return NULL;
}

const char *
sandbox_ecs_definition_name(struct arena *arena, const struct ecs_definition *one)
{
    return arena_printf(arena, "%s:%lld", one->family, (long long)one->revision);
}

const struct json *
sandbox_ecs_main_container(const struct ecs_definition *definition)
{
    const struct json *containers = json_get(definition->document, "containerDefinitions");
    for (size_t i = 0; i < json_count(containers); i++) {
        if (json_bool(json_get(json_at(containers, i), "essential"), true)) {
            return json_at(containers, i);
        }
    }
    return json_at(containers, 0);
}

static struct ecs_family *
add_family(struct ecs_state *ecs, const char *name)
{
    struct ecs_family *family = arena_alloc(ecs->arena, sizeof(*family));
    *family = (struct ecs_family){.name = arena_dup(ecs->arena, name)};
    ecs->families = xrealloc(ecs->families, (ecs->family_count + 1) * sizeof(*ecs->families));
    json_set_int(ecs->family_index, name, (int64_t)ecs->family_count);
    ecs->families[ecs->family_count++] = family;
    return family;
}

// Lists that ECS always answers with, where a container has none.
static struct json *
complete_container(const struct json *given)
{
    static const char *const lists[] = {
        "portMappings", "environment", "mountPoints", "volumesFrom", "systemControls"};
    struct json *container = json_clone(given);
    if (json_get(container, "cpu") == NULL) {
        json_set_int(container, "cpu", 0);
    }
    if (json_get(container, "essential") == NULL) {
        json_set_bool(container, "essential", true);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        if (json_get(container, lists[i]) == NULL) {
            json_set(container, lists[i], json_make_array());
        }
    }
    return container;
}

static struct json *
attribute(const char *name)
{
    struct json *item = json_make_object();
    json_set_str(item, "name", name);
    return item;
}

static void
add_output_members(struct json *document)
{
    struct json *attributes = json_make_array(), *compatibilities = json_make_array();
    const struct json *required = json_get(document, "requiresCompatibilities");
    json_append(attributes, attribute("com.amazonaws.ecs.capability.docker-remote-api.1.18"));
    if (json_get(document, "taskRoleArn") != NULL) {
        json_append(attributes, attribute("com.amazonaws.ecs.capability.task-iam-role"));
    }
    if (json_get(document, "executionRoleArn") != NULL) {
        json_append(attributes, attribute("ecs.capability.execution-role-awslogs"));
    }
    json_append(compatibilities, json_make_string("EC2"));
    for (size_t i = 0; i < json_count(required); i++) {
        const char *kind = json_str(json_at(required, i));
        if (kind != NULL && strcmp(kind, "EC2") != 0) {
            json_append(compatibilities, json_make_string(kind));
        }
    }
    json_set(document, "requiresAttributes", attributes);
    json_set(document, "compatibilities", compatibilities);
}

struct ecs_definition *
sandbox_ecs_definition_add(
    struct sandbox *sandbox, const struct json *input, const char *registered_by)
{
    static const char *const beside[] = {"tags", "containerDefinitions"};
    struct ecs_state *ecs = sandbox->aws->ecs;
    const char *name = json_str(json_get(input, "family"));
    const struct json *containers = json_get(input, "containerDefinitions");
    struct ecs_family *family = find_family(ecs, name);
    family = family != NULL ? family : add_family(ecs, name);
    struct ecs_definition *one = arena_alloc(ecs->arena, sizeof(*one));
    int64_t revision = (int64_t)family->count + 1;
    *one = (struct ecs_definition){.family = family->name,
        .revision = revision,
        .is_active = true,
        .arn = sandbox_ecs_arn(sandbox, "task-definition/%s:%lld", name, (long long)revision),
        .document = sandbox_ecs_keep(ecs, json_make_object()),
        .tags = sandbox_ecs_keep(ecs, json_make_array())};
    struct json *document = one->document, *list = json_make_array();
    for (size_t i = 0; i < json_count(containers); i++) {
        json_append(list, complete_container(json_at(containers, i)));
    }
    json_set_str(document, "taskDefinitionArn", one->arn);
    json_set(document, "containerDefinitions", list);
    sandbox_ecs_copy(document, input, beside, ARRAY_LENGTH(beside));
    json_set_int(document, "revision", revision);
    json_set_str(document, "status", "ACTIVE");
    if (json_get(document, "volumes") == NULL) {
        json_set(document, "volumes", json_make_array());
    }
    if (json_get(document, "placementConstraints") == NULL) {
        json_set(document, "placementConstraints", json_make_array());
    }
    add_output_members(document);
    sandbox_ecs_set_time(document, "registeredAt", sandbox_now(sandbox));
    json_set_str(document, "registeredBy", registered_by);
    sandbox_ecs_tags_set(ecs, &one->tags, json_get(input, "tags"));
    family->revisions =
        xrealloc(family->revisions, (family->count + 1) * sizeof(*family->revisions));
    family->revisions[family->count++] = one;
    return one;
}

const char *
sandbox_ecs_definition_problem(struct arena *arena, const struct json *input)
{
    const struct json *containers = json_get(input, "containerDefinitions");
    if (!sandbox_ecs_is_name(json_str(json_get(input, "family")))) {
        return "Family contains invalid characters.";
    }
    if (json_count(containers) == 0) {
        return "Container list cannot be empty.";
    }
    bool is_fargate = false;
    const struct json *required = json_get(input, "requiresCompatibilities");
    for (size_t i = 0; i < json_count(required); i++) {
        is_fargate = is_fargate || cstr_equal(json_str(json_at(required, i)), "FARGATE");
    }
    for (size_t i = 0; i < json_count(containers); i++) {
        const struct json *container = json_at(containers, i);
        const char *name = json_str(json_get(container, "name"));
        if (name == NULL || name[0] == '\0') {
            return "Container.name should not be null or empty.";
        }
        if (json_str(json_get(container, "image")) == NULL) {
            return "Container.image should not be null or empty.";
        }
        if (json_get(input, "memory") == NULL && json_get(container, "memory") == NULL &&
            json_get(container, "memoryReservation") == NULL) {
            return arena_printf(arena,
                "Invalid setting for container '%s'. At least one of 'memory' or "
                "'memoryReservation' must be specified.",
                name);
        }
    }
    if (is_fargate && (json_get(input, "cpu") == NULL || json_get(input, "memory") == NULL)) {
        return "Fargate requires that 'cpu' be defined at the task level.";
    }
    if (is_fargate && !cstr_equal(json_str(json_get(input, "networkMode")), "awsvpc")) {
        return "Fargate only supports network mode ‘awsvpc’.";
    }
    return NULL;
}

static void
reply_definition(struct aws_exchange *exchange, const struct ecs_definition *one, bool with_tags)
{
    struct json *body = json_make_object();
    json_set(body, "taskDefinition", json_clone(one->document));
    if (with_tags && json_count(one->tags) > 0) {
        json_set(body, "tags", json_clone(one->tags));
    }
    sandbox_reply_json(exchange->response, 200, body);
}

void
sandbox_ecs_register_definition(struct aws_exchange *exchange)
{
    const char *problem = sandbox_ecs_definition_problem(exchange->request->arena, exchange->body);
    if (problem != NULL) {
        sandbox_ecs_client_problem(exchange, "%s", problem);
        return;
    }
    reply_definition(exchange,
        sandbox_ecs_definition_add(exchange->sandbox, exchange->body, exchange->key->arn), true);
}

void
sandbox_ecs_describe_definition(struct aws_exchange *exchange)
{
    const struct ecs_definition *one = sandbox_ecs_definition_find(
        exchange->sandbox->aws->ecs, sandbox_ecs_text(exchange, "taskDefinition"));
    if (one == NULL) {
        sandbox_ecs_client_problem(exchange, "Unable to describe task definition.");
        return;
    }
    reply_definition(exchange, one, sandbox_ecs_includes(exchange, "TAGS"));
}

void
sandbox_ecs_deregister_definition(struct aws_exchange *exchange)
{
    const char *name = sandbox_ecs_text(exchange, "taskDefinition");
    struct ecs_definition *one = sandbox_ecs_definition_find(exchange->sandbox->aws->ecs, name);
    if (name == NULL || strchr(sandbox_ecs_name_of(name), ':') == NULL) {
        sandbox_ecs_invalid(exchange, "Task definition revision must be specified");
        return;
    }
    if (one == NULL) {
        sandbox_ecs_client_problem(exchange, "The specified task definition does not exist.");
        return;
    }
    if (one->is_active) {
        one->is_active = false;
        json_set_str(one->document, "status", "INACTIVE");
        sandbox_ecs_set_time(one->document, "deregisteredAt", sandbox_now(exchange->sandbox));
    }
    reply_definition(exchange, one, false);
}

static int
by_name(const void *a, const void *b)
{
    const struct ecs_family *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static void
take_family(struct json *list, const struct ecs_family *family, const char *status, bool descends)
{
    bool active = status == NULL || strcmp(status, "ACTIVE") == 0;
    bool inactive = status != NULL && strcmp(status, "INACTIVE") == 0;
    for (size_t i = 0; i < family->count; i++) {
        const struct ecs_definition *one = family->revisions[descends ? family->count - 1 - i : i];
        if (one->is_active ? active : inactive) {
            json_append(list, json_make_string(one->arn));
        }
    }
}

void
sandbox_ecs_list_definitions(struct aws_exchange *exchange)
{
    const struct ecs_state *ecs = exchange->sandbox->aws->ecs;
    const char *prefix = sandbox_ecs_text(exchange, "familyPrefix");
    const char *status = sandbox_ecs_text(exchange, "status");
    bool descends = cstr_equal(sandbox_ecs_text(exchange, "sort"), "DESC");
    struct json *list = json_make_array();
    // A "prefix" is a whole family name to ECS.
    const struct ecs_family *only = prefix != NULL ? find_family(ecs, prefix) : NULL;
    if (only != NULL) {
        take_family(list, only, status, descends);
    } else if (prefix == NULL && ecs->family_count > 0) {
        struct ecs_family **sorted =
            arena_array(exchange->request->arena, ecs->family_count, sizeof(*sorted));
        memcpy(sorted, ecs->families, ecs->family_count * sizeof(*sorted));
        qsort(sorted, ecs->family_count, sizeof(*sorted), by_name);
        for (size_t i = 0; i < ecs->family_count; i++) {
            take_family(list, sorted[descends ? ecs->family_count - 1 - i : i], status, descends);
        }
    }
    sandbox_ecs_reply_page(exchange, "taskDefinitionArns", list, 100);
}
