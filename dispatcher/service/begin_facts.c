// What a decision about a lane's head goes by: locks, what is there now, promotion, approvals, and
// how the commits stand. Reads the store, and GitHub for two commits that nobody has asked about
// yet; decides nothing.
#include "worker_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum {
    MEMORY_SIZE = 1024,
    RELEASES_MAX = 200, // of an environment: what was there before that is forgotten
};

// --- ancestry, remembered ------------------------------------------------------------------------

struct ancestry_memory {
    pthread_mutex_t lock;
    struct remembered {
        char *key;
        enum policy_ancestry value;
    } items[MEMORY_SIZE];
    size_t next;
};

struct ancestry_memory *
begin_memory_new(void)
{
    struct ancestry_memory *memory = xcalloc(1, sizeof(*memory));
    (void)pthread_mutex_init(&memory->lock, NULL);
    return memory;
}

void
begin_memory_free(struct ancestry_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    for (size_t i = 0; i < MEMORY_SIZE; i++) {
        free(memory->items[i].key);
    }
    (void)pthread_mutex_destroy(&memory->lock);
    free(memory);
}

bool
begin_memory_find(struct ancestry_memory *memory, const char *key, enum policy_ancestry *out)
{
    bool found = false;
    (void)pthread_mutex_lock(&memory->lock);
    for (size_t i = 0; i < MEMORY_SIZE && !found; i++) {
        found = cstr_equal(memory->items[i].key, key);
        *out = found ? memory->items[i].value : *out;
    }
    (void)pthread_mutex_unlock(&memory->lock);
    return found;
}

void
begin_memory_keep(struct ancestry_memory *memory, const char *key, enum policy_ancestry value)
{
    (void)pthread_mutex_lock(&memory->lock);
    struct remembered *slot = &memory->items[memory->next++ % MEMORY_SIZE];
    free(slot->key);
    *slot = (struct remembered){xstrdup(key), value};
    (void)pthread_mutex_unlock(&memory->lock);
}

static enum policy_ancestry
ancestry_of(enum deploy_ancestry answer)
{
    switch (answer) {
    case DEPLOY_ANCESTRY_NEWER:
        return POLICY_ANCESTRY_NEWER;
    case DEPLOY_ANCESTRY_SAME:
        return POLICY_ANCESTRY_SAME;
    case DEPLOY_ANCESTRY_OLDER:
        return POLICY_ANCESTRY_OLDER;
    case DEPLOY_ANCESTRY_DIVERGED:
        return POLICY_ANCESTRY_DIVERGED;
    case DEPLOY_ANCESTRY_UNKNOWN:
        return POLICY_ANCESTRY_UNKNOWN;
    }
    BUG_ON(true);
}

static struct error *
ask_github(struct beginning *b, const char *base, const char *head, const char *key)
{
    struct begin_request request = {0};
    enum deploy_ancestry answer = DEPLOY_ANCESTRY_UNKNOWN;
    const char *why = NULL;
    begin_request(b, &request);
    const struct deploy_range range = {b->ask.repository, base, head};
    struct error *err =
        deploy_ancestry(b->worker->context, &request.request, &range, b->arena, &answer, &why);
    if (err != NULL && error_kind(err) == ERROR_STORAGE) {
        return err;
    }
    if (err != NULL) {
        why = arena_dup(b->arena, error_message(err));
        error_free(err);
    }
    b->facts.ancestry = ancestry_of(answer);
    b->ancestry_unknown = answer == DEPLOY_ANCESTRY_UNKNOWN;
    if (!b->ancestry_unknown) {
        begin_memory_keep(b->worker->pool->ancestry, key, b->facts.ancestry);
        return NULL;
    }
    log_warn(b->worker->platform.log, "GitHub cannot say how two commits stand",
        F_STR("deployment", b->job->id), F_STR("base", base), F_STR("head", head),
        F_STR("problem", why));
    return NULL;
}

struct error *
begin_ancestry(struct beginning *b)
{
    const char *head = b->ask.sha, *base = b->deployed != NULL ? b->deployed->sha : NULL;
    b->ancestry_unknown = false;
    if (b->deployed == NULL) {
        b->facts.ancestry = POLICY_ANCESTRY_FIRST;
        return NULL;
    }
    if (cstr_equal(b->job->verb, "rollback") || cstr_equal(b->settings->stale, "allow")) {
        return NULL; // nobody wants to know
    }
    if (head == NULL || base == NULL || b->ask.repository == NULL) {
        b->facts.ancestry = cstr_equal(b->job->version, b->deployed->version)
                                ? POLICY_ANCESTRY_SAME
                                : POLICY_ANCESTRY_UNKNOWN;
        return NULL;
    }
    if (cstr_equal(head, base)) {
        b->facts.ancestry = POLICY_ANCESTRY_SAME;
        return NULL;
    }
    const char *key = arena_printf(b->arena, "%s %s %s", b->ask.repository, base, head);
    return begin_memory_find(b->worker->pool->ancestry, key, &b->facts.ancestry)
               ? NULL
               : ask_github(b, base, head, key);
}

