#!/usr/bin/env bats
# rollout, prove, rollback, status: the verbs around a release, with the real binary against the
# sandbox's ECS.

load lib

setup_file() {
    world_template
}

setup() {
    world_make
    export DISPATCHER_PROVE_MS=3000
    sandbox_start --rollout-delay 1s
    registry=$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web
    for version in v1 v2 v3; do
        image_of "$version"
        "$DISPATCHER_BIN" push "oci:$world/$version" "$registry:$version" >/dev/null 2>&1
    done
    control aws/ecs/seed -d "$(jq -cn --arg image "$registry:v1" '{clusters: [{name: "blue",
        services: [{name: "greeter", image: $image, desiredCount: 2}]}]}')" >/dev/null
}

teardown() {
    world_end
}

# An image that differs by one label.
image_of() { # VERSION
    "$DISPATCHER_ROOT/scripts/demo-image" "$world/app" "$world/$1" >/dev/null
    python3 - "$world/$1" "$1" <<'PYTHON'
import hashlib, json, pathlib, sys
root, version = pathlib.Path(sys.argv[1]), sys.argv[2]
def put(value):
    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    (root / "blobs/sha256" / digest).write_bytes(data)
    return "sha256:" + digest, len(data)
index = json.loads((root / "index.json").read_text())
manifest = json.loads((root / "blobs/sha256" / index["manifests"][0]["digest"][7:]).read_text())
config = json.loads((root / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())
config["author"] = version
manifest["config"]["digest"], manifest["config"]["size"] = put(config)
index["manifests"][0]["digest"], index["manifests"][0]["size"] = put(manifest)
(root / "index.json").write_text(json.dumps(index))
PYTHON
}

# spec_is VIA: the greeter runs in ECS.
spec_is() {
    cat >"$world/infra/appspecs/greeter.yaml" <<END
title: Greeter
name: greeter
repo: demo/greeter
services:
  web: {expose: 3000}
deploy:
  via: $1
  target: {kind: ecs, cluster: blue, service: greeter}
END
    in_infra true
}

digest_of() { # VERSION
    control state | jq -r --arg tag "$1" '.registry[] |
        select(.name == "greeter-staging-web") | .tags[$tag]'
}

# The digest that all tasks of the service run, and its task definition.
running() {
    ecs DescribeTasks "$(jq -c '{cluster: "blue", tasks: .taskArns}' \
        <<<"$(ecs ListTasks '{"cluster": "blue", "serviceName": "greeter"}')")" |
        jq -r '[.tasks[].containers[].imageDigest] | unique | join(" ")'
}

definition() {
    ecs DescribeServices '{"cluster": "blue", "services": ["greeter"]}' |
        jq -r '.services[0].taskDefinition | sub(".*/"; "")'
}

ecs() { # ACTION JSON: signed by curl
    curl -sS --fail-with-body --max-time 20 "$AWS_ENDPOINT_URL" \
        --aws-sigv4 "aws:amz:$AWS_REGION:ecs" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H "X-Amz-Target: AmazonEC2ContainerServiceV20141113.$1" \
        -H "Content-Type: application/x-amz-json-1.1" -d "$2"
}

# What becomes of the next deployment of the service.
scenario() {
    control aws/ecs/scenario -d "{\"cluster\": \"blue\", \"service\": \"greeter\",
        \"scenario\": \"$1\", \"times\": 1}" >/dev/null
}

# The infra side's step is `dispatcher rollout`; the registry's login is the job's own.
infra_rolls_out() {
    roll_out_is "export DISPATCHER_REGISTRY_USER='$DISPATCHER_REGISTRY_USER'
export DISPATCHER_REGISTRY_PASSWORD='$DISPATCHER_REGISTRY_PASSWORD'
export DISPATCHER_POLL_MS=100
dispatcher rollout \"\$1\" --env \"\$2\" --config dispatcher.yaml"
}

release() { # VERSION
    dispatcher deploy greeter --env staging --version "$1"
    expect 0
}

@test "deploy, deploy, roll back: the digest that was proven runs again, by its own task definition" {
    spec_is direct
    release v1
    release v2
    [ "$(labels 2)" = "deployed proven proven-1" ]
    [ "$(labels 1)" = "proven-0" ]
    dispatcher rollback greeter --env staging --reason "checkout is slow" --dry-run
    expect 0
    says "greeter v1 to staging, back from v2" "replaces greeter:3 ('v2', 2 tasks) by greeter:2 again"
    dispatcher rollback greeter --env staging --reason "checkout is slow"
    expect 0
    says "'greeter' v1 is back in 'staging' and proven to run"
    values_are v1 v2 v1
    [ "$(labels 3)" = "deployed proven proven-0" ]
    [ "$(running)" = "$(digest_of v1)" ]
    [ "$(definition)" = greeter:2 ]
    dispatcher history
    says "rollback of v2: checkout is slow"
    dispatcher history --json
    [ "$(jq -sc '.[0] | [.verb, .replaces, .reason]' <<<"$output")" = \
        '["rollback","v2","checkout is slow"]' ]
    # The one that was left is not gone back to.
    dispatcher rollback greeter --env staging --reason "again"
    expect 2
    says "'greeter' has no proven release before 'v1' in 'staging'" "'v2' (proven, but a rollback"
    values_are v1 v2 v1
}

@test "a rollback needs a reason, and never takes one that was not proven by itself" {
    spec_is direct
    put v1
    put v2
    dispatcher rollback greeter --env staging
    expect 2
    says "no reason was given"
    dispatcher rollback greeter --env staging --reason why
    expect 2
    says "has no proven release before 'v2'" "'v1' (never proven"
    dispatcher rollback greeter --env staging --reason why --to v1
    expect 0
    says "note: warning: no release 'v1' of 'web' is known to be proven"
    [ "$(running)" = "$(digest_of v1)" ]
}

@test "the infra side rolls out what the parameter says, and the app's side reads the proof" {
    spec_is workflow
    infra_rolls_out
    dispatcher deploy greeter --env staging --version v2
    expect 0
    says "'greeter' v2 is deployed to 'staging' and proven to run" \
        "proof: the infra side proved that this digest runs"
    values_are v2
    [ "$(labels 1 | tr " " "\n" | sort | xargs)" = "deployed proven proven-0" ]
    [ "$(running)" = "$(digest_of v2)" ]
}

@test "a rollout that the platform rolls back fails on both sides, and everything is as before" {
    spec_is workflow
    infra_rolls_out
    deployed_before v1
    scenario breaker-rollback
    dispatcher deploy greeter --env staging --version v2
    expect 7
    says "'web' was rolled back by the platform" "'web' is restored" "is restored ('v1' is back"
    values_are v1 v2 v1
    [ "$(running)" = "$(digest_of v1)" ]
}

@test "an infra side without a proof is looked after by ourselves" {
    spec_is workflow
    roll_out_is 'true'
    dispatcher deploy greeter --env staging --version v1
    expect 0
    says "proof: run succeeded; looked ourselves: 2 of 2 tasks run $(digest_of v1)"
    [ "$(labels 1)" = "deployed proven proven-0" ]
    dispatcher deploy greeter --env staging --version v2
    expect 9
    says "succeeded, but 'web' does not run what was asked for" "'dispatcher resume"
    [ "$(labels 2)" = "pending" ]
}

@test "prove is green only when the digest runs" {
    spec_is workflow
    put v1
    dispatcher prove greeter --env staging
    expect 0
    says "'greeter' v1 is proven to run in 'staging'"
    [ "$(labels 1)" = "deployed proven proven-0" ]
    put v2
    dispatcher prove greeter --env staging --within 1s
    expect 7
    says "'web' does not run 'v2'" "'v1', proven before, runs"
    [ "$(labels 2)" = "" ]
    put v3
    dispatcher rollout greeter --env staging
    expect 0
    put v2
    scenario wrong-digest
    ecs UpdateService '{"cluster": "blue", "service": "greeter", "forceNewDeployment": true}' >/dev/null
    dispatcher prove greeter --env staging --within 2s
    expect 8
    says "'web' does not run 'v2'" "hint: 'dispatcher status greeter --env staging' shows what runs"
    dispatcher prove greeter --env staging --within 1s --expect "$(digest_of v1)"
    expect 6
    says "version 'v2' of 'web' is $(digest_of v2) in the registry"
}

@test "status says what runs, and what does not agree" {
    spec_is direct
    release v1
    dispatcher status greeter --env staging
    expect 0
    says "staging  web  v1  proven  sha256:" "runs: 2 of 2 tasks run $(digest_of v1)"
    says_not "drift:"
    put v2
    dispatcher status greeter --env staging
    expect 0
    says "drift: no successful run is recorded for this version; the last one was of 'v1'" \
        "drift: it is set to 'v1', and the parameter says 'v2'" \
        "drift: what runs is not, or not everywhere, what the parameter says"
    dispatcher status greeter --env staging --json
    [ "$(jq -c '[.version, .deployed, .target.version, .target.as_expected, (.drift | length)]' \
        <<<"$output")" = '["v2",false,"v1",false,3]' ]
}

@test "events of every verb keep to their schema" {
    needs python3
    python3 -c 'import jsonschema' 2>/dev/null || skip "jsonschema is not installed"
    spec_is direct
    dispatcher deploy greeter --env staging --version v1 --json
    expect 0
    printf '%s\n' "$output" >"$world/events"
    dispatcher rollout greeter --env staging --json
    expect 0
    printf '%s\n' "$output" >>"$world/events"
    dispatcher prove greeter --env staging --json
    expect 0
    printf '%s\n' "$output" >>"$world/events"
    scenario breaker-rollback
    dispatcher deploy greeter --env staging --version v2 --json
    expect 7
    printf '%s\n' "$output" >>"$world/events"
    python3 "$DISPATCHER_ROOT/tests/e2e/check_events.py" "$DISPATCHER_ROOT/docs/events.schema.json" \
        "$world/events"
    jq -se 'any(.[]; .event == "target" and .outcome == "rolled-back")' "$world/events"
    jq -se 'any(.[]; .event == "target" and .proven and .running_digest == "'"$(digest_of v1)"'")' \
        "$world/events"
}

@test "verify: addresses are asked after the rollout, and a bad answer takes it back" {
    spec_is direct
    release v1
    printf '  verify: [{url: "%s/_sandbox/nothing-here", within: 1s}]\n' \
        "${DISPATCHER_SANDBOX_CONTROL%/_sandbox*}" >>"$world/infra/appspecs/greeter.yaml"
    in_infra true
    dispatcher deploy greeter --env staging --version v2
    expect 7
    says "failed: HTTP 404 where 200 was expected" "'web' is restored"
    values_are v1 v2 v1
    [ "$(running)" = "$(digest_of v1)" ]
}

# demanding_service [JSON]: one whose task definition wants a role, secrets and a log group, and has
# these members, too.
demanding_service() {
    local more=${1:-'{}'}
    control aws/ecs/seed -d "$(jq -cn --arg image "$registry:v1" --argjson more "$more" '{clusters: [{name: "blue",
        services: [{name: "shop", desiredCount: 2, taskDefinition: ({family: "shop",
            requiresCompatibilities: ["FARGATE"], networkMode: "awsvpc", cpu: "256", memory: "512",
            containerDefinitions: [{name: "web", image: $image, essential: true,
                secrets: [{name: "KEY", valueFrom: "/shop/key"},
                    {name: "DB", valueFrom: "arn:aws:secretsmanager:us-east-1:123456789012:secret:shop/db-abcdef:password::"}],
                logConfiguration: {logDriver: "awslogs", options: {"awslogs-group": "/shop",
                    "awslogs-region": "us-east-1", "awslogs-stream-prefix": "web"}}}]} + $more)}]}]}')" >/dev/null
    sed -i 's/service: greeter}/service: shop}/' "$world/infra/appspecs/greeter.yaml"
    in_infra true
}

