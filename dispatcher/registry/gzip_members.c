// Deterministic gzip: every 1 MiB of input becomes a gzip member of its own (RFC 1952 §2.2 allows
// any number), compressed by isa-l level 1 in one stateless call, without name or time.
//
// Independent fixed blocks make the bytes a function of the content alone: isa-l's streaming output
// depends on how the input is cut, and its level 3 on the processor. Changing block size, level or
// library changes every digest, and unchanged layers are then uploaded again.
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "image_internal.h"
#include "reader_internal.h"

enum {
    BLOCK_SIZE = 1024 * 1024,
    // Incompressible input is stored in blocks of 65,535 bytes with 5 bytes each, plus header (10)
    // and trailer (8); this leaves room to spare.
    OVERHEAD_MAX = 64 * 1024,
};

struct gzip_reader {
    struct reader base;
    struct image_file file;
    int64_t taken;            // input bytes read
    bool started;             // at least one member was made: an empty input has one too
    size_t len, sent;         // of the member at hand
    unsigned char *plain_out; // where the hash of the input goes, or NULL
    struct sha256 *plain;
    unsigned char *block, *member;
    size_t block_size, member_size;
    _Alignas(16) unsigned char level[ISAL_DEF_LVL1_DEFAULT];
};

static void
compress_block(struct gzip_reader *reader, size_t len)
{
    struct isal_zstream stream;
    isal_deflate_stateless_init(&stream);
    stream.level = 1;
    stream.level_buf = reader->level;
    stream.level_buf_size = sizeof(reader->level);
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    stream.next_in = reader->block;
    stream.avail_in = (uint32_t)len;
    stream.next_out = reader->member;
    stream.avail_out = (uint32_t)reader->member_size;
    BUG_ON(isal_deflate_stateless(&stream) != COMP_OK);
    reader->len = stream.total_out;
    reader->sent = 0;
    reader->started = true;
}

// The next member, or len 0 at the end.
static struct error *
fill(struct gzip_reader *reader)
{
    int64_t left = reader->file.size - reader->taken;
    size_t len = left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE;
    reader->len = reader->sent = 0;
    if (len > 0 || !reader->started) {
        TRY(image_file_read(&reader->file, reader->taken, (char *)reader->block, len));
        reader->taken += (int64_t)len;
        if (reader->plain != NULL) {
            sha256_update(reader->plain, reader->block, len);
        }
        compress_block(reader, len);
    } else if (reader->plain != NULL) {
        sha256_final(reader->plain, reader->plain_out);
        sha256_freep(&reader->plain);
    }
    return NULL;
}

static int64_t
gzip_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct gzip_reader *reader = ctx;
    if (reader->sent == reader->len) {
        *err = fill(reader);
        if (*err != NULL) {
            return -1;
        }
    }
    size_t left = reader->len - reader->sent;
    size_t len = left < size ? left : size;
    memcpy(out, reader->member + reader->sent, len);
    reader->sent += len;
    return (int64_t)len;
}

static struct error *
gzip_rewind(void *ctx)
{
    struct gzip_reader *reader = ctx;
    BUG_ON(reader->plain_out != NULL); // the first pass is never repeated
    reader->taken = 0;
    reader->started = false;
    reader->len = reader->sent = 0;
    return NULL;
}

static void
gzip_close(struct reader *base)
{
    struct gzip_reader *reader = (struct gzip_reader *)base;
    image_file_close(&reader->file);
    sha256_free(reader->plain);
    free(reader->block);
    free(reader->member);
    free(reader);
}

void
reader_of_gzip(struct image_file *file, unsigned char *plain_hash, struct http_reader *out)
{
    struct gzip_reader *reader = xcalloc(1, sizeof(*reader));
    reader->base.close = gzip_close;
    reader->file = *file;
    // Small layers get small buffers: several are sent at once.
    reader->block_size = file->size < BLOCK_SIZE ? (size_t)file->size : BLOCK_SIZE;
    reader->member_size = reader->block_size + OVERHEAD_MAX;
    reader->block = xmalloc(reader->block_size + 1);
    reader->member = xmalloc(reader->member_size);
    reader->plain_out = plain_hash;
    reader->plain = plain_hash != NULL ? sha256_new() : NULL;
    *file = (struct image_file)IMAGE_FILE_NONE;
    *out = (struct http_reader){gzip_read, gzip_rewind, reader, -1, NULL};
}
