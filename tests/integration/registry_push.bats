#!/usr/bin/env bats
# `dispatcher push` against the docker-registry package, judged by skopeo and by registry_lab.py:
# what arrives is what was given, byte for byte.

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
    HOST=localhost:$("$LAB" start "$WORK/open")
    SAFE=localhost:$("$LAB" start "$WORK/safe" robot canary-password)
    BEARER=localhost:$("$LAB" start-bearer "$WORK/bearer" robot canary-password)
    export HOST SAFE BEARER
}

teardown_file() {
    for registry in open safe bearer; do
        [ ! -e "$WORK/$registry/pids" ] || "$LAB" stop "$WORK/$registry"
    done
}

setup() {
    cd "$WORK/images" || return 1
}

push() {
    run --separate-stderr "$DISPATCHER_BIN" push "$@"
    printf 'push %s: %s\n%s\n%s\n' "$*" "$status" "$output" "$stderr" # shown when a test fails
}

# Prints a digest in the middle of a text the way the tests expect it.
last_line() {
    printf '%s\n' "${lines[${#lines[@]} - 1]}"
}

pulled_by_skopeo_equals() { # LAYOUT REFERENCE
    rm -rf "$BATS_TEST_TMPDIR/pulled"
    skopeo copy --quiet --all --preserve-digests --src-tls-verify=false "docker://$2" \
        "oci:$BATS_TEST_TMPDIR/pulled:x"
    diff -r "$1/blobs" "$BATS_TEST_TMPDIR/pulled/blobs"
}

@test "one image of a layout arrives byte for byte" {
    push oci:single "$HOST/single:1"
    [ "$status" -eq 0 ]
    [ "$stderr" = "" ]
    [ "${lines[0]}" = "oci:single, linux/amd64: 3 blobs, 20.3 KiB" ]
    [ "$(grep -c '  sent in ' <<<"$output")" -eq 3 ]
    [[ "$output" == *"pushed $HOST/single:1: 20.3 KiB in "* ]]
    [ "$(last_line)" = "$("$LAB" digest "$HOST" single 1)" ]
    [ "$("$LAB" compare-layout single "$HOST" single 1)" = "4 equal" ]
    pulled_by_skopeo_equals single "$HOST/single:1"
}

@test "an index of several platforms arrives byte for byte" {
    push oci:multi "$HOST/multi:1"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "oci:multi, linux/amd64, linux/arm64/v8: 6 blobs, 40.6 KiB" ]
    [ "$("$LAB" compare-layout multi "$HOST" multi 1)" = "9 equal" ]
    pulled_by_skopeo_equals multi "$HOST/multi:1"
}

@test "an index in an index arrives byte for byte" {
    push oci:nested "$HOST/nested:1"
    [ "$status" -eq 0 ]
    [ "$("$LAB" compare-layout nested "$HOST" nested 1)" = "10 equal" ]
    push oci:nested-8 "$HOST/nested:8"
    [ "$status" -eq 0 ]
    [ "$("$LAB" compare-layout nested-8 "$HOST" nested 8)" = "16 equal" ]
}

@test "an archive of a layout is the same image as the layout" {
    push oci:single "$HOST/archive:layout"
    [ "$status" -eq 0 ]
    for archive in single dot-slash gnu ustar hardlink symlink; do
        push "oci-archive:$archive.tar" "$HOST/archive:$archive"
        [ "$status" -eq 0 ]
        [ "$("$LAB" compare-layout single "$HOST" archive "$archive")" = "4 equal" ]
    done
}

@test "what skopeo writes is read" {
    skopeo copy --quiet --all --preserve-digests oci:multi "oci-archive:$BATS_TEST_TMPDIR/skopeo.tar"
    push "oci-archive:$BATS_TEST_TMPDIR/skopeo.tar" "$HOST/skopeo:multi"
    [ "$status" -eq 0 ]
    [ "$("$LAB" compare-layout multi "$HOST" skopeo multi)" = "9 equal" ]
    skopeo copy --quiet oci:single "docker-archive:$BATS_TEST_TMPDIR/docker.tar:app:1"
    push "docker-archive:$BATS_TEST_TMPDIR/docker.tar" "$HOST/skopeo:docker"
    [ "$status" -eq 0 ]
    [ "$("$LAB" compare-archive "$BATS_TEST_TMPDIR/docker.tar" "$HOST" skopeo docker)" = \
        "2 layers equal" ]
}

