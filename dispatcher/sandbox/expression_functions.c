// Values of the expression language and its functions ("Evaluate expressions in workflows and
// actions"). The grammar is expression.c.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "expression_values_internal.h"

struct value
sandbox_expression_text(const char *text)
{
    return (struct value){.kind = VALUE_STRING, .text = text};
}

struct value
sandbox_expression_bool(bool truth)
{
    return (struct value){.kind = VALUE_BOOL, .boolean = truth};
}

struct value
sandbox_expression_from_json(const struct json *json)
{
    if (json_is_null(json)) {
        return (struct value){.kind = VALUE_NULL};
    }
    if (json_str(json) != NULL) {
        return sandbox_expression_text(json_str(json));
    }
    if (json_is_int(json)) {
        return (struct value){.kind = VALUE_NUMBER, .number = (double)json_int(json, 0)};
    }
    if (json_is_object(json) || json_is_array(json)) {
        return (struct value){.kind = VALUE_JSON, .json = json};
    }
    return sandbox_expression_bool(json_bool(json, false));
}

bool
sandbox_expression_truthy(const struct value *value)
{
    switch (value->kind) {
    case VALUE_NULL:
        return false;
    case VALUE_BOOL:
        return value->boolean;
    case VALUE_NUMBER:
        return value->number != 0 && !isnan(value->number);
    case VALUE_STRING:
        return value->text[0] != '\0';
    case VALUE_JSON:
        return true;
    }
    return false;
}

double
sandbox_expression_number(const struct value *value)
{
    if (value->kind == VALUE_NUMBER) {
        return value->number;
    }
    if (value->kind == VALUE_BOOL) {
        return value->boolean ? 1 : 0;
    }
    if (value->kind == VALUE_NULL) {
        return 0;
    }
    if (value->kind == VALUE_JSON) {
        return NAN;
    }
    struct str text = str_trim(str_of(value->text));
    if (text.len == 0) {
        return 0;
    }
    char *end = NULL;
    double number = strtod(text.ptr, &end);
    return end == text.ptr + text.len ? number : NAN;
}

const char *
sandbox_expression_to_text(const struct expression_scope *scope, const struct value *value)
{
    switch (value->kind) {
    case VALUE_NULL:
        return "";
    case VALUE_BOOL:
        return value->boolean ? "true" : "false";
    case VALUE_NUMBER:
        return arena_printf(scope->arena, "%.15g", value->number);
    case VALUE_STRING:
        return value->text;
    case VALUE_JSON:
        return json_is_array(value->json) ? "Array" : "Object";
    }
    return "";
}

// Strings compare without regard to case; values of two kinds compare as numbers.
bool
sandbox_expression_equal(const struct value *a, const struct value *b)
{
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
        return str_equal_nocase(str_of(a->text), str_of(b->text));
    }
    if (a->kind == VALUE_JSON || b->kind == VALUE_JSON) {
        return a->kind == b->kind && a->json == b->json;
    }
    double left = sandbox_expression_number(a), right = sandbox_expression_number(b);
    return !(left < right) && !(left > right) && !isnan(left) && !isnan(right);
}

// --- functions -----------------------------------------------------------------------------------

static bool
contains_text(struct str hay, struct str needle)
{
    for (size_t i = 0; needle.len <= hay.len && i <= hay.len - needle.len; i++) {
        if (str_equal_nocase((struct str){hay.ptr + i, needle.len}, needle)) {
            return true;
        }
    }
    return needle.len == 0;
}

static struct value
call_contains(const struct call *call)
{
    const struct value *in = &call->arguments[0], *item = &call->arguments[1];
    if (in->kind == VALUE_JSON) {
        bool found = false;
        for (size_t i = 0; json_is_array(in->json) && i < json_count(in->json); i++) {
            struct value element = sandbox_expression_from_json(json_at(in->json, i));
            found = found || sandbox_expression_equal(&element, item);
        }
        return sandbox_expression_bool(found);
    }
    return sandbox_expression_bool(
        contains_text(str_of(sandbox_expression_to_text(call->scope, in)),
            str_of(sandbox_expression_to_text(call->scope, item))));
}

static struct value
call_edge(const struct call *call, bool at_end)
{
    struct str text = str_of(sandbox_expression_to_text(call->scope, &call->arguments[0]));
    struct str part = str_of(sandbox_expression_to_text(call->scope, &call->arguments[1]));
    if (part.len > text.len) {
        return sandbox_expression_bool(false);
    }
    size_t from = at_end ? text.len - part.len : 0;
    return sandbox_expression_bool(str_equal_nocase((struct str){text.ptr + from, part.len}, part));
}

