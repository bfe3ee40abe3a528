// The doctor's look at who is told: is each sink's secret readable and accepted, and does anything
// wait in the outbox. Sends nothing to anybody. All of it is a warning at most: a sink never
// decides how a deployment ends.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/pagerduty.h"
#include "dispatcher/slack.h"
#include "dispatcher/webhook.h"
#include "findings.h"
#include "notice_internal.h"

struct look {
    struct deploy_context *context;
    const struct preparation *preparation;
    struct findings *findings;
};

static void
good(struct look *look, const struct deployment_sink *sink, const char *text)
{
    findings_good(look->findings, "reports",
        arena_printf(look->findings->arena, "'%s' (%s): %s", sink->name, sink->kind, text));
}

static void
warn(struct look *look, const struct deployment_sink *sink, const char *text, const char *fix)
{
    findings_warn(look->findings, "reports",
        arena_printf(look->findings->arena, "'%s' (%s): %s", sink->name, sink->kind, text), fix);
}

static bool
read_secret(struct look *look, const struct deployment_sink *sink, const char *reference,
    struct secret **out)
{
    struct error *err =
        secret_reference_read(look->context, look->preparation->deployment, reference, out);
    return err == NULL ||
           findings_noted(look->findings, "reports",
               error_wrap(err, "'%s' (%s): read '%s'", sink->name, sink->kind, reference));
}

static void
look_at_slack(struct look *look, const struct deployment_sink *sink)
{
    struct secret *secret CLEANUP(secret_freep) = NULL;
    struct slack_client *client CLEANUP(slack_client_freep) = NULL;
    struct notify_result result = {0};
    const char *who = NULL;
    const struct platform *platform = look->context->platform;
    if (!read_secret(look, sink, sink->url != NULL ? sink->url : sink->token, &secret)) {
        return;
    }
    if (sink->url != NULL) {
        good(look, sink, "the incoming webhook's address is there; only a message shows more");
        return;
    }
    if (!findings_noted(look->findings, "reports",
            slack_client_new(platform, look->context->http, env_get(platform, "SLACK_API_URL"),
                secret, &client))) {
        return;
    }
    slack_check(client, look->findings->arena, &result, &who);
    if (result.verdict == NOTIFY_DELIVERED) {
        good(look, sink,
            arena_printf(look->findings->arena, "%s will post to %s",
                who != NULL ? who : "the token", sink->channel));
    } else {
        warn(look, sink, result.problem,
            result.hint != NULL ? result.hint : "Reports wait in the outbox meanwhile.");
    }
}

static void
look_at_pagerduty(struct look *look, const struct deployment_sink *sink)
{
    struct secret *key CLEANUP(secret_freep) = NULL;
    bool is_ruleset = false;
    if (!read_secret(look, sink, sink->routing_key, &key)) {
        return;
    }
    if (!pagerduty_key_is_plausible(key, &is_ruleset)) {
        warn(look, sink, "the routing key is not one: 32 letters and digits",
            "Take the integration key of an 'Events API V2' integration.");
    } else if (is_ruleset) {
        warn(look, sink, "the key of a ruleset takes no change events",
            "Take the integration key of a service instead.");
    } else {
        good(look, sink, "the routing key looks right; only an event shows more");
    }
}

static void
look_at_webhook(struct look *look, const struct deployment_sink *sink)
{
    struct secret *secret CLEANUP(secret_freep) = NULL;
    const char *problem = webhook_url_problem(sink->url, sink->to_private);
    if (problem != NULL) {
        warn(look, sink, arena_printf(look->findings->arena, "its address %s", problem),
            "The organisation may list its host in 'notify.private_hosts' of dispatcher.yaml.");
    } else if (sink->secret == NULL) {
        warn(look, sink, "its deliveries are not signed",
            "Give it a 'secret', so that the receiver can tell who sends.");
    } else if (read_secret(look, sink, sink->secret, &secret)) {
        good(look, sink, "deliveries are signed");
    }
}

static void
look_at_github(struct look *look, const struct deployment_sink *sink)
{
    struct github_client *client = NULL;
    struct github_self self = {0};
    const struct deployment *d = look->preparation->deployment;
    if (d->repository == NULL) {
        warn(look, sink, "the spec does not say which repository the app has", "Add 'repo'.");
        return;
    }
    if (findings_noted(
            look->findings, "reports", provider_reports(look->context, d, sink->token, &client)) &&
        findings_noted(
            look->findings, "reports", github_self(client, look->findings->arena, &self))) {
        good(look, sink,
            arena_printf(look->findings->arena, "signed in as %s%s%s for %s", self.kind,
                self.login != NULL ? " " : "", self.login != NULL ? self.login : "",
                d->repository));
    }
}

static void
look_at_sink(struct look *look, const struct deployment_sink *sink)
{
    if (cstr_equal(sink->kind, "slack")) {
        look_at_slack(look, sink);
    } else if (cstr_equal(sink->kind, "pagerduty")) {
        look_at_pagerduty(look, sink);
    } else if (cstr_equal(sink->kind, "webhook")) {
        look_at_webhook(look, sink);
    } else {
        look_at_github(look, sink);
    }
}

static struct error *
look_at_outbox(struct look *look)
{
    struct arena *arena = look->findings->arena;
    struct store *store = NULL;
    struct store_lane *lanes = NULL;
    size_t count = 0;
    TRY(deploy_store(look->context, &store));
    TRY(store_lanes_in_trouble(store, arena, &lanes, &count));
    for (size_t i = 0; i < count; i++) {
        char since[21];
        clock_format_rfc3339(lanes[i].trouble_since_ms, since);
        findings_warn(look->findings, "outbox",
            arena_printf(arena, "'%s' has taken nothing since %s: %s",
                lanes[i].sink != NULL ? lanes[i].sink : lanes[i].name, since, lanes[i].problem),
            lanes[i].hint != NULL ? lanes[i].hint
                                  : "'dispatcher notify --outbox' shows what waits.");
    }
    return NULL;
}

void
doctor_reports(
    struct deploy_context *context, struct preparation *preparation, struct findings *findings)
{
    struct look look = {context, preparation, findings};
    const struct deployment *d = preparation->deployment;
    sinks_resolve(context, preparation);
    for (size_t i = 0; i < d->sinks.count; i++) {
        look_at_sink(&look, deployment_sink_at(d, i));
    }
    if (d->sinks.count == 0) {
        findings_good(findings, "reports", "nobody is told: the files name no 'notify' sinks");
    }
    (void)findings_noted(findings, "outbox", look_at_outbox(&look));
}
