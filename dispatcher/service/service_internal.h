// Shared inside service/: who is who among its threads, and what they may ask of each other.
//
//     listen*.c, request*.c, route.c   libmicrohttpd, limits, one request as data, the routes
//     auth*.c, people*.c, keys.c       tokens of jobs, people and sessions; the issuer's keys
//     api_*.c                          one resource of /api/v1 each (docs/openapi.yaml)
//     hooks_*.c                        /hooks/github, /hooks/slack: verify, write down, answer
//     page_*.c                         what a page of web/ shows, read from the store
//     stream*.c                        server-sent events
//     writer.c                         the one thread that writes for requests, many in a commit
//     admission.c                      a request for a deployment: policy, then the queue
//     specs.c, spec_set.c              the infra repository's documents, fresh
//     worker*.c, begin*.c              threads that decide lane heads and advance running jobs
//     feed.c, poll.c, sweep.c          news of runs: webhooks, the shared poll, lost deliveries
//     drift.c                          looks for what is not as the last release left it
//     chores.c, untold.c               leader jobs: expiry, retention, poll, sweep, drift, reports
//     wakeups.c                        hints from and to the other replicas
//     metrics.c, trace.c, health.c     what operators see
//
// Threads: libmicrohttpd's, the handlers that requests run on, the writer, workers, one for the
// feed's chores, hints, couriers. Each has a store handle of its own, but for handlers, to whom one
// is lent; nothing else is shared but what stands here with its lock. No thread waits for a network
// while it holds one.
#pragma once

#include "dispatcher/audit.h"
#include "dispatcher/deploy_service.h"
#include "dispatcher/github.h"
#include "dispatcher/policy.h"
#include "dispatcher/queue.h"
#include "dispatcher/service.h"
#include "dispatcher/spec.h"

struct service;
struct request; // request_internal.h
struct response;

// --- service.c: what its parts ask of it. Any thread
// -----------------------------------------------

/// Its `cancel` is raised when the service is to stop. What must not be cut short then (a
/// deployment's effects) runs on a copy without it.
const struct platform *service_platform(const struct service *service);
/// As last read; every one that was ever read lives as long as the service.
const struct setting_server *service_settings(const struct service *service);
/// "host-pid-random": whose leases and leader jobs are whose.
const char *service_replica(const struct service *service);
const struct http_client_options *service_http_options(const struct service *service);
/// The GitHub App's private key; NULL when the settings name none (then $GITHUB_TOKEN is used). A
/// reference of the caller's own: secret_free.
struct secret *service_app_key(struct service *service);
/// Storage failed: nothing more is accepted or begun, /readyz says why. Consumes `err`.
void service_fail(struct service *service, struct error *err);
/// For handlers: requests under way are finished while the service stops, so its cancel flag is
/// raised later, when their time is up.
const struct platform *service_request_platform(const struct service *service);
/// The file that `serve` was given, for settings beside `server:`.
const struct spec_document *service_config(const struct service *service);
/// Where it listens: "http://127.0.0.1:8080". Links for people begin with settings->url.
const char *service_origin(const struct service *service);
/// A handle of one's own on server.state; store_close.
NODISCARD struct error *service_store_open(struct service *service, struct store **out);
enum service_secret {
    SERVICE_SECRET_WEBHOOK,
    SERVICE_SECRET_WEBHOOK_NEXT,
    SERVICE_SECRET_SLACK,
    SERVICE_SECRET_OAUTH,
    SERVICE_SECRET_APP_KEY,
    SERVICE_SECRET_COUNT,
};
/// One that the settings refer to, read at start and on SIGHUP; NULL: not set. secret_free it.
struct secret *service_secret(struct service *service, enum service_secret which);
bool service_is_draining(const struct service *service);
/// The other parts' own state: each is made by its start and freed by its stop. Those that were
/// started before ask for it while it comes.
struct service_parts {
    _Atomic(struct spec_keeper *) specs;
    _Atomic(struct worker_pool *) workers;
    _Atomic(struct run_feed *) feed;
    struct chore_keeper *chores;
    struct session_keeper *sessions; // session.c
    struct wakeups *wakeups;         // wakeups.c; NULL where nobody shares the database
};
struct service_parts *service_parts(struct service *service);

/// Why a spec may not name that secret (struct deploy_secret_rule); `service` is a struct service.
const char *service_secret_refusal(void *service, const char *reference, struct arena *arena);

