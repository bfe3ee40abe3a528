// Task definitions of ECS: read with their tags, registered, listed (DescribeTaskDefinition,
// RegisterTaskDefinition, ListTaskDefinitions). What a copy of one looks like is ecs_copy.c's.
#include <string.h>

#include "dispatcher/memory.h"
#include "ecs_internal.h"

enum { REVISIONS_A_PAGE = 100 };

void
ecs_task_definition_done(struct ecs_task_definition *definition)
{
    json_freep(&definition->document);
    json_freep(&definition->tags);
    *definition = (struct ecs_task_definition){0};
}

static const struct aws_field definition_fields[] = {
    AWS_FIELD(struct ecs_task_definition, arn, "taskDefinitionArn", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_task_definition, family, "family", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_task_definition, status, "status", AWS_LINE),
    AWS_FIELD(struct ecs_task_definition, revision, "revision", AWS_INT, .required = true),
};
static const struct aws_table definition_table =
    AWS_TABLE(struct ecs_task_definition, definition_fields);

static struct error *
read_definition(
    const struct json *answer, struct arena *arena, struct ecs_task_definition *definition)
{
    const struct json *object = json_get(answer, "taskDefinition");
    const struct json *tags = json_get(answer, "tags");
    if (!json_is_object(object)) {
        return aws_unusable("no 'taskDefinition'");
    }
    if (!json_is_null(tags) && !json_is_array(tags)) {
        return aws_unusable("'tags' is not a list");
    }
    struct ecs_task_definition read = {0};
    TRY(aws_read(object, &definition_table, arena, &read));
    read.document = json_clone(object);
    read.tags = json_count(tags) > 0 ? json_clone(tags) : NULL;
    ecs_task_definition_done(definition);
    *definition = read;
    return NULL;
}

// ECS has no code of its own for this.
static bool
is_missing(const struct error *err)
{
    if (!aws_has_code(err, "ClientException")) {
        return false;
    }
    char *text CLEANUP(xfreep) = error_text(err);
    struct str all = str_of(text);
    return str_contains(all, STR("Unable to describe task definition")) ||
           str_contains(all, STR("task definition does not exist"));
}

struct error *
ecs_task_definition_get(struct aws_session *session, const char *name, struct arena *arena,
    struct ecs_task_definition *out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    static const char *const include[] = {"TAGS"};
    json_set_str(body, "taskDefinition", name);
    aws_set_strings(body, "include", include, ARRAY_LENGTH(include));
    const struct aws_call call = {
        ECS_OPERATION("DescribeTaskDefinition"), .body = body, .read = true};
    struct error *err = aws_call(session, &call, &answer);
    if (is_missing(err)) {
        error_free(err);
        ecs_task_definition_done(out);
        return NULL;
    }
    if (err == NULL) {
        err = read_definition(answer, arena, out);
    }
    return err != NULL ? error_wrap(err, "read task definition '%s'", name) : NULL;
}

struct error *
ecs_task_definition_register(
    struct aws_session *session, const struct json *body, struct arena *arena, const char **arn)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    const struct aws_call call = {
        ECS_OPERATION("RegisterTaskDefinition"), .body = body, .idempotent = true};
    struct error *err = aws_call(session, &call, &answer);
    const char *text = aws_line(arena, json_path(answer, "taskDefinition.taskDefinitionArn"));
    if (err == NULL && text == NULL) {
        err = aws_unusable("no 'taskDefinition.taskDefinitionArn'");
    }
    if (err != NULL) {
        const char *family = aws_line(arena, json_get(body, "family"));
        return error_wrap(
            err, "register a revision of task definition '%s'", family != NULL ? family : "?");
    }
    *arn = text;
    return NULL;
}

// "…:task-definition/<family>:<revision>": whoever answers may match prefixes of the name.
static bool
is_of_family(const char *arn, const char *family)
{
    const char *name = ecs_last_part(arn);
    size_t len = strlen(family);
    return strncmp(name, family, len) == 0 && name[len] == ':';
}

static struct error *
take_revisions(const struct json *answer, const char *family, size_t max, struct aws_list *list)
{
    const struct json *arns = json_get(answer, "taskDefinitionArns");
    if (!json_is_array(arns)) {
        return aws_unusable("no 'taskDefinitionArns'");
    }
    for (size_t i = 0; i < json_count(arns) && list->count < max; i++) {
        const char *arn = aws_line(list->arena, json_at(arns, i));
        if (arn == NULL) {
            return aws_unusable("'taskDefinitionArns' holds something else than names");
        }
        if (is_of_family(arn, family)) {
            *(const char **)aws_list_add(list) = arn;
        }
    }
    return NULL;
}

struct error *
ecs_task_definition_list(struct aws_session *session, const char *family, size_t max,
    struct arena *arena, struct str_list *out)
{
    struct aws_list list = {.arena = arena, .size = sizeof(const char *)};
    struct aws_pages pages CLEANUP(aws_pages_done) = {
        .call = {ECS_OPERATION("ListTaskDefinitions"), .read = true},
        .body = json_make_object(),
        .token_key = "nextToken"};
    json_set_str(pages.body, "familyPrefix", family);
    json_set_str(pages.body, "status", "ACTIVE");
    json_set_str(pages.body, "sort", "DESC");
    json_set_int(
        pages.body, "maxResults", (int64_t)(max < REVISIONS_A_PAGE ? max : REVISIONS_A_PAGE));
    while (!pages.over && list.count < max) {
        struct json *answer CLEANUP(json_freep) = NULL;
        struct error *err = aws_pages_next(session, &pages, &answer);
        if (err == NULL) {
            err = take_revisions(answer, family, max, &list);
        }
        if (err != NULL) {
            return error_wrap(err, "list the revisions of task definition '%s'", family);
        }
    }
    *out = (struct str_list){list.items, list.count};
    return NULL;
}
