// One YAML scalar into one member: text, number, boolean, duration, each with its checks.
// All scalars arrive as text, so that YAML 1.1's booleans and octals surprise nobody (T21).
#include <string.h>

#include "decode_internal.h"
#include "dispatcher/clock.h"
#include "dispatcher/memory.h"

static const int64_t day_ms = INT64_C(86400000);

const char *
spec_duration_text(struct arena *arena, int64_t ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}};
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (ms > 0 && ms % units[i].ms == 0) {
            return arena_printf(arena, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
        }
    }
    return arena_printf(arena, "%llds", (long long)(ms / 1000));
}

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_word_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

// "1.10", "010", "1e3", "0x1f", "3000", "1_000", "12:30": some YAML reader makes a number of it.
static bool
looks_like_number(const char *text)
{
    if (*text == '-' || *text == '+') {
        text++;
    }
    if (!is_digit(*text) && !(*text == '.' && is_digit(text[1]))) {
        return false;
    }
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'o') && text[2] != '\0') {
        return text[2 + strspn(text + 2, "0123456789abcdefABCDEF_")] == '\0';
    }
    return text[strspn(text, "0123456789._:eE+-")] == '\0' && strchr(text, '-') == NULL &&
           strspn(text, "0123456789") > 0 && strchr(text, '.') == strrchr(text, '.');
}

static bool
is_plain_number(const char *text)
{
    int64_t number = 0;
    return str_to_int64(str_of(text), &number) && (text[0] != '0' || text[1] == '\0');
}

static bool
is_ambiguous(const struct field *field, const struct yaml_node *node)
{
    static const char *const words[] = {"true", "True", "TRUE", "false", "False", "FALSE", "yes",
        "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", NULL};
    if (node->quoted || (field->numeric_text && is_plain_number(node->text))) {
        return false;
    }
    return is_word_of(node->text, words) || looks_like_number(node->text);
}

static bool
check_word(const struct spec_source *source, const struct field *field, const char *label,
    const struct yaml_node *node)
{
    if (field->values == NULL || is_word_of(node->text, field->values)) {
        return true;
    }
    struct buf words CLEANUP(buf_done) = BUF_INIT(1024);
    for (size_t i = 0; field->values[i] != NULL; i++) {
        buf_printf(&words, "%s'%s'", i > 0 ? ", " : "", field->values[i]);
    }
    const char *help = spec_did_you_mean(source, node->text, field->values);
    spec_complain(source, field->open_values ? DIAGNOSTIC_WARNING : DIAGNOSTIC_ERROR,
        "unknown-value", node, help, "'%.80s' is not a value of '%s'; known: %s", node->text, label,
        buf_cstr(&words));
    return field->open_values;
}

static bool
check_placeholders(
    const struct spec_source *source, const char *label, const struct yaml_node *node)
{
    bool fine = true;
    size_t at = 0;
    struct str word = {0};
    while (placeholder_next(node->text, &at, &word)) {
        if (!placeholder_is_known(word)) {
            const char *name = arena_str(source->arena, word);
            fine = false;
            spec_complain(source, DIAGNOSTIC_ERROR, "unknown-placeholder", node,
                spec_did_you_mean(source, name, placeholder_names),
                "unknown placeholder '{%.80s}' in '%s'", name, label);
        }
    }
    return fine;
}

static bool
check_form(const struct spec_source *source, const struct field *field, const char *label,
    const struct yaml_node *node)
{
    if (spec_is_literal_secret(field, node->text)) {
        return false; // an error already (secrets.c), and not to be quoted
    }
    if (field->placeholders && text_has_placeholder(node->text)) {
        return check_placeholders(source, label, node);
    }
    const char *problem = field->check != NULL ? field->check(node->text) : NULL;
    if (problem != NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-value", node, NULL, "bad '%s' '%.80s': %s",
            label, node->text, problem);
        return false;
    }
    return true;
}

bool
decode_text(const struct spec_source *source, const struct field *field, const char *label,
    const struct yaml_node *node, const char **out)
{
    if (node->kind != YAML_SCALAR) {
        spec_complain(source, DIAGNOSTIC_ERROR, "wrong-type", node, NULL,
            "'%.80s' must be text, not %s", label, decode_kind_of(node));
        return false;
    }
    if (spec_looks_like_secret(node->text)) {
        return false; // an error already (secrets.c), and not to be quoted
    }
    if (!check_word(source, field, label, node) || !check_form(source, field, label, node)) {
        return false;
    }
    if (field->kind != FIELD_MAP_STR && field->values == NULL && is_ambiguous(field, node)) {
        spec_complain(source, DIAGNOSTIC_WARNING, "ambiguous-text", node,
            arena_printf(source->arena, "write \"%.60s\" in quotes", node->text),
            "'%.80s' of '%.80s' is no text for other YAML readers", node->text, label);
    }
    *out = node->text;
    return true;
}

