// Checks blocks by the tables of block_kit_shape.c: an object has a shape, a shape has members, a
// member has a kind and its limits. What does not follow from one member alone (text or fields, ids
// twice) is below the tables. Knows no messages, no channels and no limits of a message as a whole.
#include "block_kit_internal.h"

#include <string.h>

#include "block_kit_shape_internal.h"
#include "dispatcher/compiler.h"

enum { POINTER_MAX = 1024 };

// --- the walk
// -------------------------------------------------------------------------------------

struct walk {
    struct block_kit *kit;
    struct buf *pointer;
};

static void complain(const struct walk *walk, const char *format, ...) PRINTF_LIKE(2, 3);

static void
complain(const struct walk *walk, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(4 * POINTER_MAX);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    buf_printf(&text, " [json-pointer:%s]", buf_cstr(walk->pointer));
    json_append(walk->kit->problems, json_make_string(buf_cstr(&text)));
}

// One step down; undone with buf_cut and what it returns.
static size_t
descend(const struct walk *walk, const char *name)
{
    size_t before = walk->pointer->len;
    buf_printf(walk->pointer, "/%s", name);
    return before;
}

static size_t
descend_to_item(const struct walk *walk, size_t index)
{
    size_t before = walk->pointer->len;
    buf_printf(walk->pointer, "/%zu", index);
    return before;
}

static void
complain_at(const struct walk *walk, const char *name, const char *text)
{
    size_t before = descend(walk, name);
    complain(walk, "%s", text);
    buf_cut(walk->pointer, before);
}

size_t
block_kit_length(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return count;
}

static void
check_length(const struct walk *walk, const char *text, const struct block_kit_member *member)
{
    size_t length = block_kit_length(text);
    if (length == 0) {
        complain(walk, "must be more than 0 characters");
    } else if (length > member->max) {
        complain(walk, "must be less than %zu characters", member->max + 1);
    }
}

static bool
has_scheme(const char *url)
{
    struct str text = str_of(url);
    return str_starts(text, STR("https://")) || str_starts(text, STR("http://"));
}

static void
check_string(
    const struct walk *walk, const struct json *value, const struct block_kit_member *member)
{
    const char *text = json_str(value);
    if (text == NULL) {
        complain(walk, "must provide a string");
        return;
    }
    check_length(walk, text, member);
    if (member->kind == KIND_URL && !has_scheme(text)) {
        complain(walk, "must be a valid url");
    }
}

static void
check_word(const struct walk *walk, const struct json *value, const struct block_kit_member *member)
{
    for (size_t i = 0; member->words[i] != NULL; i++) {
        if (cstr_equal(json_str(value), member->words[i])) {
            return;
        }
    }
    complain(walk, "must be a valid enum value");
}

// A text object: its own limits, and narrower ones of where it stands.
static void
check_text(const struct walk *walk, const struct json *value, const struct block_kit_member *member)
{
    const char *text = json_str(json_get(value, "text"));
    size_t length = text != NULL ? block_kit_length(text) : 0;
    walk->kit->characters += length;
    if (member->max < BLOCK_KIT_TEXT_MAX && length > member->max) {
        size_t before = descend(walk, "text");
        complain(walk, "must be less than %zu characters", member->max + 1);
        buf_cut(walk->pointer, before);
    }
}

static void check_one_of(
    const struct walk *walk, const struct json *value, const struct block_kit_shape *const *shapes);

static void
check_list(const struct walk *walk, const struct json *value, const struct block_kit_member *member)
{
    static const struct block_kit_member in_list = {.max = 2000};
    if (!json_is_array(value)) {
        complain(walk, "must provide an array");
        return;
    }
    if (json_count(value) > member->max) {
        complain(walk, "no more than %zu items allowed", member->max);
    } else if (json_count(value) == 0) {
        complain(walk, "no fewer than 1 items allowed");
    }
    for (size_t i = 0; i < json_count(value); i++) {
        const struct json *item = json_at(value, i);
        size_t before = descend_to_item(walk, i);
        check_one_of(walk, item, member->shapes);
        if (!cstr_equal(json_str(json_get(item, "type")), "button")) {
            check_text(walk, item, &in_list);
        }
        buf_cut(walk->pointer, before);
    }
}

