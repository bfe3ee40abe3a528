// Slack's Block Kit as Slack checks it before it takes a message: types, required members, lengths
// and counts (npm @slack/types 3.2.0, and what its answers say). Pure.
//
//     struct block_kit kit = {.problems = json_make_array()};
//     block_kit_check(blocks, "/blocks", &kit);
//
// Known are the blocks that a report is made of; any other type is refused as unsupported, although
// Slack has more.
#pragma once

#include <stddef.h>

#include "dispatcher/json.h"

enum {
    BLOCK_KIT_BLOCKS_MAX = 50,
    BLOCK_KIT_MARKDOWN_MAX = 12000, // of all markdown blocks of a message
    BLOCK_KIT_TOTAL_MAX = 13200,    // of all blocks of a message; not documented, but enforced
};

struct block_kit {
    struct json *problems; // texts as Slack's: "must be … [json-pointer:/blocks/0/text]"
    size_t characters;     // of all texts so far
    size_t markdown;       // of those, in markdown blocks
};

/// Adds what is wrong with a list of blocks, which stands at `pointer`.
void block_kit_check(const struct json *blocks, const char *pointer, struct block_kit *kit);
/// Adds what is wrong with a list of attachments; blocks inside count as blocks of the message.
void block_kit_check_attachments(const struct json *attachments, struct block_kit *kit);
/// Code points of UTF-8 text.
size_t block_kit_length(const char *text);
