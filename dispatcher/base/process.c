// Waits for a program, takes what it writes, and ends it when its time is up. How it is started is
// process_spawn.c.
#include "dispatcher/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dispatcher/text.h"
#include "process_internal.h"

enum {
    SLICE_MS = 50,
    GRACE_SLICES = 40, // real time, whatever the platform's clock does
    SHOWN_MAX = 300,
};

struct stream {
    int *fd;
    bool is_error;
    struct buf line;
};

struct running {
    const struct process_order *order;
    struct process_child child;
    struct stream streams[2];
    int status;
};

static void
close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

// Its end is seen but not taken, so that its process group stays ours to signal.
static bool
has_ended(const struct running *running)
{
    siginfo_t about = {0};
    return running->child.pid <= 0 ||
           (waitid(P_PID, (id_t)running->child.pid, &about, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               about.si_pid != 0);
}

static void
send_signal(const struct running *running, int number)
{
    (void)kill(running->order->on_terminal ? running->child.pid : -running->child.pid, number);
}

static void
reap(struct running *running)
{
    while (waitpid(running->child.pid, &running->status, 0) < 0 && errno == EINTR) {
    }
    running->child.pid = 0;
}

/// Reads what is there; closes at the end. The number of bytes.
static size_t
read_some(int *fd, char *bytes, size_t max)
{
    ssize_t got = *fd >= 0 ? read(*fd, bytes, max) : 0;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (got <= 0) {
        close_fd(fd);
    }
    return got > 0 ? (size_t)got : 0;
}

// It must not stand still because nobody reads its last words.
static void
drop_output(struct running *running)
{
    char bytes[4096];
    for (size_t i = 0; i < ARRAY_LENGTH(running->streams); i++) {
        for (int turns = 0;
             turns < 64 && read_some(running->streams[i].fd, bytes, sizeof(bytes)) > 0; turns++) {
        }
    }
}

static void
end_now(struct running *running)
{
    if (running->child.pid <= 0) {
        return;
    }
    send_signal(running, SIGTERM);
    for (int i = 0; i < GRACE_SLICES && !has_ended(running); i++) {
        drop_output(running);
        (void)poll(NULL, 0, SLICE_MS);
    }
    send_signal(running, SIGKILL);
    reap(running);
}

static void
running_done(struct running *running)
{
    end_now(running);
    for (size_t i = 0; i < ARRAY_LENGTH(running->streams); i++) {
        close_fd(running->streams[i].fd);
        buf_wipe(&running->streams[i].line);
    }
}

static void
flush_line(const struct running *running, struct stream *stream)
{
    struct str line = buf_str(&stream->line);
    if (str_ends(line, STR("\r"))) {
        line.len--;
    }
    running->order->line(running->order->ctx, stream->is_error, line);
    buf_reset(&stream->line);
}

static void
take_lines(const struct running *running, struct stream *stream, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        bool end = bytes.ptr[i] == '\n';
        if (!end) {
            buf_putc(&stream->line, bytes.ptr[i]);
        }
        if (end || stream->line.len == PROCESS_LINE_MAX) {
            flush_line(running, stream);
        }
    }
}

static void
take(const struct running *running, struct stream *stream, struct str bytes)
{
    struct buf *errors = running->order->errors;
    if (running->order->line != NULL) {
        take_lines(running, stream, bytes);
    } else if (!stream->is_error && running->order->out != NULL) {
        buf_add(running->order->out, bytes);
    } else if (stream->is_error && errors != NULL) {
        size_t room = errors->max - errors->len;
        buf_append(errors, bytes.ptr, bytes.len < room ? bytes.len : room);
    }
}

/// One turn: waits for output, or a slice of time. *done when it has ended and all is read.
static struct error *
turn(struct running *running, bool *done)
{
    char bytes[4096];
    struct pollfd fds[2] = {{.fd = *running->streams[0].fd, .events = POLLIN},
        {.fd = *running->streams[1].fd, .events = POLLIN}};
    bool ended = has_ended(running), came = false;
    (void)poll(fds, ARRAY_LENGTH(fds), ended ? 0 : SLICE_MS);
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        size_t got =
            fds[i].revents != 0 ? read_some(running->streams[i].fd, bytes, sizeof(bytes)) : 0;
        take(running, &running->streams[i], (struct str){bytes, got});
        came = came || got > 0;
    }
    const struct buf *out = running->order->out;
    if (out != NULL && out->failed) {
        return error_new(running->order->kind, "it printed more than %zu bytes", out->max);
    }
    *done = ended && !came; // a grandchild may keep the pipes open for ever
    return NULL;
}

static struct error *
follow(const struct platform *platform, struct running *running)
{
    const struct process_order *order = running->order;
    int64_t deadline = clock_mono(platform->clock) + order->limit_ms;
    bool done = false;
    while (!done) {
        TRY(cancel_check(platform->cancel));
        if (order->limit_ms > 0 && clock_mono(platform->clock) >= deadline) {
            return error_new(
                order->kind, "it did not end within %lld s", (long long)(order->limit_ms / 1000));
        }
        TRY(turn(running, &done));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(running->streams); i++) {
        if (running->streams[i].line.len > 0) {
            flush_line(running, &running->streams[i]);
        }
    }
    return NULL;
}

struct error *
process_run(
    const struct platform *platform, const struct process_order *order, struct process_exit *out)
{
    struct running running CLEANUP(running_done) = {
        .order = order, .child = {.out_fd = -1, .err_fd = -1}};
    running.streams[0] = (struct stream){&running.child.out_fd, false, BUF_INIT(PROCESS_LINE_MAX)};
    running.streams[1] = (struct stream){&running.child.err_fd, true, BUF_INIT(PROCESS_LINE_MAX)};
    TRY(process_spawn(platform, order, &running.child));
    TRY(follow(platform, &running));
    reap(&running);
    *out = WIFSIGNALED(running.status)
               ? (struct process_exit){.status = -1, .signal = WTERMSIG(running.status)}
               : (struct process_exit){.status = WEXITSTATUS(running.status)};
    return NULL;
}

struct error *
process_check(const struct process_exit *end, enum error_kind kind, struct str said)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(2 * SHOWN_MAX);
    text_clean(str_trim(said), SHOWN_MAX, &text);
    const char *colon = text.len > 0 ? ": " : "";
    if (end->signal != 0) {
        return error_new(
            kind, "it was ended by signal %d%s%s", end->signal, colon, buf_cstr(&text));
    }
    if (end->status != 0) {
        return error_new(kind, "it ended with status %d%s%s", end->status, colon, buf_cstr(&text));
    }
    return NULL;
}
