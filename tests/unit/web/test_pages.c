// Pages as golden files (one tag a line, hashes of assets left out), and what 500 apps weigh.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/arena.h"
#include "dispatcher/memory.h"
#include "golden.h"
#include "web_fixture.h"

enum {
    PAGE_MAX = 4 * 1024 * 1024,
    TRANSFERRED_MAX = 60 * 1024,
    APPS = 500,
};

static void
put_readable(struct str page, struct buf *out)
{
    while (page.len > 0) {
        if (str_starts(page, STR("/assets/"))) { // the hash changes with the file
            struct str rest = str_skip(page, 8);
            const char *dot = memchr(rest.ptr, '.', rest.len);
            buf_append(out, page.ptr, (size_t)(dot - page.ptr));
            page = str_skip(page, (size_t)(dot - page.ptr) + 17);
            continue;
        }
        if (page.ptr[0] == '<' && page.len > 1 && page.ptr[1] != '/' && out->len > 0) {
            buf_putc(out, '\n');
        }
        buf_putc(out, page.ptr[0]);
        page = str_skip(page, 1);
    }
    buf_putc(out, '\n');
}

static void
pages_are_as_they_were(void **state)
{
    (void)state;
    for (size_t i = 0; i < web_fixture_page_count; i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct web_fixture fixture = {.arena = arena};
        struct buf page CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
        struct buf readable CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
        web_fixture_pages[i].put(&fixture, &page);
        put_readable(buf_str(&page), &readable);
        char *name = xasprintf("web/%s.html", web_fixture_pages[i].name);
        golden_assert(name, buf_str(&readable));
        free(name);
    }
}

static size_t
packed(struct str text)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    assert_true(web_gzip(text, &out));
    return out.len;
}

static void
five_hundred_apps_are_light(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct web_fixture fixture = {.arena = arena};
    struct buf page CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    web_fixture_matrix(&fixture, APPS, &page);
    const struct web_asset *css = web_asset_named("web.css"), *js = web_asset_named("web.js");
    size_t html = packed(buf_str(&page));
    size_t assets = packed((struct str){(const char *)css->bytes, css->len}) +
                    packed((struct str){(const char *)js->bytes, js->len});
    print_message("%d apps x 4: %zu bytes, %zu packed; CSS and script %zu packed\n", APPS, page.len,
        html, assets);
    assert_in_range(html + assets, 1, TRANSFERRED_MAX);
}

// AWS is out of reach: every cell says so.
static void
five_hundred_apps_of_which_nothing_is_known_are_light(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct web_fixture fixture = {.arena = arena, .nothing_known = true};
    struct buf page CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    web_fixture_matrix(&fixture, APPS, &page);
    size_t html = packed(buf_str(&page)), badges = 0;
    for (const char *at = buf_cstr(&page); (at = strstr(at, ">drift not known<")) != NULL; at++) {
        badges++;
    }
    print_message("%zu bytes, %zu packed, %zu not known\n", page.len, html, badges);
    assert_in_range(badges, 1800, 2000);
    assert_in_range(html, 1, TRANSFERRED_MAX);
}

static void
a_badge_says_it_in_words(void **state)
{
    (void)state;
    struct buf good CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    struct buf failed CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    web_badge("production", "v1.2.3", WEB_STATE_GOOD, &good);
    assert_non_null(strstr(buf_cstr(&good), "aria-label=\"production: v1.2.3\""));
    web_badge("production", "v1.2.3", WEB_STATE_FAILED, &failed);
    assert_non_null(
        strstr(buf_cstr(&failed), "aria-label=\"production: v1.2.3, last deploy failed\""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pages_are_as_they_were),
        cmocka_unit_test(five_hundred_apps_are_light),
        cmocka_unit_test(five_hundred_apps_of_which_nothing_is_known_are_light),
        cmocka_unit_test(a_badge_says_it_in_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
