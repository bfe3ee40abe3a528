#!/usr/bin/env bats
# The sandbox's GitHub: dispatch with all its refusals, runs, conditional requests, quota, pages,
# App tokens, logs, cancelling. Asked with curl.

load sandbox_lab

setup() {
    need curl jq git openssl
    make_world <<'Y'
name: Deploy
run-name: Deploy ${{ inputs.app }} [${{ inputs.distinct_id }}]
on:
  workflow_dispatch:
    inputs:
      app: {required: true, type: string}
      target: {type: choice, options: [dev, prod], default: dev}
      dry: {type: boolean, default: false}
      distinct_id: {type: string}
jobs:
  deploy:
    runs-on: x
    steps:
      - run: echo "target ${{ inputs.target }}"
Y
}

dispatches=/repos/acme/infra/actions/workflows/deploy.yaml/dispatches

@test "a dispatch is answered with the run, by version" {
    sandbox_start
    dispatch '{"app": "a", "distinct_id": "id-1"}'
    [ "$code" = 200 ]
    [ "$(jq -r .run_url <<<"$body")" = "$GITHUB_API_URL/repos/acme/infra/actions/runs/$run" ]
    [ "$(jq -r .html_url <<<"$body")" = "$DISPATCHER_SANDBOX/acme/infra/actions/runs/$run" ]
    run_done "$run"
    [ "$(run_field "$run" '[.conclusion, .display_title, .head_branch, .event] | join("|")')" = \
        "success|Deploy a [id-1]|main|workflow_dispatch" ]
    [ "$(run_field "$run" .head_sha)" = "$(git -C "$world/infra" rev-parse HEAD)" ]

    version=2022-11-28 api "$dispatches" -d '{"ref": "main", "inputs": {"app": "b"}}'
    [ "$code" = 204 ]
    [ "$body" = "" ]
    version=2022-11-28 api "$dispatches" \
        -d '{"ref": "main", "inputs": {"app": "b"}, "return_run_details": true}'
    [ "$code" = 200 ]
    sandbox_stop
}

@test "each refusal of a dispatch comes in GitHub's words and makes no run" {
    sandbox_start
    api "$dispatches" -d '{"ref": "nope", "inputs": {"app": "a"}}'
    assert_problem 422 "No ref found for: nope"
    api "$dispatches" -d "{\"ref\": \"$(git -C "$world/infra" rev-parse HEAD)\"}"
    [ "$code" = 422 ]
    api "$dispatches" -d '{"ref": "main", "inputs": {"app": "a", "x": "1", "y": "2"}}'
    assert_problem 422 'Unexpected inputs provided: ["x","y"]'
    api "$dispatches" -d '{"ref": "main", "inputs": {}}'
    assert_problem 422 "Required input 'app' not provided"
    api "$dispatches" -d '{"ref": "main", "inputs": {"app": "a", "target": "x"}}'
    assert_problem 422 "Provided value 'x' for input 'target' not in the list of allowed values"
    api "$dispatches" -d '{"ref": "main", "inputs": {"app": "a", "dry": ""}}'
    assert_problem 422 "Provided value '' for input 'dry' not in the list of allowed values"
    api "$dispatches" -d '{"ref": "main", "inputs": {"app": "a"}, "wait": true}'
    assert_problem 422 $'Invalid request.\n\n"wait" is not a permitted key.'
    api "$dispatches" -d '{"inputs": {"app": "a"}}'
    assert_problem 422 $'Invalid request.\n\n"ref" wasn\'t supplied.'
    api "$dispatches" -d '{"ref": '
    assert_problem 400 "Problems parsing JSON"
    api /repos/acme/infra/actions/workflows/ploy.yaml/dispatches -d '{"ref": "main"}'
    assert_problem 404 "Not Found"
    api /repos/acme/other/actions/workflows/deploy.yaml/dispatches -d '{"ref": "main"}'
    assert_problem 404 "Not Found"
    control /github/workflow-state -d '{"repository": "acme/infra", "workflow": "deploy.yaml"}'
    dispatch '{"app": "a"}'
    assert_problem 422 "Cannot trigger a 'workflow_dispatch' on a disabled workflow"
    printf 'on: push\njobs: {a: {steps: [{run: x}]}}\n' \
        >"$world/infra/.github/workflows/push.yaml"
    git -C "$world/infra" add -A
    git -C "$world/infra" -c user.name=t -c user.email=t@example.org commit -qm second
    api /repos/acme/infra/actions/workflows/push.yaml/dispatches -d '{"ref": "main"}'
    assert_problem 422 "Workflow does not have 'workflow_dispatch' trigger"
    [ "$(control /state | jq '.github.runs | length')" = 0 ]
    sandbox_stop
}

