// Tables that describe how a document maps to a struct: one table decodes, encodes, diagnoses,
// and generates JSON Schema and the reference page.
//
//     static const struct field run_fields[] = {
//         FIELD(struct run, id, "id", FIELD_INT, .required = true),
//         FIELD(struct run, status, "status", FIELD_STR),
//     };
//     static const struct field_table run_table = FIELD_TABLE("run", struct run, run_fields);
//
// Storage by kind: STR `const char *` (NULL absent) · INT `int64_t` · BOOL `bool` · DURATION
// `int64_t` ms · OBJECT: the struct embedded · LIST_STR `struct str_list` · LIST_OBJECT and
// MAP_OBJECT `struct object_list` · MAP_STR `struct pair_list` · RAW `const struct json *`
// (JSON only, borrowed from the document) · PRESENT fields set a bool at `present_offset`.
// Everything decoded lives in the arena that was given. Tables are const data; pure.
//
// The members from `pattern` on matter to YAML specs only: JSON answers are read leniently.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
    FIELD_STR,
    FIELD_INT,
    FIELD_BOOL,
    FIELD_DURATION,
    FIELD_OBJECT,
    FIELD_LIST_STR,
    FIELD_LIST_INT, // struct int_list
    FIELD_LIST_OBJECT,
    FIELD_MAP_STR,
    FIELD_MAP_OBJECT, // elements start with `const char *key`
    FIELD_RAW,
};

struct str_list {
    const char **items;
    size_t count;
};
struct int_list {
    int64_t *items;
    size_t count;
};
struct pair {
    const char *key, *value;
};
struct pair_list {
    struct pair *items;
    size_t count;
};
struct object_list {
    void *items; // array of the table's struct
    size_t count;
};

struct field_table;

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    size_t present_offset; // 0: none; else offset of a bool set when the key is there
    bool required;
    bool secret_ref;                 // value may be a secret reference; a literal is a lint error
    bool placeholders;               // value may hold {placeholders}
    const struct field_table *table; // OBJECT, LIST_OBJECT, MAP_OBJECT
    const char *const *values;       // STR: the allowed words, NULL-terminated
    const char *(*check)(const char *value); // STR: NULL when fine, else what is wrong with it
    int64_t min, max;     // INT: both 0 means any; MAP_*, LIST_STR, LIST_OBJECT: at most `max`
    const char *fallback; // the default, as text, for the reference
    const char *doc;      // one sentence for the reference and the schema
    const char *pattern;  // what `check` accepts, as a regular expression (schema)
    const char *(*key_check)(const char *key); // MAP_*: like `check`, for each key
    const char *key_pattern;                   // MAP_*: like `pattern`
    const char *key_label;                     // MAP_*: what a key is, for the reference: "service"
    bool open_values;  // a word outside `values` is a warning: others own the list
    bool numeric_text; // STR that people write as a bare number
    bool plain_values; // MAP_STR that many can read: a key that names a secret is a warning
    bool rest;         // MAP_OBJECT that takes every key no other field names
    bool or_off;       // DURATION: `off` is a value, too: 0
};

struct field_table {
    const char *name; // for messages: "service"
    size_t size;      // of the struct
    const struct field *fields;
    size_t count;
    const char *doc;
    bool open; // unknown keys are accepted and ignored
};

// FIELD(struct, member, "key", FIELD_KIND, .required = true, …): name and kind come first in
// struct field, so the list fills them in order.
#define FIELD(type, member, ...)                                                                   \
    {                                                                                              \
        __VA_ARGS__, .offset = offsetof(type, member)                                              \
    }
#define FIELD_TABLE(label, type, list)                                                             \
    {                                                                                              \
        .name = (label), .size = sizeof(type), .fields = (list),                                   \
        .count = sizeof(list) / sizeof((list)[0])                                                  \
    }
