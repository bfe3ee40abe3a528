// News of runs: what webhooks and the shared poll heard, kept until the run's deployment looks, so
// that nobody polls a run of its own. A hint is only that: what is so, the look finds out. Hints
// that no job waits for yet are kept for some seconds: a webhook may be faster than the row that
// says which run is whose.
#include "feed_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/json.h"
#include "dispatcher/memory.h"

enum {
    BUCKETS = 4096,
    TAKE_MAX = 200,
    GATHER_MS = 25, // deliveries that come close together are taken in one transaction
    IDLE_MS = 1000, // other replicas' webhooks, ours when a wake was lost, and early hints again
    FAR_MS = 10 * 60 * 1000,
    EARLY_MAX = 1024, // most are of runs that are none of ours
    EARLY_MS = 3 * 1000,
    KEPT_MS = 60 * 60 * 1000, // an entry that nobody asked for
    TRIM_MS = 60 * 1000,
    GLANCES = 2, // a minute
    GLANCE_MS = 60 * 1000,
};

struct run_entry {
    char *repository;
    int64_t run_id;
    bool news;
    int64_t touched_ms; // mono
    struct run_entry *next;
};

// A hint that is to be told to a job.
struct hint {
    char *repository;
    int64_t run_id;
    int64_t since_ms; // mono
    int64_t tried_ms; // mono; 0: not yet
};

struct run_feed {
    struct service *service;
    struct deploy_run_feed face;
    struct store *store; // the thread's
    pthread_t thread;
    bool runs;
    struct cancel *wake;
    atomic_bool stopped;

    pthread_mutex_t lock; // of all that follows
    struct run_entry *buckets[BUCKETS];
    struct hint hints[EARLY_MAX]; // a ring: from the front, and back to its end
    size_t hint_first, hint_count;
    int64_t glance_ms; // mono: since when glances are counted
    int glances;
};

static const struct clock *
clock_of(const struct run_feed *feed)
{
    return service_platform(feed->service)->clock;
}

// --- the table -----------------------------------------------------------------------------------

static struct run_entry **
bucket_of(struct run_feed *feed, int64_t run_id)
{
    uint64_t mixed = (uint64_t)run_id * UINT64_C(11400714819323198485);
    return &feed->buckets[(mixed >> 32) % BUCKETS];
}

// Under the lock. GitHub's names do not differ by case.
static struct run_entry *
entry_of(struct run_feed *feed, const char *repository, int64_t run_id, bool make)
{
    struct run_entry **bucket = bucket_of(feed, run_id);
    for (struct run_entry *one = *bucket; one != NULL; one = one->next) {
        if (one->run_id == run_id &&
            str_equal_nocase(str_of(one->repository), str_of(repository))) {
            return one;
        }
    }
    if (!make) {
        return NULL;
    }
    struct run_entry *made = xcalloc(1, sizeof(*made));
    *made = (struct run_entry){.repository = xstrdup(repository),
        .run_id = run_id,
        .news = true, // nobody here has looked at it yet
        .touched_ms = clock_mono(clock_of(feed)),
        .next = *bucket};
    *bucket = made;
    return made;
}

static void
entry_free(struct run_entry *entry)
{
    free(entry->repository);
    free(entry);
}

static void
trim(struct run_feed *feed, int64_t before_ms)
{
    (void)pthread_mutex_lock(&feed->lock);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct run_entry **at = &feed->buckets[i]; *at != NULL;) {
            struct run_entry *one = *at;
            if (one->touched_ms < before_ms) {
                *at = one->next;
                entry_free(one);
            } else {
                at = &one->next;
            }
        }
    }
    (void)pthread_mutex_unlock(&feed->lock);
}

// --- what the engine and the workers ask ---------------------------------------------------------

static bool
has_news(void *ctx, const char *repository, int64_t run_id, int64_t *until_ms)
{
    struct run_feed *feed = ctx;
    int64_t now = clock_mono(clock_of(feed));
    (void)pthread_mutex_lock(&feed->lock);
    struct run_entry *entry = entry_of(feed, repository, run_id, true);
    bool news = entry->news;
    entry->news = false;
    entry->touched_ms = now;
    (void)pthread_mutex_unlock(&feed->lock);
    *until_ms = now + FAR_MS;
    return news;
}

const struct deploy_run_feed *
feed_for_engine(struct service *service)
{
    return &service_parts(service)->feed->face;
}

void
feed_expect(struct service *service, const char *repository, int64_t run_id)
{
    struct run_feed *feed = service_parts(service)->feed;
    (void)pthread_mutex_lock(&feed->lock);
    struct run_entry *entry = entry_of(feed, repository, run_id, true);
    entry->news = true;
    entry->touched_ms = clock_mono(clock_of(feed));
    (void)pthread_mutex_unlock(&feed->lock);
}

