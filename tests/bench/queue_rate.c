// How fast the queue is: deployments accepted alone and in groups, each with its token, its key and
// its audit entry, durable; then the whole way through the queue with 10,000 waiting.
//
// usage: queue_rate PLACE [COUNT]
// PLACE is for store_open and must be empty. Prints a line for each measurement.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dispatcher/audit.h"
#include "dispatcher/memory.h"
#include "dispatcher/queue.h"

enum { APPS = 500, GROUP = 32, WAITING = 10000, LEASED = 16, WORST = 1 << 20 };

static double
seconds(clockid_t clock)
{
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double
now(void)
{
    return seconds(CLOCK_MONOTONIC);
}

static void
check(struct error *err)
{
    if (err != NULL) {
        char *text = error_text(err);
        (void)fprintf(stderr, "queue_rate: %s\n", text);
        exit(1);
    }
}

// One measurement: its samples, and when it began by the clock and by this process's time, which
// does not count others on the machine.
struct samples {
    double *items;
    size_t count;
    double start, cpu;
};

static void
begin_measurement(struct samples *samples)
{
    samples->count = 0;
    samples->start = now();
    samples->cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static void
sample(struct samples *samples, double took)
{
    if (samples->count < WORST) {
        samples->items[samples->count++] = took;
    }
}

static int
compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void
report(const char *what, size_t count, struct samples *samples)
{
    double took = now() - samples->start;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - samples->cpu;
    qsort(samples->items, samples->count, sizeof(double), compare);
    double p99 = samples->count > 0 ? samples->items[samples->count * 99 / 100] : 0;
    printf("%-44s %9.0f/s   p99 %7.2f ms   %6.1f us of CPU each\n", what, (double)count / took,
        p99 * 1e3, cpu * 1e6 / (double)count);
    (void)fflush(stdout);
}

struct request {
    int number;
    struct arena *arena;
};

static struct error *
accept_one(struct store *store, void *ctx)
{
    const struct request *request = ctx;
    struct arena *arena = request->arena;
    const struct queue_job job = {
        .id = arena_printf(arena, "d-%016x", request->number),
        .app = arena_printf(arena, "app-%d", request->number % APPS),
        .env = request->number / APPS % 2 == 0 ? "staging" : "production",
        .verb = "deploy",
        .version = "v1.2.3",
        .request = "{\"digests\":{\"web\":\"sha256:0123456789abcdef0123456789abcdef\"},"
                   "\"rule\":\"main\",\"ref\":\"refs/heads/main\",\"event\":\"push\"}",
        .requester = "octocat",
        .repository = "acme/app",
        .repository_id = 1000 + request->number % APPS,
        .trace = "0af7651916cd43dd8448eb211c80319c",
    };
    const struct queue_acceptance acceptance = {
        .job = &job,
        .idempotency = {"repository/1", arena_printf(arena, "key-%d", request->number), "hash"},
        .jti = arena_printf(arena, "jti-%d", request->number),
        .jti_until_ms = 1000000,
    };
    enum queue_accepted outcome = QUEUE_FULL;
    const char *id = NULL;
    TRY(queue_accept(store, &acceptance, request->number, arena, &outcome, &id));
    BUG_ON(outcome != QUEUE_NEW);
    const struct audit_entry entry = {.kind = "decision",
        .verdict = "allow",
        .code = "allowed",
        .app = job.app,
        .env = job.env,
        .deployment = job.id,
        .version = job.version,
        .actor = "octocat",
        .repository_id = job.repository_id,
        .run_id = request->number,
        .jti = acceptance.jti,
        .rule = "main",
        .detail = "{\"event\":\"push\",\"ref\":\"refs/heads/main\"}"};
    return audit_add(store, &entry, request->number);
}

static int
accept_many(struct store *store, int from, int count, size_t group, struct samples *samples)
{
    struct request requests[GROUP];
    struct store_op ops[GROUP];
    int number = from;
    while (number < from + count) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        for (size_t i = 0; i < group; i++) {
            requests[i] = (struct request){number++, arena};
            ops[i] = (struct store_op){.run = accept_one, .ctx = &requests[i]};
        }
        double begin = now();
        check(store_group(store, ops, group));
        for (size_t i = 0; i < group; i++) {
            check(ops[i].err);
        }
        sample(samples, now() - begin);
    }
    return number;
}

// Lease, start, end: one whole deployment without what it deploys.
static size_t
pass_many(struct store *store, int64_t from_ms, size_t count, struct samples *samples)
{
    size_t passed = 0;
    while (passed < count) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct queue_job *jobs = NULL;
        size_t leased = 0;
        check(queue_lease_heads(store, "w", from_ms, 30000, LEASED, arena, &jobs, &leased));
        BUG_ON(leased == 0);
        for (size_t i = 0; i < leased; i++) {
            bool started = false;
            double begin = now();
            check(queue_start(store, &jobs[i], from_ms, &started));
            BUG_ON(!started);
            jobs[i].result = "deployed";
            check(queue_end(store, &jobs[i], from_ms));
            sample(samples, now() - begin);
        }
        passed += leased;
    }
    return passed;
}

static void
deliver_many(struct store *store, int count, struct samples *samples)
{
    begin_measurement(samples);
    for (int i = 0; i < count; i++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "delivery-%d", i);
        const struct queue_delivery delivery = {id, "workflow_run", "{\"run_id\":1}", i};
        bool is_new = false;
        double begin = now();
        check(queue_delivery_add(store, &delivery, &is_new));
        sample(samples, now() - begin);
    }
    report("webhook deliveries alone", (size_t)count, samples);
}

int
main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fputs("usage: queue_rate PLACE [COUNT]\n", stderr);
        return 2;
    }
    int count = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 5000;
    struct store *store CLEANUP(store_closep) = NULL;
    struct samples samples = {.items = xcalloc(WORST, sizeof(double))};
    check(store_open(argv[1], &store));
    begin_measurement(&samples);
    int number = accept_many(store, 1, count, 1, &samples);
    report("accepted alone, with audit", (size_t)number - 1, &samples);
    int from = number;
    begin_measurement(&samples);
    number = accept_many(store, from, 4 * count, GROUP, &samples);
    report("accepted in groups of 32, with audit", (size_t)(number - from), &samples);
    number = accept_many(store, number, WAITING > number ? WAITING - number : 0, GROUP, &samples);
    begin_measurement(&samples);
    size_t passed = pass_many(store, INT64_C(1) << 32, (size_t)count, &samples);
    report("leased, started and ended, >= 10,000 queued", passed, &samples);
    deliver_many(store, count, &samples);
    double start = now();
    store_closep(&store);
    check(store_open(argv[1], &store));
    printf("%-44s %9.0f ms\n", "opened again", (now() - start) * 1e3);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct audit_verdict verdict = {0};
    start = now();
    check(audit_verify(store, arena, &verdict));
    BUG_ON(verdict.broken_at != 0);
    printf("%-44s %9.0f/s\n", "audit entries verified", (double)verdict.entries / (now() - start));
    free(samples.items);
    return 0;
}
