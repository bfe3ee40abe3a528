// The little picture that a README shows: an environment and what runs there. SVG, since it needs
// no font of ours and no more than a few hundred bytes.
#include <inttypes.h>
#include <string.h>

#include "dispatcher/text.h"
#include "web_internal.h"

enum {
    DIGIT_WIDTH = 7, // of DejaVu Sans at 11 px, about: textLength makes it exact
    PADDING = 6,
    SHOWN_MAX = 40,
    SHOWN_BYTES = 4 * SHOWN_MAX,
    WORD_BYTES = 32,
};

static void
put_part(struct buf *out, int64_t at, int64_t width, const char *text)
{
    html_add(out, "<text x=\"%" PRId64 "\" y=\"14\" textLength=\"%" PRId64 "\">%s</text>",
        at + PADDING, width - 2 * PADDING, text);
}

// A commit by its first digits, anything else as it is.
static void
put_version(const char *text, struct buf *out)
{
    struct buf whole CLEANUP(buf_done) = BUF_INIT(SHOWN_BYTES);
    text_clean(str_of(text), SHOWN_MAX, &whole);
    bool sha = whole.len == 40 && strspn(buf_cstr(&whole), "0123456789abcdef") == whole.len;
    buf_append(out, buf_cstr(&whole), sha ? PART_VERSION_DIGITS : whole.len);
}

void
web_badge(const char *label, const char *text, enum web_state state, struct buf *out)
{
    static const char *const colours[] = {
        [WEB_STATE_GOOD] = "#1a7f4b",
        [WEB_STATE_RUNNING] = "#2456c9",
        [WEB_STATE_WAITING] = "#8a5a00",
        [WEB_STATE_FAILED] = "#b3261e",
    };
    static const char *const words[] = {
        // colour alone says nothing to many
        [WEB_STATE_GOOD] = "",
        [WEB_STATE_RUNNING] = ", deploying",
        [WEB_STATE_WAITING] = "",
        [WEB_STATE_FAILED] = ", last deploy failed",
    };
    struct buf left CLEANUP(buf_done) = BUF_INIT(SHOWN_BYTES);
    struct buf right CLEANUP(buf_done) = BUF_INIT(SHOWN_BYTES + WORD_BYTES);
    text_clean(str_of(label), SHOWN_MAX, &left);
    put_version(text, &right);
    buf_puts(&right, words[state]);
    int64_t first = (int64_t)text_width(buf_str(&left)) * DIGIT_WIDTH + 2 * PADDING;
    int64_t second = (int64_t)text_width(buf_str(&right)) * DIGIT_WIDTH + 2 * PADDING;
    html_add(out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%" PRId64
        "\" height=\"20\" role=\"img\" "
        "aria-label=\"%s: %s\"><title>%s: %s</title>",
        first + second, buf_cstr(&left), buf_cstr(&right), buf_cstr(&left), buf_cstr(&right));
    html_add(out,
        "<clipPath id=\"r\"><rect width=\"%" PRId64 "\" height=\"20\" rx=\"4\"/></clipPath>"
        "<g clip-path=\"url(#r)\"><rect width=\"%" PRId64 "\" height=\"20\" fill=\"#3b4047\"/>"
        "<rect x=\"%" PRId64 "\" width=\"%" PRId64 "\" height=\"20\" fill=\"%s\"/></g>",
        first + second, first, first, second, colours[state]);
    buf_puts(
        out, "<g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">");
    put_part(out, 0, first, buf_cstr(&left));
    put_part(out, first, second, buf_cstr(&right));
    buf_puts(out, "</g></svg>");
}
