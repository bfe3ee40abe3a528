# Shared by the stories of pushes that go wrong: a registry that fails as it is told
# (fault_registry.py), a real one behind a proxy that breaks connections, and what must be true in the
# end. Loaded by registry_resets.bats and registry_faults.bats.

setup_file() {
    for tool in docker-registry skopeo jq curl; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
    export LAB=$DISPATCHER_ROOT/tests/integration/registry_lab.py
    export FAULTS=$DISPATCHER_ROOT/tests/integration/fault_registry.py
    export WORK=$BATS_FILE_TMPDIR
    export HOME=$WORK/home DOCKER_CONFIG=$WORK/docker
    mkdir -p "$HOME" "$DOCKER_CONFIG"
    "$FAULTS" images "$WORK/images"
    HOST=localhost:$("$FAULTS" start "$WORK/faults")
    REAL=localhost:$("$LAB" start "$WORK/real")
    PROXY=localhost:$("$FAULTS" start "$WORK/proxy" "$REAL")
    export HOST REAL PROXY
}

teardown_file() {
    for server in faults proxy real; do
        [ ! -e "$WORK/$server/pids" ] || "$LAB" stop "$WORK/$server"
    done
}

setup() {
    cd "$WORK/images" || return 1
}

# One story: its rules, and what else the registry is. The store and the log are empty again.
play() { # RULES [MEMBERS OF JSON] [HOST]
    curl -sSf -X POST --data "{\"rules\":[$1]${2:+,$2}}" "http://${3:-$HOST}/_lab/play"
}

logged() { # JQ [HOST]
    curl -sSf "http://${2:-$HOST}/_lab/log" | jq -c "$1"
}

push() {
    run --separate-stderr timeout 120 "$DISPATCHER_BIN" push "$@"
    printf 'push %s: %s\n%s\n%s\n' "$*" "$status" "$output" "$stderr" # shown when a test fails
}

# The push ended well, and what is there is what was given.
assert_whole() { # SOURCE [REPOSITORY TAG]
    [ "$status" -eq 0 ]
    case $1 in
    oci:*) "$LAB" compare-layout "${1#oci:}" "$HOST" "${2:-team/app}" "${3:-1}" ;;
    *) "$LAB" compare-archive "${1#docker-archive:}" "$HOST" "${2:-team/app}" "${3:-1}" ;;
    esac
    [ "$(logged .unfounded)" = "[]" ]
}

# The push ended with that exit code and error, and no manifest was put.
assert_nothing() { # EXIT MESSAGE [HINT]
    [ "$status" -eq "$1" ]
    [ "${stderr_lines[0]}" = "dispatcher: push '$HOST/team/app:1': $2" ]
    if [ -n "${3:-}" ]; then
        [ "${stderr_lines[1]}" = "  hint: $3" ]
    else
        [ "${#stderr_lines[@]}" -eq 1 ]
    fi
    [ "$(logged '[.unfounded, .tags]')" = '[[],{}]' ]
}

count() { # REQUESTS THAT START SO
    logged "[.requests[] | select(startswith(\"$1\"))] | length"
}

digest_of_blob() { # LAYOUT INDEX OF THE LAYER
    local manifest
    manifest=$(jq -r '.manifests[0].digest' "$1/index.json")
    jq -r ".layers[$2].digest" "$1/blobs/sha256/${manifest#sha256:}"
}
