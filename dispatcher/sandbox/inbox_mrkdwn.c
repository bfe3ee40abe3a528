// Slack's mrkdwn as HTML, about as Slack shows it. The text is nobody's we trust: every byte of it
// is escaped, tags come from here alone, and an address becomes a link only when it is http(s).
#include <string.h>

#include "dispatcher/compiler.h"
#include "inbox_internal.h"

enum { SPAN_MAX = 3000, EMOJI_MAX = 40 };

static void
put_byte(struct buf *out, char byte)
{
    static const struct {
        char byte;
        const char *text;
    } special[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (size_t i = 0; i < ARRAY_LENGTH(special); i++) {
        if (special[i].byte == byte) {
            buf_puts(out, special[i].text);
            return;
        }
    }
    if ((unsigned char)byte >= 0x20 || byte == '\n' || byte == '\t') { // no other controls
        buf_putc(out, byte);
    }
}

void
sandbox_inbox_escape(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        put_byte(out, text.ptr[i]);
    }
}

// Length of one of Slack's three entities at the start, or 0.
static size_t
entity_length(struct str text)
{
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;"};
    for (size_t i = 0; i < ARRAY_LENGTH(entities); i++) {
        if (str_starts(text, str_of(entities[i]))) {
            return strlen(entities[i]);
        }
    }
    return 0;
}

// Text that is not formatted: entities are kept, all else is escaped.
static void
put_text(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        size_t entity = entity_length(str_skip(text, i));
        if (entity > 0) {
            buf_append(out, text.ptr + i, entity);
            i += entity - 1;
        } else {
            put_byte(out, text.ptr[i]);
        }
    }
}

// Where `needle` begins, at most `max` bytes on; text.len when it is not there.
static size_t
find(struct str text, struct str needle, size_t max)
{
    size_t end = text.len < max ? text.len : max;
    for (size_t i = 0; i < end; i++) {
        const char *at = memchr(text.ptr + i, needle.ptr[0], end - i);
        if (at == NULL) {
            break;
        }
        i = (size_t)(at - text.ptr);
        if (str_starts(str_skip(text, i), needle)) {
            return i;
        }
    }
    return text.len;
}

// Letters and digits; what is not ASCII counts as one, so that it never opens a format.
static bool
is_word(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || (unsigned char)byte >= 0x80;
}

static void render(struct str text, struct buf *out);

// --- what stands between delimiters; each returns how much it took, 0 for nothing
// -----------------

static size_t
put_block(struct str text, struct buf *out)
{
    if (!str_starts(text, STR("```"))) {
        return 0;
    }
    size_t end = find(str_skip(text, 3), STR("```"), text.len);
    if (end == text.len - 3 || end == 0) {
        return 0;
    }
    struct str inside = {text.ptr + 3, end};
    buf_puts(out, "<pre>");
    put_text(str_starts(inside, STR("\n")) ? str_skip(inside, 1) : inside, out);
    buf_puts(out, "</pre>");
    size_t took = end + 6;
    return took < text.len && text.ptr[took] == '\n' ? took + 1 : took;
}

static size_t
put_code(struct str text, struct buf *out)
{
    struct str rest = str_skip(text, 1);
    size_t end = find(rest, STR("`"), SPAN_MAX), line = find(rest, STR("\n"), SPAN_MAX);
    if (text.ptr[0] != '`' || end == 0 || end == rest.len || line < end) {
        return 0;
    }
    buf_puts(out, "<code>");
    put_text((struct str){rest.ptr, end}, out);
    buf_puts(out, "</code>");
    return end + 2;
}

static void
put_mention(const char *sign, struct str name, struct buf *out)
{
    buf_printf(out, "<span class=\"mention\">%s", sign);
    put_text(name, out);
    buf_puts(out, "</span>");
}

// "<https://…|text>", "<@U…>", "<#C…|name>", "<!here>", "<!date^…|fallback>".
static size_t
put_angle(struct str text, struct buf *out)
{
    size_t end = find(text, STR(">"), SPAN_MAX + SPAN_MAX);
    struct str target = {0}, label = {0};
    if (text.ptr[0] != '<' || end == text.len || end < 2) {
        return 0;
    }
    (void)str_cut((struct str){text.ptr + 1, end - 1}, '|', &target, &label);
    if (str_starts(target, STR("https://")) || str_starts(target, STR("http://"))) {
        buf_puts(out, "<a rel=\"noreferrer noopener\" href=\"");
        put_text(target, out);
        buf_puts(out, "\">");
        put_text(label.len > 0 ? label : target, out);
        buf_puts(out, "</a>");
    } else if (str_starts(target, STR("@"))) {
        put_mention("@", label.len > 0 ? label : str_skip(target, 1), out);
    } else if (str_starts(target, STR("#"))) {
        put_mention("#", label.len > 0 ? label : str_skip(target, 1), out);
    } else if (str_starts(target, STR("!"))) {
        put_mention(label.len > 0 ? "" : "@", label.len > 0 ? label : str_skip(target, 1), out);
    } else {
        return 0;
    }
    return end + 1;
}

