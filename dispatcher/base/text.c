// Foreign text made fit for one line of ours. Knows nothing of job logs.
#include "dispatcher/text.h"

#include <stdint.h>

#include "dispatcher/secret.h"

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

static bool
is_between(char byte, char first, char last)
{
    return byte >= first && byte <= last;
}

// Parameters, intermediates and the final byte of "ESC [" (ECMA-48 §5.4). A byte that cannot belong
// to it ends it: nothing of the text after a broken sequence is lost.
static size_t
control_sequence_length(struct str text)
{
    size_t at = 2;
    while (at < text.len && is_between(text.ptr[at], 0x20, 0x3f)) {
        at++;
    }
    return at < text.len && is_between(text.ptr[at], 0x40, 0x7e) ? at + 1 : at;
}

// "ESC ]" and its kin run to BEL, ESC \ or the end of the line.
static size_t
control_string_length(struct str text)
{
    size_t at = 2;
    while (at < text.len && text.ptr[at] != '\a' && text.ptr[at] != '\n' && text.ptr[at] != 0x1b) {
        at++;
    }
    bool string_end = at + 1 < text.len && text.ptr[at] == 0x1b && text.ptr[at + 1] == '\\';
    return string_end ? at + 2 : at < text.len && text.ptr[at] == '\a' ? at + 1 : at;
}

// Length of the escape sequence at the start (ECMA-48, ECMA-35), at least 1.
static size_t
escape_length(struct str text)
{
    if (text.len < 2 || !is_between(text.ptr[1], 0x20, 0x7e)) {
        return 1;
    }
    switch (text.ptr[1]) {
    case '[':
        return control_sequence_length(text);
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_':
        return control_string_length(text);
    default:
        break;
    }
    size_t at = 1; // "ESC ( B": intermediates, then one final byte
    while (at < text.len && is_between(text.ptr[at], 0x20, 0x2f)) {
        at++;
    }
    return at < text.len && is_between(text.ptr[at], 0x30, 0x7e) ? at + 1 : at;
}

struct range {
    uint32_t first, last;
};

static bool
is_in(uint32_t point, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count && point >= ranges[i].first; i++) {
        if (point <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

// C1 controls, and what shows nothing but changes how the rest is shown: BiDi controls, zero-width
// signs, tags.
static bool
is_hidden(uint32_t point)
{
    static const struct range ranges[] = {{0x80, 0x9f}, {0xad, 0xad}, {0x61c, 0x61c},
        {0x180e, 0x180e}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff},
        {0xfff9, 0xfffb}, {0xe0000, 0xe0fff}};
    return is_in(point, ranges, ARRAY_LENGTH(ranges));
}

static bool
is_line_end_or_tab(uint32_t point)
{
    return point == '\n' || point == '\r' || point == '\t' || point == 0x2028 || point == 0x2029 ||
           point == 0x85;
}

// What one character becomes; may be empty.
static struct str
cleaned(uint32_t point, struct str character)
{
    if (is_line_end_or_tab(point)) {
        return STR(" ");
    }
    if (point == 0xfffd) {
        return STR("\xef\xbf\xbd");
    }
    return point >= 0x20 && point != 0x7f && !is_hidden(point) ? character : STR("");
}

static void
clean(struct str text, size_t max, struct buf *out)
{
    static const struct str ellipsis = {"…", sizeof("…") - 1};
    size_t start = out->len, fits = start; // `fits`: where the ellipsis can still follow
    while (text.len > 0) {
        size_t len = 1;
        uint32_t point = decode(text, &len);
        struct str piece = {0};
        if (point == 0x1b) {
            len = escape_length(text);
        } else {
            piece = cleaned(point, (struct str){text.ptr, len});
        }
        if (out->len - start + piece.len > max) {
            buf_cut(out, fits);
            buf_add(out, max >= ellipsis.len ? ellipsis : STR(""));
            return;
        }
        buf_add(out, piece);
        fits = out->len - start + ellipsis.len <= max ? out->len : fits;
        text = str_skip(text, len);
    }
}

void
text_clean(struct str text, size_t max, struct buf *out)
{
    if (text.len <= max / 3) { // nothing will be cut; a bad byte becomes three
        clean(text, max, out);
        return;
    }
    struct buf whole CLEANUP(buf_wipe) = BUF_INIT(text.len);
    buf_add(&whole, text);
    secret_mask(&whole); // half a secret would not be recognised later
    clean(buf_str(&whole), max, out);
}

// East Asian Width W and F, and the emoji that are shown wide (Unicode 15 EastAsianWidth.txt).
static bool
is_wide(uint32_t point)
{
    static const struct range ranges[] = {{0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23ec},
        {0x23f0, 0x23f0}, {0x23f3, 0x23f3}, {0x25fd, 0x25fe}, {0x2614, 0x2615}, {0x2648, 0x2653},
        {0x267f, 0x267f}, {0x2693, 0x2693}, {0x26a1, 0x26a1}, {0x26aa, 0x26ab}, {0x26bd, 0x26be},
        {0x26c4, 0x26c5}, {0x26ce, 0x26ce}, {0x26d4, 0x26d4}, {0x26ea, 0x26ea}, {0x26f2, 0x26f3},
        {0x26f5, 0x26f5}, {0x26fa, 0x26fa}, {0x26fd, 0x26fd}, {0x2705, 0x2705}, {0x270a, 0x270b},
        {0x2728, 0x2728}, {0x274c, 0x274c}, {0x274e, 0x274e}, {0x2753, 0x2755}, {0x2757, 0x2757},
        {0x2795, 0x2797}, {0x27b0, 0x27b0}, {0x27bf, 0x27bf}, {0x2b1b, 0x2b1c}, {0x2b50, 0x2b50},
        {0x2b55, 0x2b55}, {0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf}, {0x4e00, 0xa4cf},
        {0xa960, 0xa97f}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff01, 0xff60},
        {0xffe0, 0xffe6}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f18e},
        {0x1f191, 0x1f19a}, {0x1f200, 0x1f265}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
        {0x1f7e0, 0x1f7eb}, {0x1f90c, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd}};
    return is_in(point, ranges, ARRAY_LENGTH(ranges));
}

// Combining marks and variation selectors take no column of their own.
static bool
is_combining(uint32_t point)
{
    static const struct range ranges[] = {{0x300, 0x36f}, {0x483, 0x489}, {0x591, 0x5bd},
        {0x610, 0x61a}, {0x64b, 0x65f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff},
        {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};
    return is_in(point, ranges, ARRAY_LENGTH(ranges));
}

size_t
text_width(struct str text)
{
    size_t width = 0;
    while (text.len > 0) {
        size_t len = 1;
        uint32_t point = decode(text, &len);
        width += is_combining(point) ? 0 : is_wide(point) ? 2 : 1;
        text = str_skip(text, len);
    }
    return width;
}