@test "a server of GHES 3.19 knows neither the new version nor run details" {
    sandbox_start --ghes 3.19
    [[ "$GITHUB_API_URL" == */api/v3 ]]
    api "$dispatches" -d '{"ref": "main", "inputs": {"app": "a"}}'
    [ "$code" = 400 ]
    version=2022-11-28 api "$dispatches" \
        -d '{"ref": "main", "inputs": {"app": "a"}, "return_run_details": true}'
    assert_problem 422 $'Invalid request.\n\n"return_run_details" is not a permitted key.'
    [ "$(control /state | jq '.github.runs | length')" = 0 ]
    version=2022-11-28 api "$dispatches" -d '{"ref": "main", "inputs": {"app": "a"}}'
    [ "$code" = 204 ]
    api /meta
    version=2022-11-28 api /meta
    [ "$(jq -r .installed_version <<<"$body")" = 3.19 ]
    sandbox_stop
}

@test "a 304 costs no quota, and an ETag belongs to its token" {
    sandbox_start
    dispatch '{"app": "a"}'
    run_done "$run"
    api "/repos/acme/infra/actions/runs/$run"
    [ "$code" = 200 ]
    etag=$(header ETag)
    left=$(header X-RateLimit-Remaining)
    [[ "$etag" == W/\"*\" ]]
    api "/repos/acme/infra/actions/runs/$run" -H "If-None-Match: $etag"
    [ "$code" = 304 ]
    [ "$body" = "" ]
    [ "$(header X-RateLimit-Remaining)" = "$left" ]
    api "/repos/acme/infra/actions/runs/$run" -H 'If-None-Match: "other"'
    [ "$code" = 200 ]
    [ "$(header X-RateLimit-Remaining)" = "$((left - 1))" ]
    [ "$(control '/requests?path=*/actions/runs/*' | jq '[.requests[] | select(.status == 304) | .counted] | any')" = false ]
    sandbox_stop
}

@test "a used-up quota is a 403 with the time it comes back" {
    sandbox_start --quota 2
    api /repos/acme/infra
    api /repos/acme/infra
    [ "$(header X-RateLimit-Remaining)" = 0 ]
    api /repos/acme/infra
    [ "$code" = 403 ]
    [ "$(header X-RateLimit-Remaining)" = 0 ]
    [ "$(header X-RateLimit-Reset)" -gt "$(date +%s)" ]
    sandbox_stop
}

@test "a run lives through its delays and is listed once it is visible" {
    sandbox_start --visible-delay 1s --pending-delay 1s --queue-delay 1s --run-delay 1s
    dispatch '{"app": "a"}'
    api '/repos/acme/infra/actions/workflows/deploy.yaml/runs?event=workflow_dispatch'
    [ "$(jq .total_count <<<"$body")" = 0 ]
    seen=
    for _ in $(seq 200); do
        status=$(run_field "$run" .status)
        [[ "$seen" == *"$status" ]] || seen="$seen $status"
        [ "$status" != completed ] || break
        sleep 0.05
    done
    [ "${seen/ pending pending/ pending}" = " pending queued in_progress completed" ]
    api '/repos/acme/infra/actions/workflows/deploy.yaml/runs?event=workflow_dispatch'
    [ "$(jq .total_count <<<"$body")" = 1 ]
    sandbox_stop
}

@test "listings page with links and filter by what they are asked" {
    sandbox_start
    for number in 1 2 3 4 5; do
        dispatch "{\"app\": \"a$number\"}"
    done
    list=/repos/acme/infra/actions/workflows/deploy.yaml/runs
    api "$list?per_page=2&event=workflow_dispatch"
    [ "$(jq -r '[.workflow_runs[].display_title] | join(",")' <<<"$body")" = "Deploy a5 [],Deploy a4 []" ]
    next=$(header Link | grep -o '<[^>]*>; rel="next"' | tr -d '<>' | cut -d';' -f1)
    [ "$next" = "$GITHUB_API_URL$list?per_page=2&event=workflow_dispatch&page=2" ]
    api "${next#"$GITHUB_API_URL"}"
    [ "$(jq -r '.workflow_runs[0].display_title' <<<"$body")" = "Deploy a3 []" ]
    api "$list?per_page=2&page=3"
    [ "$(jq '.workflow_runs | length' <<<"$body")" = 1 ]
    [[ "$(header Link)" != *'rel="next"'* ]]
    api "$list?created=%3E%3D2099-01-01T00:00:00Z"
    [ "$(jq .total_count <<<"$body")" = 0 ]
    api "$list?created=%3E%3D2020-01-01T00:00:00Z&branch=main&actor=sandbox-user"
    [ "$(jq .total_count <<<"$body")" = 5 ]
    for filter in event=push branch=x actor=nobody status=waiting; do
        api "$list?$filter"
        [ "$(jq .total_count <<<"$body")" = 0 ]
    done
    sandbox_stop
}

# jwt IAT EXP [ISS]: an App JWT, signed by openssl.
jwt() {
    local iss=${3:-$DEPLOYMENT_APP_ID} key=${4:-$DEPLOYMENT_APP_KEY} head claims
    b64() { openssl base64 -A | tr '+/' '-_' | tr -d =; }
    head=$(printf '{"alg":"RS256","typ":"JWT"}' | b64)
    claims=$(printf '{"iat":%s,"exp":%s,"iss":"%s"}' "$1" "$2" "$iss" | b64)
    printf '%s.%s.%s' "$head" "$claims" \
        "$(printf '%s.%s' "$head" "$claims" | openssl dgst -sha256 -sign "$key" -binary | b64)"
}

@test "an App gets a token for what it asks, and no more" {
    sandbox_start
    now=$(date +%s)
    token=$(jwt $((now - 60)) $((now + 500)))
    api /repos/acme/infra/installation
    [ "$code" = 200 ]
    mint=/app/installations/$(jq .id <<<"$body")/access_tokens
    api "$mint" -d '{"repositories": ["infra"], "permissions": {"actions": "write"}}'
    [ "$code" = 201 ]
    [ "$(jq -c .permissions <<<"$body")" = '{"actions":"write","metadata":"read"}' ]
    installation=$(jq -r .token <<<"$body")
    [[ "$installation" == ghs_4242_*.*.* ]]
    [ "${#installation}" -gt 400 ]
    api "$mint" -X POST -H 'X-GitHub-Stateless-S2S-Token: disabled'
    [ "$(jq -r '.token | length' <<<"$body")" = 40 ]
    api "$mint" -d '{"repositories": ["other"]}'
    [ "$code" = 422 ]
    api "$mint" -d '{"permissions": {"administration": "write"}}'
    assert_problem 422 "The permissions requested are not granted to this installation."
    token=$installation
    dispatch '{"app": "a"}'
    [ "$code" = 200 ]
    [ "$(run_field "$run" .actor.login)" = "dispatcher-sandbox[bot]" ]
    api /repos/acme/infra/contents/.github/workflows/deploy.yaml
    assert_problem 403 "Resource not accessible by integration"
    control /github/expire-tokens -X POST
    api "/repos/acme/infra/actions/runs/$run"
    assert_problem 401 "Bad credentials"
    sandbox_stop
}

@test "an App JWT that does not hold is refused" {
    sandbox_start
    now=$(date +%s)
    token=$(jwt $((now - 700)) $((now - 100))) api /app
    [ "$code" = 401 ]
    [[ "$body" == *"'Expiration time' claim ('exp') must be"* ]]
    token=$(jwt $((now - 60)) $((now + 3600))) api /app
    assert_problem 401 "'Expiration time' claim ('exp') is too far in the future"
    token=$(jwt $((now + 300)) $((now + 500))) api /app
    [ "$code" = 401 ]
    [[ "$body" == *"'Issued at' claim"* ]]
    token=$(jwt $((now - 60)) $((now + 500)) 77) api /app
    assert_problem 404 "Integration not found"
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$world/other.pem" 2>/dev/null ||
        openssl genrsa -out "$world/other.pem" 2048 2>/dev/null
    token=$(jwt $((now - 60)) $((now + 500)) 4242 "$world/other.pem") api /app
    assert_problem 401 "A JSON web token could not be decoded"
    token=$GITHUB_TOKEN api /app
    assert_problem 401 "A JSON web token could not be decoded"
    sandbox_stop
}

@test "a log is behind a redirect that takes no credentials" {
    sandbox_start
    dispatch '{"app": "a", "target": "prod"}'
    run_done "$run"
    api "/repos/acme/infra/actions/runs/$run/jobs"
    job=$(jq '.jobs[0].id' <<<"$body")
    [ "$(jq -r '[.jobs[0].steps[].name] | join(",")' <<<"$body")" = \
        'Set up job,Run echo "target ${{ inputs.target }}",Complete job' ]
    api "/repos/acme/infra/actions/jobs/$job/logs"
    [ "$code" = 302 ]
    location=$(header Location)
    curl -s "$location" | grep -qE '^[0-9-]{10}T[0-9:]{8}\.[0-9]{7}Z target prod$'
    [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer x' "$location")" = 400 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' "${location}0")" = 403 ]
    sandbox_stop
}

@test "cancelling: 202 while it runs, 409 afterwards" {
    sandbox_start --run-delay 30s
    dispatch '{"app": "a"}'
    api "/repos/acme/infra/actions/runs/$run/cancel" -X POST
    [ "$code" = 202 ]
    run_done "$run"
    [ "$(run_field "$run" .conclusion)" = cancelled ]
    api "/repos/acme/infra/actions/runs/$run/cancel" -X POST
    assert_problem 409 "Cannot cancel a workflow run that is completed."
    api "/repos/acme/infra/actions/runs/$run/force-cancel" -X POST
    [ "$code" = 409 ]
    sandbox_stop
}

@test "tests can ask for a conclusion, a duplicate, any state" {
    sandbox_start
    for conclusion in timed_out action_required startup_failure neutral; do
        control /github/next-run -d "{\"conclusion\": \"$conclusion\"}"
        dispatch '{"app": "a"}'
        run_done "$run"
        [ "$(run_field "$run" .conclusion)" = "$conclusion" ]
    done
    other=$(control /github/duplicate-run -d "{\"run_id\": $run}" | jq .id)
    [ "$other" != "$run" ]
    run_done "$other"
    [ "$(run_field "$other" .display_title)" = "$(run_field "$run" .display_title)" ]
    control /github/set-run -d "{\"run_id\": $run, \"status\": \"waiting\"}"
    [ "$(run_field "$run" '[.status, .conclusion] | join(",")')" = "waiting," ]
    sandbox_stop
}

@test "a run whose state was ordered keeps it, also while it is under way" {
    sandbox_start --queue-delay 60s
    dispatch '{"app": "a"}'
    control /github/set-run -d "{\"run_id\": $run, \"status\": \"waiting\"}"
    sleep 0.5 # in which its thread ends
    [ "$(run_field "$run" '[.status, .conclusion] | join(",")')" = "waiting," ]
    sandbox_stop
}

@test "the frame: User-Agent, credentials, version" {
    sandbox_start
    api /repos/acme/infra -H 'User-Agent:'
    [ "$code" = 403 ]
    version=1999-01-01 api /repos/acme/infra
    [ "$code" = 410 ]
    token=wrong api /repos/acme/infra
    assert_problem 401 "Bad credentials"
    [ "$(curl -s "$GITHUB_API_URL/repos/acme/infra" | jq -r '.status + .message')" = \
        "401Requires authentication" ]
    sandbox_stop
}

@test "25 dispatches at once make 25 runs" {
    sandbox_start
    for number in $(seq 25); do
        curl -s -o "$BATS_TEST_TMPDIR/d$number" -H "Authorization: Bearer $GITHUB_TOKEN" \
            -H 'X-GitHub-Api-Version: 2026-03-10' "$GITHUB_API_URL$dispatches" \
            -d "{\"ref\": \"main\", \"inputs\": {\"app\": \"a$number\"}}" 3>&- &
        pids+=($!)
    done
    wait "${pids[@]}"
    ids=$(cat "$BATS_TEST_TMPDIR"/d* | jq .workflow_run_id)
    [ "$(sort -u <<<"$ids" | wc -l)" = 25 ]
    for id in $ids; do
        run_done "$id"
        [ "$(run_field "$id" .conclusion)" = success ]
    done
    sandbox_stop
}
