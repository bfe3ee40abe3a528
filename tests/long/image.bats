#!/usr/bin/env bats
# The service's image, made by scripts/image on a Debian of this mirror's packages, and run as its
# documents say: as nobody in particular, with a root that cannot be written to.

load ../integration/service_lab

limits=(--ulimit "nofile=4096:4096" --ulimit "nproc=4096:4096") # podman's own are more than a runner may give

setup_file() {
    export CONTAINERS_STORAGE_CONF=$BATS_FILE_TMPDIR/storage.conf BUILDAH_ISOLATION=chroot
    export image=localhost/dispatcher:test
    printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/root"\nrunroot = "%s/run"\n' \
        "$BATS_FILE_TMPDIR" "$BATS_FILE_TMPDIR" >"$CONTAINERS_STORAGE_CONF"
    [ "$(id -u)" -eq 0 ] || return 0
    local tool
    for tool in buildah podman mmdebstrap; do command -v "$tool" >/dev/null || return 0; done
    "${DISPATCHER_ROOT:-$BATS_TEST_DIRNAME/../..}/scripts/image" --own-base --tag "$image" \
        >"$BATS_FILE_TMPDIR/log" 2>&1 3>&- || { tail -n 40 "$BATS_FILE_TMPDIR/log"; return 1; }
}

teardown_file() {
    podman rm --all --force >/dev/null 2>&1 || true
}

setup() {
    need buildah podman mmdebstrap curl jq git openssl readelf python3
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    container=
}

teardown() {
    [ -z "$container" ] || podman rm --force --time 0 "$container" >/dev/null 2>&1 || true
    local pid
    for pid in ${sandbox_pid:-}; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

# inside COMMAND...: in the image, beside the program.
inside() {
    podman run --rm --network none "${limits[@]}" --entrypoint "$1" "$image" "${@:2}"
}

packages() {
    podman run --rm --network none "${limits[@]}" --user 0 --entrypoint dpkg-query "$1" \
        -W -f '${Package}\n' | sort
}

@test "the image says how it is run" {
    podman image inspect "$image" | jq -c '.[0].Config |
        [.User, .Entrypoint, .Cmd, .StopSignal, (.ExposedPorts | keys), (.Volumes | keys)]' \
        >"$BATS_TEST_TMPDIR/config"
    diff "$BATS_TEST_TMPDIR/config" - <<'J'
["65532:65532",["/usr/bin/dispatcher"],["serve","--config","/etc/dispatcher/dispatcher.yaml","--listen","0.0.0.0:8080"],"SIGTERM",["8080/tcp"],["/var/cache/dispatcher","/var/lib/dispatcher"]]
J
    run podman run --rm --network none "${limits[@]}" "$image" version
    [ "$status" -eq 0 ]
    [[ $output == "dispatcher "* ]]
}

@test "it has what the program needs and nothing that builds" {
    local name
    # Everything that was added to the base: a library that the program is linked with or loads, what
    # such a library needs, the authorities.
    packages "$image" >"$BATS_TEST_TMPDIR/packages"
    packages localhost/debian:12-slim | comm -13 - "$BATS_TEST_TMPDIR/packages" >"$BATS_TEST_TMPDIR/added"
    cat "$BATS_TEST_TMPDIR/added"
    [ "$(grep -vc '^lib' "$BATS_TEST_TMPDIR/added")" -eq 2 ]
    grep -qx ca-certificates "$BATS_TEST_TMPDIR/added"
    grep -qx openssl "$BATS_TEST_TMPDIR/added" # of ca-certificates
    run ! grep -E -- '-dev$|^(gcc|cpp|binutils|make|cmake|ninja-build|git|perl|python3|libarchive13|libicu72)$' \
        "$BATS_TEST_TMPDIR/packages"
    for name in cc gcc ld as make cmake ninja git pkg-config python3 curl wget; do
        run ! inside sh -c "command -v $name"
    done
    # What it is linked with is there, and so is what it opens by name (decision 13).
    run ! inside sh -c "ldd /usr/bin/dispatcher | grep 'not found'"
    inside cat /usr/bin/dispatcher >"$BATS_TEST_TMPDIR/dispatcher"
    run -0 grep -aoE 'lib(git2|sqlite3|pq|microhttpd|archive)\.so\.[0-9]+(\.[0-9]+)*' "$BATS_TEST_TMPDIR/dispatcher"
    [ "$(sort -u <<<"$output" | wc -l)" -eq 5 ]
    for name in $(sort -u <<<"$output" | grep -v libarchive); do
        inside sh -c "ls /usr/lib/*/$name"
    done
    [ "$(inside grep -c 'BEGIN CERTIFICATE' /etc/ssl/certs/ca-certificates.crt)" -gt 100 ]
    inside test -e /usr/share/zoneinfo/Europe/Berlin
    # Its symbols and the lists of packages are not in it.
    run -0 readelf -S --wide "$BATS_TEST_TMPDIR/dispatcher"
    [[ $output == *.rodata* && $output != *.debug_* ]]
    [ -z "$(inside find /var/lib/apt/lists /var/cache/apt /src -type f 2>/dev/null)" ]
}

@test "it is small" {
    local whole base
    whole=$(podman image inspect "$image" | jq '.[0].Size')
    base=$(podman image inspect localhost/debian:12-slim | jq '.[0].Size')
    echo "# image $((whole / 1000000)) MB, of these $(((whole - base) / 1000000)) MB beside Debian" >&3
    [ $((whole - base)) -lt 30000000 ]
}

# container_start [PODMAN-OPTION]...: serves what $world holds; sets $url and $container.
container_start() {
    local port tries=0
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    container=$(podman run --detach --network host "${limits[@]}" --read-only --read-only-tmpfs=false \
        --cap-drop all --security-opt no-new-privileges \
        -v "$world/etc:/etc/dispatcher:ro" -v "$world/infra:/infra:ro" "$@" "$image" \
        serve --config /etc/dispatcher/dispatcher.yaml --listen "127.0.0.1:$port")
    url=http://127.0.0.1:$port
    until curl -sf "$url/readyz" >/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -ge 200 ] || [ "$(podman inspect -f '{{.State.Running}}' "$container")" != true ]; then
            curl -s "$url/readyz" || true
            podman logs "$container"
            return 1
        fi
        sleep 0.1
    done
}

