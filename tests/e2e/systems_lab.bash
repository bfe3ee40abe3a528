# What the stories of the five systems share: an infra repository with appspecs/ as it is, an app
# repository of the right name, and a sandbox with the account and the region that the spec names.
# ECR and the apps are reached by their real host names, through a relay that ends TLS
# (tests/support/ecr_relay.py), so nothing of a spec has to be changed.
#
#     setup_file() { system_template; }
#     setup() { world_make; }
#     teardown() { world_end; }
#     @test "…" { system_start kaapi kaapi 012345678901 ap-south-1; from refs/heads/main; … }
#
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bats, and for the tests

staging_account=012345678901 production_account=210987654321 # of appspecs/dispatcher.yaml

# In setup_file: what all systems copy. Three images: image, image2, image3.
system_template() {
    needs python3 openssl
    world_template
    local template=$BATS_FILE_TMPDIR/template
    local infra=$template/infra
    rm -r "$infra/appspecs"
    cp -r "$DISPATCHER_ROOT/appspecs" "$infra/appspecs"
    mv "$infra/appspecs/dispatcher.yaml" "$infra/dispatcher.yaml"
    cp "$DISPATCHER_ROOT/workflows/infra-deploy-app.yaml" \
        "$infra/.github/workflows/deploy-app.yaml"
    git -C "$infra" add -A
    git -C "$infra" commit -qm "Host all of them"
    other_image "$template/image" "$template/image2"
    other_image "$template/image" "$template/image3" "a third one"
}

# system_start APP REPOSITORY ACCOUNT REGION [SANDBOX-OPTION...]: everything around a deployment of
# APP by a job of example-org/REPOSITORY.
system_start() {
    app=$1 repository=example-org/$2 account=$3 region=$4
    shift 4
    git tag v1 HEAD^ # what runs there already
    git remote set-url origin "https://github.com/$repository.git"
    impatient_dispatcher
    PATH=$world/bin:$PATH start sandbox "$DISPATCHER_BIN" sandbox --ready-file "$world/sandbox.env" \
        --repo "example-org/shared-services-infra=$world/infra" --data "$world/data" \
        --account "$account" --region "$region" --caller "$repository" "$@"
    until_true 20 is_ready_or_dead
    [ -s "$world/sandbox.env" ] || { cat "$world/sandbox.log"; return 1; }
    set -a
    # shellcheck disable=SC1091
    . "$world/sandbox.env"
    set +a
    start relay python3 "$DISPATCHER_ROOT/tests/support/ecr_relay.py" "$world/relay" \
        "$DISPATCHER_SANDBOX_REGISTRY"
    registry_user=$DISPATCHER_REGISTRY_USER registry_password=$DISPATCHER_REGISTRY_PASSWORD
    unset DISPATCHER_REGISTRY_USER DISPATCHER_REGISTRY_PASSWORD VAULT_ADDR
    export DISPATCHER_POLL_MS=150 DISPATCHER_PROVE_MS=2000 DISPATCHER_LOG_DRAIN_MS=100
    host=$account.dkr.ecr.$region.amazonaws.com
    first=$(digest_of "$world/image") second=$(digest_of "$world/image2")
    third=$(digest_of "$world/image3")
    until_true 20 test -s "$world/relay/port"
    relay=http://127.0.0.1:$(cat "$world/relay/port")
    from refs/heads/main
    control aws/apprunner/seed -d '{"delay": "400ms"}' >/dev/null
    control aws/ecs/pace -d '{"delay": "400ms", "bake_minute": "50ms"}' >/dev/null
}

# The dispatcher of the infra workflow's jobs, which have an environment of their own: nothing in
# the sandbox takes the minutes that a real platform takes.
impatient_dispatcher() {
    mkdir "$world/bin"
    printf '#!/bin/sh\nexec env DISPATCHER_POLL_MS=150 DISPATCHER_PROVE_MS=2000 "%s" "$@"\n' \
        "$DISPATCHER_BIN" >"$world/bin/dispatcher"
    chmod +x "$world/bin/dispatcher"
}

# from REF [EVENT]: what CI says of the jobs that come.
from() {
    ref=$1 event=${2:-push}
}

