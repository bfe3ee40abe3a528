// Foreign text made fit for one line of ours. Knows nothing of job logs.
#include "dispatcher/text.h"

#include <stdint.h>

// Decodes one code point; *len is 1 and the result U+FFFD for bytes that are not UTF-8.
static uint32_t
decode(struct str text, size_t *len)
{
    for (size_t size = 1; size <= 4 && size <= text.len; size++) {
        if (!str_is_utf8((struct str){text.ptr, size})) {
            continue;
        }
        const unsigned char *bytes = (const unsigned char *)text.ptr;
        static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
        uint32_t point = bytes[0] & first_bits[size];
        for (size_t i = 1; i < size; i++) {
            point = point << 6 | (bytes[i] & 0x3fU);
        }
        *len = size;
        return point;
    }
    *len = 1;
    return 0xfffd;
}

// Length of an ANSI escape sequence at the start (ECMA-48: CSI, OSC and friends), at least 1.
static size_t
escape_length(struct str text)
{
    if (text.len < 2) {
        return 1;
    }
    size_t at = 2;
    if (text.ptr[1] == '[') {
        while (at < text.len && !(text.ptr[at] >= 0x40 && text.ptr[at] <= 0x7e)) {
            at++;
        }
        return at < text.len ? at + 1 : at;
    }
    if (text.ptr[1] == ']' || text.ptr[1] == 'P' || text.ptr[1] == '_' || text.ptr[1] == '^') {
        while (
            at < text.len && text.ptr[at] != '\a' && text.ptr[at] != '\n' && text.ptr[at] != 0x1b) {
            at++;
        }
        bool string_end = at + 1 < text.len && text.ptr[at] == 0x1b && text.ptr[at + 1] == '\\';
        return string_end ? at + 2 : at < text.len && text.ptr[at] == '\a' ? at + 1 : at;
    }
    return 2;
}

static bool
is_hidden(uint32_t point)
{
    return (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) ||
           (point >= 0x200b && point <= 0x200f) || point == 0xfeff ||
           (point >= 0x80 && point < 0xa0);
}

static bool
is_line_end_or_tab(uint32_t point)
{
    return point == '\n' || point == '\r' || point == '\t' || point == 0x2028 || point == 0x2029 ||
           point == 0x85;
}

void
text_clean(struct str text, size_t max, struct buf *out)
{
    size_t start = out->len;
    while (text.len > 0) {
        size_t len = 1;
        uint32_t point = decode(text, &len);
        if (out->len - start + 4 > max) {
            buf_puts(out, "…");
            return;
        }
        if (point == 0x1b) {
            len = escape_length(text);
        } else if (is_line_end_or_tab(point)) {
            buf_putc(out, ' ');
        } else if (point == 0xfffd) {
            buf_puts(out, "\xef\xbf\xbd");
        } else if (point >= 0x20 && point != 0x7f && !is_hidden(point)) {
            buf_append(out, text.ptr, len);
        }
        text = str_skip(text, len);
    }
}

static bool
is_wide(uint32_t point)
{
    return (point >= 0x1100 && point <= 0x115f) || (point >= 0x2e80 && point <= 0xa4cf) ||
           (point >= 0xac00 && point <= 0xd7a3) || (point >= 0xf900 && point <= 0xfaff) ||
           (point >= 0xfe30 && point <= 0xfe6f) || (point >= 0xff00 && point <= 0xff60) ||
           (point >= 0x1f300 && point <= 0x1faff);
}

size_t
text_width(struct str text)
{
    size_t width = 0;
    while (text.len > 0) {
        size_t len = 1;
        uint32_t point = decode(text, &len);
        bool combining = point >= 0x300 && point <= 0x36f;
        width += combining ? 0 : is_wide(point) ? 2 : 1;
        text = str_skip(text, len);
    }
    return width;
}