@test "verify looks at what a rollout would meet, and changes nothing" {
    spec_is direct
    put v1
    before=$(effects)
    dispatcher verify greeter --env staging
    expect 0
    says "✓ image        127.0.0.1" "✓ target       'web': a rollout replaces greeter:1 (2 tasks)" \
        "✓ cluster      'blue' is ACTIVE, 2 tasks run" \
        "! target       'web': the deployment circuit breaker of service 'greeter' is off" \
        "✓ proof        what 'web' runs can be read: 2 of 2 tasks run $(digest_of v1)" \
        "11 checks, 0 failed, 1 warning"
    dispatcher verify greeter --env staging --version v9
    expect 2
    says "✗ image        " "greeter-staging-web:v9 is not in the registry"
    [ "$(effects)" = "$before" ]
}

@test "verify names what a task definition lacks" {
    spec_is direct
    put v1
    demanding_service
    dispatcher verify greeter --env staging
    expect 3
    says "✗ secret       'KEY' is to come from /shop/key, which does not exist" \
        "✗ secret       'DB' is to come from arn:aws:secretsmanager:us-east-1:123456789012:secret:shop/db-abcdef" \
        "✗ role         the task definition names no execution role, which reading its secrets needs" \
        "✓ log          'web' writes to /shop"
    says_not "secrets of the task definition exist"
    put geheim /shop/key
    dispatcher verify greeter --env staging
    expect 3
    says "✓ secret       1 of 2 secrets of the task definition exist"
    says_not "geheim" "'KEY' is to come"
}

