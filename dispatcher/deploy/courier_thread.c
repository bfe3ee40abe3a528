// The courier beside a deployment: threads, each with a context, a journal handle and an HTTP
// client of its own, that deliver what is due and otherwise sleep until they are woken. One for
// each sink, because those that hang, and be it all of an app's, must not keep the others waiting.
// A few others go to the lanes in trouble, and they alone: whatever hung before, the first ones are
// free for what is well.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "notice_internal.h"

enum {
    SINKS_MAX = 20, // of a deployment, as the files are checked
    OTHERS = 3,
    WORKERS_MAX = SINKS_MAX + OTHERS,
    NAP_MS = 100,        // while something is due that another worker or process is at, ...
    NAP_EACH_MS = 25,    // ... and this for each worker, so that many ask no more often than four
    SLEEP_MAX_MS = 5000, // what other processes put into the outbox does not wake us
};

struct worker {
    struct deploy_courier *courier;
    struct platform platform;
    struct cancel *wake;
    struct http_client *http;
    struct deploy_context *context;
    unsigned forgotten; // what of the courier's `forget` it did
    pthread_t thread;
    bool runs;
};

struct deploy_courier {
    struct deploy_context *owner;
    struct cancel *stop; // of all requests under way
    atomic_bool stopped;
    atomic_uint forget; // how often its contexts are to
    struct worker workers[WORKERS_MAX];
    size_t count, sinks;
};

static int64_t
nap_ms(const struct worker *worker, int64_t next_ms)
{
    int64_t wait = SLEEP_MAX_MS, nap = (int64_t)worker->courier->sinks * NAP_EACH_MS;
    if (next_ms != INT64_MAX) {
        wait = next_ms - clock_wall(worker->platform.clock);
    }
    nap = nap > NAP_MS ? nap : NAP_MS;
    return wait < nap ? nap : wait > SLEEP_MAX_MS ? SLEEP_MAX_MS : wait;
}

static void
forget_what_is_old(struct worker *worker)
{
    unsigned now = atomic_load(&worker->courier->forget);
    if (worker->forgotten != now) {
        worker->forgotten = now;
        deploy_context_forget(worker->context);
    }
}

// A journal that fails is the deployment's own trouble, and said there.
static void *
work(void *ctx)
{
    struct worker *worker = ctx;
    const struct clock *clock = worker->platform.clock;
    while (!atomic_load(&worker->courier->stopped)) {
        int64_t next_ms = INT64_MAX;
        cancel_clear(worker->wake);
        forget_what_is_old(worker);
        struct error *err = courier_round(worker->context, &next_ms);
        if (err != NULL) {
            log_warn(worker->platform.log, "reports are not delivered",
                F_STR("problem", error_message(err)));
            error_free(err);
            return NULL;
        }
        int64_t until = clock_mono(clock) + nap_ms(worker, next_ms);
        if (!atomic_load(&worker->courier->stopped)) {
            error_free(clock_sleep_until(clock, until, worker->wake));
        }
    }
    return NULL;
}

static struct error *
open_worker(struct deploy_courier *courier, const struct http_client_options *http)
{
    struct worker *worker = &courier->workers[courier->count];
    const struct deploy_context *owner = courier->owner;
    *worker = (struct worker){.courier = courier, .platform = *owner->platform};
    worker->platform.cancel = courier->stop;
    worker->wake = cancel_new();
    courier->count++;
    TRY(http_client_new(&worker->platform, http, &worker->http));
    const struct deploy_context_options options = {.platform = &worker->platform,
        .http = worker->http,
        .ca_file = owner->ca_file,
        .proxy = owner->proxy,
        .no_proxy = owner->no_proxy,
        .state_path = owner->state_path,
        .secrets = owner->secret_rule};
    worker->context = deploy_context_new(&options);
    worker->context->lanes = courier->count <= courier->sinks ? COURIER_WELL : COURIER_IN_TROUBLE;
    int failed = pthread_create(&worker->thread, NULL, work, worker);
    worker->runs = failed == 0;
    return failed == 0
               ? NULL
               : error_new(ERROR_STORAGE, "start a thread for reports: %s", strerror(failed));
}

struct error *
deploy_courier_start(struct deploy_context *context, const struct http_client_options *http,
    size_t sinks, struct deploy_courier **out)
{
    struct store *store = NULL;
    TRY(deploy_store(context, &store)); // settles its path, and loads SQLite in one thread
    struct deploy_courier *courier CLEANUP(deploy_courier_freep) = xcalloc(1, sizeof(*courier));
    courier->owner = context;
    courier->stop = cancel_new();
    courier->sinks = sinks < SINKS_MAX ? sinks : SINKS_MAX;
    while (courier->count < courier->sinks + OTHERS) {
        TRY(open_worker(courier, http));
    }
    context->courier = courier;
    *out = courier;
    courier = NULL;
    return NULL;
}