// Started in this order, stopped in the reverse one; stop returns when their threads have ended,
// which for workers is when what they are at in this moment is written down, and does nothing when
// they were not started.
NODISCARD struct error *specs_start(struct service *service);
void specs_stop(struct service *service);
NODISCARD struct error *feed_start(struct service *service);
void feed_stop(struct service *service);
NODISCARD struct error *workers_start(struct service *service);
/// Nothing more is begun; what only asks is cut off now, what may change something within six
/// seconds, and put down as after a kill.
void workers_quiet(struct service *service);
void workers_stop(struct service *service);
NODISCARD struct error *chores_start(struct service *service);
void chores_stop(struct service *service);
NODISCARD struct error *sessions_start(struct service *service);
void sessions_stop(struct service *service);

// --- auth.c: what is asked of it beside requests -------------------------------------------------

/// May one more denial of this stranger be written down? How many there are is theirs to choose,
/// and the audit log keeps what it has.
bool auth_may_note(struct service *service, const struct policy_claims *claims);

// --- people.c: what is asked of it beside requests
// -------------------------------------------------

/// Slugs of the login's teams in server.organization, cached; *known false when GitHub cannot say.
NODISCARD struct error *people_teams(struct service *service, const char *login,
    struct arena *arena, struct str_list *out, bool *known);
#define PEOPLE_TOO_MANY "GitHub is asked about too many people just now"
/// The same on a request's thread, into teams and teams_known; false: too many are asked about at
/// once, so nobody was asked.
NODISCARD bool people_teams_now(
    struct service *service, const char *login, struct arena *arena, struct policy_actor *out);

// --- installation.c ------------------------------------------------------------------------------

/// A client of the service's App (or $GITHUB_TOKEN) for `repository`.
NODISCARD struct error *installation_client(struct service *service, struct http_client *http,
    const char *repository, enum github_purpose purpose, struct github_client **out);
/// Was the App's key read again since `*known` (the caller's own: secret_free)? A client that was
/// made before has the older one.
bool installation_is_other(struct service *service, struct secret **known);

// --- specs.c: documents of the infra repository --------------------------------------------------

// A commit's documents, immutable; held by whoever reads it.
struct spec_set;
/// The newest; release it. NULL: never read, or older than server.specs_max_age (then requests are
/// refused with REASON_SPECS_UNAVAILABLE and *why).
const struct spec_set *specs_hold(struct service *service, const char **why);
void specs_release(const struct spec_set *set);
const char *spec_set_commit(const struct spec_set *set);
/// Effective settings of (app, env), resolved once a set and cached; NULL with diagnostics as text
/// in *problem when the spec is invalid, and with *problem NULL when there is no such app.
const struct settings *spec_set_settings(
    const struct spec_set *set, const char *app, const char *env, const char **problem);
const struct spec_document *spec_set_config(const struct spec_set *set);
const struct spec_document *spec_set_app(const struct spec_set *set, const char *app);
/// File stems of all apps, sorted; environments in promotion order.
const struct str_list *spec_set_apps(const struct spec_set *set);
const struct str_list *spec_set_environments(const struct spec_set *set);
/// A push webhook of the infra repository: read again soon.
void specs_stale(struct service *service);
/// How the last reading went, for /readyz and pages: text in the arena.
struct specs_state {
    const char *commit;  // of what is held; NULL: nothing was read yet
    int64_t read_ms;     // wall, of the last good reading; 0: never
    const char *problem; // of the last reading, or NULL
    const char *invalid; // why a newer dispatcher.yaml is not used, or NULL
    size_t apps, broken; // broken: with an invalid spec
};
void specs_state(struct service *service, struct arena *arena, struct specs_state *out);

// --- writer.c ------------------------------------------------------------------------------------

/// Runs `op` in the writer's next commit and returns when it is durable: op->err, or the commit's.
NODISCARD struct error *writer_do(struct service *service, struct store_op *op);
/// The same without waiting: `done` is called on the writer's thread with what came of it, which it
/// owns. Must be quick.
void writer_post(struct service *service, struct store_op *op,
    void (*done)(void *ctx, struct error *err), void *ctx);

// --- admission.c ---------------------------------------------------------------------------------

// A request for a deployment, whoever makes it.
struct admission {
    const char *verb; // deploy | rollback | promote
    const char *app, *env, *version;
    const char *from;        // promote: environment
    const char *to, *reason; // rollback; reason: also of an emergency
    struct pair_list digests;
    bool emergency;
    const struct policy_claims *claims; // of a job; else
    const struct policy_person *person; // of a person
    const char *request_id, *traceparent;
    struct queue_idempotency idempotency;
    // Reads what the answer shows of deployment `id`, in the transaction that accepts it; or NULL.
    struct error *(*look)(void *ctx, struct store *store, const char *id);
    void *look_ctx;
};
struct admitted {
    const char *id;           // NULL when refused
    bool again;               // it was accepted before, by the same key
    const char *sha;          // the commit that it asks for, where that was decided now
    struct str_list warnings; // of the acceptance, where that was decided now
    struct policy_verdict verdict;
};
/// Policy, audit and queue. Refusals are verdicts; an error is ours (storage).
NODISCARD struct error *admission_request(struct service *service,
    const struct admission *admission, struct arena *arena, struct admitted *out);
