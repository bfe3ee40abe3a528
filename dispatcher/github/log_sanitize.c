// Remote log lines made harmless for the log of our own job (protocols.md T40, T41, D11).
//
// What the runner takes for a command is decided by its ActionCommand.TryParseV2 and TryParse:
// `::name` after .NET white space, `##[name` anywhere. It compares with the culture's rules, which
// skip code points without weight, so those go too. Does not fetch, split by step or colour
// anything.
#include "dispatcher/log_sanitize.h"

#include <string.h>

enum { LINE_MAX_BYTES = 8 * 1024, ESCAPE = 0x1b, REPLACEMENT = 0xfffd };

struct range {
    uint32_t first, last;
};

// Unicode 15 general category Cf and Default_Ignorable_Code_Point, and the C0, C1 and DEL controls
// but for tab. BiDi controls (T41) are among them.
static const struct range hidden[] = {{0x00, 0x08}, {0x0a, 0x1f}, {0x7f, 0x9f}, {0xad, 0xad},
    {0x34f, 0x34f}, {0x600, 0x605}, {0x61c, 0x61c}, {0x6dd, 0x6dd}, {0x70f, 0x70f}, {0x890, 0x891},
    {0x8e2, 0x8e2}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x200b, 0x200f},
    {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff},
    {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1345f},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};

// What String.TrimStart takes off, as far as it survives the table above.
static const struct range blank[] = {{'\t', '\t'}, {' ', ' '}, {0xa0, 0xa0}, {0x1680, 0x1680},
    {0x2000, 0x200a}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};

static bool
is_within(uint32_t point, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

// Decodes one code point; REPLACEMENT and one byte for what is not UTF-8.
static uint32_t
decode(struct str text, size_t *len)
{
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    size_t size = bytes[0] < 0x80 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
    *len = 1;
    if (size > text.len || !str_is_utf8((struct str){text.ptr, size})) {
        return REPLACEMENT;
    }
    uint32_t point = bytes[0] & first_bits[size];
    for (size_t i = 1; i < size; i++) {
        point = point << 6 | (bytes[i] & 0x3fU);
    }
    *len = size;
    return point;
}

// Bytes of a CSI sequence's parameters and final byte (ECMA-48 §5.4); what does not belong stays.
static size_t
control_sequence_length(struct str text)
{
    size_t at = 0;
    while (at < text.len && text.ptr[at] >= 0x20 && text.ptr[at] <= 0x3f) {
        at++;
    }
    bool final = at < text.len && text.ptr[at] >= 0x40 && text.ptr[at] <= 0x7e;
    return final ? at + 1 : at;
}

// Bytes of an OSC, DCS, SOS, PM or APC string up to and with its end (BEL, ST), or all of the line.
static size_t
control_string_length(struct str text)
{
    for (size_t at = 0; at < text.len; at++) {
        if (text.ptr[at] == '\a') {
            return at + 1;
        }
        bool pair = at + 1 < text.len;
        if (pair && text.ptr[at] == ESCAPE && text.ptr[at + 1] == '\\') {
            return at + 2;
        }
        if (pair && (unsigned char)text.ptr[at] == 0xc2 &&
            (unsigned char)text.ptr[at + 1] == 0x9c) {
            return at + 2;
        }
    }
    return text.len;
}

// Length of the escape sequence that starts with the control `point` of `len` bytes.
static size_t
escape_length(uint32_t point, size_t len, struct str text)
{
    uint32_t kind = point;
    if (point == ESCAPE) {
        if (text.len < 2 || (unsigned char)text.ptr[1] < 0x20 ||
            (unsigned char)text.ptr[1] > 0x7e) {
            return 1;
        }
        kind = (uint32_t)text.ptr[1] + 0x40; // ESC Fe is the 7-bit spelling of a C1 control
        len = 2;
    }
    struct str rest = str_skip(text, len);
    switch (kind) {
    case 0x9b: // CSI
        return len + control_sequence_length(rest);
    case 0x90: // DCS
    case 0x98: // SOS
    case 0x9d: // OSC
    case 0x9e: // PM
    case 0x9f: // APC
        return len + control_string_length(rest);
    default:
        return len;
    }
}

static void
strip(struct str line, struct buf *out)
{
    while (line.len > 0) {
        size_t len = 1;
        uint32_t point = decode(line, &len);
        if (point == ESCAPE || (point >= 0x80 && point <= 0x9f)) {
            len = escape_length(point, len, line);
        } else if (point == REPLACEMENT) {
            buf_puts(out, "\xef\xbf\xbd");
        } else if (!is_within(point, hidden, ARRAY_LENGTH(hidden))) {
            buf_append(out, line.ptr, len);
        }
        line = str_skip(line, len);
    }
}

// "2026-11-21T07:48:00.1234567Z " and what was logged: GitHub stamps every line of a log.
static struct str
without_timestamp(struct str line)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    struct str rest = str_starts(line, STR("\xef\xbb\xbf")) ? str_skip(line, 3) : line;
    if (rest.len <= sizeof(shape)) {
        return line;
    }
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        bool digit = rest.ptr[i] >= '0' && rest.ptr[i] <= '9';
        if (shape[i] == 'd' ? !digit : rest.ptr[i] != shape[i]) {
            return line;
        }
    }
    rest = str_skip(rest, sizeof(shape) - 1);
    if (rest.ptr[0] == '.') {
        do {
            rest = str_skip(rest, 1);
        } while (rest.len > 0 && rest.ptr[0] >= '0' && rest.ptr[0] <= '9');
    }
    if (str_equal(rest, STR("Z"))) {
        return str_skip(rest, 1);
    }
    return str_starts(rest, STR("Z ")) ? str_skip(rest, 2) : line;
}

