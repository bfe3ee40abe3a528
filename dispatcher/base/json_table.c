// JSON to structs and back by field table: one loop for decoding, one for encoding.
// Unknown keys are ignored (remote answers grow); a missing required or mistyped member is an error
// with its path.
#include <string.h>

#include "dispatcher/json.h"
#include "dispatcher/memory.h"

enum { PATH_MAX_BYTES = 512 };

// Where we are in the document, for messages.
struct place {
    const struct place *parent;
    const char *key; // NULL: an element
    size_t index;
};

static void
place_text(const struct place *place, struct buf *out)
{
    if (place == NULL) {
        return;
    }
    place_text(place->parent, out);
    if (place->key != NULL) {
        buf_printf(out, "%s%s", out->len > 0 ? "." : "", place->key);
    } else {
        buf_printf(out, "[%zu]", place->index);
    }
}

static struct error *
wrong(const struct place *place, const char *problem)
{
    struct buf path CLEANUP(buf_done) = BUF_INIT(PATH_MAX_BYTES);
    place_text(place, &path);
    return error_new(ERROR_UNAVAILABLE, "unusable answer: '%s' %s", buf_cstr(&path), problem);
}

static struct error *decode_object(const struct json *object, const struct field_table *table,
    const struct place *place, struct arena *arena, void *out);

static struct error *
decode_str_list(
    const struct json *array, const struct place *place, struct arena *arena, struct str_list *out)
{
    if (!json_is_array(array)) {
        return wrong(place, "is not a list");
    }
    size_t count = json_count(array);
    const char **items = arena_array(arena, count, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        const char *text = json_str(json_at(array, i));
        if (text == NULL) {
            return wrong(&(struct place){place, NULL, i}, "is not a string");
        }
        items[i] = arena_dup(arena, text);
    }
    *out = (struct str_list){items, count};
    return NULL;
}

static struct error *
decode_int_list(
    const struct json *array, const struct place *place, struct arena *arena, struct int_list *out)
{
    if (!json_is_array(array)) {
        return wrong(place, "is not a list");
    }
    size_t count = json_count(array);
    int64_t *items = arena_array(arena, count, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        if (!json_is_int(json_at(array, i))) {
            return wrong(&(struct place){place, NULL, i}, "is not a whole number");
        }
        items[i] = json_int(json_at(array, i), 0);
    }
    *out = (struct int_list){items, count};
    return NULL;
}

static struct error *
decode_object_list(const struct json *array, const struct field_table *table,
    const struct place *place, struct arena *arena, struct object_list *out)
{
    if (!json_is_array(array)) {
        return wrong(place, "is not a list");
    }
    size_t count = json_count(array);
    char *items = arena_array(arena, count, table->size);
    for (size_t i = 0; i < count; i++) {
        struct place here = {place, NULL, i};
        TRY(decode_object(json_at(array, i), table, &here, arena, items + i * table->size));
    }
    *out = (struct object_list){items, count};
    return NULL;
}

struct map_visit {
    const struct field_table *table; // NULL: values are strings
    const struct place *place;
    struct arena *arena;
    char *items;
    size_t count;
    struct error *err;
};

static void
visit_member(void *ctx, const char *key, const struct json *value)
{
    struct map_visit *visit = ctx;
    if (visit->err != NULL) {
        return;
    }
    struct place here = {visit->place, key, 0};
    if (visit->table == NULL) {
        const char *text = json_str(value);
        if (text == NULL) {
            visit->err = wrong(&here, "is not a string");
            return;
        }
        struct pair *pair = (struct pair *)(void *)visit->items + visit->count++;
        *pair = (struct pair){arena_dup(visit->arena, key), arena_dup(visit->arena, text)};
        return;
    }
    char *item = visit->items + visit->count++ * visit->table->size;
    const char *copy = arena_dup(visit->arena, key);
    memcpy(item, &copy, sizeof(copy));
    visit->err = decode_object(value, visit->table, &here, visit->arena, item);
}

static struct error *
decode_map(const struct json *object, const struct field_table *table, const struct place *place,
    struct arena *arena, void *out)
{
    if (!json_is_object(object)) {
        return wrong(place, "is not an object");
    }
    size_t size = table != NULL ? table->size : sizeof(struct pair);
    struct map_visit visit = {.table = table,
        .place = place,
        .arena = arena,
        .items = arena_array(arena, json_count(object), size)};
    json_each(object, visit_member, &visit);
    if (visit.err == NULL) {
        struct object_list list = {visit.items, visit.count};
        memcpy(out, &list, sizeof(list)); // struct pair_list has the same two members
    }
    return visit.err;
}

static struct error *
decode_scalar(const struct json *value, const struct field *field, const struct place *place,
    struct arena *arena, char *slot)
{
    if (field->kind == FIELD_STR) {
        const char *text = json_str(value);
        if (text == NULL) {
            return wrong(place, "is not a string");
        }
        text = arena_dup(arena, text);
        memcpy(slot, &text, sizeof(text));
    } else if (field->kind == FIELD_BOOL) {
        bool truth = json_bool(value, false);
        if (!truth && json_bool(value, true)) {
            return wrong(place, "is not true or false");
        }
        memcpy(slot, &truth, sizeof(truth));
    } else {
        if (!json_is_int(value)) {
            return wrong(place, "is not a whole number");
        }
        int64_t number = json_int(value, 0);
        memcpy(slot, &number, sizeof(number));
    }
    return NULL;
}