/// The same without waiting for the writer: `done` is called once it is durable, on the writer's
/// thread, or here and now when it does not come that far. All that is given lives until then.
struct admission_done {
    void (*run)(void *ctx, struct error *err); // owns `err`
    void *ctx;
};
void admission_post(struct service *service, const struct admission *admission, struct arena *arena,
    struct admitted *out, const struct admission_done *done);
/// The version of a job that names none: its commit, or the tag that it runs for, as the spec's
/// `version` says; NULL when it runs for no tag.
const char *admission_version(
    const struct policy_claims *claims, const struct settings *settings, struct arena *arena);

// --- begin_facts.c -------------------------------------------------------------------------------

/// Does that lock, while it lasts, hold the job back?
bool begin_lock_holds(const struct queue_lock *lock, const struct queue_job *job,
    const char *program, bool automatic);
/// What an approval of the job is about at this moment: "base..head", the commits (or versions) of
/// what is deployed and of what is asked. It changes when another deployment of the lane ends.
NODISCARD struct error *begin_diff(
    struct store *store, const struct queue_job *job, struct arena *arena, const char **out);
/// The same where the commit that is asked for is known.
NODISCARD struct error *begin_diff_to(struct store *store, const struct queue_job *job,
    const char *sha, struct arena *arena, const char **out);
/// Locks that hold now or will, as the policy takes them.
NODISCARD struct error *begin_locks(struct store *store, int64_t now_ms, struct arena *arena,
    struct policy_lock **out, size_t *count);

// --- worker.c, feed.c ----------------------------------------------------------------------------

/// Something may be due: a job was accepted, a lock lifted, an approval given.
void workers_wake(struct service *service);
struct workers_state {
    size_t threads, alive; // alive < threads: storage failed for one
};
void workers_state(struct service *service, struct workers_state *out);
/// A run moved (webhook or poll): its job looks at it.
void feed_news(struct service *service, const char *repository, int64_t run_id);

// --- stream.c ------------------------------------------------------------------------------------

/// A deployment has new events or another state, which is written down: whoever streams it is
/// served, here and at the other replicas.
void streams_wake(struct service *service, const char *deployment);
/// The same, told by another replica.
void streams_hear(struct service *service, const char *deployment);

// --- wakeups.c -----------------------------------------------------------------------------------

/// From here on others can be told; started before all that does, stopped after it, when what is
/// left has been told.
NODISCARD struct error *wakeups_start(struct service *service);
/// From here on others are heard: what that wakes has to run.
NODISCARD struct error *wakeups_listen(struct service *service);
/// Nobody is woken any more.
void wakeups_quiet(struct service *service);
void wakeups_stop(struct service *service);
/// The other replicas' streams of this deployment are to look.
void wakeups_tell(struct service *service, const char *deployment);
/// Is what others tell heard at this moment?
bool wakeups_are_heard(struct service *service);

// --- metrics.c -----------------------------------------------------------------------------------

enum metric_counter {
    METRIC_REQUESTS,
    METRIC_ACCEPTED,
    METRIC_DENIED,
    METRIC_FINISHED_GOOD,
    METRIC_FINISHED_BAD,
    METRIC_HOOKS,
    METRIC_HOOKS_REFUSED,
    METRIC_HOOKS_AGAIN,
    METRIC_GITHUB_COUNTED,
    METRIC_GITHUB_SENT,
    METRIC_ADOPTED,
    METRIC_POLLS,
    METRIC_REDELIVERED,
    METRIC_COUNT,
};
void metric_add(struct service *service, enum metric_counter counter, int64_t amount);

// --- trace.c -------------------------------------------------------------------------------------

// A span of a deployment's trace. Ids in lower-case hexadecimal.
struct trace_span {
    const char *trace;      // queue_job.trace, 32 digits
    const char *name;       // "accept", "wait", "begin", a step's name, "deployment"
    const char *deployment; // id, for the attribute
    int64_t start_ms, end_ms;
    const char *error; // NULL: it went well
};
/// Sent with others, later; dropped (and counted) when the collector does not keep up. The one
/// named "deployment" is the root that the others of its deployment hang on.
void trace_add(struct service *service, const struct trace_span *span);
/// "00-<trace>-<root span>-01", always the same for a deployment: for the workflow's input.
void trace_parent(const char *trace, const char *deployment, char out[56]);
