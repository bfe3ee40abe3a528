#!/usr/bin/env bats
# kill -9 in the middle of a deployment, at one system call after the other. Whatever the point, the
# journal finishes the deployment with one dispatch, or says that it cannot know.
#
# A sample by default; every point of every call with DISPATCHER_LONG=1.

load ../e2e/lib

setup_file() {
    needs strace
    strace -qq -o /dev/null true 2>/dev/null || skip "this process may not trace others"
    world_template
}

setup() {
    world_make
    sandbox_start
    export DISPATCHER_RECONCILE_MS=600 DISPATCHER_POLL_MS=40
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 # it cannot work under a tracer
    export ASAN_OPTIONS
    points=0 before=0 finished=0 unknown=0
}

teardown() {
    world_end
}

# deploy_until CALL N: killed at the Nth such call, unless it ends before.
deploy_until() {
    run --separate-stderr strace -f -qq -o /dev/null -e "trace=$1" \
        -e "inject=$1:signal=SIGKILL:when=$2" "$DISPATCHER_BIN" deploy greeter --env staging \
        --image "oci:$world/image"
}

# The deployment was killed; at most two resumes bring it to an end that is true.
finish_it() {
    local id
    id=$(id_of_last)
    if [ "$id" = null ]; then # killed before the journal knew of it: nothing has happened
        [ "$(effects)" = "posts=0 runs=0 versions=1 labels=1 manifests=0" ] || return 1
        before=$((before + 1))
        deploy
    else
        dispatcher resume "$id"
        [ "$status" -eq 0 ] || [ "$status" -eq 9 ] || dispatcher resume "$id"
    fi
    if [ "$status" -eq 9 ]; then # the intent was durable, nothing shows whether it left
        [ "$(posts) $(runs)" = "0 0" ] || return 1
        unknown=$((unknown + 1))
        dispatcher resolve "$(id_of_last)" --abandon
        [ "$status" -eq 7 ] && values_are v1 "$sha" v1
        return
    fi
    finished=$((finished + 1))
    expect 0 && happened "posts=1 runs=1 versions=2 labels=1 manifests=1" &&
        values_are v1 "$sha" && [ "$(labels 2)" = deployed ]
}

# kill_at CALL EACH: at the first, and every EACHth call after it, until one run ends by itself.
kill_at() {
    local call=$1 each=$2 n
    [ -z "${DISPATCHER_LONG:-}" ] || each=1
    for ((n = 1; ; n += each)); do
        forget_effects
        rm -f "$DISPATCHER_STATE"*
        deployed_before v1
        deploy_until "$call" "$n"
        [ "$status" -ne 0 ] || break
        expect 137 || return 1
        points=$((points + 1))
        finish_it || { echo "killed at $call number $n:"; show; return 1; }
    done
    echo "# $call: $points points, $finished finished (of them $before unknown to the journal)," \
        "$unknown undecidable" >&3
}

@test "killed at any request to a server" {
    kill_at sendto 1
    [ "$points" -ge 20 ]
    # Between the durable intent and the POST nobody can tell: that is one request of all.
    [ "$unknown" -le 1 ]
}

@test "killed at any answer of a server" {
    kill_at recvfrom 2
    [ "$points" -ge 8 ]
    [ "$unknown" -eq 0 ]
}

@test "killed at any write to the journal" {
    kill_at pwrite64 31
    [ "$points" -ge 8 ]
    [ "$unknown" -le 2 ]
}

@test "killed at any flush of the journal" {
    kill_at fdatasync 4
    [ "$points" -ge 8 ]
    [ "$unknown" -le 2 ]
}
