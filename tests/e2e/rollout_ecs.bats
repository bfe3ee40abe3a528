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

@test "a PAUSE hook is shown and waited for, and goes on when somebody continues it" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "paused-hook"}'
    deploy_behind_v2
    until_true 20 grep -q "waits for 'dispatcher continue'" "$world/out"
    local id hook
    id=$(of_service '.serviceDeployments[-1].serviceDeploymentArn')
    hook=$(of_service '.serviceDeployments[-1].lifecycleHookDetails[] | select(.status == "AWAITING_ACTION").hookId')
    ecs_do ContinueServiceDeployment \
        "{\"serviceDeploymentArn\": \"$id\", \"hookId\": \"$hook\", \"action\": \"CONTINUE\"}" >/dev/null
    deploy_end
    expect 0
    runs_only "$new"
}

@test "a PAUSE hook that is told to go back: exit 7" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "paused-hook"}'
    deploy_behind_v2
    until_true 20 grep -q "waits for 'dispatcher continue'" "$world/out"
    local id hook
    id=$(of_service '.serviceDeployments[-1].serviceDeploymentArn')
    hook=$(of_service '.serviceDeployments[-1].lifecycleHookDetails[] | select(.status == "AWAITING_ACTION").hookId')
    ecs_do ContinueServiceDeployment \
        "{\"serviceDeploymentArn\": \"$id\", \"hookId\": \"$hook\", \"action\": \"ROLLBACK\"}" >/dev/null
    deploy_end
    expect 7
    runs_only "$old"
}

@test "a canary's stages and its bake time are shown" {
    ecs_start '.deploymentConfiguration = {strategy: "CANARY", bakeTimeInMinutes: 1,
        canaryConfiguration: {canaryPercent: 20, canaryBakeTimeInMinutes: 1}} | .bake_minute = "500ms" | .delay = "1s"'
    deploy_v2
    expect 0
    says "PRODUCTION_TRAFFIC_SHIFT" "20% of the traffic" "BAKE_TIME" "is watched for 1 min"
    runs_only "$new"
}

@test "killed while it rolls out: resume follows the same deployment, and asks for nothing twice" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "success", "delay": "2s"}'
    deploy_behind_v2
    until_true 20 grep -q "of 2 tasks run" "$world/out"
    kill -9 "$deploying"
    wait "$deploying" 2>/dev/null || true
    dispatcher resume "$(id_of_last)"
    expect 0
    says "proven: ${new:0:19}"
    runs_only "$new"
    holds [ "$(done_by_ecs UpdateService)" = 1 ]
    holds [ "$(done_by_ecs RegisterTaskDefinition)" = 1 ]
}

@test "killed before the answer to UpdateService: resume finds what it had asked for" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "success", "delay": "1s"}'
    fault 'POST * target=*.UpdateService delay-after=5s'
    deploy_behind_v2
    until_true 20 update_was_done
    kill -9 "$deploying"
    wait "$deploying" 2>/dev/null || true
    dispatcher resume "$(id_of_last)"
    expect 0
    runs_only "$new"
    holds [ "$(done_by_ecs UpdateService)" = 1 ]
    holds [ "$(done_by_ecs RegisterTaskDefinition)" = 1 ]
}

update_was_done() {
    [ "$(done_by_ecs UpdateService)" = 1 ]
}

# v2 is being rolled out, and takes its time; nobody follows it any more.
leave_v2_under_way() { # DELAY
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "success", "delay": "'"$1"'"}'
    deploy_behind_v2
    until_true 20 update_was_done
    until_true 20 v2_has_an_id
    kill -9 "$deploying"
    wait "$deploying" 2>/dev/null || true
}

v2_has_an_id() {
    [ "$(of_service .currentServiceDeployment)" != null ]
}

@test "a rollback stops the deployment that is under way, and deploys nothing" {
    leave_v2_under_way 12s
    dispatcher rollback greeter --env staging --to v1 --reason "v2 is slow" --dry-run
    expect 0
    says "stop what is being deployed to service 'greeter-staging'" \
        "stops the deployment that is under way: ECS goes back to 'v1' by itself"
    dispatcher rollback greeter --env staging --to v1 --reason "v2 is slow"
    expect 0
    says "is back, proven: ${old:0:19}"
    runs_only "$old"
    values_are v1 v2 v1
    holds [ "$(done_by_ecs StopServiceDeployment)" = 1 ]
    holds [ "$(done_by_ecs UpdateService)" = 1 ]
}

@test "a rollback that may not stop it rolls the release out instead" {
    leave_v2_under_way 12s
    control aws/deny -d '{"actions": ["ecs:StopServiceDeployment"]}' >/dev/null
    dispatcher rollback greeter --env staging --to v1 --reason "v2 is slow"
    expect 0
    says "ecs:StopServiceDeployment" "'v1' is rolled out anew" "proven: ${old:0:19}"
    runs_only "$old"
    values_are v1 v2 v1
    holds [ "$(done_by_ecs UpdateService)" = 2 ]
}

