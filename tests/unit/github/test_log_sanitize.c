// The sanitizer against a port of the runner's own parser (actions/runner ActionCommand.cs).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/log_sanitize.h"

// --- the oracle ----------------------------------------------------------------------------------

// Any name counts as registered: `stop-commands` registers a token of the script's choice.
static bool
has_name(struct str info)
{
    return info.len > 0 && info.ptr[0] != ' ';
}

// String.TrimStart: char.IsWhiteSpace, spelled as UTF-8.
static struct str
trim_start(struct str text)
{
    static const char *const spaces[] = {"\t", "\n", "\v", "\f", "\r", " ", "\xc2\x85", "\xc2\xa0",
        "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83",
        "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
        "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf",
        "\xe2\x81\x9f", "\xe3\x80\x80"};
    for (size_t i = 0; i < ARRAY_LENGTH(spaces); i++) {
        if (str_starts(text, str_of(spaces[i]))) {
            text = str_skip(text, strlen(spaces[i]));
            i = (size_t)-1;
        }
    }
    return text;
}

static const char *
find(struct str text, const char *needle)
{
    for (size_t i = 0; i < text.len; i++) {
        if (str_starts(str_skip(text, i), str_of(needle))) {
            return text.ptr + i;
        }
    }
    return NULL;
}

static bool
try_parse_v2(struct str message)
{
    message = trim_start(message);
    if (!str_starts(message, STR("::"))) {
        return false;
    }
    struct str rest = str_skip(message, 2);
    const char *end = find(rest, "::");
    return end != NULL && has_name((struct str){rest.ptr, (size_t)(end - rest.ptr)});
}

static bool
try_parse(struct str message)
{
    const char *prefix = find(message, "##[");
    if (prefix == NULL) {
        return false;
    }
    struct str rest = str_skip(message, (size_t)(prefix - message.ptr) + 3);
    const char *bracket = find(rest, "]");
    return bracket != NULL && has_name((struct str){rest.ptr, (size_t)(bracket - rest.ptr)});
}

static bool
is_command(struct str line)
{
    return try_parse_v2(line) || try_parse(line);
}

// What a comparison by culture does not see, decided by other means than the code under test: every
// multi-byte code point that is not one of the blanks, and every control, is dropped.
static void
drop_weightless(struct str line, struct buf *out)
{
    while (line.len > 0) {
        struct str trimmed = trim_start(line);
        if (trimmed.len < line.len && (unsigned char)line.ptr[0] >= 0x80) {
            buf_putc(out, ' ');
            line = trimmed;
            continue;
        }
        unsigned char byte = (unsigned char)line.ptr[0];
        if (byte == '\t' || (byte >= 0x20 && byte < 0x7f)) {
            buf_putc(out, (char)byte);
        }
        line = str_skip(line, 1);
    }
}

// Letters without weight only: used on output, where other scripts legitimately stand before `::`.
static bool
holds_weightless(struct str line)
{
    static const char *const samples[] = {"\xc2\xad", "\xd8\x9c", "\xe2\x80\x8b", "\xe2\x80\x8c",
        "\xe2\x80\x8d", "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xaa", "\xe2\x80\xab",
        "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae", "\xe2\x81\xa0", "\xe2\x81\xa6",
        "\xe2\x81\xa7", "\xe2\x81\xa8", "\xe2\x81\xa9", "\xef\xbb\xbf", "\xef\xb8\x8f"};
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        if (find(line, samples[i]) != NULL) {
            return true;
        }
    }
    for (size_t i = 0; i < line.len; i++) {
        unsigned char byte = (unsigned char)line.ptr[i];
        bool c1 = byte == 0xc2 && i + 1 < line.len && (unsigned char)line.ptr[i + 1] < 0xa0;
        if ((byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7f || c1) {
            return true;
        }
    }
    return false;
}

// Every line of the output is no command, whichever way the runner compares.
static void
assert_harmless(struct str text)
{
    assert_true(str_is_utf8(text));
    assert_false(holds_weightless(text));
    struct str line, rest = text;
    while (str_cut(rest, '\n', &line, &rest)) {
        if (is_command(line)) {
            fail_msg("a command came through: '%.*s'", STR_FMT(line));
        }
    }
}

