// Text that nobody trusts (commit messages, logs, names) made fit for Slack: escaped, so that it
// mentions nobody and links nowhere, kept from formatting, cut within limits. What is hidden or
// controls a terminal goes first, and secrets are masked before anything is cut.
//
// Lengths are counted in UTF-16 units of what is sent: whatever Slack counts, it is no more.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/secret.h"
#include "dispatcher/slack.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"

static const struct str ellipsis = {"…", sizeof("…") - 1};

// --- cleaning ------------------------------------------------------------------------------------

// Valid UTF-8, no control but line ends, nothing hidden.
static void
clean_lines(const char *text, struct buf *out)
{
    struct buf masked CLEANUP(buf_wipe) = BUF_INIT(SIZE_MAX / 2);
    buf_puts(&masked, text != NULL ? text : "");
    secret_mask(&masked);
    struct str rest = str_trim(buf_str(&masked)), line = {0};
    for (bool first = true; str_cut(rest, '\n', &line, &rest); first = false) {
        while (str_ends(line, STR("\r"))) {
            line.len--;
        }
        buf_puts(out, first ? "" : "\n");
        text_clean(line, 3 * line.len + ellipsis.len, out); // room for all: nothing is cut yet
    }
}

/// The first character of clean text, as it stands there; text.len > 0.
static struct str
first_character(struct str text)
{
    unsigned char lead = (unsigned char)text.ptr[0];
    size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    return (struct str){text.ptr, len < text.len ? len : text.len};
}

static size_t
units_of(struct str text)
{
    size_t units = 0;
    while (text.len > 0) {
        struct str character = first_character(text);
        units += character.len == 4 ? 2 : 1; // a surrogate pair
        text = str_skip(text, character.len);
    }
    return units;
}

// --- cutting -------------------------------------------------------------------------------------

// Output of at most `max` units; when it would be more, it ends at a word and with "…".
struct cutter {
    struct buf *out;
    size_t start, units, max;
    size_t fits, word; // lengths of `out` that the ellipsis can follow: any, and after a word
    bool full;
};

static void
cutter_end(struct cutter *cutter)
{
    struct buf *out = cutter->out;
    size_t text = cutter->fits - cutter->start, word = cutter->word - cutter->start;
    buf_cut(out, 2 * word >= text ? cutter->word : cutter->fits);
    while (out->len > cutter->start && strchr(" \n", out->ptr[out->len - 1]) != NULL) {
        buf_cut(out, out->len - 1);
    }
    buf_add(out, cutter->max > 0 ? ellipsis : STR(""));
    cutter->full = true;
}

static void
cutter_add(struct cutter *cutter, struct str piece)
{
    size_t units = units_of(piece);
    if (cutter->units + units > cutter->max) {
        cutter_end(cutter);
        return;
    }
    bool blank = str_equal(piece, STR(" ")) || str_equal(piece, STR("\n"));
    cutter->word = blank && cutter->fits == cutter->out->len ? cutter->out->len : cutter->word;
    buf_add(cutter->out, piece);
    cutter->units += units;
    cutter->fits = cutter->units < cutter->max ? cutter->out->len : cutter->fits;
}

static struct cutter
cutter_of(struct buf *out, size_t max)
{
    return (struct cutter){
        .out = out, .start = out->len, .max = max, .fits = out->len, .word = out->len};
}

// --- escaping ------------------------------------------------------------------------------------

static bool
is_word_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

// "@here" and its kin reach everybody even without brackets where a text is not verbatim.
static bool
is_broadcast(struct str rest)
{
    static const char *const names[] = {"@here", "@channel", "@everyone", "@group"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct str name = str_of(names[i]);
        if (rest.len >= name.len && str_equal_nocase((struct str){rest.ptr, name.len}, name)) {
            return true;
        }
    }
    return false;
}

// The three characters that Slack has escapes for.
static struct str
escape_of(char byte)
{
    return byte == '&'   ? STR("&amp;")
           : byte == '<' ? STR("&lt;")
           : byte == '>' ? STR("&gt;")
                         : STR("");
}

// Slack has no escape for what formats; signs that look alike stand in. Within a word they mean
// nothing to it, so that names_like_this stay what they are.
static struct str
look_alike_of(struct str rest, char before)
{
    char after = rest.len > 1 ? rest.ptr[1] : ' ';
    bool inside = is_word_byte(before) && is_word_byte(after);
    switch (rest.ptr[0]) {
    case '*':
        return inside ? STR("") : STR("∗");
    case '_':
        return inside ? STR("") : STR("ˍ");
    case '~':
        return inside ? STR("") : STR("∼");
    case '`':
        return STR("ˋ");
    case '>': // a quotation, at a line's start, even when it is escaped
        return before == '\n' ? STR("›") : STR("");
    case '@':
        return is_broadcast(rest) ? STR("＠") : STR("");
    default:
        return STR("");
    }
}

