// The growing byte buffer with a cap. Doubles its memory; failure sticks until reset.
#include "dispatcher/buf.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum { WIPE_MAX = 256 * 1024 };

void
buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void
buf_done(struct buf *buf)
{
    free(buf->ptr);
    *buf = (struct buf){.max = buf->max};
}

void
buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
    if (buf->ptr != NULL) {
        buf->ptr[0] = '\0';
    }
}

void
buf_cut(struct buf *buf, size_t len)
{
    if (len < buf->len) {
        buf->len = len;
        buf->ptr[len] = '\0';
    }
}

// Moves to a larger block. A small one is wiped on the way: secrets are small, and buf_wipe would
// not know where their first halves have been.
static void
buf_grow(struct buf *buf, size_t cap)
{
    if (buf->cap > WIPE_MAX) {
        buf->ptr = xrealloc(buf->ptr, cap);
    } else {
        char *larger = xmalloc(cap);
        larger[0] = '\0';
        if (buf->ptr != NULL) {
            memcpy(larger, buf->ptr, buf->len + 1);
            OPENSSL_cleanse(buf->ptr, buf->cap);
            free(buf->ptr);
        }
        buf->ptr = larger;
    }
    buf->cap = cap;
}

static bool
buf_reserve(struct buf *buf, size_t more)
{
    if (buf->failed || more > buf->max - buf->len) {
        buf->failed = true;
        return false;
    }
    size_t need = buf->len + more + 1;
    if (need > buf->cap) {
        size_t cap = buf->cap > 0 ? buf->cap : 64;
        while (cap < need) {
            cap *= 2;
        }
        buf_grow(buf, cap);
    }
    return true;
}

void
buf_append(struct buf *buf, const void *bytes, size_t len)
{
    if (!buf_reserve(buf, len)) {
        return;
    }
    if (len > 0) {
        memcpy(buf->ptr + buf->len, bytes, len);
    }
    buf->len += len;
    buf->ptr[buf->len] = '\0';
}

void
buf_add(struct buf *buf, struct str text)
{
    buf_append(buf, text.ptr, text.len);
}

void
buf_puts(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void
buf_putc(struct buf *buf, char byte)
{
    buf_append(buf, &byte, 1);
}

void
buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    BUG_ON(len < 0);
    if (buf_reserve(buf, (size_t)len)) {
        (void)vsnprintf(buf->ptr + buf->len, (size_t)len + 1, format, args);
        buf->len += (size_t)len;
    }
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

struct error *
buf_finish(const struct buf *buf, const char *what)
{
    if (!buf->failed) {
        return NULL;
    }
    return error_new(ERROR_INPUT, "%s is larger than %zu bytes", what, buf->max);
}

struct str
buf_str(const struct buf *buf)
{
    return (struct str){buf->ptr, buf->len};
}

const char *
buf_cstr(const struct buf *buf)
{
    return buf->ptr != NULL ? buf->ptr : "";
}

char *
buf_take(struct buf *buf)
{
    char *text = buf->ptr != NULL ? buf->ptr : xstrdup("");
    *buf = (struct buf){.max = buf->max};
    return text;
}

void
buf_wipe(struct buf *buf)
{
    if (buf->ptr != NULL) {
        OPENSSL_cleanse(buf->ptr, buf->cap);
    }
    buf_done(buf);
}
