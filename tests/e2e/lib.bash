# What the end-to-end and the fault stories share: a world of its own for each test (app repository,
# infra repository, image, home), the servers around it, and counting effects at their end.
#
#     setup_file() { world_template; }
#     setup() { world_make; sandbox_start --queue-delay 1s; }
#     teardown() { world_end; }
#
# Everything that is started ends with its test: by world_end, or with the test's shell.
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bats, and for the tests

bats_require_minimum_version 1.5.0
: "${DISPATCHER_ROOT:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
: "${DISPATCHER_BUILD:=$DISPATCHER_ROOT/build/dev}"
: "${DISPATCHER_BIN:=$DISPATCHER_BUILD/bin/dispatcher}"
: "${DISPATCHER_SHARED:=$DISPATCHER_ROOT/../shared}"
export DISPATCHER_ROOT DISPATCHER_BUILD DISPATCHER_BIN DISPATCHER_SHARED
servers=()

# needs TOOL...: skips the test (or, in setup_file, the file) without one of them.
needs() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
}

# --- the world ---------------------------------------------------------------------------------

# In setup_file: what all tests of a file copy.
world_template() {
    needs git jq curl setsid setpriv
    "$DISPATCHER_ROOT/scripts/demo-world" "$BATS_FILE_TMPDIR/template" >/dev/null
    # The stories' own infra side: one step, which does what the story says.
    cp "$DISPATCHER_ROOT/tests/e2e/infra-workflow.yaml" \
        "$BATS_FILE_TMPDIR/template/infra/.github/workflows/deploy-app.yaml"
    mkdir "$BATS_FILE_TMPDIR/template/infra/bin"
    printf '#!/usr/bin/env bash\necho "rolling out $1 to $2"\n' \
        >"$BATS_FILE_TMPDIR/template/infra/bin/roll-out"
    chmod +x "$BATS_FILE_TMPDIR/template/infra/bin/roll-out"
    git -C "$BATS_FILE_TMPDIR/template/infra" add -A
    git -C "$BATS_FILE_TMPDIR/template/infra" commit -qm "Roll out quickly"
}

# Nothing of the caller's environment reaches a story, and nobody's own files are touched.
clean_environment() {
    local name
    while read -r name; do
        case $name in
            DISPATCHER_ROOT | DISPATCHER_BUILD | DISPATCHER_BIN | DISPATCHER_SHARED | \
                DISPATCHER_LONG) ;;
            AWS_* | VAULT_* | GITHUB_* | GH_* | ACTIONS_* | RUNNER_* | DEPLOYMENT_* | DISPATCHER_* | \
                XDG_* | *_PROXY | *_proxy | SSL_CERT_* | DOCKER_* | CI | NO_COLOR) unset "$name" ;;
        esac
    done < <(compgen -e)
    export HOME=$world/home PATH="${DISPATCHER_BIN%/*}:$PATH"
    export DISPATCHER_STATE=$world/state.db DISPATCHER_SPECS=$world/infra/appspecs
    export DISPATCHER_POLL_MS=100 DISPATCHER_RECONCILE_MS=1500 DISPATCHER_READ_BACK_MS=100
    export AWS_EC2_METADATA_DISABLED=true USER=tester
}

# In setup: a fresh copy, and a clean environment.
world_make() {
    servers=() runs_before=0
    world=$BATS_TEST_TMPDIR/w
    cp -r "$BATS_FILE_TMPDIR/template" "$world"
    mkdir "$world/home"
    clean_environment
    cd "$world/app" || return 1
    sha=$(git rev-parse HEAD)
    parameter=/greeter/staging/web/version
}

# In teardown: stops what was started, in turn; a server that ends badly fails the test.
world_end() {
    local entry pid name code bad=0
    for entry in "${servers[@]}"; do
        pid=${entry%%:*} name=${entry#*:}
        kill "$pid" 2>/dev/null || true
        code=0
        stop_waiting_after 10 "$pid"
        wait "$pid" 2>/dev/null || code=$?
        kill -KILL -- "-$pid" 2>/dev/null || true # what it may have left of its own children
        case $code in
            0 | 143) ;;
            *)
                echo "$name ended with $code:"
                tail -n 40 "$world/$name.log"
                bad=1
                ;;
        esac
    done
    servers=()
    return "$bad"
}

# Kills process $2 for good when it is still there after $1 seconds.
stop_waiting_after() {
    local end=$((SECONDS + $1))
    while kill -0 "$2" 2>/dev/null; do
        [ "$SECONDS" -lt "$end" ] || { kill -KILL "$2" 2>/dev/null || true; return; }
        sleep 0.02
    done
}

# start NAME COMMAND...: a server in a process group of its own, which dies with this shell.
start() {
    local name=$1
    shift
    setsid setpriv --pdeathsig KILL "$@" >"$world/$name.log" 2>&1 3>&- </dev/null &
    servers+=("$!:$name")
}

