// Which notices a deployment makes as it stands: keys that stay the same, cards and events, what
// the routes leave out, incidents, lanes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "notice_internal.h"

static const char *failures[] = {"failed", "restored", "not-restored", "unknown", "timed-out"};
static const char *incidents[] = {"restored", "not-restored", "unknown", "timed-out"};

static struct deployment_sink
sink_of(const char *kind)
{
    struct deployment_sink sink = {.name = kind, .kind = kind};
    if (strcmp(kind, "slack") == 0) {
        sink.token = "env:SLACK_BOT_TOKEN";
        sink.channel = "#deploys";
    } else if (strcmp(kind, "pagerduty") == 0) {
        sink.routing_key = "env:PD";
        sink.incidents = (struct str_list){incidents, ARRAY_LENGTH(incidents)};
    } else if (strcmp(kind, "webhook") == 0) {
        sink.url = "https://hooks.example.org/audit";
    } else {
        sink.deployment = sink.status = sink.check = sink.comment = true;
    }
    return sink;
}

static struct deployment
deployment_of(struct deployment_sink *sinks, size_t count)
{
    return (struct deployment){.id = "d-0123456789abcdef",
        .verb = "deploy",
        .app = "shop",
        .name = "shop",
        .env = "production",
        .version = "8f14e45fceea167a5a36dedd4bea2543b1a4d3c1",
        .sha = "8f14e45fceea167a5a36dedd4bea2543b1a4d3c1",
        .repository = "acme/shop",
        .github_api = "https://api.github.com",
        .github_web = "https://github.com",
        .created_ms = INT64_C(1795247280000),
        .sinks = {sinks, count}};
}

static void
ends(struct deployment *d, const char *result, int exit_code)
{
    d->result = result;
    d->exit_code = exit_code;
    d->message = "a sentence";
    d->finished_ms = d->created_ms + 60000;
}

// "kind key-behind-the-id flags lane; …": c card, u update only.
static void
assert_made(const struct deployment *d, const char *expected)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct notices made = {0}, again = {0};
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    notices_of(d, arena, &made);
    notices_of(d, arena, &again);
    assert_int_equal(made.count, again.count);
    for (size_t i = 0; i < made.count; i++) {
        const struct store_notice *notice = &made.items[i];
        assert_true(str_starts(str_of(notice->key), str_of(d->id)));
        assert_string_equal(notice->body, again.items[i].body); // pure
        assert_string_equal(notice->target, again.items[i].target);
        buf_printf(&text, "%s%s%s%s", i > 0 ? " " : "", notice->key + strlen(d->id) + 1,
            notice->replaces ? "+c" : "", notice->update_only ? "+u" : "");
    }
    assert_string_equal(buf_cstr(&text), expected);
}

static void
each_kind_has_its_notices(void **state)
{
    (void)state;
    struct deployment_sink sinks[] = {
        sink_of("github"), sink_of("slack"), sink_of("pagerduty"), sink_of("webhook")};
    struct deployment d = deployment_of(sinks, ARRAY_LENGTH(sinks));
    assert_made(&d, "github/deployment+c github/status+c github/check+c github/comment+c "
                    "slack/card+c webhook/event-started");
    ends(&d, "deployed", 0);
    assert_made(&d, "github/deployment+c github/status+c github/check+c github/comment+c "
                    "slack/card+c slack/thread-deployed pagerduty/change-deployed "
                    "pagerduty/resolve-deployed webhook/event-deployed");
    ends(&d, "failed", 8);
    assert_made(&d, "github/deployment+c github/status+c github/check+c github/comment+c "
                    "slack/card+c slack/thread-not-restored pagerduty/change-not-restored "
                    "pagerduty/trigger-not-restored webhook/event-not-restored");
}

