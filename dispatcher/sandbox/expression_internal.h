// GitHub's expression language, as much of it as deployment workflows use: literals, contexts,
// operators, and the functions contains, startsWith, endsWith, format, join, toJSON, fromJSON,
// always, success, failure, cancelled. Anything else is an error that names it. Pure.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/json.h"

struct expression_scope {
    const struct json *contexts; // {"github": {...}, "inputs": {...}, ...}
    bool failed, cancelled;      // what success(), failure() and cancelled() answer
    struct arena *arena;
};

/// `text` with every ${{ ... }} replaced by its value. ERROR_INPUT quotes the expression.
NODISCARD struct error *sandbox_expression_expand(
    const struct expression_scope *scope, const char *text, const char **out);
/// The value of an `if:`; "success() &&" is implied unless it calls a status function. NULL:
/// success().
NODISCARD struct error *sandbox_expression_condition(
    const struct expression_scope *scope, const char *text, bool *out);
