// YAML to a tree with places, by libyaml's event parser (protocols.md T21; its document loader
// needs seconds for 100 KB of '['). Knows nothing of what the document means.
#include "dispatcher/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "dispatcher/memory.h"
#include "spec_internal.h"

const struct yaml_limits yaml_limits_spec = {
    .max_bytes = 64 * 1024, .max_depth = 32, .max_events = 10000};
const struct yaml_limits yaml_limits_workflow = {.max_bytes = 512 * 1024,
    .max_depth = 64,
    .max_events = 50000,
    .allow_aliases = true,
    .allow_tags = true};

struct anchor {
    const char *name;
    struct yaml_node *node;
    struct anchor *next; // newest first: a name may be given again (YAML 1.1 §3.2.2.2)
};

struct parse {
    const struct spec_source *source;
    struct str text;
    const struct yaml_limits *limits;
    yaml_parser_t parser;
    unsigned events, depth;
    struct anchor *anchors;
};

static void
complain(const struct parse *parse, const char *rule, struct source_span span, const char *help,
    const char *message)
{
    diagnostics_add(parse->source->diagnostics, DIAGNOSTIC_ERROR, rule, parse->source->file,
        parse->source->text, span, help, "%s", message);
}

static unsigned
one_based(size_t number)
{
    return number < UINT32_MAX ? (unsigned)number + 1 : UINT32_MAX;
}

static struct source_span
span_of(yaml_mark_t start, yaml_mark_t end)
{
    struct source_span span = {one_based(start.line), one_based(start.column), 1};
    if (end.line == start.line && end.column > start.column) {
        span.length = (unsigned)(end.column - start.column);
    }
    return span;
}

static bool
count_event(struct parse *parse, struct source_span span)
{
    if (++parse->events <= parse->limits->max_events) {
        return true;
    }
    char *message CLEANUP(xfreep) =
        xasprintf("more than %u values and brackets", parse->limits->max_events);
    complain(parse, "too-many-events", span, "split the file", message);
    return false;
}

static void
complain_syntax(struct parse *parse)
{
    const yaml_parser_t *parser = &parse->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "cannot be read";
    struct source_span span = span_of(parser->problem_mark, parser->problem_mark);
    if (parser->error == YAML_READER_ERROR && parser->problem_offset <= parse->text.len) {
        span = spec_place_of(parse->text, parser->problem_offset);
    }
    char *message CLEANUP(xfreep) =
        parser->context != NULL ? xasprintf("not valid YAML: %s, %s", parser->context, problem)
                                : xasprintf("not valid YAML: %s", problem);
    complain(parse, "yaml-syntax", span, NULL, message);
}

static bool
next_event(struct parse *parse, yaml_event_t *event)
{
    if (yaml_parser_parse(&parse->parser, event) == 0) {
        complain_syntax(parse);
        return false;
    }
    if (!count_event(parse, span_of(event->start_mark, event->end_mark))) {
        yaml_event_delete(event);
        return false;
    }
    return true;
}

static struct yaml_node *
new_node(struct parse *parse, enum yaml_kind kind, const yaml_event_t *event)
{
    struct yaml_node *node = arena_alloc(parse->source->arena, sizeof(*node));
    node->kind = kind;
    node->span = span_of(event->start_mark, event->end_mark);
    node->end_line = one_based(event->end_mark.line);
    node->end_column = one_based(event->end_mark.column);
    return node;
}

// Anchors and tags of a node-starting event; false when refused.
static bool
check_properties(struct parse *parse, const yaml_event_t *event, const yaml_char_t *anchor,
    const yaml_char_t *tag)
{
    struct source_span span = span_of(event->start_mark, event->end_mark);
    if (anchor != NULL && !parse->limits->allow_aliases) {
        char *message CLEANUP(xfreep) =
            xasprintf("anchor '&%.80s' is not allowed", (const char *)anchor);
        complain(parse, "alias", span, "write the value out", message);
        return false;
    }
    if (tag != NULL && !parse->limits->allow_tags) {
        char *message CLEANUP(xfreep) = xasprintf("tag '%.80s' is not allowed", (const char *)tag);
        complain(parse, "tag", span, "remove the tag", message);
        return false;
    }
    return true;
}

