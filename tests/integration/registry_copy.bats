#!/usr/bin/env bats
# `dispatcher push docker://…` between two docker-registry processes and within one, judged by
# skopeo, by registry_lab.py and by the registries' own access logs. What a source may do wrong is
# done by registry_front.py.

bats_require_minimum_version 1.5.0

setup_file() {
    for tool in docker-registry skopeo htpasswd jq curl openssl; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
    export LAB=$DISPATCHER_ROOT/tests/integration/registry_lab.py
    export WORK=$BATS_FILE_TMPDIR
    export HOME=$WORK/home DOCKER_CONFIG=$WORK/docker
    mkdir -p "$HOME" "$DOCKER_CONFIG"
    python3 "$DISPATCHER_ROOT/tests/vectors/archives/make.py" "$WORK/images"
    "$LAB" large "$WORK/images"
    FROM=localhost:$("$LAB" start "$WORK/from")
    HOST=localhost:$("$LAB" start "$WORK/to")
    SAFE=localhost:$("$LAB" start "$WORK/safe" robot canary-password)
    BEARER=localhost:$("$LAB" start-bearer "$WORK/bearer" robot canary-password)
    FRONT=localhost:$("$DISPATCHER_ROOT/tests/integration/registry_front.py" start "$WORK/front" \
        "$FROM" robot canary-front)
    STORE=127.0.0.1:$("$DISPATCHER_ROOT/tests/integration/registry_front.py" start "$WORK/store" \
        "$FROM")
    export FROM HOST SAFE BEARER FRONT STORE
    cd "$WORK/images" || return 1
    for layout in single multi nested nested-8 attested artifact empty-layers; do
        "$DISPATCHER_BIN" push "oci:$layout" "$FROM/$layout:1"
    done
    "$DISPATCHER_BIN" push docker-archive:large.tar "$FROM/large:1"
    "$DISPATCHER_BIN" push oci:multi "$FROM/with/tag:latest"
}

teardown_file() {
    for server in from to safe bearer front store; do
        [ ! -e "$WORK/$server/pids" ] || "$LAB" stop "$WORK/$server"
    done
}

setup() {
    cd "$WORK/images" || return 1
    echo pass >"$WORK/front/mode"
    log_in_to
}

