// Reads single elements out of the XML that STS and IAM answer with. Their query protocol is the
// only XML there is here: a few flat elements of at most some kilobytes, no attributes that matter,
// no DTD, no CDATA. A whole XML library (and its entity expansion and network features) for that
// would be more to trust than these lines, so anything beyond the subset is refused.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

enum {
    XML_MAX = 64 * 1024,
    DEPTH_MAX = 16,
    TEXT_MAX = 32 * 1024,
};

struct scanner {
    struct str rest;
    struct str open[DEPTH_MAX]; // names of the elements around `rest`
    size_t depth;
};

static struct error *
unusable(const char *what)
{
    return error_new(ERROR_UNAVAILABLE, "unusable answer: XML: %s", what);
}

static struct error *
put_utf8(struct buf *out, int64_t point)
{
    bool bad = point < 0x20 ? point != '\t' && point != '\n' && point != '\r'
                            : point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff);
    if (bad) {
        return unusable("a reference to a character that cannot be");
    }
    unsigned value = (unsigned)point;
    if (value < 0x80) {
        buf_putc(out, (char)value);
    } else if (value < 0x800) {
        buf_putc(out, (char)(0xc0 | value >> 6));
    } else if (value < 0x10000) {
        buf_putc(out, (char)(0xe0 | value >> 12));
        buf_putc(out, (char)(0x80 | (value >> 6 & 0x3f)));
    } else {
        buf_putc(out, (char)(0xf0 | value >> 18));
        buf_putc(out, (char)(0x80 | (value >> 12 & 0x3f)));
        buf_putc(out, (char)(0x80 | (value >> 6 & 0x3f)));
    }
    if (value >= 0x80) {
        buf_putc(out, (char)(0x80 | (value & 0x3f)));
    }
    return NULL;
}

static int
hex_digit(char byte)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = byte != '\0' ? strchr(digits, byte | 0x20) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/// "#38" or "#x26"; -1 for anything else.
static int64_t
character_number(struct str name)
{
    bool hex = name.len > 1 && name.ptr[1] == 'x';
    struct str digits = str_skip(name, hex ? 2 : 1);
    if (digits.len == 0 || digits.len > 8) {
        return -1;
    }
    int64_t number = 0;
    for (size_t i = 0; i < digits.len; i++) {
        int digit = hex_digit(digits.ptr[i]);
        if (digit < 0 || (!hex && digit > 9)) {
            return -1;
        }
        number = number * (hex ? 16 : 10) + digit;
    }
    return number;
}

static struct error *
put_entity(struct buf *out, struct str name)
{
    static const struct {
        const char *name;
        char byte;
    } known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    if (name.len > 0 && name.ptr[0] == '#') {
        return put_utf8(out, character_number(name));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (str_equal(name, str_of(known[i].name))) {
            buf_putc(out, known[i].byte);
            return NULL;
        }
    }
    return unusable("an unknown entity");
}

static struct error *
decode_text(struct str text, char **out)
{
    struct buf plain CLEANUP(buf_wipe) = BUF_INIT(TEXT_MAX);
    while (text.len > 0) {
        const char *amp = memchr(text.ptr, '&', text.len);
        size_t plain_len = amp != NULL ? (size_t)(amp - text.ptr) : text.len;
        buf_append(&plain, text.ptr, plain_len);
        text = str_skip(text, plain_len);
        if (text.len == 0) {
            break;
        }
        const char *end = memchr(text.ptr, ';', text.len);
        if (end == NULL) {
            return unusable("an entity without an end");
        }
        size_t len = (size_t)(end - text.ptr);
        TRY(put_entity(&plain, (struct str){text.ptr + 1, len - 1}));
        text = str_skip(text, len + 1);
    }
    if (plain.failed || memchr(buf_cstr(&plain), '\0', plain.len) != NULL) {
        return unusable("a text that is too long or holds NUL");
    }
    *out = buf_take(&plain);
    return NULL;
}

// Are the open elements exactly those that `path` names?
static bool
is_at(const struct scanner *scanner, const char *path)
{
    struct str name, rest = str_of(path);
    size_t level = 0;
    while (str_cut(rest, '/', &name, &rest)) {
        if (level == scanner->depth || !str_equal(scanner->open[level], name)) {
            return false;
        }
        level++;
    }
    return level == scanner->depth;
}

static struct error *
close_element(struct scanner *scanner, struct str name)
{
    if (scanner->depth == 0 || !str_equal(scanner->open[scanner->depth - 1], str_trim(name))) {
        return unusable("an end tag that does not match");
    }
    scanner->depth--;
    return NULL;
}

static struct error *
open_element(struct scanner *scanner, struct str tag)
{
    size_t len = 0;
    while (len < tag.len && strchr(" \t\r\n/", tag.ptr[len]) == NULL) {
        len++;
    }
    if (len == 0 || scanner->depth == DEPTH_MAX) {
        return unusable("a tag without a name, or too many levels");
    }
    if (!str_ends(tag, STR("/"))) {
        scanner->open[scanner->depth++] = (struct str){tag.ptr, len};
    }
    return NULL;
}

/// Consumes one tag; `rest` starts at '<'.
static struct error *
scan_tag(struct scanner *scanner)
{
    const char *end = memchr(scanner->rest.ptr, '>', scanner->rest.len);
    if (end == NULL) {
        return unusable("a tag without an end");
    }
    size_t len = (size_t)(end - scanner->rest.ptr);
    struct str tag = {scanner->rest.ptr + 1, len - 1};
    scanner->rest = str_skip(scanner->rest, len + 1);
    if (tag.len > 0 && tag.ptr[0] == '!') {
        return unusable("declarations, comments and CDATA are not expected");
    }
    if (tag.len > 0 && tag.ptr[0] == '?') {
        return NULL;
    }
    return tag.len > 0 && tag.ptr[0] == '/' ? close_element(scanner, str_skip(tag, 1))
                                            : open_element(scanner, tag);
}

struct error *
aws_xml_text(struct str xml, const char *path, char **out)
{
    if (xml.len > XML_MAX) {
        return unusable("more than 64 KiB");
    }
    struct scanner scanner = {.rest = xml};
    char *found CLEANUP(xfreep) = NULL;
    while (scanner.rest.len > 0) {
        const char *tag = memchr(scanner.rest.ptr, '<', scanner.rest.len);
        size_t len = tag != NULL ? (size_t)(tag - scanner.rest.ptr) : scanner.rest.len;
        struct str text = {scanner.rest.ptr, len};
        scanner.rest = str_skip(scanner.rest, len);
        if (scanner.depth == 0 && str_trim(text).len > 0) {
            return unusable("text outside the document");
        }
        // The text of a leaf ends at its own end tag.
        if (found == NULL && is_at(&scanner, path) && str_starts(scanner.rest, STR("</"))) {
            TRY(decode_text(text, &found));
        }
        if (tag != NULL) {
            TRY(scan_tag(&scanner));
        }
    }
    if (scanner.depth != 0) {
        return unusable("it ends inside an element");
    }
    *out = found;
    found = NULL;
    return NULL;
}
