// Secrets: wiped on release, and known to a table that blanks them in whatever goes out.
// The table is one of the two mutable globals of the program (the other is the signal flag).
#define _GNU_SOURCE // memmem
#include "dispatcher/secret.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum {
    MASK_MIN = 6,   // shorter ones would blank innocent text
    LINE_MIN = 16,  // of one line of several
    MASK_MAX = 512, // entries; far more than one deployment has
};

struct secret {
    atomic_int references;
    size_t len;
    char bytes[];
};

struct mask {
    char *bytes;
    size_t len;
};

static struct {
    pthread_mutex_t lock;
    struct mask list[MASK_MAX];
    size_t count;
    void (*hook)(struct str bytes, void *ctx);
    void *hook_ctx;
} masks = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool
mask_is_known(struct str bytes)
{
    for (size_t i = 0; i < masks.count; i++) {
        if (str_equal(bytes, (struct str){masks.list[i].bytes, masks.list[i].len})) {
            return true;
        }
    }
    return false;
}

// Masks stay for the life of the process: text made while a secret lived may be printed later.
// The runner gets single lines only: it would mask each line of a longer text, down to a "}".
static void
mask_register(struct str bytes, bool announced)
{
    if (bytes.len < MASK_MIN) {
        return;
    }
    (void)pthread_mutex_lock(&masks.lock);
    bool fresh = !mask_is_known(bytes);
    if (fresh && masks.count < MASK_MAX) {
        masks.list[masks.count++] = (struct mask){xstrndup(bytes.ptr, bytes.len), bytes.len};
    }
    void (*hook)(struct str, void *) = fresh && announced ? masks.hook : NULL;
    void *ctx = masks.hook_ctx;
    (void)pthread_mutex_unlock(&masks.lock);
    if (hook != NULL) {
        hook(bytes, ctx);
    }
}

// A key of several lines is also printed line by line: mask each line, too.
static void
mask_register_lines(struct str bytes)
{
    struct str line = {0}, rest = bytes;
    while (str_cut(rest, '\n', &line, &rest)) {
        line = str_trim(line);
        if (line.len >= LINE_MIN && !str_starts(line, STR("-----"))) {
            mask_register(line, true);
        }
    }
}

// As JSON writes it (RFC 8259 §7): texts are often masked when they are a document already. Other
// control characters are written as \u00XX, upper case, like jansson does.
static void
mask_register_json(struct str bytes)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(6 * bytes.len + 1);
    for (size_t i = 0; i < bytes.len; i++) {
        const char *at = bytes.ptr[i] != '\0' ? strchr(plain, bytes.ptr[i]) : NULL;
        if (at != NULL) {
            buf_printf(&text, "\\%c", letters[at - plain]);
        } else if ((unsigned char)bytes.ptr[i] < 0x20) {
            buf_printf(&text, "\\u%04X", (unsigned)bytes.ptr[i]);
        } else {
            buf_putc(&text, bytes.ptr[i]);
        }
    }
    if (text.len > bytes.len) {
        mask_register(buf_str(&text), false);
    }
}

// A newline at the end comes from the file that the secret was read from.
static void
mask_register_secret(struct str bytes)
{
    while (bytes.len > 0 && strchr("\r\n", bytes.ptr[bytes.len - 1]) != NULL) {
        bytes.len--;
    }
    bool one_line = bytes.len == 0 || memchr(bytes.ptr, '\n', bytes.len) == NULL;
    mask_register(bytes, one_line);
    mask_register_json(bytes);
    if (!one_line) {
        mask_register_lines(bytes);
    }
}

struct secret *
secret_new(struct str bytes)
{
    struct secret *secret = xmalloc(sizeof(*secret) + bytes.len + 1);
    atomic_init(&secret->references, 1);
    secret->len = bytes.len;
    if (bytes.len > 0) {
        memcpy(secret->bytes, bytes.ptr, bytes.len);
    }
    secret->bytes[bytes.len] = '\0';
    mask_register_secret(secret_expose(secret));
    return secret;
}

struct secret *
secret_ref(struct secret *secret)
{
    if (secret != NULL) {
        atomic_fetch_add(&secret->references, 1);
    }
    return secret;
}

void
secret_free(struct secret *secret)
{
    if (secret != NULL && atomic_fetch_sub(&secret->references, 1) == 1) {
        OPENSSL_cleanse(secret->bytes, secret->len);
        free(secret);
    }
}

void
secret_freep(struct secret **secret)
{
    secret_free(*secret);
    *secret = NULL;
}

struct str
secret_expose(const struct secret *secret)
{
    return (struct str){secret->bytes, secret->len};
}

// Marks every place of `mask` in `text`, overlapping ones too. `*cover` is made on the first hit.
static void
cover_all(struct str text, struct mask mask, char **cover)
{
    struct str rest = text;
    for (;;) {
        const char *hit = rest.len > 0 ? memmem(rest.ptr, rest.len, mask.bytes, mask.len) : NULL;
        if (hit == NULL) {
            return;
        }
        if (*cover == NULL) {
            *cover = xcalloc(text.len, 1);
        }
        memset(*cover + (hit - text.ptr), 1, mask.len);
        rest = str_skip(rest, (size_t)(hit - rest.ptr) + 1);
    }
}

// Each covered stretch becomes "***": where two secrets touch, one may be part of the other.
static void
blank(struct buf *text, const char *cover)
{
    struct buf out = BUF_INIT(text->max);
    for (size_t at = 0; at < text->len;) {
        size_t end = at;
        while (end < text->len && cover[end] == cover[at]) {
            end++;
        }
        buf_add(&out, cover[at] != 0 ? STR("***") : (struct str){text->ptr + at, end - at});
        at = end;
    }
    out.failed = text->failed;
    buf_wipe(text);
    *text = out;
}

void
secret_mask(struct buf *text)
{
    char *cover CLEANUP(xfreep) = NULL;
    (void)pthread_mutex_lock(&masks.lock);
    for (size_t i = 0; i < masks.count; i++) {
        cover_all(buf_str(text), masks.list[i], &cover);
    }
    (void)pthread_mutex_unlock(&masks.lock);
    if (cover != NULL) {
        blank(text, cover);
    }
}

void
secret_on_register(void (*hook)(struct str bytes, void *ctx), void *ctx)
{
    (void)pthread_mutex_lock(&masks.lock);
    masks.hook = hook;
    masks.hook_ctx = ctx;
    (void)pthread_mutex_unlock(&masks.lock);
}
