#!/usr/bin/env bats
# The sandbox's ECS and ECS Express, driven by the AWS CLI; where states are followed, by boto3. An
# older AWS CLI (Debian 12's 2.9) does not know service deployments and Express: those are skipped.

load sandbox_lab

setup_file() {
    ECS_OPERATIONS=$(aws ecs none-of-these 2>&1 || true) # it names all that it knows
    export ECS_OPERATIONS
}

setup() {
    need aws curl jq git python3
    make_world <<<'on: workflow_dispatch'
}

teardown() {
    for pid in "${cli_pid:-}" "${sandbox_pid:-}"; do
        [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
        [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
    done
}

# A sandbox, and an AWS CLI that stays: its start takes longer than what is asked of it.
start() {
    sandbox_start "$@"
    python3 -c 'import awscli.clidriver' 2>/dev/null || return 0
    mkdir "$world/cli"
    python3 "$BATS_TEST_DIRNAME/../support/aws_in_one.py" "$world/cli" >"$world/cli.log" 2>&1 3>&- &
    cli_pid=$!
    until_true [ -p "$world/cli/answer" ]
}

aws() {
    local status=
    [ -n "${cli_pid:-}" ] || { command aws "$@"; return; }
    [ -d "/proc/$cli_pid" ] || { cat "$world/cli.log"; return 99; }
    printf '%s\0' "$@" >"$world/cli/argv"
    echo >"$world/cli/ask"
    read -rt 60 status <"$world/cli/answer"
    cat "$world/cli/err" >&2
    cat "$world/cli/out"
    return "$status"
}

# knows OPERATION...: skips where the CLI does not.
knows() {
    local operation
    for operation; do
        grep -qw -- "$operation" <<<"$ECS_OPERATIONS" ||
            skip "$(aws --version 2>&1 | cut -d' ' -f1) does not know 'ecs $operation'"
    done
}

need_boto() {
    python3 - "$@" <<'P' || skip "boto3 is not installed, or does not know $*"
import sys
try:
    import boto3
except ImportError:
    sys.exit(1)
client = boto3.client("ecs", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
sys.exit(not all(hasattr(client, name) for name in sys.argv[1:]))
P
}

# refused CODE COMMAND...: the CLI fails with exactly that error code.
refused() {
    local wanted=$1
    shift
    run --separate-stderr "$@"
    [ "$status" -ne 0 ]
    [[ "$stderr" == *"An error occurred ($wanted) when calling"* ]] || { echo "$stderr"; return 1; }
}

ecs() {
    aws ecs --output json "$@"
}

tell() { # ACTION JSON
    curl -sS --fail-with-body "$DISPATCHER_SANDBOX_CONTROL/aws/$1" -d "$2"
}

pace() { # TIME: deployments that begin from now on take that long
    tell ecs/pace '{"delay": "'"$1"'"}'
}

# until_true COMMAND...: up to 10 s.
until_true() {
    local tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { echo "never true: $*"; return 1; }
        sleep 0.05
    done
}

is_settled() {
    [ "$(control /state | jq '[.aws.ecs.clusters[].services[].currentServiceDeployment // empty] == []')" = true ]
}

paced() { # TIME: a sandbox whose deployments take that long
    start
    pace "$1"
}

seed() { # [SETTINGS]: cluster prod with a service "web" of two tasks
    tell ecs/seed '{"clusters": [{"name": "prod", "services": [
        {"name": "web", "image": "shop/web:1", "desiredCount": 2'"${1:+, $1}"'}]}]}' >/dev/null
}

register() { # FAMILY IMAGE [MORE]
    ecs register-task-definition --family "$1" --container-definitions \
        '[{"name": "'"$1"'", "image": "'"$2"'", "memory": 64'"${3:-}"'}]' |
        jq -r .taskDefinition.taskDefinitionArn
}

