// A private temporary file that takes an archive which comes as a stream: it has no name, so that
// nothing is left behind whatever happens.
//
//     struct image_spool *spool CLEANUP(image_spool_freep) = NULL;
//     TRY(image_spool_new(platform, max, &spool));
//     ... .writer = &(struct http_writer){image_spool_write, spool, NULL} ...
//     int fd = image_spool_take(spool);
//
// The directory is TMPDIR's, else /var/tmp, else /tmp, which is often kept in memory.
#pragma once

#include <stdint.h>

#include "dispatcher/error.h"
#include "dispatcher/platform.h"

struct image_spool;

/// More than `max` bytes are refused.
NODISCARD struct error *image_spool_new(
    const struct platform *platform, int64_t max, struct image_spool **out);
void image_spool_free(struct image_spool *spool);
void image_spool_freep(struct image_spool **spool);
/// Told of the bytes so far: 0 at once, then about once a MiB.
void image_spool_watch(
    struct image_spool *spool, void (*progress)(void *ctx, int64_t done), void *ctx);
/// A write of http_writer; `ctx` is the spool. ERROR_STORAGE names the directory.
NODISCARD struct error *image_spool_write(void *ctx, const char *bytes, size_t len);
/// The descriptor, at the start of the file; the caller's from here on.
NODISCARD struct error *image_spool_take(struct image_spool *spool, int *fd);
