#!/usr/bin/env bats
# The sandbox's Vault before clients that nobody here wrote: node-vault for secrets and logins by
# OIDC, botocore as the signer of logins by AWS identity.

load sandbox_lab

setup() {
    node_home=$BATS_TEST_DIRNAME/../e2e/node
    need curl jq git
    make_world <<<'on: workflow_dispatch'
}

# configure JSON: sets up what the sandbox's Vault has.
configure() {
    curl -sS --fail-with-body "$DISPATCHER_SANDBOX_CONTROL/vault" -d "$1"
}

# vault PATH [CURL-OPTION]...: as $token; sets $code and $body.
vault() {
    code=$(curl -s -o "$BATS_TEST_TMPDIR/body" -w '%{http_code}' -H "X-Vault-Token: $token" \
        "${@:2}" "$VAULT_ADDR/v1/$1")
    body=$(cat "$BATS_TEST_TMPDIR/body")
}

@test "node-vault reads, writes, lists, signs in by OIDC, renews and revokes" {
    need node
    [ -d "$node_home/node_modules/node-vault" ] || skip "node-vault is not installed (npm ci)"
    sandbox_start
    run --separate-stderr node "$node_home/vault_sandbox.mjs"
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    jq . <<<"$output"
    wanted='{"health":[true,false],"first":1,
        "late":[400,["check-and-set parameter did not match the current version"]],
        "read":[{"key":"two"},2],"old":{"key":"one","port":8080},"list":["shop/"],"below":["web"],
        "versions":["1","2"],"none":[404,[]],"deleted":[404,null,true],
        "unmounted":[404,["no handler for route \"kv/data/x\". route entry not found."]],
        "stranger":[403,["permission denied"]],"login":[60,true,{"role":"ci"}],"mine":{"key":"three"},
        "beyond":[403,["permission denied"]],"self":[true,true,true],"renewed":true,
        "revoked":[403,["permission denied"]],"logins":[
        [400,["error validating token: invalid audience (aud) claim: audience claim does not match any bound audience"]],
        [400,["error validating token: error verifying token signature: no known key successfully validated the token signature"]],
        [400,["error validating claims: claim \"repository\" does not match any associated bound claim values"]],
        [400,["role \"gone\" could not be found"]]]}'
    [ "$(jq -cS . <<<"$output")" = "$(jq -cS . <<<"$wanted")" ]
    sandbox_stop
}

@test "a login by AWS identity shows STS a signed request" {
    need python3
    need_boto3
    sandbox_start
    configure '{"mounts": [{"path": "aws", "type": "aws", "server_id": "vault.example.org"},
            {"path": "aws-eu", "type": "aws", "sts_region": "eu-central-1"}],
        "roles": [{"mount": "aws", "name": "deploy", "principals": ["arn:aws:iam::*:role/deploy"]},
            {"mount": "aws", "name": "sandbox", "principals": ["arn:aws:iam::123456789012:user/*"], "ttl": "7m"},
            {"mount": "aws-eu", "name": "sandbox", "principals": ["*"]}]}'
    python3 - <<'P'
import base64, json, os, urllib.error, urllib.request
import boto3, botocore.auth, botocore.awsrequest, botocore.credentials
own = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
body = "Action=GetCallerIdentity&Version=2011-06-15"
def encode(text):
    return base64.b64encode(text.encode()).decode()
def proof(keys=own, region="us-east-1", server_id="vault.example.org", service="sts", late=None, content=body):
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    headers |= {"X-Vault-AWS-IAM-Server-ID": server_id} if server_id else {}
    request = botocore.awsrequest.AWSRequest("POST", "https://sts.amazonaws.com/", headers=headers, data=content)
    botocore.auth.SigV4Auth(keys, service, region).add_auth(request)
    all = dict(request.headers.items()) | {"Host": "sts.amazonaws.com"} | (late or {})
    return {"iam_http_request_method": "POST", "iam_request_url": encode("https://sts.amazonaws.com/"),
        "iam_request_body": encode(content), "iam_request_headers": encode(json.dumps({k: [v] for k, v in all.items()}))}
def login(mount="aws", **fields):
    request = urllib.request.Request(f"{os.environ['VAULT_ADDR']}/v1/auth/{mount}/login", json.dumps(fields).encode(), method="POST")
    try:
        return json.load(urllib.request.urlopen(request))["auth"]
    except urllib.error.HTTPError as err:
        return err.code, json.load(err)["errors"][0]

auth = login(role="sandbox", **proof())
assert (auth["lease_duration"], auth["metadata"]) == (420, {"role": "sandbox"}), auth
assert login(**proof())["metadata"] == {"role": "sandbox"} # the user's own name
plain = proof()
plain["iam_request_headers"] = json.loads(base64.b64decode(plain["iam_request_headers"]))
assert "client_token" in login(role="sandbox", **plain)    # as an object
keys = boto3.client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).assume_role(RoleArn="arn:aws:iam::123456789012:role/deploy", RoleSessionName="job")["Credentials"]
role = botocore.credentials.Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
assert login(**proof(role))["metadata"] == {"role": "deploy"}
assert login(role="sandbox", **proof(role)) == (400,
    'IAM Principal "arn:aws:sts::123456789012:assumed-role/deploy/job" does not belong to the role "sandbox"')
assert login(role="gone", **proof()) == (400, 'entry for role "gone" not found')

