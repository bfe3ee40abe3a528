// Compression of one block into bytes that stand for themselves: a whole gzip member (RFC 1952
// §2.2 allows any number after each other) or a whole zstd frame (RFC 8878 §3). Knows nothing of
// layers and threads; that is compressor.c.
//
// The bytes must be a function of the content alone, on every machine, or unchanged layers are
// uploaded again: no name, no time, fixed levels, and isa-l only at a level that does not depend on
// the processor (0 to 2 do not, 3 does; facts: registry-push §4.6). Changing a level or a library
// changes every digest that is made from then on.
#include "block_codec_internal.h"

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <zstd.h>

#include "dispatcher/memory.h"

enum {
    SMALL_LEVEL = 3, // of libdeflate
    ZSTD_LEVEL = 3,
    // Incompressible input is stored in blocks of 65,535 bytes with 5 bytes each, plus header and
    // trailer; all three codecs stay below this for one block.
    OVERHEAD_MAX = 64 * 1024,
};

struct isal_state {
    _Alignas(16) unsigned char level[ISAL_DEF_LVL1_DEFAULT];
};

static void *
isal_new(void)
{
    return xmalloc(sizeof(struct isal_state));
}

static size_t
isal_compress(void *ctx, const unsigned char *in, size_t len, unsigned char *out, size_t max)
{
    struct isal_state *state = ctx;
    struct isal_zstream stream;
    isal_deflate_stateless_init(&stream);
    stream.level = 1;
    stream.level_buf = state->level;
    stream.level_buf_size = sizeof(state->level);
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    stream.next_in = (unsigned char *)(uintptr_t)in; // isa-l only reads it
    stream.avail_in = (uint32_t)len;
    stream.next_out = out;
    stream.avail_out = (uint32_t)max;
    BUG_ON(isal_deflate_stateless(&stream) != COMP_OK);
    return stream.total_out;
}

static void *
small_new(void)
{
    struct libdeflate_compressor *state = libdeflate_alloc_compressor(SMALL_LEVEL);
    BUG_ON(state == NULL);
    return state;
}

static void
small_free(void *ctx)
{
    libdeflate_free_compressor(ctx);
}

static size_t
small_compress(void *ctx, const unsigned char *in, size_t len, unsigned char *out, size_t max)
{
    size_t got = libdeflate_gzip_compress(ctx, in, len, out, max);
    BUG_ON(got == 0);
    return got;
}

static void *
zstd_new(void)
{
    ZSTD_CCtx *state = ZSTD_createCCtx();
    BUG_ON(state == NULL);
    BUG_ON(ZSTD_isError(ZSTD_CCtx_setParameter(state, ZSTD_c_compressionLevel, ZSTD_LEVEL)));
    BUG_ON(ZSTD_isError(ZSTD_CCtx_setParameter(state, ZSTD_c_checksumFlag, 1)));
    return state;
}

static void
zstd_free(void *ctx)
{
    (void)ZSTD_freeCCtx(ctx);
}

static size_t
zstd_compress(void *ctx, const unsigned char *in, size_t len, unsigned char *out, size_t max)
{
    size_t got = ZSTD_compress2(ctx, out, max, in, len);
    BUG_ON(ZSTD_isError(got));
    return got;
}

const struct block_codec *
block_codec_of(enum image_compression compression)
{
    static const struct block_codec codecs[] = {
        [IMAGE_COMPRESSION_FAST] = {isal_new, free, isal_compress},
        [IMAGE_COMPRESSION_SMALL] = {small_new, small_free, small_compress},
        [IMAGE_COMPRESSION_ZSTD] = {zstd_new, zstd_free, zstd_compress},
    };
    return &codecs[compression];
}

size_t
block_codec_bound(size_t len)
{
    return len + OVERHEAD_MAX;
}
