# What the stories of rollouts share: two images, an ECS that runs the first one, and what runs.
#
#     setup_file() { world_template; }
#     setup() { world_make; ecs_start; }
#     teardown() { world_end; }
#
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bats, and for the tests

# other_image FROM TO [AUTHOR]: an OCI layout with the same layers and another configuration.
other_image() {
    python3 - "$1" "$2" "${3:-somebody else}" <<'PYTHON'
import hashlib, json, pathlib, shutil, sys
source, out = map(pathlib.Path, sys.argv[1:3])
shutil.copytree(source, out)

def load(digest):
    return json.loads((out / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes())

def store(document):
    data = json.dumps(document).encode()
    name = hashlib.sha256(data).hexdigest()
    (out / "blobs/sha256" / name).write_bytes(data)
    return {"digest": f"sha256:{name}", "size": len(data)}

index = json.loads((out / "index.json").read_text())
manifest = load(index["manifests"][0]["digest"])
manifest["config"] |= store(load(manifest["config"]["digest"]) | {"author": sys.argv[3]})
index["manifests"][0] |= store(manifest)
(out / "index.json").write_text(json.dumps(index))
PYTHON
}

digest_of() { # LAYOUT
    jq -r '.manifests[0].digest' "$1/index.json"
}

# spec_is: the text on standard input is the deploy: block of the greeter's spec.
spec_is() {
    { cat "$BATS_FILE_TMPDIR/template/infra/appspecs/greeter.yaml"; cat; } \
        >"$world/infra/appspecs/greeter.yaml"
    in_infra true
}

# definition [JQ]: the task definition of the service at rest, changed by a jq filter.
definition() {
    jq -n --arg image "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web:v1" '{family: "greeter",
        containerDefinitions: [{name: "web", image: $image, memory: 128, stopTimeout: 7,
        logConfiguration: {logDriver: "awslogs", options: {"awslogs-group": "/greeter",
        "awslogs-stream-prefix": "app", "awslogs-region": "us-east-1"}}}]}' | jq "${1:-.}"
}

# service [JQ]: the service at rest.
service() {
    definition | jq '{name: "greeter-staging", desiredCount: 2, delay: "600ms",
        taskDefinition: ., launchType: "FARGATE",
        deploymentConfiguration: {deploymentCircuitBreaker: {enable: true, rollback: true}},
        networkConfiguration: {awsvpcConfiguration: {subnets: ["subnet-1"]}}}' | jq "${1:-.}"
}

seed() { # SERVICE...
    printf '%s\n' "$@" | jq -s '{clusters: [{name: "blue", services: .}]}' |
        control aws/ecs/seed -X POST --data-binary @- >/dev/null
}

# ecs_start [JQ]: 'v1' runs in service greeter-staging of cluster blue, and the parameter says so.
ecs_start() {
    sandbox_start
    other_image "$world/image" "$world/image2"
    old=$(digest_of "$world/image") new=$(digest_of "$world/image2")
    "$DISPATCHER_BIN" push "oci:$world/image" "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web:v1" \
        >"$world/push.log" 2>&1
    seed "$(service "${1:-.}")"
    spec_is <<'YAML'
deploy:
  via: direct
  target: {kind: ecs, cluster: blue, service: "greeter-{env}"}
YAML
    say_v1
}

# aws_do SERVICE TARGET JSON: one call as anybody else makes it.
aws_do() {
    curl -sS --fail-with-body --max-time 10 --aws-sigv4 "aws:amz:us-east-1:$1" \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H "Content-Type: application/x-amz-json-1.1" -H "X-Amz-Target: $2" \
        --data-binary "$3" "$AWS_ENDPOINT_URL/"
}

ecs_do() { # OPERATION JSON
    aws_do ecs "AmazonEC2ContainerServiceV20141113.$1" "$2"
}

# The parameter says 'v1', as after a deployment of it.
say_v1() {
    aws_do ssm AmazonSSM.PutParameter \
        "{\"Name\": \"$parameter\", \"Type\": \"String\", \"Value\": \"v1\"}" >/dev/null
}

scenario() { # JSON
    control aws/ecs/scenario -X POST --data-binary "$1" >/dev/null
}

# deploy_v2 [OPTION...]: the second image; then status, output, stderr as `run` leaves them.
deploy_v2() {
    run --separate-stderr timeout -k 5 60 "$DISPATCHER_BIN" deploy greeter --env staging \
        --version v2 --image "oci:$world/image2" "$@"
}

of_service() { # JQ [SERVICE]
    control state | jq -r --arg name "${2:-greeter-staging}" \
        ".aws.ecs.clusters[].services[] | select(.serviceName == \$name) | $1"
}

# Digests of the running tasks, each once.
running() { # [SERVICE]
    of_service '[.tasks[] | select(.lastStatus == "RUNNING") | .containers[0].imageDigest]
        | unique | join(" ")' "$@"
}

runs_only() { # DIGEST [SERVICE]
    local digest=$1
    shift
    [ "$(running "$@")" = "$digest" ] || { echo "running: $(running "$@")"; show; return 1; }
}

# How often an action of ECS was carried out.
done_by_ecs() { # ACTION
    control state | jq -r --arg action "$1" '[.aws.ecs.effects[] | select(.action == $action)] | length'
}

# deploy_behind_v2 [OPTION...]: the same in the background; deploy_end waits for it.
deploy_behind_v2() {
    env --default-signal=INT,QUIT "$DISPATCHER_BIN" deploy greeter --env staging \
        --version v2 --image "oci:$world/image2" "$@" >"$world/out" 2>"$world/err" 3>&- &
    deploying=$!
}
