// One deployment as data: what was asked, what is true, what was done, how it ended.
//
// The whole of it is JSON in the journal (deployment_encode/decode), so that a killed process loses
// nothing: a field that a resumed step needs stands here or nowhere. Strings live in the arena and
// are never secret: keys are kept as references ("env:DEPLOYMENT_APP_KEY").
#pragma once

#include "dispatcher/field.h"
#include "dispatcher/json.h"
#include "dispatcher/spec.h"

// A service of the app that takes part.
struct deployment_service {
    const char *name;    // key in `services:`
    bool no_image;       // its platform builds it from source
    const char *version; // rollout: what its parameter says; NULL: the deployment's
    const char *source;  // `--image` as written, NULL when the registry must have it already
    bool build;          // --build: made here unless the registry has it; `source` is then what
                         // this process built, or NULL
    const char *dockerfile, *context; // of that, from the checkout
    const char *registry;             // host
    const char *repository;
    const char *parameter;
    const char *digest;       // what the registry holds under the version; set by snapshot or push
    const char *from_digest;  // it is copied from another repository, and must arrive as this one;
                              // `source` says from where
    bool present;             // the registry had it before we started
    bool no_repository;       // ECR does not have the repository yet: it is created first
    const char *previous;     // value of the parameter before, NULL when it did not exist
    int64_t previous_version; // n0: its version number, 0 when it did not exist
    int64_t written_version;  // n1: the version we wrote, 0 while not written
    const char *parameter_type;
    bool unsettled;      // a write was begun, and whether it arrived is not known
    const char *says;    // at our last look: "'v2' (version 8)"
    const char *restore; // NULL | restored | kept | superseded | nothing | failed | unknown
    const char *restore_note;
};

struct deployment_commit {
    const char *sha, *author, *subject;
    const char *email; // of the author, NULL when git knows none
    int64_t pull;      // number of the pull request that brought it, by its subject; 0: not said
    int64_t time_ms;
};

// Somebody who is told about this deployment, as the spec says (settings.sinks). Secrets are
// references. What a kind does not use is NULL, false or empty.
struct deployment_sink {
    const char *name;          // in the spec
    const char *kind;          // github | slack | pagerduty | webhook
    struct str_list outcomes;  // words of spec_outcomes; empty: all
    const char *token;         // slack, github: reference; github NULL: the job's token, or the App
    const char *channel;       // slack, with a token: "#deploys" or an id
    bool buttons;              // slack: somebody listens to what a card's buttons send back
    const char *url;           // slack: reference to an incoming webhook; webhook: its address
    const char *secret;        // webhook: reference to the key of its signature, or NULL
    const char *routing_key;   // pagerduty: reference
    const char *region;        // pagerduty: us | eu
    struct str_list incidents; // pagerduty: outcomes that open one here; empty: none does
    struct str_list private_hosts; // slack, by webhook: where the organisation lets it lead
    bool to_private;               // webhook: the organisation lets it be on a private address
    bool deployment, status, check, comment; // github: which of its places
};

// The remote run's failing part, for the report.
struct deployment_failure {
    const char *job, *job_url, *step;
    struct str_list annotations;
    const char *log_tail; // sanitized
};

struct deployment_job_step {
    const char *name, *status, *conclusion;
};
struct deployment_job {
    const char *name, *status, *conclusion, *url;
    int64_t started_ms, completed_ms;
    struct object_list steps; // struct deployment_job_step
};

// One change of a target that we asked the platform for, followed by the id that it created.
struct deployment_move {
    const char *revision; // where to: task definition ARN, image identifier, commit
    const char *digest;   // that is to run there; NULL when nobody can say (source code)
    const char *state;    // NULL | intent | sent | nothing (runs already)
    int64_t asked_ms;     // just before the request, by the platform's clock: ours is not older
    const char *id;       // service deployment ARN or operation id
    const char
        *classic_id; // ECS: "ecs-svc/…", for credentials that may not read service deployments
    // What was the newest on the platform just before we asked: it cannot be ours.
    const char *earlier_id, *earlier_classic;
    const char *status;   // in the platform's own words
    const char *stage;    // ECS lifecycle stage, NULL when there is none
    const char *progress; // "2 of 4 tasks run"
    bool halting;         // it is somebody else's, which we stop: rolled back is success
    bool rolling_back;    // the platform has begun to; told once
    bool whole;           // App Runner, back: with the whole source of before
    const char *hook;     // a PAUSE hook that it waits for: its id
    // NULL while open | succeeded | rolled-back | rollback-failed | failed | stopped | superseded |
    // unknown
    const char *outcome;
    const char *reason;   // one sentence, sanitized
    int64_t refused_kind; // enum error_kind + 1 of a request that was refused, else 0
    int64_t ended_ms;
    // Of this process, not of the journal: since when the id is looked for (mono), how many tasks
    // had failed at the last look, and which event of the service was the newest.
    int64_t sought_mono_ms, failures;
    const char *event;
};