static void
remember_anchor(struct parse *parse, const yaml_char_t *name, struct yaml_node *node)
{
    if (name != NULL) {
        struct anchor *anchor = arena_alloc(parse->source->arena, sizeof(*anchor));
        anchor->name = arena_dup(parse->source->arena, (const char *)name);
        anchor->node = node;
        anchor->next = parse->anchors;
        parse->anchors = anchor;
    }
}

static struct yaml_node *
parse_scalar(struct parse *parse, const yaml_event_t *event)
{
    if (!check_properties(parse, event, event->data.scalar.anchor, event->data.scalar.tag)) {
        return NULL;
    }
    struct yaml_node *node = new_node(parse, YAML_SCALAR, event);
    const char *value = (const char *)event->data.scalar.value;
    if (strlen(value) != event->data.scalar.length) {
        complain(parse, "nul-byte", node->span, NULL, "a text may not hold a NUL character");
        return NULL;
    }
    yaml_scalar_style_t style = event->data.scalar.style;
    node->text = arena_dup(parse->source->arena, value);
    node->block = style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
    node->quoted = node->block || style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
                   style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    remember_anchor(parse, event->data.scalar.anchor, node);
    return node;
}

static struct yaml_node *parse_node(struct parse *parse, const yaml_event_t *event);

static struct yaml_node *
parse_next(struct parse *parse)
{
    yaml_event_t event;
    if (!next_event(parse, &event)) {
        return NULL;
    }
    struct yaml_node *node = parse_node(parse, &event);
    yaml_event_delete(&event);
    return node;
}

// Takes one event: the end of the collection (*ended), or a node.
static struct yaml_node *
parse_child(struct parse *parse, struct yaml_node *parent, bool *ended)
{
    yaml_event_t event;
    if (!next_event(parse, &event)) {
        return NULL;
    }
    struct yaml_node *node = NULL;
    if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT) {
        *ended = true;
        parent->end_line = one_based(event.end_mark.line);
        parent->end_column = one_based(event.end_mark.column);
    } else {
        node = parse_node(parse, &event);
    }
    yaml_event_delete(&event);
    return node;
}

static bool
parse_key_value(struct parse *parse, struct yaml_node *key)
{
    if (key->kind != YAML_SCALAR) {
        complain(parse, "bad-key", key->span, NULL, "a key must be plain text");
        return false;
    }
    key->value = parse_next(parse);
    return key->value != NULL;
}

static bool
parse_children(struct parse *parse, struct yaml_node *parent)
{
    struct yaml_node **tail = &parent->first;
    for (;;) {
        bool ended = false;
        struct yaml_node *child = parse_child(parse, parent, &ended);
        if (ended) {
            return true;
        }
        if (child == NULL) {
            return false;
        }
        if (parent->kind == YAML_MAPPING && !parse_key_value(parse, child)) {
            return false;
        }
        *tail = child;
        tail = &child->next;
        parent->count++;
    }
}

static int
compare_keys(const void *left, const void *right)
{
    const struct yaml_node *a = *(struct yaml_node *const *)left;
    const struct yaml_node *b = *(struct yaml_node *const *)right;
    int order = strcmp(a->text, b->text);
    if (order == 0) {
        order = (a->span.line > b->span.line) - (a->span.line < b->span.line);
    }
    return order != 0 ? order
                      : (a->span.column > b->span.column) - (a->span.column < b->span.column);
}

static void
complain_duplicate(struct parse *parse, const struct yaml_node *key, const struct yaml_node *first)
{
    char *help CLEANUP(xfreep) = xasprintf("first on line %u", first->span.line);
    char *message CLEANUP(xfreep) = xasprintf("duplicate key '%.80s'", key->text);
    complain(parse, "duplicate-key", key->span, help, message);
}

