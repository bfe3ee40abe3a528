// Foreign text made fit for GitHub-flavoured Markdown: summaries, check runs, comments. A commit
// subject or a log line must not become markup (protocols.md T47). Lays nothing out.
#include <string.h>

#include "dispatcher/name.h"
#include "dispatcher/text.h"
#include "report_internal.h"

enum {
    CHARACTER_MAX = 4, // bytes
    VALUE_MAX = 128,
};

static bool
is_word(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

// What begins a heading, a list or a quotation does so at the start of a line only.
static bool
begins_block(struct str before, char byte, char next)
{
    before = str_trim(before); // three blanks change nothing
    if (before.len == 0) {
        return strchr("#+->", byte) != NULL;
    }
    for (size_t i = 0; i < before.len; i++) {
        if (before.ptr[i] < '0' || before.ptr[i] > '9') {
            return false;
        }
    }
    return (byte == '.' || byte == ')') && (next == ' ' || next == '\0'); // "1. one"
}

// A backslash only where Markdown would act upon the sign: one in the middle of an address would
// become part of the link that GitHub makes of it.
static bool
is_markup(struct str before, char byte, char next)
{
    if (byte == '_') { // within a word it is nothing
        return before.len == 0 || !is_word(before.ptr[before.len - 1]) || !is_word(next);
    }
    return strchr("\\`*[]|~", byte) != NULL || begins_block(before, byte, next);
}

// GitHub looks for mentions of people and of issues in what has been rendered: neither a backslash
// nor an entity hides them, a blank without width in between does.
static void
put_byte(struct str before, char byte, char next, struct buf *out)
{
    if (byte == '<') {
        buf_puts(out, "&lt;");
        return;
    }
    if (byte == '&') {
        buf_puts(out, "&amp;");
        return;
    }
    buf_puts(out, is_markup(before, byte, next) ? "\\" : "");
    buf_putc(out, byte);
    if (byte == '@' || (byte == '#' && next >= '0' && next <= '9')) {
        buf_puts(out, "&#8203;");
    }
}

void
report_markdown_escape(const char *text, size_t max, struct buf *out)
{
    struct buf clean CLEANUP(buf_wipe) = BUF_INIT((max + 1) * CHARACTER_MAX);
    text_clean(str_of(text), clean.max, &clean);
    struct str whole = buf_str(&clean);
    size_t count = 0;
    for (size_t i = 0; i < whole.len; i++) {
        bool begins = ((unsigned char)whole.ptr[i] & 0xc0) != 0x80;
        if (begins && count++ == max) {
            buf_puts(out, "…");
            return;
        }
        char next = i + 1 < whole.len ? whole.ptr[i + 1] : '\0';
        put_byte((struct str){whole.ptr, i}, whole.ptr[i], next, out);
    }
}

// What could end it or the cell is percent-encoded.
void
report_markdown_url(const char *url, struct buf *out)
{
    for (const char *at = url; *at != '\0'; at++) {
        bool plain = (unsigned char)*at > ' ' && (unsigned char)*at < 0x7f;
        if (!plain || strchr("()<>[]|`\"'\\", *at) != NULL) {
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)*at);
        } else {
            buf_putc(out, *at);
        }
    }
}

// A parameter's value is anybody's: only what cannot end a code span stands in one.
void
report_markdown_value(const char *text, struct buf *out)
{
    if (text == NULL) {
        buf_puts(out, "nothing");
    } else if (tag_is_valid(str_of(text)) || digest_is_valid(str_of(text))) {
        buf_printf(out, "`%s`", text);
    } else {
        report_markdown_escape(text, VALUE_MAX, out);
    }
}

void
report_markdown_commit(const struct deployment *d, const char *sha, int shown, struct buf *out)
{
    if (d->repository == NULL || d->github_web == NULL) {
        buf_printf(out, "`%.*s`", shown, sha);
        return;
    }
    buf_printf(out, "[`%.*s`](", shown, sha);
    report_markdown_url(d->github_web, out);
    buf_putc(out, '/');
    report_markdown_url(d->repository, out);
    buf_printf(out, "/commit/%s)", sha);
}
