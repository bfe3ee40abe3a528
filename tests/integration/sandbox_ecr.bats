#!/usr/bin/env bats
# The sandbox's registry when it is spoken to as ECR, by a host name of ECR's: driven by curl, by
# skopeo through a relay that ends TLS, and by the AWS CLI. The same repositories by the sandbox's
# own address behave as any registry's.

load sandbox_lab

setup() {
    need skopeo aws curl jq git python3 openssl
    host=123456789012.dkr.ecr.us-east-1.amazonaws.com
    make_world <<<'on: workflow_dispatch'
}

teardown() {
    [ -z "${relay_pid:-}" ] || kill "$relay_pid" 2>/dev/null || true
    if [ -n "${sandbox_pid:-}" ]; then
        kill -KILL "$sandbox_pid" 2>/dev/null || true
        wait "$sandbox_pid" 2>/dev/null || true
    fi
}

# ecr PATH [CURL-OPTION...]: sets $code (000: no answer), $body, $headers.
ecr() {
    rm -f "$BATS_TEST_TMPDIR/body"
    headers=$BATS_TEST_TMPDIR/headers
    code=$(curl -s -o "$BATS_TEST_TMPDIR/body" -D "$headers" -w '%{http_code}' -H "Host: $host" \
        -u "AWS:$DISPATCHER_REGISTRY_PASSWORD" "${@:2}" "$DISPATCHER_SANDBOX/v2/$1") || true
    body=$(tr -d '\0' <"$BATS_TEST_TMPDIR/body" 2>/dev/null || true)
}

plain() {
    headers=$BATS_TEST_TMPDIR/headers
    code=$(curl -s -o "$BATS_TEST_TMPDIR/body" -D "$headers" -w '%{http_code}' \
        -u "AWS:$DISPATCHER_REGISTRY_PASSWORD" "${@:2}" "$DISPATCHER_SANDBOX/v2/$1") || true
}

said() {
    jq -r '.errors[0].code' <<<"$body"
}

repository() {
    aws ecr create-repository --repository-name "$@" >/dev/null
}

# Opens an upload in `$1` and sets $place.
open_upload() {
    ecr "$1/blobs/uploads/" -X POST
    [ "$code" = 202 ]
    place=$(header Location)
    place=${place#/v2/}
}

# manifest REPOSITORY: a config blob and a manifest that names it, in $manifest.
make_manifest() {
    printf '{"rootfs":{"type":"layers","diff_ids":[]}}' >"$world/config"
    config=sha256:$(sha256sum <"$world/config" | cut -d' ' -f1)
    open_upload "$1"
    ecr "$place&digest=$config" -X PUT --data-binary "@$world/config"
    [ "$code" = 201 ]
    manifest=$world/manifest
    jq -cjn --arg config "$config" '{schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json", layers: [],
        config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $config, size: 42}
        }' >"$manifest"
    digest=sha256:$(sha256sum <"$manifest" | cut -d' ' -f1)
}

put_manifest() { # REPOSITORY TAG
    ecr "$1/manifests/$2" -X PUT --data-binary "@$manifest" \
        -H 'Content-Type: application/vnd.oci.image.manifest.v1+json'
}

@test "PATCH answers 201, and 202 by another name" {
    sandbox_start
    repository app
    open_upload app
    ecr "$place" -X PATCH -d hello
    [ "$code" = 201 ]
    ecr "$place&digest=sha256:$(printf hello | sha256sum | cut -d' ' -f1)" -X PUT
    [ "$code" = 201 ]
    plain app/blobs/uploads/ -X POST
    place=$(header Location)
    plain "${place#/v2/}" -X PATCH -d hello
    [ "$code" = 202 ]
    sandbox_stop
}

