// Runs one program without a shell, to its end, and collects what it says.
//
//     struct process_exit end;
//     TRY(process_run(platform, &(struct process_order){.argv = argv, .out = &out,
//         .limit_ms = 60000, .kind = ERROR_CREDENTIALS}, &end));
//     TRY(process_check(&end, ERROR_CREDENTIALS, said));
//
// The program gets the platform's environment, its own standard descriptors and no other. It is
// ended, with all that it started in its group, when the platform is cancelled or its time is up:
// SIGTERM, and SIGKILL after two seconds. When this process is killed, it gets SIGTERM. One that
// has ended leaves its background children alone. Thread-safe; any number at once.
#pragma once

#include <sys/types.h>

#include "dispatcher/buf.h"
#include "dispatcher/platform.h"

struct process_order {
    const char *const *argv;      // NULL-terminated; [0] is a path when it holds a slash, else
                                  // looked up in the PATH of the platform's environment
    struct str input;             // what it reads from stdin, at once; empty: /dev/null
    const char *directory;        // NULL: this process's
    const char *const *variables; // NAME=VALUE before those of the platform; NULL: none
    mode_t umask;                 // 0: this process's
    int64_t limit_ms;             // 0: none
    bool on_terminal;   // may ask at the terminal: it stays in our group, and is ended alone
    struct buf *out;    // takes stdout; more than its cap is an error. NULL: dropped
    struct buf *errors; // takes the first of stderr, up to its cap. NULL: dropped
    /// Takes both line by line, without line ends, instead of `out` and `errors`; a longer one
    /// comes in pieces of PROCESS_LINE_MAX.
    void (*line)(void *ctx, bool is_error, struct str line);
    void *ctx;
    enum error_kind kind; // of the errors of process_run
};

enum { PROCESS_LINE_MAX = 16 * 1024 };

struct process_exit {
    int status; // exit status
    int signal; // that ended it, 0 when it exited
};

/// Runs it to its end, whatever that is (process_check). Errors: no such program, it cannot be
/// started, printed too much, took too long; ERROR_CANCELLED. None of them quotes its output.
NODISCARD struct error *process_run(
    const struct platform *platform, const struct process_order *order, struct process_exit *out);
/// NULL when it exited with 0; else "it ended with status 3: " and the start of `said` (cleaned).
NODISCARD struct error *process_check(
    const struct process_exit *end, enum error_kind kind, struct str said);
/// The path that process_run would start for `name`; heap, free(). NULL when there is none.
char *process_find(const struct platform *platform, const char *name);
/// Closes all descriptors from `first` on. Async-signal-safe.
void process_close_from(unsigned first);