static void
check_member(
    const struct walk *walk, const struct json *value, const struct block_kit_member *member)
{
    size_t before = descend(walk, member->name);
    switch (member->kind) {
    case KIND_TYPE:
    case KIND_FREE:
        break;
    case KIND_STRING:
    case KIND_URL:
        check_string(walk, value, member);
        break;
    case KIND_BOOL:
        if (json_bool(value, true) != json_bool(value, false)) {
            complain(walk, "must provide a boolean");
        }
        break;
    case KIND_WORD:
        check_word(walk, value, member);
        break;
    case KIND_PLAIN:
    case KIND_TEXT:
        check_one_of(
            walk, value, member->kind == KIND_PLAIN ? block_kit_plain_texts : block_kit_texts);
        check_text(walk, value, member);
        break;
    case KIND_OBJECT:
        check_one_of(walk, value, member->shapes);
        break;
    case KIND_LIST:
        check_list(walk, value, member);
        break;
    }
    buf_cut(walk->pointer, before);
}

struct extra {
    const struct walk *walk;
    const struct block_kit_shape *shape;
};

static void
refuse_extra(void *ctx, const char *key, const struct json *value)
{
    const struct extra *extra = ctx;
    (void)value;
    for (size_t i = 0; i < extra->shape->count; i++) {
        if (strcmp(extra->shape->members[i].name, key) == 0) {
            return;
        }
    }
    complain(extra->walk, "invalid additional property: %.100s", key);
}

static void
check_shape(const struct walk *walk, const struct json *value, const struct block_kit_shape *shape)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct block_kit_member *member = &shape->members[i];
        const struct json *child = json_get(value, member->name);
        if (child != NULL) {
            check_member(walk, child, member);
        } else if (member->required) {
            complain(walk, "missing required field: %s", member->name);
        }
    }
    json_each(value, refuse_extra, &(struct extra){walk, shape});
}

static void
check_one_of(
    const struct walk *walk, const struct json *value, const struct block_kit_shape *const *shapes)
{
    const char *type = json_str(json_get(value, "type"));
    if (!json_is_object(value)) {
        complain(walk, "must provide an object");
        return;
    }
    if (shapes[0]->type != NULL && type == NULL) {
        complain(walk, "missing required field: type");
        return;
    }
    for (size_t i = 0; shapes[i] != NULL; i++) {
        if (shapes[i]->type == NULL || strcmp(shapes[i]->type, type) == 0) {
            check_shape(walk, value, shapes[i]);
            return;
        }
    }
    size_t before = descend(walk, "type");
    complain(walk, "unsupported type: %.100s", type);
    buf_cut(walk->pointer, before);
}

// --- what takes more than one member
// --------------------------------------------------------------

static void
count_texts(void *ctx, const char *key, const struct json *value)
{
    struct block_kit *kit = ctx;
    if (strcmp(key, "text") == 0 && json_str(value) != NULL) {
        kit->characters += block_kit_length(json_str(value));
    }
    for (size_t i = 0; json_is_array(value) && i < json_count(value); i++) {
        json_each(json_at(value, i), count_texts, kit);
    }
}

static void
check_rich_text(const struct walk *walk, const struct json *block)
{
    static const char *const types[] = {
        "rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"};
    const struct json *elements = json_get(block, "elements");
    if (elements != NULL && !json_is_array(elements)) {
        complain_at(walk, "elements", "must provide an array");
    }
    for (size_t i = 0; i < json_count(elements); i++) {
        const char *type = json_str(json_path(json_at(elements, i), "type"));
        bool known = false;
        for (size_t k = 0; k < ARRAY_LENGTH(types); k++) {
            known = known || cstr_equal(type, types[k]);
        }
        if (!known) {
            size_t before = descend(walk, "elements");
            (void)descend_to_item(walk, i);
            complain(walk, "unsupported type: %.100s", type != NULL ? type : "none");
            buf_cut(walk->pointer, before);
        }
    }
    json_each(block, count_texts, walk->kit);
}

static void
check_markdown(const struct walk *walk, const struct json *block)
{
    const char *text = json_str(json_get(block, "text"));
    size_t length = text != NULL ? block_kit_length(text) : 0;
    walk->kit->characters += length;
    walk->kit->markdown += length;
    if (length <= BLOCK_KIT_MARKDOWN_MAX && walk->kit->markdown > BLOCK_KIT_MARKDOWN_MAX) {
        complain_at(walk, "text", "all markdown blocks must be less than 12001 characters");
    }
}