// Takes the keys without a value out of the mapping.
static void
drop_emptied_keys(struct yaml_node *mapping)
{
    struct yaml_node **link = &mapping->first;
    while (*link != NULL) {
        if ((*link)->value == NULL) {
            *link = (*link)->next;
            mapping->count--;
        } else {
            link = &(*link)->next;
        }
    }
}

// By sorting, so that a file of nothing but keys costs no quadratic time. The first of a key stays,
// so that whoever looks at the rest of the tree finds one meaning in it.
static void
check_duplicate_keys(struct parse *parse, struct yaml_node *mapping)
{
    if (mapping->count < 2) {
        return;
    }
    struct yaml_node **keys = xcalloc(mapping->count, sizeof(*keys));
    size_t count = 0;
    for (struct yaml_node *key = mapping->first; key != NULL; key = key->next) {
        keys[count++] = key;
    }
    qsort(keys, count, sizeof(*keys), compare_keys);
    const struct yaml_node *first = keys[0];
    bool dropped = false;
    for (size_t i = 1; i < count; i++) {
        if (strcmp(keys[i]->text, first->text) == 0) {
            complain_duplicate(parse, keys[i], first);
            keys[i]->value = NULL;
            dropped = true;
        } else {
            first = keys[i];
        }
    }
    free(keys);
    if (dropped) {
        drop_emptied_keys(mapping);
    }
}

static bool
enter(struct parse *parse, struct source_span span)
{
    if (++parse->depth <= parse->limits->max_depth) {
        return true;
    }
    char *message CLEANUP(xfreep) =
        xasprintf("nested more than %u levels deep", parse->limits->max_depth);
    complain(parse, "too-deep", span, NULL, message);
    return false;
}

static struct yaml_node *
parse_collection(struct parse *parse, const yaml_event_t *event)
{
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *anchor =
        mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const yaml_char_t *tag =
        mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    if (!check_properties(parse, event, anchor, tag)) {
        return NULL;
    }
    struct yaml_node *node = new_node(parse, mapping ? YAML_MAPPING : YAML_SEQUENCE, event);
    node->flow = mapping ? event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
                         : event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    if (!enter(parse, node->span) || !parse_children(parse, node)) {
        return NULL;
    }
    parse->depth--;
    if (mapping) {
        check_duplicate_keys(parse, node);
    }
    remember_anchor(parse, anchor, node);
    return node;
}

static struct yaml_node *copy_node(struct parse *parse, const struct yaml_node *from);

static bool
copy_children(struct parse *parse, const struct yaml_node *from, struct yaml_node *to)
{
    struct yaml_node **tail = &to->first;
    for (const struct yaml_node *child = from->first; child != NULL; child = child->next) {
        struct yaml_node *copy = copy_node(parse, child);
        if (copy == NULL) {
            return false;
        }
        if (child->value != NULL) {
            copy->value = copy_node(parse, child->value);
            if (copy->value == NULL) {
                return false;
            }
        }
        *tail = copy;
        tail = &copy->next;
    }
    return true;
}

// An alias costs what writing it out would have cost.
static struct yaml_node *
copy_node(struct parse *parse, const struct yaml_node *from)
{
    if (!count_event(parse, from->span) || !enter(parse, from->span)) {
        return NULL;
    }
    struct yaml_node *copy = arena_alloc(parse->source->arena, sizeof(*copy));
    *copy = *from;
    copy->first = copy->next = copy->value = NULL;
    if (!copy_children(parse, from, copy)) {
        return NULL;
    }
    parse->depth--;
    return copy;
}

static struct yaml_node *
parse_alias(struct parse *parse, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct source_span span = span_of(event->start_mark, event->end_mark);
    if (!parse->limits->allow_aliases) {
        char *message CLEANUP(xfreep) = xasprintf("alias '*%.80s' is not allowed", name);
        complain(parse, "alias", span, "write the value out", message);
        return NULL;
    }
    for (const struct anchor *anchor = parse->anchors; anchor != NULL; anchor = anchor->next) {
        if (strcmp(anchor->name, name) == 0) {
            return copy_node(parse, anchor->node);
        }
    }
    // Also an alias inside the very node that it names: no anchor before its node is complete.
    char *message CLEANUP(xfreep) = xasprintf("alias '*%.80s' names no anchor before it", name);
    complain(parse, "alias", span, NULL, message);
    return NULL;
}

