// What each block and element may have: names, kinds and limits (npm @slack/types 3.2.0). Nothing
// is checked here.
#include "block_kit_shape_internal.h"

#include "block_kit_internal.h"
#include "dispatcher/compiler.h"

enum { ID_MAX = 255, URL_MAX = 3000 };

#define SHAPE(name, list)                                                                          \
    {                                                                                              \
        (name), (list), ARRAY_LENGTH(list)                                                         \
    }
#define MEMBER(label, what)                                                                        \
    {                                                                                              \
        .name = (label), .kind = (what)                                                            \
    }
#define OPTIONAL(label, what, most)                                                                \
    {                                                                                              \
        .name = (label), .kind = (what), .max = (most)                                             \
    }
#define REQUIRED(label, what, most)                                                                \
    {                                                                                              \
        .name = (label), .kind = (what), .max = (most), .required = true                           \
    }
#define OBJECT(label, of)                                                                          \
    {                                                                                              \
        .name = (label), .kind = KIND_OBJECT, .shapes = (of)                                       \
    }
#define LIST(label, most, of, is_required)                                                         \
    {                                                                                              \
        .name = (label), .kind = KIND_LIST, .max = (most), .shapes = (of),                         \
        .required = (is_required)                                                                  \
    }
#define STYLE                                                                                      \
    {                                                                                              \
        .name = "style", .kind = KIND_WORD, .words = styles                                        \
    }
#define TYPE_AND_ID MEMBER("type", KIND_TYPE), OPTIONAL("block_id", KIND_STRING, ID_MAX)

static const char *const styles[] = {"primary", "danger", NULL};

static const struct block_kit_member confirm_members[] = {
    OPTIONAL("title", KIND_PLAIN, 100),
    REQUIRED("text", KIND_TEXT, 300),
    OPTIONAL("confirm", KIND_PLAIN, 30),
    OPTIONAL("deny", KIND_PLAIN, 30),
    STYLE,
};
static const struct block_kit_shape confirm = SHAPE(NULL, confirm_members);
static const struct block_kit_shape *const confirms[] = {&confirm, NULL};

static const struct block_kit_member button_members[] = {
    MEMBER("type", KIND_TYPE),
    REQUIRED("text", KIND_PLAIN, 75),
    OPTIONAL("action_id", KIND_STRING, ID_MAX),
    OPTIONAL("url", KIND_URL, URL_MAX),
    OPTIONAL("value", KIND_STRING, 2000),
    OPTIONAL("accessibility_label", KIND_STRING, 75),
    STYLE,
    OBJECT("confirm", confirms),
};
static const struct block_kit_shape button = SHAPE("button", button_members);

static const struct block_kit_member image_members[] = {
    MEMBER("type", KIND_TYPE),
    REQUIRED("image_url", KIND_URL, URL_MAX),
    REQUIRED("alt_text", KIND_STRING, 2000),
};
static const struct block_kit_shape image = SHAPE("image", image_members);

static const struct block_kit_member plain_members[] = {
    MEMBER("type", KIND_TYPE),
    REQUIRED("text", KIND_STRING, BLOCK_KIT_TEXT_MAX),
    MEMBER("emoji", KIND_BOOL),
};
static const struct block_kit_shape plain = SHAPE("plain_text", plain_members);
static const struct block_kit_member mrkdwn_members[] = {
    MEMBER("type", KIND_TYPE),
    REQUIRED("text", KIND_STRING, BLOCK_KIT_TEXT_MAX),
    MEMBER("verbatim", KIND_BOOL),
};
static const struct block_kit_shape mrkdwn = SHAPE("mrkdwn", mrkdwn_members);

const struct block_kit_shape *const block_kit_texts[] = {&plain, &mrkdwn, NULL};
const struct block_kit_shape *const block_kit_plain_texts[] = {&plain, NULL};
static const struct block_kit_shape *const in_context[] = {&image, &plain, &mrkdwn, NULL};
static const struct block_kit_shape *const in_actions[] = {&button, NULL};
static const struct block_kit_shape *const accessories[] = {&button, &image, NULL};

static const struct block_kit_member header_members[] = {
    TYPE_AND_ID, REQUIRED("text", KIND_PLAIN, 150)};
static const struct block_kit_member section_members[] = {
    TYPE_AND_ID,
    OPTIONAL("text", KIND_TEXT, BLOCK_KIT_TEXT_MAX),
    LIST("fields", 10, block_kit_texts, false),
    OBJECT("accessory", accessories),
    MEMBER("expand", KIND_BOOL),
};
static const struct block_kit_member context_members[] = {
    TYPE_AND_ID, LIST("elements", 10, in_context, true)};
static const struct block_kit_member actions_members[] = {
    TYPE_AND_ID, LIST("elements", 25, in_actions, true)};
static const struct block_kit_member divider_members[] = {TYPE_AND_ID};
static const struct block_kit_member image_block_members[] = {
    TYPE_AND_ID,
    REQUIRED("image_url", KIND_URL, URL_MAX),
    REQUIRED("alt_text", KIND_STRING, 2000),
    OPTIONAL("title", KIND_PLAIN, 2000),
};
static const struct block_kit_member markdown_members[] = {
    TYPE_AND_ID, REQUIRED("text", KIND_STRING, BLOCK_KIT_MARKDOWN_MAX)};
static const struct block_kit_member rich_text_members[] = {
    TYPE_AND_ID, REQUIRED("elements", KIND_FREE, 0)};

static const struct block_kit_shape header = SHAPE("header", header_members);
static const struct block_kit_shape section = SHAPE("section", section_members);
static const struct block_kit_shape context = SHAPE("context", context_members);
static const struct block_kit_shape actions = SHAPE("actions", actions_members);
static const struct block_kit_shape divider = SHAPE("divider", divider_members);
static const struct block_kit_shape image_block = SHAPE("image", image_block_members);
static const struct block_kit_shape markdown = SHAPE("markdown", markdown_members);
static const struct block_kit_shape rich_text = SHAPE("rich_text", rich_text_members);
const struct block_kit_shape *const block_kit_blocks[] = {
    &header, &section, &context, &actions, &divider, &image_block, &markdown, &rich_text, NULL};
