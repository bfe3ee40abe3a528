// JSON through jansson: parsing with caps, reading by hand, building, printing.
// Decoding and encoding by field table is json_table.c, which uses only what is declared in json.h.
#include "dispatcher/json.h"

#include <jansson.h>
// Ours are functions of the same meaning; NULL counts as null.
#undef json_is_null
#undef json_is_object
#undef json_is_array

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

const struct json_limits json_limits_default = {8 * 1024 * 1024, 64};

// `struct json` is jansson's json_t under another name, so that nobody else sees the library.
static json_t *
inner(const struct json *value)
{
    union {
        const struct json *outer;
        json_t *inner;
    } both = {.outer = value};
    return both.inner;
}

static struct json *
outer(json_t *value)
{
    BUG_ON(value == NULL);
    return (struct json *)value;
}

// Deepest nesting of the text, without parsing it: brackets outside strings.
static unsigned
depth_of(struct str text)
{
    unsigned depth = 0, deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (in_string) {
            if (byte == '\\') {
                i++;
            } else if (byte == '"') {
                in_string = false;
            }
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '[' || byte == '{') {
            depth++;
            deepest = depth > deepest ? depth : deepest;
        } else if ((byte == ']' || byte == '}') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

struct error *
json_parse(struct str text, const struct json_limits *limits, struct json **out)
{
    if (text.len > limits->max_bytes) {
        return error_new(
            ERROR_UNAVAILABLE, "unusable answer: JSON of more than %zu bytes", limits->max_bytes);
    }
    if (depth_of(text) > limits->max_depth) {
        return error_new(
            ERROR_UNAVAILABLE, "unusable answer: JSON nested deeper than %u", limits->max_depth);
    }
    json_error_t problem;
    json_t *value = json_loadb(text.ptr != NULL ? text.ptr : "", text.len,
        JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (value == NULL) {
        // jansson adds "near '…'": part of the answer, which may be half a token.
        const char *near = strstr(problem.text, " near '");
        int len = near != NULL ? (int)(near - problem.text) : (int)strlen(problem.text);
        return error_new(ERROR_UNAVAILABLE, "unusable answer: JSON, line %d column %d: %.*s",
            problem.line, problem.column, len, problem.text);
    }
    *out = outer(value);
    return NULL;
}

void
json_free(struct json *value)
{
    if (value != NULL) {
        json_decref(inner(value));
    }
}

void
json_freep(struct json **value)
{
    json_free(*value);
    *value = NULL;
}

const struct json *
json_get(const struct json *object, const char *key)
{
    return (const struct json *)json_object_get(inner(object), key);
}

const struct json *
json_path(const struct json *object, const char *path)
{
    struct str part = {0}, rest = str_of(path);
    const struct json *at = object;
    while (at != NULL && str_cut(rest, '.', &part, &rest)) {
        char *key CLEANUP(xfreep) = str_dup(part);
        at = json_get(at, key);
    }
    return at;
}

const char *
json_str(const struct json *value)
{
    return json_string_value(inner(value));
}

int64_t
json_int(const struct json *value, int64_t fallback)
{
    return json_is_int(value) ? json_integer_value(inner(value)) : fallback;
}

double
json_number(const struct json *value, double fallback)
{
    return value != NULL && json_is_number(inner(value)) ? json_number_value(inner(value))
                                                         : fallback;
}

bool
json_bool(const struct json *value, bool fallback)
{
    return json_is_boolean(inner(value)) ? json_is_true(inner(value)) : fallback;
}

bool
json_is_null(const struct json *value)
{
    return value == NULL || json_typeof(inner(value)) == JSON_NULL;
}

bool
json_is_object(const struct json *value)
{
    return value != NULL && json_typeof(inner(value)) == JSON_OBJECT;
}

bool
json_is_array(const struct json *value)
{
    return value != NULL && json_typeof(inner(value)) == JSON_ARRAY;
}

bool
json_is_int(const struct json *value)
{
    return value != NULL && json_typeof(inner(value)) == JSON_INTEGER;
}

size_t
json_count(const struct json *value)
{
    return json_is_object(value) ? json_object_size(inner(value)) : json_array_size(inner(value));
}

const struct json *
json_at(const struct json *array, size_t index)
{
    return (const struct json *)json_array_get(inner(array), index);
}

void
json_each(const struct json *object,
    void (*visit)(void *ctx, const char *key, const struct json *value), void *ctx)
{
    if (!json_is_object(object)) {
        return;
    }
    for (void *at = json_object_iter(inner(object)); at != NULL;
         at = json_object_iter_next(inner(object), at)) {
        visit(ctx, json_object_iter_key(at), (const struct json *)json_object_iter_value(at));
    }
}

// jansson takes valid UTF-8 only: every byte that is not part of some becomes U+FFFD.
static void
put_utf8(struct str rest, struct buf *out)
{
    while (rest.len > 0) {
        size_t size = 1;
        while (size <= 4 && size <= rest.len && !str_is_utf8((struct str){rest.ptr, size})) {
            size++;
        }
        bool good = size <= 4 && size <= rest.len;
        if (good) {
            buf_append(out, rest.ptr, size);
        } else {
            buf_puts(out, "\xef\xbf\xbd");
        }
        rest = str_skip(rest, good ? size : 1);
    }
}

struct json *
json_make_object(void)
{
    return outer(json_object());
}

struct json *
json_make_array(void)
{
    return outer(json_array());
}

struct json *
json_make_string(const char *text)
{
    if (str_is_utf8(str_of(text))) {
        return outer(json_string(text));
    }
    struct buf clean CLEANUP(buf_done) = BUF_INIT(SIZE_MAX / 2);
    put_utf8(str_of(text), &clean);
    return outer(json_string(buf_cstr(&clean)));
}

struct json *
json_make_int(int64_t number)
{
    return outer(json_integer(number));
}

struct json *
json_make_number(double number)
{
    json_t *made = json_real(number);
    BUG_ON(made == NULL); // no number at all, or infinite
    return outer(made);
}

struct json *
json_make_bool(bool value)
{
    return outer(json_boolean(value));
}

struct json *
json_make_null(void)
{
    return outer(json_null());
}

struct json *
json_clone(const struct json *value)
{
    return outer(json_deep_copy(inner(value)));
}

void
json_set(struct json *object, const char *key, struct json *child)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(SIZE_MAX / 2);
    if (!str_is_utf8(str_of(key))) {
        put_utf8(str_of(key), &clean);
        key = buf_cstr(&clean);
    }
    int failed = json_object_set_new(inner(object), key, inner(child));
    BUG_ON(failed != 0);
}

void
json_set_str(struct json *object, const char *key, const char *text)
{
    if (text != NULL) {
        json_set(object, key, json_make_string(text));
    }
}

void
json_set_int(struct json *object, const char *key, int64_t number)
{
    json_set(object, key, json_make_int(number));
}

void
json_set_number(struct json *object, const char *key, double number)
{
    json_set(object, key, json_make_number(number));
}

void
json_set_bool(struct json *object, const char *key, bool value)
{
    json_set(object, key, json_make_bool(value));
}

void
json_append(struct json *array, struct json *child)
{
    int failed = json_array_append_new(inner(array), inner(child));
    BUG_ON(failed != 0);
}

static int
append_to_buf(const char *bytes, size_t len, void *ctx)
{
    buf_append(ctx, bytes, len);
    return 0;
}

// Digits that make this number the same again when it is read: 15 for what people write ("0.1"), 17
// at most.
static int
digits_of(double number)
{
    for (int digits = 15; digits < 17; digits++) {
        char text[40];
        (void)snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            return digits;
        }
    }
    return 17;
}

// One precision serves the whole document: that of its most demanding fraction.
static int
precision_of(json_t *value)
{
    if (json_is_real(value)) {
        return digits_of(json_real_value(value));
    }
    int most = 15;
    for (size_t i = 0; i < json_array_size(value); i++) {
        int digits = precision_of(json_array_get(value, i));
        most = digits > most ? digits : most;
    }
    for (void *at = json_object_iter(value); at != NULL; at = json_object_iter_next(value, at)) {
        int digits = precision_of(json_object_iter_value(at));
        most = digits > most ? digits : most;
    }
    return most;
}

void
json_print(const struct json *value, bool indented, struct buf *out)
{
    size_t flags = JSON_ENCODE_ANY | (indented ? JSON_INDENT(2) : JSON_COMPACT) |
                   JSON_REAL_PRECISION(precision_of(inner(value)));
    int failed = json_dump_callback(inner(value), append_to_buf, out, flags);
    BUG_ON(failed != 0);
}

char *
json_text(const struct json *value)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    json_print(value, false, &out);
    return buf_take(&out);
}
