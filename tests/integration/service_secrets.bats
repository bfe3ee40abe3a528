#!/usr/bin/env bats
# Specs are not the operator's words: what a spec of the infra repository may have the service read
# of its own machine, and send somewhere.

load service_lab

setup() {
    need curl jq git openssl python3
}

teardown() {
    local pid
    for pid in ${hooks_pid:-} ${service_pid:-} ${sandbox_pid:-}; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

# shop tells a webhook about its deployments, signed with the secret of that reference.
tells_with() {
    spec_of shop acme/shop "$shop_id"
    cat >>"$world/infra/appspecs/shop.yaml" <<Y
  notify:
    sinks:
      own: {kind: webhook, url: "$DISPATCHER_SANDBOX_HOOKS/shop", secret: "$1"}
    routes:
      - {to: [own]}
Y
    commit_infra "tells with $1"
}

reads_again() {
    local before tries=0
    before=$(grep -c 'specs read' "$world/serve.err")
    hook push '{"ref": "refs/heads/main", "repository": {"full_name": "acme/infra", "default_branch": "main"}}'
    until [ "$(grep -c 'specs read' "$world/serve.err")" -gt "$before" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { cat "$world/serve.err"; return 1; }
        sleep 0.1
    done
}

asks() {
    token=$(person_token monalisa)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "version": "v1"}'
}

@test "a spec that names the service's keys, its variables or its files is an app that nobody deploys" {
    service_world
    sed -i "s#^aws: .*#&\nnotify: {private_hosts: [127.0.0.1]}#" "$world/infra/dispatcher.yaml"
    printf 'canary-of-the-hook' >"$world/hook"
    mkdir -p "$world/run"
    cp "$DEPLOYMENT_APP_KEY" "$world/run/app.pem"
    service_config "s#^  rate: .*#&\n  secrets: {files: ['$world/run/*']}#; s#app_key: .*}#app_key: 'file:$world/run/app.pem'}#"
    local reference
    tells_with file:/etc/passwd
    service_start
    for reference in "file:$world/run/app.pem" "file:$world/run/../hook" env:HOOK_SECRET \
        env:SLACK_HOOK_SECRET env:HOME file:/proc/self/environ "file:$world/hook"; do
        tells_with "$reference"
        reads_again
        asks
        assert_code 403 spec-invalid
        [[ "$(jq -r .detail <<<"$body")" == *"appspecs/shop.yaml:"*"'$reference' is not among the secrets that specs may name"* ]]
        # To whom the app is not, it is as if there were none; the others go on.
        token=$(job_token '{"repository": "acme/tools"}')
        ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "version": "v1"}'
        assert_code 403 not-authorized
        ask_json POST /api/v1/explain '{"app": "tools", "env": "staging"}'
        assert_code 200
        [ "$(jq -r .code <<<"$body")" = allowed ]
    done
    token=
    ask GET /metrics
    grep -q '^dispatcher_specs_broken 1$' <<<"$body"
    grep "an invalid spec: nobody may deploy this app" "$world/serve.err" | grep -q "'file:$world/hook'"

    # Whoever runs the service says what may be: it counts from SIGHUP on, without a new commit.
    sed -i "s#  secrets: .*#  secrets: {files: ['$world/hook', '$world/run/*']}#" "$world/serve.yaml"
    kill -HUP "$service_pid"
    local tries=0
    until token=$(job_token) && ask_json POST /api/v1/explain '{"app": "shop", "env": "staging"}' &&
        [ "$(jq -r .code <<<"$body")" = allowed ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "$body"; cat "$world/serve.err"; return 1; }
        sleep 0.1
    done
    service_stop
    sandbox_stop
}

@test "a dispatcher.yaml that takes Slack's token from the environment needs the operator's word" {
    service_world
    sed -i 's/^version: 1$/&\nnotify: {sinks: {deploys: {kind: slack, channel: "#deploys"}}}/' \
        "$world/infra/dispatcher.yaml"
    commit_infra "slack"
    service_start
    token=$(job_token)
    ask_json POST /api/v1/explain '{"app": "shop", "env": "staging"}'
    assert_code 503 specs-unavailable
    token=
    ask GET /readyz
    assert_code 503
    [[ "$(jq -r .specs <<<"$body")" == "dispatcher.yaml of the infra repository is invalid"* ]]
    grep "dispatcher.yaml is invalid" "$world/serve.err" |
        grep -q "'env:SLACK_BOT_TOKEN' is not among the secrets that specs may name"
    service_stop
    sed -i 's/^  rate: .*/&\n  secrets: {env: [SLACK_BOT_TOKEN]}/' "$world/serve.yaml"
    service_start
    token=$(job_token)
    ask_json POST /api/v1/explain '{"app": "shop", "env": "staging"}'
    assert_code 200
    service_stop
    sandbox_stop
}
