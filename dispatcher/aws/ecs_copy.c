// A task definition as data: the same again with another image, and what it says of its containers
// and their logs. Pure: sends nothing. Copies what it does not know, because ECS gains members
// every year and a deployment must not lose one.
#include <string.h>
#include <strings.h>

#include "dispatcher/memory.h"
#include "ecs_internal.h"

enum { HINT_MAX = 600 };

// What DescribeTaskDefinition adds to what RegisterTaskDefinition takes (the output-only members of
// TaskDefinition, API model of ECS 2014-11-13).
static const char *const output_only[] = {"taskDefinitionArn", "revision", "status",
    "requiresAttributes", "compatibilities", "registeredAt", "deregisteredAt", "registeredBy",
    "deleteRequestedAt"};

struct str_list
ecs_task_definition_containers(const struct json *document, struct arena *arena)
{
    const struct json *list = json_get(document, "containerDefinitions");
    size_t count = json_is_array(list) ? json_count(list) : 0;
    const char **names = arena_array(arena, count + 1, sizeof(*names)); // and a NULL
    for (size_t i = 0; i < count; i++) {
        const char *name = aws_line(arena, json_get(json_at(list, i), "name"));
        names[i] = name != NULL ? name : "";
    }
    return (struct str_list){names, count};
}

// "It has 'web' and 'proxy'. Did you mean 'web'?"
static struct error *
add_choice(struct error *err, const struct str_list *names, const char *asked)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(HINT_MAX);
    const char *closest = asked != NULL ? str_closest(str_of(asked), names->items) : NULL;
    for (size_t i = 0; i < names->count; i++) {
        const char *between = i == 0 ? "" : i + 1 < names->count ? ", " : " and ";
        buf_printf(&text, "%s'%s'", between, names->items[i]);
    }
    if (text.failed) {
        return error_hint(err, "It has %zu containers.", names->count);
    }
    return closest != NULL
               ? error_hint(err, "It has %s. Did you mean '%s'?", buf_cstr(&text), closest)
               : error_hint(err, "It has %s.", buf_cstr(&text));
}

static const char *
family_of(const struct json *document, struct arena *arena)
{
    const char *family = aws_line(arena, json_get(document, "family"));
    return family != NULL ? family : "?";
}

static struct error *
find_named(const struct str_list *names, const char *asked, const char *family, size_t *index)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], asked) == 0) {
            *index = i;
            return NULL;
        }
    }
    struct error *err =
        error_new(ERROR_SPEC, "task definition '%s' has no container '%s'", family, asked);
    return add_choice(err, names, asked);
}

// A container is essential unless it says otherwise.
static struct error *
find_only(
    const struct json *containers, const struct str_list *names, const char *family, size_t *index)
{
    size_t essential = 0, last = 0;
    for (size_t i = 0; i < names->count; i++) {
        if (json_bool(json_get(json_at(containers, i), "essential"), true)) {
            essential++;
            last = i;
        }
    }
    if (names->count == 1 || essential == 1) {
        *index = names->count == 1 ? 0 : last;
        return NULL;
    }
    struct error *err = error_new(ERROR_SPEC,
        "task definition '%s' has %zu containers and none was named", family, names->count);
    return add_choice(err, names, NULL);
}

static struct error *
find_container(const struct json *document, const char *asked, struct arena *arena, size_t *index)
{
    struct str_list names = ecs_task_definition_containers(document, arena);
    const char *family = family_of(document, arena);
    if (names.count == 0) {
        return aws_unusable("task definition '%s' has no 'containerDefinitions'", family);
    }
    return asked != NULL
               ? find_named(&names, asked, family, index)
               : find_only(json_get(document, "containerDefinitions"), &names, family, index);
}

struct error *
ecs_task_definition_image(
    const struct json *document, const char *container, const char **name, const char **image)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    size_t index = 0;
    TRY(find_container(document, container, arena, &index));
    const struct json *found = json_at(json_get(document, "containerDefinitions"), index);
    const char *its_name = json_str(json_get(found, "name"));
    const char *its_image = json_str(json_get(found, "image"));
    if (its_name == NULL || its_image == NULL) {
        return aws_unusable("a container without 'name' or 'image'");
    }
    if (name != NULL) {
        *name = its_name;
    }
    if (image != NULL) {
        *image = its_image;
    }
    return NULL;
}

// ---- the copy

static void
copy_member(void *ctx, const char *key, const struct json *value)
{
    for (size_t i = 0; i < ARRAY_LENGTH(output_only); i++) {
        if (strcmp(key, output_only[i]) == 0) {
            return;
        }
    }
    json_set(ctx, key, json_clone(value));
}

