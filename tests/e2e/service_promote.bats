# A promotion brings its image along: with a repository for each environment, the version that ran in
# staging is copied to production by its digest, once, whoever dies in the middle. Effects are counted
# at the registry.
load lib.bash
load web_lab.bash

setup_file() {
    world_template
}

setup() {
    job_lacks=(-u DISPATCHER_REGISTRY_USER -u DISPATCHER_REGISTRY_PASSWORD)
    world_make
    docker=
}

teardown() {
    world_end
}

# Nobody has to approve here.
eval "$(declare -f specs_are | sed '1s/specs_are/specs_with_approvals/')"
specs_are() {
    specs_with_approvals
    in_infra sed -i '/approvals:/d' appspecs/greeter.yaml
}

# Only staging's repository has them: the second one is another image.
images_are_pushed() {
    first=$(git -C "$world/app" rev-parse HEAD~1)
    second=$(git -C "$world/app" rev-parse HEAD)
    user=$DISPATCHER_REGISTRY_USER word=$DISPATCHER_REGISTRY_PASSWORD
    [ -z "$docker" ] || docker_registry_start
    registry=${docker_registry:-$DISPATCHER_SANDBOX_REGISTRY}
    [ "$docker" != other ] || production_is_elsewhere
    "$DISPATCHER_BIN" push "oci:$world/image" "$registry/greeter-staging-web:$first" >/dev/null
    digest=$(digest_of greeter-staging-web "$first")
}

# The sandbox's registry is production's, and the image is an index of two platforms.
production_is_elsewhere() {
    export DISPATCHER_REGISTRY_USER=$user DISPATCHER_REGISTRY_PASSWORD=$word
    in_infra sh -c "echo 'env: {production: {registry: \"$DISPATCHER_SANDBOX_REGISTRY\"}}' >>dispatcher.yaml"
    python3 - "$world/image" <<'END'
import hashlib, json, os, sys
root = sys.argv[1]
def get(digest):
    return open(f"{root}/blobs/sha256/{digest[7:]}", "rb").read()
def put(kind, value, **more):
    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    open(f"{root}/blobs/sha256/{digest}", "wb").write(data)
    return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(data), **more}
oci = "application/vnd.oci.image."
layout = json.load(open(f"{root}/index.json"))
first = {k: v for k, v in layout["manifests"][0].items() if k != "annotations"}
manifest = json.loads(get(first["digest"]))
config = json.loads(get(manifest["config"]["digest"])) | {"architecture": "arm64"}
second = put(manifest.get("mediaType", oci + "manifest.v1+json"), manifest | {"config": put(oci + "config.v1+json", config)})
index = {"schemaVersion": 2, "mediaType": oci + "index.v1+json", "manifests": [
    first | {"platform": {"os": "linux", "architecture": "amd64"}},
    second | {"platform": {"os": "linux", "architecture": "arm64"}}]}
json.dump({"schemaVersion": 2, "manifests": [put(oci + "index.v1+json", index)]}, open(f"{root}/index.json", "w"))
END
}

# digest_of REPOSITORY REFERENCE: "" when it is not there.
digest_of() {
    curl -s -I "http://$registry/v2/$1/manifests/$2" -u "${DISPATCHER_REGISTRY_USER-}:${DISPATCHER_REGISTRY_PASSWORD-}" \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json' |
        tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'
}

# How many blobs the image has: its layers and its configuration.
blobs() {
    curl -sf "http://$registry/v2/greeter-staging-web/manifests/$digest" \
        -u "${DISPATCHER_REGISTRY_USER-}:${DISPATCHER_REGISTRY_PASSWORD-}" \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json' | jq '[.config, .layers[]] | map(.digest) | unique | length'
}

# sent METHOD PATTERN: answered well by the registry since the service began, in production's repository.
sent() {
    asked ".method == \"$1\" and (.path | startswith(\"/v2/greeter-production-web/\") and test(\"$2\")) and
        .status < 300 and .status > 199"
}

written_to_staging() {
    asked '.method != "GET" and .method != "HEAD" and (.path | startswith("/v2/greeter-staging-web/"))'
}

