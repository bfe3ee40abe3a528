#!/usr/bin/env bats
# What a caller sends again because the answer was lost: it is answered alike, whatever has changed
# since; and nothing is done twice.

load service_lab

setup() {
    need curl jq git openssl
}

# The spec of shop as it is from now on, and the service knows it.
now_the_spec_says() {
    spec_of shop acme/shop "$shop_id"
    sed -i "$1" "$world/infra/appspecs/shop.yaml"
    commit_infra "changed"
    local tries=0
    hook push '{"ref": "refs/heads/main", "repository": {"full_name": "acme/infra", "default_branch": "main"}}'
    until [ "$(grep -c 'specs read' "$world/serve.err")" -gt "$readings" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { cat "$world/serve.err"; return 1; }
        sleep 0.1
    done
    readings=$(grep -c 'specs read' "$world/serve.err")
}

@test "a key is looked up before anything that may have changed since" {
    service_world
    service_start
    readings=$(grep -c 'specs read' "$world/serve.err")
    local first='{"app": "shop", "env": "staging", "version": "v1"}' id spec
    token=$(job_token)
    ask_json POST /api/v1/deployments "$first" -H 'Idempotency-Key: key-1'
    assert_code 202
    id=$(jq -r .id <<<"$body")
    for spec in 's/^deploy:$/&\n  enabled: false/' 's#refs/heads/main#refs/heads/other#' \
        "s/repository_id: .*/repository_id: 1/" 's/^deploy:$/deploy: [/'; do
        now_the_spec_says "$spec"
        # Somebody new is refused, so it is the new spec that counts,
        token=$(job_token)
        ask_json POST /api/v1/deployments "$first" -H 'Idempotency-Key: key-2'
        [ "$code" = 403 ]
        # but who was accepted hears so again.
        ask_json POST /api/v1/deployments "$first" -H 'Idempotency-Key: key-1'
        assert_code 200
        [ "$(jq -r .id <<<"$body")" = "$id" ]
        ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "version": "v2"}' \
            -H 'Idempotency-Key: key-1'
        assert_code 422 idempotency-mismatch
        # Another repository's key of that name is another one, and tells nothing.
        token=$(job_token '{"repository": "acme/tools"}')
        ask_json POST /api/v1/deployments "$first" -H 'Idempotency-Key: key-1'
        assert_code 403 not-authorized
        # Who asks is asked first.
        token=$(job_token '{"audience": "https://elsewhere.example.org"}')
        ask_json POST /api/v1/deployments "$first" -H 'Idempotency-Key: key-1'
        assert_code 401 token-audience
    done
    service_stop
    sandbox_stop
}

@test "a job that cancels twice with one token is told twice, and cancels once" {
    service_world
    service_start
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    assert_code 202
    local id cancelling
    id=$(jq -r .id <<<"$body")
    cancelling=$(job_token)
    token=$cancelling
    ask_json POST "/api/v1/deployments/$id/cancel" '{"reason": "enough"}'
    assert_code 202
    [ "$(jq -r .result <<<"$body")" = cancelled ]
    ask_json POST "/api/v1/deployments/$id/cancel" '{"reason": "enough"}'
    assert_code 202
    [ "$(jq -r '.id + " " + .result' <<<"$body")" = "$id cancelled" ]
    ask_json POST "/api/v1/deployments/$id/cancel" '{"reason": "another"}'
    assert_code 401 token-replayed
    token=$(job_token)
    ask_json POST "/api/v1/deployments/$id/cancel" '{"reason": "enough"}'
    assert_code 409 state-conflict
    # What was refused spent nothing: the token is still good for something else.
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "version": "v1"}'
    assert_code 202
    token=$(person_token monalisa)
    ask GET "/api/v1/audit?deployment=$id"
    [ "$(jq '[.entries[] | select(.kind == "deployment" and .reason == "enough")] | length' <<<"$body")" = 1 ]
    service_stop
    sandbox_stop
}