@test "clusters, and tags of everything" {
    start
    arn=arn:aws:ecs:us-east-1:123456789012
    [ "$(ecs create-cluster --cluster-name prod --tags key=team,value=shop |
        jq -c '[.cluster.clusterArn, .cluster.status, .cluster.tags]')" = \
        '["'$arn':cluster/prod","ACTIVE",[{"key":"team","value":"shop"}]]' ]
    ecs create-cluster >/dev/null
    [ "$(ecs list-clusters | jq -c '[.clusterArns[] | split("/")[1]]')" = '["prod","default"]' ]
    [ "$(ecs describe-clusters --clusters prod absent --include TAGS |
        jq -c '[.clusters[0].tags[0].value, .failures[0].reason]')" = '["shop","MISSING"]' ]
    ecs tag-resource --resource-arn $arn:cluster/prod --tags key=team,value=till key=b,value=c
    ecs untag-resource --resource-arn $arn:cluster/prod --tag-keys b
    [ "$(ecs list-tags-for-resource --resource-arn $arn:cluster/prod | jq -c .tags)" = \
        '[{"key":"team","value":"till"}]' ]
    refused InvalidParameterException aws ecs tag-resource --resource-arn $arn:cluster/absent \
        --tags key=a,value=b
    refused ClusterNotFoundException aws ecs list-services --cluster absent
    sandbox_stop
}

@test "task definitions keep what was registered, count revisions, and are listed by state" {
    start
    cat >"$world/td.json" <<'J'
{"family": "web", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256",
 "memory": "512", "executionRoleArn": "arn:aws:iam::123456789012:role/run",
 "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
 "ephemeralStorage": {"sizeInGiB": 30}, "volumes": [{"name": "data"}],
 "containerDefinitions": [{"name": "web", "image": "shop/web:1", "portMappings":
     [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}], "environment":
     [{"name": "VERSION", "value": "1"}], "ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
     "healthCheck": {"command": ["CMD", "true"]}, "stopTimeout": 30},
   {"name": "side", "image": "shop/side:1", "essential": false}],
 "tags": [{"key": "dispatcher:release", "value": "v1"}]}
J
    ecs register-task-definition --cli-input-json "file://$world/td.json" >"$world/made"
    [ "$(jq -c '[.taskDefinition.revision, .taskDefinition.status, .tags[0].value]' "$world/made")" = \
        '[1,"ACTIVE","v1"]' ]
    ecs describe-task-definition --task-definition web --include TAGS >"$world/told"
    [ "$(jq -r '.tags[0].value' "$world/told")" = v1 ]
    [ "$(ecs describe-task-definition --task-definition web:1 | jq .tags)" = null ]
    # Copied without the nine members that only ECS writes it is the same again.
    jq '.taskDefinition | del(.taskDefinitionArn, .revision, .status, .requiresAttributes,
        .compatibilities, .registeredAt, .registeredBy, .deregisteredAt, .deleteRequestedAt)' \
        "$world/told" >"$world/copy"
    ecs register-task-definition --cli-input-json "file://$world/copy" >"$world/again"
    diff <(jq -S '.taskDefinition | del(.taskDefinitionArn, .revision, .registeredAt)' "$world/told") \
        <(jq -S '.taskDefinition | del(.taskDefinitionArn, .revision, .registeredAt)' "$world/again")
    register other shop/other:1 >/dev/null
    [ "$(ecs list-task-definitions --sort DESC | jq -c '[.taskDefinitionArns[] | split("/")[1]]')" = \
        '["web:2","web:1","other:1"]' ]
    [ "$(ecs deregister-task-definition --task-definition web:2 | jq -r .taskDefinition.status)" = INACTIVE ]
    [ "$(ecs describe-task-definition --task-definition web | jq .taskDefinition.revision)" = 1 ]
    [ "$(ecs list-task-definitions --status INACTIVE --family-prefix web |
        jq -c '[.taskDefinitionArns[] | split("/")[1]]')" = '["web:2"]' ]
    [ "$(ecs list-task-definitions --max-items 1 --page-size 1 | jq -r '.taskDefinitionArns[0] | split("/")[1]')" = other:1 ]
    refused ClientException aws ecs describe-task-definition --task-definition absent
    refused ClientException aws ecs register-task-definition --family 'a b' \
        --container-definitions '[{"name": "a", "image": "b", "memory": 4}]'
    refused ClientException aws ecs register-task-definition --family a --container-definitions \
        '[{"name": "a", "image": "b"}]'
    sandbox_stop
}

