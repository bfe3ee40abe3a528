// URLs: what is accepted reads the same when written out again; a resolved Location is acceptable;
// what was encoded is acceptable in any place.
#include "dispatcher/url.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void
write_out(const struct url *url, struct buf *out)
{
    bool bracketed = strchr(url->host, ':') != NULL;
    buf_printf(out, "%s://%s%s%s:%u%s", url->scheme, bracketed ? "[" : "", url->host,
        bracketed ? "]" : "", url->port, url->path);
    if (url->query != NULL) {
        buf_printf(out, "?%s", url->query);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text CLEANUP(xfreep) = fuzz_text(data, size);
    struct url url CLEANUP(url_done) = {0}, again CLEANUP(url_done) = {0};
    struct buf out CLEANUP(buf_done) = BUF_INIT(256 * 1024);
    struct error *err = url_parse(text, &url);
    if (err == NULL) {
        FUZZ_CHECK(url.host[0] != '\0' && url.path[0] == '/' && url.port > 0 && url.port < 65536);
        FUZZ_CHECK(strpbrk(url.host, "/@?#\\ ") == NULL);
        write_out(&url, &out);
        struct error *second = url_parse(buf_cstr(&out), &again);
        FUZZ_CHECK(second == NULL || strlen(text) > 16 * 1024 - 16);
        FUZZ_CHECK(
            second != NULL || (url_same_origin(&url, &again) && cstr_equal(url.path, again.path) &&
                                  cstr_equal(url.query, again.query)));
        error_free(second);
    }
    error_free(err);
    char *target CLEANUP(xfreep) = NULL;
    err = url_resolve("https://registry.example:5000/v2/a/blobs/uploads/1?b", text, &target);
    if (err == NULL) {
        struct url resolved CLEANUP(url_done) = {0};
        struct error *third = url_parse(target, &resolved);
        FUZZ_CHECK(third == NULL);
    }
    error_free(err);
    buf_reset(&out);
    buf_puts(&out, "https://host/");
    url_encode((struct str){(const char *)data, size < 4096 ? size : 4096}, NULL, &out);
    struct url encoded CLEANUP(url_done) = {0};
    FUZZ_CHECK(url_parse(buf_cstr(&out), &encoded) == NULL && encoded.query == NULL);
    return 0;
}
