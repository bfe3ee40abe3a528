// An entry as text: the object that is hashed, and what people take away. Reads and writes no
// table.
#include "dispatcher/audit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit_internal.h"
#include "dispatcher/arena.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"

#define TEXT(name)                                                                                 \
    {                                                                                              \
#name, AUDIT_TEXT, offsetof(struct audit_entry, name)                                      \
    }
#define NUMBER(name)                                                                               \
    {                                                                                              \
#name, AUDIT_NUMBER, offsetof(struct audit_entry, name)                                    \
    }

// Sorted: the order of the object's keys, and of the table's columns in every statement.
const struct audit_field audit_fields[AUDIT_FIELDS] = {
    TEXT(actor),
    NUMBER(actor_id),
    TEXT(app),
    NUMBER(at_ms),
    NUMBER(check_run_id),
    TEXT(code),
    TEXT(deployment),
    {"detail", AUDIT_JSON, offsetof(struct audit_entry, detail)},
    TEXT(digest),
    TEXT(env),
    TEXT(floor_commit),
    {"hash", AUDIT_HASH, offsetof(struct audit_entry, hash)},
    TEXT(jti),
    TEXT(kind),
    TEXT(previous),
    TEXT(reason),
    NUMBER(repository_id),
    TEXT(request_id),
    TEXT(rule),
    NUMBER(run_attempt),
    NUMBER(run_id),
    {"sequence", AUDIT_NUMBER, offsetof(struct audit_entry, sequence)},
    TEXT(spec_commit),
    TEXT(token_hash),
    TEXT(verdict),
    TEXT(version),
};

const char *
audit_text_of(const struct audit_entry *entry, const struct audit_field *field)
{
    const char *text = NULL;
    memcpy(&text, (const char *)entry + field->offset, sizeof(text));
    return text;
}

int64_t
audit_number_of(const struct audit_entry *entry, const struct audit_field *field)
{
    int64_t number = 0;
    memcpy(&number, (const char *)entry + field->offset, sizeof(number));
    return number;
}

// --- canonical JSON (RFC 8785's strings and order) -----------------------------------------------

static void
put_string(const char *text, struct buf *out)
{
    static const char short_forms[] = {['\b'] = 'b',
        ['\t'] = 't',
        ['\n'] = 'n',
        ['\f'] = 'f',
        ['\r'] = 'r',
        ['"'] = '"',
        ['\\'] = '\\'};
    buf_putc(out, '"');
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < sizeof(short_forms) && short_forms[byte] != 0) {
            buf_putc(out, '\\');
            buf_putc(out, short_forms[byte]);
        } else if (byte < 0x20) {
            buf_printf(out, "\\u%04x", byte);
        } else {
            buf_putc(out, *text);
        }
    }
    buf_putc(out, '"');
}

struct members {
    struct arena *arena;
    struct member {
        const char *key;
        const struct json *value;
    } * items;
    size_t count, room;
};

static void
collect(void *ctx, const char *key, const struct json *value)
{
    struct members *members = ctx;
    BUG_ON(members->count >= members->room);
    members->items[members->count++] = (struct member){key, value};
}

