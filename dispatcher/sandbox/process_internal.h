// One child process group, its output line by line, and its end.
#pragma once

#include <stdint.h>

#include "dispatcher/platform.h"
#include "dispatcher/str.h"

struct process {
    const struct clock *clock;
    const char *const *arguments; // [0] is looked up in the PATH of `environment`
    char *const *environment;
    const char *directory;
    struct cancel *cancel;        // raised: SIGINT, after 2 s SIGTERM, after 2 s more SIGKILL
    bool (*is_forced)(void *ctx); // asked while cancelled: true means SIGKILL now
    void (*line)(void *ctx, struct str line);
    void *ctx;
    int64_t deadline_ms; // mono; 0: none
};

struct process_end {
    int exit_code; // 128 + signal when one ended it
    bool cancelled, timed_out;
    int64_t group; // of processes it left behind, 0 when there are none
};

/// Runs to the end. ERROR_STORAGE when it cannot be started at all.
NODISCARD struct error *sandbox_process_run(const struct process *process, struct process_end *out);
/// SIGKILL to a group that sandbox_process_run left behind.
void sandbox_process_kill_group(int64_t group);
