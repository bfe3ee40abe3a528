// Canonical layout: two blanks a level, lists indented below their key, one blank line at most,
// comments kept. Keeps the order of keys and the way values are written. What comes out is parsed
// again and compared, so that a layout can never change a document; if it would, it is refused.
#include <string.h>

#include "dispatcher/memory.h"
#include "format_internal.h"

enum { WIDTH = 100, OUTPUT_MAX = 1024 * 1024 };

struct layout {
    struct format_source source;
    struct buf *out;
    struct arena *arena;
    size_t next_comment, next_value;
    size_t line_start;  // where the current line of `out` starts
    unsigned last_line; // source line where the value put last ends
    bool no_blank;      // a blank line here would belong to the block scalar above
    bool failed;
};

static void put_node(struct layout *layout, const struct yaml_node *node, unsigned indent);

static void
put_indent(struct layout *layout, unsigned indent)
{
    for (unsigned i = 0; i < indent; i++) {
        buf_putc(layout->out, ' ');
    }
}

static void
end_line(struct layout *layout)
{
    buf_putc(layout->out, '\n');
    layout->line_start = layout->out->len;
}

static const struct format_comment *
peek_comment(const struct layout *layout)
{
    return layout->next_comment < layout->source.comment_count
               ? &layout->source.comments[layout->next_comment]
               : NULL;
}

// Ends a line of values, with the comment that stood behind them.
static void
finish_line(struct layout *layout)
{
    const struct format_comment *comment = peek_comment(layout);
    if (comment != NULL && comment->after_value && comment->line <= layout->last_line) {
        buf_puts(layout->out, "  ");
        buf_add(layout->out, comment->text);
        layout->next_comment++;
    }
    end_line(layout);
}

// One blank line where the source has some, but not at the start.
static void
keep_blank_line(struct layout *layout, unsigned line)
{
    if (line > 1 && layout->out->len > 0 && !layout->no_blank &&
        format_line_is_blank(&layout->source, line - 1)) {
        end_line(layout);
    }
    layout->no_blank = false;
}

static void
put_comment_line(struct layout *layout, const struct format_comment *comment, unsigned indent)
{
    keep_blank_line(layout, comment->line);
    put_indent(layout, indent);
    buf_add(layout->out, comment->text);
    layout->next_comment++;
    end_line(layout);
}

// Comments above the entry that starts at `line`.
static void
start_entry(struct layout *layout, unsigned line, unsigned indent)
{
    const struct format_comment *comment = peek_comment(layout);
    while (comment != NULL && comment->line < line) {
        put_comment_line(layout, comment, indent);
        comment = peek_comment(layout);
    }
    keep_blank_line(layout, line);
}

// Comments below a block's last entry that are indented as the block is.
static void
finish_block(struct layout *layout, unsigned column, unsigned indent)
{
    const struct format_source *source = &layout->source;
    unsigned next = layout->next_value < source->value_count
                        ? source->value_lines[layout->next_value]
                        : UINT32_MAX;
    const struct format_comment *comment = peek_comment(layout);
    while (comment != NULL && !comment->after_value && comment->line < next &&
           comment->column >= column) {
        put_comment_line(layout, comment, indent);
        comment = peek_comment(layout);
    }
}

// Lines of a plain or quoted text: blanks around its line ends mean nothing.
static void
put_folded(struct layout *layout, struct str slice, unsigned indent)
{
    struct str line = {0};
    bool first = true;
    while (str_cut(slice, '\n', &line, &slice)) {
        line = str_trim(line);
        if (!first) {
            end_line(layout);
            put_indent(layout, line.len > 0 ? indent : 0);
        }
        buf_add(layout->out, line);
        first = false;
    }
}

static unsigned
leading_blanks(struct str line)
{
    unsigned count = 0;
    while (count < line.len && line.ptr[count] == ' ') {
        count++;
    }
    return count;
}

