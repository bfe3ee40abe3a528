#!/usr/bin/env bats
# The service under attack, as far as HTTP goes. The attacks are in service_threats*.py; which row of the
# threat model is covered where: e2e/service_threats.bats.
# shellcheck disable=SC1010,SC2030,SC2031,SC2154 # variables of the lab, and of single tests

load service_lab

setup() {
    need curl jq git openssl python3
}

attack() {
    local script=$BATS_TEST_DIRNAME/service_threats.py
    [[ $1 != *.py ]] || { script=$BATS_TEST_DIRNAME/$1; shift; }
    run env URL="$url" WORLD="$world" PID="${service_pid:-}" HOOK_SECRET="$hook_secret" \
        JWKS="$DISPATCHER_SANDBOX_OIDC_ISSUER/.well-known/jwks" python3 -B "$script" "$@"
    echo "$output"
    [ "$status" -eq 0 ] || { tail -n 5 "$world/serve.err"; return 1; }
}

# six_apps: of six repositories.
six_apps() {
    local number id
    for number in 0 1 2 3 4 5; do
        id=$(claim_of "$(job_token "{\"repository\": \"acme/a$number\"}")" repository_id)
        spec_of "a$number" "acme/a$number" "$id"
    done
    commit_infra "six"
}

@test "T01, T48: of six repositories each reads and changes its own, and learns nothing of the others" {
    service_world
    rm "$world"/infra/appspecs/*.yaml
    six_apps
    service_start
    attack cross
    service_stop
    sandbox_stop
}

@test "T48: what is another's is not to be told by the clock" {
    service_world
    service_config 's/^  rate: .*/  rate: 100000/'
    service_start
    attack alike
    service_stop
    sandbox_stop
}

@test "T48: of strangers nothing is asked, so that no clock and no quota tells of them" {
    service_world
    sed -i 's/{id: main, refs: \[refs\/heads\/main\]/&, actors: {teams: [devops]}/' "$world/infra/appspecs/shop.yaml"
    commit_infra "teams"
    service_start
    attack strangers
    attack denials
    service_stop
    sandbox_stop
}

@test "T02, T03, T04: names, events, refs and audiences that are nearly right" {
    service_world
    service_start
    attack others
    attack events
    attack audiences
    service_stop
    sandbox_stop
}

@test "T06, T07: tokens that a weak verifier would believe" {
    service_world
    service_start
    attack forged_tokens
    service_stop
    sandbox_stop
}

@test "T05: a token counts once, at one place, after a restart too" {
    service_world
    service_start
    attack once
    service_stop
    service_start
    attack again
    service_stop
    sandbox_stop
}

@test "T05: 50 at once with one token or one key: one is accepted" {
    service_world
    service_start
    attack race
    service_stop
    sandbox_stop
}

@test "T05: a key of the caller's own means the commit, too" {
    service_world
    service_start
    attack keys
    service_stop
    sandbox_stop
}

wire() {
    attack service_threats_wire.py "$@"
}

@test "T60: two readers of one request see the same request" {
    service_world
    service_start
    wire smuggling
    wire lines
    service_stop
    sandbox_stop
}

@test "T28, T41: texts that are cut, controlled or encoded otherwise stay texts" {
    service_world
    service_start
    wire texts
    service_stop
    sandbox_stop
}

@test "T60: 1,000 idle and slow connections keep nobody waiting, and are ended" {
    service_world
    service_start
    wire idle
    service_stop
    sandbox_stop
}

@test "T60: bodies of strangers have a limit together, and small ones their room" {
    service_world
    service_start
    wire bodies
    service_stop
    sandbox_stop
}

@test "T60: requests that come while it stops do not bring it down" {
    service_world
    local pace status
    for pace in 0.002 0.003 0.004; do
        service_start
        PACE=$pace wire stopping
        status=0
        wait "$service_pid" || status=$?
        service_pid=
        [ "$status" -eq 0 ] || { echo "it ended with $status"; return 1; }
    done
    sandbox_stop
}

@test "T09, T10: forged, confused and repeated deliveries" {
    service_world
    service_start
    wire forged_hooks
    wire once_hooks
    service_stop
    service_start
    wire again_hooks
    service_stop
    sandbox_stop
}

@test "T64: a flood of signed deliveries" {
    need wrk
    service_world
    service_start
    export DISPATCHER_ROOT=${DISPATCHER_ROOT:-$BATS_TEST_DIRNAME/../..}
    wire flood
    service_stop
    sandbox_stop
}

@test "a login in a header counts from a proxy's address only, and once" {
    service_world
    service_config 's#^  rate: .*#&\n  proxy_auth: {header: X-Login, addresses: [192.0.2.1]}#'
    service_start
    EXPECTED=401 wire proxies
    service_stop
    service_config 's#^  rate: .*#&\n  proxy_auth: {header: X-Login, addresses: [127.0.0.1]}#'
    service_start
    EXPECTED=200 wire proxies
    service_stop
    sandbox_stop
}

teardown() {
    local pid
    for pid in ${service_pid:-} ${sandbox_pid:-} ${extra_pid:-}; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    [ -z "${disk:-}" ] || umount -l "$disk" 2>/dev/null || true
}

people() {
    attack service_threats_people.py "$@"
}

# with_sign_in [SED-EXPR]
with_sign_in() {
    service_config "s#^  rate: .*#&\n  oauth: {client_id: $DISPATCHER_SANDBOX_OAUTH_CLIENT_ID, client_secret: 'file:$DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET_FILE'}#; ${1-}"
}

@test "GitHub hangs: who needs nobody looked up is answered, who does is told to come again" {
    service_world
    sed -i 's/^        - {id: main, /&actors: {teams: [devops]}, /' "$world/infra/appspecs/shop.yaml"
    commit_infra "a rule that names a team"
    with_sign_in 's#^  rate: .*#&\n  proxy_auth: {header: X-Login, addresses: [127.0.0.1]}#'
    service_start
    people hanging
    service_stop
    sandbox_stop
}

@test "who is nobody, a bot or in no team changes nothing" {
    service_world
    service_start
    people strangers
    service_stop
    sandbox_stop
}

@test "tokens that are guessed are not asked about for ever, and a tired GitHub is not a no" {
    service_world
    service_start
    people limited
    people guesses
    service_stop
    sandbox_stop
}

@test "an approval is another person's, counts once, and for what was seen; emergencies need a reason" {
    service_world
    sed -i 's/approvals: {count: 1/approvals: {count: 2/' "$world"/infra/appspecs/shop.yaml
    commit_infra "two"
    service_start
    people approvals
    people emergencies
    service_stop
    sandbox_stop
}

@test "T46: sessions are not fixed, flows are one browser's, addresses lead nowhere else" {
    service_world
    with_sign_in
    service_start
    people sessions
    people redirects
    service_stop
    with_sign_in 's#^  url: .*#  url: https://deploy.example.org#'
    service_start
    people secure
    service_stop
    sandbox_stop
}

@test "T46: what another site makes a browser send changes nothing" {
    service_world
    with_sign_in
    service_start
    people crossed
    people counted
    service_stop
    sandbox_stop
}

@test "T46, T47: texts of strangers are texts on every page, and no formulas in the export" {
    service_world
    with_sign_in
    service_start
    people pages
    service_stop
    sandbox_stop
}

# small_disk MIB: $disk, for the service's file; gone with the test.
small_disk() {
    disk=$world/disk
    mkdir "$disk"
    mount -t tmpfs -o "size=$1" none "$disk" 2>/dev/null || skip "tmpfs cannot be mounted here"
    service_config "s#sqlite:$world/state.db#sqlite:$disk/state.db#"
}

@test "T61: a disk that is full: 503, not ready, and nothing that was accepted is lost" {
    service_world
    small_disk 24m
    service_start
    FOLDER=$disk attack service_threats_storage.py fill
    kill -KILL "$service_pid"
    wait "$service_pid" || true
    rm "$disk/ballast"
    service_start
    FOLDER=$disk attack service_threats_storage.py kept
    FOLDER=$disk attack service_threats_storage.py full_is_not_ready
    kill -KILL "$service_pid"
    wait "$service_pid" || true
    service_pid=
    umount "$disk"
    sandbox_stop
}

@test "T42: no secret is in any answer, log, database, environment or argument" {
    service_world
    export HOOK_FILE=$world/hook SLACK_FILE=$world/slack
    printf '%s' "canary-of-the-webhooks-$RANDOM$RANDOM" >"$HOOK_FILE"
    printf '%s' "canary-of-slack-presses-$RANDOM$RANDOM" >"$SLACK_FILE"
    with_sign_in "s#env:HOOK_SECRET#file:$HOOK_FILE#; s#env:SLACK_HOOK_SECRET#file:$SLACK_FILE#; s#^  rate: .*#&\n  push_role: arn:aws:iam::123456789012:role/push#"
    sed -i "s#^registry: .*#registry: 123456789012.dkr.ecr.us-east-1.amazonaws.com#" "$world/infra/dispatcher.yaml"
    commit_infra "ecr"
    unset DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET # the sandbox's present, not the service's
    service_start
    attack service_threats_storage.py canaries
    service_stop
    sandbox_stop
}

# postgres_start: a throw-away server; sets $postgres_url.
postgres_start() {
    coproc postgres { "${DISPATCHER_ROOT:-$BATS_TEST_DIRNAME/../..}/tests/support/postgres"; }
    local word dir port
    read -r word dir port <&"${postgres[0]}"
    [ "$word" = ready ] || skip "$word $dir $port"
    echo "create threats" >&"${postgres[1]}"
    read -r word <&"${postgres[0]}"
    [ "$word" = "done" ]
    postgres_url="postgresql:///threats?host=$dir&port=$port&user=lab"
}

@test "T05: on the other replica a token and a key are as spent as on the first" {
    service_world
    postgres_start
    service_config "s|sqlite:$world/state.db|${postgres_url//&/\\&}|"
    service_start
    extra_pid=$service_pid
    local first=$url
    service_start
    PORTS="${first##*:} ${url##*:}" attack race
    attack once
    url=$first attack again
    kill -TERM "$extra_pid"
    wait "$extra_pid"
    extra_pid=
    service_stop
    sandbox_stop
    eval "exec ${postgres[1]}>&-"
    wait
}