promote() {
    run --separate-stderr in_job timeout 120 "$DISPATCHER_BIN" promote greeter --from staging --to production \
        --server "$url" "$@"
    echo "$output"
    echo "$stderr"
}

@test "the image goes along: mounted, one manifest, the same digest, one dispatch; the timeline says so" {
    service_start 'proxy_auth: {addresses: ["127.0.0.1"], header: X-Forwarded-User}'
    deployed staging "$first"
    [ -n "$digest" ]
    [ -z "$(digest_of greeter-production-web "$first")" ]
    written=$(written_to_staging)
    promote
    [ "$status" -eq 0 ]
    [[ $output == *"✓ push web"*"$(blobs) blobs mounted from 'staging', ${digest:0:19}…"* ]]
    [[ $output == *"'$first' is promoted from 'staging'"* ]]
    [ "$(digest_of greeter-production-web "$first")" = "$digest" ]
    [ "$(sent POST 'mount=.*from=greeter-staging-web')" = "$(blobs)" ]
    [ "$(sent PUT '/manifests/')" = 1 ]
    [ "$(sent PUT '/blobs/uploads/')" = 0 ]
    [ "$(written_to_staging)" = "$written" ]
    [ "$(posts)" = 2 ]
    [ "$(values /greeter/production/web/version)" = "$first" ]
    id=$(sed -n 's/^accepted as \(d-[0-9a-f]*\).*/\1/p' <<<"$output")
    in_job "$DISPATCHER_BIN" watch "$id" --server "$url" --json | jq -es --arg digest "$digest" '
        (map(select(.event == "step" and .step == "push web" and .state == "done")) | length == 1) and
        (map(select(.event == "started")) | .[0].plan | .from_env == "staging" and
            .services[0].from_digest == $digest)'
    curl -sf "$url/deployments/$id" -H 'X-Forwarded-User: octocat' >"$world/page"
    grep -q "push web" "$world/page"
    grep -q "$(blobs) blobs mounted from &#39;staging&#39;, ${digest:0:19}" "$world/page"
}

@test "what is there already is not sent again, and not asked of staging" {
    service_start
    deployed staging "$first"
    "$DISPATCHER_BIN" push "docker://$registry/greeter-staging-web:$first" \
        "$registry/greeter-production-web:$first" >/dev/null
    before=$(sent PUT '/manifests/')
    promote
    [ "$status" -eq 0 ]
    [[ $output == *"- push web"*"present as ${digest:0:19}…"* ]]
    [ "$(sent PUT '/manifests/')" = "$before" ]
}

@test "another image under that version is refused, and stays" {
    service_start
    deployed staging "$first"
    other=$("$DISPATCHER_BIN" push "oci:$world/image" "$registry/greeter-production-web:$first" >/dev/null &&
        digest_of greeter-production-web "$first")
    [ "$other" = "$digest" ] # the same image so far
    python3 - "$registry" "$first" <<'END'
import base64, json, os, sys, urllib.request
host, tag = sys.argv[1:]
word = base64.b64encode(f'{os.environ["DISPATCHER_REGISTRY_USER"]}:{os.environ["DISPATCHER_REGISTRY_PASSWORD"]}'.encode()).decode()
kind = "application/vnd.oci.image.manifest.v1+json"
url = f"http://{host}/v2/greeter-production-web/manifests/{tag}"
def ask(method, body=None, **headers):
    request = urllib.request.Request(url, data=body, method=method,
                                     headers={"Authorization": "Basic " + word, **headers})
    return urllib.request.urlopen(request).read()
manifest = json.loads(ask("GET", Accept=kind))
manifest["annotations"] = {"by": "somebody else"}
ask("PUT", json.dumps(manifest).encode(), **{"Content-Type": kind})
END
    other=$(digest_of greeter-production-web "$first")
    [ "$other" != "$digest" ]
    promote
    [ "$status" -eq 6 ]
    [[ $stderr == *"image '$registry/greeter-production-web:$first' is $other, in 'staging' it is $digest"* ]]
    [ "$(digest_of greeter-production-web "$first")" = "$other" ]
    [ "$(posts)" = 1 ]
}