// Puts the blank in that keeps the runner from seeing a command.
static void
defuse(struct str line, struct buf *out)
{
    size_t len = 1;
    while (line.len > 0 && is_within(decode(line, &len), blank, ARRAY_LENGTH(blank))) {
        buf_append(out, line.ptr, len);
        line = str_skip(line, len);
    }
    if (str_starts(line, STR("::"))) {
        buf_puts(out, ": :");
        line = str_skip(line, 2);
    }
    while (line.len > 0) {
        if (str_starts(line, STR("##["))) {
            buf_puts(out, "## [");
            line = str_skip(line, 3);
            continue;
        }
        buf_putc(out, line.ptr[0]);
        line = str_skip(line, 1);
    }
}

// At most LINE_MAX_BYTES, never through a code point.
static struct str
cut(struct str line, bool *shortened)
{
    *shortened = line.len > LINE_MAX_BYTES;
    if (*shortened) {
        line.len = LINE_MAX_BYTES;
        while (line.len > 0 && ((unsigned char)line.ptr[line.len] & 0xc0) == 0x80) {
            line.len--;
        }
    }
    return line;
}

static void
sanitize_line(struct str line, struct buf *out)
{
    // Worst cases: every byte is bad and becomes the three of U+FFFD; every third gets a blank.
    struct buf clean CLEANUP(buf_done) = BUF_INIT(3 * line.len + 1);
    strip(line, &clean);
    struct buf safe CLEANUP(buf_done) = BUF_INIT(2 * clean.len + 1);
    defuse(buf_str(&clean), &safe);
    bool shortened = false;
    buf_add(out, cut(buf_str(&safe), &shortened));
    if (shortened) {
        buf_puts(out, "…");
    }
}

void
log_sanitize_line(struct str line, struct buf *out)
{
    sanitize_line(without_timestamp(line), out);
}

// Length of the line end at the start of `text`, 0 when there is none (CR LF counts as one).
static size_t
line_end_length(struct str text)
{
    if (text.ptr[0] == '\n') {
        return 1;
    }
    if (text.ptr[0] == '\r') {
        return str_starts(text, STR("\r\n")) ? 2 : 1;
    }
    if (str_starts(text, STR("\xc2\x85"))) {
        return 2;
    }
    bool separator = str_starts(text, STR("\xe2\x80\xa8")) || str_starts(text, STR("\xe2\x80\xa9"));
    return separator ? 3 : 0;
}

// The first line of `text`, and what follows its end.
static struct str
take_line(struct str *text)
{
    size_t at = 0, end = 0;
    while (at < text->len && end == 0) {
        end = line_end_length(str_skip(*text, at));
        at += end == 0 ? 1 : 0;
    }
    struct str line = {text->ptr, at};
    *text = str_skip(*text, at + end);
    return line;
}

void
log_sanitize(struct str text, struct buf *out)
{
    while (text.len > 0) {
        log_sanitize_line(take_line(&text), out);
        buf_putc(out, '\n');
    }
}

void
log_sanitize_text(struct str text, struct buf *out)
{
    for (size_t lines = 0; text.len > 0; lines++) {
        if (lines > 0) {
            buf_putc(out, '\n');
        }
        sanitize_line(take_line(&text), out);
    }
}
