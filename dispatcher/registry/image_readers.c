// Streams of blob bytes: a run of a file, and any stream held to its size and digest. Compression
// is gzip_members.c.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dispatcher/memory.h"
#include "image_internal.h"
#include "reader_internal.h"

void
image_file_close(struct image_file *file)
{
    if (file->owns_fd && file->fd >= 0) {
        (void)close(file->fd);
    }
    *file = (struct image_file)IMAGE_FILE_NONE;
}

// Up to `len` bytes; 0 only at the end of the file.
static struct error *
read_some(const struct image_file *file, int64_t at, char *out, size_t len, size_t *got)
{
    for (;;) {
        ssize_t count = pread(file->fd, out, len, (off_t)(file->offset + at));
        if (count >= 0) {
            *got = (size_t)count;
            return NULL;
        }
        if (errno != EINTR) {
            return error_new(ERROR_INPUT, "reading failed: %s", strerror(errno));
        }
    }
}

struct error *
image_file_read(const struct image_file *file, int64_t at, char *out, size_t len)
{
    for (size_t done = 0; done < len;) {
        size_t got = 0;
        TRY(read_some(file, at + (int64_t)done, out + done, len - done, &got));
        if (got == 0) {
            return error_new(ERROR_INPUT, "the file became shorter while it was read");
        }
        done += got;
    }
    return NULL;
}

struct file_reader {
    struct reader base;
    struct image_file file;
    int64_t done;
};

static int64_t
file_reader_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct file_reader *reader = ctx;
    int64_t left = reader->file.size - reader->done;
    size_t len = left < (int64_t)size ? (size_t)left : size;
    *err = image_file_read(&reader->file, reader->done, out, len);
    if (*err != NULL) {
        return -1;
    }
    reader->done += (int64_t)len;
    return (int64_t)len;
}

static struct error *
file_reader_rewind(void *ctx)
{
    struct file_reader *reader = ctx;
    reader->done = 0;
    return NULL;
}

static void
file_reader_close(struct reader *base)
{
    struct file_reader *reader = (struct file_reader *)base;
    image_file_close(&reader->file);
    free(reader);
}

void
reader_of_file(struct image_file *file, struct http_reader *out)
{
    struct file_reader *reader = xcalloc(1, sizeof(*reader));
    reader->base.close = file_reader_close;
    reader->file = *file;
    *file = (struct image_file)IMAGE_FILE_NONE;
    *out =
        (struct http_reader){file_reader_read, file_reader_rewind, reader, reader->file.size, NULL};
}

struct bytes_reader {
    struct reader base;
    struct str all, left;
};

static int64_t
bytes_reader_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct bytes_reader *reader = ctx;
    size_t len = reader->left.len < size ? reader->left.len : size;
    (void)err;
    if (len > 0) {
        memcpy(out, reader->left.ptr, len);
    }
    reader->left = str_skip(reader->left, len);
    return (int64_t)len;
}

static struct error *
bytes_reader_rewind(void *ctx)
{
    struct bytes_reader *reader = ctx;
    reader->left = reader->all;
    return NULL;
}

static void
bytes_reader_close(struct reader *base)
{
    free(base);
}

void
reader_of_bytes(struct str bytes, struct http_reader *out)
{
    struct bytes_reader *reader = xcalloc(1, sizeof(*reader));
    reader->base.close = bytes_reader_close;
    reader->all = reader->left = bytes;
    *out = (struct http_reader){
        bytes_reader_read, bytes_reader_rewind, reader, (int64_t)bytes.len, NULL};
}

struct verified_reader {
    struct reader base;
    struct http_reader inner;
    struct sha256 *hash;
    char digest[SHA256_DIGEST_TEXT_SIZE];
    int64_t size, done;
    bool checked;
};

static struct error *
check_digest(struct verified_reader *reader)
{
    unsigned char hash[SHA256_SIZE];
    char text[SHA256_DIGEST_TEXT_SIZE];
    sha256_final(reader->hash, hash);
    sha256_digest_text(hash, text);
    reader->checked = true;
    if (strcmp(text, reader->digest) == 0) {
        return NULL;
    }
    return error_hint(error_new(ERROR_INPUT, "blob '%s' is corrupt: its content has digest '%s'",
                          reader->digest, text),
        "Build or save the image again.");
}

static struct error *
verify_piece(struct verified_reader *reader, const char *bytes, int64_t len)
{
    if (len > reader->size - reader->done) {
        return error_new(ERROR_INPUT, "blob '%s' is longer than the %lld bytes it should have",
            reader->digest, (long long)reader->size);
    }
    if (len == 0 && reader->done < reader->size) {
        return error_new(ERROR_INPUT, "blob '%s' ends after %lld of %lld bytes", reader->digest,
            (long long)reader->done, (long long)reader->size);
    }
    sha256_update(reader->hash, bytes, (size_t)len);
    reader->done += len;
    return reader->done == reader->size && !reader->checked ? check_digest(reader) : NULL;
}

static int64_t
verified_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct verified_reader *reader = ctx;
    if (reader->done == reader->size && reader->checked) {
        return 0;
    }
    int64_t got = reader->inner.read(reader->inner.ctx, out, size, err);
    if (got < 0) {
        return -1;
    }
    *err = verify_piece(reader, out, got);
    return *err == NULL ? got : -1;
}

static struct error *
verified_rewind(void *ctx)
{
    struct verified_reader *reader = ctx;
    TRY(reader->inner.rewind(reader->inner.ctx));
    sha256_free(reader->hash);
    reader->hash = sha256_new();
    reader->done = 0;
    reader->checked = false;
    return NULL;
}

static void
verified_close(struct reader *base)
{
    struct verified_reader *reader = (struct verified_reader *)base;
    reader_close(&reader->inner);
    sha256_free(reader->hash);
    free(reader);
}

void
reader_verified(
    struct http_reader *inner, const char *digest, int64_t size, struct http_reader *out)
{
    struct verified_reader *reader = xcalloc(1, sizeof(*reader));
    reader->base.close = verified_close;
    reader->inner = *inner;
    reader->hash = sha256_new();
    reader->size = size;
    BUG_ON(strlen(digest) + 1 != sizeof(reader->digest));
    memcpy(reader->digest, digest, sizeof(reader->digest));
    *inner = (struct http_reader){0};
    *out = (struct http_reader){verified_read, verified_rewind, reader, size, NULL};
}

void
reader_close(struct http_reader *reader)
{
    if (reader->ctx != NULL) {
        struct reader *base = reader->ctx;
        base->close(base);
    }
    *reader = (struct http_reader){0};
}
