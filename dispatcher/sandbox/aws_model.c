// Holds a request against the inputs of AWS's own service model: required and unknown members,
// types, choices, lengths and ranges. Not checked: patterns, and what only a handler can know.
#include "aws_model_internal.h"

#include <math.h>
#include <string.h>

#include "dispatcher/digest.h"

struct check {
    const struct aws_model *model;
    struct arena *arena;
    bool lenient;
    enum aws_flaw flaw; // the first one found
    const char *text;
};

// A member's value, or its name while that is still to be looked up.
struct place {
    struct check *check;
    const struct aws_shape *shape; // of the structure or map that holds it
    const char *path;              // "containerDefinitions.1.member", "" at the top
};

static void check_value(
    struct check *check, uint16_t number, const struct json *value, const char *path);

static void note(struct check *check, enum aws_flaw flaw, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void
note(struct check *check, enum aws_flaw flaw, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    va_list args;
    if (check->flaw != AWS_FLAW_NONE) {
        return;
    }
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    check->flaw = flaw;
    check->text = arena_str(check->arena, buf_str(&text));
}

static bool
is_number(const struct json *value)
{
    return !isnan(json_number(value, (double)NAN));
}

static bool
is_boolean(const struct json *value)
{
    return json_bool(value, true) == json_bool(value, false);
}

// What the value is in the words that AWS's JSON reader has for it.
static const char *
token_of(const struct json *value)
{
    if (json_str(value) != NULL) {
        return "STRING_VALUE";
    }
    if (is_number(value)) {
        return "NUMBER_VALUE";
    }
    if (is_boolean(value)) {
        return json_bool(value, false) ? "TRUE_VALUE" : "FALSE_VALUE";
    }
    if (json_is_null(value)) {
        return "NULL_VALUE";
    }
    return json_is_array(value) ? "Start of list" : "Start of structure or map";
}

static bool
has_kind(const struct json *value, enum aws_kind kind)
{
    switch (kind) {
    case AWS_ANY:
        return true;
    case AWS_STRING:
    case AWS_BLOB:
        return json_str(value) != NULL;
    case AWS_INTEGER:
        return json_is_int(value);
    case AWS_NUMBER:
        return is_number(value);
    case AWS_BOOLEAN:
        return is_boolean(value);
    case AWS_LIST:
        return json_is_array(value);
    case AWS_MAP:
    case AWS_STRUCTURE:
        return json_is_object(value);
    }
    return false;
}

static void
check_kind(struct check *check, enum aws_kind kind, const struct json *value, const char *path)
{
    static const char *const names[] = {[AWS_ANY] = "document",
        [AWS_STRING] = "String",
        [AWS_INTEGER] = "Integer",
        [AWS_NUMBER] = "Number",
        [AWS_BOOLEAN] = "Boolean",
        [AWS_BLOB] = "Blob",
        [AWS_LIST] = "List",
        [AWS_MAP] = "Map",
        [AWS_STRUCTURE] = "Structure"};
    if (!has_kind(value, kind)) {
        note(check, AWS_FLAW_TYPE, "%s: %s can not be converted to a %s", path, token_of(value),
            names[kind]);
    }
}

static void
check_choice(
    struct check *check, const struct aws_shape *shape, const char *value, const char *path)
{
    struct buf all CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    for (size_t i = 0; shape->choices[i] != NULL; i++) {
        if (strcmp(shape->choices[i], value) == 0) {
            return;
        }
        buf_printf(&all, "%s%s", i > 0 ? ", " : "", shape->choices[i]);
    }
    if (!check->lenient) {
        note(check, AWS_FLAW_VALUE,
            "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member "
            "must satisfy enum value set: [%s]",
            value, path, buf_cstr(&all));
    }
}

// `noun`: "have length", for what is counted, or "have value".
static void
check_limits(struct check *check, const struct aws_shape *shape, const char *noun, int64_t measure,
    const char *path)
{
    bool is_short = measure < shape->min;
    if (is_short || (shape->max > 0 && measure > shape->max)) {
        note(check, AWS_FLAW_VALUE,
            "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must "
            "%s %s than or equal to %lld",
            path, noun, is_short ? "greater" : "less",
            (long long)(is_short ? shape->min : shape->max));
    }
}

static int64_t
characters(const char *text)
{
    int64_t count = 0;
    for (; *text != '\0'; text++) {
        count += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return count;
}

static void
check_blob(struct check *check, const struct aws_shape *shape, const char *text, const char *path)
{
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(16 * 1024 * 1024);
    struct error *err CLEANUP(error_freep) = base64_decode(str_of(text), &bytes);
    if (err != NULL) {
        note(check, AWS_FLAW_TYPE, "%s: STRING_VALUE can not be converted to a Blob", path);
        return;
    }
    check_limits(check, shape, "have length", (int64_t)bytes.len, path);
}

static const char *
below(const struct place *place, const char *name)
{
    struct arena *arena = place->check->arena;
    return place->path[0] == '\0' ? name : arena_printf(arena, "%s.%s", place->path, name);
}

static void
check_map_entry(void *ctx, const char *key, const struct json *value)
{
    const struct place *place = ctx;
    check_value(place->check, place->shape->element, value, below(place, key));
}

static void
check_member(void *ctx, const char *name, const struct json *value)
{
    const struct place *place = ctx;
    const struct aws_member *member = place->shape->members;
    while (member != NULL && member->name != NULL && strcmp(member->name, name) != 0) {
        member++;
    }
    if (member != NULL && member->name != NULL) {
        if (!json_is_null(value)) {
            check_value(place->check, member->shape, value, below(place, name));
        }
    } else if (!place->check->lenient) {
        note(place->check, AWS_FLAW_UNKNOWN, "Unknown parameter in input: \"%s\"",
            below(place, name));
    }
}

static void
check_structure(struct place *place, const struct json *value)
{
    const struct aws_member *member = place->shape->members;
    for (; member != NULL && member->name != NULL; member++) {
        if (member->is_required && json_is_null(json_get(value, member->name))) {
            note(place->check, AWS_FLAW_MISSING,
                "1 validation error detected: Value null at '%s' failed to satisfy constraint: "
                "Member must not be null",
                below(place, member->name));
        }
    }
    json_each(value, check_member, place);
}

static void
check_value(struct check *check, uint16_t number, const struct json *value, const char *path)
{
    const struct aws_shape *shape = &check->model->shapes[number];
    struct place place = {check, shape, path};
    check_kind(check, shape->kind, value, path);
    if (check->flaw != AWS_FLAW_NONE) {
        return;
    }
    if (shape->kind == AWS_STRING && shape->choices != NULL) {
        check_choice(check, shape, json_str(value), path);
    } else if (shape->kind == AWS_STRING) {
        check_limits(check, shape, "have length", characters(json_str(value)), path);
    } else if (shape->kind == AWS_BLOB) {
        check_blob(check, shape, json_str(value), path);
    } else if (shape->kind == AWS_INTEGER) {
        check_limits(check, shape, "have value", json_int(value, 0), path);
    } else if (shape->kind == AWS_LIST) {
        check_limits(check, shape, "have length", (int64_t)json_count(value), path);
        for (size_t i = 0; i < json_count(value); i++) {
            check_value(check, shape->element, json_at(value, i),
                arena_printf(check->arena, "%s.%zu.member", path, i + 1));
        }
    } else if (shape->kind == AWS_MAP) {
        check_limits(check, shape, "have length", (int64_t)json_count(value), path);
        json_each(value, check_map_entry, &place);
    } else if (shape->kind == AWS_STRUCTURE) {
        check_structure(&place, value);
    }
}

enum aws_flaw
sandbox_aws_model_check(const struct aws_model *model, const char *operation,
    const struct json *body, bool lenient, struct arena *arena, const char **text)
{
    struct check check = {.model = model, .arena = arena, .lenient = lenient};
    for (size_t i = 0; i < model->input_count; i++) {
        if (strcmp(model->inputs[i].operation, operation) == 0) {
            check_value(&check, model->inputs[i].shape, body, "");
        }
    }
    *text = check.text;
    return check.flaw;
}

bool
sandbox_aws_check(struct aws_exchange *exchange)
{
    const struct aws_service *service = exchange->service;
    const char *text = NULL;
    if (service->model == NULL) {
        return true;
    }
    enum aws_flaw flaw = sandbox_aws_model_check(service->model, exchange->operation,
        exchange->body, exchange->sandbox->aws->is_lenient, exchange->request->arena, &text);
    if (flaw == AWS_FLAW_TYPE) {
        sandbox_aws_problem(exchange, "SerializationException", "%s", text);
    } else if (flaw != AWS_FLAW_NONE) {
        sandbox_aws_problem(exchange, service->invalid, "%s", text);
    }
    return flaw == AWS_FLAW_NONE;
}
