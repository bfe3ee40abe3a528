// Webhooks that did not arrive: GitHub sends each event once and never again by itself, so the
// App's deliveries are looked through, and what no attempt delivered is asked for once more. What
// a redelivery brings is handled like any other; what fails again is left to the poll.
#include "chores_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/github_service.h"
#include "dispatcher/memory.h"

enum {
    EVERY_MS = 5 * 60 * 1000,
    LEASE_MS = 12 * 60 * 1000,
    PAGES_MAX = 20,
    AGAIN_MAX = 50,                        // of a sweep: GitHub wants a second between two
    FIRST_MS = 60 * 60 * 1000,             // how far the first sweep of all looks back
    OVERLAP_MS = 10 * 60 * 1000,           // what is on its way now may be listed late
    YOUNG_MS = 60 * 1000,                  // may still be under way
    OLD_MS = INT64_C(70) * 60 * 60 * 1000, // GitHub keeps them for three days
    PATIENCE_MS = 60 * 1000,
    HEADROOM = 100,
};

#define FACT "sweep/since"

struct sweeper {
    struct service *service;
    struct http_client *http;
    struct store *store;
    struct github_client *client;
    struct secret *key; // that the client has
    int64_t next_ms;    // mono
};

// All attempts to deliver one event.
struct sweep_event {
    const char *guid;
    int64_t newest_id, newest_ms;
    bool ok, again; // again: somebody asked for it once more already
};

struct sweep_events {
    struct sweep_event *items;
    size_t count;
};

struct sweeper *
sweep_new(struct service *service, struct http_client *http, struct store *store)
{
    struct sweeper *sweeper = xcalloc(1, sizeof(*sweeper));
    *sweeper = (struct sweeper){.service = service, .http = http, .store = store};
    return sweeper;
}

void
sweep_free(struct sweeper *sweeper)
{
    if (sweeper != NULL) {
        github_client_free(sweeper->client);
        secret_free(sweeper->key);
        free(sweeper);
    }
}

static void
add_attempt(struct sweep_events *events, const struct github_delivery *attempt)
{
    size_t at = 0;
    while (at < events->count && strcmp(events->items[at].guid, attempt->guid) != 0) {
        at++;
    }
    struct sweep_event *event = &events->items[at];
    if (at == events->count) {
        *event = (struct sweep_event){.guid = attempt->guid};
        events->count++;
    }
    event->ok = event->ok || attempt->ok;
    event->again = event->again || attempt->redelivery;
    if (attempt->at_ms >= event->newest_ms) {
        event->newest_ms = attempt->at_ms;
        event->newest_id = attempt->id;
    }
}

// Newest first, back to `since`. *whole false: there were more than we read.
static struct error *
read_attempts(struct sweeper *sweeper, int64_t since_ms, struct arena *arena,
    struct sweep_events *out, bool *whole)
{
    const char *cursor = NULL;
    size_t room = (size_t)PAGES_MAX * HEADROOM;
    out->items = arena_array(arena, room, sizeof(*out->items));
    for (unsigned page = 0; page < PAGES_MAX; page++) {
        struct github_deliveries list = {0};
        TRY(github_hook_deliveries(sweeper->client, cursor, arena, &list));
        for (size_t i = 0; i < list.count && out->count < room; i++) {
            if (list.items[i].at_ms < since_ms) {
                *whole = true;
                return NULL;
            }
            add_attempt(out, &list.items[i]);
        }
        cursor = list.next;
        if (cursor == NULL) {
            *whole = true;
            return NULL;
        }
    }
    return NULL;
}

static struct error *
ask_again(struct sweeper *sweeper, const struct sweep_event *event)
{
    bool gone = false;
    TRY(github_hook_redeliver(sweeper->client, event->newest_id, &gone));
    if (!gone) {
        metric_add(sweeper->service, METRIC_REDELIVERED, 1);
    }
    log_info(service_platform(sweeper->service)->log,
        gone ? "a webhook is lost: GitHub has dropped it" : "a webhook is asked for again",
        F_STR("guid", event->guid));
    return NULL;
}

static struct error *
ask_for_lost(
    struct sweeper *sweeper, const struct sweep_events *events, int64_t now_ms, bool *whole)
{
    size_t asked = 0;
    for (size_t i = 0; i < events->count; i++) {
        const struct sweep_event *event = &events->items[i];
        int64_t age = now_ms - event->newest_ms;
        if (event->ok || event->again || age < YOUNG_MS || age > OLD_MS) {
            continue;
        }
        if (asked++ == AGAIN_MAX) {
            *whole = false;
            return NULL;
        }
        TRY(ask_again(sweeper, event));
    }
    return NULL;
}

static struct error *
since_of(struct sweeper *sweeper, int64_t now_ms, struct arena *arena, int64_t *out)
{
    const char *text = NULL;
    TRY(queue_fact_get(sweeper->store, FACT, arena, &text));
    if (!str_to_int64(str_of(text), out)) {
        *out = now_ms - FIRST_MS;
    }
    return NULL;
}

static struct error *
open_client(struct sweeper *sweeper)
{
    const char *any = service_settings(sweeper->service)->workflow_repo;
    if (installation_is_other(sweeper->service, &sweeper->key)) {
        github_client_freep(&sweeper->client);
    }
    return sweeper->client != NULL ? NULL
                                   : installation_client(sweeper->service, sweeper->http, any,
                                         GITHUB_FOR_RUNS, &sweeper->client);
}

// By GitHub's clock, as the deliveries are.
static struct error *
ask_github(struct sweeper *sweeper, int64_t since_ms, struct arena *arena, int64_t *next_since_ms)
{
    const struct clock *clock = service_platform(sweeper->service)->clock;
    struct sweep_events events = {0};
    bool whole = false;
    TRY(open_client(sweeper));
    github_client_set_deadline(sweeper->client, clock_mono(clock) + PATIENCE_MS);
    TRY(read_attempts(sweeper, since_ms, arena, &events, &whole));
    int64_t now = github_server_now(sweeper->client);
    TRY(ask_for_lost(sweeper, &events, now, &whole));
    *next_since_ms = whole ? now - OVERLAP_MS : since_ms;
    return NULL;
}

static struct error *
sweep(struct sweeper *sweeper)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct platform *platform = service_platform(sweeper->service);
    int64_t since = 0, next = 0;
    TRY(since_of(sweeper, clock_wall(platform->clock), arena, &since));
    struct error *err = ask_github(sweeper, since, arena, &next);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_warn(platform->log, "webhooks are not swept", F_STR("problem", text));
        error_free(err);
        return NULL;
    }
    char *value CLEANUP(xfreep) = xasprintf("%" PRId64, next);
    return queue_fact_set(sweeper->store, FACT, value);
}

struct error *
sweep_round(struct sweeper *sweeper, int64_t *next_ms)
{
    const struct platform *platform = service_platform(sweeper->service);
    struct secret *key CLEANUP(secret_freep) = service_app_key(sweeper->service);
    int64_t now = clock_mono(platform->clock);
    bool can = key != NULL && service_settings(sweeper->service)->workflow_repo != NULL;
    if (sweeper->next_ms <= now) {
        bool leads = false;
        sweeper->next_ms = now + EVERY_MS;
        if (can) {
            TRY(queue_lead(sweeper->store, "sweep", service_replica(sweeper->service),
                clock_wall(platform->clock), LEASE_MS, &leads));
        }
        TRY(leads ? sweep(sweeper) : NULL);
    }
    *next_ms = sweeper->next_ms < *next_ms ? sweeper->next_ms : *next_ms;
    return NULL;
}
