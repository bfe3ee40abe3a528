#!/usr/bin/env bats
# Deploying through ECR by its own host name: the gate on scan findings, and repositories that are
# not there. The real binary through a relay that ends TLS; effects are counted at the sandbox.

load lib

setup_file() {
    needs python3 openssl
    world_template
}

setup() {
    world_make
    sandbox_start
    ecr_start
}

teardown() {
    world_end
}

# The registry is ECR from now on, for this shell's commands and in dispatcher.yaml.
ecr_start() {
    host=123456789012.dkr.ecr.us-east-1.amazonaws.com
    start relay python3 "$DISPATCHER_ROOT/tests/support/ecr_relay.py" "$world/relay" \
        "$DISPATCHER_SANDBOX_REGISTRY"
    until_true 20 test -s "$world/relay/port"
    unset DISPATCHER_REGISTRY_USER DISPATCHER_REGISTRY_PASSWORD
    HTTPS_PROXY=http://127.0.0.1:$(cat "$world/relay/port")
    export HTTPS_PROXY SSL_CERT_FILE=$world/relay/ca.pem
    registry_is "$host"
}

may_create() {
    in_infra sh -c 'echo "create_repository: true" >>dispatcher.yaml'
}

gate_is() { # YAML
    in_infra sh -c "printf 'deploy: {image_scan: {%s}}\n' '$1' >>appspecs/greeter.yaml"
}

# ecr ACTION JSON: ECR's API, signed by curl.
ecr() {
    curl -sS --fail-with-body --max-time 20 "$AWS_ENDPOINT_URL" \
        --aws-sigv4 "aws:amz:$AWS_REGION:ecr" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.$1" \
        -H "Content-Type: application/x-amz-json-1.1" -d "$2"
}

repository_exists() {
    ecr CreateRepository '{"repositoryName": "greeter-staging-web"}' >/dev/null
}

scans_say() {
    control aws/scan -d "$1"
}

actions() { # NAME: how often that action of ECR was asked for
    asked "(.action // \"\") | endswith(\".$1\")"
}

# The image may be there; nothing else has happened.
nothing_written() { # MANIFESTS
    happened "posts=0 runs=0 versions=0 labels=0 manifests=$1"
}

@test "nothing bad is found: the image is pushed, scanned and deployed" {
    repository_exists
    gate_is "block: high"
    scans_say '{"delay_ms": 500, "findings": [{"name": "CVE-1", "severity": "MEDIUM"}]}'
    deploy
    expect 0
    happened "posts=1 runs=1 versions=1 labels=1 manifests=1"
    says "✓ push web" "✓ scan web           1 medium, scanned 20"
    [ "$(actions StartImageScan)" = 1 ]
    [ "$(actions CreateRepository)" = 1 ] # this story's own
}

@test "an image that is there already is scanned, too" {
    may_create
    deploy
    expect 0
    forget_effects_but_the_registry
    gate_is "block: low"
    scans_say '{"findings": [{"name": "CVE-1", "severity": "LOW"}]}'
    deploy
    expect 5
    says "- push web           present as sha256:" "1 low finding, 'low' and above are blocked"
    [ "$(asked '.method == "PUT" and (.path | startswith("/v2/"))')" = 0 ]
    [ "$(posts)" = 0 ]
}

# What stays is that the image is there.
forget_effects_but_the_registry() {
    control 'reset?what=requests' -X POST
    control 'reset?what=aws' -X POST
    rm -f "$DISPATCHER_STATE"*
}

@test "findings block: exit 5, the worst are named, nothing is written or triggered" {
    may_create
    gate_is "block: high, on_missing: warn"
    scans_say '{"delay_ms": 500, "findings": [{"name": "CVE-1", "severity": "LOW"},
        {"name": "CVE-2", "severity": "HIGH"}, {"name": "CVE-3", "severity": "CRITICAL"}]}'
    deploy
    expect 5
    nothing_written 1
    says "✗ scan web" "scan image '$host/greeter-staging-web:$sha'" \
        "1 critical, 1 high findings, 'high' and above are blocked: CVE-3 (critical), CVE-2 (high)" \
        "Nothing was written or triggered." \
        "aws ecr describe-image-scan-findings --region us-east-1 --repository-name greeter-staging-web --image-id imageDigest=sha256:"
    [ "$(asked '(.action // "") | test("PutParameter|LabelParameterVersion")')" = 0 ]
    # Created for a gated deployment: it scans by itself.
    [ "$(actions CreateRepository) $(actions StartImageScan)" = "1 0" ]
}

