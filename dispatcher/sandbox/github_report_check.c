// Is the body of a report what GitHub takes? All flaws of one are told at once, as errors[].
#include <string.h>

#include "dispatcher/memory.h"
#include "github_report_internal.h"

size_t
sandbox_report_length(const char *text)
{
    size_t count = 0;
    for (; text != NULL && *text != '\0'; text++) {
        count += ((unsigned char)*text & 0xC0) != 0x80 ? 1 : 0; // UTF-8: not a continuation
    }
    return count;
}

void
sandbox_flaw_add(
    struct report_flaws *flaws, const char *field, const char *code, const char *message)
{
    struct json *flaw = json_make_object();
    json_set_str(flaw, "resource", flaws->resource);
    json_set_str(flaw, "field", field);
    json_set_str(flaw, "code", code);
    json_set_str(flaw, "message", message);
    flaws->errors = flaws->errors != NULL ? flaws->errors : json_make_array();
    json_append(flaws->errors, flaw);
}

static bool
is_word(const char *const *words, const char *text)
{
    for (; *words != NULL; words++) {
        if (strcmp(*words, text) == 0) {
            return true;
        }
    }
    return false;
}

static bool
has_type(const struct report_rule *rule, const struct json *value)
{
    int64_t moment = 0;
    switch (rule->type) {
    case REPORT_FLAG:
        return json_bool(value, false) == json_bool(value, true);
    case REPORT_NUMBER:
        return json_is_int(value);
    case REPORT_TIME:
        return clock_parse_rfc3339(json_str(value), &moment);
    case REPORT_TEXT:
    case REPORT_URL:
        return json_str(value) != NULL &&
               (rule->words == NULL || is_word(rule->words, json_str(value)));
    }
    return true;
}

static bool
is_web_address(const char *text)
{
    return text[0] == '\0' || strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

static void
check_one(struct report_flaws *flaws, const struct json *value, const struct report_rule *rule)
{
    if (value == NULL) {
        if (rule->required) {
            sandbox_flaw_add(flaws, rule->key, "missing_field", NULL);
        }
        return;
    }
    if (json_is_null(value) && rule->nullable) {
        return;
    }
    if (!has_type(rule, value)) {
        sandbox_flaw_add(flaws, rule->key, "invalid", NULL);
        return;
    }
    if (rule->type == REPORT_URL && !is_web_address(json_str(value))) {
        char *message CLEANUP(xfreep) = xasprintf("%s must use http(s) scheme", rule->key);
        sandbox_flaw_add(flaws, rule->key, "custom", message);
    }
    if (rule->max > 0 && sandbox_report_length(json_str(value)) > rule->max) {
        char *message CLEANUP(xfreep) =
            xasprintf("%s is too long (maximum is %zu characters)", rule->key, rule->max);
        sandbox_flaw_add(flaws, rule->key, "custom", message);
    }
}

void
sandbox_flaws_check(struct report_flaws *flaws, const struct json *object,
    const struct report_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_one(flaws, json_get(object, rules[i].key), &rules[i]);
    }
}

bool
sandbox_flaws_answer(struct report_flaws *flaws, struct sandbox_response *response)
{
    if (flaws->errors == NULL) {
        return false;
    }
    struct json *body = json_make_object();
    json_set_str(body, "message", "Validation Failed");
    json_set(body, "errors", flaws->errors);
    json_set_str(body, "documentation_url", "https://docs.github.com/rest");
    json_set_str(body, "status", "422");
    flaws->errors = NULL;
    sandbox_reply_json(response, 422, body);
    return true;
}
