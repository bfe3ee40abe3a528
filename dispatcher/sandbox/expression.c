// Evaluates expressions by recursive descent ("Evaluate expressions in workflows and actions").
// Knows nothing of jobs and steps: contexts come as one JSON object. No `*` filters, no hashFiles.
#include "expression_values_internal.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum { DEPTH_MAX = 32 };

struct parser {
    const struct expression_scope *scope;
    const char *whole, *at;
    unsigned depth;
    bool calls_status;
};

static struct error *parse_or(struct parser *parser, struct value *out);

static struct error *
syntax(const struct parser *parser, const char *what)
{
    return error_new(ERROR_INPUT, "expression '%s': %s at '%.40s'", parser->whole, what,
        parser->at[0] != '\0' ? parser->at : "the end");
}

static void
skip_blanks(struct parser *parser)
{
    while (isspace((unsigned char)*parser->at)) {
        parser->at++;
    }
}

static bool
accept(struct parser *parser, const char *token)
{
    skip_blanks(parser);
    size_t len = strlen(token);
    if (strncmp(parser->at, token, len) != 0) {
        return false;
    }
    parser->at += len;
    return true;
}

static int
order(const struct value *a, const struct value *b)
{
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
        int result = strcmp(a->text, b->text);
        return (result > 0) - (result < 0);
    }
    double left = sandbox_expression_number(a), right = sandbox_expression_number(b);
    return isnan(left) || isnan(right) ? 2 : (left > right) - (left < right);
}

struct lookup {
    struct str name;
    const struct json *found;
};

static void
look(void *ctx, const char *key, const struct json *value)
{
    struct lookup *lookup = ctx;
    if (str_equal_nocase(str_of(key), lookup->name)) {
        lookup->found = value;
    }
}

static const struct json *
member(const struct json *object, struct str name)
{
    struct lookup lookup = {.name = name};
    json_each(object, look, &lookup);
    return lookup.found;
}

static struct value
index_value(const struct expression_scope *scope, const struct value *of, const struct value *key)
{
    if (of->kind != VALUE_JSON) {
        return (struct value){.kind = VALUE_NULL};
    }
    if (json_is_array(of->json)) {
        double number = sandbox_expression_number(key);
        bool inside = number >= 0 && number < (double)json_count(of->json);
        return sandbox_expression_from_json(inside ? json_at(of->json, (size_t)number) : NULL);
    }
    return sandbox_expression_from_json(
        member(of->json, str_of(sandbox_expression_to_text(scope, key))));
}

static bool
is_name_byte(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_' || byte == '-';
}

static struct str
take_name(struct parser *parser)
{
    const char *from = parser->at;
    while (is_name_byte(*parser->at)) {
        parser->at++;
    }
    return (struct str){from, (size_t)(parser->at - from)};
}

static struct error *
parse_call(struct parser *parser, struct str name, struct value *out)
{
    struct value arguments[EXPRESSION_ARGUMENTS_MAX];
    size_t count = 0;
    const struct function *function = sandbox_expression_function(name);
    if (function == NULL) {
        return error_new(ERROR_INPUT, "expression '%s': the sandbox has no function '%.*s'",
            parser->whole, STR_FMT(name));
    }
    while (!accept(parser, ")")) {
        if (count == EXPRESSION_ARGUMENTS_MAX || (count > 0 && !accept(parser, ","))) {
            return syntax(parser, "expected ',' or ')'");
        }
        TRY(parse_or(parser, &arguments[count++]));
    }
    if (count < function->min || count > function->max) {
        return error_new(ERROR_INPUT, "expression '%s': '%s' takes another number of arguments",
            parser->whole, function->name);
    }
    parser->calls_status = parser->calls_status || function->is_status;
    struct call call = {parser->scope, arguments, count};
    *out = function->run(&call);
    return NULL;
}

// --- grammar -------------------------------------------------------------------------------------

