// Tags of App Runner services (ListTagsForResource, TagResource).
#include "apprunner_internal.h"

struct tag {
    const char *key, *value;
};
struct tags {
    struct tag *items;
    size_t count;
};

static const struct aws_field tag_fields[] = {
    AWS_FIELD(struct tag, key, "Key", AWS_LINE, .required = true),
    AWS_FIELD(struct tag, value, "Value", AWS_LINE),
};
static const struct aws_table tag_table = AWS_TABLE(struct tag, tag_fields);
static const struct aws_field tags_fields[] = {
    AWS_FIELD(struct tags, items, "Tags", AWS_LIST, .table = &tag_table,
        .count_offset = offsetof(struct tags, count)),
};
static const struct aws_table tags_table = AWS_TABLE(struct tags, tags_fields);

struct error *
apprunner_tags_list(
    struct aws_session *session, const char *arn, struct arena *arena, struct pair_list *out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    struct tags tags = {0};
    json_set_str(body, "ResourceArn", arn);
    const struct aws_call call = {
        APPRUNNER_OPERATION("ListTagsForResource"), .body = body, .read = true};
    struct error *err = aws_call(session, &call, &answer);
    if (err == NULL) {
        err = aws_read(answer, &tags_table, arena, &tags);
    }
    if (err != NULL) {
        return error_wrap(err, "list the tags of App Runner service '%s'", arn);
    }
    struct pair *pairs = arena_array(arena, tags.count, sizeof(*pairs));
    for (size_t i = 0; i < tags.count; i++) {
        pairs[i] = (struct pair){tags.items[i].key, tags.items[i].value};
    }
    *out = (struct pair_list){pairs, tags.count};
    return NULL;
}

struct error *
apprunner_tag(struct aws_session *session, const char *arn, const struct pair_list *tags)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    struct json *list = json_make_array();
    for (size_t i = 0; i < tags->count; i++) {
        struct json *tag = json_make_object();
        json_set_str(tag, "Key", tags->items[i].key);
        json_set_str(tag, "Value", tags->items[i].value);
        json_append(list, tag);
    }
    json_set_str(body, "ResourceArn", arn);
    json_set(body, "Tags", list);
    const struct aws_call call = {
        APPRUNNER_OPERATION("TagResource"), .body = body, .idempotent = true};
    struct error *err = aws_call(session, &call, &answer);
    return err != NULL ? error_wrap(err, "tag App Runner service '%s'", arn) : NULL;
}
