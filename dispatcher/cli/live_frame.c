// The pure part of the live area: text to terminal bytes. Uses four sequences that every terminal
// of the last thirty years knows: cursor up, erase line, erase below, SGR (ECMA-48).
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "human.h"
#include "live.h"

enum { MARK_MAX = 24 };

void
live_elapsed(int64_t start_ms, struct buf *out)
{
    buf_printf(out, "%c%lld%c", LIVE_ELAPSED, (long long)start_ms, LIVE_ELAPSED);
}

// Reads the number between two marks; false when the mark is damaged.
static bool
take_elapsed(struct str *text, int64_t *start_ms)
{
    struct str number = {0}, rest = {0};
    bool fine = str_cut(str_skip(*text, 1), LIVE_ELAPSED, &number, &rest) &&
                number.len + 2 + rest.len == text->len && number.len <= MARK_MAX &&
                str_to_int64(number, start_ms);
    *text = fine ? rest : str_skip(*text, 1);
    return fine;
}

void
live_expand(struct str lines, int64_t now_ms, bool utf8, struct buf *out)
{
    while (lines.len > 0) {
        int64_t start_ms = 0;
        if (lines.ptr[0] == LIVE_SPINNER[0]) {
            buf_puts(out, human_spinner(now_ms, utf8));
            lines = str_skip(lines, 1);
        } else if (lines.ptr[0] == LIVE_ELAPSED) {
            char duration[32];
            if (take_elapsed(&lines, &start_ms)) {
                // Whole seconds: tenths would flicker.
                int64_t ms = now_ms > start_ms ? now_ms - start_ms : 0;
                clock_format_duration(ms < 10000 ? 0 : ms, duration);
                if (ms < 10000) {
                    buf_printf(out, "%ds", (int)(ms / 1000));
                } else {
                    buf_puts(out, duration);
                }
            }
        } else {
            buf_putc(out, lines.ptr[0]);
            lines = str_skip(lines, 1);
        }
    }
}

// Length of an SGR sequence ("\x1b[1;31m") at the start, else 0.
static size_t
colour_length(struct str text)
{
    if (!str_starts(text, STR("\x1b["))) {
        return 0;
    }
    for (size_t i = 2; i < text.len; i++) {
        if (text.ptr[i] == 'm') {
            return i + 1;
        }
        if (text.ptr[i] != ';' && (text.ptr[i] < '0' || text.ptr[i] > '9')) {
            return 0;
        }
    }
    return 0;
}

// Length of the character at the start: its lead byte and what continues it.
static size_t
character_length(struct str text)
{
    size_t len = 1;
    while (len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) {
        len++;
    }
    return len;
}

// Columns of a line whose colours count nothing.
static size_t
visible_width(struct str line)
{
    size_t width = 0;
    while (line.len > 0) {
        size_t colour = colour_length(line);
        size_t len = colour > 0 ? colour : character_length(line);
        width += colour > 0 ? 0 : text_width((struct str){line.ptr, len});
        line = str_skip(line, len);
    }
    return width;
}

void
live_cut(struct str line, size_t width, struct buf *out)
{
    bool too_long = visible_width(line) > width;
    size_t room = too_long && width > 0 ? width - 1 : width, used = 0;
    bool coloured = false;
    while (line.len > 0) {
        size_t len = colour_length(line);
        if (len > 0) {
            coloured = true;
        } else {
            len = character_length(line);
            size_t columns = text_width((struct str){line.ptr, len});
            if (used + columns > room) {
                break;
            }
            used += columns;
        }
        bool control = (unsigned char)line.ptr[0] < 0x20 && line.ptr[0] != 0x1b;
        bool stray = line.ptr[0] == 0x1b && colour_length(line) == 0;
        buf_append(out, control || stray ? "?" : line.ptr, control || stray ? 1 : len);
        line = str_skip(line, len);
    }
    buf_puts(out, too_long && width > 0 ? "…" : "");
    buf_puts(out, coloured ? "\x1b[0m" : "");
}

size_t
live_count_lines(struct str lines)
{
    struct str line = {0};
    size_t count = 0;
    while (str_cut(lines, '\n', &line, &lines)) {
        count++;
    }
    return count;
}

void
live_frame(struct str lines, size_t width, size_t height, size_t *rows, struct buf *out)
{
    size_t total = live_count_lines(lines), room = height > 1 ? height - 1 : 1;
    size_t shown = total > room ? room - 1 : total;
    if (*rows > 0) {
        buf_printf(out, "\x1b[%zuA", *rows);
    }
    buf_putc(out, '\r');
    struct str line = {0};
    for (size_t i = 0; i < shown && str_cut(lines, '\n', &line, &lines); i++) {
        live_cut(line, width, out);
        buf_puts(out, "\x1b[K\n");
    }
    *rows = shown;
    if (total > shown) {
        buf_printf(out, "… %zu more lines\x1b[K\n", total - shown);
        (*rows)++;
    }
    buf_puts(out, "\x1b[J");
}
