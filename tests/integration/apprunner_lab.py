"""What the stories of the sandbox's App Runner share: images in its registry, orders to the sandbox,
and following an operation by what AWS's API tells of it."""
import base64
import hashlib
import json
import os
import time
import urllib.error
import urllib.request

import boto3

apprunner = boto3.client("apprunner", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
logs = boto3.client("logs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
registry = os.environ["DISPATCHER_SANDBOX_REGISTRY"]
ROLE = "arn:aws:iam::123456789012:role/apprunner-ecr"
PATIENCE = 20


def order(path, **what):
    """POST below /_sandbox/aws/apprunner."""
    url = f"{os.environ['DISPATCHER_SANDBOX_CONTROL']}/aws/apprunner/{path}"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(what).encode(), method="POST"))


def scenario(name, service="shop", **more):
    order("scenario", scenario=name, service=service, **more)


def app(name="shop"):
    """Status and answer of GET /apps/NAME."""
    try:
        with urllib.request.urlopen(f"{os.environ['DISPATCHER_SANDBOX']}/apps/{name}/health") as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as err:
        return err.code, json.load(err)


def truth(name):
    """The service as the sandbox knows it: with the digest that runs."""
    with urllib.request.urlopen(os.environ["DISPATCHER_SANDBOX_CONTROL"] + "/state") as answer:
        services = json.load(answer)["aws"]["apprunner"]["services"]
    return [service for service in services if service["ServiceName"] == name][-1]


def push(tag, content, repository="shop"):
    """Digest of an image without layers whose configuration is `content`."""
    password = os.environ["DISPATCHER_REGISTRY_PASSWORD"]
    headers = {"Authorization": "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()}

    def send(method, path, data=b"", **more):
        request = urllib.request.Request(f"http://{registry}{path}", data, headers | more, method=method)
        return urllib.request.urlopen(request).headers
    config = json.dumps({"content": content}).encode()
    digest = "sha256:" + hashlib.sha256(config).hexdigest()
    place = send("POST", f"/v2/{repository}/blobs/uploads/")["Location"]
    place = place[place.index("/v2/"):]
    send("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", config)
    media = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media, "layers": [], "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)}})
    sent = send("PUT", f"/v2/{repository}/manifests/{tag}", manifest.encode(), **{"Content-Type": media})
    return sent["Docker-Content-Digest"]


def source(tag, auto=False, repository="shop"):
    mark = "@" if tag.startswith("sha256:") else ":"
    return {"AutoDeploymentsEnabled": auto, "AuthenticationConfiguration": {"AccessRoleArn": ROLE},
            "ImageRepository": {"ImageIdentifier": f"{registry}/{repository}{mark}{tag}",
                                "ImageRepositoryType": "ECR"}}


def arn(name="shop"):
    pages = apprunner.get_paginator("list_services") if apprunner.can_paginate("list_services") else None
    assert pages is None, "botocore pages by itself now: use it"
    token = {}
    while True:
        page = apprunner.list_services(**token)
        for service in page["ServiceSummaryList"]:
            if service["ServiceName"] == name:
                return service["ServiceArn"]
        token = {"NextToken": page["NextToken"]}


def describe(name="shop"):
    return apprunner.describe_service(ServiceArn=arn(name))["Service"]


def image(name="shop"):
    return describe(name)["SourceConfiguration"]["ImageRepository"]["ImageIdentifier"].split("/")[1]


def operation(service_arn, operation_id):
    token = {}
    while True:
        page = apprunner.list_operations(ServiceArn=service_arn, **token)
        for one in page["OperationSummaryList"]:
            if one["Id"] == operation_id:
                return one
        token = {"NextToken": page["NextToken"]}


def follow(operation_id, name="shop", until=None):
    """Statuses of the operation in their order, up to its end or `until`. The sandbox has them all;
    who asks AWS's API sees some of them, in the same order."""
    service_arn, seen = arn(name), []
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        one = operation(service_arn, operation_id)
        if not seen or seen[-1] != one["Status"]:
            seen.append(one["Status"])
        if "EndedAt" in one or one["Status"] == until:
            passed = [other for other in truth(name)["Operations"] if other["Id"] == operation_id][0]["Passed"]
            assert [status for status in passed if status in seen] == seen, (passed, seen)
            return passed
        time.sleep(0.01)
    raise AssertionError(f"the operation does not end: {seen}")


def refused(code, call, **arguments):
    """The message of the error that the call must end in."""
    try:
        call(**arguments)
    except apprunner.exceptions.ClientError as err:
        assert err.response["Error"]["Code"] == code, err
        return err.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} was taken")


def update(tag, name="shop", **more):
    return apprunner.update_service(ServiceArn=arn(name), SourceConfiguration=source(tag), **more)


def service_log(name="shop"):
    service = describe(name)
    group = f"/aws/apprunner/{name}/{service['ServiceId']}/service"
    return [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
