// The `notify:` blocks as field tables: the organisation's, and those of an app and of its
// environments. Data only.
#include "patterns.h"
#include "spec_internal.h"

#define OUTCOMES                                                                                   \
    "started", "waiting", "deployed", "rolled-back", "failed", "restored", "not-restored",         \
        "unknown", "timed-out", "interrupted", "cancelled", "superseded", NULL

const char *const spec_outcomes[] = {OUTCOMES};
static const char *const listed_outcomes[] = {SPEC_FAILURES, OUTCOMES};
static const char *const kinds[] = {"github", "slack", "pagerduty", "webhook", NULL};

static const struct field incidents_fields[] = {
    FIELD(struct spec_incidents, environments, "environments", FIELD_LIST_STR, .check = check_name,
        .pattern = PATTERN_NAME, .fallback = "`production` and the last of `environments`",
        .doc = "Where a bad end opens an incident; elsewhere only changes are told."),
    FIELD(struct spec_incidents, outcomes, "outcomes", FIELD_LIST_STR, .values = listed_outcomes,
        .fallback = "[restored, not-restored, unknown, timed-out]",
        .doc = "Which ends open one; the next good deployment resolves it."),
};
static const struct field_table incidents_table =
    FIELD_TABLE("incidents", struct spec_incidents, incidents_fields);

#define SINK_SECRET(member, label, ...)                                                            \
    FIELD(struct spec_sink, member, label, FIELD_STR, .secret_ref = true,                          \
        .pattern = PATTERN_SECRET_REF, __VA_ARGS__)
#define SINK_PLACE(member, label, text)                                                            \
    FIELD(struct spec_sink, member, label, FIELD_BOOL, .fallback = "true", .doc = (text))

static const struct field sink_fields[] = {
    FIELD(struct spec_sink, kind, "kind", FIELD_STR, .values = kinds,
        .doc = "What it is; required once the places are merged. `github` needs the app's `repo`: "
               "without it the sink is left out, with a warning."),
    SINK_SECRET(token, "token", .fallback = "Slack: `env:SLACK_BOT_TOKEN`; GitHub: as elsewhere",
        .doc = "Slack: token of a bot. GitHub: a token of its own for these reports."),
    FIELD(struct spec_sink, channel, "channel", FIELD_STR, .check = check_channel,
        .pattern = PATTERN_CHANNEL, .placeholders = true,
        .doc = "Slack: `\"#name\"`, in quotes, or an id. One message for each deployment, updated "
               "in place."),
    SINK_SECRET(webhook, "webhook",
        .doc = "Slack: an incoming webhook instead of `token` and `channel`; what it posts cannot "
               "be updated. What the stronger place writes counts."),
    FIELD(struct spec_sink, url, "url", FIELD_STR, .check = check_hook_url,
        .pattern = PATTERN_HOOK_URL, .placeholders = true,
        .doc = "Webhook (required): where each event is posted as a CloudEvent. https and a public "
               "host, unless `private_hosts` lists it; its host holds no placeholder of the "
               "deployment."),
    SINK_SECRET(
        secret, "secret", .doc = "Webhook: key of the signature; without it, no signature."),
    SINK_SECRET(routing_key, "routing_key", .fallback = "`env:PAGERDUTY_ROUTING_KEY`",
        .doc = "PagerDuty: integration key of the service's Events API v2."),
    FIELD(struct spec_sink, region, "region", FIELD_STR,
        .values = (const char *const[]){"us", "eu", NULL}, .fallback = "us",
        .doc = "PagerDuty: where the account is."),
    FIELD(struct spec_sink, incidents, "incidents", FIELD_OBJECT, .table = &incidents_table,
        .doc = "PagerDuty: which ends are incidents. Every deployment is a change event besides."),
    SINK_PLACE(deployment, "deployment", "GitHub: a deployment of the commit, and its statuses."),
    SINK_PLACE(status, "status", "GitHub: a status of the commit."),
    SINK_PLACE(comment, "comment", "GitHub: one comment in each pull request, kept up to date."),
    FIELD(struct spec_sink, check, "check", FIELD_STR,
        .values = (const char *const[]){"auto", "always", "never", NULL}, .fallback = "auto",
        .doc = "GitHub: a check run of the commit, which only Apps may make. `auto`: with a GitHub "
               "App, and by the token of a GitHub Actions job; not with a `token` of its own."),
};
static const struct field_table sink_table = {.name = "sink",
    .size = sizeof(struct spec_sink),
    .fields = sink_fields,
    .count = ARRAY_LENGTH(sink_fields),
    .doc = "Somebody to tell. Merged by name, key by key: the environment's, `deploy`'s, that of "
           "dispatcher.yaml."};