@test "parts: Range is stuck at the first, small ones are the last, and all bytes are there" {
    sandbox_start
    repository app
    head -c 5242880 /dev/zero >"$world/part"
    cat "$world/part" "$world/part" <(printf end) >"$world/all"
    open_upload app
    ecr "$place" -X PATCH -H 'Content-Range: 0-5242879' --data-binary "@$world/part"
    [ "$(header Range)" = 0-5242879 ]
    ecr "$place" -X PATCH -H 'Content-Range: 5242880-10485759' --data-binary "@$world/part"
    [ "$code $(header Range)" = "201 0-5242879" ]
    ecr "$place"
    [ "$code $(said)" = "404 BLOB_UPLOAD_UNKNOWN" ]
    ecr "$place&digest=sha256:$(sha256sum <"$world/all" | cut -d' ' -f1)" -X PUT \
        -H 'Content-Range: 10485760-10485762' -d end
    [ "$code" = 201 ]
    open_upload app
    ecr "$place" -X PATCH -H 'Content-Range: 0-4' -d hello
    ecr "$place" -X PATCH -H 'Content-Range: 5-9' -d world
    [ "$code $(said)" = "400 BLOB_UPLOAD_INVALID" ]
    sandbox_stop
}

@test "a second body in one session is out of step" {
    sandbox_start
    repository app
    sum=sha256:$(printf hello | sha256sum | cut -d' ' -f1)
    open_upload app
    ecr "$place" -X PATCH -d hello
    for again in "-X PATCH -d hello" "-X PUT -d hello" "-X PATCH -d hello -H Content-Range:0-4"; do
        # shellcheck disable=SC2086
        ecr "$place&digest=$sum" $again
        [ "$code $(said)" = "416 BLOB_UPLOAD_INVALID" ]
    done
    ecr "$place&digest=$sum" -X PUT
    [ "$code" = 201 ]
    sandbox_stop
}

@test "a body that breaks off spoils its session, and a new one is fine" {
    sandbox_start
    repository app
    sum=sha256:$(printf hello | sha256sum | cut -d' ' -f1)
    open_upload app
    python3 - "$place&digest=$sum" <<'P'
import base64, os, socket, sys
auth = base64.b64encode(b"AWS:" + os.environ["DISPATCHER_REGISTRY_PASSWORD"].encode()).decode()
host, port = os.environ["DISPATCHER_SANDBOX_REGISTRY"].split(":")
with socket.create_connection((host, int(port))) as connection:
    connection.sendall((f"PUT /v2/{sys.argv[1]} HTTP/1.1\r\nAuthorization: Basic {auth}\r\n"
        "Host: 123456789012.dkr.ecr.us-east-1.amazonaws.com\r\nContent-Length: 5\r\n\r\nhel").encode())
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(100) == b""
P
    ecr "$place&digest=$sum" -X PUT -d hello
    [ "$code $(said)" = "416 BLOB_UPLOAD_INVALID" ]
    open_upload app
    ecr "$place&digest=$sum" -X PUT -d hello
    [ "$code" = 201 ]
    sandbox_stop
}

@test "a missing repository: no answer to POST, NAME_UNKNOWN to GET, and nothing is made" {
    sandbox_start
    ecr missing/blobs/uploads/ -X POST
    [ "$code" = 000 ]
    [ ! -s "$headers" ]
    [ "$(control '/requests?path=/v2/missing/*' | jq '.requests[0].status')" = 0 ]
    ecr missing/manifests/v1
    [ "$code $(said)" = "404 NAME_UNKNOWN" ]
    [ "$(control /state | jq '.registry | length')" = 0 ]
    plain missing/blobs/uploads/ -X POST
    [ "$code" = 202 ]
    [ "$(control /state | jq -r '.registry[].name')" = missing ]
    sandbox_stop
}

@test "a manifest's answer names no place, and an immutable tag takes not even the same digest" {
    sandbox_start
    repository fixed --image-tag-mutability IMMUTABLE
    make_manifest fixed
    put_manifest fixed v1
    [ "$code" = 201 ]
    [ -z "$(header Location)" ]
    [ "$(header Docker-Content-Digest)" = "$digest" ]
    put_manifest fixed v1
    [ "$code $(said)" = "400 TAG_INVALID" ]
    [[ "$body" == *"already exists in the 'fixed' repository"*immutable* ]]
    put_manifest fixed "$digest"
    [ "$code" = 201 ]
    plain fixed/manifests/v2 -X PUT --data-binary "@$manifest"
    [ "$code $(header Location)" = "201 /v2/fixed/manifests/$digest" ]
    run --separate-stderr aws ecr create-repository --repository-name odd \
        --image-tag-mutability SOMETIMES
    [[ "$stderr" == *InvalidParameterException* ]]
    sandbox_stop
}

