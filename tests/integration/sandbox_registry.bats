#!/usr/bin/env bats
# The sandbox's registry, driven by skopeo and, for what skopeo never does, by curl; its images seen
# through ECR's API.

load sandbox_lab

setup() {
    need skopeo aws curl jq git python3
    make_world <<<'on: workflow_dispatch'
    make_image "$world/image" one
}

# make_image DIR SEED: an OCI layout with two layers, tagged v1.
make_image() {
    python3 - "$1" "$2" <<'P'
import gzip, hashlib, io, json, os, sys, tarfile
where, seed = sys.argv[1:]
os.makedirs(where + "/blobs/sha256")
def put(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{where}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + digest, "size": len(data)}
layers, ids = [], []
for number in range(2):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        entry = tarfile.TarInfo(f"file{number}")
        content = (seed * 100000 + str(number)).encode()
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    ids.append("sha256:" + hashlib.sha256(raw.getvalue()).hexdigest())
    layers.append(put(gzip.compress(raw.getvalue(), mtime=0), "layer.v1.tar+gzip"))
config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {},
    "rootfs": {"type": "layers", "diff_ids": ids}}).encode(), "config.v1+json")
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": config, "layers": layers}).encode(), "manifest.v1+json")
manifest["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
json.dump({"schemaVersion": 2, "manifests": [manifest]}, open(where + "/index.json", "w"))
json.dump({"imageLayoutVersion": "1.0.0"}, open(where + "/oci-layout", "w"))
P
    digest=$(jq -r '.manifests[0].digest' "$1/index.json")
}

push() {
    skopeo copy -q --dest-tls-verify=false ${creds:+--dest-creds "$creds"} "oci:$world/image:v1" \
        "docker://$DISPATCHER_SANDBOX_REGISTRY/$1"
}

registry() {
    code=$(curl -s -o "$BATS_TEST_TMPDIR/body" -D "$BATS_TEST_TMPDIR/headers" -w '%{http_code}' \
        -u "AWS:$DISPATCHER_REGISTRY_PASSWORD" "${@:2}" "$DISPATCHER_SANDBOX/v2/$1") || true
    body=$(tr -d '\0' <"$BATS_TEST_TMPDIR/body")
    headers=$BATS_TEST_TMPDIR/headers
}

