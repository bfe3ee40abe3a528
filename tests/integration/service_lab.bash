# What the service's stories share: a world with three apps, the sandbox as GitHub and AWS, and
# `dispatcher serve` in front of it.
#
#     service_world               $world/infra with the specs of shop and tools; the sandbox runs
#     service_config [SED-EXPR]   writes $world/serve.yaml, changed by a sed expression
#     service_start [OPTION]...   serves; sets $url
#     service_stop                ends it with SIGTERM and checks that it ended well
#     job_token [CLAIMS-JSON]     prints a token of a job of acme/shop on main
#     person_token LOGIN          prints a user token
#     ask METHOD PATH [CURL]...   as $token; sets $code, $body and $headers (a file)
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bats, and for the tests

load "${BASH_SOURCE[0]%/*}/sandbox_lab"

hook_secret=hook-secret-of-the-tests
slack_secret=slack-secret-of-the-tests

spec_of() {
    local app=$1 repository=$2 id=$3
    cat >"$world/infra/appspecs/$app.yaml" <<Y
name: $app
title: $app
repo: $repository
services:
  web: {expose: 3000}
deploy:
  repository_id: $id
  owner_id: $org_id
  environments:
    staging:
      allow:
        - {id: main, refs: [refs/heads/main], events: [push, workflow_dispatch]}
    production:
      allow:
        - {id: release, refs: [refs/heads/main, "refs/tags/v*"], events: [push, workflow_dispatch]}
      approvals: {count: 1, teams: [devops]}
      emergency: {teams: [devops]}
Y
}

service_world() {
    world=$BATS_TEST_TMPDIR/world
    mkdir -p "$world/infra/.github/workflows" "$world/infra/appspecs" "$world/home"
    cp "${DISPATCHER_ROOT:-$BATS_TEST_DIRNAME/../..}/workflows/infra-deploy-app.yaml" \
        "$world/infra/.github/workflows/deploy-app.yaml"
    cat >"$world/infra/dispatcher.yaml" <<'Y'
version: 1
environments: [staging, production]
aws: {region: us-east-1, account: "123456789012"}
workflow: {repo: acme/infra}
registry: "127.0.0.1:1"
github: {api: "http://127.0.0.1:1", app_id: "1", app_key: "env:APP_KEY"}
Y
    git -C "$world/infra" init -q -b main .
    commit_infra "first"
    sandbox_start --caller acme/shop "$@"
    org_id=$DISPATCHER_SANDBOX_ORG_ID
    shop_id=$(claim_of "$(job_token)" repository_id)
    tools_id=$(claim_of "$(job_token '{"repository": "acme/tools"}')" repository_id)
    sed -i "s#^github: .*#github: {api: '$GITHUB_API_URL', app_id: '$DEPLOYMENT_APP_ID', app_key: 'file:$DEPLOYMENT_APP_KEY'}#" \
        "$world/infra/dispatcher.yaml"
    sed -i "s#^registry: .*#registry: '$DISPATCHER_SANDBOX_REGISTRY'#" "$world/infra/dispatcher.yaml"
    spec_of shop acme/shop "$shop_id"
    spec_of tools acme/tools "$tools_id"
    commit_infra "specs"
    service_config
}

commit_infra() {
    git -C "$world/infra" add -A
    git -C "$world/infra" -c user.name=t -c user.email=t@example.org commit -qm "$1"
}

