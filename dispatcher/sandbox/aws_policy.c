// Session policies (the IAM policy language as far as sessions need it): what AssumeRole's `Policy`
// lets a session do. Effect, Action and Resource with their Not… forms are read, conditions are
// not: a statement with one is refused, so that nobody believes that it was looked at.
#include <ctype.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

enum { POLICY_CHARACTERS_MAX = 2048 };

// `*` is any text, `?` any character; actions in any case.
static bool
glob(const char *pattern, const char *text, bool any_case)
{
    const char *star = NULL, *retry = NULL;
    while (*text != '\0') {
        int wanted = any_case ? tolower((unsigned char)*pattern) : *pattern;
        int given = any_case ? tolower((unsigned char)*text) : *text;
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == '?' || (*pattern != '\0' && wanted == given)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

// A text or a list of them.
static bool
any_fits(const struct json *patterns, const char *text, bool any_case)
{
    const char *one = json_str(patterns);
    bool fits = one != NULL && glob(one, text, any_case);
    for (size_t i = 0; one == NULL && i < json_count(patterns); i++) {
        const char *pattern = json_str(json_at(patterns, i));
        fits = fits || (pattern != NULL && glob(pattern, text, any_case));
    }
    return fits;
}

static bool
speaks_of(const struct json *statement, const char *key, const char *not_key, const char *text,
    bool any_case)
{
    const struct json *patterns = json_get(statement, key);
    return patterns != NULL ? any_fits(patterns, text, any_case)
                            : !any_fits(json_get(statement, not_key), text, any_case);
}

static bool
is_pattern(const struct json *value)
{
    for (size_t i = 0; json_is_array(value) && i < json_count(value); i++) {
        if (json_str(json_at(value, i)) == NULL) {
            return false;
        }
    }
    return json_str(value) != NULL || (json_is_array(value) && json_count(value) > 0);
}

static bool
has_one_of(const struct json *statement, const char *key, const char *not_key)
{
    const struct json *yes = json_get(statement, key), *no = json_get(statement, not_key);
    return (yes == NULL) != (no == NULL) && is_pattern(yes != NULL ? yes : no);
}

static const struct json *
statement_at(const struct json *policy, size_t index, size_t *count)
{
    const struct json *statements = json_get(policy, "Statement");
    *count = json_is_array(statements) ? json_count(statements) : 1;
    return json_is_array(statements) ? json_at(statements, index) : statements;
}

const char *
sandbox_policy_read(const char *text, struct json **out)
{
    struct json *policy CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(text), &json_limits_default, &policy);
    size_t count = 1;
    if (strlen(text) > POLICY_CHARACTERS_MAX) {
        return "1 validation error detected: Value at 'policy' failed to satisfy constraint: "
               "Member "
               "must have length less than or equal to 2048";
    }
    if (err != NULL || !json_is_object(policy)) {
        return "This policy contains invalid Json";
    }
    for (size_t i = 0; i < count; i++) {
        const struct json *statement = statement_at(policy, i, &count);
        const char *effect = json_str(json_get(statement, "Effect"));
        if (!json_is_object(statement) ||
            (!cstr_equal(effect, "Allow") && !cstr_equal(effect, "Deny")) ||
            !has_one_of(statement, "Action", "NotAction") ||
            !has_one_of(statement, "Resource", "NotResource")) {
            return "Syntax errors in policy.";
        }
        if (json_get(statement, "Condition") != NULL) {
            return "the sandbox does not look at conditions of session policies";
        }
    }
    *out = policy;
    policy = NULL;
    return NULL;
}

bool
sandbox_policy_allows(const struct json *policy, const char *action, const char *resource)
{
    bool allowed = false;
    size_t count = 1;
    for (size_t i = 0; i < count; i++) {
        const struct json *statement = statement_at(policy, i, &count);
        if (!speaks_of(statement, "Action", "NotAction", action, true) ||
            !speaks_of(statement, "Resource", "NotResource", resource, false)) {
            continue;
        }
        if (cstr_equal(json_str(json_get(statement, "Effect")), "Deny")) {
            return false;
        }
        allowed = true;
    }
    return allowed;
}
