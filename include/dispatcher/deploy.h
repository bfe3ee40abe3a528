// Deploying: what the front ends may ask, and what they are told while it goes on.
//
//     spec → snapshot → plan → steps → report
//
// deploy_prepare reads (spec, snapshot) and plans: no effect anywhere. deploy_run drives the plan
// to its end through the journal. deploy_resume does the same for one that a dead process left
// behind. The front end prints: it gets events, and at last a deployment whose result, exit_code,
// message and hint say what is true. One thread per context.
#pragma once

#include "dispatcher/deployment.h"
#include "dispatcher/diagnostic.h"
#include "dispatcher/http.h"
#include "dispatcher/platform.h"
#include "dispatcher/store.h"

// What a front end is told while a deployment goes on. All pointers are valid during the call only.
enum deploy_event_kind {
    DEPLOY_EVENT_STARTED,  // id exists, plan is made
    DEPLOY_EVENT_STEP,     // `step` changed its state
    DEPLOY_EVENT_IMAGE,    // `image` was read from `text` and is about to be pushed
    DEPLOY_EVENT_PROGRESS, // its upload: `part` says what became of one of its parts
    DEPLOY_EVENT_OUTPUT,   // `text`: a line that the builder of `step` wrote
    DEPLOY_EVENT_RUN,      // the remote run changed; see deployment->run_*
    DEPLOY_EVENT_JOBS,     // its jobs and steps changed; see deployment->jobs
    DEPLOY_EVENT_TARGET,   // `target` moved on; see its forward and back
    DEPLOY_EVENT_NOTE,     // `text` is worth a line
    DEPLOY_EVENT_WARNING,  // `text` is worth an annotation
    DEPLOY_EVENT_FINISHED, // result is final, or we stop waiting
};

struct image;
struct registry_progress;
struct deploy_event {
    enum deploy_event_kind kind;
    const struct deployment *deployment;
    const struct deployment_step *step;
    const struct deployment_target *target; // TARGET
    const struct deployment_move *move;     // TARGET: the one of its two that changed
    const char *text;
    struct image *image;                  // IMAGE
    const struct registry_progress *part; // PROGRESS
};

struct deploy_observer {
    void (*event)(void *ctx, const struct deploy_event *event);
    void *ctx;
};

/// The event as one object of `--json` and of the journal (docs/events.md).
struct json *deploy_event_json(const struct deploy_event *event, int64_t wall_ms);

// Such objects turned into events again, for whoever follows a deployment from elsewhere: the first
// one that counts is `started`, and each later one is applied to what it held.
struct deploy_replay;
struct deploy_replay *deploy_replay_new(void);
void deploy_replay_free(struct deploy_replay *replay);
void deploy_replay_freep(struct deploy_replay **replay);
/// *known false: nothing that can be shown (before `started`, `progress`, a kind of later
/// versions). The event and all it points to live until the next call. ERROR_UNAVAILABLE for what
/// is no event.
NODISCARD struct error *deploy_replay_line(
    struct deploy_replay *replay, struct str line, struct deploy_event *out, bool *known);

struct deploy_given;    // deploy_service.h
struct deploy_run_feed; // deploy_service.h
struct deploy_request {
    const struct deploy_given *given; // the service: facts in place of checkout and environment
    const char *verb;                 // NULL: deploy; else promote | rollout | rollback | prove
    const char *app, *env; // env NULL, to deploy: the one that the branch or tag leads to
    // promote: the environment whose version it is, and whose images are brought along; given, to
    // deploy: where that version ran before
    const char *from;
    const char *to;         // rollback: the version; NULL: the newest proven one before
    const char *because;    // rollback: the reason
    const char *workers;    // rollout: names of the workers as a JSON list; NULL: from the checkout
    struct str_list only;   // prove: of these services alone; empty: of all
    struct str_list expect; // prove: "[SERVICE=]DIGEST" in place of what the registry says
    struct str_list images; // "[SERVICE=]SOURCE"
    const char *version;    // NULL: from git, by the spec's rule
    const char *specs, *config;
    const char *checkout;                            // directory of the app repository; NULL: "."
    const char *on_cancel, *on_timeout, *on_failure; // NULL: the spec's
    int64_t timeout_ms;                              // 0: the spec's; prove: within which time
    bool no_wait, allow_dirty, allow_stale;
    bool build; // what has no --image and is not in the registry
};

