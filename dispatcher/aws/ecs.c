// What the operations of ECS have in common: describing by name with failures beside, and tags.
#include "dispatcher/ecs.h"

#include <string.h>

#include "ecs_internal.h"

const char *
ecs_last_part(const char *arn)
{
    const char *slash = arn != NULL ? strrchr(arn, '/') : NULL;
    return slash != NULL ? slash + 1 : arn;
}

bool
ecs_arn_is(const char *arn, const char *asked)
{
    return arn != NULL && (strcmp(arn, asked) == 0 || strcmp(ecs_last_part(arn), asked) == 0);
}

char *
ecs_subject(struct arena *arena, const char *const *names, size_t count)
{
    return count == 1 ? arena_printf(arena, "'%s'", names[0])
                      : arena_printf(arena, "'%s' and %zu more", names[0], count - 1);
}

static struct error *
failure_error(const struct json *failure)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *arn = aws_line(arena, json_get(failure, "arn"));
    const char *reason = aws_line(arena, json_get(failure, "reason"));
    const char *detail = aws_line(arena, json_get(failure, "detail"));
    struct error *err = error_new(ERROR_REFUSED, "%s%s%s%s%s%s",
        reason != NULL ? reason : "a failure without a reason", arn != NULL ? " for '" : "",
        arn != NULL ? arn : "", arn != NULL ? "'" : "", detail != NULL ? ": " : "",
        detail != NULL ? detail : "");
    return error_remote(err, 200, reason, NULL, false);
}

struct error *
ecs_failure(const struct json *answer, size_t *missing)
{
    const struct json *failures = json_get(answer, "failures");
    *missing = 0;
    for (size_t i = 0; i < json_count(failures); i++) {
        const struct json *failure = json_at(failures, i);
        if (!cstr_equal(json_str(json_get(failure, "reason")), "MISSING")) {
            return failure_error(failure);
        }
        ++*missing;
    }
    return NULL;
}

// ---- describing by name

struct batch {
    const struct ecs_batch *kind;
    const char *const *names;
    size_t count;
    struct arena *arena;
    char *out;
};

static const char *
arn_at(const struct batch *batch, size_t index)
{
    const char *arn = NULL;
    memcpy(&arn, batch->out + index * batch->kind->table->size, sizeof(arn));
    return arn;
}

// Two of the names may mean the same thing.
static void
place_answer(const struct batch *batch, const char *item)
{
    const char *arn = NULL;
    memcpy(&arn, item, sizeof(arn));
    size_t size = batch->kind->table->size;
    for (size_t i = 0; i < batch->count; i++) {
        if (arn_at(batch, i) == NULL && ecs_arn_is(arn, batch->names[i])) {
            memcpy(batch->out + i * size, item, size);
        }
    }
}

struct described {
    char *items;
    size_t count;
};

static struct error *
take_answer(const struct batch *batch, const struct json *answer)
{
    const struct ecs_batch *kind = batch->kind;
    const struct aws_field field = {.path = kind->list,
        .kind = AWS_LIST,
        .table = kind->table,
        .offset = offsetof(struct described, items),
        .count_offset = offsetof(struct described, count)};
    const struct aws_table table = {.size = sizeof(struct described), .fields = &field, .count = 1};
    struct described found = {0};
    size_t missing = 0, absent = 0;
    TRY(ecs_failure(answer, &missing));
    TRY(aws_read(answer, &table, batch->arena, &found));
    for (size_t i = 0; i < found.count; i++) {
        place_answer(batch, found.items + i * kind->table->size);
    }
    for (size_t i = 0; i < batch->count; i++) {
        absent += arn_at(batch, i) == NULL ? 1 : 0;
        if (absent > missing && !kind->forgetful) {
            return aws_unusable("it says nothing of %s '%s'", kind->what, batch->names[i]);
        }
    }
    return NULL;
}

static struct error *
describe_some(struct aws_session *session, const struct batch *batch)
{
    const struct ecs_batch *kind = batch->kind;
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    json_set_str(body, "cluster", kind->cluster);
    aws_set_strings(body, kind->key, batch->names, batch->count);
    struct aws_call call = kind->call;
    call.body = body;
    call.read = true;
    TRY(aws_call(session, &call, &answer));
    return take_answer(batch, answer);
}

struct error *
ecs_describe(struct aws_session *session, const struct ecs_batch *kind, const char *const *names,
    size_t count, struct arena *arena, void *out)
{
    size_t size = kind->table->size;
    char *found = arena_array(arena, count + 1, size);
    for (size_t done = 0; done < count; done += kind->most) {
        size_t left = count - done;
        const struct batch batch = {.kind = kind,
            .names = names + done,
            .count = left < kind->most ? left : kind->most,
            .arena = arena,
            .out = found + done * size};
        struct error *err = describe_some(session, &batch);
        if (err != NULL) {
            return error_wrap(
                err, "describe %s %s", kind->what, ecs_subject(arena, batch.names, batch.count));
        }
    }
    if (count > 0) {
        memcpy(out, found, count * size);
    }
    return NULL;
}

// ---- tags

struct json *
ecs_pairs(const struct pair_list *pairs, const char *name_key, const char *value_key)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < pairs->count; i++) {
        struct json *pair = json_make_object();
        json_set_str(pair, name_key, pairs->items[i].key);
        json_set_str(pair, value_key, pairs->items[i].value);
        json_append(list, pair);
    }
    return list;
}

struct error *
ecs_tags_add(struct aws_session *session, const char *arn, const struct pair *tags, size_t count)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    struct pair_list list = {arena_array(arena, count + 1, sizeof(*list.items)), count};
    for (size_t i = 0; i < count; i++) {
        list.items[i] = tags[i];
    }
    json_set_str(body, "resourceArn", arn);
    json_set(body, "tags", ecs_pairs(&list, "key", "value"));
    const struct aws_call call = {ECS_OPERATION("TagResource"), .body = body, .idempotent = true};
    struct error *err = aws_call(session, &call, &answer);
    return err != NULL ? error_wrap(err, "tag '%s'", arn) : NULL;
}

struct tags {
    struct pair *items;
    size_t count;
};
static const struct aws_field tag_fields[] = {
    AWS_FIELD(struct pair, key, "key", AWS_LINE, .required = true),
    AWS_FIELD(struct pair, value, "value", AWS_LINE),
};
static const struct aws_table tag_table = AWS_TABLE(struct pair, tag_fields);
static const struct aws_field tags_fields[] = {
    AWS_FIELD(struct tags, items, "tags", AWS_LIST, .table = &tag_table,
        .count_offset = offsetof(struct tags, count)),
};
static const struct aws_table tags_table = AWS_TABLE(struct tags, tags_fields);

struct error *
ecs_tags_get(
    struct aws_session *session, const char *arn, struct arena *arena, struct pair_list *out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    struct tags tags = {0};
    json_set_str(body, "resourceArn", arn);
    const struct aws_call call = {ECS_OPERATION("ListTagsForResource"), .body = body, .read = true};
    struct error *err = aws_call(session, &call, &answer);
    if (err == NULL) {
        err = aws_read(answer, &tags_table, arena, &tags);
    }
    if (err != NULL) {
        return error_wrap(err, "read the tags of '%s'", arn);
    }
    *out = (struct pair_list){tags.items, tags.count};
    return NULL;
}
