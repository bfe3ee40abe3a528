# What the stories about reports share: sinks of every kind at the sandbox, and looking into its
# inboxes.
#
#     setup() { world_make; sandbox_start --repo "demo/greeter=$world/app"; reports_to_all; }
#
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bats, and for the tests

# reports_config TEXT: this is the organisation's `notify` block from now on (read from stdin).
reports_config() {
    in_infra sed -i '/^notify:/,$d' dispatcher.yaml
    cat >>"$world/infra/dispatcher.yaml"
    in_infra true
}

# Every kind of sink but GitHub hears everything; incidents are opened in staging.
reports_to_all() {
    export HOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
    control hooks -d "{\"name\": \"audit\", \"secret\": \"$HOOK_SECRET\"}" >/dev/null
    control slack -d '{"webhook": {"channel": "#general"}}' >/dev/null
    reports_config <<END
notify:
  sinks:
    deploys: {kind: slack, channel: "#deploys"}
    general: {kind: slack, webhook: "env:SLACK_WEBHOOK_URL"}
    oncall: {kind: pagerduty, incidents: {environments: [staging]}}
    audit: {kind: webhook, url: "$DISPATCHER_SANDBOX_HOOKS/audit", secret: "env:HOOK_SECRET"}
  private_hosts: ["127.0.0.1"]
END
}

inbox() { # FILTER
    control inbox | jq -rc "$1"
}

# Posts of the bot that are no answers in a thread: the cards.
cards() {
    inbox '[.slack.channels[] | select(.name == "deploys") | .messages[] |
        select(.from == "bot" and .thread_ts == null)] | '"${1:-length}"
}

# Answers below the cards.
answers() {
    inbox '[.slack.channels[] | select(.name == "deploys") | .messages[] | .replies[]?] | '"${1:-length}"
}

# What the incoming webhook posted.
singles() {
    inbox '[.slack.channels[].messages[] | select(.from == "webhook")] | '"${1:-length}"
}

# Ids of the CloudEvents without the deployment's, in the order of their coming.
events() {
    inbox '[.hooks.deliveries[] | select(.name == "audit") | .json.id | sub("^[^/]*/"; "")] | join(" ")'
}

# told TEXT: cards, answers, webhook messages, change events, incidents; CloudEvents.
told() {
    local seen
    seen="cards=$(cards) answers=$(answers) singles=$(singles) changes=$(inbox '.pagerduty.changes |
        length') alerts=$(inbox '[.pagerduty.alerts[].status] | join(",")') events=$(events)"
    [ "$seen" = "$1" ] || { echo "told:     $seen"; echo "expected: $1"; show; return 1; }
}

outbox_is_empty() {
    dispatcher notify --outbox
    expect 0 && [ "$output" = "the outbox is empty: everything is told" ] || { show; return 1; }
}
