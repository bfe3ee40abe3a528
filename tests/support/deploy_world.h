// The world outside of a deployment, in memory: GitHub, Parameter Store and a registry behind one
// http_transport, with every effect written down and every fault by switch.
//
//     struct world *world = world_new();
//     world_parameter(world, "/shop/staging/web/version", "v1", "deployed");
//     world->life = (const char *const[]){"queued", "in_progress", "completed:failure", NULL};
//     world->faults = (const struct world_fault[]){{"POST */dispatches", .kind = FAULT_LOST}, {0}};
//     world_attach(world, fake);
//     ... deploy ...
//     assert_string_equal(world->effects, "put /shop/staging/web/version=v2\n…");
//
// The state lies in memory that a forked child shares, so that a child that dies in the middle
// (crash_at) leaves behind what it did, as a killed process does. Knows nothing of deploy/. An
// unknown request fails the test.
#pragma once

#include "dispatcher/buf.h"
#include "dispatcher/http.h"
#include "fake_platform.h"

enum {
    WORLD_VERSIONS = 24,
    WORLD_LABELS = 6,
    WORLD_PARAMETERS = 3,
    WORLD_RUNS = 12,
    WORLD_EFFECTS = 16 * 1024,
    WORLD_FAULTS = 16,
    WORLD_CRASH_EXIT = 99,
    WORLD_REVISIONS = 6,
    WORLD_ROLLOUTS = 8,
    WORLD_RUNNERS = 8,
    WORLD_OPERATIONS = 12,
};

#define WORLD_FIRST_RUN INT64_C(29020317001)
#define WORLD_WORKFLOW_PATH ".github/workflows/deploy-app.yaml"

struct world;

enum world_fault_kind {
    FAULT_STATUS,      // `status` and `body`, nothing is done
    FAULT_REFUSED,     // the connection does not open: not a byte left
    FAULT_RESET,       // the request left, nothing is done, no answer
    FAULT_LOST,        // it is done, the answer is lost
    FAULT_SIGNAL,      // the cancel flag is raised as the request comes, nothing is done
    FAULT_LATE_SIGNAL, // it is done, then the cancel flag is raised; the answer comes
    FAULT_HOOK,        // `hook` is called, then the request is served
};

struct world_fault {
    // Wildcards over "METHOD path", "ssm:Operation /name", "apprunner:Operation /" or
    // "logs:Operation /"; NULL ends the list.
    const char *match;
    unsigned from;  // first of the matching requests, from 1; 0: 1
    unsigned times; // how many of them; 0: 1
    enum world_fault_kind kind;
    int status;
    const char *body;
    const char *const *headers; // of the answer, "Name: value", NULL-terminated
    int signal;                 // 0: SIGTERM
    void (*hook)(struct world *world);
};

struct world_version {
    char value[160], description[512], user[96], labels[WORLD_LABELS][24];
};

struct world_parameter {
    char name[96];
    size_t count; // versions start at 1
    struct world_version versions[WORLD_VERSIONS];
};

struct world_run {
    int64_t id, created_ms;
    char title[160], path[96], branch[48], inputs[512];
    unsigned looks;  // how often it was asked for
    unsigned hidden; // listings that do not show it yet
    bool cancelled, gone;
};

struct world_tag {
    const char *tag, *digest;
};

// Another repository of the registry, with one image.
struct world_origin {
    const char *repository, *tag, *digest, *manifest;
    bool gone;
};

// App Runner.
struct world_runner_operation {
    char id[64], type[20];
    const char *const *life; // statuses, one a listing; the last stays
    unsigned looks, hidden;  // hidden: listings that do not show it yet
    int64_t started_ms;
    bool settled;
};

struct world_runner {
    char name[48], id[40];
    char source[3072], source_before[3072]; // SourceConfiguration
    char health[256];                       // HealthCheckConfiguration, or ""
    char tags[512];                         // members of the list
    const char *status;                     // NULL: by its operations
    const char *const *life;                // of an operation that is begun
    bool gone;
    bool keeps_source; // a failed operation leaves the new configuration
    struct world_runner_operation operations[WORLD_OPERATIONS];
    size_t operation_count;
};

// ECS: service 'shop' of cluster 'blue', whose first revision is shop:41.
struct world_ecs_revision {
    char image[192], tags[512]; // members of the list
};
struct world_ecs_deployment {
    size_t revision, revision_before;
    int64_t created_ms, ended_ms;
    const char *const *life; // statuses, one a look; the last stays
    unsigned looks;
    bool settled;
};
struct world_ecs {
    const char *status;     // of the service; NULL: ACTIVE; MISSING, NO_CLUSTER
    const char *controller; // NULL: ECS
    int64_t desired;
    const char *const *life, *const *life_back; // of the first deployment, and of those after it
    const char *runs, *runs_back; // digest once the first has succeeded, the second; NULL: its own
    const char *extra;            // members of a service deployment, ",\"a\":1"
    bool is_told_of_all;          // `extra` is of the first one, too
    const char *failure;          // containers of a stopped task; NULL: none has stopped
    bool is_hidden;               // deployments never show
    bool is_classic;              // service deployments may not be read
    bool is_replaced;             // somebody's own deployment comes after a STOPPED one
    const char *task_end;         // members of the one-off task once it is STOPPED
    const char *task_refusal;     // why it is not started
    struct world_ecs_revision revisions[WORLD_REVISIONS];
    struct world_ecs_deployment deployments[WORLD_ROLLOUTS];
    size_t revision_count, deployment_count;
    size_t revision; // that the service is set to
    char running[80], token[80];
    unsigned task_looks;
    bool task_stopped;
};

