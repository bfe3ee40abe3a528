// Compression that must give the same bytes for ever: golden digests for each codec, whatever the
// number of threads and the size of reads, with a second program's inflater as the judge; and a
// queue that neither fills the memory nor lets one layer stop another.
//
// With an argument only the tests of that name run: golden digests on another processor.
#include "compressor_internal.h"

#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <malloc.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "dispatcher/clock.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "temp_dir.h"

enum { BLOCK = COMPRESSOR_BLOCK, OUTPUT_MAX = 64 * BLOCK, CODECS = 3, PIECE = 64 * 1024 };

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
make_zeros(size_t len, struct buf *out)
{
    buf_init(out, OUTPUT_MAX);
    for (size_t i = 0; i < len; i++) {
        buf_putc(out, '\0');
    }
}

// `size` is what the layer believes; the file has what the content has.
static struct image_file
file_of(const struct buf *content, size_t size)
{
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "f");
    assert_null(file_write(path, buf_str(content), 0600));
    struct image_file file = {.fd = open(path, O_RDONLY), .owns_fd = true, .size = (int64_t)size};
    assert_true(file.fd >= 0);
    return file;
}

static struct compressor_layer *
add(struct compressor *compressor, const struct buf *content)
{
    struct image_file file = file_of(content, content->len);
    struct compressor_layer *layer = compressor_add(compressor, &file);
    assert_int_equal(file.fd, -1); // taken over
    return layer;
}

static struct compressor *
start(enum image_compression compression, unsigned threads)
{
    const struct compressor_options options = {.compression = compression, .threads = threads};
    return compressor_new(&options);
}

