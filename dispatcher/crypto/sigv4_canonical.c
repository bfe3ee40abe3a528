// SigV4 stage 1, the pieces: canonical URI, query string and headers ("Create a canonical
// request"). Works on the text as it will be sent; taking the URL apart and joining the pieces is
// sigv4.c's.
#include "sigv4_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

static bool
is_unreserved(unsigned char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

// UriEncode() of one byte: upper-case hex, unreserved bytes as they are.
static void
put_encoded(unsigned char byte, struct buf *out)
{
    if (is_unreserved(byte)) {
        buf_putc(out, (char)byte);
    } else {
        buf_printf(out, "%%%02X", byte);
    }
}

static int
hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Takes one byte off `text`, undoing a %XX; a '%' that starts no such triplet stands for itself.
static unsigned char
take_decoded(struct str *text)
{
    size_t used = 1;
    unsigned char byte = (unsigned char)text->ptr[0];
    if (byte == '%' && text->len >= 3) {
        int high = hex_value(text->ptr[1]), low = hex_value(text->ptr[2]);
        if (high >= 0 && low >= 0) {
            byte = (unsigned char)(high * 16 + low);
            used = 3;
        }
    }
    *text = str_skip(*text, used);
    return byte;
}

// Whatever was encoded already is encoded once, whatever was not is encoded too.
static void
put_encoded_once(struct str text, struct buf *out)
{
    while (text.len > 0) {
        put_encoded(take_decoded(&text), out);
    }
}

// S3: the path names an object, so "a//b" and "a/../b" are names of their own. An encoded slash in
// an object name stays encoded.
static void
keep_uri(struct str path, struct buf *out)
{
    while (path.len > 0) {
        if (path.ptr[0] == '/') {
            buf_putc(out, '/');
            path = str_skip(path, 1);
        } else {
            put_encoded(take_decoded(&path), out);
        }
    }
}

// RFC 3986 §5.2.4 and no empty segments, then the sent text encoded (again).
static void
normalise_uri(struct str path, struct buf *out)
{
    struct str *segments CLEANUP(xfreep) = xcalloc(path.len + 1, sizeof(*segments));
    struct str segment = {0}, rest = path;
    size_t count = 0;
    bool directory =
        str_ends(path, STR("/")) || str_ends(path, STR("/.")) || str_ends(path, STR("/.."));
    while (str_cut(rest, '/', &segment, &rest)) {
        if (str_equal(segment, STR(".."))) {
            count -= count > 0;
        } else if (segment.len > 0 && !str_equal(segment, STR("."))) {
            segments[count++] = segment;
        }
    }
    for (size_t i = 0; i < count; i++) {
        buf_putc(out, '/');
        for (size_t at = 0; at < segments[i].len; at++) {
            put_encoded((unsigned char)segments[i].ptr[at], out);
        }
    }
    if (directory || count == 0) {
        buf_putc(out, '/');
    }
}

void
sigv4_canonical_uri(struct str path, bool keep, struct buf *out)
{
    if (path.len == 0) {
        buf_putc(out, '/');
    } else if (keep) {
        keep_uri(path, out);
    } else {
        normalise_uri(path, out);
    }
}

struct parameter {
    struct str name, value; // encoded
};

static int
compare_str(struct str a, struct str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter > 0 ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int
compare_parameters(const void *a, const void *b)
{
    const struct parameter *left = a, *right = b;
    int order = compare_str(left->name, right->name);
    return order != 0 ? order : compare_str(left->value, right->value);
}

static struct str
encode_once(struct str text, struct arena *arena)
{
    struct buf encoded CLEANUP(buf_done) = BUF_INIT(3 * text.len);
    put_encoded_once(text, &encoded);
    return str_of(arena_str(arena, buf_str(&encoded)));
}

void
sigv4_canonical_query(struct str query, struct buf *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct parameter *list CLEANUP(xfreep) = xcalloc(query.len + 1, sizeof(*list));
    struct str pair = {0}, rest = query;
    size_t count = 0;
    while (str_cut(rest, '&', &pair, &rest)) {
        struct str name = {0}, value = {0};
        if (str_cut(pair, '=', &name, &value)) {
            list[count].name = encode_once(name, arena);
            list[count++].value = encode_once(value, arena);
        }
    }
    qsort(list, count, sizeof(*list), compare_parameters);
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i > 0 ? "&" : "");
        buf_add(out, list[i].name);
        buf_putc(out, '=');
        buf_add(out, list[i].value);
    }
}

static int
compare_fields(const void *a, const void *b)
{
    const struct sigv4_field *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : (left->position > right->position) - 1;
}

static const char *
lower_case(const char *name, struct arena *arena)
{
    char *lower = arena_dup(arena, name);
    for (char *at = lower; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'Z') {
            *at = (char)(*at | 0x20);
        }
    }
    return lower;
}

// Trimall(): no blanks at the ends, one for each run inside.
static void
put_trimmed(struct str value, struct buf *out)
{
    value = str_trim(value);
    bool blank = false;
    for (size_t i = 0; i < value.len; i++) {
        bool is_blank = value.ptr[i] == ' ' || value.ptr[i] == '\t';
        if (!is_blank || !blank) {
            buf_putc(out, is_blank ? ' ' : value.ptr[i]);
        }
        blank = is_blank;
    }
}

void
sigv4_canonical_headers(struct sigv4_field *fields, size_t count, struct arena *arena,
    struct buf *out, struct buf *signed_headers)
{
    for (size_t i = 0; i < count; i++) {
        fields[i].name = lower_case(fields[i].name, arena);
        fields[i].position = i;
    }
    qsort(fields, count, sizeof(*fields), compare_fields);
    for (size_t i = 0; i < count; i++) {
        bool repeated = i > 0 && strcmp(fields[i].name, fields[i - 1].name) == 0;
        if (repeated) {
            buf_putc(out, ',');
        } else {
            buf_printf(out, "%s%s:", i > 0 ? "\n" : "", fields[i].name);
            buf_printf(signed_headers, "%s%s", i > 0 ? ";" : "", fields[i].name);
        }
        put_trimmed(fields[i].value, out);
    }
    buf_putc(out, '\n');
}