struct deploy_context;

// Which secrets specs may name; why not, in the arena, or NULL. Called by any thread.
struct deploy_secret_rule {
    const char *(*refuses)(void *ctx, const char *reference, struct arena *arena); // NULL: all may
    void *ctx;
};

struct deploy_context_options {
    const struct platform *platform;
    struct http_client *http;               // borrowed
    const char *ca_file, *proxy, *no_proxy; // for git over HTTPS; NULL when there are none
    const char
        *state_path; // path or URL; NULL: $DISPATCHER_STATE and the defaults of spec-format.md
    const struct deploy_run_feed *feed;     // NULL: each deployment polls its run itself
    bool live;                              // somebody watches: jobs are worth a request each poll
    const struct deploy_observer *observer; // may be NULL
    struct deploy_secret_rule secrets;      // of a service: specs are not its own words
};
struct deploy_context *deploy_context_new(const struct deploy_context_options *options);
void deploy_context_free(struct deploy_context *context);
void deploy_context_freep(struct deploy_context **context);
/// Secrets may have been replaced: all are read again when they are needed next, by new clients.
/// Between two deployments only.
void deploy_context_forget(struct deploy_context *context);

struct settings;
/// What holds for the request's app in its environment, for `spec show`: reads the specs, nothing
/// else. Spec problems become diagnostics, and one ERROR_SPEC. `*out` lives in the arena.
NODISCARD struct error *deploy_settings(struct deploy_context *context,
    const struct deploy_request *request, struct arena *arena, struct diagnostics *diagnostics,
    struct settings **out);
// GitHub's numbers for an app, and the text of its spec with them in it.
struct deploy_pin {
    const char *path;       // of the spec
    const char *repository; // `repo` of the spec
    const char *name;       // as GitHub calls it today
    int64_t repository_id, owner_id;
    int64_t old_repository_id, old_owner_id; // of the spec; 0: none
    struct str before, after;
};
/// Asks GitHub for the repository of the request's app. Changes nothing. ERROR_USAGE when the specs
/// are in a git repository.
NODISCARD struct error *deploy_pin(struct deploy_context *context,
    const struct deploy_request *request, struct arena *arena, struct diagnostics *diagnostics,
    struct deploy_pin **out);
/// Reads and plans. Spec problems become diagnostics, and one ERROR_SPEC. `*out` lives in the
/// arena.
NODISCARD struct error *deploy_prepare(struct deploy_context *context,
    const struct deploy_request *request, struct arena *arena, struct diagnostics *diagnostics,
    struct deployment **out);
/// The plan as text for people: one line a step with its reason.
void deploy_plan_text(const struct deployment *deployment, struct buf *out);

/// Journals the deployment and drives it. An error means that nothing was changed, or that local
/// storage failed; every other outcome is in the deployment.
NODISCARD struct error *deploy_run(
    struct deploy_context *context, struct deployment *deployment, struct arena *arena);
/// Continues `id`. One that is final is only loaded. ERROR_CONFLICT when another process has it.
NODISCARD struct error *deploy_resume(
    struct deploy_context *context, const char *id, struct arena *arena, struct deployment **out);
/// Ends the uncertainty of one that ended `unknown`: follows `run_id`, or with 0 declares that it
/// never ran and restores the parameters.
NODISCARD struct error *deploy_resolve(struct deploy_context *context, const char *id,
    int64_t run_id, struct arena *arena, struct deployment **out);
