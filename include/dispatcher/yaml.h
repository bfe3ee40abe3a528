// YAML documents as a tree that remembers where everything stands.
//
// libyaml's event parser with caps (protocols.md T21): 64 KiB, depth 32, 10,000 events, one
// document, duplicate keys refused; aliases and tags refused unless the limits allow them (infra
// workflow files may hold them). Every scalar is text: YAML 1.1's booleans and octals surprise
// nobody. Characters that hide what a reader sees (other line separators, BiDi controls) are
// refused as well. The tree lives in the arena; the text is copied. Not thread-safe per tree.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/diagnostic.h"

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    struct source_span span;
    unsigned end_line, end_column; // 1-based, just after the node; columns count code points
    const char *text;              // SCALAR
    bool quoted;                   // SCALAR written with quotes or as a block
    bool block;                    // SCALAR written with '|' or '>'
    bool flow;                     // SEQUENCE in brackets, MAPPING in braces
    struct yaml_node *first;       // SEQUENCE items, or MAPPING keys
    struct yaml_node *value;       // of a MAPPING key
    struct yaml_node *next;        // next item or key
    size_t count;
};

struct yaml_limits {
    size_t max_bytes;
    unsigned max_depth, max_events;
    bool allow_aliases; // expanded, each expansion counting towards max_events
    bool allow_tags;    // ignored
};
extern const struct yaml_limits yaml_limits_spec; // the figures above
extern const struct yaml_limits
    yaml_limits_workflow; // 512 KiB, 64, 50,000, aliases and tags allowed

/// Problems become diagnostics; `*out` is NULL then, or for an empty document.
void yaml_parse(const char *file, struct str text, const struct yaml_limits *limits,
    struct arena *arena, struct diagnostics *diagnostics, struct yaml_node **out);
/// Value of a mapping's key, or NULL (also for a node that is no mapping, or NULL).
struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key);
/// Text of a scalar, NULL for anything else.
const char *yaml_text(const struct yaml_node *node);
