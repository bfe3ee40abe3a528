#!/usr/bin/env bats
# The sandbox's SSM, STS and ECR, driven by the AWS CLI.

load sandbox_lab

setup() {
    need aws curl jq git
    make_world <<<'on: workflow_dispatch'
}

# refused CODE COMMAND...: the CLI fails with exactly that error code.
refused() {
    local wanted=$1
    shift
    run --separate-stderr "$@"
    [ "$status" -ne 0 ]
    [[ "$stderr" == *"An error occurred ($wanted) when calling"* ]] || { echo "$stderr"; return 1; }
}

put() {
    aws ssm put-parameter --name "$1" --value "$2" --query Version --output text "${@:3}"
}

@test "a parameter has versions, history, labels" {
    sandbox_start
    [ "$(put /app/dev/version v1 --type String --description first)" = 1 ]
    refused ParameterAlreadyExists put /app/dev/version v2 --type String
    [ "$(put /app/dev/version v2 --overwrite)" = 2 ]
    [ "$(aws ssm get-parameter --name /app/dev/version --query '[Parameter.Value,Parameter.Version,Parameter.Type]' --output text)" = $'v2\t2\tString' ]
    [ "$(aws ssm get-parameter --name /app/dev/version:1 --query Parameter.Value --output text)" = v1 ]
    refused ParameterVersionNotFound aws ssm get-parameter --name /app/dev/version:9
    refused ParameterNotFound aws ssm get-parameter --name /app/dev/other
    aws ssm label-parameter-version --name /app/dev/version --parameter-version 1 --labels deployed
    [ "$(aws ssm get-parameter --name /app/dev/version:deployed --query Parameter.Value --output text)" = v1 ]
    aws ssm label-parameter-version --name /app/dev/version --labels deployed
    [ "$(aws ssm get-parameter-history --name /app/dev/version --output json |
        jq -c '[.Parameters[] | [.Version, .Value, .Description, .Labels]]')" = \
        '[[1,"v1","first",[]],[2,"v2",null,["deployed"]]]' ]
    [ "$(aws ssm get-parameter-history --name /app/dev/version --query 'Parameters[0].LastModifiedUser' --output text)" = \
        arn:aws:iam::123456789012:user/sandbox ]
    refused ParameterVersionNotFound aws ssm label-parameter-version --name /app/dev/version --parameter-version 7 --labels x
    [ "$(aws ssm label-parameter-version --name /app/dev/version --labels 1bad --query 'InvalidLabels[0]' --output text)" = 1bad ]
    aws ssm delete-parameter --name /app/dev/version
    refused ParameterNotFound aws ssm get-parameter-history --name /app/dev/version
    sandbox_stop
}

@test "the 101st version drops the oldest, unless it is labelled" {
    sandbox_start
    put /v 1 --type String >/dev/null
    python3 - <<'P'
import boto3
ssm = boto3.client("ssm")
for number in range(2, 102):
    assert ssm.put_parameter(Name="/v", Value=str(number), Overwrite=True)["Version"] == number
pages = list(ssm.get_paginator("get_parameter_history").paginate(Name="/v"))
versions = [item["Version"] for page in pages for item in page["Parameters"]]
assert len(pages) == 2 and versions == list(range(2, 102)), versions
ssm.label_parameter_version(Name="/v", ParameterVersion=2, Labels=["kept"])
try:
    ssm.put_parameter(Name="/v", Value="x", Overwrite=True)
    raise SystemExit("the labelled version was dropped")
except ssm.exceptions.ParameterMaxVersionLimitExceeded:
    pass
P
    sandbox_stop
}