image_world() {
    service_world
    mkdir "$world/etc"
    cp "$DEPLOYMENT_APP_KEY" "$world/etc/app-key.pem"
    printf '%s' "$hook_secret" >"$world/etc/webhook"
    service_config "
        s#^github: .*#github: {api: '$GITHUB_API_URL', app_id: '$DEPLOYMENT_APP_ID', app_key: 'file:/etc/dispatcher/app-key.pem'}#
        s#sqlite:.*state.db#sqlite:/var/lib/dispatcher/state.db#
        s#webhook_secrets: .*#webhook_secrets: ['file:/etc/dispatcher/webhook']#
        /slack_signing_secret/d
        s#specs: .*#specs: /infra#"
    mv "$world/serve.yaml" "$world/etc/dispatcher.yaml"
    chmod -R a+rX "$world/etc" "$world/infra"
}

@test "it serves with a read-only root, as nobody, and ends when it is told" {
    image_world
    container_start
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$url/healthz")" = 200 ]
    [ "$(curl -s -o "$BATS_TEST_TMPDIR/ready" -w '%{http_code}' "$url/readyz")" = 200 ]
    jq -e . "$BATS_TEST_TMPDIR/ready"
    # Of the process itself: nobody's ids, no capability, a root that is not to be written to.
    local pid
    pid=$(podman inspect -f '{{.State.Pid}}' "$container")
    [ "$(awk '$1 == "Uid:" || $1 == "Gid:" {print $2, $3, $4, $5}' "/proc/$pid/status" | sort -u)" = "65532 65532 65532 65532" ]
    grep -q '^CapEff:[[:space:]]*0000000000000000$' "/proc/$pid/status"
    grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$pid/status"
    [[ ,$(awk '$5 == "/" {print $6}' "/proc/$pid/mountinfo"), == *,ro,* ]]
    # The journal lies where its volume is; the other one, for specs that come by git, is its own, too.
    [ -s "/proc/$pid/root/var/lib/dispatcher/state.db" ]
    [ "$(stat -c %u:%a "/proc/$pid/root/var/cache/dispatcher")" = 65532:700 ]
    grep -q ' /var/cache/dispatcher rw' "/proc/$pid/mountinfo"
    # It does its work: a job's deployment is accepted, and a metric is there for each that is asked for.
    token=$(job_token)
    ask_json POST /api/v1/explain '{"app": "shop", "env": "staging"}'
    assert_code 200
    token=
    ask GET /metrics
    assert_code 200
    local name root=${DISPATCHER_ROOT:-$BATS_TEST_DIRNAME/../..}
    for name in $(grep -oh 'dispatcher_[a-z_]*' "$root"/docs/operations/{alerts.yaml,grafana-dashboard.json} | sort -u); do
        grep -qE "^(# TYPE )?$name(\{| )" <<<"$body" || { echo "no metric '$name' is served"; return 1; }
    done
    # Ten seconds, and its own code: not podman's 137.
    podman kill --signal TERM "$container"
    run -0 timeout 10 podman wait "$container"
    [ "$output" = 0 ]
    podman logs "$container" 2>&1 | grep -q '"stopping"'
}

@test "what was accepted is there when the next container takes the volume" {
    image_world
    podman volume create state >/dev/null
    container_start -v state:/var/lib/dispatcher
    token=$(person_token monalisa)
    ask_json POST /api/v1/locks '{"scope": "organisation", "level": "lock", "reason": "test"}'
    assert_code 201
    podman kill --signal TERM "$container"
    [ "$(timeout 10 podman wait "$container")" = 0 ]
    podman rm "$container" >/dev/null
    container_start -v state:/var/lib/dispatcher
    ask GET /api/v1/locks
    assert_code 200
    [ "$(jq -r '.locks[0].reason' <<<"$body")" = test ]
    podman kill --signal TERM "$container"
    [ "$(timeout 10 podman wait "$container")" = 0 ]
}
