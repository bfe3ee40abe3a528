// docs/spec-reference.md from the field tables: every block, every key, every diagnostic.
#include <string.h>

#include "dispatcher/arena.h"
#include "dispatcher/memory.h"
#include "spec_internal.h"

enum { SECTIONS_MAX = 64 };

// One block, and where it may stand.
struct section {
    const struct field_table *table;
    struct buf places;
};
struct sections {
    struct section items[SECTIONS_MAX];
    size_t count;
    struct arena *arena;
};

static void collect(struct sections *sections, const struct field_table *table, const char *place);

static void
collect_fields(struct sections *sections, const struct field_table *table, const char *place)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        if (field->table == NULL) {
            continue;
        }
        const char *dot = place[0] == '\0' ? "" : ".";
        const char *suffix = field->kind == FIELD_LIST_OBJECT ? "[]" : "";
        const char *path =
            field->rest ? arena_printf(sections->arena, "%s%s<%s>", place, dot, field->key_label)
            : field->kind == FIELD_MAP_OBJECT
                ? arena_printf(
                      sections->arena, "%s%s%s.<%s>", place, dot, field->name, field->key_label)
                : arena_printf(sections->arena, "%s%s%s%s", place, dot, field->name, suffix);
        collect(sections, field->table, path);
    }
}

static void
collect(struct sections *sections, const struct field_table *table, const char *place)
{
    for (size_t i = 0; i < sections->count; i++) {
        if (sections->items[i].table == table) {
            buf_printf(&sections->items[i].places, ", `%s`", place);
            return;
        }
    }
    BUG_ON(sections->count == SECTIONS_MAX);
    struct section *section = &sections->items[sections->count++];
    section->table = table;
    buf_init(&section->places, 4096);
    buf_printf(&section->places, "`%s`", place);
    collect_fields(sections, table, place);
}

static const char *
type_text(const struct field *field)
{
    static const char *const names[] = {[FIELD_STR] = "text",
        [FIELD_INT] = "number",
        [FIELD_BOOL] = "true, false",
        [FIELD_DURATION] = "duration",
        [FIELD_OBJECT] = "block",
        [FIELD_LIST_STR] = "list of text",
        [FIELD_LIST_INT] = "list of numbers",
        [FIELD_LIST_OBJECT] = "list of blocks",
        [FIELD_MAP_STR] = "map of text",
        [FIELD_MAP_OBJECT] = "map of blocks",
        [FIELD_RAW] = "anything"};
    return names[field->kind];
}

static void
put_type(const struct field *field, struct buf *out)
{
    if (field->values != NULL) {
        buf_puts(out, field->kind == FIELD_LIST_STR ? "list of " : "");
        for (size_t i = 0; field->values[i] != NULL; i++) {
            buf_printf(out, "%s`%s`", i > 0 ? ", " : "", field->values[i]);
        }
        buf_puts(out, field->open_values ? ", …" : "");
    } else {
        buf_puts(out, type_text(field));
        buf_puts(out, field->or_off ? ", `off`" : "");
    }
    bool ranged = field->kind == FIELD_INT || field->kind == FIELD_LIST_INT;
    if (ranged && (field->min != 0 || field->max != 0)) {
        buf_printf(out, ", %lld", (long long)field->min);
        if (field->max != INT64_MAX) {
            buf_printf(out, " to %lld", (long long)field->max);
        } else {
            buf_puts(out, " or more");
        }
    }
    buf_puts(out, field->secret_ref && field->check != check_secret_arn ? ", *ref*" : "");
    buf_puts(out, field->placeholders ? ", *placeholders*" : "");
}

// A default is code unless it is a phrase.
static void
put_fallback(const struct field *field, struct buf *out)
{
    if (field->required) {
        buf_puts(out, "**required**");
    } else if (field->fallback != NULL) {
        bool phrase =
            strchr(field->fallback, '`') != NULL ||
            (strchr(field->fallback, ' ') != NULL && strchr("{[", field->fallback[0]) == NULL);
        buf_printf(out, phrase ? "%s" : "`%s`", field->fallback);
    }
}

static void
put_table(const struct field_table *table, struct buf *out)
{
    buf_puts(out, "\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        buf_printf(out, "| `%s` | ", field->name);
        put_type(field, out);
        buf_puts(out, " | ");
        put_fallback(field, out);
        buf_printf(out, " | %s |\n", field->doc);
    }
}

static void
put_document(const struct field_table *root, const char *title, struct buf *out)
{
    struct sections *sections = xcalloc(1, sizeof(*sections));
    sections->arena = arena_new();
    buf_printf(out, "\n## %s\n\n%s\n", title, root->doc);
    put_table(root, out);
    collect_fields(sections, root, "");
    for (size_t i = 0; i < sections->count; i++) {
        struct section *section = &sections->items[i];
        buf_printf(out, "\n### %s\n\nAt %s.", section->table->name, buf_cstr(&section->places));
        buf_printf(out, "%s%s\n", section->table->doc != NULL ? " " : "",
            section->table->doc != NULL ? section->table->doc : "");
        put_table(section->table, out);
        buf_done(&section->places);
    }
    arena_free(sections->arena);
    xfreep(&sections);
}

static void
put_rules(struct buf *out)
{
    static const struct {
        const char *id, *text;
    } rules[] = {
#define DIAGNOSTIC_RULE(id, text) {id, text},
#include "dispatcher/diagnostic_rules.def"
#undef DIAGNOSTIC_RULE
    };
    buf_puts(out, "\n## Diagnostics\n\n| rule | meaning |\n|---|---|\n");
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
        buf_printf(out, "| `%s` | %s |\n", rules[i].id, rules[i].text);
    }
}

static const char introduction[] =
    "# The files: `dispatcher.yaml` and `appspecs/<app>.yaml`\n"
    "\n"
    "<!-- Made from the tables in dispatcher/spec by: dispatcher spec schema reference -->\n"
    "\n"
    "Both are YAML: one document of at most 64 KiB, 32 levels and 10,000 values; no aliases, no\n"
    "tags, no key twice. Every single value is read as text first: `true` and `false` are the "
    "only\n"
    "booleans, numbers are decimal, durations are `30s`, `5m`, `2h`, `1d`.\n"
    "\n"
    "**Precedence**, strongest first: option on the command line, environment variable,\n"
    "`deploy.environments.<env>`, `deploy`, `env.<env>` of dispatcher.yaml, dispatcher.yaml,\n"
    "built-in default. `dispatcher spec show APP --env ENV` prints the effective values, each "
    "with\n"
    "the file and line it came from.\n"
    "\n"
    "**Placeholders**: `{app}` (the file stem) `{name}` `{env}` `{service}` `{version}` "
    "`{digest}`\n"
    "`{sha}` `{tag}` `{prefix}` `{account}` `{region}` `{subdomain}`, and in `workers.target`\n"
    "`{worker}` (file name up to its first dot) and `{worker_file}`. Braces around anything\n"
    "else are plain text. `{version}`, `{digest}`, `{sha}` and `{tag}` are known only during a\n"
    "deployment, so not in names of repositories and parameters.\n"
    "\n"
    "**Secret references** (*ref*): `env:VAR`, `file:PATH`, `ssm:/path`, `secretsmanager:ID#key`,\n"
    "`vault:mount/data/path#key`. A literal secret in a file is an error.\n";

void
spec_reference(struct buf *out)
{
    buf_puts(out, introduction);
    put_document(&spec_app_table, "`appspecs/<app>.yaml`", out);
    put_document(&config_table, "`dispatcher.yaml`", out);
    put_rules(out);
}