static void
put_image(struct json *body, const struct json *document, size_t index, const char *image)
{
    const struct json *list = json_get(document, "containerDefinitions");
    struct json *containers = json_make_array();
    for (size_t i = 0; i < json_count(list); i++) {
        struct json *container = json_clone(json_at(list, i));
        if (i == index) {
            json_set_str(container, "image", image);
        }
        json_append(containers, container);
    }
    json_set(body, "containerDefinitions", containers);
}

static bool
is_replaced(const char *key, const struct pair_list *tags)
{
    for (size_t i = 0; i < tags->count; i++) {
        if (strcmp(tags->items[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

// Keys that start with "aws:" in any case belong to AWS, which refuses them from others.
static struct error *
put_tags(struct json *body, const struct ecs_copy *copy)
{
    struct json *tags CLEANUP(json_freep) = ecs_pairs(&copy->tags, "key", "value");
    const struct json *old = copy->from->tags;
    for (size_t i = 0; i < json_count(old); i++) {
        const struct json *tag = json_at(old, i);
        const char *key = json_str(json_get(tag, "key"));
        if (key == NULL) {
            return aws_unusable("a tag without 'key'");
        }
        if (strncasecmp(key, "aws:", 4) != 0 && !is_replaced(key, &copy->tags)) {
            json_append(tags, json_clone(tag));
        }
    }
    if (json_count(tags) > 0) {
        json_set(body, "tags", tags);
        tags = NULL;
    }
    return NULL;
}

struct error *
ecs_task_definition_copy(const struct ecs_copy *copy, struct json **out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *body CLEANUP(json_freep) = json_make_object();
    const struct json *document = copy->from->document;
    size_t index = 0;
    TRY(find_container(document, copy->container, arena, &index));
    if (!json_is_object(json_at(json_get(document, "containerDefinitions"), index))) {
        return aws_unusable("'containerDefinitions' holds something else than objects");
    }
    json_each(document, copy_member, body);
    put_image(body, document, index, copy->image);
    TRY(put_tags(body, copy));
    *out = body;
    body = NULL;
    return NULL;
}

// ---- logs

static const char *
option_of(const struct json *options, const char *name, struct arena *arena)
{
    return aws_line(arena, json_get(options, name));
}

void
ecs_task_definition_log_targets(
    const struct json *document, struct arena *arena, struct ecs_log_target **out, size_t *count)
{
    const struct json *list = json_get(document, "containerDefinitions");
    struct str_list names = ecs_task_definition_containers(document, arena);
    struct aws_list targets = {.arena = arena, .size = sizeof(struct ecs_log_target)};
    for (size_t i = 0; i < names.count; i++) {
        const struct json *logging = json_get(json_at(list, i), "logConfiguration");
        const struct json *options = json_get(logging, "options");
        const char *group = option_of(options, "awslogs-group", arena);
        if (group == NULL || !cstr_equal(json_str(json_get(logging, "logDriver")), "awslogs")) {
            continue;
        }
        *(struct ecs_log_target *)aws_list_add(&targets) = (struct ecs_log_target){
            .container = names.items[i],
            .group = group,
            .prefix = option_of(options, "awslogs-stream-prefix", arena),
            .region = option_of(options, "awslogs-region", arena),
        };
    }
    *out = targets.items;
    *count = targets.count;
}

const char *
ecs_task_definition_log_driver(
    const struct json *document, const char *container, struct arena *arena)
{
    const struct json *list = json_get(document, "containerDefinitions");
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *one = json_at(list, i);
        if (cstr_equal(json_str(json_get(one, "name")), container)) {
            return aws_line(arena, json_get(json_get(one, "logConfiguration"), "logDriver"));
        }
    }
    return NULL;
}

bool
ecs_task_log_stream(const struct json *document, const char *container, const char *task,
    struct arena *arena, struct ecs_log_stream *out)
{
    struct ecs_log_target *targets = NULL;
    size_t count = 0;
    ecs_task_definition_log_targets(document, arena, &targets, &count);
    for (size_t i = 0; i < count; i++) {
        const struct ecs_log_target *target = &targets[i];
        if (target->prefix == NULL || strcmp(target->container, container) != 0) {
            continue;
        }
        *out = (struct ecs_log_stream){
            .group = target->group,
            .name = arena_printf(arena, "%s/%s/%s", target->prefix, container, ecs_last_part(task)),
            .region = target->region,
        };
        return true;
    }
    return false;
}
