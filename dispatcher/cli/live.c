// The live area's thread and its terminal. What is drawn comes from live_frame.c.
//
// One lock guards everything. Text of others is written while the area is off the screen
// (live_hold, live_release), so the two never mix.
#include "live.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dispatcher/memory.h"
#include "setup.h"
#include "signals.h"

enum { TICK_MS = 100, LINES_MAX = 256 * 1024, DEFAULT_HEIGHT = 24 };

struct live {
    struct cli *cli;
    int fd;
    bool on, to_stderr, hidden; // hidden: the cursor
    pthread_mutex_t lock;
    pthread_t thread;
    struct cancel *stop;       // ends the thread's sleep
    struct buf lines;          // as the caller gave them
    struct live_drawer drawer; // draw NULL: none
    struct buf drawn;          // expanded, as on the screen
    size_t rows, width;        // of what is on the screen
};

static void
send_to(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t put = write(fd, text.ptr, text.len);
        if (put < 0 && errno != EINTR) {
            return;
        }
        text = str_skip(text, put > 0 ? (size_t)put : 0);
    }
}

static size_t
terminal_height(int fd)
{
    struct winsize size = {0};
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : DEFAULT_HEIGHT;
}

// All that is to be seen at this moment, in a terminal of that size. The lock is held.
static void
compose(struct live *live, size_t width, size_t height, struct buf *out)
{
    struct buf lines CLEANUP(buf_done) = BUF_INIT(2 * LINES_MAX);
    int64_t now = clock_mono(live->cli->platform.clock);
    buf_add(&lines, buf_str(&live->lines));
    if (live->drawer.draw != NULL) {
        size_t used = live_count_lines(buf_str(&lines)) + 1; // and the cursor's own
        const struct live_view view = {.width = width - 1,
            .rows = height > used ? height - used : 0,
            .utf8 = live->cli->utf8,
            .color = live->cli->color};
        live->drawer.draw(live->drawer.ctx, &view, now, &lines);
    }
    live_expand(buf_str(&lines), now, live->cli->utf8, out);
    secret_mask(out);
}

// Draws when something changed since the last time. The lock is held.
static void
draw(struct live *live)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(2 * LINES_MAX);
    struct buf frame CLEANUP(buf_done) = BUF_INIT(8 * LINES_MAX);
    size_t width = (size_t)cli_terminal_width(live->fd);
    size_t height = terminal_height(live->fd);
    compose(live, width, height, &text);
    bool same = width == live->width && str_equal(buf_str(&text), buf_str(&live->drawn));
    if (same && (live->rows > 0 || text.len == 0)) {
        return;
    }
    if (!live->hidden) {
        buf_puts(&frame, "\x1b[?25l");
        live->hidden = true;
        signals_cursor_hidden(live->fd);
    }
    live_frame(buf_str(&text), width - 1, height, &live->rows, &frame);
    send_to(live->fd, buf_str(&frame));
    buf_reset(&live->drawn);
    buf_add(&live->drawn, buf_str(&text));
    live->width = width;
}

// Takes the area off the screen. The lock is held.
static void
erase(struct live *live)
{
    struct buf frame CLEANUP(buf_done) = BUF_INIT(1024);
    if (live->rows > 0) {
        live_frame(STR(""), live->width, DEFAULT_HEIGHT, &live->rows, &frame);
    }
    buf_reset(&live->drawn);
    send_to(live->fd, buf_str(&frame));
}

static void *
draw_until_stopped(void *ctx)
{
    struct live *live = ctx;
    const struct clock *clock = live->cli->platform.clock;
    for (;;) {
        struct error *err = clock_sleep_until(clock, clock_mono(clock) + TICK_MS, live->stop);
        if (err != NULL) {
            error_free(err);
            return NULL;
        }
        (void)pthread_mutex_lock(&live->lock);
        draw(live);
        (void)pthread_mutex_unlock(&live->lock);
    }
}

struct live *
live_new(struct cli *cli, bool on_stderr)
{
    struct live *live = xcalloc(1, sizeof(*live));
    live->cli = cli;
    live->to_stderr = on_stderr;
    live->fd = on_stderr ? STDERR_FILENO : STDOUT_FILENO;
    buf_init(&live->lines, LINES_MAX);
    buf_init(&live->drawn, LINES_MAX);
    (void)pthread_mutex_init(&live->lock, NULL);
    if (!(on_stderr ? cli->error_terminal : cli->terminal)) {
        return live;
    }
    live->stop = cancel_new();
    live->on = pthread_create(&live->thread, NULL, draw_until_stopped, live) == 0;
    cli->live = live->on ? live : NULL;
    return live;
}

bool
live_is_on(const struct live *live)
{
    return live->on;
}

void
live_update(struct live *live, struct str lines)
{
    if (!live->on) {
        return;
    }
    (void)pthread_mutex_lock(&live->lock);
    buf_reset(&live->lines);
    buf_add(&live->lines, lines);
    (void)pthread_mutex_unlock(&live->lock);
}

void
live_follow(struct live *live, const struct live_drawer *drawer)
{
    (void)pthread_mutex_lock(&live->lock);
    live->drawer = drawer != NULL ? *drawer : (struct live_drawer){0};
    (void)pthread_mutex_unlock(&live->lock);
}

static void
stop(struct live *live)
{
    if (!live->on) {
        return;
    }
    live->on = false;
    live->cli->live = NULL;
    cancel_raise(live->stop, 1);
    (void)pthread_join(live->thread, NULL);
    erase(live);
    if (live->hidden) {
        signals_cursor_hidden(-1);
        send_to(live->fd, STR("\x1b[?25h"));
    }
}

void
live_finish(struct live *live, struct str last)
{
    stop(live);
    if (last.len > 0) {
        (live->to_stderr ? cli_err : cli_out)(live->cli, last);
    }
}

void
live_free(struct live *live)
{
    if (live == NULL) {
        return;
    }
    stop(live);
    cancel_free(live->stop);
    (void)pthread_mutex_destroy(&live->lock);
    buf_done(&live->lines);
    buf_done(&live->drawn);
    free(live);
}

void
live_freep(struct live **live)
{
    live_free(*live);
    *live = NULL;
}

void
live_hold(struct live *live)
{
    if (live != NULL) {
        (void)pthread_mutex_lock(&live->lock);
        erase(live);
    }
}

void
live_release(struct live *live)
{
    if (live != NULL) {
        draw(live);
        (void)pthread_mutex_unlock(&live->lock);
    }
}
