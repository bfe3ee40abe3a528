#!/usr/bin/env bats
# Who is told, when, and that it is told once: the real binary against the sandbox's Slack,
# PagerDuty and webhooks. A sink in trouble changes nothing about the deployment.

load lib
load reports_lab

setup_file() {
    world_template
}

setup() {
    world_make
    sandbox_start --queue-delay 1s
    reports_to_all
}

teardown() {
    world_end
}

fails() {
    roll_out_is 'echo "could not connect to the database"; exit 1'
}

works() {
    roll_out_is 'echo "rolling out $1"'
}

@test "everybody is told once, and the card is brought up to date in place" {
    deploy
    expect 0
    told "cards=1 answers=1 singles=1 changes=1 alerts= events=started deployed"
    # The same message from the first word to the last.
    [ "$(cards '.[0].revisions | length')" -ge 2 ]
    [[ "$(cards '.[0].revisions[0].text')" == "🚀 Greeter → staging: under way"* ]]
    [[ "$(cards '.[0].text')" == "✅ Greeter → staging: deployed"* ]]
    [ "$(answers '.[0].reply_broadcast')" = false ]
    [ "$(inbox '[.hooks.deliveries[].valid] | unique')" = "[true]" ]
    [ "$(inbox '.pagerduty.changes[0].payload.custom_details.version')" = "$sha" ]
    says_not "has not got its report"
    outbox_is_empty
}

@test "a failure is broadcast with its tail and opens an incident, and the next good one resolves it" {
    deployed_before v1
    fails
    deploy
    expect 7
    told "cards=1 answers=1 singles=1 changes=1 alerts=triggered events=started restored"
    [[ "$(cards '.[0].text')" == "❌ Greeter → staging: failed, previous version restored"* ]]
    [ "$(answers '.[0].reply_broadcast')" = true ]
    [[ "$(answers '.[0] | tostring')" == *"could not connect to the database"* ]]
    [ "$(inbox '.pagerduty.alerts[0].dedup_key')" = dispatcher/greeter/staging ]
    works
    deploy
    expect 0
    told "cards=2 answers=2 singles=2 changes=2 alerts=resolved events=started restored started deployed"
}

@test "a revoked token is said once, and the message comes when it is good again" {
    control slack -d '{"token": "revoked"}' >/dev/null
    deploy --json
    expect 0
    holds [ "$(tail -n 1 <<<"$output" | jq -rc '[.event, .sink, .state, .count]')" = \
        '["report","deploys","waiting",2]' ]
    printf '%s\n' "$output" >"$world/events"
    python3 "$DISPATCHER_ROOT/tests/e2e/check_events.py" \
        "$DISPATCHER_ROOT/docs/events.schema.json" "$world/events"
    says "! 'deploys' has not got its reports (2): " "(token_revoked); it waits in the outbox"
    told "cards=0 answers=0 singles=1 changes=1 alerts= events=started deployed"
    dispatcher notify --outbox
    says "deploys          slack-card         waits" "token_revoked"
    dispatcher doctor greeter --env staging --checkout .
    says "'deploys' (slack): " "(token_revoked)" "'deploys' has taken nothing since"
    control slack -d '{"token": "good"}' >/dev/null
    sleep 16 # a sink that is blocked rests for fifteen seconds at first
    dispatcher notify --flush
    expect 0
    told "cards=1 answers=1 singles=1 changes=1 alerts= events=started deployed"
    [[ "$(cards '.[0].text')" == "✅ Greeter → staging: deployed"* ]]
    [ "$(cards '.[0].revisions | length')" = 1 ] # as it says last, not as it once said
    outbox_is_empty
}

@test "a channel that is gone, a limit, an error that comes as 200: nothing of it is the deployment's" {
    control slack -d '{"channels": [{"name": "deploys", "deleted": true}],
        "webhook": {"errors_as_200": true, "prohibited": true}}' >/dev/null
    control pagerduty -d '{"fail": {"what": "change", "count": 1, "status": 429}}' >/dev/null
    DISPATCHER_REPORT_WAIT_MS=3000 deploy
    expect 0
    says "! 'deploys' has not got its reports (2): " "(channel_not_found); it waits in the outbox" \
        "! 'general' has not got its report: an incoming webhook of " "(action_prohibited)" \
        "! 'oncall' has not got its reports (2): " "(HTTP 429"
    [ "$(events)" = "started deployed" ]
    [ "$(singles)" = 0 ]
}

