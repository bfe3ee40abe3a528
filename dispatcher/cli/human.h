// Numbers as people read them. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dispatcher/buf.h"

/// "0 B", "512 B", "12.3 MiB", "1.5 GiB": three or four digits, powers of 1024.
void human_size(int64_t bytes, struct buf *out);

// How far something is.
struct progress {
    int64_t done, total;      // bytes; total 0: unknown
    int64_t bytes_per_second; // 0: not shown
};

/// "[████░░░░] 43% 12.3/28.4 MiB 35.0 MiB/s" in at most `width` columns: the speed goes first, then
/// the sizes, then the bar. Without `utf8` the bar is made of '#' and '.'.
void human_progress(const struct progress *progress, size_t width, bool utf8, struct buf *out);

/// One frame of a spinner for this moment, ten a second; one column wide.
const char *human_spinner(int64_t mono_ms, bool utf8);