// Where a service's image, or a worker's source, is to run. What a target is called on its platform
// stands in `want`.
struct deployment_target {
    const char *name;           // the service's key, or the worker's name
    int64_t service;            // whose image it gets; -1: built from source
    const char *worker;         // entry point, NULL unless it is a worker
    struct setting_target want; // what the spec says, placeholders expanded
    const char *arn;            // of the platform's service; NULL: it is to be created
    const char *before;         // revision that ran before
    const char *before_digest, *before_version;
    bool before_auto;   // App Runner: it deployed by itself on each push
    const char *branch; // App Runner, code: that the deployment is of
    // App Runner, what was changed beside the image ("environment, port"): of the source, which
    // only the process that changed it can take back; and the rest, which is not taken back.
    const char *source_changes, *other_changes;
    const char *note;  // for the plan: "replaces 'v1' (2 tasks)"
    const char *halts; // rollback: the deployment under way that only has to be stopped
    struct deployment_move forward, back;
    struct str_list evidence; // of a failure, the best first; sanitized
    const char *running_digest;
    bool proven;
    const char *proof;   // one sentence: what runs and how that was seen
    const char *restore; // NULL | restored | kept | superseded | nothing | failed | unknown
    const char *restore_note;
};

// The one-off task before the rollout.
struct deployment_migration {
    const char *service; // key
    struct str_list command;
    int64_t timeout_ms;
    const char *task_definition; // that it runs
    const char *task;            // ARN, NULL while not started
    const char *state;           // NULL | intent | running | succeeded | failed | unknown
    bool has_exit_code;
    int64_t exit_code;
    const char *reason;
    int64_t started_ms, ended_ms;
};

// An HTTP check after the rollout.
struct deployment_check {
    const char *url;
    int64_t expect, within_ms;
    struct pair_list body;
    int64_t attempts;
    const char *state; // NULL | passed | failed
    const char *seen;  // "HTTP 503", "status is 'starting' where 'ok' was expected"
};

// One planned step. `kind` names the step_ops; `service` is the index it is about, -1 for none.
struct deployment_step {
    const char *name; // "push web"
    const char *kind; // build | push | scan | write | trigger | follow | migrate | rollout |
                      // prove | verify | record
    int64_t service;
    const char *reason; // "not in the registry"
    bool skip;          // planned as not needed
    const char *state;  // NULL | intent | waiting | done | skipped | failed | undone | undo-failed
    const char *note;   // how it ended: "8.4 MiB in 3 layers"
    int64_t started_ms, ended_ms;
};

struct deployment {
    // What was asked
    const char *id;
    const char *verb;     // deploy | rollout | rollback | prove
    const char *via;      // workflow | direct
    const char *because;  // rollback: the reason that was given
    const char *replaces; // rollback: the version that is left
    const char *app, *name, *title, *env;
    const char *version;
    const char *from_env;   // where the version ran before, and its images are taken from; or NULL
    const char *repository; // owner/repo of the app
    const char *sha, *tag, *branch;
    const char *specs, *specs_commit; // where the spec came from
    const char *actor;
    const char *caller_url; // the CI run that asked, or NULL
    const char *on_failure, *on_cancel, *on_timeout;
    int64_t timeout_ms, queue_timeout_ms;
    bool no_wait;
    int64_t created_ms;  // wall
    bool served;         // a service drives it, which has no checkout and no environment of a job
    int64_t accepted_ms; // served: when it was asked for; wall
    const char *diff;    // served: "base..head", what an approval is about
    bool dirty;          // the work tree had changes, and that was allowed