@test "verify names each permission that is missing" {
    spec_is direct
    put v1
    demanding_service
    control aws/deny -d '{"actions": ["ecs:ListServiceDeployments", "ecs:DescribeTasks",
        "ssm:GetParameterHistory", "secretsmanager:DescribeSecret"]}' >/dev/null
    dispatcher verify greeter --env staging
    expect 3
    says "! permission   ecs:ListServiceDeployments is not allowed" \
        "1 of 2 secrets of the task definition may not be looked at" "ecs:DescribeTasks"
    control aws/deny -d '{"actions": ["ecs:DescribeServices"]}' >/dev/null
    dispatcher verify greeter --env staging --json
    expect 4
    jq -se 'any(.[]; .area == "target" and .verdict == "bad" and (.fix | test("ecs:DescribeServices")))' <<<"$output"
}

roles_are() { # JSON list
    control aws/iam -d "{\"roles\": $1}" >/dev/null
}

@test "verify: roles of a task definition exist and trust ECS" {
    spec_is direct
    put v1
    put x /shop/key
    role=arn:aws:iam::123456789012:role
    demanding_service "{\"executionRoleArn\": \"$role/service/pull\", \"taskRoleArn\": \"$role/run\"}"
    dispatcher verify greeter --env staging
    expect 3
    says "✗ role         execution role $role/service/pull does not exist" \
        "✗ role         task role $role/run does not exist" \
        "Create it so that it trusts ecs-tasks.amazonaws.com"
    says_not "names no"
    # One of another path is another role; one that trusts somebody else does not help.
    roles_are '[{"name": "pull", "trust": ["ecs-tasks.amazonaws.com"]}, {"name": "run", "trust": ["ec2.amazonaws.com"]}]'
    dispatcher verify greeter --env staging
    expect 3
    says "✗ role         execution role $role/service/pull does not exist (the role of that name is $role/pull)" \
        "✗ role         task role $role/run does not trust ecs-tasks.amazonaws.com" \
        "Add the service 'ecs-tasks.amazonaws.com' as a principal, with the action sts:AssumeRole"
    roles_are '[{"name": "pull", "path": "/service/", "trust": ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]},
        {"name": "run", "trust": {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "ecs-tasks.amazonaws.com"},
            "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}}}]'
    before=$(effects)
    dispatcher verify greeter --env staging
    says "✓ role         execution role $role/service/pull trusts ecs-tasks.amazonaws.com" \
        "✓ role         task role $role/run trusts ecs-tasks.amazonaws.com, with conditions, which are not evaluated"
    says_not "✗ role" "! role"
    [ "$(effects)" = "$before" ]
}

@test "verify: roles that cannot be read are warnings" {
    spec_is direct
    put v1
    role=arn:aws:iam::123456789012:role
    demanding_service "{\"executionRoleArn\": \"$role/pull\", \"taskRoleArn\": \"arn:aws:iam::999999999999:role/run\"}"
    # The same name here is not the role that is meant.
    roles_are '[{"name": "run", "trust": ["ecs-tasks.amazonaws.com"]}]'
    control aws/deny -d '{"actions": ["iam:GetRole"]}' >/dev/null
    dispatcher verify greeter --env staging
    expect 3 # for its secrets
    says "! role         execution role $role/pull may not be looked at: iam:GetRole is not allowed" \
        "! role         task role arn:aws:iam::999999999999:role/run is of another account than 123456789012" \
        "Allow iam:GetRole to have it checked"
    says_not "✗ role" "✓ role"
    dispatcher verify greeter --env staging --json
    [ "$(jq -sc '[.[] | select(.area == "role") | .verdict] | sort' <<<"$output")" = '["warning","warning"]' ]
    control aws/deny -d '{"actions": []}' >/dev/null
    dispatcher verify greeter --env staging
    says "✗ role         execution role $role/pull does not exist" "! role         task role"
    says_not "✓ role"
    roles_are '[{"name": "pull", "trust": ["ecs-tasks.amazonaws.com"]}]'
    fault 'POST /aws* target=GetRole count=all status=500 body="<html>no</html>" header="Content-Type: text/html"'
    AWS_MAX_ATTEMPTS=1 dispatcher verify greeter --env staging
    expect 3
    says "! role         look for role '$role/pull': iam GetRole: an HTML page instead of an answer"
}

@test "verify: roles of Express Mode and of App Runner trust their services" {
    role=arn:aws:iam::123456789012:role
    spec_is direct
    put v1
    sed -i "s|target: .*|target: {kind: ecs-express, cluster: blue, service: front, create: true, execution_role: '$role/pull', infrastructure_role: '$role/build', task_role: '$role/run'}|" \
        "$world/infra/appspecs/greeter.yaml"
    in_infra true
    roles_are '[{"name": "pull", "trust": ["ecs-tasks.amazonaws.com"]}, {"name": "build", "trust": ["ecs-tasks.amazonaws.com"]}]'
    dispatcher verify greeter --env staging
    expect 3
    says "✓ role         execution role $role/pull trusts ecs-tasks.amazonaws.com" \
        "✗ role         infrastructure role $role/build does not trust ecs.amazonaws.com" \
        "✗ role         task role $role/run does not exist"
    # A rollout leaves the roles of a service as they are: those count, not the spec's.
    ecs CreateExpressGatewayService "$(jq -n --arg image "$registry:v1" --arg role "$role" '{
        serviceName: "front", cluster: "blue", executionRoleArn: "\($role)/pull",
        infrastructureRoleArn: "\($role)/other", primaryContainer: {image: $image}}')" >/dev/null
    dispatcher verify greeter --env staging
    expect 3
    says "✗ role         infrastructure role $role/other does not exist"
    says_not "$role/build does not" "task role"
    control aws/apprunner/seed -d "$(jq -cn --arg image "$registry:v1" \
        '{delay: "200ms", services: [{name: "greeter", image: $image}]}')" >/dev/null
    sed -i "s|target: .*|target: {kind: apprunner, service: greeter, instance_role: '$role/pull'}|" \
        "$world/infra/appspecs/greeter.yaml"
    in_infra true
    dispatcher verify greeter --env staging
    expect 3
    says "✓ role         access role $role/apprunner-ecr trusts build.apprunner.amazonaws.com" \
        "✗ role         instance role $role/pull does not trust tasks.apprunner.amazonaws.com"
}

