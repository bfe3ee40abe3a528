// The bars of an upload: one a layer that is under way, a total, and what the rest is doing. Pure:
// what is known in, text out; live.h puts it on the terminal.
//
//       8a7c03f2b1c9 [███████░░░░░]  62%  80.1 of 128.0 MiB → 30.4 MiB sent
//       77b1f0c29d3e waiting              28.4 MiB
//       +3 more
//       total        [█████░░░░░░░]  43% 112.4 of 260.0 MiB → 41.2 MiB sent
//       12.0 MiB/s, 14s left, 2 sent, 5 already there, 4 waiting
//
// Of a layer that is compressed the first two numbers count what is read of it.
#pragma once

#include "live.h"
#include "push_layers.h"

/// Appends at most view->rows lines of at most view->width columns: what is being sent first, then
/// the largest that wait.
void push_bars_draw(const struct push_layers *layers, const struct live_view *view, int64_t now_ms,
    struct buf *out);
/// The same as a live_drawer, under the lock; ctx is the struct push_layers.
void push_bars_live(void *ctx, const struct live_view *view, int64_t now_ms, struct buf *out);