@test "many parameters: by name, by path, secure ones only on demand" {
    sandbox_start
    put /a/one 1 --type String
    put /a/two 2 --type SecureString
    put /a/deep/three 3 --type StringList
    put /ab/four 4 --type String
    [ "$(aws ssm get-parameters-by-path --path /a --query 'Parameters[].Name' --output text)" = $'/a/one\t/a/two' ]
    [ "$(aws ssm get-parameters-by-path --path /a --recursive --query 'length(Parameters)' --output text)" = 3 ]
    [ "$(aws ssm get-parameters --names /a/one /nope --query '[Parameters[0].Value,InvalidParameters[0]]' --output text)" = $'1\t/nope' ]
    [ "$(aws ssm get-parameter --name /a/two --query Parameter.Value --output text)" != 2 ]
    [ "$(aws ssm get-parameter --name /a/two --with-decryption --query Parameter.Value --output text)" = 2 ]
    refused ValidationException put /untyped x
    refused ValidationException put '/bad name' x --type String
    refused ValidationException put /big "$(head -c 4097 /dev/zero | tr '\0' x)" --type String
    sandbox_stop
}

@test "signatures, keys, tokens and clocks are checked" {
    sandbox_start
    put /x 1 --type String
    AWS_SECRET_ACCESS_KEY=wrong refused InvalidSignatureException aws ssm get-parameter --name /x
    AWS_SECRET_ACCESS_KEY=wrong refused SignatureDoesNotMatch aws sts get-caller-identity
    AWS_ACCESS_KEY_ID=AKIAUNKNOWN refused UnrecognizedClientException aws ssm get-parameter --name /x
    AWS_SESSION_TOKEN=extra refused UnrecognizedClientException aws ssm get-parameter --name /x
    [ "$(curl -s "$AWS_ENDPOINT_URL/" -H 'X-Amz-Target: AmazonSSM.GetParameter' -d '{"Name": "/x"}' |
        jq -r .__type)" = MissingAuthenticationTokenException ]
    python3 - <<'P'
import datetime, os, urllib.error, urllib.request
import botocore.auth, botocore.awsrequest, botocore.credentials
real = datetime.datetime.now(datetime.timezone.utc)
def ask(minutes):
    def moved(*_, **__):
        return (real + datetime.timedelta(minutes=minutes)).replace(tzinfo=None)
    botocore.auth.get_current_datetime = moved
    request = botocore.awsrequest.AWSRequest("POST", os.environ["AWS_ENDPOINT_URL"] + "/",
        headers={"X-Amz-Target": "AmazonSSM.GetParameter", "Content-Type": "application/x-amz-json-1.1"},
        data=b'{"Name": "/x"}')
    keys = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    botocore.auth.SigV4Auth(keys, "ssm", "us-east-1").add_auth(request)
    raw = urllib.request.Request(request.url, request.data, dict(request.headers.items()), method="POST")
    try:
        return urllib.request.urlopen(raw).status, ""
    except urllib.error.HTTPError as err:
        return err.code, err.read().decode()
assert hasattr(botocore.auth, "get_current_datetime"), "botocore reads its clock elsewhere"
assert ask(0)[0] == 200, ask(0)
for minutes, word in ((-10, "Signature expired"), (10, "Signature not yet current")):
    status, text = ask(minutes)
    assert status == 400 and word in text and "InvalidSignatureException" in text, (status, text)
P
    sandbox_stop
}

