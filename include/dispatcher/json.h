// JSON documents: parse with caps, decode by field table, build and print. The only user of
// jansson.
//
//     struct json *doc CLEANUP(json_freep) = NULL;
//     TRY(json_parse(body, &json_limits_default, &doc));
//     TRY(json_decode(doc, &run_table, arena, &run));
//
// Remote answers: unknown keys are ignored, duplicate keys, NUL and trailing bytes refused, depth
// capped at 64. Errors carry a path ("jobs[2].steps[0].name"). A tree has one owner; values got
// from it are borrowed. Not thread-safe per tree.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/buf.h"
#include "dispatcher/field.h"

struct json; // opaque; any JSON value

struct json_limits {
    size_t max_bytes;
    unsigned max_depth;
};
extern const struct json_limits json_limits_default; // 8 MiB, 64

/// ERROR_UNAVAILABLE ("unusable answer") on anything but one well-formed value within the limits.
NODISCARD struct error *json_parse(
    struct str text, const struct json_limits *limits, struct json **out);
void json_free(struct json *value);
void json_freep(struct json **value);

/// Fills `out` (a struct of table->size, zeroed by the caller) from an object. Strings are copied
/// into the arena. null counts as absent.
NODISCARD struct error *json_decode(
    const struct json *object, const struct field_table *table, struct arena *arena, void *out);
/// The reverse: a new object; absent strings, empty lists and zero numbers of optional fields are
/// left out.
struct json *json_encode(const struct field_table *table, const void *in);

// Reading by hand, for the sandbox and odd shapes. NULL-safe: a wrong type reads as absent.
const struct json *json_get(const struct json *object, const char *key);
/// Like json_get along "a.b.c".
const struct json *json_path(const struct json *object, const char *path);
const char *json_str(const struct json *value); // NULL when not a string
int64_t json_int(const struct json *value, int64_t fallback);
double json_number(const struct json *value, double fallback); // any number
bool json_bool(const struct json *value, bool fallback);
bool json_is_null(const struct json *value); // also true for absent
bool json_is_object(const struct json *value);
bool json_is_array(const struct json *value);
bool json_is_int(const struct json *value);
size_t json_count(const struct json *array_or_object);
const struct json *json_at(const struct json *array, size_t index);
/// Calls `visit` for each member in insertion order.
void json_each(const struct json *object,
    void (*visit)(void *ctx, const char *key, const struct json *value), void *ctx);

// Building. Setters take ownership of children. A NULL string sets nothing. Text that is not UTF-8
// has its bad bytes replaced by U+FFFD.
struct json *json_make_object(void);
struct json *json_make_array(void);
struct json *json_make_string(const char *text);
struct json *json_make_int(int64_t number);
/// Any finite number; one without a fraction is written as "1.0".
struct json *json_make_number(double number);
struct json *json_make_bool(bool value);
struct json *json_make_null(void);
struct json *json_clone(const struct json *value);
void json_set(struct json *object, const char *key, struct json *child);
void json_set_str(struct json *object, const char *key, const char *text);
void json_set_int(struct json *object, const char *key, int64_t number);
void json_set_number(struct json *object, const char *key, double number);
void json_set_bool(struct json *object, const char *key, bool value);
void json_append(struct json *array, struct json *child);
/// Appends the text of `value` to `out`: one line, or indented by two. Parsed again it is the same
/// value, fractions to the last bit.
void json_print(const struct json *value, bool indented, struct buf *out);
/// Heap, free().
char *json_text(const struct json *value);