// Adds clean text until the cutter is full. `before`: as if that stood in front.
static void
add_escaped(struct cutter *cutter, struct str text)
{
    char before = '\n';
    while (text.len > 0 && !cutter->full) {
        struct str character = first_character(text);
        struct str piece = look_alike_of(text, before);
        piece = piece.len > 0 ? piece : escape_of(text.ptr[0]);
        cutter_add(cutter, piece.len > 0 ? piece : character);
        bool indents = before == '\n' && (text.ptr[0] == ' ' || text.ptr[0] == '>');
        before = indents ? '\n' : text.ptr[0];
        text = str_skip(text, character.len);
    }
}

void
slack_escape(const char *text, size_t max, struct buf *out)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(SIZE_MAX / 2);
    struct cutter cutter = cutter_of(out, max);
    clean_lines(text, &clean);
    add_escaped(&cutter, buf_str(&clean));
}

// --- plain text ----------------------------------------------------------------------------------

// ":name:" from here, which Slack would show as a picture?
static bool
is_emoji(struct str rest)
{
    for (size_t i = 1; i < rest.len && rest.ptr[i] != ' '; i++) {
        if (rest.ptr[i] == ':') {
            return i > 1;
        }
    }
    return false;
}

static void
one_line(const char *text, struct buf *out)
{
    clean_lines(text, out);
    for (size_t i = 0; i < out->len; i++) {
        out->ptr[i] = out->ptr[i] == '\n' ? ' ' : out->ptr[i];
    }
}

void
slack_plain(const char *text, size_t max, struct buf *out)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(SIZE_MAX / 2);
    struct cutter cutter = cutter_of(out, max);
    one_line(text, &clean);
    struct str rest = buf_str(&clean);
    while (rest.len > 0 && !cutter.full) {
        struct str character = first_character(rest);
        bool emoji = rest.ptr[0] == ':' && is_emoji(rest);
        cutter_add(&cutter, emoji ? STR("∶") : character);
        rest = str_skip(rest, character.len);
    }
}

// --- logs ----------------------------------------------------------------------------------------

// Escaped for the inside of a ``` block: no backtick is left that could end it.
static void
escape_block(struct str text, struct buf *out)
{
    while (text.len > 0) {
        struct str character = first_character(text);
        struct str piece = text.ptr[0] == '`' ? STR("ˋ") : escape_of(text.ptr[0]);
        buf_add(out, piece.len > 0 ? piece : character);
        text = str_skip(text, character.len);
    }
}

// An escape counts as one piece.
static struct str
first_piece(struct str text)
{
    struct str piece = first_character(text);
    if (piece.ptr[0] == '&') {
        struct str entity = {0}, rest = {0};
        (void)str_cut(text, ';', &entity, &rest);
        piece.len = entity.len + 1;
    }
    return piece;
}

// The longest end of `text` that starts at a line and has at most `max` units; empty when even the
// last line is longer.
static struct str
last_lines(struct str text, size_t max)
{
    size_t units = units_of(text);
    struct str line = {0};
    while (units > max && str_cut(text, '\n', &line, &text)) {
        units -= units_of(line) + (text.len > 0 ? 1 : 0);
    }
    return text;
}

static struct str
last_pieces(struct str text, size_t max)
{
    size_t units = units_of(text);
    while (units > max) {
        struct str piece = first_piece(text);
        units -= units_of(piece);
        text = str_skip(text, piece.len);
    }
    return text;
}

void
slack_preformatted(const char *text, size_t max, struct buf *out)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(SIZE_MAX / 2);
    struct buf whole CLEANUP(buf_done) = BUF_INIT(SIZE_MAX / 2);
    clean_lines(text, &clean);
    escape_block(buf_str(&clean), &whole);
    if (units_of(buf_str(&whole)) <= max) {
        buf_add(out, buf_str(&whole));
        return;
    }
    if (max == 0) {
        return;
    }
    struct str tail = max > 2 ? last_lines(buf_str(&whole), max - 2) : STR("");
    buf_add(out, ellipsis);
    buf_puts(out, tail.len > 0 ? "\n" : "");
    buf_add(out, tail.len > 0 ? tail : last_pieces(buf_str(&whole), max - 1));
}

// --- links ---------------------------------------------------------------------------------------

// The URL as it stands in "<…|text>"; false when it cannot.
static bool
escape_url(const char *text, struct buf *out)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(text, &url);
    if (err != NULL || url.has_user) {
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        struct str piece = escape_of(*at); // url_parse lets no bracket and no '|' pass
        buf_add(out, piece.len > 0 ? piece : (struct str){at, 1});
    }
    return !out->failed;
}

void
slack_link(const char *url, const char *text, size_t max, struct buf *out)
{
    struct buf target CLEANUP(buf_done) = BUF_INIT(SLACK_URL_MAX);
    struct buf label CLEANUP(buf_done) = BUF_INIT(SIZE_MAX / 2);
    struct cutter cutter = cutter_of(out, max);
    bool linked = escape_url(url, &target);
    one_line(text, &label);
    if (!linked) {
        add_escaped(&cutter, buf_str(&label));
        return;
    }
    buf_putc(out, '<');
    buf_add(out, buf_str(&target));
    buf_puts(out, label.len > 0 ? "|" : "");
    cutter = cutter_of(out, max);
    add_escaped(&cutter, buf_str(&label));
    buf_putc(out, '>');
}
