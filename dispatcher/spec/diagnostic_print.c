// Diagnostics as text with carets, JSON, GitHub annotations and SARIF 2.1.0.
// Shows only a window of a long source line; does not sort.
#include <string.h>

#include "dispatcher/diagnostic.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { WINDOW = 100, LEAD = 40 }; // code points of a source line shown, and before the caret

static const char *
severity_name(enum diagnostic_severity severity)
{
    static const char *const names[] = {"error", "warning", "note"};
    return names[severity];
}

static const char *
severity_color(enum diagnostic_severity severity)
{
    static const char *const colors[] = {"\033[1;31m", "\033[1;33m", "\033[1;36m"};
    return colors[severity];
}

// Bytes that `count` code points take at the start of `text`.
static size_t
bytes_of_points(struct str text, size_t count)
{
    size_t at = 0;
    while (at < text.len && count > 0) {
        at++;
        while (at < text.len && ((unsigned char)text.ptr[at] & 0xc0) == 0x80) {
            at++;
        }
        count--;
    }
    return at;
}

static void
repeat(struct buf *out, char byte, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_putc(out, byte);
    }
}

static size_t
clean_width(struct str text, struct buf *scratch)
{
    buf_reset(scratch);
    text_clean(text, scratch->max / 2, scratch);
    return text_width(buf_str(scratch));
}

static void
print_source(const struct diagnostic *item, bool color, struct buf *out)
{
    struct buf scratch CLEANUP(buf_done) = BUF_INIT(8 * 4 * WINDOW);
    size_t column = item->span.column > 0 ? item->span.column - 1 : 0;
    size_t skipped = column > WINDOW - LEAD ? column - LEAD : 0;
    struct str line = str_of(item->source_line);
    line = str_skip(line, bytes_of_points(line, skipped));
    struct str shown = {line.ptr, bytes_of_points(line, WINDOW)};
    struct str before = {shown.ptr, bytes_of_points(shown, column - skipped)};
    struct str marked = str_skip(shown, before.len);
    marked.len = bytes_of_points(marked, item->span.length);

    buf_printf(out, "%5u | %s", item->span.line, skipped > 0 ? "…" : "");
    buf_reset(&scratch);
    text_clean(shown, scratch.max / 2, &scratch);
    buf_printf(out, "%s%s\n      | ", buf_cstr(&scratch), shown.len < line.len ? "…" : "");
    repeat(out, ' ', clean_width(before, &scratch) + (skipped > 0 ? 1 : 0));
    size_t width = clean_width(marked, &scratch);
    buf_puts(out, color ? severity_color(item->severity) : "");
    buf_putc(out, '^');
    repeat(out, '~', width > 1 ? width - 1 : 0);
    buf_puts(out, color ? "\033[0m" : "");
    if (item->help != NULL) {
        buf_printf(out, " %s", item->help);
    }
    buf_putc(out, '\n');
}

static void
print_place(const struct diagnostic *item, struct buf *out)
{
    text_clean(str_of(item->file), 1024, out);
    if (item->span.line > 0) {
        buf_printf(out, ":%u:%u", item->span.line, item->span.column);
    }
}

void
diagnostics_print_text(const struct diagnostics *list, bool color, struct buf *out)
{
    for (size_t i = 0; i < diagnostics_total(list); i++) {
        const struct diagnostic *item = diagnostics_at(list, i);
        print_place(item, out);
        buf_printf(out, ": %s%s:%s %s\n", color ? severity_color(item->severity) : "",
            severity_name(item->severity), color ? "\033[0m" : "", item->message);
        if (item->source_line != NULL) {
            print_source(item, color, out);
        } else if (item->help != NULL) {
            buf_printf(out, "      | %s\n", item->help);
        }
    }
}

void
diagnostics_print_json(const struct diagnostics *list, struct buf *out)
{
    struct json *array CLEANUP(json_freep) = json_make_array();
    for (size_t i = 0; i < diagnostics_total(list); i++) {
        const struct diagnostic *item = diagnostics_at(list, i);
        struct json *object = json_make_object();
        json_set_str(object, "file", item->file);
        json_set_int(object, "line", item->span.line);
        json_set_int(object, "column", item->span.column);
        json_set_int(object, "length", item->span.length);
        json_set_str(object, "severity", severity_name(item->severity));
        json_set_str(object, "rule", item->rule);
        json_set_str(object, "message", item->message);
        json_set_str(object, "help", item->help);
        json_append(array, object);
    }
    json_print(array, true, out);
    buf_putc(out, '\n');
}

