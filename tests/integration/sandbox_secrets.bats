#!/usr/bin/env bats
# The sandbox's Secrets Manager, driven by the AWS CLI and boto3.

load sandbox_lab

setup() {
    need aws curl jq git python3
    make_world <<<'on: workflow_dispatch'
}

refused() {
    local wanted=$1
    shift
    run --separate-stderr "$@"
    [ "$status" -ne 0 ]
    [[ "$stderr" == *"An error occurred ($wanted) when calling"* ]] || { echo "$stderr"; return 1; }
}

secrets() {
    aws secretsmanager "$@"
}

@test "a secret has versions with labels, and is found by name and ARN" {
    sandbox_start
    arn=$(secrets create-secret --name shop/database --secret-string first --query ARN --output text)
    [[ "$arn" =~ ^arn:aws:secretsmanager:us-east-1:123456789012:secret:shop/database-[0-9a-f]{6}$ ]]
    refused ResourceExistsException secrets create-secret --name shop/database --secret-string x
    refused ResourceNotFoundException secrets get-secret-value --secret-id shop
    [ "$(secrets put-secret-value --secret-id shop/database --secret-string second \
        --query VersionStages --output text)" = AWSCURRENT ]
    for id in shop/database "$arn" "${arn%-*}"; do
        [ "$(secrets get-secret-value --secret-id "$id" --query SecretString --output text)" = second ]
    done
    [ "$(secrets get-secret-value --secret-id shop/database --version-stage AWSPREVIOUS \
        --query SecretString --output text)" = first ]
    refused ResourceNotFoundException \
        secrets get-secret-value --secret-id shop/database --version-stage AWSPENDING
    printf '\000\001' >"$world/binary"
    secrets create-secret --name raw --secret-binary "fileb://$world/binary" >/dev/null
    [ "$(secrets get-secret-value --secret-id raw --query SecretBinary --output text)" = AAE= ]
    secrets delete-secret --secret-id raw --recovery-window-in-days 7 >/dev/null
    refused InvalidRequestException secrets get-secret-value --secret-id raw
    # What the sandbox shows of itself holds no value.
    [ "$(control /state | jq -c '[.aws.secrets[].Name]')" = '["shop/database","raw"]' ]
    refute grep -q second <(control /state)
    sandbox_stop
}

@test "retries, labels that move, lists and what is refused" {
    need_boto3
    sandbox_start
    python3 - <<'P'
import os
import boto3
secrets = boto3.client("secretsmanager", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
def refused(code, call, **arguments):
    try:
        call(**arguments)
    except secrets.exceptions.ClientError as err:
        assert err.response["Error"]["Code"] == code, err
        return err.response["Error"]["Message"]
    raise AssertionError("taken")
token = "a" * 32
secrets.create_secret(Name="one", Description="d", Tags=[{"Key": "k", "Value": "v"}])
assert "AWSCURRENT" in refused("ResourceNotFoundException", secrets.get_secret_value, SecretId="one")
for _ in range(2):
    answer = secrets.put_secret_value(SecretId="one", SecretString="v1", ClientRequestToken=token)
    assert answer["VersionId"] == token
refused("ResourceExistsException", secrets.put_secret_value, SecretId="one", SecretString="v2", ClientRequestToken=token)
refused("InvalidParameterException", secrets.put_secret_value, SecretId="one")
refused("InvalidParameterException", secrets.put_secret_value, SecretId="one", SecretString="a", SecretBinary=b"b")
refused("ValidationException", secrets.create_secret, Name="no spaces")
pending = secrets.put_secret_value(SecretId="one", SecretString="v2", VersionStages=["AWSPENDING"])["VersionId"]
assert secrets.get_secret_value(SecretId="one")["SecretString"] == "v1"
assert secrets.get_secret_value(SecretId="one", VersionStage="AWSPENDING")["SecretString"] == "v2"
assert secrets.get_secret_value(SecretId="one", VersionId=pending)["SecretString"] == "v2"
one = secrets.describe_secret(SecretId="one")
assert one["VersionIdsToStages"] == {token: ["AWSCURRENT"], pending: ["AWSPENDING"]}, one
assert (one["Description"], one["Tags"]) == ("d", [{"Key": "k", "Value": "v"}])
for number in range(101):
    secrets.create_secret(Name=f"many/{number:03}", SecretString="x")
pages = list(secrets.get_paginator("list_secrets").paginate())
assert [len(page["SecretList"]) for page in pages] == [100, 2]
found = secrets.list_secrets(Filters=[{"Key": "name", "Values": ["many/10", "one"]}])["SecretList"]
assert [secret["Name"] for secret in found] == ["one", "many/100"], found
refused("InvalidParameterException", secrets.list_secrets, Filters=[{"Key": "all", "Values": ["x"]}])
refused("InvalidNextTokenException", secrets.list_secrets, NextToken="x")
refused("InvalidParameterException", secrets.delete_secret, SecretId="one", RecoveryWindowInDays=3)
refused("InvalidParameterException", secrets.delete_secret, SecretId="one", RecoveryWindowInDays=8, ForceDeleteWithoutRecovery=True)
secrets.delete_secret(SecretId="one")
assert "DeletedDate" in secrets.describe_secret(SecretId="one")
assert len(secrets.list_secrets(Filters=[{"Key": "name", "Values": ["one"]}], IncludePlannedDeletion=True)["SecretList"]) == 1
assert secrets.list_secrets(Filters=[{"Key": "name", "Values": ["one"]}])["SecretList"] == []
refused("InvalidRequestException", secrets.create_secret, Name="one")
secrets.delete_secret(SecretId="many/000", ForceDeleteWithoutRecovery=True)
secrets.create_secret(Name="many/000")
P
    sandbox_stop
}
