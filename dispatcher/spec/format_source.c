// Lines, comments and slices of a YAML text whose tree is known. libyaml drops comments, so they
// are found here: a '#' at a line's start or after a blank, outside of every value.
#include <string.h>

#include "format_internal.h"

// A byte range that belongs to a value, where '#' is no comment.
struct range {
    size_t start, end;
};

struct reader {
    struct format_source *source;
    struct range *ranges;
    size_t range_count;
    unsigned *value_lines;
};

struct str
format_line(const struct format_source *source, unsigned line)
{
    if (line == 0 || line > source->line_count) {
        return (struct str){0};
    }
    size_t start = source->line_starts[line - 1];
    size_t end = line < source->line_count ? source->line_starts[line] : source->text.len;
    struct str out = {source->text.ptr + start, end - start};
    while (out.len > 0 && (out.ptr[out.len - 1] == '\n' || out.ptr[out.len - 1] == '\r')) {
        out.len--;
    }
    return out;
}

bool
format_line_is_blank(const struct format_source *source, unsigned line)
{
    return line > 0 && line <= source->line_count && str_trim(format_line(source, line)).len == 0;
}

static size_t
offset_of(const struct format_source *source, unsigned line, unsigned column)
{
    if (line > source->line_count) {
        return source->text.len;
    }
    size_t at = source->line_starts[line - 1];
    for (unsigned i = 1; i < column && at < source->text.len; i++) {
        at++;
        while (at < source->text.len && ((unsigned char)source->text.ptr[at] & 0xc0) == 0x80) {
            at++;
        }
    }
    return at;
}

struct str
format_slice(const struct format_source *source, const struct yaml_node *node)
{
    size_t start = offset_of(source, node->span.line, node->span.column);
    size_t end = offset_of(source, node->end_line, node->end_column);
    if (node->block) {
        size_t text_end = end; // the text need not end with a NUL
        for (end = start;
             end < text_end && strchr("|>+-0123456789", source->text.ptr[end]) != NULL;) {
            end++;
        }
    }
    return (struct str){source->text.ptr + start, end - start};
}

unsigned
format_block_end(const struct format_source *source, const struct yaml_node *node)
{
    unsigned last = node->end_column > 1 ? node->end_line : node->end_line - 1;
    unsigned lines = (unsigned)source->line_count;
    return last > lines ? lines : last;
}

static void
find_lines(struct format_source *source, struct arena *arena)
{
    size_t count = 1;
    for (size_t i = 0; i < source->text.len; i++) {
        count += source->text.ptr[i] == '\n' ? 1 : 0;
    }
    size_t *starts = arena_array(arena, count, sizeof(*starts));
    size_t at = 1;
    for (size_t i = 0; i < source->text.len; i++) {
        if (source->text.ptr[i] == '\n') {
            starts[at++] = i + 1;
        }
    }
    source->line_starts = starts;
    source->line_count = count;
}

static size_t
count_nodes(const struct yaml_node *node)
{
    size_t count = 1;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        count += count_nodes(child) + (child->value != NULL ? count_nodes(child->value) : 0);
    }
    return count;
}

static void
add_value(struct reader *reader, const struct yaml_node *node)
{
    struct format_source *source = reader->source;
    struct str slice = format_slice(source, node);
    size_t start = (size_t)(slice.ptr - source->text.ptr);
    reader->value_lines[source->value_count++] = node->span.line;
    reader->ranges[reader->range_count++] = (struct range){start, start + slice.len};
    unsigned last = node->block ? format_block_end(source, node) : 0;
    if (last > node->span.line) {
        size_t end = last < source->line_count ? source->line_starts[last] : source->text.len;
        reader->ranges[reader->range_count++] =
            (struct range){source->line_starts[node->span.line], end};
    }
}

// In document order; a collection counts by its children, an empty one by itself.
static void
add_values(struct reader *reader, const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR) {
        add_value(reader, node);
    } else if (node->count == 0) {
        reader->value_lines[reader->source->value_count++] = node->span.line;
    }
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        add_values(reader, child);
        if (child->value != NULL) {
            add_values(reader, child->value);
        }
    }
}

static bool
starts_comment(const struct format_source *source, size_t at)
{
    const char *text = source->text.ptr;
    return text[at] == '#' &&
           (at == 0 || text[at - 1] == '\n' || text[at - 1] == ' ' || text[at - 1] == '\t');
}

static struct format_comment
comment_at(const struct format_source *source, size_t at, unsigned line)
{
    size_t start = source->line_starts[line - 1];
    struct str before = {source->text.ptr + start, at - start};
    struct str text = format_line(source, line);
    text = str_skip(text, at - start);
    return (struct format_comment){.line = line,
        .column = (unsigned)(at - start) + 1,
        .text = str_trim(text),
        .after_value = str_trim(before).len > 0};
}

static void
find_comments(struct reader *reader, struct arena *arena)
{
    struct format_source *source = reader->source;
    struct format_comment *comments = arena_array(arena, source->line_count, sizeof(*comments));
    size_t range = 0;
    for (unsigned line = 1; line <= source->line_count; line++) {
        size_t start = source->line_starts[line - 1];
        size_t end = start + format_line(source, line).len;
        for (size_t at = start; at < end; at++) {
            while (range < reader->range_count && reader->ranges[range].end <= at) {
                range++;
            }
            if (range < reader->range_count && reader->ranges[range].start <= at) {
                at = reader->ranges[range].end - 1;
            } else if (starts_comment(source, at)) {
                comments[source->comment_count++] = comment_at(source, at, line);
                break;
            }
        }
    }
    source->comments = comments;
}

static void
find_marks(struct format_source *source, const struct yaml_node *root)
{
    for (unsigned line = 1; line <= root->span.line; line++) {
        struct str text = format_line(source, line);
        source->has_marker = source->has_marker || str_starts(text, STR("---"));
        source->has_directive = source->has_directive || str_starts(text, STR("%"));
    }
}

void
format_source_read(
    struct str text, const struct yaml_node *root, struct arena *arena, struct format_source *out)
{
    *out = (struct format_source){.text = text};
    size_t nodes = count_nodes(root);
    struct reader reader = {.source = out,
        .ranges = arena_array(arena, 2 * nodes, sizeof(struct range)),
        .value_lines = arena_array(arena, nodes, sizeof(unsigned))};
    find_lines(out, arena);
    find_marks(out, root);
    add_values(&reader, root);
    out->value_lines = reader.value_lines;
    find_comments(&reader, arena);
}