# until_true SECONDS COMMAND...: as soon as the command succeeds.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -le "$end" ] || { echo "still not true: $*"; return 1; }
        sleep 0.02
    done
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# in_infra COMMAND...: changes the infra repository, and commits.
in_infra() {
    (cd "$world/infra" && "$@" && git add -A && git commit -q --allow-empty -m "change")
}

# The infra side's one step runs this script from now on.
roll_out_is() {
    printf '#!/usr/bin/env bash\n%s\n' "$1" >"$world/infra/bin/roll-out"
    in_infra true
}

# --- the servers -------------------------------------------------------------------------------

# sandbox_start [OPTION...]: with the infra repository, and the environment set to use it.
sandbox_start() {
    start sandbox "$DISPATCHER_BIN" sandbox --ready-file "$world/sandbox.env" \
        --repo "demo/infra=$world/infra" --data "$world/data" "$@"
    until_true 20 is_ready_or_dead
    [ -s "$world/sandbox.env" ] || { cat "$world/sandbox.log"; return 1; }
    set -a
    # shellcheck disable=SC1091
    . "$world/sandbox.env"
    set +a
    unset ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN # the stories say so
    registry_is "$DISPATCHER_SANDBOX_REGISTRY"
}

is_ready_or_dead() {
    [ -s "$world/sandbox.env" ] || ! kill -0 "${servers[-1]%%:*}"
}

registry_is() {
    in_infra sed -i "s|^registry:.*|registry: \"$1\"|" dispatcher.yaml
}

# Parameter Store and STS of moto, every signature and permission checked.
moto_start() {
    needs moto_server python3
    python3 -c 'import boto3' 2>/dev/null || skip "boto3 is not installed"
    local port
    port=$(free_port)
    start moto moto_server -H 127.0.0.1 -p "$port"
    until_true 60 curl -sf "http://127.0.0.1:$port/moto-api/" || return 1
    set -a
    eval "$(python3 "$DISPATCHER_ROOT/tests/e2e/moto_keys.py" "http://127.0.0.1:$port")"
    set +a
}

docker_registry_start() {
    needs docker-registry
    local port
    port=$(free_port)
    mkdir -p "$world/registry"
    jq -n --arg addr "127.0.0.1:$port" --arg root "$world/registry" '{version: "0.1",
        storage: {filesystem: {rootdirectory: $root}}, http: {addr: $addr}}' >"$world/registry.yml"
    start registry docker-registry serve "$world/registry.yml"
    until_true 20 curl -sf "http://127.0.0.1:$port/v2/" || return 1
    unset DISPATCHER_REGISTRY_USER DISPATCHER_REGISTRY_PASSWORD
    docker_registry=127.0.0.1:$port
    registry_is "$docker_registry"
}

# prism_start CONTRACT: validates what goes to the sandbox's GitHub and what comes back.
prism_start() {
    local contract=$DISPATCHER_SHARED/contracts/$1.json port
    local prism=$DISPATCHER_ROOT/tests/e2e/node/node_modules/@stoplight/prism-cli/dist/index.js
    needs node
    [ -e "$contract" ] || skip "there is no '$contract'; set DISPATCHER_SHARED"
    [ -e "$prism" ] || skip "Prism is not installed; run 'npm ci' in tests/e2e/node"
    port=$(free_port)
    start prism node "$prism" proxy --errors -h 127.0.0.1 -p "$port" "$contract" "$GITHUB_API_URL"
    until_true 60 grep -q "Prism is listening" "$world/prism.log" || return 1
    export GITHUB_API_URL=http://127.0.0.1:$port
}

# next_image ARCHIVE OUT: a docker archive with the same layers and another configuration.
next_image() {
    python3 - "$@" <<'PYTHON'
import io, json, sys, tarfile
with tarfile.open(sys.argv[1]) as old, tarfile.open(sys.argv[2], "w") as new:
    for member in old:
        data = old.extractfile(member).read()
        if member.name == "config.json":
            data = json.dumps(json.loads(data) | {"author": "somebody else"}).encode()
        member.size = len(data)
        new.addfile(member, io.BytesIO(data))
PYTHON
}

# --- deploying ---------------------------------------------------------------------------------

# deploy [OPTION...]: the greeter to staging; then status, output, stderr as `run` leaves them.
deploy() {
    run --separate-stderr timeout -k 5 120 "$DISPATCHER_BIN" deploy greeter --env staging \
        --image "oci:$world/image" "$@"
}

dispatcher() {
    run --separate-stderr timeout -k 5 120 "$DISPATCHER_BIN" "$@"
}

# deploy_behind [OPTION...]: the same in the background; its process is $deploying.
deploy_behind() {
    env --default-signal=INT,QUIT "$DISPATCHER_BIN" deploy greeter --env staging \
        --image "oci:$world/image" "$@" \
        >"$world/out" 2>"$world/err" 3>&- &
    deploying=$!
}

# Waits for it; status, output and stderr as after `run`.
deploy_end() {
    status=0
    stop_waiting_after 60 "$deploying"
    wait "$deploying" || status=$?
    output=$(cat "$world/out") stderr=$(cat "$world/err")
}