/// Asks GitHub to cancel the remote run of `id`. The owner sees the run end.
NODISCARD struct error *deploy_cancel(
    struct deploy_context *context, const char *id, struct arena *arena, struct deployment **out);

/// Where the journal is when nobody says: $DISPATCHER_STATE, or the usual place. Heap, free().
NODISCARD struct error *deploy_state_path(const struct platform *platform, char **out);
/// The journal, opened on first use.
NODISCARD struct error *deploy_store(struct deploy_context *context, struct store **out);
/// Loads one by id or unique prefix; ERROR_USAGE when there is none.
NODISCARD struct error *deploy_load(
    struct deploy_context *context, const char *id, struct arena *arena, struct deployment **out);

// What runs somewhere, as far as it may be read, for `status`.
struct deploy_status_target {
    const char *kind, *cluster, *service; // where; cluster NULL where there is none
    const char *revision;                 // task definition or image identifier that it is set to
    const char *version;                  // of that, by the marks that a rollout leaves; or NULL
    const char *digest;                   // that runs; NULL when nobody can say
    bool as_expected;                     // all of it is what the parameter means
    const char *seen;                     // one sentence: what runs, or why that is not known
};

// What a parameter says, who put it there, what became of it and what runs, for `status`.
struct deploy_status_row {
    const char *app, *env;
    const char *service; // or worker
    const char *version;
    const char *digest; // that the version means, NULL when nobody says
    int64_t changed_ms;
    const char *by;         // last writer, NULL when unknown
    const char *deployment; // id found in the description, or NULL
    const char *rollback;   // "of 'v3': checkout is slow" when a rollback wrote it, or NULL
    bool labelled;          // carries `deployed`: a run that used it succeeded
    bool proven;            // carries `proven`: its digest was seen to run then
    const char *note;       // why there is no parameter: "pinned by 'image_tag'", or NULL
    struct deploy_status_target *target; // NULL: the spec describes none
    struct str_list drifts;              // sentences: what does not agree with what
};
/// Reads what the parameters of an app say and what runs (one environment, or all that
/// dispatcher.yaml lists). The parameters must be readable; the registry and the targets are looked
/// at as far as they may be.
NODISCARD struct error *deploy_status(struct deploy_context *context,
    const struct deploy_request *request, struct arena *arena, struct diagnostics *diagnostics,
    struct deploy_status_row **rows, size_t *count);

// One thing that `doctor` looked at.
struct doctor_finding {
    const char *area; // "github", "aws", …
    enum { DOCTOR_GOOD, DOCTOR_WARNING, DOCTOR_BAD } verdict;
    const char *text; // what was seen
    const char *fix;  // what to do about it, NULL when good
    int exit_code;    // BAD: what a deployment would end with
};
/// Looks at every credential, permission, clock and endpoint that deploying (app, env) needs.
/// Changes nothing. A broken spec is a finding too; its diagnostics are added.
void deploy_doctor(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct doctor_finding **out,
    size_t *count);

// --- what runs writes (deploy/logs*.c) -----------------------------------------------------------

struct deploy_logs_request {
    const char *service;   // key of a service, or name of a worker; NULL: all that have a target
    const char *container; // ECS; NULL: all
    int64_t since_ms;      // how far to look back
    bool follow;           // until interrupted
    bool platform;         // what the platform says of the service, not what the program writes
};
// One entry of a log. Everything in it is harmless to print.
struct deploy_log_line {
    int64_t ms;            // wall
    const char *service;   // key of the service, or name of the worker
    const char *container; // NULL: the platform does not say
    const char *group, *stream;
    const char *label; // "web/4f3c9a12": who wrote it, short
    const char *text;  // may hold several lines
};
struct deploy_logs_observer {
    /// Lines in the order of time. False: nobody listens any more.
    bool (*lines)(void *ctx, const struct deploy_log_line *lines, size_t count);
    /// Something about the reading that is worth a line beside the log.
    void (*note)(void *ctx, const char *text);
    void *ctx;
};
/// Tells what the services of the request's app write. ERROR_SPEC when the spec does not say where
/// they run, or nothing that runs there writes to CloudWatch.
NODISCARD struct error *deploy_logs(struct deploy_context *context,
    const struct deploy_request *request, const struct deploy_logs_request *logs,
    struct arena *arena, struct diagnostics *diagnostics,
    const struct deploy_logs_observer *observer);

