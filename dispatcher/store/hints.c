// Hints between those that share a database. What is told in a transaction (store_notify) is heard
// once it is committed; what store_tell tells, at once. Knows nothing of what a hint is about.
#include <poll.h>

#include "store_internal.h"

void
store_notify(struct store *store)
{
    store->notify = true;
}

struct error *
store_listen(struct store *store)
{
    TRY(store_check(store));
    return store->driver->ear != NULL ? store_run(store, "LISTEN dispatcher") : NULL;
}

struct error *
store_tell(struct store *store, const char *about)
{
    if (store->driver->ear == NULL) {
        return NULL;
    }
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT pg_notify('dispatcher', ?)");
    query_text(&query, about);
    return query_run(&query);
}

struct hearing {
    void (*heard)(void *ctx, const char *about);
    void *ctx;
    size_t count;
};

static void
count_heard(void *ctx, const char *about)
{
    struct hearing *hearing = ctx;
    hearing->count++;
    hearing->heard(hearing->ctx, about);
}

static struct error *
take_told(struct store *store, struct hearing *hearing)
{
    return store->driver->ear != NULL ? store->driver->take_told(store, count_heard, hearing)
                                      : NULL;
}

// What an earlier statement's answer brought along is not on the wire any more, so it is taken
// before anything is waited for.
struct error *
store_hear(struct store *store, int wait_ms, const struct cancel *wake,
    void (*heard)(void *ctx, const char *about), void *ctx)
{
    struct hearing hearing = {heard, ctx, 0};
    TRY(store_check(store));
    TRY(take_told(store, &hearing));
    if (hearing.count > 0) {
        return NULL;
    }
    struct pollfd ears[] = {
        {.fd = store->driver->ear != NULL ? store->driver->ear(store) : -1, .events = POLLIN},
        {.fd = wake != NULL ? cancel_fd(wake) : -1, .events = POLLIN},
    };
    (void)poll(ears, ARRAY_LENGTH(ears), wait_ms); // interrupted: nothing came, as when it is over
    return take_told(store, &hearing);
}
