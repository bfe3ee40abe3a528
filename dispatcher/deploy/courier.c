// From the outbox to the sinks: one lane at a time, as fast as its vendor allows, and what an end
// means for the notice and for its lane. Knows no vendor: those are the sink_ops. Runs in any
// thread that has a context of its own, and in any number of processes.
#include <string.h>

#include "dispatcher/memory.h"
#include "notice_internal.h"

enum {
    DAY_MS = 24 * 3600 * 1000,
    LATER_BASE_MS = 1000,
    LATER_CAP_MS = 5 * 60 * 1000,
    BLOCKED_BASE_MS = 15 * 1000,
    BLOCKED_CAP_MS = 10 * 60 * 1000,
    LIMITED_BASE_MS = 30 * 1000,
    LIMITED_CAP_MS = 3600 * 1000,
};

const struct sink_ops *
sink_ops_find(const char *kind)
{
    static const struct sink_ops *const all[] = {&sink_slack_card, &sink_slack_thread,
        &sink_slack_single, &sink_pagerduty_change, &sink_pagerduty_alert, &sink_webhook_event,
        &sink_github_deployment, &sink_github_status, &sink_github_check, &sink_github_comment};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        if (strcmp(all[i]->kind, kind) == 0) {
            return all[i];
        }
    }
    return NULL;
}

// --- rates and rests ---------------------------------------------------------------------------

// The generic cell rate algorithm: `*arrival_ms` is when the lane would be idle again if all that
// was sent had been sent evenly. Returns until when it rests.
static int64_t
charge(const struct lane_rate *rate, int64_t *arrival_ms, int64_t now, int64_t cost)
{
    if (rate->every_ms == 0) {
        return 0;
    }
    bool is_sane = *arrival_ms > now && *arrival_ms < now + DAY_MS; // the clock may have gone back
    *arrival_ms = (is_sane ? *arrival_ms : now) + cost * rate->every_ms;
    return *arrival_ms - (rate->burst - 1) * rate->every_ms;
}

static void
charge_lane(const struct sink_ops *ops, struct store_lane *lane, int64_t now, int64_t cost)
{
    int64_t first = charge(&ops->short_rate, &lane->short_ms, now, cost);
    int64_t second = charge(&ops->long_rate, &lane->long_ms, now, cost);
    int64_t until = first > second ? first : second;
    lane->rest_until_ms = until > now ? until : 0;
}

static int64_t
backoff(const struct deploy_context *context, int64_t failures, int64_t base, int64_t cap)
{
    int64_t full = base;
    for (int64_t i = 1; i < failures && full < cap; i++) {
        full *= 2;
    }
    full = full < cap ? full : cap;
    double part = random_unit(context->platform->random);
    return full / 2 + (int64_t)(part * (double)(full - full / 2));
}

static int64_t
limited_rest(const struct deploy_context *context, const struct store_lane *lane, int64_t asked)
{
    if (asked < 0) {
        return backoff(context, lane->failures, LIMITED_BASE_MS, LIMITED_CAP_MS);
    }
    return asked < LIMITED_CAP_MS ? asked : LIMITED_CAP_MS;
}

static int64_t
rest_after(const struct deploy_context *context, const struct store_lane *lane,
    const struct notify_result *result)
{
    switch (result->verdict) {
    case NOTIFY_LIMITED:
        return limited_rest(context, lane, result->retry_after_ms);
    case NOTIFY_LATER:
    case NOTIFY_DOUBT:
        return backoff(context, lane->failures, LATER_BASE_MS, LATER_CAP_MS);
    case NOTIFY_BLOCKED:
        return backoff(context, lane->failures, BLOCKED_BASE_MS, BLOCKED_CAP_MS);
    case NOTIFY_DELIVERED:
    case NOTIFY_REFUSED:
    case NOTIFY_ABSENT:
        return 0;
    }
    return 0;
}

// Does the verdict speak of the sink, and not of this one message?
static bool
is_trouble(enum notify_verdict verdict)
{
    return verdict == NOTIFY_LIMITED || verdict == NOTIFY_LATER || verdict == NOTIFY_DOUBT ||
           verdict == NOTIFY_BLOCKED;
}

static void
settle_lane(const struct deploy_context *context, const struct store_outbox_row *row,
    const struct notify_result *result, struct store_lane *lane)
{
    int64_t now = clock_wall(context->platform->clock);
    if (!is_trouble(result->verdict)) {
        lane->failures = lane->trouble_since_ms = 0;
        lane->problem = lane->hint = lane->sink = NULL;
        return;
    }
    lane->failures++;
    lane->trouble_since_ms = lane->trouble_since_ms != 0 ? lane->trouble_since_ms : now;
    lane->problem = result->problem != NULL ? result->problem : "no reason was given";
    lane->hint = result->hint;
    lane->sink = row->notice.sink;
    int64_t until = now + rest_after(context, lane, result);
    lane->rest_until_ms = until > lane->rest_until_ms ? until : lane->rest_until_ms;
}

// --- one notice ----------------------------------------------------------------------------------

