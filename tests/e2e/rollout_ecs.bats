#!/usr/bin/env bats
# Rollouts of ECS services by the real binary against the sandbox: every way they end, and what is
# true, said and running then.

load lib
load rollout_lab

setup_file() {
    world_template
}

setup() {
    world_make
}

teardown() {
    world_end
}

@test "a deployment rolls the service out, and is green because the digest runs" {
    ecs_start
    deploy_v2
    expect 0
    says "replaces greeter:1 (2 tasks)" "rolled out, proven: ${new:0:19}" "is deployed to 'staging'"
    runs_only "$new"
    values_are v1 v2
    # The copy is lossless but for the image and our tags; nothing else is asked for.
    holds [ "$(done_by_ecs RegisterTaskDefinition)" = 1 ]
    holds [ "$(done_by_ecs UpdateService)" = 1 ]
    local update copy
    update=$(control state | jq -c '.aws.ecs.effects[] | select(.action == "UpdateService").request | keys')
    holds [ "$update" = '["cluster","service","taskDefinition"]' ]
    copy=$(control state | jq -S '.aws.ecs.effects[] | select(.action == "RegisterTaskDefinition").request')
    ecs_do DescribeTaskDefinition '{"taskDefinition": "greeter:1"}' |
        jq -S --arg image "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web@$new" '.taskDefinition |
            del(.taskDefinitionArn, .revision, .status, .requiresAttributes, .compatibilities,
                .registeredAt, .registeredBy) | .containerDefinitions[0].image = $image' >"$world/wanted"
    jq -S 'del(.tags)' <<<"$copy" >"$world/copied"
    diff "$world/wanted" "$world/copied"
    holds [ "$(jq -r '.tags[] | select(.key == "dispatcher:version").value' <<<"$copy")" = v2 ]
    holds [ "$(jq -r '.tags[] | select(.key == "dispatcher:digest").value' <<<"$copy")" = "$new" ]
}

@test "the same once more does nothing" {
    ecs_start
    deploy_v2
    expect 0
    deploy_v2
    expect 0
    says "runs it already, proven"
    holds [ "$(done_by_ecs UpdateService)" = 1 ]
    holds [ "$(done_by_ecs RegisterTaskDefinition)" = 1 ]
}

@test "the circuit breaker rolls back: the old digest runs, the parameter is restored" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "breaker-rollback", "exit_code": 3,
        "log": ["cannot reach the database"], "reason": "the disk is full"}'
    deploy_v2
    expect 7
    says "rolling back" "container 'web': the disk is full (exit code 3)" \
        "log: cannot reach the database" "was rolled back by the platform" \
        "parameter $parameter is restored"
    runs_only "$old"
    values_are v1 v2 v1
    holds [ "$(done_by_ecs UpdateService)" = 1 ]
}

@test "an image that cannot be pulled is told by ECS' own words" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "breaker-rollback",
        "reason": "CannotPullContainerError: no basic auth credentials"}'
    deploy_v2
    expect 7
    says "container 'web': CannotPullContainerError: no basic auth credentials"
}

@test "a rollback that fails: exit 8, and nobody says that it is restored" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "rollback-failed", "count": "all"}'
    export DISPATCHER_PROVE_MS=500
    deploy_v2 --timeout 20s
    expect 8
    says "could not roll it back" "could NOT be restored"
    says_not "'web' is restored"
}

@test "another deployment comes in between: superseded, exit 11, and left alone" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "superseded"}'
    deploy_v2
    expect 11
    says "was superseded by another deployment" "came after it"
    values_are v1 v2 v1
    holds [ "$(done_by_ecs UpdateService)" = 1 ]
}

@test "somebody stops it half way: it goes back whole, exit 11" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "stopped"}'
    deploy_v2
    expect 11
    says "'web' was stopped" "'web' is restored"
    runs_only "$old"
    values_are v1 v2 v1
}

@test "it ends well and another digest runs: not green" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "wrong-digest"}'
    export DISPATCHER_PROVE_MS=500
    deploy_v2
    expect 7
    says "does not run what was asked for" "instead of $new"
    runs_only "$old"
    values_are v1 v2 v1
}

@test "nothing begins after it was asked for: unknown, exit 9" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "no-deployment-found"}'
    export DISPATCHER_FIND_MS=500
    deploy_v2
    expect 9
    says "no deployment of service 'greeter-staging' was found within"
    says_not "is deployed"
}

@test "a crash loop without a breaker ends at our limit; on_timeout: cancel takes it back" {
    ecs_start '.deploymentConfiguration = {}'
    scenario '{"service": "greeter-staging", "scenario": "crash-loop", "exit_code": 1}'
    deploy_v2 --timeout 3s --on-timeout cancel
    expect 7
    says "circuit breaker of service 'greeter-staging' is off" "out of time" \
        "container 'web' ended with exit code 1"
    runs_only "$old"
}

@test "an unknown status is no success: it is asked again until our limit" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "unknown-status"}'
    deploy_v2 --timeout 2s
    expect 10
    says "is still"
}

@test "service deployments may not be read: the classic id is followed, and it is said once" {
    ecs_start
    control aws/deny -X POST --data-binary '{"actions": ["ecs:ListServiceDeployments",
        "ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions"]}' >/dev/null
    deploy_v2
    expect 0
    says "followed by its classic id" "proven: ${new:0:19}"
    runs_only "$new"
}