static bool
in_range(const struct spec_source *source, const struct field *field, const struct yaml_node *node,
    int64_t number)
{
    if ((field->min == 0 && field->max == 0) || (number >= field->min && number <= field->max)) {
        return true;
    }
    if (field->kind == FIELD_DURATION) {
        spec_complain(source, DIAGNOSTIC_ERROR, "out-of-range", node, NULL,
            "'%s' is '%.80s', must be from %s to %s", field->name, node->text,
            spec_duration_text(source->arena, field->min),
            spec_duration_text(source->arena, field->max));
    } else if (field->min == field->max) {
        spec_complain(source, DIAGNOSTIC_ERROR, "out-of-range", node, NULL,
            "'%s' is %.80s, must be %lld", field->name, node->text, (long long)field->min);
    } else if (field->max == INT64_MAX) {
        spec_complain(source, DIAGNOSTIC_ERROR, "out-of-range", node, NULL,
            "'%s' is %.80s, must be at least %lld", field->name, node->text, (long long)field->min);
    } else {
        spec_complain(source, DIAGNOSTIC_ERROR, "out-of-range", node, NULL,
            "'%s' is %.80s, must be from %lld to %lld", field->name, node->text,
            (long long)field->min, (long long)field->max);
    }
    return false;
}

bool
decode_int(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, int64_t *out)
{
    int64_t number = 0;
    const char *text = yaml_text(node);
    if (text == NULL || node->quoted || !str_to_int64(str_of(text), &number)) {
        const char *help = text != NULL && node->quoted && str_to_int64(str_of(text), &number)
                               ? "remove the quotes"
                               : NULL;
        spec_complain(source, DIAGNOSTIC_ERROR, "wrong-type", node, help,
            "'%s' must be a whole number, not %s%s%.60s%s", field->name, decode_kind_of(node),
            text != NULL ? " '" : "", text != NULL ? text : "", text != NULL ? "'" : "");
        return false;
    }
    if (!is_plain_number(text) && number >= 0) {
        spec_complain(source, DIAGNOSTIC_ERROR, "wrong-type", node, NULL,
            "'%s' is '%.60s': a leading zero means octal to some readers", field->name, text);
        return false;
    }
    if (!in_range(source, field, node, number)) {
        return false;
    }
    *out = number;
    return true;
}

static bool
decode_bool(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, bool *out)
{
    static const char *const yes[] = {
        "yes", "Yes", "YES", "on", "On", "ON", "True", "TRUE", "y", NULL};
    static const char *const no[] = {
        "no", "No", "NO", "off", "Off", "OFF", "False", "FALSE", "n", NULL};
    const char *text = yaml_text(node);
    if (text != NULL && !node->quoted &&
        (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        *out = text[0] == 't';
        return true;
    }
    const char *help = NULL;
    if (text != NULL && node->quoted && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        help = "remove the quotes";
    } else if (text != NULL) {
        help = is_word_of(text, yes)  ? "did you mean 'true'?"
               : is_word_of(text, no) ? "did you mean 'false'?"
                                      : NULL;
    }
    spec_complain(source, DIAGNOSTIC_ERROR, "wrong-type", node, help,
        "'%s' must be true or false, not %s%s%.60s%s", field->name, decode_kind_of(node),
        text != NULL ? " '" : "", text != NULL ? text : "", text != NULL ? "'" : "");
    return false;
}

static bool
decode_duration(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, int64_t *out)
{
    const char *text = yaml_text(node);
    int64_t ms = 0;
    if (field->or_off && cstr_equal(text, "off")) {
        *out = 0;
        return true;
    }
    if (text == NULL || !clock_parse_duration(str_of(text), &ms) || ms > 3650 * day_ms) {
        spec_complain(source, DIAGNOSTIC_ERROR, "wrong-type", node, "like 30s, 5m, 2h or 1d",
            "'%s' must be a duration%s, not %s%s%.60s%s", field->name,
            field->or_off ? " or off" : "", decode_kind_of(node), text != NULL ? " '" : "",
            text != NULL ? text : "", text != NULL ? "'" : "");
        return false;
    }
    if (!in_range(source, field, node, ms)) {
        return false;
    }
    *out = ms;
    return true;
}

void
decode_scalar(const struct spec_source *source, const struct field *field,
    const struct yaml_node *node, char *slot)
{
    const char *text = NULL;
    int64_t number = 0;
    bool truth = false;
    if (field->kind == FIELD_STR && decode_text(source, field, field->name, node, &text)) {
        memcpy(slot, &text, sizeof(text));
    } else if (field->kind == FIELD_INT && decode_int(source, field, node, &number)) {
        memcpy(slot, &number, sizeof(number));
    } else if (field->kind == FIELD_DURATION && decode_duration(source, field, node, &number)) {
        memcpy(slot, &number, sizeof(number));
    } else if (field->kind == FIELD_BOOL && decode_bool(source, field, node, &truth)) {
        memcpy(slot, &truth, sizeof(truth));
    }
}

static void
default_of(const struct field *field, char *slot)
{
    int64_t number = 0;
    bool parsed = field->kind == FIELD_DURATION
                      ? clock_parse_duration(str_of(field->fallback), &number)
                      : str_to_int64(str_of(field->fallback), &number);
    bool truth = field->fallback[0] == 't';
    if (field->kind == FIELD_BOOL) {
        memcpy(slot, &truth, sizeof(truth));
    } else if ((field->kind == FIELD_INT || field->kind == FIELD_DURATION) && parsed) {
        memcpy(slot, &number, sizeof(number));
    }
}

void
decode_defaults(const struct field_table *table, char *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        if (field->kind == FIELD_OBJECT) {
            decode_defaults(field->table, out + field->offset);
        } else if (field->fallback != NULL) {
            default_of(field, out + field->offset);
        }
    }
}
