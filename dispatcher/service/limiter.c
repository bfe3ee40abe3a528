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

// Its own, a free one, or the one that will be full first.
static struct bucket *
find(struct limiter *limiter, const char *key, int64_t now)
{
    size_t from = slot_of(key);
    struct bucket *best = NULL;
    for (size_t i = 0; i < PROBES; i++) {
        struct bucket *bucket = &limiter->slots[(from + i) % SLOTS];
        if (strncmp(bucket->key, key, KEY_MAX - 1) == 0) {
            return bucket;
        }
        best = best == NULL || bucket->full_ms < best->full_ms ? bucket : best;
    }
    (void)now;
    *best = (struct bucket){.at_ms = -1};
    memcpy(best->key, key, strnlen(key, KEY_MAX - 1));
    return best;
}

bool
limiter_take(struct limiter *limiter, const char *key, const struct limiter_rule *rule,
    int64_t mono_ms, int64_t *retry_s)
{
    (void)pthread_mutex_lock(&limiter->lock);
    struct bucket *bucket = find(limiter, key, mono_ms);
    int64_t full = rule->burst * 1000;
    int64_t passed = bucket->at_ms < 0 ? 0 : mono_ms - bucket->at_ms;
    // A minute's worth a minute, in thousandths: rate * 1000 / 60000 for each millisecond.
    int64_t gained = passed > 24 * 60 * MS_PER_MINUTE ? full : passed * rule->per_minute / 60;
    int64_t left = bucket->at_ms < 0 ? full : bucket->left_milli + gained;
    left = left < full ? left : full;
    bool may = left >= 1000;
    left -= may ? 1000 : 0;
    if (may || gained > 0 || bucket->at_ms < 0) {
        bucket->left_milli = left;
        bucket->at_ms = mono_ms;
    }
    bucket->full_ms = mono_ms + (full - left) * 60 / (rule->per_minute > 0 ? rule->per_minute : 1);
    int64_t lacks = may ? 0 : (1000 - left) * 60 / (rule->per_minute > 0 ? rule->per_minute : 1);
    (void)pthread_mutex_unlock(&limiter->lock);
    *retry_s = lacks / 1000 + 1;
    return may;
}
