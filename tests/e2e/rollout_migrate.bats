#!/usr/bin/env bats
# One-off tasks before a rollout, by the real binary against the sandbox: what they run, what they
# say, how they end, and that a failed one stops everything.

load lib
load rollout_lab

setup_file() {
    world_template
}

setup() {
    world_make
    export DISPATCHER_LOG_DRAIN_MS=100
    ecs_start
    spec_is <<'YAML'
deploy:
  via: direct
  target: {kind: ecs, cluster: blue, service: "greeter-{env}"}
  migrate: {service: web, command: [uv, run, alembic, upgrade, head], timeout: 20s}
YAML
}

teardown() {
    world_end
}

run_task() {
    control state | jq -c '.aws.ecs.effects[] | select(.action == "RunTask").request'
}

nothing_rolled_out() {
    holds [ "$(done_by_ecs UpdateService)" = 0 ]
    runs_only "$old"
    values_are v1 v2 v1
}

@test "it runs on the new digest with the service's network, its lines are shown, then the rollout" {
    scenario '{"family": "greeter", "scenario": "success", "log": ["Running upgrade -> 3f1", "::warning::done"]}'
    dispatcher plan greeter --env staging --version v2 --image "oci:$world/image2"
    says "run 'uv run alembic upgrade head' once on the image of 'web', 20s at most"
    deploy_v2
    expect 0
    says "| Running upgrade -> 3f1" "| : :warning::done" "exit code 0 after"
    runs_only "$new"
    # One revision for both; nothing else than asked for.
    holds [ "$(done_by_ecs RegisterTaskDefinition)" = 1 ]
    holds [ "$(run_task | jq -r '.taskDefinition | sub(".*/"; "")')" = greeter:2 ]
    holds [ "$(run_task | jq -c .networkConfiguration)" = '{"awsvpcConfiguration":{"subnets":["subnet-1"]}}' ]
    holds [ "$(run_task | jq -r .launchType)" = FARGATE ]
    holds [ "$(run_task | jq -c .overrides.containerOverrides)" = '[{"name":"web","command":["uv","run","alembic","upgrade","head"]}]' ]
    holds [ "$(run_task | jq -r '.startedBy | startswith("dispatcher/d-")')" = true ]
    holds [ "$(run_task | jq -r '.clientToken | length')" = 64 ]
}

@test "an exit code that is not 0: nothing is rolled out, the version is restored, exit 7" {
    scenario '{"family": "greeter", "scenario": "exit", "exit_code": 3, "log": ["relation exists"]}'
    deploy_v2
    expect 7
    says "the one-off task of 'web' failed: it ended with exit code 3: Essential container in task exited" \
        "relation exists" "parameter $parameter is restored"
    nothing_rolled_out
}

@test "it cannot be started: the reason of the container" {
    scenario '{"family": "greeter", "scenario": "not-started", "reason": "CannotPullContainerError: denied"}'
    deploy_v2
    expect 7
    says "it could not be started: CannotPullContainerError: denied"
    nothing_rolled_out
}

@test "no exit code is no success" {
    scenario '{"family": "greeter", "scenario": "no-exit-code"}'
    deploy_v2
    expect 7
    says "it ended without an exit code"
    nothing_rolled_out
}

@test "no capacity: what ECS says is missing" {
    scenario '{"family": "greeter", "scenario": "no-capacity"}'
    deploy_v2
    expect 12
    says "the one-off task could not be started" "RESOURCE"
    nothing_rolled_out
}

@test "it does not end: it is stopped at its limit" {
    sed -i 's/timeout: 20s/timeout: 1s/' "$world/infra/appspecs/greeter.yaml"
    in_infra true
    scenario '{"family": "greeter", "scenario": "hang"}'
    deploy_v2
    expect 7
    says "it was stopped: it had not ended after 1.0s"
    holds [ "$(done_by_ecs StopTask)" = 1 ]
    nothing_rolled_out
}

@test "killed while it runs: resume follows the same task" {
    scenario '{"family": "greeter", "scenario": "success", "delay": "2s"}'
    deploy_behind_v2
    until_true 20 task_was_started
    kill -9 "$deploying"
    wait "$deploying" 2>/dev/null || true
    dispatcher resume "$(id_of_last)"
    expect 0
    runs_only "$new"
    holds [ "$(control state | jq '[.aws.ecs.clusters[].tasks[]] | length')" = 1 ]
}

task_was_started() {
    [ "$(done_by_ecs RunTask)" -ge 1 ]
}

@test "a re-run of the CI job does not migrate twice; one that had failed does" {
    export GITHUB_ACTIONS=true GITHUB_RUN_ID=42 GITHUB_JOB=deploy GITHUB_REPOSITORY=demo/greeter \
        GITHUB_REPOSITORY_ID=7
    scenario '{"family": "greeter", "scenario": "exit", "exit_code": 1}'
    deploy_v2
    expect 7
    deploy_v2
    expect 0
    holds [ "$(control state | jq '[.aws.ecs.clusters[].tasks[]] | length')" = 2 ]
    # Both have run by now; a third attempt of the same job finds the one that went well.
    ecs_do UpdateService '{"cluster": "blue", "service": "greeter-staging", "taskDefinition": "greeter:1"}' >/dev/null
    until_true 20 runs_old
    deploy_v2
    expect 0
    says "has migrated: it is not run again"
    holds [ "$(control state | jq '[.aws.ecs.clusters[].tasks[]] | length')" = 2 ]
}

runs_old() {
    [ "$(running)" = "$old" ]
}

@test "it may not be started: exit 4 with the action, and the version is restored" {
    control aws/deny -X POST --data-binary '{"actions": ["ecs:RunTask"]}' >/dev/null
    deploy_v2
    expect 4
    says "ecs:RunTask"
    nothing_rolled_out
}