@test "a 429 is waited out as long as it asks" {
    control slack -d '{"fail": {"what": "chat.postMessage", "count": 1, "status": 429,
        "retry_after": 3}}' >/dev/null
    deploy
    expect 0
    told "cards=1 answers=1 singles=1 changes=1 alerts= events=started deployed"
    [ "$(control requests | jq '[.requests[] | select(.path | endswith("chat.postMessage")) |
        .time_ms] | .[1] - .[0] >= 3000')" = true ]
}

@test "an answer that is lost posts no second message" {
    fault 'POST /slack/api/chat.postMessage effect=lost-answer count=1'
    fault 'POST /hooks/* effect=lost-answer count=1'
    deploy
    expect 0
    told "cards=1 answers=1 singles=1 changes=1 alerts= events=started started deployed"
    # The receiver can tell: the same id twice.
    [ "$(inbox '[.hooks.deliveries[].headers["webhook-id"]] | unique | length')" = 2 ]
}

@test "interrupted and resumed: the same message all the time" {
    roll_out_is 'sleep 4; echo "rolling out $1"'
    deploy_behind
    until_true 20 grep -q "in_progress" "$world/out"
    kill -INT "$deploying"
    deploy_end
    expect 130
    until_true 5 eval '[[ "$(cards ".[0].text")" == *interrupted* ]]'
    dispatcher resume "$(id_of_last)"
    expect 0
    told "cards=1 answers=2 singles=2 changes=1 alerts= events=started interrupted deployed"
    [[ "$(cards '.[0].text')" == "✅ Greeter → staging: deployed"* ]]
}

@test "routes decide who hears of which outcome" {
    reports_config <<END
notify:
  sinks:
    deploys: {kind: slack, channel: "#deploys"}
    audit: {kind: webhook, url: "$DISPATCHER_SANDBOX_HOOKS/audit"}
  routes:
    - {to: [deploys], outcomes: [failures]}
    - {to: [audit], environments: [production]}
  private_hosts: ["127.0.0.1"]
END
    deploy
    expect 0
    told "cards=0 answers=0 singles=0 changes=0 alerts= events="
    fails
    deploy
    expect 7
    told "cards=1 answers=1 singles=0 changes=0 alerts= events="
    [[ "$(cards '.[0].text')" == "❌ Greeter → staging: failed, previous version restored"* ]]
}

@test "an app adds its own sink, and the organisation's still hear of it" {
    cat >>"$world/infra/appspecs/greeter.yaml" <<END
deploy:
  notify:
    sinks: {deploys: {channel: "#general"}, team: {kind: webhook, url: "$DISPATCHER_SANDBOX_HOOKS/team"}}
END
    in_infra true
    deploy
    expect 0
    [ "$(cards)" = 0 ]
    [ "$(inbox '[.slack.channels[] | select(.name == "general") | .messages[] |
        select(.from == "bot" and .thread_ts == null)] | length')" = 1 ]
    [ "$(inbox '[.hooks.deliveries[] | select(.name == "team")] | length')" = 2 ]
    [ "$(events)" = "started deployed" ]
}

@test "a report by hand updates the card and repeats the event under its id" {
    deploy
    local id before
    id=$(id_of_last) before=$(cards '.[0].revisions | length')
    dispatcher notify "$id" --to deploys --to audit
    expect 0
    says "report of $id: " "all delivered"
    [ "$(cards)" = 1 ]
    [ "$(cards '.[0].revisions | length')" = $((before + 1)) ]
    [ "$(events)" = "started deployed deployed" ]
    [ "$(inbox '.pagerduty.changes | length')" = 1 ]
}

@test "what another tool did is reported as somebody's statement" {
    USER=ada dispatcher notify greeter --env staging --outcome deployed --version v9 \
        --message 'Deployed by hand <!channel>'
    expect 0
    told "cards=1 answers=1 singles=1 changes=1 alerts= events=deployed"
    [[ "$(cards '.[0] | tostring')" == *'Deployed by hand &lt;!channel&gt;'* ]]
    [ "$(inbox '.hooks.deliveries[0].json.data.proven')" = false ]
    [[ "$(inbox '.hooks.deliveries[0].json.data.proof')" == "reported by hand by ada: "* ]]
    [ "$("$DISPATCHER_BIN" history --json | wc -l)" = 0 ] # it is nobody's deployment
}

@test "--test shows every message for every outcome and sends nothing" {
    local outcome
    for outcome in started waiting deployed rolled-back failed restored not-restored unknown \
        timed-out interrupted cancelled superseded; do
        dispatcher notify greeter --env staging --test --outcome "$outcome" --json
        expect 0
        [ "$(jq -r 'select(.kind == "slack-card") | .body.text' <<<"$output" | wc -l)" -ge 1 ]
        [ "$(jq -r 'select(.sink == "audit") | .body.data.outcome' <<<"$output")" = "$outcome" ]
    done
    dispatcher notify greeter --env staging --test
    says "deploys (slack-card, by way of slack:env:SLACK_BOT_TOKEN:#deploys)"
    told "cards=0 answers=0 singles=0 changes=0 alerts= events="
}

