#!/usr/bin/env bats
# A canary in every credential: none of them is found in anything that is written or shown, whether
# the deployment goes well, fails or is refused.

load lib

setup_file() {
    world_template
}

setup() {
    world_make
    sandbox_start
    mkdir "$world/seen"
    plant
}

teardown() {
    world_end
}

# Every secret that the environment holds, one a line, as it is in memory.
plant() {
    canaries=$world/canaries
    : >"$canaries"
    local name value
    for name in GITHUB_TOKEN AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN DISPATCHER_REGISTRY_PASSWORD; do
        value=${!name:-}
        [ -z "$value" ] || printf '%s\n' "$value" >>"$canaries"
    done
    # The App's key as text: each line of it is one.
    DEPLOYMENT_APP_KEY=$(cat "$DEPLOYMENT_APP_KEY")
    export DEPLOYMENT_APP_KEY
    grep -v -- '-----' <<<"$DEPLOYMENT_APP_KEY" >>"$canaries"
    export DISPATCHER_SPECS_TOKEN=canary-specs-token-0f1e2d3c4b5a GH_TOKEN=canary-gh-token-99887766
    printf '%s\n' "$DISPATCHER_SPECS_TOKEN" "$GH_TOKEN" >>"$canaries"
    export DISPATCHER_LOG=debug GITHUB_STEP_SUMMARY=$world/seen/summary.md \
        GITHUB_OUTPUT=$world/seen/output.txt DISPATCHER_STATE=$world/seen/state.db
    [ "$(wc -l <"$canaries")" -gt 10 ]
}

# What the sandbox minted meanwhile: installation tokens.
add_minted() {
    control state | jq -r '.github.tokens[]?.token // empty' >>"$canaries"
}

# nothing_leaked: no canary in the streams, the journal, the summary, the outputs.
nothing_leaked() {
    add_minted
    printf '%s' "$output" >"$world/seen/stdout"
    # In a job the masks themselves name the secrets, first thing, to the runner.
    grep -v '^::add-mask::' <<<"$stderr" >"$world/seen/stderr" || true
    sed -i '/^::add-mask::/d' "$world/seen/stdout"
    local canary hits=0
    while read -r canary; do
        [ "${#canary}" -ge 6 ] || continue
        if grep -raqF -- "$canary" "$world/seen"; then
            echo "found '${canary:0:8}…' in: $(grep -ralF -- "$canary" "$world/seen" | tr '\n' ' ')"
            hits=1
        fi
    done <"$canaries"
    [ "$hits" = 0 ]
}

@test "the search finds a canary where there is one" {
    output="x $GITHUB_TOKEN y" stderr=""
    run nothing_leaked
    [ "$status" -ne 0 ]
}

@test "no secret is shown or kept when a deployment goes well" {
    deploy
    expect 0
    nothing_leaked
}

@test "nor with --json, nor by plan, doctor, status, history and watch" {
    deploy --json
    expect 0
    nothing_leaked
    local id
    id=$(id_of_last)
    dispatcher plan greeter --env staging --image "oci:$world/image" --json
    nothing_leaked
    dispatcher doctor greeter --env staging
    nothing_leaked
    dispatcher status greeter --env staging --json
    nothing_leaked
    dispatcher history --json
    nothing_leaked
    dispatcher watch "$id"
    nothing_leaked
}

@test "nor when the infra run fails and its log holds them" {
    roll_out_is "echo token: $GITHUB_TOKEN; echo key: $AWS_SECRET_ACCESS_KEY >&2; exit 1"
    put before
    deploy
    expect 7
    says "token: ***"
    nothing_leaked
}

@test "nor in a GitHub job, where each is masked before anything else is printed" {
    export GITHUB_ACTIONS=true GITHUB_REPOSITORY=demo/greeter GITHUB_REF=refs/heads/main \
        GITHUB_RUN_ID=4711 GITHUB_JOB=deploy GITHUB_RUN_ATTEMPT=1
    deploy
    expect 0
    [[ "$output" == "::add-mask::"* ]]
    [[ "$output" == *"::add-mask::$AWS_SECRET_ACCESS_KEY"* ]]
    nothing_leaked
}

@test "nor when each credential is refused" {
    AWS_SECRET_ACCESS_KEY=canary-wrong-aws-key-123456 deploy
    expect 4
    echo canary-wrong-aws-key-123456 >>"$canaries"
    nothing_leaked
    (unset DEPLOYMENT_APP_ID DEPLOYMENT_APP_KEY GH_TOKEN
        GITHUB_TOKEN=ghs_canaryWrongTokenAbCdEf0123456789 deploy
        expect 4
        echo ghs_canaryWrongTokenAbCdEf0123456789 >>"$canaries"
        nothing_leaked)
    DISPATCHER_REGISTRY_PASSWORD=canary-wrong-registry-pw deploy
    expect 4
    echo canary-wrong-registry-pw >>"$canaries"
    nothing_leaked
    DEPLOYMENT_APP_KEY="canary-not-a-pem-$(seq -s- 20)" deploy
    [ "$status" -eq 4 ]
    seq -s- 20 >>"$canaries"
    nothing_leaked
}

@test "no secret is on a command line of a child, nor in its environment unasked" {
    # credential_process is the only child a deployment starts.
    mkdir -p "$HOME/.aws"
    printf '#!/bin/sh\ntr "\\0" "\\n" </proc/$PPID/cmdline >%s/seen/parent\n' "$world" >"$world/give"
    cat >>"$world/give" <<END
printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s"}' \
    '$AWS_ACCESS_KEY_ID' '$AWS_SECRET_ACCESS_KEY'
END
    chmod +x "$world/give"
    printf '[default]\ncredential_process = %s\nregion = us-east-1\n' "$world/give" >"$HOME/.aws/config"
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    deploy
    expect 0
    [ -s "$world/seen/parent" ]
    nothing_leaked
}
