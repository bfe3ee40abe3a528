// A YAML tree into structs by field table: blocks, lists, maps, unknown and missing keys.
// Single values are decode_scalar.c's; what values mean together is lint's.
#include <stdarg.h>
#include <string.h>

#include "decode_internal.h"
#include "dispatcher/memory.h"

enum { CANDIDATES_MAX = 100 };

void
spec_complain(const struct spec_source *source, enum diagnostic_severity severity, const char *rule,
    const struct yaml_node *at, const char *help, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct buf message CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_vprintf(&message, format, args);
    va_end(args);
    struct source_span span = at != NULL ? at->span : (struct source_span){0};
    diagnostics_add(source->diagnostics, severity, rule, source->file, source->text, span, help,
        "%s", buf_cstr(&message));
}

const char *
spec_did_you_mean(const struct spec_source *source, const char *text, const char *const *candidates)
{
    const char *some[CANDIDATES_MAX + 1] = {0}; // a hostile file must not buy quadratic time
    for (size_t i = 0; i < CANDIDATES_MAX && candidates[i] != NULL; i++) {
        some[i] = candidates[i];
    }
    const char *closest = str_closest(str_of(text), some);
    return closest != NULL ? arena_printf(source->arena, "did you mean '%s'?", closest) : NULL;
}

const struct yaml_node *
spec_key_node(const struct yaml_node *mapping, const char *key)
{
    if (mapping == NULL || mapping->kind != YAML_MAPPING) {
        return NULL;
    }
    for (const struct yaml_node *entry = mapping->first; entry != NULL; entry = entry->next) {
        if (strcmp(entry->text, key) == 0) {
            return entry;
        }
    }
    return NULL;
}

bool
spec_node_is_empty(const struct yaml_node *node)
{
    if (node == NULL) {
        return true;
    }
    if (node->kind != YAML_SCALAR || node->quoted) {
        return false;
    }
    const char *text = node->text;
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
           strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

const struct yaml_node *
spec_node_at(const struct yaml_node *root, const char *path)
{
    const struct yaml_node *node = root;
    struct str rest = str_of(path), key = {0};
    while (node != NULL && str_cut(rest, '.', &key, &rest)) {
        char name[64];
        BUG_ON(key.len >= sizeof(name));
        memcpy(name, key.ptr, key.len);
        name[key.len] = '\0';
        node = yaml_get(node, name);
    }
    return spec_node_is_empty(node) ? NULL : node;
}

const char *
decode_kind_of(const struct yaml_node *node)
{
    static const char *const names[] = {"text", "a list", "a block"};
    return node->quoted ? "text in quotes" : names[node->kind];
}

static void
set_at(void *out, const char *key, const struct yaml_node *node)
{
    struct spec_at at = {key, node};
    memcpy(out, &at, sizeof(at));
}

static const struct field *
find_field(const struct field_table *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++) {
        if (!table->fields[i].rest && strcmp(table->fields[i].name, key) == 0) {
            return &table->fields[i];
        }
    }
    return NULL;
}

static const struct field *
rest_field(const struct field_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->fields[i].rest) {
            return &table->fields[i];
        }
    }
    return NULL;
}

const struct field *
spec_field_of(const struct field_table *table, const char *key)
{
    const struct field *field = find_field(table, key);
    return field != NULL ? field : rest_field(table);
}

static void
complain_unknown(
    const struct spec_source *source, const struct field_table *table, const struct yaml_node *key)
{
    const char **names = arena_array(source->arena, table->count + 1, sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (!table->fields[i].rest) {
            names[count++] = table->fields[i].name;
        }
    }
    spec_complain(source, DIAGNOSTIC_ERROR, "unknown-key", key,
        spec_did_you_mean(source, key->text, names), "unknown key '%.80s' in '%s'", key->text,
        table->name);
}

static void decode_block(const struct spec_source *source, const struct yaml_node *node,
    const struct yaml_node *place, const struct field_table *table, char *out);

static void
check_map_key(
    const struct spec_source *source, const struct field *field, const struct yaml_node *key)
{
    const char *problem = field->key_check != NULL ? field->key_check(key->text) : NULL;
    if (problem != NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-key", key, NULL,
            "'%.80s' is not a valid %s: %s", key->text,
            field->key_label != NULL ? field->key_label : "key", problem);
    }
}

