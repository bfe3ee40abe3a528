// The fault rule language: parsing, matching, counting. Knows nothing of HTTP; server.c brings the
// effects about.
#include "faults_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/sandbox.h"

const char sandbox_fault_syntax[] =
    "METHOD PATTERN [KEY=VALUE]...\n"
    "  METHOD            GET, POST, ..., or * for any\n"
    "  PATTERN           the path, * stands for any bytes: */dispatches, /aws*, /v2/*/blobs/*\n"
    "  target=GLOB       only that AWS action: target=*.PutParameter\n"
    "  query=GLOB        only when the query string matches\n"
    "  nth=N             from the Nth matching request on (1)\n"
    "  count=N|all       that many requests (1)\n"
    "  effect=EFFECT     status, reset, lost-answer, delay, truncate, malformed, drip,\n"
    "                    expired-token, clock; 'status' when status= is given, else 'delay'\n"
    "  status=CODE       answer this and do nothing; body=\"TEXT\" header=\"Name: value\"\n"
    "  retry-after=S     adds the header Retry-After\n"
    "  delay=2s          wait before doing anything (with every effect)\n"
    "  delay-after=2s    do it, then wait before answering (with every effect)\n"
    "  offset=+60s       how far effect=clock moves the Date header\n";

static const struct {
    const char *name;
    enum fault_effect effect;
} effects[] = {
    {"status", FAULT_STATUS},
    {"reset", FAULT_RESET},
    {"lost-answer", FAULT_LOST_ANSWER},
    {"delay", FAULT_DELAY},
    {"truncate", FAULT_TRUNCATE},
    {"malformed", FAULT_MALFORMED},
    {"drip", FAULT_DRIP},
    {"expired-token", FAULT_EXPIRED_TOKEN},
    {"clock", FAULT_CLOCK},
};

const char *
fault_effect_name(enum fault_effect effect)
{
    for (size_t i = 0; i < ARRAY_LENGTH(effects); i++) {
        if (effects[i].effect == effect) {
            return effects[i].name;
        }
    }
    return "none";
}

