#!/usr/bin/env bats
# `dispatcher continue` against the sandbox's ECS: deployments that stand at a PAUSE hook.

load lib

setup_file() {
    world_template
}

setup() {
    world_make
    sandbox_start
    in_infra sh -c 'cat >appspecs/greeter.yaml' <<'END'
title: Greeter
name: greeter
repo: demo/greeter
services:
  web: {expose: 3000}
  api: {expose: 3001}
deploy:
  target: {kind: ecs, cluster: blue, service: "{name}-{env}-{service}"}
END
    order aws/ecs/seed '{"clusters": [{"name": "blue", "services": [
        {"name": "greeter-staging-web", "image": "r/web:1"},
        {"name": "greeter-staging-api", "image": "r/api:1"}]}]}'
}

teardown() {
    world_end
}

order() {
    "$DISPATCHER_BIN" sandbox-control "$@" >/dev/null
}

ecs() {
    curl -sS --fail-with-body --max-time 20 "$AWS_ENDPOINT_URL" \
        --aws-sigv4 "aws:amz:$AWS_REGION:ecs" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H "X-Amz-Target: AmazonEC2ContainerServiceV20141113.$1" \
        -H "Content-Type: application/x-amz-json-1.1" -d "$2"
}

# paused SERVICE...: each has a deployment that waits.
paused() {
    local service
    for service; do
        order aws/ecs/scenario "{\"service\": \"greeter-staging-$service\", \"scenario\": \"paused-hook\"}"
        ecs UpdateService "{\"cluster\": \"blue\", \"service\": \"greeter-staging-$service\",
            \"forceNewDeployment\": true}" >/dev/null
    done
    for service; do
        until_true 20 is "$service" IN_PROGRESS AWAITING_ACTION
    done
}

# is SERVICE STATUS [HOOK-STATUS]: its newest deployment.
is() {
    local arn
    arn=$(ecs ListServiceDeployments "{\"cluster\": \"blue\", \"service\": \"greeter-staging-$1\"}" |
        jq -r '.serviceDeployments[0].serviceDeploymentArn')
    [ "$(ecs DescribeServiceDeployments "{\"serviceDeploymentArns\": [\"$arn\"]}" | jq -r \
        '.serviceDeployments[0] | .status + " " + (.lifecycleHookDetails[0].status // "")')" = \
        "$2 ${3:-SUCCEEDED}" ]
}

@test "the only one that waits goes on" {
    paused web
    dispatcher continue greeter --env staging
    expect 0
    [[ "$output" == "the deployment of 'web' goes on (it stood at "*")" ]] || { show; return 1; }
    until_true 20 is web SUCCESSFUL
    dispatcher continue greeter --env staging
    expect 2
    says "no deployment of 'greeter' in 'staging' waits at a hook: 'web' is not being deployed; 'api' is not being deployed"
}

@test "or goes back" {
    paused web
    dispatcher continue greeter --env staging --service web --roll-back --json
    expect 0
    jq -e '.service == "web" and .action == "roll-back" and .hook and .stage and
        (.service_deployment | test("service-deployment/blue/greeter-staging-web/"))' <<<"$output"
    until_true 20 is web ROLLBACK_SUCCESSFUL FAILED
}

@test "of two that wait, one must be named" {
    paused web api
    dispatcher continue greeter --env staging
    expect 2
    says "2 deployments of 'greeter' in 'staging' wait" "Say which with --service: 'web', 'api'."
    dispatcher continue greeter --env staging --service api
    expect 0
    until_true 20 is api SUCCESSFUL
    is web IN_PROGRESS AWAITING_ACTION
}

@test "an answer that is lost is looked into" {
    paused web
    fault 'POST /aws* target=*.ContinueServiceDeployment effect=lost-answer count=all'
    dispatcher continue greeter --env staging
    expect 0
    says "the deployment of 'web' goes on"
    control faults -X DELETE >/dev/null
    until_true 20 is web SUCCESSFUL
}

@test "a deployment that does not wait, and a service that has no hooks" {
    order aws/ecs/scenario '{"service": "greeter-staging-web", "scenario": "slow", "delay": "1m"}'
    ecs UpdateService '{"cluster": "blue", "service": "greeter-staging-web", "forceNewDeployment": true}' >/dev/null
    dispatcher continue greeter --env staging --service web
    expect 2
    says "waits at a hook: 'web' is " "Only a deployment that stands at a PAUSE hook"
    in_infra sed -i 's/kind: ecs, cluster: blue/kind: apprunner/' appspecs/greeter.yaml
    dispatcher continue greeter --env staging
    expect 2
    says "nothing of 'greeter' in 'staging' runs on ECS" "App Runner has none"
}
