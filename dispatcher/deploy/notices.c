// Which notices a deployment makes as it stands: one or more for each sink, by its kind and by the
// outcomes that its routes name. Pure: the same state makes the same notices under the same keys,
// so that making them again changes nothing. What they say is notice_*.c's.
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "notice_internal.h"

enum {
    BODY_MAX = 4 * 1024 * 1024,
    SLACK_REST_MS = 3000,   // between two updates of a card while it goes on
    GITHUB_REST_MS = 15000, // of a budget of 500 an hour
};

struct maker {
    const struct deployment *d;
    const struct deployment_sink *sink;
    struct arena *arena;
    struct notices *out;
    enum report_outcome outcome;
    bool is_told; // by the sink's routes, in this state
    const char *target, *lane;
};

// How a notice differs from an event that is told once.
struct manner {
    bool is_card;
    int64_t rest_ms;
    const char *after;
};

static const char *
key_of(const struct maker *maker, const char *what)
{
    return arena_printf(maker->arena, "%s/%s/%s", maker->d->id, maker->sink->name, what);
}

static const char *
event_key(const struct maker *maker, const char *what)
{
    return key_of(
        maker, arena_printf(maker->arena, "%s-%s", what, report_outcome_word(maker->outcome)));
}

static const char *
print(const struct maker *maker, struct json *body)
{
    struct json *owned CLEANUP(json_freep) = body;
    struct buf text CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    json_print(owned, false, &text);
    secret_mask(&text);
    BUG_ON(text.failed); // every renderer has limits of its own, far below
    return arena_str(maker->arena, buf_str(&text));
}

// What somebody waits to hear goes before what is only going on.
static int
priority_of(enum report_outcome outcome)
{
    return report_outcome_is_bad(outcome)                                  ? 3
           : report_outcome_is_final(outcome) || outcome == REPORT_WAITING ? 2
                                                                           : 1;
}

static void
put(const struct maker *maker, const char *kind, const char *key, struct json *body,
    const struct manner *manner)
{
    struct notices *out = maker->out;
    if (body == NULL) { // there is nothing to say there: no commit, no repository
        return;
    }
    struct store_notice *more = arena_array(maker->arena, out->count + 1, sizeof(*more));
    if (out->count > 0) {
        memcpy(more, out->items, out->count * sizeof(*more));
    }
    more[out->count++] = (struct store_notice){
        .key = key,
        .deployment = maker->d->id,
        .sink = maker->sink->name,
        .lane = maker->lane,
        .kind = kind,
        .target = maker->target,
        .body = print(maker, body),
        .after = manner->after,
        .priority = priority_of(maker->outcome),
        .replaces = manner->is_card,
        .update_only = manner->is_card && !maker->is_told,
        .rest_ms = manner->rest_ms,
    };
    out->items = more;
}

static void
put_event(const struct maker *maker, const char *kind, const char *what, struct json *body)
{
    put(maker, kind, event_key(maker, what), body, &(struct manner){0});
}

static int64_t
rest_of(const struct maker *maker, int64_t while_going_ms)
{
    bool goes_on = maker->outcome == REPORT_STARTED;
    return goes_on ? while_going_ms : 0;
}

// --- by kind -------------------------------------------------------------------------------------

static void
make_slack_card(const struct maker *maker)
{
    const char *card = key_of(maker, "card");
    const struct manner as_card = {.is_card = true, .rest_ms = rest_of(maker, SLACK_REST_MS)};
    put(maker, sink_slack_card.kind, card, notice_slack_card(maker->d, maker->sink, maker->arena),
        &as_card);
    if (maker->is_told && report_outcome_is_final(maker->outcome)) {
        put(maker, sink_slack_thread.kind, event_key(maker, "thread"),
            notice_slack_thread(maker->d, maker->sink, maker->arena),
            &(struct manner){.after = card});
    }
}

static void
make_slack(const struct maker *maker)
{
    if (maker->sink->url == NULL) {
        make_slack_card(maker);
    } else if (maker->is_told && maker->outcome != REPORT_STARTED) {
        put_event(maker, sink_slack_single.kind, "message",
            notice_slack_single(maker->d, maker->sink, maker->arena));
    }
}

static bool
opens_incident(const struct maker *maker)
{
    const struct str_list *outcomes = &maker->sink->incidents;
    for (size_t i = 0; i < outcomes->count; i++) {
        if (cstr_equal(outcomes->items[i], report_outcome_word(maker->outcome))) {
            return true;
        }
    }
    return false;
}

// A change is over when nobody goes on with it. An incident is opened, and resolved, whatever the
// routes say of the outcome: one that stays open after the next good deployment would be a lie.
static void
make_pagerduty(const struct maker *maker)
{
    bool goes_on = maker->outcome == REPORT_TIMED_OUT || maker->outcome == REPORT_INTERRUPTED;
    if (maker->is_told && report_outcome_is_final(maker->outcome) && !goes_on) {
        put_event(maker, sink_pagerduty_change.kind, "change",
            notice_pagerduty_change(maker->d, maker->arena));
    }
    if (opens_incident(maker)) {
        put_event(maker, sink_pagerduty_alert.kind, "trigger",
            notice_pagerduty_trigger(maker->d, maker->arena));
    } else if (maker->sink->incidents.count > 0 && report_outcome_is_good(maker->outcome)) {
        put_event(maker, sink_pagerduty_alert.kind, "resolve",
            notice_pagerduty_resolve(maker->d, maker->arena));
    }
}

