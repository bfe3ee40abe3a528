// Text that nobody trusts for Slack: whatever comes in, what goes out mentions nobody, links
// nowhere but where it was told to, ends no code block, holds no control, and keeps to its length.
// The first byte is the length.
#include "dispatcher/slack.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { OUT_MAX = 64 * 1024 };

static const char url[] = "https://a.example/?b=1&c";
static const char link_start[] = "<https://a.example/?b=1&amp;c";

static size_t
units_of(struct str text)
{
    size_t units = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        units += ((byte & 0xc0) != 0x80 ? 1U : 0U) + (byte >= 0xf0 ? 1U : 0U);
    }
    return units;
}

// What holds for all: valid UTF-8, its length, no control but line ends, nothing hidden.
static void
check_text(struct str text, size_t max)
{
    static const char *const hidden[] = {
        "\xe2\x80\x8b", "\xe2\x80\xae", "\xe2\x81\xa6", "\xef\xbb\xbf", "\xe2\x80\x8f", "\xc2\xad"};
    FUZZ_CHECK(str_is_utf8(text));
    FUZZ_CHECK(units_of(text) <= max);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        FUZZ_CHECK((byte >= 0x20 && byte != 0x7f) || byte == '\n');
        FUZZ_CHECK(byte != 0xc2 || (unsigned char)text.ptr[i + 1] >= 0xa0); // no C1 control
    }
    for (size_t i = 0; i < ARRAY_LENGTH(hidden); i++) {
        FUZZ_CHECK(!str_contains(text, str_of(hidden[i])));
    }
}

static void
check_escaped(struct str text)
{
    FUZZ_CHECK(!str_contains(text, STR("<")) && !str_contains(text, STR(">")));
    FUZZ_CHECK(!str_contains(text, STR("`")) && !str_contains(text, STR("```")));
    for (size_t i = 0; i < text.len; i++) {
        struct str rest = str_skip(text, i);
        FUZZ_CHECK(text.ptr[i] != '&' || str_starts(rest, STR("&amp;")) ||
                   str_starts(rest, STR("&lt;")) || str_starts(rest, STR("&gt;")));
    }
}

static void
try_link(const char *text, size_t max, struct buf *out)
{
    buf_reset(out);
    slack_link(url, text, max, out);
    FUZZ_CHECK(!out->failed && str_starts(buf_str(out), str_of(link_start)));
    struct str rest = str_skip(buf_str(out), sizeof(link_start) - 1);
    FUZZ_CHECK(str_ends(rest, STR(">")));
    FUZZ_CHECK(rest.len == 1 || rest.ptr[0] == '|');
    struct str label = str_skip(rest, rest.len == 1 ? 0 : 1);
    label.len--;
    check_text(label, max);
    check_escaped(label);
    FUZZ_CHECK(!str_contains(label, STR("\n")));
}

// The text as the URL: either it stands in a link of its own, or only the label comes out.
static void
try_url(const char *text, struct buf *out)
{
    buf_reset(out);
    slack_link(text, "label", 5, out);
    struct str link = buf_str(out);
    if (str_equal(link, STR("label"))) {
        return;
    }
    FUZZ_CHECK(str_starts(link, STR("<")) && str_ends(link, STR("|label>")));
    struct str target = str_skip(link, 1);
    target.len -= sizeof("|label>") - 1;
    check_text(target, SLACK_URL_MAX);
    check_escaped(target);
    FUZZ_CHECK(!str_contains(target, STR("|")));
    FUZZ_CHECK(str_equal_nocase((struct str){target.ptr, 4}, STR("http")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t max = data[0];
    char *text CLEANUP(xfreep) = fuzz_text(data + 1, size - 1);
    struct buf out CLEANUP(buf_done) = BUF_INIT(OUT_MAX);
    slack_escape(text, max, &out);
    FUZZ_CHECK(!out.failed);
    check_text(buf_str(&out), max);
    check_escaped(buf_str(&out));
    FUZZ_CHECK(!str_contains(buf_str(&out), STR("@here")));
    buf_reset(&out);
    slack_preformatted(text, max, &out);
    check_text(buf_str(&out), max);
    check_escaped(buf_str(&out));
    buf_reset(&out);
    slack_plain(text, max, &out);
    check_text(buf_str(&out), max);
    FUZZ_CHECK(!str_contains(buf_str(&out), STR("\n")));
    try_link(text, max, &out);
    try_url(text, &out);
    return 0;
}