static int
compare_members(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static void put_value(const struct json *value, struct arena *arena, struct buf *out);

static void
put_object(const struct json *object, struct arena *arena, struct buf *out)
{
    struct members members = {.arena = arena, .room = json_count(object)};
    members.items = arena_array(arena, members.room + 1, sizeof(members.items[0]));
    json_each(object, collect, &members);
    qsort(members.items, members.count, sizeof(members.items[0]), compare_members);
    buf_putc(out, '{');
    for (size_t i = 0; i < members.count; i++) {
        buf_puts(out, i > 0 ? "," : "");
        put_string(members.items[i].key, out);
        buf_putc(out, ':');
        put_value(members.items[i].value, arena, out);
    }
    buf_putc(out, '}');
}

// The depth is that of json_limits_default at most.
static void
put_value(const struct json *value, struct arena *arena, struct buf *out)
{
    if (json_is_object(value)) {
        put_object(value, arena, out);
    } else if (json_is_array(value)) {
        buf_putc(out, '[');
        for (size_t i = 0; i < json_count(value); i++) {
            buf_puts(out, i > 0 ? "," : "");
            put_value(json_at(value, i), arena, out);
        }
        buf_putc(out, ']');
    } else if (json_str(value) != NULL) {
        put_string(json_str(value), out);
    } else {
        json_print(value, false, out);
    }
}

struct error *
audit_canonical(const char *text, struct arena *arena, const char **out)
{
    struct json *value CLEANUP(json_freep) = NULL;
    const struct json_limits limits = {AUDIT_DETAIL_MAX, json_limits_default.max_depth};
    struct error *err = json_parse(str_of(text), &limits, &value);
    if (err == NULL && !json_is_object(value)) {
        err = error_new(ERROR_INPUT, "it is no object");
    }
    if (err != NULL) {
        return error_wrap_as(ERROR_INPUT, err, "detail of an audit entry");
    }
    struct buf buf CLEANUP(buf_done) = BUF_INIT((size_t)8 * AUDIT_DETAIL_MAX);
    put_value(value, arena, &buf);
    TRY(buf_finish(&buf, "detail of an audit entry"));
    *out = arena_dup(arena, buf_cstr(&buf));
    return NULL;
}

bool
audit_is_object(const char *text)
{
    struct json *value CLEANUP(json_freep) = NULL;
    const struct json_limits limits = {(size_t)8 * AUDIT_DETAIL_MAX, json_limits_default.max_depth};
    struct error *err CLEANUP(error_freep) = json_parse(str_of(text), &limits, &value);
    return err == NULL && json_is_object(value);
}

// --- the object ----------------------------------------------------------------------------------

static void
put_member(const struct audit_entry *entry, const struct audit_field *field, struct buf *out)
{
    const char *text = field->kind != AUDIT_NUMBER ? audit_text_of(entry, field) : NULL;
    int64_t number = field->kind == AUDIT_NUMBER ? audit_number_of(entry, field) : 0;
    if (text == NULL && number == 0) {
        return; // absent
    }
    buf_puts(out, out->len > 0 && out->ptr[out->len - 1] != '{' ? "," : "");
    put_string(field->name, out);
    buf_putc(out, ':');
    if (field->kind == AUDIT_NUMBER) {
        buf_printf(out, "%" PRId64, number);
    } else if (field->kind == AUDIT_JSON) {
        buf_puts(out, text); // canonical since audit_add
    } else {
        put_string(text, out);
    }
}

void
audit_object(const struct audit_entry *entry, bool with_hash, struct buf *out)
{
    buf_putc(out, '{');
    for (size_t i = 0; i < AUDIT_FIELDS; i++) {
        if (with_hash || audit_fields[i].kind != AUDIT_HASH) {
            put_member(entry, &audit_fields[i], out);
        }
    }
    buf_putc(out, '}');
}

void
audit_jsonl(const struct audit_entry *entry, struct buf *out)
{
    audit_object(entry, true, out);
    buf_putc(out, '\n');
}

// --- CSV (RFC 4180) ------------------------------------------------------------------------------

// As people read it: who, what and why first.
static const char *const csv_columns[] = {"sequence", "at_ms", "kind", "verdict", "code", "actor",
    "app", "env", "version", "deployment", "reason", "rule", "request_id", "digest", "actor_id",
    "repository_id", "run_id", "run_attempt", "check_run_id", "jti", "token_hash", "spec_commit",
    "floor_commit", "detail", "previous", "hash"};
_Static_assert(ARRAY_LENGTH(csv_columns) == AUDIT_FIELDS, "each member is a column");

static const struct audit_field *
field_of(const char *name)
{
    size_t i = 0;
    while (strcmp(audit_fields[i].name, name) != 0) {
        i++;
    }
    return &audit_fields[i];
}

// A spreadsheet takes what begins so for a formula (CWE-1236): an apostrophe makes it text.
static bool
is_formula(const char *text)
{
    return text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;
}

static void
put_cell(const char *text, struct buf *out)
{
    const char *quote = strpbrk(text, ",\"\r\n") != NULL ? "\"" : "";
    buf_puts(out, quote);
    buf_puts(out, is_formula(text) ? "'" : "");
    for (; *text != '\0'; text++) {
        buf_puts(out, *text == '"' ? "\"" : "");
        buf_putc(out, *text);
    }
    buf_puts(out, quote);
}

static void
put_number(int64_t number, struct buf *out)
{
    if (number != 0) {
        buf_printf(out, "%" PRId64, number);
    }
}

void
audit_csv_header(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(csv_columns); i++) {
        buf_puts(out, i > 0 ? "," : "");
        buf_puts(out, csv_columns[i]);
    }
    buf_puts(out, "\r\n");
}

void
audit_csv(const struct audit_entry *entry, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(csv_columns); i++) {
        const struct audit_field *field = field_of(csv_columns[i]);
        buf_puts(out, i > 0 ? "," : "");
        if (field->kind == AUDIT_NUMBER) {
            put_number(audit_number_of(entry, field), out);
        } else {
            const char *text = audit_text_of(entry, field);
            put_cell(text != NULL ? text : "", out);
        }
    }
    buf_puts(out, "\r\n");
}
