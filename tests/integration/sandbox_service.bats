#!/usr/bin/env bats
# What the service needs of the sandbox, before judges that nobody here wrote: GitHub's payload
# schemas and Octokit's verifier for webhooks, jose for tokens, oauth4webapi and Octokit for the web
# flow, people, repositories and comparisons, boto3 and curl for narrowed credentials.

load sandbox_lab

setup() {
    node_home=$BATS_TEST_DIRNAME/../e2e/node
    need node curl jq git
    make_world <<'Y'
name: Deploy
run-name: Deploy ${{ inputs.app }}
on: {workflow_dispatch: {inputs: {app: {required: true}}}}
jobs:
  one:
    steps:
      - run: echo "hello ${{ inputs.app }}"
  two:
    needs: one
    steps: [{run: 'true'}]
Y
}

need_npm() {
    [ -d "$node_home/node_modules/$1" ] || skip "$1 is not installed (npm ci)"
}

# story FILE: its line of JSON in $output.
story() {
    run --separate-stderr node "$node_home/$1"
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
}

# told KEY JSON: what the story says of it.
told() {
    local said
    said=$(jq -c ".$1" <<<"$output")
    [ "$said" = "$2" ] || { printf '%s: %s\n' "$1" "$said"; return 1; }
}

@test "webhooks are signed, shaped as GitHub's, listed, repeated, and lost on order" {
    need_npm @octokit/webhooks-schemas
    sandbox_start
    story webhooks_sandbox.mjs
    told flaws '[]'
    told judge '["sandbox-user",1,1]'
    told events '["ping","push","workflow_job.completed","workflow_job.completed","workflow_job.in_progress","workflow_job.in_progress","workflow_job.queued","workflow_job.queued","workflow_run.completed","workflow_run.in_progress","workflow_run.requested"]'
    told signed true
    told heads '["373737 integration 4242 GitHub-Hookshot"]'
    told push '["refs/heads/main","cccccccccccccccccccccccccccccccccccccccc",["appspecs/x.yaml"],515151]'
    told completed '["completed","success","acme/infra"]'
    told failures '[["push","Invalid HTTP Response: 503",503,false,true]]'
    told again '[true,true]'
    told one '[true,"refs/heads/main","noted"]'
    told pages '[true,true]'
    told chaos '[40,true,true,true,true]'
    told same_fate true
    told disorder true
    told lost_listed true
    sandbox_stop
}

@test "the issuer's tokens, the web flow, people and teams hold before their usual clients" {
    need_npm oauth4webapi
    sandbox_start
    story identity_sandbox.mjs
    told claims '{"repository":"acme/shop","ref":"refs/tags/v1","ref_type":"tag","sub":"repo:acme/shop:environment:production","event_name":"release","jti":"j-1","run_id":"77"}'
    told ids '[true,true]'
    told refused '["ERR_JWT_CLAIM_VALIDATION_FAILED","ERR_JWT_EXPIRED","ERR_JWT_CLAIM_VALIDATION_FAILED","ERR_JWT_CLAIM_VALIDATION_FAILED"]'
    told bare '[false,false,"1"]'
    told many '[50,50]'
    told bad_orders '[422,422]'
    told rotated '["ERR_JWKS_NO_MATCHING_KEY","object","object"]'
    told dropped '"ERR_JWKS_NO_MATCHING_KEY"'
    told shell '"acme/infra"'
    told tokens '[302,"bearer","ghu_",28800,"ghr_"]'
    told used '"bad_verification_code"'
    told pkce '"bad_verification_code"'
    told secret '"incorrect_client_credentials"'
    told denied '"access_denied"'
    told elsewhere 400
    told page '[200,5,true]'
    told after '[401,"octocat"]'
    told form '[200,"bad_verification_code"]'
    told octokit '["oauth","monalisa",401]'
    told people '[["ada",true,true,"string"],["robot",false,true,"string"],["mallory",false,false,"string"]]'
    told ada '[4711,["acme/shop-deployers"],["acme"],"active",204,"active",404,["octocat","monalisa"],"admin","Bot"]'
    told mallory '[0,404,404,404]'
    told bad_people '["'"'login' is 1 to 39 letters, digits and hyphens"'","'"'token' is somebody else's"'"]'
    sandbox_stop
}

