#!/usr/bin/env bats
# The sandbox's GitHub before judges that nobody here wrote: Octokit as a client, and Prism between
# client and sandbox, which holds every request and answer against GitHub's own description.

load sandbox_lab

setup() {
    node_home=$BATS_TEST_DIRNAME/../e2e/node
    contracts=${DISPATCHER_SHARED:-$BATS_TEST_DIRNAME/../../../shared}/contracts
    need node curl jq git
    make_world <<'Y'
name: Deploy
run-name: Deploy ${{ inputs.app }}
on: {workflow_dispatch: {inputs: {app: {required: true}}}}
jobs:
  one:
    steps:
      - run: echo "hello ${{ inputs.app }}"
      - run: 'echo "::warning title=Careful::look"'
  two:
    needs: one
    steps: [{run: 'true'}]
Y
}

@test "Octokit dispatches as an App and follows its run" {
    [ -d "$node_home/node_modules/octokit" ] || skip "octokit is not installed (npm ci)"
    sandbox_start
    run --separate-stderr node "$node_home/octokit_sandbox.mjs"
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    [ "$(jq -c . <<<"$output")" = '{"refused":[422,"Unexpected inputs provided: [\"no\"]"],"dispatched":200,"conclusion":"success","actor":"dispatcher-sandbox[bot]","title":"Deploy octokit","jobs":["one=success","two=success"],"log":true,"runs":1,"file":"name: Deploy","late":409}' ] || { echo "$output"; false; }
    sandbox_stop
}

prism_start() {
    prism=$node_home/node_modules/@stoplight/prism-cli/dist/index.js
    [ -e "$prism" ] || skip "prism is not installed (npm ci)"
    [ -d "$contracts" ] || skip "GitHub's OpenAPI description is not here"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    node "$prism" proxy -p "$port" --errors "$contracts/$1.json" "$GITHUB_API_URL" \
        >"$BATS_TEST_TMPDIR/prism.log" 2>&1 3>&- &
    prism_pid=$!
    upstream=$GITHUB_API_URL
    GITHUB_API_URL=http://127.0.0.1:$port
    for _ in $(seq 200); do
        curl -s -o /dev/null "http://127.0.0.1:$port/meta" && return 0
        sleep 0.05
    done
    cat "$BATS_TEST_TMPDIR/prism.log"
    return 1
}

prism_stop() {
    kill "$prism_pid"
    wait "$prism_pid" || true
    GITHUB_API_URL=$upstream
}

# Every answer passes Prism with the sandbox's own status: 500 would be Prism's refusal of it.
passes() {
    local wanted=$1
    shift
    api "$@" -H 'Accept: application/vnd.github+json'
    [ "$code" = "$wanted" ] || { printf '%s: %s %s\n' "$1" "$code" "$body"; return 1; }
}

tour() {
    local runs=/repos/acme/infra/actions/runs
    passes 200 /repos/acme/infra
    passes 200 /repos/acme/infra/actions/workflows/deploy.yaml
    passes 200 '/repos/acme/infra/contents/.github%2Fworkflows%2Fdeploy.yaml?ref=main'
    passes 200 /repos/acme/infra/git/ref/heads%2Fmain
    passes 200 /rate_limit
    passes 200 /meta
    [ "$2" = ghes ] || passes 200 /versions
    passes "$1" /repos/acme/infra/actions/workflows/deploy.yaml/dispatches \
        -H 'Content-Type: application/json' -d '{"ref": "main", "inputs": {"app": "x"}}'
    id=$(control /state | jq '.github.runs[-1].id')
    passes 200 "$runs/$id"
    passes 200 "$runs/$id/jobs"
    (GITHUB_API_URL=$upstream run_done "$id")
    passes 200 "$runs/$id"
    passes 200 "$runs/$id/jobs"
    job=$(jq '.jobs[0].id' <<<"$body")
    passes 200 "$runs/$id/attempts/1"
    passes 200 "$runs/$id/attempts/1/jobs"
    passes 200 "/repos/acme/infra/check-runs/$job/annotations"
    [ "$(jq length <<<"$body")" = 1 ]
    passes 200 '/repos/acme/infra/actions/workflows/deploy.yaml/runs?event=workflow_dispatch&per_page=5'
    passes 409 "$runs/$id/cancel" -X POST
    passes 404 "$runs/1"
    passes 422 /repos/acme/infra/actions/workflows/deploy.yaml/dispatches \
        -H 'Content-Type: application/json' -d '{"ref": "gone", "inputs": {"app": "x"}}'
    printf '%s\n' "$(jq -r .message <<<"$body")" | grep -qx 'No ref found for: gone'
}

@test "answers hold against GitHub's description of 2026-03-10" {
    sandbox_start
    prism_start github-2026-03-10.strict
    tour 200 github.com
    prism_stop
    sandbox_stop
}

@test "answers hold against GitHub's description of 2022-11-28" {
    sandbox_start
    prism_start github-2022-11-28.strict
    version=2022-11-28 tour 204 github.com
    prism_stop
    sandbox_stop
}

@test "answers hold against the description of GHES 3.19" {
    sandbox_start --ghes 3.19
    prism_start ghes-3.19.strict
    version=2022-11-28 tour 204 ghes
    prism_stop
    sandbox_stop
}
