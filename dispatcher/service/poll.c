// The safety net under webhooks: one conditional look at an infra repository's runs, however many
// deployments wait there, by one replica. A page that has not changed costs no quota; of those that
// have, a round reads no more than its budget, and the next round goes on where it stopped
// (poll_pages.c). A run that moved, or is over while its job still runs, is told to its job, which
// looks for itself.
#include "poll_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum {
    EVERY_MS = 60 * 1000, // where the settings do not say
    WAITING_MAX = 10 * 1000,
    SLACK_MS = 5 * 60 * 1000, // our clock and GitHub's, and the time from the POST to the row
    PATIENCE_MS = 20 * 1000,  // of all requests of a round
    LEASE_SLACK_MS = 10 * 1000,
    IDLE_MS = 5000,
};

struct polled {
    char *infra;
    struct github_client *client; // NULL: could not be opened
    struct secret *key;           // that it has
    struct poll_lists lists;
    int64_t next_ms; // mono
    struct polled *next;
};

struct poller {
    struct service *service;
    struct http_client *http;
    struct store *store;
    struct polled *repositories;
};

// One round of one repository.
struct polling {
    struct poller *poller;
    struct polled *polled;
    struct arena *arena;
    int64_t oldest_ms; // wall: older runs are nobody's
    int64_t now_ms;    // mono
};

struct poller *
poll_new(struct service *service, struct http_client *http, struct store *store)
{
    struct poller *poller = xcalloc(1, sizeof(*poller));
    *poller = (struct poller){.service = service, .http = http, .store = store};
    return poller;
}

static void
polled_free(struct polled *polled)
{
    github_client_free(polled->client);
    secret_free(polled->key);
    poll_seen_done(&polled->lists.seen);
    free(polled->infra);
    free(polled);
}

void
poll_free(struct poller *poller)
{
    if (poller == NULL) {
        return;
    }
    for (struct polled *one = poller->repositories, *next = NULL; one != NULL; one = next) {
        next = one->next;
        polled_free(one);
    }
    free(poller);
}

static const struct platform *
platform_of(const struct poller *poller)
{
    return service_platform(poller->service);
}

static int64_t
every_ms(const struct poller *poller)
{
    int64_t every = service_settings(poller->service)->poll_ms;
    return every > 0 ? every : EVERY_MS;
}

// --- one round -----------------------------------------------------------------------------------

static void
tell(void *ctx, int64_t run_id)
{
    const struct polling *p = ctx;
    feed_news(p->poller->service, p->polled->infra, run_id);
}

// Over, and its job still waits: the hint was lost, or its look failed.
static void
tell_of_the_complete(struct polling *p)
{
    const struct seen_runs *seen = &p->polled->lists.seen;
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->items[i].complete) {
            tell(p, seen->items[i].run_id);
        }
    }
}

static struct error *
read_waiting(struct polling *p)
{
    int64_t *run_ids = NULL;
    size_t count = 0;
    TRY(queue_run_ids(p->poller->store, p->polled->infra, WAITING_MAX, p->arena, &run_ids, &count));
    poll_seen_set(&p->polled->lists.seen, run_ids, count, p->now_ms);
    return NULL;
}

static struct error *
ask_github(struct polling *p)
{
    struct polled *polled = p->polled;
    if (installation_is_other(p->poller->service, &polled->key)) {
        github_client_freep(&polled->client);
    }
    if (polled->client == NULL) {
        TRY(installation_client(
            p->poller->service, p->poller->http, polled->infra, GITHUB_FOR_RUNS, &polled->client));
    }
    const struct github_counters before = github_client_counters(polled->client);
    const struct poll_round round = {
        .lists = &polled->lists,
        .client = polled->client,
        .arena = p->arena,
        .oldest_ms = p->oldest_ms,
        .counted = before.counted,
        .now_ms = p->now_ms,
        .tell = tell,
        .ctx = p,
    };
    github_client_set_deadline(polled->client, p->now_ms + PATIENCE_MS);
    struct error *err = poll_pages_read(&round);
    const struct github_counters after = github_client_counters(polled->client);
    metric_add(p->poller->service, METRIC_GITHUB_COUNTED, after.counted - before.counted);
    metric_add(p->poller->service, METRIC_GITHUB_SENT, after.sent - before.sent);
    metric_add(p->poller->service, METRIC_POLLS, 1);
    return err;
}

static struct error *
poll_one(struct poller *poller, struct polled *polled, const struct queue_runs *runs)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct polling p = {
        .poller = poller,
        .polled = polled,
        .arena = arena,
        .oldest_ms = runs->oldest_started_ms - SLACK_MS,
        .now_ms = clock_mono(platform_of(poller)->clock),
    };
    TRY(read_waiting(&p));
    struct error *err = ask_github(&p);
    tell_of_the_complete(&p);
    if (err != NULL && error_kind(err) != ERROR_CANCELLED) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_warn(platform_of(poller)->log, "runs are not polled", F_STR("infra", polled->infra),
            F_STR("problem", text));
    }
    error_free(err);
    return NULL;
}

// --- whose turn it is ----------------------------------------------------------------------------

static struct polled *
polled_of(struct poller *poller, const char *infra)
{
    for (struct polled *one = poller->repositories; one != NULL; one = one->next) {
        if (str_equal_nocase(str_of(one->infra), str_of(infra))) {
            return one;
        }
    }
    struct polled *made = xcalloc(1, sizeof(*made));
    made->infra = xstrdup(infra);
    // At once: what happened while nobody ran was told to nobody.
    made->next_ms = clock_mono(platform_of(poller)->clock);
    made->next = poller->repositories;
    poller->repositories = made;
    return made;
}

// Several replicas, and several repositories, do not ask in the same second.
static int64_t
jittered(const struct poller *poller)
{
    int64_t every = every_ms(poller), tenth = every / 10;
    return every - tenth +
           (int64_t)(2.0 * (double)tenth * random_unit(platform_of(poller)->random));
}

static struct error *
take_turn(struct poller *poller, struct polled *polled, const struct queue_runs *runs)
{
    const struct clock *clock = platform_of(poller)->clock;
    char *name CLEANUP(xfreep) = xasprintf("poll:%s", polled->infra);
    bool leads = false;
    polled->next_ms = clock_mono(clock) + jittered(poller);
    TRY(queue_lead(poller->store, name, service_replica(poller->service), clock_wall(clock),
        every_ms(poller) + LEASE_SLACK_MS, &leads));
    if (!leads) { // until that one goes away
        polled->next_ms = clock_mono(clock) + IDLE_MS;
        return NULL;
    }
    return poll_one(poller, polled, runs);
}

struct error *
poll_round(struct poller *poller, int64_t *next_ms)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct platform *platform = platform_of(poller);
    struct queue_runs *runs = NULL;
    int64_t next = INT64_MAX;
    size_t count = 0;
    TRY(queue_infras(poller->store, arena, &runs, &count));
    for (size_t i = 0; i < count && cancel_signal(platform->cancel) == 0; i++) {
        struct polled *polled = polled_of(poller, runs[i].infra);
        if (polled->next_ms <= clock_mono(platform->clock)) {
            TRY(take_turn(poller, polled, &runs[i]));
        }
        next = polled->next_ms < next ? polled->next_ms : next;
    }
    int64_t idle = clock_mono(platform->clock) + IDLE_MS; // new ones may come
    *next_ms = next < idle ? next : idle;
    return NULL;
}