@test "app repositories have ids, commits and former names, and runs that only time moves" {
    need_npm octokit
    FIRST_COMMIT=$(git -C "$world/infra" rev-parse HEAD)
    export FIRST_COMMIT
    git -C "$world/infra" -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m second
    sandbox_start
    story repositories_sandbox.mjs
    told made '{"full_name":"acme/shop","id":123456789,"owner_id":9919,"default_branch":"main"}'
    told repo '[123456789,9919,"main","acme/shop"]'
    told bad '["'"'id' is another repository's"'","a commit is there already","'"'parents' are commits that were given before"'","a commit is 40 hexadecimal digits, or an object with such a '"'sha'"'"]'
    told ahead '[["ahead",3,0,3,1],["Change 2","Change 3","Change 4"],"ada@example.org",true]'
    told behind '["behind",0,3,0,1]'
    told identical '["identical",0,0,0,300]'
    told diverged '["diverged",2,2,2,298]'
    told unknown '[404,404]'
    told long '[299,250,true]'
    told pages '[299,2,300]'
    told commit true
    told listed '[501,500,298]'
    told git '["ahead",1,true]'
    told subject '{"use_default":true,"use_immutable_subject":false,"sub_claim_prefix":"repo:acme/shop"}'
    told custom '{"use_default":false,"include_claim_keys":["repo","ref"],"use_immutable_subject":true,"sub_claim_prefix":"repo:acme@9919/shop@123456789"}'
    told renamed '"acme/store"'
    told moved '[301,true,"Moved Permanently"]'
    told followed '"acme/store"'
    told taken '"'"'rename' is OWNER/NAME that no repository has"'"'
    told runs '[120,100,true,120,1,"failure"]'
    told jobs '["completed failure"]'
    told filters '[0,120,0]'
    told cancelled '"cancelled"'
    told counters '[304,2,1,1]'
    sandbox_stop
}

@test "a webhook of the command line has the given secret, and git's own pushes are told" {
    need openssl
    printf 'It is no secret\n' >"$world/secret"
    sandbox_start --webhook http://127.0.0.1:9/never --webhook-secret-file "$world/secret"
    [ "$DISPATCHER_SANDBOX_WEBHOOK_SECRET_FILE" = "$world/secret" ]
    control /github/hooks -d "{\"url\": \"$DISPATCHER_SANDBOX_HOOKS/github\"}"
    sleep 0.6
    git -C "$world/infra" -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m second
    local tries=0
    until [ "$(control /inbox | jq '[.hooks.deliveries[] | select(.headers["X-GitHub-Event"] == "push")] | length')" = 1 ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { control /inbox; false; }
        sleep 0.05
    done
    delivery=$(control /inbox | jq '.hooks.deliveries[] | select(.headers["X-GitHub-Event"] == "push")')
    [ "$(jq -r .json.after <<<"$delivery")" = "$(git -C "$world/infra" rev-parse HEAD)" ]
    [ "$(jq -r .json.before <<<"$delivery")" = "$(git -C "$world/infra" rev-parse HEAD~1)" ]
    [ "$(jq -r .json.ref <<<"$delivery")" = refs/heads/main ]
    wanted=$(jq -j .body <<<"$delivery" | openssl dgst -sha256 -hmac 'It is no secret' | sed 's/.* //')
    [ "$(jq -r '.headers["X-Hub-Signature-256"]' <<<"$delivery")" = "sha256=$wanted" ]
    # The first ping went where nobody listens.
    [ "$(control /github/hooks | jq -c '[.failed, .lost, .good >= 2]')" = '[1,0,true]' ]
    sandbox_stop
}

@test "who gets no webhook, and which orders are refused" {
    sandbox_start
    control /github/push -o /dev/null -d '{"repository": "acme/infra"}'
    [ "$(control /github/hooks | jq -c '[.urls, .events]')" = '[[],0]' ]
    refused() {
        [ "$(control "$1" -o "$BATS_TEST_TMPDIR/said" -w '%{http_code}' -d "$2")" = "$3" ]
    }
    refused /github/hooks '{"url": "ftp://x"}' 422
    refused /github/hooks '{"url": []}' 422
    refused /github/hooks/faults '{"lose": 1.5}' 422
    refused /github/hooks/faults '{"shuffle_ms": -1}' 422
    refused /github/push '{"repository": "acme/nothing"}' 404
    refused /github/push '{"repository": "acme/infra", "after": "HEAD"}' 422
    refused /github/runs/auto '{"conclusion": "great"}' 422
    refused /github/runs/auto '{"seconds_to_start": -1}' 422
    refused /github/oauth '{"redirect_uris": "x"}' 422
    refused /github/oauth '{"redirect_uris": ["http://127.0.0.1:1/only"]}' 204
    at="$GITHUB_SERVER_URL/login/oauth/authorize?client_id=$DISPATCHER_SANDBOX_OAUTH_CLIENT_ID&login=octocat"
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$at&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fonly")" = 302 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$at&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fother")" = 400 ]
    # Events that are not wanted, and a run that never started, of which GitHub tells nothing.
    control /github/hooks -o /dev/null -d "{\"url\": \"$DISPATCHER_SANDBOX_HOOKS/github\", \"events\": [\"workflow_run\"]}"
    control /github/next-run -o /dev/null -d '{"conclusion": "startup_failure"}'
    dispatch '{"app": "x"}'
    run_done "$run"
    control /github/push -o /dev/null -d '{"repository": "acme/infra"}'
    [ "$(control /github/hooks | jq .events)" = 1 ]
    dispatch '{"app": "x"}'
    run_done "$run"
    [ "$(control /github/hooks | jq .events)" = 4 ]
    sandbox_stop
}