static void
read_to_end(struct compressor_layer *layer, size_t piece, struct buf *out)
{
    struct http_reader reader = compressor_layer_reader(layer);
    char *bytes CLEANUP(xfreep) = xmalloc(piece);
    assert_int_equal(reader.length, -1);
    assert_null(reader.rewind);
    for (;;) {
        struct error *err = NULL;
        assert_null(compressor_layer_result(layer));
        int64_t got = reader.read(reader.ctx, bytes, piece, &err);
        assert_null(err);
        if (got == 0) {
            break;
        }
        assert_true(got > 0);
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

// What the layer says about itself is true.
static void
assert_result(
    const struct compressor_layer *layer, const struct buf *content, const struct buf *packed)
{
    char digest[SHA256_DIGEST_TEXT_SIZE];
    const struct compressor_result *result = compressor_layer_result(layer);
    assert_non_null(result);
    digest_of(buf_str(packed), digest);
    assert_string_equal(result->digest, digest);
    digest_of(buf_str(content), digest);
    assert_string_equal(result->diff_id, digest);
    assert_int_equal(result->size, packed->len);
    assert_int_equal(compressor_layer_done(layer), content->len);
}

static void
compress(enum image_compression compression, unsigned threads, size_t piece,
    const struct buf *content, struct buf *out)
{
    struct compressor *compressor = start(compression, threads);
    struct compressor_layer *layer = add(compressor, content);
    buf_reset(out);
    read_to_end(layer, piece, out);
    assert_result(layer, content, out);
    compressor_layer_free(layer);
    compressor_free(compressor);
}

// All members after each other, as every reader of gzip must take them (RFC 1952 §2.2).
static size_t
inflate_members(const struct buf *packed, struct buf *out)
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

// All frames after each other (RFC 8878 §3).
static size_t
expand_frames(const struct buf *packed, struct buf *out)
{
    size_t frames = 0, at = 0;
    unsigned char *room CLEANUP(xfreep) = xmalloc(2 * BLOCK);
    while (at < packed->len) {
        size_t frame = ZSTD_findFrameCompressedSize(packed->ptr + at, packed->len - at);
        assert_false(ZSTD_isError(frame));
        size_t len = ZSTD_decompress(room, 2 * BLOCK, packed->ptr + at, frame);
        assert_false(ZSTD_isError(len));
        buf_append(out, room, len);
        at += frame;
        frames++;
    }
    return frames;
}

static const struct {
    void (*make)(size_t len, struct buf *out);
    size_t len, members;
    const char *digests[CODECS]; // of the compressed bytes: fast, small, zstd
} rows[] = {
    {make_text, 0, 1,
        {"sha256:ac73670af3abed54ac6fb4695131f4099be9fbe39d6076c5d0264a6bbdae9d83",
            "sha256:30e6fa98fb48c2b132824d1ac5e2243c0be9e9082ff32598d34d7687ca7f6c7f",
            "sha256:f96deff1816083fdff8bc3e46c3fe6ca46a6bb49f4d5a00627616c13237a512c"}},
    {make_text, 1, 1,
        {"sha256:eeccaa0772d0ef89a09a3cc12d227b33bb0edcda42ae5919503bda7495cc7ddd",
            "sha256:c5444d2b132a1c74e6e13919b3725f2841afc4b1a87ef26f4a292914d912ba8f",
            "sha256:646aa05f6c471ad6e37f303f641d659fa96540133fa417c60b6fbc2e9b38e28a"}},
    {make_text, 100000, 1,
        {"sha256:ad874487c41a6d28423fcb22f6479ae249475a0d8e7e82ae517e2bde3963acc6",
            "sha256:3663b46f8ba060502585c6bbe2d1accc0a200d769469eee1ac55c36955e4fb39",
            "sha256:7b2b211848822e8dd4bd8f54d82ac121b76cef9e30be97fffb85ae9c4eece4b6"}},
    {make_text, BLOCK, 1,
        {"sha256:6d37babca8f9097eaeee9f44b57e72f55739366f961128103f9594d8bed7aea1",
            "sha256:3a7e163d54d67f67e6172258ad52c0fcb3a4ef99d8bbfbab3e8233e7a0fc4374",
            "sha256:a62acd4d8a3fcab2905bb568561f55f4c6433ebf798a43f37694a9482e58199d"}},
    {make_text, BLOCK + 1, 2,
        {"sha256:a8a6c6255f2e7e61a3724a52b4deaeb826ab61747ba78a41cf67bae012c097f9",
            "sha256:3d1254845f8edf1b63506aaf131d877a9dd69e7acc10c0f5591eafa989ce4c42",
            "sha256:86b7d1613c684cc2e2f47a60e51e5bfd7e89fb6fdcc00874bb53ef783a38369b"}},
    {make_text, 3 * BLOCK - 1, 3,
        {"sha256:a57dd93dcbeca2c92eda6ff162d5995d57526b4095ec488b0a126579253e1a14",
            "sha256:bfc24fa36dfd9447658e4b80d90f53fec0658d22bba846195c47dcc17acee484",
            "sha256:bb6a13308ec124e1ffc3922b3a71442a73fc76cade4c02d6c909da17218197e8"}},
    {make_noise, 2 * BLOCK + 12345, 3,
        {"sha256:0cf2e2417ac61f024fbbb7b081854c2febad299bfee12b9b9e1fc6358a63ff97",
            "sha256:0c6d4aa9afb78684d1f07df5251c00fda35f944117b8c7610031ddf5ea4be1ff",
            "sha256:288a08c0f91c0a1c1c1998a18c317c8e6e5e8644a45a7eb287b054ead66d19db"}},
    {make_zeros, 2 * BLOCK, 2,
        {"sha256:78c34a4f148a0e197dc3e466a58a4f0dd35a8f0dabf37fbe2e7d00cc1c526b40",
            "sha256:3b104309583679a8363577c622d6013b5cbb169065778df312c607fbe34ba3ef",
            "sha256:55d916b42f0a5048a8af6be18a2107ad50131b107ff91176aab77eb031fc8346"}},
};

static void
the_bytes_are_the_same_for_ever(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf content CLEANUP(buf_done) = {0};
        rows[i].make(rows[i].len, &content);
        for (unsigned codec = 0; codec < CODECS; codec++) {
            struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
            struct buf unpacked CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
            char digest[SHA256_DIGEST_TEXT_SIZE];
            compress((enum image_compression)codec, 2, PIECE, &content, &packed);
            size_t members = codec == IMAGE_COMPRESSION_ZSTD ? expand_frames(&packed, &unpacked)
                                                             : inflate_members(&packed, &unpacked);
            assert_int_equal(members, rows[i].members);
            assert_true(str_equal(buf_str(&unpacked), buf_str(&content)));
            digest_of(buf_str(&packed), digest);
            if (strcmp(digest, rows[i].digests[codec]) != 0) {
                print_error("row %zu, codec %u: %s\n", i, codec, digest);
                wrong++;
            }
        }
    }
    assert_int_equal(wrong, 0);
}

static void
headers_name_no_time_and_no_file(void **state)
{
    (void)state;
    static const unsigned char magic[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0};
    struct buf content CLEANUP(buf_done) = {0};
    make_text(1000, &content);
    for (unsigned codec = 0; codec < 2; codec++) {
        struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        compress((enum image_compression)codec, 1, PIECE, &content, &packed);
        assert_memory_equal(packed.ptr, magic, sizeof(magic));
        assert_int_equal((unsigned char)packed.ptr[9], 0xff); // of no system in particular
    }
}

static void
threads_and_pieces_change_nothing(void **state)
{
    (void)state;
    static const unsigned threads[] = {1, 2, 3, 8, 0, 100};
    static const size_t pieces[] = {1, 7, 4096, PIECE, 3 * BLOCK};
    struct buf content CLEANUP(buf_done) = {0};
    make_text(5 * BLOCK + 4321, &content);
    for (unsigned codec = 0; codec < CODECS; codec++) {
        struct buf first CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        compress((enum image_compression)codec, 1, PIECE, &content, &first);
        for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
            struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
            compress((enum image_compression)codec, threads[i], pieces[i % ARRAY_LENGTH(pieces)],
                &content, &packed);
            assert_true(str_equal(buf_str(&packed), buf_str(&first)));
        }
    }
}