static struct value
call_starts(const struct call *call)
{
    return call_edge(call, false);
}

static struct value
call_ends(const struct call *call)
{
    return call_edge(call, true);
}

static struct value
call_format(const struct call *call)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(EXPRESSION_TEXT_MAX);
    const char *at = sandbox_expression_to_text(call->scope, &call->arguments[0]);
    for (; *at != '\0'; at++) {
        bool doubled = (*at == '{' || *at == '}') && at[1] == *at;
        if (!doubled && *at == '{' && isdigit((unsigned char)at[1]) && at[2] == '}') {
            size_t which = (size_t)(at[1] - '0') + 1;
            buf_puts(&out, which < call->count
                               ? sandbox_expression_to_text(call->scope, &call->arguments[which])
                               : "");
            at += 2;
        } else {
            buf_putc(&out, *at);
            at += doubled;
        }
    }
    return sandbox_expression_text(arena_str(call->scope->arena, buf_str(&out)));
}

static struct value
call_join(const struct call *call)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(EXPRESSION_TEXT_MAX);
    const struct value *list = &call->arguments[0];
    const char *between =
        call->count > 1 ? sandbox_expression_to_text(call->scope, &call->arguments[1]) : ",";
    if (list->kind != VALUE_JSON) {
        return sandbox_expression_text(sandbox_expression_to_text(call->scope, list));
    }
    for (size_t i = 0; i < json_count(list->json); i++) {
        struct value item = sandbox_expression_from_json(json_at(list->json, i));
        buf_puts(&out, i > 0 ? between : "");
        buf_puts(&out, sandbox_expression_to_text(call->scope, &item));
    }
    return sandbox_expression_text(arena_str(call->scope->arena, buf_str(&out)));
}

static struct value
call_to_json(const struct call *call)
{
    const struct value *value = &call->arguments[0];
    if (value->kind == VALUE_JSON) {
        struct buf out CLEANUP(buf_done) = BUF_INIT(EXPRESSION_TEXT_MAX);
        json_print(value->json, true, &out);
        return sandbox_expression_text(arena_str(call->scope->arena, buf_str(&out)));
    }
    if (value->kind == VALUE_STRING) {
        struct json *text CLEANUP(json_freep) = json_make_string(value->text);
        char *quoted CLEANUP(xfreep) = json_text(text);
        return sandbox_expression_text(arena_dup(call->scope->arena, quoted));
    }
    return sandbox_expression_text(
        value->kind == VALUE_NULL ? "null" : sandbox_expression_to_text(call->scope, value));
}

// Scalars only: an object made here would need an owner, and workflows that want one use contexts.
static struct value
call_from_json(const struct call *call)
{
    struct json *parsed CLEANUP(json_freep) = NULL;
    const char *text = sandbox_expression_to_text(call->scope, &call->arguments[0]);
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(text), &json_limits_default, &parsed);
    struct value value = sandbox_expression_from_json(err == NULL ? parsed : NULL);
    if (value.kind == VALUE_STRING) {
        value.text = arena_dup(call->scope->arena, value.text);
    }
    return value.kind == VALUE_JSON ? (struct value){.kind = VALUE_NULL} : value;
}

static struct value
call_always(const struct call *call)
{
    (void)call;
    return sandbox_expression_bool(true);
}

static struct value
call_success(const struct call *call)
{
    return sandbox_expression_bool(!call->scope->failed && !call->scope->cancelled);
}

static struct value
call_failure(const struct call *call)
{
    return sandbox_expression_bool(call->scope->failed && !call->scope->cancelled);
}

static struct value
call_cancelled(const struct call *call)
{
    return sandbox_expression_bool(call->scope->cancelled);
}

static const struct function functions[] = {
    {"contains", 2, 2, false, call_contains},
    {"startsWith", 2, 2, false, call_starts},
    {"endsWith", 2, 2, false, call_ends},
    {"format", 1, EXPRESSION_ARGUMENTS_MAX, false, call_format},
    {"join", 1, 2, false, call_join},
    {"toJSON", 1, 1, false, call_to_json},
    {"fromJSON", 1, 1, false, call_from_json},
    {"always", 0, 0, true, call_always},
    {"success", 0, 0, true, call_success},
    {"failure", 0, 0, true, call_failure},
    {"cancelled", 0, 0, true, call_cancelled},
};

const struct function *
sandbox_expression_function(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(functions); i++) {
        if (str_equal_nocase(str_of(functions[i].name), name)) {
            return &functions[i];
        }
    }
    return NULL;
}
