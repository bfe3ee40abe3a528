// Child processes of tests: fork, a pipe, and an end without cleanup. Knows nothing of what they
// do.
#include "child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void
child_start(struct child *child, void (*body)(void *ctx, int out), void *ctx)
{
    int ends[2] = {-1, -1};
    assert_int_equal(pipe(ends), 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        body(ctx, ends[1]);
        _exit(0);
    }
    (void)close(ends[1]);
    *child = (struct child){pid, ends[0]};
}

void
child_say(int out, const char *line)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_printf(&text, "%s\n", line);
    if (write(out, text.ptr, text.len) != (ssize_t)text.len) {
        _exit(99);
    }
}

bool
child_hear(struct child *child, struct buf *line)
{
    buf_reset(line);
    char byte = 0;
    while (read(child->out, &byte, 1) == 1) {
        if (byte == '\n') {
            return true;
        }
        buf_putc(line, byte);
    }
    return false;
}

void
child_wait_for_death(void)
{
    for (;;) {
        (void)pause();
    }
}

int
child_finish(struct child *child)
{
    int status = 0;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    (void)close(child->out);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void
child_kill(struct child *child)
{
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    assert_int_equal(child_finish(child), 128 + SIGKILL);
}