// --- locks ---------------------------------------------------------------------------------------

static bool
covers(const struct queue_lock *lock, const struct queue_job *job, const char *program)
{
    const char *scope = lock->scope;
    bool app = cstr_equal(lock->app, job->app), env = cstr_equal(lock->env, job->env);
    return cstr_equal(scope, "organisation") || (cstr_equal(scope, "environment") && env) ||
           (cstr_equal(scope, "app") && app) || (cstr_equal(scope, "target") && app && env) ||
           (cstr_equal(scope, "program") && cstr_equal(lock->program, program));
}

// When it ended; 0: it holds. One that has expired is over before somebody writes that down.
static int64_t
over_since(const struct queue_lock *lock, int64_t now_ms)
{
    bool expired = lock->expires_ms != 0 && lock->expires_ms <= now_ms;
    return lock->released_ms != 0 ? lock->released_ms : expired ? lock->expires_ms : 0;
}

// As the policy has it (policy_locks.c): one of level `warning` holds nothing, a freeze no
// emergency, a lock not its owner.
bool
begin_lock_holds(
    const struct queue_lock *lock, const struct queue_job *job, const char *program, bool automatic)
{
    bool freeze = cstr_equal(lock->level, "freeze");
    bool own = lock->owner != NULL && job->requester != NULL &&
               str_equal_nocase(str_of(lock->owner), str_of(job->requester)) && !automatic;
    bool passes = cstr_equal(lock->level, "warning") || (freeze ? job->emergency : own);
    return covers(lock, job, program) && !passes;
}

// Did it hold the job back, while it lasted?
static bool
held(const struct queue_lock *lock, const struct beginning *b)
{
    int64_t over_ms = over_since(lock, b->facts.now_ms);
    return begin_lock_holds(lock, b->job, b->settings->program, ask_is_automatic(&b->ask)) &&
           lock->starts_ms < over_ms && b->job->created_ms < over_ms;
}

// The newest lock that is over, says that what waited is dropped, and made this job wait.
static struct error *
find_dropper(struct beginning *b)
{
    struct queue_lock *locks = NULL;
    size_t count = 0;
    TRY(queue_locks_dropping(b->worker->store, b->job->created_ms, b->arena, &locks, &count));
    for (size_t i = 0; i < count && b->dropper == NULL; i++) {
        b->dropper = held(&locks[i], b) ? &locks[i] : NULL;
    }
    return NULL;
}

struct error *
begin_locks(struct store *store, int64_t now_ms, struct arena *arena, struct policy_lock **out,
    size_t *count)
{
    struct queue_lock *locks = NULL;
    TRY(queue_locks(store, false, now_ms, arena, &locks, count));
    *out = arena_array(arena, *count + 1, sizeof(**out));
    for (size_t i = 0; i < *count; i++) {
        (*out)[i] = (struct policy_lock){
            .id = locks[i].id,
            .scope = locks[i].scope,
            .level = locks[i].level,
            .reason = locks[i].reason,
            .owner = locks[i].owner,
            .on_release = locks[i].on_release,
            .app = locks[i].app,
            .env = locks[i].env,
            .program = locks[i].program,
            .starts_ms = locks[i].starts_ms,
            .expires_ms = locks[i].expires_ms,
        };
    }
    return NULL;
}

static struct error *
read_locks(struct beginning *b)
{
    struct policy_lock *locks = NULL;
    TRY(begin_locks(b->worker->store, b->facts.now_ms, b->arena, &locks, &b->facts.lock_count));
    b->facts.locks = locks;
    return NULL;
}

// --- releases and approvals ----------------------------------------------------------------------

static bool
is_same_release(const struct queue_release *a, const struct queue_release *b)
{
    return cstr_equal(a->version, b->version) && cstr_equal(a->digests, b->digests);
}

// The longest time without a break for which the very images of `release` were there: releases of
// the same ones that follow one another are one.
static void
find_longest(const struct queue_release *list, size_t count, const struct queue_release *release,
    int64_t now_ms, struct policy_facts *out)
{
    int64_t longest_ms = -1, until_ms = 0;
    for (size_t i = 0; i < count; i++) { // the newest first
        bool goes_on = i > 0 && is_same_release(&list[i - 1], &list[i]);
        until_ms = goes_on ? until_ms : list[i].until_ms;
        int64_t lasted_ms = (until_ms != 0 ? until_ms : now_ms) - list[i].since_ms;
        if (is_same_release(&list[i], release) && lasted_ms > longest_ms) {
            longest_ms = lasted_ms;
            out->promoted_since_ms = list[i].since_ms;
            out->promoted_until_ms = until_ms;
        }
    }
}

