#!/usr/bin/env bats
# kill -9 at any point of a deployment that reports: whatever the point, once it is resumed and the
# outbox is flushed everybody has been told, and nobody twice. And many at once keep to the rates.
#
# A sample by default; every point with DISPATCHER_LONG=1.

load ../e2e/lib
load ../e2e/reports_lab

setup_file() {
    needs strace
    strace -qq -o /dev/null true 2>/dev/null || skip "this process may not trace others"
    world_template
}

setup() {
    world_make
    sandbox_start --repo "demo/greeter=$world/app"
    reports_to_all
    export DISPATCHER_RECONCILE_MS=600 DISPATCHER_POLL_MS=40
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 # it cannot work under a tracer
    export ASAN_OPTIONS
    points=0
}

teardown() {
    world_end
}

deploy_until() { # CALL N
    run --separate-stderr strace -f -qq -o /dev/null -e "trace=$1" \
        -e "inject=$1:signal=SIGKILL:when=$2" "$DISPATCHER_BIN" deploy greeter --env staging \
        --image "oci:$world/image"
}

# The deployment was killed: it is brought to its end, and everything is told.
finish_it() {
    local id
    id=$(id_of_last)
    if [ "$id" = null ]; then # before the journal knew of it
        deploy
        expect 0 || return 1
    else
        dispatcher resume "$id"
        if [ "$status" -eq 9 ]; then # killed between the intent and the POST: nobody can know
            dispatcher resolve "$id" --abandon
            [ "$status" -eq 7 ] || [ "$status" -eq 8 ] || { show; return 1; }
        else
            expect 0 || return 1
        fi
    fi
    dispatcher notify --flush
    expect 0
}

# One card, told as it ended; each answer, event, incident and change at most as often as there are
# such ends; each CloudEvent's id at least once.
is_told_once() {
    local id end
    id=$(id_of_last)
    end=$("$DISPATCHER_BIN" history --json | jq -rs '.[0].result')
    [ "$(cards)" = 1 ] || { echo "cards: $(cards)"; cards '.[].text'; return 1; }
    [ "$(answers 'map(.metadata.event_payload.id) | length == (unique | length)')" = true ] ||
        { echo "an answer came twice"; return 1; }
    if [ "$end" = deployed ]; then
        [[ "$(cards '.[0].text')" == "✅ "* ]] || { cards '.[0].text'; return 1; }
        [ "$(inbox '[.hooks.deliveries[].json.id] | unique | (index("'"$id"'/deployed") != null)
            and (index("'"$id"'/started") != null)')" = true ] || { events; return 1; }
        [ "$(inbox '[.pagerduty.changes[]] | length >= 1')" = true ]
    fi
}

kill_at() { # CALL EACH
    local call=$1 each=$2 n
    [ -z "${DISPATCHER_LONG:-}" ] || each=1
    for ((n = 1; ; n += each)); do
        forget_effects
        control hooks -d "{\"name\": \"audit\", \"secret\": \"$HOOK_SECRET\"}" >/dev/null
        rm -f "$DISPATCHER_STATE"*
        deploy_until "$call" "$n"
        [ "$status" -ne 0 ] || break
        expect 137 || return 1
        points=$((points + 1))
        finish_it && is_told_once || { echo "killed at $call number $n:"; show; return 1; }
    done
    echo "# $call: $points points" >&3
}

@test "killed at any request: everybody is told, and nobody twice" {
    kill_at sendto 4
    [ "$points" -ge 6 ]
}

@test "killed at any durable write: everybody is told, and nobody twice" {
    kill_at fdatasync 9
    [ "$points" -ge 3 ]
}

@test "20 deployments at once from one machine keep to Slack's rate, one message each" {
    local i pids=()
    control slack -d '{"rate": {"per_second": 1, "burst": 2}}' >/dev/null
    for ((i = 1; i <= 20; i++)); do
        sed "s/^name: .*/name: app$i/" "$world/infra/appspecs/greeter.yaml" \
            >"$world/infra/appspecs/app$i.yaml"
    done
    in_infra true
    for ((i = 1; i <= 20; i++)); do
        DISPATCHER_REPORT_WAIT_MS=2000 "$DISPATCHER_BIN" deploy "app$i" --env staging \
            --image "oci:$world/image" >"$world/out.$i" 2>&1 3>&- &
        pids+=("$!")
    done
    for i in "${!pids[@]}"; do
        wait "${pids[i]}" || { cat "$world/out.$((i + 1))"; return 1; }
    done
    until_true 60 eval '[ "$("$DISPATCHER_BIN" notify --flush >/dev/null; "$DISPATCHER_BIN" notify --outbox --json | wc -l)" = 0 ]'
    [ "$(inbox '.slack.refused.ratelimited // 0')" = 0 ]
    [ "$(cards)" = 20 ]
    [ "$(cards 'map(.text | startswith("✅")) | all')" = true ]
    [ "$(answers)" = 20 ]
    [ "$(inbox '.pagerduty.changes | length')" = 20 ]
    [ "$(inbox '[.hooks.deliveries[].json.id] | length')" = 40 ]
}
