#!/usr/bin/env bats
# Every fault under which today's dispatch-and-wait tools were measured, and some they were not, each
# with the outcome that is true: which run is followed, which exit code, how many POSTs left.

load ../e2e/lib

setup_file() {
    world_template
}

setup() {
    world_make
}

teardown() {
    world_end
}

# The run waits in its step for open_gate.
gate_the_run() {
    roll_out_is "until [ -e '$world/gate' ]; do sleep 0.05; done; echo \"rolling out \$1 to \$2\""
}

open_gate() {
    : >"$world/gate"
}

run_is() { # STATUS
    [ "$(control state | jq -r '.github.runs[-1].status')" = "$1" ]
}

was_followed() {
    [ "$(control requests | jq '[.requests[] | select(.path | test("/actions/runs/[0-9]+$"))] | length')" -ge "${1:-1}" ]
}

deployed() {
    expect 0 && happened "posts=${1:-1} runs=1 versions=1 labels=1 manifests=1"
}

# --- while following ---------------------------------------------------------------------------

@test "a connection reset while polling is a poll that did not happen" {
    sandbox_start --queue-delay 1s
    fault 'GET */actions/runs/* nth=2 count=2 effect=reset'
    deploy
    deployed
    [ "$(fired 1)" -ge 2 ]
}

@test "a 502 on the run and one on the second job list are polls that did not happen" {
    sandbox_start --run-delay 1s
    fault 'GET */actions/runs/*/jobs nth=2 status=502 body="<html>bad gateway</html>"'
    fault 'GET */actions/runs/* nth=2 status=502 body="<html>bad gateway</html>"'
    deploy
    deployed
    [ "$(fired 2)" -eq 1 ]
}

@test "a 502 on the first job list is no reason to stop" {
    sandbox_start --run-delay 1s
    fault 'GET */actions/runs/*/jobs status=502'
    deploy
    deployed
    [ "$(fired 1)" -eq 1 ]
}

@test "two 502 on the list of runs: it is read again until the run is found" {
    sandbox_start
    fault 'POST */dispatches effect=lost-answer'
    fault 'GET */actions/workflows/*/runs* count=2 status=502'
    deploy
    deployed
    [ "$(fired 2)" -eq 2 ]
}

