// A live area: the last lines of a terminal, redrawn in place while something goes on.
//
//     struct live *live CLEANUP(live_freep) = live_new(cli, false);
//     live_update(live, STR(LIVE_SPINNER " waiting for the run, " ...)); // as often as you like
//     cli_out(cli, STR("pushed web\n"));   // goes above the area by itself
//     live_finish(live, STR("done\n"));    // the area is replaced by this
//
// A thread of its own draws ten times a second at most, so spinners and elapsed times move while
// the caller waits in the network. Where the stream is no terminal nothing is drawn: live_is_on()
// is false, live_update does nothing, and the caller says what changed line by line.
#pragma once

#include "cli_internal.h"

// In a text for live_update: becomes the spinner's frame of the moment.
#define LIVE_SPINNER "\001"
// Becomes the time since a mono time: live_elapsed() appends it.
#define LIVE_ELAPSED '\002'

struct live;

/// The area is on standard output, or on stderr. Never NULL.
struct live *live_new(struct cli *cli, bool on_stderr) __attribute__((returns_nonnull));
/// Takes the area away and shows the cursor, if that was not done.
void live_free(struct live *live);
void live_freep(struct live **live);
bool live_is_on(const struct live *live);
/// Replaces the lines of the area. Longer lines are cut at the width of the terminal, more lines
/// than it has are left out; SGR colours may be used.
void live_update(struct live *live, struct str lines);

// Lines that change by themselves, as of the moment when they are drawn. `draw` is called from the
// area's thread or the caller's.
struct live_view {
    size_t width, rows; // that may be used
    bool utf8, color;
};
struct live_drawer {
    void (*draw)(void *ctx, const struct live_view *view, int64_t now_ms, struct buf *out);
    void *ctx;
};
/// They stand below the lines of live_update from now on; NULL ends that.
void live_follow(struct live *live, const struct live_drawer *drawer);

/// Takes the area away, shows the cursor, and prints `last` (also where nothing is drawn).
void live_finish(struct live *live, struct str last);

/// Appends a mark that becomes "45s", "3m 12s", ... since `start_ms` when it is drawn.
void live_elapsed(int64_t start_ms, struct buf *out);

// For output.c: text that goes above the area is written between these two.
void live_hold(struct live *live);
void live_release(struct live *live);

// The pure parts.

/// The text with its marks replaced, as of `now_ms`.
void live_expand(struct str lines, int64_t now_ms, bool utf8, struct buf *out);
size_t live_count_lines(struct str lines);
/// One line cut to `width` columns ("…" where it was cut); colours count nothing and are reset.
void live_cut(struct str line, size_t width, struct buf *out);
/// What to send to a terminal of `width` x `height` that shows `*rows` lines of ours above the
/// cursor; sets *rows to the new number.
void live_frame(struct str lines, size_t width, size_t height, size_t *rows, struct buf *out);
