#!/usr/bin/env bats
# The API against its own description: every endpoint is driven through Prism, which refuses requests
# and answers that docs/openapi.yaml does not describe; and the description is linted.

load service_lab

setup() {
    need curl jq git openssl node python3
    root=${DISPATCHER_ROOT:-$BATS_TEST_DIRNAME/../..}
    node_home=$root/tests/e2e/node
}

teardown() {
    local pid
    for pid in ${prism_pid:-} ${service_pid:-} ${sandbox_pid:-}; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

# Prism in front of the service: from here on $url is Prism's.
prism_start() {
    local prism=$node_home/node_modules/@stoplight/prism-cli/dist/index.js port
    [ -e "$prism" ] || skip "Prism is not installed (npm ci)"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    node "$prism" proxy -h 127.0.0.1 -p "$port" --errors "$root/docs/openapi.yaml" "$url" \
        >"$world/prism.log" 2>&1 3>&- &
    prism_pid=$!
    direct=$url
    url=http://127.0.0.1:$port
    local tries=0
    until grep -q "Prism is listening" "$world/prism.log"; do
        kill -0 "$prism_pid" || { cat "$world/prism.log"; return 1; }
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { cat "$world/prism.log"; return 1; }
        sleep 0.1
    done
}

@test "the description is well-formed, by every rule of spectral" {
    [ -d "$node_home/node_modules/@stoplight/spectral-cli" ] || skip "spectral is not installed (npm ci)"
    run "$node_home/node_modules/.bin/spectral" lint -F hint -r "$root/tests/e2e/spectral.yaml" \
        "$root/docs/openapi.yaml"
    echo "$output"
    [ "$status" -eq 0 ]
    # What is served is described, and the other way round.
    grep -ohE '^    \{"(GET|POST)", "/(api|hooks|healthz|readyz|metrics|openapi|reason|badges)[^"]*"' \
        "$root"/dispatcher/service/{api,hooks_github,health}.c |
        sed -E 's/^    \{"([A-Z]+)", "([^"]+)"/\1 \2/' | sort >"$BATS_TEST_TMPDIR/served"
    python3 - "$root/docs/openapi.yaml" <<'P' | sort >"$BATS_TEST_TMPDIR/described"
import sys, yaml
for path, item in yaml.safe_load(open(sys.argv[1]))["paths"].items():
    for method in item:
        if method in ("get", "post", "put", "delete", "patch"):
            print(method.upper(), path)
P
    diff "$BATS_TEST_TMPDIR/served" "$BATS_TEST_TMPDIR/described"
}

@test "every endpoint answers as it is described" {
    service_world
    service_start
    prism_start
    local job id lock

    # A job.
    job=$(job_token)
    token=$job
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    assert_code 202
    id=$(jq -r .id <<<"$body")
    [ "$(header Location)" = "/api/v1/deployments/$id" ]
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    assert_code 200
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v2"}'
    assert_code 401 token-replayed
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "tools", "env": "production", "version": "v1"}'
    assert_code 403 not-authorized
    token=$(job_token '{"ref": "refs/heads/x"}')
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    assert_code 403 ref-not-allowed
    [ "$(jq '.failures | length' <<<"$body")" -ge 1 ]
    token=$job
    ask GET /api/v1/deployments
    assert_code 200
    ask GET '/api/v1/deployments?app=shop&state=queued&limit=1'
    assert_code 200
    ask GET "/api/v1/deployments/$id"
    assert_code 200
    ask GET "/api/v1/deployments/$id?document=1"
    assert_code 200
    ask GET /api/v1/deployments/d-0
    assert_code 404 not-found
    ask GET /api/v1/apps
    assert_code 200
    ask GET /api/v1/apps/shop
    assert_code 200
    ask GET /api/v1/apps/tools
    assert_code 404 not-found
    ask GET /api/v1/environments
    assert_code 200
    ask GET /api/v1/queue
    assert_code 200
    ask_json POST /api/v1/explain '{"app": "shop", "env": "staging"}'
    assert_code 200
    [ "$(jq -r '.code + " " + .rule' <<<"$body")" = "allowed main" ]
    ask_json POST /api/v1/explain '{"app": "shop"}'
    assert_code 200
    [ "$(jq -r '.environments[] | select(.allowed) | .env' <<<"$body" | head -n 1)" = staging ]
    token=$(job_token)
    ask POST /api/v1/apps/shop/environments/staging/push
    assert_code 200
    [ "$(jq -c '[.repositories, .credentials]' <<<"$body")" = '[{"web":"shop-staging-web"},null]' ]
    token=$(job_token)
    ask_json POST /api/v1/apps/shop/environments/staging/push '{"version": "v9"}'
    assert_code 200
    [ "$(jq -c '[.version, .build.services.web.context]' <<<"$body")" = '["v9","."]' ]
    token=$(job_token)
    ask POST /api/v1/apps/tools/environments/staging/push
    assert_code 403 not-authorized

    # A person.
    token=$(person_token monalisa)
    ask_json POST /api/v1/explain '{"app": "shop"}'
    assert_code 200
    ask_json POST /api/v1/explain '{"app": "shop", "env": "staging",
        "claims": {"repository": "acme/x", "repository_id": "1", "repository_owner": "acme",
        "repository_owner_id": "2", "ref": "refs/heads/main", "event_name": "push",
        "workflow_ref": "acme/x/.github/workflows/deploy.yaml@refs/heads/main", "actor": "octocat"}}'
    assert_code 200
    [ "$(jq -r .allowed <<<"$body")" = false ]
    waits_for_approval "$id"
    local seen
    seen=$(jq -c '{version: .approvals.version, diff: .approvals.diff}' <<<"$body")
    ask_json POST "/api/v1/deployments/$id/approve" '{"version": "v9", "diff": "a..b"}'
    assert_code 409 state-conflict
    ask_json POST "/api/v1/deployments/$id/hurry" '{"reason": "now"}'
    assert_code 202
    ask_json POST "/api/v1/deployments/$id/approve" "$(jq -c '. + {reject: true, note: "no"}' <<<"$seen")"
    assert_code 202
    [ "$(jq -r '.approvals.given[0].rejected' <<<"$body")" = true ]
    token=$(person_token hubot)
    ask_json POST "/api/v1/deployments/$id/hurry" '{"reason": "now"}'
    [[ "$code" = 403 || "$code" = 409 ]]
    token=$(person_token monalisa)
    ask_json POST "/api/v1/deployments/$id/cancel" '{"reason": "enough"}'
    [[ "$code" = 202 || "$code" = 409 ]]
    ask_json POST /api/v1/locks '{"scope": "target", "app": "shop", "env": "staging", "reason": "look", "expires_in": "2h"}'
    assert_code 201
    lock=$(jq -r .id <<<"$body")
    ask GET /api/v1/locks
    assert_code 200
    ask GET '/api/v1/locks?past=1'
    assert_code 200
    ask_json POST "/api/v1/locks/$lock/release" '{"epoch": 99}'
    assert_code 409 state-conflict
    token=$(person_token hubot) ask_json POST "/api/v1/locks/$lock/release" '{"epoch": 1}'
    assert_code 403 person-not-allowed
    ask_json POST "/api/v1/locks/$lock/release" '{"epoch": 1}'
    assert_code 200
    token=$(person_token hubot) ask_json POST /api/v1/locks '{"scope": "organisation", "reason": "all"}'
    assert_code 403 person-not-allowed
    ask GET /api/v1/audit
    assert_code 200
    [ "$(jq '.entries | length' <<<"$body")" -ge 5 ]
    ask GET '/api/v1/audit?kind=lock&limit=1'
    assert_code 200
    [ "$(jq -r '.entries[0].kind' <<<"$body")" = lock ]
    ask GET /api/v1/audit -H 'Accept: text/csv'
    assert_code 200
    [[ "$body" == sequence,* ]]
    ask GET /api/v1/audit -H 'Accept: application/jsonl'
    assert_code 200
    [ "$(wc -l <<<"$body")" -ge 5 ]
    ask GET /api/v1/audit/verify
    assert_code 200
    [ "$(jq -r .whole <<<"$body")" = true ]

    # Anybody.
    token=
    ask GET /healthz
    assert_code 200
    ask GET /readyz
    assert_code 200
    ask GET /metrics
    assert_code 200
    ask GET /reason-codes
    assert_code 200
    ask GET /badges/shop/staging.svg
    assert_code 200
    ask GET /badges/shop/staging.png
    assert_code 404
    hook workflow_run '{"repository":{"full_name":"acme/infra"},"workflow_run":{"id":5,"status":"queued"}}'
    assert_code 202
    refute grep -q 'Violation' "$world/prism.log"
    url=$direct
    service_stop
    sandbox_stop
}

