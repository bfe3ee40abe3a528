#!/usr/bin/env bats
# `dispatcher push docker-daemon:…` against Docker's daemon and podman's service, judged by skopeo
# and registry_lab.py; a relay before each daemon writes down what it was asked.

bats_require_minimum_version 1.5.0

setup_file() {
    for tool in docker-registry skopeo jq python3; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
    [ "$(id -u)" -eq 0 ] || skip "the daemons need root"
    export LAB=$DISPATCHER_ROOT/tests/integration/registry_lab.py
    export ENGINE=$DISPATCHER_ROOT/tests/integration/engine_lab.py
    # The paths of sockets are short.
    WORK=$(mktemp -d /tmp/engine-XXXXXX)
    export WORK HOME=$WORK/home DOCKER_CONFIG=$WORK/docker TMPDIR=$WORK/tmp
    mkdir -p "$HOME" "$DOCKER_CONFIG" "$TMPDIR"
    HOST=localhost:$("$LAB" start "$WORK/registry")
    export HOST
    "$ENGINE" image "$WORK/two.tar" lab/app:1 2 >"$WORK/two.id"
    "$ENGINE" image "$WORK/three.tar" lab/app:2 3 >"$WORK/three.id"
    for daemon in dockerd podman; do
        command -v "$daemon" >/dev/null || continue
        "$ENGINE" "start-$daemon" "$WORK/$daemon" >"$WORK/$daemon.socket" || continue
        "$ENGINE" load "$(cat "$WORK/$daemon.socket")" "$WORK/two.tar"
        "$ENGINE" load "$(cat "$WORK/$daemon.socket")" "$WORK/three.tar"
        : >"$WORK/$daemon.ready"
    done
}

teardown_file() {
    [ -n "${WORK:-}" ] || return 0
    for daemon in dockerd podman registry; do
        [ ! -e "$WORK/$daemon/pids" ] || "$LAB" stop "$WORK/$daemon" || true
    done
    for _ in $(seq 50); do # what a daemon still writes
        rm -rf "$WORK" 2>/dev/null && break
        sleep 0.1
    done
    [ ! -e "$WORK" ]
}

# Names the daemon of this test; forgets what it was asked before.
use() { # DAEMON
    command -v "$1" >/dev/null || skip "$1 is not installed"
    [ -e "$WORK/$1.ready" ] || skip "$1 does not start here: $(tail -n 1 "$WORK/$1/log")"
    DOCKER_HOST=unix://$(cat "$WORK/$1.socket")
    export DOCKER_HOST
    : >"$WORK/$1/asked"
}

push() {
    run --separate-stderr "$DISPATCHER_BIN" push --json "$@"
    printf 'push %s: %s\n%s\n%s\n' "$*" "$status" "$output" "$stderr" # shown when a test fails
}

result() { # FILTER
    jq -c "select(.event == \"pushed\") | $1" <<<"$output"
}

asked() { # DAEMON
    sed 's/ HTTP.*//' "$WORK/$1/asked"
}

pulled_equals() { # ARCHIVE REPOSITORY TAG LAYERS
    [ "$("$LAB" compare-archive "$1" "$HOST" "$2" "$3")" = "$4 layers equal" ]
    rm -rf "$BATS_TEST_TMPDIR/pulled"
    skopeo copy --quiet --src-tls-verify=false "docker://$HOST/$2:$3" \
        "docker-archive:$BATS_TEST_TMPDIR/pulled:app:1"
    [ "$(skopeo inspect --config "docker-archive:$BATS_TEST_TMPDIR/pulled" | jq -c .rootfs)" = \
        "$(skopeo inspect --config "docker-archive:$1" | jq -c .rootfs)" ]
}