static void
make_webhook(const struct maker *maker)
{
    if (maker->is_told) {
        put_event(
            maker, sink_webhook_event.kind, "event", notice_webhook_event(maker->d, maker->arena));
    }
}

static void
make_github(const struct maker *maker)
{
    const struct deployment_sink *sink = maker->sink;
    const struct manner card = {.is_card = true, .rest_ms = rest_of(maker, GITHUB_REST_MS)};
    if (sink->deployment) {
        put(maker, sink_github_deployment.kind, key_of(maker, "deployment"),
            notice_github_deployment(maker->d, maker->arena), &card);
    }
    if (sink->status) {
        put(maker, sink_github_status.kind, key_of(maker, "status"),
            notice_github_status(maker->d, maker->arena), &card);
    }
    if (sink->check) {
        put(maker, sink_github_check.kind, key_of(maker, "check"),
            notice_github_check(maker->d, maker->arena), &card);
    }
    if (sink->comment) {
        put(maker, sink_github_comment.kind, key_of(maker, "comment"),
            notice_github_comment(maker->d, maker->arena), &card);
    }
}

// --- where it goes
// ---------------------------------------------------------------------------------

// What the courier needs to reach the sink, whichever process it runs in: the sink, and what
// secrets and GitHub are opened with.
static const char *
target_of(const struct maker *maker)
{
    const struct deployment *d = maker->d;
    struct deployment_sink sink = *maker->sink;
    sink.outcomes = sink.incidents = (struct str_list){0}; // were for us
    const struct deployment target = {
        .id = d->id,
        .app = d->app,
        .name = d->name,
        .env = d->env,
        .version = d->version,
        .repository = d->repository,
        .sha = d->sha,
        .region = d->region,
        .account = d->account,
        .role = d->role,
        .github_api = d->github_api,
        .github_app_id = d->github_app_id,
        .github_app_key = d->github_app_key,
        .github_web = d->github_web,
        .vault = d->vault,
        .sinks = {&sink, 1},
    };
    struct json *object CLEANUP(json_freep) = deployment_encode(&target);
    struct buf text CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    json_print(object, false, &text);
    secret_mask(&text);
    return arena_str(maker->arena, buf_str(&text));
}

static const char *
host_of(const char *text, struct arena *arena)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(text != NULL ? text : "", &url);
    return err == NULL ? arena_dup(arena, url.host) : "?";
}

// An address of an app's that hangs must not hold up another one at the same host.
static const char *
short_hash(const char *text, struct arena *arena)
{
    char hex[SHA256_HEX_SIZE];
    sha256_hex(str_of(text), hex);
    return arena_str(arena, (struct str){hex, 12});
}

// Who shares a rate limit: a channel, an integration, a host, an owner's quota.
static const char *
lane_of(const struct maker *maker)
{
    const struct deployment_sink *sink = maker->sink;
    const struct deployment *d = maker->d;
    if (cstr_equal(sink->kind, "slack")) {
        return sink->url != NULL ? arena_printf(maker->arena, "slack:%s", sink->url)
                                 : arena_printf(maker->arena, "slack:%s:%s",
                                       sink->token != NULL ? sink->token : "",
                                       sink->channel != NULL ? sink->channel : "");
    }
    if (cstr_equal(sink->kind, "pagerduty")) {
        return arena_printf(maker->arena, "pagerduty:%s", sink->routing_key);
    }
    if (cstr_equal(sink->kind, "webhook")) {
        return arena_printf(maker->arena, "webhook:%s/%s", host_of(sink->url, maker->arena),
            short_hash(sink->url, maker->arena));
    }
    struct str owner = {0}, name = {0};
    (void)str_cut(str_of(d->repository), '/', &owner, &name);
    return arena_printf(
        maker->arena, "github:%s/%.*s", host_of(d->github_api, maker->arena), STR_FMT(owner));
}

static void
make(const struct deployment *d, const struct deployment_sink *sink, bool is_told,
    struct arena *arena, struct notices *out)
{
    struct maker maker = {.d = d,
        .sink = sink,
        .arena = arena,
        .out = out,
        .outcome = report_outcome_of(d),
        .is_told = is_told};
    maker.target = target_of(&maker);
    maker.lane = lane_of(&maker);
    if (cstr_equal(sink->kind, "slack")) {
        make_slack(&maker);
    } else if (cstr_equal(sink->kind, "pagerduty")) {
        make_pagerduty(&maker);
    } else if (cstr_equal(sink->kind, "webhook")) {
        make_webhook(&maker);
    } else if (cstr_equal(sink->kind, "github")) {
        make_github(&maker);
    }
}

static bool
tells(const struct deployment_sink *sink, const char *outcome)
{
    bool found = sink->outcomes.count == 0;
    for (size_t i = 0; i < sink->outcomes.count && !found; i++) {
        found = cstr_equal(sink->outcomes.items[i], outcome);
    }
    return found;
}

void
notices_of(const struct deployment *d, struct arena *arena, struct notices *out)
{
    *out = (struct notices){0};
    const char *outcome = report_outcome_word(report_outcome_of(d));
    for (size_t i = 0; i < d->sinks.count; i++) {
        const struct deployment_sink *sink = deployment_sink_at(d, i);
        make(d, sink, tells(sink, outcome), arena, out);
    }
}

void
notices_for(const struct deployment *d, const struct deployment_sink *sink, struct arena *arena,
    struct notices *out)
{
    make(d, sink, true, arena, out);
}