@test "members that nobody here knows pass leniently, and are kept with their fractions" {
    need_boto
    sandbox_start
    tell models '{"mode": "lenient"}'
    python3 - <<'P'
import json, os, urllib.request
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
def call(action, body):
    request = AWSRequest("POST", os.environ["AWS_ENDPOINT_URL"], data=json.dumps(body), headers={
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonEC2ContainerServiceV20141113." + action})
    SigV4Auth(Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]),
              "ecs", "us-east-1").add_auth(request)
    with urllib.request.urlopen(urllib.request.Request(
            request.url, request.body.encode() if isinstance(request.body, str) else request.body,
            dict(request.headers))) as answer:
        return json.loads(answer.read())
made = call("RegisterTaskDefinition", {"family": "odd", "novelty": {"share": 0.125, "list": [1.5]},
    "containerDefinitions": [{"name": "odd", "image": "x", "memory": 4, "strange": 2.25}]})
told = call("DescribeTaskDefinition", {"taskDefinition": "odd"})["taskDefinition"]
assert told["novelty"] == {"share": 0.125, "list": [1.5]}, told
assert told["containerDefinitions"][0]["strange"] == 2.25, told
P
    sandbox_stop
}

@test "a service is created, updated, scaled, described, deleted" {
    paced 20s
    ecs create-cluster --cluster-name prod >/dev/null
    register web shop/web:1 >/dev/null
    ecs create-service --cluster prod --service-name web --task-definition web --desired-count 1 \
        --tags key=a,value=b >"$world/made"
    [ "$(jq -c '[.service.status, .service.desiredCount, .service.deployments[0].rolloutState,
        .service.runningCount]' "$world/made")" = '["ACTIVE",1,"IN_PROGRESS",0]' ]
    refused InvalidParameterException aws ecs create-service --cluster prod --service-name web \
        --task-definition web
    register web shop/web:2 >/dev/null
    pace 1ms
    id=$(ecs update-service --cluster prod --service web --task-definition web |
        jq -r '.service.deployments[0].id')
    [[ "$id" == ecs-svc/* ]]
    until_true is_settled
    ecs describe-services --cluster prod --services web absent --include TAGS >"$world/told"
    [ "$(jq -c '[.services[0].deployments[0].id, .services[0].deployments[0].rolloutState,
        (.services[0].deployments | length), .services[0].tags[0].value, .failures[0].reason]' "$world/told")" = \
        '["'"$id"'","COMPLETED",1,"b","MISSING"]' ]
    [[ "$(jq -r '.services[0].events[].message' "$world/told")" == *"has reached a steady state."* ]]
    [ "$(ecs list-services --cluster prod | jq -r '.serviceArns[0] | split("/")[2]')" = web ]
    refused InvalidParameterException aws ecs describe-services --cluster prod --services \
        1 2 3 4 5 6 7 8 9 10 11
    refused ServiceNotFoundException aws ecs update-service --cluster prod --service absent
    refused ClientException aws ecs update-service --cluster prod --service web --task-definition web:9
    refused InvalidParameterException aws ecs delete-service --cluster prod --service web
    pace 1s
    [ "$(ecs delete-service --cluster prod --service web --force | jq -r .service.status)" = DRAINING ]
    sleep 0.25
    [ "$(ecs describe-services --cluster prod --services web | jq -r '.services[0].status')" = INACTIVE ]
    [ "$(ecs list-services --cluster prod | jq -c .serviceArns)" = '[]' ]
    [ "$(control /state | jq -c '[.aws.ecs.effects[].action]')" = \
        '["CreateCluster","RegisterTaskDefinition","CreateService","RegisterTaskDefinition","UpdateService","DeleteService"]' ]
    sandbox_stop
}

@test "service deployments and revisions by the CLI: list, describe, stop, continue" {
    start --rollout-delay 30m
    knows list-service-deployments describe-service-deployments describe-service-revisions
    seed
    register web shop/web:2 >/dev/null
    deployment=$(ecs update-service --cluster prod --service web --task-definition web |
        jq -r .service.currentServiceDeployment)
    [[ "$deployment" == arn:aws:ecs:us-east-1:123456789012:service-deployment/prod/web/* ]]
    [ "$(ecs list-service-deployments --cluster prod --service web | jq -c '[.serviceDeployments[].status]')" = \
        '["PENDING","SUCCESSFUL"]' ]
    [ "$(ecs list-service-deployments --cluster prod --service web --status SUCCESSFUL STOPPED |
        jq '.serviceDeployments | length')" = 1 ]
    [ "$(ecs list-service-deployments --cluster prod --service web \
        --created-at "after=$(($(date +%s) - 600))" | jq -r '.serviceDeployments[].serviceDeploymentArn')" = "$deployment" ]
    ecs describe-service-deployments --service-deployment-arns "$deployment" "$deployment"x >"$world/told"
    [ "$(jq -c '[.serviceDeployments[0].status, .serviceDeployments[0].deploymentCircuitBreaker.threshold,
        .serviceDeployments[0].sourceServiceRevisions[0].runningTaskCount, .failures[0].reason]' "$world/told")" = \
        '["PENDING",3,2,"MISSING"]' ]
    revision=$(jq -r '.serviceDeployments[0].targetServiceRevision.arn' "$world/told")
    [ "$(ecs describe-service-revisions --service-revision-arns "$revision" |
        jq -r '.serviceRevisions[0].containerImages[0].image')" = shop/web:2 ]
    knows stop-service-deployment
    refused InvalidParameterException aws ecs stop-service-deployment \
        --service-deployment-arn "$deployment" --stop-type ABORT
    ecs stop-service-deployment --service-deployment-arn "$deployment" --stop-type ROLLBACK >/dev/null
    [ "$(ecs describe-service-deployments --service-deployment-arns "$deployment" |
        jq -r '.serviceDeployments[0].status')" = ROLLBACK_REQUESTED ]
    refused ConflictException aws ecs stop-service-deployment --service-deployment-arn "$deployment"
    knows continue-service-deployment
    refused ConflictException aws ecs continue-service-deployment \
        --service-deployment-arn "$deployment" --hook-id x --action CONTINUE
    refused InvalidParameterException aws ecs list-service-deployments --cluster prod --service web \
        --status NAPPING
    sandbox_stop
}

@test "every scenario, side by side: the states that a client sees" {
    need_boto list_service_deployments
    paced 3s
    python3 - <<'P'
import json, os, time, urllib.request
import boto3
WANTED = {
    "success": "IN_PROGRESS SUCCESSFUL",
    "breaker-rollback": "IN_PROGRESS ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_SUCCESSFUL",
    "rollback-failed": "IN_PROGRESS ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_FAILED",
    "superseded": "IN_PROGRESS STOP_REQUESTED STOPPED",
    "stopped": "IN_PROGRESS STOPPED",
    "alarm": "IN_PROGRESS ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_SUCCESSFUL",
    "unknown-status": "IN_PROGRESS HELD_FOR_REVIEW",
    "paused-hook": "IN_PROGRESS",
    "wrong-digest": "IN_PROGRESS SUCCESSFUL",
    "slow": "IN_PROGRESS",
    "crash-loop": "IN_PROGRESS",
}
def tell(action, order):
    urllib.request.urlopen(os.environ["DISPATCHER_SANDBOX_CONTROL"] + "/aws/" + action,
                           json.dumps(order).encode())
ecs = boto3.client("ecs")
names = list(WANTED) + ["no-deployment-found"]
tell("ecs/seed", {"clusters": [{"name": "prod", "services": [
    {"name": name, "image": "shop/web:1", "desiredCount": 2} for name in names]}]})
arns, seen = {}, {}
for name in names:
    tell("ecs/scenario", {"cluster": "prod", "service": name, "scenario": name})
    service = ecs.update_service(cluster="prod", service=name, forceNewDeployment=True)["service"]
    arns[name] = service.get("currentServiceDeployment")
assert arns.pop("no-deployment-found") is None
end = time.monotonic() + 5.5
while time.monotonic() < end:
    told = ecs.describe_service_deployments(serviceDeploymentArns=list(arns.values()))
    for one in told["serviceDeployments"]:
        name = one["serviceArn"].split("/")[-1]
        states = seen.setdefault(name, [])
        if one["status"] != "PENDING" and (not states or states[-1] != one["status"]):
            states.append(one["status"])
for name, wanted in WANTED.items():
    assert " ".join(seen[name]) == wanted, (name, seen[name])
last = {one["serviceArn"].split("/")[-1]: one for one in told["serviceDeployments"]}
assert last["alarm"]["alarms"]["triggeredAlarmNames"] == ["sandbox-alarm"], last["alarm"]
assert last["crash-loop"]["deploymentCircuitBreaker"]["failureCount"] > 3, last["crash-loop"]
assert last["paused-hook"]["lifecycleHookDetails"][0]["status"] == "AWAITING_ACTION"
def digests(name):
    tasks = ecs.list_tasks(cluster="prod", serviceName=name)["taskArns"]
    told = ecs.describe_tasks(cluster="prod", tasks=tasks)["tasks"]
    return {one["containers"][0]["imageDigest"] for one in told}
revision = ecs.describe_service_revisions(serviceRevisionArns=[
    last["wrong-digest"]["targetServiceRevision"]["arn"]])["serviceRevisions"][0]
promised = {revision["containerImages"][0]["imageDigest"]}
assert digests("success") == promised and digests("wrong-digest").isdisjoint(promised)
ecs.continue_service_deployment(serviceDeploymentArn=arns["paused-hook"], action="CONTINUE",
    hookId=last["paused-hook"]["lifecycleHookDetails"][0]["hookId"])
time.sleep(0.1)
told = ecs.describe_service_deployments(serviceDeploymentArns=[arns["paused-hook"]])
assert told["serviceDeployments"][0]["status"] == "SUCCESSFUL", told
P
    [ "$(control /state | jq -c '[.aws.ecs.scenarios[].left] | unique')" = '[0]' ]
    sandbox_stop
}

@test "one-off tasks: overrides, exit codes, tokens, failures, stopping" {
    paced 300ms
    ecs create-cluster --cluster-name prod >/dev/null
    register migrate shop/migrate:1 ', "logConfiguration": {"logDriver": "awslogs", "options":
        {"awslogs-group": "/shop", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "run"}}' >/dev/null
    run_task() {
        ecs run-task --cluster prod --task-definition migrate "$@"
    }
    run_task --overrides \
        '{"containerOverrides": [{"name": "migrate", "command": ["up", "head"]}]}' >"$world/ran"
    task=$(jq -r '.tasks[0].taskArn' "$world/ran")
    [ "$(jq -c '.tasks[0].overrides.containerOverrides[0].command' "$world/ran")" = '["up","head"]' ]
    tell ecs/scenario '{"family": "migrate", "scenario": "exit", "exit_code": 3, "log": ["no table", "bye"]}'
    failing=$(run_task --client-token one | jq -r '.tasks[0].taskArn')
    [ "$(run_task --client-token one | jq -r '.tasks[0].taskArn')" = "$failing" ]
    run --separate-stderr run_task --client-token one --count 2
    [[ "$stderr" == *ConflictException* ]]
    tell ecs/scenario '{"family": "*", "scenario": "no-capacity", "reason": "AGENT"}'
    [ "$(run_task | jq -c '[(.tasks | length), .failures[0].reason]')" = '[0,"AGENT"]' ]
    tell ecs/scenario '{"family": "migrate", "scenario": "hang"}'
    hanging=$(run_task --started-by me | jq -r '.tasks[0].taskArn')
    [ "$(ecs list-tasks --cluster prod --started-by me | jq -r '.taskArns[0]')" = "$hanging" ]
    both_stopped() {
        [ "$(control /state | jq '[.aws.ecs.clusters[].tasks[] | select(.lastStatus == "STOPPED")] | length')" = 2 ]
    }
    until_true both_stopped
    [ "$(ecs describe-tasks --cluster prod --tasks "$task" "$failing" absent | jq -c \
        '[[.tasks[] | [.lastStatus, .stopCode, .containers[0].exitCode]], .failures[0].reason]')" = \
        '[[["STOPPED","EssentialContainerExited",0],["STOPPED","EssentialContainerExited",3]],"MISSING"]' ]
    [ "$(ecs stop-task --cluster prod --task "$hanging" --reason enough | jq -c '[.task.stopCode, .task.stoppedReason]')" = \
        '["UserInitiated","enough"]' ]
    [ "$(ecs list-tasks --cluster prod --desired-status STOPPED | jq '.taskArns | length')" = 3 ]
    refused InvalidParameterException aws ecs list-tasks --cluster prod --started-by me --family migrate
    lines() {
        control /state | jq -c --arg stream "run/migrate/${1##*/}" '.aws.logs["/shop"][$stream]'
    }
    [ "$(lines "$task")" = '["migrate: starting shop/migrate:1","migrate: command [\"up\",\"head\"]"]' ]
    [ "$(lines "$failing")" = '["migrate: starting shop/migrate:1","no table","bye"]' ]
    refused ClientException aws ecs run-task --cluster prod --task-definition absent
    sandbox_stop
}

