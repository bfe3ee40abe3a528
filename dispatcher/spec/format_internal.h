// What format.c (the layout) and format_source.c (the text behind the tree) share.
#pragma once

#include "spec_internal.h"

struct format_comment {
    unsigned line, column; // 1-based
    struct str text;       // from '#', without trailing blanks
    bool after_value;      // something stands before it in its line
};

// A document's text with its lines and comments found.
struct format_source {
    struct str text;
    const size_t *line_starts; // byte offsets
    size_t line_count;
    const struct format_comment *comments;
    size_t comment_count;
    const unsigned *value_lines; // of all keys and single values, in order
    size_t value_count;
    bool has_marker;    // starts with "---"
    bool has_directive; // "%YAML": not laid out
};

void format_source_read(
    struct str text, const struct yaml_node *root, struct arena *arena, struct format_source *out);
/// A line without its line end; empty past the end.
struct str format_line(const struct format_source *source, unsigned line);
bool format_line_is_blank(const struct format_source *source, unsigned line);
/// The text of a key or of a single value as it was written; of a block scalar its header only.
struct str format_slice(const struct format_source *source, const struct yaml_node *node);
/// Last line of a block scalar's body, trailing empty lines included.
unsigned format_block_end(const struct format_source *source, const struct yaml_node *node);
