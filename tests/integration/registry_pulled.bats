#!/usr/bin/env bats
# Compressed layers in the hands of others: images pushed with each kind of compression, in layers
# of several gzip members or zstd frames, are pulled by skopeo and podman, and what comes out is what
# was given.

bats_require_minimum_version 1.5.0

setup_file() {
    for tool in docker-registry skopeo jq zstd; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
    export LAB=$DISPATCHER_ROOT/tests/integration/registry_lab.py
    export WORK=$BATS_FILE_TMPDIR
    export HOME=$WORK/home DOCKER_CONFIG=$WORK/docker
    mkdir -p "$HOME" "$DOCKER_CONFIG"
    "$DISPATCHER_ROOT/tests/integration/fault_registry.py" images "$WORK/images"
    HOST=localhost:$("$LAB" start "$WORK/open")
    export HOST
    cd "$WORK/images" || return 1
    mkdir files && tar -xf layers.tar -C files && cat files/layer*.tar >/dev/null
    mkdir root
    for layer in 0 1 2 3; do tar -xf files/layer$layer.tar -C root; done
    for kind in fast small zstd; do
        "$DISPATCHER_BIN" push --compression $kind docker-archive:layers.tar "$HOST/pulled/$kind:1"
    done
}

teardown_file() {
    [ ! -e "$WORK/open/pids" ] || "$LAB" stop "$WORK/open"
}

setup() {
    cd "$WORK/images" || return 1
}

# The layers as they were given, by the digests that the configuration names.
diff_ids() {
    jq -r '.rootfs.diff_ids[]' files/config.json
}

# The digests of the layers of a "dir:" of skopeo, unpacked.
unpacked() { # DIRECTORY
    local digest
    for digest in $(jq -r '.layers[].digest' "$1/manifest.json"); do
        case $(jq -r --arg digest "$digest" \
            '.layers[] | select(.digest == $digest).mediaType' "$1/manifest.json" | head -n 1) in
        *zstd) zstd -dcq "$1/${digest#sha256:}" ;;
        *) gzip -dc "$1/${digest#sha256:}" ;;
        esac | sha256sum | sed 's/^/sha256:/;s/ .*//'
    done
}

pulled_by_skopeo() { # KIND
    skopeo copy --quiet --src-tls-verify=false "docker://$HOST/pulled/$1:1" \
        "dir:$BATS_TEST_TMPDIR/pulled"
    [ "$(unpacked "$BATS_TEST_TMPDIR/pulled")" = "$(diff_ids)" ]
}

in_podman() {
    env -u DOCKER_CONFIG podman --root "$WORK/podman" --runroot "$WORK/podman-run" --storage-driver vfs \
        --events-backend none --cgroup-manager cgroupfs "$@"
}

# podman checks each diff_id while it unpacks; the files are compared besides.
pulled_by_podman() { # KIND
    command -v podman >/dev/null || skip "podman is not installed"
    [ "$(id -u)" -eq 0 ] || skip "podman's store needs root here"
    in_podman pull --quiet --tls-verify=false "$HOST/pulled/$1:1"
    [ "$(in_podman image inspect "$HOST/pulled/$1:1" --format '{{json .RootFS.Layers}}' |
        jq -r '.[]')" = "$(diff_ids)" ]
    local mount
    mount=$(in_podman image mount "$HOST/pulled/$1:1")
    diff -r root "$mount"
    in_podman image unmount "$HOST/pulled/$1:1"
    in_podman rmi --force "$HOST/pulled/$1:1"
}

@test "the layers have several members, as they are meant to" {
    skopeo inspect --raw --tls-verify=false "docker://$HOST/pulled/fast:1" >"$BATS_TEST_TMPDIR/fast"
    skopeo inspect --raw --tls-verify=false "docker://$HOST/pulled/zstd:1" >"$BATS_TEST_TMPDIR/zstd"
    [ "$(jq -r '.layers[].mediaType' "$BATS_TEST_TMPDIR/fast" | sort -u)" = \
        application/vnd.docker.image.rootfs.diff.tar.gzip ]
    [ "$(jq -r '.layers[].mediaType' "$BATS_TEST_TMPDIR/zstd" | sort -u)" = \
        application/vnd.oci.image.layer.v1.tar+zstd ]
    skopeo copy --quiet --src-tls-verify=false "docker://$HOST/pulled/fast:1" \
        "dir:$BATS_TEST_TMPDIR/pulled"
    python3 - "$BATS_TEST_TMPDIR/pulled" <<'EOF'
import json, sys, zlib
layers = json.load(open(sys.argv[1] + "/manifest.json"))["layers"]
data = open(sys.argv[1] + "/" + layers[0]["digest"][7:], "rb").read()
members = 0
while data:
    member = zlib.decompressobj(31)
    member.decompress(data)
    data = member.unused_data
    members += 1
sys.exit(members != 4) # 3 MiB and a tar's ends
EOF
}

@test "skopeo gets the layers that were compressed fast" {
    pulled_by_skopeo fast
}

@test "skopeo gets the layers that were compressed small" {
    pulled_by_skopeo small
}

@test "skopeo gets the layers that were compressed with zstd" {
    pulled_by_skopeo zstd
}

@test "podman unpacks the layers that were compressed fast" {
    pulled_by_podman fast
}

@test "podman unpacks the layers that were compressed small" {
    pulled_by_podman small
}

@test "podman unpacks the layers that were compressed with zstd" {
    pulled_by_podman zstd
}

@test "the same layers become the same bytes on the next push" {
    "$DISPATCHER_BIN" push --compression small docker-archive:layers.tar "$HOST/again:1" >/dev/null
    skopeo inspect --raw --tls-verify=false "docker://$HOST/again:1" >"$BATS_TEST_TMPDIR/again"
    skopeo inspect --raw --tls-verify=false "docker://$HOST/pulled/small:1" | cmp - "$BATS_TEST_TMPDIR/again"
}
