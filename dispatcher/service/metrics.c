// What operators see of a running service, as Prometheus' text format: counters of this process,
// gauges from the store. Names are stable (docs/service.md); nothing here names an app or a person.
#include <stdatomic.h>
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "dispatcher/queue_drift.h"
#include "service_state_internal.h"

enum { BUCKETS = 12 };

// Upper bounds of the latency histogram, in microseconds and as Prometheus wants them.
static const struct {
    int64_t us;
    const char *le;
} bounds[BUCKETS] = {
    {1000, "0.001"},
    {2500, "0.0025"},
    {5000, "0.005"},
    {10000, "0.01"},
    {20000, "0.02"},
    {50000, "0.05"},
    {100000, "0.1"},
    {250000, "0.25"},
    {500000, "0.5"},
    {1000000, "1"},
    {2500000, "2.5"},
    {10000000, "10"},
};

struct metrics {
    atomic_llong counters[METRIC_COUNT];
    atomic_llong classes[6]; // of answers, by the first digit of their status
    atomic_llong codes[REASON_COUNT];
    atomic_llong buckets[BUCKETS];
    atomic_llong count, sum_us;
};

static const struct {
    const char *name, *help;
} texts[METRIC_COUNT] = {
    [METRIC_REQUESTS] = {"dispatcher_requests_total", "requests that were answered"},
    [METRIC_ACCEPTED] = {"dispatcher_accepted_total", "deployments that were accepted"},
    [METRIC_DENIED] = {"dispatcher_denied_total", "requests whose caller was refused"},
    [METRIC_FINISHED_GOOD] = {"dispatcher_finished_good_total", "deployments that ended well"},
    [METRIC_FINISHED_BAD] = {"dispatcher_finished_bad_total", "deployments that did not"},
    [METRIC_HOOKS] = {"dispatcher_hooks_total", "webhook deliveries that were signed"},
    [METRIC_HOOKS_REFUSED] = {"dispatcher_hooks_refused_total",
        "webhook deliveries without a good signature"},
    [METRIC_HOOKS_AGAIN] = {"dispatcher_hooks_again_total",
        "webhook deliveries that were here before"},
    [METRIC_GITHUB_COUNTED] = {"dispatcher_github_counted_total",
        "requests to GitHub that count against the quota"},
    [METRIC_GITHUB_SENT] = {"dispatcher_github_sent_total", "requests to GitHub"},
    [METRIC_ADOPTED] = {"dispatcher_adopted_total", "deployments that another worker left behind"},
    [METRIC_POLLS] = {"dispatcher_polls_total", "shared polls of infra repositories"},
    [METRIC_REDELIVERED] = {"dispatcher_redelivered_total",
        "webhook deliveries that GitHub was asked to repeat"},
};

struct metrics *
metrics_new(void)
{
    return xcalloc(1, sizeof(struct metrics));
}

void
metrics_free(struct metrics *metrics)
{
    free(metrics);
}

void
metric_add(struct service *service, enum metric_counter counter, int64_t amount)
{
    (void)atomic_fetch_add(&service->metrics->counters[counter], amount);
}

void
metrics_count_code(struct metrics *metrics, enum reason_code code)
{
    if (code < REASON_COUNT) {
        (void)atomic_fetch_add(&metrics->codes[code], 1);
    }
}

void
metrics_observe(struct metrics *metrics, int status, int64_t took_us)
{
    (void)atomic_fetch_add(&metrics->counters[METRIC_REQUESTS], 1);
    (void)atomic_fetch_add(&metrics->classes[status >= 100 && status < 600 ? status / 100 : 0], 1);
    (void)atomic_fetch_add(&metrics->count, 1);
    (void)atomic_fetch_add(&metrics->sum_us, took_us);
    for (size_t i = 0; i < BUCKETS; i++) {
        if (took_us <= bounds[i].us) {
            (void)atomic_fetch_add(&metrics->buckets[i], 1);
            return;
        }
    }
}

static void
head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
gauge(struct buf *out, const char *name, const char *help, int64_t value)
{
    head(out, name, "gauge", help);
    buf_printf(out, "%s %lld\n", name, (long long)value);
}