@test "images of the sandbox's registry have its digests, and must be there" {
    paced 400ms
    printf '{"rootfs":{"type":"layers","diff_ids":[]}}' >"$world/config"
    config=sha256:$(sha256sum <"$world/config" | cut -d' ' -f1)
    registry() {
        curl -sS --fail-with-body -u "AWS:$DISPATCHER_REGISTRY_PASSWORD" "${@:2}" \
            "$DISPATCHER_SANDBOX/v2/shop/web/$1"
    }
    place=$(registry blobs/uploads/ -X POST -D - -o /dev/null | tr -d '\r' | sed -n 's/^Location: //Ip')
    curl -sS --fail-with-body -u "AWS:$DISPATCHER_REGISTRY_PASSWORD" -X PUT \
        --data-binary "@$world/config" "$DISPATCHER_SANDBOX$place&digest=$config"
    jq -cjn --arg config "$config" '{schemaVersion: 2, layers: [],
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $config, size: 42}}' \
        >"$world/manifest"
    registry manifests/7 -X PUT --data-binary "@$world/manifest" \
        -H 'Content-Type: application/vnd.oci.image.manifest.v1+json'
    digest=sha256:$(sha256sum <"$world/manifest" | cut -d' ' -f1)
    seed
    host=$DISPATCHER_SANDBOX_REGISTRY
    for image in "$host/shop/web:7" "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/web@$digest"; do
        register web "$image" >/dev/null
        ecs update-service --cluster prod --service web --task-definition web >/dev/null
        until_true is_settled
        [ "$(control /state | jq -rc '[.aws.ecs.clusters[].services[].tasks[].containers[0] |
            .imageDigest, .image] | unique')" = "$(jq -cn --arg a "$image" --arg b "$digest" '[$a, $b] | unique')" ]
    done
    register web "$host/shop/web:8" >/dev/null
    ecs update-service --cluster prod --service web --task-definition web >/dev/null
    has_failed() { control /state | grep -q 'failed: CannotPull'; }
    until_true has_failed
    stopped=$(ecs list-tasks --cluster prod --service-name web --desired-status STOPPED | jq -r '.taskArns[-1]')
    [[ "$(ecs describe-tasks --cluster prod --tasks "$stopped" | jq -r '.tasks[0].containers[0].reason')" == \
        "CannotPullContainerError: "*"$host/shop/web:8: not found" ]]
    sandbox_stop
}