// --- beside what runs (deploy/task.c) ------------------------------------------------------------

struct deploy_task_request {
    const char *service;     // key; NULL: the only one that runs on ECS
    const char *container;   // whose command it is; NULL: the target's, or the only one
    struct str_list command; // not empty
    int64_t timeout_ms;      // then it is stopped
    bool leave;              // interrupted: it goes on without us
};
struct deploy_task {
    const char *service;
    const char *task, *task_definition; // ARNs; task NULL: it was not started
    // succeeded | failed | not-started | unknown; only an exit code of 0 is success
    const char *outcome;
    bool has_exit_code;
    int64_t exit_code;    // of the container
    enum error_kind kind; // of an outcome that is no success: what is true now
    const char *reason;   // one sentence; NULL: it succeeded
    int64_t started_ms, ended_ms;
};
/// Runs a command once beside a service of ECS: with the task definition that the service runs,
/// where it runs. What it writes is told as DEPLOY_EVENT_OUTPUT. Journals nothing. An error: it was
/// not started, or nobody can say what became of it; ERROR_CANCELLED says what does.
NODISCARD struct error *deploy_task_run(struct deploy_context *context,
    const struct deploy_request *request, const struct deploy_task_request *task,
    struct arena *arena, struct diagnostics *diagnostics, struct deploy_task *out);

// --- a deployment of ECS that waits (deploy/continue.c) ------------------------------------------

struct deploy_continue_request {
    const char *service; // key; NULL: the only one that waits
    bool roll_back;      // else it goes on
};
struct deploy_continued {
    const char *service;    // key
    const char *deployment; // ARN of the service deployment
    const char *hook;       // id
    const char *stage;      // lifecycle stage that it stands at, NULL: not said
};
/// Answers the PAUSE hook that a service deployment of the app stands at. ERROR_USAGE when none
/// waits, with what there is instead.
NODISCARD struct error *deploy_continue(struct deploy_context *context,
    const struct deploy_request *request, const struct deploy_continue_request *answer,
    struct arena *arena, struct diagnostics *diagnostics, struct deploy_continued *out);

/// Looks at what a rollout of (app, env) would meet: the image of request->version (NULL: of what
/// the parameter says), the targets and what they need, the addresses of 'verify'. Changes nothing.
void deploy_verify(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct doctor_finding **out,
    size_t *count);

// --- telling people (deploy/notice_internal.h)
// ----------------------------------------------------

// Reports are written to the outbox with the state that they are about; a courier takes them to
// their sinks, in threads of its own, so that no sink delays or fails a deployment.
struct deploy_courier;
/// Begins to deliver what `context` has to tell, and what earlier processes left. `sinks`: how many
/// there are, so that those that hang keep none of the others waiting. The context wakes it; one
/// courier a context, freed first.
NODISCARD struct error *deploy_courier_start(struct deploy_context *context,
    const struct http_client_options *http, size_t sinks, struct deploy_courier **out);
/// The secrets of the deployment's sinks that are at hand (`env:`, `file:`) are masked from now on:
/// the log of a remote run may hold one long before it is used, if it is at all.
void deploy_mask_sinks(struct deploy_context *context, const struct deployment *deployment);
/// Something may be due: NULL does nothing.
void deploy_courier_wake(struct deploy_courier *courier);
/// deploy_context_forget for all that it opens from now on.
void deploy_courier_forget(struct deploy_courier *courier);
/// Is all told that can be told now of deployment `id` (NULL: of all)? What is told later: a sink
/// that rests until after `until_ms` (mono).
NODISCARD struct error *deploy_courier_is_done(
    struct deploy_courier *courier, const char *id, int64_t until_ms, bool *done);
