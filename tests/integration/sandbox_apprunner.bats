#!/usr/bin/env bats
# The sandbox's App Runner, driven by the AWS CLI and boto3: every scenario by the statuses that
# its operation passes through, and what runs, is configured and stands in the logs at the end.

load sandbox_lab

setup() {
    need aws curl jq git python3
    need_boto3
    make_world <<<'on: workflow_dispatch'
    export PYTHONPATH=$BATS_TEST_DIRNAME PYTHONDONTWRITEBYTECODE=1
}

refused() {
    local wanted=$1
    shift
    run --separate-stderr "$@"
    [ "$status" -ne 0 ]
    [[ "$stderr" == *"An error occurred ($wanted) when calling"* ]] || { echo "$stderr"; return 1; }
}

story() { # the script on standard input, after what all need
    python3 <(printf 'from apprunner_lab import *\n'; cat)
}

@test "a service is created, updated, paused, resumed and deleted" {
    sandbox_start --rollout-delay 1s
    python3 -c 'from apprunner_lab import *; push("v1", 1); push("v2", 2)'
    apprunner() { aws apprunner "$@"; }
    settings='{"ImageRepository": {"ImageIdentifier": "'$DISPATCHER_SANDBOX_REGISTRY'/shop:v1",
        "ImageRepositoryType": "ECR", "ImageConfiguration": {"Port": "3000"}},
        "AuthenticationConfiguration": {"AccessRoleArn": "arn:aws:iam::123456789012:role/ecr-access"}}'
    apprunner create-service --service-name shop --source-configuration "$settings" \
        --instance-configuration 'Cpu=0.5 vCPU,Memory=1 GB' --tags Key=team,Value=a >"$world/created"
    [ "$(jq -c '.Service | [.ServiceName, .Status, .InstanceConfiguration.Cpu, .InstanceConfiguration.Memory,
        .SourceConfiguration.AutoDeploymentsEnabled, .AutoScalingConfigurationSummary.AutoScalingConfigurationName,
        .HealthCheckConfiguration.Protocol]' "$world/created")" = \
        '["shop","OPERATION_IN_PROGRESS","512","1024",true,"DefaultConfiguration","TCP"]' ]
    arn=$(jq -r .Service.ServiceArn "$world/created")
    [[ "$arn" =~ ^arn:aws:apprunner:us-east-1:123456789012:service/shop/[0-9a-f]{32}$ ]]
    [[ "$(jq -r .Service.ServiceUrl "$world/created")" == *.us-east-1.awsapprunner.com ]]
    python3 -c 'from apprunner_lab import *; import sys
assert follow(sys.argv[1])[-1] == "SUCCEEDED"' "$(jq -r .OperationId "$world/created")"
    [ "$(apprunner list-operations --service-arn "$arn" \
        --query 'OperationSummaryList[].[Type,Status]' --output text)" = $'CREATE_SERVICE\tSUCCEEDED' ]
    [ "$(apprunner list-tags-for-resource --resource-arn "$arn" --query 'Tags[].[Key,Value]' --output text)" = $'team\ta' ]
    story <<'P'
service, ended = describe(), apprunner.list_operations(ServiceArn=arn())["OperationSummaryList"][0]
assert service["Status"] == "RUNNING"
assert 0.9 <= (ended["EndedAt"] - ended["StartedAt"]).total_seconds() <= 1.1 # --rollout-delay
order("seed", delay="200ms")
order("seed", services=[{"name": "busy", "image": f"{registry}/shop:v1"}])
scenario("stuck", "busy")
update("v2", "busy")
assert describe("busy")["Status"] == "OPERATION_IN_PROGRESS"
for call in (apprunner.update_service, apprunner.pause_service, apprunner.resume_service, apprunner.delete_service):
    assert "OPERATION_IN_PROGRESS" in refused("InvalidStateException", call, ServiceArn=arn("busy"))
