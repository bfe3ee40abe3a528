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

// Backslash before what Markdown or HTML would act upon. GitHub looks for mentions of people and of
// issues in what has been rendered: neither a backslash nor an entity hides them, a blank without
// width in between does.
static void
put_byte(char byte, char next, struct buf *out)
{
    switch (byte) {
    case '<':
        buf_puts(out, "&lt;");
        return;
    case '&':
        buf_puts(out, "&amp;");
        return;
    case '@':
        buf_puts(out, "@&#8203;");
        return;
    case '#':
        buf_puts(out, next >= '0' && next <= '9' ? "\\#&#8203;" : "\\#");
        return;
    default:
        break;
    }
    if (strchr("\\`*_{}[]()+-!|>~", byte) != NULL) {
        buf_putc(out, '\\');
    }
    buf_putc(out, byte);
}

void
report_markdown_escape(const char *text, size_t max, struct buf *out)
{
    struct buf clean CLEANUP(buf_wipe) = BUF_INIT((max + 1) * CHARACTER_MAX);
    text_clean(str_of(text), clean.max, &clean);
    size_t count = 0;
    for (const char *at = buf_cstr(&clean); *at != '\0'; at++) {
        bool begins = ((unsigned char)*at & 0xc0) != 0x80;
        if (begins && count++ == max) {
            buf_puts(out, "…");
            return;
        }
        put_byte(*at, at[1], out);
    }
}

// What could end it or the cell is percent-encoded.
void
report_markdown_url(const char *url, struct buf *out)
{
    for (const char *at = url; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || strchr("()<>[]|`\"'\\", *at) != NULL) {
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
    } else if (tag_is_valid(str_of(text))) {
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
