#!/usr/bin/env bats
# --build with a real builder: buildah, without a network and without a base image. What is pushed
# is read back layer by layer.

load ../e2e/lib

setup_file() {
    needs buildah busybox skopeo
    world_template
    export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
    export CONTAINERS_STORAGE_CONF=$BATS_FILE_TMPDIR/storage.conf
    printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' \
        "$BATS_FILE_TMPDIR/graph" "$BATS_FILE_TMPDIR/run" >"$CONTAINERS_STORAGE_CONF"
    mkdir "$BATS_FILE_TMPDIR/probe"
    cp "$(command -v busybox)" "$BATS_FILE_TMPDIR/probe/busybox"
    printf 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "true"]\n' \
        >"$BATS_FILE_TMPDIR/probe/Dockerfile"
    local said
    said=$(buildah build "$BATS_FILE_TMPDIR/probe" 2>&1) ||
        skip "buildah cannot build here: $(tail -n 1 <<<"$said")"
}

setup() {
    world_make
    mkdir "$world/tmp"
    export DISPATCHER_BUILDER=buildah TMPDIR=$world/tmp
}

teardown() {
    world_end
}

# The app's Dockerfile from here on (standard input), over busybox, as a commit.
dockerfile_is() {
    cp "$(command -v busybox)" busybox
    cat >Dockerfile
    git add -A
    git commit -qm "Build it so"
    sha=$(git rev-parse HEAD)
}

spec_adds() {
    cat >>"$world/infra/appspecs/greeter.yaml"
    in_infra true
}

build_deploy() {
    run --separate-stderr timeout -k 5 120 "$DISPATCHER_BIN" deploy greeter --env staging --build "$@"
}

# Everything of the pushed image, unpacked: $pulled/config and $pulled/root with all layers.
pull() {
    pulled=$world/pulled
    mkdir -p "$pulled/root"
    skopeo copy -q --src-tls-verify=false \
        ${DISPATCHER_REGISTRY_USER:+--src-creds "$DISPATCHER_REGISTRY_USER:$DISPATCHER_REGISTRY_PASSWORD"} \
        "docker://$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web:$sha" "dir:$pulled/dir"
    local layer
    jq -r '.config.digest' "$pulled/dir/manifest.json" | sed 's/sha256://' |
        xargs -I{} cp "$pulled/dir/{}" "$pulled/config"
    for layer in $(jq -r '.layers[].digest' "$pulled/dir/manifest.json" | sed 's/sha256://'); do
        tar -xf "$pulled/dir/$layer" -C "$pulled/root"
    done
}

gone() {
    ! pgrep -f "$1"
}

nothing_is_left() {
    [ -z "$(ls -A "$world/tmp")" ] || { echo "left behind: $(ls -A "$world/tmp")"; return 1; }
}

@test "what is not in the registry is built, pushed and deployed; the second time it is there" {
    sandbox_start
    build_deploy
    expect 0
    says "✓ build web          by buildah" "  | STEP 1/2: FROM scratch" "✓ push web"
    happened "posts=1 runs=1 versions=1 labels=1 manifests=1"
    [ "$(values)" = "$sha" ]
    pull
    [ "$(cat "$pulled/root/hello.txt")" = "Hello, world" ]
    nothing_is_left
    build_deploy
    expect 0
    says "- build web          present" "- push web           present as sha256:"
    says_not "STEP 1/2"
    happened "posts=2 runs=2 versions=1 labels=1 manifests=1"
}

@test "platform, arguments and rights arrive in the image" {
    sandbox_start
    dockerfile_is <<'END'
FROM scratch
COPY busybox /bin/busybox
WORKDIR /made/here
ARG VERSION
ARG NOTE
LABEL version=$VERSION note=$NOTE
HEALTHCHECK CMD ["/bin/busybox", "true"]
END
    spec_adds <<'END'
deploy:
  build: {platform: linux/amd64, args: {VERSION: "{version}", NOTE: "a, 'b' --c"}}
END
    build_deploy
    expect 0
    pull
    [ "$(jq -r '.config.Labels.version, .config.Labels.note, .architecture' "$pulled/config")" = \
        "$sha"$'\n'"a, 'b' --c"$'\namd64' ]
    jq -e '.config.Healthcheck' "$pulled/config" >/dev/null
    [ "$(stat -c %a "$pulled/root/made/here")" = 755 ] # not by our own umask
}

