// The files that pages ask for (CSS, script, favicons), embedded at build time, and compression of
// what is sent. Sends nothing.
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "assets_internal.h"
#include "dispatcher/memory.h"

enum {
    GZIP_LEVEL = 6, // 500 apps: about 8 ms
    GZIP_FRAME = 64,
};

const struct web_asset *
web_asset_at(const char *path)
{
    for (size_t i = 0; i < assets_count; i++) {
        if (strcmp(assets_all[i].path, path) == 0) {
            return &assets_all[i];
        }
    }
    return NULL;
}

const struct web_asset *
web_asset_named(const char *name)
{
    const struct web_asset *found = NULL;
    for (size_t i = 0; i < assets_count && found == NULL; i++) {
        found = strcmp(assets_all[i].name, name) == 0 ? &assets_all[i] : NULL;
    }
    BUG_ON(found == NULL);
    return found;
}

bool
web_gzip(struct str text, struct buf *out)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(GZIP_LEVEL);
    BUG_ON(compressor == NULL);
    size_t room = libdeflate_gzip_compress_bound(compressor, text.len) + GZIP_FRAME;
    char *packed = xmalloc(room);
    size_t len = libdeflate_gzip_compress(compressor, text.ptr, text.len, packed, room);
    libdeflate_free_compressor(compressor);
    size_t before = out->len;
    bool failed = out->failed;
    if (len > 0) {
        buf_append(out, packed, len);
    }
    free(packed);
    bool fits = len > 0 && !out->failed;
    if (!fits && !failed) {
        buf_cut(out, before);
        out->failed = false;
    }
    return fits;
}

// "gzip", "x-gzip;q=0.5", "*": is it this one, and not refused by q=0?
static bool
coding_takes_gzip(struct str coding, bool *named)
{
    struct str name, rest;
    if (!str_cut(coding, ';', &name, &rest)) {
        return false;
    }
    name = str_trim(name);
    rest = str_trim(rest);
    *named = str_equal_nocase(name, STR("gzip")) || str_equal_nocase(name, STR("x-gzip"));
    bool zero = str_starts(rest, STR("q=0")) || str_starts(rest, STR("Q=0"));
    for (size_t i = 3; zero && i < rest.len; i++) {
        zero = rest.ptr[i] == '.' || rest.ptr[i] == '0';
    }
    return (*named || str_equal(name, STR("*"))) && !zero;
}

bool
web_takes_gzip(const char *accept_encoding)
{
    struct str coding, rest = str_of(accept_encoding);
    bool taken = false;
    while (str_cut(rest, ',', &coding, &rest)) {
        bool named = false;
        bool takes = coding_takes_gzip(coding, &named);
        if (named) {
            return takes;
        }
        taken = taken || takes;
    }
    return taken;
}
