// Borrowed views of text: a pointer and a length, never owning, not NUL-terminated.
//
//     struct str line, rest = str_of(text);
//     while (str_cut(rest, '\n', &line, &rest)) { ... }
//
// Pure functions, no allocation but where a function says so. Thread-safe.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatcher/compiler.h"

struct str {
    const char *ptr; // may be NULL when len is 0
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/// For printf's "%.*s".
#define STR_FMT(view) (int)(view).len, (view).ptr

/// A view of a C string; NULL gives the empty view.
struct str str_of(const char *text);
bool str_equal(struct str a, struct str b);
bool str_equal_nocase(struct str a, struct str b); // ASCII only
bool str_starts(struct str text, struct str prefix);
bool str_ends(struct str text, struct str suffix);
bool str_contains(struct str text, struct str needle);
struct str str_trim(struct str text); // spaces, tabs, CR, LF at both ends
struct str str_skip(struct str text, size_t count);
/// Splits at the first `separator`: false once `text` is empty. Without a separator the head is all
/// of it. `tail` may be the same object as the one `text` was copied from.
bool str_cut(struct str text, char separator, struct str *head, struct str *tail);
/// Whole view as a decimal number; false (output untouched) when it is anything else or overflows.
bool str_to_int64(struct str text, int64_t *out);
/// Is the view valid UTF-8 (RFC 3629: no surrogates, no overlong forms)?
bool str_is_utf8(struct str text);
/// Heap copy, NUL-terminated; free().
char *str_dup(struct str text);
/// Compares two C strings where NULL equals only NULL.
bool cstr_equal(const char *a, const char *b);
/// Number of single-character edits (insert, delete, replace, swap) between the two; for "did you
/// mean".
size_t str_distance(struct str a, struct str b);
/// The closest of `candidates` (NULL-terminated) within a third of its length, or NULL.
const char *str_closest(struct str text, const char *const *candidates);