header = "error validating X-Vault-AWS-IAM-Server-ID header: "
assert login(role="sandbox", **proof(server_id=None)) == (400, header + 'missing header "X-Vault-AWS-IAM-Server-ID"')
assert login(role="sandbox", **proof(server_id="other")) == (400, header + 'expected "vault.example.org" but got "other"')
assert login(role="sandbox", **proof(server_id=None, late={"X-Vault-AWS-IAM-Server-ID": "vault.example.org"})) == (
    400, header + "header wasn't signed")
sts = "error making upstream request: received error code 403 from STS: "
wrong = botocore.credentials.Credentials(own.access_key, "wrong")
for bad, word in ((proof(wrong), "SignatureDoesNotMatch"), (proof(region="eu-central-1"), "valid region"),
        (proof(service="iam"), "service 'sts'"), (proof() | {"iam_request_body": encode(body + "&x=1")}, "SignatureDoesNotMatch")):
    code, text = login(role="sandbox", **bad)
    assert code == 400 and text.startswith(sts) and word in text, text
assert "IncompleteSignature" in login("aws-eu", role="sandbox", **proof(server_id=None, late={"Authorization": ""}))[1]
assert "client_token" in login("aws-eu", **proof(region="eu-central-1", server_id=None))
assert "valid region" in login("aws-eu", **proof(server_id=None))[1]
for field, text in (("iam_http_request_method", "missing iam_http_request_method"), ("iam_request_url", "missing or invalid iam_request_url"),
        ("iam_request_body", "missing iam_request_body"), ("iam_request_headers", "missing or invalid iam_request_headers")):
    assert login(role="sandbox", **{k: v for k, v in proof().items() if k != field}) == (400, text)
assert login(role="sandbox", **(proof() | {"iam_http_request_method": "GET"}))[0] == 400
assert login(role="sandbox", **proof(content="Action=ListUsers")) == (400, "iam_request_body is not valid")
assert login("nowhere", role="sandbox", **proof()) == (403, "permission denied")
P
    sandbox_stop
}

@test "tokens end, namespaces are apart, a sealed Vault answers nobody" {
    sandbox_start
    given=$(configure '{"roles": [{"mount": "jwt", "name": "short", "ttl": 1, "renewable": false},
            {"mount": "jwt", "name": "ours", "namespace": "team/a", "write": ["secret/data/new"]}],
        "mounts": [{"path": "team/kv", "type": "kv"}],
        "secrets": [{"path": "team/kv/data/app/key", "data": {"v": "root"}},
            {"path": "secret/data/app", "data": {"v": "team"}, "namespace": "team/a"}],
        "tokens": [{"role": "short", "mount": "jwt"}, {"role": "ours", "mount": "jwt", "namespace": "team/a"}]}')
    token=$(jq -r '.tokens[0]' <<<"$given")
    vault team/kv/data/app/key
    [ "$code $(jq -r .data.data.v <<<"$body")" = '200 root' ]
    vault auth/token/renew-self -d '{}'
    [ "$code $body" = '400 {"errors":["lease is not renewable"]}' ]
    for _ in $(seq 100); do
        vault auth/token/lookup-self
        [ "$code" = 200 ] || break
        sleep 0.05
    done
    [ "$code $body" = '403 {"errors":["permission denied"]}' ]

    token=$(jq -r '.tokens[1]' <<<"$given")
    vault secret/data/app -H 'X-Vault-Namespace: team/a/'
    [ "$code $(jq -r .data.data.v <<<"$body")" = '200 team' ]
    vault team/a/secret/data/app
    [ "$code $(jq -r .data.data.v <<<"$body")" = '200 team' ]
    vault team/a/secret/data/new -d '{"data": {"x": 1}}'
    [ "$code" = 200 ]
    vault team/a/secret/data/other -d '{"data": {"x": 1}}'
    [ "$code" = 403 ]
    vault secret/data/app
    [ "$code" = 403 ]
    vault secret/data/app -H 'X-Vault-Namespace: team/b'
    [ "$code $body" = '404 {"errors":["namespace not found"]}' ]

    token=$DISPATCHER_SANDBOX_VAULT_TOKEN
    vault secret/data/app
    [ "$code $body" = '404 {"errors":[]}' ]
    vault secret/app
    [ "$code" = 404 ]
    [[ "$body" == *"Invalid path for a versioned K/V secrets engine"* ]]
    vault secret/data/app -d '{}'
    [ "$code $body" = '400 {"errors":["no data provided"]}' ]
    [ "$(control /state | jq -c '.vault.secrets[0]')" = '{"namespace":"","mount":"team/kv","path":"app/key","versions":1}' ]
    configure '{"sealed": true}'
    vault secret/data/app
    [ "$code $body" = '503 {"errors":["Vault is sealed"]}' ]
    vault sys/health
    [ "$code $(jq .sealed <<<"$body")" = '503 true' ]
    control '/reset?what=vault' -X POST
    vault team/kv/data/app/key
    [ "$code" = 404 ]
    for wrong in 'no' '{"roles": [{}]}' '{"roles": [{"mount": "no", "name": "x"}]}' '{"mounts": [{"path": "x", "type": "pki"}]}' \
        '{"roles": [{"mount": "aws", "name": "x", "ttl": 0}]}' '{"secrets": [{"path": "secret/x", "data": {}}]}' \
        '{"tokens": [{"role": "x", "mount": "aws"}]}'; do
        [ "$(control /vault -o /dev/null -w '%{http_code}' -d "$wrong")" = 422 ] || { echo "$wrong"; false; }
    done
    sandbox_stop
}