// One entry of a map of blocks. A key without a value is a block of defaults.
static void
decode_map_entry(const struct spec_source *source, const struct field *field,
    const struct yaml_node *key, char *item)
{
    check_map_key(source, field, key);
    set_at(item, key->text, NULL);
    if (spec_node_is_empty(key->value)) {
        spec_complain(source, DIAGNOSTIC_WARNING, "empty-value", key,
            "write '{}' for a block of defaults", "'%.80s' has no value", key->text);
        struct yaml_node *empty = arena_alloc(source->arena, sizeof(*empty));
        empty->kind = YAML_MAPPING;
        empty->span = key->span;
        decode_block(source, empty, key, field->table, item);
    } else {
        decode_block(source, key->value, key, field->table, item);
    }
    set_at(item, key->text, key->value);
}

// What is made of the entries together (targets of services, say) must stay affordable.
static bool
is_short_enough(
    const struct spec_source *source, const struct field *field, const struct yaml_node *node)
{
    if (field->max == 0 || node->count <= (size_t)field->max) {
        return true;
    }
    spec_complain(source, DIAGNOSTIC_ERROR, "out-of-range", node, NULL,
        "'%s' has %zu entries, must have at most %lld", field->name, node->count,
        (long long)field->max);
    return false;
}

static void
decode_map_object(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, char *slot)
{
    if (node->kind != YAML_MAPPING) {
        spec_complain(source, DIAGNOSTIC_ERROR, "wrong-type", node, NULL,
            "'%s' must be a block with one key for each %s, not %s", field->name, field->key_label,
            decode_kind_of(node));
        return;
    }
    if (!is_short_enough(source, field, node)) {
        return;
    }
    char *items = arena_array(source->arena, node->count, field->table->size);
    size_t count = 0;
    for (const struct yaml_node *key = node->first; key != NULL; key = key->next) {
        decode_map_entry(source, field, key, items + count++ * field->table->size);
    }
    struct object_list list = {items, count};
    memcpy(slot, &list, sizeof(list));
}

static void
decode_map_str(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, char *slot)
{
    if (node->kind != YAML_MAPPING) {
        spec_complain(source, DIAGNOSTIC_ERROR, "wrong-type", node, NULL,
            "'%s' must be a block of texts, not %s", field->name, decode_kind_of(node));
        return;
    }
    if (!is_short_enough(source, field, node)) {
        return;
    }
    struct pair *pairs = arena_array(source->arena, node->count, sizeof(*pairs));
    size_t count = 0;
    for (const struct yaml_node *key = node->first; key != NULL; key = key->next) {
        check_map_key(source, field, key);
        const char *text = NULL;
        if (spec_node_is_empty(key->value)) {
            spec_complain(source, field->check != NULL ? DIAGNOSTIC_ERROR : DIAGNOSTIC_WARNING,
                "empty-value", key, field->check != NULL ? NULL : "write \"\" for an empty text",
                "'%.80s' has no value", key->text);
            continue;
        }
        if (decode_text(source, field, key->text, key->value, &text)) {
            pairs[count++] = (struct pair){key->text, text};
        }
    }
    struct pair_list list = {pairs, count};
    memcpy(slot, &list, sizeof(list));
}

static bool
is_list(const struct spec_source *source, const struct field *field, const struct yaml_node *node)
{
    if (node->kind == YAML_SEQUENCE) {
        return true;
    }
    const char *help =
        node->kind == YAML_SCALAR
            ? arena_printf(source->arena, "write '[%.60s]' for a list of one", node->text)
            : NULL;
    spec_complain(source, DIAGNOSTIC_ERROR, "wrong-type", node, help, "'%s' must be a list, not %s",
        field->name, decode_kind_of(node));
    return false;
}

static void
decode_list_str(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, char *slot)
{
    if (!is_short_enough(source, field, node)) {
        return;
    }
    const char **items = arena_array(source->arena, node->count, sizeof(*items));
    size_t count = 0;
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
        if (decode_text(source, field, field->name, item, &items[count])) {
            count++;
        }
    }
    struct str_list list = {items, count};
    memcpy(slot, &list, sizeof(list));
}

static void
decode_list_int(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, char *slot)
{
    int64_t *items = arena_array(source->arena, node->count, sizeof(*items));
    size_t count = 0;
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
        if (decode_int(source, field, item, &items[count])) {
            count++;
        }
    }
    struct int_list list = {items, count};
    memcpy(slot, &list, sizeof(list));
}

