// What decode.c and decode_scalar.c share.
#pragma once

#include "spec_internal.h"

/// "text", "a list", "a block", for messages.
const char *decode_kind_of(const struct yaml_node *node);
/// Single values. False when a diagnostic was added.
bool decode_text(const struct spec_source *source, const struct field *field, const char *label,
    const struct yaml_node *node, const char **out);
bool decode_int(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, int64_t *out);
void decode_scalar(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, char *slot);
/// Puts the table's constant defaults (numbers, durations, booleans; also of embedded blocks).
void decode_defaults(const struct field_table *table, char *out);
