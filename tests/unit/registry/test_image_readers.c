// The verified stream: the last bytes come only when size and digest hold.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "image_internal.h"
#include "reader_internal.h"

#define HELLO "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// A stream of a text in memory.
struct text_reader {
    struct reader base;
    struct str text;
    size_t at;
    bool *closed;
};

static int64_t
text_read(void *ctx, char *out, size_t size, struct error **err)
{
    (void)err;
    struct text_reader *reader = ctx;
    size_t left = reader->text.len - reader->at;
    size_t len = left < size ? left : size;
    memcpy(out, reader->text.ptr + reader->at, len);
    reader->at += len;
    return (int64_t)len;
}

static struct error *
text_rewind(void *ctx)
{
    struct text_reader *reader = ctx;
    reader->at = 0;
    return NULL;
}

static void
text_close(struct reader *base)
{
    struct text_reader *reader = (struct text_reader *)base;
    *reader->closed = true;
    free(reader);
}

static void
open_text(const char *text, const char *digest, int64_t size, bool *closed, struct http_reader *out)
{
    struct text_reader *reader = xcalloc(1, sizeof(*reader));
    *reader = (struct text_reader){.base = {text_close}, .text = str_of(text), .closed = closed};
    struct http_reader inner = {text_read, text_rewind, reader, -1, NULL};
    *closed = false;
    reader_verified(&inner, digest, size, out);
    assert_null(inner.ctx); // taken over
}

// Reads pieces of two bytes to the end or the error; returns how many bytes came.
static size_t
drain(struct http_reader *reader, struct error **err)
{
    char piece[2];
    size_t total = 0;
    for (;;) {
        int64_t got = reader->read(reader->ctx, piece, sizeof(piece), err);
        if (got <= 0) {
            assert_int_equal(got < 0, *err != NULL);
            return total;
        }
        total += (size_t)got;
    }
}

static const struct {
    const char *text, *digest;
    int64_t size;
    size_t given;
    const char *problem;
} rows[] = {
    {"hello", HELLO, 5, 5, NULL},
    {"", EMPTY, 0, 0, NULL},
    {"jello", HELLO, 5, 4,
        "blob '" HELLO "' is corrupt: its content has digest "
        "'sha256:187c9bceeb919e1b3e6d20fa50ecabf7d9d50b5343e8f9a3d912abb13929102e'"},
    {"hell", HELLO, 5, 4, "blob '" HELLO "' ends after 4 of 5 bytes"},
    {"", HELLO, 5, 0, "blob '" HELLO "' ends after 0 of 5 bytes"},
    {"hello!", HELLO, 5, 4, "blob '" HELLO "' is longer than the 5 bytes it should have"},
    {"x", EMPTY, 0, 0, "blob '" EMPTY "' is longer than the 0 bytes it should have"},
    {"", HELLO, 0, 0, "blob '" HELLO "' is corrupt: its content has digest '" EMPTY "'"},
};

static void
size_and_digest_must_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(rows); i++) {
        struct http_reader reader = {0};
        struct error *err = NULL;
        bool closed = false;
        size_t row = i / 2;
        open_text(rows[row].text, rows[row].digest, rows[row].size, &closed, &reader);
        assert_int_equal(reader.length, rows[row].size);
        if (i % 2 == 1 && rows[row].problem == NULL) { // the same again from the start
            assert_int_equal(drain(&reader, &err), rows[row].given);
            assert_null(reader.rewind(reader.ctx));
        }
        assert_int_equal(drain(&reader, &err), rows[row].given);
        if (rows[row].problem == NULL) {
            assert_null(err);
            assert_int_equal(drain(&reader, &err), 0);
        } else {
            assert_string_equal(error_message(err), rows[row].problem);
            assert_int_equal(error_kind(err), ERROR_INPUT);
        }
        error_free(err);
        reader_close(&reader);
        assert_true(closed);
        reader_close(&reader); // harmless
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_and_digest_must_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
