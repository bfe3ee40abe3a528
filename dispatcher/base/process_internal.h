// How a program is started (process_spawn.c), for process.c.
#pragma once

#include "dispatcher/process.h"

struct process_child {
    pid_t pid;          // 0: none, or waited for
    int out_fd, err_fd; // read ends that do not block; -1: closed
};

/// Starts `order`. Errors are of its kind; `child` is to be waited for when there is none.
NODISCARD struct error *process_spawn(const struct platform *platform,
    const struct process_order *order, struct process_child *child);