@test "an image goes in and comes out unchanged, with ECR's login" {
    sandbox_start
    creds=AWS:$(aws ecr get-login-password)
    push app-dev-web:v1
    [ "$(skopeo inspect --tls-verify=false --creds "$creds" "docker://$DISPATCHER_SANDBOX_REGISTRY/app-dev-web:v1" | jq -r .Digest)" = "$digest" ]
    skopeo copy -q --src-tls-verify=false --src-creds "$creds" \
        "docker://$DISPATCHER_SANDBOX_REGISTRY/app-dev-web@$digest" "oci:$world/back:v1"
    [ "$(jq -r '.manifests[0].digest' "$world/back/index.json")" = "$digest" ]
    (cd "$world/image/blobs/sha256" && find . -type f -exec cmp {} "$world/back/blobs/sha256/{}" \;)
    [ "$(aws ecr describe-images --repository-name app-dev-web --image-ids imageTag=v1 --query 'imageDetails[0].imageDigest' --output text)" = "$digest" ]
    [ "$(aws ecr batch-get-image --repository-name app-dev-web --image-ids imageTag=v1 imageTag=no \
        --query '[length(images),failures[0].failureCode]' --output text)" = $'1\tImageNotFound' ]
    run --separate-stderr aws ecr describe-images --repository-name app-dev-web --image-ids imageTag=v9
    [[ "$stderr" == *ImageNotFoundException* ]]
    run --separate-stderr aws ecr describe-repositories --repository-names nothing
    [[ "$stderr" == *RepositoryNotFoundException* ]]
    sandbox_stop
}

@test "Bearer, no credentials, wrong credentials" {
    sandbox_start --registry-auth bearer
    creds=AWS:$DISPATCHER_REGISTRY_PASSWORD
    push a/b:v1
    control '/requests?path=/v2/token*' | jq -e '.requests | length > 0'
    creds=AWS:wrong
    run push a/b:v2
    [ "$status" -ne 0 ]
    creds=
    run push a/b:v2
    [ "$status" -ne 0 ]
    [ "$(control /state | jq -c '.registry[0].tags | keys')" = '["v1"]' ]
    sandbox_stop
    rm "$world/env"
    sandbox_start --registry-auth none
    push a/b:v1
    sandbox_stop
}

@test "an immutable tag is not written twice" {
    sandbox_start
    creds=AWS:$DISPATCHER_REGISTRY_PASSWORD
    aws ecr create-repository --repository-name fixed --image-tag-mutability IMMUTABLE >/dev/null
    run --separate-stderr aws ecr create-repository --repository-name fixed
    [[ "$stderr" == *RepositoryAlreadyExistsException* ]]
    push fixed:v1
    rm -r "$world/image"
    make_image "$world/image" two
    run push fixed:v1
    [ "$status" -ne 0 ]
    [[ "$output" == *"cannot be overwritten because the tag is immutable"* ]]
    sandbox_stop
}

@test "uploads: chunks in order, mounts, digests that lie" {
    sandbox_start
    registry r/blobs/uploads/ -X POST
    [ "$code" = 202 ]
    place=$(header Location)
    printf hello >"$world/hello"
    printf ' world' >"$world/world"
    put=${place#/v2/}
    registry "$put" -X PATCH -H 'Content-Range: 0-4' --data-binary "@$world/hello"
    [ "$code" = 202 ]
    [ "$(header Range)" = 0-4 ]
    registry "$put" -X PATCH -H 'Content-Range: 9-14' --data-binary "@$world/world"
    [ "$code" = 416 ]
    registry "$put" -X PATCH -H 'Content-Range: 5-10' --data-binary "@$world/world"
    [ "$(header Range)" = 0-10 ]
    sum=sha256:$(printf 'hello world' | sha256sum | cut -d' ' -f1)
    registry "$put&digest=$sum" -X PUT
    [ "$code" = 201 ]
    [ "$(header Docker-Content-Digest)" = "$sum" ]
    registry "r/blobs/$sum"
    [ "$body" = "hello world" ]
    registry "other/blobs/$sum"
    [ "$code" = 404 ]
    registry "other/blobs/uploads/?mount=$sum&from=r" -X POST
    [ "$code" = 201 ]
    registry "other/blobs/$sum" -I
    [ "$code" = 200 ]
    [ "$(header Content-Length)" = 11 ]
    registry r/blobs/uploads/ -X POST
    put=$(header Location)
    registry "${put#/v2/}&digest=$sum" -X PUT --data-binary "@$world/hello"
    [ "$code" = 400 ]
    [ "$(jq -r '.errors[0].code' <<<"$body")" = DIGEST_INVALID ]
    sandbox_stop
}

@test "manifests: what they name must be there, and their digest must be theirs" {
    sandbox_start
    lost=sha256:$(printf x | sha256sum | cut -d' ' -f1)
    registry r/blobs/uploads/ -X POST
    registry r/manifests/v1 -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
        -d "{\"config\": {\"digest\": \"$lost\"}}"
    [ "$code" = 400 ]
    [ "$(jq -r '.errors[0].code' <<<"$body")" = MANIFEST_BLOB_UNKNOWN ]
    registry "r/manifests/$lost" -X PUT -d '{"schemaVersion": 2}'
    [ "$(jq -r '.errors[0].code' <<<"$body")" = DIGEST_INVALID ]
    registry r/manifests/v1 -X PUT -d 'nonsense'
    [ "$(jq -r '.errors[0].code' <<<"$body")" = MANIFEST_INVALID ]
    registry r/manifests/v1
    [ "$(jq -r '.errors[0].code' <<<"$body")" = MANIFEST_UNKNOWN ]
    registry nothing/manifests/v1
    [ "$(jq -r '.errors[0].code' <<<"$body")" = NAME_UNKNOWN ]
    for tag in c a b; do
        registry "r/manifests/$tag" -X PUT -d '{"schemaVersion": 2}'
    done
    registry 'r/tags/list?n=2'
    [ "$(jq -c .tags <<<"$body")" = '["a","b"]' ]
    registry 'r/tags/list?n=2&last=b'
    [ "$(jq -c .tags <<<"$body")" = '["c"]' ]
    sandbox_stop
}
