#!/usr/bin/env bats
# `dispatcher push` as a user meets it: options, lines of a log, events, bars on a terminal, and
# what is reused, counted in requests at the other end. What arrives is integration/registry_push's.

load lib

setup_file() {
    world_template
    python3 "$DISPATCHER_ROOT/tests/vectors/archives/make.py" "$BATS_FILE_TMPDIR/images"
    "$DISPATCHER_ROOT/tests/integration/registry_lab.py" large "$BATS_FILE_TMPDIR/images"
}

setup() {
    world_make
    images=$BATS_FILE_TMPDIR/images
    cd "$images" || return 1
}

teardown() {
    world_end
}

push() {
    dispatcher push "$@"
}

# With a registry to push to.
registry_start() {
    sandbox_start
    host=$DISPATCHER_SANDBOX_REGISTRY
    cd "$images" || return 1
}

forget_requests() {
    control 'reset?what=requests' -X POST
}

# refused LINE [HINT]: exit code 2, nothing on standard output, and nothing was asked.
refused() {
    expect 2
    holds [ "$output" = "" ]
    holds [ "${stderr_lines[0]}" = "dispatcher: $1" ]
    holds [ "${stderr_lines[1]}" = "  hint: $2" ]
}

# What differs from run to run, named.
plain_push() {
    sed -E "s#$host#HOST#g; s#sha256:[0-9a-f]+#DIGEST#g; s#in [0-9ms. ]+s#in TIME#g
        s#[0-9]+ requests#N requests#"
}

# valid_events: each line of the last output is an event of the schema.
valid_events() {
    cp /dev/stdin "$world/events" <<<"$output"
    python3 "$DISPATCHER_ROOT/tests/e2e/check_events.py" \
        "$DISPATCHER_ROOT/docs/push-events.schema.json" "$world/events"
}

# --- the command line --------------------------------------------------------------------------

@test "options that cannot be meant are refused before anything is asked" {
    push --compression best oci:single localhost:1/app:1
    refused "push: 'best' is not a value of '--compression'" "Use one of 'fast', 'small', 'zstd'."
    local number
    for number in 0 17 -1 1.5 99999999999999999999 four; do
        push "--parallel=$number" oci:single localhost:1/app:1
        refused "push: '$number' is not a number of bodies (--parallel)" \
            "Use a number from 1 to 16; without it there are 4."
    done
    push --previous ../../etc oci:single localhost:1/app:1
    refused "push: '../../etc' is no tag or digest (--previous)" \
        "Name an image of the same repository by its tag alone: --previous 1.3.9."
    push --previous 1.0 --previous $'x\e[2J\n::error::y' oci:single localhost:1/app:1
    refused "push: 'x ::error::y' is no tag or digest (--previous)" \
        "Name an image of the same repository by its tag alone: --previous 1.3.9."
    push oci:single localhost:1/app
    refused "image reference 'localhost:1/app' names no tag" \
        "An image is pushed under a tag: HOST/REPOSITORY:TAG; its digest follows from it."
}

@test "--help names every source, what is reused, and the exit codes" {
    push --help
    expect 0
    says 'oci:DIR' 'oci-archive:FILE' 'docker-archive:FILE' 'docker-daemon:NAME:TAG' \
        'docker://HOST/REPOSITORY:TAG' '--previous TAG' '--parallel N' '--compression' \
        'Exit codes: 0 the tag names the image'
}

# --- in a log ----------------------------------------------------------------------------------