static void
a_route_leaves_out_what_it_does_not_name(void **state)
{
    (void)state;
    struct deployment_sink sinks[] = {sink_of("slack"), sink_of("webhook"), sink_of("pagerduty")};
    for (size_t i = 0; i < ARRAY_LENGTH(sinks); i++) {
        sinks[i].outcomes = (struct str_list){failures, ARRAY_LENGTH(failures)};
    }
    struct deployment d = deployment_of(sinks, ARRAY_LENGTH(sinks));
    // A card that an earlier outcome made is still brought up to date; nothing makes one.
    assert_made(&d, "slack/card+c+u");
    ends(&d, "unknown", 9);
    assert_made(&d, "slack/card+c slack/thread-unknown webhook/event-unknown "
                    "pagerduty/change-unknown pagerduty/trigger-unknown");
    // An incident is resolved whatever the routes say of good ends.
    ends(&d, "deployed", 0);
    assert_made(&d, "slack/card+c+u pagerduty/resolve-deployed");
}

static void
what_still_runs_is_no_change_and_what_changed_nothing_no_incident(void **state)
{
    (void)state;
    struct deployment_sink sinks[] = {sink_of("pagerduty")};
    struct deployment d = deployment_of(sinks, 1);
    d.unfinished = "timeout";
    d.exit_code = 10;
    d.message = "a sentence";
    assert_made(&d, "pagerduty/trigger-timed-out");
    d.unfinished = "interrupted";
    d.exit_code = 130;
    assert_made(&d, "");
    d.unfinished = NULL;
    ends(&d, "failed", 12);
    assert_made(&d, "pagerduty/change-failed");
    ends(&d, "cancelled", 11);
    assert_made(&d, "pagerduty/change-cancelled");
}

static void
an_incoming_webhook_hears_the_end_only(void **state)
{
    (void)state;
    struct deployment_sink sink = {.name = "line", .kind = "slack", .url = "env:HOOK"};
    struct deployment d = deployment_of(&sink, 1);
    assert_made(&d, "");
    d.run_status = "waiting";
    assert_made(&d, "line/message-waiting");
    ends(&d, "deployed", 0);
    assert_made(&d, "line/message-deployed");
}

static void
without_a_commit_there_is_nothing_to_show_on_github(void **state)
{
    (void)state;
    struct deployment_sink sink = sink_of("github");
    struct deployment d = deployment_of(&sink, 1);
    d.sha = NULL;
    d.version = "v1.2.3";
    assert_made(&d, "");
}

static void
lanes_are_what_shares_a_limit(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deployment_sink sinks[] = {sink_of("github"), sink_of("slack"), sink_of("webhook"),
        sink_of("webhook"), sink_of("pagerduty")};
    sinks[3].url = "https://hooks.example.org/other"; // of an app's: it may hang
    struct deployment d = deployment_of(sinks, ARRAY_LENGTH(sinks));
    ends(&d, "deployed", 0);
    struct notices made = {0};
    notices_of(&d, arena, &made);
    static const struct {
        size_t index;
        const char *lane;
    } cases[] = {{0, "github:api.github.com/acme"}, {4, "slack:env:SLACK_BOT_TOKEN:#deploys"},
        {6, "webhook:hooks.example.org/"}, {8, "pagerduty:env:PD"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_true(str_starts(str_of(made.items[cases[i].index].lane), str_of(cases[i].lane)));
    }
    assert_string_not_equal(made.items[6].lane, made.items[7].lane);
}

static void
secrets_are_masked_in_what_waits(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct secret *secret = secret_new(STR("canary-of-the-outbox-0451"));
    struct deployment_sink sink = sink_of("webhook");
    struct deployment d = deployment_of(&sink, 1);
    struct notices made = {0};
    ends(&d, "failed", 12);
    d.message = "push image: canary-of-the-outbox-0451: denied";
    notices_of(&d, arena, &made);
    assert_int_equal(made.count, 1);
    assert_null(strstr(made.items[0].body, "canary"));
    assert_non_null(strstr(made.items[0].body, "denied"));
    secret_free(secret);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_notices),
        cmocka_unit_test(a_route_leaves_out_what_it_does_not_name),
        cmocka_unit_test(what_still_runs_is_no_change_and_what_changed_nothing_no_incident),
        cmocka_unit_test(an_incoming_webhook_hears_the_end_only),
        cmocka_unit_test(without_a_commit_there_is_nothing_to_show_on_github),
        cmocka_unit_test(lanes_are_what_shares_a_limit),
        cmocka_unit_test(secrets_are_masked_in_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