static struct error *
parse_string(struct parser *parser, struct value *out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(EXPRESSION_TEXT_MAX);
    for (parser->at++; *parser->at != '\0'; parser->at++) {
        if (*parser->at == '\'' && *++parser->at != '\'') {
            *out = sandbox_expression_text(arena_str(parser->scope->arena, buf_str(&text)));
            return NULL;
        }
        buf_putc(&text, *parser->at);
    }
    return syntax(parser, "a string is left open");
}

static struct error *
parse_context(struct parser *parser, struct str name, struct value *out)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (str_equal(name, str_of(words[i]))) {
            *out = i == 2 ? (struct value){.kind = VALUE_NULL} : sandbox_expression_bool(i == 0);
            return NULL;
        }
    }
    const struct json *found = member(parser->scope->contexts, name);
    if (found == NULL) {
        return error_new(ERROR_INPUT, "expression '%s': unrecognized named-value '%.*s'",
            parser->whole, STR_FMT(name));
    }
    *out = sandbox_expression_from_json(found);
    return NULL;
}

static struct error *
parse_primary(struct parser *parser, struct value *out)
{
    skip_blanks(parser);
    if (accept(parser, "(")) {
        TRY(parse_or(parser, out));
        return accept(parser, ")") ? NULL : syntax(parser, "expected ')'");
    }
    if (*parser->at == '\'') {
        return parse_string(parser, out);
    }
    if (isdigit((unsigned char)*parser->at) || *parser->at == '-' || *parser->at == '+') {
        char *end = NULL;
        double number = strtod(parser->at, &end);
        if (end == parser->at) {
            return syntax(parser, "expected a number");
        }
        *out = (struct value){.kind = VALUE_NUMBER, .number = number};
        parser->at = end;
        return NULL;
    }
    struct str name = take_name(parser);
    if (name.len == 0) {
        return syntax(parser, "expected a value");
    }
    return accept(parser, "(") ? parse_call(parser, name, out) : parse_context(parser, name, out);
}

static struct error *
parse_postfix(struct parser *parser, struct value *out)
{
    TRY(parse_primary(parser, out));
    for (;;) {
        struct value key = {.kind = VALUE_NULL};
        if (accept(parser, "[")) {
            TRY(parse_or(parser, &key));
            if (!accept(parser, "]")) {
                return syntax(parser, "expected ']'");
            }
        } else if (accept(parser, ".")) {
            struct str name = take_name(parser);
            if (name.len == 0) {
                return syntax(parser, "expected a name");
            }
            key = sandbox_expression_text(arena_str(parser->scope->arena, name));
        } else {
            return NULL;
        }
        *out = index_value(parser->scope, out, &key);
    }
}

static struct error *
parse_not(struct parser *parser, struct value *out)
{
    skip_blanks(parser);
    bool negated = false, any = false;
    while (parser->at[0] == '!' && parser->at[1] != '=') {
        parser->at++;
        negated = !negated;
        any = true;
        skip_blanks(parser);
    }
    TRY(parse_postfix(parser, out));
    if (any) {
        *out = sandbox_expression_bool(
            negated ? !sandbox_expression_truthy(out) : sandbox_expression_truthy(out));
    }
    return NULL;
}

static struct error *
parse_relation(struct parser *parser, struct value *out)
{
    static const char *const tokens[] = {"<=", ">=", "<", ">"};
    TRY(parse_not(parser, out));
    for (;;) {
        size_t which = 0;
        while (which < ARRAY_LENGTH(tokens) && !accept(parser, tokens[which])) {
            which++;
        }
        if (which == ARRAY_LENGTH(tokens)) {
            return NULL;
        }
        struct value right = {.kind = VALUE_NULL};
        TRY(parse_not(parser, &right));
        int result = order(out, &right);
        const bool truths[] = {result <= 0, result == 0 || result == 1, result < 0, result == 1};
        *out = sandbox_expression_bool(result != 2 && truths[which]);
    }
}