static struct error *
decode_value(const struct json *value, const struct field *field, const struct place *place,
    struct arena *arena, char *slot)
{
    switch (field->kind) {
    case FIELD_STR:
    case FIELD_INT:
    case FIELD_BOOL:
    case FIELD_DURATION:
        return decode_scalar(value, field, place, arena, slot);
    case FIELD_OBJECT:
        return decode_object(value, field->table, place, arena, slot);
    case FIELD_LIST_STR:
        return decode_str_list(value, place, arena, (struct str_list *)(void *)slot);
    case FIELD_LIST_INT:
        return decode_int_list(value, place, arena, (struct int_list *)(void *)slot);
    case FIELD_LIST_OBJECT:
        return decode_object_list(
            value, field->table, place, arena, (struct object_list *)(void *)slot);
    case FIELD_MAP_STR:
        return decode_map(value, NULL, place, arena, slot);
    case FIELD_MAP_OBJECT:
        return decode_map(value, field->table, place, arena, slot);
    case FIELD_RAW:
        memcpy(slot, &value, sizeof(value));
        return NULL;
    }
    BUG_ON(true);
}

static struct error *
decode_object(const struct json *object, const struct field_table *table, const struct place *place,
    struct arena *arena, void *out)
{
    if (!json_is_object(object)) {
        return place == NULL ? error_new(ERROR_UNAVAILABLE,
                                   "unusable answer: not a JSON object (%s)", table->name)
                             : wrong(place, "is not an object");
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        const struct json *value = json_get(object, field->name);
        struct place here = {place, field->name, 0};
        if (json_is_null(value)) {
            if (field->required) {
                return wrong(&here, "is missing");
            }
            continue;
        }
        TRY(decode_value(value, field, &here, arena, (char *)out + field->offset));
        if (field->present_offset != 0) {
            bool present = true;
            memcpy((char *)out + field->present_offset, &present, sizeof(present));
        }
    }
    return NULL;
}

struct error *
json_decode(
    const struct json *object, const struct field_table *table, struct arena *arena, void *out)
{
    return decode_object(object, table, NULL, arena, out);
}

static struct json *
encode_str_list(const struct str_list *list)
{
    struct json *array = json_make_array();
    for (size_t i = 0; i < list->count; i++) {
        json_append(array, json_make_string(list->items[i]));
    }
    return array;
}

static struct json *
encode_int_list(const struct int_list *list)
{
    struct json *array = json_make_array();
    for (size_t i = 0; i < list->count; i++) {
        json_append(array, json_make_int(list->items[i]));
    }
    return array;
}

static struct json *
encode_objects(const struct object_list *list, const struct field_table *table, bool is_map)
{
    struct json *whole = is_map ? json_make_object() : json_make_array();
    for (size_t i = 0; i < list->count; i++) {
        const char *item = (const char *)list->items + i * table->size;
        if (is_map) {
            const char *key = NULL;
            memcpy(&key, item, sizeof(key));
            json_set(whole, key, json_encode(table, item));
        } else {
            json_append(whole, json_encode(table, item));
        }
    }
    return whole;
}

static struct json *
encode_pairs(const struct pair_list *list)
{
    struct json *object = json_make_object();
    for (size_t i = 0; i < list->count; i++) {
        json_set_str(object, list->items[i].key, list->items[i].value);
    }
    return object;
}

static void
encode_number(struct json *object, const struct field *field, const char *slot)
{
    int64_t number = 0;
    memcpy(&number, slot, sizeof(number));
    if (number != 0 || field->required) {
        json_set_int(object, field->name, number);
    }
}

static void
encode_list(struct json *object, const struct field *field, const char *slot)
{
    struct object_list list; // every list is a pointer and a count
    memcpy(&list, slot, sizeof(list));
    if (list.count == 0 && !field->required) {
        return;
    }
    struct json *value = NULL;
    if (field->kind == FIELD_LIST_STR) {
        value = encode_str_list(&(struct str_list){list.items, list.count});
    } else if (field->kind == FIELD_LIST_INT) {
        value = encode_int_list(&(struct int_list){list.items, list.count});
    } else if (field->kind == FIELD_MAP_STR) {
        value = encode_pairs(&(struct pair_list){list.items, list.count});
    } else {
        value = encode_objects(&list, field->table, field->kind == FIELD_MAP_OBJECT);
    }
    json_set(object, field->name, value);
}

static void
encode_field(struct json *object, const struct field *field, const char *slot)
{
    const char *text = NULL;
    const struct json *raw = NULL;
    bool truth = false;
    switch (field->kind) {
    case FIELD_STR:
        memcpy(&text, slot, sizeof(text));
        json_set_str(object, field->name, text);
        return;
    case FIELD_BOOL:
        memcpy(&truth, slot, sizeof(truth));
        if (truth || field->required) {
            json_set_bool(object, field->name, truth);
        }
        return;
    case FIELD_INT:
    case FIELD_DURATION:
        encode_number(object, field, slot);
        return;
    case FIELD_OBJECT:
        json_set(object, field->name, json_encode(field->table, slot));
        return;
    case FIELD_RAW:
        memcpy(&raw, slot, sizeof(raw));
        if (raw != NULL) {
            json_set(object, field->name, json_clone(raw));
        }
        return;
    case FIELD_LIST_STR:
    case FIELD_LIST_INT:
    case FIELD_LIST_OBJECT:
    case FIELD_MAP_STR:
    case FIELD_MAP_OBJECT:
        encode_list(object, field, slot);
        return;
    }
    BUG_ON(true);
}

struct json *
json_encode(const struct field_table *table, const void *in)
{
    struct json *object = json_make_object();
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        encode_field(object, field, (const char *)in + field->offset);
    }
    return object;
}