@test "wrong words are refused before anything is sent" {
    dispatcher notify
    expect 2 && says "notify: say about what"
    dispatcher notify greeter --env staging
    expect 2 && says "notify: say how it ended with --outcome"
    dispatcher notify greeter --env staging --outcome exploded
    expect 2 && says "'exploded' is no outcome" "started, waiting, deployed"
    dispatcher notify greeter --env staging --outcome deployed --to nobody
    expect 2 && says "'greeter' in 'staging' tells no sink 'nobody'" "It tells: deploys, general"
    dispatcher notify d-0000000000000000
    expect 2 && says "there is no deployment 'd-0000000000000000'"
    dispatcher notify --flush --outbox
    expect 2
    dispatcher notify greeter --env staging --outcome deployed --url http://example.org
    expect 2 && says "'http://example.org' is no https address"
    told "cards=0 answers=0 singles=0 changes=0 alerts= events="
}

@test "what waits can be dropped" {
    control slack -d '{"token": "revoked"}' >/dev/null
    deploy
    expect 0
    dispatcher notify --discard "$(id_of_last)"
    expect 0 && says "2 messages dropped"
    outbox_is_empty
}

@test "the doctor looks at every sink" {
    dispatcher doctor greeter --env staging --checkout .
    says "'deploys' (slack): bot 'dispatcher' of 'Sandbox' will post to #deploys" \
        "'general' (slack): the incoming webhook's address is there" \
        "'oncall' (pagerduty): the routing key looks right" "'audit' (webhook): deliveries are signed"
    unset SLACK_BOT_TOKEN HOOK_SECRET
    PAGERDUTY_ROUTING_KEY=short dispatcher doctor greeter --env staging --checkout .
    says "'deploys' (slack): read 'env:SLACK_BOT_TOKEN'" \
        "'oncall' (pagerduty): the routing key is not one" "'audit' (webhook): read 'env:HOOK_SECRET'"
}

@test "a run that waits for an approval says so, and then goes on in the same message" {
    local run
    world_end
    rm "$world/sandbox.env"
    sandbox_start --queue-delay 60s
    reports_to_all
    deploy_behind
    until_true 20 grep -q "queued" "$world/out"
    run=$(control state | jq '.github.runs[-1].id')
    control github/set-run -d "{\"run_id\": $run, \"status\": \"waiting\"}" >/dev/null
    until_true 10 eval '[[ "$(cards ".[0].text")" == "✋ Greeter → staging: waiting for approval"* ]]'
    [[ " $(events) " == *" waiting "* ]]
    control github/set-run -d "{\"run_id\": $run, \"status\": \"completed\",
        \"conclusion\": \"success\"}" >/dev/null
    deploy_end
    expect 0
    [ "$(cards)" = 1 ]
    [[ "$(cards '.[0].text')" == "✅ "* ]]
}

@test "in a job: what could not be told is one annotation and one line of the summary" {
    export GITHUB_ACTIONS=true GITHUB_REPOSITORY=demo/greeter GITHUB_RUN_ID=77 GITHUB_JOB=deploy \
        GITHUB_RUN_ATTEMPT=1 GITHUB_REPOSITORY_ID=5 GITHUB_REF=refs/heads/main \
        GITHUB_EVENT_NAME=push GITHUB_ACTOR=octocat
    export GITHUB_OUTPUT=$world/output GITHUB_STEP_SUMMARY=$world/summary
    control slack -d '{"token": "revoked"}' >/dev/null
    deploy
    expect 0
    [ "$(grep -c "^::warning title=dispatcher::'deploys' has not got its reports (2): " <<<"$output")" = 1 ]
    [ "$(grep -c "^> ⚠️ 'deploys' has not got its reports" "$world/summary")" = 1 ]
    # Every secret of a sink is masked before anything else is said.
    local masks secret
    masks=$(sed -n '/^::add-mask::/!q;p' <<<"$output")
    for secret in "$SLACK_BOT_TOKEN" "$SLACK_WEBHOOK_URL" "$PAGERDUTY_ROUTING_KEY"; do
        [[ "$masks" == *"::add-mask::$secret"* ]] || { echo "not masked: ${secret:0:8}"; return 1; }
    done
}