@test "verify: a role that targets share is looked at once" {
    role=arn:aws:iam::123456789012:role
    roles="execution_role: '$role/pull', infrastructure_role: '$role/pull'"
    cat >"$world/infra/appspecs/greeter.yaml" <<END
title: Greeter
name: greeter
repo: demo/greeter
services:
  web: {expose: 3000}
  worker: {expose: 3001}
deploy:
  via: direct
  targets:
    web: {kind: ecs-express, cluster: blue, service: front, create: true, $roles}
    worker: {kind: ecs-express, cluster: blue, service: back, create: true, $roles}
END
    in_infra true
    dispatcher verify greeter --env staging --json
    [ "$(jq -sc '[.[] | select(.area == "role") | .text | sub(" arn.*/pull"; "")]' <<<"$output")" = \
        '["execution role does not exist","infrastructure role does not exist"]' ]
    [ "$(jq -sc '[.[] | select(.area == "target" and .verdict == "good")] | length' <<<"$output")" = 2 ]
}

@test "verify says that a service is scaled to nothing" {
    spec_is direct
    put v1
    ecs UpdateService '{"cluster": "blue", "service": "greeter", "desiredCount": 0}' >/dev/null
    dispatcher verify greeter --env staging
    expect 6
    says "✗ target       look at target 'web': service 'greeter' of cluster 'blue' is scaled to 0"
}

@test "the same verbs on App Runner" {
    control aws/apprunner/seed -d "$(jq -cn --arg image "$registry:v1" \
        '{delay: "200ms", services: [{name: "greeter", image: $image}]}')" >/dev/null
    spec_is direct
    sed -i 's/target: .*/target: {kind: apprunner, service: greeter}/' \
        "$world/infra/appspecs/greeter.yaml"
    in_infra true
    release v1
    release v2
    dispatcher verify greeter --env staging
    expect 0
    says "✓ target       'web': a rollout replaces" "✓ proof        what 'web' runs can be read"
    dispatcher rollback greeter --env staging --reason "checkout is slow"
    expect 0
    says "'greeter' v1 is back in 'staging' and proven to run"
    values_are v1 v2 v1
    dispatcher prove greeter --env staging
    expect 0
    dispatcher status greeter --env staging
    expect 0
    says "staging  web  v1  proven  sha256:" "rollback of 'v2': checkout is slow" "runs: App Runner service 'greeter' runs"
    says_not "drift:"
    put v2
    dispatcher prove greeter --env staging --within 1s
    expect 7
    [ "$(labels 4)" = "" ]
}