void
deploy_courier_wake(struct deploy_courier *courier)
{
    for (size_t i = 0; courier != NULL && i < courier->count; i++) {
        cancel_raise(courier->workers[i].wake, 1);
    }
}

void
deploy_courier_forget(struct deploy_courier *courier)
{
    (void)atomic_fetch_add(&courier->forget, 1);
    deploy_courier_wake(courier);
}

// Would this notice be tried again before `until_wall`?
static struct error *
is_due_before(struct store *store, const struct store_outbox_row *row, int64_t until_wall,
    struct arena *arena, bool *due)
{
    struct store_lane lane = {0};
    TRY(store_lane_get(store, row->notice.lane, arena, &lane));
    *due = row->state != STORE_NOTICE_REFUSED && row->due_ms <= until_wall &&
           (lane.problem == NULL || lane.rest_until_ms <= until_wall);
    return NULL;
}

static struct error *
is_told(struct deploy_context *context, const char *id, int64_t until_ms, bool *told)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store *store = NULL;
    struct store_outbox_row *rows = NULL;
    size_t count = 0;
    const struct clock *clock = context->platform->clock;
    int64_t until_wall = clock_wall(clock) + until_ms - clock_mono(clock);
    const struct store_outbox_filter filter = {.deployment = id, .undelivered = true};
    bool due = false;
    TRY(deploy_store(context, &store));
    TRY(store_outbox_list(store, &filter, arena, &rows, &count));
    for (size_t i = 0; i < count && !due; i++) {
        TRY(is_due_before(store, &rows[i], until_wall, arena, &due));
    }
    *told = !due;
    return NULL;
}

struct error *
deploy_courier_is_done(struct deploy_courier *courier, const char *id, int64_t until_ms, bool *done)
{
    return is_told(courier->owner, id, until_ms, done);
}

void
deploy_courier_free(struct deploy_courier *courier)
{
    if (courier == NULL) {
        return;
    }
    atomic_store(&courier->stopped, true);
    cancel_raise(courier->stop, 1);
    deploy_courier_wake(courier);
    for (size_t i = 0; i < courier->count; i++) {
        struct worker *worker = &courier->workers[i];
        if (worker->runs) {
            (void)pthread_join(worker->thread, NULL);
        }
        deploy_context_free(worker->context);
        http_client_free(worker->http);
        cancel_free(worker->wake);
    }
    if (courier->owner->courier == courier) {
        courier->owner->courier = NULL;
    }
    cancel_free(courier->stop);
    free(courier);
}

void
deploy_courier_freep(struct deploy_courier **courier)
{
    deploy_courier_free(*courier);
    *courier = NULL;
}

// --- what is left --------------------------------------------------------------------------------

static struct deploy_untold *
find_sink(struct deploy_untold *list, size_t count, const char *sink)
{
    for (size_t i = 0; i < count; i++) {
        if (cstr_equal(list[i].sink, sink)) {
            return &list[i];
        }
    }
    return NULL;
}

struct error *
deploy_untold(struct deploy_context *context, const char *id, struct arena *arena,
    struct deploy_untold **out, size_t *count)
{
    struct store *store = NULL;
    struct store_outbox_row *rows = NULL;
    size_t length = 0, found = 0;
    const struct store_outbox_filter filter = {.deployment = id, .undelivered = true};
    TRY(deploy_store(context, &store));
    TRY(store_outbox_list(store, &filter, arena, &rows, &length));
    struct deploy_untold *list = arena_array(arena, length + 1, sizeof(*list));
    for (size_t i = 0; i < length; i++) {
        struct store_lane lane = {0};
        struct deploy_untold *one = find_sink(list, found, rows[i].notice.sink);
        if (one != NULL) {
            one->count++;
            continue;
        }
        TRY(store_lane_get(store, rows[i].notice.lane, arena, &lane));
        bool refused = rows[i].state == STORE_NOTICE_REFUSED;
        const char *problem = refused || lane.problem == NULL ? rows[i].problem : lane.problem;
        list[found++] = (struct deploy_untold){.sink = rows[i].notice.sink,
            .kind = rows[i].notice.kind,
            .count = 1,
            .is_refused = refused,
            .problem = problem != NULL ? problem : "its turn has not come yet",
            .hint = refused ? NULL : lane.hint};
    }
    *out = list;
    *count = found;
    return NULL;
}
