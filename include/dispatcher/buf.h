// A growing, always NUL-terminated byte buffer with a mandatory cap.
//
//     struct buf buf CLEANUP(buf_done) = BUF_INIT(64 * 1024);
//     buf_printf(&buf, "%s/%s", owner, repo);
//     TRY(buf_finish(&buf, "request path"));
//
// A buffer that would pass its cap stays failed: appends do nothing and buf_finish tells. Check
// once at the end instead of after each append. Not thread-safe; the owner is whoever holds the
// struct.
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "dispatcher/error.h"
#include "dispatcher/str.h"

struct buf {
    char *ptr; // NUL-terminated once anything was appended; NULL before
    size_t len, cap, max;
    bool failed;
};

#define BUF_INIT(limit)                                                                            \
    {                                                                                              \
        .max = (limit)                                                                             \
    }

void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);
void buf_reset(struct buf *buf);           // empty again, memory kept, failure forgotten
void buf_cut(struct buf *buf, size_t len); // shorter again; a longer `len` changes nothing
void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_add(struct buf *buf, struct str text);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char byte);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *format, va_list args) PRINTF_LIKE(2, 0);
/// Error ERROR_INPUT naming `what` and the cap when the buffer failed, else NULL.
NODISCARD struct error *buf_finish(const struct buf *buf, const char *what);
struct str buf_str(const struct buf *buf);
/// The content as a C string that stays owned by the buffer ("" when empty).
const char *buf_cstr(const struct buf *buf);
/// Moves the content out (heap, NUL-terminated, never NULL); the buffer is empty afterwards.
char *buf_take(struct buf *buf);
/// Wipes before releasing; for buffers that held a secret.
void buf_wipe(struct buf *buf);