@test "the image is gone in staging: which, where, and what to do; nothing is triggered" {
    service_start
    deployed staging "$first"
    fault 'GET /v2/greeter-staging-web/manifests/* count=all status=404 body="{}"'
    promote
    [ "$status" -eq 2 ]
    [[ $stderr == *"manifest '$digest' is not in repository 'greeter-staging-web' of registry '$registry'"* ]]
    [[ $stderr == *"Deploy the version to 'staging' once more from the app's repository"* ]]
    [ "$(posts)" = 1 ]
    [ "$(values /greeter/production/web/version)" = "" ]
}

@test "no right to read or to push: exit code 4, nothing is triggered" {
    service_start
    deployed staging "$first"
    fault 'GET /v2/greeter-staging-web/manifests/* count=all status=403 body="{}"'
    promote
    [ "$status" -eq 4 ]
    [[ $stderr == *"must be allowed to read repository 'greeter-staging-web'"* ]]
    control 'reset?what=faults' -X POST
    fault 'POST /v2/greeter-production-web/blobs/uploads/* count=all status=403 body="{}"'
    run_number=7002 promote
    [ "$status" -eq 4 ]
    [[ $output$stderr == *"push image '$registry/greeter-production-web:$first'"* ]]
    [ "$(posts)" = 1 ]
    [ "$(values /greeter/production/web/version)" = "" ]
}

@test "killed with -9 in the middle of the copy: the next one goes on, nothing is there twice" {
    service_start
    deployed staging "$first"
    fault 'PUT /v2/greeter-production-web/manifests/* effect=delay delay-after=3s'
    in_job "$DISPATCHER_BIN" promote greeter --from staging --to production --server "$url" \
        >"$world/out" 2>"$world/err" &
    job=$!
    until_true 20 mounted
    killed serve
    [ "$(posts)" = 1 ]
    [ "$(values /greeter/production/web/version)" = "" ]
    start serve2 "$DISPATCHER_BIN" serve --config "$world/serve.yaml"
    code=0
    wait "$job" || code=$?
    cat "$world/out" "$world/err"
    [ "$code" -eq 0 ]
    [ "$(digest_of greeter-production-web "$first")" = "$digest" ]
    [ "$(control state | jq '[.registry[] | select(.name == "greeter-production-web") | .manifests[]] | length')" = 1 ]
    [ "$(posts)" = 2 ]
    [ "$(values /greeter/production/web/version)" = "$first" ]
}

@test "a registry that stumbles: refusals and lost answers are got over, nothing is there twice" {
    service_start
    deployed staging "$first"
    fault 'GET /v2/greeter-staging-web/manifests/* status=503'
    fault 'POST /v2/greeter-production-web/blobs/uploads/* status=503'
    fault 'POST /v2/greeter-production-web/blobs/uploads/* nth=2 effect=lost-answer'
    fault 'PUT /v2/greeter-production-web/manifests/* effect=lost-answer'
    promote
    [ "$status" -eq 0 ]
    for rule in 1 2 3 4; do
        [ "$(fired "$rule")" = 1 ]
    done
    [ "$(digest_of greeter-production-web "$first")" = "$digest" ]
    [ "$(control state | jq '[.registry[] | select(.name == "greeter-production-web") | .manifests[]] | length')" = 1 ]
    [ "$(posts)" = 2 ]
}

mounted() {
    [ "$(sent POST 'mount=')" -ge "$(blobs)" ]
}

