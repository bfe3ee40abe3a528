// Values and functions of the expression language: shared by the grammar and the function table.
#pragma once

#include "expression_internal.h"

enum { EXPRESSION_ARGUMENTS_MAX = 16, EXPRESSION_TEXT_MAX = 1024 * 1024 };

enum value_kind { VALUE_NULL, VALUE_BOOL, VALUE_NUMBER, VALUE_STRING, VALUE_JSON };

struct value {
    enum value_kind kind;
    bool boolean;
    double number;
    const char *text;
    const struct json *json;
};

struct call {
    const struct expression_scope *scope;
    const struct value *arguments;
    size_t count;
};

struct function {
    const char *name;
    size_t min, max;
    bool is_status;
    struct value (*run)(const struct call *call);
};

/// By name, any case; NULL when there is none.
const struct function *sandbox_expression_function(struct str name);

struct value sandbox_expression_text(const char *text);
struct value sandbox_expression_bool(bool truth);
struct value sandbox_expression_from_json(const struct json *json);
bool sandbox_expression_truthy(const struct value *value);
double sandbox_expression_number(const struct value *value);
const char *sandbox_expression_to_text(
    const struct expression_scope *scope, const struct value *value);
/// Strings compare without regard to case; values of two kinds compare as numbers.
bool sandbox_expression_equal(const struct value *a, const struct value *b);
