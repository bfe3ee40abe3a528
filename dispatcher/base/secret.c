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
static void
mask_register(struct str bytes)
{
    if (bytes.len < MASK_MIN) {
        return;
    }
    (void)pthread_mutex_lock(&masks.lock);
    bool fresh = !mask_is_known(bytes);
    if (fresh && masks.count < MASK_MAX) {
        masks.list[masks.count++] = (struct mask){xstrndup(bytes.ptr, bytes.len), bytes.len};
    }
    void (*hook)(struct str, void *) = fresh ? masks.hook : NULL;
    void *ctx = masks.hook_ctx;
    (void)pthread_mutex_unlock(&masks.lock);
    if (hook != NULL) {
        hook(bytes, ctx);
    }
}

// A key of several lines is printed line by line: mask each line too.
static void
mask_register_lines(struct str bytes)
{
    struct str line = {0}, rest = bytes;
    while (str_cut(rest, '\n', &line, &rest)) {
        line = str_trim(line);
        if (line.len < bytes.len && line.len >= 16 && !str_starts(line, STR("-----"))) {
            mask_register(line);
        }
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
    if (memchr(secret->bytes, '\n', bytes.len) == NULL) {
        mask_register(bytes);
    } else {
        mask_register_lines(bytes);
    }
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

static bool
replace_all(struct buf *text, struct mask mask)
{
    struct buf out = BUF_INIT(text->max);
    bool found = false;
    struct str rest = buf_str(text);
    while (rest.len > 0) {
        const char *hit = memmem(rest.ptr, rest.len, mask.bytes, mask.len);
        if (hit == NULL) {
            break;
        }
        found = true;
        size_t before = (size_t)(hit - rest.ptr);
        buf_append(&out, rest.ptr, before);
        buf_puts(&out, "***");
        rest = str_skip(rest, before + mask.len);
    }
    if (!found) {
        buf_done(&out);
        return false;
    }
    buf_add(&out, rest);
    buf_wipe(text);
    *text = out;
    return true;
}

void
secret_mask(struct buf *text)
{
    if (text->len == 0) {
        return;
    }
    (void)pthread_mutex_lock(&masks.lock);
    for (size_t i = 0; i < masks.count; i++) {
        (void)replace_all(text, masks.list[i]);
    }
    (void)pthread_mutex_unlock(&masks.lock);
}

void
secret_on_register(void (*hook)(struct str bytes, void *ctx), void *ctx)
{
    (void)pthread_mutex_lock(&masks.lock);
    masks.hook = hook;
    masks.hook_ctx = ctx;
    (void)pthread_mutex_unlock(&masks.lock);
}
