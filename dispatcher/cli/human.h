// Numbers as people read them. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dispatcher/buf.h"

/// "0 B", "512 B", "12.3 MiB", "1.5 GiB": three or four digits, powers of 1024.
void human_size(int64_t bytes, struct buf *out);

/// The unit in which human_size shows `bytes`, for several numbers that are to be compared.
size_t human_unit(int64_t bytes);
const char *human_unit_name(size_t unit);
/// "12.3", without the unit.
void human_in_unit(int64_t bytes, size_t unit, struct buf *out);

/// 0 to 100, and 100 only when it is complete: a bar that says 100% and goes on is not believed
/// again.
int human_percent(int64_t done, int64_t total);
/// "[████░░░░]" with so many cells. Without `utf8` it is made of '#' and '.'.
void human_bar(int64_t done, int64_t total, size_t cells, bool utf8, struct buf *out);

/// "12s", "3m 12s": whole seconds, for what changes while it is looked at.
void human_seconds(int64_t ms, struct buf *out);

/// One frame of a spinner for this moment, ten a second; one column wide.
const char *human_spinner(int64_t mono_ms, bool utf8);
