// web_pages DIRECTORY: writes the pages of the fixture and their assets, for a browser to look at.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/arena.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "web_fixture.h"

enum {
    PAGE_MAX = 8 * 1024 * 1024,
    APPS = 500,
};

static void
put_file(const char *directory, const char *name, const void *bytes, size_t len)
{
    char *path = xasprintf("%s/%s", directory, name);
    FILE *file = fopen(path, "we");
    if (file == NULL || fwrite(bytes, 1, len, file) != len || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    free(path);
}

int
main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: web_pages DIRECTORY\n", stderr);
        return 2;
    }
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct web_fixture fixture = {.arena = arena};
    for (size_t i = 0; i < web_fixture_page_count; i++) {
        struct buf page CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
        web_fixture_pages[i].put(&fixture, &page);
        bool svg = str_equal(str_of(web_fixture_pages[i].name), STR("badge"));
        char *name = xasprintf("%s.%s", web_fixture_pages[i].name, svg ? "svg" : "html");
        put_file(argv[1], name, page.ptr, page.len);
        free(name);
    }
    struct buf matrix CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    web_fixture_matrix(&fixture, APPS, &matrix);
    put_file(argv[1], "matrix-500.html", matrix.ptr, matrix.len);
    put_file(argv[1], "policy", web_content_policy, strlen(web_content_policy));
    const char *assets[] = {"web.css", "web.js", "good.svg", "running.svg", "waiting.svg",
        "failed.svg"};
    for (size_t i = 0; i < ARRAY_LENGTH(assets); i++) {
        const struct web_asset *asset = web_asset_named(assets[i]);
        put_file(argv[1], strrchr(asset->path, '/') + 1, asset->bytes, asset->len);
    }
    return 0;
}
