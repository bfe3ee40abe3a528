// A child process of a test that reports through a pipe: for kill -9, dropped privileges and
// limits.
//
// What the body writes with child_say comes out line by line at child_hear. Assertions do not reach
// the parent: the body says what it saw, the test compares.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "dispatcher/buf.h"

struct child {
    pid_t pid;
    int out; // read end
};

void child_start(struct child *child, void (*body)(void *ctx, int out), void *ctx);
/// Writes one line; ends the process when the parent is gone.
void child_say(int out, const char *line);
/// The next line without its end; false when the child said all it had to say.
bool child_hear(struct child *child, struct buf *line);
/// Blocks the caller of a child's body until it is killed.
void child_wait_for_death(void);
/// SIGKILL, and waits until it is gone.
void child_kill(struct child *child);
/// Waits for its own end; the exit status, or 128 + signal.
int child_finish(struct child *child);
