// Writing HTML: the one escape for text and values, the one judge of addresses. Everything foreign
// goes through here; markup comes from the formats in this room alone. Lays nothing out.
#include <inttypes.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "web_internal.h"

static const char replacement[] = "\xef\xbf\xbd"; // U+FFFD

static const char *
entity_of(unsigned char byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default: // line ends and tabs are fine within text; other controls are not allowed in HTML
        return (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f ? replacement : NULL;
    }
}

// Length of the character at the start of `text`, 0 when it is not UTF-8.
static size_t
character_at(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    size_t wanted = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    size_t there = strnlen(text, wanted);
    return there == wanted && str_is_utf8((struct str){text, wanted}) ? wanted : 0;
}

// C1 controls, which some readers obey, and what turns the direction of the line around.
static bool
is_invisible(const char *text, size_t len)
{
    unsigned char second = (unsigned char)text[1];
    if (len == 2) {
        return (unsigned char)text[0] == 0xc2 && second < 0xa0;
    }
    unsigned char third = (unsigned char)text[2];
    return len == 3 && (unsigned char)text[0] == 0xe2 &&
           ((second == 0x80 && third >= 0xaa && third <= 0xae) ||
               (second == 0x81 && third >= 0xa6 && third <= 0xa9));
}

static size_t
add_character(struct buf *out, const char *text)
{
    size_t len = character_at(text);
    if (len == 0 || is_invisible(text, len)) {
        buf_puts(out, replacement);
        return len == 0 ? 1 : len;
    }
    buf_append(out, text, len);
    return len;
}

void
html_text(struct buf *out, const char *text)
{
    if (text == NULL) {
        return;
    }
    const char *run = text; // what needs no change goes in one piece
    const char *at = text;
    while (*at != '\0') {
        unsigned char byte = (unsigned char)*at;
        const char *entity = entity_of(byte);
        if (entity == NULL && byte < 0x80) {
            at++;
            continue;
        }
        buf_append(out, run, (size_t)(at - run));
        if (entity != NULL) {
            buf_puts(out, entity);
            at++;
        } else {
            at += add_character(out, at);
        }
        run = at;
    }
    buf_append(out, run, (size_t)(at - run));
}

static void
add_segment(struct buf *out, const char *text)
{
    if (text != NULL) {
        url_encode(str_of(text), "", out);
    }
}

// One conversion of `format`, whose '%' was passed; returns what follows it.
static const char *
convert(struct buf *out, const char *format, va_list *args,
    void (*add)(struct buf *out, const char *text))
{
    if (*format == '%') {
        buf_putc(out, '%');
        return format + 1;
    }
    if (*format == 's') {
        add(out, va_arg(*args, const char *));
        return format + 1;
    }
    if (*format == 'd') {
        buf_printf(out, "%d", va_arg(*args, int));
        return format + 1;
    }
    if (strncmp(format, "zu", 2) == 0) {
        buf_printf(out, "%zu", va_arg(*args, size_t));
        return format + 2;
    }
    BUG_ON(strncmp(format, PRId64, sizeof(PRId64) - 1) != 0); // formats are ours
    buf_printf(out, "%" PRId64, va_arg(*args, int64_t));
    return format + sizeof(PRId64) - 1;
}

static void
add_format(struct buf *out, const char *format, va_list *args,
    void (*add)(struct buf *out, const char *text))
{
    while (*format != '\0') {
        size_t plain = strcspn(format, "%");
        buf_append(out, format, plain);
        format += plain;
        if (*format == '%') {
            format = convert(out, format + 1, args, add);
        }
    }
}

void
html_add(struct buf *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_format(out, format, &args, html_text);
    va_end(args);
}

void
html_path(struct buf *out, const char *name, const char *format, ...)
{
    buf_printf(out, " %s=\"", name);
    va_list args;
    va_start(args, format);
    add_format(out, format, &args, add_segment);
    va_end(args);
    buf_putc(out, '"');
}

static bool
has_only_address_bytes(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte <= 0x20 || byte >= 0x7f || strchr("\"'<>\\^`{|}", byte) != NULL) {
            return false;
        }
    }
    return true;
}

bool
web_is_own_path(const char *text)
{
    return text != NULL && text[0] == '/' && text[1] != '/' && has_only_address_bytes(text);
}

static bool
is_https(const char *url)
{
    if (!str_starts(str_of(url), STR("https://")) || !has_only_address_bytes(url)) {
        return false;
    }
    struct url parsed CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(url, &parsed);
    return err == NULL && !parsed.has_user;
}

bool
html_is_link(const char *url)
{
    return url != NULL && (web_is_own_path(url) || is_https(url));
}

bool
html_url(struct buf *out, const char *name, const char *url)
{
    if (!html_is_link(url)) {
        return false;
    }
    html_add(out, " %s=\"%s\"", name, url);
    return true;
}

void
html_link(struct buf *out, const char *url, const char *text)
{
    size_t start = out->len;
    buf_puts(out, "<a");
    if (html_url(out, "href", url)) {
        html_add(out, " rel=\"noopener noreferrer\">%s</a>", text);
    } else {
        buf_cut(out, start);
        html_text(out, text);
    }
}
