// Answers of the JSON services to structs, by tables. Texts are made fit for one line here, so that
// nobody who shows them has to think of it; numbers that no service means are refused. Knows no
// service.
#include <math.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { LINE_MAX_BYTES = 2048, PLACE_MAX_BYTES = 300, JSON_TEXT_MAX = 1024 * 1024 };

struct error *
aws_unusable(const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1000);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    struct error *err = error_new(ERROR_UNAVAILABLE, "unusable answer: %s", buf_cstr(&text));
    return error_remote(err, 200, NULL, NULL, true);
}

const char *
aws_line(struct arena *arena, const struct json *text)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(4 * LINE_MAX_BYTES);
    if (json_str(text) == NULL) {
        return NULL;
    }
    text_clean(str_of(json_str(text)), LINE_MAX_BYTES, &out);
    return out.len > 0 ? arena_str(arena, buf_str(&out)) : NULL;
}

const char *
aws_json_text(const struct json *value, struct arena *arena)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(JSON_TEXT_MAX);
    if (json_count(value) == 0) {
        return NULL;
    }
    json_print(value, false, &out);
    return out.failed ? NULL : arena_str(arena, buf_str(&out));
}

struct error *
aws_set_json(struct json *object, const char *key, const char *text, const char *what)
{
    struct json *value = NULL;
    if (text == NULL) {
        return NULL;
    }
    struct error *err = json_parse(str_of(text), &json_limits_default, &value);
    if (err != NULL) {
        return error_wrap_as(ERROR_INPUT, err, "read %s", what);
    }
    json_set(object, key, value);
    return NULL;
}

void
aws_set_strings(struct json *object, const char *key, const char *const *items, size_t count)
{
    struct json *array = json_make_array();
    for (size_t i = 0; i < count; i++) {
        json_append(array, json_make_string(items[i]));
    }
    json_set(object, key, array);
}

void *
aws_list_add(struct aws_list *list)
{
    if (list->count == list->room) {
        size_t room = list->room > 0 ? 2 * list->room : 16;
        void *items = arena_array(list->arena, room, list->size);
        if (list->count > 0) {
            memcpy(items, list->items, list->count * list->size);
        }
        list->items = items;
        list->room = room;
    }
    return (char *)list->items + list->count++ * list->size;
}

// ---- tables

// Where we are, for messages: "services[0].deployments[1]".
struct place {
    const struct place *parent;
    const char *path;
    size_t index; // in the list at `path`
};

static void
place_text(const struct place *place, struct buf *out)
{
    if (place != NULL) {
        place_text(place->parent, out);
        buf_printf(out, "%s[%zu].", place->path, place->index);
    }
}

static struct error *
wrong(const struct place *place, const char *path, const char *problem)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(PLACE_MAX_BYTES);
    place_text(place, &text);
    return aws_unusable("'%s%s' %s", buf_cstr(&text), path, problem);
}

static struct error *read_object(const struct json *object, const struct aws_table *table,
    const struct place *place, struct arena *arena, void *out);

static const char *
read_lines(const struct json *value, struct arena *arena, char *slot)
{
    if (!json_is_array(value)) {
        return "is not a list";
    }
    size_t count = json_count(value);
    const char **items = arena_array(arena, count + 1, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        if (json_str(json_at(value, i)) == NULL) {
            return "holds something else than strings";
        }
        const char *line = aws_line(arena, json_at(value, i));
        items[i] = line != NULL ? line : "";
    }
    struct str_list list = {items, count};
    memcpy(slot, &list, sizeof(list));
    return NULL;
}

static const char *
read_bool(const struct json *value, char *slot)
{
    bool truth = json_bool(value, false);
    if (truth != json_bool(value, true)) {
        return "is not true or false";
    }
    memcpy(slot, &truth, sizeof(truth));
    return NULL;
}

static const char *
read_int(const struct json *value, char *slot)
{
    int64_t number = json_int(value, 0);
    if (!json_is_int(value)) {
        return "is not a whole number";
    }
    memcpy(slot, &number, sizeof(number));
    return NULL;
}

static const char *
read_number(const struct json *value, char *slot)
{
    double number = json_number(value, NAN);
    if (isnan(number)) {
        return "is not a number";
    }
    memcpy(slot, &number, sizeof(number));
    return NULL;
}

