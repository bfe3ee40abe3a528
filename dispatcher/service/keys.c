// The issuer's keys (protocols.md T08): fetched when there are none, when they are old, or when a
// token names one that is not there; by one thread at a time, once a minute at most, and the last
// good set counts for a day while the issuer is down. Which tokens are good is policy's.
#include <pthread.h>
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum {
    BETWEEN_MS = 60 * 1000,        // between two fetches, whatever for
    OLD_MS = 15 * 60 * 1000,       // then they are fetched without being asked
    DEAD_MS = 24 * 60 * 60 * 1000, // then they count no longer
    FETCH_MS = 5 * 1000,           // for one fetch
    WAITERS_MAX = 8,               // that wait for somebody else's fetch; others are refused
    SET_MAX = 64 * 1024,
};

// A set is replaced, never changed; whoever checks by it holds a reference.
struct key_set {
    struct jwt_keys *keys;
    int references; // behind the lock
};

struct keys {
    const struct platform *platform;
    const struct http_client_options *options;
    pthread_mutex_t lock;
    pthread_cond_t fetched;
    char *address;
    struct key_set *set;
    int64_t fetched_mono, tried_mono, fetched_wall;
    bool ever_fetched, ever_tried, fetching;
    int waiters;
};

struct keys *
keys_new(
    const struct platform *platform, const struct http_client_options *options, const char *address)
{
    struct keys *keys = xcalloc(1, sizeof(*keys));
    keys->platform = platform;
    keys->options = options;
    keys->address = xstrdup(address);
    (void)pthread_mutex_init(&keys->lock, NULL);
    (void)pthread_cond_init(&keys->fetched, NULL);
    return keys;
}

static void
drop(struct key_set *set)
{
    if (set != NULL && --set->references == 0) {
        jwt_keys_free(set->keys);
        free(set);
    }
}

void
keys_free(struct keys *keys)
{
    if (keys != NULL) {
        drop(keys->set);
        free(keys->address);
        (void)pthread_cond_destroy(&keys->fetched);
        (void)pthread_mutex_destroy(&keys->lock);
        free(keys);
    }
}

void
keys_set_address(struct keys *keys, const char *address)
{
    (void)pthread_mutex_lock(&keys->lock);
    if (!cstr_equal(keys->address, address)) {
        free(keys->address);
        keys->address = xstrdup(address);
        keys->ever_tried = keys->ever_fetched = false;
        drop(keys->set); // another issuer's keys say nothing any more
        keys->set = NULL;
    }
    (void)pthread_mutex_unlock(&keys->lock);
}

static struct error *
fetch(struct keys *keys, const char *address, struct jwt_keys **out)
{
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct http_response response CLEANUP(http_response_done) = {0};
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add(&headers, "Accept", "application/json");
    const struct http_request request = {
        .method = HTTP_GET,
        .url = address,
        .headers = &headers,
        .deadline_ms = clock_mono(keys->platform->clock) + FETCH_MS,
        .max_response = SET_MAX,
    };
    TRY(http_client_new(keys->platform, keys->options, &http));
    TRY(http_send(http, &request, &response));
    if (response.status != 200) {
        return error_new(ERROR_UNAVAILABLE, "GET %s: HTTP %d", address, response.status);
    }
    return jwt_keys_parse(buf_str(&response.body), out);
}

static bool
is_due(const struct keys *keys)
{
    int64_t now = clock_mono(keys->platform->clock);
    return !keys->ever_tried || now - keys->tried_mono >= BETWEEN_MS;
}

static void
keep(struct keys *keys, struct jwt_keys *parsed)
{
    struct key_set *set = xcalloc(1, sizeof(*set));
    *set = (struct key_set){parsed, 1};
    drop(keys->set);
    keys->set = set;
    keys->ever_fetched = true;
    keys->fetched_mono = clock_mono(keys->platform->clock);
    keys->fetched_wall = clock_wall(keys->platform->clock);
}

// Called with the lock held, which is released for the network. True: a fetch has just ended, ours
// or somebody else's.
static bool
refresh(struct keys *keys)
{
    if (keys->fetching) {
        if (keys->waiters >= WAITERS_MAX) {
            return false;
        }
        keys->waiters++;
        while (keys->fetching) {
            (void)pthread_cond_wait(&keys->fetched, &keys->lock);
        }
        keys->waiters--;
        return true;
    }
    if (!is_due(keys)) {
        return false;
    }
    char *address CLEANUP(xfreep) = xstrdup(keys->address);
    struct jwt_keys *parsed = NULL;
    keys->fetching = keys->ever_tried = true;
    keys->tried_mono = clock_mono(keys->platform->clock);
    (void)pthread_mutex_unlock(&keys->lock);
    struct error *err CLEANUP(error_freep) = fetch(keys, address, &parsed);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_warn(keys->platform->log, "the issuer's keys cannot be read", F_STR("error", text));
    }
    (void)pthread_mutex_lock(&keys->lock);
    if (parsed != NULL && cstr_equal(keys->address, address)) {
        keep(keys, parsed);
    } else {
        jwt_keys_free(parsed);
    }
    keys->fetching = false;
    (void)pthread_cond_broadcast(&keys->fetched);
    return true;
}

static bool
is_dead(const struct keys *keys)
{
    return !keys->ever_fetched || clock_mono(keys->platform->clock) - keys->fetched_mono >= DEAD_MS;
}

static struct key_set *
hold(struct keys *keys)
{
    if (is_dead(keys)) {
        (void)refresh(keys);
    }
    if (is_dead(keys)) {
        return NULL;
    }
    keys->set->references++;
    return keys->set;
}

static void
let_go(struct keys *keys, struct key_set *set)
{
    (void)pthread_mutex_lock(&keys->lock);
    drop(set);
    (void)pthread_mutex_unlock(&keys->lock);
}

enum keys_found
keys_check(struct keys *keys, struct str token, const struct policy_token_rules *rules,
    struct arena *arena, struct policy_claims **claims, struct policy_verdict *verdict)
{
    (void)pthread_mutex_lock(&keys->lock);
    struct key_set *set = hold(keys);
    (void)pthread_mutex_unlock(&keys->lock);
    if (set == NULL) {
        return KEYS_NONE;
    }
    policy_token_check(set->keys, token, rules, arena, claims, verdict);
    let_go(keys, set);
    if (verdict->allowed || verdict->code != REASON_KEY_UNKNOWN) {
        return KEYS_CHECKED;
    }
    (void)pthread_mutex_lock(&keys->lock);
    set = refresh(keys) ? hold(keys) : NULL;
    (void)pthread_mutex_unlock(&keys->lock);
    if (set != NULL) {
        policy_token_check(set->keys, token, rules, arena, claims, verdict);
        let_go(keys, set);
    }
    return KEYS_CHECKED;
}

int64_t
keys_fetched_ms(struct keys *keys)
{
    (void)pthread_mutex_lock(&keys->lock);
    int64_t at = is_dead(keys) ? 0 : keys->fetched_wall;
    (void)pthread_mutex_unlock(&keys->lock);
    return at;
}

void
keys_freshen(struct keys *keys)
{
    (void)pthread_mutex_lock(&keys->lock);
    int64_t now = clock_mono(keys->platform->clock);
    if (!keys->ever_fetched || now - keys->fetched_mono >= OLD_MS) {
        (void)refresh(keys);
    }
    (void)pthread_mutex_unlock(&keys->lock);
}