@test "a registry of another make mounts, too, and is left with the same digest" {
    docker=yes
    service_start
    deployed staging "$first"
    count=$(blobs)
    promote
    [ "$status" -eq 0 ]
    [[ $output == *"$count blobs mounted from 'staging'"* ]]
    [ "$(digest_of greeter-production-web "$first")" = "$digest" ]
    [ "$(grep -c 'POST /v2/greeter-production-web/blobs/uploads/?.*mount=.*" 201 ' "$world/registry.log")" = "$count" ]
    [ "$(grep -c 'PUT /v2/greeter-production-web/manifests/.*" 201 ' "$world/registry.log")" = 1 ]
    [ "$(grep -c 'PUT /v2/greeter-production-web/blobs/' "$world/registry.log")" = 0 ]
    [ "$(posts)" = 2 ]
}

@test "to a registry of its own: copied, an index with both its platforms" {
    docker=other
    service_start
    deployed staging "$first"
    promote
    [ "$status" -eq 0 ]
    [[ $output == *"✓ push web"*" in 3 blobs, ${digest:0:19}…"* ]]
    registry=$DISPATCHER_SANDBOX_REGISTRY
    [ "$(digest_of greeter-production-web "$first")" = "$digest" ]
    [ "$(sent PUT '/manifests/')" = 3 ]
    [ "$(sent PUT '/blobs/uploads/')" = 3 ]
    [ "$(sent POST 'mount=')" = 0 ]
    local child
    for child in $(curl -sf "http://$registry/v2/greeter-production-web/manifests/$first" -u "$user:$word" \
        -H 'Accept: application/vnd.oci.image.index.v1+json' | jq -r '.manifests[].digest'); do
        [ "$(digest_of greeter-production-web "$child")" = "$child" ]
    done
    [ "$(posts)" = 2 ]
}

@test "a rollback whose image was taken away here: its tag again, and then from the other environment" {
    docker=yes
    service_start
    local here=$world/registry/docker/registry/v2/repositories/greeter-production-web
    deployed staging "$first"
    promote
    "$DISPATCHER_BIN" push "oci:$world/image" "$registry/greeter-staging-web:$second" >/dev/null
    deployed staging "$second"
    run_number=7002 promote
    [ "$status" -eq 0 ]
    rm -r "$here/_manifests/tags/$first"
    run --separate-stderr in_job timeout 120 "$DISPATCHER_BIN" rollback greeter --env production --to "$first" \
        --reason "it is slow" --server "$url"
    echo "$output"
    echo "$stderr"
    [ "$status" -eq 0 ]
    [[ $output == *"… push web"*"its tag is gone; the repository has it as ${digest:0:19}…"* ]]
    [ "$(digest_of greeter-production-web "$first")" = "$digest" ]
    run_number=7003 promote
    [ "$status" -eq 0 ]
    rm -r "$here" # a lifecycle rule that goes too far
    run_number=7004
    run --separate-stderr in_job timeout 120 "$DISPATCHER_BIN" rollback greeter --env production --to "$first" \
        --reason "it is slow again" --server "$url"
    echo "$output"
    echo "$stderr"
    [ "$status" -eq 0 ]
    [[ $output == *"the image of 'web' is brought back from 'staging'"* ]]
    [ "$(digest_of greeter-production-web "$first")" = "$digest" ]
    [ "$(posts)" = 7 ]
}

@test "a person deploys again what ran elsewhere: its image comes along" {
    service_start
    deployed staging "$first"
    token=$(curl -sf "$DISPATCHER_SANDBOX_CONTROL/github/people" -d '{"people": [{"login": "octocat"}]}' |
        jq -er '.people[0].token')
    run --separate-stderr env -u GITHUB_TOKEN GH_TOKEN="$token" timeout 120 "$DISPATCHER_BIN" deploy greeter \
        --env production --version "$first" --server "$url"
    echo "$output"
    echo "$stderr"
    [ "$status" -eq 0 ]
    [[ $output == *"'$first' ran in 'staging'"* ]]
    [[ $output == *"$(blobs) blobs mounted from 'staging'"* ]]
    [ "$(digest_of greeter-production-web "$first")" = "$digest" ]
    [ "$(posts)" = 2 ]
}

@test "without a service: the same copy, by the same rules" {
    service_start
    deployed staging "$first"
    dispatcher promote greeter --from staging --to production
    show
    [ "$status" -eq 0 ]
    [[ $output == *"✓ push web"*"$(blobs) blobs mounted from 'staging'"* ]]
    [ "$(digest_of greeter-production-web "$first")" = "$digest" ]
    [ "$(sent POST 'mount=.*from=greeter-staging-web')" = "$(blobs)" ]
    [ "$(posts)" = 2 ]
    [ "$(values /greeter/production/web/version)" = "$first" ]
}