@test "an issuer that is down answers as a fault says, and its keys come back" {
    sandbox_start
    control /faults -o /dev/null -d '{"rule": "GET /oidc/.well-known/* count=all status=503"}'
    keys=$DISPATCHER_SANDBOX_OIDC_ISSUER/.well-known/jwks
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$keys")" = 503 ]
    control /faults -X DELETE
    [ "$(curl -s "$keys" | jq '.keys | length')" = 1 ]
    sandbox_stop
}

# as_session POLICY: an AssumeRole with boto3; exports its credentials.
as_session() {
    eval "$(python3 - "$1" <<'P'
import sys
import boto3
got = boto3.client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/push",
    RoleSessionName="shop", Policy=sys.argv[1], DurationSeconds=900)
keys = got["Credentials"]
print(f"export AWS_ACCESS_KEY_ID={keys['AccessKeyId']} AWS_SECRET_ACCESS_KEY={keys['SecretAccessKey']}")
print(f"export AWS_SESSION_TOKEN={keys['SessionToken']}")
assert 0 < got["PackedPolicySize"] <= 100
P
    )"
}

@test "a session policy narrows a push to its repositories, and the control shows it" {
    need python3
    need_boto3
    sandbox_start
    python3 - <<'P'
import boto3
ecr = boto3.client("ecr")
for name in ("shop-web", "bank-web"):
    ecr.create_repository(repositoryName=name)
P
    of=arn:aws:ecr:us-east-1:123456789012:repository
    as_session '{"Statement": [{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Effect": "Allow", "Action": ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage", "ecr:BatchCheckLayerAvailability"], "Resource": "'$of'/shop-web"}]}'
    run python3 - <<'P'
import base64, json, urllib.request, urllib.error
import os
import boto3
from botocore.exceptions import ClientError
ecr = boto3.client("ecr")
token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
at = "http://" + os.environ["DISPATCHER_SANDBOX_REGISTRY"]
def push(name):
    request = urllib.request.Request(f"{at}/v2/{name}/blobs/uploads/", method="POST",
        headers={"Authorization": "Basic " + token})
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["errors"][0]["code"]
print(push("shop-web"), push("bank-web"))
for what in (lambda: ecr.list_images(repositoryName="shop-web"),
             lambda: boto3.client("ssm").get_parameter(Name="/x")):
    try:
        what()
        print("allowed")
    except ClientError as error:
        print(error.response["Error"]["Code"], error.response["Error"]["Message"].split("because ")[1])
print(boto3.client("sts").get_caller_identity()["Arn"])
P
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [ "$output" = "202 (403, 'DENIED')
AccessDeniedException no session policy allows the ecr:ListImages action
AccessDeniedException no session policy allows the ssm:GetParameter action
arn:aws:sts::123456789012:assumed-role/push/shop" ] || { echo "$output"; false; }
    [ "$(control /aws/sessions | jq -c '.sessions[] | [.arn, .duration_s, .policy.Statement[1].Resource, [.denied[] | .action + " " + .resource]]')" = \
        '["arn:aws:sts::123456789012:assumed-role/push/shop",900,"'$of'/shop-web",["ecr:InitiateLayerUpload '$of'/bank-web","ecr:ListImages '$of'/shop-web","ssm:GetParameter arn:aws:ssm:us-east-1:123456789012:parameter/x"]]' ] ||
        { control /aws/sessions; false; }
    # What is no policy makes no session.
    set -a
    # shellcheck source=/dev/null
    . "$world/env"
    set +a
    unset AWS_SESSION_TOKEN
    run python3 - <<'P'
import boto3
from botocore.exceptions import ClientError
for policy in ("{", '{"Statement": []}', " " * 2100):
    try:
        boto3.client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/push",
            RoleSessionName="shop", Policy=policy)
        print("allowed")
    except ClientError as error:
        print(error.response["Error"]["Code"])
P
    [ "$output" = $'MalformedPolicyDocument\nMalformedPolicyDocument\nValidationError' ] || { echo "$output"; false; }
    sandbox_stop
}