static const struct {
    char sign;
    const char *tag;
} formats[] = {{'*', "b"}, {'_', "i"}, {'~', "s"}};

// Length of "*some text*" at the start, in one line, at the edges of words and without the sign
// inside; 0 when it is none.
static size_t
format_length(struct str text, char before)
{
    struct str sign = {text.ptr, 1}, rest = str_skip(text, 1);
    size_t end = find(rest, sign, SPAN_MAX);
    if (is_word(before) || end == rest.len || end == 0 || rest.ptr[0] == ' ' ||
        rest.ptr[end - 1] == ' ' || memchr(rest.ptr, '\n', end) != NULL) {
        return 0;
    }
    return end + 1 == rest.len || !is_word(rest.ptr[end + 1]) ? end + 2 : 0;
}

static size_t
put_format(struct str text, char before, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        size_t length = formats[i].sign == text.ptr[0] ? format_length(text, before) : 0;
        if (length > 0) {
            buf_printf(out, "<%s>", formats[i].tag);
            render((struct str){text.ptr + 1, length - 2}, out);
            buf_printf(out, "</%s>", formats[i].tag);
            return length;
        }
    }
    return 0;
}

static size_t
put_emoji(struct str text, struct buf *out)
{
    static const char *const known[][2] = {{"rocket", "\U0001f680"}, {"white_check_mark", "\u2705"},
        {"x", "\u274c"}, {"warning", "\u26a0\ufe0f"}, {"hourglass_flowing_sand", "\u23f3"},
        {"hourglass", "\u231b"}, {"rewind", "\u23ea"}, {"rotating_light", "\U0001f6a8"},
        {"question", "\u2753"}, {"octagonal_sign", "\U0001f6d1"}, {"no_entry", "\u26d4"},
        {"package", "\U0001f4e6"}, {"arrows_counterclockwise", "\U0001f504"},
        {"large_green_circle", "\U0001f7e2"}, {"red_circle", "\U0001f534"}, {"tada", "\U0001f389"},
        {"leftwards_arrow_with_hook", "\u21a9\ufe0f"}, {"eyes", "\U0001f440"}};
    struct str rest = str_skip(text, 1);
    size_t end = find(rest, STR(":"), EMOJI_MAX);
    for (size_t i = 0; text.ptr[0] == ':' && end < rest.len && i < ARRAY_LENGTH(known); i++) {
        if (str_equal((struct str){rest.ptr, end}, str_of(known[i][0]))) {
            buf_puts(out, known[i][1]);
            return end + 2;
        }
    }
    return 0;
}

// "> text" to the end of its line.
static size_t
put_quote(struct str text, struct buf *out)
{
    size_t sign = str_starts(text, STR("&gt;")) ? 4 : str_starts(text, STR(">")) ? 1 : 0;
    if (sign == 0) {
        return 0;
    }
    size_t end = find(text, STR("\n"), text.len);
    struct str inside = {text.ptr + sign, end - sign};
    buf_puts(out, "<blockquote>");
    render(str_starts(inside, STR(" ")) ? str_skip(inside, 1) : inside, out);
    buf_puts(out, "</blockquote>");
    return end < text.len ? end + 1 : end;
}

// --- all of it
// ------------------------------------------------------------------------------------

static size_t
put_special(struct str text, char before, struct buf *out)
{
    size_t took = before == '\n' ? put_quote(text, out) : 0;
    took = took > 0 ? took : put_block(text, out);
    took = took > 0 ? took : put_code(text, out);
    took = took > 0 ? took : put_angle(text, out);
    took = took > 0 ? took : put_format(text, before, out);
    return took > 0 ? took : put_emoji(text, out);
}

static void
render(struct str text, struct buf *out)
{
    char before = ' ';
    for (size_t i = 0; i < text.len;) {
        struct str rest = str_skip(text, i);
        size_t took = put_special(rest, before, out);
        if (took == 0 && rest.ptr[0] == '\n') {
            buf_puts(out, "<br>");
            took = 1;
        }
        if (took == 0) {
            size_t entity = entity_length(rest);
            took = entity > 0 ? entity : 1;
            put_text((struct str){rest.ptr, took}, out);
        }
        i += took;
        before = text.ptr[i - 1];
    }
}

void
sandbox_inbox_mrkdwn(const char *text, struct buf *out)
{
    struct str all = str_of(text);
    size_t quote = put_quote(all, out); // the first line has no line before it
    render(str_skip(all, quote), out);
}

void
sandbox_inbox_plain(const char *text, bool has_emoji, struct buf *out)
{
    struct str all = str_of(text);
    for (size_t i = 0; i < all.len;) {
        size_t took = has_emoji ? put_emoji(str_skip(all, i), out) : 0;
        if (took == 0) {
            put_byte(out, all.ptr[i]);
            took = 1;
        }
        i += took;
    }
}
