#!/usr/bin/env bats
# How work of the service ends, and goes on elsewhere: service_ends.py does and checks it.

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

ends() {
    run python3 -B "$DISPATCHER_ROOT/tests/fault/service_ends.py" "$1" "$world" "$2"
    echo "$output"
    [ "$status" -ne 77 ] || skip "${output##*SKIP: }"
    sed 's/^/# /' <<<"$output" >&3
    [ "$status" -eq 0 ] || { tail -n 15 "$world"/serve*.log; return 1; }
}

@test "a service that is told to stop while GitHub does not answer is gone in time (SQLite)" {
    ends drain sqlite
}

@test "three replicas that are told to stop while GitHub does not answer are gone in time (PostgreSQL)" {
    ends drain postgres
}

@test "what takes its workers down three times is set aside with what is known (SQLite)" {
    ends crashes sqlite
}

@test "what takes its workers down three times is set aside with what is known (PostgreSQL)" {
    ends crashes postgres
}

@test "a copy of a live service's database is one to go on from (SQLite)" {
    ends backup sqlite
}

@test "a copy of a live service's database is one to go on from (PostgreSQL)" {
    ends backup postgres
}

@test "replicas whose database is gone end when they are told to" {
    ends lost postgres
}

@test "three replicas under load hold no more connections than is written" {
    ends connections postgres
}
