// JSON Schema (draft 2020-12) from the field tables, for editors and other validators.
// As strict as the decoder about keys, types, words and forms; what values mean together is lint's.
#include <string.h>

#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "patterns.h"
#include "spec_internal.h"

static struct json *
type_of(const char *name)
{
    struct json *schema = json_make_object();
    json_set_str(schema, "type", name);
    return schema;
}

static struct json *
words(const char *const *values)
{
    struct json *array = json_make_array();
    for (; *values != NULL; values++) {
        json_append(array, json_make_string(*values));
    }
    return array;
}

static struct json *
pattern_schema(const char *pattern)
{
    struct json *schema = json_make_object();
    json_set_str(schema, "pattern", pattern);
    return schema;
}

static void
add_pattern(struct json *schema, const struct field *field)
{
    if (field->pattern == NULL) {
        return;
    }
    if (!field->placeholders) {
        json_set_str(schema, "pattern", field->pattern);
        return;
    }
    struct json *either = json_make_array();
    json_append(either, pattern_schema(field->pattern));
    json_append(either, pattern_schema("[{][a-z_]+[}]"));
    json_set(schema, "anyOf", either);
}

static struct json *
text_schema(const struct field *field)
{
    struct json *schema = type_of("string");
    if (field->numeric_text) {
        json_set(schema, "type", words((const char *const[]){"string", "integer", NULL}));
    }
    if (field->values != NULL && !field->open_values) {
        json_set(schema, "enum", words(field->values));
    }
    add_pattern(schema, field);
    return schema;
}

static struct json *
number_schema(const struct field *field)
{
    struct json *schema = type_of("integer");
    if (field->min != 0 || field->max != 0) {
        json_set_int(schema, "minimum", field->min);
    }
    if (field->max != 0 && field->max != INT64_MAX) {
        json_set_int(schema, "maximum", field->max);
    }
    return schema;
}

static struct json *
list_schema(struct json *items)
{
    struct json *schema = type_of("array");
    json_set(schema, "items", items);
    return schema;
}

static struct json *
map_schema(const struct field *field, struct json *values)
{
    struct json *schema = type_of("object");
    json_set(schema, "additionalProperties", values);
    if (field->key_pattern != NULL) {
        json_set(schema, "propertyNames", pattern_schema(field->key_pattern));
    }
    if (field->max > 0) {
        json_set_int(schema, "maxProperties", field->max);
    }
    return schema;
}

static struct json *
loose_text_schema(void)
{
    struct json *schema = json_make_object();
    json_set(schema, "type", words((const char *const[]){"string", "number", "boolean", NULL}));
    return schema;
}

static void define(struct json *defs, const struct field_table *table);

static struct json *
reference_to(struct json *defs, const struct field_table *table)
{
    define(defs, table);
    char *target CLEANUP(xfreep) = xasprintf("#/$defs/%s", table->name);
    for (char *at = target; *at != '\0'; at++) {
        *at = *at == ' ' ? '-' : *at;
    }
    struct json *schema = json_make_object();
    json_set_str(schema, "$ref", target);
    return schema;
}

static struct json *
field_schema(struct json *defs, const struct field *field)
{
    struct json *schema = NULL;
    switch (field->kind) {
    case FIELD_STR:
        return text_schema(field);
    case FIELD_INT:
        return number_schema(field);
    case FIELD_BOOL:
        return type_of("boolean");
    case FIELD_DURATION:
        schema = type_of("string");
        json_set_str(schema, "pattern", field->or_off ? PATTERN_DURATION_OR_OFF : PATTERN_DURATION);
        return schema;
    case FIELD_OBJECT:
        return reference_to(defs, field->table);
    case FIELD_LIST_STR:
        schema = list_schema(text_schema(field));
        if (field->max > 0) {
            json_set_int(schema, "maxItems", field->max);
        }
        return schema;
    case FIELD_LIST_INT:
        return list_schema(number_schema(field));
    case FIELD_LIST_OBJECT:
        schema = list_schema(reference_to(defs, field->table));
        if (field->max > 0) {
            json_set_int(schema, "maxItems", field->max);
        }
        return schema;
    case FIELD_MAP_STR:
        return map_schema(field, field->pattern != NULL ? text_schema(field) : loose_text_schema());
    case FIELD_MAP_OBJECT:
        return map_schema(field, reference_to(defs, field->table));
    case FIELD_RAW:
        return json_make_object();
    }
    BUG_ON(true);
}

static void
describe(struct json *schema, const struct field *field)
{
    if (field->fallback == NULL) {
        json_set_str(schema, "description", field->doc);
        return;
    }
    char *text CLEANUP(xfreep) = xasprintf("%s Default: %s.", field->doc, field->fallback);
    json_set_str(schema, "description", text);
}

static struct json *
table_schema(struct json *defs, const struct field_table *table)
{
    struct json *schema = type_of("object"), *properties = json_make_object();
    struct json *required = json_make_array();
    json_set_str(schema, "description", table->doc);
    json_set(schema, "additionalProperties", json_make_bool(table->open));
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        if (field->rest) {
            json_set(schema, "additionalProperties", reference_to(defs, field->table));
            continue;
        }
        struct json *property = field_schema(defs, field);
        describe(property, field);
        json_set(properties, field->name, property);
        if (field->required) {
            json_append(required, json_make_string(field->name));
        }
    }
    json_set(schema, "properties", properties);
    json_set(schema, "required", required);
    return schema;
}

static void
define(struct json *defs, const struct field_table *table)
{
    char *name CLEANUP(xfreep) = xstrdup(table->name);
    for (char *at = name; *at != '\0'; at++) {
        *at = *at == ' ' ? '-' : *at;
    }
    if (json_get(defs, name) == NULL) {
        json_set(defs, name, table_schema(defs, table));
    }
}

struct error *
spec_schema(const char *which, struct buf *out)
{
    bool app = cstr_equal(which, "app");
    if (!app && !cstr_equal(which, "config")) {
        return error_hint(error_new(ERROR_USAGE, "no schema '%.60s'", which),
            "The schemas are 'app' and 'config'.");
    }
    const struct field_table *table = app ? &spec_app_table : &config_table;
    struct json *defs = json_make_object();
    struct json *root = table_schema(defs, table);
    struct json *schema CLEANUP(json_freep) = json_make_object();
    json_set_str(schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
    json_set_str(schema, "title", table->name);
    static const char *const keys[] = {
        "description", "type", "properties", "required", "additionalProperties"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        json_set(schema, keys[i], json_clone(json_get(root, keys[i])));
    }
    json_free(root);
    json_set(schema, "$defs", defs);
    json_print(schema, true, out);
    buf_putc(out, '\n');
    return buf_finish(out, "schema");
}
