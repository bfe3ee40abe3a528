// Compression of one block into bytes that stand for themselves: a whole gzip member (RFC 1952
// §2.2 allows any number after each other) or a whole zstd frame (RFC 8878 §3). Knows nothing of
// layers and threads; that is compressor.c.
//
// The bytes must be a function of the content alone, on every machine, or unchanged layers are
// uploaded again: no name, no time, fixed levels, and isa-l only at a level that does not depend on
// the processor (0 to 2 do not, 3 does; facts: registry-push §4.6). Changing a level or a library
// changes every digest that is made from then on.
#define _DEFAULT_SOURCE // MAP_ANONYMOUS
#include "block_codec_internal.h"

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <sys/mman.h>
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
    struct isal_zstream *stream; // at an address of our choice, in a mapping of its own
    bool mapped;
    _Alignas(16) unsigned char level[ISAL_DEF_LVL1_DEFAULT];
};

// isa-l 2.30 takes its first second hash not from the data but from a register that still holds the
// stream's address (igzip_icf_body_h1_gr_bt.asm, `.write_first_byte`: tmp2 is rcx): bits 16 to 47
// of it, by CRC-32C as SSE 4.2 computes it, name the slot of the hash table that is overwritten
// then. One block in some thousands came out a few bytes different from process to process. So the
// address is chosen to name the same slot always. Other versions do not mind.
enum {
    STREAM_SLOT = 7, // any but 0, which zeros are kept in
    SLOTS = 8192,    // of level 1
    ADDRESS_SHIFT = 16,
    STREAM_ROOM = 128 * 1024,
};

static uint32_t
crc32c_of(uint32_t word)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        word = (word >> 1) ^ (0x82f63b78 & -(word & 1));
    }
    return word;
}

static bool
names_our_slot(uintptr_t address)
{
    return crc32c_of((uint32_t)(address >> ADDRESS_SHIFT)) % SLOTS == STREAM_SLOT;
}

// Reserves addresses, which costs no memory, and keeps the first place among them that will do.
static void *
map_stream(size_t reserve)
{
    void *range =
        mmap(NULL, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) {
        return NULL;
    }
    uintptr_t start = (uintptr_t)range, end = start + reserve, step = (uintptr_t)1 << ADDRESS_SHIFT;
    uintptr_t at = (start + step - 1) / step * step;
    while (at + STREAM_ROOM <= end && !names_our_slot(at)) {
        at += step;
    }
    bool found = at + STREAM_ROOM <= end;
    char *place = (char *)range + (at - start);
    if (!found || mprotect(place, STREAM_ROOM, PROT_READ | PROT_WRITE) != 0) {
        (void)munmap(range, reserve);
        return NULL;
    }
    if (at > start) {
        (void)munmap(range, at - start);
    }
    if (end > at + STREAM_ROOM) {
        (void)munmap(place + STREAM_ROOM, end - at - STREAM_ROOM);
    }
    return place;
}

// Where addresses are rationed (ulimit -v), any place must do: the layer is as good, but rarely the
// same bytes as elsewhere.
static void *
isal_new(void)
{
    static const size_t reserves[] = {(size_t)1 << 30, (size_t)4 << 30, (size_t)16 << 30};
    struct isal_state *state = xcalloc(1, sizeof(*state));
    _Static_assert(sizeof(*state->stream) <= STREAM_ROOM, "the stream needs more room");
    for (size_t i = 0; i < ARRAY_LENGTH(reserves) && state->stream == NULL; i++) {
        state->stream = map_stream(reserves[i]);
    }
    state->mapped = state->stream != NULL;
    if (!state->mapped) {
        state->stream = xcalloc(1, sizeof(*state->stream));
    }
    return state;
}

static void
isal_free(void *ctx)
{
    struct isal_state *state = ctx;
    if (state->mapped) {
        (void)munmap(state->stream, STREAM_ROOM);
    } else {
        free(state->stream);
    }
    free(state);
}

static size_t
isal_compress(void *ctx, const unsigned char *in, size_t len, unsigned char *out, size_t max)
{
    struct isal_state *state = ctx;
    struct isal_zstream *stream = state->stream;
    isal_deflate_stateless_init(stream);
    stream->level = 1;
    stream->level_buf = state->level;
    stream->level_buf_size = sizeof(state->level);
    stream->gzip_flag = IGZIP_GZIP;
    stream->end_of_stream = 1;
    stream->next_in = (unsigned char *)(uintptr_t)in; // isa-l only reads it
    stream->avail_in = (uint32_t)len;
    stream->next_out = out;
    stream->avail_out = (uint32_t)max;
    BUG_ON(isal_deflate_stateless(stream) != COMP_OK);
    return stream->total_out;
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
        [IMAGE_COMPRESSION_FAST] = {isal_new, isal_free, isal_compress},
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
