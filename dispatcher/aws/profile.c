// The shared config and credentials files: an INI dialect with one level of nesting (AWS SDKs and
// Tools Reference Guide, "Shared config and credentials files"). Reads text that it is given; which
// files there are, and which profile counts, is session.c.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

enum {
    ENTRIES_MAX = 8192, // sections and keys; a lookup walks them
    LINE_MAX_BYTES = 16 * 1024,
    CONTINUATIONS_MAX = 64, // lines of one value; bounds the copying of a hostile file
};

struct property {
    const char *parent, *key, *value;
    unsigned continuations;
    struct property *older;
};

struct section {
    enum aws_section_kind kind;
    const char *name;
    bool prefixed; // "[profile default]", which hides "[default]"
    struct property *newest;
    struct section *older;
};

struct aws_ini {
    struct arena *arena;
    struct section *newest;
    unsigned entries;
};

struct parser {
    struct aws_ini *ini;
    const char *path;
    bool is_credentials;
    unsigned line;
    struct section *section; // NULL: one that we do not know, skipped
    bool seen_section;
    struct property *property; // the last one that was not nested
};

struct aws_ini *
aws_ini_new(void)
{
    struct aws_ini *ini = xcalloc(1, sizeof(*ini));
    ini->arena = arena_new();
    return ini;
}

void
aws_ini_free(struct aws_ini *ini)
{
    if (ini != NULL) {
        arena_free(ini->arena);
        free(ini);
    }
}

void
aws_ini_freep(struct aws_ini **ini)
{
    aws_ini_free(*ini);
    *ini = NULL;
}

static struct error *
malformed(const struct parser *parser, const char *what)
{
    struct error *err =
        error_new(ERROR_CREDENTIALS, "'%s' line %u: %s", parser->path, parser->line, what);
    return error_hint(err, "Correct the line, or name another file with %s.",
        parser->is_credentials ? "AWS_SHARED_CREDENTIALS_FILE" : "AWS_CONFIG_FILE");
}

static struct error *
count_entry(struct parser *parser)
{
    if (++parser->ini->entries > ENTRIES_MAX) {
        return malformed(parser, "too many sections and keys");
    }
    return NULL;
}

static bool
is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

// A comment inside a line starts with white space, so that '#' and ';' can be part of a value.
static struct str
without_comment(struct str line)
{
    for (size_t i = 1; i < line.len; i++) {
        if ((line.ptr[i] == '#' || line.ptr[i] == ';') && is_blank(line.ptr[i - 1])) {
            return (struct str){line.ptr, i};
        }
    }
    return line;
}

static struct str
without_quotes(struct str name)
{
    bool quoted = name.len >= 2 && (name.ptr[0] == '"' || name.ptr[0] == '\'') &&
                  name.ptr[name.len - 1] == name.ptr[0];
    return quoted ? (struct str){name.ptr + 1, name.len - 2} : name;
}

/// Takes "profile dev" apart; false for a section of no interest.
static bool
classify(const struct parser *parser, struct str title, struct section *out)
{
    static const struct {
        const char *prefix;
        enum aws_section_kind kind;
    } kinds[] = {
        {"profile", AWS_SECTION_PROFILE},
        {"sso-session", AWS_SECTION_SSO_SESSION},
        {"services", AWS_SECTION_SERVICES},
    };
    if (parser->is_credentials || str_equal(title, STR("default"))) {
        out->kind = AWS_SECTION_PROFILE;
        out->name = arena_str(parser->ini->arena, without_quotes(title));
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct str prefix = str_of(kinds[i].prefix);
        if (str_starts(title, prefix) && title.len > prefix.len &&
            is_blank(title.ptr[prefix.len])) {
            struct str name = without_quotes(str_trim(str_skip(title, prefix.len)));
            out->kind = kinds[i].kind;
            out->name = arena_str(parser->ini->arena, name);
            out->prefixed = true;
            return name.len > 0;
        }
    }
    return false;
}

static struct error *
parse_section(struct parser *parser, struct str line)
{
    const char *close = memchr(line.ptr, ']', line.len);
    if (close == NULL) {
        return malformed(parser, "a section without ']'");
    }
    struct str title = str_trim((struct str){line.ptr + 1, (size_t)(close - line.ptr) - 1});
    struct str rest = str_trim(str_skip(line, (size_t)(close - line.ptr) + 1));
    if (title.len == 0) {
        return malformed(parser, "a section without a name");
    }
    if (rest.len > 0 && rest.ptr[0] != '#' && rest.ptr[0] != ';') {
        return malformed(parser, "text after the section's name");
    }
    TRY(count_entry(parser));
    struct section found = {0};
    parser->property = NULL;
    parser->section = NULL;
    parser->seen_section = true;
    if (classify(parser, title, &found)) {
        struct section *section = arena_alloc(parser->ini->arena, sizeof(*section));
        *section = found;
        section->older = parser->ini->newest;
        parser->ini->newest = section;
        parser->section = section;
    }
    return NULL;
}

