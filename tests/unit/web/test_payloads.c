// Hostile texts through every field of every page: whatever is put in, the page keeps exactly the
// tags and attributes that it has for a harmless word, and leads nowhere else.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/arena.h"
#include "dispatcher/memory.h"
#include "web_fixture.h"

enum {
    PAGE_MAX = 4 * 1024 * 1024,
    PAYLOAD_MAX = 512,
    PAYLOADS_MAX = 400,
};

struct corpus {
    char *payloads[PAYLOADS_MAX];
    size_t count;
};

static int
digit_of(char byte)
{
    const char *digits = "0123456789abcdef";
    const char *found = strchr(digits, byte);
    assert_non_null(found);
    return (int)(found - digits);
}

static char *
decoded(const char *line)
{
    char *out = xmalloc(PAYLOAD_MAX);
    size_t len = 0;
    for (; *line != '\0' && *line != '\n'; line++) {
        assert_true(len + 1 < PAYLOAD_MAX);
        if (*line != '\\') {
            out[len++] = *line;
            continue;
        }
        line++;
        if (*line == 'x') {
            out[len++] = (char)(digit_of(line[1]) * 16 + digit_of(line[2]));
            line += 2;
        } else {
            out[len++] = *line == 'n' ? '\n' : *line == 't' ? '\t' : *line;
        }
    }
    out[len] = '\0';
    return out;
}

static void
read_corpus(struct corpus *corpus)
{
    FILE *file = fopen(TEST_SOURCE_DIR "/vectors/html_payloads.txt", "re");
    assert_non_null(file);
    char line[PAYLOAD_MAX];
    bool heading = true;
    while (fgets(line, sizeof(line), file) != NULL) {
        heading = heading && str_starts(str_of(line), STR("# "));
        if (!heading) {
            assert_true(corpus->count < PAYLOADS_MAX);
            corpus->payloads[corpus->count++] = decoded(line);
        }
    }
    (void)fclose(file);
    assert_true(corpus->count >= 200);
}

// --- tags and attributes of a page ---------------------------------------------------------------

static const char *
skip_blank(const char *at)
{
    return at + strspn(at, " \t\n\f\r");
}

static bool
is_address(struct str name)
{
    return str_equal(name, STR("href")) || str_equal(name, STR("src")) ||
           str_equal(name, STR("action")) || str_equal(name, STR("data-stream")) ||
           str_equal(name, STR("formaction"));
}

static bool
leads_here_or_https(struct str value)
{
    if (str_starts(value, STR("https://"))) {
        return true;
    }
    return value.len > 0 &&
           (value.ptr[0] == '#' || (value.ptr[0] == '/' && !str_starts(value, STR("//")) &&
                                       !str_starts(value, STR("/\\"))));
}

// One attribute at `at`; its name goes to `out`.
static const char *
read_attribute(const char *at, struct buf *out)
{
    struct str name = {at, strcspn(at, " \t\n\f\r=>/\"'<")};
    assert_true(name.len > 0);
    assert_false(str_starts(name, STR("on")));
    assert_false(str_equal(name, STR("style")));
    if (!str_equal(name, STR("aria-current")) && !str_equal(name, STR("selected"))) {
        buf_putc(out, ' '); // which of the choices is the current one may differ
        buf_add(out, name);
    }
    at += name.len;
    if (*at != '=') {
        return at;
    }
    at++;
    char quote = *at == '"' || *at == '\'' ? *at : '\0';
    struct str value;
    if (quote != '\0') {
        const char *end = strchr(at + 1, quote);
        assert_non_null(end);
        value = (struct str){at + 1, (size_t)(end - at - 1)};
        at = end + 1;
    } else {
        value = (struct str){at, strcspn(at, " \t\n\f\r>")};
        at += value.len;
        for (size_t i = 0; i < value.len; i++) {
            assert_null(strchr("\"'<=`&", value.ptr[i]));
        }
    }
    assert_false(str_contains(value, STR("<")));
    if (is_address(name) && !leads_here_or_https(value)) {
        fail_msg("leads to '%.*s'", STR_FMT(value));
    }
    return at;
}