bool
feed_is_expected(struct service *service, const char *repository, int64_t run_id)
{
    struct run_feed *feed = service_parts(service)->feed;
    (void)pthread_mutex_lock(&feed->lock);
    const struct run_entry *entry = entry_of(feed, repository, run_id, false);
    bool news = entry != NULL && entry->news;
    (void)pthread_mutex_unlock(&feed->lock);
    return news;
}

void
feed_forget(struct service *service, const char *repository, int64_t run_id)
{
    struct run_feed *feed = service_parts(service)->feed;
    (void)pthread_mutex_lock(&feed->lock);
    for (struct run_entry **at = bucket_of(feed, run_id); *at != NULL; at = &(*at)->next) {
        struct run_entry *one = *at;
        if (one->run_id == run_id &&
            str_equal_nocase(str_of(one->repository), str_of(repository))) {
            *at = one->next;
            entry_free(one);
            break;
        }
    }
    (void)pthread_mutex_unlock(&feed->lock);
}

bool
feed_may_glance(struct service *service)
{
    struct run_feed *feed = service_parts(service)->feed;
    int64_t now = clock_mono(clock_of(feed));
    (void)pthread_mutex_lock(&feed->lock);
    if (feed->glance_ms == 0 || now - feed->glance_ms >= GLANCE_MS) {
        feed->glance_ms = now;
        feed->glances = 0;
    }
    bool may = feed->glances < GLANCES;
    feed->glances += may ? 1 : 0;
    (void)pthread_mutex_unlock(&feed->lock);
    return may;
}

// --- hints ---------------------------------------------------------------------------------------

// Under the lock.
static struct hint *
hint_at(struct run_feed *feed, size_t index)
{
    return &feed->hints[(feed->hint_first + index) % EARLY_MAX];
}

static bool
is_about(const struct hint *hint, const char *repository, int64_t run_id)
{
    return hint->run_id == run_id && str_equal_nocase(str_of(hint->repository), str_of(repository));
}

static void
add_hint(struct run_feed *feed, const char *repository, int64_t run_id)
{
    (void)pthread_mutex_lock(&feed->lock);
    struct run_entry *entry = entry_of(feed, repository, run_id, false);
    if (entry != NULL) {
        entry->news = true;
    }
    size_t at = 0;
    while (at < feed->hint_count && !is_about(hint_at(feed, at), repository, run_id)) {
        at++;
    }
    if (at == feed->hint_count && at < EARLY_MAX) { // else the poll finds it
        *hint_at(feed, feed->hint_count++) = (struct hint){xstrdup(repository), run_id, 0, 0};
    }
    if (at < EARLY_MAX) {
        hint_at(feed, at)->since_ms = clock_mono(clock_of(feed));
        hint_at(feed, at)->tried_ms = 0;
    }
    (void)pthread_mutex_unlock(&feed->lock);
}

void
feed_wake(struct service *service)
{
    struct run_feed *feed = service_parts(service)->feed;
    if (feed != NULL) {
        cancel_raise(feed->wake, 1);
    }
}

void
feed_news(struct service *service, const char *repository, int64_t run_id)
{
    struct run_feed *feed = service_parts(service)->feed;
    if (feed != NULL && repository != NULL && run_id > 0) {
        add_hint(feed, repository, run_id);
        cancel_raise(feed->wake, 1);
    }
}

// The next hint from the front; NULL repository: none.
static struct hint
take_hint(struct run_feed *feed)
{
    struct hint hint = {0};
    (void)pthread_mutex_lock(&feed->lock);
    if (feed->hint_count > 0) {
        hint = *hint_at(feed, 0);
        feed->hint_first = (feed->hint_first + 1) % EARLY_MAX;
        feed->hint_count--;
    }
    (void)pthread_mutex_unlock(&feed->lock);
    return hint;
}

static bool
put_back(struct run_feed *feed, struct hint hint)
{
    bool young = clock_mono(clock_of(feed)) - hint.since_ms < EARLY_MS;
    (void)pthread_mutex_lock(&feed->lock);
    bool fits = young && feed->hint_count < EARLY_MAX;
    if (fits) {
        *hint_at(feed, feed->hint_count++) = hint;
    }
    (void)pthread_mutex_unlock(&feed->lock);
    return fits;
}

static size_t
hint_count(struct run_feed *feed)
{
    (void)pthread_mutex_lock(&feed->lock);
    size_t count = feed->hint_count;
    (void)pthread_mutex_unlock(&feed->lock);
    return count;
}