// Is the id at `index` of the list, which `of` finds, that of an item before it?
static bool
is_repeated(const struct json *list, size_t index, const char *name)
{
    const char *id = json_str(json_get(json_at(list, index), name));
    for (size_t i = 0; id != NULL && i < index; i++) {
        if (cstr_equal(json_str(json_get(json_at(list, i), name)), id)) {
            return true;
        }
    }
    return false;
}

static void
check_actions(const struct walk *walk, const struct json *block)
{
    const struct json *elements = json_get(block, "elements");
    size_t before = descend(walk, "elements");
    for (size_t i = 0; json_is_array(elements) && i < json_count(elements); i++) {
        if (is_repeated(elements, i, "action_id")) {
            size_t item = descend_to_item(walk, i);
            complain_at(walk, "action_id", "`action_id` already exists");
            buf_cut(walk->pointer, item);
        }
    }
    buf_cut(walk->pointer, before);
}

static void
check_block(const struct walk *walk, const struct json *block)
{
    const char *type = json_str(json_get(block, "type"));
    check_one_of(walk, block, block_kit_blocks);
    if (type == NULL) {
        return;
    }
    if (strcmp(type, "section") == 0 && json_get(block, "text") == NULL &&
        json_get(block, "fields") == NULL) {
        complain_at(walk, "type", "must define either `text` or `fields`");
    } else if (strcmp(type, "rich_text") == 0) {
        check_rich_text(walk, block);
    } else if (strcmp(type, "markdown") == 0) {
        check_markdown(walk, block);
    } else if (strcmp(type, "actions") == 0) {
        check_actions(walk, block);
    }
}

void
block_kit_check(const struct json *blocks, const char *pointer, struct block_kit *kit)
{
    struct buf place CLEANUP(buf_done) = BUF_INIT(POINTER_MAX);
    const struct walk walk = {kit, &place};
    buf_puts(&place, pointer);
    if (!json_is_array(blocks)) {
        complain(&walk, "must provide an array");
        return;
    }
    if (json_count(blocks) > BLOCK_KIT_BLOCKS_MAX) {
        complain(&walk, "no more than %d items allowed", BLOCK_KIT_BLOCKS_MAX);
        return;
    }
    for (size_t i = 0; i < json_count(blocks); i++) {
        size_t before = descend_to_item(&walk, i);
        check_block(&walk, json_at(blocks, i));
        if (is_repeated(blocks, i, "block_id")) {
            complain_at(&walk, "block_id", "`block_id` already exists");
        }
        buf_cut(&place, before);
    }
}

// --- attachments
// ----------------------------------------------------------------------------------

static bool
is_color(const char *text)
{
    return strcmp(text, "good") == 0 || strcmp(text, "warning") == 0 ||
           strcmp(text, "danger") == 0 ||
           (text[0] == '#' && strlen(text) == 7 && strspn(text + 1, "0123456789abcdefABCDEF") == 6);
}

static void
check_attachment(const struct walk *walk, const struct json *attachment)
{
    // Beside blocks, Slack takes color and fallback; what else would be shown is refused.
    static const char *const shown[] = {"pretext", "author_name", "title", "text", "fields",
        "image_url", "thumb_url", "footer", "actions"};
    const struct json *color = json_get(attachment, "color"),
                      *blocks = json_get(attachment, "blocks");
    if (!json_is_object(attachment)) {
        complain(walk, "must provide an object");
        return;
    }
    if (color != NULL && (json_str(color) == NULL || !is_color(json_str(color)))) {
        complain_at(walk, "color", "must be a valid color");
    }
    for (size_t i = 0; blocks != NULL && i < ARRAY_LENGTH(shown); i++) {
        if (json_get(attachment, shown[i]) != NULL) {
            complain_at(walk, shown[i], "must not stand beside `blocks`");
        }
    }
    if (blocks != NULL) {
        size_t before = descend(walk, "blocks");
        block_kit_check(blocks, buf_cstr(walk->pointer), walk->kit);
        buf_cut(walk->pointer, before);
    }
}

void
block_kit_check_attachments(const struct json *attachments, struct block_kit *kit)
{
    struct buf place CLEANUP(buf_done) = BUF_INIT(POINTER_MAX);
    const struct walk walk = {kit, &place};
    buf_puts(&place, "/attachments");
    if (!json_is_array(attachments)) {
        complain(&walk, "must provide an array");
    }
    for (size_t i = 0; json_is_array(attachments) && i < json_count(attachments); i++) {
        size_t before = descend_to_item(&walk, i);
        check_attachment(&walk, json_at(attachments, i));
        buf_cut(&place, before);
    }
}