bool
fault_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == *text) {
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

bool
fault_parse_duration(const char *text, int64_t *ms)
{
    static const struct {
        const char *suffix;
        int64_t factor;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    struct str rest = str_of(text);
    int64_t sign = str_starts(rest, STR("-")) ? -1 : 1;
    if (str_starts(rest, STR("-")) || str_starts(rest, STR("+"))) {
        rest = str_skip(rest, 1);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (!str_ends(rest, str_of(units[i].suffix))) {
            continue;
        }
        struct str digits = {rest.ptr, rest.len - strlen(units[i].suffix)};
        int64_t number = 0;
        if (digits.len == 0 || digits.len > 9 || digits.ptr[0] < '0' || digits.ptr[0] > '9' ||
            !str_to_int64(digits, &number)) {
            return false;
        }
        *ms = sign * number * units[i].factor;
        return true;
    }
    return false;
}

void
fault_rule_free(struct fault_rule *rule)
{
    if (rule == NULL) {
        return;
    }
    free(rule->text);
    free(rule->method);
    free(rule->pattern);
    free(rule->target);
    free(rule->query);
    free(rule->body);
    free(rule->retry_after);
    free(rule->header_name);
    free(rule->header_value);
    free(rule);
}

void
fault_rule_freep(struct fault_rule **rule)
{
    fault_rule_free(*rule);
    *rule = NULL;
}

// The next word; key="a \"b\"" is one word, its quotes taken off. NULL at the end or when a quote
// stays open (*bad).
static char *
next_word(const char **at, bool *bad)
{
    const char *from = *at;
    while (*from == ' ' || *from == '\t') {
        from++;
    }
    if (*from == '\0') {
        return NULL;
    }
    char *word = xmalloc(strlen(from) + 1);
    size_t len = 0;
    bool quoted = false;
    for (; *from != '\0' && (quoted || (*from != ' ' && *from != '\t')); from++) {
        if (*from == '"') {
            quoted = !quoted;
        } else {
            if (quoted && *from == '\\' && (from[1] == '"' || from[1] == '\\')) {
                from++;
            }
            word[len++] = *from;
        }
    }
    word[len] = '\0';
    *at = from;
    *bad = quoted;
    return word;
}

static struct error *
bad_value(const char *key, const char *value)
{
    return error_hint(error_new(ERROR_USAGE, "fault rule: '%s' is no value for '%s'", value, key),
        "See 'dispatcher help sandbox' for the rule language.");
}

static struct error *
set_effect(struct fault_rule *rule, const char *value)
{
    for (size_t i = 0; i < ARRAY_LENGTH(effects); i++) {
        if (strcmp(effects[i].name, value) == 0) {
            rule->effect = effects[i].effect;
            return NULL;
        }
    }
    return bad_value("effect", value);
}

static struct error *
set_number(const char *key, const char *value, int64_t min, int64_t max, int64_t *out)
{
    int64_t number = 0;
    if (!str_to_int64(str_of(value), &number) || number < min || number > max) {
        return bad_value(key, value);
    }
    *out = number;
    return NULL;
}

static struct error *
set_duration(const char *key, const char *value, bool may_be_negative, int64_t *out)
{
    int64_t ms = 0;
    if (!fault_parse_duration(value, &ms) || (ms < 0 && !may_be_negative)) {
        return bad_value(key, value);
    }
    *out = ms;
    return NULL;
}

static struct error *
set_header(struct fault_rule *rule, const char *value)
{
    struct str name = {0}, rest = {0};
    if (strchr(value, ':') == NULL || !str_cut(str_of(value), ':', &name, &rest) || name.len == 0) {
        return bad_value("header", value);
    }
    free(rule->header_name);
    free(rule->header_value);
    rule->header_name = str_dup(str_trim(name));
    rule->header_value = str_dup(str_trim(rest));
    return NULL;
}

static void
set_text(char **field, const char *value)
{
    free(*field);
    *field = xstrdup(value);
}

static struct error *
set_key(struct fault_rule *rule, const char *key, const char *value)
{
    int64_t number = 0;
    if (strcmp(key, "effect") == 0) {
        return set_effect(rule, value);
    }
    if (strcmp(key, "nth") == 0) {
        return set_number(key, value, 1, 1000000, &rule->nth);
    }
    if (strcmp(key, "count") == 0) {
        rule->count = -1;
        return strcmp(value, "all") == 0 ? NULL : set_number(key, value, 1, 1000000, &rule->count);
    }
    if (strcmp(key, "status") == 0) {
        TRY(set_number(key, value, 200, 599, &number));
        rule->status = (int)number;
        return NULL;
    }
    if (strcmp(key, "delay") == 0) {
        return set_duration(key, value, false, &rule->delay_ms);
    }
    if (strcmp(key, "delay-after") == 0) {
        return set_duration(key, value, false, &rule->delay_after_ms);
    }
    if (strcmp(key, "offset") == 0) {
        return set_duration(key, value, true, &rule->offset_ms);
    }
    if (strcmp(key, "header") == 0) {
        return set_header(rule, value);
    }
    char **text = strcmp(key, "body") == 0          ? &rule->body
                  : strcmp(key, "retry-after") == 0 ? &rule->retry_after
                  : strcmp(key, "target") == 0      ? &rule->target
                  : strcmp(key, "query") == 0       ? &rule->query
                                                    : NULL;
    if (text == NULL) {
        return error_hint(error_new(ERROR_USAGE, "fault rule: unknown key '%s'", key),
            "See 'dispatcher help sandbox' for the rule language.");
    }
    set_text(text, value);
    return NULL;
}

// What a rule must have once all its keys are known.
static struct error *
finish_rule(struct fault_rule *rule)
{
    if (rule->effect == FAULT_NONE) {
        rule->effect = rule->status != 0      ? FAULT_STATUS
                       : rule->offset_ms != 0 ? FAULT_CLOCK
                                              : FAULT_DELAY;
    }
    if (rule->effect == FAULT_STATUS && rule->status == 0) {
        return error_new(ERROR_USAGE, "fault rule: effect=status needs status=CODE");
    }
    if (rule->effect == FAULT_CLOCK && rule->offset_ms == 0) {
        return error_new(ERROR_USAGE, "fault rule: effect=clock needs offset=DURATION");
    }
    if (rule->effect == FAULT_DELAY && rule->delay_ms == 0 && rule->delay_after_ms == 0) {
        return error_hint(error_new(ERROR_USAGE, "fault rule: '%s' has no effect", rule->text),
            "Add effect=, status= or delay=.");
    }
    return NULL;
}

struct error *
fault_rule_parse(const char *text, struct fault_rule **out)
{
    struct fault_rule *rule CLEANUP(fault_rule_freep) = xcalloc(1, sizeof(*rule));
    const char *at = text;
    bool bad = false;
    rule->text = xstrdup(text);
    rule->nth = 1;
    rule->count = 1;
    rule->method = next_word(&at, &bad);
    rule->pattern = rule->method != NULL ? next_word(&at, &bad) : NULL;
    if (rule->pattern == NULL || strchr(rule->method, '=') != NULL ||
        strchr("/*", rule->pattern[0]) == NULL) {
        return error_hint(error_new(ERROR_USAGE, "fault rule: '%s' names no path", text),
            "A rule reads 'POST */dispatches nth=1 effect=lost-answer'.");
    }
    for (;;) {
        char *word CLEANUP(xfreep) = next_word(&at, &bad);
        if (bad) {
            return error_new(ERROR_USAGE, "fault rule: '%s' has a quote left open", text);
        }
        if (word == NULL) {
            break;
        }
        char *equals = strchr(word, '=');
        if (equals == NULL) {
            return error_new(ERROR_USAGE, "fault rule: '%s' is no KEY=VALUE", word);
        }
        *equals = '\0';
        TRY(set_key(rule, word, equals + 1));
    }
    TRY(finish_rule(rule));
    *out = rule;
    rule = NULL;
    return NULL;
}

struct error *
sandbox_fault_check(const char *text)
{
    struct fault_rule *rule CLEANUP(fault_rule_freep) = NULL;
    return fault_rule_parse(text, &rule);
}

int64_t
fault_set_add(struct fault_set *set, struct fault_rule *rule)
{
    set->rules = xrealloc(set->rules, (set->count + 1) * sizeof(*set->rules));
    set->rules[set->count++] = rule;
    rule->id = ++set->last_id;
    return rule->id;
}

bool
fault_set_remove(struct fault_set *set, int64_t id)
{
    size_t kept = 0;
    size_t before = set->count;
    for (size_t i = 0; i < before; i++) {
        if (id == 0 || set->rules[i]->id == id) {
            fault_rule_free(set->rules[i]);
        } else {
            set->rules[kept++] = set->rules[i];
        }
    }
    set->count = kept;
    return kept != before;
}

void
fault_set_done(struct fault_set *set)
{
    (void)fault_set_remove(set, 0);
    free(set->rules);
    set->rules = NULL;
}

static bool
matches(const struct fault_rule *rule, const struct fault_subject *subject)
{
    return (strcmp(rule->method, "*") == 0 || strcmp(rule->method, subject->method) == 0) &&
           fault_glob(rule->pattern, subject->path) &&
           (rule->target == NULL ||
               fault_glob(rule->target, subject->target != NULL ? subject->target : "")) &&
           (rule->query == NULL ||
               fault_glob(rule->query, subject->query != NULL ? subject->query : ""));
}

static char *
copy_text(const char *text)
{
    return text != NULL ? xstrdup(text) : NULL;
}

static struct fault_rule *
copy_rule(const struct fault_rule *rule)
{
    struct fault_rule *copy = xmalloc(sizeof(*copy));
    *copy = *rule;
    copy->text = copy_text(rule->text);
    copy->method = copy_text(rule->method);
    copy->pattern = copy_text(rule->pattern);
    copy->target = copy_text(rule->target);
    copy->query = copy_text(rule->query);
    copy->body = copy_text(rule->body);
    copy->retry_after = copy_text(rule->retry_after);
    copy->header_name = copy_text(rule->header_name);
    copy->header_value = copy_text(rule->header_value);
    return copy;
}

struct fault_rule *
fault_set_match(struct fault_set *set, const struct fault_subject *subject)
{
    struct fault_rule *fired = NULL;
    for (size_t i = 0; i < set->count; i++) {
        struct fault_rule *rule = set->rules[i];
        if (!matches(rule, subject)) {
            continue;
        }
        rule->matched++;
        bool due = rule->matched >= rule->nth &&
                   (rule->count < 0 || rule->matched < rule->nth + rule->count);
        if (due && fired == NULL) {
            rule->fired++;
            fired = rule;
        }
    }
    return fired != NULL ? copy_rule(fired) : NULL;
}

struct json *
fault_set_json(const struct fault_set *set)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < set->count; i++) {
        const struct fault_rule *rule = set->rules[i];
        struct json *item = json_make_object();
        json_set_int(item, "id", rule->id);
        json_set_str(item, "rule", rule->text);
        json_set_str(item, "effect", fault_effect_name(rule->effect));
        json_set_int(item, "matched", rule->matched);
        json_set_int(item, "fired", rule->fired);
        json_append(list, item);
    }
    return list;
}
