// One block, one member: the same bytes whatever the addresses of the codec's own memory. Streams
// of blocks and their golden digests are test_compressor.c's.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block_codec_internal.h"
#include "dispatcher/memory.h"

enum { SLOTS = 8192, BLOCK = 4200, REPEAT_AT = 3000, OUT = 128 * 1024, STATES = 4 };

static uint32_t
crc32c_of(uint32_t word)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        word = (word >> 1) ^ (0x82f63b78 & -(word & 1));
    }
    return word;
}

// Starts with four bytes that isa-l keeps in `slot` of its table, and has them again further on:
// whether they are found there depends on nobody else having written to that slot.
static void
make_block(uint32_t slot, unsigned char *out)
{
    uint32_t state = slot + 1, word = 0;
    while (crc32c_of(word) % SLOTS != slot) {
        word++;
    }
    for (size_t i = 0; i < BLOCK; i++) {
        state = state * 1664525 + 1013904223;
        out[i] = (unsigned char)(state >> 24 & 0x3f); // or it would be stored as it is
    }
    memcpy(out, &word, sizeof(word));
    memcpy(out + REPEAT_AT, out, 12);
}

// Fails with isa-l 2.30 where a state lies at any address.
static void
addresses_do_not_show_in_the_bytes(void **context)
{
    (void)context;
    static unsigned char block[BLOCK], first[OUT], other[OUT];
    const struct block_codec *codec = block_codec_of(IMAGE_COMPRESSION_FAST);
    void *states[STATES];
    for (size_t i = 0; i < STATES; i++) {
        states[i] = codec->state_new();
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        make_block(slot, block);
        size_t len = codec->compress(states[0], block, BLOCK, first, OUT);
        for (size_t i = 1; i < STATES; i++) {
            assert_int_equal(codec->compress(states[i], block, BLOCK, other, OUT), len);
            assert_memory_equal(first, other, len);
        }
    }
    for (size_t i = 0; i < STATES; i++) {
        codec->state_free(states[i]);
    }
}

static void
no_block_outgrows_the_bound(void **context)
{
    (void)context;
    enum { WHOLE = 1024 * 1024 };
    static const enum image_compression all[] = {
        IMAGE_COMPRESSION_FAST, IMAGE_COMPRESSION_SMALL, IMAGE_COMPRESSION_ZSTD};
    unsigned char *noise = xmalloc(WHOLE), *out = xmalloc(block_codec_bound(WHOLE));
    uint32_t state = 1;
    for (size_t i = 0; i < WHOLE; i++) {
        state = state * 1664525 + 1013904223;
        noise[i] = (unsigned char)(state >> 24);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        const struct block_codec *codec = block_codec_of(all[i]);
        void *own = codec->state_new();
        size_t len = codec->compress(own, noise, WHOLE, out, block_codec_bound(WHOLE));
        assert_in_range(len, WHOLE - WHOLE / 16, block_codec_bound(WHOLE));
        codec->state_free(own);
    }
    free(noise);
    free(out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_do_not_show_in_the_bytes),
        cmocka_unit_test(no_block_outgrows_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