@test "the eleventh manifest of a second is too many, and the next second is a new one" {
    sandbox_start
    repository app
    make_manifest app
    python3 - "$manifest" "$host" <<'P'
import base64, http.client, os, sys, time
body = open(sys.argv[1], "rb").read()
auth = base64.b64encode(b"AWS:" + os.environ["DISPATCHER_REGISTRY_PASSWORD"].encode()).decode()
connection = http.client.HTTPConnection(os.environ["DISPATCHER_SANDBOX_REGISTRY"])
def put(tag, host):
    connection.request("PUT", f"/v2/app/manifests/{tag}", body, {"Host": host,
        "Authorization": "Basic " + auth, "Content-Type": "application/vnd.oci.image.manifest.v1+json"})
    answer = connection.getresponse()
    return answer.status, answer.read()
for _ in range(5):  # the machine may be too slow to be too fast
    time.sleep(1.1)
    begin = time.monotonic()
    seen = [put(f"t{number}", sys.argv[2]) for number in range(11)]
    if time.monotonic() - begin < 0.9:
        break
else:
    sys.exit("eleven manifests never went out within a second")
assert [status for status, _ in seen] == 10 * [201] + [429], seen
assert b"TOOMANYREQUESTS" in seen[10][1]
plain = [put(f"p{number}", "localhost")[0] for number in range(12)]
assert plain == 12 * [201], plain
time.sleep(1.1)
assert put("later", sys.argv[2])[0] == 201
P
    sandbox_stop
}

@test "mounts: an account setting, and only what a manifest names" {
    sandbox_start
    repository one
    repository two
    make_manifest one
    ecr "two/blobs/uploads/?mount=$config&from=one" -X POST
    [ "$code" = 202 ]
    aws ecr put-account-setting --name BLOB_MOUNTING --value ENABLED >/dev/null
    ecr "two/blobs/uploads/?mount=$config&from=one" -X POST
    [ "$code" = 202 ]
    put_manifest one v1
    ecr "two/blobs/uploads/?mount=$config&from=one" -X POST
    [ "$code" = 201 ]
    ecr "two/blobs/$config" -I
    [ "$code" = 200 ]
    aws ecr put-account-setting --name BLOB_MOUNTING --value DISABLED >/dev/null
    ecr "two/blobs/uploads/?mount=$config&from=one" -X POST
    [ "$code" = 202 ]
    run --separate-stderr aws ecr put-account-setting --name BLOB_MOUNTING --value MAYBE
    [[ "$stderr" == *InvalidParameterException* ]]
    sandbox_stop
}

# What the sandbox's scans say from now on.
scans_say() {
    curl -sS --fail-with-body "$DISPATCHER_SANDBOX_CONTROL/aws/scan" -d "$1"
}

scan_of() { # REPOSITORY [QUERY]
    aws ecr describe-image-scan-findings --repository-name "$1" --image-id "imageDigest=$digest" \
        --output json >"$world/scan" || return 1
    jq -c "${2:-[.imageScanStatus.status, .imageScanFindings.findingSeverityCounts]}" "$world/scan"
}

@test "scans: none, asked for once a day, on push, and what they say" {
    sandbox_start
    repository app
    make_manifest app
    put_manifest app v1
    run --separate-stderr scan_of app
    [[ "$stderr" == *ScanNotFoundException* ]]
    scans_say '{"delay_ms": 3600000}'
    [ "$(aws ecr start-image-scan --repository-name app --image-id imageTag=v1 --output json |
        jq -c '[.imageScanStatus.status, .imageId.imageTag]')" = '["IN_PROGRESS","v1"]' ]
    [ "$(scan_of app)" = '["IN_PROGRESS",null]' ]
    run --separate-stderr aws ecr start-image-scan --repository-name app --image-id imageTag=v1
    [[ "$stderr" == *LimitExceededException* ]]
    scans_say '{"description": "all read", "findings": [{"name": "CVE-1", "severity": "HIGH"},
        {"name": "CVE-2", "severity": "LOW"}, {"name": "CVE-3", "severity": "HIGH"}]}'
    [ "$(scan_of app)" = '["COMPLETE",{"HIGH":2,"LOW":1}]' ]
    [ "$(scan_of app '[.imageScanFindings.findings[].name], .imageScanStatus.description' | tr '\n' ' ')" = \
        '["CVE-1","CVE-2","CVE-3"] "all read" ' ]
    run --separate-stderr aws ecr start-image-scan --repository-name app --image-id imageTag=v9
    [[ "$stderr" == *ImageNotFoundException* ]]

    repository pushed --image-scanning-configuration scanOnPush=true
    [ "$(aws ecr describe-repositories --repository-names pushed app --output json |
        jq -c '[.repositories[].imageScanningConfiguration.scanOnPush]')" = '[true,false]' ]
    make_manifest pushed
    scans_say '{"repository": "pushed", "status": "FAILED"}'
    put_manifest pushed v1
    [ "$(scan_of pushed)" = '["FAILED",null]' ]
    [ "$(control /state | jq -c '[.registry[] | [.name, (.scans | length)]]')" = \
        '[["app",1],["pushed",1]]' ]
    sandbox_stop
}

