#!/usr/bin/env bats
# What goes with a deployment and holds nothing back: `warnings` of the API, and of its page.

load service_lab

setup() {
    need curl jq git openssl python3
}

lock() {
    local keep=$token
    token=$(person_token monalisa)
    ask_json POST /api/v1/locks "$1"
    assert_code 201
    lock_id=$(jq -r .id <<<"$body")
    lock_epoch=$(jq -r .epoch <<<"$body")
    token=$keep
}

@test "warnings are told when it is accepted, while it waits, and on its page" {
    service_world
    sed -i 's/^deploy:$/&\n  mode: audit/' "$world/infra/appspecs/tools.yaml"
    commit_infra "audit"
    service_config 's#^  rate: .*#&\n  proxy_auth: {header: X-Login, addresses: [127.0.0.1]}#'
    service_start
    lock '{"scope": "app", "app": "shop", "level": "warning", "reason": "the <b>database</b> is slow", "expires_in": "2h"}'
    lock '{"scope": "target", "app": "shop", "env": "production", "level": "warning", "reason": "late"}'
    lock '{"scope": "app", "app": "tools", "level": "warning", "reason": "of another app"}'
    local id slow='^.shop. has a warning of monalisa until 20[0-9TZ:-]*: the <b>database</b> is slow$'
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    assert_code 202
    id=$(jq -r .id <<<"$body")
    jq -r '.warnings[]' <<<"$body" | grep -q "$slow"
    [ "$(jq '.warnings | length' <<<"$body")" = 3 ]
    jq -r '.warnings[]' <<<"$body" | grep -qF "'shop' in 'production' has a warning of monalisa: late"
    jq -r '.warnings[]' <<<"$body" | grep -qF "the spec describes no target of 'shop' in 'production': nothing proves what runs there"
    ask GET "/api/v1/deployments/$id"
    [ "$(jq '.warnings | length' <<<"$body")" = 3 ]
    ask GET /api/v1/deployments
    [ "$(jq '.deployments[0].warnings | length' <<<"$body")" = 3 ]
    # The page shows them as text.
    token=
    ask GET "/deployments/$id" -H 'X-Login: monalisa'
    assert_code 200
    [[ "$body" == *"<h2 id=warnings>Warnings</h2>"*"the &lt;b&gt;database&lt;/b&gt; is slow"* ]]
    # A lock that is lifted warns nobody any more.
    token=$(person_token monalisa)
    ask GET /api/v1/locks
    local entry
    entry=$(jq -c '.locks[] | select(.reason == "late")' <<<"$body")
    ask_json POST "/api/v1/locks/$(jq -r .id <<<"$entry")/release" "$(jq -c '{epoch}' <<<"$entry")"
    ask GET "/api/v1/deployments/$id"
    [ "$(jq '.warnings | length' <<<"$body")" = 2 ]

    # What only passes since the spec is not enforced yet.
    token=$(job_token '{"repository": "acme/tools", "ref": "refs/heads/x"}')
    ask_json POST /api/v1/deployments '{"app": "tools", "env": "production", "version": "v1"}'
    assert_code 202
    jq -r '.warnings[0]' <<<"$body" | grep -q "^'mode: audit' lets it pass; refused would be: .*refs/heads/x"
    service_stop
    sandbox_stop
}

@test "an infra repository that cannot be used any more is a warning of what waits" {
    service_world
    service_config
    service_start
    local id
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    id=$(jq -r .id <<<"$body")
    echo "unknown: 1" >>"$world/infra/dispatcher.yaml"
    commit_infra "broken"
    hook push '{"ref": "refs/heads/main", "repository": {"full_name": "acme/infra", "default_branch": "main"}}'
    local tries=0
    until ask GET "/api/v1/deployments/$id" &&
        jq -r '.warnings[]' <<<"$body" | grep -q "a newer dispatcher.yaml of the infra repository is invalid"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "$body"; return 1; }
        sleep 0.1
    done
    service_stop
    sandbox_stop
}