# job COMMAND...: as a job of the app's repository runs it, with no key but its OIDC token and the
# GitHub App's.
job() {
    run --separate-stderr timeout -k 5 60 env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY \
        -u GITHUB_TOKEN HTTPS_PROXY="$relay" SSL_CERT_FILE="$world/relay/ca.pem" \
        GITHUB_ACTIONS=true GITHUB_REPOSITORY="$repository" GITHUB_REF="$ref" \
        GITHUB_EVENT_NAME="$event" GITHUB_RUN_ID="$((++job_number))" GITHUB_JOB=deploy \
        GITHUB_RUN_ATTEMPT=1 GITHUB_ACTOR=octocat "$DISPATCHER_BIN" "$@"
}

# ship ENV IMAGE [OPTION...]; ENV '-': the one that the ref leads to.
ship() {
    local env=(--env "$1") image=$2
    [ "$1" != - ] || env=()
    shift 2
    job deploy "$app" "${env[@]}" --image "oci:../$image" "$@"
}

# The plan of a job, compared with tests/golden/plans/systems/APP-ENV.txt. GOLDEN_UPDATE=1 writes.
plan_is() { # ENV [OPTION...]
    local env=$1
    shift
    local golden=$DISPATCHER_ROOT/tests/golden/plans/systems/$app-$env.txt
    job plan "$app" --env "$env" "$@"
    expect 0
    sed '/^::/d' <<<"$output" >"$world/plan"
    [ -z "${GOLDEN_UPDATE-}" ] || cp "$world/plan" "$golden"
    diff "$golden" "$world/plan"
}

# --- the registry --------------------------------------------------------------------------------

# repository_has NAME [TAG IMAGE]...: ECR has such a repository, with these images.
repository_has() {
    local name=$1
    shift
    aws_do ecr AmazonEC2ContainerRegistry_V20150921.CreateRepository \
        "{\"repositoryName\": \"$name\"}" >/dev/null
    while [ $# -gt 0 ]; do
        DISPATCHER_REGISTRY_USER=$registry_user DISPATCHER_REGISTRY_PASSWORD=$registry_password \
            "$DISPATCHER_BIN" push "oci:$world/$2" "$DISPATCHER_SANDBOX_REGISTRY/$name:$1" \
            >>"$world/push.log" 2>&1
        shift 2
    done
}

# --- what answers --------------------------------------------------------------------------------

# app_is HOST[/PATH] STATUS|SERVICE...: in pairs, the first that fits counts.
app_is() {
    printf '%s %s\n' "$@" >"$world/relay/apps"
}

# --- App Runner ----------------------------------------------------------------------------------

# runner_has NAME IMAGE [JSON]: a service that runs it, as somebody else has made it.
runner_has() {
    jq -cn --arg name "$1" --arg image "$host/$2" --argjson more "${3:-{\}}" \
        '{services: [{name: $name, image: $image} + $more]}' |
        control aws/apprunner/seed -X POST --data-binary @- >/dev/null
}

runner_scenario() {
    control aws/apprunner/scenario -X POST --data-binary "$1" >/dev/null
}

of_runner() { # NAME JQ
    control state | jq -r --arg name "$1" ".aws.apprunner.services[] |
        select(.ServiceName == \$name) | $2"
}

# operations_are NAME TEXT: the operations of a service, oldest first, as "TYPE STATUS, …".
operations_are() {
    local seen
    seen=$(of_runner "$1" '[.Operations[] | "\(.Type) \(.Status)"] | join(", ")')
    [ "$seen" = "$2" ] || { echo "operations: $seen"; show; return 1; }
}

runner_do() { # OPERATION NAME
    aws_do apprunner "AppRunner.$1" "{\"ServiceArn\": \"$(of_runner "$2" .ServiceArn)\"}"
}

runner_runs() { # NAME DIGEST
    local seen
    seen=$(of_runner "$1" .RunningDigest)
    [ "$seen" = "$2" ] || { echo "running: $seen"; show; return 1; }
}

# --- ECS -------------------------------------------------------------------------------------------

# What ECS was asked to change, in turn.
ecs_was_asked() { # TEXT
    local seen
    seen=$(control state | jq -r '[.aws.ecs.effects[].action] | join(" ")')
    [ "$seen" = "$1" ] || { echo "asked: $seen"; show; return 1; }
}

# --- what stands -----------------------------------------------------------------------------------

# labels_of PARAMETER: all its versions, oldest first, as "VALUE[label …] …".
labels_of() {
    control state | jq -r --arg name "$1" '[.aws.parameters[] | select(.name == $name) |
        .versions[] | "\(.value)[\(.labels | sort | join(" "))]"] | join(" ")'
}

labels_are() { # PARAMETER TEXT
    local seen
    seen=$(labels_of "$1")
    [ "$seen" = "$2" ] || { echo "parameter: $seen"; show; return 1; }
}