static void
decode_list_object(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, char *slot)
{
    if (!is_short_enough(source, field, node)) {
        return;
    }
    char *items = arena_array(source->arena, node->count, field->table->size);
    size_t count = 0;
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
        decode_block(source, item, item, field->table, items + count++ * field->table->size);
    }
    struct object_list list = {items, count};
    memcpy(slot, &list, sizeof(list));
}

static void
decode_field(const struct spec_source *source, const struct field *field,
    const struct yaml_node *key, char *slot)
{
    const struct yaml_node *node = key->value;
    switch (field->kind) {
    case FIELD_STR:
    case FIELD_INT:
    case FIELD_BOOL:
    case FIELD_DURATION:
        decode_scalar(source, field, node, slot);
        return;
    case FIELD_OBJECT:
        decode_block(source, node, key, field->table, slot);
        return;
    case FIELD_MAP_OBJECT:
        decode_map_object(source, field, node, slot);
        return;
    case FIELD_MAP_STR:
        decode_map_str(source, field, node, slot);
        return;
    case FIELD_LIST_STR:
    case FIELD_LIST_INT:
    case FIELD_LIST_OBJECT:
        if (!is_list(source, field, node)) {
            return;
        }
        (field->kind == FIELD_LIST_STR      ? decode_list_str
            : field->kind == FIELD_LIST_INT ? decode_list_int
                                            : decode_list_object)(source, field, node, slot);
        return;
    case FIELD_RAW: // any shape; whoever uses it reads the tree
        return;
    }
    BUG_ON(true);
}

static void
decode_key(const struct spec_source *source, const struct field *field, const struct yaml_node *key,
    char *out)
{
    if (spec_node_is_empty(key->value)) {
        spec_complain(source, field->required ? DIAGNOSTIC_ERROR : DIAGNOSTIC_WARNING,
            "empty-value", key, field->required ? NULL : "the default applies", "'%s' has no value",
            field->name);
        return;
    }
    if (key->value->kind == YAML_SCALAR && spec_looks_like_secret(key->value->text)) {
        return; // an error already (secrets.c), and not to be quoted
    }
    decode_field(source, field, key, out + field->offset);
    if (field->present_offset != 0) {
        bool present = true;
        memcpy(out + field->present_offset, &present, sizeof(present));
    }
}

static void
check_missing(const struct spec_source *source, const struct yaml_node *node,
    const struct yaml_node *place, const struct field_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        if (field->required && spec_key_node(node, field->name) == NULL) {
            spec_complain(source, DIAGNOSTIC_ERROR, "missing-key", place, NULL,
                "'%s' lacks the required key '%s'", table->name, field->name);
        }
    }
}

// Keys that fall to the table's `rest` field, as one map.
static void
decode_rest(const struct spec_source *source, const struct yaml_node *node,
    const struct field_table *table, const struct field *rest, char *out)
{
    char *items = arena_array(source->arena, node->count, rest->table->size);
    size_t count = 0;
    for (const struct yaml_node *key = node->first; key != NULL; key = key->next) {
        if (find_field(table, key->text) == NULL) {
            decode_map_entry(source, rest, key, items + count++ * rest->table->size);
        }
    }
    struct object_list list = {items, count};
    memcpy(out + rest->offset, &list, sizeof(list));
}

static void
decode_block(const struct spec_source *source, const struct yaml_node *node,
    const struct yaml_node *place, const struct field_table *table, char *out)
{
    decode_defaults(table, out);
    if (node->kind != YAML_MAPPING) {
        spec_complain(source, DIAGNOSTIC_ERROR, "wrong-type", node, NULL,
            "'%s' must be a block of keys, not %s", table->name, decode_kind_of(node));
        return;
    }
    set_at(out, NULL, node);
    const struct field *rest = rest_field(table);
    for (const struct yaml_node *key = node->first; key != NULL; key = key->next) {
        const struct field *field = find_field(table, key->text);
        if (field != NULL) {
            decode_key(source, field, key, out);
        } else if (rest == NULL && !table->open) {
            complain_unknown(source, table, key);
        }
    }
    if (rest != NULL) {
        decode_rest(source, node, table, rest, out);
    }
    check_missing(source, node, place, table);
}

void
spec_decode(const struct spec_source *source, const struct yaml_node *root,
    const struct field_table *table, void *out)
{
    decode_block(source, root, root, table, out);
}