// Workflow commands: "%", line ends, and in properties ":" and "," are percent-encoded.
static void
put_escaped(const char *text, bool property, struct buf *out)
{
    for (; *text != '\0'; text++) {
        bool special = *text == '%' || *text == '\r' || *text == '\n' ||
                       (property && (*text == ':' || *text == ','));
        if (special) {
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
        } else {
            buf_putc(out, *text);
        }
    }
}

void
diagnostics_print_github(const struct diagnostics *list, struct buf *out)
{
    static const char *const commands[] = {"error", "warning", "notice"};
    for (size_t i = 0; i < diagnostics_total(list); i++) {
        const struct diagnostic *item = diagnostics_at(list, i);
        buf_printf(out, "::%s file=", commands[item->severity]);
        put_escaped(item->file, true, out);
        if (item->span.line > 0) {
            buf_printf(out, ",line=%u,col=%u,endColumn=%u", item->span.line, item->span.column,
                item->span.column + item->span.length);
        }
        buf_printf(out, ",title=%s::", item->rule);
        put_escaped(item->message, false, out);
        if (item->help != NULL) {
            buf_puts(out, " (");
            put_escaped(item->help, false, out);
            buf_putc(out, ')');
        }
        buf_putc(out, '\n');
    }
}

// Path as a relative URI reference (RFC 3986 §2.1).
static struct json *
uri_of(const char *path)
{
    struct buf uri CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    for (const char *at = path; *at != '\0'; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || strchr("-._~/", *at) != NULL;
        if (plain) {
            buf_putc(&uri, *at);
        } else {
            buf_printf(&uri, "%%%02X", (unsigned)(unsigned char)*at);
        }
    }
    return json_make_string(buf_cstr(&uri));
}

static struct json *
text_object(const char *text)
{
    struct json *object = json_make_object();
    json_set_str(object, "text", text);
    return object;
}

static struct json *
sarif_location(const struct diagnostic *item)
{
    struct json *artifact = json_make_object();
    json_set(artifact, "uri", uri_of(item->file));
    struct json *physical = json_make_object();
    json_set(physical, "artifactLocation", artifact);
    if (item->span.line > 0) {
        struct json *region = json_make_object();
        json_set_int(region, "startLine", item->span.line);
        json_set_int(region, "startColumn", item->span.column);
        json_set_int(region, "endColumn", (int64_t)item->span.column + item->span.length);
        json_set(physical, "region", region);
    }
    struct json *location = json_make_object();
    json_set(location, "physicalLocation", physical);
    return location;
}

static struct json *
sarif_result(const struct diagnostic *item, size_t rule_index)
{
    struct json *result = json_make_object();
    json_set_str(result, "ruleId", item->rule);
    json_set_int(result, "ruleIndex", (int64_t)rule_index);
    json_set_str(result, "level", severity_name(item->severity));
    char *text CLEANUP(xfreep) = item->help != NULL
                                     ? xasprintf("%s (%s)", item->message, item->help)
                                     : xstrdup(item->message);
    json_set(result, "message", text_object(text));
    struct json *locations = json_make_array();
    json_append(locations, sarif_location(item));
    json_set(result, "locations", locations);
    return result;
}

// Index of the rule in `rules`, which grows by each rule that is new.
static size_t
sarif_rule(struct json *rules, const char *id)
{
    for (size_t i = 0; i < json_count(rules); i++) {
        if (cstr_equal(json_str(json_get(json_at(rules, i), "id")), id)) {
            return i;
        }
    }
    struct json *rule = json_make_object();
    json_set_str(rule, "id", id);
    const char *text = diagnostic_rule_text(id);
    json_set(rule, "shortDescription", text_object(text != NULL ? text : id));
    json_append(rules, rule);
    return json_count(rules) - 1;
}

void
diagnostics_print_sarif(const struct diagnostics *list, struct buf *out)
{
    struct json *rules = json_make_array(), *results = json_make_array();
    for (size_t i = 0; i < diagnostics_total(list); i++) {
        const struct diagnostic *item = diagnostics_at(list, i);
        json_append(results, sarif_result(item, sarif_rule(rules, item->rule)));
    }
    struct json *driver = json_make_object();
    json_set_str(driver, "name", "dispatcher");
    json_set_str(driver, "version", DISPATCHER_VERSION);
    json_set(driver, "rules", rules);
    struct json *tool = json_make_object();
    json_set(tool, "driver", driver);
    struct json *run = json_make_object();
    json_set(run, "tool", tool);
    json_set_str(run, "columnKind", "unicodeCodePoints");
    json_set(run, "results", results);
    struct json *runs = json_make_array();
    json_append(runs, run);
    struct json *sarif CLEANUP(json_freep) = json_make_object();
    json_set_str(sarif, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
    json_set_str(sarif, "version", "2.1.0");
    json_set(sarif, "runs", runs);
    json_print(sarif, true, out);
    buf_putc(out, '\n');
}
