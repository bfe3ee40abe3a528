// One-off tasks of ECS: started once, followed with their log, reported by exit code.
//
//     struct one_off task = {.cluster = "blue", .task_definition = arn, .client_token = token, …};
//     TRY(one_off_use_service(&task, &service, arena));
//     TRY(one_off_start(run, &task));
//     while (task.outcome == NULL) { sleep, until task.drain_mono_ms at most if that is set;
//                                    TRY(one_off_look(run, &task)); }
//
// Lines of the log are told as DEPLOY_EVENT_OUTPUT as they come. `run->step` may be NULL. Names are
// borrowed; what comes back lives in run->arena. One thread, as the context.
#pragma once

#include "deploy_internal.h"
#include "dispatcher/ecs.h"

struct one_off {
    // What is to run
    const char *cluster, *task_definition;
    const char *container;   // whose command it is
    struct str_list command; // empty: the image's own
    struct pair_list environment;
    const char *network_json, *capacity_json, *launch_type, *platform_version;
    const char *started_by;   // ≤ 128 characters
    const char *client_token; // 1 to 64: the same token is the same task
    // What became of it
    const char *task;      // ARN; NULL: not started
    struct str_list found; // not started: an earlier, different request with the token had started
                           // these
    const char *outcome;   // NULL while it goes on | succeeded | failed | unknown
    bool has_exit_code;
    int64_t exit_code;
    bool never_started;    // of one that failed: none of its containers has run
    const char *reason;    // one sentence, sanitized: why it failed
    const char *log_token; // how far its log was read
    // It has ended, and its last lines come a moment later: what its outcome will be, and when to
    // look for them (mono).
    const char *verdict;
    int64_t drain_mono_ms;
    // Of its task definition, read once.
    bool has_log;
    const char *log_group, *log_stream, *log_region;
};

/// It runs where the service runs: network, capacity, launch type, platform version.
void one_off_use_service(
    struct one_off *task, const struct ecs_service *service, struct arena *arena);
/// RunTask. ERROR_REFUSED with what ECS says is missing.
NODISCARD struct error *one_off_start(const struct step_run *run, struct one_off *task);
/// One look at task and log. A task that has ended has its outcome set once its log was read to the
/// end; until then there is a drain_mono_ms.
NODISCARD struct error *one_off_look(const struct step_run *run, struct one_off *task);
/// StopTask; the next looks see it end.
NODISCARD struct error *one_off_stop(
    const struct step_run *run, const struct one_off *task, const char *reason);
/// sha256 of the parts: the client token of a task that is to be one.
const char *one_off_token(struct arena *arena, const char *const *parts, size_t count);