show() {
    printf -- '--- status %s\n--- stdout\n%s\n--- stderr\n%s\n--- effects: %s\n' "$status" \
        "$output" "$stderr" "$(effects 2>/dev/null || true)"
}

# expect CODE: how the last command ended.
expect() {
    [ "$status" -eq "$1" ] || { show; return 1; }
}

# holds COMMAND...: shows what there was when the command fails.
holds() {
    "$@" || { echo "does not hold: $*"; show; return 1; }
}

# values_are VALUE...: what the version parameter said, oldest first.
values_are() {
    local seen
    seen=$(values | tr '\n' ' ')
    [ "$seen" = "$* " ] || { echo "values: $seen"; echo "expected: $*"; show; return 1; }
}

# says TEXT...: each is on standard output or standard error.
says() {
    local text
    for text in "$@"; do
        [[ "$output"$'\n'"$stderr" == *"$text"* ]] || { echo "not said: $text"; show; return 1; }
    done
}

says_not() {
    local text
    for text in "$@"; do
        [[ "$output"$'\n'"$stderr" != *"$text"* ]] || { echo "said: $text"; show; return 1; }
    done
}

# What changes from run to run, named: for golden texts.
plain() {
    sed -E "s#$world#WORLD#g; s#127\.0\.0\.1:[0-9]+#HOST#g; s#\b[0-9a-f]{40}\b#COMMIT#g
        s#\bd-[0-9a-f]{16}\b#ID#g; s#\b[0-9a-f]{12}\b#COMMIT#g; s#runs?/?[ /]160[0-9]{8}#run RUN#g"
}

id_of_last() {
    "$DISPATCHER_BIN" history --json 2>/dev/null | jq -r -s '.[0].deployment'
}

# --- effects at the other end ------------------------------------------------------------------

control() { # PATH [CURL-OPTION...]
    local path=$1
    shift
    curl -sS --fail-with-body --max-time 10 "$DISPATCHER_SANDBOX_CONTROL/$path" "$@"
}

fault() { # RULE
    control faults -X POST --data-binary "$1" >/dev/null
}

# How often rule N (from 1) fired.
fired() {
    control faults | jq -r --argjson n "$1" '.[$n - 1].fired'
}

# asked FILTER: requests that satisfy a jq condition, counted.
asked() {
    control requests | jq -r "[.requests[] | select($1)] | length"
}

posts() {
    asked '.method == "POST" and (.path | endswith("/dispatches"))'
}

# Runs since forget_effects; the sandbox keeps those of before.
runs() {
    echo $(($(control state | jq -r '.github.runs | length') - runs_before))
}

# The servers are as new, and counting begins again.
forget_effects() {
    control reset -X POST
    runs_before=0
    runs_before=$(runs)
}

# The values that a parameter had, oldest first, one a line.
values() { # [NAME]
    control state | jq -r --arg name "${1:-$parameter}" \
        '.aws.parameters[] | select(.name == $name) | .versions[].value'
}

labels() { # VERSION [NAME]
    control state | jq -r --arg name "${2:-$parameter}" --argjson version "$1" '.aws.parameters[] |
        select(.name == $name) | .versions[] | select(.version == $version) | .labels | join(" ")'
}

# One line of what happened anywhere.
effects() {
    local state
    state=$(control state) || return 1
    printf 'posts=%s runs=%s %s' "$(posts)" "$(runs)" "$(jq -r '
        "versions=\([.aws.parameters[].versions | length] | add // 0) " +
        "labels=\([.aws.parameters[].versions[].labels | length] | add // 0) " +
        "manifests=\([.registry[].manifests | length] | add // 0)"' <<<"$state")"
}

# happened TEXT: exactly these effects.
happened() {
    local seen
    seen=$(effects)
    [ "$seen" = "$1" ] || { printf 'effects: %s\nexpected: %s\n' "$seen" "$1"; show; return 1; }
}

nothing_happened() {
    happened "posts=0 runs=0 versions=0 labels=0 manifests=0" || return 1
    [ "$(asked '(.path | test("^/v2/")) and .method != "GET" and .method != "HEAD"')" = 0 ] ||
        { echo "something was uploaded"; return 1; }
}

# ssm ACTION JSON: as somebody else would, signed by curl.
ssm() {
    curl -sS --fail-with-body --max-time 20 "$AWS_ENDPOINT_URL" \
        --aws-sigv4 "aws:amz:$AWS_REGION:ssm" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H "X-Amz-Target: AmazonSSM.$1" -H "Content-Type: application/x-amz-json-1.1" -d "$2"
}

# put VALUE [NAME]: writes a parameter.
put() {
    ssm PutParameter "$(jq -cn --arg name "${2:-$parameter}" --arg value "$1" \
        '{Name: $name, Value: $value, Type: "String", Overwrite: true}')" >/dev/null
}

# deployed_before VALUE [NAME]: an earlier deployment left this, labelled as such.
deployed_before() {
    put "$1" "${2:-$parameter}"
    ssm LabelParameterVersion "$(jq -cn --arg name "${2:-$parameter}" \
        '{Name: $name, Labels: ["deployed"]}')" >/dev/null
}