// The body keeps its relative indentation. Trailing empty lines count only for '+' (YAML 1.1 §9).
static void
put_block_body(
    struct layout *layout, const struct yaml_node *node, struct str header, unsigned indent)
{
    const struct format_source *source = &layout->source;
    unsigned last = format_block_end(source, node), base = UINT32_MAX;
    bool keep = memchr(header.ptr, '+', header.len) != NULL;
    while (!keep && last > node->span.line && format_line_is_blank(source, last)) {
        last--;
    }
    for (unsigned line = node->span.line + 1; line <= last; line++) {
        unsigned blanks = leading_blanks(format_line(source, line));
        bool blank = format_line_is_blank(source, line);
        base = !blank && blanks < base ? blanks : base;
    }
    for (unsigned line = node->span.line + 1; line <= last; line++) {
        struct str text = format_line(source, line);
        bool blank = text.len <= base && format_line_is_blank(source, line);
        if (!blank) {
            put_indent(layout, indent);
            buf_add(layout->out, str_skip(text, base));
        }
        end_line(layout);
    }
    layout->no_blank = keep;
    layout->last_line = last;
}

static void
put_scalar(struct layout *layout, const struct yaml_node *node, unsigned indent)
{
    struct str slice = format_slice(&layout->source, node);
    layout->next_value++;
    layout->last_line = node->block ? node->span.line : node->end_line;
    if (!node->block) {
        put_folded(layout, slice, indent);
        finish_line(layout);
        return;
    }
    // An indentation indicator would have to be recomputed: nobody writes those by hand.
    for (size_t i = 0; i < slice.len; i++) {
        layout->failed = layout->failed || (slice.ptr[i] >= '0' && slice.ptr[i] <= '9');
    }
    buf_add(layout->out, slice);
    finish_line(layout);
    put_block_body(layout, node, slice, indent);
}

// Renders in one line; false when it cannot be.
static bool
render_flow(const struct layout *layout, const struct yaml_node *node, struct buf *out)
{
    if (node->kind == YAML_SCALAR) {
        struct str slice = format_slice(&layout->source, node);
        buf_add(out, slice);
        return !node->block && node->span.line == node->end_line;
    }
    bool mapping = node->kind == YAML_MAPPING;
    buf_putc(out, mapping ? '{' : '[');
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        buf_puts(out, child != node->first ? ", " : "");
        if (!render_flow(layout, child, out)) {
            return false;
        }
        if (mapping) {
            bool empty = format_slice(&layout->source, child->value).len == 0;
            buf_puts(out, empty ? ":" : ": ");
            if (!render_flow(layout, child->value, out)) {
                return false;
            }
        }
    }
    buf_putc(out, mapping ? '}' : ']');
    return true;
}

static size_t
count_values(const struct yaml_node *node)
{
    size_t count = node->kind == YAML_SCALAR || node->count == 0 ? 1 : 0;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        count += count_values(child) + (child->value != NULL ? count_values(child->value) : 0);
    }
    return count;
}

// A collection in brackets stays in one line if it fits and holds no comment.
static bool
put_flow(struct layout *layout, const struct yaml_node *node, const char *before)
{
    const struct format_comment *comment = peek_comment(layout);
    if (comment != NULL && comment->line < node->end_line) {
        return false;
    }
    struct buf line CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    bool rendered = render_flow(layout, node, &line);
    size_t used = layout->out->len - layout->line_start;
    if (!rendered || (node->count > 0 && used + strlen(before) + line.len > WIDTH)) {
        return false;
    }
    buf_puts(layout->out, before);
    buf_add(layout->out, buf_str(&line));
    layout->next_value += count_values(node);
    layout->last_line = node->end_line;
    finish_line(layout);
    return true;
}

static void
put_key(struct layout *layout, const struct yaml_node *key)
{
    struct str slice = format_slice(&layout->source, key);
    layout->failed = layout->failed || memchr(slice.ptr, '\n', slice.len) != NULL;
    layout->next_value++;
    layout->last_line = key->end_line;
    buf_add(layout->out, slice);
    buf_putc(layout->out, ':');
}

// Whatever follows "key:"; nested blocks start on their own line.
static void
put_value(struct layout *layout, const struct yaml_node *value, unsigned indent)
{
    if (value->kind == YAML_SCALAR) {
        bool empty = !value->block && format_slice(&layout->source, value).len == 0;
        buf_puts(layout->out, empty ? "" : " ");
        put_scalar(layout, value, indent + 2);
        return;
    }
    if ((value->flow || value->count == 0) && put_flow(layout, value, " ")) {
        return;
    }
    finish_line(layout);
    put_node(layout, value, indent + 2);
}