@test "enhanced scans begin by themselves and take no requests; no scan reads an index" {
    sandbox_start
    repository app
    make_manifest app
    put_manifest app v1
    scans_say '{"enhanced": true, "findings": [{"name": "CVE-7", "severity": "CRITICAL"}]}'
    [ "$(scan_of app)" = '["ACTIVE",{"CRITICAL":1}]' ]
    [ "$(scan_of app '.imageScanFindings.enhancedFindings[0].packageVulnerabilityDetails.vulnerabilityId')" = '"CVE-7"' ]
    run --separate-stderr aws ecr start-image-scan --repository-name app --image-id imageTag=v1
    [[ "$stderr" == *ValidationException*"This feature is disabled"* ]]
    control '/reset?what=aws' -X POST
    ecr app/manifests/all -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' -d \
        "{\"schemaVersion\": 2, \"manifests\": [{\"digest\": \"$digest\", \"size\": 1}]}"
    [ "$code" = 201 ]
    run --separate-stderr aws ecr start-image-scan --repository-name app --image-id imageTag=all
    [[ "$stderr" == *UnsupportedImageTypeException* ]]
    sandbox_stop
}

@test "what scans may be told to say" {
    sandbox_start
    while IFS='|' read -r order problem; do
        run scans_say "$order"
        [ "$status" -ne 0 ]
        [[ "$output" == *"$problem"* ]] || { echo "$order: $output"; return 1; }
    done <<'END'
nonsense|not a JSON object
{"status": "DONE"}|'status' is none of ECR's
{"delay_ms": -1}|'delay_ms' is negative
{"findings": {}}|'findings' is no list
{"findings": [{"severity": "HIGH"}]}|a finding has no 'name'
{"findings": [{"name": "x", "severity": "BAD"}]}|a finding's 'severity' is none of ECR's
END
    [ "$(control /state | jq -c .aws.scan_results)" = '{}' ]
    sandbox_stop
}

@test "skopeo pushes by ECR's own name, and is refused as ECR refuses" {
    sandbox_start
    python3 "$BATS_TEST_DIRNAME/../support/ecr_relay.py" "$world/relay" \
        "$DISPATCHER_SANDBOX_REGISTRY" 3>&- &
    relay_pid=$!
    for ((tries = 0; tries < 200; tries++)); do
        [ ! -e "$world/relay/port" ] || break
        sleep 0.05
    done
    export HTTPS_PROXY SSL_CERT_FILE=$world/relay/ca.pem
    HTTPS_PROXY=http://127.0.0.1:$(cat "$world/relay/port")
    creds=AWS:$(aws ecr get-login-password)
    python3 "$BATS_TEST_DIRNAME/../vectors/archives/make.py" "$world/images"
    push() {
        skopeo copy -q --dest-creds "$creds" "oci:$world/images/$1" "docker://$host/$2"
    }
    run push single app:v1
    [ "$status" -ne 0 ]
    [ "$(control /state | jq '.registry | length')" = 0 ]
    repository app --image-tag-mutability IMMUTABLE
    push single app:v1
    [ "$(skopeo inspect --creds "$creds" "docker://$host/app:v1" | jq -r .Digest)" = \
        "$(control /state | jq -r '.registry[0].tags.v1')" ]
    run push single app:v1
    [ "$status" -ne 0 ]
    [[ "$output" == *immutable* ]]
    sandbox_stop
}