@test "a docker archive of each shape arrives, and all shapes are one image" {
    local first=
    for shape in old new podman links; do
        push "docker-archive:docker-$shape.tar" "$HOST/docker:$shape"
        [ "$status" -eq 0 ]
        [ "$("$LAB" compare-archive "docker-$shape.tar" "$HOST" docker "$shape")" = "2 layers equal" ]
        first=${first:-$(last_line)}
        [ "$(last_line)" = "$first" ]
        skopeo copy --quiet --src-tls-verify=false "docker://$HOST/docker:$shape" \
            "docker-archive:$BATS_TEST_TMPDIR/back-$shape.tar:app:1"
    done
}

@test "layers of several blocks arrive, whatever they hold" {
    push docker-archive:large.tar "$HOST/large:1"
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "docker-archive:large.tar, linux/arm64: 6 blobs, "* ]]
    [ "$("$LAB" compare-archive large.tar "$HOST" large 1)" = "5 layers equal" ]
    skopeo copy --quiet --src-tls-verify=false "docker://$HOST/large:1" "dir:$BATS_TEST_TMPDIR/dir"
}

@test "empty layers that repeat are sent once" {
    push oci:empty-layers "$HOST/empty:oci"
    [ "$status" -eq 0 ]
    [ "$(grep -c '  sent in ' <<<"$output")" -eq 3 ]
    [ "$("$LAB" compare-layout empty-layers "$HOST" empty oci)" = "4 equal" ]
    push docker-archive:docker-empty-layers.tar "$HOST/empty:docker"
    [ "$status" -eq 0 ]
    [ "$("$LAB" compare-archive docker-empty-layers.tar "$HOST" empty docker)" = "3 layers equal" ]
    push oci:no-layers "$HOST/empty:none"
    [ "$status" -eq 0 ]
}

@test "what is there already costs two requests, under a new tag, too" {
    push oci:multi "$HOST/again:1"
    [ "$status" -eq 0 ]
    push --json oci:multi "$HOST/again:1"
    [ "$status" -eq 0 ]
    [ "$(last_line | jq -c '[.event, .already_there, .blobs_sent, .bytes_sent, .requests]')" = \
        '["pushed",true,0,0,2]' ]
    push --json oci:multi "$HOST/again:2"
    [ "$(last_line | jq -c '[.event, .already_there, .blobs_sent, .bytes_sent, .requests]')" = \
        '["pushed",true,0,0,2]' ]
    [ "$("$LAB" compare-layout multi "$HOST" again 2)" = "9 equal" ]
    push oci:multi "$HOST/again:1"
    [ "${lines[1]}" = "$HOST/again:1: everything was there already" ]
}

@test "only what is missing is sent, and a tag moves" {
    push oci:two:1.0 "$HOST/moves:latest"
    [ "$status" -eq 0 ]
    push --json oci:two:2.0 "$HOST/moves:latest"
    [ "$status" -eq 0 ]
    [ "$(last_line | jq -r .digest)" = "$("$LAB" digest "$HOST" moves latest)" ]
    push --json oci:nested "$HOST/moves:nested"
    push --json oci:multi "$HOST/moves:multi"
    push --json oci-archive:multi.tar "$HOST/other:multi"
    [ "$(last_line | jq -c '[.blobs_sent, .blobs_present]')" = '[6,0]' ]
}

@test "artifacts and attestations go along" {
    push oci:attested "$HOST/attested:1"
    [ "$status" -eq 0 ]
    [ "$("$LAB" compare-layout attested "$HOST" attested 1)" = "8 equal" ]
    push oci:artifact "$HOST/attested:artifact"
    [ "$status" -eq 0 ]
}

@test "the events name the image, each blob, each manifest, and the result" {
    push --json oci:multi "$HOST/events:1"
    [ "$status" -eq 0 ]
    [ "$(jq -r .event <<<"$output" | sort | uniq -c | xargs)" = "6 blob 1 image 3 manifest 1 pushed" ]
    [ "$(jq -s '[.[] | select(.event == "blob") | .bytes] | add' <<<"$output")" -eq 41579 ]
    [ "$(jq -r 'select(.event == "image") | .platforms' <<<"$output")" = \
        "linux/amd64, linux/arm64/v8" ]
}