refused("InvalidRequestException", apprunner.start_deployment, ServiceArn=arn("busy"))
assert follow(update("v2")["OperationId"])[-1] == "SUCCEEDED"
assert image() == "shop:v2"
answer = apprunner.start_deployment(ServiceArn=service["ServiceArn"])
assert set(answer) - {"ResponseMetadata"} == {"OperationId"}
assert follow(answer["OperationId"])[-1] == "SUCCEEDED"
assert truth("shop")["RunningDigest"] == push("v2", 2)
follow(apprunner.pause_service(ServiceArn=service["ServiceArn"])["OperationId"])
assert describe()["Status"] == "PAUSED" and app()[0] == 503
refused("InvalidStateException", apprunner.update_service, ServiceArn=service["ServiceArn"])
refused("InvalidRequestException", apprunner.start_deployment, ServiceArn=service["ServiceArn"])
refused("InvalidStateException", apprunner.pause_service, ServiceArn=service["ServiceArn"])
follow(apprunner.resume_service(ServiceArn=service["ServiceArn"])["OperationId"])
assert describe()["Status"] == "RUNNING"
types = [one["Type"] for one in apprunner.list_operations(ServiceArn=service["ServiceArn"])["OperationSummaryList"]]
assert types == ["RESUME_SERVICE", "PAUSE_SERVICE", "START_DEPLOYMENT", "UPDATE_SERVICE", "CREATE_SERVICE"], types
operation_id = apprunner.delete_service(ServiceArn=service["ServiceArn"])["OperationId"]
end = time.monotonic() + PATIENCE
while operation(service["ServiceArn"], operation_id)["Status"] != "SUCCEEDED":
    assert time.monotonic() < end
assert apprunner.describe_service(ServiceArn=service["ServiceArn"])["Service"]["Status"] == "DELETED"
assert [one["ServiceName"] for one in apprunner.list_services()["ServiceSummaryList"]] == ["busy"]
P
    refused ResourceNotFoundException apprunner describe-service --service-arn "${arn%?}x"
    sandbox_stop
}