waits_for_approval() {
    local tries=0
    until ask GET "/api/v1/deployments/$1" && [ "$(jq -r .reason.code <<<"$body")" = approval-needed ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "$body"; return 1; }
        sleep 0.1
    done
}

slack_press() {
    local action=$1 user=$2 payload form stamp mac
    payload=$(jq -nc --arg a "$action" --arg u "$user" --arg v "$3" --arg r "$answers" '{type: "block_actions",
        user: {id: $u, name: "x"}, team: {id: "T0SANDBOX00"}, response_url: $r,
        actions: [{type: "button", action_id: $a, block_id: "b", value: $v, action_ts: "1"}]}')
    form="payload=$(jq -rn --arg p "$payload" '$p | @uri')"
    stamp=$(date +%s)
    mac=$(printf 'v0:%s:%s' "$stamp" "$form" | openssl dgst -sha256 -hmac "$slack_secret" -r | cut -d' ' -f1)
    ask POST /hooks/slack -H 'Content-Type: application/x-www-form-urlencoded' \
        -H "X-Slack-Request-Timestamp: $stamp" -H "X-Slack-Signature: v0=$mac" --data-raw "$form"
}

@test "a button in Slack counts for whom dispatcher.yaml knows, and for nobody else" {
    service_world
    sed -i 's/^version: 1$/&\nnotify: {members: {octocat: U0OCTOCAT1, monalisa: U0MONALISA}}/' \
        "$world/infra/dispatcher.yaml"
    # An app's own spec ties nobody to anything.
    sed -i 's/^deploy:$/&\n  notify: {members: {monalisa: U0MALLORY1}}/' \
        "$world/infra/appspecs/tools.yaml"
    commit_infra "members"
    service_start
    answers_start
    local id
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    id=$(jq -r .id <<<"$body")
    waits_for_approval "$id"
    local shown
    shown="$id $(jq -r '.approvals | .version + " " + .diff' <<<"$body")"
    slack_press dispatcher-approve U0STRANGER "$shown"
    assert_code 200
    [[ "$(tail -1 "$world/answers")" == *"not tied to a GitHub login"*"/deployments/$id\""* ]]
    slack_press dispatcher-approve U0MALLORY1 "$shown"
    assert_code 200
    [ "$(grep -c "not tied to a GitHub login" "$world/answers")" = 2 ]
    slack_press dispatcher-approve U0OCTOCAT1 "$shown" # who asked: not himself
    assert_code 200
    [[ "$(tail -1 "$world/answers")" == *"Not done: "* ]]
    [ "$(jq -r .response_type "$world/answers" | sort -u)" = ephemeral ]
    slack_secret=another slack_press dispatcher-approve U0MONALISA "$shown"
    assert_code 401 token-signature
    # What the message showed is not what waits: another version, another difference, none at all.
    local other
    for other in "$id v9 ..v9" "$id v1 abc..def" "$id v1 -" "$id"; do
        slack_press dispatcher-approve U0MONALISA "$other"
        assert_code 200
        [[ "$(tail -1 "$world/answers")" == *"Not done: "*"/deployments/$id\""* ]]
        slack_press dispatcher-reject U0MONALISA "$other"
    done
    [ "$(wc -l <"$world/answers")" = 11 ]
    slack_press dispatcher-rollback U0MONALISA "$shown" # a button that is not obeyed says so
    [[ "$(tail -1 "$world/answers")" == *"not done from Slack"*"/deployments/$id\""* ]]
    slack_press dispatcher-approve U0MONALISA "../../$shown" # none of ours
    [ "$(wc -l <"$world/answers")" = 12 ]
    ask GET "/api/v1/deployments/$id"
    [ "$(jq -c .approvals.given <<<"$body")" = "[]" ]
    slack_press dispatcher-reject U0MONALISA "$shown"
    assert_code 200
    [ "$(wc -l <"$world/answers")" = 12 ]
    ask GET "/api/v1/deployments/$id"
    [ "$(jq -r '.approvals.given[0] | .by + " " + (.rejected | tostring)' <<<"$body")" = \
        "monalisa true" ]
    service_stop
    sandbox_stop
}

# What the service tells whoever pressed: $world/answers, a body a line.
answers_start() {
    : >"$world/answers"
    python3 - "$world/answers" "$world/answers.port" 3>&- <<'P' &
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[1], "ab") as file:
            file.write(body + b"\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *ignored):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
open(sys.argv[2], "w").write(str(server.server_port))
server.serve_forever()
P
    prism_pid=$! # ended by teardown as well
    local tries=0
    until [ -s "$world/answers.port" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ]
        sleep 0.1
    done
    answers=http://127.0.0.1:$(cat "$world/answers.port")/r
}
