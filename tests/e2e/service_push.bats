# Credentials lent for a push: a job that holds no key pushes to ECR with a session of `push_role` that
# the service narrowed to its own repositories. What the session was and was refused is read at AWS's end.
load lib.bash
load web_lab.bash

setup_file() {
    needs python3 openssl
    python3 -c 'import boto3' 2>/dev/null || skip "boto3 is not installed"
    world_template
}

setup() {
    world_make
    host=123456789012.dkr.ecr.us-east-1.amazonaws.com
    role=arn:aws:iam::123456789012:role/push
    service_start "push_role: $role" "proxy: true"
    for name in greeter-staging-web greeter-production-web bank-web; do
        aws_call ecr create_repository "repositoryName=$name" >/dev/null
    done
}

teardown() {
    world_end
}

# Of web_lab.bash: once there are a sandbox and specs, the registry is ECR by its own host name.
eval "$(declare -f specs_are | sed '1s/specs_are/specs_of_the_lab/')"
specs_are() {
    specs_of_the_lab
    start relay python3 "$DISPATCHER_ROOT/tests/support/ecr_relay.py" "$world/relay" \
        "$DISPATCHER_SANDBOX_REGISTRY"
    until_true 20 test -s "$world/relay/port"
    unset DISPATCHER_REGISTRY_USER DISPATCHER_REGISTRY_PASSWORD
    HTTPS_PROXY=http://127.0.0.1:$(cat "$world/relay/port")
    export HTTPS_PROXY SSL_CERT_FILE=$world/relay/ca.pem
    registry_is "$host"
}

images_are_pushed() {
    first=$(git -C "$world/app" rev-parse HEAD~1)
}

# aws_call SERVICE METHOD [NAME=VALUE...]: by boto; the answer, or the error's code.
aws_call() {
    python3 - "$@" <<'END'
import json
import sys
import boto3
from botocore.exceptions import ClientError
service, method, *given = sys.argv[1:]
try:
    answer = getattr(boto3.client(service), method)(**dict(pair.split("=", 1) for pair in given))
    answer.pop("ResponseMetadata", None)
    print(json.dumps(answer, default=str))
except ClientError as error:
    print(error.response["Error"]["Code"])
END
}

# upload_begins REPOSITORY: how the registry answers whoever the environment's keys are.
upload_begins() {
    python3 - "$1" "https://$host" <<'END'
import base64
import json
import sys
import urllib.error
import urllib.request
import boto3
token = boto3.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
request = urllib.request.Request(f"{sys.argv[2]}/v2/{sys.argv[1]}/blobs/uploads/", method="POST",
                                 headers={"Authorization": "Basic " + token})
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code, json.load(error)["errors"][0]["code"])
END
}

sessions() { # FILTER
    control aws/sessions | jq -r "$1"
}

# place ENV [SHA]: what the job of that commit is told about its push; then $status and $output.
place() {
    run curl -sS --fail-with-body -X POST "$url/api/v1/apps/greeter/environments/$1/push" \
        -H "Authorization: Bearer $(job_token "${2-}")"
}

@test "a job without a key pushes with what is lent to it, and deploys what it pushed" {
    run --separate-stderr in_job "$DISPATCHER_BIN" deploy greeter --env staging --image "oci:$world/image" \
        --version v-lent --server "$url"
    expect 0
    found=$(aws_call ecr describe_images repositoryName=greeter-staging-web)
    found=$(jq -r '.imageDetails[] | select(.imageTags == ["v-lent"]) | .imageDigest' <<<"$found") ||
        { aws_call ecr describe_images repositoryName=greeter-staging-web; false; }
    [ "$found" = "$(jq -r '.manifests[0].digest' "$world/image/index.json")" ] || { show; echo "pushed '$found'"; false; }
    [[ $output == *"$found"* ]] || { show; false; }
    # One session, of the role, for a quarter of an hour, for this repository alone; it never met a wall.
    [ "$(sessions '[.sessions[] | [.duration_s, .policy.Statement[1].Resource, .denied]] | tojson')" = \
        '[[900,["arn:aws:ecr:us-east-1:123456789012:repository/greeter-staging-web"],[]]]' ] ||
        { sessions .; false; }
    [[ $(sessions '.sessions[0].arn') == "arn:aws:sts::123456789012:assumed-role/push/dispatcher-"*"-greeter" ]]
}

@test "what is lent reaches no other repository, no parameter and no list, and leaves no trace" {
    place staging
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    lent=$(jq -c .credentials <<<"$output")
    AWS_ACCESS_KEY_ID=$(jq -r .access_key_id <<<"$lent")
    AWS_SECRET_ACCESS_KEY=$(jq -r .secret_access_key <<<"$lent")
    AWS_SESSION_TOKEN=$(jq -r .session_token <<<"$lent")
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
    [ "$(upload_begins greeter-staging-web)" = 202 ]
    for other in greeter-production-web bank-web; do
        [ "$(upload_begins "$other")" = "403 DENIED" ]
    done
    [ "$(aws_call ecr list_images repositoryName=greeter-staging-web)" = AccessDeniedException ]
    [ "$(aws_call ecr delete_repository repositoryName=greeter-staging-web)" = AccessDeniedException ]
    [ "$(aws_call ssm get_parameter Name=/greeter/staging/web/version)" = AccessDeniedException ]
    # It ends in fifteen minutes.
    until=$(date -d "$(jq -r .expires_at <<<"$lent")" +%s)
    [ $((until - $(date +%s))) -gt 840 ]
    [ $((until - $(date +%s))) -le 900 ]
    for secret in "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"; do
        [ "$(grep -c -F -e "$secret" "$world/serve.log")" = 0 ]
        [ "$(cat "$world"/service.db* | grep -c -a -F -e "$secret")" = 0 ]
    done
}

@test "who may not deploy there is lent nothing" {
    run curl -sS -o "$world/refused" -w '%{http_code}' -X POST \
        "$url/api/v1/apps/greeter/environments/staging/push" -H "Authorization: Bearer $(
            curl -sf "$DISPATCHER_SANDBOX_CONTROL/oidc/token" -d "$(jq -n --arg url "$url" \
                '{repository: "demo/greeter", audience: $url, ref: "refs/heads/feature"}')" | jq -r .value)"
    [ "$output" = 403 ] || { cat "$world/refused"; false; }
    [ "$(jq -r .code "$world/refused")" = ref-not-allowed ]
    [ "$(sessions '.sessions | length')" = 0 ]
    [ "$(grep -c credentials "$world/refused")" = 0 ]
}

@test "a role that cannot be taken is told in plain words, and nothing is pushed or triggered" {
    control aws/deny -d '{"actions": ["sts:AssumeRole"]}' >/dev/null
    run --separate-stderr in_job "$DISPATCHER_BIN" deploy greeter --env staging --image "oci:$world/image" \
        --version v-lent --server "$url"
    show
    [ "$status" -eq 4 ]
    [[ $stderr == *"dispatcher: deploy 'greeter' to 'staging': AWS does not let the service take the role that pushes"* ]]
    [[ $stderr == *"hint: Whoever runs the service finds AWS's answer in its log, by the request id "* ]]
    [[ $stderr != *AccessDenied* ]] # names of roles and accounts are no job's business
    grep -q "the role of pushes cannot be taken.*AccessDenied" "$world/serve.log"
    [ "$(aws_call ecr describe_images repositoryName=greeter-staging-web | jq '.imageDetails | length')" = 0 ]
    [ "$(posts)" = 0 ]
}