@test "roles: assumed by key and by web identity, and their credentials work" {
    sandbox_start
    [ "$(aws sts get-caller-identity --query Arn --output text)" = arn:aws:iam::123456789012:user/sandbox ]
    role=arn:aws:iam::123456789012:role/deploy
    token=$(curl -s -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
        "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com" | jq -r .value)
    for way in "assume-role" "assume-role-with-web-identity --web-identity-token $token"; do
        # shellcheck disable=SC2086
        keys=$(aws sts $way --role-arn "$role" --role-session-name me --output json | jq .Credentials)
        AWS_ACCESS_KEY_ID=$(jq -r .AccessKeyId <<<"$keys") \
            AWS_SECRET_ACCESS_KEY=$(jq -r .SecretAccessKey <<<"$keys") \
            AWS_SESSION_TOKEN=$(jq -r .SessionToken <<<"$keys") \
            aws sts get-caller-identity --query Arn --output text >"$world/arn"
        [ "$(cat "$world/arn")" = arn:aws:sts::123456789012:assumed-role/deploy/me ]
    done
    other=$(curl -s -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
        "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=elsewhere" | jq -r .value)
    web="aws sts assume-role-with-web-identity --role-session-name me --role-arn $role --web-identity-token"
    refused InvalidIdentityToken $web "$other"
    refused InvalidIdentityToken $web "${token%????}AAAA"
    refused ValidationError aws sts assume-role --role-arn "$role/" --role-session-name me
    [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: bearer no' "$ACTIONS_ID_TOKEN_REQUEST_URL")" = 401 ]
    sandbox_stop
}

@test "roles of IAM: made and found, by the API and behind it, in one region" {
    sandbox_start
    control() { curl -sS --fail-with-body "$DISPATCHER_SANDBOX_CONTROL/$1" "${@:2}"; }
    policy='{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs.amazonaws.com"}, "Condition": {"StringLike": {"aws:SourceArn": "arn:aws:ecs:*:<&+%\"ü"}}}}'
    refused NoSuchEntity aws iam get-role --role-name pull
    [ "$(aws iam create-role --role-name pull --path /service/ --assume-role-policy-document "$policy" \
        --query Role.Arn --output text)" = arn:aws:iam::123456789012:role/service/pull ]
    [ "$(aws iam get-role --role-name pull --output json | jq -S .Role.AssumeRolePolicyDocument)" = \
        "$(jq -S . <<<"$policy")" ]
    refused EntityAlreadyExists aws iam create-role --role-name pull --assume-role-policy-document "$policy"
    refused MalformedPolicyDocument aws iam create-role --role-name bad --assume-role-policy-document '{'
    refused ValidationError aws iam get-role --role-name 'a b'
    refused InvalidAction aws iam list-roles
    control aws/iam -d '{"roles": [{"name": "run", "trust": ["ecs-tasks.amazonaws.com", "ec2.amazonaws.com"]},
        {"name": "pull", "trust": {"Version": "2012-10-17", "Statement": []}}]}'
    [ "$(AWS_REGION=eu-west-1 aws iam get-role --role-name run --output json |
        jq -c '[.Role.RoleName, .Role.AssumeRolePolicyDocument.Statement[].Principal.Service]')" = \
        '["run",["ecs-tasks.amazonaws.com","ec2.amazonaws.com"]]' ]
    [ "$(aws iam get-role --role-name pull --output json |
        jq -c '[.Role.Arn, .Role.AssumeRolePolicyDocument.Statement]')" = \
        '["arn:aws:iam::123456789012:role/pull",[]]' ]
    [ "$(curl -s "$AWS_ENDPOINT_URL" --aws-sigv4 aws:amz:eu-west-1:iam \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -d 'Action=GetRole&RoleName=run' |
        grep -o 'scoped to a valid region')" = "scoped to a valid region" ]
    AWS_SECRET_ACCESS_KEY=wrong refused SignatureDoesNotMatch aws iam get-role --role-name run
    control aws/deny -d '{"actions": ["iam:GetRole"]}'
    refused AccessDenied aws iam get-role --role-name run
    [[ "$stderr" == *"not authorized to perform: iam:GetRole on resource: role run"* ]]
    aws iam create-role --role-name other --assume-role-policy-document "$policy" >/dev/null
    for order in '{}' '{"roles": [{"name": "a/b", "trust": []}]}' '{"roles": [{"name": "a"}]}' \
        '{"roles": [{"name": "a", "path": "x", "trust": []}]}'; do
        [ "$(curl -s -o /dev/null -w '%{http_code}' "$DISPATCHER_SANDBOX_CONTROL/aws/iam" -d "$order")" = 422 ]
    done
    control 'reset?what=aws' -X POST
    refused NoSuchEntity aws iam get-role --role-name run
    sandbox_stop
}