// The entries of a block; the first may continue a line that a '-' has started.
static void
put_mapping(struct layout *layout, const struct yaml_node *node, unsigned indent, bool inline_first)
{
    for (const struct yaml_node *key = node->first; key != NULL; key = key->next) {
        if (key != node->first || !inline_first) {
            start_entry(layout, key->span.line, indent);
            put_indent(layout, indent);
        }
        put_key(layout, key);
        put_value(layout, key->value, indent);
    }
    finish_block(layout, node->span.column, indent);
}

static void
put_item(struct layout *layout, const struct yaml_node *item, unsigned indent)
{
    buf_putc(layout->out, '-');
    if (item->kind == YAML_SCALAR) {
        bool empty = !item->block && format_slice(&layout->source, item).len == 0;
        buf_puts(layout->out, empty ? "" : " ");
        put_scalar(layout, item, indent + 2);
        return;
    }
    if ((item->flow || item->count == 0) && put_flow(layout, item, " ")) {
        return;
    }
    if (item->kind == YAML_MAPPING) {
        // Comments between '-' and the first key have gone above the item.
        buf_putc(layout->out, ' ');
        put_mapping(layout, item, indent + 2, true);
        return;
    }
    finish_line(layout);
    put_node(layout, item, indent + 2);
}

static void
put_sequence(struct layout *layout, const struct yaml_node *node, unsigned indent)
{
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
        const struct yaml_node *leaf =
            item->kind == YAML_MAPPING && item->first != NULL ? item->first : item;
        start_entry(layout, leaf->span.line, indent);
        put_indent(layout, indent);
        put_item(layout, item, indent);
    }
    finish_block(layout, node->span.column, indent);
}

static void
put_node(struct layout *layout, const struct yaml_node *node, unsigned indent)
{
    if (node->kind == YAML_MAPPING) {
        put_mapping(layout, node, indent, false);
    } else {
        put_sequence(layout, node, indent);
    }
}

static bool
tree_is_same(const struct yaml_node *a, const struct yaml_node *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    if (a->kind != b->kind || a->count != b->count || a->quoted != b->quoted ||
        !cstr_equal(a->text, b->text) || !tree_is_same(a->value, b->value)) {
        return false;
    }
    const struct yaml_node *left = a->first, *right = b->first;
    for (; left != NULL && right != NULL; left = left->next, right = right->next) {
        if (!tree_is_same(left, right)) {
            return false;
        }
    }
    return left == right;
}

// Same values, same comments in the same order?
static bool
layout_is_faithful(const struct layout *layout, const char *path, const struct yaml_node *root)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct yaml_node *again = NULL;
    yaml_parse(path, buf_str(layout->out), &yaml_limits_spec, layout->arena, diagnostics, &again);
    if (again == NULL || !tree_is_same(root, again)) {
        return false;
    }
    struct format_source source;
    format_source_read(buf_str(layout->out), again, layout->arena, &source);
    if (source.comment_count != layout->source.comment_count) {
        return false;
    }
    for (size_t i = 0; i < source.comment_count; i++) {
        if (!str_equal(source.comments[i].text, layout->source.comments[i].text)) {
            return false;
        }
    }
    return true;
}

static void
put_document(struct layout *layout, const struct yaml_node *root)
{
    if (layout->source.has_marker) {
        buf_puts(layout->out, "---");
        end_line(layout);
    }
    put_mapping(layout, root, 0, false);
    const struct format_comment *comment = peek_comment(layout);
    while (comment != NULL) {
        put_comment_line(layout, comment, 0);
        comment = peek_comment(layout);
    }
}

struct error *
spec_format(const struct spec_document *document, struct buf *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct yaml_node *root = NULL;
    yaml_parse(document->path, document->text, &yaml_limits_spec, arena, diagnostics, &root);
    if (root == NULL || root->kind != YAML_MAPPING) {
        return error_hint(error_new(ERROR_SPEC, "'%s' is no valid document, so it is left as it is",
                              document->path),
            "Run 'dispatcher spec lint' on it.");
    }
    struct buf text CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    struct layout layout = {.out = &text, .arena = arena};
    format_source_read(spec_text_body(document->text), root, arena, &layout.source);
    put_document(&layout, root);
    if (layout.failed || layout.source.has_directive || text.failed ||
        !layout_is_faithful(&layout, document->path, root)) {
        return error_hint(error_new(ERROR_SPEC,
                              "'%s' cannot be laid out without changing it, so it is left as it is",
                              document->path),
            "Directives and block texts with an indentation number are laid out by hand.");
    }
    buf_add(out, buf_str(&text));
    return buf_finish(out, "formatted document");
}