static void
print_counters(const struct metrics *metrics, struct buf *out)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        head(out, texts[i].name, "counter", texts[i].help);
        buf_printf(out, "%s %lld\n", texts[i].name, atomic_load(&metrics->counters[i]));
    }
    head(out, "dispatcher_responses_total", "counter", "answers by the class of their status");
    for (int i = 1; i < 6; i++) {
        buf_printf(out, "dispatcher_responses_total{class=\"%dxx\"} %lld\n", i,
            atomic_load(&metrics->classes[i]));
    }
    head(out, "dispatcher_refusals_total", "counter", "refusals by their reason code");
    for (size_t i = 0; i < REASON_COUNT; i++) {
        long long count = atomic_load(&metrics->codes[i]);
        if (count > 0) {
            buf_printf(out, "dispatcher_refusals_total{code=\"%s\"} %lld\n",
                reason_code_name((enum reason_code)i), count);
        }
    }
}

static void
print_latency(const struct metrics *metrics, struct buf *out)
{
    long long below = 0, sum = atomic_load(&metrics->sum_us);
    const char *name = "dispatcher_request_seconds";
    head(out, name, "histogram", "from a request's headers to the start of its answer");
    for (size_t i = 0; i < BUCKETS; i++) {
        below += atomic_load(&metrics->buckets[i]);
        buf_printf(out, "%s_bucket{le=\"%s\"} %lld\n", name, bounds[i].le, below);
    }
    long long count = atomic_load(&metrics->count);
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %lld\n%s_sum %lld.%06lld\n%s_count %lld\n", name, count,
        name, sum / 1000000, sum % 1000000, name, count);
}

// States of lanes, never lanes: their number is the number of apps.
static void
print_drift(struct service *service, struct store *store, struct buf *out)
{
    const char *name = "dispatcher_drift";
    struct queue_drift_counts counts = {0};
    if (service_settings(service)->drift_interval_ms == 0) {
        return;
    }
    struct error *err CLEANUP(error_freep) = queue_drift_count(store, &counts);
    if (err != NULL) {
        return;
    }
    const struct {
        const char *state;
        int64_t count;
    } states[] = {{"in-sync", counts.in_sync}, {"drift", counts.drift}, {"unknown", counts.unknown},
        {"nothing", counts.nothing}, {"unseen", counts.unseen}};
    head(out, name, "gauge", "apps in environments by how they stand to their last proven release");
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        buf_printf(
            out, "%s{state=\"%s\"} %lld\n", name, states[i].state, (long long)states[i].count);
    }
    int64_t now = clock_wall(service->platform.clock);
    gauge(out, "dispatcher_drift_age_seconds", "since anything was looked at for drift; -1: never",
        counts.looked_ms > 0 ? (now - counts.looked_ms) / 1000 : -1);
}

static void
print_specs(struct service *service, struct buf *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct specs_state state = {0};
    int64_t now = clock_wall(service->platform.clock);
    specs_state(service, arena, &state);
    gauge(out, "dispatcher_specs_age_seconds", "since the specs were read well; -1: never",
        state.read_ms > 0 ? (now - state.read_ms) / 1000 : -1);
    gauge(out, "dispatcher_specs_apps", "apps that there are", (int64_t)state.apps);
    gauge(out, "dispatcher_specs_broken", "apps whose spec cannot be used", (int64_t)state.broken);
    int64_t keys = keys_fetched_ms(service->keys);
    gauge(out, "dispatcher_keys_age_seconds", "since the issuer's keys were read well; -1: never",
        keys > 0 ? (now - keys) / 1000 : -1);
}

void
metrics_print(struct service *service, struct store *store, struct buf *out)
{
    struct queue_counts counts = {0};
    struct workers_state workers = {0};
    struct error *err CLEANUP(error_freep) = queue_count(store, &counts);
    print_counters(service->metrics, out);
    print_latency(service->metrics, out);
    if (err == NULL) {
        gauge(out, "dispatcher_queued", "deployments that wait", counts.queued);
        gauge(out, "dispatcher_held", "of these, for more than their turn", counts.held);
        gauge(out, "dispatcher_running", "deployments that run", counts.running);
    }
    workers_state(service, &workers);
    gauge(out, "dispatcher_workers", "threads that advance deployments", (int64_t)workers.alive);
    gauge(out, "dispatcher_connections", "open connections", (int64_t)listen_connections(service));
    gauge(out, "dispatcher_streams", "open event streams", (int64_t)streams_count(service));
    gauge(out, "dispatcher_writer_backlog", "writes that wait for the next commit",
        (int64_t)writer_backlog(service));
    gauge(out, "dispatcher_trace_dropped", "spans that the collector did not take",
        trace_dropped(service));
    gauge(out, "dispatcher_draining", "1 while the replica stops", service_is_draining(service));
    gauge(out, "dispatcher_storage_failed", "1 once storage failed", atomic_load(&service->failed));
    print_specs(service, out);
    print_drift(service, store, out);
}
