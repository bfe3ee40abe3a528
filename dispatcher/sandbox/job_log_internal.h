// A job's log as GitHub keeps it: stamped lines, workflow commands interpreted, secrets masked.
// Used by the run's thread; every append takes the sandbox's lock.
#pragma once

#include "github_internal.h"

struct job_log {
    struct github_run *run;
    struct run_job *job;
    struct json *masks; // array of strings, owned by the run's thread
    char *stop_token;   // between ::stop-commands::TOKEN and ::TOKEN::, or NULL
    const char *step;   // name of the step that writes, for annotations
};

/// A line of ours, taken as it is.
void sandbox_job_log_put(struct job_log *log, const char *format, ...) PRINTF_LIKE(2, 3);
/// A line that a step wrote: commands are carried out, the rest is masked and kept.
void sandbox_job_log_line(struct job_log *log, struct str line);
void sandbox_job_log_annotate(struct job_log *log, const char *level, const char *path,
    int64_t line, const char *title, const char *message);
void sandbox_job_log_mask(struct job_log *log, const char *value);
