# `deploy --server --build`: the job builds by the recipe that the service reads in the spec, and pushes
# what it built; and `deploy --server` without an environment. The builder is a shim; a real one is in
# tests/integration/build.bats.
load lib.bash
load web_lab.bash

setup_file() {
    world_template
}

setup() {
    world_make
    mkdir "$world/bin" "$world/made"
    cat >"$world/bin/buildah" <<'END'
#!/bin/sh
# Makes one small image, and notes how it was called.
set -e
echo "$@" >>"$SHIM/calls"
env >>"$SHIM/env"
if [ "$1" = build ]; then
    while [ $# -gt 1 ]; do [ "$1" = --iidfile ] && id=$2; shift; done
    echo "step ##[set-output] 1"
    printf 'sha256:%064d' 7 >"$id"
    exit
fi
cd "$SHIM"
echo hello >hello
tar --mtime=@0 -cf layer.tar hello
d=$(sha256sum layer.tar | cut -d' ' -f1)
printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$d" >config.json
printf '[{"Config":"config.json","RepoTags":null,"Layers":["layer.tar"]}]' >manifest.json
tar -cf "${3#docker-archive:}" manifest.json config.json layer.tar
END
    chmod +x "$world/bin/buildah"
}

teardown() {
    world_end
}

# No image is there, the app has a Dockerfile, and the spec says what the build is told.
images_are_pushed() {
    first=$(git -C "$world/app" rev-parse HEAD~1)
    second=$(git -C "$world/app" rev-parse HEAD)
    tokens_start
    in_infra sed -i 's/^deploy:$/deploy:\n  build: {args: {VERSION: "{version}", COMMIT: "{sha}"}}/' appspecs/greeter.yaml
}

# Tokens of jobs that run for commit $second: the sandbox's own jobs have none of a repository.
tokens_start() {
    local port
    port=$(free_port)
    cat >"$world/tokens.py" <<'END'
import http.server, json, sys, urllib.parse, urllib.request
port, control, sha = int(sys.argv[1]), sys.argv[2], sys.argv[3]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        audience = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["audience"][0]
        order = {"repository": "demo/greeter", "audience": audience, "sha": sha}
        with urllib.request.urlopen(control + "/oidc/token", json.dumps(order).encode()) as answer:
            body = answer.read()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
END
    start tokens python3 "$world/tokens.py" "$port" "$DISPATCHER_SANDBOX_CONTROL" "$second"
    tokens="http://127.0.0.1:$port/token?of=job"
    until_true 20 curl -sf "$tokens&audience=x"
}

# in_job COMMAND...: as a job of the app repository, with an OIDC token and no key but the registry's.
in_job() (
    export ACTIONS_ID_TOKEN_REQUEST_URL=$tokens ACTIONS_ID_TOKEN_REQUEST_TOKEN=the-jobs-own
    exec env -u DEPLOYMENT_APP_ID -u DEPLOYMENT_APP_KEY -u GITHUB_TOKEN -u DISPATCHER_SPECS \
        -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN \
        GITHUB_ACTIONS=true GITHUB_RUN_ID="${run_number:-7001}" GITHUB_RUN_ATTEMPT=1 GITHUB_JOB=deploy \
        GITHUB_REPOSITORY=demo/greeter GITHUB_REF=refs/heads/main \
        PATH="$world/bin:$PATH" SHIM="$world/made" DISPATCHER_BUILDER=buildah "$@"
)

job_deploys() {
    run --separate-stderr in_job timeout 120 "$DISPATCHER_BIN" deploy greeter --server "$url" "$@"
    echo "$output"
    echo "$stderr"
}

built() {
    cat "$world/made/calls" /dev/null 2>/dev/null | grep -c '^build ' || true
}

digest_in_staging() {
    curl -s -I "http://$DISPATCHER_SANDBOX_REGISTRY/v2/greeter-staging-web/manifests/$1" \
        -u "$DISPATCHER_REGISTRY_USER:$DISPATCHER_REGISTRY_PASSWORD" \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' |
        tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'
}

# Nothing of the deployment reached the service.
nothing_was_asked() {
    [ "$(posts)" = 0 ]
    [ "$(as octocat curl -s "$url/api/v1/deployments" -H "Authorization: Bearer $(as octocat printenv GH_TOKEN)" |
        jq '.deployments | length')" = 0 ]
}

@test "--build: built in the job by the spec's recipe, pushed, deployed; and not twice" {
    service_start
    job_deploys --env staging --build
    [ "$status" -eq 0 ]
    [ "$(built)" = 1 ]
    grep -q -- "--build-arg VERSION=$second" "$world/made/calls" || grep -q "VERSION=$second" "$world/made/calls"
    grep -q "COMMIT=$second" "$world/made/calls"
    [[ $output == *"  | step ## [set-output] 1"* ]]
    [[ $stderr == *"built web by buildah"* ]]
    digest=$(digest_in_staging "$second")
    [ -n "$digest" ]
    [[ $output == *"- push web"*"present as ${digest:0:19}…"* ]]
    [ "$(posts)" = 1 ]
    [ -z "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'dispatcher-build*' -newer "$world/serve.yaml" 2>/dev/null)" ]
    run_number=7002 job_deploys --env staging --build
    [ "$status" -eq 0 ]
    [ "$(built)" = 1 ]
    [[ $stderr == *"greeter-staging-web:$second is there as ${digest:0:19}…: not built"* ]]
    [ "$(digest_in_staging "$second")" = "$digest" ]
}

@test "--build with credentials that are lent: lent again for the push, and none of the builder's business" {
    service_start 'push_role: "arn:aws:iam::123456789012:role/push"'
    job_deploys --env staging --build
    [ "$status" -eq 0 ]
    [ "$(asked '(.action // "") | endswith("AssumeRole")')" = 2 ]
    [ "$(grep -c '^AWS_' "$world/made/env")" = "$(grep -c '^AWS_EC2_METADATA_DISABLED\|^AWS_REGION\|^AWS_ENDPOINT_URL\|^AWS_DEFAULT_REGION' "$world/made/env")" ]
    run_number=7002 job_deploys --env staging --build
    [ "$status" -eq 0 ]
    [ "$(asked '(.action // "") | endswith("AssumeRole")')" = 3 ]
    [ "$(built)" = 1 ]
}

@test "--build: another commit than the token's, and a dirty work tree, are refused before anything" {
    service_start
    git -C "$world/app" checkout -q HEAD~1
    job_deploys --env staging --build
    [ "$status" -eq 6 ]
    [[ $stderr == *"checkout '"*"' is at ${first:0:12}, the job's token is of ${second:0:12}"* ]]
    git -C "$world/app" checkout -q -
    echo more >>"$world/app/Dockerfile"
    job_deploys --env staging --build
    [ "$status" -eq 2 ]
    [[ $stderr == *"the work tree is dirty: 'Dockerfile' is changed"* ]]
    [[ $stderr == *"a service deploys commits only"* ]]
    git -C "$world/app" checkout -q Dockerfile
    job_deploys --env staging --build --image "oci:$world/image"
    [ "$status" -eq 2 ]
    [[ $stderr == *"--build has nothing to build: the service has its --image"* ]]
    [ "$(built)" = 0 ]
    [ -z "$(digest_in_staging "$second")" ]
    nothing_was_asked
}

@test "what only a command of its own can do is refused, word by word" {
    service_start
    local option
    for option in --allow-dirty --allow-stale --dry-run "--specs=x" "--config=x" "--on-failure=keep" "--checkout=x"; do
        job_deploys --env staging "$option"
        [ "$status" -eq 2 ]
        [[ $stderr == *"dispatcher: ${option%=*} does not go with --server"* ]]
    done
    nothing_was_asked
}

@test "without --env: the only environment where the service lets the job deploy, or the list" {
    service_start
    "$DISPATCHER_BIN" push "oci:$world/image" "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web:$second" >/dev/null
    job_deploys
    [ "$status" -eq 2 ]
    [[ $stderr == *"deploy 'greeter': no environment was given, and 'refs/heads/main' deploys 'greeter' to 2: 'staging', 'production'"* ]]
    [[ $stderr == *"Say which with --env."* ]]
    run --separate-stderr as octocat "$DISPATCHER_BIN" deploy greeter --version "$second" --server "$url"
    [ "$status" -eq 2 ]
    [[ $stderr == *"the service deploys 'greeter' to 2: 'staging', 'production'"* ]]
    run --separate-stderr in_job "$DISPATCHER_BIN" deploy unheard-of --server "$url"
    [ "$status" -eq 5 ]
    [[ $stderr == *"deploy 'unheard-of': the service has no app 'unheard-of' that this caller may see"* ]]
    nothing_was_asked
    in_infra sed -i 's/id: release, refs: \["refs\/heads\/main"\]/id: release, refs: ["refs\/tags\/v*"]/' appspecs/greeter.yaml
    killed_and_again
    job_deploys
    [ "$status" -eq 0 ]
    [[ $output == *"environment 'staging': 'refs/heads/main' deploys nowhere else"* ]]
    [[ $output == *"greeter $second to staging"* ]]
    [ "$(posts)" = 1 ]
    in_infra sed -i 's/id: any, refs: \["refs\/heads\/main"\]/id: any, refs: ["refs\/heads\/x"]/' appspecs/greeter.yaml
    killed_and_again
    run_number=7003 job_deploys
    [ "$status" -eq 2 ]
    [[ $stderr == *"'refs/heads/main' deploys 'greeter' to none"* ]]
    [[ $stderr == *"Say which with --env: 'staging', 'production'; "* ]]
}

@test "the API: each environment's verdict, nothing of others' apps; the recipe for the version that is named" {
    service_start
    token() { curl -sf "$tokens&audience=$url" | jq -r .value; }
    ask_api() { curl -s -X POST "$url$1" -H "Authorization: Bearer $(token)" -H 'Content-Type: application/json' -d "$2"; }
    ask_api /api/v1/explain '{"app": "greeter"}' | jq -es '.[0].environments | map([.env, .allowed, .code, .rule]) ==
        [["staging", true, "allowed", "any"], ["production", true, "allowed", "release"]]'
    [ "$(ask_api /api/v1/explain '{"app": "unheard-of"}')" = '{"environments":[]}' ]
    in_infra sed -i 's/repository_id: .*/repository_id: 42/' appspecs/greeter.yaml
    killed_and_again
    [ "$(ask_api /api/v1/explain '{"app": "greeter"}')" = '{"environments":[]}' ]
    ask_api /api/v1/explain '{"app": "greeter", "env": "../x"}' | jq -es '.[0].status == 400'
    in_infra sed -i "s/repository_id: .*/repository_id: $(claim repository_id)/" appspecs/greeter.yaml
    killed_and_again
    ask_api /api/v1/apps/greeter/environments/staging/push '{"version": "v9"}' | jq -es --arg sha "$second" '.[0] |
        .version == "v9" and .build == {sha: $sha, platform: null, args: {VERSION: "v9", COMMIT: $sha}, secrets: {},
            services: {web: {dockerfile: "./Dockerfile", context: "."}}}'
    ask_api /api/v1/apps/greeter/environments/staging/push '' | jq -es --arg sha "$second" '.[0] |
        .version == $sha and .build.args.VERSION == $sha'
    ask_api /api/v1/apps/greeter/environments/staging/push '{"version": "no tag"}' | jq -es '.[0].status == 400'
    ask_api /api/v1/apps/greeter/environments/staging/push '{"versoin": "v9"}' | jq -es '.[0].status == 400'
}

# The newest specs, at once.
killed_and_again() {
    local entry left=() again=${again:-1}
    for entry in "${servers[@]}"; do
        if [[ ${entry#*:} == serve* ]]; then
            kill "${entry%%:*}"
            wait "${entry%%:*}" || true
        else
            left+=("$entry")
        fi
    done
    servers=("${left[@]}")
    rm -f "$world/serve.address"
    start "serve-again" "$DISPATCHER_BIN" serve --config "$world/serve.yaml" --ready-file "$world/serve.address"
    until_true 30 test -s "$world/serve.address"
}
