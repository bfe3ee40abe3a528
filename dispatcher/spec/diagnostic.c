// Collecting diagnostics: copies, source lines, order, counts. Rendering is diagnostic_print.c's.
#include "dispatcher/diagnostic.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { MESSAGE_MAX = 600 };

struct diagnostics {
    struct arena *arena;
    struct diagnostic *items;
    size_t count, capacity;
};

static const struct {
    const char *id, *text;
} rules[] = {
#define DIAGNOSTIC_RULE(id, text) {id, text},
#include "dispatcher/diagnostic_rules.def"
#undef DIAGNOSTIC_RULE
};

const char *
diagnostic_rule_text(const char *rule)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
        if (strcmp(rules[i].id, rule) == 0) {
            return rules[i].text;
        }
    }
    return NULL;
}

struct diagnostics *
diagnostics_new(void)
{
    struct diagnostics *list = xcalloc(1, sizeof(*list));
    list->arena = arena_new();
    return list;
}

void
diagnostics_free(struct diagnostics *list)
{
    if (list != NULL) {
        arena_free(list->arena);
        free(list->items);
        free(list);
    }
}

void
diagnostics_freep(struct diagnostics **list)
{
    diagnostics_free(*list);
    *list = NULL;
}

static struct str
line_of(struct str text, unsigned number)
{
    struct str line = {0}, rest = text;
    for (unsigned i = 0; i < number; i++) {
        if (!str_cut(rest, '\n', &line, &rest)) {
            return (struct str){0};
        }
    }
    while (line.len > 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

// Many diagnostics of one long line share one copy of it.
static const char *
source_line(struct diagnostics *list, const char *file, struct str text, unsigned number)
{
    struct str line = number > 0 ? line_of(text, number) : (struct str){0};
    if (number == 0 || text.len == 0) {
        return NULL;
    }
    if (list->count > 0) {
        const struct diagnostic *last = &list->items[list->count - 1];
        if (last->source_line != NULL && last->span.line == number &&
            strcmp(last->file, file) == 0 && str_equal(str_of(last->source_line), line)) {
            return last->source_line;
        }
    }
    return arena_str(list->arena, line);
}

static const char *
clean_copy(struct diagnostics *list, const char *text)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(2 * MESSAGE_MAX);
    text_clean(str_of(text), MESSAGE_MAX, &clean);
    return arena_dup(list->arena, buf_cstr(&clean));
}

void
diagnostics_add(struct diagnostics *list, enum diagnostic_severity severity, const char *rule,
    const char *file, struct str text, struct source_span span, const char *help,
    const char *format, ...)
{
    struct buf message CLEANUP(buf_done) = BUF_INIT(64 * MESSAGE_MAX);
    va_list args;
    va_start(args, format);
    buf_vprintf(&message, format, args);
    va_end(args);
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        list->items = xrealloc(list->items, list->capacity * sizeof(*list->items));
    }
    struct diagnostic item = {.severity = severity, .rule = rule, .span = span};
    if (item.span.length == 0) {
        item.span.length = 1;
    }
    item.file = arena_dup(list->arena, file);
    item.message = clean_copy(list, buf_cstr(&message));
    item.help = help != NULL ? clean_copy(list, help) : NULL;
    item.source_line = source_line(list, file, text, span.line);
    list->items[list->count++] = item;
}

static int
compare_numbers(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int
compare(const void *left, const void *right)
{
    const struct diagnostic *a = left, *b = right;
    int order = strcmp(a->file, b->file);
    if (order == 0) {
        order = compare_numbers(a->span.line, b->span.line);
    }
    if (order == 0) {
        order = compare_numbers(a->span.column, b->span.column);
    }
    if (order == 0) {
        order = compare_numbers(a->severity, b->severity);
    }
    if (order == 0) {
        order = strcmp(a->rule, b->rule);
    }
    return order != 0 ? order : strcmp(a->message, b->message);
}

void
diagnostics_sort(struct diagnostics *list)
{
    if (list->count < 2) {
        return;
    }
    qsort(list->items, list->count, sizeof(*list->items), compare);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++) {
        if (compare(&list->items[kept - 1], &list->items[i]) != 0) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

size_t
diagnostics_count(const struct diagnostics *list, enum diagnostic_severity severity)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        count += list->items[i].severity == severity ? 1 : 0;
    }
    return count;
}

size_t
diagnostics_total(const struct diagnostics *list)
{
    return list->count;
}

const struct diagnostic *
diagnostics_at(const struct diagnostics *list, size_t index)
{
    BUG_ON(index >= list->count);
    return &list->items[index];
}

struct error *
diagnostics_error(const struct diagnostics *list)
{
    size_t errors = 0;
    const char *file = NULL;
    bool several = false;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].severity == DIAGNOSTIC_ERROR) {
            errors++;
            several = several || (file != NULL && strcmp(file, list->items[i].file) != 0);
            file = list->items[i].file;
        }
    }
    if (errors == 0) {
        return NULL;
    }
    const char *plural = errors == 1 ? "" : "s";
    if (several) {
        return error_new(
            ERROR_SPEC, "%zu error%s in several files, nothing was deployed", errors, plural);
    }
    return error_new(ERROR_SPEC, "%s: %zu error%s, nothing was deployed", file, errors, plural);
}