static struct error *
tell_job(struct run_feed *feed, struct hint *hint, bool *found)
{
    int64_t now = clock_mono(clock_of(feed));
    if (hint->tried_ms != 0 && now - hint->tried_ms < IDLE_MS) {
        return NULL;
    }
    hint->tried_ms = now;
    return queue_poke(
        feed->store, hint->repository, hint->run_id, clock_wall(clock_of(feed)), found);
}

// Each at most once a round; those that no job waits for come again in a later one.
static struct error *
tell_jobs(struct run_feed *feed)
{
    bool told = false;
    for (size_t left = hint_count(feed); left > 0; left--) {
        struct hint hint = take_hint(feed);
        bool found = false;
        struct error *err = tell_job(feed, &hint, &found);
        told = told || found;
        if (err != NULL || found || !put_back(feed, hint)) {
            free(hint.repository);
        }
        TRY(err);
    }
    if (told) {
        workers_wake(feed->service);
    }
    return NULL;
}

// --- the thread ----------------------------------------------------------------------------------

static void
take_delivery(struct run_feed *feed, const struct queue_delivery *delivery)
{
    struct json *hint CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(str_of(delivery->hint), &json_limits_default, &hint);
    const char *repository = json_str(json_get(hint, "repository"));
    int64_t run_id = json_int(json_get(hint, "run_id"), 0);
    if (repository != NULL && run_id > 0) {
        add_hint(feed, repository, run_id);
    } else if (cstr_equal(delivery->event, "push")) {
        specs_stale(feed->service); // the replica that was told may be another one
    }
    error_free(err); // ours, and only a hint
}

static struct error *
take_deliveries(struct run_feed *feed)
{
    for (size_t count = TAKE_MAX; count == TAKE_MAX && !atomic_load(&feed->stopped);) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct queue_delivery *deliveries = NULL;
        TRY(queue_deliveries_take(feed->store, TAKE_MAX, arena, &deliveries, &count));
        for (size_t i = 0; i < count; i++) {
            take_delivery(feed, &deliveries[i]);
        }
        TRY(tell_jobs(feed));
    }
    return NULL;
}

static void *
work(void *ctx)
{
    struct run_feed *feed = ctx;
    const struct clock *clock = clock_of(feed);
    int64_t trimmed = clock_mono(clock);
    while (!atomic_load(&feed->stopped)) {
        cancel_clear(feed->wake);
        struct error *err = take_deliveries(feed);
        if (err != NULL) {
            service_fail(feed->service, err);
            return NULL;
        }
        int64_t now = clock_mono(clock);
        if (now - trimmed >= TRIM_MS) {
            trim(feed, now - KEPT_MS);
            trimmed = now;
        }
        if (!atomic_load(&feed->stopped)) {
            error_free(clock_sleep_until(clock, now + GATHER_MS, NULL));
            error_free(clock_sleep_until(clock, now + IDLE_MS, feed->wake));
        }
    }
    return NULL;
}

static void
feed_free(struct run_feed *feed)
{
    trim(feed, INT64_MAX);
    for (size_t i = 0; i < feed->hint_count; i++) {
        free(hint_at(feed, i)->repository);
    }
    store_close(feed->store);
    cancel_free(feed->wake);
    (void)pthread_mutex_destroy(&feed->lock);
    free(feed);
}

struct error *
feed_start(struct service *service)
{
    struct run_feed *feed = xcalloc(1, sizeof(*feed));
    feed->service = service;
    feed->face = (struct deploy_run_feed){has_news, feed};
    feed->wake = cancel_new();
    (void)pthread_mutex_init(&feed->lock, NULL);
    struct error *err = service_store_open(service, &feed->store);
    int failed = err == NULL ? pthread_create(&feed->thread, NULL, work, feed) : 0;
    if (failed != 0) {
        err = error_new(ERROR_STORAGE, "start a thread for news of runs: %s", strerror(failed));
    }
    if (err != NULL) {
        feed_free(feed);
        return err;
    }
    feed->runs = true;
    service_parts(service)->feed = feed;
    return NULL;
}

void
feed_quiet(struct service *service)
{
    struct run_feed *feed = service_parts(service)->feed;
    if (feed != NULL && feed->runs) {
        atomic_store(&feed->stopped, true);
        cancel_raise(feed->wake, 1);
        (void)pthread_join(feed->thread, NULL);
        feed->runs = false;
    }
}

void
feed_stop(struct service *service)
{
    struct run_feed *feed = service_parts(service)->feed;
    if (feed != NULL) {
        feed_quiet(service);
        service_parts(service)->feed = NULL;
        feed_free(feed);
    }
}