# Writes the file of `docker login`: HOST USER:PASSWORD …
log_in_to() {
    local entries=()
    while [ $# -gt 0 ]; do
        entries+=("$(printf '"%s":{"auth":"%s"}' "$1" "$(printf '%s' "$2" | base64)")")
        shift 2
    done
    local IFS=,
    printf '{"auths":{%s}}' "${entries[*]}" >"$DOCKER_CONFIG/config.json"
}

push() {
    run --separate-stderr "$DISPATCHER_BIN" push "$@"
    printf 'push %s: %s\n%s\n%s\n' "$*" "$status" "$output" "$stderr" # shown when a test fails
}

last_line() {
    printf '%s\n' "${lines[${#lines[@]} - 1]}"
}

# Requests of ours to the registry in DIR since the last call, as "METHOD PATH STATUS".
requests() { # DIR
    local from=0
    [ ! -e "$1/counted" ] || from=$(cat "$1/counted")
    wc -l <"$1/log" >"$1/counted"
    tail -n "+$((from + 1))" "$1/log" | grep 'dispatcher/' |
        sed -nE 's/^.*"([A-Z]+) (\/[^ "]*) HTTP\/1.1" ([0-9]+) .*$/\1 \2 \3/p'
}

# Asserts that nothing was tagged and no layer is in the repository.
is_empty() { # REPOSITORY
    run curl -s -o /dev/null -w '%{http_code}' "http://$HOST/v2/$1/manifests/1"
    [ "$output" = 404 ]
    [ "$(find "$WORK/to/data" -path "*/repositories/$1/_layers/sha256/*" -name link | wc -l)" -le 1 ]
}

@test "an image, an index and indexes in indexes arrive byte for byte" {
    for layout in single multi nested nested-8 attested artifact empty-layers; do
        push "docker://$FROM/$layout:1" "$HOST/copy/$layout:1"
        [ "$status" -eq 0 ]
        [ "$stderr" = "" ]
        [ "$(last_line)" = "$("$LAB" digest "$FROM" "$layout" 1)" ]
        [[ "$("$LAB" compare-layout "$layout" "$HOST" "copy/$layout" 1)" == *" equal" ]]
    done
    [ "$("$LAB" compare-layout nested-8 "$HOST" copy/nested-8 1)" = "16 equal" ]
}

@test "layers of several MiB pass, and skopeo's copy is the same" {
    push "docker://$FROM/large:1" "$HOST/copy/large:1"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "docker://$FROM/large:1: 6 blobs, 5.7 MiB" ]
    [ "$("$LAB" compare-archive large.tar "$HOST" copy/large 1)" = "5 layers equal" ]
    skopeo copy --quiet --all --src-tls-verify=false --dest-tls-verify=false \
        "docker://$FROM/large:1" "docker://$HOST/skopeo/large:1"
    [ "$(last_line)" = "$("$LAB" digest "$HOST" skopeo/large 1)" ]
    skopeo copy --quiet --src-tls-verify=false "docker://$HOST/copy/large:1" \
        "dir:$BATS_TEST_TMPDIR/dir"
}

@test "a digest and no tag at all name an image too" {
    digest=$("$LAB" digest "$FROM" multi 1)
    push "docker://$FROM/multi:gone@$digest" "$HOST/named:1"
    [ "$status" -eq 0 ]
    [ "$(last_line)" = "$digest" ]
    push "docker://$FROM/with/tag" "$HOST/named:2"
    [ "$status" -eq 0 ]
    [ "$(last_line)" = "$digest" ]
}

@test "what is there costs the source's manifests and two requests" {
    push "docker://$FROM/multi:1" "$HOST/again:1"
    [ "$status" -eq 0 ]
    requests "$WORK/from" >/dev/null
    requests "$WORK/to" >/dev/null
    push "docker://$FROM/multi:1" "$HOST/again:1"
    [ "$status" -eq 0 ]
    [ "${lines[1]}" = "$HOST/again:1: everything was there already" ]
    run requests "$WORK/from"
    [ "${#lines[@]}" -eq 3 ]
    [ "$(grep -c ^GET.*manifests <<<"$output")" -eq 3 ]
    run requests "$WORK/to"
    [ "${#lines[@]}" -eq 2 ]
}

@test "a new image costs the source one request a manifest and a blob" {
    requests "$WORK/from" >/dev/null
    push "docker://$FROM/multi:1" "$HOST/new:1"
    [ "$status" -eq 0 ]
    run requests "$WORK/from"
    [ "$(grep -c ^GET.*manifests <<<"$output")" -eq 3 ]
    [ "$(grep -c ^GET.*blobs <<<"$output")" -eq 6 ]
    [ "${#lines[@]}" -eq 9 ]
}

@test "within a registry blobs are mounted, and none is read or sent" {
    requests "$WORK/from" >/dev/null
    push "docker://$FROM/multi:1" "$FROM/mounted:1"
    [ "$status" -eq 0 ]
    run requests "$WORK/from"
    [ "$(grep -c '^POST /v2/mounted/blobs/uploads/?mount=.*&from=multi 201$' <<<"$output")" -eq 6 ]
    [ "$(grep -c '^GET /v2/multi/manifests/.* 200$' <<<"$output")" -eq 3 ]
    [ "$(grep -c '^HEAD /v2/mounted/manifests/.* 404$' <<<"$output")" -eq 1 ]
    [ "$(grep -c '^PUT /v2/mounted/manifests/.* 201$' <<<"$output")" -eq 3 ]
    [ "${#lines[@]}" -eq 13 ]
    [ "$("$LAB" compare-layout multi "$FROM" mounted 1)" = "9 equal" ]
}

@test "another tag of the same repository is one PUT" {
    requests "$WORK/from" >/dev/null
    push "docker://$FROM/multi:1" "$FROM/multi:2"
    [ "$status" -eq 0 ]
    run requests "$WORK/from"
    [ "${#lines[@]}" -eq 5 ]
    [ "$("$LAB" digest "$FROM" multi 2)" = "$("$LAB" digest "$FROM" multi 1)" ]
}

@test "a source that wants a password gets the one of docker login, and no other" {
    export DISPATCHER_REGISTRY_USER=robot DISPATCHER_REGISTRY_PASSWORD=canary-password
    push oci:multi "$SAFE/multi:1"
    [ "$status" -eq 0 ]
    # What the environment holds is for the target.
    push "docker://$SAFE/multi:1" "$HOST/safe:1"
    [ "$status" -eq 4 ]
    [ "${stderr_lines[0]}" = "dispatcher: image 'docker://$SAFE/multi:1': registry '$SAFE' wants \
credentials and there are none (HTTP 401)" ]
    [ "${stderr_lines[1]}" = "  hint: Log in with: docker login $SAFE." ]
    unset DISPATCHER_REGISTRY_USER DISPATCHER_REGISTRY_PASSWORD
    log_in_to "$SAFE" robot:canary-wrong
    push "docker://$SAFE/multi:1" "$HOST/safe:1"
    [ "$status" -eq 4 ]
    [[ "$output$stderr" != *canary* ]]
    log_in_to "$SAFE" robot:canary-password
    push "docker://$SAFE/multi:1" "$HOST/safe:1"
    [ "$status" -eq 0 ]
    [ "$("$LAB" compare-layout multi "$HOST" safe 1)" = "9 equal" ]
}

@test "tokens of a source are for pulling, those of a mount for both repositories" {
    log_in_to "$BEARER" robot:canary-password
    push oci:multi "$BEARER/base:1"
    [ "$status" -eq 0 ]
    : >"$WORK/bearer/asked"
    push "docker://$BEARER/base:1" "$HOST/bearer:1"
    [ "$status" -eq 0 ]
    [ "$(cat "$WORK/bearer/asked")" = "repository:base:pull" ]
    [ "$("$LAB" compare-layout multi "$HOST" bearer 1)" = "9 equal" ]
    requests "$WORK/bearer" >/dev/null
    push "docker://$BEARER/base:1" "$BEARER/mounted:1"
    [ "$status" -eq 0 ]
    [ "$(tail -n 1 "$WORK/bearer/asked")" = "repository:mounted:pull,push repository:base:pull" ]
    run requests "$WORK/bearer"
    [ "$(grep -c '^POST .*&from=base 201$' <<<"$output")" -eq 6 ]
    [ "$(grep -c '^GET .*/blobs/' <<<"$output")" -eq 0 ]
}

@test "a redirect is followed, and the credentials stay behind" {
    log_in_to "$FRONT" robot:canary-front
    echo "to $STORE" >"$WORK/front/mode"
    : >"$WORK/store/seen"
    push "docker://$FRONT/large:1" "$HOST/redirected:1"
    [ "$status" -eq 0 ]
    [ "$("$LAB" compare-archive large.tar "$HOST" redirected 1)" = "5 layers equal" ]
    [ "$(grep -c '^GET /v2/large/blobs/.* -$' "$WORK/store/seen")" -eq 2 ]
    [ "$(grep -c login "$WORK/store/seen")" -eq 0 ]
    [ "$(grep -c '^GET /v2/large/blobs/.* login$' "$WORK/front/seen")" -ge 2 ]
    [ "$(grep -c '^GET /v2/large/blobs/.* -$' "$WORK/front/seen")" -eq 0 ]
}

@test "a source that breaks in the middle or is busy is tried again" {
    log_in_to "$FRONT" robot:canary-front
    for mode in "break 2" "busy 1"; do
        "$LAB" stop "$WORK/front" # counts from the start again
        rm -r "$WORK/front"
        FRONT=localhost:$("$DISPATCHER_ROOT/tests/integration/registry_front.py" start \
            "$WORK/front" "$FROM")
        echo "$mode" >"$WORK/front/mode"
        push "docker://$FRONT/large:1" "$HOST/healed/${mode%% *}:1"
        [ "$status" -eq 0 ]
        [ "$("$LAB" compare-archive large.tar "$HOST" "healed/${mode%% *}" 1)" = "5 layers equal" ]
    done
}

@test "a source that keeps breaking ends the copy, and nothing is announced" {
    FRONT=$STORE
    echo "break 1000" >"$WORK/store/mode"
    push "docker://$FRONT/single:1" "$HOST/broken:1"
    echo pass >"$WORK/store/mode"
    [ "$status" -eq 12 ]
    [[ "${stderr_lines[0]}" == "dispatcher: push '$HOST/broken:1': PUT blob 'sha256:"*"': given up \
after 5 attempts: GET http://$FRONT/v2/single/blobs/sha256:"* ]]
    is_empty broken
}

@test "a source that lies is found out before the end, and nothing is announced" {
    for mode in lie short; do
        echo "$mode" >"$WORK/store/mode"
        push "docker://$STORE/single:1" "$HOST/lied/$mode:1"
        echo pass >"$WORK/store/mode"
        [ "$status" -eq 2 ]
        is_empty "lied/$mode"
        [[ "${stderr_lines[1]}" == "  hint: Push the image there again, or "* ]]
    done
}

@test "names are refused with the way to write them" {
    push docker://alpine "$HOST/short:1"
    [ "$status" -eq 2 ]
    [ "${stderr_lines[0]}" = "dispatcher: image source 'docker://alpine' names no registry" ]
    [ "${stderr_lines[1]}" = "  hint: There is no default one; Docker Hub's is \
docker://docker.io/library/alpine." ]
    push "docker://$FROM/multi:gone" "$HOST/short:1"
    [ "$status" -eq 2 ]
    [ "${stderr_lines[0]}" = "dispatcher: image 'docker://$FROM/multi:gone': manifest 'gone' is \
not in repository 'multi' of registry '$FROM'" ]
}
