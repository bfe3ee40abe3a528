// An upload in lines, for logs: one a layer when it is done, one now and then while it takes long.
// Pure; every line ends with '\n' and can be printed as it is.
#pragma once

#include "push_layers.h"

/// "  sha256:8a7c03f2b1c9  129.6 MiB  sent as 41.2 MiB in 1.2s"; nothing while it is under way. On
/// a terminal that is narrower than that, `width` columns; 0: whatever it takes.
void push_lines_layer(const struct push_layer *layer, size_t width, struct buf *out);
/// "  43%, 112.4 MiB of 260.0 MiB, 12.0 MiB/s, 14s left": nothing unless ten seconds have gone by
/// since the last one or the start.
void push_lines_progress(struct push_layers *layers, int64_t now_ms, struct buf *out);
/// "oci:build/image, linux/amd64: 5 blobs, 260.0 MiB". `source` is cleaned.
void push_lines_image(
    const char *source, const char *platforms, const struct push_layers *layers, struct buf *out);
/// "3 sent, 5 already there, 1 reused": what became of them; those that are none are left out.
void push_lines_counts(const struct push_layers *layers, struct buf *out);
