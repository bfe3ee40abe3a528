#!/usr/bin/env bats
# Who waits for a report hears of what was accepted and never began, too: once, by the routes of its
# spec.

load service_lab

setup() {
    need curl jq git openssl python3
}

inbox() { # inbox NAME: "outcome message" of each event that the sink got, a line each
    curl -sf "$DISPATCHER_SANDBOX_CONTROL/inbox" | jq -r --arg n "$1" \
        '.hooks.deliveries[] | select(.name == $n) | .json | "\(.data.outcome) \(.data.deployment) \(.data.message)"'
}

hears() { # hears NAME COUNT
    local tries=0
    until [ "$(inbox "$1" | grep -c .)" = "$2" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 250 ] || { inbox "$1"; tail -5 "$world/serve.err"; return 1; }
        sleep 0.1
    done
}

ends() { # ends ID RESULT
    local tries=0
    until ask GET "/api/v1/deployments/$1" && [ "$(jq -r .result <<<"$body")" = "$2" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 150 ] || { echo "$body"; return 1; }
        sleep 0.1
    done
}

asks_for() {
    token=$(job_token)
    ask_json POST /api/v1/deployments "{\"app\": \"shop\", \"env\": \"$1\", \"version\": \"$2\"}"
    assert_code 202
    jq -r .id <<<"$body" >"$BATS_TEST_TMPDIR/id"
    id=$(cat "$BATS_TEST_TMPDIR/id")
}

@test "rejected, cancelled and superseded before they began: told once, as the routes say" {
    service_world
    sed -i 's/^version: 1$/&\nnotify: {private_hosts: [127.0.0.1]}/' "$world/infra/dispatcher.yaml"
    sed -i 's/^    staging:$/&\n      queue: latest/' "$world/infra/appspecs/shop.yaml"
    cat >>"$world/infra/appspecs/shop.yaml" <<Y
  notify:
    sinks:
      all: {kind: webhook, url: "$DISPATCHER_SANDBOX_HOOKS/all"}
      news: {kind: webhook, url: "$DISPATCHER_SANDBOX_HOOKS/news"}
    routes:
      - {to: [all]}
      - {to: [news], outcomes: [superseded]}
Y
    commit_infra "sinks"
    service_start
    token=$(person_token monalisa)
    ask_json POST /api/v1/locks '{"scope": "environment", "env": "staging", "reason": "look"}'
    assert_code 201
    local rejected cancelled first second
    # What ended before anybody looked for the first time is no news.
    sleep 6
    asks_for production v1
    rejected=$id
    token=$(person_token monalisa)
    until ask GET "/api/v1/deployments/$rejected" && [ "$(jq -r .reason.code <<<"$body")" = approval-needed ]; do
        sleep 0.1
    done
    ask_json POST "/api/v1/deployments/$rejected/approve" \
        "$(jq -c '{version: .approvals.version, diff: .approvals.diff, reject: true, note: "not <now>"}' <<<"$body")"
    assert_code 202
    ends "$rejected" refused
    hears all 1
    inbox all | grep -q "^failed $rejected 'shop' v1 was not begun in 'production': "
    asks_for staging v2
    cancelled=$id
    token=$(job_token)
    ask_json POST "/api/v1/deployments/$cancelled/cancel" '{"reason": "enough"}'
    assert_code 202
    hears all 2
    inbox all | grep -q "^cancelled $cancelled 'shop' v2 was not begun in 'staging': enough"
    asks_for staging v3
    first=$id
    asks_for staging v4
    second=$id
    ends "$first" superseded
    hears news 1
    inbox news | grep -q "^superseded $first 'shop' v3 was not begun in 'staging': #4 took its place"
    # Another start tells nothing again.
    service_stop
    service_start
    token=$(job_token)
    ask_json POST "/api/v1/deployments/$second/cancel" '{"reason": "last"}'
    assert_code 202
    hears all 3
    [ "$(inbox news | grep -c .)" = 1 ]
    service_stop
    sandbox_stop
}