@test "GET /apps says what runs, and may be told to be unhealthy" {
    paced 300ms
    app() {
        curl -s -o "$world/app" -w '%{http_code}' "$DISPATCHER_SANDBOX/apps/$1"
    }
    [ "$(app web)" = 404 ]
    seed
    [ "$(app web/health/deep?cluster=prod)" = 200 ]
    [ "$(jq -c '[.service, .version, .status, (.digest | startswith("sha256:"))]' "$world/app")" = \
        '["web","1","ok",true]' ]
    [ "$(app 'web?cluster=other')" = 404 ]
    register web shop/web:2 >/dev/null
    tell ecs/scenario '{"service": "web", "scenario": "unhealthy-http", "requests": 2}'
    ecs update-service --cluster prod --service web --task-definition web >/dev/null
    until_true is_settled
    [ "$(app web/) $(app web/) $(app web/)" = "500 500 200" ]
    [ "$(jq -r .version "$world/app")" = 2 ]
    tell ecs/scenario '{"service": "web", "scenario": "unhealthy-http", "now": true, "for": "2s"}'
    [ "$(app web)" = 500 ]
    is_well() { [ "$(app web)" = 200 ]; }
    until_true is_well
    ecs update-service --cluster prod --service web --desired-count 0 >/dev/null
    [ "$(app web)" = 503 ]
    sandbox_stop
}

