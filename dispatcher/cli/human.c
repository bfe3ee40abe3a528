// Sizes, bars and spinners. Decides nothing about where they are drawn.
#include "human.h"

#include <stdio.h>

#include "dispatcher/text.h"

enum { BAR_MOST = 30, BAR_LEAST = 8, PART_MAX = 64 };

static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

// The unit in which `bytes` has at most four digits before the point.
static size_t
unit_of(int64_t bytes)
{
    size_t unit = 0;
    // 1023.95 would be shown as 1024.0: it belongs to the next unit.
    for (double value = (double)bytes; value >= 1023.95 && unit + 1 < ARRAY_LENGTH(units); unit++) {
        value /= 1024;
    }
    return unit;
}

static void
put_in_unit(int64_t bytes, size_t unit, struct buf *out)
{
    double value = (double)bytes;
    for (size_t i = 0; i < unit; i++) {
        value /= 1024;
    }
    buf_printf(out, unit == 0 ? "%.0f" : "%.1f", value);
}

void
human_size(int64_t bytes, struct buf *out)
{
    bytes = bytes > 0 ? bytes : 0;
    size_t unit = unit_of(bytes);
    put_in_unit(bytes, unit, out);
    buf_printf(out, " %s", units[unit]);
}

static void
put_bar(size_t cells, int64_t done, int64_t total, bool utf8, struct buf *out)
{
    double share = total > 0 ? (double)done / (double)total : 0;
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

// " 12.3/28.4 MiB", both in the unit of the total.
static void
put_sizes(const struct progress *progress, int64_t done, struct buf *out)
{
    buf_putc(out, ' ');
    if (progress->total > 0) {
        size_t unit = unit_of(progress->total);
        put_in_unit(done, unit, out);
        buf_putc(out, '/');
        put_in_unit(progress->total, unit, out);
        buf_printf(out, " %s", units[unit]);
    } else {
        human_size(done, out);
    }
}

void
human_progress(const struct progress *progress, size_t width, bool utf8, struct buf *out)
{
    int64_t total = progress->total, done = progress->done > 0 ? progress->done : 0;
    done = total > 0 && done > total ? total : done; // a retry may have counted twice
    struct buf percent CLEANUP(buf_done) = BUF_INIT(PART_MAX);
    struct buf sizes CLEANUP(buf_done) = BUF_INIT(PART_MAX);
    struct buf speed CLEANUP(buf_done) = BUF_INIT(PART_MAX);
    // 100 only when it is complete: a bar that says 100% and goes on is not believed again.
    int shown = total > 0 ? (int)((double)done * 100 / (double)total) : 0;
    shown = shown >= 100 && done < total ? 99 : shown;
    buf_printf(&percent, total > 0 ? "%d%%" : "", shown);
    put_sizes(progress, done, &sizes);
    if (progress->bytes_per_second > 0) {
        buf_putc(&speed, ' ');
        human_size(progress->bytes_per_second, &speed);
        buf_puts(&speed, "/s");
    }
    size_t used = percent.len + sizes.len;
    bool fits_speed = used + speed.len <= width;
    used += fits_speed ? speed.len : 0;
    bool fits_sizes = used <= width;
    if (total > 0 && used + BAR_LEAST + 3 <= width) {
        size_t room = width - used - 3; // brackets and a blank
        put_bar(room < BAR_MOST ? room : BAR_MOST, done, total, utf8, out);
        buf_putc(out, ' ');
    }
    buf_add(out, buf_str(&percent));
    struct str tail = fits_sizes ? buf_str(&sizes) : STR("");
    buf_add(out, percent.len > 0 ? tail : str_trim(tail));
    buf_add(out, fits_speed ? buf_str(&speed) : STR(""));
}

const char *
human_spinner(int64_t mono_ms, bool utf8)
{
    static const char *const dots[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    static const char *const plain[] = {"|", "/", "-", "\\"};
    size_t tick = (size_t)((uint64_t)mono_ms / 100);
    return utf8 ? dots[tick % ARRAY_LENGTH(dots)] : plain[tick % ARRAY_LENGTH(plain)];
}
