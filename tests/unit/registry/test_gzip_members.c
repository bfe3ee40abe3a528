// Compression that must give the same bytes for ever: golden digests, any size of reads, and a
// second inflater as the judge.
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "image_internal.h"
#include "temp_dir.h"

enum { BLOCK = 1024 * 1024, OUTPUT_MAX = 8 * BLOCK };

static void
make_text(size_t len, struct buf *out)
{
    buf_init(out, OUTPUT_MAX);
    for (size_t i = 0; out->len < len; i++) {
        buf_printf(out, "line %zu\n", i);
    }
    out->len = len;
}

static void
make_noise(size_t len, struct buf *out)
{
    uint32_t state = 1;
    buf_init(out, OUTPUT_MAX);
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525 + 1013904223;
        buf_putc(out, (char)(state >> 24));
    }
}

static void
open_reader(const struct buf *content, unsigned char *plain, struct http_reader *out)
{
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "f");
    assert_null(file_write(path, buf_str(content), 0600));
    struct image_file file = {.fd = open(path, O_RDONLY), .owns_fd = true};
    assert_true(file.fd >= 0);
    file.size = (int64_t)content->len;
    reader_of_gzip(&file, plain, out);
    assert_int_equal(file.fd, -1); // taken over
}

static void
read_all(struct http_reader *reader, size_t piece, struct buf *out)
{
    char *bytes CLEANUP(xfreep) = xmalloc(piece);
    buf_reset(out);
    for (;;) {
        struct error *err = NULL;
        int64_t got = reader->read(reader->ctx, bytes, piece, &err);
        assert_true(got >= 0);
        if (got == 0) {
            break;
        }
        buf_append(out, bytes, (size_t)got);
    }
    assert_false(out->failed);
}

static void
digest_of(struct str bytes, char out[SHA256_DIGEST_TEXT_SIZE])
{
    unsigned char hash[SHA256_SIZE];
    sha256_of(bytes, hash);
    sha256_digest_text(hash, out);
}

// All members after each other, as every reader of gzip must take them (RFC 1952 §2.2).
static size_t
inflate_all(const struct buf *packed, struct buf *out)
{
    size_t members = 0, at = 0;
    unsigned char *room CLEANUP(xfreep) = xmalloc(2 * BLOCK);
    while (at < packed->len) {
        struct inflate_state state;
        isal_inflate_init(&state);
        state.crc_flag = ISAL_GZIP;
        state.next_in = (unsigned char *)packed->ptr + at;
        state.avail_in = (uint32_t)(packed->len - at);
        state.next_out = room;
        state.avail_out = 2 * BLOCK;
        assert_int_equal(isal_inflate(&state), ISAL_DECOMP_OK);
        assert_int_equal(state.block_state, ISAL_BLOCK_FINISH);
        buf_append(out, room, state.total_out);
        at = packed->len - state.avail_in;
        members++;
    }
    return members;
}

static const struct {
    void (*make)(size_t len, struct buf *out);
    size_t len, members;
    const char *digest; // of the compressed bytes
} rows[] = {
    {make_text, 0, 1, "sha256:ac73670af3abed54ac6fb4695131f4099be9fbe39d6076c5d0264a6bbdae9d83"},
    {make_text, 1, 1, "sha256:eeccaa0772d0ef89a09a3cc12d227b33bb0edcda42ae5919503bda7495cc7ddd"},
    {make_text, 100000, 1,
        "sha256:ad874487c41a6d28423fcb22f6479ae249475a0d8e7e82ae517e2bde3963acc6"},
    {make_text, BLOCK, 1,
        "sha256:6d37babca8f9097eaeee9f44b57e72f55739366f961128103f9594d8bed7aea1"},
    {make_text, BLOCK + 1, 2,
        "sha256:a8a6c6255f2e7e61a3724a52b4deaeb826ab61747ba78a41cf67bae012c097f9"},
    {make_text, 3 * BLOCK - 1, 3,
        "sha256:a57dd93dcbeca2c92eda6ff162d5995d57526b4095ec488b0a126579253e1a14"},
    {make_noise, 2 * BLOCK + 12345, 3,
        "sha256:0cf2e2417ac61f024fbbb7b081854c2febad299bfee12b9b9e1fc6358a63ff97"},
};

