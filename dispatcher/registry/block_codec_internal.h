// One block in, one gzip member or zstd frame out (block_codec.c). A state belongs to one thread.
#pragma once

#include <stddef.h>

#include "dispatcher/image.h"

struct block_codec {
    void *(*state_new)(void);
    void (*state_free)(void *state);
    /// The length written to `out`, which has room for block_codec_bound(len).
    size_t (*compress)(
        void *state, const unsigned char *in, size_t len, unsigned char *out, size_t max);
};

const struct block_codec *block_codec_of(enum image_compression compression);
/// The most that a block of `len` bytes, 1 MiB at most, can become.
size_t block_codec_bound(size_t len);