    // How images are built; NULL and empty without --build
    const char *checkout, *work_tree, *build_platform;
    struct pair_list build_args, build_secrets; // secrets: references

    // Where things are
    const char *region, *account, *role;
    bool create_repository;
    // The gate on scan findings: the mildest severity that blocks, NULL for no gate.
    const char *scan_block, *scan_on_missing;
    int64_t scan_wait_ms;
    const char *compression; // of plain layers: fast | small | zstd; NULL: fast
    const char *github_api, *github_app_id, *github_app_key;
    struct setting_vault vault;
    const char *github_web; // where people look: "https://github.com"
    const char *workflow_repo, *workflow_file, *workflow_ref;
    const char *id_input; // NULL when the workflow does not declare it
    bool id_in_run_name;  // its run-name shows the id
    struct pair_list inputs;
    const char *claim_key; // what the dispatch id is made of
    bool has_target;

    struct object_list services; // struct deployment_service
    struct object_list targets;  // struct deployment_target, in the order of their rollout
    const char *files_root;      // directory that the files named by targets are in
    int64_t parallel;            // how many targets move at once
    struct str_list order;       // services whose targets move one after the other, first
    int64_t rollout_timeout_ms;
    struct str_list orphans; // services on the platform that lost their worker
    bool remove_orphans;
    const char *workers_input; // of the infra workflow, that gets the list of workers
    struct deployment_migration migrate;
    struct object_list verify;  // struct deployment_check
    int64_t keep;               // proven releases that the ledger keeps
    struct object_list commits; // struct deployment_commit: since the version deployed before
    bool commits_complete;
    struct str_list warnings; // served: what its gate warned of when it began; they are notes, too
    struct str_list notes; // what a reader should know: "ancestry unknown: shallow clone"

    // Whom to tell, and what for
    struct object_list sinks;    // struct deployment_sink, those of this app and environment
    struct pair_list members;    // e-mail address or name of an author to a Slack member id
    const char *environment_url; // where it can be seen, or NULL
    bool is_production;          // the last one of `environments`, or one called "production"

    struct object_list steps; // struct deployment_step, in order

    // The dispatch
    const char *dispatch_id;
    int64_t dispatch_try;       // 1-based
    const char *dispatch_state; // NULL | intent | limited | sent | adopted | rejected | unknown
    int64_t dispatched_at_ms;   // GitHub's clock
    int64_t run_id;
    const char *run_url;

    // The remote run
    const char *run_status, *run_conclusion;
    int64_t run_started_ms, run_completed_ms;
    int64_t wait_started_ms; // wall, for people; limits count on the monotonic clock
    bool cancel_requested;   // by us: on_timeout, on_cancel or `dispatcher cancel`
    struct object_list jobs; // struct deployment_job
    struct deployment_failure failure;

    // How it ended
    const char *result; // NULL while open, else deployed | failed | cancelled | unknown
    int64_t exit_code;
    bool proven;
    const char *proof;   // one sentence: what was and what was not checked
    const char *message; // one sentence for people
    const char *hint;
    // Set before anything is taken back, so that a killed undo goes on as an undo.
    int64_t ending_kind; // enum error_kind + 1, 0 while not failing
    int64_t ending_signal;
    const char *ending_text, *ending_hint;
    const char *unfinished; // why an open one stopped: triggered | interrupted | timeout | unknown
    int64_t finished_ms;
    int64_t quota_requests; // requests to GitHub that count against the quota
};

struct deployment *deployment_new(struct arena *arena);
struct json *deployment_encode(const struct deployment *deployment);
NODISCARD struct error *deployment_decode(
    struct str json, struct arena *arena, struct deployment **out);

struct deployment_service *deployment_service_at(const struct deployment *deployment, size_t index);
struct deployment_step *deployment_step_at(const struct deployment *deployment, size_t index);
struct deployment_target *deployment_target_at(const struct deployment *deployment, size_t index);
struct deployment_sink *deployment_sink_at(const struct deployment *deployment, size_t index);
struct deployment_check *deployment_check_at(const struct deployment *deployment, size_t index);
/// Do we move, or look at, the targets ourselves? Else the infra workflow does.
bool deployment_is_direct(const struct deployment *deployment);
/// Adds a sentence to `notes` unless it stands there already.
void deployment_note(struct deployment *deployment, struct arena *arena, const char *text);