// Incompressible blocks are stored: they fit into what is reserved for them, in every codec.
static void
noise_grows_by_less_than_what_is_reserved(void **state)
{
    (void)state;
    struct buf content CLEANUP(buf_done) = {0};
    make_noise(BLOCK, &content);
    // Each byte another, so that no codec finds anything in it.
    uint64_t x = 88172645463325252U;
    for (size_t i = 0; i < content.len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        content.ptr[i] = (char)(x >> 32);
    }
    for (unsigned codec = 0; codec < CODECS; codec++) {
        struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        compress((enum image_compression)codec, 2, PIECE, &content, &packed);
        assert_in_range(packed.len, BLOCK, BLOCK + 1024);
    }
}

enum { LAYERS = 6 };

// What a transport does: asks who is ready, reads a piece, and rests until it is woken.
struct choir {
    sem_t woken;
    struct compressor_layer *layers[LAYERS];
    struct buf packed[LAYERS];
    bool ended[LAYERS];
};

static void
on_wake(void *ctx)
{
    struct choir *choir = ctx;
    (void)sem_post(&choir->woken);
}

// One piece of each that is ready; false when none was.
static bool
sing(struct choir *choir, size_t *left)
{
    char piece[16 * 1024];
    bool any = false;
    for (size_t i = 0; i < LAYERS; i++) {
        struct http_reader reader = compressor_layer_reader(choir->layers[i]);
        struct error *err = NULL;
        if (choir->ended[i] || !reader.ready(reader.ctx)) {
            continue;
        }
        int64_t got = reader.read(reader.ctx, piece, sizeof(piece), &err);
        assert_null(err);
        assert_true(got >= 0);
        buf_append(&choir->packed[i], piece, (size_t)got);
        choir->ended[i] = got == 0;
        *left -= got == 0;
        any = true;
    }
    return any;
}

