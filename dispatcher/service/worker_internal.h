// Shared by what works on jobs: worker*.c and begin*.c.
//
//     worker.c        the threads, their leases and what renews them
//     worker_run.c    one look at a running job, and how it is put down again
//     worker_end.c    what the end of a job writes: release, lock, audit
//     worker_watch.c  what this process remembers of running jobs
//     begin.c         a lane's head: may it begin now?
//     begin_facts.c   what that is decided by
//     begin_prepare.c a job that began becomes a deployment in the journal
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "ask_internal.h"
#include "dispatcher/http.h"

enum {
    WORKER_LEASE_MS = 60 * 1000,
    WORKER_BATCH_MAX = 8,
    WORKER_FAR_MS = 10 * 60 * 1000, // a job that only its run's news can move
};

// --- worker_watch.c ------------------------------------------------------------------------------

// What this process knows of a running job beside its row.
struct watch {
    char *id;
    struct deploy_pace *pace;
    int64_t parked_due_ms; // wall: when it was to be looked at again; 0: never parked here
    int64_t fence;         // that it was parked with: the next one means nobody else had it
    int64_t seen_ms;       // mono
    bool cancelled;        // GitHub was asked to
    int users;             // that have it now; the table's
    bool gone;             // from the table: the last user frees it
    struct watch *next;
};
struct watch_table;
struct watch_table *worker_watches_new(void);
void worker_watches_free(struct watch_table *table);
/// The job's entry, made when there is none; worker_watch_done it. Only who holds the job's lease
/// touches what is in it: whoever lost it meanwhile may still have it in hand.
struct watch *worker_watch(struct watch_table *table, const char *id, int64_t now_mono_ms);
void worker_watch_done(struct watch_table *table, struct watch *watch);
void worker_unwatch(struct watch_table *table, const char *id);
/// Forgets those that nobody here has touched since `mono_ms`: other replicas have them, or they
/// have ended there.
void worker_watches_trim(struct watch_table *table, int64_t mono_ms);
/// Is this a look before its time, or one after somebody else's: did anything happen?
bool worker_watch_is_news(const struct watch *watch, const struct queue_job *job, int64_t now_ms);

// Times at which somebody here is to look, as far as they are near.
enum { WORKER_DUE_SLOTS = 512, WORKER_DUE_SLOT_MS = 20 };
struct due_times {
    pthread_mutex_t lock;
    int64_t slots[WORKER_DUE_SLOTS]; // wall, the end of a slot that has any; 0: none
};
void worker_due_add(struct due_times *times, int64_t due_ms, int64_t now_ms);
/// The end of the earliest one's slot, which may be past; INT64_MAX: none. Those that are past are
/// forgotten by it.
int64_t worker_due_next(struct due_times *times, int64_t now_ms);

// --- ancestry, remembered: two commits do not change how they stand to each other ----------------

struct ancestry_memory;
struct ancestry_memory *begin_memory_new(void);
void begin_memory_free(struct ancestry_memory *memory);
bool begin_memory_find(struct ancestry_memory *memory, const char *key, enum policy_ancestry *out);
void begin_memory_keep(struct ancestry_memory *memory, const char *key, enum policy_ancestry value);

// --- the pool ------------------------------------------------------------------------------------

struct held {
    char id[64], app[64], env[64];
    int64_t fence;
};

struct worker_pool;
struct worker {
    struct worker_pool *pool;
    struct service *service;
    struct platform platform; // its cancel is the pool's `halt`
    char *owner;              // of leases: each worker has its own
    struct cancel *wake;
    struct http_client *http;
    struct deploy_context *context;
    const struct setting_server *settings; // with whose secrets the context works
    struct store *store;                   // the context's
    struct deploy_observer observer;
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock; // of what it holds, for the thread that renews
    struct held held[WORKER_BATCH_MAX];
    size_t held_count;
};

struct worker_pool {
    struct service *service;
    int64_t lease_ms;
    struct cancel *halt; // stopping: ends what only asks, and begins nothing more
    struct cancel *cut;  // ends the rest, at cut_ms
    int64_t cut_ms;      // mono
    atomic_bool stopped;
    atomic_size_t alive;
    struct due_times dues; // of what we parked
    struct watch_table *watches;
    struct ancestry_memory *ancestry;
    struct worker *workers;
    size_t count;
    // Reports: of all deployments, by one courier.
    struct http_client *courier_http;
    struct deploy_context *courier_context;
    struct deploy_courier *courier;
    // Leases are renewed by a thread of its own: a look may take a minute.
    struct cancel *keeper_wake;
    struct store *keeper_store;
    pthread_t keeper;
    bool keeper_runs;
};

/// From here on its lease is not renewed any more.
void worker_let_go(struct worker *worker, const char *id);
int64_t worker_wall(const struct worker *worker);
/// What is leased and not begun with goes back as it is, due now.
NODISCARD struct error *worker_give_back(struct worker *worker, struct queue_job *job);

// --- worker_run.c --------------------------------------------------------------------------------

/// One look at a running job that was leased. Errors: ERROR_STORAGE only.
NODISCARD struct error *worker_look(
    struct worker *worker, struct queue_job *job, struct arena *arena);
/// It runs on, and is looked at again then (wall).
NODISCARD struct error *worker_park(struct worker *worker, struct queue_job *job, int64_t due_ms);
/// Somebody is to look at it then (wall).
void worker_note_due(struct worker_pool *pool, int64_t due_ms);
/// NULL for an error that only says that somebody else has the job now.
struct error *worker_forgive(struct worker *worker, const struct queue_job *job, struct error *err);

// --- worker_end.c --------------------------------------------------------------------------------

// An end that is no deployment's: refused, dropped, not prepared.
struct worker_ending {
    const char *result; // refused | superseded | cancelled | failed
    enum reason_code code;
    int exit_code; // 0: the code's
    const char *sentence, *who;
};
NODISCARD struct error *worker_end(struct worker *worker, struct queue_job *job,
    const struct worker_ending *ending, const struct ask *ask);
/// The end that its deployment came to.
NODISCARD struct error *worker_finish(struct worker *worker, struct queue_job *job,
    const struct deployment *deployment, struct arena *arena);

// --- begin*.c ------------------------------------------------------------------------------------

// A job with what is to be decided about it.
struct beginning {
    struct worker *worker;
    struct queue_job *job;
    struct arena *arena;
    struct ask ask;
    const struct spec_set *set;
    const struct settings *settings;
    struct policy_facts facts;
    struct queue_release *deployed;   // what is there now; NULL: nothing, or nothing known
    const struct queue_lock *dropper; // a lock that is over and drops what it held; NULL: none
    bool ancestry_unknown;            // GitHub was asked and could not say
};
/// Decides a lane's head that was leased: it is held, refused, or begins and is looked at.
NODISCARD struct error *begin_head(
    struct worker *worker, struct queue_job *job, struct arena *arena);
/// Everything that the store knows.
NODISCARD struct error *begin_facts(struct beginning *b);
/// How its commit stands to the one that is there; asks GitHub once for two commits.
NODISCARD struct error *begin_ancestry(struct beginning *b);
/// A deployment in the journal, by the specs of this moment. *ready false: it was parked or has
/// ended.
NODISCARD struct error *begin_prepare(struct worker *worker, struct queue_job *job,
    const struct str_list *warnings, struct arena *arena, bool *ready);
/// The request as the engine takes it; what it points to lives as long as `b`.
struct begin_request {
    struct deploy_given given;
    struct deploy_request request;
    char traceparent[56];
};
void begin_request(struct beginning *b, struct begin_request *out);