@test "the ready file has what a service is configured with" {
    sandbox_start
    [ "$DISPATCHER_SANDBOX_OIDC_ISSUER" = "$DISPATCHER_SANDBOX/oidc" ]
    [ "$DISPATCHER_SANDBOX_ORG" = acme ]
    [ "$DISPATCHER_SANDBOX_ORG_ID" = "$(curl -s -H "Authorization: Bearer $GITHUB_TOKEN" "$GITHUB_API_URL/repos/acme/infra" | jq .owner.id)" ]
    [ "$(cat "$DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET_FILE")" = "$DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET" ]
    [ "${#DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET}" = 40 ]
    [ -n "$DISPATCHER_SANDBOX_OAUTH_CLIENT_ID" ]
    [ "$(wc -c <"$DISPATCHER_SANDBOX_WEBHOOK_SECRET_FILE")" = 48 ]
    [ "$(stat -c %a "$DISPATCHER_SANDBOX_WEBHOOK_SECRET_FILE")" = 600 ]
    sandbox_stop
}

@test "a job's commit is where the trunk of its repository is, unless the order says another" {
    sandbox_start
    sha_of() { # ORDER
        control /oidc/token -d "$1" | jq -r .value | cut -d. -f2 | tr '_-' '/+' | base64 -d 2>/dev/null | jq -r .sha
    }
    [ "$(sha_of '{"repository": "acme/infra", "audience": "x"}')" = "$(git -C "$world/infra" rev-parse HEAD)" ]
    git -C "$world/infra" -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m second
    [ "$(sha_of '{"repository": "acme/infra", "audience": "x"}')" = "$(git -C "$world/infra" rev-parse HEAD)" ]
    [ "$(sha_of '{"repository": "acme/infra", "audience": "x", "ref": "refs/heads/topic"}')" = \
        0000000000000000000000000000000000000001 ]
    [ "$(sha_of '{"repository": "acme/nowhere", "audience": "x"}')" = 0000000000000000000000000000000000000001 ]
    [ "$(sha_of "{\"repository\": \"acme/infra\", \"audience\": \"x\", \"sha\": \"$(printf 'a%.0s' {1..40})\"}")" = \
        "$(printf 'a%.0s' {1..40})" ]
    sandbox_stop
}