static void
several_layers_are_read_as_they_come(void **state)
{
    (void)state;
    static const size_t sizes[LAYERS] = {0, 3 * BLOCK, 1, BLOCK + 1, 7 * BLOCK, BLOCK};
    struct choir choir = {0};
    struct buf contents[LAYERS];
    size_t left = LAYERS;
    assert_int_equal(sem_init(&choir.woken, 0, 0), 0);
    const struct compressor_options options = {.threads = 3, .wake = on_wake, .wake_ctx = &choir};
    struct compressor *compressor = compressor_new(&options);
    for (size_t i = 0; i < LAYERS; i++) {
        (i % 2 == 0 ? make_text : make_noise)(sizes[i], &contents[i]);
        buf_init(&choir.packed[i], OUTPUT_MAX);
        choir.layers[i] = add(compressor, &contents[i]);
    }
    while (left > 0) {
        if (!sing(&choir, &left)) { // a wake that was missed would end in ctest's time-out
            assert_int_equal(sem_wait(&choir.woken), 0);
        }
    }
    for (size_t i = 0; i < LAYERS; i++) {
        struct buf alone CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        assert_result(choir.layers[i], &contents[i], &choir.packed[i]);
        compress(IMAGE_COMPRESSION_FAST, 1, PIECE, &contents[i], &alone);
        assert_true(str_equal(buf_str(&alone), buf_str(&choir.packed[i])));
        compressor_layer_free(choir.layers[i]);
        buf_done(&choir.packed[i]);
        buf_done(&contents[i]);
    }
    compressor_free(compressor);
    (void)sem_destroy(&choir.woken);
}

static size_t
heap_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

// Until the workers have nothing left to do: the heap no longer grows.
static size_t
wait_until_full(void)
{
    size_t before = 0, now = heap_in_use();
    for (unsigned calm = 0; calm < 3; calm = before == now ? calm + 1 : 0) {
        error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 100, NULL));
        before = now;
        now = heap_in_use();
    }
    return now;
}

// Nobody reads: each layer gets its block, one gets what the queue holds, and that is all.
static void
memory_stays_bounded(void **state)
{
    (void)state;
    enum { MANY = 4, THREADS = 2 };
    struct buf content CLEANUP(buf_done) = {0};
    make_noise(24 * BLOCK, &content);
    struct compressor_layer *layers[MANY];
    size_t before = heap_in_use();
    struct compressor *compressor = start(IMAGE_COMPRESSION_FAST, THREADS);
    for (size_t i = 0; i < MANY; i++) {
        layers[i] = add(compressor, &content);
    }
    size_t grown = wait_until_full() - before;
    print_message("grown by %zu KiB\n", grown / 1024);
    // Two buffers a thread, 4 MiB and a block a thread in the queues, a block a layer.
    assert_in_range(grown, 0, (2 * THREADS + 4 + THREADS + MANY) * (BLOCK + BLOCK / 8));
    for (size_t i = 0; i < MANY; i++) {
        compressor_layer_free(layers[i]);
    }
    compressor_free(compressor);
}

// Its reader has stopped, and it holds all that it may: the next one is compressed all the same,
// also when nobody would ever read the first.
static void
a_slow_reader_does_not_stop_the_others(void **state)
{
    (void)state;
    struct buf slow CLEANUP(buf_done) = {0}, other CLEANUP(buf_done) = {0};
    make_noise(24 * BLOCK, &slow);
    make_text(9 * BLOCK, &other);
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct compressor *compressor = start(IMAGE_COMPRESSION_FAST, threads);
        struct compressor_layer *first = add(compressor, &slow);
        (void)wait_until_full();
        for (unsigned i = 0; i < 3; i++) {
            struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
            struct compressor_layer *next = add(compressor, &other);
            read_to_end(next, PIECE, &packed);
            assert_result(next, &other, &packed);
            compressor_layer_free(next);
        }
        struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        read_to_end(first, PIECE, &packed);
        assert_result(first, &slow, &packed);
        compressor_layer_free(first);
        compressor_free(compressor);
    }
}

