// Token buckets by name: so many a minute, and a burst. Buckets that are full again are forgotten,
// so that names that strangers choose do not fill the memory. Decides nothing but yes or no.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum { SLOTS = 4096, PROBES = 8, MS_PER_MINUTE = 60 * 1000, KEY_MAX = 96 };

struct bucket {
    char key[KEY_MAX];
    int64_t left_milli; // thousandths of a request
    int64_t at_ms;      // when that was so
    int64_t full_ms;    // when it is full again: then the slot is free
};

struct limiter {
    pthread_mutex_t lock;
    struct bucket slots[SLOTS];
};

struct limiter *
limiter_new(void)
{
    struct limiter *limiter = xcalloc(1, sizeof(*limiter));
    (void)pthread_mutex_init(&limiter->lock, NULL);
    return limiter;
}

void
limiter_free(struct limiter *limiter)
{
    if (limiter != NULL) {
        (void)pthread_mutex_destroy(&limiter->lock);
        free(limiter);
    }
}

// FNV-1a: strangers who made names collide would only share a limit.
static size_t
slot_of(const char *key)
{
    uint64_t hash = 14695981039346656037U;
    for (const char *byte = key; *byte != '\0'; byte++) {
        hash = (hash ^ (unsigned char)*byte) * 1099511628211U;
    }
    return (size_t)(hash % SLOTS);
}

// NULL: it has none.
static struct bucket *
find(struct limiter *limiter, const char *key)
{
    size_t from = slot_of(key);
    for (size_t i = 0; i < PROBES; i++) {
        struct bucket *bucket = &limiter->slots[(from + i) % SLOTS];
        if (strncmp(bucket->key, key, KEY_MAX - 1) == 0) {
            return bucket;
        }
    }
    return NULL;
}

// Its own, a free one, or the one that will be full first.
static struct bucket *
find_or_make(struct limiter *limiter, const char *key)
{
    struct bucket *best = find(limiter, key);
    if (best != NULL) {
        return best;
    }
    size_t from = slot_of(key);
    best = &limiter->slots[from];
    for (size_t i = 1; i < PROBES; i++) {
        struct bucket *bucket = &limiter->slots[(from + i) % SLOTS];
        best = bucket->full_ms < best->full_ms ? bucket : best;
    }
    *best = (struct bucket){.at_ms = -1};
    memcpy(best->key, key, strnlen(key, KEY_MAX - 1));
    return best;
}

// What is in it now.
static int64_t
left_of(const struct bucket *bucket, const struct limiter_rule *rule, int64_t mono_ms)
{
    int64_t full = rule->burst * 1000, passed = bucket->at_ms < 0 ? 0 : mono_ms - bucket->at_ms;
    // A minute's worth a minute, in thousandths: rate * 1000 / 60000 for each millisecond.
    int64_t gained = passed > 24 * 60 * MS_PER_MINUTE ? full : passed * rule->per_minute / 60;
    int64_t left = bucket->at_ms < 0 ? full : bucket->left_milli + gained;
    return left < full ? left : full;
}

static int64_t
retry_of(const struct limiter_rule *rule, int64_t lacks_milli)
{
    int64_t rate = rule->per_minute > 0 ? rule->per_minute : 1;
    return (lacks_milli > 0 ? lacks_milli * 60 / rate : 0) / 1000 + 1;
}

bool
limiter_take(struct limiter *limiter, const char *key, const struct limiter_rule *rule,
    int64_t mono_ms, int64_t *retry_s)
{
    (void)pthread_mutex_lock(&limiter->lock);
    struct bucket *bucket = find_or_make(limiter, key);
    int64_t full = rule->burst * 1000, before = bucket->left_milli;
    int64_t left = left_of(bucket, rule, mono_ms);
    bool may = left >= 1000;
    left -= may ? 1000 : 0;
    if (may || left > before || bucket->at_ms < 0) {
        bucket->left_milli = left;
        bucket->at_ms = mono_ms;
    }
    bucket->full_ms = mono_ms + (full - left) * 60 / (rule->per_minute > 0 ? rule->per_minute : 1);
    (void)pthread_mutex_unlock(&limiter->lock);
    *retry_s = retry_of(rule, may ? 0 : 1000 - left);
    return may;
}

bool
limiter_has(struct limiter *limiter, const char *key, const struct limiter_rule *rule,
    int64_t mono_ms, int64_t *retry_s)
{
    (void)pthread_mutex_lock(&limiter->lock);
    const struct bucket *bucket = find(limiter, key);
    int64_t left = bucket != NULL ? left_of(bucket, rule, mono_ms) : rule->burst * 1000;
    (void)pthread_mutex_unlock(&limiter->lock);
    *retry_s = retry_of(rule, 1000 - left);
    return left >= 1000;
}
