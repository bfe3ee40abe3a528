# scripts/demo-service, as whoever looks at the project runs it: each line that it promises is there, and
# nothing of it is left running.
load lib.bash

setup() {
    needs python3 jq curl git
    world=$BATS_TEST_TMPDIR/w
    mkdir -p "$world/home"
    clean_environment
    export TMPDIR=$BATS_TEST_TMPDIR
}

@test "the demo of the service deploys, waits, rolls back and says so, and leaves nothing running" {
    run --separate-stderr timeout -k 5 170 "$DISPATCHER_ROOT/scripts/demo-service" --once
    echo "$output"; echo "$stderr"
    [ "$status" -eq 0 ]
    sha=$(git -C "$BATS_TEST_TMPDIR"/dispatcher-demo.*/app rev-parse HEAD)
    [[ $output == *"✓ 'greeter' $sha is deployed to 'staging' and proven to run"* ]]
    [[ $output == *"✓ 'ledger' $sha is deployed to 'staging' and proven to run"* ]]
    [[ $output == *"'web' was rolled back by the platform: Service deployment rolled back because the circuit breaker threshold was exceeded"* ]]
    [[ $output == *"ledger        production  ${sha:0:12}  queued: "*devops*octocat* ]]
    [[ $output == *"greeter       staging     ${sha:0:12}  queued: 'greeter' in 'staging' is locked by monalisa: INC-2041: checkout is slow"* ]]
    [[ $output == *"The dashboard: http://127.0.0.1:"* ]]
    [ "$(pgrep -c -f "$BATS_TEST_TMPDIR" || true)" = 0 ]
}
