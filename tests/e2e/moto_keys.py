#!/usr/bin/env python3
"""usage: moto_keys.py URL: makes a user and an assumable role in moto, switches its checks on, and
prints the environment that signs as that user, as lines for a shell."""
import json
import sys
import urllib.request

import boto3

url = sys.argv[1]
iam = boto3.Session("setup", "setup", region_name="us-east-1").client("iam", endpoint_url=url)
everything = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "*", "Resource": "*"}]})
trust = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Federated": "*"}, "Action": "sts:AssumeRoleWithWebIdentity"}]})

iam.create_user(UserName="deployer")
iam.put_user_policy(UserName="deployer", PolicyName="p", PolicyDocument=everything)
key = iam.create_access_key(UserName="deployer")["AccessKey"]
role = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
iam.put_role_policy(RoleName="deployer", PolicyName="p", PolicyDocument=everything)
# From here on every action is authenticated (INITIAL_NO_AUTH_ACTION_COUNT of moto).
urllib.request.urlopen(urllib.request.Request(
    url + "/moto-api/reset-auth", data=b"0", method="POST",
    headers={"Content-Type": "text/plain"})).close()
print(f"AWS_ENDPOINT_URL={url}")
print(f"AWS_ACCESS_KEY_ID={key['AccessKeyId']}")
print(f"AWS_SECRET_ACCESS_KEY='{key['SecretAccessKey']}'")
print(f"moto_role={role}")
print("AWS_REGION=us-east-1")
