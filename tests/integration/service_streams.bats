#!/usr/bin/env bats
# How many event streams somebody may hold open, and that one that is closed makes room.

load service_lab

setup() {
    need curl jq git openssl python3
}

teardown() {
    local pid
    for pid in ${open[@]+"${open[@]}"} ${service_pid:-} ${sandbox_pid:-}; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

# opens [CURL]...: one more stream of $id as $token, once its first bytes are there.
opens() {
    local file=$BATS_TEST_TMPDIR/stream-${#open[@]} tries=0
    curl -sN -o "$file" -H "Authorization: Bearer $token" "$@" "$url/api/v1/deployments/$id/events" 3>&- &
    open+=($!)
    until [ -s "$file" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "no stream"; return 1; }
        sleep 0.05
    done
    grep -q '^retry: ' "$file" || { cat "$file"; return 1; }
}

refused() {
    ask GET "/api/v1/deployments/$id/events" --max-time 5 "$@"
    assert_code 429 rate-limited
    [ "$(header Retry-After)" = 5 ]
}

@test "a caller has so many event streams and no more, and so has an address" {
    service_world
    service_config 's#^  rate: .*#&\n  streams: 3\n  proxy_auth: {header: X-Login, addresses: [127.0.0.1]}#'
    service_start
    open=()
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    assert_code 202
    id=$(jq -r .id <<<"$body")
    local from=(-H 'X-Forwarded-For: 192.0.2.1')
    for _ in 1 2 3; do opens "${from[@]}"; done
    refused "${from[@]}"
    [[ "$(jq -r .detail <<<"$body")" == *"of this repository or person"* ]]
    token=$(job_token) # another token of the same repository
    refused -H 'X-Forwarded-For: 192.0.2.2'
    ask GET "/api/v1/deployments/$id"
    assert_code 200
    # People have their own, until the address has had enough.
    local login
    for login in monalisa octocat hubot; do
        token=$(person_token $login)
        for _ in 1 2 3; do opens "${from[@]}"; done
        refused "${from[@]}"
    done
    token=$(person_token sandbox-user)
    refused "${from[@]}"
    [[ "$(jq -r .detail <<<"$body")" == *"from this address"* ]]
    opens -H 'X-Forwarded-For: 192.0.2.3'
    # Streams that end make room.
    token=$(job_token)
    ask_json POST "/api/v1/deployments/$id/cancel" '{}'
    assert_code 202
    wait "${open[@]}"
    open=()
    ask GET "/api/v1/deployments/$id/events" "${from[@]}" --max-time 10
    assert_code 200
    service_stop
    sandbox_stop
}