// "<a href>text</a>" becomes "<a href></a>".
static void
put_skeleton(struct str page, struct buf *out)
{
    for (const char *at = strchr(page.ptr, '<'); at != NULL; at = strchr(at, '<')) {
        at++;
        size_t slash = *at == '/' || *at == '!' ? 1 : 0;
        size_t name = strcspn(at + slash, " \t\n\f\r/<>\"'=");
        assert_true(name > 0); // in text it would have been escaped
        size_t len = slash + name;
        buf_putc(out, '<');
        buf_append(out, at, len);
        at = skip_blank(at + len);
        while (*at != '>') {
            assert_true(*at != '\0');
            if (*at == '/') {
                at = skip_blank(at + 1);
                continue;
            }
            at = skip_blank(read_attribute(at, out));
        }
        buf_puts(out, ">\n");
    }
}

// --- pages with a payload in every field ---------------------------------------------------------

static const char *
replace(void *ctx, const char *text)
{
    (void)text;
    return ctx;
}

struct field_kinds {
    bool texts, urls, states;
};

static char *
skeleton_of(const struct web_page *page, char *payload, struct field_kinds kinds)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct web_fixture fixture = {.arena = arena,
        .ctx = payload,
        .text = kinds.texts ? replace : NULL,
        .url = kinds.urls ? replace : NULL,
        .states = kinds.states};
    struct buf out CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    struct buf skeleton CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    page->put(&fixture, &out);
    assert_false(out.failed);
    assert_true(str_is_utf8(buf_str(&out)));
    put_skeleton(buf_str(&out), &skeleton);
    return buf_take(&skeleton);
}

static void
go_through(struct field_kinds kinds, const char *const *words, size_t word_count)
{
    struct corpus corpus = {.count = 0};
    read_corpus(&corpus);
    for (size_t p = 0; p < web_fixture_page_count; p++) {
        const struct web_page *page = &web_fixture_pages[p];
        char *expected[4];
        for (size_t w = 0; w < word_count; w++) {
            char *word = xstrdup(words[w]);
            expected[w] = skeleton_of(page, word, kinds);
            free(word);
        }
        for (size_t i = 0; i < corpus.count; i++) {
            char *actual = skeleton_of(page, corpus.payloads[i], kinds);
            bool same = false;
            for (size_t w = 0; w < word_count; w++) {
                same = same || strcmp(actual, expected[w]) == 0;
            }
            if (!same) {
                fail_msg(
                    "page '%s' is another with payload %zu: %s", page->name, i, corpus.payloads[i]);
            }
            free(actual);
        }
        for (size_t w = 0; w < word_count; w++) {
            free(expected[w]);
        }
    }
    for (size_t i = 0; i < corpus.count; i++) {
        free(corpus.payloads[i]);
    }
}

static void
texts_stay_texts(void **state)
{
    (void)state;
    static const char *const words[] = {"zq7"};
    go_through((struct field_kinds){.texts = true}, words, 1);
}

// Also what only our own code writes: a store may have been written by something else.
static void
states_stay_texts(void **state)
{
    (void)state;
    static const char *const words[] = {"zq7"};
    go_through((struct field_kinds){.texts = true, .states = true}, words, 1);
}

static void
addresses_are_links_or_text(void **state)
{
    (void)state;
    static const char *const words[] = {"zq7", "/", "/zq7", "https://zq7.example/"};
    go_through((struct field_kinds){.urls = true}, words, ARRAY_LENGTH(words));
}

// The reader of pages above sees what it must see.
static void
skeleton_sees_markup(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    put_skeleton(STR("a<p class=x>b<a href=\"/y\" rel='z'>c</a><input checked><br/>&lt;"), &out);
    assert_string_equal(buf_cstr(&out), "<p class>\n<a href rel>\n</a>\n<input checked>\n<br>\n");
    assert_false(leads_here_or_https(STR("javascript:alert(1)")));
    assert_false(leads_here_or_https(STR("//evil.example")));
    assert_false(leads_here_or_https(STR("http://evil.example")));
    assert_true(leads_here_or_https(STR("/x")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(skeleton_sees_markup),
        cmocka_unit_test(texts_stay_texts), cmocka_unit_test(states_stay_texts),
        cmocka_unit_test(addresses_are_links_or_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