static struct store_outbox_end
ending_of(const struct store_outbox_row *row, const struct delivered *delivered)
{
    const struct notify_result *result = &delivered->result;
    struct store_outbox_end end = {.ending = STORE_OUTBOX_FAILED,
        .reference = delivered->reference,
        .problem = result->problem,
        .in_doubt = result->verdict == NOTIFY_DOUBT || (row->began && !delivered->looked)};
    if (result->verdict == NOTIFY_DELIVERED) {
        end.ending = STORE_OUTBOX_DELIVERED;
    } else if (result->verdict == NOTIFY_ABSENT && row->reference != NULL) {
        end.ending = STORE_OUTBOX_DETACHED;
    } else if (result->verdict == NOTIFY_REFUSED || result->verdict == NOTIFY_ABSENT) {
        end.ending = STORE_OUTBOX_REFUSED;
    }
    return end;
}

static void
refuse(struct delivered *out, const char *problem)
{
    out->result = (struct notify_result){.verdict = NOTIFY_REFUSED, .problem = problem};
}

// A target is what we wrote ourselves, but perhaps another release of us.
static void
hand_over(struct deploy_context *context, const struct sink_ops *ops,
    const struct store_outbox_row *row, struct arena *arena, struct delivered *out)
{
    struct deployment *target = NULL;
    struct error *err CLEANUP(error_freep) =
        deployment_decode(str_of(row->notice.target), arena, &target);
    if (err != NULL || target->sinks.count != 1) {
        refuse(out, "its target cannot be read");
        return;
    }
    courier_scope(context, target);
    const struct delivery delivery = {.context = context,
        .row = row,
        .target = target,
        .sink = deployment_sink_at(target, 0),
        .arena = arena};
    ops->deliver(&delivery, out);
    if (out->result.verdict == NOTIFY_BLOCKED) {
        courier_forget(context); // what blocks it may be a secret that has been replaced since
    }
}

// We stopped, not the sink: what people should know is that it had not answered.
static void
explain_stop(const struct deploy_context *context, struct notify_result *result)
{
    bool stopped = cancel_signal(context->platform->cancel) != 0;
    if (stopped && (result->verdict == NOTIFY_LATER || result->verdict == NOTIFY_DOUBT)) {
        result->problem = "it had not answered when the wait was over";
        result->hint = NULL;
    }
}

static void
tell_log(const struct deploy_context *context, const struct store_outbox_row *row,
    const struct notify_result *result)
{
    if (result->verdict == NOTIFY_DELIVERED) {
        log_info(context->platform->log, "report delivered", F_STR("report", row->notice.key));
    } else {
        log_info(context->platform->log, "report not delivered", F_STR("report", row->notice.key),
            F_STR("problem", result->problem));
    }
}

static struct error *
deliver(struct deploy_context *context, struct store *store, struct store_outbox_row *row,
    struct store_lane *lane, struct arena *arena)
{
    const struct clock *clock = context->platform->clock;
    const struct sink_ops *ops = sink_ops_find(row->notice.kind);
    struct delivered delivered = {.cost = 1};
    if (ops != NULL) {
        charge_lane(ops, lane, clock_wall(clock), 1);
    }
    TRY(store_outbox_begin(store, row, lane, clock_wall(clock)));
    if (ops != NULL) {
        hand_over(context, ops, row, arena, &delivered);
        explain_stop(context, &delivered.result);
    } else {
        refuse(&delivered, "this release does not know its kind");
    }
    if (ops != NULL && delivered.cost > 1) {
        charge_lane(ops, lane, clock_wall(clock), delivered.cost - 1);
    }
    settle_lane(context, row, &delivered.result, lane);
    tell_log(context, row, &delivered.result);
    const struct store_outbox_end end = ending_of(row, &delivered);
    return store_outbox_end(store, row, &end, lane, clock_wall(clock));
}

static struct error *
work(struct deploy_context *context, struct store *store, const char *name)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_claim *claim CLEANUP(store_claim_releasep) = NULL;
    struct store_outbox_row *row = NULL;
    struct store_lane lane = {0};
    int64_t now = clock_wall(context->platform->clock);
    TRY(store_claim(store, arena_printf(arena, "lane:%s", name), &claim));
    if (claim == NULL) {
        return NULL; // somebody else is at it
    }
    TRY(store_lane_get(store, name, arena, &lane));
    bool rests = lane.rest_until_ms > now && lane.rest_until_ms < now + DAY_MS; // since we looked
    bool is_others = (context->lanes == COURIER_WELL && lane.failures > 0) ||
                     (context->lanes == COURIER_IN_TROUBLE && lane.failures == 0);
    if (rests || is_others) {
        return NULL;
    }
    TRY(store_outbox_next(store, name, now, arena, &row));
    return row != NULL ? deliver(context, store, row, &lane, arena) : NULL;
}

struct error *
courier_round(struct deploy_context *context, int64_t *next_ms)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store *store = NULL;
    const char **names = NULL;
    size_t count = 0;
    TRY(deploy_store(context, &store));
    TRY(store_outbox_lanes(store, clock_wall(context->platform->clock), arena, &names, &count));
    for (size_t i = 0; i < count && cancel_signal(context->platform->cancel) == 0; i++) {
        TRY(work(context, store, names[i]));
    }
    return store_outbox_due(store, clock_wall(context->platform->clock), next_ms);
}