struct world {
    // What is there; free to change.
    struct world_ecs ecs;
    struct world_parameter parameters[WORLD_PARAMETERS];
    size_t parameter_count;
    struct world_run runs[WORLD_RUNS];
    size_t run_count;
    const char *workflow;              // text of the workflow file; NULL: it is not there
    const char *const *life;           // "status[:conclusion]" of a run, one a look; the last stays
    const char *jobs, *annotations;    // bodies; NULL: none
    const char *log;                   // of a job; NULL: 404
    const char *comparison;            // of two commits of octo/shop; NULL: 404
    const char *dispatch_reply;        // NULL: 200 with identity; "204": accepted without
    const char *digest;                // of the image; NULL: the registry does not have it
    const struct world_tag *tags;      // beside it, by name; a NULL tag ends them
    const struct world_origin *origin; // NULL: there is none
    bool no_mounts;                    // blobs are not taken from another repository
    bool no_repository;                // ECR does not have it; the registry says so, too
    const char *const *scans; // bodies of the findings, one a look; the last stays; "": none
    const char *start_scan;   // how StartImageScan is refused; NULL: it is not
    bool is_app;              // the App is installed, and may what an App may
    int64_t github_ahead_ms;  // how far GitHub's clock is
    unsigned listing_lag;     // listings that do not show a new run yet
    bool title_hides_id;
    char pushed[80]; // digest of the manifest that was pushed, or ""
    struct world_runner runners[WORLD_RUNNERS];
    size_t runner_count;
    bool no_operation_id;           // answers do not say which operation was begun
    const char *const *create_life; // of CREATE_SERVICE
    const char *const *service_log, *const *program_log; // lines; NULL: no such group
    char created[4096];                                  // body of the last CreateService
    const struct world_fault *faults;

    // What happened.
    char effects[WORLD_EFFECTS]; // one a line: put, label, unlabel, post, cancel
    unsigned posts;              // dispatches that reached GitHub
    unsigned requests, logins, scan_looks;
    unsigned hits[WORLD_FAULTS]; // of each fault's pattern

    char reset_description[512]; // of the last Put whose request was lost

    // Kill -9: the process ends with WORLD_CRASH_EXIT at this tick. Each clock reading and each
    // request (before and after its effect) is one.
    int64_t ticks, crash_at;
};

struct world *world_new(void);
void world_free(struct world *world);
/// Makes it the transport and the clock of `fake`. Once per process and world.
void world_attach(struct world *world, struct fake_platform *fake);
void world_detach(void);

/// The service, at rest, with this image, which is of this digest.
void world_ecs_start(struct world *world, const char *image, const char *digest);

struct world_parameter *world_parameter(
    struct world *world, const char *name, const char *value, const char *label);
struct world_parameter *world_parameter_find(struct world *world, const char *name);
/// Somebody else writes.
void world_foreign_write(struct world *world, const char *name, const char *value);
/// The last Put that was reset arrives after all, with its description.
void world_late_write(struct world *world, const char *name, const char *value);
/// A run that somebody else dispatched `age_ms` ago.
struct world_run *world_foreign_run(struct world *world, const char *title, int64_t age_ms);
struct world_run *world_run_add(struct world *world, const char *title, int64_t created_ms);
const char *world_value(struct world *world, const char *name);
void world_effect(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);
/// Somebody sets the wall clock.
void world_jump(struct world *world, int64_t ms);
int64_t world_now(const struct world *world);

/// A service of App Runner with that SourceConfiguration; its operations come to a good end.
struct world_runner *world_runner(struct world *world, const char *name, const char *source);
struct world_runner *world_runner_find(struct world *world, const char *name);
/// An operation of it that begins now.
struct world_runner_operation *world_runner_operation(
    struct world *world, struct world_runner *runner, const char *type, const char *const *life);

// For the parts: deploy_world_*.c
struct world_reply {
    int status;
    struct buf body;
    const char *etag, *location, *type; // type: Content-Type
    char etag_text[64], digest[80];     // digest: Docker-Content-Digest, "" for none
};
void world_github(struct world *world, const struct http_request *request, const char *path,
    struct world_reply *reply);
void world_ssm(
    struct world *world, const char *operation, const char *body, struct world_reply *reply);
void world_note_reset(struct world *world, const char *body);
void world_aws(struct world *world, const char *operation, const char *body,
    struct world_reply *reply); // ECR and STS
void world_apprunner(
    struct world *world, const char *operation, const char *body, struct world_reply *reply);
void world_logs(
    struct world *world, const char *operation, const char *body, struct world_reply *reply);
void world_ecs(
    struct world *world, const char *operation, const char *body, struct world_reply *reply);
void world_registry(struct world *world, const struct http_request *request, const char *path,
    struct world_reply *reply);
/// "ssm:PutParameter /name": what faults match against; free().
char *world_ssm_subject(const char *operation, const char *body);
