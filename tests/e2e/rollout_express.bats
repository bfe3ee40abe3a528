#!/usr/bin/env bats
# Rollouts of Express Mode services by the real binary against the sandbox.

load lib
load rollout_lab

setup_file() {
    world_template
}

setup() {
    world_make
    ecs_start
    "$DISPATCHER_BIN" push "oci:$world/image" "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web:v1" >/dev/null 2>&1
    roles='execution_role: "arn:aws:iam::123456789012:role/execution", infrastructure_role: "arn:aws:iam::123456789012:role/infrastructure"'
    spec_is <<<"deploy: {via: direct, target: {kind: ecs-express, cluster: blue, service: front, create: true, $roles}}"
}

teardown() {
    world_end
}

express_v1() {
    ecs_do CreateExpressGatewayService "$(jq -n --arg image "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web:v1" '{
        serviceName: "front", cluster: "blue", executionRoleArn: "arn:aws:iam::123456789012:role/execution",
        infrastructureRoleArn: "arn:aws:iam::123456789012:role/infrastructure",
        primaryContainer: {image: $image, environment: [{name: "A", value: "1"}]}}')" >/dev/null
    until_true 30 front_is_at_rest
}

front_is_at_rest() {
    [ "$(of_service '[.currentServiceDeployment, (.deployments | length)] | @json' front)" = '[null,1]' ]
}

@test "a service that is not there is created, when the spec says so" {
    deploy_v2
    expect 0
    says "creates Express service 'front'" "proven: ${new:0:19}"
    runs_only "$new" front
    holds [ "$(done_by_ecs CreateExpressGatewayService)" = 1 ]
}

@test "the answer to the creation is lost: unknown, and resume finds the service" {
    fault 'POST * target=*.CreateExpressGatewayService effect=lost-answer count=all'
    deploy_v2
    expect 9
    says "whether Express service 'front' was created is not known"
    dispatcher resume "$(id_of_last)"
    expect 0
    runs_only "$new" front
    holds [ "$(done_by_ecs CreateExpressGatewayService)" = 1 ]
}

@test "not without create, and not without its roles" {
    spec_is <<<"deploy: {via: direct, target: {kind: ecs-express, cluster: blue, service: front}}"
    deploy_v2
    expect 3
    says "there is no Express service 'front' in cluster 'blue'" "create: true"
    values_are v1
}

@test "an update sends the image and leaves the rest as it is" {
    express_v1
    deploy_v2
    expect 0
    says "replaces" "proven: ${new:0:19}"
    runs_only "$new" front
    local request
    request=$(control state | jq -c '.aws.ecs.effects[] | select(.action == "UpdateExpressGatewayService").request')
    holds [ "$(jq -c 'keys' <<<"$request")" = '["primaryContainer","serviceArn"]' ]
    holds [ "$(jq -r .primaryContainer.image <<<"$request")" = "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web@$new" ]
    holds [ "$(jq -c .primaryContainer.environment <<<"$request")" = '[{"name":"A","value":"1"}]' ]
    deploy_v2
    expect 0
    says "runs it already"
    holds [ "$(done_by_ecs UpdateExpressGatewayService)" = 1 ]
}

@test "a rollback by the platform: exit 7, and the old digest runs" {
    express_v1
    scenario '{"service": "front", "scenario": "alarm"}'
    deploy_v2
    expect 7
    says "was rolled back by the platform"
    runs_only "$old" front
    values_are v1 v2 v1
}

@test "a check that fails afterwards: our own hand brings image and variables back" {
    express_v1
    spec_is <<YAML
deploy:
  via: direct
  target: {kind: ecs-express, cluster: blue, service: front, environment: {A: "2"}}
  verify:
    - {url: "http://127.0.0.1:9/health", within: 1s}
YAML
    deploy_v2
    expect 7
    says "'web' is restored"
    runs_only "$old" front
    holds [ "$(control state | jq -c '[.aws.ecs.effects[] | select(.action == "UpdateExpressGatewayService")
        .request.primaryContainer.environment[0].value]')" = '["2","1"]' ]
}

@test "an ordinary service is not one of Express Mode, nor the reverse" {
    spec_is <<<"deploy: {via: direct, target: {kind: ecs-express, cluster: blue, service: greeter-staging}}"
    deploy_v2
    expect 3
    says "service 'greeter-staging' is not one of Express Mode" "kind: ecs"
    express_v1
    spec_is <<<"deploy: {via: direct, target: {kind: ecs, cluster: blue, service: front}}"
    deploy_v2
    expect 3
    says "is one of Express Mode" "kind: ecs-express"
    values_are v1
}

@test "killed before the answer to the update: resume finds what it had asked for" {
    express_v1
    fault 'POST * target=*.UpdateExpressGatewayService delay-after=5s'
    deploy_behind_v2
    until_true 20 update_was_done
    kill -9 "$deploying"
    wait "$deploying" 2>/dev/null || true
    dispatcher resume "$(id_of_last)"
    expect 0
    runs_only "$new" front
    holds [ "$(done_by_ecs UpdateExpressGatewayService)" = 1 ]
}

update_was_done() {
    [ "$(done_by_ecs UpdateExpressGatewayService)" = 1 ]
}

@test "a migration for an Express service runs on the new digest" {
    express_v1
    spec_is <<YAML
deploy:
  via: direct
  target: {kind: ecs-express, cluster: blue, service: front}
  migrate: {service: web, command: [migrate], timeout: 20s}
YAML
    deploy_v2
    expect 0
    says "exit code 0 after"
    runs_only "$new" front
    holds [ "$(control state | jq -r '.aws.ecs.effects[] | select(.action == "RunTask").request.overrides.containerOverrides[0].name')" = Main ]
}
