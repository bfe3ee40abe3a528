#!/usr/bin/env bats
# Many at once: 25 deployments of different apps through one workflow, from one machine with one
# journal. Each follows its own run: known tools lose some, or take another's result for theirs.

load ../e2e/lib

COUNT=25

setup_file() {
    world_template
}

setup() {
    world_make
    local i
    for ((i = 1; i <= COUNT; i++)); do
        sed "s/^name: .*/name: app$i/" "$world/infra/appspecs/greeter.yaml" \
            >"$world/infra/appspecs/app$i.yaml"
    done
    # Every fifth fails on the infra side.
    roll_out_is 'echo "rolling out $1"; [ $((${1#app} % 5)) -ne 0 ]'
}

teardown() {
    world_end
}

deploy_all() {
    local i
    pids=()
    for ((i = 1; i <= COUNT; i++)); do
        "$DISPATCHER_BIN" deploy "app$i" --env staging --image "oci:$world/image" --json \
            >"$world/out.$i" 2>"$world/err.$i" 3>&- &
        pids+=("$!")
    done
}

# Each with its own run, its own parameter, its own truth.
all_are_right() {
    local i code expected
    control state >"$world/state"
    for ((i = 1; i <= COUNT; i++)); do
        code=0
        wait "${pids[i - 1]}" || code=$?
        expected=$((i % 5 == 0 ? 8 : 0))
        [ "$code" -eq "$expected" ] || { echo "app$i: $code"; cat "$world/err.$i"; return 1; }
        tail -n 1 "$world/out.$i" | jq -r '.run_id' >>"$world/run_ids"
        control state | jq -e --argjson run "$(tail -n 1 "$world/run_ids")" --arg app "app$i" \
            --arg sha "$sha" '(.github.runs[] | select(.id == $run) | .inputs.application) == $app
            and ([.aws.parameters[] | select(.name == "/\($app)/staging/web/version") |
                .versions[].value] == [$sha])' >/dev/null || { echo "app$i is not right"; return 1; }
    done
    [ "$(sort -u "$world/run_ids" | wc -l)" -eq "$COUNT" ]
    [ "$(posts) $(runs)" = "$COUNT $COUNT" ]
}

@test "25 simultaneous deployments each follow their own run" {
    sandbox_start --queue-delay 1s
    deploy_all
    all_are_right
}

@test "25 simultaneous deployments whose dispatches lost their answers find their own runs" {
    sandbox_start --visible-delay 1s
    export DISPATCHER_RECONCILE_MS=20000
    fault 'POST */dispatches effect=lost-answer count=all'
    deploy_all
    all_are_right
}
