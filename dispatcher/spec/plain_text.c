// Is a file plain UTF-8 whose lines are what they look like? Refuses NUL, foreign line separators
// (libyaml counts them as lines, editors do not) and BiDi controls ("trojan source"). No YAML here.
#include <string.h>

#include "spec_internal.h"

struct hidden {
    const char *bytes, *name;
};

static const struct hidden hidden[] = {
    {"\xc2\x85", "next line, U+0085"}, {"\xe2\x80\xa8", "line separator, U+2028"},
    {"\xe2\x80\xa9", "paragraph separator, U+2029"},
    {"\xe2\x80\xaa", "left-to-right embedding, U+202A"},
    {"\xe2\x80\xab", "right-to-left embedding, U+202B"},
    {"\xe2\x80\xac", "pop directional formatting, U+202C"},
    {"\xe2\x80\xad", "left-to-right override, U+202D"},
    {"\xe2\x80\xae", "right-to-left override, U+202E"},
    {"\xe2\x81\xa6", "left-to-right isolate, U+2066"},
    {"\xe2\x81\xa7", "right-to-left isolate, U+2067"},
    {"\xe2\x81\xa8", "first strong isolate, U+2068"},
    {"\xe2\x81\xa9", "pop directional isolate, U+2069"},
    {"\xef\xbb\xbf", "byte order mark, U+FEFF"}, // one at the start is skipped
};

// Place of byte `at`, counted in code points; bytes that are no UTF-8 count one each.
struct source_span
spec_place_of(struct str text, size_t at)
{
    struct source_span span = {1, 1, 1};
    for (size_t i = 0; i < at; i++) {
        if (text.ptr[i] == '\n') {
            span.line++;
            span.column = 1;
        } else if (((unsigned char)text.ptr[i] & 0xc0) != 0x80) {
            span.column++;
        }
    }
    return span;
}

// First byte that does not continue valid UTF-8. Only called for text known to be bad.
static size_t
first_bad_byte(struct str text)
{
    size_t at = 0;
    while (at < text.len) {
        size_t size = 1;
        while (
            size <= 4 && at + size <= text.len && !str_is_utf8((struct str){text.ptr + at, size})) {
            size++;
        }
        if (size > 4 || at + size > text.len) {
            return at;
        }
        at += size;
    }
    return at;
}

static const char *
hidden_at(struct str text, size_t at)
{
    struct str rest = str_skip(text, at);
    if (text.ptr[at] == '\r') {
        bool line_end = rest.len > 1 && rest.ptr[1] == '\n';
        return line_end ? NULL : "carriage return without line feed, U+000D";
    }
    unsigned char byte = (unsigned char)text.ptr[at];
    if (byte < ' ' || byte == 0x7f) {
        return "control character";
    }
    for (size_t i = 0; i < ARRAY_LENGTH(hidden); i++) {
        if (str_starts(rest, str_of(hidden[i].bytes))) {
            return hidden[i].name;
        }
    }
    return NULL;
}

struct str
spec_text_body(struct str text)
{
    return str_starts(text, STR("\xef\xbb\xbf")) ? str_skip(text, 3) : text;
}

static bool
is_suspect(char byte)
{
    return (byte >= 0 && byte < ' ' && byte != '\n' && byte != '\t') || byte == 0x7f ||
           byte == '\xc2' || byte == '\xe2' || byte == '\xef';
}

bool
spec_text_is_plain(const struct spec_source *source, struct str text)
{
    const char *nul = text.len > 0 ? memchr(text.ptr, '\0', text.len) : NULL;
    if (nul != NULL) {
        diagnostics_add(source->diagnostics, DIAGNOSTIC_ERROR, "nul-byte", source->file,
            (struct str){0}, spec_place_of(text, (size_t)(nul - text.ptr)), NULL,
            "the file holds a NUL byte");
        return false;
    }
    if (!str_is_utf8(text)) {
        size_t at = first_bad_byte(text);
        diagnostics_add(source->diagnostics, DIAGNOSTIC_ERROR, "not-utf8", source->file,
            (struct str){0}, spec_place_of(text, at), "save the file as UTF-8",
            "byte 0x%02x is not UTF-8", (unsigned)(unsigned char)text.ptr[at]);
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        const char *name = is_suspect(text.ptr[i]) ? hidden_at(text, i) : NULL;
        if (name != NULL) {
            diagnostics_add(source->diagnostics, DIAGNOSTIC_ERROR, "hidden-character", source->file,
                source->text, spec_place_of(text, i), "remove it", "a %s is not allowed", name);
            return false;
        }
    }
    return true;
}