@test "what App Runner does not take" {
    sandbox_start
    story <<'P'
push("v1", 1)
order("seed", delay="50ms", services=[{"name": "shop", "image": f"{registry}/shop:v1"}],
    connections=[{"name": "github"}, {"name": "named", "arn": "arn:aws:apprunner:us-east-1:1:connection/named/1"}])
assert apprunner.list_connections(ConnectionName="named")["ConnectionSummaryList"][0][
    "ConnectionArn"] == "arn:aws:apprunner:us-east-1:1:connection/named/1"
connection = apprunner.list_connections()["ConnectionSummaryList"][0]
assert (connection["ConnectionName"], connection["Status"]) == ("github", "AVAILABLE")
pending = apprunner.create_connection(ConnectionName="fresh", ProviderType="GITHUB")["Connection"]
assert pending["Status"] == "PENDING_HANDSHAKE"
def code(connection_arn):
    return {"AuthenticationConfiguration": {"ConnectionArn": connection_arn}, "CodeRepository": {
        "RepositoryUrl": "https://github.com/acme/shop", "SourceCodeVersion": {"Type": "BRANCH", "Value": "main"}}}
create, change = apprunner.create_service, apprunner.update_service
bad = "InvalidRequestException"
assert "already exists" in refused(bad, create, ServiceName="shop", SourceConfiguration=source("v1"))
assert "name is invalid" in refused(bad, create, ServiceName="-shop", SourceConfiguration=source("v1"))
assert "Exactly one" in refused(bad, create, ServiceName="other", SourceConfiguration={})
assert "Exactly one" in refused(bad, change, ServiceArn=arn(), SourceConfiguration={"AutoDeploymentsEnabled": True})
assert "between code and image" in refused(bad, change, ServiceArn=arn(), SourceConfiguration=code(connection["ConnectionArn"]))
without = source("v1"); del without["AuthenticationConfiguration"]
assert "Invalid Access Role" in refused(bad, create, ServiceName="other", SourceConfiguration=without)
docker = source("v1"); docker["ImageRepository"]["ImageIdentifier"] = "docker.io/library/nginx:1"
assert "identifier is invalid" in refused(bad, create, ServiceName="other", SourceConfiguration=docker)
assert "not in AVAILABLE" in refused(bad, create, ServiceName="code", SourceConfiguration=code(pending["ConnectionArn"]))
assert "CPU" in refused(bad, create, ServiceName="other", SourceConfiguration=source("v1"), InstanceConfiguration={"Cpu": "3 vCPU"})
assert "VpcConnectorArn" in refused(bad, create, ServiceName="other", SourceConfiguration=source("v1"),
    NetworkConfiguration={"EgressConfiguration": {"EgressType": "VPC"}})
assert "scaling" in refused(bad, create, ServiceName="other", SourceConfiguration=source("v1"),
    AutoScalingConfigurationArn="arn:aws:apprunner:us-east-1:123456789012:autoscalingconfiguration/x/1/y")
refused("ResourceNotFoundException", apprunner.start_deployment, ServiceArn=arn() + "x")
assert [one["ServiceName"] for one in apprunner.list_services()["ServiceSummaryList"]] == ["shop"]

# Code, which deploys by itself unless told otherwise; parts that services are connected with.
answer = create(ServiceName="code", SourceConfiguration=code(connection["ConnectionArn"]))
assert answer["Service"]["SourceConfiguration"]["AutoDeploymentsEnabled"] is True
assert follow(answer["OperationId"], "code")[-1] == "SUCCEEDED"
vpc = apprunner.create_vpc_connector(VpcConnectorName="vpc1", Subnets=["subnet-1"])["VpcConnector"]
assert (vpc["VpcConnectorRevision"], vpc["Status"]) == (1, "ACTIVE")
assert apprunner.describe_vpc_connector(VpcConnectorArn=vpc["VpcConnectorArn"])["VpcConnector"] == vpc
assert apprunner.list_vpc_connectors()["VpcConnectors"] == [vpc]
scaling = apprunner.create_auto_scaling_configuration(AutoScalingConfigurationName="wide", MinSize=2)["AutoScalingConfiguration"]
answer = change(ServiceArn=arn("code"), AutoScalingConfigurationArn=scaling["AutoScalingConfigurationArn"],
    NetworkConfiguration={"EgressConfiguration": {"EgressType": "VPC", "VpcConnectorArn": vpc["VpcConnectorArn"]}})
assert answer["Service"]["AutoScalingConfigurationSummary"]["AutoScalingConfigurationName"] == "wide"
apprunner.tag_resource(ResourceArn=arn(), Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
apprunner.tag_resource(ResourceArn=arn(), Tags=[{"Key": "a", "Value": "3"}])
apprunner.untag_resource(ResourceArn=arn(), TagKeys=["b"])
assert apprunner.list_tags_for_resource(ResourceArn=arn())["Tags"] == [{"Key": "a", "Value": "3"}]

# Pages of at most 20; a private service has no address, one of another account does not track.
order("seed", services=[{"name": f"many{n:02}", "image": "public.ecr.aws/a/b:1"} for n in range(25)]
    + [{"name": "hidden", "image": "210987654321.dkr.ecr.us-east-1.amazonaws.com/x:1", "private": True}])
first = apprunner.list_services()
assert len(first["ServiceSummaryList"]) == 20
assert len(apprunner.list_services(NextToken=first["NextToken"])["ServiceSummaryList"]) == 8
assert "ServiceUrl" not in describe("hidden") and "ServiceUrl" in describe("shop")
assert refused(bad, apprunner.list_services, NextToken="x") == "Invalid NextToken"
answer = create(ServiceName="elsewhere", SourceConfiguration={"AuthenticationConfiguration": {"AccessRoleArn": ROLE},
    "ImageRepository": {"ImageIdentifier": "210987654321.dkr.ecr.us-east-1.amazonaws.com/x:1", "ImageRepositoryType": "ECR"}})
assert answer["Service"]["SourceConfiguration"]["AutoDeploymentsEnabled"] is False
P
    # The error as it is on the wire: JSON 1.0, whose code has a name space and whose text is "Message".
    [ "$(curl -s -i "$AWS_ENDPOINT_URL/" -H 'X-Amz-Target: AppRunner.ListServices' -d '{}' | tr -d '\r' |
        sed -n 's/^content-type: //Ip')" = 'application/json; charset=utf-8' ]
    python3 - <<'P'
import os, urllib.error, urllib.request
import botocore.auth, botocore.awsrequest, botocore.credentials
request = botocore.awsrequest.AWSRequest("POST", os.environ["AWS_ENDPOINT_URL"] + "/",
    headers={"X-Amz-Target": "AppRunner.CreateService"}, data=b"{}")
keys = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
botocore.auth.SigV4Auth(keys, "apprunner", "us-east-1").add_auth(request)
try:
    urllib.request.urlopen(urllib.request.Request(request.url, request.data, dict(request.headers.items())))
except urllib.error.HTTPError as err:
    assert err.headers["Content-Type"] == "application/x-amz-json-1.0", err.headers
    assert err.read() == (b'{"__type":"com.amazonaws.apprunner#InvalidRequestException","Message":"1 validation error '
        b'detected: Value null at \'ServiceName\' failed to satisfy constraint: Member must not be null"}')
P
    sandbox_stop
}

@test "scenarios: rollback, rollback-failed, failed, an image that is not there" {
    sandbox_start
    story <<'P'
old, new = push("v1", 1), push("v2", 2)
order("seed", delay="300ms", services=[{"name": "shop", "image": f"{registry}/shop:v1"}])
assert truth("shop")["RunningDigest"] == old

scenario("success", delay="1500ms")
operation_id = update("v2")["OperationId"]
assert image() == "shop:v2" and truth("shop")["RunningDigest"] == old
assert follow(operation_id) == ["PENDING", "IN_PROGRESS", "SUCCEEDED"]
assert (describe()["Status"], image(), truth("shop")["RunningDigest"]) == ("RUNNING", "shop:v2", new)

# A rollback ends RUNNING with the old configuration; only the log says why.
scenario("rollback", log=["panic: no database"])
assert follow(update("v1")["OperationId"]) == ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCEEDED"]
assert (describe()["Status"], image(), truth("shop")["RunningDigest"]) == ("RUNNING", "shop:v2", new)
lines = service_log()
assert any("Health check failed on port '8080'" in line for line in lines), lines
assert lines[-1] == "[AppRunner] Service status is set to RUNNING.", lines
group = f"/aws/apprunner/shop/{describe()['ServiceId']}/application"
assert "panic: no database" in [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
summary = apprunner.list_operations(ServiceArn=arn())["OperationSummaryList"][0]
assert set(summary) == {"Id", "Type", "Status", "TargetArn", "StartedAt", "EndedAt", "UpdatedAt"}, summary

scenario("rollback", reason="Container exited with code 137")
follow(apprunner.start_deployment(ServiceArn=arn())["OperationId"])
assert service_log()[-3].endswith("failed. Failure reason : Container exited with code 137"), service_log()[-3:]

# The next one is as usual.
assert follow(update("v1")["OperationId"])[-1] == "SUCCEEDED"

assert app() == (200, {"service": "shop", "version": "v1", "digest": old, "status": "ok"})
scenario("rollback-failed")
assert follow(update("v2")["OperationId"]) == ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"]
assert truth("shop")["Broken"] is True and app()[0] == 500
assert follow(update("v2")["OperationId"])[-1] == "SUCCEEDED"
assert truth("shop")["Broken"] is False

scenario("failed")
assert follow(update("v1")["OperationId"]) == ["PENDING", "IN_PROGRESS", "FAILED"]
assert (describe()["Status"], image(), truth("shop")["RunningDigest"]) == ("RUNNING", "shop:v2", new)

assert follow(update("v9")["OperationId"]) == ["PENDING", "IN_PROGRESS", "FAILED"]
assert image() == "shop:v2"
assert f"Failed to pull your application image '{registry}/shop:v9': it does not exist." in service_log()[-2]

assert follow(update(old)["OperationId"])[-1] == "SUCCEEDED"
assert (image(), truth("shop")["RunningDigest"]) == ("shop@" + old, old)

answer = apprunner.create_service(ServiceName="fresh", SourceConfiguration=source("v9"))
assert follow(answer["OperationId"], "fresh")[-1] == "FAILED"
assert describe("fresh")["Status"] == "CREATE_FAILED" and app("fresh")[0] == 503
assert follow(update("v1", "fresh")["OperationId"], "fresh")[-1] == "SUCCEEDED"
P
    sandbox_stop
}

@test "scenarios: no-operation-id, hidden, slow, unknown-status, stuck, html-500" {
    sandbox_start
    story <<'P'
push("v1", 1), push("v2", 2)
order("seed", delay="50ms", services=[{"name": "shop", "image": f"{registry}/shop:v1"}])

scenario("no-operation-id")
assert "OperationId" not in update("v2")
newest = apprunner.list_operations(ServiceArn=arn())["OperationSummaryList"][0]
assert newest["Type"] == "UPDATE_SERVICE"
assert follow(newest["Id"])[-1] == "SUCCEEDED"

scenario("hidden")
operation_id = update("v1")["OperationId"]
page = apprunner.list_operations(ServiceArn=arn())
assert len(page["OperationSummaryList"]) == 20
assert operation_id not in [one["Id"] for one in page["OperationSummaryList"]]
assert follow(operation_id)[-1] == "SUCCEEDED"
assert apprunner.list_operations(ServiceArn=arn(), NextToken=page["NextToken"])["OperationSummaryList"][5]["Id"] == operation_id

scenario("unhealthy-http", requests=2)
follow(update("v2")["OperationId"])
assert [app()[0] for _ in range(3)] == [500, 500, 200]
scenario("unhealthy-http", service="sh*", now=True)
assert app() == (500, {"service": "shop", "version": "v2", "digest": truth("shop")["RunningDigest"], "status": "unhealthy"})
follow(update("v2")["OperationId"])
assert (app()[0], app("nobody")[0]) == (200, 404)

scenario("slow")
begin = time.monotonic()
assert follow(update("v2")["OperationId"])[-1] == "SUCCEEDED"
assert 0.5 <= time.monotonic() - begin

order("seed", services=[{"name": "odd1", "image": f"{registry}/shop:v1"}, {"name": "odd2", "image": f"{registry}/shop:v1"}])
scenario("unknown-status", "odd1", status="PAUSED_BY_AWS")
operation_id = update("v2", "odd1")["OperationId"]
assert follow(operation_id, "odd1", until="PAUSED_BY_AWS")[-1] == "PAUSED_BY_AWS"
scenario("stuck", "odd2")
stuck = update("v2", "odd2")["OperationId"]
assert follow(stuck, "odd2", until="IN_PROGRESS")[-1] == "IN_PROGRESS"
time.sleep(0.2)
assert operation(arn("odd2"), stuck)["Status"] == "IN_PROGRESS"
assert [describe(name)["Status"] for name in ("odd1", "odd2")] == ["OPERATION_IN_PROGRESS"] * 2

scenario("html-500", count=2)
for call in (apprunner.start_deployment, apprunner.pause_service):
    assert refused("500", call, ServiceArn=arn()) == "Internal Server Error"
assert describe()["Status"] == "RUNNING"
scenario("html-500", started=True, delay="60000ms")
refused("500", apprunner.start_deployment, ServiceArn=arn())
assert describe()["Status"] == "OPERATION_IN_PROGRESS"
P
    for wrong in '{}' '{"scenario": "boom"}' '{"scenario": "slow", "delay": "soon"}' '{"scenario": "slow", "count": 0}'; do
        [ "$(control /aws/apprunner/scenario -o /dev/null -w '%{http_code}' -d "$wrong")" = 422 ]
    done
    for wrong in 'no' '{"services": [{}]}' '{"services": [{"name": "shop9"}]}' \
        '{"services": [{"name": "shop9", "image": "docker.io/x"}]}' '{"connections": [{}]}' \
        '{"services": [{"name": "shop9", "image": "public.ecr.aws/a/b:1", "status": "DELETED"}]}'; do
        [ "$(control /aws/apprunner/seed -o /dev/null -w '%{http_code}' -d "$wrong")" = 422 ]
    done
    sandbox_stop
}

@test "a push of the tracked tag deploys by itself, and gets in before a call" {
    sandbox_start
    story <<'P'
first = push("live", 1)
order("seed", delay="200ms", services=[
    {"name": "shop", "image": f"{registry}/shop:live", "auto_deploy": True},
    {"name": "still", "image": f"{registry}/shop:live"},
    {"name": "paused", "image": f"{registry}/shop:live", "auto_deploy": True, "status": "PAUSED"}])
push("other", 2)
assert describe()["Status"] == "RUNNING"
second = push("live", 3)
newest = apprunner.list_operations(ServiceArn=arn())["OperationSummaryList"][0]
assert newest["Type"] == "START_DEPLOYMENT"
assert [describe(name)["Status"] for name in ("still", "paused")] == ["RUNNING", "PAUSED"]
assert follow(newest["Id"])[-1] == "SUCCEEDED"
assert truth("shop")["RunningDigest"] == second and truth("still")["RunningDigest"] == first
assert push("live", 3) == second # the same image again is no push
assert describe()["Status"] == "RUNNING"

# During an operation: once that is over.
scenario("success", delay="1500ms")
operation_id = apprunner.start_deployment(ServiceArn=arn())["OperationId"]
third = push("live", 4)
assert follow(operation_id)[-1] == "SUCCEEDED"
newest = apprunner.list_operations(ServiceArn=arn())["OperationSummaryList"][0]
assert newest["Id"] != operation_id
assert follow(newest["Id"])[-1] == "SUCCEEDED"
assert truth("shop")["RunningDigest"] == third

# One that nobody asked for may fail, too.
scenario("rollback", automatic=True)
push("live", 5)
newest = apprunner.list_operations(ServiceArn=arn())["OperationSummaryList"][0]
assert follow(newest["Id"])[-1] == "ROLLBACK_SUCCEEDED"
assert truth("shop")["RunningDigest"] == third

# The race: ours is refused; what is in progress brings our image, or another one.
for which, identifier in (("same", "shop:other"), ("other", "shop:live")):
    update_id = update("live")["OperationId"]
    follow(update_id)
    scenario("auto-deploy-race", image=which)
    assert "OPERATION_IN_PROGRESS" in refused("InvalidStateException", apprunner.update_service,
        ServiceArn=arn(), SourceConfiguration=source("other"))
    newest = apprunner.list_operations(ServiceArn=arn())["OperationSummaryList"][0]
    assert (newest["Type"], newest["Id"] != update_id) == ("START_DEPLOYMENT", True)
    assert image() == identifier
    assert follow(newest["Id"])[-1] == "SUCCEEDED"
assert follow(update("other")["OperationId"])[-1] == "SUCCEEDED"
P
    sandbox_stop
}
