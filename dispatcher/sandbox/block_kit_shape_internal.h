// The shapes of Block Kit's objects as tables: what block_kit.c walks along. Const data.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { BLOCK_KIT_TEXT_MAX = 3000 }; // of any text object

enum block_kit_kind {
    KIND_TYPE, // was looked at already
    KIND_STRING,
    KIND_URL,
    KIND_BOOL,
    KIND_WORD,   // one of `words`
    KIND_PLAIN,  // a plain_text object
    KIND_TEXT,   // a plain_text or mrkdwn object
    KIND_OBJECT, // of one of `shapes`, by its type
    KIND_LIST,   // of such objects
    KIND_FREE,   // looked at elsewhere
};

struct block_kit_shape;
struct block_kit_member {
    const char *name;
    enum block_kit_kind kind;
    bool required;
    size_t max; // characters of a text, items of a list; the least is always 1
    const char *const *words;
    const struct block_kit_shape *const *shapes; // NULL-terminated
};
struct block_kit_shape {
    const char *type; // NULL: has none
    const struct block_kit_member *members;
    size_t count;
};

/// NULL-terminated lists.
extern const struct block_kit_shape *const block_kit_blocks[];
extern const struct block_kit_shape *const block_kit_texts[];
extern const struct block_kit_shape *const block_kit_plain_texts[];