@test "Express: a canary below, its own words above" {
    start
    knows create-express-gateway-service describe-express-gateway-service \
        update-express-gateway-service delete-express-gateway-service list-service-deployments
    role=arn:aws:iam::123456789012:role
    ecs create-express-gateway-service --service-name shop --execution-role-arn $role/run \
        --infrastructure-role-arn $role/infra --primary-container image=shop/web:1 >"$world/made"
    arn=$(jq -r .service.serviceArn "$world/made")
    [ "$(jq -c '[.service.cluster, .service.status.statusCode, .service.currentDeployment != null]' "$world/made")" = \
        '["default","ACTIVE",true]' ]
    about() {
        ecs describe-express-gateway-service --service-arn "$arn" | jq -c "$1"
    }
    until_true is_settled
    [ "$(about '[.service.currentDeployment, (.service.activeConfigurations | length),
        .service.activeConfigurations[0].primaryContainer.image, .service.activeConfigurations[0].cpu]')" = \
        '[null,1,"shop/web:1","256"]' ]
    pace 30m
    ecs update-express-gateway-service --service-arn "$arn" --primary-container image=shop/web:2 >"$world/changed"
    [ "$(jq -r .service.targetConfiguration.primaryContainer.image "$world/changed")" = shop/web:2 ]
    [[ "$(about .service.currentDeployment)" == *:service-deployment/default/shop/* ]]
    [ "$(ecs list-service-deployments --service shop --cluster default | jq -c '[.serviceDeployments[].status]')" = \
        '["PENDING","SUCCESSFUL"]' ]
    [ "$(ecs describe-services --services shop | jq -c \
        '.services[0] | [.resourceManagementType, .deploymentConfiguration.strategy, .launchType]')" = \
        '["ECS","CANARY","FARGATE"]' ]
    refused InvalidParameterException aws ecs update-service --service shop \
        --deployment-configuration maximumPercent=150
    pace 1ms
    ecs update-express-gateway-service --service-arn "$arn" --cpu 512 >/dev/null
    until_true is_settled
    [ "$(about '[.service.activeConfigurations[] | .primaryContainer.image, .cpu]')" = '["shop/web:2","512"]' ]
    refused ResourceNotFoundException aws ecs describe-express-gateway-service --service-arn "${arn}x"
    [ "$(ecs delete-express-gateway-service --service-arn "$arn" | jq -r .service.status.statusCode)" = DRAINING ]
    refused ServiceNotActiveException aws ecs update-express-gateway-service --service-arn "$arn" --cpu 512
    sandbox_stop
}

@test "what goes wrong at the door: denied, throttled, broken, not valid" {
    start
    seed
    tell deny '{"actions": ["ecs:ListTasks", "ssm:Put*"]}'
    run --separate-stderr aws ecs list-tasks --cluster prod --service-name web
    [[ "$stderr" == *"(AccessDeniedException)"*"User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: ecs:ListTasks on resource: arn:aws:ecs:us-east-1:123456789012:service/prod/web because"* ]]
    refused AccessDeniedException aws ssm put-parameter --name /a --value b --type String
    refused ParameterNotFound aws ssm get-parameter --name /a
    tell deny '{"actions": []}'
    aws ecs list-tasks --cluster prod >/dev/null
    control /faults -d 'POST /aws* target=*.DescribeServices status=400 body="{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"'
    refused ThrottlingException aws ecs describe-services --cluster prod --services web
    aws ecs describe-services --cluster prod --services web >/dev/null
    control /faults -d 'POST /aws* target=*.DescribeServices count=all status=500 body="<html>no</html>" header="Content-Type: text/html"'
    run aws ecs describe-services --cluster prod --services web
    [ "$status" -ne 0 ]
    refused InvalidParameterException aws ecs list-services --cluster prod --launch-type SPACE
    run -0 control '/reset?what=aws' -X POST
    [ "$(aws ecs list-clusters --output json | jq -c .clusterArns)" = '[]' ]
    sandbox_stop
}

@test "twenty clusters of two hundred services in one request, and soon" {
    need_boto
    sandbox_start
    python3 - <<'P'
import json, os, time, urllib.request
import boto3
def tell(action, order):
    with urllib.request.urlopen(os.environ["DISPATCHER_SANDBOX_CONTROL"] + action,
                                json.dumps(order).encode() if order else None) as answer:
        return json.loads(answer.read())
begin = time.monotonic()
made = tell("/aws/ecs/seed", {"clusters": [{"name": f"c{number}", "services": [
    {"name": f"s{one}", "image": "shop/web:1", "desiredCount": 2} for one in range(200)]}
    for number in range(20)]})
assert made == {"clusters": 20, "services": 4000}, made
ecs = boto3.client("ecs")
listed = [arn for page in ecs.get_paginator("list_services").paginate(
    cluster="c19", PaginationConfig={"PageSize": 100}) for arn in page["serviceArns"]]
assert len(listed) == 200
told = ecs.describe_services(cluster="c19", services=listed[190:])["services"]
assert [one["runningCount"] for one in told] == 10 * [2]
clusters = ecs.describe_clusters(clusters=[f"c{number}" for number in range(20)])["clusters"]
assert {one["runningTasksCount"] for one in clusters} == {400}
state = tell("/state", None)["aws"]["ecs"]
assert sum(len(one["services"]) for one in state["clusters"]) == 4000
assert time.monotonic() - begin < 20, "that took too long"
P
    sandbox_stop
}

@test "what the control requests refuse" {
    sandbox_start
    while IFS='|' read -r action order problem; do
        run tell "$action" "$order"
        [ "$status" -ne 0 ]
        [[ "$output" == *"$problem"* ]] || { echo "$order: $output"; return 1; }
    done <<'END'
ecs/scenario|nonsense|not a JSON object
ecs/scenario|{"scenario": "success"}|one of 'service' and 'family' is needed
ecs/scenario|{"service": "a", "scenario": "hang"}|none that the sandbox has for services
ecs/scenario|{"family": "a", "scenario": "alarm"}|none that the sandbox has for tasks
ecs/scenario|{"service": "a", "scenario": "alarm", "count": 0}|'count' is neither
ecs/scenario|{"service": "a", "scenario": "slow", "delay": "soon"}|'delay' is no duration
ecs/pace|{"delay": -1}|are durations
ecs/pace|{"service": "a", "delay": "1s"}|there is no service 'a'
ecs/seed|[]|not a JSON object
ecs/seed|{"clusters": [{}]}|a cluster has no 'name'
ecs/seed|{"clusters": [{"name": "web:1"}]}|a cluster has no 'name' of letters
ecs/seed|{"clusters": [{"name": "c", "services": [{"name": "s"}]}]}|service 's': there is no such task definition
ecs/seed|{"clusters": [{"name": "d", "services": [{"name": "s", "image": "i"}, {"name": "s", "image": "i"}]}]}|'d' has a service 's'
ecs/seed|{"images": {"a": 1}}|'a' has neither a digest nor null
deny|{"actions": ["everything"]}|'actions' is no list
deny|{}|'actions' is no list
END
    sandbox_stop
}