@test "a scan that does not end: exit 12, or a warning where the spec says so" {
    repository_exists
    gate_is "block: high, wait: 2s"
    scans_say '{"delay_ms": 3600000}'
    deploy
    expect 12
    nothing_written 1
    says "no scan result: it is still IN_PROGRESS after 2.0s" "'image_scan: {on_missing: warn}'"
    in_infra sed -i 's/wait: 2s/wait: 2s, on_missing: warn/' appspecs/greeter.yaml
    deploy
    expect 0
    happened "posts=1 runs=1 versions=1 labels=1 manifests=1"
    says "the image of 'web' is deployed without a scan result: it is still IN_PROGRESS after 2.0s"
}

@test "an image that cannot be scanned is no result" {
    may_create
    gate_is "block: critical"
    scans_say '{"status": "UNSUPPORTED_IMAGE", "description": "no operating system"}'
    deploy
    expect 12
    nothing_written 1
    says "no scan result: the scan is UNSUPPORTED_IMAGE: no operating system"
}

@test "no gate: nobody asks for findings" {
    may_create
    scans_say '{"findings": [{"name": "CVE-3", "severity": "CRITICAL"}]}'
    deploy
    expect 0
    [ "$(actions DescribeImageScanFindings) $(actions StartImageScan)" = "0 0" ]
    says_not "scan"
}

@test "a gate and a registry that is not ECR: refused before anything" {
    gate_is "block: high"
    registry_is "$DISPATCHER_SANDBOX_REGISTRY"
    deploy
    expect 3
    nothing_happened
    says "'image_scan' needs a registry of Amazon ECR, '$DISPATCHER_SANDBOX_REGISTRY' is none"
}

@test "a missing repository is created when the configuration allows it, and only then" {
    dispatcher plan greeter --env staging --image "oci:$world/image"
    expect 3
    says "repository 'greeter-staging-web' does not exist in '$host'" \
        "Create it, or set 'create_repository: true' in dispatcher.yaml."
    deploy
    expect 3
    nothing_happened
    [ "$(actions CreateRepository)" = 0 ]
    may_create
    dispatcher plan greeter --env staging --image "oci:$world/image"
    expect 0
    says "not in the registry; create repository 'greeter-staging-web' first"
    nothing_happened
    deploy
    expect 0
    happened "posts=1 runs=1 versions=1 labels=1 manifests=1"
    [ "$(actions CreateRepository)" = 1 ]
    deploy --version v2
    expect 0
    [ "$(actions CreateRepository)" = 1 ]
}

# It goes between the plan and the push: ECR then drops the connection without a word.
@test "a repository that goes away is found out, and created when the configuration allows it" {
    repository_exists
    fault 'POST * target=*.GetAuthorizationToken nth=1 effect=delay delay=3s'
    deploy_behind
    until_true 60 image_was_looked_for
    control 'reset?what=registry' -X POST
    deploy_end
    expect 12
    nothing_written 0
    says "repository 'greeter-staging-web'" \
        "Create the repository 'greeter-staging-web', or set 'create_repository: true'"
    [ "$(actions CreateRepository)" = 1 ] # this story's own
    may_create
    rm -f "$DISPATCHER_STATE"*
    repository_exists
    control 'reset?what=requests' -X POST
    control faults -X DELETE
    fault 'POST * target=*.GetAuthorizationToken nth=1 effect=delay delay=3s'
    deploy_behind
    until_true 60 image_was_looked_for
    control 'reset?what=registry' -X POST
    deploy_end
    expect 0
    [ "$(actions CreateRepository)" = 1 ]
    [ "$(control state | jq -r '.registry[0].tags | keys[0]')" = "$sha" ]
}

image_was_looked_for() {
    [ "$(actions DescribeImages)" = 1 ]
}

@test "a promotion creates the repository, if it may, and copies by digest with the same credentials" {
    repository_exists
    deploy
    expect 0
    digest=$(ecr DescribeImages '{"repositoryName": "greeter-staging-web"}' | jq -r '.imageDetails[0].imageDigest')
    dispatcher promote greeter --from staging --to production
    expect 3
    says "repository 'greeter-production-web' does not exist"
    may_create
    dispatcher promote greeter --from staging --to production
    expect 0
    says "'greeter' $sha is deployed to 'production'" "'$sha' is promoted from 'staging'"
    [ "$(actions CreateRepository)" = 2 ] # the first one is the story's
    [ "$(ecr DescribeImages '{"repositoryName": "greeter-production-web"}' | jq -r '.imageDetails[] |
        .imageDigest + " " + .imageTags[0]')" = "$digest $sha" ]
}
