#!/usr/bin/env bats
# Faults: each effect as a client sees it, at start and at run time, and the log of requests.

load sandbox_lab

setup() {
    need curl jq git
    make_world <<'Y'
on: workflow_dispatch
jobs: {a: {steps: [{run: 'true'}]}}
Y
}

fault() {
    control /faults -d "$1" | jq -e .id >/dev/null
}


runs() {
    control /state | jq '.github.runs | length'
}

@test "status with body, Retry-After and header, from the nth on, count times" {
    sandbox_start --fault 'GET /github/repos/* nth=2 count=2 status=503 retry-after=7 header="X-Why: test" body="{\"message\": \"no\"}"'
    for wanted in 200 503 503 200; do
        api /repos/acme/infra
        [ "$code" = "$wanted" ]
        [ "$wanted" = 200 ] || { [ "$(header Retry-After)" = 7 ] && [ "$(header X-Why)" = test ]; }
        [ "$wanted" = 200 ] || assert_problem 503 no
    done
    [ "$(control /faults | jq -c '.[0] | [.matched, .fired]')" = '[4,2]' ]
    sandbox_stop
}

@test "reset does nothing, lost-answer does it: neither answers" {
    sandbox_start
    fault 'POST */dispatches effect=reset'
    dispatch
    [ "$code" = 000 ]
    [ "$(runs)" = 0 ]
    fault 'POST */dispatches effect=lost-answer'
    dispatch
    [ "$code" = 000 ]
    [ "$(runs)" = 1 ]
    dispatch
    [ "$code" = 200 ]
    [ "$(runs)" = 2 ]
    [ "$(control '/requests?path=*/dispatches' | jq -c '[.requests[] | [.status, .counted]]')" = \
        '[[0,true],[0,true],[200,true]]' ]
    [ "$(control /counters | jq .dispatches)" = 3 ]
    sandbox_stop
}

@test "truncate, malformed, drip" {
    sandbox_start
    fault 'GET */meta effect=truncate'
    run curl -s -H 'User-Agent: t' "$GITHUB_API_URL/meta"
    [ "$status" -eq 18 ]
    fault 'GET */meta effect=malformed'
    run curl -s -H 'User-Agent: t' "$GITHUB_API_URL/meta"
    [ "$status" -eq 0 ]
    refute jq -e . <<<"$output"
    fault 'GET */meta effect=drip'
    run curl -s -H 'User-Agent: t' -w '\n%{time_total}' "$GITHUB_API_URL/meta"
    jq -e .verifiable_password_authentication <<<"${lines[0]}" || [ "$(jq -r .verifiable_password_authentication <<<"${lines[0]}")" = false ]
    awk -v took="${lines[1]}" 'BEGIN { exit !(took > 0.5) }'
    sandbox_stop
}

@test "delays before and after the effect, and a moved clock" {
    sandbox_start
    fault 'POST */dispatches delay-after=2s'
    api /repos/acme/infra/actions/workflows/deploy.yaml/dispatches -d '{"ref": "main"}' -m 1
    [ "$code" = 000 ]
    [ "$(runs)" = 1 ]
    fault 'POST */dispatches delay=2s'
    api /repos/acme/infra/actions/workflows/deploy.yaml/dispatches -d '{"ref": "main"}' -m 1
    [ "$code" = 000 ]
    [ "$(runs)" = 1 ]
    fault 'GET */repos/* offset=+1h'
    api /repos/acme/infra
    ahead=$(($(date -d "$(header Date)" +%s) - $(date +%s)))
    [ "$ahead" -ge 3590 ]
    [ "$ahead" -le 3610 ]
    api /repos/acme/infra
    ahead=$(($(date -d "$(header Date)" +%s) - $(date +%s)))
    [ "$ahead" -le 5 ]
    sandbox_stop
}

@test "expired credentials, in each service's words; an AWS action on its own" {
    need aws
    sandbox_start
    fault '* * effect=expired-token count=all'
    api /repos/acme/infra
    assert_problem 401 "Bad credentials"
    run --separate-stderr aws ssm get-parameter --name /x
    [[ "$stderr" == *"(ExpiredTokenException)"* ]]
    run --separate-stderr aws sts get-caller-identity
    [[ "$stderr" == *"(ExpiredToken)"* ]]
    [ "$(curl -s -o /dev/null -w '%{http_code}' -u "AWS:$DISPATCHER_REGISTRY_PASSWORD" "$DISPATCHER_SANDBOX/v2/")" = 401 ]
    control /faults -X DELETE
    fault 'POST /aws* target=*.PutParameter effect=lost-answer'
    run --separate-stderr aws ssm get-parameter --name /x
    [[ "$stderr" == *"(ParameterNotFound)"* ]]
    run aws ssm put-parameter --name /x --value 1 --type String
    [ "$status" -ne 0 ]
    [ "$(aws ssm get-parameter --name /x --query Parameter.Value --output text)" = 1 ]
    sandbox_stop
}

@test "a wrong rule is refused at start and at run time" {
    run "${DISPATCHER_BIN:-$BATS_TEST_DIRNAME/../../build/dev/bin/dispatcher}" sandbox --fault 'GET /x effect=boom'
    [ "$status" -eq 2 ]
    [[ "$output" == *"fault rule: 'boom' is no value for 'effect'"* ]]
    sandbox_start
    [ "$(control /faults -d 'GET /x colour=red' | jq -r .message)" = "fault rule: unknown key 'colour'" ]
    id=$(control /faults -d '{"rule": "GET /x status=500"}' | jq .id)
    [ "$(control "/faults/$id" -X DELETE -o /dev/null -w '%{http_code}')" = 204 ]
    [ "$(control "/faults/$id" -X DELETE -o /dev/null -w '%{http_code}')" = 404 ]
    control /reset -X POST
    [ "$(control /requests | jq '.requests | length')" = 0 ]
    sandbox_stop
}

@test "it listens on loopback only, and refuses what is no repository" {
    bin=${DISPATCHER_BIN:-$BATS_TEST_DIRNAME/../../build/dev/bin/dispatcher}
    for address in 0.0.0.0:0 192.0.2.1:80 example.org:80 127.0.0.1 127.0.0.1:99999; do
        run "$bin" sandbox --listen "$address"
        [ "$status" -eq 2 ]
        [[ "$output" == *"cannot listen on '$address'"* ]]
    done
    run "$bin" sandbox --repo acme/infra=/nonexistent
    [ "$status" -eq 2 ]
    run "$bin" sandbox --repo "acme=$world"
    [ "$status" -eq 2 ]
    [[ "$output" == *"'acme' is no repository name: OWNER/NAME"* ]]
}