@test "a secret is in the build, and in no layer, no output, no journal" {
    sandbox_start
    dockerfile_is <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN --mount=type=secret,id=token --mount=type=secret,id=npmrc ["/bin/busybox", "sh", "-c", "cd /run/secrets; b=/bin/busybox; $b cat token npmrc; $b cat npmrc >&2; $b sha256sum token npmrc > /sums"]
END
    spec_adds <<'END'
deploy:
  build: {secrets: {token: "env:BUILD_TOKEN", npmrc: "file:../npmrc"}}
END
    export BUILD_TOKEN=canary-of-the-environment
    printf '//registry.example.org/:_authToken=canary-of-the-file\n' >"$world/npmrc"
    build_deploy --json
    expect 0
    pull
    # It was there…
    [ "$(cut -d' ' -f1 "$pulled/root/sums")" = "$(printf %s "$BUILD_TOKEN" | sha256sum | cut -d' ' -f1)
$(sha256sum <"$world/npmrc" | cut -d' ' -f1)" ]
    says "***"
    # … and is nowhere.
    says_not canary
    ! grep -rqa canary "$pulled" "$DISPATCHER_STATE"* "$world/data" || { echo "found"; false; }
    nothing_is_left
    "$DISPATCHER_BIN" history --json | grep -vq canary
    python3 "$DISPATCHER_ROOT/tests/e2e/check_events.py" "$DISPATCHER_ROOT/docs/events.schema.json" \
        <(printf '%s\n' "$output")
    [ "$(jq -rs '[.[] | select(.event == "output")][0] | .step' <<<"$output")" = "build web" ]
}

@test "a secret that is not there stops before anything is built" {
    sandbox_start
    spec_adds <<'END'
deploy:
  build: {secrets: {token: "env:BUILD_TOKEN"}}
END
    build_deploy
    expect 4
    [ "$stderr" = "dispatcher: deploy 'greeter' to 'staging': build 'web': build secret 'token': variable 'BUILD_TOKEN' is not set
  hint: Set it where dispatcher runs; 'deploy.build.secrets' asks for it." ]
    nothing_happened
}

@test "a build that fails says why, and nothing has happened" {
    sandbox_start
    dockerfile_is <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "echo '::error::no'; echo '##[error]no'; echo no such luck >&2; exit 7"]
END
    GITHUB_ACTIONS=true build_deploy
    expect 2
    says "build 'web': 'buildah build' ended with status 7: no such luck | subprocess exited with status 7 | " \
        "exit status 7" "  | ::error::no" "  | ## [error]no"
    ! grep -E '^[[:space:]]*::error::no' <<<"$output"
    nothing_happened
    nothing_is_left
}

@test "interrupted in the build: all of it ends, and nothing has happened" {
    sandbox_start
    dockerfile_is <<'END'
FROM scratch
COPY busybox /bin/busybox
ARG NAP=1000.25
RUN ["/bin/busybox", "sh", "-c", "exec /bin/busybox sleep $NAP"]
END
    env --default-signal=INT "$DISPATCHER_BIN" deploy greeter --env staging --build \
        >"$world/out" 2>"$world/err" 3>&- &
    deploying=$!
    until_true 60 pgrep -f '^/bin/busybox sleep 1000.25'
    kill -INT "$deploying"
    deploy_end
    expect 130
    says "Nothing was triggered."
    nothing_happened
    nothing_is_left
    ! pgrep -f '^/bin/busybox sleep 1000.25'
}

@test "killed in the build: resume builds again and deploys, once" {
    sandbox_start
    dockerfile_is <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "exec /bin/busybox sleep 8.25"]
END
    setsid "$DISPATCHER_BIN" deploy greeter --env staging --build \
        >"$world/out" 2>"$world/err" 3>&- &
    deploying=$!
    until_true 60 pgrep -f '^/bin/busybox sleep 8.25'
    kill -KILL "$deploying"
    deploy_end
    expect 137
    until_true 6 gone '^/bin/busybox sleep 8.25'
    dispatcher resume "$(id_of_last)"
    expect 0
    says "✓ build web          by buildah"
    happened "posts=1 runs=1 versions=1 labels=1 manifests=1"
}

@test "what is resumed is the commit that was planned" {
    sandbox_start
    dockerfile_is <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "exec /bin/busybox sleep 3.75"]
END
    setsid "$DISPATCHER_BIN" deploy greeter --env staging --build \
        >"$world/out" 2>"$world/err" 3>&- &
    deploying=$!
    until_true 60 pgrep -f '^/bin/busybox sleep 3.75'
    kill -KILL "$deploying"
    deploy_end
    git commit -q --allow-empty -m "Another"
    dispatcher resume "$(id_of_last)"
    expect 6
    says "build 'web': checkout '$world/app' is at $(git rev-parse --short=12 HEAD) now, not at ${sha:0:12}"
    nothing_happened
}

@test "an app that is a part of its repository takes its context from above, not from outside" {
    sandbox_start
    mkdir -p parts/greeter
    mv Dockerfile parts/greeter/Dockerfile
    git add -A
    git commit -qm "One of several"
    sha=$(git rev-parse HEAD)
    spec() {
        sed -i '/context:/d' "$world/infra/appspecs/greeter.yaml"
        spec_adds <<<"    context: $1"
    }
    spec ../..
    build_deploy --checkout parts/greeter
    expect 0
    pull
    [ "$(cat "$pulled/root/hello.txt")" = "Hello, world" ]
    git commit -q --allow-empty -m "Another"
    spec ../../..
    build_deploy --checkout parts/greeter
    expect 2
    says "build 'web': build context '../../..' leads out of the work tree"
    ln -s / parts/greeter/all
    git add -A
    git commit -qm "A way out"
    spec all/etc
    build_deploy --checkout parts/greeter
    expect 2
    says "build 'web': build context 'all/etc' leads out of the work tree"
}