@test "a deployment that ends before it is stopped: the release is rolled out" {
    leave_v2_under_way 6s
    fault 'POST * target=*.StopServiceDeployment status=500 count=all'
    dispatcher rollback greeter --env staging --to v1 --reason "v2 is slow"
    expect 0
    says "'v1' is rolled out anew: the deployment that was to be stopped ended as SUCCESSFUL"
    runs_only "$old"
    values_are v1 v2 v1
    holds [ "$(done_by_ecs UpdateService)" = 2 ]
}

@test "killed before the answer to RegisterTaskDefinition: resume uses the revision that there is" {
    ecs_start
    fault 'POST * target=*.RegisterTaskDefinition delay-after=5s'
    deploy_behind_v2
    until_true 20 register_was_done
    kill -9 "$deploying"
    wait "$deploying" 2>/dev/null || true
    dispatcher resume "$(id_of_last)"
    expect 0
    runs_only "$new"
    holds [ "$(done_by_ecs RegisterTaskDefinition)" = 1 ]
}

register_was_done() {
    [ "$(done_by_ecs RegisterTaskDefinition)" = 1 ]
}

@test "every answer to UpdateService is lost: what was done is found, and not done twice" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "success", "delay": "1s", "count": "all"}'
    fault 'POST * target=*.UpdateService effect=lost-answer count=all'
    deploy_v2
    expect 0
    runs_only "$new"
    holds [ "$(of_service '.serviceDeployments | length')" = 2 ]
}

@test "throttled, and a server that answers in HTML: it is asked again" {
    ecs_start
    fault 'POST * target=*.UpdateService status=400 body="{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"'
    fault 'POST * target=*.DescribeServiceDeployments nth=2 count=6 status=500 body="<html>no</html>"'
    deploy_v2
    expect 0
    runs_only "$new"
}

@test "interrupted: the rollout goes on, and it is said how to follow it" {
    ecs_start
    scenario '{"service": "greeter-staging", "scenario": "success", "delay": "2s"}'
    deploy_behind_v2
    until_true 20 grep -q "of 2 tasks run" "$world/out"
    kill -TERM "$deploying"
    deploy_end
    expect 143
    says "the rollout goes on" "dispatcher resume"
    dispatcher resume "$(id_of_last)"
    expect 0
    runs_only "$new"
}

# --- what is wrong before anything is changed ----------------------------------------------------

# nothing_done: no version was written, nothing asked of ECS.
nothing_done() {
    values_are v1
    holds [ "$(done_by_ecs UpdateService)" = 0 ]
    holds [ "$(done_by_ecs RegisterTaskDefinition)" = 0 ]
}

@test "a cluster, a service that is not there; one that was deleted; one scaled to zero" {
    ecs_start '.desiredCount = 0'
    deploy_v2
    expect 6
    says "service 'greeter-staging' of cluster 'blue' is scaled to 0" "allow_zero: true"
    nothing_done
    spec_is <<<'deploy: {via: direct, target: {kind: ecs, cluster: green, service: "greeter-{env}"}}'
    deploy_v2
    expect 3
    says "there is no active cluster 'green' in region 'us-east-1'"
    spec_is <<<'deploy: {via: direct, target: {kind: ecs, cluster: blue, service: other}}'
    deploy_v2
    expect 3
    says "there is no service 'other' in cluster 'blue'"
    spec_is <<<'deploy: {via: direct, target: {kind: ecs, cluster: blue, service: "greeter-{env}"}}'
    ecs_do DeleteService '{"cluster": "blue", "service": "greeter-staging"}' >/dev/null
    deploy_v2
    expect 3
    says "service 'greeter-staging' of cluster 'blue' is DRAINING"
    until_true 20 is_inactive
    deploy_v2
    expect 3
    says "service 'greeter-staging' of cluster 'blue' is INACTIVE"
    nothing_done
}

is_inactive() {
    [ "$(of_service .status)" = INACTIVE ]
}

@test "zero tasks on purpose: the rollout is green, and says what that means" {
    ecs_start '.desiredCount = 0'
    spec_is <<<'deploy: {via: direct, target: {kind: ecs, cluster: blue, service: "greeter-{env}", allow_zero: true}}'
    deploy_v2
    expect 0
    says "no task is wanted"
    holds [ "$(of_service .taskDefinition | sed 's/.*://')" = 2 ]
}

@test "each missing permission is named, and nothing is done" {
    ecs_start
    local action
    for action in DescribeServices DescribeTaskDefinition RegisterTaskDefinition UpdateService; do
        control aws/deny -X POST --data-binary "{\"actions\": [\"ecs:$action\"]}" >/dev/null
        deploy_v2
        expect 4
        says "ecs:$action"
        holds [ "$(done_by_ecs UpdateService)" = 0 ]
    done
    holds [ "$(values | tail -1)" = v1 ]
}

@test "a deployment by CodeDeploy is refused" {
    ecs_start '.deploymentController = {type: "CODE_DEPLOY"}'
    deploy_v2
    expect 3
    says "is deployed by 'CODE_DEPLOY', not by ECS itself"
    nothing_done
}

