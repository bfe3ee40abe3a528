// Notices that are events: PagerDuty's and a webhook's. Each is sent until it is taken, with the
// same id each time, so that the other side can tell a repetition.
#include "dispatcher/pagerduty.h"
#include "dispatcher/webhook.h"
#include "notice_internal.h"

// 120 events in any minute and integration key.
#define INTEGRATION_RATE                                                                           \
    {                                                                                              \
        .every_ms = 525, .burst = 5                                                                \
    }

static void
deliver_pagerduty(const struct delivery *delivery, enum pagerduty_kind kind, struct delivered *out)
{
    struct secret *key CLEANUP(secret_freep) = NULL;
    struct deploy_context *context = delivery->context;
    if (!courier_secret(delivery, delivery->sink->routing_key, &key, out)) {
        return;
    }
    const struct pagerduty_access access = {
        .events = env_get(context->platform, "PAGERDUTY_EVENTS_URL"),
        .eu = cstr_equal(delivery->sink->region, "eu"),
        .routing_key = key,
    };
    const struct pagerduty_event event = {.kind = kind, .body = delivery->row->notice.body};
    pagerduty_send(
        context->platform, context->http, &access, &event, delivery->arena, &out->result);
}

static void
deliver_change(const struct delivery *delivery, struct delivered *out)
{
    deliver_pagerduty(delivery, PAGERDUTY_CHANGE, out);
}

static void
deliver_alert(const struct delivery *delivery, struct delivered *out)
{
    deliver_pagerduty(delivery, PAGERDUTY_ALERT, out);
}

static void
deliver_webhook(const struct delivery *delivery, struct delivered *out)
{
    struct secret *secret CLEANUP(secret_freep) = NULL;
    struct deploy_context *context = delivery->context;
    const struct deployment_sink *sink = delivery->sink;
    const char *body = delivery->row->notice.body;
    if (sink->secret != NULL && !courier_secret(delivery, sink->secret, &secret, out)) {
        return;
    }
    const struct webhook_delivery message = {.url = sink->url,
        .to_private = sink->to_private,
        .secret = secret,
        .id = courier_member(delivery, body, "id"),
        .body = body};
    webhook_send(context->platform, context->http, &message, delivery->arena, &out->result);
}

const struct sink_ops sink_pagerduty_change = {
    .kind = "pagerduty-change", .short_rate = INTEGRATION_RATE, .deliver = deliver_change};
const struct sink_ops sink_pagerduty_alert = {
    .kind = "pagerduty-alert", .short_rate = INTEGRATION_RATE, .deliver = deliver_alert};
const struct sink_ops sink_webhook_event = {.kind = "webhook-event",
    .short_rate = {.every_ms = 100, .burst = 10},
    .deliver = deliver_webhook};