/// Stops at once: an attempt that is under way is looked into by the next courier.
void deploy_courier_free(struct deploy_courier *courier);
void deploy_courier_freep(struct deploy_courier **courier);

// A sink that has not been told all of a deployment.
struct deploy_untold {
    const char *sink;
    const char *kind;           // of the notice that waits longest: "slack-card"
    size_t count;               // notices
    bool is_refused;            // it will never be taken
    const char *problem, *hint; // hint may be NULL
};
NODISCARD struct error *deploy_untold(struct deploy_context *context, const char *id,
    struct arena *arena, struct deploy_untold **out, size_t *count);
/// Lines for a terminal, the job summary, annotations; and one event of `--json` for each.
void report_untold_text(const struct deploy_untold *list, size_t count, struct buf *out);
void report_untold_summary(const struct deploy_untold *list, size_t count, struct buf *out);
void report_untold_annotations(const struct deploy_untold *list, size_t count, struct buf *out);
struct json *report_untold_event(
    const struct deploy_untold *one, const struct deployment *deployment, int64_t wall_ms);

// --- reports by hand (deploy/by_hand.c)
// ------------------------------------------------------------

// What is to be reported that no deployment of dispatcher's stands for.
struct deploy_statement {
    const char *outcome;                 // a word of spec_outcomes
    const char *version, *message, *url; // message and url may be NULL
    bool is_sample;                      // made up: only to be looked at
};
/// A deployment that says so, with the sinks that the spec of the request's app names. It is in no
/// journal. With `is_sample` it is filled with what a real one would have.
NODISCARD struct error *deploy_state_by_hand(struct deploy_context *context,
    const struct deploy_request *request, const struct deploy_statement *statement,
    struct arena *arena, struct diagnostics *diagnostics, struct deployment **out);

// One message to one sink, as it would be delivered.
struct deploy_message {
    const char *sink, *kind; // "slack-card"
    const char *lane;        // what it shares a rate with: says where it goes
    const char *body;        // JSON
};
/// What the sinks are to be told of the deployment as it stands; `only`: these sinks whatever their
/// routes say, empty: all by their routes. ERROR_USAGE for a sink that the spec does not have.
NODISCARD struct error *deploy_messages(const struct deployment *deployment,
    const struct str_list *only, struct arena *arena, struct deploy_message **out, size_t *count);
/// Puts them into the outbox, those that were delivered before once more. Deliver them with
/// a courier. *count: how many.
NODISCARD struct error *deploy_tell_again(struct deploy_context *context,
    const struct deployment *deployment, const struct str_list *only, struct arena *arena,
    size_t *count);

/// A secret by reference ("env:VAR", "file:PATH", "ssm:/path", …) for a front end that belongs to
/// no app: AWS and Vault as the environment says. ERROR_CREDENTIALS when it is not there.
NODISCARD struct error *deploy_secret(
    struct deploy_context *context, const char *reference, struct secret **out);

// Renderings of the result, as text; the front end writes them where they belong.
/// Lines for the end of a terminal run.
void report_text(const struct deployment *deployment, bool color, struct buf *out);
/// Markdown of $GITHUB_STEP_SUMMARY.
void report_summary(const struct deployment *deployment, struct buf *out);
/// Lines of $GITHUB_OUTPUT. `random_hex` makes the delimiters.
void report_outputs(const struct deployment *deployment, const char *random_hex, struct buf *out);
/// `::error::`, `::warning::` and `::notice::` lines.
void report_annotations(const struct deployment *deployment, struct buf *out);
