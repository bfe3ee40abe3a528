// Sizes, bars and spinners. Decides nothing about where they are drawn.
#include "human.h"

#include <stdio.h>

#include "dispatcher/clock.h"

static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

size_t
human_unit(int64_t bytes)
{
    size_t unit = 0;
    // 1023.95 would be shown as 1024.0: it belongs to the next unit.
    for (double value = (double)bytes; value >= 1023.95 && unit + 1 < ARRAY_LENGTH(units); unit++) {
        value /= 1024;
    }
    return unit;
}

const char *
human_unit_name(size_t unit)
{
    return units[unit < ARRAY_LENGTH(units) ? unit : ARRAY_LENGTH(units) - 1];
}

void
human_in_unit(int64_t bytes, size_t unit, struct buf *out)
{
    double value = (double)(bytes > 0 ? bytes : 0);
    for (size_t i = 0; i < unit; i++) {
        value /= 1024;
    }
    buf_printf(out, unit == 0 ? "%.0f" : "%.1f", value);
}

void
human_size(int64_t bytes, struct buf *out)
{
    size_t unit = human_unit(bytes);
    human_in_unit(bytes, unit, out);
    buf_printf(out, " %s", units[unit]);
}

int
human_percent(int64_t done, int64_t total)
{
    if (total <= 0 || done <= 0) {
        return 0;
    }
    if (done >= total) { // a retry may have counted twice
        return 100;
    }
    int percent = (int)((double)done * 100 / (double)total);
    return percent >= 100 ? 99 : percent;
}

void
human_bar(int64_t done, int64_t total, size_t cells, bool utf8, struct buf *out)
{
    double share = total > 0 && done > 0 ? (double)done / (double)total : 0;
    size_t full = (size_t)(share * (double)cells);
    buf_putc(out, '[');
    for (size_t i = 0; i < cells; i++) {
        if (utf8) {
            buf_puts(out, i < full ? "█" : "░");
        } else {
            buf_putc(out, i < full ? '#' : '.');
        }
    }
    buf_putc(out, ']');
}

void
human_seconds(int64_t ms, struct buf *out)
{
    char text[32];
    if (ms < 9950) { // where clock_format_duration would tell tenths
        buf_printf(out, "%ds", (int)((ms > 0 ? ms : 0) / 1000));
        return;
    }
    clock_format_duration(ms, text);
    buf_puts(out, text);
}

const char *
human_spinner(int64_t mono_ms, bool utf8)
{
    static const char *const dots[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    static const char *const plain[] = {"|", "/", "-", "\\"};
    size_t tick = (size_t)((uint64_t)mono_ms / 100);
    return utf8 ? dots[tick % ARRAY_LENGTH(dots)] : plain[tick % ARRAY_LENGTH(plain)];
}