static void
the_bytes_are_the_same_for_ever(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf content CLEANUP(buf_done) = {0};
        struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        struct buf unpacked CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        struct http_reader reader CLEANUP(reader_close) = {0};
        char digest[SHA256_DIGEST_TEXT_SIZE];
        rows[i].make(rows[i].len, &content);
        open_reader(&content, NULL, &reader);
        assert_int_equal(reader.length, -1);
        read_all(&reader, 64 * 1024, &packed);
        digest_of(buf_str(&packed), digest);
        assert_int_equal(inflate_all(&packed, &unpacked), rows[i].members);
        assert_true(str_equal(buf_str(&unpacked), buf_str(&content)));
        assert_string_equal(digest, rows[i].digest);
    }
}

static void
headers_name_no_time_and_no_file(void **state)
{
    (void)state;
    static const unsigned char header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    struct buf content CLEANUP(buf_done) = {0};
    struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    struct http_reader reader CLEANUP(reader_close) = {0};
    make_text(1000, &content);
    open_reader(&content, NULL, &reader);
    read_all(&reader, 4096, &packed);
    assert_memory_equal(packed.ptr, header, sizeof(header));
}

static void
pieces_and_repetition_change_nothing(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 4096, 65536, 3 * BLOCK};
    struct buf content CLEANUP(buf_done) = {0};
    struct buf first CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    make_text(BLOCK + 4321, &content);
    for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++) {
        struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        struct http_reader reader CLEANUP(reader_close) = {0};
        open_reader(&content, NULL, &reader);
        read_all(&reader, pieces[i], &packed);
        if (i == 0) {
            buf_add(&first, buf_str(&packed));
        }
        assert_true(str_equal(buf_str(&packed), buf_str(&first)));
        char some[100];
        struct error *err = NULL;
        assert_null(reader.rewind(reader.ctx));
        assert_int_equal(reader.read(reader.ctx, some, sizeof(some), &err), sizeof(some));
        assert_null(reader.rewind(reader.ctx));
        read_all(&reader, pieces[i], &packed);
        assert_true(str_equal(buf_str(&packed), buf_str(&first)));
    }
}

static void
the_plain_bytes_are_hashed_on_the_way(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 5, BLOCK, 2 * BLOCK + 1};
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        unsigned char wanted[SHA256_SIZE], plain[SHA256_SIZE] = {0};
        struct buf content CLEANUP(buf_done) = {0};
        struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        struct http_reader reader CLEANUP(reader_close) = {0};
        make_noise(lengths[i], &content);
        open_reader(&content, plain, &reader);
        read_all(&reader, 10000, &packed);
        sha256_of(buf_str(&content), wanted);
        assert_memory_equal(plain, wanted, sizeof(plain));
        struct error *err = NULL;
        char some[8];
        assert_int_equal(reader.read(reader.ctx, some, sizeof(some), &err), 0); // stays at the end
    }
}

static void
a_file_that_became_shorter_is_noticed(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "f");
    assert_null(file_write(path, STR("hello"), 0600));
    struct image_file file = {.fd = open(path, O_RDONLY), .owns_fd = true, .size = 6};
    struct http_reader reader CLEANUP(reader_close) = {0};
    struct error *err = NULL;
    char some[100];
    reader_of_gzip(&file, NULL, &reader);
    assert_int_equal(reader.read(reader.ctx, some, sizeof(some), &err), -1);
    assert_string_equal(error_message(err), "the file became shorter while it was read");
    assert_int_equal(error_kind(err), ERROR_INPUT);
    error_free(err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_the_same_for_ever),
        cmocka_unit_test(headers_name_no_time_and_no_file),
        cmocka_unit_test(pieces_and_repetition_change_nothing),
        cmocka_unit_test(the_plain_bytes_are_hashed_on_the_way),
        cmocka_unit_test(a_file_that_became_shorter_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