@test "a secondary rate limit while polling is waited for as told" {
    sandbox_start --queue-delay 1s
    fault 'GET */actions/runs/* nth=2 status=403 retry-after=3 body="{\"message\":\"You have exceeded a secondary rate limit. Please wait.\"}"'
    deploy
    deployed
    [ "$(fired 1)" -eq 1 ]
    # Nothing was asked of GitHub for three seconds after the answer.
    [ "$(control requests | jq '[.requests[] | select(.path | startswith("/github"))] as $all |
        ($all | map(.status == 403) | index(true)) as $i |
        $all[$i + 1].time_ms - $all[$i].time_ms >= 2900')" = true ]
}

@test "a 429 with a date to come back at is waited for" {
    sandbox_start --queue-delay 1s
    fault 'GET */actions/runs/* nth=2 status=429 retry-after=1 body="{\"message\":\"slow down\"}"'
    deploy
    deployed
}

@test "404 for the run's id in the first two seconds is waited out" {
    sandbox_start
    fault 'GET */actions/runs/* count=20 status=404 body="{\"message\":\"Not Found\"}"'
    deploy
    deployed
    [ "$(fired 1)" -eq 20 ]
}

@test "an App's token that expires while waiting is renewed" {
    sandbox_start
    gate_the_run
    deploy_behind
    until_true 20 was_followed 2
    [ "$(control github/expire-tokens -X POST | jq .expired)" -ge 1 ]
    until_true 20 eval '[ "$(asked ".path | test(\"access_tokens\")")" -ge 2 ]'
    open_gate
    deploy_end
    deployed
}

@test "a plain token that stops working while waiting ends as unknown, and resume finishes" {
    sandbox_start
    unset DEPLOYMENT_APP_ID DEPLOYMENT_APP_KEY
    gate_the_run
    deploy_behind
    until_true 20 was_followed 2
    fault 'GET */actions/runs/* count=all effect=expired-token'
    deploy_end
    expect 9
    says "the state of run 16000000002 cannot be read any more" \
        "'dispatcher resume $(id_of_last)' follows it again."
    happened "posts=1 runs=1 versions=1 labels=1 manifests=1"
    [ "$(labels 1)" = "pending" ]
    control faults -X DELETE
    open_gate
    dispatcher resume "$(id_of_last)"
    expect 0
    [ "$(posts)" = 1 ]
    [ "$(labels 1)" = "deployed" ] || [ "$(labels 1)" = "deployed pending" ] || [ "$(labels 1)" = "pending deployed" ]
}

@test "a truncated and a malformed answer while polling are polls that did not happen" {
    sandbox_start --queue-delay 1s
    fault 'GET */actions/runs/* nth=2 effect=truncate'
    fault 'GET */actions/runs/* nth=3 effect=malformed'
    deploy
    deployed
}

@test "a run that stays pending for seven seconds is not finished" {
    sandbox_start --pending-delay 7s
    deploy
    deployed
    says "pending"
}

@test "a title and a commit that say 'Not Found' and 'API rate limit exceeded' are only words" {
    sandbox_start
    in_infra sed -i 's/^run-name: .*/run-name: "Not Found: API rate limit exceeded ${{ inputs.distinct_id }}"/' \
        .github/workflows/deploy-app.yaml
    git -C "$world/infra" commit -q --allow-empty -m "Not Found, Server Error, Bad credentials"
    fault 'POST */dispatches effect=lost-answer'
    deploy
    deployed
}

# --- the dispatch ------------------------------------------------------------------------------

@test "a dispatch answered 502 without a run is never sent again: unknown" {
    sandbox_start
    fault 'POST */dispatches status=502 count=all body="<html>bad gateway</html>"'
    deploy
    expect 9
    says "Look at $GITHUB_SERVER_URL/demo/infra/actions for id d-" "whether the run of 'deploy-app.yaml' was started is unknown" \
        "dispatcher resolve $(id_of_last) --abandon"
    happened "posts=1 runs=0 versions=1 labels=1 manifests=1"
    [ "$(labels 1)" = "pending" ]
}

@test "a dispatch answered 500 'Server Error' without a run is never sent again: unknown" {
    sandbox_start
    fault 'POST */dispatches status=500 count=all body="{\"message\":\"Server Error\"}"'
    deploy
    expect 9
    says "HTTP 500" "Server Error"
    happened "posts=1 runs=0 versions=1 labels=1 manifests=1"
}

@test "after an unknown end, resolve --abandon restores and resolve --adopt follows" {
    sandbox_start
    deployed_before v1
    fault 'POST */dispatches status=502'
    deploy
    expect 9
    [ "$(values | tail -n 1)" = "$sha" ]
    dispatcher resolve "$(id_of_last)" --abandon
    expect 7
    values_are v1 "$sha" v1

    fault 'POST */dispatches effect=lost-answer'
    fault 'GET */actions/workflows/*/runs* count=all status=503'
    deploy
    expect 9
    [ "$(runs)" = 1 ]
    control faults -X DELETE
    dispatcher resolve "$(id_of_last)" --adopt "$(control state | jq -r ".github.runs[-1].id")"
    expect 0
    [ "$(posts)" = 2 ] # one of each deployment
    [ "$(values | tail -n 1)" = "$sha" ]
}

@test "a dispatch whose answer is lost is found by its id, and not sent again" {
    sandbox_start
    fault 'POST */dispatches effect=lost-answer'
    deploy
    deployed
    says "found by its id"
}

@test "a lost answer and a run that shows late: it is looked for until it shows" {
    sandbox_start --visible-delay 1s
    export DISPATCHER_RECONCILE_MS=8000
    fault 'POST */dispatches effect=lost-answer'
    deploy
    deployed
}

@test "a dispatch reset before it was read is unknown, never repeated" {
    sandbox_start
    fault 'POST */dispatches effect=reset count=all'
    deploy
    expect 9
    happened "posts=1 runs=0 versions=1 labels=1 manifests=1"
}

@test "an answer that is cut or is not JSON leaves doubt: the run is found" {
    sandbox_start
    fault 'POST */dispatches effect=malformed'
    deploy
    deployed
    fault 'POST */dispatches effect=truncate'
    echo more >>hello.txt
    git commit -qam more
    deploy
    expect 0
    happened "posts=2 runs=2 versions=2 labels=1 manifests=1"
}

@test "502 after the run was made: the run is found, not made again" {
    sandbox_start
    # The effect happens, and what comes back says nothing.
    fault 'POST */dispatches effect=truncate'
    deploy
    deployed
}

@test "without the id input a lost answer is unknown, and the candidate is named" {
    sandbox_start
    in_infra sed -i '/distinct_id:/,/default: by hand/d; s/^run-name.*//' \
        .github/workflows/deploy-app.yaml
    fault 'POST */dispatches effect=lost-answer'
    deploy
    expect 9
    says "actions/runs/16000000002 began at that time" "has no 'distinct_id' input"
    [ "$(posts) $(runs)" = "1 1" ]
}

@test "a second run with our id: the newer one is stopped, and the end is unknown" {
    sandbox_start --queue-delay 3s
    fault 'POST */dispatches effect=lost-answer'
    fault 'GET */actions/workflows/*/runs* count=1 delay=2s'
    deploy_behind
    until_true 10 eval '[ "$(runs)" = 1 ]'
    control github/duplicate-run -X POST -d '{"run_id": 16000000002}' >/dev/null
    deploy_end
    expect 9
    says "2 runs show this id"
    [ "$(posts)" = 1 ]
    until_true 10 eval '[ "$(control state | jq -r ".github.runs[1].conclusion")" = cancelled ]'
}

@test "a secondary rate limit on the dispatch is waited for; one run" {
    sandbox_start
    fault 'POST */dispatches status=403 retry-after=1 body="{\"message\":\"You have exceeded a secondary rate limit.\"}"'
    deploy
    expect 0
    happened "posts=2 runs=1 versions=1 labels=1 manifests=1"
    [ "$(control requests | jq '[.requests[] | select(.path | endswith("/dispatches"))] |
        .[1].time_ms - .[0].time_ms >= 900')" = true ]
}

@test "an older Enterprise Server (3.19): asked ever more plainly, one acceptance, one run" {
    sandbox_start --ghes 3.19
    deploy
    deployed 2 # the first refusal was met while planning already
    [ "$(control requests | jq -c '[.requests[] | select(.path | endswith("/dispatches")) |
        [.api_version, .status]]')" = \
        '[["2022-11-28",422],["2022-11-28",204]]' ]
    # Its answer names no run: it is found by its id.
    says "found by its id"
}

@test "200 with run details that nobody asked for is read, not refused" {
    sandbox_start --ghes 3.19
    # The run that the answer will name: made by hand.
    curl -sf "$GITHUB_API_URL/repos/demo/infra/actions/workflows/deploy-app.yaml/dispatches" \
        -H "Authorization: Bearer $GITHUB_TOKEN" -H "User-Agent: somebody" \
        -d '{"ref": "main", "inputs": {"application": "greeter", "environment": "staging"}}'
    local run="$DISPATCHER_SANDBOX/api/v3/repos/demo/infra/actions/runs/16000000002"
    local page="$DISPATCHER_SANDBOX/demo/infra/actions/runs/16000000002"
    fault "POST */dispatches nth=2 status=200 body=\"{\\\"workflow_run_id\\\": 16000000002, \\\"run_url\\\": \\\"$run\\\", \\\"html_url\\\": \\\"$page\\\"}\""
    deploy
    expect 0
    says "run 16000000002"
    [ "$(runs)" = 1 ]
}

@test "a clock a minute ahead, or ten minutes off, changes nothing" {
    needs faketime
    ! grep -q __asan_init "$DISPATCHER_BIN" || skip "faketime cannot be loaded before AddressSanitizer"
    sandbox_start
    fault 'POST */dispatches effect=lost-answer'
    run --separate-stderr faketime -f +60s "$DISPATCHER_BIN" deploy greeter --env staging \
        --image "oci:$world/image"
    deployed
    says "found by its id"
    local shift
    for shift in +10m -10m; do
        echo "$shift" >>hello.txt
        git commit -qam "$shift"
        run --separate-stderr faketime -f "$shift" "$DISPATCHER_BIN" deploy greeter \
            --env staging --image "oci:$world/image"
        expect 0
    done
    [ "$(posts) $(runs)" = "3 3" ]
}

@test "a definite refusal restores the parameter: a ref that is gone, a workflow that is off" {
    sandbox_start
    deployed_before v1
    control github/workflow-state -X POST \
        -d '{"repository": "demo/infra", "workflow": "deploy-app.yaml", "disabled": true}'
    deploy
    expect 7
    says "Cannot trigger a 'workflow_dispatch' on a disabled workflow" "parameter $parameter is restored"
    [ "$(posts) $(runs)" = "1 0" ]
    values_are v1 "$sha" v1
    [ "$(labels 3)" = "deployed" ]
}

@test "GitHub that cannot be reached changes nothing" {
    sandbox_start
    export GITHUB_API_URL=http://127.0.0.1:1
    deploy
    expect 12
    nothing_happened
}

@test "GitHub that goes away before the dispatch: not sent, restored" {
    sandbox_start
    deployed_before v1
    unset DEPLOYMENT_APP_ID DEPLOYMENT_APP_KEY
    # Answers while planning; by the time of the dispatch nobody listens any more.
    port=$(free_port)
    needs socat
    start relay socat "TCP-LISTEN:$port,fork,reuseaddr,bind=127.0.0.1" \
        "TCP:${DISPATCHER_SANDBOX#http://}"
    until_true 5 curl -s "http://127.0.0.1:$port/"
    export GITHUB_API_URL=http://127.0.0.1:$port/github
    fault "POST /aws* target=*.PutParameter delay=2s"
    deploy_behind
    until_true 10 eval '[ "$(asked ".action == \"AmazonSSM.GetParameter\"")" -ge 1 ]'
    kill "${servers[-1]%%:*}"
    deploy_end
    expect 12
    [ "$(posts) $(runs)" = "0 0" ]
    values_are v1 "$sha" v1
}

# --- how a run ends ----------------------------------------------------------------------------

ends_as() { # CONCLUSION CODE
    control github/next-run -X POST -d "{\"conclusion\": \"$1\"}"
    deploy
    expect "$2"
    says "run 160000000" "parameter $parameter is restored"
    [ "$(values | tail -n 1)" = v1 ]
}

@test "every conclusion but success is red, the parameter goes back, the code says which" {
    sandbox_start
    deployed_before v1
    ends_as failure 7
    ends_as timed_out 7
    ends_as startup_failure 7
    ends_as action_required 7
    ends_as stale 7
    ends_as skipped 7
    ends_as neutral 7
    ends_as cancelled 11
    [ "$(posts) $(runs)" = "8 8" ]
}

@test "a failed first deployment: there is nothing to restore, and the code says so" {
    sandbox_start
    control github/next-run -X POST -d '{"conclusion": "failure"}'
    deploy
    expect 8
    says "parameter $parameter is NOT restored (the parameter did not exist before)"
    [ "$(values)" = "$sha" ]
}

@test "on_failure: keep leaves the parameter, and the code says so" {
    sandbox_start
    deployed_before v1
    control github/next-run -X POST -d '{"conclusion": "failure"}'
    deploy --on-failure keep
    expect 8
    says "is NOT restored (on_failure: keep)"
    values_are v1 "$sha"
}

@test "a failing step is named, with the end of its log, made harmless" {
    sandbox_start
    deployed_before v1
    roll_out_is 'echo "before"; printf "\033[31mred\033[0m ::warning::x\n##[group]y\n::add-mask::z\n"; echo "the disk is full" >&2; exit 3'
    deploy
    expect 7
    says "job 'deploy' failed at step 'Roll out'" "the disk is full" \
        "Process completed with exit code 3"
    says_not $'\e[31m'
    ! grep -qE '^(::|##\[)' <<<"$output"
    export GITHUB_ACTIONS=true GITHUB_REPOSITORY=demo/greeter
    deploy
    expect 7
    # In a job of ours no line of theirs may be a command.
    ! grep -vE '^::(error|notice|warning|add-mask|group|endgroup)' <<<"$output" | grep -qE '^ *(::|##\[)'
    says ": :add-mask::***" "    | y"
}

@test "waiting ends with 10 while the run goes on; on_timeout: cancel stops it" {
    sandbox_start
    gate_the_run
    deploy --timeout 1s
    expect 10
    says "is still 'in_progress'" "'dispatcher resume $(id_of_last)' waits again."
    [ "$(labels 1)" = pending ]
    run_is in_progress
    open_gate
    dispatcher resume "$(id_of_last)"
    expect 0
    [ "$(posts)" = 1 ]

    rm "$world/gate"
    echo more >>hello.txt
    git commit -qam more
    deploy --timeout 1s --on-timeout cancel
    expect 11
    says "cancelled on our request"
    [ "$(values | tail -n 1)" = "$sha" ]
}

# --- interrupted -------------------------------------------------------------------------------

interrupted() { # SIGNAL POLICY
    gate_the_run
    deploy_behind --on-cancel "$2"
    until_true 20 run_is in_progress
    until_true 20 was_followed 2
    kill "-$1" "$deploying"
    deploy_end
}

@test "SIGINT with on_cancel: leave says that the run goes on, and resume finishes" {
    sandbox_start
    interrupted INT leave
    expect 130
    says "the remote run goes on" "'dispatcher resume $(id_of_last)' follows it to its end."
    run_is in_progress
    open_gate
    dispatcher resume "$(id_of_last)"
    expect 0
    happened "posts=1 runs=1 versions=1 labels=1 manifests=1"
}

@test "SIGTERM with on_cancel: leave says that the run goes on, and resume finishes" {
    sandbox_start
    interrupted TERM leave
    expect 143
    says "the remote run goes on"
    run_is in_progress
    open_gate
    dispatcher resume "$(id_of_last)"
    expect 0
    [ "$(posts)" = 1 ]
}

@test "SIGINT with on_cancel: cancel stops the remote run, and resume tells its end" {
    sandbox_start
    deployed_before v1
    interrupted INT cancel
    expect 130
    says "the remote run was asked to stop"
    until_true 10 run_is completed
    dispatcher resume "$(id_of_last)"
    expect 11
    says "cancelled on our request"
    [ "$(values | tail -n 1)" = v1 ]
    [ "$(posts)" = 1 ]
}

@test "SIGTERM with on_cancel: cancel stops the remote run, and resume tells its end" {
    sandbox_start
    deployed_before v1
    interrupted TERM cancel
    expect 143
    until_true 10 run_is completed
    dispatcher resume "$(id_of_last)"
    expect 11
    values_are v1 "$sha" v1
}

@test "a signal before the dispatch: what was written goes back, nothing was triggered" {
    sandbox_start
    deployed_before v1
    fault 'POST /aws* target=*.PutParameter delay-after=2s'
    deploy_behind
    until_true 10 eval '[ "$(values | wc -l)" = 2 ]'
    kill -TERM "$deploying"
    deploy_end
    expect 143
    says "Nothing was triggered."
    [ "$(posts) $(runs)" = "0 0" ]
    values_are v1 "$sha" v1
}
