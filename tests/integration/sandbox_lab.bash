# What the sandbox's stories share: a world to serve, starting and ending it, asking it.
#
#     sandbox_start [OPTION]...   serves $world/infra as acme/infra; the environment is exported
#     sandbox_stop                ends it and checks that it ended well
#     api PATH [CURL-OPTION]...   GitHub, as the user; sets $code, $body and $headers (a file)
#     dispatch [INPUTS-JSON]      dispatches deploy.yaml, sets $run
#     run_done ID                 waits until the run has ended

bats_require_minimum_version 1.5.0

need() {
    local tool
    for tool; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
}

need_boto3() {
    python3 -c 'import boto3' 2>/dev/null || skip "boto3 is not installed"
}

make_world() {
    world=$BATS_TEST_TMPDIR/world
    mkdir -p "$world/infra/.github/workflows" "$world/home"
    cat >"$world/infra/.github/workflows/deploy.yaml"
    (
        cd "$world/infra"
        git init -q -b main .
        git add -A
        git -c user.name=t -c user.email=t@example.org commit -qm "first"
    )
}

sandbox_start() {
    bin=${DISPATCHER_BIN:-$BATS_TEST_DIRNAME/../../build/dev/bin/dispatcher}
    env -u AWS_PROFILE HOME="$world/home" TMPDIR="$BATS_TEST_TMPDIR" \
        "$bin" sandbox --repo "acme/infra=$world/infra" --ready-file "$world/env" "$@" \
        >"$world/out" 2>"$world/err" 3>&- &
    sandbox_pid=$!
    local tries=0
    until [ -e "$world/env" ]; do
        kill -0 "$sandbox_pid" 2>/dev/null || { cat "$world/err"; return 1; }
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { echo "the sandbox does not start"; return 1; }
        sleep 0.05
    done
    export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_MAX_ATTEMPTS=1
    unset AWS_SESSION_TOKEN AWS_PROFILE
    set -a
    # shellcheck source=/dev/null
    . "$world/env"
    set +a
}

sandbox_stop() {
    [ -n "${sandbox_pid:-}" ] || return 0
    kill -TERM "$sandbox_pid"
    local status=0
    wait "$sandbox_pid" || status=$?
    sandbox_pid=
    [ "$status" -eq 0 ] || { echo "the sandbox ended with $status"; cat "$world/err"; return 1; }
    [ ! -e "$DISPATCHER_SANDBOX_DATA" ] || { echo "left behind: $DISPATCHER_SANDBOX_DATA"; return 1; }
}

teardown() {
    if [ -n "${sandbox_pid:-}" ]; then
        kill -KILL "$sandbox_pid" 2>/dev/null || true
        wait "$sandbox_pid" 2>/dev/null || true
    fi
}

api() {
    local path=$1
    shift
    headers=$BATS_TEST_TMPDIR/headers
    rm -f "$BATS_TEST_TMPDIR/body"
    code=$(curl -s -o "$BATS_TEST_TMPDIR/body" -D "$headers" -w '%{http_code}' \
        -H "Authorization: Bearer ${token:-$GITHUB_TOKEN}" \
        -H "X-GitHub-Api-Version: ${version:-2026-03-10}" "$@" "$GITHUB_API_URL$path") || true
    body=$(cat "$BATS_TEST_TMPDIR/body" 2>/dev/null || true)
}

header() {
    tr -d '\r' <"$headers" | sed -n "s/^$1: //Ip"
}

dispatch() {
    local inputs=${1:-"{}"}
    api /repos/acme/infra/actions/workflows/deploy.yaml/dispatches \
        -d "{\"ref\": \"main\", \"inputs\": $inputs}"
    run=$(jq -r '.workflow_run_id // empty' <<<"$body")
}

run_done() {
    local tries=0
    until [ "$(run_field "$1" .status)" = completed ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || { echo "run $1 does not end"; return 1; }
        sleep 0.05
    done
}

run_field() {
    curl -s -H "Authorization: Bearer $GITHUB_TOKEN" -H 'User-Agent: t' \
        "$GITHUB_API_URL/repos/acme/infra/actions/runs/$1" | jq -r "$2"
}

run_page() {
    curl -s "$DISPATCHER_SANDBOX/acme/infra/actions/runs/$1"
}

control() {
    local path=$1
    shift
    curl -s "$@" "$DISPATCHER_SANDBOX_CONTROL$path"
}

# assert_problem CODE MESSAGE: what the last api call was answered.
assert_problem() {
    local said
    said=$(jq -r .message <<<"$body")
    if [ "$code" != "$1" ] || [ "$said" != "$2" ]; then
        printf 'answered %s: %s\n' "$code" "$said"
        return 1
    fi
}

# refute COMMAND...: a plain `! command` would not fail a bats test.
refute() {
    if "$@"; then
        echo "unexpected: $*"
        return 1
    fi
}

# Does the process run, and is it no zombie that nobody has reaped yet?
is_alive() {
    [ -d "/proc/$1" ] && grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status"
}