@test "in a log each blob has its line, and the last ones say what is true" {
    registry_start
    push docker-archive:large.tar "$host/app:1"
    expect 0
    [ "$stderr" = "" ]
    holds [ "$(plain_push <<<"${lines[0]}")" = \
        "docker-archive:large.tar, linux/arm64: 6 blobs, 16.8 MiB" ]
    # How small they get is the compressor's business.
    holds [ "$(sed -n '2,7p' <<<"$output" | plain_push | sed 's/as .* in/as SIZE in/' | sort)" = \
        "  DIGEST        0 B  sent as SIZE in TIME
  DIGEST      459 B  sent in TIME
  DIGEST    1.0 KiB  sent as SIZE in TIME
  DIGEST    1.0 MiB  sent as SIZE in TIME
  DIGEST    5.0 MiB  sent as SIZE in TIME
  DIGEST   10.8 MiB  sent as SIZE in TIME" ]
    holds [ "$(sed -n '8,$p' <<<"$output" | plain_push)" = \
        "pushed HOST/app:1: 5.7 MiB in TIME (6 sent, N requests)
DIGEST" ]
    [[ "$output" != *$'\e'* ]]
    push docker-archive:large.tar "$host/app:1"
    expect 0
    holds [ "$(plain_push <<<"$output")" = \
        "docker-archive:large.tar, linux/arm64: 6 blobs, 16.8 MiB
HOST/app:1: everything was there already
DIGEST" ]
}

@test "a blob that fails is told, and that it was sent at last" {
    registry_start
    fault 'PUT */uploads/* status=503 count=1'
    push --parallel 1 oci:single "$host/app:1"
    expect 0
    [ "$(fired 1)" = 1 ]
    holds [ "$(grep -c '  failed, try 2 follows$' <<<"$output")" = 1 ]
    holds [ "$(grep -c '  sent in .* (try 2)$' <<<"$output")" = 1 ]
}

@test "names with escapes do nothing to the terminal" {
    registry_start
    local name=$'x\e[2J\e]0;title\a\n::error::y'
    cp -r single "$BATS_TEST_TMPDIR/$name"
    cd "$BATS_TEST_TMPDIR"
    push "oci:$name" "$host/app:1"
    expect 2
    holds [ "${stderr_lines[0]}" = \
        "dispatcher: image source 'oci:x ::error::y' holds a control character" ]
    push "oci:$images/single" "$host/app:$name"
    expect 2
    holds [ "$output" = "" ]
    [[ "$stderr" != *$'\e'* && "$stderr" != *$'\a'* ]]
    holds [ "${#stderr_lines[@]}" = 2 ]
}

# --- events ------------------------------------------------------------------------------------

@test "every line of --json is an event of docs/push-events.schema.json" {
    registry_start
    fault 'PUT */uploads/* status=503 count=1'
    push --json docker-archive:large.tar "$host/app:1"
    expect 0
    [ "$stderr" = "" ]
    valid_events
    holds [ "$(jq -r .event <<<"$output" | grep -v progress | uniq -c | xargs)" = \
        "1 image 7 blob 1 manifest 1 pushed" ]
    holds [ "$(jq -r 'select(.event == "blob") | .state' <<<"$output" | sort | uniq -c | xargs)" = \
        "1 again 6 sent" ]
    # What was plain has both names, and more bytes than were sent.
    holds [ "$(jq -s '[.[] | select(.event == "blob" and .state == "sent" and .diff_id != null
        and .digest != .diff_id)] | length' <<<"$output")" = 5 ]
    holds [ "$(jq -s '[.[] | select(.event == "blob" and .state == "sent") | .sent] | add' \
        <<<"$output")" = "$(jq 'select(.event == "pushed") | .bytes_sent' <<<"$output")" ]
    push --json docker-archive:large.tar "$host/app:1"
    expect 0
    valid_events
    holds [ "$(jq -c 'select(.event == "pushed") | [.already_there, .blobs_sent, .bytes_sent]' \
        <<<"$output")" = "[true,0,0]" ]
}

@test "progress is told once a second at most" {
    registry_start
    fault 'PATCH */uploads/* delay=1500ms count=1'
    push --json --parallel 1 docker-archive:large.tar "$host/app:1"
    expect 0
    valid_events
    local count
    count=$(jq -s '[.[] | select(.event == "progress")] | length' <<<"$output")
    holds [ "$count" -ge 1 ]
    holds [ "$count" -le "$(jq 'select(.event == "pushed") | .duration_ms / 1000 | floor' \
        <<<"$output")" ]
}

# --- on a terminal -----------------------------------------------------------------------------

# on_terminal [VARIABLE=VALUE]... ARGUMENT...: what a terminal of 80 columns gets, in $output.
on_terminal() {
    local variables=()
    while [[ $1 == *=* ]]; do
        variables+=("$1")
        shift
    done
    run timeout -k 5 60 env "${variables[@]}" script -qec \
        "stty cols 80 rows 24; $(printf '%q ' "$DISPATCHER_BIN" push "$@")" /dev/null
}

@test "on a terminal there are bars, and lines above them" {
    needs script
    registry_start
    fault 'PATCH */uploads/* delay=1s count=1'
    on_terminal TERM=xterm LC_ALL=C.UTF-8 docker-archive:large.tar "$host/app:1"
    expect 0
    holds grep -q $'\e\[?25l' <<<"$output"
    holds grep -q "pushing $host/app:1, " <<<"$output"
    holds grep -q 'total        \[[█░]' <<<"$output"
    holds grep -q ' of 16.8 MiB' <<<"$output"
    holds [ "$(grep -c 'sent as\|  sent in' <<<"$output")" -ge 6 ]
    holds grep -q $'\e\[?25h' <<<"$output" # the cursor is back
}

@test "NO_COLOR and ASCII: bars without colours and without other signs" {
    needs script
    registry_start
    fault 'PATCH */uploads/* delay=1s count=1'
    on_terminal NO_COLOR=1 LC_ALL=C TERM=xterm docker-archive:large.tar "$host/app:1"
    expect 0
    holds grep -q 'total        \[[#.]*\]' <<<"$output"
    [[ "$output" != *$'\e[2m'* && "$output" != *$'\e[33m'* && "$output" != *░* && "$output" != *→* ]]
}

@test "a dumb terminal gets the lines of a log" {
    needs script
    registry_start
    on_terminal TERM=dumb LC_ALL=C.UTF-8 docker-archive:large.tar "$host/app:1"
    expect 0
    [[ "$output" != *$'\e'* ]]
    holds [ "$(grep -c 'sent as\|  sent in' <<<"$output")" = 6 ]
}

# --- what is reused ----------------------------------------------------------------------------

@test "--previous names the image whose layers are reused, and saves looking for one" {
    registry_start
    push docker-archive:large.tar "$host/app:1"
    push docker-archive:docker-new.tar "$host/app:zzz" # what a look at the tags might choose
    next_image large.tar "$world/other.tar"
    forget_requests
    push --previous never --previous 1 "docker-archive:$world/other.tar" "$host/app:2"
    expect 0
    holds [ "$(grep -c '  reused from an earlier image$' <<<"$output")" = 5 ]
    holds grep -q '(1 sent, 5 reused, [0-9]* requests)$' <<<"$output"
    holds [ "$(asked '.status != 401 and (.path | endswith("/manifests/never"))')" = 1 ]
    holds [ "$(asked '.status != 401 and (.path | endswith("/manifests/1"))')" = 1 ]
    holds [ "$(asked '.status != 401 and (.path | test("/tags/list"))')" = 0 ]
    holds [ "$(asked '.method == "PATCH"')" = 0 ]
    # Without it, the repository is looked through.
    forget_requests
    push "docker-archive:$world/other.tar" "$host/app:3"
    expect 0
    holds [ "$(asked '.status != 401 and (.path | test("/tags/list"))')" = 1 ]
}

@test "--compression decides the layers' media type, and the bytes" {
    registry_start
    local word
    for word in fast small zstd; do
        push --json --compression "$word" docker-archive:large.tar "$host/app-$word:1"
        expect 0
        jq 'select(.event == "pushed") | .bytes_sent' <<<"$output" >"$world/$word"
        curl -sf -u "$DISPATCHER_REGISTRY_USER:$DISPATCHER_REGISTRY_PASSWORD" \
            -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
            -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
            "http://$host/v2/app-$word/manifests/1" | jq -r '.layers[0].mediaType' >"$world/$word.type"
    done
    holds [ "$(cat "$world/small")" != "$(cat "$world/fast")" ]
    holds [ "$(cat "$world/zstd")" -lt "$(cat "$world/fast")" ]
    holds [ "$(cat "$world/fast.type")" = application/vnd.docker.image.rootfs.diff.tar.gzip ]
    holds [ "$(cat "$world/small.type")" = application/vnd.docker.image.rootfs.diff.tar.gzip ]
    holds [ "$(cat "$world/zstd.type")" = application/vnd.oci.image.layer.v1.tar+zstd ]
}

# streams_overlap: a second body was begun before the first one was completed.
streams_overlap() {
    control requests | jq -e '[.requests[] | select(.method == "PATCH" or
        (.method == "PUT" and (.path | test("/uploads/"))))] as $all
        | [$all[] | select(.method == "PATCH") | .path] as $large
        | [$all[] | select(.path as $p | $large | index($p))] | .[0].path != .[1].path' >/dev/null
}

@test "--parallel 1 sends one large layer after the other" {
    registry_start
    push --parallel 1 docker-archive:large.tar "$host/one:1"
    expect 0
    holds [ "$(asked '.method == "PATCH"')" = 3 ]
    ! holds streams_overlap
    forget_requests
    fault 'PATCH */uploads/* delay=300ms count=3'
    push docker-archive:large.tar "$host/four:1"
    expect 0
    holds streams_overlap
}
