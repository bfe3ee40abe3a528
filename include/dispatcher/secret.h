// Bytes that must never be shown: tokens, keys, passwords.
//
// There is no printf path: only secret_expose() gives the bytes, which is greppable. The memory is
// wiped on release. Every secret of 6 bytes or more is also entered in a process-wide mask table,
// so that secret_mask() can blank it in any text on its way out (last line of defence).
//
//     struct secret *token CLEANUP(secret_freep) = secret_new(str_of(value));
//     http_headers_add_secret(&headers, "Authorization", "Bearer ", token);
//
// Objects are reference-counted and immutable; counting and the mask table are thread-safe.
#pragma once

#include "dispatcher/buf.h"
#include "dispatcher/str.h"

struct secret;

struct secret *secret_new(struct str bytes) __attribute__((returns_nonnull));
struct secret *secret_ref(struct secret *secret); // NULL stays NULL
void secret_free(struct secret *secret);          // drops one reference
void secret_freep(struct secret **secret);
/// The bytes, NUL-terminated, owned by the secret.
struct str secret_expose(const struct secret *secret);

/// Replaces every registered secret that occurs in `text` by "***".
void secret_mask(struct buf *text);
/// Called once for each newly registered secret, before anything can print it: the front end emits
/// `::add-mask::` there. NULL removes the hook.
void secret_on_register(void (*hook)(struct str bytes, void *ctx), void *ctx);