service_config() {
    cat >"$world/serve.yaml" <<Y
version: 1
environments: [staging, production]
aws: {region: us-east-1, account: "123456789012"}
workflow: {repo: acme/infra}
github: {api: "$GITHUB_API_URL", app_id: "$DEPLOYMENT_APP_ID", app_key: "file:$DEPLOYMENT_APP_KEY"}
state: {url: "sqlite:$world/state.db"}
notify:
  members: {octocat: U0OCTOCAT1}
server:
  listen: 127.0.0.1:0
  url: http://127.0.0.1:8080
  issuer: $DISPATCHER_SANDBOX_OIDC_ISSUER
  audience: http://127.0.0.1:8080
  jwks: $DISPATCHER_SANDBOX_OIDC_ISSUER/.well-known/jwks
  organization: acme
  admins: [devops]
  webhook_secrets: ["env:HOOK_SECRET"]
  slack_signing_secret: "env:SLACK_HOOK_SECRET"
  specs: $world/infra
  rate: 6000
Y
    [ $# -eq 0 ] || sed -i "$1" "$world/serve.yaml"
}

service_start() {
    rm -f "$world/address"
    unset AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE
    HOOK_SECRET=$hook_secret SLACK_HOOK_SECRET=$slack_secret HOME=$world/home \
        "$bin" serve --config "$world/serve.yaml" --ready-file "$world/address" "$@" \
        >"$world/serve.out" 2>>"$world/serve.err" 3>&- &
    service_pid=$!
    local tries=0
    until [ -s "$world/address" ]; do
        kill -0 "$service_pid" 2>/dev/null || { cat "$world/serve.err"; return 1; }
        tries=$((tries + 1))
        [ "$tries" -lt 400 ] || { echo "the service does not start"; return 1; }
        sleep 0.05
    done
    url=$(cat "$world/address")
}

service_stop() {
    [ -n "${service_pid:-}" ] || return 0
    kill -TERM "$service_pid"
    local status=0
    wait "$service_pid" || status=$?
    service_pid=
    [ "$status" -eq 0 ] || { echo "the service ended with $status"; cat "$world/serve.err"; return 1; }
}

teardown() {
    local pid
    for pid in ${service_pid:-} ${sandbox_pid:-} ${extra_pid:-}; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

# job_token '{"ref": "refs/heads/x"}': claims beside those of a push to main.
job_token() {
    local claims=${1:-"{}"}
    curl -sf "$DISPATCHER_SANDBOX_CONTROL/oidc/token" -d "$(jq -c \
        '{audience: "http://127.0.0.1:8080", repository: "acme/shop", actor: "octocat"} + .' \
        <<<"$claims")" | jq -r .value
}

claim_of() {
    local part=${1#*.}
    part=${part%%.*}
    printf '%s' "$part" | tr '_-' '/+' | { cat; printf '=='; } | base64 -d 2>/dev/null | jq -r ".$2"
}

person_token() {
    local text=ghp_$1$RANDOM$RANDOM
    curl -sf "$DISPATCHER_SANDBOX_CONTROL/github/people" \
        -d "{\"people\": [{\"login\": \"$1\", \"token\": \"$text\"}]}" >/dev/null
    printf '%s' "$text"
}

ask() {
    local method=$1 path=$2
    shift 2
    headers=$BATS_TEST_TMPDIR/headers
    rm -f "$BATS_TEST_TMPDIR/body"
    local auth=()
    [ -z "${token:-}" ] || auth=(-H "Authorization: Bearer $token")
    code=$(curl -s -o "$BATS_TEST_TMPDIR/body" -D "$headers" -w '%{http_code}' -X "$method" \
        "${auth[@]}" "$@" "$url$path") || true
    body=$(cat "$BATS_TEST_TMPDIR/body" 2>/dev/null || true)
}

# ask_json METHOD PATH JSON [CURL]...
ask_json() {
    local method=$1 path=$2 json=$3
    shift 3
    ask "$method" "$path" -H 'Content-Type: application/json' -d "$json" "$@"
}

# assert_code STATUS [REASON-CODE]
assert_code() {
    local said=
    [ $# -lt 2 ] || said=$(jq -r '.code // empty' <<<"$body" 2>/dev/null)
    if [ "$code" != "$1" ] || { [ $# -ge 2 ] && [ "$said" != "$2" ]; }; then
        printf 'answered %s %s: %s\n' "$code" "$said" "$body"
        return 1
    fi
}

# hook EVENT BODY [CURL]...: a signed delivery.
hook() {
    local event=$1 payload=$2 signature
    shift 2
    signature=$(printf '%s' "$payload" | openssl dgst -sha256 -hmac "$hook_secret" -r | cut -d' ' -f1)
    ask POST /hooks/github -H 'Content-Type: application/json' -H "X-GitHub-Event: $event" \
        -H "X-GitHub-Delivery: ${delivery:-$(cat /proc/sys/kernel/random/uuid)}" \
        -H "X-Hub-Signature-256: sha256=$signature" --data-binary "$payload" "$@"
}