static struct error *
read_promotion(struct beginning *b)
{
    const char *from = b->settings->promote_from.environment;
    struct queue_release *list = NULL;
    size_t count = 0, at = 0;
    if (from == NULL || b->job->version == NULL) {
        return NULL;
    }
    TRY(queue_releases(b->worker->store, b->job->app, from, RELEASES_MAX, b->arena, &list, &count));
    while (at < count && !cstr_equal(list[at].version, b->job->version)) {
        at++;
    }
    if (at < count) {
        b->facts.promoted_digests = list[at].digests;
        find_longest(list, count, &list[at], b->facts.now_ms, &b->facts);
    }
    return NULL;
}

// A rollback to what the store does not know is the ledger's to judge when there is no history yet:
// the engine goes back to proven versions only.
static struct error *
read_known_good(struct beginning *b)
{
    struct queue_release *release = NULL, *any = NULL;
    size_t count = 0;
    b->facts.known_good = b->ask.to == NULL;
    if (!cstr_equal(b->job->verb, "rollback") || b->ask.to == NULL) {
        return NULL;
    }
    TRY(ask_release(b->worker->store, b->job->app, b->job->env, b->ask.to, b->arena, &release));
    TRY(queue_releases(b->worker->store, b->job->app, b->job->env, 1, b->arena, &any, &count));
    b->facts.known_good = release != NULL || count == 0;
    return NULL;
}

static struct error *
read_approvals(struct beginning *b)
{
    struct queue_approval *rows = NULL;
    size_t count = 0;
    if (b->settings->approvals.count <= 0) {
        return NULL;
    }
    TRY(queue_approvals(b->worker->store, b->job->id, b->arena, &rows, &count));
    struct policy_approval *out = arena_array(b->arena, count + 1, sizeof(*out));
    for (size_t i = 0; i < count; i++) {
        bool over = rows[i].expires_ms != 0 && rows[i].expires_ms <= b->facts.now_ms;
        bool known = false;
        if (over && !rows[i].rejected) {
            continue;
        }
        struct policy_approval *one = &out[b->facts.approval_count++];
        *one = (struct policy_approval){
            .by = {.login = rows[i].by, .id = rows[i].by_id},
            .rejected = rows[i].rejected,
            .version = rows[i].version,
            .diff = rows[i].diff,
            .note = rows[i].note,
            .at_ms = rows[i].at_ms,
        };
        TRY(people_teams(b->worker->service, rows[i].by, b->arena, &one->by.teams, &known));
        if (rows[i].rejected && !known) { // as when it was written down: no hiccup undoes a no
            one->by.teams = b->settings->approvals.teams;
        }
    }
    b->facts.approvals = out;
    return NULL;
}

static const char *
diff_of(
    const struct queue_release *deployed, const char *sha, const char *version, struct arena *arena)
{
    const char *base = deployed == NULL        ? ""
                       : deployed->sha != NULL ? deployed->sha
                                               : deployed->version;
    const char *head = sha != NULL ? sha : version != NULL ? version : "";
    return arena_printf(arena, "%s..%s", base, head);
}

struct error *
begin_diff(struct store *store, const struct queue_job *job, struct arena *arena, const char **out)
{
    struct ask ask = {0};
    TRY(ask_read(job->request, arena, &ask));
    return begin_diff_to(store, job, ask.sha, arena, out);
}

struct error *
begin_diff_to(struct store *store, const struct queue_job *job, const char *sha,
    struct arena *arena, const char **out)
{
    struct queue_release *deployed = NULL;
    TRY(queue_release_at(store, job->app, job->env, 0, arena, &deployed));
    *out = diff_of(deployed, sha, job->version, arena);
    return NULL;
}

struct error *
begin_facts(struct beginning *b)
{
    struct store *store = b->worker->store;
    const struct queue_job *job = b->job;
    TRY(queue_release_at(store, job->app, job->env, 0, b->arena, &b->deployed));
    b->facts = (struct policy_facts){
        .now_ms = worker_wall(b->worker),
        .verb = job->verb,
        .version = job->version,
        .digests = ask_digests(&b->ask.digests, b->arena),
        .diff = diff_of(b->deployed, b->ask.sha, job->version, b->arena),
        .requester = ask_requester(&b->ask),
        .requester_id = ask_requester_id(&b->ask),
        .accepted_ms = job->created_ms,
        .emergency = job->emergency,
        .automatic = ask_is_automatic(&b->ask),
        .deployed_version = b->deployed != NULL ? b->deployed->version : NULL,
    };
    TRY(find_dropper(b));
    TRY(read_locks(b));
    TRY(read_promotion(b));
    TRY(read_known_good(b));
    return read_approvals(b);
}