static struct error *
add_property(struct parser *parser, struct str line, const char *parent, struct property **out)
{
    struct str key, value;
    if (memchr(line.ptr, '=', line.len) == NULL) {
        return malformed(parser, "expected 'key = value'");
    }
    (void)str_cut(line, '=', &key, &value);
    key = str_trim(key);
    if (key.len == 0) {
        return malformed(parser, "a value without a key");
    }
    TRY(count_entry(parser));
    struct arena *arena = parser->ini->arena;
    struct property *property = arena_alloc(arena, sizeof(*property));
    property->parent = parent;
    property->key = arena_str(arena, key);
    property->value = arena_str(arena, str_trim(value));
    property->older = parser->section->newest;
    parser->section->newest = property;
    *out = property;
    return NULL;
}

// An indented line belongs to the key above: to its block when it had no value, else to its value.
static struct error *
parse_indented(struct parser *parser, struct str line)
{
    struct property *outer = parser->property;
    struct property *nested = NULL;
    if (outer == NULL) {
        return malformed(parser, "an indented line that belongs to nothing");
    }
    if (outer->value[0] == '\0') {
        return add_property(parser, line, outer->key, &nested);
    }
    if (++outer->continuations > CONTINUATIONS_MAX) {
        return malformed(parser, "a value of too many lines");
    }
    outer->value =
        arena_printf(parser->ini->arena, "%s\n%.*s", outer->value, STR_FMT(str_trim(line)));
    return NULL;
}

static struct error *
parse_line(struct parser *parser, struct str line)
{
    struct str text = str_trim(line);
    if (text.len == 0 || text.ptr[0] == '#' || text.ptr[0] == ';') {
        return NULL;
    }
    if (line.len > LINE_MAX_BYTES) {
        return malformed(parser, "the line is too long");
    }
    if (memchr(line.ptr, '\0', line.len) != NULL || !str_is_utf8(line)) {
        return malformed(parser, "not a line of UTF-8 text");
    }
    if (line.ptr[0] == '[') {
        return parse_section(parser, text);
    }
    if (!parser->seen_section) {
        return malformed(parser, "a key before the first section");
    }
    if (parser->section == NULL) {
        return NULL;
    }
    text = str_trim(without_comment(text));
    if (is_blank(line.ptr[0])) {
        return parse_indented(parser, text);
    }
    return add_property(parser, text, NULL, &parser->property);
}

struct error *
aws_ini_parse(struct aws_ini *ini, struct str text, bool is_credentials, const char *path)
{
    struct parser parser = {.ini = ini, .path = path, .is_credentials = is_credentials};
    struct str line, rest = text;
    if (str_starts(rest, STR("\xef\xbb\xbf"))) {
        rest = str_skip(rest, 3); // the mark that some editors put first
    }
    while (str_cut(rest, '\n', &line, &rest)) {
        parser.line++;
        TRY(parse_line(&parser, line));
    }
    return NULL;
}

static bool
is_the_section(const struct section *section, enum aws_section_kind kind, const char *name)
{
    return section->kind == kind && strcmp(section->name, name) == 0;
}

static const struct section *
find_section(
    const struct section *from, enum aws_section_kind kind, const char *name, bool prefixed)
{
    while (from != NULL && !(is_the_section(from, kind, name) && from->prefixed == prefixed)) {
        from = from->older;
    }
    return from;
}

bool
aws_ini_has(const struct aws_ini *ini, enum aws_section_kind kind, const char *name)
{
    return find_section(ini->newest, kind, name, true) != NULL ||
           find_section(ini->newest, kind, name, false) != NULL;
}

static const char *
find_value(const struct section *section, const char *parent, const char *key)
{
    for (const struct property *at = section->newest; at != NULL; at = at->older) {
        bool same_parent = parent == NULL
                               ? at->parent == NULL
                               : at->parent != NULL && strcasecmp(parent, at->parent) == 0;
        if (same_parent && strcasecmp(key, at->key) == 0) {
            return at->value;
        }
    }
    return NULL;
}

const char *
aws_ini_get(const struct aws_ini *ini, enum aws_section_kind kind, const char *name,
    const char *parent, const char *key)
{
    bool prefixed = find_section(ini->newest, kind, name, true) != NULL;
    const struct section *at = find_section(ini->newest, kind, name, prefixed);
    while (at != NULL) {
        const char *value = find_value(at, parent, key);
        if (value != NULL) {
            return value[0] != '\0' ? value : NULL;
        }
        at = find_section(at->older, kind, name, prefixed);
    }
    return NULL;
}
