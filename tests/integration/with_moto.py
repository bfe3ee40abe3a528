#!/usr/bin/env python3
"""Runs a test program against moto_server with signature and permission checks on.

usage: with_moto.py PROGRAM [ARGUMENT]...

Starts the server on a free port, creates users, a role and an image with boto3, switches the checks
on, and hands the endpoint and keys to PROGRAM by environment. Exit 77 (skipped) without moto.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

SKIPPED = 77
REGION = "eu-west-1"


def skip(reason):
    print(f"skipped: {reason}; install it with 'pip install \"moto[server]\" boto3'")
    sys.exit(SKIPPED)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url, server):
    for _ in range(300):
        if server.poll() is not None:
            sys.exit(f"moto_server ended with status {server.returncode}")
        try:
            urllib.request.urlopen(url + "/moto-api/", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("moto_server does not answer")


def everything():
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def user(iam, name, policy):
    iam.create_user(UserName=name)
    if policy:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
    return iam.create_access_key(UserName=name)["AccessKey"]


def role(iam, name):
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=everything())
    return arn


def task_role(iam):
    trust = {"Effect": "Allow", "Principal": {"Service": ["ecs-tasks.amazonaws.com"]},
             "Action": "sts:AssumeRole",
             "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:ecs:{REGION}:*:*"}}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = iam.create_role(RoleName="puller", Path="/service/", AssumeRolePolicyDocument=document)
    return made["Role"]["Arn"]


def image(ecr):
    ecr.create_repository(repositoryName="filled")
    manifest = json.dumps({"schemaVersion": 2, "config": {"digest": "sha256:" + "0" * 64, "size": 2},
                           "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []})
    answer = ecr.put_image(repositoryName="filled", imageTag="v1", imageManifest=manifest)
    return answer["image"]["imageId"]["imageDigest"]


def secrets(session, url):
    manager = session.client("secretsmanager", endpoint_url=url)
    manager.create_secret(Name="shop/text", SecretString='{"key": "first"}')
    manager.put_secret_value(SecretId="shop/text", SecretString='{"key": "second"}')
    manager.create_secret(Name="shop/binary", SecretBinary=b"\x00\x01\xff")
    ssm = session.client("ssm", endpoint_url=url)
    ssm.put_parameter(Name="/shop/secure", Value="kept", Type="SecureString")


def services(session, url):
    """A cluster with a service that has come up, its network, and a log stream."""
    ecs = session.client("ecs", endpoint_url=url)
    ec2 = session.client("ec2", endpoint_url=url)
    logs = session.client("logs", endpoint_url=url)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    ecs.create_cluster(clusterName="prod")
    ecs.register_task_definition(
        family="web", networkMode="awsvpc", cpu="256", memory="512",
        requiresCompatibilities=["FARGATE"], tags=[{"key": "team", "value": "shop"}],
        containerDefinitions=[{
            "name": "web", "image": "repo:v1", "cpu": 256, "memory": 512, "essential": True,
            "environment": [{"name": "MODE", "value": "\u00fcn\u00ef"}],
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/web", "awslogs-region": REGION,
                "awslogs-stream-prefix": "ecs"}}}])
    ecs.create_service(
        cluster="prod", serviceName="web", taskDefinition="web:1", desiredCount=2,
        launchType="FARGATE", deploymentController={"type": "ECS"}, networkConfiguration={
            "awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}})
    logs.create_log_group(logGroupName="/ecs/web")
    for stream, lines in (("ecs/web/0a", 25), ("ecs/web/0b", 1)):
        logs.create_log_stream(logGroupName="/ecs/web", logStreamName=stream)
        logs.put_log_events(logGroupName="/ecs/web", logStreamName=stream, logEvents=[
            {"timestamp": int(time.time() * 1000) + i, "message": f"{stream} line {i} \u00fc"}
            for i in range(lines)])


def prepare(url):
    import boto3
    session = boto3.Session("setup", "setup", region_name=REGION)
    iam = session.client("iam", endpoint_url=url)
    secrets(session, url)


    services(session, url)
    admin, nobody = user(iam, "admin", everything()), user(iam, "nobody", None)
    found = {
        "TEST_ENDPOINT": url,
        "TEST_REGION": REGION,
        "TEST_KEY": admin["AccessKeyId"],
        "TEST_SECRET": admin["SecretAccessKey"],
        "TEST_NOBODY_KEY": nobody["AccessKeyId"],
        "TEST_NOBODY_SECRET": nobody["SecretAccessKey"],
        "TEST_ROLE": role(iam, "deployer"),
        "TEST_TASK_ROLE": task_role(iam),
        "TEST_IMAGE_DIGEST": image(session.client("ecr", endpoint_url=url)),
    }
    # From here on every action is authenticated (INITIAL_NO_AUTH_ACTION_COUNT of moto).
    request = urllib.request.Request(url + "/moto-api/reset-auth", data=b"0", method="POST",
                                     headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()
    return found


def main():
    if shutil.which("moto_server") is None:
        skip("moto_server is not on PATH")
    try:
        import boto3  # noqa: F401
    except ImportError:
        skip("there is no boto3")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(["moto_server", "-H", "127.0.0.1", "-p", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={**os.environ, "MOTO_ECS_SERVICE_RUNNING": "2"})
    try:
        wait_for(url, server)
        return subprocess.call(sys.argv[1:], env={**os.environ, **prepare(url)})
    finally:
        server.terminate()
        server.wait()


sys.exit(main())