# --- images and variables ------------------------------------------------------------------------

@test "force_new_deployment: the task definition stays, and its tag must mean the digest" {
    ecs_start
    spec_is <<<'deploy: {via: direct, target: {kind: ecs, cluster: blue, service: "greeter-{env}", force_new_deployment: true}}'
    deploy_v2
    expect 6
    says "runs image" "greeter-staging-web:v1" "not '$new'"
    holds [ "$(done_by_ecs UpdateService)" = 0 ]
    "$DISPATCHER_BIN" push "oci:$world/image2" "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web:v1" >/dev/null 2>&1
    deploy_v2
    expect 0
    runs_only "$new"
    holds [ "$(done_by_ecs RegisterTaskDefinition)" = 0 ]
    holds [ "$(control state | jq -c '[.aws.ecs.effects[] | select(.action == "UpdateService").request.forceNewDeployment]')" = '[true]' ]
}

@test "the way back runs the image of before by its digest when its tag has moved" {
    ecs_start
    # The deployment ends well, and the check afterwards fails: everything goes back by our own hand.
    spec_is <<'YAML'
deploy:
  via: direct
  target: {kind: ecs, cluster: blue, service: "greeter-{env}"}
  verify:
    - {url: "http://127.0.0.1:9/health", within: 1s}
YAML
    "$DISPATCHER_BIN" push "oci:$world/image2" "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web:v1" >/dev/null 2>&1
    deploy_v2
    expect 7
    says "'web' is restored"
    runs_only "$old"
    holds [ "$(done_by_ecs RegisterTaskDefinition)" = 2 ]
}

@test "variables that the spec names are set, and the others stay" {
    ecs_start '.taskDefinition.containerDefinitions[0] += {environment: [{name: "A", value: "1"},
        {name: "B", value: "2"}], secrets: [{name: "S", valueFrom: "arn:aws:ssm:us-east-1:123456789012:parameter/s"}]}'
    spec_is <<'YAML'
deploy:
  via: direct
  target:
    kind: ecs
    cluster: blue
    service: "greeter-{env}"
    environment: {B: "two", VERSION: "{version}"}
YAML
    deploy_v2
    expect 0
    local container
    container=$(control state | jq -c '[.aws.ecs.effects[] | select(.action == "RegisterTaskDefinition")][0]
        .request.containerDefinitions[0]')
    holds [ "$(jq -c '[.environment[] | "\(.name)=\(.value)"]' <<<"$container")" = '["A=1","B=two","VERSION=v2"]' ]
    holds [ "$(jq -c '[.secrets[].name]' <<<"$container")" = '["S"]' ]
}

# --- several -------------------------------------------------------------------------------------

@test "several services: in order, one report, and back together when one fails" {
    ecs_start
    seed_worker
    deploy_both
    expect 0
    says "worker: rolled out, proven" "web: rolled out, proven"
    local first
    first=$(control state | jq -r '[.aws.ecs.effects[] | select(.action == "UpdateService").request.service] | join(" ")')
    holds [ "$first" = "greeter-worker greeter-staging" ]
}

@test "of several services one fails: the other goes back, too" {
    ecs_start
    seed_worker
    scenario '{"service": "greeter-staging", "scenario": "breaker-rollback"}'
    deploy_both
    expect 7
    says "'web' was rolled back by the platform" "'worker' is restored"
    runs_only "$old"
    runs_only "$old" greeter-worker
}

seed_worker() {
    "$DISPATCHER_BIN" push "oci:$world/image" "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-worker:v1" \
        >/dev/null 2>&1
    local image=$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-worker:v1
    ecs_do RegisterTaskDefinition "{\"family\": \"worker\", \"containerDefinitions\": [{\"name\": \"worker\",
        \"image\": \"$image\", \"memory\": 128}]}" >/dev/null
    ecs_do CreateService '{"cluster": "blue", "serviceName": "greeter-worker", "taskDefinition": "worker:1",
        "desiredCount": 1}' >/dev/null
    until_true 20 worker_runs
    sed -i 's/^services:/&\n  worker: {}/' "$world/infra/appspecs/greeter.yaml"
    sed -i '/^deploy:/,$d' "$world/infra/appspecs/greeter.yaml"
    cat >>"$world/infra/appspecs/greeter.yaml" <<'YAML'
deploy:
  via: direct
  targets:
    web: {kind: ecs, cluster: blue, service: "greeter-{env}"}
    worker: {kind: ecs, cluster: blue, service: greeter-worker}
  rollout: {order: [worker]}
YAML
    in_infra true
    parameter=/greeter/staging/worker/version say_v1
}

worker_runs() {
    [ "$(of_service .runningCount greeter-worker)" = 1 ]
}

deploy_both() {
    run --separate-stderr timeout -k 5 60 "$DISPATCHER_BIN" deploy greeter --env staging \
        --version v2 --image "web=oci:$world/image2" --image "worker=oci:$world/image2"
}