static void
a_layer_is_dropped_in_mid_air(void **state)
{
    (void)state;
    struct buf content CLEANUP(buf_done) = {0};
    make_text(12 * BLOCK, &content);
    struct compressor *compressor = start(IMAGE_COMPRESSION_FAST, 3);
    for (size_t pieces = 0; pieces < 40; pieces += 3) {
        struct compressor_layer *kept = add(compressor, &content);
        struct compressor_layer *dropped = add(compressor, &content);
        struct buf packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        struct http_reader reader = compressor_layer_reader(dropped);
        for (size_t i = 0; i < pieces; i++) {
            char piece[1000];
            struct error *err = NULL;
            assert_true(reader.read(reader.ctx, piece, sizeof(piece), &err) > 0);
        }
        assert_null(compressor_layer_result(dropped));
        compressor_layer_free(dropped);
        read_to_end(kept, PIECE, &packed);
        assert_result(kept, &content, &packed);
        compressor_layer_free(kept);
    }
    compressor_free(compressor);
    compressor_free(NULL);
    compressor_layer_free(NULL);
}

// The file ends in the middle of a block, at the end of one, at its very start.
static void
a_file_that_became_shorter_is_noticed(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 5, BLOCK, 2 * BLOCK + 17, 9 * BLOCK};
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        struct buf content CLEANUP(buf_done) = {0}, packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
        make_text(lengths[i], &content);
        struct compressor *compressor = start(IMAGE_COMPRESSION_FAST, 2);
        struct image_file file = file_of(&content, 10 * BLOCK);
        struct compressor_layer *broken = compressor_add(compressor, &file);
        struct compressor_layer *whole = add(compressor, &content);
        struct http_reader reader = compressor_layer_reader(broken);
        struct error *err = NULL;
        char piece[1000];
        int64_t got = 1;
        while (got > 0) {
            got = reader.read(reader.ctx, piece, sizeof(piece), &err);
        }
        assert_int_equal(got, -1);
        assert_string_equal(error_message(err), "the file became shorter while it was read");
        assert_int_equal(error_kind(err), ERROR_INPUT);
        error_free(err);
        assert_null(compressor_layer_result(broken)); // nobody may take it for whole
        assert_true(reader.ready(reader.ctx));
        read_to_end(whole, PIECE, &packed);
        assert_result(whole, &content, &packed);
        compressor_layer_free(broken);
        compressor_layer_free(whole);
        compressor_free(compressor);
    }
}

static void
the_end_stays_the_end(void **state)
{
    (void)state;
    struct buf content CLEANUP(buf_done) = {0}, packed CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    make_text(BLOCK, &content);
    struct compressor *compressor = start(IMAGE_COMPRESSION_SMALL, 1);
    struct compressor_layer *layer = add(compressor, &content);
    struct http_reader reader = compressor_layer_reader(layer);
    struct error *err = NULL;
    char some[8];
    read_to_end(layer, 10000, &packed);
    assert_true(reader.ready(reader.ctx));
    assert_int_equal(reader.read(reader.ctx, some, sizeof(some), &err), 0);
    assert_null(err);
    assert_result(layer, &content, &packed);
    compressor_layer_free(layer);
    compressor_free(compressor);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_the_same_for_ever),
        cmocka_unit_test(headers_name_no_time_and_no_file),
        cmocka_unit_test(threads_and_pieces_change_nothing),
        cmocka_unit_test(noise_grows_by_less_than_what_is_reserved),
        cmocka_unit_test(several_layers_are_read_as_they_come),
        cmocka_unit_test(memory_stays_bounded),
        cmocka_unit_test(a_slow_reader_does_not_stop_the_others),
        cmocka_unit_test(a_layer_is_dropped_in_mid_air),
        cmocka_unit_test(a_file_that_became_shorter_is_noticed),
        cmocka_unit_test(the_end_stays_the_end),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
