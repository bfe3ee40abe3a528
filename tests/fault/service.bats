#!/usr/bin/env bats
# The service's flow end to end, with everything going wrong that may: service_flow.py does and counts
# it. Sizes and what it prints: there. DISPATCHER_LONG=1: more kills, more versions.

load ../e2e/lib

setup_file() {
    needs python3
    world_template
}

setup() {
    world_make
}

teardown() {
    world_end
}

# flow WHAT DATABASE: its figures are shown, its failure names the seed and the command.
flow() {
    run python3 -B "$DISPATCHER_ROOT/tests/fault/service_flow.py" "$1" "$world" "$2"
    echo "$output"
    [ "$status" -ne 77 ] || skip "${output##*SKIP: }"
    sed 's/^/# /' <<<"$output" >&3
    [ "$status" -eq 0 ] || { tail -n 15 "$world"/serve*.log; return 1; }
}

@test "50 repositories deploy through one replica on SQLite that is killed again and again" {
    flow flow sqlite
}

@test "50 repositories deploy through three replicas on PostgreSQL that are killed again and again" {
    flow flow postgres
}

@test "a restart with 10,000 queued deployments on SQLite" {
    flow restart sqlite
}

@test "a restart with 10,000 queued deployments on PostgreSQL" {
    flow restart postgres
}