static struct error *
parse_equality(struct parser *parser, struct value *out)
{
    TRY(parse_relation(parser, out));
    for (;;) {
        bool same = accept(parser, "==");
        if (!same && !accept(parser, "!=")) {
            return NULL;
        }
        struct value right = {.kind = VALUE_NULL};
        TRY(parse_relation(parser, &right));
        *out = sandbox_expression_bool(sandbox_expression_equal(out, &right) == same);
    }
}

static struct error *
parse_and(struct parser *parser, struct value *out)
{
    TRY(parse_equality(parser, out));
    while (accept(parser, "&&")) {
        struct value right = {.kind = VALUE_NULL};
        TRY(parse_equality(parser, &right));
        *out = sandbox_expression_truthy(out) ? right : *out;
    }
    return NULL;
}

static struct error *
parse_or(struct parser *parser, struct value *out)
{
    if (++parser->depth > DEPTH_MAX) {
        return syntax(parser, "nested too deeply");
    }
    TRY(parse_and(parser, out));
    while (accept(parser, "||")) {
        struct value right = {.kind = VALUE_NULL};
        TRY(parse_and(parser, &right));
        *out = sandbox_expression_truthy(out) ? *out : right;
    }
    parser->depth--;
    return NULL;
}

static struct error *
evaluate(
    const struct expression_scope *scope, const char *text, struct value *out, bool *calls_status)
{
    struct parser parser = {.scope = scope, .whole = text, .at = text};
    TRY(parse_or(&parser, out));
    skip_blanks(&parser);
    if (*parser.at != '\0') {
        return syntax(&parser, "unexpected text");
    }
    *calls_status = parser.calls_status;
    return NULL;
}

// The "}}" that ends an expression: not one inside a string.
static const char *
find_close(const char *at)
{
    bool quoted = false;
    for (; *at != '\0'; at++) {
        if (*at == '\'') {
            quoted = !quoted;
        } else if (!quoted && at[0] == '}' && at[1] == '}') {
            return at;
        }
    }
    return NULL;
}

struct error *
sandbox_expression_expand(const struct expression_scope *scope, const char *text, const char **out)
{
    struct buf result CLEANUP(buf_done) = BUF_INIT(EXPRESSION_TEXT_MAX);
    const char *at = text, *open = strstr(text, "${{");
    for (; open != NULL; open = strstr(at, "${{")) {
        const char *close = find_close(open + 3);
        if (close == NULL) {
            return error_new(ERROR_INPUT, "'${{' without '}}' in '%.80s'", text);
        }
        struct str inner = str_trim((struct str){open + 3, (size_t)(close - open) - 3});
        struct value value = {.kind = VALUE_NULL};
        bool ignored = false;
        TRY(evaluate(scope, arena_str(scope->arena, inner), &value, &ignored));
        buf_append(&result, at, (size_t)(open - at));
        buf_puts(&result, sandbox_expression_to_text(scope, &value));
        at = close + 2;
    }
    buf_puts(&result, at);
    TRY(buf_finish(&result, "text with expressions"));
    *out = arena_str(scope->arena, buf_str(&result));
    return NULL;
}

struct error *
sandbox_expression_condition(const struct expression_scope *scope, const char *text, bool *out)
{
    if (text == NULL) {
        *out = !scope->failed && !scope->cancelled;
        return NULL;
    }
    struct str inner = str_trim(str_of(text));
    if (str_starts(inner, STR("${{")) && str_ends(inner, STR("}}"))) {
        inner = str_trim((struct str){inner.ptr + 3, inner.len - 5});
    }
    struct value value = {.kind = VALUE_NULL};
    bool calls_status = false;
    TRY(evaluate(scope, arena_str(scope->arena, inner), &value, &calls_status));
    *out = sandbox_expression_truthy(&value) &&
           (calls_status || (!scope->failed && !scope->cancelled));
    return NULL;
}