static struct buf
sanitized(struct str text)
{
    struct buf out;
    buf_init(&out, 4 * text.len + 1024);
    log_sanitize(text, &out);
    assert_false(out.failed);
    return out;
}

// --- exact cases
// -----------------------------------------------------------------------------------

// A static initializer, which STR is not.
#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

struct pair_case {
    struct str in;
    const char *out;
};

static void
exact_results(void **state)
{
    (void)state;
    static const struct pair_case cases[] = {
        {TEXT("plain"), "plain\n"},
        {TEXT("plain\n"), "plain\n"},
        {TEXT("a\n\nb"), "a\n\nb\n"},
        {TEXT("::error::x"), ": :error::x\n"},
        {TEXT(" \t::error::x"), " \t: :error::x\n"},
        {TEXT(":::error::x"), ": ::error::x\n"},
        {TEXT("a ::error::x"), "a ::error::x\n"},
        {TEXT("std::vector"), "std::vector\n"},
        {TEXT("##[error]x"), "## [error]x\n"},
        {TEXT("a ##[b] ##[c]"), "a ## [b] ## [c]\n"},
        {TEXT("###[error]x"), "### [error]x\n"},
        {TEXT("a\rb\r\nc"), "a\nb\nc\n"},
        {TEXT("a\xe2\x80\xa8::b\xe2\x80\xa9::c\xc2\x85::d"), "a\n: :b\n: :c\n: :d\n"},
        {TEXT("\x1b[31mred\x1b[0m"), "red\n"},
        {TEXT("\x1b]0;title\atext"), "text\n"},
        {TEXT("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"), "link\n"},
        {TEXT("\x1b[31m::error::x"), ": :error::x\n"},
        {TEXT("#\x1b[0m#[error]x"), "## [error]x\n"},
        {{"a\xff"
          "b",
             3},
            "a\xef\xbf\xbd"
            "b\n"},
        {TEXT("2026-11-21T07:48:00.1234567Z ::error::x"), ": :error::x\n"},
        {TEXT("2026-11-21T07:48:00.1234567Z text"), "text\n"},
        {{"\xef\xbb\xbf"
          "2026-11-21T07:48:00Z text",
             28},
            "text\n"},
        {TEXT("2026-11-21T07:48:00.1234567Z"), "\n"},
        {TEXT("2026-11-21 07:48:00 text"), "2026-11-21 07:48:00 text\n"},
        {TEXT("2026-11-21T07:48:00Zx"), "2026-11-21T07:48:00Zx\n"},
        {TEXT("a\0b"), "ab\n"},
        {TEXT("caf\xc3\xa9 \xf0\x9f\x98\x80"), "caf\xc3\xa9 \xf0\x9f\x98\x80\n"},
        {TEXT(""), ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf out CLEANUP(buf_done) = sanitized(cases[i].in);
        assert_string_equal(buf_cstr(&out), cases[i].out);
    }
}

// Other than GitHub's, a timestamp in front is the program's own, and the last line has no end.
static void
texts_of_others(void **state)
{
    (void)state;
    static const struct pair_case cases[] = {
        {TEXT("2026-11-21T07:48:00.1234567Z text"), "2026-11-21T07:48:00.1234567Z text"},
        {TEXT("::error::x\n##[y]\r\n"), ": :error::x\n## [y]"},
        {TEXT("a\n\nb"), "a\n\nb"},
        {TEXT("\n"), ""},
        {TEXT(""), ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf out CLEANUP(buf_done) = BUF_INIT(1024);
        log_sanitize_text(cases[i].in, &out);
        assert_string_equal(buf_cstr(&out), cases[i].out);
    }
}

static void
long_lines_are_cut_between_code_points(void **state)
{
    (void)state;
    struct buf in CLEANUP(buf_done) = BUF_INIT(100000);
    for (int i = 0; i < 8191; i++) {
        buf_putc(&in, 'x');
    }
    buf_puts(&in, "\xc3\xa9 and more");
    struct buf out CLEANUP(buf_done) = sanitized(buf_str(&in));
    assert_int_equal(out.len, 8191 + 3 + 1);
    assert_memory_equal(out.ptr + 8190, "x…\n", 5);
    assert_true(str_is_utf8(buf_str(&out)));
}

static void
defused_prefixes_count_towards_the_cut(void **state)
{
    (void)state;
    struct buf in CLEANUP(buf_done) = BUF_INIT(100000);
    for (int i = 0; i < 9000; i++) {
        buf_puts(&in, "##[");
    }
    struct buf out CLEANUP(buf_done) = sanitized(buf_str(&in));
    assert_int_equal(out.len, 8192 + 3 + 1);
    assert_harmless(buf_str(&out));
}

// --- the corpus
// ------------------------------------------------------------------------------------

static unsigned
hex(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static void
unescape(struct str text, struct buf *out)
{
    while (text.len > 0) {
        if (str_starts(text, STR("\\x"))) {
            buf_putc(out, (char)(hex(text.ptr[2]) << 4 | hex(text.ptr[3])));
            text = str_skip(text, 4);
            continue;
        }
        buf_putc(out, text.ptr[0]);
        text = str_skip(text, str_starts(text, STR("\\\\")) ? 2 : 1);
    }
}

// The kind says what the oracle must think of the raw line, so the oracle itself is tested too.
static void
check_kind(char kind, struct str raw)
{
    struct buf weighty CLEANUP(buf_done) = BUF_INIT(4096);
    drop_weightless(raw, &weighty);
    switch (kind) {
    case 'C':
        assert_true(is_command(raw));
        break;
    case 'H':
        assert_false(is_command(raw));
        assert_true(is_command(buf_str(&weighty)));
        break;
    default:
        assert_non_null(strchr("ETL-", kind));
    }
}

static void
corpus_is_harmless(void **state)
{
    (void)state;
    FILE *file = fopen(TEST_SOURCE_DIR "/vectors/log_lines.txt", "re");
    assert_non_null(file);
    char line[1024];
    size_t count = 0, commands = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        struct str entry = str_of(line);
        entry.len -= str_ends(entry, STR("\n")) ? 1 : 0;
        if (str_starts(entry, STR("#"))) {
            continue;
        }
        assert_true(entry.len > 2 && entry.ptr[1] == '|');
        struct buf raw CLEANUP(buf_done) = BUF_INIT(4096);
        unescape(str_skip(entry, 2), &raw);
        check_kind(entry.ptr[0], buf_str(&raw));
        struct buf out CLEANUP(buf_done) = sanitized(buf_str(&raw));
        assert_harmless(buf_str(&out));
        count++;
        commands += entry.ptr[0] == '-' ? 0 : 1;
    }
    assert_int_equal(fclose(file), 0);
    assert_true(count >= 300);
    assert_true(commands >= 250);
}

// --- random compositions
// ---------------------------------------------------------------------------

static uint32_t
next_random(uint32_t *seed)
{
    *seed ^= *seed << 13; // xorshift32: the same sequence on every machine
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void
random_compositions_are_harmless(void **state)
{
    (void)state;
    static const char *const pieces[] = {"::", ":", "##[", "#", "[", "]", " ", "\t", "error", "x",
        "\r", "\n", "\x1b", "\x1b[", "31m", "\x1b]0;", "\a", "\x1b\\", "\xc2\xad", "\xc2\x9b",
        "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\x8b", "\xef\xbb\xbf", "\xe3\x80\x80", "\xff", "\xc2",
        "\xe2\x80", "2026-11-21T07:48:00.1Z ", "\x01", "\x7f", ","};
    uint32_t seed = 20261121;
    size_t hostile = 0;
    for (int round = 0; round < 200000; round++) {
        struct buf in CLEANUP(buf_done) = BUF_INIT(1024);
        for (uint32_t left = next_random(&seed) % 12; left > 0; left--) {
            buf_puts(&in, pieces[next_random(&seed) % ARRAY_LENGTH(pieces)]);
        }
        hostile += is_command(buf_str(&in)) ? 1 : 0;
        struct buf out CLEANUP(buf_done) = sanitized(buf_str(&in));
        assert_harmless(buf_str(&out));
    }
    assert_true(hostile > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_results),
        cmocka_unit_test(texts_of_others),
        cmocka_unit_test(long_lines_are_cut_between_code_points),
        cmocka_unit_test(defused_prefixes_count_towards_the_cut),
        cmocka_unit_test(corpus_is_harmless),
        cmocka_unit_test(random_compositions_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