#define ROUTE_FIELDS                                                                               \
    FIELD(struct spec_route, to, "to", FIELD_LIST_STR, .required = true, .check = check_name,      \
        .pattern = PATTERN_NAME, .doc = "Names of sinks."),                                        \
        FIELD(struct spec_route, outcomes, "outcomes", FIELD_LIST_STR, .values = listed_outcomes,  \
            .fallback = "all of them",                                                             \
            .doc = "What they hear of. `failures` stands for `failed`, `restored`, "               \
                   "`not-restored`, `unknown` and `timed-out`; `failed` means that nothing was "   \
                   "changed."),                                                                    \
        FIELD(struct spec_route, environments, "environments", FIELD_LIST_STR,                     \
            .check = check_name, .pattern = PATTERN_NAME, .fallback = "all of them",               \
            .doc = "Only deployments to these.")

static const struct field route_fields[] = {ROUTE_FIELDS,
    FIELD(struct spec_route, apps, "apps", FIELD_LIST_STR, .check = check_app_pattern,
        .pattern = PATTERN_APP_PATTERN, .fallback = "all of them",
        .doc = "Only deployments of these apps, by file stem; `*` stands for any part.")};
static const struct field_table route_table = {.name = "route",
    .size = sizeof(struct spec_route),
    .fields = route_fields,
    .count = ARRAY_LENGTH(route_fields),
    .doc = "It counts for a deployment when all of its keys match. Every route that counts leads "
           "to its sinks, and a sink hears what its routes list together."};

static const struct field app_route_fields[] = {ROUTE_FIELDS};
static const struct field_table app_route_table = {.name = "route",
    .size = sizeof(struct spec_route),
    .fields = app_route_fields,
    .count = ARRAY_LENGTH(app_route_fields),
    .doc = "As in dispatcher.yaml, to whose routes these are added."};

// What every place may say.
#define NOTIFY_FIELDS(routes_table, routes_text)                                                   \
    FIELD(struct spec_notify, sinks, "sinks", FIELD_MAP_OBJECT, .table = &sink_table,              \
        .key_check = check_name, .key_pattern = PATTERN_NAME, .key_label = "sink",                 \
        .max = SPEC_SINKS_MAX, .doc = "Whom to tell, 20 at most."),                                \
        FIELD(struct spec_notify, routes, "routes", FIELD_LIST_OBJECT, .table = (routes_table),    \
            .max = SPEC_ROUTES_MAX, .doc = (routes_text)),                                         \
        FIELD(struct spec_notify, members, "members", FIELD_MAP_STR, .check = check_member_id,     \
            .pattern = PATTERN_MEMBER_ID, .key_check = check_author,                               \
            .key_pattern = PATTERN_AUTHOR, .key_label = "author", .max = SPEC_MEMBERS_MAX,         \
            .doc = "Slack member ids by the e-mail address or name of a commit's author, 500 at "  \
                   "most. Merged name by name."),                                                  \
        FIELD(struct spec_notify, environment_url, "environment_url", FIELD_STR,                   \
            .check = check_url, .pattern = PATTERN_URL, .placeholders = true,                      \
            .doc = "Where what was deployed can be seen: the link of a report.")

static const struct field notify_fields[] = {
    NOTIFY_FIELDS(&route_table, "Which sinks hear of what, 50 at most. Without it every sink of "
                                "dispatcher.yaml hears of everything; empty: none does by itself."),
    FIELD(struct spec_notify, verbs, "verbs", FIELD_LIST_STR,
        .values = (const char *const[]){"deploy", "rollback", "rollout", "prove", NULL},
        .fallback = "[deploy, rollback]", .doc = "Which commands tell."),
    FIELD(struct spec_notify, private_hosts, "private_hosts", FIELD_LIST_STR,
        .check = check_private_host, .pattern = PATTERN_PRIVATE_HOST,
        .doc = "Hosts of webhooks that may be on private addresses, and on this machine by plain "
               "http; `*.example.org`: all below it."),
};
const struct field_table config_notify_table = {.name = "notify",
    .size = sizeof(struct spec_notify),
    .fields = notify_fields,
    .count = ARRAY_LENGTH(notify_fields),
    .doc = "Whom to tell about deployments. An app and its environments may add sinks and routes "
           "and change keys of sinks."};

static const struct field app_notify_fields[] = {
    NOTIFY_FIELDS(&app_route_table,
        "Which sinks hear of what, 50 at most; added to those of the wider places. Without it the "
        "sinks that are written here and nowhere wider hear of everything."),
    FIELD(struct spec_notify, inherit, "inherit", FIELD_BOOL, .fallback = "true",
        .doc = "False: the routes of the wider places do not count, and without `routes` every "
               "sink that is written here hears of everything."),
};
const struct field_table spec_notify_table = {.name = "notify",
    .size = sizeof(struct spec_notify),
    .fields = app_notify_fields,
    .count = ARRAY_LENGTH(app_notify_fields),
    .doc = "Whom to tell, over `notify` of dispatcher.yaml."};
