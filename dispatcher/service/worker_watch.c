// What this process remembers of running jobs beside their rows: paces of the engine, and when they
// were put down, which tells a look that somebody asked for from one whose time has come. Losing
// all of it costs a look at each run and begins waits anew.
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "worker_internal.h"

enum { BUCKETS = 4096 };

struct watch_table {
    pthread_mutex_t lock; // of the lists; not of what is in an entry
    struct watch *buckets[BUCKETS];
};

struct watch_table *
worker_watches_new(void)
{
    struct watch_table *table = xcalloc(1, sizeof(*table));
    (void)pthread_mutex_init(&table->lock, NULL);
    return table;
}

static void
watch_free(struct watch *watch)
{
    deploy_pace_free(watch->pace);
    free(watch->id);
    free(watch);
}

void
worker_watches_free(struct watch_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct watch *one = table->buckets[i], *next = NULL; one != NULL; one = next) {
            next = one->next;
            watch_free(one);
        }
    }
    (void)pthread_mutex_destroy(&table->lock);
    free(table);
}

static struct watch **
bucket_of(struct watch_table *table, const char *id)
{
    uint32_t hash = 2166136261U; // FNV-1a
    for (; *id != '\0'; id++) {
        hash = (hash ^ (unsigned char)*id) * 16777619U;
    }
    return &table->buckets[hash % BUCKETS];
}

struct watch *
worker_watch(struct watch_table *table, const char *id, int64_t now_mono_ms)
{
    (void)pthread_mutex_lock(&table->lock);
    struct watch **bucket = bucket_of(table, id), *found = *bucket;
    while (found != NULL && !cstr_equal(found->id, id)) {
        found = found->next;
    }
    if (found == NULL) {
        found = xcalloc(1, sizeof(*found));
        found->id = xstrdup(id);
        found->pace = deploy_pace_new();
        found->next = *bucket;
        *bucket = found;
    }
    found->seen_ms = now_mono_ms;
    found->users++;
    (void)pthread_mutex_unlock(&table->lock);
    return found;
}

// Under the lock: it is in no list any more.
static void
let_go(struct watch *watch)
{
    watch->gone = true;
    if (watch->users == 0) {
        watch_free(watch);
    }
}

void
worker_watch_done(struct watch_table *table, struct watch *watch)
{
    (void)pthread_mutex_lock(&table->lock);
    watch->users--;
    if (watch->gone) {
        let_go(watch);
    }
    (void)pthread_mutex_unlock(&table->lock);
}

void
worker_unwatch(struct watch_table *table, const char *id)
{
    (void)pthread_mutex_lock(&table->lock);
    for (struct watch **at = bucket_of(table, id); *at != NULL; at = &(*at)->next) {
        if (cstr_equal((*at)->id, id)) {
            struct watch *gone = *at;
            *at = gone->next;
            let_go(gone);
            break;
        }
    }
    (void)pthread_mutex_unlock(&table->lock);
}

void
worker_watches_trim(struct watch_table *table, int64_t mono_ms)
{
    (void)pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct watch **at = &table->buckets[i]; *at != NULL;) {
            struct watch *one = *at;
            if (one->seen_ms < mono_ms) {
                *at = one->next;
                let_go(one);
            } else {
                at = &one->next;
            }
        }
    }
    (void)pthread_mutex_unlock(&table->lock);
}

bool
worker_watch_is_news(const struct watch *watch, const struct queue_job *job, int64_t now_ms)
{
    bool ours = watch->parked_due_ms != 0 && job->fence == watch->fence + 1;
    return !ours || now_ms < watch->parked_due_ms;
}

void
worker_due_add(struct due_times *times, int64_t due_ms, int64_t now_ms)
{
    if (due_ms - now_ms >= (int64_t)WORKER_DUE_SLOTS * WORKER_DUE_SLOT_MS / 2) {
        return; // far: found by whoever looks round before then
    }
    (void)pthread_mutex_lock(&times->lock);
    int64_t slot = due_ms / WORKER_DUE_SLOT_MS;
    times->slots[slot % WORKER_DUE_SLOTS] = (slot + 1) * WORKER_DUE_SLOT_MS;
    (void)pthread_mutex_unlock(&times->lock);
}

int64_t
worker_due_next(struct due_times *times, int64_t now_ms)
{
    int64_t next = INT64_MAX;
    (void)pthread_mutex_lock(&times->lock);
    for (size_t i = 0; i < WORKER_DUE_SLOTS; i++) {
        int64_t *slot = &times->slots[i];
        next = *slot != 0 && *slot < next ? *slot : next;
        *slot = *slot <= now_ms ? 0 : *slot;
    }
    (void)pthread_mutex_unlock(&times->lock);
    return next;
}