@test "a registry that wants a password gets the one of docker login" {
    push oci:single "$SAFE/single:1"
    [ "$status" -eq 4 ]
    [ "${stderr_lines[0]}" = "dispatcher: push '$SAFE/single:1': registry '$SAFE' wants \
credentials and there are none (HTTP 401)" ]
    [ "${stderr_lines[1]}" = "  hint: Log in with: docker login $SAFE." ]
    printf '{"auths":{"%s":{"auth":"%s"}}}' "$SAFE" "$(printf 'robot:canary-password' | base64)" \
        >"$DOCKER_CONFIG/config.json"
    push oci:multi "$SAFE/multi:1"
    [ "$status" -eq 0 ]
    skopeo inspect --tls-verify=false --raw --creds robot:canary-password "docker://$SAFE/multi:1"
    printf '{"auths":{"%s":{"auth":"%s"}}}' "$SAFE" "$(printf 'robot:canary-wrong' | base64)" \
        >"$DOCKER_CONFIG/config.json"
    push oci:single "$SAFE/single:1"
    [ "$status" -eq 4 ]
    [ "${stderr_lines[0]}" = "dispatcher: push '$SAFE/single:1': registry '$SAFE' refused the \
credentials of user 'robot' (HTTP 401)" ]
    [[ "$output$stderr" != *canary* ]]
    rm "$DOCKER_CONFIG/config.json"
    DISPATCHER_REGISTRY_USER=robot DISPATCHER_REGISTRY_PASSWORD=canary-password \
        push oci:single "$SAFE/single:1"
    [ "$status" -eq 0 ]
}

@test "a registry with a token service gets tokens for this repository" {
    export DISPATCHER_REGISTRY_USER=robot DISPATCHER_REGISTRY_PASSWORD=canary-password
    push --json oci:multi "$BEARER/team/app:1"
    [ "$status" -eq 0 ]
    [ "$(cat "$WORK/bearer/asked")" = "repository:team/app:pull,push" ]
    # The challenge and the token; the index and the base layer asked for; six blobs, three manifests.
    [ "$(last_line | jq .requests)" -eq $((2 + 2 + 6 * 2 + 3)) ]
    push oci:multi "$BEARER/team/app:1"
    [ "$status" -eq 0 ]
    [ "${lines[1]}" = "$BEARER/team/app:1: everything was there already" ]
    DISPATCHER_REGISTRY_PASSWORD=canary-wrong push oci:single "$BEARER/team/app:2"
    [ "$status" -eq 4 ]
    [ "${stderr_lines[0]}" = "dispatcher: push '$BEARER/team/app:2': registry '$BEARER' refused \
the credentials of user 'robot' (HTTP 401)" ]
    [[ "$output$stderr" != *canary* ]]
}

@test "tokens that do not last are got again on the way" {
    export DISPATCHER_REGISTRY_USER=robot DISPATCHER_REGISTRY_PASSWORD=canary-password
    echo 1 >"$WORK/bearer/life"
    : >"$WORK/bearer/asked"
    push docker-archive:large.tar "$BEARER/team/large:1"
    [ "$status" -eq 0 ]
    [ "$(sort -u "$WORK/bearer/asked")" = "repository:team/large:pull,push" ]
    echo 300 >"$WORK/bearer/life"
}

@test "a corrupt layer is never completed" {
    push oci:layer-corrupt "$HOST/corrupt:1"
    [ "$status" -eq 2 ]
    [[ "${stderr_lines[0]}" == "dispatcher: push '$HOST/corrupt:1': blob 'sha256:"*"' is corrupt: its \
content has digest 'sha256:"* ]]
    run curl -s -o /dev/null -w '%{http_code}' "http://$HOST/v2/corrupt/manifests/1"
    [ "$output" = 404 ]
}

@test "what is wrong with the command line or the image is said before anything is sent" {
    push oci:single "$HOST/single"
    [ "$status" -eq 2 ]
    [ "${stderr_lines[0]}" = "dispatcher: image reference '$HOST/single' names no tag" ]
    push containers-storage:app:1 "$HOST/single:1"
    [ "$status" -eq 2 ]
    [ "${stderr_lines[0]}" = "dispatcher: image source 'containers-storage:app:1' cannot be read directly" ]
    push oci-archive:gzip.tar "$HOST/gzip:1"
    [ "$status" -eq 2 ]
    [ "${stderr_lines[1]}" = "  hint: Unpack it first: gzip -d < FILE > image.tar." ]
    push oci:single "localhost:1/single:1"
    [ "$status" -eq 12 ]
    [[ "${stderr_lines[0]}" == "dispatcher: push 'localhost:1/single:1': "*"given up after 5 \
attempts: HEAD http://localhost:1/v2/single/manifests/sha256:"* ]]
}