static const char *
read_time(const struct json *value, char *slot)
{
    double seconds = json_number(value, -1);
    if (seconds < 0 || seconds > 1e11) {
        return "is not a time";
    }
    int64_t ms = (int64_t)(seconds * 1000.0 + 0.5);
    memcpy(slot, &ms, sizeof(ms));
    return NULL;
}

static const char *
read_line(const struct json *value, struct arena *arena, char *slot)
{
    if (json_str(value) == NULL) {
        return "is not a string";
    }
    const char *line = aws_line(arena, value);
    memcpy(slot, &line, sizeof(line));
    return NULL;
}

static const char *
read_json(const struct json *value, struct arena *arena, char *slot)
{
    if (!json_is_object(value) && !json_is_array(value)) {
        return "is not an object or a list";
    }
    const char *text = aws_json_text(value, arena);
    memcpy(slot, &text, sizeof(text));
    return text == NULL && json_count(value) > 0 ? "is too long" : NULL;
}

static struct error *
read_list(const struct json *value, const struct aws_field *field, const struct place *place,
    struct arena *arena, char *out)
{
    size_t count = json_count(value), size = field->table->size;
    if (!json_is_array(value)) {
        return wrong(place, field->path, "is not a list");
    }
    char *items = arena_array(arena, count + 1, size);
    for (size_t i = 0; i < count; i++) {
        struct place here = {place, field->path, i};
        TRY(read_object(json_at(value, i), field->table, &here, arena, items + i * size));
    }
    memcpy(out + field->offset, &items, sizeof(items));
    memcpy(out + field->count_offset, &count, sizeof(count));
    return NULL;
}

/// NULL, or what is wrong with it.
static const char *
read_scalar(
    const struct json *value, const struct aws_field *field, struct arena *arena, char *slot)
{
    switch (field->kind) {
    case AWS_LINE:
        return read_line(value, arena, slot);
    case AWS_LINES:
        return read_lines(value, arena, slot);
    case AWS_INT:
        return read_int(value, slot);
    case AWS_BOOL:
        return read_bool(value, slot);
    case AWS_NUMBER:
        return read_number(value, slot);
    case AWS_TIME:
        return read_time(value, slot);
    case AWS_JSON:
        return read_json(value, arena, slot);
    case AWS_LIST:
        break;
    }
    BUG_ON(true);
}

static struct error *
read_field(const struct json *value, const struct aws_field *field, const struct place *place,
    struct arena *arena, char *out)
{
    if (field->kind == AWS_LIST) {
        return read_list(value, field, place, arena, out);
    }
    const char *problem = read_scalar(value, field, arena, out + field->offset);
    if (problem != NULL) {
        return wrong(place, field->path, problem);
    }
    // An empty name is no name.
    bool empty = field->kind == AWS_LINE && json_str(value)[0] == '\0';
    return field->required && empty ? wrong(place, field->path, "is empty") : NULL;
}

// Something that is no object where the path goes through must not read as an absent member.
static bool
is_blocked(const struct json *object, const char *path)
{
    struct str part = {0}, rest = str_of(path);
    while (json_is_object(object) && str_cut(rest, '.', &part, &rest)) {
        char *key CLEANUP(xfreep) = str_dup(part);
        object = json_get(object, key);
    }
    return rest.len > 0 && !json_is_null(object);
}

static struct error *
read_object(const struct json *object, const struct aws_table *table, const struct place *place,
    struct arena *arena, void *out)
{
    if (!json_is_object(object)) {
        return place == NULL ? aws_unusable("not a JSON object")
                             : wrong(place->parent, place->path, "holds no objects");
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct aws_field *field = &table->fields[i];
        const struct json *value = json_path(object, field->path);
        if (json_is_null(value)) {
            if (is_blocked(object, field->path)) {
                return wrong(place, field->path, "has no object around it");
            }
            if (field->required) {
                return wrong(place, field->path, "is missing");
            }
            if (field->kind == AWS_NUMBER) {
                memcpy((char *)out + field->offset, &field->absent, sizeof(field->absent));
            }
            continue;
        }
        TRY(read_field(value, field, place, arena, out));
        if (field->present_offset != 0) {
            bool present = true;
            memcpy((char *)out + field->present_offset, &present, sizeof(present));
        }
    }
    return NULL;
}

struct error *
aws_read(const struct json *object, const struct aws_table *table, struct arena *arena, void *out)
{
    return read_object(object, table, NULL, arena, out);
}