# One story for each daemon; bats has no loops over tests.
an_image_arrives() { # DAEMON
    use "$1"
    local id
    id=$(cat "$WORK/two.id")
    push docker-daemon:lab/app:1 "$HOST/$1:1"
    [ "$status" -eq 0 ]
    [ "$(asked "$1")" = "GET /images/lab/app:1/json
GET /images/$id/get" ]
    [ "$(result '[.already_there, .blobs_sent]')" = '[false,3]' ]
    pulled_equals "$WORK/two.tar" "$1" 1 2
    [ "$(ls -A "$TMPDIR")" = "" ]
    # The same image from a file is the same manifest.
    local digest
    digest=$(result .digest)
    push "docker-archive:$WORK/two.tar" "$HOST/$1:file"
    [ "$(result .digest)" = "$digest" ]
}

what_is_there_is_not_exported() { # DAEMON
    use "$1"
    push docker-daemon:lab/app:1 "$HOST/$1-again:1"
    [ "$status" -eq 0 ]
    local digest
    digest=$(result .digest)
    : >"$WORK/$1/asked"
    push docker-daemon:lab/app:1 "$HOST/$1-again:2"
    [ "$status" -eq 0 ]
    [ "$(asked "$1")" = "GET /images/lab/app:1/json" ]
    [ "$(result '[.already_there, .blobs_sent, .bytes_sent, .requests]')" = '[true,0,0,3]' ]
    [ "$(result .digest)" = "$digest" ]
    pulled_equals "$WORK/two.tar" "$1-again" 2 2
}

only_the_new_layer_is_sent() { # DAEMON
    use "$1"
    push docker-daemon:lab/app:1 "$HOST/$1-top:1"
    [ "$status" -eq 0 ]
    : >"$WORK/$1/asked"
    push docker-daemon:lab/app:2 "$HOST/$1-top:2"
    [ "$status" -eq 0 ]
    [ "$(asked "$1")" = "GET /images/lab/app:2/json
GET /images/$(cat "$WORK/three.id")/get" ]
    [ "$(result '[.blobs_sent, .blobs_present]')" = '[2,2]' ]
    pulled_equals "$WORK/three.tar" "$1-top" 2 3
}

every_way_to_name_it() { # DAEMON
    use "$1"
    local id name digest
    id=$(cat "$WORK/two.id")
    push docker-daemon:lab/app:1 "$HOST/$1-names:0"
    digest=$(result .digest)
    for name in "$id" "${id:7:12}"; do
        push "docker-daemon:$name" "$HOST/$1-names:1"
        [ "$status" -eq 0 ]
        [ "$(result .digest)" = "$digest" ]
    done
    push docker-daemon:lab/nothing "$HOST/$1-names:2"
    [ "$status" -eq 2 ]
    [ "${stderr_lines[0]}" = "dispatcher: image 'docker-daemon:lab/nothing': the daemon at \
'${DOCKER_HOST#unix://}' has no image 'lab/nothing'" ]
    [[ "${stderr_lines[1]}" == "  hint: List what it has: $2 images." ]]
}

@test "dockerd: an image arrives, and leaves nothing behind" {
    an_image_arrives dockerd
}

@test "podman: an image arrives, and leaves nothing behind" {
    an_image_arrives podman
}

@test "dockerd: what the registry has is not exported" {
    what_is_there_is_not_exported dockerd
}

@test "podman: what the registry has is not exported" {
    what_is_there_is_not_exported podman
}

@test "dockerd: of one more layer, only that is sent" {
    only_the_new_layer_is_sent dockerd
}

@test "podman: of one more layer, only that is sent" {
    only_the_new_layer_is_sent podman
}

@test "dockerd: an id and a short id name an image; a missing one is said" {
    every_way_to_name_it dockerd docker
}

@test "podman: an id and a short id name an image; a missing one is said" {
    every_way_to_name_it podman podman
}

engine() { # METHOD PATH
    curl -sS --fail --unix-socket "$WORK/dockerd/docker.sock" -X "$1" "http://localhost$2"
}

@test "Docker pulls layers of many members, and finds the layers that were given" {
    use dockerd
    command -v curl >/dev/null || skip "curl is not installed"
    "$DISPATCHER_ROOT/tests/integration/fault_registry.py" images "$BATS_TEST_TMPDIR/images"
    local archive=$BATS_TEST_TMPDIR/images/layers.tar given
    given=$(tar -xOf "$archive" config.json | jq -c .rootfs.diff_ids)
    for kind in fast small; do
        push --compression "$kind" "docker-archive:$archive" "$HOST/docker/$kind:1"
        [ "$status" -eq 0 ]
        engine POST "/images/create?fromImage=$HOST/docker/$kind&tag=1" >"$BATS_TEST_TMPDIR/said"
        grep -q "Downloaded newer image" "$BATS_TEST_TMPDIR/said"
        [ "$(engine GET "/images/$HOST/docker/$kind:1/json" | jq -c .RootFS.Layers)" = "$given" ]
        engine DELETE "/images/$HOST/docker/$kind:1" >/dev/null
    done
}

@test "a name without a tag means latest" {
    use dockerd
    "$ENGINE" image "$BATS_TEST_TMPDIR/latest.tar" lab/latest:latest 1
    "$ENGINE" load "$(cat "$WORK/dockerd.socket")" "$BATS_TEST_TMPDIR/latest.tar"
    push docker-daemon:lab/latest "$HOST/latest:1"
    [ "$status" -eq 0 ]
    pulled_equals "$BATS_TEST_TMPDIR/latest.tar" latest 1 1
}

@test "a daemon that is gone is said, with what to do" {
    use dockerd
    DOCKER_HOST=unix://$WORK/none.sock push docker-daemon:lab/app:1 "$HOST/gone:1"
    [ "$status" -eq 12 ]
    [ "${stderr_lines[0]}" = "dispatcher: image 'docker-daemon:lab/app:1': no daemon is there: \
'$WORK/none.sock' does not exist" ]
    DOCKER_HOST=tcp://127.0.0.1:1 push docker-daemon:lab/app:1 "$HOST/gone:1"
    [ "$status" -eq 2 ]
    [[ "${stderr_lines[1]}" == "  hint: Set DOCKER_HOST to unix:///PATH, "* ]]
}

@test "a disk that is too small is named, and nothing is announced" {
    use dockerd
    mkdir "$BATS_TEST_TMPDIR/small"
    mount -t tmpfs -o size=64k none "$BATS_TEST_TMPDIR/small" || skip "no tmpfs may be mounted here"
    TMPDIR=$BATS_TEST_TMPDIR/small push docker-daemon:lab/app:1 "$HOST/small:1"
    umount "$BATS_TEST_TMPDIR/small"
    [ "$status" -eq 13 ]
    [[ "${stderr_lines[0]}" == *"the image does not fit into '$BATS_TEST_TMPDIR/small': No space \
left on device after 0.1 MiB" ]]
    run curl -s -o /dev/null -w '%{http_code}' "http://$HOST/v2/small/manifests/1"
    [ "$output" = 404 ]
}