static struct yaml_node *
parse_node(struct parse *parse, const yaml_event_t *event)
{
    if (event->type == YAML_SCALAR_EVENT) {
        return parse_scalar(parse, event);
    }
    if (event->type == YAML_ALIAS_EVENT) {
        return parse_alias(parse, event);
    }
    BUG_ON(event->type != YAML_SEQUENCE_START_EVENT && event->type != YAML_MAPPING_START_EVENT);
    return parse_collection(parse, event);
}

// Stream start, document start, one node, document end, stream end.
static struct yaml_node *
parse_stream(struct parse *parse)
{
    struct yaml_node *root = NULL;
    for (;;) {
        yaml_event_t event;
        if (!next_event(parse, &event)) {
            return NULL;
        }
        yaml_event_type_t type = event.type;
        struct source_span span = span_of(event.start_mark, event.end_mark);
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT) {
            return root;
        }
        if (type != YAML_DOCUMENT_START_EVENT) {
            continue;
        }
        if (root != NULL) {
            complain(parse, "second-document", span, "one file, one document",
                "a second document starts here");
            return NULL;
        }
        root = parse_next(parse);
        if (root == NULL) {
            return NULL;
        }
    }
}

static bool
is_blank_document(const struct yaml_node *root)
{
    return root->kind == YAML_SCALAR && !root->quoted && root->text[0] == '\0';
}

static bool
size_is_fine(const struct parse *parse)
{
    if (parse->text.len <= parse->limits->max_bytes) {
        return true;
    }
    char *message CLEANUP(xfreep) = xasprintf("the file has %zu bytes, more than the %zu allowed",
        parse->text.len, parse->limits->max_bytes);
    complain(parse, "too-large", (struct source_span){0}, NULL, message);
    return false;
}

struct yaml_node *
yaml_parse_keep_going(
    const struct spec_source *source, struct str text, const struct yaml_limits *limits)
{
    struct parse parse = {.source = source, .text = text, .limits = limits};
    if (!size_is_fine(&parse) || !spec_text_is_plain(source, text)) {
        return NULL;
    }
    BUG_ON(yaml_parser_initialize(&parse.parser) == 0);
    yaml_parser_set_encoding(&parse.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(
        &parse.parser, (const unsigned char *)(text.ptr != NULL ? text.ptr : ""), text.len);
    struct yaml_node *root = parse_stream(&parse);
    yaml_parser_delete(&parse.parser);
    return root != NULL && !is_blank_document(root) ? root : NULL;
}

void
yaml_parse(const char *file, struct str text, const struct yaml_limits *limits, struct arena *arena,
    struct diagnostics *diagnostics, struct yaml_node **out)
{
    text = spec_text_body(text);
    const struct spec_source source = {
        .file = file, .text = text, .arena = arena, .diagnostics = diagnostics};
    size_t before = diagnostics_count(diagnostics, DIAGNOSTIC_ERROR);
    struct yaml_node *root = yaml_parse_keep_going(&source, text, limits);
    *out = diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) == before ? root : NULL;
}

struct yaml_node *
yaml_get(const struct yaml_node *mapping, const char *key)
{
    if (mapping == NULL || mapping->kind != YAML_MAPPING) {
        return NULL;
    }
    for (struct yaml_node *entry = mapping->first; entry != NULL; entry = entry->next) {
        if (strcmp(entry->text, key) == 0) {
            return entry->value;
        }
    }
    return NULL;
}

const char *
yaml_text(const struct yaml_node *node)
{
    return node != NULL && node->kind == YAML_SCALAR ? node->text : NULL;
}
